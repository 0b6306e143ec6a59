//! A calculation whose result is a cloud-optimised `GeoTIFF`: its windows are the metatiles of one, which packs and reduces them in the
//! same pass.

use super::grid::Placement;
use super::plan::{Budget, Layer, Plan};
use super::reader::{CalcReader, Weft};
use super::weave::Loom;
use super::{CalcJob, OverviewChoice, budget, check};
use crate::block::Block;
use crate::error::Result;
use crate::job::cog::{Asked, Made, Making, Read, Stored, Supply};
use crate::pipeline::{Monitor, Outcome};
use crate::raster::chunks::ChunkCache;
use crate::raster::template::Statistics;
use crate::window::Window;

impl Layer {
    /// How it is read, to make a COG.
    fn read(&self) -> Read {
        let (chunk, pixel, width) = (self.layout.chunk(), self.pixel_bytes(), self.description.size.width);
        match self.placement {
            Placement::Aligned(_) => {
                Read { chunk, pixel, width, scale: 1.0, striped: self.description.block.width >= width }
            }
            Placement::Warped { scale } => Read { chunk, pixel, width, scale, striped: false },
        }
    }
}

/// Plans the COG of a calculation, from which its windows and memory follow.
///
/// # Errors
/// Those of [`Made::new`].
pub(super) fn plan(job: &CalcJob, plan: &mut Plan) -> Result<()> {
    let asked = Asked {
        target: &job.target,
        creation_options: &job.creation_options,
        overview_resampling: match job.overviews {
            OverviewChoice::By(method) => Some(method),
            OverviewChoice::None | OverviewChoice::Auto => None,
        },
        readers: job.readers,
        threads: job.threads,
        memory: job.memory,
    };
    let making = Making {
        reads: plan.layers.iter().map(Layer::read).collect(),
        cost: &|window| budget::cost(plan, window),
        side: job.window,
        grid: "--like",
    };
    let cog = Made::new(&job.spec(plan), &asked, &making)?;
    plan.overviews = (cog.plan.levels.len() > 1).then_some(cog.plan.overview_resampling);
    plan.guesses.extend(cog.plan.guesses.iter().cloned());
    plan.notes.extend(cog.plan.notes.iter().cloned());
    plan.storage.options = cog.plan.creation().to_vec();
    (plan.window, plan.budget) = (cog.window(), Budget::of(&cog));
    plan.cog = Some(Box::new(cog));
    Ok(())
}

/// The pixels of a calculation's result.
struct Results<'a> {
    plan: &'a Plan,
    cog: &'a Made,
    loom: &'a Loom<'a>,
    cache: &'a ChunkCache,
}

impl<'a> Supply for Results<'a> {
    type Reader = CalcReader<'a>;
    type Read = Weft;

    fn open(&self) -> CalcReader<'a> {
        CalcReader::new(self.plan, self.cache)
    }

    fn read(&self, reader: &mut CalcReader<'a>, window: Window) -> Result<Weft> {
        reader.read(window)
    }

    fn make(&self, read: Weft) -> Result<Block> {
        self.cog.plan.seen(&self.loom.weave(read)?)
    }
}

/// Computes and writes.
///
/// # Errors
/// Those of [`super::run`].
pub(super) fn run(
    job: &CalcJob,
    plan: &Plan,
    cog: &Made,
    loom: &Loom<'_>,
    cache: &ChunkCache,
    monitor: &Monitor,
) -> Result<Outcome<(u64, Stored)>> {
    cog.run(&Results { plan, cog, loom, cache }, monitor, || {
        check(job, plan, &loom.tally())?;
        Ok(plan.statistics.then(|| Statistics::Computed(loom.statistics())))
    })
}
