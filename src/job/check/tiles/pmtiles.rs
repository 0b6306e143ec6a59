//! A PMTiles archive: header, directories and metadata, by version 3 of the specification and as `pmtiles verify` sees it
//! (<https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md>).

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

use serde_json::Value;

use super::addresses::Gathering;
use super::shelf::{Piece, Shelf};
use super::told::Told;
use super::{Inventory, enough};
use crate::encode::TileFormat;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::job::check::Context;
use crate::job::check::report::{Faults, Severity};
use crate::order::Order;
use crate::store::metadata::Keys;
use crate::store::names::MOST_DESCRIPTION;
use crate::store::pmtiles::directory::{Entry, Sections, parse};
use crate::store::pmtiles::{DEEPEST, HEADER, Packing, Section, packing, unpacked};

/// Header and root directory end before this byte: what a client asks for first.
const FIRST_REQUEST: u64 = 16_384;

/// The header, section 3 of the specification.
#[derive(Debug)]
struct Header {
    root: Section,
    metadata: Section,
    leaves: Section,
    tiles: Section,
    addressed: u64,
    entries: u64,
    contents: u64,
    clustered: u8,
    packing: Packing,
    tile_packing: u8,
    tile_type: u8,
    zooms: [u8; 2],
    bounds: [f64; 4],
    centre: [f64; 3],
}

impl Header {
    fn of(context: &Context<'_>, bytes: &[u8; HEADER]) -> Result<Self> {
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let section = |at: usize| Section { start: number(at), len: number(at + 8) };
        let degrees = |at: usize| f64::from(i32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]))) / 1e7;
        Ok(Self {
            root: section(8),
            metadata: section(24),
            leaves: section(40),
            tiles: section(56),
            addressed: number(72),
            entries: number(80),
            contents: number(88),
            clustered: bytes[96],
            packing: packing(context.path, bytes[97])?,
            tile_packing: bytes[98],
            tile_type: bytes[99],
            zooms: [bytes[100], bytes[101]],
            bounds: [102, 106, 110, 114].map(degrees),
            centre: [degrees(119), degrees(123), f64::from(bytes[118])],
        })
    }

    fn sections(&self) -> Sections {
        Sections { tiles: self.tiles.len, leaves: self.leaves.len }
    }

    /// What the header says of the tiles, as keys.
    fn keys(&self) -> Keys {
        let mut keys = Keys::new();
        keys.insert("minzoom".to_owned(), self.zooms[0].into());
        keys.insert("maxzoom".to_owned(), self.zooms[1].into());
        keys.insert("bounds".to_owned(), self.bounds.to_vec().into());
        keys.insert("center".to_owned(), self.centre.to_vec().into());
        keys
    }
}

/// Reads header, directories and metadata. `None` when there is nothing to check any further.
pub(super) fn audit(context: &Context<'_>, faults: &mut Faults) -> Result<Option<Inventory>> {
    let path = context.path;
    let file = File::open(path).map_err(|e| Error::input(path, format!("cannot be opened: {e}")))?;
    let size = file.metadata().map_err(|e| Error::input(path, format!("cannot be inspected: {e}")))?.len();
    let mut bytes = [0; HEADER];
    if file.read_exact_at(&mut bytes, 0).is_err() {
        faults.error("header", "is cut off within its header");
        return Ok(None);
    }
    if bytes[7] != 3 {
        faults.error("header", format!("is of version {}; known is version 3", bytes[7]));
        return Ok(None);
    }
    // Ways of packing that exist but are not known here leave nothing to be said.
    if bytes[97] > 4 {
        faults.error("header", format!("its directories are packed in the unknown way {}", bytes[97]));
        return Ok(None);
    }
    let header = Header::of(context, &bytes)?;
    let named = tile_type(context, &header, faults)?;
    check_sections(&header, size, faults);
    let mut told = vec![Told { source: "header".to_owned(), keys: header.keys() }];
    told.extend(metadata(&header, &file, faults));
    let Some(entries) = directories(context, &header, &file, faults)? else { return Ok(None) };
    check_counts(&header, &entries, faults);
    if header.clustered == 1 {
        check_clustered(&entries, faults);
    }
    let mut gathering = Gathering::new(&Grid::WebMercator);
    for entry in &entries {
        gathering.push_run(entry.id, entry.run.into());
    }
    let pieces = contents(&header, entries, faults);
    Ok(Some(Inventory {
        shelf: Shelf::Parts { path: path.to_owned() },
        grid: Grid::WebMercator,
        gathering,
        pieces,
        told,
        named,
        retina: false,
        placed: true,
    }))
}

fn tile_type(context: &Context<'_>, header: &Header, faults: &mut Faults) -> Result<Option<TileFormat>> {
    let refused =
        |what: &str| Err(Error::input(context.path, format!("holds {what}; they cannot be checked")));
    if !matches!(header.tile_packing, 0 | 1) && !matches!(header.tile_type, 1 | 6) {
        faults.error("header", "says that tiles are compressed once more; pictures are not");
    }
    match header.tile_type {
        1 | 6 => refused("vector tiles"),
        5 => refused("AVIF tiles"),
        2 => Ok(Some(TileFormat::Png)),
        3 => Ok(Some(TileFormat::Jpeg)),
        4 => Ok(Some(TileFormat::Webp)),
        0 => {
            faults.warning("header", "does not say of what type its tiles are");
            Ok(None)
        }
        other => {
            faults.error("header", format!("says that its tiles are of the unknown type {other}"));
            Ok(None)
        }
    }
}

fn check_sections(header: &Header, size: u64, faults: &mut Faults) {
    let parts = [
        ("root directory", header.root),
        ("metadata", header.metadata),
        ("leaf directories", header.leaves),
        ("tiles", header.tiles),
    ];
    let mut sorted = Vec::new();
    let mut sound = true;
    for (what, Section { start, len }) in parts {
        let end = start.checked_add(len).filter(|end| *end <= size);
        if end.is_none() && len > 0 {
            let end = start.saturating_add(len);
            faults.error("header", format!("its {what} should end at byte {end}, the file has {size}"));
            sound = false;
        }
        if start < HEADER as u64 {
            faults.error("header", format!("its {what} should begin at byte {start}, within the header"));
            sound = false;
        } else if len > 0 {
            sorted.push((start, start.saturating_add(len), what));
        }
    }
    sorted.sort_unstable();
    for pair in sorted.windows(2).filter(|pair| pair[1].0 < pair[0].1) {
        faults.error("header", format!("its {} and its {} lie over each other", pair[0].2, pair[1].2));
        sound = false;
    }
    if header.root.start.saturating_add(header.root.len) > FIRST_REQUEST {
        let text =
            format!("its root directory does not end before byte {FIRST_REQUEST}, which clients read first");
        faults.error("header", text);
    }
    let rest = [header.metadata, header.leaves, header.tiles];
    let rest = rest.iter().map(|section| section.len).fold(0, u64::saturating_add);
    let whole = [(HEADER as u64).saturating_add(header.root.len), FIRST_REQUEST];
    let whole = whole.map(|start| start.saturating_add(rest));
    if sound && !whole.contains(&size) {
        faults.error("header", format!("the file has {size} bytes, its parts {}", whole[0]));
    }
    if header.clustered > 1 {
        faults.error("header", format!("is neither clustered nor not: {}", header.clustered));
    }
}

fn metadata(header: &Header, file: &File, faults: &mut Faults) -> Option<Told> {
    if header.metadata.len == 0 {
        faults.error("metadata", "has no metadata, which should at least be an empty JSON object");
        return None;
    }
    let text = unpacked(file, header.metadata, header.packing, MOST_DESCRIPTION);
    match text.and_then(|text| serde_json::from_slice(&text).map_err(|e| e.to_string())) {
        Ok(Value::Object(mut keys)) => {
            // MBTiles that were converted have their `json` as a text.
            if keys.get("json").is_some_and(|json| !json.is_object()) {
                keys.remove("json");
            }
            Some(Told { source: "metadata".to_owned(), keys })
        }
        Ok(_) => {
            faults.error("metadata", "its metadata are no JSON object");
            None
        }
        Err(why) => {
            faults.error("metadata", format!("its metadata cannot be read: {why}"));
            None
        }
    }
}

/// All entries of tiles, in the order of the directories; what cannot be read is left out. `None` when the root cannot be read.
fn directories(
    context: &Context<'_>,
    header: &Header,
    file: &File,
    faults: &mut Faults,
) -> Result<Option<Vec<Entry>>> {
    // An entry takes a few bytes in a directory and 24 here.
    let most = (context.job.memory / 16) as u64;
    let root =
        unpacked(file, header.root, header.packing, most).and_then(|bytes| parse(&bytes, header.sections()));
    let root = match root {
        Ok(root) => root,
        Err(why) => {
            faults.error("directory", format!("its root directory: {why}"));
            return Ok(None);
        }
    };
    let mut walk = Walk { context, header, file, most, found: Vec::new(), next: 0, seen: BTreeSet::new() };
    walk.follow(&root, DEEPEST, faults)?;
    Ok(Some(walk.found))
}

struct Walk<'a> {
    context: &'a Context<'a>,
    header: &'a Header,
    file: &'a File,
    most: u64,
    found: Vec<Entry>,
    /// The id behind the last one.
    next: u64,
    /// Leaf directories that were read.
    seen: BTreeSet<u64>,
}

impl Walk<'_> {
    fn follow(&mut self, entries: &[Entry], deeper: usize, faults: &mut Faults) -> Result<()> {
        for entry in entries {
            if entry.run > 0 {
                if entry.id < self.next {
                    faults.add(Severity::Error, "directory", 1, || {
                        format!("tile id {} is in two directories, or out of order", entry.id)
                    });
                    continue;
                }
                self.next = entry.end();
                self.found.push(*entry);
                enough(self.context, self.found.len(), 4 * size_of::<Entry>())?;
            } else if deeper == 0 || !self.seen.insert(entry.offset) {
                faults.error("directory", "its leaf directories are in a loop");
            } else {
                match self.leaf(entry) {
                    Ok(leaf) => self.follow(&leaf, deeper - 1, faults)?,
                    Err(why) => faults.error("directory", why),
                }
            }
        }
        Ok(())
    }

    fn leaf(&self, pointer: &Entry) -> Result<Vec<Entry>, String> {
        let start = self.header.leaves.start.saturating_add(pointer.offset);
        let section = Section { start, len: pointer.len.into() };
        unpacked(self.file, section, self.header.packing, self.most)
            .and_then(|bytes| parse(&bytes, self.header.sections()))
            .and_then(|entries| match entries.first() {
                Some(first) if first.id >= pointer.id => Ok(entries),
                Some(first) => Err(format!("it begins with tile id {}, before {}", first.id, pointer.id)),
                None => Err("it is empty".to_owned()),
            })
            .map_err(|why| format!("its leaf directory at byte {start}: {why}"))
    }
}

fn check_counts(header: &Header, entries: &[Entry], faults: &mut Faults) {
    let mut offsets: Vec<u64> = entries.iter().map(|entry| entry.offset).collect();
    offsets.sort_unstable();
    offsets.dedup();
    let addressed = entries.iter().map(|entry| u64::from(entry.run)).sum::<u64>();
    for (told, real, what) in [
        (header.addressed, addressed, "addressed tiles"),
        (header.entries, entries.len() as u64, "tile entries"),
        (header.contents, offsets.len() as u64, "tile contents"),
    ] {
        if told == 0 && real != 0 {
            faults.warning("counts", format!("its header does not tell the number of {what}"));
        } else if told != real {
            faults.error("counts", format!("its header tells {told} {what}, there are {real}"));
        }
    }
}

/// In a clustered archive tiles that are stored for the first time follow each other.
fn check_clustered(entries: &[Entry], faults: &mut Faults) {
    let mut next = 0;
    for entry in entries {
        if entry.offset > next {
            faults.add(Severity::Error, "clustered", 1, || {
                let tile = Order::Hilbert.tile(entry.id);
                format!(
                    "is not clustered as its header says: tile {tile} is at {}, not at {next}",
                    entry.offset
                )
            });
        }
        next = next.max(entry.offset + u64::from(entry.len));
    }
}

/// The tiles that are stored, each once, in the order in which they lie; and whether they lie apart.
fn contents(header: &Header, mut entries: Vec<Entry>, faults: &mut Faults) -> Vec<Piece> {
    entries.sort_unstable_by_key(|entry| (entry.offset, entry.len, entry.id));
    entries.dedup_by_key(|entry| (entry.offset, entry.len));
    let (mut end, mut used) = (0u64, 0u64);
    let mut pieces = Vec::with_capacity(entries.len());
    for entry in entries {
        let coord = Order::Hilbert.tile(entry.id);
        let behind = entry.offset + u64::from(entry.len);
        if entry.offset < end {
            faults.add(Severity::Error, "overlap", 1, || {
                format!("tile {coord} lies over the bytes of another")
            });
        }
        used += behind.saturating_sub(end.max(entry.offset));
        end = end.max(behind);
        let place = header.tiles.start.saturating_add(entry.offset);
        pieces.push(Piece { coord, len: entry.len, place });
    }
    if used < header.tiles.len {
        let text = format!("{} bytes among the tiles belong to none", header.tiles.len - used);
        faults.warning("unused", text);
    }
    pieces
}
