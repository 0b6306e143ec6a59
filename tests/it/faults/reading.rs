//! Inputs with damaged blocks: the run ends and says where, or goes on and says what is missing.

use std::os::unix::fs::FileExt;

use gdal::raster::Buffer;
use gdal::{Dataset, DriverManager, Metadata};
use serde_json::{Value, json};

use super::*;
use crate::common::{pictures, run};

/// A copy of a raster of `testdata` in DEFLATE tiles of 16 pixels, of which some are overwritten with rubbish.
fn damaged(folder: &Path, name: &str, blocks: &[(usize, usize)]) -> PathBuf {
    let path = folder.join(name);
    let source = Dataset::open(testdata(name)).expect("opens");
    let options = ["TILED=YES", "BLOCKXSIZE=16", "BLOCKYSIZE=16", "COMPRESS=DEFLATE"].into_iter().collect();
    let driver = DriverManager::get_driver_by_name("GTiff").expect("a driver");
    source.create_copy(&driver, &path, &options).expect("copied").close().expect("closed");
    let copy = Dataset::open(&path).expect("opens");
    let band = copy.rasterband(1).expect("a band");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("opens");
    for (column, row) in blocks {
        let item = |what: &str| -> u64 {
            let item = band.metadata_item(&format!("BLOCK_{what}_{column}_{row}"), "TIFF");
            item.expect("known").parse().expect("a number")
        };
        let rubbish = vec![0xff; item("SIZE") as usize];
        file.write_all_at(&rubbish, item("OFFSET")).expect("written");
    }
    path
}

fn attempt(command: &str, input: &Path, output: &Path, options: &[&str]) -> crate::common::Run {
    let paths = [input, output].map(|path| path.to_str().expect("UTF-8"));
    run([&[command, "--json"], &paths[..], options].concat())
}

/// The samples of a band.
fn samples(path: &Path) -> (usize, Vec<f64>) {
    let dataset = Dataset::open(path).expect("opens");
    let band = dataset.rasterband(1).expect("a band");
    let (width, height) = dataset.raster_size();
    let read: Buffer<f64> = band.read_as((0, 0), (width, height), (width, height), None).expect("reads");
    (width, read.data().to_vec())
}

const RASTER_JOBS: [(&str, &[&str]); 3] =
    [("calc", &["-e", "A"]), ("warp", &[]), ("cog", &["--co", "COMPRESS=DEFLATE"])];

#[test]
fn a_damaged_block_ends_the_run_unless_it_may_be_skipped() {
    let dir = scratch();
    let input = damaged(dir.path(), "int16.tif", &[(1, 1)]);
    for (command, options) in RASTER_JOBS.into_iter().chain([("tile", &["--tiling-scheme", "raster"][..])]) {
        let out = dir.path().join(if command == "tile" { "set" } else { "out.tif" });
        let failed = attempt(command, &input, &out, options);
        assert_eq!(failed.code, Some(3), "{command}: {failed:?}");
        assert!(failed.err.contains("int16.tif") && failed.err.contains("cannot read"), "{failed:?}");
        assert!(!out.exists());
    }
}

#[test]
fn skipped_blocks_hold_no_data_and_are_listed_and_all_else_is_there() {
    let dir = scratch();
    let input = damaged(dir.path(), "int16.tif", &[(1, 1), (0, 0)]);
    let (width, whole) = samples(&testdata("int16.tif"));
    for (command, options) in RASTER_JOBS {
        for threads in ["1", "4"] {
            let out = dir.path().join(format!("{command}{threads}.tif"));
            let options = [options, &["--on-error", "skip", "-j", threads]].concat();
            let done = attempt(command, &input, &out, &options);
            assert_eq!(done.code, Some(1), "{command}: {done:?}");
            assert!(done.err.contains("2 windows of the inputs could not be read"), "{done:?}");
            let report: Value = serde_json::from_str(&done.out).expect("JSON");
            assert_eq!(report["skipped"]["windows"], 2);
            let places: Vec<&Value> = report["skipped"]["listed"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|loss| &loss["row_column_height_width"])
                .collect();
            assert_eq!(places[0], &json!([0, 0, 16, 16]));
            assert_eq!(places[1], &json!([16, 16, 16, 16]));
            let (_, found) = samples(&out);
            for (at, (found, whole)) in found.iter().zip(&whole).enumerate() {
                let (x, y) = (at % width, at / width);
                let lost = (x < 16 && y < 16) || ((16..32).contains(&x) && (16..32).contains(&y));
                let expected = if lost { -32768.0 } else { *whole };
                assert!(*found == expected, "{command}: {found} instead of {expected} at {x}, {y}");
            }
        }
        let outputs =
            ["1", "4"].map(|n| fs::read(dir.path().join(format!("{command}{n}.tif"))).expect("made"));
        assert!(outputs[0] == outputs[1], "{command}");
    }
}

#[test]
fn tiles_of_damaged_rasters_are_transparent_where_the_damage_is() {
    let dir = scratch();
    let options = ["--tiling-scheme", "raster", "-z", "0-2", "--on-error", "skip"];
    let sound = damaged(dir.path(), "rgb.tif", &[]);
    let (good, bad) = (dir.path().join("good"), dir.path().join("bad"));
    assert_eq!(attempt("tile", &sound, &good, &options).code, Some(0));
    let input = damaged(dir.path(), "rgb.tif", &[(2, 1)]);
    let done = attempt("tile", &input, &bad, &options);
    assert_eq!(done.code, Some(1), "{done:?}");
    let (good, bad) = (pictures(&good), pictures(&bad));
    assert!(good.keys().eq(bad.keys()));
    let base = good.keys().map(|tile| tile.z).max().expect("tiles");
    let mut lost = 0;
    for (tile, picture) in bad.iter().filter(|(tile, _)| tile.z == base) {
        let whole = &good[tile];
        for (found, expected) in picture.pixels.iter().zip(&whole.pixels) {
            if found != expected {
                assert_eq!(found[3], 0, "{tile}");
                lost += 1;
            }
        }
    }
    assert_eq!(lost, 16 * 16);
}

#[test]
fn what_is_skipped_is_never_taken_for_finished_work() {
    let dir = scratch();
    let input = damaged(dir.path(), "rgb.tif", &[(2, 1)]);
    let out = dir.path().join("set.pmtiles");
    let refused = attempt("tile", &input, &out, &["--resume", "--on-error", "skip"]);
    assert!(refused.failure(2).contains("--on-error skip"), "{refused:?}");
    let quiet = run([Path::new("tile"), &input, &out, Path::new("-q"), Path::new("--on-error=skip")]);
    assert_eq!(quiet.code, Some(1));
    assert_eq!(quiet.err, "tileloom: 1 window of the inputs could not be read and holds no data\n");
    assert!(out.exists());
}
