//! Where a job's memory goes.

use super::look::Look;
use super::plan::{Base, Budget, Plan, PlannedInput};
use super::{Overlap, TileJob};
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::job::machine;
use crate::window::Size;

/// Resident bytes of the program and the libraries it loads, before any pixel.
const PROGRAM: usize = 64 << 20;

/// GDAL's own block cache: enough to assemble a chunk; chunks are cached by us. `GDAL_CACHEMAX` overrides it.
pub const GDAL_CACHE: usize = 16 << 20;

/// Shares out the memory of a job.
///
/// # Errors
/// [`Error::Memory`] with the least that would do.
pub(super) fn share_out(plan: &Plan, job: &TileJob) -> Result<Budget> {
    let bases: Vec<(&Base, usize)> = plan
        .bases
        .iter()
        .zip(plan.pyramid.cascades())
        .map(|(base, cascade)| (base, plan.tile_size << (cascade.base() - cascade.root())))
        .collect();
    let pixel = plan.bands * plan.sample_type.bytes() + 1;
    let task_of = |(base, side): &(&Base, usize)| {
        let source = |i: &PlannedInput| i.source_bytes(base.resampling, *side);
        let mut windows: Vec<usize> = base.inputs.iter().map(source).collect();
        windows.sort_unstable_by(|a, b| b.cmp(a));
        cost(plan, base, *side, windows.iter().take(MOST_OVERLAP).sum(), job.resume)
    };
    let task = bases.iter().map(task_of).max().unwrap_or(0);
    let quarter = Size::new(plan.tile_size / 2, plan.tile_size / 2).area() * pixel;
    let fixed = PROGRAM + gdal_cache() + machine::threads_memory(job.readers, job.threads);
    let chunk = |i: &PlannedInput| i.chunk().area() * i.pixel_bytes();
    let largest_chunk = plan.bases.iter().flat_map(|base| &base.inputs).map(chunk).max().unwrap_or(0);
    let least_chunks = largest_chunk * (job.readers + 1);
    // A node that waits for margins waits longer, but its margins are thin: see `pyramid::WideNursery`.
    let widest = bases.iter().map(|(_, side)| side / plan.tile_size).max().unwrap_or(1);
    let wide = if plan.reduces_locally() { 1 } else { 4 * widest };
    let pyramid = |swath| plan.pyramid.most_waiting(swath) * quarter * wide;
    let least = fixed + pyramid(1) + least_chunks + task;
    if least > job.memory {
        return Err(Error::Memory(format!(
            "--memory {}M is not enough for this job; the least that would do is --memory {}M",
            job.memory >> 20,
            least.div_ceil(1 << 20)
        )));
    }
    let spare = job.memory - least;
    let chunks = least_chunks + spare * 2 / 5;
    let swath = bases.iter().map(|(base, side)| swath(base, *side, chunks)).min().unwrap_or(1);
    let reserve = pyramid(swath).min(pyramid(1) + spare / 5);
    let in_flight = job.memory - fixed - reserve - chunks;
    Ok(Budget { fixed, pyramid: reserve, chunks, in_flight, task, swath })
}

/// Inputs of a mosaic that one task is expected to touch at most; a task that touches more is costed as it is.
const MOST_OVERLAP: usize = 2;

/// Bytes in flight of a task over `side` × `side` target pixels with source windows of `source` bytes: these, the canvas
/// with its reduced levels, coordinates, the encoded tiles, and what is noted of them for a later run.
fn cost(plan: &Plan, base: &Base, side: usize, source: usize, resumable: bool) -> usize {
    let canvas = side * side * (plan.bands * plan.sample_type.bytes() + 1);
    // All pixels with their margins, in two copies; where no tile needs its neighbours, a sixteenth of a tile's.
    let notes = if resumable && !plan.reduces_locally() { canvas * 3 } else { 0 };
    let rendered = match plan.look {
        _ if plan.look.is_identity() => 0,
        // The colours themselves, before they are bands.
        Look::Colours { .. } | Look::WidePalette(_) => side * side * 8,
        _ => side * side * (plan.look.picture_bands() + 1),
    };
    let apart = if matches!(plan.overlap, Overlap::Min | Overlap::Max) { canvas } else { 0 };
    // A tile of values is taken out of its block, filled, and taken apart into bands.
    let encoded = match plan.look {
        Look::Values { bands, sample_type, .. } => {
            side * side * bands * sample_type.bytes() * 4 / 3
                + plan.tile_size * plan.tile_size * (bands + 1) * sample_type.bytes() * 4
        }
        _ => side * side * plan.look.picture_bands() * 4 / 3,
    };
    // What lies below, and the result.
    let below = if plan.update { canvas * 3 } else { 0 };
    let mask = if base.stencil.is_some() { side * side } else { 0 };
    source + canvas * 4 / 3 + apart + below + mask + rendered + encoded + notes + (1 << 20)
}

/// As many columns of metatiles as can share source blocks between one row of metatiles and the next.
fn swath(base: &Base, side: usize, chunks: usize) -> u32 {
    let row_bytes = |metatiles: f64| {
        let one = |i: &PlannedInput| {
            let pixel = i.pixel_bytes() as f64;
            let chunk = i.chunk();
            let width = (metatiles * side as f64 * i.scale + chunk.width as f64).min(i.size.width as f64);
            width.max(chunk.width as f64) * (side as f64 * i.scale + 2.0 * chunk.height as f64) * pixel
        };
        base.inputs.iter().map(one).fold(0.0, f64::max)
    };
    let fits = |s: &u32| row_bytes(f64::from(*s)) <= chunks as f64;
    (0..=8).map(|k| 1u32 << k).take_while(fits).last().unwrap_or(1)
}

fn gdal_cache() -> usize {
    let set = std::env::var("GDAL_CACHEMAX").ok().and_then(|v| v.parse::<f64>().ok());
    // GDAL reads small numbers as megabytes and large ones as bytes.
    set.map_or(GDAL_CACHE, |v| if v < 100_000.0 { v as usize * (1 << 20) } else { v as usize })
}

/// Bytes in flight of one metatile.
pub(super) fn task(plan: &Plan, metatile: TileCoord, resumable: bool) -> usize {
    let window = plan.window(metatile);
    let base = plan.base(metatile.z);
    let windows = base.touching(&window).map(|(_, input)| input.source_bytes(base.resampling, window.width));
    cost(plan, base, window.width, windows.sum(), resumable).min(plan.budget.in_flight)
}
