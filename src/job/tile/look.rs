//! How samples become an 8-bit picture.

use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::{Array2, Array3};

use super::terrain::{self, Terrain};
use crate::block::{Block, Sample, SampleType, Samples, Validity, interleaved_array, interleaved_slice};
use crate::encode::{Colour, Rgba};
use crate::raster::Description;
use crate::raster::describe::Interpretation;
use crate::raster::source::Selection;

/// How samples become an 8-bit picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// 8-bit grey as it is.
    Gray,
    /// 8-bit red, green and blue as they are.
    Rgb,
    /// 8-bit indices into a colour table.
    Palette(Vec<Rgba>),
    /// Indices of a wider type into a colour table, shown in its colours.
    WidePalette(Vec<Rgba>),
    /// Values from `min` to `max` spread over 0 to 255, the same for all bands.
    Stretch {
        /// Shown black.
        min: f64,
        /// Shown white.
        max: f64,
        /// Bands: 1 grey, 3 colour.
        bands: usize,
    },
    /// Heights in metres, encoded in red, green and blue; opaque.
    Terrain {
        /// How they are encoded.
        terrain: Terrain,
        /// Side of a tile in pixels, which rounding may go by.
        tile_size: usize,
    },
}

impl Look {
    /// Bands of the picture: 1 or 3.
    pub fn picture_bands(&self) -> usize {
        match self {
            Self::Gray | Self::Palette(_) => 1,
            Self::Rgb | Self::WidePalette(_) | Self::Terrain { .. } => 3,
            Self::Stretch { bands, .. } => *bands,
        }
    }

    /// Whether samples are names, not quantities, so that nothing may be computed from them.
    pub fn is_categorical(&self) -> bool {
        matches!(self, Self::Palette(_) | Self::WidePalette(_))
    }

    /// Whether samples are a picture as they are.
    pub fn is_identity(&self) -> bool {
        matches!(self, Self::Gray | Self::Rgb | Self::Palette(_))
    }

    /// Whether pixels without data have a colour of their own, so that no tile needs alpha.
    pub fn is_opaque(&self) -> bool {
        matches!(self, Self::Terrain { .. })
    }

    /// What the samples mean to an encoder, once they are rendered.
    pub fn colour(&self) -> Colour<'_> {
        match self {
            Self::Palette(table) => Colour::Palette(table),
            _ if self.picture_bands() == 3 => Colour::Rgb,
            _ => Colour::Gray,
        }
    }
}

/// Turns samples into pictures as a [`Look`] says, with what can be computed once.
#[derive(Debug)]
pub struct Renderer {
    look: Look,
    /// Shades of all values of an 8- or 16-bit type, by the bits of the value.
    shades: Vec<u8>,
    /// Heights rendered so far that their encoding cannot hold.
    beyond: AtomicU64,
}

impl Renderer {
    /// A renderer for samples of a type.
    pub fn new(look: &Look, sample_type: SampleType) -> Self {
        let shades = match (look, sample_type) {
            (Look::Stretch { min, max, .. }, SampleType::U8) => shades::<u8>(*min, *max),
            (Look::Stretch { min, max, .. }, SampleType::I8) => shades::<i8>(*min, *max),
            (Look::Stretch { min, max, .. }, SampleType::U16) => shades::<u16>(*min, *max),
            (Look::Stretch { min, max, .. }, SampleType::I16) => shades::<i16>(*min, *max),
            _ => Vec::new(),
        };
        Self { look: look.clone(), shades, beyond: AtomicU64::new(0) }
    }

    /// The 8-bit picture of a block of a zoom level, pixel-interleaved; `None` when the block is one already.
    pub fn render(&self, block: &Block, z: u8) -> Option<Block> {
        match &self.look {
            Look::Gray | Look::Rgb | Look::Palette(_) => None,
            Look::WidePalette(table) => Some(in_colours(block, table)),
            Look::Stretch { min, max, .. } => Some(self.stretched(block, *min, *max)),
            Look::Terrain { terrain, tile_size } => {
                let (bytes, beyond) = terrain::colours(&terrain.encoder(z, *tile_size), block);
                if beyond > 0 {
                    self.beyond.fetch_add(beyond, Ordering::Relaxed);
                }
                Some(picture(block, bytes, 3, block.validity.clone()))
            }
        }
    }

    /// What is wrong with what was rendered so far.
    pub fn warning(&self) -> Option<String> {
        let Look::Terrain { terrain, .. } = &self.look else { return None };
        let beyond = self.beyond.load(Ordering::Relaxed);
        let (low, high) = terrain.encoding.range();
        (beyond > 0).then(|| {
            format!(
                "{beyond} pixels of all levels lie beyond {low} to {high:.3} m and were clamped; is a nodata value not declared \
                 (--src-nodata), or the unit wrong (--height-unit)?"
            )
        })
    }

    /// The 8-bit grey (1 band) or colour (3 bands) picture of a block, so that pictures of different kinds can be laid over
    /// each other.
    pub fn render_as(&self, block: Block, bands: usize) -> Block {
        let rendered = match &self.look {
            Look::Palette(table) => Some(in_colours(&block, table)),
            _ => self.render(&block, 0),
        };
        let block = rendered.unwrap_or(block);
        if block.bands() == 1 && bands == 3 { gray_to_rgb(&block) } else { block }
    }

    fn stretched(&self, block: &Block, min: f64, max: f64) -> Block {
        let looked_up = |index: usize| self.shades.get(index).copied().unwrap_or_default();
        let bytes = match &block.samples {
            Samples::U8(a) => with_values(a, |v| v.iter().map(|&v| looked_up(v.into())).collect()),
            Samples::I8(a) => with_values(a, |v| v.iter().map(|&v| looked_up((v as u8).into())).collect()),
            Samples::U16(a) => with_values(a, |v| v.iter().map(|&v| looked_up(v.into())).collect()),
            Samples::I16(a) => with_values(a, |v| v.iter().map(|&v| looked_up((v as u16).into())).collect()),
            other => for_samples!(other, array => {
                with_values(array, |v| v.iter().map(|v| shade(v.to_f64(), min, max)).collect())
            }),
        };
        picture(block, bytes, block.bands(), block.validity.clone())
    }
}

/// The shade of a value: `min` is 0, `max` is 255; not-a-number is black.
fn shade(value: f64, min: f64, max: f64) -> u8 {
    u8::from_f64((value - min) * (255.0 / (max - min)))
}

/// The shades of all values of a type of at most 16 bits.
fn shades<T: Sample>(min: f64, max: f64) -> Vec<u8> {
    let bits = T::TYPE.bytes() * 8;
    let signed = matches!(T::TYPE, SampleType::I8 | SampleType::I16);
    let value = |i: i64| if signed && i >= 1 << (bits - 1) { i - (1 << bits) } else { i };
    (0..1i64 << bits).map(|i| shade(value(i) as f64, min, max)).collect()
}

/// Hands the values of an array in the order row, column, band to `f`, copied only when they lie otherwise.
fn with_values<T: Sample, R>(array: &Array3<T>, f: impl FnOnce(&[T]) -> R) -> R {
    match interleaved_slice(array) {
        Some(values) => f(values),
        None => f(&crate::block::to_interleaved(array)),
    }
}

fn picture(block: &Block, bytes: Vec<u8>, bands: usize, validity: Validity) -> Block {
    let size = block.window.size();
    let array =
        interleaved_array(bytes, bands, size).unwrap_or_else(|| crate::block::interleaved_zeros(bands, size));
    Block { window: block.window, samples: Samples::U8(array), validity }
}

fn in_colours(block: &Block, table: &[Rgba]) -> Block {
    let mut bytes = Vec::with_capacity(block.window.area() * 3);
    let mut alpha = Vec::with_capacity(block.window.area());
    let mut paint = |index: f64| {
        let [r, g, b, a] = table.get(index as usize).copied().filter(|_| index >= 0.0).unwrap_or_default();
        bytes.extend([r, g, b]);
        alpha.push(a);
    };
    for_samples!(&block.samples, array => with_values(array, |v| v.iter().for_each(|v| paint(v.to_f64()))));
    if let Validity::PerPixel(coverage) = &block.validity {
        alpha.iter_mut().zip(coverage).for_each(|(a, &c)| *a = (*a).min(c));
    }
    let plane = Array2::from_shape_vec((block.window.height, block.window.width), alpha);
    let validity = plane.map_or(Validity::All, Validity::PerPixel).simplified();
    picture(block, bytes, 3, validity)
}

fn gray_to_rgb(block: &Block) -> Block {
    let Samples::U8(array) = &block.samples else { return block.clone() };
    let bytes = with_values(array, |v| v.iter().flat_map(|&v| [v; 3]).collect());
    picture(block, bytes, 3, block.validity.clone())
}

/// Which bands make the picture and what they mean, as far as the description tells; [`Look::Stretch`] comes with its
/// limits still to be found. A guess is told in words.
///
/// # Errors
/// Why no picture can be made of the raster.
pub fn choose(description: &Description) -> Result<(Selection, Look, Option<String>), String> {
    let bands = &description.bands;
    let find = |i: Interpretation| bands.iter().position(|b| b.interpretation == i).map(|k| k + 1);
    let alpha = description.alpha_band();
    let colour = [Interpretation::Red, Interpretation::Green, Interpretation::Blue].map(find);
    let mut guess = None;
    let chosen = if let [Some(r), Some(g), Some(b)] = colour {
        vec![r, g, b]
    } else if bands[0].interpretation == Interpretation::Palette && description.palette.is_some() {
        vec![1]
    } else if bands.len() >= 3 && whole_numbers(description) && alpha.is_none_or(|a| a > 3) {
        guess = Some(format!("bands 1, 2 and 3 of {} taken for red, green and blue", bands.len()));
        vec![1, 2, 3]
    } else {
        let first = find(Interpretation::Gray).or((1..=bands.len()).find(|n| Some(*n) != alpha)).unwrap_or(1);
        if bands.len() - usize::from(alpha.is_some()) > 1 {
            guess = Some(format!("band {first} of {} shown, the others are not", bands.len()));
        }
        vec![first]
    };
    if let Some(n) = chosen.iter().find(|n| bands[**n - 1].sample_type.starts_with("complex")) {
        return Err(format!(
            "band {n} is of type {}; complex samples have no picture: convert them first, for instance with gdal_calc \
             or a VRT pixel function (mod, phase)",
            bands[n - 1].sample_type
        ));
    }
    let sample_type = common_type(description, &chosen)?;
    let look = match (&description.palette, sample_type) {
        (Some(table), SampleType::U8) if chosen == [1] => Look::Palette(table.clone()),
        (Some(table), _) if chosen == [1] => Look::WidePalette(table.clone()),
        (_, SampleType::U8) if description.bits < 8 => {
            Look::Stretch { min: 0.0, max: f64::from((1u32 << description.bits) - 1), bands: chosen.len() }
        }
        (_, SampleType::U8) if chosen.len() == 3 => Look::Rgb,
        (_, SampleType::U8) => Look::Gray,
        _ => Look::Stretch { min: f64::NAN, max: f64::NAN, bands: chosen.len() },
    };
    Ok((Selection { bands: chosen, alpha, sample_type }, look, guess))
}

fn whole_numbers(description: &Description) -> bool {
    description.bands.iter().take(3).all(|b| b.sample_type.starts_with("uint"))
}

fn common_type(description: &Description, chosen: &[usize]) -> Result<SampleType, String> {
    let types: Vec<_> = chosen.iter().map(|n| description.types[n - 1]).collect();
    match types[0] {
        Some(first) if types.iter().all(|t| t == &types[0]) => Ok(first),
        Some(_) => Ok(SampleType::F64),
        None => Err(format!("band {} has a sample type tileloom does not know", chosen[0])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    fn block(values: Vec<u16>) -> Block {
        let window = Window::new(0, 0, values.len(), 1);
        let samples = Samples::U16(interleaved_array(values, 1, window.size()).expect("fits"));
        Block { window, samples, validity: Validity::All }
    }

    fn bytes(block: &Block) -> Vec<u8> {
        u8::unwrap(&block.samples).map(crate::block::to_interleaved).unwrap_or_default()
    }

    #[test]
    fn a_stretch_clamps_at_both_ends() {
        let look = Look::Stretch { min: 100.0, max: 355.0, bands: 1 };
        let renderer = Renderer::new(&look, SampleType::U16);
        let picture = renderer.render(&block(vec![0, 100, 101, 355, 9999]), 0).expect("is no picture yet");
        assert_eq!(bytes(&picture), [0, 0, 1, 255, 255]);
    }

    #[test]
    fn negative_values_find_their_shade() {
        let shades = shades::<i16>(-100.0, 155.0);
        assert_eq!(
            [shades[0xff9c], shades[0xff9d], shades[0], shades[155], shades[0x8000]],
            [0, 1, 100, 255, 0]
        );
    }

    #[test]
    fn colours_of_a_table_keep_their_opacity() {
        let look = Look::WidePalette(vec![[1, 2, 3, 255], [4, 5, 6, 7]]);
        let renderer = Renderer::new(&look, SampleType::U16);
        let picture = renderer.render(&block(vec![0, 1, 2]), 0).expect("is no picture yet");
        assert_eq!(bytes(&picture), [1, 2, 3, 4, 5, 6, 0, 0, 0]);
        let alpha = Array2::from_shape_vec((1, 3), vec![255, 7, 0]).expect("fits");
        assert_eq!(picture.validity, Validity::PerPixel(alpha));
    }

    #[test]
    fn grey_is_laid_among_colours() {
        let look = Look::Stretch { min: 0.0, max: 255.0, bands: 1 };
        let renderer = Renderer::new(&look, SampleType::U16);
        assert_eq!(bytes(&renderer.render_as(block(vec![7, 8]), 3)), [7, 7, 7, 8, 8, 8]);
    }
}
