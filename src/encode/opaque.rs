//! Opaque tiles, whatever their format: pixels that are not opaque are laid over a colour before they are encoded.

use std::cell::RefCell;

use super::pixels::{Channels, Pixels};
use super::{Colour, Picture, TileEncoder, TileFormat};
use crate::error::Result;

/// Longest side of a picture.
const MOST: usize = 1 << 30;

/// An encoder that lays pictures over a colour and hands them on to another.
pub struct Opaque {
    inner: Box<dyn TileEncoder>,
    background: [u8; 3],
}

impl Opaque {
    /// An encoder of pictures over a background of red, green and blue.
    pub fn new(inner: Box<dyn TileEncoder>, background: [u8; 3]) -> Self {
        Self { inner, background }
    }
}

thread_local! {
    /// Pixels with alpha, and those laid over the background.
    static SCRATCH: RefCell<[Vec<u8>; 2]> = RefCell::default();
}

impl TileEncoder for Opaque {
    fn format(&self) -> TileFormat {
        self.inner.format()
    }

    fn encode(&self, picture: &Picture<'_>, out: &mut Vec<u8>) -> Result<()> {
        picture.check(self.format(), MOST)?;
        SCRATCH.with_borrow_mut(|[pixels, blended]| {
            let pixels = Pixels::of(picture, pixels);
            if matches!(pixels.channels, Channels::Gray | Channels::Rgb) {
                return self.inner.encode(&Picture { alpha: None, ..*picture }, out);
            }
            let blended = pixels.over(self.background, blended);
            let colour = if blended.channels == Channels::Gray { Colour::Gray } else { Colour::Rgb };
            self.inner.encode(&Picture { colour, samples: blended.plane(), alpha: None, ..*picture }, out)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::png::{Png, PngMode};
    use crate::encode::{Plane, Rgba};

    fn decoded(picture: &Picture<'_>, background: [u8; 3]) -> (png::ColorType, Vec<u8>) {
        let opaque = Opaque::new(Box::new(Png::new(PngMode::Fast)), background);
        let mut out = Vec::new();
        opaque.encode(picture, &mut out).expect("encoded");
        let mut decoder = png::Decoder::new(std::io::Cursor::new(out));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut bytes).expect("pixels");
        bytes.truncate(info.buffer_size());
        (info.color_type, bytes)
    }

    fn row<'a>(colour: Colour<'a>, samples: &'a [u8], alpha: &'a [u8]) -> Picture<'a> {
        let plane = |bytes: &'a [u8]| Plane { bytes, stride: bytes.len() };
        Picture { width: alpha.len(), height: 1, colour, samples: plane(samples), alpha: Some(plane(alpha)) }
    }

    #[test]
    fn no_pixel_is_transparent_and_edges_are_blended() {
        let gray = row(Colour::Gray, &[100, 100, 100], &[255, 128, 0]);
        assert_eq!(decoded(&gray, [0; 3]).1, [100, 100, 100, 50, 50, 50, 0, 0, 0]);
        assert_eq!(decoded(&gray, [0, 0, 200]).1, [100, 100, 100, 50, 50, 150, 0, 0, 200]);
        let colour = row(Colour::Rgb, &[10, 20, 30, 40, 50, 60], &[255, 0]);
        assert_eq!(decoded(&colour, [1, 2, 3]), (png::ColorType::Rgb, vec![10, 20, 30, 1, 2, 3]));
    }

    #[test]
    fn colours_of_a_table_are_laid_over_the_background_too() {
        let table: [Rgba; 2] = [[10, 20, 30, 255], [200, 0, 0, 0]];
        let picture = row(Colour::Palette(&table), &[0, 1, 0], &[255, 255, 0]);
        assert_eq!(decoded(&picture, [7, 8, 9]).1, [10, 20, 30, 7, 8, 9, 7, 8, 9]);
    }
}
