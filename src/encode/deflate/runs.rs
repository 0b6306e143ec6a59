//! Where the runs of zeros are.

use super::block::{LONGEST, Sequence};
use crate::simd::{Kernel, Level, dispatch};

/// Splits data into literals and runs of zeros. Runs are noticed where eight bytes at the current position
/// are zero, which costs little and misses only runs too short to matter.
pub(super) fn find(data: &[u8]) -> Vec<Sequence> {
    let mut sequences = Vec::new();
    let mut position = 0;
    // Where the literals begin that wait for a run.
    let mut start = 0;
    while data.len() - position >= 8 {
        let (words, _) = data[position..].as_chunks::<8>();
        let skipped = 8 * dispatch(Level::Best, FirstZero(words));
        position += skipped;
        if skipped == 8 * words.len() {
            break;
        }
        let end = position + zeros(&data[position..]);
        position -= data[start..position].iter().rev().take_while(|&&byte| byte == 0).count();
        // A run repeats the byte before: its first zero is a literal.
        position += 1;
        while end - position >= 3 {
            let length = (end - position).min(LONGEST);
            sequences.push(Sequence {
                literals: (position - start) as u32,
                length: length as u16,
                distance: 1,
            });
            position += length;
            start = position;
        }
        position = end;
    }
    sequences.push(Sequence { literals: (data.len() - start) as u32, length: 0, distance: 0 });
    sequences
}

/// Index of the first word that is zero; the number of words if none is.
struct FirstZero<'a>(&'a [[u8; 8]]);

impl Kernel for FirstZero<'_> {
    type Output = usize;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what is not inlined stays baseline code")]
    fn run(self) -> usize {
        let is_zero = |word: &[u8; 8]| u64::from_ne_bytes(*word) == 0;
        let (groups, rest) = self.0.as_chunks::<8>();
        let clear = groups
            .iter()
            .take_while(|group| !group.iter().fold(false, |found, word| found | is_zero(word)))
            .count();
        let tail = groups.get(clear).map_or(rest, |group| group);
        8 * clear + tail.iter().position(is_zero).unwrap_or(tail.len())
    }
}

/// Number of zero bytes that `data` starts with.
fn zeros(data: &[u8]) -> usize {
    let (words, _) = data.as_chunks::<8>();
    let whole = 8 * words.iter().take_while(|word| **word == [0; 8]).count();
    whole + data[whole..].iter().take_while(|&&byte| byte == 0).count()
}
