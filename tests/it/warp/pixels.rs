//! What pixels hold: types, no data, opacity, colour tables.

use super::*;

#[test]
fn values_with_data_never_become_the_value_for_none() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let source = grey(dir.path(), "a.tif", (0.0, 0.0), None, 3, &[0, 7, 255]);
    let report = warp(&[&source], &out, &["-dstnodata", "0"]);
    assert_eq!(band(&out, 1), [1.0, 7.0, 255.0]);
    assert!(report["warnings"].to_string().contains("became the next one"), "{report}");
}

#[test]
fn samples_that_do_not_fit_a_type_are_clamped_and_told() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let report = warp(&[&testdata("rgb16.tif")], &out, &["-ot", "Byte"]);
    assert!(report["warnings"].to_string().contains("do not fit into Byte"), "{report}");
    assert!(band(&out, 1).iter().all(|v| *v <= 255.0));
}

#[test]
fn pixels_beyond_the_inputs_are_told_unless_something_marks_them() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let rgb = testdata("rgb.tif");
    let report = warp(&[&rgb], &out, &["-t_srs", "EPSG:3857"]);
    assert!(report["warnings"].to_string().contains("nothing tells them"), "{report}");
    let missing = report["missing"].as_u64().expect("a number");
    let report = warp(&[&rgb], &out, &["-t_srs", "EPSG:3857", "-dstalpha", "--overwrite"]);
    assert_eq!(report["warnings"].as_array().map(Vec::len), Some(0), "{report}");
    let transparent = band(&out, 4).iter().filter(|v| **v == 0.0).count() as u64;
    assert_eq!(transparent, missing);
}

#[test]
fn colour_tables_are_kept() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    warp(&[&testdata("landcover.tif")], &out, &["-t_srs", "EPSG:3857", "-r", "mode"]);
    let colours = |path: &Path| {
        let dataset = Dataset::open(path).expect("opens");
        let band = dataset.rasterband(1).expect("a band");
        let table = band.color_table().expect("a table");
        (0..8).map(|k| table.entry_as_rgb(k).map(|e| [e.r, e.g, e.b, e.a])).collect::<Vec<_>>()
    };
    assert_eq!(colours(&out), colours(&testdata("landcover.tif")));
}

#[test]
fn bands_are_taken_in_the_order_they_are_named() {
    let dir = scratch();
    let (out, plain) = (dir.path().join("out.tif"), dir.path().join("plain.tif"));
    warp(&[&testdata("bands4.tif")], &plain, &["-t_srs", "EPSG:3857", "-r", "bilinear"]);
    warp(&[&testdata("bands4.tif")], &out, &["-t_srs", "EPSG:3857", "-r", "bilinear", "-b", "4,1"]);
    assert_eq!(bands(&out), 2);
    for (own, theirs) in [(1, 4), (2, 1)] {
        // Four bands of bytes are summed in fixed point, two are not.
        let close = band(&out, own).into_iter().zip(band(&plain, theirs)).all(|(a, b)| (a - b).abs() <= 1.0);
        assert!(close, "band {own} is not band {theirs}");
    }
}

#[test]
fn overviews_and_metadata_are_written_as_asked_for() {
    let dir = scratch();
    let out = dir.path().join("out.tif");
    let options = ["-t_srs", "EPSG:3857", "--overviews", "--mo", "TITLE=fields", "--co", "COMPRESS=DEFLATE"];
    warp(&[&testdata("rgb.tif")], &out, &options);
    let text = succeed(Command::new("gdalinfo").arg(&out));
    assert!(
        text.contains("Overviews: ") && text.contains("TITLE=fields") && text.contains("DEFLATE"),
        "{text}"
    );
}

#[test]
fn what_inputs_say_of_themselves_is_carried_over_where_they_agree() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name);
    let make = |name: &str, options: &[&str]| {
        let mut line = Command::new("gdal_translate");
        succeed(line.args(["-q", "-mo", "SENSOR=eye"]).args(options).arg(testdata("dem.tif")).arg(at(name)));
    };
    let say = |name: &str, items: &[(&str, &str)]| {
        let update = gdal::GdalOpenFlags::GDAL_OF_UPDATE;
        let options = gdal::DatasetOptions { open_flags: update, ..Default::default() };
        let dataset = Dataset::open_ex(at(name), options).expect("opens");
        let mut band = dataset.rasterband(1).expect("a band");
        for (key, value) in items {
            gdal::Metadata::set_metadata_item(&mut band, key, value, "").expect("set");
        }
        gdal::Metadata::set_description(&mut band, "height").expect("set");
    };
    make("a.tif", &["-mo", "AREA_OR_POINT=Point", "-mo", "SCENE=1", "-a_scale", "0.5", "-a_offset", "3"]);
    make("b.tif", &["-mo", "AREA_OR_POINT=Point", "-mo", "SCENE=2", "-a_scale", "0.5"]);
    say("a.tif", &[("WAVELENGTH", "450"), ("LONG_NAME", "of the ground"), ("STATISTICS_MAXIMUM", "9")]);
    say("b.tif", &[("WAVELENGTH", "500"), ("LONG_NAME", "of the ground")]);
    let seen = |name: &str| -> Value {
        let text = succeed(Command::new("gdalinfo").arg("-json").arg(at(name)));
        let info: Value = serde_json::from_str(&text).expect("JSON");
        let band = &info["bands"][0];
        let of_band = serde_json::json!([band["metadata"][""], band["description"]]);
        serde_json::json!([
            info["metadata"][""],
            band["scale"],
            band["offset"],
            info["geoTransform"],
            of_band
        ])
    };
    for inputs in [&["a.tif"][..], &["a.tif", "b.tif"]] {
        let inputs: Vec<PathBuf> = inputs.iter().map(|name| at(name)).collect();
        let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        warp(&inputs, &at("ours.tif"), &["-t_srs", "EPSG:3857", "--overwrite"]);
        gdalwarp(&inputs, &at("theirs.tif"), &["-t_srs", "EPSG:3857", "-cvmd", ""]);
        let (ours, theirs) = (seen("ours.tif"), seen("theirs.tif"));
        assert_eq!(ours[0]["SENSOR"], "eye");
        assert_eq!(ours[4][0]["LONG_NAME"], "of the ground");
        assert_eq!([&ours[0], &ours[3], &ours[4]], [&theirs[0], &theirs[3], &theirs[4]]);
        if inputs.len() == 1 {
            assert_eq!([&ours[1], &ours[2]], [&theirs[1], &theirs[2]]);
        }
    }
    warp(&[&at("a.tif")], &at("ours.tif"), &["-t_srs", "EPSG:3857", "--overwrite", "-nomd"]);
    let plain = seen("ours.tif");
    assert!(plain[0]["SENSOR"].is_null() && plain[1].is_null() && plain[4][0].is_null(), "{plain}");
}
