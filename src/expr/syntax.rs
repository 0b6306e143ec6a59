//! From words to a syntax tree.
//!
//! Operators bind as in Python, from loose to tight: `? :`, `or`, `and`, `not`, comparisons, `|`, `&`, `<<` and `>>`, `+` and `-`,
//! `*` `/` `//` `%`, signs and `!`, `**`. `||` and `&&` are other spellings of `or` and `and`.

use super::error::{Fault, Span};
use super::lexer::{Token, tokens};

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub kind: NodeKind,
    pub span: Span,
    /// Parts one in the other, this one included.
    height: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum NodeKind {
    /// A number, and whether it is an integer.
    Number(f64, bool),
    Name(String),
    /// A band of an input.
    Band(String, BandName),
    Sign(Sign, Box<Node>),
    Infix(Infix, Box<Node>, Box<Node>),
    Call(String, Vec<Node>),
    Choice(Box<[Node; 3]>),
}

/// How a band is named, with its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum BandName {
    Number(usize, Span),
    Name(String, Span),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Minus,
    Plus,
    Not,
    BitNot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Infix {
    Or,
    And,
    Lt,
    Le,
    Gt,
    Ge,
    Eq,
    Ne,
    BitOr,
    BitAnd,
    Shl,
    Shr,
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

/// Deeper nesting would use up the stack.
const DEEPEST: usize = 128;

/// So would taller trees: `a + b + c` is as tall as it has operators.
const TALLEST: usize = 1000;

/// Binary operators by how tightly they bind, loosest first; comparisons, which do not chain, are one of the levels.
const LEVELS: [&[(&str, Infix)]; 8] = [
    &[("or", Infix::Or), ("||", Infix::Or)],
    &[("and", Infix::And), ("&&", Infix::And)],
    &[
        ("<", Infix::Lt),
        ("<=", Infix::Le),
        (">", Infix::Gt),
        (">=", Infix::Ge),
        ("==", Infix::Eq),
        ("!=", Infix::Ne),
    ],
    &[("|", Infix::BitOr)],
    &[("&", Infix::BitAnd)],
    &[("<<", Infix::Shl), (">>", Infix::Shr)],
    &[("+", Infix::Add), ("-", Infix::Sub)],
    &[("*", Infix::Mul), ("/", Infix::Div), ("//", Infix::FloorDiv), ("%", Infix::Mod)],
];

const COMPARISONS: usize = 2;

/// The tree of an expression.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut parser = Parser { words: tokens(text)?, at: 0, depth: 0 };
    if parser.words.len() == 1 {
        return Err(Fault::new(parser.span(), "is empty"));
    }
    let node = parser.choice()?;
    match parser.peek() {
        Token::End => Ok(node),
        Token::Symbol(")" | "]") => Err(parser.fault("this bracket closes nothing")),
        _ => Err(parser.fault("an operator is missing before this")),
    }
}

impl Node {
    fn new(kind: NodeKind, span: Span) -> Result<Self, Fault> {
        let below = match &kind {
            NodeKind::Number(..) | NodeKind::Name(_) | NodeKind::Band(..) => 0,
            NodeKind::Sign(_, a) => a.height,
            NodeKind::Infix(_, a, b) => a.height.max(b.height),
            NodeKind::Call(_, all) => all.iter().map(|n| n.height).max().unwrap_or(0),
            NodeKind::Choice(all) => all.iter().map(|n| n.height).max().unwrap_or(0),
        };
        if below >= TALLEST {
            return Err(Fault::new(span, format!("more than {TALLEST} operators depend on each other")));
        }
        Ok(Self { kind, span, height: below + 1 })
    }
}

struct Parser {
    words: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.words[self.at].0
    }

    fn span(&self) -> Span {
        self.words[self.at].1
    }

    fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault::new(self.span(), reason)
    }

    fn advance(&mut self) -> (Token, Span) {
        let word = self.words[self.at].clone();
        // The last word is the end, which is never passed.
        self.at = (self.at + 1).min(self.words.len() - 1);
        word
    }

    /// Takes a symbol, or one of the operators that are words.
    fn takes(&mut self, wanted: &str) -> bool {
        let found = match self.peek() {
            Token::Symbol(symbol) => *symbol == wanted,
            Token::Name(name) => name == wanted && is_operator(name),
            _ => false,
        };
        if found {
            self.advance();
        }
        found
    }

    fn expects(&mut self, wanted: &str, opened: Span) -> Result<Span, Fault> {
        let here = self.span();
        if self.takes(wanted) {
            return Ok(here);
        }
        Err(match self.peek() {
            Token::End => Fault::new(opened, format!("no '{wanted}' closes this")),
            _ => self.fault(format!("'{wanted}' or an operator is missing before this")),
        })
    }

    fn deeper<R>(&mut self, part: impl FnOnce(&mut Self) -> Result<R, Fault>) -> Result<R, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.fault(format!("is nested more than {DEEPEST} deep")));
        }
        let result = part(self);
        self.depth -= 1;
        result
    }

    fn choice(&mut self) -> Result<Node, Fault> {
        self.deeper(|p| {
            let condition = p.infix(0)?;
            let mark = p.span();
            if !p.takes("?") {
                return Ok(condition);
            }
            let yes = p.choice()?;
            if !p.takes(":") {
                return Err(match p.peek() {
                    Token::End => Fault::new(mark, "a choice needs ':' and what else it is: c ? a : b"),
                    _ => p.fault("':' is missing before this: c ? a : b"),
                });
            }
            let no = p.choice()?;
            let span = condition.span.to(no.span);
            Node::new(NodeKind::Choice(Box::new([condition, yes, no])), span)
        })
    }

    fn infix(&mut self, level: usize) -> Result<Node, Fault> {
        // `not` binds looser than comparisons and tighter than `and`.
        if level == COMPARISONS {
            let here = self.span();
            if self.takes("not") {
                let node = self.deeper(|p| p.infix(level))?;
                let span = here.to(node.span);
                return Node::new(NodeKind::Sign(Sign::Not, Box::new(node)), span);
            }
        }
        let Some(operators) = LEVELS.get(level) else { return self.sign() };
        let mut left = self.infix(level + 1)?;
        let mut compared = false;
        loop {
            let here = self.span();
            let Some((_, infix)) = operators.iter().find(|(symbol, _)| self.takes(symbol)) else {
                return Ok(left);
            };
            if level == COMPARISONS && std::mem::replace(&mut compared, true) {
                let advice = "comparisons cannot be chained: write (a < b) and (b < c); & and | bind tighter than they do";
                return Err(Fault::new(here, advice));
            }
            let right = self.infix(level + 1)?;
            let span = left.span.to(right.span);
            left = Node::new(NodeKind::Infix(*infix, Box::new(left), Box::new(right)), span)?;
        }
    }

    fn sign(&mut self) -> Result<Node, Fault> {
        let here = self.span();
        let signs = [("-", Sign::Minus), ("+", Sign::Plus), ("!", Sign::Not), ("~", Sign::BitNot)];
        let Some((_, sign)) = signs.into_iter().find(|(symbol, _)| self.takes(symbol)) else {
            return self.power();
        };
        let node = self.deeper(Self::sign)?;
        let span = here.to(node.span);
        Node::new(NodeKind::Sign(sign, Box::new(node)), span)
    }

    fn power(&mut self) -> Result<Node, Fault> {
        let base = self.primary()?;
        if !self.takes("**") {
            return Ok(base);
        }
        let exponent = self.deeper(Self::sign)?;
        let span = base.span.to(exponent.span);
        Node::new(NodeKind::Infix(Infix::Pow, Box::new(base), Box::new(exponent)), span)
    }

    fn primary(&mut self) -> Result<Node, Fault> {
        match self.peek() {
            Token::Name(name) if is_operator(name) => {
                Err(self.fault(format!("a value is missing before '{name}'")))
            }
            Token::Number(..) | Token::Name(_) | Token::Symbol("(") => {
                let (token, span) = self.advance();
                match token {
                    Token::Number(value, integer) => Node::new(NodeKind::Number(value, integer), span),
                    Token::Name(name) => self.named(name, span),
                    _ => {
                        let mut node = self.choice()?;
                        node.span = span.to(self.expects(")", span)?);
                        Ok(node)
                    }
                }
            }
            Token::End => Err(self.fault("a value is missing at the end")),
            Token::Text(_) => {
                Err(self.fault("text has no meaning here; bands are named as in A[\"nir\"] or A.nir"))
            }
            Token::Symbol(symbol) => Err(self.fault(format!("a value is missing before '{symbol}'"))),
        }
    }

    /// What begins with a name: a call, a band, or the name alone.
    fn named(&mut self, name: String, span: Span) -> Result<Node, Fault> {
        let here = self.span();
        if self.takes("(") {
            return self.call(name, span);
        }
        if self.takes("[") {
            let band = match self.advance() {
                (Token::Number(n, true), at) => BandName::Number(n as usize, at),
                (Token::Text(name) | Token::Name(name), at) => BandName::Name(name, at),
                (_, at) => return Err(Fault::new(at, "a band is a number from 1, or a name")),
            };
            let end = self.expects("]", here)?;
            return Node::new(NodeKind::Band(name, band), span.to(end));
        }
        if self.takes(".") {
            let (word, at) = self.advance();
            let Token::Name(attribute) = word else {
                return Err(Fault::new(at, "the name of a band is missing after '.'"));
            };
            // numpy's functions, as they are written for gdal_calc.
            if matches!(name.as_str(), "np" | "numpy" | "math") {
                return self.named(attribute, at);
            }
            if matches!(self.peek(), Token::Symbol("(")) {
                let advice = match attribute.as_str() {
                    "astype" => "everything is computed in 64-bit floats: leave '.astype(…)' out",
                    _ => "values have no methods: write f(A) instead of A.f()",
                };
                return Err(Fault::new(at, advice));
            }
            return Node::new(NodeKind::Band(name, BandName::Name(attribute, at)), span.to(at));
        }
        Node::new(NodeKind::Name(name), span)
    }

    fn call(&mut self, name: String, span: Span) -> Result<Node, Fault> {
        let opened = Span::new(span.end, span.end + 1);
        let mut arguments = Vec::new();
        if matches!(self.peek(), Token::Symbol(")")) {
            let (_, end) = self.advance();
            return Node::new(NodeKind::Call(name, arguments), span.to(end));
        }
        loop {
            arguments.push(self.choice()?);
            if !self.takes(",") {
                break;
            }
        }
        let end = self.expects(")", opened)?;
        Node::new(NodeKind::Call(name, arguments), span.to(end))
    }
}

/// Words that are operators and can name nothing.
pub(super) fn is_operator(name: &str) -> bool {
    matches!(name, "and" | "or" | "not")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree with a bracket around every part.
    fn shape(node: &Node) -> String {
        match &node.kind {
            NodeKind::Number(v, _) => v.to_string(),
            NodeKind::Name(name) => name.clone(),
            NodeKind::Band(name, BandName::Number(n, _)) => format!("{name}[{n}]"),
            NodeKind::Band(name, BandName::Name(band, _)) => format!("{name}.{band}"),
            NodeKind::Sign(sign, a) => format!("({sign:?} {})", shape(a)),
            NodeKind::Infix(infix, a, b) => format!("({} {infix:?} {})", shape(a), shape(b)),
            NodeKind::Call(name, all) => {
                format!("{name}({})", all.iter().map(shape).collect::<Vec<_>>().join(", "))
            }
            NodeKind::Choice(all) => {
                format!("({} ? {} : {})", shape(&all[0]), shape(&all[1]), shape(&all[2]))
            }
        }
    }

    #[test]
    fn operators_bind_as_in_python() {
        for (text, expected) in [
            ("a+b*c", "(a Add (b Mul c))"),
            ("a-b-c", "((a Sub b) Sub c)"),
            ("-a**2", "(Minus (a Pow 2))"),
            ("a**-b**c", "(a Pow (Minus (b Pow c)))"),
            ("a & 4 == 4", "((a BitAnd 4) Eq 4)"),
            ("a < 1 and b > 2 or c", "(((a Lt 1) And (b Gt 2)) Or c)"),
            ("not a == b and c", "((Not (a Eq b)) And c)"),
            ("!a == b", "((Not a) Eq b)"),
            ("a || b && c", "(a Or (b And c))"),
            ("a ? b : c ? d : e", "(a ? b : (c ? d : e))"),
            ("a << 2 + 1", "(a Shl (2 Add 1))"),
            ("a // b % c", "((a FloorDiv b) Mod c)"),
            ("(a | b) & c", "((a BitOr b) BitAnd c)"),
        ] {
            assert_eq!(parse(text).map(|n| shape(&n)), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn bands_have_numbers_and_names() {
        for (text, expected) in [
            ("A[2]", "A[2]"),
            ("A.nir", "A.nir"),
            ("A[\"near infrared\"]", "A.near infrared"),
            ("A['nir']", "A.nir"),
            ("np.log(A)", "log(A)"),
            ("where(A > 0, numpy.sqrt(A), 0)", "where((A Gt 0), sqrt(A), 0)"),
            ("f()", "f()"),
        ] {
            assert_eq!(parse(text).map(|n| shape(&n)), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (text, start, word) in [
            ("", 0, "empty"),
            ("A +", 3, "missing at the end"),
            ("A + * B", 4, "missing before '*'"),
            ("(A + B", 0, "closes this"),
            ("A + B)", 5, "closes nothing"),
            ("A B", 2, "operator is missing"),
            ("min(A, B", 3, "closes this"),
            ("A[", 2, "number from 1"),
            ("A[1.5]", 2, "number from 1"),
            ("A > 5 & B < 3", 10, "chained"),
            ("1 < A < 3", 6, "chained"),
            ("A ? B", 2, "':'"),
            ("A.astype(float)", 2, "64-bit"),
            ("A.mean()", 2, "no methods"),
            ("A and", 5, "missing at the end"),
            ("and A", 0, "missing before 'and'"),
            ("\"text\"", 0, "no meaning"),
        ] {
            let fault = parse(text).expect_err(text);
            assert!(fault.span.start == start && fault.reason.contains(word), "{text}: {fault:?}");
        }
    }

    #[test]
    fn endless_nesting_is_refused() {
        let fault = parse(&"(".repeat(10_000)).expect_err("too deep");
        assert!(fault.reason.contains("nested"), "{fault:?}");
        let fault = parse(&("-".repeat(10_000) + "1")).expect_err("too deep");
        assert!(fault.reason.contains("nested"), "{fault:?}");
        let fault = parse(&("a+".repeat(10_000) + "1")).expect_err("too tall");
        assert!(fault.reason.contains("depend on each other"), "{fault:?}");
    }
}
