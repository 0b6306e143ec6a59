//! The grid of the output, and how inputs are brought onto it.

use crate::error::Result;
use crate::raster::georef::Method;
use crate::raster::{Description, Frame, Georeferencing, Locator, SourceSpec, crs};
use crate::warp::coords::Position;
use crate::warp::locate::extent;
use crate::window::{Size, Window};

/// The grid of the output: that of the first input, or of another raster.
#[derive(Debug, Clone)]
pub struct Grid {
    /// The raster that has it.
    pub spec: SourceSpec,
    /// Columns and rows.
    pub size: Size,
    /// Where it lies on the ground.
    pub georeferencing: Georeferencing,
}

/// How the pixels of an input come onto the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Placement {
    /// They lie on the same grid of pixels, of which the input covers this window; it may reach beyond the output.
    Aligned(Window),
    /// They lie on another grid, and are resampled.
    Warped {
        /// Pixels of the input along a pixel of the output, at most.
        scale: f64,
    },
}

impl Grid {
    /// The grid of a raster.
    pub fn of(spec: &SourceSpec, description: &Description) -> Self {
        Self {
            spec: spec.clone(),
            size: description.size,
            georeferencing: description.georeferencing.clone(),
        }
    }

    /// The geotransform, if pixels are placed by one.
    pub fn geotransform(&self) -> Option<[f64; 6]> {
        self.georeferencing.geotransform.filter(|_| self.georeferencing.method == Method::Affine)
    }

    /// How an input comes onto the grid. `by_pixel` takes it pixel by pixel, whatever its georeferencing.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when there is no way.
    pub fn place(&self, spec: &SourceSpec, description: &Description, by_pixel: bool) -> Result<Placement> {
        self.find_place(spec, description, by_pixel).map_err(|e| spec.error(e))
    }

    fn find_place(
        &self,
        spec: &SourceSpec,
        description: &Description,
        by_pixel: bool,
    ) -> Result<Placement, String> {
        let (own, theirs) = (&self.georeferencing, &description.georeferencing);
        let first = self.spec.path.display();
        let same_size = description.size == self.size;
        let whole = Placement::Aligned(self.size.window());
        let sizes = || {
            let text = |s: Size| format!("{} × {}", s.width, s.height);
            format!("{} pixels where {first} has {}", text(description.size), text(self.size))
        };
        if by_pixel || (own.method == Method::None && theirs.method == Method::None) {
            let why = if by_pixel { "--ignore-georeferencing takes" } else { "without georeferencing," };
            return if same_size {
                Ok(whole)
            } else {
                let taken = if by_pixel { "" } else { " are taken" };
                Err(format!("has {}: {why} pixels{taken} one by one, so sizes must be the same", sizes()))
            };
        }
        if own.method == Method::None || theirs.method == Method::None {
            let (without, with) =
                if own.method == Method::None { ("the grid", "this") } else { ("this", "the grid") };
            return Err(format!(
                "cannot be aligned to {first}: {without} has no georeferencing and {with} has; \
                 --ignore-georeferencing takes pixels one by one"
            ));
        }
        let Some(geotransform) = self.geotransform() else {
            return if own.method == theirs.method && same_size {
                Ok(whole)
            } else {
                Err(format!(
                    "cannot be aligned to {first}, which has no geotransform; give a raster with one by --like"
                ))
            };
        };
        let same_crs = match (&own.wkt, &theirs.wkt) {
            (Some(a), Some(b)) => crs::is_same(a, b),
            (None, None) => true,
            _ => false,
        };
        if let Some(frame) = Frame::of(theirs, description.size) {
            let own = Frame { size: self.size, geotransform, wkt: String::new() };
            let place = own.place_of(&Frame { wkt: String::new(), ..frame });
            let same_place = place == Some(self.size.window());
            if let Some(place) = place.filter(|_| same_crs || (same_place && theirs.wkt.is_none())) {
                return if place.intersection(&self.size.window()).is_empty() {
                    Err(format!("does not overlap {first}"))
                } else {
                    Ok(Placement::Aligned(place))
                };
            }
        }
        if !same_crs && (own.wkt.is_none() || theirs.wkt.is_none()) {
            let without = if own.wkt.is_none() { format!("{first} has") } else { "it has".to_owned() };
            return Err(format!(
                "cannot be aligned to {first}: {without} no coordinate reference system; --ignore-georeferencing takes \
                 pixels one by one"
            ));
        }
        let mut way = Way::find(self, spec, description)?;
        let scale = way.scale(self.size, description.size);
        scale.map(|scale| Placement::Warped { scale }).ok_or_else(|| format!("does not overlap {first}"))
    }
}

/// The way from the pixels of the grid to those of an input, for the thread that made it.
pub(in crate::job) struct Way {
    /// From pixels of the grid to coordinates.
    forward: [f64; 6],
    back: Back,
}

/// From coordinates to pixels of an input.
enum Back {
    Affine([f64; 6]),
    Locator(Locator),
}

impl Way {
    /// The way to an input.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when there is none.
    pub fn new(grid: &Grid, spec: &SourceSpec, description: &Description) -> Result<Self> {
        Self::find(grid, spec, description).map_err(|e| spec.error(e))
    }

    fn find(grid: &Grid, spec: &SourceSpec, description: &Description) -> Result<Self, String> {
        let forward = grid.geotransform().ok_or("has no way to a grid without geotransform")?;
        let (own, theirs) = (&grid.georeferencing, &description.georeferencing);
        let same = match (&own.wkt, &theirs.wkt) {
            (Some(a), Some(b)) => crs::is_same(a, b),
            (None, None) => true,
            _ => false,
        };
        let affine = theirs.geotransform.filter(|_| theirs.method == Method::Affine && same);
        let back = if let Some(geotransform) = affine {
            let inverse = inverse(&geotransform);
            Back::Affine(inverse.ok_or_else(|| format!("its geotransform {geotransform:?} is singular"))?)
        } else {
            let wkt = own.wkt.as_deref().unwrap_or_default();
            Back::Locator(Locator::in_crs(spec, theirs, description.size, wkt)?)
        };
        Ok(Self { forward, back })
    }

    /// From pixels of the grid to pixels of the input, in place.
    pub fn carry(&mut self, points: &mut [Position]) {
        for p in points.iter_mut() {
            *p = apply(&self.forward, *p);
        }
        match &mut self.back {
            Back::Affine(back) => points.iter_mut().for_each(|p| *p = apply(back, *p)),
            Back::Locator(locator) => locator.to_pixels(points),
        }
    }

    /// Pixels of the input along a pixel of the grid, at most, both of a size; `None` where the grid has no counterpart in the input.
    fn scale(&mut self, grid: Size, input: Size) -> Option<f64> {
        const SIDE: usize = 9;
        let at = |k: usize, length: usize| (k as f64 / (SIDE - 1) as f64) * (length as f64 - 1.0);
        let corners = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)];
        let mut points: Vec<Position> = (0..SIDE * SIDE)
            .flat_map(|k| {
                let (x, y) = (at(k % SIDE, grid.width), at(k / SIDE, grid.height));
                corners.map(|(i, j)| Position { x: x + i, y: y + j })
            })
            .collect();
        self.carry(&mut points);
        let all = points.iter().all(|p| p.is_some());
        let (low, high) = extent(&points)?;
        let beside =
            high.x < 0.0 || high.y < 0.0 || low.x > input.width as f64 || low.y > input.height as f64;
        // Where some have no counterpart, the others do not tell how far the grid reaches.
        if all && beside {
            return None;
        }
        let lengths = points.chunks_exact(3).flat_map(|p| {
            let apart = |q: Position| (q.x - p[0].x).abs().max((q.y - p[0].y).abs());
            [apart(p[1]), apart(p[2])]
        });
        lengths.filter(|d| d.is_finite()).reduce(f64::max)
    }
}

fn apply(g: &[f64; 6], p: Position) -> Position {
    Position { x: g[0] + g[1] * p.x + g[2] * p.y, y: g[3] + g[4] * p.x + g[5] * p.y }
}

/// The geotransform that leads back.
pub(in crate::job) fn inverse(g: &[f64; 6]) -> Option<[f64; 6]> {
    let determinant = g[1] * g[5] - g[2] * g[4];
    if !determinant.is_normal() {
        return None;
    }
    let solve = |x: f64, y: f64| ((x * g[5] - y * g[2]) / determinant, (y * g[1] - x * g[4]) / determinant);
    let (x0, y0) = solve(-g[0], -g[3]);
    let (xx, yx) = solve(1.0, 0.0);
    let (xy, yy) = solve(0.0, 1.0);
    Some([x0, xx, xy, y0, yx, yy])
}

/// The way from pixels of a grid to degrees.
///
/// # Errors
/// [`crate::Error::Input`] when the grid has no place on the Earth.
pub(super) fn to_degrees(grid: &Grid) -> Result<Locator> {
    let place = &grid.georeferencing;
    if place.method == Method::None || place.wkt.is_none() {
        return Err(grid.spec.error("lon and lat need a coordinate reference system, and it has none"));
    }
    Locator::in_crs(&grid.spec, place, grid.size, "EPSG:4326").map_err(|e| grid.spec.error(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_leads_back() {
        let g = [500_000.0, 3.0, 0.5, 5_400_000.0, -0.25, -2.0];
        let back = inverse(&g).expect("has one");
        let there = apply(&g, Position { x: 17.0, y: 23.0 });
        let here = apply(&back, there);
        assert!((here.x - 17.0).abs() < 1e-6 && (here.y - 23.0).abs() < 1e-6, "{here:?}");
        assert_eq!(inverse(&[0.0, 1.0, 2.0, 0.0, 2.0, 4.0]), None);
    }
}
