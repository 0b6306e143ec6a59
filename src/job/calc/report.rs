//! What a finished calculation has to say.

use std::path::PathBuf;

use serde::Serialize;

use super::plan::{Plan, kind_name};
use super::weave::Tally;
use super::{CalcJob, Nodata};
use crate::job::cog::Stored;
use crate::job::effort::Effort;
use crate::op::Call;
use crate::raster::losses::Skipped;
use crate::raster::writer::WrittenRaster;

/// What was made, and what it took.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The raster.
    pub output: PathBuf,
    /// GDAL's short name of its format.
    pub format: String,
    /// Columns and rows.
    pub size: [usize; 2],
    /// GDAL's name of the type of its samples.
    #[serde(rename = "type")]
    pub sample_type: &'static str,
    /// The value of pixels without data; not-a-number is `null` in JSON.
    pub nodata: Option<f64>,
    /// Whether a value of pixels without data is declared.
    pub declares_nodata: bool,
    /// Its bands.
    pub bands: Vec<BandReport>,
    /// Size of the file.
    pub bytes: u64,
    /// Windows that were computed.
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

/// A band of the output.
#[derive(Debug, Clone, Serialize)]
pub struct BandReport {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its expression; with operations all that leads to the bands, one after the other between `|`.
    pub expression: String,
    /// What its values are: truth values, integers or numbers.
    pub values: &'static str,
    /// Pixels without data.
    pub missing: u64,
    /// Of these, how many have no result though all bands have data there.
    pub undefined: u64,
    /// Results beyond the limits of the type, which became the nearest limit.
    pub clamped: u64,
    /// Results that are the same as the value for no data.
    pub same_as_nodata: u64,
}

/// A file that was written, by whatever writes it.
pub(in crate::job) struct Written {
    pub bytes: u64,
    pub windows: usize,
    pub cog: Option<Stored>,
}

impl From<WrittenRaster> for Written {
    fn from(raster: WrittenRaster) -> Self {
        Self { bytes: raster.bytes, windows: raster.windows, cog: None }
    }
}

impl Report {
    pub(super) fn new(job: &CalcJob, plan: &Plan, written: Written, tally: &[Tally], effort: Effort) -> Self {
        Self {
            output: job.target.path.clone(),
            format: plan.storage.driver.clone(),
            size: [plan.grid.size.width, plan.grid.size.height],
            sample_type: plan.form.sample_type.gdal_name(),
            nodata: plan.form.nodata,
            declares_nodata: plan.form.nodata.is_some(),
            bands: bands(job, plan, tally),
            bytes: written.bytes,
            windows: written.windows,
            cog: written.cog,
            guesses: plan.guesses.clone(),
            notes: plan.notes.clone(),
            warnings: warnings(job, plan, tally),
            skipped: Skipped::of(job.inputs.iter().map(|input| &input.source)),
            effort,
        }
    }
}

/// What the bands of the output are, with what was counted of each.
pub(super) fn bands(job: &CalcJob, plan: &Plan, tally: &[Tally]) -> Vec<BandReport> {
    let operations: Vec<&str> = job.operations.iter().map(Call::text).collect();
    let text = |band: usize| match (operations.is_empty(), job.expressions.is_empty()) {
        (true, _) => job.expressions.get(band).cloned().unwrap_or_default(),
        (false, true) => operations.join(" | "),
        (false, false) => format!("{} | {}", job.expressions.join(", "), operations.join(" | ")),
    };
    let outputs = plan.chain.outputs().iter().enumerate().zip(&plan.band_names);
    let with = outputs.zip(tally).map(|(((number, output), name), tally)| BandReport {
        name: name.clone(),
        expression: text(number),
        values: kind_name(output.kind),
        missing: tally.missing,
        undefined: tally.undefined,
        clamped: tally.clamped,
        same_as_nodata: tally.disguised,
    });
    with.collect()
}

/// What did not fit; with `--strict` these are errors.
pub(super) fn misfits(plan: &Plan, tally: &[Tally]) -> Vec<String> {
    let mut all = Vec::new();
    let sample_type = plan.form.sample_type.gdal_name();
    for (number, t) in tally.iter().enumerate() {
        let band = if tally.len() == 1 { String::new() } else { format!("band {}: ", number + 1) };
        if t.clamped > 0 {
            let limits = "do not fit into";
            all.push(format!(
                "{band}{} {limits} {sample_type} (--ot) and were clamped",
                count(t.clamped, "result")
            ));
        }
        if t.disguised > 0 {
            let nodata = plan.form.nodata.unwrap_or_default();
            all.push(format!(
                "{band}{} the same as the value for no data, {nodata}: give another by --nodata, or another --ot",
                match t.disguised {
                    1 => "1 result is".to_owned(),
                    n => format!("{n} results are"),
                }
            ));
        }
        if t.undefined > 0 {
            all.push(format!(
                "{band}{} no result where all bands have data: division by zero, or beyond a function's domain",
                match t.undefined {
                    1 => "1 pixel has".to_owned(),
                    n => format!("{n} pixels have"),
                }
            ));
        }
    }
    all
}

/// What looks wrong with the result.
pub(super) fn warnings(job: &CalcJob, plan: &Plan, tally: &[Tally]) -> Vec<String> {
    let mut all = misfits(plan, tally);
    let missing: u64 = tally.iter().map(|t| t.missing).max().unwrap_or(0);
    let float = plan.form.sample_type.name().starts_with("float");
    if job.nodata == Nodata::None && missing > 0 && !float {
        all.push(format!(
            "{} without data hold 0, and nothing tells them from others (--nodata)",
            count(missing, "pixel")
        ));
    }
    let area = plan.grid.size.area() as u64;
    if tally.iter().any(|t| t.missing == area) {
        all.push("a band has no data at all".to_owned());
    }
    all
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
