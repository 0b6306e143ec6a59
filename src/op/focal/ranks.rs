//! The values of a part of a plane in order, so that integers can stand for them.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use super::boxes::Box;
use crate::op::Real;

/// What stands for a missing pixel.
pub(super) const NONE: u32 = u32::MAX;

/// A part of a plane, by ranks of its values.
pub(super) struct Ranks<T> {
    /// Columns of the part.
    pub width: usize,
    /// For each pixel its rank, or [`NONE`].
    pub of_pixels: Vec<u32>,
    /// The values, from the least.
    pub values: Vec<T>,
}

/// Columns and rows of results that are made of one part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// The parts that results are made in: about as wide as the square, so that little is ordered twice and the order is not long.
pub(super) fn parts(size: usize, width: usize, height: usize) -> impl Iterator<Item = Part> {
    let side = (2 * size).clamp(24, 96);
    (0..height).step_by(side).flat_map(move |y| {
        (0..width).step_by(side).map(move |x| Part {
            x,
            y,
            width: side.min(width - x),
            height: side.min(height - y),
        })
    })
}

impl Part {
    /// Whether pixels are missing in or around it.
    pub fn has_gaps<T: Real>(self, square: Box<'_, T>) -> bool {
        let Box { input, band, size } = square;
        let rows = self.y..self.y + self.height + size - 1;
        let width = self.width + size - 1;
        rows.into_iter().any(|y| input.row(band, y)[self.x..self.x + width].iter().any(|v| v.is_nan()))
    }
}

impl<T: Real> Ranks<T> {
    /// Orders what a part needs. With `distinct` equal values have one rank, else each pixel has its own.
    pub fn new(square: Box<'_, T>, part: Part, distinct: bool) -> Self {
        let Box { input, band, size } = square;
        let (width, height) = (part.width + size - 1, part.height + size - 1);
        let mut keys: Vec<(T::Key, u32)> = Vec::with_capacity(width * height);
        let mut ranks = vec![NONE; width * height];
        for y in 0..height {
            let row = &input.row(band, part.y + y)[part.x..part.x + width];
            let there = row.iter().enumerate().filter(|(_, v)| !v.is_nan());
            keys.extend(there.map(|(x, v)| (v.key(), (y * width + x) as u32)));
        }
        keys.sort_unstable();
        let mut values = Vec::with_capacity(keys.len());
        let mut last = None;
        for (key, index) in keys {
            if !distinct || last != Some(key) {
                let (x, y) = (index as usize % width, index as usize / width);
                values.push(input.row(band, part.y + y)[part.x + x]);
                last = Some(key);
            }
            ranks[index as usize] = values.len() as u32 - 1;
        }
        Self { width, of_pixels: ranks, values }
    }

    /// The ranks of a column of a square: that many rows from one on.
    #[inline(always)]
    pub fn column(&self, x: usize, y: usize, size: usize) -> impl Iterator<Item = u32> {
        (y..y + size).map(move |y| self.of_pixels[y * self.width + x])
    }
}
