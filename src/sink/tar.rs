//! A tar archive (POSIX ustar): the files of a folder, one behind the other.
//!
//! `tilejson.json` comes first, then the tiles by zoom level, column and row, under the names they would have in a folder.
//! Owner, mode and time of all members are the same, so that the same tiles give the same bytes. There is no compression: tiles
//! are compressed already, and a reader that knows where a tile begins need not unpack the others. A tile is stored each time
//! it occurs: links are beyond some readers.

use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use ::tar::Header;

use crate::assemble::{Layout, assemble, copy_piece, overlap};
use crate::error::{Error, Result};
use crate::order::Order;
use crate::sink::spool::{Sorted, Spool};
use crate::sink::target::{Claim, failed};
use crate::sink::{Deposited, Depot, TileSink, Written};
use crate::tileset::{Scheme, TileNames, TilesetInfo};

/// Everything in a tar archive begins at a multiple of this.
const BLOCK: usize = 512;

/// Two blocks of nothing end an archive.
const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// A tar archive under construction.
#[derive(Debug)]
pub struct TarSink {
    spool: Spool,
    claim: Arc<Claim>,
    depot: Depot,
    info: TilesetInfo,
    _writer_thread: PhantomData<*mut ()>,
}

impl TarSink {
    pub(super) fn new(claim: Arc<Claim>, depot: Depot, info: TilesetInfo) -> Self {
        let order = match (Order::names(&info.grid), info.scheme) {
            (Order::Names, Scheme::Tms) => Order::Columns,
            (names, _) => names,
        };
        Self { spool: Spool::new(order), claim, depot, info, _writer_thread: PhantomData }
    }
}

impl TileSink for TarSink {
    fn depot(&self) -> &Depot {
        &self.depot
    }

    fn accept(&mut self, tile: Deposited) -> Result<()> {
        self.spool.add(&tile)
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        let Self { spool, claim, depot, info, .. } = *self;
        let tiles = spool.finish(&depot)?;
        let (min_zoom, max_zoom) = tiles.zooms();
        let path = claim.partial();
        let archive = Archive::new(&tiles, &info.with_zooms(min_zoom, max_zoom))?;
        let file = claim.create_partial()?;
        assemble(&file, path, &archive, tiles.segments())?;
        file.sync_all().map_err(|e| failed(path, "cannot be synced", &e))?;
        let mut head = vec![0; archive.head.len()];
        let read = file.read_exact_at(&mut head, 0).and_then(|()| file.metadata());
        let bytes = read.map_err(|e| failed(path, "cannot be read back", &e))?.len();
        if head != archive.head || bytes != archive.size() {
            return Err(Error::output(path, format!("is not right: {bytes} bytes of {}", archive.size())));
        }
        tiles.discard();
        claim.commit()?;
        Ok(Written { tiles: tiles.len() as u64, duplicates: 0, bytes, min_zoom, max_zoom })
    }
}

/// The whole archive, as what its parts are and where they go.
struct Archive<'a> {
    tiles: &'a Sorted,
    names: TileNames,
    /// The member that describes the set.
    head: Vec<u8>,
    /// Where the header of each tile begins.
    starts: Vec<u64>,
    /// Where the last one's padding ends.
    end: u64,
}

impl<'a> Archive<'a> {
    fn new(tiles: &'a Sorted, info: &TilesetInfo) -> Result<Self> {
        let text = info.tilejson().to_text()?;
        let mut head = header("tilejson.json", text.len() as u64).to_vec();
        head.extend_from_slice(text.as_bytes());
        head.resize(head.len().next_multiple_of(BLOCK), 0);
        let mut starts = Vec::with_capacity(tiles.len());
        let mut end = head.len() as u64;
        for index in 0..tiles.len() {
            starts.push(end);
            end += (BLOCK + (tiles.tile(index).len as usize).next_multiple_of(BLOCK)) as u64;
        }
        Ok(Self { tiles, names: info.names(), head, starts, end })
    }

    /// The header of a tile.
    fn header(&self, index: usize) -> [u8; BLOCK] {
        let coord = self.tiles.coord(index);
        header(&self.names.name(coord), self.tiles.tile(index).len.into())
    }
}

/// The header of a regular file that everybody may read, of nobody's and no time.
fn header(name: &str, size: u64) -> [u8; BLOCK] {
    let mut header = Header::new_ustar();
    let field = &mut header.as_old_mut().name[..name.len()];
    field.copy_from_slice(name.as_bytes());
    header.set_entry_type(::tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}

impl Layout for Archive<'_> {
    fn size(&self) -> u64 {
        self.end + END.len() as u64
    }

    fn fill(&self, at: u64, bytes: &mut [u8], spare: &mut Vec<u8>) -> Result<()> {
        copy_piece(at, bytes, 0, &self.head);
        copy_piece(at, bytes, self.end, &END);
        let first = self.starts.partition_point(|start| *start <= at).saturating_sub(1);
        for (index, &start) in self.starts.iter().enumerate().skip(first) {
            if start >= at + bytes.len() as u64 {
                break;
            }
            copy_piece(at, bytes, start, &self.header(index));
            let len = self.tiles.tile(index).len as usize;
            let data = start + BLOCK as u64;
            copy_piece(at, bytes, data + len as u64, &END[..len.next_multiple_of(BLOCK) - len]);
            let Some((range, skip)) = overlap(at, bytes.len(), data, len) else { continue };
            if range.len() == len {
                self.tiles.read(index, &mut bytes[range])?;
            } else {
                spare.resize(len, 0);
                self.tiles.read(index, spare)?;
                let part = &spare[skip..skip + range.len()];
                bytes[range].copy_from_slice(part);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use super::*;
    use crate::encode::TileFormat;
    use crate::grid::{Bounds, TileCoord};
    use crate::sink::{EncodedTile, OutputKind, Target, create};

    /// Writes tiles whose lengths are given and reads the archive with the crate's reader: names and contents.
    fn members(lens: &[usize], scheme: Scheme) -> Vec<(String, Vec<u8>)> {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("set.tar");
        let bounds = Bounds { west: -10.0, south: 40.0, east: 10.0, north: 50.0 };
        let info = TilesetInfo { scheme, ..TilesetInfo::new("set", bounds, TileFormat::Png, 256) };
        let mut sink = create(OutputKind::Tar, &Target::new(&path), info).expect("created");
        for (index, len) in lens.iter().enumerate().rev() {
            let coord = TileCoord::new(9, index as u32 / 3, index as u32 % 3);
            sink.write(EncodedTile::new(coord, vec![index as u8; *len])).expect("written");
        }
        let written = sink.finish().expect("finished");
        assert_eq!((written.tiles, written.bytes), (lens.len() as u64, path.metadata().expect("file").len()));
        let mut archive = ::tar::Archive::new(std::fs::File::open(&path).expect("opened"));
        let member = |entry: io::Result<::tar::Entry<'_, std::fs::File>>| {
            let mut entry = entry.expect("sound");
            let header = entry.header();
            assert_eq!(
                (header.mode().ok(), header.mtime().ok(), header.uid().ok()),
                (Some(0o644), Some(0), Some(0))
            );
            let mut bytes = Vec::new();
            let name = entry.path().expect("a name").to_str().expect("UTF-8").to_owned();
            entry.read_to_end(&mut bytes).expect("whole");
            (name, bytes)
        };
        archive.entries().expect("entries").map(member).collect()
    }

    #[test]
    fn members_come_by_level_column_and_row_with_the_description_first() {
        // Some tiles across the regions in which the file is written, some of exactly a block.
        let lens = [1, 511, 512, 513, 1_500_000, 700_000, 3, 1_048_576];
        let found = members(&lens, Scheme::Xyz);
        assert_eq!(found[0].0, "tilejson.json");
        assert!(found[0].1.starts_with(b"{") && found[0].1.ends_with(b"}\n"));
        assert_eq!(found.len(), lens.len() + 1);
        for (index, (name, bytes)) in found[1..].iter().enumerate() {
            assert_eq!(*name, format!("9/{}/{}.png", index / 3, index % 3));
            assert!(*bytes == vec![index as u8; lens[index]], "{name}");
        }
    }

    #[test]
    fn tms_rows_ascend_too() {
        let names: Vec<_> = members(&[5, 6], Scheme::Tms).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["tilejson.json", "9/0/510.png", "9/0/511.png"]);
    }
}
