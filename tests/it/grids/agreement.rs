//! Tiles of one level, made from the source, pixel by pixel.

use super::*;
use crate::common::{pictures, testdata, tile};

/// A raster, a grid, a level, and options that choose the place.
const CASES: [(&str, &str, &str); 11] = [
    ("rgb.tif", "WorldCRS84Quad", "13"),
    ("rgb.tif", "EuropeanETRS89_LAEAQuad", "12"),
    ("rgb.tif", "UTM31WGS84Quad", "14"),
    ("rotated.tif", "WorldMercatorWGS84Quad", "13"),
    ("landcover.tif", "WGS1984Quad", "10"),
    ("global_180.tif", "WorldCRS84Quad", "2"),
    ("global_180.tif", "GoogleCRS84Quad", "2"),
    ("global_180.tif", "UPSArcticWGS84Quad", "3"),
    ("global_180.tif", "UPSAntarcticWGS84Quad", "3"),
    ("global_180.tif", "NZTM2000", "2"),
    ("global_180.tif", "NZTM2000Quad", "3"),
];

#[test]
fn tiles_are_what_gdalwarp_makes_of_each() {
    for (file, name, level) in CASES {
        let dir = scratch();
        let (input, set) = (testdata(file), grid(name));
        let output = dir.path().join("set");
        tile(&[&input], &output, &["--tiling-scheme", name, "-z", level, "-r", "nearest", "--add-alpha"]);
        let tiles = pictures(&output);
        let picked: BTreeMap<_, _> = tiles.into_iter().take(6).collect();
        let found = if file == "landcover.tif" {
            // Compared by its colours.
            let rgb = translated(&input, dir.path().join("rgb.tif"), &["-expand", "rgba"]);
            difference(&rgb, &set, &picked, "near", dir.path())
        } else {
            difference(&input, &set, &picked, "near", dir.path())
        };
        println!("{file} {name} {level}: {} tiles, {found:?}", picked.len());
        assert!(found.both > 1000, "{file} {name}: {found:?}");
        // A pixel whose centre lies on an edge between two is either's.
        assert!(found.off * 500 <= found.both, "{file} {name}: {found:?}");
        assert!(found.edge * 200 <= found.both, "{file} {name}: {found:?}");
    }
}

#[test]
fn bilinear_tiles_are_within_a_level_of_gdalwarps() {
    for (file, name, level) in
        [("rgb.tif", "WorldCRS84Quad", "13"), ("rgb.tif", "EuropeanETRS89_LAEAQuad", "12")]
    {
        let dir = scratch();
        let (input, set) = (testdata(file), grid(name));
        let output = dir.path().join("set");
        tile(&[&input], &output, &["--tiling-scheme", name, "-z", level, "-r", "bilinear"]);
        let found = difference(&input, &set, &pictures(&output), "bilinear", dir.path());
        println!("{file} {name} {level}: {found:?}");
        assert!(found.both > 100_000 && found.off * 1000 <= found.both, "{file} {name}: {found:?}");
    }
}

#[test]
fn longitudes_from_0_to_360_make_the_same_tiles() {
    for name in ["WorldCRS84Quad", "GoogleCRS84Quad", "UPSArcticWGS84Quad", "WebMercatorQuad"] {
        let dir = scratch();
        let sets = ["global_180.tif", "global_360.tif"].map(|file| {
            let output = dir.path().join(file.trim_end_matches(".tif"));
            tile(&[&testdata(file)], &output, &["--tiling-scheme", name, "-z", "0-2", "-r", "nearest"]);
            pictures(&output)
        });
        assert!(sets[0].keys().eq(sets[1].keys()), "{name}");
        let (mut pixels, mut off) = (0usize, 0usize);
        for (a, b) in sets[0].values().zip(sets[1].values()) {
            pixels += a.pixels.len();
            off += a.pixels.iter().zip(&b.pixels).filter(|(a, b)| a != b).count();
        }
        println!("{name}: {off} of {pixels}");
        assert!(off * 500 < pixels, "{name}: {off} of {pixels}");
    }
}

#[test]
fn a_raster_across_the_antimeridian_lies_on_both_sides_of_it() {
    for file in ["antimeridian.tif", "antimeridian_utm.tif"] {
        let dir = scratch();
        let (input, set) = (testdata(file), grid("WorldCRS84Quad"));
        let output = dir.path().join("set");
        let report = tile(&[&input], &output, &["--tiling-scheme", "WorldCRS84Quad", "-z", "3-6"]);
        let tiles = pictures(&output);
        let last = set.matrix(6).expect("a level").columns - 1;
        assert!(tiles.keys().any(|t| (t.z, t.x) == (6, 0)), "{file}");
        assert!(tiles.keys().any(|t| (t.z, t.x) == (6, last)), "{file}");
        let middle = last / 2;
        assert!(tiles.keys().all(|t| t.z < 6 || t.x.abs_diff(middle) > middle / 2), "{file}");
        assert_eq!((&report["bounds"][0], &report["bounds"][2]), (&(-180.0).into(), &180.0.into()), "{file}");
        // No gap at the seam: the outermost columns hold data where their neighbours do.
        for (tile, picture) in tiles.iter().filter(|(t, _)| t.z == 6 && (t.x == 0 || t.x == last)) {
            let (edge, inner) = if tile.x == 0 { (0, 1) } else { (255, 254) };
            for y in 1..255 {
                let inside = (y - 1..=y + 1).all(|y| picture.at(inner, y)[3] > 0);
                assert!(!inside || picture.at(edge, y)[3] > 0, "{file} {tile} row {y}");
            }
        }
    }
}

#[test]
fn poles_are_covered_in_degrees_and_in_polar_planes() {
    let dir = scratch();
    // A cap around the north pole, in its own stereographic plane.
    let cap = dir.path().join("cap.tif");
    let warp = [
        "-q",
        "-t_srs",
        "EPSG:3413",
        "-te",
        "-2000000",
        "-2000000",
        "2000000",
        "2000000",
        "-tr",
        "10000",
        "10000",
    ];
    succeed(Command::new("gdalwarp").args(warp).arg(testdata("global_180.tif")).arg(&cap));
    let output = dir.path().join("degrees");
    let options = ["--tiling-scheme", "WorldCRS84Quad", "-z", "2", "-r", "nearest"];
    let report = tile(&[&cap], &output, &options);
    assert_eq!(report["bounds"][3], 90.0);
    assert_eq!((&report["bounds"][0], &report["bounds"][2]), (&(-180.0).into(), &180.0.into()));
    let tiles = pictures(&output);
    // The whole top row of pixels is the pole.
    for x in 0..8 {
        let top = &tiles[&TileCoord::new(2, x, 0)];
        assert!((0..256).all(|i| top.at(i, 0)[3] == 255), "column {x}");
    }
    let set = grid("WorldCRS84Quad");
    let found = difference(&cap, &set, &tiles, "near", dir.path());
    println!("{found:?}");
    assert!(
        found.both > 100_000 && found.off * 200 <= found.both && found.edge * 200 <= found.both,
        "{found:?}"
    );

    // The world in degrees, around the pole of a polar grid: nothing is missing in the middle.
    let output = dir.path().join("polar");
    tile(
        &[&testdata("global_180.tif")],
        &output,
        &["--tiling-scheme", "UPSArcticWGS84Quad", "-z", "3", "-r", "nearest"],
    );
    let tiles = pictures(&output);
    let set = grid("UPSArcticWGS84Quad");
    let pole =
        set.plane(3, 256, 0).pixels(&Bounds { west: 2e6, south: 2e6 - 1.0, east: 2e6 + 1.0, north: 2e6 });
    let tile = TileCoord::new(3, (pole.x / 256) as u32, (pole.y / 256) as u32);
    let picture = &tiles[&tile];
    let (x, y) = ((pole.x % 256) as usize, (pole.y % 256) as usize);
    for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        assert_eq!(picture.at(x + i - usize::from(x > 0), y + j - usize::from(y > 0))[3], 255, "{tile}");
    }
}
