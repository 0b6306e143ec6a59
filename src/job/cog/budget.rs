//! Where the memory of a job goes.

use super::CogJob;
use super::plan::{Budget, Plan};
use crate::error::{Error, Result};
use crate::job::tile::GDAL_CACHE;
use crate::job::{machine, warp};
use crate::window::Size;

/// Resident bytes of the program and the libraries it loads, before any pixel.
const PROGRAM: usize = 64 << 20;

/// What it takes to get at the pixels of metatiles.
pub(super) struct Demand {
    /// How inputs are read.
    pub reads: Vec<Read>,
    /// Bytes in flight to make the pixels of a metatile, beside those of the pixels.
    pub making: usize,
}

impl Demand {
    /// That of a plan whose pixels come from its inputs.
    pub fn of(plan: &Plan) -> Self {
        let side = Size::new(plan.side(), plan.side());
        let making = plan.warp.as_ref().map_or(0, |onto| warp::budget::dearest(onto, side));
        Self { reads: reads(plan).collect(), making }
    }
}

/// Shares out the memory of a job.
///
/// # Errors
/// [`Error::Memory`] with the least that would do.
pub(super) fn share_out(plan: &Plan, job: &CogJob, demand: &Demand) -> Result<Budget> {
    let pixel = plan.pixel_bytes();
    let fixed = PROGRAM
        + GDAL_CACHE
        + index(plan)
        + machine::threads_memory(job.readers, job.threads)
        + job.threads * compressor(plan);
    let largest = demand.reads.iter().map(|r| r.chunk.area() * r.pixel).max().unwrap_or(0);
    let least_chunks = largest * (job.readers + 1);
    let task = cost(plan) + demand.making;
    // A node that waits for margins waits longer, but its margins are thin.
    let widest = plan.side() / plan.block;
    let wide = if plan.reduces_locally() { 1 } else { 4 * widest };
    let quarter = (plan.block / 2).pow(2) * pixel;
    let pyramid = |swath| plan.pyramid.most_waiting(swath) * quarter * wide;
    let least = fixed + pyramid(1) + least_chunks + task;
    if least > job.memory {
        return Err(Error::Memory(format!(
            "--memory {}M is not enough for this job; the least that would do is --memory {}M{}",
            job.memory >> 20,
            least.div_ceil(1 << 20),
            if plan.block > 128 { ", or smaller blocks (--co BLOCKSIZE)" } else { "" }
        )));
    }
    let spare = job.memory - least;
    let chunks = least_chunks + spare * 2 / 5;
    let swath = swath(plan.side(), &demand.reads, chunks);
    let reserve = pyramid(swath).min(pyramid(1) + spare / 5);
    let in_flight = job.memory - fixed - reserve - chunks;
    Ok(Budget { fixed, pyramid: reserve, chunks, in_flight, task, swath })
}

/// Bytes that the tables of a compressor take on each thread, at its default effort.
fn compressor(plan: &Plan) -> usize {
    let method = plan.creation().iter().find_map(|option| option.strip_prefix("COMPRESS="));
    match method {
        Some("ZSTD" | "LERC_ZSTD") => 8 << 20,
        Some("LZMA") => 96 << 20,
        _ => 0,
    }
}

/// Bytes of the list of blocks, and of the directories made of it.
fn index(plan: &Plan) -> usize {
    let blocks: usize = (0..plan.levels.len()).map(|level| plan.spec.blocks(level).area()).sum();
    blocks * if plan.spec.mask { 104 } else { 64 }
}

/// Refuses rasters of so many blocks that a mere list of them does not fit into memory.
///
/// # Errors
/// [`Error::Memory`].
pub(super) fn check_index(levels: &[Size], block: usize, job: &CogJob) -> Result<()> {
    const LISTED: usize = 104;
    let blocks = |level: &Size| level.width.div_ceil(block).saturating_mul(level.height.div_ceil(block));
    let all = levels.iter().map(blocks).fold(0usize, usize::saturating_add);
    let bytes = all.saturating_mul(LISTED);
    if bytes <= job.memory {
        return Ok(());
    }
    Err(Error::Memory(format!(
        "{all} blocks are too many to be listed in --memory {}M: larger blocks (--co BLOCKSIZE), or --memory {}M",
        job.memory >> 20,
        bytes.saturating_add(PROGRAM).div_ceil(1 << 20).saturating_mul(2)
    )))
}

/// Bytes in flight of a metatile once there are pixels: as they are read, taken apart, reduced, put together, and packed.
fn cost(plan: &Plan) -> usize {
    let area = plan.side() * plan.side();
    let pixel = plan.pixel_bytes();
    let parts = if plan.grouping.is_plain() { 1 } else { 2 };
    let block = plan.block * plan.block * pixel;
    area * pixel * (2 + parts) + area * pixel / 3 * 2 + 3 * block + (1 << 20)
}

/// How an input is read.
#[derive(Debug, Clone, Copy)]
pub(in crate::job) struct Read {
    /// Columns and rows of a chunk.
    pub chunk: Size,
    /// Bytes of a pixel.
    pub pixel: usize,
    /// Columns.
    pub width: usize,
    /// Columns along a pixel of the output.
    pub scale: f64,
    /// Whether its blocks reach from one side to the other.
    pub striped: bool,
}

/// How inputs are read.
fn reads(plan: &Plan) -> impl Iterator<Item = Read> + '_ {
    let pixel = plan.pixel_bytes();
    let own = plan.layers.iter().map(move |l| Read {
        chunk: l.layout.chunk(),
        pixel,
        width: l.place.width,
        scale: 1.0,
        striped: l.description.block.width >= l.description.size.width,
    });
    let warped = plan.warp.iter().flat_map(|onto| &onto.layers).map(warp::Layer::read);
    own.chain(warped)
}

/// As many columns of metatiles as can share source blocks between one row of metatiles and the next; all where none are shared.
fn swath(side: usize, reads: &[Read], chunks: usize) -> u32 {
    let row_bytes = |metatiles: usize| {
        let one = |r: &Read| {
            let along = |pixels: usize| (pixels as f64 * r.scale) as usize;
            let width = (along(metatiles * side) + r.chunk.width).min(r.width).max(r.chunk.width);
            width * (along(side) + 2 * r.chunk.height) * r.pixel
        };
        reads.iter().map(one).max().unwrap_or(0)
    };
    if reads.iter().any(|r| r.striped) {
        // A strip reaches from one side to the other: the whole row is worked through, or its strips are read for each part of it.
        return 1 << 16;
    }
    (0..=16).map(|k| 1u32 << k).take_while(|s| row_bytes(*s as usize) <= chunks).last().unwrap_or(1)
}
