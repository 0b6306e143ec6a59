//! Names of chips, by a template with words in braces.

use std::fmt::Write as _;

use crate::spelling::nearest;

/// The words a template knows.
const WORDS: [&str; 6] = ["source", "row", "column", "x", "y", "index"];

/// The longest name of a chip, in bytes: what file systems and tar archives take, with room for what follows it.
const LONGEST: usize = 180;

/// The template when none is given.
pub const DEFAULT: &str = "{source}_{row}_{column}";

/// A name, or one of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Source,
    Row,
    Column,
    X,
    Y,
    Index,
}

/// A template, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// What a name is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Row of the chip, or 0 where chips do not lie in rows.
    pub row: usize,
    /// Column of the chip, or its number where chips do not lie in columns.
    pub column: usize,
    /// First column of its pixels.
    pub x: i64,
    /// First row of its pixels.
    pub y: i64,
    /// Number of the chip.
    pub index: usize,
}

/// How many digits numbers have, so that names sort as chips lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digits {
    /// Of rows.
    pub row: usize,
    /// Of columns.
    pub column: usize,
    /// Of places in pixels, either way.
    pub pixel: usize,
    /// Of numbers of chips.
    pub index: usize,
}

/// How many digits a number has.
pub fn digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

impl Template {
    /// Reads a template. `flat` names may hold no slashes and dots, as members of shards are told apart by these.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str, flat: bool) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, word) = rest.split_at(at);
            let end = word.find('}').filter(|end| *end > 0 && word.starts_with('{'));
            let end = end.ok_or("a brace has no counterpart")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::of(&word[1..end])?);
            rest = &word[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.is_empty() {
            return Err("is empty".to_owned());
        }
        let texts = || parts.iter().filter_map(|p| if let Part::Text(text) = p { Some(text) } else { None });
        if texts()
            .any(|t| t.contains(['\\', ':', '*', '?', '"', '<', '>', '|']) || t.contains(char::is_control))
        {
            return Err("holds characters that not every file system takes in names".to_owned());
        }
        if flat && texts().any(|t| t.contains(['/', '.'])) {
            return Err("chips in shards have names without slashes and dots, which tell their parts apart"
                .to_owned());
        }
        if text.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with([' ', '.']))
        {
            return Err("has a part between slashes that is no name of a file".to_owned());
        }
        Ok(Self { parts })
    }

    /// Whether no two chips can have the same name.
    pub fn is_unique(&self) -> bool {
        let has = |part: &Part| self.parts.contains(part);
        has(&Part::Index) || (has(&Part::Row) && has(&Part::Column)) || (has(&Part::X) && has(&Part::Y))
    }

    /// The name of a chip.
    ///
    /// # Errors
    /// When it is too long.
    pub fn name(&self, source: &str, numbers: &Numbers, digits: &Digits) -> Result<String, String> {
        let mut name = String::new();
        for part in &self.parts {
            let padded = |name: &mut String, number: i64, width: usize| {
                // Writing to a string cannot fail.
                let _ = if number < 0 {
                    write!(name, "m{:0width$}", -number)
                } else {
                    write!(name, "{number:0width$}")
                };
            };
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Source => name.push_str(source),
                Part::Row => padded(&mut name, numbers.row as i64, digits.row),
                Part::Column => padded(&mut name, numbers.column as i64, digits.column),
                Part::X => padded(&mut name, numbers.x, digits.pixel),
                Part::Y => padded(&mut name, numbers.y, digits.pixel),
                Part::Index => padded(&mut name, numbers.index as i64, digits.index),
            }
        }
        if name.len() > LONGEST {
            return Err(format!("makes names of {} bytes, and {LONGEST} are the most", name.len()));
        }
        Ok(name)
    }
}

impl Part {
    fn of(word: &str) -> Result<Self, String> {
        Ok(match word.to_ascii_lowercase().as_str() {
            "source" => Self::Source,
            "row" => Self::Row,
            "column" | "col" => Self::Column,
            "x" => Self::X,
            "y" => Self::Y,
            "index" => Self::Index,
            _ => {
                let near =
                    nearest(word, &WORDS).map_or_else(String::new, |n| format!(" (did you mean {{{n}}}?)"));
                let known = WORDS.map(|w| format!("{{{w}}}")).join(", ");
                return Err(format!("{{{word}}} is unknown{near}; known are {known}"));
            }
        })
    }
}

/// The name of a source in names of chips: that of its file, without what file systems or shards do not take.
pub fn source_name(path: &std::path::Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let kept = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
    let mut name: String = stem.chars().map(kept).collect();
    let mut end = name.len().min(100);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    if name.is_empty() { "chip".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBERS: Numbers = Numbers { row: 3, column: 12, x: 1536, y: -64, index: 40 };
    const DIGITS: Digits = Digits { row: 2, column: 2, pixel: 5, index: 3 };

    #[test]
    fn names_sort_as_chips_lie() {
        let name = |text: &str| Template::new(text, false).and_then(|t| t.name("scene", &NUMBERS, &DIGITS));
        assert_eq!(name(DEFAULT).as_deref(), Ok("scene_03_12"));
        assert_eq!(name("{row}/{col}-{index}").as_deref(), Ok("03/12-040"));
        assert_eq!(name("a_{x}_{y}").as_deref(), Ok("a_01536_m00064"));
        assert!(name(&format!("{}{{index}}", "n".repeat(200))).is_err());
    }

    #[test]
    fn templates_that_make_no_file_names_are_refused() {
        for (text, flat, word) in [
            ("", false, "empty"),
            ("{colum}", false, "did you mean {column}?"),
            ("{row", false, "counterpart"),
            ("row}", false, "counterpart"),
            ("/{row}", false, "between slashes"),
            ("../{row}", false, "between slashes"),
            ("{row}/", false, "between slashes"),
            ("{row}:{column}", false, "file system"),
            ("{row}/{column}", true, "shards"),
            ("{row}.{column}", true, "shards"),
        ] {
            let error = Template::new(text, flat).expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_template_says_whether_its_names_differ() {
        let unique = |text: &str| Template::new(text, false).expect(text).is_unique();
        assert!(unique(DEFAULT) && unique("{index}") && unique("{y}/{x}"));
        assert!(!unique("{row}") && !unique("{source}") && !unique("{x}_{row}"));
    }

    #[test]
    fn sources_are_named_by_their_file() {
        let name = |path: &str| source_name(std::path::Path::new(path));
        assert_eq!(name("/data/S2A.MSIL2A scene.tif"), "S2A_MSIL2A_scene");
        assert_eq!(name("/data/"), "data");
        assert_eq!(name(""), "chip");
    }

    #[test]
    fn digits_are_counted() {
        assert_eq!([0, 9, 10, 99, 100].map(digits), [1, 1, 2, 2, 3]);
    }
}
