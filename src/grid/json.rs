//! Tile matrix sets as JSON: OGC 17-083r4 (2.0), and version 1.0 as GDAL's data files have it.
//!
//! A definition is read without asking what its coordinate reference system is; [`Definition::settled`] turns it into a grid when
//! somebody has. Both versions name the corner in the order of the CRS, which need not be that of GIS.

use serde_json::{Map, Value, json};

use super::MAX_ZOOM;
use super::matrix::{COLUMN_BITS, PAPER_PIXEL, ROW_BITS, TileMatrix, TileMatrixSet, World};
use super::registry::variable_width;

/// Matrices that are read at most.
const MOST_MATRICES: usize = 256;

/// Tiles along a side of a level that are read at most.
const MOST_TILES: u32 = i32::MAX as u32;

/// Coordinates lie within this, in any unit.
const FARTHEST: f64 = 1e12;

/// How far the two numbers for the size of a pixel may differ to mean the same.
const AGREE: f64 = 1e-4;

/// And up to which they are one number.
const SAME: f64 = 1e-12;

/// Units of more metres are angles.
const MOST_METRES: f64 = 1e4;

/// In which order a definition tells coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisOrder {
    /// Easting or longitude first.
    EastNorth,
    /// Northing or latitude first.
    NorthEast,
    /// That of the CRS.
    OfCrs,
}

/// A level as it is defined.
#[derive(Debug, Clone, PartialEq)]
struct Level {
    id: String,
    scale: Option<f64>,
    cell: Option<f64>,
    origin: [f64; 2],
    from_bottom: bool,
    tile_size: usize,
    columns: u32,
    rows: u32,
}

/// A tile matrix set as it is defined, before anything is known of its coordinate reference system.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    id: Option<String>,
    title: Option<String>,
    uri: Option<String>,
    crs: String,
    axes: AxisOrder,
    levels: Vec<Level>,
}

/// An object of a document, with the way to it for messages.
struct Node<'a> {
    path: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Node<'a> {
    fn text(&self, key: &str) -> Option<&'a str> {
        self.fields.get(key).and_then(Value::as_str).map(str::trim).filter(|t| !t.is_empty())
    }

    fn wrong(&self, key: &str, want: &str) -> String {
        match self.fields.get(key) {
            None => format!("{}lacks {key}: {want}", self.path),
            Some(value) => {
                let mut shown = value.to_string();
                if shown.chars().count() > 40 {
                    shown = shown.chars().take(40).chain("…".chars()).collect();
                }
                format!("{}has {key} {shown}: {want}", self.path)
            }
        }
    }

    fn list(&self, key: &str, want: &str) -> Result<&'a [Value], String> {
        self.fields.get(key).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| self.wrong(key, want))
    }

    /// A number above zero; `None` when there is none.
    fn positive(&self, key: &str) -> Result<Option<f64>, String> {
        match self.fields.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_f64().filter(|v| v.is_finite() && *v > 0.0) {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(key, "a number above 0 is needed")),
            },
        }
    }

    /// A whole number from 1 to `most`.
    fn count(&self, key: &str, most: u32) -> Result<u32, String> {
        let number = self.fields.get(key).and_then(Value::as_f64);
        number
            .filter(|v| v.fract() == 0.0 && (1.0..=f64::from(most)).contains(v))
            .map(|v| v as u32)
            .ok_or_else(|| self.wrong(key, &format!("a whole number from 1 to {most} is needed")))
    }
}

impl Definition {
    /// Reads a definition: a document of its own, or the `tileMatrixSet` in the description of a tile set.
    ///
    /// # Errors
    /// What is wrong and where, to follow the name of the file.
    pub fn parse(text: &str) -> Result<Self, String> {
        // Editors of some systems put a mark before the text.
        let text = text.trim_start_matches('\u{feff}');
        let document: Value = serde_json::from_str(text).map_err(|e| format!("is no JSON: {e}"))?;
        match &document {
            Value::Object(fields) => Self::of(fields),
            _ => Err("is no tile matrix set: its JSON is no object".to_owned()),
        }
    }

    /// The definition that an object is, or holds as `tileMatrixSet`.
    ///
    /// # Errors
    /// As [`Definition::parse`].
    pub fn of(fields: &Map<String, Value>) -> Result<Self, String> {
        if let Some(Value::Object(inner)) = fields.get("tileMatrixSet") {
            return Self::of(inner);
        }
        let node = Node { path: String::new(), fields };
        let second = fields.contains_key("tileMatrices");
        if !second && !fields.contains_key("tileMatrix") {
            return Err("is no tile matrix set: it has no tileMatrices".to_owned());
        }
        let (id, matrices, crs) =
            if second { ("id", "tileMatrices", "crs") } else { ("identifier", "tileMatrix", "supportedCRS") };
        let listed = node.list(matrices, "a list of levels is needed")?;
        if listed.is_empty() || listed.len() > MOST_MATRICES {
            return Err(format!("has {} {matrices}: 1 to {MOST_MATRICES} are needed", listed.len()));
        }
        let levels = listed.iter().enumerate().map(|(k, value)| {
            let path = format!("{matrices}[{k}] ");
            match value {
                Value::Object(fields) => Level::of(&Node { path, fields }, second),
                _ => Err(format!("{path}is no object")),
            }
        });
        let levels = levels.collect::<Result<Vec<_>, _>>()?;
        let crs = crs_of(fields.get(crs)).ok_or_else(|| {
            node.wrong(
                crs,
                "a coordinate reference system is needed, as an address, a code or its definition",
            )
        })?;
        let text = |key: &str| node.text(key).map(str::to_owned);
        let definition = Self {
            id: text(id),
            title: text("title"),
            uri: text("uri"),
            crs,
            axes: axes(fields.get("orderedAxes")),
            levels,
        };
        definition.checked()
    }

    /// Checks that levels fit each other, and sorts them.
    fn checked(mut self) -> Result<Self, String> {
        let size = self.levels[0].tile_size;
        if let Some(other) = self.levels.iter().find(|l| l.tile_size != size) {
            return Err(format!(
                "has tiles of {size} pixels at level '{}' and of {} at level '{}': a tile set has one size of tiles",
                self.levels[0].id, other.tile_size, other.id
            ));
        }
        let fineness = |l: &Level| l.scale.or(l.cell).unwrap_or(1.0);
        let by_scale = self.levels.iter().all(|l| l.scale.is_some());
        if !by_scale && self.levels.iter().any(|l| l.cell.is_none()) {
            return Err("has levels with only a scaleDenominator and levels with only a cellSize".to_owned());
        }
        let key = |l: &Level| if by_scale { fineness(l) } else { l.cell.unwrap_or(1.0) };
        self.levels.sort_by(|a, b| key(b).total_cmp(&key(a)));
        if let Some(pair) = self.levels.windows(2).find(|pair| key(&pair[0]) <= key(&pair[1])) {
            return Err(format!("has two levels of one scale: '{}' and '{}'", pair[0].id, pair[1].id));
        }
        Ok(self)
    }

    /// The coordinate reference system as it is given.
    pub fn crs(&self) -> &str {
        &self.crs
    }

    /// In which order coordinates are told.
    pub fn axes(&self) -> AxisOrder {
        self.axes
    }

    /// The grid. `metres` of a unit, whether the coordinates of the CRS have the north first, and the part of its plane that stands
    /// for the Earth, where that is known, come from whoever knows the CRS; `name` is for sets without an identifier.
    ///
    /// # Errors
    /// For levels that cannot be addressed.
    pub fn settled(
        &self,
        name: &str,
        metres: f64,
        crs_north_first: bool,
        world: Option<World>,
    ) -> Result<TileMatrixSet, String> {
        let north_first = match self.axes {
            AxisOrder::EastNorth => false,
            AxisOrder::NorthEast => true,
            AxisOrder::OfCrs => crs_north_first,
        };
        let size = self.levels[0].tile_size;
        let first = self.first();
        let mut matrices = Vec::new();
        for (level, z) in self.levels.iter().zip(u32::from(first)..) {
            let deep = level.columns > 1 << COLUMN_BITS || level.rows > 1 << ROW_BITS;
            if z > u32::from(MAX_ZOOM) || deep {
                break;
            }
            let cell = level.cell(metres);
            let [a, b] = level.origin;
            let (west, y) = if north_first { (b, a) } else { (a, b) };
            let height = f64::from(level.rows) * size as f64 * cell;
            let north = if level.from_bottom { y + height } else { y };
            let reach = f64::from(level.columns) * size as f64 * cell;
            let edges = [west, west + reach, north, north - height];
            if !edges.iter().all(|v| v.abs() <= FARTHEST) || cell <= 0.0 {
                return Err(format!(
                    "has a level '{}' that reaches beyond {FARTHEST:e} of its units",
                    level.id
                ));
            }
            // Their scales do get smaller, but may say another thing than the sizes of cells.
            if matrices.last().is_some_and(|above: &TileMatrix| cell >= above.cell) {
                let id = &level.id;
                return Err(format!(
                    "has a level '{id}' whose pixels are no smaller than those of the level above"
                ));
            }
            let (columns, rows) = (level.columns, level.rows);
            matrices.push(TileMatrix { id: level.id.clone(), west, north, cell, columns, rows });
        }
        if matrices.is_empty() {
            return Err("has only levels of more tiles than can be counted".to_owned());
        }
        let mut set = TileMatrixSet {
            id: self.id.clone().unwrap_or_else(|| name.to_owned()),
            title: self.title.clone(),
            uri: self.uri.clone(),
            crs: self.crs.clone(),
            north_first,
            metres,
            world: World::DEGREES,
            tile_size: size,
            first,
            matrices,
        };
        set.world = world.unwrap_or(World { bounds: set.bounds(), round: false, sphere: false });
        Ok(set)
    }

    /// The zoom level of the coarsest matrix: its identifier where all are numbers that follow each other, else 0.
    fn first(&self) -> u8 {
        let numbers: Option<Vec<i64>> = self.levels.iter().map(|l| l.id.parse().ok()).collect();
        let Some(numbers) = numbers else { return 0 };
        let follow = numbers.windows(2).all(|pair| pair[1] == pair[0].saturating_add(1));
        numbers
            .first()
            .filter(|_| follow)
            .and_then(|n| u8::try_from(*n).ok())
            .filter(|n| *n <= MAX_ZOOM)
            .unwrap_or(0)
    }
}

impl Level {
    fn of(node: &Node<'_>, second: bool) -> Result<Self, String> {
        let id = node.fields.get(if second { "id" } else { "identifier" });
        let id = match id {
            Some(Value::String(id)) => id.clone(),
            Some(Value::Number(id)) => id.to_string(),
            _ => String::new(),
        };
        let node = Node { path: format!("{}('{id}') ", node.path), fields: node.fields };
        let variable = ["variableMatrixWidths", "variableMatrixWidth"]
            .iter()
            .any(|key| node.fields.get(*key).and_then(Value::as_array).is_some_and(|list| !list.is_empty()));
        if variable {
            return Err(variable_width(&format!("{}has", node.path)));
        }
        let (scale, cell) = (node.positive("scaleDenominator")?, node.positive("cellSize")?);
        if scale.is_none() && cell.is_none() {
            return Err(node.wrong("scaleDenominator", "it says how large pixels are"));
        }
        let key = if second { "pointOfOrigin" } else { "topLeftCorner" };
        let want = "two coordinates are needed";
        let origin: Vec<f64> = node.list(key, want)?.iter().filter_map(Value::as_f64).collect();
        let origin: [f64; 2] = origin
            .try_into()
            .ok()
            .filter(|o: &[f64; 2]| o.iter().all(|v| v.is_finite()))
            .ok_or_else(|| node.wrong(key, want))?;
        let from_bottom = match node.text("cornerOfOrigin") {
            None | Some("topLeft") => false,
            Some("bottomLeft") => true,
            Some(_) => return Err(node.wrong("cornerOfOrigin", "topLeft or bottomLeft is needed")),
        };
        let (width, height) = (node.count("tileWidth", 1 << 14)?, node.count("tileHeight", 1 << 14)?);
        if width != height {
            return Err(format!(
                "{}has tiles of {width} × {height} pixels: only square ones can be made",
                node.path
            ));
        }
        let columns = node.count("matrixWidth", MOST_TILES)?;
        let rows = node.count("matrixHeight", MOST_TILES)?;
        Ok(Self { id, scale, cell, origin, from_bottom, tile_size: width as usize, columns, rows })
    }

    /// Side of a pixel. Cell sizes are often cut off, so the scale counts, as it does for GDAL, unless both say the same but for
    /// rounding; where it is about another pixel than 0.28 mm (the Canadian grid's is of 96 to the inch), the cell size does, as
    /// for morecantile.
    fn cell(&self, metres: f64) -> f64 {
        let scaled = self.scale.map(|s| s * PAPER_PIXEL / metres);
        match (scaled, self.cell) {
            (Some(scaled), Some(cell)) if !(SAME..=AGREE).contains(&(scaled / cell - 1.0).abs()) => cell,
            (Some(scaled), _) => scaled,
            (None, cell) => cell.unwrap_or(1.0),
        }
    }
}

/// A number without the last digit or two, in which readers of JSON may differ: whoever reads it and writes it again writes the
/// same.
fn rounded(number: f64) -> f64 {
    format!("{number:.14e}").parse().unwrap_or(number)
}

/// A CRS as text that GDAL understands: an address or code, or its definition as PROJJSON or WKT.
fn crs_of(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
        Value::Object(fields) => {
            let inner = ["uri", "wkt", "referenceSystem"].iter().find_map(|key| fields.get(*key));
            match inner {
                Some(Value::String(text)) => Some(text.trim().to_owned()).filter(|t| !t.is_empty()),
                Some(definition @ Value::Object(_)) => Some(definition.to_string()),
                // The definition itself.
                None if fields.contains_key("coordinate_system") => {
                    Some(Value::from(fields.clone()).to_string())
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// What `orderedAxes` says.
fn axes(value: Option<&Value>) -> AxisOrder {
    let first = value.and_then(Value::as_array).and_then(|list| list.first()).and_then(Value::as_str);
    match first.map(str::to_ascii_lowercase).as_deref() {
        Some("x" | "e" | "lon" | "long" | "longitude" | "easting") => AxisOrder::EastNorth,
        Some("y" | "n" | "lat" | "latitude" | "northing") => AxisOrder::NorthEast,
        _ => AxisOrder::OfCrs,
    }
}

impl TileMatrixSet {
    /// The set as a document of version 2.0.
    pub fn to_json(&self) -> Value {
        let ordered = |west: f64, north: f64| if self.north_first { [north, west] } else { [west, north] };
        let axes = match (self.metres > MOST_METRES, self.north_first) {
            (true, false) => ["Lon", "Lat"],
            (true, true) => ["Lat", "Lon"],
            (false, false) => ["X", "Y"],
            (false, true) => ["Y", "X"],
        };
        let matrix = |m: &TileMatrix| {
            // The scale of what is written, not of what was rounded for it.
            let cell = rounded(m.cell);
            json!({
                "id": m.id,
                "scaleDenominator": rounded(cell * self.metres / PAPER_PIXEL),
                "cellSize": cell,
                "cornerOfOrigin": "topLeft",
                "pointOfOrigin": ordered(m.west, m.north).map(rounded),
                "tileWidth": self.tile_size,
                "tileHeight": self.tile_size,
                "matrixWidth": m.columns,
                "matrixHeight": m.rows,
            })
        };
        let crs = match serde_json::from_str::<Value>(&self.crs) {
            Ok(definition @ Value::Object(_)) => json!({ "wkt": definition }),
            _ if self.crs.contains('[') => json!({ "wkt": self.crs }),
            _ => Value::from(self.crs.as_str()),
        };
        let mut fields = Map::new();
        fields.insert("id".to_owned(), self.id.as_str().into());
        for (key, value) in [("title", &self.title), ("uri", &self.uri)] {
            fields.extend(value.as_ref().map(|v| (key.to_owned(), v.as_str().into())));
        }
        fields.insert("crs".to_owned(), crs);
        fields.insert("orderedAxes".to_owned(), json!(axes));
        fields.insert("tileMatrices".to_owned(), self.matrices.iter().map(matrix).collect());
        Value::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{names, registered};

    fn settled(text: &str) -> Result<TileMatrixSet, String> {
        let definition = Definition::parse(text)?;
        definition.settled("set", 1.0, true, None)
    }

    /// A set of one level in metres, with fields replaced or taken away.
    fn with(key: &str, value: Value) -> String {
        let mut level = json!({
            "id": "0", "scaleDenominator": 1e6, "pointOfOrigin": [100.0, 200.0],
            "tileWidth": 256, "tileHeight": 256, "matrixWidth": 3, "matrixHeight": 2,
        });
        if let Some(level) = level.as_object_mut() {
            if value.is_null() {
                level.remove(key);
            } else {
                level.insert(key.to_owned(), value);
            }
        }
        json!({"id": "mine", "crs": "EPSG:2193", "tileMatrices": [level]}).to_string()
    }

    #[test]
    fn registered_grids_come_back_from_their_documents() {
        for name in names() {
            let set = registered(name).expect("is known");
            let text = set.to_json().to_string();
            let definition = Definition::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(definition.crs(), set.crs);
            let world = Some(set.world);
            let back = definition.settled("x", set.metres, !set.north_first, world).expect("fits");
            assert_eq!((&back.id, back.first, back.north_first), (&set.id, set.first, set.north_first));
            // Its deepest level has more rows than other grids may have.
            assert!(name == "WebMercatorQuad" || back.to_json() == set.to_json(), "{name}");
            for (a, b) in back.matrices.iter().zip(&set.matrices) {
                assert_eq!((a.columns, a.rows, &a.id), (b.columns, b.rows, &b.id), "{name}");
                for (a, b) in [(a.west, b.west), (a.north, b.north), (a.cell, b.cell)] {
                    assert!((a / b - 1.0).abs() < 1e-14, "{name}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn corners_are_taken_in_the_order_of_the_crs_and_from_either_side() {
        let set = settled(&with("id", "0".into())).expect("a set");
        let m = &set.matrices[0];
        assert_eq!((m.west, m.north, m.cell), (200.0, 100.0, 280.0));
        let set = settled(&with("cornerOfOrigin", "bottomLeft".into())).expect("a set");
        assert_eq!(set.matrices[0].north, 100.0 + 2.0 * 256.0 * 280.0);
        let text = with("id", "0".into()).replacen('{', r#"{"orderedAxes":["E","N"],"#, 1);
        assert_eq!(settled(&text).expect("a set").matrices[0].west, 100.0);
    }

    #[test]
    fn version_1_is_read_as_gdal_has_it() {
        let text = r#"{"type": "TileMatrixSetType", "identifier": "old", "supportedCRS": "urn:ogc:def:crs:EPSG::3978",
            "tileMatrix": [{"identifier": "a", "scaleDenominator": 4000, "topLeftCorner": [1, 2], "tileWidth": 512,
            "tileHeight": 512, "matrixWidth": 1, "matrixHeight": 1}]}"#;
        let set = Definition::parse(text).and_then(|d| d.settled("x", 1.0, false, None)).expect("a set");
        assert_eq!((set.id.as_str(), set.tile_size, set.first), ("old", 512, 0));
        assert!((set.matrices[0].cell - 1.12).abs() < 1e-12);
    }

    #[test]
    fn levels_are_numbered_by_their_identifiers_where_these_count() {
        let level = |id: &str, scale: f64| {
            json!({"id": id, "scaleDenominator": scale, "pointOfOrigin": [0, 0], "tileWidth": 256,
                "tileHeight": 256, "matrixWidth": 1, "matrixHeight": 1})
        };
        let first = |ids: [&str; 3]| {
            // In any order.
            let levels = [level(ids[2], 1.0), level(ids[0], 4.0), level(ids[1], 2.0)];
            let set =
                settled(&json!({"crs": "EPSG:3395", "tileMatrices": levels}).to_string()).expect("a set");
            assert_eq!(set.matrices.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ids);
            assert_eq!(set.id, "set");
            set.first
        };
        assert_eq!(first(["0", "1", "2"]), 0);
        assert_eq!(first(["4", "5", "6"]), 4);
        for ids in
            [["a", "b", "c"], ["0", "0", "0"], ["1", "3", "4"], ["-2", "-1", "0"], ["300", "301", "302"]]
        {
            assert_eq!(first(ids), 0, "{ids:?}");
        }
    }

    #[test]
    fn a_cell_size_counts_where_the_scale_is_of_another_pixel() {
        let mut text = with("cellSize", 264.583.into());
        assert_eq!(settled(&text).expect("a set").matrices[0].cell, 264.583);
        text = with("cellSize", 280.000_001.into());
        assert_eq!(settled(&text).expect("a set").matrices[0].cell, 280.0);
    }

    #[test]
    fn levels_whose_scales_and_cells_are_in_different_orders_are_refused() {
        let level = |id: &str, scale: f64, cell: f64| {
            json!({"id": id, "scaleDenominator": scale, "cellSize": cell, "pointOfOrigin": [0, 0], "tileWidth": 256,
                "tileHeight": 256, "matrixWidth": 1, "matrixHeight": 1})
        };
        let set = |scale: f64| {
            let levels = [level("0", 4000.0, 1.12), level("1", scale, 2.24)];
            settled(&json!({"crs": "EPSG:3395", "tileMatrices": levels}).to_string())
        };
        let error = set(3999.0).expect_err("pixels get larger");
        assert!(error.contains("level '1' whose pixels are no smaller"), "{error}");
        assert_eq!(set(8000.0).expect("a set").matrices[0].id, "1");
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        for (key, value, words) in [
            ("scaleDenominator", json!(0), "tileMatrices[0] ('0') has scaleDenominator 0: a number above 0"),
            ("scaleDenominator", json!(-5), "above 0"),
            ("scaleDenominator", json!("big"), "above 0"),
            ("scaleDenominator", Value::Null, "lacks scaleDenominator"),
            ("pointOfOrigin", Value::Null, "lacks pointOfOrigin: two coordinates"),
            ("pointOfOrigin", json!([1]), "two coordinates"),
            ("pointOfOrigin", json!([1, "b"]), "two coordinates"),
            ("tileWidth", json!(512), "512 × 256"),
            ("tileWidth", json!(0), "from 1 to 16384"),
            ("tileWidth", json!(1e9), "from 1 to 16384"),
            ("matrixWidth", json!(1.5), "a whole number from 1"),
            ("matrixWidth", json!(1e18), "a whole number from 1"),
            ("matrixHeight", json!([7]), "has matrixHeight [7]"),
            ("cornerOfOrigin", json!("topRight"), "topLeft or bottomLeft"),
            ("variableMatrixWidths", json!([{"coalesce": 2}]), "variableMatrixWidths"),
        ] {
            let error = settled(&with(key, value.clone())).expect_err(words);
            assert!(error.contains(words), "{key} {value}: {error}");
        }
        for (text, words) in [
            ("{\n  \"id\": ,", "is no JSON: expected value at line 2 column 9"),
            ("[]", "no object"),
            ("{}", "has no tileMatrices"),
            (r#"{"tileMatrices": []}"#, "has 0 tileMatrices"),
            (r#"{"tileMatrices": 7}"#, "a list of levels is needed"),
            (r#"{"tileMatrices": [3]}"#, "tileMatrices[0] is no object"),
            (&with("id", "0".into()).replace("EPSG:2193", " "), "a coordinate reference system is needed"),
            (&"[".repeat(100_000), "is no JSON: recursion limit"),
        ] {
            let error = Definition::parse(text).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
        for (key, value, words) in [
            ("scaleDenominator", json!(1e308), "reaches beyond 1e12"),
            ("pointOfOrigin", json!([1e308, -1e308]), "reaches beyond 1e12"),
            ("matrixHeight", json!(2e9), "more tiles than can be counted"),
        ] {
            let error = settled(&with(key, value)).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn damaged_documents_never_panic() {
        let text = registered("NZTM2000").expect("is known").to_json().to_string();
        let mut state = 1u32;
        let mut next = |limit: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % limit
        };
        for _ in 0..4000 {
            let mut bytes = text.clone().into_bytes();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                match next(4) {
                    0 => bytes[at] = b"0123456789-+.eE\"{}[],:ntf"[next(25)],
                    1 => drop(bytes.remove(at)),
                    2 => bytes.truncate(at + 1),
                    _ => bytes.insert(at, b"9"[0]),
                }
            }
            if let Ok(text) = String::from_utf8(bytes)
                && let Ok(definition) = Definition::parse(&text)
                && let Ok(set) = definition.settled("x", 1.0, true, None)
            {
                for z in 0..=MAX_ZOOM {
                    let _ = (set.plane(z, 256, 4).bounds(), set.nests(z), set.resolution(z, 512));
                }
            }
        }
    }
}
