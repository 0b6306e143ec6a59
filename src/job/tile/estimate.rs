//! What a job would take: a few of its metatiles are made and weighed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::reader::TileReader;
use super::weave::Loom;
use super::{Encoder, Plan, TileJob};
use crate::error::Result;
use crate::job::room::{self, Need};
use crate::raster::chunks::ChunkCache;
use crate::sink::{Depot, OutputKind};

/// Metatiles that are made to find out how large tiles are.
const SAMPLES: usize = 12;

/// Bytes a container needs beside each tile: directory entries, rows of an index, half a block of a file system.
const fn overhead(kind: OutputKind) -> u64 {
    match kind {
        OutputKind::Folder => 2048,
        OutputKind::Mbtiles => 120,
        OutputKind::Pmtiles => 8,
        // A header, and half a block of padding.
        OutputKind::Tar => 768,
    }
}

/// Bytes a container takes by itself: PMTiles pads its root directory to the first request of a reader, `SQLite` has a few
/// pages before the first tile.
const fn fixed(kind: OutputKind) -> u64 {
    match kind {
        OutputKind::Folder => 1 << 10,
        OutputKind::Mbtiles => 24 << 10,
        OutputKind::Pmtiles => 16 << 10,
        OutputKind::Tar => 2 << 10,
    }
}

/// The expected size of a tile set.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// Tiles that may exist at each level; those without data are not yet left out.
    pub tiles_per_zoom: BTreeMap<u8, u64>,
    /// Their sum.
    pub tiles: u64,
    /// Share of the sampled tiles that hold data.
    pub filled: f64,
    /// Expected size of the tile set.
    pub bytes: u64,
    /// Expected disk space while it is being made: an archive is assembled from a spool of the same size.
    pub disk: u64,
    /// Metatiles that were made for it, out of how many.
    pub sampled: (usize, usize),
}

impl Estimate {
    /// Makes metatiles spread evenly over the job and extrapolates.
    ///
    /// # Errors
    /// When a sampled part cannot be read.
    pub fn sample(plan: &Plan, kind: OutputKind, encoder: &Encoder) -> Result<Self> {
        let metatiles = plan.pyramid.metatiles(1);
        let stride = metatiles.len().div_ceil(SAMPLES).max(1);
        let cache = ChunkCache::new(plan.budget.chunks);
        let mut reader = TileReader::new(plan, &cache);
        let loom = Loom::new(plan, encoder, Depot::scales());
        let (mut planned, mut tiles) = (0, Vec::new());
        let chosen: Vec<_> = metatiles.iter().skip(stride / 2).step_by(stride).collect();
        for metatile in &chosen {
            loom.levels(reader.read(**metatile)?, &mut tiles)?;
            planned += plan.tiles_under(**metatile);
        }
        let bytes: u64 = tiles.iter().map(|t| u64::from(t.len)).sum();
        let filled = tiles.len() as f64 / planned.max(1) as f64;
        let mean = bytes as f64 / tiles.len().max(1) as f64;
        let tiles_per_zoom = plan.counts();
        let all: u64 = tiles_per_zoom.values().sum();
        let expected = all as f64 * filled;
        let size = (expected * mean) as u64 + expected as u64 * overhead(kind) + fixed(kind);
        let disk = if kind == OutputKind::Folder { size } else { size * 2 };
        let sampled = (chosen.len(), metatiles.len());
        Ok(Self { tiles_per_zoom, tiles: all, filled, bytes: size, disk, sampled })
    }
}

/// Whether the disk has room for the tiles. Only where it might not, some are made to find out.
pub(super) fn check_room(
    job: &TileJob,
    plan: &Plan,
    kind: OutputKind,
    encoder: &Encoder,
) -> Result<Option<String>> {
    /// Bytes of a pixel, and of what goes with a tile, at most.
    const MOST: (u64, u64) = (8, 4096);
    if job.resume && job.target.is_unfinished() {
        return Ok(None);
    }
    let need = |output: u64, certain| {
        let spool = if kind == OutputKind::Folder { 0 } else { output };
        Need { output, spool, certain }
    };
    let tiles: u64 = plan.counts().values().sum();
    let most = tiles.saturating_mul((plan.tile_size * plan.tile_size) as u64 * MOST.0 + MOST.1);
    if room::check(&job.target, need(most, false))?.is_none() {
        return Ok(None);
    }
    let expected = Estimate::sample(plan, kind, encoder)?.bytes;
    // Half of an estimate is as good as certain.
    room::check(&job.target, need(expected / 2, true))?;
    room::check(&job.target, need(expected, false))
}
