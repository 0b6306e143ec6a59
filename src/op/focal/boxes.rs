//! What all pixels of a square have together: sums and extremes, by rows and then by columns.
//!
//! Along rows, results of 1, 2, 4, 8… pixels are made of the two halves before, and put together to the width that is wanted: a
//! logarithm of steps, and always the same ones. Along columns, rows are cut into blocks as high as the square, counted from the
//! raster's first row: each square is the end of one block and the beginning of the next, both of which are made row by row
//! (van Herk 1992, Gil and Werman 1993). So each pixel takes three steps along columns whatever the size, and which values are
//! added to which depends on the place in the raster alone.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use crate::op::{Real, Stack};

/// The squares around the pixels of a plane.
#[derive(Debug)]
pub(super) struct Box<'a, T> {
    pub input: &'a Stack<T>,
    pub band: usize,
    /// Side of the square; the input is wider than what is wanted by one less.
    pub size: usize,
}

impl<T> Clone for Box<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Box<'_, T> {}

/// Puts the values of each square together, each of them prepared by `map`.
#[inline(always)]
pub(super) fn combined<T: Real, S: Copy + Default>(
    square: Box<'_, T>,
    map: impl Fn(T) -> S + Copy,
    join: impl Fn(S, S) -> S + Copy,
) -> Vec<S> {
    let Box { input, band, size } = square;
    let (width, height) = (input.window.width + 1 - size, input.window.height + 1 - size);
    let mut out = vec![S::default(); width * height];
    let mut work = [vec![S::default(); input.window.width], vec![S::default(); input.window.width]];
    // The rows of a block, put together from each to the block's end; and from its beginning.
    let mut ends = vec![S::default(); size * width];
    let mut rows = vec![S::default(); size * width];
    let mut begun = vec![S::default(); width];
    let (first, last) = (input.window.y, input.window.bottom());
    let side = size as i64;
    for block in first.div_euclid(side)..=(last - 1).div_euclid(side) {
        let start = block * side;
        let (from, to) = (first.max(start), last.min(start + side));
        for y in from..to {
            let at = (y - start) as usize * width;
            along_row(
                input.row(band, (y - first) as usize),
                size,
                &mut work,
                &mut rows[at..at + width],
                map,
                join,
            );
        }
        // Squares that begin in the block before.
        for y in from..to {
            let k = (y - start) as usize;
            let row = &rows[k * width..(k + 1) * width];
            if k == 0 {
                begun.copy_from_slice(row);
            } else {
                for (b, r) in begun.iter_mut().zip(row) {
                    *b = join(*b, *r);
                }
            }
            let top = y - side + 1;
            if top < first || k + 1 == size {
                continue;
            }
            let target = (top - first) as usize * width;
            let end = &ends[(k + 1) * width..(k + 2) * width];
            for ((o, e), b) in out[target..target + width].iter_mut().zip(end).zip(&begun) {
                *o = join(*e, *b);
            }
        }
        if to < start + side {
            break;
        }
        // From the last row of the block up.
        for y in (from..to).rev() {
            let k = (y - start) as usize;
            let row = &rows[k * width..(k + 1) * width];
            if k + 1 == size {
                ends[k * width..].copy_from_slice(row);
                continue;
            }
            let (own, below) = ends[k * width..(k + 2) * width].split_at_mut(width);
            for ((o, b), r) in own.iter_mut().zip(below).zip(row) {
                *o = join(*r, *b);
            }
        }
        if from == start {
            let target = (start - first) as usize * width;
            if target + width <= out.len() {
                out[target..target + width].copy_from_slice(&ends[..width]);
            }
        }
    }
    out
}

/// Puts together `size` values of a row from each on.
#[inline(always)]
fn along_row<T: Real, S: Copy>(
    row: &[T],
    size: usize,
    [now, next]: &mut [Vec<S>; 2],
    out: &mut [S],
    map: impl Fn(T) -> S,
    join: impl Fn(S, S) -> S,
) {
    for (n, v) in now.iter_mut().zip(row) {
        *n = map(*v);
    }
    let (mut length, mut done, mut valid) = (1, 0, row.len());
    loop {
        if size & length != 0 {
            let part = &now[done..];
            if done == 0 {
                out.copy_from_slice(&part[..out.len()]);
            } else {
                for (o, p) in out.iter_mut().zip(part) {
                    *o = join(*o, *p);
                }
            }
            done += length;
        }
        if 2 * length > size {
            return;
        }
        valid -= length;
        let (near, far) = (&now[..valid], &now[length..length + valid]);
        for ((n, a), b) in next[..valid].iter_mut().zip(near).zip(far) {
            *n = join(*a, *b);
        }
        std::mem::swap(now, next);
        length *= 2;
    }
}
