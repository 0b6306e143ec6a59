//! The index of a spool: which tiles there are, in the order of the archive, and where their bytes lie.
//!
//! An archive wants its tiles in an order of its own, and its bytes must not depend on which thread was first. So
//! the bytes wait in the segments of a [`Depot`] while their records are gathered here, on the writer's thread, and the
//! archive is assembled from the sorted records when the last one has come. Equal tiles are found by their hashes.
//! What is read back is held against them.

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::sink::depot::{Deposited, Depot, Place, Stored};
use crate::sink::order::Order;

/// A tile in the index: 40 bytes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u64,
    /// The XXH3-128 in halves, which need no alignment to 16 bytes.
    hash: [u64; 2],
    /// Where its bytes lie.
    place: Place,
    len: u32,
    /// Number of its bytes among the distinct ones, in the order of arrival.
    content: u32,
}

/// Tiles on their way into an archive.
#[derive(Debug)]
pub(super) struct Spool {
    order: Order,
    entries: Vec<Entry>,
    /// Entries that brought new bytes, by hash: an open-addressing table of indices, its length a power of two.
    first: Vec<u32>,
    distinct: u32,
}

/// A free slot of [`Spool::first`].
const FREE: u32 = u32::MAX;

impl Spool {
    /// An empty index.
    pub(super) fn new(order: Order) -> Self {
        Self { order, entries: Vec::new(), first: vec![FREE; 1 << 10], distinct: 0 }
    }

    /// Notes a tile.
    ///
    /// # Errors
    /// [`Error::Internal`] for a tile outside of its matrix or one too many.
    pub(super) fn add(&mut self, tile: &Deposited) -> Result<()> {
        let Some(key) = self.order.key(tile.coord) else {
            return Err(Error::Internal(format!("there is no tile {}", tile.coord)));
        };
        if self.entries.len() >= FREE as usize {
            return Err(Error::Internal("an archive holds at most 4,294,967,294 tiles".to_owned()));
        }
        let hash = [tile.hash as u64, (tile.hash >> 64) as u64];
        let slot = self.slot(hash, tile.len);
        let entry = if self.first[slot] == FREE {
            self.first[slot] = self.entries.len() as u32;
            self.distinct += 1;
            Entry { key, hash, place: tile.place, len: tile.len, content: self.distinct - 1 }
        } else {
            Entry { key, ..self.entries[self.first[slot] as usize] }
        };
        self.entries.push(entry);
        if self.distinct as usize * 4 > self.first.len() * 3 {
            self.grow();
        }
        Ok(())
    }

    /// The slot of the entry with these bytes, or the free one where it belongs.
    fn slot(&self, hash: [u64; 2], len: u32) -> usize {
        let mask = self.first.len() - 1;
        let mut slot = hash[0] as usize & mask;
        loop {
            match self.first[slot] {
                FREE => return slot,
                index => {
                    let entry = &self.entries[index as usize];
                    if entry.hash == hash && entry.len == len {
                        return slot;
                    }
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.first);
        self.first = vec![FREE; old.len() * 2];
        for index in old.into_iter().filter(|&i| i != FREE) {
            let entry = self.entries[index as usize];
            let slot = self.slot(entry.hash, entry.len);
            self.first[slot] = index;
        }
    }

    /// Sorts the index.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses or when there are no tiles, [`Error::Internal`] when one tile was
    /// written twice.
    pub(super) fn finish(self, depot: &Depot) -> Result<Sorted> {
        let Self { order, mut entries, distinct, first } = self;
        drop(first);
        let stored = depot.stored()?;
        if entries.is_empty() {
            return Err(Error::output(stored.path(), "no tile was written"));
        }
        entries.sort_unstable_by_key(|e| e.key);
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(Error::Internal(format!("tile {} was written twice", order.tile(pair[0].key))));
        }
        Ok(Sorted { stored, order, entries, distinct })
    }
}

/// The tiles of a spool in the order of the archive. Any thread may read.
#[derive(Debug)]
pub(super) struct Sorted {
    stored: Stored,
    order: Order,
    entries: Vec<Entry>,
    distinct: u32,
}

/// A tile of a sorted spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spooled {
    /// Its place in the order.
    pub(super) key: u64,
    /// Its size in bytes.
    pub(super) len: u32,
    /// The number of its bytes: equal for equal bytes, below [`Sorted::distinct`], in no order.
    pub(super) content: u32,
}

impl Sorted {
    /// How many tiles there are; at least one.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many tiles differ in their bytes.
    pub(super) fn distinct(&self) -> usize {
        self.distinct as usize
    }

    /// How many threads may well read at once.
    pub(super) fn segments(&self) -> usize {
        self.stored.count()
    }

    /// Lowest and highest zoom level with tiles: every order begins with the lowest level.
    pub(super) fn zooms(&self) -> (u8, u8) {
        (self.coord(0).z, self.coord(self.len() - 1).z)
    }

    /// The address of the tile at a place in the order.
    pub(super) fn coord(&self, index: usize) -> TileCoord {
        self.order.tile(self.entries[index].key)
    }

    /// The tile at a place in the order.
    pub(super) fn tile(&self, index: usize) -> Spooled {
        let Entry { key, len, content, .. } = self.entries[index];
        Spooled { key, len, content }
    }

    /// Reads the bytes of the tile at a place in the order; `bytes` is as long as they are.
    ///
    /// # Errors
    /// [`Error::Output`] when they cannot be read back or are not what was written.
    pub(super) fn read(&self, index: usize, bytes: &mut [u8]) -> Result<()> {
        let entry = self.entries[index];
        let (tile, place) = (self.coord(index), entry.place);
        let read = self.stored.read(place, bytes);
        read.map_err(|e| self.stored.damaged(tile, place, Some(&e)))?;
        if self.is(index, bytes) { Ok(()) } else { Err(self.stored.damaged(tile, place, None)) }
    }

    /// Gives the space of the spool back when the archive is complete; nothing can be read any more.
    pub(super) fn discard(&self) {
        self.stored.empty();
    }

    /// Whether these are the bytes of the tile at a place in the order.
    pub(super) fn is(&self, index: usize, bytes: &[u8]) -> bool {
        let hash = xxh3_128(bytes);
        [hash as u64, (hash >> 64) as u64] == self.entries[index].hash
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::sink::{OutputKind, Target};

    fn depot(dir: &Path) -> Depot {
        let claim = Target::new(dir.join("set.mbtiles")).claim(OutputKind::Mbtiles).expect("free");
        Depot::segments(Arc::new(claim), false).expect("created")
    }

    fn read(sorted: &Sorted, index: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; sorted.tile(index).len as usize];
        sorted.read(index, &mut bytes).map(|()| bytes)
    }

    #[test]
    fn equal_tiles_are_stored_once_however_many_come_between() {
        let dir = tempfile::tempdir().expect("tempdir");
        let depot = depot(dir.path());
        let mut spool = Spool::new(Order::Columns);
        for i in 0..3000u32 {
            let tile = depot.deposit(TileCoord::new(12, i, 0), &(i % 1500).to_le_bytes());
            spool.add(&tile.expect("deposited")).expect("added");
        }
        let sorted = spool.finish(&depot).expect("finished");
        assert_eq!((sorted.len(), sorted.distinct()), (3000, 1500));
        for i in 0..3000 {
            assert_eq!(sorted.coord(i), TileCoord::new(12, i as u32, 0));
            assert_eq!(sorted.tile(i).content, sorted.tile((i + 1500) % 3000).content);
            assert_eq!(read(&sorted, i).expect("read"), (i as u32 % 1500).to_le_bytes());
        }
    }

    #[test]
    fn what_was_stored_a_moment_ago_is_not_stored_again() {
        let dir = tempfile::tempdir().expect("tempdir");
        let depot = depot(dir.path());
        let bytes = vec![7; 100_000];
        for i in 0..1000 {
            depot.deposit(TileCoord::new(12, i, 0), &bytes).expect("deposited");
        }
        depot.stored().expect("flushed");
        let size = std::fs::metadata(dir.path().join("set.mbtiles.partial-spool")).expect("spool").len();
        assert_eq!(size, 1000 * 32 + 100_000);
    }

    #[test]
    fn tiles_of_all_sizes_and_threads_come_back() {
        let dir = tempfile::tempdir().expect("tempdir");
        let depot = depot(dir.path());
        let bytes = |i: u32| i.to_le_bytes().repeat((i as usize * 7919) % 40_000 + 1);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("threads");
        let deposit = |i| depot.deposit(TileCoord::new(9, i, 3), &bytes(i)).expect("deposited");
        let tiles = pool.broadcast(|thread| {
            (0..200).filter(|i| *i as usize % 4 == thread.index()).map(deposit).collect::<Vec<_>>()
        });
        let mut spool = Spool::new(Order::Hilbert);
        for tile in tiles.iter().flatten() {
            spool.add(tile).expect("added");
        }
        let sorted = spool.finish(&depot).expect("finished");
        assert_eq!(sorted.segments(), 4);
        for i in 0..200 {
            assert!(read(&sorted, i).expect("read") == bytes(sorted.coord(i).x));
        }
    }

    #[test]
    fn a_damaged_spool_is_an_error_that_names_the_tile() {
        let dir = tempfile::tempdir().expect("tempdir");
        let depot = depot(dir.path());
        let mut spool = Spool::new(Order::Columns);
        let tile = depot.deposit(TileCoord::new(4, 5, 6), b"all is well").expect("deposited");
        spool.add(&tile).expect("added");
        let sorted = spool.finish(&depot).expect("finished");
        let (file, offset) = sorted.stored.file(tile.place);
        file.write_all_at(b"X", offset + 2).expect("damage");
        let error = read(&sorted, 0).expect_err("damaged");
        assert!(matches!(error, Error::Output { .. }));
        assert!(error.to_string().contains("tile 4/5/6"), "{error}");
        file.set_len(offset + 2).expect("torn");
        assert!(read(&sorted, 0).is_err());
    }

    #[test]
    fn a_tile_written_twice_is_a_defect() {
        let dir = tempfile::tempdir().expect("tempdir");
        let depot = depot(dir.path());
        let mut spool = Spool::new(Order::Columns);
        for text in [b"one", b"two"] {
            spool.add(&depot.deposit(TileCoord::new(4, 5, 6), text).expect("deposited")).expect("added");
        }
        assert!(matches!(spool.finish(&depot), Err(Error::Internal(m)) if m.contains("4/5/6")));
    }
}
