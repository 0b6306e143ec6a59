//! The reading stage: for a metatile, where its pixels lie in each input, and those pixels.

use std::sync::Arc;

use super::look::Look;
use super::plan::{Base, Part, Plan, PlannedInput};
use super::renderer::Renderer;
use crate::block::{Assembly, Block, Validity, interleaved_slice};
use crate::encode::Rgba;
use crate::error::{Error, Result};
use crate::grid::{Bounds, PixelGrid, TileCoord, World};
use crate::job::recent::Recent;
use crate::raster::chunks::{ChunkCache, ChunkKey};
use crate::raster::crs::Plane;
use crate::raster::{Locator, Locators, Source, Workspace};
use crate::warp::coords::{CoordGrid, Position};
use crate::warp::kernel::halo;
use crate::warp::locate::locate;
use crate::warp::pieces::pieces;
use crate::window::Window;

/// Most rasters a reader keeps open.
const OPEN_INPUTS: usize = 32;

/// With more parts, it is not looked at whether they lie over each other.
const FEW_PARTS: usize = 64;

/// Source pixels for a part of a metatile.
#[derive(Debug)]
pub struct Strand {
    /// Where the target's pixels lie in the input.
    pub grid: Arc<CoordGrid>,
    /// The part of the target these pixels are for.
    pub target: Window,
    /// The pixels.
    pub source: Block,
}

/// All that the pool needs to make a metatile: plain data, nothing of GDAL.
#[derive(Debug)]
pub struct Weft {
    /// The metatile, by its root.
    pub metatile: TileCoord,
    /// Pixels of the inputs in the order they are laid over each other.
    pub strands: Vec<Strand>,
}

/// The way to an input's pixels, and their look.
struct Ways {
    locator: Locator,
    renderer: Renderer,
}

/// Reads inputs for metatiles, on one thread. Rasters are opened when first needed.
pub struct TileReader<'a> {
    plan: &'a Plan,
    cache: &'a ChunkCache,
    locators: Locators,
    ways: Recent<Ways>,
    sources: Recent<Source>,
    work: Workspace,
}

impl<'a> TileReader<'a> {
    /// A reader that has nothing open yet.
    pub fn new(plan: &'a Plan, cache: &'a ChunkCache) -> Self {
        let (ways, sources) = (Recent::new(OPEN_INPUTS), Recent::new(OPEN_INPUTS));
        let locators = Locators::onto(plan.plane.clone().unwrap_or_else(Plane::web_mercator));
        Self { plan, cache, locators, ways, sources, work: Workspace::default() }
    }

    /// Reads what a metatile needs.
    ///
    /// # Errors
    /// [`Error::Input`] naming the input and the window that cannot be read.
    pub fn read(&mut self, metatile: TileCoord) -> Result<Weft> {
        let window = self.plan.window(metatile);
        let base = self.plan.base(metatile.z);
        let mut strands = Vec::new();
        for (_, input) in base.touching(&window) {
            let Some(first) = input.parts.first() else { continue };
            let ways = self.ways.get(first.number, || ways(self.plan, input, &mut self.locators))?;
            let world = self.plan.plane.as_ref().map(|plane| plane.world);
            let grid = Arc::new(coordinates(base, world, input, &mut ways.locator, window)?);
            for piece in pieces(&grid, input.size, base.resampling) {
                let source = gather(self.cache, input, &mut self.sources, &mut self.work, piece.source)?;
                if !source.validity.is_empty() {
                    let source = if self.plan.mixed {
                        ways.renderer.render_as(source, self.plan.bands)
                    } else {
                        source
                    };
                    strands.push(Strand { grid: Arc::clone(&grid), target: piece.target, source });
                }
            }
        }
        Ok(Weft { metatile, strands })
    }
}

fn ways(plan: &Plan, input: &PlannedInput, locators: &mut Locators) -> Result<Ways> {
    let locator = match (&plan.plane, input.parts.first()) {
        (Some(_), Some(part)) => {
            locators.locator(&part.spec, &input.georeferencing, input.full, input.frame.as_ref())?
        }
        _ => Locator::pixels(),
    };
    Ok(Ways { locator, renderer: Renderer::new(&input.look, input.selection.sample_type) })
}

fn open(input: &PlannedInput, part: &Part) -> Result<Source> {
    let source = Source::open(&part.spec, &part.description, &input.selection, part.level)?;
    if source.size() == part.place.size() {
        Ok(source)
    } else {
        Err(part.spec.error("changed while it was being read"))
    }
}

/// What becomes of positions at the edges of the plane and beyond.
struct Edges {
    within: Bounds,
    /// How far beyond the edges there is nothing; none where all that is beyond counts as on the edge.
    beyond: Option<f64>,
}

impl Edges {
    fn of(base: &Base, world: Option<World>) -> Self {
        // The edge of a plane that goes round is ambiguous: the antimeridian is both 180° and −180°.
        match world {
            None => Self { within: base.pixels.bounds(), beyond: None },
            Some(world) if is_whole(base, &world) => {
                Self { within: base.pixels.bounds().expanded(-1e-5), beyond: None }
            }
            Some(world) => {
                // A hundredth of a millimetre on the equator.
                let inset = if world.round { (world.bounds.east - world.bounds.west) * 2.5e-13 } else { 0.0 };
                Self { within: world.bounds.expanded(-inset), beyond: Some(base.pixels.step * 1e-3) }
            }
        }
    }

    /// Brings positions to within the edges; which of them lie beyond, if any can.
    fn keep(&self, points: &mut [Position]) -> Vec<bool> {
        let Bounds { west, south, east, north } = self.within;
        let mut off = Vec::new();
        if let Some(by) = self.beyond {
            let (columns, rows) = (west - by..=east + by, south - by..=north + by);
            off.extend(points.iter().map(|p| !columns.contains(&p.x) || !rows.contains(&p.y)));
        }
        for p in points {
            (p.x, p.y) = (p.x.clamp(west, east), p.y.clamp(south, north));
        }
        off
    }
}

/// Whether a level is the square of Web Mercator.
fn is_whole(base: &Base, world: &World) -> bool {
    let (own, all) = (base.pixels.bounds(), world.bounds);
    let same = |a: f64, b: f64| (a - b).abs() < 1.0;
    let edges = [(own.west, all.west), (own.south, all.south), (own.east, all.east), (own.north, all.north)];
    *world == World::WEB_MERCATOR && edges.into_iter().all(|(a, b)| same(a, b))
}

/// The coordinate grid of a metatile in the pixels of what is read of an input.
fn coordinates(
    base: &Base,
    world: Option<World>,
    input: &PlannedInput,
    locator: &mut Locator,
    window: Window,
) -> Result<CoordGrid> {
    let PixelGrid { west, north, step, .. } = base.pixels;
    let edges = Edges::of(base, world);
    let full = input.full;
    let (rx, ry) =
        (input.size.width as f64 / full.width as f64, input.size.height as f64 / full.height as f64);
    let mut map = |points: &mut [Position]| {
        for p in points.iter_mut() {
            (p.x, p.y) = (west + p.x * step, north - p.y * step);
        }
        let off = edges.keep(points);
        locator.to_pixels(points);
        for p in points.iter_mut() {
            (p.x, p.y) = (p.x * rx, p.y * ry);
        }
        points.iter_mut().zip(off).filter(|(_, off)| *off).for_each(|(p, _)| *p = Position::NONE);
    };
    let margin = halo(base.resampling, input.scale as f32) as f64;
    locate(window, input.size, margin, &mut map)
        .ok_or_else(|| Error::Internal(format!("metatile {window} is not aligned to cells")))
}

/// A window of an input, put together from shared chunks of its parts. Later parts lie over earlier ones.
fn gather(
    cache: &ChunkCache,
    input: &PlannedInput,
    sources: &mut Recent<Source>,
    work: &mut Workspace,
    window: Window,
) -> Result<Block> {
    let numbers: Vec<usize> = match &input.parts[..] {
        [_] => vec![0],
        _ => input.places.touching(&window),
    };
    let (sample_type, bands) = (input.selection.sample_type, input.selection.bands.len());
    // What nothing is laid over need not be told from what is.
    let places: Vec<Window> = numbers.iter().map(|n| input.parts[*n].place.intersection(&window)).collect();
    let seamless = are_seamless(&places, &window);
    let mut assembly = if seamless {
        Assembly::new(window, sample_type, bands)
    } else {
        Assembly::uncovered(window, sample_type, bands)
    };
    for (number, wanted) in numbers.into_iter().zip(places) {
        let part = &input.parts[number];
        let Window { x, y, .. } = part.place;
        for (column, row) in part.layout.covering(&wanted.moved(-x, -y)) {
            let chunk = chunk(cache, input, part, sources, work, (column, row))?;
            let place = chunk.window.moved(x, y);
            if seamless {
                assembly.add_at(&chunk, place)
            } else {
                assembly.lay_at(&chunk, place)
            };
        }
    }
    assembly.finish().ok_or_else(|| Error::Internal(format!("chunks leave a gap in {window}")))
}

/// Whether a few windows cover another without gap, and none lies over another.
fn are_seamless(parts: &[Window], window: &Window) -> bool {
    let apart = |(k, p): (usize, &Window)| parts[k + 1..].iter().all(|q| p.intersection(q).is_empty());
    parts.len() <= FEW_PARTS
        && parts.iter().map(Window::area).sum::<usize>() == window.area()
        && parts.iter().enumerate().all(apart)
}

/// A chunk of a raster. It is opened only when the chunk is not in the cache.
fn chunk(
    cache: &ChunkCache,
    input: &PlannedInput,
    part: &Part,
    sources: &mut Recent<Source>,
    work: &mut Workspace,
    (column, row): (usize, usize),
) -> Result<Arc<Block>> {
    cache.get(ChunkKey { input: part.number, index: part.layout.index(column, row) }, |spare| {
        let source = sources.get(part.number, || open(input, part))?;
        let block = source.read_with(part.layout.window(column, row), work, spare)?;
        if let Some(metres) = &input.metres {
            return Ok(metres.apply(block));
        }
        Ok(match &input.look {
            Look::Palette(table) | Look::WidePalette(table) => without_transparent(block, table),
            _ => block,
        })
    })
}

/// Takes pixels away whose colour is wholly transparent.
fn without_transparent(mut block: Block, table: &[Rgba]) -> Block {
    if table.iter().all(|c| c[3] != 0) {
        return block;
    }
    let size = block.window.size();
    let transparent = |index: usize| table.get(index).is_none_or(|c| c[3] == 0);
    let hidden: Vec<bool> = match &block.samples {
        crate::block::Samples::U8(array) => {
            interleaved_slice(array).unwrap_or_default().iter().map(|&v| transparent(v.into())).collect()
        }
        _ => return block,
    };
    let mut plane = match block.validity {
        Validity::PerPixel(plane) => plane,
        Validity::All => ndarray::Array2::from_elem((size.height, size.width), 255),
    };
    plane.iter_mut().zip(hidden).filter(|(_, hidden)| *hidden).for_each(|(c, _)| *c = 0);
    block.validity = Validity::PerPixel(plane).simplified();
    block
}
