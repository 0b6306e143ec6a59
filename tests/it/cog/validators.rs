//! Validators of others, kinds of GDAL's driver that are easily got wrong, and what is left behind by a run that fails.

use std::path::Path;
use std::process::Command;

use super::{attempt, cog, info, scratch};
use crate::common::{names_in, testdata};

/// Whether a program runs at all.
fn runs(command: &[&str]) -> bool {
    let found = Command::new(command[0]).args(&command[1..]).output();
    found.is_ok_and(|output| output.status.success())
}

/// The validators there are, each to be given a file, and what it says of a sound one.
fn validators() -> Vec<(&'static [&'static str], &'static str)> {
    const MODULE: &str = "osgeo_utils.samples.validate_cloud_optimized_geotiff";
    // The system's one comes with GDAL, and may not be the first.
    static GDAL: [[&str; 4]; 2] = [
        ["python3", "-m", MODULE, "--full-check=yes"],
        ["/usr/bin/python3", "-m", MODULE, "--full-check=yes"],
    ];
    static RIO: [&str; 4] = ["rio", "cogeo", "validate", "--strict"];
    let import = format!("import {MODULE}");
    let gdal = GDAL.iter().position(|[python, ..]| runs(&[python, "-c", &import]));
    let rio = runs(&["rio", "cogeo", "--help"]);
    let all: [(&'static [&'static str], bool); 2] =
        [(&GDAL[gdal.unwrap_or_default()], gdal.is_some()), (&RIO, rio)];
    let there = all.into_iter().filter(|(command, there)| {
        if !there {
            eprintln!("skipped: {} is not there", command.join(" "));
        }
        *there
    });
    there.map(|(command, _)| (command, "is a valid cloud optimized GeoTIFF")).collect()
}

fn says(validator: &[&str], path: &Path) -> String {
    let output = Command::new("timeout").arg("20").args(validator).arg(path).output().expect("timeout");
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn validators_take_what_is_made() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let validators = validators();
    for (name, options) in [
        ("rgb.tif", &[][..]),
        ("rgb.tif", &["--co", "BIGTIFF=YES"]),
        ("rgb.tif", &["--co", "COMPRESS=JPEG", "--co", "OVERVIEW_COMPRESS=LZW"]),
        ("rgba.tif", &["--add-mask"]),
        ("mask_beside.tif", &[]),
        ("dem.tif", &["--co", "COMPRESS=LERC", "--co", "MAX_Z_ERROR=0.1"]),
        ("landcover.tif", &["--co", "SPARSE_OK=YES"]),
        ("all_nodata.tif", &["--co", "SPARSE_OK=YES"]),
        ("gcps.tif", &["--co", "COMPRESS=ZSTD"]),
        ("rgb.tif", &["--web-optimized"]),
        ("rgb.tif", &["--web-optimized", "--co", "COMPRESS=JPEG", "--aligned-levels", "2"]),
        ("dem.tif", &["--web-optimized", "--co", "COMPRESS=LZW"]),
    ] {
        cog(&[&testdata(name)], &out, &[&["--overwrite", "--blocksize", "128"], options].concat());
        for (validator, sound) in &validators {
            let said = says(validator, &out);
            assert!(said.contains(sound), "{name} {options:?}: {said}");
        }
    }
    for (validator, sound) in &validators {
        let said = says(validator, &testdata("overviews.tif"));
        assert!(!said.contains(sound), "a file that is none: {said}");
    }
}

#[test]
fn blocks_without_data_are_left_out_where_that_is_asked_for() {
    let dir = scratch();
    let (sparse, full) = (dir.path().join("sparse.tif"), dir.path().join("full.tif"));
    let input = testdata("all_nodata.tif");
    let report = cog(&[&input], &sparse, &["--co", "SPARSE_OK=YES"]);
    assert_eq!(report["blocks"], 0, "{report}");
    let whole = cog(&[&input], &full, &[]);
    assert_eq!((&whole["empty"], &report["empty"]), (&0.into(), &whole["blocks"]));
    let (sparse, full) = (info(&sparse), info(&full));
    assert_eq!(sparse["bands"][0]["checksum"], full["bands"][0]["checksum"]);
    assert_eq!(sparse["bands"][0]["noDataValue"], full["bands"][0]["noDataValue"]);
}

#[test]
fn what_cannot_be_packed_is_refused_before_anything_is_written() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    for (name, options, word) in [
        ("dem.tif", &["--co", "COMPRESS=JPEG"][..], "cannot pack so"),
        ("dem.tif", &["--co", "OVERVIEW_COMPRESS=JPEG"], "cannot pack so"),
        ("gcps.tif", &["--co", "COMPRESS=WEBP"], "cannot pack so"),
        ("landcover.tif", &["-r", "average"], "colour table"),
        ("rgb.tif", &["--nodata", "300"], "no such value"),
        ("rgb.tif", &["--blocksize", "144", "-r", "cubic"], "multiple of 64"),
    ] {
        let given = [&["--blocksize", "128"], options].concat();
        let given = if options.contains(&"--blocksize") { options } else { &given };
        let run = attempt(&[&testdata(name)], &out, given);
        assert!(run.failure(2).contains(word), "{name} {options:?}: {run:?}");
        assert!(!run.err.contains("/vsimem/"), "{run:?}");
    }
    assert!(names_in(dir.path()).is_empty());
}

#[test]
fn a_run_that_fails_leaves_nothing_and_takes_nothing() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let run = attempt(&[&testdata("truncated.tif")], &out, &["-q"]);
    assert!(run.failure(3).contains("truncated.tif"), "{run:?}");
    assert!(names_in(dir.path()).is_empty());
    std::fs::write(&out, "what was there").expect("write");
    let run = attempt(&[&testdata("rgb.tif")], &out, &["-q"]);
    assert!(run.failure(4).contains("out.tif"), "{run:?}");
    let run = attempt(&[&testdata("truncated.tif")], &out, &["-q", "--overwrite"]);
    assert!(run.failure(3).contains("truncated.tif"), "{run:?}");
    assert_eq!(std::fs::read(&out).expect("read"), b"what was there");
    assert_eq!(names_in(dir.path()), ["out.tif"]);
}

#[test]
fn a_plan_is_told_and_nothing_written() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let plan = cog(&[&testdata("rgb.tif")], &out, &["--dry-run", "--blocksize", "128"]);
    assert_eq!(plan["overviews"], serde_json::json!([[350, 300], [175, 150], [88, 75]]));
    assert!(names_in(dir.path()).is_empty());
}
