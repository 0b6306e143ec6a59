//! `calc --cog`: the result as a cloud-optimised GeoTIFF in the same pass.

use super::*;
use crate::common::{names_in, succeed, testdata};

use std::process::Command;

/// The file that `calc` makes and `cog` converts.
fn in_two_steps(inputs: &[&Path], options: &[&str], creation: &[&str], overviews: &str) -> Vec<u8> {
    let dir = scratch();
    let (plain, out) = (dir.path().join("plain.tif"), dir.path().join("out.tif"));
    calc(inputs, &plain, options);
    let words =
        [OsStr::new("cog"), plain.as_os_str(), out.as_os_str(), OsStr::new("-r"), OsStr::new(overviews)];
    let converted = run(words.into_iter().chain(creation.iter().map(OsStr::new)));
    assert_eq!(converted.code, Some(0), "{options:?}: {}", converted.err);
    std::fs::read(&out).expect("a file")
}

#[test]
fn the_file_is_that_of_a_conversion_after_the_calculation() {
    const SMALL: [&str; 2] = ["--co", "BLOCKSIZE=128"];
    let dir = scratch();
    let out = dir.path().join("out.tif");
    for (names, options, creation, overviews) in [
        (&["rgb.tif"][..], &["-e", "(A[1] - A[2]) / (A[1] + A[2])"][..], &SMALL[..], "average"),
        (&["rgb.tif"], &["-e", "A[3]", "-e", "A[2]", "-e", "A[1]"], &SMALL, "average"),
        (
            &["rgb.tif"],
            &["-e", "a=A/3", "-e", "b=A[2]*1.5", "--nodata", "-1", "--statistics"],
            &SMALL,
            "average",
        ),
        (&["rgb16.tif"], &["-e", "A > 1000"], &["--co", "BLOCKSIZE=128", "--co", "COMPRESS=ZSTD"], "average"),
        (&["dem.tif"], &["--op", "hillshade"], &SMALL, "average"),
        (&["dem.tif"], &["--op", "slope", "--op", "focal(median, 5)", "--statistics"], &SMALL, "average"),
        (
            &["dem.tif"],
            &["-e", "A", "--mo", "KEY=a & b", "--ot", "Float64"],
            &["--co", "BLOCKSIZE=128", "--co", "COMPRESS=LERC", "--co", "MAX_Z_ERROR=0.5"],
            "average",
        ),
        (
            &["dem.tif"],
            &["-e", "A", "--nodata", "none"],
            &["--co", "BLOCKSIZE=128", "--co", "PREDICTOR=NO", "--co", "LEVEL=9"],
            "average",
        ),
        (
            &["int16.tif"],
            &["-e", "A + 1", "--ot", "Int32"],
            &["--co", "BLOCKSIZE=128", "--co", "STATISTICS=YES"],
            "average",
        ),
        (&["int8.tif"], &["-e", "A", "--ot", "Int8"], &SMALL, "average"),
        (
            &["all_nodata.tif"],
            &["-e", "A * 0.5"],
            &["--co", "BLOCKSIZE=128", "--co", "SPARSE_OK=YES"],
            "average",
        ),
        (&["landcover.tif"], &["--op", "focal(mode, 3)"], &SMALL, "mode"),
        (&["landcover.tif"], &["-e", "where(col > 40, A, nodata)"], &SMALL, "mode"),
        (
            &["mask_inside.tif"],
            &["-e", "A", "--ot", "UInt32"],
            &["--co", "BLOCKSIZE=128", "--co", "BIGTIFF=YES"],
            "average",
        ),
        (&["bands4.tif"], &["-e", "A[1]", "-e", "A[2]", "-e", "A[3]", "-e", "A[4]"], &SMALL, "average"),
        (&["dem.tif"], &["--op", "color_relief(viridis, min=200, max=900)"], &SMALL, "average"),
        (&["rgb.tif", "dem.tif"], &["-e", "A + B", "-r", "cubic"], &SMALL, "cubic"),
        (&["south_up.tif"], &["-e", "A"], &["--co", "OVERVIEWS=NONE", "--co", "COMPRESS=NONE"], "average"),
        (
            &["unreferenced.tif"],
            &["-e", "A + col"],
            &["--co", "BLOCKSIZE=128", "--co", "OVERVIEW_COUNT=4"],
            "average",
        ),
    ] {
        let inputs: Vec<PathBuf> = names.iter().map(|name| testdata(name)).collect();
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let expected = in_two_steps(&inputs, options, creation, overviews);
        let chosen = if overviews == "cubic" { &["--overview-resampling", "cubic"][..] } else { &[] };
        let report = calc(&inputs, &out, &[options, creation, chosen, &["--cog", "--overwrite"]].concat());
        let bytes = std::fs::read(&out).expect("a file");
        assert!(bytes == expected, "{names:?} {options:?} {creation:?}: {report}");
        assert_eq!((&report["format"], &report["bytes"]), (&"COG".into(), &bytes.len().into()));
    }
    assert_eq!(names_in(dir.path()), ["out.tif"]);
}

#[test]
fn windows_threads_and_memory_make_no_difference() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    for (name, options) in [
        ("dem.tif", &["--op", "focal(mean, 7)", "--op", "hillshade", "--statistics"][..]),
        ("rgb16.tif", &["-e", "A / A[2]", "-e", "A[3]", "--overview-resampling", "cubic"]),
    ] {
        let mut expected: Option<Vec<u8>> = None;
        for (window, threads, memory) in [
            ("64", "1", "256M"),
            ("128", "2", "200M"),
            ("256", "8", "512M"),
            ("1000", "2", "256M"),
            ("", "1", "150M"),
        ] {
            let mut all =
                vec!["--cog", "--co", "BLOCKSIZE=128", "--overwrite", "-j", threads, "--memory", memory];
            if !window.is_empty() {
                all.extend(["--window-size", window]);
            }
            calc(&[&testdata(name)], &out, &[&all, options].concat());
            let bytes = std::fs::read(&out).expect("a file");
            assert!(
                *expected.get_or_insert_with(|| bytes.clone()) == bytes,
                "{options:?} {window} {threads}"
            );
        }
    }
}

#[test]
fn gdal_finds_the_calculation_in_every_pixel() {
    let dir = scratch();
    let (ours, theirs) = (dir.path().join("ours.tif"), dir.path().join("theirs.tif"));
    calc(&[&testdata("dem.tif")], &ours, &["--op", "slope", "-f", "cog", "--co", "BLOCKSIZE=128"]);
    calc(&[&testdata("dem.tif")], &theirs, &["--op", "slope"]);
    assert!(same(&band(&ours, 1), &band(&theirs, 1)));
    let text = succeed(Command::new("gdalinfo").arg("-json").arg(&ours));
    let info: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(info["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"], "COG");
    assert!(!info["bands"][0]["overviews"].as_array().expect("overviews").is_empty());
    let sound = run([OsStr::new("check"), ours.as_os_str()]);
    assert_eq!(sound.code, Some(0), "{}{}", sound.out, sound.err);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_written() {
    let dir = scratch();
    let (input, out) = (testdata("rgb.tif"), dir.path().join("out.tif"));
    for (options, word) in [
        (&["--cog", "-f", "HFA"][..], "drop one of them"),
        (&["--cog", "--co", "TILED=YES"], "no such option"),
        (&["--cog", "--co", "COMPRES=LZW"], "did you mean COMPRESS?"),
        (&["--cog", "--co", "TILING_SCHEME=GoogleMapsCompatible"], "--like"),
        (&["--cog", "--co", "BLOCKSIZE=100"], "multiple of 16"),
        (&["--cog", "--window-size", "0"], "--window-size 0"),
        (&["--overview-resampling", "cubic"], "--overviews or --cog"),
    ] {
        let run = attempt(&[&input], &out, &[&["-e", "A"], options].concat());
        assert_eq!(run.code, Some(2), "{options:?}: {run:?}");
        assert!(run.err.contains(word), "{options:?}: {run:?}");
        assert!(names_in(dir.path()).is_empty(), "{options:?}");
    }
    let words = ["plan", "calc", "in.tif", "out.tif", "-e", "A", "--cog", "--shards", "2"];
    let words = words.map(|word| if word == "in.tif" { input.as_os_str() } else { OsStr::new(word) });
    let planned = run(words);
    assert!(planned.code == Some(2) && planned.err.contains("in shards"), "{planned:?}");
}

#[test]
fn a_result_that_must_not_be_leaves_nothing() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let input = testdata("rgb.tif");
    let run = attempt(&[&input], &out, &["-e", "A * 2", "--ot", "Byte", "--strict", "--cog"]);
    assert!(run.code == Some(1) && run.err.contains("--strict"), "{run:?}");
    let run = attempt(&[&testdata("truncated.tif")], &out, &["-e", "A", "--cog"]);
    assert_eq!(run.code, Some(3), "{run:?}");
    let run = attempt(&[&input], &out, &["-e", "A", "--cog", "--memory", "20M"]);
    assert!(run.failure(1).contains("the least that would do"), "{run:?}");
    assert!(names_in(dir.path()).is_empty());
    calc(&[&input], &out, &["-e", "A", "--cog", "--dry-run"]);
    assert!(names_in(dir.path()).is_empty());
}
