//! What a tile set says about itself, whatever container it stands in.
//!
//! One description feeds the TileJSON of a folder, the `metadata` table of MBTiles and the header and JSON of
//! PMTiles, so that the three cannot disagree. It holds nothing that changes between two runs: no dates, hosts
//! or paths.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::encode::TileFormat;
use crate::encode::terrain::Encoding;
use crate::error::{Error, Result};
use crate::grid::{Bounds, Grid, MAX_ZOOM, TileCoord};

/// Decimals of a degree that metadata keeps: well below a pixel at [`MAX_ZOOM`], and coarse enough to hide the last
/// bit in which two mathematics libraries may differ.
const DECIMALS: usize = 12;

/// Revision of the tile set as TileJSON and PMTiles want it, a semantic version.
pub const VERSION: &str = "1.0.0";

/// The role a layer plays in a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LayerKind {
    /// Drawn over other layers.
    #[default]
    Overlay,
    /// Drawn below all others.
    Baselayer,
}

impl LayerKind {
    /// The `type` of the metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Baselayer => "baselayer",
        }
    }
}

/// How rows are numbered in the names of a folder's files. Archives prescribe their own numbering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scheme {
    /// Row 0 is the northernmost.
    #[default]
    Xyz,
    /// Row 0 is the southernmost.
    Tms,
}

impl Scheme {
    /// The `scheme` of TileJSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xyz => "xyz",
            Self::Tms => "tms",
        }
    }
}

/// What stands behind the row in the name of a file with twice the pixels that the tile is shown with.
pub(crate) const RETINA: &str = "@2x";

/// How the files of tiles are named: `{z}/{x}/{y}.{extension}`.
#[derive(Debug, Clone)]
pub(crate) struct TileNames {
    grid: Grid,
    scheme: Scheme,
    /// What follows the row.
    ending: String,
}

impl TileNames {
    /// The number by which a tile's row is known.
    pub(crate) fn row(&self, tile: TileCoord) -> u32 {
        match self.scheme {
            Scheme::Xyz => tile.y,
            Scheme::Tms => self.grid.turned(tile).map_or(tile.y, |turned| turned.y),
        }
    }

    /// The name of a tile's file.
    pub(crate) fn name(&self, tile: TileCoord) -> String {
        let mut name = String::with_capacity(40);
        // Writing to a string cannot fail.
        let _ = write!(name, "{}/{}/{}{}", tile.z, tile.x, self.row(tile), self.ending);
        name
    }

    /// The tile that a file's name is about.
    pub(crate) fn tile(&self, z: u8, x: u32, name: &str) -> Option<TileCoord> {
        let row: u32 = name.strip_suffix(self.ending.as_str())?.parse().ok()?;
        let tile = TileCoord::new(z, x, row);
        let tile = match self.scheme {
            Scheme::Xyz => tile,
            Scheme::Tms => self.grid.turned(tile)?,
        };
        // Numbers can be written in other ways, with zeros before them.
        (self.name(tile) == format!("{z}/{x}/{name}")).then_some(tile)
    }
}

/// Where a viewer starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Centre {
    /// Longitude in degrees.
    pub lon: f64,
    /// Latitude in degrees.
    pub lat: f64,
    /// Zoom level.
    pub zoom: u8,
}

/// The description of a tile set.
#[derive(Debug, Clone, PartialEq)]
pub struct TilesetInfo {
    /// Name for people.
    pub name: String,
    /// What is shown; default none.
    pub description: Option<String>,
    /// Whom to credit, as text or HTML; default none.
    pub attribution: Option<String>,
    /// Role in a map; default overlay.
    pub kind: LayerKind,
    /// Where the tiles of a folder will be served: a template with `{z}`, `{x}` and `{y}`, or the base such a template
    /// is appended to. Default none: relative to the TileJSON.
    pub url: Option<String>,
    /// Lowest zoom level.
    pub min_zoom: u8,
    /// Highest zoom level.
    pub max_zoom: u8,
    /// Extent in degrees, west < east: −180…180 for sets across the antimeridian.
    pub bounds: Bounds,
    /// Where a viewer starts; default the middle of the bounds.
    pub centre: Centre,
    /// Whether the tiles have a place on the Earth; default yes. A set without tells neither bounds nor centre, and only a
    /// folder can hold it.
    pub placed: bool,
    /// Format of the tiles.
    pub format: TileFormat,
    /// Side in pixels with which a tile is shown.
    pub tile_size: u32,
    /// Whether files of tiles hold twice the pixels, and are named `{y}@2x` for it; default no.
    pub retina: bool,
    /// What the tiles divide; default the world in Web Mercator.
    pub grid: Grid,
    /// Numbering of the rows in a folder; default XYZ.
    pub scheme: Scheme,
    /// How heights became the tiles' colours; default none: the tiles are pictures.
    pub encoding: Option<Encoding>,
    /// Revision of the tile set, for a copy of a set that has one; default none: [`VERSION`], and 1 in MBTiles.
    pub version: Option<String>,
    /// Further keys and values, in the order given; default none.
    pub extra: Vec<(String, Value)>,
}

impl TilesetInfo {
    /// A description with every default; the centre is the middle of the bounds at the level where they span about
    /// a thousand pixels.
    pub fn new(name: impl Into<String>, bounds: Bounds, format: TileFormat, tile_size: u32) -> Self {
        let middle = |a: f64, b: f64| a + (b - a) / 2.0;
        let span = (bounds.east - bounds.west).max(bounds.north - bounds.south);
        let fits = |z: &u8| span / 360.0 * f64::from(tile_size) * (1u64 << z) as f64 <= 1024.0;
        let zoom = (0..=MAX_ZOOM).take_while(fits).last().unwrap_or(0);
        Self {
            name: name.into(),
            description: None,
            attribution: None,
            kind: LayerKind::default(),
            url: None,
            min_zoom: 0,
            max_zoom: MAX_ZOOM,
            bounds,
            centre: Centre {
                lon: middle(bounds.west, bounds.east),
                lat: middle(bounds.south, bounds.north),
                zoom,
            },
            placed: true,
            format,
            tile_size,
            retina: false,
            grid: Grid::default(),
            scheme: Scheme::default(),
            encoding: None,
            version: None,
            extra: Vec::new(),
        }
    }

    /// The same description for the zoom levels really present, the centre's zoom moved into them.
    #[must_use]
    pub fn with_zooms(mut self, min_zoom: u8, max_zoom: u8) -> Self {
        self.min_zoom = min_zoom;
        self.max_zoom = max_zoom.max(min_zoom);
        self.centre.zoom = self.centre.zoom.clamp(self.min_zoom, self.max_zoom);
        self
    }

    /// Checks what readers rely on.
    ///
    /// # Errors
    /// [`Error::Usage`] when an extra key would shadow one of the format's own, [`Error::Internal`] when the bounds have
    /// no area, are not finite or not degrees, or the centre is outside of them.
    pub fn validate(&self) -> Result<()> {
        // As they will be written: the arithmetic of projections ends a hair beyond 180°.
        let [west, south, east, north] = self.rounded_bounds();
        let on_earth = west >= -180.0 && east <= 180.0 && south >= -90.0 && north <= 90.0;
        let has_area = west < east && south < north;
        if !on_earth || !has_area {
            return Err(Error::Internal(format!("a tile set cannot have the bounds {:?}", self.bounds)));
        }
        let (lon, lat) = (rounded(self.centre.lon), rounded(self.centre.lat));
        if !(west..=east).contains(&lon) || !(south..=north).contains(&lat) {
            return Err(Error::Internal(format!(
                "the centre {:?} is outside of {:?}",
                self.centre, self.bounds
            )));
        }
        let mut seen = RESERVED.to_vec();
        if self.encoding.is_some() {
            seen.extend(ENCODING);
        }
        for (key, _) in &self.extra {
            if seen.contains(&key.as_str()) {
                return Err(Error::Usage(format!("the metadata key '{key}' is already taken")));
            }
            seen.push(key);
        }
        Ok(())
    }

    /// West, south, east and north in degrees, rounded as all metadata is.
    pub fn rounded_bounds(&self) -> [f64; 4] {
        [self.bounds.west, self.bounds.south, self.bounds.east, self.bounds.north].map(rounded)
    }

    /// `west,south,east,north` with twelve decimals, as MBTiles wants it.
    pub fn bounds_text(&self) -> String {
        self.rounded_bounds().map(degrees).join(",")
    }

    /// `lon,lat,zoom` with twelve decimals, as MBTiles wants it.
    pub fn centre_text(&self) -> String {
        let Centre { lon, lat, zoom } = self.centre;
        format!("{},{},{zoom}", degrees(rounded(lon)), degrees(rounded(lat)))
    }

    /// The template of tile addresses: relative, unless the description has a URL.
    pub fn tile_url(&self) -> String {
        let file = format!("{{z}}/{{x}}/{{y}}{}", self.ending());
        match &self.url {
            None => file,
            Some(template) if template.contains("{z}") => template.clone(),
            Some(base) => format!("{}/{file}", base.trim_end_matches('/')),
        }
    }

    /// What follows the row in names of files.
    fn ending(&self) -> String {
        format!("{}.{}", if self.retina { RETINA } else { "" }, self.format.extension())
    }

    /// How files of its tiles are named.
    pub(crate) fn names(&self) -> TileNames {
        TileNames { grid: self.grid.clone(), scheme: self.scheme, ending: self.ending() }
    }

    /// The TileJSON 3.0 form. Of a grid other than Web Mercator's it tells the CRS and, under the key that OGC API – Tiles has for it,
    /// the whole definition: the tiles can then be placed by whoever has nothing but them.
    pub fn tilejson(&self) -> TileJson {
        let mut extra = self.extra_json();
        if let Some(set) = self.grid.set() {
            let definition = set.to_json();
            extra.insert("crs".to_owned(), definition["crs"].clone());
            extra.insert("tileMatrixSet".to_owned(), definition);
        }
        TileJson {
            tilejson: "3.0.0",
            name: self.name.clone(),
            description: self.description.clone(),
            attribution: self.attribution.clone(),
            version: self.version.clone().unwrap_or_else(|| VERSION.to_owned()),
            scheme: self.scheme.name(),
            tiles: vec![self.tile_url()],
            minzoom: self.min_zoom,
            maxzoom: self.max_zoom,
            bounds: self.placed.then(|| self.rounded_bounds()),
            center: self
                .placed
                .then(|| (rounded(self.centre.lon), rounded(self.centre.lat), self.centre.zoom)),
            kind: self.kind.name(),
            format: self.format.extension(),
            tile_size: self.tile_size,
            extra,
        }
    }

    /// Whether a key of the metadata is one that this description writes by itself.
    pub(crate) fn is_reserved(key: &str) -> bool {
        RESERVED.contains(&key)
    }

    /// The encoding of heights, if there is one, and the extra keys.
    pub(crate) fn further(&self) -> impl Iterator<Item = (&str, Value)> {
        let encoding = self.encoding.as_ref().map(Encoding::metadata).unwrap_or_default();
        let extra = self.extra.iter().map(|(k, v)| (k.as_str(), v.clone()));
        encoding.into_iter().chain(extra)
    }

    /// The same as a JSON object.
    pub(crate) fn extra_json(&self) -> Map<String, Value> {
        self.further().map(|(k, v)| (k.to_owned(), v)).collect()
    }
}

/// Keys that a description writes by itself, in one container or another.
const RESERVED: [&str; 15] = [
    "tilejson",
    "name",
    "description",
    "attribution",
    "version",
    "scheme",
    "tiles",
    "minzoom",
    "maxzoom",
    "bounds",
    "center",
    "type",
    "format",
    "tileSize",
    "json",
];

/// Keys by which a description tells how heights became colours.
pub(crate) const ENCODING: [&str; 5] = ["encoding", "redFactor", "greenFactor", "blueFactor", "baseShift"];

/// A TileJSON 3.0 document (<https://github.com/mapbox/tilejson-spec>); `type`, `format` and `tileSize` are keys of MBTiles
/// and of MapLibre's sources that TileJSON allows beside its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TileJson {
    /// Version of the specification.
    pub tilejson: &'static str,
    /// Name for people.
    pub name: String,
    /// What is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whom to credit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
    /// Revision of the tile set.
    pub version: String,
    /// Numbering of the rows, `xyz` or `tms`.
    pub scheme: &'static str,
    /// Templates of tile addresses.
    pub tiles: Vec<String>,
    /// Lowest zoom level.
    pub minzoom: u8,
    /// Highest zoom level.
    pub maxzoom: u8,
    /// West, south, east and north in degrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounds: Option<[f64; 4]>,
    /// Longitude, latitude and zoom level a viewer starts with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub center: Option<(f64, f64, u8)>,
    /// `overlay` or `baselayer`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Extension of the tiles.
    pub format: &'static str,
    /// Side of a tile in pixels.
    #[serde(rename = "tileSize")]
    pub tile_size: u32,
    /// Further keys.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl TileJson {
    /// The document as indented text with a final newline.
    ///
    /// # Errors
    /// [`Error::Internal`] when a number is not finite.
    pub fn to_text(&self) -> Result<String> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|e| Error::Internal(format!("TileJSON cannot be written: {e}")))?;
        text.push('\n');
        Ok(text)
    }
}

/// Degrees with the decimals that metadata keeps; never a negative zero.
fn rounded(value: f64) -> f64 {
    (value * 1e12).round() / 1e12 + 0.0
}

fn degrees(value: f64) -> String {
    format!("{value:.DECIMALS$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> TilesetInfo {
        let bounds = Bounds { west: -10.123_456_789_123, south: 0.0, east: 20.0, north: 30.5 };
        TilesetInfo::new("hills", bounds, TileFormat::Png, 256)
    }

    #[test]
    fn bounds_and_centre_keep_twelve_decimals() {
        let info = info().with_zooms(3, 5);
        assert_eq!(info.bounds_text(), "-10.123456789123,0.000000000000,20.000000000000,30.500000000000");
        assert!(info.centre_text().ends_with(",15.250000000000,5"), "{}", info.centre_text());
    }

    #[test]
    fn the_centre_moves_into_the_zooms_present() {
        assert_eq!(info().centre.zoom, 5);
        assert_eq!(info().with_zooms(7, 9).centre.zoom, 7);
        assert_eq!(info().with_zooms(0, 2).centre.zoom, 2);
    }

    #[test]
    fn tile_urls_are_relative_or_built_from_a_base_or_a_template() {
        let mut info = info();
        assert_eq!(info.tile_url(), "{z}/{x}/{y}.png");
        info.url = Some("https://example.org/t/".to_owned());
        assert_eq!(info.tile_url(), "https://example.org/t/{z}/{x}/{y}.png");
        info.url = Some("https://example.org/{z}/{y}/{x}?k=1".to_owned());
        assert_eq!(info.tile_url(), "https://example.org/{z}/{y}/{x}?k=1");
    }

    #[test]
    fn tiles_of_other_grids_and_sizes_say_so() {
        let mut info = info();
        info.retina = true;
        info.grid = Grid::Set(crate::grid::registered("WorldCRS84Quad").expect("is known"));
        info.scheme = Scheme::Tms;
        let json = serde_json::to_value(info.tilejson()).expect("JSON");
        assert_eq!(json["tiles"][0], "{z}/{x}/{y}@2x.png");
        assert_eq!(json["crs"], "http://www.opengis.net/def/crs/OGC/1.3/CRS84");
        assert_eq!(json["tileMatrixSet"]["id"], "WorldCRS84Quad");
        let (names, tile) = (info.names(), TileCoord::new(3, 15, 1));
        assert_eq!(names.name(tile), "3/15/6@2x.png");
        assert_eq!(names.tile(3, 15, "6@2x.png"), Some(tile));
        for other in ["6.png", "06@2x.png", "8@2x.png", "6@2x.jpg", "@2x.png"] {
            assert_eq!(names.tile(3, 15, other), None, "{other}");
        }
    }

    #[test]
    fn tilejson_has_the_keys_of_version_3() {
        let mut info = info().with_zooms(1, 4);
        info.extra.push(("source".to_owned(), "survey".into()));
        let text = info.tilejson().to_text().expect("finite");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["tilejson"], "3.0.0");
        assert_eq!(json["tiles"][0], "{z}/{x}/{y}.png");
        assert_eq!((&json["minzoom"], &json["maxzoom"]), (&Value::from(1), &Value::from(4)));
        assert_eq!(json["bounds"][0], -10.123_456_789_123);
        assert_eq!(json["center"][2], 4);
        assert_eq!(json["type"], "overlay");
        assert_eq!(json["source"], "survey");
        assert!(json.get("description").is_none());
    }

    #[test]
    fn the_last_bit_beyond_the_antimeridian_is_rounded_away() {
        let mut info = info();
        info.bounds.east = 180.000_000_000_000_03;
        info.validate().expect("180°");
        assert!(info.bounds_text().contains(",180.000000000000,"));
        info.bounds.east = 180.1;
        assert!(info.validate().is_err());
    }

    #[test]
    fn rejects_bounds_without_area_and_keys_already_taken() {
        let mut inverted = info();
        std::mem::swap(&mut inverted.bounds.west, &mut inverted.bounds.east);
        assert!(matches!(inverted.validate(), Err(Error::Internal(_))));
        let mut nan = info();
        nan.bounds.north = f64::NAN;
        assert!(nan.validate().is_err());
        let mut shadowing = info();
        shadowing.extra.push(("bounds".to_owned(), "all".into()));
        assert!(matches!(shadowing.validate(), Err(Error::Usage(_))));
    }
}
