//! The inputs of a calculation: their names, and what expressions need to know of them.

use super::grid::{Grid, Placement};
use super::{CalcInput, CalcJob, NodataPolicy};
use crate::block::{Sample, SampleType};
use crate::error::{Error, Result};
use crate::expr::{self, Kind, Range, check_name};
use crate::raster::describe::MaskKind;
use crate::raster::{Description, SourceSpec, nodata_as};

/// An input that was looked at.
#[derive(Debug, Clone)]
pub struct Looked {
    /// Its name in expressions.
    pub name: String,
    /// Where it is and how to open it.
    pub spec: SourceSpec,
    /// What it is.
    pub description: Description,
    /// How it comes onto the grid.
    pub placement: Placement,
    /// 1-based number of the band that the name alone means.
    pub first: usize,
}

/// The names of inputs: those that were given, letters by their position for the others.
///
/// # Errors
/// [`Error::Usage`] for names that mean something else, come twice or are not enough.
pub(super) fn names(inputs: &[CalcInput]) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        let name = match &input.name {
            Some(name) => name.clone(),
            None if number < 26 => char::from(b'A' + number as u8).to_string(),
            None => {
                return Err(Error::Usage(format!(
                    "{} is input number {}: beyond Z, inputs need names, as in -i NAME=FILE",
                    input.source.path.display(),
                    number + 1
                )));
            }
        };
        check_name(&name)
            .map_err(|e| Error::Usage(format!("input {name}={}: {e}", input.source.path.display())))?;
        if names.contains(&name) {
            return Err(Error::Usage(format!("two inputs are named '{name}'")));
        }
        names.push(name);
    }
    Ok(names)
}

/// Looks at an input.
///
/// # Errors
/// [`Error::Input`] when it cannot be read or brought onto the grid.
pub(super) fn look(
    job: &CalcJob,
    input: &CalcInput,
    name: &str,
    description: Description,
    grid: &Grid,
) -> Result<Looked> {
    let placement = grid.place(&input.source, &description, job.ignore_georeferencing)?;
    let count = description.bands.len();
    if !(1..=count).contains(&input.band) {
        return Err(input.source.error(format!("has no band {} for '{name}': it has {count}", input.band)));
    }
    Ok(Looked {
        name: name.to_owned(),
        spec: input.source.clone(),
        description,
        placement,
        first: input.band,
    })
}

impl Looked {
    /// What expressions need to know of it.
    pub fn facts(&self, job: &CalcJob, grid: &Grid) -> expr::Input {
        let covers =
            matches!(self.placement, Placement::Aligned(place) if place.contains(&grid.size.window()));
        let bands = (1..=self.description.bands.len()).map(|n| self.band(n, job, covers)).collect();
        expr::Input { name: self.name.clone(), bands, first: self.first }
    }

    /// A band by its 1-based number; `covers` says whether the raster has all pixels of the grid.
    fn band(&self, number: usize, job: &CalcJob, covers: bool) -> Option<expr::Band> {
        let description = &self.description;
        let (band, sample_type) = (&description.bands[number - 1], description.types[number - 1]?);
        let wide = band.sample_type.ends_with("int64");
        let float = matches!(sample_type, SampleType::F32 | SampleType::F64) && !wide;
        let range = if wide {
            let signed = if band.sample_type.starts_with('u') { 0.0 } else { -2f64.powi(63) };
            Range::new(signed, 2f64.powi(64))
        } else {
            limits(sample_type, description.bits)
        };
        let range = without(range, self.nodata(number, job));
        let masked = job.policy == NodataPolicy::Propagate
            && (self.nodata(number, job).is_some()
                || description.mask == MaskKind::PerDataset
                || description.alpha_band().is_some_and(|alpha| alpha != number));
        let scaled = job.unscale && (band.scale != 1.0 || band.offset != 0.0);
        Some(expr::Band {
            name: band.description.clone(),
            kind: if float { Kind::Number } else { Kind::Integer },
            range,
            may_miss: float || masked || !covers || self.is_warped(),
            scaling: scaled.then_some((band.scale, band.offset)),
        })
    }

    /// Whether it is resampled.
    pub fn is_warped(&self) -> bool {
        matches!(self.placement, Placement::Warped { .. })
    }

    /// The value of a band's pixels without data, if it declares one that its type can hold.
    pub fn nodata(&self, number: usize, job: &CalcJob) -> Option<f64> {
        if job.policy == NodataPolicy::Ignore {
            return None;
        }
        let value = self.description.bands[number - 1].nodata?;
        for_sample_type!(self.description.types[number - 1]?, T => nodata_as::<T>(value).map(T::to_f64))
    }
}

/// A range of integers without a value at its end, which no sample with data has.
fn without(range: Range, value: Option<f64>) -> Range {
    match value {
        Some(value) if value == range.low && range.low < range.high => Range::new(value + 1.0, range.high),
        Some(value) if value == range.high && range.low < range.high => Range::new(range.low, value - 1.0),
        _ => range,
    }
}

/// Limits between which samples of a type lie, of which so many bits are used.
fn limits(sample_type: SampleType, bits: u32) -> Range {
    let all = |low: f64, high: f64| Range::new(low, high);
    let unsigned = |own: u32| all(0.0, 2f64.powi(bits.clamp(1, own) as i32) - 1.0);
    match sample_type {
        SampleType::U8 => unsigned(8),
        SampleType::U16 => unsigned(16),
        SampleType::U32 => unsigned(32),
        SampleType::I8 => all(-128.0, 127.0),
        SampleType::I16 => all(-32_768.0, 32_767.0),
        SampleType::I32 => all(-2_147_483_648.0, 2_147_483_647.0),
        SampleType::F32 | SampleType::F64 => Range::ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: Option<&str>) -> CalcInput {
        CalcInput { name: name.map(str::to_owned), ..CalcInput::new(SourceSpec::new("a.tif")) }
    }

    #[test]
    fn inputs_without_a_name_have_letters_by_position() {
        let found = names(&[input(None), input(Some("nir")), input(None)]);
        assert_eq!(found.expect("names"), ["A", "nir", "C"]);
    }

    #[test]
    fn samples_with_data_never_have_the_value_for_none() {
        let bytes = Range::new(0.0, 255.0);
        assert_eq!(without(bytes, Some(0.0)), Range::new(1.0, 255.0));
        assert_eq!(without(bytes, Some(255.0)), Range::new(0.0, 254.0));
        assert_eq!(without(bytes, Some(7.0)), bytes);
        assert_eq!(without(Range::ALL, Some(f64::NAN)), Range::ALL);
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for (inputs, word) in [
            (vec![input(Some("sqrt"))], "a function"),
            (vec![input(None), input(Some("A"))], "two inputs"),
            (vec![input(None); 27], "number 27"),
            (vec![input(Some("a b"))], "no name"),
        ] {
            let error = names(&inputs).expect_err(word);
            assert!(matches!(&error, Error::Usage(text) if text.contains(word)), "{error}");
        }
    }
}
