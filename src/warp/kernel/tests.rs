use ndarray::{Array2, Array3};

use super::*;
use crate::block::{Sample, SampleType, Samples, Validity, interleaved_array};
use crate::warp::coords::Position;
use crate::window::Size;

/// A slow and simple computation of the same thing, in doubles.
mod reference {
    use super::*;

    /// One kernel function, straight from the literature.
    fn kernel(method: Resampling, x: f64) -> f64 {
        let x = x.abs();
        let sinc = |x: f64| {
            let a = std::f64::consts::PI * x;
            if x == 0.0 { 1.0 } else { a.sin() / a }
        };
        match method {
            Resampling::Bilinear if x < 1.0 => 1.0 - x,
            Resampling::Cubic if x < 1.0 => 1.5 * x.powi(3) - 2.5 * x.powi(2) + 1.0,
            Resampling::Cubic if x < 2.0 => -0.5 * x.powi(3) + 2.5 * x.powi(2) - 4.0 * x + 2.0,
            Resampling::CubicSpline if x < 1.0 => (3.0 * x.powi(3) - 6.0 * x.powi(2) + 4.0) / 6.0,
            Resampling::CubicSpline if x < 2.0 => (2.0 - x).powi(3) / 6.0,
            Resampling::Lanczos if x < 3.0 => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }

    /// The weight of source pixel `k` at a position along one axis.
    fn weight(method: Resampling, position: f64, k: i64, scale: f64) -> f64 {
        if method == Resampling::Average {
            let (low, high) = (position - scale / 2.0, position + scale / 2.0);
            return ((k + 1) as f64).min(high) - (k as f64).max(low);
        }
        let scale = if (scale - scale.round()).abs() < 0.05 { scale.round() } else { scale };
        kernel(method, (k as f64 + 0.5 - position) / if scale > 1.0 / 0.95 { scale } else { 1.0 })
    }

    /// A source as doubles.
    pub struct Source {
        window: Window,
        bands: usize,
        values: Vec<f64>,
        coverage: Vec<f64>,
    }

    impl Source {
        pub fn new(block: &Block) -> Self {
            let values = for_samples!(&block.samples, a => {
                a.view().permuted_axes([1, 2, 0]).iter().map(|v| v.to_f64()).collect()
            });
            let coverage = match &block.validity {
                Validity::All => vec![1.0; block.window.area()],
                Validity::PerPixel(c) => c.iter().map(|c| f64::from(*c) / 255.0).collect(),
            };
            Self { window: block.window, bands: block.bands(), values, coverage }
        }

        /// The values and coverage of a pixel that exists.
        fn at(&self, x: i64, y: i64) -> Option<(&[f64], f64)> {
            self.window.contains(&Window::new(x, y, 1, 1)).then(|| {
                let i = (y - self.window.y) as usize * self.window.width + (x - self.window.x) as usize;
                (&self.values[i * self.bands..][..self.bands], self.coverage[i])
            })
        }
    }

    /// The values (not rounded) and the coverage at a position; `None` where there is no data.
    pub fn pixel(
        source: &Source,
        p: Position,
        (sx, sy): (f64, f64),
        method: Resampling,
        edges: Edges,
    ) -> Option<(Vec<f64>, f64)> {
        let harden = |c: f64| if edges == Edges::Hard { 1.0 } else { c.clamp(0.0, 1.0) };
        if !p.is_some() {
            return None;
        }
        let (column, row) = (p.x.floor() as i64, p.y.floor() as i64);
        let (values, here) = source.at(column, row)?;
        if method == Resampling::Nearest {
            return (here > 0.0).then(|| (values.to_vec(), harden(here)));
        }
        if method == Resampling::Mode {
            return mode(source, p, (sx, sy)).map(|(v, c)| (v.to_vec(), harden(c)));
        }
        if here == 0.0 && method != Resampling::Average {
            return None;
        }
        let mut mean = mean(source, p, (sx, sy), method);
        let plain = sx <= 1.0 / 0.95 && sy <= 1.0 / 0.95;
        if method == Resampling::Cubic && plain && !mean.complete || mean.weight < 0.25 * mean.magnitude {
            mean = self::mean(source, p, (sx, sy), Resampling::Bilinear);
        }
        let values = mean.sums.iter().map(|s| s / mean.weight).collect();
        (mean.weight > 1e-6).then(|| (values, harden(mean.weight / mean.existing)))
    }

    fn mode(source: &Source, p: Position, (sx, sy): (f64, f64)) -> Option<(&[f64], f64)> {
        let range = |p: f64, s: f64| (p - s / 2.0).floor() as i64..(p + s / 2.0).ceil() as i64;
        let mut seen: Vec<(&[f64], f64, usize)> = Vec::new();
        for (y, x) in range(p.y, sy).flat_map(|y| range(p.x, sx).map(move |x| (y, x))) {
            let Some((values, c)) = source.at(x, y).filter(|(_, c)| *c > 0.0) else { continue };
            match seen.iter_mut().find(|s| s.0 == values) {
                Some(s) => s.2 += 1,
                None => seen.push((values, c, 1)),
            }
        }
        let most = seen.iter().map(|s| s.2).max()?;
        seen.into_iter().find(|s| s.2 == most).map(|(v, c, _)| (v, c))
    }

    /// Sums over the pixels of the kernel.
    struct Mean {
        sums: Vec<f64>,
        weight: f64,
        magnitude: f64,
        existing: f64,
        /// Whether all of the 16 nearest pixels are covered.
        complete: bool,
    }

    fn mean(source: &Source, p: Position, (sx, sy): (f64, f64), method: Resampling) -> Mean {
        let mut mean = Mean {
            sums: vec![0.0; source.bands],
            weight: 0.0,
            magnitude: 0.0,
            existing: 0.0,
            complete: true,
        };
        let weights = |p: f64, s: f64| {
            let reach = (method.radius() * s.max(1.0)).ceil() as i64 + 2;
            let (base, floor) = ((p - 0.5).floor() as i64, p.floor() as i64);
            (floor - reach..=floor + reach)
                .map(|k| (k, weight(method, p, k, s), (-1..=2).contains(&(k - base))))
                .filter(|(_, w, near)| *near || *w > 0.0 || (*w != 0.0 && method != Resampling::Average))
                .map(|(k, w, near)| (k, if method == Resampling::Average { w.max(0.0) } else { w }, near))
                .collect::<Vec<_>>()
        };
        let (columns, rows) = (weights(p.x, sx), weights(p.y, sy));
        for (y, wy, near_y) in rows {
            for &(x, wx, near_x) in &columns {
                let pixel = source.at(x, y);
                mean.complete &= !(near_x && near_y) || pixel.is_some_and(|(_, c)| c > 0.0);
                let Some((values, c)) = pixel else { continue };
                mean.existing += wx * wy;
                if c > 0.0 {
                    mean.weight += wx * wy * c;
                    mean.magnitude += (wx * wy * c).abs();
                    for (sum, v) in mean.sums.iter_mut().zip(values) {
                        *sum += wx * wy * c * v;
                    }
                }
            }
        }
        mean
    }
}

/// Numbers that look random and are the same on every run.
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }

    fn unit(&mut self) -> f64 {
        f64::from(self.next()) / f64::from(1 << 24)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Holes {
    None,
    Hard,
    Soft,
}

/// A block with the window (5, −3, width, height) and values from `low` to `high`.
fn block<T: Pixel>(size: Size, bands: usize, holes: Holes, low: f64, high: f64, seed: u32) -> Block {
    let mut numbers = Numbers(seed);
    let values = (0..size.area() * bands)
        .map(|_| T::from_f64(low + numbers.unit() * (high - low)))
        .collect::<Vec<_>>();
    let coverage = Array2::from_shape_fn((size.height, size.width), |_| match (holes, numbers.next() % 10) {
        (Holes::None, _) => 255,
        (_, 0) => 0,
        (Holes::Soft, 1..=4) => (numbers.next() % 256) as u8,
        _ => 255,
    });
    Block {
        window: Window::new(5, -3, size.width, size.height),
        samples: T::wrap(interleaved_array(values, bands, size).expect("fits")),
        validity: Validity::PerPixel(coverage).simplified(),
    }
}

/// A grid over `window` from a function of target positions.
fn grid(window: Window, scale: (f32, f32), map: impl Fn(f64, f64) -> Position) -> CoordGrid {
    let columns = window.width / CELL;
    let cells = (0..columns * (window.height / CELL)).map(|c| {
        let corner = |k: usize| {
            let x = window.x + (c % columns * CELL + k % 2 * CELL) as i64;
            let y = window.y + (c / columns * CELL + k / 2 * CELL) as i64;
            map(x as f64, y as f64)
        };
        Cell::Nodes { step: CELL, nodes: (0..4).map(corner).collect() }
    });
    let cells: Vec<_> = cells.collect();
    let scales = vec![scale; cells.len()];
    CoordGrid::new(window, cells, scales).expect("aligned")
}

/// A map that shrinks, turns by `turn` and covers the block with some pixels around.
fn turned(block: &Block, window: Window, scale: f64, turn: f64) -> CoordGrid {
    let (cx, cy) =
        (window.x as f64 + window.width as f64 / 2.0, window.y as f64 + window.height as f64 / 2.0);
    let b = block.window;
    let (bx, by) = (b.x as f64 + b.width as f64 / 2.0 + 0.1371, b.y as f64 + b.height as f64 / 2.0 - 0.2913);
    grid(window, (scale as f32, scale as f32), |x, y| Position {
        x: bx + scale * (x - cx) + turn * (y - cy),
        y: by + scale * (y - cy) - turn * (x - cx),
    })
}

fn warped(source: &Block, grid: &CoordGrid, method: Resampling, edges: Edges) -> Canvas {
    let mut canvas = Canvas::new(grid.window(), source.samples.sample_type(), source.bands());
    warp(source, grid, grid.window(), method, edges, &mut canvas).expect("types agree");
    for level in [Level::Baseline, Level::Narrow] {
        let mut other = Canvas::new(grid.window(), source.samples.sample_type(), source.bands());
        warp_at(level, source, grid, grid.window(), method, edges, &mut other).expect("types agree");
        assert!(same_bits(&canvas, &other), "{method}: {level:?} differs");
    }
    canvas
}

fn same_bits(a: &Canvas, b: &Canvas) -> bool {
    fn same<T: Pixel>(a: &Array3<T>, b: &Samples) -> bool {
        T::unwrap(b).is_some_and(|b| a.iter().zip(b).all(|(a, b)| a.same_bits(*b)))
    }
    a.coverage == b.coverage && for_samples!(&a.samples, array => same(array, &b.samples))
}

/// Every pixel of a canvas with its position: (position, values, coverage).
fn pixels(canvas: &Canvas, grid: &CoordGrid) -> Vec<(Position, Vec<f64>, u8)> {
    let (mut xs, mut ys) = ([0.0; CELL], [0.0; CELL]);
    let window = canvas.window();
    let mut all = Vec::new();
    let mut some = false;
    for y in 0..window.height {
        for x in 0..window.width {
            if x % CELL == 0 {
                some = grid.cell_row(x / CELL, y / CELL, y % CELL, &mut xs, &mut ys);
            }
            let p = Position { x: xs[x % CELL], y: ys[x % CELL] };
            let bands = canvas.samples.dim().0;
            let at = |b: usize| for_samples!(&canvas.samples, a => a[[b, y, x]].to_f64());
            let p = if some { p } else { Position::NONE };
            all.push((p, (0..bands).map(at).collect(), canvas.coverage[y * window.width + x]));
        }
    }
    all
}

/// Compares with the reference; `tolerance` is that of sums before rounding.
fn check<T: Pixel>(low: f64, high: f64, tolerance: f64) {
    let window = Window::new(-64, 32, 32, 32);
    let maps = [(0.7, 0.0), (1.0, 0.02), (1.04, 0.3), (1.4, 0.0), (1.4, 0.02), (2.9, 0.1)];
    let mut bands = [1, 3, 4, 5, 3].into_iter().cycle();
    for holes in [Holes::None, Holes::Hard, Holes::Soft] {
        for (scale, turn) in maps {
            let size = Size::new((32.0 * (scale + turn)) as usize - 4, (32.0 * (scale + turn)) as usize);
            let bands = bands.next().unwrap_or(1);
            let source = block::<T>(size, bands, holes, low, high, bands as u32);
            let grid = turned(&source, window, scale, turn);
            let edges = if holes == Holes::Soft { Edges::Soft } else { Edges::Hard };
            for method in Resampling::ALL.into_iter().filter(|m| !m.is_statistic()) {
                check_pixels::<T>(&source, &grid, method, edges, tolerance);
            }
        }
    }
}

fn check_pixels<T: Pixel>(
    source: &Block,
    grid: &CoordGrid,
    method: Resampling,
    edges: Edges,
    tolerance: f64,
) {
    let integer = !matches!(T::TYPE, SampleType::F32 | SampleType::F64);
    let (low, high) = (T::from_f64(f64::NEG_INFINITY).to_f64(), T::from_f64(f64::INFINITY).to_f64());
    let scale = f64::from(grid.scale(0, 0).0);
    let doubles = reference::Source::new(source);
    for (p, values, coverage) in pixels(&warped(source, grid, method, edges), grid) {
        let place = || format!("{method}, {} bands, scale {scale}, at {p:?}", source.bands());
        let Some((wanted, alpha)) = reference::pixel(&doubles, p, (scale, scale), method, edges) else {
            assert_eq!(coverage, 0, "{}", place());
            continue;
        };
        assert!((f64::from(coverage) - alpha * 255.0).abs() < 0.51, "{} {alpha}", place());
        if coverage == 0 {
            continue;
        }
        for (got, wanted) in values.iter().zip(&wanted) {
            let allowed = if integer { 0.5 } else { 0.0 } + tolerance;
            assert!((got - wanted.clamp(low, high)).abs() <= allowed, "{} {got} {wanted}", place());
        }
    }
}

#[test]
fn bytes_equal_the_reference() {
    // In fixed point weights are off by up to 2⁻¹⁵.
    check::<u8>(0.0, 255.0, 3e-2);
    check::<i8>(-128.0, 127.0, 2e-3);
}

/// The share of samples that are not those of the reference, rounded; none of them by more than one.
fn differing(method: Resampling, scale: f64, high: f64) -> f64 {
    let source = block::<u8>(Size::new(500, 400), 3, Holes::None, 0.0, high, 11);
    let grid = turned(&source, Window::new(32, 64, 256, 256), scale, 0.013);
    let doubles = reference::Source::new(&source);
    let (mut count, mut off) = (0, 0);
    for (p, values, coverage) in pixels(&warped(&source, &grid, method, Edges::Hard), &grid) {
        assert_eq!(coverage, 255);
        let exact = reference::pixel(&doubles, p, (scale, scale), method, Edges::Hard).expect("inside").0;
        for (got, exact) in values.iter().zip(exact) {
            let difference = (got - (exact + 0.5).floor().clamp(0.0, 255.0)).abs();
            assert!(difference <= 1.0, "{method} {scale}: {got} {exact}");
            count += 1;
            off += u32::from(difference > 0.0);
        }
    }
    f64::from(off) / f64::from(count)
}

#[test]
fn fixed_point_rounds_nearly_all_bytes_as_exact_sums_do() {
    for (method, scale) in
        [(Resampling::Bilinear, 1.0), (Resampling::Bilinear, 1.3), (Resampling::Cubic, 1.0)]
    {
        let [noise, picture] = [255.0, 40.0].map(|high| differing(method, scale, high));
        assert!(noise < 0.005 && picture < 0.002, "{method} {scale}: {noise} {picture}");
    }
}

#[test]
fn words_equal_the_reference() {
    check::<u16>(0.0, 65535.0, 0.3);
    check::<i16>(-32768.0, 32767.0, 0.3);
}

#[test]
fn long_integers_equal_the_reference() {
    check::<u32>(0.0, 4_294_967_295.0, 2e-3);
    check::<i32>(-2_147_483_648.0, 2_147_483_647.0, 2e-3);
}

#[test]
fn floats_equal_the_reference() {
    check::<f32>(-1000.0, 9000.0, 1e-3);
    check::<f64>(-1000.0, 9000.0, 1e-8);
}

fn constant<T: Pixel>(value: f64) {
    let window = Window::new(0, 0, 32, 32);
    for (scale, turn) in [(0.8, 0.1), (1.4, 0.0), (3.3, 0.2)] {
        for holes in [Holes::None, Holes::Soft] {
            let side = (29.0 * scale) as usize;
            let mut source = block::<T>(Size::new(side, side), 3, holes, value, value, 5);
            // What is not covered must not matter.
            if let (Validity::PerPixel(c), Some(array)) =
                (&source.validity, T::unwrap_mut(&mut source.samples))
            {
                for ((_, y, x), v) in array.indexed_iter_mut() {
                    *v = if c[[y, x]] == 0 { T::from_f64(f64::NAN) } else { *v };
                }
            }
            let grid = turned(&source, window, scale, turn);
            // A sum of the same values is another one, and squares of doubles overflow.
            let constant = |m: &Resampling| !matches!(m, Resampling::Sum | Resampling::Rms);
            for method in Resampling::ALL.into_iter().filter(constant) {
                let canvas = warped(&source, &grid, method, Edges::Soft);
                for (p, values, coverage) in pixels(&canvas, &grid) {
                    // Doubles may be off by rounding of the weights' sum.
                    let exact = values.iter().all(|v| (v - value).abs() <= value.abs() * 1e-14);
                    assert!(coverage == 0 || exact, "{method} {scale}: {values:?} at {p:?}");
                }
            }
        }
    }
}

#[test]
fn constants_stay_constant_at_edges_and_beside_holes() {
    constant::<u8>(255.0);
    constant::<i8>(-128.0);
    constant::<u16>(65535.0);
    constant::<i16>(-32767.0);
    constant::<u32>(4_294_967_295.0);
    constant::<i32>(-77_777.0);
    constant::<f32>(f64::from(0.1f32));
    constant::<f64>(0.1);
}

#[test]
fn ramps_stay_ramps() {
    let size = Size::new(80, 80);
    let mut source = block::<f64>(size, 1, Holes::None, 0.0, 1.0, 1);
    source.samples = Samples::F64(Array3::from_shape_fn((1, 80, 80), |(_, y, x)| {
        3.0 * (x as f64 + 5.5) - 7.0 * (y as f64 - 2.5) + 1.0
    }));
    let grid = turned(&source, Window::new(0, 0, 64, 64), 0.9, 0.2);
    let inner = Window::new(7, -1, 76, 76);
    for method in [Resampling::Bilinear, Resampling::Cubic, Resampling::CubicSpline] {
        let canvas = warped(&source, &grid, method, Edges::Hard);
        let mut count = 0;
        for (p, values, _) in pixels(&canvas, &grid) {
            if inner.contains(&Window::new(p.x.floor() as i64, p.y.floor() as i64, 1, 1)) {
                assert!((values[0] - (3.0 * p.x - 7.0 * p.y + 1.0)).abs() < 1e-9, "{method} at {p:?}");
                count += 1;
            }
        }
        assert!(count > 3000);
    }
}

#[test]
fn nearest_is_the_floor_of_the_position() {
    let source = block::<u16>(Size::new(50, 50), 2, Holes::None, 0.0, 65535.0, 3);
    let grid = turned(&source, Window::new(0, 0, 64, 64), 1.1, 0.5);
    let array = u16::unwrap(&source.samples).expect("type");
    let canvas = warped(&source, &grid, Resampling::Nearest, Edges::Hard);
    for (p, values, coverage) in pixels(&canvas, &grid) {
        let (x, y) = (p.x.floor() as i64, p.y.floor() as i64);
        let inside = source.window.contains(&Window::new(x, y, 1, 1));
        assert_eq!(coverage, if inside { 255 } else { 0 });
        if inside {
            assert_eq!(values[1] as u16, array[[1, (y + 3) as usize, (x - 5) as usize]]);
        }
    }
}

#[test]
fn noise_does_not_decide_at_pixel_edges() {
    let source = block::<u8>(Size::new(80, 80), 1, Holes::None, 0.0, 255.0, 3);
    let window = Window::new(0, 0, 32, 32);
    let at = |noise: f64| {
        let grid = grid(window, (2.0, 2.0), |x, y| Position { x: 6.0 + 2.0 * x + noise, y: 2.0 * y - noise });
        warped(&source, &grid, Resampling::Nearest, Edges::Hard).samples
    };
    assert_eq!(at(0.0), at(-1e-8));
    assert_eq!(at(0.0), at(1e-8));
}

#[test]
fn positions_without_counterpart_stay_uncovered() {
    let source = block::<u8>(Size::new(300, 300), 3, Holes::None, 0.0, 255.0, 3);
    let window = Window::new(0, 0, 64, 32);
    let mut positions = vec![Position { x: 90.25, y: 80.5 }; CELL * CELL];
    positions[7] = Position::NONE;
    positions[40] = Position { x: f64::INFINITY, y: 80.0 };
    positions[80] = Position { x: -1e300, y: 1e300 };
    positions[81] = Position { x: 4_294_967_386.0, y: 80.0 };
    let cells = vec![Cell::Exact(positions), Cell::Outside];
    let grid = CoordGrid::new(window, cells, vec![(1.0, 1.0), (f32::NAN, 0.0)]).expect("aligned");
    for method in Resampling::ALL {
        let canvas = warped(&source, &grid, method, Edges::Hard);
        let uncovered: Vec<_> = (0..64 * 32)
            .filter(|i| i % 64 < 32 && canvas.coverage[*i] == 0)
            .map(|i| (i % 64, i / 64))
            .collect();
        assert_eq!(uncovered, [(7, 0), (8, 1), (16, 2), (17, 2)], "{method}");
        assert!((0..32).all(|y| canvas.coverage[y * 64 + 40] == 0));
    }
}

#[test]
fn a_window_in_pieces_and_with_a_tight_source_is_the_same_as_at_once() {
    let source = block::<u8>(Size::new(200, 220), 3, Holes::Hard, 0.0, 255.0, 9);
    let window = Window::new(-64, 64, 128, 128);
    for scale in [1.0, 1.4] {
        let grid = turned(&source, window, scale, 0.05);
        for method in Resampling::ALL {
            let whole = warped(&source, &grid, method, Edges::Hard);
            let mut pieces = Canvas::new(window, SampleType::U8, 3);
            for (x, y) in (0..4).flat_map(|y| (0..4).map(move |x| (x, y))) {
                let piece = Window::new(-64 + 32 * x, 64 + 32 * y, 32, 32);
                let part = cropped(&source, &grid, piece, halo(method, scale as f32));
                warp(&part, &grid, piece, method, Edges::Hard, &mut pieces).expect("types agree");
            }
            assert!(same_bits(&whole, &pieces), "{method} {scale}");
        }
    }
}

/// The part of a block that a piece needs.
fn cropped(source: &Block, grid: &CoordGrid, piece: Window, halo: usize) -> Block {
    let (mut xs, mut ys) = ([0.0; CELL], [0.0; CELL]);
    let (column, row) =
        ((piece.x - grid.window().x) as usize / CELL, (piece.y - grid.window().y) as usize / CELL);
    let mut extent = Window::new(0, 0, 0, 0);
    for line in 0..CELL {
        grid.cell_row(column, row, line, &mut xs, &mut ys);
        for (x, y) in xs.iter().zip(&ys) {
            extent = extent.union(&Window::new(x.floor() as i64, y.floor() as i64, 1, 1));
        }
    }
    let window = extent.expanded(halo).intersection(&source.window);
    let (x, y) = ((window.x - source.window.x) as usize, (window.y - source.window.y) as usize);
    let part = ndarray::s![.., y..y + window.height, x..x + window.width];
    let Validity::PerPixel(coverage) = &source.validity else { panic!("has holes") };
    Block {
        window,
        samples: Samples::U8(u8::unwrap(&source.samples).expect("type").slice(part).to_owned()),
        validity: Validity::PerPixel(
            coverage.slice(ndarray::s![y..y + window.height, x..x + window.width]).to_owned(),
        ),
    }
}

#[test]
fn soft_edges_are_smooth_and_not_fringed() {
    let size = Size::new(64, 64);
    let mut source = block::<u8>(size, 1, Holes::None, 200.0, 200.0, 1);
    // The right half is transparent black.
    let array = u8::unwrap_mut(&mut source.samples).expect("type");
    for ((_, _, x), v) in array.indexed_iter_mut() {
        *v = if x < 32 { 200 } else { 0 };
    }
    source.validity =
        Validity::PerPixel(Array2::from_shape_fn((64, 64), |(_, x)| if x < 32 { 255 } else { 0 }));
    let window = Window::new(0, 0, 64, 64);
    let grid = grid(window, (0.25, 1.0), |x, y| Position { x: 29.0 + 0.25 * x, y: y - 3.0 });
    for method in [Resampling::Bilinear, Resampling::Cubic] {
        let canvas = warped(&source, &grid, method, Edges::Soft);
        let row = &pixels(&canvas, &grid)[64 * 30..64 * 31];
        assert!(row.iter().all(|(_, v, c)| *c == 0 || v[0] as u8 == 200), "{method}");
        let partial = row.iter().filter(|(_, _, c)| (1..255).contains(c)).count();
        assert!(partial >= 2, "{method}: {partial}");
    }
}

#[test]
fn partial_coverage_is_blended_and_full_coverage_replaces() {
    let window = Window::new(0, 0, 32, 32);
    let grid = grid(window, (1.0, 1.0), |x, y| Position { x: x + 10.0, y: y + 5.0 });
    let layer = |value: u8, coverage: u8| {
        let mut b = block::<u8>(Size::new(60, 60), 1, Holes::None, f64::from(value), f64::from(value), 1);
        b.validity = Validity::PerPixel(Array2::from_elem((60, 60), coverage));
        b
    };
    let over = |method: Resampling, under: u8, above: u8| {
        let mut canvas = Canvas::new(window, SampleType::U8, 1);
        warp(&layer(100, under), &grid, window, method, Edges::Soft, &mut canvas).expect("types agree");
        warp(&layer(200, above), &grid, window, method, Edges::Soft, &mut canvas).expect("types agree");
        let (_, values, coverage) = pixels(&canvas, &grid).swap_remove(100);
        (values[0], coverage)
    };
    assert_eq!(over(Resampling::Bilinear, 255, 255), (200.0, 255));
    assert_eq!(over(Resampling::Bilinear, 255, 51), (120.0, 255));
    assert_eq!(over(Resampling::Bilinear, 255, 0), (100.0, 255));
    assert_eq!(over(Resampling::Cubic, 0, 51), (200.0, 51));
    // 0.2 over 0.5: 0.6 in all, of which a third is the upper layer.
    assert_eq!(over(Resampling::Cubic, 128, 51), (133.0, 153));
    assert_eq!(over(Resampling::Nearest, 255, 51), (200.0, 51));
}

#[test]
fn a_canvas_becomes_a_block_only_with_data() {
    let window = Window::new(32, 0, 32, 32);
    assert!(Canvas::new(window, SampleType::F32, 2).into_block().is_none());
    let mut canvas = Canvas::new(window, SampleType::F32, 2);
    canvas.coverage.fill(255);
    assert_eq!(canvas.into_block().map(|b| (b.window, b.validity)), Some((window, Validity::All)));
}

#[test]
fn blocks_that_do_not_fit_are_refused() {
    let source = block::<u8>(Size::new(60, 60), 3, Holes::None, 0.0, 9.0, 1);
    let window = Window::new(0, 0, 64, 64);
    let grid = grid(window, (1.0, 1.0), |x, y| Position { x, y });
    let attempt = |sample_type, bands, piece| {
        let mut canvas = Canvas::new(window, sample_type, bands);
        warp(&source, &grid, piece, Resampling::Cubic, Edges::Hard, &mut canvas)
    };
    assert!(attempt(SampleType::U8, 3, window).is_ok());
    assert!(attempt(SampleType::U16, 3, window).is_err());
    assert!(attempt(SampleType::U8, 4, window).is_err());
    assert!(attempt(SampleType::U8, 3, Window::new(1, 0, 32, 32)).is_err());
    assert!(attempt(SampleType::U8, 3, Window::new(32, 32, 64, 32)).is_err());
}

#[test]
fn planar_sources_give_the_same_as_interleaved_ones() {
    let source = block::<u8>(Size::new(60, 60), 3, Holes::Hard, 0.0, 255.0, 1);
    let mut planar = source.clone();
    planar.samples =
        Samples::U8(u8::unwrap(&source.samples).expect("type").as_standard_layout().into_owned());
    let grid = turned(&source, Window::new(0, 0, 64, 64), 1.0, 0.1);
    let [a, b] = [&source, &planar].map(|s| warped(s, &grid, Resampling::Cubic, Edges::Hard));
    assert!(same_bits(&a, &b));
}

#[test]
fn halos_hold_every_tap() {
    assert_eq!(halo(Resampling::Nearest, 5.0), 1);
    assert_eq!(halo(Resampling::Bilinear, 1.0), 1);
    assert_eq!(halo(Resampling::Cubic, 1.04), 2);
    assert_eq!(halo(Resampling::Cubic, 1.4), 3);
    assert_eq!(halo(Resampling::Lanczos, 3.0), 9);
    assert_eq!(halo(Resampling::Average, 3.0), 2);
    assert!(halo(Resampling::Lanczos, f32::INFINITY) <= 3);
}
