//! tileloom beside the programs people use for the same job: each does it in turn, in one run, and what they used, what
//! came out and the ratios are printed as markdown tables.
//!
//! `cargo bench --bench peers -- [RASTER...]`; without a raster it makes one. `benches/README.md` tells more.

mod chips;
mod curve;
mod jobs;
mod measure;
mod programs;
mod rasters;
mod rounds;
mod seen;
mod start;
mod table;
mod tiles;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::available_parallelism;

use clap::Parser;

use jobs::Job;
use measure::Others;
use programs::Task;
use rounds::Rounds;
use seen::Seen;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Compares tileloom with other tilers on the same rasters, and prints markdown tables.
#[derive(Debug, Parser)]
struct Args {
    /// Rasters to tile [default: one is made]
    rasters: Vec<PathBuf>,
    /// Measured rounds, after one that is not; medians are printed
    #[arg(short = 'n', long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Threads or processes each program may compute with [default: the processors granted]
    #[arg(short = 'j', long)]
    threads: Option<usize>,
    /// Jobs to run [default: all that make sense of the raster]
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Job::ALL)]
    only: Vec<Job>,
    /// Instead of other programs, tileloom alone on squares of these sides, cut from or repeating each raster
    #[arg(long, value_delimiter = ',', require_equals = true, num_args = 0.., value_name = "SIDES",
          default_missing_values = ["2048", "4096", "8192", "16384", "32768", "65536"])]
    curve: Option<Vec<usize>>,
    /// Folder for what is made and deleted again [default: that for temporary files]
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    match args.peek() {
        None => {
            println!("This takes minutes: `cargo bench --bench peers` runs it.");
            return ExitCode::SUCCESS;
        }
        Some(first) if first == measure::RELAY => return measure::relay(args.skip(1)),
        Some(_) => {}
    }
    match compare(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(args: &Args) -> Result<()> {
    let scratch = match &args.scratch {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let mut rasters = args.rasters.clone();
    if rasters.is_empty() {
        rasters.push(scratch.path().join("noise.tif"));
        rasters::make(&rasters[0])?;
    }
    let threads = args.threads.unwrap_or_else(processors);
    let mut others = Others::default();
    let mut lines = Vec::new();
    for (number, raster) in rasters.iter().enumerate() {
        let folder = scratch.path().join(number.to_string());
        fs::create_dir(&folder)?;
        let seen = Seen::new(raster)?;
        let mut task = Task {
            rasters: vec![raster.clone()],
            scale: seen.scale,
            stretched: raster.clone(),
            levels: seen.levels,
            threads,
            scratch: folder.clone(),
        };
        if let Some(scale) = seen.scale.filter(|_| !seen.heights) {
            task.stretched = folder.join("stretched.vrt");
            rasters::stretch(raster, scale, &task.stretched)?;
        }
        let mut rounds = Rounds::new(folder.clone(), args.rounds, &mut others);
        match &args.curve {
            Some(sides) => curve::print(&task, &seen, sides, &mut rounds)?,
            None => lines.extend(table::print(&task, &seen, &args.only, &mut rounds)?),
        }
        if args.curve.is_none() && args.only.contains(&Job::Split) {
            chips::print(raster, &seen, threads, args.rounds, &folder)?;
        }
        // Only now: ext4 is slow to create files for some minutes after as many were deleted, and the next run would pay.
        fs::remove_dir_all(folder)?;
    }
    if args.curve.is_none() && args.only.contains(&Job::Start) {
        start::print(scratch.path())?;
    }
    if !lines.is_empty() {
        table::summary(&lines);
    }
    println!("\n{}", conditions(args.rounds, threads, &others));
    Ok(())
}

fn conditions(rounds: u16, threads: usize, others: &Others) -> String {
    format!(
        "Medians of {} in turn, after a round that is not measured; `×` is the median over the rounds of the \
         program's figure divided by tileloom's. CPU time is user and system time of all processes, memory the peak of the \
         largest one; tileloom syncs and verifies its output within the time. {threads} threads each on {} processors \
         ({}), of which other processes used {:.0} % meanwhile; tileloom {} with {}; {}.",
        if rounds == 1 { "1 round".to_owned() } else { format!("{rounds} rounds") },
        processors(),
        processor(),
        others.percent(),
        env!("CARGO_PKG_VERSION"),
        gdal::version::version_info("--version").split(", released").next().unwrap_or("GDAL"),
        programs::versions().join(", "),
    )
}

fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// What the processor calls itself.
fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split(':').nth(1));
    name.map_or("of an unknown kind".to_owned(), |name| name.trim().to_owned())
}
