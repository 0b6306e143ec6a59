//! Chips say and hold what `gdal_translate -srcwin` makes of the same window.

use super::*;
use crate::containers::pmtiles::python;

/// Cuts a raster and holds every chip against GDAL's.
fn agrees(name: &str, options: &[&str], translate: &[&str]) {
    let dir = scratch();
    let out = dir.path().join("chips");
    let input = path(name);
    split(&[&input], &out, options);
    let chips = index(&out);
    assert!(!chips.is_empty());
    for chip in chips {
        let theirs = dir.path().join("theirs.tif");
        translated(&input, &theirs, window(&chip), translate);
        let (ours, theirs) = (facts(&out.join(&chip["file"])), facts(&theirs));
        assert_eq!(ours, theirs, "{name} {options:?}: {chip:?}");
    }
}

#[test]
fn every_kind_of_raster_keeps_its_samples_and_its_place() {
    for name in [
        "rgb.tif",
        "landcover.tif",
        "dem.tif",
        "rgb16.tif",
        "rgba16.tif",
        "rgba.tif",
        "mask_inside.tif",
        "mask_beside.tif",
        "rotated.tif",
        "south_up.tif",
        "gcps.tif",
        "antimeridian.tif",
        "int8.tif",
        "bits1.tif",
        "int16.tif",
        "all_nodata.tif",
        "unreferenced.tif",
        "striped.tif",
        "overviews.tif",
        "gray_alpha.tif",
        "bands4.tif",
    ] {
        agrees(name, &["--size", "300,211"], &[]);
    }
}

#[test]
fn chips_filled_up_hold_what_gdal_fills_up_with() {
    for name in ["rgb.tif", "dem.tif", "int16.tif", "landcover.tif", "rgba.tif"] {
        agrees(name, &["--size", "400", "--edges", "pad"], &[]);
    }
}

#[test]
fn the_way_chips_are_packed_makes_no_difference() {
    for options in [
        &["--co", "COMPRESS=NONE"][..],
        &["--co", "COMPRESS=LZW"],
        &["--co", "COMPRESS=ZSTD", "--co", "PREDICTOR=2"],
        &["--co", "TILED=YES", "--co", "BLOCKXSIZE=64", "--co", "BLOCKYSIZE=128"],
        &["--co", "INTERLEAVE=BAND"],
        &["--co", "BLOCKYSIZE=17"],
        &["--co", "BIGTIFF=YES"],
        &["--co", "ZLEVEL=9", "--co", "PREDICTOR=1"],
    ] {
        let all = [&["--size", "333", "--edges", "shift"], options].concat();
        agrees("rgb.tif", &all, &[]);
    }
    agrees("dem.tif", &["--size", "200", "--co", "COMPRESS=LERC", "--co", "MAX_Z_ERROR=0"], &[]);
}

#[test]
fn large_chips_are_tiled() {
    let dir = scratch();
    let (input, out) = (dir.path().join("large.tif"), dir.path().join("chips"));
    succeed(
        Command::new("gdal_translate")
            .args(["-q", "-outsize", "1400", "1200"])
            .arg(path("rgb.tif"))
            .arg(&input),
    );
    split(&[&input], &out, &["--size", "1300"]);
    let chips = index(&out);
    assert_eq!(chips.len(), 2);
    for (chip, tiled) in chips.iter().zip([true, false]) {
        let theirs = dir.path().join("theirs.tif");
        translated(&input, &theirs, window(chip), &[]);
        let file = out.join(&chip["file"]);
        assert_eq!(facts(&file), facts(&theirs));
        let info = succeed(Command::new("gdalinfo").arg(&file));
        assert_eq!(info.contains("Block=512x512"), tiled, "{info}");
    }
}

/// Compares chips with windows of the input, as rasterio reads both.
const SCRIPT: &str = r#"
import csv, sys, numpy as np, rasterio
from rasterio.windows import Window, transform
folder, source = sys.argv[1:]
count = 0
with rasterio.open(source) as f:
    for row in csv.DictReader(open(folder + "/index.csv")):
        w = Window(*(int(row[k]) for k in ("x", "y", "width", "height")))
        with rasterio.open(folder + "/" + row["file"]) as c:
            assert (c.width, c.height, c.crs, c.dtypes, c.nodata) == (w.width, w.height, f.crs, f.dtypes, f.nodata), row
            assert c.transform.almost_equals(transform(w, f.transform)), row
            assert np.array_equal(c.read(), f.read(window=w), equal_nan=c.dtypes[0].startswith("float")), row
            b = c.bounds
            listed = [float(row[k]) for k in ("xmin", "ymin", "xmax", "ymax")]
            assert np.allclose(listed, [b.left, b.bottom, b.right, b.top]), row
        count += 1
print(count)
"#;

#[test]
fn rasterio_reads_the_same_from_chips_and_windows() {
    let Some(python) = python() else { return };
    if !Command::new(&python).args(["-c", "import rasterio"]).output().is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: no python with the package rasterio (TILELOOM_PYTHON names one)");
        return;
    }
    let dir = scratch();
    for (name, options) in [
        ("rgb.tif", &["--size", "128", "--overlap", "32", "-f", "tif"][..]),
        ("dem.tif", &["--size", "100", "--co", "COMPRESS=LZW"]),
        ("rgb16.tif", &["--size", "300", "-f", "PNG"]),
    ] {
        let out = dir.path().join(name);
        let report = split(&[&path(name)], &out, options);
        let counted = succeed(Command::new(&python).args(["-c", SCRIPT]).arg(&out).arg(path(name)));
        assert_eq!(counted.trim().parse().ok(), report["chips"].as_u64(), "{name}");
    }
}
