//! Chips in other formats, as GDAL makes them.

use super::*;

/// Cuts a raster and holds every chip against GDAL's in the same format, to a difference of the samples.
fn agrees(name: &str, format: &str, options: &[&str], translate: &[&str]) {
    let dir = scratch();
    let out = dir.path().join("chips");
    let input = path(name);
    split(&[&input], &out, &[&["-f", format, "--size", "300"], options].concat());
    for chip in index(&out) {
        let ours = out.join(&chip["file"]);
        let theirs = dir.path().join(ours.file_name().expect("a name"));
        translated(&input, &theirs, window(&chip), &[&["-of", format], translate].concat());
        assert_eq!(facts(&ours), facts(&theirs), "{name} {format} {options:?}");
        let beside = |path: &Path| {
            let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let folder = path.parent().expect("a folder");
            let names = names_in(folder).into_iter().filter(|n| n.starts_with(&format!("{stem}.")));
            names.collect::<Vec<_>>()
        };
        assert_eq!(beside(&ours), beside(&theirs), "{name} {format} {options:?}");
    }
}

#[test]
fn png_keeps_samples_place_and_what_gdal_puts_beside_it() {
    for name in [
        "rgb.tif",
        "rgba.tif",
        "rgb16.tif",
        "rgba16.tif",
        "gray_alpha.tif",
        "rotated.tif",
        "landcover.tif",
        "unreferenced.tif",
        "gcps.tif",
    ] {
        agrees(name, "PNG", &[], &[]);
    }
    agrees("rgb.tif", "PNG", &["--co", "WORLDFILE=YES"], &["-co", "WORLDFILE=YES"]);
    agrees("rgb.tif", "PNG", &["--co", "ZLEVEL=1"], &["-co", "ZLEVEL=1"]);
}

#[test]
fn few_colours_do_not_become_a_palette() {
    let dir = scratch();
    let (flat, out) = (dir.path().join("flat.tif"), dir.path().join("chips"));
    let mut command = Command::new("gdal_translate");
    succeed(command.args(["-q", "-scale", "0", "255", "7", "7"]).arg(path("rgb.tif")).arg(&flat));
    split(&[&flat], &out, &["-f", "PNG", "--size", "300"]);
    for chip in index(&out) {
        assert_eq!(facts(&out.join(&chip["file"]))["bands"].as_array().map(Vec::len), Some(3));
    }
}

#[test]
fn formats_of_gdal_are_made_by_gdal() {
    agrees("rgb.tif", "JPEG", &["--co", "QUALITY=90"], &["-co", "QUALITY=90"]);
    agrees("rgb.tif", "WEBP", &["--co", "LOSSLESS=YES"], &["-co", "LOSSLESS=YES"]);
    agrees("dem.tif", "AAIGrid", &[], &[]);
    agrees("rgb.tif", "ENVI", &[], &[]);
    agrees("int16.tif", "HFA", &[], &[]);
}

#[test]
fn what_a_format_does_not_take_is_refused_before_anything_is_written() {
    let dir = scratch();
    let out = dir.path().join("chips");
    for (name, options, word) in [
        ("dem.tif", &["-f", "PNG"][..], "cannot hold Float32"),
        ("rgb.tif", &["-f", "AAIGrid"], "AAIGrid"),
        ("rgb.tif", &["-f", "VRT"], "GTiff"),
        ("rgb.tif", &["-f", "tifff"], "no format"),
        ("rgb.tif", &["--co", "COMPRES=LZW"], "did you mean COMPRESS?"),
        ("rgb.tif", &["--co", "COPY_SRC_OVERVIEWS=YES"], "one pass"),
        ("rgb.tif", &["--co", "TILED=YES", "--co", "BLOCKXSIZE=100", "--co", "COMPRESS=LZW"], "TileWidth"),
    ] {
        let run = attempt(&[&path(name)], &out, options);
        assert!(run.failure(2).contains(word), "{options:?}: {run:?}");
        assert!(names_in(dir.path()).is_empty(), "{options:?}");
    }
}
