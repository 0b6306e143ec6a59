//! Which pixels hold data, what tiles show where none do, and how far a set reaches.

mod averages;
mod cutline;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tileloom::grid::{TileCoord, latitude, longitude};

use crate::common::raster::{Spec, samples, write};
use crate::common::{Run, names_in, pictures, read_tiles, run, testdata, tile};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// Runs `tile` on a file of `testdata/`, which has to fail with a code and leave nothing.
fn refused(input: &Path, name: &str, options: &[&str], code: i32) -> Run {
    let dir = scratch();
    let output = dir.path().join(name);
    let paths = [input.to_str().expect("UTF-8"), output.to_str().expect("UTF-8")];
    let run = run(["tile"].iter().chain(&paths).chain(options));
    assert_eq!(run.code, Some(code), "{options:?}: {run:?}");
    assert!(names_in(dir.path()).is_empty(), "{options:?} left {:?}", names_in(dir.path()));
    run
}

/// A raster of colour in UTM 33N at 15.1° E, 48.8° N.
fn made(folder: &Path, side: usize, nodata: Option<f64>, pixel: impl Fn(f64, f64) -> [u8; 3]) -> PathBuf {
    let spec = Spec {
        size: (side, side),
        crs: Some(32633),
        geotransform: Some([507_340.0, 7.0, 0.0, 5_408_220.0, 0.0, -7.0]),
        options: &["PHOTOMETRIC=RGB", "COMPRESS=DEFLATE"],
        nodata,
        ..Spec::default()
    };
    let path = folder.join("made.tif");
    let bands = (0..3).map(|b| samples(spec.size, |x, y| pixel(x, y)[b])).collect();
    write(&path, &spec, bands).expect("written");
    path
}

/// Colours of the pixels that can be seen, and whether some cannot.
fn seen(set: &Path) -> (BTreeSet<[u8; 3]>, bool) {
    let tiles = pictures(set);
    let pixels = || tiles.values().flat_map(|p| &p.pixels);
    (pixels().filter(|p| p[3] > 0).map(|p| [p[0], p[1], p[2]]).collect(), pixels().any(|p| p[3] == 0))
}

const BLACK: [u8; 3] = [0; 3];
const WHITE: [u8; 3] = [255; 3];
const GREEN: [u8; 3] = [0, 255, 0];
const SAND: [u8; 3] = [200, 180, 90];

/// Squares of four colours.
fn chequered(x: f64, y: f64) -> [u8; 3] {
    [BLACK, WHITE, GREEN, SAND][(x / 40.0) as usize % 2 + (y / 40.0) as usize % 2 * 2]
}

#[test]
fn a_pixel_has_no_data_when_it_matches_any_of_several_values() {
    let dir = scratch();
    let input = made(dir.path(), 240, None, chequered);
    let output = dir.path().join("set");
    for (options, expected) in [
        (&[][..], &[BLACK, WHITE, GREEN, SAND][..]),
        (&["--src-nodata", "0"], &[WHITE, GREEN, SAND]),
        (&["--src-nodata", "0", "--src-nodata", "255"], &[GREEN, SAND]),
        (&["--src-nodata", "0 0 0", "--src-nodata=200,180,90"], &[WHITE, GREEN]),
        (&["-srcnodata", "0,255,0", "-srcnodata", "255", "-srcnodata", "nan"], &[BLACK, SAND]),
        // A mixture of two lists is data.
        (&["--src-nodata", "0,0,255", "--src-nodata", "255,0,0"], &[BLACK, WHITE, GREEN, SAND]),
    ] {
        tile(&[&input], &output, &[options, &["-r", "nearest", "-z", "14", "--overwrite"]].concat());
        assert_eq!(seen(&output).0, expected.iter().copied().collect(), "{options:?}");
    }
}

#[test]
fn declared_values_count_unless_told_otherwise() {
    let dir = scratch();
    let input = made(dir.path(), 240, Some(0.0), chequered);
    let output = dir.path().join("set");
    for (options, black) in [
        (&[][..], false),
        (&["--src-nodata", "none"], true),
        (&["--src-nodata", "None"], true),
        (&["--src-nodata", "7"], true),
        (&["--src-nodata", "7", "--src-nodata", "0"], false),
    ] {
        tile(&[&input], &output, &[options, &["-r", "nearest", "-z", "14", "--overwrite"]].concat());
        assert_eq!(seen(&output).0.contains(&BLACK), black, "{options:?}");
    }
    // The opacity of an alpha band is no value: it still counts.
    tile(&[&testdata("rgba.tif")], &output, &["--src-nodata", "none", "-z", "13", "--overwrite"]);
    assert!(seen(&output).1);
}

#[test]
fn floats_may_lack_data_in_several_ways() {
    let dir = scratch();
    let spec = Spec {
        size: (200, 200),
        crs: Some(32633),
        geotransform: Some([507_340.0, 7.0, 0.0, 5_408_220.0, 0.0, -7.0]),
        ..Spec::default()
    };
    let path = dir.path().join("floats.tif");
    let value = |x: f64, _: f64| match (x / 50.0) as u32 {
        0 => f32::NAN,
        1 => -9999.0,
        2 => -32768.0,
        _ => 50.0,
    };
    write(&path, &spec, vec![samples(spec.size, value)]).expect("written");
    let output = dir.path().join("set");
    let options = ["--src-nodata", "-9999", "--src-nodata", "-32768", "--scale", "0,100", "-z", "14"];
    tile(&[&path], &output, &[&options[..], &["-r", "nearest"]].concat());
    let (colours, holes) = seen(&output);
    assert!(holes && colours == [[127; 3]].into(), "{colours:?}");
}

/// The colour type in the header of a PNG: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha.
fn colour_types(set: &Path) -> BTreeSet<u8> {
    read_tiles(set).values().map(|bytes| bytes[25]).collect()
}

#[test]
fn all_tiles_have_alpha_when_asked_for() {
    let dir = scratch();
    for (file, kind) in
        [("rgb.tif", 6), ("rotated.tif", 4), ("landcover.tif", 6), ("rgba.tif", 6), ("gray_alpha.tif", 4)]
    {
        let (plain, with) = (dir.path().join("plain"), dir.path().join("with"));
        let common = ["-z", "10-12", "--overwrite"];
        tile(&[&testdata(file)], &plain, &common);
        tile(&[&testdata(file)], &with, &[&common[..], &["--add-alpha"]].concat());
        assert_eq!(colour_types(&with), [kind].into(), "{file}");
        assert!(pictures(&plain) == pictures(&with), "{file} looks otherwise");
    }
    for options in [&["-f", "webp"][..], &["-f", "webp", "--lossless"], &["-f", "webp", "--lossless=auto"]] {
        let output = dir.path().join("set");
        tile(
            &[&testdata("rgb.tif")],
            &output,
            &[options, &["-z", "14-15", "--add-alpha", "--overwrite"]].concat(),
        );
        for (tile, bytes) in read_tiles(&output) {
            let decoder = image_webp::WebPDecoder::new(std::io::Cursor::new(&bytes)).expect("a WebP");
            assert!(decoder.has_alpha(), "{tile} with {options:?}");
        }
        // libwebp, through GDAL, sees it too.
        for entry in ["15/17758/11277", "15/17760/11279"] {
            let dataset = gdal::Dataset::open(output.join(format!("{entry}.webp"))).expect("a WebP");
            assert_eq!(dataset.raster_count(), 4, "{entry} with {options:?}");
        }
    }
}

#[test]
fn no_tile_has_alpha_when_asked_for() {
    let dir = scratch();
    let (plain, without) = (dir.path().join("plain"), dir.path().join("without"));
    for (file, options, background) in [
        ("rgb.tif", &["--no-alpha"][..], [0u8, 0, 0]),
        ("rgba.tif", &["--background", "#0a141e"], [10, 20, 30]),
        ("rgba.tif", &["--no-alpha", "--background", "255,0,0"], [255, 0, 0]),
        ("landcover.tif", &["--background", "7,8,9"], [7, 8, 9]),
        ("gray_alpha.tif", &["--no-alpha"], [0, 0, 0]),
        ("gray_alpha.tif", &["--background", "0,0,99"], [0, 0, 99]),
        ("rgb16.tif", &["--background", "1,2,3"], [1, 2, 3]),
    ] {
        let common = ["-z", "10-12", "--overwrite"];
        tile(&[&testdata(file)], &plain, &common);
        let report = tile(&[&testdata(file)], &without, &[&common[..], options].concat());
        let told = report["guesses"].to_string().contains("--background 0,0,0");
        assert_eq!(told, !options.contains(&"--background"), "{file} with {options:?}");
        let (before, after) = (pictures(&plain), pictures(&without));
        assert!(before.keys().eq(after.keys()), "{file}: other tiles");
        for (tile, picture) in &before {
            for (old, new) in picture.pixels.iter().zip(&after[tile].pixels) {
                let a = u32::from(old[3]);
                let blend =
                    |k: usize| (u32::from(old[k]) * a + u32::from(background[k]) * (255 - a) + 127) / 255;
                let expected = [0, 1, 2].map(|k| blend(k) as u8);
                assert_eq!([expected[0], expected[1], expected[2], 255], *new, "{file} {tile}");
            }
        }
        assert!(colour_types(&without).iter().all(|kind| [0, 2, 3].contains(kind)), "{file}");
    }
    let output = dir.path().join("set");
    tile(&[&testdata("rgba.tif")], &output, &["-f", "webp", "--lossless", "--no-alpha", "-z", "10-12"]);
    for bytes in read_tiles(&output).values() {
        assert!(!image_webp::WebPDecoder::new(std::io::Cursor::new(bytes)).expect("a WebP").has_alpha());
    }
}

#[test]
fn contradictions_about_alpha_are_refused() {
    let input = testdata("dem.tif");
    for (options, words) in [
        (&["--add-alpha", "--background", "0,0,0"][..], &["--background", "--add-alpha"][..]),
        (&["--add-alpha", "-f", "jpg"], &["--add-alpha", "jpg", "-f png"]),
        (&["--add-alpha", "--encoding", "mapbox"], &["--encoding", "--nodata-height"]),
        (&["--no-alpha", "--encoding", "terrarium"], &["--encoding", "--no-alpha"]),
        (&["--background", "0,0,0", "--encoding", "terrarium"], &["--encoding", "--background"]),
    ] {
        for name in ["set", "set.mbtiles"] {
            let run = refused(&input, name, options, 2);
            assert!(words.iter().all(|w| run.failure(2).contains(w)), "{run:?}");
        }
    }
    assert!(refused(&input, "set", &["--add-alpha", "--no-alpha"], 2).err.contains("cannot be used with"));
}

/// West, south, east and north of a report.
fn bounds(report: &serde_json::Value) -> Vec<f64> {
    report["bounds"].as_array().expect("four").iter().map(|v| v.as_f64().expect("a number")).collect()
}

#[test]
fn a_box_may_come_in_any_crs() {
    let dir = scratch();
    let input = testdata("rgb.tif");
    let degrees = dir.path().join("degrees");
    let expected = tile(&[&input], &degrees, &["-z", "15", "--bbox", "15.105,48.811,15.109,48.814"]);
    let (tiles, bounds_expected) = (read_tiles(&degrees), bounds(&expected));
    for (k, options) in [
        &["--bbox", "15.105,48.811,15.109,48.814", "--bbox-crs", "EPSG:4326"][..],
        &["--bbox", "15.105,48.811,15.109,48.814", "--bbox-crs", "OGC:CRS84"],
        &[
            "--bbox",
            "1681480.9084324,6242852.6835778,1681926.1863956,6243359.8143989",
            "--bbox-crs",
            "EPSG:3857",
        ],
        &["-te", "1681480.9084324", "6242852.6835778", "1681926.1863956", "6243359.8143989"],
        &["-te", "15.105", "48.811", "15.109", "48.814", "-te_srs", "EPSG:4326"],
    ]
    .into_iter()
    .enumerate()
    {
        let output = dir.path().join(format!("set{k}"));
        let report = tile(&[&input], &output, &[options, &["-z", "15"]].concat());
        assert!(read_tiles(&output) == tiles, "{options:?}");
        let close = bounds(&report).iter().zip(&bounds_expected).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close, "{report} with {options:?}");
    }
    // A box in UTM is the smallest one in degrees around it.
    let output = dir.path().join("utm");
    let report = tile(
        &[&input],
        &output,
        &["-z", "15", "--bbox", "508000,5406500,509000,5407500", "--bbox-crs", "EPSG:32633"],
    );
    let found = bounds(&report);
    let srs = |code| {
        let mut srs = gdal::spatial_ref::SpatialRef::from_epsg(code).expect("is known");
        srs.set_axis_mapping_strategy(gdal::spatial_ref::AxisMappingStrategy::TraditionalGisOrder);
        srs
    };
    let transform = gdal::spatial_ref::CoordTransform::new(&srs(32633), &srs(4326)).expect("a way");
    let expected =
        transform.transform_bounds(&[508_000.0, 5_406_500.0, 509_000.0, 5_407_500.0], 21).expect("a box");
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}, {expected:?}");
    for tile in read_tiles(&output).keys() {
        let b = tile.bounds();
        assert!(longitude(b.west) < expected[2] && longitude(b.east) > expected[0], "{tile}");
        assert!(latitude(b.south) < expected[3] && latitude(b.north) > expected[1], "{tile}");
    }
}

#[test]
fn a_box_of_one_tile_makes_one_tile() {
    let dir = scratch();
    let output = dir.path().join("set");
    let wanted = TileCoord::new(15, 17760, 11279);
    let b = wanted.bounds();
    let text = [b.west, b.south, b.east, b.north].map(|v| v.to_string());
    let options: Vec<&str> = ["-z", "15", "-te"].into_iter().chain(text.iter().map(String::as_str)).collect();
    tile(&[&testdata("rgb.tif")], &output, &options);
    assert_eq!(read_tiles(&output).into_keys().collect::<Vec<_>>(), [wanted]);
}

#[test]
fn boxes_that_make_no_sense_are_refused() {
    let input = testdata("rgb.tif");
    for (options, word) in [
        (&["--bbox", "3,2,1,4", "--bbox-crs", "EPSG:32633"][..], "XMIN,YMIN,XMAX,YMAX"),
        (&["--bbox", "1,4,3,2", "--bbox-crs", "EPSG:3857"], "XMIN,YMIN,XMAX,YMAX"),
        (&["--bbox", "1,2,3,4", "--bbox-crs", "EPSG:999999"], "--bbox-crs 'EPSG:999999'"),
        (&["--bbox", "1,2,3,4", "--bbox-crs", "nonsense"], "--bbox-crs 'nonsense'"),
        (&["--bbox", "1e30,1e30,2e30,2e30", "--bbox-crs", "EPSG:32633"], "no place on the Earth"),
        (&["--bbox-crs", "EPSG:32633"], "give --bbox"),
        (&["-te", "3", "2", "1", "4"], "XMIN,YMIN,XMAX,YMAX"),
    ] {
        let run = refused(&input, "set.pmtiles", options, 2);
        assert!(run.failure(2).contains(word), "{run:?}");
    }
    refused(&input, "set", &["-te", "1", "2", "3"], 2);
    refused(&input, "set", &["-te", "1", "2", "3", "4", "--bbox", "1,2,3,4"], 2);
}
