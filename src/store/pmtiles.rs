//! A PMTiles archive to read (version 3, <https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md>).
//!
//! Only the root directory is kept; leaf directories are read when they are needed, and the last few are remembered. So an archive
//! of the whole world costs no more memory than a small one.

pub(crate) mod directory;

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use flate2::read::GzDecoder;
use serde_json::Value;

use self::directory::{Entry, Sections, parse};
use crate::error::{Error, Result};
use crate::grid::{Grid, TileCoord, TileMatrixLimits};
use crate::order::Order;
use crate::store::metadata::{About, Found, Keys};
use crate::store::names::MOST_DESCRIPTION;
use crate::store::{Opener, Take, TileStore, unreadable};

/// Bytes of the header.
pub(crate) const HEADER: usize = 127;

/// Leaves below leaves that are followed; more is a loop.
pub(crate) const DEEPEST: usize = 4;

/// Leaf directories that are remembered.
const REMEMBERED: usize = 8;

/// Most bytes of an unpacked directory.
const MOST_DIRECTORY: u64 = 256 << 20;

/// A PMTiles archive.
#[derive(Debug)]
pub struct PmtilesStore {
    file: File,
    known: Arc<Known>,
    /// Leaf directories by their offset, the last used first.
    leaves: RefCell<Vec<(u64, Rc<[Entry]>)>>,
    _own_thread: PhantomData<*mut ()>,
}

#[derive(Debug)]
struct Known {
    about: About,
    archive: Archive,
}

/// Where everything is in the file.
#[derive(Debug, Clone)]
struct Archive {
    path: Arc<Path>,
    header: Header,
    root: Arc<[Entry]>,
}

impl PmtilesStore {
    /// Reads header, root directory and metadata.
    ///
    /// # Errors
    /// [`Error::Input`] when they are not in order, or the tiles are no pictures.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| unreadable(path, "cannot be opened", &e))?;
        let header = Header::read(path, &file)?;
        let sections = header.sections();
        let root = unpacked(&file, header.root, header.packing, MOST_DIRECTORY)
            .and_then(|bytes| parse(&bytes, sections))
            .map_err(|why| damaged(path, &format!("its root directory: {why}")))?;
        let archive = Archive { path: path.into(), header, root: root.into() };
        let keys = archive.keys(&file)?;
        let (first, len) = archive.edge(&file, |entries| entries.first().copied(), |entry| entry.id)?;
        let (last, _) = archive.edge(&file, |entries| entries.last().copied(), |entry| entry.end() - 1)?;
        let bytes = archive.bytes(&file, first, &len)?;
        let zooms = (first.z, last.z);
        let (grid, retina) = (Grid::WebMercator, false);
        let found =
            Found { path, container: "pmtiles", keys, zooms, first, bytes, free: false, grid, retina };
        let about = found.about(|| {
            let mut extent = TileMatrixLimits::default();
            archive.each(&file, &mut |entry| {
                let ids = entry.id..entry.end();
                let deepest = |coord: &TileCoord| coord.z == last.z;
                ids.map(|id| Order::Hilbert.tile(id)).filter(deepest).for_each(|coord| extent.add(coord));
                Ok(())
            })?;
            Ok(extent)
        })?;
        Ok(Self::new(file, Arc::new(Known { about, archive })))
    }

    fn new(file: File, known: Arc<Known>) -> Self {
        Self { file, known, leaves: RefCell::default(), _own_thread: PhantomData }
    }

    /// A leaf directory, remembered or read.
    fn leaf(&self, pointer: &Entry) -> Result<Rc<[Entry]>> {
        let mut leaves = self.leaves.borrow_mut();
        let leaf = match leaves.iter().position(|(offset, _)| *offset == pointer.offset) {
            Some(place) => leaves.remove(place).1,
            None => self.known.archive.leaf(&self.file, pointer)?.into(),
        };
        leaves.insert(0, (pointer.offset, Rc::clone(&leaf)));
        leaves.truncate(REMEMBERED);
        Ok(leaf)
    }

    /// The entry of a tile.
    fn find(&self, id: u64) -> Result<Option<Entry>> {
        let at = |entries: &[Entry]| {
            let place = entries.partition_point(|entry| entry.id <= id).checked_sub(1)?;
            Some(entries[place])
        };
        let mut entry = at(&self.known.archive.root);
        for _ in 0..DEEPEST {
            match entry {
                Some(pointer) if pointer.run == 0 => entry = at(&self.leaf(&pointer)?),
                found => return Ok(found.filter(|entry| id < entry.end())),
            }
        }
        Err(damaged(&self.known.archive.path, "its leaf directories are in a loop"))
    }
}

impl TileStore for PmtilesStore {
    fn about(&self) -> &About {
        &self.known.about
    }

    fn each(&self, take: &mut Take<'_>) -> Result<()> {
        let archive = &self.known.archive;
        let (mut tiles, mut next) = (0u64, 0);
        archive.each(&self.file, &mut |entry| {
            if entry.id < next {
                return Err(damaged(&archive.path, &format!("tile id {} is in two directories", entry.id)));
            }
            next = entry.end();
            tiles += next - entry.id;
            (entry.id..next).try_for_each(|id| take(Order::Hilbert.tile(id), entry.len.into()))
        })?;
        let told = archive.header.addressed;
        // Zero stands for unknown.
        if told != 0 && told != tiles {
            let why = format!("its header tells {told} tiles, its directories have {tiles}");
            return Err(damaged(&archive.path, &why));
        }
        Ok(())
    }

    fn tile(&self, coord: TileCoord) -> Result<Option<Vec<u8>>> {
        let Some(id) = Order::Hilbert.key(coord) else { return Ok(None) };
        let found = self.find(id)?;
        found.map(|entry| self.known.archive.bytes(&self.file, coord, &entry)).transpose()
    }

    fn opener(&self) -> Opener {
        let known = Arc::clone(&self.known);
        Opener::new(move || {
            let path = &known.about.path;
            let file = File::open(path).map_err(|e| unreadable(path, "cannot be opened", &e))?;
            Ok(Box::new(Self::new(file, Arc::clone(&known))))
        })
    }
}

impl Archive {
    fn leaf(&self, file: &File, pointer: &Entry) -> Result<Vec<Entry>> {
        let Section { start, .. } = self.header.leaves;
        let section = Section { start: start + pointer.offset, len: pointer.len.into() };
        unpacked(file, section, self.header.packing, MOST_DIRECTORY)
            .and_then(|bytes| parse(&bytes, self.header.sections()))
            .and_then(|entries| match entries.first() {
                Some(first) if first.id >= pointer.id => Ok(entries),
                _ => Err(format!("it begins before tile id {}", pointer.id)),
            })
            .map_err(|why| {
                damaged(&self.path, &format!("its leaf directory at byte {}: {why}", section.start))
            })
    }

    /// Hands over all entries of tiles, in the order of the directories.
    fn each(&self, file: &File, take: &mut dyn FnMut(&Entry) -> Result<()>) -> Result<()> {
        self.each_of(file, &self.root, DEEPEST, take)
    }

    fn each_of(
        &self,
        file: &File,
        entries: &[Entry],
        deeper: usize,
        take: &mut dyn FnMut(&Entry) -> Result<()>,
    ) -> Result<()> {
        for entry in entries {
            if entry.run > 0 {
                take(entry)?;
            } else if deeper == 0 {
                return Err(damaged(&self.path, "its leaf directories are in a loop"));
            } else {
                self.each_of(file, &self.leaf(file, entry)?, deeper - 1, take)?;
            }
        }
        Ok(())
    }

    /// The tile at one end of the directories, and its entry.
    fn edge(
        &self,
        file: &File,
        end: impl Fn(&[Entry]) -> Option<Entry>,
        id: impl Fn(&Entry) -> u64,
    ) -> Result<(TileCoord, Entry)> {
        let mut entry = end(&self.root);
        for _ in 0..DEEPEST {
            match entry {
                Some(pointer) if pointer.run == 0 => entry = end(&self.leaf(file, &pointer)?),
                Some(found) => return Ok((Order::Hilbert.tile(id(&found)), found)),
                None => break,
            }
        }
        Err(damaged(&self.path, "its leaf directories lead nowhere"))
    }

    fn bytes(&self, file: &File, coord: TileCoord, entry: &Entry) -> Result<Vec<u8>> {
        let mut bytes = vec![0; entry.len as usize];
        let read = file.read_exact_at(&mut bytes, self.header.tiles.start + entry.offset);
        read.map_err(|e| unreadable(&self.path, &format!("tile {coord} cannot be read"), &e))?;
        Ok(bytes)
    }

    /// The metadata, with what the header says of bounds and centre where they have nothing finer.
    fn keys(&self, file: &File) -> Result<Keys> {
        let Header { metadata, packing, bounds, centre, .. } = self.header;
        let mut keys = Keys::new();
        if metadata.len > 0 {
            let text = unpacked(file, metadata, packing, MOST_DESCRIPTION);
            let parsed = text.and_then(|text| serde_json::from_slice(&text).map_err(|e| e.to_string()));
            keys = match parsed.map_err(|why| damaged(&self.path, &format!("its metadata: {why}")))? {
                Value::Object(keys) => keys,
                _ => return Err(damaged(&self.path, "its metadata is no JSON object")),
            };
        }
        for (key, told) in [("bounds", bounds.to_vec()), ("center", centre.to_vec())] {
            let finer = keys.get(key).and_then(Value::as_str).is_some_and(|text| {
                let numbers: Vec<f64> = text.split(',').filter_map(|n| n.trim().parse().ok()).collect();
                numbers.len() == told.len() && numbers.iter().zip(&told).all(|(a, b)| (a - b).abs() < 2e-7)
            });
            // The header is what other programs read and edit.
            if !finer {
                keys.insert(key.to_owned(), told.into());
            }
        }
        Ok(keys)
    }
}

/// A part of the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section {
    pub(crate) start: u64,
    pub(crate) len: u64,
}

/// How directories and metadata are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
}

/// The header, section 3 of the specification.
#[derive(Debug, Clone, Copy)]
struct Header {
    root: Section,
    metadata: Section,
    leaves: Section,
    tiles: Section,
    /// How many tiles there are; 0 for unknown.
    addressed: u64,
    packing: Packing,
    bounds: [f64; 4],
    centre: [f64; 3],
}

impl Header {
    fn read(path: &Path, file: &File) -> Result<Self> {
        let mut bytes = [0; HEADER];
        let size = match file.read_exact_at(&mut bytes, 0).and_then(|()| file.metadata()) {
            Ok(found) => found.len(),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(damaged(path, "it is cut off within its header"));
            }
            Err(e) => return Err(unreadable(path, "cannot be read", &e)),
        };
        let version = if bytes.starts_with(b"PMTiles") { bytes[7] } else { bytes[2] };
        if version != 3 {
            let reason = format!("is a PMTiles archive of version {version}; known is version 3");
            return Err(Error::input(path, reason));
        }
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let section = |at: usize| Section { start: number(at), len: number(at + 8) };
        let degrees = |at: usize| f64::from(i32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))) / 1e7;
        let header = Self {
            root: section(8),
            metadata: section(24),
            leaves: section(40),
            tiles: section(56),
            addressed: number(72),
            packing: packing(path, bytes[97])?,
            bounds: [102, 106, 110, 114].map(degrees),
            centre: [degrees(119), degrees(123), f64::from(bytes[118])],
        };
        if bytes[99] == 1 {
            return Err(Error::input(path, "holds vector tiles; only tiles that are pictures can be used"));
        }
        if !matches!(bytes[98], 0 | 1) {
            return Err(Error::input(path, "holds tiles that are compressed once more; pictures are not"));
        }
        let parts = [
            ("root directory", header.root),
            ("metadata", header.metadata),
            ("leaf directories", header.leaves),
            ("tiles", header.tiles),
        ];
        for (what, Section { start, len }) in parts {
            // What has no bytes may be anywhere.
            let end = start.checked_add(len).filter(|end| len == 0 || *end <= size);
            if end.is_none() {
                let why = format!(
                    "its {what} should end at byte {}, the file has {size}",
                    start.saturating_add(len)
                );
                return Err(damaged(path, &why));
            }
        }
        Ok(header)
    }

    fn sections(&self) -> Sections {
        Sections { tiles: self.tiles.len, leaves: self.leaves.len }
    }
}

pub(crate) fn packing(path: &Path, code: u8) -> Result<Packing> {
    match code {
        0 | 1 => Ok(Packing::None),
        2 => Ok(Packing::Gzip),
        3 => Err(Error::input(path, "has directories packed with Brotli; known is gzip")),
        4 => Err(Error::input(path, "has directories packed with Zstandard; known is gzip")),
        _ => Err(damaged(path, &format!("its directories are packed in the unknown way {code}"))),
    }
}

/// Reads and unpacks a directory or the metadata; the checksum of gzip is held against what comes out.
pub(crate) fn unpacked(
    file: &File,
    section: Section,
    packing: Packing,
    most: u64,
) -> Result<Vec<u8>, String> {
    if section.len > most {
        return Err(format!("it has {} bytes", section.len));
    }
    let mut packed = vec![0; section.len as usize];
    file.read_exact_at(&mut packed, section.start).map_err(|e| e.to_string())?;
    if packing == Packing::None {
        return Ok(packed);
    }
    let mut bytes = Vec::new();
    GzDecoder::new(&packed[..]).take(most + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("it unpacks to more than {most} bytes"));
    }
    Ok(bytes)
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::input(path, format!("is a damaged PMTiles archive: {why}"))
}
