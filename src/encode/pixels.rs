//! The pixels of a picture as codecs take them: interleaved, without a colour table.

use super::{Colour, Picture, Plane, Rgba};

/// Samples of a pixel, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channels {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
}

impl Channels {
    /// Samples per pixel.
    pub(super) const fn count(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// The alpha of a row that is opaque.
static OPAQUE: [u8; 1 << 14] = [255; 1 << 14];

/// Interleaved pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub(super) channels: Channels,
    pub(super) width: usize,
    pub(super) height: usize,
    rows: Plane<'a>,
}

impl<'a> Pixels<'a> {
    /// The pixels of a picture that [`Picture::check`] has passed: a view of its samples where these do, else made in
    /// `scratch`. There is an alpha channel only where a pixel is not opaque; fully transparent pixels are black.
    pub(super) fn of(picture: &Picture<'a>, scratch: &'a mut Vec<u8>) -> Self {
        let &Picture { width, height, .. } = picture;
        let alpha = picture.alpha.filter(|a| (0..height).any(|y| a.row(y, width).iter().any(|&v| v != 255)));
        Self::laid_out(&Picture { alpha, ..*picture }, scratch)
    }

    /// The same with an alpha channel in any case. The picture is at most [`OPAQUE`] pixels wide.
    pub(super) fn with_alpha(picture: &Picture<'a>, scratch: &'a mut Vec<u8>) -> Self {
        let alpha = picture.alpha.or(Some(Plane { bytes: &OPAQUE, stride: 0 }));
        Self::laid_out(&Picture { alpha, ..*picture }, scratch)
    }

    /// Pixels with an alpha channel where the picture has one, or its colours.
    fn laid_out(picture: &Picture<'a>, scratch: &'a mut Vec<u8>) -> Self {
        let &Picture { width, height, alpha, .. } = picture;
        let direct = |channels| Pixels { channels, width, height, rows: picture.samples };
        let channels = match (picture.colour, alpha) {
            (Colour::Gray, None) => return direct(Channels::Gray),
            (Colour::Rgb, None) => return direct(Channels::Rgb),
            (Colour::Gray, Some(_)) => Channels::GrayAlpha,
            (Colour::Palette(table), None) if uses_only_opaque(picture, table) => Channels::Rgb,
            (Colour::Rgb, Some(_)) | (Colour::Palette(_), _) => Channels::Rgba,
        };
        let table: [Rgba; 256] = std::array::from_fn(|i| match picture.colour {
            Colour::Palette(table) => table.get(i).copied().unwrap_or_default(),
            _ => [0; 4],
        });
        let row_bytes = width * channels.count();
        scratch.resize(row_bytes * height, 0);
        for (y, out) in scratch.chunks_exact_mut(row_bytes).enumerate() {
            let samples = picture.samples.row(y, width * picture.colour.bytes());
            let alpha = alpha.map(|plane| plane.row(y, width));
            match (picture.colour, alpha) {
                (Colour::Gray, Some(alpha)) => {
                    for ((out, &v), &a) in out.as_chunks_mut::<2>().0.iter_mut().zip(samples).zip(alpha) {
                        *out = if a == 0 { [0; 2] } else { [v, a] };
                    }
                }
                (Colour::Rgb, Some(alpha)) => {
                    let colours = samples.as_chunks::<3>().0;
                    for ((out, &[r, g, b]), &a) in
                        out.as_chunks_mut::<4>().0.iter_mut().zip(colours).zip(alpha)
                    {
                        *out = if a == 0 { [0; 4] } else { [r, g, b, a] };
                    }
                }
                _ if channels == Channels::Rgb => {
                    for (out, &v) in out.as_chunks_mut::<3>().0.iter_mut().zip(samples) {
                        let [r, g, b, _] = table[usize::from(v)];
                        *out = [r, g, b];
                    }
                }
                (_, alpha) => {
                    for (x, (out, &v)) in out.as_chunks_mut::<4>().0.iter_mut().zip(samples).enumerate() {
                        let [r, g, b, own] = table[usize::from(v)];
                        let a = alpha.map_or(own, |alpha| product(own, alpha[x]));
                        *out = if a == 0 { [0; 4] } else { [r, g, b, a] };
                    }
                }
            }
        }
        Pixels { channels, width, height, rows: Plane { bytes: scratch, stride: row_bytes } }
    }

    /// The samples of a row.
    pub(super) fn row(&self, row: usize) -> &'a [u8] {
        self.rows.row(row, self.width * self.channels.count())
    }

    /// All samples with the bytes from one row to the next; the last row may end at its last sample.
    pub(super) fn plane(&self) -> Plane<'a> {
        self.rows
    }

    /// The samples without gaps between the rows, copied to `scratch` where there are some.
    pub(super) fn packed(&self, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let row = self.width * self.channels.count();
        if self.rows.stride == row {
            return &self.rows.bytes[..row * self.height];
        }
        scratch.clear();
        (0..self.height).for_each(|y| scratch.extend(self.row(y)));
        scratch
    }

    /// The pixels laid over a colour: `scratch` then holds grey, or red, green and blue.
    pub(super) fn over(&self, background: [u8; 3], scratch: &'a mut Vec<u8>) -> Self {
        let [r, g, b] = background;
        let channels = match self.channels {
            Channels::Gray | Channels::Rgb => return *self,
            Channels::GrayAlpha if r == g && g == b => Channels::Gray,
            Channels::GrayAlpha | Channels::Rgba => Channels::Rgb,
        };
        let row_bytes = self.width * channels.count();
        scratch.resize(row_bytes * self.height, 0);
        for (y, out) in scratch.chunks_exact_mut(row_bytes).enumerate() {
            let row = self.row(y);
            match (self.channels, channels) {
                (Channels::GrayAlpha, Channels::Gray) => {
                    out.iter_mut()
                        .zip(row.as_chunks::<2>().0)
                        .for_each(|(out, &[v, a])| *out = blend(v, r, a));
                }
                (Channels::GrayAlpha, _) => {
                    for (out, &[v, a]) in out.as_chunks_mut::<3>().0.iter_mut().zip(row.as_chunks::<2>().0) {
                        *out = background.map(|under| blend(v, under, a));
                    }
                }
                _ => {
                    for (out, c) in out.as_chunks_mut::<3>().0.iter_mut().zip(row.as_chunks::<4>().0) {
                        *out = [blend(c[0], r, c[3]), blend(c[1], g, c[3]), blend(c[2], b, c[3])];
                    }
                }
            }
        }
        let rows = Plane { bytes: scratch, stride: row_bytes };
        Pixels { channels, rows, ..*self }
    }
}

/// Whether all indices that occur stand for opaque colours.
fn uses_only_opaque(picture: &Picture<'_>, table: &[Rgba]) -> bool {
    let opaque: [bool; 256] = std::array::from_fn(|i| table.get(i).is_some_and(|colour| colour[3] == 255));
    opaque.iter().all(|&o| o)
        || (0..picture.height)
            .all(|y| picture.samples.row(y, picture.width).iter().all(|&v| opaque[usize::from(v)]))
}

/// Product of two opacities, rounded.
fn product(a: u8, b: u8) -> u8 {
    blend(a, 0, b)
}

/// A value of opacity `alpha` over another, rounded.
fn blend(over: u8, under: u8, alpha: u8) -> u8 {
    let alpha = u32::from(alpha);
    ((u32::from(over) * alpha + u32::from(under) * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(bytes: &[u8], stride: usize) -> Plane<'_> {
        Plane { bytes, stride }
    }

    fn picture<'a>(colour: Colour<'a>, samples: &'a [u8], alpha: Option<&'a [u8]>) -> Picture<'a> {
        let row = colour.bytes() * 2;
        let alpha = alpha.map(|a| plane(a, 2));
        Picture { width: 2, height: samples.len() / row, colour, samples: plane(samples, row), alpha }
    }

    fn laid_out(picture: &Picture<'_>) -> (Channels, Vec<u8>) {
        let (mut scratch, mut gaps) = (Vec::new(), Vec::new());
        let pixels = Pixels::of(picture, &mut scratch);
        (pixels.channels, pixels.packed(&mut gaps).to_vec())
    }

    #[test]
    fn opaque_samples_are_viewed_where_they_lie() {
        let samples = [1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12];
        let colour = Colour::Rgb;
        let picture = Picture { width: 2, height: 2, colour, samples: plane(&samples, 8), alpha: None };
        let mut scratch = Vec::new();
        let pixels = Pixels::of(&picture, &mut scratch);
        assert!(std::ptr::eq(pixels.row(0).as_ptr(), samples.as_ptr()));
        assert_eq!(pixels.row(1), [7, 8, 9, 10, 11, 12]);
        assert_eq!(laid_out(&picture), (Channels::Rgb, (1..=12).collect()));
    }

    #[test]
    fn alpha_is_kept_only_where_a_pixel_needs_it() {
        let opaque = picture(Colour::Gray, &[1, 2], Some(&[255, 255]));
        assert_eq!(laid_out(&opaque), (Channels::Gray, vec![1, 2]));
        let partly = picture(Colour::Gray, &[1, 2], Some(&[255, 0]));
        assert_eq!(laid_out(&partly), (Channels::GrayAlpha, vec![1, 255, 0, 0]));
        let colour = picture(Colour::Rgb, &[1, 2, 3, 4, 5, 6], Some(&[9, 0]));
        assert_eq!(laid_out(&colour), (Channels::Rgba, vec![1, 2, 3, 9, 0, 0, 0, 0]));
    }

    #[test]
    fn palettes_become_colours_with_the_opacity_of_both() {
        let table = [[1, 2, 3, 255], [4, 5, 6, 128]];
        assert_eq!(
            laid_out(&picture(Colour::Palette(&table), &[0, 0], None)),
            (Channels::Rgb, vec![1, 2, 3, 1, 2, 3])
        );
        assert_eq!(
            laid_out(&picture(Colour::Palette(&table), &[1, 2], None)),
            (Channels::Rgba, vec![4, 5, 6, 128, 0, 0, 0, 0])
        );
        assert_eq!(
            laid_out(&picture(Colour::Palette(&table), &[0, 1], Some(&[255, 128]))),
            (Channels::Rgba, vec![1, 2, 3, 255, 4, 5, 6, 64])
        );
    }

    #[test]
    fn transparent_pixels_take_the_colour_below() {
        let over = |picture: &Picture<'_>, background| {
            let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
            let pixels = Pixels::of(picture, &mut a).over(background, &mut b);
            (pixels.channels, pixels.packed(&mut c).to_vec())
        };
        let gray = picture(Colour::Gray, &[100, 7], Some(&[128, 0]));
        assert_eq!(over(&gray, [200; 3]), (Channels::Gray, vec![150, 200]));
        assert_eq!(over(&gray, [200, 0, 0]), (Channels::Rgb, vec![150, 50, 50, 200, 0, 0]));
        let colour = picture(Colour::Rgb, &[10, 20, 30, 1, 2, 3], Some(&[255, 0]));
        assert_eq!(over(&colour, [9, 8, 7]), (Channels::Rgb, vec![10, 20, 30, 9, 8, 7]));
        let opaque = picture(Colour::Gray, &[1, 2], None);
        assert_eq!(over(&opaque, [9, 8, 7]), (Channels::Gray, vec![1, 2]));
    }
}
