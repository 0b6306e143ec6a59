//! Operations of `tileloom calc`, beside GDAL's tools and however the work is cut up.

use std::path::{Path, PathBuf};
use std::process::Command;

use gdal::Dataset;
use serde_json::Value;

use crate::common::{run, succeed, testdata};

#[allow(dead_code, unreachable_pub, missing_docs)] // it is a program of its own
#[path = "../../examples/custom_operation.rs"]
mod custom_operation;

fn band(path: &Path, number: usize) -> Vec<f64> {
    let dataset = Dataset::open(path).expect("opens");
    let band = dataset.rasterband(number).expect("a band");
    let size = dataset.raster_size();
    let nodata = band.no_data_value();
    let values = band.read_as::<f64>((0, 0), size, size, None).expect("reads").data().to_vec();
    values.into_iter().map(|v| if Some(v) == nodata { f64::NAN } else { v }).collect()
}

/// What `gdalinfo` says of a raster.
fn info(path: &Path, options: &[&str]) -> Value {
    let mut command = Command::new("gdalinfo");
    command.args(["-json", "--config", "GDAL_PAM_ENABLED", "NO"]).args(options).arg(path);
    serde_json::from_str(&succeed(&mut command)).expect("JSON")
}

/// The path of what a chain of operations makes of a raster.
fn chained(folder: &Path, input: &Path, options: &[&str]) -> PathBuf {
    let out = folder.join("out.tif");
    let paths = ["calc".as_ref(), input.as_os_str(), out.as_os_str(), "--overwrite".as_ref(), "-q".as_ref()];
    let done = run(paths.into_iter().chain(options.iter().map(AsRef::as_ref)));
    assert_eq!(done.code, Some(0), "{options:?}: {}", done.err);
    out
}

#[test]
fn terrain_is_that_of_gdaldem() {
    let dir = tempfile::tempdir().expect("tempdir");
    if Command::new("gdaldem").arg("--version").output().is_err() {
        eprintln!("skipped: no gdaldem");
        return;
    }
    let (dem, reference) = (testdata("dem.tif"), dir.path().join("reference.tif"));
    // gdaldem adds heights up in 32 bits before it takes differences: of ground that is almost flat the direction suffers.
    for (operation, options, most) in [
        ("hillshade", &["hillshade"][..], 1.0),
        ("hillshade(z=3, az=200, alt=30)", &["hillshade", "-z", "3", "-az", "200", "-alt", "30"], 1.0),
        ("hillshade(alg=ZevenbergenThorne)", &["hillshade", "-alg", "ZevenbergenThorne"], 1.0),
        ("hillshade(shading=combined)", &["hillshade", "-combined"], 1.0),
        ("hillshade(shading=multidirectional)", &["hillshade", "-multidirectional"], 1.0),
        ("hillshade(shading=igor)", &["hillshade", "-igor"], 1.0),
        ("slope", &["slope"], 1e-3),
        ("slope(percent)", &["slope", "-p"], 1e-2),
        ("aspect", &["aspect"], 0.5),
        ("tri", &["TRI", "-alg", "Riley"], 1e-2),
        ("tri(Wilson)", &["TRI", "-alg", "Wilson"], 1e-2),
        ("tpi", &["TPI"], 1e-2),
        ("roughness", &["roughness"], 1e-2),
        ("slope(alg=ZevenbergenThorne)", &["slope", "-alg", "ZevenbergenThorne"], 1e-5),
        ("aspect(trigonometric=yes)", &["aspect", "-trigonometric"], 0.5),
        ("slope(scale=2)", &["slope", "-s", "2"], 1e-3),
    ] {
        let out = chained(dir.path(), &dem, &["--op", operation]);
        succeed(
            Command::new("gdaldem").arg(options[0]).arg(&dem).arg(&reference).args(&options[1..]).arg("-q"),
        );
        let (found, wanted) = (band(&out, 1), band(&reference, 1));
        let pairs = || found.iter().zip(&wanted);
        let missing = pairs().filter(|(a, b)| a.is_nan() != b.is_nan()).count();
        // Directions may lie on both sides of north.
        let turned =
            |off: f64| if operation.starts_with("aspect") { off.min((off - 360.0).abs()) } else { off };
        let off = pairs().map(|(a, b)| turned((a - b).abs())).fold(0.0, f64::max);
        // gdaldem finds a result for some pixels that have no data themselves, or a corner without, where the formula has no use for it;
        // and its roughness passes over not-a-number.
        let lost = pairs().filter(|(a, b)| !a.is_nan() && b.is_nan()).count();
        eprintln!("{operation}: {missing} differ in having data, {off} at most");
        assert!(lost == 0 && missing <= 200 && off <= most, "{operation}: {missing} {off}");
        assert!(wanted.iter().any(|v| !v.is_nan()));
    }
}

#[test]
fn windows_and_threads_make_no_difference_to_a_chain() {
    let dir = tempfile::tempdir().expect("tempdir");
    let dem = testdata("dem.tif");
    let operations = [
        &["focal(mean, 7)", "hillshade", "gaussian(1.5)"][..],
        &["focal(median, 5)", "slope", "focal(stddev, 9)", "rescale(0, 20)"],
        &["fill_nodata(9)", "focal(mode, 3)", "sobel", "convolve([[1,2,1],[2,4,2],[1,2,1]], normalize=yes)"],
    ];
    for operations in operations {
        let mut expected: Option<Vec<u8>> = None;
        for window in ["64", "256", "1000"] {
            for threads in ["1", "2", "8"] {
                let mut options =
                    vec!["--window-size", window, "-j", threads, "--edge", "reflect", "--statistics"];
                options.extend(operations.iter().flat_map(|o| ["--op", *o]));
                let bytes = std::fs::read(chained(dir.path(), &dem, &options)).expect("a file");
                assert!(
                    *expected.get_or_insert_with(|| bytes.clone()) == bytes,
                    "{operations:?} {window} {threads}"
                );
            }
        }
    }
}

#[test]
fn an_index_is_its_formula() {
    let dir = tempfile::tempdir().expect("tempdir");
    let rgb = testdata("rgb16.tif");
    let index = band(&chained(dir.path(), &rgb, &["--op", "ndvi(nir=2, red=1)"]), 1);
    let formula = band(&chained(dir.path(), &rgb, &["-e", "(A[2] - A) / (A[2] + A)"]), 1);
    assert!(index.iter().zip(&formula).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())));
}

#[test]
fn mistakes_in_operations_are_pointed_at() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (dem, out) = (testdata("dem.tif"), dir.path().join("out.tif"));
    for (operation, word) in [
        ("hilshade", "operation, column 1: unknown operation 'hilshade'; did you mean 'hillshade'?"),
        ("focal(median, 4)", "operation, column 15"),
        ("ndvi(nir=8, red=1)", "no band 8"),
    ] {
        let done =
            run(["calc".as_ref(), dem.as_os_str(), out.as_os_str(), "--op".as_ref(), operation.as_ref()]);
        assert_eq!(done.code, Some(2), "{operation}: {done:?}");
        assert!(done.err.contains(word), "{operation}: {}", done.err);
        assert!(!out.exists());
    }
    let done = run(["ops", "focl"].map(AsRef::<std::ffi::OsStr>::as_ref));
    assert!(done.code == Some(2) && done.err.contains("did you mean 'focal'?"), "{done:?}");
}

#[test]
fn statistics_are_those_of_gdalinfo() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (dem, rgb) = (testdata("dem.tif"), testdata("rgb.tif"));
    for (input, options) in [
        (&dem, &["--op", "slope", "--co", "COMPRESS=DEFLATE"][..]),
        (&rgb, &["--op", "focal(median, 3)", "--overviews"]),
        (&rgb, &["-e", "(A - A[2]) / (A + A[2])", "-e", "float(A) - 7", "--ot", "Float64"]),
    ] {
        let own = info(&chained(dir.path(), input, &[options, &["--statistics"]].concat()), &[]);
        let computed = info(&chained(dir.path(), input, options), &["-stats"]);
        let bands = |seen: &Value| seen["bands"].as_array().expect("bands").clone();
        for (own, computed) in bands(&own).iter().zip(bands(&computed)) {
            for name in ["MINIMUM", "MAXIMUM", "MEAN", "STDDEV", "VALID_PERCENT"] {
                let value = |band: &Value| -> f64 {
                    let text = band["metadata"][""][format!("STATISTICS_{name}")].as_str();
                    text.unwrap_or_else(|| panic!("{options:?} {name}: {band}")).parse().expect("a number")
                };
                let (found, wanted) = (value(own), value(&computed));
                let off = (found - wanted).abs();
                assert!(off <= 1e-9 * wanted.abs().max(1e-3), "{options:?} {name}: {found} {wanted}");
            }
        }
    }
}

#[test]
fn colours_stay_with_classes_only() {
    let dir = tempfile::tempdir().expect("tempdir");
    let landcover = testdata("landcover.tif");
    let table = |options: &[&str]| {
        info(&chained(dir.path(), &landcover, options), &[])["bands"][0]["colorTable"].clone()
    };
    let own = info(&landcover, &[])["bands"][0]["colorTable"].clone();
    assert!(own["entries"].is_array());
    for operation in ["focal(mode, 5)", "focal(max, 3)", "fill_nodata(5, nearest)"] {
        assert_eq!(table(&["--op", operation])["entries"], own["entries"], "{operation}");
    }
    for operation in ["focal(mean, 5)", "sobel", "clamp(1, 3)", "reclassify(1=2; DEFAULT=3)"] {
        assert!(table(&["--op", operation]).is_null(), "{operation}");
    }
}

#[test]
fn a_function_of_ones_own_runs_in_the_same_pipeline() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (dem, out) = (testdata("dem.tif"), dir.path().join("own.tif"));
    custom_operation::relief(&dem, &out).expect("a raster");
    let found = band(&out, 1);
    let smooth = &band(&chained(dir.path(), &dem, &["--op", "focal(median, 3)", "--ot", "Float64"]), 1);
    let (width, height) = Dataset::open(&dem).expect("opens").raster_size();
    let mut compared = 0;
    for (x, y) in (2..height - 2).flat_map(|y| (2..width - 2).map(move |x| (x, y))) {
        let around = (y - 2..y + 3).flat_map(|y| (x - 2..x + 3).map(move |x| smooth[y * width + x]));
        let wanted = smooth[y * width + x] - around.sum::<f64>() / 25.0;
        let value = found[y * width + x];
        assert_eq!(wanted.is_nan(), value.is_nan(), "{x} {y}");
        assert!(wanted.is_nan() || (wanted - value).abs() < 1e-3, "{x} {y}: {value} {wanted}");
        compared += usize::from(!wanted.is_nan());
    }
    assert!(compared > 1000);
}

#[test]
fn too_little_memory_is_refused_with_what_would_do() {
    let dir = tempfile::tempdir().expect("tempdir");
    let (dem, out) = (testdata("dem.tif"), dir.path().join("out.tif"));
    let attempt = |memory: &str| {
        let paths = ["calc".as_ref(), dem.as_os_str(), out.as_os_str()];
        let options = ["--op", "focal(mean, 99)", "--op", "focal(stddev, 99)", "--memory", memory, "-j", "2"];
        run(paths.into_iter().chain(options.iter().map(AsRef::as_ref)))
    };
    let refused = attempt("90M");
    assert!(refused.code == Some(1) && refused.err.contains("the least that would do is"), "{refused:?}");
    let least =
        refused.err.split("--memory ").last().and_then(|t| t.split_whitespace().next()).expect("a number");
    let done = attempt(least);
    assert_eq!(done.code, Some(0), "{least}: {done:?}");
}
