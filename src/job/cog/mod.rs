//! `cog`: rasters to a cloud-optimised `GeoTIFF`, in one pass.
//!
//! ```text
//! CogJob ──▶ Plan ──▶ readers: the pixels of metatiles ──▶ pool: pack, reduce, pack overviews ──▶ writer: spool, then the file
//! ```
//!
//! Each pixel of the inputs is read once. A metatile of some blocks is packed and reduced on the spot; upper levels wait in memory
//! for their quarters. Neither threads nor memory make a difference to the bytes of the file.

mod budget;
mod groups;
mod inputs;
pub mod options;
pub mod parts;
pub mod plan;
mod reader;
pub mod regrid;
mod report;
mod statistics;
mod weave;

use std::time::Instant;

pub use options::CogOptions;
pub use plan::{Budget, Plan};
pub use report::Report;

use super::{room, warp};
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::pipeline::{self, Job, Limits, Monitor, Order, Outcome};
use crate::raster::SourceSpec;
use crate::raster::chunks::ChunkCache;
use crate::raster::template::Statistics;
use crate::resampling::Resampling;
use crate::sink::cog::{CogBlock, CogWriter, WrittenCog};
use crate::target::{Shape, Target};
use options::StatisticsChoice;
use reader::{CogReader, Weft, filled};
use weave::Loom;

/// The declared value of pixels without data.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Nodata {
    /// The one that the first input declares for each band.
    #[default]
    Declared,
    /// None.
    None,
    /// This, for all bands. No pixel is changed.
    Value(f64),
}

/// A COG to be made: inputs, output and all that decides its bytes. [`CogJob::new`] holds every default.
#[derive(Debug, Clone)]
pub struct CogJob {
    /// The rasters, later ones over earlier ones; their pixels lie on one grid.
    pub inputs: Vec<SourceSpec>,
    /// The place of the output.
    pub target: Target,
    /// 1-based numbers of the bands that are taken; default all.
    pub bands: Vec<usize>,
    /// The declared value of pixels without data.
    pub nodata: Nodata,
    /// Tell by a mask where there is data, instead of nodata values or opacity; default as the inputs do.
    pub add_mask: bool,
    /// How overviews are made; default average, mode for palettes.
    pub overview_resampling: Option<Resampling>,
    /// Options by the names of GDAL's COG driver, `KEY=VALUE`.
    pub creation_options: Vec<String>,
    /// Reader threads.
    pub readers: usize,
    /// Threads of the CPU pool.
    pub threads: usize,
    /// Bytes the whole process should stay within.
    pub memory: usize,
}

impl CogJob {
    /// A job with every default, for the machine it runs on.
    pub fn new(inputs: Vec<SourceSpec>, target: Target) -> Self {
        let threads = super::machine::threads();
        Self {
            inputs,
            target,
            bands: Vec::new(),
            nodata: Nodata::default(),
            add_mask: false,
            overview_resampling: None,
            creation_options: Vec::new(),
            readers: threads,
            threads,
            memory: super::machine::default_memory(threads, threads),
        }
    }

    /// Refuses options that make no sense, before any file is touched.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn validate(&self) -> Result<()> {
        if self.inputs.is_empty() {
            return Err(Error::Usage("no input given".to_owned()));
        }
        CogOptions::new(&self.creation_options).map(|_| ())
    }
}

/// The file, and what is told of its bands in the end.
struct Woven<'a> {
    writer: CogWriter,
    plan: &'a Plan,
    loom: &'a Loom<'a>,
}

impl pipeline::Sink for Woven<'_> {
    type Item = CogBlock;
    type Done = WrittenCog;
    type Error = Error;

    fn write(&mut self, block: CogBlock) -> Result<()> {
        self.writer.write(&block)
    }

    fn finish(self) -> Result<WrittenCog> {
        self.writer.finish(statistics(self.plan, self.loom))
    }
}

/// Reads the pixels of metatiles, or what they are resampled from.
enum Feeder<'a> {
    Own(CogReader<'a>),
    Warp(&'a Plan, Box<warp::reader::WarpReader<'a>>),
}

/// What was read for a metatile.
enum Feed {
    Own(Weft),
    Warp(TileCoord, warp::reader::Weft),
}

impl<'a> Feeder<'a> {
    fn new(plan: &'a Plan, cache: &'a ChunkCache) -> Self {
        match &plan.warp {
            Some(onto) => Self::Warp(plan, Box::new(warp::reader::WarpReader::new(onto, cache))),
            None => Self::Own(CogReader::new(plan, cache)),
        }
    }

    fn read(&mut self, metatile: TileCoord) -> Result<Feed> {
        match self {
            Self::Own(reader) => reader.read(metatile).map(Feed::Own),
            Self::Warp(plan, reader) => Ok(Feed::Warp(metatile, reader.read(plan.window(metatile))?)),
        }
    }
}

/// The pixels of a metatile.
fn warped(plan: &Plan, warper: Option<&warp::weave::Loom<'_>>, feed: Feed) -> Result<Weft> {
    match (feed, warper) {
        (Feed::Own(weft), _) => Ok(weft),
        (Feed::Warp(metatile, weft), Some(warper)) => {
            Ok(Weft { metatile, pixels: filled(warper.weave(weft)?, &plan.grouping.fill) })
        }
        (Feed::Warp(..), None) => Err(Error::Internal("a warp without a loom".to_owned())),
    }
}

/// Runs a job. `planned` is called with the plan and the number of metatiles before work begins, for a progress display.
///
/// # Errors
/// Everything that can go wrong; nothing then stands under the output's name that did not stand there before.
pub fn run(job: &CogJob, monitor: &Monitor, planned: impl FnOnce(&Plan, usize)) -> Result<Report> {
    let begun = Instant::now();
    job.validate()?;
    let mut plan = Plan::new(job)?;
    job.target.check(Shape::File)?;
    let note = room::check(&job.target, plan.need())?;
    plan.notes.extend(note);
    let cache = ChunkCache::new(plan.budget.chunks);
    let loom = Loom::new(&plan);
    let metatiles = plan.metatiles();
    planned(&plan, metatiles.len());
    let outcome = weave(job, &plan, &loom, &cache, metatiles, monitor, || {
        let writer = CogWriter::create(&job.target, plan.spec.clone())?;
        Ok(Woven { writer, plan: &plan, loom: &loom })
    })?;
    let Outcome { done, stats } = outcome;
    Ok(Report::new(job, &plan, &done, stats, cache.decoded(), begun.elapsed()))
}

/// Makes the blocks of metatiles; they go to the sink that is created.
fn weave<S: pipeline::Sink<Item = CogBlock, Error = Error>>(
    job: &CogJob,
    plan: &Plan,
    loom: &Loom<'_>,
    cache: &ChunkCache,
    metatiles: Vec<TileCoord>,
    monitor: &Monitor,
    create: impl FnOnce() -> Result<S> + Send,
) -> Result<Outcome<S::Done>>
where
    S::Done: Send,
{
    let warper = plan.warp.as_ref().map(warp::weave::Loom::new);
    let limits = Limits {
        // A reader opens handles of its own.
        readers: job.readers.min(metatiles.len()),
        threads: job.threads,
        memory: plan.budget.in_flight,
        // The writer puts everything in its place.
        order: Order::Arrival,
    };
    let outcome = pipeline::run(
        metatiles,
        &limits,
        monitor,
        Job {
            cost: |_: &TileCoord| plan.budget.task.min(plan.budget.in_flight),
            open: || Ok(Feeder::new(plan, cache)),
            read: |feeder: &mut Feeder<'_>, metatile: &TileCoord| feeder.read(*metatile),
            process: |feed: Feed| loom.weave(warped(plan, warper.as_ref(), feed)?),
            create,
        },
    )?;
    Ok(outcome)
}

/// What is told of the values of the bands, where that was computed.
fn statistics(plan: &Plan, loom: &Loom<'_>) -> Option<Statistics> {
    let pixels = plan.levels[0].area() as u64;
    (plan.statistics == StatisticsChoice::Yes)
        .then(|| Statistics::Computed(loom.sums().iter().map(|sums| sums.items(pixels)).collect()))
}

/// Plans a job to say what it would do; reads no pixels and writes nothing.
///
/// # Errors
/// Those of the plan, and of a place that cannot be written to.
pub fn dry_run(job: &CogJob) -> Result<Plan> {
    job.validate()?;
    let mut plan = Plan::new(job)?;
    job.target.check(Shape::File)?;
    let note = room::check(&job.target, plan.need())?;
    plan.notes.extend(note);
    Ok(plan)
}
