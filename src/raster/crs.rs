//! Coordinate reference systems: those of grids, and of places that users give in whatever they have them in.

use std::sync::Arc;

use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};

use super::{raw, reason};
use crate::error::{Error, Result};
use crate::grid::{
    Bounds, Definition, METRES_PER_DEGREE, TileMatrixSet, World, latitude, longitude, mercator,
};
use crate::warp::coords::Position;
use crate::warp::footprint::{Way, footprint};
use crate::window::Size;

/// Points that the edges of a box are cut into when it is transformed.
const DENSITY: i32 = 21;

/// The CRS that a definition names (an authority's code, WKT, PROJ), its coordinates in the order of GIS: x or longitude
/// first, whatever order the authority has.
///
/// # Errors
/// GDAL's reason.
pub(super) fn known(definition: &str) -> Result<SpatialRef, String> {
    let mut srs = SpatialRef::from_definition(definition).map_err(|e| reason(&e))?;
    srs.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
    Ok(srs)
}

/// The way from a CRS to longitudes and latitudes of WGS 84 in degrees; `None` when it is that already.
///
/// # Errors
/// GDAL's reason, for instance that the CRS is one of another celestial body.
pub(super) fn to_degrees(srs: &SpatialRef) -> Result<Option<CoordTransform>, String> {
    let degrees = known("EPSG:4326")?;
    if *srs == degrees {
        return Ok(None);
    }
    CoordTransform::new(srs, &degrees).map(Some).map_err(|e| reason(&e))
}

/// Whether two CRSs, as well-known text, are the same, however they are worded.
pub(crate) fn is_same(a: &str, b: &str) -> bool {
    a == b || matches!((known(a), known(b)), (Ok(a), Ok(b)) if a == b)
}

/// An extent on the Earth, as a user gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Extent {
    /// The smallest box in degrees around it; its west lies east of its east where it reaches across the antimeridian.
    pub degrees: Bounds,
    /// The box that was given and the definition of its CRS, when it was not given in degrees.
    given: Option<(Bounds, String)>,
}

impl Extent {
    /// A box in degrees.
    pub fn degrees(degrees: Bounds) -> Self {
        Self { degrees, given: None }
    }

    /// A box in a CRS, whose edges may be curved lines in degrees.
    ///
    /// # Errors
    /// [`Error::Usage`] for a CRS that is not known, an inverted box, and one that has no place on the Earth.
    pub fn new(bounds: Bounds, crs: &str) -> Result<Self> {
        let degrees = box_in_degrees(&bounds, crs)?;
        Ok(Self { degrees, given: Some((bounds, crs.to_owned())) })
    }

    /// The box itself, if it was given in a CRS.
    fn given_in(&self, srs: &SpatialRef) -> Option<Bounds> {
        let (bounds, crs) = self.given.as_ref()?;
        known(crs).is_ok_and(|own| own == *srs).then_some(*bounds)
    }
}

/// The well-known text of a CRS.
///
/// # Errors
/// GDAL's reason.
pub(crate) fn wkt_of(definition: &str) -> Result<String, String> {
    known(definition)?.to_wkt().map_err(|e| reason(&e))
}

/// The smallest box in a CRS around a box in another one, whose edges may be curved lines there.
///
/// # Errors
/// GDAL's reason.
pub(crate) fn box_between(b: &Bounds, from: &str, to: &str) -> Result<Bounds, String> {
    let (from, to) = (known(from)?, known(to)?);
    if from == to {
        return Ok(*b);
    }
    let transform = CoordTransform::new(&from, &to).map_err(|e| reason(&e))?;
    let [west, south, east, north] = transform
        .transform_bounds(&[b.west, b.south, b.east, b.north], DENSITY)
        .map_err(|e| format!("has no counterpart: {}", reason(&e)))?;
    let found = Bounds { west, south, east, north };
    let sound = [west, south, east, north].iter().all(|v| v.is_finite()) && west < east && south < north;
    if sound { Ok(found) } else { Err("has no counterpart".to_owned()) }
}

/// The smallest box in degrees around a box in another CRS, whose edges may be curved lines there. The west of the result
/// lies east of its east where it reaches across the antimeridian.
///
/// # Errors
/// [`Error::Usage`] for a CRS that is not known, an inverted box, and one that has no place on the Earth.
fn box_in_degrees(b: &Bounds, definition: &str) -> Result<Bounds> {
    let given = format!("{},{},{},{}", b.west, b.south, b.east, b.north);
    let usage = |why: String| Error::Usage(format!("--bbox {given} in {definition}: {why}"));
    let srs = known(definition)
        .map_err(|e| Error::Usage(format!("--bbox-crs '{definition}' is not a known CRS: {e}")))?;
    let finite = [b.west, b.south, b.east, b.north].iter().all(|v| v.is_finite());
    let upright = b.south < b.north && (b.west < b.east || (srs.is_geographic() && b.west > b.east));
    if !finite || !upright {
        return Err(usage("give XMIN,YMIN,XMAX,YMAX, the first two below the others".to_owned()));
    }
    let Some(transform) = to_degrees(&srs).map_err(usage)? else { return Ok(*b) };
    let nowhere = || usage("has no place on the Earth in longitude and latitude".to_owned());
    let [west, south, east, north] =
        transform.transform_bounds(&[b.west, b.south, b.east, b.north], DENSITY).map_err(|_| nowhere())?;
    let found = Bounds {
        west: clear_of_noise(west, 180.0),
        south: clear_of_noise(south, 90.0),
        east: clear_of_noise(east, 180.0),
        north: clear_of_noise(north, 90.0),
    };
    let finite = [west, south, east, north].iter().all(|v| v.is_finite());
    if finite && found.south < found.north && found.west != found.east { Ok(found) } else { Err(nowhere()) }
}

/// A number of degrees without what rounding has put beyond a limit.
fn clear_of_noise(degrees: f64, limit: f64) -> f64 {
    if (degrees.abs() - limit).abs() < 1e-9 { limit.copysign(degrees) } else { degrees }
}

/// The path of a file in GDAL's data folder, if it is there: users put further grids into it.
pub fn data_file(name: &str) -> Option<std::path::PathBuf> {
    if name.contains(['/', '\\']) { None } else { raw::data_file(name) }
}

/// The plane that tiles divide, as GDAL knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    crs: Arc<str>,
    /// The part of it that stands for the Earth.
    pub world: World,
}

/// Semi-major axis of WGS 84, in metres.
const WGS_84: f64 = 6_378_137.0;

/// What GDAL is told for Web Mercator.
const WEB_MERCATOR: &str = "EPSG:3857";

impl Plane {
    /// Web Mercator, in metres.
    pub fn web_mercator() -> Self {
        Self { crs: WEB_MERCATOR.into(), world: World::WEB_MERCATOR }
    }

    /// The plane of a grid that has a CRS.
    pub fn of(set: &TileMatrixSet) -> Self {
        if set.world == World::WEB_MERCATOR {
            return Self::web_mercator();
        }
        Self { crs: set.crs.as_str().into(), world: set.world }
    }

    /// The plane of any CRS, which ends nowhere.
    pub(crate) fn endless(wkt: &str) -> Self {
        const FAR: f64 = 1e12;
        let bounds = Bounds { west: -FAR, south: -FAR, east: FAR, north: FAR };
        Self { crs: wkt.into(), world: World { bounds, round: false, sphere: false } }
    }

    /// The definition of its CRS.
    pub(super) fn crs(&self) -> &str {
        &self.crs
    }

    /// Whether it is that of Web Mercator.
    pub fn is_web_mercator(&self) -> bool {
        self.world == World::WEB_MERCATOR
    }

    /// Its CRS in words.
    pub fn name(&self) -> String {
        if self.is_web_mercator() {
            return "Web Mercator".to_owned();
        }
        known(&self.crs).ok().and_then(|srs| srs.name()).unwrap_or_else(|| self.crs.to_string())
    }

    /// The CRS as well-known text.
    ///
    /// # Errors
    /// GDAL's reason.
    pub fn wkt(&self) -> Result<String, String> {
        self.srs()?.to_wkt().map_err(|e| reason(&e))
    }

    /// The CRS, its coordinates in the order of GIS.
    ///
    /// # Errors
    /// GDAL's reason.
    pub(super) fn srs(&self) -> Result<SpatialRef, String> {
        known(&self.crs)
    }

    /// Rectangles in the plane around an extent: itself if it was given in this plane, else around its box in degrees; two where the
    /// plane is cut within it.
    ///
    /// # Errors
    /// GDAL's reason for not knowing a way.
    pub fn boxes(&self, extent: &Extent) -> Result<Vec<Bounds>, String> {
        if let Some(own) = extent.given_in(&self.srs()?).filter(|own| own.west < own.east) {
            return Ok(vec![own]);
        }
        let b = &extent.degrees;
        let cut = |edges: Bounds, world: &Bounds| {
            if b.west <= b.east {
                vec![edges]
            } else {
                vec![Bounds { east: world.east, ..edges }, Bounds { west: world.west, ..edges }]
            }
        };
        if self.is_web_mercator() {
            let ((west, south), (east, north)) = (mercator(b.west, b.south), mercator(b.east, b.north));
            return Ok(cut(Bounds { west, south, east, north }, &self.world.bounds));
        }
        if self.world == World::DEGREES {
            return Ok(cut(*b, &self.world.bounds));
        }
        let mut way = BoxWay::new(*b, self)?;
        let found = footprint(BoxWay::SIZE, &self.world, &mut way);
        Ok(found.map_or_else(Vec::new, |f| f.ranges.iter().map(|r| r.expanded(f.slack)).collect()))
    }

    /// The box in degrees around rectangles in the plane; −180 to 180 where it reaches across the antimeridian. The whole world where
    /// nobody knows.
    pub fn degrees(&self, all: &[Bounds]) -> Bounds {
        let least = |f: fn(&Bounds) -> f64| all.iter().map(f).fold(f64::INFINITY, f64::min);
        let most = |f: fn(&Bounds) -> f64| all.iter().map(f).fold(f64::NEG_INFINITY, f64::max);
        let around = Bounds {
            west: least(|b| b.west),
            south: least(|b| b.south),
            east: most(|b| b.east),
            north: most(|b| b.north),
        };
        if self.is_web_mercator() {
            return Bounds {
                west: longitude(around.west),
                south: latitude(around.south),
                east: longitude(around.east),
                north: latitude(around.north),
            };
        }
        let world = World::DEGREES.bounds;
        let found = if self.world == World::DEGREES { Some(around) } else { self.to_degrees(&around) };
        found.and_then(|found| found.intersection(&world)).unwrap_or(world)
    }

    fn to_degrees(&self, b: &Bounds) -> Option<Bounds> {
        let transform = to_degrees(&self.srs().ok()?).ok()?;
        let Some(transform) = transform else { return Some(*b) };
        let edges = [b.west, b.south, b.east, b.north];
        let (found, _) = raw::listen(|| transform.transform_bounds(&edges, DENSITY));
        let [west, south, east, north] = found.ok()?;
        let finite = [west, south, east, north].iter().all(|v| v.is_finite());
        let (west, east) = if west < east { (west, east) } else { (-180.0, 180.0) };
        let (west, east) = (clear_of_noise(west, 180.0), clear_of_noise(east, 180.0));
        let (south, north) = (clear_of_noise(south, 90.0), clear_of_noise(north, 90.0));
        finite.then_some(Bounds { west, south, east, north })
    }
}

/// A box in degrees as if it were a raster.
struct BoxWay {
    edges: Bounds,
    there: CoordTransform,
    back: CoordTransform,
}

impl BoxWay {
    /// Enough for boxes of the whole world not to be cut at their corners.
    const SIZE: Size = Size::new(4096, 4096);

    fn new(mut edges: Bounds, plane: &Plane) -> Result<Self, String> {
        if edges.west > edges.east {
            edges.east += 360.0;
        }
        let (degrees, own) = (known("EPSG:4326")?, plane.srs()?);
        let way = |a: &SpatialRef, b: &SpatialRef| CoordTransform::new(a, b).map_err(|e| reason(&e));
        Ok(Self { edges, there: way(&degrees, &own)?, back: way(&own, &degrees)? })
    }
}

impl Way for BoxWay {
    fn to_map(&mut self, points: &mut [Position]) {
        let Bounds { west, south, east, north } = self.edges;
        for p in points.iter_mut() {
            p.x = west + (east - west) * p.x / Self::SIZE.width as f64;
            p.y = north - (north - south) * p.y / Self::SIZE.height as f64;
        }
        carry(&self.there, points);
    }

    fn to_pixels(&mut self, points: &mut [Position]) {
        carry(&self.back, points);
        let Bounds { west, south, east, north } = self.edges;
        for p in points.iter_mut() {
            // Counted on from the west of the box.
            let x = (p.x - west).rem_euclid(360.0);
            p.x = x / (east - west) * Self::SIZE.width as f64;
            p.y = (north - p.y) / (north - south) * Self::SIZE.height as f64;
        }
    }
}

/// Carries positions over, in place; those without counterpart become [`Position::NONE`].
pub(super) fn carry(transform: &CoordTransform, points: &mut [Position]) {
    let mut xs: Vec<f64> = points.iter().map(|p| p.x).collect();
    let mut ys: Vec<f64> = points.iter().map(|p| p.y).collect();
    // Says that something failed when any point did; which ones is seen by their coordinates.
    let (_, _) = raw::listen(|| transform.transform_coords(&mut xs, &mut ys, &mut []));
    for (p, (x, y)) in points.iter_mut().zip(xs.into_iter().zip(ys)) {
        *p = if x.is_finite() && y.is_finite() { Position { x, y } } else { Position::NONE };
    }
}

/// The grid that a definition is about, whose CRS GDAL has to know. `name` is for one without an identifier.
///
/// # Errors
/// Why it cannot be used, to follow where it came from.
pub fn settle(definition: &Definition, name: &str) -> Result<TileMatrixSet, String> {
    let given = definition.crs();
    let short: String = given.chars().take(80).collect();
    let srs = known(given).map_err(|e| format!("has a CRS that is not known, '{short}': {e}"))?;
    if srs.is_local() || srs.is_geocentric() {
        return Err(format!("has a CRS that has no place on a map, '{short}'"));
    }
    let radius = srs.semi_major().map_err(|e| reason(&e))?;
    if !(6.3e6..6.45e6).contains(&radius) {
        return Err(format!("is of another celestial body ('{short}', radius {:.0} km)", radius / 1000.0));
    }
    let metres = if srs.is_geographic() {
        // Of degrees, whose number of radians is often cut off, and of other units.
        let degrees = srs.angular_units().to_degrees();
        let degrees = if (degrees - 1.0).abs() < 1e-9 { 1.0 } else { degrees };
        radius / WGS_84 * METRES_PER_DEGREE * degrees
    } else {
        srs.linear_units()
    };
    if !(metres.is_finite() && metres > 0.0) {
        return Err(format!("has a CRS without a unit of length, '{short}'"));
    }
    let bare = definition.settled(name, metres, north_first(&srs), None)?;
    let world = world(&srs, &bare);
    definition.settled(name, metres, north_first(&srs), world)
}

/// Whether the authority of a CRS puts northings or latitudes first.
fn north_first(srs: &SpatialRef) -> bool {
    let json = srs.to_projjson().ok();
    let crs: serde_json::Value = json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
    let own = match crs["components"].as_array() {
        Some(components) => &components[0],
        None => &crs,
    };
    let first = own["coordinate_system"]["axis"][0]["name"].as_str().unwrap_or_default().to_ascii_lowercase();
    first.contains("north") || first.contains("latitude")
}

/// The part of the plane of a CRS that stands for the Earth, where its coordinates go round.
fn world(srs: &SpatialRef, set: &TileMatrixSet) -> Option<World> {
    if srs.is_geographic() {
        // Degrees are often cut off.
        let turn = std::f64::consts::TAU / srs.angular_units();
        let half = if (turn - 360.0).abs() < 1e-6 { 180.0 } else { turn / 2.0 };
        let bounds = Bounds { west: -half, south: -half / 2.0, east: half, north: half / 2.0 };
        return Some(World { bounds, round: true, sphere: false });
    }
    if srs.auth_name().as_deref() == Some("EPSG") && srs.auth_code().is_ok_and(|code| code == 3857) {
        return Some(World::WEB_MERCATOR);
    }
    cylinder(srs, set)
}

/// The world of a projection on a cylinder: eastings go by the longitude alone, and evenly.
fn cylinder(srs: &SpatialRef, set: &TileMatrixSet) -> Option<World> {
    const STEP: usize = 30;
    let transform = CoordTransform::new(&known("EPSG:4326").ok()?, srs).ok()?;
    let carried = |points: &[(f64, f64)]| -> Vec<Position> {
        let mut points: Vec<Position> = points.iter().map(|&(x, y)| Position { x, y }).collect();
        carry(&transform, &mut points);
        points
    };
    let meridian = srs.get_proj_param("central_meridian").ok().flatten().unwrap_or(0.0);
    let middle = carried(&[(meridian, 0.0), (meridian + 1.0, 0.0), (meridian, 90.0), (meridian, -90.0)]);
    let (centre, turn) = (middle[0].x, 360.0 * (middle[1].x - middle[0].x));
    if !(turn.is_finite() && turn > 0.0) {
        return None;
    }
    let places: Vec<(f64, f64)> = (0..360 / STEP)
        .flat_map(|k| [-60.0, -20.0, 40.0, 70.0].map(|y| ((k * STEP) as f64 - 175.0, y)))
        .collect();
    let even = carried(&places).iter().zip(&places).all(|(p, (lon, _))| {
        let expected = centre + (lon - meridian) / 360.0 * turn;
        let off = (p.x - expected) / turn;
        (off - off.round()).abs() < 1e-7
    });
    let edge = |p: Position, or: f64| if p.is_some() && p.y.abs() < 1e9 { p.y } else { or };
    let own = set.bounds();
    let bounds = Bounds {
        west: centre - turn / 2.0,
        south: edge(middle[3], own.south),
        east: centre + turn / 2.0,
        north: edge(middle[2], own.north),
    };
    (even && bounds.south < bounds.north).then_some(World { bounds, round: true, sphere: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn bounds(west: f64, south: f64, east: f64, north: f64) -> Bounds {
        Bounds { west, south, east, north }
    }

    fn close(found: &Bounds, expected: &Bounds, tolerance: f64) -> bool {
        let sides = |b: &Bounds| [b.west, b.south, b.east, b.north];
        sides(found).iter().zip(sides(expected)).all(|(a, b)| (a - b).abs() < tolerance)
    }

    #[test]
    fn degrees_stay_as_they_are_in_the_order_of_gis() {
        let b = bounds(176.0, -20.0, -178.0, -15.0);
        assert_eq!(box_in_degrees(&b, "EPSG:4326").expect("degrees"), b);
    }

    #[test]
    fn the_edges_of_a_box_are_followed_where_they_bend() {
        // The northern edge of a box in UTM bulges: its middle lies further north than its corners.
        let b = bounds(200_000.0, 5_400_000.0, 800_000.0, 5_500_000.0);
        let found = box_in_degrees(&b, "EPSG:32633").expect("on the Earth");
        let srs = known("EPSG:32633").expect("is known");
        let transform = to_degrees(&srs).expect("can be").expect("is not degrees");
        let (mut x, mut y) = ([200_000.0, 500_000.0], [5_500_000.0, 5_500_000.0]);
        transform.transform_coords(&mut x, &mut y, &mut []).expect("on the Earth");
        assert!(y[1] > y[0] + 0.05 && (found.north - y[1]).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn a_box_in_web_mercator_keeps_its_edges() {
        let half = crate::grid::WEB_MERCATOR_HALF;
        let found = box_in_degrees(&bounds(-half, -half, half, half), "EPSG:3857").expect("the world");
        assert!(close(&found, &bounds(-180.0, -85.051_128_78, 180.0, 85.051_128_78), 1e-8), "{found:?}");
    }

    #[test]
    fn boxes_across_the_antimeridian_and_around_a_pole_are_whole() {
        let across = box_in_degrees(&bounds(200_000.0, 7_800_000.0, 900_000.0, 8_200_000.0), "EPSG:32760");
        let across = across.expect("on the Earth");
        assert!(across.west > 170.0 && across.east < -170.0, "{across:?}");
        let pole = box_in_degrees(&bounds(-1e6, -1e6, 1e6, 1e6), "EPSG:3413").expect("on the Earth");
        assert!(close(&pole, &bounds(-180.0, pole.south, 180.0, 90.0), 1e-6), "{pole:?}");
    }

    #[test]
    fn a_box_in_the_crs_of_the_plane_stays_as_it_is() {
        let plane = Plane { crs: "EPSG:3413".into(), world: World::DEGREES };
        let given = bounds(-1e6, -1e6, 1e6, 1e6);
        let extent = Extent::new(given, "epsg:3413").expect("on the Earth");
        assert_eq!(plane.boxes(&extent), Ok(vec![given]));
        assert_ne!(plane.boxes(&Extent::degrees(extent.degrees)), Ok(vec![given]));
    }

    #[test]
    fn nonsense_is_refused() {
        let b = bounds(1.0, 2.0, 3.0, 4.0);
        for (b, crs, word) in [
            (b, "EPSG:999999", "not a known CRS"),
            (b, "", "not a known CRS"),
            (bounds(3.0, 2.0, 1.0, 4.0), "EPSG:32633", "XMIN,YMIN,XMAX,YMAX"),
            (bounds(1.0, 4.0, 3.0, 2.0), "EPSG:4258", "XMIN,YMIN,XMAX,YMAX"),
            (bounds(f64::NAN, 2.0, 3.0, 4.0), "EPSG:4326", "XMIN,YMIN,XMAX,YMAX"),
            (bounds(1e30, 1e30, 2e30, 2e30), "EPSG:32633", "no place on the Earth"),
        ] {
            let error = box_in_degrees(&b, crs).expect_err("refused");
            assert!(matches!(error, Error::Usage(_)) && error.to_string().contains(word), "{error}");
        }
    }

    /// A set of one level in a CRS.
    fn set(crs: &str) -> Result<TileMatrixSet, String> {
        let text = format!(
            r#"{{"id": "mine", "crs": "{crs}", "tileMatrices": [{{"id": "0", "scaleDenominator": 1000000,
                "pointOfOrigin": [1000, 2000], "tileWidth": 256, "tileHeight": 256, "matrixWidth": 8, "matrixHeight": 8}}]}}"#
        );
        settle(&Definition::parse(&text)?, "mine")
    }

    #[test]
    fn corners_are_in_the_order_of_the_authority() {
        let first = |crs: &str| set(crs).map(|s| (s.matrices[0].west, s.matrices[0].north)).expect(crs);
        for crs in ["EPSG:2193", "EPSG:5482", "EPSG:3035", "urn:ogc:def:crs:EPSG::2193", "EPSG:4326"] {
            assert_eq!(first(crs), (2000.0, 1000.0), "{crs}");
        }
        for crs in [
            "EPSG:3978",
            "EPSG:5041",
            "EPSG:5936",
            "EPSG:32631",
            "http://www.opengis.net/def/crs/OGC/1.3/CRS84",
            "http://www.opengis.net/def/crs/EPSG/0/3395",
        ] {
            assert_eq!(first(crs), (1000.0, 2000.0), "{crs}");
        }
    }

    #[test]
    fn planes_that_go_round_the_earth_are_seen() {
        let world = |crs: &str| set(crs).expect(crs).world;
        assert_eq!(world("EPSG:3857"), World::WEB_MERCATOR);
        assert_eq!((world("EPSG:4326"), world("OGC:CRS84")), (World::DEGREES, World::DEGREES));
        let half = crate::grid::WEB_MERCATOR_HALF;
        let mercator = world("EPSG:3395");
        assert!(mercator.round && (mercator.bounds.east - half).abs() < 1e-3, "{mercator:?}");
        assert!(
            !mercator.sphere
                && !Plane::of(&crate::grid::registered("WorldMercatorWGS84Quad").expect("is known"))
                    .is_web_mercator()
        );
        // Mercator around 150° E, and plate carrée.
        let pacific = world("EPSG:3832");
        assert!(pacific.round && (pacific.bounds.west + half).abs() < 1e-3, "{pacific:?}");
        let plate = world("EPSG:32662");
        assert!(plate.round && (plate.bounds.north - half / 2.0).abs() < 1e5, "{plate:?}");
        for crs in ["EPSG:5041", "EPSG:2193", "EPSG:3035", "EPSG:32631", "EPSG:3978"] {
            assert!(!world(crs).round, "{crs}");
        }
    }

    #[test]
    fn grids_of_unknown_or_foreign_crs_are_refused() {
        for (crs, words) in [
            ("EPSG:999999", "a CRS that is not known, 'EPSG:999999'"),
            ("nonsense", "not known"),
            ("EPSG:4978", "no place on a map"),
            ("IAU_2015:30100", ""),
        ] {
            let error = set(crs).expect_err(crs);
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn boxes_in_degrees_are_whole_in_every_plane() {
        let grid = |name: &str| Plane::of(&crate::grid::registered(name).expect("is known"));
        let fiji = bounds(176.0, -20.0, -178.0, -15.0);
        let boxes = grid("WorldCRS84Quad").boxes(&Extent::degrees(fiji)).expect("known");
        assert_eq!(boxes, [bounds(176.0, -20.0, 180.0, -15.0), bounds(-180.0, -20.0, -178.0, -15.0)]);
        assert_eq!(grid("WorldMercatorWGS84Quad").boxes(&Extent::degrees(fiji)).expect("known").len(), 2);
        // Around the pole: a disc, whose edges the square touches.
        let arctic = grid("UPSArcticWGS84Quad")
            .boxes(&Extent::degrees(bounds(-180.0, 80.0, 180.0, 90.0)))
            .expect("known");
        let [b] = arctic[..] else { panic!("{arctic:?}") };
        let reach = 1_112_900.0;
        for edge in [2e6 - b.west, b.east - 2e6, 2e6 - b.south, b.north - 2e6] {
            assert!((reach..reach + 1000.0).contains(&edge), "{b:?}");
        }
        // Less of New Zealand's grid than its matrix has, and nothing where they do not meet.
        let wellington =
            grid("NZTM2000").boxes(&Extent::degrees(bounds(174.0, -42.0, 175.0, -41.0))).expect("known");
        assert!((wellington[0].east - wellington[0].west) < 100_000.0, "{wellington:?}");
        assert!(
            grid("NZTM2000")
                .boxes(&Extent::degrees(bounds(10.0, 40.0, 11.0, 41.0)))
                .expect("known")
                .is_empty()
        );
    }

    #[test]
    fn rectangles_become_boxes_in_degrees_again() {
        let plane = Plane::of(&crate::grid::registered("UPSArcticWGS84Quad").expect("is known"));
        let pole = plane.degrees(&[bounds(1e6, 1e6, 3e6, 3e6)]);
        assert_eq!((pole.west, pole.east, pole.north), (-180.0, 180.0, 90.0));
        assert!((76.0..78.0).contains(&pole.south), "{pole:?}");
        let plane = Plane::of(&crate::grid::registered("WorldCRS84Quad").expect("is known"));
        let both = [bounds(176.0, -20.0, 180.0, -15.0), bounds(-180.0, -20.0, -178.0, -15.0)];
        assert_eq!(plane.degrees(&both), bounds(-180.0, -20.0, 180.0, -15.0));
    }
}
