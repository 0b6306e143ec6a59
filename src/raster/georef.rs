//! Where a raster lies on the ground, and the way between its pixels and the plane that tiles divide.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, Metadata};
use serde::Serialize;

use super::crs::Plane;
use super::environment::LocalSetting;
use super::frame::{Affine, Frame, determinant};
use super::geokeys::Meaning;
use super::raw::Transformer;
use super::{SourceSpec, reason};
use crate::error::Result;
use crate::warp::coords::Position;
use crate::warp::footprint::Way;
use crate::window::Size;

/// How pixels relate to the ground.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// A geotransform: from the file, a world file, or `--a-ullr`.
    Affine,
    /// Ground control points.
    Gcps,
    /// Rational polynomial coefficients.
    Rpc,
    /// Arrays of coordinates.
    Geolocation,
    /// Not at all.
    None,
}

/// What a raster says about its place on the ground.
#[derive(Debug, Clone, Serialize)]
pub struct Georeferencing {
    /// How pixels relate to coordinates.
    pub method: Method,
    /// The coordinate reference system: authority code, else its name.
    pub crs: Option<String>,
    /// The same as well-known text.
    #[serde(skip)]
    pub wkt: Option<String>,
    /// Geotransform in GDAL's order: x origin, x per column, x per row, y origin, y per column, y per row.
    pub geotransform: Option<[f64; 6]>,
}

/// The unit in which a CRS counts heights.
#[derive(Debug, Clone, PartialEq)]
pub struct VerticalUnit {
    /// Its name in the EPSG registry.
    pub name: String,
    /// How many metres it has.
    pub metres: f64,
}

const IDENTITY: [f64; 6] = [0.0, 1.0, 0.0, 0.0, 0.0, 1.0];

impl Georeferencing {
    /// What an open dataset says. The CRS of its geotransform does not have to be asked when it is `known`.
    pub(super) fn of(dataset: &Dataset, known: Option<&Meaning>) -> Self {
        let geotransform = dataset.geo_transform().ok().filter(|g| g != &IDENTITY);
        if let (Some(_), Some(Meaning { crs, wkt, .. })) = (geotransform, known) {
            return Self { method: Method::Affine, crs: crs.clone(), wkt: wkt.clone(), geotransform };
        }
        let mut srs = dataset.spatial_ref().ok();
        let method = if geotransform.is_some() {
            Method::Affine
        } else if !dataset.gcps().is_empty() {
            srs = dataset.gcp_spatial_ref();
            Method::Gcps
        } else if !domain(dataset, "RPC").is_empty() {
            srs = SpatialRef::from_epsg(4326).ok();
            Method::Rpc
        } else if !domain(dataset, "GEOLOCATION").is_empty() {
            srs = dataset
                .metadata_item("SRS", "GEOLOCATION")
                .and_then(|wkt| SpatialRef::from_definition(&wkt).ok())
                .or_else(|| SpatialRef::from_epsg(4326).ok());
            Method::Geolocation
        } else {
            Method::None
        };
        let mut georeferencing = Self { method, crs: None, wkt: None, geotransform };
        georeferencing.set_crs(srs.as_ref());
        georeferencing
    }

    /// A geotransform in a CRS, as well-known text.
    pub(crate) fn affine(wkt: &str, geotransform: [f64; 6]) -> Self {
        let mut georeferencing =
            Self { method: Method::Affine, crs: None, wkt: None, geotransform: Some(geotransform) };
        georeferencing.set_crs(SpatialRef::from_definition(wkt).ok().as_ref());
        georeferencing
    }

    fn set_crs(&mut self, srs: Option<&SpatialRef>) {
        self.wkt = srs.and_then(|s| s.to_wkt().ok()).filter(|w| !w.is_empty());
        self.crs = srs.filter(|_| self.wkt.is_some()).and_then(|s| s.authority().ok().or_else(|| s.name()));
    }

    /// Applies the user's `--src-crs` and `--a-ullr`.
    ///
    /// # Errors
    /// When the CRS cannot be understood.
    pub(super) fn overridden(mut self, spec: &SourceSpec, size: Size) -> Result<Self, String> {
        if let Some([ulx, uly, lrx, lry]) = spec.a_ullr {
            let (w, h) = (size.width as f64, size.height as f64);
            self.geotransform = Some([ulx, (lrx - ulx) / w, 0.0, uly, 0.0, (lry - uly) / h]);
            self.method = Method::Affine;
        }
        if let Some(definition) = &spec.src_crs {
            let srs = SpatialRef::from_definition(definition)
                .map_err(|e| format!("--src-crs '{definition}' is not a known CRS: {}", reason(&e)))?;
            self.set_crs(Some(&srs));
        }
        Ok(self)
    }

    /// Metres in the unit of heights, when the CRS is a compound one.
    pub fn vertical_unit(&self) -> Option<VerticalUnit> {
        let json = SpatialRef::from_wkt(self.wkt.as_deref()?).ok()?.to_projjson().ok()?;
        let crs: serde_json::Value = serde_json::from_str(&json).ok()?;
        let vertical = crs["components"].as_array()?.iter().find(|c| c["type"] == "VerticalCRS")?;
        let unit = &vertical["coordinate_system"]["axis"][0]["unit"];
        if unit == "metre" {
            return Some(VerticalUnit { name: "metre".to_owned(), metres: 1.0 });
        }
        let name = unit["name"].as_str()?.to_owned();
        Some(VerticalUnit { name, metres: unit["conversion_factor"].as_f64()? })
    }

    /// Whether it says enough for a place on the Earth.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    fn check_place(&self) -> Result<(), String> {
        if self.method == Method::None {
            return Err(
                "has no georeferencing; give --a-ullr ULX ULY LRX LRY with --src-crs CRS, or tile its own \
                        pixels with --tiling-scheme raster"
                    .to_owned(),
            );
        }
        if self.wkt.is_none() {
            return Err(
                "has no coordinate reference system; give --src-crs CRS (for instance EPSG:32633), or tile \
                        its own pixels with --tiling-scheme raster"
                    .to_owned(),
            );
        }
        if let Some(g) = self.geotransform
            && determinant(&g).abs() < f64::MIN_POSITIVE
        {
            return Err(format!("its geotransform {g:?} is singular; give --a-ullr"));
        }
        Ok(())
    }

    /// Whether its coordinate reference system is one of the Earth.
    ///
    /// # Errors
    /// Why not, and what to do about it.
    fn check_crs(&self) -> Result<(), String> {
        let wkt = self.wkt.as_deref().unwrap_or_default();
        let srs = SpatialRef::from_wkt(wkt).map_err(|e| reason(&e))?;
        let name = self.crs.as_deref().unwrap_or("unnamed");
        if srs.is_local() || srs.is_geocentric() {
            return Err(format!(
                "its coordinate reference system '{name}' is local and has no place on a map; give --src-crs CRS"
            ));
        }
        // Every ellipsoid used for the Earth has a semi-major axis between 6 356 and 6 379 km.
        let radius = srs.semi_major().map_err(|e| reason(&e))?;
        if !(6.3e6..6.45e6).contains(&radius) {
            return Err(format!(
                "lies on another celestial body ('{name}', radius {:.0} km); web map tiles are of the Earth",
                radius / 1000.0
            ));
        }
        Ok(())
    }
}

fn domain(dataset: &Dataset, name: &str) -> Vec<String> {
    dataset.metadata_domain(name).unwrap_or_default()
}

/// The way between pixels of a raster and the coordinates of the tiles. It stays on the thread that made it.
pub struct Locator {
    transformer: Option<Rc<RefCell<Transformer>>>,
    /// From the raster's pixels to those the transformer was made for, and back; `None` when they are the same.
    shift: Option<[Affine; 2]>,
    round: Option<Round>,
    xs: Vec<f64>,
    ys: Vec<f64>,
}

/// Coordinates that go round the Earth, which PROJ does not touch where a raster has the tiles' own.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// Western and eastern edge of the plane.
    edges: (f64, f64),
    /// Pixels of a turn and columns of the raster, when its columns are meridians.
    columns: Option<(f64, f64)>,
}

impl Round {
    /// `None` where coordinates do not go round, or the transformation does all.
    fn of(plane: &Plane, georef: &Georeferencing, size: Size) -> Option<Self> {
        let turn = plane.world.turn().filter(|_| !plane.is_web_mercator())?;
        let columns = Frame::of(georef, size).filter(Frame::is_geographic).and_then(|frame| {
            let g = frame.geotransform;
            let upright = g[1] != 0.0 && g[2] == 0.0 && g[4] == 0.0;
            // Of the raster's longitudes, whatever the plane's are.
            upright.then(|| ((frame.turn() / g[1]).abs(), size.width as f64))
        });
        let west = plane.world.bounds.west;
        Some(Self { edges: (west, west + turn), columns })
    }

    /// Brings a coordinate to within the edges.
    fn wrap(&self, p: &mut Position) {
        let (west, east) = self.edges;
        let turn = east - west;
        if p.x < west - 1e-9 * turn || p.x > east + 1e-9 * turn {
            p.x -= ((p.x - west) / turn).floor() * turn;
        }
    }

    /// Brings a column to within the raster, if it is there a turn away.
    fn unwrap(&self, p: &mut Position) {
        let Some((turn, width)) = self.columns else { return };
        if p.x < 0.0 && p.x + turn <= width + 0.5 {
            p.x += turn;
        } else if p.x > width && p.x - turn >= -0.5 {
            p.x -= turn;
        }
    }
}

/// The transformations to one plane that one thread has made, for its locators to share.
pub struct Locators {
    plane: Plane,
    shared: Vec<(Arc<Frame>, Rc<RefCell<Transformer>>)>,
}

/// Transformations that are kept at most; a tenth of a megabyte each.
const MOST_SHARED: usize = 64;

impl Locators {
    /// No transformations yet.
    pub fn onto(plane: Plane) -> Self {
        Self { plane, shared: Vec::new() }
    }

    /// The way between the pixels of a raster and the plane. With a `frame` around rasters of the same CRS all of them share
    /// the transformation of the frame.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the raster has no place on the map.
    pub fn locator(
        &mut self,
        spec: &SourceSpec,
        georef: &Georeferencing,
        size: Size,
        frame: Option<&Arc<Frame>>,
    ) -> Result<Locator> {
        self.find(spec, georef, size, frame).map_err(|e| spec.error(e))
    }

    fn find(
        &mut self,
        spec: &SourceSpec,
        georef: &Georeferencing,
        size: Size,
        frame: Option<&Arc<Frame>>,
    ) -> Result<Locator, String> {
        georef.check_place()?;
        let (Some(frame), Some(own)) = (frame, Frame::of(georef, size)) else {
            return Locator::new(spec, georef, size, &self.plane);
        };
        let known = self.shared.iter().find(|(f, _)| Arc::ptr_eq(f, frame)).map(|(_, t)| Rc::clone(t));
        let transformer = if let Some(known) = known {
            known
        } else {
            georef.check_crs()?;
            let made = Rc::new(RefCell::new(transformer(spec, georef, frame.dataset()?, &self.plane)?));
            if self.shared.len() >= MOST_SHARED {
                self.shared.remove(0);
            }
            self.shared.push((Arc::clone(frame), Rc::clone(&made)));
            made
        };
        let shift = [Affine::between(&own, frame), Affine::between(frame, &own)];
        let shift = (own.geotransform != frame.geotransform).then_some(shift);
        let round = Round::of(&self.plane, georef, size);
        Ok(Locator { transformer: Some(transformer), shift, round, xs: Vec::new(), ys: Vec::new() })
    }
}

fn transformer(
    spec: &SourceSpec,
    georef: &Georeferencing,
    dataset: Dataset,
    plane: &Plane,
) -> Result<Transformer, String> {
    let mut options = vec![("DST_SRS", plane.crs())];
    if spec.src_crs.is_some() {
        options.push(("SRC_SRS", georef.wkt.as_deref().unwrap_or_default()));
    }
    Transformer::new(dataset, &options).map_err(|e| format!("cannot be transformed to {}: {e}", plane.name()))
}

/// The transformation from the pixels of a raster to coordinates of any CRS.
fn onto(
    spec: &SourceSpec,
    georef: &Georeferencing,
    size: Size,
    definition: &str,
) -> Result<Transformer, String> {
    let dataset = match Frame::of(georef, size) {
        Some(frame) => frame.dataset()?,
        None => spec.open_dataset(None)?,
    };
    let mut options = vec![("DST_SRS", definition)];
    if spec.src_crs.is_some() {
        options.push(("SRC_SRS", georef.wkt.as_deref().unwrap_or_default()));
    }
    Transformer::new(dataset, &options)
        .map_err(|e| format!("cannot be transformed to the coordinate reference system asked for: {e}"))
}

/// The grid in a CRS that keeps the resolution of a raster and holds all of it, as `gdalwarp` chooses it: its geotransform and size.
/// `checked` takes positions that do not lead back to where they came from for none.
///
/// # Errors
/// GDAL's reason.
pub(crate) fn suggested(
    spec: &SourceSpec,
    georef: &Georeferencing,
    size: Size,
    definition: &str,
    checked: bool,
) -> Result<([f64; 6], Size), String> {
    let _setting = checked.then(LocalSetting::checked_both_ways);
    let (geotransform, (columns, rows)) = onto(spec, georef, size, definition)?
        .suggested()
        .map_err(|e| format!("has no place in the coordinate reference system asked for: {e}"))?;
    Ok((geotransform, Size::new(columns, rows)))
}

impl Locator {
    /// Builds the transformation for a raster.
    ///
    /// # Errors
    /// Why the raster has no place on the map, or why GDAL cannot transform to it.
    pub(super) fn new(
        spec: &SourceSpec,
        georef: &Georeferencing,
        size: Size,
        plane: &Plane,
    ) -> Result<Self, String> {
        georef.check_place()?;
        georef.check_crs()?;
        let dataset = match Frame::of(georef, size) {
            Some(frame) => frame.dataset()?,
            None => spec.open_dataset(None)?,
        };
        let transformer = Rc::new(RefCell::new(transformer(spec, georef, dataset, plane)?));
        let round = Round::of(plane, georef, size);
        Ok(Self { transformer: Some(transformer), shift: None, round, xs: Vec::new(), ys: Vec::new() })
    }

    /// The way between the pixels of a raster and coordinates of any CRS, by its definition.
    ///
    /// # Errors
    /// GDAL's reason.
    pub(crate) fn in_crs(
        spec: &SourceSpec,
        georef: &Georeferencing,
        size: Size,
        definition: &str,
    ) -> Result<Self, String> {
        let transformer = onto(spec, georef, size, definition)?;
        Ok(Self {
            transformer: Some(Rc::new(RefCell::new(transformer))),
            shift: None,
            round: None,
            xs: Vec::new(),
            ys: Vec::new(),
        })
    }

    /// The way between pixels and the pixels of an image's own pyramid, where rows count downwards from zero.
    pub fn pixels() -> Self {
        Self { transformer: None, shift: None, round: None, xs: Vec::new(), ys: Vec::new() }
    }

    /// Coordinates of pixel positions, in place; points off the map become [`Position::NONE`].
    pub fn to_coordinates(&mut self, points: &mut [Position]) {
        self.transform(false, points);
        if let Some(round) = self.round {
            for p in points {
                round.wrap(p);
            }
        }
    }

    /// Pixel positions of coordinates, in place; points without counterpart become [`Position::NONE`].
    pub fn to_pixels(&mut self, points: &mut [Position]) {
        self.transform(true, points);
        if let Some(round) = self.round {
            for p in points {
                round.unwrap(p);
            }
        }
    }

    fn transform(&mut self, to_source: bool, points: &mut [Position]) {
        let Some(transformer) = &self.transformer else {
            for p in points {
                p.y = -p.y;
            }
            return;
        };
        if let (false, Some([to_frame, _])) = (to_source, &self.shift) {
            for p in points.iter_mut() {
                *p = to_frame.apply(*p);
            }
        }
        self.xs.clear();
        self.ys.clear();
        self.xs.extend(points.iter().map(|p| p.x));
        self.ys.extend(points.iter().map(|p| p.y));
        transformer.borrow_mut().transform(to_source, &mut self.xs, &mut self.ys);
        for (point, (&x, &y)) in points.iter_mut().zip(self.xs.iter().zip(&self.ys)) {
            *point = Position { x, y };
        }
        if let (true, Some([_, from_frame])) = (to_source, &self.shift) {
            for p in points {
                *p = from_frame.apply(*p);
            }
        }
    }
}

impl Way for Locator {
    fn to_map(&mut self, points: &mut [Position]) {
        self.to_coordinates(points);
    }

    fn to_pixels(&mut self, points: &mut [Position]) {
        Self::to_pixels(self, points);
    }
}
