//! Colour files in lines: those of `gdaldem color-relief` (also of GRASS's r.colors) and what QGIS exports.
//!
//! A line is a value, a percentage or `nv`, then a colour: red, green and blue, perhaps opacity, or a name. Separators are
//! spaces, tabs, commas and colons; `#` begins a comment.

use super::{Between, Colormap, Position};
use crate::encode::Rgba;

/// The colour names of `gdaldem color-relief`.
const NAMES: [(&str, [u8; 3]); 16] = [
    ("white", [255, 255, 255]),
    ("black", [0, 0, 0]),
    ("red", [255, 0, 0]),
    ("green", [0, 255, 0]),
    ("blue", [0, 0, 255]),
    ("yellow", [255, 255, 0]),
    ("magenta", [255, 0, 255]),
    ("cyan", [0, 255, 255]),
    ("aqua", [0, 191, 191]),
    ("grey", [191, 191, 191]),
    ("gray", [191, 191, 191]),
    ("orange", [255, 127, 0]),
    ("brown", [191, 127, 63]),
    ("purple", [127, 0, 255]),
    ("violet", [127, 0, 255]),
    ("indigo", [0, 127, 255]),
];

pub(super) fn parse(text: &str) -> Result<Colormap, String> {
    let mut between = Between::Mixed;
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: String| format!("line {}: {what}: '{line}'", number + 1);
        if let Some(mode) = line.strip_prefix("INTERPOLATION:") {
            between = match mode.trim() {
                "INTERPOLATED" => Between::Mixed,
                "DISCRETE" => Between::UpTo,
                "EXACT" => Between::Exact,
                _ => return Err(wrong("INTERPOLATED, DISCRETE and EXACT are known".to_owned())),
            };
            continue;
        }
        let fields: Vec<&str> = line.split([' ', '\t', ',', ':']).filter(|f| !f.is_empty()).collect();
        let [value, rest @ ..] = &fields[..] else { continue };
        // What is without data has no colour here, whatever the file says.
        if value.eq_ignore_ascii_case("nv") {
            continue;
        }
        if value.eq_ignore_ascii_case("default") {
            return Err(wrong("a colour for all other values is not supported".to_owned()));
        }
        let position = position(value).ok_or_else(|| wrong(format!("'{value}' is no value")))?;
        entries.push((position, colour(rest).map_err(wrong)?));
    }
    Colormap::entries(between, entries)
}

/// The colour that a file gives to what is without data, in a line that begins with `nv`.
pub fn nodata_colour(text: &str) -> Option<Rgba> {
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.trim().split([' ', '\t', ',', ':']).filter(|f| !f.is_empty()).collect();
        let [value, rest @ ..] = &fields[..] else { return None };
        value.eq_ignore_ascii_case("nv").then(|| colour(rest).ok()).flatten()
    })
}

fn position(text: &str) -> Option<Position> {
    match text.strip_suffix('%') {
        Some(percent) => percent.parse::<f64>().ok().map(|p| Position::Share(p / 100.0)),
        None => text.parse().ok().map(Position::Value),
    }
}

/// A colour by its numbers, or by its name; what follows is a label.
fn colour(fields: &[&str]) -> Result<Rgba, String> {
    let number = |text: &str| -> Result<u8, String> {
        let value: f64 = text.parse().map_err(|_| format!("'{text}' is no shade from 0 to 255"))?;
        // GDAL takes fractions, and cuts them off.
        if (0.0..256.0).contains(&value) {
            Ok(value as u8)
        } else {
            Err(format!("{text} is not within 0 and 255"))
        }
    };
    match fields {
        [] => Err("no colour".to_owned()),
        [first, ..] if first.parse::<f64>().is_err() => {
            let found = NAMES.iter().find(|(name, _)| first.eq_ignore_ascii_case(name));
            let [r, g, b] = found.ok_or_else(|| format!("no colour is called '{first}'"))?.1;
            let alpha = fields.get(1).filter(|t| t.parse::<f64>().is_ok()).map_or(Ok(255), |t| number(t))?;
            Ok([r, g, b, alpha])
        }
        [r, g, b, rest @ ..] => {
            let alpha = rest.first().filter(|t| t.parse::<f64>().is_ok()).map_or(Ok(255), |t| number(t))?;
            Ok([number(r)?, number(g)?, number(b)?, alpha])
        }
        _ => Err("a colour has red, green and blue".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, value: f64) -> Rgba {
        parse(text).expect("colours").table([0.0, 1.0]).colour(value)
    }

    #[test]
    fn separators_comments_names_and_opacity_are_read() {
        let text = "# relief\n\n10: 1,2,3\n20\t4 5 6 77\n30 Orange\nnv 255 255 255\n";
        assert_eq!(at(text, 10.0), [1, 2, 3, 255]);
        assert_eq!(at(text, 20.0), [4, 5, 6, 77]);
        assert_eq!(at(text, 31.0), [255, 127, 0, 255]);
    }

    #[test]
    fn what_qgis_exports_keeps_its_mode() {
        let head = "# QGIS Generated Color Map Export File\n";
        let lines = "1,10,20,30,255,low land\n2,40,50,60,255,2\ninf,70,80,90,255,> 2\n";
        let discrete = format!("{head}INTERPOLATION:DISCRETE\n{lines}");
        assert_eq!([0.5, 1.0, 1.5, 9.0].map(|v| at(&discrete, v)[0]), [10, 10, 40, 70]);
        let exact = format!("{head}INTERPOLATION:EXACT\n{lines}");
        assert_eq!([1.0, 1.5, 2.0].map(|v| at(&exact, v)), [[10, 20, 30, 255], [0; 4], [40, 50, 60, 255]]);
        assert!(parse(&exact).expect("colours").is_categorical());
    }

    #[test]
    fn lines_that_mean_nothing_are_named() {
        for (text, word) in [
            ("", "no colour"),
            ("1 2 3 4\nx 1 2 3\n", "line 2"),
            ("1 2 3\n", "line 1"),
            ("1 2 3 300\n", "300"),
            ("1 mauve\n", "mauve"),
            ("nan 1 2 3\n", "no number"),
            ("INTERPOLATION:SPLINE\n1 2 3 4\n", "line 1"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(word), "{error}");
        }
    }
}
