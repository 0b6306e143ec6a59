//! The reading stage: for a metatile, where its pixels lie in each input, and those pixels.

use std::sync::Arc;

use super::look::{Look, Renderer};
use super::plan::{Plan, PlannedInput};
use crate::block::{Assembly, Block, Validity, interleaved_slice};
use crate::encode::Rgba;
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::raster::chunks::{ChunkCache, ChunkKey};
use crate::raster::{Locator, Source, Workspace};
use crate::warp::coords::{CoordGrid, Position};
use crate::warp::kernel::halo;
use crate::warp::locate::locate;
use crate::warp::pieces::pieces;
use crate::window::Window;

/// Most inputs a reader keeps open.
const OPEN_INPUTS: usize = 32;

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

struct OpenInput {
    index: usize,
    source: Source,
    locator: Locator,
    renderer: Renderer,
    used: u64,
}

/// Reads inputs for metatiles, on one thread. Inputs are opened when first needed; the ones used longest ago are closed
/// again when there are many.
pub struct TileReader<'a> {
    plan: &'a Plan,
    cache: &'a ChunkCache,
    open: Vec<OpenInput>,
    clock: u64,
    work: Workspace,
}

impl<'a> TileReader<'a> {
    /// A reader that has nothing open yet.
    pub fn new(plan: &'a Plan, cache: &'a ChunkCache) -> Self {
        Self { plan, cache, open: Vec::new(), clock: 0, work: Workspace::default() }
    }

    /// Reads what a metatile needs.
    ///
    /// # Errors
    /// [`Error::Input`] naming the input and the window that cannot be read.
    pub fn read(&mut self, metatile: TileCoord) -> Result<Weft> {
        let window = self.plan.window(metatile);
        let mut strands = Vec::new();
        for (index, input) in self.plan.touching(&window) {
            let open = self.opened(index, input)?;
            let open = &mut self.open[open];
            let grid = Arc::new(coordinates(self.plan, input, &mut open.locator, window)?);
            for piece in pieces(&grid, input.size, self.plan.resampling) {
                let source = fetch(self.cache, index, input, &open.source, &mut self.work, piece.source)?;
                if !source.validity.is_empty() {
                    let source = if self.plan.mixed {
                        open.renderer.render_as(source, self.plan.bands)
                    } else {
                        source
                    };
                    strands.push(Strand { grid: Arc::clone(&grid), target: piece.target, source });
                }
            }
        }
        Ok(Weft { metatile, strands })
    }

    /// Position in `self.open` of an input.
    fn opened(&mut self, index: usize, input: &PlannedInput) -> Result<usize> {
        self.clock += 1;
        if let Some(found) = self.open.iter().position(|o| o.index == index) {
            self.open[found].used = self.clock;
            return Ok(found);
        }
        if self.open.len() >= OPEN_INPUTS
            && let Some((oldest, _)) = self.open.iter().enumerate().min_by_key(|(_, o)| o.used)
        {
            self.open.swap_remove(oldest);
        }
        let source = Source::open(&input.spec, &input.description, &input.selection, input.level)?;
        if source.size() != input.size {
            return Err(input.spec.error("changed while it was being read"));
        }
        let locator = match self.plan.bounds {
            Some(_) => input.spec.locator(&input.description.georeferencing, input.description.size)?,
            None => Locator::pixels(),
        };
        let renderer = Renderer::new(&input.look, input.selection.sample_type);
        self.open.push(OpenInput { index, source, locator, renderer, used: self.clock });
        Ok(self.open.len() - 1)
    }
}

/// The coordinate grid of a metatile in the pixels of what is read of an input.
fn coordinates(
    plan: &Plan,
    input: &PlannedInput,
    locator: &mut Locator,
    window: Window,
) -> Result<CoordGrid> {
    // The edge of the Web Mercator square is ambiguous: the antimeridian is both 180° and −180°.
    let within = plan.grid.bounds().expanded(if plan.bounds.is_some() { -1e-5 } else { 0.0 });
    let step = plan.grid.resolution(plan.pyramid.base(), plan.tile_size);
    let full = input.description.size;
    let (rx, ry) =
        (input.size.width as f64 / full.width as f64, input.size.height as f64 / full.height as f64);
    let mut map = |points: &mut [Position]| {
        for p in points.iter_mut() {
            p.x = (plan.grid.west + p.x * step).clamp(within.west, within.east);
            p.y = (plan.grid.north - p.y * step).clamp(within.south, within.north);
        }
        locator.to_pixels(points);
        for p in points.iter_mut() {
            (p.x, p.y) = (p.x * rx, p.y * ry);
        }
    };
    let margin = halo(plan.resampling, input.scale as f32) as f64;
    locate(window, input.size, margin, &mut map)
        .ok_or_else(|| Error::Internal(format!("metatile {window} is not aligned to cells")))
}

/// A window of an input, put together from shared chunks.
fn fetch(
    cache: &ChunkCache,
    index: usize,
    input: &PlannedInput,
    source: &Source,
    work: &mut Workspace,
    window: Window,
) -> Result<Block> {
    let bands = input.selection.bands.len();
    let mut assembly = Assembly::new(window, input.selection.sample_type, bands);
    for (column, row) in input.layout.covering(&window) {
        let chunk =
            cache.get(ChunkKey { input: index, index: input.layout.index(column, row) }, |spare| {
                let block = source.read_with(input.layout.window(column, row), work, spare)?;
                if let Some(metres) = &input.metres {
                    return Ok(metres.apply(block));
                }
                Ok(match &input.look {
                    Look::Palette(table) | Look::WidePalette(table) => without_transparent(block, table),
                    _ => block,
                })
            })?;
        assembly.add(&chunk);
    }
    assembly.finish().ok_or_else(|| Error::Internal(format!("chunks leave a gap in {window}")))
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
