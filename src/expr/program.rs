//! From a graph of values to a list of instructions over a few registers.

use super::graph::{Coordinate, Graph, Id, Op};
use super::kernels::{Binary, Unary};

/// A register.
pub(super) type Register = usize;

/// What an instruction reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Source {
    Register(Register),
    Constant(f64),
}

/// What an instruction computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Work {
    Constant(f64),
    Load(usize),
    Place(Coordinate),
    Unary(Unary, Register),
    Binary(Binary, Source, Source),
    Select(Register, Source, Source),
}

/// An instruction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Instruction {
    pub work: Work,
    pub out: Register,
}

/// Instructions that compute the values of some outputs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Code {
    pub instructions: Vec<Instruction>,
    /// How many registers they need.
    pub registers: usize,
    /// The register of each output, when all is done.
    pub outputs: Vec<Register>,
}

/// The instructions for some values. Values that none of them needs are left out.
pub(super) fn code(graph: &Graph, outputs: &[Id]) -> Code {
    let values = graph.values();
    // When each value is needed for the last time: at the number of another value, or at the end.
    let mut last_use = vec![None; values.len()];
    for id in outputs {
        last_use[*id] = Some(usize::MAX);
    }
    for (id, value) in values.iter().enumerate().rev() {
        if last_use[id].is_some() {
            for operand in value.op.operands() {
                last_use[operand] = last_use[operand].or(Some(id));
            }
        }
    }
    let mut places: Vec<Option<Register>> = vec![None; values.len()];
    let (mut free, mut registers, mut instructions) = (Vec::new(), 0, Vec::new());
    for (id, value) in values.iter().enumerate() {
        // Constants are part of the instructions that need them, unless they are all there is.
        let stored = graph.constant(id).is_none() || last_use[id] == Some(usize::MAX);
        if last_use[id].is_none() || !stored {
            continue;
        }
        let register = |id: Id| places[id].unwrap_or_default();
        let source =
            |id: Id| graph.constant(id).map_or_else(|| Source::Register(register(id)), Source::Constant);
        let work = match value.op {
            Op::Constant(bits) => Work::Constant(f64::from_bits(bits)),
            Op::Load(slot) => Work::Load(slot),
            Op::Place(coordinate) => Work::Place(coordinate),
            Op::Unary(op, a) => Work::Unary(op, register(a)),
            Op::Binary(op, a, b) => Work::Binary(op, source(a), source(b)),
            Op::Select(c, a, b) => Work::Select(register(c), source(a), source(b)),
        };
        let out = free.pop().unwrap_or_else(|| {
            registers += 1;
            registers - 1
        });
        instructions.push(Instruction { work, out });
        places[id] = Some(out);
        // An instruction never writes what it reads, so its operands are free only now.
        let mut operands: Vec<Id> = value.op.operands().collect();
        operands.dedup();
        for operand in operands {
            if last_use[operand] == Some(id)
                && let Some(register) = places[operand].take()
            {
                free.push(register);
            }
        }
    }
    let outputs = outputs.iter().map(|id| places[*id].unwrap_or_default()).collect();
    Code { instructions, registers, outputs }
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Kind, Range};
    use super::*;

    #[test]
    fn registers_are_used_again() {
        let mut graph = Graph::default();
        let mut sum = graph.load(0, Kind::Number, Range::ALL, true);
        for slot in 1..20 {
            let band = graph.load(slot, Kind::Number, Range::ALL, true);
            sum = graph.binary(Binary::Add, sum, band);
        }
        let code = code(&graph, &[sum]);
        assert_eq!(code.instructions.len(), 39);
        assert_eq!(code.registers, 3);
    }

    #[test]
    fn values_that_nobody_needs_are_not_computed() {
        let mut graph = Graph::default();
        let a = graph.load(0, Kind::Number, Range::ALL, true);
        let unused = graph.unary(Unary::Sqrt, a);
        let two = graph.number(2.0, Kind::Integer);
        let twice = graph.binary(Binary::Mul, a, two);
        let code = code(&graph, &[twice, a, two]);
        assert_eq!(code.instructions.len(), 3);
        assert!(unused > 0 && code.outputs.iter().collect::<std::collections::BTreeSet<_>>().len() == 3);
    }
}
