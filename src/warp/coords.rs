//! The coordinate grid: for every pixel of a target window, where it lies in the source.
//!
//! A transformation through a projection library costs some 250 ns a point, so it is evaluated at the
//! nodes of a grid and interpolated bilinearly between them. The window is cut into cells of
//! [`CELL`] × [`CELL`] pixels that are anchored to absolute pixels of the tile matrix: whatever window
//! asks, the same pixel gets the same coordinates, so tiles have no seams. Where interpolation would be
//! off by too much a cell carries a finer sub-grid, and where even that fails, exact coordinates.

#![allow(
    clippy::inline_always,
    reason = "what is not inlined into the AVX2 build of a kernel stays baseline code"
)]

use crate::simd::{Level, ramp};
use crate::window::Window;

/// Side of a cell in target pixels; windows begin and end at multiples of it.
pub const CELL: usize = 32;

/// A position in source pixels: (0, 0) is the upper left corner of the upper left pixel, whose centre is (0.5, 0.5).
/// Not finite where the target has no counterpart in the source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position {
    /// Columns from the left edge.
    pub x: f64,
    /// Rows from the upper edge.
    pub y: f64,
}

impl Position {
    /// A point without counterpart in the source.
    pub const NONE: Self = Self { x: f64::NAN, y: f64::NAN };

    /// Whether the point has a counterpart in the source.
    pub fn is_some(self) -> bool {
        self.x.is_finite() && self.y.is_finite()
    }
}

/// The source positions of one cell's pixels.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// No pixel of the cell has a counterpart in the source.
    Outside,
    /// Positions at the corners of sub-cells of `step` pixels (a power of two, at most [`CELL`]), row by row,
    /// (`CELL / step` + 1)² of them; between them positions are interpolated bilinearly.
    Nodes {
        /// Side of a sub-cell in target pixels.
        step: usize,
        /// The positions at the corners, row by row.
        nodes: Vec<Position>,
    },
    /// The positions of all [`CELL`]² pixel centres, row by row.
    Exact(Vec<Position>),
}

/// Source positions for every pixel of a target window.
#[derive(Debug, Clone)]
pub struct CoordGrid {
    window: Window,
    columns: usize,
    cells: Vec<Cell>,
    scales: Vec<(f32, f32)>,
}

impl CoordGrid {
    /// A grid over `window` from its cells, row by row, each with its scale: how many source pixels one
    /// target pixel spans, in x and in y. `None` unless the window's edges are multiples of [`CELL`] and
    /// there are as many cells and scales as it holds.
    pub fn new(window: Window, cells: Vec<Cell>, scales: Vec<(f32, f32)>) -> Option<Self> {
        let side = CELL as i64;
        let aligned = [window.x, window.y, window.right(), window.bottom()].iter().all(|v| v % side == 0);
        let columns = window.width / CELL;
        let count = columns * (window.height / CELL);
        (aligned && cells.len() == count && scales.len() == count).then_some(Self {
            window,
            columns,
            cells,
            scales,
        })
    }

    /// The grid of a level that is half as fine as its source. `None` unless the window's edges are multiples of [`CELL`].
    pub fn doubled(window: Window) -> Option<Self> {
        let columns = window.width / CELL;
        let cells = (0..columns * (window.height / CELL)).map(|k| {
            let left = window.x + (k % columns * CELL) as i64;
            let top = window.y + (k / columns * CELL) as i64;
            let node = |i: i64, j: i64| Position {
                x: (2 * (left + i * CELL as i64)) as f64,
                y: (2 * (top + j * CELL as i64)) as f64,
            };
            Cell::Nodes { step: CELL, nodes: vec![node(0, 0), node(1, 0), node(0, 1), node(1, 1)] }
        });
        let cells: Vec<Cell> = cells.collect();
        let scales = vec![(2.0, 2.0); cells.len()];
        Self::new(window, cells, scales)
    }

    /// The target window the grid covers.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Number of cells in a row of cells.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The cell at a column and row of cells.
    pub fn cell(&self, column: usize, row: usize) -> &Cell {
        &self.cells[row * self.columns + column]
    }

    /// How many source pixels one target pixel of the cell spans, in x and in y.
    pub fn scale(&self, column: usize, row: usize) -> (f32, f32) {
        self.scales[row * self.columns + column]
    }

    /// Source positions of the pixel centres in one row of a cell: pixel `(32 · column + i, 32 · row + line)` of the
    /// window goes to `(xs[i], ys[i])`. `false` when the whole cell is outside and nothing was written.
    #[inline(always)]
    pub fn cell_row(
        &self,
        column: usize,
        row: usize,
        line: usize,
        xs: &mut [f64; CELL],
        ys: &mut [f64; CELL],
    ) -> bool {
        self.cell_row_at(Level::Best, column, row, line, xs, ys)
    }

    /// [`CoordGrid::cell_row`] with a choice of instructions; the positions are the same.
    #[inline(always)]
    pub(super) fn cell_row_at(
        &self,
        level: Level,
        column: usize,
        row: usize,
        line: usize,
        xs: &mut [f64; CELL],
        ys: &mut [f64; CELL],
    ) -> bool {
        match self.cell(column, row) {
            Cell::Outside => return false,
            Cell::Exact(positions) => {
                for (i, p) in positions[line * CELL..][..CELL].iter().enumerate() {
                    (xs[i], ys[i]) = (p.x, p.y);
                }
            }
            // Constant steps let the compiler unroll the loops.
            Cell::Nodes { step: CELL, nodes } => {
                let v = (line as f64 + 0.5) * (1.0 / CELL as f64);
                let [a, b, c, d, ..] = nodes[..] else { return false };
                let (x, right) = (a.x + (c.x - a.x) * v, b.x + (d.x - b.x) * v);
                let (y, lower) = (a.y + (c.y - a.y) * v, b.y + (d.y - b.y) * v);
                ramp(level, x, (right - x) * (1.0 / CELL as f64), xs);
                ramp(level, y, (lower - y) * (1.0 / CELL as f64), ys);
            }
            Cell::Nodes { step: 16, nodes } => interpolate(16, nodes, line, xs, ys),
            Cell::Nodes { step: 8, nodes } => interpolate(8, nodes, line, xs, ys),
            Cell::Nodes { step, nodes } => interpolate(*step, nodes, line, xs, ys),
        }
        true
    }
}

/// Bilinear interpolation of one row of pixel centres between the nodes of a cell.
#[inline(always)]
fn interpolate(step: usize, nodes: &[Position], line: usize, xs: &mut [f64; CELL], ys: &mut [f64; CELL]) {
    let per_row = CELL / step + 1;
    let upper = &nodes[line / step * per_row..][..per_row];
    let lower = &nodes[(line / step + 1) * per_row..][..per_row];
    let inverse = 1.0 / step as f64;
    let v = ((line % step) as f64 + 0.5) * inverse;
    let at = |k: usize| Position {
        x: upper[k].x + (lower[k].x - upper[k].x) * v,
        y: upper[k].y + (lower[k].y - upper[k].y) * v,
    };
    let mut left = at(0);
    for k in 0..CELL / step {
        let right = at(k + 1);
        let (dx, dy) = ((right.x - left.x) * inverse, (right.y - left.y) * inverse);
        for i in 0..step {
            let u = i as f64 + 0.5;
            xs[k * step + i] = left.x + dx * u;
            ys[k * step + i] = left.y + dy * u;
        }
        left = right;
    }
}

/// The smallest window around another that coordinate grids can have.
pub fn whole_cells(window: &Window) -> Window {
    let side = 2 * CELL as i64;
    let down = |v: i64| v.div_euclid(side) * side;
    let up = |v: i64| down(v + side - 1);
    Window::from_edges(down(window.x), down(window.y), up(window.right()), up(window.bottom()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affine(x: f64, y: f64) -> Position {
        Position { x: 2.0 * x + 0.25 * y + 7.0, y: 0.5 * x - 3.0 * y - 1.0 }
    }

    #[test]
    fn windows_grow_to_whole_cells() {
        assert_eq!(whole_cells(&Window::new(70, 0, 10, 65)), Window::new(64, 0, 64, 128));
        assert_eq!(whole_cells(&Window::new(64, 128, 64, 64)), Window::new(64, 128, 64, 64));
    }

    #[test]
    fn affine_maps_are_interpolated_without_error_at_any_step() {
        for step in [1, 4, 32] {
            let n = CELL / step + 1;
            let nodes =
                (0..n * n).map(|k| affine((k % n * step) as f64, (k / n * step) as f64)).collect::<Vec<_>>();
            let cells = vec![Cell::Nodes { step, nodes }];
            let grid =
                CoordGrid::new(Window::new(0, 0, CELL, CELL), cells, vec![(1.0, 1.0)]).expect("aligned");
            let (mut xs, mut ys) = ([0.0; CELL], [0.0; CELL]);
            assert!(grid.cell_row(0, 0, 5, &mut xs, &mut ys));
            for i in 0..CELL {
                let p = affine(i as f64 + 0.5, 5.5);
                assert!((xs[i] - p.x).abs() < 1e-12 && (ys[i] - p.y).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn windows_off_the_cell_raster_are_refused() {
        assert!(
            CoordGrid::new(Window::new(16, 0, CELL, CELL), vec![Cell::Outside], vec![(1.0, 1.0)]).is_none()
        );
    }
}
