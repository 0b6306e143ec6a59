//! `warp`: rasters onto another grid, into one raster: reprojected, resampled, put together, cut to polygons.
//!
//! ```text
//! WarpJob ──▶ Plan ──▶ readers: source pixels under windows of the output ──▶ pool: resample, lay over each other ──▶ writer
//! ```
//!
//! A pixel depends on the pixels of the inputs around its own place alone, not on the window it is made in: there are no seams,
//! and neither threads nor memory make a difference to the bytes of the file.

pub(super) mod budget;
mod cog;
mod finish;
pub(super) mod grid;
pub mod parts;
mod plan;
pub(super) mod reader;
mod report;
pub(super) mod weave;

use std::time::Instant;

pub use super::calc::Budget;
pub use super::calc::grid::Grid;
pub(super) use plan::Layer;
pub use plan::Plan;
pub use report::Report;

use super::calc::{Nodata, Written};
use super::parts::strips::Cloth;
use super::room::{self, Need};
use crate::block::{Block, SampleType, Validity};
use crate::error::{Error, Result};
use crate::grid::Bounds;
use crate::job::effort::Effort;
use crate::pipeline::{self, Job, Limits, Monitor, Order, Outcome, try_one};
use crate::raster::chunks::ChunkCache;
use crate::raster::cutline::CutlineSpec;
use crate::raster::writer::{Overviews, Verification, WrittenRaster};
use crate::raster::{DatasetSpec, DatasetWriter, SourceSpec};
use crate::resampling::Resampling;
use crate::target::{Shape, Target};
use crate::window::Window;
use reader::{WarpReader, Weft};
use weave::Loom;

/// What is seen where inputs overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// The later input.
    #[default]
    Last,
    /// The earlier input.
    First,
    /// In each band the least value.
    Min,
    /// In each band the greatest value.
    Max,
    /// In each band the mean of all values.
    Average,
}

/// Whether overviews of the inputs stand in for their pixels where the output is coarser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverviewUse {
    /// The smallest overview that is still as fine as the output; never for nearest and mode, whose values have to be those of pixels.
    #[default]
    Auto,
    /// No.
    None,
}

/// The rectangle that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Its edges.
    pub bounds: Bounds,
    /// The CRS of its edges, if it is another one than the output's.
    pub crs: Option<String>,
}

/// The grid that is asked for. What is not said follows from the inputs, as in `gdalwarp`.
#[derive(Debug, Clone, Default)]
pub struct GridRequest {
    /// Coordinate reference system, by its definition; default that of the first input.
    pub crs: Option<String>,
    /// Width and height of a pixel in units of the CRS; default what keeps the inputs' resolution.
    pub resolution: Option<(f64, f64)>,
    /// The rectangle; default what all inputs cover.
    pub region: Option<Region>,
    /// Columns and rows; one of them may be 0 for what keeps pixels square.
    pub size: Option<(usize, usize)>,
    /// Move edges outwards to multiples of the resolution.
    pub aligned: bool,
    /// A raster whose grid the output has, all of it.
    pub like: Option<SourceSpec>,
}

/// A warp: inputs, grid and output. [`WarpJob::new`] holds every default.
#[derive(Debug, Clone)]
pub struct WarpJob {
    /// The rasters, later ones over earlier ones unless `overlap` says otherwise.
    pub inputs: Vec<SourceSpec>,
    /// The place of the output.
    pub target: Target,
    /// The output's grid.
    pub grid: GridRequest,
    /// How pixels are resampled.
    pub resampling: Resampling,
    /// Whether overviews of the inputs are used.
    pub overview_use: OverviewUse,
    /// What is seen where inputs overlap.
    pub overlap: Overlap,
    /// Polygons outside of which no pixel holds data; default none.
    pub cutline: Option<CutlineSpec>,
    /// Make the output no larger than the cutline.
    pub crop_to_cutline: bool,
    /// 1-based numbers of the bands that are taken; default all.
    pub bands: Vec<usize>,
    /// Type of the output's samples; default the one that holds all inputs'.
    pub sample_type: Option<SampleType>,
    /// The value of the output's pixels without data; by default that of the inputs.
    pub nodata: Nodata,
    /// Add a band of opacity, also where no input has one.
    pub add_alpha: bool,
    /// GDAL's short name of the output's format; default `GTiff`. `COG` is a cloud-optimised GeoTIFF, made in the same pass.
    pub driver: String,
    /// Creation options, `KEY=VALUE`; those of a COG are [`super::cog::CogOptions`].
    pub creation_options: Vec<String>,
    /// How overviews of the output are made; default none, in a COG average, mode for palettes.
    pub overviews: Option<Resampling>,
    /// Whether the output gets the metadata, units, scales and offsets that the inputs agree on, for a GeoTIFF.
    pub carry_metadata: bool,
    /// Further metadata items of the output.
    pub metadata: Vec<(String, String)>,
    /// Side of the windows in pixels; default what suits the files and the memory. It makes no difference to the pixels.
    pub window: Option<usize>,
    /// Reader threads.
    pub readers: usize,
    /// Threads of the CPU pool.
    pub threads: usize,
    /// Bytes the whole process should stay within.
    pub memory: usize,
}

impl WarpJob {
    /// A job with every default, for the machine it runs on.
    pub fn new(inputs: Vec<SourceSpec>, target: Target) -> Self {
        let threads = super::machine::threads();
        Self {
            inputs,
            target,
            grid: GridRequest::default(),
            resampling: Resampling::Nearest,
            overview_use: OverviewUse::default(),
            overlap: Overlap::default(),
            cutline: None,
            crop_to_cutline: false,
            bands: Vec::new(),
            sample_type: None,
            nodata: Nodata::default(),
            add_alpha: false,
            driver: "GTiff".to_owned(),
            creation_options: Vec::new(),
            overviews: None,
            carry_metadata: true,
            metadata: Vec::new(),
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
        if self.crop_to_cutline && self.cutline.is_none() {
            return usage("--crop-to-cutline needs a --cutline");
        }
        if self.crop_to_cutline && self.grid.region.is_some() {
            return usage("--crop-to-cutline and -te both say how large the output is: drop one of them");
        }
        self.grid.validate()
    }

    /// What the writer creates.
    fn spec(&self, plan: &Plan) -> DatasetSpec {
        let lossy = plan.storage.lossy;
        DatasetSpec {
            driver: plan.storage.driver.clone(),
            creation_options: plan.storage.options.clone(),
            geotransform: plan.grid.geotransform(),
            wkt: plan.grid.georeferencing.wkt.clone(),
            nodata: plan.nodata,
            band_names: plan.band_names.clone(),
            palette: plan.palette.clone(),
            quantities: plan.quantities.clone(),
            band_metadata: plan.band_metadata.clone(),
            metadata: plan.metadata.clone(),
            ordered: true,
            overviews: self.overviews.map(|method| Overviews::halving(plan.grid.size, method)),
            packing: plan.storage.packing,
            threads: self.threads,
            verification: if lossy { Verification::Decoding } else { Verification::Pixels },
            ..DatasetSpec::new(plan.grid.size, plan.output_bands(), plan.sample_type)
        }
    }
}

impl GridRequest {
    /// # Errors
    /// [`Error::Usage`].
    fn validate(&self) -> Result<()> {
        let usage = |text: String| Err(Error::Usage(text));
        if self.like.is_some() {
            let given = [
                (self.crs.is_some(), "-t_srs"),
                (self.resolution.is_some(), "-tr"),
                (self.region.is_some(), "-te"),
                (self.size.is_some(), "-ts"),
                (self.aligned, "-tap"),
            ];
            if let Some((_, option)) = given.into_iter().find(|(given, _)| *given) {
                return usage(format!(
                    "--like takes the whole grid of a raster: {option} cannot be used with it"
                ));
            }
        }
        if self.resolution.is_some() && self.size.is_some() {
            return usage("-tr and -ts both say how large pixels are: drop one of them".to_owned());
        }
        if self.aligned && self.resolution.is_none() {
            return usage("-tap moves edges to multiples of the resolution: give one by -tr".to_owned());
        }
        if let Some((x, y)) = self.resolution
            && !(x.is_finite() && y.is_finite() && x > 0.0 && y > 0.0)
        {
            return usage(format!("-tr {x} {y}: give two numbers above 0"));
        }
        if self.size == Some((0, 0)) {
            return usage("-ts 0 0: give a number of columns, of rows, or both".to_owned());
        }
        if let Some(Region { bounds: b, .. }) = &self.region
            && !(b.west < b.east
                && b.south < b.north
                && (b.east - b.west).is_finite()
                && (b.north - b.south).is_finite())
        {
            let Bounds { west, south, east, north } = b;
            return usage(format!(
                "-te {west} {south} {east} {north}: give XMIN YMIN XMAX YMAX, the first two below the others"
            ));
        }
        Ok(())
    }
}

/// The dataset that takes windows.
struct Raster(DatasetWriter);

impl pipeline::Sink for Raster {
    type Item = Cloth;
    type Done = WrittenRaster;
    type Error = Error;

    fn write(&mut self, cloth: Cloth) -> Result<()> {
        match cloth {
            Cloth::Packed(packed) => self.0.write_packed(packed),
            Cloth::Pixels(block) => self.0.write(&block),
        }
    }

    fn finish(self) -> Result<WrittenRaster> {
        self.0.finish()
    }
}

/// Runs a job: plans it, resamples, writes. `planned` is called with the plan and the number of windows before work begins, for a
/// progress display.
///
/// # Errors
/// Everything that can go wrong; nothing then stands under the output's name that did not stand there before.
pub fn run(job: &WarpJob, monitor: &Monitor, planned: impl FnOnce(&Plan, usize)) -> Result<Report> {
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
        let Outcome { done: (bytes, stored), stats } = cog::run(&plan, cog, &loom, &cache, monitor)?;
        (Written { bytes, windows: count, cog: Some(stored) }, stats)
    } else {
        let Outcome { done, stats } = weave(job, &plan, &loom, &cache, windows, monitor, || {
            DatasetWriter::create(&job.target, job.spec(&plan)).map(Raster)
        })?;
        (Written::from(done), stats)
    };
    Ok(Report::new(job, &plan, written, loom.tally(), Effort::new(stats, cache.decoded(), begun.elapsed())))
}

/// What it takes on the disk.
fn need(job: &WarpJob, plan: &Plan) -> Need {
    plan.cog.as_ref().map_or_else(|| Need::of(&job.spec(plan)), |cog| cog.need())
}

/// Resamples windows; they go to the sink that is created.
fn weave<S: pipeline::Sink<Item = Cloth, Error = Error>>(
    job: &WarpJob,
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
            cost: |window: &Window| budget::cost(plan, window).min(plan.budget.in_flight),
            open: || Ok(WarpReader::new(plan, cache)),
            read: |reader: &mut WarpReader<'_>, window: &Window| reader.read(*window),
            process: try_one(|weft: Weft| {
                let block = Block { validity: Validity::All, ..loom.weave(weft)? };
                Cloth::of(block, plan.storage.packing)
            }),
            create,
        },
    )?;
    Ok(outcome)
}

/// Plans a job to say what it would do; reads no pixels and writes nothing.
///
/// # Errors
/// Those of the plan, and of a place that cannot be written to.
pub fn dry_run(job: &WarpJob) -> Result<Plan> {
    job.validate()?;
    let mut plan = Plan::new(job)?;
    job.target.check(Shape::File)?;
    let note = room::check(&job.target, need(job, &plan))?;
    plan.notes.extend(note);
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> WarpJob {
        WarpJob::new(vec![SourceSpec::new("a.tif")], Target::new("b.tif"))
    }

    #[test]
    fn grids_that_contradict_themselves_are_refused() {
        let box_of = |west, east| Region { bounds: Bounds { west, south: 0.0, east, north: 1.0 }, crs: None };
        let cases: [(&str, GridRequest); 6] = [
            (
                "--like",
                GridRequest { like: Some(SourceSpec::new("c.tif")), aligned: true, ..GridRequest::default() },
            ),
            (
                "-ts",
                GridRequest { resolution: Some((1.0, 1.0)), size: Some((2, 0)), ..GridRequest::default() },
            ),
            ("-tap", GridRequest { aligned: true, ..GridRequest::default() }),
            ("above 0", GridRequest { resolution: Some((1.0, -1.0)), ..GridRequest::default() }),
            ("-ts 0 0", GridRequest { size: Some((0, 0)), ..GridRequest::default() }),
            ("XMIN", GridRequest { region: Some(box_of(2.0, 1.0)), ..GridRequest::default() }),
        ];
        for (word, grid) in cases {
            let error = WarpJob { grid, ..job() }.validate().expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
        let error =
            WarpJob { crop_to_cutline: true, ..job() }.validate().expect_err("no cutline").to_string();
        assert!(error.contains("--cutline"), "{error}");
    }
}
