//! Methods that pick a source pixel as it is: nearest and mode.
#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use super::canvas::{Rows, compose};
use super::pixel::Pixel;
use super::source::Source;
use super::weights::Axis;
use super::{CELL, CoordGrid, Edges, SNAP, Window, for_cells};
use crate::resampling::Resampling;
use crate::simd::{Kernel, Level, dispatch, truncate_f64};

/// Takes the pixel that holds the position.
pub(super) fn nearest<T: Pixel>(
    level: Level,
    source: &Source<'_, T>,
    grid: &CoordGrid,
    piece: Window,
    edges: Edges,
    rows: &mut Rows<'_, T>,
) {
    for_cells(grid, piece, |column, row| {
        let cell = NearestCell { level, source, grid, column, row, edges, rows };
        dispatch(level, cell);
    });
}

/// One cell whose pixels are taken as they are.
struct NearestCell<'a, 'b, T: Pixel> {
    level: Level,
    source: &'a Source<'a, T>,
    grid: &'a CoordGrid,
    column: usize,
    row: usize,
    edges: Edges,
    rows: &'a mut Rows<'b, T>,
}

impl<T: Pixel> Kernel for NearestCell<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { level, source, grid, column, row, edges, rows } = self;
        let (mut xs, mut ys, mut places) = ([0.0; CELL], [0.0; CELL], [0u32; CELL]);
        let bands = source.bands;
        for line in 0..CELL {
            if !grid.cell_row_at(level, column, row, line, &mut xs, &mut ys) {
                return;
            }
            let x = grid.window().x + (column * CELL) as i64;
            let y = grid.window().y + (row * CELL + line) as i64;
            let (samples, coverage) = rows.run(x, y, CELL);
            let found = all_places(source, &xs, &ys, &mut places);
            let (all, any) = if found { covered_at(source, &places) } else { (0, 255) };
            if any == 0 {
                continue;
            }
            if all == 255 {
                match bands {
                    1 => gather::<T, 1>(source.samples, &places, samples),
                    3 => gather::<T, 3>(source.samples, &places, samples),
                    4 => gather::<T, 4>(source.samples, &places, samples),
                    _ => {
                        for (target, place) in samples.chunks_exact_mut(bands).zip(places) {
                            target.copy_from_slice(&source.samples[place as usize * bands..][..bands]);
                        }
                    }
                }
                coverage.fill(255);
                continue;
            }
            for (i, (target, covered)) in samples.chunks_exact_mut(bands).zip(coverage).enumerate() {
                if let Some((column, row)) = source.locate(xs[i], ys[i]) {
                    let coverage = hardened(source.coverage_at(column, row), edges);
                    compose(target, covered, source.pixel(column, row), coverage, true);
                }
            }
        }
    }
}

/// What the coverages of pixels have in common, and what any of them has, bit by bit.
#[inline(always)]
fn covered_at<T: Pixel>(source: &Source<'_, T>, places: &[u32; CELL]) -> (u8, u8) {
    let Some(coverage) = source.coverage else { return (255, 255) };
    places.iter().fold((255, 0), |(all, any), &place| {
        let c = coverage[place as usize];
        (all & c, any | c)
    })
}

/// The index of the pixel that holds each position; `false` when one lies in none, and in windows of 2³¹ pixels or more.
#[inline(always)]
fn all_places<T: Pixel>(
    source: &Source<'_, T>,
    xs: &[f64; CELL],
    ys: &[f64; CELL],
    places: &mut [u32; CELL],
) -> bool {
    let window = source.window;
    if window.area() > i32::MAX as usize {
        return false;
    }
    let (left, top) = (window.x as f64, window.y as f64);
    let (width, height) = (window.width as f64, window.height as f64);
    let (mut columns, mut rows) = ([0; CELL], [0; CELL]);
    let mut outside = 0;
    for i in 0..CELL {
        // The same arithmetic as in `Source::locate`.
        let (x, y) = (xs[i] - left + SNAP, ys[i] - top + SNAP);
        outside |= u32::from(!(x >= 0.0 && x < width && y >= 0.0 && y < height));
        columns[i] = truncate_f64(x, 0.0, 2e9);
        rows[i] = truncate_f64(y, 0.0, 2e9);
    }
    for i in 0..CELL {
        places[i] = (rows[i] as u32).wrapping_mul(window.width as u32).wrapping_add(columns[i] as u32);
    }
    outside == 0
}

#[inline(always)]
fn gather<T: Pixel, const B: usize>(samples: &[T], places: &[u32; CELL], target: &mut [T]) {
    for (target, &place) in target.chunks_exact_mut(B).zip(places) {
        target.copy_from_slice(&samples[place as usize * B..][..B]);
    }
}

/// Takes the pixel that occurs most often among the covered ones of the footprint.
pub(super) fn mode<T: Pixel>(
    source: &Source<'_, T>,
    grid: &CoordGrid,
    piece: Window,
    edges: Edges,
    rows: &mut Rows<'_, T>,
) {
    let mut counts: Vec<(usize, usize, usize)> = Vec::new();
    for_pixels(source, grid, piece, rows, |scale, _, _, x, y, target, covered| {
        let (left, right) = footprint(x, scale.0, source.window.x, source.window.width);
        let (top, bottom) = footprint(y, scale.1, source.window.y, source.window.height);
        // Most footprints of a map of classes hold one class.
        if left < right && top < bottom && is_even(source, left, top, right, bottom) {
            let coverage = hardened(source.coverage_at(left, top), edges);
            return compose(target, covered, source.pixel(left, top), coverage, true);
        }
        counts.clear();
        for row in top..bottom {
            for column in left..right {
                if source.coverage_at(column, row) == 0 {
                    continue;
                }
                let pixel = source.pixel(column, row);
                let seen = counts
                    .iter_mut()
                    .find(|(c, r, _)| source.pixel(*c, *r).iter().zip(pixel).all(|(a, b)| a.same_bits(*b)));
                match seen {
                    Some((_, _, count)) => *count += 1,
                    None => counts.push((column, row, 1)),
                }
            }
        }
        // The last maximum of the reversed order is the first seen.
        if let Some(&(column, row, _)) = counts.iter().rev().max_by_key(|(_, _, count)| *count) {
            let coverage = hardened(source.coverage_at(column, row), edges);
            compose(target, covered, source.pixel(column, row), coverage, true);
        }
    });
}

/// Whether all pixels of a part of the window are the same and fully covered.
fn is_even<T: Pixel>(source: &Source<'_, T>, left: usize, top: usize, right: usize, bottom: usize) -> bool {
    let first = source.pixel(left, top);
    let same = |pixel: &[T]| pixel.iter().zip(first).all(|(a, b)| a.same_bits(*b));
    (top..bottom).all(|row| {
        let start = row * source.window.width;
        source.samples[(start + left) * source.bands..(start + right) * source.bands]
            .chunks_exact(source.bands)
            .all(same)
    }) && source.is_full(left, top, right, bottom)
}

fn hardened(coverage: u8, edges: Edges) -> u8 {
    match edges {
        Edges::Hard if coverage > 0 => 255,
        _ => coverage,
    }
}

/// The pixels of an axis that the box of `scale` around a position touches, at least the one that holds it.
pub(super) fn footprint(position: f64, scale: f64, origin: i64, len: usize) -> (usize, usize) {
    let position = position - origin as f64;
    let holder = (position + SNAP).floor();
    let first = (position - scale / 2.0 + SNAP).floor().min(holder);
    let end = (position + scale / 2.0 - SNAP).ceil().max(holder + 1.0);
    // `as` takes what is negative to zero.
    (first as usize, (end as usize).min(len))
}

/// Calls `visit(scale, column, row, x, y, samples, coverage)` for every pixel of `piece` whose centre lies in a source
/// pixel: `column` and `row` are that pixel's, `x` and `y` the exact position, samples and coverage the target's.
pub(super) fn for_pixels<T: Pixel>(
    source: &Source<'_, T>,
    grid: &CoordGrid,
    piece: Window,
    rows: &mut Rows<'_, T>,
    mut visit: impl FnMut((f64, f64), usize, usize, f64, f64, &mut [T], &mut u8),
) {
    let (mut xs, mut ys) = ([0.0; CELL], [0.0; CELL]);
    let bands = rows.bands;
    for_cells(grid, piece, |cell_column, cell_row| {
        let (sx, sy) = grid.scale(cell_column, cell_row);
        let scale = (scale_of(sx), scale_of(sy));
        for line in 0..CELL {
            if !grid.cell_row(cell_column, cell_row, line, &mut xs, &mut ys) {
                return;
            }
            let x0 = grid.window().x + (cell_column * CELL) as i64;
            let y0 = grid.window().y + (cell_row * CELL + line) as i64;
            let (samples, coverage) = rows.run(x0, y0, CELL);
            for (i, (target, covered)) in samples.chunks_exact_mut(bands).zip(coverage).enumerate() {
                if let Some((column, row)) = source.locate(xs[i], ys[i]) {
                    visit(scale, column, row, xs[i], ys[i], target, covered);
                }
            }
        }
    });
}

fn scale_of(scale: f32) -> f64 {
    Axis::new(Resampling::Mode, scale).scale()
}
