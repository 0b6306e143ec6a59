//! From samples to 8-bit pictures.

use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::{Array2, Array3};

use super::look::Look;
use super::terrain;
use crate::block::{Block, Sample, SampleType, Samples, Validity, interleaved_array, interleaved_slice};
use crate::colormap::Table;
use crate::encode::Rgba;

/// Turns samples into pictures as a [`Look`] says, with what can be computed once.
#[derive(Debug)]
pub struct Renderer {
    look: Look,
    paint: Paint,
    /// Heights rendered so far that their encoding cannot hold.
    beyond: AtomicU64,
}

/// What can be computed once. Of samples of at most 16 bits all are, by the bits of the value.
#[derive(Debug)]
enum Paint {
    /// Nothing.
    None,
    /// For each band the shades of all values.
    Shades(Vec<Vec<u8>>),
    /// The colours of all values.
    Colours(Vec<Rgba>),
    /// Colours to be looked up.
    Table(Table),
}

impl Renderer {
    /// A renderer for samples of a type.
    pub fn new(look: &Look, sample_type: SampleType) -> Self {
        let paint = match look {
            Look::Stretch { limits } if sample_type.bytes() <= 2 => {
                Paint::Shades(limits.iter().map(|l| by_bits(sample_type, |v| shade(v, *l))).collect())
            }
            Look::Colours { map, limits } => {
                let table = map.table(*limits);
                if sample_type.bytes() <= 2 {
                    Paint::Colours(by_bits(sample_type, |v| table.colour(v)))
                } else {
                    Paint::Table(table)
                }
            }
            _ => Paint::None,
        };
        Self { look: look.clone(), paint, beyond: AtomicU64::new(0) }
    }

    /// The 8-bit picture of a block of a zoom level, pixel-interleaved; `None` when the block is one already.
    pub fn render(&self, block: &Block, z: u8) -> Option<Block> {
        match &self.look {
            Look::Gray | Look::Rgb | Look::Palette(_) | Look::Values { .. } => None,
            Look::WidePalette(table) => Some(in_colours(block, table)),
            Look::Stretch { limits } => Some(self.stretched(block, limits)),
            Look::Colours { .. } => Some(self.coloured(block)),
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

    fn stretched(&self, block: &Block, limits: &[[f64; 2]]) -> Block {
        let bytes = if let Paint::Shades(shades) = &self.paint {
            let same = limits.windows(2).all(|w| w[0] == w[1]);
            let tables: Vec<&[u8]> =
                shades.iter().map(Vec::as_slice).take(if same { 1 } else { 3 }).collect();
            look_up(block, &tables)
        } else {
            for_samples!(&block.samples, array => with_values(array, |v| {
                v.iter().zip(limits.iter().cycle()).map(|(v, limits)| shade(v.to_f64(), *limits)).collect()
            }))
        };
        picture(block, bytes, block.bands(), block.validity.clone())
    }

    fn coloured(&self, block: &Block) -> Block {
        let colours: Vec<Rgba> = match &self.paint {
            Paint::Colours(colours) => look_up(block, &[colours]),
            Paint::Table(table) => for_samples!(&block.samples, array => {
                with_values(array, |v| v.iter().map(|v| table.colour(v.to_f64())).collect())
            }),
            Paint::None | Paint::Shades(_) => Vec::new(),
        };
        painted(block, &colours)
    }
}

/// The shade of a value: the first limit is 0, the second 255; not-a-number is black.
fn shade(value: f64, [min, max]: [f64; 2]) -> u8 {
    u8::from_f64((value - min) * (255.0 / (max - min)))
}

/// What a function makes of all values of a type of at most 16 bits, in the order of their bits.
fn by_bits<R>(sample_type: SampleType, f: impl Fn(f64) -> R) -> Vec<R> {
    let bits = sample_type.bytes() * 8;
    let signed = matches!(sample_type, SampleType::I8 | SampleType::I16);
    let value = |i: i64| if signed && i >= 1 << (bits - 1) { i - (1 << bits) } else { i };
    (0..1i64 << bits).map(|i| f(value(i) as f64)).collect()
}

/// What tables hold for samples of at most 16 bits, by the bits of the value: one table for all bands, or one for each.
fn look_up<R: Copy + Default>(block: &Block, tables: &[&[R]]) -> Vec<R> {
    fn each<T: Copy, R: Copy + Default>(values: &[T], tables: &[&[R]], bits: impl Fn(T) -> usize) -> Vec<R> {
        let found = |table: &[R], value: T| table.get(bits(value)).copied().unwrap_or_default();
        match tables {
            [table] => values.iter().map(|v| found(table, *v)).collect(),
            _ => values.iter().zip(tables.iter().cycle()).map(|(v, table)| found(table, *v)).collect(),
        }
    }
    match &block.samples {
        Samples::U8(a) => with_values(a, |v| each(v, tables, usize::from)),
        Samples::I8(a) => with_values(a, |v| each(v, tables, |v| (v as u8).into())),
        Samples::U16(a) => with_values(a, |v| each(v, tables, usize::from)),
        Samples::I16(a) => with_values(a, |v| each(v, tables, |v| (v as u16).into())),
        _ => Vec::new(),
    }
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
    let colour = |index: f64| table.get(index as usize).copied().filter(|_| index >= 0.0).unwrap_or_default();
    let colours: Vec<Rgba> = for_samples!(&block.samples, array => {
        with_values(array, |v| v.iter().map(|v| colour(v.to_f64())).collect())
    });
    painted(block, &colours)
}

/// A picture of a colour for each pixel; where a block has no data, or little, nor has the picture.
fn painted(block: &Block, colours: &[Rgba]) -> Block {
    let bytes: Vec<u8> = colours.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
    let mut alpha: Vec<u8> = colours.iter().map(|c| c[3]).collect();
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
        let look = Look::Stretch { limits: vec![[100.0, 355.0]] };
        let renderer = Renderer::new(&look, SampleType::U16);
        let picture = renderer.render(&block(vec![0, 100, 101, 355, 9999]), 0).expect("is no picture yet");
        assert_eq!(bytes(&picture), [0, 0, 1, 255, 255]);
    }

    #[test]
    fn negative_values_find_their_shade() {
        let shades = by_bits(SampleType::I16, |v| shade(v, [-100.0, 155.0]));
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
        let look = Look::Stretch { limits: vec![[0.0, 255.0]] };
        let renderer = Renderer::new(&look, SampleType::U16);
        assert_eq!(bytes(&renderer.render_as(block(vec![7, 8]), 3)), [7, 7, 7, 8, 8, 8]);
    }
}
