//! The grid of the output: what is asked for, and for the rest what `gdalwarp` would choose.

use super::{GridRequest, Region, WarpJob};
use crate::error::{Error, Result};
use crate::grid::Bounds;
use crate::job::calc::grid::Grid;
use crate::raster::georef::{Method, suggested};
use crate::raster::{Description, Georeferencing, Locator, SourceSpec, crs};
use crate::warp::coords::Position;
use crate::window::Size;

/// Most columns or rows of an output.
const MOST: f64 = 2_147_483_647.0;

/// The grid of the output, and where the inputs lie in its CRS.
pub(in crate::job) struct Settled {
    pub grid: Grid,
    /// What each input covers, about; `None` where nobody knows.
    pub extents: Vec<Option<Bounds>>,
    /// What was decided in the user's place, as options.
    pub guesses: Vec<String>,
}

/// The rectangle that a cutline leaves in a CRS, if the output is to be no larger.
pub(in crate::job) type Crop<'a> = dyn Fn(&str) -> Result<Option<Bounds>> + 'a;

/// Settles the grid for inputs and their descriptions. `crop` is the rectangle that a cutline leaves, if the output is to be no
/// larger, once the CRS of the output is known.
///
/// # Errors
/// [`Error::Usage`] for a CRS that is not known or an output that would be too large, [`Error::Input`] when an input has no place.
pub(in crate::job) fn settle(
    job: &WarpJob,
    inputs: &[(SourceSpec, Description)],
    crop: &Crop<'_>,
) -> Result<Settled> {
    let request = &job.grid;
    let Some((first_spec, first)) = inputs.first() else {
        return Err(Error::Usage("no input given".to_owned()));
    };
    if let Some(like) = &request.like {
        let description = like.describe()?;
        let grid = Grid::of(like, &description);
        if grid.geotransform().is_none() || grid.georeferencing.wkt.is_none() {
            return Err(like.error("has no geotransform and CRS that the output could have (--like)"));
        }
        let wkt = grid.georeferencing.wkt.clone().unwrap_or_default();
        let extents = inputs.iter().map(|(spec, d)| place(spec, d, &wkt).ok().map(|p| p.bounds)).collect();
        return Ok(Settled { grid, extents, guesses: Vec::new() });
    }
    for (spec, description) in inputs {
        let place = &description.georeferencing;
        if place.method == Method::None {
            return Err(
                spec.error("has no georeferencing: give its corners by --a-ullr and its CRS by --src-crs")
            );
        }
        if place.wkt.is_none() {
            return Err(spec.error("has no coordinate reference system: give it by -s_srs"));
        }
    }
    let wkt = match &request.crs {
        Some(definition) => crs::wkt_of(definition)
            .map_err(|e| Error::Usage(format!("-t_srs '{definition}' is not a known CRS: {e}")))?,
        None => first.georeferencing.wkt.clone().unwrap_or_default(),
    };
    let places = inputs.iter().map(|(spec, d)| place(spec, d, &wkt).map_err(|e| spec.error(e)));
    let places = places.collect::<Result<Vec<_>>>()?;
    let mut natural = natural(&places);
    let region = match &request.region {
        Some(Region { bounds, crs: None }) => Some(*bounds),
        Some(Region { bounds, crs: Some(own) }) => Some(
            crs::box_between(bounds, own, &wkt)
                .map_err(|e| Error::Usage(format!("-te in -te_srs '{own}': {e}")))?,
        ),
        None => crop(&wkt)?,
    };
    let sized = request.resolution.is_some() || request.size.is_some();
    let kept = inputs
        .iter()
        .all(|(_, d)| d.georeferencing.wkt.as_deref().is_some_and(|theirs| crs::is_same(theirs, &wkt)));
    if let Some(region) = region.filter(|_| !sized && !kept)
        && let Some(resolution) = resolution_within(&region, inputs, &wkt)
    {
        natural.resolution = (resolution, resolution);
    }
    let mut guesses = Vec::new();
    let (geotransform, size) = measured(request, region, &natural)?;
    if request.crs.is_none() {
        guesses.push("the CRS of the first input (-t_srs)".to_owned());
    }
    if !sized {
        guesses.push(format!("-tr {} {}", geotransform[1], -geotransform[5]));
    }
    let georeferencing = Georeferencing::affine(&wkt, geotransform);
    let extents = places.iter().map(|p| Some(p.bounds)).collect();
    let spec = first_spec.clone();
    Ok(Settled { grid: Grid { spec, size, georeferencing }, extents, guesses })
}

/// Where an input lies in the CRS of the output.
struct Place {
    bounds: Bounds,
    resolution: (f64, f64),
    size: Size,
}

impl Place {
    /// That of a geotransform that is not turned.
    fn of(g: [f64; 6], size: Size) -> Self {
        let bounds = Bounds {
            west: g[0],
            north: g[3],
            east: g[0] + g[1] * size.width as f64,
            south: g[3] + g[5] * size.height as f64,
        };
        Self { bounds, resolution: (g[1], -g[5]), size }
    }
}

fn place(spec: &SourceSpec, description: &Description, wkt: &str) -> std::result::Result<Place, String> {
    let (own, size) = (&description.georeferencing, description.size);
    let upright =
        own.geotransform.filter(|g| own.method == Method::Affine && g[2] == 0.0 && g[4] == 0.0 && g[5] < 0.0);
    let same = own.wkt.as_deref().is_some_and(|theirs| crs::is_same(theirs, wkt));
    if let Some(g) = upright.filter(|_| same) {
        // Nothing is turned: its own grid, whether its pixels are squares or not.
        return Ok(Place::of(g, size));
    }
    let (g, found) = suggested(spec, own, size, wkt, false)?;
    let place = Place::of(g, found);
    let mut locator = Locator::in_crs(spec, own, size, wkt)?;
    if leads_back(&place, &mut locator) {
        return Ok(place);
    }
    let (g, found) = suggested(spec, own, size, wkt, true)?;
    Ok(Place::of(g, found))
}

/// Whether positions all over a place lead to pixels from which the way back is the same, to within a pixel.
fn leads_back(place: &Place, locator: &mut Locator) -> bool {
    const STEPS: usize = 20;
    let b = &place.bounds;
    // The edges of the world in degrees do not always lead back.
    let inside = |v: f64, edge: f64| if v.abs() == edge { v - 1e-6 * v.signum() } else { v };
    let (west, east) = (inside(b.west, 180.0), inside(b.east, 180.0));
    let (south, north) = (inside(b.south, 90.0), inside(b.north, 90.0));
    let at = |low: f64, high: f64, k: usize| low + (high - low) * k as f64 / STEPS as f64;
    let all = (0..=STEPS).flat_map(|i| (0..=STEPS).map(move |j| (i, j)));
    let expected: Vec<Position> =
        all.map(|(i, j)| Position { x: at(west, east, i), y: at(south, north, j) }).collect();
    let mut points = expected.clone();
    locator.to_pixels(&mut points);
    locator.to_coordinates(&mut points);
    let (x, y) = place.resolution;
    points.iter().zip(&expected).all(|(p, e)| (p.x - e.x).abs() <= x && (p.y - e.y).abs() <= y)
}

/// The resolution that inputs have within a region: the finest mean of both directions at places all over it. `None` where none of
/// them has pixels there.
fn resolution_within(region: &Bounds, inputs: &[(SourceSpec, Description)], wkt: &str) -> Option<f64> {
    const SIDE: usize = 10;
    let b = region;
    let (w, h) = (b.east - b.west, b.north - b.south);
    let step = w.min(h) / 1000.0;
    let last = |k: usize| if k == SIDE - 1 { -step } else { step };
    let at = |low: f64, length: f64, k: usize| low + length * k as f64 / (SIDE - 1) as f64;
    let places = (0..SIDE).flat_map(|j| (0..SIDE).map(move |i| (i, j)));
    let points: Vec<Position> = places
        .flat_map(|(i, j)| {
            let (x, y) = (at(b.west, w, i), at(b.south, h, j));
            [(x, y), (x + last(i), y), (x, y + last(j))].map(|(x, y)| Position { x, y })
        })
        .collect();
    let mut found = Vec::new();
    for (spec, description) in inputs {
        let size = description.size;
        let Ok(mut locator) = Locator::in_crs(spec, &description.georeferencing, size, wkt) else { continue };
        let mut pixels = points.clone();
        locator.to_pixels(&mut pixels);
        let (width, height) = (size.width as f64, size.height as f64);
        for p in pixels.chunks_exact(3) {
            let inside = (0.0..=width).contains(&p[0].x) && (0.0..=height).contains(&p[0].y);
            let length = |q: Position| step / (q.x - p[0].x).hypot(q.y - p[0].y);
            let mean = f64::midpoint(length(p[1]), length(p[2]));
            if inside && mean.is_finite() {
                found.push(mean);
            }
        }
    }
    found.sort_by(f64::total_cmp);
    // Far finer than most is where the map has a pole or a fold.
    let median = *found.get(found.len() / 2)?;
    found.into_iter().find(|resolution| *resolution > median / 10.0)
}

/// What keeps the resolution of the inputs and holds all of them: the grid of a single one as it is.
struct Natural {
    bounds: Bounds,
    resolution: (f64, f64),
    size: Size,
}

fn natural(places: &[Place]) -> Natural {
    if let [Place { bounds, resolution, size }] = places {
        return Natural { bounds: *bounds, resolution: *resolution, size: *size };
    }
    let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    let mut resolution = (f64::INFINITY, f64::INFINITY);
    for Place { bounds: b, resolution: r, .. } in places {
        low = [low[0].min(b.west), low[1].min(b.south)];
        high = [high[0].max(b.east), high[1].max(b.north)];
        resolution = (resolution.0.min(r.0), resolution.1.min(r.1));
    }
    let pixels = |length: f64, step: f64| (length / step + 0.5) as usize;
    let size = Size::new(pixels(high[0] - low[0], resolution.0), pixels(high[1] - low[1], resolution.1));
    let bounds = Bounds {
        west: low[0],
        south: high[1] - resolution.1 * size.height as f64,
        east: low[0] + resolution.0 * size.width as f64,
        north: high[1],
    };
    Natural { bounds, resolution, size }
}

/// Geotransform and size of what is asked for.
///
/// # Errors
/// [`Error::Usage`] when that would be no pixels, or too many.
fn measured(request: &GridRequest, region: Option<Bounds>, natural: &Natural) -> Result<([f64; 6], Size)> {
    let mut b = region.unwrap_or(natural.bounds);
    // As GDAL does: a half or more of a pixel counts as one.
    let pixels = |length: f64, step: f64| ((length + step / 2.0) / step).floor();
    let ((x, y), columns, rows) = match (request.resolution, request.size) {
        (Some((x, y)), _) => {
            if request.aligned {
                b.west = (b.west / x).floor() * x;
                b.east = (b.east / x).ceil() * x;
                b.south = (b.south / y).floor() * y;
                b.north = (b.north / y).ceil() * y;
            }
            ((x, y), pixels(b.east - b.west, x), pixels(b.north - b.south, y))
        }
        (None, Some((columns, rows))) => {
            let (w, h) = (b.east - b.west, b.north - b.south);
            let (columns, rows) = (columns as f64, rows as f64);
            let (x, y) = match (columns > 0.0, rows > 0.0) {
                (true, true) => (w / columns, h / rows),
                (true, false) => (w / columns, w / columns),
                _ => (h / rows, h / rows),
            };
            let or = |given: f64, found: f64| if given > 0.0 { given } else { found };
            ((x, y), or(columns, pixels(w, x)), or(rows, pixels(h, y)))
        }
        (None, None) if region.is_none() => {
            (natural.resolution, natural.size.width as f64, natural.size.height as f64)
        }
        (None, None) => {
            let (w, h) = (b.east - b.west, b.north - b.south);
            let (columns, rows) = (pixels(w, natural.resolution.0), pixels(h, natural.resolution.1));
            ((w / columns.max(1.0), h / rows.max(1.0)), columns, rows)
        }
    };
    let refuse = |what: &str| {
        Err(Error::Usage(format!(
            "the output would have {columns} × {rows} pixels, which is {what}: see -tr, -te and -ts"
        )))
    };
    if !(columns >= 1.0 && rows >= 1.0) {
        return refuse("none");
    }
    if columns > MOST || rows > MOST {
        return refuse("more than a raster can have");
    }
    Ok(([b.west, x, 0.0, b.north, 0.0, -y], Size::new(columns as usize, rows as usize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn natural_of(size: Size) -> Natural {
        let (w, h) = (size.width as f64, size.height as f64);
        Natural {
            bounds: Bounds { west: 0.0, south: 0.0, east: 10.0 * w, north: 10.0 * h },
            resolution: (10.0, 10.0),
            size,
        }
    }

    #[test]
    fn what_is_not_said_follows_from_the_inputs() {
        let natural = natural_of(Size::new(100, 50));
        let request = GridRequest::default();
        let (g, size) = measured(&request, None, &natural).expect("a grid");
        assert_eq!((g, size), ([0.0, 10.0, 0.0, 500.0, 0.0, -10.0], Size::new(100, 50)));
        let region = Bounds { west: 3.0, south: 100.0, east: 107.0, north: 200.0 };
        let (g, size) = measured(&request, Some(region), &natural).expect("a grid");
        assert_eq!((g, size), ([3.0, 10.4, 0.0, 200.0, 0.0, -10.0], Size::new(10, 10)));
        let ts = GridRequest { size: Some((20, 0)), ..GridRequest::default() };
        let (g, size) = measured(&ts, None, &natural).expect("a grid");
        assert_eq!((g[1], g[5], size), (50.0, -50.0, Size::new(20, 10)));
        let tap = GridRequest { resolution: Some((30.0, 30.0)), aligned: true, ..GridRequest::default() };
        let (g, size) = measured(&tap, Some(region), &natural).expect("a grid");
        assert_eq!((g, size), ([0.0, 30.0, 0.0, 210.0, 0.0, -30.0], Size::new(4, 4)));
    }

    #[test]
    fn grids_of_no_or_too_many_pixels_are_refused() {
        let natural = natural_of(Size::new(100, 50));
        for (step, word) in [(1e9, "none"), (1e-9, "more than")] {
            let request = GridRequest { resolution: Some((step, step)), ..GridRequest::default() };
            let error = measured(&request, None, &natural).expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
