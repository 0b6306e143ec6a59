//! Colours for values: named ramps, GDAL's and QGIS's colour files, and the JSON of web tilers.

mod file;
mod json;
mod named;

use std::path::Path;

use crate::encode::Rgba;
use crate::error::{Error, Result};

pub use file::nodata_colour;
pub use named::{exists, nearest};

/// Longest colour file that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// Where on the scale of values a colour stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Position {
    /// At a value.
    Value(f64),
    /// So far of the way from the least value shown to the greatest, 0 to 1.
    Share(f64),
}

/// What happens between the values that have a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    /// Colours mix in proportion; beyond the ends stands the colour of the end.
    Mixed,
    /// A value has the colour of the first entry that is not below it; above the last it is transparent.
    UpTo,
    /// Only the values of the entries have colours; all others are transparent.
    Exact,
}

/// Colours for values. [`Colormap::table`] makes them ready for use.
#[derive(Debug, Clone, PartialEq)]
pub struct Colormap {
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Entries {
        between: Between,
        entries: Vec<(Position, Rgba)>,
    },
    /// From (inclusive) to (exclusive), and the colour; the first that holds a value counts.
    Intervals(Vec<(f64, f64, Rgba)>),
}

impl Colormap {
    /// The colours that a word means: a ramp's name, else the path of a file.
    ///
    /// # Errors
    /// [`Error::Usage`] for a word that is neither, with the name it may have meant; [`Error::Input`] for a file that cannot
    /// be read or holds no colours.
    pub fn load(word: &str) -> Result<Self> {
        if let Some(ramp) = named::ramp(word) {
            return Ok(ramp);
        }
        let path = Path::new(word);
        let is_path = path.components().count() > 1 || path.extension().is_some();
        if !is_path && !path.is_file() {
            let near = named::nearest(word).map_or_else(String::new, |n| format!(" (did you mean {n}?)"));
            return Err(Error::Usage(format!(
                "--colormap {word}: neither a ramp{near} nor a file; ramps are {}, each also reversed as NAME_r",
                named::list()
            )));
        }
        let text = read(path)?;
        Self::parse(&text).map_err(|reason| Error::input(path, reason))
    }

    /// Reads the text of a colour file: JSON when it begins like JSON, else a table as `gdaldem color-relief` and QGIS have
    /// it.
    ///
    /// # Errors
    /// The line or entry that means nothing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with(['{', '[']) { json::parse(text) } else { file::parse(text) }
    }

    fn entries(between: Between, mut entries: Vec<(Position, Rgba)>) -> Result<Self, String> {
        if entries.is_empty() {
            return Err("holds no colour".to_owned());
        }
        let key = |p: &Position| match p {
            Position::Value(v) | Position::Share(v) => *v,
        };
        if entries.iter().any(|(p, _)| key(p).is_nan()) {
            return Err("gives a colour to no number".to_owned());
        }
        // Stable: of equal values the first stands first, and the last after it is where mixing goes on.
        entries.sort_by(|(a, _), (b, _)| key(a).total_cmp(&key(b)));
        let shares = entries.iter().filter(|(p, _)| matches!(p, Position::Share(_))).count();
        if shares != 0 && shares != entries.len() {
            return Err("mixes percentages and values; give one or the other".to_owned());
        }
        Ok(Self { kind: Kind::Entries { between, entries } })
    }

    /// Whether the colours stand at shares of a range of values that has to be given.
    pub fn is_relative(&self) -> bool {
        matches!(&self.kind, Kind::Entries { entries, .. } if matches!(entries.first(), Some((Position::Share(_), _))))
    }

    /// Whether the values are names, not quantities: only some have a colour, and none between them.
    pub fn is_categorical(&self) -> bool {
        matches!(self.kind, Kind::Entries { between: Between::Exact, .. })
    }

    /// The colours ready for use. `limits` are the least and the greatest value shown, which relative colours need.
    pub fn table(&self, limits: [f64; 2]) -> Table {
        let place = |p: &Position| match *p {
            Position::Value(v) => v,
            Position::Share(share) => limits[0] + share * (limits[1] - limits[0]),
        };
        Table(match &self.kind {
            Kind::Entries { between, entries } => Lookup::Entries {
                between: *between,
                values: entries.iter().map(|(p, _)| place(p)).collect(),
                colours: entries.iter().map(|(_, c)| *c).collect(),
            },
            Kind::Intervals(intervals) => Lookup::Intervals(intervals.clone()),
        })
    }
}

fn read(path: &Path) -> Result<String> {
    use std::io::Read;
    let error = |e: std::io::Error| Error::input(path, format!("cannot be read as a colour file: {e}"));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(error)?;
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(error)?;
    if text.len() as u64 > LONGEST {
        return Err(Error::input(path, "is too long for a colour file"));
    }
    Ok(text)
}

/// Colours of values, found by halving.
#[derive(Debug, Clone, PartialEq)]
pub struct Table(Lookup);

#[derive(Debug, Clone, PartialEq)]
enum Lookup {
    Entries { between: Between, values: Vec<f64>, colours: Vec<Rgba> },
    Intervals(Vec<(f64, f64, Rgba)>),
}

const TRANSPARENT: Rgba = [0; 4];

impl Table {
    /// The colour of a value; transparent for values without one, not-a-number among them.
    pub fn colour(&self, value: f64) -> Rgba {
        if value.is_nan() {
            return TRANSPARENT;
        }
        match &self.0 {
            Lookup::Intervals(intervals) => {
                let holds = |(from, to, _): &&(f64, f64, Rgba)| *from <= value && value < *to;
                intervals.iter().find(holds).map_or(TRANSPARENT, |(_, _, colour)| *colour)
            }
            Lookup::Entries { between, values, colours } => {
                let next = values.partition_point(|v| *v < value);
                let exact = values.get(next).is_some_and(|v| *v == value);
                match between {
                    Between::Exact if !exact => TRANSPARENT,
                    Between::Exact | Between::UpTo => colours.get(next).copied().unwrap_or(TRANSPARENT),
                    Between::Mixed if exact || next == 0 => colours[next],
                    Between::Mixed if next == values.len() => colours[next - 1],
                    Between::Mixed => {
                        let share = (value - values[next - 1]) / (values[next] - values[next - 1]);
                        mix(colours[next - 1], colours[next], share)
                    }
                }
            }
        }
    }
}

/// `share` of the way from one colour to another, halves rounded up, as `gdaldem color-relief` does.
fn mix(from: Rgba, to: Rgba, share: f64) -> Rgba {
    std::array::from_fn(|k| {
        let (a, b) = (f64::from(from[k]), f64::from(to[k]));
        (a + share * (b - a) + 0.5) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colours(text: &str, values: &[f64]) -> Vec<Rgba> {
        let table = Colormap::parse(text).expect("colours").table([f64::NAN; 2]);
        values.iter().map(|v| table.colour(*v)).collect()
    }

    #[test]
    fn colours_mix_between_values_and_end_with_the_last() {
        let got = colours("0 0 0 0\n10 100 200 255\n", &[-5.0, 0.0, 5.0, 10.0, 99.0, f64::NAN]);
        let black = [0, 0, 0, 255];
        let last = [100, 200, 255, 255];
        assert_eq!(got, [black, black, [50, 100, 128, 255], last, last, TRANSPARENT]);
    }

    #[test]
    fn two_colours_at_one_value_make_a_step() {
        let got = colours("0 0 0 0\n5 10 10 10\n5 200 200 200\n10 200 200 200\n", &[4.999, 5.0, 5.001]);
        assert_eq!(got[0], [10, 10, 10, 255]);
        assert_eq!(got[2], [200, 200, 200, 255]);
    }

    #[test]
    fn percentages_want_limits() {
        let map = Colormap::parse("0% 0 0 0\n100% 250 0 0\n").expect("colours");
        assert!(map.is_relative());
        assert_eq!(map.table([100.0, 200.0]).colour(150.0), [125, 0, 0, 255]);
        assert!(Colormap::parse("0% 0 0 0\n7 250 0 0\n").is_err());
    }

    #[test]
    fn an_unknown_ramp_is_answered_with_the_nearest() {
        let error = Colormap::load("virdis").expect_err("no such ramp").to_string();
        assert!(error.contains("did you mean viridis?"), "{error}");
        let error = Colormap::load("no/such.txt").expect_err("no such file").to_string();
        assert!(error.contains("no/such.txt"), "{error}");
    }
}
