//! Operations that look at one pixel alone: they are expressions, and become part of the program that makes the bands.

use super::call::Arguments;
use super::facts::Facts;
use super::table::Built;
use crate::block::{Sample, SampleType};
use crate::error::Result;
use crate::expr::ExprError;

/// A band that a formula names: by number, by name, or by an expression over the inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct BandName {
    /// The name in the formula.
    pub variable: &'static str,
    /// What the user wrote for it.
    pub text: String,
}

/// What a formula computes with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operands {
    /// Each band by itself, under this name.
    Each(&'static str),
    /// Some bands, which make one.
    Named(Vec<BandName>),
}

/// An operation that is an expression.
#[derive(Debug, Clone)]
pub struct Formula {
    /// The expression, as in [`crate::expr`].
    pub text: String,
    /// The bands in it.
    pub operands: Operands,
    /// The numbers in it; one that is not-a-number is the greatest value that the band may have.
    pub numbers: Vec<(&'static str, f64)>,
    /// The name of the band that is made of several.
    pub name: Option<&'static str>,
    /// The type that its values fit.
    pub sample_type: Option<SampleType>,
    /// Whether values stay what they were, but for limits and rounding.
    pub keeps: bool,
    /// The call, for errors.
    pub arguments: Arguments,
}

impl Formula {
    /// An error that points at what was given for a variable.
    pub fn error(&self, variable: &str, reason: impl Into<String>) -> ExprError {
        self.arguments.error(variable, reason)
    }

    /// Where bands have no limit of their own: what stands for the greatest value of a float.
    pub(super) fn limit(facts: &Facts) -> f64 {
        if facts.range.high.is_finite() { facts.range.high } else { 1.0 }
    }
}

/// What an index is computed from.
pub(super) struct Index {
    pub text: &'static str,
    pub bands: &'static [&'static str],
    pub numbers: &'static [&'static str],
}

impl Index {
    /// The formula of a call.
    pub fn build(&self, arguments: &Arguments, name: &'static str) -> Built {
        let band = |variable: &&'static str| BandName { variable, text: arguments.word(variable).to_owned() };
        Built::Formula(Formula {
            text: self.text.to_owned(),
            operands: Operands::Named(self.bands.iter().map(band).collect()),
            numbers: self.numbers.iter().map(|n| (*n, arguments.number(n))).collect(),
            name: Some(name),
            sample_type: None,
            keeps: false,
            arguments: arguments.clone(),
        })
    }
}

fn each(arguments: &Arguments, text: &str, numbers: Vec<(&'static str, f64)>) -> Built {
    Built::Formula(Formula {
        text: text.to_owned(),
        operands: Operands::Each("v"),
        numbers,
        name: None,
        sample_type: None,
        keeps: text.starts_with("clamp(v") || text.starts_with("clamp(round(v)") || text == "v",
        arguments: arguments.clone(),
    })
}

/// Values from one range brought to another.
pub(super) fn rescale(arguments: &Arguments) -> Result<Built> {
    let names = ["src_min", "src_max", "dst_min", "dst_max"];
    let numbers: Vec<_> = names.iter().map(|n| (*n, arguments.number(n))).collect();
    if numbers[0].1 == numbers[1].1 {
        return Err(arguments.error("src_max", "src_max: is the same as src_min").into());
    }
    let share = "(v - src_min) / (src_max - src_min)";
    let text = if arguments.flag("clip") {
        format!("dst_min + (dst_max - dst_min) * clamp({share}, 0, 1)")
    } else {
        format!("dst_min + (dst_max - dst_min) * ({share})")
    };
    Ok(each(arguments, &text, numbers))
}

/// Middle tones made lighter or darker.
pub(super) fn gamma(arguments: &Arguments) -> Result<Built> {
    let (low, high) = (arguments.number("low"), arguments.number("high"));
    if low >= high {
        return Err(arguments.error("high", "high: is not above low").into());
    }
    let numbers = vec![("gamma", arguments.number("gamma")), ("low", low), ("high", high)];
    Ok(each(arguments, "low + (high - low) * ((v - low) / (high - low)) ** (1 / gamma)", numbers))
}

/// Values kept between two limits.
pub(super) fn clamp(arguments: &Arguments) -> Result<Built> {
    let (low, high) = (arguments.number("low"), arguments.number("high"));
    if low > high {
        return Err(arguments.error("high", "high: is below low").into());
    }
    Ok(each(arguments, "clamp(v, low, high)", vec![("low", low), ("high", high)]))
}

/// Values rounded to those of a type.
pub(super) fn cast(arguments: &Arguments) -> Built {
    let sample_type = arguments.sample_type("type").unwrap_or(SampleType::F64);
    let (text, numbers) = match sample_type {
        SampleType::F32 | SampleType::F64 => ("v", vec![]),
        integer => for_sample_type!(integer, T => {
            let limits = [f64::NEG_INFINITY, f64::INFINITY].map(|v| T::from_f64(v).to_f64());
            ("clamp(round(v), low, high)", vec![("low", limits[0]), ("high", limits[1])])
        }),
    };
    let Built::Formula(formula) = each(arguments, text, numbers) else { return each(arguments, "v", vec![]) };
    Built::Formula(Formula { sample_type: Some(sample_type), ..formula })
}
