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
