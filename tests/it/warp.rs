//! `tileloom warp` from end to end, against `gdalwarp` with exact coordinates.

mod agreement;
mod cog;
mod failures;
mod grid;
mod overlap;
mod pixels;
mod same;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use gdal::Dataset;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::raster::{Spec, write};
use crate::common::{Run, run, succeed, testdata};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// `tileloom warp` with inputs, an output and options.
fn attempt(inputs: &[&Path], output: &Path, options: &[&str]) -> Run {
    let paths = inputs.iter().copied().chain([output]).map(Path::as_os_str);
    run([OsStr::new("warp"), OsStr::new("--json"), OsStr::new("--quiet")]
        .into_iter()
        .chain(paths)
        .chain(options.iter().map(OsStr::new)))
}

/// The same, which has to succeed: its report.
fn warp(inputs: &[&Path], output: &Path, options: &[&str]) -> Value {
    let run = attempt(inputs, output, options);
    assert_eq!(run.code, Some(0), "{inputs:?} {options:?}: {}", run.err);
    run.json()
}

/// `gdalwarp` with the same.
fn gdalwarp(inputs: &[&Path], output: &Path, options: &[&str]) {
    let mut command = Command::new("gdalwarp");
    succeed(command.args(["-q", "-overwrite", "-et", "0"]).args(options).args(inputs).arg(output));
}

/// What can be said of a raster: size, geotransform, values for no data, colour interpretations.
fn facts(path: &Path) -> (Value, Vec<f64>, Vec<Option<f64>>, Vec<String>) {
    let info: Value =
        serde_json::from_str(&succeed(Command::new("gdalinfo").arg("-json").arg(path))).expect("JSON");
    let dataset = Dataset::open(path).expect("opens");
    let bands = info["bands"].as_array().expect("bands");
    let nodata =
        bands.iter().enumerate().map(|(n, _)| dataset.rasterband(n + 1).expect("a band").no_data_value());
    let colours = bands.iter().map(|b| b["colorInterpretation"].as_str().unwrap_or("").to_owned()).collect();
    (info["size"].clone(), dataset.geo_transform().expect("a place").to_vec(), nodata.collect(), colours)
}

/// The samples of a band, row by row.
fn band(path: &Path, number: usize) -> Vec<f64> {
    let dataset = Dataset::open(path).expect("opens");
    let band = dataset.rasterband(number).expect("a band");
    let size = dataset.raster_size();
    band.read_as::<f64>((0, 0), size, size, None).expect("reads").data().to_vec()
}

fn bands(path: &Path) -> usize {
    Dataset::open(path).expect("opens").raster_count()
}

/// Bytes in UTM 33N with pixels of 10 m, the upper left corner moved by pixels.
fn grey(
    folder: &Path,
    name: &str,
    place: (f64, f64),
    nodata: Option<f64>,
    side: usize,
    values: &[u8],
) -> PathBuf {
    let path = folder.join(name);
    let (east, south) = place;
    let spec = Spec {
        size: (side, values.len() / side),
        crs: Some(32633),
        geotransform: Some([500_000.0 + east * 10.0, 10.0, 0.0, 5_400_000.0 - south * 10.0, 0.0, -10.0]),
        nodata,
        ..Spec::default()
    };
    write(&path, &spec, vec![values.to_vec()]).expect("written");
    path
}
