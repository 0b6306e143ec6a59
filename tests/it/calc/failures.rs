//! What is refused, with the reason, and that nothing is left behind.

use super::*;
use crate::common::{names_in, testdata};

#[test]
fn mistakes_in_expressions_are_pointed_at() {
    let dir = scratch();
    let (input, out) = (testdata("rgb.tif"), dir.path().join("out.tif"));
    let run = attempt(&[&input], &out, &["-e", "(A[1] - A[2]) / (A[1] + sqr(A[2]))"]);
    assert_eq!(run.code, Some(2), "{run:?}");
    let lines: Vec<&str> = run.err.lines().collect();
    assert_eq!(
        lines,
        [
            "tileloom: expression, column 25: unknown function 'sqr'; did you mean 'sqrt'?",
            "  (A[1] - A[2]) / (A[1] + sqr(A[2]))",
            "                          ^^^^^^^^^",
        ]
    );
    assert!(names_in(dir.path()).is_empty());
}

#[test]
fn wrong_usage_is_refused_before_anything_is_written() {
    let dir = scratch();
    let (input, out) = (testdata("rgb.tif"), dir.path().join("out.tif"));
    for (options, word) in [
        (&["-e", "A", "--co", "COMPRES=LZW"][..], "did you mean COMPRESS?"),
        (&["-e", "A", "-f", "PNG"], "window by window"),
        (&["-e", "A", "-f", "Gtif"], "no format"),
        (&["-e", "A", "--ot", "Byte", "--nodata", "-1"], "cannot hold it"),
        (&["-e", "B"], "unknown name 'B'"),
        (&["-e", "A[4]"], "has 3 bands"),
        (&["-e", "A", "-i", "x=rgb.tif"], "a coordinate"),
        (&["-e", "A", "-i", "rgb.tif"], "NAME=FILE"),
        (&["-e", "A", "--input-band", "C=2"], "no input is named 'C'"),
        (&["-e", "A", "--window-size", "0"], "--window-size 0"),
        (&["-e", "A", "-j", "0"], "--threads 0"),
        (&["-e", "A", "--ot", "Int64"], "unknown type"),
        (&["-e", "A", "-r", "wave"], "unknown resampling"),
        (&["-e", "A", "--nodata", "much"], "give a number"),
        (&["-e", ""], "is empty"),
        (&[], "--expr"),
    ] {
        let run = attempt(&[&input], &out, options);
        assert_eq!(run.code, Some(2), "{options:?}: {run:?}");
        assert!(run.err.contains(word) && !run.err.contains("panicked"), "{options:?}: {run:?}");
        assert!(names_in(dir.path()).is_empty(), "{options:?}");
    }
    assert_eq!(
        attempt(&[], &out, &["-e", "A"]).failure(2),
        "tileloom: give at least one input and an output"
    );
}

#[test]
fn inputs_that_cannot_be_used_are_named() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    for (inputs, options, word) in [
        (&["no-such.tif"][..], &[][..], "o such file"),
        (&["truncated.tif"], &[], "cannot be read"),
        (&["rgb.tif"], &["--input-band", "A=9"], "has no band 9"),
        (&["rgb.tif", "landcover.tif", "antimeridian.tif"], &["-e", "C"], "does not overlap"),
    ] {
        let inputs: Vec<PathBuf> = inputs.iter().map(|f| testdata(f)).collect();
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let run = attempt(&inputs, &out, &[&["-e", "A + 1", "--quiet"], options].concat());
        assert_eq!(run.code, Some(3), "{run:?}");
        assert!(run.err.contains(word) || word == "cannot be read", "{run:?}");
        assert!(names_in(dir.path()).is_empty(), "{run:?}");
    }
    let run = attempt(&[&testdata("complex.tif")], &out, &["-e", "A"]);
    assert!(run.code == Some(2) && run.err.contains("complex"), "{run:?}");
}

#[test]
fn what_is_read_is_not_written_over() {
    let dir = scratch();
    let input = raster::<u8>(dir.path(), "in.tif", &utm((2, 1), 0.0, 0.0), vec![vec![1, 2]]);
    let link = dir.path().join("link.tif");
    std::os::unix::fs::symlink(&input, &link).expect("a link");
    let vrt = dir.path().join("in.vrt");
    crate::common::succeed(std::process::Command::new("gdalbuildvrt").arg("-q").arg(&vrt).arg(&input));
    for (from, to) in [(&input, &input), (&input, &link), (&link, &input), (&vrt, &input)] {
        let run = attempt(&[from], to, &["-e", "A + 1", "--overwrite", "--quiet"]);
        assert!(run.failure(4).contains("give the output another name"), "{run:?}");
    }
    assert_eq!(band(&input, 1), [1.0, 2.0]);
}

#[test]
fn nothing_is_replaced_without_being_asked() {
    let dir = scratch();
    let (input, out) = (testdata("rgb.tif"), dir.path().join("out.tif"));
    calc(&[&input], &out, &["-e", "A"]);
    let before = std::fs::read(&out).expect("a file");
    let run = attempt(&[&input], &out, &["-e", "A + 1", "--quiet"]);
    assert!(run.failure(4).contains("--overwrite"), "{run:?}");
    assert_eq!(std::fs::read(&out).expect("a file"), before);
    calc(&[&input], &out, &["-e", "A + 1", "--overwrite"]);
    assert_ne!(std::fs::read(&out).expect("a file"), before);
    assert_eq!(names_in(dir.path()), ["out.tif"]);
}

#[test]
fn memory_is_kept_to_or_the_least_is_told() {
    let dir = scratch();
    let (input, out) = (testdata("rgb.tif"), dir.path().join("out.tif"));
    let run = attempt(&[&input], &out, &["-e", "A", "--memory", "10M", "--quiet"]);
    assert!(run.failure(1).contains("the least that would do is"), "{run:?}");
    let least: String = run
        .err
        .split("--memory ")
        .last()
        .expect("an amount")
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    calc(&[&input], &out, &["-e", "A", "--memory", &format!("{least}M")]);
}
