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
        let mut builder = Builder::new(inputs);
        let values =
            expressions.iter().map(|e| builder.expression(e.as_ref())).collect::<Result<Vec<_>, _>>()?;
        Ok(builder.finish(&values))
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

/// A value that is computed, by the [`Builder`] that made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// The name it was given.
    pub name: Option<String>,
    id: Id,
}

impl Value {
    /// The same under another name, or none.
    #[must_use]
    pub fn named(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }
}

/// What stands for a name in a [formula](Builder::formula).
#[derive(Debug, Clone, Copy)]
pub enum Operand<'a> {
    /// A value computed before.
    Value(&'a Value),
    /// A number; one without a fraction counts as an integer.
    Number(f64),
}

/// Puts a program together from expressions, and from formulas over their values.
pub struct Builder<'a> {
    lowerer: Lowerer<'a>,
}

impl<'a> Builder<'a> {
    /// Nothing but inputs.
    pub fn new(inputs: &'a [Input]) -> Self {
        Self { lowerer: Lowerer::new(inputs) }
    }

    /// Adds an expression over the inputs, which may have a name and use those of the ones before it.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn expression(&mut self, text: &str) -> Result<Value, ExprError> {
        let lowered = self.lowerer.expression(text)?;
        Ok(Value { name: lowered.name, id: lowered.id })
    }

    /// Adds an expression in which names stand for some values and numbers, before any input of the same name.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn formula(&mut self, text: &str, names: &[(&str, Operand<'_>)]) -> Result<Value, ExprError> {
        let scope = names.iter().map(|(name, operand)| {
            let id = match operand {
                Operand::Value(value) => value.id,
                Operand::Number(number) => self.lowerer.number(*number),
            };
            ((*name).to_owned(), id)
        });
        let scope = scope.collect();
        let id = self.lowerer.formula(text, scope)?;
        Ok(Value { name: None, id })
    }

    /// A band of an input, by their positions.
    ///
    /// # Errors
    /// Why there is no such band.
    pub fn band(&mut self, input: usize, band: usize) -> Result<Value, String> {
        Ok(Value { name: None, id: self.lowerer.band_at(input, band)? })
    }

    /// What a value is, the limits between which it lies, and whether it may be missing.
    pub fn facts(&self, value: &Value) -> (Kind, Range, bool) {
        let value = self.lowerer.value(value.id);
        (value.kind, value.range, value.may_miss)
    }

    /// The band, by the positions of its input and its own, whose value a value is wherever it is not missing.
    pub fn shows(&self, value: &Value) -> Option<(usize, usize)> {
        self.lowerer.shows(value.id)
    }

    /// The program that computes some of the values.
    pub fn finish(mut self, outputs: &[Value]) -> Program {
        let deliberate: Vec<Option<Id>> = outputs.iter().map(|o| self.lowerer.deliberate(o.id)).collect();
        let (graph, bands) = self.lowerer.finish();
        let ids: Vec<Id> = outputs.iter().map(|o| o.id).chain(deliberate.iter().flatten().copied()).collect();
        let describe = |o: &Value| {
            let value = graph.get(o.id);
            let (mut slots, mut places) = (Vec::new(), Vec::new());
            for id in graph.needed(&[o.id]) {
                match graph.get(id).op {
                    Op::Load(slot) => slots.push(slot),
                    Op::Place(coordinate) => places.push(coordinate),
                    _ => {}
                }
            }
            let (kind, range, may_miss) = (value.kind, value.range, value.may_miss);
            Output { name: o.name.clone(), kind, range, may_miss, slots, places }
        };
        let described: Vec<Output> = outputs.iter().map(describe).collect();
        let mut further = outputs.len()..;
        let deliberate = deliberate.into_iter().map(|d| d.and_then(|_| further.next())).collect();
        Program { code: program::code(&graph, &ids), outputs: described, deliberate, bands }
    }
}

#[cfg(test)]
mod tests;
