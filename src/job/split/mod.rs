//! `split`: rasters into chips, for machine learning and for retiling.
//!
//! ```text
//! SplitJob ──▶ Plan ──▶ readers: the pixels of a place in all inputs ──▶ pool: align, fill up, encode ──▶ writer: files or shards
//! ```
//!
//! A place is a window of the grid that all inputs share. Its chips, one of each input, have the same size and place and the same
//! name. They are written in the order of the plan, so that neither threads nor memory make a difference to a byte of the output,
//! shards included.

mod budget;
mod identity;
mod index;
mod inputs;
pub mod layout;
pub mod names;
mod output;
pub mod partition;
mod plan;
mod reader;
mod report;
mod stac;
mod weave;

use std::time::Instant;

pub use index::{IndexKind, kinds as index_kinds};
pub use layout::Edges;
pub use partition::Subset;
pub use plan::{Budget, Plan};
pub use report::{LayerReport, Report, SubsetReport, layers as layer_reports};

use crate::error::{Error, Result};
use crate::job::effort::Effort;
use crate::pipeline::{self, Job, Limits, Monitor, Order, Outcome, try_one};
use crate::raster::SourceSpec;
use crate::raster::chunks::ChunkCache;
use crate::raster::cutline::CutlineSpec;
use crate::resampling::Resampling;
use crate::sink::chips::{Begun, ShardLimits};
use crate::target::{Shape, Target};
use output::Output;
use reader::{SplitReader, Weft};
use weave::Loom;

/// An input: a raster of which each place gives a chip.
#[derive(Debug, Clone)]
pub struct SplitInput {
    /// Its name, that of its chips' folder; default `image` or `label`, or the name of its file where there are several.
    pub name: Option<String>,
    /// Where it is and how to open it.
    pub source: SourceSpec,
    /// Whether it holds classes, which are never mixed.
    pub label: bool,
}

impl SplitInput {
    /// An input with every default.
    pub fn new(source: SourceSpec) -> Self {
        Self { name: None, source, label: false }
    }
}

/// How large chips are, and how far apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Extent {
    /// In pixels, or in units of the CRS.
    Size {
        /// Width and height; default 256 pixels.
        size: Option<(f64, f64)>,
        /// How far chips lie over the next one; default not at all.
        overlap: Option<(f64, f64)>,
        /// From the start of a chip to the start of the next; default the size without the overlap.
        stride: Option<(f64, f64)>,
        /// Whether these are units of the CRS.
        ground: bool,
    },
    /// So many columns and rows of chips, of about the same size.
    Grid {
        /// Columns of chips.
        columns: usize,
        /// Rows of chips.
        rows: usize,
    },
}

impl Default for Extent {
    fn default() -> Self {
        Self::Size { size: None, overlap: None, stride: None, ground: false }
    }
}

/// Chips dealt out to subsets.
#[derive(Debug, Clone, PartialEq)]
pub struct Dealing {
    /// The subsets with their shares.
    pub subsets: Vec<Subset>,
    /// What decides which square goes where.
    pub seed: u64,
    /// Side of the squares that are dealt out, in pixels; default four chips.
    pub block: Option<usize>,
}

/// The format of chips, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// GDAL's short name of it.
    pub driver: String,
    /// Creation options, `KEY=VALUE`.
    pub creation_options: Vec<String>,
}

/// A split: inputs, chips and output. [`SplitJob::new`] holds every default.
#[derive(Debug, Clone)]
pub struct SplitJob {
    /// The rasters. Chips lie on the grid of the first one, unless `like` says otherwise.
    pub inputs: Vec<SplitInput>,
    /// The folder.
    pub target: Target,
    /// How large chips are.
    pub extent: Extent,
    /// What becomes of chips that reach beyond the edge.
    pub edges: Edges,
    /// The value of pixels beyond the edge; default the value for no data, else 0.
    pub pad_value: Option<f64>,
    /// Share of the pixels with data, in the first input, from which on a place is kept; default 0.
    pub min_valid: f64,
    /// A raster on whose grid chips lie.
    pub like: Option<SourceSpec>,
    /// Features that each make a chip, instead of a grid of chips.
    pub footprints: Option<CutlineSpec>,
    /// How inputs on other grids are resampled; labels always by nearest.
    pub resampling: Resampling,
    /// 1-based numbers of the bands that are taken of inputs that are no labels; default all.
    pub bands: Vec<usize>,
    /// The format of chips; default `GTiff`.
    pub format: Format,
    /// The format of labels; default that of the others, or a lossless one where that is lossy.
    pub label_format: Option<Format>,
    /// Names of chips.
    pub name: String,
    /// What lists the chips.
    pub index: Vec<IndexKind>,
    /// When the pixels were taken, as RFC 3339 has it, for STAC.
    pub datetime: Option<String>,
    /// Write shards, not files.
    pub shards: Option<ShardLimits>,
    /// Deal chips out to subsets.
    pub dealing: Option<Dealing>,
    /// Keep what is finished when the run fails, and go on with what an interrupted run of the same job has finished.
    pub resume: bool,
    /// Settings of GDAL that are in force, `KEY=VALUE`: unfinished work is not mixed with that of others.
    pub settings: Vec<String>,
    /// Reader threads.
    pub readers: usize,
    /// Threads of the CPU pool.
    pub threads: usize,
    /// Bytes the whole process should stay within.
    pub memory: usize,
}

impl SplitJob {
    /// A job with every default, for the machine it runs on.
    pub fn new(inputs: Vec<SplitInput>, target: Target) -> Self {
        let threads = super::machine::threads();
        Self {
            inputs,
            target,
            extent: Extent::default(),
            edges: Edges::default(),
            pad_value: None,
            min_valid: 0.0,
            like: None,
            footprints: None,
            resampling: Resampling::Nearest,
            bands: Vec::new(),
            format: Format { driver: "GTiff".to_owned(), creation_options: Vec::new() },
            label_format: None,
            name: names::DEFAULT.to_owned(),
            index: vec![IndexKind::Csv, IndexKind::GeoJson],
            datetime: None,
            shards: None,
            dealing: None,
            resume: false,
            settings: Vec::new(),
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
        let usage = |text: String| Err(Error::Usage(text));
        if self.inputs.is_empty() {
            return usage("no input given".to_owned());
        }
        if self.resume && self.inputs.iter().any(|input| input.source.on_error.skips()) {
            let text = "--resume goes on with complete work: it cannot be used with --on-error skip";
            return usage(text.to_owned());
        }
        if !(0.0..=1.0).contains(&self.min_valid) {
            return usage(format!("--min-valid {}: give a share from 0 to 1", self.min_valid));
        }
        if let Extent::Grid { columns, rows } = self.extent {
            if columns == 0 || rows == 0 {
                return usage(
                    "--grid: give a number of columns and of rows above 0, for instance 4x3".to_owned(),
                );
            }
            if self.edges != Edges::Partial {
                let edges = self.edges.name();
                return usage(format!(
                    "--grid leaves no chip beyond the edge: --edges {edges} cannot be used with it"
                ));
            }
        }
        if let Extent::Size { size, overlap, stride, .. } = self.extent {
            let bad = |v: f64, zero: bool| !(v.is_finite() && (v > 0.0 || (zero && v == 0.0)));
            for (name, pair, zero) in
                [("--size", size, false), ("--overlap", overlap, true), ("--stride", stride, false)]
            {
                if let Some((x, y)) = pair.filter(|(x, y)| bad(*x, zero) || bad(*y, zero)) {
                    return usage(format!("{name} {x} {y}: give numbers above 0"));
                }
            }
            if overlap.is_some() && stride.is_some() {
                return usage(
                    "--overlap and --stride both say how far chips lie apart: drop one of them".to_owned(),
                );
            }
            if self.footprints.is_some() && (overlap.is_some() || stride.is_some()) {
                return usage(
                    "--footprints says where chips lie: --overlap and --stride cannot be used with it"
                        .to_owned(),
                );
            }
        } else if self.footprints.is_some() {
            return usage("--footprints says where chips lie: --grid cannot be used with it".to_owned());
        }
        if self.pad_value.is_some_and(|_| !matches!(self.edges, Edges::Pad)) {
            return usage(
                "--pad-value is for --edges pad: chips have no other pixels beyond the edge".to_owned(),
            );
        }
        if let Some(limits) = self.shards
            && (limits.chips == 0 || limits.bytes == 0)
        {
            return usage("--shards and --shard-size: give numbers above 0".to_owned());
        }
        if self.dealing.as_ref().is_some_and(|d| d.block == Some(0)) {
            return usage("--subset-block 0: give a number of pixels".to_owned());
        }
        names::Template::new(&self.name, self.shards.is_some())
            .map_err(|e| Error::Usage(format!("--name '{}' {e}", self.name)))?;
        stac::check(self)
    }
}

/// Runs a job: plans it, reads, encodes, writes. `planned` is called with the plan and the number of places before work begins, for a
/// progress display.
///
/// # Errors
/// Everything that can go wrong; nothing then stands under the output's name that did not stand there before.
pub fn run(job: &SplitJob, monitor: &Monitor, planned: impl FnOnce(&Plan, usize)) -> Result<Report> {
    let begun = Instant::now();
    job.validate()?;
    let plan = Plan::new(job)?;
    let work = if job.resume {
        Begun::resume(&job.target, &identity::identity(job, &plan)?)?
    } else {
        Begun::new(&job.target)?
    };
    let done = work.entries().len();
    let cache = ChunkCache::new(plan.budget.chunks);
    let loom = Loom::new(job, &plan);
    planned(&plan, plan.kept() - done.min(plan.kept()));

    let limits = Limits {
        // A reader opens handles and transformations of its own.
        readers: job.readers.min(plan.kept()),
        threads: job.threads,
        memory: plan.budget.in_flight,
        order: Order::Plan,
    };
    let outcome = pipeline::run(
        plan.tasks().skip(done),
        &limits,
        monitor,
        Job {
            cost: |number: &usize| {
                budget::cost(&plan, plan.window(*number).size()).min(plan.budget.in_flight)
            },
            open: || Ok(SplitReader::new(&plan, &cache)),
            read: |reader: &mut SplitReader<'_>, number: &usize| reader.read(*number),
            process: try_one(|weft: Weft| loom.weave(weft)),
            create: || Output::create(job, &plan, work),
        },
    )?;
    let Outcome { done, stats } = outcome;
    Ok(Report::new(job, &plan, &done, Effort::new(stats, cache.decoded(), begun.elapsed())))
}

/// Plans a job to say what it would do; reads no pixels and writes nothing.
///
/// # Errors
/// Those of the plan, and of a place that cannot be written to.
pub fn dry_run(job: &SplitJob) -> Result<Plan> {
    job.validate()?;
    let plan = Plan::new(job)?;
    job.target.check(Shape::Chips)?;
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> SplitJob {
        SplitJob::new(vec![SplitInput::new(SourceSpec::new("a.tif"))], Target::new("out"))
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        let sized = |size, overlap, stride| Extent::Size { size, overlap, stride, ground: false };
        let one = Some((1.0, 1.0));
        let footprints = Some(CutlineSpec::new("f.gpkg"));
        let cases: Vec<(&str, SplitJob)> = vec![
            ("--min-valid", SplitJob { min_valid: 1.5, ..job() }),
            ("--grid", SplitJob { extent: Extent::Grid { columns: 0, rows: 2 }, ..job() }),
            (
                "--edges shift",
                SplitJob { extent: Extent::Grid { columns: 1, rows: 2 }, edges: Edges::Shift, ..job() },
            ),
            ("--size", SplitJob { extent: sized(Some((0.0, 1.0)), None, None), ..job() }),
            ("--stride", SplitJob { extent: sized(None, one, one), ..job() }),
            ("--footprints", SplitJob { extent: sized(None, one, None), footprints, ..job() }),
            ("--edges pad", SplitJob { pad_value: Some(1.0), ..job() }),
            ("--name", SplitJob { name: "{nme}".to_owned(), ..job() }),
            ("--datetime", SplitJob { datetime: Some("yesterday".to_owned()), ..job() }),
        ];
        for (word, job) in cases {
            let error = job.validate().expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
        job().validate().expect("every default makes sense");
    }
}
