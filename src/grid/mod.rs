//! Tile addresses and the grids they are addresses in (pure arithmetic).
//!
//! A grid is a [`TileMatrixSet`]: for each level, where its tiles begin, how large their pixels are and how many there are. The
//! ones people know by name are [registered]; all others are read from [JSON](Definition). `WebMercatorQuad` is the
//! one whose [addresses](TileCoord) have bounds without asking anybody.
//!
//! Source of the constants: OGC Two Dimensional Tile Matrix Set 2.0 (OGC 17-083r4), annex D.

mod json;
mod limits;
mod matrix;
mod registry;

use std::sync::Arc;

pub use json::{AxisOrder, Definition};
pub use limits::TileMatrixLimits;
pub(crate) use matrix::{COLUMN_BITS, METRES_PER_DEGREE, ROW_BITS};
pub use matrix::{PixelGrid, TileMatrix, TileMatrixSet, World};
pub use registry::{names, registered};

use crate::window::Window;

/// Half the width of the Web Mercator square: π · 6 378 137 m.
pub const WEB_MERCATOR_HALF: f64 = 20_037_508.342_789_244;

/// The deepest zoom level whose tile columns fit the containers' address space.
pub const MAX_ZOOM: u8 = 30;

/// Address of a tile; rows count from the top (the XYZ convention), whatever a container stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileCoord {
    /// Zoom level.
    pub z: u8,
    /// Column, from the west.
    pub x: u32,
    /// Row, from the north.
    pub y: u32,
}

impl TileCoord {
    /// A tile address.
    pub const fn new(z: u8, x: u32, y: u32) -> Self {
        Self { z, x, y }
    }

    /// The tile one level up that covers this one; `None` at the top.
    pub const fn parent(self) -> Option<Self> {
        match self.z {
            0 => None,
            z => Some(Self::new(z - 1, self.x / 2, self.y / 2)),
        }
    }

    /// The row counted from the south (the TMS convention of MBTiles).
    pub const fn tms_y(self) -> u32 {
        ((1u64 << self.z) - 1 - self.y as u64) as u32
    }

    /// West, south, east and north edges in Web Mercator metres.
    pub fn bounds(self) -> Bounds {
        let side = 2.0 * WEB_MERCATOR_HALF / (1u64 << self.z) as f64;
        let west = f64::from(self.x) * side - WEB_MERCATOR_HALF;
        let north = WEB_MERCATOR_HALF - f64::from(self.y) * side;
        Bounds { west, south: north - side, east: west + side, north }
    }

    /// The pixels of the tile within its level's matrix.
    pub const fn window(self, tile_size: usize) -> Window {
        let size = tile_size as i64;
        Window::new(self.x as i64 * size, self.y as i64 * size, tile_size, tile_size)
    }
}

impl std::fmt::Display for TileCoord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.z, self.x, self.y)
    }
}

/// A rectangle in the units of a coordinate reference system.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Left edge.
    pub west: f64,
    /// Lower edge.
    pub south: f64,
    /// Right edge.
    pub east: f64,
    /// Upper edge.
    pub north: f64,
}

impl Bounds {
    /// The rectangle grown on every side.
    #[must_use]
    pub fn expanded(&self, by: f64) -> Self {
        Self { west: self.west - by, south: self.south - by, east: self.east + by, north: self.north + by }
    }

    /// The common part of two rectangles, unless they do not meet.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let common = Self {
            west: self.west.max(other.west),
            south: self.south.max(other.south),
            east: self.east.min(other.east),
            north: self.north.min(other.north),
        };
        (common.west < common.east && common.south < common.north).then_some(common)
    }
}

/// A quadtree of tiles over a square: where it lies and how large it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TileGrid {
    /// Left edge of the square.
    pub west: f64,
    /// Upper edge of the square.
    pub north: f64,
    /// Side of the square.
    pub side: f64,
}

impl TileGrid {
    /// `WebMercatorQuad`, in metres.
    pub const WEB_MERCATOR: Self =
        Self { west: -WEB_MERCATOR_HALF, north: WEB_MERCATOR_HALF, side: 2.0 * WEB_MERCATOR_HALF };

    /// The pixel pyramid of an image: in pixels to the right of its left and (negative) below its upper edge. At the
    /// level that is returned with it a pixel of a tile is a pixel of the image.
    pub fn raster(width: usize, height: usize, tile_size: usize) -> (Self, u8) {
        let tiles = width.max(height).div_ceil(tile_size).max(1);
        let level = tiles.next_power_of_two().trailing_zeros() as u8;
        (Self { west: 0.0, north: 0.0, side: (tile_size << level) as f64 }, level)
    }

    /// Size of a pixel of a level, for tiles of `tile_size` pixels.
    pub fn resolution(&self, z: u8, tile_size: usize) -> f64 {
        self.side / (1u64 << z) as f64 / tile_size as f64
    }
}

/// What the tiles of a set divide.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Grid {
    /// The world in Web Mercator, four tiles below each.
    #[default]
    WebMercator,
    /// The pixels of an image: a quadtree without a place on the Earth.
    Image,
    /// Any other division of a plane.
    Set(Arc<TileMatrixSet>),
}

impl Grid {
    /// Columns and rows of a level; `None` where there is no such level.
    pub fn matrix(&self, z: u8) -> Option<(u32, u32)> {
        match self {
            Self::WebMercator | Self::Image => (z <= MAX_ZOOM).then(|| (1 << z, 1 << z)),
            Self::Set(set) => set.matrix(z).map(|m| (m.columns, m.rows)),
        }
    }

    /// Whether there is such a tile.
    pub fn contains(&self, tile: TileCoord) -> bool {
        self.matrix(tile.z).is_some_and(|(columns, rows)| tile.x < columns && tile.y < rows)
    }

    /// The row of a tile counted from the other edge: of one counted from the north the one from the south, and back. `None`
    /// where there is no such tile.
    pub fn turned(&self, tile: TileCoord) -> Option<TileCoord> {
        let (_, rows) = self.matrix(tile.z).filter(|_| self.contains(tile))?;
        Some(TileCoord { y: rows - 1 - tile.y, ..tile })
    }

    /// The division that is not Web Mercator's and not an image's own.
    pub fn set(&self) -> Option<&Arc<TileMatrixSet>> {
        if let Self::Set(set) = self { Some(set) } else { None }
    }
}

/// Longitude in degrees of a Web Mercator easting.
pub fn longitude(x: f64) -> f64 {
    x / WEB_MERCATOR_HALF * 180.0
}

/// Latitude in degrees of a Web Mercator northing (the inverse spherical Mercator, Snyder 1987, eq. 7-4).
pub fn latitude(y: f64) -> f64 {
    (2.0 * (y / WEB_MERCATOR_HALF * std::f64::consts::PI).exp().atan()).to_degrees() - 90.0
}

/// Web Mercator metres of a position in degrees, latitudes cut off at the edge of the square (Snyder 1987, eq. 7-1 and 7-2).
pub fn mercator(longitude: f64, latitude: f64) -> (f64, f64) {
    let y = (std::f64::consts::FRAC_PI_4 + latitude.clamp(-89.9, 89.9).to_radians() / 2.0).tan().ln();
    let y = y / std::f64::consts::PI * WEB_MERCATOR_HALF;
    (longitude / 180.0 * WEB_MERCATOR_HALF, y.clamp(-WEB_MERCATOR_HALF, WEB_MERCATOR_HALF))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_tile_covers_the_square() {
        let b = TileCoord::new(0, 0, 0).bounds();
        assert_eq!((b.west, b.north), (-WEB_MERCATOR_HALF, WEB_MERCATOR_HALF));
        assert_eq!((b.east, b.south), (WEB_MERCATOR_HALF, -WEB_MERCATOR_HALF));
        assert!((latitude(b.north) - 85.051_128_779_806_59).abs() < 1e-9);
    }

    #[test]
    fn an_images_own_pyramid_is_as_deep_as_it_must_be() {
        let (grid, level) = TileGrid::raster(1000, 300, 256);
        assert_eq!((level, grid.resolution(level, 256)), (2, 1.0));
        assert_eq!(TileGrid::raster(256, 256, 256).1, 0);
    }

    #[test]
    fn rows_turn_within_the_matrix_of_their_level() {
        let tile = TileCoord::new(3, 2, 1);
        for grid in [Grid::WebMercator, Grid::Image] {
            assert_eq!(grid.turned(tile), Some(TileCoord::new(3, 2, tile.tms_y())));
            assert_eq!(grid.turned(TileCoord::new(3, 8, 0)), None);
        }
        let wide = Grid::Set(registered("WorldCRS84Quad").expect("is known"));
        assert!(wide.contains(TileCoord::new(3, 15, 7)) && !wide.contains(TileCoord::new(3, 15, 8)));
        assert_eq!(wide.turned(TileCoord::new(3, 15, 7)), Some(TileCoord::new(3, 15, 0)));
        assert_eq!(wide.turned(TileCoord::new(3, 16, 7)), None);
    }

    #[test]
    fn rows_count_from_the_south_in_tms() {
        assert_eq!(TileCoord::new(3, 2, 1).tms_y(), 6);
        assert_eq!(TileCoord::new(0, 0, 0).tms_y(), 0);
    }

    #[test]
    fn mercator_and_back() {
        let (x, y) = mercator(-71.5, 42.25);
        assert!((longitude(x) + 71.5).abs() < 1e-12 && (latitude(y) - 42.25).abs() < 1e-12);
        assert_eq!(mercator(0.0, -90.0).1, -WEB_MERCATOR_HALF);
    }

    #[test]
    fn parents_end_at_the_top() {
        assert_eq!(TileCoord::new(2, 3, 1).parent(), Some(TileCoord::new(1, 1, 0)));
        assert_eq!(TileCoord::new(0, 0, 0).parent(), None);
    }
}
