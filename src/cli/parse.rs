//! Values of options, and the spellings people bring from other tools.

use std::ffi::OsString;

use tileloom::grid::{Bounds, MAX_ZOOM};

/// Single-dash options of GDAL's classic utilities and their names here.
const GDAL_NAMES: [(&str, &str); 37] = [
    ("-s_srs", "--src-crs"),
    ("--s_srs", "--src-crs"),
    ("-a_srs", "--src-crs"),
    ("-a_ullr", "--a-ullr"),
    ("-srcnodata", "--src-nodata"),
    ("-t_srs", "--dst-crs"),
    ("-te", "--te"),
    ("-tr", "--tr"),
    ("-ts", "--ts"),
    ("-tap", "--tap"),
    ("-ovr", "--ovr"),
    ("-dstnodata", "--dst-nodata"),
    ("-mo", "--mo"),
    ("-nomd", "--nomd"),
    ("-te_srs", "--bbox-crs"),
    ("-dstalpha", "--add-alpha"),
    ("-cutline", "--cutline"),
    ("-cl", "--cutline-layer"),
    ("-cwhere", "--cutline-where"),
    ("-cutline_srs", "--cutline-srs"),
    ("-crop_to_cutline", "--crop-to-cutline"),
    ("--addalpha", "--add-alpha"),
    ("--srcnodata", "--src-nodata"),
    ("-a_nodata", "--src-nodata"),
    ("-a_scale", "--a-scale"),
    ("-a_offset", "--a-offset"),
    ("-input_file_list", "--input-list"),
    ("-oo", "--oo"),
    ("-co", "--co"),
    ("-of", "--format"),
    ("-q", "--quiet"),
    ("-ot", "--ot"),
    ("-overwrite", "--overwrite"),
    ("-scale", "--scale"),
    ("-wm", "--memory"),
    ("--tilesize", "--tile-size"),
    ("-overlap", "--overlap"),
];

/// The arguments with GDAL's single-dash names replaced, up to a `--`.
pub fn normalised(mut args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut literal = false;
    let mut all = Vec::new();
    while let Some(arg) = args.next() {
        literal |= arg == "--";
        if !literal && arg == "-ps" {
            // Two words with gdal_retile, one here.
            let sides: Vec<String> =
                args.by_ref().take(2).map(|a| a.to_string_lossy().into_owned()).collect();
            all.extend(["--size".into(), sides.join(",").into()]);
            continue;
        }
        let known = GDAL_NAMES.iter().find(|(theirs, _)| !literal && arg == *theirs);
        all.push(known.map_or(arg, |(_, ours)| OsString::from(ours)));
    }
    all
}

/// Zoom levels: `7`, `5-12`, `5..12`, `5-`, `-12`.
pub fn zooms(text: &str) -> Result<(Option<u8>, Option<u8>), String> {
    let level = |t: &str| -> Result<Option<u8>, String> {
        if t.is_empty() {
            return Ok(None);
        }
        match t.trim().parse::<u8>() {
            Ok(z) if z <= MAX_ZOOM => Ok(Some(z)),
            _ => Err(format!("'{t}' is no zoom level: give 0 to {MAX_ZOOM}, for instance 5-12")),
        }
    };
    let range = text.split_once("..").or_else(|| text.split_once('-'));
    let (min, max) = match range {
        Some((min, max)) => (level(min)?, level(max)?),
        None => (level(text)?, level(text)?),
    };
    match (min, max) {
        (None, None) => Err("give a zoom level or a range, for instance 5-12".to_owned()),
        (Some(a), Some(b)) if a > b => Err(format!("the lowest zoom {a} is above the highest, {b}")),
        both => Ok(both),
    }
}

/// Bytes: `500M`, `2G`, `300 MB`; a bare number means megabytes, as GDAL has it.
pub fn memory(text: &str) -> Result<usize, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim();
    let unit = text[text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).len()..].to_ascii_lowercase();
    let factor: f64 = match unit.as_str() {
        "" | "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "k" | "kb" | "kib" => 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "b" => 1.0,
        _ => return Err(format!("unknown unit '{unit}': give for instance 500M or 2G")),
    };
    match digits.parse::<f64>() {
        Ok(n) if n > 0.0 && n.is_finite() && n * factor < 1e15 => Ok((n * factor) as usize),
        _ => Err(format!("'{text}' is no amount of memory: give for instance 500M or 2G")),
    }
}

fn numbers(text: &str) -> Result<Vec<f64>, String> {
    let parts = text.split([',', ' ']).filter(|p| !p.is_empty());
    let number = |p: &str| match p.to_ascii_lowercase().as_str() {
        "nan" => Ok(f64::NAN),
        other => other.parse::<f64>().map_err(|_| format!("'{p}' is not a number")),
    };
    parts.map(number).collect()
}

/// `WEST,SOUTH,EAST,NORTH`.
pub fn bbox(text: &str) -> Result<Bounds, String> {
    match numbers(text)?[..] {
        [west, south, east, north] => Ok(Bounds { west, south, east, north }),
        _ => Err("give WEST,SOUTH,EAST,NORTH".to_owned()),
    }
}

/// One value for all bands, or one per band; `none` for no values.
pub fn nodata(text: &str) -> Result<NodataValues, String> {
    if text.trim().eq_ignore_ascii_case("none") {
        return Ok(NodataValues(Vec::new()));
    }
    let values = numbers(text)?;
    if values.is_empty() { Err("give a value, or one per band".to_owned()) } else { Ok(NodataValues(values)) }
}

/// Tuples of values: `0,0,0`, or several in brackets, `(0,0,0),(255,255,255)`.
pub fn tuples(text: &str) -> Result<Tuples, String> {
    let text = text.trim();
    let bare = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'));
    let split =
        |t: &str| t.split(')').map(|part| part.trim_start_matches([',', ' ', '(']).to_owned()).collect();
    let parts: Vec<String> = bare.map_or_else(|| vec![text.to_owned()], split);
    let tuples = parts.iter().map(|part| numbers(part)).collect::<Result<Vec<_>, _>>()?;
    if tuples.iter().any(Vec::is_empty) {
        return Err("give a tuple of values, 0,0,0, or several, (0,0,0),(255,255,255)".to_owned());
    }
    Ok(Tuples(tuples))
}

/// A colour: `R,G,B` from 0 to 255, `#rrggbb` or `#rgb`.
pub fn colour(text: &str) -> Result<[u8; 3], String> {
    let bad = || format!("'{text}' is no colour: give R,G,B from 0 to 255, or #rrggbb");
    let parts: Option<Vec<u8>> = match text.trim().strip_prefix('#') {
        Some(digits) if digits.chars().all(|c| c.is_ascii_hexdigit()) => match digits.len() {
            6 => (0..3).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).ok()).collect(),
            3 => (0..3).map(|i| u8::from_str_radix(&digits[i..=i].repeat(2), 16).ok()).collect(),
            _ => None,
        },
        Some(_) => None,
        None => text.split([',', ' ']).filter(|p| !p.is_empty()).map(|p| p.parse().ok()).collect(),
    };
    parts.and_then(|parts| <[u8; 3]>::try_from(parts).ok()).ok_or_else(bad)
}

/// A truth as GDAL spells it.
pub fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Values of one `--src-nodata`; none of them means that nothing is without data.
#[derive(Debug, Clone, PartialEq)]
pub struct NodataValues(pub Vec<f64>);

/// Values of `--excluded-values`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuples(pub Vec<Vec<f64>>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_come_bare_or_in_brackets() {
        assert_eq!(tuples("0,0,0"), Ok(Tuples(vec![vec![0.0; 3]])));
        assert_eq!(tuples("(1, 2),(3,-4)"), Ok(Tuples(vec![vec![1.0, 2.0], vec![3.0, -4.0]])));
        assert_eq!(tuples("7"), Ok(Tuples(vec![vec![7.0]])));
        for bad in ["", "()", "(0,0),()", "a", "(1,2),b", "0,0)"] {
            assert!(tuples(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn zooms_come_in_the_spellings_of_other_tools() {
        assert_eq!(zooms("5-12"), Ok((Some(5), Some(12))));
        assert_eq!(zooms("5..12"), Ok((Some(5), Some(12))));
        assert_eq!(zooms("7"), Ok((Some(7), Some(7))));
        assert_eq!(zooms("7-"), Ok((Some(7), None)));
        assert_eq!(zooms("..9"), Ok((None, Some(9))));
        for bad in ["", "-", "12-5", "31", "a", "1-2-3", "1.5"] {
            assert!(zooms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn memory_has_units() {
        assert_eq!(memory("300"), Ok(300 << 20));
        assert_eq!(memory("1.5G"), Ok(3 << 29));
        assert_eq!(memory("64 kB"), Ok(64 << 10));
        assert!(memory("0").is_err() && memory("-5M").is_err() && memory("5T").is_err());
    }

    #[test]
    fn boxes_take_negative_numbers_with_commas_or_spaces() {
        let b = bbox("-10.5, -20 30,40").expect("four numbers");
        assert_eq!((b.west, b.south, b.east, b.north), (-10.5, -20.0, 30.0, 40.0));
        assert!(bbox("1,2,3").is_err() && bbox("a,2,3,4").is_err());
    }

    #[test]
    fn colours_are_triples_or_hexadecimal() {
        assert_eq!(colour("255, 0,7"), Ok([255, 0, 7]));
        assert_eq!(colour("1 2 3"), Ok([1, 2, 3]));
        assert_eq!(colour("#fF8000"), Ok([255, 128, 0]));
        assert_eq!(colour("#f80"), Ok([255, 136, 0]));
        for bad in ["", "#", "#ff80", "#gg0000", "#ffé", "256,0,0", "1,2", "1,2,3,4", "-1,0,0", "white"] {
            assert!(colour(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn gdal_names_are_replaced_up_to_two_dashes() {
        let args = ["tile", "-s_srs", "EPSG:4326", "--", "-oo"].map(OsString::from);
        let ours = normalised(args.into_iter());
        assert_eq!(ours, ["tile", "--src-crs", "EPSG:4326", "--", "-oo"].map(OsString::from));
        let args = ["split", "-ps", "512", "256", "a.tif"].map(OsString::from);
        assert_eq!(normalised(args.into_iter()), ["split", "--size", "512,256", "a.tif"].map(OsString::from));
    }
}
