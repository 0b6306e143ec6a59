//! Grids of pixels in a coordinate reference system, without the pixels.
//!
//! Setting up a transformation takes milliseconds, so rasters of one CRS share the transformation of a frame around all of them;
//! and rasters whose pixels lie on one grid can be treated as one raster.

use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, DriverManager};

use super::georef::Method;
use super::{Georeferencing, reason};
use crate::warp::coords::Position;
use crate::window::{Size, Window};

/// Most columns or rows of a frame around rasters: what GDAL can count, with room to spare.
const MOST: f64 = 1e9;

/// How far the pixels of two grids may lie apart to be the same, in pixels.
const SAME: f64 = 1.0 / 256.0;

/// A grid of pixels in a coordinate reference system.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Columns and rows.
    pub size: Size,
    /// Geotransform in GDAL's order.
    pub geotransform: [f64; 6],
    /// The coordinate reference system as well-known text.
    pub wkt: String,
}

impl Frame {
    /// The grid of a raster; `None` when its pixels are not placed by a geotransform.
    pub fn of(georef: &Georeferencing, size: Size) -> Option<Self> {
        let geotransform = georef.geotransform.filter(|_| georef.method == Method::Affine)?;
        Some(Self { size, geotransform, wkt: georef.wkt.clone().unwrap_or_default() })
    }

    /// The smallest grid like the first one that all frames lie in. `None` when they have not the same CRS, or reach further than once
    /// around the Earth: then none can be meant by their longitudes.
    pub fn around(frames: &[&Self]) -> Option<Self> {
        let first = frames.first()?;
        let same = frames.iter().all(|f| f.wkt == first.wkt && determinant(&f.geotransform) != 0.0);
        if !same || determinant(&first.geotransform) == 0.0 {
            return None;
        }
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for frame in frames {
            let to_first = Affine::between(frame, first);
            for corner in frame.corners() {
                let p = to_first.apply(corner);
                low = [low[0].min(p.x.floor()), low[1].min(p.y.floor())];
                high = [high[0].max(p.x.ceil()), high[1].max(p.y.ceil())];
            }
        }
        let coarser = ((high[0] - low[0]).max(high[1] - low[1]) / MOST).max(1.0).ceil();
        let g = first.geotransform;
        let origin = Affine(g).apply(Position { x: low[0], y: low[1] });
        let step = |k: usize| g[k] * coarser;
        let pixels = |k: usize| ((high[k] - low[k]) / coarser).ceil() as usize;
        let frame = Self {
            size: Size::new(pixels(0), pixels(1)),
            geotransform: [origin.x, step(1), step(2), origin.y, step(4), step(5)],
            wkt: first.wkt.clone(),
        };
        (!frame.is_geographic() || frame.width() <= 360.0).then_some(frame)
    }

    /// Where the pixels of another frame lie among those of this one, when both are on the same grid.
    pub fn place_of(&self, other: &Self) -> Option<Window> {
        if self.wkt != other.wkt || determinant(&self.geotransform) == 0.0 {
            return None;
        }
        let to_own = Affine::between(other, self);
        let origin = to_own.apply(Position { x: 0.0, y: 0.0 });
        let (x, y) = (origin.x.round(), origin.y.round());
        let (w, h) = (other.size.width as f64, other.size.height as f64);
        let on_grid = [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)].into_iter().all(|(column, row)| {
            let p = to_own.apply(Position { x: column, y: row });
            (p.x - x - column).abs() < SAME && (p.y - y - row).abs() < SAME
        });
        let counted = x.abs() < MOST && y.abs() < MOST;
        (on_grid && counted).then(|| Window::new(x as i64, y as i64, other.size.width, other.size.height))
    }

    /// A part of the grid, which may reach beyond it.
    #[must_use]
    pub fn part(&self, window: &Window) -> Self {
        let g = self.geotransform;
        let origin = Affine(g).apply(Position { x: window.x as f64, y: window.y as f64 });
        Self {
            size: window.size(),
            geotransform: [origin.x, g[1], g[2], origin.y, g[4], g[5]],
            wkt: self.wkt.clone(),
        }
    }

    /// A dataset without pixels that lies there.
    pub(super) fn dataset(&self) -> Result<Dataset, String> {
        let make = || -> gdal::errors::Result<Dataset> {
            let driver = DriverManager::get_driver_by_name("MEM")?;
            let mut dataset =
                driver.create_with_band_type::<u8, _>("", self.size.width, self.size.height, 0)?;
            dataset.set_geo_transform(&self.geotransform)?;
            dataset.set_projection(&self.wkt)?;
            Ok(dataset)
        };
        make().map_err(|e| reason(&e))
    }

    fn corners(&self) -> [Position; 4] {
        let (w, h) = (self.size.width as f64, self.size.height as f64);
        [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)].map(|(x, y)| Position { x, y })
    }

    /// From the westernmost corner to the easternmost, in units of the CRS.
    fn width(&self) -> f64 {
        let xs = self.corners().map(|p| Affine(self.geotransform).apply(p).x);
        let (low, high) =
            (xs.into_iter().fold(f64::INFINITY, f64::min), xs.into_iter().fold(f64::NEG_INFINITY, f64::max));
        high - low
    }

    /// Whether coordinates are longitudes and latitudes.
    pub(crate) fn is_geographic(&self) -> bool {
        SpatialRef::from_wkt(&self.wkt).is_ok_and(|srs| srs.is_geographic())
    }

    /// Once around the Earth in the unit of longitudes.
    pub(super) fn turn(&self) -> f64 {
        let unit = SpatialRef::from_wkt(&self.wkt).map(|srs| srs.angular_units()).ok();
        let turn = unit.filter(|u| *u > 0.0).map_or(360.0, |unit| std::f64::consts::TAU / unit);
        // Degrees are often cut off.
        if (turn - 360.0).abs() < 1e-6 { 360.0 } else { turn }
    }
}

/// The determinant of a geotransform; 0 when it has no inverse.
pub(super) fn determinant(g: &[f64; 6]) -> f64 {
    g[1] * g[5] - g[2] * g[4]
}

/// An affine map in the order of a geotransform.
#[derive(Debug, Clone, Copy)]
pub(super) struct Affine([f64; 6]);

impl Affine {
    /// From the pixels of one frame to those of another, whose geotransform has an inverse.
    pub(super) fn between(from: &Frame, to: &Frame) -> Self {
        let (f, t) = (&from.geotransform, &to.geotransform);
        let scale = 1.0 / determinant(t);
        // The inverse of a 2 × 2 matrix, applied to the columns of the other.
        let solve = |x: f64, y: f64| ((x * t[5] - y * t[2]) * scale, (y * t[1] - x * t[4]) * scale);
        let (x0, y0) = solve(f[0] - t[0], f[3] - t[3]);
        let (xc, yc) = solve(f[1], f[4]);
        let (xr, yr) = solve(f[2], f[5]);
        Self([x0, xc, xr, y0, yc, yr])
    }

    pub(super) fn apply(&self, p: Position) -> Position {
        let m = &self.0;
        Position { x: m[0] + m[1] * p.x + m[2] * p.y, y: m[3] + m[4] * p.x + m[5] * p.y }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(geotransform: [f64; 6], width: usize, height: usize) -> Frame {
        let wkt = SpatialRef::from_epsg(32633).and_then(|s| s.to_wkt()).expect("is known");
        Frame { size: Size::new(width, height), geotransform, wkt }
    }

    const FIRST: [f64; 6] = [500_000.0, 0.5, 0.0, 5_400_000.0, 0.0, -0.5];

    #[test]
    fn pixels_of_one_grid_know_their_place_in_each_other() {
        let first = frame(FIRST, 512, 512);
        let second = frame([500_256.0, 0.5, 0.0, 5_400_100.5, 0.0, -0.5], 300, 200);
        assert_eq!(first.place_of(&second), Some(Window::new(512, -201, 300, 200)));
        assert_eq!(first.part(&Window::new(512, -201, 300, 200)), second);
    }

    #[test]
    fn other_grids_have_no_place() {
        let first = frame(FIRST, 512, 512);
        for (k, by) in [(0, 0.01), (1, 0.001), (2, 0.001), (3, 0.2), (5, 0.002)] {
            let mut off = FIRST;
            off[k] += by;
            assert_eq!(first.place_of(&frame(off, 512, 512)), None, "{k}");
        }
        let mut elsewhere = first.clone();
        elsewhere.wkt = SpatialRef::from_epsg(32634).and_then(|s| s.to_wkt()).expect("is known");
        assert_eq!(first.place_of(&elsewhere), None);
    }

    #[test]
    fn a_frame_around_rasters_holds_their_corners() {
        let rasters = [frame(FIRST, 10, 10), frame([500_100.3, 0.2, 0.1, 5_400_050.0, 0.1, -0.2], 1000, 500)];
        let around = Frame::around(&[&rasters[0], &rasters[1]]).expect("one CRS");
        for raster in &rasters {
            let inside = Affine::between(raster, &around);
            for p in raster.corners().map(|p| inside.apply(p)) {
                let (w, h) = (around.size.width as f64, around.size.height as f64);
                assert!((-1e-6..=w + 1e-6).contains(&p.x) && (-1e-6..=h + 1e-6).contains(&p.y), "{p:?}");
            }
        }
    }

    #[test]
    fn frames_far_apart_stay_countable() {
        let fine = [500_000.0, 1e-4, 0.0, 5_400_000.0, 0.0, -1e-4];
        let far = frame([700_000.0, 10.0, 0.0, 5_900_000.0, 0.0, -10.0], 100, 100);
        let around = Frame::around(&[&frame(fine, 10, 10), &far]).expect("one CRS");
        assert!(around.size.width < 2_000_000_000 && around.size.height < 2_000_000_000);
    }

    #[test]
    fn longitudes_that_go_around_the_earth_share_no_frame() {
        let wkt = SpatialRef::from_epsg(4326).and_then(|s| s.to_wkt()).expect("is known");
        let at = |west: f64| Frame {
            size: Size::new(100, 100),
            geotransform: [west, 0.1, 0.0, 50.0, 0.0, -0.1],
            wkt: wkt.clone(),
        };
        assert!(Frame::around(&[&at(-180.0), &at(170.0)]).is_some());
        assert!(Frame::around(&[&at(-180.0), &at(175.0)]).is_none());
    }
}
