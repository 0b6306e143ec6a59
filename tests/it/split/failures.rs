//! What is refused, and that nothing is lost by it.

use super::*;
use crate::samples;

#[test]
fn nonsense_is_refused_before_anything_is_written() {
    let dir = scratch();
    let out = dir.path().join("chips");
    let rgb = path("rgb.tif");
    for (options, word) in [
        (&["--size", "0"][..], "--size"),
        (&["--size", "10.5"], "whole numbers"),
        (&["--size", "-5"], "--size"),
        (&["--size", "100", "--overlap", "100"], "less than the size"),
        (&["--overlap", "1", "--stride", "9"], "--stride"),
        (&["--grid", "4"], "4x3"),
        (&["--grid", "4x3", "--size", "10"], "--size"),
        (&["--edges", "cut"], "shift"),
        (&["--min-valid", "2"], "0 to 1"),
        (&["--pad-value", "3"], "--edges pad"),
        (&["--edges", "pad", "--pad-value", "-1"], "cannot hold"),
        (&["--name", "{source}"], "several chips"),
        (&["--name", "../{index}"], "between slashes"),
        (&["--index", "xml"], "known are csv"),
        (&["--index", "stac"], "--datetime"),
        (&["--subsets", "train"], "NAME=SHARE"),
        (&["--shards", "0"], "above 0"),
        (&["-b", "9"], "no band 9"),
        (&["--size", "5000", "--edges", "drop"], "holds no chip"),
        (&["--memory", "80M", "--size", "5000", "--edges", "pad"], "--memory"),
    ] {
        let run = attempt(&[&rgb], &out, options);
        assert!(run.code.is_some_and(|code| (1..=3).contains(&code)), "{options:?}: {run:?}");
        assert!(run.err.contains(word), "{options:?}: {}", run.err);
        assert!(names_in(dir.path()).is_empty(), "{options:?}");
    }
}

#[test]
fn inputs_that_make_no_chips_are_refused() {
    let dir = scratch();
    let out = dir.path().join("chips");
    for (inputs, options, word) in [
        (&["complex.tif"][..], &[][..], "complex"),
        (&["rgb.tif", "landcover.tif"], &[], "does not overlap"),
        (&["truncated.tif"], &[], "cannot read"),
        (&["rgb.tif", "unreferenced.tif"], &[], "georeferencing"),
        (&["rgb.tif", "global_180.tif", "rgb.tif"], &[], "two inputs"),
    ] {
        let paths: Vec<PathBuf> = inputs.iter().map(|name| path(name)).collect();
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let run = attempt(&paths, &out, options);
        assert!(run.code == Some(3) || run.code == Some(2), "{inputs:?}: {run:?}");
        assert!(run.err.contains(word), "{inputs:?} {options:?}: {run:?}");
        assert!(names_in(dir.path()).is_empty(), "{inputs:?} {options:?}");
    }
}

#[test]
fn what_stands_there_is_kept_unless_it_is_to_be_replaced() {
    let dir = scratch();
    let out = dir.path().join("chips");
    split(&[&path("rgb.tif")], &out, &["--size", "300"]);
    let before = contents(&out);
    let run = attempt(&[&path("dem.tif")], &out, &[]);
    assert!(run.failure(4).contains("--overwrite"), "{run:?}");
    attempt(&[&path("truncated.tif")], &out, &["--overwrite"]).failure(3);
    let inside = out.join(&index(&out)[0]["file"]);
    assert!(attempt(&[&inside], &out, &["--overwrite"]).failure(4).contains("is read"));
    assert!(contents(&out) == before, "what stood there is gone");
    split(&[&path("rgb.tif")], &out, &["--size", "500", "-f", "PNG", "--overwrite"]);
    assert_eq!(index(&out).len(), 4);
    split(&[&path("rgb.tif")], &out, &["--size", "500", "--shards", "2", "--overwrite"]);
    std::fs::write(out.join("thesis.odt"), "").expect("written");
    let run = attempt(&[&path("rgb.tif")], &out, &["--overwrite"]);
    assert!(run.failure(4).contains("thesis.odt"), "{run:?}");
    assert_eq!(names_in(dir.path()), ["chips"]);
}

#[test]
fn samples_become_chips_or_are_refused_in_one_line() {
    let Some(folder) = samples::folder() else {
        println!("skipped: no folder of samples (TILELOOM_SAMPLES names one)");
        return;
    };
    let mut faults = Vec::new();
    for row in samples::manifest(&folder).iter().filter(|row| row["driver"] != "sidecar") {
        let dir = scratch();
        let out = dir.path().join("chips");
        let (file, input) = (&row["file"], folder.join(&row["file"]));
        // Some would be millions of chips.
        let run = attempt(&[&input], &out, &["--grid", "3x2", "--memory", "400M"]);
        let corrupt = row["expected"].contains("corrupt");
        let lines = run.err.lines().filter(|l| l.starts_with("tileloom: ")).count();
        let sound = match run.code {
            Some(0) => !corrupt && index(&out).iter().all(|chip| out.join(&chip["file"]).exists()),
            Some(1..=4) => lines == 1 && names_in(dir.path()).is_empty(),
            _ => false,
        };
        println!("{file:62} {:?} {}", run.code, run.err.trim());
        if !sound {
            faults.push(format!("{file}: {run:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
