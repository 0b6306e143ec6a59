//! Levels that do not halve each other, sizes of tiles, and what all of that costs.

use super::*;
use crate::common::{decode, pictures, read_tiles, testdata, tile};

/// Smooth colour in New Zealand, 1200 × 900 pixels of 20 m: levels 6 to 11 of NZTM2000 and a break between 7 and 8 and 10 and 11.
fn new_zealand(folder: &Path) -> PathBuf {
    let place = ["-a_srs", "EPSG:2193", "-a_ullr", "1740000", "5440000", "1754000", "5428000"];
    translated(&testdata("rgb.tif"), folder.join("nz.tif"), &place)
}

#[test]
fn each_stretch_of_levels_that_halve_has_a_base_of_its_own() {
    let dir = scratch();
    let input = new_zealand(dir.path());
    let output = dir.path().join("set");
    let report = tile(&[&input], &output, &["--tiling-scheme", "NZTM2000", "-z", "4-10", "-r", "bilinear"]);
    let set = grid("NZTM2000");
    let tiles = pictures(&output);
    for z in 4..=10 {
        assert!(tiles.keys().any(|t| t.z == z), "level {z}");
    }
    let said = report["guesses"].as_array().expect("a list").iter().filter_map(|g| g.as_str());
    assert!(said.clone().any(|g| g.starts_with("zoom level 7 made from the inputs too")), "{said:?}");
    // 10 is the base: bilinear. 7 is a base as well: averages of the source.
    let of = |z: u8| -> BTreeMap<TileCoord, Picture> {
        tiles.iter().filter(|(t, _)| t.z == z).map(|(t, p)| (*t, p.clone())).collect()
    };
    let found = difference(&input, &set, &of(10), "bilinear", dir.path());
    println!("10: {found:?}");
    assert!(found.both > 10_000 && found.off * 500 <= found.both, "{found:?}");
    let found = difference(&input, &set, &of(7), "average", dir.path());
    println!("7: {found:?}");
    assert!(found.both > 100 && found.off * 20 <= found.both, "{found:?}");
    // 6 is made of 7, not of the source.
    let (lower, upper) = (of(6), of(7));
    let (mut same, mut all) = (0, 0);
    for (tile, picture) in &lower {
        for (x, y) in
            (0..256).flat_map(|y| (0..256).map(move |x| (x, y))).filter(|(x, y)| picture.at(*x, *y)[3] == 255)
        {
            let below = TileCoord::new(7, tile.x * 2 + (x / 128) as u32, tile.y * 2 + (y / 128) as u32);
            let Some(below) = upper.get(&below) else { continue };
            let (x2, y2) = (x % 128 * 2, y % 128 * 2);
            let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| below.at(x2 + i, y2 + j));
            if four.iter().any(|p| p[3] < 255) {
                continue;
            }
            let mean = |b: usize| (four.iter().map(|p| u32::from(p[b])).sum::<u32>() + 2) / 4;
            all += 1;
            same += usize::from((0..3).all(|b| mean(b).abs_diff(u32::from(picture.at(x, y)[b])) <= 1));
        }
    }
    assert!(all > 50 && same == all, "{same} of {all}");
}

#[test]
fn the_bytes_do_not_depend_on_threads_where_there_are_several_bases() {
    let dir = scratch();
    let input = new_zealand(dir.path());
    for scheme in ["NZTM2000", "CBMTILE"] {
        let input = if scheme == "CBMTILE" {
            let place = ["-a_srs", "EPSG:3978", "-a_ullr", "1300000", "-100000", "1314000", "-112000"];
            translated(&testdata("rgb.tif"), dir.path().join("canada.tif"), &place)
        } else {
            input.clone()
        };
        for more in [&[][..], &["--overview-resampling", "cubic"]] {
            let sets = [("1", "a.tar"), ("7", "b.tar")].map(|(threads, name)| {
                let output = dir.path().join(name);
                let options = [
                    "--tiling-scheme",
                    scheme,
                    "--min-zoom",
                    "4",
                    "-j",
                    threads,
                    "--overwrite",
                    "--name",
                    "x",
                ];
                tile(&[&input], &output, &[&options, more].concat());
                std::fs::read(output).expect("a file")
            });
            assert!(sets[0] == sets[1], "{scheme} {more:?}");
        }
    }
}

#[test]
fn an_interrupted_run_goes_on_in_the_grid_it_began_in() {
    let dir = scratch();
    let input = new_zealand(dir.path());
    let set = |name: &str, options: &[&str]| {
        let output = dir.path().join(name);
        let scheme = ["--tiling-scheme", "NZTM2000", "-z", "4-10", "--name", "x"];
        let run = crate::common::run(
            ["tile", "--quiet"]
                .into_iter()
                .chain([input.to_str().expect("UTF-8"), output.to_str().expect("UTF-8")])
                .chain(scheme)
                .chain(options.iter().copied()),
        );
        (run, output)
    };
    let (run, whole) = set("whole", &[]);
    assert_eq!(run.code, Some(0), "{run:?}");
    let (run, resumed) = set("resumed", &["--resume"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(read_tiles(&whole) == read_tiles(&resumed));
    let (text, other) = ["whole", "resumed"]
        .map(|n| std::fs::read(dir.path().join(n).join("tilejson.json")).expect("a file"))
        .into();
    assert!(text == other);
}

#[test]
fn tiles_of_twice_the_pixels_are_named_for_it() {
    let dir = scratch();
    let input = testdata("rgb.tif");
    let (retina, large) = (dir.path().join("retina"), dir.path().join("large"));
    tile(&[&input], &retina, &["--retina", "-z", "10-13"]);
    tile(&[&input], &large, &["--tile-size", "512", "-z", "10-13"]);
    let tiles = read_tiles(&large);
    for (tile, bytes) in &tiles {
        let file = retina.join(format!("{}/{}/{}@2x.png", tile.z, tile.x, tile.y));
        assert!(std::fs::read(&file).ok().as_ref() == Some(bytes), "{}", file.display());
    }
    let json = |folder: &Path| -> serde_json::Value {
        let text = std::fs::read_to_string(folder.join("tilejson.json")).expect("a file");
        serde_json::from_str(&text).expect("JSON")
    };
    assert_eq!(json(&retina)["tiles"][0], "{z}/{x}/{y}@2x.png");
    assert_eq!((&json(&retina)["tileSize"], &json(&large)["tileSize"]), (&256.into(), &512.into()));
    // And from one container to the next, with the names.
    let (tar, back, archive) =
        (dir.path().join("set.tar"), dir.path().join("back"), dir.path().join("set.pmtiles"));
    for (from, to) in [(&retina, &tar), (&tar, &back), (&tar, &archive)] {
        let run = crate::common::run([Path::new("convert"), from, to]);
        assert_eq!(run.code, Some(0), "{run:?}");
    }
    assert!(json(&back) == json(&retina));
    for (tile, bytes) in &tiles {
        let file = back.join(format!("{}/{}/{}@2x.png", tile.z, tile.x, tile.y));
        assert!(std::fs::read(&file).ok().as_ref() == Some(bytes), "{}", file.display());
    }
    assert!(read_tiles(&archive) == tiles);
}

#[test]
fn a_grid_in_a_file_has_tiles_of_its_own_size() {
    let dir = scratch();
    let mut document = grid("WorldCRS84Quad").to_json();
    document["id"] = "Coarse".into();
    for (k, level) in document["tileMatrices"].as_array_mut().expect("levels").iter_mut().enumerate() {
        // Numbered from 4 on, with tiles of 512 pixels from the lower left corner.
        level["id"] = (k + 4).to_string().into();
        level["tileWidth"] = 512.into();
        level["tileHeight"] = 512.into();
        for key in ["scaleDenominator", "cellSize"] {
            level[key] = (level[key].as_f64().expect("a number") / 2.0).into();
        }
        level["cornerOfOrigin"] = "bottomLeft".into();
        level["pointOfOrigin"] = vec![-180.0, -90.0].into();
    }
    let file = dir.path().join("coarse.json");
    std::fs::write(&file, document.to_string()).expect("written");
    let scheme = file.to_str().expect("UTF-8");
    let (own, known) = (dir.path().join("own"), dir.path().join("known"));
    tile(&[&testdata("rgb.tif")], &own, &["--tiling-scheme", scheme, "-z", "14-17"]);
    tile(
        &[&testdata("rgb.tif")],
        &known,
        &["--tiling-scheme", "WorldCRS84Quad", "--tile-size", "512", "-z", "10-13"],
    );
    let shifted: BTreeMap<_, _> =
        read_tiles(&own).into_iter().map(|(t, b)| (TileCoord::new(t.z - 4, t.x, t.y), b)).collect();
    assert_eq!(shifted.keys().collect::<Vec<_>>(), read_tiles(&known).keys().collect::<Vec<_>>());
    assert_eq!(decode(shifted.values().next().expect("tiles")).side, 512);
    assert!(shifted == read_tiles(&known));
}
