//! From syntax trees to a graph of values: names are looked up, kinds are checked.

use super::error::{ExprError, Fault, Span};
use super::functions::{Argument, FUNCTIONS, Function, binary};
use super::graph::{Coordinate, Graph, Id, Kind, Range, Value};
use super::kernels::{Binary, Unary};
use super::syntax::{BandName, Infix, Node, NodeKind, Sign, is_operator, parse};
use crate::spelling::nearest;

/// A band that expressions may use.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Its name in the file, if it has one.
    pub name: Option<String>,
    /// Whether its samples are integers.
    pub kind: Kind,
    /// Limits between which its samples lie.
    pub range: Range,
    /// Whether pixels may be without data.
    pub may_miss: bool,
    /// Factor and offset to be applied before anything else.
    pub scaling: Option<(f64, f64)>,
}

/// A raster that expressions may use.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Its name in expressions.
    pub name: String,
    /// Its bands; `None` for those that cannot be used, such as complex ones.
    pub bands: Vec<Option<Band>>,
    /// 1-based number of the band that the name alone means.
    pub first: usize,
}

/// Names that places have.
const PLACES: [(&str, Coordinate); 6] = [
    ("col", Coordinate::Column),
    ("row", Coordinate::Row),
    ("x", Coordinate::X),
    ("y", Coordinate::Y),
    ("lon", Coordinate::Longitude),
    ("lat", Coordinate::Latitude),
];

/// Names that constants have.
const CONSTANTS: [(&str, f64); 8] = [
    ("pi", std::f64::consts::PI),
    ("nan", f64::NAN),
    ("NaN", f64::NAN),
    ("nodata", f64::NAN),
    ("true", 1.0),
    ("True", 1.0),
    ("false", 0.0),
    ("False", 0.0),
];

/// Whether a name can be given to an input or an output.
///
/// # Errors
/// Why not.
pub fn check_name(name: &str) -> Result<(), String> {
    let mut characters = name.chars();
    let begins = characters.next().is_some_and(|c| c.is_alphabetic() || c == '_');
    if !begins || !characters.all(|c| c.is_alphanumeric() || c == '_') {
        return Err(format!("'{name}' is no name: give letters, digits and _, a letter first"));
    }
    let known = if is_operator(name) {
        "an operator"
    } else if CONSTANTS.iter().any(|(n, _)| *n == name) {
        "a constant"
    } else if PLACES.iter().any(|(n, _)| *n == name) {
        "a coordinate"
    } else if Function::find(name).is_some() || matches!(name, "np" | "numpy" | "math") {
        "a function"
    } else {
        return Ok(());
    };
    Err(format!("'{name}' is {known} in expressions: give another name"))
}

/// An expression as a user writes it, its name apart: `ndvi = (nir - red) / (nir + red)`.
pub(super) fn split_name(text: &str) -> Option<(&str, usize)> {
    let at = text.find('=')?;
    let name = text[..at].trim();
    let rest = &text[at + 1..];
    let named = check_name(name).is_ok() && !rest.starts_with('=');
    named.then(|| (name, text[..=at].chars().count()))
}

/// A result of an expression.
#[derive(Debug, Clone)]
pub(super) struct Lowered {
    pub name: Option<String>,
    pub id: Id,
}

/// Turns expressions into one graph.
pub(super) struct Lowerer<'a> {
    inputs: &'a [Input],
    graph: Graph,
    /// The bands that are used: input, and 0-based number of the band.
    slots: Vec<(usize, usize)>,
    /// Named expressions so far.
    named: Vec<(String, Id)>,
    /// Names of the formula that is being added.
    scope: Vec<(String, Id)>,
}

impl<'a> Lowerer<'a> {
    pub fn new(inputs: &'a [Input]) -> Self {
        Self { inputs, graph: Graph::default(), slots: Vec::new(), named: Vec::new(), scope: Vec::new() }
    }

    /// See [`Graph::deliberate`].
    pub fn deliberate(&mut self, id: Id) -> Option<Id> {
        self.graph.deliberate(id)
    }

    /// The band, by the positions of its input and its own, whose value a value is wherever it is not missing.
    pub fn shows(&self, id: Id) -> Option<(usize, usize)> {
        self.graph.shows(id).and_then(|slot| self.slots.get(slot).copied())
    }

    pub fn finish(self) -> (Graph, Vec<(usize, usize)>) {
        (self.graph, self.slots)
    }

    /// Adds an expression, which may use the names of those before it.
    pub fn expression(&mut self, text: &str) -> Result<Lowered, ExprError> {
        let (name, offset) = split_name(text).map_or((None, 0), |(name, offset)| (Some(name), offset));
        let body: String = text.chars().skip(offset).collect();
        if let Some(name) = name {
            self.check_free(name).map_err(|reason| {
                let before = text.chars().take_while(|c| c.is_whitespace()).count();
                Fault::new(Span::new(before, before + name.chars().count()), reason).of(text, 0)
            })?;
        }
        let id = parse(&body).and_then(|node| self.node(&node)).map_err(|fault| fault.of(text, offset))?;
        let name = name.map(str::to_owned);
        self.named.extend(name.clone().map(|n| (n, id)));
        Ok(Lowered { name, id })
    }

    /// Adds an expression with names of its own.
    pub fn formula(&mut self, text: &str, scope: Vec<(String, Id)>) -> Result<Id, ExprError> {
        self.scope = scope;
        let id = parse(text).and_then(|node| self.node(&node)).map_err(|fault| fault.of(text, 0));
        self.scope.clear();
        id
    }

    /// A constant.
    pub fn number(&mut self, value: f64) -> Id {
        let integer = value.fract() == 0.0 && value.abs() <= 2f64.powi(53);
        self.graph.number(value, if integer { Kind::Integer } else { Kind::Number })
    }

    /// A value that was added.
    pub fn value(&self, id: Id) -> &Value {
        self.graph.get(id)
    }

    /// A band by the positions of its input and its own.
    pub fn band_at(&mut self, input: usize, band: usize) -> Result<Id, String> {
        self.load(input, band + 1, Span::new(0, 0)).map_err(|fault| fault.reason)
    }

    fn check_free(&self, name: &str) -> Result<(), String> {
        if self.inputs.iter().any(|i| i.name == name) {
            return Err(format!("'{name}' is the name of an input already; to compare with it write =="));
        }
        if self.named.iter().any(|(n, _)| n == name) {
            return Err(format!("'{name}' is the name of another expression already"));
        }
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<Id, Fault> {
        match &node.kind {
            NodeKind::Number(value, integer) => {
                let kind = if *integer { Kind::Integer } else { Kind::Number };
                Ok(self.graph.number(*value, kind))
            }
            NodeKind::Name(name) => self.name(name, node.span),
            NodeKind::Band(input, band) => self.band(input, band, node.span),
            NodeKind::Sign(sign, a) => {
                let a = self.argument(a)?;
                match sign {
                    Sign::Minus => Ok(self.graph.unary(Unary::Neg, a.id)),
                    Sign::Plus => Ok(a.id),
                    Sign::Not => Ok(self.graph.not(a.id)),
                    Sign::BitNot if self.graph.get(a.id).kind == Kind::Truth => Ok(self.graph.not(a.id)),
                    Sign::BitNot => {
                        let advice = "~ inverts truth values only: for bits write xor(a, mask)";
                        Err(Fault::new(node.span, advice))
                    }
                }
            }
            NodeKind::Infix(infix, a, b) => {
                let (a, b) = (self.argument(a)?, self.argument(b)?);
                self.infix(*infix, a, b)
            }
            NodeKind::Choice(all) => {
                let [c, a, b] = &**all;
                let (c, a, b) = (self.argument(c)?, self.argument(a)?, self.argument(b)?);
                let c = self.graph.truth(c.id);
                Ok(self.graph.select(c, a.id, b.id))
            }
            NodeKind::Call(name, arguments) => {
                let Some(function) = Function::find(name) else {
                    return Err(self.unknown(name, node.span, true));
                };
                let arguments = arguments.iter().map(|a| self.argument(a)).collect::<Result<Vec<_>, _>>()?;
                function.call(&mut self.graph, &arguments, node.span)
            }
        }
    }

    fn argument(&mut self, node: &Node) -> Result<Argument, Fault> {
        Ok(Argument { id: self.node(node)?, span: node.span })
    }

    fn infix(&mut self, infix: Infix, a: Argument, b: Argument) -> Result<Id, Fault> {
        let truths = [a, b].iter().all(|a| self.graph.get(a.id).kind == Kind::Truth);
        let op = match infix {
            Infix::And => return Ok(self.graph.and(a.id, b.id)),
            Infix::Or => return Ok(self.graph.or(a.id, b.id)),
            Infix::BitAnd if truths => return Ok(self.graph.and(a.id, b.id)),
            Infix::BitOr if truths => return Ok(self.graph.or(a.id, b.id)),
            Infix::BitAnd => Binary::BitAnd,
            Infix::BitOr => Binary::BitOr,
            Infix::Lt => Binary::Lt,
            Infix::Le => Binary::Le,
            Infix::Gt => Binary::Gt,
            Infix::Ge => Binary::Ge,
            Infix::Eq => Binary::Eq,
            Infix::Ne => Binary::Ne,
            Infix::Shl => Binary::Shl,
            Infix::Shr => Binary::Shr,
            Infix::Add => Binary::Add,
            Infix::Sub => Binary::Sub,
            Infix::Mul => Binary::Mul,
            Infix::Div => Binary::Div,
            Infix::FloorDiv => Binary::FloorDiv,
            Infix::Mod => Binary::Mod,
            Infix::Pow => Binary::Pow,
        };
        binary(&mut self.graph, op, a, b)
    }

    fn name(&mut self, name: &str, span: Span) -> Result<Id, Fault> {
        if let Some((_, id)) = self.scope.iter().chain(&self.named).find(|(n, _)| n == name) {
            return Ok(*id);
        }
        if let Some(number) = self.inputs.iter().position(|i| i.name == name) {
            return self.load(number, self.inputs[number].first, span);
        }
        if let Some((_, value)) = CONSTANTS.iter().find(|(n, _)| *n == name) {
            let kind = if name.eq_ignore_ascii_case("true") || name.eq_ignore_ascii_case("false") {
                Kind::Truth
            } else {
                Kind::Number
            };
            return Ok(self.graph.number(*value, kind));
        }
        if let Some((_, coordinate)) = PLACES.iter().find(|(n, _)| *n == name) {
            return Ok(self.graph.place(*coordinate));
        }
        Err(self.unknown(name, span, false))
    }

    /// What a word may have meant that means nothing.
    fn unknown(&self, name: &str, span: Span, called: bool) -> Fault {
        let functions = FUNCTIONS.iter().flat_map(|f| f.aliases.iter().copied().chain([f.name]));
        let values = self.inputs.iter().map(|i| i.name.as_str());
        let values = values.chain(self.named.iter().map(|(n, _)| n.as_str()));
        let values = values.chain(PLACES.iter().map(|(n, _)| *n)).chain(CONSTANTS.iter().map(|(n, _)| *n));
        let names: Vec<&str> = if called { functions.collect() } else { values.collect() };
        let what = if called { "function" } else { "name" };
        // All letters are near each other.
        let near = nearest(name, &names).filter(|_| name.chars().count() > 1);
        let reason = if let Some(near) = near {
            format!("unknown {what} '{name}'; did you mean '{near}'?")
        } else if !called && Function::find(name).is_some() {
            format!("'{name}' is a function: write {name}(…)")
        } else if called {
            format!("unknown function '{name}'")
        } else {
            let inputs: Vec<&str> = self.inputs.iter().map(|i| i.name.as_str()).collect();
            format!("unknown name '{name}'; the inputs are {}", inputs.join(", "))
        };
        Fault::new(span, reason)
    }

    fn band(&mut self, input: &str, band: &BandName, span: Span) -> Result<Id, Fault> {
        let Some(number) = self.inputs.iter().position(|i| i.name == input) else {
            let end = span.start + input.chars().count();
            return Err(self.unknown(input, Span::new(span.start, end), false));
        };
        let bands = &self.inputs[number].bands;
        let found = match band {
            BandName::Number(n, at) => {
                if !(1..=bands.len()).contains(n) {
                    let reason = format!("{input} has {}, counted from 1", count(bands.len()));
                    return Err(Fault::new(*at, reason));
                }
                *n
            }
            BandName::Name(name, at) => self.band_of_name(number, name, *at)?,
        };
        self.load(number, found, span)
    }

    /// The 1-based number of a band; case counts only where it makes a difference.
    fn band_of_name(&self, input: usize, name: &str, at: Span) -> Result<usize, Fault> {
        let Input { name: input, bands, .. } = &self.inputs[input];
        let names: Vec<&str> =
            bands.iter().map(|b| b.as_ref().and_then(|b| b.name.as_deref()).unwrap_or_default()).collect();
        let places = |test: &dyn Fn(&str) -> bool| -> Vec<usize> {
            (1..=names.len()).filter(|n| !names[n - 1].is_empty() && test(names[n - 1])).collect()
        };
        let mut found = places(&|n| n == name);
        if found.is_empty() {
            found = places(&|n| n.eq_ignore_ascii_case(name));
        }
        let named: Vec<&str> = names.iter().copied().filter(|n| !n.is_empty()).collect();
        match (&found[..], nearest(name, &named)) {
            ([one], _) => Ok(*one),
            ([_, _, ..], _) => Err(Fault::new(at, format!("several bands of {input} are named '{name}'"))),
            (_, Some(near)) => {
                Err(Fault::new(at, format!("{input} has no band '{name}'; did you mean '{near}'?")))
            }
            _ if named.is_empty() => {
                Err(Fault::new(at, format!("the bands of {input} have no names: write {input}[1]")))
            }
            _ => Err(Fault::new(
                at,
                format!("{input} has no band '{name}'; its bands are {}", named.join(", ")),
            )),
        }
    }

    /// A band by its 1-based number.
    fn load(&mut self, input: usize, number: usize, span: Span) -> Result<Id, Fault> {
        let name = &self.inputs[input].name;
        let band = self.inputs[input].bands.get(number - 1);
        let Some(band) = band else {
            return Err(Fault::new(span, format!("{name} has no band {number}")));
        };
        let Some(band) = band else {
            return Err(Fault::new(span, format!("band {number} of {name} holds complex numbers")));
        };
        let key = (input, number - 1);
        let slot = self.slots.iter().position(|s| *s == key).unwrap_or_else(|| {
            self.slots.push(key);
            self.slots.len() - 1
        });
        let graph = &mut self.graph;
        let mut id = graph.load(slot, band.kind, band.range, band.may_miss);
        if let Some((scale, offset)) = band.scaling {
            let (scale, offset) = (graph.number(scale, Kind::Number), graph.number(offset, Kind::Number));
            id = graph.binary(Binary::Mul, id, scale);
            id = graph.binary(Binary::Add, id, offset);
        }
        Ok(id)
    }
}

fn count(bands: usize) -> String {
    if bands == 1 { "1 band".to_owned() } else { format!("{bands} bands") }
}
