//! Whether what a set says about itself is true.

use serde_json::Value;

use super::addresses::Addresses;
use crate::encode::TileFormat;
use crate::grid::{Grid, MAX_ZOOM, mercator};
use crate::job::check::report::Faults;
use crate::store::Picture;
use crate::store::metadata::{Keys, numbers};

/// Part of a tile by which tiles may reach beyond the bounds: a pixel and what rounding of degrees makes of it.
const SLACK: f64 = 0.1;

/// How far bounds may reach beyond the Earth by rounding, degrees.
const ROUNDING: f64 = 1e-5;

/// What one part of a set says.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// Which part it is, for messages.
    pub(super) source: String,
    pub(super) keys: Keys,
}

/// What the tiles are.
#[derive(Debug)]
pub(super) struct Truth<'a> {
    pub(super) grid: &'a Grid,
    pub(super) addresses: &'a Addresses,
    /// Format and size of the tiles, when they were looked at.
    pub(super) picture: Option<Picture>,
    /// Whether files of tiles hold twice the pixels they are shown with.
    pub(super) retina: bool,
    /// Whether the tiles have a place on the Earth.
    pub(super) placed: bool,
}

/// Holds what is told against what is there.
pub(super) fn check(told: &Told, truth: &Truth<'_>, faults: &mut Faults) {
    let zooms = check_zooms(told, truth, faults);
    let bounds = check_bounds(told, truth, faults);
    check_centre(told, (zooms, bounds), faults);
    check_format(told, truth, faults);
    check_words(told, faults);
}

/// A number that may stand as a text.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) => n.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A text, or JSON as it stands.
fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() > 100 { text.chars().take(100).chain("…".chars()).collect() } else { text }
}

fn check_zooms(told: &Told, truth: &Truth<'_>, faults: &mut Faults) -> Option<(u8, u8)> {
    let mut read = |key: &str| {
        let value = told.keys.get(key)?;
        let zoom = number(value).filter(|n| n.fract() == 0.0 && (0.0..=f64::from(MAX_ZOOM)).contains(n));
        if zoom.is_none() {
            let text = format!("{}: {key} '{}' is no zoom level", told.source, shown(value));
            faults.error("zoom", text);
        }
        zoom.map(|n| n as u8)
    };
    let (min, max) = (read("minzoom"), read("maxzoom"));
    let (lowest, highest) = truth.addresses.zooms()?;
    for (key, told_zoom, real, which) in
        [("minzoom", min, lowest, "lowest"), ("maxzoom", max, highest, "highest")]
    {
        if let Some(zoom) = told_zoom.filter(|zoom| *zoom != real) {
            let text = format!("{}: {key} is {zoom}, the {which} level with tiles is {real}", told.source);
            faults.error("zoom", text);
        }
    }
    Some((lowest, highest))
}

fn check_bounds(told: &Told, truth: &Truth<'_>, faults: &mut Faults) -> Option<[f64; 4]> {
    let value = told.keys.get("bounds")?;
    // In the units of a plane of its own.
    if told.keys.contains_key("profile") || !truth.placed {
        return None;
    }
    let list = numbers(Some(value)).and_then(|list| <[f64; 4]>::try_from(list).ok());
    let Some([west, south, east, north]) = list else {
        let text = format!("{}: bounds '{}' are not four numbers", told.source, shown(value));
        faults.error("bounds", text);
        return None;
    };
    let on_earth = [west, east].iter().all(|v| v.abs() <= 180.0 + ROUNDING)
        && [south, north].iter().all(|v| v.abs() <= 90.0 + ROUNDING);
    if !on_earth || west >= east || south >= north {
        let text = format!(
            "{}: bounds {west},{south},{east},{north} are no area on the Earth (west,south,east,north)",
            told.source
        );
        faults.error("bounds", text);
        return None;
    }
    check_extent(told, truth, [west, south, east, north], faults);
    Some([west, south, east, north])
}

/// Whether the tiles of the highest level lie within the bounds.
fn check_extent(told: &Told, truth: &Truth<'_>, bounds: [f64; 4], faults: &mut Faults) {
    let Some((_, z)) = truth.addresses.zooms().filter(|_| *truth.grid == Grid::WebMercator) else { return };
    let Some(extent) = truth.addresses.extent(z) else { return };
    let half = crate::grid::TileGrid::WEB_MERCATOR.side / 2.0;
    let tiles = (1u64 << z) as f64;
    let place = |lon: f64, lat: f64| {
        let (x, y) = mercator(lon, lat);
        ((0.5 + x / half * 0.5) * tiles, (0.5 - y / half * 0.5) * tiles)
    };
    let [west, south, east, north] = bounds;
    let ((left, top), (right, bottom)) = (place(west, north), place(east, south));
    // Slack on both sides of an edge: a tile that touches it may be there, and may not.
    let (first_x, first_y) = ((left - SLACK).floor(), (top - SLACK).floor());
    let (last_x, last_y) = ((right + SLACK).ceil() - 1.0, (bottom + SLACK).ceil() - 1.0);
    let beyond = [
        (first_x - f64::from(extent.first.x), "west"),
        (first_y - f64::from(extent.first.y), "north"),
        (f64::from(extent.last.x) - last_x, "east"),
        (f64::from(extent.last.y) - last_y, "south"),
    ];
    for (count, side) in beyond.iter().filter(|(count, _)| *count >= 1.0) {
        let text = format!(
            "{}: tiles of level {z} reach {count} tiles beyond the bounds in the {side}; programs that trust the bounds \
             will not show them",
            told.source
        );
        faults.error("bounds", text);
    }
    let apart = f64::from(extent.first.x) > last_x
        || f64::from(extent.last.x) < first_x
        || f64::from(extent.first.y) > last_y
        || f64::from(extent.last.y) < first_y;
    // All tiles at one edge of the bounds, most of which have none: not those of these tiles.
    let inside = |value: f64, most: f64| value.clamp(0.0, most);
    let area = (inside(last_x + 1.0, tiles) - inside(first_x, tiles))
        * (inside(last_y + 1.0, tiles) - inside(first_y, tiles));
    let covered =
        (f64::from(extent.last.x - extent.first.x) + 1.0) * (f64::from(extent.last.y - extent.first.y) + 1.0);
    let world = west <= -179.9 && east >= 179.9;
    if !apart && !world && covered * 2.0 < area {
        let text = format!(
            "{}: the bounds are more than twice as large as what the tiles of level {z} cover",
            told.source
        );
        faults.warning("wide-bounds", text);
    }
}

fn check_centre(told: &Told, (zooms, bounds): (Option<(u8, u8)>, Option<[f64; 4]>), faults: &mut Faults) {
    let Some(value) = told.keys.get("center").filter(|value| !value.is_null()) else { return };
    if told.keys.contains_key("profile") {
        return;
    }
    let list = numbers(Some(value)).filter(|list| (2..=3).contains(&list.len()));
    let Some(list) = list else {
        let text = format!("{}: center '{}' is not longitude, latitude and zoom", told.source, shown(value));
        faults.error("center", text);
        return;
    };
    let inside = bounds.is_none_or(|[west, south, east, north]| {
        (west - ROUNDING..=east + ROUNDING).contains(&list[0])
            && (south - ROUNDING..=north + ROUNDING).contains(&list[1])
    });
    if !inside {
        let text = format!("{}: center {},{} lies outside of the bounds", told.source, list[0], list[1]);
        faults.warning("center", text);
    }
    if let (Some(zoom), Some((min, max))) = (list.get(2), zooms)
        && !(f64::from(min)..=f64::from(max)).contains(zoom)
    {
        let text = format!("{}: center has zoom {zoom}, tiles have {min} to {max}", told.source);
        faults.error("center", text);
    }
}

fn check_format(told: &Told, truth: &Truth<'_>, faults: &mut Faults) {
    let Some(picture) = truth.picture else { return };
    if let Some(value) = told.keys.get("format") {
        let text = shown(value);
        let format = text.strip_prefix("image/").unwrap_or(&text).parse::<TileFormat>();
        if format != Ok(picture.format) {
            let text =
                format!("{}: format is '{text}', the tiles are {}", told.source, picture.format.name());
            faults.error("format", text);
        }
    }
    if let Some(value) = told.keys.get("tileSize").or_else(|| told.keys.get("tile_size")) {
        let real = if truth.retina { picture.width / 2 } else { picture.width };
        let side = number(value);
        // A client that shows tiles of 512 pixels as 256 is told 256.
        if side.is_none_or(|n| n != f64::from(real) && n * 2.0 != f64::from(real)) {
            let text = format!("{}: tileSize is {}, tiles have {real} pixels", told.source, shown(value));
            faults.error("tile-size", text);
        }
    }
}

fn check_words(told: &Told, faults: &mut Faults) {
    let words = [("scheme", ["xyz", "tms"]), ("type", ["overlay", "baselayer"])];
    for (key, known) in words {
        if let Some(value) = told.keys.get(key)
            && !value.as_str().is_some_and(|text| known.contains(&text.to_ascii_lowercase().as_str()))
        {
            let text =
                format!("{}: {key} '{}' is neither {} nor {}", told.source, shown(value), known[0], known[1]);
            faults.warning("metadata", text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::TileCoord;
    use crate::job::check::tiles::addresses::Gathering;

    /// Rules that a description breaks, of PNG tiles of 256 pixels: levels 3 to 5 of the north-eastern quarter of the world.
    fn broken(json: &str) -> Vec<&'static str> {
        let mut gathering = Gathering::new(&Grid::WebMercator);
        for z in 3..=5u8 {
            let half = 1u32 << (z - 1);
            for x in half..2 * half {
                (0..half).for_each(|y| gathering.push(TileCoord::new(z, x, y)));
            }
        }
        let (addresses, _) = gathering.finish();
        let Ok(Value::Object(keys)) = serde_json::from_str(json) else { panic!("{json}") };
        let picture = Some(Picture { format: TileFormat::Png, width: 256, height: 256 });
        let truth =
            Truth { grid: &Grid::WebMercator, addresses: &addresses, picture, retina: false, placed: true };
        let mut faults = Faults::new(9);
        check(&Told { source: "it".to_owned(), keys }, &truth, &mut faults);
        ["zoom", "bounds", "wide-bounds", "center", "format", "tile-size", "metadata"]
            .into_iter()
            .filter(|rule| faults.has(rule))
            .collect()
    }

    #[test]
    fn what_is_true_passes_as_numbers_and_as_texts() {
        for json in [
            r#"{"minzoom": 3, "maxzoom": 5, "bounds": [0, 0, 180, 85.0511], "center": [90, 40, 4], "format": "png"}"#,
            r#"{"minzoom": "3", "maxzoom": "5", "bounds": "0,0,180,85.06", "center": "90,40,3", "format": "image/png"}"#,
            r#"{"bounds": [-180, -85, 180, 85], "tileSize": 256, "scheme": "tms", "type": "overlay"}"#,
            r#"{"bounds": [0.1, 0.1, 179.9, 84.9], "tileSize": 128}"#,
            "{}",
        ] {
            assert_eq!(broken(json), [""; 0], "{json}");
        }
    }

    #[test]
    fn what_is_untrue_or_makes_no_sense_is_found() {
        for (json, rule) in [
            (r#"{"minzoom": 2}"#, "zoom"),
            (r#"{"maxzoom": "6"}"#, "zoom"),
            (r#"{"maxzoom": "five"}"#, "zoom"),
            (r#"{"bounds": [0, 0, 180]}"#, "bounds"),
            (r#"{"bounds": [180, 0, 0, 85]}"#, "bounds"),
            (r#"{"bounds": [0, 0, 181, 85]}"#, "bounds"),
            (r#"{"bounds": [20, 0, 180, 85]}"#, "bounds"),
            (r#"{"bounds": [0, 0, 180, 60]}"#, "bounds"),
            (r#"{"bounds": [-150, -80, 180, 85.06]}"#, "wide-bounds"),
            (r#"{"bounds": [0, 0, 180, 85.06], "center": [-5, 0, 4]}"#, "center"),
            (r#"{"center": [5, 5, 9]}"#, "center"),
            (r#"{"format": "jpg"}"#, "format"),
            (r#"{"tileSize": 512}"#, "tile-size"),
            (r#"{"scheme": "wms"}"#, "metadata"),
        ] {
            assert_eq!(broken(json), [rule], "{json}");
        }
    }
}
