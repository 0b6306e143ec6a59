//! The plan of a tile job: made from the job and a look at its inputs, before anything is written.

use std::collections::BTreeMap;

use super::budget::Budget;
use super::look::{self, Look};
use super::{TileJob, stretch};
use crate::block::SampleType;
use crate::error::{Error, Result};
use crate::grid::{
    Bounds, MAX_ZOOM, TileCoord, WEB_MERCATOR_HALF as HALF, latitude, longitude, mercator, resolution,
};
use crate::pyramid::{Pyramid, TileRange};
use crate::raster::chunks::ChunkLayout;
use crate::raster::source::Selection;
use crate::raster::{Description, Locator, SourceSpec};
use crate::resampling::Resampling;
use crate::warp::coords::Position;
use crate::warp::footprint::{Footprint, footprint};
use crate::warp::kernel::{Edges, halo};
use crate::window::{Size, Window};

/// Coarsest source a task may read, in source pixels per target pixel. Beyond it the base level is made
/// finer than the tiles that are asked for, and reduced in memory.
const MOST_SHRINKING: f64 = 4.0;

/// Bytes of source pixels that one task should read at most.
const TASK_SOURCE: f64 = 16e6;

/// Side of a metatile in pixels, at most.
const METATILE: usize = 1024;

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
    /// Extent in degrees, −180…180 across the antimeridian.
    pub bounds: Bounds,
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
        let bounds = bounds(&inputs);
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
            bounds,
            budget: Budget::default(),
            guesses,
        };
        plan.budget = Budget::new(&plan, job)?;
        Ok(plan)
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

    /// How many tiles may be written at each level from the lowest to the highest.
    pub fn counts(&self) -> BTreeMap<u8, u64> {
        (self.pyramid.min()..=self.max_zoom).map(|z| (z, self.pyramid.count(z))).collect()
    }
}

impl Plan {
    /// How many tiles of a metatile may be written.
    pub(super) fn tiles_under(&self, metatile: TileCoord) -> u64 {
        let highest = self.max_zoom.min(self.pyramid.base());
        let levels = self.pyramid.root().max(self.pyramid.min())..=highest;
        let at = |z: u8| {
            let shift = z - self.pyramid.root();
            let (x, y) = (metatile.x << shift, metatile.y << shift);
            let side = 0..1u32 << shift;
            let tiles = side.clone().flat_map(|j| side.clone().map(move |i| TileCoord::new(z, x + i, y + j)));
            tiles.filter(|t| self.pyramid.contains(*t)).count() as u64
        };
        levels.map(at).sum()
    }
}

fn nothing(job: &TileJob) -> Error {
    let extent =
        if job.bbox.is_some() { "the extent of --bbox" } else { "Web Mercator (85.06° S to 85.06° N)" };
    let all = if job.inputs.len() > 1 { "none of the inputs" } else { "the raster does not" };
    let verb = if job.inputs.len() > 1 { "reaches" } else { "reach" };
    Error::input(&job.inputs[0].path, format!("{all} {verb} into {extent}: no tiles to make"))
}

/// What is known of an input before zooms are decided.
pub(super) struct Sketch {
    pub(super) spec: SourceSpec,
    pub(super) description: Description,
    pub(super) selection: Selection,
    pub(super) look: Look,
    footprint: Footprint,
    locator: Locator,
}

/// Which overview is read, and its size.
#[derive(Clone, Copy)]
struct Read {
    level: Option<usize>,
    size: Size,
}

impl Sketch {
    fn of(spec: &SourceSpec, job: &TileJob, guesses: &mut Vec<String>) -> Result<Self> {
        let description = spec.describe()?;
        let (selection, look, guess) = look::choose(&description).map_err(|e| spec.error(e))?;
        guesses.extend(guess.map(|g| format!("{}: {g}", spec.path.display())));
        let mut locator = spec.locator(&description.georeferencing, description.size)?;
        let footprint =
            footprint(description.size, |points| locator.to_mercator(points)).ok_or_else(|| {
                spec.error(
                "no part of it can be carried over to Web Mercator (85.06° S to 85.06° N): no tiles to make",
            )
            })?;
        let block =
            description.block.area().saturating_mul(selection.sample_type.bytes() * selection.bands.len());
        let most = job.memory / 4;
        if block > most {
            return Err(spec.error(format!(
                "its blocks of {}×{} pixels take {} MB each; give --memory {}M or more, or retile it first",
                description.block.width,
                description.block.height,
                block >> 20,
                (block * 4).div_ceil(1 << 20)
            )));
        }
        Ok(Self { spec: spec.clone(), description, selection, look, footprint, locator })
    }

    fn same_kind(&self, other: &Self) -> bool {
        let look = match (&self.look, &other.look) {
            (Look::Stretch { min: a, .. }, Look::Stretch { min: b, .. }) => a.is_nan() == b.is_nan(),
            (a, b) => a == b,
        };
        look && self.selection.sample_type == other.selection.sample_type
            && self.selection.bands.len() == other.selection.bands.len()
    }

    /// The overview to read when a target pixel spans `scale` pixels of the full raster: the coarsest that is
    /// not coarser than the target, by the rule of `gdalwarp -ovr AUTO`.
    fn read(&self, scale: f64) -> Read {
        let full = self.description.size;
        let ratio = |size: &Size| full.width as f64 / size.width as f64;
        let fits = |(_, size): &(usize, &Size)| ratio(size) < scale + 0.1 && ratio(size) > 1.0;
        let best = self.description.overviews.iter().enumerate().filter(fits);
        let best = best.max_by(|a, b| ratio(a.1).total_cmp(&ratio(b.1)));
        best.map_or(Read { level: None, size: full }, |(level, size)| Read {
            level: Some(level),
            size: *size,
        })
    }

    /// Full-resolution source pixels per target pixel of a level.
    fn scale(&self, z: u8, tile_size: usize) -> f64 {
        resolution(z, tile_size) / self.footprint.resolution
    }

    /// The largest extension of a target pixel in pixels of what is read, on a lattice over the footprint.
    fn largest_scale(&mut self, z: u8, tile_size: usize, read: Size) -> f64 {
        const SIDE: usize = 9;
        let step = resolution(z, tile_size);
        let mut points = Vec::new();
        for b in &self.footprint.ranges {
            for k in 0..SIDE * SIDE {
                let at = |i: usize| (i as f64 + 0.5) / SIDE as f64;
                let x = b.west + (b.east - b.west) * at(k % SIDE);
                let y = b.south + (b.north - b.south) * at(k / SIDE);
                points.extend([(x, y), (x + step, y), (x, y + step)].map(|(x, y)| Position { x, y }));
            }
        }
        self.locator.to_pixels(&mut points);
        let full = self.description.size;
        let (rx, ry) = (read.width as f64 / full.width as f64, read.height as f64 / full.height as f64);
        let mut scales: Vec<f64> = points
            .chunks_exact(3)
            .filter(|p| p.iter().all(|p| p.is_some()))
            .map(|p| {
                let x = (p[1].x - p[0].x).abs() + (p[2].x - p[0].x).abs();
                let y = (p[1].y - p[0].y).abs() + (p[2].y - p[0].y).abs();
                (x * rx).max(y * ry)
            })
            .collect();
        scales.sort_by(f64::total_cmp);
        let mean = self.scale(z, tile_size) * rx.max(ry);
        // Jumps of the projection are no scale.
        let typical = scales.get(scales.len() / 2).copied().unwrap_or(mean);
        scales.into_iter().rfind(|s| *s <= 8.0 * typical).unwrap_or(mean).max(mean)
    }

    fn planned(self, read: Read, look: Look, scale: f64, base: u8, job: &TileJob) -> PlannedInput {
        let step = resolution(base, job.tile_size);
        let whole = [Bounds { west: -HALF, south: -HALF, east: HALF, north: HALF }];
        let wanted: Vec<Bounds> = job.bbox.map_or_else(|| whole.to_vec(), mercator_boxes);
        let within = |grow: f64| {
            let grown = self.footprint.ranges.iter().map(move |b| b.expanded(grow));
            grown.flat_map(|b| wanted.iter().filter_map(move |w| b.intersection(w)))
        };
        let windows =
            within(self.footprint.slack).map(|b| pixels(&b, step)).filter(|w| !w.is_empty()).collect();
        let extent = within(0.0).collect();
        let pixel_bytes = self.selection.sample_type.bytes() * self.selection.bands.len() + 1;
        let block = match read.level {
            // Overviews of tiled files are tiled; their blocks are read when they are opened.
            Some(_) if self.description.block.width >= self.description.size.width => Size::new(512, 512),
            _ => self.description.block,
        };
        PlannedInput {
            layout: ChunkLayout::new(read.size, block, pixel_bytes),
            size: read.size,
            level: read.level,
            spec: self.spec,
            description: self.description,
            selection: self.selection,
            look,
            extent,
            windows,
            scale,
        }
    }

    fn mercator(&self) -> &[Bounds] {
        &self.footprint.ranges
    }
}

/// Rectangles in Web Mercator metres of a box in degrees; two when its west lies east of its east.
fn mercator_boxes(b: Bounds) -> Vec<Bounds> {
    let (west, south) = mercator(b.west, b.south);
    let (east, north) = mercator(b.east, b.north);
    if b.west <= b.east {
        vec![Bounds { west, south, east, north }]
    } else {
        vec![Bounds { west, south, east: HALF, north }, Bounds { west: -HALF, south, east, north }]
    }
}

/// The pixels of the whole map, of `step` metres, that a rectangle touches; what rounding leaves over is nothing.
fn pixels(b: &Bounds, step: f64) -> Window {
    let column = |x: f64| (x + HALF) / step;
    let row = |y: f64| (HALF - y) / step;
    let first = |v: f64| (v + 1e-3).floor() as i64;
    let last = |v: f64| (v - 1e-3).ceil() as i64;
    let side = (2.0 * HALF / step).round() as i64;
    Window::from_edges(first(column(b.west)), first(row(b.north)), last(column(b.east)), last(row(b.south)))
        .intersection(&Window::from_edges(0, 0, side, side))
}

/// The level whose pixels are closest in size to those of the source, by the rule of `gdal raster tile`.
fn closest_zoom(source: f64, tile_size: usize) -> u8 {
    let at = |z: u8| resolution(z, tile_size);
    let finer = (0..=MAX_ZOOM).find(|&z| source * (1.0 + 1e-8) >= at(z)).unwrap_or(MAX_ZOOM);
    let same = ((source - at(finer)) / at(finer)).abs() <= 1e-8;
    if finer > 0 && !same && at(finer - 1) / source < source / at(finer) { finer - 1 } else { finer }
}

fn zooms(job: &TileJob, sketches: &[Sketch], guesses: &mut Vec<String>) -> Result<(u8, u8)> {
    let finest = sketches.iter().map(|s| s.footprint.resolution).fold(f64::INFINITY, f64::min);
    let max = job.max_zoom.unwrap_or_else(|| {
        let closest = closest_zoom(finest, job.tile_size);
        closest.max(job.min_zoom.unwrap_or(0))
    });
    let single = |z: u8| {
        let step = resolution(z, job.tile_size);
        let windows = sketches.iter().flat_map(|s| s.mercator().iter().map(|b| pixels(b, step)));
        let tiles = windows.map(|w| TileRange::touching(&w, z, job.tile_size)).collect();
        Pyramid::new(z, z, 0, tiles).is_none_or(|p| p.count(z) <= 1)
    };
    let min = job.min_zoom.unwrap_or_else(|| (0..=max).rfind(|z| single(*z)).unwrap_or(0));
    if min > max {
        return Err(Error::Usage(format!("the lowest zoom {min} is above the highest, {max}")));
    }
    if job.max_zoom.is_none() || job.min_zoom.is_none() {
        guesses.push(format!("zoom levels {min} to {max} (-z {min}-{max})"));
    }
    Ok((min, max))
}

/// The level that is made from the sources, at or above `max`, and what is read of each input for it.
fn base_level(sketches: &[Sketch], max: u8, tile_size: usize) -> (u8, Vec<Read>) {
    let mut base = max;
    loop {
        let scales: Vec<f64> = sketches.iter().map(|s| s.scale(base, tile_size)).collect();
        let reads: Vec<Read> = sketches.iter().zip(&scales).map(|(s, scale)| s.read(*scale)).collect();
        let shrinking = |((sketch, scale), read): ((&Sketch, &f64), &Read)| {
            scale * read.size.width as f64 / sketch.description.size.width as f64
        };
        let most = sketches.iter().zip(&scales).zip(&reads).map(shrinking).fold(0.0, f64::max);
        if most <= MOST_SHRINKING || base >= MAX_ZOOM {
            return (base, reads);
        }
        base += 1;
    }
}

/// Levels between a metatile's tiles and its root: as large as the source windows allow.
fn span(inputs: &[PlannedInput], method: Resampling, tile_size: usize) -> u8 {
    let bytes = |side: usize| {
        let one = |input: &PlannedInput| source_bytes(input, method, side) as f64;
        inputs.iter().map(one).fold(0.0, f64::max)
    };
    let mut side = METATILE;
    while side > tile_size && bytes(side) > TASK_SOURCE {
        side /= 2;
    }
    (side / tile_size).max(1).trailing_zeros() as u8
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
