//! The blocks of a file under construction, as they came: here, or in the parts that shards have left.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use xxhash_rust::xxh3::xxh3_64;

use super::CogBlock;
use crate::error::{Error, Result};
use crate::parcel::{Parcel, Piece, Shelf};
use crate::target::failed;
use crate::window::Size;

/// Blocks are gathered up to this many bytes.
const BUFFER: usize = 1 << 20;

/// Bits of a place within a file; those above are the number of the file, of which 0 is the spool itself.
const PLACE_BITS: u32 = 46;

/// Where a block lies: its samples, and then its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// In which file, and where it begins.
    pub offset: u64,
    /// Bytes of its samples; 0 for a block that is left out.
    pub samples: u32,
    /// Bytes of its mask.
    pub mask: u32,
    /// XXH3 of all of them.
    hash: u64,
}

/// A block that was not there yet.
const NOWHERE: Held = Held { offset: u64::MAX, samples: 0, mask: 0, hash: 0 };

/// A file that blocks are appended to.
pub(super) struct BlockSpool {
    path: PathBuf,
    file: File,
    /// Bytes in the file.
    end: u64,
    gathered: Vec<u8>,
    /// Columns and rows of the blocks of each level.
    counts: Vec<Size>,
    /// The blocks of each level, row by row.
    held: Vec<Vec<Held>>,
    /// The parts, counted from 0.
    shelf: Shelf,
}

impl BlockSpool {
    /// An empty spool for levels of so many blocks.
    pub(super) fn create(path: PathBuf, counts: Vec<Size>) -> Result<Self> {
        let created = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = created.map_err(|e| failed(&path, "cannot be created", &e))?;
        let held = counts.iter().map(|count| vec![NOWHERE; count.area()]).collect();
        Ok(Self {
            path,
            file,
            end: 0,
            gathered: Vec::with_capacity(BUFFER),
            counts,
            held,
            shelf: Shelf::default(),
        })
    }

    /// Appends a block.
    pub(super) fn add(&mut self, block: &CogBlock) -> Result<()> {
        let CogBlock { level, column, row, bytes, mask } = block;
        let offset = self.end + self.gathered.len() as u64;
        let long = |bytes: &[u8]| {
            u32::try_from(bytes.len()).map_err(|_| Error::Internal("a block of more than 4 GB".to_owned()))
        };
        let (samples, masked) = (long(bytes)?, long(mask)?);
        let start = self.gathered.len();
        self.gathered.extend_from_slice(bytes);
        self.gathered.extend_from_slice(mask);
        let hash = xxh3_64(&self.gathered[start..]);
        let slot = self.slot(*level, (*column, *row))?;
        *slot = Held { offset, samples, mask: masked, hash };
        if self.gathered.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    /// Takes the blocks of a part, which stay where they are. Their numbers count row by row.
    pub(super) fn adopt(&mut self, parcel: &Parcel) -> Result<()> {
        let file = self.shelf.put(parcel.path()) as u64 + 1;
        if file >= 1 << (u64::BITS - PLACE_BITS) {
            return Err(Error::Usage(format!("{file} shards are too many to be put together")));
        }
        for piece in parcel.pieces() {
            let (level, number) = (piece.plane as usize, piece.number as usize);
            let columns = self.counts.get(level).map_or(1, |count| count.width.max(1));
            let slot = self.slot(level, (number % columns, number / columns))?;
            let [samples, mask] = piece.lengths;
            *slot = Held { offset: file << PLACE_BITS | piece.offset, samples, mask, hash: piece.hash };
        }
        Ok(())
    }

    /// Where what is known of a block goes that was not there yet.
    fn slot(&mut self, level: usize, (column, row): (usize, usize)) -> Result<&mut Held> {
        let count = self.counts.get(level).filter(|count| column < count.width);
        let number = count.map(|count| row * count.width + column);
        let slot = number.and_then(|number| self.held.get_mut(level)?.get_mut(number));
        slot.filter(|slot| **slot == NOWHERE).ok_or_else(|| {
            Error::Internal(format!(
                "block in column {column}, row {row} of level {level} is written where it does not belong"
            ))
        })
    }

    /// Writes what is gathered.
    pub(super) fn flush(&mut self) -> Result<()> {
        let written = self.file.write_all_at(&self.gathered, self.end);
        written.map_err(|e| failed(&self.path, "cannot be written", &e))?;
        self.end += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }

    /// Level and number of a block that never came.
    pub(super) fn missing(&self) -> Option<(usize, usize)> {
        let mut levels = self.held.iter().enumerate();
        levels.find_map(|(level, held)| held.iter().position(|h| *h == NOWHERE).map(|k| (level, k)))
    }

    /// The blocks of each level, row by row.
    pub(super) fn held(&self) -> &[Vec<Held>] {
        &self.held
    }

    /// How many blocks there are, and how many are left out.
    pub(super) fn counts(&self) -> (u64, u64) {
        let all = self.held.iter().flatten();
        let (there, empty): (Vec<&Held>, Vec<&Held>) = all.partition(|held| held.samples > 0);
        (there.len() as u64, empty.len() as u64)
    }

    /// Reads a block: its samples, and then its mask. `bytes` are as many as both have. Any thread may.
    pub(super) fn read(&self, held: Held, bytes: &mut [u8]) -> Result<()> {
        let (file, offset) = ((held.offset >> PLACE_BITS) as usize, held.offset & ((1 << PLACE_BITS) - 1));
        if let Some(part) = file.checked_sub(1) {
            let lengths = [held.samples, held.mask];
            let piece = Piece { plane: 0, number: 0, offset, lengths, hash: held.hash };
            return self.shelf.read(part, &piece, bytes);
        }
        let read = self.file.read_exact_at(bytes, held.offset);
        read.map_err(|e| failed(&self.path, "cannot be read back", &e))?;
        if xxh3_64(bytes) == held.hash {
            return Ok(());
        }
        Err(Error::output(&self.path, "a block came back from the disk damaged"))
    }

    /// Gives the space back; nothing can be read any more.
    pub(super) fn discard(&self) {
        let _ = self.file.set_len(0);
    }
}
