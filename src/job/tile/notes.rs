//! What the nodes of the pyramid still need of a finished task: noted beside its tiles, so that a later run of the job makes them
//! without decoding a tile.
//!
//! A task ends with pixels that it left for nodes above, and with nodes that it completed itself. Of every node, one task brings the
//! last missing pixels and makes it; all others have noted theirs. So if the task that made a node is noted, nobody needs to
//! come back to it; and if it is not, it will be done again, and finds what the others left.

use std::borrow::Cow;
use std::collections::HashSet;

use ndarray::Array2;

use crate::block::{Block, Sample, Samples, Validity, interleaved_array, interleaved_slice, to_interleaved};
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::sink::{Log, take};
use crate::window::Window;

/// Pixels that a task left for a node; `None` when they hold no data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Left {
    /// The tile they are of.
    pub(super) tile: TileCoord,
    /// The node that waits for them.
    pub(super) node: TileCoord,
    /// The pixels.
    pub(super) pixels: Option<Block>,
}

/// Notes of one task, on the thread that does it.
#[derive(Debug, Default)]
pub(super) struct Notes {
    made: Vec<TileCoord>,
    /// Tile, node, and pixels as bytes.
    left: Vec<(TileCoord, TileCoord, Vec<u8>)>,
}

impl Notes {
    /// Pixels of a tile go to a node.
    pub(super) fn leave(&mut self, tile: TileCoord, node: TileCoord, pixels: Option<&Block>) {
        self.left.push((tile, node, pixels.map_or_else(Vec::new, to_bytes)));
    }

    /// The task completed a node: nobody needs what was left for it.
    pub(super) fn make(&mut self, node: TileCoord) {
        self.made.push(node);
    }

    /// All notes as bytes: count and addresses of the nodes made, then tile, node, length and bytes of what was left.
    pub(super) fn into_memo(self) -> Vec<u8> {
        let Self { made, left } = self;
        let own: HashSet<TileCoord> = made.iter().copied().collect();
        let left: Vec<_> = left.into_iter().filter(|(_, node, _)| !own.contains(node)).collect();
        let bytes: usize = left.iter().map(|(.., pixels)| pixels.len() + 32).sum();
        let mut memo = Vec::with_capacity(bytes + 16 * made.len() + 8);
        memo.extend((made.len() as u32).to_le_bytes());
        for node in made {
            put(&mut memo, node);
        }
        for (tile, node, pixels) in left {
            put(&mut memo, tile);
            put(&mut memo, node);
            memo.extend((pixels.len() as u64).to_le_bytes());
            memo.extend(pixels);
        }
        memo
    }
}

/// Hands over what finished tasks left for nodes that none of them made.
///
/// # Errors
/// [`Error::Output`](crate::Error::Output) when notes cannot be read, and those of `each`.
pub(super) fn recall(logs: &[&Log], mut each: impl FnMut(Left) -> Result<()>) -> Result<()> {
    let senseless = |task: TileCoord| Error::Internal(format!("the notes of {task} make no sense"));
    let mut made: HashSet<TileCoord> = HashSet::new();
    logs.iter().try_for_each(|log| {
        log.memos(|task, mut memo| {
            made.extend(take_made(&mut memo).ok_or_else(|| senseless(task))?);
            Ok(())
        })
    })?;
    let mut hand_over = |task: TileCoord, mut memo: &[u8]| {
        take_made(&mut memo).ok_or_else(|| senseless(task))?;
        while !memo.is_empty() {
            let (tile, node, pixels) = take_left(&mut memo).ok_or_else(|| senseless(task))?;
            if made.contains(&node) {
                continue;
            }
            let pixels = if pixels.is_empty() {
                None
            } else {
                Some(from_bytes(pixels).ok_or_else(|| senseless(task))?)
            };
            each(Left { tile, node, pixels })?;
        }
        Ok(())
    };
    logs.iter().try_for_each(|log| log.memos(&mut hand_over))
}

fn put(bytes: &mut Vec<u8>, tile: TileCoord) {
    for number in [u32::from(tile.z), tile.x, tile.y] {
        bytes.extend(number.to_le_bytes());
    }
}

fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    take(bytes).map(u32::from_le_bytes)
}

fn take_tile(bytes: &mut &[u8]) -> Option<TileCoord> {
    Some(TileCoord::new(take_u32(bytes)? as u8, take_u32(bytes)?, take_u32(bytes)?))
}

fn take_made(memo: &mut &[u8]) -> Option<Vec<TileCoord>> {
    let count = take_u32(memo)?;
    (0..count).map(|_| take_tile(memo)).collect()
}

/// Tile, node and pixels.
fn take_left<'a>(memo: &mut &'a [u8]) -> Option<(TileCoord, TileCoord, &'a [u8])> {
    let (tile, node) = (take_tile(memo)?, take_tile(memo)?);
    let len = usize::try_from(take(memo).map(u64::from_le_bytes)?).ok()?;
    let (pixels, rest) = memo.split_at_checked(len)?;
    *memo = rest;
    Some((tile, node, pixels))
}

/// Bytes of a block before its samples: x and y of the window (i64), its width and height, its bands, whether it has a plane of
/// coverage (u32). The type of the samples is that of the canvas, and is kept as its name in eight bytes.
const HEAD: usize = 40;

/// A block as bytes: its samples row by row, pixel-interleaved, and its coverage.
fn to_bytes(block: &Block) -> Vec<u8> {
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
fn from_bytes(mut bytes: &[u8]) -> Option<Block> {
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

    #[test]
    fn what_is_left_for_a_node_made_here_is_not_noted() {
        let (child, node, other) =
            (TileCoord::new(5, 6, 7), TileCoord::new(4, 3, 3), TileCoord::new(4, 2, 3));
        let mut notes = Notes::default();
        notes.leave(child, node, Some(&block::<u8>(false)));
        notes.leave(child, other, None);
        notes.make(node);
        let memo = notes.into_memo();
        let mut rest = &memo[..];
        assert_eq!(take_made(&mut rest), Some(vec![node]));
        assert_eq!(take_left(&mut rest), Some((child, other, &[][..])));
        assert!(rest.is_empty());
    }
}
