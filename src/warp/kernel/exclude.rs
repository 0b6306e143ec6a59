//! Averages over the footprint of a pixel that leave values out. It is not built for speed.

use super::canvas::{Rows, compose};
use super::pick::for_pixels;
use super::pixel::Pixel;
use super::source::Source;
use super::{CoordGrid, Edges, SNAP, Window};
use crate::warp::exclusion::{Exclusion, Tally};

/// The pixels of an axis under the box of `scale` around a position, each with the part of it that is under the box.
pub(super) fn parts(position: f64, scale: f64, origin: i64, len: usize, parts: &mut Vec<(usize, f64)>) {
    parts.clear();
    let position = position - origin as f64;
    let (low, high) = (position - scale / 2.0, position + scale / 2.0);
    // `as` takes what is negative to zero.
    for k in (low.floor() as usize)..(high.ceil().max(0.0) as usize).min(len) {
        let part = (high.min(k as f64 + 1.0) - low.max(k as f64)).min(1.0);
        // What rounding leaves over is nothing.
        if part > SNAP {
            parts.push((k, part));
        }
    }
}

/// Averages over the box of the cell's scale around each position.
pub(super) fn average<T: Pixel>(
    source: &Source<'_, T>,
    grid: &CoordGrid,
    piece: Window,
    exclusion: &Exclusion,
    edges: Edges,
    rows: &mut Rows<'_, T>,
) {
    let (mut columns, mut lines) = (Vec::new(), Vec::new());
    let mut tally = Tally::new(exclusion, source.bands, edges);
    let mut values = vec![T::default(); source.bands];
    for_pixels(source, grid, piece, rows, |scale, _, _, x, y, target, covered| {
        let window = source.window;
        parts(x, scale.0, window.x, window.width, &mut columns);
        parts(y, scale.1, window.y, window.height, &mut lines);
        tally.clear();
        for (row, height) in &lines {
            for (column, width) in &columns {
                tally.add(source.pixel(*column, *row), source.coverage_at(*column, *row), width * height);
            }
        }
        let coverage = tally.finish(&mut values);
        compose(target, covered, &values, coverage, false);
    });
}
