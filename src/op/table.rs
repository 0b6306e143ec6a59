//! The operations by their names: what they compute, their parameters, where they come from.

use std::sync::Arc;

use super::call::Arguments;
use super::chain::Ground;
use super::custom::Custom;
use super::formulas::{Formula, Index};
use super::{Operation, catalogue};
use crate::error::{Error, Result};
use crate::spelling::nearest;

/// What a parameter accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Accepts {
    /// A number within limits; with the default `auto` none at all.
    Number {
        /// The least.
        low: f64,
        /// The greatest.
        high: f64,
    },
    /// A number above 0; with the default `auto` none at all.
    Positive,
    /// An integer within limits.
    Integer {
        /// The least.
        low: usize,
        /// The greatest.
        high: usize,
    },
    /// An odd number within limits.
    Odd {
        /// The least.
        low: usize,
        /// The greatest.
        high: usize,
    },
    /// One of some words.
    Choice(&'static [&'static str]),
    /// Yes or no.
    Flag,
    /// A band: its number, its name, or an expression over the inputs.
    Band,
    /// A type of samples, by GDAL's name.
    Type,
    /// Rows of numbers.
    Matrix,
    /// A file, or a name.
    File,
    /// Everything between the brackets, as it stands.
    Mapping,
}

impl Accepts {
    /// In words.
    pub fn text(self) -> String {
        let limits = |low: f64, high: f64| match (low.is_finite(), high.is_finite()) {
            (true, true) => format!("number from {low} to {high}"),
            (true, false) => format!("number of at least {low}"),
            _ => "number".to_owned(),
        };
        match self {
            Self::Number { low, high } => limits(low, high),
            Self::Positive => "number above 0".to_owned(),
            Self::Integer { low, high } => format!("integer from {low} to {high}"),
            Self::Odd { low, high } => format!("odd number from {low} to {high}"),
            Self::Choice(words) => words.join("|"),
            Self::Flag => "yes|no".to_owned(),
            Self::Band => "band".to_owned(),
            Self::Type => "type".to_owned(),
            Self::Matrix => "rows of numbers".to_owned(),
            Self::File => "file".to_owned(),
            Self::Mapping => "mapping".to_owned(),
        }
    }
}

/// A parameter of an operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it accepts.
    pub accepts: Accepts,
    /// What it is when it is not given; one without has to be given.
    pub default: Option<&'static str>,
    /// What it means.
    pub what: &'static str,
}

/// What an operation becomes.
pub enum Built {
    /// A part of the program.
    Formula(Formula),
    /// Something that needs the pixels around.
    Operation(Arc<dyn Operation>),
}

/// An operation in the table.
#[derive(Clone)]
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    /// What it computes, in a line.
    pub what: &'static str,
    /// Its parameters in their order.
    pub parameters: &'static [Parameter],
    /// Pixels on each side that it needs.
    pub halo: &'static str,
    /// Its formula; w0…w8 are the 3 × 3 pixels row by row.
    pub formula: &'static str,
    /// Where the formula comes from.
    pub source: &'static str,
    /// A call.
    pub example: &'static str,
    pub(super) build: Build,
}

#[derive(Clone)]
pub(super) enum Build {
    Index(&'static Index),
    Own(fn(&Arguments, &Ground) -> Result<Built>),
    Ready(Arc<dyn Operation>),
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Entry {
    /// What a call of it becomes, on such ground.
    ///
    /// # Errors
    /// [`Error::Expression`] for parameters that contradict each other, [`Error::Input`] for files that cannot be read.
    pub fn build(&self, arguments: &Arguments, ground: &Ground) -> Result<Built> {
        match &self.build {
            Build::Index(index) => Ok(index.build(arguments, self.name)),
            Build::Own(build) => build(arguments, ground),
            Build::Ready(operation) => Ok(Built::Operation(Arc::clone(operation))),
        }
    }

    /// Whether it is an expression over single bands or windows, of which each band gives one.
    pub(super) fn takes_one_band(&self) -> bool {
        ["hillshade", "slope", "aspect", "tri", "tpi", "roughness", "color_relief"].contains(&self.name)
    }
}

/// The operations that calls may name.
#[derive(Debug, Clone)]
pub struct Table {
    entries: Vec<Entry>,
}

impl Default for Table {
    fn default() -> Self {
        Self::standard()
    }
}

impl Table {
    /// Those of the program.
    pub fn standard() -> Self {
        Self { entries: catalogue::standard() }
    }

    /// All of them, in the order in which they are listed.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Their names.
    pub fn names(&self) -> Vec<&'static str> {
        self.entries.iter().map(|e| e.name).collect()
    }

    /// The one of a name, case and the kind of dash aside.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        let name = name.replace('-', "_");
        self.entries.iter().find(|e| e.name.eq_ignore_ascii_case(&name))
    }

    /// What to say of a name that none of them has.
    pub fn unknown(&self, name: &str) -> String {
        let near = nearest(name, &self.names()).map_or_else(
            || "; `tileloom ops` lists them".to_owned(),
            |near| format!("; did you mean '{near}'?"),
        );
        format!("unknown operation '{name}'{near}")
    }

    /// Adds a function of one's own, under a name of letters, digits and `_`.
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that is none or that another operation has.
    pub fn add(&mut self, name: &'static str, operation: Custom) -> Result<()> {
        let mut letters = name.chars();
        let begins = letters.next().is_some_and(char::is_alphabetic);
        if !begins || !letters.all(|c| c.is_alphanumeric() || c == '_') {
            return Err(Error::Usage(format!("'{name}' is no name for an operation")));
        }
        if self.find(name).is_some() {
            return Err(Error::Usage(format!("there is an operation '{name}' already")));
        }
        self.entries.push(Entry {
            name,
            what: "added by the program",
            parameters: &[],
            halo: "its own",
            formula: "",
            source: "",
            example: name,
            build: Build::Ready(Arc::new(operation)),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Call;

    #[test]
    fn every_example_can_be_parsed_and_every_default_accepted() {
        let table = Table::standard();
        for entry in table.entries() {
            let call = Call::parse(entry.example, &table).expect(entry.example);
            assert_eq!(call.entry.name, entry.name);
            assert!(!entry.what.is_empty() && !entry.formula.is_empty() && !entry.source.is_empty());
        }
    }

    #[test]
    fn names_are_unique_and_dashes_do_not_matter() {
        let table = Table::standard();
        let names: std::collections::BTreeSet<_> = table.names().into_iter().collect();
        assert_eq!(names.len(), table.entries().len());
        assert_eq!(table.find("Color-Relief").map(|e| e.name), Some("color_relief"));
    }
}
