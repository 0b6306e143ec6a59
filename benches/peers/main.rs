//! tileloom beside the programs people use for the same job: each does it in turn, in one run, and what they used, what
//! came out and the ratios are printed as a markdown table.
//!
//! `cargo bench --bench peers -- [RASTER...]`; without a raster it makes one. `benches/README.md` tells more.

mod measure;
mod programs;
mod rasters;
mod tiles;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread::available_parallelism;

use clap::{Parser, ValueEnum};
use measure::{Others, Usage, median};
use programs::{Contestant, Task};
use tiles::{Container, Extent};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How many tiles of the highest level are compared pixel by pixel.
const COMPARED: usize = 64;

/// Compares tileloom with other tilers on the same rasters, and prints a markdown table.
#[derive(Debug, Parser)]
struct Args {
    /// Rasters of 8-bit samples to tile [default: one is made]
    rasters: Vec<PathBuf>,
    /// Measured rounds, after one that is not; medians are printed
    #[arg(short = 'n', long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Threads or processes each program may compute with [default: the processors granted]
    #[arg(short = 'j', long)]
    threads: Option<usize>,
    /// Jobs to run
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Jobs::ALL)]
    only: Vec<Jobs>,
    /// Instead of other programs, tileloom alone on squares of these sides, cut from or repeating each raster
    #[arg(long, value_delimiter = ',', require_equals = true, num_args = 0.., value_name = "SIDES",
          default_missing_values = ["1024", "2048", "4096", "8192", "16384"])]
    curve: Option<Vec<usize>>,
    /// Folder for what is made and deleted again [default: that for temporary files]
    #[arg(long, value_name = "FOLDER")]
    scratch: Option<PathBuf>,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Jobs {
    /// A folder of tiles, with `gdal raster tile`.
    Gdal,
    /// A folder of tiles, with `gdal2tiles.py`.
    #[value(name = "gdal2tiles")]
    Gdal2Tiles,
    /// A PMTiles archive, with `rio pmtiles`.
    Pmtiles,
    /// An MBTiles file, with `rio mbtiles`.
    Mbtiles,
    /// One processor against two.
    Processors,
}

impl Jobs {
    const ALL: [Self; 5] = [Self::Gdal, Self::Gdal2Tiles, Self::Pmtiles, Self::Mbtiles, Self::Processors];
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
    for raster in &rasters {
        let seen = describe(raster)?;
        let task = Task { raster: raster.clone(), levels: seen.levels, threads };
        let round = Rounds { scratch: scratch.path(), count: args.rounds, others: &mut others };
        match &args.curve {
            Some(sides) => curve(&task, &seen, sides, round)?,
            None => table(&task, &seen, &args.only, round)?,
        }
    }
    println!(
        "\nMedians of {} in turn, after a round that is not measured; `×` is the median over the rounds of the \
         program's figure divided by tileloom's. CPU time is user and system time of all processes, memory the peak of the \
         largest one; tileloom syncs and verifies its output within the time. {threads} threads each on {} processors \
         ({}), of which other processes used {:.0} % meanwhile; tileloom {} with {}.",
        if args.rounds == 1 { "1 round".to_owned() } else { format!("{} rounds", args.rounds) },
        processors(),
        processor(),
        others.percent(),
        env!("CARGO_PKG_VERSION"),
        gdal::version::version_info("--version").split(", released").next().unwrap_or("GDAL"),
    );
    Ok(())
}

/// What tileloom says of a raster.
struct Seen {
    /// Name, size and bands, for a heading.
    title: String,
    /// Lowest and highest level it would make.
    levels: (u8, u8),
}

fn describe(raster: &Path) -> Result<Seen> {
    let run = Command::new(env!("CARGO_BIN_EXE_tileloom")).args(["info", "--json"]).arg(raster).output()?;
    if !run.status.success() {
        return Err(String::from_utf8_lossy(&run.stderr).trim().into());
    }
    let info: serde_json::Value = serde_json::from_slice(&run.stdout)?;
    let level = |name: &str| info["tile"][name].as_u64().map(|z| z as u8).ok_or("no place on the map");
    let bands = info["bands"].as_array().map_or(0, Vec::len);
    let sample_type = info["bands"][0]["sample_type"].as_str().unwrap_or("?");
    let name = raster.file_name().unwrap_or_default().to_string_lossy();
    let title = format!("{name}: {} × {} pixels, {bands} × {sample_type}", info["size"][0], info["size"][1]);
    Ok(Seen { title, levels: (level("min_zoom")?, level("max_zoom")?) })
}

/// How measuring goes on.
struct Rounds<'a> {
    scratch: &'a Path,
    count: u16,
    others: &'a mut Others,
}

/// One who did the job once.
struct Entered {
    contestant: Contestant,
    extent: Extent,
    difference: Option<f64>,
    usage: Vec<Usage>,
}

impl Rounds<'_> {
    /// Runs a contestant once; its output is at the path that comes back.
    fn once(&self, contestant: &Contestant, task: &Task, name: &str) -> Result<(Usage, PathBuf)> {
        let output = contestant.container.path(self.scratch, name);
        eprintln!("{}", contestant.name);
        match measure::run(&contestant.command(task, &output), self.scratch) {
            Ok(usage) => Ok((usage, output)),
            Err(error) => {
                remove(&output)?;
                Err(error)
            }
        }
    }

    /// The round that is not measured: who fails here does not take part. Outputs are counted and compared with the first's.
    fn enter(&self, contestants: Vec<Contestant>, task: &Task) -> Result<(Vec<Entered>, Vec<String>)> {
        let (mut entered, mut skipped) = (Vec::new(), Vec::new());
        let mut first: Option<PathBuf> = None;
        for contestant in contestants {
            let name = format!("output{}", entered.len());
            let output = match self.once(&contestant, task, &name) {
                Ok((_, output)) => output,
                Err(error) if first.is_some() => {
                    skipped.push(format!("{}: {error}", contestant.name));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let extent = contestant.container.extent(&output)?;
            let difference = match &first {
                Some(first) => {
                    tiles::difference(contestant.container, [first, &output], task.levels.1, COMPARED)?
                }
                None => None,
            };
            if first.is_none() {
                first = Some(output);
            } else {
                remove(&output)?;
            }
            entered.push(Entered { contestant, extent, difference, usage: Vec::new() });
        }
        if let Some(first) = first {
            remove(&first)?;
        }
        Ok((entered, skipped))
    }

    /// One measured round of one contestant.
    fn measured(&mut self, contestant: &Contestant, task: &Task) -> Result<(Usage, Extent)> {
        let mut others = *self.others;
        let mut output = PathBuf::new();
        let usage = others.beside(|| {
            let (usage, path) = self.once(contestant, task, "output")?;
            output = path;
            Ok(usage)
        })?;
        *self.others = others;
        let extent = contestant.container.extent(&output)?;
        remove(&output)?;
        Ok((usage, extent))
    }
}

fn table(task: &Task, seen: &Seen, only: &[Jobs], mut rounds: Rounds<'_>) -> Result<()> {
    println!("\n{}, levels {} to {}\n", seen.title, task.levels.0, task.levels.1);
    println!("| job | program | CPU s | × | wall s | × | memory MB | tiles | MB | × | pixels off by |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    let wanted = |job: Jobs| only.contains(&job);
    let mut skipped = Vec::new();
    let mut present = |found: std::result::Result<Contestant, String>, list: &mut Vec<Contestant>| match found
    {
        Ok(contestant) => list.push(contestant),
        Err(why) => skipped.push(why),
    };
    let mut jobs: Vec<(&str, Vec<Contestant>)> = Vec::new();
    let mut folder = vec![programs::tileloom(Container::Folder)];
    if wanted(Jobs::Gdal) {
        present(programs::gdal_raster_tile(), &mut folder);
    }
    if wanted(Jobs::Gdal2Tiles) {
        present(programs::gdal2tiles(), &mut folder);
    }
    if wanted(Jobs::Gdal) || wanted(Jobs::Gdal2Tiles) {
        jobs.push(("PNG, folder", folder));
    }
    for (job, container, name) in [
        (Jobs::Pmtiles, Container::Pmtiles, "PNG, PMTiles"),
        (Jobs::Mbtiles, Container::Mbtiles, "PNG, MBTiles"),
    ] {
        if wanted(job) {
            let mut list = vec![programs::tileloom(container)];
            present(programs::rio(container), &mut list);
            jobs.push((name, list));
        }
    }
    if wanted(Jobs::Processors) {
        let mut list = Vec::new();
        for count in [2, 1] {
            present(programs::tileloom_on(count, Container::Folder), &mut list);
        }
        if list.len() == 2 {
            jobs.push(("one against two", list));
        }
    }
    for (name, contestants) in jobs {
        let (mut entered, failed) = rounds.enter(contestants, task)?;
        skipped.extend(failed);
        for _ in 0..rounds.count {
            for one in &mut entered {
                one.usage.push(rounds.measured(&one.contestant, task)?.0);
            }
        }
        rows(name, &entered);
    }
    if !skipped.is_empty() {
        println!("\nSkipped:\n");
        for why in &skipped {
            println!("- {why}");
        }
    }
    Ok(())
}

/// Prints the rows of a job: tileloom first, the others with their ratios to it.
fn rows(job: &str, entered: &[Entered]) {
    let Some(base) = entered.first() else { return };
    for (index, one) in entered.iter().enumerate() {
        let of = |figure: fn(&Usage) -> f64| median(one.usage.iter().map(figure));
        let ratio = |figure: fn(&Usage) -> f64| {
            let ratios = one.usage.iter().zip(&base.usage).map(|(a, b)| figure(a) / figure(b));
            if index == 0 { String::new() } else { format!("{:.2}", median(ratios)) }
        };
        let bytes = |n: u64| format!("{:.1}", n as f64 / 1e6);
        println!(
            "| {} | {} | {:.2} | {} | {:.2} | {} | {:.0} | {} | {} | {} | {} |",
            if index == 0 { job } else { "" },
            one.contestant.name,
            of(|u| u.cpu),
            ratio(|u| u.cpu),
            of(|u| u.wall),
            ratio(|u| u.wall),
            of(|u| u.memory as f64) / 1e6,
            one.extent.tiles,
            bytes(one.extent.bytes),
            if index == 0 {
                String::new()
            } else {
                format!("{:.3}", one.extent.bytes as f64 / base.extent.bytes as f64)
            },
            one.difference.map_or(String::new(), |d| format!("{d:.3}")),
        );
    }
}

/// How the cost of a megapixel of tiles depends on the size of the raster.
fn curve(task: &Task, seen: &Seen, sides: &[usize], mut rounds: Rounds<'_>) -> Result<()> {
    let contestant = programs::tileloom(Container::Pmtiles);
    // As many levels for all, or the coarse ones of small rasters, which are nearly empty, would look cheap.
    let levels = (task.levels.1.saturating_sub(6), task.levels.1);
    let mut runs = Vec::new();
    for side in sides {
        let vrt = rounds.scratch.join(format!("{side}.vrt"));
        rasters::crop_or_repeat(&task.raster, *side, &vrt)?;
        runs.push((side, Task { raster: vrt, levels, ..task.clone() }, Vec::new()));
    }
    if let Some((_, task, _)) = runs.first() {
        let (_, output) = rounds.once(&contestant, task, "output")?;
        remove(&output)?;
    }
    for _ in 0..rounds.count {
        for (_, task, results) in &mut runs {
            results.push(rounds.measured(&contestant, task)?);
        }
    }
    println!("\n{}: crops and repeats of it, levels {} to {}, PMTiles\n", seen.title, levels.0, levels.1);
    println!("| side | tiles | CPU s | CPU ms per Mpx of tiles | wall ms per Mpx | memory MB |");
    println!("|--:|--:|--:|--:|--:|--:|");
    for (side, _, results) in &runs {
        let of = |figure: fn(&Usage) -> f64| median(results.iter().map(|(usage, _)| figure(usage)));
        let tiles = results.first().map_or(0, |(_, extent)| extent.tiles);
        let megapixels = tiles as f64 * 0.065_536;
        println!(
            "| {side} | {tiles} | {:.2} | {:.1} | {:.1} | {:.0} |",
            of(|u| u.cpu),
            of(|u| u.cpu) * 1e3 / megapixels,
            of(|u| u.wall) * 1e3 / megapixels,
            of(|u| u.memory as f64) / 1e6,
        );
    }
    Ok(())
}

/// Removes a file or folder that may be there.
fn remove(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Ok(fs::remove_dir_all(path)?),
        Ok(_) => Ok(fs::remove_file(path)?),
        Err(_) => Ok(()),
    }
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
