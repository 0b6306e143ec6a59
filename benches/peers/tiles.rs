//! What a program made: how many tiles, how large, and how far their pixels are from another program's.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use png::Transformations;
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
    /// Bytes of all PNG files, or of the archive.
    pub bytes: u64,
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

    /// Counts what is there.
    pub fn extent(self, path: &Path) -> Result<Extent> {
        let tiles = match self {
            Self::Folder => {
                let mut extent = Extent { tiles: 0, bytes: 0 };
                pngs(path, &mut |file| {
                    extent.tiles += 1;
                    extent.bytes += fs::metadata(file)?.len();
                    Ok(())
                })?;
                return Ok(extent);
            }
            Self::Mbtiles => {
                let count = "SELECT count(*) FROM tiles";
                database(path)?.query_row(count, [], |row| row.get::<_, i64>(0))?.unsigned_abs()
            }
            Self::Pmtiles => {
                // Header of version 3: the number of addressed tiles stands at byte 72.
                let mut header = [0; 127];
                File::open(path)?.read_exact(&mut header)?;
                header[72..80].iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
            }
        };
        Ok(Extent { tiles, bytes: fs::metadata(path)?.len() })
    }

    /// Columns and rows of the tiles of a level, in order; none of an archive whose index is not read here.
    fn addresses(self, path: &Path, level: u8) -> Result<Vec<(u32, u32)>> {
        let mut found = Vec::new();
        match self {
            Self::Folder => pngs(&path.join(level.to_string()), &mut |file| {
                let number = |part: Option<&std::ffi::OsStr>| part?.to_str()?.parse().ok();
                let column = number(file.parent().and_then(Path::file_name));
                found.extend(column.zip(number(file.file_stem())));
                Ok(())
            })?,
            Self::Mbtiles => {
                let database = database(path)?;
                let mut query =
                    database.prepare("SELECT tile_column, tile_row FROM tiles WHERE zoom_level = ?")?;
                for row in query.query_map([level], |row| Ok((row.get(0)?, row.get(1)?)))? {
                    let (column, row_from_south): (u32, u32) = row?;
                    found.push((column, (1 << level) - 1 - row_from_south));
                }
            }
            Self::Pmtiles => {}
        }
        found.sort_unstable();
        Ok(found)
    }

    fn tile(self, path: &Path, level: u8, (column, row): (u32, u32)) -> Result<Vec<u8>> {
        match self {
            Self::Folder => Ok(fs::read(path.join(format!("{level}/{column}/{row}.png")))?),
            Self::Mbtiles => {
                let sql =
                    "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?";
                let row_from_south = (1u32 << level) - 1 - row;
                Ok(database(path)?.query_row(sql, (level, column, row_from_south), |row| row.get(0))?)
            }
            Self::Pmtiles => Err("tiles of PMTiles archives are not read here".into()),
        }
    }
}

/// Mean absolute difference of the pixels of two tile sets of the same kind, in levels of 255, where both are opaque:
/// of up to `count` tiles that both have, spread over a level. `None` when there is nothing to compare.
pub fn difference(
    container: Container,
    [one, other]: [&Path; 2],
    level: u8,
    count: usize,
) -> Result<Option<f64>> {
    let theirs = container.addresses(other, level)?;
    let mut common = container.addresses(one, level)?;
    common.retain(|address| theirs.binary_search(address).is_ok());
    let (mut sum, mut samples) = (0u64, 0u64);
    for address in common.iter().step_by(common.len().div_ceil(count).max(1)) {
        let a = rgba(&container.tile(one, level, *address)?)?;
        let b = rgba(&container.tile(other, level, *address)?)?;
        if a.len() != b.len() {
            return Err("tiles differ in size".into());
        }
        for (a, b) in a.iter().zip(&b).filter(|(a, b)| a[3] == 255 && b[3] == 255) {
            sum += (0..3).map(|band| u64::from(a[band].abs_diff(b[band]))).sum::<u64>();
            samples += 3;
        }
    }
    Ok((samples > 0).then(|| sum as f64 / samples as f64))
}

fn rgba(bytes: &[u8]) -> Result<Vec<[u8; 4]>> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::normalize_to_color8() | Transformations::ALPHA);
    let mut reader = decoder.read_info()?;
    let mut samples = vec![0; reader.output_buffer_size().ok_or("a tile of unheard-of size")?];
    let info = reader.next_frame(&mut samples)?;
    samples.truncate(info.buffer_size());
    Ok(match info.color_type {
        png::ColorType::GrayscaleAlpha => {
            samples.as_chunks::<2>().0.iter().map(|&[grey, alpha]| [grey, grey, grey, alpha]).collect()
        }
        _ => samples.as_chunks::<4>().0.to_vec(),
    })
}

fn pngs(folder: &Path, each: &mut impl FnMut(&Path) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            pngs(&path, each)?;
        } else if path.extension().is_some_and(|e| e == "png") {
            each(&path)?;
        }
    }
    Ok(())
}

fn database(path: &Path) -> Result<Connection> {
    Ok(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?)
}
