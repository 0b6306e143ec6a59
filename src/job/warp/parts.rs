//! A warp in parts: strips of its output, each as high as the blocks of the file. Source pixels around a border are read on both sides of it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::finish::Counted;
use super::plan::Plan;
use super::weave::Loom;
use super::{GridRequest, WarpJob, report};
use crate::block::take;
use crate::error::{Error, Result};
use crate::job::effort::Versions;
use crate::job::parts::strips::{Strip, Strips, join as join_strips};
use crate::job::parts::{Division, JoinedRaster, Made, blocks_file, same};
use crate::job::tile::identity::{Hash, add_inputs, described, fields};
use crate::pipeline::Monitor;
use crate::raster::SourceSpec;
use crate::raster::chunks::ChunkCache;
use crate::raster::cutline::CutlineSpec;
use crate::raster::losses::Skipped;
use crate::sink::Identity;
use crate::target::Target;

/// Divides a warp.
///
/// # Errors
/// Those of the plan, and [`Error::Usage`] for formats that cannot be put together from parts.
pub fn divide(job: &WarpJob) -> Result<Division> {
    let Planned { plan, strips, identity } = Planned::new(job)?;
    let costs = (0..strips.count()).map(|k| cost(&plan, &strips.window(&(k..k + 1)))).collect();
    Ok(Division { costs, tasks: "strips", identity })
}

/// Pixels that are written, and those of the inputs that are read for them.
fn cost(plan: &Plan, window: &crate::window::Window) -> u64 {
    let read = plan.touching(window).map(|(_, layer)| {
        let area = layer.covers.intersection(window).area() as f64;
        area * (1.0 + layer.scale() * layer.scale())
    });
    window.area() as u64 / 4 + read.sum::<f64>() as u64
}

/// A job that was looked at.
struct Planned {
    plan: Plan,
    strips: Strips,
    identity: Identity,
}

impl Planned {
    fn new(job: &WarpJob) -> Result<Self> {
        job.validate()?;
        let plan = Plan::new(job)?;
        let strips = Strips::new(&job.spec(&plan))?;
        let identity = identity(job, &plan)?;
        Ok(Self { plan, strips, identity })
    }
}

/// All rasters of a job.
fn sources(job: &WarpJob) -> Vec<SourceSpec> {
    job.inputs.iter().chain(&job.grid.like).cloned().collect()
}

/// The identity of a job with its plan.
fn identity(job: &WarpJob, plan: &Plan) -> Result<Identity> {
    let mut identity = Identity::default();
    let Versions { tileloom, gdal } = Versions::current();
    identity.add("the version of tileloom", tileloom);
    identity.add("the version of GDAL", gdal);
    for (name, value) in fields(&format!("{:#?}", comparable(job))) {
        identity.add(name, value);
    }
    add_inputs(&mut identity, &sources(job), job.readers)?;
    if let Some(cutline) = &job.cutline {
        identity.add("the cutline", described(&cutline.path, vec![cutline.path.clone()]));
    }
    let layers: Vec<_> = plan
        .layers
        .iter()
        .map(|l| (&l.description, &l.selection, &l.placement, l.level, l.size, &l.covers))
        .collect();
    let grid = (plan.grid.size, plan.grid.geotransform(), &plan.grid.georeferencing.wkt);
    let form = (plan.sample_type, plan.working, plan.nodata, plan.edges, &plan.palette, &plan.band_names);
    let seen = Hash::of(&(layers, grid, form, &plan.storage, &plan.stencil));
    identity.add_derived("what GDAL sees in the inputs, as a hash,", format!("{seen:016x}"));
    Ok(identity)
}

/// A job without what cannot change a pixel. The inputs are looked at on their own.
fn comparable(job: &WarpJob) -> WarpJob {
    let target = Target::new(job.target.path.file_name().map(PathBuf::from).unwrap_or_default());
    let grid = GridRequest { like: None, ..job.grid.clone() };
    let cutline = job.cutline.clone().map(|c| CutlineSpec { path: PathBuf::new(), ..c });
    let same = WarpJob { inputs: Vec::new(), target, grid, cutline, window: None, ..job.clone() };
    WarpJob { readers: 0, threads: 0, memory: 0, ..same }
}

/// Makes the strips of a stretch.
///
/// # Errors
/// As [`DivisibleJob::make`](crate::job::parts::DivisibleJob::make).
pub fn make(
    job: &WarpJob,
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
    let noted = || Ok(memo(loom.tally()));
    let outcome = super::weave(job, &plan, &loom, &cache, windows, monitor, || {
        Strip::create(&path, job.spec(&plan), stretch, noted)
    })?;
    let sealed = outcome.done;
    Ok(Made { made: sealed.pieces, skipped: Skipped::of(&job.inputs), files: vec![(path, sealed)] })
}

fn memo(counted: Counted) -> Vec<u8> {
    [counted.missing, counted.clamped, counted.moved].iter().flat_map(|n| n.to_le_bytes()).collect()
}

fn counted(mut memo: &[u8]) -> Option<Counted> {
    let mut number = || take(&mut memo).map(u64::from_le_bytes);
    Some(Counted { missing: number()?, clamped: number()?, moved: number()? })
}

/// Puts the strips of a job together.
///
/// # Errors
/// As [`DivisibleJob::join`](crate::job::parts::DivisibleJob::join).
pub fn join(job: &WarpJob, identity: &Identity, outputs: &[PathBuf]) -> Result<JoinedRaster> {
    let begun = Instant::now();
    let Planned { plan, identity: own, .. } = Planned::new(job)?;
    same(&sources(job), identity, &own)?;
    let files: Vec<PathBuf> = outputs.iter().map(|output| blocks_file(output)).collect();
    let loom = Loom::new(&plan);
    let written = join_strips(&job.target, job.spec(&plan), &files, |memos| {
        for memo in memos {
            let senseless = || Error::Internal("the notes of a shard make no sense".to_owned());
            loom.count(counted(memo).ok_or_else(senseless)?);
        }
        Ok(Vec::new())
    })?;
    let size = plan.grid.size;
    Ok(JoinedRaster {
        size: [size.width, size.height],
        bands: plan.output_bands(),
        sample_type: plan.sample_type.gdal_name(),
        bytes: written.bytes,
        above: 0,
        warnings: report::warnings(&plan, loom.tally()),
        seconds: begun.elapsed().as_secs_f64(),
    })
}
