//! The orders in which containers keep their tiles, each as numbers that sort by it.

use crate::grid::{COLUMN_BITS, Grid, MAX_ZOOM, ROW_BITS, TileCoord};

/// An order of tiles. All begin with the lowest zoom level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By zoom level, column, and row counted from the south: the order of an MBTiles index.
    Columns,
    /// By zoom level, column, and row counted from the north: the order of XYZ names.
    Names,
    /// The same, for grids whose levels are no squares of tiles: up to 2³⁰ columns of 2²⁹ rows.
    Wide,
    /// By zoom level and position on the Hilbert curve: the order of PMTiles.
    Hilbert,
}

impl Order {
    /// The order of names, for tiles of a grid.
    pub(crate) fn names(grid: &Grid) -> Self {
        if grid.set().is_some() { Self::Wide } else { Self::Names }
    }

    /// The place of a tile in this order. `None` when the address is outside of its level's matrix.
    pub(crate) fn key(self, tile: TileCoord) -> Option<u64> {
        let TileCoord { z, x, y } = tile;
        if self == Self::Wide {
            let fits = z <= MAX_ZOOM && x >> COLUMN_BITS == 0 && y >> ROW_BITS == 0;
            let place = (u64::from(z) << COLUMN_BITS | u64::from(x)) << ROW_BITS;
            return fits.then_some(place | u64::from(y));
        }
        if z > MAX_ZOOM || x >> z != 0 || y >> z != 0 {
            return None;
        }
        match self {
            Self::Wide => None,
            Self::Columns => Some(tiles_above(z) + (u64::from(x) << z) + u64::from(tile.tms_y())),
            Self::Names => Some(tiles_above(z) + (u64::from(x) << z) + u64::from(y)),
            Self::Hilbert => {
                let tile = ::pmtiles::TileCoord::new(z, x, y).ok()?;
                Some(::pmtiles::TileId::from(tile).value())
            }
        }
    }

    /// The tile at a place that [`Order::key`] gave.
    pub(crate) fn tile(self, key: u64) -> TileCoord {
        match self {
            Self::Columns | Self::Names => {
                let z = (0..=MAX_ZOOM).rev().find(|z| tiles_above(*z) <= key).unwrap_or(0);
                let rest = key - tiles_above(z);
                let row = rest & ((1 << z) - 1);
                let tile = TileCoord::new(z, (rest >> z) as u32, row as u32);
                if self == Self::Names { tile } else { TileCoord { y: tile.tms_y(), ..tile } }
            }
            Self::Wide => {
                let below = |bits: u32| (1u64 << bits) - 1;
                let column = key >> ROW_BITS & below(COLUMN_BITS);
                let row = key & below(ROW_BITS);
                TileCoord::new((key >> (COLUMN_BITS + ROW_BITS)) as u8, column as u32, row as u32)
            }
            Self::Hilbert => ::pmtiles::TileId::new(key).map_or(TileCoord::new(0, 0, 0), |id| {
                let tile = ::pmtiles::TileCoord::from(id);
                TileCoord::new(tile.z(), tile.x(), tile.y())
            }),
        }
    }
}

/// How many tiles the levels above `z` have: (4ᶻ − 1) / 3.
pub(crate) const fn tiles_above(z: u8) -> u64 {
    ((1u64 << (2 * z)) - 1) / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_level_and_give_the_tile_back() {
        for order in [Order::Columns, Order::Names, Order::Hilbert] {
            for coord in [(0, 0, 0), (1, 1, 0), (5, 31, 7), (17, 70_000, 99_999), (30, (1 << 30) - 1, 3)] {
                let coord = TileCoord::new(coord.0, coord.1, coord.2);
                let key = order.key(coord).expect("inside");
                assert_eq!(order.tile(key), coord);
                assert!(key >= tiles_above(coord.z) && key < tiles_above(coord.z + 1));
            }
            assert_eq!(order.key(TileCoord::new(1, 2, 0)), None);
            assert_eq!(order.key(TileCoord::new(31, 0, 0)), None);
        }
        for coord in [(0, 1, 0), (3, 15, 7), (29, (1 << 30) - 1, (1 << 29) - 1), (30, 5, 6)] {
            let coord = TileCoord::new(coord.0, coord.1, coord.2);
            assert_eq!(Order::Wide.key(coord).map(|key| Order::Wide.tile(key)), Some(coord));
        }
        assert_eq!(Order::Wide.key(TileCoord::new(29, 0, 1 << 29)), None);
        assert!(Order::Wide.key(TileCoord::new(2, 9, 9)) < Order::Wide.key(TileCoord::new(3, 0, 0)));
        let south = Order::Columns.key(TileCoord::new(3, 2, 7));
        assert!(south < Order::Columns.key(TileCoord::new(3, 2, 6)));
        assert!(Order::Names.key(TileCoord::new(3, 2, 6)) < Order::Names.key(TileCoord::new(3, 2, 7)));
    }
}
