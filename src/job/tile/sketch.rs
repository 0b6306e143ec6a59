//! A first look at an input, before zooms are decided: what it is, then where it lies.

use std::collections::HashMap;
use std::sync::Arc;

use super::TileJob;
use super::look::{self, Look};
use super::terrain::Metres;
use crate::error::Result;
use crate::grid::{Bounds, PixelGrid, TileMatrixSet};
use crate::raster::coverage::Coverage;
use crate::raster::crs::Plane;
use crate::raster::source::Selection;
use crate::raster::{Description, Frame, Locator, Locators, SourceSpec};
use crate::warp::coords::Position;
use crate::warp::footprint::{Footprint, footprint, quick_footprint};
use crate::window::{Size, Window};

/// What an input is.
#[derive(Clone)]
pub(super) struct Outline {
    pub(super) spec: SourceSpec,
    pub(super) description: Description,
    pub(super) selection: Selection,
    pub(super) look: Look,
    pub(super) metres: Option<Metres>,
    /// What was decided about it in the user's place.
    pub(super) guesses: Vec<String>,
    /// The pixels that may hold data, where the file tells.
    data: Option<Vec<Window>>,
}

impl Outline {
    /// Opens an input and finds out what it is.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when it cannot be tiled.
    pub(super) fn of(spec: &SourceSpec, job: &TileJob) -> Result<Self> {
        let description = spec.describe()?;
        let chosen = match (&job.terrain, &job.values) {
            (_, Some(values)) => values
                .choose(&description, &job.picture, job.tiles)
                .map(|(s, l, g)| (s, l, None, g.into_iter().collect())),
            (Some(terrain), None) => terrain
                .choose(&description, &job.picture, job.tile_size)
                .map(|(s, l, m, g)| (s, l, Some(m), g)),
            (None, None) => look::choose(&description, &job.picture)
                .map(|(s, l, g)| (s, l, None, g.into_iter().collect())),
        };
        let (selection, look, metres, guessed): (_, _, _, Vec<String>) = chosen.map_err(|e| spec.error(e))?;
        check_blocks(spec, &description, &selection, job.memory)?;
        let Coverage { data, zeros } = Coverage::of(spec, &description, &selection)?;
        // Holes are worth a word when they are most of the picture.
        let holes = (zeros > 0.5).then(|| {
            let percent = (zeros * 100.0).floor();
            format!("holes of the file, {percent} % of it, shown as the zeros they hold (--src-nodata 0 to leave them out)")
        });
        let said = guessed.into_iter().chain(holes);
        let guesses = said.map(|g| format!("{}: {g}", spec.path.display())).collect();
        Ok(Self { spec: spec.clone(), description, selection, look, metres, guesses, data })
    }

    fn frame(&self) -> Option<Frame> {
        Frame::of(&self.description.georeferencing, self.description.size)
    }
}

/// For each input a frame around all inputs of its CRS, if there are others: they share its transformation to the map.
pub(super) fn frames(outlines: &[Outline]) -> Vec<Option<Arc<Frame>>> {
    let own: Vec<Option<Frame>> = outlines.iter().map(Outline::frame).collect();
    let mut groups: HashMap<(&str, bool), Vec<usize>> = HashMap::new();
    for (number, (frame, outline)) in own.iter().zip(outlines).enumerate() {
        if let Some(frame) = frame {
            groups.entry((&frame.wkt, outline.spec.src_crs.is_some())).or_default().push(number);
        }
    }
    let mut frames = vec![None; outlines.len()];
    for numbers in groups.into_values().filter(|numbers| numbers.len() > 1) {
        let members: Vec<&Frame> = numbers.iter().filter_map(|n| own[*n].as_ref()).collect();
        let around = Frame::around(&members).map(Arc::new);
        for number in numbers {
            frames[number].clone_from(&around);
        }
    }
    frames
}

/// Where an input lies.
pub(super) struct Place {
    footprint: Footprint,
    /// Where in the footprint data may lie, where the file tells.
    data: Option<Vec<Bounds>>,
    /// At positions all over the footprint, how many columns and rows of pixels a unit of the grid spans.
    gradients: Vec<(f64, f64)>,
}

impl Place {
    /// Finds out where an input lies. Of `many`, no more is computed than is needed.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when it has no place on the map.
    pub(super) fn of(
        outline: &Outline,
        frame: Option<&Arc<Frame>>,
        many: bool,
        (set, plane): (&TileMatrixSet, Option<&Plane>),
        locators: &mut Locators,
    ) -> Result<Self> {
        let (spec, size) = (&outline.spec, outline.description.size);
        let Some(plane) = plane else {
            let bounds = |w: &Window| Bounds {
                west: w.x as f64,
                south: -(w.bottom() as f64),
                east: w.right() as f64,
                north: -(w.y as f64),
            };
            let footprint = Footprint { ranges: vec![bounds(&size.window())], resolution: 1.0, slack: 0.0 };
            let data = outline.data.as_ref().map(|windows| windows.iter().map(bounds).collect());
            let gradients = gradients(&footprint, &mut Locator::pixels());
            return Ok(Self { footprint, data, gradients });
        };
        let mut locator = locators.locator(spec, &outline.description.georeferencing, size, frame)?;
        let world = &plane.world;
        let found = if many {
            quick_footprint(size.window(), world, &mut locator)
        } else {
            footprint(size, world, &mut locator)
        };
        let footprint = found.ok_or_else(|| {
            let area = area(set);
            spec.error(format!("no part of it can be carried over to {area}: no tiles to make"))
        })?;
        let mut carried = |window: &Window| {
            let found = quick_footprint(*window, world, &mut locator);
            found.map(|f| f.ranges.iter().map(|b| b.expanded(f.slack)).collect::<Vec<_>>())
        };
        let data = outline.data.as_ref();
        let data = data.map(|windows| windows.iter().filter_map(&mut carried).flatten().collect());
        let gradients = gradients(&footprint, &mut locator);
        Ok(Self { footprint, data, gradients })
    }
}

/// The part of the Earth that a grid divides, in words.
pub(super) fn area(set: &TileMatrixSet) -> String {
    if set.id == "WebMercatorQuad" {
        return "Web Mercator (85.06° S to 85.06° N)".to_owned();
    }
    format!("the area of {}", set.id)
}

/// What is known of an input before zooms are decided.
#[derive(Clone)]
pub(super) struct Sketch {
    pub(super) spec: SourceSpec,
    pub(super) description: Description,
    pub(super) selection: Selection,
    pub(super) look: Look,
    pub(super) metres: Option<Metres>,
    pub(super) footprint: Footprint,
    /// Around the inputs of its CRS.
    pub(super) frame: Option<Arc<Frame>>,
    data: Option<Vec<Bounds>>,
    gradients: Vec<(f64, f64)>,
}

/// Which overview is read, and its size.
#[derive(Clone, Copy)]
pub(super) struct Read {
    pub(super) level: Option<usize>,
    pub(super) size: Size,
}

impl Sketch {
    /// An input with its place.
    pub(super) fn new(outline: Outline, place: Place, frame: Option<Arc<Frame>>) -> Self {
        let Outline { spec, description, selection, look, metres, .. } = outline;
        let Place { footprint, data, gradients } = place;
        Self { spec, description, selection, look, metres, footprint, frame, data, gradients }
    }

    /// Whether the samples of two inputs mean the same.
    pub(super) fn same_kind(&self, other: &Self) -> bool {
        let look = match (&self.look, &other.look) {
            (Look::Stretch { .. }, Look::Stretch { .. }) => self.look.is_open() == other.look.is_open(),
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

    /// Full-resolution source pixels per target pixel of a level with pixels of `step` units.
    pub(super) fn scale(&self, step: f64) -> f64 {
        step / self.footprint.resolution
    }

    /// The largest extension of a target pixel in pixels of what is read, all over the footprint.
    pub(super) fn largest_scale(&self, step: f64, read: Size) -> f64 {
        let full = self.description.size;
        let (rx, ry) = (read.width as f64 / full.width as f64, read.height as f64 / full.height as f64);
        let mut scales: Vec<f64> =
            self.gradients.iter().map(|(x, y)| (x * step * rx).max(y * step * ry)).collect();
        scales.sort_by(f64::total_cmp);
        let mean = self.scale(step) * rx.max(ry);
        // Jumps of the projection are no scale.
        let typical = scales.get(scales.len() / 2).copied().unwrap_or(mean);
        scales.into_iter().rfind(|s| *s <= 8.0 * typical).unwrap_or(mean).max(mean)
    }

    /// Where it lies within the boxes asked for, and the pixels of a base level it may touch.
    pub(super) fn extent(
        &self,
        scale: f64,
        level: &PixelGrid,
        wanted: &[Bounds],
    ) -> (Vec<Bounds>, Vec<Window>) {
        let within = |grow: f64| {
            let grown = self.footprint.ranges.iter().map(move |b| b.expanded(grow));
            grown.flat_map(|b| wanted.iter().filter_map(move |w| b.intersection(w)))
        };
        let pixels = |b: Bounds| level.pixels(&b);
        let whole = within(self.footprint.slack);
        let windows = match &self.data {
            None => whole.map(pixels).filter(|w| !w.is_empty()).collect(),
            Some(data) => {
                // Kernels reach a few pixels over the edge of the data, source or target pixels, whichever are larger.
                let reach = level.step * (4.0 + 4.0 / scale);
                let beside = |b: Bounds| data.iter().filter_map(move |d| d.expanded(reach).intersection(&b));
                whole.flat_map(beside).map(pixels).filter(|w| !w.is_empty()).collect()
            }
        };
        (within(0.0).collect(), windows)
    }

    /// Whether the file tells of holes.
    pub(super) fn has_holes(&self) -> bool {
        self.data.is_some()
    }

    /// Where it lies, in units of the grid.
    pub(super) fn ranges(&self) -> &[Bounds] {
        &self.footprint.ranges
    }
}

/// How many columns and rows of a raster a unit of the grid spans, on a lattice over the footprint.
fn gradients(footprint: &Footprint, locator: &mut Locator) -> Vec<(f64, f64)> {
    const SIDE: usize = 9;
    let step = footprint.resolution;
    let mut points = Vec::new();
    for b in &footprint.ranges {
        for k in 0..SIDE * SIDE {
            let at = |i: usize| (i as f64 + 0.5) / SIDE as f64;
            let x = b.west + (b.east - b.west) * at(k % SIDE);
            let y = b.south + (b.north - b.south) * at(k / SIDE);
            points.extend([(x, y), (x + step, y), (x, y + step)].map(|(x, y)| Position { x, y }));
        }
    }
    locator.to_pixels(&mut points);
    let known = points.chunks_exact(3).filter(|p| p.iter().all(|p| p.is_some()));
    let spans = known.map(|p| {
        let x = (p[1].x - p[0].x).abs() + (p[2].x - p[0].x).abs();
        let y = (p[1].y - p[0].y).abs() + (p[2].y - p[0].y).abs();
        (x / step, y / step)
    });
    spans.collect()
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
