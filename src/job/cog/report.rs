//! What a finished COG has to say.

use std::path::PathBuf;

use serde::Serialize;

use super::{CogJob, Plan};
use crate::job::effort::Effort;
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
    /// How it is stored.
    #[serde(flatten)]
    pub stored: Stored,
    /// Size of the file.
    pub bytes: u64,
    /// What was decided in the user's place.
    pub guesses: Vec<String>,
    /// What the user should know of the inputs.
    pub notes: Vec<String>,
    /// Windows of the inputs that could not be read, where that does not fail the run.
    pub skipped: Skipped,
    /// What the run took.
    #[serde(flatten)]
    pub effort: Effort,
}

/// How a COG is stored.
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
    pub(super) fn new(job: &CogJob, plan: &Plan, written: &WrittenCog, effort: Effort) -> Self {
        Self {
            output: job.target.path.clone(),
            size: [plan.levels[0].width, plan.levels[0].height],
            bands: plan.bands(),
            sample_type: plan.sample_type().gdal_name(),
            stored: Stored::new(plan, written),
            bytes: written.bytes,
            guesses: plan.guesses.clone(),
            notes: plan.notes.clone(),
            skipped: Skipped::of(&job.inputs),
            effort,
        }
    }
}
