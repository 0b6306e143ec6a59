//! How uneven the ground is: the indices of `gdaldem TRI`, `TPI` and `roughness`.
//!
//! Wilson, M. F. J. et al. 2007: Multiscale terrain analysis of multibeam bathymetry data, Marine Geodesy 30; Riley, S. J. et al. 1999: A
//! terrain ruggedness index that quantifies topographic heterogeneity, Intermountain J. Sci. 5.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::sync::Arc;

use super::{Arguments, Edge, Facts, Ground, Real, Rim, Stack, each};
use crate::error::Result;
use crate::op::Work;
use crate::op::table::Built;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Index {
    Riley,
    Wilson,
    Position,
    Roughness,
}

/// An index of unevenness.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ruggedness {
    index: Index,
    rim: Rim,
}

fn built(index: Index, arguments: &Arguments) -> Built {
    Built::Operation(Arc::new(Ruggedness { index, rim: Rim::of(arguments) }))
}

/// The terrain ruggedness index of a call.
#[allow(clippy::unnecessary_wraps)] // as all that build operations
pub(crate) fn tri(arguments: &Arguments, _: &Ground) -> Result<Built> {
    Ok(built(if arguments.choice("alg") == "Riley" { Index::Riley } else { Index::Wilson }, arguments))
}

/// The topographic position index of a call.
#[allow(clippy::unnecessary_wraps)] // as all that build operations
pub(crate) fn tpi(arguments: &Arguments, _: &Ground) -> Result<Built> {
    Ok(built(Index::Position, arguments))
}

/// The roughness of a call.
#[allow(clippy::unnecessary_wraps)] // as all that build operations
pub(crate) fn roughness(arguments: &Arguments, _: &Ground) -> Result<Built> {
    Ok(built(Index::Roughness, arguments))
}

/// The eight around the middle.
const AROUND: [usize; 8] = [0, 1, 2, 3, 5, 6, 7, 8];

impl Work for Ruggedness {
    fn halo(&self) -> usize {
        1
    }

    fn edge(&self, wanted: Option<Edge>) -> Edge {
        self.rim.edge(wanted)
    }

    fn facts(&self, bands: &[Facts], bordered: bool) -> Result<Vec<Facts>, String> {
        let low = if self.index == Index::Position { f64::NEG_INFINITY } else { 0.0 };
        Ok(self.rim.facts(bands, bordered, &Facts::numbers(low, f64::INFINITY, false)))
    }

    #[inline(always)]
    fn run<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>) {
        match self.index {
            Index::Riley => each(input, output, self.rim, |w| {
                let mut sum = 0.0;
                for k in AROUND {
                    let d = (w[k] - w[4]).wide();
                    sum += d * d;
                }
                T::of(sum.sqrt())
            }),
            Index::Wilson => each(input, output, self.rim, |w| {
                let mut sum = 0.0;
                for k in AROUND {
                    sum += (w[k] - w[4]).abs().wide();
                }
                T::of(sum / 8.0)
            }),
            Index::Position => each(input, output, self.rim, |w| {
                let mut sum = 0.0;
                for k in AROUND {
                    sum += (w[4] - w[k]).wide();
                }
                T::of(sum / 8.0)
            }),
            Index::Roughness => each(input, output, self.rim, |w| {
                let (mut low, mut high) = (w[0], w[0]);
                for v in w {
                    low = if v < low { v } else { low };
                    high = if v > high { v } else { high };
                }
                high - low
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::middle;

    #[test]
    fn indices_of_a_peak_and_of_a_gap() {
        let peak: [&[f64]; 3] = [&[1.0, 1.0, 1.0], &[1.0, 5.0, 3.0], &[1.0, 1.0, 1.0]];
        assert_eq!(middle("tri", &peak), (7.0f64 * 16.0 + 4.0).sqrt());
        assert_eq!(middle("tri(Wilson)", &peak), 30.0 / 8.0);
        assert_eq!(middle("tpi", &peak), 5.0 - 10.0 / 8.0);
        assert_eq!(middle("roughness", &peak), 4.0);
        let gap: [&[f64]; 3] = [&[1.0, 1.0, 1.0], &[1.0, 5.0, f64::NAN], &[1.0, 1.0, 1.0]];
        for name in ["tri", "tri(Wilson)", "tpi", "roughness", "slope", "aspect", "hillshade"] {
            assert!(middle(name, &gap).is_nan(), "{name}");
        }
        assert_eq!(middle("roughness(compute_edges=yes)", &gap), 4.0);
        assert_eq!(middle("tpi(compute_edges=yes)", &gap), 28.0 / 8.0);
        let hole: [&[f64]; 3] = [&[1.0, 1.0, 1.0], &[1.0, f64::NAN, 3.0], &[1.0, 1.0, 1.0]];
        assert!(middle("roughness(compute_edges=yes)", &hole).is_nan());
    }
}
