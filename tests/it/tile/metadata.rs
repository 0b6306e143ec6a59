//! What a set says about itself, and what a dry run says about a set to come.

use std::process::Command;

use serde_json::{Value, json};

use super::*;
use crate::common::{catalogue, succeed};
use crate::containers::pmtiles::python;

const LABELS: [&str; 10] = [
    "--name",
    "Test map",
    "--description",
    "A map of a test",
    "--attribution",
    "© nobody",
    "--url",
    "https://example.com/t",
    "--baselayer",
    "--scale=0,255",
];

fn bounds(report: &Value) -> Vec<f64> {
    report["bounds"].as_array().expect("four").iter().map(|v| v.as_f64().expect("number")).collect()
}

fn close(a: &[f64], b: &[f64], by: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= by)
}

#[test]
fn a_folder_describes_itself_in_tilejson_3() {
    let dir = scratch();
    let output = dir.path().join("set");
    let report = tile(&[&testdata("rgb.tif")], &output, &LABELS);
    let text = std::fs::read_to_string(output.join("tilejson.json")).expect("TileJSON");
    let mut found: Value = serde_json::from_str(&text).expect("JSON");
    let numbers = |v: &Value| -> Vec<f64> {
        v.as_array().expect("a list").iter().map(|v| v.as_f64().expect("number")).collect()
    };
    let (bounded, centre) = (numbers(&found["bounds"]), numbers(&found["center"]));
    assert!(close(&bounded, &bounds(&report), 1e-9));
    assert!(bounded[0] < bounded[2] && bounded[1] < bounded[3]);
    assert!(close(
        &centre[..2],
        &[f64::midpoint(bounded[0], bounded[2]), f64::midpoint(bounded[1], bounded[3])],
        1e-9
    ));
    assert!((9.0..=14.0).contains(&centre[2]) && found["center"][2].is_u64());
    let object = found.as_object_mut().expect("an object");
    object.remove("bounds");
    object.remove("center");
    // Required: tilejson, tiles. All others are optional keys of the specification, or extra ones, which it allows.
    let expected = json!({
        "tilejson": "3.0.0",
        "name": "Test map",
        "description": "A map of a test",
        "attribution": "© nobody",
        "version": "1.0.0",
        "scheme": "xyz",
        "tiles": ["https://example.com/t/{z}/{x}/{y}.png"],
        "minzoom": 9,
        "maxzoom": 14,
        "type": "baselayer",
        "format": "png",
    });
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(object.remove(key).as_ref(), Some(value), "{key}");
    }
    let others: Vec<&String> = object.keys().collect();
    assert!(others.iter().all(|k| k.to_lowercase().starts_with("tile")), "{others:?}");
    // The name is the output's unless another is given.
    let output = dir.path().join("hills.v2");
    tile(&[&testdata("int8.tif")], &output, &[]);
    let text = std::fs::read_to_string(output.join("tilejson.json")).expect("TileJSON");
    let found: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(found["tiles"], json!(["{z}/{x}/{y}.png"]));
    assert!(found["name"].as_str().expect("a name").starts_with("hills"), "{text}");
    assert!(!text.contains("description") && !text.contains("attribution"), "{text}");
}

#[test]
fn gdal_finds_the_picture_and_its_place_in_mbtiles() {
    let dir = scratch();
    let output = dir.path().join("set.mbtiles");
    tile(&[&testdata("rgb.tif")], &output, &LABELS);
    let text = succeed(Command::new("gdalinfo").args(["-json", "-checksum"]).arg(&output));
    let info: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(info["driverShortName"], "MBTiles");
    let metadata = &info["metadata"][""];
    for (key, value) in [
        ("ZOOM_LEVEL", "14"),
        ("minzoom", "9"),
        ("maxzoom", "14"),
        ("name", "Test map"),
        ("description", "A map of a test"),
        ("attribution", "© nobody"),
        ("format", "png"),
        ("type", "baselayer"),
    ] {
        assert_eq!(metadata[key], value, "{key}: {metadata}");
    }
    // The same place in the raster and in the set.
    let colours = |path: &Path| {
        let mut command = Command::new("gdallocationinfo");
        let text = succeed(command.args(["-valonly", "-wgs84"]).arg(path).args(["15.12", "48.815"]));
        text.split_whitespace().take(3).map(|v| v.parse::<i32>().expect("number")).collect::<Vec<_>>()
    };
    let (source, tiles) = (colours(&testdata("rgb.tif")), colours(&output));
    assert!(source.iter().zip(&tiles).all(|(a, b)| (a - b).abs() < 25), "{source:?}, {tiles:?}");
}

#[test]
fn the_python_package_finds_the_description_of_pmtiles() {
    let Some(python) = python() else {
        eprintln!("skipped: no python with the package pmtiles (TILELOOM_PYTHON names one)");
        return;
    };
    let dir = scratch();
    let output = dir.path().join("set.pmtiles");
    let report = tile(&[&testdata("antimeridian.tif")], &output, &LABELS);
    let script = "
import json, sys
from pmtiles.reader import Reader, MmapSource, all_tiles
source = MmapSource(open(sys.argv[1], 'rb'))
header = Reader(source).header()
found = {k: v for k, v in header.items() if isinstance(v, (int, bool))}
found['tiles'] = sum(1 for _ in all_tiles(source))
found['metadata'] = Reader(source).metadata()
print(json.dumps(found))
";
    let text = succeed(Command::new(python).args(["-c", script]).arg(&output));
    let found: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(found["tiles"], report["tiles"]);
    assert_eq!(found["addressed_tiles_count"], report["tiles"]);
    assert_eq!((&found["min_zoom"], &found["max_zoom"]), (&report["min_zoom"], &report["max_zoom"]));
    assert_eq!(found["clustered"], true);
    let degrees =
        ["min_lon_e7", "min_lat_e7", "max_lon_e7", "max_lat_e7"].map(|k| found[k].as_f64().expect(k) / 1e7);
    assert!(close(&degrees, &bounds(&report), 1e-7), "{degrees:?}");
    assert_eq!(found["metadata"]["name"], "Test map");
    assert_eq!(found["metadata"]["attribution"], "© nobody");
}

#[test]
fn pmtiles_pass_what_go_pmtiles_verifies() {
    let dir = scratch();
    for file in ["rgb.tif", "landcover.tif", "antimeridian_utm.tif", "global_180.tif"] {
        let output = dir.path().join("set.pmtiles");
        tile(&[&testdata(file)], &output, &["--overwrite"]);
        crate::containers::pmtiles::Archive::open(&output).verify();
    }
}

#[test]
fn a_dry_run_writes_nothing_and_foretells_counts_and_size() {
    let refused =
        ["mask_beside.tif.msk", "complex.tif", "truncated.tif", "unreferenced.tif", "all_nodata.tif"];
    let files = catalogue::FILES.iter().map(|(name, _)| *name);
    for file in files.filter(|f| !refused.contains(f)) {
        let dir = scratch();
        for name in if file == "rgba.tif" { &NAMES[..] } else { &NAMES[2..] } {
            let output = dir.path().join(name);
            let plan = tile(&[&testdata(file)], &output, &["--dry-run"]);
            assert!(names_in(dir.path()).is_empty(), "{file}: {name}");
            let report = tile(&[&testdata(file)], &output, &[]);
            let number = |v: &Value| v.as_u64().unwrap_or_else(|| panic!("{file}: {plan}"));
            let per_zoom = plan["tiles_per_zoom"].as_object().expect("levels");
            let planned: u64 = per_zoom.values().map(&number).sum();
            assert_eq!(planned, number(&plan["tiles"]));
            assert_eq!(planned, number(&report["tiles"]) + number(&report["empty"]), "{file}: {name}");
            for key in ["min_zoom", "max_zoom", "bounds", "guesses"] {
                assert_eq!(plan[key], report[key], "{file}: {key}");
            }
            let filled = plan["filled"].as_f64().expect("a share");
            assert!(filled > 0.0 && filled <= 1.0, "{file}: {filled}");
            let (guess, real) = (number(&plan["bytes"]) as f64, number(&report["bytes"]) as f64);
            println!("{file:24} {guess:9} foretold, {real:9} real: {:.2}", guess / real);
            assert!(guess < 2.0 * real && guess > 0.5 * real, "{file}: {guess} foretold, {real} real");
            std::fs::remove_dir_all(&output).or_else(|_| std::fs::remove_file(&output)).expect("removed");
        }
    }
}
