//! Lower levels against means of the level above, computed by a reference that is slow and simple.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tileloom::grid::TileCoord;

use crate::common::{self, Picture};

type Pictures = BTreeMap<TileCoord, Picture>;

/// The four pixels under a pixel of a tile.
fn under(tiles: &Pictures, tile: TileCoord, x: usize, y: usize) -> [[u8; 4]; 4] {
    [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| {
        let (x, y) = (2 * x + i, 2 * y + j);
        let child = TileCoord::new(tile.z + 1, tile.x * 2 + (x / 256) as u32, tile.y * 2 + (y / 256) as u32);
        tiles.get(&child).map_or([0; 4], |p| p.at(x % 256, y % 256))
    })
}

/// The mean of four pixels weighted by their alpha.
fn mean(four: [[u8; 4]; 4], soft: bool) -> [u8; 4] {
    let weight: u32 = four.iter().map(|p| u32::from(p[3])).sum();
    if weight == 0 {
        return [0; 4];
    }
    let band = |b: usize| {
        let sum: u32 = four.iter().map(|p| u32::from(p[b]) * u32::from(p[3])).sum();
        (f64::from(sum) / f64::from(weight) + 0.5).floor() as u8
    };
    let alpha = if soft { ((f64::from(weight) / 4.0 + 0.5).floor() as u8).max(1) } else { 255 };
    [band(0), band(1), band(2), alpha]
}

/// The colour most of the visible ones have, the first of those that are equally frequent.
fn mode(four: [[u8; 4]; 4]) -> [u8; 4] {
    let mut counts: HashMap<[u8; 4], usize> = HashMap::new();
    for p in four.iter().filter(|p| p[3] > 0) {
        *counts.entry(*p).or_default() += 1;
    }
    let most = counts.values().max().copied().unwrap_or(0);
    four.into_iter().find(|p| counts.get(p) == Some(&most)).unwrap_or([0; 4])
}

/// The largest difference of any sample of any tile below the highest level from what `expected` makes of
/// the level above; and that a tile exists where any of its four does.
fn worst(tiles: &Pictures, expected: impl Fn([[u8; 4]; 4]) -> [u8; 4]) -> u8 {
    let levels: BTreeSet<u8> = tiles.keys().map(|t| t.z).collect();
    let (lowest, highest) = (*levels.first().expect("tiles"), *levels.last().expect("tiles"));
    assert!(lowest < highest, "nothing to compare");
    let parents: BTreeSet<TileCoord> =
        tiles.keys().filter(|t| t.z > lowest).filter_map(|t| t.parent()).collect();
    let lower: BTreeSet<TileCoord> = tiles.keys().copied().filter(|t| t.z < highest).collect();
    assert_eq!(parents, lower);
    let mut worst = 0;
    for tile in lower {
        let picture = &tiles[&tile];
        for k in 0..256 * 256 {
            let (x, y) = (k % 256, k / 256);
            let (got, want) = (picture.at(x, y), expected(under(tiles, tile, x, y)));
            let off = (0..4).map(|b| got[b].abs_diff(want[b])).max().unwrap_or(0);
            assert!((got[3] == 0) == (want[3] == 0), "{tile} at {x}, {y}: {got:?}, {want:?}");
            worst = worst.max(off);
        }
    }
    worst
}

fn made(file: &str, options: &[&str]) -> Pictures {
    let dir = tempfile::tempdir().expect("tempdir");
    let output = dir.path().join("set.pmtiles");
    common::tile(&[&common::testdata(file)], &output, options);
    common::pictures(&output)
}

#[test]
fn lower_levels_are_means_weighted_by_coverage() {
    for (file, soft, options, tolerance) in [
        ("rgb.tif", false, &[][..], 0),
        ("mask_inside.tif", false, &[], 0),
        ("rgba.tif", true, &[], 0),
        ("gray_alpha.tif", true, &[], 0),
        ("antimeridian.tif", false, &["-z", "0-4"], 0),
        // These are averaged before they are stretched.
        ("rgb16.tif", false, &["--scale", "0,65535"], 1),
        ("dem.tif", false, &["--scale", "380,1000"], 1),
    ] {
        let off = worst(&made(file, options), |four| mean(four, soft));
        assert!(off <= tolerance, "{file}: off by {off}");
    }
}

#[test]
fn classes_become_the_most_frequent_class() {
    assert_eq!(worst(&made("landcover.tif", &[]), mode), 0);
}

#[test]
fn nearest_takes_the_upper_left_pixel() {
    let tiles =
        made("striped.tif", &["--overview-resampling", "nearest", "--bbox", "15.12,48.805,15.14,48.815"]);
    // At the raster's edge the upper left pixel may be empty while another is not.
    let inner = |four: [[u8; 4]; 4]| four[0];
    let parents: Vec<_> = tiles.keys().filter(|t| t.z == 12).copied().collect();
    let (mut same, mut all) = (0, 0);
    for tile in parents {
        for k in 0..256 * 256 {
            let want = inner(under(&tiles, tile, k % 256, k / 256));
            same += u32::from(tiles[&tile].pixels[k] == want);
            all += 1;
        }
    }
    assert_eq!(same, all);
}

/// Weights of eight neighbours in a row for the pixel in their middle, of kernels widened by 2.
fn weights(method: &str) -> [f64; 8] {
    let kernel = |d: f64| match method {
        // A triangle.
        "bilinear" => 1.0 - d,
        // Keys' convolution with a = −0.5.
        _ if d < 1.0 => 1.5 * d.powi(3) - 2.5 * d.powi(2) + 1.0,
        _ => -0.5 * d.powi(3) + 2.5 * d.powi(2) - 4.0 * d + 2.0,
    };
    let raw: [f64; 8] = std::array::from_fn(|k| {
        kernel(((k as f64 - 3.5) / 2.0).abs()).max(if method == "bilinear" { 0.0 } else { -1.0 })
    });
    let sum: f64 = raw.iter().sum();
    raw.map(|w| w / sum)
}

#[test]
fn wider_kernels_reach_over_the_borders_of_tiles() {
    for method in ["bilinear", "cubic"] {
        let tiles = made("rgb.tif", &["--overview-resampling", method, "-z", "11-16"]);
        let weights = weights(method);
        let (mut compared, mut across, mut worst) = (0, 0, 0);
        for (tile, picture) in tiles.iter().filter(|(t, _)| t.z < 16) {
            let above = |x: i64, y: i64| {
                let (x, y) = (x + i64::from(tile.x) * 512, y + i64::from(tile.y) * 512);
                let child = TileCoord::new(tile.z + 1, (x / 256) as u32, (y / 256) as u32);
                tiles.get(&child).map_or([0; 4], |p| p.at((x % 256) as usize, (y % 256) as usize))
            };
            // Every fifth pixel, and all along the borders.
            for k in (0..256 * 256).filter(|k| k % 5 == 0 || k % 256 < 2 || k % 256 > 253) {
                let (x, y) = (k % 256, k / 256);
                let eight = |v: usize| (0..8).map(move |i| 2 * v as i64 - 3 + i);
                let mut sums = [0.0; 3];
                let mut opaque = true;
                for (row, v) in eight(y).enumerate() {
                    for (column, u) in eight(x).enumerate() {
                        let pixel = above(u, v);
                        opaque &= pixel[3] == 255;
                        for b in 0..3 {
                            sums[b] += f64::from(pixel[b]) * weights[row] * weights[column];
                        }
                    }
                }
                if opaque {
                    compared += 1;
                    across += u32::from(eight(x).chain(eight(y)).any(|v| !(0..512).contains(&v)));
                    let got = picture.at(x, y);
                    let off = (0..3).map(|b| (f64::from(got[b]) - sums[b].clamp(0.0, 255.0)).abs());
                    worst = worst.max((off.fold(0.0, f64::max) * 1000.0) as u32);
                }
            }
        }
        assert!(compared > 20_000 && across > 500, "{compared} compared, {across} across borders");
        assert!(worst <= 510, "{method}: off by {worst} thousandths of a level");
    }
}
