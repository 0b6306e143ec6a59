//! The one file that starts worker threads.
//!
//! Three things end a run. *The plan is empty*: the readers return, then the last pool task, and with
//! them the last sender of the queue, so the writer finds it closed and finishes. *Something failed*: it is
//! noted, the gate is closed; readers get no more tasks, pool tasks that have not begun return at once, the
//! queue closes, the writer drops its sink. *The run was cancelled*: the same, but the monitor closes the gate.
//! Each thread notes its failure before it lets go of its sender, so a closed queue and an open gate mean
//! that all went well.
//!
//! What a sink does to finish may be cut into parts; [`side_by_side`] gives it threads for that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use rayon::ThreadPoolBuilder;

use super::error::attempt;
use super::gate::{Gate, Permit, lock};
use super::stats::Clock;
use super::{Cause, Job, Limits, Monitor, Order, Outcome, RunError, Sink, Stage, Stats};
use crate::sync::Mutex;

/// Runs a job over the tasks of a plan.
///
/// Blocks until all threads have ended. Nothing may wait for another task but in the order of the plan: when
/// the processing of a task blocks until a *later* one is done, that later one may never get its permit.
///
/// # Errors
/// The first error or panic in any stage, the cancellation through `monitor`, or a task that costs more than
/// [`Limits::memory`]. The sink is then not finished.
pub fn run<T, R, I, S, E>(
    plan: impl IntoIterator<Item = T, IntoIter: Send>,
    limits: &Limits,
    monitor: &Monitor,
    job: Job<
        impl Fn(&T) -> usize + Sync,
        impl Fn() -> Result<R, E> + Sync,
        impl Fn(&mut R, &T) -> Result<I, E> + Sync,
        impl Fn(I) -> Result<Vec<S::Item>, E> + Sync,
        impl FnOnce() -> Result<S, E> + Send,
    >,
) -> Result<Outcome<S::Done>, RunError<T, E>>
where
    T: Send,
    I: Send,
    E: Send,
    S: Sink<Item: Send, Done: Send, Error = E>,
{
    let begun = Instant::now();
    let gate = Arc::new(Gate::new(limits.memory));
    monitor.watch(&gate);
    let Job { cost, open, read, process, create } = job;
    let control = &Control { gate: &gate, monitor, failure: Mutex::new(None) };
    let plan = &Plan { cost, memory: limits.memory, tasks: Mutex::new(plan.into_iter().fuse().enumerate()) };
    let (open, read, process) = (&open, &read, &process);
    let pool_busy = &AtomicU64::new(0);
    let mut stats = Stats::new(limits.readers.max(1), limits.threads.max(1), limits.memory);

    let pool = ThreadPoolBuilder::new().num_threads(stats.pool.threads).thread_name(|i| format!("pool-{i}"));
    let done = pool.build_scoped(rayon::ThreadBuilder::run, |pool| {
        pool.in_place_scope(|pool| {
            thread::scope(|scope| {
                let (sender, receiver) = unbounded();
                let writer = control.start(scope, Stage::Write, "writer".to_owned(), move || {
                    let mut clock = Clock::start();
                    let done = control.contain(Stage::Write, || {
                        write_all(control, limits.order, create, &receiver, &mut clock)
                    });
                    (clock, done.flatten())
                });
                let start_reader = |number| {
                    let sender = sender.clone();
                    control.start(scope, Stage::Read, format!("reader-{number}"), move || {
                        let mut clock = Clock::start();
                        control.contain(Stage::Read, || {
                            read_all(control, plan, open, read, &mut clock, |ticket, input| {
                                let sender = sender.clone();
                                pool.spawn(move |_| {
                                    control.contain(Stage::Process, || {
                                        compute(control, process, ticket, input, &sender, pool_busy);
                                    });
                                });
                            });
                        });
                        clock
                    })
                };
                let readers: Vec<_> = (0..stats.readers.threads).map_while(start_reader).collect();
                drop(sender); // the queue closes with the last reader and the last pool task

                for clock in readers.into_iter().filter_map(|reader| reader.join().ok()) {
                    stats.readers.add(&clock);
                }
                let (clock, done) = writer?.join().ok()?;
                stats.writer.add(&clock);
                stats.finish = clock.finish;
                stats.tasks = clock.tasks;
                stats.results = clock.results;
                done
            })
        })
    });
    let done = done.unwrap_or_else(|error| {
        control.fail(Stage::Process, None, Cause::NoThread(error.to_string()));
        None
    });
    stats.pool.busy = Duration::from_nanos(pool_busy.load(Ordering::Relaxed));
    stats.peak_memory = gate.peak();
    stats.conclude(begun.elapsed());
    control.outcome(done, stats)
}

/// What all threads of a run share: the way to stop it, and the one error.
struct Control<'g, T, E> {
    gate: &'g Gate,
    monitor: &'g Monitor,
    failure: Mutex<Option<RunError<T, E>>>,
}

impl<T: Send, E: Send> Control<'_, T, E> {
    /// Stops the run. Only the first failure is kept, and none that follows a cancellation: a read that was
    /// interrupted is no news.
    fn fail(&self, stage: Stage, task: Option<T>, cause: Cause<E>) {
        let mut failure = lock(&self.failure);
        if failure.is_none() {
            *failure = Some(match self.monitor.cancelled() {
                Some(reason) => RunError::cancelled(reason),
                None => RunError::new(stage, task, cause),
            });
        }
        drop(failure);
        self.gate.close();
    }

    /// Runs the body of a thread, so that even a panic where none is expected (a reader that panics when it is
    /// dropped) stops the run instead of being lost.
    fn contain<X>(&self, stage: Stage, body: impl FnOnce() -> X) -> Option<X> {
        attempt(|| Ok(body())).map_err(|cause| self.fail(stage, None, cause)).ok()
    }

    /// Starts a thread; `None` and a failed run if the system refuses.
    fn start<'scope, X: Send + 'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        stage: Stage,
        name: String,
        body: impl FnOnce() -> X + Send + 'scope,
    ) -> Option<ScopedJoinHandle<'scope, X>> {
        let started = thread::Builder::new().name(name).spawn_scoped(scope, body);
        started.map_err(|error| self.fail(stage, None, Cause::NoThread(error.to_string()))).ok()
    }

    /// How the run ended, after all threads have.
    fn outcome<D>(&self, done: Option<D>, stats: Stats) -> Result<Outcome<D>, RunError<T, E>> {
        match (lock(&self.failure).take(), done) {
            (Some(failure), _) => Err(failure),
            (None, Some(done)) => Ok(Outcome { done, stats }),
            // Without a failure only the monitor closes the gate before the sink is finished.
            (None, None) => Err(RunError::cancelled(self.monitor.cancelled().unwrap_or_default())),
        }
    }
}

/// The tasks that nobody has taken yet. The lock is held from taking a task until its permit is there, so
/// permits are given in the order of the plan.
struct Plan<P, C> {
    tasks: Mutex<P>,
    cost: C,
    memory: usize,
}

/// A task on its way through the pipeline, with its place in the plan and its share of the memory.
struct Ticket<'g, T> {
    place: usize,
    task: T,
    permit: Permit<'g>,
}

/// A processed task on its way to the writer.
struct Finished<'g, T, O> {
    ticket: Ticket<'g, T>,
    results: Vec<O>,
}

impl<P, C> Plan<P, C> {
    /// The next task and its permit; `None` when there is none or the run must stop.
    fn take<'g, T, E>(&self, control: &Control<'g, T, E>) -> Option<Ticket<'g, T>>
    where
        P: Iterator<Item = (usize, T)>,
        C: Fn(&T) -> usize,
        T: Send,
        E: Send,
    {
        let mut tasks = lock(&self.tasks);
        if control.gate.is_closed() {
            return None;
        }
        let next = attempt(|| Ok(tasks.next()));
        let (place, task) = next.map_err(|cause| control.fail(Stage::Plan, None, cause)).ok()??;
        match attempt(|| Ok((self.cost)(&task))) {
            Ok(cost) if cost <= self.memory => {
                let permit = control.gate.enter(cost)?;
                Some(Ticket { place, task, permit })
            }
            Ok(cost) => {
                let cause = Cause::TooLarge { cost, memory: self.memory };
                control.fail(Stage::Plan, Some(task), cause);
                None
            }
            Err(cause) => {
                control.fail(Stage::Plan, Some(task), cause);
                None
            }
        }
    }
}

/// A reader thread: takes tasks, reads, and passes on what it read, until the plan is empty or the run must stop.
fn read_all<'g, T, R, I, E, P, C>(
    control: &Control<'g, T, E>,
    plan: &Plan<P, C>,
    open: impl Fn() -> Result<R, E>,
    read: impl Fn(&mut R, &T) -> Result<I, E>,
    clock: &mut Clock,
    pass_on: impl Fn(Ticket<'g, T>, I),
) where
    P: Iterator<Item = (usize, T)>,
    C: Fn(&T) -> usize,
    T: Send,
    E: Send,
{
    let mut reader = None;
    loop {
        let ticket = plan.take(control);
        clock.waited();
        let Some(ticket) = ticket else { return };
        let reader = match &mut reader {
            Some(reader) => reader,
            none => match attempt(&open) {
                Ok(opened) => none.insert(opened),
                Err(cause) => return control.fail(Stage::Open, None, cause),
            },
        };
        match attempt(|| read(reader, &ticket.task)) {
            Ok(input) => {
                control.monitor.count_read();
                pass_on(ticket, input);
            }
            Err(cause) => return control.fail(Stage::Read, Some(ticket.task), cause),
        }
        clock.worked();
    }
}

/// A task on a pool thread. It waits for nobody: the queue to the writer is bounded by the permits alone.
fn compute<'g, T: Send, I, O, E: Send>(
    control: &Control<'g, T, E>,
    process: impl Fn(I) -> Result<Vec<O>, E>,
    ticket: Ticket<'g, T>,
    input: I,
    queue: &Sender<Finished<'g, T, O>>,
    busy: &AtomicU64,
) {
    if control.gate.is_closed() {
        return;
    }
    let begun = Instant::now();
    let results = attempt(|| process(input));
    busy.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
    match results {
        // The writer is gone only when the run is failing already.
        Ok(results) => drop(queue.send(Finished { ticket, results })),
        Err(cause) => control.fail(Stage::Process, Some(ticket.task), cause),
    }
}

/// The writer thread: creates the sink, writes what arrives, and finishes the sink if all went well. Otherwise
/// the sink is dropped here, on the thread it lived on.
fn write_all<T: Send, S: Sink<Error: Send>>(
    control: &Control<'_, T, S::Error>,
    order: Order,
    create: impl FnOnce() -> Result<S, S::Error>,
    queue: &Receiver<Finished<'_, T, S::Item>>,
    clock: &mut Clock,
) -> Option<S::Done> {
    if control.gate.is_closed() {
        return None; // cancelled before it began: create nothing
    }
    let mut sink = attempt(create).map_err(|cause| control.fail(Stage::Create, None, cause)).ok()?;
    clock.worked();
    let mut early = BTreeMap::new(); // tasks that must wait for earlier ones
    let mut turn = 0;
    while let Ok(finished) = queue.recv() {
        clock.waited();
        match order {
            Order::Arrival => write_task(control, &mut sink, finished, clock)?,
            Order::Plan => {
                early.insert(finished.ticket.place, finished);
                while let Some(finished) = early.remove(&turn) {
                    write_task(control, &mut sink, finished, clock)?;
                    turn += 1;
                }
            }
        }
        clock.worked();
    }
    clock.waited();
    if control.gate.is_closed() {
        return None;
    }
    let done = attempt(|| sink.finish()).map_err(|cause| control.fail(Stage::Finish, None, cause)).ok();
    clock.finished();
    done
}

/// Writes the results of one task and then gives its permit back. `None` when the run must stop.
fn write_task<T: Send, S: Sink<Error: Send>>(
    control: &Control<'_, T, S::Error>,
    sink: &mut S,
    finished: Finished<'_, T, S::Item>,
    clock: &mut Clock,
) -> Option<()> {
    let Finished { ticket: Ticket { task, permit, .. }, results } = finished;
    for result in results {
        if control.gate.is_closed() {
            return None;
        }
        if let Err(cause) = attempt(|| sink.write(result)) {
            control.fail(Stage::Write, Some(task), cause);
            return None;
        }
        control.monitor.count_result();
        clock.results += 1;
    }
    control.monitor.count_done();
    clock.tasks += 1;
    drop(permit);
    Some(())
}

/// Begins a piece of work on a thread of its own, for what waits more than it computes.
///
/// # Errors
/// When the system has no thread left.
pub fn in_background<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}

/// Does the parts `0..parts` of a piece of work on `threads` threads (0 counts as 1), each with a state of its own from
/// `start`. Parts are begun in order; the calling thread waits.
///
/// # Errors
/// The first error or panic of a part; no part is begun after it.
pub fn side_by_side<X, E: Send>(
    threads: usize,
    parts: u64,
    start: impl Fn() -> X + Sync,
    work: impl Fn(&mut X, u64) -> Result<(), E> + Sync,
) -> Result<(), Cause<E>> {
    let next = AtomicU64::new(0);
    let failure = Mutex::new(None);
    let body = || {
        let begun = attempt(|| {
            let mut state = start();
            loop {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= parts {
                    return Ok(());
                }
                work(&mut state, part)?;
            }
        });
        if let Err(cause) = begun {
            next.store(parts, Ordering::Relaxed);
            lock(&failure).get_or_insert(cause);
        }
    };
    thread::scope(|scope| {
        for number in 0..threads.max(1).min(usize::try_from(parts).unwrap_or(usize::MAX)) {
            let started = thread::Builder::new().name(format!("part-{number}")).spawn_scoped(scope, body);
            match started {
                Ok(_) => {}
                // Fewer threads do the same.
                Err(_) if number > 0 => break,
                Err(error) => {
                    lock(&failure).get_or_insert(Cause::NoThread(error.to_string()));
                }
            }
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
