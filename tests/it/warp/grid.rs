//! Grids of other rasters, and rasters that lie on the grid already.

use super::*;

#[test]
fn the_grid_of_another_raster_is_taken_as_it_is() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    for like in ["dem.tif", "rotated.tif", "rgb16.tif"] {
        let like = testdata(like);
        warp(&[&testdata("rgb.tif")], &out, &["--like", like.to_str().expect("UTF-8"), "--overwrite"]);
        let (mine, theirs) = (facts(&out), facts(&like));
        assert_eq!((mine.0, mine.1), (theirs.0, theirs.1), "{like:?}");
    }
}

#[test]
fn pixels_that_lie_on_the_grid_stay_as_they_are() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    for name in ["rgb.tif", "dem.tif", "rgba.tif", "int16.tif"] {
        for method in ["near", "bilinear", "cubic", "lanczos", "average"] {
            warp(&[&testdata(name)], &out, &["-r", method, "--overwrite"]);
            for number in 1..=bands(&out) {
                let pairs: Vec<_> =
                    band(&out, number).into_iter().zip(band(&testdata(name), number)).collect();
                let alpha = name == "rgba.tif" && number < 4;
                // What is under wholly transparent pixels is not kept, and not-a-number becomes the value for no data.
                let differ = pairs.iter().filter(|(a, b)| a != b && !b.is_nan() && !alpha).count();
                assert_eq!(differ, 0, "{name} {method} band {number}");
            }
        }
    }
}

#[test]
fn a_dry_run_says_what_would_be_made_and_makes_nothing() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let report = warp(&[&testdata("rgb.tif")], &out, &["-t_srs", "EPSG:3857", "--dry-run"]);
    assert_eq!(report["crs"], "EPSG:3857");
    assert!(report["bytes"].as_u64().is_some_and(|b| b > 0) && !out.exists(), "{report}");
    warp(&[&testdata("rgb.tif")], &out, &["-t_srs", "EPSG:3857"]);
    let (size, ..) = facts(&out);
    assert_eq!(report["size"], size);
}
