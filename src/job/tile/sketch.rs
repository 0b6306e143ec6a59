//! A first look at an input, before zooms are decided.

use super::look::{self, Look};
use super::plan::PlannedInput;
use super::terrain::Metres;
use super::{TileJob, TilingScheme};
use crate::error::Result;
use crate::grid::{Bounds, TileGrid, WEB_MERCATOR_HALF as HALF, mercator};
use crate::raster::chunks::ChunkLayout;
use crate::raster::source::Selection;
use crate::raster::{Description, Locator, SourceSpec};
use crate::warp::coords::Position;
use crate::warp::footprint::{Footprint, footprint};
use crate::window::Size;

/// What is known of an input before zooms are decided.
pub(super) struct Sketch {
    pub(super) spec: SourceSpec,
    pub(super) description: Description,
    pub(super) selection: Selection,
    pub(super) look: Look,
    pub(super) metres: Option<Metres>,
    pub(super) grid: TileGrid,
    pub(super) footprint: Footprint,
    locator: Locator,
}

/// Which overview is read, and its size.
#[derive(Clone, Copy)]
pub(super) struct Read {
    pub(super) level: Option<usize>,
    pub(super) size: Size,
}

impl Sketch {
    /// Opens an input and finds out what it is and where it lies.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when it cannot be tiled.
    pub(super) fn of(spec: &SourceSpec, job: &TileJob, guesses: &mut Vec<String>) -> Result<Self> {
        let description = spec.describe()?;
        let chosen = match &job.terrain {
            Some(terrain) => {
                terrain.choose(&description, job.tile_size).map(|(s, l, m, g)| (s, l, Some(m), g))
            }
            None => look::choose(&description).map(|(s, l, g)| (s, l, None, g.into_iter().collect())),
        };
        let (selection, look, metres, guessed): (_, _, _, Vec<String>) = chosen.map_err(|e| spec.error(e))?;
        guesses.extend(guessed.iter().map(|g| format!("{}: {g}", spec.path.display())));
        let (grid, footprint, locator) = place(spec, &description, job)?;
        check_blocks(spec, &description, &selection, job.memory)?;
        Ok(Self { spec: spec.clone(), description, selection, look, metres, grid, footprint, locator })
    }

    /// Whether the samples of two inputs mean the same.
    pub(super) fn same_kind(&self, other: &Self) -> bool {
        let look = match (&self.look, &other.look) {
            (Look::Stretch { min: a, .. }, Look::Stretch { min: b, .. }) => a.is_nan() == b.is_nan(),
            (a, b) => a == b,
        };
        look && self.selection.sample_type == other.selection.sample_type
            && self.selection.bands.len() == other.selection.bands.len()
    }

    /// The overview to read when a target pixel spans `scale` pixels of the full raster: the coarsest that is
    /// not coarser than the target, by the rule of `gdalwarp -ovr AUTO`.
    pub(super) fn read(&self, scale: f64) -> Read {
        let full = self.description.size;
        let ratio = |size: &Size| full.width as f64 / size.width as f64;
        let fits = |(_, size): &(usize, &Size)| ratio(size) < scale + 0.1 && ratio(size) > 1.0;
        let best = self.description.overviews.iter().enumerate().filter(fits);
        let best = best.max_by(|a, b| ratio(a.1).total_cmp(&ratio(b.1)));
        best.map_or(Read { level: None, size: full }, |(level, size)| Read {
            level: Some(level),
            size: *size,
        })
    }

    /// Full-resolution source pixels per target pixel of a level.
    pub(super) fn scale(&self, z: u8, tile_size: usize) -> f64 {
        self.grid.resolution(z, tile_size) / self.footprint.resolution
    }

    /// The largest extension of a target pixel in pixels of what is read, on a lattice over the footprint.
    pub(super) fn largest_scale(&mut self, z: u8, tile_size: usize, read: Size) -> f64 {
        const SIDE: usize = 9;
        let step = self.grid.resolution(z, tile_size);
        let mut points = Vec::new();
        for b in &self.footprint.ranges {
            for k in 0..SIDE * SIDE {
                let at = |i: usize| (i as f64 + 0.5) / SIDE as f64;
                let x = b.west + (b.east - b.west) * at(k % SIDE);
                let y = b.south + (b.north - b.south) * at(k / SIDE);
                points.extend([(x, y), (x + step, y), (x, y + step)].map(|(x, y)| Position { x, y }));
            }
        }
        self.locator.to_pixels(&mut points);
        let full = self.description.size;
        let (rx, ry) = (read.width as f64 / full.width as f64, read.height as f64 / full.height as f64);
        let mut scales: Vec<f64> = points
            .chunks_exact(3)
            .filter(|p| p.iter().all(|p| p.is_some()))
            .map(|p| {
                let x = (p[1].x - p[0].x).abs() + (p[2].x - p[0].x).abs();
                let y = (p[1].y - p[0].y).abs() + (p[2].y - p[0].y).abs();
                (x * rx).max(y * ry)
            })
            .collect();
        scales.sort_by(f64::total_cmp);
        let mean = self.scale(z, tile_size) * rx.max(ry);
        // Jumps of the projection are no scale.
        let typical = scales.get(scales.len() / 2).copied().unwrap_or(mean);
        scales.into_iter().rfind(|s| *s <= 8.0 * typical).unwrap_or(mean).max(mean)
    }

    /// The input as the plan takes it, once the base level is known.
    pub(super) fn planned(self, read: Read, look: Look, scale: f64, base: u8, job: &TileJob) -> PlannedInput {
        let step = self.grid.resolution(base, job.tile_size);
        let wanted: Vec<Bounds> = job.bbox.map_or_else(|| vec![self.grid.bounds()], mercator_boxes);
        let within = |grow: f64| {
            let grown = self.footprint.ranges.iter().map(move |b| b.expanded(grow));
            grown.flat_map(|b| wanted.iter().filter_map(move |w| b.intersection(w)))
        };
        let windows = within(self.footprint.slack)
            .map(|b| self.grid.pixels(&b, step))
            .filter(|w| !w.is_empty())
            .collect();
        let extent = within(0.0).collect();
        let pixel_bytes = self.selection.sample_type.bytes() * self.selection.bands.len() + 1;
        let block = match read.level {
            // Overviews of tiled files are tiled; their blocks are read when they are opened.
            Some(_) if self.description.block.width >= self.description.size.width => Size::new(512, 512),
            _ => self.description.block,
        };
        PlannedInput {
            layout: ChunkLayout::new(read.size, block, pixel_bytes),
            size: read.size,
            level: read.level,
            spec: self.spec,
            description: self.description,
            selection: self.selection,
            look,
            metres: self.metres,
            extent,
            windows,
            scale,
        }
    }

    /// Where it lies, in units of the grid.
    pub(super) fn ranges(&self) -> &[Bounds] {
        &self.footprint.ranges
    }
}

/// Rectangles in Web Mercator metres of a box in degrees; two when its west lies east of its east.
fn mercator_boxes(b: Bounds) -> Vec<Bounds> {
    let (west, south) = mercator(b.west, b.south);
    let (east, north) = mercator(b.east, b.north);
    if b.west <= b.east {
        vec![Bounds { west, south, east, north }]
    } else {
        vec![Bounds { west, south, east: HALF, north }, Bounds { west: -HALF, south, east, north }]
    }
}

/// The grid of the tiles, where in it a raster lies, and the way between them.
fn place(
    spec: &SourceSpec,
    description: &Description,
    job: &TileJob,
) -> Result<(TileGrid, Footprint, Locator)> {
    let size = description.size;
    if job.tiling == TilingScheme::Raster {
        let (grid, _) = TileGrid::raster(size.width, size.height, job.tile_size);
        let whole = Bounds { west: 0.0, south: -(size.height as f64), east: size.width as f64, north: 0.0 };
        let footprint = Footprint { ranges: vec![whole], resolution: 1.0, slack: 0.0 };
        return Ok((grid, footprint, Locator::pixels()));
    }
    let mut locator = spec.locator(&description.georeferencing, size)?;
    let footprint = footprint(size, |points| locator.to_coordinates(points)).ok_or_else(|| {
        spec.error(
            "no part of it can be carried over to Web Mercator (85.06° S to 85.06° N): no tiles to make",
        )
    })?;
    Ok((TileGrid::WEB_MERCATOR, footprint, locator))
}

/// Refuses blocks of the file that would take most of the memory by themselves.
fn check_blocks(
    spec: &SourceSpec,
    description: &Description,
    selection: &Selection,
    memory: usize,
) -> Result<()> {
    let Size { width, height } = description.block;
    let bytes =
        description.block.area().saturating_mul(selection.sample_type.bytes() * selection.bands.len());
    if bytes > memory / 4 {
        return Err(spec.error(format!(
            "its blocks of {width}×{height} pixels take {} MB each; give --memory {}M or more, or retile it first",
            bytes >> 20,
            bytes.saturating_mul(4).div_ceil(1 << 20)
        )));
    }
    Ok(())
}
