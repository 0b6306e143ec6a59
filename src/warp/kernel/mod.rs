//! Resampling kernels: from a block of source pixels and a coordinate grid to pixels of the tile matrix.
//!
//! The semantics are those of GDAL's warper with exact coordinates (`gdalwarp -et 0`), so that results can be
//! compared with it:
//!
//! - Bilinear, cubic, cubic spline and Lanczos are separable kernels around the position minus half a pixel.
//!   Where an axis shrinks by more than 1/0.95 the kernel widens by the scale of that axis; a scale within 0.05
//!   of an integer counts as that integer.
//! - Pixels without data and pixels beyond the raster's edge drop out, and the weights of the rest are
//!   brought back to one. Where the plain cubic kernel lacks one of its 16 pixels, bilinear takes its place.
//! - Integer results are rounded by ⌊v + ½⌋ and clamped to their type; floating-point ones are not touched.
//!
//! It differs from GDAL on purpose in these points:
//!
//! - Colour is weighted by coverage (GDAL lets transparent pixels bleed), and with [`Edges::Soft`] the
//!   coverage is resampled over all pixels that exist, not only over the visible ones.
//! - Widened Lanczos weights take the position within the pixel into account; GDAL ignores it.
//! - Where negative lobes leave hardly any weight beside a hole, bilinear takes over, instead of no data
//!   or a value far out of range.
//! - The footprint of average and mode is a box of the cell's scale around the position, and a pixel whose
//!   centre lies outside the raster gets no data. Mode compares whole pixels, not band by band, so that it
//!   never makes up a colour, and the first seen wins a tie.
//! - A position within [`SNAP`] left of or above a pixel's edge belongs to the pixel beyond, so that noise
//!   does not decide where positions fall on edges exactly; GDAL's tolerance is 1e-10.
//!
//! The least, the greatest, the sum and so on are taken over the same footprint.
//!
//! A result depends on the absolute target pixel and the source alone, not on the window that asked:
//! neighbouring tiles have no seams. Sums are 32-bit floats for 8- and 16-bit samples and doubles for all
//! others; unsigned bytes in pixels of three or four bands under 2 × 2 or 4 × 4 taps are summed in
//! fixed point, which differs in few samples by one.

mod canvas;
mod convolve;
mod exclude;
mod fixed;
mod patch;
mod pick;
mod pixel;
mod rank;
mod source;
mod sums;
#[cfg(test)]
mod tests;
mod weights;

pub use canvas::{Canvas, Extreme};

use ndarray::Array3;

use super::coords::{CELL, Cell, CoordGrid};
use super::exclusion::Exclusion;
use crate::block::{Block, interleaved_slice_mut};
use crate::error::{Error, Result};
use crate::resampling::Resampling;
use crate::simd::Level;
use crate::window::Window;
use canvas::Rows;
pub(crate) use pixel::Pixel;
use source::Source;
use weights::Axis;

/// Positions this close to the left or upper edge of the next pixel belong to that pixel, in source pixels.
pub const SNAP: f64 = 1e-6;

/// What the coverage of a source means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edges {
    /// Data or no data (nodata values, masks): a result has full coverage or none.
    Hard,
    /// Opacity (alpha bands): coverage is resampled like colour.
    Soft,
}

/// How many source pixels beyond the extent of the positions a kernel can touch along an axis on which a target
/// pixel spans `scale` source pixels. At least 1, for positions that are [snapped](SNAP).
pub fn halo(method: Resampling, scale: f32) -> usize {
    Axis::new(method, scale).radius().max(1)
}

/// Resamples `source` into the part `piece` of `canvas`; pixels that get data go over what is there.
///
/// `source.window` is in the pixels that the grid's positions count; samples outside of it do not exist, so it
/// must reach [`halo`] beyond the positions unless the raster ends there. A target pixel gets data when its
/// centre lies inside `source.window` and the source pixel there is covered (average and mode: when any pixel
/// of its footprint is). Full coverage replaces what is on the canvas, partial coverage is blended over it;
/// nearest and mode always replace, so that they never make up a value.
///
/// Pixel-interleaved sources are used in place, others are copied first.
///
/// # Errors
/// [`Error::Internal`] when `source` and `canvas` differ in sample type or number of bands, or when `piece` is
/// not made of whole cells inside both the grid's and the canvas' window.
pub fn warp(
    source: &Block,
    grid: &CoordGrid,
    piece: Window,
    method: Resampling,
    edges: Edges,
    canvas: &mut Canvas,
) -> Result<()> {
    warp_at(Level::Best, source, grid, piece, method, edges, canvas)
}

fn warp_at(
    level: Level,
    source: &Block,
    grid: &CoordGrid,
    piece: Window,
    method: Resampling,
    edges: Edges,
    canvas: &mut Canvas,
) -> Result<()> {
    if !check(source, grid, piece, canvas)? {
        return Ok(());
    }
    for_samples!(&source.samples, array => {
        warp_samples(level, array, source, grid, piece, method, edges, canvas)
    })
}

/// Like [`warp`] with [`Resampling::Average`], where some values do not count.
///
/// # Errors
/// Those of [`warp`].
pub fn warp_excluding(
    source: &Block,
    grid: &CoordGrid,
    piece: Window,
    exclusion: &Exclusion,
    edges: Edges,
    canvas: &mut Canvas,
) -> Result<()> {
    if !check(source, grid, piece, canvas)? {
        return Ok(());
    }
    for_samples!(&source.samples, array => {
        let (flat, coverage) = (source::interleaved(array), source::coverage(&source.validity));
        let bands = array.dim().0;
        let source = Source { samples: &flat, coverage: coverage.as_deref(), window: source.window, bands };
        exclude::average(&source, grid, piece, exclusion, edges, &mut rows(canvas, bands)?);
    });
    Ok(())
}

/// Whether there is anything to resample.
fn check(source: &Block, grid: &CoordGrid, piece: Window, canvas: &Canvas) -> Result<bool> {
    let (bands, height, width) = source.samples.dim();
    if source.samples.sample_type() != canvas.samples.sample_type() || bands != canvas.samples.dim().0 {
        return Err(Error::Internal("source and canvas differ in sample type or bands".to_owned()));
    }
    if (width, height) != (source.window.width, source.window.height) {
        return Err(Error::Internal("a block is not as large as its window".to_owned()));
    }
    let side = CELL as i64;
    let aligned = [piece.x, piece.y, piece.right(), piece.bottom()].iter().all(|v| v % side == 0);
    if !aligned || !grid.window().contains(&piece) || !canvas.window.contains(&piece) {
        return Err(Error::Internal(format!("cannot warp {piece}: not whole cells of grid and canvas")));
    }
    Ok(!source.window.is_empty() && bands > 0)
}

/// The memory of a canvas.
fn rows<T: Pixel>(canvas: &mut Canvas, bands: usize) -> Result<Rows<'_, T>> {
    let Some(samples) = T::unwrap_mut(&mut canvas.samples).and_then(interleaved_slice_mut) else {
        return Err(Error::Internal("a canvas is not pixel-interleaved".to_owned()));
    };
    Ok(Rows { samples, coverage: &mut canvas.coverage, window: canvas.window, bands })
}

#[expect(clippy::too_many_arguments, reason = "the arguments of `warp` and the type of the samples")]
fn warp_samples<T: Pixel>(
    level: Level,
    array: &Array3<T>,
    source: &Block,
    grid: &CoordGrid,
    piece: Window,
    method: Resampling,
    edges: Edges,
    canvas: &mut Canvas,
) -> Result<()> {
    let (flat, coverage) = (source::interleaved(array), source::coverage(&source.validity));
    let bands = array.dim().0;
    let source = Source { samples: &flat, coverage: coverage.as_deref(), window: source.window, bands };
    let rows = &mut rows(canvas, bands)?;
    match method {
        Resampling::Nearest => pick::nearest(level, &source, grid, piece, edges, rows),
        Resampling::Mode => pick::mode(&source, grid, piece, edges, rows),
        method if method.is_statistic() => rank::statistic(&source, grid, piece, method, edges, rows),
        _ => convolve::convolve(level, &source, grid, piece, method, edges, rows),
    }
    Ok(())
}

/// Calls `visit(column, row)` for every cell of `piece` that has a counterpart in the source.
fn for_cells(grid: &CoordGrid, piece: Window, mut visit: impl FnMut(usize, usize)) {
    let left = (piece.x - grid.window().x) as usize / CELL;
    let top = (piece.y - grid.window().y) as usize / CELL;
    for row in top..top + piece.height / CELL {
        for column in left..left + piece.width / CELL {
            if !matches!(grid.cell(column, row), Cell::Outside) {
                visit(column, row);
            }
        }
    }
}
