//! Which levels a job has: those that are written, and those that are made from the sources.

use super::TileJob;
use super::plan::PlannedInput;
use super::sketch::{Read, Sketch};
use crate::error::{Error, Result};
use crate::grid::{PixelGrid, TileMatrixSet};
use crate::pyramid::{Cascade, Pyramid, TileRange};
use crate::resampling::Resampling;

/// Coarsest source a task may read, in source pixels per target pixel. Beyond it the base level is made
/// finer than the tiles that are asked for, and reduced in memory.
const MOST_SHRINKING: f64 = 4.0;

/// Bytes of source pixels that one task should read at most.
const TASK_SOURCE: f64 = 16e6;

/// Side of a metatile in pixels, at most.
const METATILE: usize = 1024;

/// Tiles along a side of a base level at most.
const MOST_TILES: u64 = 1 << 30;

/// The level whose pixels are closest in size to those of the source, by the rule of `gdal raster tile`.
fn closest_zoom(set: &TileMatrixSet, source: f64, tile_size: usize) -> u8 {
    let at = |z: u8| set.resolution(z, tile_size);
    let finer = (set.first..=set.last()).find(|&z| source * (1.0 + 1e-8) >= at(z)).unwrap_or(set.last());
    let same = ((source - at(finer)) / at(finer)).abs() <= 1e-8;
    if finer > set.first && !same && at(finer - 1) / source < source / at(finer) { finer - 1 } else { finer }
}

/// The tiles of a zoom level that windows of its pixels touch.
fn touched(set: &TileMatrixSet, z: u8, tile_size: usize, sketches: &[Sketch]) -> u64 {
    let plane = set.plane(z, tile_size, 0);
    let matrix = set.matrix(z).map_or((0, 0), |m| (m.columns, m.rows));
    let windows = sketches.iter().flat_map(|s| s.ranges().iter().map(|b| plane.pixels(b)));
    let tiles: Vec<TileRange> = windows.map(|w| TileRange::touching(&w, matrix, tile_size)).collect();
    let level = Cascade::new(z, z, 0, matrix, &tiles).and_then(|c| Pyramid::of(vec![c]));
    level.map_or(0, |level| level.count(z))
}

/// Lowest and highest level that are written.
///
/// # Errors
/// [`Error::Usage`] when the one is above the other.
pub(super) fn zooms(
    job: &TileJob,
    set: &TileMatrixSet,
    sketches: &[Sketch],
    guesses: &mut Vec<String>,
) -> Result<(u8, u8)> {
    let finest = sketches.iter().map(|s| s.footprint.resolution).fold(f64::INFINITY, f64::min);
    let max = job.max_zoom.unwrap_or_else(|| {
        let closest = closest_zoom(set, finest, job.tile_size);
        closest.max(job.min_zoom.unwrap_or(0))
    });
    let single = |z: &u8| touched(set, *z, job.tile_size, sketches) <= 1;
    let min = job.min_zoom.unwrap_or_else(|| (set.first..=max).rfind(single).unwrap_or(set.first));
    if min > max {
        return Err(Error::Usage(format!("the lowest zoom {min} is above the highest, {max}")));
    }
    if job.max_zoom.is_none() || job.min_zoom.is_none() {
        guesses.push(format!("zoom levels {min} to {max} (-z {min}-{max})"));
    }
    Ok((min, max))
}

/// Zoom levels of which each halves the next one, so that all are made of one base level.
pub(super) struct Stretch {
    /// The lowest zoom level.
    pub(super) low: u8,
    /// The highest zoom level.
    pub(super) high: u8,
    /// How many times the base is twice as fine as the highest level.
    pub(super) finer: u8,
    /// Columns and rows of tiles of the base.
    pub(super) matrix: (u32, u32),
    /// The pixels of the base.
    pub(super) pixels: PixelGrid,
    /// What is read of each input for it.
    pub(super) reads: Vec<Read>,
}

/// The stretches from zoom level `min` to `max`, coarse to fine.
pub(super) fn stretches(
    set: &TileMatrixSet,
    sketches: &[Sketch],
    (min, max): (u8, u8),
    tile_size: usize,
) -> Vec<Stretch> {
    let mut all = Vec::new();
    let mut high = max;
    loop {
        let mut low = high;
        while low > min && set.nests(low - 1) {
            low -= 1;
        }
        all.push(stretch(set, sketches, (low, high), tile_size));
        if low == min {
            break;
        }
        high = low - 1;
    }
    all.reverse();
    all
}

/// A stretch, with the base level that is made from the sources, at or above its highest, and what is read of each input for it.
fn stretch(set: &TileMatrixSet, sketches: &[Sketch], (low, high): (u8, u8), tile_size: usize) -> Stretch {
    let (columns, rows) = set.matrix(high).map_or((1, 1), |m| (m.columns, m.rows));
    let side = u64::from(columns.max(rows));
    let mut finer = 0u8;
    loop {
        let pixels = set.plane(high, tile_size, finer);
        let scales: Vec<f64> = sketches.iter().map(|s| s.scale(pixels.step)).collect();
        let reads: Vec<Read> = sketches.iter().zip(&scales).map(|(s, scale)| s.read(*scale)).collect();
        let shrinking = |((sketch, scale), read): ((&Sketch, &f64), &Read)| {
            scale * read.size.width as f64 / sketch.description.size.width as f64
        };
        let most = sketches.iter().zip(&scales).zip(&reads).map(shrinking).fold(0.0, f64::max);
        if most <= MOST_SHRINKING || side << (finer + 1) > MOST_TILES {
            let matrix = (columns << finer, rows << finer);
            return Stretch { low, high, finer, matrix, pixels, reads };
        }
        finer += 1;
    }
}

/// Levels between a metatile's tiles and its root: as large as the source windows allow.
pub(super) fn span(inputs: &[PlannedInput], method: Resampling, tile_size: usize) -> u8 {
    let bytes = |side: usize| {
        let one = |input: &PlannedInput| input.source_bytes(method, side) as f64;
        inputs.iter().map(one).fold(0.0, f64::max)
    };
    let mut side = METATILE;
    while side > tile_size && bytes(side) > TASK_SOURCE {
        side /= 2;
    }
    (side / tile_size).max(1).ilog2() as u8
}
