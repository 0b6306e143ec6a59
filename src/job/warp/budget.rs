//! Where a warp's memory goes, and how large its windows are.

use super::plan::{Layer, Plan};
use super::{Budget, WarpJob};
use crate::error::{Error, Result};
use crate::job::machine;
use crate::job::tile::GDAL_CACHE;
use crate::raster::Packing;
use crate::window::{Size, Window};

/// Resident bytes of the program and the libraries it loads, before any pixel.
const PROGRAM: usize = 64 << 20;

/// Pixels of a window, about.
const PIXELS: usize = 1 << 20;

/// Sides of windows that are smaller than a block of the output, for outputs far coarser than the inputs.
const SMALL: [usize; 3] = [256, 128, 64];

/// The windows of a plan and the memory they take.
///
/// # Errors
/// [`Error::Usage`] for windows of no pixels, [`Error::Memory`] with the least that would do.
pub(super) fn share_out(plan: &Plan, job: &WarpJob) -> Result<(Size, Budget)> {
    let packing = plan.storage.packing.as_ref().map_or(0, Packing::workspace);
    let fixed =
        PROGRAM + GDAL_CACHE + machine::threads_memory(job.readers, job.threads) + job.threads * packing;
    let size = plan.grid.size;
    let chunk = |l: &Layer| l.layout.chunk().area() * l.pixel_bytes();
    let least_chunks = plan.layers.iter().map(chunk).max().unwrap_or(0) * (job.readers + 1);
    let wanted = match job.window {
        Some(0) => return Err(Error::Usage("--window-size 0: give a number of pixels".to_owned())),
        Some(side) => vec![Size::new(side.min(size.width), side.min(size.height))],
        None => candidates(plan),
    };
    let spare = |task: usize| job.memory.checked_sub(fixed + least_chunks + task);
    // The first that leaves room for as many windows as there are threads; if there is none, the last, which is the smallest.
    let busy = job.readers + job.threads;
    let with_cost: Vec<(Size, usize)> = wanted.into_iter().map(|w| (w, dearest(plan, w))).collect();
    let fits = |(_, task): &&(Size, usize)| spare(*task).is_some_and(|s| s * 3 / 5 >= task * (busy - 1));
    let smallest = with_cost.last().copied().unwrap_or((size, 0));
    let (window, task) = with_cost.iter().find(fits).copied().unwrap_or(smallest);
    let Some(spare) = spare(task) else {
        return Err(Error::Memory(format!(
            "--memory {}M is not enough for this job; the least that would do is --memory {}M",
            job.memory >> 20,
            (fixed + least_chunks + task).div_ceil(1 << 20)
        )));
    };
    let chunks = least_chunks + spare * 2 / 5;
    Ok((window, Budget { fixed, chunks, in_flight: job.memory - fixed - chunks, task }))
}

/// Windows from the one that suits best to the one that takes least memory.
fn candidates(plan: &Plan) -> Vec<Size> {
    let size = plan.grid.size;
    let cut = |width: usize, height: usize| Size::new(width.min(size.width), height.min(size.height));
    let small = SMALL.map(|side| cut(side, side));
    if let Some(block) = plan.storage.block {
        let blocks = |side: usize, of: usize| of * (side / of).max(1);
        // One block high, so that none has to wait for its turn.
        let wide = cut(blocks(PIXELS / block.height.max(1), block.width), block.height);
        let one = cut(block.width, block.height);
        let smaller = small.into_iter().filter(|s| s.width < block.width && s.height < block.height);
        return [wide, one].into_iter().chain(smaller).collect();
    }
    // Strips, as most formats have.
    let rows = |pixels: usize| cut(size.width, (pixels / size.width.max(1)).next_multiple_of(16).max(16));
    let strips = [rows(PIXELS), rows(PIXELS / 4), rows(PIXELS / 16)];
    strips.into_iter().chain(small).collect()
}

/// Bytes in flight of the dearest window of a size, about: where most inputs lie over each other.
pub(in crate::job) fn dearest(plan: &Plan, window: Size) -> usize {
    let size = plan.grid.size;
    let centres = plan
        .layers
        .iter()
        .map(|l| (l.covers.x + l.covers.width as i64 / 2, l.covers.y + l.covers.height as i64 / 2));
    let at = |v: i64, step: usize| v.div_euclid(step as i64) * step as i64;
    let windows = centres.map(|(x, y)| {
        Window::new(at(x, window.width), at(y, window.height), window.width, window.height)
            .intersection(&size.window())
    });
    windows.map(|w| cost(plan, &w)).max().unwrap_or(0)
}

/// Bytes in flight of a window: what is read for it, what is resampled, the result, and the copy that is packed.
pub(in crate::job) fn cost(plan: &Plan, window: &Window) -> usize {
    let one = |layer: &Layer| {
        let scale = layer.scale();
        let side = |length: usize, most: usize| ((length + 64) as f64 * scale + 16.0).min(most as f64);
        let source = side(window.width, layer.size.width) * side(window.height, layer.size.height);
        source as usize * layer.pixel_bytes()
    };
    let read: usize = plan.touching(window).map(|(_, layer)| one(layer)).sum();
    let drawn = (window.width + 64) * (window.height + 64) * (plan.bands * plan.working.bytes() + 1);
    let canvases = if matches!(plan.overlap, super::Overlap::Last | super::Overlap::First) { 1 } else { 2 };
    let averaged =
        if plan.overlap == super::Overlap::Average { window.area() * (plan.bands + 1) * 8 } else { 0 };
    let written = window.area() * plan.output_bands() * plan.sample_type.bytes();
    read + canvases * drawn + averaged + 2 * written + (256 << 10)
}
