//! What a program made: how many tiles, how large, and how far their pixels are from another program's. Tiles are decoded
//! by GDAL.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use gdal::Dataset;
use gdal::raster::ColorTable;
use gdal::vsi::{create_mem_file, unlink_mem_file};
use rusqlite::{Connection, OpenFlags};

use crate::Result;

/// What tiles come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// `{z}/{x}/{y}.png`, rows from the north.
    Folder,
    /// One SQLite file.
    Mbtiles,
    /// One PMTiles archive.
    Pmtiles,
}

/// How many tiles there are, and how many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Tiles that can be asked for.
    pub tiles: u64,
    /// Bytes of all tile files, or of the archive.
    pub bytes: u64,
}

/// A set of tiles, to look into.
#[derive(Clone, Debug)]
pub struct Set {
    /// Where it is.
    pub path: PathBuf,
    /// What it comes in.
    pub container: Container,
    /// Extension of tile files.
    pub extension: &'static str,
}

impl Container {
    /// A path for an output of this kind.
    pub fn path(self, folder: &Path, name: &str) -> PathBuf {
        folder.join(match self {
            Self::Folder => name.to_owned(),
            Self::Mbtiles => format!("{name}.mbtiles"),
            Self::Pmtiles => format!("{name}.pmtiles"),
        })
    }
}

impl Set {
    /// Counts what is there.
    pub fn extent(&self) -> Result<Extent> {
        let tiles = match self.container {
            Container::Folder => {
                let mut extent = Extent { tiles: 0, bytes: 0 };
                self.files(&self.path, &mut |file| {
                    extent.tiles += 1;
                    extent.bytes += fs::metadata(file)?.len();
                    Ok(())
                })?;
                return Ok(extent);
            }
            Container::Mbtiles => {
                let count = "SELECT count(*) FROM tiles";
                self.database()?.query_row(count, [], |row| row.get::<_, i64>(0))?.unsigned_abs()
            }
            Container::Pmtiles => {
                // Header of version 3: the number of addressed tiles stands at byte 72.
                let mut header = [0; 127];
                File::open(&self.path)?.read_exact(&mut header)?;
                header[72..80].iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
            }
        };
        Ok(Extent { tiles, bytes: fs::metadata(&self.path)?.len() })
    }

    /// Columns and rows of the tiles of a level, in order; none of an archive whose index is not read here.
    fn addresses(&self, level: u8) -> Result<Vec<(u32, u32)>> {
        let mut found = Vec::new();
        match self.container {
            Container::Folder => self.files(&self.path.join(level.to_string()), &mut |file| {
                let number = |part: Option<&std::ffi::OsStr>| part?.to_str()?.parse().ok();
                let column = number(file.parent().and_then(Path::file_name));
                found.extend(column.zip(number(file.file_stem())));
                Ok(())
            })?,
            Container::Mbtiles => {
                let database = self.database()?;
                let mut query =
                    database.prepare("SELECT tile_column, tile_row FROM tiles WHERE zoom_level = ?")?;
                for row in query.query_map([level], |row| Ok((row.get(0)?, row.get(1)?)))? {
                    let (column, row_from_south): (u32, u32) = row?;
                    found.push((column, (1 << level) - 1 - row_from_south));
                }
            }
            Container::Pmtiles => {}
        }
        found.sort_unstable();
        Ok(found)
    }

    fn tile(&self, level: u8, (column, row): (u32, u32)) -> Result<Vec<u8>> {
        match self.container {
            Container::Folder => {
                let name = format!("{level}/{column}/{row}.{}", self.extension);
                Ok(fs::read(self.path.join(name))?)
            }
            Container::Mbtiles => {
                let sql =
                    "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?";
                let row_from_south = (1u32 << level) - 1 - row;
                Ok(self.database()?.query_row(sql, (level, column, row_from_south), |row| row.get(0))?)
            }
            Container::Pmtiles => Err("tiles of PMTiles archives are not read here".into()),
        }
    }

    fn files(&self, folder: &Path, each: &mut impl FnMut(&Path) -> Result<()>) -> Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                self.files(&path, each)?;
            } else if path.extension().is_some_and(|e| e == self.extension) {
                each(&path)?;
            }
        }
        Ok(())
    }

    fn database(&self) -> Result<Connection> {
        Ok(Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
    }
}

/// How far the pixels of two tile sets are apart, where both are opaque.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Mean absolute difference of the samples, levels of 255.
    pub mean: f64,
    /// Peak signal-to-noise ratio, dB; infinite when nothing differs.
    pub psnr: f64,
    /// Mean absolute difference of heights encoded in the pixels, metres.
    pub metres: f64,
}

impl Difference {
    /// Of up to `count` tiles that both sets have, spread over a level; `None` when there is nothing to compare.
    pub fn between(one: &Set, other: &Set, level: u8, count: usize) -> Result<Option<Self>> {
        let theirs = other.addresses(level)?;
        let mut common = one.addresses(level)?;
        common.retain(|address| theirs.binary_search(address).is_ok());
        let (mut sum, mut squares, mut metres, mut pixels) = (0u64, 0u64, 0.0, 0u64);
        for address in common.iter().step_by(common.len().div_ceil(count).max(1)) {
            let a = rgba(&one.tile(level, *address)?)?;
            let b = rgba(&other.tile(level, *address)?)?;
            if a.len() != b.len() {
                return Err("tiles differ in size".into());
            }
            for (a, b) in a.iter().zip(&b).filter(|(a, b)| a[3] == 255 && b[3] == 255) {
                for band in 0..3 {
                    let apart = u64::from(a[band].abs_diff(b[band]));
                    sum += apart;
                    squares += apart * apart;
                }
                metres += (height(*a) - height(*b)).abs();
                pixels += 1;
            }
        }
        let samples = (pixels * 3) as f64;
        Ok((pixels > 0).then(|| Self {
            mean: sum as f64 / samples,
            psnr: 10.0 * (255.0 * 255.0 * samples / squares as f64).log10(),
            metres: metres / pixels as f64,
        }))
    }
}

/// What the pixel of a terrain tile says, metres above -10000.
fn height([r, g, b, _]: [u8; 4]) -> f64 {
    f64::from(u32::from_be_bytes([0, r, g, b])) * 0.1
}

fn rgba(bytes: &[u8]) -> Result<Vec<[u8; 4]>> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!("/vsimem/tile{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    create_mem_file(&name, bytes.to_vec())?;
    let pixels = pixels(Path::new(&name));
    unlink_mem_file(&name)?;
    pixels
}

fn pixels(path: &Path) -> Result<Vec<[u8; 4]>> {
    let dataset = Dataset::open(path)?;
    let size = dataset.raster_size();
    let band = |n: usize| -> Result<Vec<u8>> {
        Ok(dataset.rasterband(n)?.read_as::<u8>((0, 0), size, size, None)?.data().to_vec())
    };
    let bands = (1..=dataset.raster_count()).map(band).collect::<Result<Vec<_>>>()?;
    let colour = |table: &ColorTable<'_>, n| {
        table.entry_as_rgb(n).map_or([0; 4], |e| [e.r, e.g, e.b, e.a].map(|v| v as u8))
    };
    let first = dataset.rasterband(1)?;
    let table = first.color_table();
    let table = table.map(|table| (0..table.entry_count()).map(|n| colour(&table, n)).collect::<Vec<_>>());
    let pixel = |k: usize| match (&bands[..], &table) {
        ([index], Some(table)) => table.get(usize::from(index[k])).copied().unwrap_or_default(),
        ([grey], None) => [grey[k], grey[k], grey[k], 255],
        ([grey, alpha], _) => [grey[k], grey[k], grey[k], alpha[k]],
        ([r, g, b], _) => [r[k], g[k], b[k], 255],
        ([r, g, b, alpha, ..], _) => [r[k], g[k], b[k], alpha[k]],
        ([], _) => [0; 4],
    };
    Ok((0..size.0 * size.1).map(pixel).collect())
}
