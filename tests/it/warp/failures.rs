//! What is refused, and that nothing is lost by it.

use super::*;
use crate::common::names_in;

#[test]
fn nonsense_is_refused_before_anything_is_written() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let rgb = testdata("rgb.tif");
    for (options, word) in [
        (&["-t_srs", "EPSG:999999"][..], "not a known CRS"),
        (&["-tr", "0", "1"], "-tr 0 1"),
        (&["-tap"], "-tr"),
        (&["-te", "3", "2", "1", "4"], "XMIN"),
        (&["-tr", "1e9", "1e9"], "none"),
        (&["-r", "bicubic"], "cubicspline"),
        (&["--co", "COMPRESS=FOO"], "COMPRESS"),
        (&["-of", "PNG"], "window by window"),
        (&["-dstnodata", "-9999"], "Byte cannot hold it"),
        (&["-crop_to_cutline"], "cutline"),
        (&["--window-size", "0"], "window-size"),
        (&["--overlap", "best"], "average"),
        (&["-b", "9"], "no band 9"),
    ] {
        let run = attempt(&[&rgb], &out, options);
        assert!(run.code.is_some_and(|code| code == 2 || code == 3), "{options:?}: {run:?}");
        assert!(run.err.contains(word), "{options:?}: {}", run.err);
        assert!(names_in(dir.path()).is_empty(), "{options:?}");
    }
}

#[test]
fn inputs_that_do_not_go_together_are_refused() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    for (inputs, options, word) in [
        (&["rgb.tif", "dem.tif"][..], &[][..], "1 bands where"),
        (&["landcover.tif", "int16.tif"], &[], "colour table"),
        (&["landcover.tif"], &["-r", "bilinear"], "-r mode"),
        (&["complex.tif"], &[], "cannot be resampled"),
        (&["unreferenced.tif"], &[], "no georeferencing"),
        (&["truncated.tif"], &["-t_srs", "EPSG:3857"], "cannot read"),
        (&["rgb.tif"], &["-te", "0", "0", "10", "10"], "outside of the output"),
    ] {
        let paths: Vec<PathBuf> = inputs.iter().map(|name| testdata(name)).collect();
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let run = attempt(&paths, &out, options);
        assert!(run.failure(3).contains(word), "{inputs:?} {options:?}: {run:?}");
        assert!(names_in(dir.path()).is_empty(), "{inputs:?} {options:?}");
    }
}

#[test]
fn a_crs_that_has_no_place_in_the_format_is_refused_before_anything_is_computed() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let rotated = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229";
    let run = attempt(&[&testdata("rgb.tif")], &out, &["-t_srs", rotated]);
    let text = run.failure(4);
    assert!(text.contains("cannot be created") && text.contains("second file"), "{run:?}");
    assert!(names_in(dir.path()).is_empty(), "something was left");
}

#[test]
fn what_stands_there_is_kept_unless_it_is_to_be_replaced() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    std::fs::copy(testdata("rgb.tif"), &out).expect("copied");
    let before = std::fs::read(&out).expect("a file");
    let run = attempt(&[&testdata("dem.tif")], &out, &[]);
    assert!(run.failure(4).contains("--overwrite"), "{run:?}");
    let run = attempt(&[&out], &out, &["--overwrite", "-t_srs", "EPSG:3857"]);
    assert!(run.failure(4).contains("is read"), "{run:?}");
    let run = attempt(&[&testdata("truncated.tif")], &out, &["--overwrite", "-t_srs", "EPSG:3857"]);
    run.failure(3);
    assert!(std::fs::read(&out).expect("a file") == before, "what stood there is gone");
    assert_eq!(names_in(dir.path()), ["out.tif"]);
}
