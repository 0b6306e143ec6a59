//! From the bytes of a row as they are packed to its samples: byte order and predictors of TIFF.

use super::tiff::{ByteOrder, Predictor};
use crate::block::Sample;
use crate::simd::Level;
use crate::simd::sums::running_sums;

/// A sample type whose values can be made of the bytes of a file.
pub(super) trait Stored: Sample {
    /// Makes the samples of a row of a block: `row` holds exactly the bytes of `out`, and may be changed. `bands` is how
    /// many samples of a pixel lie next to each other.
    fn unpack(row: &mut [u8], order: ByteOrder, predictor: Predictor, bands: usize, out: &mut [Self]);
}

macro_rules! stored {
    ($($type:ty, $bits:ty, $from:expr, $wide:expr;)*) => {
        $(impl Stored for $type {
            fn unpack(row: &mut [u8], order: ByteOrder, predictor: Predictor, bands: usize, out: &mut [Self]) {
                let wide: fn(Level, &[u8], usize, &mut [Self]) -> bool = $wide;
                let summed = predictor == Predictor::Horizontal && order == ByteOrder::Little;
                if summed && wide(Level::Best, row, bands, out) {
                    return;
                }
                unpack::<$bits, Self>(row, order, predictor, bands, out, $from);
            }
        })*
    };
}

stored! {
    u8, u8, |b| b, running_sums;
    i8, u8, |b| b as i8, running_sums;
    u16, u16, |b| b, running_sums;
    i16, u16, |b| b as i16, running_sums;
    u32, u32, |b| b, |_, _, _, _| false;
    i32, u32, |b| b as i32, |_, _, _, _| false;
    f32, u32, f32::from_bits, |_, _, _, _| false;
    f64, u64, f64::from_bits, |_, _, _, _| false;
}

/// The bits of a sample as a number that differences are taken of.
trait Bits: Copy + Default {
    fn from_le(bytes: &[u8]) -> Self;
    fn from_be(bytes: &[u8]) -> Self;
    fn plus(self, other: Self) -> Self;
}

macro_rules! bits {
    ($($type:ty)*) => {
        $(impl Bits for $type {
            #[inline]
            fn from_le(bytes: &[u8]) -> Self {
                bytes.first_chunk().map_or(0, |b| Self::from_le_bytes(*b))
            }
            #[inline]
            fn from_be(bytes: &[u8]) -> Self {
                bytes.first_chunk().map_or(0, |b| Self::from_be_bytes(*b))
            }
            #[inline]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
        })*
    };
}

bits! { u8 u16 u32 u64 }

fn unpack<B: Bits, T>(
    row: &mut [u8],
    order: ByteOrder,
    predictor: Predictor,
    bands: usize,
    out: &mut [T],
    from: impl Fn(B) -> T,
) {
    match (predictor, order) {
        (Predictor::None, ByteOrder::Little) => plain(row, out, |b| from(B::from_le(b))),
        (Predictor::None, ByteOrder::Big) => plain(row, out, |b| from(B::from_be(b))),
        (Predictor::Horizontal, ByteOrder::Little) => horizontal(row, bands, out, B::from_le, from),
        (Predictor::Horizontal, ByteOrder::Big) => horizontal(row, bands, out, B::from_be, from),
        (Predictor::Float, _) => float(row, bands, out, from),
    }
}

fn plain<T>(row: &[u8], out: &mut [T], load: impl Fn(&[u8]) -> T) {
    let bytes = row.len() / out.len().max(1);
    for (v, b) in out.iter_mut().zip(row.chunks_exact(bytes.max(1))) {
        *v = load(b);
    }
}

/// Sums of differences, band by band.
fn horizontal<B: Bits, T>(
    row: &[u8],
    bands: usize,
    out: &mut [T],
    load: impl Fn(&[u8]) -> B,
    from: impl Fn(B) -> T,
) {
    match bands {
        1 => together::<B, T, 1>(row, out, load, from),
        2 => together::<B, T, 2>(row, out, load, from),
        3 => together::<B, T, 3>(row, out, load, from),
        4 => together::<B, T, 4>(row, out, load, from),
        _ => {
            let bytes = size_of::<B>();
            for band in 0..bands {
                let mut sum = B::default();
                let differences = row.chunks_exact(bytes).skip(band).step_by(bands);
                for (v, b) in out.iter_mut().skip(band).step_by(bands).zip(differences) {
                    sum = sum.plus(load(b));
                    *v = from(sum);
                }
            }
        }
    }
}

/// [`horizontal`] for a number of bands known beforehand, all at once.
fn together<B: Bits, T, const N: usize>(
    row: &[u8],
    out: &mut [T],
    load: impl Fn(&[u8]) -> B,
    from: impl Fn(B) -> T,
) {
    let bytes = size_of::<B>();
    let mut sums = [B::default(); N];
    for (pixel, row) in out.as_chunks_mut::<N>().0.iter_mut().zip(row.chunks_exact(bytes * N)) {
        for ((v, sum), b) in pixel.iter_mut().zip(&mut sums).zip(row.chunks_exact(bytes)) {
            *sum = sum.plus(load(b));
            *v = from(*sum);
        }
    }
}

/// Floats whose bytes are sorted by significance, most significant first whatever the byte order of the file, and then
/// differenced (TIFF technical note 3).
fn float<B: Bits, T>(row: &mut [u8], bands: usize, out: &mut [T], from: impl Fn(B) -> T) {
    let mut sums = vec![0u8; row.len()];
    let row = if running_sums(Level::Best, row, bands, &mut sums) {
        &sums[..]
    } else {
        for k in bands..row.len() {
            row[k] = row[k].wrapping_add(row[k - bands]);
        }
        &row[..]
    };
    match size_of::<B>() {
        4 => together_again::<B, T, 4>(row, out, from),
        8 => together_again::<B, T, 8>(row, out, from),
        // No float has other sizes.
        _ => {}
    }
}

/// Puts floats of `N` bytes together whose bytes lie in planes.
fn together_again<B: Bits, T, const N: usize>(row: &[u8], out: &mut [T], from: impl Fn(B) -> T) {
    let count = out.len();
    let planes: [&[u8]; N] = std::array::from_fn(|k| &row[k * count..(k + 1) * count]);
    for (k, v) in out.iter_mut().enumerate() {
        *v = from(B::from_be(&planes.map(|plane| plane[k])));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked<T: Stored>(row: &[u8], order: ByteOrder, predictor: Predictor, bands: usize) -> Vec<T> {
        let mut out = vec![T::default(); row.len() / size_of::<T>()];
        T::unpack(&mut row.to_vec(), order, predictor, bands, &mut out);
        out
    }

    #[test]
    fn differences_are_summed_per_band_and_wrap() {
        let row = [250, 1, 2, 10, 255, 3, 0, 1, 0];
        for bands in [1, 3, 9] {
            let found: Vec<u8> = unpacked(&row, ByteOrder::Little, Predictor::Horizontal, bands);
            let mut expected = row;
            for k in bands..row.len() {
                expected[k] = expected[k].wrapping_add(expected[k - bands]);
            }
            assert_eq!(found, expected, "{bands} bands");
        }
    }

    #[test]
    fn any_number_of_bands_gives_the_same_sums() {
        let row: Vec<u8> = (0..240u32).map(|k| ((k * k * 37) >> 3) as u8).collect();
        for bands in 1..=6 {
            let found: Vec<i16> = unpacked(&row, ByteOrder::Big, Predictor::Horizontal, bands);
            let word = |k: usize| i16::from_be_bytes([row[2 * k], row[2 * k + 1]]);
            for (k, v) in found.iter().enumerate() {
                let before = if k < bands { 0 } else { found[k - bands] };
                assert_eq!(*v, before.wrapping_add(word(k)), "{bands} bands, sample {k}");
            }
        }
    }

    #[test]
    fn floats_are_put_together_from_their_sorted_bytes() {
        let values = [1.5f32, -2.25, 1e9, 0.0];
        let sorted: Vec<u8> = (0..4).flat_map(|b| values.map(|v| v.to_be_bytes()[b])).collect();
        let mut row = sorted.clone();
        for k in (1..row.len()).rev() {
            row[k] = row[k].wrapping_sub(row[k - 1]);
        }
        for order in [ByteOrder::Little, ByteOrder::Big] {
            assert_eq!(unpacked::<f32>(&row, order, Predictor::Float, 1), values);
        }
    }

    #[test]
    fn byte_order_is_that_of_the_file() {
        let row = 0.1f64.to_be_bytes();
        assert_eq!(unpacked::<f64>(&row, ByteOrder::Big, Predictor::None, 1), [0.1]);
        assert_eq!(unpacked::<u16>(&[1, 2], ByteOrder::Little, Predictor::None, 1), [0x201]);
    }
}
