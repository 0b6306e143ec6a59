//! Runs the programs of a chain over planes.

use crate::expr::{CHUNK, Feed, Machine, Program, Wanted};
use crate::op::{Real, Stack};
use crate::window::Window;

/// Planes as the bands of a program.
struct Planes<'a, T> {
    stack: &'a Stack<T>,
    program: &'a Program,
    start: usize,
}

impl<T: Real> Feed for Planes<'_, T> {
    fn feed(&mut self, wanted: Wanted, out: &mut [f64]) {
        match wanted {
            Wanted::Band(slot) => {
                let (_, band) = self.program.bands()[slot];
                let values = &self.stack.planes[band][self.start..];
                out.iter_mut().zip(values).for_each(|(o, v)| *o = v.wide());
            }
            // No formula asks for places.
            Wanted::Place(_) => out.fill(f64::NAN),
        }
    }
}

/// Computes a program over planes, and counts what has no result in a part of them.
pub(super) fn evaluate<T: Real>(
    program: &Program,
    stack: &Stack<T>,
    counted: Window,
    undefined: &mut [u64],
) -> Stack<T> {
    let mut made = Stack::new(stack.window, program.outputs().len());
    let mut machine = Machine::new(program);
    let area = stack.window.area();
    for start in (0..area).step_by(CHUNK) {
        let count = CHUNK.min(area - start);
        machine.run(count, &mut Planes { stack, program, start });
        for (band, plane) in made.planes.iter_mut().enumerate() {
            let values = machine.output(band);
            let missing = take(values, &mut plane[start..start + count]);
            if !missing || band >= undefined.len() {
                continue;
            }
            let said = machine.deliberate(band);
            for (k, _) in values.iter().enumerate().filter(|(_, v)| !v.is_finite()) {
                let at = start + k;
                let (x, y) = ((at % stack.window.width) as i64, (at / stack.window.width) as i64);
                let place = Window::new(stack.window.x + x, stack.window.y + y, 1, 1);
                let there = |slot: &usize| !stack.planes[program.bands()[*slot].1][at].is_nan();
                let unsaid = said.is_none_or(|s| s[k] != 1.0);
                if unsaid && counted.contains(&place) && program.outputs()[band].slots.iter().all(there) {
                    undefined[band] += 1;
                }
            }
        }
    }
    made
}

/// Takes values over; whether some of them are missing.
pub(crate) fn take<T: Real>(values: &[f64], plane: &mut [T]) -> bool {
    let mut finite = 0;
    for (p, v) in plane.iter_mut().zip(values) {
        let there = v.is_finite();
        *p = if there { T::of(*v) } else { T::NAN };
        finite += usize::from(there);
    }
    finite < values.len()
}
