//! Several inputs of the same place: labels, other grids, `--like`.

use super::*;

/// The classes of `rgb.tif`'s ground, from `landcover.tif`: on its grid by GDAL.
fn gdalwarp(input: &Path, like: &Path, output: &Path, options: &[&str]) {
    let info: Value =
        serde_json::from_str(&succeed(Command::new("gdalinfo").arg("-json").arg(like))).expect("JSON");
    let g: Vec<f64> =
        info["geoTransform"].as_array().expect("a place").iter().filter_map(Value::as_f64).collect();
    let size: Vec<f64> = info["size"].as_array().expect("a size").iter().filter_map(Value::as_f64).collect();
    let te = [g[0], g[3] + g[5] * size[1], g[0] + g[1] * size[0], g[3]].map(|v| v.to_string());
    let ts = [size[0], size[1]].map(|v| v.to_string());
    let wkt = info["coordinateSystem"]["wkt"].as_str().expect("a CRS");
    let mut command = Command::new("gdalwarp");
    command.args(["-q", "-et", "0", "-t_srs", wkt, "-te"]).args(te).arg("-ts").args(ts).args(options);
    succeed(command.arg(input).arg(output));
}

#[test]
fn chips_of_one_place_share_their_name_and_labels_keep_their_classes() {
    let dir = scratch();
    let (labels, warped, out) =
        (dir.path().join("classes.tif"), dir.path().join("warped.tif"), dir.path().join("chips"));
    // Classes on a grid of degrees, about where the picture is.
    let mut command = Command::new("gdalwarp");
    command.args(["-q", "-t_srs", "EPSG:4326", "-r", "mode", "-tr", "0.0003", "0.0002"]);
    let classes = dir.path().join("classes-utm.tif");
    succeed(
        Command::new("gdal_translate")
            .args(["-q", "-b", "1", "-scale", "0", "255", "0", "9"])
            .arg(path("rgb.tif"))
            .arg(&classes),
    );
    succeed(command.arg(&classes).arg(&labels));
    gdalwarp(&labels, &path("rgb.tif"), &warped, &["-r", "near"]);
    let label = labels.to_string_lossy().into_owned();
    let report =
        split(&[&path("rgb.tif")], &out, &["--label", &label, "--size", "256", "-r", "cubic", "-f", "JPEG"]);
    assert_eq!(report["inputs"][1]["format"], "PNG");
    for chip in index(&out) {
        let name = |column: &str| Path::new(&chip[column]).file_stem().expect("a name").to_owned();
        assert_eq!(name("image"), name("label"));
        let (ours, theirs) = (out.join(&chip["label"]), dir.path().join("theirs.png"));
        translated(&warped, &theirs, window(&chip), &["-of", "PNG"]);
        assert_eq!(facts(&ours)["bands"][0]["checksum"], facts(&theirs)["bands"][0]["checksum"], "{chip:?}");
        assert_eq!(facts(&ours)["geoTransform"], facts(&theirs)["geoTransform"]);
    }
    assert_eq!(names_in(&out), ["chips.json", "image", "index.csv", "index.geojson", "label"]);
}

#[test]
fn inputs_lie_on_the_grid_of_another_raster() {
    let dir = scratch();
    let (like, warped, out) =
        (dir.path().join("like.tif"), dir.path().join("warped.tif"), dir.path().join("chips"));
    succeed(
        Command::new("gdalwarp")
            .args(["-q", "-t_srs", "EPSG:3857", "-tr", "20", "20"])
            .arg(path("rgb.tif"))
            .arg(&like),
    );
    gdalwarp(&path("rgb.tif"), &like, &warped, &["-r", "near"]);
    let like_text = like.to_string_lossy().into_owned();
    split(&[&path("rgb.tif")], &out, &["--like", &like_text, "--size", "100", "-r", "nearest"]);
    // GDAL rounds places on the edge of two pixels in its own way; `warp` does as chips do.
    let ours = dir.path().join("ours.tif");
    let words = ["warp", "--quiet", "-r", "nearest", "--like", &like_text];
    assert_eq!(
        run(words.iter().map(OsStr::new).chain([path("rgb.tif").as_os_str(), ours.as_os_str()])).code,
        Some(0)
    );
    let (mut all, mut off) = (0, 0);
    for chip in index(&out) {
        let part = dir.path().join("part.tif");
        translated(&ours, &part, window(&chip), &[]);
        let (found, expected) = (facts(&out.join(&chip["file"])), facts(&part));
        for key in ["coordinateSystem", "geoTransform", "size"] {
            assert_eq!(found[key], expected[key], "{chip:?}");
        }
        assert_eq!(samples(&out.join(&chip["file"])), samples(&part), "{chip:?}");
        translated(&warped, &part, window(&chip), &[]);
        let (a, b) = (samples(&part), samples(&out.join(&chip["file"])));
        all += a.len();
        off += a.iter().zip(&b).filter(|(a, b)| a != b).count();
    }
    assert!(off * 1000 < all, "{off} of {all} samples are not those of gdalwarp");
}

/// All samples of a raster.
fn samples(path: &Path) -> Vec<f64> {
    let dataset = gdal::Dataset::open(path).expect("opens");
    let size = dataset.raster_size();
    let band = |n: usize| dataset.rasterband(n).expect("a band").read_as::<f64>((0, 0), size, size, None);
    (1..=dataset.raster_count()).flat_map(|n| band(n).expect("reads").data().to_vec()).collect()
}

#[test]
fn inputs_may_cover_part_of_the_grid_and_have_names() {
    let dir = scratch();
    let (part, out) = (dir.path().join("part.tif"), dir.path().join("chips"));
    translated(&path("rgb.tif"), &part, [200, 100, 300, 300], &["-b", "1", "-a_nodata", "0"]);
    let named = format!("red={}", part.display());
    split(&[&path("rgb.tif"), Path::new(&named)], &out, &["--size", "350"]);
    let chips = index(&out);
    let whole = dir.path().join("whole.tif");
    gdalwarp(&part, &path("rgb.tif"), &whole, &[]);
    for chip in &chips {
        let theirs = dir.path().join("theirs.tif");
        translated(&whole, &theirs, window(chip), &[]);
        let (ours, theirs) = (facts(&out.join(&chip["red"])), facts(&theirs));
        assert_eq!(ours["bands"][0]["checksum"], theirs["bands"][0]["checksum"], "{chip:?}");
        assert_eq!(ours["bands"][0]["noDataValue"], 0.0);
    }
}
