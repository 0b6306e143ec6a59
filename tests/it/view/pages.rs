//! `tile --webviewer`: pages beside a folder of tiles.

use std::fs;

use super::*;
use crate::common::{names_in, run};
use crate::containers::read_folder;

#[test]
fn no_page_is_written_unless_asked_for_and_pages_change_nothing_else() {
    let dir = scratch();
    let bare = tileset(dir.path(), "bare", &[]);
    let none = tileset(dir.path(), "none", &["--webviewer", "none", "--name", "bare"]);
    let all = tileset(dir.path(), "all", &["--webviewer", "all", "--name", "bare"]);
    assert_eq!(names_in(&bare), names_in(&none));
    let pages: Vec<_> = names_in(&all).into_iter().filter(|name| !names_in(&bare).contains(name)).collect();
    assert_eq!(pages, ["leaflet.html", "maplibre.html", "openlayers.html"]);
    assert_eq!(read_folder(&bare), read_folder(&all));
    let description = |set: &Path| fs::read(set.join("tilejson.json")).expect("a description");
    assert_eq!(description(&bare), description(&all));
}

#[test]
fn pages_are_counted_and_can_be_overwritten_with_their_folder() {
    let dir = scratch();
    let set = dir.path().join("set");
    let options = ["-z", "11-12", "-w", "openlayers,leaflet"];
    let report = tile(&[&testdata("rgb.tif")], &set, &options);
    let size = |path: &Path| fs::metadata(path).expect("a file").len();
    let tiles: u64 = read_folder(&set).values().map(|bytes| bytes.len() as u64).sum();
    let beside = ["tilejson.json", "openlayers.html", "leaflet.html"].map(|name| size(&set.join(name)));
    assert_eq!(report["bytes"].as_u64(), Some(tiles + beside.iter().sum::<u64>()));
    let first = fs::read(set.join("leaflet.html")).expect("a page");
    tile(&[&testdata("rgb.tif")], &set, &[&options[..], &["--overwrite", "-j", "1"]].concat());
    assert_eq!(fs::read(set.join("leaflet.html")).expect("a page"), first);
    tile(&[&testdata("rgb.tif")], &set, &["-z", "11-12", "--overwrite"]);
    assert_eq!(names_in(&set), ["11", "12", "tilejson.json"]);
}

#[test]
fn pages_know_how_far_the_tiles_reach() {
    let dir = scratch();
    let set = tileset(dir.path(), "set", &["-w", "openlayers", "--name", "</script>", "--convention", "tms"]);
    let page = fs::read_to_string(set.join("openlayers.html")).expect("a page");
    let data =
        page.split_once(r#"id="tileset">"#).and_then(|(_, at)| at.split_once("</script>")).expect("data").0;
    let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
    let tiles = read_folder(&set);
    let highest = || tiles.keys().filter(|tile| tile.z == 13).map(|tile| (tile.x, tile.tms_y()));
    let (columns, rows): (Vec<_>, Vec<_>) = highest().unzip();
    let ends = |v: &[u32]| (*v.iter().min().expect("some"), *v.iter().max().expect("some"));
    let ((left, right), (top, bottom)) = (ends(&columns), ends(&rows));
    assert_eq!(data["limits"], serde_json::json!([left, top, right, bottom]));
    assert_eq!((&data["scheme"], &data["tiles"][0]), (&"tms".into(), &"{z}/{x}/{y}.png".into()));
    assert_eq!(data["name"], "</script>");
}

#[test]
fn pages_that_would_show_nothing_are_refused_before_anything_is_written() {
    let dir = scratch();
    let tile = |input: &str, output: &str, options: &[&str]| {
        let (input, output) = (testdata(input), dir.path().join(output));
        run([&["tile", &*input.to_string_lossy(), &*output.to_string_lossy()][..], options].concat())
    };
    for (input, output, options, word) in [
        ("rgb.tif", "set.pmtiles", &["-w", "all"][..], "tileloom view"),
        ("rgb.tif", "set.tar", &["-w", "openlayers"], "beside a folder"),
        ("rgb.tif", "set", &["-w", "all", "-f", "gtiff"], "no GeoTIFF tiles"),
        ("rgb.tif", "set", &["-w", "leaflet", "--tiling-scheme", "WorldCRS84Quad"], "openlayers draws all"),
        ("rgb.tif", "set", &["-w", "mapml"], "known are none, openlayers, leaflet, maplibre and all"),
        ("rgb.tif", "set", &["-w", "none,leaflet"], "none cannot stand beside others"),
        (
            "unreferenced.tif",
            "set",
            &["-w", "maplibre", "--tiling-scheme", "raster"],
            "only tiles of Web Mercator",
        ),
        (
            "dem.tif",
            "set",
            &["-w", "maplibre", "--encoding", "terrarium", "--convention", "tms"],
            "from the north",
        ),
    ] {
        let refused = tile(input, output, options);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains(word), "{refused:?}");
        assert!(names_in(dir.path()).is_empty());
    }
    let made = tile("unreferenced.tif", "scan", &["-w", "all", "--tiling-scheme", "raster"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let pages: Vec<_> =
        names_in(&dir.path().join("scan")).into_iter().filter(|n| n.ends_with("html")).collect();
    assert_eq!(pages, ["leaflet.html", "openlayers.html"]);
}
