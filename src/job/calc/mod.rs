//! `calc`: computes with the bands of rasters, into one raster.
//!
//! ```text
//! CalcJob ──▶ Plan ──▶ readers: windows of all inputs ──▶ pool: align, evaluate, round ──▶ writer: the dataset
//! ```
//!
//! The windows are whole blocks of the output and make no difference to its pixels: what is computed for a pixel depends on that
//! pixel of the inputs, on those around it where an operation asks for them, and on its place alone. Blocks are written in the order of their place, so that neither windows nor
//! threads nor memory make a difference to the bytes of the file.

mod budget;
mod cast;
mod cog;
mod feed;
pub mod grid;
mod ground;
pub mod inputs;
pub mod output;
pub mod parts;
pub mod plan;
mod reader;
mod report;
mod statistics;
mod weave;

use std::time::Instant;

pub use plan::{Budget, Plan};
pub(super) use report::Written;
pub use report::{BandReport, Report};
pub use weave::Tally;

use super::parts::strips::Cloth;
use super::room::{self, Need};
use crate::block::SampleType;
use crate::error::{Error, Result};
use crate::job::effort::Effort;
use crate::op::{Call, Edge};
use crate::pipeline::{self, Job, Limits, Monitor, Order, Outcome, try_one};
use crate::raster::chunks::ChunkCache;
use crate::raster::writer::{Overviews, Verification, WrittenRaster};
use crate::raster::{DatasetSpec, DatasetWriter, SourceSpec};
use crate::resampling::Resampling;
use crate::target::{Shape, Target};
use crate::window::Window;
use reader::{CalcReader, Weft};
use weave::Loom;

/// An input of a calculation.
#[derive(Debug, Clone)]
pub struct CalcInput {
    /// Its name in expressions; default the letter of its position, A for the first.
    pub name: Option<String>,
    /// Where it is and how to open it.
    pub source: SourceSpec,
    /// 1-based number of the band that the name alone means; default the first.
    pub band: usize,
}

impl CalcInput {
    /// An input with every default.
    pub fn new(source: SourceSpec) -> Self {
        Self { name: None, source, band: 1 }
    }
}

/// What becomes of the inputs' pixels without data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodataPolicy {
    /// What is computed from them has no data either.
    #[default]
    Propagate,
    /// Declared values are values like all others, masks and opacity do not count; not-a-number is still no data.
    Ignore,
}

/// The value of the output's pixels without data.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Nodata {
    /// One that no result has, as far as that is known beforehand: not-a-number, or the limit of an integer type; none where
    /// every pixel is sure to have data.
    #[default]
    Auto,
    /// None is declared; pixels without data hold not-a-number, or 0.
    None,
    /// This.
    Value(f64),
}

/// Whether the output has overviews, and how they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverviewChoice {
    /// It has none, unless it is a COG.
    #[default]
    None,
    /// By average of numbers, nearest of truth values and integers.
    Auto,
    /// By this method.
    By(Resampling),
}

/// A calculation: inputs, expressions and output. [`CalcJob::new`] holds every default.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // they are independent of each other
pub struct CalcJob {
    /// The rasters.
    pub inputs: Vec<CalcInput>,
    /// The place of the output.
    pub target: Target,
    /// One expression for each band, as described in [`crate::expr`]; default the bands of the first input.
    pub expressions: Vec<String>,
    /// What is done with these bands, one after the other, as described in [`crate::op`].
    pub operations: Vec<Call>,
    /// What operations take the pixels beyond the border for; default what each of them has by itself.
    pub edge: Option<Edge>,
    /// A raster whose grid the output has; default the first input.
    pub like: Option<SourceSpec>,
    /// How inputs on other grids are resampled; default nearest.
    pub resampling: Option<Resampling>,
    /// Take pixels of all inputs one by one, whatever their georeferencing; they must be of one size.
    pub ignore_georeferencing: bool,
    /// Apply the scale and offset that bands declare.
    pub unscale: bool,
    /// What becomes of the inputs' pixels without data.
    pub policy: NodataPolicy,
    /// The value of the output's pixels without data.
    pub nodata: Nodata,
    /// Type of the output's samples; default the smallest integer type that holds all results where they are integers, else
    /// 32-bit floats, or 64-bit ones where an input is of 64-bit floats or 32-bit integers.
    pub sample_type: Option<SampleType>,
    /// GDAL's short name of the output's format; default `GTiff`. `COG` is a cloud-optimised GeoTIFF, made in the same pass.
    pub driver: String,
    /// Creation options, `KEY=VALUE`; those of a COG are [`super::cog::CogOptions`].
    pub creation_options: Vec<String>,
    /// Whether the output has overviews, for a GeoTIFF; a COG has them unless its creation options say otherwise.
    pub overviews: OverviewChoice,
    /// Whether the output gets the metadata of the first input, for a GeoTIFF.
    pub carry_metadata: bool,
    /// Further metadata items of the output.
    pub metadata: Vec<(String, String)>,
    /// Whether the bands' minimum, maximum, mean and standard deviation are among their metadata, for a GeoTIFF.
    pub statistics: bool,
    /// Fail when a result does not fit its type, is the value for no data, or is undefined.
    pub strict: bool,
    /// Side of the windows in pixels; default what suits the files and the memory. It makes no difference to the pixels.
    pub window: Option<usize>,
    /// Reader threads.
    pub readers: usize,
    /// Threads of the CPU pool.
    pub threads: usize,
    /// Bytes the whole process should stay within.
    pub memory: usize,
}

impl CalcJob {
    /// A job with every default, for the machine it runs on.
    pub fn new(inputs: Vec<CalcInput>, target: Target, expressions: Vec<String>) -> Self {
        let threads = super::machine::threads();
        Self {
            inputs,
            target,
            expressions,
            operations: Vec::new(),
            edge: None,
            like: None,
            resampling: None,
            ignore_georeferencing: false,
            unscale: false,
            policy: NodataPolicy::default(),
            nodata: Nodata::default(),
            sample_type: None,
            driver: "GTiff".to_owned(),
            creation_options: Vec::new(),
            overviews: OverviewChoice::default(),
            carry_metadata: true,
            metadata: Vec::new(),
            statistics: false,
            strict: false,
            window: None,
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
        let usage = |text: &str| Err(Error::Usage(text.to_owned()));
        if self.inputs.is_empty() {
            return usage("no input given");
        }
        if self.expressions.is_empty() && self.operations.is_empty() {
            return usage(
                "nothing to compute: give an expression, as in --expr 'A + B', or an operation, as in --op hillshade",
            );
        }
        inputs::names(&self.inputs).map(|_| ())
    }

    /// What the writer creates.
    fn spec(&self, plan: &Plan) -> DatasetSpec {
        let lossy = plan.storage.lossy;
        DatasetSpec {
            driver: plan.storage.driver.clone(),
            creation_options: plan.storage.options.clone(),
            geotransform: plan.grid.geotransform(),
            wkt: plan.grid.geotransform().and_then(|_| plan.grid.georeferencing.wkt.clone()),
            nodata: plan.form.nodata,
            band_names: plan.band_names.clone(),
            quantities: plan.quantities.clone(),
            band_metadata: plan.band_metadata.clone(),
            palette: plan.palette.clone(),
            metadata: plan.metadata.clone(),
            ordered: true,
            overviews: plan.overviews.map(|method| Overviews::halving(plan.grid.size, method)),
            packing: plan.storage.packing,
            threads: self.threads,
            verification: if lossy { Verification::Decoding } else { Verification::Pixels },
            ..DatasetSpec::new(plan.grid.size, plan.bands(), plan.form.sample_type)
        }
    }
}

/// The dataset, which is not finished if anything was counted that must not be.
struct Checked<'a> {
    writer: DatasetWriter,
    job: &'a CalcJob,
    plan: &'a Plan,
    loom: &'a Loom<'a>,
}

/// Refuses what was counted where nothing must be.
fn check(job: &CalcJob, plan: &Plan, tally: &[Tally]) -> Result<()> {
    if !job.strict {
        return Ok(());
    }
    let misfits = report::misfits(plan, tally);
    misfits.into_iter().next().map_or(Ok(()), |misfit| Err(Error::Strict(format!("--strict: {misfit}"))))
}

impl pipeline::Sink for Checked<'_> {
    type Item = Cloth;
    type Done = WrittenRaster;
    type Error = Error;

    fn write(&mut self, cloth: Cloth) -> Result<()> {
        match cloth {
            Cloth::Packed(packed) => self.writer.write_packed(packed),
            Cloth::Pixels(block) => self.writer.write(&block),
        }
    }

    fn finish(mut self) -> Result<WrittenRaster> {
        check(self.job, self.plan, &self.loom.tally())?;
        self.writer.describe_bands(self.loom.statistics());
        self.writer.finish()
    }
}

/// Runs a job: plans it, computes, writes. `planned` is called with the plan and the number of windows before work begins, for a
/// progress display.
///
/// # Errors
/// Everything that can go wrong; nothing then stands under the output's name that did not stand there before.
pub fn run(job: &CalcJob, monitor: &Monitor, planned: impl FnOnce(&Plan, usize)) -> Result<Report> {
    let begun = Instant::now();
    job.validate()?;
    let mut plan = Plan::new(job)?;
    job.target.check(Shape::File)?;
    let note = room::check(&job.target, need(job, &plan))?;
    plan.notes.extend(note);
    let cache = ChunkCache::new(plan.budget.chunks);
    let loom = Loom::new(&plan);
    let windows = plan.windows();
    let count = windows.len();
    planned(&plan, count);

    let (written, stats) = if let Some(cog) = &plan.cog {
        let Outcome { done: (bytes, stored), stats } = cog::run(job, &plan, cog, &loom, &cache, monitor)?;
        (Written { bytes, windows: count, cog: Some(stored) }, stats)
    } else {
        let Outcome { done, stats } = weave(job, &plan, &loom, &cache, windows, monitor, || {
            let writer = DatasetWriter::create(&job.target, job.spec(&plan))?;
            Ok(Checked { writer, job, plan: &plan, loom: &loom })
        })?;
        (Written::from(done), stats)
    };
    Ok(Report::new(job, &plan, written, &loom.tally(), Effort::new(stats, cache.decoded(), begun.elapsed())))
}

/// What it takes on the disk.
fn need(job: &CalcJob, plan: &Plan) -> Need {
    plan.cog.as_ref().map_or_else(|| Need::of(&job.spec(plan)), |cog| cog.need())
}

/// Computes windows; they go to the sink that is created.
fn weave<S: pipeline::Sink<Item = Cloth, Error = Error>>(
    job: &CalcJob,
    plan: &Plan,
    loom: &Loom<'_>,
    cache: &ChunkCache,
    windows: Vec<Window>,
    monitor: &Monitor,
    create: impl FnOnce() -> Result<S> + Send,
) -> Result<Outcome<S::Done>>
where
    S::Done: Send,
{
    let limits = Limits {
        // A reader opens handles and transformations of its own.
        readers: job.readers.min(windows.len()),
        threads: job.threads,
        memory: plan.budget.in_flight,
        order: Order::Plan,
    };
    let outcome = pipeline::run(
        windows,
        &limits,
        monitor,
        Job {
            cost: |window: &Window| budget::cost(plan, window.size()).min(plan.budget.in_flight),
            open: || Ok(CalcReader::new(plan, cache)),
            read: |reader: &mut CalcReader<'_>, window: &Window| reader.read(*window),
            process: try_one(|weft: Weft| Cloth::of(loom.weave(weft)?, plan.storage.packing)),
            create,
        },
    )?;
    Ok(outcome)
}

/// Plans a job to say what it would do; reads no pixels and writes nothing.
///
/// # Errors
/// Those of the plan, and of a place that cannot be written to.
pub fn dry_run(job: &CalcJob) -> Result<Plan> {
    job.validate()?;
    let mut plan = Plan::new(job)?;
    job.target.check(Shape::File)?;
    let note = room::check(&job.target, need(job, &plan))?;
    plan.notes.extend(note);
    Ok(plan)
}
