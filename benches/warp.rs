//! Seconds per megapixel of the resampling kernels and of halving, on one thread, beside the time of a copy.
//!
//! `cargo bench --bench warp [-- FILTER]`; a row is shown when its name contains FILTER.

use std::hint::black_box;
use std::time::Instant;

use ndarray::{Array2, Array3};
use tileloom::block::{Block, Sample, Validity, interleaved_array};
use tileloom::resampling::Resampling;
use tileloom::warp::coords::{CELL, Cell, CoordGrid, Position};
use tileloom::warp::kernel::{Canvas, Edges, warp};
use tileloom::warp::reduce::halve;
use tileloom::window::Size;

/// Side of the target in pixels: a run takes about a millisecond, so that on a busy machine some runs are not interrupted.
const SIDE: usize = 256;

fn main() {
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    println!("{:<44}{:>9}{:>9}", "s per target Mpx", "kernel", "copy");
    for method in Resampling::ALL {
        for scale in [1.0, 1.4] {
            for (map, turn) in [("level", 0.0), ("turned", 0.01)] {
                let name = |t: &str| format!("{method} {scale} {map} {t}");
                warped::<u8>(&filter, &name("u8×3"), 3, method, scale, turn, false);
                warped::<u8>(&filter, &name("u8×1"), 1, method, scale, turn, false);
                warped::<f32>(&filter, &name("f32×1"), 1, method, scale, turn, false);
                if turn == 0.0 {
                    continue;
                }
                warped::<u8>(&filter, &name("u8×3 holes"), 3, method, scale, turn, true);
                warped::<u8>(&filter, &name("u8×4"), 4, method, scale, turn, false);
                warped::<u8>(&filter, &name("u8×2"), 2, method, scale, turn, false);
                warped::<u16>(&filter, &name("u16×1"), 1, method, scale, turn, false);
                warped::<i16>(&filter, &name("i16×1"), 1, method, scale, turn, false);
                warped::<i16>(&filter, &name("i16×1 holes"), 1, method, scale, turn, true);
                warped::<f32>(&filter, &name("f32×1 holes"), 1, method, scale, turn, true);
            }
        }
    }
    println!("\n{:<44}{:>9}{:>9}", "s per overview Mpx", "halve", "copy");
    for method in [Resampling::Average, Resampling::Nearest, Resampling::Mode] {
        halved::<u8>(&filter, &format!("{method} u8×3"), 3, method, false);
        halved::<u8>(&filter, &format!("{method} u8×1"), 1, method, false);
        halved::<u8>(&filter, &format!("{method} u8×4"), 4, method, false);
        halved::<u8>(&filter, &format!("{method} u8×3 holes"), 3, method, true);
        halved::<u16>(&filter, &format!("{method} u16×1"), 1, method, false);
        halved::<i16>(&filter, &format!("{method} i16×1"), 1, method, false);
        halved::<f32>(&filter, &format!("{method} f32×1"), 1, method, false);
        halved::<f32>(&filter, &format!("{method} f32×1 holes"), 1, method, true);
    }
}

/// Times one kernel.
fn warped<T: Sample>(
    filter: &str,
    name: &str,
    bands: usize,
    method: Resampling,
    scale: f64,
    turn: f64,
    holes: bool,
) {
    if !name.contains(filter) {
        return;
    }
    let side = (SIDE as f64 * (scale + turn)) as usize + 64;
    let source = noise::<T>(Size::new(side, side), bands, holes);
    let grid = grid(scale, turn);
    let window = grid.window();
    let seconds = best(|| {
        let mut canvas = Canvas::new(window, T::TYPE, bands);
        let start = Instant::now();
        warp(&source, &grid, window, method, Edges::Hard, &mut canvas).expect("types agree");
        let seconds = start.elapsed().as_secs_f64();
        black_box(canvas);
        seconds
    });
    report(name, seconds, window.area(), bands * std::mem::size_of::<T>());
}

/// Times one reduction.
fn halved<T: Sample>(filter: &str, name: &str, bands: usize, method: Resampling, holes: bool) {
    if !name.contains(filter) {
        return;
    }
    let source = noise::<T>(Size::new(2 * SIDE, 2 * SIDE), bands, holes);
    let seconds = best(|| {
        let start = Instant::now();
        black_box(halve(black_box(&source), method, Edges::Soft)).expect("even");
        start.elapsed().as_secs_f64()
    });
    report(name, seconds, SIDE * SIDE, bands * std::mem::size_of::<T>());
}

fn report(name: &str, seconds: f64, pixels: usize, bytes: usize) {
    let from = vec![1u8; pixels * bytes];
    let mut to = vec![0u8; pixels * bytes];
    let copy = best(|| {
        let start = Instant::now();
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
        start.elapsed().as_secs_f64()
    });
    let mpx = pixels as f64 / 1e6;
    println!("{name:<44}{:>9.5}{:>9.5}", seconds / mpx, copy / mpx);
}

/// The shortest of several runs.
fn best(mut run: impl FnMut() -> f64) -> f64 {
    (0..100).map(|_| run()).fold(f64::INFINITY, f64::min)
}

/// Smooth waves with noise; holes are a disc in every 256 pixels.
fn noise<T: Sample>(size: Size, bands: usize, holes: bool) -> Block {
    let mut state = 1u32;
    let values = (0..size.area() * bands)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, y) = (i / bands % size.width, i / bands / size.width);
            T::from_f64(
                60.0 + (x as f64 * 0.05).sin() * 20.0 + (y % 97) as f64 * 0.3 + f64::from(state >> 28),
            )
        })
        .collect();
    let samples: Array3<T> = interleaved_array(values, bands, size).expect("as many as that");
    let validity = if holes {
        Validity::PerPixel(Array2::from_shape_fn((size.height, size.width), |(y, x)| {
            let (dx, dy) = (x as f64 % 256.0 - 128.0, y as f64 % 256.0 - 128.0);
            if dx * dx + dy * dy < 1600.0 { 0 } else { 255 }
        }))
    } else {
        Validity::All
    };
    Block { window: size.window(), samples: T::wrap(samples), validity }
}

/// A map that shrinks by `scale` and turns a little.
fn grid(scale: f64, turn: f64) -> CoordGrid {
    let window = Size::new(SIDE, SIDE).window();
    let columns = SIDE / CELL;
    let cells = (0..columns * columns).map(|c| {
        let corner = |k: usize| {
            let x = (c % columns * CELL + k % 2 * CELL) as f64;
            let y = (c / columns * CELL + k / 2 * CELL) as f64;
            Position { x: 16.3 + scale * x + turn * y, y: 32.4 + scale * y - turn * x }
        };
        Cell::Nodes { step: CELL, nodes: (0..4).map(corner).collect() }
    });
    let scales = vec![(scale as f32, scale as f32); columns * columns];
    CoordGrid::new(window, cells.collect(), scales).expect("aligned")
}
