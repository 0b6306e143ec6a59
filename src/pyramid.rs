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
    /// The tiles of a level of so many columns and rows, with tiles of `tile_size` pixels, that a window of its pixels touches.
    pub fn touching(window: &Window, (columns, rows): (u32, u32), tile_size: usize) -> Self {
        let first = |v: i64, limit: u32| v.div_euclid(tile_size as i64).clamp(0, limit.into()) as u32;
        let last = |v: i64, limit: u32| (-(-v).div_euclid(tile_size as i64)).clamp(0, limit.into()) as u32;
        Self {
            x: first(window.x, columns)..last(window.right(), columns),
            y: first(window.y, rows)..last(window.bottom(), rows),
        }
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

/// A level that is made from the sources, and those below it that are made of it.
#[derive(Debug, Clone)]
pub struct Cascade {
    base: u8,
    max: u8,
    min: u8,
    span: u8,
    shift: u8,
    /// Columns and rows of the base level.
    matrix: (u32, u32),
    /// The tiles of each level from the base upwards.
    levels: Vec<Region>,
}

impl Cascade {
    /// The tiles over `ranges` of level `base`, which has so many columns and rows, down to level `min`. Metatiles hold 2^`span` tiles
    /// along each side. `None` when no range holds a tile, or `min` or the metatiles' roots lie beyond the levels there are.
    ///
    /// All levels are written, each as the zoom level of its number, until [`Cascade::written`] says otherwise.
    pub fn new(base: u8, min: u8, span: u8, matrix: (u32, u32), ranges: &[TileRange]) -> Option<Self> {
        let tiles = Region::of(ranges);
        if tiles.is_empty() || min > base || span > base {
            return None;
        }
        let mut levels = vec![tiles];
        for _ in min.min(base - span)..base {
            levels.extend(levels.last().map(|below| below.parent(1)));
        }
        Some(Self { base, max: base, min, span, shift: 0, matrix, levels })
    }

    /// The same cascade, of which no level above `max` is written, and the others as the zoom levels `shift` below their numbers.
    #[must_use]
    pub fn written(self, max: u8, shift: u8) -> Self {
        Self { max, shift, ..self }
    }

    /// The level that is made from the sources.
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

    /// Columns and rows of a level.
    fn matrix(&self, z: u8) -> (u32, u32) {
        let up = u32::from(self.base.saturating_sub(z)).min(31);
        let halved = |tiles: u32| ((u64::from(tiles) + (1 << up) - 1) >> up) as u32;
        (halved(self.matrix.0), halved(self.matrix.1))
    }

    /// The number of the lowest level, whether there is a tile of it or only metatiles' roots.
    fn lowest(&self) -> u8 {
        self.min.min(self.root())
    }

    /// The tiles of a level.
    fn level(&self, z: u8) -> Option<&Region> {
        self.levels.get(usize::from(self.base.checked_sub(z)?))
    }
}

/// Which tiles exist at which level.
#[derive(Debug, Clone)]
pub struct Pyramid {
    /// Coarse to fine.
    cascades: Vec<Cascade>,
}

impl Pyramid {
    /// The tiles over `ranges` of level `base` of a quadtree, down to level `min`. Metatiles hold 2^`span` tiles along each side, fewer
    /// when the whole level is smaller. `None` when no range holds a tile, or `min` is above `base`.
    pub fn new(base: u8, min: u8, span: u8, ranges: &[TileRange]) -> Option<Self> {
        let side = 1u32 << base.min(31);
        Self::of(vec![Cascade::new(base, min, span.min(base), (side, side), ranges)?])
    }

    /// The tiles of several cascades, coarse to fine. `None` when there are none, or when levels of two have the same number.
    pub fn of(cascades: Vec<Cascade>) -> Option<Self> {
        let apart = cascades.windows(2).all(|pair| pair[0].base < pair[1].lowest());
        (apart && !cascades.is_empty()).then_some(Self { cascades })
    }

    /// The cascades, coarse to fine.
    pub fn cascades(&self) -> &[Cascade] {
        &self.cascades
    }

    /// The position of the cascade that a level belongs to.
    pub fn number(&self, z: u8) -> usize {
        self.cascades.partition_point(|c| c.base < z).min(self.cascades.len() - 1)
    }

    /// The cascade that a level belongs to.
    pub fn cascade(&self, z: u8) -> &Cascade {
        &self.cascades[self.number(z)]
    }

    /// The zoom level as which a level is written; `None` for one that is not.
    pub fn zoom(&self, z: u8) -> Option<u8> {
        let cascade = self.cascade(z);
        (cascade.min..=cascade.max).contains(&z).then(|| z - cascade.shift)
    }

    /// The levels that are written, coarse to fine.
    pub fn written(&self) -> impl Iterator<Item = u8> + '_ {
        self.cascades.iter().flat_map(|c| c.min..=c.max)
    }

    /// Whether a tile may hold data.
    pub fn contains(&self, tile: TileCoord) -> bool {
        self.level(tile.z).is_some_and(|tiles| tiles.contains(tile.x, tile.y))
    }

    /// The tile one level up that covers a tile; `None` at the top of its cascade.
    pub fn parent(&self, tile: TileCoord) -> Option<TileCoord> {
        tile.parent().filter(|parent| parent.z >= self.cascade(tile.z).min)
    }

    /// How many tiles of a level may hold data.
    pub fn count(&self, z: u8) -> u64 {
        self.level(z).map_or(0, Region::count)
    }

    /// The tiles of a level.
    fn level(&self, z: u8) -> Option<&Region> {
        self.cascade(z).level(z)
    }

    /// All metatiles, each named by its root tile; those of the finest cascade first. They come in vertical swaths of `swath`
    /// metatiles, row by row within a swath: so that neighbours find the source blocks they share still in memory.
    pub fn metatiles(&self, swath: u32) -> Vec<TileCoord> {
        let mut all = Vec::new();
        for cascade in self.cascades.iter().rev() {
            let root = cascade.root();
            let roots = cascade.level(root).into_iter().flat_map(Region::ranges);
            let mut own: Vec<TileCoord> = roots
                .flat_map(|r| r.y.flat_map(move |y| r.x.clone().map(move |x| TileCoord::new(root, x, y))))
                .collect();
            own.sort_unstable_by_key(|t| (t.x / swath.max(1), t.y, t.x));
            all.append(&mut own);
        }
        all
    }

    /// The pixels of a metatile at the base level.
    pub fn window(&self, metatile: TileCoord, tile_size: usize) -> Window {
        metatile.window(tile_size << self.cascade(metatile.z).span)
    }

    /// Most nodes that can be waiting at once when metatiles come in swaths of `swath` columns, a bound to size
    /// memory by: half-finished rows across the swath, and one column of its finished nodes above it.
    pub fn most_waiting(&self, swath: u32) -> usize {
        let most = |c: &Cascade| {
            let levels = usize::from(c.root().saturating_sub(c.min));
            let (columns, rows) = c.level(c.root()).map_or((0, 0), |r| (r.columns(), r.rows()));
            (swath as usize).min(columns) * 2 + rows.div_ceil(swath.max(1) as usize) * 2 + levels * 4
        };
        self.cascades.iter().map(most).max().unwrap_or(0)
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
        let parent = self.pyramid.parent(child)?;
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

    /// Takes out what nodes that wait were given: the children that have reported pixels.
    pub fn drain(&self) -> Vec<(TileCoord, B)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut nodes: Vec<_> = waiting.drain().collect();
        nodes.sort_unstable_by_key(|(node, _)| *node);
        let children = nodes.into_iter().flat_map(|(node, own)| {
            let child = move |k: u32| TileCoord::new(node.z + 1, node.x * 2 + k % 2, node.y * 2 + k / 2);
            (0..).zip(own.quarters).filter_map(move |(k, pixels)| Some((child(k), pixels?)))
        });
        children.collect()
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
        if self.pyramid.parent(tile).is_none() {
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

    /// Takes out what nodes that wait were given: how many tiles have reported to each, and the parts of those that had any.
    pub fn drain(&self) -> Vec<(TileCoord, u8, Vec<B>)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |(node, own): (TileCoord, Gathering<B>)| {
            (node, self.contributors(node).saturating_sub(own.missing), own.parts)
        };
        let mut nodes: Vec<_> = waiting.drain().map(told).collect();
        nodes.sort_unstable_by_key(|(node, ..)| *node);
        nodes
    }

    /// The nodes above that need pixels of a tile: its parent and those the parent's neighbours that lie beside it.
    fn neighbourhood(&self, tile: TileCoord) -> Vec<TileCoord> {
        let z = tile.z - 1;
        let (columns, rows) = self.pyramid.cascade(z).matrix(z);
        let near = |v: u32, count: u32| {
            let own = v / 2;
            let other = if v.is_multiple_of(2) { own.checked_sub(1) } else { Some(own + 1) };
            [Some(own), other.filter(|o| *o < count)].into_iter().flatten()
        };
        near(tile.y, rows)
            .flat_map(|y| near(tile.x, columns).map(move |x| TileCoord::new(z, x, y)))
            .filter(|node| self.pyramid.contains(*node))
            .collect()
    }

    /// How many tiles a node needs pixels of.
    fn contributors(&self, node: TileCoord) -> u8 {
        let (columns, rows) = self.pyramid.cascade(node.z).matrix(node.z + 1);
        let around = |v: u32, count: u32| {
            let limits = 0..i64::from(count);
            (i64::from(v) * 2 - 1..=i64::from(v) * 2 + 2).filter(move |c| limits.contains(c))
        };
        let tiles = around(node.y, rows).flat_map(|y| {
            around(node.x, columns).map(move |x| TileCoord::new(node.z + 1, x as u32, y as u32))
        });
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
    fn what_waits_can_be_handed_to_another_nursery() {
        let pyramid = Pyramid::new(6, 0, 1, &[range(3..40, 5..31)]).expect("has tiles");
        let order = pyramid.metatiles(1);
        let (done, wide) = (Mutex::new(0), Mutex::new(0));
        let (all, all_wide) = (Nursery::new(&pyramid), WideNursery::new(&pyramid));
        let up = |nursery: &Nursery<'_, TileCoord>, child: TileCoord| {
            let mut step = nursery.arrive(child, Some(child));
            while let Some((node, _)) = step {
                *done.lock().expect("sound") += 1;
                step = nursery.arrive(node, Some(node));
            }
        };
        let up_wide = |nursery: &WideNursery<'_, TileCoord>, mut queue: Vec<TileCoord>| {
            while let Some(tile) = queue.pop() {
                for (node, _) in nursery.arrive(tile, |_| (tile.x > 7).then_some(tile)) {
                    *wide.lock().expect("sound") += 1;
                    queue.push(node);
                }
            }
        };
        let base: Vec<TileCoord> =
            (5..31).flat_map(|y| (3..40).map(move |x| TileCoord::new(6, x, y))).collect();
        for part in 0..3 {
            let nursery = Nursery::new(&pyramid);
            order.iter().skip(part).step_by(3).for_each(|tile| up(&nursery, *tile));
            nursery.drain().into_iter().for_each(|(child, pixels)| {
                assert_eq!(child, pixels);
                up(&all, child);
            });
            let nursery = WideNursery::new(&pyramid);
            up_wide(&nursery, base.iter().copied().skip(part).step_by(3).collect());
            for (node, reports, parts) in nursery.drain() {
                let mut parts = parts.into_iter();
                for _ in 0..reports {
                    if let Some((node, _)) = all_wide.recall(node, parts.next()) {
                        *wide.lock().expect("sound") += 1;
                        up_wide(&all_wide, vec![node]);
                    }
                }
            }
        }
        let expected: u64 = (0..5).map(|z| pyramid.count(z)).sum();
        assert_eq!(*done.lock().expect("sound"), expected);
        assert_eq!(*wide.lock().expect("sound"), expected + pyramid.count(5));
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
        let touching = |w: Window| TileRange::touching(&w, (8, 8), 256);
        assert_eq!(touching(Window::new(256, 0, 256, 1)), range(1..2, 0..1));
        assert_eq!(touching(Window::new(255, 0, 258, 1)), range(0..3, 0..1));
        assert_eq!(touching(Window::new(-500, 2000, 100, 900)), range(0..0, 7..8));
        assert!(Pyramid::new(3, 0, 2, &[touching(Window::new(-500, 0, 100, 900))]).is_none());
    }

    /// Three cascades: two levels on top, one between, three below that are written as 3 to 5, made one level finer.
    fn stacked() -> Pyramid {
        let all = |columns: u32, rows: u32| [range(0..columns, 0..rows)];
        let top = Cascade::new(2, 1, 2, (5, 3), &all(5, 3)).expect("tiles").written(2, 1);
        let middle = Cascade::new(5, 5, 2, (7, 4), &all(7, 4)).expect("tiles").written(5, 3);
        let bottom = Cascade::new(9, 6, 1, (40, 20), &all(40, 20)).expect("tiles").written(8, 3);
        Pyramid::of(vec![top, middle, bottom]).expect("levels apart")
    }

    #[test]
    fn cascades_finish_their_own_nodes_and_no_others() {
        let pyramid = stacked();
        let zooms: Vec<_> = pyramid.written().map(|z| (z, pyramid.zoom(z))).collect();
        assert_eq!(
            zooms,
            [(1, Some(0)), (2, Some(1)), (5, Some(2)), (6, Some(3)), (7, Some(4)), (8, Some(5))]
        );
        assert_eq!((pyramid.zoom(9), pyramid.zoom(4), pyramid.zoom(0)), (None, None, None));
        let order = pyramid.metatiles(2);
        assert_eq!(order.iter().filter(|t| t.z == 8).count(), 20 * 10);
        assert_eq!((order[0].z, order.last().map(|t| t.z)), (8, Some(0)));
        let done = climb(&pyramid, order);
        let expected: u64 = [6, 7].into_iter().map(|z| pyramid.count(z)).sum();
        assert_eq!(done.len() as u64, expected);
    }

    #[test]
    fn cascades_that_look_over_edges_end_at_their_matrix() {
        let pyramid = stacked();
        let nursery = WideNursery::new(&pyramid);
        let bases = pyramid.cascades().iter().map(|c| (c.base(), c.matrix));
        let mut queue: Vec<TileCoord> = bases
            .flat_map(|(z, (w, h))| (0..h).flat_map(move |y| (0..w).map(move |x| TileCoord::new(z, x, y))))
            .collect();
        let mut done = 0;
        while let Some(tile) = queue.pop() {
            for (node, _) in nursery.arrive(tile, |_| Some(tile)) {
                done += 1;
                queue.push(node);
            }
        }
        assert_eq!(done, [1, 6, 7, 8].into_iter().map(|z| pyramid.count(z)).sum::<u64>());
        assert!(nursery.waiting.lock().expect("sound").is_empty(), "nobody waits for ever");
    }

    #[test]
    fn cascades_that_share_a_level_are_none() {
        let cascade = |base, min| Cascade::new(base, min, 0, (4, 4), &[range(0..1, 0..1)]).expect("tiles");
        assert!(Pyramid::of(vec![cascade(3, 1), cascade(5, 3)]).is_none());
        assert!(Pyramid::of(vec![cascade(3, 1), cascade(5, 4)]).is_some());
        assert!(Cascade::new(1, 0, 2, (4, 4), &[range(0..1, 0..1)]).is_none());
    }
}
