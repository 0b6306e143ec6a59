//! The functions of expressions: one table.

use super::error::{Fault, Span};
use super::graph::{Graph, Id, Kind};
use super::kernels::{Binary, Unary};

/// An argument of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Argument {
    pub id: Id,
    pub span: Span,
}

/// What a call becomes.
#[derive(Clone, Copy)]
enum Build {
    Unary(Unary),
    Binary(Binary),
    /// Of two or more values, from the left.
    Fold(Binary),
    Plain(fn(&mut Graph, &[Argument]) -> Id),
    /// Where arguments have to be of some kind.
    Other(fn(&mut Graph, &[Argument]) -> Result<Id, Fault>),
}

/// A function.
#[derive(Clone, Copy)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Other names, of numpy and of other calculators.
    pub aliases: &'static [&'static str],
    /// Its arguments; `…` for more like the last, brackets for what may be left out.
    pub arguments: &'static str,
    /// What it computes.
    pub what: &'static str,
    least: usize,
    most: usize,
    build: Build,
}

const fn one(
    name: &'static str,
    aliases: &'static [&'static str],
    op: Unary,
    what: &'static str,
) -> Function {
    Function { name, aliases, arguments: "a", what, least: 1, most: 1, build: Build::Unary(op) }
}

const fn two(
    name: &'static str,
    aliases: &'static [&'static str],
    arguments: &'static str,
    op: Binary,
    what: &'static str,
) -> Function {
    Function { name, aliases, arguments, what, least: 2, most: 2, build: Build::Binary(op) }
}

const fn many(
    name: &'static str,
    aliases: &'static [&'static str],
    op: Binary,
    what: &'static str,
) -> Function {
    Function { name, aliases, arguments: "a, b, …", what, least: 1, most: MOST, build: Build::Fold(op) }
}

const fn plain(
    name: &'static str,
    aliases: &'static [&'static str],
    arguments: &'static str,
    (least, most): (usize, usize),
    build: fn(&mut Graph, &[Argument]) -> Id,
    what: &'static str,
) -> Function {
    Function { name, aliases, arguments, what, least, most, build: Build::Plain(build) }
}

const fn other(
    name: &'static str,
    aliases: &'static [&'static str],
    arguments: &'static str,
    (least, most): (usize, usize),
    build: fn(&mut Graph, &[Argument]) -> Result<Id, Fault>,
    what: &'static str,
) -> Function {
    Function { name, aliases, arguments, what, least, most, build: Build::Other(build) }
}

/// Most arguments of a function that takes many.
const MOST: usize = 256;

/// All functions, in the order in which they are listed.
pub const FUNCTIONS: [Function; 48] = [
    plain("where", &["if"], "c, a, b", (3, 3), choose, "a where c is true (or not 0), b elsewhere"),
    many("min", &["minimum", "fmin"], Binary::Min, "the least"),
    many("max", &["maximum", "fmax"], Binary::Max, "the greatest"),
    many("sum", &[], Binary::Add, "a + b + …"),
    plain("mean", &["avg"], "a, b, …", (1, MOST), mean, "the mean of several values"),
    other("clamp", &["clip"], "a, low, high", (3, 3), clamp, "a, but not below low nor above high"),
    one("abs", &["absolute", "fabs"], Unary::Abs, "without its sign"),
    one("sign", &[], Unary::Sign, "−1, 0 or 1"),
    one("sqrt", &[], Unary::Sqrt, "square root"),
    one("cbrt", &[], Unary::Cbrt, "cube root"),
    two("pow", &["power"], "a, b", Binary::Pow, "a to the power of b, as a ** b"),
    two("hypot", &[], "a, b", Binary::Hypot, "square root of a² + b²"),
    one("exp", &[], Unary::Exp, "e to the power of a"),
    one("expm1", &[], Unary::Expm1, "exp(a) − 1, precise for small a"),
    one("log", &["ln"], Unary::Ln, "natural logarithm"),
    one("log1p", &[], Unary::Log1p, "log(1 + a), precise for small a"),
    one("log2", &[], Unary::Log2, "logarithm to base 2"),
    one("log10", &[], Unary::Log10, "logarithm to base 10"),
    one("sin", &[], Unary::Sin, "sine, of radians"),
    one("cos", &[], Unary::Cos, "cosine, of radians"),
    one("tan", &[], Unary::Tan, "tangent, of radians"),
    one("asin", &["arcsin"], Unary::Asin, "arc sine, in radians"),
    one("acos", &["arccos"], Unary::Acos, "arc cosine, in radians"),
    one("atan", &["arctan"], Unary::Atan, "arc tangent, in radians"),
    two("atan2", &["arctan2"], "y, x", Binary::Atan2, "angle of the point (x, y), in radians"),
    one("sinh", &[], Unary::Sinh, "hyperbolic sine"),
    one("cosh", &[], Unary::Cosh, "hyperbolic cosine"),
    one("tanh", &[], Unary::Tanh, "hyperbolic tangent"),
    plain("degrees", &["rad2deg"], "a", (1, 1), degrees, "radians as degrees"),
    plain("radians", &["deg2rad"], "a", (1, 1), radians, "degrees as radians"),
    one("floor", &[], Unary::Floor, "the integer below"),
    one("ceil", &[], Unary::Ceil, "the integer above"),
    one("trunc", &["int", "fix"], Unary::Trunc, "without the fraction"),
    other(
        "round",
        &["around"],
        "a[, digits]",
        (1, 2),
        round,
        "rounded, halves away from zero; to so many decimals",
    ),
    one("rint", &[], Unary::Rint, "rounded, halves to the even integer"),
    two("mod", &["remainder"], "a, b", Binary::Mod, "remainder with the sign of b, as a % b"),
    two("floor_divide", &[], "a, b", Binary::FloorDiv, "the integer below a / b, as a // b"),
    one("isnodata", &["isnan", "isnull"], Unary::IsMissing, "whether there is no data"),
    many("coalesce", &["ifnodata"], Binary::Coalesce, "the first that is data"),
    other("bit", &[], "a, n", (2, 2), bit, "whether bit n of an integer is set; the lowest is 0"),
    other("bits", &[], "a, first, count", (3, 3), bits, "the integer in count bits from first on"),
    two("bitand", &["bitwise_and"], "a, b", Binary::BitAnd, "bits that both integers have, as a & b"),
    two("bitor", &["bitwise_or"], "a, b", Binary::BitOr, "bits that either integer has, as a | b"),
    other(
        "xor",
        &["bitwise_xor", "logical_xor"],
        "a, b",
        (2, 2),
        xor,
        "exclusive or of integers, or of truths",
    ),
    plain("logical_and", &[], "a, b", (2, 2), |g, a| g.and(a[0].id, a[1].id), "a and b"),
    plain("logical_or", &[], "a, b", (2, 2), |g, a| g.or(a[0].id, a[1].id), "a or b"),
    plain("logical_not", &[], "a", (1, 1), |g, a| g.not(a[0].id), "not a"),
    one("float", &["double", "float32", "float64"], Unary::Number, "a, as a number and not an integer"),
];

impl Function {
    /// The function of a name.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        FUNCTIONS.iter().find(|f| f.name == name || f.aliases.contains(&name))
    }

    /// What a call becomes; `span` is that of the call.
    pub(super) fn call(&self, graph: &mut Graph, arguments: &[Argument], span: Span) -> Result<Id, Fault> {
        if arguments.len() < self.least || arguments.len() > self.most {
            let (name, wanted) = (self.name, self.arguments);
            let given = match arguments.len() {
                0 => "none".to_owned(),
                n => n.to_string(),
            };
            return Err(Fault::new(span, format!("{name}({wanted}) was given {given} of its arguments")));
        }
        match self.build {
            Build::Unary(op) => Ok(graph.unary(op, arguments[0].id)),
            Build::Binary(op) => binary(graph, op, arguments[0], arguments[1]),
            Build::Fold(op) => {
                let fold = |a: Id, b: &Argument| graph.binary(op, a, b.id);
                Ok(arguments[1..].iter().fold(arguments[0].id, fold))
            }
            Build::Plain(build) => Ok(build(graph, arguments)),
            Build::Other(build) => build(graph, arguments),
        }
    }
}

/// An operation on two values, of the kinds it takes.
pub(super) fn binary(graph: &mut Graph, op: Binary, a: Argument, b: Argument) -> Result<Id, Fault> {
    match op {
        Binary::BitAnd | Binary::BitOr | Binary::BitXor | Binary::Shl | Binary::Shr => {
            integer(graph, a)?;
            integer(graph, b)?;
            Ok(graph.binary(op, a.id, b.id))
        }
        Binary::Div => Ok(quotient(graph, a.id, b.id)),
        Binary::Pow => Ok(power(graph, a.id, b.id)),
        _ => Ok(graph.binary(op, a.id, b.id)),
    }
}

/// Powers that are computed more quickly otherwise, to the same or a closer result.
fn power(graph: &mut Graph, a: Id, b: Id) -> Id {
    match graph.constant(b) {
        Some(2.0) => graph.binary(Binary::Mul, a, a),
        Some(1.0) => a,
        Some(0.5) => graph.unary(Unary::Sqrt, a),
        _ => graph.binary(Binary::Pow, a, b),
    }
}

fn quotient(graph: &mut Graph, a: Id, b: Id) -> Id {
    // By a power of two the product with the reciprocal is the same to the bit.
    let exact = |v: f64| v.is_normal() && v.to_bits() << 12 == 0 && v.abs() > 1.0 && (1.0 / v).is_normal();
    match graph.constant(b).filter(|v| exact(*v)) {
        Some(value) if graph.constant(a).is_none() => {
            let reciprocal = graph.number(1.0 / value, Kind::Number);
            graph.binary(Binary::Mul, a, reciprocal)
        }
        _ => graph.binary(Binary::Div, a, b),
    }
}

fn integer(graph: &Graph, a: Argument) -> Result<(), Fault> {
    if graph.get(a.id).kind <= Kind::Integer {
        return Ok(());
    }
    let advice = "bits are those of integers, and this is a number: round() it first, or put comparisons into parentheses";
    Err(Fault::new(a.span, advice))
}

/// A constant integer within limits.
fn fixed(graph: &Graph, a: Argument, low: f64, high: f64) -> Result<f64, Fault> {
    let within = |v: &f64| v.fract() == 0.0 && (low..=high).contains(v);
    graph.constant(a.id).filter(within).ok_or_else(|| {
        Fault::new(a.span, format!("this has to be an integer from {low} to {high}, the same for all pixels"))
    })
}

fn choose(graph: &mut Graph, all: &[Argument]) -> Id {
    let condition = graph.truth(all[0].id);
    graph.select(condition, all[1].id, all[2].id)
}

fn mean(graph: &mut Graph, all: &[Argument]) -> Id {
    let sum = all[1..].iter().fold(all[0].id, |sum, a| graph.binary(Binary::Add, sum, a.id));
    let count = graph.number(all.len() as f64, Kind::Integer);
    quotient(graph, sum, count)
}

fn clamp(graph: &mut Graph, all: &[Argument]) -> Result<Id, Fault> {
    if let (Some(low), Some(high)) = (graph.constant(all[1].id), graph.constant(all[2].id))
        && low > high
    {
        return Err(Fault::new(all[1].span, format!("the lower limit {low} is above the upper one, {high}")));
    }
    let raised = graph.binary(Binary::Max, all[0].id, all[1].id);
    Ok(graph.binary(Binary::Min, raised, all[2].id))
}

fn degrees(graph: &mut Graph, all: &[Argument]) -> Id {
    let factor = graph.number(180.0 / std::f64::consts::PI, Kind::Number);
    graph.binary(Binary::Mul, all[0].id, factor)
}

fn radians(graph: &mut Graph, all: &[Argument]) -> Id {
    let factor = graph.number(std::f64::consts::PI / 180.0, Kind::Number);
    graph.binary(Binary::Mul, all[0].id, factor)
}

fn round(graph: &mut Graph, all: &[Argument]) -> Result<Id, Fault> {
    let Some(digits) = all.get(1) else { return Ok(graph.unary(Unary::Round, all[0].id)) };
    let digits = fixed(graph, *digits, -15.0, 15.0)?;
    // Powers of ten up to 10²² are exact.
    let factor = graph.number(10f64.powi(digits.abs() as i32), Kind::Number);
    let (up, down) = if digits < 0.0 { (Binary::Div, Binary::Mul) } else { (Binary::Mul, Binary::Div) };
    let scaled = graph.binary(up, all[0].id, factor);
    let whole = graph.unary(Unary::Round, scaled);
    Ok(graph.binary(down, whole, factor))
}

fn bit(graph: &mut Graph, all: &[Argument]) -> Result<Id, Fault> {
    integer(graph, all[0])?;
    fixed(graph, all[1], 0.0, 50.0)?;
    let shifted = graph.binary(Binary::Shr, all[0].id, all[1].id);
    let one = graph.number(1.0, Kind::Integer);
    let lowest = graph.binary(Binary::BitAnd, shifted, one);
    Ok(graph.truth(lowest))
}

fn bits(graph: &mut Graph, all: &[Argument]) -> Result<Id, Fault> {
    integer(graph, all[0])?;
    let first = fixed(graph, all[1], 0.0, 50.0)?;
    let count = fixed(graph, all[2], 1.0, 51.0 - first)?;
    let shifted = graph.binary(Binary::Shr, all[0].id, all[1].id);
    let mask = graph.number(2f64.powi(count as i32) - 1.0, Kind::Integer);
    Ok(graph.binary(Binary::BitAnd, shifted, mask))
}

fn xor(graph: &mut Graph, all: &[Argument]) -> Result<Id, Fault> {
    let truths = all.iter().all(|a| graph.get(a.id).kind == Kind::Truth);
    binary(graph, if truths { Binary::Ne } else { Binary::BitXor }, all[0], all[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_two_functions() {
        let mut names: Vec<&str> =
            FUNCTIONS.iter().flat_map(|f| f.aliases.iter().copied().chain([f.name])).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn functions_say_how_many_arguments_they_take() {
        for f in FUNCTIONS {
            let named = f.arguments.split([',', '[']).filter(|a| !a.trim().is_empty()).count();
            if f.arguments.contains('…') {
                assert_eq!(f.most, MOST, "{}", f.name);
            } else {
                assert_eq!(f.most, named, "{}", f.name);
            }
        }
    }
}
