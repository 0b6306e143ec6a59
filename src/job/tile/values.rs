//! Tiles of values as they are, for analysis and machine learning: which bands and type they have, and what stands where there
//! is no data.

use super::look::{self, Look};
use super::masking::Alpha;
use super::picture::Picture;
use super::plan::Plan;
use super::sketch::Sketch;
use super::{TileJob, TilingScheme};
use crate::block::SampleType;
use crate::encode::png::PngMode;
use crate::encode::values::geotiff::{Common, GeoTiff};
use crate::encode::values::png16::Png16;
use crate::encode::values::{Absence, ValueEncoder};
use crate::encode::{EncoderOptions, Rgba};
use crate::error::{Error, Result};
use crate::raster::Description;
use crate::raster::describe::BandDescription;
use crate::raster::source::Selection;
use crate::sink::OutputKind;
use crate::window::Size;

/// Options of tiles that hold values. The default keeps the type and the nodata value of the inputs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Values {
    /// Sample type of the tiles; default that of the inputs, and 16 bits in PNG.
    pub sample_type: Option<SampleType>,
    /// The value that stands for no data and is declared in the tiles; default the one the inputs declare.
    pub nodata: Option<f64>,
    /// GDAL's creation options of `GeoTIFF`, `KEY=VALUE`.
    pub creation: Vec<String>,
}

/// What tiles of values hold, once the inputs are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Content {
    /// The bands, without the one for opacity.
    pub bands: Vec<BandDescription>,
    /// Colour table of the first band.
    pub palette: Option<Vec<Rgba>>,
    /// What stands where there is no data.
    pub absence: Absence,
}

impl Values {
    /// Refuses options that make no sense, before any file is touched.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(super) fn validate(&self, job: &TileJob) -> Result<()> {
        let usage = |text: &str| Err(Error::Usage(text.to_owned()));
        let tiff = job.tiles == EncoderOptions::Tiff;
        let what = if tiff { "-f tif" } else { "--ot UInt16" };
        let pictures = [
            (job.terrain.is_some(), "--encoding"),
            (job.picture.colormap.is_some(), "--colormap"),
            (job.picture.scale.is_some(), "--scale"),
            (job.masking.background.is_some(), "--background"),
        ];
        if let Some((_, option)) = pictures.iter().find(|(given, _)| *given) {
            return Err(Error::Usage(format!(
                "{what} keeps values as they are: {option}, which makes pictures of 8 bits, cannot be used with it"
            )));
        }
        if !tiff {
            if self.sample_type != Some(SampleType::U16) {
                return usage(
                    "PNG tiles have 8 or 16 bits: --ot Byte or UInt16, or another type with -f tif",
                );
            }
            if self.nodata.is_some() {
                return usage("--dst-nodata is for tif tiles: PNG tells by alpha which pixels hold no data");
            }
            return Ok(());
        }
        if self.sample_type == Some(SampleType::I8) {
            return usage("--ot Int8: GeoTIFF tiles of signed bytes cannot be made: use Int16");
        }
        if job.masking.alpha == Alpha::Always && self.nodata.is_some() {
            return usage("--add-alpha and --dst-nodata both say where there is no data: drop one of them");
        }
        if !OutputKind::from_path(&job.target.path)?.is_free() {
            return usage("tif tiles are for a folder or .tar: MBTiles and PMTiles hold pictures only");
        }
        Ok(())
    }

    /// Which bands are kept, and in which type. What was decided in the user's place is told in words.
    ///
    /// # Errors
    /// Why no tiles can be made of the raster.
    pub(super) fn choose(
        &self,
        description: &Description,
        picture: &Picture,
        tiles: EncoderOptions,
    ) -> Result<(Selection, Look, Option<String>), String> {
        let alpha = description.alpha_band();
        let (mut selection, guess) = if tiles == EncoderOptions::Tiff {
            let mut bands = picture.numbers(description)?;
            if bands.is_empty() {
                bands = (1..=description.bands.len()).collect();
            }
            bands.retain(|n| Some(*n) != alpha);
            if bands.is_empty() {
                return Err("has no band but the one for opacity".to_owned());
            }
            let sample_type = look::common_type(description, &bands)?;
            (Selection { bands, alpha, sample_type }, None)
        } else {
            let (selection, _, guess) = look::choose(description, picture)?;
            (selection, guess)
        };
        selection.sample_type = match self.sample_type.unwrap_or(selection.sample_type) {
            SampleType::I8 => SampleType::I16,
            other => other,
        };
        if description.types.contains(&Some(SampleType::I8)) && !description.native_int8 {
            return Err(
                "signed bytes cannot be read as numbers; convert them first (gdal_translate -ot Int16)"
                    .to_owned(),
            );
        }
        let named = description.palette.is_some() && selection.bands == [1];
        let look = Look::Values { bands: selection.bands.len(), sample_type: selection.sample_type, named };
        Ok((selection, look, guess))
    }

    /// What the tiles hold. What was decided in the user's place is told in words.
    ///
    /// # Errors
    /// [`Error::Usage`] for a nodata value that the type does not have, [`Error::Input`] for inputs that differ too much.
    pub(super) fn content(
        &self,
        sketches: &[Sketch],
        job: &TileJob,
        guesses: &mut Vec<String>,
    ) -> Result<Content> {
        let first = &sketches[0];
        if let Some(odd) = sketches.iter().find(|s| !s.same_kind(first)) {
            return Err(odd.spec.error(format!(
                "has other bands or another sample type than '{}': tiles hold values as they are, so inputs must be of one kind \
                 (-b and --ot can make them so)",
                first.spec.path.display()
            )));
        }
        let (selection, description) = (&first.selection, &first.description);
        let bands = selection.bands.iter().map(|n| description.bands[n - 1].clone()).collect();
        let palette = description.palette.clone().filter(|_| selection.bands == [1]);
        let absence = self.absence(sketches, job, guesses)?;
        Ok(Content { bands, palette, absence })
    }

    fn absence(&self, sketches: &[Sketch], job: &TileJob, guesses: &mut Vec<String>) -> Result<Absence> {
        let selection = &sketches[0].selection;
        let sample_type = selection.sample_type;
        let holds = |v: f64| sample_type.holds(v);
        if let Some(value) = self.nodata {
            if !holds(value) {
                let name = sample_type.name();
                return Err(Error::Usage(format!(
                    "--dst-nodata {value}: samples of type {name} have no such value"
                )));
            }
            return Ok(Absence::Nodata(value));
        }
        match job.masking.alpha {
            Alpha::Always => return Ok(Absence::Alpha),
            Alpha::Never => return Ok(Absence::Black),
            Alpha::AsNeeded => {}
        }
        let declared = |s: &Sketch| s.description.bands[s.selection.bands[0] - 1].nodata;
        let common = declared(&sketches[0]).filter(|v| holds(*v));
        let same = |v: f64| sketches.iter().filter_map(declared).all(|d| d.to_bits() == v.to_bits());
        let faded = sketches.iter().any(|s| s.selection.alpha.is_some());
        let chosen = match (common, sample_type) {
            (Some(value), _) if same(value) && !faded => return Ok(Absence::Nodata(value)),
            (_, SampleType::U8 | SampleType::U16) => {
                guesses.push(
                    "a band for opacity, as no nodata value is known (--add-alpha; --dst-nodata for a value)"
                        .to_owned(),
                );
                return Ok(Absence::Alpha);
            }
            (_, SampleType::F32 | SampleType::F64) => f64::NAN,
            (_, SampleType::U32) => f64::from(u32::MAX),
            (_, SampleType::I32) => f64::from(i32::MIN),
            (_, SampleType::I8 | SampleType::I16) => f64::from(i16::MIN),
        };
        guesses.push(format!("{chosen} where there is no data (--dst-nodata={chosen})"));
        Ok(Absence::Nodata(chosen))
    }

    /// The encoder of a plan's tiles.
    ///
    /// # Errors
    /// [`Error::Usage`] for creation options that GDAL does not know.
    pub(super) fn encoder(&self, job: &TileJob, plan: &Plan) -> Result<Box<dyn ValueEncoder>> {
        if let EncoderOptions::Png(options) = job.tiles {
            let alpha = match job.masking.alpha {
                Alpha::AsNeeded => None,
                Alpha::Always => Some(true),
                Alpha::Never => Some(false),
            };
            let mode: PngMode = options.mode;
            return Ok(Box::new(Png16::new(mode, alpha)));
        }
        let Some(content) = plan.values.clone() else {
            return Err(Error::Internal("tiles of values without a content".to_owned()));
        };
        let first = plan.inputs().first();
        let georeferencing = first.map(|input| &input.georeferencing);
        let raster = job.tiling == TilingScheme::Raster;
        let wkt = if raster {
            georeferencing.and_then(|g| g.wkt.clone())
        } else {
            plan.plane.as_ref().map(|plane| plane.wkt().map_err(Error::Internal)).transpose()?
        };
        let pixels = georeferencing.filter(|_| raster).and_then(|g| g.geotransform);
        Ok(Box::new(GeoTiff::new(
            Common {
                bands: content.bands,
                palette: content.palette,
                absence: content.absence,
                grid: plan.grid.clone(),
                image: first.map_or(Size::new(1, 1), |input| input.full),
                wkt,
                pixels,
                tile_size: plan.tile_size,
                float: matches!(plan.sample_type, SampleType::F32 | SampleType::F64),
            },
            &self.creation,
        )?))
    }
}
