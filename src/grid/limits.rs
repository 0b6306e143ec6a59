//! Which columns and rows of the highest level hold tiles.

use super::TileCoord;

/// The columns and rows of the highest level that hold tiles, gathered one tile after the other (the limits of a tile matrix in
/// OGC 17-083r4, 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TileMatrixLimits(Option<(TileCoord, TileCoord)>);

impl TileMatrixLimits {
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

    /// The north-western and the south-eastern corner, both within; `None` before any tile was added.
    pub fn corners(&self) -> Option<(TileCoord, TileCoord)> {
        self.0
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
        let mut limits = TileMatrixLimits::default();
        assert_eq!(limits.ranges(), None);
        for (z, x, y) in [(1, 0, 0), (3, 4, 6), (2, 3, 3), (3, 5, 2)] {
            limits.add(TileCoord::new(z, x, y));
        }
        assert_eq!(limits.ranges(), Some([4, 2, 5, 6]));
    }
}
