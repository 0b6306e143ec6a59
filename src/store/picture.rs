//! What a tile is, by its bytes alone: its format, its size, and whether it is whole.
//!
//! Pixels are not decoded. A PNG says of each of its parts how long it is and what its checksum is, so that damage anywhere
//! is found; JPEG and WebP tell where they end, which finds those that were cut off.

use crate::encode::TileFormat;

/// First bytes of a PNG.
const PNG: [u8; 8] = [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];

/// A tile as its header tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// The format.
    pub format: TileFormat,
    /// Columns of pixels.
    pub width: u32,
    /// Rows of pixels.
    pub height: u32,
}

impl Picture {
    /// Looks at the bytes of a tile.
    ///
    /// # Errors
    /// What is wrong with them, to follow "tile 3/4/5".
    pub fn of(bytes: &[u8]) -> Result<Self, String> {
        let format = format(bytes)?;
        match format {
            TileFormat::Png => whole_png(bytes)?,
            TileFormat::Jpeg => whole_jpeg(bytes)?,
            TileFormat::Webp => whole_webp(bytes)?,
            TileFormat::Tiff => {}
        }
        let name = format.name();
        let size = imagesize::blob_size(bytes).map_err(|e| format!("is a damaged {name}: {e}"))?;
        match (u32::try_from(size.width), u32::try_from(size.height)) {
            (Ok(width), Ok(height)) if width > 0 && height > 0 => Ok(Self { format, width, height }),
            _ => Err(format!("is a damaged {name}: it has {} × {} pixels", size.width, size.height)),
        }
    }
}

/// The format that the first bytes tell.
fn format(bytes: &[u8]) -> Result<TileFormat, String> {
    let what = match bytes {
        _ if bytes.starts_with(&PNG) => return Ok(TileFormat::Png),
        [0xff, 0xd8, 0xff, ..] => return Ok(TileFormat::Jpeg),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => return Ok(TileFormat::Webp),
        [] => "is empty",
        [0x1f, 0x8b, ..] => {
            "is compressed with gzip, as vector tiles are; only tiles that are pictures can be used"
        }
        [0x1a, ..] => "seems to be a vector tile; only tiles that are pictures can be used",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "is AVIF; known are PNG, JPEG and WebP",
        [b'G', b'I', b'F', b'8', ..] => "is GIF; known are PNG, JPEG and WebP",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "is TIFF; known are PNG, JPEG and WebP",
        _ => "is of no known format; known are PNG, JPEG and WebP",
    };
    Err(what.to_owned())
}

/// Follows the chunks of a PNG (specification, section 5.3): length, type, data, CRC-32 of type and data.
fn whole_png(bytes: &[u8]) -> Result<(), String> {
    let mut rest = &bytes[PNG.len()..];
    let mut first = true;
    loop {
        let cut_off = || Err("is a damaged PNG: it ends too early".to_owned());
        let Some((length, after)) = rest.split_first_chunk::<4>() else { return cut_off() };
        let length = u32::from_be_bytes(*length) as usize;
        // The type belongs to what the checksum is of.
        let Some((checked, after)) = length.checked_add(4).and_then(|n| after.split_at_checked(n)) else {
            return cut_off();
        };
        let Some((sum, after)) = after.split_first_chunk::<4>() else { return cut_off() };
        let kind = &checked[..4];
        let mut crc = flate2::Crc::new();
        crc.update(checked);
        if crc.sum() != u32::from_be_bytes(*sum) {
            let kind = String::from_utf8_lossy(kind);
            return Err(format!("is a damaged PNG: its part {} has a wrong checksum", kind.escape_default()));
        }
        if first != (kind == b"IHDR") {
            return Err("is a damaged PNG: its header is not where it belongs".to_owned());
        }
        first = false;
        if kind == b"IEND" {
            return Ok(());
        }
        rest = after;
    }
}

fn whole_jpeg(bytes: &[u8]) -> Result<(), String> {
    // Some programs write a few bytes behind the end.
    let end = bytes.windows(2).rev().any(|pair| pair == [0xff, 0xd9]);
    if end { Ok(()) } else { Err("is a damaged JPEG: it ends too early".to_owned()) }
}

fn whole_webp(bytes: &[u8]) -> Result<(), String> {
    let length = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
    if bytes.len() - 8 >= length { Ok(()) } else { Err("is a damaged WebP: it ends too early".to_owned()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    use crate::encode::jpeg::JpegOptions;
    use crate::encode::png::PngOptions;
    use crate::encode::webp::WebpOptions;
    use crate::encode::{Colour, EncoderOptions, Plane};

    /// A tile of one colour.
    pub fn tile(format: TileFormat, side: usize, colour: u8) -> Vec<u8> {
        let options = match format {
            TileFormat::Png => EncoderOptions::Png(PngOptions::default()),
            TileFormat::Jpeg => EncoderOptions::Jpeg(JpegOptions::default()),
            TileFormat::Webp => EncoderOptions::Webp(WebpOptions::default()),
            TileFormat::Tiff => unreachable!("no picture"),
        };
        let pixels = [colour, 50, 200].repeat(side * side);
        let samples = Plane { bytes: &pixels, stride: side * 3 };
        let picture =
            crate::encode::Picture { width: side, height: side, colour: Colour::Rgb, samples, alpha: None };
        let mut out = Vec::new();
        options.build().expect("an encoder").encode(&picture, &mut out).expect("encoded");
        out
    }

    #[test]
    fn format_and_size_come_from_the_bytes() {
        for format in TileFormat::ALL.into_iter().filter(|format| *format != TileFormat::Tiff) {
            let picture = Picture::of(&tile(format, 64, 9)).expect("a picture");
            assert_eq!(picture, Picture { format, width: 64, height: 64 });
        }
    }

    #[test]
    fn pictures_that_were_cut_off_are_refused_wherever_that_happened() {
        for format in TileFormat::ALL.into_iter().filter(|format| *format != TileFormat::Tiff) {
            let whole = tile(format, 64, 9);
            for len in 0..whole.len() {
                assert!(Picture::of(&whole[..len]).is_err(), "{format:?} of {len} bytes");
            }
        }
    }

    #[test]
    fn any_changed_byte_of_a_png_is_found() {
        let whole = tile(TileFormat::Png, 64, 9);
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x20;
            assert!(Picture::of(&damaged).is_err(), "byte {at}");
        }
    }

    #[test]
    fn other_formats_are_named() {
        for (bytes, word) in [
            (&b"\x1f\x8b\x08\0\0\0"[..], "vector"),
            (b"\x1a\x05layer", "vector"),
            (b"\0\0\0\x20ftypavif", "AVIF"),
            (b"GIF89a", "GIF"),
            (b"II*\0\x08\0\0\0", "TIFF"),
            (b"", "empty"),
            (b"<html>", "no known format"),
        ] {
            let why = Picture::of(bytes).expect_err(word);
            assert!(why.contains(word), "{why}");
        }
    }
}
