//! Carries out instructions, chunk by chunk.

use super::Program;
use super::graph::Coordinate;
use super::kernels::{Operand, binary, select, unary};
use super::program::{Source, Work};

/// Pixels that are computed at once, at most: a register of them takes 8 KiB, so that a few stay in the fastest cache.
pub const CHUNK: usize = 1024;

/// What a program asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Samples of a band, by its slot; not-a-number where there is no data.
    Band(usize),
    /// Where the pixels are.
    Place(Coordinate),
}

/// Gives values to a program.
pub trait Feed {
    /// Fills `out` with what is wanted of the pixels of the chunk.
    fn feed(&mut self, wanted: Wanted, out: &mut [f64]);
}

/// Registers for a program.
#[derive(Debug)]
pub struct Machine<'a> {
    program: &'a Program,
    registers: Vec<Vec<f64>>,
    count: usize,
}

impl<'a> Machine<'a> {
    /// A machine that has computed nothing yet.
    pub fn new(program: &'a Program) -> Self {
        Self { program, registers: vec![vec![0.0; CHUNK]; program.code.registers], count: 0 }
    }

    /// Computes all outputs for a chunk of `count` pixels, [`CHUNK`] at most.
    pub fn run(&mut self, count: usize, feed: &mut impl Feed) {
        let count = count.min(CHUNK);
        self.count = count;
        for instruction in &self.program.code.instructions {
            // An instruction never reads what it writes.
            let mut register = std::mem::take(&mut self.registers[instruction.out]);
            let out = &mut register[..count];
            let values = |r: usize| &self.registers[r][..count];
            let operand = |source: Source| match source {
                Source::Register(r) => Operand::Values(values(r)),
                Source::Constant(value) => Operand::Same(value),
            };
            match instruction.work {
                Work::Constant(value) => out.fill(value),
                Work::Load(slot) => feed.feed(Wanted::Band(slot), out),
                Work::Place(coordinate) => feed.feed(Wanted::Place(coordinate), out),
                Work::Unary(op, a) => unary(op, values(a), out),
                Work::Binary(op, a, b) => binary(op, operand(a), operand(b), out),
                Work::Select(c, a, b) => select(values(c), operand(a), operand(b), out),
            }
            self.registers[instruction.out] = register;
        }
    }

    /// The values of an output for the chunk that was computed last; not-a-number where there is none.
    pub fn output(&self, number: usize) -> &[f64] {
        &self.registers[self.program.code.outputs[number]][..self.count]
    }

    /// Whether the expression itself says, by a constant, that an output is missing: 1 where it does. `None` when it never does.
    pub fn deliberate(&self, number: usize) -> Option<&[f64]> {
        self.program.deliberate[number].map(|further| self.output(further))
    }
}
