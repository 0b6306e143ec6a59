//! Elevation models as terrain tiles: which heights a raster holds, and how they are shown.
//!
//! Heights are metres in 32-bit floats from the moment they are read, whatever the file's sample type: resampled integers
//! would make terraces of a metre that a hillshade shows, and inputs of different types, units and scales can be laid over
//! each other. Such a float is within 0.001 m below 16384 m. All levels are averaged as heights; colours are the
//! last step, and nothing is ever computed from them.

use std::str::FromStr;

use ndarray::Array2;

use super::look::{self, Look};
use super::picture::Picture;
use super::{TileJob, TilingScheme};
use crate::block::{Block, Sample, SampleType, Samples, Validity, interleaved_slice, interleaved_slice_mut};
use crate::encode::terrain::{Encoding, HeightEncoder};
use crate::error::{Error, Result};
use crate::raster::Description;
use crate::raster::source::Selection;

/// Options of terrain tiles. [`Terrain::new`] holds every default.
#[derive(Debug, Clone, PartialEq)]
pub struct Terrain {
    /// How heights become colours.
    pub encoding: Encoding,
    /// Height of pixels without data, in metres; default 0. Tiles without any data are left out.
    pub nodata_height: f64,
    /// Heights rounded further than the encoding asks for; default not at all.
    pub rounding: Rounding,
    /// Factor from samples to values instead of the declared one.
    pub scale: Option<f64>,
    /// What is added after that, instead of what is declared.
    pub offset: Option<f64>,
    /// Unit of the values instead of the declared one.
    pub unit: Option<HeightUnit>,
}

impl Terrain {
    /// Terrain tiles with every default.
    pub fn new(encoding: Encoding) -> Self {
        let rounding = Rounding::None;
        Self { encoding, nodata_height: 0.0, rounding, scale: None, offset: None, unit: None }
    }

    /// Refuses options that make no sense, before any file is touched.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(super) fn validate(&self, job: &TileJob) -> Result<()> {
        let usage = |text: String| Err(Error::Usage(text));
        if job.categorical {
            return usage(
                "--encoding makes heights of values: --categorical cannot be used with it".to_owned(),
            );
        }
        if job.picture.colormap.is_some() {
            return usage(
                "--encoding makes the colours of heights: --colormap cannot be used with it".to_owned(),
            );
        }
        if job.picture.scale.is_some() {
            return usage(
                "--encoding keeps heights as they are: --scale MIN,MAX cannot be used with it; see --a-scale and \
                 --a-offset"
                    .to_owned(),
            );
        }
        let (base, interval) = (self.encoding.base(), self.encoding.interval());
        if !base.is_finite() || !(1e-6..=1e6).contains(&interval) {
            return usage(format!(
                "--base-val {base} --interval {interval}: give finite metres, interval above 0"
            ));
        }
        let (low, high) = self.encoding.range();
        if !(low..=high).contains(&self.nodata_height) {
            return usage(format!(
                "--nodata-height {}: {} tiles hold heights from {low} to {high:.3} m",
                self.nodata_height,
                self.encoding.name()
            ));
        }
        for (name, value) in [("--a-scale", self.scale), ("--a-offset", self.offset)] {
            if let Some(v) = value.filter(|v| !v.is_finite() || (name == "--a-scale" && *v == 0.0)) {
                return usage(format!("{name} {v}: give a number that values can be computed with"));
            }
        }
        self.rounding.validate(&self.encoding, &job.tiling)
    }

    /// The encoder of a zoom level.
    pub(super) fn encoder(&self, z: u8, tile_size: usize) -> HeightEncoder {
        let (every, anchor) = self.rounding.steps(&self.encoding, z, tile_size);
        HeightEncoder::new(&self.encoding, every, anchor, self.nodata_height)
    }

    /// Which band holds heights and how its samples become metres. What was decided in the user's place is told in words.
    ///
    /// # Errors
    /// Why the raster is no elevation model.
    pub(super) fn choose(
        &self,
        description: &Description,
        picture: &Picture,
        tile_size: usize,
    ) -> Result<(Selection, Look, Metres, Vec<String>), String> {
        let (selection, _, guess) = look::choose(description, picture)?;
        let name = self.encoding.name();
        let [band] = selection.bands[..] else {
            let count = description.bands.len();
            return Err(format!(
                "--encoding {name} takes one band of heights, not the colours of {count} bands; name the band of heights \
                 (-b N)"
            ));
        };
        if description.palette.is_some() && band == 1 {
            return Err(format!("--encoding {name} takes heights; a colour table has none"));
        }
        if selection.sample_type == SampleType::I8 && !description.native_int8 {
            return Err(
                "signed bytes cannot be read as heights; convert them first (gdal_translate -ot Int16)"
                    .to_owned(),
            );
        }
        let mut guesses: Vec<String> = guess.into_iter().collect();
        let metres = self.metres(description, band, &mut guesses)?;
        let selection = Selection { sample_type: SampleType::F32, ..selection };
        Ok((selection, Look::Terrain { terrain: self.clone(), tile_size }, metres, guesses))
    }

    fn metres(
        &self,
        description: &Description,
        number: usize,
        guesses: &mut Vec<String>,
    ) -> Result<Metres, String> {
        let band = &description.bands[number - 1];
        let scale = self.scale.unwrap_or(band.scale);
        let offset = self.offset.unwrap_or(band.offset);
        let declared = |own: Option<f64>, v: f64, neutral: f64| own.is_none() && v != neutral;
        if declared(self.scale, scale, 1.0) || declared(self.offset, offset, 0.0) {
            guesses.push(format!(
                "heights are value × {scale} + {offset}, as band {number} declares (--a-scale {scale} --a-offset={offset})"
            ));
        }
        let unit = self.unit.map_or_else(|| declared_unit(description, number, guesses), Ok)?;
        Ok(Metres { scale: scale * unit.metres, offset: offset * unit.metres })
    }
}

/// The unit of a band's values: what the band says, else the vertical part of the CRS, else the metre. Anything but declared
/// metres is told in words.
fn declared_unit(
    description: &Description,
    number: usize,
    guesses: &mut Vec<String>,
) -> Result<HeightUnit, String> {
    let (name, unit) = if let Some(name) = &description.bands[number - 1].unit {
        let unit = name.parse().map_err(|_| {
            format!(
                "band {number} is in '{name}', which is no unit of heights; give --height-unit m (or ft, us-ft, a number of \
                 metres) if it holds heights all the same"
            )
        })?;
        (format!("band {number} is in '{name}'"), unit)
    } else if let Some(unit) = description.georeferencing.vertical_unit() {
        (format!("the CRS has heights in '{}'", unit.name), HeightUnit { metres: unit.metres })
    } else {
        guesses.push(format!("band {number} names no unit, taken for metres (--height-unit m)"));
        return Ok(HeightUnit::METRE);
    };
    if unit != HeightUnit::METRE {
        guesses.push(format!("{name}, made metres (--height-unit {})", unit.option()));
    }
    Ok(unit)
}

/// How coarse heights are, beyond the interval of their encoding: fewer different numbers make smaller tiles. Levels are
/// made from heights that are not rounded.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Rounding {
    /// To the interval of the encoding.
    #[default]
    None,
    /// The lowest bits of the number are zero, as `rio rgbify --round-digits` has it: multiples of 2ⁿ intervals above the
    /// base.
    Digits(u8),
    /// Multiples of this many metres, which must be a multiple of the interval.
    Metres(f64),
    /// Per zoom, in proportion to the size of a pixel: the most intervals, by powers of two, that are not above 2^(12 − z) m for tiles
    /// of 256 pixels and 2^(11 − z) m for 512, a 38th of a pixel at the equator; at most 64 m. The table of Mapterhorn
    /// (<https://mapterhorn.com/data-access/>), where 2^(19 − z) / 256 m rounds tiles of 512 pixels.
    Auto,
}

/// The coarsest rounding of [`Rounding::Auto`]: coarser levels have so few tiles that nothing would be gained.
const COARSEST: f64 = 64.0;

impl Rounding {
    fn validate(self, encoding: &Encoding, tiling: &TilingScheme) -> Result<()> {
        let usage = |text: String| Err(Error::Usage(text));
        match self {
            Self::Digits(n) if n > 16 => usage(format!("--round-digits {n}: give 0 to 16 bits")),
            Self::Metres(metres) => {
                let intervals = metres / encoding.interval();
                let whole = intervals.round();
                if !(1.0..=65_536.0).contains(&whole) || (intervals - whole).abs() > 1e-6 * whole {
                    return usage(format!(
                        "--round-heights {metres}: heights of --encoding {} are multiples of {} m; give 'auto' or a multiple of \
                         it, up to 65536 times",
                        encoding.name(),
                        encoding.interval()
                    ));
                }
                Ok(())
            }
            Self::Auto if *tiling != TilingScheme::WebMercatorQuad => usage(
                "--round-heights auto goes by the zoom levels of WebMercatorQuad, and --tiling-scheme asks for others; give \
                 metres"
                    .to_owned(),
            ),
            _ => Ok(()),
        }
    }

    /// From one number in use to the next, and one of those in use: height 0, so that the sea stays where it is.
    fn steps(self, encoding: &Encoding, z: u8, tile_size: usize) -> (u32, u32) {
        let zero = (-encoding.base() / encoding.interval()).round().max(0.0) as u32;
        match self {
            Self::None => (1, 0),
            Self::Digits(bits) => (1 << bits.min(16), 0),
            Self::Metres(metres) => ((metres / encoding.interval()).round() as u32, zero),
            Self::Auto => {
                let limit = (4096.0 / (1u64 << z) as f64 * 256.0 / tile_size as f64).min(COARSEST);
                let fits = |bits: &u32| f64::from(1u32 << bits) * encoding.interval() <= limit;
                (1 << (0..=16).take_while(fits).last().unwrap_or(0), zero)
            }
        }
    }
}

/// A unit of heights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeightUnit {
    /// How many metres it has.
    pub metres: f64,
}

/// Units by the names that options and files give them; the first of each is the option's. Feet as the EPSG registry has them
/// (units 9002 and 9003).
const UNITS: [(f64, &[&str]); 7] = [
    (
        1.0,
        &[
            "m",
            "metre",
            "metres",
            "meter",
            "meters",
            "mt",
            "m asl",
            "metres above sea level",
            "meters above sea level",
        ],
    ),
    (0.3048, &["ft", "foot", "feet", "international foot", "international feet", "foot_intl", "ifoot"]),
    (
        1200.0 / 3937.0,
        &[
            "us-ft",
            "us survey foot",
            "us survey feet",
            "ftus",
            "us_survey_foot",
            "us_survey_feet",
            "foot_us",
            "sfoot",
            "survey foot",
            "us foot",
            "us feet",
        ],
    ),
    (0.01, &["cm", "centimetre", "centimetres", "centimeter", "centimeters"]),
    (0.001, &["mm", "millimetre", "millimetres", "millimeter", "millimeters"]),
    (0.1, &["dm", "decimetre", "decimetres", "decimeter", "decimeters"]),
    (1000.0, &["km", "kilometre", "kilometres", "kilometer", "kilometers"]),
];

impl HeightUnit {
    /// The metre.
    pub const METRE: Self = Self { metres: 1.0 };

    /// The unit as `--height-unit` takes it.
    fn option(self) -> String {
        let known = UNITS.iter().find(|(metres, _)| (*metres - self.metres).abs() < 1e-12);
        known.map_or_else(|| self.metres.to_string(), |(_, names)| names[0].to_owned())
    }
}

impl FromStr for HeightUnit {
    type Err = String;

    /// A name, or the number of metres the unit has.
    fn from_str(name: &str) -> Result<Self, String> {
        let lower = name.trim().to_ascii_lowercase();
        let known =
            UNITS.iter().find(|(_, names)| names.contains(&lower.as_str())).map(|(metres, _)| *metres);
        let number = || lower.parse::<f64>().ok().filter(|v| v.is_finite() && *v != 0.0);
        known.or_else(number).map(|metres| Self { metres }).ok_or_else(|| {
            let names: Vec<_> = UNITS.iter().map(|(_, names)| names[0]).collect();
            format!("unknown unit '{name}'; known are {}, or give the metres it has", names.join(", "))
        })
    }
}

/// From samples to metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metres {
    /// Metres per unit of the samples.
    pub scale: f64,
    /// Height of sample 0 in metres.
    pub offset: f64,
}

impl Metres {
    /// The heights of a block of samples that were read as 32-bit floats, in metres, zero where there is no data. Infinities are
    /// no data, for they would spoil all that is interpolated from them; coverage becomes all or nothing.
    pub(super) fn apply(&self, mut block: Block) -> Block {
        let size = block.window.size();
        let Samples::F32(array) = &mut block.samples else { return block };
        let Some(values) = interleaved_slice_mut(array) else { return block };
        if *self != (Self { scale: 1.0, offset: 0.0 }) {
            for v in values.iter_mut() {
                *v = (f64::from(*v) * self.scale + self.offset) as f32;
            }
        }
        let finite = values.iter().fold(true, |all, v| all & v.is_finite());
        if finite && block.validity == Validity::All {
            return block;
        }
        let mut plane = match block.validity {
            Validity::PerPixel(plane) => plane,
            Validity::All => Array2::from_elem((size.height, size.width), 255),
        };
        for (v, cover) in values.iter_mut().zip(plane.iter_mut()) {
            *cover = if *cover > 0 && v.is_finite() { 255 } else { 0 };
            *v = if *cover > 0 { *v } else { 0.0 };
        }
        block.validity = Validity::PerPixel(plane).simplified();
        block
    }
}

/// Heights as colours, pixel-interleaved; the number of heights that no colour stands for.
pub(super) fn colours(encoder: &HeightEncoder, block: &Block) -> (Vec<u8>, u64) {
    let mut rgb = vec![0; block.window.area() * 3];
    let coverage = match &block.validity {
        Validity::PerPixel(plane) => plane.as_slice(),
        Validity::All => None,
    };
    let heights = f32::unwrap(&block.samples).and_then(interleaved_slice).unwrap_or_default();
    let beyond = encoder.encode(heights, coverage, &mut rgb);
    (rgb, beyond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::interleaved_array;
    use crate::window::Window;

    fn block(values: &[f32], coverage: Option<&[u8]>) -> Block {
        let window = Window::new(0, 0, values.len(), 1);
        let samples = Samples::F32(interleaved_array(values.to_vec(), 1, window.size()).expect("fits"));
        let plane = |c: &[u8]| Array2::from_shape_vec((1, c.len()), c.to_vec()).expect("fits");
        Block { window, samples, validity: coverage.map_or(Validity::All, |c| Validity::PerPixel(plane(c))) }
    }

    #[test]
    fn infinities_and_uncovered_pixels_hold_no_height() {
        let metres = Metres { scale: 0.5, offset: 10.0 };
        let heights = metres.apply(block(&[2.0, f32::INFINITY, 7.0, 8.0], Some(&[255, 255, 0, 3])));
        assert_eq!(heights, block(&[11.0, 0.0, 0.0, 14.0], Some(&[255, 0, 0, 255])));
        let same = Metres { scale: 1.0, offset: 0.0 };
        assert_eq!(same.apply(block(&[f32::NAN, 2.0], None)), block(&[0.0, 2.0], Some(&[0, 255])));
    }

    #[test]
    fn units_have_the_names_that_files_and_people_use() {
        let metres = |name: &str| name.parse::<HeightUnit>().map(|u| u.metres);
        assert_eq!(metres("US survey foot"), Ok(1200.0 / 3937.0));
        assert_eq!(metres("Feet"), Ok(0.3048));
        assert_eq!(metres(" metre "), Ok(1.0));
        assert_eq!(metres("1.8288"), Ok(1.8288));
        assert_eq!(HeightUnit { metres: 0.304_800_609_601_219_2 }.option(), "us-ft");
        assert!(metres("kelvin").is_err() && metres("0").is_err() && metres("nan").is_err());
    }

    #[test]
    fn automatic_rounding_follows_the_size_of_a_pixel() {
        let metres = |encoding: Encoding, z, side| {
            f64::from(Rounding::Auto.steps(&encoding, z, side).0) * encoding.interval()
        };
        // The table of Mapterhorn, tiles of 512 pixels.
        for (z, expected) in [(19, 1.0 / 256.0), (15, 0.0625), (12, 0.5), (10, 2.0), (5, 64.0), (0, 64.0)] {
            assert_eq!(metres(Encoding::Terrarium, z, 512), expected, "zoom {z}");
            assert_eq!(metres(Encoding::Terrarium, z + 1, 256), expected, "zoom {z}");
        }
        assert_eq!(metres(Encoding::Terrarium, 24, 256), 1.0 / 256.0);
        for (z, expected) in [(16, 0.1), (13, 0.4), (12, 0.8), (10, 3.2)] {
            assert!((metres(Encoding::MAPBOX, z, 256) - expected).abs() < 1e-9, "zoom {z}");
        }
    }

    #[test]
    fn rounding_keeps_the_sea_at_zero() {
        for rounding in [Rounding::Auto, Rounding::Metres(30.0)] {
            for encoding in [Encoding::MAPBOX, Encoding::Terrarium] {
                let (every, anchor) = rounding.steps(&encoding, 3, 256);
                let zero = HeightEncoder::new(&encoding, every, anchor, 7.0);
                let plain = HeightEncoder::new(&encoding, 1, 0, 7.0);
                let [mut a, mut b] = [[9u8; 3]; 2];
                zero.encode(&[0.0], None, &mut a);
                plain.encode(&[0.0], None, &mut b);
                assert_eq!(a, b, "{rounding:?} {encoding:?}");
            }
        }
    }

    #[test]
    fn rejects_rounding_that_the_encoding_cannot_keep() {
        let check = |metres| Rounding::Metres(metres).validate(&Encoding::MAPBOX, &TilingScheme::default());
        assert!(check(0.1).is_ok() && check(0.3).is_ok() && check(50.0).is_ok());
        for bad in [0.25, 0.0, -1.0, f64::NAN, 1e9] {
            assert!(matches!(check(bad), Err(Error::Usage(_))), "{bad}");
        }
        assert!(Rounding::Auto.validate(&Encoding::MAPBOX, &TilingScheme::Raster).is_err());
    }
}
