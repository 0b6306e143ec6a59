//! `tileloom check`: sound files pass, each kind of damage is found and named.

mod broken_rasters;
mod broken_tiles;
mod damage;
mod sound;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Run, run, testdata, tile};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// `tileloom check` of files, with options.
fn check_run(paths: &[&Path], options: &[&str]) -> Run {
    let paths = paths.iter().map(|path| path.to_str().expect("UTF-8"));
    run(["check"].into_iter().chain(paths).chain(options.iter().copied()))
}

/// The report on one file, which has to be `ok` or `faulty` as the exit code says.
fn report(path: &Path, options: &[&str]) -> Value {
    let run = check_run(&[path], &[&["--json", "-q"], options].concat());
    let verdict = match run.code {
        Some(0) => "ok",
        Some(5) => "faulty",
        _ => panic!("{}: {run:?}", path.display()),
    };
    let report = run.json()["files"][0].clone();
    assert_eq!(report["verdict"], verdict, "{}: {report}", path.display());
    report
}

/// The report on a file that has to be sound, warnings included.
fn sound(path: &Path, options: &[&str]) -> Value {
    let report = report(path, &[&["--strict"], options].concat());
    assert_eq!(report["verdict"], "ok", "{}: {report}", path.display());
    report
}

/// Rules that a file breaks: errors as they are, warnings with a question mark.
fn broken(path: &Path, options: &[&str]) -> BTreeSet<String> {
    let report = report(path, options);
    let faults = report["faults"].as_array().expect("a list");
    let rule = |fault: &Value| {
        let mark = if fault["severity"] == "warning" { "?" } else { "" };
        format!("{}{mark}", fault["rule"].as_str().expect("a word"))
    };
    faults.iter().map(rule).collect()
}

/// Asserts that a rule is broken, and that nothing else but `besides` is.
fn breaks(path: &Path, options: &[&str], rule: &str, besides: &[&str]) {
    let mut found = broken(path, options);
    assert!(found.remove(rule), "{rule} is not among {found:?}");
    found.retain(|rule| !besides.contains(&rule.as_str()));
    assert!(found.is_empty(), "{rule} and also {found:?}");
}

/// A set of PNG tiles of levels 9 to 11 in a scratch folder.
fn set(name: &str) -> (TempDir, PathBuf) {
    let dir = scratch();
    let path = dir.path().join(name);
    tile(&[&testdata("rgb.tif")], &path, &["-z", "9-11"]);
    (dir, path)
}

fn edited(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("written");
}

/// The bytes of a file with some of them replaced.
fn patched(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

#[test]
fn exit_codes_tell_faults_from_files_that_cannot_be_checked() {
    let (_dir, good) = set("set.pmtiles");
    let bad = testdata("truncated.tif");
    let (none, page) = (Path::new("nowhere.tif"), testdata("README.md"));
    for (paths, code, words) in [
        (vec![good.as_path()], 0, ""),
        (vec![&good, &bad], 5, "1 file of 2 is faulty"),
        (vec![none], 3, "nowhere.tif"),
        (vec![&page], 3, "known are GeoTIFF"),
        (vec![none, &bad, &good], 5, "1 file of 3 is faulty, 1 file could not be checked"),
        (vec![&good, &page], 3, "README.md"),
    ] {
        let run = check_run(&paths, &[]);
        assert_eq!(run.code, Some(code), "{paths:?}: {run:?}");
        assert!(run.err.contains(words), "{words}: {run:?}");
        let lines = run.out.lines().filter(|line| !line.starts_with(' '));
        assert_eq!(lines.count(), paths.len(), "a line for each file: {run:?}");
    }
    assert_eq!(check_run(&[], &[]).code, Some(2));
    assert_eq!(check_run(&[&good], &["--as", "zip"]).code, Some(2));
}

#[test]
fn a_file_has_to_be_what_is_asked_for() {
    let (_dir, pmtiles) = set("set.pmtiles");
    sound(&pmtiles, &["--as", "pmtiles"]);
    breaks(&pmtiles, &["--as", "mbtiles"], "kind", &[]);
    let strips = testdata("overviews.tif");
    sound(&strips, &["--as", "geotiff"]);
    breaks(&strips, &["--as", "cog"], "cog", &["cog?"]);
}

#[test]
fn what_is_said_does_not_depend_on_the_number_of_threads() {
    let (_dir, path) = set("set.mbtiles");
    let bytes = std::fs::read(&path).expect("database");
    edited(&path, &patched(&bytes, bytes.len() / 2, &[0xa5; 9000]));
    for path in [path, testdata("truncated.tif"), testdata("rgb.tif")] {
        let said = ["1", "2", "7"].map(|n| {
            let options = ["--threads", n, "--readers", n, "--max-faults", "3"];
            let mut report = report(&path, &options);
            report["seconds"] = Value::Null;
            report
        });
        assert_eq!(said[0], said[1]);
        assert_eq!(said[0], said[2]);
    }
}

#[test]
fn few_faults_of_a_kind_are_told_and_all_are_counted() {
    let run = check_run(&[&testdata("truncated.tif")], &["--max-faults", "2"]);
    assert_eq!(run.code, Some(5));
    assert!(run.out.contains("30 errors") && run.out.contains("and 28 more"), "{}", run.out);
    let report = report(&testdata("truncated.tif"), &["--max-faults", "2"]);
    assert_eq!(report["faults"][0]["count"], 30);
    assert_eq!(report["faults"][0]["examples"].as_array().map(Vec::len), Some(2));
}

#[test]
fn quick_looks_at_structure_only() {
    let (_dir, path) = set("set.pmtiles");
    let whole = std::fs::read(&path).expect("archive");
    // Within the pixels of the last tile.
    edited(&path, &patched(&whole, whole.len() - 200, &[0; 100]));
    breaks(&path, &[], "tile", &[]);
    let quick = report(&path, &["--quick"]);
    assert_eq!((&quick["verdict"], quick["notes"].as_array().map(Vec::len)), (&"ok".into(), Some(1)));
    edited(&path, &whole[..whole.len() - 200]);
    breaks(&path, &["--quick"], "header", &[]);
}
