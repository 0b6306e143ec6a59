//! The plan of a calculation: everything that decides its result, as plain data.

use serde::Serialize;

use super::grid::{Grid, Placement};
use super::ground::ground;
use super::inputs::{self, Looked};
use super::output::{Form, Storage};
use super::{CalcJob, NodataPolicy, OverviewChoice, budget, cog};
use crate::block::SampleType;
use crate::encode::Rgba;
use crate::error::{Error, Result};
use crate::expr::{self, Coordinate, Kind, Output, Program};
use crate::job::apart::check_not_an_input;
use crate::job::cog::Made;
use crate::job::tile::survey;
use crate::op::{Chain, Facts, Origin, Scene, needs_double};
use crate::raster::chunks::ChunkLayout;
use crate::raster::describe::{BandDescription, Interpretation, MaskKind, carried};
use crate::raster::georef::Method;
use crate::raster::source::Selection;
use crate::raster::writer::Quantity;
use crate::raster::{Description, SourceSpec};
use crate::resampling::Resampling;
use crate::window::{Size, Window};

/// Bands of an input that are read together.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Where the input is and how to open it.
    pub spec: SourceSpec,
    /// What it is, with the values that reading it takes for no data.
    pub description: Description,
    /// The bands.
    pub selection: Selection,
    /// How they come onto the grid.
    pub placement: Placement,
    /// How the input is cut into chunks.
    pub layout: ChunkLayout,
    /// Whether what an input says of all its bands (alpha, a mask) counts.
    pub masked: bool,
}

impl Layer {
    /// Bytes of a pixel with its coverage.
    pub(super) fn pixel_bytes(&self) -> usize {
        self.selection.bands.len() * self.selection.sample_type.bytes() + 1
    }
}

/// Where a band that the program uses is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slot {
    /// Position of its layer.
    pub layer: usize,
    /// Position among the bands of the layer.
    pub band: usize,
    /// The value of its pixels without data, where reading does not see to that.
    pub nodata: Option<f64>,
}

/// Everything that decides the result.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The grid of the output.
    pub grid: Grid,
    /// What is computed.
    pub chain: Chain,
    /// What is read.
    pub layers: Vec<Layer>,
    /// Where the program's bands are found.
    pub slots: Vec<Slot>,
    /// How layers on other grids are resampled.
    pub resampling: Resampling,
    /// How overviews are made, if there are to be any.
    pub overviews: Option<Resampling>,
    /// Type and value for no data of the output.
    pub form: Form,
    /// How the output is stored.
    pub storage: Storage,
    /// How it becomes a COG, if it is to be one.
    pub(super) cog: Option<Box<Made>>,
    /// Names of the output's bands.
    pub band_names: Vec<Option<String>>,
    /// Metadata items of the output.
    pub metadata: Vec<(String, String)>,
    /// What the samples of the output's bands stand for.
    pub quantities: Vec<Quantity>,
    /// Metadata items of the output's bands.
    pub band_metadata: Vec<Vec<(String, String)>>,
    /// Colour table of the output.
    pub palette: Option<Vec<Rgba>>,
    /// Whether the bands of the output get their statistics.
    pub statistics: bool,
    /// Columns and rows of a window.
    pub window: Size,
    /// Where memory goes.
    pub budget: Budget,
    /// What was decided in the user's place, each with the option that says so.
    pub guesses: Vec<String>,
    /// What the user should know of the inputs.
    pub notes: Vec<String>,
}

/// How the memory of a run is shared out, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// The program itself and GDAL's cache.
    pub fixed: usize,
    /// Decoded source blocks shared by the readers.
    pub chunks: usize,
    /// Windows in flight.
    pub in_flight: usize,
    /// Bytes in flight of the dearest window.
    pub task: usize,
}

impl Budget {
    /// That of a result that becomes a COG.
    pub(in crate::job) fn of(cog: &Made) -> Self {
        let of_cog = cog.plan.budget;
        let fixed = of_cog.fixed + of_cog.pyramid;
        Self { fixed, chunks: of_cog.chunks, in_flight: of_cog.in_flight, task: of_cog.task }
    }
}

impl Plan {
    /// Looks at the inputs and plans the job.
    ///
    /// # Errors
    /// [`Error::Expression`] and [`Error::Usage`] for what makes no sense, [`Error::Input`] for inputs that cannot be read or
    /// brought onto one grid, [`Error::Output`] when the output is one of them, [`Error::Memory`] when the memory allowed is
    /// not enough.
    pub fn new(job: &CalcJob) -> Result<Self> {
        let names = inputs::names(&job.inputs)?;
        job.inputs.iter().map(|i| &i.source).chain(&job.like).for_each(SourceSpec::note_files);
        let descriptions = survey::each(&job.inputs, job.readers, |input| input.source.describe())?;
        let like = job.like.as_ref().map(|spec| spec.describe().map(|d| Grid::of(spec, &d))).transpose()?;
        let first = descriptions.first().ok_or_else(|| Error::Usage("no input given".to_owned()))?;
        let grid = like.unwrap_or_else(|| Grid::of(&job.inputs[0].source, first));
        let all = job.inputs.iter().zip(&names).zip(descriptions);
        let looked = all.map(|((input, name), d)| inputs::look(job, input, name, d, &grid));
        let looked = looked.collect::<Result<Vec<_>>>()?;
        check_not_an_input(&job.target, job.inputs.iter().map(|i| &i.source).chain(&job.like))?;

        let facts: Vec<_> = looked.iter().map(|l| l.facts(job, &grid)).collect();
        let chain = chain(job, &grid, &looked, &facts)?;
        let program = chain.program();
        check_places(program, &grid)?;
        let (layers, slots) = layers(job, &looked, program);
        let outputs = outputs(&chain);
        // What a cast at the end of the operations says is no guess.
        let cast = chain.outputs().iter().find_map(|f| f.sample_type);
        let job = &CalcJob { sample_type: job.sample_type.or(cast), ..job.clone() };
        let form = Form::new(job, &outputs, is_fine(program, &looked))?;
        let mut storage = Storage::new(job, form, grid.size, outputs.len())?;
        name_bands(job, &chain, &looked, form, &mut storage);
        if job.overviews != OverviewChoice::None && !storage.is_tiff() {
            return Err(Error::Usage(format!(
                "--overviews: only a GTiff has them here, not {}",
                storage.driver
            )));
        }
        if job.statistics && !storage.is_tiff() {
            return Err(Error::Usage(format!(
                "--statistics: only a GTiff has them here, not {}",
                storage.driver
            )));
        }
        let numbers = outputs.iter().any(|o| o.kind == Kind::Number);
        let overviews = match job.overviews {
            OverviewChoice::None => None,
            OverviewChoice::Auto if numbers => Some(Resampling::Average),
            OverviewChoice::Auto => Some(Resampling::Nearest),
            OverviewChoice::By(method) => Some(method),
        };
        let mut plan = Self {
            band_names: band_names(job, &chain, &storage),
            metadata: metadata(job, &looked, &storage),
            quantities: quantities(job, &chain, &looked),
            band_metadata: band_metadata(job, &chain, &looked, &storage),
            palette: palette(job, &chain, &looked, form).filter(|_| storage.is_tiff()),
            statistics: job.statistics,
            grid,
            chain,
            layers,
            slots,
            resampling: job.resampling.unwrap_or(Resampling::Nearest),
            overviews,
            form,
            storage,
            cog: None,
            window: Size::new(0, 0),
            budget: Budget::default(),
            guesses: Vec::new(),
            notes: Vec::new(),
        };
        plan.guess(job);
        plan.note(job, &looked);
        if plan.storage.is_cog() {
            cog::plan(job, &mut plan)?;
        } else {
            (plan.window, plan.budget) = budget::share_out(&plan, job)?;
        }
        Ok(plan)
    }

    /// The windows of the output, row by row, cut off at its edges.
    pub fn windows(&self) -> Vec<Window> {
        self.grid.size.windows(self.window)
    }

    /// Number of the output's bands.
    pub fn bands(&self) -> usize {
        self.chain.outputs().len()
    }

    /// Whether longitudes or latitudes are computed with.
    pub fn uses_degrees(&self) -> bool {
        let program = self.chain.program();
        program.uses(Coordinate::Longitude) || program.uses(Coordinate::Latitude)
    }

    /// Says what was decided in the user's place.
    fn guess(&mut self, job: &CalcJob) {
        let Form { sample_type, nodata } = self.form;
        if job.sample_type.is_none() {
            self.guesses.push(format!("--ot {}", sample_type.gdal_name()));
        }
        if job.nodata == super::Nodata::Auto
            && let Some(value) = nodata
        {
            self.guesses.push(format!("--nodata {value}"));
        }
        if job.overviews == OverviewChoice::Auto
            && !self.storage.is_cog()
            && let Some(method) = self.overviews
        {
            self.guesses.push(format!("--overview-resampling {method}"));
        }
        let warped = self.layers.iter().any(|l| matches!(l.placement, Placement::Warped { .. }));
        if job.resampling.is_none() && warped {
            self.guesses.push(format!("-r {}", self.resampling));
        }
    }

    /// Says what the user should know of the inputs.
    fn note(&mut self, job: &CalcJob, looked: &[Looked]) {
        let whole = self.grid.size.window();
        let used =
            |number: usize| self.chain.program().bands().iter().filter(move |(input, _)| *input == number);
        let grid = self.grid.spec.path.display().to_string();
        let mut notes = Vec::new();
        for (number, input) in looked.iter().enumerate() {
            let (name, path) = (&input.name, input.spec.path.display());
            let mut say = |text: String| notes.push(format!("{name} ({path}) {text}"));
            let description = &input.description;
            if used(number).next().is_none() {
                let of_grid = input.spec.path == self.grid.spec.path;
                say(format!("is not used{}", if of_grid { " but for its grid" } else { "" }));
                continue;
            }
            match input.placement {
                Placement::Warped { .. } => say(format!(
                    "lies on another grid than {grid}: it is resampled by {} (-r)",
                    self.resampling
                )),
                Placement::Aligned(place) if !place.contains(&whole) => {
                    say(format!("does not cover {grid}: pixels outside of it have no data"));
                }
                Placement::Aligned(_) => {}
            }
            let bands: Vec<usize> = used(number).map(|(_, band)| *band).collect();
            let is_scaled =
                |b: &usize| description.bands[*b].scale != 1.0 || description.bands[*b].offset != 0.0;
            if let Some(band) = bands.iter().copied().find(is_scaled).filter(|_| !job.unscale) {
                let (scale, offset) = (description.bands[band].scale, description.bands[band].offset);
                say(format!(
                    "declares its values as band × {scale} + {offset}, and the expression takes the bands as they are \
                     stored (--unscale applies it)"
                ));
            }
            if bands.iter().any(|b| description.bands[*b].sample_type.ends_with("int64")) {
                say("holds 64-bit integers, which are exact up to 2⁵³".to_owned());
            }
        }
        if !matches!(self.grid.georeferencing.method, Method::Affine | Method::None) {
            notes.push(format!("the georeferencing of {grid} is no geotransform and is not carried over"));
        }
        self.notes = notes;
    }
}

/// Refuses coordinates that a grid does not have.
fn check_places(program: &Program, grid: &Grid) -> Result<()> {
    let crs = program.uses(Coordinate::X) || program.uses(Coordinate::Y);
    if crs && grid.geotransform().is_none() {
        return Err(grid.spec.error("x and y need a geotransform, and it has none; col and row are pixels"));
    }
    if program.uses(Coordinate::Longitude) || program.uses(Coordinate::Latitude) {
        super::grid::to_degrees(grid)?;
    }
    Ok(())
}

/// Whether a used band is of a type whose values 32-bit floats would round.
fn is_fine(program: &Program, looked: &[Looked]) -> bool {
    program.bands().iter().any(|(input, band)| {
        let sample_type = looked[*input].description.types[*band];
        matches!(sample_type, Some(SampleType::F64 | SampleType::I32 | SampleType::U32))
    })
}

/// Puts together what is computed.
fn chain(job: &CalcJob, grid: &Grid, looked: &[Looked], inputs: &[expr::Input]) -> Result<Chain> {
    let opacity = looked.first().and_then(|l| l.description.alpha_band());
    let count = inputs.first().map_or(0, |i| i.bands.len());
    let entering = (0..count).filter(|band| opacity != Some(band + 1)).collect();
    let unit = looked.first().and_then(|l| l.description.bands[l.first - 1].unit.as_deref());
    let scene = Scene {
        inputs,
        expressions: &job.expressions,
        entering,
        ground: ground(grid, unit),
        edge: job.edge,
        double: needs_double(job.sample_type),
    };
    let chain = Chain::plan(&job.operations, &scene)?;
    Ok(if is_fine(chain.program(), looked) { chain.in_double() } else { chain })
}

/// What the form of the output is chosen by.
fn outputs(chain: &Chain) -> Vec<Output> {
    if chain.is_program() {
        return chain.program().outputs().to_vec();
    }
    let one = |facts: &Facts| Output {
        name: facts.name.clone(),
        kind: facts.kind,
        range: facts.range,
        may_miss: facts.may_miss,
        slots: Vec::new(),
        places: Vec::new(),
    };
    chain.outputs().iter().map(one).collect()
}

/// Names for the output's bands: those given, else the expression where there are several.
fn band_names(job: &CalcJob, chain: &Chain, storage: &Storage) -> Vec<Option<String>> {
    let several = chain.outputs().len() > 1 && storage.is_tiff() && job.operations.is_empty();
    let text = |band: usize| job.expressions.get(band).filter(|_| several).map(|text| text.trim().to_owned());
    chain.outputs().iter().enumerate().map(|(k, o)| o.name.clone().or_else(|| text(k))).collect()
}

/// Metadata items of the output: those of the first input, then those asked for.
fn metadata(job: &CalcJob, looked: &[Looked], storage: &Storage) -> Vec<(String, String)> {
    let carries = job.carry_metadata && storage.is_tiff();
    let first = looked.iter().take(usize::from(carries)).map(|l| &l.description);
    carried(first.map(|d| &d.metadata[..])).into_iter().chain(job.metadata.iter().cloned()).collect()
}

/// The band of an input that a band still shows.
fn shown<'a>(facts: &Facts, looked: &'a [Looked]) -> Option<&'a BandDescription> {
    let origin = facts.origin?;
    looked.get(origin.input)?.description.bands.get(origin.band)
}

/// Says in the options of a GeoTIFF what its bands mean, where GDAL would take the fourth for opacity, which would hide what the others
/// hold.
fn name_bands(job: &CalcJob, chain: &Chain, looked: &[Looked], form: Form, storage: &mut Storage) {
    use Interpretation::{Alpha, Blue, Green, Red};
    let outputs = chain.outputs();
    let roles: Vec<_> = outputs.iter().map(|f| shown(f, looked).map(|band| band.interpretation)).collect();
    let coloured = job.operations.last().is_some_and(|call| call.entry.name == "color_relief");
    let given = job.creation_options.iter().any(|option| {
        let key = option.split('=').next().unwrap_or_default().trim().to_ascii_uppercase();
        key == "PHOTOMETRIC" || key == "ALPHA"
    });
    let taken = form.sample_type == SampleType::U8 && outputs.len() == 4 && storage.is_tiff();
    if !taken || coloured || given || roles[3] == Some(Alpha) {
        return;
    }
    let rgb = roles[..3] == [Some(Red), Some(Green), Some(Blue)];
    let options = if rgb { &["PHOTOMETRIC=RGB", "ALPHA=NO"][..] } else { &["PHOTOMETRIC=MINISBLACK"] };
    storage.options.extend(options.iter().map(ToString::to_string));
}

/// What the samples of the output's bands stand for: what those of the inputs do that they still show.
fn quantities(job: &CalcJob, chain: &Chain, looked: &[Looked]) -> Vec<Quantity> {
    let one = |facts: &Facts| {
        shown(facts, looked).map_or_else(Quantity::default, |band| {
            let (scale, offset) = if job.unscale { (1.0, 0.0) } else { (band.scale, band.offset) };
            Quantity { unit: band.unit.clone(), scale, offset }
        })
    };
    chain.outputs().iter().map(one).collect()
}

/// Metadata items of the output's bands: those of the inputs' bands that they still show.
fn band_metadata(
    job: &CalcJob,
    chain: &Chain,
    looked: &[Looked],
    storage: &Storage,
) -> Vec<Vec<(String, String)>> {
    let carries = job.carry_metadata && storage.is_tiff();
    let one = |facts: &Facts| {
        let band = shown(facts, looked).filter(|_| carries);
        carried(band.iter().map(|band| &band.metadata[..]))
    };
    chain.outputs().iter().map(one).collect()
}

/// The colour table of an input, where the one band of the output still shows the same classes.
fn palette(job: &CalcJob, chain: &Chain, looked: &[Looked], form: Form) -> Option<Vec<Rgba>> {
    let [Facts { origin: Some(Origin { input, band: 0, exact: true }), .. }] = chain.outputs() else {
        return None;
    };
    let fits = matches!(form.sample_type, SampleType::U8 | SampleType::U16);
    let mixes = !matches!(job.resampling, None | Some(Resampling::Nearest | Resampling::Mode));
    let shown = looked.get(*input)?;
    shown.description.palette.clone().filter(|_| fits && !(mixes && shown.is_warped()))
}

/// The layers that hold the bands of a program, and where each band is found.
///
/// Bands of an input that is on the grid are read together, and each band's own value for no data is looked for when it is
/// used. What is resampled has to know before, so there each band is a layer of its own; and so is a band of opacity, which says
/// of others where they have data, and not of itself.
fn layers(job: &CalcJob, looked: &[Looked], program: &Program) -> (Vec<Layer>, Vec<Slot>) {
    let mut layers: Vec<Layer> = Vec::new();
    let mut owners: Vec<(usize, bool)> = Vec::new();
    let mut slots = Vec::new();
    for &(number, band) in program.bands() {
        let input = &looked[number];
        let description = &input.description;
        let propagates = job.policy == NodataPolicy::Propagate;
        let alpha = description.alpha_band().filter(|alpha| propagates && *alpha != band + 1);
        let masked = propagates && description.alpha_band() != Some(band + 1);
        let sample_type = description.types[band].unwrap_or(SampleType::F64);
        let joins = |(layer, owner): (&Layer, &(usize, bool))| {
            !input.is_warped() && *owner == (number, masked) && layer.selection.sample_type == sample_type
        };
        let found = layers.iter().zip(&owners).position(joins).unwrap_or_else(|| {
            let mut description = description.clone();
            for (n, b) in description.bands.iter_mut().enumerate() {
                b.nodata = if input.is_warped() { input.nodata(n + 1, job) } else { None };
            }
            description.further_nodata.clear();
            if !masked {
                description.mask = MaskKind::None;
            }
            layers.push(Layer {
                spec: input.spec.clone(),
                selection: Selection { bands: Vec::new(), alpha, sample_type },
                placement: input.placement,
                // Of the bands that are known later, when it is cut.
                layout: ChunkLayout::new(description.size, description.block, 1),
                description,
                masked,
            });
            owners.push((number, masked));
            layers.len() - 1
        });
        let bands = &mut layers[found].selection.bands;
        bands.push(band + 1);
        let nodata = if input.is_warped() { None } else { input.nodata(band + 1, job) };
        slots.push(Slot { layer: found, band: bands.len() - 1, nodata });
    }
    for layer in &mut layers {
        layer.layout = ChunkLayout::new(layer.description.size, layer.description.block, layer.pixel_bytes());
    }
    (layers, slots)
}

/// What an output is, in words.
pub(super) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Truth => "truth values",
        Kind::Integer => "integers",
        Kind::Number => "numbers",
    }
}
