//! Onto another grid: the tiles of Web Mercator, those of other schemes, any CRS.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{attempt, bands, cog, info, scratch};
use crate::common::{names_in, run, succeed, testdata};

/// The tiles of Web Mercator, as GDAL names them.
const SCHEME: &str = "TILING_SCHEME=GoogleMapsCompatible";

/// What GDAL's own driver makes of a raster.
fn gdal(input: &Path, output: &Path, options: &[&str]) {
    let mut command = Command::new("gdal_translate");
    command.args(["-q", "-of", "COG", "-co", "COMPRESS=DEFLATE", "-co", "OVERVIEWS=IGNORE_EXISTING"]);
    for option in options {
        command.args(["-co", option]);
    }
    succeed(command.arg(input).arg(output));
}

/// Options of the driver as arguments.
fn given<'a>(options: &[&'a str]) -> Vec<&'a str> {
    options.iter().flat_map(|option| ["--co", option]).chain(["--overwrite"]).collect()
}

/// Where the pixels of a file lie, and those of its overviews.
fn grid(info: &Value) -> [Value; 5] {
    let overviews: Vec<&Value> =
        info["bands"][0]["overviews"].as_array().into_iter().flatten().map(|o| &o["size"]).collect();
    [
        info["size"].clone(),
        info["geoTransform"].clone(),
        serde_json::json!(overviews),
        info["metadata"]["TILING_SCHEME"].clone(),
        info["bands"][0]["block"].clone(),
    ]
}

#[test]
fn tiles_and_levels_are_those_that_gdal_takes() {
    let dir = scratch();
    let (ours, theirs) = (dir.path().join("ours.tif"), dir.path().join("theirs.tif"));
    for (name, options) in [
        ("rgb.tif", &[SCHEME][..]),
        ("rgb.tif", &[SCHEME, "ZOOM_LEVEL_STRATEGY=LOWER"]),
        ("rgb.tif", &[SCHEME, "ZOOM_LEVEL_STRATEGY=UPPER"]),
        ("rgb.tif", &[SCHEME, "ZOOM_LEVEL=12", "BLOCKSIZE=128"]),
        ("rgb.tif", &[SCHEME, "BLOCKSIZE=512"]),
        ("rgb.tif", &[SCHEME, "ALIGNED_LEVELS=3", "BLOCKSIZE=128"]),
        ("dem.tif", &[SCHEME]),
        ("landcover.tif", &[SCHEME]),
        ("gcps.tif", &[SCHEME]),
        ("rotated.tif", &[SCHEME]),
        ("global_180.tif", &[SCHEME, "BLOCKSIZE=128"]),
        ("rgb.tif", &["TARGET_SRS=EPSG:32633", "RES=25", "EXTENT=506000,5404000,512000,5409000"]),
    ] {
        cog(&[&testdata(name)], &ours, &given(options));
        gdal(&testdata(name), &theirs, options);
        let (own, other) = (info(&ours), info(&theirs));
        assert_eq!(grid(&own), grid(&other), "{name} {options:?}");
        assert_eq!(own["metadata"]["IMAGE_STRUCTURE"]["LAYOUT"], "COG", "{name} {options:?}");
        let kinds = |info: &Value| -> Vec<Value> {
            let bands = info["bands"].as_array().into_iter().flatten();
            bands
                .map(|b| serde_json::json!([b["type"], b["colorInterpretation"], b["noDataValue"]]))
                .collect()
        };
        assert_eq!(kinds(&own), kinds(&other), "{name} {options:?}");
    }
}

#[test]
fn pixels_are_those_of_warp() {
    let dir = scratch();
    let (out, warped) = (dir.path().join("out.tif"), dir.path().join("warped.tif"));
    for (name, method, alpha) in [
        ("rgb.tif", "cubic", true),
        ("rgb16.tif", "bilinear", true),
        ("dem.tif", "cubic", false),
        ("landcover.tif", "nearest", false),
        ("rgba.tif", "lanczos", true),
    ] {
        cog(&[&testdata(name)], &out, &["--web-optimized", "--overwrite", "--warp-resampling", method]);
        let like = format!("--like={}", out.display());
        let (input, target) = (testdata(name), warped.clone());
        let mut words = vec!["warp".as_ref(), input.as_os_str(), target.as_os_str(), like.as_ref()];
        words.extend(["--overwrite", "-r", method].map(OsStr::new));
        words.extend(alpha.then(|| OsStr::new("-dstalpha")));
        let done = run(words);
        assert_eq!(done.code, Some(0), "{name}: {}", done.err);
        let checksums =
            |info: &Value| -> Vec<Value> { bands(info).into_iter().map(|[sum, ..]| sum).collect() };
        assert_eq!(checksums(&info(&out)), checksums(&info(&warped)), "{name}");
    }
}

#[test]
fn neither_threads_nor_memory_change_a_byte() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    for method in ["average", "cubic"] {
        let mut seen: Option<Vec<u8>> = None;
        for machine in [["-j", "1", "--memory", "256M"], ["-j", "4", "--memory", "170M"]] {
            let fixed = ["-w", "--blocksize", "128", "--overwrite", "-r", method];
            cog(&[&testdata("rgb.tif")], &out, &[&fixed[..], &machine].concat());
            let bytes = std::fs::read(&out).expect("read");
            assert!(seen.is_none_or(|seen| seen == bytes), "{method} {machine:?}");
            seen = Some(bytes);
        }
    }
    assert_eq!(names_in(dir.path()), ["out.tif"]);
}

#[test]
fn a_mosaic_may_lie_on_several_grids() {
    let dir = scratch();
    let (left, right, degrees) =
        (dir.path().join("left.tif"), dir.path().join("right.tif"), dir.path().join("degrees.tif"));
    let input = testdata("rgb.tif");
    for (path, window) in [(&left, ["0", "0", "70", "100"]), (&right, ["70", "0", "50", "100"])] {
        let mut command = Command::new("gdal_translate");
        succeed(command.args(["-q", "-srcwin"]).args(window).arg(&input).arg(path));
    }
    succeed(
        Command::new("gdalwarp").args(["-q", "-t_srs", "EPSG:4326", "-dstalpha"]).arg(&right).arg(&degrees),
    );
    let out = dir.path().join("out.tif");
    let options = ["-w", "--overwrite", "--zoom-level", "14"];
    cog(&[&left, &right], &out, &options);
    let joined = info(&out);
    assert_eq!(joined["bands"].as_array().map(Vec::len), Some(4));
    cog(&[&left, &degrees], &out, &options);
    assert_eq!(grid(&info(&out)), grid(&joined));
}

#[test]
fn what_lies_outside_is_told_in_the_way_that_suits() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let seen = |name: &str, options: &[&str]| {
        cog(&[&testdata(name)], &out, &[&["-w", "--overwrite"], options].concat());
        let seen = info(&out);
        // Where there is nothing but a value for no data, or not even that, none are told.
        let flags = seen["bands"][0]["mask"]["flags"].to_string();
        (seen["bands"].as_array().map_or(0, Vec::len), flags)
    };
    assert_eq!(seen("rgb.tif", &[]).0, 4);
    let masked = (3, r#"["PER_DATASET"]"#.to_owned());
    assert_eq!(seen("rgb.tif", &["--co", "COMPRESS=JPEG"]), masked);
    assert_eq!(seen("rgba.tif", &["--co", "COMPRESS=JPEG"]), masked);
    assert_eq!(seen("rgb.tif", &["--add-mask"]), masked);
    assert_eq!(seen("bits1.tif", &[]), (1, masked.1));
    assert_eq!(seen("rgb.tif", &["--co", "ADD_ALPHA=NO"]), (3, "null".to_owned()));
    assert_eq!(seen("rgb.tif", &["--nodata", "0"]), (3, "null".to_owned()));
    assert_eq!(seen("dem.tif", &[]).0, 1);
}

#[test]
fn every_way_of_packing_goes_with_it() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let mut exact = None;
    for pack in ["DEFLATE", "LZW", "ZSTD", "NONE", "LERC", "WEBP", "JPEG"] {
        let option = format!("COMPRESS={pack}");
        let run = attempt(&[&testdata("rgb.tif")], &out, &["-w", "--overwrite", "--co", &option]);
        if run.code == Some(2) && run.err.contains("this GDAL cannot pack so") {
            continue;
        }
        assert_eq!(run.code, Some(0), "{pack}: {}", run.err);
        let found = bands(&info(&out));
        if !["WEBP", "JPEG"].contains(&pack) {
            assert!(exact.as_ref().is_none_or(|exact| *exact == found), "{pack}");
            exact = Some(found);
        }
    }
}

#[test]
fn options_about_grids_are_obeyed_or_refused() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    for (options, word) in [
        (&["TILING_SCHEME=Google"][..], "no tiling scheme 'Google'"),
        (&[SCHEME, "ZOOM_LEVEL=99"], "give 0 to 30"),
        (&[SCHEME, "ZOOM_LEVEL_STRATEGY=NEAREST"], "known are AUTO, LOWER, UPPER"),
        (&[SCHEME, "ALIGNED_LEVELS=11"], "give 0 to 10"),
        (&[SCHEME, "TARGET_SRS=EPSG:4326"], "says it already"),
        (&[SCHEME, "RES=10"], "says it already"),
        (&[SCHEME, "WARP_RESAMPLING=FOO"], "WARP_RESAMPLING=FOO"),
        (&["ZOOM_LEVEL=12"], "none is given"),
        (&["WARP_RESAMPLING=CUBIC"], "give a TILING_SCHEME or a TARGET_SRS"),
        (&["RES=10"], "give a TILING_SCHEME or a TARGET_SRS"),
        (&["TARGET_SRS=EPSG:3857", "EXTENT=1,2,3"], "XMIN,YMIN,XMAX,YMAX"),
        (&["TARGET_SRS=EPSG:3857", "RES=-1"], "a number above 0"),
        (&["TARGET_SRS=nowhere"], "not a known CRS"),
        (&["TARGET_SRS=EPSG:3857", "ALIGNED_LEVELS=1"], "none is given"),
    ] {
        let run = attempt(&[&testdata("rgb.tif")], &out, &given(options));
        assert!(run.failure(2).contains(word), "{options:?}: {run:?}");
    }
    let nowhere = attempt(&[&testdata("unreferenced.tif")], &out, &["-w"]);
    assert!(nowhere.failure(3).contains("no place on the Earth"), "{nowhere:?}");
    assert!(names_in(dir.path()).is_empty());
}
