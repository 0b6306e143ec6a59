//! Inputs on other grids, and places as values.

use std::process::Command;

use super::*;
use crate::common::{succeed, testdata};

/// Pixels that tell where they are.
fn numbered(size: (usize, usize)) -> Vec<Vec<i16>> {
    vec![(0..size.0 * size.1).map(|k| (k % size.0 + 100 * (k / size.0)) as i16).collect()]
}

#[test]
fn inputs_on_the_same_pixels_are_shifted_to_their_place() {
    let dir = scratch();
    let first = raster(dir.path(), "a.tif", &utm((4, 3), 0.0, 0.0), numbered((4, 3)));
    let second = raster(dir.path(), "b.tif", &utm((4, 3), 2.0, -1.0), numbered((4, 3)));
    let out = dir.path().join("out.tif");
    let report = calc(&[&first, &second], &out, &["-e", "coalesce(B, -1)", "--ot", "Int16"]);
    let outside = [-1.0; 4];
    assert_eq!(band(&out, 1), [[-1.0, -1.0, 100.0, 101.0], [-1.0, -1.0, 200.0, 201.0], outside].concat());
    let notes = report["notes"].as_array().expect("notes");
    assert!(notes.iter().any(|n| n.as_str().is_some_and(|n| n.contains("does not cover"))), "{report}");
    // The other way round, on the grid of the second.
    calc(
        &[&first, &second],
        &out,
        &["-e", "coalesce(A, -1)", "--like", second.to_str().expect("UTF-8"), "--overwrite"],
    );
    assert_eq!(band(&out, 1), [outside, [2.0, 3.0, -1.0, -1.0], [102.0, 103.0, -1.0, -1.0]].concat());
    let far = raster(dir.path(), "far.tif", &utm((4, 3), 900.0, 0.0), numbered((4, 3)));
    let run = attempt(&[&first, &far], &out, &["-e", "A+B", "--overwrite", "--quiet"]);
    assert!(run.failure(3).contains("does not overlap"), "{run:?}");
}

#[test]
fn inputs_on_other_pixels_are_resampled_as_gdalwarp_does() {
    let dir = scratch();
    let (first, second) = (testdata("rgb16.tif"), testdata("dem.tif"));
    let out = dir.path().join("out.tif");
    let info: Value =
        serde_json::from_str(&succeed(Command::new("gdalinfo").arg("-json").arg(&first))).expect("JSON");
    let corner = |name: &str, k: usize| info["cornerCoordinates"][name][k].to_string();
    let extent =
        [corner("lowerLeft", 0), corner("lowerLeft", 1), corner("upperRight", 0), corner("upperRight", 1)];
    let size = [info["size"][0].to_string(), info["size"][1].to_string()];
    for (method, allowed) in [("near", 0.0), ("bilinear", 1e-3), ("cubic", 1e-3)] {
        let warped = dir.path().join("warped.tif");
        let mut command = Command::new("gdalwarp");
        command
            .args(["-q", "-overwrite", "-et", "0", "-r", method, "-dstnodata", "nan", "-te"])
            .args(&extent);
        command.arg("-ts").args(&size).arg(&second).arg(&warped);
        succeed(&mut command);
        let report = calc(&[&first, &second], &out, &["-e", "B", "-r", method, "--overwrite"]);
        assert!(report["notes"].to_string().contains("another grid"), "{report}");
        let (ours, theirs) = (band(&out, 1), band(&warped, 1));
        let pairs = ours.iter().zip(&theirs);
        let differ = pairs.clone().filter(|(a, b)| a.is_nan() != b.is_nan()).count();
        assert!(differ * 1000 <= ours.len(), "{method}: {differ} of {} differ in having data", ours.len());
        let off = pairs.map(|(a, b)| (a - b).abs()).filter(|d| d.is_finite()).fold(0.0, f64::max);
        let count = ours.iter().filter(|v| v.is_finite()).count();
        assert!(off <= allowed && count > 1000, "{method}: off by {off}");
    }
}

#[test]
fn inputs_in_another_crs_are_carried_over() {
    let dir = scratch();
    let (first, out, degrees) =
        (testdata("dem.tif"), dir.path().join("out.tif"), dir.path().join("degrees.tif"));
    let mut command = Command::new("gdalwarp");
    command
        .args(["-q", "-t_srs", "EPSG:4326", "-r", "near", "-dstnodata", "-9999"])
        .arg(&first)
        .arg(&degrees);
    succeed(&mut command);
    // Longitudes there and back again: nearest twice may miss by a pixel, whose height is nearly the same.
    calc(&[&first, &degrees], &out, &["-e", "abs(A - B)", "--overwrite"]);
    let off = band(&out, 1);
    let found: Vec<f64> = off.iter().copied().filter(|v| v.is_finite()).collect();
    let mean = found.iter().sum::<f64>() / found.len() as f64;
    assert!(found.len() * 10 > off.len() * 8 && mean < 5.0, "{mean} m in {} of {}", found.len(), off.len());
}

#[test]
fn places_are_those_that_gdaltransform_computes() {
    let dir = scratch();
    let (input, out) = (testdata("rotated.tif"), dir.path().join("out.tif"));
    calc(&[&input], &out, &["-e", "x", "-e", "y", "-e", "lon", "-e", "lat", "-e", "col", "-e", "row"]);
    let bands: Vec<Vec<f64>> = (1..=6).map(|n| band(&out, n)).collect();
    let width = Dataset::open(&out).expect("opens").raster_size().0;
    let g = Dataset::open(&out).expect("opens").geo_transform().expect("one");
    for k in (0..bands[0].len()).step_by(997) {
        let (column, row) = ((k % width) as f64, (k / width) as f64);
        assert_eq!((bands[4][k], bands[5][k]), (column, row));
        let x = g[0] + (column + 0.5) * g[1] + (row + 0.5) * g[2];
        let y = g[3] + (column + 0.5) * g[4] + (row + 0.5) * g[5];
        assert!((bands[0][k] - x).abs() < 1e-6 && (bands[1][k] - y).abs() < 1e-6);
        if k % (997 * 7) == 0 {
            let mut command = Command::new("sh");
            command.arg("-c").arg(format!(
                "echo '{} {}' | gdaltransform -output_xy -t_srs EPSG:4326 '{}'",
                column + 0.5,
                row + 0.5,
                input.display()
            ));
            let text = succeed(&mut command);
            let found: Vec<f64> = text.split_whitespace().filter_map(|w| w.parse().ok()).collect();
            let off = (bands[2][k] - found[0]).abs().max((bands[3][k] - found[1]).abs());
            assert!(off < 1e-8, "{off} degrees at {column}, {row}");
        }
    }
}

#[test]
fn rasters_without_georeferencing_are_taken_pixel_by_pixel() {
    let dir = scratch();
    let bare = |name: &str, size: (usize, usize)| {
        raster(dir.path(), name, &Spec { size, ..Spec::default() }, numbered(size))
    };
    let (a, b, small) = (bare("a.tif", (4, 3)), bare("b.tif", (4, 3)), bare("small.tif", (3, 3)));
    let placed = raster(dir.path(), "placed.tif", &utm((4, 3), 0.0, 0.0), numbered((4, 3)));
    let out = dir.path().join("out.tif");
    calc(&[&a, &b], &out, &["-e", "A - B + col"]);
    assert_eq!(band(&out, 1)[..4], [0.0, 1.0, 2.0, 3.0]);
    for (inputs, options, word) in [
        ([&a, &small], &[][..], "sizes must be the same"),
        ([&a, &placed], &[], "--ignore-georeferencing"),
        ([&placed, &a], &[], "--ignore-georeferencing"),
        ([&a, &small], &["--ignore-georeferencing"], "sizes must be the same"),
    ] {
        let inputs = inputs.map(PathBuf::as_path);
        let all = [&["-e", "A + B", "--overwrite", "--quiet"], options].concat();
        let run = attempt(&inputs, &out, &all);
        assert!(run.failure(3).contains(word), "{run:?}");
    }
    calc(&[&placed, &b], &out, &["-e", "A - B", "--overwrite", "--ignore-georeferencing"]);
    assert_eq!(band(&out, 1), [0.0; 12]);
    assert_eq!(Dataset::open(&out).expect("opens").geo_transform().expect("one")[0], 500_000.0);
    for (place, word) in [("x", "geotransform"), ("lat", "coordinate reference system")] {
        let run = attempt(&[&a], &out, &["-e", place, "--overwrite", "--quiet"]);
        assert!(run.failure(3).contains(word), "{run:?}");
    }
}
