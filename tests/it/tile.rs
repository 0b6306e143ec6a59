//! `tileloom tile` from end to end.

mod extent;
mod holes;
mod look;
mod metadata;
mod mosaic;
mod resume;
mod update;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::common::raster::{Spec, write};
use crate::common::{names_in, read_tiles, run, testdata, tile};

const NAMES: [&str; 3] = ["set", "set.mbtiles", "set.pmtiles"];

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// A raster of one colour: UTM 33N at 15.1° E, 48.8° N, its upper left corner `east` and `south` of there.
fn plain<'a>(size: (usize, usize), pixel: f64, east: f64, south: f64) -> Spec<'a> {
    Spec {
        size,
        crs: Some(32633),
        geotransform: Some([507_340.0 + east, pixel, 0.0, 5_408_220.0 - south, 0.0, -pixel]),
        options: &["PHOTOMETRIC=RGB", "COMPRESS=DEFLATE", "TILED=YES"],
        ..Spec::default()
    }
}

/// Writes a raster of bytes into a folder.
fn raster(folder: &Path, name: &str, spec: &Spec<'_>, bands: Vec<Vec<u8>>) -> PathBuf {
    let path = folder.join(name);
    write(&path, spec, bands).expect("written");
    path
}

/// Bands of one colour, zero where `hole` says so.
fn with_hole(spec: &Spec<'_>, colour: &[u8], hole: impl Fn(usize, usize) -> bool) -> Vec<Vec<u8>> {
    let (width, height) = spec.size;
    let band = |v: u8| {
        (0..width * height).map(|k| if hole(k % width, k / width) { 0 } else { v }).collect::<Vec<u8>>()
    };
    colour.iter().map(|&v| band(v)).collect()
}

#[test]
fn the_three_containers_hold_the_same_tiles() {
    for (file, options) in
        [("rgb.tif", &[][..]), ("landcover.tif", &[]), ("dem.tif", &["--tile-size", "512"])]
    {
        let dir = scratch();
        let sets = NAMES.map(|name| {
            let output = dir.path().join(name);
            let report = tile(&[&testdata(file)], &output, options);
            let tiles = read_tiles(&output);
            assert_eq!(report["tiles"], tiles.len(), "{file} in {name}");
            assert_eq!(report["output"], output.to_str().expect("UTF-8"));
            tiles
        });
        assert!(sets[0].len() > 5 && sets[0] == sets[1] && sets[0] == sets[2], "{file}");
        assert_eq!(names_in(dir.path()), NAMES);
    }
}

#[test]
fn bytes_depend_neither_on_threads_nor_on_memory() {
    let dir = scratch();
    let variants: [&[&str]; 4] = [
        &["-j", "1", "--readers", "1", "--memory", "160M"],
        &["-j", "8", "--readers", "4", "--memory", "1G"],
        &["-j", "3", "--readers", "1"],
        &["-j", "2", "--readers", "5", "--memory", "200M", "--config", "GDAL_CACHEMAX=64"],
    ];
    for (files, name, options, variants) in [
        (&["rgb.tif"][..], "set.pmtiles", ["-z", "9-15"], &variants[..]),
        (&["rgba.tif"], "set.mbtiles", ["-z", "9-15"], &variants[..2]),
        (&["dem.tif"], "set.pmtiles", ["-r", "lanczos"], &variants[..2]),
        (
            &["rgb.tif", "landcover.tif", "rgb16.tif", "rgba.tif"],
            "set.mbtiles",
            ["-z", "7-11"],
            &variants[..3],
        ),
    ] {
        let inputs: Vec<PathBuf> = files.iter().map(|f| testdata(f)).collect();
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let made = |variant: &&[&str]| {
            let output = dir.path().join(name);
            tile(&inputs, &output, &[&options[..], variant, &["--overwrite"]].concat());
            std::fs::read(output).expect("archive")
        };
        let archives: Vec<_> = variants.iter().map(made).collect();
        assert!(archives.iter().all(|a| *a == archives[0]), "{files:?} in {name}");
    }
}

#[test]
fn a_set_is_replaced_only_when_asked() {
    let dir = scratch();
    for name in NAMES {
        let output = dir.path().join(name);
        tile(&[&testdata("int8.tif")], &output, &[]);
        let before = read_tiles(&output);
        let again = |options: &[&str]| {
            let input = testdata("bits1.tif");
            let args = ["tile", input.to_str().expect("UTF-8"), output.to_str().expect("UTF-8")];
            run(args.iter().chain(options))
        };
        let refused = again(&[]);
        assert!(refused.failure(4).contains("--overwrite"), "{refused:?}");
        assert!(read_tiles(&output) == before);
        assert_eq!(again(&["--overwrite"]).code, Some(0));
        assert!(read_tiles(&output) != before, "{name} was not replaced");
        // A run that fails takes nothing away.
        let after = read_tiles(&output);
        let input = testdata("truncated.tif");
        let failed = run([Path::new("tile"), &input, &output, Path::new("--overwrite")]);
        failed.failure(3);
        assert!(read_tiles(&output) == after);
    }
    assert_eq!(names_in(dir.path()), NAMES);
}

#[test]
fn equal_tiles_are_stored_once() {
    let dir = scratch();
    let spec = plain((1200, 1200), 5.0, 0.0, 0.0);
    let input = raster(dir.path(), "in.tif", &spec, with_hole(&spec, &[9, 90, 200], |_, _| false));
    for name in ["set.mbtiles", "set.pmtiles"] {
        let output = dir.path().join(name);
        let report = tile(&[&input], &output, &["-z", "14-15"]);
        let tiles = read_tiles(&output);
        let distinct: std::collections::BTreeSet<_> = tiles.values().collect();
        assert!(distinct.len() < tiles.len());
        assert_eq!(report["duplicates"], tiles.len() - distinct.len(), "{name}");
        assert_eq!(report["bytes"], std::fs::metadata(&output).expect("file").len());
    }
}
