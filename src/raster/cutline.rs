//! Cutlines: polygons of a vector file, carried over to where tiles are made.
//!
//! Polygons leave this module as plain numbers. A straight edge in the CRS of the file is a curve in another one: edges are
//! halved until the halves are straight to within a tolerance.

use std::path::PathBuf;

use gdal::spatial_ref::{CoordTransform, SpatialRef};
use gdal::vector::{Geometry, LayerAccess};
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};

use super::crs::Plane;
use super::frame::{Frame, determinant};
use super::georef::Method;
use super::{Georeferencing, Locator, SourceSpec, crs, raw, reason};
use crate::error::{Error, Result};
use crate::grid::{World, mercator};
use crate::warp::coords::Position;
use crate::window::Size;

/// A polygon: rings of positions, each closed by its first position. What lies within an odd number of rings is inside.
pub type Polygon = Vec<Vec<Position>>;

/// Which polygons to cut to, and where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutlineSpec {
    /// A path of a vector file, or whatever else GDAL opens as one.
    pub path: PathBuf,
    /// The layer; default the first.
    pub layer: Option<String>,
    /// A condition that features must meet, as in the WHERE of SQL; default none.
    pub filter: Option<String>,
    /// The CRS to assume instead of the layer's.
    pub crs: Option<String>,
}

/// The polygons of a cutline in its own CRS.
pub(crate) struct Cutline {
    spec: CutlineSpec,
    srs: SpatialRef,
    polygons: Vec<Polygon>,
    /// The layer that was taken in the user's place, as an option.
    pub(crate) guess: Option<String>,
}

impl CutlineSpec {
    /// The polygons of a file, in the layer with its own CRS.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), layer: None, filter: None, crs: None }
    }

    fn error(&self, reason: impl Into<String>) -> Error {
        Error::input(&self.path, reason)
    }

    /// Reads the polygons and checks that they can be cut to.
    ///
    /// # Errors
    /// [`Error::Input`] when the file cannot be read, when a geometry is not a valid polygon, when nothing is left to cut to or
    /// no CRS is known.
    pub(crate) fn read(&self) -> Result<Cutline> {
        self.read_layer().map_err(|e| self.error(e))
    }

    fn read_layer(&self) -> Result<Cutline, String> {
        let flags = GdalOpenFlags::GDAL_OF_VECTOR | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR;
        let options = DatasetOptions { open_flags: flags, ..DatasetOptions::default() };
        let dataset = Dataset::open_ex(&self.path, options)
            .map_err(|e| format!("is no cutline that can be read: {}", reason(&e)))?;
        let names: Vec<String> = dataset.layers().map(|layer| layer.name()).collect();
        let number = match &self.layer {
            Some(name) => names.iter().position(|n| n == name).ok_or_else(|| {
                format!("has no layer '{name}' (--cutline-layer); its layers are {}", names.join(", "))
            })?,
            None => 0,
        };
        let first = names.get(number).ok_or("has no layers to cut to")?;
        let guess = (self.layer.is_none() && names.len() > 1).then(|| {
            let path = self.path.display();
            format!("{path}: the first of {} layers is the cutline (--cutline-layer '{first}')", names.len())
        });
        let mut layer = dataset.layer(number).map_err(|e| reason(&e))?;
        if let Some(filter) = &self.filter {
            let (set, heard) = raw::listen(|| layer.set_attribute_filter(filter));
            if let Err(e) = set {
                let why = heard.iter().find_map(raw::Message::failure).unwrap_or_else(|| reason(&e));
                return Err(format!("cannot be filtered by --cutline-where '{filter}': {why}"));
            }
        }
        let srs = self.crs_of(layer.spatial_ref())?;
        let mut polygons = Vec::new();
        let mut features = 0;
        for feature in layer.features() {
            features += 1;
            let Some(geometry) = feature.geometry() else { continue };
            let name = feature.fid().map_or_else(|| format!("number {features}"), |id| id.to_string());
            collect(geometry, &mut polygons).map_err(|e| format!("feature {name} {e}"))?;
        }
        match (polygons.is_empty(), features, &self.filter) {
            (false, ..) => Ok(Cutline { spec: self.clone(), srs, polygons, guess }),
            (_, 0, Some(filter)) => Err(format!("holds no feature with --cutline-where '{filter}'")),
            (_, 0, None) => Err("holds no features, so nothing to cut to".to_owned()),
            _ => Err("holds only empty polygons, so nothing to cut to".to_owned()),
        }
    }

    fn crs_of(&self, declared: Option<SpatialRef>) -> Result<SpatialRef, String> {
        if let Some(definition) = &self.crs {
            return crs::known(definition)
                .map_err(|e| format!("--cutline-srs '{definition}' is not a known CRS: {e}"));
        }
        let wkt = declared.and_then(|srs| srs.to_wkt().ok()).filter(|wkt| !wkt.is_empty());
        let wkt = wkt.ok_or(
            "the cutline declares no coordinate reference system; give --cutline-srs CRS (gdalwarp would take its coordinates for \
             those of the result)",
        )?;
        crs::known(&wkt)
    }
}

/// Adds the polygons of a geometry.
fn collect(geometry: &Geometry, polygons: &mut Vec<Polygon>) -> Result<(), String> {
    // A feature without a geometry has a null pointer for one, which GDAL complains about.
    let (name, _) = raw::listen(|| geometry.geometry_name());
    match name.as_str() {
        "" => Ok(()),
        _ if geometry.is_empty() => Ok(()),
        "POLYGON" => {
            check(geometry)?;
            let ring = |k: usize| -> Vec<Position> {
                let mut points = Vec::new();
                geometry.get_geometry(k).get_points(&mut points);
                points.into_iter().map(|(x, y, _)| Position { x, y }).collect()
            };
            let rings: Polygon = (0..geometry.geometry_count()).map(ring).filter(|r| r.len() > 3).collect();
            if rings.iter().flatten().any(|p| !p.is_some()) {
                return Err("has coordinates that are not numbers".to_owned());
            }
            polygons.extend((!rings.is_empty()).then_some(rings));
            Ok(())
        }
        "MULTIPOLYGON" | "GEOMETRYCOLLECTION" => {
            (0..geometry.geometry_count()).try_for_each(|k| collect(&geometry.get_geometry(k), polygons))
        }
        // Arcs become chords.
        "CURVEPOLYGON" | "MULTISURFACE" => {
            let plain = geometry
                .buffer(0.0, 8)
                .map_err(|e| format!("cannot be made of straight edges: {}", reason(&e)))?;
            collect(&plain, polygons)
        }
        _ => Err(format!(
            "is a {name}, and a cutline is made of polygons; choose them with --cutline-layer or --cutline-where"
        )),
    }
}

/// Refuses a polygon whose inside nobody can tell.
fn check(polygon: &Geometry) -> Result<(), String> {
    let (valid, heard) = raw::listen(|| polygon.is_valid());
    let said = heard.iter().map(raw::Message::line).next().unwrap_or_default();
    // A GDAL built without GEOS can check nothing.
    if valid || said.contains("GEOS support not enabled") {
        return Ok(());
    }
    let why = if said.is_empty() { String::new() } else { format!(": {said}") };
    Err(format!("is not a valid polygon{why}; repair it first, for instance with ogr2ogr -makevalid"))
}

/// What a cutline is carried over to.
pub(crate) enum Onto<'a> {
    /// The plane that tiles divide.
    Plane(&'a Plane),
    /// The pixels of a raster: x to the right of its left edge, y below its upper edge and negative.
    Pixels(&'a SourceSpec, &'a Georeferencing, Size),
}

/// Points that edges are cut into at most, of all polygons together.
const MOST_POINTS: usize = 1 << 24;

/// Edges that are longer than so many tolerances are looked at in four parts at least.
const FAR: f64 = 1000.0;

/// How often an edge is halved at most.
const MOST_HALVINGS: usize = 40;

impl Cutline {
    /// The polygons, their edges straight to within `tolerance` units there. Longitudes are counted on across the antimeridian, so
    /// that polygons may reach beyond the edges of the plane, and come twice then.
    ///
    /// # Errors
    /// [`Error::Input`] when a polygon has no counterpart.
    pub(crate) fn carried(&self, onto: &Onto<'_>, tolerance: f64) -> Result<Vec<Polygon>> {
        let mut carrier = Carrier::new(&self.srs, onto).map_err(|e| self.spec.error(e))?;
        let mut all = Vec::new();
        let mut points = 0;
        for polygon in &self.polygons {
            let mut rings = Vec::new();
            for ring in polygon {
                let ring = carrier.carry_ring(ring, tolerance).map_err(|e| self.spec.error(e))?;
                points += ring.len();
                rings.push(ring);
            }
            if points > MOST_POINTS {
                return Err(self.spec.error(too_many()));
            }
            match (carrier.world, carrier.period) {
                (Some(world), Some(_)) => all.extend(unrolled(rings, &world)),
                _ => all.push(rings),
            }
        }
        Ok(all)
    }
}

/// The way from the CRS of a cutline.
struct Carrier {
    transform: Option<CoordTransform>,
    then: Then,
    /// What eastings are counted modulo.
    period: Option<f64>,
    /// The plane that stands for the Earth, where that is what is carried to.
    world: Option<World>,
}

/// What follows the transformation.
enum Then {
    /// Nothing.
    Stay,
    /// Degrees become Web Mercator metres.
    Mercator,
    /// Degrees become eastings and northings of another cylinder, which has no poles either.
    Cylinder(CoordTransform),
    /// And these the pixels of a raster.
    Pixels(Box<Locator>),
    /// Coordinates of a geotransform become pixels.
    Affine([f64; 6]),
}

impl Carrier {
    fn new(srs: &SpatialRef, onto: &Onto<'_>) -> Result<Self, String> {
        let degrees =
            || crs::to_degrees(srs).map_err(|e| format!("has no way to longitude and latitude: {e}"));
        Ok(match onto {
            Onto::Plane(plane) => {
                let (period, world) = (plane.world.turn(), Some(plane.world));
                if plane.is_web_mercator() {
                    return Ok(Self { transform: degrees()?, then: Then::Mercator, period, world });
                }
                let own = plane.srs()?;
                let way = |from: &SpatialRef| {
                    CoordTransform::new(from, &own)
                        .map_err(|e| format!("has no way to {}: {}", plane.name(), reason(&e)))
                };
                if own.is_geographic() || !plane.world.round {
                    let transform = (*srs != own).then(|| way(srs)).transpose()?;
                    return Ok(Self { transform, then: Then::Stay, period, world });
                }
                let then = Then::Cylinder(way(&crs::known("EPSG:4326")?)?);
                Self { transform: degrees()?, then, period, world }
            }
            Onto::Pixels(spec, georef, size) => match (Frame::of(georef, *size), georef.wkt.as_deref()) {
                (Some(frame), Some(wkt)) if determinant(&frame.geotransform) != 0.0 => {
                    let raster = crs::known(wkt)?;
                    let transform = (*srs != raster).then(|| CoordTransform::new(srs, &raster)).transpose();
                    let transform =
                        transform.map_err(|e| format!("has no way to the raster: {}", reason(&e)))?;
                    Self { transform, then: Then::Affine(frame.geotransform), period: None, world: None }
                }
                (_, Some(_)) if georef.method != Method::None => {
                    let locator = Locator::new(spec, georef, *size, &Plane::web_mercator())?;
                    let then = Then::Pixels(Box::new(locator));
                    Self { transform: degrees()?, then, period: None, world: None }
                }
                _ => {
                    return Err(format!(
                        "cannot be laid over {}, which has no place on the Earth; give --src-crs and --a-ullr",
                        spec.path.display()
                    ));
                }
            },
        })
    }

    /// Carries points over, in place; those without counterpart become [`Position::NONE`].
    fn carry(&mut self, points: &mut [Position]) {
        if let Some(transform) = &self.transform {
            crs::carry(transform, points);
        }
        match &mut self.then {
            Then::Affine(g) => {
                let scale = 1.0 / determinant(g);
                for p in points.iter_mut() {
                    let (x, y) = (p.x - g[0], p.y - g[3]);
                    *p = Position { x: (x * g[5] - y * g[2]) * scale, y: -(y * g[1] - x * g[4]) * scale };
                }
            }
            Then::Stay => {}
            Then::Mercator => to_mercator(points),
            Then::Cylinder(transform) => {
                for p in points.iter_mut() {
                    p.y = p.y.clamp(-POLE, POLE);
                }
                crs::carry(transform, points);
            }
            Then::Pixels(locator) => {
                to_mercator(points);
                locator.to_pixels(points);
                for p in points.iter_mut() {
                    p.y = -p.y;
                }
            }
        }
    }

    /// The way from one position to the next, the shorter one where eastings go around.
    fn step(&self, from: Position, to: Position) -> (f64, f64) {
        let x = to.x - from.x;
        (self.period.map_or(x, |period| x - (x / period).round() * period), to.y - from.y)
    }

    /// A ring with its edges halved until all are straight.
    fn carry_ring(&mut self, ring: &[Position], tolerance: f64) -> Result<Vec<Position>, String> {
        let mut edges = self.quartered(ring, FAR * tolerance);
        let lost = || "holds a polygon that reaches to where the tiles' CRS has no place".to_owned();
        for _ in 0..MOST_HALVINGS {
            let open: Vec<usize> = (0..edges.len() - 1).filter(|&k| edges[k].bent).collect();
            if open.is_empty() {
                break;
            }
            if edges.len() > MOST_POINTS {
                return Err(too_many());
            }
            let between = |a: Position, b: Position| Position {
                x: f64::midpoint(a.x, b.x),
                y: f64::midpoint(a.y, b.y),
            };
            let own: Vec<Position> = open.iter().map(|&k| between(edges[k].own, edges[k + 1].own)).collect();
            let mut there = own.clone();
            self.carry(&mut there);
            let mut halves = open.iter().zip(own.into_iter().zip(there)).peekable();
            let mut next = Vec::with_capacity(edges.len() + open.len());
            for (k, edge) in edges.iter().enumerate() {
                next.push(*edge);
                let Some((_, (own, there))) = halves.next_if(|(open, _)| **open == k) else { continue };
                let (from, to) = (edge.there, edges[k + 1].there);
                if !there.is_some() {
                    return Err(lost());
                }
                let ((wx, wy), (mx, my)) = (self.step(from, to), self.step(from, there));
                let mut off = (mx - wx / 2.0, my - wy / 2.0);
                off.0 = self.step(Position { x: 0.0, y: 0.0 }, Position { x: off.0, y: 0.0 }).0;
                if off.0.abs() > tolerance || off.1.abs() > tolerance {
                    next.push(Vertex { own, there, bent: true });
                } else if let Some(edge) = next.last_mut() {
                    edge.bent = false;
                }
            }
            edges = next;
        }
        if edges.iter().any(|v| !v.there.is_some()) {
            return Err(lost());
        }
        Ok(edges.into_iter().map(|v| v.there).collect())
    }

    /// The positions of a ring, and three between those that lie `far` apart: an edge that bends both ways may have its middle in
    /// place.
    fn quartered(&mut self, ring: &[Position], far: f64) -> Vec<Vertex> {
        let mut own = ring.to_vec();
        let mut there = own.clone();
        self.carry(&mut there);
        let is_far = |pair: &[Position]| {
            let (x, y) = (pair[1].x - pair[0].x, pair[1].y - pair[0].y);
            // Not by the shorter way around, for that may be the wrong one.
            !(x.abs() < far && y.abs() < far)
        };
        if there.windows(2).any(is_far) {
            let all = own.windows(2).zip(there.windows(2)).flat_map(|(pair, there)| {
                let at = |t: f64| Position {
                    x: pair[0].x + (pair[1].x - pair[0].x) * t,
                    y: pair[0].y + (pair[1].y - pair[0].y) * t,
                };
                let count = if is_far(there) { 4 } else { 1 };
                [pair[0], at(0.25), at(0.5), at(0.75)].into_iter().take(count)
            });
            own = all.chain(ring.last().copied()).collect();
            there.clone_from(&own);
            self.carry(&mut there);
        }
        own.into_iter().zip(there).map(|(own, there)| Vertex { own, there, bent: true }).collect()
    }
}

fn too_many() -> String {
    format!("has too many edges at this zoom level: more than {MOST_POINTS} points; simplify it first")
}

/// A position of a ring in the CRS of the file and where it is carried to.
#[derive(Debug, Clone, Copy)]
struct Vertex {
    own: Position,
    there: Position,
    /// Whether the edge to the next one may not be straight there.
    bent: bool,
}

/// The latitude that is as good as a pole where poles are infinitely far.
const POLE: f64 = 89.9;

fn to_mercator(points: &mut [Position]) {
    for p in points.iter_mut().filter(|p| p.is_some()) {
        (p.x, p.y) = mercator(p.x, p.y);
    }
}

/// A polygon with eastings that go on across the antimeridian, once for each time that it touches the world.
fn unrolled(mut rings: Polygon, world: &World) -> Vec<Polygon> {
    let (west, east) = (world.bounds.west, world.bounds.east);
    let period = east - west;
    let range = |ring: &[Position]| {
        ring.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), p| (low.min(p.x), high.max(p.x)))
    };
    for ring in &mut rings {
        let mut turns = 0.0;
        for k in 1..ring.len() {
            let step = ring[k].x + turns - ring[k - 1].x;
            turns -= (step / period).round() * period;
            ring[k].x += turns;
        }
        close_at_pole(ring, world);
    }
    // Holes lie in their polygon, not a turn away from it.
    let Some(outer) = rings.first().map(|r| range(r)) else { return Vec::new() };
    let middle = |(low, high): (f64, f64)| f64::midpoint(low, high);
    for ring in rings.iter_mut().skip(1) {
        let turns = ((middle(outer) - middle(range(ring))) / period).round() * period;
        for p in ring.iter_mut() {
            p.x += turns;
        }
    }
    let touching = |k: &i32| {
        let by = f64::from(*k) * period;
        outer.0 + by < east && outer.1 + by > west
    };
    let moved = |k: i32| -> Polygon {
        let by = f64::from(k) * period;
        rings.iter().map(|r| r.iter().map(|p| Position { x: p.x + by, y: p.y }).collect()).collect()
    };
    (-2..=2).filter(touching).map(moved).collect()
}

/// Leads a ring that goes once around the Earth to the pole on its side and back, so that it is closed.
fn close_at_pole(ring: &mut Vec<Position>, world: &World) {
    let (Some(first), Some(last)) = (ring.first().copied(), ring.last().copied()) else { return };
    let b = &world.bounds;
    if (last.x - first.x).abs() > (b.east - b.west) / 2.0 {
        let north = ring.iter().map(|p| p.y).sum::<f64>() > 0.0;
        let y = if north { b.north } else { b.south };
        ring.extend([Position { x: last.x, y }, Position { x: first.x, y }, first]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::WEB_MERCATOR_HALF;

    const TURN: f64 = 2.0 * WEB_MERCATOR_HALF;

    fn spec(text: &str) -> CutlineSpec {
        CutlineSpec::new(text)
    }

    /// A file in memory with one polygon or whatever the text describes, in degrees.
    fn geojson(geometry: &str) -> String {
        format!(
            r#"{{"type":"FeatureCollection","features":[{{"type":"Feature","properties":{{"kind":"a"}},"geometry":{geometry}}}]}}"#
        )
    }

    fn polygon(points: &[(f64, f64)]) -> String {
        let ring: Vec<String> = points.iter().map(|(x, y)| format!("[{x},{y}]")).collect();
        format!(r#"{{"type":"Polygon","coordinates":[[{}]]}}"#, ring.join(","))
    }

    fn rectangle(west: f64, south: f64, east: f64, north: f64) -> String {
        polygon(&[(west, south), (east, south), (east, north), (west, north), (west, south)])
    }

    fn range(polygon: &Polygon) -> (f64, f64) {
        let xs = polygon[0].iter().map(|p| p.x);
        (xs.clone().fold(f64::INFINITY, f64::min), xs.fold(f64::NEG_INFINITY, f64::max))
    }

    #[test]
    fn edges_follow_the_curves_that_they_are_on_the_map() {
        let mut spec = spec(&geojson(&rectangle(200_000.0, 5_000_000.0, 800_000.0, 5_600_000.0)));
        spec.crs = Some("EPSG:32633".to_owned());
        let cutline = spec.read().expect("is a polygon");
        let tolerance = 0.5;
        let carried = cutline.carried(&Onto::Plane(&Plane::web_mercator()), tolerance).expect("on the map");
        assert_eq!(carried.len(), 1);
        let ring = &carried[0][0];
        assert!(ring.len() > 40, "{}", ring.len());
        // Points of the northern edge lie on the polygon's edges there.
        let mut carrier =
            Carrier::new(&cutline.srs, &Onto::Plane(&Plane::web_mercator())).expect("on the map");
        let mut points: Vec<Position> =
            (0..1000).map(|k| Position { x: 200_000.0 + 600.0 * f64::from(k), y: 5_600_000.0 }).collect();
        carrier.carry(&mut points);
        for p in points {
            let off = |pair: &[Position]| {
                let (dx, dy) = (pair[1].x - pair[0].x, pair[1].y - pair[0].y);
                let t =
                    (((p.x - pair[0].x) * dx + (p.y - pair[0].y) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
                (p.x - pair[0].x - t * dx).hypot(p.y - pair[0].y - t * dy)
            };
            let nearest = ring.windows(2).map(off).fold(f64::INFINITY, f64::min);
            assert!(nearest < 2.0 * tolerance, "{nearest}");
        }
    }

    #[test]
    fn polygons_across_the_antimeridian_come_on_both_sides() {
        for (west, east) in [(170.0, 190.0), (-190.0, -170.0)] {
            let cutline = spec(&geojson(&rectangle(west, -10.0, east, 10.0))).read().expect("is a polygon");
            let carried = cutline.carried(&Onto::Plane(&Plane::web_mercator()), 10.0).expect("on the map");
            let mut ranges: Vec<(f64, f64)> = carried.iter().map(range).collect();
            ranges.sort_by(|a, b| a.0.total_cmp(&b.0));
            let degrees: Vec<_> = ranges
                .iter()
                .map(|(a, b)| ((a / TURN * 360.0).round(), (b / TURN * 360.0).round()))
                .collect();
            assert_eq!(degrees, [(-190.0, -170.0), (170.0, 190.0)]);
        }
    }

    #[test]
    fn the_whole_world_stays_whole() {
        let cutline = spec(&geojson(&rectangle(-180.0, -90.0, 180.0, 90.0))).read().expect("is a polygon");
        let carried = cutline.carried(&Onto::Plane(&Plane::web_mercator()), 10.0).expect("on the map");
        assert_eq!(carried.len(), 1);
        let (west, east) = range(&carried[0]);
        assert!((west + TURN / 2.0).abs() < 1.0 && (east - TURN / 2.0).abs() < 1.0);
    }

    #[test]
    fn a_ring_around_the_pole_holds_the_pole() {
        let ring: Vec<(f64, f64)> = (0..=72)
            .map(|k| (f64::from(k % 72) * 5.0).to_radians().sin_cos())
            .map(|(s, c)| (2e6 * c, 2e6 * s))
            .collect();
        let mut spec = spec(&geojson(&polygon(&ring)));
        spec.crs = Some("EPSG:3413".to_owned());
        let carried = spec
            .read()
            .expect("is a polygon")
            .carried(&Onto::Plane(&Plane::web_mercator()), 100.0)
            .expect("on the map");
        let north = carried.iter().flatten().flatten().map(|p| p.y).fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(north, WEB_MERCATOR_HALF);
        let covered: f64 = carried
            .iter()
            .map(range)
            .map(|(a, b)| b.min(WEB_MERCATOR_HALF) - a.max(-WEB_MERCATOR_HALF))
            .sum();
        assert!((covered - TURN).abs() < 1.0, "{covered}");
    }

    #[test]
    fn what_is_no_polygon_to_cut_to_is_refused_with_the_reason() {
        let bow = polygon(&[(0.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0), (0.0, 0.0)]);
        for (geometry, word) in [
            (r#"{"type":"LineString","coordinates":[[0,0],[1,1]]}"#, "is a LINESTRING"),
            (r#"{"type":"Point","coordinates":[0,0]}"#, "is a POINT"),
            (r#"{"type":"Polygon","coordinates":[]}"#, "only empty polygons"),
            ("null", "only empty polygons"),
            (&bow, "ogr2ogr -makevalid"),
        ] {
            let error = spec(&geojson(geometry)).read().err().expect("refused");
            assert!(matches!(error, Error::Input { .. }) && error.to_string().contains(word), "{error}");
        }
        let mut named = spec(&geojson(&rectangle(0.0, 0.0, 1.0, 1.0)));
        named.layer = Some("lakes".to_owned());
        let error = named.read().err().expect("refused").to_string();
        assert!(error.contains("no layer 'lakes'"), "{error}");
        named.layer = None;
        for (filter, word) in [
            ("kind = 'b'", "holds no feature with"),
            ("kind = = 3", "cannot be filtered"),
            ("size > 3", "cannot be filtered"),
        ] {
            named.filter = Some(filter.to_owned());
            let error = named.read().err().expect("refused").to_string();
            assert!(error.contains(word), "{error}");
        }
        named.filter = Some("kind = 'a'".to_owned());
        assert!(named.read().is_ok());
        named.crs = Some("EPSG:999999".to_owned());
        assert!(named.read().err().expect("refused").to_string().contains("--cutline-srs"));
    }
}
