//! Weighted sums of the pixels around: Gaussian blur, Sobel's gradient, any kernel.
//!
//! Sums are taken in 64 bits, from the first weight to the last; each axis by itself where the kernel is a product of two.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::sync::Arc;

use super::call::Arguments;
use super::facts::Facts;
use super::table::Built;
use super::{Edge, Real, Stack, Work};
use crate::error::Result;

/// What missing pixels do.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Around {
    edge: Option<Edge>,
    propagate: bool,
}

impl Around {
    fn of(arguments: &Arguments) -> Self {
        let edge = Edge::of_name(arguments.choice("edge"));
        Self { edge, propagate: arguments.choice("nodata") == "propagate" }
    }

    fn edge(self, wanted: Option<Edge>) -> Edge {
        self.edge.or(wanted).unwrap_or(Edge::Nearest)
    }

    fn facts(self, bands: &[Facts], bordered: bool, range: Option<[f64; 2]>) -> Vec<Facts> {
        let one = |band: &Facts| {
            let [low, high] = range.unwrap_or([band.range.low, band.range.high]);
            let made =
                band.replaced(&Facts::numbers(low, high, self.propagate && (bordered || band.may_miss)));
            // An average is still of the same kind.
            let origin = band.mixed().origin.filter(|_| range.is_none());
            Facts { origin, ..made }
        };
        bands.iter().map(one).collect()
    }
}

const ANY: [f64; 2] = [f64::NEG_INFINITY, f64::INFINITY];

/// Gaussian blur.
#[derive(Debug, Clone, PartialEq)]
struct Gaussian {
    /// Weights along an axis, which sum to 1.
    weights: Vec<f64>,
    around: Around,
}

/// The blur of a call.
pub(super) fn gaussian(arguments: &Arguments) -> Result<Built> {
    let sigma = arguments.number("sigma");
    let radius = libm::floor(arguments.number("truncate") * sigma + 0.5);
    if radius > 250.0 {
        return Err(arguments.error("truncate", "sigma × truncate: is more than 250 pixels").into());
    }
    let radius = radius.max(1.0) as i32;
    let weight = |d: i32| libm::exp(-0.5 * f64::from(d * d) / (sigma * sigma));
    let all: Vec<f64> = (-radius..=radius).map(weight).collect();
    let sum: f64 = all.iter().sum();
    let weights = all.iter().map(|w| w / sum).collect();
    Ok(Built::Operation(Arc::new(Gaussian { weights, around: Around::of(arguments) })))
}

/// Adds a row times a weight.
#[inline(always)]
fn add(sums: &mut [f64], row: impl Iterator<Item = f64>, weight: f64) {
    for (s, v) in sums.iter_mut().zip(row) {
        *s += weight * v;
    }
}

impl Gaussian {
    /// Blurs what `map` makes of a band.
    #[inline(always)]
    fn blur<T: Real>(&self, input: &Stack<T>, band: usize, map: impl Fn(T) -> f64 + Copy) -> Vec<f64> {
        let extra = self.weights.len() - 1;
        let (width, rows) = (input.window.width - extra, input.window.height);
        let mut across = vec![0.0; width * rows];
        for (y, sums) in across.chunks_exact_mut(width).enumerate() {
            let row = input.row(band, y);
            for (k, weight) in self.weights.iter().enumerate() {
                add(sums, row[k..].iter().map(|v| map(*v)), *weight);
            }
        }
        let mut out = vec![0.0; width * (rows - extra)];
        for (y, sums) in out.chunks_exact_mut(width).enumerate() {
            for (k, weight) in self.weights.iter().enumerate() {
                add(sums, across[(y + k) * width..].iter().copied(), *weight);
            }
        }
        out
    }
}

impl Work for Gaussian {
    fn halo(&self) -> usize {
        self.weights.len() / 2
    }

    fn edge(&self, wanted: Option<Edge>) -> Edge {
        self.around.edge(wanted)
    }

    fn scratch(&self) -> usize {
        48
    }

    fn facts(&self, bands: &[Facts], bordered: bool) -> Result<Vec<Facts>, String> {
        Ok(self.around.facts(bands, bordered, None))
    }

    #[inline(always)]
    fn run<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>) {
        let halo = self.weights.len() / 2;
        for band in 0..output.planes.len() {
            if !input.has_gaps(band) {
                let sums = self.blur(input, band, T::wide);
                output.planes[band].iter_mut().zip(sums).for_each(|(o, s)| *o = T::of(s));
                continue;
            }
            let sums = self.blur(input, band, |v| if v.is_nan() { 0.0 } else { v.wide() });
            // Of the weights those that are missing: where there are none the sum is what it is without gaps.
            let missing = self.blur(input, band, |v| if v.is_nan() { 1.0 } else { 0.0 });
            let width = output.window.width;
            for y in 0..output.window.height {
                let own = &input.row(band, y + halo)[halo..];
                let (sums, missing) = (&sums[y * width..], &missing[y * width..]);
                for (x, o) in output.row_mut(band, y).iter_mut().enumerate() {
                    let lost = missing[x] > 0.0;
                    let value = if lost { sums[x] / (1.0 - missing[x]) } else { sums[x] };
                    *o = if own[x].is_nan() || (lost && self.around.propagate) {
                        T::NAN
                    } else {
                        T::of(value)
                    };
                }
            }
        }
    }
}

/// The gradient by Sobel's kernels.
#[derive(Debug, Clone, PartialEq)]
struct Sobel {
    /// The parts that count.
    x: bool,
    y: bool,
    edge: Option<Edge>,
}

/// The gradient of a call.
pub(super) fn sobel(arguments: &Arguments) -> Built {
    let direction = arguments.choice("direction");
    let edge = Edge::of_name(arguments.choice("edge"));
    Built::Operation(Arc::new(Sobel { x: direction != "y", y: direction != "x", edge }))
}

impl Work for Sobel {
    fn halo(&self) -> usize {
        1
    }

    fn edge(&self, wanted: Option<Edge>) -> Edge {
        self.edge.or(wanted).unwrap_or(Edge::Nearest)
    }

    fn facts(&self, bands: &[Facts], bordered: bool) -> Result<Vec<Facts>, String> {
        let low = if self.x && self.y { 0.0 } else { f64::NEG_INFINITY };
        let facts = Facts::numbers(low, f64::INFINITY, bordered);
        Ok(bands.iter().map(|band| band.replaced(&facts)).collect())
    }

    #[inline(always)]
    fn run<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>) {
        for band in 0..output.planes.len() {
            for row in 0..output.window.height {
                let out = output.row_mut(band, row);
                let n = out.len();
                let [[a0, a1, a2], [b0, b1, b2], [c0, c1, c2]] =
                    [0, 1, 2].map(|k| [0, 1, 2].map(|shift| &input.row(band, row + k)[shift..shift + n]));
                for i in 0..n {
                    let (falling, rising) = ((c2[i] - a0[i]).wide(), (c0[i] - a2[i]).wide());
                    let x = falling - rising + 2.0 * (b2[i] - b0[i]).wide();
                    let y = falling + rising + 2.0 * (c1[i] - a1[i]).wide();
                    // The middle does not count, but must be there.
                    let length = match (self.x, self.y) {
                        (true, true) => (x * x + y * y).sqrt(),
                        (true, false) => x,
                        _ => y,
                    };
                    out[i] = if b1[i].is_nan() { T::NAN } else { T::of(length) };
                }
            }
        }
    }
}

/// A weighted sum of the pixels around.
#[derive(Debug, Clone, PartialEq)]
struct Convolve {
    rows: Vec<Vec<f64>>,
    normalize: bool,
    around: Around,
}

/// The sum of a call.
pub(super) fn convolve(arguments: &Arguments) -> Result<Built> {
    let rows = arguments.matrix("kernel").to_vec();
    let normalize = arguments.flag("normalize");
    if normalize && rows.iter().flatten().sum::<f64>() == 0.0 {
        return Err(arguments
            .error("kernel", "its weights sum to 0, which nothing can be divided by")
            .into());
    }
    Ok(Built::Operation(Arc::new(Convolve { rows, normalize, around: Around::of(arguments) })))
}

impl Convolve {
    /// Row `y` of the weighted sums of what `map` makes of a band; `of` chooses the weights.
    #[inline(always)]
    fn sum<T: Real>(
        &self,
        (input, band, y): (&Stack<T>, usize, usize),
        sums: &mut [f64],
        map: impl Fn(T) -> f64 + Copy,
    ) {
        sums.fill(0.0);
        let halo = Work::halo(self);
        let top = halo - self.rows.len() / 2;
        for (j, weights) in self.rows.iter().enumerate() {
            let row = &input.row(band, y + top + j)[halo - weights.len() / 2..];
            for (i, weight) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                add(sums, row[i..].iter().map(|v| map(*v)), *weight);
            }
        }
    }
}

impl Work for Convolve {
    fn halo(&self) -> usize {
        self.rows.len().max(self.rows[0].len()) / 2
    }

    fn edge(&self, wanted: Option<Edge>) -> Edge {
        self.around.edge(wanted)
    }

    fn facts(&self, bands: &[Facts], bordered: bool) -> Result<Vec<Facts>, String> {
        let averages = self.normalize && self.rows.iter().flatten().all(|w| *w >= 0.0);
        Ok(self.around.facts(bands, bordered, (!averages).then_some(ANY)))
    }

    #[inline(always)]
    fn run<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>) {
        let (width, halo) = (output.window.width, Work::halo(self));
        let whole: f64 = self.rows.iter().flatten().sum();
        let (mut sums, mut there, mut lost) = (vec![0.0; width], vec![0.0; width], vec![0.0; width]);
        for band in 0..output.planes.len() {
            let gaps = input.has_gaps(band);
            for y in 0..output.window.height {
                let place = (input, band, y);
                self.sum(place, &mut sums, |v| if v.is_nan() { 0.0 } else { v.wide() });
                if gaps {
                    self.sum(place, &mut there, |v| if v.is_nan() { 0.0 } else { 1.0 });
                    // A count of those that are missing, whatever their weights.
                    lost.fill(0.0);
                    for (j, weights) in self.rows.iter().enumerate() {
                        let row =
                            &input.row(band, y + halo - self.rows.len() / 2 + j)[halo - weights.len() / 2..];
                        for (i, _) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                            add(&mut lost, row[i..].iter().map(|v| if v.is_nan() { 1.0 } else { 0.0 }), 1.0);
                        }
                    }
                }
                let own = &input.row(band, y + halo)[halo..];
                for (x, o) in output.row_mut(band, y).iter_mut().enumerate() {
                    let lacks = gaps && lost[x] > 0.0;
                    let weight = if lacks { there[x] } else { whole };
                    let value = if self.normalize { sums[x] / weight } else { sums[x] };
                    let missing = gaps && (own[x].is_nan() || (lacks && self.around.propagate));
                    *o = if missing || !value.is_finite() { T::NAN } else { T::of(value) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{inner, noise, plane};
    use crate::op::{Call, Ground, Operation, Table};
    use crate::window::Window;

    fn made(text: &str) -> Arc<dyn Operation> {
        let call = Call::parse(text, &Table::standard()).expect(text);
        match call.entry.build(&call.arguments, &Ground::default()).expect(text) {
            Built::Operation(operation) => operation,
            Built::Formula(_) => panic!("a formula"),
        }
    }

    fn result(text: &str, input: &Stack<f64>) -> Vec<f64> {
        let operation = made(text);
        let h = operation.halo() as i64;
        let w = input.window;
        let mut output = Stack::new(Window::from_edges(h, h, w.right() - h, w.bottom() - h), 1);
        operation.double(input, &mut output).expect("a result");
        output.planes.remove(0)
    }

    #[test]
    fn a_blur_keeps_what_is_even_and_spreads_a_point() {
        let even = plane(&[&[3.0; 11][..]; 11]);
        assert!(result("gaussian(1)", &even).iter().all(|v| (v - 3.0).abs() < 1e-12));
        let mut point = plane(&[&[0.0; 9][..]; 9]);
        point.planes[0][40] = 1.0;
        let found = result("gaussian(1, truncate=2)", &point);
        // exp(-1/2) between neighbours, on both axes.
        let centre = 2 * 5 + 2;
        assert!((found[centre + 1] / found[centre] - (-0.5f64).exp()).abs() < 1e-12);
        assert!((found[centre + 6] / found[centre] - (-1.0f64).exp()).abs() < 1e-12);
    }

    #[test]
    fn missing_pixels_do_not_count_or_make_the_result_missing() {
        let mut even = plane(&[&[3.0; 5][..]; 5]);
        even.planes[0][6] = f64::NAN;
        for text in ["gaussian(0.3)", "convolve([[1,2,1],[2,4,2],[1,2,1]], normalize=yes)"] {
            let found = result(text, &even);
            assert!(found[0].is_nan(), "{text}");
            assert!(found[1..].iter().all(|v| (v - 3.0).abs() < 1e-12), "{text}: {found:?}");
            let text = text.replace(')', ", nodata=propagate)");
            let found = result(&text, &even);
            assert_eq!(found.iter().filter(|v| v.is_nan()).count(), 4, "{text}");
        }
    }

    #[test]
    fn kernels_are_not_turned_over() {
        let input = plane(&[&[1.0, 2.0, 4.0], &[8.0, 16.0, 32.0], &[64.0, 128.0, 256.0]]);
        assert_eq!(result("convolve([[1,0,0],[0,0,0],[0,0,10]])", &input), [2561.0]);
        assert_eq!(result("convolve([-1 0 1])", &input), [24.0]);
        assert_eq!(result("sobel(x)", &input), [4.0 + 64.0 + 256.0 - 1.0 - 16.0 - 64.0]);
        assert_eq!(result("sobel(y)", &input), [64.0 + 256.0 + 256.0 - 1.0 - 4.0 - 4.0]);
    }

    #[test]
    fn gaps_elsewhere_make_no_difference() {
        let work =
            Gaussian { weights: vec![0.25, 0.5, 0.25], around: Around { edge: None, propagate: false } };
        let window = Window::new(0, 0, 40, 30);
        let mut gappy = noise(window, false);
        let whole = inner(&work, &gappy).remove(0);
        gappy.planes[0][0] = f64::NAN;
        let found = inner(&work, &gappy).remove(0);
        assert!(whole[1..].iter().zip(&found[1..]).all(|(a, b)| a.to_bits() == b.to_bits()));
        assert!(found[0] != whole[0] && !found[0].is_nan());
    }
}
