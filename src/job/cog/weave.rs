//! The computing stage: packs the blocks of a metatile, reduces it level by level, and packs those of the overviews. Whoever brings the
//! last child of a node above goes on with that node.

use std::sync::{Mutex, PoisonError};

use super::options::StatisticsChoice;
use super::plan::Plan;
use super::statistics::{BandSums, sums};
use crate::block::{Assembly, Block, Validity, from_bytes, take, to_bytes};
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::pyramid::{Nursery, WideNursery};
use crate::raster::codec::pack_mask;
use crate::sink::cog::CogBlock;
use crate::warp::coords::CoordGrid;
use crate::warp::kernel::{Canvas, halo, warp};
use crate::warp::reduce::{halve, join};
use crate::window::{Size, Window};

/// Nodes of the pyramid that wait, and what for; pixels are those of each group of bands.
enum Waiting<'a> {
    /// For their own four children, reduced to a quarter each.
    Quarters(Nursery<'a, Vec<Block>>),
    /// Also for a margin of their children's neighbours.
    Margins(WideNursery<'a, Vec<Block>>),
}

/// A block of the image, by row and column, and what is known of the values of its bands.
type BlockSums = ((usize, usize), Vec<BandSums>);

/// Makes blocks of what was read. Shared by the threads of the pool.
pub(super) struct Loom<'a> {
    plan: &'a Plan,
    waiting: Waiting<'a>,
    /// Of the blocks of the image, in the order they were made.
    sums: Mutex<Vec<BlockSums>>,
}

impl<'a> Loom<'a> {
    /// A loom for a plan.
    pub fn new(plan: &'a Plan) -> Self {
        let waiting = if plan.reduces_locally() {
            Waiting::Quarters(Nursery::new(&plan.pyramid))
        } else {
            Waiting::Margins(WideNursery::new(&plan.pyramid))
        };
        Self { plan, waiting, sums: Mutex::new(Vec::new()) }
    }

    /// What is known of the values of the bands, from all blocks in the order of their place.
    pub fn sums(&self) -> Vec<BandSums> {
        let mut all = std::mem::take(&mut *self.sums.lock().unwrap_or_else(PoisonError::into_inner));
        all.sort_unstable_by_key(|(place, _)| *place);
        let mut total = vec![BandSums::default(); self.plan.bands()];
        for (_, own) in all {
            total.iter_mut().zip(own).for_each(|(total, own)| total.add(&own));
        }
        total
    }

    /// What other parts of the job need of this one: the sums of its blocks, and the pixels that nodes above still wait for.
    pub fn left(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let sums = std::mem::take(&mut *self.sums.lock().unwrap_or_else(PoisonError::into_inner));
        bytes.extend((sums.len() as u64).to_le_bytes());
        for ((row, column), own) in sums {
            bytes.extend((row as u64).to_le_bytes());
            bytes.extend((column as u64).to_le_bytes());
            for sums in own {
                sums.put(&mut bytes);
            }
        }
        let mut put = |tile: TileCoord, reports: u8, parts: &[Vec<Block>]| {
            for number in [u32::from(tile.z), tile.x, tile.y, reports.into(), parts.len() as u32] {
                bytes.extend(number.to_le_bytes());
            }
            for block in parts.iter().flatten() {
                let pixels = to_bytes(block);
                bytes.extend((pixels.len() as u64).to_le_bytes());
                bytes.extend(pixels);
            }
        };
        match &self.waiting {
            Waiting::Quarters(nursery) => {
                nursery.drain().into_iter().for_each(|(child, parts)| put(child, 1, &[parts]));
            }
            Waiting::Margins(nursery) => {
                nursery.drain().into_iter().for_each(|(node, reports, parts)| put(node, reports, &parts));
            }
        }
        bytes
    }

    /// Goes on from what a part has [left](Loom::left): the blocks of the nodes that it completes.
    ///
    /// # Errors
    /// [`Error::Internal`] when it makes no sense, and those of [`Loom::weave`].
    pub fn recall(&self, mut left: &[u8]) -> Result<Vec<CogBlock>> {
        let senseless = || Error::Internal("the notes of a shard make no sense".to_owned());
        let left = &mut left;
        let own = take_sums(left, self.plan.bands()).ok_or_else(senseless)?;
        self.sums.lock().unwrap_or_else(PoisonError::into_inner).extend(own);
        let mut blocks = Vec::new();
        while !left.is_empty() {
            let groups = self.plan.grouping.groups.len();
            let (tile, reports, parts) = take_waiting(left, groups).ok_or_else(senseless)?;
            let mut parts = parts.into_iter();
            match &self.waiting {
                Waiting::Quarters(nursery) => {
                    self.rise(nursery, tile, parts.next().ok_or_else(senseless)?, &mut blocks)?;
                }
                Waiting::Margins(nursery) => {
                    for _ in 0..reports {
                        let Some((node, margins)) = nursery.recall(tile, parts.next()) else { continue };
                        let ready = vec![(node, Some(self.shrunk(node, &margins)?))];
                        self.rise_wide(nursery, ready, &mut blocks)?;
                    }
                }
            }
        }
        Ok(blocks)
    }

    /// The blocks of a metatile from its pixels inside of the raster, and of all nodes above that its arrival completes.
    ///
    /// # Errors
    /// Those of the codecs.
    pub fn weave(&self, metatile: TileCoord, pixels: Block) -> Result<Vec<CogBlock>> {
        let mut blocks = Vec::new();
        self.pack(0, &pixels, &mut blocks)?;
        if self.plan.levels.len() == 1 {
            return Ok(blocks);
        }
        let parts = self.parted(metatile, pixels)?;
        match &self.waiting {
            Waiting::Quarters(nursery) => self.climb(nursery, metatile, parts, &mut blocks)?,
            Waiting::Margins(nursery) => self.climb_wide(nursery, metatile, parts, &mut blocks)?,
        }
        Ok(blocks)
    }

    /// The pixels of a metatile taken apart, as far as it reaches.
    fn parted(&self, metatile: TileCoord, pixels: Block) -> Result<Vec<Block>> {
        let plan = self.plan;
        let whole = plan.pyramid.window(metatile, plan.block);
        if plan.grouping.is_plain() && pixels.window == whole {
            return Ok(vec![pixels]);
        }
        plan.grouping.split(&pixels, whole)
    }

    fn climb(
        &self,
        nursery: &Nursery<'_, Vec<Block>>,
        metatile: TileCoord,
        mut parts: Vec<Block>,
        blocks: &mut Vec<CogBlock>,
    ) -> Result<()> {
        let cascade = &self.plan.pyramid.cascades()[0];
        let lowest = cascade.root().max(cascade.min());
        for z in (lowest..cascade.base()).rev() {
            parts = self.reduced(&parts)?;
            self.finish(z, &parts, blocks)?;
        }
        if self.plan.pyramid.parent(metatile).is_none() {
            return Ok(());
        }
        let quarter = self.reduced(&parts)?;
        drop(parts);
        self.rise(nursery, metatile, quarter, blocks)
    }

    /// From a child, reduced to a quarter, to the nodes above that its arrival completes.
    fn rise(
        &self,
        nursery: &Nursery<'_, Vec<Block>>,
        mut child: TileCoord,
        mut quarter: Vec<Block>,
        blocks: &mut Vec<CogBlock>,
    ) -> Result<()> {
        loop {
            let Some((node, quarters)) = nursery.arrive(child, Some(quarter)) else { return Ok(()) };
            let parts = self.joined(node, quarters)?;
            self.finish(node.z, &parts, blocks)?;
            if self.plan.pyramid.parent(node).is_none() {
                return Ok(());
            }
            quarter = self.reduced(&parts)?;
            child = node;
        }
    }

    /// The pixels of a node from those of its children.
    fn joined(&self, node: TileCoord, mut quarters: [Option<Vec<Block>>; 4]) -> Result<Vec<Block>> {
        let window = node.window(self.plan.block);
        let count = self.plan.grouping.groups.len();
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            // From the last to the first.
            let own = quarters.each_mut().map(|quarter| quarter.as_mut().and_then(Vec::pop));
            let part = join(&own, window)?;
            parts.push(part.ok_or_else(|| Error::Internal(format!("{node} has no children")))?);
        }
        parts.reverse();
        Ok(parts)
    }

    /// Half the size, from 2 × 2 pixels each.
    fn reduced(&self, parts: &[Block]) -> Result<Vec<Block>> {
        let (method, edges) = (self.plan.overview_resampling, self.plan.edges);
        parts.iter().map(|part| halve(part, method, edges)).collect()
    }

    /// Like [`Loom::climb`], block by block, for methods that look over a block's edge.
    fn climb_wide(
        &self,
        nursery: &WideNursery<'_, Vec<Block>>,
        metatile: TileCoord,
        parts: Vec<Block>,
        blocks: &mut Vec<CogBlock>,
    ) -> Result<()> {
        let plan = self.plan;
        let base = plan.pyramid.cascades()[0].base();
        let shift = base - metatile.z;
        let side = 0..1u32 << shift;
        let (x, y) = (metatile.x << shift, metatile.y << shift);
        let under = side.clone().flat_map(|j| side.clone().map(move |i| TileCoord::new(base, x + i, y + j)));
        let mut ready = Vec::new();
        for tile in under.filter(|tile| plan.pyramid.contains(*tile)) {
            ready.push((tile, crop(&parts, tile.window(plan.block))));
        }
        drop(parts);
        self.rise_wide(nursery, ready, blocks)
    }

    /// From blocks to the nodes above that their arrival completes.
    fn rise_wide(
        &self,
        nursery: &WideNursery<'_, Vec<Block>>,
        mut ready: Vec<(TileCoord, Option<Vec<Block>>)>,
        blocks: &mut Vec<CogBlock>,
    ) -> Result<()> {
        let base = self.plan.pyramid.cascades()[0].base();
        while let Some((tile, parts)) = ready.pop() {
            let Some(parts) = parts else {
                return Err(Error::Internal(format!("{tile} has no pixels")));
            };
            if tile.z < base {
                self.finish(tile.z, &parts, blocks)?;
            }
            for (node, margins) in nursery.arrive(tile, |node| crop(&parts, self.reach(node))) {
                ready.push((node, Some(self.shrunk(node, &margins)?)));
            }
        }
        Ok(())
    }

    /// The pixels of the level below that a node is made from.
    fn reach(&self, node: TileCoord) -> Window {
        node.window(2 * self.plan.block).expanded(halo(self.plan.overview_resampling, 2.0))
    }

    /// A node from what its children and their neighbours gave, each for all groups.
    fn shrunk(&self, node: TileCoord, margins: &[Vec<Block>]) -> Result<Vec<Block>> {
        let plan = self.plan;
        let (window, sample_type) = (node.window(plan.block), plan.sample_type());
        let grid = CoordGrid::doubled(window)
            .ok_or_else(|| Error::Internal(format!("{window} is not aligned to cells")))?;
        let one = |(k, group): (usize, &super::groups::Group)| {
            let bands = group.bands.len();
            let mut assembly = Assembly::uncovered(self.reach(node), sample_type, bands);
            margins.iter().filter_map(|parts| parts.get(k)).for_each(|part| {
                assembly.add(part);
            });
            let below = assembly.finish().ok_or_else(|| Error::Internal(format!("{node} is incomplete")))?;
            let mut canvas = Canvas::new(window, sample_type, bands);
            warp(&below, &grid, window, plan.overview_resampling, plan.edges, &mut canvas)?;
            let blank = || Assembly::uncovered(window, sample_type, bands).finish();
            let made = canvas.into_block().or_else(blank);
            made.ok_or_else(|| Error::Internal(format!("{node} has no pixels")))
        };
        plan.grouping.groups.iter().enumerate().map(one).collect()
    }

    /// Packs the blocks of an overview.
    fn finish(&self, z: u8, parts: &[Block], blocks: &mut Vec<CogBlock>) -> Result<()> {
        let plan = self.plan;
        let level = usize::from(plan.pyramid.cascades()[0].base() - z);
        let Some(part) = parts.first() else { return Ok(()) };
        let clip = part.window.intersection(&plan.levels[level].window());
        if let ([part], true) = (parts, plan.grouping.is_plain())
            && part.window == clip
            && part.validity == Validity::All
        {
            return self.pack(level, part, blocks);
        }
        self.pack(level, &plan.grouping.join(parts, clip)?, blocks)
    }

    /// Packs the blocks of a level that lie in a window of pixels as they are stored.
    fn pack(&self, level: usize, pixels: &Block, blocks: &mut Vec<CogBlock>) -> Result<()> {
        let plan = self.plan;
        let window = pixels.window;
        let side = plan.block;
        let codec = &plan.codecs[usize::from(level > 0)];
        let size = Size::new(side, side);
        for row in window.y as usize / side..(window.bottom() as usize).div_ceil(side) {
            for column in window.x as usize / side..(window.right() as usize).div_ceil(side) {
                let place = (column, row);
                let block = Window::new((column * side) as i64, (row * side) as i64, side, side);
                let inside = block.intersection(&window);
                if level == 0 && plan.statistics == StatisticsChoice::Yes {
                    let own = sums(pixels, &inside, &plan.grouping);
                    self.sums.lock().unwrap_or_else(PoisonError::into_inner).push(((row, column), own));
                }
                if plan.spec.sparse && plan.grouping.is_blank(pixels, &inside, plan.spec.mask) {
                    blocks.push(CogBlock { level, column, row, bytes: Vec::new(), mask: Vec::new() });
                    continue;
                }
                let bytes = codec.pack(pixels, place)?;
                let mask = match &pixels.validity {
                    _ if !plan.spec.mask => Vec::new(),
                    Validity::PerPixel(coverage) => pack_mask(coverage, window, size, place)?,
                    Validity::All => {
                        let all = ndarray::Array2::from_elem((inside.height, inside.width), 255);
                        pack_mask(&all, inside, size, place)?
                    }
                };
                blocks.push(CogBlock { level, column, row, bytes, mask });
            }
        }
        Ok(())
    }
}

/// The pixels of all groups inside a window.
fn crop(parts: &[Block], window: Window) -> Option<Vec<Block>> {
    parts.iter().map(|part| part.crop(&window)).collect()
}

/// Takes the sums of blocks off the front.
fn take_sums(left: &mut &[u8], bands: usize) -> Option<Vec<BlockSums>> {
    let count = take(left).map(u64::from_le_bytes)?;
    (0..count)
        .map(|_| {
            let mut number = || take(left).map(|n| u64::from_le_bytes(n) as usize);
            let place = (number()?, number()?);
            Some((place, (0..bands).map(|_| BandSums::take(left)).collect::<Option<_>>()?))
        })
        .collect()
}

/// Takes a tile off the front, how many have reported, and the parts that they brought, each of so many groups.
fn take_waiting(left: &mut &[u8], groups: usize) -> Option<(TileCoord, u32, Vec<Vec<Block>>)> {
    let mut number = || take(left).map(u32::from_le_bytes);
    let (z, x, y, reports, count) = (number()?, number()?, number()?, number()?, number()?);
    let mut block = || {
        let length = usize::try_from(take(left).map(u64::from_le_bytes)?).ok()?;
        let (pixels, rest) = left.split_at_checked(length)?;
        *left = rest;
        from_bytes(pixels)
    };
    let mut part = || (0..groups).map(|_| block()).collect::<Option<Vec<_>>>();
    let parts = (0..count).map(|_| part()).collect::<Option<Vec<_>>>()?;
    Some((TileCoord::new(u8::try_from(z).ok()?, x, y), reports, parts))
}
