//! The quadtree plan: which tiles exist, in what order they are made, and who waits for whom.
//!
//! Tasks are *metatiles*: squares of tiles at the base level, aligned to the quadtree, so that one task reduces its own
//! inner levels down to its *root*, one tile. Above the roots, nodes wait in a [`Nursery`] until all
//! their children have reported; whoever brings the last one goes on with the parent. Children that do not exist are
//! known from the plan, empty ones report that they are empty, and no node is ever read back from a container.

mod region;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::grid::TileCoord;
use crate::window::Window;
use region::Region;

/// A rectangle of tiles of one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileRange {
    /// Columns.
    pub x: Range<u32>,
    /// Rows, from the north.
    pub y: Range<u32>,
}

impl TileRange {
    /// The tiles of a level with tiles of `tile_size` pixels that a window of its pixels touches.
    pub fn touching(window: &Window, z: u8, tile_size: usize) -> Self {
        let limit = 1i64 << z;
        let first = |v: i64| v.div_euclid(tile_size as i64).clamp(0, limit) as u32;
        let last = |v: i64| (-(-v).div_euclid(tile_size as i64)).clamp(0, limit) as u32;
        Self { x: first(window.x)..last(window.right()), y: first(window.y)..last(window.bottom()) }
    }

    fn parent(&self, levels: u8) -> Self {
        let up =
            |r: &Range<u32>| r.start >> levels..((u64::from(r.end) + (1 << levels) - 1) >> levels) as u32;
        Self { x: up(&self.x), y: up(&self.y) }
    }

    fn is_empty(&self) -> bool {
        self.x.is_empty() || self.y.is_empty()
    }
}

/// Which tiles exist at which level.
#[derive(Debug, Clone)]
pub struct Pyramid {
    base: u8,
    min: u8,
    span: u8,
    /// The tiles of each level from the base upwards.
    levels: Vec<Region>,
}

impl Pyramid {
    /// The tiles over `ranges` of level `base`, down to level `min`. Metatiles hold 2^`span` tiles along each side, fewer when
    /// the whole level is smaller. `None` when no range holds a tile, or `min` is above `base`.
    pub fn new(base: u8, min: u8, span: u8, ranges: &[TileRange]) -> Option<Self> {
        let tiles = Region::of(ranges);
        if tiles.is_empty() || min > base {
            return None;
        }
        let mut levels = vec![tiles];
        for _ in 0..base {
            levels.extend(levels.last().map(|below| below.parent(1)));
        }
        Some(Self { base, min, span: span.min(base), levels })
    }

    /// The level that is made from the source.
    pub fn base(&self) -> u8 {
        self.base
    }

    /// The lowest level.
    pub fn min(&self) -> u8 {
        self.min
    }

    /// The level at which a metatile is one tile.
    pub fn root(&self) -> u8 {
        self.base - self.span
    }

    /// Whether a tile may hold data.
    pub fn contains(&self, tile: TileCoord) -> bool {
        self.level(tile.z).is_some_and(|tiles| tiles.contains(tile.x, tile.y))
    }

    /// How many tiles of a level may hold data.
    pub fn count(&self, z: u8) -> u64 {
        self.level(z).map_or(0, Region::count)
    }

    /// The tiles of a level.
    fn level(&self, z: u8) -> Option<&Region> {
        self.levels.get(usize::from(self.base.checked_sub(z)?))
    }

    /// All metatiles, each named by its root tile. They come in vertical swaths of `swath` metatiles, row by row
    /// within a swath: so that neighbours find the source blocks they share still in memory.
    pub fn metatiles(&self, swath: u32) -> Vec<TileCoord> {
        let root = self.root();
        let roots = self.level(root).into_iter().flat_map(Region::ranges);
        let mut all: Vec<TileCoord> = roots
            .flat_map(|r| r.y.flat_map(move |y| r.x.clone().map(move |x| TileCoord::new(root, x, y))))
            .collect();
        all.sort_unstable_by_key(|t| (t.x / swath.max(1), t.y, t.x));
        all
    }

    /// The pixels of a metatile at the base level.
    pub fn window(&self, metatile: TileCoord, tile_size: usize) -> Window {
        metatile.window(tile_size << self.span)
    }

    /// Most nodes that can be waiting at once when metatiles come in swaths of `swath` columns, a bound to size
    /// memory by: half-finished rows across the swath, and one column of its finished nodes above it.
    pub fn most_waiting(&self, swath: u32) -> usize {
        let levels = usize::from(self.root().saturating_sub(self.min));
        let (columns, rows) = self.level(self.root()).map_or((0, 0), |r| (r.columns(), r.rows()));
        (swath as usize).min(columns) * 2 + rows.div_ceil(swath.max(1) as usize) * 2 + levels * 4
    }

    fn children(&self, tile: TileCoord) -> [Option<TileCoord>; 4] {
        [(0, 0), (1, 0), (0, 1), (1, 1)]
            .map(|(i, j)| TileCoord::new(tile.z + 1, tile.x * 2 + i, tile.y * 2 + j))
            .map(|child| self.contains(child).then_some(child))
    }
}

/// The reduced pixels of a tile's four children: north-west, north-east, south-west, south-east.
pub type Quarters<B> = [Option<B>; 4];

struct Waiting<B> {
    missing: u8,
    quarters: Quarters<B>,
}

/// Nodes that wait for their children. Its lock is held for the time of a table look-up.
pub struct Nursery<'a, B> {
    pyramid: &'a Pyramid,
    waiting: Mutex<HashMap<TileCoord, Waiting<B>>>,
}

impl<'a, B> Nursery<'a, B> {
    /// An empty nursery for a pyramid.
    pub fn new(pyramid: &'a Pyramid) -> Self {
        Self { pyramid, waiting: Mutex::new(HashMap::new()) }
    }

    /// Reports a child: its pixels reduced to a quarter of the parent, or `None` when it is empty. The one that
    /// brings the last child gets the parent and all its quarters to go on with.
    pub fn arrive(&self, child: TileCoord, pixels: Option<B>) -> Option<(TileCoord, Quarters<B>)> {
        let parent = child.parent().filter(|p| p.z >= self.pyramid.min)?;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let node = waiting.entry(parent).or_insert_with(|| Waiting {
            missing: self.pyramid.children(parent).iter().flatten().count() as u8,
            quarters: [None, None, None, None],
        });
        node.quarters[(child.x % 2 + child.y % 2 * 2) as usize] = pixels;
        node.missing = node.missing.saturating_sub(1);
        if node.missing > 0 {
            return None;
        }
        waiting.remove(&parent).map(|node| (parent, node.quarters))
    }
}

struct Gathering<B> {
    missing: u8,
    parts: Vec<B>,
}

/// Nodes that wait for their children and for the children's neighbours, for methods whose kernel reaches over the edges of
/// a tile: a node needs the 4 × 4 tiles around its own four.
pub struct WideNursery<'a, B> {
    pyramid: &'a Pyramid,
    waiting: Mutex<HashMap<TileCoord, Gathering<B>>>,
}

impl<'a, B> WideNursery<'a, B> {
    /// An empty nursery for a pyramid.
    pub fn new(pyramid: &'a Pyramid) -> Self {
        Self { pyramid, waiting: Mutex::new(HashMap::new()) }
    }

    /// Reports a tile; `part` gives what it holds for a node above, `None` when that is empty. Returns the nodes that miss
    /// nothing any more, each with all parts it was given.
    pub fn arrive(
        &self,
        tile: TileCoord,
        mut part: impl FnMut(TileCoord) -> Option<B>,
    ) -> Vec<(TileCoord, Vec<B>)> {
        if tile.z <= self.pyramid.min {
            return Vec::new();
        }
        let nodes = self.neighbourhood(tile);
        let parts: Vec<_> = nodes.into_iter().map(|node| (node, part(node))).collect();
        let mut complete = Vec::new();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (node, part) in parts {
            complete.extend(self.give(&mut waiting, node, part));
        }
        complete
    }

    /// Reports the part of a tile for one node only. Returns the node if it misses nothing any more.
    pub fn recall(&self, node: TileCoord, part: Option<B>) -> Option<(TileCoord, Vec<B>)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.give(&mut waiting, node, part)
    }

    fn give(
        &self,
        waiting: &mut HashMap<TileCoord, Gathering<B>>,
        node: TileCoord,
        part: Option<B>,
    ) -> Option<(TileCoord, Vec<B>)> {
        let gathering = waiting
            .entry(node)
            .or_insert_with(|| Gathering { missing: self.contributors(node), parts: Vec::new() });
        gathering.parts.extend(part);
        gathering.missing = gathering.missing.saturating_sub(1);
        if gathering.missing > 0 {
            return None;
        }
        waiting.remove(&node).map(|gathering| (node, gathering.parts))
    }

    /// The nodes above that need pixels of a tile: its parent and those the parent's neighbours that lie beside it.
    fn neighbourhood(&self, tile: TileCoord) -> Vec<TileCoord> {
        let z = tile.z - 1;
        let last = ((1u64 << z) - 1) as u32;
        let near = |v: u32| {
            let own = v / 2;
            let other = if v.is_multiple_of(2) { own.checked_sub(1) } else { Some(own + 1) };
            [Some(own), other.filter(|o| *o <= last)].into_iter().flatten()
        };
        near(tile.y)
            .flat_map(|y| near(tile.x).map(move |x| TileCoord::new(z, x, y)))
            .filter(|node| self.pyramid.contains(*node))
            .collect()
    }

    /// How many tiles a node needs pixels of.
    fn contributors(&self, node: TileCoord) -> u8 {
        let last = (1i64 << (node.z + 1)) - 1;
        let around =
            |v: u32| (i64::from(v) * 2 - 1..=i64::from(v) * 2 + 2).filter(move |c| (0..=last).contains(c));
        let tiles = around(node.y)
            .flat_map(|y| around(node.x).map(move |x| TileCoord::new(node.z + 1, x as u32, y as u32)));
        tiles.filter(|t| self.pyramid.contains(*t)).count() as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(x: Range<u32>, y: Range<u32>) -> TileRange {
        TileRange { x, y }
    }

    /// Brings all metatiles and returns the nodes that were finished, in order.
    fn climb(pyramid: &Pyramid, mut order: Vec<TileCoord>) -> Vec<TileCoord> {
        let nursery = Nursery::new(pyramid);
        let mut done = Vec::new();
        while let Some(metatile) = order.pop() {
            let mut step = nursery.arrive(metatile, Some(metatile));
            while let Some((node, quarters)) = step {
                let children: Vec<_> = quarters.into_iter().flatten().collect();
                assert_eq!(children, pyramid.children(node).into_iter().flatten().collect::<Vec<_>>());
                done.push(node);
                step = nursery.arrive(node, Some(node));
            }
        }
        assert!(nursery.waiting.lock().expect("sound").is_empty(), "nobody waits for ever");
        done
    }

    #[test]
    fn every_node_is_finished_once_whatever_the_order() {
        let ranges = vec![range(253..256, 100..109), range(0..5, 100..109)];
        let pyramid = Pyramid::new(8, 0, 2, &ranges).expect("has tiles");
        let mut order = pyramid.metatiles(3);
        for _ in 0..2 {
            let done = climb(&pyramid, order.clone());
            let expected: u64 = (0..6).map(|z| pyramid.count(z)).sum();
            assert_eq!(done.len() as u64, expected);
            order.reverse();
        }
    }

    #[test]
    fn nodes_that_look_over_their_edge_wait_for_the_neighbours_too() {
        let ranges = vec![range(253..256, 100..109), range(0..5, 100..109)];
        let pyramid = Pyramid::new(8, 3, 0, &ranges).expect("has tiles");
        let nursery = WideNursery::new(&pyramid);
        let mut queue = pyramid.metatiles(1);
        queue.reverse();
        let mut done = 0;
        while let Some(tile) = queue.pop() {
            for (node, parts) in nursery.arrive(tile, |_| Some(tile)) {
                let expected: Vec<_> =
                    parts.iter().filter(|t| nursery.neighbourhood(**t).contains(&node)).collect();
                assert_eq!(expected.len(), parts.len());
                assert_eq!(parts.len(), usize::from(nursery.contributors(node)));
                done += 1;
                queue.push(node);
            }
        }
        assert_eq!(done, (3..8).map(|z| pyramid.count(z)).sum::<u64>());
        assert!(nursery.waiting.lock().expect("sound").is_empty(), "nobody waits for ever");
    }

    #[test]
    fn overlapping_ranges_count_once() {
        let p =
            Pyramid::new(4, 0, 0, &[range(0..4, 0..4), range(2..6, 2..6), range(1..3, 1..3)]).expect("tiles");
        assert_eq!(p.count(4), 28);
        assert_eq!(p.count(0), 1);
        assert_eq!(p.metatiles(8).len(), 28);
    }

    #[test]
    fn metatiles_are_not_larger_than_the_level() {
        let p = Pyramid::new(1, 0, 2, &[range(0..2, 0..2)]).expect("tiles");
        assert_eq!(p.metatiles(8), [TileCoord::new(0, 0, 0)]);
        assert_eq!(p.window(TileCoord::new(0, 0, 0), 256), Window::new(0, 0, 512, 512));
    }

    #[test]
    fn swaths_run_down_before_they_go_on() {
        let p = Pyramid::new(4, 4, 0, &[range(0..4, 0..2)]).expect("tiles");
        let order: Vec<_> = p.metatiles(2).into_iter().map(|t| (t.x, t.y)).collect();
        assert_eq!(order, [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (3, 0), (2, 1), (3, 1)]);
    }

    #[test]
    fn no_parent_below_the_lowest_level() {
        let p = Pyramid::new(4, 4, 0, &[range(0..4, 0..2)]).expect("tiles");
        assert_eq!(Nursery::new(&p).arrive(TileCoord::new(4, 0, 0), Some(())), None);
    }

    #[test]
    fn windows_touch_the_tiles_they_share_a_pixel_with() {
        let touching = |w: Window| TileRange::touching(&w, 3, 256);
        assert_eq!(touching(Window::new(256, 0, 256, 1)), range(1..2, 0..1));
        assert_eq!(touching(Window::new(255, 0, 258, 1)), range(0..3, 0..1));
        assert_eq!(touching(Window::new(-500, 2000, 100, 900)), range(0..0, 7..8));
        assert!(Pyramid::new(3, 0, 2, &[touching(Window::new(-500, 0, 100, 900))]).is_none());
    }
}
