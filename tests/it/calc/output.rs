//! How the output is stored, as other programs see it.

use std::process::Command;

use super::*;
use crate::common::{succeed, testdata};

fn info(path: &Path) -> Value {
    serde_json::from_str(&succeed(Command::new("gdalinfo").args(["-json"]).arg(path))).expect("JSON")
}

#[test]
fn what_gdalinfo_sees_is_what_was_asked_for() {
    let dir = scratch();
    let (input, out) = (testdata("rgb.tif"), dir.path().join("out.tif"));
    let options = [
        "-e",
        "ratio=A[1]/A[2]",
        "-e",
        "bright = ratio > 1",
        "--co",
        "COMPRESS=DEFLATE",
        "--mo",
        "TOOL=calc",
        "--nodata",
        "-1",
    ];
    calc(&[&input], &out, &options);
    let (seen, original) = (info(&out), info(&input));
    for key in ["size", "geoTransform", "coordinateSystem"] {
        assert_eq!(seen[key], original[key], "{key}");
    }
    assert_eq!(seen["metadata"][""]["TOOL"], "calc");
    let structure = &seen["metadata"]["IMAGE_STRUCTURE"];
    assert_eq!((&structure["COMPRESSION"], &structure["PREDICTOR"]), (&"DEFLATE".into(), &"3".into()));
    let bands = seen["bands"].as_array().expect("bands");
    for (band, name) in bands.iter().zip(["ratio", "bright"]) {
        assert_eq!(band["description"], name);
        assert_eq!((&band["type"], &band["block"]), (&"Float32".into(), &serde_json::json!([512, 512])));
        assert_eq!(band["noDataValue"], -1.0);
    }
    assert!(!dir.path().join("out.tif.aux.xml").exists());
}

#[test]
fn the_first_input_gives_its_metadata() {
    let dir = scratch();
    let (input, out) = (dir.path().join("in.tif"), dir.path().join("out.tif"));
    let items =
        ["-mo", "AREA_OR_POINT=Point", "-mo", "SENSOR=eye", "-mo", "TIFFTAG_DATETIME=2024:05:01 10:00:00"];
    succeed(Command::new("gdal_translate").args(["-q"]).args(items).arg(testdata("dem.tif")).arg(&input));
    calc(&[&input], &out, &["-e", "A * 2", "--mo", "SENSOR=ear"]);
    let (seen, original) = (info(&out), info(&input));
    assert_eq!(seen["geoTransform"], original["geoTransform"]);
    let items = &seen["metadata"][""];
    assert_eq!((&items["AREA_OR_POINT"], &items["SENSOR"]), (&"Point".into(), &"ear".into()));
    assert_eq!(items["TIFFTAG_DATETIME"], "2024:05:01 10:00:00");
    calc(&[&input], &out, &["-e", "A * 2", "--nomd", "--overwrite"]);
    assert!(info(&out)["metadata"][""]["SENSOR"].is_null());
}

#[test]
fn a_band_that_is_passed_on_keeps_what_it_says_of_itself() {
    let dir = scratch();
    let (input, out) = (dir.path().join("in.tif"), dir.path().join("out.tif"));
    let scaled = ["-q", "-a_scale", "0.5", "-a_offset", "3"];
    succeed(Command::new("gdal_translate").args(scaled).arg(testdata("dem.tif")).arg(&input));
    {
        let update = gdal::GdalOpenFlags::GDAL_OF_UPDATE;
        let options = gdal::DatasetOptions { open_flags: update, ..Default::default() };
        let dataset = Dataset::open_ex(&input, options).expect("opens");
        let mut band = dataset.rasterband(1).expect("a band");
        gdal::Metadata::set_metadata_item(&mut band, "WAVELENGTH", "450", "").expect("set");
        gdal::Metadata::set_metadata_item(&mut band, "STATISTICS_MAXIMUM", "9", "").expect("set");
        gdal::Metadata::set_description(&mut band, "height").expect("set");
    }
    let said = |options: &[&str]| {
        calc(&[&input], &out, &[options, &["--overwrite"]].concat());
        let band = info(&out)["bands"][0].clone();
        ["description", "scale", "offset", "metadata"].map(|key| band[key].clone())
    };
    let own: Value = serde_json::json!({ "": { "WAVELENGTH": "450" } });
    let kept = ["height".into(), 0.5.into(), 3.0.into(), own];
    // As it is, masked, smoothed, and as a COG.
    assert_eq!(said(&["-e", "A"]), kept);
    assert_eq!(said(&["-e", "where(col > 9, A[1], nodata)", "--nodata", "-5"]), kept);
    assert_eq!(said(&["--op", "focal(mean, 3)"]), kept);
    assert_eq!(said(&["-e", "A", "--cog"]), kept);
    // Values are others then, or another thing.
    let silent = |items: &Value| items.as_object().is_none_or(serde_json::Map::is_empty);
    for options in [&["-e", "A", "--unscale"][..], &["-e", "A * 2"]] {
        let [name, scale, offset, items] = said(options);
        assert!(name.is_null() && scale.is_null() && offset.is_null() && silent(&items), "{items}");
    }
    assert_eq!(said(&["-e", "other=A"])[0], "other");
    assert!(silent(&said(&["-e", "A", "--nomd"])[3]));
}

#[test]
fn a_fourth_band_of_bytes_is_no_opacity_unless_it_was() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let colours = |input: &str, options: &[&str]| {
        calc(&[&testdata(input)], &out, &[options, &["--overwrite"]].concat());
        let info = info(&out);
        let bands = info["bands"].as_array().expect("bands");
        let names: Vec<_> = bands.iter().map(|b| b["colorInterpretation"].as_str().unwrap_or("?")).collect();
        names.join(" ")
    };
    let all = ["-e", "A[1]", "-e", "A[2]", "-e", "A[3]", "-e", "A[4]"];
    let opacity = [&all[..], &["--nodata-policy", "ignore"]].concat();
    assert_eq!(colours("rgba.tif", &opacity), "Red Green Blue Alpha");
    for more in [&[][..], &["--cog"]] {
        let computed = ["-e", "A[1]", "-e", "A[2]", "-e", "A[3]", "-e", "A > 9"];
        assert_eq!(colours("rgb.tif", &[&computed, more].concat()), "Red Green Blue Undefined");
        let other = ["-e", "A > 7", "-e", "A[2]", "-e", "A[3]", "-e", "A > 9"];
        assert_eq!(colours("rgb.tif", &[&other, more].concat()), "Gray Undefined Undefined Undefined");
    }
    let relief = ["--op", "color_relief(viridis, min=200, max=900, alpha=yes)"];
    assert_eq!(colours("dem.tif", &relief), "Red Green Blue Alpha");
}

#[test]
fn a_band_keeps_its_pixels_when_it_is_only_copied() {
    let dir = scratch();
    for (file, gdal_type) in [
        ("rgb.tif", "Byte"),
        ("int16.tif", "Int16"),
        ("striped.tif", "Byte"),
        ("dem.tif", "Float32"),
        ("bits1.tif", "Byte"),
        ("int8.tif", "Int16"),
        ("mask_beside.tif", "UInt16"),
    ] {
        let (input, out) = (testdata(file), dir.path().join(file));
        let report = calc(&[&input], &out, &["-e", "A"]);
        assert_eq!(report["type"], gdal_type, "{file}");
        if file == "rgb.tif" || file == "striped.tif" {
            assert_eq!(band(&input, 1), band(&out, 1), "{file}");
        }
    }
}

#[test]
fn formats_of_one_file_are_written() {
    let dir = scratch();
    let input = testdata("rgb.tif");
    for format in ["GTiff", "HFA", "netCDF", "PCIDSK"] {
        if gdal::DriverManager::get_driver_by_name(format).is_err() {
            continue;
        }
        let out = dir.path().join(format);
        calc(&[&input], &out, &["-e", "A[1] > A[2]", "-f", format, "--ot", "Byte"]);
        let expected: Vec<f64> =
            band(&input, 1).iter().zip(band(&input, 2)).map(|(a, b)| f64::from(u8::from(*a > b))).collect();
        assert_eq!(band(&out, 1), expected, "{format}");
    }
}

#[test]
fn names_of_inputs_and_bands_are_understood() {
    let dir = scratch();
    let spec = utm((2, 1), 0.0, 0.0);
    let input = raster::<u8>(dir.path(), "in.tif", &spec, vec![vec![1, 2], vec![30, 40]]);
    {
        let flags = gdal::GdalOpenFlags::GDAL_OF_UPDATE;
        let dataset =
            Dataset::open_ex(&input, gdal::DatasetOptions { open_flags: flags, ..Default::default() });
        let dataset = dataset.expect("opens");
        let mut band = dataset.rasterband(2).expect("a band");
        gdal::Metadata::set_description(&mut band, "near infrared").expect("set");
    }
    let (path, out) = (input.to_str().expect("UTF-8"), dir.path().join("out.tif"));
    let (out_path, named) = (out.to_str().expect("UTF-8"), format!("scene={path}"));
    for args in [
        vec!["-i", &named, out_path, "-e", "scene + scene[\"near infrared\"]"],
        vec![&named, out_path, "-e", "scene + scene['NEAR INFRARED']"],
        vec!["-i", &named, path, out_path, "-e", "scene + B[2]"],
        vec![path, "-o", out_path, "--calc", "A + A[2]"],
        vec!["-A", path, "-B", path, "--B_band=2", "--outfile", out_path, "--calc", "A+B"],
        vec![
            "-A",
            path,
            "--A_band",
            "2",
            out_path,
            "--calc",
            "numpy.maximum(A, A[1]) + A[1]",
            "--type",
            "Byte",
        ],
    ] {
        let run = run(["calc", "--overwrite", "--quiet"].iter().chain(&args));
        assert_eq!(run.code, Some(0), "{args:?}: {}", run.err);
        assert_eq!(band(&out, 1), [31.0, 42.0], "{args:?}");
    }
}

#[test]
fn overviews_are_those_of_gdaladdo() {
    let dir = scratch();
    let (input, ours, theirs) =
        (testdata("rgb.tif"), dir.path().join("ours.tif"), dir.path().join("theirs.tif"));
    let options = ["-e", "A[1] / A[2]", "--co", "TILED=YES", "--co", "COMPRESS=DEFLATE"];
    calc(&[&input], &theirs, &options);
    calc(&[&input], &ours, &[&options[..], &["--overviews"]].concat());
    succeed(Command::new("gdaladdo").args(["-q", "-r", "average"]).arg(&theirs).args(["2", "4"]));
    let checksums = |path: &Path| {
        let seen = succeed(Command::new("gdalinfo").args(["-json", "-checksum"]).arg(path));
        let seen: Value = serde_json::from_str(&seen).expect("JSON");
        (seen["bands"][0]["checksum"].clone(), seen["bands"][0]["overviews"].clone())
    };
    let found = checksums(&ours);
    assert_eq!(found, checksums(&theirs));
    assert_eq!(found.1.as_array().map(Vec::len), Some(2));
    let other = dir.path().join("other.img");
    let run = attempt(&[&input], &other, &["-e", "A", "-f", "HFA", "--overviews", "--quiet"]);
    assert!(run.failure(2).contains("--overviews"), "{run:?}");
}

#[test]
fn a_dry_run_says_what_would_be_made_and_makes_nothing() {
    let dir = scratch();
    let (input, out) = (testdata("rgb.tif"), dir.path().join("out.tif"));
    let run = attempt(&[&input], &out, &["-e", "A > 5", "--dry-run"]);
    assert_eq!((run.code, &run.json()["type"]), (Some(0), &Value::from("Byte")));
    assert!(crate::common::names_in(dir.path()).is_empty());
}

#[test]
fn blocks_packed_here_are_read_by_gdal_as_those_it_packs_itself() {
    let dir = scratch();
    let (ours, theirs) = (dir.path().join("ours.tif"), dir.path().join("theirs.tif"));
    let rgb = testdata("rgb16.tif");
    let tiles = ["--co", "TILED=YES", "--co", "BLOCKXSIZE=128", "--co", "BLOCKYSIZE=64"];
    for options in [
        &["--ot", "Float32", "--co", "COMPRESS=DEFLATE"][..],
        &["--ot", "Float64", "--co", "COMPRESS=DEFLATE", "--co", "INTERLEAVE=BAND"],
        &["--ot", "Float32", "--co", "COMPRESS=DEFLATE", "--co", "PREDICTOR=2", "--co", "BIGTIFF=YES"],
        &["--ot", "Int32", "--co", "COMPRESS=DEFLATE", "--co", "ZLEVEL=9"],
        &["--ot", "Int16", "--co", "COMPRESS=DEFLATE", "--co", "INTERLEAVE=BAND"],
        &["--ot", "Int16", "--co", "COMPRESS=DEFLATE", "--co", "PREDICTOR=1"],
        &["--ot", "Byte", "--co", "COMPRESS=DEFLATE"],
        &["--ot", "Int8", "--co", "COMPRESS=DEFLATE"],
        &["--ot", "UInt16"],
        &["--ot", "Float32", "--co", "INTERLEAVE=BAND"],
    ] {
        let expressions = ["-e", "(A[1] - A[2]) / 300", "-e", "A[3] / 500", "--overwrite", "--nodata", "77"];
        let all = [&expressions[..], &tiles, options].concat();
        calc(&[&rgb], &ours, &all);
        // An option that is left to GDAL, and changes nothing else.
        calc(&[&rgb], &theirs, &[&all[..], &["--co", "SPARSE_OK=TRUE"]].concat());
        for number in 1..=2 {
            assert!(same(&band(&ours, number), &band(&theirs, number)), "{options:?}");
        }
        let (mut a, mut b) = (info(&ours), info(&theirs));
        for seen in [&mut a, &mut b] {
            seen["description"] = Value::Null;
            seen["files"] = Value::Null;
        }
        assert_eq!(a, b, "{options:?}");
        let sizes = [&ours, &theirs].map(|p| std::fs::metadata(p).expect("a file").len());
        assert!(sizes[0] <= sizes[1] + sizes[1] / 20 + 4096, "{options:?}: {sizes:?}");
    }
}
