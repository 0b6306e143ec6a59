//! What the pipeline is worth: the same job as a plain loop, as workers that write under one mutex, and as the
//! pipeline; and each place where only one thread at a time can be. Prints markdown. `cargo bench --bench pipeline`; without `--bench` (`cargo test`) a short round.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ndarray::Array3;
use tileloom::block::{Block, Samples, Validity};
use tileloom::grid::TileCoord;
use tileloom::pipeline::{Job, Limits, Monitor, Order, Outcome, Sink, Stats, one, run, run_serial};
use tileloom::pyramid::{Nursery, Pyramid, TileRange};
use tileloom::raster::chunks::{ChunkCache, ChunkKey};
use tileloom::window::Window;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes of a window, and of what becomes of it.
const WINDOW: usize = 1 << 20;
/// Bytes in flight: 32 windows with their results.
const MEMORY: usize = 64 << 20;

/// What the job is: how many windows, and how long a disk or network lets a reader wait for each.
#[derive(Clone, Copy)]
struct Work {
    windows: usize,
    latency: Duration,
}

impl Work {
    fn read(self, window: usize) -> Vec<u8> {
        if !self.latency.is_zero() {
            thread::sleep(self.latency);
        }
        let mut state = window as u64 * 2 + 1;
        let mut bytes = Vec::with_capacity(WINDOW);
        while bytes.len() < WINDOW {
            // A linear congruential generator with Knuth's multiplier.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes
    }
}

/// Some milliseconds of arithmetic: a recursive filter, forth and back, which no compiler vectorises.
fn process(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut mean = 128u32 << 8;
    let mut smooth = |byte: &mut u8| {
        mean = mean - (mean >> 4) + (u32::from(*byte) << 4);
        *byte = (mean >> 8) as u8;
    };
    bytes.iter_mut().for_each(&mut smooth);
    bytes.iter_mut().rev().for_each(&mut smooth);
    bytes
}

/// A sink that checks and copies each byte, as an archive under construction does.
struct Archive {
    page_cache: Vec<u8>,
    written: usize,
    checksum: u64,
}

impl Archive {
    fn create() -> Self {
        Self { page_cache: vec![0; 16 * WINDOW], written: 0, checksum: 0 }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.checksum = self.checksum.wrapping_add(xxh3_64(bytes));
        let start = self.written % self.page_cache.len();
        self.page_cache[start..][..bytes.len()].copy_from_slice(bytes);
        self.written += bytes.len();
    }
}

impl Sink for Archive {
    type Item = Vec<u8>;
    type Done = u64;
    type Error = String;

    fn write(&mut self, item: Vec<u8>) -> Result<(), String> {
        self.put(&item);
        Ok(())
    }

    fn finish(self) -> Result<u64, String> {
        Ok(self.checksum)
    }
}

/// The plain loop: seconds, checksum.
fn plain_loop(work: Work) -> (f64, u64) {
    let begun = Instant::now();
    let mut archive = Archive::create();
    for window in 0..work.windows {
        archive.put(&process(work.read(window)));
    }
    (begun.elapsed().as_secs_f64(), archive.checksum)
}

/// Workers that do everything, and write under one mutex: seconds, checksum.
fn mutex_workers(work: Work, threads: usize) -> (f64, u64) {
    let begun = Instant::now();
    let archive = Mutex::new(Archive::create());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let window = next.fetch_add(1, Ordering::Relaxed);
                    if window >= work.windows {
                        return;
                    }
                    let bytes = process(work.read(window));
                    archive.lock().expect("no worker panics").put(&bytes);
                }
            });
        }
    });
    let archive = archive.into_inner().expect("no worker panics");
    (begun.elapsed().as_secs_f64(), archive.checksum)
}

/// The pipeline or, with no threads, its serial double.
fn pipeline(work: Work, readers: usize, threads: usize) -> (Stats, u64) {
    let limits = Limits { readers, threads, memory: MEMORY, order: Order::Plan };
    let job = Job {
        cost: |_: &usize| 2 * WINDOW,
        open: || Ok(()),
        read: |(): &mut (), window: &usize| Ok(work.read(*window)),
        process: one(process),
        create: || Ok(Archive::create()),
    };
    let runner = if threads == 0 { run_serial } else { run };
    let Outcome { done, stats } =
        runner(0..work.windows, &limits, &Monitor::new(), job).expect("nothing fails");
    (stats, done)
}

/// The best of `rounds`, taken in turn so that a busy machine hurts all alike.
fn table(work: Work, readers: impl Fn(usize) -> usize, rounds: usize) {
    println!(
        "| threads | loop | mutex workers | | readers + pool | pipeline | | readers busy | pool busy | writer busy |"
    );
    println!("|--:|--:|--:|--:|:-:|--:|--:|--:|--:|--:|");
    let (_, expected) = plain_loop(work);
    for threads in [1, 2, 4, 8] {
        let (mut alone, mut locked) = (f64::MAX, f64::MAX);
        let mut best: Option<Stats> = None;
        let readers = readers(threads);
        for _ in 0..rounds {
            let (seconds, checksum) = plain_loop(work);
            assert_eq!(checksum, expected);
            alone = alone.min(seconds);
            let (seconds, checksum) = mutex_workers(work, threads);
            assert_eq!(checksum, expected);
            locked = locked.min(seconds);
            let (stats, checksum) = pipeline(work, readers, threads);
            assert_eq!(checksum, expected);
            best = Some(best.filter(|best| best.wall <= stats.wall).unwrap_or(stats));
        }
        let Some(stats) = best else { return };
        let wall = stats.wall.as_secs_f64();
        let share = |stage| format!("{:.0} %", stats.busy_share(stage) * 100.0);
        println!(
            "| {threads} | {alone:.2} s | {locked:.2} s | × {:.2} | {readers} + {threads} | {wall:.2} s | × {:.2} | {} | {} | {} |",
            alone / locked,
            alone / wall,
            share(&stats.readers),
            share(&stats.pool),
            share(&stats.writer),
        );
    }
    println!();
}

/// A sink that takes nothing in.
struct Nowhere(Duration);

impl Sink for Nowhere {
    type Item = ();
    type Done = ();
    type Error = String;

    fn write(&mut self, (): ()) -> Result<(), String> {
        if !self.0.is_zero() {
            thread::sleep(self.0);
        }
        Ok(())
    }

    fn finish(self) -> Result<(), String> {
        Ok(())
    }
}

/// Tasks of 1 MB that only sleep, on the pool or in the writer.
fn empty(tasks: usize, limits: &Limits, pool: Duration, writer: Duration) -> Stats {
    let job = Job {
        cost: |_: &usize| WINDOW,
        open: || Ok(()),
        read: |(): &mut (), _: &usize| Ok(()),
        process: one(|()| {
            if !pool.is_zero() {
                thread::sleep(pool);
            }
        }),
        create: || Ok(Nowhere(writer)),
    };
    run(0..tasks, limits, &Monitor::new(), job).expect("nothing fails").stats
}

/// CPU time of this process in seconds, where the system tells (in steps of 10 ms).
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let ticks = |field: Option<&str>| field?.parse::<f64>().ok();
    Some((ticks(fields.next())? + ticks(fields.next())?) / 100.0)
}

fn overhead(tasks: usize) {
    let none = Duration::ZERO;
    println!("Cost of the pipeline per task, with empty tasks:\n");
    println!("| readers + pool | permits | order | ns per task |\n|:-:|--:|:--|--:|");
    for (readers, threads) in [(1, 1), (2, 2), (4, 8), (8, 64)] {
        for (permits, order) in [(16, Order::Plan), (256, Order::Plan), (256, Order::Arrival)] {
            let limits = Limits { readers, threads, memory: permits * WINDOW, order };
            let wall = (0..3).map(|_| empty(tasks, &limits, none, none).wall).min().unwrap_or_default();
            let each = wall.as_nanos() as f64 / tasks as f64;
            println!("| {readers} + {threads} | {permits} | {order:?} | {each:.0} |");
        }
    }
    println!();
}

/// Each place where only one thread at a time can be, and how many cores it could serve.
fn serial_sections(tasks: usize) {
    /// Tiles of a metatile and its share of the nodes above; chunks it reads.
    const TILES: f64 = 21.25;
    const CHUNKS: f64 = 9.0;
    println!("Serial sections, uncontended, with tasks of {TILES} tiles; cores at 1000 µs per tile:\n");
    println!("| section | ns each | times per task | µs per tile | cores it feeds |\n|:--|--:|--:|--:|--:|");
    let row = |name: &str, each: f64, times: f64| {
        let tile = each * times / TILES / 1e3;
        println!("| {name} | {each:.0} | {times:.0} | {tile:.3} | {:.0} |", 1e3 / tile);
    };
    let timed = |count: usize, mut work: Box<dyn FnMut(usize) + '_>| {
        let begun = Instant::now();
        (0..count).for_each(&mut *work);
        begun.elapsed().as_nanos() as f64 / count as f64
    };

    // On one core nothing overlaps: all CPU time of reader, pool and writer together, more than any lock is held.
    let limits = Limits { readers: 1, threads: 1, memory: 256 * WINDOW, order: Order::Arrival };
    let cpu = || cpu_seconds().unwrap_or_default();
    let begun = cpu();
    empty(tasks, &limits, Duration::ZERO, Duration::ZERO);
    row("plan, permit, queues and counters (all CPU)", (cpu() - begun) * 1e9 / tasks as f64, 1.0);

    for (name, resident) in [("chunk cache, hit", 512), ("chunk cache, miss among 512", 512)] {
        let cache = ChunkCache::new(resident * 16);
        let load = |_| Ok(chunk());
        let get = |index: usize| drop(cache.get(ChunkKey { input: 0, index }, load));
        (0..resident).for_each(get);
        let miss = name.contains("miss");
        let each = timed(tasks, Box::new(|i| get(if miss { resident + i } else { i % resident })));
        row(name, each, CHUNKS);
    }

    let side = 256;
    let range = TileRange { x: 0..side, y: 0..side };
    let pyramid = Pyramid::new(8, 0, 0, &[range]).expect("has tiles");
    let nursery = Nursery::new(&pyramid);
    let all = (side * side) as usize;
    let arrive = |i: usize| {
        let mut child = TileCoord::new(8, i as u32 % side, i as u32 / side);
        while let Some((node, _)) = nursery.arrive(child, Some(())) {
            child = node;
        }
    };
    row("nursery of waiting nodes", timed(all, Box::new(arrive)), 4.0 / 3.0);
    println!();
}

/// A chunk of 16 bytes.
fn chunk() -> Block {
    let samples = Samples::U8(Array3::zeros((1, 1, 15)));
    Block { window: Window::new(0, 0, 15, 1), samples, validity: Validity::All }
}

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let (windows, rounds, tasks) = if full { (300, 4, 100_000) } else { (8, 1, 1000) };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let none = Duration::ZERO;

    println!(
        "{windows} windows of 1 MiB on {cores} cores; × is the speed-up against the loop, best of {rounds}.\n"
    );
    let work = Work { windows, latency: none };
    table(work, |threads| threads.div_ceil(4), rounds);

    println!("The same when each read waits 5 ms for its disk or network:\n");
    table(Work { windows: windows / 2, latency: Duration::from_millis(5) }, |_| 8, rounds);

    // Busy time is time on the clock: where threads compete for cores it overstates what the pool needs, so the
    // figure that counts is that of the serial double.
    let (stats, _) = pipeline(work, 1, 0);
    let each = |time: Duration| time.as_secs_f64() * 1e3 / stats.tasks as f64;
    println!(
        "Undisturbed, a window takes {:.2} ms to read, {:.2} ms to process and {:.3} ms to write: one writer can feed \
         {:.0} such cores.\n",
        each(stats.readers.busy),
        each(stats.pool.busy),
        each(stats.writer.busy),
        stats.threads_per_writer().unwrap_or_default(),
    );

    overhead(tasks);
    serial_sections(tasks);

    // Sleeping tasks stand in for cores this machine may not have.
    let (threads, each) = (64, Duration::from_millis(10));
    let tasks = threads * if full { 200 } else { 2 };
    let limits = Limits { readers: 2, threads, memory: 256 * WINDOW, order: Order::Plan };
    let stats = empty(tasks, &limits, each, none);
    let ideal = each.as_secs_f64() * (tasks / threads) as f64;
    println!(
        "64 pool threads with tasks of 10 ms: {:.0} tasks/s, {:.0} % of what 64 free cores could do.",
        tasks as f64 / stats.wall.as_secs_f64(),
        100.0 * ideal / stats.wall.as_secs_f64(),
    );

    let limits = Limits { readers: 8, threads: 8, memory: 4 * WINDOW, order: Order::Plan };
    let before = cpu_seconds();
    let stats = empty(if full { 20 } else { 1 }, &limits, none, Duration::from_millis(100));
    if let (Some(before), Some(after)) = (before, cpu_seconds()) {
        println!(
            "8 readers and 8 pool threads behind a slow writer used {:.0} ms of CPU in {:.1} s of waiting.",
            (after - before) * 1e3,
            stats.wall.as_secs_f64(),
        );
    }
    println!("\n{stats}");
}
