//! Tiles against `gdalwarp -et 0`: every raster of `testdata/`, every method, pixel by pixel.
//!
//! `cargo test --test it agreement -- --nocapture` prints the figures.

mod lower;
mod reference;
mod samples;
mod testdata;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tileloom::grid::{TileCoord, TileGrid, WEB_MERCATOR_HALF};
use tileloom::raster::SourceSpec;
use tileloom::warp::coords::Position;

use crate::common::{self, Picture};
use reference::Reference;

/// A raster and how it is to be compared.
#[derive(Clone)]
struct Case {
    path: PathBuf,
    /// What else the program is told.
    options: Vec<String>,
    /// What samples become.
    look: Look,
    /// Methods that mean something for it.
    methods: &'static [&'static str],
    /// The level to compare at.
    zoom: u8,
    /// Whether the tiles are only a part of those the raster has.
    part: bool,
}

/// What samples become in tiles.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    /// They are the picture.
    Picture,
    /// Index into the colour table.
    Palette,
    /// Values between two limits spread over 0 to 255.
    Stretch(f64, f64),
    /// The same, bytes with a sign.
    Signed(f64, f64),
}

const QUANTITIES: &[&str] = &["nearest", "bilinear", "cubic", "cubicspline", "lanczos", "average", "mode"];
const NAMES: &[&str] = &["nearest", "mode"];

/// How a set of tiles differs from the reference.
#[derive(Debug, Default, Clone)]
struct Figures {
    /// Pixels that hold data in either.
    pixels: u64,
    /// Pixels opaque in both.
    opaque: u64,
    /// Of these, how many are equal.
    equal: u64,
    /// Sum of the differences of their samples.
    sum: u64,
    /// The largest.
    largest: u8,
    /// Pixels that hold data in one only.
    mask: u64,
    /// Of these, those in tiles.
    more: u64,
    /// Sum of the differences of alpha over all pixels that hold data.
    alpha: u64,
    /// Opaque pixels that differ: their greatest distance from the edge of a source pixel.
    from_edge: f64,
}

impl Figures {
    fn mean(&self) -> f64 {
        self.sum as f64 / (3 * self.opaque.max(1)) as f64
    }

    fn equal_share(&self) -> f64 {
        self.equal as f64 / self.opaque.max(1) as f64
    }

    fn mask_share(&self) -> f64 {
        1.0 - self.mask as f64 / self.pixels.max(1) as f64
    }

    fn line(&self, name: &str, method: &str) -> String {
        format!(
            "{name:34} {method:12} {:8} {:9.4} % {:8.4} {:4} {:9.4} % {:6} {:7.3} {:8.4}",
            self.opaque,
            self.equal_share() * 100.0,
            self.mean(),
            self.largest,
            self.mask_share() * 100.0,
            self.more,
            self.alpha as f64 / self.pixels.max(1) as f64,
            self.from_edge,
        )
    }
}

const HEADER: &str = "raster                             method         opaque      equal     mean  max  mask equal   more   \
                      alpha  edge";

/// Where a target pixel lies in the source.
fn position(path: &Path, zoom: u8, pixels: &[(i64, i64)]) -> Vec<Position> {
    let spec = SourceSpec::new(path);
    let description = spec.describe().expect("opens");
    let mut locator = spec.locator(&description.georeferencing, description.size).expect("has a place");
    let step = TileGrid::WEB_MERCATOR.resolution(zoom, 256);
    let metres = |&(x, y): &(i64, i64)| Position {
        x: (x as f64 + 0.5) * step - WEB_MERCATOR_HALF,
        y: WEB_MERCATOR_HALF - (y as f64 + 0.5) * step,
    };
    let mut points: Vec<_> = pixels.iter().map(metres).collect();
    locator.to_pixels(&mut points);
    points
}

/// Compares the tiles with the reference, which covers all of them and more.
fn compare(case: &Case, tiles: &BTreeMap<TileCoord, Picture>, reference: &[Reference]) -> Figures {
    let mut f = Figures::default();
    let mut differing = Vec::new();
    for part in reference {
        for (tile, expected) in part.tiles(case.look) {
            let picture = tiles.get(&tile);
            if picture.is_none() && case.part {
                continue;
            }
            for (k, want) in expected.iter().enumerate() {
                let got = picture.map_or([0; 4], |p| p.pixels[k]);
                // Not-a-numbers, which GDAL carries on as data.
                let Some(want) = *want else { continue };
                f.pixels += u64::from(got[3] > 0 || want[3] > 0);
                f.mask += u64::from((got[3] > 0) != (want[3] > 0));
                f.more += u64::from(got[3] > 0 && want[3] == 0);
                f.alpha += u64::from(got[3].abs_diff(want[3]));
                if got[3] == 255 && want[3] == 255 {
                    f.opaque += 1;
                    f.equal += u64::from(got == want);
                    let diffs = (0..3).map(|b| got[b].abs_diff(want[b]));
                    f.sum += diffs.clone().map(u64::from).sum::<u64>();
                    f.largest = f.largest.max(diffs.max().unwrap_or(0));
                    if got != want {
                        differing.push((
                            i64::from(tile.x) * 256 + (k % 256) as i64,
                            i64::from(tile.y) * 256 + (k / 256) as i64,
                        ));
                    }
                }
            }
        }
    }
    differing.truncate(10_000);
    let off = |v: f64| (v - v.round()).abs();
    let found = position(&case.path, case.zoom, &differing);
    f.from_edge = found.iter().map(|p| off(p.x).min(off(p.y))).fold(0.0, f64::max);
    f
}

/// Tiles of the base level, made by the program.
fn made(case: &Case, method: &str, folder: &Path) -> BTreeMap<TileCoord, Picture> {
    let output = folder.join(format!("{method}.pmtiles"));
    let zoom = case.zoom.to_string();
    let mut options = vec!["-r", method, "-z", &zoom];
    options.extend(case.options.iter().map(String::as_str));
    common::tile(&[&case.path], &output, &options);
    common::pictures(&output)
}

/// The figures of every method of a case; and that the tiles that exist are those that hold data in the reference.
fn agreement(case: &Case) -> Vec<(&'static str, Figures)> {
    let dir = tempfile::tempdir().expect("tempdir");
    let mut all = Vec::new();
    for method in case.methods {
        let tiles = made(case, method, dir.path());
        let reference = Reference::of(case, method, &tiles, dir.path());
        if *method == "nearest" && !case.part {
            let expected: BTreeSet<TileCoord> = reference.iter().flat_map(Reference::filled).collect();
            let found: BTreeSet<TileCoord> = tiles.keys().copied().collect();
            assert_eq!(found, expected, "{}: tiles that exist", case.path.display());
        }
        all.push((*method, compare(case, &tiles, &reference)));
    }
    all
}
