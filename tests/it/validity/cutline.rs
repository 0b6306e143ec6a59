//! Cutlines, beside what gdalwarp and `gdal_rasterize` make of them.

use std::collections::BTreeMap;
use std::process::Command;

use gdal::Dataset;
use tileloom::grid::WEB_MERCATOR_HALF;

use super::*;
use crate::common::{Picture, succeed};

/// A file of one feature with a geometry.
fn file(folder: &Path, geometry: &str) -> PathBuf {
    let path = folder.join("cut.geojson");
    let text = format!(
        r#"{{"type":"FeatureCollection","features":[{{"type":"Feature","properties":{{}},"geometry":{geometry}}}]}}"#
    );
    std::fs::write(&path, text).expect("written");
    path
}

fn ring(points: &[(f64, f64)]) -> String {
    let points: Vec<String> =
        points.iter().chain(points.first()).map(|(x, y)| format!("[{x},{y}]")).collect();
    format!("[{}]", points.join(","))
}

/// A polygon with a hole and a triangle beside it, over `testdata/rgb.tif`.
fn shape() -> String {
    let outer = [
        (15.104, 48.822),
        (15.118, 48.8239),
        (15.131, 48.819),
        (15.127, 48.806),
        (15.112, 48.8093),
        (15.1055, 48.8045),
    ];
    let hole = [(15.114, 48.814), (15.116, 48.8193), (15.121, 48.8133)];
    let beside = [(15.133, 48.803), (15.142, 48.8036), (15.1385, 48.8127)];
    format!(
        r#"{{"type":"MultiPolygon","coordinates":[[{},{}],[{}]]}}"#,
        ring(&outer),
        ring(&hole),
        ring(&beside)
    )
}

/// A plane of bytes over a rectangle of tiles.
struct Plane {
    x: u32,
    y: u32,
    zoom: u8,
    columns: usize,
    rows: usize,
    bytes: Vec<u8>,
}

impl Plane {
    /// The opacity of the tiles of a level; 0 where there is none.
    fn of(tiles: &BTreeMap<TileCoord, Picture>, zoom: u8) -> Self {
        let level: Vec<_> = tiles.iter().filter(|(t, _)| t.z == zoom).collect();
        let xs = || level.iter().map(|(t, _)| t.x);
        let ys = || level.iter().map(|(t, _)| t.y);
        let (x, y) = (xs().min().expect("tiles") - 1, ys().min().expect("tiles") - 1);
        let columns = (xs().max().expect("tiles") + 2 - x) as usize;
        let rows = (ys().max().expect("tiles") + 2 - y) as usize;
        let mut bytes = vec![0; columns * rows * 65_536];
        for (tile, picture) in level {
            for (k, pixel) in picture.pixels.iter().enumerate() {
                let column = (tile.x - x) as usize * 256 + k % 256;
                let row = (tile.y - y) as usize * 256 + k / 256;
                bytes[row * columns * 256 + column] = pixel[3];
            }
        }
        Self { x, y, zoom, columns, rows, bytes }
    }

    /// `-te` and `-ts` of GDAL's programs.
    fn place(&self) -> Vec<String> {
        let side = 2.0 * WEB_MERCATOR_HALF / f64::from(1u32 << self.zoom);
        let (west, north) =
            (f64::from(self.x) * side - WEB_MERCATOR_HALF, WEB_MERCATOR_HALF - f64::from(self.y) * side);
        let (east, south) = (west + self.columns as f64 * side, north - self.rows as f64 * side);
        let mut place = vec!["-te".to_owned()];
        place.extend([west, south, east, north].map(|v| format!("{v:.12}")));
        place.push("-ts".to_owned());
        place.extend([self.columns * 256, self.rows * 256].map(|v| v.to_string()));
        place
    }

    /// How many bytes differ, how many of these do not lie beside both kinds of pixels here, and how many pixels are covered.
    fn compare(&self, other: &[u8]) -> (usize, usize, usize) {
        let width = self.columns * 256;
        let near = |k: usize| {
            let around = [k.wrapping_sub(width), k.wrapping_sub(1), k, k + 1, k + width];
            let around = around.into_iter().filter_map(|k| self.bytes.get(k));
            around.clone().any(|b| *b == 0) && around.clone().any(|b| *b > 0)
        };
        let differ: Vec<usize> =
            (0..self.bytes.len()).filter(|&k| (self.bytes[k] > 0) != (other[k] > 0)).collect();
        (
            differ.len(),
            differ.iter().filter(|k| !near(**k)).count(),
            self.bytes.iter().filter(|b| **b > 0).count(),
        )
    }
}

fn last_band(path: &Path) -> Vec<u8> {
    let dataset = Dataset::open(path).expect("opens");
    let band = dataset.rasterband(dataset.raster_count()).expect("a band");
    let size = dataset.raster_size();
    band.read_as::<u8>((0, 0), size, size, None).expect("pixels").data().to_vec()
}

#[test]
fn tiles_are_cut_where_gdal_cuts() {
    check_with_gdal(&shape());
    // Edges that are level on the map, each within a tile.
    let level = ring(&[(15.104, 48.8035), (15.1425, 48.8035), (15.1425, 48.8213), (15.104, 48.8213)]);
    check_with_gdal(&format!(r#"{{"type":"Polygon","coordinates":[{level}]}}"#));
}

fn check_with_gdal(geometry: &str) {
    let dir = scratch();
    let cut = file(dir.path(), geometry);
    let output = dir.path().join("set");
    let input = testdata("rgb.tif");
    let cutline = cut.to_str().expect("UTF-8");
    tile(&[&input], &output, &["-z", "10-15", "-r", "nearest", "--cutline", cutline]);
    let tiles = pictures(&output);
    let plane = Plane::of(&tiles, 15);

    // The polygons, burnt into the pixels of the tiles: the same rule, so the same pixels.
    let mercator = dir.path().join("mercator.gpkg");
    let there = ["-t_srs", "EPSG:3857", "-segmentize", "0.0001", "-nlt", "MULTIPOLYGON"];
    succeed(Command::new("ogr2ogr").args(there).arg(&mercator).arg(&cut));
    let burnt = dir.path().join("burnt.tif");
    let how = ["-q", "-burn", "255", "-ot", "Byte", "-init", "0"];
    succeed(Command::new("gdal_rasterize").args(how).args(plane.place()).arg(&mercator).arg(&burnt));
    let (differ, far, covered) = plane.compare(&last_band(&burnt));
    println!("of {covered} pixels {differ} differ from gdal_rasterize's");
    assert!(
        covered > 100_000 && differ <= covered / 20_000 && far == 0,
        "{differ} of {covered} differ, {far} far"
    );

    // gdalwarp cuts the pixels of the raster, which are larger here: only pixels on the edge may differ.
    let warped = dir.path().join("warped.tif");
    let how = ["-q", "-t_srs", "EPSG:3857", "-et", "0", "-r", "near", "-dstalpha", "-cutline", cutline];
    succeed(Command::new("gdalwarp").args(how).args(plane.place()).arg(&input).arg(&warped));
    let (differ, far, covered) = plane.compare(&last_band(&warped));
    println!("of {covered} pixels {differ} differ from gdalwarp's, {far} of them not on the edge");
    assert!(differ < covered / 50 && far * 20 < differ.max(20), "{differ} of {covered} differ, {far} far");
}

#[test]
fn nothing_is_made_outside_and_lower_levels_follow() {
    let dir = scratch();
    let cut = file(dir.path(), &shape());
    let (whole, output) = (dir.path().join("whole"), dir.path().join("set"));
    let input = testdata("rgb.tif");
    let common = ["-z", "9-15"];
    tile(&[&input], &whole, &common);
    let report =
        tile(&[&input], &output, &[&common[..], &["--cutline", cut.to_str().expect("UTF-8")]].concat());
    let (all, cut) = (pictures(&whole), pictures(&output));
    assert!(cut.len() < all.len() && cut.keys().all(|t| all.contains_key(t)));
    assert!(cut.values().all(|p| p.pixels.iter().any(|p| p[3] > 0)), "an empty tile");
    // What is left is what it was.
    for (tile, picture) in cut.iter().filter(|(t, _)| t.z == 15) {
        for (now, before) in picture.pixels.iter().zip(&all[tile].pixels) {
            assert!(now[3] == 0 || now == before, "{tile}");
        }
    }
    let found = bounds(&report);
    for (found, expected) in found.iter().zip([15.104, 48.803, 15.142, 48.8239]) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }
    assert!(report["empty"].as_u64().expect("a number") <= 4, "{report}");
}

#[test]
fn bytes_of_a_cut_set_do_not_depend_on_threads() {
    let dir = scratch();
    let cut = file(dir.path(), &shape());
    let made = |threads: &str, method: &str| {
        let output = dir.path().join("set.pmtiles");
        let options = [
            "--cutline",
            cut.to_str().expect("UTF-8"),
            "-j",
            threads,
            "--overview-resampling",
            method,
            "--overwrite",
        ];
        tile(&[&testdata("rgb.tif"), &testdata("landcover.tif")], &output, &options);
        std::fs::read(output).expect("archive")
    };
    for method in ["average", "cubic"] {
        assert!(made("1", method) == made("7", method), "{method}");
    }
}

#[test]
fn the_crs_of_the_cutline_is_its_own() {
    let dir = scratch();
    let degrees = file(dir.path(), &shape());
    let utm = dir.path().join("utm.gpkg");
    let there = ["-t_srs", "EPSG:32633", "-segmentize", "0.0001", "-nlt", "MULTIPOLYGON", "-nln", "field"];
    succeed(Command::new("ogr2ogr").args(there).arg(&utm).arg(&degrees));
    let unknown = dir.path().join("unknown.shp");
    succeed(Command::new("ogr2ogr").args(["-nlt", "MULTIPOLYGON"]).arg(&unknown).arg(&utm));
    std::fs::remove_file(dir.path().join("unknown.prj")).expect("the CRS stands beside it");
    let set = |cut: &Path, options: &[&str]| {
        let output = dir.path().join("set");
        let options =
            [&["-z", "15", "--overwrite", "-cutline", cut.to_str().expect("UTF-8")], options].concat();
        tile(&[&testdata("rgb.tif")], &output, &options);
        Plane::of(&pictures(&output), 15)
    };
    let expected = set(&degrees, &[]);
    for (cut, options) in [
        (&utm, &[][..]),
        (&utm, &["-cl", "field", "-crop_to_cutline"]),
        (&unknown, &["--cutline-srs", "EPSG:32633"]),
        (&degrees, &["--cutline-srs", "EPSG:4326"]),
    ] {
        let found = set(cut, options);
        assert_eq!(
            (found.x, found.y, found.columns, found.rows),
            (expected.x, expected.y, expected.columns, expected.rows)
        );
        let (differ, far, covered) = found.compare(&expected.bytes);
        assert!(differ <= covered / 20_000 && far == 0, "{differ} of {covered}: {options:?}");
    }
    let run = refused(&testdata("rgb.tif"), "set", &["--cutline", unknown.to_str().expect("UTF-8")], 3);
    assert!(run.failure(3).contains("--cutline-srs"), "{run:?}");
}

#[test]
fn features_are_chosen_by_a_condition() {
    let dir = scratch();
    let path = dir.path().join("fields.geojson");
    let field = |name: &str, west: f64| {
        let r = ring(&[(west, 48.81), (west + 0.008, 48.81), (west + 0.008, 48.815), (west, 48.815)]);
        format!(
            r#"{{"type":"Feature","properties":{{"name":"{name}"}},"geometry":{{"type":"Polygon","coordinates":[{r}]}}}}"#
        )
    };
    let line = r#"{"type":"Feature","properties":{"name":"road"},"geometry":{"type":"LineString","coordinates":[[15,48],[16,49]]}}"#;
    let text = format!(
        r#"{{"type":"FeatureCollection","features":[{},{},{line}]}}"#,
        field("a", 15.11),
        field("b", 15.13)
    );
    std::fs::write(&path, text).expect("written");
    let cut = path.to_str().expect("UTF-8");
    let output = dir.path().join("set");
    let report = tile(&[&testdata("rgb.tif")], &output, &["--cutline", cut, "-cwhere", "name = 'b'"]);
    let found = bounds(&report);
    assert!((found[0] - 15.13).abs() < 1e-4 && (found[2] - 15.138).abs() < 1e-4, "{found:?}");
    for (options, word) in [
        (&["--cutline", cut][..], "is a LINESTRING"),
        (&["--cutline", cut, "--cutline-where", "name = 'c'"], "no feature"),
        (&["--cutline", cut, "--cutline-where", "nome = 'a'"], "--cutline-where"),
        (&["--cutline", cut, "--cutline-layer", "lakes"], "no layer 'lakes'"),
        (&["--cutline", cut, "--cutline-srs", "EPSG:999999"], "--cutline-srs"),
    ] {
        let run = refused(&testdata("rgb.tif"), "set.pmtiles", options, 3);
        assert!(run.failure(3).contains("fields.geojson") && run.failure(3).contains(word), "{run:?}");
    }
    refused(&testdata("rgb.tif"), "set", &["--cutline-where", "name = 'a'"], 2);
}

#[test]
fn cutlines_that_cannot_be_cut_to_are_refused_with_the_reason() {
    let dir = scratch();
    let bow = format!(
        r#"{{"type":"Polygon","coordinates":[{}]}}"#,
        ring(&[(15.11, 48.81), (15.12, 48.82), (15.12, 48.81), (15.11, 48.82)])
    );
    let far = format!(
        r#"{{"type":"Polygon","coordinates":[{}]}}"#,
        ring(&[(1.0, 48.81), (1.12, 48.82), (1.12, 48.81)])
    );
    for (geometry, word) in [
        (bow.as_str(), "Self-intersection"),
        (&far, "lies outside of the raster"),
        (r#"{"type":"Polygon","coordinates":[]}"#, "only empty polygons"),
        (r#"{"type":"Point","coordinates":[15.11,48.81]}"#, "is a POINT"),
    ] {
        let cut = file(dir.path(), geometry);
        let run =
            refused(&testdata("rgb.tif"), "set.mbtiles", &["--cutline", cut.to_str().expect("UTF-8")], 3);
        assert!(run.failure(3).contains("cut.geojson") && run.failure(3).contains(word), "{run:?}");
    }
    let letter = dir.path().join("letter.txt");
    std::fs::write(&letter, "Dear reader, this is no polygon.").expect("written");
    for cut in [letter.to_str().expect("UTF-8"), "no-such-file.gpkg"] {
        let run = refused(&testdata("rgb.tif"), "set", &["--cutline", cut], 3);
        assert!(run.failure(3).contains("no cutline that can be read"), "{run:?}");
    }
}

#[test]
fn the_pixels_of_a_raster_are_cut_in_its_own_crs() {
    let dir = scratch();
    let cut = file(dir.path(), &shape());
    let cutline = cut.to_str().expect("UTF-8");
    let input = testdata("rgb.tif");
    let output = dir.path().join("set");
    tile(&[&input], &output, &["--tiling-scheme", "raster", "--cutline", cutline]);
    let warped = dir.path().join("warped.tif");
    succeed(Command::new("gdalwarp").args(["-q", "-dstalpha", "-cutline", cutline]).arg(&input).arg(&warped));
    let (theirs, width) = (last_band(&warped), 700);
    let tiles = pictures(&output);
    let zoom = tiles.keys().map(|t| t.z).max().expect("tiles");
    let ours = |x: usize, y: usize| {
        let tile = TileCoord::new(zoom, (x / 256) as u32, (y / 256) as u32);
        tiles.get(&tile).map_or(0, |p| p.at(x % 256, y % 256)[3])
    };
    let differ = (0..theirs.len()).filter(|k| (ours(k % width, k / width) > 0) != (theirs[*k] > 0)).count();
    let covered = theirs.iter().filter(|a| **a > 0).count();
    println!("of {covered} pixels {differ} differ from gdalwarp's");
    assert!(covered > 20_000 && differ <= covered / 5000, "{differ} of {covered}");
    // A raster without a place has no polygons laid over it; one with control points has.
    let run = refused(
        &testdata("unreferenced.tif"),
        "set",
        &["--tiling-scheme", "raster", "--cutline", cutline],
        3,
    );
    assert!(run.failure(3).contains("no place on the Earth"), "{run:?}");
}

#[test]
fn cutlines_reach_across_the_antimeridian() {
    let dir = scratch();
    for (west, east) in [(176.0, 184.0), (-184.0, -176.0)] {
        let ring = ring(&[(west, -18.0), (east, -18.0), (east, -12.0), (west, -12.0)]);
        let cut = file(dir.path(), &format!(r#"{{"type":"Polygon","coordinates":[{ring}]}}"#));
        let output = dir.path().join("set");
        let options = ["-z", "6", "--cutline", cut.to_str().expect("UTF-8"), "--overwrite"];
        tile(&[&testdata("antimeridian.tif")], &output, &options);
        let columns: BTreeSet<u32> = read_tiles(&output).keys().map(|t| t.x).collect();
        assert_eq!(columns, [0, 63].into(), "{west} to {east}");
    }
}
