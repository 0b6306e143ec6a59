//! Rasters to measure on: one made on the spot, and crops and repeats of a given one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use gdal::raster::{Buffer, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, DriverManager};

use crate::Result;

/// Writes an RGB raster of 2048 × 2048 pixels of noise at all scales, as rough as aerial imagery: UTM, half a metre, tiled
/// DEFLATE.
pub fn make(path: &Path) -> Result<()> {
    make_sized(path, 2048)
}

/// The same with `side` × `side` pixels, a multiple of 256.
pub fn make_sized(path: &Path, side: usize) -> Result<()> {
    let tiled = ["TILED=YES", "BLOCKXSIZE=512", "BLOCKYSIZE=512"];
    let options: RasterCreationOptions =
        tiled.into_iter().chain(["COMPRESS=DEFLATE", "PREDICTOR=2", "INTERLEAVE=PIXEL"]).collect();
    let driver = DriverManager::get_driver_by_name("GTiff")?;
    let mut dataset = driver.create_with_band_type_with_options::<u8, _>(path, side, side, 3, &options)?;
    dataset.set_spatial_ref(&SpatialRef::from_epsg(32633)?)?;
    dataset.set_geo_transform(&[540_000.0, 0.5, 0.0, 3_655_000.0, 0.0, -0.5])?;
    // Light is shared by the bands and has detail at all scales; their colours change slowly, but for the noise of a sensor.
    let light = noise(side, 0, &[(256, 30.0), (128, 24.0), (32, 18.0), (8, 12.0), (2, 9.0), (1, 4.0)]);
    for band in 1..=3 {
        let colour = noise(side, band, &[(256, 24.0), (16, 6.0), (1, 2.0)]);
        let samples =
            light.iter().zip(&colour).map(|(l, c)| (120.0 + l + c).clamp(1.0, 255.0) as u8).collect();
        let mut buffer = Buffer::new((side, side), samples);
        dataset.rasterband(band)?.write((0, 0), (side, side), &mut buffer)?;
    }
    dataset.close()?;
    Ok(())
}

/// A sum of octaves of value noise: random numbers at the nodes of a grid of `spacing` pixels, bilinear between them.
fn noise(side: usize, seed: usize, octaves: &[(usize, f32)]) -> Vec<f32> {
    let mut sum = vec![0.0; side * side];
    for &(spacing, amplitude) in octaves {
        let nodes = side / spacing + 1;
        let mut state = (seed as u64) << 32 | spacing as u64;
        let mut random = || {
            // A linear congruential generator with Knuth's multiplier.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / (1 << 23) as f32 - 1.0) * amplitude
        };
        let grid: Vec<f32> = (0..nodes * nodes).map(|_| random()).collect();
        for (y, row) in sum.chunks_exact_mut(side).enumerate() {
            let above = &grid[y / spacing * nodes..][..2 * nodes];
            let v = (y % spacing) as f32 / spacing as f32;
            for (x, value) in row.iter_mut().enumerate() {
                let (node, u) = (x / spacing, (x % spacing) as f32 / spacing as f32);
                let column = |n: usize| above[n] * (1.0 - v) + above[n + nodes] * v;
                *value += column(node) * (1.0 - u) + column(node + 1) * u;
            }
        }
    }
    sum
}

/// Writes a VRT of bytes: up to three bands, the values of `scale` spread over 1 to 255.
pub fn stretch(raster: &Path, [black, white]: [f64; 2], vrt: &Path) -> Result<()> {
    let bands = Dataset::open(raster)?.raster_count().min(3);
    let mut command = Command::new("gdal_translate");
    command.args(["-q", "-of", "VRT", "-ot", "Byte"]);
    command.args(["-scale", &black.to_string(), &white.to_string(), "1", "255"]);
    if bands == 3 {
        command.args(["-b", "1", "-b", "2", "-b", "3", "-colorinterp", "red,green,blue"]);
    }
    succeed(command.arg(raster.canonicalize()?).arg(vrt))
}

/// Cuts a raster into 16 × 16 files, compressed and tiled.
pub fn pieces(raster: &Path, [width, height]: [usize; 2], folder: &Path) -> Result<Vec<PathBuf>> {
    let (w, h) = (width.div_ceil(16), height.div_ceil(16));
    let mut made = Vec::new();
    for (top, left) in
        (0..height).step_by(h).flat_map(|top| (0..width).step_by(w).map(move |left| (top, left)))
    {
        let piece = folder.join(format!("piece-{top}-{left}.tif"));
        let window = [left, top, w.min(width - left), h.min(height - top)].map(|n| n.to_string());
        let mut command = Command::new("gdal_translate");
        command.args(["-q", "-co", "TILED=YES", "-co", "COMPRESS=DEFLATE", "-co", "PREDICTOR=2", "-srcwin"]);
        succeed(command.args(window).arg(raster).arg(&piece))?;
        made.push(piece);
    }
    Ok(made)
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let error = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", error.trim()).into()) }
}

/// Writes a VRT of `side` × `side` pixels: the upper left part of a raster, or the raster again and again side by side.
pub fn crop_or_repeat(raster: &Path, side: usize, vrt: &Path) -> Result<()> {
    let dataset = Dataset::open(raster)?;
    let (width, height) = dataset.raster_size();
    let path = escaped(&raster.canonicalize()?.to_string_lossy());
    let geotransform = dataset.geo_transform()?.map(|n| n.to_string()).join(", ");
    let mut xml = format!("<VRTDataset rasterXSize=\"{side}\" rasterYSize=\"{side}\">\n");
    writeln!(xml, "<SRS>{}</SRS>", escaped(&dataset.spatial_ref()?.to_wkt()?))?;
    writeln!(xml, "<GeoTransform>{geotransform}</GeoTransform>")?;
    for number in 1..=dataset.raster_count() {
        let band = dataset.rasterband(number)?;
        let (block_width, block_height) = band.block_size();
        let sample_type = band.band_type().name();
        writeln!(
            xml,
            "<VRTRasterBand dataType=\"{sample_type}\" band=\"{number}\" blockXSize=\"{block_width}\" blockYSize=\"{block_height}\">"
        )?;
        writeln!(xml, "<ColorInterp>{}</ColorInterp>", band.color_interpretation().name())?;
        if let Some(nodata) = band.no_data_value() {
            writeln!(xml, "<NoDataValue>{nodata}</NoDataValue>")?;
        }
        for top in (0..side).step_by(height) {
            for left in (0..side).step_by(width) {
                let (w, h) = (width.min(side - left), height.min(side - top));
                writeln!(
                    xml,
                    "<SimpleSource><SourceFilename relativeToVRT=\"0\">{path}</SourceFilename><SourceBand>{number}</SourceBand>\
                     <SourceProperties RasterXSize=\"{width}\" RasterYSize=\"{height}\" DataType=\"{sample_type}\" BlockXSize=\"{block_width}\" BlockYSize=\"{block_height}\"/>\
                     <SrcRect xOff=\"0\" yOff=\"0\" xSize=\"{w}\" ySize=\"{h}\"/>\
                     <DstRect xOff=\"{left}\" yOff=\"{top}\" xSize=\"{w}\" ySize=\"{h}\"/></SimpleSource>"
                )?;
            }
        }
        xml.push_str("</VRTRasterBand>\n");
    }
    xml.push_str("</VRTDataset>\n");
    std::fs::write(vrt, xml)?;
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
