//! What operations compute, value by value and chunk by chunk.
//!
//! Not-a-number is a value without data, and every operation makes it of it, except those that ask for it. Division by
//! zero and arguments beyond a function's domain make it, too. Truth is 1, falsehood 0.
//!
//! Loops are compiled twice, for the baseline and for AVX2, to the same results: only operations that IEEE 754 defines are
//! left to the processor, and none is contracted; elementary functions are those of the crate `libm`.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use crate::simd::{Kernel, Level, dispatch};

/// Operations on one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Unary {
    Neg,
    Abs,
    Sign,
    Sqrt,
    Cbrt,
    Exp,
    Expm1,
    Ln,
    Log1p,
    Log2,
    Log10,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Floor,
    Ceil,
    Trunc,
    Round,
    Rint,
    IsMissing,
    /// The same value, no longer known to be an integer.
    Number,
}

/// Operations on two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
    Atan2,
    Hypot,
    Min,
    Max,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    BitAnd,
    BitOr,
    BitXor,
    Shl,
    Shr,
    /// The first value, or the second where that is missing.
    Coalesce,
}

impl Binary {
    /// Whether the order of the operands makes no difference, to the bit.
    pub fn commutes(self) -> bool {
        matches!(
            self,
            Self::Add | Self::Mul | Self::Eq | Self::Ne | Self::BitAnd | Self::BitOr | Self::BitXor
        )
    }
}

/// An operand: a value for each pixel, or one for all.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operand<'a> {
    Values(&'a [f64]),
    Same(f64),
}

/// Computes an operation for a chunk of pixels.
pub(super) fn unary(op: Unary, a: &[f64], out: &mut [f64]) {
    let each = EachOf { a, out };
    match op {
        Unary::Neg => each.by(|a| -a),
        Unary::Abs => each.by(f64::abs),
        Unary::Sign => each.by(sign),
        Unary::Sqrt => each.by(f64::sqrt),
        Unary::Cbrt => each.by(libm::cbrt),
        Unary::Exp => each.by(libm::exp),
        Unary::Expm1 => each.by(libm::expm1),
        Unary::Ln => each.by(|a| logarithm(a, libm::log)),
        Unary::Log1p => each.by(|a| if a == -1.0 { f64::NAN } else { libm::log1p(a) }),
        Unary::Log2 => each.by(|a| logarithm(a, libm::log2)),
        Unary::Log10 => each.by(|a| logarithm(a, libm::log10)),
        Unary::Sin => each.by(libm::sin),
        Unary::Cos => each.by(libm::cos),
        Unary::Tan => each.by(libm::tan),
        Unary::Asin => each.by(libm::asin),
        Unary::Acos => each.by(libm::acos),
        Unary::Atan => each.by(libm::atan),
        Unary::Sinh => each.by(libm::sinh),
        Unary::Cosh => each.by(libm::cosh),
        Unary::Tanh => each.by(libm::tanh),
        Unary::Floor => each.by(f64::floor),
        Unary::Ceil => each.by(f64::ceil),
        Unary::Trunc => each.by(f64::trunc),
        Unary::Round => each.by(round),
        Unary::Rint => each.by(f64::round_ties_even),
        Unary::IsMissing => each.by(|a: f64| truth(a.is_nan())),
        Unary::Number => each.by(|a| a),
    }
}

/// Computes an operation for a chunk of pixels.
pub(super) fn binary(op: Binary, a: Operand<'_>, b: Operand<'_>, out: &mut [f64]) {
    let pairs = PairsOf { a, b, out };
    match op {
        Binary::Add => pairs.by(|a, b| a + b),
        Binary::Sub => pairs.by(|a, b| a - b),
        Binary::Mul => pairs.by(|a, b| a * b),
        Binary::Div => pairs.by(divide),
        Binary::FloorDiv => pairs.by(floor_divide),
        Binary::Mod => pairs.by(modulo),
        Binary::Pow => pairs.by(power),
        Binary::Atan2 => pairs.by(libm::atan2),
        Binary::Hypot => pairs.by(libm::hypot),
        Binary::Min => pairs.by(|a: f64, b: f64| if a < b || a.is_nan() { a } else { b }),
        Binary::Max => pairs.by(|a: f64, b: f64| if a > b || a.is_nan() { a } else { b }),
        Binary::Lt => pairs.by(|a: f64, b: f64| compared(a, b, a < b)),
        Binary::Le => pairs.by(|a: f64, b: f64| compared(a, b, a <= b)),
        Binary::Gt => pairs.by(|a: f64, b: f64| compared(a, b, a > b)),
        Binary::Ge => pairs.by(|a: f64, b: f64| compared(a, b, a >= b)),
        Binary::Eq => pairs.by(|a: f64, b: f64| compared(a, b, a == b)),
        Binary::Ne => pairs.by(|a: f64, b: f64| compared(a, b, a != b)),
        Binary::BitAnd => pairs.by(|a, b| bitwise(a, b, |a, b| a & b)),
        Binary::BitOr => pairs.by(|a, b| bitwise(a, b, |a, b| a | b)),
        Binary::BitXor => pairs.by(|a, b| bitwise(a, b, |a, b| a ^ b)),
        Binary::Shl => pairs.by(|a, b| a * shift(b)),
        Binary::Shr => pairs.by(|a: f64, b| (a / shift(b)).floor()),
        Binary::Coalesce => pairs.by(|a: f64, b: f64| if a.is_nan() { b } else { a }),
    }
}

/// `yes` where the condition is true, `no` where it is false.
pub(super) fn select(condition: &[f64], yes: Operand<'_>, no: Operand<'_>, out: &mut [f64]) {
    dispatch(Level::Best, Select { condition, yes, no, out });
}

struct EachOf<'a> {
    a: &'a [f64],
    out: &'a mut [f64],
}

impl EachOf<'_> {
    fn by(self, f: impl Fn(f64) -> f64) {
        dispatch(Level::Best, Each { a: self.a, out: self.out, f });
    }
}

struct PairsOf<'a> {
    a: Operand<'a>,
    b: Operand<'a>,
    out: &'a mut [f64],
}

impl PairsOf<'_> {
    fn by(self, f: impl Fn(f64, f64) -> f64) {
        dispatch(Level::Best, Pairs { a: self.a, b: self.b, out: self.out, f });
    }
}

struct Each<'a, F> {
    a: &'a [f64],
    out: &'a mut [f64],
    f: F,
}

impl<F: Fn(f64) -> f64> Kernel for Each<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (o, a) in self.out.iter_mut().zip(self.a) {
            *o = (self.f)(*a);
        }
    }
}

struct Pairs<'a, F> {
    a: Operand<'a>,
    b: Operand<'a>,
    out: &'a mut [f64],
    f: F,
}

impl<F: Fn(f64, f64) -> f64> Kernel for Pairs<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let f = self.f;
        match (self.a, self.b) {
            (Operand::Values(a), Operand::Values(b)) => {
                for ((o, a), b) in self.out.iter_mut().zip(a).zip(b) {
                    *o = f(*a, *b);
                }
            }
            (Operand::Values(a), Operand::Same(b)) => {
                for (o, a) in self.out.iter_mut().zip(a) {
                    *o = f(*a, b);
                }
            }
            (Operand::Same(a), Operand::Values(b)) => {
                for (o, b) in self.out.iter_mut().zip(b) {
                    *o = f(a, *b);
                }
            }
            (Operand::Same(a), Operand::Same(b)) => self.out.fill(f(a, b)),
        }
    }
}

struct Select<'a> {
    condition: &'a [f64],
    yes: Operand<'a>,
    no: Operand<'a>,
    out: &'a mut [f64],
}

impl Kernel for Select<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let lanes = self.out.iter_mut().zip(self.condition);
        match (self.yes, self.no) {
            (Operand::Values(yes), Operand::Values(no)) => {
                lanes.zip(yes.iter().zip(no)).for_each(|((o, c), (y, n))| *o = chosen(*c, *y, *n));
            }
            (Operand::Values(yes), Operand::Same(no)) => {
                lanes.zip(yes).for_each(|((o, c), y)| *o = chosen(*c, *y, no));
            }
            (Operand::Same(yes), Operand::Values(no)) => {
                lanes.zip(no).for_each(|((o, c), n)| *o = chosen(*c, yes, *n));
            }
            (Operand::Same(yes), Operand::Same(no)) => {
                lanes.for_each(|(o, c)| *o = chosen(*c, yes, no));
            }
        }
    }
}

#[inline(always)]
fn chosen(condition: f64, yes: f64, no: f64) -> f64 {
    let value = if condition == 0.0 { no } else { yes };
    if condition.is_nan() { f64::NAN } else { value }
}

#[inline(always)]
fn truth(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

#[inline(always)]
fn compared(a: f64, b: f64, is: bool) -> f64 {
    let result = truth(is);
    if a.is_nan() | b.is_nan() { f64::NAN } else { result }
}

#[inline(always)]
fn sign(a: f64) -> f64 {
    let result = truth(a > 0.0) - truth(a < 0.0);
    if a.is_nan() { a } else { result }
}

/// Halves away from zero, as samples are rounded. What is added is the largest number below a half, so that the number just
/// below a half becomes 0.
#[inline(always)]
fn round(a: f64) -> f64 {
    (a + 0.499_999_999_999_999_94_f64.copysign(a)).trunc()
}

#[inline(always)]
fn logarithm(a: f64, function: impl Fn(f64) -> f64) -> f64 {
    // Of zero it is infinite, which is no value either.
    if a == 0.0 { f64::NAN } else { function(a) }
}

#[inline(always)]
fn divide(a: f64, b: f64) -> f64 {
    let quotient = a / b;
    if b == 0.0 { f64::NAN } else { quotient }
}

/// The remainder that has the sign of the divisor, as in Python and numpy.
#[inline(always)]
fn modulo(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
}

#[inline(always)]
fn floor_divide(a: f64, b: f64) -> f64 {
    if b == 0.0 { f64::NAN } else { round((a - modulo(a, b)) / b) }
}

#[inline(always)]
fn power(a: f64, b: f64) -> f64 {
    // Anything to the power of zero is 1 by the standard, even what is missing.
    let undefined = (a == 0.0 && b < 0.0) || a.is_nan() || b.is_nan();
    if undefined { f64::NAN } else { libm::pow(a, b) }
}

/// 1.5 · 2⁵²: added to an integer of at most 51 bits it leaves that integer in the lower bits of the sum.
const SHIFTER: f64 = 6_755_399_441_055_744.0;

/// Integers with more bits are not taken apart.
pub(super) const MOST_BITS: i32 = 51;

/// An operation on the bits of integers in two's complement.
#[inline(always)]
fn bitwise(a: f64, b: f64, op: impl Fn(i64, i64) -> i64) -> f64 {
    let base = SHIFTER.to_bits() as i64;
    let bits = |v: f64| ((v + SHIFTER).to_bits() as i64).wrapping_sub(base);
    let limit = (1i64 << MOST_BITS) as f64;
    let value = f64::from_bits(base.wrapping_add(op(bits(a), bits(b))) as u64) - SHIFTER;
    // Written so that what is missing fails.
    let within = (a.abs() < limit) & (b.abs() < limit);
    if within { value } else { f64::NAN }
}

/// 2 to the power of a number of bits; missing unless that is 0 to [`MOST_BITS`].
#[inline(always)]
fn shift(bits: f64) -> f64 {
    let within = (0.0..=f64::from(MOST_BITS)).contains(&bits);
    let exponent = (bits + SHIFTER).to_bits().wrapping_add(1023) << 52;
    if within { f64::from_bits(exponent) } else { f64::NAN }
}

/// What an operation makes of one value.
pub(super) fn unary_of(op: Unary, a: f64) -> f64 {
    let mut out = [0.0];
    unary(op, &[a], &mut out);
    out[0]
}

/// What an operation makes of two values.
pub(super) fn binary_of(op: Binary, a: f64, b: f64) -> f64 {
    let mut out = [0.0];
    binary(op, Operand::Same(a), Operand::Same(b), &mut out);
    out[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Binary; 23] = [
        Binary::Add,
        Binary::Sub,
        Binary::Mul,
        Binary::Div,
        Binary::FloorDiv,
        Binary::Mod,
        Binary::Pow,
        Binary::Atan2,
        Binary::Hypot,
        Binary::Min,
        Binary::Max,
        Binary::Lt,
        Binary::Le,
        Binary::Gt,
        Binary::Ge,
        Binary::Eq,
        Binary::Ne,
        Binary::BitAnd,
        Binary::BitOr,
        Binary::BitXor,
        Binary::Shl,
        Binary::Shr,
        Binary::Coalesce,
    ];

    #[test]
    fn what_is_missing_stays_missing_but_for_what_asks_for_it() {
        for op in ALL {
            let [left, right] = [binary_of(op, f64::NAN, 2.0), binary_of(op, 2.0, f64::NAN)];
            if op == Binary::Coalesce {
                assert_eq!([left, right], [2.0, 2.0]);
            } else {
                assert!(left.is_nan() && right.is_nan(), "{op:?}");
            }
        }
        // IEEE 754 has 1 to any power, and anything to the power of 0, be 1.
        assert!(
            binary_of(Binary::Pow, f64::NAN, 0.0).is_nan() && binary_of(Binary::Pow, 1.0, f64::NAN).is_nan()
        );
        assert_eq!(unary_of(Unary::IsMissing, f64::NAN), 1.0);
        assert!(unary_of(Unary::Sign, f64::NAN).is_nan());
        let mut out = [0.0; 3];
        select(&[f64::NAN, 0.0, 1.0], Operand::Same(5.0), Operand::Values(&[6.0, f64::NAN, 6.0]), &mut out);
        assert!(out[0].is_nan() && out[1].is_nan() && out[2] == 5.0);
    }

    #[test]
    fn values_and_constants_give_the_same() {
        let values = [-7.0, -2.5, -0.0, 0.0, 1.0, 3.0, 51.0, 1e9, f64::NAN];
        for op in ALL {
            for b in values {
                let expected: Vec<u64> = values.iter().map(|a| binary_of(op, *a, b).to_bits()).collect();
                let columns = vec![b; values.len()];
                for operands in [
                    (Operand::Values(&values), Operand::Same(b)),
                    (Operand::Values(&values), Operand::Values(&columns)),
                ] {
                    let mut out = vec![0.0; values.len()];
                    binary(op, operands.0, operands.1, &mut out);
                    let same = |(o, e): (&f64, &u64)| {
                        o.to_bits() == *e || (o.is_nan() && f64::from_bits(*e).is_nan())
                    };
                    assert!(out.iter().zip(&expected).all(same), "{op:?} {b}: {out:?}");
                }
            }
        }
    }

    #[test]
    fn what_has_no_value_is_missing() {
        for value in [
            binary_of(Binary::Div, 1.0, 0.0),
            binary_of(Binary::Div, 0.0, -0.0),
            binary_of(Binary::FloorDiv, 1.0, 0.0),
            binary_of(Binary::Mod, 1.0, 0.0),
            binary_of(Binary::Pow, 0.0, -1.0),
            binary_of(Binary::Pow, -8.0, 0.5),
            unary_of(Unary::Ln, 0.0),
            unary_of(Unary::Log10, -1.0),
            unary_of(Unary::Log1p, -1.0),
            unary_of(Unary::Sqrt, -1.0),
            unary_of(Unary::Asin, 1.5),
        ] {
            assert!(value.is_nan());
        }
    }

    #[test]
    fn remainders_have_the_sign_of_the_divisor_as_in_python() {
        for (a, b, quotient, rest) in
            [(7.0, 3.0, 2.0, 1.0), (-7.0, 3.0, -3.0, 2.0), (7.0, -3.0, -3.0, -2.0), (-7.0, -3.0, 2.0, -1.0)]
        {
            let found = (binary_of(Binary::FloorDiv, a, b), binary_of(Binary::Mod, a, b));
            assert_eq!(found, (quotient, rest), "{a} {b}");
        }
        assert_eq!(binary_of(Binary::FloorDiv, 1.0, 0.1), 9.0);
    }

    #[test]
    fn bits_are_those_of_integers() {
        for (a, b) in
            [(0i64, 0i64), (12, 10), (-1, 255), (-32_768, 1 << 15), ((1 << 51) - 1, 0x5555_5555_5555)]
        {
            let (x, y) = (a as f64, b as f64);
            assert_eq!(binary_of(Binary::BitAnd, x, y), (a & b) as f64, "{a} {b}");
            assert_eq!(binary_of(Binary::BitOr, x, y), (a | b) as f64, "{a} {b}");
            assert_eq!(binary_of(Binary::BitXor, x, y), (a ^ b) as f64, "{a} {b}");
        }
        assert_eq!(binary_of(Binary::Shr, -5.0, 1.0), -3.0);
        assert_eq!(binary_of(Binary::Shl, 3.0, 4.0), 48.0);
        for (op, a, b) in
            [(Binary::BitAnd, 2f64.powi(51), 1.0), (Binary::Shl, 1.0, -1.0), (Binary::Shr, 1.0, 52.0)]
        {
            assert!(binary_of(op, a, b).is_nan(), "{op:?}");
        }
    }

    #[test]
    fn halves_are_rounded_away_from_zero_or_to_even() {
        let below = 0.499_999_999_999_999_94;
        for (value, away, even) in
            [(0.5, 1.0, 0.0), (1.5, 2.0, 2.0), (-2.5, -3.0, -2.0), (below, 0.0, 0.0), (-0.2, 0.0, 0.0)]
        {
            assert_eq!((unary_of(Unary::Round, value), unary_of(Unary::Rint, value)), (away, even));
        }
        let large = 4_503_599_627_370_497.0;
        assert_eq!(unary_of(Unary::Round, large), large);
    }
}
