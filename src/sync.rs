//! Locks for the few places where threads wait for each other.
//!
//! With `--cfg model` they are the doubles of a model checker, which runs all orders in which threads can follow each other: see
//! `pipeline/model.rs`.

#[cfg(model)]
pub use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
#[cfg(not(model))]
pub use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
