//! Grids other than Web Mercator's: against what `gdalwarp` makes of the same rasters on the same tiles.

mod agreement;
mod counts;
mod foreign;
mod levels;
mod refusals;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use tileloom::grid::{Bounds, TileCoord, TileMatrixSet, registered};

use crate::common::{Picture, succeed};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

fn grid(name: &str) -> Arc<TileMatrixSet> {
    registered(name).expect("is known")
}

/// Where a tile lies.
fn place(set: &TileMatrixSet, tile: TileCoord) -> Bounds {
    set.plane(tile.z, 256, 0).place(&tile.window(256))
}

/// Coordinates as GDAL's command line takes them.
fn shown(v: f64) -> String {
    format!("{v:.12}")
}

/// What `gdalwarp` makes of a raster on one tile: red, green, blue and alpha, row by row.
fn warped(input: &Path, set: &TileMatrixSet, tile: TileCoord, method: &str, folder: &Path) -> Vec<[u8; 4]> {
    let Bounds { west, south, east, north } = place(set, tile);
    let out = folder.join("warped.tif");
    let mut warp = Command::new("gdalwarp");
    warp.args([
        "-q",
        "-overwrite",
        "-et",
        "0",
        "-ovr",
        "NONE",
        "-dstalpha",
        "-r",
        method,
        "-t_srs",
        &set.crs,
    ]);
    warp.arg("-te").args([west, south, east, north].map(shown)).args(["-ts", "256", "256"]);
    succeed(warp.arg(input).arg(&out));
    let dataset = gdal::Dataset::open(&out).expect("gdalwarp wrote it");
    let read = |n: usize| {
        let band = dataset.rasterband(n).expect("band");
        band.read_as::<u8>((0, 0), (256, 256), (256, 256), None).expect("pixels").data().to_vec()
    };
    let count = dataset.raster_count();
    let (bands, alpha) = (count - 1, read(count));
    let colour = [1, 2, 3].map(|b| read(if bands < 3 { 1 } else { b }));
    (0..256 * 256).map(|k| [colour[0][k], colour[1][k], colour[2][k], alpha[k]]).collect()
}

/// How a tile differs from what it should be.
#[derive(Debug, Default)]
struct Difference {
    /// Pixels that are opaque in both.
    both: usize,
    /// Of these, how many differ by more than a level.
    off: usize,
    /// Pixels that are opaque in one of the two.
    edge: usize,
}

impl Difference {
    fn of(picture: &Picture, expected: &[[u8; 4]]) -> Self {
        let mut all = Self::default();
        for (own, other) in picture.pixels.iter().zip(expected) {
            match (own[3] > 0, other[3] > 0) {
                (true, true) => {
                    all.both += 1;
                    let off = own.iter().zip(other).take(3).any(|(a, b)| a.abs_diff(*b) > 1);
                    all.off += usize::from(off);
                }
                (false, false) => {}
                _ => all.edge += 1,
            }
        }
        all
    }

    fn add(&mut self, other: &Self) {
        self.both += other.both;
        self.off += other.off;
        self.edge += other.edge;
    }
}

/// Holds all tiles of a set against `gdalwarp`.
fn difference(
    input: &Path,
    set: &TileMatrixSet,
    tiles: &BTreeMap<TileCoord, Picture>,
    method: &str,
    folder: &Path,
) -> Difference {
    let mut all = Difference::default();
    for (tile, picture) in tiles {
        all.add(&Difference::of(picture, &warped(input, set, *tile, method, folder)));
    }
    all
}

/// A raster that `gdal_translate` makes of another one.
fn translated(input: &Path, output: PathBuf, options: &[&str]) -> PathBuf {
    succeed(Command::new("gdal_translate").arg("-q").args(options).arg(input).arg(&output));
    output
}
