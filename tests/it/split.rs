//! `tileloom split` from end to end, against `gdal_translate -srcwin` of the same windows.

mod agreement;
mod failures;
mod formats;
mod layers;
mod places;
mod shards;
mod subsets;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Run, names_in, run, succeed, testdata};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// `tileloom split` with inputs, a folder and options.
fn attempt(inputs: &[&Path], output: &Path, options: &[&str]) -> Run {
    let paths = inputs.iter().copied().chain([output]).map(Path::as_os_str);
    run([OsStr::new("split"), OsStr::new("--json"), OsStr::new("--quiet")]
        .into_iter()
        .chain(paths)
        .chain(options.iter().map(OsStr::new)))
}

/// The same, which has to succeed: its report.
fn split(inputs: &[&Path], output: &Path, options: &[&str]) -> Value {
    let run = attempt(inputs, output, options);
    assert_eq!(run.code, Some(0), "{inputs:?} {options:?}: {}", run.err);
    assert!(!output.with_extension("partial").exists());
    run.json()
}

/// The lines of an index, by the names of its columns.
fn index(folder: &Path) -> Vec<HashMap<String, String>> {
    let text = std::fs::read_to_string(folder.join("index.csv")).expect("an index");
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let head = lines.next().expect("a head");
    lines.map(|fields| head.iter().cloned().zip(fields).collect()).collect()
}

/// First column and row, columns and rows of a chip.
fn window(chip: &HashMap<String, String>) -> [i64; 4] {
    ["x", "y", "width", "height"].map(|key| chip[key].parse().expect("a number"))
}

/// The chip that `gdal_translate` makes of a window.
fn translated(input: &Path, output: &Path, window: [i64; 4], options: &[&str]) {
    let window = window.map(|v| v.to_string());
    let mut command = Command::new("gdal_translate");
    // Masks inside, as chips have them.
    command.args(["-q", "--config", "GDAL_TIFF_INTERNAL_MASK", "YES", "-srcwin"]).args(window).args(options);
    succeed(command.arg(input).arg(output));
}

/// What can be said of a raster, with checksums of its pixels, but for its name and how it is stored.
fn facts(path: &Path) -> Value {
    let text = succeed(Command::new("gdalinfo").args(["-json", "-checksum"]).arg(path));
    let mut info: Value = serde_json::from_str(&text).expect("JSON");
    let all = info.as_object_mut().expect("an object");
    for key in ["description", "files", "extent", "wgs84Extent", "stac", "cornerCoordinates"] {
        all.remove(key);
    }
    all.get_mut("metadata").and_then(Value::as_object_mut).map(|m| m.remove("IMAGE_STRUCTURE"));
    for band in info["bands"].as_array_mut().expect("bands") {
        band.as_object_mut().map(|b| b.remove("block"));
    }
    info
}

/// All files of a folder and those in it, with their bytes.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for name in names_in(folder) {
        let path = folder.join(&name);
        if path.is_dir() {
            all.extend(contents(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            all.push((name, std::fs::read(&path).expect("a file")));
        }
    }
    all.sort();
    all
}

fn path(name: &str) -> PathBuf {
    testdata(name)
}
