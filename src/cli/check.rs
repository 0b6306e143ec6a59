//! `tileloom check`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use tileloom::job::check::{
    CheckJob, Contents, Demand, FileReport, MOST_FAULTS, RasterFacts, Report, Severity, TileFacts, Verdict,
    run as run_job,
};
use tileloom::pipeline::Monitor;
use tileloom::tileset::Scheme;
use tileloom::{Error, Result};

use super::machine::MachineArgs;
use super::progress::Progress;
use super::session::size;
use super::tile::scheme;
use super::{CommonArgs, grid, json, print, signals};

/// Options of `check`, as they are written.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// What to check: GeoTIFFs, MBTiles, PMTiles, folders or tar archives of tiles, whatever their names.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What the files have to be; a GeoTIFF that is no COG is sound unless it has to be one [default: whatever they are].
    #[arg(long = "as", visible_alias = "kind", value_name = "cog|geotiff|mbtiles|pmtiles|folder|tar", value_parser = demand)]
    demand: Option<Demand>,
    /// Look at structure, index and metadata only; do not unpack blocks or decode tiles.
    #[arg(long)]
    quick: bool,
    /// Warnings are faults.
    #[arg(long)]
    strict: bool,
    /// Faults of a kind to tell; the others are counted.
    #[arg(long, value_name = "N", default_value_t = MOST_FAULTS)]
    max_faults: usize,
    /// Numbering of the rows in folders and tar archives [default: as their metadata tell, else xyz].
    #[arg(long, visible_alias = "input-convention", value_name = "xyz|tms", value_parser = scheme)]
    input_scheme: Option<Scheme>,
    /// What the tiles of folders and tar archives divide: a registered grid or a file, as for `tile` [default: as their metadata tell,
    /// else `WebMercatorQuad`].
    #[arg(long, visible_aliases = ["tms", "input-tiling-scheme"], value_name = "SCHEME")]
    tiling_scheme: Option<String>,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    common: CommonArgs,
}

fn demand(text: &str) -> Result<Demand, String> {
    text.parse()
}

impl CheckArgs {
    /// The job the flags describe.
    fn job(&self) -> Result<CheckJob> {
        let mut job = CheckJob::new(self.files.clone());
        job.demand = self.demand;
        (job.quick, job.strict, job.max_faults) = (self.quick, self.strict, self.max_faults);
        job.input_scheme = self.input_scheme;
        job.input_grid =
            self.tiling_scheme.as_deref().map(grid::scheme).transpose()?.map(|scheme| scheme.grid());
        self.machine.apply(&mut job.threads, &mut job.readers, &mut job.memory)?;
        Ok(job)
    }
}

/// Runs `tileloom check`.
pub fn run(args: &CheckArgs) -> Result<()> {
    args.common.apply()?;
    let job = args.job()?;
    let monitor = Monitor::new();
    signals::cancel_on_signal(&monitor);
    let mode = args.machine.mode(args.common.quiet);
    let display = std::cell::RefCell::new(None);
    let planned = |_: &std::path::Path, tasks: usize| {
        let done = monitor.tasks_done() as usize;
        *display.borrow_mut() = Some(Progress::start(mode, &monitor, done + tasks));
    };
    let done = |file: &FileReport| {
        drop(display.borrow_mut().take());
        let silent = args.common.json || (args.common.quiet && file.verdict == Verdict::Ok);
        if silent { Ok(()) } else { print(&text(file)) }
    };
    let result = run_job(&job, &monitor, planned, done);
    drop(display.take());
    let report = result?;
    if args.common.json {
        print(&json(&report)?)?;
    }
    verdict(&report)
}

/// How the program ends: faults are one thing, files that could not be checked another.
fn verdict(report: &Report) -> Result<()> {
    let all = report.files.len();
    let files = |n: usize| if n == 1 { "1 file".to_owned() } else { format!("{n} files") };
    let rest = |n: usize| if n == 0 { String::new() } else { format!(", {} could not be checked", files(n)) };
    if report.faulty > 0 {
        let is = if report.faulty == 1 { "is" } else { "are" };
        let text = format!("{} of {all} {is} faulty{}", files(report.faulty), rest(report.unchecked));
        return Err(Error::Faulty(text));
    }
    match report.files.iter().find(|file| file.verdict == Verdict::Unchecked) {
        Some(file) => Err(Error::input(&file.path, file.reason.clone().unwrap_or_default())),
        None => Ok(()),
    }
}

/// The lines about a file.
fn text(file: &FileReport) -> String {
    let mut t = String::new();
    let word = match file.verdict {
        Verdict::Ok => "ok",
        Verdict::Faulty => "faulty",
        Verdict::Unchecked => "unchecked",
    };
    let _ = write!(t, "{word:<9} {}", file.path.display());
    if let Some(kind) = file.kind {
        let _ = write!(t, ": {kind}");
    }
    match &file.contents {
        Some(Contents::Raster(facts)) => raster(&mut t, facts),
        Some(Contents::Tiles(facts)) => tiles(&mut t, facts),
        None => {}
    }
    let counts = [(file.errors, "error"), (file.warnings, "warning")];
    for (count, word) in counts.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(t, ", {count} {word}{}", if count == 1 { "" } else { "s" });
    }
    if let Some(reason) = &file.reason {
        let _ = write!(t, ": {reason}");
    }
    t.push('\n');
    for fault in &file.faults {
        let word = if fault.severity == Severity::Error { "error" } else { "warning" };
        for example in &fault.examples {
            let _ = writeln!(t, "  {word} [{}]: {example}", fault.rule);
        }
        let more = fault.count - fault.examples.len() as u64;
        if more > 0 {
            let _ = writeln!(t, "  {word} [{}]: and {more} more (--max-faults)", fault.rule);
        }
    }
    if let Some(Contents::Raster(facts)) = &file.contents {
        let told = file.faults.iter().any(|fault| fault.rule == "cog");
        let reasons = facts.cog_errors.iter().map(|text| ("no COG", text));
        let hints = facts.cog_warnings.iter().map(|text| ("COG", text)).filter(|_| facts.cog);
        for (word, reason) in reasons.chain(hints).filter(|_| !told).take(MOST_FAULTS) {
            let _ = writeln!(t, "  {word}: {reason}");
        }
    }
    for note in &file.notes {
        let _ = writeln!(t, "  note: {note}");
    }
    t
}

fn raster(t: &mut String, facts: &RasterFacts) {
    let [width, height] = facts.size;
    let bands = if facts.bands == 1 { "1 band".to_owned() } else { format!("{} bands", facts.bands) };
    let _ = write!(t, ", {width} × {height}, {bands} {}", facts.sample_type);
    if !facts.overviews.is_empty() {
        let plural = if facts.overviews.len() == 1 { "" } else { "s" };
        let _ = write!(t, ", {} overview{plural}", facts.overviews.len());
    }
    let _ = write!(t, ", {} blocks", facts.blocks);
}

fn tiles(t: &mut String, facts: &TileFacts) {
    if let (Some(min), Some(max)) = (facts.min_zoom, facts.max_zoom) {
        let _ = write!(t, ", zoom {min}-{max}");
    }
    let _ = write!(t, ", {} tiles", facts.tiles);
    if facts.stored != facts.tiles {
        let _ = write!(t, " ({} stored)", facts.stored);
    }
    if let (Some(format), Some(pixels)) = (facts.format, facts.pixels) {
        let _ = write!(t, ", {format} of {pixels} pixels");
    }
    let _ = write!(t, ", {}", size(facts.bytes));
}
