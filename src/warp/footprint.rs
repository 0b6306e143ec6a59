//! The part of the Web Mercator square a raster covers, and how fine it is there.
//!
//! Found by carrying a lattice of pixel positions over. Longitudes lie on a circle: the arcs between neighbouring
//! positions are joined, so that a raster across the antimeridian yields two ranges, and one around a pole all longitudes.

use super::coords::Position;
use crate::grid::{Bounds, WEB_MERCATOR_HALF};
use crate::window::{Size, Window};

/// Squares of the lattice along each side: even, for the coarser lattice that tells how much the edges are curved.
const SIDE: usize = 64;

/// Where a raster lies in Web Mercator.
#[derive(Debug, Clone, PartialEq)]
pub struct Footprint {
    /// West to east in metres within the square; two when the raster crosses the antimeridian, the western end of the
    /// raster first.
    pub ranges: Vec<Bounds>,
    /// Ground size of a source pixel in Web Mercator metres, after GDAL's suggestion for a warp: the way from the
    /// upper left to the lower right corner over the diagonal in pixels.
    pub resolution: f64,
    /// How far beyond the ranges the raster may reach because its edges are curved, in metres.
    pub slack: f64,
}

/// The footprint of a raster; `None` when nothing of it lies on the map.
///
/// `to_mercator` carries pixel positions over, [`Position::NONE`] where it cannot.
pub fn footprint(size: Size, to_mercator: impl FnMut(&mut [Position])) -> Option<Footprint> {
    footprint_of(size.window(), SIDE, to_mercator)
}

/// Like [`footprint`], for one of many: with a coarser lattice where that is seen to be enough.
pub fn quick_footprint(window: Window, mut to_mercator: impl FnMut(&mut [Position])) -> Option<Footprint> {
    const QUICK: usize = 8;
    footprint_of(window, QUICK, &mut to_mercator)
        .filter(|f| f.ranges.len() == 1 && f.slack < f.resolution / 4.0)
        .or_else(|| footprint_of(window, SIDE, to_mercator))
}

/// The footprint of a window of a raster from a lattice of `side` × `side` squares.
fn footprint_of(
    window: Window,
    side: usize,
    mut to_mercator: impl FnMut(&mut [Position]),
) -> Option<Footprint> {
    let (w, h) = (window.width as f64 / side as f64, window.height as f64 / side as f64);
    let (left, top) = (window.x as f64, window.y as f64);
    let mut points: Vec<Position> = (0..=side)
        .flat_map(|r| (0..=side).map(move |c| Position { x: left + c as f64 * w, y: top + r as f64 * h }))
        .collect();
    to_mercator(&mut points);
    let lattice = Mercator { side, points };
    let ranges = lattice.ranges();
    let width: f64 = ranges.iter().map(|b| b.east - b.west).sum();
    let resolution = lattice.resolution(w, h)?;
    // Chords across a curved edge miss less the shorter they are: a quarter for each halving.
    let coarse = lattice.coarser().ranges();
    let slack = if coarse.len() == ranges.len() {
        ranges.iter().zip(&coarse).map(|(fine, coarse)| off(fine, coarse)).fold(0.0, f64::max)
    } else {
        width / side as f64
    };
    (!ranges.is_empty()).then_some(Footprint { ranges, resolution, slack })
}

/// The largest distance between two rectangles' edges; what rounding leaves is nothing.
fn off(a: &Bounds, b: &Bounds) -> f64 {
    let edges = [a.west - b.west, a.south - b.south, a.east - b.east, a.north - b.north];
    let most = edges.into_iter().map(f64::abs).fold(0.0, f64::max);
    if most < 1e-6 { 0.0 } else { most }
}

struct Mercator {
    side: usize,
    points: Vec<Position>,
}

impl Mercator {
    /// Every other position.
    fn coarser(&self) -> Self {
        let side = self.side / 2;
        let points = (0..=side)
            .flat_map(|r| (0..=side).map(move |c| (r, c)))
            .map(|(r, c)| self.points[2 * r * (self.side + 1) + 2 * c])
            .collect();
        Self { side, points }
    }

    /// The ranges on the map, in metres.
    fn ranges(&self) -> Vec<Bounds> {
        let Some((south, north)) = self.vertical() else { return Vec::new() };
        let metres = |turn: f64| turn * 2.0 * WEB_MERCATOR_HALF - WEB_MERCATOR_HALF;
        let arcs = join(self.arcs());
        arcs.into_iter()
            .map(|(from, to)| Bounds { west: metres(from), south, east: metres(to), north })
            .collect()
    }

    fn at(&self, column: usize, row: usize) -> Option<Position> {
        let p = self.points[row * (self.side + 1) + column];
        (p.is_some() && p.x.abs() < 1.001 * WEB_MERCATOR_HALF).then_some(p)
    }

    /// Whether the position lies within the square's latitudes.
    fn on_map(&self, column: usize, row: usize) -> bool {
        self.at(column, row).is_some_and(|p| p.y.abs() <= WEB_MERCATOR_HALF)
    }

    /// All pairs of neighbours, as (column, row) twice.
    fn neighbours(&self) -> impl Iterator<Item = [(usize, usize); 2]> + use<> {
        let side = self.side;
        (0..=side).flat_map(move |r| (0..=side).map(move |c| (c, r))).flat_map(move |(c, r)| {
            let right = (c < side).then_some([(c, r), (c + 1, r)]);
            let below = (r < side).then_some([(c, r), (c, r + 1)]);
            right.into_iter().chain(below)
        })
    }

    /// South and north in metres, within the square. Where the last position on the map has a neighbour that is off it,
    /// the range reaches as far beyond as it came from before.
    fn vertical(&self) -> Option<(f64, f64)> {
        let mut range: Option<(f64, f64)> = None;
        let mut note = |y: f64| {
            let y = y.clamp(-WEB_MERCATOR_HALF, WEB_MERCATOR_HALF);
            let (low, high) = range.unwrap_or((y, y));
            range = Some((low.min(y), high.max(y)));
        };
        let mut on_map = false;
        for [a, b] in self.neighbours() {
            match (self.at(a.0, a.1), self.at(b.0, b.1)) {
                (Some(p), Some(q)) => {
                    // A pair that straddles the square's edge reaches up to it.
                    if self.on_map(a.0, a.1) || self.on_map(b.0, b.1) {
                        on_map = true;
                        note(p.y);
                        note(q.y);
                    }
                }
                (Some(p), None) => self.beyond(a, b).into_iter().for_each(|q| note(2.0 * p.y - q.y)),
                (None, Some(p)) => self.beyond(b, a).into_iter().for_each(|q| note(2.0 * p.y - q.y)),
                (None, None) => {}
            }
        }
        range.filter(|_| on_map)
    }

    /// The neighbour of `inside` on the side away from `outside`.
    fn beyond(&self, inside: (usize, usize), outside: (usize, usize)) -> Option<Position> {
        let mirror = |i: usize, o: usize| (2 * i).checked_sub(o).filter(|&v| v <= self.side);
        self.on_map(inside.0, inside.1)
            .then_some(())
            .and_then(|()| self.at(mirror(inside.0, outside.0)?, mirror(inside.1, outside.1)?))
    }

    /// Arcs between neighbours, as (start, length) in turns from the antimeridian.
    fn arcs(&self) -> Vec<(f64, f64)> {
        let turn = |p: Position| (p.x / (2.0 * WEB_MERCATOR_HALF) + 0.5).clamp(0.0, 1.0);
        let mut arcs = Vec::new();
        for [a, b] in self.neighbours() {
            if !self.on_map(a.0, a.1) && !self.on_map(b.0, b.1) {
                continue;
            }
            match (self.at(a.0, a.1), self.at(b.0, b.1)) {
                (Some(p), Some(q)) => arcs.push(short_arc(turn(p), turn(q))),
                (Some(p), None) => extend(p, self.beyond(a, b), turn, &mut arcs),
                (None, Some(p)) => extend(p, self.beyond(b, a), turn, &mut arcs),
                (None, None) => {}
            }
        }
        arcs
    }

    /// Metres per pixel along a diagonal; squares of the lattice are `w` × `h` pixels.
    fn resolution(&self, w: f64, h: f64) -> Option<f64> {
        let side = self.side;
        let middle = side / 2;
        let falling = |k: usize| (k, k);
        let rising = |k: usize| (k, side - k);
        let along = |k: usize| (k, middle);
        let down = |k: usize| (middle, k);
        let paths: [&dyn Fn(usize) -> (usize, usize); 4] = [&falling, &rising, &along, &down];
        paths.iter().find_map(|path| self.path(path, w, h)).filter(|r| r.is_finite() && *r > 0.0)
    }

    /// Metres per pixel between the first and the last position of a path that lie on the map, eastings unrolled.
    fn path(&self, at: &dyn Fn(usize) -> (usize, usize), w: f64, h: f64) -> Option<f64> {
        let on_map = |k: &usize| self.on_map(at(*k).0, at(*k).1);
        let steps: Vec<usize> = (0..=self.side).filter(on_map).collect();
        let (first, last) = (at(*steps.first()?), at(*steps.last()?));
        let circle = 2.0 * WEB_MERCATOR_HALF;
        let mut east = 0.0;
        for pair in steps.windows(2) {
            let [p, q] = [pair[0], pair[1]].map(|k| self.at(at(k).0, at(k).1));
            let step = q?.x - p?.x;
            east += step - (step / circle).round() * circle;
        }
        let north = self.at(last.0, last.1)?.y - self.at(first.0, first.1)?.y;
        let pixels = (last.0.abs_diff(first.0) as f64 * w).hypot(last.1.abs_diff(first.1) as f64 * h);
        Some(east.hypot(north) / pixels).filter(|r| r.is_finite())
    }
}

/// Repeats the last arc beyond a position whose next neighbour is off the map.
fn extend(p: Position, before: Option<Position>, turn: impl Fn(Position) -> f64, arcs: &mut Vec<(f64, f64)>) {
    if let Some(q) = before {
        let (start, length) = short_arc(turn(q), turn(p));
        let forward = (start - turn(q)).abs() < 1e-12;
        let start = if forward { start + length } else { start - length };
        arcs.push((start.rem_euclid(1.0), length));
    }
}

/// The shorter way round the circle between two points, as (start, length).
fn short_arc(a: f64, b: f64) -> (f64, f64) {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    let direct = high - low;
    if direct <= 0.5 { (low, direct) } else { (high, 1.0 - direct) }
}

/// Joins arcs into ranges of [0, 1]; of two ranges that meet at the ends, the one that ends at 1 comes first.
fn join(arcs: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    const GAP: f64 = 1e-9;
    let mut pieces: Vec<(f64, f64)> = Vec::new();
    for (start, length) in arcs {
        let end = start + length;
        pieces.push((start, end.min(1.0)));
        if end > 1.0 + GAP {
            pieces.push((0.0, end - 1.0));
        }
    }
    pieces.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut ranges: Vec<(f64, f64)> = Vec::new();
    for (from, to) in pieces {
        match ranges.last_mut() {
            Some(last) if from <= last.1 + GAP => last.1 = last.1.max(to),
            _ => ranges.push((from, to)),
        }
    }
    // Arcs that only touch the ends from the other side are points, not ranges.
    ranges.retain(|(from, to)| to - from > GAP);
    let wraps = ranges.len() > 1 && ranges[0].0 <= GAP && ranges[ranges.len() - 1].1 >= 1.0 - GAP;
    if wraps {
        ranges.rotate_right(1);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEGREE: f64 = WEB_MERCATOR_HALF / 180.0;

    fn mercator_y(latitude: f64) -> f64 {
        let y = (std::f64::consts::FRAC_PI_4 + latitude.to_radians() / 2.0).tan().ln();
        y / std::f64::consts::PI * WEB_MERCATOR_HALF
    }

    /// A raster in degrees, with longitudes wrapped as projections wrap them.
    fn geographic(west: f64, north: f64, east: f64, south: f64, size: Size) -> Option<Footprint> {
        footprint(size, |points| {
            for p in points {
                let lon = west + (east - west) * p.x / size.width as f64;
                let lat = north + (south - north) * p.y / size.height as f64;
                let lon = if lon > 180.0 { lon - 360.0 } else { lon };
                *p = if lat.abs() > 89.999 {
                    Position::NONE
                } else {
                    Position { x: lon * DEGREE, y: mercator_y(lat) }
                };
            }
        })
    }

    #[test]
    fn a_small_raster_is_one_range() {
        let f = geographic(10.0, 50.0, 12.0, 48.0, Size::new(200, 200)).expect("on the map");
        assert_eq!(f.ranges.len(), 1);
        assert!((f.ranges[0].west - 10.0 * DEGREE).abs() < 1e-6);
        assert!((f.ranges[0].east - 12.0 * DEGREE).abs() < 1e-6);
        assert!((f.ranges[0].north - mercator_y(50.0)).abs() < 1e-6);
    }

    #[test]
    fn the_antimeridian_splits_a_raster_in_two() {
        let f = geographic(175.0, 5.0, 190.0, -5.0, Size::new(300, 200)).expect("on the map");
        let degrees: Vec<_> = f.ranges.iter().map(|b| (b.west / DEGREE, b.east / DEGREE)).collect();
        assert_eq!(degrees.len(), 2);
        assert!((degrees[0].0 - 175.0).abs() < 1e-9 && (degrees[0].1 - 180.0).abs() < 1e-9);
        assert!((degrees[1].0 + 180.0).abs() < 1e-9 && (degrees[1].1 + 170.0).abs() < 1e-9);
    }

    #[test]
    fn the_whole_world_is_cut_at_the_square() {
        for west in [-180.0, 0.0] {
            let f =
                geographic(west, 90.0, west + 360.0, -90.0, Size::new(36_000, 18_000)).expect("on the map");
            assert_eq!(f.ranges.len(), 1);
            let b = f.ranges[0];
            assert!((b.east - b.west - 2.0 * WEB_MERCATOR_HALF).abs() < 1e-3);
            assert_eq!((b.south, b.north), (-WEB_MERCATOR_HALF, WEB_MERCATOR_HALF));
            assert!((1350.0..1500.0).contains(&f.resolution), "{}", f.resolution);
        }
    }

    #[test]
    fn a_pole_takes_all_longitudes() {
        let size = Size::new(1000, 1000);
        let f = footprint(size, |points| {
            for p in points {
                let (x, y) = (p.x - 500.0, p.y - 500.0);
                let lat = 90.0 - x.hypot(y) / 20.0;
                *p = Position { x: x.atan2(-y).to_degrees() * DEGREE, y: mercator_y(lat) };
            }
        })
        .expect("on the map");
        assert_eq!(f.ranges.len(), 1);
        assert!((f.ranges[0].east - f.ranges[0].west - 2.0 * WEB_MERCATOR_HALF).abs() < 1e-3);
        assert_eq!(f.ranges[0].north, WEB_MERCATOR_HALF);
    }

    #[test]
    fn rasters_off_the_map_have_no_footprint() {
        assert_eq!(geographic(0.0, 89.0, 10.0, 87.0, Size::new(100, 20)), None);
        assert_eq!(footprint(Size::new(5, 5), |points| points.fill(Position::NONE)), None);
    }
}
