//! Ctrl-C and SIGTERM end a run as an error, so that nothing torn is left; a second one ends the process at once. And the limits of the
//! process.

use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use tileloom::pipeline::Monitor;

/// A file that grows beyond the limit of the process (`ulimit -f`) is an error of the call that writes, not the end of the process.
pub fn survive_file_limit() {
    // Without it a run ends as it would have without us.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// Allows as many open files as the system lets a process ask for: often 1024 are allowed at first, and a spool is several files.
pub fn allow_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it a job of fewer shards succeeds as it would have without us.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Cancels a run on the first signal. Listens on a thread of its own for as long as the process lives.
pub fn cancel_on_signal(monitor: &Monitor) {
    let monitor = monitor.clone();
    on_signal(move |signal| {
        super::note("tileloom: stopping (once more to stop at once)");
        monitor.cancel(signal);
    });
}

/// Does something on the first signal, likewise.
pub fn on_signal(act: impl Fn(i32) + Send + 'static) {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
    let listen = move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(128 + signal);
            }
            act(signal);
        }
    };
    // Without the thread a signal ends the process as it would have without us.
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(listen);
}
