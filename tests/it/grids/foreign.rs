//! Metadata of sets in other grids, what others make of them, and sets that others made.

use super::*;
use crate::common::{read_tiles, run, testdata, tile};

fn convert(from: &Path, to: &Path, options: &[&str]) -> crate::common::Run {
    let paths = [from, to].map(|p| p.to_str().expect("UTF-8").to_owned());
    let args = ["convert".to_owned()].into_iter().chain(paths).chain(options.iter().map(ToString::to_string));
    run(args)
}

fn json(folder: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(folder.join("tilejson.json")).expect("a file");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_set_tells_its_grid_and_keeps_it_from_container_to_container() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name);
    for (scheme, options) in [("WorldCRS84Quad", &["-z", "1-2"][..]), ("NZTM2000Quad", &["-z", "1-2"])] {
        let input = "global_180.tif";
        let whole = at(&format!("{scheme}_folder"));
        tile(&[&testdata(input)], &whole, &[&["--tiling-scheme", scheme, "--name", "x"], options].concat());
        let told = json(&whole);
        assert_eq!(told["tileMatrixSet"]["id"], scheme);
        assert_eq!(told["crs"], grid(scheme).crs);
        assert_eq!(told["bounds"].as_array().map(Vec::len), Some(4));
        // Rows from the south, in another container and back.
        let (tar, back) = (at(&format!("{scheme}.tar")), at(&format!("{scheme}_back")));
        assert_eq!(convert(&whole, &tar, &["--convention", "tms"]).code, Some(0));
        assert_eq!(convert(&tar, &back, &["--convention", "xyz"]).code, Some(0));
        assert!(json(&back) == told, "{scheme}");
        assert!(read_tiles(&back) == read_tiles(&whole), "{scheme}");
        let direct = at(&format!("{scheme}_direct.tar"));
        tile(
            &[&testdata(input)],
            &direct,
            &[&["--tiling-scheme", scheme, "--name", "x", "--convention", "tms"], options].concat(),
        );
        assert!(std::fs::read(&direct).expect("a file") == std::fs::read(&tar).expect("a file"), "{scheme}");
        // Its description is a grid to tile others with.
        let again = at(&format!("{scheme}_again"));
        let file = whole.join("tilejson.json");
        let given = file.to_str().expect("UTF-8");
        tile(&[&testdata(input)], &again, &[&["--tiling-scheme", given, "--name", "x"], options].concat());
        assert!(read_tiles(&again) == read_tiles(&whole), "{scheme}");
        for name in ["set.mbtiles", "set.pmtiles"] {
            let refused = convert(&whole, &at(name), &[]);
            assert!(refused.failure(2).contains("can hold only Web Mercator tiles"), "{refused:?}");
            assert!(!at(name).exists());
        }
    }
}

#[test]
fn a_bare_folder_is_read_in_the_grid_that_the_caller_names() {
    let dir = scratch();
    let whole = dir.path().join("set");
    tile(&[&testdata("global_180.tif")], &whole, &["--tiling-scheme", "WorldCRS84Quad", "-z", "0-2"]);
    std::fs::remove_file(whole.join("tilejson.json")).expect("removed");
    let tiles = read_tiles(&whole);
    let tar = dir.path().join("set.tar");
    let run = convert(&whole, &tar, &["--tiling-scheme", "worldcrs84quad"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(read_tiles(&tar) == tiles && tiles.len() == 2 + 8 + 32);
    let back = dir.path().join("back");
    assert_eq!(convert(&tar, &back, &[]).code, Some(0));
    assert_eq!(json(&back)["bounds"], serde_json::json!([-180.0, -90.0, 180.0, 90.0]));
}

#[test]
fn a_file_with_web_mercator_is_web_mercator() {
    let dir = scratch();
    let file = dir.path().join("mine.json");
    std::fs::write(&file, grid("WebMercatorQuad").to_json().to_string()).expect("written");
    let (own, known) = (dir.path().join("a.pmtiles"), dir.path().join("b.pmtiles"));
    let scheme = file.to_str().expect("UTF-8");
    tile(&[&testdata("rgb.tif")], &own, &["--tms", scheme, "--name", "x"]);
    tile(&[&testdata("rgb.tif")], &known, &["--name", "x"]);
    assert!(std::fs::read(own).expect("a file") == std::fs::read(known).expect("a file"));
}
