//! What a finished warp has to say.

use std::path::PathBuf;

use serde::Serialize;

use super::WarpJob;
use super::finish::Counted;
use super::plan::Plan;
use crate::job::calc::Written;
use crate::job::cog::Stored;
use crate::job::effort::Effort;
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
    /// What the run took.
    #[serde(flatten)]
    pub effort: Effort,
}

impl Report {
    pub(super) fn new(
        job: &WarpJob,
        plan: &Plan,
        written: Written,
        counted: Counted,
        effort: Effort,
    ) -> Self {
        Self {
            output: job.target.path.clone(),
            format: plan.storage.driver.clone(),
            size: [plan.grid.size.width, plan.grid.size.height],
            crs: plan.grid.georeferencing.crs.clone(),
            geotransform: plan.grid.geotransform(),
            bands: plan.output_bands(),
            sample_type: plan.sample_type.gdal_name(),
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
            effort,
        }
    }
}

/// What looks wrong with the result.
pub(super) fn warnings(plan: &Plan, counted: Counted) -> Vec<String> {
    let mut all = Vec::new();
    let name = plan.sample_type.gdal_name();
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
