//! Footprints: the boxes around features of a vector file, in pixels of a grid.

use gdal::spatial_ref::CoordTransform;
use gdal::vector::{Geometry, LayerAccess};
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};

use super::cutline::CutlineSpec;
use super::frame::determinant;
use super::{crs, raw, reason};
use crate::error::{Error, Result};
use crate::warp::coords::Position;

/// Parts that each edge is cut into before it is carried over, as it may be curved there.
const PARTS: usize = 8;

/// What was read.
pub(crate) struct Footprints {
    /// Least column and row, greatest column and row of each feature, in their order.
    pub boxes: Vec<[f64; 4]>,
    /// The layer that was taken in the user's place, as an option.
    pub guess: Option<String>,
}

/// Reads the features of a file and carries them to the pixels of a grid, given by its geotransform and its CRS.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read, holds no features, or lies in no known CRS.
pub(crate) fn read(spec: &CutlineSpec, geotransform: &[f64; 6], wkt: Option<&str>) -> Result<Footprints> {
    read_layer(spec, geotransform, wkt).map_err(|e| Error::input(&spec.path, e))
}

fn read_layer(spec: &CutlineSpec, g: &[f64; 6], wkt: Option<&str>) -> Result<Footprints, String> {
    let flags = GdalOpenFlags::GDAL_OF_VECTOR | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR;
    let options = DatasetOptions { open_flags: flags, ..DatasetOptions::default() };
    let dataset = Dataset::open_ex(&spec.path, options)
        .map_err(|e| format!("is no vector file that can be read: {}", reason(&e)))?;
    let names: Vec<String> = dataset.layers().map(|layer| layer.name()).collect();
    let number = match &spec.layer {
        Some(name) => names.iter().position(|n| n == name).ok_or_else(|| {
            format!("has no layer '{name}' (--footprints-layer); its layers are {}", names.join(", "))
        })?,
        None => 0,
    };
    let first = names.get(number).ok_or("has no layers")?;
    let guess = (spec.layer.is_none() && names.len() > 1).then(|| {
        let path = spec.path.display();
        format!("{path}: the first of {} layers is taken (--footprints-layer '{first}')", names.len())
    });
    let mut layer = dataset.layer(number).map_err(|e| reason(&e))?;
    if let Some(filter) = &spec.filter {
        let (set, heard) = raw::listen(|| layer.set_attribute_filter(filter));
        if let Err(e) = set {
            let why = heard.iter().find_map(raw::Message::failure).unwrap_or_else(|| reason(&e));
            return Err(format!("cannot be filtered by --footprints-where '{filter}': {why}"));
        }
    }
    let declared = layer.spatial_ref().and_then(|srs| srs.to_wkt().ok()).filter(|wkt| !wkt.is_empty());
    let transform = transform(spec, declared, wkt)?;
    if determinant(g) == 0.0 {
        return Err(format!("cannot be laid over a raster whose geotransform {g:?} is singular"));
    }
    let mut boxes = Vec::new();
    for (k, feature) in layer.features().enumerate() {
        let Some(geometry) = feature.geometry() else { continue };
        let name = feature.fid().map_or_else(|| format!("number {}", k + 1), |id| id.to_string());
        let mut points = Vec::new();
        collect(geometry, &mut points);
        if let Some(transform) = &transform {
            crs::carry(transform, &mut points);
        }
        if points.is_empty() {
            continue;
        }
        if points.iter().any(|p| !(p.x.is_finite() && p.y.is_finite())) {
            return Err(format!("feature {name} reaches to where the raster's CRS has no place"));
        }
        boxes.push(around(&points, g));
    }
    if boxes.is_empty() {
        return Err("holds no features with a place".to_owned());
    }
    Ok(Footprints { boxes, guess })
}

/// The way from the CRS of the features to that of the grid; `None` when they are the same.
fn transform(
    spec: &CutlineSpec,
    declared: Option<String>,
    wkt: Option<&str>,
) -> Result<Option<CoordTransform>, String> {
    let own = match &spec.crs {
        Some(definition) => Some(
            crs::wkt_of(definition)
                .map_err(|e| format!("--footprints-srs '{definition}' is not a known CRS: {e}"))?,
        ),
        None => declared,
    };
    match (own, wkt) {
        (Some(own), Some(wkt)) if !crs::is_same(&own, wkt) => {
            let (from, to) = (crs::known(&own)?, crs::known(wkt)?);
            let made = CoordTransform::new(&from, &to);
            made.map(Some).map_err(|e| format!("has no way to the raster's CRS: {}", reason(&e)))
        }
        (None, Some(_)) => {
            Err("declares no coordinate reference system; give --footprints-srs CRS".to_owned())
        }
        _ => Ok(None),
    }
}

/// Adds the points of a geometry, and some along its edges.
fn collect(geometry: &Geometry, points: &mut Vec<Position>) {
    // A feature without a geometry has a null pointer for one, which GDAL complains about.
    let (name, _) = raw::listen(|| geometry.geometry_name());
    if name.is_empty() || geometry.is_empty() {
        return;
    }
    let curved =
        ["CURVE", "CIRCULAR", "COMPOUND", "MULTICURVE", "MULTISURFACE"].iter().any(|k| name.starts_with(k));
    if curved {
        let e = geometry.envelope();
        let ring = [(e.MinX, e.MinY), (e.MaxX, e.MinY), (e.MaxX, e.MaxY), (e.MinX, e.MaxY), (e.MinX, e.MinY)];
        along(&ring.map(|(x, y)| (x, y, 0.0)), points);
    } else if geometry.geometry_count() > 0 {
        (0..geometry.geometry_count()).for_each(|k| collect(&geometry.get_geometry(k), points));
    } else {
        let mut line = Vec::new();
        geometry.get_points(&mut line);
        along(&line, points);
    }
}

/// Adds the points of a line, and some in between.
fn along(line: &[(f64, f64, f64)], points: &mut Vec<Position>) {
    for pair in line.windows(2) {
        let [(x0, y0, _), (x1, y1, _)] = [pair[0], pair[1]];
        let at = |k: usize| k as f64 / PARTS as f64;
        points.extend((0..PARTS).map(|k| Position { x: x0 + (x1 - x0) * at(k), y: y0 + (y1 - y0) * at(k) }));
    }
    points.extend(line.last().map(|&(x, y, _)| Position { x, y }));
}

/// The box around points, in pixels.
fn around(points: &[Position], g: &[f64; 6]) -> [f64; 4] {
    let scale = 1.0 / determinant(g);
    points.iter().fold([f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY], |b, p| {
        let (x, y) = (p.x - g[0], p.y - g[3]);
        let (column, row) = ((x * g[5] - y * g[2]) * scale, (y * g[1] - x * g[4]) * scale);
        [b[0].min(column), b[1].min(row), b[2].max(column), b[3].max(row)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_count_pixels_from_the_upper_left() {
        let g = [500.0, 10.0, 0.0, 900.0, 0.0, -10.0];
        let mut points = Vec::new();
        along(&[(520.0, 880.0, 0.0), (560.0, 880.0, 0.0), (560.0, 830.0, 0.0)], &mut points);
        assert_eq!(around(&points, &g), [2.0, 2.0, 6.0, 7.0]);
        assert_eq!(points.len(), 2 * PARTS + 1);
    }
}
