//! What 3 × 3 heights say of the ground: the algorithms of `gdaldem`, under its names and with its defaults.
//!
//! Differences of heights are taken in the precision of the planes, everything after in 64 bits. Where a pixel around is missing
//! there is no result, unless `compute_edges` has it count as the middle one; at the raster's border likewise.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

mod angles;
mod aspect;
mod hillshade;
mod ruggedness;
mod slope;

use super::call::Arguments;
use super::chain::Ground;
use super::facts::Facts;
use super::{Edge, Real, Stack};

pub(super) use aspect::aspect;
pub(super) use hillshade::hillshade;
pub(super) use ruggedness::{roughness, tpi, tri};
pub(super) use slope::slope;

/// What counts beyond the border and where pixels are missing.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rim {
    edge: Option<Edge>,
    /// Missing pixels count as the middle one.
    filled: bool,
}

impl Rim {
    fn of(arguments: &Arguments) -> Self {
        Self { edge: Edge::of_name(arguments.choice("edge")), filled: arguments.flag("compute_edges") }
    }

    fn edge(self, wanted: Option<Edge>) -> Edge {
        let own = if self.filled { Edge::Extrapolate } else { Edge::Nodata };
        self.edge.or(wanted).unwrap_or(own)
    }

    /// Facts of a result that is missing where pixels around are.
    fn facts(self, bands: &[Facts], bordered: bool, result: &Facts) -> Vec<Facts> {
        let missing = bordered && !self.filled;
        // A slope is not what its heights are named.
        bands.iter().map(|band| Facts { name: None, ..band.replaced(result).missing(missing) }).collect()
    }
}

/// How slopes are found.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Gradient {
    Horn,
    ZevenbergenThorne,
}

impl Gradient {
    fn of(arguments: &Arguments) -> Self {
        if arguments.choice("alg") == "Horn" { Self::Horn } else { Self::ZevenbergenThorne }
    }

    /// How many pixels apart the differences are, weighted.
    fn divisor(self) -> f64 {
        if self == Self::Horn { 8.0 } else { 2.0 }
    }

    /// Heights on the left less those on the right, and those below less those above.
    #[inline(always)]
    fn of_heights<T: Real>(self, w: [T; 9]) -> (f64, f64) {
        match self {
            Self::Horn => {
                let (falling, rising) = (w[0] - w[8], w[6] - w[2]);
                let (across, down) = (w[3] - w[5], w[7] - w[1]);
                (((falling + rising) + (across + across)).wide(), ((rising - falling) + (down + down)).wide())
            }
            Self::ZevenbergenThorne => ((w[3] - w[5]).wide(), (w[7] - w[1]).wide()),
        }
    }
}

/// How many units of height a pixel is wide and high, as GDAL has it: the height of a pixel is negative where north is up.
fn pixel(arguments: &Arguments, ground: &Ground) -> [f64; 2] {
    let (scale, own) = (arguments.number("scale"), ["xscale", "yscale"].map(|n| arguments.number(n)));
    std::array::from_fn(|k| {
        let factor = if !own[k].is_nan() {
            own[k]
        } else if !scale.is_nan() {
            scale
        } else {
            ground.scale[k]
        };
        ground.pixel[k] * factor
    })
}

/// Computes each pixel of a plane from the 3 × 3 around it.
#[inline(always)]
fn each<T: Real>(input: &Stack<T>, output: &mut Stack<T>, rim: Rim, of: impl Fn([T; 9]) -> T + Copy) {
    for band in 0..output.planes.len() {
        let gaps = input.has_gaps(band);
        if gaps && rim.filled {
            rows(input, output, band, |w| of(w.map(|v| if v.is_nan() { w[4] } else { v })));
        } else {
            rows(input, output, band, of);
        }
        if gaps {
            mask(input, output, band, rim);
        }
    }
}

/// The three rows around one of the output, each from the left of it, from it and from the right of it on.
#[inline(always)]
fn around<T: Real>(input: &Stack<T>, band: usize, y: usize, n: usize) -> [[&[T]; 3]; 3] {
    // Slices of the same length: without checks of bounds in a loop over them, many pixels are computed at a time.
    [0, 1, 2].map(|k| {
        let row = input.row(band, y + k);
        [&row[..n], &row[1..=n], &row[2..n + 2]]
    })
}

/// Takes away the results for pixels that are missing, or that lack one of those around: a formula need not look at all of them.
#[inline(always)]
fn mask<T: Real>(input: &Stack<T>, output: &mut Stack<T>, band: usize, rim: Rim) {
    for y in 0..output.window.height {
        let out = output.row_mut(band, y);
        let n = out.len();
        let [[a0, a1, a2], [b0, b1, b2], [c0, c1, c2]] = around(input, band, y, n);
        if rim.filled {
            for x in 0..n {
                out[x] = if b1[x].is_nan() { T::NAN } else { out[x] };
            }
            continue;
        }
        for x in 0..n {
            let above = a0[x].is_nan() | a1[x].is_nan() | a2[x].is_nan();
            let beside = b0[x].is_nan() | b1[x].is_nan() | b2[x].is_nan();
            let below = c0[x].is_nan() | c1[x].is_nan() | c2[x].is_nan();
            out[x] = if above | beside | below { T::NAN } else { out[x] };
        }
    }
}

#[inline(always)]
fn rows<T: Real>(input: &Stack<T>, output: &mut Stack<T>, band: usize, of: impl Fn([T; 9]) -> T) {
    for y in 0..output.window.height {
        let out = output.row_mut(band, y);
        let n = out.len();
        let [[a0, a1, a2], [b0, b1, b2], [c0, c1, c2]] = around(input, band, y, n);
        for x in 0..n {
            out[x] = of([a0[x], a1[x], a2[x], b0[x], b1[x], b2[x], c0[x], c1[x], c2[x]]);
        }
    }
}

#[cfg(test)]
mod testing {
    use super::super::table::Built;
    use super::super::{Call, Ground, Table};
    use crate::op::testing::plane;
    use crate::op::{Operation, Stack};
    use crate::window::Window;
    use std::sync::Arc;

    /// The operation of a call, over pixels of 10 × 10.
    pub fn operation(text: &str) -> Arc<dyn Operation> {
        let call = Call::parse(text, &Table::standard()).expect(text);
        let ground = Ground { pixel: [10.0, -10.0], scale: [1.0, 1.0] };
        match call.entry.build(&call.arguments, &ground).expect(text) {
            Built::Operation(operation) => operation,
            Built::Formula(_) => panic!("{text} is a formula"),
        }
    }

    /// The result for the middle of 3 × 3 heights.
    pub fn middle(text: &str, heights: &[&[f64]]) -> f64 {
        let input = plane(heights);
        let mut output = Stack::new(Window::new(1, 1, 1, 1), 1);
        operation(text).double(&input, &mut output).expect("a result");
        output.planes[0][0]
    }
}
