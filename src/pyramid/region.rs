//! A set of tiles of one level, held as rectangles: as large as its outline is complicated, not as large as its area.

use std::ops::Range;

use super::TileRange;

/// Rows that hold the same columns.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Band {
    rows: Range<u32>,
    /// Columns from the west; no two of them meet.
    columns: Vec<Range<u32>>,
}

/// A set of tiles. Two sets of the same tiles are equal, whatever rectangles they were made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Region {
    /// Bands from the north; no two of them meet in a row.
    bands: Vec<Band>,
}

impl Region {
    /// The tiles that lie in any of the rectangles.
    pub(super) fn of(ranges: &[TileRange]) -> Self {
        let mut ranges: Vec<&TileRange> = ranges.iter().filter(|r| !r.is_empty()).collect();
        ranges.sort_unstable_by_key(|r| r.y.start);
        let mut cuts: Vec<u32> = ranges.iter().flat_map(|r| [r.y.start, r.y.end]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut region = Self::default();
        let mut coming = ranges.into_iter().peekable();
        let mut here: Vec<&TileRange> = Vec::new();
        for rows in cuts.windows(2).map(|w| w[0]..w[1]) {
            here.retain(|r| r.y.end > rows.start);
            while let Some(range) = coming.next_if(|r| r.y.start <= rows.start) {
                here.push(range);
            }
            region.push(Band { rows, columns: joined(here.iter().map(|r| r.x.clone()).collect()) });
        }
        region
    }

    /// Adds a band below all others.
    fn push(&mut self, band: Band) {
        if band.columns.is_empty() {
            return;
        }
        match self.bands.last_mut() {
            Some(last) if last.rows.end == band.rows.start && last.columns == band.columns => {
                last.rows.end = band.rows.end;
            }
            _ => self.bands.push(band),
        }
    }

    /// The tiles some levels up that cover these.
    pub(super) fn parent(&self, levels: u8) -> Self {
        Self::of(&self.ranges().map(|r| r.parent(levels)).collect::<Vec<_>>())
    }

    /// The rectangles that make up the set; no two of them share a tile.
    pub(super) fn ranges(&self) -> impl Iterator<Item = TileRange> + '_ {
        let columns = |band: &Band| band.columns.clone();
        self.bands
            .iter()
            .flat_map(move |band| columns(band).into_iter().map(|x| TileRange { x, y: band.rows.clone() }))
    }

    pub(super) fn contains(&self, x: u32, y: u32) -> bool {
        let band = self.bands.partition_point(|b| b.rows.end <= y);
        self.bands.get(band).filter(|b| b.rows.start <= y).is_some_and(|band| {
            let columns = band.columns.partition_point(|c| c.end <= x);
            band.columns.get(columns).is_some_and(|c| c.start <= x)
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bands.is_empty()
    }

    /// Number of tiles.
    pub(super) fn count(&self) -> u64 {
        self.ranges().map(|r| r.x.len() as u64 * r.y.len() as u64).sum()
    }

    /// Number of rows that hold a tile.
    pub(super) fn rows(&self) -> usize {
        self.bands.iter().map(|b| b.rows.len()).sum()
    }

    /// Number of columns that hold a tile.
    pub(super) fn columns(&self) -> usize {
        joined(self.ranges().map(|r| r.x).collect()).iter().map(ExactSizeIterator::len).sum()
    }
}

/// The same numbers in as few ranges as hold them, in order.
fn joined(mut ranges: Vec<Range<u32>>) -> Vec<Range<u32>> {
    ranges.sort_unstable_by_key(|r| r.start);
    let mut all: Vec<Range<u32>> = Vec::new();
    for range in ranges {
        match all.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(x: Range<u32>, y: Range<u32>) -> TileRange {
        TileRange { x, y }
    }

    /// Rectangles that overlap, touch, lie apart, and repeat each other.
    fn scattered(count: u32) -> Vec<TileRange> {
        let mut state = 7u32;
        let mut next = |limit: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % limit
        };
        (0..count)
            .map(|_| {
                let (x, y) = (next(40), next(40));
                range(x..x + next(9), y..y + next(9))
            })
            .collect()
    }

    #[test]
    fn holds_the_tiles_of_its_rectangles_and_no_others() {
        for count in [0, 1, 2, 7, 40] {
            let ranges = scattered(count);
            let region = Region::of(&ranges);
            let mut tiles = 0;
            for (x, y) in (0..50).flat_map(|y| (0..50).map(move |x| (x, y))) {
                let inside = ranges.iter().any(|r| r.x.contains(&x) && r.y.contains(&y));
                assert_eq!(region.contains(x, y), inside, "{x}, {y} of {count}");
                tiles += u64::from(inside);
            }
            assert_eq!(region.count(), tiles);
            assert_eq!(region.is_empty(), tiles == 0);
        }
    }

    #[test]
    fn parents_are_those_of_its_tiles() {
        let region = Region::of(&scattered(12));
        for levels in 0..4 {
            let parent = region.parent(levels);
            let tiles = (0..50).flat_map(|y| (0..50).map(move |x| (x, y)));
            let mut above: Vec<_> = tiles
                .filter(|(x, y)| region.contains(*x, *y))
                .map(|(x, y)| (x >> levels, y >> levels))
                .collect();
            above.sort_unstable();
            above.dedup();
            assert_eq!(parent.count(), above.len() as u64);
            assert!(above.iter().all(|(x, y)| parent.contains(*x, *y)));
        }
    }

    #[test]
    fn equal_sets_are_equal_and_small() {
        let whole = Region::of(&[range(0..64, 0..64)]);
        let pieces: Vec<_> =
            (0..256).map(|k| range(k % 16 * 4..k % 16 * 4 + 5, k / 16 * 4..k / 16 * 4 + 4)).collect();
        let pieces: Vec<_> = pieces.into_iter().map(|r| range(r.x.start..r.x.end.min(64), r.y)).collect();
        assert_eq!(Region::of(&pieces), whole);
        assert_eq!(whole.ranges().count(), 1);
    }

    #[test]
    fn rows_and_columns_count_once() {
        let region = Region::of(&[range(0..4, 0..2), range(2..6, 1..9), range(20..21, 30..31)]);
        assert_eq!((region.rows(), region.columns()), (10, 7));
    }
}
