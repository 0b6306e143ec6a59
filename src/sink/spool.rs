//! The spool: tiles in the order they arrive, in one append-only file, with an index in memory.
//!
//! An archive wants its tiles in an order of its own, and its bytes must not depend on which thread was first. So
//! tiles are appended here as they come, equal ones once, and the archive is assembled from the sorted
//! index when the last one has come. What is read back is held against its checksum.
//!
//! A record is: key (u64), length (u32), XXH3-128 (u128), all little-endian, and the bytes. A tile equal to an
//! earlier one is a record with [`REPEATED`] set in its length and no bytes. The file alone thus tells which tiles it
//! holds, however torn its end is.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};
use crate::grid::{MAX_ZOOM, TileCoord};
use crate::sink::EncodedTile;
use crate::sink::target::failed;

/// Set in the length of a record whose bytes stand in an earlier record.
const REPEATED: u32 = 1 << 31;

const HEADER: usize = 28;

const BUFFER: usize = 1 << 20;

/// The order in which an archive is assembled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By zoom level, column, and row counted from the south: the order of an MBTiles index.
    Columns,
    /// By zoom level and position on the Hilbert curve: the order of PMTiles.
    Hilbert,
}

impl Order {
    /// The place of a tile in this order. `None` when the address is outside of its level's matrix.
    pub(super) fn key(self, tile: TileCoord) -> Option<u64> {
        let TileCoord { z, x, y } = tile;
        if z > MAX_ZOOM || x >> z != 0 || y >> z != 0 {
            return None;
        }
        match self {
            Self::Columns => Some(tiles_above(z) + (u64::from(x) << z) + u64::from(tile.tms_y())),
            Self::Hilbert => {
                let tile = ::pmtiles::TileCoord::new(z, x, y).ok()?;
                Some(::pmtiles::TileId::from(tile).value())
            }
        }
    }

    /// The tile at a place that [`Order::key`] gave.
    pub(super) fn tile(self, key: u64) -> TileCoord {
        match self {
            Self::Columns => {
                let z = (0..=MAX_ZOOM).rev().find(|z| tiles_above(*z) <= key).unwrap_or(0);
                let rest = key - tiles_above(z);
                let row = rest & ((1 << z) - 1);
                TileCoord::new(z, (rest >> z) as u32, ((1u64 << z) - 1 - row) as u32)
            }
            Self::Hilbert => ::pmtiles::TileId::new(key).map_or(TileCoord::new(0, 0, 0), |id| {
                let tile = ::pmtiles::TileCoord::from(id);
                TileCoord::new(tile.z(), tile.x(), tile.y())
            }),
        }
    }
}

/// How many tiles the levels above `z` have: (4ᶻ − 1) / 3.
const fn tiles_above(z: u8) -> u64 {
    ((1u64 << (2 * z)) - 1) / 3
}

/// A tile in the index: 40 bytes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u64,
    /// The XXH3-128 in halves, which need no alignment to 16 bytes.
    hash: [u64; 2],
    /// Where its bytes begin in the spool.
    offset: u64,
    len: u32,
    /// Number of its bytes among the distinct ones, in the order of arrival.
    content: u32,
}

/// Tiles on their way into an archive.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    out: BufWriter<File>,
    end: u64,
    order: Order,
    entries: Vec<Entry>,
    /// Entries that brought new bytes, by hash: an open-addressing table of indices, its length a power of two.
    first: Vec<u32>,
    distinct: u32,
}

/// A free slot of [`Spool::first`].
const FREE: u32 = u32::MAX;

impl Spool {
    /// Creates the file.
    ///
    /// # Errors
    /// [`Error::Output`] when that fails.
    pub(super) fn create(path: &Path, order: Order) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|e| failed(path, "cannot be created", &e))?;
        Ok(Self {
            path: path.to_owned(),
            out: BufWriter::with_capacity(BUFFER, file),
            end: 0,
            order,
            entries: Vec::new(),
            first: vec![FREE; 1 << 10],
            distinct: 0,
        })
    }

    /// Appends a tile.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses, [`Error::Internal`] for a tile without bytes or outside of its matrix.
    pub(super) fn write(&mut self, tile: &EncodedTile) -> Result<()> {
        let Some(key) = self.order.key(tile.coord) else {
            return Err(Error::Internal(format!("there is no tile {}", tile.coord)));
        };
        let len = match u32::try_from(tile.bytes.len()) {
            Ok(len) if len > 0 && len < REPEATED => len,
            _ => {
                let reason = format!("tile {} has {} bytes", tile.coord, tile.bytes.len());
                return Err(Error::Internal(reason));
            }
        };
        if self.entries.len() >= FREE as usize {
            return Err(Error::output(
                &self.path,
                "more than 4,294,967,294 tiles do not fit into one archive",
            ));
        }
        let hash = [tile.hash as u64, (tile.hash >> 64) as u64];
        let slot = self.slot(hash, len);
        let entry = if self.first[slot] == FREE {
            self.append(key, len, tile.hash, &tile.bytes)?;
            let entry = Entry { key, hash, offset: self.end - u64::from(len), len, content: self.distinct };
            self.first[slot] = self.entries.len() as u32;
            self.distinct += 1;
            entry
        } else {
            let earlier = self.entries[self.first[slot] as usize];
            self.append(key, len | REPEATED, tile.hash, &[])?;
            Entry { key, ..earlier }
        };
        self.entries.push(entry);
        if self.distinct as usize * 4 > self.first.len() * 3 {
            self.grow();
        }
        Ok(())
    }

    fn append(&mut self, key: u64, len: u32, hash: u128, bytes: &[u8]) -> Result<()> {
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&key.to_le_bytes());
        header[8..12].copy_from_slice(&len.to_le_bytes());
        header[12..].copy_from_slice(&hash.to_le_bytes());
        self.out
            .write_all(&header)
            .and_then(|()| self.out.write_all(bytes))
            .map_err(|e| failed(&self.path, "cannot be written", &e))?;
        self.end += (HEADER + bytes.len()) as u64;
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

    /// Flushes, and sorts the index.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses or when there are no tiles, [`Error::Internal`] when one tile was
    /// written twice.
    pub(super) fn finish(self) -> Result<Sorted> {
        let Self { path, out, order, mut entries, distinct, .. } = self;
        if entries.is_empty() {
            return Err(Error::output(path, "no tile was written"));
        }
        let file = out.into_inner().map_err(|e| failed(&path, "cannot be written", e.error()))?;
        entries.sort_unstable_by_key(|e| e.key);
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(Error::Internal(format!("tile {} was written twice", order.tile(pair[0].key))));
        }
        Ok(Sorted { path, file, order, entries, distinct, bytes: Vec::new(), loaded: None })
    }
}

/// The tiles of a spool in the order of the archive.
#[derive(Debug)]
pub(super) struct Sorted {
    path: PathBuf,
    file: File,
    order: Order,
    entries: Vec<Entry>,
    distinct: u32,
    bytes: Vec<u8>,
    loaded: Option<u32>,
}

/// A tile of a sorted spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spooled {
    /// Its address.
    pub(super) coord: TileCoord,
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

    /// Lowest and highest zoom level with tiles: every order begins with the lowest level.
    pub(super) fn zooms(&self) -> (u8, u8) {
        (self.tile(0).coord.z, self.tile(self.len() - 1).coord.z)
    }

    /// The tile at a place in the order.
    pub(super) fn tile(&self, index: usize) -> Spooled {
        let entry = &self.entries[index];
        Spooled { coord: self.order.tile(entry.key), content: entry.content }
    }

    /// The bytes of the tile at a place in the order.
    ///
    /// # Errors
    /// [`Error::Output`] when they cannot be read back or are not what was written.
    pub(super) fn read(&mut self, index: usize) -> Result<&[u8]> {
        let entry = self.entries[index];
        if self.loaded != Some(entry.content) {
            self.loaded = None;
            self.bytes.resize(entry.len as usize, 0);
            self.file.read_exact_at(&mut self.bytes, entry.offset).map_err(|e| {
                let what = format!("tile {} cannot be read back", self.order.tile(entry.key));
                failed(&self.path, &what, &e)
            })?;
            let hash = xxh3_128(&self.bytes);
            if [hash as u64, (hash >> 64) as u64] != entry.hash {
                let tile = self.order.tile(entry.key);
                return Err(Error::output(
                    &self.path,
                    format!("tile {tile} came back from the disk damaged"),
                ));
            }
            self.loaded = Some(entry.content);
        }
        Ok(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool(dir: &tempfile::TempDir) -> Spool {
        Spool::create(&dir.path().join("spool"), Order::Columns).expect("created")
    }

    fn tile(z: u8, x: u32, y: u32, bytes: &[u8]) -> EncodedTile {
        EncodedTile::new(TileCoord::new(z, x, y), bytes.to_vec())
    }

    #[test]
    fn keys_sort_by_level_and_give_the_tile_back() {
        for order in [Order::Columns, Order::Hilbert] {
            for coord in [(0, 0, 0), (1, 1, 0), (5, 31, 7), (17, 70_000, 99_999), (30, (1 << 30) - 1, 3)] {
                let coord = TileCoord::new(coord.0, coord.1, coord.2);
                let key = order.key(coord).expect("inside");
                assert_eq!(order.tile(key), coord);
                assert!(key >= tiles_above(coord.z) && key < tiles_above(coord.z + 1));
            }
            assert_eq!(order.key(TileCoord::new(1, 2, 0)), None);
            assert_eq!(order.key(TileCoord::new(31, 0, 0)), None);
        }
        let south = Order::Columns.key(TileCoord::new(3, 2, 7));
        assert!(south < Order::Columns.key(TileCoord::new(3, 2, 6)));
    }

    #[test]
    fn equal_tiles_are_stored_once_however_many_come_between() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut spool = spool(&dir);
        for i in 0..3000u32 {
            spool.write(&tile(12, i, 0, &(i % 1500).to_le_bytes())).expect("written");
        }
        let mut sorted = spool.finish().expect("finished");
        assert_eq!((sorted.len(), sorted.distinct()), (3000, 1500));
        for i in 0..3000u32 {
            let place = i as usize;
            assert_eq!(sorted.tile(place).coord, TileCoord::new(12, i, 0));
            assert_eq!(sorted.tile(place).content, sorted.tile((i as usize + 1500) % 3000).content);
            assert_eq!(sorted.read(place).expect("read"), (i % 1500).to_le_bytes());
        }
        let size = std::fs::metadata(dir.path().join("spool")).expect("spool").len();
        assert_eq!(size, 3000 * 28 + 1500 * 4);
    }

    #[test]
    fn a_damaged_spool_is_an_error_that_names_the_tile() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut spool = spool(&dir);
        spool.write(&tile(4, 5, 6, b"all is well")).expect("written");
        let mut sorted = spool.finish().expect("finished");
        sorted.file.write_all_at(b"X", 30).expect("damage");
        let error = sorted.read(0).expect_err("damaged");
        assert!(matches!(error, Error::Output { .. }));
        assert!(error.to_string().contains("tile 4/5/6"), "{error}");
        sorted.file.set_len(30).expect("torn");
        assert!(sorted.read(0).is_err());
    }

    #[test]
    fn a_tile_written_twice_is_a_defect() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut spool = spool(&dir);
        spool.write(&tile(4, 5, 6, b"one")).expect("written");
        spool.write(&tile(4, 5, 6, b"two")).expect("written");
        assert!(matches!(spool.finish(), Err(Error::Internal(m)) if m.contains("4/5/6")));
    }
}
