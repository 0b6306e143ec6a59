//! A warp whose result is a cloud-optimised `GeoTIFF`: its windows are the metatiles of one, which packs and reduces them in the same
//! pass.

use super::plan::{Layer, Plan};
use super::reader::{WarpReader, Weft};
use super::weave::Loom;
use super::{Budget, WarpJob, budget};
use crate::block::Block;
use crate::error::Result;
use crate::job::cog::{Asked, Made, Making, Stored, Supply};
use crate::pipeline::{Monitor, Outcome};
use crate::raster::chunks::ChunkCache;
use crate::window::Window;

/// Plans the COG of a warp, from which its windows and memory follow.
///
/// # Errors
/// Those of [`Made::new`].
pub(super) fn plan(job: &WarpJob, plan: &mut Plan) -> Result<()> {
    let asked = Asked {
        target: &job.target,
        creation_options: &job.creation_options,
        overview_resampling: job.overviews,
        readers: job.readers,
        threads: job.threads,
        memory: job.memory,
    };
    let making = Making {
        reads: plan.layers.iter().map(Layer::read).collect(),
        cost: &|window| budget::dearest(plan, window),
        side: job.window,
        grid: "-t_srs, -tr, -te, --like",
    };
    let cog = Made::new(&job.spec(plan), &asked, &making)?;
    plan.guesses.extend(cog.plan.guesses.iter().cloned());
    plan.notes.extend(cog.plan.notes.iter().cloned());
    plan.storage.options = cog.plan.creation().to_vec();
    (plan.window, plan.budget) = (cog.window(), Budget::of(&cog));
    plan.cog = Some(Box::new(cog));
    Ok(())
}

/// The pixels of a warp's result.
struct Results<'a> {
    plan: &'a Plan,
    cog: &'a Made,
    loom: &'a Loom<'a>,
    cache: &'a ChunkCache,
}

impl<'a> Supply for Results<'a> {
    type Reader = WarpReader<'a>;
    type Read = Weft;

    fn open(&self) -> WarpReader<'a> {
        WarpReader::new(self.plan, self.cache)
    }

    fn read(&self, reader: &mut WarpReader<'a>, window: Window) -> Result<Weft> {
        reader.read(window)
    }

    fn make(&self, read: Weft) -> Result<Block> {
        self.cog.plan.seen(&self.loom.weave(read)?)
    }
}

/// Resamples and writes.
///
/// # Errors
/// Those of [`super::run`].
pub(super) fn run(
    plan: &Plan,
    cog: &Made,
    loom: &Loom<'_>,
    cache: &ChunkCache,
    monitor: &Monitor,
) -> Result<Outcome<(u64, Stored)>> {
    cog.run(&Results { plan, cog, loom, cache }, monitor, || Ok(None))
}
