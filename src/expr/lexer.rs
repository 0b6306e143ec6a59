//! Words of an expression.

use super::error::{Fault, Span};

/// A word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A number, and whether it was written as an integer.
    Number(f64, bool),
    /// Text between quotes.
    Text(String),
    /// A name.
    Name(String),
    /// An operator, bracket, comma or dot.
    Symbol(&'static str),
    /// After the last word.
    End,
}

/// Longer symbols stand before the shorter ones they begin with.
const SYMBOLS: [&str; 30] = [
    "**", "//", "<<", ">>", "<=", ">=", "==", "!=", "<>", "&&", "||", "+", "-", "*", "/", "%", "(", ")", "[",
    "]", ",", ".", "?", ":", "<", ">", "!", "&", "|", "~",
];

/// Longest expression, in characters.
pub(super) const LONGEST: usize = 1 << 16;

/// The words of an expression with their places; the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, Fault> {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() > LONGEST {
        return Err(Fault::new(Span::new(0, 1), format!("is longer than {LONGEST} characters")));
    }
    let mut lexer = Lexer { characters, at: 0 };
    let mut words = Vec::new();
    loop {
        let (token, span) = lexer.next()?;
        let ended = token == Token::End;
        words.push((token, span));
        if ended {
            return Ok(words);
        }
    }
}

struct Lexer {
    characters: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.at + ahead).copied()
    }

    /// Moves on while a test holds; what was passed over.
    fn take_while(&mut self, test: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(&test) {
            self.at += 1;
        }
        self.characters[start..self.at].iter().collect()
    }

    fn next(&mut self) -> Result<(Token, Span), Fault> {
        self.take_while(char::is_whitespace);
        let start = self.at;
        let Some(first) = self.peek(0) else { return Ok((Token::End, Span::new(start, start))) };
        let token =
            if first.is_ascii_digit() || (first == '.' && self.peek(1).is_some_and(|c| c.is_ascii_digit())) {
                self.number()?
            } else if first.is_alphabetic() || first == '_' {
                Token::Name(self.take_while(|c| c.is_alphanumeric() || c == '_'))
            } else if first == '"' || first == '\'' {
                self.text(first)?
            } else {
                self.symbol(first)?
            };
        Ok((token, Span::new(start, self.at)))
    }

    fn symbol(&mut self, first: char) -> Result<Token, Fault> {
        let here = Span::new(self.at, self.at + 1);
        let begins = |symbol: &&&str| symbol.chars().enumerate().all(|(i, c)| self.peek(i) == Some(c));
        if let Some(symbol) = SYMBOLS.iter().find(begins) {
            self.at += symbol.len();
            return Ok(Token::Symbol(if *symbol == "<>" { "!=" } else { symbol }));
        }
        Err(Fault::new(
            here,
            match first {
                '^' => "'^' is a power in some languages and exclusive or in others: write ** or xor(a, b)"
                    .to_owned(),
                '=' => "a single '=' compares nothing: write ==".to_owned(),
                other => format!("'{other}' has no meaning here"),
            },
        ))
    }

    fn text(&mut self, quote: char) -> Result<Token, Fault> {
        let start = self.at;
        self.at += 1;
        let text = self.take_while(|c| c != quote);
        if self.peek(0).is_none() {
            return Err(Fault::new(Span::new(start, start + 1), format!("no {quote} ends the text")));
        }
        self.at += 1;
        Ok(Token::Text(text))
    }

    fn number(&mut self) -> Result<Token, Fault> {
        let start = self.at;
        let radix = match (self.peek(0), self.peek(1)) {
            (Some('0'), Some('x' | 'X')) => 16,
            (Some('0'), Some('b' | 'B')) => 2,
            _ => 10,
        };
        if radix != 10 {
            self.at += 2;
            let digits = self.take_while(char::is_alphanumeric);
            let value = u64::from_str_radix(&digits, radix).ok().filter(|v| *v <= 1 << 53);
            let wrong = || Fault::new(Span::new(start, self.at), "is no number");
            return value.map(|v| Token::Number(v as f64, true)).ok_or_else(wrong);
        }
        self.take_while(|c| c.is_ascii_digit());
        let mut integer = true;
        // `2.` is a number, `A[2].x` would not be.
        if self.peek(0) == Some('.') && !self.peek(1).is_some_and(|c| c.is_alphabetic() && !is_exponent(c)) {
            integer = false;
            self.at += 1;
            self.take_while(|c| c.is_ascii_digit());
        }
        if self.peek(0).is_some_and(is_exponent) {
            let sign = usize::from(matches!(self.peek(1), Some('+' | '-')));
            if self.peek(1 + sign).is_some_and(|c| c.is_ascii_digit()) {
                integer = false;
                self.at += 1 + sign;
                self.take_while(|c| c.is_ascii_digit());
            }
        }
        let end = self.at;
        let rest = self.take_while(|c| c.is_alphanumeric() || c == '_');
        let text: String = self.characters[start..end].iter().collect();
        match text.parse::<f64>() {
            Ok(value) if rest.is_empty() && value.is_finite() => {
                Ok(Token::Number(value, integer && value <= 2f64.powi(53)))
            }
            _ => Err(Fault::new(Span::new(start, self.at), "is no number; names begin with a letter")),
        }
    }
}

fn is_exponent(c: char) -> bool {
    matches!(c, 'e' | 'E')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Token> {
        tokens(text).expect("words").into_iter().map(|(token, _)| token).collect()
    }

    #[test]
    fn numbers_come_in_the_spellings_of_other_languages() {
        let numbers = words("1 2.5 .5 3. 1e3 2.5e-3 0x1F 0b101");
        let values: Vec<f64> = numbers
            .iter()
            .filter_map(|t| if let Token::Number(v, _) = t { Some(*v) } else { None })
            .collect();
        assert_eq!(values, [1.0, 2.5, 0.5, 3.0, 1e3, 2.5e-3, 31.0, 5.0]);
        let integer = |t: &Token| matches!(t, Token::Number(_, true));
        assert_eq!(numbers.iter().filter(|t| integer(t)).count(), 3);
    }

    #[test]
    fn longer_operators_are_not_split() {
        let symbols = words("a**b//c<=d&&e<>f");
        let found: Vec<&str> =
            symbols.iter().filter_map(|t| if let Token::Symbol(s) = t { Some(*s) } else { None }).collect();
        assert_eq!(found, ["**", "//", "<=", "&&", "!="]);
    }

    #[test]
    fn places_are_counted_in_characters() {
        let all = tokens("größe + 1").expect("words");
        assert_eq!(all[0], (Token::Name("größe".to_owned()), Span::new(0, 5)));
        assert_eq!(all[2].1, Span::new(8, 9));
    }

    #[test]
    fn what_means_nothing_is_pointed_at() {
        for (text, start, word) in [
            ("A ^ 2", 2, "xor"),
            ("A = 2", 2, "=="),
            ("A + 2abc", 4, "no number"),
            ("A − 1", 2, "no meaning"),
            ("A[\"nir", 2, "ends the text"),
            ("0xfg", 0, "no number"),
            ("1e999", 0, "no number"),
            ("A # 1", 2, "no meaning"),
        ] {
            let fault = tokens(text).expect_err(text);
            assert!(fault.span.start == start && fault.reason.contains(word), "{text}: {fault:?}");
        }
    }
}
