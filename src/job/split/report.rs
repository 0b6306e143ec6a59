//! What a finished split has to say.

use std::path::PathBuf;

use serde::Serialize;

use super::SplitJob;
use super::output::Done;
use super::plan::Plan;
use crate::job::effort::Effort;
use crate::raster::losses::Skipped;

/// What was made, and what it took.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The folder.
    pub output: PathBuf,
    /// Places of which there are chips.
    pub chips: u64,
    /// Places with too little data.
    pub skipped: u64,
    /// Places that an interrupted run had finished before.
    pub resumed: u64,
    /// Places in squares of several subsets.
    pub astride: u64,
    /// Columns and rows of the largest chip.
    pub size: [usize; 2],
    /// The inputs.
    pub inputs: Vec<LayerReport>,
    /// The subsets.
    pub subsets: Vec<SubsetReport>,
    /// Files, those that list the others included.
    pub files: u64,
    /// Shards among them.
    pub shards: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// What was decided in the user's place.
    pub guesses: Vec<String>,
    /// What the user should know of the inputs.
    pub notes: Vec<String>,
    /// Windows of the inputs that could not be read, where that does not fail the run.
    #[serde(rename = "skipped_windows")]
    pub lost: Skipped,
    /// What the run took.
    #[serde(flatten)]
    pub effort: Effort,
}

/// An input and its chips.
#[derive(Debug, Clone, Serialize)]
pub struct LayerReport {
    /// Its name.
    pub name: String,
    /// Whether it holds classes.
    pub label: bool,
    /// GDAL's short name of the format of its chips.
    pub format: String,
    /// Creation options.
    pub options: Vec<String>,
    /// Bands of a chip.
    pub bands: usize,
    /// GDAL's name of the type of its samples.
    #[serde(rename = "type")]
    pub sample_type: &'static str,
}

/// A subset and its chips.
#[derive(Debug, Clone, Serialize)]
pub struct SubsetReport {
    /// Its name.
    pub name: String,
    /// Its chips.
    pub chips: u64,
}

/// What is to be said of the inputs.
pub fn layers(plan: &Plan) -> Vec<LayerReport> {
    let one = |l: &super::inputs::Layer| LayerReport {
        name: l.name.clone(),
        label: l.label,
        format: l.driver().to_owned(),
        options: l.options().to_vec(),
        bands: l.bands(),
        sample_type: l.sample_type().gdal_name(),
    };
    plan.layers.iter().map(one).collect()
}

impl Report {
    pub(super) fn new(job: &SplitJob, plan: &Plan, done: &Done, effort: Effort) -> Self {
        let largest = plan.largest();
        let subsets = plan.subsets.iter().zip(&done.subsets);
        Self {
            output: job.target.path.clone(),
            chips: done.chips,
            skipped: done.skipped,
            resumed: done.resumed,
            astride: plan.astride as u64,
            size: [largest.width, largest.height],
            inputs: layers(plan),
            subsets: subsets.map(|(s, n)| SubsetReport { name: s.name.clone(), chips: *n }).collect(),
            files: done.written.files,
            shards: done.written.shards,
            bytes: done.written.bytes,
            guesses: plan.guesses.clone(),
            notes: plan.notes.clone(),
            lost: Skipped::of(job.inputs.iter().map(|input| &input.source)),
            effort,
        }
    }
}
