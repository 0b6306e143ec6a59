//! Every tile is read and decoded, and held against the others.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_128;

use super::picture::{self, MOST_SIDE, Seen};
use super::shelf::{MOST_TILE, OpenShelf, Piece, Shelf, is_tiff};
use crate::encode::TileFormat;
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::job::check::Context;
use crate::job::check::report::{Faults, Severity, TileFacts};
use crate::pipeline::{self, Job, Limits, Order};
use crate::store::Picture;

/// Most tiles of a task.
const MOST_TILES: usize = 64;

/// Bytes from which on a task is large enough.
const ENOUGH: usize = 1 << 20;

/// Bytes that decoding takes beside those of the tiles.
const DECODING: usize = 2 << 20;

/// Bytes that tasks may hold together, at most.
const MOST_IN_FLIGHT: usize = 64 << 20;

/// Tiles that are remembered so as not to be decoded again.
const REMEMBERED: usize = 1 << 18;

/// Different formats and sizes that are told apart.
const MOST_KINDS: usize = 32;

/// Tiles that one task decodes.
#[derive(Debug, Clone, Copy)]
struct Batch {
    start: usize,
    tiles: usize,
    bytes: usize,
}

impl std::fmt::Display for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tiles {} to {}", self.start, self.start + self.tiles)
    }
}

/// A tile as a reader passes it on.
enum Input {
    Bytes(Vec<u8>),
    /// A reader has seen all of it.
    Seen(Picture),
    Unreadable(String),
}

/// What became of a tile.
#[derive(Debug)]
struct Looked {
    coord: TileCoord,
    result: Result<Seen, String>,
    /// Whether it was decoded, and not known from another of the same bytes.
    decoded: bool,
}

/// Looks at the header of the first tile only.
pub(super) fn first(shelf: &Shelf, pieces: &[Piece], faults: &mut Faults) -> Result<Option<Picture>> {
    let Some(piece) = pieces.first() else { return Ok(None) };
    let seen = match read(&shelf.open()?, shelf, piece) {
        Input::Bytes(bytes) => picture::head(&bytes),
        Input::Seen(picture) => Ok(picture),
        Input::Unreadable(why) => Err(why),
    };
    match seen {
        Ok(picture) => Ok(Some(picture)),
        Err(why) => {
            faults.error("tile", format!("tile {} {why}", piece.coord));
            Ok(None)
        }
    }
}

/// Looks at all tiles. What most of them are is returned; those that are something else are faults.
pub(super) fn all(
    context: &Context<'_>,
    shelf: &Shelf,
    pieces: &[Piece],
    listed: usize,
    faults: &mut Faults,
    facts: &mut TileFacts,
) -> Result<Option<Picture>> {
    let batches = batches(pieces);
    (context.planned)(batches.len());
    let largest = batches.iter().map(cost).max().unwrap_or(0);
    let free = context.job.memory.saturating_sub(super::PROGRAM + listed);
    let limits = Limits {
        readers: context.job.readers.min(batches.len()),
        threads: context.job.threads,
        memory: free.min(MOST_IN_FLIGHT).max(largest),
        order: Order::Plan,
    };
    let known = Mutex::new(HashMap::new());
    let most = context.job.max_faults;
    let outcome = pipeline::run(
        batches,
        &limits,
        context.monitor,
        Job {
            cost,
            open: || shelf.open(),
            read: |open: &mut OpenShelf<'_>, batch: &Batch| {
                let pieces = &pieces[batch.start..batch.start + batch.tiles];
                Ok(pieces.iter().map(|piece| (piece.coord, read(open, shelf, piece))).collect::<Vec<_>>())
            },
            process: |tiles: Vec<(TileCoord, Input)>| {
                Ok::<_, Error>(tiles.into_iter().map(|(coord, input)| look(coord, input, &known)).collect())
            },
            create: || Ok(Collect { most, faults: Faults::new(most), ..Collect::default() }),
        },
    )
    .map_err(Error::from)?;
    let Collect { kinds, faults: found, decoded, transparent, .. } = outcome.done;
    faults.extend(found);
    (facts.decoded, facts.transparent) = (decoded, transparent);
    Ok(compared(kinds, faults))
}

fn cost(batch: &Batch) -> usize {
    batch.bytes + DECODING
}

fn batches(pieces: &[Piece]) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for (place, piece) in pieces.iter().enumerate() {
        // What is larger is not read.
        let bytes = u64::from(piece.len).min(MOST_TILE) as usize;
        match batches.last_mut() {
            Some(batch) if batch.tiles < MOST_TILES && batch.bytes + bytes <= ENOUGH => {
                batch.tiles += 1;
                batch.bytes += bytes;
            }
            _ => batches.push(Batch { start: place, tiles: 1, bytes }),
        }
    }
    batches
}

fn read(open: &OpenShelf<'_>, shelf: &Shelf, piece: &Piece) -> Input {
    match open.bytes(piece) {
        Ok(bytes) if is_tiff(&bytes) => match shelf.raster(piece, (MOST_SIDE * MOST_SIDE) as usize) {
            Ok(size) => Input::Seen(Picture {
                format: TileFormat::Tiff,
                width: size.width as u32,
                height: size.height as u32,
            }),
            Err(why) => Input::Unreadable(why),
        },
        Ok(bytes) => Input::Bytes(bytes),
        Err(why) => Input::Unreadable(why),
    }
}

fn look(coord: TileCoord, input: Input, known: &Mutex<HashMap<u128, Seen>>) -> Looked {
    let bytes = match input {
        Input::Bytes(bytes) => bytes,
        Input::Seen(picture) => {
            return Looked { coord, result: Ok(Seen { picture, transparent: false }), decoded: true };
        }
        Input::Unreadable(why) => return Looked { coord, result: Err(why), decoded: false },
    };
    let digest = xxh3_128(&bytes);
    let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(seen) = lock().get(&digest).copied() {
        return Looked { coord, result: Ok(seen), decoded: false };
    }
    let result = picture::look(&bytes);
    if let Ok(seen) = result {
        let mut known = lock();
        if known.len() < REMEMBERED {
            known.insert(digest, seen);
        }
    }
    Looked { coord, result, decoded: true }
}

/// Tiles of one format and size.
#[derive(Debug)]
struct Alike {
    picture: Picture,
    count: u64,
    /// The first of them.
    examples: Vec<TileCoord>,
}

/// Where everything comes together, in the order of the container.
#[derive(Debug, Default)]
struct Collect {
    most: usize,
    kinds: Vec<Alike>,
    faults: Faults,
    decoded: u64,
    transparent: u64,
}

impl pipeline::Sink for Collect {
    type Item = Looked;
    type Done = Self;
    type Error = Error;

    fn write(&mut self, looked: Looked) -> Result<()> {
        let Looked { coord, result, decoded } = looked;
        self.decoded += u64::from(decoded);
        match result {
            Ok(Seen { picture, transparent }) => {
                self.transparent += u64::from(transparent);
                self.add(coord, picture);
            }
            Err(why) => self.faults.add(Severity::Error, "tile", 1, || format!("tile {coord} {why}")),
        }
        Ok(())
    }

    fn finish(self) -> Result<Self> {
        Ok(self)
    }
}

impl Collect {
    fn add(&mut self, coord: TileCoord, picture: Picture) {
        let known = self.kinds.iter().position(|alike| alike.picture == picture);
        let alike = match known {
            Some(place) => &mut self.kinds[place],
            None if self.kinds.len() < MOST_KINDS => {
                self.kinds.push(Alike { picture, count: 0, examples: Vec::new() });
                let last = self.kinds.len() - 1;
                &mut self.kinds[last]
            }
            None => {
                self.faults
                    .add(Severity::Error, "unlike", 1, || format!("tile {coord} is {}", shown(picture)));
                return;
            }
        };
        alike.count += 1;
        if alike.examples.len() < self.most.max(1) {
            alike.examples.push(coord);
        }
    }
}

fn shown(picture: Picture) -> String {
    format!("{} of {} × {} pixels", picture.format.name(), picture.width, picture.height)
}

/// What most tiles are; the others are faults.
fn compared(mut kinds: Vec<Alike>, faults: &mut Faults) -> Option<Picture> {
    let usual = kinds.iter().map(|alike| alike.count).max()?;
    let usual = kinds.iter().position(|alike| alike.count == usual)?;
    let usual = kinds.remove(usual);
    for Alike { picture, count, examples } in kinds {
        let kept = examples.len() as u64;
        for coord in examples {
            faults.add(Severity::Error, "unlike", 1, || {
                format!("tile {coord} is {}, most are {}", shown(picture), shown(usual.picture))
            });
        }
        if count > kept {
            faults.add(Severity::Error, "unlike", count - kept, || {
                format!("{} more tiles are {}", count - kept, shown(picture))
            });
        }
    }
    let Picture { width, height, .. } = usual.picture;
    if width != height {
        faults.error("unlike", format!("its tiles are {} and no squares", shown(usual.picture)));
    }
    Some(usual.picture)
}
