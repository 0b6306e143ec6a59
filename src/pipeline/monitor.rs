//! A run seen from outside: progress to look at, and a way to stop it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use super::gate::{Gate, lock};
use crate::sync::Mutex;

/// Watches and stops runs, from any thread; clones belong together.
///
/// A monitor may watch several runs, one after the other or side by side: its counters add up, and
/// cancelling stops them all, including those that have not begun.
#[derive(Debug, Clone, Default)]
pub struct Monitor(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    reason: OnceLock<i32>,
    gates: Mutex<Vec<Weak<Gate>>>,
    read: AtomicU64,
    done: AtomicU64,
    results: AtomicU64,
}

impl Monitor {
    /// A monitor that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the runs and wakes their threads; `reason`, such as the number of a signal, becomes part of
    /// their error. Only the first call counts. Closures of the job that take long should look at
    /// [`cancelled`](Self::cancelled) now and then, as a run ends only when those in progress have returned.
    ///
    /// It takes locks, so it must not be called from within a signal handler itself.
    pub fn cancel(&self, reason: i32) {
        let _ = self.0.reason.set(reason);
        for gate in lock(&self.0.gates).iter().filter_map(Weak::upgrade) {
            gate.close();
        }
    }

    /// The reason, once the runs are cancelled.
    pub fn cancelled(&self) -> Option<i32> {
        self.0.reason.get().copied()
    }

    /// Tasks that were read.
    pub fn tasks_read(&self) -> u64 {
        self.0.read.load(Ordering::Relaxed)
    }

    /// Tasks whose results are all written.
    pub fn tasks_done(&self) -> u64 {
        self.0.done.load(Ordering::Relaxed)
    }

    /// Results that were written.
    pub fn results_written(&self) -> u64 {
        self.0.results.load(Ordering::Relaxed)
    }

    /// Closes `gate` when the runs are cancelled, at once if they are already.
    pub(super) fn watch(&self, gate: &Arc<Gate>) {
        let mut gates = lock(&self.0.gates);
        gates.retain(|other| other.strong_count() > 0);
        gates.push(Arc::downgrade(gate));
        drop(gates);
        if self.cancelled().is_some() {
            gate.close();
        }
    }

    pub(super) fn count_read(&self) {
        self.0.read.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_result(&self) {
        self.0.results.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_done(&self) {
        self.0.done.fetch_add(1, Ordering::Relaxed);
    }
}
