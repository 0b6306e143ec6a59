//! Making the plan: from the job and a look at its inputs, before anything is written.

use super::levels::{base_level, span, zooms};
use super::look::Look;
use super::places::Places;
use super::plan::{Budget, Plan, PlannedInput};
use super::sheet::{Decided, lay_out};
use super::sketch::{Outline, Place, Sketch, frames};
use super::{Overlap, TileJob, TilingScheme, budget, empty, stretch, survey};
use crate::block::SampleType;
use crate::encode::EncoderOptions;
use crate::error::{Error, Result};
use crate::grid::{Bounds, latitude, longitude};
use crate::pyramid::{Pyramid, TileRange};
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
        let mut sketches = sketches(job, &mut guesses)?;
        match job.overlap {
            Overlap::First => sketches.reverse(),
            // Stable: of equals the later stays over the earlier.
            Overlap::HighestResolution => {
                sketches.sort_by(|a, b| b.footprint.resolution.total_cmp(&a.footprint.resolution));
            }
            Overlap::Last | Overlap::Min | Overlap::Max => {}
        }
        let grid = sketches[0].grid;
        let (min, max) = zooms(job, &sketches, &mut guesses)?;
        let (base, reads) = base_level(&sketches, max, job.tile_size);
        let scales: Vec<f64> = sketches
            .iter()
            .zip(&reads)
            .map(|(s, read)| s.largest_scale(base, job.tile_size, read.size))
            .collect();

        let values = job.values.as_ref().map(|v| v.content(&sketches, job, &mut guesses)).transpose()?;
        let mixed = sketches.windows(2).any(|w| !w[0].same_kind(&w[1]));
        let mut looks: Vec<Look> = sketches.iter().map(|s| s.look.clone()).collect();
        stretch::settle(&sketches, &mut looks, job, &mut guesses)?;
        let look = if mixed { common(&looks) } else { looks[0].clone() };
        let categorical = job.categorical || (!mixed && look.is_categorical());
        let (sample_type, bands) = if mixed {
            (SampleType::U8, look.picture_bands())
        } else {
            (sketches[0].selection.sample_type, sketches[0].selection.bands.len())
        };
        let faded = sketches.iter().any(|s| s.selection.alpha.is_some()) || (mixed && !categorical);
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
        let decided = sketches.into_iter().zip(reads).zip(looks.into_iter().zip(scales));
        let decided = decided.map(|((sketch, read), (look, scale))| Decided { sketch, read, look, scale });
        let mut inputs = lay_out(decided, base, job);
        let stencil = job.masking.cut(job, &grid, base, &mut inputs, &mut guesses)?;
        let ranges = ranges(&inputs, base, job.tile_size);
        let span = span(&inputs, resampling, job.tile_size);
        let pyramid = Pyramid::new(base, min, span, &ranges).ok_or_else(|| nothing(job, has_holes))?;
        let bounds = (job.tiling == TilingScheme::WebMercatorQuad).then(|| bounds(&inputs));
        let windows = inputs.iter().enumerate().flat_map(|(k, i)| i.windows.iter().map(move |w| (k, w)));
        let places = Places::new(windows);
        let mut plan = Self {
            inputs,
            places,
            look,
            mixed,
            sample_type,
            bands,
            edges: if soft { Edges::Soft } else { Edges::Hard },
            resampling,
            overview_resampling,
            overlap: job.overlap,
            pyramid,
            max_zoom: max,
            tile_size: job.tile_size,
            grid,
            bounds,
            stencil,
            exclusion: job.masking.exclusion.clone(),
            values,
            budget: Budget::default(),
            guesses,
        };
        job.masking.check_exclusion(&plan)?;
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

/// Looks at all inputs.
fn sketches(job: &TileJob, guesses: &mut Vec<String>) -> Result<Vec<Sketch>> {
    let outlines = survey::each(&job.inputs, job.readers, |_, spec| Outline::of(spec, job))?;
    guesses.extend(outlines.iter().flat_map(|outline| outline.guesses.iter().cloned()));
    let frames = frames(&outlines);
    let many = outlines.len() > FEW;
    let items: Vec<_> = outlines.iter().zip(&frames).collect();
    let places = survey::each(&items, job.readers, |locators, (outline, frame)| {
        Place::of(outline, frame.as_ref(), many, job, locators)
    })?;
    let all = outlines.into_iter().zip(places).zip(frames);
    Ok(all.map(|((outline, place), frame)| Sketch::new(outline, place, frame)).collect())
}

/// Why there is nothing to make.
fn nothing(job: &TileJob, has_holes: bool) -> Error {
    if has_holes {
        return empty(job);
    }
    let extent =
        if job.bbox.is_some() { "the extent of --bbox" } else { "Web Mercator (85.06° S to 85.06° N)" };
    let all = if job.inputs.len() > 1 { "none of the inputs" } else { "the raster does not" };
    let verb = if job.inputs.len() > 1 { "reaches" } else { "reach" };
    Error::input(&job.inputs[0].path, format!("{all} {verb} into {extent}: no tiles to make"))
}

fn ranges(inputs: &[PlannedInput], base: u8, tile_size: usize) -> Vec<TileRange> {
    inputs.iter().flat_map(|i| &i.windows).map(|w| TileRange::touching(w, base, tile_size)).collect()
}

/// Extent of the inputs in degrees, within the box asked for.
fn bounds(inputs: &[PlannedInput]) -> Bounds {
    let all = || inputs.iter().flat_map(|i| &i.extent);
    let least = |f: fn(&Bounds) -> f64| all().map(f).fold(f64::INFINITY, f64::min);
    let most = |f: fn(&Bounds) -> f64| all().map(f).fold(f64::NEG_INFINITY, f64::max);
    Bounds {
        west: longitude(least(|b| b.west)),
        south: latitude(least(|b| b.south)),
        east: longitude(most(|b| b.east)),
        north: latitude(most(|b| b.north)),
    }
}

/// The look of pictures of different kinds laid over each other.
fn common(looks: &[Look]) -> Look {
    let colour = looks.iter().any(|l| l.is_categorical() || l.picture_bands() == 3);
    if colour { Look::Rgb } else { Look::Gray }
}
