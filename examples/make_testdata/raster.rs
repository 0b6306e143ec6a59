//! Writing small rasters: what GDAL's driver for GeoTIFF is told, and noise that is the same on every machine.

use std::path::Path;

use gdal::errors::{GdalError, Result};
use gdal::raster::{Buffer, ColorEntry, ColorInterpretation, ColorTable, GdalType, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, DriverManager, Gcp};

/// What a raster is apart from its pixels.
#[derive(Clone, Default)]
pub struct Spec<'a> {
    /// Columns and rows.
    pub size: (usize, usize),
    /// EPSG code of the CRS.
    pub crs: Option<u32>,
    /// Geotransform in GDAL's order.
    pub geotransform: Option<[f64; 6]>,
    /// Creation options of GDAL's GeoTIFF driver.
    pub options: &'a [&'a str],
    /// Nodata value of all bands.
    pub nodata: Option<f64>,
    /// Colours of the first band's values.
    pub palette: &'a [[u8; 4]],
    /// Ground control points: column, row, x, y.
    pub gcps: &'a [[f64; 4]],
    /// A mask for all bands, one byte per pixel: inside the file, or in a file beside it.
    pub mask: Option<(Place, &'a [u8])>,
    /// Factors of overviews to add.
    pub overviews: &'a [i32],
}

/// Where a mask is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Inside the file.
    Inside,
    /// In a `.msk` beside it.
    Beside,
}

/// Writes a raster of bands of samples, each row by row.
pub fn write<T: GdalType + Copy>(path: &Path, spec: &Spec<'_>, bands: Vec<Vec<T>>) -> Result<()> {
    let driver = DriverManager::get_driver_by_name("GTiff")?;
    let options = spec.options.iter().copied().collect::<RasterCreationOptions>();
    let (width, height) = spec.size;
    let count = bands.len();
    let mut dataset =
        driver.create_with_band_type_with_options::<T, _>(path, width, height, count, &options)?;
    if let Some(code) = spec.crs {
        let srs = SpatialRef::from_epsg(code)?;
        if spec.gcps.is_empty() {
            dataset.set_spatial_ref(&srs)?;
        } else {
            dataset.set_gcps(spec.gcps.iter().map(gcp).collect(), &srs)?;
        }
    }
    if let Some(geotransform) = &spec.geotransform {
        dataset.set_geo_transform(geotransform)?;
    }
    if !spec.palette.is_empty() {
        let mut table = ColorTable::default();
        for (index, colour) in (0u16..).zip(spec.palette) {
            let [r, g, b, a] = colour.map(i16::from);
            table.set_color_entry(index, &ColorEntry::rgba(r, g, b, a));
        }
        let mut band = dataset.rasterband(1)?;
        band.set_color_table(&table);
        band.set_color_interpretation(ColorInterpretation::PaletteIndex)?;
    }
    if spec.nodata.is_some() {
        for index in 1..=count {
            dataset.rasterband(index)?.set_no_data_value(spec.nodata)?;
        }
    }
    for (index, samples) in (1..).zip(bands) {
        let mut buffer = Buffer::new(spec.size, samples);
        dataset.rasterband(index)?.write((0, 0), spec.size, &mut buffer)?;
    }
    if let Some((place, mask)) = spec.mask {
        let inside = if place == Place::Inside { "YES" } else { "NO" };
        gdal::config::set_thread_local_config_option("GDAL_TIFF_INTERNAL_MASK", inside)?;
        let mut first = dataset.rasterband(1)?;
        first.create_mask_band(true)?;
        let mut buffer = Buffer::new(spec.size, mask.to_vec());
        first.open_mask_band()?.write((0, 0), spec.size, &mut buffer)?;
        gdal::config::set_thread_local_config_option("GDAL_TIFF_INTERNAL_MASK", "")?;
    }
    if !spec.overviews.is_empty() {
        dataset.build_overviews("AVERAGE", spec.overviews, &[])?;
    }
    dataset.close()
}

/// Copies a raster with another sample type, which may be one that Rust has no name for.
pub fn copy_as(from: &Path, to: &Path, sample_type: &str) -> Result<()> {
    let source = Dataset::open(from)?;
    let (width, height) = source.raster_size();
    let srs = source.spatial_ref()?.to_wkt()?;
    let geotransform = source.geo_transform()?.map(|v| v.to_string()).join(",");
    let vrt = format!(
        "<VRTDataset rasterXSize='{width}' rasterYSize='{height}'><SRS>{}</SRS>\
         <GeoTransform>{geotransform}</GeoTransform><VRTRasterBand dataType='{sample_type}' band='1'>\
         <SimpleSource><SourceFilename>{}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>\
         </VRTRasterBand></VRTDataset>",
        srs.replace('"', "&quot;"),
        from.display()
    );
    let driver = DriverManager::get_driver_by_name("GTiff")?;
    let options = ["COMPRESS=DEFLATE"].into_iter().collect::<RasterCreationOptions>();
    Dataset::open(vrt)?.create_copy(&driver, to, &options)?.close()
}

/// Keeps the first bytes of a file.
pub fn truncate(from: &Path, to: &Path, share: f64) -> Result<()> {
    let failed = |e: std::io::Error| GdalError::BadArgument(e.to_string());
    let bytes = std::fs::read(from).map_err(failed)?;
    std::fs::write(to, &bytes[..(bytes.len() as f64 * share) as usize]).map_err(failed)
}

fn gcp(point: &[f64; 4]) -> Gcp {
    let [pixel, line, x, y] = *point;
    Gcp { id: String::new(), info: String::new(), pixel, line, x, y, z: 0.0 }
}

/// A number in 0…1 for each point of a lattice (the finaliser of `SplitMix64`).
fn lattice(seed: u64, x: i64, y: i64) -> f64 {
    let mut v = seed
        .wrapping_add((x as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        .wrapping_add((y as u64).wrapping_mul(0xd1b5_4a32_d192_ed03));
    v = (v ^ (v >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    v = (v ^ (v >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (v ^ (v >> 31)) as f64 / u64::MAX as f64
}

/// Smooth noise in 0…1 whose bumps are `period` wide: values on a lattice, joined by smoothstep.
pub fn noise(seed: u64, x: f64, y: f64, period: f64) -> f64 {
    let (u, v) = (x / period, y / period);
    let (column, row) = (u.floor(), v.floor());
    let ease = |t: f64| t * t * (3.0 - 2.0 * t);
    let (s, t) = (ease(u - column), ease(v - row));
    let at = |i: i64, j: i64| lattice(seed, column as i64 + i, row as i64 + j);
    let upper = at(0, 0) * (1.0 - s) + at(1, 0) * s;
    let lower = at(0, 1) * (1.0 - s) + at(1, 1) * s;
    upper * (1.0 - t) + lower * t
}

/// Texture in 0…1 with large and small features, somewhat like the ground from above.
pub fn texture(seed: u64, x: f64, y: f64) -> f64 {
    0.62 * noise(seed, x, y, 71.0) + 0.26 * noise(seed + 1, x, y, 19.0) + 0.12 * noise(seed + 2, x, y, 5.0)
}

/// One value per pixel, row by row, from the column and row of its centre.
pub fn samples<T>((width, height): (usize, usize), value: impl Fn(f64, f64) -> T) -> Vec<T> {
    let pixel = |k: usize| ((k % width) as f64 + 0.5, (k / width) as f64 + 0.5);
    (0..width * height).map(pixel).map(|(x, y)| value(x, y)).collect()
}
