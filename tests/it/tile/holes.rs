//! Rasters that are larger than their data.

use super::*;

/// A VRT of `side` × `side` pixels that shows `testdata/rgb.tif` in its place, and nothing around it but what `band` says.
fn around(folder: &Path, name: &str, side: usize, (left, top): (usize, usize), band: &str) -> PathBuf {
    let source = gdal::Dataset::open(testdata("rgb.tif")).expect("opens");
    let g = source.geo_transform().expect("has a place");
    let (width, height) = source.raster_size();
    let (west, north) = (g[0] - left as f64 * g[1], g[3] - top as f64 * g[5]);
    let rect = |name: &str, x: usize, y: usize| {
        format!(r#"<{name} xOff="{x}" yOff="{y}" xSize="{width}" ySize="{height}"/>"#)
    };
    let bands: Vec<String> = ["Red", "Green", "Blue"]
        .iter()
        .enumerate()
        .map(|(k, colour)| {
            format!(
                r#"<VRTRasterBand dataType="Byte" band="{}"><ColorInterp>{colour}</ColorInterp>{band}<SimpleSource>
                <SourceFilename relativeToVRT="0">{}</SourceFilename><SourceBand>{}</SourceBand>{}{}</SimpleSource></VRTRasterBand>"#,
                k + 1,
                testdata("rgb.tif").display(),
                k + 1,
                rect("SrcRect", 0, 0),
                rect("DstRect", left, top)
            )
        })
        .collect();
    let text = format!(
        r#"<VRTDataset rasterXSize="{side}" rasterYSize="{side}"><SRS>EPSG:32633</SRS>
        <GeoTransform>{west},{},0,{north},0,{}</GeoTransform>{}</VRTDataset>"#,
        g[1],
        g[5],
        bands.concat()
    );
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

const NODATA: &str = "<NoDataValue>0</NoDataValue>";

#[test]
fn holes_change_no_tile_and_are_not_planned() {
    let dir = scratch();
    // The small one is not looked at for holes.
    let small = around(dir.path(), "small.vrt", 1000, (200, 100), NODATA);
    let large = around(dir.path(), "large.vrt", 90_000, (33_333, 41_000), NODATA);
    for method in ["nearest", "cubic", "lanczos", "average"] {
        let sets = [&small, &large].map(|input| {
            let output =
                dir.path().join(format!("{}.set", input.file_stem().expect("a name").to_string_lossy()));
            let report = tile(&[input], &output, &["-r", method, "-z", "11-15", "--overwrite"]);
            assert!(report["empty"].as_u64().expect("a number") < 200, "{report}");
            read_tiles(&output)
        });
        assert!(sets[0] == sets[1], "{method}: holes change tiles");
    }
}

#[test]
fn an_empty_file_is_an_error_at_once() {
    let dir = scratch();
    let path = around(dir.path(), "empty.vrt", 90_000, (0, 0), NODATA);
    let text = std::fs::read_to_string(&path).expect("written");
    let mut bare = String::new();
    for part in text.split("<SimpleSource>") {
        bare += part.split("</SimpleSource>").last().unwrap_or_default();
    }
    std::fs::write(&path, bare).expect("written");
    let output = dir.path().join("set");
    let failed = run(["tile".as_ref(), path.as_os_str(), output.as_os_str()]);
    assert!(failed.failure(3).contains("holds no data"), "{failed:?}");
}

#[test]
fn holes_that_are_read_as_zeros_are_shown_and_said() {
    let dir = scratch();
    let path = around(dir.path(), "black.vrt", 5000, (2000, 2000), "");
    let output = dir.path().join("set");
    let report = tile(&[&path], &output, &["-z", "7"]);
    assert!(report["guesses"].to_string().contains("--src-nodata 0"), "{report}");
    let pictures = crate::common::pictures(&output);
    let black = pictures.values().flat_map(|p| &p.pixels).filter(|p| **p == [0, 0, 0, 255]).count();
    assert!(black > 10, "{black}");
    let report = tile(&[&path], &output, &["-z", "7", "--src-nodata", "0", "--overwrite"]);
    assert!(!report["guesses"].to_string().contains("--src-nodata 0"), "{report}");
}
