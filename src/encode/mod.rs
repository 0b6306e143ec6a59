//! Tile formats: one module each. An encoder turns a rendered picture into the bytes of one tile.
//!
//! [`EncoderOptions`] is a format with its options as plain data; [`EncoderOptions::build`] makes the encoder. To add a
//! format: one module, a variant of [`TileFormat`] and one of [`EncoderOptions`].

pub mod deflate;
pub mod jpeg;
pub mod opaque;
mod options;
mod pixels;
pub mod png;
pub mod terrain;
pub mod values;
pub mod webp;

pub use options::EncoderOptions;

use crate::error::{Error, Result};

/// A colour table entry: red, green, blue, alpha.
pub type Rgba = [u8; 4];

/// What the samples of a picture mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour<'a> {
    /// One byte per pixel: grey.
    Gray,
    /// Three bytes per pixel: red, green, blue.
    Rgb,
    /// One byte per pixel: an index into the table; indices beyond its end are transparent black.
    Palette(&'a [Rgba]),
}

impl Colour<'_> {
    /// Bytes per pixel.
    pub const fn bytes(&self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Gray | Self::Palette(_) => 1,
        }
    }
}

/// Rows of bytes, a view into a larger buffer.
#[derive(Debug, Clone, Copy)]
pub struct Plane<'a> {
    /// The bytes, beginning with the first row.
    pub bytes: &'a [u8],
    /// Bytes from the start of one row to the start of the next.
    pub stride: usize,
}

impl<'a> Plane<'a> {
    /// The first `len` bytes of row `row`.
    pub fn row(&self, row: usize, len: usize) -> &'a [u8] {
        &self.bytes[row * self.stride..][..len]
    }
}

/// An 8-bit picture as encoders take it: a view into the pixels of a larger block. Colour is unpremultiplied.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// What the samples mean.
    pub colour: Colour<'a>,
    /// The samples, pixel-interleaved, [`Colour::bytes`] per pixel.
    pub samples: Plane<'a>,
    /// Alpha, one byte per pixel; `None` when every pixel is opaque.
    pub alpha: Option<Plane<'a>>,
}

/// A tile format with its options set. Encoders are shared by the threads of the pool.
pub trait TileEncoder: Send + Sync {
    /// The format, for file names and metadata.
    fn format(&self) -> TileFormat;

    /// Appends the encoded picture to `out` (which callers reuse). The same picture gives the same bytes.
    ///
    /// # Errors
    /// When the format cannot hold the picture.
    fn encode(&self, picture: &Picture<'_>, out: &mut Vec<u8>) -> Result<()>;
}

impl Picture<'_> {
    /// Refuses pictures with a side outside of 1 to `most`, and views that end before their picture does.
    fn check(&self, format: TileFormat, most: usize) -> Result<()> {
        let &Picture { width, height, .. } = self;
        let side = 1..=most;
        if !side.contains(&width) || !side.contains(&height) {
            return Err(Error::Internal(format!("a {} of {width} × {height} pixels", format.name())));
        }
        let row = width * self.colour.bytes();
        let planes = [Some((self.samples, row)), self.alpha.map(|plane| (plane, width))];
        for (plane, row) in planes.into_iter().flatten() {
            let needed = plane.stride.checked_mul(height - 1).and_then(|bytes| bytes.checked_add(row));
            if needed.is_none_or(|needed| plane.bytes.len() < needed) {
                let have = plane.bytes.len();
                return Err(Error::Internal(format!("{width} × {height} pixels in {have} bytes")));
            }
        }
        Ok(())
    }
}

/// Format of the tiles in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TileFormat {
    /// Portable Network Graphics.
    Png,
    /// JPEG (JFIF).
    Jpeg,
    /// WebP, lossy or lossless.
    Webp,
    /// `GeoTIFF`: values, not pictures.
    Tiff,
}

impl TileFormat {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Png, Self::Jpeg, Self::Webp, Self::Tiff];

    /// Extension of tile files, and the `format` of the metadata.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
            Self::Tiff => "tif",
        }
    }

    /// The name people know it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Webp => "WebP",
            Self::Tiff => "GeoTIFF",
        }
    }

    /// The media type that servers announce.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
            Self::Tiff => "image/tiff; application=geotiff",
        }
    }
}

impl std::str::FromStr for TileFormat {
    type Err = String;

    /// The extension or the name of a format (`jpg` as well as `jpeg`, `tiff` and GDAL's `GTiff`), in any case.
    fn from_str(text: &str) -> Result<Self, String> {
        let is = |name: &str| text.eq_ignore_ascii_case(name);
        let found = Self::ALL.into_iter().find(|format| is(format.extension()) || is(format.name()));
        let found = found.or_else(|| (is("tiff") || is("gtiff")).then_some(Self::Tiff));
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::extension).join(", ");
            format!("'{text}' is no format of tiles: known are {known}")
        })
    }
}
