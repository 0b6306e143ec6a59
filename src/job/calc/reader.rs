//! The reading stage: for a window of the output, the pixels of all layers that it takes.

use super::grid::{Placement, Way, to_degrees};
use super::plan::{Layer, Plan};
use crate::block::Block;
use crate::error::{Error, Result};
use crate::raster::chunks::ChunkCache;
use crate::raster::{Locator, Source, Workspace};
use crate::warp::coords::{CoordGrid, Position, whole_cells};
use crate::warp::kernel::halo;
use crate::warp::locate::locate;
use crate::warp::pieces::pieces;
use crate::window::{Size, Window};

/// What was read of a layer.
#[derive(Debug)]
pub(super) enum Thread {
    /// Pixels on the grid; what lies outside of them, or everything when there are none, has no data.
    Aligned(Option<Block>),
    /// Pixels on another grid, and where those of the output lie in it.
    Warped {
        /// Where the output's pixels lie.
        grid: CoordGrid,
        /// Parts of the output, with the pixels they are made of.
        strands: Vec<(Window, Block)>,
    },
}

/// All that the pool needs for a window: plain data, nothing of GDAL.
#[derive(Debug)]
pub(super) struct Weft {
    /// The window.
    pub window: Window,
    /// What was read: the window and the pixels around it that operations ask for.
    pub wide: Window,
    /// Its pixels, layer by layer.
    pub threads: Vec<Thread>,
    /// Longitude and latitude of its pixels in units of [`DEGREE`], if they are computed with.
    pub degrees: Option<CoordGrid>,
}

/// One degree in units of a grid of degrees. Such grids are interpolated to a thousandth of a unit: 10⁻⁹ degrees.
pub(super) const DEGREE: f64 = 1_048_576.0;

/// Reads inputs for windows, on one thread. Rasters are opened when first needed.
pub(super) struct CalcReader<'a> {
    plan: &'a Plan,
    cache: &'a ChunkCache,
    sources: Vec<Option<Source>>,
    ways: Vec<Option<Way>>,
    degrees: Option<Locator>,
    work: Workspace,
}

impl<'a> CalcReader<'a> {
    /// A reader that has nothing open yet.
    pub fn new(plan: &'a Plan, cache: &'a ChunkCache) -> Self {
        let none = || plan.layers.iter().map(|_| None).collect();
        let ways = plan.layers.iter().map(|_| None).collect();
        Self { plan, cache, sources: none(), ways, degrees: None, work: Workspace::default() }
    }

    /// Reads what a window takes.
    ///
    /// # Errors
    /// [`Error::Input`] naming the input and the window that cannot be read.
    pub fn read(&mut self, window: Window) -> Result<Weft> {
        let plan = self.plan;
        let wide = plan.chain.wide(window, plan.grid.size);
        let mut threads = Vec::new();
        for (number, layer) in plan.layers.iter().enumerate() {
            threads.push(match layer.placement {
                Placement::Aligned(place) => Thread::Aligned(self.aligned(number, layer, place, wide)?),
                Placement::Warped { scale } => self.warped(number, layer, scale, wide)?,
            });
        }
        let degrees = plan.uses_degrees().then(|| self.degrees(wide)).transpose()?;
        Ok(Weft { window, wide, threads, degrees })
    }

    /// What a layer on the grid has of a window.
    fn aligned(
        &mut self,
        number: usize,
        layer: &Layer,
        place: Window,
        window: Window,
    ) -> Result<Option<Block>> {
        let wanted = window.intersection(&place).moved(-place.x, -place.y);
        if wanted.is_empty() {
            return Ok(None);
        }
        let mut block = if wanted.is_made_of(layer.description.block, layer.description.size) {
            // No other window takes any of these blocks.
            let source = source(&mut self.sources, number, layer)?;
            source.read_with(wanted, &mut self.work, None)?
        } else {
            self.gather(number, layer, wanted)?
        };
        block.window = wanted.moved(place.x, place.y);
        Ok(Some(block))
    }

    /// A window of a layer in its own pixels, put together from shared chunks.
    fn gather(&mut self, number: usize, layer: &Layer, window: Window) -> Result<Block> {
        let (sources, work) = (&mut self.sources, &mut self.work);
        self.cache.gather(number, &layer.layout, &layer.selection, window, |chunk, spare| {
            source(sources, number, layer)?.read_with(chunk, work, spare)
        })
    }

    /// What a layer on another grid has of a window.
    fn warped(&mut self, number: usize, layer: &Layer, scale: f64, window: Window) -> Result<Thread> {
        let (plan, size) = (self.plan, layer.description.size);
        let slot = &mut self.ways[number];
        let way = match slot.take() {
            Some(way) => slot.insert(way),
            None => slot.insert(Way::new(&plan.grid, &layer.spec, &layer.description)?),
        };
        let margin = halo(plan.resampling, scale as f32) as f64;
        let mut carry = |points: &mut [Position]| way.carry(points);
        let window = whole_cells(&window);
        let grid = locate(window, size, margin, &mut carry)
            .ok_or_else(|| Error::Internal(format!("{window} is not aligned to cells")))?;
        let mut strands = Vec::new();
        for piece in pieces(&grid, size, plan.resampling) {
            let block = self.gather(number, layer, piece.source)?;
            if !block.validity.is_empty() {
                strands.push((piece.target, block));
            }
        }
        Ok(Thread::Warped { grid, strands })
    }

    /// Longitudes and latitudes of a window.
    fn degrees(&mut self, window: Window) -> Result<CoordGrid> {
        // Far more than there are degrees, in units of the grid.
        const ANYWHERE: Size = Size::new(1 << 40, 1 << 40);
        let slot = &mut self.degrees;
        let locator = match slot.take() {
            Some(locator) => slot.insert(locator),
            None => slot.insert(to_degrees(&self.plan.grid)?),
        };
        let mut carry = |points: &mut [Position]| {
            locator.to_coordinates(points);
            for p in points.iter_mut() {
                (p.x, p.y) = (p.x * DEGREE, p.y * DEGREE);
            }
        };
        let window = whole_cells(&window);
        locate(window, ANYWHERE, ANYWHERE.width as f64, &mut carry)
            .ok_or_else(|| Error::Internal(format!("{window} is not aligned to cells")))
    }
}

fn source<'a>(sources: &'a mut [Option<Source>], number: usize, layer: &Layer) -> Result<&'a Source> {
    let slot = &mut sources[number];
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
