//! Megapixels per second of the operations of `calc`, on one thread, beside a copy: planes of 32-bit floats, the same with gaps, and planes
//! of 64-bit floats.
//!
//! `cargo bench --bench ops [-- FILTER]`; a row is shown when its text contains FILTER.

use std::hint::black_box;
use std::time::Instant;

use tileloom::expr::{Band, CHUNK, Feed, Input, Kind, Machine, Program, Range, Wanted};
use tileloom::op::{Built, Call, Chain, Ground, Real, Scene, Stack, Table};
use tileloom::window::{Size, Window};

/// Columns and rows of a window, as those of `calc` are shaped.
const SIZE: Size = Size { width: 1024, height: 256 };

/// The calls that are measured; the example of every other operation is, too.
const CALLS: [&str; 26] = [
    "hillshade",
    "hillshade(shading=combined)",
    "hillshade(shading=multidirectional)",
    "hillshade(shading=igor)",
    "slope",
    "slope(percent)",
    "aspect",
    "tri(Riley)",
    "tri(Wilson)",
    "focal(mean, 3)",
    "focal(mean, 31)",
    "focal(median, 3)",
    "focal(median, 5)",
    "focal(median, 7)",
    "focal(median, 15)",
    "focal(min, 3)",
    "focal(max, 31)",
    "focal(stddev, 5)",
    "focal(mode, 3)",
    "focal(mode, 15)",
    "gaussian(1.5)",
    "gaussian(10)",
    "sobel",
    "convolve([[1,2,1],[2,4,2],[1,2,1]])",
    "fill_nodata(10)",
    "color_relief(viridis, min=0, max=1000)",
];

fn main() {
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-')).unwrap_or_default();
    let table = Table::standard();
    let named = |text: &&str| CALLS.iter().any(|call| call.split('(').next() == text.split('(').next());
    let examples = table.entries().iter().map(|e| e.example).filter(|e| !named(e) && !e.contains(".txt"));
    println!("{:<56}{:>9}{:>9}{:>9}", "Mpx/s", "f32", "gaps", "f64");
    if "copy".contains(&filter) {
        report("copy", [copy::<f32>(false), copy::<f32>(true), copy::<f64>(false)]);
    }
    for text in CALLS.into_iter().chain(examples).filter(|text| text.contains(&filter)) {
        let call = Call::parse(text, &table).expect("a call");
        let seconds = match call.entry.build(&call.arguments, &Ground::default()).expect("an operation") {
            Built::Operation(operation) => {
                let halo = operation.halo();
                let run = |missing: bool| single(halo, missing, |i, o| operation.single(i, o));
                [run(false), run(true), single(halo, false, |i, o| operation.double(i, o))]
            }
            Built::Formula(_) => {
                let program = program(&call);
                [evaluated(&program, false), evaluated(&program, true), f64::NAN]
            }
        };
        report(text, seconds);
    }
}

fn report(name: &str, seconds: [f64; 3]) {
    let speed = |s: f64| {
        if s.is_nan() { String::new() } else { format!("{:.0}", SIZE.area() as f64 / 1e6 / s) }
    };
    let [single, gaps, double] = seconds.map(speed);
    println!("{name:<56}{single:>9}{gaps:>9}{double:>9}");
}

/// The best of several runs.
fn best(mut run: impl FnMut()) -> f64 {
    let rounds = if std::env::args().any(|a| a == "--bench") { 12 } else { 1 };
    let one = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..rounds).map(one).fold(f64::INFINITY, f64::min)
}

/// Heights with some noise; of those with gaps a hundredth is missing.
fn heights<T: Real>(window: Window, missing: bool) -> Stack<T> {
    let mut state = 1u64;
    let mut value = |k: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (x, y) = ((k % window.width) as f64, (k / window.width) as f64);
        let gone = missing && (state >> 33).is_multiple_of(100);
        T::of(if gone { f64::NAN } else { 500.0 + 0.3 * x - 0.2 * y + (state >> 40) as f64 / 1e6 })
    };
    Stack { window, planes: vec![(0..window.area()).map(&mut value).collect()] }
}

/// Seconds of an operation that turns one plane into as many as it likes.
fn single<T: Real>(
    halo: usize,
    missing: bool,
    run: impl Fn(&Stack<T>, &mut Stack<T>) -> Result<(), String>,
) -> f64 {
    let window = SIZE.window();
    let input = heights::<T>(window.expanded(halo), missing);
    let mut output = Stack::new(window, 1);
    best(|| {
        run(black_box(&input), &mut output).expect("a result");
        black_box(&output);
    })
}

fn copy<T: Real>(missing: bool) -> f64 {
    single::<T>(0, missing, |input, output| {
        output.planes[0].copy_from_slice(&input.planes[0]);
        Ok(())
    })
}

/// The program of a call that is a formula, over 12 bands of 16 bits.
fn program(call: &Call) -> Program {
    let band = |name: &str| {
        let (name, range) = (Some(name.to_owned()), Range::new(0.0, 65_535.0));
        Some(Band { name, kind: Kind::Integer, range, may_miss: true, scaling: None })
    };
    let bands = (1..=12).map(|k| band(&format!("b{k}"))).collect();
    let inputs = [Input { name: "A".to_owned(), bands, first: 1 }];
    let scene = Scene {
        inputs: &inputs,
        expressions: &[],
        entering: vec![0],
        ground: Ground::default(),
        edge: None,
        double: false,
    };
    Chain::plan(std::slice::from_ref(call), &scene).expect("a chain").program().clone()
}

/// The same plane for every band.
struct Plane<'a>(&'a [f32]);

impl Feed for Plane<'_> {
    fn feed(&mut self, _: Wanted, out: &mut [f64]) {
        out.iter_mut().zip(self.0).for_each(|(o, v)| *o = f64::from(*v));
    }
}

fn evaluated(program: &Program, missing: bool) -> f64 {
    let input = heights::<f32>(SIZE.window(), missing);
    let mut machine = Machine::new(program);
    best(|| {
        for part in input.planes[0].chunks(CHUNK) {
            machine.run(part.len(), &mut Plane(part));
            black_box(machine.output(0));
        }
    })
}
