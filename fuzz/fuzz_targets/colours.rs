//! Colour files: read or refused, and what is read gives a colour to any number.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tileloom::colormap::Colormap;

fuzz_target!(|text: &str| {
    if let Ok(colours) = Colormap::parse(text) {
        let table = colours.table([-10.0, 300.0]);
        for value in [f64::NAN, f64::NEG_INFINITY, -1e300, -0.0, 1.0, 127.5, 255.0, 1e300, f64::INFINITY] {
            table.colour(value);
        }
    }
});
