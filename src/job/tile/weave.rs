//! The computing stage: warps a metatile, reduces it level by level, and encodes its tiles. Whoever brings the last
//! child of a node above goes on with that node.

use std::cell::Cell;
use std::sync::Arc;

use ndarray::s;

use super::Encoder;
use super::Overlap;
use super::backdrop::Backdrop;
use super::look::Look;
use super::notes::{Left, Notes, recall};
use super::plan::Plan;
use super::reader::{Strand, Weft};
use super::renderer::Renderer;
use crate::block::{Assembly, Block, Samples, Validity, interleaved_slice};
use crate::encode::{Picture, Plane};
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::pyramid::{Nursery, WideNursery};
use crate::resampling::Resampling;
use crate::sink::{Deposited, Depot, Log, Record};
use crate::warp::coords::CoordGrid;
use crate::warp::kernel::{Canvas, Extreme, halo, warp, warp_excluding};
use crate::warp::reduce::{halve, halve_excluding, join};
use crate::window::Window;

/// Nodes of the pyramid that wait, and what for.
enum Waiting<'a> {
    /// For their own four children, reduced to a quarter each.
    Quarters(Nursery<'a, Block>),
    /// Also for a margin of their children's neighbours.
    Margins(WideNursery<'a, Block>),
}

/// What a metatile becomes.
pub enum Woven {
    /// A tile.
    Tile(Deposited),
    /// What is to be noted of the metatile when all its tiles have been taken.
    Record(Record),
}

/// Makes tiles of what was read. Shared by the threads of the pool.
pub struct Loom<'a> {
    plan: &'a Plan,
    waiting: Waiting<'a>,
    renderer: Renderer,
    encoder: &'a Encoder,
    depot: Depot,
    noting: bool,
    /// The set that is updated.
    backdrop: Option<&'a Backdrop>,
}

thread_local! {
    /// Where a thread encodes tile after tile: fresh memory for each would cost more than to fill it.
    static ENCODED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<'a> Loom<'a> {
    /// A loom for a plan, whose tiles go to a depot.
    pub fn new(plan: &'a Plan, encoder: &'a Encoder, depot: Depot) -> Self {
        let renderer = Renderer::new(&plan.look, plan.sample_type);
        let waiting = if plan.reduces_locally() {
            Waiting::Quarters(Nursery::new(&plan.pyramid))
        } else {
            Waiting::Margins(WideNursery::new(&plan.pyramid))
        };
        Self { plan, waiting, renderer, encoder, depot, noting: false, backdrop: None }
    }

    /// Lays tiles over those of a set, of which they are to become part. Tiles that are not planned are left as they are.
    ///
    /// # Errors
    /// [`Error::Usage`] when lower levels are made by a method that looks over the edge of a tile.
    pub fn lay_over(&mut self, backdrop: Option<&'a Backdrop>) -> Result<()> {
        if backdrop.is_some() && !self.plan.reduces_locally() {
            return Err(Error::Usage(
                "--update-bbox makes lower levels by --overview-resampling average, nearest or mode only"
                    .to_owned(),
            ));
        }
        self.backdrop = backdrop;
        Ok(())
    }

    /// Goes on from what is noted of an earlier run: the nodes that wait wait for what is missing only. From now on more is
    /// noted.
    ///
    /// # Errors
    /// [`Error::Output`] when the notes cannot be read, [`Error::Internal`] when they make no sense.
    pub fn resume(&mut self, log: &Log) -> Result<()> {
        self.noting = true;
        recall(&[log], |Left { tile, node, pixels }| {
            let complete = match &self.waiting {
                Waiting::Quarters(nursery) => nursery.arrive(tile, pixels).is_some(),
                Waiting::Margins(nursery) => nursery.recall(node, pixels).is_some(),
            };
            // The task that brought the last pixels has noted that it made the node, or noted nothing.
            if complete {
                return Err(Error::Internal(format!(
                    "{node} is missing from the unfinished work; run without --resume"
                )));
            }
            Ok(())
        })
    }

    /// Makes the nodes that no part of a job could complete, of the pixels that all parts have left; returns their tiles. Nothing else
    /// was woven here.
    ///
    /// # Errors
    /// As [`Loom::resume`], and those of the encoder and of the depot.
    pub fn join<'l>(&self, logs: impl IntoIterator<Item = &'l Log>) -> Result<Vec<Deposited>> {
        let logs: Vec<&Log> = logs.into_iter().collect();
        let mut tiles = Vec::new();
        recall(&logs, |Left { tile, node, pixels }| match &self.waiting {
            Waiting::Quarters(nursery) => self.rise(nursery, tile, pixels, &mut tiles, None),
            Waiting::Margins(nursery) => match nursery.recall(node, pixels) {
                Some((node, parts)) => {
                    let ready = vec![(node, self.shrunk(node, &parts)?)];
                    self.rise_wide(nursery, ready, &mut tiles, None)
                }
                None => Ok(()),
            },
        })?;
        Ok(tiles)
    }

    /// The tiles of a metatile, and of all nodes above that its arrival completes. Empty tiles are left out.
    ///
    /// # Errors
    /// Those of the encoder and of the depot.
    pub fn weave(&self, weft: Weft) -> Result<Vec<Woven>> {
        let metatile = weft.metatile;
        let mut tiles = Vec::new();
        let mut notes = self.noting.then(Notes::default);
        match &self.waiting {
            Waiting::Quarters(nursery) => self.climb(nursery, weft, &mut tiles, notes.as_mut())?,
            Waiting::Margins(nursery) => self.climb_wide(nursery, weft, &mut tiles, notes.as_mut())?,
        }
        let record = match notes {
            Some(notes) => {
                // What is noted must be there, whatever becomes of this process.
                self.depot.flush()?;
                Some(Woven::Record(Record::new(metatile, &tiles, &notes.into_memo())))
            }
            None => None,
        };
        Ok(tiles.into_iter().map(Woven::Tile).chain(record).collect())
    }

    /// What is wrong with the tiles made so far.
    pub fn warning(&self) -> Option<String> {
        self.renderer.warning()
    }

    fn climb(
        &self,
        nursery: &Nursery<'_, Block>,
        weft: Weft,
        tiles: &mut Vec<Deposited>,
        notes: Option<&mut Notes>,
    ) -> Result<()> {
        let child = weft.metatile;
        let root = self.levels(weft, tiles)?;
        let quarter = self.reduced(root)?;
        self.rise(nursery, child, quarter, tiles, notes)
    }

    /// From a child, reduced to a quarter, to the nodes above that its arrival completes.
    fn rise(
        &self,
        nursery: &Nursery<'_, Block>,
        mut child: TileCoord,
        mut quarter: Option<Block>,
        tiles: &mut Vec<Deposited>,
        mut notes: Option<&mut Notes>,
    ) -> Result<()> {
        loop {
            if let (Some(notes), Some(parent)) = (&mut notes, self.above(child)) {
                notes.leave(child, parent, quarter.as_ref());
            }
            let Some((node, quarters)) = nursery.arrive(child, quarter) else { return Ok(()) };
            if let Some(notes) = &mut notes {
                notes.make(node);
            }
            let quarters = self.with_old(node, quarters)?;
            let block = join(&quarters, node.window(self.plan.tile_size))?;
            let block = self.laid(node.z, node.window(self.plan.tile_size), block)?;
            if let Some(block) = &block {
                self.encode(node.z, block, tiles)?;
            }
            quarter = self.reduced(block)?;
            child = node;
        }
    }

    /// The quarters of a node, with what the set that is updated has for children that are not planned.
    fn with_old(&self, node: TileCoord, mut quarters: [Option<Block>; 4]) -> Result<[Option<Block>; 4]> {
        let Some(backdrop) = self.backdrop.filter(|_| node.z < self.plan.max_zoom) else {
            return Ok(quarters);
        };
        for (k, quarter) in (0u32..).zip(&mut quarters) {
            let child = TileCoord::new(node.z + 1, node.x * 2 + k % 2, node.y * 2 + k / 2);
            if quarter.is_none() && !self.plan.pyramid.contains(child) {
                *quarter = self.reduced(backdrop.tile(child)?)?;
            }
        }
        Ok(quarters)
    }

    /// Pixels of the highest level that is written, over what the set that is updated shows there.
    fn laid(&self, z: u8, window: Window, block: Option<Block>) -> Result<Option<Block>> {
        match self.backdrop.filter(|_| z == self.plan.max_zoom) {
            Some(backdrop) => backdrop.under(z, window, block),
            None => Ok(block),
        }
    }

    /// The parent of a tile, if the plan has it.
    fn above(&self, tile: TileCoord) -> Option<TileCoord> {
        self.plan.pyramid.parent(tile)
    }

    /// Like [`Loom::climb`], tile by tile, for methods that look over a tile's edge.
    fn climb_wide(
        &self,
        nursery: &WideNursery<'_, Block>,
        weft: Weft,
        tiles: &mut Vec<Deposited>,
        notes: Option<&mut Notes>,
    ) -> Result<()> {
        let base = self.plan.pyramid.cascade(weft.metatile.z).base();
        let under = self.plan.tiles_of(weft.metatile, base);
        let block = self.warped(weft)?;
        let part = |tile: TileCoord| block.as_ref().and_then(|b| b.crop(&tile.window(self.plan.tile_size)));
        let ready: Vec<(TileCoord, Option<Block>)> = under.map(|tile| (tile, part(tile))).collect();
        drop(block);
        self.rise_wide(nursery, ready, tiles, notes)
    }

    /// From tiles to the nodes above that their arrival completes.
    fn rise_wide(
        &self,
        nursery: &WideNursery<'_, Block>,
        mut ready: Vec<(TileCoord, Option<Block>)>,
        tiles: &mut Vec<Deposited>,
        mut notes: Option<&mut Notes>,
    ) -> Result<()> {
        while let Some((tile, block)) = ready.pop() {
            let block = block.filter(|b| !b.validity.is_empty());
            if let Some(block) = &block {
                self.encode(tile.z, block, tiles)?;
            }
            let margin = |node: TileCoord| {
                let part = block.as_ref().and_then(|b| b.crop(&self.reach(node)));
                if let Some(notes) = &mut notes {
                    notes.leave(tile, node, part.as_ref());
                }
                part
            };
            let complete = nursery.arrive(tile, margin);
            for (node, parts) in complete {
                if let Some(notes) = &mut notes {
                    notes.make(node);
                }
                ready.push((node, self.shrunk(node, &parts)?));
            }
        }
        Ok(())
    }

    /// The pixels of the level below that a node is made from.
    fn reach(&self, node: TileCoord) -> Window {
        let side = self.plan.tile_size;
        node.window(2 * side).expanded(halo(self.plan.overview_resampling, 2.0))
    }

    /// A node from the parts that its children and their neighbours gave.
    fn shrunk(&self, node: TileCoord, parts: &[Block]) -> Result<Option<Block>> {
        if parts.is_empty() {
            return Ok(None);
        }
        let plan = self.plan;
        let mut assembly = Assembly::uncovered(self.reach(node), plan.sample_type, plan.bands);
        for part in parts {
            assembly.add(part);
        }
        let below = assembly.finish().ok_or_else(|| Error::Internal(format!("{node} is incomplete")))?;
        let window = node.window(plan.tile_size);
        let grid = CoordGrid::doubled(window)
            .ok_or_else(|| Error::Internal(format!("{window} is not aligned to cells")))?;
        let mut canvas = Canvas::new(window, plan.sample_type, plan.bands);
        warp(&below, &grid, window, plan.overview_resampling, plan.edges, &mut canvas)?;
        Ok(canvas.into_block())
    }

    /// The base level of a metatile.
    fn warped(&self, weft: Weft) -> Result<Option<Block>> {
        let plan = self.plan;
        let base = plan.base(weft.metatile.z);
        let blank = || Canvas::new(plan.window(weft.metatile), plan.sample_type, plan.bands);
        let draw = |strand: &Strand, canvas: &mut Canvas| {
            let (source, grid, target) = (&strand.source, &strand.grid, strand.target);
            match &plan.exclusion {
                Some(exclusion) if base.resampling == Resampling::Average => {
                    warp_excluding(source, grid, target, exclusion, plan.edges, canvas)
                }
                _ => warp(source, grid, target, base.resampling, plan.edges, canvas),
            }
        };
        let mut canvas = blank();
        let extreme = match plan.overlap {
            Overlap::Min => Some(Extreme::Min),
            Overlap::Max => Some(Extreme::Max),
            Overlap::Last | Overlap::First | Overlap::HighestResolution => None,
        };
        // Strands of an input share their grid, and follow each other. Each is dropped once it is drawn.
        let mut apart: Option<(Arc<CoordGrid>, Canvas)> = None;
        for strand in weft.strands {
            match (extreme, &mut apart) {
                (None, _) => draw(&strand, &mut canvas)?,
                (Some(_), Some((grid, own))) if Arc::ptr_eq(grid, &strand.grid) => draw(&strand, own)?,
                (Some(extreme), _) => {
                    let mut own = blank();
                    draw(&strand, &mut own)?;
                    if let Some((_, before)) = apart.replace((Arc::clone(&strand.grid), own)) {
                        canvas.merge(&before, extreme);
                    }
                }
            }
        }
        if let (Some(extreme), Some((_, last))) = (extreme, apart) {
            canvas.merge(&last, extreme);
        }
        // What lies outside of --bbox must not shine through in lower levels, wherever metatiles happen to end.
        for tile in plan.tiles_beside(weft.metatile) {
            canvas.clear(&tile.window(plan.tile_size));
        }
        if let Some(stencil) = &base.stencil {
            stencil.cut(&mut canvas);
        }
        Ok(canvas.into_block())
    }

    /// Makes the levels of one metatile, without telling anyone; returns its root's pixels.
    pub(super) fn levels(&self, weft: Weft, tiles: &mut Vec<Deposited>) -> Result<Option<Block>> {
        let plan = self.plan;
        let cascade = plan.pyramid.cascade(weft.metatile.z);
        let lowest = cascade.root().max(cascade.min());
        let mut z = cascade.base();
        let (metatile, root) = (weft.metatile, cascade.root());
        let mut block = self.warped(weft)?;
        loop {
            let window = metatile.window(plan.tile_size << (z - root));
            block = self.laid(z, window, block)?;
            if let Some(pixels) = &block {
                self.encode(z, pixels, tiles)?;
            }
            if z == lowest || (block.is_none() && self.backdrop.is_none()) {
                return Ok(block);
            }
            block = self.reduced(block)?;
            z -= 1;
        }
    }

    /// Half the size, from 2 × 2 pixels each; what a wider kernel would make of it when only its size matters.
    fn reduced(&self, block: Option<Block>) -> Result<Option<Block>> {
        let local = self.plan.reduces_locally();
        let method = if local { self.plan.overview_resampling } else { Resampling::Average };
        let halved = |b: Block| match &self.plan.exclusion {
            Some(exclusion) if method == Resampling::Average => {
                halve_excluding(&b, exclusion, self.plan.edges)
            }
            _ => halve(&b, method, self.plan.edges),
        };
        block.map(halved).transpose()
    }

    /// Encodes the tiles of a level that lie in a block, if the level is written.
    fn encode(&self, z: u8, block: &Block, tiles: &mut Vec<Deposited>) -> Result<()> {
        let Some(z) = self.plan.pyramid.zoom(z) else { return Ok(()) };
        let rendered = if self.plan.mixed { None } else { self.renderer.render(block, z) };
        let block = rendered.as_ref().unwrap_or(block);
        let side = self.plan.tile_size;
        let window = block.window;
        for row in 0..window.height / side {
            for column in 0..window.width / side {
                let x = (window.x as usize / side + column) as u32;
                let y = (window.y as usize / side + row) as u32;
                let tile = TileCoord::new(z, x, y);
                if self.backdrop.is_some() && !self.plan.pyramid.contains(tile) {
                    continue;
                }
                let corner = (column * side, row * side);
                let mut bytes = ENCODED.take();
                bytes.clear();
                if self.encode_tile(tile, block, corner, &mut bytes)? {
                    tiles.push(self.depot.deposit(tile, &bytes)?);
                }
                ENCODED.set(bytes);
            }
        }
        Ok(())
    }
}

impl Loom<'_> {
    /// Encodes a tile that begins at a pixel of a block; `false` when it is empty.
    fn encode_tile(
        &self,
        tile: TileCoord,
        block: &Block,
        corner: (usize, usize),
        bytes: &mut Vec<u8>,
    ) -> Result<bool> {
        let side = self.plan.tile_size;
        match self.encoder {
            Encoder::Pictures(encoder) => {
                let Some(picture) = picture(&self.plan.look, block, corner, side)? else { return Ok(false) };
                encoder.encode(&picture, bytes)?;
            }
            Encoder::Values(encoder) => {
                let pixels = block.crop(&tile.window(side)).filter(|pixels| !pixels.validity.is_empty());
                let Some(pixels) = pixels else { return Ok(false) };
                encoder.encode(tile, &pixels, bytes)?;
            }
        }
        Ok(true)
    }
}

/// One tile of a block as an encoder takes it; `None` when it is empty.
fn picture<'a>(
    look: &'a Look,
    block: &'a Block,
    (x, y): (usize, usize),
    side: usize,
) -> Result<Option<Picture<'a>>> {
    let Samples::U8(array) = &block.samples else {
        return Err(Error::Internal("a picture of other than bytes".to_owned()));
    };
    let bytes = interleaved_slice(array);
    let bytes = bytes.ok_or_else(|| Error::Internal("a picture that is not interleaved".to_owned()))?;
    let (bands, width) = (block.bands(), block.window.width);
    let alpha = match &block.validity {
        Validity::All => None,
        Validity::PerPixel(coverage) => {
            let part = coverage.slice(s![y..y + side, x..x + side]);
            if part.iter().all(|&c| c == 0) {
                return Ok(None);
            }
            let plane = coverage.as_slice();
            let plane = plane.ok_or_else(|| Error::Internal("coverage that is not contiguous".to_owned()))?;
            let opaque = part.iter().all(|&c| c == 255);
            (!opaque && !look.is_opaque()).then(|| Plane { bytes: &plane[y * width + x..], stride: width })
        }
    };
    Ok(Some(Picture {
        width: side,
        height: side,
        colour: look.colour(),
        samples: Plane { bytes: &bytes[(y * width + x) * bands..], stride: width * bands },
        alpha,
    }))
}
