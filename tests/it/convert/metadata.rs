//! What is said about a set comes along.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::*;
use crate::containers::pmtiles::Archive;

fn tilejson(folder: &Path) -> Value {
    let text = std::fs::read(folder.join("tilejson.json")).expect("TileJSON");
    serde_json::from_slice(&text).expect("JSON")
}

fn rows(path: &Path) -> Vec<(String, String)> {
    let db = Connection::open(path).expect("opened");
    let mut query = db.prepare("SELECT name, value FROM metadata ORDER BY name").expect("metadata");
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    rows.map(|row| row.expect("row")).collect()
}

#[test]
fn unknown_keys_are_carried_through_every_container() {
    let (dir, [folder, ..]) = made("rgb.tif", &["-z", "9-10"]);
    let at = |name: &str| dir.path().join(name);
    let mut told = tilejson(&folder);
    let more = json!({
        "version": "3.1.4", "made_by": "hand", "year": 2024, "legend": "<b>yes</b>",
        "stats": {"layers": [1, 2.5, null], "x": {"y": true}}, "vector_layers": [],
    });
    for (key, value) in more.as_object().expect("an object") {
        told[key] = value.clone();
    }
    std::fs::write(folder.join("tilejson.json"), told.to_string()).expect("written");
    let steps = ["a.pmtiles", "b.mbtiles", "c.tar", "d.mbtiles", "e.pmtiles", "f"].map(at);
    let mut from = folder.clone();
    for step in &steps {
        convert(&from, step, &[]);
        from.clone_from(step);
    }
    assert_eq!(tilejson(&from), told);
    let rows = rows(&at("b.mbtiles"));
    let value = |key: &str| rows.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    assert_eq!((value("version"), value("made_by")), (Some("3.1.4"), Some("hand")));
    let structured: Value = serde_json::from_str(value("json").expect("a row")).expect("JSON");
    assert_eq!(structured, json!({"year": 2024, "stats": more["stats"], "vector_layers": []}));
    assert!(contents(&at("b.mbtiles")) == contents(&at("d.mbtiles")));
}

#[test]
fn labels_replace_those_of_the_set() {
    let (dir, [_, mbtiles, ..]) = made("rgb.tif", &["-z", "9-10", "--description", "old"]);
    let copy = dir.path().join("copy");
    let labels = [
        "--name",
        "new",
        "--description",
        "better",
        "--attribution",
        "us",
        "--baselayer",
        "--url",
        "https://t.example/x",
    ];
    convert(&mbtiles, &copy, &labels);
    let told = tilejson(&copy);
    assert_eq!((&told["name"], &told["description"]), (&json!("new"), &json!("better")));
    assert_eq!((&told["attribution"], &told["type"]), (&json!("us"), &json!("baselayer")));
    assert_eq!(told["tiles"], json!(["https://t.example/x/{z}/{x}/{y}.png"]));
    // The address of a folder's tiles is kept from folder to folder.
    let again = dir.path().join("again");
    convert(&copy, &again, &["--overlay"]);
    assert_eq!((&tilejson(&again)["tiles"], &tilejson(&again)["type"]), (&told["tiles"], &json!("overlay")));
}

#[test]
fn the_header_of_an_archive_says_what_its_metadata_say() {
    let (dir, [_, mbtiles, pmtiles, _]) = made("rgb.tif", &["-z", "9-10"]);
    let archive = Archive::open(&pmtiles);
    let (offset, length) = archive.section(1);
    let json: Value = serde_json::from_slice(&archive.gunzip(offset, length)).expect("JSON");
    let rows = rows(&mbtiles);
    for key in ["bounds", "center"] {
        let row = rows.iter().find(|(name, _)| name == key).expect("a row");
        assert_eq!(json[key], *row.1);
    }
    // Another program edits the header alone: that counts.
    let mut bytes = std::fs::read(&pmtiles).expect("archive");
    bytes[102..106].copy_from_slice(&(-1_790_000_000_i32).to_le_bytes());
    std::fs::write(&pmtiles, bytes).expect("written");
    let report = convert(&pmtiles, &dir.path().join("copy.mbtiles"), &[]);
    assert_eq!(report["bounds"][0].as_f64(), Some(-179.0));
}

#[test]
fn a_database_that_says_nothing_is_described_by_its_tiles() {
    let (dir, [_, mbtiles, ..]) = made("rgb.tif", &["-z", "9-10"]);
    Connection::open(&mbtiles).and_then(|db| db.execute_batch("DROP TABLE metadata")).expect("dropped");
    let copy = dir.path().join("copy.pmtiles");
    let report = convert(&mbtiles, &copy, &[]);
    Archive::open(&copy).verify();
    assert!(read_tiles(&copy) == read_tiles(&mbtiles));
    let notes = report["notes"].to_string();
    assert!(notes.contains("bounds ") && notes.contains("name 'set'"), "{notes}");
}

#[test]
fn digests_over_all_tiles_go_when_tiles_go() {
    let (dir, [_, mbtiles, ..]) = made("rgb.tif", &["-z", "9-10"]);
    let sql = "INSERT INTO metadata VALUES ('agg_tiles_hash', 'D4E1');
               CREATE TABLE grids (zoom_level, tile_column, tile_row, grid); INSERT INTO grids VALUES (1, 1, 1, 1);";
    Connection::open(&mbtiles).and_then(|db| db.execute_batch(sql)).expect("inserted");
    let copy = dir.path().join("copy.mbtiles");
    let report = convert(&mbtiles, &copy, &[]);
    assert!(report["notes"].to_string().contains("UTFGrid"), "{report}");
    assert!(rows(&copy).contains(&("agg_tiles_hash".to_owned(), "D4E1".to_owned())));
    convert(&mbtiles, &copy, &["--overwrite", "-z", "10"]);
    assert!(!rows(&copy).iter().any(|(key, _)| key == "agg_tiles_hash"));
}
