//! The command line: flags become a job that is valid by construction; nothing of clap enters the library.

mod calc;
mod check;
mod cog;
mod convert;
mod faults;
mod format;
mod grid;
mod info;
mod machine;
mod ops;
mod parse;
mod picture;
mod progress;
mod session;
mod shards;
mod signals;
mod split;
mod terrain;
mod tile;
mod validity;
mod view;
mod warp;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tileloom::raster::environment;
use tileloom::{Error, Result};

/// Rasters to tiles: fast, in bounded memory, straight into the final file.
#[derive(Debug, Parser)]
#[command(name = "tileloom", version, about, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed, or done with skipped windows; 2 wrong usage; 3 an input cannot be read or holds nothing to \
                          tile; 4 the output cannot be written; 5 `check` found faults; 6 `merge` lacks shards; 75 worth another attempt; 130, 143 stopped by Ctrl-C, SIGTERM.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Turn rasters into web map tiles.
    Tile(Box<tile::TileArgs>),
    /// Compute with the bands of rasters, into one raster.
    Calc(Box<calc::CalcArgs>),
    /// Say what operations `calc` knows.
    Ops(ops::OpsArgs),
    /// Bring rasters onto another grid, into one raster: reproject, resample, put together, cut out.
    Warp(Box<warp::WarpArgs>),
    /// Turn rasters into a cloud-optimised GeoTIFF.
    Cog(Box<cog::CogArgs>),
    /// Cut rasters into chips, for machine learning and for retiling.
    Split(Box<split::SplitArgs>),
    /// Copy a tile set into another container, checking every tile.
    Convert(convert::ConvertArgs),
    /// Say whether GeoTIFFs and tile sets are sound, and what is wrong with them.
    Check(check::CheckArgs),
    /// Say what tileloom sees in a raster and what `tile` would do with it.
    Info(info::InfoArgs),
    /// Look at a tile set in a browser.
    View(view::ViewArgs),
    /// Divide a job into shards for many machines.
    Plan(shards::PlanArgs),
    /// Make a shard of a planned job.
    Run(shards::RunArgs),
    /// Put the shards of a planned job together.
    Merge(shards::MergeArgs),
}

/// Options that all commands share.
#[derive(Debug, Args)]
struct CommonArgs {
    /// Print the result as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// Print nothing but errors.
    #[arg(short, long)]
    quiet: bool,
    /// Also print GDAL's warnings.
    #[arg(short, long)]
    verbose: bool,
    /// GDAL configuration option; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
}

impl CommonArgs {
    /// Puts the settings of GDAL in force.
    fn apply(&self) -> Result<()> {
        let verbose = self.verbose && !self.quiet;
        environment::prepare(&self.config, move |text| {
            if verbose {
                note(&format!("GDAL: {text}"));
            }
        })
    }
}

/// Parses the command line and runs what it says.
pub fn main() -> ExitCode {
    signals::survive_file_limit();
    let cli = Cli::parse_from(calc::normalised(parse::normalised(std::env::args_os())));
    let result = match &cli.command {
        Command::Tile(args) => tile::run(args),
        Command::Calc(args) => calc::run(args),
        Command::Ops(args) => ops::run(args),
        Command::Warp(args) => warp::run(args),
        Command::Cog(args) => cog::run(args),
        Command::Split(args) => split::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Check(args) => check::run(args),
        Command::Info(args) => info::run(args),
        Command::View(args) => view::run(args),
        Command::Plan(args) => shards::plan(args),
        Command::Run(args) => shards::run(args),
        Command::Merge(args) => shards::merge(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("tileloom: {}", chain(&error)));
            if let Error::Expression(expression) = &error {
                note(&expression.pointer());
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// An error and what caused it on one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A line on standard error; when that is closed nobody can be told.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes the result to standard output. A reader that has gone away, as `head` does, is no failure.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::output("standard output", e.to_string()))
        }
        _ => Ok(()),
    }
}

/// JSON with a line's end.
fn json(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::Internal(e.to_string()))?;
    Ok(text + "\n")
}

fn stderr_is_terminal() -> bool {
    std::io::stderr().is_terminal()
}
