//! Progress on standard error: a bar on a terminal, plain lines elsewhere, or JSON lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tileloom::pipeline::Monitor;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// A bar on a terminal, plain lines elsewhere.
    Auto,
    /// A bar.
    Bar,
    /// A line now and then.
    Plain,
    /// A JSON object per line.
    Json,
    /// Nothing.
    None,
}

/// A display that runs until it is dropped.
pub struct Progress {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Shows how many of `total` tasks are done.
    pub fn start(mode: Mode, monitor: &Monitor, total: usize) -> Self {
        let mode = match mode {
            Mode::Auto if super::stderr_is_terminal() => Mode::Bar,
            Mode::Auto => Mode::Plain,
            other => other,
        };
        let stop = Arc::new(AtomicBool::new(false));
        if mode == Mode::None {
            return Self { stop, thread: None };
        }
        let (seen, monitor) = (Arc::clone(&stop), monitor.clone());
        let show = move || {
            let mut display = Display::new(mode, total as u64);
            while !seen.load(Ordering::Relaxed) {
                display.update(monitor.tasks_done());
                std::thread::park_timeout(Duration::from_millis(100));
            }
            display.end(monitor.tasks_done());
        };
        // A run without a display is still a run.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(show).ok();
        Self { stop, thread }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

struct Display {
    mode: Mode,
    total: u64,
    begun: Instant,
    said: Instant,
    percent: u64,
    bar: Option<ProgressBar>,
}

impl Display {
    fn new(mode: Mode, total: u64) -> Self {
        let bar = (mode == Mode::Bar).then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = "{wide_bar} {percent:>3} %  {pos}/{len}  {elapsed} of {duration}";
            ProgressStyle::with_template(style).map_or_else(|_| bar.clone(), |s| bar.clone().with_style(s))
        });
        let now = Instant::now();
        Self { mode, total, begun: now, said: now, percent: 0, bar }
    }

    fn update(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            return;
        }
        let percent = done * 100 / self.total.max(1);
        let waited = self.said.elapsed();
        // Every tenth, but not more than one line a second; and a sign of life every half minute.
        let due = percent / 10 > self.percent / 10 && waited >= Duration::from_secs(1);
        if due || waited >= Duration::from_secs(30) {
            self.say(done, percent);
        }
    }

    fn say(&mut self, done: u64, percent: u64) {
        (self.percent, self.said) = (percent, Instant::now());
        let seconds = self.begun.elapsed().as_secs_f64();
        super::note(&if self.mode == Mode::Json {
            format!(
                r#"{{"event":"progress","done":{done},"total":{},"percent":{percent},"seconds":{seconds:.1}}}"#,
                self.total
            )
        } else {
            format!("{percent:3} %  {done} of {} blocks  {seconds:.0} s", self.total)
        });
    }

    fn end(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        } else if done == self.total && (self.mode == Mode::Json || self.percent > 0) {
            self.say(done, 100);
        }
    }
}
