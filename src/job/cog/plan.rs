//! The plan of a COG: everything that decides its bytes, as plain data.

use serde::Serialize;

use super::budget::Demand;
use super::groups::{Group, Grouping, Has};
use super::inputs::{self, Looked};
use super::made::Making;
use super::options::{CogOptions, OverviewSource, PredictorChoice, StatisticsChoice};
use super::regrid::Level;
use super::{CogJob, Nodata, budget};
use crate::block::{Block, SampleType};
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::job::room::{Need, is_plain};
use crate::job::tile::places::Places;
use crate::job::warp;
use crate::pyramid::{Cascade, Pyramid, TileRange};
use crate::raster::chunks::ChunkLayout;
use crate::raster::codec::Codec;
use crate::raster::describe::Interpretation;
use crate::raster::source::{Selection, seen};
use crate::raster::template::{BandOrigin, Statistics, TemplateSpec};
use crate::raster::{Description, SourceSpec, check_creation_options, nodata_as};
use crate::resampling::Resampling;
use crate::sink::cog::CogSpec;
use crate::warp::kernel::Edges;
use crate::window::{Size, Window};

/// Side of a metatile in pixels, about.
const METATILE: usize = 1024;

/// Bytes of a metatile's pixels, at most, unless a block has more.
const MOST_BYTES: usize = 16_000_000;

/// An input, aligned to the pixels of the output.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// Where the input is and how to open it.
    pub spec: SourceSpec,
    /// What it is, with the values that reading it takes for no data.
    pub description: Description,
    /// The bands that are read, and where opacity comes from.
    pub selection: Selection,
    /// Its place among the pixels of the output.
    pub place: Window,
    /// How it is cut into chunks.
    pub layout: ChunkLayout,
}

/// Everything that decides the bytes.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) layers: Vec<Layer>,
    /// How inputs come onto another grid, instead.
    pub(super) warp: Option<warp::Plan>,
    /// Where they lie.
    pub(super) places: Places,
    /// Columns and rows of the image and of its overviews, largest first.
    pub levels: Vec<Size>,
    /// Side of a block in pixels.
    pub block: usize,
    pub(super) grouping: Grouping,
    pub(super) edges: Edges,
    /// How overviews are made.
    pub overview_resampling: Resampling,
    pub(super) pyramid: Pyramid,
    pub(super) codecs: [Codec; 2],
    /// What is written.
    pub spec: CogSpec,
    /// What is told of the values of bands.
    pub statistics: StatisticsChoice,
    /// Whether pixels read back may differ from those of the inputs.
    pub lossy: bool,
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
    /// Nodes of the pyramid that wait for their neighbours.
    pub pyramid: usize,
    /// Decoded source blocks shared by the readers.
    pub chunks: usize,
    /// Metatiles in flight.
    pub in_flight: usize,
    /// Bytes in flight of a metatile.
    pub task: usize,
    /// Columns of metatiles that are worked through side by side.
    #[serde(skip)]
    pub swath: u32,
}

impl Plan {
    /// Looks at the inputs and plans the job.
    ///
    /// # Errors
    /// [`Error::Usage`] for options that contradict the inputs or each other, [`Error::Input`] for inputs that cannot be read or do not
    /// fit together, [`Error::Output`] when the output is one of them, [`Error::Memory`] when the memory allowed is not enough.
    pub fn new(job: &CogJob) -> Result<Self> {
        let options = CogOptions::new(&job.creation_options)?;
        let looked = inputs::look(job, &options)?;
        let mut plan = Self::of(job, &options, looked)?;
        plan.budget = budget::share_out(&plan, job, &Demand::of(&plan))?;
        Ok(plan)
    }

    /// Plans a COG whose pixels are made on the way. The one input of the job says all that it is to say, and only that.
    ///
    /// # Errors
    /// [`Error::Usage`] for options that contradict the input or each other, [`Error::Memory`] when the memory allowed is not enough.
    pub(super) fn made(job: &CogJob, size: Size, making: &Making<'_>) -> Result<Self> {
        let options = CogOptions::new(&job.creation_options)?;
        if options.regrid.is_some() {
            return Err(Error::Usage(format!(
                "--co TILING_SCHEME and TARGET_SRS: the grid is said by other options here ({}); 'tileloom cog' of the result knows them",
                making.grid
            )));
        }
        if making.side == Some(0) {
            return Err(Error::Usage("--window-size 0: give a number of pixels".to_owned()));
        }
        let mut description = job.inputs[0].describe()?;
        description.size = size;
        let looked = inputs::look_at(job, &options, &[description])?;
        let mut plan = Self::of(job, &options, looked)?;
        // The largest metatiles of which there is room for as many as there are threads; if there are none, the smallest.
        let busy = job.readers + job.threads;
        let cascade = &plan.pyramid.cascades()[0];
        let wanted = |span: &u8| making.side.is_none_or(|side| *span == 0 || plan.block << span <= side);
        let spans: Vec<u8> = (0..=cascade.base() - cascade.root()).filter(wanted).rev().collect();
        for span in spans {
            plan.pyramid = pyramid(&plan.levels, plan.block, span)?;
            let side = Size::new(plan.side(), plan.side());
            let demand = Demand { reads: making.reads.clone(), making: (making.cost)(side) };
            let shared = budget::share_out(&plan, job, &demand);
            let roomy = shared.as_ref().is_ok_and(|budget| budget.in_flight >= budget.task * busy);
            if roomy || span == 0 {
                plan.budget = shared?;
                break;
            }
        }
        Ok(plan)
    }

    /// Plans a job, its memory aside.
    fn of(job: &CogJob, options: &CogOptions, looked: Looked) -> Result<Self> {
        let mut guesses = options.guesses.clone();
        guesses.extend(looked.guesses.iter().cloned());
        let mut notes = looked.notes.clone();
        let levels = levels(looked.size, options);
        budget::check_index(&levels, options.block, job)?;
        looked.level.as_ref().map_or(Ok(()), |level| level.check(levels.len() - 1))?;
        let sample_type = looked.sample_type;
        let grouping = grouping(&looked, job)?;
        let named = looked.palette || options.bits == Some(1);
        let overview_resampling =
            job.overview_resampling.or(options.overview_resampling).unwrap_or_else(|| {
                let method = if named { Resampling::Mode } else { Resampling::Average };
                if levels.len() > 1 {
                    guesses.push(format!("--overview-resampling {method}"));
                }
                method
            });
        if levels.len() > 1 {
            check_resampling(overview_resampling, options.block, looked.palette)?;
        }
        let codecs = Codecs { options, looked: &looked, sample_type, named };
        let creation = codecs.creation(&mut guesses)?;
        let block = Size::new(options.block, options.block);
        let bands = looked.origins.len();
        let made = creation.clone().map(|list| Codec::new(block, bands, sample_type, &list));
        let used = &creation[..levels.len().min(2)];
        used.iter().try_for_each(|list| Codec::try_out(bands, sample_type, list))?;
        let spec = spec(job, &looked, options, &levels, &grouping, creation, overview_resampling);
        let coarse =
            looked.warp.as_ref().map_or(1.0, |w| w.layers.iter().map(warp::Layer::scale).fold(1.0, f64::max));
        let pixel = ((bands * sample_type.bytes()) as f64 * coarse * coarse) as usize;
        let pyramid = pyramid(&levels, options.block, span(options.block, pixel))?;
        let (layers, warp) = (looked.layers, looked.warp);
        let places = Places::new(layers.iter().map(|l| &l.place).enumerate());
        if looked.gaps
            && grouping.nodata.iter().all(Option::is_none)
            && !looked.mask
            && looked.alpha.is_none()
        {
            notes.push("where no input lies the output holds 0 (--add-mask to tell, or --nodata)".to_owned());
        }
        let lossy = options.image.is_lossy();
        if lossy && looked.palette {
            notes.push(format!("a palette in {}, which changes its colours", options.image.method));
        }
        let mut plan = Self {
            layers,
            warp,
            places,
            levels,
            block: options.block,
            edges: if looked.alpha.is_some() { Edges::Soft } else { Edges::Hard },
            grouping,
            overview_resampling,
            pyramid,
            codecs: made,
            spec,
            statistics: options.statistics,
            lossy,
            budget: Budget::default(),
            guesses,
            notes,
        };
        if !crate::sink::cog::try_out(&plan.spec)? {
            let text = "something that the input says of itself has no place in a GeoTIFF and is lost; GDAL would put it into an .aux.xml \
                        beside it (an attribute table, names of categories, an unusual CRS)";
            plan.notes.push(text.to_owned());
        }
        Ok(plan)
    }

    /// The samples of all bands of the input as the file holds them, and where they have data.
    ///
    /// # Errors
    /// [`Error::Internal`] when they are not those of the input.
    pub(in crate::job) fn seen(&self, stored: &Block) -> Result<Block> {
        let layer = self.layers.first().ok_or_else(|| Error::Internal("a COG of nothing".to_owned()))?;
        seen(stored, &layer.description, &layer.selection)
    }

    /// Type of the samples of all bands.
    pub fn sample_type(&self) -> SampleType {
        self.spec.image.sample_type
    }

    /// Bands of the file.
    pub fn bands(&self) -> usize {
        self.spec.image.bands.len()
    }

    /// Bytes of a pixel with its coverage.
    pub(super) fn pixel_bytes(&self) -> usize {
        self.bands() * self.sample_type().bytes() + 1
    }

    /// The metatiles in the order of work.
    pub(super) fn metatiles(&self) -> Vec<TileCoord> {
        self.pyramid.metatiles(self.budget.swath)
    }

    /// The pixels of a metatile, as far as they lie in the raster.
    pub(super) fn window(&self, metatile: TileCoord) -> Window {
        self.pyramid.window(metatile, self.block).intersection(&self.levels[0].window())
    }

    /// Side of a metatile in pixels.
    pub(in crate::job) fn side(&self) -> usize {
        let cascade = &self.pyramid.cascades()[0];
        self.block << (cascade.base() - cascade.root())
    }

    /// Whether overviews are made of 2 × 2 pixels each.
    pub(super) fn reduces_locally(&self) -> bool {
        matches!(self.overview_resampling, Resampling::Average | Resampling::Nearest | Resampling::Mode)
    }

    /// The creation options of GDAL's `GTiff` driver that say how the image is packed.
    pub fn creation(&self) -> &[String] {
        &self.spec.image.options
    }

    /// What it takes on the disk, at most where blocks are compressed: the file, and as much while it is being made.
    pub(in crate::job) fn need(&self) -> Need {
        let pixel = self.bands() * self.sample_type().bytes();
        let output = self.levels.iter().map(|level| (level.area() * pixel) as u64).sum();
        Need { output, spool: output, certain: is_plain(self.creation()) }
    }
}

/// Columns and rows of the image and of its overviews: half of the one before, rounded up, until one fits a block.
fn levels(size: Size, options: &CogOptions) -> Vec<Size> {
    let mut all = vec![size];
    let most = match (options.overviews, options.overview_count) {
        (OverviewSource::None, _) => 0,
        (OverviewSource::Made, Some(count)) => count,
        (OverviewSource::Made, None) => usize::MAX,
    };
    let mut last = size;
    while all.len() <= most {
        let side = last.width.max(last.height);
        if side == 1 || (options.overview_count.is_none() && side <= options.block) {
            break;
        }
        last = Size::new(last.width.div_ceil(2), last.height.div_ceil(2));
        all.push(last);
    }
    all
}

/// How often metatiles of about [`METATILE`] pixels are halved until they are a block.
fn span(block: usize, pixel: usize) -> u8 {
    let mut span = 0u8;
    while block << (span + 1) <= METATILE && (block << (span + 1)).pow(2) * pixel <= MOST_BYTES {
        span += 1;
    }
    span
}

/// The blocks of all levels, by metatiles that are halved so often until they are a block.
fn pyramid(levels: &[Size], block: usize, span: u8) -> Result<Pyramid> {
    let made = || {
        let count = (levels.len() - 1) as u8;
        let tiles = |side: usize| u32::try_from(side.div_ceil(block)).ok();
        let (columns, rows) = (tiles(levels[0].width)?, tiles(levels[0].height)?);
        let all = TileRange { x: 0..columns, y: 0..rows };
        Pyramid::of(vec![Cascade::new(count, 0, span.min(count), (columns, rows), &[all])?])
    };
    made().ok_or_else(|| Error::Internal("a raster without blocks".to_owned()))
}

fn check_resampling(method: Resampling, block: usize, palette: bool) -> Result<()> {
    if palette && !matches!(method, Resampling::Nearest | Resampling::Mode) {
        return Err(Error::Usage(format!(
            "--overview-resampling {method}: samples are positions in a colour table, and what lies between two of them is another \
             colour; give mode or nearest"
        )));
    }
    let local = matches!(method, Resampling::Average | Resampling::Nearest | Resampling::Mode);
    if !local && !block.is_multiple_of(64) {
        return Err(Error::Usage(format!(
            "--overview-resampling {method} needs blocks whose side is a multiple of 64; BLOCKSIZE={block} is none"
        )));
    }
    Ok(())
}

/// Which bands have data together.
fn grouping(looked: &Looked, job: &CogJob) -> Result<Grouping> {
    let count = looked.origins.len();
    let float = matches!(looked.sample_type, SampleType::F32 | SampleType::F64);
    let mut nodata = looked.nodata.clone();
    if let Nodata::Value(value) = job.nodata {
        let fits = for_sample_type!(looked.sample_type, T => nodata_as::<T>(value).is_some());
        if !fits {
            return Err(Error::Usage(format!(
                "--nodata {value}: samples of type {} have no such value",
                looked.sample_type.name()
            )));
        }
    }
    if let Some(alpha) = looked.alpha {
        nodata[alpha] = None;
    }
    let colours: Vec<usize> = (0..count).filter(|b| Some(*b) != looked.alpha).collect();
    let mut groups = Vec::new();
    let has = if looked.partial { Has::WithPixel } else { Has::Everywhere };
    if looked.joint {
        groups.push(Group { bands: colours, has });
    } else {
        let own = |b: usize| Group { bands: vec![b], has: Has::WithPixelUnless(nodata[b]) };
        groups.extend(colours.into_iter().map(own));
    }
    if let Some(alpha) = looked.alpha {
        groups.push(Group { bands: vec![alpha], has: Has::Everywhere });
    }
    let hidden = looked.mask || looked.alpha.is_some();
    let empty = if float && !hidden { f64::NAN } else { 0.0 };
    let fill = nodata.iter().map(|n| n.unwrap_or(empty)).collect();
    Ok(Grouping { groups, nodata, fill })
}

/// What decides how blocks are packed.
struct Codecs<'a> {
    options: &'a CogOptions,
    looked: &'a Looked,
    sample_type: SampleType,
    named: bool,
}

impl Codecs<'_> {
    /// Creation options of GDAL's `GTiff` driver for the image and for its overviews.
    fn creation(&self, guesses: &mut Vec<String>) -> Result<[Vec<String>; 2]> {
        let Self { options, looked, sample_type, named } = self;
        let bands = looked.origins.len();
        let float = matches!(sample_type, SampleType::F32 | SampleType::F64);
        let bits = options.bits.or(looked.bits);
        let mut both = [&options.image, &options.overview].map(|packing| {
            let plain = *named || bits.is_some();
            let mut list = packing.creation(*sample_type, bands, plain);
            list.extend(bits.map(|bits| format!("NBITS={bits}")));
            list
        });
        for packing in [&options.image, &options.overview] {
            if packing.predictor == Some(PredictorChoice::FloatingPoint) && !float {
                let name = sample_type.name();
                return Err(Error::Usage(format!(
                    "--co PREDICTOR=FLOATING_POINT: samples of type {name} are no floats; give STANDARD"
                )));
            }
        }
        if options.image.predictor.is_none()
            && let Some(predictor) = both[0].iter().find_map(|o| o.strip_prefix("PREDICTOR="))
            && predictor != "1"
        {
            guesses.push("--co PREDICTOR=YES".to_owned());
        }
        for list in &both {
            check_creation_options("GTiff", list)
                .map_err(|e| Error::Usage(format!("this GDAL cannot pack so: {e}")))?;
        }
        let others = &options.others;
        for list in &mut both {
            list.retain(|o| o != "PREDICTOR=1");
        }
        both[0].extend(others.iter().cloned());
        Ok(both)
    }
}

fn spec(
    job: &CogJob,
    looked: &Looked,
    options: &CogOptions,
    levels: &[Size],
    grouping: &Grouping,
    [image, overview]: [Vec<String>; 2],
    method: Resampling,
) -> CogSpec {
    let block = Size::new(options.block, options.block);
    let template = TemplateSpec {
        source: job.inputs[0].clone(),
        bands: looked.origins.clone(),
        sample_type: looked.sample_type,
        block,
        nodata: grouping.nodata.clone(),
        place: looked.place.clone(),
        options: image,
        items: Vec::new(),
        statistics: match options.statistics {
            StatisticsChoice::Auto if looked.layers.len() == 1 => Statistics::Kept,
            _ => Statistics::None,
        },
    };
    let overview = TemplateSpec { options: overview, ..template.clone() };
    let mut image = template;
    image.items = looked.level.as_ref().map(Level::items).unwrap_or_default();
    if levels.len() > 1 {
        let name = method.name().to_ascii_uppercase();
        image.items.push(("IMAGE_STRUCTURE".to_owned(), "OVERVIEW_RESAMPLING".to_owned(), name));
    }
    CogSpec {
        levels: levels.to_vec(),
        block: options.block,
        image,
        overview,
        mask: looked.mask,
        sparse: options.sparse,
        big: options.big,
    }
}

/// Whether bands are the colours of a picture.
pub(super) fn is_picture(description: &Description, bands: &[usize]) -> bool {
    use Interpretation::{Alpha, Blue, Green, Red};
    let roles: Vec<Interpretation> =
        bands.iter().map(|n| description.bands[n - 1].interpretation).filter(|i| *i != Alpha).collect();
    roles == [Red, Green, Blue]
}

/// The bands of a file as its template has them.
pub(super) fn origins(bands: &[usize]) -> Vec<BandOrigin> {
    bands.iter().map(|n| BandOrigin::Source(*n)).collect()
}
