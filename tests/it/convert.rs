//! `tileloom convert`: round trips, damage, sets that other programs made.

mod damage;
mod foreign;
mod metadata;

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tileloom::grid::TileCoord;

use crate::common::{Run, names_in, read_tiles, run, testdata, tile};

/// A name for each container.
const NAMES: [&str; 4] = ["set", "set.mbtiles", "set.pmtiles", "set.tar"];

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// `tileloom convert` with options.
fn convert_run(input: &Path, output: &Path, options: &[&str]) -> Run {
    let paths = [input.to_str().expect("UTF-8"), output.to_str().expect("UTF-8")];
    run(["convert"].iter().chain(&paths).chain(options))
}

/// The same, which has to succeed: its report.
fn convert(input: &Path, output: &Path, options: &[&str]) -> serde_json::Value {
    let run = convert_run(input, output, &[&["--json", "-q"], options].concat());
    assert_eq!(run.code, Some(0), "{}: {}", input.display(), run.err);
    run.json()
}

/// A set in each container, made from a file of `testdata/` with the same options.
fn made(input: &str, options: &[&str]) -> (TempDir, [PathBuf; 4]) {
    let dir = scratch();
    let paths = NAMES.map(|name| dir.path().join(name));
    for path in &paths {
        tile(&[&testdata(input)], path, &[&["--name", "a set"], options].concat());
    }
    (dir, paths)
}

/// Everything that is in a file or folder, by name.
fn contents(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    if path.is_file() {
        return vec![(PathBuf::new(), std::fs::read(path).expect("file"))];
    }
    let mut found = Vec::new();
    for name in names_in(path) {
        let below = contents(&path.join(&name)).into_iter();
        found.extend(below.map(|(rest, bytes)| (Path::new(&name).join(rest), bytes)));
    }
    found
}

#[test]
fn every_container_becomes_every_other_byte_for_byte_as_if_made_directly() {
    for (input, options) in [
        (
            "rgb.tif",
            &["-z", "9-13", "--description", "where <it> is", "--attribution", "© them", "--baselayer"][..],
        ),
        ("dem.tif", &["-z", "8-10", "--encoding", "mapbox", "--interval", "0.01", "--base-val", "-500"]),
        ("rgb.tif", &["-z", "11-12", "-f", "jpg", "--tile-size", "512"]),
        ("dem.tif", &["-z", "8-9", "-f", "webp", "--lossless", "--encoding", "terrarium"]),
    ] {
        let (_dir, sets) = made(input, options);
        let copies = scratch();
        for from in &sets {
            for to in &sets {
                let copy = copies.path().join(to.file_name().expect("a name"));
                let report = convert(from, &copy, &["--overwrite"]);
                assert!(contents(&copy) == contents(to), "{} to {}", from.display(), to.display());
                assert_eq!(report["tiles"].as_u64(), Some(read_tiles(to).len() as u64));
                assert_eq!(report["notes"].as_array().map(Vec::len), Some(0), "{report}");
                assert_eq!(names_in(copies.path()).iter().filter(|n| n.contains("partial")).count(), 0);
            }
        }
    }
}

#[test]
fn a_chain_through_all_containers_loses_nothing() {
    let (dir, [folder, ..]) = made("rgba.tif", &["-z", "10-14"]);
    let steps = ["a.pmtiles", "b.mbtiles", "c.tar", "d"].map(|name| dir.path().join(name));
    let mut from = folder.clone();
    for step in steps {
        convert(&from, &step, &[]);
        assert!(read_tiles(&step) == read_tiles(&folder), "{}", step.display());
        from = step;
    }
    assert!(contents(&from) == contents(&folder));
}

#[test]
fn neither_threads_nor_memory_change_the_bytes() {
    let (dir, [folder, mbtiles, pmtiles, tar]) = made("rgb.tif", &["-z", "9-14"]);
    let copy = dir.path().join("copy.mbtiles");
    for from in [&folder, &mbtiles, &pmtiles, &tar] {
        for options in [
            &["-j", "1", "--readers", "1"][..],
            &["-j", "7", "--readers", "5"],
            &["-j", "3", "--memory", "64M"],
        ] {
            convert(from, &copy, &[options, &["--overwrite"]].concat());
            assert!(contents(&copy) == contents(&mbtiles), "{options:?}");
        }
    }
}

#[test]
fn rows_of_folders_and_tars_count_as_they_tell_or_as_the_user_says() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name);
    let options = ["--name", "a set", "-z", "9-11"];
    tile(&[&testdata("rgb.tif")], &at("xyz"), &options);
    tile(&[&testdata("rgb.tif")], &at("tms"), &[&options[..], &["--convention", "tms"]].concat());
    tile(&[&testdata("rgb.tif")], &at("tms.tar"), &[&options[..], &["--convention", "tms"]].concat());
    let tiles = read_tiles(&at("xyz"));
    convert(&at("tms"), &at("a.pmtiles"), &[]);
    convert(&at("tms.tar"), &at("b.pmtiles"), &[]);
    assert!(read_tiles(&at("a.pmtiles")) == tiles && read_tiles(&at("b.pmtiles")) == tiles);
    convert(&at("tms"), &at("c.tar"), &[]);
    assert!(contents(&at("c.tar")) == contents(&at("tms.tar")), "the numbering is kept");
    convert(&at("tms.tar"), &at("d"), &["--convention", "xyz"]);
    assert!(contents(&at("d")) == contents(&at("xyz")));
    convert(&at("a.pmtiles"), &at("e"), &["--convention", "tms"]);
    assert!(contents(&at("e")) == contents(&at("tms")));
    // Without a description somebody has to tell.
    std::fs::remove_file(at("tms/tilejson.json")).expect("removed");
    convert(&at("tms"), &at("f.mbtiles"), &["--input-scheme", "tms"]);
    assert!(read_tiles(&at("f.mbtiles")) == tiles);
    let run = convert_run(&at("tms"), &at("g.mbtiles"), &["--convention", "tms"]);
    assert!(run.failure(2).contains("--convention"), "{run:?}");
}

#[test]
fn levels_can_be_left_out() {
    let (dir, [_, mbtiles, ..]) = made("rgb.tif", &["-z", "8-13"]);
    let all = read_tiles(&mbtiles);
    for (options, levels) in [
        (&["-z", "10-11"][..], 10..=11),
        (&["--min-zoom", "12"], 12..=13),
        (&["--max-zoom", "9"], 8..=9),
        (&["-z", "3-9"], 8..=9),
    ] {
        let copy = dir.path().join("copy.pmtiles");
        let report = convert(&mbtiles, &copy, &[options, &["--overwrite"]].concat());
        let wanted = |coord: &TileCoord| levels.contains(&coord.z);
        let expected = all.iter().filter(|(c, _)| wanted(c)).map(|(c, b)| (*c, b.clone())).collect();
        assert!(read_tiles(&copy) == expected, "{options:?}");
        assert_eq!(report["left_out"].as_u64(), Some((all.len() - expected.len()) as u64));
        assert_eq!(
            (report["min_zoom"].as_u64(), report["max_zoom"].as_u64()),
            (Some(u64::from(*levels.start())), Some(u64::from(*levels.end())))
        );
    }
    let copy = dir.path().join("none.pmtiles");
    assert!(convert_run(&mbtiles, &copy, &["-z", "20"]).failure(3).contains("of the levels asked for"));
    assert!(convert_run(&mbtiles, &copy, &["--min-zoom", "9", "--max-zoom", "8"]).failure(2).contains('9'));
    assert!(convert_run(&mbtiles, &copy, &["--max-zoom", "31"]).failure(2).contains("31"));
    assert!(!copy.exists());
}

#[test]
fn the_input_is_recognised_by_its_content() {
    let (dir, sets) = made("rgb.tif", &["-z", "9-10"]);
    let tiles = read_tiles(&sets[0]);
    for (set, container) in sets.iter().zip(["folder", "mbtiles", "pmtiles", "tar"]) {
        let odd = dir.path().join("odd.tar");
        std::fs::rename(set, &odd).expect("renamed");
        let copy = dir.path().join("copy.pmtiles");
        let report = convert(&odd, &copy, &["--overwrite"]);
        assert_eq!(report["input_container"], container);
        assert!(read_tiles(&copy) == tiles);
        std::fs::rename(&odd, set).expect("renamed back");
    }
    let copy = dir.path().join("no.pmtiles");
    for (bytes, word) in [
        (&b"\x1f\x8b\x08\0\0"[..], "compressed; unpack it"),
        (b"PK\x03\x04....", "ZIP"),
        (b"II*\0\0\0\0\0", "tileloom tile"),
        (b"", "empty"),
    ] {
        let odd = dir.path().join("odd");
        std::fs::write(&odd, bytes).expect("written");
        let run = convert_run(&odd, &copy, &[]);
        assert!(run.failure(3).contains(word), "{run:?}");
    }
    assert!(convert_run(&dir.path().join("nothing"), &copy, &[]).failure(3).contains("nothing"));
    assert!(convert_run(dir.path(), &copy, &[]).failure(3).contains("holds no tiles"));
}

#[test]
fn what_stands_there_is_kept_unless_told_and_never_the_input() {
    let (dir, [folder, mbtiles, pmtiles, _]) = made("rgb.tif", &["-z", "9-10"]);
    let before = contents(&mbtiles);
    assert!(convert_run(&folder, &mbtiles, &[]).failure(4).contains("--overwrite"));
    for same in [&folder, &mbtiles] {
        let run = convert_run(same, same, &["--overwrite"]);
        assert!(run.failure(2).contains("made from"), "{run:?}");
    }
    let link = dir.path().join("link.pmtiles");
    std::os::unix::fs::symlink(&pmtiles, &link).expect("link");
    assert!(convert_run(&pmtiles, &link, &["--overwrite"]).failure(2).contains("made from"));
    assert!(contents(&mbtiles) == before);
}

#[test]
fn reports_are_for_people_or_programs_or_nobody() {
    let (dir, [folder, ..]) = made("rgb.tif", &["-z", "9-10"]);
    let copy = dir.path().join("copy.tar");
    let text = convert_run(&folder, &copy, &["--stats"]);
    assert!(text.code == Some(0) && text.out.contains("tiles from folder checked and copied"), "{text:?}");
    let quiet = convert_run(&folder, &copy, &["-q", "--overwrite"]);
    assert_eq!((quiet.code, quiet.out.as_str(), quiet.err.as_str()), (Some(0), "", ""));
    let json = convert(&folder, &copy, &["--overwrite"]);
    for key in
        ["input", "input_container", "output", "container", "min_zoom", "tiles", "bytes", "bounds", "stats"]
    {
        assert!(!json[key].is_null(), "{key}");
    }
}

#[test]
fn too_little_memory_is_told_with_the_least_that_would_do() {
    let (dir, [folder, ..]) = made("rgb.tif", &["-z", "9-12"]);
    let copy = dir.path().join("copy.pmtiles");
    let refused = convert_run(&folder, &copy, &["--memory", "20M"]);
    let line = refused.failure(1);
    let least = line.rsplit("--memory ").next().expect("an amount");
    assert_eq!(convert_run(&folder, &copy, &["--memory", least]).code, Some(0), "{line}");
}

#[test]
fn tiles_of_a_rasters_own_pixels_go_where_names_are_free() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name);
    tile(&[&testdata("unreferenced.tif")], &at("set"), &["--tiling-scheme", "raster", "--name", "a set"]);
    tile(&[&testdata("unreferenced.tif")], &at("set.tar"), &["--tiling-scheme", "raster", "--name", "a set"]);
    convert(&at("set"), &at("copy.tar"), &[]);
    assert!(contents(&at("copy.tar")) == contents(&at("set.tar")));
    convert(&at("copy.tar"), &at("copy"), &[]);
    assert!(contents(&at("copy")) == contents(&at("set")));
    let run = convert_run(&at("set.tar"), &at("set.mbtiles"), &[]);
    assert!(run.failure(2).contains("Web Mercator"), "{run:?}");
}
