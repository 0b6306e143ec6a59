//! Windows of a raster as whole files, made in memory on whatever thread has the pixels.
//!
//! Three ways lead to the bytes. A `GeoTIFF` whose blocks can be [packed](super::Packing) here gets a directory that GDAL has written
//! once, with the place of the window put into it: nothing of GDAL is called for a chip. An 8- or 16-bit PNG is encoded here, too.
//! Every other format, and every option that is not known here, is GDAL's: the window becomes a dataset in memory that says all that
//! the raster says, and the driver makes its files of that. The dataset belongs to the thread that made it.

mod memory;
mod png;
mod tiff;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use gdal::version::VersionInfo;
use gdal::{DriverManager, Metadata};
use ndarray::Array2;

use self::png::PngChips;
use self::tiff::TiffChips;
use super::raw;
use super::template::TemplateSpec;
use crate::block::{Assembly, Block, SampleType};
use crate::error::{Error, Result};
use crate::window::{Size, Window};

/// Creation options of `GTiff` that say how pixels are laid out or packed into more than one pass or file.
const REFUSED: [&str; 2] = ["COPY_SRC_OVERVIEWS", "APPEND_SUBDATASET"];

/// Drivers that make no file of the pixels, or none that can stand alone.
const NO_FILES: [&str; 3] = ["VRT", "MEM", "GTI"];

/// What the files of all windows of a raster have in common.
#[derive(Debug, Clone)]
pub struct ChipSpec {
    /// What each file says beside its pixels; its place is that of the whole grid, its options are those of the driver.
    pub template: TemplateSpec,
    /// GDAL's short name of the format.
    pub driver: String,
    /// Whether a mask goes with the pixels.
    pub mask: bool,
    /// Whether the band says its colours by a table.
    pub palette: bool,
}

/// A window as a file: what follows the name of the chip, and the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChipFile {
    /// Begins with the dot of the extension; that of the chip itself comes first.
    pub extension: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Makes files of windows. Shared by the threads of a pool.
#[derive(Debug)]
pub struct ChipEncoder {
    spec: ChipSpec,
    extension: String,
    scheme: Scheme,
    beside: OnceLock<Vec<String>>,
    /// Tells the datasets of this encoder from those of others on the same thread.
    number: u64,
}

#[derive(Debug)]
enum Scheme {
    Tiff(Box<TiffChips>),
    Png(Box<PngChips>),
    Gdal,
}

/// Each encoder has a number of its own, the same in every run.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A number that no other encoder has.
fn next_number() -> u64 {
    NUMBER.fetch_add(1, Ordering::Relaxed)
}

impl ChipEncoder {
    /// An encoder; it asks GDAL what the files have in common.
    ///
    /// # Errors
    /// [`Error::Usage`] for formats and options that GDAL does not know or that make no chips, [`Error::Input`] when the raster cannot
    /// be read.
    pub fn new(spec: ChipSpec) -> Result<Self> {
        let (driver, extension) = check_driver(&spec)?;
        let mut spec = ChipSpec { driver, ..spec };
        super::check_creation_options(&spec.driver, &spec.template.options)?;
        if let Some(option) = spec.template.options.iter().find(|option| {
            let key = option.split('=').next().unwrap_or_default();
            REFUSED.iter().any(|name| key.trim().eq_ignore_ascii_case(name))
        }) {
            return Err(Error::Usage(format!(
                "--co {option}: a chip is made in one pass, into a file of its own"
            )));
        }
        if spec.driver == "GTiff" {
            tiff::complete(&mut spec.template.options, spec.template.sample_type, spec.palette);
        }
        let source = &spec.template.source;
        let scheme = match spec.driver.as_str() {
            "GTiff" => TiffChips::new(&spec).map_err(|e| source.error(e))?.map(|t| Scheme::Tiff(Box::new(t))),
            "PNG" => PngChips::new(&spec).map_err(|e| source.error(e))?.map(|p| Scheme::Png(Box::new(p))),
            _ => None,
        };
        let scheme = scheme.unwrap_or(Scheme::Gdal);
        Ok(Self { spec, extension, scheme, beside: OnceLock::new(), number: next_number() })
    }

    /// GDAL's short name of the format.
    pub fn driver(&self) -> &str {
        &self.spec.driver
    }

    /// Creation options, with those that were chosen in the user's place.
    pub fn options(&self) -> &[String] {
        &self.spec.template.options
    }

    /// The extension of the files, with its dot.
    pub fn extension(&self) -> &str {
        &self.extension
    }

    /// Extensions of files that go beside a chip, as far as they are known from [trying it out](Self::try_out).
    pub fn beside(&self) -> &[String] {
        self.beside.get().map_or(&[], Vec::as_slice)
    }

    /// Number of bands.
    pub fn bands(&self) -> usize {
        self.spec.template.bands.len()
    }

    /// Bytes that each thread keeps between chips of a size, at most.
    pub fn kept_bytes(&self, size: Size) -> usize {
        match self.scheme {
            Scheme::Gdal => memory::MOST_KEPT * self.spec.bytes(size).min(memory::MOST_BYTES),
            Scheme::Tiff(_) | Scheme::Png(_) => 0,
        }
    }

    /// Whether pixels come back as they were.
    pub fn is_lossless(&self) -> bool {
        const LOSSY: [&str; 8] = ["JPEG", "WEBP", "JPEGXL", "BLX", "AVIF", "GPKG", "MBTiles", "PDF"];
        let says = |key: &str, values: &[&str]| {
            tiff::option(&self.spec.template.options, key).is_some_and(|v| values.contains(&v.as_str()))
        };
        if self.spec.driver == "GTiff" {
            return !says("COMPRESS", &["JPEG", "WEBP", "JXL"]);
        }
        let lossless = says("LOSSLESS", &["YES", "TRUE", "ON", "1"]) || says("REVERSIBLE", &["YES"]);
        lossless || !(LOSSY.contains(&self.spec.driver.as_str()) || self.spec.driver.starts_with("JP2"))
    }

    /// Makes a chip of a size without any data, to see whether the format takes such pixels.
    ///
    /// # Errors
    /// [`Error::Usage`] with GDAL's reason.
    pub fn try_out(&self, size: Size) -> Result<()> {
        let template = &self.spec.template;
        let pixels = Assembly::uncovered(size.window(), template.sample_type, template.bands.len()).finish();
        let pixels = pixels.ok_or_else(|| Error::Internal("a chip without pixels".to_owned()))?;
        let mask = self.spec.mask.then(|| Array2::zeros((size.height, size.width)));
        match self.encode(pixels, mask.as_ref(), "chip", u64::MAX) {
            Ok(files) => {
                let beside = files.into_iter().map(|file| file.extension).filter(|e| *e != self.extension);
                let _ = self.beside.set(beside.collect());
                Ok(())
            }
            Err(Error::Output { reason, .. }) => {
                Err(Error::Usage(format!("-f {}: {reason}", self.spec.driver)))
            }
            Err(other) => Err(other),
        }
    }

    /// The files of a window, whose place is among the pixels of the grid. `name` is that of the chip, without folders, and `number`
    /// no other chip's. `mask` tells where there is data, if files are to say so.
    ///
    /// # Errors
    /// [`Error::Output`] with the name and GDAL's reason, [`Error::Internal`] for pixels of another kind.
    pub fn encode(
        &self,
        pixels: Block,
        mask: Option<&Array2<u8>>,
        name: &str,
        number: u64,
    ) -> Result<Vec<ChipFile>> {
        let template = &self.spec.template;
        let (bands, height, width) = pixels.samples.dim();
        let window = pixels.window;
        if bands != template.bands.len()
            || pixels.samples.sample_type() != template.sample_type
            || (width, height) != (window.width, window.height)
        {
            return Err(Error::Internal(format!("chip '{name}' has pixels of another kind")));
        }
        match &self.scheme {
            Scheme::Tiff(tiff) => {
                let bytes = tiff.encode(&self.spec, pixels)?;
                Ok(vec![ChipFile { extension: self.extension.clone(), bytes }])
            }
            Scheme::Png(png) => png.encode(&self.spec, &pixels),
            Scheme::Gdal => {
                let key = (self.number, number);
                let made = memory::files(&self.spec, key, &pixels, mask, (name, &self.extension));
                made.map_err(|why| {
                    Error::output(format!("{name}{}", self.extension), format!("GDAL cannot make it: {why}"))
                })
            }
        }
    }
}

impl ChipSpec {
    /// Bytes of the samples of a chip.
    fn bytes(&self, size: Size) -> usize {
        size.area() * self.template.bands.len() * self.template.sample_type.bytes()
    }

    /// The geotransform of a window, as `gdal_translate -srcwin` computes it; none where the grid has none.
    fn geotransform(&self, window: &Window) -> Option<[f64; 6]> {
        let (mut g, _) = self.template.place.clone()?;
        let (x, y) = (window.x as f64, window.y as f64);
        g[0] += x * g[1] + y * g[2];
        g[3] += x * g[4] + y * g[5];
        Some(g)
    }
}

/// Name of the driver as GDAL spells it, and the extension of its files with the dot.
fn check_driver(spec: &ChipSpec) -> Result<(String, String)> {
    let name = &spec.driver;
    let usage = |text: String| Error::Usage(format!("-f {name}: {text}"));
    let driver = DriverManager::get_driver_by_name(name).map_err(|_| {
        usage("is no format that GDAL has; gdalinfo --formats lists those there are, for instance GTiff, PNG, JPEG".to_owned())
    })?;
    let short = driver.short_name();
    let says = |key: &str| driver.metadata_item(key, "").unwrap_or_default();
    let yes = |key: &str| says(key).eq_ignore_ascii_case("YES");
    let makes = yes("DCAP_CREATECOPY") || yes("DCAP_CREATE");
    if !(yes("DCAP_RASTER") && makes && yes("DCAP_VIRTUALIO")) || NO_FILES.contains(&short.as_str()) {
        return Err(usage(
            "GDAL makes no files of it in memory, as chips are made; give another, for instance GTiff"
                .to_owned(),
        ));
    }
    let types = says("DMD_CREATIONDATATYPES");
    let type_name = type_name(spec.template.sample_type);
    let holds = |name: &str| types.split_whitespace().any(|t| t == name);
    let signed = spec.template.sample_type == SampleType::I8 && holds("Byte") && !is_since_3_7();
    if !(types.is_empty() || holds(type_name) || signed) {
        return Err(usage(format!("cannot hold {type_name}; it can hold {types}")));
    }
    let extension = says("DMD_EXTENSION");
    let extension = if extension.is_empty() { short.to_ascii_lowercase() } else { extension };
    Ok((short, format!(".{extension}")))
}

fn is_since_3_7() -> bool {
    VersionInfo::version_num().parse::<u32>().is_ok_and(|v| v >= 3_070_000)
}

/// GDAL's name of a sample type.
fn type_name(sample_type: SampleType) -> &'static str {
    match sample_type {
        SampleType::U8 => "Byte",
        SampleType::I8 => "Int8",
        SampleType::U16 => "UInt16",
        SampleType::I16 => "Int16",
        SampleType::U32 => "UInt32",
        SampleType::I32 => "Int32",
        SampleType::F32 => "Float32",
        SampleType::F64 => "Float64",
    }
}

/// What GDAL said that tells of a failure.
fn failure(heard: &[raw::Message]) -> Option<String> {
    heard.iter().find_map(raw::Message::failure)
}
