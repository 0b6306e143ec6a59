//! Terrain tiles: heights in the colours, against heights that nobody here computed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use gdal::Dataset;
use serde_json::{Value, json};
use tempfile::TempDir;
use tileloom::grid::{TileCoord, WEB_MERCATOR_HALF};

use crate::common::raster::{Spec, samples, write};
use crate::common::{read_tiles, run, succeed, testdata, tile};
use crate::containers::pmtiles::Archive;

const MAPBOX: (f64, f64) = (-10_000.0, 0.1);
const TERRARIUM: (f64, f64) = (-32_768.0, 1.0 / 256.0);

/// Heights of a set, row by row for each tile. Every tile has to be RGB without alpha.
fn heights(path: &Path, (base, interval): (f64, f64)) -> BTreeMap<TileCoord, Vec<f64>> {
    let decode = |bytes: &Vec<u8>| {
        let mut reader =
            png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG without palette");
        let mut data = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut data).expect("pixels");
        assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Rgb, png::BitDepth::Eight));
        let number = |p: &[u8]| f64::from(u32::from_be_bytes([0, p[0], p[1], p[2]]));
        data.chunks_exact(3).map(|p| base + number(p) * interval).collect()
    };
    read_tiles(path).iter().map(|(tile, bytes)| (*tile, decode(bytes))).collect()
}

/// Tiles of a raster, decoded.
fn made(
    input: &Path,
    dir: &TempDir,
    encoding: (f64, f64),
    options: &[&str],
) -> BTreeMap<TileCoord, Vec<f64>> {
    let output = dir.path().join("set.mbtiles");
    let name = if encoding == TERRARIUM { "terrarium" } else { "mapbox" };
    tile(&[input], &output, &[&["--encoding", name, "--overwrite"], options].concat());
    heights(&output, encoding)
}

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// What `gdalwarp` makes of a raster on the pixels of a tile; not-a-number where there is no data.
fn warped(input: &Path, tile: TileCoord, method: &str, folder: &Path) -> Vec<f32> {
    let side = 2.0 * WEB_MERCATOR_HALF / f64::from(1u32 << tile.z);
    let west = f64::from(tile.x) * side - WEB_MERCATOR_HALF;
    let north = WEB_MERCATOR_HALF - f64::from(tile.y) * side;
    let extent = [west, north - side, west + side, north].map(|v| format!("{v:.9}"));
    let out = folder.join("warped.tif");
    let mut command = Command::new("gdalwarp");
    command.args(["-q", "-overwrite", "-et", "0", "-r", method, "-ot", "Float32", "-dstnodata", "nan"]);
    command.args(["-t_srs", "EPSG:3857", "-ts", "256", "256", "-te"]).args(&extent).arg(input).arg(&out);
    succeed(&mut command);
    let dataset = Dataset::open(&out).expect("opens");
    let band = dataset.rasterband(1).expect("a band");
    band.read_as::<f32>((0, 0), (256, 256), (256, 256), None).expect("reads").data().to_vec()
}

#[test]
fn base_tiles_hold_the_heights_that_gdalwarp_computes() {
    let dir = scratch();
    let input = testdata("dem.tif");
    for (encoding, method) in [(MAPBOX, "bilinear"), (TERRARIUM, "bilinear"), (MAPBOX, "cubic")] {
        let tiles = made(&input, &dir, encoding, &["-z", "12", "-r", method, "--nodata-height", "-5"]);
        assert_eq!(tiles.len(), 4);
        let mut compared = 0;
        for (tile, ours) in tiles {
            let theirs = warped(&input, tile, method, dir.path());
            for (ours, theirs) in ours.iter().zip(&theirs).filter(|(_, t)| t.is_finite()) {
                // At the rim of a hole either may find no data.
                if (ours + 5.0).abs() > encoding.1 {
                    let off = (ours - f64::from(*theirs)).abs();
                    assert!(off <= encoding.1 / 2.0 + 0.01, "{tile} {method}: {ours} and {theirs}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 20_000, "only {compared} pixels compared");
    }
}

#[test]
fn lower_levels_average_heights_and_not_colours() {
    let dir = scratch();
    let tiles = made(&testdata("dem.tif"), &dir, TERRARIUM, &["-z", "11-12", "--nodata-height", "-5"]);
    let (mut whole, mut partly) = (0, 0);
    for (parent, ours) in tiles.iter().filter(|(t, _)| t.z == 11) {
        for (k, height) in ours.iter().enumerate() {
            let (x, y) = (k % 256 * 2, k / 256 * 2);
            let child = TileCoord::new(12, parent.x * 2 + (x / 256) as u32, parent.y * 2 + (y / 256) as u32);
            let at = |i: usize| {
                let (x, y) = (x % 256 + i % 2, y % 256 + i / 2);
                tiles.get(&child).map_or(-5.0, |c| c[y * 256 + x])
            };
            let valid: Vec<f64> = (0..4).map(at).filter(|h| *h != -5.0).collect();
            if valid.is_empty() {
                assert_eq!(*height, -5.0);
                continue;
            }
            // Both levels are rounded to 1/256 m, neither from the other.
            let mean = valid.iter().sum::<f64>() / valid.len() as f64;
            assert!((height - mean).abs() <= 1.0 / 256.0 + 1e-9, "{parent}: {height} of {valid:?}");
            if valid.len() == 4 { whole += 1 } else { partly += 1 }
        }
    }
    assert!(whole > 5000 && partly > 100, "{whole} {partly}");
}

#[test]
fn pixels_without_data_take_the_nodata_height_and_leave_no_halo() {
    let dir = scratch();
    for (method, options) in
        [("bilinear", vec!["--nodata-height=1234"]), ("average", vec!["--nodata-height", "1234"])]
    {
        let options = [&["-z", "8-13", "-r", method], &options[..]].concat();
        let tiles = made(&testdata("dem.tif"), &dir, TERRARIUM, &options);
        let all = || tiles.values().flatten();
        // The raster's heights lie between 380 and 1000 m: anything else was mixed with -9999.
        assert!(all().all(|h| *h == 1234.0 || (380.0..=1000.0).contains(h)));
        assert!(all().any(|h| *h == 1234.0) && all().any(|h| *h < 1000.0));
    }
    let tiles = made(&testdata("dem.tif"), &dir, MAPBOX, &[]);
    let sea = tiles.values().flatten().filter(|h| h.abs() < 1e-9).count();
    assert!(sea > 1000, "0 m unless another height is asked for");
}

/// A raster in whose pixels all heights are `value`, as a VRT that says `words` of its band.
fn flat(dir: &TempDir, value: i16, crs: &str, words: &str) -> PathBuf {
    let spec = Spec {
        size: (40, 40),
        crs: Some(32633),
        geotransform: Some([507_340.0, 30.0, 0.0, 5_408_220.0, 0.0, -30.0]),
        ..Spec::default()
    };
    write(&dir.path().join("flat.tif"), &spec, vec![vec![value; 1600]]).expect("written");
    let vrt = dir.path().join("flat.vrt");
    let text = format!(
        "<VRTDataset rasterXSize='40' rasterYSize='40'><SRS>{crs}</SRS>\
         <GeoTransform>507340,30,0,5408220,0,-30</GeoTransform><VRTRasterBand dataType='Int16' band='1'>{words}\
         <SimpleSource><SourceFilename relativeToVRT='1'>flat.tif</SourceFilename><SourceBand>1</SourceBand>\
         </SimpleSource></VRTRasterBand></VRTDataset>"
    );
    std::fs::write(&vrt, text).expect("written");
    vrt
}

#[test]
fn scale_offset_and_unit_of_the_band_make_metres() {
    let dir = scratch();
    let feet = "<UnitType>ft</UnitType>";
    let us = 1200.0 / 3937.0;
    for (crs, words, options, height, said) in [
        ("EPSG:32633", "", &[][..], 5000.0, "--height-unit m"),
        ("EPSG:32633", "<UnitType>metre</UnitType>", &[], 5000.0, ""),
        ("EPSG:32633", feet, &[], 1524.0, "--height-unit ft"),
        ("EPSG:32633", "<UnitType>US survey foot</UnitType>", &[], 5000.0 * us, "--height-unit us-ft"),
        ("EPSG:32633+6360", "", &[], 5000.0 * us, "--height-unit us-ft"),
        ("EPSG:32633+5773", "", &[], 5000.0, ""),
        ("EPSG:32633+6360", feet, &[], 1524.0, "--height-unit ft"),
        (
            "EPSG:32633",
            "<Offset>-300</Offset><Scale>0.1</Scale>",
            &[],
            200.0,
            "--a-scale 0.1 --a-offset=-300",
        ),
        (
            "EPSG:32633",
            "<Offset>-300</Offset><Scale>0.1</Scale><UnitType>ft</UnitType>",
            &[],
            60.96,
            "--a-scale",
        ),
        ("EPSG:32633", feet, &["--height-unit", "m"], 5000.0, ""),
        ("EPSG:32633", feet, &["-a_scale", "0.5", "--a-offset=-2000", "--unit", "2"], 1000.0, ""),
        ("EPSG:32633", "<UnitType>K</UnitType>", &["--height-unit=dm"], 500.0, ""),
    ] {
        let input = flat(&dir, 5000, crs, words);
        let output = dir.path().join("set.pmtiles");
        let options = [&["--encoding", "terrarium", "--overwrite"], options].concat();
        let report = tile(&[&input], &output, &options);
        let found = heights(&output, TERRARIUM);
        let right = found.values().flatten().all(|h| *h == 0.0 || (h - height).abs() <= 1.0 / 512.0 + 1e-6);
        assert!(
            right && found.values().flatten().any(|h| *h != 0.0),
            "{crs} {words} {options:?}: not {height}"
        );
        let guesses = report["guesses"].to_string();
        let about = ["--height-unit", "--a-scale"].iter().any(|option| guesses.contains(option));
        assert!(guesses.contains(said) && about != said.is_empty(), "{crs} {words} {options:?}: {guesses}");
    }
    let input = flat(&dir, 5000, "EPSG:32633", "<UnitType>K</UnitType>");
    let output = dir.path().join("other");
    let args = [Path::new("tile"), &input, &output, Path::new("--encoding"), Path::new("mapbox")];
    let failed = run(args);
    assert!(failed.failure(3).contains("'K'") && failed.failure(3).contains("--height-unit"), "{failed:?}");
}

#[test]
fn whole_metres_are_averaged_to_fractions() {
    let dir = scratch();
    let spec = Spec {
        size: (64, 64),
        crs: Some(3857),
        // The pixels of zoom 12.
        geotransform: Some([0.0, 38.218_514_142_588_13, 0.0, 0.0, 0.0, -38.218_514_142_588_13]),
        ..Spec::default()
    };
    let input = dir.path().join("in.tif");
    let band: Vec<i16> = samples(spec.size, |x, _| if x as i64 % 2 == 0 { 7 } else { 8 });
    write(&input, &spec, vec![band]).expect("written");
    let tiles = made(&input, &dir, TERRARIUM, &["-z", "11-12", "-r", "nearest", "--nodata-height=-1"]);
    let of = |z: u8| -> Vec<f64> {
        tiles.iter().filter(|(t, _)| t.z == z).flat_map(|(_, h)| h).copied().filter(|h| *h != -1.0).collect()
    };
    assert!(of(12).iter().all(|h| *h == 7.0 || *h == 8.0) && of(12).len() == 64 * 64);
    assert!(of(11).iter().all(|h| *h == 7.5) && of(11).len() == 32 * 32);
}

#[test]
fn inputs_of_other_types_and_units_lie_over_each_other() {
    let dir = scratch();
    let feet = flat(&dir, 5000, "EPSG:32633", "<UnitType>ft</UnitType>");
    let output = dir.path().join("set");
    tile(
        &[&testdata("dem.tif"), &feet],
        &output,
        &["--encoding", "mapbox", "-z", "12", "--nodata-height=-9"],
    );
    let tiles = heights(&output, MAPBOX);
    let near = |h: &f64, v: f64| (h - v).abs() < 0.06;
    assert!(tiles.values().flatten().any(|h| near(h, 1524.0)));
    assert!(
        tiles.values().flatten().all(|h| near(h, 1524.0) || near(h, -9.0) || (370.0..1010.0).contains(h))
    );
}

/// What the three containers say of a set beside its pixels, `keys` of it.
fn said(dir: &TempDir, options: &[&str], keys: &[&str]) -> [Value; 3] {
    ["set", "set.mbtiles", "set.pmtiles"].map(|name| {
        let output = dir.path().join(name);
        tile(&[&testdata("dem.tif")], &output, &[options, &["--overwrite", "-z", "9"]].concat());
        let object: Value = if name == "set" {
            let text = std::fs::read_to_string(output.join("tilejson.json")).expect("TileJSON");
            serde_json::from_str(&text).expect("JSON")
        } else if name == "set.mbtiles" {
            let db = rusqlite::Connection::open(&output).expect("opened");
            let mut query = db.prepare("SELECT name, value FROM metadata").expect("a table");
            let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
            rows.expect("rows").map(|row| row.map(|(k, v)| (k, Value::String(v))).expect("a row")).collect()
        } else {
            let archive = Archive::open(&output);
            let (offset, length) = archive.section(1);
            serde_json::from_slice(&archive.gunzip(offset, length)).expect("JSON")
        };
        keys.iter().filter_map(|k| object.get(*k).map(|v| ((*k).to_owned(), v.clone()))).collect()
    })
}

/// What metadata may say of an encoding.
const KEYS: [&str; 5] = ["encoding", "redFactor", "greenFactor", "blueFactor", "baseShift"];

#[test]
fn the_metadata_name_the_encoding() {
    let dir = scratch();
    for (name, told) in [("terrain-rgb", "mapbox"), ("terrarium", "terrarium")] {
        let all = said(&dir, &["--encoding", name], &KEYS);
        assert!(all.iter().all(|v| *v == json!({ "encoding": told })), "{all:?}");
    }
    assert!(said(&dir, &[], &KEYS).iter().all(|v| *v == json!({})), "a picture has no encoding");
    let options = ["--encoding", "mapbox", "--base-val=-500", "--interval", "0.5"];
    let [folder, mbtiles, pmtiles] = said(&dir, &options, &KEYS);
    let factors = json!({
        "encoding": "custom", "redFactor": 32768.0, "greenFactor": 128.0, "blueFactor": 0.5, "baseShift": 500.0
    });
    assert!(folder == factors && pmtiles == factors, "{folder} {pmtiles}");
    assert_eq!(mbtiles["encoding"], "custom");
    assert_eq!((&mbtiles["redFactor"], &mbtiles["baseShift"]), (&json!("32768.0"), &json!("500.0")));
    let tiles = heights(&dir.path().join("set.mbtiles"), (-500.0, 0.5));
    assert!(tiles.values().flatten().all(|h| *h == 0.0 || (380.0..=1000.0).contains(h)));
}

#[test]
fn rounded_heights_are_multiples_and_make_smaller_sets() {
    let dir = scratch();
    let size = |options: &[&str]| {
        let tiles = made(&testdata("dem.tif"), &dir, MAPBOX, &[options, &["-z", "9-12"]].concat());
        let bytes: usize = read_tiles(&dir.path().join("set.mbtiles")).values().map(Vec::len).sum();
        (tiles, bytes)
    };
    let (exact, all) = size(&[]);
    for (options, step, offset) in [
        (&["--round-heights", "auto"][..], 0.0, 0.0),
        (&["--round-heights", "2.5"], 2.5, 0.0),
        (&["--round-digits", "6"], 6.4, -10_000.0),
    ] {
        let (rounded, fewer) = size(options);
        assert!(fewer * 10 < all * 8, "{options:?}: {fewer} of {all} bytes");
        for (tile, heights) in &rounded {
            // 2^(12 − z) m: 0.8, 1.6, 3.2 and 6.4 m are the powers of two of 0.1 m below.
            let step = if step == 0.0 { 0.8 * f64::from(1 << (12 - tile.z)) } else { step };
            for (h, before) in heights.iter().zip(&exact[tile]) {
                let n = (h - offset) / step;
                assert!((n - n.round()).abs() < 1e-6, "{tile} {options:?}: {h}");
                assert!((h - before).abs() <= step / 2.0 + 0.051, "{tile} {options:?}: {before} became {h}");
            }
        }
    }
}

#[test]
fn heights_that_no_colour_stands_for_are_told() {
    let dir = scratch();
    let input = flat(&dir, -9999, "EPSG:32633", "");
    let output = dir.path().join("set.mbtiles");
    let options = ["--encoding", "mapbox", "--overwrite", "-z", "12"];
    let report = tile(&[&input], &output, &options);
    assert_eq!(report["warnings"], json!([]));
    let report = tile(&[&input], &output, &[&options[..], &["--a-scale", "2"]].concat());
    let warning = report["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("--src-nodata"), "{warning}");
    let lowest = heights(&output, MAPBOX).values().flatten().copied().fold(0.0, f64::min);
    assert_eq!(lowest, -10_000.0);
}

#[test]
fn terrain_bytes_depend_neither_on_threads_nor_on_memory() {
    let dir = scratch();
    let output = dir.path().join("set.pmtiles");
    let bytes = |variant: &[&str]| {
        let options = ["--encoding", "terrarium", "--round-heights", "auto", "--overwrite", "-z", "8-13"];
        tile(&[&testdata("dem.tif")], &output, &[&options[..], variant].concat());
        std::fs::read(&output).expect("archive")
    };
    assert!(
        bytes(&["-j", "1", "--memory", "160M"]) == bytes(&["-j", "5", "--readers", "3", "--memory", "1G"])
    );
}

#[test]
fn a_float_band_without_encoding_hints_at_terrain() {
    let dir = scratch();
    let guesses = |file: &str| {
        let options = ["--overwrite"];
        tile(&[&testdata(file)], &dir.path().join("set"), &options)["guesses"].to_string()
    };
    assert!(guesses("dem.tif").contains("--encoding terrarium"));
    assert!(!guesses("rgb16.tif").contains("--encoding"));
}

#[test]
fn what_is_no_terrain_is_refused() {
    let dir = scratch();
    let output = dir.path().join("set");
    for (file, options, code, says) in [
        ("rgb.tif", &[][..], 3, "one band"),
        ("rgb16.tif", &[], 3, "one band"),
        ("landcover.tif", &[], 3, "colour table"),
        ("complex.tif", &[], 3, "complex"),
        ("dem.tif", &["--categorical"], 2, "--categorical"),
        ("dem.tif", &["--scale", "0,100"], 2, "--scale"),
        ("dem.tif", &["--nodata-height=-10001"], 2, "--nodata-height"),
        ("dem.tif", &["--nodata-height=nan"], 2, "--nodata-height"),
        ("dem.tif", &["--interval=0"], 2, "--interval"),
        ("dem.tif", &["--a-scale=0"], 2, "--a-scale"),
        ("dem.tif", &["--round-heights", "0.25"], 2, "0.1"),
        ("dem.tif", &["--round-digits", "17"], 2, "--round-digits"),
        ("dem.tif", &["--round-heights", "auto", "--tiling-scheme", "raster"], 2, "--tiling-scheme"),
        ("dem.tif", &["-f", "jpg"], 2, "jpg"),
        ("dem.tif", &["-f", "webp", "--lossless=auto"], 2, "--lossless"),
        ("all_nodata.tif", &[], 3, "no data"),
    ] {
        let input = testdata(file);
        let fixed = [Path::new("tile"), &input, &output, Path::new("--encoding"), Path::new("mapbox")];
        let failed = run(fixed.into_iter().chain(options.iter().map(Path::new)));
        assert!(failed.failure(code).contains(says), "{file} {options:?}: {failed:?}");
        assert!(!output.exists(), "{file} {options:?}");
    }
    let input = testdata("dem.tif");
    for (options, says) in [
        (["--encoding", "gebco"], "terrarium"),
        (["--nodata-height", "5"], "--encoding"),
        (["--round-heights", "auto"], "--encoding"),
    ] {
        let failed =
            run([Path::new("tile"), &input, &output].into_iter().chain(options.iter().map(Path::new)));
        assert!(failed.code == Some(2) && failed.err.contains(says), "{failed:?}");
    }
    let terrarium = ["--encoding", "terrarium", "--interval", "0.5"];
    let failed = run([Path::new("tile"), &input, &output].into_iter().chain(terrarium.iter().map(Path::new)));
    assert!(failed.failure(2).contains("--encoding mapbox"), "{failed:?}");
    assert!(!output.exists());
}
