//! How busy each stage of a run was, and which one held it up.

use std::fmt;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

/// A stage that is busy for this share of its time is full.
const FULL: f64 = 0.75;

/// What the threads of one stage did. Times are sums over the threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StageStats {
    /// Number of threads.
    pub threads: usize,
    /// Time at work, on the clock: it includes waiting for a core where threads outnumber the cores.
    #[serde(rename = "busy_s", serialize_with = "seconds")]
    pub busy: Duration,
    /// Time waiting: readers for their permit, the pool for work, the writer for results.
    #[serde(rename = "waiting_s", serialize_with = "seconds")]
    pub waiting: Duration,
}

/// How busy each stage of a run was. Serialised durations are seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Opening and reading.
    pub readers: StageStats,
    /// Processing.
    pub pool: StageStats,
    /// Creating the sink and writing.
    pub writer: StageStats,
    /// Finishing the sink, on the writer thread when all others have nothing left to do.
    #[serde(rename = "finish_s", serialize_with = "seconds")]
    pub finish: Duration,
    /// The whole run, from start to end.
    #[serde(rename = "wall_s", serialize_with = "seconds")]
    pub wall: Duration,
    /// Tasks whose results were all written.
    pub tasks: u64,
    /// Results written.
    pub results: u64,
    /// Most bytes in flight at once, by the tasks' own account.
    pub peak_memory: usize,
    /// Bytes allowed in flight.
    pub memory: usize,
    /// Processors this process may use.
    pub cores: usize,
}

impl StageStats {
    /// Adds what one thread did.
    pub(super) fn add(&mut self, clock: &Clock) {
        self.busy += clock.busy;
        self.waiting += clock.waiting;
    }
}

impl Stats {
    pub(super) fn new(readers: usize, threads: usize, memory: usize) -> Self {
        let stage = |threads| StageStats { threads, ..StageStats::default() };
        Self {
            readers: stage(readers),
            pool: stage(threads),
            writer: stage(1),
            memory,
            cores: available_parallelism().map_or(1, usize::from),
            ..Self::default()
        }
    }

    /// Takes the length of the run and derives from it how long the pool waited.
    pub(super) fn conclude(&mut self, wall: Duration) {
        self.wall = wall;
        let threads = u32::try_from(self.pool.threads).unwrap_or(u32::MAX);
        self.pool.waiting = self.flow().saturating_mul(threads).saturating_sub(self.pool.busy);
    }

    /// The time in which all stages could work: without finishing the sink.
    fn flow(&self) -> Duration {
        self.wall.saturating_sub(self.finish)
    }

    /// Share of its time (0 to 1) that a stage was busy, until finishing began.
    pub fn busy_share(&self, stage: &StageStats) -> f64 {
        self.share(stage, stage.busy)
    }

    /// Share of its time (0 to 1) that a stage waited, until finishing began.
    pub fn waiting_share(&self, stage: &StageStats) -> f64 {
        self.share(stage, stage.waiting)
    }

    fn share(&self, stage: &StageStats, time: Duration) -> f64 {
        let available = self.flow().as_secs_f64() * stage.threads as f64;
        if available > 0.0 { (time.as_secs_f64() / available).min(1.0) } else { 0.0 }
    }

    /// How many pool threads one writer keeps up with, for a job like this: the pool's busy time over the
    /// writer's. Trust it only where threads did not compete for cores, best from
    /// [`run_serial`](super::run_serial). `None` when the writer had nothing to do.
    pub fn threads_per_writer(&self) -> Option<f64> {
        let writer = self.writer.busy.as_secs_f64();
        (writer > 0.0).then(|| self.pool.busy.as_secs_f64() / writer)
    }

    /// Which stage held the run up and what would help, in one sentence.
    pub fn bottleneck(&self) -> String {
        if self.tasks == 0 {
            return "There was nothing to do.".to_owned();
        }
        let wall = self.wall.as_secs_f64();
        if self.finish.as_secs_f64() > wall / 2.0 {
            let share = percent(self.finish.as_secs_f64() / wall);
            return format!("Finishing the output took {share} of the time: more threads would not help.");
        }
        let [readers, pool, writer] =
            [&self.readers, &self.pool, &self.writer].map(|stage| self.busy_share(stage));
        let fullest = readers.max(pool).max(writer);
        let waiting = self.waiting_share(&self.readers);
        if fullest < FULL && waiting >= 0.5 {
            return format!(
                "The readers wait for memory {} of the time while pool and writer are not full: more --memory would help.",
                percent(waiting)
            );
        }
        let share = percent(fullest);
        if fullest < FULL {
            format!(
                "No stage is full (the busiest is busy {share} of the time): the run is too short to tell."
            )
        } else if writer >= fullest {
            format!("The writer is busy {share} of the time: it sets the pace, more threads would not help.")
        } else if readers >= fullest {
            format!("The readers are busy {share} of the time: more --readers would help.")
        } else if self.pool.threads < self.cores {
            format!("The pool is busy {share} of the time: more --threads would help.")
        } else {
            format!("The pool is busy {share} of the time and uses every core: only more cores would help.")
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<8}{:>8}{:>19}{:>19}", "stage", "threads", "busy", "waiting")?;
        for (name, stage) in [("readers", &self.readers), ("pool", &self.pool), ("writer", &self.writer)] {
            writeln!(
                f,
                "{name:<8}{:>8}{:>10.2} s{:>7}{:>10.2} s{:>7}",
                stage.threads,
                stage.busy.as_secs_f64(),
                percent(self.busy_share(stage)),
                stage.waiting.as_secs_f64(),
                percent(self.waiting_share(stage)),
            )?;
        }
        writeln!(f, "{:<8}{:>8}{:>10.2} s", "finish", 1, self.finish.as_secs_f64())?;
        writeln!(
            f,
            "{} tasks, {} results in {:.2} s, at most {:.1} of {:.1} MB in flight",
            self.tasks,
            self.results,
            self.wall.as_secs_f64(),
            self.peak_memory as f64 / 1e6,
            self.memory as f64 / 1e6,
        )?;
        f.write_str(&self.bottleneck())
    }
}

/// A share as a whole percentage.
fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Splits a thread's time into work and waiting: each call books the time since the one before.
#[derive(Debug)]
pub(super) struct Clock {
    last: Instant,
    pub busy: Duration,
    pub waiting: Duration,
    pub finish: Duration,
    pub tasks: u64,
    pub results: u64,
}

impl Clock {
    pub fn start() -> Self {
        let zero = Duration::ZERO;
        Self { last: Instant::now(), busy: zero, waiting: zero, finish: zero, tasks: 0, results: 0 }
    }

    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now - std::mem::replace(&mut self.last, now)
    }

    /// The thread was working until now.
    pub fn worked(&mut self) {
        let lap = self.lap();
        self.busy += lap;
    }

    /// The thread was waiting until now.
    pub fn waited(&mut self) {
        let lap = self.lap();
        self.waiting += lap;
    }

    /// The thread was finishing the sink until now.
    pub fn finished(&mut self) {
        let lap = self.lap();
        self.finish += lap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run of 10 s on 8 cores with 2 readers and 4 pool threads; shares are of each stage's time.
    fn stats(readers: (f64, f64), pool: f64, writer: f64) -> Stats {
        let mut stats = Stats::new(2, 4, 64_000_000);
        let seconds = Duration::from_secs_f64;
        stats.cores = 8;
        (stats.tasks, stats.results, stats.peak_memory) = (120, 480, 63_200_000);
        stats.readers.busy = seconds(20.0 * readers.0);
        stats.readers.waiting = seconds(20.0 * readers.1);
        stats.pool.busy = seconds(40.0 * pool);
        stats.writer.busy = seconds(10.0 * writer);
        stats.conclude(seconds(10.0));
        stats
    }

    #[test]
    fn names_the_stage_that_is_full() {
        let pool = "The pool is busy 97 % of the time: more --threads would help.";
        assert_eq!(stats((0.3, 0.7), 0.97, 0.5).bottleneck(), pool);
        let readers = "The readers are busy 96 % of the time: more --readers would help.";
        assert_eq!(stats((0.96, 0.0), 0.4, 0.1).bottleneck(), readers);
        let writer = "The writer is busy 99 % of the time: it sets the pace, more threads would not help.";
        assert_eq!(stats((0.2, 0.8), 0.9, 0.99).bottleneck(), writer);
    }

    #[test]
    fn does_not_recommend_more_threads_than_cores() {
        let mut stats = stats((0.3, 0.7), 0.97, 0.5);
        stats.cores = 4;
        let expected = "The pool is busy 97 % of the time and uses every core: only more cores would help.";
        assert_eq!(stats.bottleneck(), expected);
    }

    #[test]
    fn names_memory_when_readers_wait_for_it_and_nothing_is_full() {
        let bottleneck = stats((0.2, 0.8), 0.5, 0.3).bottleneck();
        assert!(bottleneck.ends_with("more --memory would help."), "{bottleneck}");
    }

    #[test]
    fn names_no_stage_when_none_is_full() {
        assert!(stats((0.3, 0.1), 0.6, 0.3).bottleneck().contains("busiest is busy 60 %"));
        assert_eq!(Stats::new(1, 1, 1).bottleneck(), "There was nothing to do.");
    }

    #[test]
    fn finishing_counts_apart_from_writing() {
        let mut stats = stats((0.1, 0.8), 0.1, 0.1);
        stats.finish = Duration::from_secs(8);
        stats.conclude(Duration::from_secs(10));
        assert!(stats.bottleneck().starts_with("Finishing the output took 80 %"));
        assert!((stats.busy_share(&stats.writer) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn prints_a_table_and_serialises_seconds() {
        let stats = stats((0.3, 0.7), 0.97, 0.5);
        let expected = "\
stage    threads               busy            waiting
readers        2      6.00 s   30 %     14.00 s   70 %
pool           4     38.80 s   97 %      1.20 s    3 %
writer         1      5.00 s   50 %      0.00 s    0 %
finish         1      0.00 s
120 tasks, 480 results in 10.00 s, at most 63.2 of 64.0 MB in flight
The pool is busy 97 % of the time: more --threads would help.";
        assert_eq!(stats.to_string(), expected);
        let json = serde_json::to_value(stats).unwrap();
        assert_eq!(json["pool"]["busy_s"], 38.8);
        assert_eq!(json["wall_s"], 10.0);
        assert_eq!(stats.threads_per_writer().map(|n| (n * 100.0).round()), Some(776.0));
    }
}
