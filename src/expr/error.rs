//! What is wrong with an expression, and where.

use std::fmt;

/// Characters of an expression, from the first to before the last, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first character.
    pub start: usize,
    /// The one after the last.
    pub end: usize,
}

impl Span {
    /// From one place to another.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprError {
    /// What the text is: an expression, an operation.
    pub subject: &'static str,
    /// The text as the user wrote it.
    pub text: String,
    /// Where it is wrong.
    pub span: Span,
    /// What is wrong, and what to do about it.
    pub reason: String,
}

/// Characters of the expression that are shown around the place.
const SHOWN: usize = 72;

impl ExprError {
    /// The place in two lines: a piece of the expression, and carets under what is wrong with it.
    pub fn pointer(&self) -> String {
        let characters: Vec<char> =
            self.text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
        let first = if characters.len() <= SHOWN { 0 } else { self.span.start.saturating_sub(SHOWN / 2) };
        let shown: String = characters.iter().skip(first).take(SHOWN).collect();
        let carets = self.span.end.min(first + SHOWN).saturating_sub(self.span.start).max(1);
        format!("  {shown}\n  {}{}", " ".repeat(self.span.start - first), "^".repeat(carets))
    }
}

impl fmt::Display for ExprError {
    /// One line, with the column counted from 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, column {}: {}", self.subject, self.span.start + 1, self.reason)
    }
}

impl std::error::Error for ExprError {}

/// What is wrong, before anybody knows the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub span: Span,
    pub reason: String,
}

impl Fault {
    pub fn new(span: Span, reason: impl Into<String>) -> Self {
        Self { span, reason: reason.into() }
    }

    /// The error about an expression of which `offset` characters were taken away in front.
    pub fn of(self, text: &str, offset: usize) -> ExprError {
        let span = Span::new(self.span.start + offset, self.span.end + offset);
        ExprError { subject: "expression", text: text.to_owned(), span, reason: self.reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str, start: usize, end: usize) -> ExprError {
        let span = Span::new(start, end);
        ExprError { subject: "expression", text: text.to_owned(), span, reason: "no".to_owned() }
    }

    #[test]
    fn carets_stand_under_what_is_wrong() {
        let error = error("A +\tfoo", 4, 7);
        assert_eq!(error.pointer(), "  A + foo\n      ^^^");
        assert_eq!(error.to_string(), "expression, column 5: no");
    }

    #[test]
    fn of_a_long_expression_the_part_around_the_place_is_shown() {
        let text = "A + ".repeat(100) + "foo";
        let pointer = error(&text, 400, 403).pointer();
        let lines: Vec<&str> = pointer.lines().collect();
        let at = lines[1].find('^').expect("a caret");
        assert_eq!(&lines[0][at..at + 3], "foo");
        assert_eq!(lines[1].trim(), "^^^");
    }

    #[test]
    fn what_is_missing_at_the_end_gets_one_caret() {
        assert_eq!(error("A +", 3, 3).pointer(), "  A +\n     ^");
    }
}
