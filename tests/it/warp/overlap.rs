//! Several inputs, one over the other.

use super::*;

/// Two rasters of three pixels of which two overlap; the second has no data in the middle.
fn two(folder: &Path) -> [PathBuf; 2] {
    let first = grey(folder, "a.tif", (0.0, 0.0), Some(0.0), 3, &[10, 20, 30]);
    let second = grey(folder, "b.tif", (1.0, 0.0), Some(0.0), 3, &[11, 0, 31]);
    [first, second]
}

#[test]
fn what_is_seen_where_inputs_overlap_is_up_to_the_user() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let [a, b] = two(dir.path());
    for (overlap, expected) in [
        ("last", [10.0, 11.0, 30.0, 31.0]),
        ("first", [10.0, 20.0, 30.0, 31.0]),
        ("min", [10.0, 11.0, 30.0, 31.0]),
        ("max", [10.0, 20.0, 30.0, 31.0]),
        // 15.5 is rounded up.
        ("average", [10.0, 16.0, 30.0, 31.0]),
    ] {
        for method in ["near", "bilinear", "cubic"] {
            warp(&[&a, &b], &out, &["--overlap", overlap, "-r", method, "--overwrite"]);
            assert_eq!(band(&out, 1), expected, "{overlap} {method}");
        }
    }
    gdalwarp(&[&a, &b], &out, &[]);
    assert_eq!(band(&out, 1), [10.0, 11.0, 30.0, 31.0]);
}

#[test]
fn inputs_of_several_types_come_together_in_one_that_holds_all() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let [a, _] = two(dir.path());
    let report = warp(&[&a, &testdata("int16.tif")], &out, &[]);
    assert_eq!(report["type"], "Int16");
    assert!(report["guesses"].to_string().contains("--ot Int16"), "{report}");
}

#[test]
fn inputs_outside_of_the_output_are_told() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let [a, _] = two(dir.path());
    let far = grey(dir.path(), "far.tif", (5000.0, 0.0), Some(0.0), 3, &[1, 2, 3]);
    let report = warp(&[&a, &far], &out, &["-te", "500000", "5399990", "500030", "5400000"]);
    assert_eq!((report["inputs"].as_u64(), band(&out, 1)), (Some(1), vec![10.0, 20.0, 30.0]));
    assert!(report["notes"].to_string().contains("outside"), "{report}");
}
