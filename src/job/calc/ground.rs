//! The ground that the pixels of a grid stand for, which says how steep it is.

use std::f64::consts::PI;

use gdal::spatial_ref::SpatialRef;

use super::grid::Grid;
use crate::op::Ground;
use crate::window::Size;

/// Metres in the units that bands of heights are said to be in.
const UNITS: [(&str, f64); 10] = [
    ("m", 1.0),
    ("metre", 1.0),
    ("meter", 1.0),
    ("metres", 1.0),
    ("meters", 1.0),
    ("ft", 0.3048),
    ("foot", 0.3048),
    ("feet", 0.3048),
    ("us-ft", 1200.0 / 3937.0),
    ("us survey foot", 1200.0 / 3937.0),
];

/// The ground of a grid whose heights are in a unit, metres if it is none that is known.
///
/// As in GDAL from 3.11 on: degrees are as long as on the equator, along rows by the cosine of the middle latitude less.
pub(super) fn ground(grid: &Grid, unit: Option<&str>) -> Ground {
    let Some(g) = grid.geotransform() else { return Ground::default() };
    let vertical = unit
        .and_then(|unit| UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit.trim())))
        .map_or(1.0, |(_, metres)| *metres);
    let metres = metres(grid, grid.size, &g).unwrap_or([vertical; 2]);
    Ground { pixel: [g[1], g[5]], scale: metres.map(|m| m / vertical) }
}

/// Metres in a unit of the CRS, along rows and along columns; `None` without CRS.
fn metres(grid: &Grid, size: Size, g: &[f64; 6]) -> Option<[f64; 2]> {
    let srs = SpatialRef::from_wkt(grid.georeferencing.wkt.as_deref()?).ok()?;
    if srs.is_geographic() {
        let angle = srs.angular_units();
        let middle = (g[3] + size.height as f64 * g[5] / 2.0) * angle;
        let down = angle * srs.semi_major().ok()?;
        return Some([down * libm::cos(middle.clamp(-PI / 2.0, PI / 2.0)), down]);
    }
    let linear = srs.linear_units();
    (linear.is_finite() && linear > 0.0).then_some([linear; 2])
}
