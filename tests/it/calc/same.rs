//! The same bytes, however the work is cut up.

use super::*;
use crate::common::testdata;

/// Runs a calculation in several ways; the bytes of the files must be the same.
fn agree(inputs: &[&Path], options: &[&str]) {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let mut expected: Option<Vec<u8>> = None;
    for window in ["64", "256", "1000", ""] {
        for threads in ["1", "2", "8"] {
            let mut all = vec!["--overwrite", "-j", threads];
            if !window.is_empty() {
                all.extend(["--window-size", window]);
            }
            all.extend(options);
            calc(inputs, &out, &all);
            let bytes = std::fs::read(&out).expect("a file");
            assert!(
                *expected.get_or_insert_with(|| bytes.clone()) == bytes,
                "{options:?} {window} {threads}"
            );
        }
    }
}

#[test]
fn windows_and_threads_make_no_difference() {
    let rgb = testdata("rgb16.tif");
    agree(
        &[&rgb],
        &["-e", "(A[2]-A)/(A[2]+A)", "-e", "A*2", "--co", "COMPRESS=DEFLATE", "--co", "TILED=YES"],
    );
    let dem = testdata("dem.tif");
    agree(
        &[&dem],
        &[
            "-e",
            "where(lat > 48.8, A, log(A)) + lon",
            "--co",
            "TILED=YES",
            "--co",
            "BLOCKXSIZE=64",
            "--co",
            "BLOCKYSIZE=64",
        ],
    );
}

#[test]
fn resampling_makes_no_difference_either() {
    let (rgb, dem) = (testdata("rgb.tif"), testdata("dem.tif"));
    agree(&[&rgb, &dem], &["-e", "A + B", "-r", "cubic"]);
}
