//! Shards as `WebDataset` reads them, and catalogues as pystac does.

use super::*;
use crate::containers::pmtiles::python;

/// The members of all shards of a folder, with their bytes.
fn members(folder: &Path) -> Vec<(String, String, Vec<u8>)> {
    use std::io::Read;
    let shards =
        names_in(folder).into_iter().filter(|n| Path::new(n).extension().is_some_and(|e| e == "tar"));
    let mut all = Vec::new();
    for shard in shards {
        let mut archive = tar::Archive::new(std::fs::File::open(folder.join(&shard)).expect("a shard"));
        for entry in archive.entries().expect("entries") {
            let mut entry = entry.expect("sound");
            let name = entry.path().expect("a name").to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("whole");
            all.push((shard.clone(), name, bytes));
        }
    }
    all
}

#[test]
fn shards_hold_the_same_chips_as_folders() {
    let dir = scratch();
    let (files, shards) = (dir.path().join("files"), dir.path().join("shards"));
    let label = path("bands4.tif").to_string_lossy().into_owned();
    let options = ["--size", "200", "--label", &label];
    split(&[&path("rgb.tif")], &files, &options);
    let report = split(&[&path("rgb.tif")], &shards, &[&options[..], &["--shards", "5"]].concat());
    assert_eq!((report["chips"].as_u64(), report["shards"].as_u64()), (Some(12), Some(3)));
    let members = members(&shards);
    let listed = index(&shards);
    assert_eq!(members.len(), 3 * listed.len());
    for (chip, same) in listed.iter().zip(index(&files)) {
        for column in ["image", "label"] {
            let found =
                members.iter().find(|(shard, name, _)| *shard == chip["shard"] && *name == chip[column]);
            let (_, _, bytes) = found.expect("in its shard");
            assert!(*bytes == std::fs::read(files.join(&same[column])).expect("a chip"), "{chip:?}");
        }
        let told =
            members.iter().find(|(_, name, _)| *name == format!("{}.json", chip["name"])).expect("told");
        let told: Value = serde_json::from_slice(&told.2).expect("JSON");
        assert_eq!(["x", "y", "width", "height"].map(|k| told[k].as_i64().expect("a number")), window(chip));
    }
    // Members of a chip follow each other.
    let stems: Vec<&str> =
        members.iter().map(|(_, name, _)| name.split('.').next().expect("a stem")).collect();
    assert!(stems.chunks(3).all(|chip| chip.iter().all(|s| *s == chip[0])), "{stems:?}");
}

/// Reads a program's output with a package of Python; `None` where there is no such package.
fn read_with(package: &str, script: &str, args: &[&Path]) -> Option<String> {
    let python = python()?;
    let has = Command::new(&python).args(["-c", &format!("import {package}")]).output();
    if !has.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: no python with the package {package} (TILELOOM_PYTHON names one)");
        return None;
    }
    Some(succeed(Command::new(python).args(["-c", script]).args(args)))
}

#[test]
fn webdataset_reads_shards() {
    let dir = scratch();
    let out = dir.path().join("shards");
    let label = path("bands4.tif").to_string_lossy().into_owned();
    split(&[&path("rgb.tif")], &out, &["--size", "200", "--label", &label, "--shards", "100"]);
    let script = r#"
import sys, json, webdataset as wds
found = list(wds.WebDataset(sys.argv[1], shardshuffle=False))
assert all({"image.tif", "label.tif", "json"} <= set(s) for s in found), found[0].keys()
print(len(found), json.loads(found[0]["json"])["name"])
"#;
    if let Some(text) = read_with("webdataset", script, &[&out.join("chips-000000.tar")]) {
        assert_eq!(text.trim(), "12 rgb_0_0");
    }
}

#[test]
fn pystac_takes_the_catalogue() {
    let dir = scratch();
    let out = dir.path().join("chips");
    let options = ["--size", "200", "--index", "stac,csv", "--datetime", "2024-06-30T10:20:00Z"];
    split(&[&path("rgb.tif")], &out, &options);
    let script = r#"
import sys, pystac
items = pystac.ItemCollection.from_file(sys.argv[1])
for item in items:
    item.stac_extensions = []
    item.validate()
    assert item.bbox and item.geometry and item.datetime.year == 2024
print(len(list(items)), items.items[1].assets["image"].href, items.items[1].properties["proj:code"])
"#;
    if let Some(text) = read_with("pystac, jsonschema", script, &[&out.join("stac.json")]) {
        assert_eq!(text.trim(), "12 ./rgb_0_1.tif EPSG:32633");
    }
    let text = std::fs::read_to_string(out.join("stac.json")).expect("a catalogue");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    for item in all["features"].as_array().expect("items") {
        let file = item["assets"]["image"]["href"].as_str().expect("a file");
        assert!(out.join(file).exists(), "{file}");
    }
}
