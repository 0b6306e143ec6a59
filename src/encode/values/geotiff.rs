//! `GeoTIFF` tiles of any sample type, made by GDAL's own driver in memory.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use gdal::raster::{Buffer, ColorEntry, ColorInterpretation, ColorTable, GdalType, RasterCreationOptions};
use gdal::{Dataset, Driver, DriverManager, Metadata};

use super::{Absence, ValueEncoder, filled};
use crate::block::{Block, Sample, Samples};
use crate::encode::{Rgba, TileFormat};
use crate::error::{Error, Result};
use crate::grid::{Grid, TileCoord, TileGrid};
use crate::raster::check_creation_options;
use crate::raster::describe::{BandDescription, Interpretation};
use crate::window::Size;

/// What all tiles of a set have in common.
#[derive(Debug, Clone)]
pub struct Common {
    /// The bands, in order, without the one for opacity.
    pub bands: Vec<BandDescription>,
    /// Colour table of the first band.
    pub palette: Option<Vec<Rgba>>,
    /// What stands where there is no data.
    pub absence: Absence,
    /// What the tiles divide.
    pub grid: Grid,
    /// Columns and rows of the image whose pixels that may be.
    pub image: Size,
    /// The CRS of the grid as well-known text; none for tiles without a place on the Earth.
    pub wkt: Option<String>,
    /// For a grid that counts pixels of a raster: the geotransform of these.
    pub pixels: Option<[f64; 6]>,
    /// Side of a tile in pixels.
    pub tile_size: usize,
    /// The sample type has fractions, which suits another predictor.
    pub float: bool,
}

/// Encodes `GeoTIFF`.
#[derive(Debug)]
pub struct GeoTiff {
    common: Common,
    creation: Vec<String>,
}

/// Each file in memory has a name of its own.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Creation options that make files beside a tile, or need more than one pass.
const REFUSED: [&str; 4] = ["TFW", "WORLDFILE", "RPB", "COPY_SRC_OVERVIEWS"];

/// Values of COMPRESS that a predictor helps.
const PREDICTED: [&str; 3] = ["DEFLATE", "LZW", "ZSTD"];

impl GeoTiff {
    /// An encoder with GDAL's creation options (`KEY=VALUE`). Unless they say otherwise tiles are one strip, compressed with DEFLATE and
    /// the predictor that suits the type.
    ///
    /// # Errors
    /// [`Error::Usage`] naming an option that GDAL does not know.
    pub fn new(common: Common, creation: &[String]) -> Result<Self> {
        check_creation_options("GTiff", creation)?;
        let pairs = || creation.iter().filter_map(|option| option.split_once('='));
        if let Some((key, _)) =
            pairs().find(|(key, _)| REFUSED.iter().any(|name| key.eq_ignore_ascii_case(name)))
        {
            let text = format!("--co {key}: makes files of its own, which tiles have no place for");
            return Err(Error::Usage(text));
        }
        let given = |key: &str| {
            pairs().rev().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
        };
        let mut options = creation.to_vec();
        if given("COMPRESS").is_none() {
            options.push("COMPRESS=DEFLATE".to_owned());
        }
        let compress = given("COMPRESS").unwrap_or("DEFLATE");
        let predicted = PREDICTED.iter().any(|name| compress.eq_ignore_ascii_case(name));
        if predicted && given("PREDICTOR").is_none() && common.palette.is_none() {
            options.push(format!("PREDICTOR={}", if common.float { 3 } else { 2 }));
        }
        if given("TILED").is_none() && given("BLOCKYSIZE").is_none() {
            options.push(format!("BLOCKYSIZE={}", common.tile_size));
        }
        if common.absence == Absence::Alpha && given("ALPHA").is_none() {
            options.push("ALPHA=YES".to_owned());
        }
        Ok(Self { common, creation: options })
    }

    /// Upper left corner and size of a pixel of a tile, as GDAL has it.
    fn geotransform(&self, tile: TileCoord) -> Option<[f64; 6]> {
        let Common { grid, image, tile_size, .. } = &self.common;
        let square = |square: TileGrid| (square.west, square.north, square.resolution(tile.z, *tile_size));
        let (west, north, step) = match grid {
            Grid::WebMercator => square(TileGrid::WEB_MERCATOR),
            Grid::Image => square(TileGrid::raster(image.width, image.height, *tile_size).0),
            Grid::Set(set) => {
                let step = |cell: f64| cell * set.tile_size as f64 / *tile_size as f64;
                set.matrix(tile.z).map(|m| (m.west, m.north, step(m.cell)))?
            }
        };
        let x = west + f64::from(tile.x) * *tile_size as f64 * step;
        let y = north - f64::from(tile.y) * *tile_size as f64 * step;
        match self.common.pixels {
            None => self.common.wkt.as_ref().map(|_| [x, step, 0.0, y, 0.0, -step]),
            // The grid counts columns to the right and rows, negative, down.
            Some(g) => Some([
                g[0] + x * g[1] - y * g[2],
                step * g[1],
                step * g[2],
                g[3] + x * g[4] - y * g[5],
                step * g[4],
                step * g[5],
            ]),
        }
    }

    fn write<T: Sample + GdalType>(
        &self,
        path: &str,
        tile: TileCoord,
        pixels: &Block,
    ) -> Result<(), Refusal> {
        let common = &self.common;
        let (bands, size) = (pixels.bands(), pixels.window.size());
        let count = bands + usize::from(common.absence == Absence::Alpha);
        let options: RasterCreationOptions = self.creation.iter().map(String::as_str).collect();
        let mut dataset = driver()?.create_with_band_type_with_options::<T, _>(
            path,
            size.width,
            size.height,
            count,
            &options,
        )?;
        if let Some(wkt) = &common.wkt {
            dataset.set_projection(wkt)?;
        }
        if let Some(geotransform) = self.geotransform(tile) {
            dataset.set_geo_transform(&geotransform)?;
        }
        for (number, about) in (1..).zip(&common.bands) {
            describe(&dataset, number, about, common)?;
        }
        if count > bands {
            dataset.rasterband(count)?.set_color_interpretation(ColorInterpretation::AlphaBand)?;
        }
        let values = filled::<T>(pixels, common.absence);
        for number in 1..=count {
            let own: Vec<T> = values.iter().skip(number - 1).step_by(count).copied().collect();
            let shape = (size.width, size.height);
            dataset.rasterband(number)?.write((0, 0), shape, &mut Buffer::new(shape, own))?;
        }
        Ok(dataset.close()?)
    }
}

impl ValueEncoder for GeoTiff {
    fn format(&self) -> TileFormat {
        TileFormat::Tiff
    }

    fn encode(&self, tile: TileCoord, pixels: &Block, out: &mut Vec<u8>) -> Result<()> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = format!("/vsimem/tileloom-{}-{number}.tif", std::process::id());
        let written = match &pixels.samples {
            Samples::U8(_) => self.write::<u8>(&path, tile, pixels),
            Samples::U16(_) => self.write::<u16>(&path, tile, pixels),
            Samples::I16(_) => self.write::<i16>(&path, tile, pixels),
            Samples::U32(_) => self.write::<u32>(&path, tile, pixels),
            Samples::I32(_) => self.write::<i32>(&path, tile, pixels),
            Samples::F32(_) => self.write::<f32>(&path, tile, pixels),
            Samples::F64(_) => self.write::<f64>(&path, tile, pixels),
            Samples::I8(_) => Err(Refusal("signed bytes have no place in it".to_owned())),
        };
        let bytes = written.and_then(|()| Ok(gdal::vsi::get_vsi_mem_file_bytes_owned(&path)?));
        match bytes {
            Ok(bytes) => {
                out.extend(bytes);
                Ok(())
            }
            Err(Refusal(reason)) => {
                // Whatever there is of it.
                let _ = gdal::vsi::unlink_mem_file(&path);
                Err(Error::output(
                    PathBuf::from(format!("{tile}.tif")),
                    format!("GDAL cannot make it: {reason}"),
                ))
            }
        }
    }
}

/// GDAL's reason.
struct Refusal(String);

impl From<gdal::errors::GdalError> for Refusal {
    fn from(error: gdal::errors::GdalError) -> Self {
        Self(crate::raster::reason(&error))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

fn driver() -> Result<Driver> {
    DriverManager::get_driver_by_name("GTiff")
        .map_err(|_| Error::Usage("-f tif: this GDAL has no GeoTIFF driver".to_owned()))
}

fn describe(
    dataset: &Dataset,
    number: usize,
    about: &BandDescription,
    common: &Common,
) -> Result<(), gdal::errors::GdalError> {
    let mut band = dataset.rasterband(number)?;
    let interpretation = match about.interpretation {
        Interpretation::Gray => ColorInterpretation::GrayIndex,
        Interpretation::Palette => ColorInterpretation::PaletteIndex,
        Interpretation::Red => ColorInterpretation::RedBand,
        Interpretation::Green => ColorInterpretation::GreenBand,
        Interpretation::Blue => ColorInterpretation::BlueBand,
        Interpretation::Alpha | Interpretation::Undefined => ColorInterpretation::Undefined,
    };
    match &common.palette {
        Some(table) if number == 1 => {
            let mut colours = ColorTable::default();
            for (index, [r, g, b, a]) in (0u16..).zip(table) {
                let [r, g, b, a] = [*r, *g, *b, *a].map(i16::from);
                colours.set_color_entry(index, &ColorEntry::rgba(r, g, b, a));
            }
            band.set_color_table(&colours);
        }
        _ => band.set_color_interpretation(interpretation)?,
    }
    if let Absence::Nodata(value) = common.absence {
        band.set_no_data_value(Some(value))?;
    }
    if about.scale != 1.0 || about.offset != 0.0 {
        band.set_scale(about.scale)?;
        band.set_offset(about.offset)?;
    }
    if let Some(name) = &about.description {
        band.set_description(name)?;
    }
    Ok(())
}
