//! Making the plan: from the job and a look at its inputs, before anything is written.
//!
//! Where the levels of the grid halve one another, the highest is made from the inputs and all others from the one above. Where
//! they do not, each stretch of levels that do has a base of its own: a lower level made of pixels that lie askew to it would
//! be made of pixels twice. Its tiles are lower levels all the same, so they are made by the method for these, from the inputs.

use std::sync::Arc;

use super::levels::{Stretch, span, stretches, zooms};
use super::look::Look;
use super::places::Places;
use super::plan::{Base, Budget, Plan, PlannedInput};
use super::sheet::{Decided, lay_out};
use super::sketch::{Outline, Place, Sketch, area, frames};
use super::{Overlap, TileJob, TilingScheme, budget, empty, stretch, survey};
use crate::block::SampleType;
use crate::encode::EncoderOptions;
use crate::error::{Error, Result};
use crate::grid::{Bounds, TileMatrixSet};
use crate::pyramid::{Cascade, Pyramid, TileRange};
use crate::raster::crs::Plane;
use crate::resampling::Resampling;
use crate::warp::kernel::Edges;

/// With more inputs, no more is computed of each than is needed.
const FEW: usize = 8;

impl Plan {
    /// Looks at the inputs and plans the job.
    ///
    /// # Errors
    /// [`Error::Usage`] for options that contradict the inputs or each other, [`Error::Input`] for inputs that cannot be read or have
    /// no place on the map, [`Error::Memory`] when the memory allowed is not enough.
    pub fn new(job: &TileJob) -> Result<Self> {
        let mut guesses = Vec::new();
        let (set, mut sketches) = sketches(job, &mut guesses)?;
        let plane = job.tiling.plane();
        match job.overlap {
            Overlap::First => sketches.reverse(),
            // Stable: of equals the later stays over the earlier.
            Overlap::HighestResolution => {
                sketches.sort_by(|a, b| b.footprint.resolution.total_cmp(&a.footprint.resolution));
            }
            Overlap::Last | Overlap::Min | Overlap::Max => {}
        }
        let zooms = zooms(job, &set, &sketches, &mut guesses)?;
        let wanted = wanted(job, plane.as_ref())?;

        let values = job.values.as_ref().map(|v| v.content(&sketches, job, &mut guesses)).transpose()?;
        let differing = sketches.windows(2).any(|w| !w[0].same_kind(&w[1]));
        let mut looks: Vec<Look> = sketches.iter().map(|s| s.look.clone()).collect();
        stretch::settle(&sketches, &mut looks, job, &mut guesses)?;
        let look = match differing {
            _ if job.update.is_some() => Look::Rgb,
            true => common(&looks),
            false => looks[0].clone(),
        };
        let mixed = differing || job.update.is_some();
        let named = if job.update.is_some() && !differing { &looks[0] } else { &look };
        let categorical = job.categorical || named.is_categorical();
        let (sample_type, bands) = if mixed {
            (SampleType::U8, look.picture_bands())
        } else {
            (sketches[0].selection.sample_type, sketches[0].selection.bands.len())
        };
        let faded = sketches.iter().any(|s| s.selection.alpha.is_some()) || (differing && !categorical);
        // A height has no opacity.
        let soft = faded && job.terrain.is_none();
        let or = |given: Option<Resampling>, names: Resampling, quantities: Resampling| {
            given.unwrap_or(if categorical { names } else { quantities })
        };
        let resampling = or(job.resampling, Resampling::Nearest, Resampling::Cubic);
        let overview_resampling = or(job.overview_resampling, Resampling::Mode, Resampling::Average);

        guesses.extend(told_of(&job.tiles, categorical));
        guesses.extend(job.masking.guess(job.tiles));

        let has_holes = sketches.iter().any(Sketch::has_holes);
        let all = stretches(&set, &sketches, zooms, job.tile_size);
        if all.len() > 1 {
            guesses.push(told_of_bases(&all, overview_resampling));
        }
        let maker = Maker {
            job,
            plane: plane.as_ref(),
            wanted: &wanted,
            sketches: &sketches,
            looks: &looks,
            methods: (resampling, overview_resampling),
        };
        let (bases, pyramid) =
            maker.pyramid(&all, &mut guesses)?.ok_or_else(|| nothing(job, &set, has_holes))?;
        let highest = bases.last().into_iter().flat_map(|base| &base.inputs);
        let extents: Vec<Bounds> = highest.flat_map(|input| input.extent.iter().copied()).collect();
        let bounds = plane.as_ref().map(|plane| plane.degrees(&extents));
        let written: Vec<u8> = pyramid.written().filter_map(|z| pyramid.zoom(z)).collect();
        let zooms = (written.first().copied().unwrap_or(0), written.last().copied().unwrap_or(0));
        let mut plan = Self {
            bases,
            look,
            mixed,
            sample_type,
            bands,
            edges: if soft { Edges::Soft } else { Edges::Hard },
            resampling,
            overview_resampling,
            overlap: job.overlap,
            pyramid,
            min_zoom: zooms.0,
            max_zoom: zooms.1,
            tile_size: job.tile_size,
            grid: job.tiling.grid(),
            plane,
            bounds,
            exclusion: job.masking.exclusion.clone(),
            values,
            update: job.update.is_some(),
            budget: Budget::default(),
            guesses,
        };
        job.masking.check_exclusion(&plan)?;
        check_count(job, &plan)?;
        plan.budget = budget::share_out(&plan, job)?;
        Ok(plan)
    }
}

/// What a format does to pixels in the user's place.
fn told_of(tiles: &EncoderOptions, categorical: bool) -> impl Iterator<Item = String> {
    let white = matches!(tiles, EncoderOptions::Jpeg(options) if options.background.is_none());
    let white = white.then(|| "white under transparent pixels (--background 255,255,255)".to_owned());
    let lossy = (categorical && !tiles.is_lossless()).then(|| {
        let format = tiles.format().extension();
        format!("classes in lossy {format} tiles, which change their colours (-f png or -f webp --lossless do not)")
    });
    white.into_iter().chain(lossy)
}

/// What is said of levels that are made apart.
fn told_of_bases(all: &[Stretch], method: Resampling) -> String {
    let highest: Vec<String> = all.iter().rev().skip(1).map(|s| s.high.to_string()).collect();
    let plural = if highest.len() > 1 { "s" } else { "" };
    format!(
        "zoom level{plural} {} made from the inputs too, not from the level above, which it does not halve \
         (--overview-resampling {})",
        highest.join(", "),
        method.name()
    )
}

/// What is the same for all bases.
struct Maker<'a> {
    job: &'a TileJob,
    plane: Option<&'a Plane>,
    /// The parts of the plane that tiles are wanted of; none for all.
    wanted: &'a Option<Vec<Bounds>>,
    sketches: &'a [Sketch],
    looks: &'a [Look],
    /// How the highest level is made, and those below.
    methods: (Resampling, Resampling),
}

impl Maker<'_> {
    /// The bases of stretches of levels with their tiles, coarse to fine; `None` when there are no tiles. Levels that do not reach as
    /// far as the inputs may have none.
    fn pyramid(&self, all: &[Stretch], guesses: &mut Vec<String>) -> Result<Option<(Vec<Base>, Pyramid)>> {
        let (mut bases, mut cascades) = (Vec::new(), Vec::new());
        let mut next = 0u8;
        for (number, stretch) in all.iter().enumerate() {
            let last = number + 1 == all.len();
            let method = self.method(stretch, last);
            let mut inputs = self.inputs(stretch, number);
            // What is said of the cutline is said once.
            let mut unsaid = Vec::new();
            let said = if last { &mut *guesses } else { &mut unsaid };
            let stencil = self.job.masking.cut(self.job, self.plane, &stretch.pixels, &mut inputs, said);
            let stencil = match stencil {
                Err(_) if !last => continue,
                stencil => stencil?,
            };
            let mut span = span(&inputs, method, self.job.tile_size);
            if self.job.tiling.is_square() {
                span = span.min(stretch.high + stretch.finer);
            }
            let Some(cascade) = self.cascade(stretch, span, next, &inputs)? else { continue };
            next = cascade.base().saturating_add(1);
            cascades.push(cascade);
            let windows = inputs.iter().enumerate().flat_map(|(k, i)| i.windows.iter().map(move |w| (k, w)));
            let places = Places::new(windows);
            bases.push(Base { inputs, places, pixels: stretch.pixels, resampling: method, stencil });
        }
        Ok(Pyramid::of(cascades).map(|pyramid| (bases, pyramid)))
    }

    /// How a base is made: the highest as asked for, others as lower levels, unless they are finer than the inputs.
    fn method(&self, stretch: &Stretch, highest: bool) -> Resampling {
        let finest = self.sketches.iter().map(|s| s.scale(stretch.pixels.step)).fold(0.0, f64::max);
        if highest || finest <= 1.0 { self.methods.0 } else { self.methods.1 }
    }

    /// The inputs as they are read for a base.
    fn inputs(&self, stretch: &Stretch, number: usize) -> Vec<PlannedInput> {
        let level = &stretch.pixels;
        let decided =
            self.sketches.iter().zip(&stretch.reads).zip(self.looks).map(|((sketch, read), look)| {
                let scale = sketch.largest_scale(level.step, read.size);
                Decided { sketch: sketch.clone(), read: *read, look: look.clone(), scale }
            });
        let whole = [level.bounds()];
        let within: Vec<Bounds> = match self.wanted {
            None => whole.to_vec(),
            // The square of Web Mercator is not left by degrees.
            Some(boxes) if self.job.tiling == TilingScheme::WebMercatorQuad => boxes.clone(),
            Some(boxes) => boxes.iter().filter_map(|b| b.intersection(&whole[0])).collect(),
        };
        lay_out(decided, level, &within, self.job.overlap, number * self.job.inputs.len())
    }

    /// The tiles of a stretch, their levels numbered from `next` on or as zoom levels are; `None` when there are none.
    fn cascade(
        &self,
        stretch: &Stretch,
        span: u8,
        next: u8,
        inputs: &[PlannedInput],
    ) -> Result<Option<Cascade>> {
        let Stretch { low, high, finer, matrix, .. } = *stretch;
        let height = (high - low + finer).max(span);
        let base = (high + finer).max(next.saturating_add(height));
        if base == u8::MAX {
            return Err(Error::Usage(
                "the levels asked for do not halve each other and are too many to be made in one run: ask for fewer by -z".to_owned(),
            ));
        }
        let tile_size = self.job.tile_size;
        let windows = inputs.iter().flat_map(|i| &i.windows);
        let ranges: Vec<TileRange> = windows.map(|w| TileRange::touching(w, matrix, tile_size)).collect();
        let (min, max) = (base - finer - (high - low), base - finer);
        Ok(Cascade::new(base, min, span, matrix, &ranges).map(|cascade| cascade.written(max, max - high)))
    }
}

/// The parts of the plane that tiles are wanted of; `None` for all.
fn wanted(job: &TileJob, plane: Option<&Plane>) -> Result<Option<Vec<Bounds>>> {
    let (Some(bbox), Some(plane)) = (&job.bbox, plane) else { return Ok(None) };
    let boxes = plane.boxes(bbox);
    boxes
        .map(Some)
        .map_err(|e| Error::Usage(format!("--bbox cannot be carried over to {}: {e}", plane.name())))
}

/// Refuses more tiles than are allowed, with how many there would be.
fn check_count(job: &TileJob, plan: &Plan) -> Result<()> {
    let counts = plan.counts();
    let all: u64 = counts.values().sum();
    let Some(most) = job.max_tiles.filter(|most| all > *most) else { return Ok(()) };
    let each: Vec<String> = counts.iter().map(|(z, count)| format!("{count} at zoom {z}")).collect();
    Err(Error::Usage(format!(
        "up to {all} tiles would be made, more than --max-tiles {most}: {}; lower --max-zoom, give a --bbox, or allow more",
        each.join(", ")
    )))
}

/// Looks at all inputs; the grid whose tiles they become.
fn sketches(job: &TileJob, guesses: &mut Vec<String>) -> Result<(Arc<TileMatrixSet>, Vec<Sketch>)> {
    let plane = job.tiling.plane();
    let outlines = survey::each(&job.inputs, job.readers, |spec| Outline::of(spec, job))?;
    guesses.extend(outlines.iter().flat_map(|outline| outline.guesses.iter().cloned()));
    let frames = frames(&outlines);
    let many = outlines.len() > FEW;
    let set = job.tiling.matrices(outlines.first().map(|o| o.description.size), job.tile_size);
    let items: Vec<_> = outlines.iter().zip(&frames).collect();
    let onto = plane.clone().unwrap_or_else(Plane::web_mercator);
    let places = survey::each_onto(&onto, &items, job.readers, |locators, (outline, frame)| {
        Place::of(outline, frame.as_ref(), many, (&set, plane.as_ref()), locators)
    })?;
    let all = outlines.into_iter().zip(places).zip(frames);
    let all = all.map(|((outline, place), frame)| Sketch::new(outline, place, frame));
    Ok((set, all.collect()))
}

/// Why there is nothing to make.
fn nothing(job: &TileJob, set: &TileMatrixSet, has_holes: bool) -> Error {
    if has_holes {
        return empty(job);
    }
    let extent = job.extent_option().map_or_else(|| area(set), |option| format!("the extent of {option}"));
    let all = if job.inputs.len() > 1 { "none of the inputs" } else { "the raster does not" };
    let verb = if job.inputs.len() > 1 { "reaches" } else { "reach" };
    Error::input(&job.inputs[0].path, format!("{all} {verb} into {extent}: no tiles to make"))
}

/// The look of pictures of different kinds laid over each other.
fn common(looks: &[Look]) -> Look {
    let colour = looks.iter().any(|l| l.is_categorical() || l.picture_bands() == 3);
    if colour { Look::Rgb } else { Look::Gray }
}
