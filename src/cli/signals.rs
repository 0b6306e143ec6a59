//! Ctrl-C and SIGTERM end a run as an error, so that nothing torn is left; a second one ends the process at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tileloom::pipeline::Monitor;

/// Listens on a thread of its own for as long as the process lives.
pub fn cancel_on_signal(monitor: &Monitor) {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
    let monitor = monitor.clone();
    let listen = move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(128 + signal);
            }
            super::note("tileloom: stopping (once more to stop at once)");
            monitor.cancel(signal);
        }
    };
    // Without the thread a signal ends the process as it would have without us.
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(listen);
}
