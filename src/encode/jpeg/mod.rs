//! JPEG tiles: baseline, 4:2:0, Huffman tables of the standard, as GDAL's and most other programs write them.
//!
//! JPEG knows no transparency: pixels that are not opaque are laid over a background. One band gives a grey JPEG.

mod raw;
mod recode;

use std::cell::RefCell;

use super::pixels::{Channels, Pixels};
use super::{Picture, Plane, TileEncoder, TileFormat};
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
    coded: Vec<u8>,
    recoder: recode::Recoder,
}

impl Scratch {
    /// A JPEG as libjpeg-turbo makes it, in `self.coded`.
    fn compress(&mut self, size: (usize, usize), gray: bool, pixels: Plane<'_>, quality: u8) -> Result<()> {
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => none.insert(raw::Compressor::new()?),
        };
        self.coded.clear();
        compressor.compress(size, gray, pixels, quality, &mut self.coded)
    }
}

/// Appends a block of a TIFF in JPEG: grey or RGB pixels as [`Jpeg`] packs them, with Huffman tables of their own and
/// without the quantisation tables, which the file [shares](shares_tables).
///
/// # Errors
/// The library's reason.
pub(crate) fn pack_block(
    size: (usize, usize),
    gray: bool,
    pixels: Plane<'_>,
    quality: u8,
    out: &mut Vec<u8>,
) -> Result<()> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.compress(size, gray, pixels, quality)?;
        let recoded = scratch.recoder.recode(&scratch.coded, out);
        recoded.ok_or_else(|| Error::Internal("libjpeg-turbo has made no baseline JPEG".to_owned()))
    })
}

/// Whether the tables that blocks of a TIFF share, which its directory tells, are those that [`pack_block`] packs with.
pub(crate) fn shares_tables(gray: bool, quality: u8, told: &[u8]) -> bool {
    let bytes = [0; 8 * 8 * 3];
    let pixels = Plane { bytes: &bytes, stride: if gray { 8 } else { 24 } };
    let made = SCRATCH.with_borrow_mut(|scratch| {
        scratch.compress((8, 8), gray, pixels, quality).ok()?;
        recode::quantisation(&recode::tables(&scratch.coded)?)
    });
    made.is_some() && made == recode::quantisation(told)
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
