//! `tileloom calc` from end to end.

mod cog;
mod failures;
mod grids;
mod nodata;
mod numpy;
mod output;
mod same;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use gdal::Dataset;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::raster::{Spec, write};
use crate::common::{Run, run};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// `tileloom calc` with inputs, an output and options.
fn attempt(inputs: &[&Path], output: &Path, options: &[&str]) -> Run {
    let paths = inputs.iter().copied().chain([output]).map(Path::as_os_str);
    run([OsStr::new("calc"), OsStr::new("--json")]
        .into_iter()
        .chain(paths)
        .chain(options.iter().map(OsStr::new)))
}

/// The same, which has to succeed: its report.
fn calc(inputs: &[&Path], output: &Path, options: &[&str]) -> Value {
    let run = attempt(inputs, output, options);
    assert_eq!(run.code, Some(0), "{inputs:?} {options:?}: {}", run.err);
    run.json()
}

/// The samples of a band, row by row.
fn band(path: &Path, number: usize) -> Vec<f64> {
    let dataset = Dataset::open(path).expect("opens");
    let band = dataset.rasterband(number).expect("a band");
    let size = dataset.raster_size();
    band.read_as::<f64>((0, 0), size, size, None).expect("reads").data().to_vec()
}

/// A grid in UTM 33N of pixels of 10 m, its upper left corner moved by pixels.
fn utm(size: (usize, usize), east: f64, south: f64) -> Spec<'static> {
    Spec {
        size,
        crs: Some(32633),
        geotransform: Some([500_000.0 + east * 10.0, 10.0, 0.0, 5_400_000.0 - south * 10.0, 0.0, -10.0]),
        ..Spec::default()
    }
}

/// Writes a raster into a folder.
fn raster<T: gdal::raster::GdalType + Copy>(
    folder: &Path,
    name: &str,
    spec: &Spec<'_>,
    bands: Vec<Vec<T>>,
) -> PathBuf {
    let path = folder.join(name);
    write(&path, spec, bands).expect("written");
    path
}

/// Whether two lists are the same, not-a-numbers included.
fn same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
}
