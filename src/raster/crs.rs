//! Places that users give in whatever coordinate reference system they have them in.

use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};

use super::reason;
use crate::error::{Error, Result};
use crate::grid::Bounds;

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

/// Web Mercator as well-known text.
///
/// # Errors
/// [`Error::Internal`] when PROJ's database is missing.
pub fn web_mercator_wkt() -> Result<String> {
    let wkt = known("EPSG:3857").and_then(|srs| srs.to_wkt().map_err(|e| reason(&e)));
    wkt.map_err(|e| Error::Internal(format!("EPSG:3857 is not known: {e}")))
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

/// The smallest box in degrees around a box in another CRS, whose edges may be curved lines there. The west of the result
/// lies east of its east where it reaches across the antimeridian.
///
/// # Errors
/// [`Error::Usage`] for a CRS that is not known, an inverted box, and one that has no place on the Earth.
pub fn box_in_degrees(b: &Bounds, definition: &str) -> Result<Bounds> {
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
}
