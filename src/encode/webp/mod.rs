//! WebP tiles, lossy or lossless.
//!
//! Lossy tiles are made by libwebp. At its default effort (method 4) it would take ten times as long as all other
//! steps together; at method 2, without spatial noise shaping (which trades fidelity for looks at low quality) and with
//! a stronger loop filter (which is what makes its segments worth their bytes then), it takes a third of that for 1.06 of the
//! bytes at equal PSNR. The planes of luma and chroma are made here, see `yuv`.
//!
//! Lossless tiles are made by `image-webp`: fixed predictors and no search for matches, about a sixth smaller than PNG.

mod extended;
mod raw;
mod yuv;

use std::cell::RefCell;

use image_webp::{ColorType, WebPEncoder};

use super::jpeg::check_quality;
use super::pixels::{Channels, Pixels};
use super::{Picture, TileEncoder, TileFormat};
use crate::error::{Error, Result};

/// Which of its two codecs a WebP tile is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WebpMode {
    /// Always lossy; opacity is exact.
    #[default]
    Lossy,
    /// Always lossless. Only the colour of fully transparent pixels is lost: it becomes black.
    Lossless,
    /// Lossy where a tile is opaque, lossless where it is not: no fringes along the edge of the data.
    Auto,
}

/// Options of the WebP encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct WebpOptions {
    /// Quality of lossy tiles on libwebp's scale, 1 to 100. Default: 75, libwebp's and GDAL's.
    pub quality: u8,
    /// Lossy or lossless. Default: lossy.
    pub mode: WebpMode,
    /// Store an alpha channel also where all pixels are opaque. Default: no.
    pub alpha: bool,
    /// Pack lossy tiles with libwebp's default effort, as GDAL does. Default: no.
    pub thorough: bool,
}

impl Default for WebpOptions {
    fn default() -> Self {
        Self { quality: 75, mode: WebpMode::default(), alpha: false, thorough: false }
    }
}

impl WebpOptions {
    /// Refuses a quality out of range.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn validate(&self) -> Result<()> {
        check_quality(self.quality)
    }
}

/// The WebP encoder. Memory for intermediate steps belongs to the calling thread and is kept for its next tile.
#[derive(Debug, Clone, Copy)]
pub struct Webp {
    options: WebpOptions,
}

impl Webp {
    /// An encoder with these options.
    ///
    /// # Errors
    /// [`Error::Usage`] for a quality out of range.
    pub fn new(options: WebpOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self { options })
    }
}

/// Buffers of a thread.
#[derive(Default)]
struct Scratch {
    pixels: Vec<u8>,
    packed: Vec<u8>,
    planes: yuv::Planes,
    lossy: Vec<u8>,
    opacity: extended::Opacity,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl TileEncoder for Webp {
    fn format(&self) -> TileFormat {
        TileFormat::Webp
    }

    fn encode(&self, picture: &Picture<'_>, out: &mut Vec<u8>) -> Result<()> {
        picture.check(TileFormat::Webp, raw::MOST)?;
        SCRATCH.with_borrow_mut(|scratch| {
            let pixels = Pixels::of(picture, &mut scratch.pixels);
            let opaque = matches!(pixels.channels, Channels::Gray | Channels::Rgb);
            let lossy = match self.options.mode {
                WebpMode::Lossy => true,
                WebpMode::Lossless => false,
                WebpMode::Auto => opaque,
            };
            // libwebp drops alpha that hides nothing.
            let add_alpha = self.options.alpha && opaque;
            if !lossy {
                let pixels =
                    if add_alpha { Pixels::with_alpha(picture, &mut scratch.pixels) } else { pixels };
                return lossless(&pixels, &mut scratch.packed, out);
            }
            scratch.planes.fill(&pixels);
            if !add_alpha {
                return raw::compress(&mut scratch.planes, self.options, out);
            }
            scratch.lossy.clear();
            raw::compress(&mut scratch.planes, self.options, &mut scratch.lossy)?;
            extended::add_alpha(&scratch.lossy, (picture.width, picture.height), &mut scratch.opacity, out)
        })
    }
}

/// Appends a lossless WebP.
fn lossless(pixels: &Pixels<'_>, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<()> {
    let colour = match pixels.channels {
        Channels::Gray => ColorType::L8,
        Channels::GrayAlpha => ColorType::La8,
        Channels::Rgb => ColorType::Rgb8,
        Channels::Rgba => ColorType::Rgba8,
    };
    // Both are at most `raw::MOST`.
    let (width, height) = (pixels.width as u32, pixels.height as u32);
    WebPEncoder::new(out)
        .encode(pixels.packed(scratch), width, height, colour)
        .map_err(|e| Error::Internal(format!("lossless WebP: {e}")))
}

#[cfg(test)]
mod tests;
