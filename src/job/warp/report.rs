//! What a finished warp has to say.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::WarpJob;
use super::finish::Counted;
use super::plan::Plan;
use crate::job::calc::Written;
use crate::job::calc::output::gdal_name;
use crate::job::cog::Stored;
use crate::job::machine;
use crate::job::tile::Versions;
use crate::pipeline::Stats;
use crate::raster::chunks::Decoded;
use crate::raster::losses::Skipped;

/// What was made, and what it took.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The raster.
    pub output: PathBuf,
    /// GDAL's short name of its format.
    pub format: String,
    /// Columns and rows.
    pub size: [usize; 2],
    /// Its coordinate reference system.
    pub crs: Option<String>,
    /// Geotransform in GDAL's order.
    pub geotransform: Option<[f64; 6]>,
    /// Bands, opacity included.
    pub bands: usize,
    /// GDAL's name of the type of its samples.
    #[serde(rename = "type")]
    pub sample_type: &'static str,
    /// The value of pixels without data; not-a-number is `null` in JSON.
    pub nodata: Option<f64>,
    /// Whether a value of pixels without data is declared.
    pub declares_nodata: bool,
    /// Whether the last band is opacity.
    pub alpha: bool,
    /// Inputs that lie in it.
    pub inputs: usize,
    /// Pixels without data.
    pub missing: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Windows that were made.
    pub windows: usize,
    /// How it is stored, if it is a COG.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cog: Option<Stored>,
    /// What was decided in the user's place.
    pub guesses: Vec<String>,
    /// What the user should know of the inputs.
    pub notes: Vec<String>,
    /// What looks wrong with the result.
    pub warnings: Vec<String>,
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

impl Report {
    pub(super) fn new(
        job: &WarpJob,
        plan: &Plan,
        written: Written,
        counted: Counted,
        stats: Stats,
        decoded: Decoded,
        elapsed: Duration,
    ) -> Self {
        Self {
            output: job.target.path.clone(),
            format: plan.storage.driver.clone(),
            size: [plan.grid.size.width, plan.grid.size.height],
            crs: plan.grid.georeferencing.crs.clone(),
            geotransform: plan.grid.geotransform(),
            bands: plan.output_bands(),
            sample_type: gdal_name(plan.sample_type),
            nodata: plan.nodata,
            declares_nodata: plan.nodata.is_some(),
            alpha: plan.alpha,
            inputs: plan.layers.len(),
            missing: counted.missing,
            bytes: written.bytes,
            windows: written.windows,
            cog: written.cog,
            guesses: plan.guesses.clone(),
            notes: plan.notes.clone(),
            warnings: warnings(plan, counted),
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

/// What looks wrong with the result.
pub(super) fn warnings(plan: &Plan, counted: Counted) -> Vec<String> {
    let mut all = Vec::new();
    let name = gdal_name(plan.sample_type);
    if counted.clamped > 0 {
        all.push(format!("{} samples do not fit into {name} (--ot) and were clamped", counted.clamped));
    }
    if let (Some(value), 1..) = (plan.nodata, counted.moved) {
        all.push(format!(
            "{} samples with data had the value for no data, {value}, and became the next one (--dst-nodata)",
            counted.moved
        ));
    }
    if counted.missing == plan.grid.size.area() as u64 {
        all.push("no pixel has data".to_owned());
    } else if counted.missing > 0 && plan.nodata.is_none() && !plan.alpha {
        all.push(format!(
            "{} pixels without data hold 0, and nothing tells them from others (--dst-nodata, --dst-alpha)",
            counted.missing
        ));
    }
    all
}
