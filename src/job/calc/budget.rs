//! Where a calculation's memory goes, and how large its windows are.

use super::CalcJob;
use super::grid::Placement;
use super::plan::{Budget, Layer, Plan};
use crate::error::{Error, Result};
use crate::job::machine;
use crate::job::tile::GDAL_CACHE;
use crate::raster::Packing;
use crate::window::Size;

/// Resident bytes of the program and the libraries it loads, before any pixel.
const PROGRAM: usize = 64 << 20;

/// Pixels of a window, about.
const PIXELS: usize = 1 << 20;

/// The windows of a plan and the memory they take.
///
/// # Errors
/// [`Error::Usage`] for windows of no pixels, [`Error::Memory`] with the least that would do.
pub(super) fn share_out(plan: &Plan, job: &CalcJob) -> Result<(Size, Budget)> {
    let packing = plan.storage.packing.as_ref().map_or(0, Packing::workspace);
    let fixed =
        PROGRAM + GDAL_CACHE + machine::threads_memory(job.readers, job.threads) + job.threads * packing;
    let size = plan.grid.size;
    let chunk = |l: &Layer| l.layout.chunk().area() * l.pixel_bytes();
    let least_chunks = plan.layers.iter().map(chunk).max().unwrap_or(0) * (job.readers + 1);
    let spare = |window: Size| job.memory.checked_sub(fixed + least_chunks + cost(plan, window));
    let wanted = match job.window {
        Some(0) => return Err(Error::Usage("--window-size 0: give a number of pixels".to_owned())),
        Some(side) => vec![Size::new(side.min(size.width), side.min(size.height))],
        None => candidates(plan),
    };
    // The first that leaves room for as many windows as there are threads; if there is none, the last, which is the smallest.
    let busy = job.readers + job.threads;
    let fits = |w: &&Size| spare(**w).is_some_and(|s| s * 3 / 5 >= cost(plan, **w) * (busy - 1));
    let smallest = wanted.last().copied().unwrap_or(size);
    let window = wanted.iter().find(fits).copied().unwrap_or(smallest);
    let Some(spare) = spare(window) else {
        return Err(Error::Memory(format!(
            "--memory {}M is not enough for this job; the least that would do is --memory {}M",
            job.memory >> 20,
            (fixed + least_chunks + cost(plan, window)).div_ceil(1 << 20)
        )));
    };
    // Blocks that windows above and below share are decoded once where there is room for as many rows of them.
    let shared =
        (spare * 2 / 5).max(spare.saturating_sub(cost(plan, window) * (busy - 1)).min(around(plan, window)));
    let chunks = least_chunks + shared;
    let budget = Budget { fixed, chunks, in_flight: job.memory - fixed - chunks, task: cost(plan, window) };
    Ok((window, budget))
}

/// Bytes of the rows of chunks that operations on a row of windows read, with those around.
fn around(plan: &Plan, window: Size) -> usize {
    let halo = plan.chain.halo();
    let aligned = |l: &&Layer| halo > 0 && matches!(l.placement, Placement::Aligned(_));
    let one = |l: &Layer| {
        let chunk = l.layout.chunk().height.max(1);
        let rows = ((window.height + 2 * halo).div_ceil(chunk) + 1) * chunk;
        rows.min(l.description.size.height) * l.description.size.width * l.pixel_bytes()
    };
    plan.layers.iter().filter(aligned).map(one).sum()
}

/// Windows from the one that suits best to the one that takes least memory, all of whole blocks of the output.
fn candidates(plan: &Plan) -> Vec<Size> {
    let size = plan.grid.size;
    let cut = |width: usize, height: usize| Size::new(width.min(size.width), height.min(size.height));
    let strips = |l: &Layer| {
        matches!(l.placement, Placement::Aligned(_)) && l.description.block.width >= l.description.size.width
    };
    let striped = plan.layers.iter().any(strips);
    if let Some(block) = plan.storage.block {
        let whole = |side: usize, of: usize| of * (side / of).max(1);
        // One block high, so that none has to wait for its turn.
        let wide = cut(whole(PIXELS / block.height.max(1), block.width), block.height);
        let small = cut(block.width, block.height);
        // Whole rows of blocks, so that no strip of an input is needed twice.
        let row = cut(size.width, block.height);
        return if striped { vec![row, wide, small] } else { vec![wide, small] };
    }
    // Strips, as most formats have.
    let rows = |pixels: usize| cut(size.width, (pixels / size.width.max(1)).next_multiple_of(16).max(16));
    vec![rows(PIXELS), rows(PIXELS / 4), rows(PIXELS / 16)]
}

/// Bytes in flight of a window: what is read for it, what is resampled, what operations make of it, the result, and the copy that
/// GDAL makes of it.
pub(super) fn cost(plan: &Plan, window: Size) -> usize {
    let halo = plan.chain.halo();
    let wide = |length: usize, most: usize| (length + 2 * halo).min(most.max(length));
    let whole = plan.grid.size;
    let written = window.area() * plan.bands() * plan.form.sample_type.bytes();
    // What an operation makes may reach beyond the raster's border by its halo.
    let made = (window.width + 2 * halo) * (window.height + 2 * halo) * plan.chain.pixel_bytes();
    let window = Size::new(wide(window.width, whole.width), wide(window.height, whole.height));
    let one = |layer: &Layer| {
        let pixel = layer.pixel_bytes();
        match layer.placement {
            Placement::Aligned(_) => window.area() * pixel,
            Placement::Warped { scale } => {
                let side =
                    |length: usize, most: usize| ((length + 64) as f64 * scale + 16.0).min(most as f64);
                let size = layer.description.size;
                let source = side(window.width, size.width) * side(window.height, size.height);
                source as usize * pixel + (window.width + 64) * (window.height + 64) * pixel
            }
        }
    };
    let read: usize = plan.layers.iter().map(one).sum();
    read + made + 2 * written + (256 << 10)
}
