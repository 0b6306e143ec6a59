//! A tile job in parts that know nothing of each other, to be made on as many machines as there are.
//!
//! A part is what a run leaves that is [resumed](TileJob::resume) later: the tiles of some metatiles, and of each the pixels that
//! nodes above still need. So nothing of it has to be made again, nor to be decoded, when the parts are put together: their tiles
//! are copied, the nodes that none of them could complete are made of the pixels they left, and the container is assembled as in
//! any other run. It therefore has the same bytes.
//!
//! Metatiles are ordered along a curve through the quadtree, and a part is a stretch of it: a few whole subtrees, each of which it
//! makes down to its root.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::identity::identity;
use super::reader::TileReader;
use super::weave::{Loom, Woven};
use super::{Encoder, Plan, TileJob, budget, info};
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::job::parts::same;
use crate::pipeline::{self, Cause, Job, Limits, Monitor, Order, Outcome, Stats, side_by_side};
use crate::raster::SourceSpec;
use crate::raster::chunks::ChunkCache;
use crate::raster::losses::Skipped;
use crate::sink::{self, Deposited, Identity, Log, OutputKind, Part, Target, TileSink, Written};

/// A job that is to be made in parts.
#[derive(Debug)]
pub struct Division {
    plan: Plan,
    order: Vec<TileCoord>,
    costs: Vec<u64>,
    /// All that decides the tiles.
    pub identity: Identity,
}

impl Division {
    /// Plans a job.
    ///
    /// # Errors
    /// Those of the plan, and [`Error::Usage`] for jobs that cannot be taken apart.
    pub fn new(job: &TileJob) -> Result<Self> {
        job.validate()?;
        if job.update.is_some() {
            return Err(Error::Usage(
                "--update-bbox makes a part of a set anew: it is no job for many".to_owned(),
            ));
        }
        let job = detached(job, &job.target.path);
        job.inputs.iter().for_each(SourceSpec::note_files);
        let plan = Plan::new(&job)?;
        let identity = identity(&job, &plan)?;
        let mut order = plan.pyramid.metatiles(1);
        let finest = order.iter().map(|tile| tile.z).max().unwrap_or_default();
        order.sort_by_key(|tile| (tile.z, along(*tile, finest)));
        let costs = order.iter().map(|tile| plan.tiles_under(*tile)).collect();
        Ok(Self { plan, order, costs, identity })
    }

    /// What the metatiles cost, in the order of the job: the tiles of each.
    pub fn costs(&self) -> &[u64] {
        &self.costs
    }
}

/// The place of a tile along a Z-shaped curve through the tiles of a finer level.
pub(in crate::job) fn along(tile: TileCoord, finest: u8) -> u64 {
    let spread = |v: u32| (0..32).fold(0u64, |bits, k| bits | u64::from(v >> k & 1) << (2 * k));
    (spread(tile.x) | spread(tile.y) << 1) << (2 * u32::from(finest.saturating_sub(tile.z)))
}

/// The same job, with its unfinished work beside another path.
fn detached(job: &TileJob, path: &Path) -> TileJob {
    TileJob { target: Target::new(path), resume: true, ..job.clone() }
}

/// What the tiles of a part are kept in: a spool, whatever container they are for.
fn spool(kind: OutputKind) -> OutputKind {
    if kind == OutputKind::Folder { OutputKind::Tar } else { kind }
}

/// What a part came to.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its tiles, those of nodes that it completed included.
    pub tiles: u64,
    /// Windows of the inputs that could not be read.
    pub skipped: Skipped,
    /// How busy each stage was.
    pub stats: Stats,
}

/// Takes tiles and notes, and leaves them where they are.
struct Parked {
    sink: Box<dyn TileSink>,
    log: Log,
    tiles: u64,
}

impl pipeline::Sink for Parked {
    type Item = Woven;
    type Done = u64;
    type Error = Error;

    fn write(&mut self, woven: Woven) -> Result<()> {
        match woven {
            Woven::Tile(_) => {
                self.tiles += 1;
                Ok(())
            }
            Woven::Record(record) => self.log.append(&record),
        }
    }

    fn finish(self) -> Result<u64> {
        self.sink.depot().sync()?;
        self.log.sync()?;
        Ok(self.tiles)
    }
}

/// Makes a part of a job: the metatiles of a stretch. `output` is the job's output in another folder, beside which the work is
/// left; what an interrupted run left there is gone on with.
///
/// # Errors
/// Everything that can go wrong in a run; [`Error::Changed`] when `identity` is not that of the job any more.
pub fn make(
    job: &TileJob,
    stretch: Range<usize>,
    identity: &Identity,
    output: &Path,
    monitor: &Monitor,
    planned: impl FnOnce(usize),
) -> Result<Made> {
    let Division { plan, order, identity: own, .. } = Division::new(job)?;
    same(&job.inputs, identity, &own)?;
    let job = &detached(job, output);
    let kind = OutputKind::from_path(&job.target.path)?;
    let encoder = Encoder::new(job, &plan)?;
    let info = info(job, &plan, job.tiles.format());
    let (container, log) = sink::resume(spool(kind), &job.target, info, &own, job.threads)?;
    let cache = ChunkCache::new(plan.budget.chunks);
    let mut loom = Loom::new(&plan, &encoder, container.depot());
    loom.resume(&log)?;
    let mut tasks = order.get(stretch).unwrap_or_default().to_vec();
    tasks.retain(|task| !log.has(*task));
    tasks.sort_unstable_by_key(|t| (std::cmp::Reverse(t.z), t.x / plan.budget.swath.max(1), t.y, t.x));
    planned(tasks.len());
    let earlier = log.tiles();
    let limits = Limits {
        readers: job.readers.min(tasks.len()),
        threads: job.threads,
        memory: plan.budget.in_flight,
        order: Order::Arrival,
    };
    let outcome = pipeline::run(
        tasks,
        &limits,
        monitor,
        Job {
            cost: |metatile: &TileCoord| budget::task(&plan, *metatile, true),
            open: || Ok(TileReader::new(&plan, &cache)),
            read: |reader: &mut TileReader<'_>, metatile: &TileCoord| reader.read(*metatile),
            process: |weft| loom.weave(weft),
            create: || Ok(Parked { sink: container.open(), log, tiles: earlier }),
        },
    )?;
    let Outcome { done, stats } = outcome;
    Ok(Made { tiles: done, skipped: Skipped::of(&job.inputs), stats })
}

/// What was put together.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The container.
    pub written: Written,
    /// Tiles of nodes that no part could make.
    pub nodes: u64,
    /// Wall time.
    pub seconds: f64,
}

/// Puts the parts of a job together. `outputs` are the outputs that were given to [`make`].
///
/// # Errors
/// [`Error::Output`] when a part is damaged or the disk refuses, [`Error::Input`] when nothing holds data, [`Error::Changed`] when the job is no longer
/// what was planned. Nothing then stands under the output's name that did not stand there before.
pub fn join(job: &TileJob, identity: &Identity, outputs: &[impl AsRef<Path>]) -> Result<Joined> {
    let begun = Instant::now();
    let Division { plan, order, identity: own, .. } = Division::new(job)?;
    same(&job.inputs, identity, &own)?;
    let kind = OutputKind::from_path(&job.target.path)?;
    let encoder = Encoder::new(job, &plan)?;
    let info = info(job, &plan, job.tiles.format());
    let parts: Vec<Part> = outputs
        .iter()
        .map(|output| Part::open(spool(kind), &Target::new(output.as_ref()), &info, &own))
        .collect::<Result<_>>()?;
    let found: usize = parts.iter().map(|part| part.log().done().count()).sum();
    if found != order.len() {
        let reason = format!("the shards hold {found} of {} metatiles: make them anew", order.len());
        return Err(Error::output(&job.target.path, reason));
    }
    let container = sink::begin(kind, &job.target, info)?.with_pages(&job.webviewers);
    let depot = container.depot();
    let tiles = Mutex::new(Vec::<Deposited>::new());
    for part in &parts {
        if let Some(own) = part.adopt(&depot)? {
            tiles.lock().unwrap_or_else(PoisonError::into_inner).extend(own);
            continue;
        }
        let copy = |bytes: &mut Vec<u8>, number: u64| -> Result<()> {
            let copied = part.copy(number as usize, &depot, bytes)?;
            tiles.lock().unwrap_or_else(PoisonError::into_inner).extend(copied);
            Ok(())
        };
        let tasks = part.log().done().count() as u64;
        side_by_side(job.threads, tasks, Vec::new, copy).map_err(|cause| match cause {
            Cause::Failed(error) => error,
            other => Error::Internal(other.to_string()),
        })?;
    }
    let loom = Loom::new(&plan, &encoder, depot);
    let nodes = loom.join(parts.iter().map(Part::log))?;
    let tiles = tiles.into_inner().unwrap_or_else(PoisonError::into_inner);
    if tiles.is_empty() {
        return Err(super::empty(job));
    }
    let mut sink = container.open();
    let made = nodes.len() as u64;
    tiles.into_iter().chain(nodes).try_for_each(|tile| sink.accept(tile))?;
    let written = sink.finish()?;
    Ok(Joined { written, nodes: made, seconds: begun.elapsed().as_secs_f64() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtree_is_one_stretch_of_the_curve() {
        let mut tiles: Vec<TileCoord> =
            (0..16).flat_map(|y| (0..16).map(move |x| TileCoord::new(4, x, y))).collect();
        tiles.sort_by_key(|tile| along(*tile, 6));
        for (k, sixteen) in tiles.chunks(16).enumerate() {
            let first = sixteen[0];
            assert!(sixteen.iter().all(|t| (t.x / 4, t.y / 4) == (first.x / 4, first.y / 4)), "{k}");
        }
    }
}
