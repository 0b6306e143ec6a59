//! `tileloom tile`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{ArgAction, Args};
use serde::Serialize;
use tileloom::job::tile::{
    Budget, Estimate, Labels, Overlap, Plan, Report, TileJob, dry_run, run as run_job,
};
use tileloom::raster::{SourceSpec, inputs};
use tileloom::resampling::Resampling;
use tileloom::sink::Target;
use tileloom::tileset::{LayerKind, Scheme};
use tileloom::view::Webviewer;
use tileloom::{Error, Result};

use super::faults::{self, FaultArgs};
use super::format::FormatArgs;
use super::grid::GridArgs;
use super::machine::MachineArgs;
use super::parse;
use super::picture::PictureArgs;
use super::session::{effort, lines, size, watch};
use super::terrain::TerrainArgs;
use super::validity::ValidityArgs;
use super::{CommonArgs, note};

/// Options of `tile`, as they are written.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // they mirror flags
pub struct TileArgs {
    /// Rasters to tile (anything GDAL reads; also folders, quoted patterns, archives and addresses), later ones over earlier
    /// ones, and the output: a folder, or a file that ends in .mbtiles, .pmtiles or .tar.
    #[arg(required = true, value_name = "INPUT... OUTPUT")]
    paths: Vec<PathBuf>,
    /// The output; all other paths are inputs then.
    #[arg(short, long, value_name = "OUTPUT")]
    output: Option<PathBuf>,
    /// File with a list of inputs, one a line (- for standard input), before those that are named.
    #[arg(long, visible_alias = "input-file-list", value_name = "FILE")]
    input_list: Option<PathBuf>,
    /// What is shown where inputs overlap: last, first, min, max, highest-resolution.
    #[arg(long, value_name = "WHICH", default_value = "last", value_parser = overlap)]
    overlap: Overlap,
    /// Replace an existing tile set once the new one is complete.
    #[arg(long)]
    overwrite: bool,
    /// Go on with what an interrupted run with the same inputs and options has finished, and keep what is finished if this run is
    /// interrupted; without anything to go on with, an ordinary run.
    #[arg(long)]
    resume: bool,
    /// Zoom levels: 12, 5-12 or 5..12 [default: see --min-zoom and --max-zoom].
    #[arg(short = 'z', long = "zoom", visible_alias = "zoom-levels", value_parser = parse::zooms, value_name = "LEVELS", allow_hyphen_values = true)]
    zooms: Option<(Option<u8>, Option<u8>)>,
    /// Lowest zoom level [default: the highest at which everything fits one tile].
    #[arg(long, value_name = "LEVEL", conflicts_with = "zooms")]
    min_zoom: Option<u8>,
    /// Highest zoom level [default: the one closest to the resolution of the finest input].
    #[arg(long, value_name = "LEVEL", conflicts_with = "zooms")]
    max_zoom: Option<u8>,
    /// How the highest level is made: nearest, bilinear, cubic, cubicspline, lanczos, average, mode, min, max, med, q1, q3, sum, rms [default: cubic; nearest
    /// for palettes and --categorical].
    #[arg(short, long, value_name = "METHOD")]
    resampling: Option<Resampling>,
    /// How lower levels are made from the one above (from the inputs, where the levels of a grid do not halve each other), with the
    /// same methods; average, nearest and mode are quickest
    /// [default: average; mode for palettes and --categorical].
    #[arg(long, value_name = "METHOD")]
    overview_resampling: Option<Resampling>,
    #[command(flatten)]
    grid: GridArgs,
    /// Numbering of the rows in a folder.
    #[arg(long, value_name = "xyz|tms", default_value = "xyz", value_parser = scheme)]
    convention: Scheme,
    /// The same as --convention xyz.
    #[arg(long, conflicts_with = "convention", action = ArgAction::SetTrue)]
    xyz: bool,
    /// The CRS to assume instead of the one the inputs declare.
    #[arg(long, value_name = "CRS")]
    src_crs: Option<String>,
    /// Upper left and lower right corner to assume instead of the georeferencing the inputs declare.
    #[arg(long, num_args = 4, value_names = ["ULX", "ULY", "LRX", "LRY"], allow_negative_numbers = true)]
    a_ullr: Option<Vec<f64>>,
    /// GDAL open option; may be repeated.
    #[arg(long = "oo", value_name = "KEY=VALUE")]
    open_options: Vec<String>,
    /// Name of the tile set [default: the output's].
    #[arg(long, visible_alias = "title")]
    name: Option<String>,
    /// Description of the tile set.
    #[arg(long)]
    description: Option<String>,
    /// Whom to credit.
    #[arg(long)]
    attribution: Option<String>,
    /// The tiles lie over a map [default].
    #[arg(long, conflicts_with = "baselayer")]
    overlay: bool,
    /// The tiles are the map.
    #[arg(long)]
    baselayer: bool,
    /// Where a folder of tiles will be served: base address, or a template with {z}, {x} and {y}.
    #[arg(long)]
    url: Option<String>,
    /// Pages beside a folder of tiles that show them in a browser: none, openlayers, leaflet, maplibre, all (several with
    /// commas) [default: none; see also tileloom view].
    #[arg(short = 'w', long, visible_alias = "webviewers", value_name = "LIBRARY", value_delimiter = ',', value_parser = webviewers)]
    webviewer: Vec<Pages>,
    /// Say what would be made and what it would take, and write nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    faults: FaultArgs,
    #[command(flatten)]
    machine: MachineArgs,
    /// Folder for the file an archive is assembled from [default: beside the output].
    #[arg(long, value_name = "FOLDER")]
    tmp_dir: Option<PathBuf>,
    #[command(flatten)]
    picture: PictureArgs,
    #[command(flatten)]
    validity: ValidityArgs,
    #[command(flatten)]
    terrain: TerrainArgs,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) fn scheme(text: &str) -> Result<Scheme, String> {
    match text.to_ascii_lowercase().as_str() {
        "xyz" => Ok(Scheme::Xyz),
        "tms" => Ok(Scheme::Tms),
        _ => Err("known are xyz and tms".to_owned()),
    }
}

fn overlap(text: &str) -> Result<Overlap, String> {
    match text.to_ascii_lowercase().as_str() {
        "last" => Ok(Overlap::Last),
        "first" => Ok(Overlap::First),
        "min" => Ok(Overlap::Min),
        "max" => Ok(Overlap::Max),
        "highest-resolution" | "highest" => Ok(Overlap::HighestResolution),
        _ => Err("known are last, first, min, max and highest-resolution".to_owned()),
    }
}

/// The pages that one word of `--webviewer` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pages {
    None,
    One(Webviewer),
    All,
}

fn webviewers(text: &str) -> Result<Pages, String> {
    let word = text.trim().to_ascii_lowercase();
    match word.as_str() {
        "none" => Ok(Pages::None),
        "all" => Ok(Pages::All),
        _ => Webviewer::ALL.into_iter().find(|page| page.name() == word).map(Pages::One).ok_or_else(|| {
            let names = Webviewer::ALL.map(Webviewer::name).join(", ");
            format!("known are none, {names} and all")
        }),
    }
}

impl TileArgs {
    /// The pages that are asked for: of all, those that can show what the job makes.
    fn webviewers(&self, job: &TileJob) -> Result<Vec<Webviewer>> {
        let mut pages = Vec::new();
        for word in &self.webviewer {
            match word {
                Pages::None if self.webviewer.len() > 1 => {
                    return Err(Error::Usage("--webviewer: none cannot stand beside others".to_owned()));
                }
                Pages::None => {}
                Pages::One(page) => pages.push(*page),
                Pages::All => {
                    // Why there can be no page at all is said about the first.
                    job.accepts(Webviewer::OpenLayers)?;
                    pages.extend(Webviewer::ALL.into_iter().filter(|page| job.accepts(*page).is_ok()));
                }
            }
        }
        let asked = |page: &Webviewer| pages.contains(page);
        Ok(Webviewer::ALL.into_iter().filter(asked).collect())
    }

    /// The job the flags describe.
    pub(super) fn job(&self) -> Result<TileJob> {
        let (named, output) = match &self.output {
            Some(output) => (&self.paths[..], output),
            None => match &self.paths[..] {
                [] | [_] if self.input_list.is_none() => {
                    return Err(Error::Usage("give at least one input and an output".to_owned()));
                }
                [] => return Err(Error::Usage("give an output".to_owned())),
                [named @ .., output] => (named, output),
            },
        };
        let a_ullr = self.a_ullr.as_ref().and_then(|v| <[f64; 4]>::try_from(&v[..]).ok());
        let mut words = self.input_list.as_deref().map(inputs::listed).transpose()?.unwrap_or_default();
        words.extend_from_slice(named);
        let rasters = inputs::expand(words.iter().map(PathBuf::as_path))?;
        let src_nodata = self.validity.src_nodata()?;
        let on_error = self.faults.on_error();
        let source = |path: PathBuf| SourceSpec {
            path,
            open_options: self.open_options.clone(),
            src_crs: self.src_crs.clone(),
            a_ullr,
            src_nodata: src_nodata.clone(),
            on_error: on_error.clone(),
            ..SourceSpec::default()
        };
        let target =
            Target { path: output.clone(), overwrite: self.overwrite, tmp_dir: self.tmp_dir.clone() };
        let mut job = TileJob::new(rasters.into_iter().map(source).collect(), target);
        (job.min_zoom, job.max_zoom) = self.zooms.unwrap_or((self.min_zoom, self.max_zoom));
        job.overlap = self.overlap;
        job.resampling = self.resampling;
        job.overview_resampling = self.overview_resampling;
        job.categorical = self.picture.categorical;
        job.picture = self.picture.picture()?;
        job.terrain = self.terrain.terrain()?;
        job.tiles = self.format.resolve()?;
        job.values = self.format.values()?;
        self.grid.apply(&mut job)?;
        job.scheme = self.convention;
        job.bbox = self.validity.bbox()?;
        job.update = self.validity.update()?;
        job.masking = self.validity.masking(self.format.background());
        job.labels = Labels {
            name: self.name.clone(),
            description: self.description.clone(),
            attribution: self.attribution.clone(),
            kind: if self.baselayer { LayerKind::Baselayer } else { LayerKind::Overlay },
            url: self.url.clone(),
        };
        job.webviewers = self.webviewers(&job)?;
        job.settings.clone_from(&self.common.config);
        job.resume = self.resume;
        self.machine.apply(&mut job.threads, &mut job.readers, &mut job.memory)?;
        job.validate()?;
        Ok(job)
    }
}

/// Runs `tileloom tile`.
pub fn run(args: &TileArgs) -> Result<()> {
    args.common.apply()?;
    let job = args.job()?;
    if args.dry_run {
        let (plan, estimate) = dry_run(&job)?;
        let preview = Preview::new(&job, &plan, estimate);
        return args.common.show(&preview, || preview.text());
    }
    let mut begun = false;
    let result = watch(&args.common, &args.machine, |monitor, planned| {
        run_job(&job, monitor, |_, total| {
            begun = true;
            planned(&[], total);
        })
    });
    let report = result.inspect_err(|_| {
        if begun && job.resume && job.target.is_unfinished() && !args.common.quiet {
            note("what is finished is kept: the same command goes on from there");
        }
    })?;
    args.common.report(&report, || text(&report, args.machine.stats))?;
    faults::tell(&report.skipped, args.common.quiet)
}

/// What `--dry-run` has to say.
#[derive(Debug, Serialize)]
struct Preview<'a> {
    output: &'a PathBuf,
    min_zoom: u8,
    max_zoom: u8,
    resampling: &'static str,
    overview_resampling: &'static str,
    bounds: Option<[f64; 4]>,
    guesses: &'a [String],
    #[serde(flatten)]
    estimate: Estimate,
    memory: Budget,
    readers: usize,
    threads: usize,
}

impl<'a> Preview<'a> {
    fn new(job: &'a TileJob, plan: &'a Plan, estimate: Estimate) -> Self {
        Self {
            output: &job.target.path,
            min_zoom: plan.min_zoom,
            max_zoom: plan.max_zoom,
            resampling: plan.resampling.name(),
            overview_resampling: plan.overview_resampling.name(),
            bounds: plan.degrees(),
            guesses: &plan.guesses,
            estimate,
            memory: plan.budget,
            readers: job.readers,
            threads: job.threads,
        }
    }

    fn text(&self) -> String {
        let mut t = String::new();
        let e = &self.estimate;
        for (zoom, tiles) in &e.tiles_per_zoom {
            let _ = writeln!(t, "zoom {zoom:>2}: {tiles:>10} tiles");
        }
        let _ =
            writeln!(t, "at most {} tiles; of those sampled {:.0} % hold data", e.tiles, e.filled * 100.0);
        let _ = writeln!(
            t,
            "about {} in {}, {} of disk while it is made (from {} of {} blocks)",
            size(e.bytes),
            self.output.display(),
            size(e.disk),
            e.sampled.0,
            e.sampled.1
        );
        let m = &self.memory;
        let all = m.fixed + m.pyramid + m.chunks + m.in_flight;
        let _ =
            writeln!(t, "{} of memory, {} threads, {} readers", size(all as u64), self.threads, self.readers);
        let _ = writeln!(t, "resampling {}, lower levels {}", self.resampling, self.overview_resampling);
        lines(&mut t, "chosen", self.guesses);
        t
    }
}

fn text(report: &Report, stats: bool) -> String {
    let mut t = String::new();
    let duplicates = match report.duplicates {
        0 => String::new(),
        n => format!(", {n} stored once with another"),
    };
    let resumed = match report.resumed {
        0 => String::new(),
        n => format!(", {n} taken over from an interrupted run"),
    };
    let copied = match report.copied {
        0 => String::new(),
        n => format!(", {n} copied as they were"),
    };
    let _ = writeln!(
        t,
        "{}: zoom {}-{}, {} tiles ({} empty left out{duplicates}{resumed}{copied}), {}",
        report.output.display(),
        report.min_zoom,
        report.max_zoom,
        report.tiles,
        report.empty,
        size(report.bytes)
    );
    if let Some([west, south, east, north]) = report.bounds {
        let _ = writeln!(t, "bounds {west:.6},{south:.6},{east:.6},{north:.6}");
    }
    lines(&mut t, "chosen", &report.guesses);
    lines(&mut t, "warning", &report.warnings);
    effort(&mut t, &report.effort, stats);
    t
}
