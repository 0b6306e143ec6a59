//! The part of a plane of tiles that a raster covers, and how fine it is there.
//!
//! Found by carrying a lattice of pixel positions over. Where coordinates go round the Earth they lie on a circle: the arcs between
//! neighbouring positions are joined, so that a raster across the antimeridian yields two ranges, and one around a pole all
//! longitudes. Where they do not, the range is what lies around all positions, together with the part of the plane that is seen
//! to lie in the raster when asked the other way round: a plane smaller than the raster may hold none of its positions.

use super::coords::Position;
use crate::grid::{Bounds, World};
use crate::window::{Size, Window};

/// Squares of the lattice along each side: even, for the coarser lattice that tells how much the edges are curved.
const SIDE: usize = 64;

/// Share of the plane from which on a range is looked at from the other side too.
const LARGE: f64 = 1.0 / 16.0;

/// The way between the pixels of a raster and the plane that the tiles divide. Exact, and so dear.
pub trait Way {
    /// Carries pixel positions over, in place; [`Position::NONE`] where it cannot.
    fn to_map(&mut self, points: &mut [Position]);

    /// Carries positions on the plane back to pixels, in place; [`Position::NONE`] where it cannot.
    fn to_pixels(&mut self, points: &mut [Position]);
}

/// Where a raster lies in the plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Footprint {
    /// West to east within the world; two when the raster crosses the antimeridian, the western end of the raster first.
    pub ranges: Vec<Bounds>,
    /// Size of a source pixel in units of the plane, after GDAL's suggestion for a warp: the way from the upper left to the
    /// lower right corner over the diagonal in pixels.
    pub resolution: f64,
    /// How far beyond the ranges the raster may reach because its edges are curved, in units of the plane.
    pub slack: f64,
}

/// The footprint of a raster; `None` when nothing of it lies in the world.
pub fn footprint(size: Size, world: &World, way: &mut impl Way) -> Option<Footprint> {
    footprint_of(size.window(), SIDE, world, way)
}

/// Like [`footprint`], for one of many: with a coarser lattice where that is seen to be enough.
pub fn quick_footprint(window: Window, world: &World, way: &mut impl Way) -> Option<Footprint> {
    const QUICK: usize = 8;
    footprint_of(window, QUICK, world, way)
        .filter(|f| f.ranges.len() == 1 && f.slack < f.resolution / 4.0)
        .or_else(|| footprint_of(window, SIDE, world, way))
}

/// The footprint of a window of a raster from a lattice of `side` × `side` squares.
fn footprint_of(window: Window, side: usize, world: &World, way: &mut impl Way) -> Option<Footprint> {
    let (w, h) = (window.width as f64 / side as f64, window.height as f64 / side as f64);
    let (left, top) = (window.x as f64, window.y as f64);
    let mut points: Vec<Position> = (0..=side)
        .flat_map(|r| (0..=side).map(move |c| Position { x: left + c as f64 * w, y: top + r as f64 * h }))
        .collect();
    way.to_map(&mut points);
    let lattice = Lattice { side, points, world: *world };
    let mut ranges = lattice.ranges();
    let width: f64 = ranges.iter().map(|b| b.east - b.west).sum();
    // Chords across a curved edge miss less the shorter they are: a quarter for each halving.
    let coarse = lattice.coarser().ranges();
    let slack = if coarse.len() == ranges.len() {
        ranges.iter().zip(&coarse).map(|(fine, coarse)| off(fine, coarse)).fold(0.0, f64::max)
    } else {
        width / side as f64
    };
    let mut resolution = lattice.resolution(w, h);
    if *world != World::WEB_MERCATOR {
        let inside = Inside { window, world, way };
        (ranges, resolution) = inside.completed(ranges, resolution);
    }
    let resolution = resolution?;
    (!ranges.is_empty()).then_some(Footprint { ranges, resolution, slack })
}

/// The plane seen from the other side: which of its positions lie in the raster.
struct Inside<'a, W> {
    window: Window,
    world: &'a World,
    way: &'a mut W,
}

impl<W: Way> Inside<'_, W> {
    /// What a lattice of pixels has found, with what it cannot see.
    fn completed(mut self, ranges: Vec<Bounds>, resolution: Option<f64>) -> (Vec<Bounds>, Option<f64>) {
        let ranges = if self.world.round { self.with_poles(ranges) } else { self.with_within(ranges) };
        let resolution = resolution.or_else(|| self.resolution(ranges.first()?));
        (ranges, resolution)
    }

    /// Whether positions on the plane lie in the raster, and not on its edge.
    fn holds(&mut self, points: &mut [Position]) -> Vec<bool> {
        const EDGE: f64 = 1e-3;
        self.way.to_pixels(points);
        let (left, top) = (self.window.x as f64 + EDGE, self.window.y as f64 + EDGE);
        let (right, bottom) = (self.window.right() as f64 - EDGE, self.window.bottom() as f64 - EDGE);
        points.iter().map(|p| p.x > left && p.x < right && p.y > top && p.y < bottom).collect()
    }

    /// A raster that holds a pole reaches up to it on all longitudes.
    fn with_poles(&mut self, ranges: Vec<Bounds>) -> Vec<Bounds> {
        const AROUND: usize = 8;
        let Bounds { west, south, east, north } = self.world.bounds;
        let mut whole: Option<Bounds> = None;
        for (pole, is_north) in [(north, true), (south, false)] {
            let at = |k: usize| west + (east - west) * (k as f64 + 0.5) / AROUND as f64;
            let mut points: Vec<Position> = (0..AROUND).map(|k| Position { x: at(k), y: pole }).collect();
            if !self.holds(&mut points).into_iter().all(|held| held) {
                continue;
            }
            let low = ranges.iter().map(|b| b.south).fold(pole, f64::min);
            let high = ranges.iter().map(|b| b.north).fold(pole, f64::max);
            let own = if is_north {
                Bounds { west, south: low, east, north }
            } else {
                Bounds { west, south, east, north: high }
            };
            whole = Some(whole.map_or(own, |other| around(&other, &own)));
        }
        whole.map_or(ranges, |whole| vec![whole])
    }

    /// The part of the world that is seen to lie in the raster, with what was found before.
    fn with_within(&mut self, ranges: Vec<Bounds>) -> Vec<Bounds> {
        let all = self.world.bounds;
        let large = |b: &Bounds| {
            b.east - b.west > (all.east - all.west) * LARGE
                || b.north - b.south > (all.north - all.south) * LARGE
        };
        if ranges.first().is_some_and(|b| !large(b)) {
            return ranges;
        }
        let Some(seen) = self.within() else { return ranges };
        vec![ranges.first().map_or(seen, |found| around(found, &seen))]
    }

    /// A rectangle around the positions of the world that lie in the raster, its edges sought between those that do and the
    /// neighbours that do not.
    fn within(&mut self) -> Option<Bounds> {
        const TIMES: usize = 2;
        let all = edges(&self.world.bounds);
        let mut found = self.seen(all)?;
        let steps = [2, 3].map(|k| (all[k] - all[k - 2]) / SIDE as f64);
        for side in 0..4 {
            let (across, outwards) = (1 - side % 2, if side < 2 { -1.0 } else { 1.0 });
            let limited = |v: f64| if side < 2 { v.max(all[side]) } else { v.min(all[side]) };
            let mut step = steps[side % 2];
            for _ in 0..TIMES {
                // Between the edge and one step further out, all along the edge.
                let mut strip = found;
                strip[side] = limited(found[side] + outwards * step);
                strip[(side + 2) % 4] = found[side];
                strip[across] = (found[across] - steps[across]).max(all[across]);
                strip[across + 2] = (found[across + 2] + steps[across]).min(all[across + 2]);
                if let Some(further) = self.seen(strip) {
                    found[side] = further[side];
                }
                step /= SIDE as f64;
            }
            found[side] = limited(found[side] + outwards * step);
        }
        let [west, south, east, north] = found;
        Some(Bounds { west, south, east, north })
    }

    /// West, south, east and north of the positions of a lattice over a part of the plane that lie in the raster.
    fn seen(&mut self, [west, south, east, north]: [f64; 4]) -> Option<[f64; 4]> {
        let (w, h) = ((east - west) / SIDE as f64, (north - south) / SIDE as f64);
        let at = |k: usize| Position {
            x: west + w * (k % (SIDE + 1)) as f64,
            y: south + h * (k / (SIDE + 1)) as f64,
        };
        let own: Vec<Position> = (0..(SIDE + 1) * (SIDE + 1)).map(at).collect();
        let held = self.holds(&mut own.clone());
        let points = own.iter().zip(held).filter(|(_, held)| *held).map(|(p, _)| [p.x, p.y, p.x, p.y]);
        points.reduce(|a, b| [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])])
    }

    /// Size of a pixel in the middle of a part of the plane.
    fn resolution(&mut self, part: &Bounds) -> Option<f64> {
        let (x, y) = (f64::midpoint(part.west, part.east), f64::midpoint(part.south, part.north));
        let step = (part.east - part.west) / SIDE as f64;
        let mut p = [(x, y), (x + step, y), (x, y + step)].map(|(x, y)| Position { x, y });
        self.way.to_pixels(&mut p);
        let (ax, ay, bx, by) = (p[1].x - p[0].x, p[1].y - p[0].y, p[2].x - p[0].x, p[2].y - p[0].y);
        let pixels = (ax * by - ay * bx).abs();
        Some(step / pixels.sqrt()).filter(|r| r.is_finite() && *r > 0.0)
    }
}

/// West, south, east and north.
fn edges(b: &Bounds) -> [f64; 4] {
    [b.west, b.south, b.east, b.north]
}

/// The smallest rectangle around two.
fn around(a: &Bounds, b: &Bounds) -> Bounds {
    Bounds {
        west: a.west.min(b.west),
        south: a.south.min(b.south),
        east: a.east.max(b.east),
        north: a.north.max(b.north),
    }
}

/// The largest distance between two rectangles' edges; what rounding leaves is nothing.
fn off(a: &Bounds, b: &Bounds) -> f64 {
    let edges = [a.west - b.west, a.south - b.south, a.east - b.east, a.north - b.north];
    let most = edges.into_iter().map(f64::abs).fold(0.0, f64::max);
    if most < 1e-6 { 0.0 } else { most }
}

struct Lattice {
    side: usize,
    points: Vec<Position>,
    world: World,
}

impl Lattice {
    /// Every other position.
    fn coarser(&self) -> Self {
        let side = self.side / 2;
        let points = (0..=side)
            .flat_map(|r| (0..=side).map(move |c| (r, c)))
            .map(|(r, c)| self.points[2 * r * (self.side + 1) + 2 * c])
            .collect();
        Self { side, points, world: self.world }
    }

    /// The ranges on the map.
    fn ranges(&self) -> Vec<Bounds> {
        let Bounds { west, south, east, north } = self.world.bounds;
        let Some((south, north)) = self.span(|p| p.y, (south, north)) else { return Vec::new() };
        let Some(turn) = self.world.turn() else {
            let found = self.span(|p| p.x, (west, east)).filter(|(west, east)| west < east && south < north);
            return found.map(|(west, east)| Bounds { west, south, east, north }).into_iter().collect();
        };
        let x = |t: f64| t * turn - turn / 2.0 + self.middle();
        let arcs = join(self.arcs(turn));
        arcs.into_iter().map(|(from, to)| Bounds { west: x(from), south, east: x(to), north }).collect()
    }

    /// The coordinate half a turn away from the world's edges.
    fn middle(&self) -> f64 {
        f64::midpoint(self.world.bounds.west, self.world.bounds.east)
    }

    fn at(&self, column: usize, row: usize) -> Option<Position> {
        let p = self.points[row * (self.side + 1) + column];
        let beyond = |turn: f64| (p.x - self.middle()).abs() >= 1.001 * (turn / 2.0);
        (p.is_some() && !self.world.turn().is_some_and(beyond)).then_some(p)
    }

    /// Whether the position lies within the world; where that is round, within its latitudes.
    fn on_map(&self, column: usize, row: usize) -> bool {
        let Bounds { west, south, east, north } = self.world.bounds;
        self.at(column, row).is_some_and(|p| {
            (south..=north).contains(&p.y) && (self.world.round || (west..=east).contains(&p.x))
        })
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

    /// Least and greatest of a coordinate, within limits. Where the last position on the map has a neighbour that is off it,
    /// the range reaches as far beyond as it came from before.
    fn span(&self, of: fn(Position) -> f64, (least, most): (f64, f64)) -> Option<(f64, f64)> {
        let mut range: Option<(f64, f64)> = None;
        let mut note = |y: f64| {
            let y = y.clamp(least, most);
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
                        note(of(p));
                        note(of(q));
                    }
                }
                (Some(p), None) => self.beyond(a, b).into_iter().for_each(|q| note(2.0 * of(p) - of(q))),
                (None, Some(p)) => self.beyond(b, a).into_iter().for_each(|q| note(2.0 * of(p) - of(q))),
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
    fn arcs(&self, way: f64) -> Vec<(f64, f64)> {
        let turn = |p: Position| ((p.x - self.middle()) / way + 0.5).clamp(0.0, 1.0);
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

    /// Units per pixel along a diagonal; squares of the lattice are `w` × `h` pixels.
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

    /// Units per pixel between the first and the last position of a path that lie on the map, eastings unrolled.
    fn path(&self, at: &dyn Fn(usize) -> (usize, usize), w: f64, h: f64) -> Option<f64> {
        let on_map = |k: &usize| self.on_map(at(*k).0, at(*k).1);
        let steps: Vec<usize> = (0..=self.side).filter(on_map).collect();
        let (first, last) = (at(*steps.first()?), at(*steps.last()?));
        let mut east = 0.0;
        for pair in steps.windows(2) {
            let [p, q] = [pair[0], pair[1]].map(|k| self.at(at(k).0, at(k).1));
            let step = q?.x - p?.x;
            east += self.world.turn().map_or(step, |turn| step - (step / turn).round() * turn);
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
    use crate::grid::WEB_MERCATOR_HALF;

    /// A way of which only one direction is known.
    struct There<F>(F);

    impl<F: FnMut(&mut [Position])> Way for There<F> {
        fn to_map(&mut self, points: &mut [Position]) {
            self.0(points);
        }

        fn to_pixels(&mut self, points: &mut [Position]) {
            points.fill(Position::NONE);
        }
    }

    fn on_mercator(size: Size, there: impl FnMut(&mut [Position])) -> Option<Footprint> {
        footprint(size, &World::WEB_MERCATOR, &mut There(there))
    }

    const DEGREE: f64 = WEB_MERCATOR_HALF / 180.0;

    fn mercator_y(latitude: f64) -> f64 {
        let y = (std::f64::consts::FRAC_PI_4 + latitude.to_radians() / 2.0).tan().ln();
        y / std::f64::consts::PI * WEB_MERCATOR_HALF
    }

    /// A raster in degrees, with longitudes wrapped as projections wrap them.
    fn geographic(west: f64, north: f64, east: f64, south: f64, size: Size) -> Option<Footprint> {
        on_mercator(size, |points| {
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
        let f = on_mercator(size, |points| {
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
        assert_eq!(on_mercator(Size::new(5, 5), |points| points.fill(Position::NONE)), None);
    }

    /// A raster whose pixels lie in a polar plane around (500, 500), a twentieth of a degree each, on a map of degrees.
    struct Polar;

    impl Way for Polar {
        fn to_map(&mut self, points: &mut [Position]) {
            for p in points {
                let (x, y) = (p.x - 500.3, p.y - 500.3);
                *p = Position { x: x.atan2(-y).to_degrees(), y: 90.0 - x.hypot(y) / 20.0 };
            }
        }

        fn to_pixels(&mut self, points: &mut [Position]) {
            for p in points {
                let (s, c) = p.x.to_radians().sin_cos();
                let r = (90.0 - p.y) * 20.0;
                *p = Position { x: 500.3 + r * s, y: 500.3 - r * c };
            }
        }
    }

    #[test]
    fn a_pole_between_the_positions_is_found_from_the_other_side() {
        let f = footprint(Size::new(1000, 1000), &World::DEGREES, &mut Polar).expect("on the map");
        let [b] = f.ranges[..] else { panic!("{:?}", f.ranges) };
        assert_eq!((b.west, b.east, b.north), (-180.0, 180.0, 90.0));
        assert!((54.0..56.0).contains(&b.south), "{b:?}");
    }

    /// A raster in the plane itself.
    struct Plane;

    impl Way for Plane {
        fn to_map(&mut self, points: &mut [Position]) {
            for p in points {
                (p.x, p.y) = (p.x * 10.0, -p.y * 10.0);
            }
        }

        fn to_pixels(&mut self, points: &mut [Position]) {
            for p in points {
                (p.x, p.y) = (p.x / 10.0, -p.y / 10.0);
            }
        }
    }

    #[test]
    fn a_world_within_the_raster_is_covered_as_a_whole() {
        for (west, side) in [(123_456.0, 100.0), (-5000.0, 9000.0), (20_000.0, 1e9)] {
            let bounds = Bounds { west, south: -200_000.0 - side, east: west + side, north: -200_000.0 };
            let world = World { bounds, round: false, sphere: false };
            let f = footprint(Size::new(50_000, 50_000), &world, &mut Plane).expect("meets it");
            let expected = bounds
                .intersection(&Bounds { west: 0.0, south: -500_000.0, east: 500_000.0, north: 0.0 })
                .expect("they meet");
            let [b] = f.ranges[..] else { panic!("{:?}", f.ranges) };
            for (a, e) in [
                (b.west, expected.west),
                (b.south, expected.south),
                (b.east, expected.east),
                (b.north, expected.north),
            ] {
                assert!((a - e).abs() <= side.min(5e5) / 1000.0, "{b:?} {expected:?}");
            }
            assert!((f.resolution - 10.0).abs() < 1e-6, "{}", f.resolution);
        }
        let away = World {
            bounds: Bounds { west: 1e7, south: 1e7, east: 2e7, north: 2e7 },
            round: false,
            sphere: false,
        };
        assert_eq!(footprint(Size::new(5000, 5000), &away, &mut Plane), None);
    }
}
