//! Cutting a target window into pieces whose source windows are worth reading.
//!
//! One source window for a whole target window is simplest. But where the map turns, folds or jumps (a rotated image, the
//! two ends of a raster that meet at the antimeridian) the box around all positions holds many pixels that nobody
//! needs. Then the window is quartered, down to single cells.

use super::coords::{CELL, Cell, CoordGrid, Position};
use super::kernel::halo;
use super::locate::extent;
use crate::resampling::Resampling;
use crate::window::{Size, Window};

/// A part of a target window and the source pixels its kernel touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Pixels of the tile matrix, edges at multiples of [`CELL`].
    pub target: Window,
    /// Pixels of the source, within the raster.
    pub source: Window,
}

/// The pieces of the grid's window that touch a source of the given size.
///
/// Where a cell lies on both ends of the source its target comes twice, with a source window for either end.
pub fn pieces(grid: &CoordGrid, source: Size, method: Resampling) -> Vec<Piece> {
    let window = grid.window();
    let columns = grid.columns();
    let count = columns * (window.height / CELL);
    let (near, far): (Vec<_>, Vec<_>) =
        (0..count).map(|k| cell_sources(grid, k % columns, k / columns, source, method)).unzip();
    let both = [near, far].map(|boxes| {
        let cutter = Cutter { origin: (window.x, window.y), columns, boxes };
        cutter.cut(0, 0, columns, window.height / CELL)
    });
    both.concat()
}

/// The source pixels that one cell touches: a window, and a second one when the positions fall apart into two groups.
fn cell_sources(
    grid: &CoordGrid,
    column: usize,
    row: usize,
    source: Size,
    method: Resampling,
) -> (Window, Window) {
    const NOTHING: Window = Window::new(0, 0, 0, 0);
    let (sx, sy) = grid.scale(column, row);
    let (hx, hy) = (halo(method, sx) as i64, halo(method, sy) as i64);
    // Positions far outside must not overflow.
    let pixel = |v: f64| v.floor().clamp(-1e9, 1e12) as i64;
    let reach = |positions: &[Position]| {
        let Some((min, max)) = extent(positions) else { return NOTHING };
        let (left, top) = (pixel(min.x) - hx, pixel(min.y) - hy);
        let (right, bottom) = (pixel(max.x) + hx + 1, pixel(max.y) + hy + 1);
        Window::from_edges(left, top, right, bottom).intersection(&source.window())
    };
    match grid.cell(column, row) {
        Cell::Outside => (NOTHING, NOTHING),
        Cell::Nodes { nodes, .. } => (reach(nodes), NOTHING),
        Cell::Exact(positions) => {
            let (near, far) = part(positions, f64::from(sx) * 2.0 * CELL as f64);
            (reach(&near), reach(&far))
        }
    }
}

/// Parts positions at the widest gap between their columns, if it is wider than `gap`.
fn part(positions: &[Position], gap: f64) -> (Vec<Position>, Vec<Position>) {
    let mut sorted: Vec<Position> = positions.iter().copied().filter(|p| p.is_some()).collect();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x));
    let widest = (1..sorted.len())
        .map(|k| (k, sorted[k].x - sorted[k - 1].x))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .filter(|(_, width)| *width > gap);
    let far = widest.map_or_else(Vec::new, |(k, _)| sorted.split_off(k));
    (sorted, far)
}

struct Cutter {
    origin: (i64, i64),
    columns: usize,
    boxes: Vec<Window>,
}

impl Cutter {
    fn source(&self, x: usize, y: usize, width: usize, height: usize) -> Window {
        let rows = (y..y + height).flat_map(|r| &self.boxes[r * self.columns + x..][..width]);
        rows.fold(Window::new(0, 0, 0, 0), |all, w| all.union(w))
    }

    /// The pieces of a group of cells: one for all of them, unless the pieces of its quarters read much less.
    fn cut(&self, x: usize, y: usize, width: usize, height: usize) -> Vec<Piece> {
        let source = self.source(x, y, width, height);
        if width == 0 || height == 0 || source.is_empty() {
            return Vec::new();
        }
        let target = Window::new(
            self.origin.0 + (x * CELL) as i64,
            self.origin.1 + (y * CELL) as i64,
            width * CELL,
            height * CELL,
        );
        let whole = vec![Piece { target, source }];
        if width == 1 && height == 1 {
            return whole;
        }
        let (left, top) = (width.div_ceil(2), height.div_ceil(2));
        let mut parts = self.cut(x, y, left, top);
        parts.extend(self.cut(x + left, y, width - left, top));
        parts.extend(self.cut(x, y + top, left, height - top));
        parts.extend(self.cut(x + left, y + top, width - left, height - top));
        let area: usize = parts.iter().map(|p| p.source.area()).sum();
        if source.area() <= area + area / 2 { whole } else { parts }
    }
}

#[cfg(test)]
mod tests {
    use super::super::locate::locate;
    use super::*;

    fn grid(window: Window, source: Size, map: impl Fn(Position) -> Position) -> CoordGrid {
        let mut on_all = |points: &mut [Position]| points.iter_mut().for_each(|p| *p = map(*p));
        locate(window, source, 4.0, &mut on_all).expect("aligned")
    }

    #[test]
    fn a_plain_map_is_one_piece_with_its_halo() {
        let size = Size::new(1000, 1000);
        let grid = grid(Window::new(0, 0, 128, 128), size, |p| Position { x: p.x + 300.0, y: p.y });
        let found = pieces(&grid, size, Resampling::Nearest);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].target, Window::new(0, 0, 128, 128));
        assert!(found[0].source.contains(&Window::new(300, 0, 128, 128)));
        assert!(found[0].source.area() < 135 * 135);
    }

    #[test]
    fn two_ends_of_a_raster_are_not_read_as_a_whole() {
        let size = Size::new(100_000, 1000);
        let wrap = |p: Position| Position { x: (p.x + 99_900.0) % 100_000.0, y: p.y };
        let grid = grid(Window::new(0, 0, 256, 256), size, wrap);
        let found = pieces(&grid, size, Resampling::Nearest);
        let read: usize = found.iter().map(|p| p.source.area()).sum();
        assert!(read < 2 * 256 * 256, "{read} pixels");
        for (x, there) in [(50, 99_950), (99, 99_999), (100, 0), (127, 27), (200, 100)] {
            let pixel = Window::new(x, 9, 1, 1);
            let known = Window::new(there, 9, 1, 1);
            assert!(found.iter().any(|p| p.target.contains(&pixel) && p.source.contains(&known)), "{x}");
        }
    }

    #[test]
    fn no_piece_where_the_source_is_not() {
        let size = Size::new(100, 100);
        let grid = grid(Window::new(0, 0, 64, 64), size, |p| Position { x: p.x + 500.0, y: p.y });
        assert!(pieces(&grid, size, Resampling::Cubic).is_empty());
    }
}
