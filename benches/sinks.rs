//! How many cores one container could serve: what a tile costs the threads that make tiles, what it costs the one thread
//! that owns the container, and what finishing costs, alone and side by side.
//!
//! `cargo bench --bench sinks [-- TILES [BYTES]]`; without `--bench` (`cargo test`) a short round.
//!
//! A machine for tests has few cores, so the ceiling is not run into but computed: what only one thread can do, in CPU
//! time per tile, against the time to make one. Times of the disk are apart, in the last column: no core is busy meanwhile.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use tileloom::encode::TileFormat;
use tileloom::grid::{Bounds, TileCoord};
use tileloom::sink::{OutputKind, Target, begin};
use tileloom::tileset::TilesetInfo;

/// CPU time to make a tile that cores are counted for, in µs.
const TILE_TIME: f64 = 1000.0;

/// A tile that nothing compresses, of a metatile of 4 × 4 as the pool delivers them.
fn tile(i: u32, bytes: &mut [u8]) -> TileCoord {
    let (meta, inner) = (i / 16, i % 16);
    let mut state = u64::from(i) << 20 | 1;
    for chunk in bytes.chunks_exact_mut(8) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        chunk.copy_from_slice(&state.to_le_bytes());
    }
    TileCoord::new(16, meta % 80 * 4 + inner % 4, meta / 80 * 4 + inner / 4)
}

fn clock(id: ClockId) -> Duration {
    clock_gettime(id).map(Duration::from).expect("a clock")
}

/// CPU time of this thread and of the whole process for a piece of work.
fn measured<X>(work: impl FnOnce() -> X) -> (X, Duration, Duration) {
    let (thread, process) = (ClockId::CLOCK_THREAD_CPUTIME_ID, ClockId::CLOCK_PROCESS_CPUTIME_ID);
    let (own, all) = (clock(thread), clock(process));
    let result = work();
    (result, clock(thread).saturating_sub(own), clock(process).saturating_sub(all))
}

/// One container, as a row of the table.
fn row(kind: OutputKind, name: &str, tiles: u32, size: usize) {
    let dir = tempfile::tempdir().expect("a folder for scratch");
    let bounds = Bounds { west: -180.0, south: 80.0, east: -170.0, north: 85.0 };
    let info = TilesetInfo::new("bench", bounds, TileFormat::Png, 256);
    let begun = begin(kind, &Target::new(dir.path().join(name)), info).expect("begun");
    let depot = begun.depot();
    let mut sink = begun.open();
    let mut bytes = vec![0u8; size];
    let (mut deposit, mut accept) = (Duration::ZERO, Duration::ZERO);
    for i in 0..tiles.div_ceil(16) {
        let mut deposited = Vec::new();
        for i in i * 16..(i * 16 + 16).min(tiles) {
            let coord = tile(i, &mut bytes);
            let (tile, own, _) = measured(|| depot.deposit(coord, &bytes).expect("deposited"));
            deposit += own;
            deposited.push(tile);
        }
        let task = || deposited.into_iter().try_for_each(|tile| sink.accept(tile)).expect("accepted");
        accept += measured(task).1;
    }
    drop(depot);
    let start = Instant::now();
    let (written, alone, all) = measured(|| sink.finish().expect("finished"));
    let wall = start.elapsed();
    let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(tiles);
    let serial = each(accept) + each(alone);
    println!(
        "| {} | {:.1} | {:.2} | {:.2} | {:.1} | **{serial:.1}** | **{:.0}** | {:.1} | {:.0} |",
        kind.name(),
        each(deposit),
        each(accept),
        each(alone),
        each(all.saturating_sub(alone)),
        TILE_TIME / serial,
        written.bytes as f64 / 1e6,
        wall.as_secs_f64() * 1e3,
    );
}

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u32>().ok());
    let tiles = numbers.next().unwrap_or(if full { 3000 } else { 100 });
    let size = numbers.next().unwrap_or(120_000) as usize;
    println!(
        "{tiles} tiles of {size} bytes; CPU time in µs per tile, cores at {TILE_TIME:.0} µs per tile.\n"
    );
    println!(
        "| container | makers: deposit | writer: accept | finish, one thread | finish, side by side | one thread in all | cores it feeds | MB | finish, ms on the clock |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (kind, name) in [
        (OutputKind::Folder, "set"),
        (OutputKind::Mbtiles, "set.mbtiles"),
        (OutputKind::Pmtiles, "set.pmtiles"),
        (OutputKind::Tar, "set.tar"),
    ] {
        row(kind, name, tiles, size);
    }
}
