//! Where a split's memory goes.

use super::SplitJob;
use super::plan::{Budget, Plan};
use crate::error::{Error, Result};
use crate::job::calc::grid::Placement;
use crate::job::machine;
use crate::job::tile::GDAL_CACHE;
use crate::window::Size;

/// Resident bytes of the program and the libraries it loads, before any pixel.
const PROGRAM: usize = 64 << 20;

/// Places in flight for each thread that reads or computes, where there is memory for them.
const DEPTH: usize = 6;

/// Bytes in flight at least, so that small chips do not wait for each other.
const LEAST: usize = 16 << 20;

/// How the memory is shared out.
///
/// # Errors
/// [`Error::Memory`] with the least that would do.
pub(super) fn share_out(plan: &Plan, job: &SplitJob) -> Result<Budget> {
    let kept = plan.layers.iter().map(|l| l.encoder.kept_bytes(plan.largest())).max().unwrap_or(0);
    let threads = machine::threads_memory(job.readers, job.threads);
    let fixed = PROGRAM + GDAL_CACHE + records(plan) + kept * job.threads + threads;
    let chunk = plan.layers.iter().map(|l| l.layout.chunk().area() * l.pixel_bytes()).max().unwrap_or(0);
    let least_chunks = chunk * (job.readers + 1);
    let task = cost(plan, plan.largest());
    let Some(spare) = job.memory.checked_sub(fixed + least_chunks + task) else {
        return Err(Error::Memory(format!(
            "--memory {}M is not enough for this job; the least that would do is --memory {}M",
            job.memory >> 20,
            (fixed + least_chunks + task).div_ceil(1 << 20)
        )));
    };
    // What is not needed to keep all threads busy keeps blocks that neighbours will need.
    let busy = (task * DEPTH * (job.readers + job.threads)).max(LEAST);
    let in_flight = task + busy.min(spare * 3 / 5);
    Ok(Budget { fixed, chunks: job.memory - fixed - in_flight, in_flight, task })
}

/// Bytes of what is kept of every chip until the indexes are written.
fn records(plan: &Plan) -> usize {
    plan.count() * 48
}

/// Bytes in flight of a place: what is read for it, what is made of that, and the files.
pub(super) fn cost(plan: &Plan, size: Size) -> usize {
    let one = |layer: &super::inputs::Layer| {
        let pixel = layer.pixel_bytes();
        // The pixels, and the files that are made of them.
        let made = size.area() * pixel * 2;
        match layer.placement {
            Placement::Aligned(_) => size.area() * pixel + made,
            Placement::Warped { scale } => {
                let side =
                    |length: usize, most: usize| ((length + 64) as f64 * scale + 16.0).min(most as f64);
                let whole = layer.description.size;
                let source = side(size.width, whole.width) * side(size.height, whole.height);
                source as usize * pixel + (size.width + 128) * (size.height + 128) * pixel + made
            }
        }
    };
    plan.layers.iter().map(one).sum::<usize>() + (128 << 10)
}
