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
pub fn pieces(grid: &CoordGrid, source: Size, method: Resampling) -> Vec<Piece> {
    let window = grid.window();
    let columns = grid.columns();
    let boxes: Vec<Window> = (0..columns * (window.height / CELL))
        .map(|k| cell_source(grid, k % columns, k / columns, source, method))
        .collect();
    let cutter = Cutter { origin: (window.x, window.y), columns, boxes };
    cutter.cut(0, 0, columns, window.height / CELL)
}

/// The source pixels that one cell touches.
fn cell_source(grid: &CoordGrid, column: usize, row: usize, source: Size, method: Resampling) -> Window {
    let positions: &[Position] = match grid.cell(column, row) {
        Cell::Outside => &[],
        Cell::Nodes { nodes, .. } => nodes,
        Cell::Exact(positions) => positions,
    };
    let Some((min, max)) = extent(positions) else { return Window::new(0, 0, 0, 0) };
    let (sx, sy) = grid.scale(column, row);
    let (hx, hy) = (halo(method, sx) as i64, halo(method, sy) as i64);
    // Positions far outside must not overflow.
    let pixel = |v: f64| v.floor().clamp(-1e9, 1e12) as i64;
    let reach = Window::from_edges(
        pixel(min.x) - hx,
        pixel(min.y) - hy,
        pixel(max.x) + hx + 1,
        pixel(max.y) + hy + 1,
    );
    reach.intersection(&source.window())
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
        let area: usize = found.iter().map(|p| p.target.area()).sum();
        assert_eq!(area, 256 * 256, "nothing is left out");
        let wide = found.iter().filter(|p| p.source.width > 1000).map(|p| p.target.width).max();
        assert_eq!(wide, Some(CELL), "only the cells at the seam span the raster");
    }

    #[test]
    fn no_piece_where_the_source_is_not() {
        let size = Size::new(100, 100);
        let grid = grid(Window::new(0, 0, 64, 64), size, |p| Position { x: p.x + 500.0, y: p.y });
        assert!(pieces(&grid, size, Resampling::Cubic).is_empty());
    }
}
