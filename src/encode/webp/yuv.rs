//! Luma and chroma of a picture as lossy WebP stores them: BT.601, luma 16 to 235, chroma 16 to 240 at half the
//! resolution (<https://www.itu.int/rec/R-REC-BT.601>), in fixed point with 16 bits after the point.
//!
//! A chroma sample is the mean of 2 × 2 pixels, weighted by their opacity, so that what is transparent does not tint the
//! edge of what is not. libwebp's own conversion averages in linear light instead, which takes four times as long and is
//! further from the picture once a decoder has spread the chroma again, without linear light.

use crate::encode::pixels::{Channels, Pixels};

/// Weights of red, green and blue: 0.299, 0.587 and 0.114 of 219/255.
const LUMA: [i32; 3] = [16829, 33039, 6416];
/// Half of 224/255 of (blue − luma) / 0.886 and (red − luma) / 0.701, luma from 0 to 1.
const BLUE: [i32; 3] = [-9714, -19070, 28784];
const RED: [i32; 3] = [28784, -24103, -4681];

/// Planes of luma, chroma and opacity, without gaps between their rows.
#[derive(Debug, Default)]
pub(super) struct Planes {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) luma: Vec<u8>,
    /// Blue difference, of half the columns and rows, rounded up.
    pub(super) blue: Vec<u8>,
    /// Red difference, likewise.
    pub(super) red: Vec<u8>,
    /// Opacity; empty when all is opaque.
    pub(super) alpha: Vec<u8>,
}

impl Planes {
    /// Columns and rows of the chroma.
    pub(super) const fn halved(&self) -> (usize, usize) {
        (self.width.div_ceil(2), self.height.div_ceil(2))
    }

    /// Converts pixels.
    pub(super) fn fill(&mut self, pixels: &Pixels<'_>) {
        (self.width, self.height) = (pixels.width, pixels.height);
        let (columns, rows) = self.halved();
        self.luma.resize(self.width * self.height, 0);
        self.blue.resize(columns * rows, 128);
        self.red.resize(columns * rows, 128);
        self.alpha.clear();
        match pixels.channels {
            Channels::Gray => {
                self.fill_luma(pixels, |&[v]| gray(v));
                self.gray();
            }
            Channels::GrayAlpha => {
                self.fill_luma(pixels, |&[v, _]| gray(v));
                self.fill_alpha(pixels, |&[_, a]| a);
                self.gray();
            }
            Channels::Rgb => {
                self.fill_luma(pixels, |&colour| luma(colour));
                self.fill_chroma(pixels, |[a, b], [c, d]| sums([a, b, c, d]));
            }
            Channels::Rgba => {
                self.fill_luma(pixels, |&[r, g, b, _]| luma([r, g, b]));
                self.fill_alpha(pixels, |&[_, _, _, a]| a);
                self.fill_chroma(pixels, |[a, b], [c, d]| weighted([a, b, c, d]));
            }
        }
    }

    fn gray(&mut self) {
        self.blue.fill(128);
        self.red.fill(128);
    }

    fn fill_luma<const N: usize>(&mut self, pixels: &Pixels<'_>, luma: impl Fn(&[u8; N]) -> u8) {
        for (y, out) in self.luma.chunks_exact_mut(self.width).enumerate() {
            out.iter_mut().zip(pixels.row(y).as_chunks::<N>().0).for_each(|(out, pixel)| *out = luma(pixel));
        }
    }

    fn fill_alpha<const N: usize>(&mut self, pixels: &Pixels<'_>, alpha: impl Fn(&[u8; N]) -> u8) {
        (0..self.height).for_each(|y| self.alpha.extend(pixels.row(y).as_chunks::<N>().0.iter().map(&alpha)));
    }

    /// `sums` makes four times the mean colour of 2 × 2 pixels, given as two of the upper and two of the lower row. At the
    /// end of an odd row or column pixels count twice.
    fn fill_chroma<const N: usize>(
        &mut self,
        pixels: &Pixels<'_>,
        sums: impl Fn([&[u8; N]; 2], [&[u8; N]; 2]) -> [i32; 3],
    ) {
        let columns = self.halved().0;
        let rows = self.blue.chunks_exact_mut(columns).zip(self.red.chunks_exact_mut(columns));
        for (y, (blue, red)) in rows.enumerate() {
            let upper = pixels.row(2 * y).as_chunks::<N>().0;
            let lower = pixels.row((2 * y + 1).min(self.height - 1)).as_chunks::<N>().0;
            let mut put = |x: usize, colour: [i32; 3]| {
                blue[x] = chroma(BLUE, colour);
                red[x] = chroma(RED, colour);
            };
            let (pairs, last) = upper.as_chunks::<2>();
            let (below, last_below) = lower.as_chunks::<2>();
            for (x, ([a, b], [c, d])) in pairs.iter().zip(below).enumerate() {
                put(x, sums([a, b], [c, d]));
            }
            if let ([a], [c]) = (last, last_below) {
                put(columns - 1, sums([a, a], [c, c]));
            }
        }
    }
}

fn dot(weights: [i32; 3], [r, g, b]: [i32; 3]) -> i32 {
    weights[0] * r + weights[1] * g + weights[2] * b
}

fn luma(colour: [u8; 3]) -> u8 {
    ((dot(LUMA, colour.map(i32::from)) + (16 << 16) + (1 << 15)) >> 16) as u8
}

fn gray(value: u8) -> u8 {
    luma([value; 3])
}

/// A chroma sample of four times a colour.
fn chroma(weights: [i32; 3], colour: [i32; 3]) -> u8 {
    ((dot(weights, colour) + (128 << 18) + (1 << 17)) >> 18) as u8
}

fn sums(pixels: [&[u8; 3]; 4]) -> [i32; 3] {
    std::array::from_fn(|band| pixels.iter().map(|pixel| i32::from(pixel[band])).sum())
}

/// Like [`sums`], weighted by opacity.
fn weighted(pixels: [&[u8; 4]; 4]) -> [i32; 3] {
    let all: i32 = pixels.iter().map(|pixel| i32::from(pixel[3])).sum();
    std::array::from_fn(|band| {
        let sum: i32 = pixels.iter().map(|pixel| i32::from(pixel[band]) * i32::from(pixel[3])).sum();
        if all == 0 { 0 } else { (4 * sum + all / 2) / all }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::{Colour, Picture, Plane};

    fn planes(width: usize, colours: &[[u8; 3]], alpha: Option<&[u8]>) -> Planes {
        let height = colours.len() / width;
        let samples = Plane { bytes: colours.as_flattened(), stride: 3 * width };
        let alpha = alpha.map(|bytes| Plane { bytes, stride: width });
        let picture = Picture { width, height, colour: Colour::Rgb, samples, alpha };
        let mut planes = Planes::default();
        planes.fill(&Pixels::of(&picture, &mut Vec::new()));
        planes
    }

    #[test]
    fn primary_colours_have_the_values_of_the_recommendation() {
        for (colour, expected) in [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([255, 0, 0], [81, 90, 240]),
            ([0, 255, 0], [145, 54, 34]),
            ([0, 0, 255], [41, 240, 110]),
            ([128, 128, 128], [126, 128, 128]),
        ] {
            let planes = planes(1, &[colour], None);
            assert_eq!([planes.luma[0], planes.blue[0], planes.red[0]], expected, "{colour:?}");
        }
    }

    #[test]
    fn chroma_is_the_mean_of_four_pixels_and_of_what_there_is_at_odd_edges() {
        let (black, blue) = ([0, 0, 0], [0, 0, 255]);
        let planes = planes(3, &[blue, black, blue, blue, black, black, blue, blue, black], None);
        assert_eq!((planes.blue.len(), planes.alpha.len()), (4, 0));
        assert_eq!(planes.blue, [184, 184, 240, 128]);
    }

    #[test]
    fn what_is_transparent_does_not_tint_its_neighbours() {
        let (red, blue) = ([255, 0, 0], [0, 0, 255]);
        let planes = planes(2, &[red, blue, blue, blue], Some(&[255, 0, 0, 0]));
        assert_eq!((planes.blue[0], planes.red[0]), (90, 240));
        assert_eq!(planes.alpha, [255, 0, 0, 0]);
    }

    #[test]
    fn buffers_are_used_again_without_a_trace() {
        let fresh = planes(2, &[[9, 8, 7]; 4], None);
        let mut used = planes(4, &[[200, 0, 0]; 16], Some(&[3; 16]));
        let picture = Picture {
            width: 2,
            height: 2,
            colour: Colour::Rgb,
            samples: Plane { bytes: [[9, 8, 7]; 4].as_flattened(), stride: 6 },
            alpha: None,
        };
        used.fill(&Pixels::of(&picture, &mut Vec::new()));
        assert_eq!((&used.luma, &used.blue, &used.red), (&fresh.luma, &fresh.blue, &fresh.red));
        assert!(used.alpha.is_empty());
    }
}
