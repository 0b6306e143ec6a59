//! The values of an expression and what they are computed from, each of them once.
//!
//! Values that are computed alike from the same values are one. What is known before any pixel is seen is kept with each: whether it
//! is a truth value, an integer or a number, between which limits it lies, and whether it may be missing; from this the type of
//! the output is chosen.

use std::collections::HashMap;

use super::kernels::{Binary, MOST_BITS, Unary, binary_of, unary_of};

/// What values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// 0 or 1.
    Truth,
    /// Integers.
    Integer,
    /// Numbers.
    Number,
}

/// Limits between which values lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The least value.
    pub low: f64,
    /// The greatest value; below the least when there is no value at all.
    pub high: f64,
}

impl Range {
    /// No limits.
    pub const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };
    /// No value at all.
    pub const NONE: Self = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };
    /// 0 to 1.
    pub const TRUTH: Self = Self { low: 0.0, high: 1.0 };

    /// From one value to another.
    pub const fn new(low: f64, high: f64) -> Self {
        Self { low, high }
    }

    /// One value; none when it is no number.
    pub const fn of(value: f64) -> Self {
        if value.is_nan() { Self::NONE } else { Self::new(value, value) }
    }

    /// The smallest range that holds both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.max(other.high))
    }

    const fn is_none(self) -> bool {
        self.low > self.high
    }

    /// What a function that takes its extremes at the corners makes of two ranges.
    fn corners(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        if self.is_none() || other.is_none() {
            return Self::NONE;
        }
        let all = [
            f(self.low, other.low),
            f(self.low, other.high),
            f(self.high, other.low),
            f(self.high, other.high),
        ];
        if all.iter().any(|v| v.is_nan()) {
            return Self::ALL;
        }
        all.into_iter().fold(Self::NONE, |range, v| range.union(Self::of(v)))
    }

    /// What a function that never falls makes of the range.
    fn through(self, f: impl Fn(f64) -> f64) -> Self {
        if self.is_none() { self } else { Self::new(f(self.low), f(self.high)) }
    }
}

/// A place as a value: pixels, coordinates of the CRS, degrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coordinate {
    /// Column, from 0.
    Column,
    /// Row, from 0.
    Row,
    /// The first coordinate of the pixel's centre, in units of the CRS.
    X,
    /// The second one.
    Y,
    /// Longitude of the pixel's centre, in degrees.
    Longitude,
    /// Latitude of the pixel's centre, in degrees.
    Latitude,
}

/// The number of a value.
pub(super) type Id = usize;

/// How a value comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Op {
    /// The bits of a constant.
    Constant(u64),
    /// A band, by its slot.
    Load(usize),
    Place(Coordinate),
    Unary(Unary, Id),
    Binary(Binary, Id, Id),
    Select(Id, Id, Id),
}

impl Op {
    /// The values it is computed from.
    pub fn operands(self) -> impl Iterator<Item = Id> {
        let all = match self {
            Self::Constant(_) | Self::Load(_) | Self::Place(_) => [None; 3],
            Self::Unary(_, a) => [Some(a), None, None],
            Self::Binary(_, a, b) => [Some(a), Some(b), None],
            Self::Select(a, b, c) => [Some(a), Some(b), Some(c)],
        };
        all.into_iter().flatten()
    }
}

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Value {
    pub op: Op,
    pub kind: Kind,
    pub range: Range,
    /// Whether some pixel may have none.
    pub may_miss: bool,
}

/// Values in an order in which each comes after those it is computed from.
#[derive(Debug, Default)]
pub(super) struct Graph {
    values: Vec<Value>,
    known: HashMap<Op, Id>,
}

impl Graph {
    pub fn get(&self, id: Id) -> &Value {
        &self.values[id]
    }

    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The number, when a value is one for all pixels.
    pub fn constant(&self, id: Id) -> Option<f64> {
        if let Op::Constant(bits) = self.get(id).op { Some(f64::from_bits(bits)) } else { None }
    }

    fn add(&mut self, value: Value) -> Id {
        if let Some(id) = self.known.get(&value.op) {
            return *id;
        }
        self.values.push(value);
        self.known.insert(value.op, self.values.len() - 1);
        self.values.len() - 1
    }

    /// A constant; what is not a number is a value that is always missing.
    pub fn number(&mut self, value: f64, kind: Kind) -> Id {
        let value = if value.is_nan() { f64::NAN } else { value };
        // Equal constants of different kinds would be one value otherwise; of a number that is an integer nothing is lost.
        let kind = if value.is_nan() {
            Kind::Truth
        } else if kind == Kind::Truth {
            kind
        } else if value.fract() == 0.0 && value.abs() <= 2f64.powi(53) {
            Kind::Integer
        } else {
            Kind::Number
        };
        let value = Value {
            op: Op::Constant(value.to_bits()),
            kind,
            range: Range::of(value),
            may_miss: value.is_nan(),
        };
        self.add(value)
    }

    pub fn load(&mut self, slot: usize, kind: Kind, range: Range, may_miss: bool) -> Id {
        self.add(Value { op: Op::Load(slot), kind, range, may_miss })
    }

    pub fn place(&mut self, coordinate: Coordinate) -> Id {
        let (kind, range) = match coordinate {
            Coordinate::Column | Coordinate::Row => (Kind::Integer, Range::new(0.0, 2_147_483_647.0)),
            Coordinate::X | Coordinate::Y => (Kind::Number, Range::ALL),
            Coordinate::Longitude => (Kind::Number, Range::new(-360.0, 360.0)),
            Coordinate::Latitude => (Kind::Number, Range::new(-90.0, 90.0)),
        };
        let degrees = matches!(coordinate, Coordinate::Longitude | Coordinate::Latitude);
        self.add(Value { op: Op::Place(coordinate), kind, range, may_miss: degrees })
    }

    pub fn unary(&mut self, op: Unary, a: Id) -> Id {
        let value = *self.get(a);
        if let Some(constant) = self.constant(a) {
            let kind = if op == Unary::IsMissing { Kind::Truth } else { value.kind.max(Kind::Integer) };
            return self.number(unary_of(op, constant), kind);
        }
        let integer = value.kind <= Kind::Integer;
        // Whole numbers are what they are rounded to.
        let rounds = matches!(op, Unary::Floor | Unary::Ceil | Unary::Trunc | Unary::Round | Unary::Rint);
        if (rounds && integer) || (op == Unary::Abs && value.range.low >= 0.0) {
            return a;
        }
        if op == Unary::IsMissing && !value.may_miss {
            return self.number(0.0, Kind::Truth);
        }
        let Range { low, high } = value.range;
        let range = match op {
            Unary::Neg => Range::new(-high, -low),
            Unary::Abs => Range::new(0.0, low.abs().max(high.abs())),
            Unary::Sign => Range::new(-1.0, 1.0),
            Unary::IsMissing => Range::TRUTH,
            _ if rounds => value.range.through(|v| unary_of(op, v)),
            Unary::Number => value.range,
            Unary::Sqrt => Range::new(0.0, f64::INFINITY),
            Unary::Sin | Unary::Cos | Unary::Tanh => Range::new(-1.0, 1.0),
            _ => Range::ALL,
        };
        let kind = match op {
            Unary::IsMissing => Kind::Truth,
            Unary::Neg | Unary::Abs if integer => Kind::Integer,
            Unary::Sign => Kind::Integer,
            _ if rounds => Kind::Integer,
            _ => Kind::Number,
        };
        let never = match op {
            Unary::Neg
            | Unary::Abs
            | Unary::Sign
            | Unary::Cbrt
            | Unary::Atan
            | Unary::Tanh
            | Unary::Number => true,
            Unary::Sqrt => low >= 0.0,
            _ => rounds,
        };
        let may_miss = op != Unary::IsMissing && (value.may_miss || !never);
        self.add(Value { op: Op::Unary(op, a), kind, range, may_miss })
    }

    pub fn binary(&mut self, op: Binary, a: Id, b: Id) -> Id {
        let (left, right) = (*self.get(a), *self.get(b));
        if let (Some(x), Some(y)) = (self.constant(a), self.constant(b)) {
            let kind = kind_of(op, &left, &right);
            return self.number(binary_of(op, x, y), kind);
        }
        if op == Binary::Coalesce && !left.may_miss {
            return a;
        }
        let (a, b) = if op.commutes() && a > b { (b, a) } else { (a, b) };
        let may_miss = match op {
            Binary::Coalesce => right.may_miss,
            Binary::Div | Binary::FloorDiv | Binary::Mod => {
                let zero = right.range.low <= 0.0 && right.range.high >= 0.0;
                left.may_miss || right.may_miss || zero || !self.is_bounded(a) || !self.is_bounded(b)
            }
            // Overflow, too, leaves no value.
            Binary::Pow => true,
            Binary::BitAnd | Binary::BitOr | Binary::BitXor | Binary::Shl | Binary::Shr => {
                let limit = 2f64.powi(MOST_BITS);
                let within = |r: Range| r.low > -limit && r.high < limit;
                let shifts = matches!(op, Binary::Shl | Binary::Shr);
                let shift = right.range.low >= 0.0 && right.range.high <= f64::from(MOST_BITS);
                left.may_miss
                    || right.may_miss
                    || if shifts { !shift } else { !within(left.range) || !within(right.range) }
            }
            _ => left.may_miss || right.may_miss,
        };
        let kind = kind_of(op, &left, &right);
        let mut range = range_of(op, left.range, right.range);
        if op == Binary::Mul && a == b {
            // A square is never negative, which the limits of its factors cannot tell.
            range.low = range.low.max(0.0);
        }
        self.add(Value { op: Op::Binary(op, a, b), kind, range, may_miss })
    }

    fn is_bounded(&self, id: Id) -> bool {
        let Range { low, high } = self.get(id).range;
        low.is_finite() && high.is_finite()
    }

    pub fn select(&mut self, condition: Id, yes: Id, no: Id) -> Id {
        if let Some(known) = self.constant(condition) {
            return if known.is_nan() {
                condition
            } else if known == 0.0 {
                no
            } else {
                yes
            };
        }
        let (y, n) = (*self.get(yes), *self.get(no));
        let value = Value {
            op: Op::Select(condition, yes, no),
            kind: y.kind.max(n.kind),
            range: y.range.union(n.range),
            may_miss: self.get(condition).may_miss || y.may_miss || n.may_miss,
        };
        self.add(value)
    }

    /// The band whose value a value is wherever it is not missing.
    pub fn shows(&self, id: Id) -> Option<usize> {
        let missing = |id: Id| self.constant(id).is_some_and(f64::is_nan);
        match self.get(id).op {
            Op::Load(slot) => Some(slot),
            Op::Select(_, yes, no) if missing(no) => self.shows(yes),
            Op::Select(_, yes, no) if missing(yes) => self.shows(no),
            Op::Select(_, yes, no) => self.shows(yes).filter(|slot| self.shows(no) == Some(*slot)),
            _ => None,
        }
    }

    /// The values that some need, themselves included, in the order of their numbers.
    pub fn needed(&self, ids: &[Id]) -> Vec<Id> {
        let mut needs = vec![false; self.values.len()];
        for id in ids {
            needs[*id] = true;
        }
        for k in (0..needs.len()).rev() {
            if needs[k] {
                self.get(k).op.operands().for_each(|operand| needs[operand] = true);
            }
        }
        (0..needs.len()).filter(|k| needs[*k]).collect()
    }

    /// 1 where a value is missing because the expression says so, by a constant, and not for want of data or of a result.
    /// `None` when it never says so.
    pub fn deliberate(&mut self, id: Id) -> Option<Id> {
        let mut said: HashMap<Id, Id> = HashMap::new();
        let zero = self.number(0.0, Kind::Truth);
        for k in self.needed(&[id]) {
            let op = self.get(k).op;
            let own = match op {
                Op::Constant(bits) => f64::from_bits(bits).is_nan().then(|| self.number(1.0, Kind::Truth)),
                Op::Load(_) | Op::Place(_) | Op::Unary(Unary::IsMissing, _) => None,
                Op::Select(condition, yes, no) => {
                    let [c, y, n] = [condition, yes, no].map(|operand| said.get(&operand).copied());
                    let chosen = (y.is_some() || n.is_some())
                        .then(|| self.select(condition, y.unwrap_or(zero), n.unwrap_or(zero)));
                    [c, chosen].into_iter().flatten().reduce(|a, b| self.or(a, b))
                }
                _ => {
                    let all: Vec<Id> =
                        op.operands().filter_map(|operand| said.get(&operand).copied()).collect();
                    all.into_iter().reduce(|a, b| self.or(a, b))
                }
            };
            said.extend(own.map(|own| (k, own)));
        }
        said.get(&id).copied()
    }

    /// 1 where a value is not 0.
    pub fn truth(&mut self, a: Id) -> Id {
        if self.get(a).kind == Kind::Truth {
            return a;
        }
        let zero = self.number(0.0, Kind::Integer);
        self.binary(Binary::Ne, a, zero)
    }

    /// 1 where a truth value is 0.
    pub fn not(&mut self, a: Id) -> Id {
        let a = self.truth(a);
        let zero = self.number(0.0, Kind::Integer);
        self.binary(Binary::Eq, a, zero)
    }

    /// 1 where both truth values are 1, missing where one is.
    pub fn and(&mut self, a: Id, b: Id) -> Id {
        let (a, b) = (self.truth(a), self.truth(b));
        if a == b { a } else { self.binary(Binary::Mul, a, b) }
    }

    /// 1 where one of two truth values is 1, missing where one is.
    pub fn or(&mut self, a: Id, b: Id) -> Id {
        let (a, b) = (self.truth(a), self.truth(b));
        if a == b { a } else { self.binary(Binary::Max, a.min(b), a.max(b)) }
    }
}

fn kind_of(op: Binary, left: &Value, right: &Value) -> Kind {
    let wider = left.kind.max(right.kind);
    match op {
        Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne => Kind::Truth,
        Binary::BitAnd | Binary::BitOr | Binary::BitXor | Binary::Shl | Binary::Shr => Kind::Integer,
        Binary::Min | Binary::Max | Binary::Mul | Binary::Coalesce => wider,
        Binary::Add | Binary::Sub | Binary::Mod | Binary::FloorDiv => wider.max(Kind::Integer),
        Binary::Pow if wider <= Kind::Integer && right.range.low >= 0.0 => Kind::Integer,
        Binary::Pow | Binary::Div | Binary::Atan2 | Binary::Hypot => Kind::Number,
    }
}

fn range_of(op: Binary, a: Range, b: Range) -> Range {
    match op {
        Binary::Lt | Binary::Le | Binary::Gt | Binary::Ge | Binary::Eq | Binary::Ne => Range::TRUTH,
        Binary::Add => a.corners(b, |a, b| a + b),
        Binary::Sub => a.corners(b, |a, b| a - b),
        Binary::Mul => a.corners(b, |a, b| a * b),
        Binary::Div if b.low > 0.0 || b.high < 0.0 => a.corners(b, |a, b| a / b),
        Binary::FloorDiv if b.low > 0.0 || b.high < 0.0 => a.corners(b, |a, b| (a / b).floor()),
        Binary::Min => a.corners(b, f64::min),
        Binary::Max => a.corners(b, f64::max),
        Binary::Coalesce => a.union(b),
        Binary::Mod if b.low > 0.0 => Range::new(0.0, b.high),
        Binary::Pow if a.low >= 0.0 && b.low >= 0.0 => a.corners(b, libm::pow).union(Range::of(0.0)),
        Binary::BitAnd if a.low >= 0.0 && b.low >= 0.0 => Range::new(0.0, a.high.min(b.high)),
        Binary::BitAnd if b.low >= 0.0 => Range::new(0.0, b.high),
        Binary::BitAnd if a.low >= 0.0 => Range::new(0.0, a.high),
        Binary::BitOr | Binary::BitXor
            if a.low >= 0.0 && b.low >= 0.0 && a.high.max(b.high) < 2f64.powi(52) =>
        {
            let all = (a.high.max(b.high) as u64 + 1).next_power_of_two() - 1;
            Range::new(0.0, all as f64)
        }
        Binary::Shl if b.low >= 0.0 && b.high <= 51.0 => a.corners(b, |a, b| a * 2f64.powi(b as i32)),
        Binary::Shr if b.low >= 0.0 && b.high <= 51.0 => {
            a.corners(b, |a, b| (a / 2f64.powi(b as i32)).floor())
        }
        _ => Range::ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> (Graph, Id, Id) {
        let mut graph = Graph::default();
        let range = Range::new(0.0, 255.0);
        let a = graph.load(0, Kind::Integer, range, false);
        let b = graph.load(1, Kind::Integer, range, true);
        (graph, a, b)
    }

    #[test]
    fn what_is_computed_alike_is_one_value() {
        let (mut graph, a, b) = bytes();
        let sums = [graph.binary(Binary::Add, a, b), graph.binary(Binary::Add, b, a)];
        assert_eq!(sums[0], sums[1]);
        assert_ne!(graph.binary(Binary::Sub, a, b), graph.binary(Binary::Sub, b, a));
        let two = graph.number(2.0, Kind::Integer);
        let four = graph.binary(Binary::Mul, two, two);
        assert_eq!(graph.constant(four), Some(4.0));
    }

    #[test]
    fn limits_follow_from_those_of_the_bands() {
        let (mut graph, a, b) = bytes();
        let range = |graph: &Graph, id: Id| (graph.get(id).range.low, graph.get(id).range.high);
        let difference = graph.binary(Binary::Sub, a, b);
        assert_eq!(range(&graph, difference), (-255.0, 255.0));
        assert_eq!(graph.get(difference).kind, Kind::Integer);
        let product = graph.binary(Binary::Mul, difference, a);
        assert_eq!(range(&graph, product), (-65_025.0, 65_025.0));
        let quotient = graph.binary(Binary::Div, a, b);
        assert_eq!((graph.get(quotient).kind, graph.get(quotient).may_miss), (Kind::Number, true));
        let (four, three) = (graph.number(4.0, Kind::Integer), graph.number(3.0, Kind::Integer));
        let bits = graph.binary(Binary::BitAnd, a, three);
        assert_eq!(range(&graph, bits), (0.0, 3.0));
        let either = graph.binary(Binary::BitOr, bits, four);
        assert_eq!(range(&graph, either), (0.0, 7.0));
        let shifted = graph.binary(Binary::Shr, a, four);
        assert_eq!(range(&graph, shifted), (0.0, 15.0));
        assert!(!graph.get(shifted).may_miss);
    }

    #[test]
    fn a_missing_value_widens_neither_kind_nor_limits() {
        let (mut graph, a, _) = bytes();
        let none = graph.number(f64::NAN, Kind::Number);
        let hundred = graph.number(100.0, Kind::Integer);
        let condition = graph.binary(Binary::Gt, a, hundred);
        let value = graph.select(condition, none, a);
        let value = graph.get(value);
        assert_eq!((value.kind, value.range.high, value.may_miss), (Kind::Integer, 255.0, true));
    }

    #[test]
    fn what_is_missing_on_purpose_is_known() {
        let (mut graph, a, b) = bytes();
        let none = graph.number(f64::NAN, Kind::Number);
        let condition = graph.binary(Binary::Gt, a, b);
        let value = graph.select(condition, a, none);
        let twice = graph.binary(Binary::Add, value, value);
        let (zero, one) = (graph.number(0.0, Kind::Truth), graph.number(1.0, Kind::Truth));
        let expected = graph.select(condition, zero, one);
        assert_eq!(graph.deliberate(twice), Some(expected));
        assert_eq!(graph.deliberate(condition), None);
        let asked = graph.unary(Unary::IsMissing, value);
        assert_eq!(graph.deliberate(asked), None);
    }

    #[test]
    fn asking_for_what_is_never_missing_is_no_question() {
        let (mut graph, a, b) = bytes();
        let never = graph.unary(Unary::IsMissing, a);
        assert_eq!(graph.constant(never), Some(0.0));
        let filled = graph.binary(Binary::Coalesce, b, a);
        assert!(!graph.get(filled).may_miss);
        assert_eq!(graph.binary(Binary::Coalesce, a, b), a);
        assert_eq!(graph.unary(Unary::Round, a), a);
    }
}
