//! The gate between plan and readers: bounds the bytes in flight, and closes when a run must stop.

use std::sync::PoisonError;

use crate::sync::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering};

/// Locks a mutex whose holder may have panicked; nothing here is left half-changed by a panic.
pub(super) fn lock<X>(mutex: &Mutex<X>) -> MutexGuard<'_, X> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands out permits worth `memory` bytes altogether.
///
/// At most one thread waits at a time: the reader whose turn it is, which holds the lock of the plan. The
/// others wait for that lock. So a permit given back wakes no thread in vain.
#[derive(Debug)]
pub(super) struct Gate {
    memory: usize,
    closed: AtomicBool,
    state: Mutex<State>,
    opened: Condvar,
}

#[derive(Debug, Default)]
struct State {
    in_flight: usize,
    peak: usize,
    /// What the waiting reader needs; 0 when none waits.
    wanted: usize,
}

/// A share of the memory; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Permit<'g> {
    gate: &'g Gate,
    cost: usize,
}

impl Gate {
    pub(super) fn new(memory: usize) -> Self {
        Self { memory, closed: AtomicBool::new(false), state: Mutex::default(), opened: Condvar::new() }
    }

    /// Waits until `cost` bytes are free. `None` when the gate is closed. The cost must not exceed the memory.
    pub(super) fn enter(&self, cost: usize) -> Option<Permit<'_>> {
        let mut state = lock(&self.state);
        while !self.is_closed() {
            if cost <= self.memory - state.in_flight {
                state.in_flight += cost;
                state.peak = state.peak.max(state.in_flight);
                return Some(Permit { gate: self, cost });
            }
            state.wanted = cost;
            state = self.opened.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        None
    }

    /// Lets nobody in any more and wakes who waits.
    pub(super) fn close(&self) {
        // Under the lock, or a reader that has just found the gate open would sleep through it.
        let state = lock(&self.state);
        self.closed.store(true, Ordering::Release);
        drop(state);
        self.opened.notify_all();
    }

    /// Whether the run must stop.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The most bytes that were in flight at once.
    pub(super) fn peak(&self) -> usize {
        lock(&self.state).peak
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.gate.state);
        state.in_flight -= self.cost;
        let wake = state.wanted > 0 && state.wanted <= self.gate.memory - state.in_flight;
        if wake {
            state.wanted = 0;
        }
        drop(state);
        if wake {
            self.gate.opened.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn lets_in_as_soon_as_enough_is_given_back() {
        let gate = Gate::new(10);
        let [first, second] = [4, 5].map(|cost| gate.enter(cost));
        thread::scope(|scope| {
            let (entered, entry) = channel();
            let gate = &gate;
            scope.spawn(move || entered.send(gate.enter(5).is_some()));
            assert!(entry.recv_timeout(SHORT).is_err(), "9 of 10 are taken");
            drop(first);
            assert!(entry.recv_timeout(LONG).is_ok(), "5 of 10 are taken");
            drop(second);
        });
    }

    #[test]
    fn closing_wakes_who_waits_though_nothing_is_given_back() {
        let gate = Gate::new(10);
        let all = gate.enter(10);
        thread::scope(|scope| {
            let (entered, entry) = channel();
            let gate = &gate;
            scope.spawn(move || entered.send(gate.enter(1).is_some()));
            assert!(entry.recv_timeout(SHORT).is_err());
            gate.close();
            assert_eq!(entry.recv_timeout(LONG), Ok(false));
            drop(all);
        });
        assert!(gate.enter(1).is_none());
        assert_eq!(gate.peak(), 10);
    }
}
