//! Sets that other programs made, and what other programs make of ours.

use std::collections::BTreeMap;
use std::process::Command;

use super::*;
use crate::common::succeed;
use crate::containers::pmtiles::{Archive, python};

/// Runs a script of the Python that has the package `pmtiles`; `None`, with a message, where there is none.
fn run_python(script: &str, args: &[&Path]) -> Option<String> {
    let Some(python) = python() else {
        eprintln!("skipped: no python with the package pmtiles (TILELOOM_PYTHON names one)");
        return None;
    };
    Some(succeed(Command::new(python).args(["-c", script]).args(args)))
}

/// Whether that Python has a module; says so if not.
fn has_module(name: &str) -> bool {
    let has = python().is_some_and(|python| {
        let found = Command::new(python).args(["-c", &format!("import {name}")]).output();
        found.is_ok_and(|output| output.status.success())
    });
    if !has {
        eprintln!("skipped: no python with the package {name} (TILELOOM_PYTHON names one)");
    }
    has
}

/// Converts a set into every container and holds the tiles against those expected.
fn holds_after_conversion(set: &Path, expected: &BTreeMap<TileCoord, Vec<u8>>) {
    let dir = scratch();
    for name in NAMES {
        let copy = dir.path().join(name);
        let report = convert(set, &copy, &[]);
        assert_eq!(report["tiles"].as_u64(), Some(expected.len() as u64));
        assert!(read_tiles(&copy) == *expected, "{} as {name}", set.display());
    }
}

#[test]
fn the_python_tarfile_module_reads_what_is_written() {
    let (_dir, [folder, .., tar]) = made("rgb.tif", &["-z", "9-12"]);
    let script = "
import pathlib, sys, tarfile
names = []
for member in tarfile.open(sys.argv[1], 'r:'):
    assert member.isfile() and (member.mode, member.mtime, member.uid, member.gid) == (0o644, 0, 0, 0)
    names.append(member.name)
assert names[0] == 'tilejson.json'
order = [tuple(int(n) for n in name.split('.')[0].split('/')) for name in names[1:]]
assert order == sorted(order)
files = [p for p in pathlib.Path(sys.argv[2]).rglob('*') if p.is_file()]
assert len(files) == len(names)
archive = tarfile.open(sys.argv[1], 'r:')
for path in files:
    assert archive.extractfile(str(path.relative_to(sys.argv[2]))).read() == path.read_bytes()
print('ok')
";
    if let Some(out) = run_python(script, &[&tar, &folder]) {
        assert_eq!(out.trim(), "ok");
    }
    let listed = succeed(Command::new("tar").arg("tvf").arg(&tar));
    assert_eq!(listed.lines().count(), read_tiles(&folder).len() + 1);
    assert!(listed.lines().all(|line| line.starts_with("-rw-r--r-- 0/0")), "{listed}");
}

#[test]
fn tars_that_other_programs_packed_are_read() {
    let (dir, [folder, ..]) = made("rgb.tif", &["-z", "9-11"]);
    let expected = read_tiles(&folder);
    for options in [&["--format=gnu"][..], &["--format=ustar"], &["--format=pax"], &["--format=v7"]] {
        for (within, what) in [(folder.as_path(), "."), (dir.path(), "set")] {
            let packed = dir.path().join("packed");
            succeed(
                Command::new("tar").args(options).arg("-cf").arg(&packed).arg("-C").arg(within).arg(what),
            );
            let copy = dir.path().join("copy");
            convert(&packed, &copy, &["--overwrite"]);
            assert!(contents(&copy) == contents(&folder), "{options:?}, {what}: {}", expected.len());
        }
    }
}

#[test]
fn rio_mbtiles_and_rio_pmtiles_make_what_is_read() {
    let dir = scratch();
    let source = testdata("rgb.tif");
    for (module, name, options) in [
        ("mbtiles", "rio.mbtiles", &["mbtiles", "--title", "by rio"][..]),
        ("mbtiles", "jpeg.mbtiles", &["mbtiles", "--title", "by rio", "--format", "JPEG"]),
        ("rio_pmtiles", "rio.pmtiles", &["pmtiles", "--silent", "--name", "by rio"]),
        (
            "rio_pmtiles",
            "webp.pmtiles",
            &["pmtiles", "--silent", "--name", "by rio", "--format", "WEBP", "--tile-size", "512"],
        ),
    ] {
        if !has_module(module) {
            continue;
        }
        let path = dir.path().join(name);
        let python = python().expect("has a module");
        let mut rio = Command::new(Path::new(&python).with_file_name("rio"));
        succeed(rio.args(options).args(["--zoom-levels", "9..11"]).arg(&source).arg(&path));
        let expected = if module == "mbtiles" { read_tiles(&path) } else { python_tiles(&path) };
        assert!(!expected.is_empty());
        holds_after_conversion(&path, &expected);
        let copy = dir.path().join("copy.pmtiles");
        let report = convert(&path, &copy, &["--overwrite"]);
        assert_eq!((&report["name"], report["notes"].as_array().map(Vec::len)), (&"by rio".into(), Some(0)));
        Archive::open(&copy).verify();
    }
}

/// The tiles of an archive as the Python package reads them.
fn python_tiles(path: &Path) -> BTreeMap<TileCoord, Vec<u8>> {
    let script = "
import sys
from pmtiles.reader import MmapSource, all_tiles
for (z, x, y), data in all_tiles(MmapSource(open(sys.argv[1], 'rb'))):
    print(z, x, y, data.hex())
";
    let out = run_python(script, &[path]).expect("there is a python");
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex");
    let line = |line: &str| {
        let parts: Vec<_> = line.split(' ').collect();
        let [z, x, y] = [0, 1, 2].map(|i| parts[i].parse::<u32>().expect("number"));
        (TileCoord::new(z as u8, x, y), parts[3].as_bytes().chunks(2).map(byte).collect())
    };
    out.lines().map(line).collect()
}

#[test]
fn the_python_converters_understand_ours_and_we_theirs() {
    let (dir, [_, mbtiles, pmtiles, _]) = made("rgb.tif", &["-z", "9-12", "--attribution", "© them"]);
    let (theirs_pm, theirs_mb) = (dir.path().join("py.pmtiles"), dir.path().join("py.mbtiles"));
    let script = "
import sys
from pmtiles.convert import mbtiles_to_pmtiles, pmtiles_to_mbtiles
mbtiles_to_pmtiles(sys.argv[1], sys.argv[3], None)
pmtiles_to_mbtiles(sys.argv[2], sys.argv[4])
";
    if run_python(script, &[&mbtiles, &pmtiles, &theirs_pm, &theirs_mb]).is_none() {
        return;
    }
    for theirs in [&theirs_pm, &theirs_mb] {
        for (name, ours) in [("c.mbtiles", &mbtiles), ("c.pmtiles", &pmtiles)] {
            let copy = dir.path().join(name);
            let report = convert(theirs, &copy, &["--overwrite"]);
            assert!(read_tiles(&copy) == read_tiles(ours), "{theirs:?} to {name}");
            assert_eq!(report["name"], "a set");
            let told = convert(ours, &dir.path().join("d.tar"), &["--overwrite"]);
            assert_eq!(report["bounds"], told["bounds"], "{theirs:?} to {name}");
        }
    }
}

#[test]
fn gdal2tiles_folders_are_read_in_both_numberings() {
    let dir = scratch();
    let made = |name: &str, options: &[&str]| {
        let path = dir.path().join(name);
        let mut command = Command::new("gdal2tiles.py");
        command
            .args(["-q", "-z", "10-12", "--title", "by gdal2tiles"])
            .args(options)
            .arg(testdata("rgb.tif"))
            .arg(&path);
        let ended = command.output();
        ended.is_ok_and(|output| output.status.success()).then_some(path)
    };
    let (Some(tms), Some(xyz)) = (made("tms", &[]), made("xyz", &["--xyz", "-w", "all"])) else {
        eprintln!("skipped: no gdal2tiles.py");
        return;
    };
    let copy = dir.path().join("copy.mbtiles");
    let report = convert(&tms, &copy, &[]);
    assert_eq!(report["name"], "by gdal2tiles");
    assert!(report["notes"].as_array().is_some_and(Vec::is_empty), "{report}");
    let tiles = read_tiles(&copy);
    let report = convert(&xyz, &copy, &["--overwrite"]);
    assert!(report["notes"].to_string().contains("bounds"), "{report}");
    assert!(read_tiles(&copy) == tiles && !tiles.is_empty());
    let geodetic = made("geodetic", &["--profile", "geodetic"]).expect("made");
    let run = convert_run(&geodetic, &dir.path().join("no.pmtiles"), &[]);
    assert!(run.failure(2).contains("Web Mercator"), "{run:?}");
}

#[test]
fn folders_without_metadata_and_gdals_own_databases_are_read() {
    let (dir, [folder, ..]) = made("rgb.tif", &["-z", "9-11"]);
    let expected = read_tiles(&folder);
    std::fs::remove_file(folder.join("tilejson.json")).expect("removed");
    holds_after_conversion(&folder, &expected);
    // As mb-util leaves it.
    std::fs::write(
        folder.join("metadata.json"),
        r#"{"name": "exported", "bounds": "1,2,3,4", "minzoom": "3"}"#,
    )
    .expect("written");
    let report = convert(&folder, &dir.path().join("copy.mbtiles"), &[]);
    assert_eq!((&report["name"], report["min_zoom"].as_u64()), (&"exported".into(), Some(9)));
    let path = dir.path().join("gdal.mbtiles");
    succeed(
        Command::new("gdal_translate").args(["-q", "-of", "MBTILES"]).arg(testdata("rgb.tif")).arg(&path),
    );
    holds_after_conversion(&path, &read_tiles(&path));
}
