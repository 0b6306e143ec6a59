//! Cutting pixels out along polygons.
//!
//! A pixel is inside when its centre is, by the even-odd rule within a polygon; what lies in any polygon stays. Where an edge
//! runs through a centre, the pixel belongs to the polygon on the right or below, as with pixels and the positions on their
//! edges: polygons that share an edge share no pixel and leave no gap. Where an edge crosses a row of centres is computed from
//! the edge alone, so that whatever window is asked for, the same pixels are inside.

use std::collections::BTreeMap;
use std::ops::Range;

use super::coords::Position;
use super::kernel::Canvas;
use crate::window::Window;

/// Rows that share a list of edges, at least.
const BAND: i64 = 256;

/// Bands that the polygons are divided into at most.
const MOST_BANDS: i64 = 4096;

/// An edge from top to bottom, or a level one.
#[derive(Debug, Clone, Copy)]
struct Edge {
    top: Position,
    bottom: Position,
    polygon: u32,
}

impl Edge {
    /// Whether it crosses no row.
    fn is_level(&self) -> bool {
        self.top.y >= self.bottom.y
    }

    /// Where it crosses the row of centres at `y`, from its top until before its bottom, if it is not level.
    fn at(&self, y: f64) -> f64 {
        let t = (y - self.top.y) / (self.bottom.y - self.top.y);
        self.top.x + (self.bottom.x - self.top.x) * t
    }
}

/// Polygons among the pixels of a level, rows counting downwards.
#[derive(Debug, Clone, Default)]
pub struct Stencil {
    /// Those of a polygon follow each other.
    edges: Vec<Edge>,
    /// Rows of a band.
    band: i64,
    /// Edges that touch a band of rows, in their order.
    bands: BTreeMap<i64, Vec<u32>>,
    /// Around each polygon.
    boxes: Vec<Window>,
}

/// What of a window lies inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inside {
    /// No pixel.
    Nothing,
    /// All pixels.
    All,
    /// Some: 255 for each pixel inside, 0 for the others, row by row.
    Some(Vec<u8>),
}

impl Stencil {
    /// The stencil of polygons, of which nothing beyond `limit` matters. Each is a list of rings closed by their first position.
    pub fn new(polygons: &[Vec<Vec<Position>>], limit: &Window) -> Self {
        let mut stencil = Self::default();
        for (number, polygon) in (0..).zip(polygons) {
            let around = around(polygon).intersection(limit);
            if around.is_empty() {
                continue;
            }
            stencil.boxes.push(around);
            for pair in polygon.iter().flat_map(|ring| ring.windows(2)) {
                let [a, b] = [pair[0], pair[1]];
                let (top, bottom) = if a.y < b.y { (a, b) } else { (b, a) };
                let seen = bottom.y >= limit.y as f64 && top.y < limit.bottom() as f64;
                if seen {
                    stencil.edges.push(Edge { top, bottom, polygon: number });
                }
            }
        }
        let all = stencil.boxes.iter().fold(Window::new(0, 0, 0, 0), |all, w| all.union(w));
        let rows = (all.height as i64 / MOST_BANDS).max(BAND) as u64;
        stencil.band = rows.next_power_of_two() as i64;
        let first = |y: f64| (y as i64).clamp(limit.y, limit.bottom() - 1).div_euclid(stencil.band);
        for (number, edge) in (0..).zip(&stencil.edges) {
            for band in first(edge.top.y.floor())..=first(edge.bottom.y.floor()) {
                stencil.bands.entry(band).or_default().push(number);
            }
        }
        stencil
    }

    /// Windows around the polygons.
    pub fn boxes(&self) -> &[Window] {
        &self.boxes
    }

    /// Windows that hold all pixels inside and little else: rows of squares that the polygons touch, of at least `side` pixels and
    /// at most `most` to a column.
    pub fn windows(&self, side: usize, most: usize) -> Vec<Window> {
        let all = self.boxes.iter().fold(Window::new(0, 0, 0, 0), |all, w| all.union(w));
        let mut side = side.max(1) as i64;
        while all.height as i64 / side > most as i64 {
            side *= 2;
        }
        let mut windows = Vec::new();
        for row in all.y.div_euclid(side)..=(all.bottom() - 1).div_euclid(side) {
            let (top, bottom) = (row * side, (row + 1) * side);
            let mut touched: Vec<(i64, i64)> = Vec::new();
            let mut note = |from: f64, to: f64| {
                let square = |x: f64| (x.floor() as i64).div_euclid(side);
                touched.push((square(from), square(to) + 1));
            };
            for edge in self.edges_in(top..bottom) {
                let (high, low) = (edge.top.y.max(top as f64), edge.bottom.y.min(bottom as f64));
                let (a, b) =
                    if edge.is_level() { (edge.top.x, edge.bottom.x) } else { (edge.at(high), edge.at(low)) };
                if high <= low {
                    note(a.min(b), a.max(b));
                }
            }
            // What no edge touches is inside as a whole or not at all: one row of pixels tells.
            let middle = top + side / 2;
            self.for_spans(middle..middle + 1, |_, from, to| note(from, to));
            let squares = |(from, to): (i64, i64)| Window::from_edges(from * side, top, to * side, bottom);
            let found = joined(touched).into_iter().map(|run| squares(run).intersection(&all));
            windows.extend(found.filter(|w| !w.is_empty()));
        }
        windows
    }

    /// What of a window lies inside.
    pub fn inside(&self, window: &Window) -> Inside {
        if self.boxes.iter().all(|b| b.intersection(window).is_empty()) {
            return Inside::Nothing;
        }
        let mut mask = vec![0u8; window.area()];
        // The first pixel whose centre is at or beyond an edge.
        let first = |x: f64| (x - 0.5).ceil().clamp(window.x as f64, window.right() as f64) as i64;
        self.for_spans(window.y..window.bottom(), |row, from, to| {
            let start = (row - window.y) as usize * window.width;
            let pixel = |x: f64| start + (first(x) - window.x) as usize;
            mask[pixel(from)..pixel(to)].fill(255);
        });
        if mask.iter().all(|&m| m == 255) {
            Inside::All
        } else if mask.iter().all(|&m| m == 0) {
            Inside::Nothing
        } else {
            Inside::Some(mask)
        }
    }

    /// Takes away from a canvas what lies outside.
    pub fn cut(&self, canvas: &mut Canvas) {
        match self.inside(&canvas.window()) {
            Inside::All => {}
            Inside::Nothing => canvas.clear(&canvas.window()),
            Inside::Some(mask) => canvas.keep(&mask),
        }
    }

    /// The lists of edges of the bands that rows lie in.
    fn bands_of(&self, rows: Range<i64>) -> impl Iterator<Item = (i64, &Vec<u32>)> {
        let bands = rows.start.div_euclid(self.band)..=(rows.end - 1).div_euclid(self.band);
        self.bands.range(bands).map(|(band, numbers)| (*band, numbers))
    }

    /// Edges that may touch rows; some come more than once.
    fn edges_in(&self, rows: Range<i64>) -> impl Iterator<Item = &Edge> {
        self.bands_of(rows).flat_map(|(_, numbers)| numbers).map(|n| &self.edges[*n as usize])
    }

    /// Calls `visit(row, from, to)` for the stretches of rows of pixel centres that lie inside a polygon.
    fn for_spans(&self, rows: Range<i64>, mut visit: impl FnMut(i64, f64, f64)) {
        let count = (rows.end - rows.start).min(self.band) as usize;
        let mut crossings: Vec<Vec<f64>> = vec![Vec::new(); count];
        for (band, numbers) in self.bands_of(rows.clone()) {
            let from = rows.start.max(band * self.band);
            let to = rows.end.min((band + 1) * self.band);
            let edge = |n: &u32| &self.edges[*n as usize];
            for polygon in numbers.chunk_by(|a, b| edge(a).polygon == edge(b).polygon) {
                for edge in polygon.iter().map(edge) {
                    let first = |y: f64| ((y - 0.5).ceil() as i64).clamp(from, to);
                    for row in first(edge.top.y)..first(edge.bottom.y) {
                        crossings[(row - from) as usize].push(edge.at(row as f64 + 0.5));
                    }
                }
                for (row, crossings) in (from..to).zip(&mut crossings) {
                    crossings.sort_unstable_by(f64::total_cmp);
                    for pair in crossings.as_chunks::<2>().0 {
                        visit(row, pair[0], pair[1]);
                    }
                    crossings.clear();
                }
            }
        }
    }
}

/// The pixels that a polygon touches.
fn around(polygon: &[Vec<Position>]) -> Window {
    let points = || polygon.iter().flatten();
    let low = |f: fn(&Position) -> f64| points().map(f).fold(f64::INFINITY, f64::min).floor();
    let high = |f: fn(&Position) -> f64| points().map(f).fold(f64::NEG_INFINITY, f64::max).ceil();
    // `as` saturates; far beyond every level there is nothing to add.
    let within = |v: f64| v.clamp(-1e15, 1e15) as i64;
    Window::from_edges(
        within(low(|p| p.x)),
        within(low(|p| p.y)),
        within(high(|p| p.x)),
        within(high(|p| p.y)),
    )
}

/// Ranges in order, those that touch as one.
fn joined(mut ranges: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    ranges.sort_unstable();
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for (from, to) in ranges {
        match runs.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => runs.push((from, to)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Window = Window::new(-2000, -2000, 8000, 8000);

    fn ring(points: &[(f64, f64)]) -> Vec<Position> {
        let closed = points.iter().chain(points.first());
        closed.map(|&(x, y)| Position { x, y }).collect()
    }

    fn rectangle(left: f64, top: f64, right: f64, bottom: f64) -> Vec<Position> {
        ring(&[(left, top), (right, top), (right, bottom), (left, bottom)])
    }

    /// An uneven star with a hole.
    fn star() -> Vec<Vec<Position>> {
        let point = |k: u32| {
            let (s, c) = (f64::from(k) * 0.37).sin_cos();
            let r = if k.is_multiple_of(2) { 900.0 } else { 310.7 };
            (1003.3 + r * c, 998.1 + r * s)
        };
        vec![ring(&(0..17).map(point).collect::<Vec<_>>()), rectangle(950.0, 950.0, 1040.0, 1020.0)]
    }

    /// Whether a position lies inside, by counting the edges to its left.
    fn is_inside(polygon: &[Vec<Position>], x: f64, y: f64) -> bool {
        let crossed = polygon.iter().flat_map(|r| r.windows(2)).filter(|pair| {
            let (a, b) = if pair[0].y < pair[1].y { (pair[0], pair[1]) } else { (pair[1], pair[0]) };
            a.y <= y && y < b.y && a.x + (b.x - a.x) * ((y - a.y) / (b.y - a.y)) <= x
        });
        crossed.count() % 2 == 1
    }

    #[test]
    fn a_pixel_is_inside_when_its_centre_is() {
        let polygon = star();
        let stencil = Stencil::new(std::slice::from_ref(&polygon), &LIMIT);
        for window in
            [Window::new(0, 0, 2048, 1024), Window::new(1000, 700, 300, 700), Window::new(937, 511, 64, 3)]
        {
            let Inside::Some(mask) = stencil.inside(&window) else { panic!("{window} is cut") };
            for (k, inside) in mask.iter().enumerate() {
                let x = (window.x + (k % window.width) as i64) as f64 + 0.5;
                let y = (window.y + (k / window.width) as i64) as f64 + 0.5;
                assert_eq!(*inside == 255, is_inside(&polygon, x, y), "{x}, {y}");
            }
        }
        assert_eq!(stencil.inside(&Window::new(960, 960, 40, 40)), Inside::Nothing);
        assert_eq!(stencil.inside(&Window::new(1050, 990, 30, 30)), Inside::All);
        assert_eq!(stencil.inside(&Window::new(5000, 0, 300, 300)), Inside::Nothing);
    }

    #[test]
    fn neighbours_share_no_pixel_and_leave_no_gap() {
        let halves = [
            vec![ring(&[(0.0, 0.0), (500.5, 0.0), (300.5, 600.0), (0.0, 600.0)])],
            vec![ring(&[(500.5, 0.0), (800.0, 0.0), (800.0, 600.0), (300.5, 600.0)])],
        ];
        let window = Window::new(0, 0, 800, 600);
        let [a, b] = halves.each_ref().map(|half| {
            match Stencil::new(std::slice::from_ref(half), &LIMIT).inside(&window) {
                Inside::Some(mask) => mask,
                other => panic!("{other:?}"),
            }
        });
        assert!(a.iter().zip(&b).all(|(a, b)| (*a == 255) != (*b == 255)));
        assert_eq!(Stencil::new(&halves, &LIMIT).inside(&window), Inside::All);
    }

    #[test]
    fn polygons_that_overlap_do_not_cancel_each_other() {
        let both = [vec![rectangle(0.0, 0.0, 100.0, 100.0)], vec![rectangle(50.0, 50.0, 150.0, 150.0)]];
        assert_eq!(Stencil::new(&both, &LIMIT).inside(&Window::new(40, 60, 60, 30)), Inside::All);
    }

    #[test]
    fn windows_hold_all_that_is_inside_and_leave_out_what_is_far() {
        let corner = [vec![ring(&[
            (0.0, 0.0),
            (2000.0, 0.0),
            (2000.0, 50.0),
            (50.0, 50.0),
            (50.0, 2000.0),
            (0.0, 2000.0),
        ])]];
        let stencil = Stencil::new(&corner, &LIMIT);
        let windows = stencil.windows(64, 512);
        let area: usize = windows.iter().map(Window::area).sum();
        assert!(area < 2 * 2000 * 64, "{area}");
        let Inside::Some(mask) = stencil.inside(&Window::new(0, 0, 2000, 2000)) else { panic!("is cut") };
        for (k, _) in mask.iter().enumerate().filter(|(_, m)| **m > 0) {
            let pixel = Window::new((k % 2000) as i64, (k / 2000) as i64, 1, 1);
            assert!(windows.iter().any(|w| w.contains(&pixel)), "{pixel}");
        }
        let whole = Stencil::new(&[vec![rectangle(0.0, 0.0, 1000.0, 1000.0)]], &LIMIT).windows(64, 512);
        assert_eq!(whole.iter().map(Window::area).sum::<usize>(), 1_000_000);
        // Squares that only a level edge divides.
        let low = Stencil::new(&[vec![rectangle(0.0, 0.0, 3000.0, 297.0)]], &LIMIT).windows(256, 512);
        assert_eq!(low.iter().map(Window::area).sum::<usize>(), 3000 * 297);
        // Coarser squares where there would be too many.
        assert!(stencil.windows(1, 16).len() < 40);
    }
}
