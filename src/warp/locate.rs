//! Building coordinate grids: as few exact transformations as keep the error below 1/64 source pixel.
//!
//! Nodes are evaluated every [`CELL`] pixels. Bilinear interpolation between nodes at distance `h` is off by
//! h²/8 times the second derivatives, so comparing the nodes at twice the distance with the ones in the middle tells four
//! times the error. The middles of edges are compared as well as the centre: of a conformal map, which most
//! projections of maps are, the errors in x and y cancel in the centre.

use super::coords::{CELL, Cell, CoordGrid, Position};
use crate::window::{Size, Window};

/// Deviation seen at twice the distance of nodes that is still accepted, in source pixels. The error is a quarter of it: far
/// below the 1/64 pixel promised, because nearest tells any difference at a pixel's edge.
const TOLERANCE: f64 = 1.0 / 256.0;

/// Sub-cells of this size are the last to be interpolated; cells curved more are computed exactly.
const FINEST: usize = 4;

/// Maps target pixel positions to source pixel positions, in place; positions without counterpart become
/// [`Position::NONE`]. Exact, and so dear.
pub trait ToSource {
    /// Transforms all points.
    fn to_source(&mut self, points: &mut [Position]);
}

impl<F: FnMut(&mut [Position])> ToSource for F {
    fn to_source(&mut self, points: &mut [Position]) {
        self(points);
    }
}

/// The coordinate grid of a target window, for a source of the given size. `None` when the window's edges are not multiples
/// of twice [`CELL`].
///
/// The same pixel gets the same position from every window that holds it. Cells whose pixels all lie
/// further than `margin` source pixels from the source are [`Cell::Outside`].
pub fn locate(window: Window, source: Size, margin: f64, map: &mut impl ToSource) -> Option<CoordGrid> {
    let (columns, rows) = (window.width / CELL, window.height / CELL);
    let even = |v: i64| v % (2 * CELL as i64) == 0;
    if ![window.x, window.y, window.right(), window.bottom()].into_iter().all(even) {
        return None;
    }
    let nodes = Lattice::evaluate(window.x, window.y, CELL, columns, rows, map);
    let mut builder = Builder { source, margin, map };
    let mut cells = vec![Cell::Outside; columns * rows];
    for row in (0..rows).step_by(2) {
        for column in (0..columns).step_by(2) {
            let smooth = nodes.deviation(column, row).is_some_and(|d| d <= TOLERANCE);
            if nodes.nowhere(column, row, 2) {
                continue;
            }
            for (c, r) in [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(i, j)| (column + i, row + j)) {
                let origin = (window.x + (c * CELL) as i64, window.y + (r * CELL) as i64);
                cells[r * columns + c] =
                    if smooth { builder.plain(&nodes, c, r) } else { builder.refined(origin) };
            }
        }
    }
    let scales = cells.iter().map(scale).collect();
    CoordGrid::new(window, cells, scales)
}

/// Positions at the corners of a raster of squares of `step` target pixels.
struct Lattice {
    per_row: usize,
    nodes: Vec<Position>,
}

impl Lattice {
    fn evaluate(x: i64, y: i64, step: usize, columns: usize, rows: usize, map: &mut impl ToSource) -> Self {
        let at = |k: usize| (k * step) as f64;
        let mut nodes: Vec<Position> = (0..=rows)
            .flat_map(|r| (0..=columns).map(move |c| Position { x: x as f64 + at(c), y: y as f64 + at(r) }))
            .collect();
        map.to_source(&mut nodes);
        Self { per_row: columns + 1, nodes }
    }

    fn at(&self, column: usize, row: usize) -> Position {
        self.nodes[row * self.per_row + column]
    }

    /// How far the nodes in the middle of a 2 × 2 group of squares are from the interpolation between its
    /// corners, in source pixels; `None` when one of the nine has no position.
    fn deviation(&self, column: usize, row: usize) -> Option<f64> {
        let p = |c: usize, r: usize| self.at(column + c, row + r);
        let all = (0..9).all(|k| p(k % 3, k / 3).is_some());
        let between =
            |a: Position, b: Position| Position { x: f64::midpoint(a.x, b.x), y: f64::midpoint(a.y, b.y) };
        let off = |seen: Position, a: Position, b: Position| {
            let guess = between(a, b);
            (seen.x - guess.x).abs().max((seen.y - guess.y).abs())
        };
        let (nw, ne, sw, se) = (p(0, 0), p(2, 0), p(0, 2), p(2, 2));
        let centre = off(p(1, 1), between(nw, ne), between(sw, se));
        let edges = [off(p(1, 0), nw, ne), off(p(1, 2), sw, se), off(p(0, 1), nw, sw), off(p(2, 1), ne, se)];
        all.then(|| edges.into_iter().fold(centre, f64::max))
    }

    /// Whether none of the nodes of `side` × `side` squares has a position.
    fn nowhere(&self, column: usize, row: usize, side: usize) -> bool {
        (0..=side).all(|r| (0..=side).all(|c| !self.at(column + c, row + r).is_some()))
    }
}

struct Builder<'a, M> {
    source: Size,
    margin: f64,
    map: &'a mut M,
}

impl<M: ToSource> Builder<'_, M> {
    /// A cell that is interpolated between its corners.
    fn plain(&self, lattice: &Lattice, column: usize, row: usize) -> Cell {
        let nodes: Vec<_> =
            [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(c, r)| lattice.at(column + c, row + r)).to_vec();
        if self.touches_source(&nodes) { Cell::Nodes { step: CELL, nodes } } else { Cell::Outside }
    }

    /// A cell with as fine a sub-grid as it needs, or exact positions.
    fn refined(&mut self, (x, y): (i64, i64)) -> Cell {
        let mut step = CELL / 2;
        while step >= FINEST {
            let side = CELL / step;
            let lattice = Lattice::evaluate(x, y, step, side, side, self.map);
            if lattice.nowhere(0, 0, side) {
                return Cell::Outside;
            }
            let groups = (0..side).step_by(2).flat_map(|r| (0..side).step_by(2).map(move |c| (c, r)));
            let deviations: Option<Vec<f64>> = groups.map(|(c, r)| lattice.deviation(c, r)).collect();
            if deviations.is_some_and(|d| d.into_iter().all(|d| d <= TOLERANCE)) {
                let found = self.touches_source(&lattice.nodes);
                return if found { Cell::Nodes { step, nodes: lattice.nodes } } else { Cell::Outside };
            }
            step /= 2;
        }
        let centre = |k: usize| Position {
            x: x as f64 + (k % CELL) as f64 + 0.5,
            y: y as f64 + (k / CELL) as f64 + 0.5,
        };
        let mut positions: Vec<_> = (0..CELL * CELL).map(centre).collect();
        self.map.to_source(&mut positions);
        if self.touches_source(&positions) { Cell::Exact(positions) } else { Cell::Outside }
    }

    /// Whether the box around the positions reaches the source.
    fn touches_source(&self, positions: &[Position]) -> bool {
        let Some((min, max)) = extent(positions) else { return false };
        let (w, h) = (self.source.width as f64, self.source.height as f64);
        let m = self.margin;
        max.x >= -m && max.y >= -m && min.x <= w + m && min.y <= h + m
    }
}

/// The corners of the box around all positions that exist.
pub fn extent(positions: &[Position]) -> Option<(Position, Position)> {
    positions.iter().filter(|p| p.is_some()).fold(None, |seen, p| {
        let (min, max) = seen.unwrap_or((*p, *p));
        Some((
            Position { x: min.x.min(p.x), y: min.y.min(p.y) },
            Position { x: max.x.max(p.x), y: max.y.max(p.y) },
        ))
    })
}

/// Source pixels that one target pixel of a cell spans in x and in y: the length of the row of the Jacobian.
fn scale(cell: &Cell) -> (f32, f32) {
    let (step, per_row, nodes) = match cell {
        Cell::Outside => return (1.0, 1.0),
        Cell::Nodes { step, nodes } => (*step, CELL / step + 1, nodes),
        Cell::Exact(positions) => (1, CELL, positions),
    };
    // The median of the differences between neighbours ignores gaps and jumps.
    let rows = nodes.len() / per_row;
    let mut gradients = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for k in 0..nodes.len() {
        let (c, r) = (k % per_row, k / per_row);
        let mut note = |to: usize, first: usize| {
            if nodes[k].is_some() && nodes[to].is_some() {
                gradients[first].push((nodes[to].x - nodes[k].x).abs() / step as f64);
                gradients[first + 1].push((nodes[to].y - nodes[k].y).abs() / step as f64);
            }
        };
        if c + 1 < per_row {
            note(k + 1, 0);
        }
        if r + 1 < rows {
            note(k + per_row, 2);
        }
    }
    let [xu, yu, xv, yv] = gradients.map(median);
    let length = |a: f64, b: f64| if a + b > 0.0 { (a * a + b * b).sqrt() as f32 } else { 1.0 };
    (length(xu, xv), length(yu, yv))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Size = Size::new(4000, 4000);

    /// The position of every pixel centre of a window.
    fn positions(grid: &CoordGrid) -> Vec<Position> {
        let w = grid.window();
        let mut all = vec![Position::NONE; w.area()];
        let (mut xs, mut ys) = ([0.0; CELL], [0.0; CELL]);
        for y in 0..w.height {
            for column in 0..grid.columns() {
                if grid.cell_row(column, y / CELL, y % CELL, &mut xs, &mut ys) {
                    for i in 0..CELL {
                        all[y * w.width + column * CELL + i] = Position { x: xs[i], y: ys[i] };
                    }
                }
            }
        }
        all
    }

    fn worst(window: Window, grid: &CoordGrid, truth: impl Fn(Position) -> Position) -> f64 {
        let off = |(k, p): (usize, Position)| {
            let x = (window.x as usize + k % window.width) as f64 + 0.5;
            let y = (window.y as usize + k / window.width) as f64 + 0.5;
            let t = truth(Position { x, y });
            if p.is_some() { (p.x - t.x).abs().max((p.y - t.y).abs()) } else { 0.0 }
        };
        positions(grid).into_iter().enumerate().map(off).fold(0.0, f64::max)
    }

    fn on_all(f: impl Fn(Position) -> Position) -> impl FnMut(&mut [Position]) {
        move |points: &mut [Position]| points.iter_mut().for_each(|p| *p = f(*p))
    }

    #[test]
    fn gentle_maps_take_one_node_a_cell() {
        let map = |p: Position| Position { x: 0.9 * p.x + 0.1 * p.y, y: p.y - 0.2 * p.x + 300.0 };
        let window = Window::new(64, 128, 256, 128);
        let grid = locate(window, SOURCE, 2.0, &mut on_all(map)).expect("aligned");
        assert!(matches!(grid.cell(0, 0), Cell::Nodes { step: CELL, .. }));
        assert!(worst(window, &grid, map) < 1e-9);
        let (sx, sy) = grid.scale(3, 2);
        assert!(
            (f64::from(sx) - 0.82f64.sqrt()).abs() < 1e-6 && (f64::from(sy) - 1.04f64.sqrt()).abs() < 1e-6
        );
    }

    #[test]
    fn conformal_maps_are_within_a_64th_of_a_pixel() {
        // z² has harmonic parts: its errors cancel in the centre of a square.
        for k in [1e-5, 1e-4, 1e-3, 1e-2] {
            let map = move |p: Position| {
                let (x, y) = (p.x - 100.0, p.y - 100.0);
                Position { x: 2000.0 + x + k * (x * x - y * y), y: 2000.0 + y + 2.0 * k * x * y }
            };
            let window = Window::new(0, 0, 256, 256);
            let grid = locate(window, SOURCE, 2.0, &mut on_all(map)).expect("aligned");
            assert!(worst(window, &grid, map) <= 1.0 / 64.0, "curvature {k}");
        }
    }

    #[test]
    fn jumps_and_gaps_are_computed_exactly() {
        let map = |p: Position| {
            if (p.y - 200.0).abs() < 20.0 {
                return Position::NONE;
            }
            let jump = if p.x > 77.3 { 3000.0 } else { 0.0 };
            Position { x: p.x + jump, y: p.y }
        };
        let window = Window::new(0, 0, 256, 256);
        let grid = locate(window, SOURCE, 2.0, &mut on_all(map)).expect("aligned");
        assert!(worst(window, &grid, map) < 1e-9);
        let here = positions(&grid);
        assert!(!here[200 * 256 + 10].is_some());
        assert!(here[170 * 256 + 10].is_some() && here[225 * 256 + 200].is_some());
        assert_eq!(grid.scale(2, 0), (1.0, 1.0));
    }

    #[test]
    fn every_window_gives_a_pixel_the_same_position() {
        let map = |p: Position| Position { x: p.x + 0.003 * p.y * p.y, y: p.y + 1e-5 * p.x * p.x };
        let whole = locate(Window::new(0, 0, 256, 256), SOURCE, 2.0, &mut on_all(map)).expect("aligned");
        let part = locate(Window::new(64, 128, 64, 64), SOURCE, 2.0, &mut on_all(map)).expect("aligned");
        let all = positions(&whole);
        for (k, p) in positions(&part).into_iter().enumerate() {
            assert_eq!(p, all[(128 + k / 64) * 256 + 64 + k % 64]);
        }
    }

    #[test]
    fn cells_beside_the_source_are_outside() {
        let map = |p: Position| Position { x: p.x - 128.0, y: p.y };
        let grid =
            locate(Window::new(0, 0, 256, 64), Size::new(50, 50), 3.0, &mut on_all(map)).expect("aligned");
        let outside = |c| *grid.cell(c, 0) == Cell::Outside;
        assert_eq!(
            (0..8).map(outside).collect::<Vec<_>>(),
            [true, true, true, false, false, false, true, true]
        );
    }
}
