//! A command from its start to its end, as all have it that make one output, and the words that their reports share.

use std::fmt::Write;

use serde::Serialize;
use tileloom::Result;
use tileloom::job::effort::Effort;
use tileloom::pipeline::Monitor;

use super::machine::MachineArgs;
use super::progress::Progress;
use super::{CommonArgs, json, note, print, signals};

impl CommonArgs {
    /// Prints what a dry run has to say.
    pub(super) fn show(&self, preview: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        print(&if self.json { json(preview)? } else { text() })
    }

    /// Prints the report of a run, unless nothing is to be printed.
    pub(super) fn report(&self, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        if self.quiet && !self.json { Ok(()) } else { self.show(report, text) }
    }
}

/// Runs a job that signals cancel and whose progress is shown. The job calls what it is given with what the user should know of the
/// inputs and the number of tasks, before work begins.
pub fn watch<R>(
    common: &CommonArgs,
    machine: &MachineArgs,
    run: impl FnOnce(&Monitor, &mut dyn FnMut(&[String], usize)) -> Result<R>,
) -> Result<R> {
    let monitor = Monitor::new();
    signals::cancel_on_signal(&monitor);
    let mode = machine.mode(common.quiet);
    let mut display = None;
    let mut planned = |notes: &[String], total: usize| {
        if !common.quiet {
            for text in notes {
                note(&format!("note: {text}"));
            }
        }
        display = Some(Progress::start(mode, &monitor, total));
    };
    let result = run(&monitor, &mut planned);
    drop(display);
    result
}

/// A line for each text.
pub fn lines(t: &mut String, what: &str, texts: &[String]) {
    for text in texts {
        let _ = writeln!(t, "{what}: {text}");
    }
}

/// What a run took; with `stats` how busy each stage was, else what held it back.
pub fn effort(t: &mut String, effort: &Effort, stats: bool) {
    let memory = effort.peak_memory.map_or_else(String::new, |m| format!(", peak memory {}", size(m as u64)));
    if !stats {
        let _ = writeln!(t, "{:.2} s{memory}. {}", effort.seconds, effort.bottleneck);
        return;
    }
    let _ = writeln!(t, "{:.2} s{memory}\n{}", effort.seconds, effort.stats);
    if effort.decoded > 0 {
        let times = effort.decode_amplification;
        let _ = writeln!(t, "decoded {} of source pixels, each block {times:.2} times", size(effort.decoded));
    }
}

/// Bytes for people.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
