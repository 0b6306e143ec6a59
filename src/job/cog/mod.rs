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
mod made;
pub mod options;
pub mod parts;
pub mod plan;
mod reader;
pub mod regrid;
mod report;
mod statistics;
mod supply;
mod weave;

use std::time::Instant;

pub(super) use budget::Read;
pub(super) use made::{Asked, Made, Making};
pub use options::CogOptions;
pub use plan::{Budget, Plan};
pub use report::{Report, Stored};
pub(super) use supply::Supply;

use super::room;
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::job::effort::Effort;
use crate::pipeline::{self, Job, Limits, Monitor, Order, Outcome};
use crate::raster::SourceSpec;
use crate::raster::chunks::ChunkCache;
use crate::raster::template::Statistics;
use crate::resampling::Resampling;
use crate::sink::cog::{CogBlock, CogWriter, WrittenCog};
use crate::target::{Shape, Target};
use options::StatisticsChoice;
use supply::{Own, Regridded};
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

/// The file, and what is to be told of its bands in the end.
struct Woven<F> {
    writer: CogWriter,
    told: F,
}

impl<F: FnOnce() -> Result<Option<Statistics>>> pipeline::Sink for Woven<F> {
    type Item = CogBlock;
    type Done = WrittenCog;
    type Error = Error;

    fn write(&mut self, block: CogBlock) -> Result<()> {
        self.writer.write(&block)
    }

    fn finish(self) -> Result<WrittenCog> {
        let statistics = (self.told)()?;
        self.writer.finish(statistics)
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
        Ok(Woven { writer, told: || Ok(statistics(&plan, &loom)) })
    })?;
    let Outcome { done, stats } = outcome;
    Ok(Report::new(job, &plan, &done, Effort::new(stats, cache.decoded(), begun.elapsed())))
}

/// Makes a COG of pixels that are made on the way. `told` gives the statistics of its bands, unless they are computed here, or says why
/// it must not be finished.
///
/// # Errors
/// As [`run`].
fn run_made(
    job: &CogJob,
    plan: &Plan,
    supply: &impl Supply,
    monitor: &Monitor,
    told: impl FnOnce() -> Result<Option<Statistics>> + Send,
) -> Result<Outcome<WrittenCog>> {
    let loom = Loom::new(plan);
    let told = || {
        let told = told()?;
        Ok(statistics(plan, &loom).or(told.filter(|_| plan.statistics == StatisticsChoice::Auto)))
    };
    weave_from(supply, job, plan, &loom, plan.metatiles(), monitor, || {
        let writer = CogWriter::create(&job.target, plan.spec.clone())?;
        Ok(Woven { writer, told })
    })
}

/// Makes the blocks of metatiles from what the inputs hold; they go to the sink that is created.
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
    match &plan.warp {
        Some(onto) => {
            let supply = Regridded::new(plan, onto, cache);
            weave_from(&supply, job, plan, loom, metatiles, monitor, create)
        }
        None => weave_from(&Own { plan, cache }, job, plan, loom, metatiles, monitor, create),
    }
}

/// Makes the blocks of metatiles.
fn weave_from<S: pipeline::Sink<Item = CogBlock, Error = Error>>(
    supply: &impl Supply,
    job: &CogJob,
    plan: &Plan,
    loom: &Loom<'_>,
    metatiles: Vec<TileCoord>,
    monitor: &Monitor,
    create: impl FnOnce() -> Result<S> + Send,
) -> Result<Outcome<S::Done>>
where
    S::Done: Send,
{
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
            open: || Ok(supply.open()),
            read: |reader: &mut _, metatile: &TileCoord| {
                supply.read(reader, plan.window(*metatile)).map(|read| (*metatile, read))
            },
            process: |(metatile, read)| loom.weave(metatile, supply.make(read)?),
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
