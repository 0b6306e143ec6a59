//! What a raster is, as plain data.

use gdal::raster::ColorInterpretation;
use gdal::{Dataset, Metadata};
use serde::Serialize;

use super::geokeys::Meaning;
use super::georef::Georeferencing;
use super::raw::{self, GDT_INT8};
use super::reason;
use crate::block::SampleType;
use crate::encode::Rgba;
use crate::window::Size;

/// How a band is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpretation {
    /// Brightness.
    Gray,
    /// Index into a colour table.
    Palette,
    /// Red of a colour picture.
    Red,
    /// Green of a colour picture.
    Green,
    /// Blue of a colour picture.
    Blue,
    /// Opacity.
    Alpha,
    /// Anything else, or not said.
    Undefined,
}

impl Interpretation {
    /// The word for it, in small letters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gray => "gray",
            Self::Palette => "palette",
            Self::Red => "red",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Alpha => "alpha",
            Self::Undefined => "undefined",
        }
    }
}

/// One band of a raster.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BandDescription {
    /// Sample type as numpy names it; complex types begin with "complex".
    pub sample_type: String,
    /// What the band shows.
    pub interpretation: Interpretation,
    /// The declared value of pixels without data.
    pub nodata: Option<f64>,
    /// The band's name, if it has one.
    pub description: Option<String>,
    /// Factor from samples to the values they stand for; 1 unless declared.
    pub scale: f64,
    /// What is added after that; 0 unless declared.
    pub offset: f64,
    /// Unit of the values, if declared; GDAL takes that of GeoTIFF heights from the vertical CRS.
    pub unit: Option<String>,
    /// Metadata items of the band that do not belong to a format or domain: names and values.
    #[serde(skip)]
    pub metadata: Vec<(String, String)>,
}

/// Which mask a raster carries beside nodata values and alpha.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaskKind {
    /// None.
    None,
    /// One mask for all bands, inside the file or in a `.msk` beside it.
    PerDataset,
}

/// What a raster is: everything the planner needs to know, found without reading pixels.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    /// GDAL's short name of the format.
    pub driver: String,
    /// Columns and rows.
    #[serde(serialize_with = "size_as_list")]
    pub size: Size,
    /// The bands in file order.
    pub bands: Vec<BandDescription>,
    /// Columns and rows of a block of the file.
    #[serde(serialize_with = "size_as_list")]
    pub block: Size,
    /// Sizes of the overviews that every band has, as GDAL numbers them.
    #[serde(serialize_with = "sizes_as_lists")]
    pub overviews: Vec<Size>,
    /// Mask beside nodata and alpha.
    pub mask: MaskKind,
    /// Colour table of the first band.
    #[serde(skip)]
    pub palette: Option<Vec<Rgba>>,
    /// How pixels relate to the ground.
    pub georeferencing: Georeferencing,
    /// Sample type of each band; `None` for complex ones.
    #[serde(skip)]
    pub types: Vec<Option<SampleType>>,
    /// Bits of the first band's samples that are used.
    pub bits: u32,
    /// Whether GDAL itself knows signed bytes (since 3.7).
    #[serde(skip)]
    pub native_int8: bool,
    /// Further lists of values without data, one value per band: alternatives to [`BandDescription::nodata`] of all bands.
    #[serde(skip)]
    pub further_nodata: Vec<Vec<Option<f64>>>,
    /// Metadata items of the dataset that do not belong to a format or domain: names and values.
    #[serde(skip)]
    pub metadata: Vec<(String, String)>,
    /// Whether the blocks of the file lie where its own tags say, so that they can be read without GDAL.
    #[serde(skip)]
    pub(super) direct: bool,
}

fn size_as_list<S: serde::Serializer>(size: &Size, s: S) -> Result<S::Ok, S::Error> {
    [size.width, size.height].serialize(s)
}

fn sizes_as_lists<S: serde::Serializer>(sizes: &[Size], s: S) -> Result<S::Ok, S::Error> {
    sizes.iter().map(|z| [z.width, z.height]).collect::<Vec<_>>().serialize(s)
}

impl Description {
    /// Describes an open dataset. What its keys mean does not have to be asked when it is `known`.
    ///
    /// # Errors
    /// The reason, when the dataset has no bands or GDAL cannot say what it is.
    pub(super) fn of(dataset: &Dataset, known: Option<&Meaning>) -> Result<Self, String> {
        let (width, height) = dataset.raster_size();
        let count = dataset.raster_count();
        if count == 0 {
            return Err("has no raster bands; name one of its subdatasets (see gdalinfo)".to_owned());
        }
        let mut bands = Vec::new();
        let mut types = Vec::new();
        let mut native_int8 = false;
        for index in 1..=count {
            let band = dataset.rasterband(index).map_err(|e| reason(&e))?;
            let code = raw::band_type(&band);
            native_int8 |= code == GDT_INT8;
            let signed = band.metadata_item("PIXELTYPE", "IMAGE_STRUCTURE").as_deref() == Some("SIGNEDBYTE");
            let (name, sample_type) = name_type(code, signed);
            types.push(sample_type);
            bands.push(BandDescription {
                sample_type: name,
                interpretation: interpretation(&band.color_interpretation()),
                nodata: nodata(&band),
                description: gdal::Metadata::description(&band).ok().filter(|d| !d.is_empty()),
                scale: band.scale().unwrap_or(1.0),
                offset: band.offset().unwrap_or(0.0),
                unit: match known {
                    Some(known) => known.units.get(index - 1).cloned().flatten(),
                    None => Some(band.unit()).filter(|u| !u.is_empty()),
                },
                metadata: items(&band),
            });
        }
        let first = dataset.rasterband(1).map_err(|e| reason(&e))?;
        let (block_width, block_height) = first.block_size();
        let flags = first.mask_flags().map_err(|e| reason(&e))?;
        let per_dataset = flags.is_per_dataset() && !flags.is_alpha() && !flags.is_nodata();
        Ok(Self {
            driver: dataset.driver().short_name(),
            size: Size::new(width, height),
            block: Size::new(block_width, block_height),
            overviews: overviews(dataset, count),
            mask: if per_dataset { MaskKind::PerDataset } else { MaskKind::None },
            palette: palette(&first),
            georeferencing: Georeferencing::of(dataset, known),
            bits: first
                .metadata_item("NBITS", "IMAGE_STRUCTURE")
                .and_then(|n| n.parse().ok())
                .unwrap_or_else(|| types[0].map_or(8, |t| t.bytes() as u32 * 8)),
            types,
            native_int8,
            bands,
            further_nodata: Vec::new(),
            metadata: items(dataset),
            direct: false,
        })
    }

    /// For some bands, by their 1-based numbers, the lists of values that mean no data, the declared one first; `None` when a band
    /// does not exist.
    pub(super) fn nodata_lists(&self, bands: &[usize]) -> Option<Vec<Vec<Option<f64>>>> {
        let declared = self.bands.iter().map(|b| b.nodata).collect();
        let lists = std::iter::once(&declared).chain(&self.further_nodata);
        let chosen = |list: &Vec<Option<f64>>| bands.iter().map(|n| list.get(n - 1).copied()).collect();
        lists.map(chosen).collect()
    }

    /// 1-based number of the alpha band, if there is one.
    pub fn alpha_band(&self) -> Option<usize> {
        self.bands.iter().position(|b| b.interpretation == Interpretation::Alpha).map(|i| i + 1)
    }
}

/// Metadata items of the default domain of a dataset or band.
fn items(of: &impl Metadata) -> Vec<(String, String)> {
    let pair = |item: String| item.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    of.metadata_domain("").unwrap_or_default().into_iter().filter_map(pair).collect()
}

/// The metadata items that inputs, or bands of theirs, agree on and that stay true of what is made from them: none that are computed
/// from the pixels or tell how the file is stored.
pub(crate) fn carried<'a>(mut lists: impl Iterator<Item = &'a [(String, String)]>) -> Vec<(String, String)> {
    const OF_THE_FILE: [&str; 6] = [
        "STATISTICS_",
        "OVR_RESAMPLING",
        "COLORINTERP",
        "TIFFTAG_SOFTWARE",
        "TIFFTAG_MINSAMPLEVALUE",
        "TIFFTAG_MAXSAMPLEVALUE",
    ];
    let Some(first) = lists.next() else { return Vec::new() };
    let mut items = first.to_vec();
    items.retain(|(name, _)| !OF_THE_FILE.iter().any(|start| name.to_ascii_uppercase().starts_with(start)));
    for other in lists {
        let differs = |name: &str, value: &str| other.iter().any(|(n, v)| n == name && v != value);
        items.retain(|(name, value)| !differs(name, value));
    }
    items
}

/// Declared nodata value; GDAL keeps those of 64-bit integers apart.
fn nodata(band: &gdal::raster::RasterBand<'_>) -> Option<f64> {
    match raw::band_type(band) {
        12 => band.no_data_value_u64().map(|v| v as f64),
        13 => band.no_data_value_i64().map(|v| v as f64),
        _ => band.no_data_value(),
    }
}

/// Name and sample type of a GDAL type code; complex types have no sample type. Codes up to 11 are as old as GDAL;
/// 12 and 13 (64-bit integers) came with 3.5, 14 (int8) with 3.7, 15 and 16 (half floats) with 3.11.
fn name_type(code: u32, signed_byte: bool) -> (String, Option<SampleType>) {
    let known = match code {
        1 if signed_byte => SampleType::I8,
        1 => SampleType::U8,
        2 => SampleType::U16,
        3 => SampleType::I16,
        4 => SampleType::U32,
        5 => SampleType::I32,
        6 | 15 => SampleType::F32,
        7 | 12 | 13 => SampleType::F64,
        GDT_INT8 => SampleType::I8,
        8 => return ("complex_int16".to_owned(), None),
        9 => return ("complex_int32".to_owned(), None),
        10 => return ("complex64".to_owned(), None),
        11 => return ("complex128".to_owned(), None),
        16 => return ("complex_float16".to_owned(), None),
        other => return (format!("type {other}"), None),
    };
    let name = match code {
        12 => "uint64",
        13 => "int64",
        _ => known.name(),
    };
    (name.to_owned(), Some(known))
}

fn interpretation(value: &ColorInterpretation) -> Interpretation {
    match value {
        ColorInterpretation::GrayIndex => Interpretation::Gray,
        ColorInterpretation::PaletteIndex => Interpretation::Palette,
        ColorInterpretation::RedBand => Interpretation::Red,
        ColorInterpretation::GreenBand => Interpretation::Green,
        ColorInterpretation::BlueBand => Interpretation::Blue,
        ColorInterpretation::AlphaBand => Interpretation::Alpha,
        _ => Interpretation::Undefined,
    }
}

/// Sizes of the overviews that all bands share; none when bands differ.
fn overviews(dataset: &Dataset, count: usize) -> Vec<Size> {
    let sizes = |index: usize| -> Option<Vec<Size>> {
        let band = dataset.rasterband(index).ok()?;
        let levels = band.overview_count().ok()?;
        (0..levels.max(0) as usize)
            .map(|i| band.overview(i).ok().map(|o| Size::new(o.x_size(), o.y_size())))
            .collect()
    };
    let first = sizes(1).unwrap_or_default();
    let same = (2..=count).all(|i| sizes(i).is_some_and(|s| s == first));
    if same { first } else { Vec::new() }
}

fn palette(band: &gdal::raster::RasterBand<'_>) -> Option<Vec<Rgba>> {
    let table = band.color_table()?;
    let clamp = |v: i16| v.clamp(0, 255) as u8;
    let entry = |i| table.entry_as_rgb(i).map(|e| [clamp(e.r), clamp(e.g), clamp(e.b), clamp(e.a)]);
    (0..table.entry_count()).map(entry).collect()
}
