//! Which levels a job has: those that are written, and the one that is made from the sources.

use super::TileJob;
use super::plan::PlannedInput;
use super::sketch::{Read, Sketch};
use crate::error::{Error, Result};
use crate::grid::{MAX_ZOOM, TileGrid};
use crate::pyramid::{Pyramid, TileRange};
use crate::resampling::Resampling;

/// Coarsest source a task may read, in source pixels per target pixel. Beyond it the base level is made
/// finer than the tiles that are asked for, and reduced in memory.
const MOST_SHRINKING: f64 = 4.0;

/// Bytes of source pixels that one task should read at most.
const TASK_SOURCE: f64 = 16e6;

/// Side of a metatile in pixels, at most.
const METATILE: usize = 1024;

/// The level whose pixels are closest in size to those of the source, by the rule of `gdal raster tile`.
fn closest_zoom(grid: &TileGrid, source: f64, tile_size: usize) -> u8 {
    let at = |z: u8| grid.resolution(z, tile_size);
    let finer = (0..=MAX_ZOOM).find(|&z| source * (1.0 + 1e-8) >= at(z)).unwrap_or(MAX_ZOOM);
    let same = ((source - at(finer)) / at(finer)).abs() <= 1e-8;
    if finer > 0 && !same && at(finer - 1) / source < source / at(finer) { finer - 1 } else { finer }
}

/// Lowest and highest level that are written.
///
/// # Errors
/// [`Error::Usage`] when the one is above the other.
pub(super) fn zooms(job: &TileJob, sketches: &[Sketch], guesses: &mut Vec<String>) -> Result<(u8, u8)> {
    let grid = &sketches[0].grid;
    let finest = sketches.iter().map(|s| s.footprint.resolution).fold(f64::INFINITY, f64::min);
    let max = job.max_zoom.unwrap_or_else(|| {
        let closest = closest_zoom(grid, finest, job.tile_size);
        closest.max(job.min_zoom.unwrap_or(0))
    });
    let single = |z: u8| {
        let step = grid.resolution(z, job.tile_size);
        let windows = sketches.iter().flat_map(|s| s.ranges().iter().map(|b| grid.pixels(b, step)));
        let tiles: Vec<TileRange> = windows.map(|w| TileRange::touching(&w, z, job.tile_size)).collect();
        Pyramid::new(z, z, 0, &tiles).is_none_or(|p| p.count(z) <= 1)
    };
    let min = job.min_zoom.unwrap_or_else(|| (0..=max).rfind(|z| single(*z)).unwrap_or(0));
    if min > max {
        return Err(Error::Usage(format!("the lowest zoom {min} is above the highest, {max}")));
    }
    if job.max_zoom.is_none() || job.min_zoom.is_none() {
        guesses.push(format!("zoom levels {min} to {max} (-z {min}-{max})"));
    }
    Ok((min, max))
}

/// The level that is made from the sources, at or above `max`, and what is read of each input for it.
pub(super) fn base_level(sketches: &[Sketch], max: u8, tile_size: usize) -> (u8, Vec<Read>) {
    let mut base = max;
    loop {
        let scales: Vec<f64> = sketches.iter().map(|s| s.scale(base, tile_size)).collect();
        let reads: Vec<Read> = sketches.iter().zip(&scales).map(|(s, scale)| s.read(*scale)).collect();
        let shrinking = |((sketch, scale), read): ((&Sketch, &f64), &Read)| {
            scale * read.size.width as f64 / sketch.description.size.width as f64
        };
        let most = sketches.iter().zip(&scales).zip(&reads).map(shrinking).fold(0.0, f64::max);
        if most <= MOST_SHRINKING || base >= MAX_ZOOM {
            return (base, reads);
        }
        base += 1;
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
    (side / tile_size).max(1).trailing_zeros() as u8
}
