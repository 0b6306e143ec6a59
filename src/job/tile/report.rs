//! What a finished tile job has to say.

use std::path::PathBuf;

use serde::Serialize;

use super::{Plan, TileJob};
use crate::job::effort::Effort;
use crate::raster::losses::Skipped;
use crate::sink::{OutputKind, Written};

/// What was made, and what it took.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The tile set.
    pub output: PathBuf,
    /// `folder`, `mbtiles`, `pmtiles` or `tar`.
    pub container: &'static str,
    /// Lowest level that has tiles.
    pub min_zoom: u8,
    /// Highest level that has tiles.
    pub max_zoom: u8,
    /// Tiles in the set.
    pub tiles: u64,
    /// Of these, how many an interrupted run had made.
    pub resumed: u64,
    /// Tiles copied from the set that was updated.
    pub copied: u64,
    /// Tiles of the planned range that hold no data and were left out.
    pub empty: u64,
    /// Tiles that share the bytes of another and are stored once with it.
    pub duplicates: u64,
    /// Size of the set.
    pub bytes: u64,
    /// West, south, east and north in degrees, unless the tiles have no place on the Earth.
    pub bounds: Option<[f64; 4]>,
    /// What was decided in the user's place.
    pub guesses: Vec<String>,
    /// What looks wrong with the result.
    pub warnings: Vec<String>,
    /// Windows of the inputs that could not be read, where that does not fail the run.
    pub skipped: Skipped,
    /// What the run took.
    #[serde(flatten)]
    pub effort: Effort,
}

impl Report {
    pub(super) fn new(
        job: &TileJob,
        plan: &Plan,
        kind: OutputKind,
        written: &Written,
        effort: Effort,
    ) -> Self {
        let planned: u64 = plan.counts().values().sum();
        Self {
            output: job.target.path.clone(),
            container: kind.name(),
            min_zoom: written.min_zoom,
            max_zoom: written.max_zoom,
            tiles: written.tiles,
            resumed: 0,
            copied: 0,
            empty: planned.saturating_sub(written.tiles),
            duplicates: written.duplicates,
            bytes: written.bytes,
            bounds: plan.degrees(),
            guesses: plan.guesses.clone(),
            warnings: Vec::new(),
            skipped: Skipped::of(&job.inputs),
            effort,
        }
    }
}
