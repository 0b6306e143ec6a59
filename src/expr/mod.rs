//! Band mathematics: expressions over pixels, compiled once and evaluated chunk by chunk.
//!
//! ```text
//! text ──▶ words ──▶ syntax tree ──▶ graph of values ──▶ instructions over registers
//!          lexer     syntax          lower               program ──▶ machine, kernels
//! ```
//!
//! An interpreter that looks at one pixel at a time spends its time on looking. So an instruction is carried out for a chunk of
//! pixels, in a loop that the compiler vectorises; and because values that are computed alike are one value in the graph, each
//! is computed once, in however many expressions it stands.
//!
//! Values are 64-bit floats, in which integers of up to 53 bits are exact; rounding to the type of the output comes last.
//! Not-a-number stands for what is missing: a pixel without data, a division by zero, a logarithm of a negative number.
//! Every operation makes a missing value of it, so a result is missing where anything it was computed from is; only `isnodata`,
//! `coalesce`, and the value that `where` does not choose make an exception.
//!
//! ```
//! use tileloom::expr::{Band, Feed, Input, Kind, Machine, Program, Range, Wanted};
//!
//! let band = Band { name: Some("nir".into()), kind: Kind::Integer, range: Range::new(0.0, 255.0), may_miss: false, scaling: None };
//! let input = Input { name: "A".into(), bands: vec![Some(band.clone()), Some(band)], first: 1 };
//! let program = Program::compile(&["(A[1] - A[2]) / (A[1] + A[2])"], &[input])?;
//!
//! struct Pixels([[f64; 3]; 2]);
//! impl Feed for Pixels {
//!     fn feed(&mut self, wanted: Wanted, out: &mut [f64]) {
//!         if let Wanted::Band(slot) = wanted {
//!             out.copy_from_slice(&self.0[slot]);
//!         }
//!     }
//! }
//!
//! let mut machine = Machine::new(&program);
//! machine.run(3, &mut Pixels([[4.0, 3.0, 0.0], [2.0, 3.0, 0.0]]));
//! let ndvi = machine.output(0);
//! assert!(ndvi[0] == 1.0 / 3.0 && ndvi[1] == 0.0 && ndvi[2].is_nan());
//! # Ok::<(), tileloom::expr::ExprError>(())
//! ```

mod error;
mod functions;
mod graph;
mod kernels;
mod lexer;
mod lower;
mod machine;
mod program;
mod syntax;

pub use error::{ExprError, Span};
pub use functions::{FUNCTIONS, Function};
pub use graph::{Coordinate, Kind, Range};
pub use lower::{Band, Input, check_name};
pub use machine::{CHUNK, Feed, Machine, Wanted};

use graph::{Id, Op};
use lower::Lowerer;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The name it was given.
    pub name: Option<String>,
    /// What its values are.
    pub kind: Kind,
    /// Limits between which they lie.
    pub range: Range,
    /// Whether pixels may be without data.
    pub may_miss: bool,
    /// The bands it uses, by their [slots](Program::bands).
    pub slots: Vec<usize>,
    /// The places it uses.
    pub places: Vec<Coordinate>,
}

/// Expressions that were compiled.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    code: program::Code,
    outputs: Vec<Output>,
    /// For each output, the number among all that are computed of what tells where it is missing on purpose.
    deliberate: Vec<Option<usize>>,
    bands: Vec<(usize, usize)>,
}

impl Program {
    /// Compiles expressions, each of which may have a name, as in `ndvi=(A-B)/(A+B)`, and use those of the ones before it.
    ///
    /// # Errors
    /// What is wrong with one of them, and where.
    pub fn compile<S: AsRef<str>>(expressions: &[S], inputs: &[Input]) -> Result<Self, ExprError> {
        let mut lowerer = Lowerer::new(inputs);
        let lowered =
            expressions.iter().map(|e| lowerer.expression(e.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let deliberate: Vec<Option<Id>> = lowered.iter().map(|l| lowerer.deliberate(l.id)).collect();
        let (graph, bands) = lowerer.finish();
        let ids: Vec<Id> = lowered.iter().map(|l| l.id).chain(deliberate.iter().flatten().copied()).collect();
        let outputs = lowered.into_iter().map(|l| {
            let value = graph.get(l.id);
            let (mut slots, mut places) = (Vec::new(), Vec::new());
            for id in graph.needed(&[l.id]) {
                match graph.get(id).op {
                    Op::Load(slot) => slots.push(slot),
                    Op::Place(coordinate) => places.push(coordinate),
                    _ => {}
                }
            }
            let (kind, range, may_miss) = (value.kind, value.range, value.may_miss);
            Output { name: l.name, kind, range, may_miss, slots, places }
        });
        let outputs: Vec<Output> = outputs.collect();
        let mut further = outputs.len()..;
        let deliberate = deliberate.into_iter().map(|d| d.and_then(|_| further.next())).collect();
        Ok(Self { code: program::code(&graph, &ids), outputs, deliberate, bands })
    }

    /// What each expression gives.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The bands that are used, by their slots: position of the input, and 0-based number of the band.
    pub fn bands(&self) -> &[(usize, usize)] {
        &self.bands
    }

    /// Whether a place is used.
    pub fn uses(&self, coordinate: Coordinate) -> bool {
        self.outputs.iter().any(|o| o.places.contains(&coordinate))
    }

    /// Instructions that are carried out for each chunk of pixels.
    pub fn instructions(&self) -> usize {
        self.code.instructions.len()
    }
}

#[cfg(test)]
mod tests;
