//! Statistics of the square around each pixel, as `gdal raster neighbors --kernel equal` has them.
//!
//! What is missing around a pixel does not count, and where the pixel itself is missing there is no result; with `propagate` one missing
//! pixel makes the result missing. Beyond the border stands the nearest pixel of the raster, unless `--edge` says otherwise.
//!
//! The results are the same wherever a window begins: sums are taken in an order that depends on the pixel's own place alone, all
//! other statistics choose among the values.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

mod boxes;
mod median;
mod mode;
mod networks;
mod ranks;

use std::sync::Arc;

use super::call::Arguments;
use super::facts::Facts;
use super::table::Built;
use super::{Edge, Real, Stack, Work};
use crate::error::Result;
use crate::expr::Kind;
use boxes::{Box, combined};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Statistic {
    Mean,
    Median,
    Min,
    Max,
    Sum,
    Deviation,
    Mode,
}

/// A statistic of the square around each pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Focal {
    statistic: Statistic,
    size: usize,
    /// A missing pixel makes the result missing.
    propagate: bool,
    edge: Option<Edge>,
}

/// The statistic of a call.
#[allow(clippy::unnecessary_wraps)] // as all that build operations
pub(super) fn build(arguments: &Arguments) -> Result<Built> {
    let statistic = match arguments.choice("stat") {
        "mean" => Statistic::Mean,
        "median" => Statistic::Median,
        "min" => Statistic::Min,
        "max" => Statistic::Max,
        "sum" => Statistic::Sum,
        "stddev" => Statistic::Deviation,
        _ => Statistic::Mode,
    };
    Ok(Built::Operation(Arc::new(Focal {
        statistic,
        size: arguments.integer("size"),
        propagate: arguments.choice("nodata") == "propagate",
        edge: Edge::of_name(arguments.choice("edge")),
    })))
}

impl Work for Focal {
    fn halo(&self) -> usize {
        self.size / 2
    }

    fn edge(&self, wanted: Option<Edge>) -> Edge {
        self.edge.or(wanted).unwrap_or(Edge::Nearest)
    }

    fn scratch(&self) -> usize {
        match self.statistic {
            Statistic::Mean | Statistic::Sum => 24,
            Statistic::Deviation => 48,
            Statistic::Min | Statistic::Max => 8,
            Statistic::Median | Statistic::Mode => 1,
        }
    }

    fn facts(&self, bands: &[Facts], bordered: bool) -> Result<Vec<Facts>, String> {
        let count = (self.size * self.size) as f64;
        let one = |band: &Facts| {
            let missing = self.propagate && (bordered || band.may_miss);
            let same = band.missing(missing);
            let mixed = same.mixed();
            // Of an even number it lies between two values.
            let median_is_value = !(band.may_miss || bordered);
            match self.statistic {
                Statistic::Mean => mixed,
                Statistic::Median => {
                    if median_is_value {
                        same
                    } else {
                        mixed
                    }
                }
                Statistic::Min | Statistic::Max | Statistic::Mode => same,
                Statistic::Sum => {
                    let (low, high) = (band.range.low, band.range.high);
                    let mut facts = Facts { kind: band.kind.max(Kind::Integer), origin: None, ..same };
                    facts.range.low = low.min(low * count);
                    facts.range.high = high.max(high * count);
                    facts
                }
                Statistic::Deviation => {
                    let mut facts = Facts { origin: None, ..mixed };
                    facts.range = crate::expr::Range::new(0.0, facts.range.high - facts.range.low);
                    facts
                }
            }
        };
        Ok(bands.iter().map(one).collect())
    }

    #[inline(always)]
    fn run<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>) {
        for band in 0..output.planes.len() {
            let gaps = input.has_gaps(band);
            let square = Box { input, band, size: self.size };
            match self.statistic {
                Statistic::Min | Statistic::Max => self.extremes(square, output, gaps),
                Statistic::Mean | Statistic::Sum | Statistic::Deviation => self.sums(square, output, gaps),
                Statistic::Median => median::run(square, output, gaps),
                Statistic::Mode => mode::run(square, output),
            }
            if gaps {
                self.mask(square, output);
            }
            // Which of two zeros was chosen must not depend on gaps elsewhere in the window.
            output.planes[band].iter_mut().for_each(|o| *o = *o + T::default());
        }
    }
}

impl Focal {
    #[inline(always)]
    fn extremes<T: Real>(self, square: Box<'_, T>, output: &mut Stack<T>, gaps: bool) {
        let low = self.statistic == Statistic::Min;
        let nothing = if low { T::INFINITY } else { -T::INFINITY };
        let found = match (low, gaps) {
            (true, false) => combined(square, |v| v, |a, b| if a < b { a } else { b }),
            (false, false) => combined(square, |v| v, |a, b| if a > b { a } else { b }),
            (true, true) => {
                combined(square, |v| if v.is_nan() { nothing } else { v }, |a, b| if a < b { a } else { b })
            }
            (false, true) => {
                combined(square, |v| if v.is_nan() { nothing } else { v }, |a, b| if a > b { a } else { b })
            }
        };
        output.planes[square.band] = found;
    }

    #[inline(always)]
    fn sums<T: Real>(self, square: Box<'_, T>, output: &mut Stack<T>, gaps: bool) {
        let value = |v: T| if v.is_nan() { 0.0 } else { v.wide() };
        let add = |a: f64, b: f64| a + b;
        let sums = combined(square, value, add);
        let counts = gaps.then(|| combined(square, |v: T| if v.is_nan() { 0.0 } else { 1.0 }, add));
        let all = (self.size * self.size) as f64;
        let count = |k: usize| counts.as_ref().map_or(all, |c| c[k]);
        let out = &mut output.planes[square.band];
        match self.statistic {
            Statistic::Sum => out.iter_mut().zip(&sums).for_each(|(o, s)| *o = T::of(*s)),
            Statistic::Mean => {
                for (k, (o, s)) in out.iter_mut().zip(&sums).enumerate() {
                    *o = T::of(*s / count(k));
                }
            }
            _ => {
                let squares = combined(square, |v| value(v) * value(v), add);
                for (k, (o, s)) in out.iter_mut().zip(&sums).enumerate() {
                    let n = count(k);
                    let (whole, part) = (squares[k] * n, *s * *s);
                    // What is left of the difference of two large numbers may be rounding alone.
                    let rest = whole - part;
                    let rest = if rest <= 4.0 * f64::EPSILON * whole { 0.0 } else { rest };
                    *o = T::of(rest.sqrt() / n);
                }
            }
        }
    }

    /// Takes away the results that must be missing.
    #[inline(always)]
    fn mask<T: Real>(self, square: Box<'_, T>, output: &mut Stack<T>) {
        let band = square.band;
        if self.propagate {
            let sums = combined(square, |v: T| if v.is_nan() { 1.0 } else { 0.0 }, |a: f32, b: f32| a + b);
            for (o, missing) in output.planes[band].iter_mut().zip(&sums) {
                *o = if *missing > 0.0 { T::NAN } else { *o };
            }
            return;
        }
        let halo = self.size / 2;
        for y in 0..output.window.height {
            let own = &square.input.row(band, y + halo)[halo..];
            for (o, v) in output.row_mut(band, y).iter_mut().zip(own) {
                *o = if v.is_nan() { T::NAN } else { *o };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{inner, noise};
    use crate::window::Window;

    const STATISTICS: [Statistic; 7] = [
        Statistic::Mean,
        Statistic::Median,
        Statistic::Min,
        Statistic::Max,
        Statistic::Sum,
        Statistic::Deviation,
        Statistic::Mode,
    ];

    /// The statistic of the values of a square row by row, as its definition has it.
    fn plain(statistic: Statistic, mut values: Vec<f64>) -> f64 {
        let in_rows = values.clone();
        values.sort_by(f64::total_cmp);
        let n = values.len();
        let sum: f64 = values.iter().sum();
        let mean = sum / n as f64;
        match statistic {
            Statistic::Mean => mean,
            Statistic::Sum => sum,
            Statistic::Min => values[0],
            Statistic::Max => values[n - 1],
            Statistic::Median => f64::midpoint(values[(n - 1) / 2], values[n / 2]),
            Statistic::Deviation => {
                (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64).sqrt()
            }
            Statistic::Mode => {
                let count = |v: f64, until: usize| in_rows[..until].iter().filter(|w| **w == v).count();
                let most = values.iter().map(|v| count(*v, n)).max().expect("some");
                let first = (1..=n).find(|k| count(in_rows[k - 1], *k) == most).expect("one");
                in_rows[first - 1]
            }
        }
    }

    fn focal(statistic: Statistic, size: usize, propagate: bool) -> Focal {
        Focal { statistic, size, propagate, edge: None }
    }

    #[test]
    fn every_statistic_is_what_its_definition_says() {
        for (size, missing) in
            [(3, false), (3, true), (5, false), (5, true), (7, false), (7, true), (13, true), (31, false)]
        {
            let window = Window::new(-3, 11, 40 + size, 9 + size);
            let input = noise(window, missing);
            // Few values, so that some are alike.
            let few: Vec<f64> = input.planes[0].iter().map(|v| (v / 16.0).floor()).collect();
            for statistic in STATISTICS {
                for propagate in [false, true] {
                    let input = if statistic == Statistic::Mode {
                        Stack { window, planes: vec![few.clone()] }
                    } else {
                        input.clone()
                    };
                    let got = inner(&focal(statistic, size, propagate), &input).remove(0);
                    let width = window.width - (size - 1);
                    for (k, found) in got.iter().enumerate() {
                        let (x, y) = (k % width, k / width);
                        let all = (0..size).flat_map(|j| input.row(0, y + j)[x..x + size].to_vec());
                        let all: Vec<f64> = all.collect();
                        let own = all[size * size / 2];
                        let there: Vec<f64> = all.iter().copied().filter(|v| !v.is_nan()).collect();
                        if own.is_nan() || (propagate && there.len() < all.len()) {
                            assert!(found.is_nan(), "{statistic:?} {size} {x} {y}");
                            continue;
                        }
                        let wanted = plain(statistic, there);
                        let off = (found - wanted).abs();
                        assert!(
                            off <= 1e-9 * wanted.abs().max(1.0),
                            "{statistic:?} {size} {x} {y}: {found} {wanted}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn results_do_not_depend_on_where_a_window_begins() {
        for statistic in STATISTICS {
            for size in [3, 5, 9, 17] {
                let work = focal(statistic, size, false);
                let halo = size / 2;
                let whole = Window::new(0, 0, 70, 50);
                let all = noise(whole.expanded(halo), true);
                let all = inner_at(&work, &all, whole);
                for part in
                    [Window::new(13, 7, 30, 21), Window::new(1, 30, 69, 20), Window::new(40, 0, 5, 50)]
                {
                    let some = inner_at(&work, &noise(part.expanded(halo), true), part);
                    for y in 0..part.height {
                        let from = (part.y as usize + y) * whole.width + part.x as usize;
                        let row = &all[from..from + part.width];
                        let own = &some[y * part.width..(y + 1) * part.width];
                        assert!(
                            row.iter().zip(own).all(|(a, b)| a.to_bits() == b.to_bits()),
                            "{statistic:?} {size} {part}"
                        );
                    }
                }
            }
        }
    }

    fn inner_at(work: &Focal, input: &Stack<f64>, window: Window) -> Vec<f64> {
        // Values whose sums are rounded.
        let input =
            Stack { window: input.window, planes: vec![input.planes[0].iter().map(|v| v / 3.0).collect()] };
        let mut output = Stack::new(window, 1);
        crate::op::Operation::double(work, &input, &mut output).expect("a result");
        output.planes.remove(0)
    }
}
