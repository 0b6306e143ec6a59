//! Jobs in parts that know nothing of each other, to be made on as many machines as there are: what all commands that can be divided so
//! have in common.
//!
//! A job is a row of tasks (metatiles, or strips of a raster), and a part is a stretch of it. What is made of a part is left in files
//! beside a given name; when all are there they are put together, to the bytes that one machine would have made.

pub(in crate::job) mod strips;

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::job::calc::{CalcJob, parts as calc};
use crate::job::cog::{CogJob, parts as cog};
use crate::job::tile::{TileJob, parts as tile};
use crate::job::warp::{WarpJob, parts as warp};
use crate::parcel::Sealed;
use crate::pipeline::Monitor;
use crate::raster::SourceSpec;
use crate::raster::losses::Skipped;
use crate::sink::{Identity, OutputKind};
use crate::target::{Shape, Target};

/// A job that can be divided.
#[derive(Debug, Clone)]
pub enum DivisibleJob {
    /// Tiles.
    Tile(Box<TileJob>),
    /// A calculation.
    Calc(Box<CalcJob>),
    /// A warp.
    Warp(Box<WarpJob>),
    /// A cloud-optimised `GeoTIFF`.
    Cog(Box<CogJob>),
}

/// What a job is divided into.
#[derive(Debug, Clone)]
pub struct Division {
    /// What its tasks cost, in the order of the job: tiles, or pixels.
    pub costs: Vec<u64>,
    /// What its tasks are, in the plural.
    pub tasks: &'static str,
    /// All that decides the bytes.
    pub identity: Identity,
}

/// What a part came to.
#[derive(Debug, Clone)]
pub struct Made {
    /// Its tiles, or blocks.
    pub made: u64,
    /// Windows of the inputs that could not be read.
    pub skipped: Skipped,
    /// What is known of its files already, by their names.
    pub files: Vec<(PathBuf, Sealed)>,
}

/// What was put together.
#[derive(Debug, Clone)]
pub enum Joined {
    /// A tile set.
    Tiles(tile::Joined),
    /// A raster.
    Raster(JoinedRaster),
}

/// A raster that was put together.
#[derive(Debug, Clone)]
pub struct JoinedRaster {
    /// Columns and rows.
    pub size: [usize; 2],
    /// Bands.
    pub bands: usize,
    /// GDAL's name of the type of its samples.
    pub sample_type: &'static str,
    /// Size of the file.
    pub bytes: u64,
    /// Blocks that no part could complete.
    pub above: u64,
    /// What looks wrong with the result.
    pub warnings: Vec<String>,
    /// Wall time.
    pub seconds: f64,
}

impl Division {
    /// Stretches of about equal cost, with the cost of each.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is not a task for each.
    pub fn parts(&self, count: usize) -> Result<Vec<(Range<usize>, u64)>> {
        let most = self.costs.len();
        if count == 0 || count > most {
            return Err(Error::Usage(format!(
                "--shards {count}: this job can be taken apart into 1 to {most}"
            )));
        }
        Ok(stretches(&self.costs, count))
    }
}

impl DivisibleJob {
    /// Where its output goes.
    pub fn target(&self) -> &Target {
        match self {
            Self::Tile(job) => &job.target,
            Self::Calc(job) => &job.target,
            Self::Warp(job) => &job.target,
            Self::Cog(job) => &job.target,
        }
    }

    /// Where its output goes, to be changed.
    pub fn target_mut(&mut self) -> &mut Target {
        match self {
            Self::Tile(job) => &mut job.target,
            Self::Calc(job) => &mut job.target,
            Self::Warp(job) => &mut job.target,
            Self::Cog(job) => &mut job.target,
        }
    }

    /// Has it use so many threads to compute and as many to read.
    pub fn set_threads(&mut self, count: usize) {
        let (threads, readers) = match self {
            Self::Tile(job) => (&mut job.threads, &mut job.readers),
            Self::Calc(job) => (&mut job.threads, &mut job.readers),
            Self::Warp(job) => (&mut job.threads, &mut job.readers),
            Self::Cog(job) => (&mut job.threads, &mut job.readers),
        };
        (*threads, *readers) = (count, count);
    }

    /// Finds out whether the output could be written.
    ///
    /// # Errors
    /// Those of [`Target::check`].
    pub fn check_target(&self) -> Result<()> {
        match self {
            Self::Tile(job) => job.target.check(OutputKind::from_path(&job.target.path)?),
            Self::Calc(_) | Self::Warp(_) | Self::Cog(_) => self.target().check(Shape::File),
        }
    }

    /// Plans it.
    ///
    /// # Errors
    /// Those of its plan, and [`Error::Usage`] for jobs that cannot be taken apart.
    pub fn divide(&self) -> Result<Division> {
        match self {
            Self::Tile(job) => {
                let division = tile::Division::new(job)?;
                let costs = division.costs().to_vec();
                Ok(Division { costs, tasks: "metatiles", identity: division.identity })
            }
            Self::Calc(job) => calc::divide(job),
            Self::Warp(job) => warp::divide(job),
            Self::Cog(job) => cog::divide(job),
        }
    }

    /// Makes a part of it: the tasks of a stretch. What comes of them is left beside `output`, the output's name in a folder of the
    /// part's own. `planned` is called with the number of steps before work begins.
    ///
    /// # Errors
    /// Everything that can go wrong in a run; [`Error::Changed`] when `identity` is not that of the job any more.
    pub fn make(
        &self,
        stretch: Range<usize>,
        identity: &Identity,
        output: &Path,
        monitor: &Monitor,
        planned: impl FnOnce(usize),
    ) -> Result<Made> {
        match self {
            Self::Tile(job) => {
                let made = tile::make(job, stretch, identity, output, monitor, planned)?;
                Ok(Made { made: made.tiles, skipped: made.skipped, files: Vec::new() })
            }
            Self::Calc(job) => calc::make(job, stretch, identity, output, monitor, planned),
            Self::Warp(job) => warp::make(job, stretch, identity, output, monitor, planned),
            Self::Cog(job) => cog::make(job, stretch, identity, output, monitor, planned),
        }
    }

    /// Puts its parts together. `outputs` are the names that were given to [`DivisibleJob::make`], in the order of the stretches.
    ///
    /// # Errors
    /// [`Error::Output`] when a part is damaged or the disk refuses, [`Error::Changed`] when the job is no longer what was planned.
    /// Nothing then stands under the output's name that did not stand there before.
    pub fn join(&self, identity: &Identity, outputs: &[PathBuf]) -> Result<Joined> {
        match self {
            Self::Tile(job) => tile::join(job, identity, outputs).map(Joined::Tiles),
            Self::Calc(job) => calc::join(job, identity, outputs).map(Joined::Raster),
            Self::Warp(job) => warp::join(job, identity, outputs).map(Joined::Raster),
            Self::Cog(job) => cog::join(job, identity, outputs).map(Joined::Raster),
        }
    }
}

/// The file that holds what a part of a raster came to.
pub(in crate::job) fn blocks_file(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".blocks");
    name.into()
}

/// Refuses what is no longer the job that was planned.
///
/// # Errors
/// [`Error::Changed`] with what differs.
pub(in crate::job) fn same(inputs: &[SourceSpec], planned: &Identity, now: &Identity) -> Result<()> {
    let differences = now.differences(planned);
    if differences.is_empty() {
        return Ok(());
    }
    let path = inputs.first().map(|input| input.path.display().to_string()).unwrap_or_default();
    let shown = differences.iter().take(4).map(String::as_str).collect::<Vec<_>>().join("; ");
    Err(Error::Changed(format!("{path}: is not what was planned: {shown}. Plan anew")))
}

/// Cuts a row of costs into `count` stretches of about equal sums, none of them empty.
fn stretches(costs: &[u64], count: usize) -> Vec<(Range<usize>, u64)> {
    let total: u64 = costs.iter().sum();
    let (mut all, mut from, mut before) = (Vec::new(), 0, 0u64);
    for part in 1..=count {
        let goal = (u128::from(total) * part as u128 / count as u128) as u64;
        let last = costs.len() - (count - part);
        let (mut to, mut sum) = (from + 1, before + costs[from]);
        while to < last && (part == count || sum + costs[to] / 2 < goal) {
            sum += costs[to];
            to += 1;
        }
        all.push((from..to, sum - before));
        (from, before) = (to, sum);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cost_about_the_same_and_leave_nothing_out() {
        let costs: Vec<u64> = (0..1000).map(|k| 1 + k * 7919 % 100).collect();
        let total: u64 = costs.iter().sum();
        for count in [1, 2, 7, 100, 999, 1000] {
            let parts = stretches(&costs, count);
            assert_eq!(parts.len(), count);
            assert_eq!((parts[0].0.start, parts[count - 1].0.end), (0, costs.len()));
            assert!(parts.windows(2).all(|pair| pair[0].0.end == pair[1].0.start));
            assert!(parts.iter().all(|(range, cost)| {
                !range.is_empty() && *cost == costs[range.clone()].iter().sum::<u64>()
            }));
            let mean = total / count as u64;
            assert!(parts.iter().all(|(_, cost)| *cost <= mean + 200), "{count}: {parts:?}");
        }
    }
}
