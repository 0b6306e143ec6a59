//! Pixels that must not change by accident: a hash of the decoded tiles of every small raster, by every pair of methods
//! people choose. What changes on purpose is written anew with `TILELOOM_BLESS=1 cargo test --test it golden` and explained
//! in the commit that does so.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::common::{pictures, testdata, tile};

/// Options of each run, by the name it has in the list.
const WAYS: [(&str, &[&str]); 6] = [
    ("default", &[]),
    ("bilinear", &["-r", "bilinear"]),
    ("nearest", &["-r", "nearest", "--overview-resampling", "nearest"]),
    ("mode", &["-r", "mode", "--overview-resampling", "mode"]),
    ("lanczos", &["-r", "lanczos", "--overview-resampling", "cubic"]),
    ("coarser", &["-r", "cubic", "--overview-resampling", "bilinear"]),
];

/// Rasters that cannot be tiled without more being said.
const NOT_TILED: [&str; 4] = ["all_nodata.tif", "complex.tif", "truncated.tif", "unreferenced.tif"];

fn list() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/golden.txt")
}

fn rasters() -> Vec<String> {
    let entries = fs::read_dir(testdata("")).expect("testdata");
    let names = entries.map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8"));
    let mut names: Vec<_> = names
        .filter(|n| Path::new(n).extension().is_some_and(|e| e == "tif") && !NOT_TILED.contains(&n.as_str()))
        .collect();
    names.sort();
    names
}

/// One line: raster, way, number of tiles, hash of their pixels; what transparent pixels hide does not count.
fn line(raster: &str, (way, options): (&str, &[&str]), folder: &Path) -> String {
    let output = folder.join(format!("{raster}-{way}.pmtiles"));
    tile(&[&testdata(raster)], &output, options);
    let pictures = pictures(&output);
    let mut hash = Xxh3::new();
    for (tile, picture) in &pictures {
        hash.update(format!("{tile} {}", picture.side).as_bytes());
        for pixel in &picture.pixels {
            hash.update(if pixel[3] == 0 { &[0; 4] } else { pixel });
        }
    }
    format!("{raster} {way} {} {:032x}", pictures.len(), hash.digest128())
}

#[test]
fn decoded_tiles_are_those_of_the_golden_list() {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut made = String::new();
    for raster in rasters() {
        for way in WAYS {
            writeln!(made, "{}", line(&raster, way, dir.path())).expect("a string");
        }
    }
    if std::env::var_os("TILELOOM_BLESS").is_some() {
        fs::write(list(), &made).expect("written");
    }
    let golden = fs::read_to_string(list()).expect("the list");
    let changed: Vec<_> = made.lines().filter(|l| !golden.lines().any(|g| g == *l)).collect();
    assert!(changed.is_empty(), "other pixels than before:\n{}", changed.join("\n"));
    assert_eq!(golden.lines().count(), made.lines().count(), "the list names rasters that are gone");
}
