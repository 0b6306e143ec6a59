//! What is known of a band before its pixels are.

use crate::block::SampleType;
use crate::expr::{Kind, Range};

/// What is known of a band before its pixels are.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// What its values are.
    pub kind: Kind,
    /// Limits between which they lie.
    pub range: Range,
    /// Whether pixels may be without data.
    pub may_miss: bool,
    /// The type that its samples were cast to.
    pub sample_type: Option<SampleType>,
    /// The band of an input that it still shows, in the same unit; `None` for anything else.
    pub origin: Option<Origin>,
}

/// A band of an input that a band still shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The 0-based number of the input.
    pub input: usize,
    /// Its own 0-based number.
    pub band: usize,
    /// Whether all values are ones that the band had, none a mixture of several: numbers of classes mean what they meant.
    pub exact: bool,
}

impl Facts {
    /// Numbers within limits, of which some may be missing; without a name.
    pub fn numbers(low: f64, high: f64, may_miss: bool) -> Self {
        let (kind, range) = (Kind::Number, Range::new(low, high));
        Self { name: None, kind, range, may_miss, sample_type: None, origin: None }
    }

    /// Integers within limits.
    pub fn integers(low: f64, high: f64, may_miss: bool) -> Self {
        Self { kind: Kind::Integer, ..Self::numbers(low, high, may_miss) }
    }

    /// Values like these, of which some may be missing.
    #[must_use]
    pub fn missing(&self, may_miss: bool) -> Self {
        Self { may_miss: self.may_miss || may_miss, sample_type: None, ..self.clone() }
    }

    /// Mixtures of these values.
    #[must_use]
    pub fn mixed(&self) -> Self {
        let origin = self.origin.map(|o| Origin { exact: false, ..o });
        Self { kind: Kind::Number, origin, ..self.clone() }
    }

    /// Other values in place of these, under the same name.
    #[must_use]
    pub fn replaced(&self, by: &Self) -> Self {
        Self { name: self.name.clone(), may_miss: self.may_miss || by.may_miss, ..by.clone() }
    }
}
