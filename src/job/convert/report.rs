//! What a finished copy has to say.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::ConvertJob;
use crate::job::machine;
use crate::pipeline::Stats;
use crate::sink::{OutputKind, Written};
use crate::store::About;
use crate::tileset::TilesetInfo;

/// What was copied, and what it took.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The set that was read.
    pub input: PathBuf,
    /// What it is: `folder`, `mbtiles`, `pmtiles` or `tar`.
    pub input_container: &'static str,
    /// The copy.
    pub output: PathBuf,
    /// What it is.
    pub container: &'static str,
    /// Name of the set for people.
    pub name: String,
    /// Extension of the tiles.
    pub format: &'static str,
    /// Pixels along a side of a tile.
    pub pixels: u32,
    /// Lowest level that has tiles.
    pub min_zoom: u8,
    /// Highest level that has tiles.
    pub max_zoom: u8,
    /// Tiles in the copy, as many as were read.
    pub tiles: u64,
    /// Tiles of levels that were not asked for.
    pub left_out: u64,
    /// Tiles that share the bytes of another and are stored once with it.
    pub duplicates: u64,
    /// Size of the copy.
    pub bytes: u64,
    /// West, south, east and north in degrees, unless the tiles have no place on the Earth.
    pub bounds: Option<[f64; 4]>,
    /// What was made up, and what is in the set but not in the copy.
    pub notes: Vec<String>,
    /// Wall time.
    pub seconds: f64,
    /// Most bytes resident at a time; `None` where the system does not tell.
    pub peak_memory: Option<usize>,
    /// What held the run back.
    pub bottleneck: String,
    /// How busy each stage was.
    pub stats: Stats,
}

impl Report {
    #[allow(clippy::too_many_arguments, reason = "all that a run has come to, once")]
    pub(super) fn new(
        job: &ConvertJob,
        about: &About,
        info: &TilesetInfo,
        kind: OutputKind,
        written: &Written,
        left_out: u64,
        stats: Stats,
        elapsed: Duration,
    ) -> Self {
        Self {
            input: job.input.clone(),
            input_container: about.container,
            output: job.target.path.clone(),
            container: kind.name(),
            name: info.name.clone(),
            format: info.format.extension(),
            pixels: about.picture.width,
            min_zoom: written.min_zoom,
            max_zoom: written.max_zoom,
            tiles: written.tiles,
            left_out,
            duplicates: written.duplicates,
            bytes: written.bytes,
            bounds: info.placed.then(|| info.rounded_bounds()),
            notes: about.notes.clone(),
            seconds: elapsed.as_secs_f64(),
            peak_memory: machine::peak_memory(),
            bottleneck: stats.bottleneck(),
            stats,
        }
    }
}
