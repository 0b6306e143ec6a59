//! The spellings people bring along.

use super::*;

fn bounds(run: &Run) -> Vec<f64> {
    assert_eq!(run.code, Some(0), "{run:?}");
    run.json()["bounds"].as_array().expect("four").iter().map(|v| v.as_f64().expect("number")).collect()
}

fn close(found: &[f64], expected: [f64; 4]) {
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}, {expected:?}");
}

#[test]
fn negative_numbers_are_values() {
    let dir = scratch();
    let common = ["--dry-run", "--json", "-z", "3"];
    let with =
        |input: &str, options: &[&str]| tile_to(dir.path(), input, "set", &[&common, options].concat());
    close(&bounds(&with("global_180.tif", &["--bbox", "-10,-20,5.5,60"])), [-10.0, -20.0, 5.5, 60.0]);
    close(&bounds(&with("global_180.tif", &["--bbox=-10,-20,-5.5,-1e1"])), [-10.0, -20.0, -5.5, -10.0]);
    close(&bounds(&with("global_180.tif", &["--bbox", "-10 -20 5.5 60"])), [-10.0, -20.0, 5.5, 60.0]);
    let place = ["--src-crs", "EPSG:4326", "--a-ullr", "-10", "60", "-5", "50.5"];
    close(&bounds(&with("unreferenced.tif", &place)), [-10.0, 50.5, -5.0, 60.0]);
    let run = with("int16.tif", &["--src-nodata", "-7", "--scale", "-100,-5"]);
    assert_eq!(run.code, Some(0), "{run:?}");
}

#[test]
fn gdal_spellings_are_understood() {
    let dir = scratch();
    let place =
        ["-s_srs", "EPSG:4326", "-a_ullr", "-10", "60", "-5", "50.5", "-z", "3", "--dry-run", "--json"];
    close(&bounds(&tile_to(dir.path(), "unreferenced.tif", "set", &place)), [-10.0, 50.5, -5.0, 60.0]);
    for options in [
        &["-srcnodata", "-7", "-scale", "-100,100"][..],
        &["-r", "near"],
        &["-r", "cubic_spline"],
        &["-r", "BILINEAR"],
        &["--tilesize", "512"],
        &["--xyz"],
        &["--processes", "2"],
        &["--title", "A name"],
        &["--zoom-levels", "9..10"],
        &["-q", "-wm", "300"],
        &["-oo", "NUM_THREADS=1"],
        &["--config", "GDAL_CACHEMAX=32"],
        &["-a_srs", "EPSG:32633"],
    ] {
        let run = tile_to(dir.path(), "int16.tif", "set", &[options, &["-overwrite"]].concat());
        assert_eq!(run.code, Some(0), "{options:?}: {run:?}");
    }
    assert_eq!(names_in(dir.path()), ["set"]);
}

#[test]
fn the_output_may_come_first_and_paths_may_look_like_options() {
    let dir = scratch();
    let (input, output) = (testdata("int8.tif"), dir.path().join("set"));
    let (input, output) = (input.to_str().expect("UTF-8"), output.to_str().expect("UTF-8"));
    assert_eq!(run(["tile", "-o", output, input, "-q"]).code, Some(0));
    std::fs::copy(input, dir.path().join("-r.tif")).expect("copied");
    let ended = program().args(["tile", "-q", "--", "-r.tif", "-z"]).current_dir(dir.path()).status();
    assert!(ended.expect("started").success());
    assert_eq!(names_in(dir.path()), ["-r.tif", "-z", "set"]);
    // Any name that is UTF-8 or not, with spaces and letters of all kinds.
    let odd = dir.path().join("Höhen über alles 山.pmtiles");
    assert_eq!(run(["tile", input, odd.to_str().expect("UTF-8"), "-q"]).code, Some(0));
    assert!(odd.exists());
}
