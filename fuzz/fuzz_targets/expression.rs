//! Expressions of `calc`: compiled or refused, and what is compiled runs. An error points into the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tileloom::expr::{Band, Feed, Input, Kind, Machine, Program, Range, Wanted};

struct Pixels;

impl Feed for Pixels {
    fn feed(&mut self, _: Wanted, out: &mut [f64]) {
        let values = [0.0, -1.0, 1.0, 255.0, f64::NAN, 0.5, 1e300, -1e-300];
        out.iter_mut().zip(values.into_iter().cycle()).for_each(|(to, from)| *to = from);
    }
}

fuzz_target!(|text: &str| {
    let band = |kind| Band { name: Some("nir".into()), kind, range: Range::new(0.0, 255.0), may_miss: true, scaling: None };
    let input = |name: &str| Input {
        name: name.into(),
        bands: vec![Some(band(Kind::Integer)), Some(band(Kind::Number)), None],
        first: 1,
    };
    let lines: Vec<&str> = text.lines().collect();
    match Program::compile(&lines, &[input("A"), input("b")]) {
        Ok(program) => {
            let mut machine = Machine::new(&program);
            machine.run(16, &mut Pixels);
            for number in 0..program.outputs().len() {
                assert_eq!(machine.output(number).len(), 16);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.pointer().is_empty()),
    }
});
