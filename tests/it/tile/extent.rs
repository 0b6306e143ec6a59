//! Which tiles exist: zooms, boxes, conventions, the antimeridian.

use std::collections::BTreeSet;

use tileloom::grid::{TileCoord, latitude, longitude};

use super::*;
use crate::common::pictures;

fn addresses(output: &Path) -> BTreeSet<TileCoord> {
    read_tiles(output).into_keys().collect()
}

#[test]
fn zooms_are_taken_in_every_spelling() {
    let dir = scratch();
    let output = dir.path().join("set");
    for (options, expected) in [
        (&["-z", "12"][..], (12, 12)),
        (&["-z", "10-13"], (10, 13)),
        (&["-z", "10..13"], (10, 13)),
        (&["-z", "11-"], (11, 13)),
        (&["-z", "-12"], (9, 12)),
        (&["--zoom", "9-10"], (9, 10)),
        (&["--min-zoom", "12"], (12, 13)),
        (&["--max-zoom", "10"], (9, 10)),
        (&["--min-zoom", "14"], (14, 14)),
        (&["--min-zoom", "0", "--max-zoom", "2"], (0, 2)),
        (&["--max-zoom", "3"], (3, 3)),
        (&[], (9, 13)),
    ] {
        let report = tile(&[&testdata("striped.tif")], &output, &[options, &["--overwrite"]].concat());
        let levels: BTreeSet<u8> = addresses(&output).iter().map(|t| t.z).collect();
        let expected: BTreeSet<u8> = (expected.0..=expected.1).collect();
        assert_eq!(levels, expected, "{options:?}");
        assert_eq!(report["min_zoom"], *levels.first().expect("levels"));
        assert_eq!(report["max_zoom"], *levels.last().expect("levels"));
    }
}

#[test]
fn lower_levels_do_not_depend_on_the_lowest() {
    let dir = scratch();
    let set = |zooms: &str| {
        let output = dir.path().join(format!("set{zooms}"));
        tile(&[&testdata("rgb.tif")], &output, &["-z", zooms]);
        read_tiles(&output)
    };
    let all = set("5-14");
    let part = set("11-14");
    assert!(part.iter().all(|(tile, bytes)| all.get(tile) == Some(bytes)));
    assert_eq!(part.len(), all.keys().filter(|t| t.z >= 11).count());
}

#[test]
fn a_box_limits_the_tiles_and_what_they_show() {
    let dir = scratch();
    let input = testdata("rgb.tif");
    let whole = dir.path().join("whole");
    tile(&[&input], &whole, &["-z", "9-15"]);
    let (all, pixels) = (addresses(&whole), pictures(&whole));
    for (name, [west, south, east, north]) in [
        ("small", [15.105, 48.811, 15.109, 48.814]),
        ("wide", [15.0, 48.80, 15.12, 48.81]),
        ("everything", [-180.0, -90.0, 180.0, 90.0]),
    ] {
        let output = dir.path().join(name);
        let text = format!("{west},{south},{east},{north}");
        let report = tile(&[&input], &output, &["-z", "9-15", "--bbox", &text]);
        let touches = |tile: &&TileCoord| {
            let b = tile.bounds();
            longitude(b.west) < east
                && longitude(b.east) > west
                && latitude(b.south) < north
                && latitude(b.north) > south
        };
        let expected: BTreeSet<TileCoord> = all.iter().filter(touches).copied().collect();
        assert_eq!(addresses(&output), expected, "{name}");
        let within = report["bounds"].as_array().expect("four").iter().map(|v| v.as_f64().expect("number"));
        let within: Vec<f64> = within.collect();
        assert!(within[0] >= west - 1e-9 && within[1] >= south - 1e-9, "{within:?}");
        assert!(within[2] <= east + 1e-9 && within[3] <= north + 1e-9, "{within:?}");
        for (tile, picture) in pictures(&output).iter().filter(|(t, _)| t.z == 15) {
            assert!(*picture == pixels[tile], "{name}: {tile} is another with a box");
        }
    }
}

#[test]
fn a_box_may_reach_across_the_antimeridian() {
    let dir = scratch();
    let output = dir.path().join("set");
    tile(&[&testdata("antimeridian.tif")], &output, &["-z", "4-6", "--bbox", "178,-20,-178,-8"]);
    let columns: BTreeSet<u32> = addresses(&output).iter().filter(|t| t.z == 6).map(|t| t.x).collect();
    assert_eq!(columns, [0, 63].into());
}

#[test]
fn rows_may_count_from_the_south() {
    let dir = scratch();
    let input = testdata("striped.tif");
    let (xyz, tms) = (dir.path().join("xyz"), dir.path().join("tms"));
    tile(&[&input], &xyz, &["--xyz"]);
    tile(&[&input], &tms, &["--convention", "tms"]);
    let turned: crate::containers::Tiles =
        read_tiles(&xyz).into_iter().map(|(t, b)| (TileCoord::new(t.z, t.x, t.tms_y()), b)).collect();
    assert!(read_tiles(&tms) == turned);
    let text = std::fs::read_to_string(tms.join("tilejson.json")).expect("TileJSON");
    assert!(text.contains(r#""scheme": "tms""#), "{text}");
    // Archives have a numbering of their own, which the option does not touch.
    let archive = dir.path().join("set.mbtiles");
    tile(&[&input], &archive, &["--convention", "tms"]);
    assert!(read_tiles(&archive) == read_tiles(&xyz));
}

#[test]
fn a_large_tile_shows_what_four_small_ones_show() {
    let dir = scratch();
    let input = testdata("rgba.tif");
    let (small, large) = (dir.path().join("small"), dir.path().join("large"));
    tile(&[&input], &small, &["-z", "11-14", "-r", "cubic"]);
    tile(&[&input], &large, &["-z", "10-13", "-r", "cubic", "--tile-size", "512"]);
    let (small, large) = (pictures(&small), pictures(&large));
    assert!(large.len() > 4);
    for (tile, picture) in &large {
        assert_eq!(picture.side, 512);
        for y in 0..512 {
            for x in 0..512 {
                let (i, j) = ((x / 256) as u32, (y / 256) as u32);
                let part = small.get(&TileCoord::new(tile.z + 1, 2 * tile.x + i, 2 * tile.y + j));
                let pixel = part.map_or([0; 4], |p| p.at(x % 256, y % 256));
                assert_eq!(picture.at(x, y), pixel, "{tile} at {x}, {y}");
            }
        }
    }
    // The same resolution is one level lower.
    let report = tile(&[&input], &dir.path().join("default"), &["--tile-size", "512"]);
    assert_eq!(report["max_zoom"], 12);
}

#[test]
fn a_raster_across_the_antimeridian_has_tiles_on_both_sides_and_none_between() {
    for (file, zoom) in [("antimeridian.tif", 6), ("antimeridian_utm.tif", 8)] {
        let dir = scratch();
        let output = dir.path().join("set");
        let zooms = format!("0-{zoom}");
        let report = tile(&[&testdata(file)], &output, &["-z", &zooms]);
        assert_eq!(report["bounds"][0], -180.0, "{file}");
        assert_eq!(report["bounds"][2], 180.0, "{file}");
        let columns: BTreeSet<u32> = addresses(&output).iter().filter(|t| t.z == zoom).map(|t| t.x).collect();
        let limit = 1u32 << zoom;
        assert!(columns.contains(&0) && columns.contains(&(limit - 1)), "{file}: {columns:?}");
        assert!(columns.iter().all(|x| *x < limit / 8 || *x >= limit - limit / 8), "{file}: {columns:?}");
        // No gap at the antimeridian itself.
        let tiles = pictures(&output);
        let row = tiles.keys().filter(|t| t.z == zoom && t.x == 0).map(|t| t.y).next().expect("a tile");
        let (west, east) =
            (&tiles[&TileCoord::new(zoom, limit - 1, row)], &tiles[&TileCoord::new(zoom, 0, row)]);
        let rows: Vec<usize> =
            (0..256).filter(|&y| west.at(250, y)[3] == 255 && east.at(5, y)[3] == 255).collect();
        assert!(rows.len() > 100, "{file}");
        for y in rows {
            let pixels = [west.at(254, y), west.at(255, y), east.at(0, y), east.at(1, y)];
            assert!(pixels.iter().all(|p| p[3] == 255), "{file}: row {y}: {pixels:?}");
            assert!(pixels[1][0].abs_diff(pixels[2][0]) < 20, "{file}: row {y}: {pixels:?}");
        }
    }
}

#[test]
fn longitudes_up_to_360_are_those_of_the_west() {
    let dir = scratch();
    let set = |file: &str, method: &str| {
        let output = dir.path().join("set");
        tile(&[&testdata(file)], &output, &["-z", "0-3", "-r", method, "--overwrite"]);
        pictures(&output)
    };
    let (a, b) = (set("global_180.tif", "nearest"), set("global_360.tif", "nearest"));
    assert_eq!(a.len(), 85);
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (tile, picture) in &a {
        let off = picture.pixels.iter().zip(&b[tile].pixels).filter(|(p, q)| p != q).count();
        assert_eq!(off, 0, "{tile}: {off} pixels differ");
    }
    // Kernels reach over the ends of the rows only where the raster does not end.
    let (a, b) = (set("global_180.tif", "cubic"), set("global_360.tif", "cubic"));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    let off = a.iter().flat_map(|(t, p)| p.pixels.iter().zip(&b[t].pixels)).filter(|(p, q)| p != q).count();
    assert!(off < 85 * 256 * 256 / 50, "{off} pixels differ");
}
