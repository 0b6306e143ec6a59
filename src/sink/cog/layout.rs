//! Where everything stands in the file.
//!
//! ```text
//! header ▸ structural metadata ▸ directory of the image, and the values that do not fit into it ▸ that of its mask ▸ those of the
//! overviews, largest first ▸ offsets and sizes of all blocks ▸ blocks of the smallest overview ▸ … ▸ blocks of the image
//! ```

use super::spool::Held;
use super::{BigTiff, CogSpec};
use crate::raster::ifd::{Directory, Entry, LONG, LONG8, tag};

/// What GDAL looks for behind the header. `KNOWN_INCOMPATIBLE_EDITION` has room to become `YES`.
const STRUCTURE: &str = "LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n\
                         BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n ";

/// What it says of masks.
const MASKED: &str = "MASK_INTERLEAVED_WITH_IMAGERY=YES\n";

/// Bytes before and after a block: its size, and its last four bytes once more.
pub(super) fn around(bytes: &[u8]) -> [[u8; 4]; 2] {
    let mut last = [0; 4];
    let count = bytes.len().min(4);
    last[4 - count..].copy_from_slice(&bytes[bytes.len() - count..]);
    [(bytes.len() as u32).to_le_bytes(), last]
}

/// The places of everything.
pub(super) struct Layout {
    big: bool,
    ghost: String,
    directories: Vec<Directory>,
    /// Where each directory stands.
    places: Vec<u64>,
    /// Where the values of each entry of each directory stand, if they do not fit into it.
    beyond: Vec<Vec<u64>>,
    /// Where the blocks begin.
    data: u64,
    end: u64,
}

impl Layout {
    /// The layout of a file with these directories and blocks.
    ///
    /// # Errors
    /// For a file too large to be no `BigTIFF` when it must be none.
    pub(super) fn new(spec: &CogSpec, directories: &[Directory], held: &[Vec<Held>]) -> Result<Self, String> {
        const CLASSIC: u64 = u32::MAX as u64;
        const SAFE: u64 = 2_000_000_000;
        let make = |big: bool| Self::laid_out(spec, directories.to_vec(), held, big);
        let safer = spec.big == BigTiff::IfSafer && spec.uncompressed() > SAFE;
        if spec.big == BigTiff::Yes || safer {
            return Ok(make(true));
        }
        let classic = make(false);
        if classic.end <= CLASSIC {
            return Ok(classic);
        }
        if spec.big == BigTiff::No {
            return Err(format!(
                "it would have {} bytes, and only a BigTIFF can have more than {CLASSIC}: drop BIGTIFF=NO",
                classic.end
            ));
        }
        Ok(make(true))
    }

    fn laid_out(spec: &CogSpec, mut directories: Vec<Directory>, held: &[Vec<Held>], big: bool) -> Self {
        let structure = if spec.mask { format!("{STRUCTURE}{MASKED}") } else { STRUCTURE.to_owned() };
        let ghost = format!("GDAL_STRUCTURAL_METADATA_SIZE={:06} bytes\n{structure}", structure.len());
        let per_level = if spec.mask { 2 } else { 1 };
        // Of the right length, to find out how much room they take.
        for (k, directory) in directories.iter_mut().enumerate() {
            let count = held[k / per_level].len();
            for entry in tables(big, &vec![[0; 2]; count]) {
                directory.set(entry);
            }
        }
        let word = if big { 8 } else { 4 };
        let mut at = even(if big { 16 } else { 8 } + ghost.len() as u64);
        let mut places = Vec::new();
        let mut beyond: Vec<Vec<u64>> = Vec::new();
        for directory in &directories {
            places.push(at);
            at = even(at + directory.length(big));
            let far = |entry: &Entry| entry.bytes.len() > word;
            let own = directory.entries().iter().map(|entry| {
                let here = at;
                if far(entry) && !is_table(entry) {
                    at = even(at + entry.bytes.len() as u64);
                }
                here
            });
            beyond.push(own.collect());
        }
        for (directory, own) in directories.iter().zip(&mut beyond) {
            for (entry, place) in directory.entries().iter().zip(own) {
                if is_table(entry) && entry.bytes.len() > word {
                    *place = at;
                    at = even(at + entry.bytes.len() as u64);
                }
            }
        }
        let data = at;
        let mut tables_of: Vec<[Vec<[u64; 2]>; 2]> = Vec::new();
        // Smallest first.
        for level in held.iter().rev() {
            let mut own = [Vec::with_capacity(level.len()), Vec::new()];
            for block in level {
                let place = |offset: u64, bytes: u32| {
                    if bytes == 0 { [0, 0] } else { [offset + 4, u64::from(bytes)] }
                };
                own[0].push(place(at, block.samples));
                if spec.mask {
                    own[1].push(place(at + u64::from(block.samples) + 8, block.mask));
                }
                at += block.length();
            }
            tables_of.push(own);
        }
        tables_of.reverse();
        for (k, directory) in directories.iter_mut().enumerate() {
            for entry in tables(big, &tables_of[k / per_level][k % per_level]) {
                directory.set(entry);
            }
        }
        Self { big, ghost, directories, places, beyond, data, end: at }
    }

    /// Whether it is a `BigTIFF`.
    pub(super) fn is_big(&self) -> bool {
        self.big
    }

    /// Bytes of the whole file.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Where the blocks begin.
    pub(super) fn data(&self) -> u64 {
        self.data
    }

    /// The bytes before the blocks.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data as usize);
        let first = self.places.first().copied().unwrap_or_default();
        if self.big {
            out.extend_from_slice(b"II\x2b\0\x08\0\0\0");
            out.extend_from_slice(&first.to_le_bytes());
        } else {
            out.extend_from_slice(b"II\x2a\0");
            out.extend_from_slice(&(first as u32).to_le_bytes());
        }
        out.extend_from_slice(self.ghost.as_bytes());
        for (k, (directory, beyond)) in self.directories.iter().zip(&self.beyond).enumerate() {
            out.resize(self.places[k] as usize, 0);
            let next = self.places.get(k + 1).copied().unwrap_or_default();
            directory.write(self.big, |entry| beyond[entry], next, &mut out);
            self.put(directory, beyond, false, &mut out);
        }
        for (directory, beyond) in self.directories.iter().zip(&self.beyond) {
            self.put(directory, beyond, true, &mut out);
        }
        out.resize(self.data as usize, 0);
        out
    }

    /// Appends values that do not fit into a directory: those about blocks, or the others.
    fn put(&self, directory: &Directory, beyond: &[u64], of_blocks: bool, out: &mut Vec<u8>) {
        let word = if self.big { 8 } else { 4 };
        for (entry, place) in directory.entries().iter().zip(beyond) {
            if entry.bytes.len() > word && is_table(entry) == of_blocks {
                out.resize(*place as usize, 0);
                out.extend_from_slice(&entry.bytes);
            }
        }
    }
}

/// The blocks in the order of the file from some number on, with those that are left out.
pub(super) fn order(held: &[Vec<Held>], from: usize) -> impl Iterator<Item = Held> + '_ {
    let before = held.iter().rev().scan(0, |count, level| {
        let own = *count;
        *count += level.len();
        Some(own)
    });
    let rest = held
        .iter()
        .rev()
        .zip(before)
        .map(move |(level, before)| level.get(from.saturating_sub(before)..).unwrap_or_default());
    rest.flatten().copied()
}

/// The entries that say where blocks are: offset and size of each.
fn tables(big: bool, blocks: &[[u64; 2]]) -> [Entry; 2] {
    let entry = |tag: u16, part: usize, wide: bool| {
        let bytes = if wide { 8 } else { 4 };
        let values = blocks.iter().flat_map(|block| block[part].to_le_bytes().into_iter().take(bytes));
        let (kind, count) = (if wide { LONG8 } else { LONG }, blocks.len() as u64);
        Entry { tag, kind, count, bytes: values.collect() }
    };
    [entry(tag::TILE_OFFSETS, 0, big), entry(tag::TILE_COUNTS, 1, false)]
}

fn is_table(entry: &Entry) -> bool {
    matches!(entry.tag, tag::TILE_OFFSETS | tag::TILE_COUNTS)
}

/// The next even place.
fn even(at: u64) -> u64 {
    at.next_multiple_of(2)
}
