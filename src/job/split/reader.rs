//! The reading stage: the pixels of a place in all inputs.

use super::inputs::Layer;
use super::plan::Plan;
use crate::block::Block;
use crate::error::{Error, Result};
use crate::job::calc::grid::{Placement, Way};
use crate::raster::chunks::ChunkCache;
use crate::raster::{Source, Workspace};
use crate::warp::coords::{CoordGrid, Position, whole_cells};
use crate::warp::kernel::halo;
use crate::warp::locate::locate;
use crate::warp::pieces::pieces;
use crate::window::Window;

/// What was read of an input.
#[derive(Debug)]
pub(super) enum Thread {
    /// Pixels on the grid, as far as the place lies in the input.
    Aligned(Option<Block>),
    /// Pixels on another grid, and where those of the place lie in it.
    Warped {
        /// Where the place's pixels lie.
        grid: CoordGrid,
        /// Parts of the place, with the pixels they are made of.
        strands: Vec<(Window, Block)>,
    },
}

/// All that the pool needs for a place: plain data, nothing of GDAL.
#[derive(Debug)]
pub(super) struct Weft {
    /// The number of the place.
    pub number: usize,
    /// Its pixels, input by input.
    pub threads: Vec<Thread>,
}

/// Reads inputs for places, on one thread. Rasters are opened when first needed.
pub(super) struct SplitReader<'a> {
    plan: &'a Plan,
    cache: &'a ChunkCache,
    sources: Vec<Option<Source>>,
    ways: Vec<Option<Way>>,
    work: Workspace,
}

impl<'a> SplitReader<'a> {
    /// A reader that has nothing open yet.
    pub fn new(plan: &'a Plan, cache: &'a ChunkCache) -> Self {
        let sources = plan.layers.iter().map(|_| None).collect();
        let ways = plan.layers.iter().map(|_| None).collect();
        Self { plan, cache, sources, ways, work: Workspace::default() }
    }

    /// Reads what a place takes.
    ///
    /// # Errors
    /// [`Error::Input`] naming the input and the window that cannot be read.
    pub fn read(&mut self, number: usize) -> Result<Weft> {
        let plan = self.plan;
        let window = plan.window(number).intersection(&plan.raster().window());
        let mut threads = Vec::with_capacity(plan.layers.len());
        for (k, layer) in plan.layers.iter().enumerate() {
            threads.push(match layer.placement {
                Placement::Aligned(place) => Thread::Aligned(self.aligned(k, layer, place, window)?),
                Placement::Warped { scale } => self.warped(k, layer, scale, window)?,
            });
        }
        Ok(Weft { number, threads })
    }

    /// What an input on the grid has of a window.
    fn aligned(&mut self, k: usize, layer: &Layer, place: Window, window: Window) -> Result<Option<Block>> {
        let wanted = window.intersection(&place).moved(-place.x, -place.y);
        if wanted.is_empty() {
            return Ok(None);
        }
        let (blocks, size) = (layer.description.block, layer.description.size);
        let mut block = if !self.plan.overlaps() && wanted.is_made_of(blocks, size) {
            // No other chip takes any of these blocks.
            source(&mut self.sources, k, layer)?.read_with(wanted, &mut self.work, None)?
        } else {
            self.gather(k, layer, wanted)?
        };
        block.window = wanted.moved(place.x, place.y);
        Ok(Some(block))
    }

    /// A window of an input in its own pixels, put together from shared chunks.
    fn gather(&mut self, k: usize, layer: &Layer, window: Window) -> Result<Block> {
        let (sources, work) = (&mut self.sources, &mut self.work);
        self.cache.gather(k, &layer.layout, &layer.selection, window, |chunk, spare| {
            source(sources, k, layer)?.read_with(chunk, work, spare)
        })
    }

    /// What an input on another grid has of a window.
    fn warped(&mut self, k: usize, layer: &Layer, scale: f64, window: Window) -> Result<Thread> {
        let (plan, size) = (self.plan, layer.description.size);
        let slot = &mut self.ways[k];
        let way = match slot.take() {
            Some(way) => slot.insert(way),
            None => slot.insert(Way::new(&plan.grid, &layer.spec, &layer.description)?),
        };
        let margin = halo(layer.resampling, scale as f32) as f64;
        let mut carry = |points: &mut [Position]| way.carry(points);
        let window = whole_cells(&window);
        let grid = locate(window, size, margin, &mut carry)
            .ok_or_else(|| Error::Internal(format!("{window} is not aligned to cells")))?;
        let mut strands = Vec::new();
        for piece in pieces(&grid, size, layer.resampling) {
            let block = self.gather(k, layer, piece.source)?;
            if !block.validity.is_empty() {
                strands.push((piece.target, block));
            }
        }
        Ok(Thread::Warped { grid, strands })
    }
}

fn source<'a>(sources: &'a mut [Option<Source>], k: usize, layer: &Layer) -> Result<&'a Source> {
    let slot = &mut sources[k];
    let source = match slot.take() {
        Some(source) => slot.insert(source),
        None => slot.insert(Source::open(&layer.spec, &layer.description, &layer.selection, None)?),
    };
    if source.size() == layer.description.size {
        Ok(source)
    } else {
        Err(layer.spec.error("changed while it was being read"))
    }
}
