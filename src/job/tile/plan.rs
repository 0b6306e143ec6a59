//! The plan of a tile job: made from the job and a look at its inputs, before anything is written.

use std::collections::BTreeMap;

use super::budget::Budget;
use super::levels::{base_level, span, zooms};
use super::look::Look;
use super::sketch::Sketch;
use super::{TileJob, TilingScheme, stretch};
use crate::block::SampleType;
use crate::error::{Error, Result};
use crate::grid::{Bounds, TileCoord, TileGrid, latitude, longitude};
use crate::pyramid::{Pyramid, TileRange};
use crate::raster::chunks::ChunkLayout;
use crate::raster::source::Selection;
use crate::raster::{Description, SourceSpec};
use crate::resampling::Resampling;
use crate::warp::kernel::{Edges, halo};
use crate::window::{Size, Window};

/// An input as the plan sees it.
#[derive(Debug, Clone)]
pub struct PlannedInput {
    /// Where it is and how to open it.
    pub spec: SourceSpec,
    /// What it is.
    pub description: Description,
    /// Which of its bands are read.
    pub selection: Selection,
    /// How its own samples look.
    pub look: Look,
    /// The overview that is read instead of the full raster.
    pub level: Option<usize>,
    /// Columns and rows of what is read.
    pub size: Size,
    /// How it is cut into chunks.
    pub layout: ChunkLayout,
    /// Where it lies in Web Mercator metres, within the box asked for.
    pub extent: Vec<Bounds>,
    /// The pixels of the base level it may touch.
    pub windows: Vec<Window>,
    /// Source pixels per target pixel at the base level, at most.
    pub scale: f64,
}

/// Everything that decides the tiles.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The inputs, later ones over earlier ones.
    pub inputs: Vec<PlannedInput>,
    /// How the samples of the canvas look.
    pub look: Look,
    /// Whether inputs are turned into pictures before they are warped, because they differ in kind.
    pub mixed: bool,
    /// Sample type of the canvas.
    pub sample_type: SampleType,
    /// Bands of the canvas.
    pub bands: usize,
    /// Whether coverage is opacity or a mere mask.
    pub edges: Edges,
    /// How the base level is made from the source.
    pub resampling: Resampling,
    /// How lower levels are made from the one above.
    pub overview_resampling: Resampling,
    /// The tiles; its base level may lie above [`Plan::max_zoom`].
    pub pyramid: Pyramid,
    /// The highest level that is written.
    pub max_zoom: u8,
    /// Side of a tile in pixels.
    pub tile_size: usize,
    /// The square the tiles divide.
    pub grid: TileGrid,
    /// Extent in degrees, −180…180 across the antimeridian; none for tiles without a place on the Earth.
    pub bounds: Option<Bounds>,
    /// Where memory goes.
    pub budget: Budget,
    /// What was decided in the user's place, each with the option that says so.
    pub guesses: Vec<String>,
}

impl Plan {
    /// Looks at the inputs and plans the job.
    ///
    /// # Errors
    /// [`Error::Usage`] for options that contradict the inputs or each other, [`Error::Input`] for inputs that cannot be read or have
    /// no place on the map, [`Error::Memory`] when the memory allowed is not enough.
    pub fn new(job: &TileJob) -> Result<Self> {
        let mut guesses = Vec::new();
        let mut sketches = Vec::new();
        for spec in &job.inputs {
            sketches.push(Sketch::of(spec, job, &mut guesses)?);
        }
        let grid = sketches[0].grid;
        let (min, max) = zooms(job, &sketches, &mut guesses)?;
        let (base, reads) = base_level(&sketches, max, job.tile_size);
        let scales: Vec<f64> = sketches
            .iter_mut()
            .zip(&reads)
            .map(|(s, read)| s.largest_scale(base, job.tile_size, read.size))
            .collect();

        let mixed = sketches.windows(2).any(|w| !w[0].same_kind(&w[1]));
        let mut looks: Vec<Look> = sketches.iter().map(|s| s.look.clone()).collect();
        stretch::settle(&sketches, &mut looks, job, &mut guesses)?;
        let look = if mixed { common(&looks) } else { looks[0].clone() };
        let categorical = job.categorical || (!mixed && look.is_categorical());
        let (sample_type, bands) = if mixed {
            (SampleType::U8, look.picture_bands())
        } else {
            (sketches[0].selection.sample_type, sketches[0].selection.bands.len())
        };
        let soft = sketches.iter().any(|s| s.selection.alpha.is_some()) || (mixed && !categorical);
        let or = |given: Option<Resampling>, names: Resampling, quantities: Resampling| {
            given.unwrap_or(if categorical { names } else { quantities })
        };
        let resampling = or(job.resampling, Resampling::Nearest, Resampling::Cubic);
        let overview_resampling = or(job.overview_resampling, Resampling::Mode, Resampling::Average);

        let mut inputs = Vec::new();
        for ((sketch, read), (look, scale)) in
            sketches.into_iter().zip(reads).zip(looks.into_iter().zip(scales))
        {
            inputs.push(sketch.planned(read, look, scale, base, job));
        }
        let ranges = ranges(&inputs, base, job.tile_size);
        let span = span(&inputs, resampling, job.tile_size);
        let pyramid = Pyramid::new(base, min, span, ranges).ok_or_else(|| nothing(job))?;
        let bounds = (job.tiling == TilingScheme::WebMercatorQuad).then(|| bounds(&inputs));
        let mut plan = Self {
            inputs,
            look,
            mixed,
            sample_type,
            bands,
            edges: if soft { Edges::Soft } else { Edges::Hard },
            resampling,
            overview_resampling,
            pyramid,
            max_zoom: max,
            tile_size: job.tile_size,
            grid,
            bounds,
            budget: Budget::default(),
            guesses,
        };
        plan.budget = Budget::new(&plan, job)?;
        Ok(plan)
    }

    /// Levels between a metatile's tiles and its root.
    pub fn span(&self) -> u8 {
        self.pyramid.base() - self.pyramid.root()
    }

    /// Pixels of a metatile at the base level.
    pub fn window(&self, metatile: TileCoord) -> Window {
        self.pyramid.window(metatile, self.tile_size)
    }

    /// The inputs that may touch a window of the base level, in the order they are laid over each other.
    pub fn touching<'a>(&'a self, window: &'a Window) -> impl Iterator<Item = (usize, &'a PlannedInput)> {
        let touches = |input: &PlannedInput| input.windows.iter().any(|w| !w.intersection(window).is_empty());
        self.inputs.iter().enumerate().filter(move |(_, input)| touches(input))
    }

    /// West, south, east and north in degrees, unless the tiles have no place on the Earth.
    pub fn degrees(&self) -> Option<[f64; 4]> {
        self.bounds.map(|b| [b.west, b.south, b.east, b.north])
    }

    /// How many tiles may be written at each level from the lowest to the highest.
    pub fn counts(&self) -> BTreeMap<u8, u64> {
        (self.pyramid.min()..=self.max_zoom).map(|z| (z, self.pyramid.count(z))).collect()
    }
}

impl Plan {
    /// Whether a lower level is made from 2 × 2 pixels each, so that no tile needs its neighbours.
    pub fn reduces_locally(&self) -> bool {
        matches!(self.overview_resampling, Resampling::Average | Resampling::Nearest | Resampling::Mode)
    }

    /// The tiles of a level, between root and base, that a metatile holds.
    pub(super) fn tiles_of(&self, metatile: TileCoord, z: u8) -> impl Iterator<Item = TileCoord> {
        self.square(metatile, z).filter(|t| self.pyramid.contains(*t))
    }

    /// The tiles of the base level that lie in a metatile but not in the plan.
    pub(super) fn tiles_beside(&self, metatile: TileCoord) -> impl Iterator<Item = TileCoord> {
        self.square(metatile, self.pyramid.base()).filter(|t| !self.pyramid.contains(*t))
    }

    /// All tiles of a level under a metatile.
    fn square(&self, metatile: TileCoord, z: u8) -> impl Iterator<Item = TileCoord> + use<> {
        let shift = z - self.pyramid.root();
        let (x, y) = (metatile.x << shift, metatile.y << shift);
        let side = 0..1u32 << shift;
        side.clone().flat_map(move |j| side.clone().map(move |i| TileCoord::new(z, x + i, y + j)))
    }

    /// How many tiles of a metatile may be written.
    pub(super) fn tiles_under(&self, metatile: TileCoord) -> u64 {
        let highest = self.max_zoom.min(self.pyramid.base());
        let levels = self.pyramid.root().max(self.pyramid.min())..=highest;
        levels.map(|z| self.tiles_of(metatile, z).count() as u64).sum()
    }
}

fn nothing(job: &TileJob) -> Error {
    let extent =
        if job.bbox.is_some() { "the extent of --bbox" } else { "Web Mercator (85.06° S to 85.06° N)" };
    let all = if job.inputs.len() > 1 { "none of the inputs" } else { "the raster does not" };
    let verb = if job.inputs.len() > 1 { "reaches" } else { "reach" };
    Error::input(&job.inputs[0].path, format!("{all} {verb} into {extent}: no tiles to make"))
}

/// Bytes of the source window of `side` × `side` target pixels.
pub(super) fn source_bytes(input: &PlannedInput, method: Resampling, side: usize) -> usize {
    let reach = side as f64 * input.scale + 2.0 * halo(method, input.scale as f32) as f64 + 2.0;
    let extent = |limit: usize| reach.min(limit as f64);
    let area = extent(input.size.width) * extent(input.size.height);
    (area * (input.selection.sample_type.bytes() * input.selection.bands.len() + 1) as f64) as usize
}

fn ranges(inputs: &[PlannedInput], base: u8, tile_size: usize) -> Vec<TileRange> {
    inputs.iter().flat_map(|i| &i.windows).map(|w| TileRange::touching(w, base, tile_size)).collect()
}

/// Extent of the inputs in degrees, within the box asked for.
fn bounds(inputs: &[PlannedInput]) -> Bounds {
    let all = || inputs.iter().flat_map(|i| &i.extent);
    let least = |f: fn(&Bounds) -> f64| all().map(f).fold(f64::INFINITY, f64::min);
    let most = |f: fn(&Bounds) -> f64| all().map(f).fold(f64::NEG_INFINITY, f64::max);
    Bounds {
        west: longitude(least(|b| b.west)),
        south: latitude(least(|b| b.south)),
        east: longitude(most(|b| b.east)),
        north: latitude(most(|b| b.north)),
    }
}

/// The look of pictures of different kinds laid over each other.
fn common(looks: &[Look]) -> Look {
    let colour = looks.iter().any(|l| l.is_categorical() || l.picture_bands() == 3);
    if colour { Look::Rgb } else { Look::Gray }
}
