//! Rasters of other projects, where there is a folder of them.

use super::*;
use crate::samples::{folder, manifest};

/// Samples over which the scale changes much from place to place: GDAL takes one for all, so that kernels that widen
/// have other widths.
const VARIED: [&str; 8] = [
    "gdal__small_world_pct.tif",
    "gdal__tiff_with_subifds.tif",
    "mapserver__input_contour_rotated_pole.tif",
    "mapserver__polar_stereo.tif",
    "openlayers__non-square-pixels.tif",
    "rasterio__goes.tif",
    "rasterio__green.tif",
    "riotiler__cog_world.tif",
];

/// Tiles along each side of the part that is compared.
const SIDE: f64 = 3.0;

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
}

/// The case of a sample, in the middle of its extent; `None` when it is refused.
fn case(path: &Path) -> Option<Case> {
    let run = common::run(["info".as_ref(), "--json".as_ref(), path.as_os_str()]);
    if run.code != Some(0) {
        return None;
    }
    let info = run.json();
    let tile = &info["tile"];
    let zoom = u8::try_from(tile["max_zoom"].as_u64()?).expect("a level");
    let guesses: Vec<&str> = tile["guesses"].as_array()?.iter().filter_map(|g| g.as_str()).collect();
    let scale = guesses.iter().find_map(|g| g.split_once("(--scale ")).map(|(_, s)| s.trim_end_matches(')'));
    let names = tile["resampling"] == "nearest";
    let look = match scale.and_then(|s| s.split_once(',')) {
        Some((low, high)) => {
            let (low, high) = (low.parse().expect("a number"), high.parse().expect("a number"));
            if info["bands"][0]["sample_type"] == "int8" {
                Look::Signed(low, high)
            } else {
                Look::Stretch(low, high)
            }
        }
        None if names => Look::Palette,
        None => Look::Picture,
    };
    let mut options: Vec<String> =
        scale.iter().flat_map(|s| ["--scale".to_owned(), (*s).to_owned()]).collect();
    let b = numbers(&tile["bounds"]);
    let reach = SIDE / 2.0 * 360.0 / f64::from(1u32 << zoom);
    let (x, y) = (f64::midpoint(b[0], b[2]), f64::midpoint(b[1], b[3]));
    let around = |v: f64, low: f64, high: f64| ((v - reach).max(low), (v + reach).min(high));
    // Across the antimeridian, the middle of the bounds is far away from the raster.
    let across = b[0] == -180.0 && b[2] == 180.0;
    let (west, east) =
        if across { ((180.0 - 2.0 * reach).max(-180.0), 180.0) } else { around(x, b[0], b[2]) };
    let (south, north) = around(y, b[1], b[3]);
    options.extend(["--bbox".to_owned(), format!("{west:.9},{south:.9},{east:.9},{north:.9}")]);
    let methods = match look {
        Look::Palette => &["nearest"][..],
        Look::Signed(..) => &["nearest"],
        _ => &["nearest", "bilinear", "cubic"],
    };
    Some(Case { path: path.to_owned(), options, look, methods, zoom, part: true })
}

#[test]
fn samples_agree_with_gdalwarp() {
    let Some(folder) = folder() else {
        println!("skipped: no folder of samples (TILELOOM_SAMPLES names one)");
        return;
    };
    println!("{HEADER}");
    let rows = manifest(&folder);
    let large = ["riotiler__cog_world.tif", "cogeotiff__sparse.tiff", "martin__usda_naip_512_jpeg_z5.tif"];
    // riotiler__cog_cmap.tif alone would take as long as all others.
    let others = ["riotiler__cog_cmap.tif", "riotiler__inverted_lat.tif", "rasterio__all-nodata.tif"];
    let names =
        rows.iter().filter(|r| r["driver"] != "sidecar" && r["expected"] == "ok").map(|r| r["file"].as_str());
    let mut faults = Vec::new();
    let mut compared = 0;
    for name in names.filter(|n| !large.contains(n) && !others.contains(n)) {
        let Some(case) = case(&folder.join(name)) else { continue };
        compared += 1;
        for (method, f) in agreement(&case) {
            let line = f.line(&name[..name.len().min(34)], method);
            println!("{line}");
            let varied = VARIED.contains(&name);
            let fine = match method {
                "nearest" => f.opaque == 0 || (f.equal_share() >= 0.995 && f.from_edge <= 1.0 / 64.0),
                _ => varied || f.mean() <= 0.5,
            };
            // A few pixels wide, a single row whose centres lie on the raster's edge is a large share.
            let masks = f.pixels < 1000 || f.mask_share() >= 0.995;
            if !fine || !masks {
                faults.push(line);
            }
        }
    }
    assert!(faults.is_empty(), "{HEADER}\n{}", faults.join("\n"));
    assert!(compared > 25, "only {compared} samples");
}
