//! The gate and the cache of chunks under a model checker: every order of events that a few threads can have.
//!
//! `RUSTFLAGS="--cfg model" LOOM_MAX_PREEMPTIONS=3 cargo test --release --lib model` runs it. A deadlock, a panic or an assertion
//! in any of the orders fails the test.

use loom::sync::mpsc::channel;
use loom::thread;

use super::gate::{Gate, Permit, lock};
use crate::block::{Block, SampleType, Samples, Validity};
use crate::raster::chunks::{ChunkCache, ChunkKey};
use crate::sync::Mutex;
use crate::window::Window;

/// A value for as long as the process lives: threads of the checker outlive the scope that starts them.
fn leaked<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// A reader as [`threads`](super::threads) has them: its turn in the plan and its permit are taken together.
fn take(plan: &Mutex<u32>, gate: &'static Gate, cost: usize) -> Option<Permit<'static>> {
    let mut left = lock(plan);
    if gate.is_closed() || *left == 0 {
        return None;
    }
    *left -= 1;
    gate.enter(cost)
}

#[test]
fn every_task_passes_the_gate_in_any_order_of_events() {
    for (memory, cost) in [(1, 1), (2, 1), (3, 2)] {
        loom::model(move || {
            let (gate, plan) = (leaked(Gate::new(memory)), leaked(Mutex::new(3)));
            let (sender, receiver) = channel();
            for _ in 0..2 {
                let sender = sender.clone();
                thread::spawn(move || {
                    while let Some(permit) = take(plan, gate, cost) {
                        sender.send(permit).expect("the writer listens");
                    }
                });
            }
            drop(sender);
            for _ in 0..3 {
                drop(receiver.recv().expect("each task arrives"));
            }
            assert!(gate.peak() <= memory);
        });
    }
}

#[test]
fn a_gate_that_is_closed_at_any_moment_lets_all_threads_end() {
    loom::model(|| {
        let (gate, plan) = (leaked(Gate::new(1)), leaked(Mutex::new(2)));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                thread::spawn(move || {
                    let mut taken = 0;
                    // Nobody gives this permit back before the gate is closed.
                    let mut held = Vec::new();
                    while let Some(permit) = take(plan, gate, 1) {
                        taken += 1;
                        held.push(permit);
                    }
                    taken
                })
            })
            .collect();
        gate.close();
        let taken: u32 = readers.into_iter().map(|reader| reader.join().expect("ends")).sum();
        assert!(taken <= 1, "two permits of one byte each out of one");
    });
}

fn block(value: u8) -> Block {
    let window = Window::new(0, 0, 1, 1);
    let mut samples = Samples::zeros(SampleType::U8, 1, window.size());
    if let Samples::U8(array) = &mut samples {
        array.fill(value);
    }
    Block { window, samples, validity: Validity::All }
}

#[test]
fn a_chunk_is_decoded_once_and_given_to_all_who_want_it() {
    loom::model(|| {
        let cache = leaked(ChunkCache::new(1000));
        let loads = leaked(Mutex::new(0));
        let want = move || {
            let chunk = cache.get(ChunkKey { input: 0, index: 7 }, |_| {
                *lock(loads) += 1;
                Ok(block(7))
            });
            assert!(*chunk.expect("loads") == block(7));
        };
        let other = thread::spawn(want);
        want();
        other.join().expect("ends");
        assert_eq!(*lock(loads), 1);
    });
}

#[test]
fn a_load_that_fails_leaves_the_chunk_to_the_next() {
    loom::model(|| {
        let cache = leaked(ChunkCache::new(1000));
        let loads = leaked(Mutex::new(0));
        let want = move || {
            let chunk = cache.get(ChunkKey { input: 0, index: 7 }, |_| {
                let mut loads = lock(loads);
                *loads += 1;
                if *loads == 1 { Err(crate::Error::Usage("torn".to_owned())) } else { Ok(block(7)) }
            });
            chunk.is_ok()
        };
        let other = thread::spawn(want);
        let own = want();
        let other = other.join().expect("ends");
        assert!(own != other, "the first fails, the second does not");
    });
}

#[test]
fn a_cache_without_room_gives_everybody_what_he_wanted() {
    loom::model(|| {
        let cache = leaked(ChunkCache::new(1));
        let want = move |index: usize| {
            let chunk = cache.get(ChunkKey { input: 0, index }, |_| Ok(block(index as u8)));
            assert!(*chunk.expect("loads") == block(index as u8));
        };
        let other = thread::spawn(move || {
            want(1);
            want(2);
        });
        want(2);
        want(1);
        other.join().expect("ends");
    });
}
