//! The pipeline on fakes that watch it. Every test runs under a watchdog: hanging is failing.

use std::collections::HashSet;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Condvar, Mutex};
use std::thread::{self, ThreadId, sleep};
use std::time::{Duration, Instant};

use super::*;

mod cancel;
mod failures;
mod flow;

/// Runs a test; fails it when it does not end.
fn watched(test: impl FnOnce() + Send + 'static) {
    let (ended, end) = channel();
    let thread = thread::spawn(move || {
        test();
        let _ = ended.send(());
    });
    match end.recv_timeout(Duration::from_secs(60)) {
        Err(RecvTimeoutError::Timeout) => panic!("hangs"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                resume_unwind(panic);
            }
        }
    }
}

/// Waits until something is so; the watchdog guards against forever.
fn until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(Duration::from_millis(1));
    }
}

/// What the fakes saw, and where one of them shall fail.
#[derive(Default)]
struct World {
    monitor: Monitor,
    fault: Option<(Stage, Kind, usize)>,
    readers_opened: AtomicUsize,
    readers_closed: AtomicUsize,
    sinks_created: AtomicUsize,
    sinks_discarded: AtomicUsize,
    finish_called: AtomicBool,
    strayed: AtomicBool,
    tasks_read: Mutex<Vec<usize>>,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Error,
    Panic,
}

impl World {
    fn failing(stage: Stage, kind: Kind, task: usize) -> Self {
        Self { fault: Some((stage, kind, task)), ..Self::default() }
    }

    fn trip(&self, stage: Stage, task: usize) -> Result<(), String> {
        match self.fault {
            Some((s, kind, t)) if s == stage && t == task => match kind {
                Kind::Error => Err("as told".to_owned()),
                Kind::Panic => panic!("as told, by {stage}"),
            },
            _ => Ok(()),
        }
    }

    fn open(&self) -> Result<Reader<'_>, String> {
        self.trip(Stage::Open, 0)?;
        self.readers_opened.fetch_add(1, SeqCst);
        Ok(Reader { world: self, home: thread::current().id(), not_send: PhantomData })
    }

    fn create(&self) -> Result<List<'_>, String> {
        self.trip(Stage::Create, 0)?;
        self.sinks_created.fetch_add(1, SeqCst);
        let home = thread::current().id();
        Ok(List { world: self, home, items: Vec::new(), finished: false, not_send: PhantomData })
    }

    fn at_home(&self, home: ThreadId) {
        if thread::current().id() != home {
            self.strayed.store(true, SeqCst);
        }
    }

    /// Everything that was opened is closed, on its own thread, and the sink was finished or discarded.
    fn assert_clean(&self, good: bool) {
        assert!(!self.strayed.load(SeqCst), "a handle was used on a foreign thread");
        assert_eq!(self.readers_opened.load(SeqCst), self.readers_closed.load(SeqCst));
        let (created, discarded) = (self.sinks_created.load(SeqCst), self.sinks_discarded.load(SeqCst));
        assert_eq!(discarded, if good { 0 } else { created });
    }
}

/// A reader that must not leave its thread.
struct Reader<'w> {
    world: &'w World,
    home: ThreadId,
    not_send: PhantomData<*mut ()>,
}

impl Reader<'_> {
    fn read(&mut self, task: usize) -> Result<usize, String> {
        let _ = self.not_send;
        self.world.at_home(self.home);
        self.world.tasks_read.lock().unwrap().push(task);
        self.world.trip(Stage::Read, task)?;
        Ok(task)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.world.at_home(self.home);
        self.world.readers_closed.fetch_add(1, SeqCst);
    }
}

/// A result: the task it is from, and its number within the task.
type Item = (usize, usize);

/// A sink that must not leave its thread.
struct List<'w> {
    world: &'w World,
    home: ThreadId,
    items: Vec<Item>,
    finished: bool,
    not_send: PhantomData<*mut ()>,
}

impl Sink for List<'_> {
    type Item = Item;
    type Done = Vec<Item>;
    type Error = String;

    fn write(&mut self, item: Item) -> Result<(), String> {
        let _ = self.not_send;
        self.world.at_home(self.home);
        self.world.trip(Stage::Write, item.0)?;
        self.items.push(item);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Item>, String> {
        self.world.at_home(self.home);
        self.world.finish_called.store(true, SeqCst);
        self.world.trip(Stage::Finish, 0)?;
        self.finished = true;
        Ok(std::mem::take(&mut self.items))
    }
}

impl Drop for List<'_> {
    fn drop(&mut self) {
        self.world.at_home(self.home);
        if !self.finished {
            self.world.sinks_discarded.fetch_add(1, SeqCst);
        }
    }
}

type Ended = Result<Outcome<Vec<Item>>, RunError<usize, String>>;

/// Runs a plan on the fakes; task `t` costs `cost(t)` and emits `emits(t)` results.
fn go(
    world: &World,
    serial: bool,
    plan: impl IntoIterator<Item = usize, IntoIter: Send>,
    limits: &Limits,
    cost: impl Fn(usize) -> usize + Sync,
    emits: impl Fn(usize) -> usize + Sync,
) -> Ended {
    let job = Job {
        cost: |task: &usize| cost(*task),
        open: || world.open(),
        read: |reader: &mut Reader<'_>, task: &usize| reader.read(*task),
        process: try_many(|task| {
            world.trip(Stage::Process, task)?;
            Ok((0..emits(task)).map(move |k| (task, k)))
        }),
        create: || world.create(),
    };
    if serial {
        run_serial(plan, limits, &world.monitor, job)
    } else {
        run(plan, limits, &world.monitor, job)
    }
}

/// Runs a plan of tasks that cost 1 and emit one result.
fn go_plain(
    world: &World,
    serial: bool,
    plan: impl IntoIterator<Item = usize, IntoIter: Send>,
    limits: &Limits,
) -> Ended {
    go(world, serial, plan, limits, |_| 1, |_| 1)
}

fn limits(readers: usize, threads: usize, memory: usize, order: Order) -> Limits {
    Limits { readers, threads, memory, order }
}

const ORDERS: [Order; 2] = [Order::Plan, Order::Arrival];
const KINDS: [Kind; 2] = [Kind::Error, Kind::Panic];
