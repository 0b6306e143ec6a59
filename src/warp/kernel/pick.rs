//! Methods that pick a source pixel as it is: nearest and mode.

use super::canvas::{Rows, compose};
use super::pixel::Pixel;
use super::source::Source;
use super::weights::Axis;
use super::{CELL, CoordGrid, Edges, SNAP, Window, for_cells};
use crate::resampling::Resampling;

/// Takes the pixel that holds the position.
pub(super) fn nearest<T: Pixel>(
    source: &Source<'_, T>,
    grid: &CoordGrid,
    piece: Window,
    edges: Edges,
    rows: &mut Rows<'_, T>,
) {
    for_pixels(source, grid, piece, rows, |_, column, row, _, _, target, covered| {
        let coverage = source.coverage_at(column, row);
        compose(target, covered, source.pixel(column, row), hardened(coverage, edges), true);
    });
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

fn hardened(coverage: u8, edges: Edges) -> u8 {
    match edges {
        Edges::Hard if coverage > 0 => 255,
        _ => coverage,
    }
}

/// The pixels of an axis that the box of `scale` around a position touches, at least the one that holds it.
fn footprint(position: f64, scale: f64, origin: i64, len: usize) -> (usize, usize) {
    let position = position - origin as f64;
    let holder = (position + SNAP).floor();
    let first = (position - scale / 2.0 + SNAP).floor().min(holder);
    let end = (position + scale / 2.0 - SNAP).ceil().max(holder + 1.0);
    // `as` takes what is negative to zero.
    (first as usize, (end as usize).min(len))
}

/// Calls `visit(scale, column, row, x, y, samples, coverage)` for every pixel of `piece` whose centre lies in a source
/// pixel: `column` and `row` are that pixel's, `x` and `y` the exact position, samples and coverage the target's.
fn for_pixels<T: Pixel>(
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
