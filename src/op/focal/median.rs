//! The median of each square.
//!
//! Small squares go through [`networks`]. For others, and again where something is missing, the values of a part are ordered; a set of
//! bits then holds the ranks that are inside the square, which moves along a row and trades a column for another (Huang, Yang and Tang
//! 1979, with ranks in the place of grey levels), while a pointer into the set keeps to its middle.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use super::boxes::Box;
use super::networks;
use super::ranks::{NONE, Part, Ranks, parts};
use crate::op::{Real, Stack};

/// Medians of a band; where a pixel itself is missing, of those around.
#[inline(always)]
pub(super) fn run<T: Real>(square: Box<'_, T>, output: &mut Stack<T>, gaps: bool) {
    match square.size {
        3 => networks::median3(square.input, output, square.band),
        5 => networks::median5(square.input, output, square.band),
        _ => return by_rank(square, output, |_| true),
    }
    if gaps {
        by_rank(square, output, |part| part.has_gaps(square));
    }
}

fn by_rank<T: Real>(square: Box<'_, T>, output: &mut Stack<T>, wanted: impl Fn(Part) -> bool) {
    let window = output.window;
    for part in parts(square.size, window.width, window.height).filter(|part| wanted(*part)) {
        let ranks = Ranks::new(square, part, false);
        let mut set = Set::new(ranks.values.len());
        for y in 0..part.height {
            row(&ranks, &mut set, square.size, y, part, output.row_mut(square.band, part.y + y));
        }
    }
}

fn row<T: Real>(ranks: &Ranks<T>, set: &mut Set, size: usize, y: usize, part: Part, out: &mut [T]) {
    set.clear();
    for x in 0..size - 1 {
        ranks.column(x, y, size).for_each(|rank| set.insert(rank));
    }
    for x in 0..part.width {
        ranks.column(x + size - 1, y, size).for_each(|rank| set.insert(rank));
        out[part.x + x] = match set.middle() {
            None => T::NAN,
            Some((a, b)) if a == b => ranks.values[a],
            Some((a, b)) => T::of(f64::midpoint(ranks.values[a].wide(), ranks.values[b].wide())),
        };
        ranks.column(x, y, size).for_each(|rank| set.remove(rank));
    }
}

/// A set of ranks.
struct Set {
    words: Vec<u64>,
    count: usize,
    /// A word, and how many ranks are in those before it.
    word: usize,
    before: usize,
}

impl Set {
    fn new(ranks: usize) -> Self {
        Self { words: vec![0; ranks.div_ceil(64) + 1], count: 0, word: 0, before: 0 }
    }

    fn clear(&mut self) {
        self.words.fill(0);
        (self.count, self.before) = (0, 0);
    }

    #[inline(always)]
    fn insert(&mut self, rank: u32) {
        if rank != NONE {
            let word = rank as usize / 64;
            self.words[word] |= 1 << (rank % 64);
            self.count += 1;
            self.before += usize::from(word < self.word);
        }
    }

    #[inline(always)]
    fn remove(&mut self, rank: u32) {
        if rank != NONE {
            let word = rank as usize / 64;
            self.words[word] &= !(1 << (rank % 64));
            self.count -= 1;
            self.before -= usize::from(word < self.word);
        }
    }

    /// The middle rank, or the two around the middle.
    #[inline(always)]
    fn middle(&mut self) -> Option<(usize, usize)> {
        if self.count == 0 {
            return None;
        }
        let upper = self.nth(self.count / 2);
        let lower = if self.count.is_multiple_of(2) { self.nth(self.count / 2 - 1) } else { upper };
        Some((lower, upper))
    }

    /// The rank that has so many below it in the set.
    #[inline(always)]
    fn nth(&mut self, n: usize) -> usize {
        while self.before > n {
            self.word -= 1;
            self.before -= self.words[self.word].count_ones() as usize;
        }
        loop {
            let own = self.words[self.word].count_ones() as usize;
            if self.before + own > n {
                break;
            }
            self.before += own;
            self.word += 1;
        }
        let mut word = self.words[self.word];
        for _ in self.before..n {
            word &= word - 1;
        }
        self.word * 64 + word.trailing_zeros() as usize
    }
}
