//! What a finished tile job has to say.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::{Plan, TileJob};
use crate::job::machine;
use crate::pipeline::Stats;
use crate::raster::chunks::Decoded;
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
    /// Wall time, planning and finishing included.
    pub seconds: f64,
    /// Most bytes resident at a time; `None` where the system does not tell.
    pub peak_memory: Option<usize>,
    /// Bytes of source pixels decoded.
    pub decoded: u64,
    /// How many times a source block was decoded on average.
    pub decode_amplification: f64,
    /// What held the run back.
    pub bottleneck: String,
    /// How busy each stage was.
    pub stats: Stats,
    /// Versions that decide the bytes.
    pub versions: Versions,
}

/// Versions of what the tiles were made with.
#[derive(Debug, Clone, Serialize)]
pub struct Versions {
    /// tileloom.
    pub tileloom: &'static str,
    /// GDAL, as it names itself.
    pub gdal: String,
}

impl Versions {
    /// Those of this program.
    pub fn current() -> Self {
        Self { tileloom: env!("CARGO_PKG_VERSION"), gdal: gdal::version::VersionInfo::release_name() }
    }
}

impl Report {
    pub(super) fn new(
        job: &TileJob,
        plan: &Plan,
        kind: OutputKind,
        written: &Written,
        stats: Stats,
        decoded: Decoded,
        elapsed: Duration,
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
