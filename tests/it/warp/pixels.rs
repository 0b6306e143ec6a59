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
