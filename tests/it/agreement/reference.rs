//! What `gdalwarp` makes of a raster on the grid of the tiles.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use gdal::Dataset;
use tileloom::grid::{TileCoord, TileGrid, WEB_MERCATOR_HALF};

use super::{Case, Look, position};
use crate::common::{Picture, succeed};

/// Pixels of a rectangle of tiles.
pub struct Reference {
    zoom: u8,
    x: u32,
    y: u32,
    columns: usize,
    rows: usize,
    bands: Vec<Vec<f64>>,
    alpha: Vec<u8>,
    table: Vec<[u8; 4]>,
}

impl Reference {
    /// Warps the raster onto the tiles and a ring of tiles around them; onto two rectangles where the tiles lie on both
    /// sides of the antimeridian.
    pub fn of(case: &Case, method: &str, tiles: &BTreeMap<TileCoord, Picture>, folder: &Path) -> Vec<Self> {
        let limit = 1u32 << case.zoom;
        let columns: BTreeSet<u32> = tiles.keys().map(|t| t.x).collect();
        let rows: BTreeSet<u32> = tiles.keys().map(|t| t.y).collect();
        let (first, last) = (*columns.first().expect("tiles"), *columns.last().expect("tiles"));
        let all = (last - first) as usize + 1;
        let halves = if all > 2 * columns.len() {
            let west = columns.range(limit / 2..).next().copied().expect("tiles in the east");
            let east = columns.range(..limit / 2).next_back().copied().expect("tiles in the west");
            vec![(west - 1, limit), (0, east + 2)]
        } else {
            vec![(first.saturating_sub(1), (last + 2).min(limit))]
        };
        let top = rows.first().expect("tiles").saturating_sub(1);
        let bottom = (rows.last().expect("tiles") + 2).min(limit);
        halves.into_iter().map(|(from, to)| Self::part(case, method, from..to, top..bottom, folder)).collect()
    }

    fn part(
        case: &Case,
        method: &str,
        columns: std::ops::Range<u32>,
        rows: std::ops::Range<u32>,
        folder: &Path,
    ) -> Self {
        let side = 2.0 * WEB_MERCATOR_HALF / f64::from(1u32 << case.zoom);
        let (west, north) = (
            f64::from(columns.start) * side - WEB_MERCATOR_HALF,
            WEB_MERCATOR_HALF - f64::from(rows.start) * side,
        );
        let (width, height) = (columns.len() * 256, rows.len() * 256);
        let east = west + columns.len() as f64 * side;
        let south = north - rows.len() as f64 * side;
        let out = folder.join("reference.tif");
        let mut warp = Command::new("gdalwarp");
        warp.args(["-q", "-overwrite", "-et", "0", "-ovr", "NONE", "-t_srs", "EPSG:3857", "-dstalpha"]);
        warp.args(["-r", if method == "nearest" { "near" } else { method }]);
        warp.arg("-te").args([west, south, east, north].map(|v| format!("{v:.12}")));
        warp.arg("-ts").args([width.to_string(), height.to_string()]);
        // GDAL takes one scale for all that it warps at once, and finds it by comparing the sizes of windows that
        // need not cover each other. Here both use the scale in the middle of the raster.
        let (sx, sy) = scale(case, &columns, &rows);
        for (name, scale) in [("XSCALE", sx), ("YSCALE", sy)] {
            warp.args(["-wo", &format!("{name}={:.9}", 1.0 / scale)]);
        }
        // Where the source's longitudes are beyond 180°, GDAL has to be told that they are those of the west.
        let input = turned(case, west, folder);
        succeed(warp.arg(input.as_deref().unwrap_or(&case.path)).arg(&out));

        let dataset = Dataset::open(&out).expect("gdalwarp wrote it");
        let count = dataset.raster_count();
        let size = (width, height);
        let bands = colours(&dataset, count - 1)
            .into_iter()
            .map(|n| {
                let band = dataset.rasterband(n).expect("band");
                band.read_as::<f64>((0, 0), size, size, None).expect("pixels").data().to_vec()
            })
            .collect();
        let alpha = dataset.rasterband(count).expect("alpha");
        let limit = if alpha.band_type() == gdal::raster::GdalDataType::UInt16 { 65_535.0 } else { 255.0 };
        let alpha = alpha.read_as::<f64>((0, 0), size, size, None).expect("pixels");
        let alpha = alpha
            .data()
            .iter()
            .map(|a| if *a > 0.0 { (a / limit * 255.0).round().max(1.0) as u8 } else { 0 });
        let alpha = alpha.collect();
        let table = table(&Dataset::open(&case.path).expect("opens"));
        let (zoom, x, y) = (case.zoom, columns.start, rows.start);
        Self { zoom, x, y, columns: columns.len(), rows: rows.len(), bands, alpha, table }
    }

    /// The tiles that hold data.
    pub fn filled(&self) -> Vec<TileCoord> {
        let tiles = self.addresses();
        tiles.filter(|(_, places)| places.iter().any(|&k| self.alpha[k] > 0)).map(|(t, _)| t).collect()
    }

    /// Addresses of the tiles and where their pixels are.
    fn addresses(&self) -> impl Iterator<Item = (TileCoord, Vec<usize>)> + '_ {
        let all = (0..self.rows).flat_map(move |r| (0..self.columns).map(move |c| (c, r)));
        all.map(move |(c, r)| {
            let tile = TileCoord::new(self.zoom, self.x + c as u32, self.y + r as u32);
            let place = |k: usize| (r * 256 + k / 256) * self.columns * 256 + c * 256 + k % 256;
            (tile, (0..256 * 256).map(place).collect())
        })
    }

    /// The tiles as pictures; `None` for pixels that are not numbers.
    pub fn tiles(&self, look: Look) -> impl Iterator<Item = (TileCoord, Vec<Option<[u8; 4]>>)> + '_ {
        self.addresses()
            .map(move |(tile, places)| (tile, places.into_iter().map(|k| self.pixel(k, look)).collect()))
    }

    fn pixel(&self, k: usize, look: Look) -> Option<[u8; 4]> {
        let band = |b: usize| self.bands[if self.bands.len() < 3 { 0 } else { b }][k];
        let values = [band(0), band(1), band(2)];
        if values.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let spread = |v: f64, (low, high): (f64, f64)| ((v - low) * (255.0 / (high - low))).round() as u8;
        let [r, g, b] = match look {
            Look::Picture => values.map(|v| v as u8),
            Look::Palette => {
                let [r, g, b, _] = self.table.get(values[0] as usize).copied().unwrap_or_default();
                [r, g, b]
            }
            Look::Stretch(low, high) => values.map(|v| spread(v, (low, high))),
            Look::Signed(low, high) => {
                values.map(|v| spread(f64::from((v as u8).cast_signed()), (low, high)))
            }
        };
        Some([r, g, b, self.alpha[k]])
    }
}

/// Numbers of the bands that make the picture: red, green and blue where bands say so, else all.
fn colours(dataset: &Dataset, count: usize) -> Vec<usize> {
    use gdal::raster::ColorInterpretation as Interpretation;
    let seen = |n: &usize| dataset.rasterband(*n).expect("band").color_interpretation();
    let find = |wanted| (1..=count).find(|n| seen(n) == wanted);
    let rgb = [Interpretation::RedBand, Interpretation::GreenBand, Interpretation::BlueBand].map(find);
    let rgb: Vec<usize> = rgb.into_iter().flatten().collect();
    if rgb.len() == 3 { rgb } else { (1..=count).collect() }
}

/// Colours of the first band's values.
fn table(dataset: &Dataset) -> Vec<[u8; 4]> {
    let band = dataset.rasterband(1).expect("band");
    let entries = band.color_table().map(|table| {
        let entry = |i| table.entry_as_rgb(i).map(|e| [e.r, e.g, e.b, e.a].map(|v| v as u8));
        (0..table.entry_count()).filter_map(entry).collect()
    });
    entries.unwrap_or_default()
}

/// Source pixels that a target pixel spans in x and y in the middle of the raster, or of the tiles where that is
/// elsewhere.
fn scale(case: &Case, columns: &std::ops::Range<u32>, rows: &std::ops::Range<u32>) -> (f64, f64) {
    let dataset = Dataset::open(&case.path).expect("opens");
    let (width, height) = dataset.raster_size();
    let step = 16;
    let lattice: Vec<(i64, i64)> = (0..columns.len() as i64 * step)
        .flat_map(|i| (0..rows.len() as i64 * step).map(move |j| (i, j)))
        .map(|(i, j)| {
            (i64::from(columns.start) * 256 + i * 256 / step, i64::from(rows.start) * 256 + j * 256 / step)
        })
        .collect();
    let found = position(&case.path, case.zoom, &lattice);
    let off =
        |p: &tileloom::warp::coords::Position| (p.x / width as f64 - 0.5).hypot(p.y / height as f64 - 0.5);
    let middle = (0..lattice.len())
        .filter(|&k| found[k].is_some())
        .min_by(|&a, &b| off(&found[a]).total_cmp(&off(&found[b])))
        .expect("some tile touches the raster");
    let (x, y) = lattice[middle];
    let p = position(&case.path, case.zoom, &[(x, y), (x + 1, y), (x, y + 1)]);
    let sx = (p[1].x - p[0].x).hypot(p[2].x - p[0].x);
    let sy = (p[1].y - p[0].y).hypot(p[2].y - p[0].y);
    assert!(sx.is_finite() && sy.is_finite() && TileGrid::WEB_MERCATOR.resolution(case.zoom, 256) > 0.0);
    (sx, sy)
}

/// The raster with its longitudes turned by 360° when they are beyond 180° and the tiles are in the west.
fn turned(case: &Case, west: f64, folder: &Path) -> Option<std::path::PathBuf> {
    let dataset = Dataset::open(&case.path).expect("opens");
    let g = dataset.geo_transform().ok()?;
    let srs = dataset.spatial_ref().ok()?;
    let (width, height) = dataset.raster_size();
    let east = g[0] + g[1] * width as f64;
    if !srs.is_geographic() || east <= 180.0 || west > 0.0 {
        return None;
    }
    let path = folder.join("turned.vrt");
    let corners = [g[0] - 360.0, g[3], east - 360.0, g[3] + g[5] * height as f64].map(|v| v.to_string());
    let mut translate = Command::new("gdal_translate");
    succeed(translate.args(["-q", "-of", "VRT", "-a_ullr"]).args(corners).arg(&case.path).arg(&path));
    Some(path)
}
