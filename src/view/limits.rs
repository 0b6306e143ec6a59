//! Which columns and rows of the highest level hold tiles.

use crate::grid::TileCoord;

/// The columns and rows of the highest level that hold tiles, gathered one tile after the other. Pages ask for no tile outside
/// of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits(Option<(TileCoord, TileCoord)>);

impl Limits {
    /// Takes a tile into account; one of a higher level makes those of lower ones forgotten.
    pub fn add(&mut self, coord: TileCoord) {
        self.0 = match self.0 {
            Some((first, _)) if first.z > coord.z => return,
            Some((first, last)) if first.z == coord.z => Some((
                TileCoord { x: first.x.min(coord.x), y: first.y.min(coord.y), ..first },
                TileCoord { x: last.x.max(coord.x), y: last.y.max(coord.y), ..last },
            )),
            _ => Some((coord, coord)),
        };
    }

    /// First column, first row, last column and last row, from the west and the north; `None` before any tile was added.
    pub fn ranges(&self) -> Option<[u32; 4]> {
        self.0.map(|(first, last)| [first.x, first.y, last.x, last.y])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_highest_level_counts() {
        let mut limits = Limits::default();
        assert_eq!(limits.ranges(), None);
        for (z, x, y) in [(1, 0, 0), (3, 4, 6), (2, 3, 3), (3, 5, 2)] {
            limits.add(TileCoord::new(z, x, y));
        }
        assert_eq!(limits.ranges(), Some([4, 2, 5, 6]));
    }
}
