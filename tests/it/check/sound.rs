//! Sound files of every kind pass without a warning: ours and those of other programs.

use std::process::Command;

use super::*;
use crate::common::succeed;
use crate::containers::pmtiles::python;

#[test]
fn whatever_tile_makes_is_sound_and_all_of_it_is_looked_at() {
    let dir = scratch();
    for (number, (input, options)) in [
        ("rgb.tif", &["-z", "9-12"][..]),
        ("rgba.tif", &["-f", "webp"]),
        ("rgb.tif", &["-f", "jpg", "--tile-size", "512"]),
        ("landcover.tif", &[]),
        ("antimeridian.tif", &[]),
        ("global_360.tif", &[]),
        ("dem.tif", &["--encoding", "terrarium"]),
        ("gray_alpha.tif", &["--name", "grey", "--attribution", "© us"]),
    ]
    .into_iter()
    .enumerate()
    {
        for name in ["set", "set.mbtiles", "set.pmtiles", "set.tar"] {
            let path = dir.path().join(format!("{number}{name}"));
            let made = tile(&[&testdata(input)], &path, options);
            let seen = sound(&path, &[]);
            let contents = &seen["contents"];
            assert_eq!(contents["tiles"], made["tiles"], "{name} of {input}");
            assert!(
                contents["decoded"].as_u64() > Some(0)
                    && contents["decoded"].as_u64() <= contents["stored"].as_u64()
            );
            let kind = if name == "set" { "folder" } else { name.trim_start_matches("set.") };
            assert_eq!(seen["kind"], kind);
        }
    }
}

#[test]
fn folders_and_tars_of_other_grids_rows_and_formats_are_sound() {
    let dir = scratch();
    for (number, (input, options)) in [
        ("rgb.tif", &["--tiling-scheme", "WorldCRS84Quad"][..]),
        ("rgb.tif", &["--tiling-scheme", "raster"]),
        ("rgb.tif", &["--convention", "tms"]),
        ("rgb.tif", &["--retina"]),
        ("dem.tif", &["-f", "tif"]),
    ]
    .into_iter()
    .enumerate()
    {
        for name in ["set", "set.tar"] {
            let path = dir.path().join(format!("{number}{name}"));
            tile(&[&testdata(input)], &path, options);
            sound(&path, &[]);
        }
    }
    let pages = dir.path().join("pages");
    tile(&[&testdata("rgb.tif")], &pages, &["--webviewer", "all"]);
    sound(&pages, &[]);
}

#[test]
fn rasters_of_every_sample_type_and_layout_are_sound() {
    for entry in std::fs::read_dir(testdata("")).expect("testdata") {
        let path = entry.expect("entry").path();
        let is_raster = path.extension().is_some_and(|ending| ending == "tif");
        if is_raster && !path.ends_with("truncated.tif") {
            let seen = report(&path, &[]);
            assert_eq!(seen["verdict"], "ok", "{seen}");
            // A mask beside the file has blocks of its own.
            let [blocks, unpacked] = ["blocks", "unpacked"].map(|key| seen["contents"][key].as_u64());
            assert!(unpacked >= blocks, "{seen}");
        }
    }
}

/// Runs a program of GDAL on a raster of its own making: three bands of 900 × 700 pixels.
fn gdal(program: &str, options: &[&str], input: &Path, output: &Path) {
    succeed(Command::new(program).arg("-q").args(options).arg(input).arg(output));
}

#[test]
fn what_gdal_makes_is_sound_and_a_cog_when_it_is_one() {
    let dir = scratch();
    let large = dir.path().join("large.tif");
    gdal("gdal_translate", &["-outsize", "900", "700"], &testdata("rgb.tif"), &large);
    let masked = dir.path().join("masked.tif");
    let inside =
        ["-b", "1", "-b", "2", "-b", "3", "-mask", "1", "--config", "GDAL_TIFF_INTERNAL_MASK", "YES"];
    gdal("gdal_translate", &inside, &large, &masked);
    let output = dir.path().join("out.tif");
    for (input, options, cog) in [
        (&large, &["-of", "COG"][..], true),
        (&large, &["-of", "COG", "-co", "COMPRESS=DEFLATE", "-co", "PREDICTOR=YES"], true),
        (&large, &["-of", "COG", "-co", "COMPRESS=JPEG", "-co", "BLOCKSIZE=128"], true),
        (&large, &["-of", "COG", "-co", "COMPRESS=ZSTD", "-co", "BIGTIFF=YES"], true),
        (&masked, &["-of", "COG", "-co", "COMPRESS=DEFLATE"], true),
        (&masked, &["-of", "COG", "-co", "COMPRESS=JPEG"], true),
        (&large, &["-co", "COMPRESS=LZW"], false),
        (&large, &["-co", "INTERLEAVE=BAND", "-co", "ENDIANNESS=BIG"], false),
    ] {
        gdal("gdal_translate", options, input, &output);
        let seen = sound(&output, &[]);
        assert_eq!(seen["contents"]["cog"], cog, "{options:?}: {seen}");
        assert_eq!(seen["kind"], if cog { "cog" } else { "geotiff" });
        let demanded = check_run(&[&output], &["--as", "cog", "-q", "--strict"]);
        assert_eq!(demanded.code, Some(if cog { 0 } else { 5 }), "{options:?}: {demanded:?}");
    }
    // Overviews that were added afterwards: sound, but no COG any more.
    gdal("gdal_translate", &["-co", "TILED=YES"], &large, &output);
    succeed(Command::new("gdaladdo").arg("-q").arg(&output).args(["2", "4"]));
    let seen = sound(&output, &[]);
    assert_eq!((&seen["contents"]["cog"], &seen["kind"]), (&false.into(), &"geotiff".into()));
    assert_eq!(seen["contents"]["overviews"].as_array().map(Vec::len), Some(2));
}

#[test]
fn tile_sets_that_gdal_makes_are_sound() {
    let dir = scratch();
    let database = dir.path().join("gdal.mbtiles");
    gdal("gdal_translate", &["-of", "MBTiles"], &testdata("rgb.tif"), &database);
    succeed(Command::new("gdaladdo").arg("-q").arg(&database).args(["2", "4"]));
    assert_eq!(report(&database, &[])["verdict"], "ok");
    for (name, options) in [("tms", &[][..]), ("xyz", &["--xyz"]), ("plane", &["-p", "raster"])] {
        let folder = dir.path().join(name);
        let mut command = Command::new("gdal2tiles.py");
        command.args(["-q", "--processes", "1"]).args(options).arg(testdata("rgb.tif")).arg(&folder);
        if command.output().is_err() {
            eprintln!("skipped: no gdal2tiles.py");
            return;
        }
        assert_eq!(report(&folder, &[])["verdict"], "ok", "{name}");
    }
}

#[test]
fn tile_sets_that_rio_makes_are_sound() {
    let dir = scratch();
    let Some(python) = python() else {
        eprintln!("skipped: no python with the package pmtiles (TILELOOM_PYTHON names one)");
        return;
    };
    for (module, name, options) in [
        ("mbtiles", "a.mbtiles", &["mbtiles", "--title", "by rio"][..]),
        ("rio_pmtiles", "a.pmtiles", &["pmtiles", "--silent", "--name", "by rio"]),
        ("rio_pmtiles", "b.pmtiles", &["pmtiles", "--silent", "--format", "WEBP", "--tile-size", "512"]),
    ] {
        let found = Command::new(&python).args(["-c", &format!("import {module}")]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: no python with the package {module}");
            continue;
        }
        let path = dir.path().join(name);
        let mut rio = Command::new(Path::new(&python).with_file_name("rio"));
        succeed(rio.args(options).args(["--zoom-levels", "9..11"]).arg(testdata("rgb.tif")).arg(&path));
        assert_eq!(report(&path, &[])["verdict"], "ok", "{name}");
    }
}
