//! Tiles that hold values as they are, not pictures: `GeoTIFF` of any sample type, and PNG of 16 bits.

pub mod geotiff;
pub mod png16;

use super::TileFormat;
use crate::block::{Block, Sample, SampleType, Validity, to_interleaved};
use crate::error::Result;
use crate::grid::TileCoord;

/// What stands where a tile holds no data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Absence {
    /// This value in all bands, declared in every tile. No pixel with data has it.
    Nodata(f64),
    /// Zero, and a further band that tells opacity.
    Alpha,
    /// Zero.
    Black,
}

/// A tile format for values, with its options set. Encoders are shared by the threads of the pool.
pub trait ValueEncoder: Send + Sync {
    /// The format, for file names and metadata.
    fn format(&self) -> TileFormat;

    /// Appends the encoded tile to `out` (which callers reuse). `pixels` are those of the tile, pixel-interleaved. The same tile gives
    /// the same bytes.
    ///
    /// # Errors
    /// When the format cannot hold the tile.
    fn encode(&self, tile: TileCoord, pixels: &Block, out: &mut Vec<u8>) -> Result<()>;
}

/// The samples of a block in the order row, column, band, with what stands where there is no data, and with opacity as a
/// further band if that is asked for.
fn filled<T: Sample>(block: &Block, absence: Absence) -> Vec<T> {
    let bands = block.bands();
    let mut values = T::unwrap(&block.samples).map(to_interleaved).unwrap_or_default();
    let coverage = match &block.validity {
        Validity::All => None,
        Validity::PerPixel(plane) => plane.as_slice(),
    };
    let covered = |k: usize| coverage.map_or(255, |plane| plane[k]);
    if let Absence::Nodata(value) = absence {
        let nodata = T::from_f64(value);
        let beside = beside(nodata);
        for (k, pixel) in values.chunks_exact_mut(bands.max(1)).enumerate() {
            if covered(k) == 0 {
                pixel.fill(nodata);
            } else {
                pixel.iter_mut().filter(|v| **v == nodata).for_each(|v| *v = beside);
            }
        }
        return values;
    }
    for (k, pixel) in values.chunks_exact_mut(bands.max(1)).enumerate() {
        if covered(k) == 0 {
            pixel.fill(T::default());
        }
    }
    if absence == Absence::Alpha {
        let alpha = |k: usize| T::from_f64(f64::from(covered(k)) / 255.0 * opaque::<T>());
        let pixels = values.chunks_exact(bands.max(1)).enumerate();
        return pixels.flat_map(|(k, pixel)| pixel.iter().copied().chain([alpha(k)])).collect();
    }
    values
}

/// The value next to nodata that a pixel with data takes instead, as `gdalwarp` does.
fn beside<T: Sample>(nodata: T) -> T {
    let value = nodata.to_f64();
    let next = if matches!(T::TYPE, SampleType::F32 | SampleType::F64) {
        next_up(value, T::TYPE.bytes())
    } else {
        value + 1.0
    };
    let up = T::from_f64(next);
    if up == nodata { T::from_f64(value - 1.0) } else { up }
}

fn next_up(value: f64, bytes: usize) -> f64 {
    if bytes == 4 { f64::from((value as f32).next_up()) } else { value.next_up() }
}

/// The opacity of an opaque pixel in samples of a type: what GDAL takes it for.
fn opaque<T: Sample>() -> f64 {
    match T::TYPE {
        SampleType::U8 | SampleType::I8 => 255.0,
        SampleType::U16 => 65_535.0,
        SampleType::I16 => 32_767.0,
        SampleType::U32 => f64::from(u32::MAX),
        SampleType::I32 => f64::from(i32::MAX),
        SampleType::F32 | SampleType::F64 => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::block::{Samples, interleaved_array};
    use crate::window::Window;

    fn block(values: Vec<i16>, coverage: &[u8]) -> Block {
        let window = Window::new(0, 0, coverage.len(), 1);
        let samples = Samples::I16(interleaved_array(values, 1, window.size()).expect("fits"));
        let plane = Array2::from_shape_vec((1, coverage.len()), coverage.to_vec()).expect("fits");
        Block { window, samples, validity: Validity::PerPixel(plane) }
    }

    #[test]
    fn pixels_with_data_never_have_the_value_for_none() {
        let tile = block(vec![5, -9999, 7], &[255, 255, 0]);
        assert_eq!(filled::<i16>(&tile, Absence::Nodata(-9999.0)), [5, -9998, -9999]);
        let tile = block(vec![i16::MAX], &[1]);
        assert_eq!(filled::<i16>(&tile, Absence::Nodata(32_767.0)), [32_766]);
        assert_eq!(beside(0.0f32), f32::from_bits(1));
    }

    #[test]
    fn opacity_is_a_band_in_the_range_of_its_type() {
        let tile = block(vec![5, 6, 7], &[255, 51, 0]);
        assert_eq!(filled::<i16>(&tile, Absence::Alpha), [5, 32_767, 6, 6553, 0, 0]);
        assert_eq!(filled::<i16>(&tile, Absence::Black), [5, 6, 0]);
    }
}
