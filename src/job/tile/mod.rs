//! `tile`: rasters to web map tiles.
//!
//! ```text
//! TileJob ──▶ Plan ──▶ readers: coordinates + source windows ──▶ pool: warp, pyramid, encode ──▶ writer: sink
//! ```

mod backdrop;
mod budget;
mod estimate;
pub(in crate::job) mod identity;
mod levels;
pub mod look;
pub mod masking;
mod notes;
pub mod parts;
pub mod picture;
pub mod places;
pub mod plan;
mod planner;
mod reader;
pub mod renderer;
mod report;
mod sheet;
mod sketch;
mod stretch;
pub(in crate::job) mod survey;
pub mod terrain;
pub mod update;
pub mod values;
mod weave;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

pub use budget::GDAL_CACHE;
pub use estimate::Estimate;
pub use plan::{Budget, Plan};
pub use report::Report;

use crate::encode::png::PngOptions;
use crate::encode::values::ValueEncoder;
use crate::encode::{EncoderOptions, TileEncoder, TileFormat};
use crate::error::{Error, Result};
use crate::grid::{Bounds, Grid, MAX_ZOOM, TileCoord, TileMatrixSet};
use crate::job::effort::Effort;
use crate::pipeline::{self, Job, Limits, Monitor, Order, Outcome};
use crate::raster::SourceSpec;
use crate::raster::chunks::ChunkCache;
use crate::raster::crs::{Extent, Plane};
use crate::resampling::Resampling;
use crate::sink::{self, Begun, Deposited, Log, OutputKind, Target, TileSink, Written};
use crate::tileset::{LayerKind, Scheme, TilesetInfo};
use crate::view::Webviewer;
use crate::window::Size;
use masking::Masking;
use picture::Picture;
use reader::TileReader;
use terrain::Terrain;
use update::Update;
use values::Values;
use weave::{Loom, Woven};

/// What the user wants to know of a tile set that no raster tells.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    /// Name for people; default the output's file name.
    pub name: Option<String>,
    /// What is shown.
    pub description: Option<String>,
    /// Whom to credit.
    pub attribution: Option<String>,
    /// Role in a map.
    pub kind: LayerKind,
    /// Where the tiles of a folder will be served.
    pub url: Option<String>,
}

/// What the tiles divide.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum TilingScheme {
    /// The world in Web Mercator.
    #[default]
    WebMercatorQuad,
    /// The pixels of the one input, whatever its georeferencing.
    Raster,
    /// A plane, as another grid does.
    Set(Arc<TileMatrixSet>),
}

impl TilingScheme {
    /// The scheme that a grid is: `WebMercatorQuad` also in the words of a file.
    pub fn of(set: Arc<TileMatrixSet>) -> Self {
        if set.is_web_mercator() { Self::WebMercatorQuad } else { Self::Set(set) }
    }

    /// What the tiles of a set divide.
    pub fn grid(&self) -> Grid {
        match self {
            Self::WebMercatorQuad => Grid::WebMercator,
            Self::Raster => Grid::Image,
            Self::Set(set) => Grid::Set(Arc::clone(set)),
        }
    }

    /// Its levels; those of an image's own pixels for an image of a size.
    fn matrices(&self, image: Option<Size>, tile_size: usize) -> Arc<TileMatrixSet> {
        match (self, image) {
            (Self::Set(set), _) => Arc::clone(set),
            (Self::Raster, Some(Size { width, height })) => {
                Arc::new(TileMatrixSet::image(width, height, tile_size))
            }
            _ => Arc::new(TileMatrixSet::web_mercator()),
        }
    }

    /// Where it is on the Earth; `None` for an image's own pixels.
    fn plane(&self) -> Option<Plane> {
        match self {
            Self::WebMercatorQuad => Some(Plane::web_mercator()),
            Self::Raster => None,
            Self::Set(set) => Some(Plane::of(set)),
        }
    }

    /// Whether each level is a square of 2ᶻ tiles a side.
    fn is_square(&self) -> bool {
        !matches!(self, Self::Set(_))
    }

    /// Side of a tile in pixels, unless another one is asked for.
    pub fn tile_size(&self) -> usize {
        if let Self::Set(set) = self { set.tile_size } else { 256 }
    }
}

/// What is shown where inputs overlap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlap {
    /// The later input.
    #[default]
    Last,
    /// The earlier input.
    First,
    /// In each band the least value.
    Min,
    /// In each band the greatest value.
    Max,
    /// The input whose pixels are smallest on the map; of equals the later.
    HighestResolution,
}

/// A tile job: inputs, output and all that decides the tiles. [`TileJob::new`] holds every default.
#[derive(Debug, Clone)]
pub struct TileJob {
    /// The rasters, later ones over earlier ones unless `overlap` says otherwise.
    pub inputs: Vec<SourceSpec>,
    /// The place of the tile set.
    pub target: Target,
    /// Lowest level; default the highest at which everything fits one tile.
    pub min_zoom: Option<u8>,
    /// Highest level; default the one closest to the resolution of the finest input.
    pub max_zoom: Option<u8>,
    /// How the highest level is made; default cubic, nearest for categories.
    pub resampling: Option<Resampling>,
    /// How lower levels are made; default average, mode for categories.
    pub overview_resampling: Option<Resampling>,
    /// Treat values as names of classes, not as quantities.
    pub categorical: bool,
    /// What is shown where inputs overlap.
    pub overlap: Overlap,
    /// Which bands are shown, and how their values become shades or colours.
    pub picture: Picture,
    /// Make terrain tiles of heights; default pictures.
    pub terrain: Option<Terrain>,
    /// Make tiles of values as they are; default pictures.
    pub values: Option<Values>,
    /// Format of the tiles, with its options; default PNG.
    pub tiles: EncoderOptions,
    /// Side of a tile in pixels: 256 or 512, or as the grid has it; twice that with `retina`.
    pub tile_size: usize,
    /// Tiles are shown with half the pixels they have, and named for it; default no.
    pub retina: bool,
    /// Refuse to make more tiles; default no limit.
    pub max_tiles: Option<u64>,
    /// What the tiles divide.
    pub tiling: TilingScheme,
    /// Numbering of the rows in a folder.
    pub scheme: Scheme,
    /// Extent in degrees to which tiles are limited; its west may lie east of its east, across the antimeridian.
    pub bbox: Option<Extent>,
    /// Make part of the tile set at the target anew; default all of a new one.
    pub update: Option<Update>,
    /// Pixels without data.
    pub masking: Masking,
    /// Words for the metadata.
    pub labels: Labels,
    /// Pages beside a folder of tiles; default none.
    pub webviewers: Vec<Webviewer>,
    /// The user's settings of GDAL (`KEY=VALUE`), which may decide what is read. They are in force already; a job that is resumed
    /// must have the same.
    pub settings: Vec<String>,
    /// Go on with what an interrupted run of the same job has finished, and leave what is finished if this one is interrupted;
    /// default no.
    pub resume: bool,
    /// Reader threads.
    pub readers: usize,
    /// Threads of the CPU pool.
    pub threads: usize,
    /// Bytes the whole process should stay within.
    pub memory: usize,
}

impl TileJob {
    /// A job with every default, for the machine it runs on.
    pub fn new(inputs: Vec<SourceSpec>, target: Target) -> Self {
        let threads = super::machine::threads();
        Self {
            inputs,
            target,
            min_zoom: None,
            max_zoom: None,
            resampling: None,
            overview_resampling: None,
            categorical: false,
            overlap: Overlap::default(),
            picture: Picture::default(),
            terrain: None,
            values: None,
            tiles: EncoderOptions::default(),
            tile_size: 256,
            retina: false,
            max_tiles: None,
            tiling: TilingScheme::default(),
            scheme: Scheme::default(),
            bbox: None,
            update: None,
            masking: Masking::default(),
            labels: Labels::default(),
            webviewers: Vec::new(),
            settings: Vec::new(),
            resume: false,
            readers: threads,
            threads,
            memory: super::machine::default_memory(threads, threads),
        }
    }

    /// Refuses options that make no sense, before any file is touched.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn validate(&self) -> Result<()> {
        let usage = |text: String| Err(Error::Usage(text));
        if self.inputs.is_empty() {
            return usage("no input given".to_owned());
        }
        if self.resume && self.inputs.iter().any(|input| input.on_error.skips()) {
            let text = "--resume goes on with complete work: it cannot be used with --on-error skip";
            return usage(text.to_owned());
        }
        self.validate_tile_size()?;
        self.tiles.validate()?;
        match &self.tiling {
            TilingScheme::Raster => self.validate_raster()?,
            TilingScheme::Set(set) => self.validate_set(set)?,
            TilingScheme::WebMercatorQuad => {}
        }
        if let Some(z) = [self.min_zoom, self.max_zoom].into_iter().flatten().find(|z| *z > MAX_ZOOM) {
            return usage(format!("zoom {z} is out of range: 0 to {MAX_ZOOM}"));
        }
        if let (Some(min), Some(max)) = (self.min_zoom, self.max_zoom)
            && min > max
        {
            return usage(format!("the lowest zoom {min} is above the highest, {max}"));
        }
        let update = self.update.as_ref().map(|update| &update.bbox);
        for (option, extent) in [("--bbox", self.bbox.as_ref()), ("--update-bbox", update)] {
            let Some(Extent { degrees: b, .. }) = extent else { continue };
            let fits = b.south < b.north
                && b.west != b.east
                && [b.west, b.east].iter().all(|v| v.abs() <= 180.0)
                && [b.south, b.north].iter().all(|v| v.abs() <= 90.0);
            if !fits {
                return usage(format!(
                    "{option} {},{},{},{} is not WEST,SOUTH,EAST,NORTH in degrees (west may exceed east only \
                     across the antimeridian)",
                    b.west, b.south, b.east, b.north
                ));
            }
        }
        self.picture.validate(self)?;
        if self.requires_lossless() && !self.tiles.is_lossless() {
            return usage(format!(
                "--encoding needs tiles that lose nothing, and {} tiles as asked for would spoil heights: use png, or \
                 webp with --lossless",
                self.tiles.format().extension()
            ));
        }
        self.masking.validate(self)?;
        self.values.as_ref().map_or(Ok(()), |values| values.validate(self))?;
        self.update.as_ref().map_or(Ok(()), |_| Update::validate(self))?;
        for page in &self.webviewers {
            self.accepts(*page)?;
        }
        self.terrain.as_ref().map_or(Ok(()), |terrain| terrain.validate(self))
    }

    /// Refuses a page that could not stand beside the tiles or could not show them.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn accepts(&self, page: Webviewer) -> Result<()> {
        if OutputKind::from_path(&self.target.path)? != OutputKind::Folder {
            return Err(Error::Usage(format!(
                "--webviewer writes a page beside a folder of tiles, and '{}' is none: look at it with tileloom view",
                self.target.path.display()
            )));
        }
        if self.tiles.format() == TileFormat::Tiff || self.values.is_some() {
            let text = "--webviewer: browsers show no GeoTIFF tiles; make pictures (-f png, jpg or webp)";
            return Err(Error::Usage(text.to_owned()));
        }
        let grid = match &self.tiling {
            TilingScheme::WebMercatorQuad => Grid::WebMercator,
            TilingScheme::Raster => Grid::Image,
            TilingScheme::Set(set) => Grid::Set(Arc::clone(set)),
        };
        let shows = page.shows(&grid, self.terrain.is_some(), self.scheme);
        shows.map_err(|why| Error::Usage(format!("--webviewer {}: it {why}", page.name())))
    }

    /// Whether tiles hold numbers, so that a format that loses anything would spoil them.
    pub fn requires_lossless(&self) -> bool {
        self.terrain.is_some()
    }
}

impl TileJob {
    /// The option that says which part of the inputs counts, if one does.
    fn extent_option(&self) -> Option<&'static str> {
        match (&self.update, &self.bbox) {
            (Some(_), _) => Some("--update-bbox"),
            (None, Some(_)) => Some("--bbox"),
            (None, None) => None,
        }
    }

    /// Refuses sizes of tiles that cannot be made.
    fn validate_tile_size(&self) -> Result<()> {
        let (own, times) = (self.tiling.tile_size(), if self.retina { 2 } else { 1 });
        let shown = self.tile_size / times;
        let usage = |text: String| Err(Error::Usage(text));
        if shown * times != self.tile_size || ![256, 512, own].contains(&shown) {
            let or_own =
                if [256, 512].contains(&own) { String::new() } else { format!(", or the {own} of the grid") };
            return usage(format!("--tile-size {shown}: tiles have 256 or 512 pixels a side{or_own}"));
        }
        if !self.tile_size.is_multiple_of(TILE_UNIT) || self.tile_size > MOST_TILE_SIZE {
            return usage(format!(
                "the tiling scheme has tiles of {own} pixels, and only multiples of {TILE_UNIT} up to {MOST_TILE_SIZE} can be made; \
                 --tile-size 256 divides the same tiles into other pixels"
            ));
        }
        let kind = OutputKind::from_path(&self.target.path)?;
        if self.retina && !kind.is_free() {
            return usage(format!(
                "--retina names files {{y}}@2x, and {} has no names: write a folder or .tar, or take --tile-size 512",
                kind.name()
            ));
        }
        Ok(())
    }

    /// Refuses what a grid other than Web Mercator's cannot be used for.
    fn validate_set(&self, set: &TileMatrixSet) -> Result<()> {
        if set.crs.is_empty() || set.matrices.is_empty() {
            return Err(Error::Usage(format!("--tiling-scheme {}: a grid needs a CRS and levels", set.id)));
        }
        let (first, last) = (set.first, set.last());
        if let Some(z) =
            [self.min_zoom, self.max_zoom].into_iter().flatten().find(|z| *z < first || *z > last)
        {
            return Err(Error::Usage(format!(
                "zoom {z} is out of range: {} has the levels {first} to {last}",
                set.id
            )));
        }
        let kind = OutputKind::from_path(&self.target.path)?;
        if !kind.is_free() {
            return Err(Error::Usage(format!(
                "{} knows only Web Mercator: write the tiles of --tiling-scheme {} to a folder or .tar",
                kind.name(),
                set.id
            )));
        }
        Ok(())
    }

    /// Refuses what an image's own pixels cannot be tiled with.
    fn validate_raster(&self) -> Result<()> {
        let refuse = |why: &str| Err(Error::Usage(format!("--tiling-scheme raster {why}")));
        if self.inputs.len() > 1 {
            return refuse("tiles the pixels of one raster; give one input");
        }
        if self.bbox.is_some() {
            return refuse("knows no degrees: --bbox cannot be used with it");
        }
        if !OutputKind::from_path(&self.target.path)?.is_free() {
            return refuse("makes tiles without a place on the Earth: only a folder or .tar can hold them");
        }
        Ok(())
    }
}

/// Sides of tiles are multiples of this: [cells](crate::warp::coords::CELL) in pairs.
const TILE_UNIT: usize = 64;

/// Largest side of a tile.
const MOST_TILE_SIZE: usize = 4096;

/// A container that counts what it is given, so that an empty set is an error of the input.
struct Counted<'a> {
    sink: Box<dyn TileSink>,
    job: &'a TileJob,
    tiles: u64,
    /// What is finished, if the run can be resumed.
    log: Option<Log>,
}

impl<'a> Counted<'a> {
    /// A container with the tiles that earlier runs made, and those that are copied.
    fn new(
        mut sink: Box<dyn TileSink>,
        job: &'a TileJob,
        log: Option<Log>,
        copied: Vec<Deposited>,
    ) -> Result<Self> {
        let others = copied.len() as u64;
        copied.into_iter().try_for_each(|tile| sink.accept(tile))?;
        if let Some(log) = &log {
            log.take_over(|tile| sink.accept(tile))?;
        }
        let tiles = others + log.as_ref().map_or(0, Log::tiles);
        Ok(Self { sink, job, tiles, log })
    }
}

impl pipeline::Sink for Counted<'_> {
    type Item = Woven;
    type Done = Written;
    type Error = Error;

    fn write(&mut self, woven: Woven) -> Result<()> {
        match (woven, &mut self.log) {
            (Woven::Tile(tile), _) => {
                self.tiles += 1;
                self.sink.accept(tile)
            }
            (Woven::Record(record), Some(log)) => log.append(&record),
            (Woven::Record(_), None) => Ok(()),
        }
    }

    fn finish(self) -> Result<Written> {
        if self.tiles == 0 {
            if let Some(log) = &self.log {
                log.discard();
            }
            return Err(empty(self.job));
        }
        self.sink.finish()
    }
}

/// The inputs hold nothing to make tiles of.
fn empty(job: &TileJob) -> Error {
    let extent = match (&job.masking.cutline, job.extent_option()) {
        (Some(_), _) => " inside of the cutline".to_owned(),
        (None, Some(option)) => format!(" in the extent of {option}"),
        (None, None) => String::new(),
    };
    Error::input(&job.inputs[0].path, format!("holds no data{extent}: every pixel is nodata or transparent"))
}

/// Runs a job: plans it, makes the tiles, writes the container. `planned` is called with the plan before work begins,
/// for a progress display.
///
/// # Errors
/// Everything that can go wrong; nothing then stands under the output's name that did not stand there before. With
/// [`TileJob::resume`], what was finished is left beside it for a later run of the same job.
pub fn run(job: &TileJob, monitor: &Monitor, planned: impl FnOnce(&Plan, usize)) -> Result<Report> {
    let begun = Instant::now();
    job.validate()?;
    let kind = OutputKind::from_path(&job.target.path)?;
    let prepared = job.update.as_ref().map(|update| update.prepare(job)).transpose()?;
    let (job, updated) = prepared.as_ref().map_or((job, None), |(job, updated)| (job, Some(updated)));
    job.target.check(kind)?;
    let plan = Plan::new(job)?;
    let encoder = Encoder::new(job, &plan)?;
    let info = match updated {
        Some(updated) => updated.info(job, &plan),
        None => info(job, &plan, job.tiles.format()),
    };
    let tight = estimate::check_room(job, &plan, kind, &encoder)?;
    let mut metatiles = plan.pyramid.metatiles(plan.budget.swath);
    let (container, log) = begin(job, &plan, kind, info)?;
    let container = container.with_pages(&job.webviewers);
    let cache = ChunkCache::new(plan.budget.chunks);
    let mut loom = Loom::new(&plan, &encoder, container.depot());
    loom.lay_over(updated.map(|updated| &updated.backdrop))?;
    if let Some(log) = &log {
        loom.resume(log)?;
        let done: HashSet<TileCoord> = log.done().collect();
        metatiles.retain(|metatile| !done.contains(metatile));
    }
    let resumed = log.as_ref().map_or(0, Log::tiles);
    planned(&plan, metatiles.len());
    let copied = match updated {
        Some(updated) => updated.copy(&plan, &container.depot(), job.threads, monitor)?,
        None => Vec::new(),
    };

    let others = copied.len() as u64;
    let limits = Limits {
        // A reader opens handles and transformations of its own.
        readers: job.readers.min(metatiles.len()),
        threads: job.threads,
        memory: plan.budget.in_flight,
        order: Order::Arrival,
    };
    let outcome = pipeline::run(
        metatiles,
        &limits,
        monitor,
        Job {
            cost: |metatile: &TileCoord| budget::task(&plan, *metatile, job.resume),
            open: || Ok(TileReader::new(&plan, &cache)),
            read: |reader: &mut TileReader<'_>, metatile: &TileCoord| reader.read(*metatile),
            process: |weft| loom.weave(weft),
            create: || Counted::new(container.open(), job, log, copied),
        },
    )?;
    let Outcome { done, stats } = outcome;
    let mut report =
        Report::new(job, &plan, kind, &done, Effort::new(stats, cache.decoded(), begun.elapsed()));
    report.resumed = resumed;
    report.copied = others;
    report.empty = plan.counts().values().sum::<u64>().saturating_sub(done.tiles.saturating_sub(others));
    report.warnings.extend(tight.into_iter().chain(loom.warning()));
    Ok(report)
}

/// Begins the container, with what earlier runs finished of it if the job is to be resumed.
fn begin(job: &TileJob, plan: &Plan, kind: OutputKind, info: TilesetInfo) -> Result<(Begun, Option<Log>)> {
    if !job.resume {
        return Ok((sink::begin(kind, &job.target, info)?, None));
    }
    let identity = identity::identity(job, plan)?;
    let (container, log) = sink::resume(kind, &job.target, info, &identity, job.threads)?;
    Ok((container, Some(log)))
}

/// The encoder of a job's tiles.
pub enum Encoder {
    /// Of pictures.
    Pictures(Box<dyn TileEncoder>),
    /// Of values.
    Values(Box<dyn ValueEncoder>),
}

impl Encoder {
    /// The encoder that a job asks for.
    ///
    /// # Errors
    /// [`Error::Usage`] for options that the format does not have.
    fn new(job: &TileJob, plan: &Plan) -> Result<Self> {
        if let Some(values) = &job.values {
            return values.encoder(job, plan).map(Self::Values);
        }
        let tiles = match job.tiles {
            EncoderOptions::Png(options) if job.terrain.is_some() => {
                EncoderOptions::Png(PngOptions { truecolour: true, ..options })
            }
            options => options,
        };
        job.masking.encoder(tiles).map(Self::Pictures)
    }
}

/// Plans a job and makes a few of its tiles to say what it would take; writes nothing.
///
/// # Errors
/// Those of the plan and of reading the sampled parts.
pub fn dry_run(job: &TileJob) -> Result<(Plan, Estimate)> {
    job.validate()?;
    let kind = OutputKind::from_path(&job.target.path)?;
    let prepared = job.update.as_ref().map(|update| update.prepare(job)).transpose()?;
    let job = prepared.as_ref().map_or(job, |(job, _)| job);
    job.target.check(kind)?;
    let plan = Plan::new(job)?;
    let estimate = Estimate::sample(&plan, kind, &Encoder::new(job, &plan)?)?;
    Ok((plan, estimate))
}

fn info(job: &TileJob, plan: &Plan, format: TileFormat) -> TilesetInfo {
    let labels = &job.labels;
    let stem = || job.target.path.file_stem().map(|s| s.to_string_lossy().into_owned());
    let name = labels.name.clone().or_else(stem).unwrap_or_else(|| "tiles".to_owned());
    let world = Bounds { west: -180.0, south: -85.0, east: 180.0, north: 85.0 };
    let shown = if job.retina { job.tile_size / 2 } else { job.tile_size };
    let mut info = TilesetInfo::new(name, plan.bounds.unwrap_or(world), format, shown as u32)
        .with_zooms(plan.min_zoom, plan.max_zoom);
    info.retina = job.retina;
    info.grid = plan.grid.clone();
    info.placed = plan.bounds.is_some();
    info.description.clone_from(&labels.description);
    info.attribution.clone_from(&labels.attribution);
    info.kind = labels.kind;
    info.url.clone_from(&labels.url);
    info.scheme = job.scheme;
    info.encoding = job.terrain.as_ref().map(|terrain| terrain.encoding);
    info
}
