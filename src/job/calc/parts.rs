//! A calculation in parts: strips of its output, each as high as the blocks of the file. What an operation needs of the pixels around is
//! read on both sides of a border.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::plan::Plan;
use super::statistics::BandSums;
use super::weave::{Loom, Tally};
use super::{CalcInput, CalcJob, check, report};
use crate::block::take;
use crate::error::{Error, Result};
use crate::job::effort::Versions;
use crate::job::parts::strips::{Strip, Strips, join as join_strips};
use crate::job::parts::{Division, JoinedRaster, Made, blocks_file, same};
use crate::job::tile::identity::{Hash, add_inputs, fields};
use crate::pipeline::Monitor;
use crate::raster::SourceSpec;
use crate::raster::chunks::ChunkCache;
use crate::raster::losses::Skipped;
use crate::sink::Identity;
use crate::target::Target;

/// Divides a calculation.
///
/// # Errors
/// Those of the plan, and [`Error::Usage`] for formats that cannot be put together from parts.
pub fn divide(job: &CalcJob) -> Result<Division> {
    let Planned { strips, identity, .. } = Planned::new(job)?;
    let costs = (0..strips.count()).map(|k| strips.window(&(k..k + 1)).area() as u64).collect();
    Ok(Division { costs, tasks: "strips", identity })
}

/// A job that was looked at.
struct Planned {
    plan: Plan,
    strips: Strips,
    identity: Identity,
}

impl Planned {
    fn new(job: &CalcJob) -> Result<Self> {
        job.validate()?;
        let plan = Plan::new(job)?;
        let strips = Strips::new(&job.spec(&plan))?;
        let identity = identity(job, &plan)?;
        Ok(Self { plan, strips, identity })
    }
}

/// All rasters of a job.
fn sources(job: &CalcJob) -> Vec<SourceSpec> {
    job.inputs.iter().map(|input| &input.source).chain(&job.like).cloned().collect()
}

/// The identity of a job with its plan.
fn identity(job: &CalcJob, plan: &Plan) -> Result<Identity> {
    let mut identity = Identity::default();
    let Versions { tileloom, gdal } = Versions::current();
    identity.add("the version of tileloom", tileloom);
    identity.add("the version of GDAL", gdal);
    for (name, value) in fields(&format!("{:#?}", comparable(job))) {
        identity.add(name, value);
    }
    add_inputs(&mut identity, &sources(job), job.readers)?;
    let layers: Vec<_> =
        plan.layers.iter().map(|l| (&l.description, &l.selection, &l.placement, l.masked)).collect();
    let grid = (plan.grid.size, plan.grid.geotransform(), &plan.grid.georeferencing.wkt);
    let form = (&plan.form, &plan.storage, &plan.band_names, &plan.quantities, &plan.palette);
    // With what operations have read from files of their own.
    let seen = Hash::of(&(layers, grid, form, &plan.slots, plan.resampling, plan.overviews, &plan.chain));
    identity.add_derived("what GDAL sees in the inputs, as a hash,", format!("{seen:016x}"));
    Ok(identity)
}

/// A job without what cannot change a pixel. The inputs are looked at on their own.
fn comparable(job: &CalcJob) -> CalcJob {
    let target = Target::new(job.target.path.file_name().map(PathBuf::from).unwrap_or_default());
    let named = |input: &CalcInput| CalcInput { source: SourceSpec::default(), ..input.clone() };
    let inputs = job.inputs.iter().map(named).collect();
    let same = CalcJob { inputs, target, like: None, window: None, ..job.clone() };
    CalcJob { readers: 0, threads: 0, memory: 0, ..same }
}

/// Makes the strips of a stretch.
///
/// # Errors
/// As [`DivisibleJob::make`](crate::job::parts::DivisibleJob::make).
pub fn make(
    job: &CalcJob,
    stretch: Range<usize>,
    identity: &Identity,
    output: &Path,
    monitor: &Monitor,
    planned: impl FnOnce(usize),
) -> Result<Made> {
    let Planned { plan, strips, identity: own } = Planned::new(job)?;
    same(&sources(job), identity, &own)?;
    let path = blocks_file(output);
    let cache = ChunkCache::new(plan.budget.chunks);
    let loom = Loom::new(&plan);
    let windows = strips.windows(&stretch, plan.window);
    planned(windows.len());
    let noted = || {
        check(job, &plan, &loom.tally())?;
        Ok(memo(&loom))
    };
    let outcome = super::weave(job, &plan, &loom, &cache, windows, monitor, || {
        Strip::create(&path, job.spec(&plan), stretch, noted)
    })?;
    let sealed = outcome.done;
    let skipped = Skipped::of(job.inputs.iter().map(|input| &input.source));
    Ok(Made { made: sealed.pieces, skipped, files: vec![(path, sealed)] })
}

/// What was counted of each band: the tally, and the sums if there are any.
fn memo(loom: &Loom<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for tally in loom.tally() {
        for number in [tally.missing, tally.undefined, tally.clamped, tally.disguised] {
            bytes.extend(number.to_le_bytes());
        }
    }
    loom.sums(|sums| sums.put(&mut bytes));
    bytes
}

/// Takes what was counted in a part into account.
fn recall(loom: &Loom<'_>, mut memo: &[u8]) -> Option<()> {
    let memo = &mut memo;
    let mut number = || take(memo).map(u64::from_le_bytes);
    let mut tally =
        || Some(Tally { missing: number()?, undefined: number()?, clamped: number()?, disguised: number()? });
    let tallies = loom.tally().iter().map(|_| tally()).collect::<Option<Vec<_>>>()?;
    loom.count(&tallies);
    let mut sound = Some(());
    loom.sums(|sums| match BandSums::take(memo) {
        Some(other) => sums.merge(&other),
        None => sound = None,
    });
    sound.filter(|()| memo.is_empty())
}

/// Puts the strips of a job together.
///
/// # Errors
/// As [`DivisibleJob::join`](crate::job::parts::DivisibleJob::join).
pub fn join(job: &CalcJob, identity: &Identity, outputs: &[PathBuf]) -> Result<JoinedRaster> {
    let begun = Instant::now();
    let Planned { plan, identity: own, .. } = Planned::new(job)?;
    same(&sources(job), identity, &own)?;
    let files: Vec<PathBuf> = outputs.iter().map(|output| blocks_file(output)).collect();
    let loom = Loom::new(&plan);
    let written = join_strips(&job.target, job.spec(&plan), &files, |memos| {
        let senseless = || Error::Internal("the notes of a shard make no sense".to_owned());
        memos.iter().try_for_each(|memo| recall(&loom, memo).ok_or_else(senseless))?;
        Ok(loom.statistics())
    })?;
    let size = plan.grid.size;
    Ok(JoinedRaster {
        size: [size.width, size.height],
        bands: plan.bands(),
        sample_type: plan.form.sample_type.gdal_name(),
        bytes: written.bytes,
        above: 0,
        warnings: report::warnings(job, &plan, &loom.tally()),
        seconds: begun.elapsed().as_secs_f64(),
    })
}
