//! A tile format with its options, as plain data.

use super::jpeg::{Jpeg, JpegOptions};
use super::png::{Png, PngOptions};
use super::webp::{Webp, WebpMode, WebpOptions};
use super::{TileEncoder, TileFormat};
use crate::error::{Error, Result};

/// A tile format with its options. Default: PNG with its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EncoderOptions {
    /// Portable Network Graphics.
    Png(PngOptions),
    /// JPEG.
    Jpeg(JpegOptions),
    /// WebP.
    Webp(WebpOptions),
    /// `GeoTIFF`, which holds [values](super::values).
    Tiff,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self::Png(PngOptions::default())
    }
}

impl EncoderOptions {
    /// A format with the defaults of its options.
    pub fn new(format: TileFormat) -> Self {
        match format {
            TileFormat::Png => Self::Png(PngOptions::default()),
            TileFormat::Jpeg => Self::Jpeg(JpegOptions::default()),
            TileFormat::Webp => Self::Webp(WebpOptions::default()),
            TileFormat::Tiff => Self::Tiff,
        }
    }

    /// The format.
    pub const fn format(&self) -> TileFormat {
        match self {
            Self::Png(_) => TileFormat::Png,
            Self::Jpeg(_) => TileFormat::Jpeg,
            Self::Webp(_) => TileFormat::Webp,
            Self::Tiff => TileFormat::Tiff,
        }
    }

    /// Whether every pixel that is not fully transparent comes back as it was.
    pub const fn is_lossless(&self) -> bool {
        match self {
            Self::Png(_) | Self::Tiff => true,
            Self::Jpeg(_) => false,
            Self::Webp(options) => matches!(options.mode, WebpMode::Lossless),
        }
    }

    /// Whether pixels can be transparent.
    pub const fn has_alpha(&self) -> bool {
        !matches!(self, Self::Jpeg(_))
    }

    /// Refuses options out of their range.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) that names the option.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Png(_) | Self::Tiff => Ok(()),
            Self::Jpeg(options) => options.validate(),
            Self::Webp(options) => options.validate(),
        }
    }

    /// The encoder.
    ///
    /// # Errors
    /// Those of [`EncoderOptions::validate`].
    pub fn build(&self) -> Result<Box<dyn TileEncoder>> {
        Ok(match *self {
            Self::Png(options) => Box::new(Png::new(options)),
            Self::Jpeg(options) => Box::new(Jpeg::new(options)?),
            Self::Webp(options) => Box::new(Webp::new(options)?),
            Self::Tiff => return Err(Error::Internal("GeoTIFF tiles hold values, not pictures".to_owned())),
        })
    }
}
