//! What a set says about itself, from the keys and values of any container's metadata.
//!
//! MBTiles has texts, TileJSON and PMTiles have JSON; converters carry the one into the other unchanged. So a list of numbers may
//! come as an array or as a text, whatever the container. What is missing or makes no sense comes from the tiles, and
//! is said.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::encode::terrain::Encoding;
use crate::error::{Error, Result};
use crate::grid::{
    Bounds, Definition, Grid, MAX_ZOOM, TileCoord, TileMatrixLimits, latitude, longitude, registered,
};
use crate::raster::crs;
use crate::store::names::TILING;
use crate::store::picture::Picture;
use crate::tileset::{Centre, ENCODING, LayerKind, Scheme, TilesetInfo, VERSION};

/// Keys and values, in the order in which they were found.
pub(crate) type Keys = Map<String, Value>;

/// How far bounds may reach beyond the Earth by rounding, degrees.
const SLACK: f64 = 1e-5;

/// What is known of a set before any but its first tile is read.
#[derive(Debug, Clone)]
pub struct About {
    /// Where it is.
    pub path: PathBuf,
    /// What it is: `folder`, `mbtiles`, `pmtiles` or `tar`.
    pub container: &'static str,
    /// Its description. Zoom levels are those of the tiles, whatever the metadata say.
    pub info: TilesetInfo,
    /// The tile that others are held against: the first of the lowest level.
    pub first: TileCoord,
    /// Its format and size in pixels.
    pub picture: Picture,
    /// What was made up, and what is in the set but not in the description: sentences for people.
    pub notes: Vec<String>,
}

impl About {
    /// Holds a tile against the first of its set: its format and its size in pixels.
    ///
    /// # Errors
    /// [`Error::Input`] with the address of the tile and what is wrong with it.
    pub fn check(&self, coord: TileCoord, bytes: &[u8]) -> Result<()> {
        let differs = |this: &str, first: &str| {
            let of_first =
                format!("tile {} {first}; a tile set has one format and one size of tiles", self.first);
            Err(Error::input(&self.path, format!("tile {coord} {this}, {of_first}")))
        };
        let tile = Picture::of(bytes).map_err(|why| self.refusal(coord, &why))?;
        let first = self.picture;
        if tile.format != first.format {
            return differs(&format!("is {}", tile.format.name()), &format!("is {}", first.format.name()));
        }
        let size = |p: Picture| format!("has {} × {} pixels", p.width, p.height);
        if tile == first { Ok(()) } else { differs(&size(tile), &size(first)) }
    }

    /// What the tiles divide, and how their rows are numbered.
    pub(super) fn rows(&self) -> (&Grid, Scheme) {
        (&self.info.grid, self.info.scheme)
    }

    /// The [`Error::Input`] about a tile.
    pub(super) fn refusal(&self, coord: TileCoord, why: &str) -> Error {
        Error::input(&self.path, format!("tile {coord} {why}"))
    }
}

/// What a container has found of a set.
pub(super) struct Found<'a> {
    pub(super) path: &'a Path,
    pub(super) container: &'static str,
    /// All metadata, as it stands there.
    pub(super) keys: Keys,
    /// Lowest and highest level with tiles.
    pub(super) zooms: (u8, u8),
    /// A tile of the lowest level.
    pub(super) first: TileCoord,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether the tiles are files, which may divide something else than the world in Web Mercator.
    pub(super) free: bool,
    /// What they divide.
    pub(super) grid: Grid,
    /// Whether they hold twice the pixels they are shown with.
    pub(super) retina: bool,
}

impl Found<'_> {
    /// The description. `extent` looks at the tiles of the highest level where the metadata have no bounds.
    ///
    /// # Errors
    /// [`Error::Input`] when the first tile is no picture, and those of `extent`.
    pub(super) fn about(self, extent: impl FnOnce() -> Result<TileMatrixLimits>) -> Result<About> {
        let Self { path, container, mut keys, zooms, first, bytes, free, grid, retina } = self;
        let picture = Picture::of(&bytes).map_err(|why| Error::input(path, format!("tile {first} {why}")))?;
        if picture.width != picture.height {
            let Picture { width, height, .. } = picture;
            let reason = format!("tile {first} has {width} × {height} pixels and is no square");
            return Err(Error::input(path, reason));
        }
        let mut notes = Vec::new();
        unfold(&mut keys, &mut notes);
        let placed = grid.set().is_some() || !(free && is_unplaced(&keys));
        let bounds = match bounds(&keys) {
            Some(bounds) => bounds,
            None if !placed => Bounds { west: -180.0, south: -85.0, east: 180.0, north: 85.0 },
            None => {
                let bounds = degrees(&extent()?, &grid);
                let Bounds { west, south, east, north } = bounds;
                let why = if keys.contains_key("bounds") { "those told are none" } else { "none are told" };
                notes.push(format!(
                    "bounds {west:.6},{south:.6},{east:.6},{north:.6} of the tiles, since {why}"
                ));
                bounds
            }
        };
        let name = text(&keys, "name").unwrap_or_else(|| {
            let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
            let name = name.map_or_else(|| "tiles".into(), |n| n.to_string_lossy());
            notes.push(format!("name '{name}', since none is told (--name)"));
            name.into_owned()
        });
        let side = numbers(keys.get("tileSize")).and_then(|n| n.first().copied());
        // Of twice the pixels, half are shown.
        let shown = if retina { (picture.width / 2).max(1) } else { picture.width };
        let side = side.filter(|n| (16.0..=16_384.0).contains(n)).map_or(shown, |n| n as u32);
        let mut info = TilesetInfo::new(name, bounds, picture.format, side).with_zooms(zooms.0, zooms.1);
        info.placed = placed;
        info.grid = if placed { grid } else { Grid::Image };
        info.retina = retina;
        info.description = text(&keys, "description");
        info.attribution = text(&keys, "attribution");
        if text(&keys, "type").is_some_and(|t| t.eq_ignore_ascii_case("baselayer")) {
            info.kind = LayerKind::Baselayer;
        }
        info.version = text(&keys, "version").filter(|v| v != VERSION && v != "1");
        info.url = url(&keys);
        if let Some(centre) = centre(&keys, &bounds) {
            info.centre = centre;
            info = info.with_zooms(zooms.0, zooms.1);
        }
        info.encoding = encoding(&keys);
        let own = info.grid.set().is_some();
        let told = |key: &str| {
            TilesetInfo::is_reserved(key)
                || key == TILING
                || (own && ["crs", "tileMatrixSet", "profile"].contains(&key))
                || (info.encoding.is_some() && ENCODING.contains(&key))
        };
        info.extra = keys.iter().filter(|(key, _)| !told(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
        Ok(About { path: path.to_owned(), container, info, first, picture, notes })
    }
}

/// The extent in degrees; the world's before anything was added.
pub(crate) fn degrees(limits: &TileMatrixLimits, grid: &Grid) -> Bounds {
    let top = TileCoord::new(0, 0, 0);
    let (first, last) = limits.corners().unwrap_or((top, top));
    if let Some(set) = grid.set() {
        let plane = set.plane(first.z, set.tile_size, 0);
        let all = first.window(set.tile_size).union(&last.window(set.tile_size));
        return crs::Plane::of(set).degrees(&[plane.place(&all)]);
    }
    let (a, b) = (first.bounds(), last.bounds());
    Bounds {
        west: longitude(a.west),
        south: latitude(b.south),
        east: longitude(b.east),
        north: latitude(a.north),
    }
}

/// Takes the keys in the `json` of MBTiles out of it: a text in MBTiles, and in what was converted from it.
fn unfold(keys: &mut Keys, notes: &mut Vec<String>) {
    let inner = match keys.shift_remove("json") {
        None => return,
        Some(Value::Object(inner)) => Some(inner),
        Some(Value::String(text)) if text.trim().is_empty() => return,
        Some(Value::String(text)) => serde_json::from_str(&text).ok(),
        Some(_) => None,
    };
    match inner {
        Some(inner) => {
            for (key, value) in inner {
                keys.entry(key).or_insert(value);
            }
        }
        None => notes.push("the metadata's 'json' is no JSON object and is left out".to_owned()),
    }
}

/// Whether a TileJSON is of tiles without a place on the Earth: tileloom tells everything else, so what it does not tell
/// is not there. Or the metadata say that the tiles divide something else than the world in Web Mercator.
pub(crate) fn is_unplaced(keys: &Keys) -> bool {
    let complete = ["tilejson", "version", "scheme", "minzoom", "maxzoom", "type", "format", "tileSize"];
    let complete = complete.iter().all(|key| keys.contains_key(*key));
    let elsewhere = text(keys, "profile").is_some_and(|p| !p.to_ascii_lowercase().contains("mercator"));
    elsewhere || (complete && !keys.contains_key("bounds") && !keys.contains_key("center"))
}

/// What the tiles of files divide: Web Mercator unless the metadata tell of another grid.
///
/// # Errors
/// Why what they tell cannot be understood.
pub(crate) fn grid(keys: &Keys) -> Result<Grid, String> {
    if let Some(Value::Object(fields)) = keys.get("tileMatrixSet") {
        let settled = Definition::of(fields).and_then(|definition| crs::settle(&definition, "tiles"));
        let set = settled.map_err(|why| format!("tells a tileMatrixSet that cannot be used: it {why}"))?;
        return Ok(if set.is_web_mercator() { Grid::WebMercator } else { Grid::Set(Arc::new(set)) });
    }
    match text(keys, TILING).map(|name| registered(&name)) {
        Some(Ok(set)) => Ok(Grid::Set(set)),
        _ => Ok(Grid::WebMercator),
    }
}

/// A text that is not empty.
fn text(keys: &Keys, key: &str) -> Option<String> {
    keys.get(key).and_then(Value::as_str).filter(|t| !t.trim().is_empty()).map(str::to_owned)
}

/// Where the tiles of a folder are served, if that is elsewhere.
fn url(keys: &Keys) -> Option<String> {
    let template = keys.get("tiles")?.as_array()?.first()?.as_str()?;
    let whole = ["{z}", "{x}"].iter().all(|part| template.contains(part));
    (whole && template.contains("://")).then(|| template.to_owned())
}

/// Numbers of an array, of one number, or of a text that lists them with commas (perhaps in brackets).
pub(crate) fn numbers(value: Option<&Value>) -> Option<Vec<f64>> {
    match value? {
        Value::Array(list) => list.iter().map(Value::as_f64).collect(),
        Value::String(text) => {
            let text = text.trim().trim_start_matches('[').trim_end_matches(']');
            text.split(',').map(|n| n.trim().parse().ok()).collect()
        }
        Value::Number(n) => Some(vec![n.as_f64()?]),
        _ => None,
    }
}

/// Bounds that have an area on the Earth.
fn bounds(keys: &Keys) -> Option<Bounds> {
    let numbers = numbers(keys.get("bounds"))?;
    let &[west, south, east, north] = numbers.as_slice() else { return None };
    let within = |v: f64, most: f64| (v.abs() <= most + SLACK).then(|| v.clamp(-most, most));
    let bounds = Bounds {
        west: within(west, 180.0)?,
        south: within(south, 90.0)?,
        east: within(east, 180.0)?,
        north: within(north, 90.0)?,
    };
    let sound = TilesetInfo::new("", bounds, crate::encode::TileFormat::Png, 256).validate().is_ok();
    sound.then_some(bounds)
}

/// A centre within the bounds.
fn centre(keys: &Keys, bounds: &Bounds) -> Option<Centre> {
    let numbers = numbers(keys.get("center"))?;
    let &[lon, lat, zoom] = numbers.as_slice() else { return None };
    let lon_fits = (bounds.west - SLACK..=bounds.east + SLACK).contains(&lon);
    let lat_fits = (bounds.south - SLACK..=bounds.north + SLACK).contains(&lat);
    (lon_fits && lat_fits && zoom.is_finite()).then(|| Centre {
        lon: lon.clamp(bounds.west, bounds.east),
        lat: lat.clamp(bounds.south, bounds.north),
        zoom: zoom.clamp(0.0, f64::from(MAX_ZOOM)) as u8,
    })
}

/// How heights became colours; `None` also when that is told in a way that has no name here and is carried along as it is.
fn encoding(keys: &Keys) -> Option<Encoding> {
    let number = |key: &str| numbers(keys.get(key)).and_then(|n| n.first().copied());
    match text(keys, "encoding")?.as_str() {
        "mapbox" => Some(Encoding::MAPBOX),
        "terrarium" => Some(Encoding::Terrarium),
        "custom" => {
            let [red, green, interval, shift] =
                ["redFactor", "greenFactor", "blueFactor", "baseShift"].map(number);
            let (interval, base) = (interval?, 0.0 - shift?);
            let regular = red? == 65_536.0 * interval && green? == 256.0 * interval;
            regular.then_some(Encoding::Mapbox { base, interval })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::TileFormat;
    use crate::store::picture::tests::tile;

    fn about(text: &str) -> About {
        let Ok(Value::Object(keys)) = serde_json::from_str(text) else { panic!("{text}") };
        let found = Found {
            path: Path::new("places/set.mbtiles"),
            container: "mbtiles",
            keys,
            zooms: (3, 5),
            first: TileCoord::new(3, 4, 3),
            bytes: tile(TileFormat::Png, 64, 0),
            free: true,
            grid: Grid::WebMercator,
            retina: false,
        };
        let mut extent = TileMatrixLimits::default();
        extent.add(TileCoord::new(5, 16, 15));
        found.about(|| Ok(extent)).expect("a description")
    }

    #[test]
    fn lists_of_numbers_are_understood_as_arrays_and_as_texts() {
        for text in [
            r#"{"bounds": [1, 2, 3, 4], "center": [2, 3, 4]}"#,
            r#"{"bounds": "1,2,3,4", "center": "2, 3, 4"}"#,
            r#"{"bounds": "[1.0, 2.0, 3.0, 4.0]", "center": "[2.0,3.0,4]"}"#,
        ] {
            let info = about(text).info;
            assert_eq!(info.rounded_bounds(), [1.0, 2.0, 3.0, 4.0]);
            assert_eq!((info.centre.lon, info.centre.lat, info.centre.zoom), (2.0, 3.0, 4));
        }
    }

    #[test]
    fn nonsense_is_replaced_by_what_the_tiles_say_and_that_is_said() {
        for text in [
            r#"{"bounds": [3, 2, 1, 4]}"#,
            r#"{"bounds": "here"}"#,
            r#"{"bounds": 7, "center": [900, 0, 3]}"#,
            r#"{"bounds": "nan,nan,nan,nan"}"#,
            "{}",
        ] {
            let about = about(text);
            assert_eq!((about.info.bounds.west, about.info.bounds.east), (0.0, 11.25), "{text}");
            assert!(about.info.validate().is_ok(), "{text}");
            assert!(about.notes.iter().any(|n| n.starts_with("bounds 0.000000,")), "{:?}", about.notes);
            assert_eq!(about.info.name, "set");
        }
    }

    #[test]
    fn bounds_that_rounding_took_off_the_earth_are_taken_back() {
        let info = about(r#"{"bounds": "-180.0000001,-85.06,180.00000000000003,85.06"}"#).info;
        assert_eq!(info.rounded_bounds(), [-180.0, -85.06, 180.0, 85.06]);
    }

    #[test]
    fn further_keys_are_kept_with_their_types_and_those_of_the_format_are_not() {
        let info = about(
            r#"{"minzoom": 1, "made": 7, "by": "hand", "json": "{\"by\": 1, \"stats\": {\"a\": [2]}}"}"#,
        )
        .info;
        assert_eq!((info.min_zoom, info.max_zoom), (3, 5));
        let kept: Vec<_> = info.extra.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(kept, ["made=7", "by=\"hand\"", "stats={\"a\":[2]}"]);
        assert_eq!(about(r#"{"json": "torn {"}"#).notes.len(), 3);
    }

    #[test]
    fn encodings_come_back_from_what_they_were_told_as() {
        let odd = Encoding::Mapbox { base: -500.0, interval: 0.01 };
        for encoding in [Encoding::MAPBOX, Encoding::Terrarium, odd] {
            let keys: Keys = encoding.metadata().into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
            let texts: Keys = keys
                .iter()
                .map(|(k, v)| (k.clone(), v.as_str().map_or_else(|| v.to_string(), str::to_owned).into()))
                .collect();
            for keys in [keys, texts] {
                let info = about(&Value::Object(keys).to_string()).info;
                assert_eq!(info.encoding, Some(encoding));
                assert!(info.extra.is_empty());
            }
        }
        let info = about(
            r#"{"encoding": "custom", "redFactor": 1, "greenFactor": 2, "blueFactor": 3, "baseShift": 0}"#,
        )
        .info;
        assert_eq!((info.encoding, info.extra.len()), (None, 5));
    }

    #[test]
    fn the_revision_is_kept_unless_it_is_the_usual_one() {
        assert_eq!(about(r#"{"version": "2.3.1"}"#).info.version.as_deref(), Some("2.3.1"));
        assert_eq!(about(r#"{"version": "1"}"#).info.version, None);
        assert_eq!(about(r#"{"version": "1.0.0"}"#).info.version, None);
    }

    #[test]
    fn tiles_of_another_format_or_size_than_the_first_are_refused_by_their_address() {
        let about = about("{}");
        let at = TileCoord::new(5, 16, 15);
        about.check(at, &tile(TileFormat::Png, 64, 7)).expect("the same");
        for (bytes, word) in [
            (tile(TileFormat::Webp, 64, 7), "is WebP, tile 3/4/3 is PNG"),
            (tile(TileFormat::Png, 32, 7), "has 32 × 32 pixels, tile 3/4/3 has 64 × 64"),
            (b"\x1f\x8b".to_vec(), "gzip"),
        ] {
            let error = about.check(at, &bytes).expect_err(word).to_string();
            assert!(error.contains("tile 5/16/15") && error.contains(word), "{error}");
        }
    }
}
