//! Where the bytes of tiles are, and how a reader thread gets at them.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use md5::{Digest, Md5};
use rusqlite::{Connection, params};

use crate::error::{Error, Result};
use crate::grid::{Grid, TileCoord};
use crate::raster::probe::Probe;
use crate::store::mbtiles::{connect, hex};
use crate::tileset::Scheme;

/// A stored tile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    /// The first of its addresses.
    pub(super) coord: TileCoord,
    /// Bytes.
    pub(super) len: u32,
    /// Where it is: an offset in the file, or the number of a row.
    pub(super) place: u64,
}

/// Largest tile that is read. No picture of a sensible size takes as much.
pub(super) const MOST_TILE: u64 = 32 << 20;

/// Where the bytes of tiles are. This is what travels between threads.
#[derive(Debug, Clone)]
pub(super) enum Shelf {
    /// Files of a folder.
    Folder { root: PathBuf, grid: Grid, scheme: Scheme, ending: String },
    /// Parts of a file.
    Parts { path: PathBuf },
    /// Rows of a table, by their number.
    Rows { path: PathBuf, sql: String },
    /// Rows of a view, by address; with a digest where the database has that.
    Addresses { path: PathBuf, sql: String, hashed: bool },
}

/// The name of a tile's file below its folder.
pub(super) fn file_name(coord: TileCoord, (grid, scheme): (&Grid, Scheme), ending: &str) -> String {
    let row = if scheme == Scheme::Tms { grid.turned(coord).map_or(coord.y, |t| t.y) } else { coord.y };
    format!("{}/{}/{row}{ending}", coord.z, coord.x)
}

/// The same, open on one thread.
pub(super) enum OpenShelf<'a> {
    Folder(&'a Shelf),
    Parts(File),
    Database(Connection, &'a Shelf),
}

impl Shelf {
    /// Opens it for a thread.
    ///
    /// # Errors
    /// [`Error::Input`] when that is no longer possible.
    pub(super) fn open(&self) -> Result<OpenShelf<'_>> {
        match self {
            Self::Folder { .. } => Ok(OpenShelf::Folder(self)),
            Self::Parts { path } => File::open(path)
                .map(OpenShelf::Parts)
                .map_err(|e| Error::input(path, format!("cannot be opened: {e}"))),
            Self::Rows { path, .. } | Self::Addresses { path, .. } => {
                Ok(OpenShelf::Database(connect(path)?, self))
            }
        }
    }

    /// The path by which GDAL reads a tile that is a file of its own, or lies in one.
    fn raster_path(&self, piece: &Piece) -> Option<PathBuf> {
        match self {
            Self::Folder { .. } => self.file(piece.coord),
            Self::Parts { path } => {
                Some(format!("/vsisubfile/{}_{},{}", piece.place, piece.len, path.display()).into())
            }
            _ => None,
        }
    }

    fn file(&self, coord: TileCoord) -> Option<PathBuf> {
        let Self::Folder { root, grid, scheme, ending } = self else { return None };
        Some(root.join(file_name(coord, (grid, *scheme), ending)))
    }

    /// Has GDAL read a tile that is a `GeoTIFF`, wholly.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn raster(&self, piece: &Piece, most: usize) -> Result<crate::window::Size, String> {
        let path =
            self.raster_path(piece).ok_or("is GeoTIFF, which only folders and tar archives can hold")?;
        let read = Probe::open(&path).and_then(|probe| probe.read_all(most));
        read.map_err(|why| format!("is a damaged GeoTIFF: {why}"))
    }
}

impl OpenShelf<'_> {
    /// The bytes of a tile.
    ///
    /// # Errors
    /// Why they cannot be read, to follow "tile 3/4/5".
    pub(super) fn bytes(&self, piece: &Piece) -> Result<Vec<u8>, String> {
        let unreadable = |e: std::io::Error| format!("cannot be read: {e}");
        if u64::from(piece.len) > MOST_TILE {
            return Err(format!("has {} bytes: too many for a tile", piece.len));
        }
        match self {
            Self::Folder(shelf) => {
                let path = shelf.file(piece.coord).ok_or("has no name")?;
                let mut bytes = Vec::with_capacity(piece.len as usize);
                let file = File::open(path).map_err(unreadable)?;
                file.take(MOST_TILE).read_to_end(&mut bytes).map_err(unreadable)?;
                Ok(bytes)
            }
            Self::Parts(file) => {
                let mut bytes = vec![0; piece.len as usize];
                file.read_exact_at(&mut bytes, piece.place).map_err(unreadable)?;
                Ok(bytes)
            }
            Self::Database(database, shelf) => row(database, shelf, piece),
        }
    }
}

fn row(database: &Connection, shelf: &Shelf, piece: &Piece) -> Result<Vec<u8>, String> {
    let unreadable = |e: rusqlite::Error| format!("cannot be read: {e}");
    let TileCoord { z, x, .. } = piece.coord;
    let bytes = |row: &rusqlite::Row<'_>| {
        let value = row.get_ref(0).map_err(unreadable)?;
        value.as_bytes_or_null().map(|b| b.unwrap_or_default().to_vec()).map_err(|e| unreadable(e.into()))
    };
    match shelf {
        Shelf::Rows { sql, .. } => {
            let mut query = database.prepare_cached(sql).map_err(unreadable)?;
            let mut rows = query.query(params![piece.place as i64]).map_err(unreadable)?;
            rows.next().map_err(unreadable)?.map_or_else(|| Err("cannot be found".to_owned()), bytes)
        }
        Shelf::Addresses { sql, hashed, .. } => {
            let mut query = database.prepare_cached(sql).map_err(unreadable)?;
            let mut rows = query.query(params![z, x, piece.coord.tms_y()]).map_err(unreadable)?;
            let Some(row) = rows.next().map_err(unreadable)? else {
                return Err("is listed but cannot be found".to_owned());
            };
            let bytes = bytes(row)?;
            if *hashed
                && let Ok(told) = row.get_ref(1).map_err(unreadable)?.as_str()
                && told.len() == 32
                && !told.eq_ignore_ascii_case(&hex(&Md5::digest(&bytes)))
            {
                return Err(format!("is damaged: its MD5 is not {told}"));
            }
            Ok(bytes)
        }
        _ => Err("is not in a database".to_owned()),
    }
}

/// Whether bytes begin as a TIFF does.
pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    matches!(bytes, [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..])
}

/// The path of a file without the folder it was found in, for messages.
pub(super) fn below<'a>(root: &Path, path: &'a Path) -> std::path::Display<'a> {
    path.strip_prefix(root).unwrap_or(path).display()
}
