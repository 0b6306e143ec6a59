//! Tile formats: one file each. An encoder turns a rendered picture into the bytes of one tile.

pub mod deflate;
pub mod png;
pub mod terrain;

use crate::error::Result;

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

/// Format of the tiles in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TileFormat {
    /// Portable Network Graphics.
    Png,
}

impl TileFormat {
    /// Extension of tile files, and the `format` of the metadata.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
        }
    }
}
