//! Which pixels hold data beyond what the rasters say, and what tiles show where none do.

use super::TileJob;
use super::plan::{Plan, PlannedInput};
use crate::encode::opaque::Opaque;
use crate::encode::{EncoderOptions, TileEncoder};
use crate::error::{Error, Result};
use crate::grid::{Bounds, PixelGrid};
use crate::raster::crs::Plane;
use crate::raster::cutline::{CutlineSpec, Onto};
use crate::resampling::Resampling;
use crate::warp::exclusion::Exclusion;
use crate::warp::stencil::Stencil;
use crate::window::Window;

/// Options about pixels without data. The default leaves them as the rasters have them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Masking {
    /// Polygons outside of which no pixel holds data; default none.
    pub cutline: Option<CutlineSpec>,
    /// Which tiles carry alpha.
    pub alpha: Alpha,
    /// Red, green and blue under pixels that are not opaque, which makes all tiles opaque; default black with
    /// [`Alpha::Never`].
    pub background: Option<[u8; 3]>,
    /// Values that averages leave out; default none.
    pub exclusion: Option<Exclusion>,
}

/// Which tiles carry alpha.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Alpha {
    /// Those in which some pixel is not opaque.
    #[default]
    AsNeeded,
    /// All, as a channel of its own: palettes become RGB with alpha.
    Always,
    /// None.
    Never,
}

/// The options about averages.
const EXCLUDING: &str = "--excluded-values and --nodata-values-pct-threshold";

/// How far the edges of a cutline may be off, in pixels of the base level.
const TOLERANCE: f64 = 1.0 / 32.0;

/// Squares to a column that a cutline is covered with, at most.
const MOST_SQUARES: usize = 512;

/// Boxes around polygons that are kept apart in the extent of a tile set, at most.
const MOST_BOXES: usize = 1024;

/// Pixels around what is made of the inputs that a task may ask for.
const REACH: usize = 1024;

impl Masking {
    /// Refuses options that contradict each other or the job.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(super) fn validate(&self, job: &TileJob) -> Result<()> {
        let usage = |text: &str| Err(Error::Usage(text.to_owned()));
        if job.terrain.is_some() && (self.alpha != Alpha::AsNeeded || self.background.is_some()) {
            return usage(
                "--encoding makes opaque tiles in which pixels without data have the height of --nodata-height: \
                 --add-alpha, --no-alpha and --background cannot be used with it",
            );
        }
        if self.exclusion.is_some() && (job.terrain.is_some() || job.categorical) {
            return Err(Error::Usage(format!(
                "{EXCLUDING} are about averages of colours: they cannot be used with --encoding or --categorical"
            )));
        }
        for (name, share) in self.exclusion.iter().flat_map(|e| {
            [
                ("--excluded-values-pct-threshold", e.excluded_share),
                ("--nodata-values-pct-threshold", e.nodata_share),
            ]
        }) {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::Usage(format!("{name} {}: give 0 to 100 %", share * 100.0)));
            }
        }
        if self.alpha == Alpha::Always {
            if self.background.is_some() {
                return usage(
                    "--background makes opaque tiles and --add-alpha tiles with alpha: drop one of them",
                );
            }
            if !job.tiles.has_alpha() {
                return Err(Error::Usage(format!(
                    "--add-alpha cannot be had in {} tiles, which know no alpha: drop it, or say -f png or -f webp",
                    job.tiles.format().extension()
                )));
            }
        }
        Ok(())
    }

    /// Refuses values to exclude that do not fit what was planned.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(super) fn check_exclusion(&self, plan: &Plan) -> Result<()> {
        let Some(exclusion) = &self.exclusion else { return Ok(()) };
        let usage = |text: String| Err(Error::Usage(text));
        let averages = [plan.resampling, plan.overview_resampling].contains(&Resampling::Average);
        if !averages {
            return usage(format!(
                "{EXCLUDING} are about averages: say -r average or --overview-resampling average"
            ));
        }
        if plan.look.is_categorical() {
            return usage(format!("{EXCLUDING} are about averages, which classes do not have"));
        }
        if plan.mixed && !exclusion.values.is_empty() {
            return usage(
                "--excluded-values cannot be told in inputs of different kinds; tile them apart".to_owned(),
            );
        }
        if let Some(tuple) = exclusion.values.iter().find(|tuple| tuple.len() != plan.bands) {
            let bands = plan.bands;
            return usage(format!(
                "--excluded-values gives {} values for {bands} bands; give tuples of one value per band",
                tuple.len()
            ));
        }
        Ok(())
    }

    /// The colour under pixels that are not opaque, where the format could keep them so.
    fn laid_over(&self, tiles: EncoderOptions) -> Option<[u8; 3]> {
        let opaque = self.alpha == Alpha::Never || self.background.is_some();
        (opaque && tiles.has_alpha()).then(|| self.background.unwrap_or_default())
    }

    /// The encoder of tiles in a format.
    ///
    /// # Errors
    /// Those of [`EncoderOptions::build`].
    pub(super) fn encoder(&self, mut tiles: EncoderOptions) -> Result<Box<dyn TileEncoder>> {
        let always = self.alpha == Alpha::Always;
        match &mut tiles {
            EncoderOptions::Png(options) => options.alpha |= always,
            EncoderOptions::Webp(options) => options.alpha |= always,
            EncoderOptions::Jpeg(options) => options.background = self.background.or(options.background),
            EncoderOptions::Tiff => {}
        }
        let encoder = tiles.build()?;
        Ok(match self.laid_over(tiles) {
            Some(background) => Box::new(Opaque::new(encoder, background)),
            None => encoder,
        })
    }

    /// What is decided in the user's place.
    pub(super) fn guess(&self, tiles: EncoderOptions) -> Option<String> {
        let black = self.laid_over(tiles).is_some() && self.background.is_none();
        black.then(|| "black under transparent pixels (--background 0,0,0)".to_owned())
    }

    /// Cuts the inputs of a base level to the cutline, if there is one: what lies outside is not planned. Returns the polygons among
    /// the pixels of the level.
    ///
    /// # Errors
    /// [`Error::Input`] when the cutline cannot be read or lies outside of all inputs.
    pub(super) fn cut(
        &self,
        job: &TileJob,
        plane: Option<&Plane>,
        level: &PixelGrid,
        inputs: &mut [PlannedInput],
        guesses: &mut Vec<String>,
    ) -> Result<Option<Stencil>> {
        let Some(spec) = &self.cutline else { return Ok(None) };
        let cutline = spec.read()?;
        guesses.extend(cutline.guess.clone());
        let onto = match (plane, inputs.first().and_then(|input| input.parts.first())) {
            (Some(plane), _) => Onto::Plane(plane),
            (None, Some(part)) => {
                Onto::Pixels(&part.spec, &part.description.georeferencing, part.description.size)
            }
            (None, None) => return Ok(None),
        };
        let mut polygons = cutline.carried(&onto, level.step * TOLERANCE)?;
        for p in polygons.iter_mut().flatten().flatten() {
            (p.x, p.y) = ((p.x - level.west) / level.step, (level.north - p.y) / level.step);
        }
        let nothing = Window::new(0, 0, 0, 0);
        let planned = inputs.iter().flat_map(|i| &i.windows).fold(nothing, |all, w| all.union(w));
        let stencil = Stencil::new(&polygons, &planned.expanded(REACH));
        let squares = stencil.windows(job.tile_size, MOST_SQUARES);
        let mut boxes = stencil.boxes().to_vec();
        if boxes.len() > MOST_BOXES {
            boxes = vec![boxes.iter().fold(nothing, |all, w| all.union(w))];
        }
        let boxes: Vec<Bounds> = boxes.iter().map(|w| level.place(w)).collect();
        for input in inputs.iter_mut() {
            let extent = input.extent.iter();
            input.extent = extent.flat_map(|e| boxes.iter().filter_map(|b| b.intersection(e))).collect();
            let windows = input.windows.iter();
            let cut = windows.flat_map(|w| squares.iter().map(|s| s.intersection(w)));
            input.windows = cut.filter(|w| !w.is_empty() && !input.extent.is_empty()).collect();
        }
        if !planned.is_empty() && inputs.iter().all(|input| input.windows.is_empty()) {
            let what = if job.inputs.len() > 1 { "all inputs" } else { "the raster" };
            let extent =
                job.extent_option().map_or(String::new(), |option| format!(" in the extent of {option}"));
            let reason = format!("the cutline lies outside of {what}{extent}: no tiles to make");
            return Err(Error::input(&spec.path, reason));
        }
        Ok(Some(stencil))
    }
}
