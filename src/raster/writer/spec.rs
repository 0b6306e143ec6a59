//! What is to be written: plain data, which travels to the writer thread.

use std::path::Path;

use gdal::cpl::CslStringList;
use gdal::raster::{ColorEntry, ColorTable, PaletteInterpretation, RgbaEntry};
use gdal::{Dataset, DatasetOptions, DriverManager, GdalOpenFlags, Metadata};

use crate::block::{Sample, SampleType};
use crate::encode::Rgba;
use crate::error::{Error, Result};
use crate::raster::pack::Packing;
use crate::raster::validity::nodata_as;
use crate::raster::{Description, raw, reason};
use crate::resampling::Resampling;
use crate::window::Size;

/// What to create. This is what travels to the writer thread.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetSpec {
    /// GDAL's short name of a format that can be created and written in any order, as one file; default `GTiff`.
    pub driver: String,
    /// Columns and rows.
    pub size: Size,
    /// Number of bands, all of one type.
    pub bands: usize,
    /// Type of the samples.
    pub sample_type: SampleType,
    /// Creation options of the driver, `KEY=VALUE`; default none.
    pub creation_options: Vec<String>,
    /// Geotransform in GDAL's order: x origin, x per column, x per row, y origin, y per column, y per row; default none.
    pub geotransform: Option<[f64; 6]>,
    /// The coordinate reference system as well-known text; default none.
    pub wkt: Option<String>,
    /// The value of pixels without data, also of those never written; default none, and zeros.
    pub nodata: Option<f64>,
    /// Names of the bands, in their order; default none.
    pub band_names: Vec<Option<String>>,
    /// What the samples of the bands stand for, in their order; default nothing but themselves.
    pub quantities: Vec<Quantity>,
    /// Metadata items of the bands, in their order: names and values; default none.
    pub band_metadata: Vec<Vec<(String, String)>>,
    /// Colour table of the first band; default none.
    pub palette: Option<Vec<Rgba>>,
    /// Metadata items: names and values; default none.
    pub metadata: Vec<(String, String)>,
    /// Whether blocks are written in the order of their place, row by row, so that the bytes of the file do not depend on the
    /// windows that come in; what comes before its turn waits in memory. Default no: as they are complete.
    pub ordered: bool,
    /// Smaller versions inside the file, for a GeoTIFF; default none.
    pub overviews: Option<Overviews>,
    /// How its blocks are packed, for a GeoTIFF whose blocks GDAL is not to pack itself; default none.
    pub packing: Option<Packing>,
    /// Threads that read it back; default 1.
    pub threads: usize,
    /// What is read back before the raster gets its name; default every pixel.
    pub verification: Verification,
}

/// What the samples of a band stand for.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// Unit of the values, if it is known.
    pub unit: Option<String>,
    /// Factor from samples to values.
    pub scale: f64,
    /// What is added after that.
    pub offset: f64,
}

impl Default for Quantity {
    fn default() -> Self {
        Self { unit: None, scale: 1.0, offset: 0.0 }
    }
}

/// Smaller versions of a raster inside its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overviews {
    /// How their pixels are made, by GDAL.
    pub resampling: Resampling,
    /// How many times they are smaller.
    pub factors: Vec<i32>,
}

impl Overviews {
    /// Each half the size of the one before, until one fits 256 × 256 pixels.
    pub fn halving(size: Size, resampling: Resampling) -> Self {
        let side = size.width.max(size.height);
        let larger = |factor: &i32| side.div_ceil(*factor as usize / 2) > 256;
        Self { resampling, factors: (1..24).map(|k| 1 << k).take_while(larger).collect() }
    }

    /// Adds them to a file.
    pub(super) fn build(&self, path: &Path) -> Result<(), String> {
        let mut dataset = open_to_change(path)?;
        let method = self.resampling.name().to_ascii_uppercase();
        dataset.build_overviews(&method, &self.factors, &[]).map_err(|e| reason(&e))?;
        dataset.close().map_err(|e| reason(&e))
    }
}

fn open_to_change(path: &Path) -> Result<Dataset, String> {
    let flags = GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_UPDATE;
    let options = DatasetOptions {
        open_flags: flags | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR,
        ..DatasetOptions::default()
    };
    Dataset::open_ex(path, options).map_err(|e| reason(&e))
}

/// Adds metadata items to the bands of a file, in their order.
pub(super) fn describe_bands(path: &Path, items: &[Vec<(String, String)>]) -> Result<(), String> {
    let dataset = open_to_change(path)?;
    for (number, items) in items.iter().enumerate() {
        let mut band = dataset.rasterband(number + 1).map_err(|e| reason(&e))?;
        for (name, value) in items {
            band.set_metadata_item(name, value, "").map_err(|e| reason(&e))?;
        }
    }
    dataset.close().map_err(|e| reason(&e))
}

/// What is read back from a raster that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verification {
    /// Every pixel, which must be the one that was written: of blocks that GDAL has not packed by their bytes, and of some by
    /// their pixels. For formats and options that keep pixels as they are.
    #[default]
    Pixels,
    /// Every pixel, whatever its value: for lossy compression.
    Decoding,
    /// Size, bands, types and georeferencing, but no pixels.
    Structure,
}

impl DatasetSpec {
    /// A GeoTIFF without georeferencing.
    pub fn new(size: Size, bands: usize, sample_type: SampleType) -> Self {
        Self {
            driver: "GTiff".to_owned(),
            size,
            bands,
            sample_type,
            creation_options: Vec::new(),
            geotransform: None,
            wkt: None,
            nodata: None,
            band_names: Vec::new(),
            quantities: Vec::new(),
            band_metadata: Vec::new(),
            palette: None,
            metadata: Vec::new(),
            ordered: false,
            overviews: None,
            packing: None,
            threads: 1,
            verification: Verification::default(),
        }
    }

    pub(super) fn pixel_bytes(&self) -> usize {
        self.bands * self.sample_type.bytes()
    }

    /// # Errors
    /// [`Error::Usage`] for what no driver could create.
    pub(super) fn check(&self) -> Result<()> {
        if self.size.area() == 0 || self.bands == 0 {
            return Err(Error::Usage("a raster without pixels cannot be written".to_owned()));
        }
        if let Some(overviews) = self.overviews.as_ref().filter(|o| o.resampling.is_statistic()) {
            let method = overviews.resampling;
            return Err(Error::Usage(format!("--overview-resampling {method}: GDAL makes no overviews so")));
        }
        match self.creation_options.iter().find(|o| o.find('=').is_none_or(|at| at == 0)) {
            Some(option) => Err(Error::Usage(format!("creation option '{option}': give KEY=VALUE"))),
            None => Ok(()),
        }
    }

    /// Creates the dataset with everything that has to be said before the first pixel.
    pub(in crate::raster) fn create(&self, path: &Path, native_int8: bool) -> Result<Dataset, String> {
        let driver = DriverManager::get_driver_by_name(&self.driver).map_err(|e| reason(&e))?;
        let mut options = CslStringList::new();
        for option in &self.creation_options {
            options.add_string(option).map_err(|e| reason(&e))?;
        }
        if self.packing.is_some() {
            options.add_string("SPARSE_OK=TRUE").map_err(|e| reason(&e))?;
        }
        if self.sample_type == SampleType::I8 && !native_int8 {
            options.add_string("PIXELTYPE=SIGNEDBYTE").map_err(|e| reason(&e))?;
        }
        let samples = (self.sample_type, native_int8);
        let mut dataset = raw::create(&driver, path, self.size, self.bands, samples, &options)?;
        if let Some(geotransform) = &self.geotransform {
            dataset.set_geo_transform(geotransform).map_err(|e| reason(&e))?;
        }
        if let Some(wkt) = &self.wkt {
            dataset.set_projection(wkt).map_err(|e| reason(&e))?;
        }
        if self.nodata.is_some() {
            for band in 1..=self.bands {
                let mut band = dataset.rasterband(band).map_err(|e| reason(&e))?;
                band.set_no_data_value(self.nodata).map_err(|e| reason(&e))?;
            }
        }
        if let Some(palette) = &self.palette {
            let mut table = ColorTable::new(PaletteInterpretation::Rgba);
            for (number, colour) in palette.iter().enumerate() {
                let [r, g, b, a] = colour.map(i16::from);
                table.set_color_entry(number as u16, &ColorEntry::Rgba(RgbaEntry { r, g, b, a }));
            }
            dataset.rasterband(1).map_err(|e| reason(&e))?.set_color_table(&table);
        }
        for (name, value) in &self.metadata {
            dataset.set_metadata_item(name, value, "").map_err(|e| reason(&e))?;
        }
        for (number, items) in self.band_metadata.iter().take(self.bands).enumerate() {
            let mut band = dataset.rasterband(number + 1).map_err(|e| reason(&e))?;
            for (name, value) in items {
                band.set_metadata_item(name, value, "").map_err(|e| reason(&e))?;
            }
        }
        for (number, name) in self.names() {
            let mut band = dataset.rasterband(number).map_err(|e| reason(&e))?;
            band.set_description(name).map_err(|e| reason(&e))?;
        }
        for (number, quantity) in self.quantities.iter().take(self.bands).enumerate() {
            let mut band = dataset.rasterband(number + 1).map_err(|e| reason(&e))?;
            if (quantity.scale, quantity.offset) != (1.0, 0.0) {
                band.set_scale(quantity.scale).map_err(|e| reason(&e))?;
                band.set_offset(quantity.offset).map_err(|e| reason(&e))?;
            }
            if let Some(unit) = &quantity.unit {
                raw::set_unit(&band, unit)?;
            }
        }
        Ok(dataset)
    }

    /// The bands that have names, by their 1-based numbers.
    fn names(&self) -> impl Iterator<Item = (usize, &str)> {
        let names = self.band_names.iter().take(self.bands).enumerate();
        names.filter_map(|(i, name)| Some((i + 1, name.as_deref()?)))
    }

    /// Holds what a dataset says of itself against what was asked for.
    pub(super) fn compare(&self, found: &Description) -> Result<(), String> {
        let differs = |what: &str, found: String, wanted: String| {
            Err(format!("it reads back with {what} {found} instead of {wanted}"))
        };
        if found.size != self.size {
            let text = |s: Size| format!("{} × {}", s.width, s.height);
            return differs("a size of", text(found.size), text(self.size));
        }
        if found.bands.len() != self.bands {
            return differs("a number of bands of", found.bands.len().to_string(), self.bands.to_string());
        }
        let other = |t: &&Option<SampleType>| **t != Some(self.sample_type);
        if let Some(position) = found.types.iter().position(|t| other(&t)) {
            let name = found.bands[position].sample_type.clone();
            return differs("samples of type", name, self.sample_type.name().to_owned());
        }
        let value = |n: Option<f64>| for_sample_type!(self.sample_type, T => n.and_then(nodata_as::<T>).map(|n| n.to_f64().to_bits()));
        if let Some(band) = found.bands.iter().find(|b| value(b.nodata) != value(self.nodata)) {
            let text = |n: Option<f64>| n.map_or_else(|| "none".to_owned(), |n| n.to_string());
            return differs("a nodata value of", text(band.nodata), text(self.nodata));
        }
        let smaller = self.overviews.as_ref().map_or(0, |o| o.factors.len());
        if found.overviews.len() != smaller {
            return differs(
                "a number of overviews of",
                found.overviews.len().to_string(),
                smaller.to_string(),
            );
        }
        for (number, name) in self.names() {
            let own = found.bands[number - 1].description.as_deref().unwrap_or_default();
            if own != name {
                return differs("a band named", format!("'{own}'"), format!("'{name}'"));
            }
        }
        let place = &found.georeferencing;
        let identity = [0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let (wanted, got) = (self.geotransform.unwrap_or(identity), place.geotransform.unwrap_or(identity));
        // A format may keep the origin at a pixel's centre or its numbers as text: a millionth of a pixel is granted.
        let pixel = [1, 2, 4, 5].map(|i: usize| wanted[i].abs()).into_iter().fold(0.0, f64::max);
        let close = wanted.iter().zip(got).all(|(w, g)| (w - g).abs() <= pixel * 1e-6);
        if !close {
            return differs("a geotransform of", format!("{got:?}"), format!("{wanted:?}"));
        }
        if self.wkt.is_some() && place.wkt.is_none() {
            return Err("it reads back without its coordinate reference system".to_owned());
        }
        Ok(())
    }
}
