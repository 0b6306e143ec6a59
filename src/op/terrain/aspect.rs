//! The direction that a slope faces, as `gdaldem aspect` has it.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::sync::Arc;

use super::angles::atan2;
use super::{Arguments, Edge, Facts, Gradient, Ground, Real, Rim, Stack, each};
use crate::error::Result;
use crate::op::Work;
use crate::op::table::Built;

/// The direction that a slope faces.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Aspect {
    gradient: Gradient,
    rim: Rim,
    trigonometric: bool,
    /// What flat ground has.
    flat: f64,
}

/// The aspect of a call.
#[allow(clippy::unnecessary_wraps)] // as all that build operations
pub(crate) fn aspect(arguments: &Arguments, _: &Ground) -> Result<Built> {
    Ok(Built::Operation(Arc::new(Aspect {
        gradient: Gradient::of(arguments),
        rim: Rim::of(arguments),
        trigonometric: arguments.flag("trigonometric"),
        flat: if arguments.flag("zero_for_flat") { 0.0 } else { f64::NAN },
    })))
}

impl Work for Aspect {
    fn halo(&self) -> usize {
        1
    }

    fn edge(&self, wanted: Option<Edge>) -> Edge {
        self.rim.edge(wanted)
    }

    fn facts(&self, bands: &[Facts], bordered: bool) -> Result<Vec<Facts>, String> {
        let facts = Facts::numbers(0.0, 360.0, self.flat.is_nan());
        Ok(self.rim.facts(bands, bordered, &facts))
    }

    #[inline(always)]
    fn run<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>) {
        let work = *self;
        each(input, output, self.rim, |w| {
            // Downhill: what is higher on the left faces right.
            let (dx, dy) = work.gradient.of_heights(w);
            let angle = atan2(dy, dx) * (180.0 / std::f64::consts::PI);
            let turned = if work.trigonometric {
                if angle < 0.0 { angle + 360.0 } else { angle }
            } else if angle > 90.0 {
                450.0 - angle
            } else {
                90.0 - angle
            };
            let turned = T::of(if dx == 0.0 && dy == 0.0 { work.flat } else { turned });
            // Also of what is rounded to a whole turn.
            if turned >= T::of(360.0) { T::default() } else { turned }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::middle;

    #[test]
    fn slopes_face_where_they_fall() {
        let east: [&[f64]; 3] = [&[2.0, 1.0, 0.0]; 3];
        let south: [&[f64]; 3] = [&[2.0; 3], &[1.0; 3], &[0.0; 3]];
        let close = |text: &str, heights: &[&[f64]], wanted: f64| {
            let found = middle(text, heights);
            assert!((found - wanted).abs() < 1e-9, "{text}: {found}");
        };
        close("aspect", &east, 90.0);
        close("aspect", &south, 180.0);
        close("aspect(trigonometric=yes)", &east, 0.0);
        close("aspect(trigonometric=yes)", &south, 270.0);
        let flat: [&[f64]; 3] = [&[1.0; 3]; 3];
        assert!(middle("aspect", &flat).is_nan());
        close("aspect(zero_for_flat=yes)", &flat, 0.0);
    }
}
