//! What lists the chips: a table, outlines on the map, and a catalogue.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::plan::Plan;
use super::weave::rounded;
use super::{SplitJob, stac};
use crate::raster::Locator;
use crate::raster::georef::Method;
use crate::warp::coords::Position;
use crate::window::Window;

/// A list of the chips.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// `index.csv`: a line for each place.
    Csv,
    /// `index.geojson`: outlines in longitude and latitude.
    GeoJson,
    /// `stac.json`: the same as an item collection of STAC 1.0.
    Stac,
}

impl IndexKind {
    /// The name of the file.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Csv => "index.csv",
            Self::GeoJson => "index.geojson",
            Self::Stac => "stac.json",
        }
    }
}

/// Reads a list of indexes, separated by commas, or `none`.
///
/// # Errors
/// What is known.
pub fn kinds(text: &str) -> Result<Vec<IndexKind>, String> {
    if text.trim().eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    for word in text.split(',') {
        let kind = match word.trim().to_ascii_lowercase().as_str() {
            "csv" => IndexKind::Csv,
            "geojson" | "json" => IndexKind::GeoJson,
            "stac" => IndexKind::Stac,
            _ => return Err(format!("'{word}': known are csv, geojson, stac and none")),
        };
        if !all.contains(&kind) {
            all.push(kind);
        }
    }
    Ok(all)
}

/// A place of which there are chips.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Listed {
    pub number: usize,
    pub valid: f64,
    /// The number of its shard.
    pub shard: Option<u32>,
}

/// All that is to be listed.
pub(super) struct List<'a> {
    pub job: &'a SplitJob,
    pub plan: &'a Plan,
    pub chips: &'a [Listed],
    pub shards: &'a [String],
}

/// The edge of a place, counterclockwise from a corner to the same corner.
pub(super) type Outline = Vec<[f64; 2]>;

/// How far outlines may be off, in pixels: edges that are curved on the map have points in between.
const SAG: f64 = 0.01;

/// Most parts of an edge.
const MOST_PARTS: f64 = 16.0;

impl List<'_> {
    /// Writes an index.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, kind: IndexKind, out: &mut dyn Write) -> io::Result<()> {
        match kind {
            IndexKind::Csv => self.csv(out),
            IndexKind::GeoJson => self.collection(out, |_, chip, outline| {
                let geometry =
                    outline.map_or(Value::Null, |ring| json!({"type": "Polygon", "coordinates": [ring]}));
                json!({"type": "Feature", "properties": self.properties(chip), "geometry": geometry})
            }),
            IndexKind::Stac => {
                self.collection(out, |number, chip, outline| stac::item(self, number, chip, outline))
            }
        }
    }

    /// The shard of a chip.
    pub fn shard(&self, chip: &Listed) -> Option<&str> {
        chip.shard.and_then(|k| self.shards.get(k as usize)).map(String::as_str)
    }

    /// The chips of a place, one of each input: what they are called in the index, and their names.
    pub fn files(&self, chip: &Listed) -> impl Iterator<Item = (&str, String)> {
        let name = self.plan.name(chip.number);
        self.plan.layers.iter().map(move |layer| {
            let column = if self.plan.layers.len() == 1 { "file" } else { layer.name.as_str() };
            (column, self.plan.file_name(self.job, chip.number, &name, layer, layer.encoder.extension()))
        })
    }

    fn csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let (subsets, shards) = (!self.plan.subsets.is_empty(), self.job.shards.is_some());
        let placed = self.plan.grid.geotransform().is_some();
        let mut head = vec!["name"];
        head.extend(subsets.then_some("subset"));
        let single = self.plan.layers.len() == 1;
        head.extend(self.plan.layers.iter().map(|l| if single { "file" } else { l.name.as_str() }));
        head.extend(shards.then_some("shard"));
        head.extend(["row", "column", "x", "y", "width", "height", "valid"]);
        head.extend(["xmin", "ymin", "xmax", "ymax"].into_iter().filter(|_| placed));
        writeln!(out, "{}", head.join(","))?;
        for chip in self.chips {
            let (n, w) = (self.plan.numbers(chip.number), self.plan.window(chip.number));
            let mut fields = vec![self.plan.name(chip.number)];
            fields.extend(self.plan.subset_name(chip.number).map(str::to_owned));
            fields.extend(self.files(chip).map(|(_, file)| file));
            fields.extend(self.shard(chip).map(str::to_owned));
            fields.extend([n.row, n.column].map(|v| v.to_string()));
            fields.extend([w.x, w.y, w.width as i64, w.height as i64].map(|v| v.to_string()));
            fields.push(rounded(chip.valid).to_string());
            fields.extend(self.bounds(&w).into_iter().flatten().map(|v| v.to_string()));
            let quoted = |f: &String| {
                if f.contains([',', '"', '\n']) {
                    format!("\"{}\"", f.replace('"', "\"\""))
                } else {
                    f.clone()
                }
            };
            writeln!(out, "{}", fields.iter().map(quoted).collect::<Vec<_>>().join(","))?;
        }
        Ok(())
    }

    /// Least x and y, greatest x and y of a place in the CRS of the grid.
    pub fn bounds(&self, window: &Window) -> Option<[f64; 4]> {
        let g = self.plan.geotransform(window)?;
        let (w, h) = (window.width as f64, window.height as f64);
        let corners = [(0.0, 0.0), (w, 0.0), (0.0, h), (w, h)]
            .map(|(x, y)| [g[0] + x * g[1] + y * g[2], g[3] + x * g[4] + y * g[5]]);
        let all =
            |k: usize, pick: fn(f64, f64) -> f64| corners.iter().map(|c| c[k]).reduce(pick).unwrap_or(0.0);
        Some([all(0, f64::min), all(1, f64::min), all(0, f64::max), all(1, f64::max)])
    }

    /// What is told of a chip.
    pub fn properties(&self, chip: &Listed) -> Map<String, Value> {
        let (n, w) = (self.plan.numbers(chip.number), self.plan.window(chip.number));
        let mut all = Map::new();
        let mut put = |key: &str, value: Value| all.insert(key.to_owned(), value);
        put("name", json!(self.plan.name(chip.number)));
        if let Some(subset) = self.plan.subset_name(chip.number) {
            put("subset", json!(subset));
        }
        for (column, file) in self.files(chip) {
            put(column, json!(file));
        }
        if let Some(shard) = self.shard(chip) {
            put("shard", json!(shard));
        }
        for (key, value) in [("row", n.row as i64), ("column", n.column as i64), ("x", w.x), ("y", w.y)] {
            put(key, json!(value));
        }
        put("width", json!(w.width));
        put("height", json!(w.height));
        put("valid", json!(rounded(chip.valid)));
        all
    }

    /// Writes a collection of features, one a line.
    fn collection(
        &self,
        out: &mut dyn Write,
        feature: impl Fn(usize, &Listed, Option<Outline>) -> Value,
    ) -> io::Result<()> {
        let mut locator = self.locator();
        out.write_all(b"{\"type\":\"FeatureCollection\",\"features\":[\n")?;
        for (k, chip) in self.chips.iter().enumerate() {
            let window = self.plan.window(chip.number);
            let outline = locator.as_mut().and_then(|locator| outline(locator, &window));
            serde_json::to_writer(&mut *out, &feature(k, chip, outline))?;
            out.write_all(if k + 1 == self.chips.len() { b"\n" } else { b",\n" })?;
        }
        out.write_all(b"]}\n")
    }

    /// The way to longitude and latitude, if there is one.
    fn locator(&self) -> Option<Locator> {
        let (grid, place) = (&self.plan.grid, &self.plan.grid.georeferencing);
        if place.method == Method::None || place.wkt.is_none() {
            return None;
        }
        Locator::in_crs(&grid.spec, place, grid.size, "EPSG:4326").ok()
    }
}

/// A place on the map, its longitudes counted on across the antimeridian.
fn outline(locator: &mut Locator, window: &Window) -> Option<Outline> {
    let (left, top) = (window.x as f64, window.y as f64);
    let (right, bottom) = (window.right() as f64, window.bottom() as f64);
    let corners =
        [(left, bottom), (right, bottom), (right, top), (left, top)].map(|(x, y)| Position { x, y });
    let parts = parts(locator, &corners)?;
    let next = |k: usize| corners[(k + 1) % 4];
    let at = |k: usize, j: usize| {
        let (a, b, t) = (corners[k], next(k), j as f64 / parts as f64);
        Position { x: a.x + (b.x - a.x) * t, y: a.y + (b.y - a.y) * t }
    };
    let mut ring: Vec<Position> = (0..4).flat_map(|k| (0..parts).map(move |j| at(k, j))).collect();
    locator.to_coordinates(&mut ring);
    if !ring.iter().all(|p| p.is_some() && p.x.is_finite() && p.y.is_finite()) {
        return None;
    }
    let first = ring[0].x;
    for p in &mut ring {
        p.x -= ((p.x - first) / 360.0).round() * 360.0;
    }
    ring.push(ring[0]);
    let area: f64 = ring.windows(2).map(|p| p[0].x * p[1].y - p[1].x * p[0].y).sum();
    if area < 0.0 {
        ring.reverse();
    }
    let tidy = |v: f64| (v * 1e9).round() / 1e9;
    Some(ring.iter().map(|p| [tidy(p.x), tidy(p.y)]).collect())
}

/// How many straight parts make up an edge of a place: as many as it takes to be off by [`SAG`] pixels at most.
fn parts(locator: &mut Locator, corners: &[Position; 4]) -> Option<usize> {
    let mut ends = *corners;
    locator.to_coordinates(&mut ends);
    let middle =
        |a: Position, b: Position| Position { x: f64::midpoint(a.x, b.x), y: f64::midpoint(a.y, b.y) };
    let chord = |k: usize| {
        let (a, mut b) = (ends[k], ends[(k + 1) % 4]);
        b.x -= ((b.x - a.x) / 360.0).round() * 360.0;
        middle(a, b)
    };
    let mut chords = [0, 1, 2, 3].map(chord);
    if !chords.iter().all(|p| p.is_some()) {
        return None;
    }
    locator.to_pixels(&mut chords);
    let sag = |k: usize| {
        let there = middle(corners[k], corners[(k + 1) % 4]);
        (chords[k].x - there.x).hypot(chords[k].y - there.y)
    };
    let most = [0, 1, 2, 3].map(sag).into_iter().fold(0.0, f64::max);
    // The sag of a part is as the square of its length; where there is no way back nobody knows.
    let parts = (most / SAG).sqrt().ceil().clamp(1.0, MOST_PARTS);
    Some(if parts.is_nan() { MOST_PARTS as usize } else { parts as usize })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_named_in_a_list() {
        assert_eq!(
            kinds("csv,stac, GeoJSON,csv"),
            Ok(vec![IndexKind::Csv, IndexKind::Stac, IndexKind::GeoJson])
        );
        assert_eq!(kinds("none"), Ok(vec![]));
        assert!(kinds("xml").is_err_and(|e| e.contains("known are")));
    }
}
