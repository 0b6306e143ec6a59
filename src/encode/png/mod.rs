//! PNG tiles, 8 bits per sample.
//!
//! Encoding is where a tiler spends its time, so the usual order is turned round: first a layout that holds the
//! picture in few bytes, then filters that vectorise, then the cheapest DEFLATE that loses next to nothing on
//! this picture. The rules are in [`PngMode`].

mod chunk;
mod filter;
mod layout;
mod search;
mod strategy;

use std::cell::RefCell;

use layout::{ColourType, Layout};

use super::{Picture, Rgba, TileEncoder, TileFormat};
use crate::error::{Error, Result};
use crate::window::Size;

/// Longest side of a picture: what fits the arithmetic of rows, well below what PNG allows.
const MOST: usize = 1 << 30;

/// What to spend on a tile.
///
/// Seconds are those of one core for a megapixel, sizes relative to libpng at level 6 (which takes 0.13 to
/// 0.28 s).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum PngMode {
    /// About the size of libpng at its default level, in a small part of its time.
    ///
    /// - Imagery: Average or Paeth per row, whichever leaves the smaller sum of absolute values, and
    ///   [`deflate`](super::deflate) without matches. 0.003 to 0.004 s for RGB, 0.001 s for grey; size 0.99 to 1.00
    ///   for aerial imagery, Landsat and Sentinel-2, 0.77 for hillshade.
    /// - Where pixels of eight sample rows repeat themselves and matches gain 2 % in sixteen (relief, Blue Marble):
    ///   libdeflate at level 1, at level 3 where they gain 5 %; 0.015 to 0.025 s, size 1.00 to 1.06. Without it such
    ///   tiles would be 1.06 to 1.28.
    /// - If the sample shows that filters do not help either (drawings with smooth edges): unfiltered, at
    ///   level 6, 0.03 s, size 0.8.
    /// - Up to 256 colours: unfiltered at level 6, unless sample rows are smaller filtered (ramps). Up to 16:
    ///   always so, 0.001 to 0.002 s, a quarter to a half of libpng's size.
    #[default]
    Fast,
    /// Smaller files, slowly: for tiles that are rendered once and downloaded many times. Four ways to filter
    /// are tried on a quarter of the rows, the best is compressed at level 10: 0.2 to 0.7 s. Drawings, land cover and
    /// relief come out at 0.25 to 0.87, Blue Marble at 0.88 to 0.93. What sensors leave in aerial imagery no lossless
    /// PNG removes (0.98 after minutes of search): tiles in which hardly a pixel repeats are written as by
    /// [`Fast`](Self::Fast).
    Small,
}

/// Options of the PNG encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct PngOptions {
    /// What to spend on a tile. Default: [`PngMode::Fast`].
    pub mode: PngMode,
    /// Store opaque RGB as RGB however few colours there are, for readers that take the bytes for numbers. Default: no.
    pub truecolour: bool,
    /// Store every picture with an alpha channel, grey or RGB: never as a palette. Default: no.
    pub alpha: bool,
}

impl From<PngMode> for PngOptions {
    fn from(mode: PngMode) -> Self {
        Self { mode, ..Self::default() }
    }
}

/// The PNG encoder. Memory for intermediate steps belongs to the calling thread and is kept for its next tile.
#[derive(Debug, Clone, Copy, Default)]
pub struct Png {
    options: PngOptions,
}

impl Png {
    /// An encoder with these options.
    pub fn new(options: impl Into<PngOptions>) -> Self {
        Self { options: options.into() }
    }
}

impl Png {
    /// Appends a PNG of bytes as they are, without a look at what they show: `bands` samples to a pixel (grey, grey and opacity,
    /// red, green and blue, these and opacity), or positions in a table of opaque colours if there is one.
    ///
    /// # Errors
    /// When the samples do not fill the size, or are of no such kind.
    pub fn encode_samples(
        &self,
        size: Size,
        bands: usize,
        samples: &[u8],
        palette: &[Rgba],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let colour_type = match bands {
            1 if !palette.is_empty() => ColourType::Indexed,
            1 => ColourType::Gray,
            2 => ColourType::GrayAlpha,
            3 => ColourType::Rgb,
            4 => ColourType::Rgba,
            _ => return Err(Error::Internal(format!("a PNG of {bands} bands"))),
        };
        let sides = 1..=MOST;
        let fits = sides.contains(&size.width) && sides.contains(&size.height);
        if !fits || samples.len() != size.area() * bands || palette.len() > 256 {
            return Err(Error::Internal(format!("a PNG of {} × {} pixels", size.width, size.height)));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let layout = Layout::plain(size, colour_type, samples, palette);
            chunk::begin(&layout, out)?;
            chunk::chunk(*b"IDAT", out, |out| {
                strategy::compress(&layout, self.options.mode, &mut scratch.work, out)
            })?;
            chunk::end(out)
        })
    }
}

/// Buffers of a thread.
#[derive(Default)]
struct Scratch {
    layout: layout::Scratch,
    work: strategy::Work,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl TileEncoder for Png {
    fn format(&self) -> TileFormat {
        TileFormat::Png
    }

    fn encode(&self, picture: &Picture<'_>, out: &mut Vec<u8>) -> Result<()> {
        picture.check(TileFormat::Png, MOST)?;
        SCRATCH.with_borrow_mut(|scratch| {
            let layout = Layout::new(picture, self.options, &mut scratch.layout);
            chunk::begin(&layout, out)?;
            chunk::chunk(*b"IDAT", out, |out| {
                strategy::compress(&layout, self.options.mode, &mut scratch.work, out)
            })?;
            chunk::end(out)
        })
    }
}

#[cfg(test)]
mod tests;
