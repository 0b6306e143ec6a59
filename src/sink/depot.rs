//! Where the threads of the pool leave the bytes of tiles.
//!
//! One thread owns the container: it alone decides the order of tiles, finds equal ones, and writes directories and
//! indexes. But the bytes of a tile are the same wherever they lie, and to copy them is most of the work. So the
//! thread that made a tile leaves its bytes here, and what goes to the writer is a record of some forty bytes.
//!
//! For an archive they are appended to a *segment* of the spool. A file system lets one thread at a time write to a file,
//! so each thread of the pool has a segment of its own (up to [`SEGMENTS`]). For a folder, the thread creates the
//! tile's file.
//!
//! A record of a segment is x, y, z, length (u32 each), XXH3-128, all little-endian, and the bytes. A tile
//! equal to another that this thread made not long ago is a record with [`REPEATED`] set in its length and no
//! bytes. The segments alone thus tell which tiles they hold, however torn their ends are.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::xxh3_128;

use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::pipeline::side_by_side;
use crate::sink::order::Order;
use crate::sink::target::{Claim, SEGMENTS, failed};
use crate::tileset::{TileNames, TilesetInfo};

/// Set in the length of a record whose bytes stand in an earlier record.
const REPEATED: u32 = 1 << 31;

/// Bytes of a record before those of its tile.
pub(super) const HEADER: usize = 32;

/// Small tiles are gathered up to this many bytes.
const BUFFER: usize = 128 << 10;

/// Tiles from this size on are written as they are.
const LARGE: usize = 32 << 10;

/// Tiles that a segment remembers, to store equal ones once. What it forgets costs space in the spool, none in the archive.
const REMEMBERED: usize = 1 << 10;

/// A tile whose bytes are in a [`Depot`].
#[derive(Debug, Clone, Copy)]
pub struct Deposited {
    /// Where it belongs.
    pub coord: TileCoord,
    /// Its size in bytes.
    pub len: u32,
    /// XXH3 (128 bit) of its bytes; 0 for a folder that cannot be resumed: it stores equal tiles one by one.
    pub(super) hash: u128,
    pub(super) place: Place,
}

/// The segment in which the bytes of a tile lie, and their offset; or a file of another depot that was adopted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place(u64);

/// What stands for the segment of a tile in an adopted file.
const ADOPTED: usize = SEGMENTS;

/// Bits of an offset in an adopted file; the number of the file stands above them.
const OFFSET_BITS: u32 = 38;

impl Place {
    fn new(segment: usize, offset: u64) -> Self {
        Self((segment as u64) << 56 | offset)
    }

    /// A place in an adopted file; `None` for files too many or too large.
    fn adopted(file: usize, offset: u64) -> Option<Self> {
        let fits = file < 1 << (56 - OFFSET_BITS) && offset < 1 << OFFSET_BITS;
        fits.then(|| Self::new(ADOPTED, (file as u64) << OFFSET_BITS | offset))
    }

    /// The number of the adopted file and the offset in it, if it is one.
    fn in_adopted(self) -> Option<(usize, u64)> {
        let place = self.offset();
        let split = ((place >> OFFSET_BITS) as usize, place & ((1 << OFFSET_BITS) - 1));
        (self.segment() == ADOPTED).then_some(split)
    }

    fn segment(self) -> usize {
        (self.0 >> 56) as usize
    }

    fn offset(self) -> u64 {
        self.0 & ((1 << 56) - 1)
    }

    /// The place as a number.
    pub(super) fn to_bits(self) -> u64 {
        self.0
    }

    /// The place that became a number.
    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// Takes the bytes of tiles from any thread and keeps them until the container is finished. Clones are the same depot.
/// What it holds is removed with the last clone and the container.
#[derive(Debug, Clone)]
pub struct Depot(Arc<Keep>);

#[derive(Debug)]
enum Keep {
    /// Nothing is kept.
    Scales,
    Files(Files),
    Segments(Segments),
}

impl Depot {
    /// A depot that keeps nothing and only tells how large tiles are.
    pub fn scales() -> Self {
        Self(Arc::new(Keep::Scales))
    }

    /// A depot whose tiles become files of a folder; with what an unfinished one holds if it can be resumed.
    pub(super) fn files(claim: Arc<Claim>, info: &TilesetInfo, resumable: bool) -> Result<Self> {
        Ok(Self(Arc::new(Keep::Files(Files::create(claim, info, resumable)?))))
    }

    /// A depot whose tiles become part of an archive; with what unfinished segments hold if it can be resumed.
    pub(super) fn segments(claim: Arc<Claim>, resumable: bool) -> Result<Self> {
        Ok(Self(Arc::new(Keep::Segments(Segments::create(claim, resumable)?))))
    }

    /// Takes the bytes of a tile. Threads of a pool do not wait for each other here.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses, [`Error::Internal`] for a tile without bytes or that a folder has already.
    pub fn deposit(&self, coord: TileCoord, bytes: &[u8]) -> Result<Deposited> {
        let len = match u32::try_from(bytes.len()) {
            Ok(len) if len > 0 && len < REPEATED => len,
            _ => return Err(Error::Internal(format!("tile {coord} has {} bytes", bytes.len()))),
        };
        match &*self.0 {
            Keep::Scales => Ok(Deposited { coord, len, hash: 0, place: Place::default() }),
            Keep::Files(files) => files.create_tile(coord, bytes).map(|()| Deposited {
                coord,
                len,
                hash: if files.resumable { xxh3_128(bytes) } else { 0 },
                place: Place::default(),
            }),
            Keep::Segments(segments) => segments.append(coord, len, bytes),
        }
    }

    /// Makes the files of another depot part of this one, where they stay, if both are spools. What it returns says where tiles of that
    /// depot are in this one.
    pub(super) fn adopt(&self, other: &Self) -> Option<Adoption> {
        match (&*self.0, &*other.0) {
            (Keep::Segments(own), Keep::Segments(other)) => Some(own.adopt(other)),
            _ => None,
        }
    }

    /// Hands the system what this thread has deposited: it is then there for later runs, whatever becomes of this one.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses.
    pub fn flush(&self) -> Result<()> {
        if let Keep::Segments(segments) = &*self.0 { segments.flush() } else { Ok(()) }
    }

    /// Waits until the bytes of all tiles are on the disk. For spools: a folder is synced when it is finished.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses.
    pub fn sync(&self) -> Result<()> {
        if let Keep::Segments(segments) = &*self.0 { segments.stored()?.sync() } else { Ok(()) }
    }

    /// Whether the bytes of a tile that an earlier run deposited are there. `bytes` is for whatever it wants.
    pub(super) fn holds(&self, tile: &Deposited, bytes: &mut Vec<u8>) -> bool {
        bytes.resize(tile.len as usize, 0);
        let read = match &*self.0 {
            Keep::Scales => return false,
            Keep::Files(files) => files.read_tile(tile.coord, bytes),
            Keep::Segments(segments) => segments.read(tile.place, bytes),
        };
        read.is_ok() && xxh3_128(bytes) == tile.hash
    }

    /// Removes what earlier runs left beside the tiles that are taken over. Nothing was deposited yet.
    ///
    /// # Errors
    /// [`Error::Output`] when that fails.
    pub(super) fn settle(&self, taken: &TakenOver) -> Result<()> {
        match &*self.0 {
            Keep::Scales => Ok(()),
            Keep::Files(files) => files.remove_strays(taken),
            Keep::Segments(segments) => segments.cut(taken),
        }
    }

    /// The folder, when this is one.
    pub(super) fn as_files(&self) -> Option<&Files> {
        if let Keep::Files(files) = &*self.0 { Some(files) } else { None }
    }

    /// Opens all segments for reading; nothing may be deposited any more.
    ///
    /// # Errors
    /// [`Error::Output`] when the last bytes cannot be written.
    pub(super) fn stored(&self) -> Result<Stored> {
        if let Keep::Segments(segments) = &*self.0 { segments.stored() } else { Ok(Stored::default()) }
    }
}

/// The numbers of another depot's segments among the adopted files.
#[derive(Debug)]
pub(super) struct Adoption(Vec<Option<usize>>);

impl Adoption {
    /// A tile of the other depot as one of this. `None` when it is in no segment.
    pub(super) fn of(&self, tile: Deposited) -> Option<Deposited> {
        let file = (*self.0.get(tile.place.segment())?)?;
        Some(Deposited { place: Place::adopted(file, tile.place.offset())?, ..tile })
    }
}

/// What of earlier runs is taken over.
#[derive(Debug)]
pub(super) struct TakenOver {
    order: Order,
    /// The tiles, by their [keys](Order); sorted.
    keys: Vec<u64>,
    /// Where the last of them ends in each segment.
    ends: Vec<u64>,
}

impl TakenOver {
    /// Nothing yet, of a set.
    pub(super) fn of(info: &TilesetInfo) -> Self {
        Self { order: Order::names(&info.grid), keys: Vec::new(), ends: Vec::new() }
    }

    /// Adds tiles.
    pub(super) fn add(&mut self, tiles: &[Deposited]) {
        self.ends.resize(SEGMENTS, 0);
        for tile in tiles {
            self.keys.extend(self.order.key(tile.coord));
            if let Some(end) = self.ends.get_mut(tile.place.segment()) {
                *end = (*end).max(tile.place.offset() + u64::from(tile.len));
            }
        }
    }

    /// All were added.
    pub(super) fn sort(&mut self) {
        self.ends.resize(SEGMENTS, 0);
        self.keys.sort_unstable();
    }

    /// How many tiles there are.
    pub(super) fn tiles(&self) -> usize {
        self.keys.len()
    }

    fn contains(&self, tile: TileCoord) -> bool {
        self.order.key(tile).is_some_and(|key| self.keys.binary_search(&key).is_ok())
    }
}

/// The folder under construction.
#[derive(Debug)]
pub(super) struct Files {
    claim: Arc<Claim>,
    /// The unfinished folder, opened before anything is written so that it hears of writes that fail later.
    root: File,
    names: TileNames,
    resumable: bool,
}

impl Files {
    fn create(claim: Arc<Claim>, info: &TilesetInfo, resumable: bool) -> Result<Self> {
        let created = match fs::create_dir(claim.partial()) {
            Err(e) if resumable && e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            created => created,
        };
        let opened = created.and_then(|()| File::open(claim.partial()));
        let root = opened.map_err(|e| failed(claim.partial(), "cannot be created", &e))?;
        Ok(Self { claim, root, names: info.names(), resumable })
    }

    /// Reads a tile's file, which must be as long as `bytes`.
    fn read_tile(&self, coord: TileCoord, bytes: &mut [u8]) -> io::Result<()> {
        use rustix::fs::{Mode, OFlags, openat};
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.root, self.names.name(coord), flags, Mode::empty())?);
        if file.metadata()?.len() != bytes.len() as u64 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        file.read_exact(bytes)
    }

    /// Removes every file that is no tile taken over.
    fn remove_strays(&self, taken: &TakenOver) -> Result<()> {
        let root = self.claim.partial();
        let refused = |e: io::Error| failed(root, "cannot be cleared of what an interrupted run left", &e);
        self.claim.inspect_partial()?;
        for (level, name) in entries(root).map_err(refused)? {
            let Ok(z) = name.parse::<u8>() else {
                remove(&level).map_err(refused)?;
                continue;
            };
            for (column, name) in entries(&level).map_err(refused)? {
                let Some(x) = name.parse::<u32>().ok().filter(|_| column.is_dir()) else {
                    remove(&column).map_err(refused)?;
                    continue;
                };
                for (file, name) in entries(&column).map_err(refused)? {
                    if !self.names.tile(z, x, &name).is_some_and(|tile| taken.contains(tile)) {
                        remove(&file).map_err(refused)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn create_tile(&self, coord: TileCoord, bytes: &[u8]) -> Result<()> {
        let name = self.names.name(coord);
        match self.create_file(&name, bytes) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                Err(Error::Internal(format!("tile {coord} was written twice")))
            }
            Err(e) => Err(failed(&self.claim.partial().join(&name), "cannot be written", &e)),
            Ok(()) => Ok(()),
        }
    }

    /// Creates a file, and first its folder if that is not there yet: the system looks for it anyway, and threads that
    /// agreed about folders would have to wait for each other.
    pub(super) fn create_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = match self.open(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let path = self.claim.partial().join(name);
                fs::create_dir_all(path.parent().unwrap_or(&path))?;
                self.open(name)?
            }
            opened => opened?,
        };
        file.write_all(bytes)
    }

    /// Relative to the open folder, which spares the system the way to it.
    fn open(&self, name: &str) -> io::Result<File> {
        use rustix::fs::{Mode, OFlags, openat};
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(openat(&self.root, name, flags, Mode::from_raw_mode(0o666))?.into())
    }

    /// The open folder.
    pub(super) fn root(&self) -> &File {
        &self.root
    }
}

/// What a folder holds, with names.
fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let named = |entry: io::Result<fs::DirEntry>| {
        entry.map(|entry| (entry.path(), entry.file_name().to_string_lossy().into_owned()))
    };
    fs::read_dir(folder)?.map(named).collect()
}

/// Removes a file, or a folder with all that is in it.
fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// The segments of a spool.
#[derive(Debug)]
struct Segments {
    claim: Arc<Claim>,
    open: Vec<Mutex<Option<Segment>>>,
    adopted: Mutex<Vec<Adopted>>,
}

/// A file of another depot.
#[derive(Debug, Clone)]
struct Adopted {
    path: PathBuf,
    file: Arc<File>,
}

#[derive(Debug)]
struct Segment {
    file: Arc<File>,
    /// Where the next record begins, behind what is gathered.
    end: u64,
    gathered: Vec<u8>,
    /// Hash, length and offset of tiles, each in the slot that its hash chooses.
    remembered: Vec<(u128, u32, u64)>,
}

impl Segments {
    fn create(claim: Arc<Claim>, resumable: bool) -> Result<Self> {
        let open: Vec<_> = (0..SEGMENTS).map(|_| Mutex::new(None)).collect();
        let segments = Self { claim, open, adopted: Mutex::default() };
        if resumable {
            for number in 0..SEGMENTS {
                *lock(&segments.open[number]) = segments.reopened(number)?;
            }
        }
        // Finds out at once whether there can be any.
        let mut first = lock(&segments.open[0]);
        if first.is_none() {
            *first = Some(segments.segment(0)?);
        }
        drop(first);
        Ok(segments)
    }

    fn adopt(&self, other: &Self) -> Adoption {
        let mut adopted = lock(&self.adopted);
        let numbers = other.open.iter().enumerate().map(|(number, segment)| {
            let file = Arc::clone(&lock(segment).as_ref()?.file);
            adopted.push(Adopted { path: other.claim.segment(number), file });
            Some(adopted.len() - 1)
        });
        Adoption(numbers.collect())
    }

    fn segment(&self, number: usize) -> Result<Segment> {
        let path = self.claim.segment(number);
        let created = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        created.map(Segment::new).map_err(|e| failed(&path, "cannot be created", &e))
    }

    /// A segment that an earlier run left.
    fn reopened(&self, number: usize) -> Result<Option<Segment>> {
        let path = self.claim.segment(number);
        match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => Ok(Some(Segment::new(file))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(&path, "cannot be opened", &e)),
        }
    }

    /// Reads the bytes of a tile of an earlier run.
    fn read(&self, place: Place, bytes: &mut [u8]) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let file = self.open.get(place.segment()).and_then(|s| lock(s).as_ref().map(|s| Arc::clone(&s.file)));
        file.ok_or(io::ErrorKind::NotFound)?.read_exact_at(bytes, place.offset())
    }

    /// Cuts off what follows the last tile that is taken over.
    fn cut(&self, taken: &TakenOver) -> Result<()> {
        for (number, segment) in self.open.iter().enumerate() {
            if let Some(segment) = &mut *lock(segment) {
                let end = taken.ends.get(number).copied().unwrap_or_default();
                let cut = segment.cut(end);
                cut.map_err(|e| failed(&self.claim.segment(number), "cannot be cut off", &e))?;
            }
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        let number = own_segment();
        match &mut *lock(&self.open[number]) {
            Some(segment) => {
                segment.flush().map_err(|e| failed(&self.claim.segment(number), "cannot be written", &e))
            }
            None => Ok(()),
        }
    }

    fn append(&self, coord: TileCoord, len: u32, bytes: &[u8]) -> Result<Deposited> {
        let hash = xxh3_128(bytes);
        let number = own_segment();
        let mut segment = lock(&self.open[number]);
        let segment = match &mut *segment {
            Some(segment) => segment,
            none => none.insert(self.segment(number)?),
        };
        let offset = segment.append(coord, len, hash, bytes).map_err(|e| {
            failed(&self.claim.segment(number), &format!("tile {coord} cannot be written"), &e)
        })?;
        Ok(Deposited { coord, len, hash, place: Place::new(number, offset) })
    }

    fn stored(&self) -> Result<Stored> {
        let adopted = lock(&self.adopted).clone();
        let mut stored = Stored { path: self.claim.segment(0), files: Vec::new(), adopted };
        for (number, segment) in self.open.iter().enumerate() {
            let mut segment = lock(segment);
            if let Some(segment) = &mut *segment {
                let flushed = segment.flush();
                flushed.map_err(|e| failed(&self.claim.segment(number), "cannot be written", &e))?;
            }
            stored.files.push(segment.as_ref().map(|segment| Arc::clone(&segment.file)));
        }
        Ok(stored)
    }
}

/// The segment that the calling thread fills.
fn own_segment() -> usize {
    rayon::current_thread_index().unwrap_or(0) % SEGMENTS
}

impl Segment {
    fn new(file: File) -> Self {
        Self { file: Arc::new(file), end: 0, gathered: Vec::new(), remembered: Vec::new() }
    }

    /// Goes on behind `end`.
    fn cut(&mut self, end: u64) -> io::Result<()> {
        self.file.set_len(end)?;
        (&*self.file).seek(SeekFrom::Start(end))?;
        self.end = end;
        Ok(())
    }

    /// Appends a record; returns where the bytes of its tile begin.
    fn append(&mut self, coord: TileCoord, len: u32, hash: u128, bytes: &[u8]) -> io::Result<u64> {
        if self.remembered.is_empty() {
            self.remembered.resize(REMEMBERED, (0, 0, 0));
        }
        let slot = hash as usize % REMEMBERED;
        let (known_hash, known_len, known_offset) = self.remembered[slot];
        let known = (known_hash, known_len) == (hash, len);
        let stored = if known { &[] } else { bytes };
        let mut header = [0; HEADER];
        let len_field = if known { len | REPEATED } else { len };
        for (field, value) in [coord.x, coord.y, coord.z.into(), len_field].into_iter().enumerate() {
            header[field * 4..][..4].copy_from_slice(&value.to_le_bytes());
        }
        header[16..].copy_from_slice(&hash.to_le_bytes());
        if self.gathered.len() + HEADER + stored.len() > BUFFER || stored.len() >= LARGE {
            self.flush()?;
        }
        if stored.len() >= LARGE {
            write_both(&self.file, &header, stored)?;
        } else {
            self.gathered.extend_from_slice(&header);
            self.gathered.extend_from_slice(stored);
        }
        let offset = self.end + HEADER as u64;
        self.end = offset + stored.len() as u64;
        if known {
            return Ok(known_offset);
        }
        self.remembered[slot] = (hash, len, offset);
        Ok(offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.file).write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }
}

/// Writes one after the other, by one call of the system if it takes all.
fn write_both(mut file: &File, first: &[u8], second: &[u8]) -> io::Result<()> {
    let written = loop {
        match file.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            written => break written?,
        }
    };
    file.write_all(&first[written.min(first.len())..])?;
    file.write_all(&second[written.saturating_sub(first.len())..])
}

/// The segments when all tiles are in them.
#[derive(Debug, Default)]
pub(super) struct Stored {
    path: PathBuf,
    files: Vec<Option<Arc<File>>>,
    /// Those of other depots, which are read only.
    adopted: Vec<Adopted>,
}

impl Stored {
    /// The first segment, to be named in errors.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The error about a tile that is not what was deposited.
    pub(super) fn damaged(&self, tile: TileCoord, place: Place, why: Option<&io::Error>) -> Error {
        match (place.in_adopted().and_then(|(file, _)| self.adopted.get(file)), why) {
            (Some(Adopted { path, .. }), _) => {
                Error::output(path, format!("tile {tile} is damaged or gone: make this shard anew"))
            }
            (None, Some(why)) => failed(&self.path, &format!("tile {tile} cannot be read back"), why),
            (None, None) => Error::output(&self.path, format!("tile {tile} came back from the disk damaged")),
        }
    }

    /// Waits until all are on the disk.
    fn sync(&self) -> Result<()> {
        let synced = self.files.iter().flatten().try_for_each(|file| file.sync_all());
        synced.map_err(|e| failed(&self.path, "cannot be synced", &e))
    }

    /// How many threads may well read at once: as many as made tiles, or as can read those of adopted files.
    pub(super) fn count(&self) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        self.files.iter().flatten().count() + self.adopted.len().min(processors)
    }

    /// Reads the bytes of a tile.
    ///
    /// # Errors
    /// Those of the system, and of a place that was never given.
    pub(super) fn read(&self, place: Place, bytes: &mut [u8]) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        if let Some((number, offset)) = place.in_adopted() {
            let adopted = self.adopted.get(number).ok_or(io::ErrorKind::NotFound)?;
            return adopted.file.read_exact_at(bytes, offset);
        }
        let Some(Some(file)) = self.files.get(place.segment()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        file.read_exact_at(bytes, place.offset())
    }

    /// Gives the space of the segments back, each by a thread: the longer they are, the longer that takes.
    pub(super) fn empty(&self) {
        let empty = |(): &mut (), number: u64| {
            if let Some(Some(file)) = self.files.get(number as usize) {
                // What cannot be given back now is when the file is removed.
                let _ = file.set_len(0);
            }
            Ok::<(), ()>(())
        };
        let _ = side_by_side(self.count(), self.files.len() as u64, || (), empty);
    }

    /// The file that a place is in, to be damaged by tests.
    #[cfg(test)]
    pub(super) fn file(&self, place: Place) -> (&File, u64) {
        (self.files[place.segment()].as_ref().expect("there"), place.offset())
    }
}

/// Locks a segment. A thread that panicked with it has stopped the run; nobody reads what it left.
fn lock<X>(mutex: &Mutex<X>) -> MutexGuard<'_, X> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
