//! Options of `tile` about what the tiles divide, and of how many pixels.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use clap::Args;
use tileloom::grid::{Definition, registered};
use tileloom::job::tile::{TileJob, TilingScheme};
use tileloom::raster::crs::{data_file, settle};
use tileloom::{Error, Result};

/// The address under which the OGC registers tile matrix sets.
const REGISTER: &str = "opengis.net/def/tilematrixset/OGC/1.0/";

/// Longest definition that is read, in bytes.
const MOST_BYTES: u64 = 16 << 20;

/// Options about the grid, as they are written.
#[derive(Debug, Args)]
pub struct GridArgs {
    /// What the tiles divide: `WebMercatorQuad`, `WorldCRS84Quad` or another registered grid (an unknown name lists all), a file with an
    /// OGC `TileMatrixSet` (JSON), or `raster` for the pixels of the one input, whatever its georeferencing. Grids other than
    /// `WebMercatorQuad` are for folders and .tar.
    #[arg(
        long,
        visible_aliases = ["tms", "profile"],
        value_name = "raster|WebMercatorQuad|WorldCRS84Quad|…|FILE",
        default_value = "WebMercatorQuad"
    )]
    tiling_scheme: String,
    /// Side in pixels with which a tile is shown: 256 or 512 [default: the grid's own, 256 for all registered ones].
    #[arg(long, value_name = "PIXELS")]
    tile_size: Option<usize>,
    /// Tiles of twice the pixels they are shown with, for dense screens: files named {y}@2x, in a folder or .tar.
    #[arg(long, visible_alias = "hidpi")]
    retina: bool,
    /// Refuse, before anything is written, to make more tiles than this.
    #[arg(long, value_name = "N")]
    max_tiles: Option<u64>,
}

impl GridArgs {
    /// Puts the options into a job.
    ///
    /// # Errors
    /// [`Error::Usage`] for names that are not known, [`Error::Input`] for files that hold no grid.
    pub fn apply(&self, job: &mut TileJob) -> Result<()> {
        job.tiling = scheme(&self.tiling_scheme)?;
        let shown = self.tile_size.unwrap_or_else(|| job.tiling.tile_size());
        job.tile_size = if self.retina { shown.saturating_mul(2) } else { shown };
        job.retina = self.retina;
        job.max_tiles = self.max_tiles;
        Ok(())
    }
}

/// The grid of a name, an address, a file, or of JSON itself.
///
/// # Errors
/// As [`GridArgs::apply`].
pub fn scheme(given: &str) -> Result<TilingScheme> {
    let text = given.trim();
    if text.eq_ignore_ascii_case("raster") {
        return Ok(TilingScheme::Raster);
    }
    if text.starts_with('{') {
        let set = settled(text, "tiles");
        return set.map_err(|why| Error::Usage(format!("--tiling-scheme: the JSON {why}")));
    }
    let path = Path::new(text);
    let named_file = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    if named_file || path.is_file() {
        return of_file(path);
    }
    let name = text.split_once(REGISTER).map_or(text, |(_, name)| name);
    registered(name).map(TilingScheme::of).or_else(|why| match data_file(&format!("tms_{name}.json")) {
        Some(path) => of_file(&path),
        None => Err(Error::Usage(format!("--tiling-scheme: {why}"))),
    })
}

/// The grid that a file defines.
fn of_file(path: &Path) -> Result<TilingScheme> {
    let unreadable =
        |e: std::io::Error| Error::input(path, format!("cannot be read as a tiling scheme: {e}"));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::input(path, "is too long for a tile matrix set"));
    }
    let stem = path.file_stem().map_or_else(|| "tiles".into(), |s| s.to_string_lossy());
    settled(&String::from_utf8_lossy(&bytes), &stem).map_err(|why| Error::input(path, why))
}

fn settled(text: &str, name: &str) -> Result<TilingScheme, String> {
    let set = settle(&Definition::parse(text)?, name)?;
    Ok(TilingScheme::of(Arc::new(set)))
}
