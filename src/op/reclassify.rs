//! Classes of values: the mappings of `gdal raster reclassify`.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::path::Path;
use std::sync::Arc;

use super::call::Arguments;
use super::facts::Facts;
use super::table::Built;
use super::{Real, Stack, Work};
use crate::error::{Error, Result};
use crate::expr::{Kind, Range, Span};

/// Longest file of mappings, in bytes.
const LONGEST: u64 = 16 << 20;

/// Values from one to another, and what they become.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Interval {
    low: f64,
    high: f64,
    /// Whether the ends belong to it.
    closed: [bool; 2],
    to: Target,
}

/// What a value becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Target {
    Value(f64),
    Missing,
    Same,
}

/// Classes of values.
#[derive(Debug, Clone, PartialEq)]
struct Reclassify {
    intervals: Vec<Interval>,
    /// For sorted and disjoint intervals: where each begins, to look up by halving.
    sorted: bool,
    missing: Target,
    other: Target,
}

/// Reads the mapping of a call, or of the file it names.
pub(super) fn build(arguments: &Arguments) -> Result<Built> {
    let text = arguments.word("mapping");
    let work = match text.strip_prefix('@') {
        Some(path) => {
            let path = Path::new(path.trim());
            let size = std::fs::metadata(path).map_or(0, |m| m.len());
            if size > LONGEST {
                return Err(Error::input(path, "is too long for a mapping"));
            }
            let text = std::fs::read_to_string(path)
                .map_err(|e| Error::input(path, format!("cannot be read as a mapping: {e}")))?;
            parse(&text).map_err(|(at, reason)| {
                let line = text.chars().take(at.start).filter(|c| *c == '\n').count() + 1;
                Error::input(path, format!("line {line}: {reason}"))
            })?
        }
        None => parse(text).map_err(|(at, reason)| arguments.error_within("mapping", at, reason))?,
    };
    Ok(Built::Operation(Arc::new(work)))
}

/// Reads entries between semicolons and line ends.
fn parse(text: &str) -> Result<Reclassify, (Span, String)> {
    let mut work =
        Reclassify { intervals: Vec::new(), sorted: false, missing: Target::Missing, other: Target::Missing };
    let mut at = 0;
    let mut any = false;
    for line in text.split_inclusive('\n') {
        let kept = line.split('#').next().unwrap_or_default();
        let mut start = at;
        for entry in kept.split(';') {
            let length = entry.chars().count();
            let before = entry.chars().take_while(|c| c.is_whitespace()).count();
            let word = entry.trim();
            let span = Span::new(start + before, start + before + word.chars().count());
            start += length + 1;
            if word.is_empty() {
                continue;
            }
            any = true;
            work.add(word).map_err(|reason| (span, format!("'{word}': {reason}")))?;
        }
        at += line.chars().count();
    }
    if !any {
        return Err((Span::new(0, 1), "holds no mapping, as [1,3]=10 is one".to_owned()));
    }
    let apart = |pair: &[Interval]| {
        let [a, b] = [pair[0], pair[1]];
        a.high < b.low || (a.high == b.low && !(a.closed[1] && b.closed[0]))
    };
    work.sorted = work.intervals.windows(2).all(apart);
    Ok(work)
}

impl Reclassify {
    fn add(&mut self, entry: &str) -> Result<(), String> {
        let (from, to) = entry.split_once('=').ok_or("write FROM=TO, as [1,3]=10")?;
        let (from, to) = (from.trim(), to.trim());
        let to = match to.to_ascii_uppercase().as_str() {
            "NO_DATA" => Target::Missing,
            "PASS_THROUGH" => Target::Same,
            number => Target::Value(
                number
                    .parse()
                    .ok()
                    .filter(|v: &f64| v.is_finite())
                    .ok_or_else(|| format!("'{to}' is no number, NO_DATA or PASS_THROUGH"))?,
            ),
        };
        match from.to_ascii_uppercase().as_str() {
            "NO_DATA" if to == Target::Same => self.missing = Target::Missing,
            "NO_DATA" => self.missing = to,
            "DEFAULT" => self.other = to,
            _ => self.intervals.push(interval(from, to)?),
        }
        Ok(())
    }

    /// What a value becomes.
    #[inline(always)]
    fn target(&self, value: f64) -> Target {
        if value.is_nan() {
            return self.missing;
        }
        let holds = |i: &&Interval| {
            let low = if i.closed[0] { value >= i.low } else { value > i.low };
            low && if i.closed[1] { value <= i.high } else { value < i.high }
        };
        let found = if self.sorted {
            // The one that ends last before the value, or the next.
            let next = self.intervals.partition_point(|i| i.high < value);
            self.intervals[next..].iter().take(2).find(holds)
        } else {
            self.intervals.iter().find(holds)
        };
        found.map_or(self.other, |i| i.to)
    }
}

fn interval(text: &str, to: Target) -> Result<Interval, String> {
    let number = |word: &str| match word.trim().to_ascii_lowercase().as_str() {
        "inf" | "+inf" => Ok(f64::INFINITY),
        "-inf" => Ok(f64::NEG_INFINITY),
        word => {
            word.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| format!("'{word}' is no number"))
        }
    };
    let closed = [text.starts_with('['), text.ends_with(']')];
    let begins = closed[0] || text.starts_with('(');
    let ends = closed[1] || text.ends_with(')');
    if !begins && !ends {
        let value = number(text)?;
        return Ok(Interval { low: value, high: value, closed: [true; 2], to });
    }
    let pair = (begins && ends && text.len() > 2).then(|| text[1..text.len() - 1].split_once(',')).flatten();
    let (low, high) = pair.ok_or("write a range as [1,3], [1,3), (1,3] or (1,3)")?;
    let (low, high) = (number(low)?, number(high)?);
    if low > high {
        return Err(format!("{low} is above {high}"));
    }
    Ok(Interval { low, high, closed, to })
}

impl Work for Reclassify {
    fn halo(&self) -> usize {
        0
    }

    fn facts(&self, bands: &[Facts], _: bool) -> Result<Vec<Facts>, String> {
        let targets = || self.intervals.iter().map(|i| i.to).chain([self.other]);
        let one = |band: &Facts| {
            let given = targets().chain(band.may_miss.then_some(self.missing));
            let mut facts = Facts::integers(
                f64::INFINITY,
                f64::NEG_INFINITY,
                band.may_miss && self.missing == Target::Missing,
            );
            for target in given {
                match target {
                    Target::Value(v) => {
                        facts.range = facts.range.union(Range::new(v, v));
                        if v.fract() != 0.0 {
                            facts.kind = Kind::Number;
                        }
                    }
                    Target::Same => {
                        facts.range = facts.range.union(band.range);
                        facts.kind = facts.kind.max(band.kind);
                    }
                    Target::Missing => facts.may_miss = true,
                }
            }
            Facts { name: band.name.clone(), ..facts }
        };
        Ok(bands.iter().map(one).collect())
    }

    #[inline(always)]
    fn run<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>) {
        for (from, to) in input.planes.iter().zip(&mut output.planes) {
            // Neighbours are often alike.
            let (mut last, mut known) = (T::NAN, T::NAN);
            for (v, o) in from.iter().zip(to) {
                if *v != last {
                    last = *v;
                    known = match self.target(v.wide()) {
                        Target::Value(value) => T::of(value),
                        Target::Missing => T::NAN,
                        Target::Same => *v,
                    };
                }
                *o = known;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{inner, plane};

    fn classes(text: &str, values: &[f64]) -> Vec<f64> {
        inner(&parse(text).expect(text), &plane(&[values])).remove(0)
    }

    #[test]
    fn ranges_hold_their_ends_as_written() {
        let got = classes(
            "[1,3]=101; [4, 5)=102; 7=103; (8,9)=PASS_THROUGH; DEFAULT=-1",
            &[1.0, 3.0, 4.0, 5.0, 7.0, 8.0, 8.5, 9.0],
        );
        assert_eq!(got, [101.0, 101.0, 102.0, -1.0, 103.0, -1.0, 8.5, -1.0]);
        let got = classes("[-inf,0)=1\n[0,10)=2 # low\n[10,inf]=3\n", &[-5.0, 0.0, 9.9, 10.0, 1e30]);
        assert_eq!(got, [1.0, 2.0, 2.0, 3.0, 3.0]);
        let got = classes("[0,10]=1; [5,20]=2", &[7.0, 12.0]);
        assert_eq!(got, [1.0, 2.0]);
    }

    #[test]
    fn missing_pixels_have_a_class_of_their_own() {
        let got = classes("1=2; NO_DATA=9", &[f64::NAN, 1.0, 3.0]);
        assert!(got[0] == 9.0 && got[1] == 2.0 && got[2].is_nan(), "{got:?}");
        assert!(classes("1=2", &[f64::NAN])[0].is_nan());
    }

    #[test]
    fn the_result_is_known_to_be_of_integers_where_it_is() {
        let facts = |text: &str| {
            let band = Facts::integers(0.0, 255.0, true);
            Work::facts(&parse(text).expect(text), &[band], false).expect("facts").remove(0)
        };
        let found = facts("1=2; 3=40; DEFAULT=0; NO_DATA=7");
        assert_eq!((found.kind, found.range, found.may_miss), (Kind::Integer, Range::new(0.0, 40.0), false));
        assert_eq!(facts("1=0.5; DEFAULT=0").kind, Kind::Number);
        assert!(facts("1=2").may_miss);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, start, word) in [
            ("1=2; 3", 5, "FROM=TO"),
            ("1=2; [3,4=5", 5, "write a range"),
            ("[5,3]=1", 0, "above"),
            ("a=1", 0, "no number"),
            ("1=b", 0, "PASS_THROUGH"),
            (" ; ", 0, "holds no mapping"),
        ] {
            let (span, reason) = parse(text).expect_err(text);
            assert!(span.start == start && reason.contains(word), "{text}: {span:?} {reason}");
        }
    }
}
