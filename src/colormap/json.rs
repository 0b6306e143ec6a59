//! Colours in the JSON of web tilers: `{"1": [255, 0, 0, 255], "2": "#00ff00"}` for single values, and
//! `[[[0, 10], [255, 0, 0, 255]], …]` for intervals; `[[0, "#000000"], [100, "#ffffff"]]` is a ramp.

use serde_json::Value;

use super::{Between, Colormap, Kind, Position};
use crate::encode::Rgba;

pub(super) fn parse(text: &str) -> Result<Colormap, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| format!("is no valid JSON: {e}"))?;
    match value {
        Value::Object(members) => {
            let entry = |(key, colour): (&String, &Value)| {
                let value: f64 = key.trim().parse().map_err(|_| format!("'{key}' is no value"))?;
                let colour = rgba(colour).map_err(|e| format!("value {key}: {e}"))?;
                Ok((Position::Value(value), colour))
            };
            let entries = members.iter().map(entry).collect::<Result<Vec<_>, String>>()?;
            Colormap::entries(Between::Exact, entries)
        }
        Value::Array(items) => list(&items),
        _ => Err("holds no colours".to_owned()),
    }
}

fn list(items: &[Value]) -> Result<Colormap, String> {
    let (mut intervals, mut stops) = (Vec::new(), Vec::new());
    for (number, item) in items.iter().enumerate() {
        let wrong = |what: &str| format!("entry {}: {what}", number + 1);
        let [place, colour] = item.as_array().map_or(&[][..], Vec::as_slice) else {
            return Err(wrong("is no pair [[from, to], colour] or [value, colour]"));
        };
        let colour = rgba(colour).map_err(|e| wrong(&e))?;
        match place {
            Value::Array(ends) => match ends.iter().map(Value::as_f64).collect::<Option<Vec<_>>>().as_deref()
            {
                Some([from, to]) if from < to => intervals.push((*from, *to, colour)),
                _ => return Err(wrong("is no interval [from, to] with from below to")),
            },
            place => {
                let value = place.as_f64().ok_or_else(|| wrong("has no number for a value"))?;
                stops.push((Position::Value(value), colour));
            }
        }
    }
    match (intervals.is_empty(), stops.is_empty()) {
        (false, true) => Ok(Colormap { kind: Kind::Intervals(intervals) }),
        (true, _) => Colormap::entries(Between::Mixed, stops),
        (false, false) => Err("mixes intervals and values; give one or the other".to_owned()),
    }
}

/// `[r, g, b]`, `[r, g, b, a]`, `"#rgb"`, `"#rrggbb"` or `"#rrggbbaa"`.
fn rgba(value: &Value) -> Result<Rgba, String> {
    let bad = || format!("{value} is no colour: give [r, g, b, a] from 0 to 255, or \"#rrggbb\"");
    match value {
        Value::Array(parts) => {
            let shade = |v: &Value| v.as_u64().and_then(|v| u8::try_from(v).ok());
            match parts.iter().map(shade).collect::<Option<Vec<_>>>().as_deref() {
                Some([r, g, b]) => Ok([*r, *g, *b, 255]),
                Some([r, g, b, a]) => Ok([*r, *g, *b, *a]),
                _ => Err(bad()),
            }
        }
        Value::String(text) => {
            let digits = text.strip_prefix('#').filter(|d| d.chars().all(|c| c.is_ascii_hexdigit()));
            let digits = digits.ok_or_else(bad)?;
            let digits = match digits.len() {
                3 | 4 => digits.chars().flat_map(|c| [c, c]).collect(),
                6 | 8 => digits.to_owned(),
                _ => return Err(bad()),
            };
            let mut colour = [255; 4];
            for (k, shade) in colour.iter_mut().enumerate().take(digits.len() / 2) {
                *shade = u8::from_str_radix(&digits[2 * k..2 * k + 2], 16).map_err(|_| bad())?;
            }
            Ok(colour)
        }
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_values_intervals_and_ramps_are_told_apart() {
        let classes = parse(r##"{"1": [1, 2, 3], "2": "#0a0B0c80"}"##).expect("classes");
        assert!(classes.is_categorical());
        let table = classes.table([0.0; 2]);
        assert_eq!([1.0, 2.0, 1.5].map(|v| table.colour(v)), [[1, 2, 3, 255], [10, 11, 12, 128], [0; 4]]);

        let table =
            parse("[[[0, 10], [1, 1, 1, 9]], [[10, 20], [2, 2, 2]]]").expect("intervals").table([0.0; 2]);
        assert_eq!([0.0, 9.9, 10.0, 20.0].map(|v| table.colour(v)[3]), [9, 9, 255, 0]);

        let table = parse(r##"[[0, "#000"], [10, "#fff"]]"##).expect("ramp").table([0.0; 2]);
        assert_eq!(table.colour(5.0), [128, 128, 128, 255]);
    }

    #[test]
    fn nonsense_is_named() {
        for (text, word) in [
            ("{", "JSON"),
            ("{}", "no colour"),
            ("[]", "no colour"),
            (r#"{"a": [1, 2, 3]}"#, "'a'"),
            (r#"{"1": [1, 2]}"#, "value 1"),
            (r#"{"1": [1, 2, 256]}"#, "256"),
            (r##"{"1": "#12"}"##, "#12"),
            ("[[[5, 5], [1, 2, 3]]]", "entry 1"),
            ("[[[1, 5], [1, 2, 3]], [7, [1, 2, 3]]]", "mixes"),
            ("[1]", "entry 1"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
