//! Which addresses of a grid have tiles, however many: as runs along a curve.
//!
//! Tiles of a quadtree are numbered as PMTiles does, level by level along the Hilbert curve. Along it the four children of a tile come one
//! after the other, so the parents of a run are a run, and no run needs to be taken apart, whatever length an archive claims.

use crate::grid::{Grid, MAX_ZOOM, TileCoord};
use crate::order::{Order, tiles_above};

/// Numbers one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    first: u64,
    end: u64,
}

/// Addresses as they are found.
#[derive(Debug)]
pub(super) struct Gathering {
    order: Order,
    runs: Vec<Run>,
}

impl Gathering {
    pub(super) fn new(grid: &Grid) -> Self {
        let order = if grid.set().is_some() { Order::Wide } else { Order::Hilbert };
        Self { order, runs: Vec::new() }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.runs.capacity() * size_of::<Run>()
    }

    /// Takes an address down; one outside of the grid is left out.
    pub(super) fn push(&mut self, coord: TileCoord) {
        if let Some(first) = self.order.key(coord) {
            self.push_run(first, 1);
        }
    }

    /// Takes a run of ids of PMTiles down.
    pub(super) fn push_run(&mut self, first: u64, count: u64) {
        let end = first.saturating_add(count);
        match self.runs.last_mut() {
            Some(last) if last.end == first => last.end = end,
            _ => self.runs.push(Run { first, end }),
        }
    }

    /// All addresses, and of those that were there more than once how many and the first.
    pub(super) fn finish(mut self) -> (Addresses, Option<(u64, TileCoord)>) {
        self.runs.sort_unstable();
        let mut runs: Vec<Run> = Vec::with_capacity(self.runs.len());
        let mut doubles: Option<(u64, TileCoord)> = None;
        for run in self.runs {
            match runs.last_mut() {
                Some(last) if run.first < last.end => {
                    let count = run.end.min(last.end) - run.first;
                    let first = self.order.tile(run.first);
                    doubles = Some(doubles.map_or((count, first), |(n, first)| (n + count, first)));
                    last.end = last.end.max(run.end);
                }
                Some(last) if run.first == last.end => last.end = run.end,
                _ => runs.push(run),
            }
        }
        runs.shrink_to_fit();
        (Addresses { order: self.order, runs }, doubles)
    }
}

/// Columns and rows of a level that have tiles, all of them within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) first: TileCoord,
    pub(super) last: TileCoord,
}

impl Extent {
    fn with(self, other: Self) -> Self {
        let (a, b) = (self.first, self.last);
        let (c, d) = (other.first, other.last);
        Self {
            first: TileCoord { x: a.x.min(c.x), y: a.y.min(c.y), ..a },
            last: TileCoord { x: b.x.max(d.x), y: b.y.max(d.y), ..b },
        }
    }
}

/// Addresses with tiles.
#[derive(Debug)]
pub(super) struct Addresses {
    order: Order,
    runs: Vec<Run>,
}

impl Addresses {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        self.runs.iter().map(|run| run.end - run.first).sum()
    }

    /// Lowest and highest level.
    pub(super) fn zooms(&self) -> Option<(u8, u8)> {
        let (first, last) = (self.runs.first()?, self.runs.last()?);
        Some((self.order.tile(first.first).z, self.order.tile(last.end - 1).z))
    }

    /// The numbers of a level.
    fn level(&self, z: u8) -> Run {
        match self.order {
            Order::Wide => {
                let first = self.order.key(TileCoord::new(z, 0, 0)).unwrap_or(u64::MAX);
                let end = self.order.key(TileCoord::new(z + 1, 0, 0));
                Run { first, end: end.unwrap_or(u64::MAX) }
            }
            _ => Run { first: tiles_above(z), end: tiles_above(z + 1) },
        }
    }

    /// The runs of a level, cut off at its ends.
    fn of_level(&self, z: u8) -> impl Iterator<Item = Run> {
        let level = self.level(z);
        let start = self.runs.partition_point(|run| run.end <= level.first);
        let cut = move |run: &Run| Run { first: run.first.max(level.first), end: run.end.min(level.end) };
        self.runs[start..].iter().map(cut).take_while(move |run| run.first < level.end)
    }

    /// Levels between the lowest and the highest without any tile.
    pub(super) fn gaps(&self) -> Vec<u8> {
        let Some((min, max)) = self.zooms() else { return Vec::new() };
        (min..=max).filter(|z| self.of_level(*z).next().is_none()).collect()
    }

    /// Columns and rows of a level.
    pub(super) fn extent(&self, z: u8) -> Option<Extent> {
        let boxes = self.of_level(z).flat_map(|run| self.boxes(z, run));
        boxes.reduce(Extent::with)
    }

    /// Squares that a run fills, or its tiles.
    fn boxes(&self, z: u8, run: Run) -> impl Iterator<Item = Extent> {
        let base = self.level(z).first;
        let mut at = run.first;
        std::iter::from_fn(move || {
            if at >= run.end {
                return None;
            }
            if self.order != Order::Hilbert {
                let tile = self.order.tile(at);
                at += 1;
                return Some(Extent { first: tile, last: tile });
            }
            // The largest part of the curve that begins here and is the whole of a tile above.
            let fits = |k: &u8| {
                let side = 1u64 << (2 * u32::from(*k));
                (at - base).is_multiple_of(side) && at + side <= run.end
            };
            let k = (0..=z).take_while(fits).last().unwrap_or(0);
            let above = Order::Hilbert.tile(tiles_above(z - k) + ((at - base) >> (2 * u32::from(k))));
            at += 1 << (2 * u32::from(k));
            let first = TileCoord::new(z, above.x << k, above.y << k);
            let side = (1u32 << k) - 1;
            Some(Extent { first, last: TileCoord::new(z, first.x + side, first.y + side) })
        })
    }

    /// Tiles that are missing above others: how many, and the first. Grids that are no quadtrees have none to miss.
    pub(super) fn missing_parents(&self) -> Option<(u64, TileCoord)> {
        if self.order != Order::Hilbert {
            return None;
        }
        let (min, max) = self.zooms()?;
        let mut found: Option<(u64, TileCoord)> = None;
        for z in (min + 1..=max.min(MAX_ZOOM)).rev() {
            let (base, above) = (tiles_above(z), tiles_above(z - 1));
            // A level without any tile is told once.
            if self.of_level(z - 1).next().is_none() {
                continue;
            }
            let mut done = 0;
            for run in self.of_level(z) {
                let first = (above + ((run.first - base) >> 2)).max(done);
                let end = above + ((run.end - 1 - base) >> 2) + 1;
                done = end.max(done);
                if let Some((count, id)) = self.uncovered(first, end) {
                    let tile = Order::Hilbert.tile(id);
                    found = Some(found.map_or((count, tile), |(n, tile)| (n + count, tile)));
                }
            }
        }
        found
    }

    /// How many of some numbers have no tile, and the first of them.
    fn uncovered(&self, first: u64, end: u64) -> Option<(u64, u64)> {
        let (mut at, mut missing, mut found) = (first, 0, None);
        let start = self.runs.partition_point(|run| run.end <= first);
        for run in &self.runs[start..] {
            if at >= end || run.first >= end {
                break;
            }
            if run.first > at {
                missing += run.first - at;
                found = found.or(Some(at));
            }
            at = run.end;
        }
        if at < end {
            missing += end - at;
            found = found.or(Some(at));
        }
        found.map(|id| (missing, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(tiles: impl IntoIterator<Item = (u8, u32, u32)>) -> (Addresses, Option<(u64, TileCoord)>) {
        let mut gathering = Gathering::new(&Grid::WebMercator);
        tiles.into_iter().for_each(|(z, x, y)| gathering.push(TileCoord::new(z, x, y)));
        gathering.finish()
    }

    /// A full level.
    fn level(z: u8) -> impl Iterator<Item = (u8, u32, u32)> {
        (0..1u32 << z).flat_map(move |x| (0..1u32 << z).map(move |y| (z, x, y)))
    }

    #[test]
    fn a_full_pyramid_is_one_run_without_gaps() {
        let (all, doubles) = gathered((0..=5).flat_map(level));
        assert_eq!((all.runs.len(), all.count(), all.zooms()), (1, tiles_above(6), Some((0, 5))));
        assert!(doubles.is_none() && all.gaps().is_empty() && all.missing_parents().is_none());
        let extent = all.extent(5).expect("tiles");
        assert_eq!((extent.first, extent.last), (TileCoord::new(5, 0, 0), TileCoord::new(5, 31, 31)));
    }

    #[test]
    fn extents_are_those_of_the_tiles_one_by_one() {
        let tiles = [(7u8, 20u32, 90u32), (7, 21, 90), (7, 70, 33), (7, 64, 65), (3, 0, 0)];
        let (all, _) = gathered(tiles);
        let extent = all.extent(7).expect("tiles");
        assert_eq!((extent.first.x, extent.first.y, extent.last.x, extent.last.y), (20, 33, 70, 90));
        assert_eq!(all.gaps(), [4, 5, 6]);
        assert!(all.extent(5).is_none());
        // Runs of any length along the curve.
        for (first, count) in [(0, 7), (5, 1000), (63, 2), (1, 16_383)] {
            let mut gathering = Gathering::new(&Grid::WebMercator);
            gathering.push_run(tiles_above(7) + first, count);
            let (all, _) = gathering.finish();
            let one = |id| Order::Hilbert.tile(tiles_above(7) + id);
            let tiles: Vec<_> = (first..first + count).map(one).collect();
            let extent = all.extent(7).expect("tiles");
            assert_eq!(extent.first.x, tiles.iter().map(|t| t.x).min().expect("some"));
            assert_eq!(extent.first.y, tiles.iter().map(|t| t.y).min().expect("some"));
            assert_eq!(extent.last.x, tiles.iter().map(|t| t.x).max().expect("some"));
            assert_eq!(extent.last.y, tiles.iter().map(|t| t.y).max().expect("some"));
        }
    }

    #[test]
    fn missing_parents_and_doubles_are_counted() {
        let tiles = (2..=5).flat_map(level).filter(|t| !matches!(t, (4, 3, 3) | (4, 9, 1) | (3, 0, 7)));
        let (all, _) = gathered(tiles);
        assert_eq!(all.missing_parents().map(|(n, _)| n), Some(3));
        let (_, doubles) = gathered(level(3).chain([(3, 1, 1), (3, 7, 7)]));
        assert_eq!(doubles.map(|(n, _)| n), Some(2));
    }

    #[test]
    fn the_longest_run_that_can_be_claimed_costs_nothing() {
        let mut gathering = Gathering::new(&Grid::WebMercator);
        gathering.push_run(5, u64::from(u32::MAX));
        gathering.push_run(tiles_above(20) + 3, u64::from(u32::MAX));
        let (all, _) = gathering.finish();
        let (_, max) = all.zooms().expect("tiles");
        assert!(all.extent(max).is_some() && all.missing_parents().is_none());
        assert_eq!((max, all.gaps()), (20, vec![17, 18, 19]));
    }
}
