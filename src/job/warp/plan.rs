//! The plan of a warp: everything that decides its result, as plain data.

use super::grid::{Crop, Settled, settle};
use super::{Budget, Overlap, OverviewUse, WarpJob, budget, cog};
use crate::block::SampleType;
use crate::encode::Rgba;
use crate::error::{Error, Result};
use crate::grid::Bounds;
use crate::job::apart::check_not_an_input;
use crate::job::calc::Nodata;
use crate::job::calc::grid::{Grid, Placement};
use crate::job::calc::output::{COG, Storage};
use crate::job::cog::{Made, Read};
use crate::job::tile::survey;
use crate::raster::chunks::ChunkLayout;
use crate::raster::crs::Plane;
use crate::raster::cutline::{CutlineSpec, Onto};
use crate::raster::describe::{BandDescription, Interpretation, MaskKind, carried};
use crate::raster::source::Selection;
use crate::raster::writer::Quantity;
use crate::raster::{Description, SourceSpec, nodata_as};
use crate::resampling::Resampling;
use crate::warp::kernel::{Edges, halo};
use crate::warp::stencil::Stencil;
use crate::window::{Size, Window};

/// How far the edges of a cutline may be off, in pixels of the output.
const TOLERANCE: f64 = 1.0 / 32.0;

/// Part of an input's extent by which it may reach beyond what was found for it.
const SLACK: f64 = 0.02;

/// An input as it is read.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Where the input is and how to open it.
    pub spec: SourceSpec,
    /// What it is.
    pub description: Description,
    /// Its bands.
    pub selection: Selection,
    /// How its pixels come onto the grid.
    pub placement: Placement,
    /// The overview that stands in for it.
    pub level: Option<usize>,
    /// Columns and rows of what is read.
    pub size: Size,
    /// How that is cut into chunks.
    pub layout: ChunkLayout,
    /// The pixels of the output that it may show in.
    pub covers: Window,
}

impl Layer {
    /// Bytes of a pixel with its coverage.
    pub(in crate::job) fn pixel_bytes(&self) -> usize {
        self.selection.bands.len() * self.selection.sample_type.bytes() + 1
    }

    /// How it is read, to make a COG.
    pub(in crate::job) fn read(&self) -> Read {
        Read {
            chunk: self.layout.chunk(),
            pixel: self.pixel_bytes(),
            width: self.size.width,
            scale: self.scale(),
            striped: self.level.is_none() && self.description.block.width >= self.description.size.width,
        }
    }

    /// Pixels that are read along a pixel of the output, at most.
    pub(in crate::job) fn scale(&self) -> f64 {
        match self.placement {
            Placement::Aligned(_) => 1.0,
            Placement::Warped { scale } => {
                scale * self.size.width as f64 / self.description.size.width as f64
            }
        }
    }
}

/// Everything that decides the result.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The grid of the output.
    pub grid: Grid,
    /// The inputs in the order they are laid over each other.
    pub layers: Vec<Layer>,
    /// Bands of the output, without opacity.
    pub bands: usize,
    /// Whether a band of opacity follows them.
    pub alpha: bool,
    /// Type in which pixels are resampled.
    pub working: SampleType,
    /// Type of the output's samples.
    pub sample_type: SampleType,
    /// The value of the output's pixels without data, as its type holds it.
    pub nodata: Option<f64>,
    /// How pixels are resampled.
    pub resampling: Resampling,
    /// What the coverage of inputs means.
    pub(super) edges: Edges,
    /// What is seen where inputs overlap.
    pub overlap: Overlap,
    /// The cutline among the pixels of the output.
    pub(super) stencil: Option<Stencil>,
    /// Colour table of the output.
    pub palette: Option<Vec<Rgba>>,
    /// How the output is stored.
    pub storage: Storage,
    /// How it becomes a COG, if it is to be one.
    pub(super) cog: Option<Box<Made>>,
    /// Names of the output's bands.
    pub band_names: Vec<Option<String>>,
    /// What the samples of the output's bands stand for.
    pub quantities: Vec<Quantity>,
    /// Metadata items of the output's bands.
    pub band_metadata: Vec<Vec<(String, String)>>,
    /// Metadata items of the output.
    pub metadata: Vec<(String, String)>,
    /// Columns and rows of a window.
    pub window: Size,
    /// Where memory goes.
    pub budget: Budget,
    /// What was decided in the user's place, each with the option that says so.
    pub guesses: Vec<String>,
    /// What the user should know of the inputs.
    pub notes: Vec<String>,
}

impl Plan {
    /// Looks at the inputs and plans the job.
    ///
    /// # Errors
    /// [`Error::Usage`] for what makes no sense, [`Error::Input`] for inputs that cannot be read or brought onto the grid,
    /// [`Error::Output`] when the output is one of them, [`Error::Memory`] when the memory allowed is not enough.
    pub fn new(job: &WarpJob) -> Result<Self> {
        let mut plan = Self::on_grid(job, |inputs, crop| settle(job, inputs, crop))?;
        if plan.storage.is_cog() {
            cog::plan(job, &mut plan)?;
        } else {
            (plan.window, plan.budget) = budget::share_out(&plan, job)?;
        }
        Ok(plan)
    }

    /// Plans a job, its windows and its memory aside, on the grid that `settle` finds for its inputs.
    ///
    /// # Errors
    /// Those of [`Plan::new`] and of `settle`.
    pub(in crate::job) fn on_grid(
        job: &WarpJob,
        settle: impl FnOnce(&[(SourceSpec, Description)], &Crop<'_>) -> Result<Settled>,
    ) -> Result<Self> {
        job.inputs.iter().chain(&job.grid.like).for_each(SourceSpec::note_files);
        let describe = |spec: &SourceSpec| spec.describe().map(|d| (spec.clone(), d));
        let inputs = survey::each(&job.inputs, job.readers, describe)?;
        check_not_an_input(&job.target, job.inputs.iter().chain(&job.grid.like))?;
        let kind = Kind::of(job, &inputs)?;
        let tiff = ["GTiff", COG].iter().any(|name| job.driver.eq_ignore_ascii_case(name));
        let carries = job.carry_metadata && tiff;
        let mut metadata =
            if carries { carried(inputs.iter().map(|(_, d)| &d.metadata[..])) } else { Vec::new() };
        metadata.extend(job.metadata.iter().cloned());
        let cutline = job.cutline.as_ref().map(CutlineSpec::read).transpose()?;
        let crop = |wkt: &str| -> Result<Option<Bounds>> {
            let Some(cutline) = cutline.as_ref().filter(|_| job.crop_to_cutline) else { return Ok(None) };
            let polygons = cutline.carried(&Onto::Plane(&Plane::endless(wkt)), f64::INFINITY)?;
            Ok(around(polygons.iter().flatten().flatten().map(|p| (p.x, p.y))))
        };
        let Settled { grid, extents, mut guesses } = settle(&inputs, &crop)?;
        let mut notes = Vec::new();
        let layers = layers(job, &kind, inputs, &grid, &extents, &mut notes)?;
        let stencil = match &cutline {
            Some(cutline) => {
                guesses.extend(cutline.guess.clone());
                Some(stencil(cutline, &grid)?)
            }
            None => None,
        };
        let sample_type = job.sample_type.unwrap_or(kind.sample_type);
        let nodata = kind.nodata(job, sample_type)?;
        let alpha = job.add_alpha || kind.alpha;
        let bands = kind.bands + usize::from(alpha);
        let mut options = job.creation_options.clone();
        if tiff {
            kind.name_bands(&mut options, sample_type, alpha);
        }
        let mut storage = if job.driver.eq_ignore_ascii_case(COG) {
            Storage::of(COG, job.creation_options.clone(), sample_type, grid.size, bands)?
        } else {
            Storage::of(&job.driver, options.clone(), sample_type, grid.size, bands)?
        };
        if storage.is_cog() {
            // Those that say what bands mean.
            storage.options = options.split_off(job.creation_options.len());
        }
        if job.overviews.is_some() && !storage.is_tiff() {
            let driver = &storage.driver;
            return Err(Error::Usage(format!("--overviews: only a GTiff has them here, not {driver}")));
        }
        if job.sample_type.is_none() && kind.mixed {
            guesses.push(format!("--ot {}", sample_type.gdal_name()));
        }
        if let (Nodata::Auto, Some(value)) = (job.nodata, nodata) {
            guesses.push(format!("--dst-nodata {value}"));
        }
        let mut plan = Self {
            grid,
            layers,
            bands: kind.bands,
            alpha,
            working: kind.sample_type,
            sample_type,
            nodata,
            resampling: job.resampling,
            edges: if kind.alpha { Edges::Soft } else { Edges::Hard },
            overlap: job.overlap,
            stencil,
            palette: kind.palette,
            storage,
            cog: None,
            band_names: kind.names,
            quantities: if carries { kind.quantities } else { Vec::new() },
            band_metadata: if carries { kind.metadata } else { Vec::new() },
            metadata,
            window: Size::new(0, 0),
            budget: Budget::default(),
            guesses,
            notes,
        };
        if job.overlap == Overlap::First {
            plan.layers.reverse();
        }
        Ok(plan)
    }

    /// The windows of the output, row by row, cut off at its edges.
    pub fn windows(&self) -> Vec<Window> {
        self.grid.size.windows(self.window)
    }

    /// What the coverage of inputs means: whether a pixel may be partly opaque.
    pub(in crate::job) fn edges(&self) -> Edges {
        self.edges
    }

    /// Number of the output's bands, opacity included.
    pub fn output_bands(&self) -> usize {
        self.bands + usize::from(self.alpha)
    }

    /// The layers that may show in a window, with their numbers.
    pub(super) fn touching(&self, window: &Window) -> impl Iterator<Item = (usize, &Layer)> {
        let touches = move |(_, layer): &(usize, &Layer)| !layer.covers.intersection(window).is_empty();
        self.layers.iter().enumerate().filter(touches)
    }
}

/// What all inputs have in common.
struct Kind {
    bands: usize,
    selections: Vec<Selection>,
    alpha: bool,
    sample_type: SampleType,
    /// Whether samples of several types come together.
    mixed: bool,
    nodata: Option<f64>,
    palette: Option<Vec<Rgba>>,
    names: Vec<Option<String>>,
    /// What the samples of the bands stand for, as far as all inputs agree.
    quantities: Vec<Quantity>,
    /// Metadata items of the bands, those that the inputs agree on.
    metadata: Vec<Vec<(String, String)>>,
    rgb: bool,
}

/// The `k`-th band taken of each input.
fn kth<'a>(
    inputs: &'a [(SourceSpec, Description)],
    selections: &'a [Selection],
    k: usize,
) -> impl Iterator<Item = &'a BandDescription> {
    let all = inputs.iter().zip(selections);
    all.filter_map(move |((_, description), selection)| description.bands.get(selection.bands.get(k)? - 1))
}

/// What the samples of the `k`-th band taken stand for, if they do in all inputs.
fn quantity(inputs: &[(SourceSpec, Description)], selections: &[Selection], k: usize) -> Quantity {
    let of_one = |b: &BandDescription| Quantity { unit: b.unit.clone(), scale: b.scale, offset: b.offset };
    let mut all = kth(inputs, selections, k).map(of_one);
    all.next().filter(|first| all.all(|other| other == *first)).unwrap_or_default()
}

impl Kind {
    fn of(job: &WarpJob, inputs: &[(SourceSpec, Description)]) -> Result<Self> {
        let mut selections = Vec::new();
        for (spec, description) in inputs {
            selections.push(select(job, description).map_err(|e| spec.error(e))?);
        }
        let (Some((first_spec, first)), Some(selection)) = (inputs.first(), selections.first()) else {
            return Err(Error::Usage("no input given".to_owned()));
        };
        let bands = selection.bands.len();
        let palette = first.palette.clone().filter(|_| selection.bands == [1]);
        for ((spec, description), own) in inputs.iter().zip(&selections) {
            if own.bands.len() != bands {
                let path = first_spec.path.display();
                return Err(spec.error(format!(
                    "has {} bands where {path} has {bands}: choose by -b which are put together",
                    own.bands.len()
                )));
            }
            let theirs = description.palette.as_ref().filter(|_| own.bands == [1]);
            if theirs != palette.as_ref() {
                let path = first_spec.path.display();
                return Err(
                    spec.error(format!("has another colour table than {path}: they cannot be put together"))
                );
            }
        }
        if palette.is_some() && !matches!(job.resampling, Resampling::Nearest | Resampling::Mode) {
            return Err(first_spec.error(format!(
                "has a colour table, whose numbers cannot be mixed by {}: say -r nearest or -r mode",
                job.resampling
            )));
        }
        let mut types = selections.iter().map(|s| s.sample_type);
        let start = selection.sample_type;
        let sample_type = types.clone().fold(start, SampleType::union);
        let mixed = types.any(|t| t != sample_type);
        for selection in &mut selections {
            selection.sample_type = sample_type;
        }
        let value = |(_, d): &(SourceSpec, Description), s: &Selection| {
            s.bands.iter().find_map(|n| d.bands.get(n - 1)?.nodata)
        };
        let nodata = inputs.iter().zip(&selections).find_map(|(input, s)| value(input, s));
        let selection = &selections[0];
        let own = |n: &usize| first.bands.get(n - 1);
        let names = selection.bands.iter().map(|n| own(n).and_then(|b| b.description.clone())).collect();
        let quantities = (0..bands).map(|k| quantity(inputs, &selections, k)).collect();
        let metadata = (0..bands).map(|k| carried(kth(inputs, &selections, k).map(|b| &b.metadata[..])));
        let metadata = metadata.collect();
        let colours = [Interpretation::Red, Interpretation::Green, Interpretation::Blue];
        let rgb = bands >= 3
            && selection
                .bands
                .iter()
                .zip(colours)
                .all(|(n, c)| own(n).is_some_and(|b| b.interpretation == c));
        let alpha = selections.iter().any(|s| s.alpha.is_some());
        Ok(Self {
            bands,
            selections,
            alpha,
            sample_type,
            mixed,
            nodata,
            palette,
            names,
            quantities,
            metadata,
            rgb,
        })
    }

    /// The value of the output's pixels without data.
    fn nodata(&self, job: &WarpJob, sample_type: SampleType) -> Result<Option<f64>> {
        let held =
            |v: f64| for_sample_type!(sample_type, T => nodata_as::<T>(v).map(crate::block::Sample::to_f64));
        match job.nodata {
            Nodata::None => Ok(None),
            Nodata::Auto => Ok(self.nodata.and_then(held)),
            Nodata::Value(value) => held(value).map(Some).ok_or_else(|| {
                let name = sample_type.gdal_name();
                Error::Usage(format!(
                    "--dst-nodata {value}: {name} cannot hold it; give another value, or a type by --ot"
                ))
            }),
        }
    }

    /// Says in the options of a GeoTIFF what its bands mean, where GDAL would take them for something else.
    fn name_bands(&self, options: &mut Vec<String>, sample_type: SampleType, alpha: bool) {
        let given = |options: &[String], key: &str| {
            options.iter().any(|o| o.split_once('=').is_some_and(|(k, _)| k.trim().eq_ignore_ascii_case(key)))
        };
        let jpeg = options.iter().any(|o| o.to_ascii_uppercase().replace(' ', "") == "COMPRESS=JPEG");
        if self.rgb
            && !jpeg
            && !given(options, "PHOTOMETRIC")
            && matches!(sample_type, SampleType::U8 | SampleType::U16)
        {
            options.push("PHOTOMETRIC=RGB".to_owned());
            if self.bands > 3 && !alpha && !given(options, "ALPHA") {
                // GDAL takes a fourth band beside colours for opacity.
                options.push("ALPHA=NO".to_owned());
            }
        } else if !self.rgb
            && sample_type == SampleType::U8
            && self.bands + usize::from(alpha) >= 3
            && !given(options, "PHOTOMETRIC")
        {
            // GDAL takes three or four bands of bytes for a picture.
            options.push("PHOTOMETRIC=MINISBLACK".to_owned());
        }
        if alpha && !given(options, "ALPHA") {
            options.push("ALPHA=YES".to_owned());
        }
    }
}

/// The bands that are taken of an input.
fn select(job: &WarpJob, description: &Description) -> std::result::Result<Selection, String> {
    let count = description.bands.len();
    let alpha = description.alpha_band();
    if let Some(number) = job.bands.iter().find(|n| !(1..=count).contains(*n)) {
        return Err(format!("has no band {number} (-b): it has {count}"));
    }
    let bands: Vec<usize> = match &job.bands[..] {
        [] => (1..=count).filter(|n| Some(*n) != alpha || count == 1).collect(),
        given => given.to_vec(),
    };
    let alpha = alpha.filter(|n| !bands.contains(n));
    let mut sample_type = None;
    for number in &bands {
        let own = description.types[number - 1].ok_or_else(|| {
            let name = &description.bands[number - 1].sample_type;
            format!("holds samples of type {name} in band {number}, which cannot be resampled")
        })?;
        sample_type = Some(sample_type.map_or(own, |all: SampleType| all.union(own)));
    }
    let sample_type = sample_type.ok_or("has no band but opacity")?;
    Ok(Selection { bands, alpha, sample_type })
}

/// The inputs as they are read.
fn layers(
    job: &WarpJob,
    kind: &Kind,
    inputs: Vec<(SourceSpec, Description)>,
    grid: &Grid,
    extents: &[Option<Bounds>],
    notes: &mut Vec<String>,
) -> Result<Vec<Layer>> {
    let mut layers = Vec::new();
    for (((spec, description), selection), extent) in inputs.into_iter().zip(&kind.selections).zip(extents) {
        let Ok(placement) = grid.place(&spec, &description, false) else {
            notes.push(format!("{} lies outside of the output", spec.path.display()));
            continue;
        };
        let mixes = !matches!(job.resampling, Resampling::Nearest | Resampling::Mode);
        let level = match placement {
            Placement::Warped { scale } if mixes && job.overview_use == OverviewUse::Auto => {
                overview(&description, scale)
            }
            _ => None,
        };
        let size = level.map_or(description.size, |n| description.overviews[n]);
        let block = match level {
            // Overviews of tiled files are tiled; their blocks are read when they are opened.
            Some(_) if description.block.width >= description.size.width => Size::new(512, 512),
            _ => description.block,
        };
        let pixel = selection.bands.len() * selection.sample_type.bytes() + 1;
        let mut layer = Layer {
            layout: ChunkLayout::new(size, block, pixel),
            selection: selection.clone(),
            spec,
            description,
            placement,
            level,
            size,
            covers: grid.size.window(),
        };
        layer.covers = covers(&layer, grid, extent.as_ref(), job.resampling);
        if layer.covers.is_empty() {
            notes.push(format!("{} lies outside of the output", layer.spec.path.display()));
            continue;
        }
        if layer.description.mask == MaskKind::PerDataset && !job.add_alpha && kind.nodata.is_none() {
            let path = layer.spec.path.display();
            notes.push(format!("the mask of {path} is not carried over: --dst-alpha keeps what it says"));
        }
        layers.push(layer);
    }
    if layers.is_empty() {
        let what = if job.inputs.len() > 1 { "all inputs lie" } else { "it lies" };
        return Err(Error::input(
            &job.inputs[0].path,
            format!("{what} outside of the output: see -te (EXTENT of a COG)"),
        ));
    }
    Ok(layers)
}

/// The smallest overview that is at least as fine as an output on whose pixels so many of the raster's fall.
fn overview(description: &Description, scale: f64) -> Option<usize> {
    let factor = |s: &Size| {
        let full = description.size;
        (full.width as f64 / s.width as f64).max(full.height as f64 / s.height as f64)
    };
    let fine = description.overviews.iter().enumerate().filter(|(_, s)| factor(s) <= scale * 1.001);
    fine.max_by(|a, b| factor(a.1).total_cmp(&factor(b.1))).map(|(n, _)| n)
}

/// The pixels of the output that a layer may show in.
fn covers(layer: &Layer, grid: &Grid, extent: Option<&Bounds>, method: Resampling) -> Window {
    let whole = grid.size.window();
    if let Placement::Aligned(place) = layer.placement {
        return place.intersection(&whole);
    }
    let (Some(extent), Some(geotransform)) = (extent, grid.geotransform()) else { return whole };
    let Some(back) = crate::job::calc::grid::inverse(&geotransform) else { return whole };
    let corners = [extent.west, extent.east].into_iter().flat_map(|x| [(x, extent.south), (x, extent.north)]);
    let pixels =
        corners.map(|(x, y)| (back[0] + back[1] * x + back[2] * y, back[3] + back[4] * x + back[5] * y));
    let Some(b) = around(pixels) else { return whole };
    let slack = |length: f64| length * SLACK + 16.0 + halo(method, layer.scale() as f32) as f64;
    let (x, y) = (slack(b.east - b.west), slack(b.north - b.south));
    let pixel = |v: f64| v.clamp(-1e9, 1e12) as i64;
    let edges = [b.west - x, b.south - y, b.east + x, b.north + y].map(pixel);
    Window::from_edges(edges[0], edges[1], edges[2] + 1, edges[3] + 1).intersection(&whole)
}

/// The box around points; `None` when there are none.
fn around(points: impl Iterator<Item = (f64, f64)>) -> Option<Bounds> {
    points.filter(|(x, y)| x.is_finite() && y.is_finite()).fold(None, |found: Option<Bounds>, (x, y)| {
        let b = found.unwrap_or(Bounds { west: x, south: y, east: x, north: y });
        Some(Bounds {
            west: b.west.min(x),
            south: b.south.min(y),
            east: b.east.max(x),
            north: b.north.max(y),
        })
    })
}

/// The polygons of a cutline among the pixels of a grid.
fn stencil(cutline: &crate::raster::cutline::Cutline, grid: &Grid) -> Result<Stencil> {
    let wkt = grid.georeferencing.wkt.clone().unwrap_or_default();
    let geotransform = grid.geotransform().unwrap_or([0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let step = geotransform[1].hypot(geotransform[4]).min(geotransform[2].hypot(geotransform[5]));
    let back = crate::job::calc::grid::inverse(&geotransform)
        .ok_or_else(|| grid.spec.error("has a singular geotransform"))?;
    let mut polygons = cutline.carried(&Onto::Plane(&Plane::endless(&wkt)), step * TOLERANCE)?;
    for p in polygons.iter_mut().flatten().flatten() {
        (p.x, p.y) = (back[0] + back[1] * p.x + back[2] * p.y, back[3] + back[4] * p.x + back[5] * p.y);
    }
    Ok(Stencil::new(&polygons, &grid.size.window().expanded(64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_around_points_holds_them() {
        assert_eq!(around([(f64::NAN, 0.0)].into_iter()), None);
        let found = around([(3.0, 1.0), (-2.0, 5.0), (0.0, 0.0)].into_iter());
        assert_eq!(found, Some(Bounds { west: -2.0, south: 0.0, east: 3.0, north: 5.0 }));
    }
}
