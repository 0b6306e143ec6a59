//! PNG of 16 bits per sample: the values of one or three bands as they are.

use png::{BitDepth, ColorType, Compression, Encoder};

use super::{Absence, ValueEncoder, filled};
use crate::block::{Block, SampleType, Validity};
use crate::encode::TileFormat;
use crate::encode::png::PngMode;
use crate::error::{Error, Result};
use crate::grid::TileCoord;

/// Encodes 16-bit PNG.
#[derive(Debug, Clone)]
pub struct Png16 {
    mode: PngMode,
    alpha: Option<bool>,
}

impl Png16 {
    /// An encoder of tiles that all have alpha, or never (black where there is no data), or when a pixel is not opaque.
    pub fn new(mode: PngMode, alpha: Option<bool>) -> Self {
        Self { mode, alpha }
    }
}

impl ValueEncoder for Png16 {
    fn format(&self) -> TileFormat {
        TileFormat::Png
    }

    fn encode(&self, tile: TileCoord, pixels: &Block, out: &mut Vec<u8>) -> Result<()> {
        let (bands, sample_type) = (pixels.bands(), pixels.samples.sample_type());
        if sample_type != SampleType::U16 || !matches!(bands, 1 | 3) {
            return Err(Error::Internal(format!("a 16-bit PNG of {bands} bands of {sample_type:?}")));
        }
        let alpha = self.alpha.unwrap_or(pixels.validity != Validity::All);
        let absence = if alpha { Absence::Alpha } else { Absence::Black };
        let colour = match (bands, alpha) {
            (1, true) => ColorType::GrayscaleAlpha,
            (1, false) => ColorType::Grayscale,
            (_, true) => ColorType::Rgba,
            (_, false) => ColorType::Rgb,
        };
        let bytes: Vec<u8> = filled::<u16>(pixels, absence).into_iter().flat_map(u16::to_be_bytes).collect();
        let failed = |e: png::EncodingError| Error::Internal(format!("tile {tile}: {e}"));
        let mut encoder = Encoder::new(out, pixels.window.width as u32, pixels.window.height as u32);
        encoder.set_color(colour);
        encoder.set_depth(BitDepth::Sixteen);
        encoder.set_compression(match self.mode {
            PngMode::Fast => Compression::Balanced,
            PngMode::Small => Compression::High,
        });
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&bytes).map_err(failed)?;
        writer.finish().map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::block::{Samples, interleaved_array};
    use crate::window::Window;

    fn decoded(alpha: Option<bool>, coverage: &[u8]) -> (ColorType, Vec<u8>) {
        let window = Window::new(0, 0, 2, 1);
        let samples = Samples::U16(interleaved_array(vec![258, 65_535], 1, window.size()).expect("fits"));
        let plane = Array2::from_shape_vec((1, 2), coverage.to_vec()).expect("fits");
        let block = Block { window, samples, validity: Validity::PerPixel(plane).simplified() };
        let mut out = Vec::new();
        let encoder = Png16::new(PngMode::Fast, alpha);
        encoder.encode(TileCoord::new(0, 0, 0), &block, &mut out).expect("encoded");
        let mut reader = png::Decoder::new(std::io::Cursor::new(out)).read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut bytes).expect("pixels");
        assert_eq!(info.bit_depth, BitDepth::Sixteen);
        (info.color_type, bytes[..info.buffer_size()].to_vec())
    }

    #[test]
    fn alpha_is_there_when_a_pixel_is_not_opaque() {
        let (gray, alpha) = (ColorType::Grayscale, ColorType::GrayscaleAlpha);
        assert_eq!(decoded(None, &[255, 255]), (gray, vec![1, 2, 255, 255]));
        assert_eq!(decoded(None, &[255, 0]), (alpha, vec![1, 2, 255, 255, 0, 0, 0, 0]));
        assert_eq!(decoded(Some(true), &[255, 255]).0, alpha);
        assert_eq!(decoded(Some(false), &[255, 0]), (gray, vec![1, 2, 0, 0]));
    }
}
