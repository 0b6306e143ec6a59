//! `convert`: a tile set from one container into another, every tile checked on the way.
//!
//! ```text
//! ConvertJob ──▶ Plan: addresses and sizes ──▶ readers: bytes ──▶ pool: check, store ──▶ writer: sink
//! ```
//!
//! Each reader opens the set for itself, by its path. What comes out is what [`tile`](super::tile) would have written into that
//! container: the same tiles and the same description give the same bytes.

mod plan;
mod report;

use std::path::PathBuf;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::grid::{Grid, MAX_ZOOM, TileCoord};
use crate::job::tile::Labels;
use crate::pipeline::{self, Job, Limits, Monitor, Order, Outcome};
use crate::sink::{Deposited, Depot, OutputKind, Target, TileSink, Written};
use crate::store::{self, About, TileStore};
use crate::tileset::{LayerKind, Scheme, TilesetInfo};
use plan::{Batch, Plan};

pub use report::Report;

/// A tile set, and where its copy goes. [`ConvertJob::new`] holds every default.
#[derive(Debug, Clone)]
pub struct ConvertJob {
    /// The tile set to copy.
    pub input: PathBuf,
    /// The place of the copy.
    pub target: Target,
    /// Numbering of the rows of the folder or tar archive that is read; default as it tells, else XYZ.
    pub input_scheme: Option<Scheme>,
    /// What the tiles of the folder or tar archive that is read divide; default as it tells, else Web Mercator.
    pub input_grid: Option<Grid>,
    /// Numbering of the rows of the folder or tar archive that is written; default as those that are read.
    pub scheme: Option<Scheme>,
    /// Lowest level to copy; default all.
    pub min_zoom: Option<u8>,
    /// Highest level to copy; default all.
    pub max_zoom: Option<u8>,
    /// Words for the metadata in place of the set's own. The role is [`ConvertJob::kind`].
    pub labels: Labels,
    /// Role in a map in place of the set's own.
    pub kind: Option<LayerKind>,
    /// Reader threads.
    pub readers: usize,
    /// Threads that check and store.
    pub threads: usize,
    /// Bytes the whole process should stay within.
    pub memory: usize,
}

impl ConvertJob {
    /// A job with every default, for the machine it runs on.
    pub fn new(input: impl Into<PathBuf>, target: Target) -> Self {
        let threads = super::machine::threads();
        Self {
            input: input.into(),
            target,
            input_scheme: None,
            input_grid: None,
            scheme: None,
            min_zoom: None,
            max_zoom: None,
            labels: Labels::default(),
            kind: None,
            readers: threads,
            threads,
            memory: super::machine::default_memory(threads, threads),
        }
    }

    /// Refuses options that make no sense, before any file is touched.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn validate(&self) -> Result<()> {
        if let Some(z) = [self.min_zoom, self.max_zoom].into_iter().flatten().find(|z| *z > MAX_ZOOM) {
            return Err(Error::Usage(format!("zoom {z} is out of range: 0 to {MAX_ZOOM}")));
        }
        if let (Some(min), Some(max)) = (self.min_zoom, self.max_zoom)
            && min > max
        {
            return Err(Error::Usage(format!("the lowest zoom {min} is above the highest, {max}")));
        }
        let kind = OutputKind::from_path(&self.target.path)?;
        if let (Some(_), false) = (self.scheme, kind.is_free()) {
            let name = kind.name();
            return Err(Error::Usage(format!(
                "--convention is for folders and .tar: {name} numbers rows in its own way"
            )));
        }
        let real = |path: &PathBuf| path.canonicalize().ok();
        if real(&self.input).is_some_and(|input| Some(input) == real(&self.target.path)) {
            let text = "the copy would replace what it is made from: name another output";
            return Err(Error::Usage(text.to_owned()));
        }
        Ok(())
    }

    /// Whether a level is to be copied.
    fn wants(&self, z: u8) -> bool {
        self.min_zoom.is_none_or(|min| z >= min) && self.max_zoom.is_none_or(|max| z <= max)
    }

    /// The description of the copy.
    fn info(&self, about: &About, left_out: u64) -> TilesetInfo {
        let mut info = about.info.clone();
        let labels = &self.labels;
        info.name = labels.name.clone().unwrap_or(info.name);
        info.description = labels.description.clone().or(info.description);
        info.attribution = labels.attribution.clone().or(info.attribution);
        info.url = labels.url.clone().or(info.url);
        info.kind = self.kind.unwrap_or(info.kind);
        info.scheme = self.scheme.unwrap_or(info.scheme);
        if left_out > 0 {
            // Digests over all tiles, as Martin has them.
            info.extra.retain(|(key, _)| !key.starts_with("agg_tiles_hash"));
        }
        info
    }
}

/// A container that knows how many tiles it must get.
struct Counted {
    sink: Box<dyn TileSink>,
    expected: u64,
    tiles: u64,
}

impl pipeline::Sink for Counted {
    type Item = Deposited;
    type Done = Written;
    type Error = Error;

    fn write(&mut self, tile: Deposited) -> Result<()> {
        self.tiles += 1;
        self.sink.accept(tile)
    }

    fn finish(self) -> Result<Written> {
        let Self { sink, expected, tiles } = self;
        if tiles != expected {
            return Err(Error::Internal(format!("{tiles} tiles were copied of {expected}")));
        }
        sink.finish()
    }
}

/// Copies a tile set. `planned` is called with the number of tasks before work begins, for a progress display.
///
/// # Errors
/// [`Error::Usage`] for options that make no sense; [`Error::Input`] for a set that cannot be read or contradicts itself, and for
/// a tile that is damaged, missing, or of another format or size than the first; [`Error::Memory`] when the memory allowed is
/// not enough; [`Error::Output`] when the copy cannot be written. Nothing then stands under its name that did not before.
pub fn run(job: &ConvertJob, monitor: &Monitor, planned: impl FnOnce(usize)) -> Result<Report> {
    let begun = Instant::now();
    job.validate()?;
    let kind = OutputKind::from_path(&job.target.path)?;
    job.target.check(kind)?;
    let store = store::open_as(&job.input, job.input_scheme, job.input_grid.as_ref())?;
    let plan = Plan::new(job, kind, store.as_ref())?;
    let (about, opener) = (store.about().clone(), store.opener());
    drop(store);
    let info = job.info(&about, plan.left_out);
    planned(plan.batches.len());

    let container = crate::sink::begin(kind, &job.target, info.clone())?;
    let depot = container.depot();
    let limits = Limits {
        readers: job.readers.min(plan.batches.len()),
        threads: job.threads,
        memory: plan.in_flight,
        order: Order::Arrival,
    };
    let expected = plan.tiles();
    let outcome = pipeline::run(
        plan.batches.iter().copied(),
        &limits,
        monitor,
        Job {
            cost: |batch: &Batch| batch.bytes,
            open: || opener.open(),
            read: |store: &mut Box<dyn TileStore>, batch: &Batch| {
                plan.coords(batch).map(|coord| read(store.as_ref(), coord)).collect::<Result<Vec<_>>>()
            },
            process: |tiles| keep(&about, &depot, tiles),
            create: || Ok(Counted { sink: container.open(), expected, tiles: 0 }),
        },
    )?;
    let Outcome { done, stats } = outcome;
    if done.tiles != expected {
        return Err(Error::Internal(format!("{} tiles were written of {expected}", done.tiles)));
    }
    Ok(Report::new(job, &about, &info, kind, &done, plan.left_out, stats, begun.elapsed()))
}

fn read(store: &dyn TileStore, coord: TileCoord) -> Result<(TileCoord, Vec<u8>)> {
    let bytes = store.tile(coord)?;
    let missing = || Error::input(&store.about().path, format!("tile {coord} is listed but cannot be found"));
    bytes.map(|bytes| (coord, bytes)).ok_or_else(missing)
}

/// Checks tiles and leaves them in the depot.
fn keep(about: &About, depot: &Depot, tiles: Vec<(TileCoord, Vec<u8>)>) -> Result<Vec<Deposited>> {
    let keep = |(coord, bytes): (TileCoord, Vec<u8>)| {
        about.check(coord, &bytes)?;
        depot.deposit(coord, &bytes)
    };
    tiles.into_iter().map(keep).collect()
}
