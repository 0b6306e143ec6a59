//! What the nodes of the pyramid still need of a finished task: noted beside its tiles, so that a later run of the job makes them
//! without decoding a tile.
//!
//! A task ends with pixels that it left for nodes above, and with nodes that it completed itself. Of every node, one task brings the
//! last missing pixels and makes it; all others have noted theirs. So if the task that made a node is noted, nobody needs to
//! come back to it; and if it is not, it will be done again, and finds what the others left.

use std::collections::HashSet;

use crate::block::{Block, from_bytes, take, to_bytes};
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::sink::Log;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{SampleType, Samples, Validity};
    use crate::window::Window;

    #[test]
    fn what_is_left_for_a_node_made_here_is_not_noted() {
        let (child, node, other) =
            (TileCoord::new(5, 6, 7), TileCoord::new(4, 3, 3), TileCoord::new(4, 2, 3));
        let window = Window::new(0, 0, 3, 2);
        let samples = Samples::zeros(SampleType::U8, 2, window.size());
        let block = Block { window, samples, validity: Validity::All };
        let mut notes = Notes::default();
        notes.leave(child, node, Some(&block));
        notes.leave(child, other, None);
        notes.make(node);
        let memo = notes.into_memo();
        let mut rest = &memo[..];
        assert_eq!(take_made(&mut rest), Some(vec![node]));
        assert_eq!(take_left(&mut rest), Some((child, other, &[][..])));
        assert!(rest.is_empty());
    }
}
