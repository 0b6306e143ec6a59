//! Onto another grid: that of a tiling scheme, whose tiles become blocks and whose levels become overviews, or any other.
//!
//! Inputs are warped as `warp` does it, metatile by metatile, in place of being read. Which level and which tiles are taken is decided
//! as by GDAL's COG driver.

use std::sync::Arc;

use super::inputs::{Looked, is_jpeg};
use super::options::CogOptions;
use super::plan::{is_picture, origins};
use super::{CogJob, Nodata};
use crate::block::SampleType;
use crate::error::{Error, Result};
use crate::grid::{Bounds, TileMatrixSet};
use crate::job::warp::{self, GridRequest, Region, WarpJob};
use crate::raster::georef::Method;
use crate::raster::source::SrcNodata;
use crate::raster::template::BandOrigin;
use crate::raster::{Description, Frame, Georeferencing, SourceSpec, crs};
use crate::resampling::Resampling;
use crate::window::Size;
use warp::grid::{Crop, Settled, settle};

/// Part of a pixel by which inputs may reach into a tile that is left out, as in GDAL.
const TOLERANCE: f64 = 0.499;

/// Latitude of the upper edge of Web Mercator's square.
const MERCATOR_EDGE: f64 = 85.051_128_779_806_6;

/// The grid that options ask for, and how inputs come onto it.
#[derive(Debug, Clone, PartialEq)]
pub struct Regrid {
    /// The grid.
    pub onto: Onto,
    /// How pixels are resampled; default cubic, nearest for palettes.
    pub resampling: Option<Resampling>,
    /// Whether a band of opacity is added to rasters without a value for no data; in JPEG, and for palettes, a mask.
    pub add_alpha: bool,
}

/// A grid of pixels.
#[derive(Debug, Clone, PartialEq)]
pub enum Onto {
    /// Whole tiles of a level of a tiling scheme.
    Tiles {
        /// The name it was given by.
        name: String,
        /// Its levels.
        set: Arc<TileMatrixSet>,
        /// The level; default by the resolution of the inputs.
        zoom: Option<u8>,
        /// Which of the two levels that come nearest.
        strategy: ZoomStrategy,
        /// How many levels, from the highest, begin and end with whole tiles.
        aligned_levels: u8,
    },
    /// A CRS.
    Crs {
        /// Its definition.
        definition: String,
        /// Side of a pixel; default what keeps the resolution of the inputs.
        resolution: Option<f64>,
        /// The edges; default what all inputs cover.
        extent: Option<Bounds>,
    },
}

/// Which level a resolution between two levels becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZoomStrategy {
    /// The one that is nearer.
    #[default]
    Auto,
    /// The coarser one.
    Lower,
    /// The finer one.
    Upper,
}

impl Regrid {
    /// Side of a block, unless another one is asked for: that of a tile.
    pub(super) fn block(&self) -> usize {
        match &self.onto {
            Onto::Tiles { set, .. } => set.tile_size,
            Onto::Crs { .. } => 512,
        }
    }
}

/// The part of a tiling scheme that a file holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Level {
    /// The scheme's name.
    name: String,
    set: Arc<TileMatrixSet>,
    /// Its level that is the image.
    zoom: u8,
    aligned: u8,
}

impl Level {
    /// Metadata that say so, as GDAL's driver writes them.
    pub fn items(&self) -> Vec<(String, String, String)> {
        let mut all = vec![("NAME", self.name.clone()), ("ZOOM_LEVEL", self.zoom.to_string())];
        if self.aligned > 0 {
            all.push(("ALIGNED_LEVELS", self.aligned.to_string()));
        }
        all.into_iter().map(|(key, value)| ("TILING_SCHEME".to_owned(), key.to_owned(), value)).collect()
    }

    /// Refuses overviews that would be no levels of the scheme.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check(&self, overviews: usize) -> Result<()> {
        let below = (self.set.first..self.zoom).rev().take(overviews);
        match below.into_iter().find(|z| !self.set.nests(*z)) {
            None => Ok(()),
            Some(z) => Err(Error::Usage(format!(
                "--co TILING_SCHEME={}: level {z} is not half of level {}, and overviews are halves: --co OVERVIEW_COUNT={}",
                self.name,
                z + 1,
                self.zoom - z - 1
            ))),
        }
    }
}

/// Looks at all inputs and finds the way onto the grid.
pub(super) fn look(job: &CogJob, options: &CogOptions, regrid: &Regrid) -> Result<Looked> {
    let first_spec = &job.inputs[0];
    let first = first_spec.describe()?;
    let palette = first.palette.is_some() && matches!(job.bands[..], [] | [1]);
    let mut guesses = Vec::new();
    let resampling = regrid.resampling.unwrap_or_else(|| {
        let usual = if palette { Resampling::Nearest } else { Resampling::Cubic };
        guesses.push(format!("--co WARP_RESAMPLING={}", usual.name().to_ascii_uppercase()));
        usual
    });
    let mut warp =
        WarpJob::new(job.inputs.iter().map(|spec| read_as(job, spec)).collect(), job.target.clone());
    warp.resampling = resampling;
    warp.readers = job.readers;
    warp.threads = job.threads;
    warp.bands = colours(job, &first);
    warp.add_alpha = true;
    warp.grid = request(regrid)?;
    let mut level = None;
    let mut plan = warp::Plan::on_grid(&warp, |inputs, crop| {
        let settled = placed(&warp, inputs, crop)?;
        let Onto::Tiles { .. } = &regrid.onto else { return Ok(settled) };
        let (own, settled) = tiles(&regrid.onto, options.block, settled)?;
        level = Some(own);
        Ok(settled)
    })?;
    if let (Some(Level { zoom, .. }), Onto::Tiles { zoom: None, .. }) = (&level, &regrid.onto) {
        guesses.push(format!("--co ZOOM_LEVEL={zoom}"));
    }
    let opaque = plan.edges() == crate::warp::kernel::Edges::Hard;
    let hides = !opaque || (plan.nodata.is_none() && regrid.add_alpha);
    // JPEG has no opacity, and colours of a table have none that is not theirs: a mask takes its place.
    let mask = job.add_mask || (hides && (is_jpeg(options) || palette));
    plan.alpha = hides && !mask;
    if mask && job.nodata == Nodata::Declared {
        plan.nodata = plan.nodata.filter(|_| !job.add_mask);
    }
    let bands = if warp.bands.is_empty() { without_alpha(&first) } else { warp.bands.clone() };
    let mut origins = origins(&bands);
    if plan.alpha {
        origins.push(
            first.alpha_band().filter(|n| !bands.contains(n)).map_or(BandOrigin::Opacity, BandOrigin::Source),
        );
    }
    let sample_type = plan.sample_type;
    let float = matches!(sample_type, SampleType::F32 | SampleType::F64);
    let colours = bands.len();
    let nodata = (0..origins.len()).map(|b| plan.nodata.filter(|_| b < colours)).collect();
    let valued = plan.nodata.is_some();
    Ok(Looked {
        layers: Vec::new(),
        size: plan.grid.size,
        sample_type,
        origins,
        nodata,
        alpha: plan.alpha.then_some(colours),
        mask,
        joint: mask || colours == 1 || is_picture(&first, &bands) || !(valued || float),
        partial: true,
        gaps: true,
        palette,
        bits: None,
        place: plan.grid.geotransform().map(|g| (g, plan.grid.georeferencing.wkt.clone())),
        notes: std::mem::take(&mut plan.notes),
        guesses,
        warp: Some(plan),
        level,
    })
}

/// An input as it is read: with the values that mean no data.
fn read_as(job: &CogJob, spec: &SourceSpec) -> SourceSpec {
    let src_nodata = match job.nodata {
        Nodata::Declared => spec.src_nodata.clone(),
        Nodata::None => SrcNodata::None,
        Nodata::Value(value) => SrcNodata::Values(vec![vec![value]]),
    };
    SourceSpec { src_nodata, ..spec.clone() }
}

/// The bands that are asked for, without opacity.
fn colours(job: &CogJob, first: &Description) -> Vec<usize> {
    let alpha = first.alpha_band();
    let colours: Vec<usize> = job.bands.iter().copied().filter(|n| Some(*n) != alpha).collect();
    if colours.is_empty() { job.bands.clone() } else { colours }
}

fn without_alpha(first: &Description) -> Vec<usize> {
    let (count, alpha) = (first.bands.len(), first.alpha_band());
    (1..=count).filter(|n| Some(*n) != alpha || count == 1).collect()
}

/// What is asked for, in the words of `warp`.
fn request(regrid: &Regrid) -> Result<GridRequest> {
    Ok(match &regrid.onto {
        Onto::Tiles { name, set, .. } => {
            let wkt = crs::wkt_of(&set.crs).map_err(|why| {
                Error::Usage(format!("--co TILING_SCHEME={name}: its CRS is not known here: {why}"))
            })?;
            GridRequest { crs: Some(wkt), ..GridRequest::default() }
        }
        Onto::Crs { definition, resolution, extent } => {
            let region = extent.map(|bounds| Region { bounds, crs: None });
            // As GDAL does it, the extent stands, and pixels are stretched to fit it.
            let size = extent.zip(*resolution).map(|(b, step)| {
                let pixels = |length: f64| (length / step).round() as usize;
                (pixels(b.east - b.west), pixels(b.north - b.south))
            });
            if size.is_some_and(|(columns, rows)| columns == 0 || rows == 0) {
                return Err(Error::Usage("--co RES: pixels are larger than the EXTENT".to_owned()));
            }
            let resolution = resolution.filter(|_| size.is_none()).map(|r| (r, r));
            GridRequest { crs: Some(definition.clone()), region, size, resolution, ..GridRequest::default() }
        }
    })
}

/// The grid that keeps the resolution of inputs, as far as they have a place on it.
fn placed(job: &WarpJob, inputs: &[(SourceSpec, Description)], crop: &Crop<'_>) -> Result<Settled> {
    for (spec, description) in inputs {
        let place = &description.georeferencing;
        if place.method == Method::None || place.wkt.is_none() {
            return Err(spec.error(
                "has no place on the Earth, so that it cannot come onto another grid: give it one first, for instance by \
                 gdal_translate -a_srs and -a_ullr",
            ));
        }
    }
    let target = job.grid.crs.as_deref().unwrap_or_default();
    let mercator = crs::is_same("EPSG:3857", target);
    let seen: Vec<_> = inputs
        .iter()
        .map(|(spec, d)| (spec.clone(), if mercator { within_mercator(d) } else { d.clone() }))
        .collect();
    settle(job, &seen, crop)
}

/// A raster in degrees without the rows beyond the edges of Web Mercator, which lie endlessly far away there.
fn within_mercator(description: &Description) -> Description {
    let mut own = description.clone();
    let (place, size) = (&own.georeferencing, own.size);
    let Some(g) = place.geotransform.filter(|g| g[2] == 0.0 && g[4] == 0.0 && g[5] < 0.0) else { return own };
    if !Frame::of(place, size).is_some_and(|frame| frame.is_geographic()) {
        return own;
    }
    let row = |latitude: f64| ((latitude - g[3]) / g[5]).round().clamp(0.0, size.height as f64);
    let (first, end) = (row(MERCATOR_EDGE), row(-MERCATOR_EDGE));
    if end <= first || (end - first) as usize == size.height {
        return own;
    }
    let wkt = place.wkt.clone().unwrap_or_default();
    own.size = Size::new(size.width, (end - first) as usize);
    own.georeferencing = Georeferencing::affine(&wkt, [g[0], g[1], 0.0, g[3] + first * g[5], 0.0, g[5]]);
    own
}

/// The tiles of a level that hold a grid.
fn tiles(onto: &Onto, block: usize, settled: Settled) -> Result<(Level, Settled)> {
    let Onto::Tiles { name, set, zoom, strategy, aligned_levels } = onto else {
        return Err(Error::Internal("a grid without tiles".to_owned()));
    };
    let Settled { grid, extents, .. } = settled;
    let g = grid.geotransform().ok_or_else(|| Error::Internal("a grid without a place".to_owned()))?;
    let zoom = match zoom {
        Some(zoom) => *zoom,
        None => nearest_level(set, block, g[1], *strategy).ok_or_else(|| {
            let finest = set.resolution(set.last(), block);
            Error::Usage(format!(
                "--co TILING_SCHEME={name}: pixels of {} are finer than its last level, of {finest}: --co ZOOM_LEVEL={}",
                g[1],
                set.last()
            ))
        })?,
    };
    let matrix = set.matrix(zoom).ok_or_else(|| Error::Internal(format!("{name} has no level {zoom}")))?;
    let step = set.resolution(zoom, block);
    let (tile, slack) = (step * block as f64, TOLERANCE * step);
    let (east, south) = (g[0] + g[1] * grid.size.width as f64, g[3] + g[5] * grid.size.height as f64);
    let aligned = (*aligned_levels).min(zoom);
    let times = 1i64 << aligned.saturating_sub(1);
    let span = |from: f64, to: f64, most: u32| {
        let (first, end) = (((from + slack) / tile).floor() as i64, ((to - slack) / tile).ceil() as i64);
        let first = first.div_euclid(times) * times;
        let end = end.div_euclid(times) * times + if end.rem_euclid(times) > 0 { times } else { 0 };
        (first.max(0), end.min(i64::from(most)))
    };
    let (left, right) = span(g[0] - matrix.west, east - matrix.west, matrix.columns);
    let (top, bottom) = span(matrix.north - g[3], matrix.north - south, matrix.rows);
    if left >= right || top >= bottom {
        return Err(grid.spec.error(format!("lies outside of the tiles of {name}")));
    }
    let geotransform =
        [matrix.west + left as f64 * tile, step, 0.0, matrix.north - top as f64 * tile, 0.0, -step];
    let wkt = grid.georeferencing.wkt.clone().unwrap_or_default();
    let size = Size::new((right - left) as usize * block, (bottom - top) as usize * block);
    if size.width.max(size.height) > i32::MAX as usize {
        return Err(Error::Usage(format!(
            "the output would have {} × {} pixels, which is more than a raster can have: --co ZOOM_LEVEL",
            size.width, size.height
        )));
    }
    let georeferencing = Georeferencing::affine(&wkt, geotransform);
    let grid = warp::Grid { size, georeferencing, ..grid };
    let level = Level { name: name.clone(), set: Arc::clone(set), zoom, aligned };
    Ok((level, Settled { grid, extents, guesses: Vec::new() }))
}

/// The level for a resolution; `None` when all are coarser.
fn nearest_level(set: &TileMatrixSet, block: usize, resolution: f64, strategy: ZoomStrategy) -> Option<u8> {
    let of = |z: u8| set.resolution(z, block);
    let same = |z: u8| (resolution - of(z)).abs() / of(z) <= 1e-8;
    let zoom = (set.first..=set.last()).find(|z| resolution > of(*z) || same(*z))?;
    if zoom == set.first || same(zoom) {
        return Some(zoom);
    }
    let coarser = match strategy {
        ZoomStrategy::Lower => true,
        ZoomStrategy::Upper => false,
        ZoomStrategy::Auto => of(zoom - 1) / resolution < resolution / of(zoom),
    };
    Some(if coarser { zoom - 1 } else { zoom })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_the_nearest_unless_a_strategy_says_otherwise() {
        let set = TileMatrixSet::web_mercator();
        let at = |z: u8| set.resolution(z, 256);
        let level = |r: f64, s: ZoomStrategy| nearest_level(&set, 256, r, s);
        for strategy in [ZoomStrategy::Auto, ZoomStrategy::Lower, ZoomStrategy::Upper] {
            assert_eq!(level(at(7), strategy), Some(7));
            assert_eq!(level(1e9, strategy), Some(0));
        }
        assert_eq!(level(at(7) * 1.3, ZoomStrategy::Auto), Some(7));
        assert_eq!(level(at(7) * 1.5, ZoomStrategy::Auto), Some(6));
        assert_eq!(level(at(7) * 1.1, ZoomStrategy::Lower), Some(6));
        assert_eq!(level(at(7) * 1.9, ZoomStrategy::Upper), Some(7));
        assert_eq!(level(1e-6, ZoomStrategy::Auto), None);
        // Blocks of twice the side hold a tile in twice the pixels.
        assert_eq!(nearest_level(&set, 512, at(7), ZoomStrategy::Auto), Some(6));
    }
}
