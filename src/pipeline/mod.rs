//! Readers → pool → writer: runs any function over many tasks, in bounded memory, with one error at most.
//!
//! ```text
//!  plan ──▶ reader threads ──▶ CPU pool ──▶ one writer thread
//!           each opens its      any plain     creates, owns and
//!           own reader          function      finishes the sink
//! ```
//!
//! A dataset handle cannot be shared between workers: a program that tries seems to work and writes
//! nothing but nodata. What can be shared is what a handle is made from, a path. So a [`Job`] is given
//! *how to open* a reader and *how to create* a sink; each reader thread opens its own, the writer thread
//! creates the one sink, and neither ever crosses a thread. The types hold us to it: readers and sinks
//! need not be [`Send`], and one that is not cannot be opened elsewhere and carried in (see below).
//!
//! What the module promises, knowing neither rasters nor pixels:
//!
//! - Reading and computing are sized apart ([`Limits::readers`], [`Limits::threads`]).
//! - The bytes of all tasks in flight stay within [`Limits::memory`]. A task takes its permit together
//!   with its turn, in the order of the plan, and gives it back when its last result is written: so a
//!   slow writer stops the readers, and no order of events can leave all permits with tasks that wait.
//!   For the same reason the queue to the writer needs no bound of its own, and a pool thread never waits.
//! - The first error, panic or cancellation in any stage ends all threads and is the run's one error. The sink
//!   is then dropped on the writer thread without being finished; its `Drop` cleans up.
//! - The function being run keeps its signature: [`one`], [`optional`], [`many`] and their `try_` forms wrap it.
//! - Each stage counts how long it was busy and how long it waited ([`Stats`]).
//!
//! [`run_serial`] does the same on one thread, for tests and for debugging.
//!
//! # Example
//!
//! ```
//! use tileloom::pipeline::{Job, Limits, Monitor, Order, Sink, one, run};
//!
//! /// The function to run: it knows nothing of threads.
//! fn brightest(pixels: Vec<u8>) -> u8 {
//!     pixels.into_iter().max().unwrap_or(0)
//! }
//!
//! struct List(Vec<u8>);
//!
//! impl Sink for List {
//!     type Item = u8;
//!     type Done = Vec<u8>;
//!     type Error = String;
//!     fn write(&mut self, item: u8) -> Result<(), String> {
//!         self.0.push(item);
//!         Ok(())
//!     }
//!     fn finish(self) -> Result<Vec<u8>, String> {
//!         Ok(self.0)
//!     }
//! }
//!
//! let limits = Limits { readers: 2, threads: 4, memory: 1 << 20, order: Order::Plan };
//! let outcome = run(0..3u8, &limits, &Monitor::new(), Job {
//!     cost: |_: &u8| 64,
//!     open: || Ok(17),
//!     read: |reader: &mut u8, row: &u8| Ok(vec![*reader; usize::from(*row)]),
//!     process: one(brightest),
//!     create: || Ok(List(Vec::new())),
//! })
//! .map_err(|error| error.to_string())?;
//! assert_eq!(outcome.done, [0, 17, 17]);
//! # Ok::<(), String>(())
//! ```
//!
//! # Handles stay on their thread
//!
//! A reader that is not [`Send`], opened where it is used, compiles:
//!
//! ```
//! # use std::marker::PhantomData;
//! # use tileloom::pipeline::{Job, Limits, Monitor, Order, Sink, one, run};
//! # #[derive(Clone)]
//! # struct Reader(PhantomData<*mut ()>);
//! # struct Nowhere(PhantomData<*mut ()>);
//! # impl Sink for Nowhere {
//! #     type Item = u8;
//! #     type Done = ();
//! #     type Error = String;
//! #     fn write(&mut self, _: u8) -> Result<(), String> { Ok(()) }
//! #     fn finish(self) -> Result<(), String> { Ok(()) }
//! # }
//! # let limits = Limits { readers: 1, threads: 1, memory: 1, order: Order::Plan };
//! run(0..3u8, &limits, &Monitor::new(), Job {
//!     cost: |_: &u8| 1,
//!     open: || Ok(Reader(PhantomData)),
//!     read: |_: &mut Reader, task: &u8| Ok(*task),
//!     process: one(|pixel: u8| pixel),
//!     create: || Ok(Nowhere(PhantomData)),
//! })
//! # .expect("nothing fails");
//! ```
//!
//! The same with the reader opened outside and moved in does not:
//!
//! ```compile_fail,E0277
//! # use std::marker::PhantomData;
//! # use tileloom::pipeline::{Job, Limits, Monitor, Order, Sink, one, run};
//! # #[derive(Clone)]
//! # struct Reader(PhantomData<*mut ()>);
//! # struct Nowhere(PhantomData<*mut ()>);
//! # impl Sink for Nowhere {
//! #     type Item = u8;
//! #     type Done = ();
//! #     type Error = String;
//! #     fn write(&mut self, _: u8) -> Result<(), String> { Ok(()) }
//! #     fn finish(self) -> Result<(), String> { Ok(()) }
//! # }
//! # let limits = Limits { readers: 1, threads: 1, memory: 1, order: Order::Plan };
//! let reader = Reader(PhantomData);
//! run(0..3u8, &limits, &Monitor::new(), Job {
//!     cost: |_: &u8| 1,
//!     open: move || Ok(reader.clone()), // `Reader` cannot be shared between threads
//!     read: |_: &mut Reader, task: &u8| Ok(*task),
//!     process: one(|pixel: u8| pixel),
//!     create: || Ok(Nowhere(PhantomData)),
//! })
//! # .expect("nothing fails");
//! ```
//!
//! Nor does an open sink that is handed to the writer thread:
//!
//! ```compile_fail,E0277
//! # use std::marker::PhantomData;
//! # use tileloom::pipeline::{Job, Limits, Monitor, Order, Sink, one, run};
//! # #[derive(Clone)]
//! # struct Reader(PhantomData<*mut ()>);
//! # struct Nowhere(PhantomData<*mut ()>);
//! # impl Sink for Nowhere {
//! #     type Item = u8;
//! #     type Done = ();
//! #     type Error = String;
//! #     fn write(&mut self, _: u8) -> Result<(), String> { Ok(()) }
//! #     fn finish(self) -> Result<(), String> { Ok(()) }
//! # }
//! # let limits = Limits { readers: 1, threads: 1, memory: 1, order: Order::Plan };
//! let sink = Nowhere(PhantomData);
//! run(0..3u8, &limits, &Monitor::new(), Job {
//!     cost: |_: &u8| 1,
//!     open: || Ok(Reader(PhantomData)),
//!     read: |_: &mut Reader, task: &u8| Ok(*task),
//!     process: one(|pixel: u8| pixel),
//!     create: move || Ok(sink), // `Nowhere` cannot be sent between threads
//! })
//! # .expect("nothing fails");
//! ```

mod adapt;
mod error;
mod gate;
#[cfg(all(test, model))]
mod model;
mod monitor;
mod serial;
mod stats;
#[cfg(test)]
mod tests;
mod threads;

pub use adapt::{many, one, optional, try_many, try_one, try_optional};
pub use error::{Cause, RunError, Stage};
pub use monitor::Monitor;
pub use serial::run_serial;
pub use stats::{StageStats, Stats};
pub use threads::{in_background, run, side_by_side};

/// How large a run may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Reader threads; 0 counts as 1. A thread that gets no task opens no reader.
    pub readers: usize,
    /// Threads of the CPU pool; 0 counts as 1.
    pub threads: usize,
    /// Most bytes in flight: the sum of the [`cost`](Job::cost) of all tasks that are being read,
    /// processed or written, or wait in between.
    pub memory: usize,
    /// In which order results reach the sink.
    pub order: Order,
}

/// In which order results reach the sink. The results of one task always arrive together, in the order
/// the task emitted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// In the order of the plan, whatever finishes first.
    #[default]
    Plan,
    /// As tasks finish; different in every run.
    Arrival,
}

/// What a run does, as five closures. They may borrow from their surroundings. Write the types of the
/// parameters out where a parameter is a reference.
///
/// `T` is a task, `R` a reader, `I` what is read for a task, `O` a result, `S` the sink, `E` the error.
#[derive(Debug, Clone, Copy)]
pub struct Job<Cost, Open, Read, Process, Create> {
    /// `Fn(&T) -> usize`: bytes that a task holds from its read to the write of its last result, at most: its
    /// window and its results. Called under the lock of the plan, so it must be quick.
    pub cost: Cost,
    /// `Fn() -> Result<R, E>`: opens a reader, on the thread that will use it.
    pub open: Open,
    /// `Fn(&mut R, &T) -> Result<I, E>`: reads what a task needs, on a reader thread.
    pub read: Read,
    /// `Fn(I) -> Result<Vec<O>, E>`: computes the results of a task, on a pool thread. See [`one`],
    /// [`optional`], [`many`] for plain functions. It may use rayon itself, but must not hold a lock while it
    /// does: the thread may begin another task while it waits.
    pub process: Process,
    /// `FnOnce() -> Result<S, E>`: creates the sink, on the writer thread.
    pub create: Create,
}

/// Where results go. A sink lives on the writer thread alone.
///
/// A sink that is dropped without [`finish`](Self::finish) belongs to a run that failed; its `Drop` must
/// remove what it created.
pub trait Sink: Sized {
    /// A result of a task.
    type Item;
    /// What a finished sink has to say.
    type Done;
    /// Why writing failed.
    type Error;

    /// Takes one result.
    ///
    /// # Errors
    /// When it cannot be written; nothing more is then written to this sink.
    fn write(&mut self, item: Self::Item) -> Result<(), Self::Error>;

    /// Completes the output, after everything was written.
    ///
    /// # Errors
    /// When that fails.
    fn finish(self) -> Result<Self::Done, Self::Error>;
}

/// A run that ended well.
#[derive(Debug, Clone)]
pub struct Outcome<D> {
    /// What [`Sink::finish`] returned.
    pub done: D,
    /// How busy each stage was.
    pub stats: Stats,
}
