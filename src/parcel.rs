//! What a shard of a raster leaves: packed blocks behind each other in one file, with an index at its end.
//!
//! ```text
//! file:   pieces, each at an even place | index | memo, of which the job alone knows | foot
//! index:  for each piece: plane u32, number u64, place u64, lengths of its two parts u32 u32, XXH3 of both u64
//! foot:   MAGIC, pieces u64, bytes of the memo u64, place of the index u64, XXH3 of index and memo u64
//! ```
//!
//! All numbers are little-endian. The hash of the whole file is known when it is complete, without reading it again; each piece has
//! one of its own, so that whoever copies it need not read it twice either.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::block::take;
use crate::error::{Error, Result};
use crate::flush::Flusher;

const MAGIC: [u8; 8] = *b"TLSHARD1";

/// Bytes of a piece in the index.
const ENTRY: usize = 36;

/// Bytes of the foot.
const FOOT: usize = 40;

/// Bytes that are gathered before they are written.
const BUFFER: usize = 1 << 20;

/// Most files that are open at a time.
const OPEN: usize = 128;

/// A piece: which block it is, and where its bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Which of several images the block belongs to: a level, or a band.
    pub plane: u32,
    /// The number of the block in that image.
    pub number: u64,
    /// Where its bytes begin.
    pub offset: u64,
    /// How many there are of its two parts.
    pub lengths: [u32; 2],
    /// XXH3 of all of them.
    pub hash: u64,
}

impl Piece {
    /// Bytes of both parts.
    pub fn bytes(&self) -> usize {
        self.lengths[0] as usize + self.lengths[1] as usize
    }
}

/// A file that is complete, with what tells it from a damaged one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its size.
    pub bytes: u64,
    /// XXH3-128 of all its bytes.
    pub hash: u128,
    /// Pieces in it.
    pub pieces: u64,
}

/// A parcel that is being filled.
pub struct ParcelWriter {
    path: PathBuf,
    file: File,
    /// Brings it to the disk while more is handed in, from the first full buffer on.
    flusher: Option<Flusher>,
    /// Bytes that were handed in.
    end: u64,
    gathered: Vec<u8>,
    whole: Box<Xxh3>,
    pieces: Vec<Piece>,
}

impl ParcelWriter {
    /// An empty one.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        let created = OpenOptions::new().write(true).create_new(true).open(path);
        let file = created.map_err(|e| Error::output(path, format!("cannot be created: {e}")))?;
        let (gathered, whole) = (Vec::with_capacity(BUFFER), Box::new(Xxh3::new()));
        let path = path.to_owned();
        Ok(Self { path, file, flusher: None, end: 0, gathered, whole, pieces: Vec::new() })
    }

    /// Appends a piece.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses.
    pub fn add(&mut self, plane: u32, number: u64, parts: [&[u8]; 2]) -> Result<()> {
        let long = |part: &[u8]| {
            u32::try_from(part.len()).map_err(|_| Error::Internal("a block of more than 4 GB".to_owned()))
        };
        let lengths = [long(parts[0])?, long(parts[1])?];
        if !self.end.is_multiple_of(2) {
            self.put(&[0])?;
        }
        let hash = match parts {
            [one, []] => xxh3_64(one),
            [one, two] => {
                let mut both = Xxh3::new();
                both.update(one);
                both.update(two);
                both.digest()
            }
        };
        self.pieces.push(Piece { plane, number, offset: self.end, lengths, hash });
        parts.iter().try_for_each(|part| self.put(part))
    }

    /// Writes the index, and makes all of it durable.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses.
    pub fn finish(mut self, memo: &[u8]) -> Result<Sealed> {
        let place = self.end;
        let mut index = Vec::with_capacity(self.pieces.len() * ENTRY + memo.len() + FOOT);
        for piece in &self.pieces {
            index.extend(piece.plane.to_le_bytes());
            index.extend(piece.number.to_le_bytes());
            index.extend(piece.offset.to_le_bytes());
            piece.lengths.iter().for_each(|length| index.extend(length.to_le_bytes()));
            index.extend(piece.hash.to_le_bytes());
        }
        index.extend(memo);
        let hash = xxh3_64(&index);
        index.extend(MAGIC);
        for number in [self.pieces.len() as u64, memo.len() as u64, place, hash] {
            index.extend(number.to_le_bytes());
        }
        self.put(&index)?;
        self.flush()?;
        let flushed = self.flusher.take().map_or(Ok(()), Flusher::finish);
        flushed.and_then(|()| self.file.sync_all()).map_err(|e| self.unwritten(&e))?;
        Ok(Sealed { bytes: self.end, hash: self.whole.digest128(), pieces: self.pieces.len() as u64 })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.whole.update(bytes);
        self.gathered.extend_from_slice(bytes);
        self.end += bytes.len() as u64;
        if self.gathered.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.file.write_all(&self.gathered).map_err(|e| self.unwritten(&e))?;
        if self.flusher.is_none() {
            self.flusher = Flusher::of_file(&self.file);
        }
        if let Some(flusher) = &mut self.flusher {
            flusher.add(self.gathered.len() as u64);
        }
        self.gathered.clear();
        Ok(())
    }

    fn unwritten(&self, error: &std::io::Error) -> Error {
        Error::output(&self.path, format!("cannot be written: {error}"))
    }
}

/// A parcel that is complete: its index and its memo. The file is not kept open.
#[derive(Debug)]
pub struct Parcel {
    path: PathBuf,
    pieces: Vec<Piece>,
    memo: Vec<u8>,
}

impl Parcel {
    /// Reads the index of a parcel.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be read or is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let unread = |e: std::io::Error| Error::output(path, format!("cannot be read: {e}"));
        let file = File::open(path).map_err(unread)?;
        let size = file.metadata().map_err(unread)?.len();
        let broken = || damaged(path);
        let mut foot = [0; FOOT];
        let foot_place = size.checked_sub(FOOT as u64).ok_or_else(broken)?;
        file.read_exact_at(&mut foot, foot_place).map_err(unread)?;
        let (magic, mut numbers) = foot.split_at(MAGIC.len());
        let mut number = || take(&mut numbers).map(u64::from_le_bytes).ok_or_else(broken);
        let (count, memo, place, hash) = (number()?, number()?, number()?, number()?);
        let length = foot_place.checked_sub(place).ok_or_else(broken)?;
        let same = count.checked_mul(ENTRY as u64).and_then(|n| n.checked_add(memo)) == Some(length);
        if magic != MAGIC || !same {
            return Err(broken());
        }
        let mut index = vec![0; usize::try_from(length).map_err(|_| broken())?];
        file.read_exact_at(&mut index, place).map_err(unread)?;
        if xxh3_64(&index) != hash {
            return Err(broken());
        }
        let memo = index.split_off(count as usize * ENTRY);
        let (entries, _) = index.as_chunks::<ENTRY>();
        let pieces =
            entries.iter().map(|entry| piece(entry).filter(|p| p.offset + p.bytes() as u64 <= place));
        let pieces = pieces.collect::<Option<Vec<_>>>().ok_or_else(broken)?;
        Ok(Self { path: path.to_owned(), pieces, memo })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its pieces, in the order in which they lie.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// What the job noted of it.
    pub fn memo(&self) -> &[u8] {
        &self.memo
    }

    /// Reads all pieces to find out whether they are what they were.
    ///
    /// # Errors
    /// [`Error::Output`] when they are not.
    pub fn check(&self) -> Result<()> {
        let shelf = Shelf::default();
        let number = shelf.put(&self.path);
        let mut bytes = Vec::new();
        self.pieces.iter().try_for_each(|piece| {
            bytes.resize(piece.bytes(), 0);
            shelf.read(number, piece, &mut bytes)
        })
    }
}

fn piece(mut entry: &[u8]) -> Option<Piece> {
    let entry = &mut entry;
    Some(Piece {
        plane: u32::from_le_bytes(take(entry)?),
        number: u64::from_le_bytes(take(entry)?),
        offset: u64::from_le_bytes(take(entry)?),
        lengths: [u32::from_le_bytes(take(entry)?), u32::from_le_bytes(take(entry)?)],
        hash: u64::from_le_bytes(take(entry)?),
    })
}

/// The error about a shard whose bytes are not those that were written.
pub fn damaged(path: &Path) -> Error {
    Error::output(path, "is damaged: remove its folder and make this shard anew")
}

/// Files that pieces are read from, however many; some of them are open. Any thread may read.
#[derive(Default)]
pub struct Shelf(Mutex<Open>);

#[derive(Default)]
struct Open {
    paths: Vec<PathBuf>,
    /// Those that are open; the one used last stands last.
    open: Vec<(usize, Arc<File>)>,
}

impl Shelf {
    /// Adds a file, and says by which number it is read.
    pub fn put(&self, path: &Path) -> usize {
        let paths = &mut self.lock().paths;
        paths.push(path.to_owned());
        paths.len() - 1
    }

    /// Reads a piece of a file; `bytes` are as many as it has.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be read, or is not what was written.
    pub fn read(&self, number: usize, piece: &Piece, bytes: &mut [u8]) -> Result<()> {
        let file = self.opened(number)?;
        let read = file.read_exact_at(bytes, piece.offset);
        read.map_err(|e| Error::output(self.path(number), format!("cannot be read: {e}")))?;
        if xxh3_64(bytes) == piece.hash { Ok(()) } else { Err(damaged(&self.path(number))) }
    }

    /// A file, which is opened if it is not.
    fn opened(&self, number: usize) -> Result<Arc<File>> {
        let Open { paths, open } = &mut *self.lock();
        if let Some(at) = open.iter().rposition(|(n, _)| *n == number) {
            open[at..].rotate_left(1);
        } else {
            let path = paths.get(number).ok_or_else(|| Error::Internal("no such file".to_owned()))?;
            let file = File::open(path).map_err(|e| Error::output(path, format!("cannot be read: {e}")))?;
            if open.len() >= OPEN {
                open.remove(0);
            }
            open.push((number, Arc::new(file)));
        }
        let last = open.last().map(|(_, file)| Arc::clone(file));
        last.ok_or_else(|| Error::Internal("no file is open".to_owned()))
    }

    fn path(&self, number: usize) -> PathBuf {
        self.lock().paths.get(number).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(path: &Path) -> Sealed {
        let mut writer = ParcelWriter::create(path).expect("created");
        writer.add(0, 7, [b"odd", b"mask"]).expect("written");
        writer.add(2, 1 << 40, [&[5; 3000], &[]]).expect("written");
        writer.add(1, 3, [&[], &[]]).expect("written");
        writer.finish(b"what else there is").expect("finished")
    }

    #[test]
    fn pieces_come_back_as_they_were() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("parcel");
        let sealed = filled(&path);
        let all = std::fs::read(&path).expect("a file");
        assert_eq!((sealed.bytes, sealed.pieces), (all.len() as u64, 3));
        assert_eq!(sealed.hash, xxhash_rust::xxh3::xxh3_128(&all));
        let parcel = Parcel::open(&path).expect("sound");
        assert_eq!(parcel.memo(), b"what else there is");
        let places: Vec<_> = parcel.pieces().iter().map(|p| (p.plane, p.number, p.offset)).collect();
        assert_eq!(places, [(0, 7, 0), (2, 1 << 40, 8), (1, 3, 3008)]);
        let shelf = Shelf::default();
        let numbers: Vec<usize> = (0..OPEN + 3).map(|_| shelf.put(&path)).collect();
        for number in numbers.iter().chain(&numbers) {
            let mut bytes = [0; 7];
            shelf.read(*number, &parcel.pieces()[0], &mut bytes).expect("read");
            assert_eq!(bytes, *b"oddmask");
        }
    }

    #[test]
    fn a_parcel_of_which_any_byte_is_wrong_or_missing_is_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("parcel");
        filled(&path);
        let all = std::fs::read(&path).expect("a file");
        let refused = || Parcel::open(&path).and_then(|parcel| parcel.check()).is_err();
        // All but the one that makes the next place even.
        for at in (0..all.len()).filter(|at| *at != 7) {
            let mut wrong = all.clone();
            wrong[at] ^= 1;
            std::fs::write(&path, &wrong).expect("written");
            assert!(refused(), "byte {at}");
        }
        for length in [0, 1, 20, all.len() - 1] {
            std::fs::write(&path, &all[..length]).expect("written");
            assert!(refused(), "{length} bytes");
        }
    }
}
