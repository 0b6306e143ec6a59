//! Whether a tile decodes, wholly: every row of it, with all checksums it has.

use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use crate::encode::TileFormat;
use crate::store::Picture;

/// Longest side of a tile that is decoded. Nobody makes larger ones, but a few bytes can claim to be.
pub(super) const MOST_SIDE: u32 = 4096;

/// Pixels from which on only one tile is decoded at a time.
const LARGE: u64 = 1 << 20;

/// Bytes that decoding a tile takes at most beside other large ones.
const MOST_BYTES: usize = 256 << 20;

/// A tile that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) picture: Picture,
    /// Whether no pixel shows anything.
    pub(super) transparent: bool,
}

/// Looks at the bytes of a tile, all of them.
///
/// # Errors
/// What is wrong with them, to follow "tile 3/4/5".
pub(super) fn look(bytes: &[u8]) -> Result<Seen, String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let picture = head(bytes)?;
    let pixels = u64::from(picture.width) * u64::from(picture.height);
    let _turn = (pixels > LARGE).then(|| ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner));
    let name = picture.format.name();
    let transparent = match picture.format {
        TileFormat::Png => png(bytes),
        TileFormat::Jpeg => jpeg(bytes, picture).map(|()| false),
        TileFormat::Webp => webp(bytes, picture),
        TileFormat::Tiff => Ok(false),
    };
    transparent
        .map(|transparent| Seen { picture, transparent })
        .map_err(|why| format!("is a damaged {name}: {why}"))
}

/// Looks at the header only.
///
/// # Errors
/// As [`look`].
pub(super) fn head(bytes: &[u8]) -> Result<Picture, String> {
    let picture = Picture::of(bytes)?;
    let Picture { width, height, .. } = picture;
    if width > MOST_SIDE || height > MOST_SIDE {
        return Err(format!("claims to have {width} × {height} pixels: too many for a tile"));
    }
    Ok(picture)
}

/// Row by row: a tile takes no more memory than two of its rows.
fn png(bytes: &[u8]) -> Result<bool, String> {
    let limits = png::Limits { bytes: MOST_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::EXPAND);
    decoder.ignore_checksums(false);
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let (colour, depth) = reader.output_color_type();
    let samples = colour.samples();
    let alpha = matches!(colour, png::ColorType::GrayscaleAlpha | png::ColorType::Rgba);
    let sample = if depth == png::BitDepth::Sixteen { 2 } else { 1 };
    let mut transparent = alpha;
    while let Some(row) = reader.next_row().map_err(|e| e.to_string())? {
        if transparent {
            let pixels = row.data().chunks_exact(samples * sample);
            transparent =
                pixels.map(|pixel| &pixel[(samples - 1) * sample..]).all(|a| a.iter().all(|b| *b == 0));
        }
    }
    reader.finish().map_err(|e| e.to_string())?;
    Ok(transparent)
}

fn jpeg(bytes: &[u8], picture: Picture) -> Result<(), String> {
    let options = zune_jpeg::zune_core::options::DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(MOST_SIDE as usize)
        .set_max_height(MOST_SIDE as usize);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(Cursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    let told = decoder.dimensions();
    if told != Some((picture.width as usize, picture.height as usize)) {
        return Err("it has another size than its header says".to_owned());
    }
    decoder.decode().map(drop).map_err(|e| e.to_string())
}

fn webp(bytes: &[u8], picture: Picture) -> Result<bool, String> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
    if decoder.dimensions() != (picture.width, picture.height) {
        return Err("it has another size than its header says".to_owned());
    }
    decoder.set_memory_limit(MOST_BYTES);
    let size = decoder.output_buffer_size().filter(|n| *n <= MOST_BYTES).ok_or("it is too large")?;
    let mut samples = vec![0; size];
    decoder.read_image(&mut samples).map_err(|e| e.to_string())?;
    Ok(decoder.has_alpha() && samples.chunks_exact(4).all(|pixel| pixel[3] == 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::picture::tests::tile;

    const FORMATS: [TileFormat; 3] = [TileFormat::Png, TileFormat::Jpeg, TileFormat::Webp];

    #[test]
    fn sound_tiles_of_every_format_decode() {
        for format in FORMATS {
            let seen = look(&tile(format, 64, 9)).expect("sound");
            assert_eq!(seen.picture, Picture { format, width: 64, height: 64 });
            assert!(!seen.transparent);
        }
    }

    #[test]
    fn tiles_that_show_nothing_are_known() {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 16, 16);
        encoder.set_color(png::ColorType::Rgba);
        encoder.write_header().expect("header").write_image_data(&[0; 16 * 16 * 4]).expect("pixels");
        assert!(look(&bytes).expect("sound").transparent);
    }

    #[test]
    fn what_was_cut_off_is_refused_wherever_that_happened() {
        for format in FORMATS {
            let whole = tile(format, 64, 9);
            for len in 0..whole.len() {
                assert!(look(&whole[..len]).is_err(), "{format:?} of {len} bytes");
            }
        }
    }

    #[test]
    fn a_small_file_that_claims_to_be_huge_is_not_decoded() {
        // Rows of one colour pack to nothing: a real picture of that size would take a few hundred kilobytes.
        let mut bytes = Vec::new();
        let encoder = png::Encoder::new(&mut bytes, 60_000, 60_000);
        drop(encoder.write_header().expect("header"));
        let why = look(&bytes).expect_err("a bomb");
        assert!(why.contains("60000 × 60000"), "{why}");
    }

    #[test]
    fn pixels_that_are_missing_inside_of_a_whole_png_are_found() {
        // Sound chunks, right checksums of them, but too few rows in the data.
        let mut bytes = tile(TileFormat::Png, 64, 9);
        bytes[23] = 65;
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        assert!(look(&bytes).is_err());
    }
}
