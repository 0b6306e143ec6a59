//! Rasters that are cut from one grid of pixels are read as one, so that there are no seams between them: a pixel beside an edge is made
//! from pixels on both sides of it, as if the mosaic were one file.

use super::Overlap;
use super::look::Look;
use super::places::Places;
use super::plan::{Part, PlannedInput};
use super::sketch::{Read, Sketch};
use crate::grid::{Bounds, PixelGrid};
use crate::raster::chunks::ChunkLayout;
use crate::raster::georef::Method;
use crate::raster::{Frame, Georeferencing};
use crate::window::{Size, Window};

/// An input with all that was decided about it.
pub(super) struct Decided {
    pub(super) sketch: Sketch,
    pub(super) read: Read,
    pub(super) look: Look,
    /// Source pixels per target pixel at the base level, at most.
    pub(super) scale: f64,
}

impl Decided {
    /// The grid of the pixels that are read. `None` when they are no whole multiple of the raster's own.
    fn grid(&self) -> Option<Frame> {
        let description = &self.sketch.description;
        let (full, read) = (description.size, self.read.size);
        let times = full.width / read.width.max(1);
        let whole = full == Size::new(read.width * times, read.height * times);
        let mut grid = Frame::of(&description.georeferencing, read).filter(|_| whole)?;
        for k in [1, 2, 4, 5] {
            grid.geotransform[k] *= times as f64;
        }
        Some(grid)
    }

    /// Whether the samples of two inputs are the same kind and look the same.
    fn looks_like(&self, other: &Self) -> bool {
        self.look == other.look
            && self.sketch.same_kind(&other.sketch)
            && self.sketch.selection == other.sketch.selection
            && self.sketch.metres == other.sketch.metres
    }
}

/// Inputs in a row that share a grid, with their places on the grid of the first.
struct Sheet {
    grid: Option<Frame>,
    members: Vec<(Decided, Window)>,
}

impl Sheet {
    fn new(first: Decided) -> Self {
        // Longitudes that go around the Earth have no frame: such rasters stay apart.
        let grid = first.sketch.frame.as_ref().and_then(|_| first.grid());
        let window = first.read.size.window();
        Self { grid, members: vec![(first, window)] }
    }

    /// Where an input lies among the others, if it can be read with them.
    fn place_for(&self, next: &Decided, overlap: Overlap) -> Option<Window> {
        let place = self.grid.as_ref()?.place_of(&next.grid()?)?;
        let (first, _) = self.members.first()?;
        let overlaps = || self.members.iter().any(|(_, w)| !w.intersection(&place).is_empty());
        // What shines through an opaque pixel and what lies over a half transparent one are not the same; and what is to be
        // compared has to be made apart.
        let mixes = next.sketch.selection.alpha.is_some() || matches!(overlap, Overlap::Min | Overlap::Max);
        let hidden = !mixes || !overlaps();
        (first.looks_like(next) && hidden).then_some(place)
    }

    fn planned(self, number: usize, level: &PixelGrid, wanted: &[Bounds]) -> Option<PlannedInput> {
        let whole = self.members.iter().fold(Window::new(0, 0, 0, 0), |all, (_, w)| all.union(w));
        let single = self.members.len() == 1;
        let (mut extent, mut windows, mut scale) = (Vec::new(), Vec::new(), 0.0f64);
        for (member, _) in &self.members {
            let (bounds, pixels) = member.sketch.extent(member.scale, level, wanted);
            extent.extend(bounds);
            windows.extend(pixels);
            scale = scale.max(member.scale);
        }
        let (first, _) = self.members.first()?;
        let description = &first.sketch.description;
        let (full, georeferencing) = match self.grid.filter(|_| !single) {
            Some(grid) => (whole.size(), on_grid(&description.georeferencing, &grid.part(&whole))),
            None => (description.size, description.georeferencing.clone()),
        };
        let (look, selection) = (first.look.clone(), first.sketch.selection.clone());
        let metres = first.sketch.metres;
        let frame = first.sketch.frame.clone();
        let parts: Vec<Part> = self
            .members
            .into_iter()
            .enumerate()
            .map(|(k, (member, window))| {
                let place = Window::new(window.x - whole.x, window.y - whole.y, window.width, window.height);
                part(member, number + k, place)
            })
            .collect();
        let places = Places::new(parts.iter().map(|p| &p.place).enumerate());
        let size = whole.size();
        Some(PlannedInput {
            parts,
            places,
            selection,
            look,
            metres,
            georeferencing,
            frame,
            full,
            size,
            extent,
            windows,
            scale,
        })
    }
}

fn on_grid(georeferencing: &Georeferencing, grid: &Frame) -> Georeferencing {
    Georeferencing { method: Method::Affine, geotransform: Some(grid.geotransform), ..georeferencing.clone() }
}

fn part(member: Decided, number: usize, place: Window) -> Part {
    let Decided { sketch, read, .. } = member;
    let pixel_bytes = sketch.selection.sample_type.bytes() * sketch.selection.bands.len() + 1;
    let block = match read.level {
        // Overviews of tiled files are tiled; their blocks are read when they are opened.
        Some(_) if sketch.description.block.width >= sketch.description.size.width => Size::new(512, 512),
        _ => sketch.description.block,
    };
    let layout = ChunkLayout::new(read.size, block, pixel_bytes);
    Part { number, spec: sketch.spec, description: sketch.description, level: read.level, layout, place }
}

/// The inputs as the plan reads them for a base level, within the boxes asked for: those that follow each other on one grid as one.
/// Their rasters are numbered from `number` on.
pub(super) fn lay_out(
    inputs: impl Iterator<Item = Decided>,
    level: &PixelGrid,
    wanted: &[Bounds],
    overlap: Overlap,
    mut number: usize,
) -> Vec<PlannedInput> {
    let mut sheets: Vec<Sheet> = Vec::new();
    for input in inputs {
        match sheets.last_mut().and_then(|sheet| Some((sheet.place_for(&input, overlap)?, sheet))) {
            Some((place, sheet)) => sheet.members.push((input, place)),
            None => sheets.push(Sheet::new(input)),
        }
    }
    let mut planned = Vec::new();
    for sheet in sheets {
        let members = sheet.members.len();
        planned.extend(sheet.planned(number, level, wanted));
        number += members;
    }
    planned
}
