//! The reading stage: for a window of the output, the pixels under it of all inputs.

use super::plan::{Layer, Plan};
use crate::block::Block;
use crate::error::{Error, Result};
use crate::job::calc::grid::{Placement, Way};
use crate::job::recent::Recent;
use crate::raster::chunks::ChunkCache;
use crate::raster::{Source, Workspace};
use crate::resampling::Resampling;
use crate::warp::coords::{CoordGrid, Position, whole_cells};
use crate::warp::kernel::{Edges, halo};
use crate::warp::locate::locate;
use crate::warp::pieces::pieces;
use crate::window::Window;

/// Most rasters a reader keeps open.
const OPEN_INPUTS: usize = 32;

/// What was read of an input.
#[derive(Debug)]
pub(in crate::job) struct Thread {
    /// Where the output's pixels lie in it.
    pub grid: CoordGrid,
    /// How it is resampled.
    pub method: Resampling,
    /// Parts of the output, with the pixels they are made of.
    pub strands: Vec<(Window, Block)>,
}

/// All that the pool needs for a window: plain data, nothing of GDAL.
#[derive(Debug)]
pub(in crate::job) struct Weft {
    /// The window.
    pub window: Window,
    /// Its pixels, in the order they are laid over each other.
    pub threads: Vec<Thread>,
}

/// Reads inputs for windows, on one thread. Rasters are opened when first needed.
pub(in crate::job) struct WarpReader<'a> {
    plan: &'a Plan,
    cache: &'a ChunkCache,
    sources: Recent<Source>,
    ways: Recent<Way>,
    work: Workspace,
}

impl<'a> WarpReader<'a> {
    /// A reader that has nothing open yet.
    pub fn new(plan: &'a Plan, cache: &'a ChunkCache) -> Self {
        let (sources, ways) = (Recent::new(OPEN_INPUTS), Recent::new(OPEN_INPUTS));
        Self { plan, cache, sources, ways, work: Workspace::default() }
    }

    /// Reads what a window takes.
    ///
    /// # Errors
    /// [`Error::Input`] naming the input and the window that cannot be read.
    pub fn read(&mut self, window: Window) -> Result<Weft> {
        let mut threads = Vec::new();
        for (number, layer) in self.plan.touching(&window) {
            let thread = self.thread(number, layer, window)?;
            if !thread.strands.is_empty() {
                threads.push(thread);
            }
        }
        Ok(Weft { window, threads })
    }

    fn thread(&mut self, number: usize, layer: &Layer, window: Window) -> Result<Thread> {
        let plan = self.plan;
        // What lies on the grid already is not mixed with what is beside it.
        let method = match layer.placement {
            Placement::Aligned(_) if plan.edges == Edges::Soft => Resampling::Bilinear,
            Placement::Aligned(_) => Resampling::Nearest,
            Placement::Warped { .. } => plan.resampling,
        };
        let window = whole_cells(&window);
        let margin = halo(method, layer.scale() as f32) as f64;
        let grid = match layer.placement {
            Placement::Aligned(place) => {
                let (x, y) = (place.x as f64, place.y as f64);
                let mut shift = |points: &mut [Position]| {
                    for p in points {
                        (p.x, p.y) = (p.x - x, p.y - y);
                    }
                };
                locate(window, layer.size, margin, &mut shift)
            }
            Placement::Warped { .. } => {
                let way = self.ways.get(number, || Way::new(&plan.grid, &layer.spec, &layer.description))?;
                let full = layer.description.size;
                let rx = layer.size.width as f64 / full.width as f64;
                let ry = layer.size.height as f64 / full.height as f64;
                let mut carry = |points: &mut [Position]| {
                    way.carry(points);
                    if layer.level.is_some() {
                        for p in points {
                            (p.x, p.y) = (p.x * rx, p.y * ry);
                        }
                    }
                };
                locate(window, layer.size, margin, &mut carry)
            }
        };
        let grid = grid.ok_or_else(|| Error::Internal(format!("{window} is not aligned to cells")))?;
        let mut strands = Vec::new();
        for piece in pieces(&grid, layer.size, method) {
            let block = self.gather(number, layer, piece.source)?;
            if !block.validity.is_empty() {
                strands.push((piece.target, block));
            }
        }
        Ok(Thread { grid, method, strands })
    }

    /// A window of an input in its own pixels, put together from shared chunks.
    fn gather(&mut self, number: usize, layer: &Layer, window: Window) -> Result<Block> {
        let (sources, work) = (&mut self.sources, &mut self.work);
        self.cache.gather(number, &layer.layout, &layer.selection, window, |chunk, spare| {
            sources.get(number, || open(layer))?.read_with(chunk, work, spare)
        })
    }
}

fn open(layer: &Layer) -> Result<Source> {
    let source = Source::open(&layer.spec, &layer.description, &layer.selection, layer.level)?;
    if source.size() == layer.size {
        Ok(source)
    } else {
        Err(layer.spec.error("changed while it was being read"))
    }
}
