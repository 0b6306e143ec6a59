//! `tileloom warp`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tileloom::block::SampleType;
use tileloom::grid::Bounds;
use tileloom::job::calc::Nodata;
use tileloom::job::calc::output::COG;
use tileloom::job::warp::{
    Budget, GridRequest, Overlap, OverviewUse, Plan, Region, Report, WarpJob, dry_run, run as run_job,
};
use tileloom::raster::cutline::CutlineSpec;
use tileloom::raster::{SourceSpec, SrcNodata, inputs};
use tileloom::resampling::Resampling;
use tileloom::sink::Target;
use tileloom::{Error, Result};

use super::calc::{item, nodata};
use super::cog;
use super::faults::{self, FaultArgs};
use super::machine::MachineArgs;
use super::session::{effort, lines, size, watch};
use super::{CommonArgs, parse};

const EXAMPLES: &str = "\
gdalwarp's own spellings are understood: -s_srs, -t_srs, -tr, -te, -te_srs, -ts, -tap, -ovr, -dstnodata, -srcnodata, -dstalpha, -cutline, -cl, -cwhere, \
-crop_to_cutline, -ot, -of, -co, -oo, -mo, -wm, -q, -overwrite.

Examples:
  tileloom warp utm.tif web.tif -t_srs EPSG:3857 -r bilinear --co COMPRESS=DEFLATE
  tileloom warp utm.tif web.tif -t_srs EPSG:3857 -r cubic --cog --co COMPRESS=JPEG
  tileloom warp north.tif south.tif mosaic.tif -tr 10 10 -tap -r cubic
  tileloom warp scene.tif part.tif -te 500000 5400000 510000 5410000 -te_srs EPSG:32633
  tileloom warp landcover.tif on-the-grid.tif --like scene.tif -r mode
  tileloom warp scene.tif field.tif -cutline field.gpkg -crop_to_cutline -dstalpha";

/// Options of `warp`, as they are written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools)] // they mirror flags
#[allow(clippy::doc_markdown)] // the help shows the text as it stands
pub struct WarpArgs {
    /// Rasters (anything GDAL reads, folders, quoted patterns, addresses), and the raster to make.
    #[arg(required_unless_present = "output", value_name = "INPUT... OUTPUT")]
    paths: Vec<PathBuf>,
    /// The raster to make; all other paths are inputs then.
    #[arg(short, long, value_name = "OUTPUT")]
    output: Option<PathBuf>,
    /// CRS of the output: EPSG code, WKT, PROJ string [default: that of the first input].
    #[arg(short = 't', long, visible_aliases = ["t-srs", "output-crs"], alias = "t_srs", value_name = "CRS")]
    dst_crs: Option<String>,
    /// CRS to assume for the inputs instead of their own.
    #[arg(short = 's', long, visible_alias = "input-crs", value_name = "CRS")]
    src_crs: Option<String>,
    /// Size of a pixel in units of the output's CRS: one number, or width and height [default: what keeps the inputs' resolution].
    #[arg(long, visible_alias = "resolution", num_args = 1..=2, value_name = "RES", value_delimiter = ',', allow_negative_numbers = true)]
    tr: Option<Vec<f64>>,
    /// Edges of the output in its CRS, or in that of --bbox-crs [default: what all inputs cover].
    #[arg(long, num_args = 4, value_names = ["XMIN", "YMIN", "XMAX", "YMAX"], allow_negative_numbers = true)]
    te: Option<Vec<f64>>,
    /// The same as one word.
    #[arg(long, value_name = "XMIN,YMIN,XMAX,YMAX", value_parser = parse::bbox, allow_hyphen_values = true, conflicts_with = "te")]
    bbox: Option<Bounds>,
    /// CRS of --te and --bbox [default: that of the output].
    #[arg(long, visible_alias = "te-srs", value_name = "CRS")]
    bbox_crs: Option<String>,
    /// Columns and rows of the output; 0 for what keeps pixels square.
    #[arg(long, visible_alias = "size", num_args = 2, value_names = ["COLUMNS", "ROWS"], value_delimiter = ',')]
    ts: Option<Vec<usize>>,
    /// Move edges outwards to multiples of the resolution.
    #[arg(long, visible_alias = "target-aligned-pixels")]
    tap: bool,
    /// A raster whose whole grid the output has: CRS, resolution, edges.
    #[arg(long, value_name = "FILE")]
    like: Option<PathBuf>,
    /// How pixels are resampled: nearest, bilinear, cubic, cubicspline, lanczos, average, mode, min, max, med, q1, q3, sum, rms.
    #[arg(short, long, value_name = "METHOD", default_value = "nearest")]
    resampling: Resampling,
    /// Whether overviews of the inputs stand in for their pixels where the output is coarser: auto, none; never for nearest and mode.
    #[arg(long, value_name = "auto|none", default_value = "auto", value_parser = overview_use)]
    ovr: OverviewUse,
    /// What is seen where inputs overlap: last, first, min, max, average.
    #[arg(long, value_name = "WHAT", default_value = "last", value_parser = overlap)]
    overlap: Overlap,
    /// Polygons outside of which no pixel holds data: any vector file GDAL reads.
    #[arg(long, value_name = "FILE")]
    cutline: Option<PathBuf>,
    /// Layer of the cutline [default: the first].
    #[arg(long, value_name = "NAME", requires = "cutline")]
    cutline_layer: Option<String>,
    /// Condition that features of the cutline must meet, as in the WHERE of SQL.
    #[arg(long, value_name = "CONDITION", requires = "cutline")]
    cutline_where: Option<String>,
    /// CRS to assume for the cutline instead of its own.
    #[arg(long, value_name = "CRS", requires = "cutline")]
    cutline_srs: Option<String>,
    /// Make the output no larger than the cutline.
    #[arg(long)]
    crop_to_cutline: bool,
    /// Bands to take, in this order [default: all].
    #[arg(short, long, visible_alias = "band", value_name = "N", value_delimiter = ',')]
    bands: Vec<usize>,
    /// Type of the samples: Byte, Int8, UInt16, Int16, UInt32, Int32, Float32, Float64 [default: what holds all inputs'].
    #[arg(long, visible_alias = "type", value_name = "TYPE")]
    ot: Option<SampleType>,
    /// The value of the inputs' pixels without data, instead of the declared ones; none for none.
    #[arg(long, value_name = "VALUE|none", value_parser = parse::nodata, allow_hyphen_values = true)]
    src_nodata: Option<parse::NodataValues>,
    /// The value of the output's pixels without data; none declares none [default: that of the inputs].
    #[arg(long, visible_alias = "nodata", alias = "dstnodata", value_name = "VALUE|none", value_parser = nodata, allow_hyphen_values = true)]
    dst_nodata: Option<Nodata>,
    /// Add a band of opacity; inputs that have one keep it in any case.
    #[arg(long, visible_alias = "dst-alpha")]
    add_alpha: bool,
    /// Format of the output, by GDAL's name.
    #[arg(short, long, visible_alias = "of", value_name = "FORMAT", default_value = "GTiff")]
    format: String,
    /// Make a cloud-optimised GeoTIFF in the same pass, with overviews: the same as -f COG.
    #[arg(long)]
    cog: bool,
    /// Creation option of the format, of a COG those that `tileloom cog --help` lists; may be repeated.
    #[arg(long = "co", alias = "creation-option", value_name = "KEY=VALUE")]
    creation_options: Vec<String>,
    /// Add overviews, each half the size of the one before, down to 256 pixels. A COG has them anyway.
    #[arg(long)]
    overviews: bool,
    /// How overviews are made [default: as the output, but average where that is nearest; in a COG average, mode for colour tables].
    #[arg(long, value_name = "METHOD")]
    overview_resampling: Option<Resampling>,
    /// Metadata item of the output; may be repeated.
    #[arg(long = "mo", alias = "metadata", value_name = "KEY=VALUE", value_parser = item)]
    metadata: Vec<(String, String)>,
    /// Do not carry over the metadata of the inputs, nor their units, scales and offsets.
    #[arg(long, visible_alias = "no-metadata")]
    nomd: bool,
    /// Replace an existing file once the new one is complete.
    #[arg(long)]
    overwrite: bool,
    /// Say what would be made, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// GDAL open option for all inputs; may be repeated.
    #[arg(long = "oo", value_name = "KEY=VALUE")]
    open_options: Vec<String>,
    /// Side in pixels of the windows that are made at a time; it makes no difference to the result [default: what suits files and
    /// memory].
    #[arg(long, value_name = "PIXELS")]
    window_size: Option<usize>,
    #[command(flatten)]
    faults: FaultArgs,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

fn overlap(text: &str) -> Result<Overlap, String> {
    match text.to_ascii_lowercase().as_str() {
        "last" => Ok(Overlap::Last),
        "first" => Ok(Overlap::First),
        "min" => Ok(Overlap::Min),
        "max" => Ok(Overlap::Max),
        "average" | "mean" => Ok(Overlap::Average),
        _ => Err("known are last, first, min, max and average".to_owned()),
    }
}

fn overview_use(text: &str) -> Result<OverviewUse, String> {
    match text.to_ascii_lowercase().as_str() {
        "auto" => Ok(OverviewUse::Auto),
        "none" => Ok(OverviewUse::None),
        _ => Err("known are auto and none".to_owned()),
    }
}

impl WarpArgs {
    /// The job the flags describe.
    pub(super) fn job(&self) -> Result<WarpJob> {
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
        let source = |path| SourceSpec { on_error: on_error.clone(), ..self.source(path) };
        let sources = paths.into_iter().map(source).collect();
        let target = Target { path: output.clone(), overwrite: self.overwrite, tmp_dir: None };
        let mut job = WarpJob::new(sources, target);
        job.grid = self.grid();
        job.resampling = self.resampling;
        job.overview_use = self.ovr;
        job.overlap = self.overlap;
        job.cutline = self.cutline.clone().map(|path| CutlineSpec {
            path,
            layer: self.cutline_layer.clone(),
            filter: self.cutline_where.clone(),
            crs: self.cutline_srs.clone(),
        });
        job.crop_to_cutline = self.crop_to_cutline;
        job.bands.clone_from(&self.bands);
        job.sample_type = self.ot;
        job.nodata = self.dst_nodata.unwrap_or_default();
        job.add_alpha = self.add_alpha;
        job.driver = cog::driver(self.cog, &self.format)?;
        cog::check_overviews(self.overview_resampling, self.overviews, &job.driver)?;
        job.creation_options.clone_from(&self.creation_options);
        let own = if self.resampling == Resampling::Nearest { Resampling::Average } else { self.resampling };
        // A COG chooses for itself.
        let added = self.overviews && job.driver != COG;
        job.overviews = self.overview_resampling.or(added.then_some(own));
        job.metadata.clone_from(&self.metadata);
        job.carry_metadata = !self.nomd;
        job.window = self.window_size;
        let asked = cog::asked_threads(&job.driver, &job.creation_options)?;
        job.threads = asked.unwrap_or(job.threads);
        self.machine.apply(&mut job.threads, &mut job.readers, &mut job.memory)?;
        job.validate()?;
        Ok(job)
    }

    /// The grid that is asked for.
    fn grid(&self) -> GridRequest {
        let te = match self.te.as_deref() {
            Some(&[west, south, east, north]) => Some(Bounds { west, south, east, north }),
            _ => self.bbox,
        };
        let resolution = match self.tr.as_deref() {
            Some(&[side]) => Some((side, side)),
            // As written for north-up rasters: heights are often given below zero.
            Some(&[width, height]) => Some((width, height.abs())),
            _ => None,
        };
        let size = match self.ts.as_deref() {
            Some(&[columns, rows]) => Some((columns, rows)),
            _ => None,
        };
        GridRequest {
            crs: self.dst_crs.clone(),
            resolution,
            region: te.map(|bounds| Region { bounds, crs: self.bbox_crs.clone() }),
            size,
            aligned: self.tap,
            like: self.like.clone().map(SourceSpec::new),
        }
    }

    /// The raster at a path.
    fn source(&self, path: PathBuf) -> SourceSpec {
        let src_nodata = match &self.src_nodata {
            None => SrcNodata::Declared,
            Some(values) if values.0.is_empty() => SrcNodata::None,
            Some(values) => SrcNodata::Values(vec![values.0.clone()]),
        };
        SourceSpec {
            path,
            open_options: self.open_options.clone(),
            src_crs: self.src_crs.clone(),
            src_nodata,
            ..SourceSpec::default()
        }
    }
}

/// Runs `tileloom warp`.
pub fn run(args: &WarpArgs) -> Result<()> {
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
    format: &'a str,
    creation_options: &'a [String],
    size: [usize; 2],
    bands: usize,
    #[serde(rename = "type")]
    sample_type: &'static str,
    nodata: Option<f64>,
    alpha: bool,
    crs: Option<&'a str>,
    geotransform: Option<[f64; 6]>,
    inputs: usize,
    /// Bytes of the output's samples, before compression.
    bytes: u64,
    windows: usize,
    window: [usize; 2],
    guesses: &'a [String],
    notes: &'a [String],
    memory: Budget,
    readers: usize,
    threads: usize,
}

impl<'a> Preview<'a> {
    fn new(job: &'a WarpJob, plan: &'a Plan) -> Self {
        let size = plan.grid.size;
        let pixel = plan.output_bands() * plan.sample_type.bytes();
        Self {
            output: &job.target.path,
            format: &plan.storage.driver,
            creation_options: &plan.storage.options,
            size: [size.width, size.height],
            bands: plan.output_bands(),
            sample_type: plan.sample_type.gdal_name(),
            nodata: plan.nodata,
            alpha: plan.alpha,
            crs: plan.grid.georeferencing.crs.as_deref(),
            geotransform: plan.grid.geotransform(),
            inputs: plan.layers.len(),
            bytes: size.area() as u64 * pixel as u64,
            windows: plan.windows().len(),
            window: [plan.window.width, plan.window.height],
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
            "{}: {}, {width} × {height} pixels, {} × {}{}, {} before compression",
            self.output.display(),
            self.format,
            self.bands,
            self.sample_type,
            nodata_text(self.nodata),
            size(self.bytes)
        );
        if !self.creation_options.is_empty() {
            let _ = writeln!(t, "options {}", self.creation_options.join(" "));
        }
        let _ = writeln!(t, "{}", place_text(self.crs, self.geotransform, self.size));
        let [columns, rows] = self.window;
        let m = &self.memory;
        let _ = writeln!(
            t,
            "{} windows of {columns} × {rows} pixels, {} of memory, {} threads, {} readers",
            self.windows,
            size((m.fixed + m.chunks + m.in_flight) as u64),
            self.threads,
            self.readers
        );
        lines(&mut t, "chosen", self.guesses);
        lines(&mut t, "note", self.notes);
        t
    }
}

fn nodata_text(value: Option<f64>) -> String {
    value.map_or_else(String::new, |v| format!(", nodata {v}"))
}

/// The CRS, the size of a pixel and the edges.
fn place_text(crs: Option<&str>, geotransform: Option<[f64; 6]>, [width, height]: [usize; 2]) -> String {
    let crs = crs.unwrap_or("of no name");
    let Some(g) = geotransform else { return format!("CRS {crs}") };
    let (east, south) = (g[0] + g[1] * width as f64, g[3] + g[5] * height as f64);
    format!("CRS {crs}, pixels of {} × {}, edges {} {south} {east} {}", g[1], -g[5], g[0], g[3])
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
        nodata_text(report.nodata),
        size(report.bytes)
    );
    let _ = writeln!(t, "{}", place_text(report.crs.as_deref(), report.geotransform, report.size));
    cog::stored(&mut t, report.cog.as_ref());
    if report.missing > 0 {
        let share = report.missing as f64 / (width * height).max(1) as f64 * 100.0;
        let _ = writeln!(t, "{} pixels without data ({share:.2} %)", report.missing);
    }
    lines(&mut t, "chosen", &report.guesses);
    lines(&mut t, "warning", &report.warnings);
    effort(&mut t, &report.effort, stats);
    t
}
