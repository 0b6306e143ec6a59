//! The plan of a tile job: everything that decides its tiles, as plain data.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::Overlap;
use super::look::Look;
use super::places::Places;
use super::terrain::Metres;
use super::values::Content;
use crate::block::SampleType;
use crate::grid::{Bounds, Grid, PixelGrid, TileCoord};
use crate::pyramid::Pyramid;
use crate::raster::chunks::ChunkLayout;
use crate::raster::crs::Plane;
use crate::raster::source::Selection;
use crate::raster::{Description, Frame, Georeferencing, SourceSpec};
use crate::resampling::Resampling;
use crate::warp::exclusion::Exclusion;
use crate::warp::kernel::{Edges, halo};
use crate::warp::stencil::Stencil;
use crate::window::{Size, Window};

/// An input as the plan sees it: a raster, or several that lie on one grid of pixels and are read as one.
#[derive(Debug, Clone)]
pub struct PlannedInput {
    /// The rasters, later ones over earlier ones.
    pub parts: Vec<Part>,
    /// Where the parts lie.
    pub places: Places,
    /// Which of their bands are read.
    pub selection: Selection,
    /// How the samples look.
    pub look: Look,
    /// How their samples become heights, if these are what is shown.
    pub metres: Option<Metres>,
    /// Where the pixels lie on the ground.
    pub georeferencing: Georeferencing,
    /// Around all inputs of the same CRS, if there are others: they share its transformation.
    pub frame: Option<Arc<Frame>>,
    /// Columns and rows of the pixels that the georeferencing is about.
    pub full: Size,
    /// Columns and rows of what is read.
    pub size: Size,
    /// Where it lies in the plane of the tiles, within the box asked for.
    pub extent: Vec<Bounds>,
    /// The pixels of the base level it may touch.
    pub windows: Vec<Window>,
    /// Source pixels per target pixel at the base level, at most.
    pub scale: f64,
}

/// A raster of an input.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its position in the job's list of inputs; for each further base, counted on.
    pub number: usize,
    /// Where it is and how to open it.
    pub spec: SourceSpec,
    /// What it is.
    pub description: Description,
    /// The overview that is read instead of the full raster.
    pub level: Option<usize>,
    /// How it is cut into chunks.
    pub layout: ChunkLayout,
    /// Its place among the pixels of the input.
    pub place: Window,
}

/// A level that is made from the inputs, whose tiles are reduced to those of the levels below it.
#[derive(Debug, Clone)]
pub struct Base {
    /// The inputs, later ones over earlier ones.
    pub inputs: Vec<PlannedInput>,
    /// Where their windows lie.
    pub places: Places,
    /// The pixels of the level.
    pub pixels: PixelGrid,
    /// How it is made from the inputs.
    pub resampling: Resampling,
    /// Polygons among its pixels outside of which nothing is shown.
    pub stencil: Option<Stencil>,
}

/// Everything that decides the tiles.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The levels that are made from the inputs, coarse to fine: one where each level of the grid halves the next, else one
    /// for each stretch of levels that do. The [cascades](Pyramid::cascades) are in the same order.
    pub bases: Vec<Base>,
    /// How the samples of the canvas look.
    pub look: Look,
    /// Whether inputs are turned into pictures before they are warped, because they differ in kind.
    pub mixed: bool,
    /// Sample type of the canvas.
    pub sample_type: SampleType,
    /// Bands of the canvas.
    pub bands: usize,
    /// Whether coverage is opacity or a mere mask.
    pub edges: Edges,
    /// How the highest level is made from the source.
    pub resampling: Resampling,
    /// How lower levels are made from the one above.
    pub overview_resampling: Resampling,
    /// What is shown where inputs overlap.
    pub overlap: Overlap,
    /// The tiles; base levels may lie above those that are written.
    pub pyramid: Pyramid,
    /// The lowest zoom level that is written.
    pub min_zoom: u8,
    /// The highest zoom level that is written.
    pub max_zoom: u8,
    /// Side of a tile in pixels.
    pub tile_size: usize,
    /// What the tiles divide.
    pub grid: Grid,
    /// Where that is on the Earth; none for an image's own pixels.
    pub plane: Option<Plane>,
    /// Extent in degrees, −180…180 across the antimeridian; none for tiles without a place on the Earth.
    pub bounds: Option<Bounds>,
    /// Values that averages leave out.
    pub exclusion: Option<Exclusion>,
    /// What tiles of values hold; none of pictures.
    pub values: Option<Content>,
    /// Whether tiles are laid over those of an existing set.
    pub update: bool,
    /// Where memory goes.
    pub budget: Budget,
    /// What was decided in the user's place, each with the option that says so.
    pub guesses: Vec<String>,
}

/// How the memory of a run is shared out, in bytes. The sum is what `--memory` allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// The program itself and GDAL's cache.
    pub fixed: usize,
    /// Nodes of the pyramid that wait for their neighbours.
    pub pyramid: usize,
    /// Decoded source blocks shared by the readers.
    pub chunks: usize,
    /// Windows and tiles in flight.
    pub in_flight: usize,
    /// Bytes in flight of the dearest task.
    pub task: usize,
    /// Columns of metatiles that are worked through side by side.
    #[serde(skip)]
    pub swath: u32,
}

impl Plan {
    /// The base of the levels that a level belongs to.
    pub fn base(&self, z: u8) -> &Base {
        &self.bases[self.pyramid.number(z)]
    }

    /// The inputs as they are read for the highest level.
    pub fn inputs(&self) -> &[PlannedInput] {
        self.bases.last().map_or(&[], |base| &base.inputs)
    }

    /// Pixels of a metatile at the base level.
    pub fn window(&self, metatile: TileCoord) -> Window {
        self.pyramid.window(metatile, self.tile_size)
    }

    /// West, south, east and north in degrees, unless the tiles have no place on the Earth.
    pub fn degrees(&self) -> Option<[f64; 4]> {
        self.bounds.map(|b| [b.west, b.south, b.east, b.north])
    }

    /// How many tiles may be written at each level from the lowest to the highest.
    pub fn counts(&self) -> BTreeMap<u8, u64> {
        let pyramid = &self.pyramid;
        pyramid.written().filter_map(|z| Some((pyramid.zoom(z)?, pyramid.count(z)))).collect()
    }

    /// Whether a lower level is made from 2 × 2 pixels each, so that no tile needs its neighbours.
    pub fn reduces_locally(&self) -> bool {
        matches!(self.overview_resampling, Resampling::Average | Resampling::Nearest | Resampling::Mode)
    }

    /// The tiles of a level, between root and base, that a metatile holds.
    pub(super) fn tiles_of(&self, metatile: TileCoord, z: u8) -> impl Iterator<Item = TileCoord> {
        square(metatile, z).filter(|t| self.pyramid.contains(*t))
    }

    /// The tiles of the base level that lie in a metatile but not in the plan.
    pub(super) fn tiles_beside(&self, metatile: TileCoord) -> impl Iterator<Item = TileCoord> {
        square(metatile, self.pyramid.cascade(metatile.z).base()).filter(|t| !self.pyramid.contains(*t))
    }

    /// How many tiles of a metatile may be written.
    pub(super) fn tiles_under(&self, metatile: TileCoord) -> u64 {
        let base = self.pyramid.cascade(metatile.z).base();
        let levels = (metatile.z..=base).filter(|z| self.pyramid.zoom(*z).is_some());
        levels.map(|z| self.tiles_of(metatile, z).count() as u64).sum()
    }
}

/// All tiles of a level under a metatile.
fn square(metatile: TileCoord, z: u8) -> impl Iterator<Item = TileCoord> {
    let shift = z - metatile.z;
    let (x, y) = (metatile.x << shift, metatile.y << shift);
    let side = 0..1u32 << shift;
    side.clone().flat_map(move |j| side.clone().map(move |i| TileCoord::new(z, x + i, y + j)))
}

impl Base {
    /// The inputs that may touch a window of the level, in the order they are laid over each other.
    pub fn touching(&self, window: &Window) -> impl Iterator<Item = (usize, &PlannedInput)> {
        self.places.touching(window).into_iter().map(|index| (index, &self.inputs[index]))
    }
}

impl PlannedInput {
    /// Columns and rows of the largest chunk.
    pub(super) fn chunk(&self) -> Size {
        self.parts.iter().map(|p| p.layout.chunk()).fold(Size::new(0, 0), |all, chunk| {
            Size::new(all.width.max(chunk.width), all.height.max(chunk.height))
        })
    }

    /// Bytes of a pixel with its coverage.
    pub(super) fn pixel_bytes(&self) -> usize {
        self.selection.sample_type.bytes() * self.selection.bands.len() + 1
    }

    /// Bytes of the source window of `side` × `side` target pixels.
    pub(super) fn source_bytes(&self, method: Resampling, side: usize) -> usize {
        let reach = side as f64 * self.scale + 2.0 * halo(method, self.scale as f32) as f64 + 2.0;
        let extent = |limit: usize| reach.min(limit as f64);
        (extent(self.size.width) * extent(self.size.height) * self.pixel_bytes() as f64) as usize
    }
}
