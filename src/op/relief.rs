//! Colours for values, as `gdaldem color-relief` gives them.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::sync::Arc;

use super::call::Arguments;
use super::facts::Facts;
use super::table::Built;
use super::{Real, Stack, Work};
use crate::colormap::{Colormap, Table, nodata_colour};
use crate::encode::Rgba;
use crate::error::Result;

/// Colours for values.
#[derive(Debug, Clone, PartialEq)]
struct Relief {
    table: Table,
    missing: Rgba,
    bands: usize,
}

/// Reads the colours of a call.
pub(super) fn build(arguments: &Arguments) -> Result<Built> {
    let word = arguments.word("colors");
    let map = Colormap::load(word)?;
    let limits = [arguments.number("min"), arguments.number("max")];
    if map.is_relative() && limits.iter().any(|v| v.is_nan()) {
        let reason =
            "its colours stand at shares of a range: give it, as in color_relief(viridis, min=0, max=3000)";
        return Err(arguments.error("colors", reason).into());
    }
    if limits[0] >= limits[1] {
        return Err(arguments.error("max", "max: is not above min").into());
    }
    // A ramp, or a file that cannot be read again, has no colour for what is missing.
    let missing =
        std::fs::read_to_string(word).ok().and_then(|text| nodata_colour(&text)).unwrap_or_default();
    let bands = if arguments.flag("alpha") { 4 } else { 3 };
    Ok(Built::Operation(Arc::new(Relief { table: map.table(limits), missing, bands })))
}

impl Work for Relief {
    fn halo(&self) -> usize {
        0
    }

    fn facts(&self, bands: &[Facts], _: bool) -> Result<Vec<Facts>, String> {
        match bands {
            [_] => Ok(vec![Facts::integers(0.0, 255.0, false); self.bands]),
            _ => Err(format!("gives colours to one band, and gets {}", bands.len())),
        }
    }

    #[inline(always)]
    fn run<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>) {
        let (mut last, mut colour) = (T::NAN, self.missing);
        for (k, v) in input.planes[0].iter().enumerate() {
            if *v != last {
                last = *v;
                colour = if v.is_nan() { self.missing } else { self.table.colour(v.wide()) };
            }
            for (plane, shade) in output.planes.iter_mut().zip(colour) {
                plane[k] = T::of(f64::from(shade));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::plane;
    use crate::op::{Operation, Stack};

    #[test]
    fn colours_are_mixed_and_missing_pixels_have_their_own() {
        let text = "0 0 0 0\n10 100 200 50 128\nnv 1 2 3 4\n";
        let table = Colormap::parse(text).expect("colours").table([0.0; 2]);
        let relief = Relief { table, missing: nodata_colour(text).expect("one"), bands: 4 };
        let input = plane(&[&[5.0, f64::NAN, 99.0]]);
        let mut output = Stack::new(input.window, 4);
        Operation::double(&relief, &input, &mut output).expect("a result");
        assert_eq!(
            output.planes,
            [[50.0, 1.0, 100.0], [100.0, 2.0, 200.0], [25.0, 3.0, 50.0], [192.0, 4.0, 128.0]]
        );
    }
}
