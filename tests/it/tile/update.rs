//! `--update-bbox`: part of a set made anew, against sets that are made anew as a whole.

use std::path::{Path, PathBuf};

use gdal::raster::Buffer;
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};
use tempfile::TempDir;

use crate::common::{pictures, read_tiles, run, testdata, tile};

const NAMES: [&str; 4] = ["set", "set.mbtiles", "set.pmtiles", "set.tar"];

/// Where the changed pixels lie, with room for what kernels reach.
const CHANGED: &str = "15.1230,48.8128,15.1246,48.8140";

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// A copy of a raster in which a square of pixels around its middle is turned into its negative.
fn changed(dir: &Path) -> PathBuf {
    let path = dir.join("changed.tif");
    std::fs::copy(testdata("rgb.tif"), &path).expect("copied");
    let options = DatasetOptions { open_flags: GdalOpenFlags::GDAL_OF_UPDATE, ..DatasetOptions::default() };
    let dataset = Dataset::open_ex(&path, options).expect("opens");
    let (width, height) = dataset.raster_size();
    let origin = (width as isize / 2 - 8, height as isize / 2 - 8);
    for number in 1..=3 {
        let mut band = dataset.rasterband(number).expect("a band");
        let values = band.read_as::<u8>(origin, (16, 16), (16, 16), None).expect("reads");
        let negative = values.data().iter().map(|v| 255 - v).collect();
        band.write(origin, (16, 16), &mut Buffer::new((16, 16), negative)).expect("writes");
    }
    path
}

fn updated(set: &Path, inputs: &[&Path], options: &[&str]) -> serde_json::Value {
    tile(inputs, set, &[&["--update-bbox", CHANGED], options].concat())
}

#[test]
fn an_updated_set_is_the_one_that_is_made_anew() {
    let dir = scratch();
    let (old, new) = (testdata("rgb.tif"), changed(dir.path()));
    for name in NAMES {
        let (set, expected) = (dir.path().join(name), dir.path().join(format!("expected_{name}")));
        let common = ["--name", "a set", "-z", "9-17"];
        tile(&[&old], &set, &common);
        tile(&[&new], &expected, &common);
        assert_ne!(read_tiles(&set), read_tiles(&expected));
        let report = updated(&set, &[&new], &[]);
        let tiles = report["tiles"].as_u64().expect("a number");
        let copied = report["copied"].as_u64().expect("a number");
        assert!(copied > tiles / 2 && copied < tiles - 8, "{name}: {copied} of {tiles}");
        if name == "set" {
            assert_eq!(read_tiles(&set), read_tiles(&expected));
        } else {
            assert!(std::fs::read(&set).expect("set") == std::fs::read(&expected).expect("set"), "{name}");
        }
    }
}

#[test]
fn what_the_inputs_do_not_cover_keeps_what_it_shows() {
    let dir = scratch();
    let set = dir.path().join("set");
    tile(&[&testdata("rgb.tif")], &set, &["-z", "12-17"]);
    let before = pictures(&set);
    // A scene that covers nothing of the box but a few pixels.
    let scene = dir.path().join("scene.tif");
    let mut cut = std::process::Command::new("gdal_translate");
    crate::common::succeed(
        cut.args(["-q", "-srcwin", "340", "290", "20", "20"]).arg(changed(dir.path())).arg(&scene),
    );
    let report = updated(&set, &[&scene], &[]);
    assert!(report["copied"].as_u64() > Some(0), "{report}");
    let after = pictures(&set);
    assert!(before.keys().eq(after.keys()));
    let (mut same, mut other) = (0, 0);
    for (tile, picture) in after.iter().filter(|(t, _)| t.z == 17) {
        for (a, b) in picture.pixels.iter().zip(&before[tile].pixels) {
            // Nothing becomes transparent, and hardly anything changes.
            assert_eq!(a[3], b[3], "{tile}");
            if a == b { same += 1 } else { other += 1 }
        }
    }
    assert!(other > 100 && other * 100 < same, "{other} pixels of {same} changed");
}

#[test]
fn pages_beside_a_folder_stay() {
    let dir = scratch();
    let set = dir.path().join("set");
    let rgb = testdata("rgb.tif");
    tile(&[&rgb], &set, &["-z", "12-15", "--webviewer", "leaflet"]);
    updated(&set, &[&rgb], &[]);
    assert!(set.join("leaflet.html").is_file());
}

#[test]
fn rejects_updates_that_cannot_be_made_and_leaves_the_set_as_it_was() {
    let dir = scratch();
    let rgb = testdata("rgb.tif");
    let made = |name: &str, options: &[&str]| {
        let set = dir.path().join(name);
        tile(&[&rgb], &set, &[&["-z", "12-15"], options].concat());
        set
    };
    let png = made("png.pmtiles", &[]);
    let jpg = made("jpg.pmtiles", &["-f", "jpg"]);
    let heights = dir.path().join("heights.pmtiles");
    tile(&[&testdata("dem.tif")], &heights, &["--encoding", "terrarium"]);
    let missing = dir.path().join("missing.pmtiles");
    let cases: [(&Path, &[&str], i32, &str); 11] = [
        (&jpg, &["-f", "jpg"], 2, "--allow-generation-loss"),
        (&jpg, &[], 2, "say -f jpg"),
        (&png, &["-f", "webp"], 2, "say -f png"),
        (&heights, &[], 2, "holds heights"),
        (&missing, &[], 3, "cannot be opened"),
        (&png, &["--overview-resampling", "bilinear"], 2, "average, nearest or mode"),
        (&png, &["--tile-size", "512"], 2, "drop --tile-size"),
        (&png, &["--convention", "tms"], 2, "drop --convention"),
        (&png, &["-z", "3"], 2, "cannot be used with it"),
        (&png, &["--resume"], 2, "cannot be used with it"),
        (&png, &["--bbox-crs", "EPSG:99999999"], 2, "not a known CRS"),
    ];
    for (set, options, code, message) in cases {
        let before = std::fs::read(set).ok();
        let paths = [rgb.as_os_str(), set.as_os_str()];
        let args = ["tile", "--update-bbox", CHANGED].map(std::ffi::OsStr::new);
        let options = options.iter().map(std::ffi::OsStr::new);
        let run = run(args.into_iter().chain(paths).chain(options));
        assert!(run.failure(code).contains(message), "{set:?}: {run:?}");
        assert!(std::fs::read(set).ok() == before, "{set:?}");
    }
    for (extent, code) in [("15,49,16,48", 2), ("100,20,101,21", 3)] {
        let args = ["tile", "--update-bbox", extent].map(std::ffi::OsStr::new);
        let run = run(args.into_iter().chain([rgb.as_os_str(), png.as_os_str()]));
        assert!(run.failure(code).contains("--update-bbox"), "{run:?}");
    }
    updated(&jpg, &[&rgb], &["-f", "jpg", "--allow-generation-loss"]);
}
