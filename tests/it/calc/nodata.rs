//! Pixels without data: what comes of them, and what is declared.

use super::*;
use crate::common::raster::Place;

const NAN: f64 = f64::NAN;

/// Two bands of three bytes; 0 means no data.
fn holes(dir: &TempDir) -> PathBuf {
    let spec = Spec { nodata: Some(0.0), ..utm((3, 1), 0.0, 0.0) };
    raster::<u8>(dir.path(), "holes.tif", &spec, vec![vec![0, 10, 200], vec![7, 0, 100]])
}

fn declared(path: &Path) -> Option<f64> {
    Dataset::open(path).expect("opens").rasterband(1).expect("a band").no_data_value()
}

#[test]
fn each_band_has_its_own_pixels_without_data() {
    let dir = scratch();
    let (input, out) = (holes(&dir), dir.path().join("out.tif"));
    let report = calc(&[&input], &out, &["-e", "A[1] / 2", "-e", "A[2]", "-e", "A[1] - A[2]"]);
    assert!(same(&band(&out, 1), &[NAN, 5.0, 100.0]));
    assert!(same(&band(&out, 2), &[7.0, NAN, 100.0]));
    assert!(same(&band(&out, 3), &[NAN, NAN, 100.0]));
    assert!(declared(&out).is_some_and(f64::is_nan));
    let missing: Vec<_> =
        report["bands"].as_array().expect("bands").iter().map(|b| b["missing"].clone()).collect();
    assert_eq!(missing, [1, 1, 2]);
}

#[test]
fn the_declared_value_is_the_one_that_is_written_and_no_result_has_it() {
    let dir = scratch();
    let (input, out) = (holes(&dir), dir.path().join("out.tif"));
    // 0 is a true result here.
    calc(&[&input], &out, &["-e", "A[2] > 50"]);
    assert_eq!((band(&out, 1), declared(&out)), (vec![0.0, 255.0, 1.0], Some(255.0)));
    calc(&[&input], &out, &["-e", "A[2] - A[2]", "--overwrite"]);
    assert_eq!((band(&out, 1), declared(&out)), (vec![0.0, -32_768.0, 0.0], Some(-32_768.0)));
    calc(&[&input], &out, &["-e", "A[2] * 1.5", "--nodata", "-9999", "--overwrite"]);
    assert_eq!((band(&out, 1), declared(&out)), (vec![10.5, -9999.0, 150.0], Some(-9999.0)));
    let report = calc(&[&input], &out, &["-e", "A[2]", "--ot", "Byte", "--nodata", "7", "--overwrite"]);
    assert_eq!((band(&out, 1), declared(&out)), (vec![7.0, 7.0, 100.0], Some(7.0)));
    assert!(
        report["warnings"][0]
            .as_str()
            .is_some_and(|w| w.contains("1 result is the same as the value for no data, 7"))
    );
    let report = calc(&[&input], &out, &["-e", "A[2]", "--nodata", "none", "--overwrite"]);
    assert_eq!((band(&out, 1), declared(&out)), (vec![7.0, 0.0, 100.0], None));
    assert!(
        report["warnings"][0].as_str().is_some_and(|w| w.contains("1 pixel without data hold")),
        "{report}"
    );
}

#[test]
fn nothing_is_declared_where_nothing_can_be_missing() {
    let dir = scratch();
    let input = raster::<u8>(dir.path(), "full.tif", &utm((2, 1), 0.0, 0.0), vec![vec![0, 255]]);
    let out = dir.path().join("out.tif");
    calc(&[&input], &out, &["-e", "A"]);
    assert_eq!((band(&out, 1), declared(&out)), (vec![0.0, 255.0], None));
    calc(&[&input], &out, &["-e", "1 / A", "--overwrite"]);
    assert!(
        same(&band(&out, 1), &[NAN, f64::from(1.0f32 / 255.0)]) && declared(&out).is_some_and(f64::is_nan)
    );
}

#[test]
fn declared_values_count_like_others_if_they_are_to() {
    let dir = scratch();
    let (input, out) = (holes(&dir), dir.path().join("out.tif"));
    for option in [&["--nodata-policy", "ignore"][..], &["--hideNoData"], &["--src-nodata", "none"]] {
        calc(&[&input], &out, &[&["-e", "A[1] + A[2]", "--overwrite"], option].concat());
        assert_eq!(band(&out, 1), [7.0, 10.0, 300.0], "{option:?}");
        assert_eq!(declared(&out), None);
    }
    calc(&[&input], &out, &["-e", "A[1] + A[2]", "--overwrite", "--src-nodata", "7"]);
    assert_eq!(band(&out, 1), [65_535.0, 10.0, 300.0]);
}

#[test]
fn masks_and_opacity_say_where_there_is_no_data() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let spec = Spec { mask: Some((Place::Inside, &[255, 0, 255])), ..utm((3, 1), 0.0, 0.0) };
    let masked = raster::<u8>(dir.path(), "masked.tif", &spec, vec![vec![1, 2, 3], vec![4, 5, 6]]);
    calc(&[&masked], &out, &["-e", "A[1] + A[2]"]);
    assert_eq!(band(&out, 1), [5.0, 65_535.0, 9.0]);
    let spec = Spec { options: &["PHOTOMETRIC=RGB", "ALPHA=YES"], ..utm((3, 1), 0.0, 0.0) };
    let bands = vec![vec![1u8, 2, 3], vec![4, 5, 6], vec![7, 8, 9], vec![255, 0, 1]];
    let faded = raster::<u8>(dir.path(), "faded.tif", &spec, bands);
    calc(&[&faded], &out, &["-e", "A[1] + A[2]", "-e", "A[4]", "--overwrite"]);
    assert_eq!(band(&out, 1), [5.0, 65_535.0, 9.0]);
    // Opacity says of others where they have data, not of itself.
    assert_eq!(band(&out, 2), [255.0, 0.0, 1.0]);
    calc(&[&faded], &out, &["-e", "A[1]", "--overwrite", "--nodata-policy", "ignore"]);
    assert_eq!(band(&out, 1), [1.0, 2.0, 3.0]);
}

#[test]
fn what_has_no_result_is_counted_apart_from_what_has_no_data() {
    let dir = scratch();
    let spec = Spec { nodata: Some(-1.0), ..utm((5, 1), 0.0, 0.0) };
    let input = raster::<f32>(dir.path(), "in.tif", &spec, vec![vec![-1.0, 0.0, f32::NAN, 4.0, -8.0]]);
    let out = dir.path().join("out.tif");
    let report = calc(
        &[&input],
        &out,
        &["-e", "1 / A", "-e", "sqrt(A)", "-e", "A > 0 ? log(A) : 0", "-e", "A > 0 ? nodata : 1 / A"],
    );
    let counts = |k: usize| (report["bands"][k]["missing"].clone(), report["bands"][k]["undefined"].clone());
    assert_eq!(counts(0), (3.into(), 1.into()));
    assert_eq!(counts(1), (3.into(), 1.into()));
    // What is not chosen does not count.
    assert_eq!(counts(2), (2.into(), 0.into()));
    let warnings = report["warnings"].as_array().expect("warnings");
    assert!(
        warnings.len() == 3 && warnings[0].as_str().is_some_and(|w| w.contains("division by zero")),
        "{report}"
    );
}

#[test]
fn what_does_not_fit_is_clamped_and_counted_or_fails() {
    let dir = scratch();
    let input = raster::<i16>(dir.path(), "in.tif", &utm((4, 1), 0.0, 0.0), vec![vec![-5, 100, 200, 300]]);
    let out = dir.path().join("out.tif");
    let report = calc(&[&input], &out, &["-e", "A", "--ot", "Byte"]);
    assert_eq!(band(&out, 1), [0.0, 100.0, 200.0, 255.0]);
    assert_eq!(report["bands"][0]["clamped"], 2);
    for (options, word) in [
        (&["-e", "A", "--ot", "Byte"][..], "2 results do not fit into Byte"),
        (&["-e", "sqrt(A)"], "1 pixel has no result"),
        (&["-e", "A", "--ot", "Int16", "--nodata", "200"], "1 result is the same"),
    ] {
        let run =
            attempt(&[&input], &dir.path().join("strict.tif"), &[options, &["--strict", "--quiet"]].concat());
        assert!(run.failure(1).contains(word), "{run:?}");
    }
    assert_eq!(crate::common::names_in(dir.path()), ["in.tif", "out.tif"]);
    calc(&[&input], &dir.path().join("strict.tif"), &["-e", "A + 5", "--strict"]);
}

#[test]
fn scale_and_offset_are_applied_on_demand() {
    let dir = scratch();
    let input = raster::<i16>(dir.path(), "in.tif", &utm((2, 1), 0.0, 0.0), vec![vec![100, 200]]);
    {
        let dataset = Dataset::open_ex(
            &input,
            gdal::DatasetOptions { open_flags: gdal::GdalOpenFlags::GDAL_OF_UPDATE, ..Default::default() },
        );
        let dataset = dataset.expect("opens");
        let mut band = dataset.rasterband(1).expect("a band");
        band.set_scale(0.5).expect("set");
        band.set_offset(-10.0).expect("set");
    }
    let out = dir.path().join("out.tif");
    let report = calc(&[&input], &out, &["-e", "A"]);
    assert_eq!(band(&out, 1), [100.0, 200.0]);
    assert!(report["notes"][0].as_str().is_some_and(|n| n.contains("--unscale")), "{report}");
    calc(&[&input], &out, &["-e", "A", "--unscale", "--overwrite"]);
    assert_eq!(band(&out, 1), [40.0, 90.0]);
}
