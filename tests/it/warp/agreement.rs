//! The pixels of `gdalwarp -et 0`.

use super::*;

/// How far two outputs may differ.
struct Tolerance {
    /// Difference of a sample that is none.
    step: f64,
    /// Share of the samples that may differ by more.
    share: f64,
}

const BYTES: Tolerance = Tolerance { step: 1.0, share: 0.001 };

/// Warps with both programs and compares size, place, value for no data, colours and pixels.
fn agree(inputs: &[&str], options: &[&str], tolerance: &Tolerance) {
    let dir = scratch();
    let paths: Vec<PathBuf> = inputs.iter().map(|name| testdata(name)).collect();
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let (ours, theirs) = (dir.path().join("ours.tif"), dir.path().join("theirs.tif"));
    warp(&paths, &ours, options);
    gdalwarp(&paths, &theirs, options);
    let (mine, other) = (facts(&ours), facts(&theirs));
    assert_eq!((&mine.0, &mine.3), (&other.0, &other.3), "{inputs:?} {options:?}");
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(1e-6);
    assert!(
        mine.1.iter().zip(&other.1).all(|(a, b)| close(*a, *b)),
        "{inputs:?} {options:?}: {mine:?} {other:?}"
    );
    assert_eq!(format!("{:?}", mine.2), format!("{:?}", other.2), "{inputs:?} {options:?}");
    let (mut off, mut all) = (0, 0);
    for number in 1..=bands(&ours) {
        let pairs: Vec<_> = band(&ours, number).into_iter().zip(band(&theirs, number)).collect();
        off +=
            pairs.iter().filter(|(a, b)| a.is_nan() != b.is_nan() || (a - b).abs() > tolerance.step).count();
        all += pairs.len();
    }
    let share = off as f64 / all as f64;
    assert!(share <= tolerance.share, "{inputs:?} {options:?}: {off} of {all} samples differ");
}

#[test]
fn opaque_colour_is_the_same_by_every_kernel() {
    for method in ["near", "bilinear", "cubic", "cubicspline", "lanczos"] {
        agree(&["rgb.tif"], &["-t_srs", "EPSG:3857", "-r", method], &BYTES);
        agree(&["striped.tif"], &["-t_srs", "EPSG:3035", "-r", method], &BYTES);
    }
    // The footprint of a pixel is cut off a little differently: one row of source pixels more or less at its edge.
    agree(&["rgb.tif"], &["-t_srs", "EPSG:3857", "-r", "average"], &Tolerance { step: 2.0, share: 0.005 });
}

#[test]
fn statistics_of_what_is_under_a_pixel_are_the_same() {
    // Which pixels the edges of a footprint touch is told a little differently where it is turned against the pixels.
    for (method, share) in
        [("min", 0.02), ("max", 0.02), ("med", 0.02), ("q1", 0.02), ("q3", 0.02), ("rms", 0.02)]
    {
        agree(&["rgb.tif"], &["-tr", "20", "20", "-r", method], &Tolerance { step: 1.0, share });
        agree(&["rgb16.tif"], &["-tr", "35", "35", "-r", method], &Tolerance { step: 1.0, share });
    }
    agree(
        &["int16.tif"],
        &["-tr", "20", "20", "-r", "sum", "-ot", "Float64"],
        &Tolerance { step: 1.0, share: 0.02 },
    );
}

#[test]
fn all_kinds_of_rasters_keep_what_they_say() {
    for name in [
        "landcover.tif",
        "rgb16.tif",
        "rgba.tif",
        "rotated.tif",
        "south_up.tif",
        "gcps.tif",
        "antimeridian.tif",
        "bits1.tif",
        "int16.tif",
        "all_nodata.tif",
        "overviews.tif",
        "gray_alpha.tif",
        "bands4.tif",
        "mask_inside.tif",
    ] {
        agree(&[name], &["-t_srs", "EPSG:3857"], &BYTES);
    }
}

#[test]
fn grids_are_the_ones_that_gdalwarp_makes() {
    for options in [
        &["-tr", "20", "20", "-r", "bilinear"][..],
        &["-tr", "20", "20", "-tap", "-r", "cubic"],
        &["-tr", "7", "11", "-r", "bilinear"],
        &["-ts", "100", "0", "-t_srs", "EPSG:3857"],
        &["-ts", "100", "60", "-r", "bilinear"],
        &["-te", "15.10", "48.80", "15.12", "48.82", "-t_srs", "EPSG:4326"],
        &["-te", "15.10", "48.80", "15.12", "48.82", "-t_srs", "EPSG:4326", "-tr", "0.0001", "0.0001"],
        &["-dstalpha", "-t_srs", "EPSG:3857", "-r", "bilinear"],
        &["-dstnodata", "0", "-t_srs", "EPSG:3857"],
    ] {
        agree(&["rgb.tif"], options, &BYTES);
    }
    agree(&["rgb.tif", "striped.tif"], &["-t_srs", "EPSG:3857", "-r", "bilinear"], &BYTES);
    agree(
        &["global_180.tif"],
        &["-t_srs", "+proj=moll", "-r", "bilinear"],
        &Tolerance { step: 1.0, share: 0.01 },
    );
}

#[test]
fn overviews_stand_in_for_pixels_as_in_gdalwarp() {
    agree(&["overviews.tif"], &["-tr", "40", "40", "-r", "bilinear"], &BYTES);
    agree(&["overviews.tif"], &["-tr", "40", "40", "-r", "average"], &BYTES);
    agree(&["overviews.tif"], &["-tr", "40", "40", "-r", "bilinear", "-ovr", "NONE"], &BYTES);
}

#[test]
fn heights_are_the_same_to_a_fraction_of_a_pixel() {
    // Heights of noise: neighbours differ by metres, and positions by up to 1/256 of a pixel.
    let heights = Tolerance { step: 0.2, share: 0.02 };
    for method in ["near", "bilinear", "cubic"] {
        agree(&["dem.tif"], &["-t_srs", "EPSG:4326", "-r", method], &heights);
    }
}

#[test]
fn cutlines_cut_what_gdalwarp_cuts() {
    let dir = scratch();
    let cutline = dir.path().join("field.geojson");
    let text = r#"{"type": "Polygon", "coordinates": [[[15.105, 48.805], [15.13, 48.802], [15.125, 48.815], [15.11, 48.818], [15.105, 48.805]]]}"#;
    std::fs::write(&cutline, text).expect("written");
    let cutline = cutline.to_str().expect("UTF-8");
    let edges = Tolerance { step: 1.0, share: 0.01 };
    agree(&["rgb.tif"], &["-cutline", cutline, "-dstalpha"], &edges);
    agree(
        &["rgb.tif"],
        &["-t_srs", "EPSG:3857", "-cutline", cutline, "-dstnodata", "0", "-r", "bilinear"],
        &edges,
    );
}

#[test]
fn a_crop_is_no_larger_than_the_cutline() {
    let dir = scratch();
    let (cutline, out) = (dir.path().join("field.geojson"), dir.path().join("out.tif"));
    let text = r#"{"type": "Polygon", "coordinates": [[[15.105, 48.805], [15.13, 48.802], [15.125, 48.815], [15.105, 48.805]]]}"#;
    std::fs::write(&cutline, text).expect("written");
    let cutline = cutline.to_str().expect("UTF-8");
    let options = ["-cutline", cutline, "-crop_to_cutline", "-dstalpha", "-t_srs", "EPSG:4326"];
    warp(&[&testdata("rgb.tif")], &out, &options);
    let (size, place, ..) = facts(&out);
    let (w, h) = (size[0].as_f64().expect("columns"), size[1].as_f64().expect("rows"));
    let found = [place[0], place[3] + h * place[5], place[0] + w * place[1], place[3]];
    let wanted = [15.105, 48.802, 15.13, 48.815];
    assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
}
