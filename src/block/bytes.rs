//! Blocks as bytes, for files that only tileloom reads: what a run notes for a later one, and what a shard leaves.

use std::borrow::Cow;

use ndarray::Array2;

use super::{Block, Sample, Samples, Validity, interleaved_array, interleaved_slice, to_interleaved};
use crate::window::Window;

/// Bytes of a block before its samples: x and y of the window (i64), its width and height, its bands, whether it has a plane of
/// coverage (u32). The type of the samples is that of the canvas, and is kept as its name in eight bytes.
const HEAD: usize = 40;

/// Takes `N` bytes off the front.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

/// Takes a number off the front.
fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes).map(u32::from_le_bytes)
}

/// A block as bytes: its samples row by row, pixel-interleaved, and its coverage.
pub(crate) fn to_bytes(block: &Block) -> Vec<u8> {
    let window = block.window;
    let mut bytes = Vec::with_capacity(HEAD + block.bytes());
    for origin in [window.x, window.y] {
        bytes.extend(origin.to_le_bytes());
    }
    let plane = matches!(block.validity, Validity::PerPixel(_));
    for number in [window.width as u32, window.height as u32, block.bands() as u32, u32::from(plane)] {
        bytes.extend(number.to_le_bytes());
    }
    let mut name = block.samples.sample_type().name().as_bytes().to_vec();
    name.resize(8, b' ');
    bytes.extend(name);
    for_sample_type!(block.samples.sample_type(), T => {
        if let Some(array) = <T as Sample>::unwrap(&block.samples) {
            let values = interleaved_slice(array).map_or_else(|| Cow::Owned(to_interleaved(array)), Cow::Borrowed);
            let at = bytes.len();
            bytes.resize(at + size_of_val(&*values), 0);
            for (to, value) in bytes[at..].chunks_exact_mut(size_of::<T>()).zip(&*values) {
                to.copy_from_slice(&value.to_le_bytes());
            }
        }
    });
    if let Validity::PerPixel(coverage) = &block.validity {
        bytes.extend(coverage.iter());
    }
    bytes
}

/// The block that became bytes.
pub(crate) fn from_bytes(mut bytes: &[u8]) -> Option<Block> {
    let bytes = &mut bytes;
    let (x, y) = (take(bytes).map(i64::from_le_bytes)?, take(bytes).map(i64::from_le_bytes)?);
    let (width, height) = (take_u32(bytes)? as usize, take_u32(bytes)? as usize);
    let (bands, plane) = (take_u32(bytes)? as usize, take_u32(bytes)? != 0);
    let window = Window::new(x, y, width, height);
    let name: [u8; 8] = take(bytes)?;
    let name = str::from_utf8(&name).ok()?.trim_end();
    let count = window.area().checked_mul(bands)?;
    let samples = samples(name, bytes, count, bands, window)?;
    let validity = if plane {
        Validity::PerPixel(Array2::from_shape_vec((height, width), bytes.to_vec()).ok()?)
    } else {
        Validity::All
    };
    Some(Block { window, samples, validity })
}

/// Takes samples of the type of a name.
fn samples(name: &str, bytes: &mut &[u8], count: usize, bands: usize, window: Window) -> Option<Samples> {
    macro_rules! any_of {
        ($($type:ty),*) => {
            $(if name == <$type as Sample>::TYPE.name() {
                const SIZE: usize = size_of::<$type>();
                let (own, rest) = bytes.split_at_checked(count.checked_mul(SIZE)?)?;
                *bytes = rest;
                let (values, _) = own.as_chunks::<SIZE>();
                let values: Vec<$type> = values.iter().map(|v| <$type>::from_le_bytes(*v)).collect();
                return Some(<$type as Sample>::wrap(interleaved_array(values, bands, window.size())?));
            })*
        };
    }
    any_of!(u8, i8, u16, i16, u32, i32, f32, f64);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::SampleType;

    /// A block with a different value in every sample, some of them not numbers.
    fn block<T: Sample>(plane: bool) -> Block {
        let window = Window::new(-7, 1 << 36, 5, 3);
        let values: Vec<T> = (0..30).map(|k| T::from_f64(f64::from(k) * 7.5 - 20.0)).collect();
        let samples = T::wrap(interleaved_array(values, 2, window.size()).expect("fits"));
        let coverage = Array2::from_shape_fn((3, 5), |(y, x)| (y * 60 + x) as u8);
        let validity = if plane { Validity::PerPixel(coverage) } else { Validity::All };
        Block { window, samples, validity }
    }

    #[test]
    fn blocks_of_every_type_come_back_as_they_were() {
        fn check<T: Sample>() {
            for plane in [false, true] {
                let block = block::<T>(plane);
                let back = from_bytes(&to_bytes(&block)).expect("a block");
                assert_eq!(back, block);
                for_samples!(&back.samples, array => assert!(interleaved_slice(array).is_some()));
            }
        }
        check::<u8>();
        check::<i8>();
        check::<u16>();
        check::<i16>();
        check::<u32>();
        check::<i32>();
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn a_block_cut_short_is_none() {
        let bytes = to_bytes(&block::<f32>(true));
        for len in 0..bytes.len() {
            assert_eq!(from_bytes(&bytes[..len]), None, "{len}");
        }
        assert_eq!(from_bytes(&bytes).map(|b| b.samples.sample_type()), Some(SampleType::F32));
    }
}
