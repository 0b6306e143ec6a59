//! Which tiles are copied, in which portions, and in how much memory.

use super::ConvertJob;
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::order::Order;
use crate::sink::OutputKind;
use crate::store::TileStore;

/// Most tiles of a task.
const MOST_TILES: usize = 64;

/// Bytes from which on a task is large enough.
const ENOUGH: usize = 1 << 20;

/// Bytes that tasks may hold together, at most: more would only wait for the disk.
const MOST_IN_FLIGHT: usize = 64 << 20;

/// Resident bytes of the program and the libraries it loads.
const PROGRAM: usize = 48 << 20;

/// Bytes of a tile in the plan: its number, and its share of a task.
const PLANNED: usize = 9;

/// Bytes of a tile in the index from which an archive is assembled, and in what is laid out from it, while both grow.
const INDEXED: usize = 128;

/// Tiles in the order of the container they are in, divided into tasks.
#[derive(Debug)]
pub(super) struct Plan {
    /// Every tile, as its place in the order of names.
    keys: Vec<u64>,
    order: Order,
    pub(super) batches: Vec<Batch>,
    /// Tiles of levels that are not wanted.
    pub(super) left_out: u64,
    /// Bytes that tasks may hold together.
    pub(super) in_flight: usize,
}

/// Tiles that one task copies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Batch {
    first: TileCoord,
    start: usize,
    tiles: usize,
    /// Bytes of the tiles.
    pub(super) bytes: usize,
}

impl std::fmt::Display for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.tiles {
            1 => write!(f, "tile {}", self.first),
            n => write!(f, "{n} tiles from {} on", self.first),
        }
    }
}

impl Plan {
    /// Lists the tiles of a set.
    ///
    /// # Errors
    /// [`Error::Input`] when there are none, one is there twice, or the list cannot be read; [`Error::Memory`] when the
    /// memory allowed is not enough.
    pub(super) fn new(job: &ConvertJob, kind: OutputKind, store: &dyn TileStore) -> Result<Self> {
        let order = Order::names(&store.info().grid);
        let mut plan = Self { keys: Vec::new(), order, batches: Vec::new(), left_out: 0, in_flight: 0 };
        let most = job.memory / PLANNED;
        store.each(&mut |coord, len| {
            if !job.wants(coord.z) {
                plan.left_out += 1;
            } else if plan.keys.len() > most {
                return Err(too_little(job, least(kind, plan.keys.len() * 2, ENOUGH)));
            } else {
                plan.add(&job.input, coord, len)?;
            }
            Ok(())
        })?;
        if plan.keys.is_empty() {
            let all = if plan.left_out > 0 { " of the levels asked for" } else { "" };
            return Err(Error::input(&job.input, format!("holds no tile{all}")));
        }
        let largest = plan.batches.iter().map(|batch| batch.bytes).max().unwrap_or(0);
        let least = least(kind, plan.keys.len(), largest);
        if least > job.memory {
            return Err(too_little(job, least));
        }
        plan.in_flight = (job.memory - least + largest).min(MOST_IN_FLIGHT.max(largest));
        plan.refuse_doubles(job)?;
        Ok(plan)
    }

    fn add(&mut self, input: &std::path::Path, coord: TileCoord, len: u64) -> Result<()> {
        let reject = |why: String| Error::input(input, format!("tile {coord} {why}"));
        let key = self.order.key(coord).ok_or_else(|| reject("is outside of its grid".to_owned()))?;
        // What a depot takes.
        let bytes = usize::try_from(len).ok().filter(|len| *len < 1 << 31);
        let bytes = bytes.ok_or_else(|| reject(format!("has {len} bytes")))?;
        match self.batches.last_mut() {
            Some(batch) if batch.tiles < MOST_TILES && batch.bytes + bytes <= ENOUGH => {
                batch.tiles += 1;
                batch.bytes += bytes;
            }
            _ => self.batches.push(Batch { first: coord, start: self.keys.len(), tiles: 1, bytes }),
        }
        self.keys.push(key);
        Ok(())
    }

    /// A database without an index, for one, can hold two tiles at one address.
    fn refuse_doubles(&self, job: &ConvertJob) -> Result<()> {
        let ascends = |keys: &[u64]| keys.windows(2).all(|pair| pair[0] < pair[1]);
        if ascends(&self.keys) {
            return Ok(());
        }
        let mut keys = self.keys.clone();
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(()),
            Some(pair) => {
                let coord = self.order.tile(pair[0]);
                Err(Error::input(&job.input, format!("has tile {coord} twice")))
            }
        }
    }

    /// How many tiles are copied.
    pub(super) fn tiles(&self) -> u64 {
        self.keys.len() as u64
    }

    /// The tiles of a task.
    pub(super) fn coords(&self, batch: &Batch) -> impl Iterator<Item = TileCoord> {
        self.keys[batch.start..batch.start + batch.tiles].iter().map(|key| self.order.tile(*key))
    }
}

/// The least memory that would do for a number of tiles, the largest task of which has some bytes.
fn least(kind: OutputKind, tiles: usize, largest: usize) -> usize {
    // A second list to find doubles is gone before the index of the archive grows.
    let each = if kind == OutputKind::Folder { 2 * PLANNED } else { PLANNED + INDEXED };
    PROGRAM + tiles * each + 2 * largest
}

fn too_little(job: &ConvertJob, least: usize) -> Error {
    Error::Memory(format!(
        "--memory {}M is not enough for this job; the least that would do is --memory {}M",
        job.memory >> 20,
        least.div_ceil(1 << 20)
    ))
}
