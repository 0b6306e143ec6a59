//! The most frequent value of each square; of several the one that is complete first, row by row, as `gdal raster neighbors` has it.
//!
//! The square moves along a row and trades a column for another; how often each value is inside is counted by its rank. The square is
//! looked through only where several values are the most frequent, or where the one that was has become less so.

use super::boxes::Box;
use super::ranks::{NONE, Part, Ranks, parts};
use crate::op::{Real, Stack};

/// Modes of a band; where a pixel itself is missing, of those around.
pub(super) fn run<T: Real>(square: Box<'_, T>, output: &mut Stack<T>) {
    let (window, size) = (output.window, square.size);
    for part in parts(size, window.width, window.height) {
        let ranks = Ranks::new(square, part, true);
        let mut counts = Counts::new(ranks.values.len(), size);
        for y in 0..part.height {
            row(&ranks, &mut counts, size, y, part, output.row_mut(square.band, part.y + y));
        }
    }
}

fn row<T: Real>(ranks: &Ranks<T>, counts: &mut Counts, size: usize, y: usize, part: Part, out: &mut [T]) {
    counts.clear();
    for x in 0..size - 1 {
        ranks.column(x, y, size).for_each(|rank| counts.insert(rank));
    }
    for x in 0..part.width {
        ranks.column(x + size - 1, y, size).for_each(|rank| counts.insert(rank));
        let rows = (y..y + size).map(|row| &ranks.of_pixels[row * ranks.width + x..][..size]);
        out[part.x + x] = counts.most(&rows).map_or(T::NAN, |rank| ranks.values[rank]);
        ranks.column(x, y, size).for_each(|rank| counts.remove(rank));
    }
}

/// How often each rank is inside the square.
struct Counts {
    inside: Vec<u32>,
    /// How many ranks are inside so many times.
    alike: Vec<u32>,
    /// How often the most frequent are.
    most: usize,
    /// One that was the most frequent when it was looked for.
    best: usize,
    /// Counts of the ranks that were seen while looking; all zero otherwise.
    seen: Vec<u32>,
}

impl Counts {
    fn new(ranks: usize, size: usize) -> Self {
        let (inside, seen) = (vec![0; ranks], vec![0; ranks]);
        Self { inside, alike: vec![0; size * size + 1], most: 0, best: 0, seen }
    }

    fn clear(&mut self) {
        self.inside.fill(0);
        self.alike.fill(0);
        (self.most, self.best) = (0, 0);
    }

    fn insert(&mut self, rank: u32) {
        if rank == NONE {
            return;
        }
        let count = &mut self.inside[rank as usize];
        *count += 1;
        let count = *count as usize;
        self.alike[count - 1] = self.alike[count - 1].wrapping_sub(1);
        self.alike[count] = self.alike[count].wrapping_add(1);
        self.most = self.most.max(count);
    }

    fn remove(&mut self, rank: u32) {
        if rank == NONE {
            return;
        }
        let count = &mut self.inside[rank as usize];
        *count -= 1;
        let count = *count as usize;
        self.alike[count + 1] = self.alike[count + 1].wrapping_sub(1);
        self.alike[count] = self.alike[count].wrapping_add(1);
        if count + 1 == self.most && self.alike[self.most] == 0 {
            self.most = count;
        }
    }

    /// The most frequent rank, given the rows of the square; `None` where there is none.
    fn most<'a>(&mut self, rows: &(impl Iterator<Item = &'a [u32]> + Clone)) -> Option<usize> {
        if self.most == 0 {
            return None;
        }
        let alone = self.alike[self.most] == 1;
        if !(alone && self.inside[self.best] as usize == self.most) {
            self.best = self.look(rows);
        }
        Some(self.best)
    }

    /// Looks for the rank that is first to be seen as often as the most frequent are.
    fn look<'a>(&mut self, rows: &(impl Iterator<Item = &'a [u32]> + Clone)) -> usize {
        let there = || rows.clone().flatten().filter(|rank| **rank != NONE).map(|rank| *rank as usize);
        let mut looked = 0;
        let mut found = self.best;
        for rank in there() {
            looked += 1;
            self.seen[rank] += 1;
            if self.seen[rank] as usize == self.most {
                found = rank;
                break;
            }
        }
        there().take(looked).for_each(|rank| self.seen[rank] = 0);
        found
    }
}
