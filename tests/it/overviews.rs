//! Lower levels against `gdal_translate`, which halves the level above as a whole: a tile that did not look over its edge
//! would differ there.

use std::path::Path;
use std::process::Command;

use gdal::Dataset;

use crate::common::{succeed, testdata, tile};

/// Pixels at the border of the extent that see beyond it.
const BORDER: usize = 16;

/// Samples of the three colour bands, and of the mask, of a whole raster.
fn pixels(path: &Path, mask_band: Option<usize>) -> (usize, Vec<Vec<u8>>) {
    let dataset = Dataset::open(path).expect("opens");
    let (width, height) = dataset.raster_size();
    let read = |band: usize| {
        let band = dataset.rasterband(band).expect("a band");
        band.read_as::<u8>((0, 0), (width, height), (width, height), None).expect("reads").data().to_vec()
    };
    (width, [Some(1), Some(2), Some(3), mask_band].into_iter().flatten().map(read).collect())
}

/// Whether everything around a pixel is opaque, so that no edge of the data is near.
fn inside(mask: &[u8], width: usize, k: usize) -> bool {
    let (x, y) = (k % width, k / width);
    let far = |v: usize, limit: usize| v >= BORDER && v + BORDER < limit;
    far(x, width)
        && far(y, mask.len() / width)
        && (y - BORDER..=y + BORDER)
            .step_by(4)
            .all(|y| (x - BORDER..=x + BORDER).step_by(4).all(|x| mask[y * width + x] == 255))
}

#[test]
fn lower_levels_of_every_kernel_are_those_of_gdal_translate() {
    let dir = tempfile::tempdir().expect("tempdir");
    for method in ["average", "bilinear", "cubic", "cubicspline", "lanczos"] {
        let set = dir.path().join(format!("{method}.mbtiles"));
        tile(&[&testdata("rgb.tif")], &set, &["-z", "13-14", "--overview-resampling", method]);
        let level = |z: u8, extra: &[&str]| {
            let out = dir.path().join(format!("{method}-{z}-{}.tif", extra.len()));
            let mut command = Command::new("gdal_translate");
            succeed(
                command
                    .args(["-q", "-oo", "USE_BOUNDS=NO", "-oo", &format!("ZOOM_LEVEL={z}")])
                    .args(extra)
                    .arg(&set)
                    .arg(&out),
            );
            out
        };
        // Both levels on the extent of the lower one's tiles.
        let info = Dataset::open(level(13, &[])).expect("opens");
        let g = info.geo_transform().expect("georeferenced");
        let (w, h) = info.raster_size();
        let edges = [g[0], g[3], g[0] + g[1] * w as f64, g[3] + g[5] * h as f64].map(|v| format!("{v:.9}"));
        let [ulx, uly, lrx, lry] = edges.each_ref().map(String::as_str);
        let above = level(14, &["-projwin", ulx, uly, lrx, lry]);
        let halved = dir.path().join(format!("{method}-halved.tif"));
        let size = [w.to_string(), h.to_string()];
        let mut command = Command::new("gdal_translate");
        succeed(
            command
                .args(["-q", "-b", "1", "-b", "2", "-b", "3", "-r", method, "-outsize", &size[0], &size[1]])
                .arg(&above)
                .arg(&halved),
        );
        let (width, ours) = pixels(&level(13, &["-b", "1", "-b", "2", "-b", "3", "-b", "4"]), Some(4));
        let (_, theirs) = pixels(&halved, None);
        let (mut count, mut differ, mut most) = (0usize, 0usize, 0u8);
        for k in (0..ours[3].len()).filter(|k| inside(&ours[3], width, *k)) {
            for band in 0..3 {
                let off = ours[band][k].abs_diff(theirs[band][k]);
                count += 1;
                differ += usize::from(off > 0);
                most = most.max(off);
            }
        }
        println!("{method:12} {count} samples, {differ} differ, at most by {most}");
        assert!(count > 20_000, "{method}: only {count} samples compared");
        assert!(most <= 1 && differ * 1000 <= count, "{method}: {differ} of {count} differ, by up to {most}");
    }
}
