//! `tileloom plan`, `run` and `merge`: one job on many machines.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, Parser};
use serde::Serialize;
use tileloom::job::parts::{DivisibleJob, Joined, JoinedRaster};
use tileloom::job::shards::{Marker, Shard, ShardPlan, array};
use tileloom::job::tile::parts::Joined as JoinedTiles;
use tileloom::pipeline::Monitor;
use tileloom::raster::losses::Skipped;
use tileloom::{Error, Result};

use super::progress::{Mode, Progress};
use super::session::size;
use super::{Cli, Command, CommonArgs, json, note, print, signals};

/// Variables in which engines tell a job the number of its part, counted from 0.
const INDICES: [&str; 3] = ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "AWS_BATCH_JOB_ARRAY_INDEX"];

const PLAN_EXAMPLES: &str = "\
Examples:
  tileloom plan tile scenes/ mosaic.pmtiles -z 5-14 --shards 100 -o plan.json
  tileloom plan cog scenes/ mosaic.tif --compress ZSTD --shards 100 -o plan.json
  sbatch --array=0-99 --wrap 'tileloom run plan.json'
  tileloom merge plan.json";

/// Options of `plan`.
#[derive(Debug, Args)]
#[command(after_help = PLAN_EXAMPLES)]
pub struct PlanArgs {
    /// A whole command line of `tile`, `calc`, `warp` or `cog`, with --shards N (how many parts there are to be) and -o PLAN.json (the plan; default standard
    /// output) anywhere in it.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND ARGUMENTS... --shards N -o PLAN"
    )]
    words: Vec<OsString>,
}

/// Options of `run`.
#[derive(Debug, Args)]
#[allow(clippy::doc_markdown)] // the help shows the text as it stands
pub struct RunArgs {
    /// The plan.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Which shards to make, as 3 or 3,7-9 [default: what SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX or AWS_BATCH_JOB_ARRAY_INDEX says].
    #[arg(long, value_name = "I")]
    shard: Option<String>,
    /// So many shards for each number, where an engine allows fewer numbers than there are shards: number I makes I·K to I·K+K−1.
    #[arg(long, value_name = "K", default_value_t = 1)]
    per_index: usize,
    /// Folder for a shard while it is being made [default: beside the finished ones].
    #[arg(long, value_name = "FOLDER")]
    tmp_dir: Option<PathBuf>,
    /// Threads that compute and read [default: those of the planned command, else the processors granted].
    #[arg(short = 'j', long, value_name = "N")]
    threads: Option<usize>,
    /// How to show progress on standard error.
    #[arg(long, value_enum, default_value = "auto")]
    progress: Mode,
    #[command(flatten)]
    common: CommonArgs,
}

/// Options of `merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// The plan.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Keep the shards.
    #[arg(long)]
    keep: bool,
    /// Replace an existing output once the new one is complete.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// The command line that is planned, apart from the options of `plan`.
struct Words {
    command: Vec<String>,
    shards: usize,
    plan: Option<PathBuf>,
}

impl Words {
    fn of(words: &[OsString]) -> Result<Self> {
        let usage = |text: &str| Error::Usage(text.to_owned());
        let (mut command, mut shards, mut plan) = (Vec::new(), None, None);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let text = word.to_str().ok_or_else(|| usage("a plan is JSON: paths have to be UTF-8"))?;
            let mut value = |name: &str| match text.strip_prefix(name) {
                Some("") => Some(words.next().and_then(|w| w.to_str()).unwrap_or_default().to_owned()),
                Some(rest) => rest.strip_prefix('=').map(str::to_owned),
                None => None,
            };
            if let Some(count) = value("--shards") {
                shards = Some(count.parse().map_err(|_| usage("--shards: give a number"))?);
            } else if let Some(path) = value("-o") {
                // The last is the plan; one before it is the output of the command.
                if let Some(output) = plan.replace(path) {
                    command.extend(["-o".to_owned(), output]);
                }
            } else {
                command.push(text.to_owned());
            }
        }
        let shards = shards.ok_or_else(|| usage("--shards N: how many shards are there to be?"))?;
        if plan.as_ref().is_some_and(String::is_empty) {
            return Err(usage("-o: name the plan"));
        }
        Ok(Self { command, shards, plan: plan.map(PathBuf::from) })
    }
}

/// The job of a planned command line, with GDAL's settings in force.
fn job(command: &[String]) -> Result<DivisibleJob> {
    let words = std::iter::once("tileloom").chain(command.iter().map(String::as_str)).map(OsString::from);
    let words = super::calc::normalised(super::parse::normalised(words));
    let cli = Cli::try_parse_from(words).map_err(|e| {
        let text = e.to_string();
        let line = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Error::Usage(line)
    })?;
    match cli.command {
        Command::Tile(args) => {
            args.common.apply()?;
            let mut job = args.job()?;
            // Shards have their own way of going on.
            job.resume = false;
            Ok(DivisibleJob::Tile(Box::new(job)))
        }
        Command::Calc(args) => {
            args.common.apply()?;
            Ok(DivisibleJob::Calc(Box::new(args.job()?)))
        }
        Command::Warp(args) => {
            args.common.apply()?;
            Ok(DivisibleJob::Warp(Box::new(args.job()?)))
        }
        Command::Cog(args) => {
            args.common.apply()?;
            Ok(DivisibleJob::Cog(Box::new(args.job()?)))
        }
        _ => Err(Error::Usage(
            "only 'tile', 'calc', 'warp' and 'cog' can be planned: tileloom plan tile INPUT... OUTPUT --shards N"
                .to_owned(),
        )),
    }
}

/// Runs `tileloom plan`.
pub fn plan(args: &PlanArgs) -> Result<()> {
    let words = Words::of(&args.words)?;
    let job = job(&words.command)?;
    job.check_target()?;
    let division = job.divide()?;
    let shards = division.parts(words.shards)?.into_iter().map(|(tasks, cost)| Shard { tasks, cost });
    let directory =
        std::env::current_dir().map_err(|e| Error::Usage(format!("the working folder is gone: {e}")))?;
    let output = directory.join(&job.target().path).components().collect();
    let plan = ShardPlan::new(directory, words.command, output, division.identity.clone(), shards.collect());
    let text = plan.to_text()?;
    let Some(path) = &words.plan else { return print(&text) };
    std::fs::write(path, &text).map_err(|e| Error::output(path, format!("cannot be written: {e}")))?;
    let last = plan.shards.len() - 1;
    note(&format!(
        "{}: {} {} in {} shards (--array=0-{last})",
        path.display(),
        division.costs.len(),
        division.tasks,
        last + 1
    ));
    Ok(())
}

/// A planned job, as this machine sees it.
fn planned(path: &Path) -> Result<(ShardPlan, DivisibleJob)> {
    let plan = ShardPlan::read(path)?;
    std::env::set_current_dir(&plan.directory).map_err(|e| {
        Error::input(path, format!("starts from the folder '{}': {e}", plan.directory.display()))
    })?;
    let job = job(&plan.command)?;
    Ok((plan, job))
}

/// The shards that are asked for.
fn wanted(args: &RunArgs, count: usize) -> Result<Vec<usize>> {
    let given = args.shard.clone().or_else(|| INDICES.iter().find_map(|name| std::env::var(name).ok()));
    let Some(given) = given else {
        return Err(Error::Usage(format!(
            "--shard I: which of the shards 0 to {} is to be made?",
            count - 1
        )));
    };
    let wrong = || Error::Usage(format!("--shard {given}: give numbers, as 3 or 3,7-9"));
    let mut numbers = Vec::new();
    for word in given.split(',') {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
        numbers.extend(number(first)?..=number(last)?);
    }
    let each = args.per_index.max(1);
    let mut shards: Vec<usize> = numbers.iter().flat_map(|i| i * each..(i + 1) * each).collect();
    // The last number may have fewer.
    if each > 1 {
        shards.retain(|shard| *shard < count);
    }
    match shards.iter().find(|shard| **shard >= count) {
        Some(shard) => {
            Err(Error::Usage(format!("--shard {shard}: the plan has the shards 0 to {}", count - 1)))
        }
        None => Ok(shards),
    }
}

/// One line about a shard.
#[derive(Debug, Serialize)]
struct Line {
    shard: usize,
    /// `made`, `done before`, or `made by another first`.
    status: &'static str,
    made: u64,
    skipped: u64,
    seconds: f64,
}

/// Runs `tileloom run`.
pub fn run(args: &RunArgs) -> Result<()> {
    args.common.apply()?;
    let given = std::path::absolute(&args.plan).map_err(|e| Error::input(&args.plan, e.to_string()))?;
    let tmp_dir = args.tmp_dir.as_deref().map(std::path::absolute).transpose();
    let tmp_dir = tmp_dir.map_err(|e| Error::Usage(format!("--tmp-dir: {e}")))?;
    let (plan, mut job) = planned(&given)?;
    if let Some(threads) = args.threads {
        job.set_threads(threads);
    }
    let mut skipped = Skipped::default();
    for shard in wanted(args, plan.shards.len())? {
        let status = if let Some(marker) = plan.marker(shard)? {
            told(shard, "done before", &marker)
        } else {
            let (status, own) = make(args, &plan, &job, shard, tmp_dir.as_deref()).map_err(temporary)?;
            skipped.windows += own.windows;
            skipped.listed.extend(own.listed);
            // What was skipped is counted for each shard by itself.
            job = self::job(&plan.command)?;
            if let Some(threads) = args.threads {
                job.set_threads(threads);
            }
            status
        };
        let line = serde_json::to_string(&status).map_err(|e| Error::Internal(e.to_string()))?;
        print(&format!("{line}\n"))?;
    }
    super::faults::tell(&skipped, args.common.quiet)
}

fn told(shard: usize, status: &'static str, marker: &Marker) -> Line {
    Line { shard, status, made: marker.made, skipped: marker.skipped, seconds: marker.seconds }
}

fn make(
    args: &RunArgs,
    plan: &ShardPlan,
    job: &DivisibleJob,
    shard: usize,
    tmp_dir: Option<&Path>,
) -> Result<(Line, Skipped)> {
    let begun = Instant::now();
    let attempt = plan.begin(shard, tmp_dir)?;
    let monitor = Monitor::new();
    signals::cancel_on_signal(&monitor);
    let mode = if args.common.quiet { Mode::None } else { args.progress };
    let mut display = None;
    let stretch = plan.shards[shard].tasks.clone();
    let result = job.make(stretch, &plan.identity, &attempt.output(), &monitor, |total| {
        display = Some(Progress::start(mode, &monitor, total));
    });
    drop(display);
    let made = result?;
    let seconds = begun.elapsed().as_secs_f64();
    let first = attempt.finish(&made, seconds)?;
    let status = if first { "made" } else { "made by another first" };
    let status = Line { shard, status, made: made.made, skipped: made.skipped.windows, seconds };
    Ok((status, made.skipped))
}

/// What may go better the next time, perhaps on another machine: a disk that is full or gone, a server that does not answer.
fn temporary(error: Error) -> Error {
    let served =
        |path: &Path| path.to_str().is_some_and(|text| text.starts_with("/vsi") || text.contains("://"));
    match error {
        Error::Output { .. } => Error::Temporary(Box::new(error)),
        Error::Input { ref path, .. } if served(path) => Error::Temporary(Box::new(error)),
        other => other,
    }
}

/// What `merge` has to say.
#[derive(Debug, Serialize)]
struct Merged<'a> {
    output: &'a Path,
    shards: usize,
    #[serde(flatten)]
    what: What,
    bytes: u64,
    skipped: u64,
    seconds: f64,
}

/// What was put together.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum What {
    Tiles {
        tiles: u64,
        /// Tiles that were made of what the shards left.
        above: u64,
        duplicates: u64,
        min_zoom: u8,
        max_zoom: u8,
    },
    Raster {
        size: [usize; 2],
        bands: usize,
        #[serde(rename = "type")]
        sample_type: &'static str,
        /// Blocks that were made of what the shards left.
        above: u64,
        warnings: Vec<String>,
    },
}

impl<'a> Merged<'a> {
    fn new(plan: &'a ShardPlan, joined: Joined, skipped: u64) -> Self {
        let (bytes, seconds, what) = match joined {
            Joined::Tiles(JoinedTiles { written, nodes, seconds }) => {
                let (min_zoom, max_zoom) = (written.min_zoom, written.max_zoom);
                let (tiles, duplicates) = (written.tiles, written.duplicates);
                (written.bytes, seconds, What::Tiles { tiles, above: nodes, duplicates, min_zoom, max_zoom })
            }
            Joined::Raster(JoinedRaster { size, bands, sample_type, bytes, above, warnings, seconds }) => {
                (bytes, seconds, What::Raster { size, bands, sample_type, above, warnings })
            }
        };
        Self { output: &plan.output, shards: plan.shards.len(), what, bytes, skipped, seconds }
    }

    fn text(&self) -> String {
        let mut t = format!("{}: ", self.output.display());
        let _ = match &self.what {
            What::Tiles { tiles, min_zoom, max_zoom, .. } => {
                write!(t, "{tiles} tiles of zoom {min_zoom} to {max_zoom}")
            }
            What::Raster { size: [width, height], bands, sample_type, .. } => {
                write!(t, "{width} × {height} pixels, {bands} × {sample_type}")
            }
        };
        let _ = writeln!(t, " from {} shards, {}, {:.2} s", self.shards, size(self.bytes), self.seconds);
        if let What::Raster { warnings, .. } = &self.what {
            for warning in warnings {
                let _ = writeln!(t, "warning: {warning}");
            }
        }
        t
    }
}

/// Runs `tileloom merge`.
pub fn merge(args: &MergeArgs) -> Result<()> {
    signals::allow_open_files();
    args.common.apply()?;
    let given = std::path::absolute(&args.plan).map_err(|e| Error::input(&args.plan, e.to_string()))?;
    let (plan, mut job) = planned(&given)?;
    let mut skipped = 0;
    let mut missing = Vec::new();
    for shard in 0..plan.shards.len() {
        match plan.marker(shard)? {
            Some(marker) => skipped += marker.skipped,
            None => missing.push(shard),
        }
    }
    if !missing.is_empty() {
        return Err(Error::Incomplete(format!(
            "{} of {} shards are missing: --array={}",
            missing.len(),
            plan.shards.len(),
            array(&missing)
        )));
    }
    job.target_mut().overwrite |= args.overwrite;
    let joined = job.join(&plan.identity, &plan.outputs())?;
    let merged = Merged::new(&plan, joined, skipped);
    if !args.keep {
        plan.clear()?;
    }
    if args.common.json {
        print(&json(&merged)?)?;
    } else if !args.common.quiet {
        print(&merged.text())?;
    }
    match skipped {
        0 => Ok(()),
        n => Err(Error::Skipped(format!("{n} windows of the inputs could not be read and hold no data"))),
    }
}
