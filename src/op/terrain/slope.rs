//! Steepness, as `gdaldem slope` has it.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::sync::Arc;

use super::angles::atan_of;
use super::{Arguments, Edge, Facts, Gradient, Ground, Real, Rim, Stack, each, pixel};
use crate::error::Result;
use crate::op::Work;
use crate::op::table::Built;

/// Steepness.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slope {
    gradient: Gradient,
    rim: Rim,
    x: f64,
    y: f64,
    degrees: bool,
}

/// The slope of a call.
#[allow(clippy::unnecessary_wraps)] // as all that build operations
pub(crate) fn slope(arguments: &Arguments, ground: &Ground) -> Result<Built> {
    let gradient = Gradient::of(arguments);
    let [width, height] = pixel(arguments, ground);
    let (x, y) = (1.0 / (gradient.divisor() * width), 1.0 / (gradient.divisor() * height));
    let degrees = arguments.choice("unit") == "degree";
    Ok(Built::Operation(Arc::new(Slope { gradient, rim: Rim::of(arguments), x, y, degrees })))
}

impl Work for Slope {
    fn halo(&self) -> usize {
        1
    }

    fn edge(&self, wanted: Option<Edge>) -> Edge {
        self.rim.edge(wanted)
    }

    fn facts(&self, bands: &[Facts], bordered: bool) -> Result<Vec<Facts>, String> {
        let most = if self.degrees { 90.0 } else { f64::INFINITY };
        Ok(self.rim.facts(bands, bordered, &Facts::numbers(0.0, most, false)))
    }

    #[inline(always)]
    fn run<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>) {
        let work = *self;
        let tangent = move |w: [T; 9]| {
            let (dx, dy) = work.gradient.of_heights(w);
            let (x, y) = (dx * work.x, dy * work.y);
            (x * x + y * y).sqrt()
        };
        if self.degrees {
            each(input, output, self.rim, |w| {
                T::of(atan_of(tangent(w), 1.0) * (180.0 / std::f64::consts::PI))
            });
        } else {
            each(input, output, self.rim, |w| T::of(100.0 * tangent(w)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::middle;

    #[test]
    fn a_rise_as_long_as_it_is_wide_has_45_degrees() {
        let heights: [&[f64]; 3] = [&[0.0, 10.0, 20.0], &[0.0, 10.0, 20.0], &[0.0, 10.0, 20.0]];
        for alg in ["Horn", "ZevenbergenThorne"] {
            assert!((middle(&format!("slope(alg={alg})"), &heights) - 45.0).abs() < 1e-12);
            assert!((middle(&format!("slope(percent, alg={alg})"), &heights) - 100.0).abs() < 1e-12);
        }
        assert!((middle("slope(percent, scale=2)", &heights) - 50.0).abs() < 1e-12);
        assert!((middle("slope(percent, xscale=4, yscale=1)", &heights) - 25.0).abs() < 1e-12);
    }
}
