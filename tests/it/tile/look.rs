//! What the tiles look like: colours, edges, seams.

use std::collections::{BTreeMap, BTreeSet};

use tileloom::grid::TileCoord;

use super::*;
use crate::common::raster::samples;
use crate::common::{Picture, pictures};

const METHODS: [&str; 7] = ["nearest", "bilinear", "cubic", "cubicspline", "lanczos", "average", "mode"];

/// Colours of the visible pixels.
fn colours(tiles: &BTreeMap<TileCoord, Picture>) -> BTreeSet<[u8; 3]> {
    let visible = tiles.values().flat_map(|p| &p.pixels).filter(|p| p[3] > 0);
    visible.map(|p| [p[0], p[1], p[2]]).collect()
}

fn has_holes(tiles: &BTreeMap<TileCoord, Picture>) -> bool {
    tiles.iter().any(|(_, p)| p.pixels.iter().any(|p| p[3] == 0))
}

#[test]
fn palettes_keep_exactly_their_colours_at_all_levels() {
    let dir = scratch();
    let output = dir.path().join("set");
    tile(&[&testdata("landcover.tif")], &output, &["-z", "3-9"]);
    let tiles = pictures(&output);
    let palette = [
        [24, 104, 24],
        [70, 130, 180],
        [127, 127, 127],
        [136, 187, 85],
        [200, 40, 40],
        [226, 226, 193],
        [255, 236, 120],
    ];
    assert_eq!(colours(&tiles), palette.into());
    assert!(tiles.values().flat_map(|p| &p.pixels).all(|p| p[3] == 0 || p[3] == 255));
    assert!(has_holes(&tiles));
}

#[test]
fn edges_are_neither_dark_nor_fringed() {
    let dir = scratch();
    let spec = plain((300, 260), 7.0, 0.0, 0.0);
    let hole =
        |x: usize, y: usize| (x / 9 + y / 7).is_multiple_of(5) || x.abs_diff(150) + y.abs_diff(100) < 60;
    let colour = [180, 200, 240];
    let nodata = Spec { nodata: Some(0.0), ..spec.clone() };
    let holes = raster(dir.path(), "nodata.tif", &nodata, with_hole(&spec, &colour, hole));
    // Behind transparent pixels stands magenta.
    let alpha = Spec {
        options: &["PHOTOMETRIC=RGB", "ALPHA=NON-PREMULTIPLIED", "COMPRESS=DEFLATE", "TILED=YES"],
        ..spec.clone()
    };
    let mut bands = with_hole(&spec, &colour, hole);
    let opacity: Vec<u8> = bands[0]
        .iter()
        .enumerate()
        .map(|(k, v)| if *v == 0 { 0 } else { 40 + (k * 7 % 216) as u8 })
        .collect();
    for (band, magenta) in bands.iter_mut().zip([255, 0, 255]) {
        band.iter_mut().filter(|v| **v == 0).for_each(|v| *v = magenta);
    }
    bands.push(opacity.clone());
    let soft = raster(dir.path(), "alpha.tif", &alpha, bands.clone());
    let mask: Vec<u8> = opacity.iter().map(|a| if *a == 0 { 0 } else { 255 }).collect();
    let masked = Spec { mask: Some((crate::common::raster::Place::Inside, &mask)), ..spec };
    bands.truncate(3);
    let masked = raster(dir.path(), "masked.tif", &masked, bands);
    for input in [holes, soft, masked] {
        for method in METHODS {
            let output = dir.path().join("set");
            tile(
                &[&input],
                &output,
                &["-r", method, "--overview-resampling", method, "-z", "8-14", "--overwrite"],
            );
            let tiles = pictures(&output);
            assert_eq!(colours(&tiles), [colour].into(), "{} with {method}", input.display());
            assert!(has_holes(&tiles));
        }
    }
}

#[test]
fn other_sample_types_have_clean_edges_too() {
    let dir = scratch();
    let spec = Spec { options: &["COMPRESS=DEFLATE"], ..plain((300, 260), 7.0, 0.0, 0.0) };
    let hole = |x: f64, y: f64| ((x / 9.0 + y / 7.0) as usize).is_multiple_of(5);
    let heights = samples(spec.size, |x, y| if hole(x, y) { f32::NAN } else { 750.0 });
    write(
        &dir.path().join("nan.tif"),
        &Spec { nodata: Some(f64::NAN), ..spec.clone() },
        vec![heights.clone()],
    )
    .expect("written");
    let undeclared = dir.path().join("undeclared.tif");
    write(&undeclared, &spec, vec![heights]).expect("written");
    let lowest = samples(spec.size, |x, y| if hole(x, y) { f32::MIN } else { 750.0 });
    write(
        &dir.path().join("lowest.tif"),
        &Spec { nodata: Some(f64::from(f32::MIN)), ..spec.clone() },
        vec![lowest],
    )
    .expect("written");
    let short = samples(spec.size, |x, y| if hole(x, y) { 65_535u16 } else { 750 });
    write(&dir.path().join("short.tif"), &Spec { nodata: Some(65_535.0), ..spec }, vec![short])
        .expect("written");
    for file in ["nan.tif", "undeclared.tif", "lowest.tif", "short.tif"] {
        for method in METHODS {
            let output = dir.path().join("set");
            let options = ["-r", method, "-z", "8-14", "--scale", "500,1010", "--overwrite"];
            tile(&[&dir.path().join(file)], &output, &options);
            let tiles = pictures(&output);
            assert_eq!(colours(&tiles), [[125; 3]].into(), "{file} with {method}");
            assert!(has_holes(&tiles), "{file}");
        }
    }
}

#[test]
fn nodata_may_be_given_by_the_user() {
    let dir = scratch();
    let spec = plain((200, 200), 7.0, 0.0, 0.0);
    let bands = with_hole(&spec, &[180, 200, 240], |x, y| x > 50 && y > 50 && x < 120 && y < 120);
    let input = raster(dir.path(), "in.tif", &spec, bands);
    for (values, black) in [("", true), ("0", false), ("0,0,0", false), ("0,0,7", true)] {
        let output = dir.path().join("set");
        let nodata = format!("--src-nodata={values}");
        let mut options = vec!["-r", "nearest", "--overwrite"];
        options.extend((!values.is_empty()).then_some(nodata.as_str()));
        tile(&[&input], &output, &options);
        assert_eq!(colours(&pictures(&output)).contains(&[0, 0, 0]), black, "{values}");
    }
}

/// Mean difference between neighbouring pixels: across borders of tiles, of metatiles, and inside of tiles.
fn steps(tiles: &BTreeMap<TileCoord, Picture>, zoom: u8, down: bool) -> [f64; 3] {
    let (mut sums, mut counts) = ([0.0; 3], [0u32; 3]);
    for (tile, picture) in tiles.iter().filter(|(t, _)| t.z == zoom) {
        let next = if down {
            TileCoord::new(zoom, tile.x, tile.y + 1)
        } else {
            TileCoord::new(zoom, tile.x + 1, tile.y)
        };
        let at = |p: &Picture, along: usize, across: usize| {
            if down { p.at(across, along) } else { p.at(along, across) }
        };
        for across in 0..256 {
            for along in 0..256 {
                let from = at(picture, along, across);
                let to = match (along, tiles.get(&next)) {
                    (255, Some(p)) => at(p, 0, across),
                    (255, None) => continue,
                    _ => at(picture, along + 1, across),
                };
                let number = if down { tile.y } else { tile.x };
                let kind = if along < 255 { 2 } else { usize::from(number % 4 != 3) };
                let step = f64::from(to[0]) - f64::from(from[0]);
                // Not at the raster's edge, nor where the saw falls back.
                if from[3] == 255 && to[3] == 255 && step.abs() < 12.0 {
                    sums[kind] += step;
                    counts[kind] += 1;
                }
            }
        }
    }
    assert!(counts.iter().all(|n| *n > 900), "{counts:?}");
    [0, 1, 2].map(|k| sums[k] / f64::from(counts[k]))
}

#[test]
fn tiles_have_no_seams() {
    let dir = scratch();
    let spec = plain((1600, 1500), 5.0, 0.0, 0.0);
    let saw = samples(spec.size, |x, y| (20.0 + (2.0 * x + 3.0 * y) % 200.0) as u8);
    let spec = Spec { options: &["COMPRESS=DEFLATE"], ..spec };
    let input = raster(dir.path(), "saw.tif", &spec, vec![saw]);
    for (method, options) in [
        ("bilinear", &["-z", "13-15"][..]),
        ("cubic", &["-z", "13-15"]),
        ("cubicspline", &["-z", "13-15"]),
        ("lanczos", &["-z", "13-15"]),
        ("average", &["-z", "13-15"]),
    ] {
        let output = dir.path().join("set");
        tile(&[&input], &output, &[options, &["-r", method, "--overwrite"]].concat());
        let tiles = pictures(&output);
        for down in [false, true] {
            let [metatiles, borders, inside] = steps(&tiles, 15, down);
            let off = (metatiles - inside).abs().max((borders - inside).abs());
            assert!(inside.abs() > 1.0, "{method}: {inside}");
            assert!(off < 0.06, "{method}: {metatiles} and {borders} across, {inside} inside");
        }
    }
}
