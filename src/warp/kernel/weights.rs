//! Kernel weights along one axis.
#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use super::pixel::Real;
use crate::resampling::Resampling;
use crate::simd::{Kernel, Level, dispatch_widest, truncate_f64};
use crate::warp::coords::CELL;

/// Scales above this count as this: where a projection degenerates the kernel must not grow without bounds.
const MAX_SCALE: f32 = 1024.0;

/// Shrinking by less than this does not widen a kernel (GDAL's rule).
const WIDENING_SCALE: f32 = 1.0 / 0.95;

/// Shape of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Bilinear,
    Cubic,
    CubicSpline,
    Lanczos,
    /// Overlap of a pixel with a box as wide as the scale.
    Footprint,
}

/// A kernel along one axis, its width set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    shape: Shape,
    scale: f64,
    radius: usize,
}

impl Axis {
    /// The kernel of a method where a target pixel spans `scale` source pixels. Nearest, mode and statistics, which have
    /// no weights, count as a footprint.
    pub fn new(method: Resampling, scale: f32) -> Self {
        let scale = if scale.is_finite() && scale > 0.0 { scale.min(MAX_SCALE) } else { 1.0 };
        let shape = match method {
            Resampling::Bilinear => Shape::Bilinear,
            Resampling::Cubic => Shape::Cubic,
            Resampling::CubicSpline => Shape::CubicSpline,
            Resampling::Lanczos => Shape::Lanczos,
            Resampling::Nearest => return Self { shape: Shape::Footprint, scale: 1.0, radius: 1 },
            Resampling::Average
            | Resampling::Mode
            | Resampling::Min
            | Resampling::Max
            | Resampling::Med
            | Resampling::Q1
            | Resampling::Q3
            | Resampling::Sum
            | Resampling::Rms => {
                let scale = f64::from(scale);
                return Self { shape: Shape::Footprint, scale, radius: (scale / 2.0 + 0.5).ceil() as usize };
            }
        };
        let snapped = if (scale - scale.round()).abs() < 0.05 { scale.round() } else { scale };
        let scale = if scale > WIDENING_SCALE { f64::from(snapped) } else { 1.0 };
        Self { shape, scale, radius: (method.radius() * scale).ceil() as usize }
    }

    /// The bilinear kernel of the same width.
    pub fn bilinear(self) -> Self {
        Self { shape: Shape::Bilinear, scale: self.scale, radius: self.scale.ceil() as usize }
    }

    /// Pixels on either side of a position that the kernel reaches.
    pub fn radius(self) -> usize {
        self.radius
    }

    /// Source pixels per target pixel, as far as they widen the kernel.
    pub fn scale(self) -> f64 {
        self.scale
    }

    /// Number of weights per position.
    pub fn taps(self) -> usize {
        2 * self.radius
    }

    /// Whether this is the plain cubic kernel.
    pub fn is_plain_cubic(self) -> bool {
        self.shape == Shape::Cubic && self.is_plain()
    }

    /// Whether this is the plain bilinear kernel.
    pub fn is_plain_bilinear(self) -> bool {
        self.shape == Shape::Bilinear && self.is_plain()
    }

    #[inline(always)]
    fn is_plain(self) -> bool {
        self.scale <= 1.0
    }

    /// Like [`fill`](Self::fill), unless the taps are already those of positions that differ by less than `same`.
    #[inline(always)]
    pub fn refill<A: Real>(
        self,
        level: Level,
        positions: &[f64; CELL],
        origin: i64,
        taps: &mut Taps<A>,
        same: f64,
    ) {
        let mut kept = 0;
        for (new, old) in positions.iter().zip(&taps.positions) {
            kept += usize::from((new - old).abs() < same);
        }
        if kept < CELL {
            taps.positions = *positions;
            self.fill(level, positions, origin, taps);
        }
    }

    /// The taps of a row of positions, counted from the pixel `origin`.
    #[inline(always)]
    pub fn fill<A: Real>(self, level: Level, positions: &[f64; CELL], origin: i64, taps: &mut Taps<A>) {
        let origin = origin as f64;
        let mut offsets = [0.0; CELL];
        for i in 0..CELL {
            // Positions far from the window, and those that are not finite, are told apart by the caller.
            let position = positions[i] - origin - 0.5;
            let truncated = truncate_f64(position, -1e9, 1e9);
            let above = f64::from(truncated) > position;
            taps.base[i] = truncated - i32::from(above);
            offsets[i] = position - f64::from(truncated) + f64::from(i32::from(above));
        }
        self.weigh(level, &offsets, taps);
    }

    /// Whether all positions are the same.
    #[inline(always)]
    fn is_level(offsets: &[f64; CELL]) -> bool {
        let mut same = 0;
        for offset in offsets {
            same += u32::from(*offset == offsets[0]);
        }
        same == CELL as u32
    }

    /// The weights for positions at `offsets` (0 to 1) beyond the centre of their base pixel: tap k belongs to the
    /// pixel k + 1 − radius after it. They sum to one.
    #[inline(always)]
    fn weigh<A: Real>(self, level: Level, offsets: &[f64; CELL], taps: &mut Taps<A>) {
        taps.weights.resize(self.taps(), [A::default(); CELL]);
        match (self.shape, self.is_plain(), &mut taps.weights[..]) {
            (Shape::Bilinear, true, [w0, w1]) => {
                for i in 0..CELL {
                    let d = A::of(offsets[i]);
                    w0[i] = A::of(1.0) - d;
                    w1[i] = d;
                }
            }
            (Shape::Cubic, true, [w0, w1, w2, w3]) => {
                let (half, one, two) = (A::of(0.5), A::of(1.0), A::of(2.0));
                for i in 0..CELL {
                    // Keys 1981 with a = −1/2, powers of the offset gathered.
                    let d = A::of(offsets[i]);
                    let hd = half * d;
                    let hdd = hd * d;
                    w0[i] = hd * (d * (two - d) - one);
                    w1[i] = one + hdd * (A::of(3.0) * d - A::of(5.0));
                    w2[i] = hd * (one + d * (A::of(4.0) - A::of(3.0) * d));
                    w3[i] = hdd * (d - one);
                }
            }
            _ if Self::is_level(offsets) => {
                Weigh::<A, 1>(self, offsets, taps).run();
                for row in &mut taps.weights {
                    *row = [row[0]; CELL];
                }
            }
            _ => dispatch_widest(level, Weigh::<A, CELL>(self, offsets, taps)),
        }
    }

    /// The weights of the first `L` positions.
    #[inline(always)]
    fn weigh_any<A: Real, const L: usize>(self, offsets: &[f64; CELL], taps: &mut Taps<A>) {
        let weights = &mut taps.weights[..];
        match self.shape {
            Shape::Bilinear => self.weigh_with::<A, L>(offsets, weights, bilinear),
            Shape::Cubic => self.weigh_with::<A, L>(offsets, weights, cubic),
            Shape::CubicSpline => self.weigh_with::<A, L>(offsets, weights, cubic_spline),
            Shape::Lanczos => {
                if taps.sines_of != Some(self) {
                    taps.sines.clear();
                    taps.sines.extend((0..self.taps()).map(|k| Sines::new(self.tap(k) / self.scale)));
                    taps.sines_of = Some(self);
                }
                self.weigh_lanczos::<A, L>(offsets, &taps.sines, weights);
            }
            Shape::Footprint => {
                let scale = A::of(self.scale);
                self.weigh_with::<A, L>(offsets, weights, |t| footprint(t * scale, scale));
            }
        }
        normalise::<A, L>(weights);
    }

    /// Samples a kernel that is a function of the distance over the scale.
    #[inline(always)]
    fn weigh_with<A: Real, const L: usize>(
        self,
        offsets: &[f64; CELL],
        weights: &mut [[A; CELL]],
        kernel: impl Fn(A) -> A,
    ) {
        let inverse = 1.0 / self.scale;
        for (k, row) in weights.iter_mut().enumerate() {
            // In two steps, so that the second one runs over as many values at a time as their type allows.
            let (tap, mut distances) = (self.tap(k), [A::default(); L]);
            for i in 0..L {
                distances[i] = A::of((tap - offsets[i]).abs() * inverse);
            }
            for i in 0..L {
                row[i] = kernel(distances[i]);
            }
        }
    }

    /// How far tap `k` is from the base pixel.
    #[inline(always)]
    fn tap(self, k: usize) -> f64 {
        k as f64 + 1.0 - self.radius as f64
    }

    /// sinc(t) · sinc(t / 3) for |t| < 3, where t = (tap − offset) / scale. The sines of the differences come from those
    /// of the taps, which all positions share, and those of the offsets, which all taps share.
    #[inline(always)]
    fn weigh_lanczos<A: Real, const L: usize>(
        self,
        offsets: &[f64; CELL],
        sines: &[Sines],
        weights: &mut [[A; CELL]],
    ) {
        const FACTOR: f64 = 3.0 / (std::f64::consts::PI * std::f64::consts::PI);
        let inverse = 1.0 / self.scale;
        let (mut sin, mut cos) = ([0.0; CELL], [0.0; CELL]);
        let (mut sin3, mut cos3) = ([0.0; CELL], [0.0; CELL]);
        for i in 0..L {
            let other = Sines::new(offsets[i] * inverse);
            (sin[i], cos[i], sin3[i], cos3[i]) = (other.sin, other.cos, other.sin3, other.cos3);
        }
        for (k, row) in weights.iter_mut().enumerate() {
            let (tap, own) = (self.tap(k), sines[k]);
            for i in 0..L {
                let t = A::of((tap - offsets[i]).abs() * inverse);
                let product =
                    (own.sin * cos[i] - own.cos * sin[i]) * (own.sin3 * cos3[i] - own.cos3 * sin3[i]);
                let value = A::of(FACTOR * product) / (t * t);
                let value = if t < A::of(1e-7) { A::of(1.0) } else { value };
                row[i] = if t < A::of(3.0) { value } else { A::default() };
            }
        }
    }

    /// The tap weights of a single position (see [`weigh`](Self::weigh)).
    pub fn weights_at<A: Real>(self, position: f64, weights: &mut Vec<A>) {
        let position = position - 0.5;
        let mut taps = Taps::<A>::new();
        self.weigh(Level::Baseline, &[position - position.floor(); CELL], &mut taps);
        weights.clear();
        weights.extend(taps.weights.iter().map(|w| w[0]));
    }
}

/// The weights of the first `L` of positions at such offsets.
struct Weigh<'a, A, const L: usize>(Axis, &'a [f64; CELL], &'a mut Taps<A>);

impl<A: Real, const L: usize> Kernel for Weigh<'_, A, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self(axis, offsets, taps) = self;
        axis.weigh_any::<A, L>(offsets, taps);
    }
}

/// The taps of the 32 positions of a cell row along one axis.
#[derive(Debug, Clone)]
pub(super) struct Taps<A> {
    /// The pixel whose centre is at or before the position.
    pub base: [i32; CELL],
    /// Weight per tap and position.
    pub weights: Vec<[A; CELL]>,
    /// The positions they were last [refilled](Axis::refill) for.
    pub positions: [f64; CELL],
    /// The sines of the taps of a Lanczos kernel.
    sines: Vec<Sines>,
    /// The kernel they belong to.
    sines_of: Option<Axis>,
}

/// Sine and cosine of π t and of π t / 3.
#[derive(Debug, Clone, Copy)]
struct Sines {
    sin: f64,
    cos: f64,
    sin3: f64,
    cos3: f64,
}

impl Sines {
    #[inline(always)]
    fn new(t: f64) -> Self {
        let third = t / 3.0;
        Self { sin: sin_pi(t), cos: sin_pi(t + 0.5), sin3: sin_pi(third), cos3: sin_pi(third + 0.5) }
    }
}

impl<A: Real> Taps<A> {
    pub fn new() -> Self {
        Self {
            base: [0; CELL],
            weights: Vec::new(),
            positions: [f64::NAN; CELL],
            sines: Vec::new(),
            sines_of: None,
        }
    }

    /// Makes the next [refill](Axis::refill) compute all anew.
    pub fn forget(&mut self) {
        self.positions = [f64::NAN; CELL];
    }
}

#[inline(always)]
fn bilinear<A: Real>(t: A) -> A {
    (A::of(1.0) - t).max(A::default())
}

/// Keys 1981 with a = −1/2; the outer part factored, so that it does not cancel.
#[inline(always)]
fn cubic<A: Real>(t: A) -> A {
    let inner = A::of(1.0) - t * t * (A::of(2.5) - A::of(1.5) * t);
    let rest = (A::of(2.0) - t).max(A::default());
    let outer = A::of(0.5) * (A::of(1.0) - t) * rest * rest;
    if t <= A::of(1.0) { inner } else { outer }
}

/// Mitchell & Netravali 1988 with (B, C) = (1, 0).
#[inline(always)]
fn cubic_spline<A: Real>(t: A) -> A {
    let inner = A::of(2.0 / 3.0) - t * t * (A::of(1.0) - A::of(0.5) * t);
    let rest = (A::of(2.0) - t).max(A::default());
    let outer = A::of(1.0 / 6.0) * rest * rest * rest;
    if t <= A::of(1.0) { inner } else { outer }
}

/// sin(π t) for |t| < 1e6, within 1e-15, in arithmetic that is the same on every machine.
#[inline(always)]
fn sin_pi(t: f64) -> f64 {
    // Taylor coefficients (−1)ⁿ / (2n + 1)!.
    const C: [f64; 10] = [
        1.0,
        -1.0 / 6.0,
        1.0 / 120.0,
        -1.0 / 5040.0,
        1.0 / 362_880.0,
        -1.0 / 39_916_800.0,
        1.0 / 6_227_020_800.0,
        -1.0 / 1_307_674_368_000.0,
        1.0 / 355_687_428_096_000.0,
        -1.0 / 121_645_100_408_832_000.0,
    ];
    let nearest = truncate_f64(t + 1e6 + 0.5, 0.0, 2e6) - 1_000_000;
    let x = (t - f64::from(nearest)) * std::f64::consts::PI;
    let z = x * x;
    let mut sum = C[9];
    for c in C[..9].iter().rev() {
        sum = sum * z + c;
    }
    sum * x * f64::from(1 - 2 * (nearest & 1))
}

/// Brings the sum of each position's weights to one.
#[inline(always)]
fn normalise<A: Real, const L: usize>(weights: &mut [[A; CELL]]) {
    let mut sums = [A::default(); CELL];
    for row in &*weights {
        for i in 0..L {
            sums[i] = sums[i] + row[i];
        }
    }
    for sum in &mut sums[..L] {
        *sum = A::of(1.0) / *sum;
    }
    for row in weights {
        for i in 0..L {
            row[i] = row[i] * sums[i];
        }
    }
}

/// How much of a pixel, its centre at distance `t`, lies within half a `scale` of the position.
#[inline(always)]
fn footprint<A: Real>(t: A, scale: A) -> A {
    let reach = A::of(0.5) * (scale + A::of(1.0)) - t;
    reach.min(scale).min(A::of(1.0)).max(A::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sine_is_that_of_the_library() {
        for i in -4000..4000 {
            let t = f64::from(i) * 0.001;
            assert!((sin_pi(t) - (std::f64::consts::PI * t).sin()).abs() < 5e-15, "{t}");
        }
    }

    #[test]
    fn weights_sum_to_one_at_any_scale() {
        for method in Resampling::ALL {
            for scale in [0.3, 1.0, 1.06, 1.4, 2.0, 3.7, 17.0] {
                for position in [0.5, 7.0, 7.2501, 7.49999, 7.5, 7.99] {
                    let mut weights = Vec::<f64>::new();
                    Axis::new(method, scale).weights_at(position, &mut weights);
                    let sum: f64 = weights.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-12, "{method} {scale} {position}: {sum}");
                }
            }
        }
    }

    #[test]
    fn scales_follow_the_rules_of_gdal() {
        assert_eq!(Axis::new(Resampling::Cubic, 1.05), Axis::new(Resampling::Cubic, 0.2));
        assert_eq!(Axis::new(Resampling::Cubic, 1.06).taps(), 6);
        assert_eq!(Axis::new(Resampling::Lanczos, 2.04), Axis::new(Resampling::Lanczos, 2.0));
        assert_eq!(Axis::new(Resampling::Bilinear, f32::NAN).taps(), 2);
        assert_eq!(Axis::new(Resampling::Bilinear, f32::INFINITY).taps(), 2);
    }
}
