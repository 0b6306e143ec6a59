//! A COG in parts: stretches along a curve through its pyramid, whole subtrees that each part makes down to their roots. The few
//! reduced pixels that blocks above still need are left with the blocks, which are copied when all parts are put together.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::plan::{Budget, Plan};
use super::weave::Loom;
use super::{CogJob, Error, Result, statistics};
use crate::grid::TileCoord;
use crate::job::effort::Versions;
use crate::job::parts::{Division, JoinedRaster, Made, blocks_file, same};
use crate::job::tile::identity::{Hash, add_inputs, fields};
use crate::job::tile::parts::along;
use crate::parcel::Sealed;
use crate::pipeline::{Monitor, Sink};
use crate::raster::SourceSpec;
use crate::raster::chunks::ChunkCache;
use crate::raster::losses::Skipped;
use crate::sink::Identity;
use crate::sink::cog::{CogBlock, CogPart, CogPartWriter, CogWriter};
use crate::target::Target;

/// Divides a job.
///
/// # Errors
/// Those of the plan.
pub fn divide(job: &CogJob) -> Result<Division> {
    let Planned { plan, order, identity } = Planned::new(job)?;
    let costs = order.iter().map(|metatile| cost(&plan, *metatile)).collect();
    Ok(Division { costs, tasks: "metatiles", identity })
}

/// Pixels of a metatile: a quarter where there is nothing to read.
fn cost(plan: &Plan, metatile: TileCoord) -> u64 {
    let window = plan.window(metatile);
    let place = |k: usize| plan.layers[k].place.intersection(&window).area() as u64;
    let read: u64 = plan.places.touching(&window).into_iter().map(place).sum();
    (window.area() as u64 + 3 * read) / 4
}

/// A job that was looked at.
struct Planned {
    plan: Plan,
    /// The metatiles along the curve.
    order: Vec<TileCoord>,
    identity: Identity,
}

impl Planned {
    fn new(job: &CogJob) -> Result<Self> {
        job.validate()?;
        let plan = Plan::new(job)?;
        let mut order = plan.pyramid.metatiles(1);
        order.sort_by_key(|tile| along(*tile, tile.z));
        let identity = identity(job, &plan)?;
        Ok(Self { plan, order, identity })
    }
}

/// The identity of a job with its plan.
fn identity(job: &CogJob, plan: &Plan) -> Result<Identity> {
    let mut identity = Identity::default();
    let Versions { tileloom, gdal } = Versions::current();
    identity.add("the version of tileloom", tileloom);
    identity.add("the version of GDAL", gdal);
    let target = Target::new(job.target.path.file_name().map(PathBuf::from).unwrap_or_default());
    let comparable = CogJob { inputs: Vec::new(), target, readers: 0, threads: 0, memory: 0, ..job.clone() };
    for (name, value) in fields(&format!("{comparable:#?}")) {
        identity.add(name, value);
    }
    add_inputs(&mut identity, &job.inputs, job.readers)?;
    let mut seen = Plan { budget: Budget::default(), guesses: Vec::new(), notes: Vec::new(), ..plan.clone() };
    seen.layers.iter_mut().for_each(|layer| layer.spec = SourceSpec::default());
    (seen.spec.image.source, seen.spec.overview.source) = (SourceSpec::default(), SourceSpec::default());
    let seen = Hash::of(&seen);
    identity.add_derived("what GDAL sees in the inputs, as a hash,", format!("{seen:016x}"));
    Ok(identity)
}

/// A part that is being made.
struct Parked<'a> {
    writer: CogPartWriter,
    loom: &'a Loom<'a>,
}

impl Sink for Parked<'_> {
    type Item = CogBlock;
    type Done = Sealed;
    type Error = Error;

    fn write(&mut self, block: CogBlock) -> Result<()> {
        self.writer.write(&block)
    }

    fn finish(self) -> Result<Sealed> {
        self.writer.finish(&self.loom.left())
    }
}

/// Makes the metatiles of a stretch.
///
/// # Errors
/// As [`DivisibleJob::make`](crate::job::parts::DivisibleJob::make).
pub fn make(
    job: &CogJob,
    stretch: Range<usize>,
    identity: &Identity,
    output: &Path,
    monitor: &Monitor,
    planned: impl FnOnce(usize),
) -> Result<Made> {
    let Planned { plan, order, identity: own } = Planned::new(job)?;
    same(&job.inputs, identity, &own)?;
    let path = blocks_file(output);
    let cache = ChunkCache::new(plan.budget.chunks);
    let loom = Loom::new(&plan);
    let mut tasks = order.get(stretch).unwrap_or_default().to_vec();
    tasks.sort_unstable_by_key(|t| (t.x / plan.budget.swath.max(1), t.y, t.x));
    planned(tasks.len());
    let outcome = super::weave(job, &plan, &loom, &cache, tasks, monitor, || {
        let writer = CogPartWriter::create(&path, plan.spec.clone())?;
        Ok(Parked { writer, loom: &loom })
    })?;
    let sealed = outcome.done;
    Ok(Made { made: sealed.pieces, skipped: Skipped::of(&job.inputs), files: vec![(path, sealed)] })
}

/// Puts the parts of a job together.
///
/// # Errors
/// As [`DivisibleJob::join`](crate::job::parts::DivisibleJob::join).
pub fn join(job: &CogJob, identity: &Identity, outputs: &[PathBuf]) -> Result<JoinedRaster> {
    let begun = Instant::now();
    let Planned { plan, identity: own, .. } = Planned::new(job)?;
    same(&job.inputs, identity, &own)?;
    let parts = outputs.iter().map(|output| CogPart::open(&blocks_file(output)));
    let parts = parts.collect::<Result<Vec<_>>>()?;
    let loom = Loom::new(&plan);
    let mut writer = CogWriter::create(&job.target, plan.spec.clone())?;
    let mut above = 0;
    for part in &parts {
        writer.adopt(part)?;
        for block in loom.recall(part.memo())? {
            above += 1;
            writer.write(&block)?;
        }
    }
    let written = writer.finish(statistics(&plan, &loom))?;
    let size = plan.levels[0];
    Ok(JoinedRaster {
        size: [size.width, size.height],
        bands: plan.bands(),
        sample_type: plan.sample_type().gdal_name(),
        bytes: written.bytes,
        above,
        warnings: Vec::new(),
        seconds: begun.elapsed().as_secs_f64(),
    })
}
