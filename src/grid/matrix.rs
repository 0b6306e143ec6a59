//! Tile matrix sets: the levels of a grid, each with tiles of its own size and number.
//!
//! Terms are those of OGC 17-083r4. Coordinates are in the order of GIS, x or longitude first, and origins are upper left corners,
//! whatever the definition of a set says.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

use super::{Bounds, MAX_ZOOM, TileGrid, WEB_MERCATOR_HALF};
use crate::window::Window;

/// Side of a pixel on paper that scale denominators are about, in metres (OGC 17-083r4, 6.2.1).
pub(super) const PAPER_PIXEL: f64 = 0.28e-3;

/// Metres of a degree of longitude on the equator of WGS 84.
pub(super) const METRES_PER_DEGREE: f64 = WEB_MERCATOR_HALF / 180.0;

/// Columns of a level at most: 2 to the power of this. What addresses in a container's order have room for.
pub(crate) const COLUMN_BITS: u32 = 30;

/// Rows of a level at most: 2 to the power of this.
pub(crate) const ROW_BITS: u32 = 29;

/// Pixels by which a level may slip against the next finer one, at the far end of its matrix, to nest with it.
const SLIP: f64 = 1.0 / 8.0;

/// The part of a plane that stands for the Earth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct World {
    /// Its edges.
    pub bounds: Bounds,
    /// Whether its eastern edge is the western one: coordinates go round the Earth.
    pub round: bool,
    /// Whether it is Web Mercator's, which takes the Earth for a sphere; the world of Mercator on the ellipsoid has the same edges.
    pub sphere: bool,
}

impl World {
    /// The square of Web Mercator, in metres.
    pub const WEB_MERCATOR: Self = Self {
        bounds: Bounds {
            west: -WEB_MERCATOR_HALF,
            south: -WEB_MERCATOR_HALF,
            east: WEB_MERCATOR_HALF,
            north: WEB_MERCATOR_HALF,
        },
        round: true,
        sphere: true,
    };

    /// Longitudes and latitudes in degrees.
    pub const DEGREES: Self = Self {
        bounds: Bounds { west: -180.0, south: -90.0, east: 180.0, north: 90.0 },
        round: true,
        sphere: false,
    };

    /// A way round the Earth; `None` where coordinates do not go round.
    pub fn turn(&self) -> Option<f64> {
        self.round.then_some(self.bounds.east - self.bounds.west)
    }
}

/// A level of a grid as a plane of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelGrid {
    /// Left edge.
    pub west: f64,
    /// Upper edge.
    pub north: f64,
    /// Side of a pixel.
    pub step: f64,
    /// Columns of pixels.
    pub columns: i64,
    /// Rows of pixels.
    pub rows: i64,
}

impl PixelGrid {
    /// The pixels that a rectangle touches; what rounding leaves over is nothing.
    pub fn pixels(&self, b: &Bounds) -> Window {
        let column = |x: f64| (x - self.west) / self.step;
        let row = |y: f64| (self.north - y) / self.step;
        let first = |v: f64| (v + 1e-3).floor() as i64;
        let last = |v: f64| (v - 1e-3).ceil() as i64;
        Window::from_edges(
            first(column(b.west)),
            first(row(b.north)),
            last(column(b.east)),
            last(row(b.south)),
        )
        .intersection(&Window::from_edges(0, 0, self.columns, self.rows))
    }

    /// Where pixels lie.
    pub fn place(&self, w: &Window) -> Bounds {
        Bounds {
            west: self.west + w.x as f64 * self.step,
            south: self.north - w.bottom() as f64 * self.step,
            east: self.west + w.right() as f64 * self.step,
            north: self.north - w.y as f64 * self.step,
        }
    }

    /// The edges of the whole level.
    pub fn bounds(&self) -> Bounds {
        let (east, south) =
            (self.west + self.columns as f64 * self.step, self.north - self.rows as f64 * self.step);
        Bounds { west: self.west, south, east, north: self.north }
    }
}

/// A level of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct TileMatrix {
    /// Its name, in most grids a number.
    pub id: String,
    /// Left edge of the first column.
    pub west: f64,
    /// Upper edge of the first row.
    pub north: f64,
    /// Side of a pixel, for tiles of the grid's own size.
    pub cell: f64,
    /// Number of columns of tiles.
    pub columns: u32,
    /// Number of rows of tiles.
    pub rows: u32,
}

/// A grid: levels from coarse to fine, in one coordinate reference system.
#[derive(Clone, PartialEq)]
pub struct TileMatrixSet {
    /// Its identifier, by which people know it.
    pub id: String,
    /// What it is, in words.
    pub title: Option<String>,
    /// The address by which it is registered.
    pub uri: Option<String>,
    /// The coordinate reference system: an address (`http://www.opengis.net/def/crs/…`), a code, or text that defines it. Empty for
    /// the pixels of an image.
    pub crs: String,
    /// Whether definitions tell northings or latitudes first. Coordinates here have x first all the same.
    pub north_first: bool,
    /// Metres in a unit of the coordinates.
    pub metres: f64,
    /// The part of the plane that stands for the Earth.
    pub world: World,
    /// Side of a tile in pixels.
    pub tile_size: usize,
    /// Zoom level of the first matrix; the others follow.
    pub first: u8,
    /// The levels, coarse to fine.
    pub matrices: Vec<TileMatrix>,
}

impl TileMatrixSet {
    /// `WebMercatorQuad` down to the deepest level there is.
    pub fn web_mercator() -> Self {
        Self {
            id: "WebMercatorQuad".to_owned(),
            title: Some("Google Maps Compatible for the World".to_owned()),
            uri: Some("http://www.opengis.net/def/tilematrixset/OGC/1.0/WebMercatorQuad".to_owned()),
            crs: "http://www.opengis.net/def/crs/EPSG/0/3857".to_owned(),
            world: World::WEB_MERCATOR,
            ..Self::quad(&TileGrid::WEB_MERCATOR, 256)
        }
    }

    /// The pixel pyramid of an image.
    pub fn image(width: usize, height: usize, tile_size: usize) -> Self {
        Self::quad(&TileGrid::raster(width, height, tile_size).0, tile_size)
    }

    /// A quadtree.
    fn quad(square: &TileGrid, tile_size: usize) -> Self {
        let TileGrid { west, north, side } = *square;
        let matrix = |z: u8| TileMatrix {
            id: z.to_string(),
            west,
            north,
            cell: square.resolution(z, tile_size),
            columns: 1 << z,
            rows: 1 << z,
        };
        Self {
            id: String::new(),
            title: None,
            uri: None,
            crs: String::new(),
            north_first: false,
            metres: 1.0,
            world: World {
                bounds: Bounds { west, south: north - side, east: west + side, north },
                round: false,
                sphere: false,
            },
            tile_size,
            first: 0,
            matrices: (0..=MAX_ZOOM).map(matrix).collect(),
        }
    }

    /// The highest zoom level.
    pub fn last(&self) -> u8 {
        self.first + (self.matrices.len() as u8).saturating_sub(1)
    }

    /// The matrix of a zoom level.
    pub fn matrix(&self, z: u8) -> Option<&TileMatrix> {
        self.matrices.get(usize::from(z.checked_sub(self.first)?))
    }

    /// Side of a pixel of a zoom level, for tiles of `tile_size` pixels. Levels that are not there have the last one's.
    pub fn resolution(&self, z: u8, tile_size: usize) -> f64 {
        let matrix = self.matrix(z).or(self.matrices.last());
        matrix.map_or(1.0, |m| m.cell * self.tile_size as f64 / tile_size as f64)
    }

    /// The pixels of a zoom level, for tiles of `tile_size` pixels, made 2 to the power of `finer` times finer.
    pub fn plane(&self, z: u8, tile_size: usize, finer: u8) -> PixelGrid {
        let times = (1u64 << finer.min(62)) as f64;
        let step = self.resolution(z, tile_size) / times;
        let (west, north, columns, rows) = self
            .matrix(z)
            .or(self.matrices.last())
            .map_or((0.0, 0.0, 1, 1), |m| (m.west, m.north, m.columns, m.rows));
        let pixels = |tiles: u32| (i64::from(tiles) * tile_size as i64) << finer.min(24);
        PixelGrid { west, north, step, columns: pixels(columns), rows: pixels(rows) }
    }

    /// Whether each tile of a zoom level is divided by the next one's into four, so that it can be made of these.
    pub fn nests(&self, z: u8) -> bool {
        let Some((coarse, fine)) = self.matrix(z).zip(self.matrix(z + 1)) else { return false };
        let most = f64::from(fine.columns.max(fine.rows)) * self.tile_size as f64;
        let slip = (coarse.cell / fine.cell - 2.0).abs() / 2.0 * most;
        let apart = (coarse.west - fine.west).abs().max((coarse.north - fine.north).abs()) / fine.cell;
        let covered = fine.columns.div_ceil(2) <= coarse.columns && fine.rows.div_ceil(2) <= coarse.rows;
        slip + apart <= SLIP && covered
    }

    /// The edges of all levels together.
    pub fn bounds(&self) -> Bounds {
        let planes = (self.first..=self.last()).map(|z| self.plane(z, self.tile_size, 0).bounds());
        planes
            .reduce(|a, b| Bounds {
                west: a.west.min(b.west),
                south: a.south.min(b.south),
                east: a.east.max(b.east),
                north: a.north.max(b.north),
            })
            .unwrap_or(self.world.bounds)
    }

    /// Whether its levels are some of those of `WebMercatorQuad`, under the same numbers.
    pub fn is_web_mercator(&self) -> bool {
        let own = Self::web_mercator();
        let same = |a: f64, b: f64| (a - b).abs() <= 1e-9 * WEB_MERCATOR_HALF;
        let alike = |(z, m): (u8, &TileMatrix)| {
            own.matrix(z).is_some_and(|w| {
                same(m.west, w.west)
                    && same(m.north, w.north)
                    && (m.cell / w.cell - 1.0).abs() <= 1e-9
                    && (m.columns, m.rows) == (w.columns, w.rows)
            })
        };
        self.tile_size == 256
            && self.world == World::WEB_MERCATOR
            && (self.first..).zip(&self.matrices).all(alike)
    }
}

/// Of the matrices only a hash: there are many numbers.
impl fmt::Debug for TileMatrixSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hash = Xxh3::new();
        for m in &self.matrices {
            for number in [m.west, m.north, m.cell, f64::from(m.columns), f64::from(m.rows)] {
                hash.update(&number.to_le_bytes());
            }
        }
        f.debug_struct("TileMatrixSet")
            .field("id", &self.id)
            .field("crs", &self.crs)
            .field("tile_size", &self.tile_size)
            .field("levels", &(self.first..=self.last()))
            .field("numbers", &format_args!("{:016x}", hash.digest()))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::registered;

    #[test]
    fn web_mercator_is_what_it_is_everywhere() {
        let set = TileMatrixSet::web_mercator();
        assert_eq!((set.first, set.last()), (0, MAX_ZOOM));
        for z in 0..=MAX_ZOOM {
            assert!(set.resolution(z, 512).to_bits() == TileGrid::WEB_MERCATOR.resolution(z, 512).to_bits());
            assert!(z == MAX_ZOOM || set.nests(z));
        }
        assert!(set.is_web_mercator());
        assert!((set.resolution(0, 256) - 156_543.033_928_041).abs() < 1e-9);
        let plane = set.plane(3, 256, 0);
        assert_eq!((plane.columns, plane.rows), (2048, 2048));
        assert!((plane.bounds().east - WEB_MERCATOR_HALF).abs() < 1e-6);
    }

    #[test]
    fn pixels_are_those_a_rectangle_touches() {
        let plane = TileMatrixSet::image(1000, 300, 256).plane(2, 256, 0);
        assert_eq!((plane.step, plane.columns), (1.0, 1024));
        let image = Bounds { west: 0.0, south: -300.0, east: 1000.0, north: 0.0 };
        let window = Window::new(0, 0, 1000, 300);
        assert_eq!((plane.pixels(&image), plane.place(&window)), (window, image));
        let beyond = Bounds { west: -50.0, south: -5000.0, east: 10.5, north: -10.0 };
        assert_eq!(plane.pixels(&beyond), Window::new(0, 10, 11, 1014));
    }

    #[test]
    fn a_finer_plane_has_the_same_edges() {
        let set = registered("WorldCRS84Quad").expect("is known");
        let (own, finer) = (set.plane(4, 256, 0), set.plane(4, 256, 3));
        assert_eq!(own.bounds(), finer.bounds());
        assert_eq!((own.step, own.columns * 8), (finer.step * 8.0, finer.columns));
        assert_eq!(set.plane(4, 512, 0).bounds(), own.bounds());
    }

    #[test]
    fn levels_that_do_not_halve_do_not_nest() {
        let set = registered("NZTM2000").expect("is known");
        let nested: Vec<bool> = (0..16).map(|z| set.nests(z)).collect();
        let apart: Vec<usize> = (0..16).filter(|z| !nested[*z]).collect();
        assert_eq!(apart, [7, 10, 13]);
        let set = registered("CBMTILE").expect("is known");
        assert!((0..25).all(|z| !set.nests(z)));
        let mut moved = TileMatrixSet::web_mercator();
        moved.matrices[5].west += 1.0e6;
        assert!(!moved.nests(4) && !moved.nests(5) && moved.nests(6));
    }
}
