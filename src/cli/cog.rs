//! `tileloom cog`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tileloom::job::calc::output::COG;
use tileloom::job::cog::{Budget, CogJob, CogOptions, Nodata, Plan, Report, Stored, dry_run, run as run_job};
use tileloom::raster::{SourceSpec, inputs};
use tileloom::resampling::Resampling;
use tileloom::sink::Target;
use tileloom::{Error, Result};

use super::CommonArgs;
use super::faults::{self, FaultArgs};
use super::machine::MachineArgs;
use super::session::{effort, lines, size, watch};

const HELP: &str = "\
Creation options (--co), by the names of GDAL's COG driver:
  COMPRESS=DEFLATE|LZW|ZSTD|LERC|LERC_DEFLATE|LERC_ZSTD|JPEG|WEBP|LZMA|NONE   how blocks are packed [default: DEFLATE]
  LEVEL=N, QUALITY=1..100 (JPEG, WEBP; 100 is lossless WebP), MAX_Z_ERROR=E (LERC)
  PREDICTOR=YES|NO|STANDARD|FLOATING_POINT   differences of samples [default: YES; NO for palettes]
  BLOCKSIZE=N   side of a block [default: 512]
  OVERVIEWS=AUTO|IGNORE_EXISTING|NONE   overviews are always made anew; those of the input are not read
  OVERVIEW_COUNT=N, OVERVIEW_RESAMPLING=METHOD, OVERVIEW_COMPRESS, OVERVIEW_QUALITY, OVERVIEW_PREDICTOR, MAX_Z_ERROR_OVERVIEW
  BIGTIFF=IF_NEEDED|IF_SAFER|YES|NO, SPARSE_OK=YES, STATISTICS=AUTO|YES|NO, NBITS=N, GEOTIFF_VERSION=1.0|1.1, NUM_THREADS=N
Another grid, onto which inputs are warped in the same pass:
  TILING_SCHEME=GoogleMapsCompatible|NAME   blocks are tiles, overviews are levels, of 256 pixels unless BLOCKSIZE says otherwise
  ZOOM_LEVEL=N, ZOOM_LEVEL_STRATEGY=AUTO|LOWER|UPPER, ALIGNED_LEVELS=N (levels that begin and end with whole tiles)
  TARGET_SRS=CRS with RES=N and EXTENT=XMIN,YMIN,XMAX,YMAX   any other grid
  WARP_RESAMPLING=METHOD   [default: CUBIC; NEAREST for palettes]
  ADD_ALPHA=YES|NO   opacity (in JPEG and for palettes a mask) for what lies outside, unless there is a value for no data [default: YES]

Examples:
  tileloom cog scene.tif cog.tif
  tileloom cog scene.tif cog.tif --co COMPRESS=JPEG --co QUALITY=85
  tileloom cog dem.tif cog.tif --co COMPRESS=ZSTD --co PREDICTOR=YES --overview-resampling bilinear
  tileloom cog north.tif south.tif mosaic.tif --blocksize 256
  tileloom cog scene.tif web.tif --web-optimized --co COMPRESS=JPEG";

/// Options of `cog`, as they are written.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
#[allow(clippy::struct_excessive_bools)] // they mirror flags
#[allow(clippy::doc_markdown)] // the help shows the text as it stands
pub struct CogArgs {
    /// Rasters (anything GDAL reads), later ones over earlier ones, and the file to make. A folder stands for the rasters in it, quoted
    /// patterns for the files they fit. All lie on one grid of pixels, unless they are warped.
    #[arg(required_unless_present = "output", value_name = "INPUT... OUTPUT")]
    paths: Vec<PathBuf>,
    /// The file to make; all other paths are inputs then.
    #[arg(short, long, value_name = "OUTPUT")]
    output: Option<PathBuf>,
    /// Creation option of GDAL's COG driver; may be repeated.
    #[arg(long = "co", alias = "creation-option", value_name = "KEY=VALUE")]
    creation_options: Vec<String>,
    /// The same as --co COMPRESS=...
    #[arg(long, visible_alias = "cog-profile", short_alias = 'p', value_name = "METHOD")]
    compress: Option<String>,
    /// The same as --co BLOCKSIZE=...
    #[arg(long, value_name = "PIXELS")]
    blocksize: Option<usize>,
    /// How overviews are made: nearest, bilinear, cubic, cubicspline, lanczos, average, mode [default: average; mode for palettes].
    #[arg(short = 'r', long, visible_alias = "resampling", value_name = "METHOD")]
    overview_resampling: Option<Resampling>,
    /// How many overviews there are [default: as many as it takes until one fits a block].
    #[arg(long, visible_alias = "overview-count", value_name = "N")]
    overview_level: Option<usize>,
    /// Warp onto the pixels of Web Mercator's tiles: the same as --co TILING_SCHEME=GoogleMapsCompatible.
    #[arg(short = 'w', long)]
    web_optimized: bool,
    /// The same as --co ZOOM_LEVEL=...
    #[arg(long, value_name = "N")]
    zoom_level: Option<u8>,
    /// The same as --co ZOOM_LEVEL_STRATEGY=...: auto, lower or upper.
    #[arg(long, value_name = "STRATEGY")]
    zoom_level_strategy: Option<String>,
    /// The same as --co ALIGNED_LEVELS=...
    #[arg(long, value_name = "N")]
    aligned_levels: Option<u8>,
    /// The same as --co WARP_RESAMPLING=...
    #[arg(long, value_name = "METHOD")]
    warp_resampling: Option<Resampling>,
    /// Bands to take, in this order [default: all].
    #[arg(short = 'b', long, visible_alias = "bands", value_name = "N,N", value_delimiter = ',')]
    bidx: Vec<usize>,
    /// The value to declare for pixels without data; none declares none [default: what the first input declares].
    #[arg(long, visible_alias = "a_nodata", value_name = "VALUE|none", value_parser = nodata, allow_hyphen_values = true)]
    nodata: Option<Nodata>,
    /// Tell by a mask where there is data, instead of nodata values or opacity.
    #[arg(long, visible_alias = "mask")]
    add_mask: bool,
    /// Replace an existing file once the new one is complete.
    #[arg(long)]
    overwrite: bool,
    /// Say what would be made, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Folder for temporary files [default: beside the output].
    #[arg(long, value_name = "DIR")]
    tmp_dir: Option<PathBuf>,
    /// GDAL open option for all inputs; may be repeated.
    #[arg(long = "oo", value_name = "KEY=VALUE")]
    open_options: Vec<String>,
    #[command(flatten)]
    faults: FaultArgs,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

/// The format of an output, which a flag can ask to be a COG.
pub(super) fn driver(cog: bool, format: &str) -> Result<String> {
    match ["GTiff", COG].iter().any(|name| name.eq_ignore_ascii_case(format)) {
        _ if format.eq_ignore_ascii_case(COG) => Ok(COG.to_owned()),
        _ if !cog => Ok(format.to_owned()),
        true => Ok(COG.to_owned()),
        false => Err(Error::Usage(format!("--cog and -f {format}: a COG is a GeoTIFF; drop one of them"))),
    }
}

/// The threads that creation options of a COG ask for.
pub(super) fn asked_threads(driver: &str, creation_options: &[String]) -> Result<Option<usize>> {
    if driver == COG { CogOptions::new(creation_options).map(|options| options.threads) } else { Ok(None) }
}

/// Refuses a way to make overviews where there are to be none.
pub(super) fn check_overviews(method: Option<Resampling>, overviews: bool, driver: &str) -> Result<()> {
    match method {
        Some(method) if !overviews && driver != COG => Err(Error::Usage(format!(
            "--overview-resampling {method}: there are to be no overviews; --overviews or --cog asks for them"
        ))),
        _ => Ok(()),
    }
}

/// Says how a COG is stored.
pub(super) fn stored(t: &mut String, cog: Option<&Stored>) {
    let Some(cog) = cog else { return };
    overviews(t, &cog.overviews, cog.overview_resampling);
    left_out(t, cog.empty, cog.blocks);
}

fn left_out(t: &mut String, empty: u64, blocks: u64) {
    if empty > 0 {
        let _ = writeln!(t, "{empty} of {} blocks left out, as they hold no data", empty + blocks);
    }
}

fn nodata(text: &str) -> Result<Nodata, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "none" | "no" => Ok(Nodata::None),
        "nan" => Ok(Nodata::Value(f64::NAN)),
        number => number.parse().map(Nodata::Value).map_err(|_| "give a number, nan or none".to_owned()),
    }
}

impl CogArgs {
    /// The job the flags describe.
    pub(super) fn job(&self) -> Result<CogJob> {
        let (words, output) = match (&self.output, &self.paths[..]) {
            (Some(output), all) => (all, output),
            (None, [words @ .., output]) => (words, output),
            (None, []) => return Err(Error::Usage("give an output".to_owned())),
        };
        if words.is_empty() {
            return Err(Error::Usage("give at least one input and an output".to_owned()));
        }
        let paths = inputs::expand(words.iter().map(PathBuf::as_path))?;
        let on_error = self.faults.on_error();
        let spec = |path| SourceSpec {
            path,
            open_options: self.open_options.clone(),
            on_error: on_error.clone(),
            ..SourceSpec::default()
        };
        let target =
            Target { path: output.clone(), overwrite: self.overwrite, tmp_dir: self.tmp_dir.clone() };
        let mut job = CogJob::new(paths.into_iter().map(spec).collect(), target);
        job.creation_options.clone_from(&self.creation_options);
        let flags = [
            self.compress.as_ref().map(|c| format!("COMPRESS={}", c.to_ascii_uppercase())),
            self.blocksize.map(|n| format!("BLOCKSIZE={n}")),
            self.overview_level.map(|n| format!("OVERVIEW_COUNT={n}")),
            self.web_optimized.then(|| "TILING_SCHEME=GoogleMapsCompatible".to_owned()),
            self.zoom_level.map(|n| format!("ZOOM_LEVEL={n}")),
            self.zoom_level_strategy.as_ref().map(|s| format!("ZOOM_LEVEL_STRATEGY={s}")),
            self.aligned_levels.map(|n| format!("ALIGNED_LEVELS={n}")),
            self.warp_resampling.map(|method| format!("WARP_RESAMPLING={method}")),
        ];
        job.creation_options.extend(flags.into_iter().flatten());
        job.overview_resampling = self.overview_resampling;
        job.bands.clone_from(&self.bidx);
        job.nodata = self.nodata.unwrap_or_default();
        job.add_mask = self.add_mask;
        let asked = CogOptions::new(&job.creation_options)?.threads;
        job.threads = asked.unwrap_or(job.threads);
        self.machine.apply(&mut job.threads, &mut job.readers, &mut job.memory)?;
        job.validate()?;
        Ok(job)
    }
}

/// Runs `tileloom cog`.
pub fn run(args: &CogArgs) -> Result<()> {
    args.common.apply()?;
    let job = args.job()?;
    if args.dry_run {
        let plan = dry_run(&job)?;
        let preview = Preview::new(&job, &plan);
        return args.common.show(&preview, || preview.text());
    }
    let report = watch(&args.common, &args.machine, |monitor, planned| {
        run_job(&job, monitor, |plan, total| planned(&plan.notes, total))
    })?;
    args.common.report(&report, || text(&report, args.machine.stats))?;
    faults::tell(&report.skipped, args.common.quiet)
}

/// What `--dry-run` has to say.
#[derive(Debug, Serialize)]
struct Preview<'a> {
    output: &'a PathBuf,
    size: [usize; 2],
    bands: usize,
    #[serde(rename = "type")]
    sample_type: &'static str,
    overviews: Vec<[usize; 2]>,
    overview_resampling: &'static str,
    block: usize,
    packing: &'a [String],
    mask: bool,
    /// Bytes of the samples of all levels, before compression; there may be as many in the temporary file.
    bytes: u64,
    guesses: &'a [String],
    notes: &'a [String],
    memory: Budget,
    readers: usize,
    threads: usize,
}

impl<'a> Preview<'a> {
    fn new(job: &'a CogJob, plan: &'a Plan) -> Self {
        let pixel = plan.bands() * plan.sample_type().bytes();
        let sides: Vec<[usize; 2]> = plan.levels.iter().map(|l| [l.width, l.height]).collect();
        Self {
            output: &job.target.path,
            size: sides[0],
            bands: plan.bands(),
            sample_type: plan.sample_type().gdal_name(),
            overviews: sides[1..].to_vec(),
            overview_resampling: plan.overview_resampling.name(),
            block: plan.block,
            packing: plan.creation(),
            mask: plan.spec.mask,
            bytes: plan.levels.iter().map(|l| (l.area() * pixel) as u64).sum(),
            guesses: &plan.guesses,
            notes: &plan.notes,
            memory: plan.budget,
            readers: job.readers,
            threads: job.threads,
        }
    }

    fn text(&self) -> String {
        let mut t = String::new();
        let [width, height] = self.size;
        let _ = writeln!(
            t,
            "{}: {width} × {height} pixels, {} × {}{}, {} before compression",
            self.output.display(),
            self.bands,
            self.sample_type,
            if self.mask { ", a mask" } else { "" },
            size(self.bytes)
        );
        overviews(&mut t, &self.overviews, self.overview_resampling);
        let _ = writeln!(t, "blocks of {0} × {0} pixels, {1}", self.block, self.packing.join(" "));
        let m = &self.memory;
        let _ = writeln!(
            t,
            "{} of memory, {} threads, {} readers",
            size((m.fixed + m.pyramid + m.chunks + m.in_flight) as u64),
            self.threads,
            self.readers
        );
        lines(&mut t, "chosen", self.guesses);
        lines(&mut t, "note", self.notes);
        t
    }
}

fn overviews(t: &mut String, sizes: &[[usize; 2]], method: &str) {
    if sizes.is_empty() {
        let _ = writeln!(t, "no overviews");
        return;
    }
    let sizes: Vec<String> = sizes.iter().map(|[width, height]| format!("{width}×{height}")).collect();
    let _ = writeln!(t, "overviews {} by {method}", sizes.join(", "));
}

fn text(report: &Report, stats: bool) -> String {
    let mut t = String::new();
    let [width, height] = report.size;
    let _ = writeln!(
        t,
        "{}: {width} × {height} pixels, {} × {}{}, {}",
        report.output.display(),
        report.bands,
        report.sample_type,
        if report.stored.mask { ", a mask" } else { "" },
        size(report.bytes)
    );
    overviews(&mut t, &report.stored.overviews, report.stored.overview_resampling);
    left_out(&mut t, report.stored.empty, report.stored.blocks);
    lines(&mut t, "chosen", &report.guesses);
    effort(&mut t, &report.effort, stats);
    t
}
