//! Values that averages leave out, beside the rule of GDAL's warper.

use std::collections::BTreeMap;

use tileloom::grid::WEB_MERCATOR_HALF;

use super::*;
use crate::common::Picture;

/// A raster in Web Mercator with pixels a third of those of level 17, and not in line with them: black and white pixels in many
/// places, and a fading share of holes.
fn speckled(folder: &Path) -> PathBuf {
    let step = 2.0 * WEB_MERCATOR_HALF / 256.0 / f64::from(1u32 << 17);
    let size = (700, 650);
    let pixel = step * 0.3717;
    let spec = Spec {
        size,
        crs: Some(3857),
        geotransform: Some([1_681_000.123, pixel, 0.0, 6_243_000.456, 0.0, -pixel]),
        options: &["PHOTOMETRIC=RGB", "COMPRESS=DEFLATE"],
        nodata: Some(255.0),
        ..Spec::default()
    };
    let noise = |seed: u32, x: f64, y: f64| {
        let mut v = seed ^ (x as u32).wrapping_mul(0x9e37_79b9) ^ (y as u32).wrapping_mul(0x85eb_ca6b);
        v = (v ^ (v >> 15)).wrapping_mul(0x2c1b_3c6d);
        v = (v ^ (v >> 12)).wrapping_mul(0x297a_2d39);
        f64::from((v ^ (v >> 15)) >> 8) / f64::from(1 << 24)
    };
    let band = |b: u32| {
        samples(size, |x, y| {
            if noise(1, x, y) < x / size.0 as f64 {
                0
            } else if noise(2, x, y) < 0.8 * y / size.1 as f64 {
                255
            } else {
                (20.0 + 200.0 * noise(3 + b, x, y)) as u8
            }
        })
    };
    let path = folder.join("speckled.tif");
    write(&path, &spec, (0..3).map(band).collect()).expect("written");
    path
}

/// What a pixel becomes whose box covers parts of pixels: their values and weights.
fn expected(pixels: &[([u8; 4], f64)], rule: &Rule) -> [u8; 4] {
    let weight = |which: &dyn Fn(&[u8; 4]) -> bool| -> f64 {
        pixels.iter().filter(|(p, _)| which(p)).map(|(_, w)| w).sum()
    };
    let is_excluded = |p: &[u8; 4]| p[3] > 0 && Some([p[0], p[1], p[2]]) == rule.excluded;
    let is_regular = |p: &[u8; 4]| p[3] > 0 && !is_excluded(p);
    let all = weight(&|_| true);
    let (without, left_out, regular) = (weight(&|p| p[3] == 0), weight(&is_excluded), weight(&is_regular));
    if without > 0.0 && without >= rule.holes * all {
        return [0; 4];
    }
    if left_out > 0.0 && left_out >= rule.most * all {
        let [r, g, b] = rule.excluded.unwrap_or_default();
        return [r, g, b, 255];
    }
    if regular == 0.0 {
        return [0; 4];
    }
    let mean = |b: usize| {
        let parts = pixels.iter().filter(|(p, _)| is_regular(p));
        (parts.map(|(p, w)| f64::from(p[b]) * w).sum::<f64>() / regular + 0.5).floor() as u8
    };
    [mean(0), mean(1), mean(2), 255]
}

/// Options and what they mean.
struct Rule {
    options: &'static [&'static str],
    excluded: Option<[u8; 3]>,
    most: f64,
    holes: f64,
}

const RULES: [Rule; 4] = [
    Rule { options: &["--excluded-values", "0,0,0"], excluded: Some(BLACK), most: 0.5, holes: 1.0 },
    Rule {
        options: &["--excluded-values", "(0,0,0)", "--excluded-values-pct-threshold", "100"],
        excluded: Some(BLACK),
        most: 1.0,
        holes: 1.0,
    },
    Rule {
        options: &["--excluded-values", "0,0,0", "--nodata-values-pct-threshold", "50"],
        excluded: Some(BLACK),
        most: 0.5,
        holes: 0.5,
    },
    Rule { options: &["--nodata-values-pct-threshold", "25"], excluded: None, most: 0.5, holes: 0.25 },
];

/// The pixels of a level of a set, all 0 where they cannot be seen.
fn pixel_at(tiles: &BTreeMap<TileCoord, Picture>, z: u8, x: usize, y: usize) -> [u8; 4] {
    let pixel =
        tiles.get(&TileCoord::new(z, (x / 256) as u32, (y / 256) as u32)).map(|p| p.at(x % 256, y % 256));
    pixel.filter(|p| p[3] > 0).unwrap_or_default()
}

#[test]
fn averages_of_the_highest_level_leave_values_out() {
    let dir = scratch();
    let input = speckled(dir.path());
    let dataset = gdal::Dataset::open(&input).expect("opens");
    let size = dataset.raster_size();
    let bands = [1, 2, 3].map(|n| {
        let band = dataset.rasterband(n).expect("a band");
        band.read_as::<u8>((0, 0), size, size, None).expect("pixels").data().to_vec()
    });
    let source = |x: usize, y: usize| {
        let k = y * size.0 + x;
        let colour = [0, 1, 2].map(|b| bands[b][k]);
        [colour[0], colour[1], colour[2], if colour == WHITE { 0 } else { 255 }]
    };
    let g = dataset.geo_transform().expect("a place");
    let step = 2.0 * WEB_MERCATOR_HALF / 256.0 / f64::from(1u32 << 17);
    let parts = |centre: f64, len: usize| -> Vec<(usize, f64)> {
        let (low, high) = (centre - step / g[1] / 2.0, centre + step / g[1] / 2.0);
        let all = (low.floor().max(0.0) as usize..(high.ceil() as usize).min(len))
            .map(|k| (k, high.min(k as f64 + 1.0) - low.max(k as f64)));
        all.filter(|(_, part)| *part > 0.0).collect()
    };
    for rule in RULES {
        let set = dir.path().join("set");
        tile(&[&input], &set, &[rule.options, &["-r", "average", "-z", "17", "--overwrite"]].concat());
        let tiles = pictures(&set);
        let (mut off, mut all) = (0, 0);
        for (tile, k) in tiles.keys().flat_map(|t| (0..65_536usize).map(move |k| (t, k))) {
            let (x, y) = (tile.x as usize * 256 + k % 256, tile.y as usize * 256 + k / 256);
            let column = ((x as f64 + 0.5) * step - WEB_MERCATOR_HALF - g[0]) / g[1];
            let row = (WEB_MERCATOR_HALF - (y as f64 + 0.5) * step - g[3]) / g[5];
            if !(0.0..size.0 as f64).contains(&column) || !(0.0..size.1 as f64).contains(&row) {
                continue;
            }
            let (columns, rows) = (parts(column, size.0), parts(row, size.1));
            let box_of =
                rows.iter().flat_map(|(y, h)| columns.iter().map(move |(x, w)| (source(*x, *y), w * h)));
            let (wanted, found) = (expected(&box_of.collect::<Vec<_>>(), &rule), pixel_at(&tiles, 17, x, y));
            let far = (0..4).any(|b| wanted[b].abs_diff(found[b]) > u8::from(b < 3));
            off += usize::from(far);
            all += 1;
        }
        // Where a share is met exactly, or nearly, rounding decides.
        assert!(all > 50_000 && off * 2000 < all, "{off} of {all}: {:?}", rule.options);
    }
}

#[test]
fn lower_levels_leave_them_out_too() {
    let dir = scratch();
    let input = speckled(dir.path());
    for rule in RULES {
        let set = dir.path().join("set");
        tile(&[&input], &set, &[rule.options, &["-r", "nearest", "-z", "15-17", "--overwrite"]].concat());
        let tiles = pictures(&set);
        let lower: Vec<_> = tiles.keys().filter(|t| t.z < 17).collect();
        assert!(!lower.is_empty());
        for (tile, k) in lower.into_iter().flat_map(|t| (0..65_536usize).map(move |k| (t, k))) {
            let (x, y) = (tile.x as usize * 256 + k % 256, tile.y as usize * 256 + k / 256);
            let four = [(0, 0), (1, 0), (0, 1), (1, 1)]
                .map(|(i, j)| (pixel_at(&tiles, tile.z + 1, 2 * x + i, 2 * y + j), 1.0));
            assert_eq!(
                pixel_at(&tiles, tile.z, x, y),
                expected(&four, &rule),
                "{tile} with {:?}",
                rule.options
            );
        }
    }
}

#[test]
fn averages_that_make_no_sense_are_refused() {
    let rgb = testdata("rgb.tif");
    for (options, word) in [
        (&["--excluded-values", "0,0"][..], "2 values for 3 bands"),
        (&["--excluded-values", "0,0,0", "--overview-resampling", "mode"], "-r average"),
        (&["--excluded-values", "0,0,0", "--excluded-values-pct-threshold", "101"], "0 to 100"),
        (&["--nodata-values-pct-threshold", "-1"], "0 to 100"),
        (&["--nodata-values-pct-threshold", "nan"], "0 to 100"),
        (&["--excluded-values", "0,0,0", "--categorical"], "--categorical"),
    ] {
        let run = refused(&rgb, "set", options, 2);
        assert!(run.failure(2).contains(word), "{run:?}");
    }
    for (file, options, word) in [
        ("dem.tif", &["--excluded-values", "0", "--encoding", "mapbox"][..], "--encoding"),
        ("landcover.tif", &["--excluded-values", "0", "-r", "average"], "classes"),
    ] {
        let run = refused(&testdata(file), "set", options, 2);
        assert!(run.failure(2).contains(word), "{run:?}");
    }
    for options in [
        &["--excluded-values", "black"][..],
        &["--excluded-values", "()"],
        &["--excluded-values-pct-threshold", "50"],
    ] {
        refused(&rgb, "set", options, 2);
    }
}
