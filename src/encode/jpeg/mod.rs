//! JPEG tiles: baseline, 4:2:0, Huffman tables of the standard, as GDAL's and most other programs write them.
//!
//! JPEG knows no transparency: pixels that are not opaque are laid over a background. One band gives a grey JPEG.

mod raw;

use std::cell::RefCell;

use super::pixels::{Channels, Pixels};
use super::{Picture, TileEncoder, TileFormat};
use crate::error::{Error, Result};

/// Options of the JPEG encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct JpegOptions {
    /// Quality on the scale of the Independent JPEG Group, 1 to 100. Default: 75, GDAL's.
    pub quality: u8,
    /// Red, green and blue under pixels that are not opaque. Default: none given, [`WHITE`].
    pub background: Option<[u8; 3]>,
}

/// The colour under pixels that are not opaque, unless another is given.
pub const WHITE: [u8; 3] = [255; 3];

impl Default for JpegOptions {
    fn default() -> Self {
        Self { quality: 75, background: None }
    }
}

impl JpegOptions {
    /// Refuses a quality out of range.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn validate(&self) -> Result<()> {
        check_quality(self.quality)
    }
}

/// Refuses a quality out of the range of JPEG and WebP.
pub(super) fn check_quality(quality: u8) -> Result<()> {
    if (1..=100).contains(&quality) {
        return Ok(());
    }
    Err(Error::Usage(format!("--quality {quality}: give 1 (smallest) to 100 (best)")))
}

/// The JPEG encoder, on libjpeg-turbo. Its state and memory belong to the calling thread and are kept for its next tile.
#[derive(Debug, Clone, Copy)]
pub struct Jpeg {
    options: JpegOptions,
}

impl Jpeg {
    /// An encoder with these options.
    ///
    /// # Errors
    /// [`Error::Usage`] for a quality out of range.
    pub fn new(options: JpegOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self { options })
    }
}

/// What a thread keeps.
#[derive(Default)]
struct Scratch {
    compressor: Option<raw::Compressor>,
    pixels: Vec<u8>,
    blended: Vec<u8>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl TileEncoder for Jpeg {
    fn format(&self) -> TileFormat {
        TileFormat::Jpeg
    }

    fn encode(&self, picture: &Picture<'_>, out: &mut Vec<u8>) -> Result<()> {
        picture.check(TileFormat::Jpeg, raw::MOST)?;
        SCRATCH.with_borrow_mut(|scratch| {
            let compressor = match &mut scratch.compressor {
                Some(compressor) => compressor,
                none => none.insert(raw::Compressor::new()?),
            };
            let pixels = Pixels::of(picture, &mut scratch.pixels);
            let pixels = pixels.over(self.options.background.unwrap_or(WHITE), &mut scratch.blended);
            let gray = pixels.channels == Channels::Gray;
            compressor.compress(
                (pixels.width, pixels.height),
                gray,
                pixels.plane(),
                self.options.quality,
                out,
            )
        })
    }
}

#[cfg(test)]
mod tests;
