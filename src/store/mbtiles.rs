//! An MBTiles database to read, through the interface of the specification: `tiles`, a table or a view, and `metadata`.

use std::fmt::Write;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use md5::{Digest, Md5};
use rusqlite::{Connection, OpenFlags, Row, params};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::grid::{Grid, TileCoord, TileMatrixLimits};
use crate::store::metadata::{About, Found, Keys};
use crate::store::names::{self, MOST_DESCRIPTION};
use crate::store::{Opener, Take, TileStore, unreadable};
use crate::tileset::Scheme;

/// In the order of the rows, so that a table is read from its beginning to its end; lengths need no tile's bytes.
const EACH: &str = "SELECT zoom_level, tile_column, tile_row, length(tile_data) FROM tiles";
const TILE: &str = "SELECT tile_data FROM tiles WHERE zoom_level = ?1 AND tile_column = ?2 AND tile_row = ?3";
/// Martin's databases tell the MD5 of each tile (<https://maplibre.org/martin/mbtiles-schema.html>).
pub(crate) const HASHED: &str = "SELECT tile_data, tile_hash FROM tiles_with_hash WHERE zoom_level = ?1 AND tile_column = ?2 AND tile_row = ?3";
const LEVELS: &str = "SELECT min(zoom_level), max(zoom_level) FROM tiles";
const FIRST: &str = "SELECT zoom_level, tile_column, tile_row FROM tiles WHERE zoom_level = ?1 LIMIT 1";
const OF_LEVEL: &str = "SELECT zoom_level, tile_column, tile_row FROM tiles WHERE zoom_level = ?1";
const METADATA: &str = "SELECT name, value FROM metadata";

/// An MBTiles database, opened for reading only.
#[derive(Debug)]
pub struct MbtilesStore {
    database: Connection,
    known: Arc<Known>,
}

#[derive(Debug)]
struct Known {
    about: About,
    /// Whether the database tells the MD5 of each tile.
    hashed: bool,
}

impl MbtilesStore {
    /// Opens a database and reads its metadata.
    ///
    /// # Errors
    /// [`Error::Input`] when it is cut off, has no `tiles`, or none that can be read.
    pub fn open(path: &Path) -> Result<Self> {
        whole(path)?;
        let database = connect(path)?;
        let refused = |e| broken(path, &e);
        let sql = "SELECT count(*) FROM sqlite_master WHERE name = 'tiles' AND type IN ('table', 'view')";
        if database.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(refused)? == 0 {
            return Err(Error::input(path, "is an SQLite database without a table 'tiles': no MBTiles"));
        }
        let hashed = database.prepare(HASHED).is_ok();
        let keys = keys(path, &database)?;
        let levels = database.query_row(LEVELS, [], |row| Ok((row.get(0)?, row.get(1)?))).map_err(refused)?;
        let (Some(lowest), Some(highest)): (Option<i64>, Option<i64>) = levels else {
            return Err(Error::input(path, "holds no tile"));
        };
        let first = database.query_row(FIRST, [lowest], |row| Ok(place(path, row))).map_err(refused)??;
        let Ok(max_zoom) = u8::try_from(highest) else { return Err(nowhere(path, highest, 0, 0)) };
        let bytes = tile(path, &database, hashed, first)?;
        let bytes =
            bytes.ok_or_else(|| Error::input(path, format!("lists tile {first} but does not find it")))?;
        let zooms = (first.z, max_zoom);
        let (grid, retina) = (Grid::WebMercator, false);
        let found =
            Found { path, container: "mbtiles", keys, zooms, first, bytes, free: false, grid, retina };
        let mut about = found.about(|| {
            let mut extent = TileMatrixLimits::default();
            let mut query = database.prepare(OF_LEVEL).map_err(refused)?;
            let mut rows = query.query([highest]).map_err(refused)?;
            while let Some(row) = rows.next().map_err(refused)? {
                extent.add(place(path, row)?);
            }
            Ok(extent)
        })?;
        if has_rows(&database, "grids") {
            about.notes.push("grids (UTFGrid) are not read, only tiles".to_owned());
        }
        Ok(Self { database, known: Arc::new(Known { about, hashed }) })
    }
}

impl TileStore for MbtilesStore {
    fn about(&self) -> &About {
        &self.known.about
    }

    fn each(&self, take: &mut Take<'_>) -> Result<()> {
        let about = &self.known.about;
        let path = &about.path;
        let refused = |e| broken(path, &e);
        let mut query = self.database.prepare(EACH).map_err(refused)?;
        let mut rows = query.query([]).map_err(refused)?;
        while let Some(row) = rows.next().map_err(refused)? {
            let coord = place(path, row)?;
            let len: Option<i64> = row.get(3).map_err(refused)?;
            let Some(len) = len.and_then(|len| u64::try_from(len).ok()) else {
                return Err(about.refusal(coord, "has no bytes"));
            };
            take(coord, len)?;
        }
        Ok(())
    }

    fn tile(&self, coord: TileCoord) -> Result<Option<Vec<u8>>> {
        tile(&self.known.about.path, &self.database, self.known.hashed, coord)
    }

    fn opener(&self) -> Opener {
        let known = Arc::clone(&self.known);
        Opener::new(move || {
            let database = connect(&known.about.path)?;
            Ok(Box::new(Self { database, known: Arc::clone(&known) }))
        })
    }
}

pub(crate) fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|e| broken(path, &e))
}

/// Refuses a file that is shorter than its header says (format, section 1.3: page size, and number of pages if it is
/// valid): a tile that is not asked for would not be missed.
pub(crate) fn whole(path: &Path) -> Result<()> {
    let mut head = [0; 100];
    let read = File::open(path).and_then(|file| {
        file.read_exact_at(&mut head, 0)?;
        file.metadata()
    });
    let size = match read {
        Ok(found) => found.len(),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(Error::input(path, "is cut off within the header of its database"));
        }
        Err(e) => return Err(unreadable(path, "cannot be read", &e)),
    };
    let field =
        |at: usize| u64::from(u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
    let page = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65_536,
        bytes => u64::from(bytes),
    };
    let told = page * field(28);
    if field(24) == field(92) && size < told {
        return Err(Error::input(path, format!("is cut off: it has {size} bytes of {told}")));
    }
    Ok(())
}

fn has_rows(database: &Connection, table: &str) -> bool {
    database.query_row(&format!("SELECT 1 FROM {table} LIMIT 1"), [], |_| Ok(())).is_ok()
}

/// The table of metadata, if there is one. The first of several rows of a name counts.
fn keys(path: &Path, database: &Connection) -> Result<Keys> {
    let mut keys = Keys::new();
    let Ok(mut query) = database.prepare(METADATA) else { return Ok(keys) };
    let refused = |e| broken(path, &e);
    let mut rows = query.query([]).map_err(refused)?;
    let mut size = 0;
    while let Some(row) = rows.next().map_err(refused)? {
        let text = |column| {
            row.get_ref(column).map_err(refused).map(|value| match value {
                rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => {
                    Some(String::from_utf8_lossy(bytes).into_owned())
                }
                rusqlite::types::ValueRef::Integer(number) => Some(number.to_string()),
                rusqlite::types::ValueRef::Real(number) => Some(number.to_string()),
                rusqlite::types::ValueRef::Null => None,
            })
        };
        let (Some(name), Some(value)) = (text(0)?, text(1)?) else { continue };
        size += name.len() + value.len();
        if size as u64 > MOST_DESCRIPTION {
            return Err(Error::input(path, "has metadata too large for the description of a tile set"));
        }
        keys.entry(name).or_insert(Value::String(value));
    }
    Ok(keys)
}

/// The address in the first three columns of a row.
fn place(path: &Path, row: &Row<'_>) -> Result<TileCoord> {
    let number = |column| row.get::<_, i64>(column).map_err(|e| broken(path, &e));
    let (z, x, y) = (number(0)?, number(1)?, number(2)?);
    let small = |n: i64| u32::try_from(n).ok();
    let coord = match (small(z), small(x), small(y)) {
        (Some(z), Some(x), Some(row)) => names::address(z, x, row, (&Grid::WebMercator, Scheme::Tms)),
        _ => None,
    };
    coord.ok_or_else(|| nowhere(path, z, x, y))
}

fn nowhere(path: &Path, z: i64, x: i64, y: i64) -> Error {
    Error::input(
        path,
        format!("has a tile at zoom {z}, column {x}, row {y}, which is outside of Web Mercator"),
    )
}

fn tile(path: &Path, database: &Connection, hashed: bool, coord: TileCoord) -> Result<Option<Vec<u8>>> {
    let refused = |e| broken(path, &e);
    let mut query = database.prepare_cached(if hashed { HASHED } else { TILE }).map_err(refused)?;
    let mut rows = query.query(params![coord.z, coord.x, coord.tms_y()]).map_err(refused)?;
    let Some(row) = rows.next().map_err(refused)? else { return Ok(None) };
    let bytes = row.get_ref(0).map_err(refused)?.as_bytes_or_null();
    let bytes = bytes.map_err(|e| refused(e.into()))?;
    if hashed
        && let Ok(told) = row.get_ref(1).map_err(refused)?.as_str()
        && let Some(bytes) = bytes
        && told.len() == 32
        && !told.eq_ignore_ascii_case(&hex(&Md5::digest(bytes)))
    {
        return Err(Error::input(path, format!("tile {coord} is damaged: its MD5 is not {told}")));
    }
    Ok(bytes.map(<[u8]>::to_vec))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn broken(path: &Path, error: &rusqlite::Error) -> Error {
    Error::input(path, format!("is not a sound MBTiles database: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::TileFormat;
    use crate::store::open;
    use crate::store::picture::tests::tile as picture;

    /// A database that some statements made.
    fn database(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("set.db");
        let db = Connection::open(&path).expect("created");
        db.execute_batch(sql).expect("SQL");
        if has_rows(&db, "sqlite_master WHERE name = 'tiles' AND type = 'table'") {
            let bytes = picture(TileFormat::Png, 32, 1);
            db.execute("UPDATE tiles SET tile_data = ?1 WHERE tile_data = 1", params![bytes]).expect("bytes");
        }
        (dir, path)
    }

    const TABLE: &str = "CREATE TABLE tiles (zoom_level, tile_column, tile_row, tile_data);";

    fn refusal(sql: &str) -> String {
        let (_dir, path) = database(sql);
        let result = open(&path, None).and_then(|store| store.each(&mut |_, _| Ok(())));
        result.expect_err(sql).to_string()
    }

    #[test]
    fn tiles_without_metadata_or_index_are_read() {
        let (_dir, path) = database(&format!("{TABLE} INSERT INTO tiles VALUES (2, 1, 0, 1), (1, 0, 1, 1);"));
        let store = open(&path, None).expect("a set");
        let mut found = Vec::new();
        let take = &mut |coord, _| {
            found.push(coord);
            Ok(())
        };
        store.each(take).expect("listed");
        assert_eq!(found, [TileCoord::new(2, 1, 3), TileCoord::new(1, 0, 0)]);
        assert_eq!((store.info().min_zoom, store.info().max_zoom), (1, 2));
        assert_eq!(store.about().first, TileCoord::new(1, 0, 0));
        assert!(store.tile(TileCoord::new(2, 1, 3)).expect("read").is_some());
        assert!(store.tile(TileCoord::new(2, 1, 0)).expect("read").is_none());
        let again = store.opener().open().expect("again");
        assert!(again.tile(TileCoord::new(1, 0, 0)).expect("read").is_some());
    }

    #[test]
    fn what_is_no_mbtiles_is_named() {
        assert!(refusal("CREATE TABLE gpkg_contents (a);").contains("without a table 'tiles'"));
        assert!(refusal(TABLE).contains("holds no tile"));
        let sql = format!("{TABLE} INSERT INTO tiles VALUES (2, 4, 0, 1);");
        assert!(refusal(&sql).contains("zoom 2, column 4, row 0"));
        let sql = format!("{TABLE} INSERT INTO tiles VALUES (0, 0, 0, 1), (400, 4, 0, 1);");
        assert!(refusal(&sql).contains("zoom 400"));
        let sql = format!("{TABLE} INSERT INTO tiles VALUES (0, 0, 0, 1), (1, 1, 1, NULL);");
        assert!(refusal(&sql).contains("tile 1/1/0 has no bytes"));
        let sql = format!("{TABLE} INSERT INTO tiles VALUES (0, 0, 0, 1), (1, 'a', 1, 1);");
        assert!(refusal(&sql).contains("not a sound"));
    }

    #[test]
    fn a_file_that_was_cut_off_is_refused_at_once() {
        let (_dir, path) = database(&format!("{TABLE} INSERT INTO tiles VALUES (2, 1, 0, 1);"));
        let bytes = std::fs::read(&path).expect("file");
        for len in [50, 4096, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..len]).expect("cut");
            let error = open(&path, None).err().expect("cut off").to_string();
            assert!(error.contains("is cut off"), "{error}");
        }
    }

    #[test]
    fn a_tile_that_has_another_digest_than_is_told_is_refused() {
        let bytes = picture(TileFormat::Png, 32, 1);
        for (digest, sound) in [(hex(&Md5::digest(&bytes)).to_uppercase(), true), ("0".repeat(32), false)] {
            let (_dir, path) = database(&format!(
                "CREATE TABLE tiles_with_hash (zoom_level, tile_column, tile_row, tile_data, tile_hash);
                 INSERT INTO tiles_with_hash VALUES (2, 1, 0, x'{}', '{digest}');
                 CREATE VIEW tiles AS SELECT * FROM tiles_with_hash;",
                hex(&bytes)
            ));
            let read = open(&path, None).and_then(|store| store.tile(TileCoord::new(2, 1, 3)));
            match read {
                Ok(found) => assert!(sound && found == Some(bytes.clone())),
                Err(error) => assert!(!sound && error.to_string().contains("tile 2/1/3 is damaged: its MD5")),
            }
        }
    }

    #[test]
    fn numbers_blobs_and_nothing_may_stand_in_the_metadata() {
        let (_dir, path) = database(&format!(
            "{TABLE} INSERT INTO tiles VALUES (2, 1, 0, 1); CREATE TABLE metadata (name, value);
             INSERT INTO metadata VALUES ('name', x'4142'), ('made', 7), ('by', NULL), (NULL, 'x'), ('made', 8);"
        ));
        let info = open(&path, None).expect("a set").info().clone();
        assert_eq!(info.name, "AB");
        assert_eq!(info.extra, [("made".to_owned(), "7".into())]);
    }
}
