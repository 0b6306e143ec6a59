//! How much of the machine a command takes, and what it shows while it works.

use clap::Args;
use tileloom::job::machine::default_memory;
use tileloom::{Error, Result};

use super::parse;
use super::progress::Mode;

/// Options of all commands that work for long.
#[derive(Debug, Args)]
pub struct MachineArgs {
    /// Threads that compute [default: the processors granted].
    #[arg(short = 'j', long, visible_alias = "num-threads", alias = "processes", value_name = "N")]
    threads: Option<usize>,
    /// Threads that read [default: as many as compute].
    #[arg(long, value_name = "N")]
    readers: Option<usize>,
    /// Memory the whole program should stay within, for instance 500M [default: a quarter of the machine's, 128M to 256M, and 4M for each thread beyond two].
    #[arg(long, value_name = "SIZE", value_parser = parse::memory)]
    memory: Option<usize>,
    /// How to show progress on standard error.
    #[arg(long, value_enum, default_value = "auto")]
    progress: Mode,
    /// Print how busy each stage was.
    #[arg(long)]
    pub stats: bool,
}

impl MachineArgs {
    /// Puts what is asked for in the place of defaults; `GDAL_NUM_THREADS` counts, too.
    pub fn apply(&self, threads: &mut usize, readers: &mut usize, memory: &mut usize) -> Result<()> {
        for (name, count) in [("--threads", self.threads), ("--readers", self.readers)] {
            if let Some(n) = count.filter(|n| !(1..=1024).contains(n)) {
                return Err(Error::Usage(format!("{name} {n}: give 1 to 1024")));
            }
        }
        let granted = std::env::var("GDAL_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|n| *n > 0);
        *threads = self.threads.or(granted).unwrap_or(*threads);
        *readers = self.readers.unwrap_or(*threads);
        *memory = self.memory.unwrap_or_else(|| default_memory(*readers, *threads));
        Ok(())
    }

    /// How progress is shown.
    pub fn mode(&self, quiet: bool) -> Mode {
        if quiet { Mode::None } else { self.progress }
    }
}
