//! `tileloom cog` from end to end.

mod regrid;
mod validators;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Run, names_in, run, succeed, testdata};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

fn attempt(inputs: &[&Path], output: &Path, options: &[&str]) -> Run {
    let paths = inputs.iter().copied().chain([output]).map(Path::as_os_str);
    let options = options.iter().map(OsStr::new);
    run([OsStr::new("cog"), OsStr::new("--json")].into_iter().chain(paths).chain(options))
}

/// The same, which has to succeed: its report.
fn cog(inputs: &[&Path], output: &Path, options: &[&str]) -> Value {
    let run = attempt(inputs, output, options);
    assert_eq!(run.code, Some(0), "{inputs:?} {options:?}: {}", run.err);
    run.json()
}

fn info(path: &Path) -> Value {
    let text = succeed(Command::new("gdalinfo").args(["-json", "-checksum"]).arg(path));
    serde_json::from_str(&text).expect("JSON")
}

/// Checksum, nodata, name and colours of each band.
fn bands(info: &Value) -> Vec<[Value; 4]> {
    let bands = info["bands"].as_array().expect("bands").iter();
    bands.map(|b| ["checksum", "noDataValue", "description", "colorTable"].map(|k| b[k].clone())).collect()
}

/// What GDAL makes of the same raster.
fn gdal(input: &Path, output: &Path, options: &[&str]) {
    let mut command = Command::new("gdal_translate");
    command.args(["-q", "-of", "COG", "-co", "BLOCKSIZE=128", "-co", "OVERVIEWS=IGNORE_EXISTING"]);
    for option in options {
        command.args(["-co", option]);
    }
    succeed(command.arg(input).arg(output));
}

#[test]
fn rasters_of_all_kinds_are_those_of_gdal() {
    let dir = scratch();
    let (ours, theirs) = (dir.path().join("ours.tif"), dir.path().join("theirs.tif"));
    for name in [
        "rgb.tif",
        "rgba16.tif",
        "dem.tif",
        "int8.tif",
        "int16.tif",
        "landcover.tif",
        "bits1.tif",
        "mask_inside.tif",
        "mask_beside.tif",
        "gcps.tif",
        "south_up.tif",
        "striped.tif",
        "unreferenced.tif",
        "bands4.tif",
    ] {
        let input = testdata(name);
        let report = cog(&[&input], &ours, &["--blocksize", "128", "--overwrite"]);
        gdal(&input, &theirs, &["COMPRESS=DEFLATE"]);
        let (own, other) = (info(&ours), info(&theirs));
        assert_eq!(own["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"], "COG", "{name}");
        assert_eq!(bands(&own), bands(&other), "{name}");
        for key in ["size", "geoTransform", "coordinateSystem", "gcps"] {
            assert_eq!(own[key], other[key], "{name}: {key}");
        }
        assert_eq!(own["bands"][0]["mask"]["flags"], other["bands"][0]["mask"]["flags"], "{name}");
        assert_eq!(report["bytes"], std::fs::metadata(&ours).expect("a file").len(), "{name}");
    }
}

#[test]
fn overviews_of_even_sizes_are_those_of_gdal() {
    let dir = scratch();
    let even = dir.path().join("even.tif");
    succeed(
        Command::new("gdal_translate")
            .args(["-q", "-srcwin", "0", "0", "128", "64"])
            .arg(testdata("rgb.tif"))
            .arg(&even),
    );
    let (ours, theirs) = (dir.path().join("ours.tif"), dir.path().join("theirs.tif"));
    for method in ["average", "nearest", "cubic", "bilinear"] {
        let count = ["--overview-level", "3", "--blocksize", "128", "--overwrite", "-r", method];
        let report = cog(&[&even], &ours, &count);
        assert_eq!(report["overviews"], serde_json::json!([[64, 32], [32, 16], [16, 8]]));
        let method = format!("OVERVIEW_RESAMPLING={method}");
        gdal(&even, &theirs, &["COMPRESS=DEFLATE", "OVERVIEW_COUNT=3", &method]);
        let (own, other) = (info(&ours), info(&theirs));
        for band in 0..3 {
            assert_eq!(own["bands"][band]["overviews"], other["bands"][band]["overviews"], "{method}");
        }
    }
}

#[test]
fn threads_and_memory_make_no_difference_to_the_bytes() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let mut seen: Option<Vec<u8>> = None;
    for options in [["-j", "1", "--memory", "256M"], ["-j", "4", "--memory", "160M"]] {
        for method in ["average", "cubic"] {
            let fixed = ["--blocksize", "128", "--overwrite", "-r", method, "--co", "STATISTICS=YES"];
            cog(&[&testdata("rgb.tif")], &out, &[&fixed[..], &options].concat());
            let bytes = std::fs::read(&out).expect("read");
            if method == "average" {
                assert!(seen.as_ref().is_none_or(|seen| *seen == bytes), "{options:?}");
                seen = Some(bytes);
            }
        }
    }
    assert_eq!(names_in(dir.path()), ["out.tif"]);
}

#[test]
fn blocks_are_packed_in_every_way_gdal_knows() {
    let dir = scratch();
    let (input, out) = (testdata("rgb.tif"), dir.path().join("out.tif"));
    let original = bands(&info(&input));
    for (method, exact) in
        [("NONE", true), ("LZW", true), ("ZSTD", true), ("LERC", true), ("JPEG", false), ("WEBP", false)]
    {
        let pack = format!("COMPRESS={method}");
        let run = attempt(&[&input], &out, &["--overwrite", "--blocksize", "128", "--co", &pack]);
        if run.code == Some(2) && run.err.contains("this GDAL cannot pack so") {
            continue;
        }
        assert_eq!(run.code, Some(0), "{method}: {}", run.err);
        let seen = info(&out);
        assert_eq!(seen["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"], "COG", "{method}");
        let same = bands(&seen).iter().zip(&original).all(|(a, b)| a[0] == b[0]);
        assert_eq!(same, exact, "{method}");
    }
}

#[test]
fn opacity_becomes_a_mask_where_that_is_asked_for() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    for options in [&["--add-mask"][..], &["--co", "COMPRESS=JPEG"]] {
        cog(&[&testdata("rgba.tif")], &out, &[&["--overwrite", "--blocksize", "128"], options].concat());
        let seen = info(&out);
        assert_eq!(seen["bands"].as_array().map(Vec::len), Some(3), "{options:?}");
        assert_eq!(seen["bands"][0]["mask"]["flags"], serde_json::json!(["PER_DATASET"]), "{options:?}");
    }
}

#[test]
fn a_mosaic_is_the_raster_it_was_cut_from() {
    let dir = scratch();
    let (left, right) = (dir.path().join("left.tif"), dir.path().join("right.tif"));
    let input = testdata("rgb.tif");
    for (path, window) in [(&left, ["0", "0", "70", "100"]), (&right, ["70", "0", "50", "100"])] {
        let mut command = Command::new("gdal_translate");
        succeed(command.args(["-q", "-srcwin"]).args(window).arg(&input).arg(path));
    }
    let whole = dir.path().join("whole.tif");
    succeed(
        Command::new("gdal_translate")
            .args(["-q", "-srcwin", "0", "0", "120", "100"])
            .arg(&input)
            .arg(&whole),
    );
    let (joined, single) = (dir.path().join("joined.tif"), dir.path().join("single.tif"));
    cog(&[&left, &right], &joined, &["--blocksize", "128"]);
    cog(&[&whole], &single, &["--blocksize", "128"]);
    let (joined, single) = (info(&joined), info(&single));
    assert_eq!((bands(&joined), &joined["geoTransform"]), (bands(&single), &single["geoTransform"]));
    let other = attempt(&[&left, &testdata("dem.tif")], &dir.path().join("x.tif"), &[]);
    assert!(other.failure(3).contains("one kind"), "{other:?}");
}

#[test]
fn options_are_obeyed_or_refused() {
    let dir = scratch();
    let (input, out) = (testdata("rgb.tif"), dir.path().join("out.tif"));
    for (option, word) in [
        ("COMPRES=LZW", "did you mean COMPRESS?"),
        ("COMPRESS=FOO", "known are NONE, LZW"),
        ("LEVEL=30", "give a level"),
        ("QUALITY=50", "has no quality"),
        ("BLOCKSIZE=100", "multiple of 16"),
        ("OVERVIEWS=FORCE_USE_EXISTING", "made anew"),
        ("INTERLEAVE=BAND", "PIXEL"),
        ("PREDICTOR=FLOATING_POINT", "no floats"),
    ] {
        let run = attempt(&[&input], &out, &["--co", option]);
        assert!(run.failure(2).contains(word), "{option}: {run:?}");
    }
    assert!(attempt(&[&testdata("complex.tif")], &out, &[]).failure(3).contains("complex"));
    assert!(attempt(&[&input], &input, &[]).failure(4).contains("is read as"));
    assert!(names_in(dir.path()).is_empty());
    let report = cog(
        &[&input],
        &out,
        &["--co", "BIGTIFF=YES", "--co", "STATISTICS=YES", "--nodata", "7", "-b", "3,1"],
    );
    assert_eq!(report["bigtiff"], true);
    let seen = info(&out);
    let (band, original) = (&seen["bands"][0], info(&input));
    assert_eq!((&band["noDataValue"], &band["checksum"]), (&7.0.into(), &original["bands"][2]["checksum"]));
    assert!(band["metadata"][""]["STATISTICS_MEAN"].is_string(), "{band}");
}
