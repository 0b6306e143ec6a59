//! What a finished COG has to say.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::{CogJob, Plan};
use crate::job::calc::output::gdal_name;
use crate::job::machine;
use crate::job::tile::Versions;
use crate::pipeline::Stats;
use crate::raster::chunks::Decoded;
use crate::raster::losses::Skipped;
use crate::sink::cog::WrittenCog;

/// What was made, and what it took.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The file.
    pub output: PathBuf,
    /// Columns and rows.
    pub size: [usize; 2],
    /// Bands.
    pub bands: usize,
    /// GDAL's name of the type of its samples.
    #[serde(rename = "type")]
    pub sample_type: &'static str,
    /// Columns and rows of its overviews, largest first.
    pub overviews: Vec<[usize; 2]>,
    /// How they were made.
    pub overview_resampling: &'static str,
    /// Side of a block in pixels.
    pub block: usize,
    /// Creation options of GDAL's `GTiff` driver that say how blocks are packed.
    pub packing: Vec<String>,
    /// Whether it has a mask.
    pub mask: bool,
    /// Size of the file.
    pub bytes: u64,
    /// Whether it is a `BigTIFF`.
    pub bigtiff: bool,
    /// Blocks in it.
    pub blocks: u64,
    /// Blocks that were left out, as they hold no data.
    pub empty: u64,
    /// What was decided in the user's place.
    pub guesses: Vec<String>,
    /// What the user should know of the inputs.
    pub notes: Vec<String>,
    /// Windows of the inputs that could not be read, where that does not fail the run.
    pub skipped: Skipped,
    /// Wall time, planning and finishing included.
    pub seconds: f64,
    /// Most bytes resident at a time; `None` where the system does not tell.
    pub peak_memory: Option<usize>,
    /// Bytes of source pixels that went through the shared cache.
    pub decoded: u64,
    /// How many times a source block in it was decoded on average.
    pub decode_amplification: f64,
    /// What held the run back.
    pub bottleneck: String,
    /// How busy each stage was.
    pub stats: Stats,
    /// Versions that decide the bytes.
    pub versions: Versions,
}

/// How a raster is stored that became a COG while it was made.
#[derive(Debug, Clone, Serialize)]
pub struct Stored {
    /// Columns and rows of its overviews, largest first.
    pub overviews: Vec<[usize; 2]>,
    /// How they were made.
    pub overview_resampling: &'static str,
    /// Side of a block in pixels.
    pub block: usize,
    /// Creation options of GDAL's `GTiff` driver that say how blocks are packed.
    pub packing: Vec<String>,
    /// Whether it has a mask.
    pub mask: bool,
    /// Whether it is a `BigTIFF`.
    pub bigtiff: bool,
    /// Blocks in it.
    pub blocks: u64,
    /// Blocks that were left out, as they hold no data.
    pub empty: u64,
}

impl Stored {
    pub(in crate::job) fn new(plan: &Plan, written: &WrittenCog) -> Self {
        Self {
            overviews: plan.levels.iter().skip(1).map(|level| [level.width, level.height]).collect(),
            overview_resampling: plan.overview_resampling.name(),
            block: plan.block,
            packing: plan.creation().to_vec(),
            mask: plan.spec.mask,
            bigtiff: written.big,
            blocks: written.blocks,
            empty: written.empty,
        }
    }
}

impl Report {
    pub(super) fn new(
        job: &CogJob,
        plan: &Plan,
        written: &WrittenCog,
        stats: Stats,
        decoded: Decoded,
        elapsed: Duration,
    ) -> Self {
        let sides = |level: &crate::window::Size| [level.width, level.height];
        Self {
            output: job.target.path.clone(),
            size: sides(&plan.levels[0]),
            bands: plan.bands(),
            sample_type: gdal_name(plan.sample_type()),
            overviews: plan.levels.iter().skip(1).map(sides).collect(),
            overview_resampling: plan.overview_resampling.name(),
            block: plan.block,
            packing: plan.creation().to_vec(),
            mask: plan.spec.mask,
            bytes: written.bytes,
            bigtiff: written.big,
            blocks: written.blocks,
            empty: written.empty,
            guesses: plan.guesses.clone(),
            notes: plan.notes.clone(),
            skipped: Skipped::of(&job.inputs),
            seconds: elapsed.as_secs_f64(),
            peak_memory: machine::peak_memory(),
            decoded: decoded.bytes,
            decode_amplification: decoded.amplification(),
            bottleneck: stats.bottleneck(),
            stats,
            versions: Versions::current(),
        }
    }
}
