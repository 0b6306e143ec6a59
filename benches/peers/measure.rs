//! Running a program and measuring what it used.
//!
//! The operating system counts the peak memory of a process from that of the one it was forked from, so programs are
//! not started by the benchmark itself, which has held pixels, but by a small relay: the benchmark once more, fresh.
//! CPU time is that of the program and of all its descendants that were waited for.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::{Deserialize, Serialize};

use crate::Result;

/// The first argument that makes the benchmark a relay; then come a file for what the program prints, and the command.
pub const RELAY: &str = "--relay";
/// Stands between commands that run one after the other.
const THEN: &str = "--then";

/// What a run used.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Seconds of CPU time, user and system, of the whole process tree.
    pub cpu: f64,
    /// Seconds from start to end.
    pub wall: f64,
    /// Peak resident memory of the largest process of the tree, bytes.
    pub memory: u64,
    /// Whether the program ended well.
    ended_well: bool,
}

/// Runs the commands in the arguments after [`RELAY`] and prints their [`Usage`] as JSON.
pub fn relay(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let usage = || -> Result<Usage> {
        let log = File::create(args.next().ok_or("no file for the log")?)?;
        let args: Vec<OsString> = args.collect();
        let begun = Instant::now();
        let mut ended_well = true;
        for command in args.split(|arg| arg == THEN) {
            let [program, args @ ..] = command else { return Err("no program".into()) };
            let mut command = Command::new(program);
            let command = command.args(args).stdin(Stdio::null());
            let status = command.stdout(log.try_clone()?).stderr(log.try_clone()?).spawn()?.wait()?;
            ended_well = ended_well && status.success();
        }
        let wall = begun.elapsed().as_secs_f64();
        let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
        let cpu = (used.user_time() + used.system_time()).num_microseconds() as f64 / 1e6;
        Ok(Usage { cpu, wall, memory: used.max_rss() as u64 * 1024, ended_well })
    };
    match usage().and_then(|usage| Ok(serde_json::to_string(&usage)?)) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs commands one after the other and measures them together; an error quotes the last line they printed. Data still
/// waiting to be written by whoever ran before is written first, lest this run pays for it.
pub fn run<S: AsRef<OsStr>>(commands: &[Vec<S>], scratch: &Path) -> Result<Usage> {
    rustix::fs::sync();
    let log = scratch.join("log");
    let commands: Vec<Vec<&OsStr>> = commands.iter().map(|c| c.iter().map(AsRef::as_ref).collect()).collect();
    let args = commands.join(&OsStr::new(THEN));
    let relay = Command::new(std::env::current_exe()?)
        .arg(RELAY)
        .arg(&log)
        .args(args)
        .stdin(Stdio::null())
        .output()?;
    if !relay.status.success() {
        return Err(String::from_utf8_lossy(&relay.stderr).trim().into());
    }
    let usage: Usage = serde_json::from_slice(&relay.stdout)?;
    if usage.ended_well {
        return Ok(usage);
    }
    let log = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    Err(log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("failed without a word").trim().into())
}

/// How busy the machine was with other things while runs were measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Others {
    busy: f64,
    granted: f64,
}

impl Others {
    /// Measures a run, and what all other processes did meanwhile.
    pub fn beside(&mut self, run: impl FnOnce() -> Result<Usage>) -> Result<Usage> {
        let (busy, idle) = processors();
        let usage = run()?;
        let (busy_then, idle_then) = processors();
        self.busy += (busy_then - busy - usage.cpu).max(0.0);
        self.granted += busy_then - busy + idle_then - idle;
        Ok(usage)
    }

    /// The share of the machine's processors that others used, per cent.
    pub fn percent(self) -> f64 {
        100.0 * self.busy / self.granted.max(1e-9)
    }
}

/// Seconds all processors together were busy and idle since the machine started; zeros where there is no `/proc`.
fn processors() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> = stat.lines().next().map_or_else(Vec::new, |line| {
        line.split_whitespace().skip(1).take(8).filter_map(|n| n.parse().ok()).collect()
    });
    // user, nice, system, idle, iowait, irq, softirq, steal; Linux shows hundredths of a second.
    let &[user, nice, system, idle, iowait, irq, softirq, steal] = ticks.as_slice() else {
        return (0.0, 0.0);
    };
    ((user + nice + system + irq + softirq + steal) / 100.0, (idle + iowait) / 100.0)
}

/// The middle of some numbers.
pub fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}
