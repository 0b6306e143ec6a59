//! COGs of pixels that other jobs make: what `calc` and `warp` write as one in the same pass.

use std::sync::Arc;

use super::budget::Read;
use super::plan::Plan;
use super::report::Stored;
use super::supply::Supply;
use super::{CogJob, Result, Statistics, run_made};
use crate::job::room::Need;
use crate::pipeline::{Monitor, Outcome};
use crate::raster::DatasetSpec;
use crate::raster::standin::StandIn;
use crate::resampling::Resampling;
use crate::target::Target;
use crate::window::Size;

/// Pixels that are made on the way instead of being read from an input.
pub(in crate::job) struct Making<'a> {
    /// How the inputs of what makes them are read.
    pub reads: Vec<Read>,
    /// Bytes in flight to make a window of a size.
    pub cost: &'a dyn Fn(Size) -> usize,
    /// Side that windows should have, if a block is no larger.
    pub side: Option<usize>,
    /// The options that say on which grid they lie.
    pub grid: &'a str,
}

/// What is asked of the file.
pub(in crate::job) struct Asked<'a> {
    pub target: &'a Target,
    pub creation_options: &'a [String],
    /// How overviews are made, whatever the creation options say.
    pub overview_resampling: Option<Resampling>,
    pub readers: usize,
    pub threads: usize,
    pub memory: usize,
}

/// A COG that a job makes of its result.
#[derive(Debug, Clone)]
pub(in crate::job) struct Made {
    job: CogJob,
    /// Everything that decides the bytes of the file.
    pub plan: Plan,
    /// What the file says of itself is asked of this.
    _stand_in: Arc<StandIn>,
}

impl Made {
    /// Plans the COG that says what a raster would that is written so.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] for options that contradict the raster or each other, [`crate::Error::Memory`] when the memory allowed is not enough.
    pub fn new(spec: &DatasetSpec, asked: &Asked<'_>, making: &Making<'_>) -> Result<Self> {
        let stand_in = StandIn::new(spec)?;
        let mut job = CogJob::new(vec![stand_in.source()], asked.target.clone());
        job.creation_options = asked.creation_options.to_vec();
        job.overview_resampling = asked.overview_resampling;
        (job.readers, job.threads, job.memory) = (asked.readers, asked.threads, asked.memory);
        let plan = Plan::made(&job, spec.size, making)?;
        Ok(Self { job, plan, _stand_in: Arc::new(stand_in) })
    }

    /// Columns and rows of the windows that are made.
    pub fn window(&self) -> Size {
        let (side, all) = (self.plan.side(), self.plan.levels[0]);
        Size::new(side.min(all.width), side.min(all.height))
    }

    /// What it takes on the disk.
    pub fn need(&self) -> Need {
        self.plan.need()
    }

    /// Makes the file of the pixels that `supply` gives. `told` gives the statistics of its bands, unless they are computed here, or
    /// says why it must not be finished. Gives the size of the file and how it is stored.
    ///
    /// # Errors
    /// As [`super::run`].
    pub fn run(
        &self,
        supply: &impl Supply,
        monitor: &Monitor,
        told: impl FnOnce() -> Result<Option<Statistics>> + Send,
    ) -> Result<Outcome<(u64, Stored)>> {
        let Outcome { done, stats } = run_made(&self.job, &self.plan, supply, monitor, told)?;
        Ok(Outcome { done: (done.bytes, Stored::new(&self.plan, &done)), stats })
    }
}
