//! Where a raster lies on the ground, and the way between its pixels and Web Mercator.

use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, DriverManager, Metadata};
use serde::Serialize;

use super::raw::Transformer;
use super::{SourceSpec, reason};
use crate::warp::coords::Position;
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
    /// What an open dataset says.
    pub(super) fn of(dataset: &Dataset) -> Self {
        let geotransform = dataset.geo_transform().ok().filter(|g| g != &IDENTITY);
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

    /// Whether tiles of the Earth can be made from it.
    ///
    /// # Errors
    /// Why not, and what to do about it.
    pub fn check_terrestrial(&self) -> Result<(), String> {
        if self.method == Method::None {
            return Err(
                "has no georeferencing; give --a-ullr ULX ULY LRX LRY with --src-crs CRS, or tile its own \
                        pixels with --tiling-scheme raster"
                    .to_owned(),
            );
        }
        let Some(wkt) = &self.wkt else {
            return Err(
                "has no coordinate reference system; give --src-crs CRS (for instance EPSG:32633), or tile \
                        its own pixels with --tiling-scheme raster"
                    .to_owned(),
            );
        };
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
        if let Some(g) = self.geotransform
            && (g[1] * g[5] - g[2] * g[4]).abs() < f64::MIN_POSITIVE
        {
            return Err(format!("its geotransform {g:?} is singular; give --a-ullr"));
        }
        Ok(())
    }
}

fn domain(dataset: &Dataset, name: &str) -> Vec<String> {
    dataset.metadata_domain(name).unwrap_or_default()
}

/// The way between pixels of a raster and the coordinates of the tiles: Web Mercator metres. It holds a dataset of its own and stays on the thread
/// that made it.
pub struct Locator {
    transformer: Option<Transformer>,
    xs: Vec<f64>,
    ys: Vec<f64>,
}

impl Locator {
    /// Builds the transformation for a raster.
    ///
    /// # Errors
    /// Why the raster has no place on the map, or why GDAL cannot transform to it.
    pub(super) fn new(spec: &SourceSpec, georef: &Georeferencing, size: Size) -> Result<Self, String> {
        georef.check_terrestrial()?;
        let wkt = georef.wkt.as_deref().unwrap_or_default();
        let dataset = match georef.geotransform {
            Some(geotransform) if georef.method == Method::Affine => frame(size, &geotransform, wkt)?,
            _ => spec.open_dataset(None)?,
        };
        let mut options = vec![("DST_SRS", "EPSG:3857")];
        if spec.src_crs.is_some() {
            options.push(("SRC_SRS", wkt));
        }
        let transformer = Transformer::new(dataset, &options)
            .map_err(|e| format!("cannot be transformed to Web Mercator: {e}"))?;
        Ok(Self { transformer: Some(transformer), xs: Vec::new(), ys: Vec::new() })
    }

    /// The way between pixels and the pixels of an image's own pyramid, where rows count downwards from zero.
    pub fn pixels() -> Self {
        Self { transformer: None, xs: Vec::new(), ys: Vec::new() }
    }

    /// Coordinates of pixel positions, in place; points off the map become [`Position::NONE`].
    pub fn to_coordinates(&mut self, points: &mut [Position]) {
        self.transform(false, points);
    }

    /// Pixel positions of coordinates, in place; points without counterpart become [`Position::NONE`].
    pub fn to_pixels(&mut self, points: &mut [Position]) {
        self.transform(true, points);
    }

    fn transform(&mut self, to_source: bool, points: &mut [Position]) {
        let Some(transformer) = &mut self.transformer else {
            for p in points {
                p.y = -p.y;
            }
            return;
        };
        self.xs.clear();
        self.ys.clear();
        self.xs.extend(points.iter().map(|p| p.x));
        self.ys.extend(points.iter().map(|p| p.y));
        transformer.transform(to_source, &mut self.xs, &mut self.ys);
        for (point, (&x, &y)) in points.iter_mut().zip(self.xs.iter().zip(&self.ys)) {
            *point = Position { x, y };
        }
    }
}

/// A dataset without pixels that has only a size and a place.
fn frame(size: Size, geotransform: &[f64; 6], wkt: &str) -> Result<Dataset, String> {
    let make = || -> gdal::errors::Result<Dataset> {
        let driver = DriverManager::get_driver_by_name("MEM")?;
        let mut dataset = driver.create_with_band_type::<u8, _>("", size.width, size.height, 0)?;
        dataset.set_geo_transform(geotransform)?;
        dataset.set_projection(wkt)?;
        Ok(dataset)
    };
    make().map_err(|e| reason(&e))
}
