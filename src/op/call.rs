//! Reads operations as users write them: `hillshade`, `focal(median, 5)`, `ndvi(nir=8, red=4)`.

use std::str::FromStr;

use super::table::{Accepts, Entry, Parameter, Table};
use crate::block::SampleType;
use crate::expr::{ExprError, Span};
use crate::spelling::nearest;

/// Longest text of an operation, in characters.
const LONGEST: usize = 1 << 16;

/// An operation with what was given for its parameters.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation.
    pub entry: Entry,
    /// What was given.
    pub arguments: Arguments,
}

/// A value of a parameter.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(f64),
    Integer(usize),
    Choice(&'static str),
    Flag(bool),
    Text(String),
    Type(SampleType),
    Matrix(Vec<Vec<f64>>),
}

#[derive(Debug, Clone)]
struct Argument {
    name: &'static str,
    value: Value,
    /// Where it stands; `None` for a default.
    span: Option<Span>,
}

/// The values of all parameters of a call.
#[derive(Debug, Clone)]
pub struct Arguments {
    text: String,
    values: Vec<Argument>,
}

impl Call {
    /// Reads an operation: its name, then its parameters in their order or by their names.
    ///
    /// # Errors
    /// What makes no sense, and where.
    pub fn parse(text: &str, table: &Table) -> Result<Self, ExprError> {
        let characters: Vec<char> = text.chars().collect();
        let fault = |span: Span, reason: String| error(text, span, reason);
        if characters.len() > LONGEST {
            return Err(fault(Span::new(0, 1), format!("is longer than {LONGEST} characters")));
        }
        let skip = |mut at: usize| {
            while characters.get(at).is_some_and(|c| c.is_whitespace()) {
                at += 1;
            }
            at
        };
        let start = skip(0);
        let mut end = start;
        while characters.get(end).is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
            end += 1;
        }
        let name: String = characters[start..end].iter().collect();
        let span = Span::new(start, end);
        if name.is_empty() {
            let reason = "an operation begins with its name, as in focal(median, 5)";
            return Err(fault(Span::new(start, start + 1), reason.to_owned()));
        }
        let Some(entry) = table.find(&name) else {
            return Err(fault(span, table.unknown(&name)));
        };
        let open = skip(end);
        let words = match characters.get(open) {
            None => Vec::new(),
            Some('(') => {
                let Some(close) =
                    characters.iter().rposition(|c| !c.is_whitespace()).filter(|i| characters[*i] == ')')
                else {
                    let reason = "no ) ends the parameters".to_owned();
                    return Err(fault(Span::new(open, open + 1), reason));
                };
                let whole = matches!(entry.parameters, [Parameter { accepts: Accepts::Mapping, .. }, ..]);
                split(&characters, open + 1, close, whole).map_err(|(span, reason)| fault(span, reason))?
            }
            Some(_) => {
                let reason = format!("write parameters in brackets, as in {}", entry.example);
                return Err(fault(Span::new(open, open + 1), reason));
            }
        };
        let values = assign(entry, &words, span).map_err(|(span, reason)| fault(span, reason))?;
        Ok(Self { entry: entry.clone(), arguments: Arguments { text: text.to_owned(), values } })
    }

    /// The text as it was given.
    pub fn text(&self) -> &str {
        self.arguments.text.trim()
    }
}

fn error(text: &str, span: Span, reason: String) -> ExprError {
    ExprError { subject: "operation", text: text.to_owned(), span, reason }
}

/// A fault before its text is known.
type Fault = (Span, String);

/// A parameter as it was written.
#[derive(Debug)]
struct Word {
    name: Option<(String, Span)>,
    text: String,
    span: Span,
}

/// Splits what stands in the brackets at the commas that are in no bracket and no quotes; `whole` takes it as one.
fn split(characters: &[char], start: usize, end: usize, whole: bool) -> Result<Vec<Word>, Fault> {
    let mut words = Vec::new();
    let (mut depth, mut quote, mut from) = (0usize, None, start);
    for at in start..end {
        let c = characters[at];
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if whole => {}
            None => match c {
                '"' | '\'' => quote = Some(c),
                '(' | '[' => depth += 1,
                ')' | ']' => {
                    let reason = || (Span::new(at, at + 1), format!("'{c}' closes nothing"));
                    depth = depth.checked_sub(1).ok_or_else(reason)?;
                }
                ',' if depth == 0 => {
                    words.push(word(characters, from, at, whole)?);
                    from = at + 1;
                }
                _ => {}
            },
        }
    }
    if quote.is_some() || depth > 0 {
        return Err((Span::new(from, end), "a bracket or quote is not closed".to_owned()));
    }
    let blank = characters[from..end].iter().all(|c| c.is_whitespace());
    if !blank || !words.is_empty() {
        words.push(word(characters, from, end, whole)?);
    }
    Ok(words)
}

fn word(characters: &[char], from: usize, to: usize, whole: bool) -> Result<Word, Fault> {
    let trim = |mut from: usize, mut to: usize| {
        while from < to && characters[from].is_whitespace() {
            from += 1;
        }
        while to > from && characters[to - 1].is_whitespace() {
            to -= 1;
        }
        (from, to)
    };
    let (start, end) = trim(from, to);
    let is_name = |a: usize, b: usize| {
        let mut all = characters[a..b].iter();
        all.next().is_some_and(|c| c.is_alphabetic() || *c == '_')
            && all.all(|c| c.is_alphanumeric() || *c == '_')
    };
    let equals = (start..end).find(|i| characters[*i] == '=');
    let named = equals.filter(|_| !whole).map(|at| (trim(start, at), trim(at + 1, end)));
    let (name, (start, end)) = match named {
        Some(((a, b), value)) if is_name(a, b) => {
            (Some((characters[a..b].iter().collect(), Span::new(a, b))), value)
        }
        _ => (None, (start, end)),
    };
    if start == end {
        return Err((Span::new(start, start + 1), "a value is missing here".to_owned()));
    }
    let quoted = |q: char| end - start >= 2 && characters[start] == q && characters[end - 1] == q;
    let (start, end) = if quoted('"') || quoted('\'') { (start + 1, end - 1) } else { (start, end) };
    Ok(Word { name, text: characters[start..end].iter().collect(), span: Span::new(start, end) })
}

/// Brings words and parameters together.
fn assign(entry: &Entry, words: &[Word], span: Span) -> Result<Vec<Argument>, Fault> {
    let parameters = entry.parameters;
    let names: Vec<&str> = parameters.iter().map(|p| p.name).collect();
    let list =
        || if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
    let mut given: Vec<Option<&Word>> = vec![None; parameters.len()];
    for (number, word) in words.iter().enumerate() {
        let found = match &word.name {
            None => (number < parameters.len()).then_some(number).ok_or_else(|| {
                (word.span, format!("{} takes no parameter number {}: {}", entry.name, number + 1, list()))
            })?,
            Some((name, at)) => names.iter().position(|n| n.eq_ignore_ascii_case(name)).ok_or_else(|| {
                let near = nearest(name, &names);
                let near = near.map_or_else(|| format!(": {}", list()), |n| format!("; did you mean '{n}'?"));
                (*at, format!("{} has no parameter '{name}'{near}", entry.name))
            })?,
        };
        if given[found].is_some() {
            return Err((word.span, format!("'{}' is given twice", names[found])));
        }
        given[found] = Some(word);
    }
    let one = |(parameter, word): (&Parameter, Option<&Word>)| {
        let (text, at) = match (word, parameter.default) {
            (Some(word), _) => (word.text.as_str(), word.span),
            (None, Some(default)) => (default, span),
            (None, None) => {
                let reason = format!(
                    "{} needs {} ({}), as in {}",
                    entry.name, parameter.name, parameter.what, entry.example
                );
                return Err((span, reason));
            }
        };
        let value = value(parameter, text).map_err(|reason| (at, reason))?;
        Ok(Argument { name: parameter.name, value, span: word.map(|w| w.span) })
    };
    parameters.iter().zip(given).map(one).collect()
}

/// The value that a word stands for.
fn value(parameter: &Parameter, text: &str) -> Result<Value, String> {
    let name = parameter.name;
    let within = |low: f64, high: f64| match (low.is_finite(), high.is_finite()) {
        (true, true) => format!("from {low} to {high}"),
        (true, false) => format!("of at least {low}"),
        (false, true) => format!("of at most {high}"),
        (false, false) => "that is finite".to_owned(),
    };
    match parameter.accepts {
        // Nothing is given for what is found out later.
        Accepts::Number { .. } | Accepts::Positive if text == "auto" && parameter.default == Some("auto") => {
            Ok(Value::Number(f64::NAN))
        }
        Accepts::Number { low, high } => {
            let number = text.parse::<f64>().ok().filter(|v| v.is_finite() && (low..=high).contains(v));
            number
                .map(Value::Number)
                .ok_or_else(|| format!("{name}: '{text}' is no number {}", within(low, high)))
        }
        Accepts::Positive => {
            let number = text.parse::<f64>().ok().filter(|v| v.is_finite() && *v > 0.0);
            number.map(Value::Number).ok_or_else(|| format!("{name}: '{text}' is no number above 0"))
        }
        Accepts::Integer { low, high } => {
            let number = text.parse::<usize>().ok().filter(|v| (low..=high).contains(v));
            number
                .map(Value::Integer)
                .ok_or_else(|| format!("{name}: '{text}' is no integer from {low} to {high}"))
        }
        Accepts::Odd { low, high } => {
            let number = text.parse::<usize>().ok().filter(|v| (low..=high).contains(v) && v % 2 == 1);
            number
                .map(Value::Integer)
                .ok_or_else(|| format!("{name}: '{text}' is no odd number from {low} to {high}"))
        }
        Accepts::Choice(choices) => {
            let word = text.replace('-', "_");
            let found = choices.iter().find(|c| c.eq_ignore_ascii_case(&word));
            found.map(|c| Value::Choice(c)).ok_or_else(|| {
                let near =
                    nearest(text, choices).map_or_else(String::new, |n| format!("; did you mean '{n}'?"));
                format!("{name}: unknown '{text}'; known are {}{near}", choices.join(", "))
            })
        }
        Accepts::Flag => match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" | "1" => Ok(Value::Flag(true)),
            "no" | "false" | "off" | "0" => Ok(Value::Flag(false)),
            _ => Err(format!("{name}: '{text}' is neither yes nor no")),
        },
        Accepts::Type => SampleType::from_str(text).map(Value::Type).map_err(|e| format!("{name}: {e}")),
        Accepts::Band | Accepts::File | Accepts::Mapping => Ok(Value::Text(text.to_owned())),
        Accepts::Matrix => matrix(text).map(Value::Matrix).map_err(|e| format!("{name}: {e}")),
    }
}

/// Rows of numbers: `[[1, 2, 1], [2, 4, 2], [1, 2, 1]]` or `1 2 1; 2 4 2; 1 2 1`.
fn matrix(text: &str) -> Result<Vec<Vec<f64>>, String> {
    let inner = text.trim();
    let inner = inner.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(inner).trim();
    let rows: Vec<&str> = if inner.contains(';') {
        inner.split(';').collect()
    } else {
        inner.split(']').map(|r| r.trim().trim_start_matches(',')).filter(|r| !r.trim().is_empty()).collect()
    };
    let number = |word: &str| {
        word.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| format!("'{word}' is no number"))
    };
    let row = |row: &str| -> Result<Vec<f64>, String> {
        let words = row.split(|c: char| c == ',' || c == '[' || c.is_whitespace()).filter(|w| !w.is_empty());
        words.map(number).collect()
    };
    let rows: Vec<Vec<f64>> = rows.into_iter().map(row).collect::<Result<_, _>>()?;
    let width = rows.first().map_or(0, Vec::len);
    if rows.iter().any(|r| r.len() != width) {
        return Err("its rows are not of one length".to_owned());
    }
    let odd = |n: usize| n % 2 == 1 && n <= 99;
    if !odd(width) || !odd(rows.len()) {
        let reason =
            format!("has {width} columns and {} rows: give an odd number of each, 99 at most", rows.len());
        return Err(reason);
    }
    Ok(rows)
}

impl Arguments {
    /// The text of the call.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn get(&self, name: &str) -> Option<&Argument> {
        self.values.iter().find(|a| a.name == name)
    }

    /// Whether the user gave a parameter.
    pub fn is_given(&self, name: &str) -> bool {
        self.get(name).is_some_and(|a| a.span.is_some())
    }

    /// A number; not-a-number for one that was not given and has no value by itself.
    pub fn number(&self, name: &str) -> f64 {
        match self.get(name).map(|a| &a.value) {
            Some(Value::Number(value)) => *value,
            _ => f64::NAN,
        }
    }

    /// An integer.
    pub fn integer(&self, name: &str) -> usize {
        match self.get(name).map(|a| &a.value) {
            Some(Value::Integer(value)) => *value,
            _ => 0,
        }
    }

    /// One of several words.
    pub fn choice(&self, name: &str) -> &'static str {
        match self.get(name).map(|a| &a.value) {
            Some(Value::Choice(value)) => value,
            _ => "",
        }
    }

    /// Whether something is wanted.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name).map(|a| &a.value), Some(Value::Flag(true)))
    }

    /// Text.
    pub fn word(&self, name: &str) -> &str {
        match self.get(name).map(|a| &a.value) {
            Some(Value::Text(value)) => value,
            _ => "",
        }
    }

    /// A type of samples.
    pub fn sample_type(&self, name: &str) -> Option<SampleType> {
        match self.get(name).map(|a| &a.value) {
            Some(Value::Type(value)) => Some(*value),
            _ => None,
        }
    }

    /// Rows of numbers.
    pub fn matrix(&self, name: &str) -> &[Vec<f64>] {
        match self.get(name).map(|a| &a.value) {
            Some(Value::Matrix(rows)) => rows,
            _ => &[],
        }
    }

    /// An error that points at a parameter.
    pub fn error(&self, name: &str, reason: impl Into<String>) -> ExprError {
        let whole = Span::new(0, self.text.chars().count());
        let span = self.get(name).and_then(|a| a.span).unwrap_or(whole);
        error(&self.text, span, reason.into())
    }

    /// An error that points at some characters of a parameter.
    pub fn error_within(&self, name: &str, within: Span, reason: impl Into<String>) -> ExprError {
        let start = self.get(name).and_then(|a| a.span).map_or(0, |s| s.start);
        error(&self.text, Span::new(start + within.start, start + within.end), reason.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Call, ExprError> {
        Call::parse(text, &Table::standard())
    }

    #[test]
    fn parameters_come_in_their_order_or_by_name() {
        for text in ["focal(median, 5)", " focal ( size = 5 , stat=median ) ", "focal(median, size='5')"] {
            let call = parse(text).expect(text);
            assert_eq!(
                (call.arguments.choice("stat"), call.arguments.integer("size")),
                ("median", 5),
                "{text}"
            );
        }
        let call = parse("hillshade").expect("all defaults");
        assert_eq!((call.arguments.number("az"), call.arguments.is_given("az")), (315.0, false));
        let call = parse("ndvi(nir=A[8], red=\"near, infrared\")").expect("bands");
        assert_eq!((call.arguments.word("nir"), call.arguments.word("red")), ("A[8]", "near, infrared"));
    }

    #[test]
    fn kernels_are_written_as_elsewhere() {
        let rows = vec![vec![0.0, -1.0, 0.0], vec![-1.0, 5.0, -1.0], vec![0.0, -1.0, 0.0]];
        assert_eq!(matrix("[[0,-1,0],[-1,5,-1],[0,-1,0]]").as_ref(), Ok(&rows));
        assert_eq!(matrix("0 -1 0; -1 5 -1; 0 -1 0").as_ref(), Ok(&rows));
        assert_eq!(matrix("[1 2 1]"), Ok(vec![vec![1.0, 2.0, 1.0]]));
        for (text, word) in
            [("[[1,2],[3,4]]", "odd"), ("[[1,2,3],[4]]", "length"), ("1 x 1", "'x'"), ("", "0 columns")]
        {
            assert!(matrix(text).is_err_and(|e| e.contains(word)), "{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_pointed_at() {
        for (text, start, word) in [
            ("hilshade", 0, "did you mean 'hillshade'?"),
            ("blorb(3)", 0, "unknown operation"),
            ("focal(median, 4)", 14, "odd number from 3 to 99"),
            ("focal(median, 101)", 14, "odd number"),
            ("focal(medien)", 6, "did you mean 'median'?"),
            ("focal(median, siz=5)", 14, "did you mean 'size'?"),
            ("focal(median, 5, stat=min)", 22, "twice"),
            ("focal(median, 5", 5, "no ) ends"),
            ("focal(median,, 5)", 13, "missing"),
            ("focal median", 6, "in brackets"),
            ("roughness(1, 2, 3, 4)", 16, "no parameter number 3"),
            ("hillshade(z=steep)", 12, "no number"),
            ("hillshade(z=0)", 12, "above 0"),
            ("hillshade(alt=91)", 14, "from 0 to 90"),
            ("ndvi(nir=8)", 0, "needs red"),
            ("cast(Int64)", 5, "known are Byte"),
            ("(3)", 0, "begins with its name"),
            ("focal(median), 3", 5, "no ) ends"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.reason.contains(word), "{text}: {error}");
            if !error.reason.contains("no )") && !text.ends_with('3') {
                assert_eq!(error.span.start, start, "{text}: {error}");
            }
        }
    }
}
