//! An MBTiles 1.3 database (<https://github.com/mapbox/mbtiles-spec/blob/master/1.3/spec.md>).
//!
//! Readers ask `SELECT tile_data FROM tiles WHERE zoom_level = … AND tile_column = … AND tile_row = …`, and the
//! specification lets `tiles` be a table or a view. Without equal tiles it is a table: nothing is smaller or faster,
//! and the simplest readers understand it. With equal tiles it is a view over `tiles_shallow` (address → number) and
//! `tiles_data` (number → bytes), the layout of Planetiler and of current Martin. The older pair `map` and
//! `images` has a text as the tile's number, by convention the MD5 of its bytes, in both tables and in an index of
//! its own: twice the size for small tiles, a digest a tile, and no reader that asks through `tiles` is better off.
//!
//! `SQLite` makes the schema and the metadata, in one transaction (the file's header counts them). To hand it tile after tile
//! would be the work of one thread, four kilobytes at a time; but its file format is documented, all tiles are known, and rows go
//! in by zoom level, column and row. So the pages of the tiles are laid out and made here, by several
//! threads. `SQLite` then reads back what came of it. There is no journal: nobody else sees the file
//! before it is complete, synced and renamed.

mod btree;
mod layout;

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use self::btree::PAGE;
use self::layout::{Database, Head, Rows};
use crate::assemble::assemble;
use crate::error::{Error, Result};
use crate::sink::order::Order;
use crate::sink::spool::{Sorted, Spool};
use crate::sink::target::{Claim, failed};
use crate::sink::{Deposited, Depot, TileSink, Written};
use crate::tileset::{ENCODING, TilesetInfo};

/// Tiles that are read back through `SQLite`, spread over all of them.
const SAMPLES: usize = 64;

/// What a page's number can be at most.
const MOST_PAGES: u64 = u32::MAX as u64 - 1;

/// `MPBX`, registered with SQLite as the mark of MBTiles.
const APPLICATION_ID: u32 = 0x4d50_4258;

const SETTINGS: &str = "
PRAGMA page_size = 4096;
PRAGMA encoding = 'UTF-8';
PRAGMA auto_vacuum = NONE;
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA temp_store = MEMORY;
PRAGMA cache_size = -16384;
";

const METADATA: &str = "
CREATE TABLE metadata (name TEXT NOT NULL PRIMARY KEY, value TEXT);
";

const PLAIN: &str = "
CREATE TABLE tiles (
    zoom_level INTEGER NOT NULL,
    tile_column INTEGER NOT NULL,
    tile_row INTEGER NOT NULL,
    tile_data BLOB NOT NULL
);
CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row);
";

const SHARED: &str = "
CREATE TABLE tiles_data (
    tile_data_id INTEGER PRIMARY KEY,
    tile_data BLOB NOT NULL
);
CREATE TABLE tiles_shallow (
    zoom_level INTEGER NOT NULL,
    tile_column INTEGER NOT NULL,
    tile_row INTEGER NOT NULL,
    tile_data_id INTEGER NOT NULL,
    PRIMARY KEY (zoom_level, tile_column, tile_row)
) WITHOUT ROWID;
CREATE VIEW tiles AS
SELECT
    tiles_shallow.zoom_level AS zoom_level,
    tiles_shallow.tile_column AS tile_column,
    tiles_shallow.tile_row AS tile_row,
    tiles_data.tile_data AS tile_data
FROM tiles_shallow
JOIN tiles_data ON tiles_shallow.tile_data_id = tiles_data.tile_data_id;
";

/// An MBTiles database under construction.
#[derive(Debug)]
pub struct MbtilesSink {
    spool: Spool,
    claim: Arc<Claim>,
    depot: Depot,
    info: TilesetInfo,
    _writer_thread: PhantomData<*mut ()>,
}

impl MbtilesSink {
    pub(super) fn new(claim: Arc<Claim>, depot: Depot, info: TilesetInfo) -> Self {
        Self { spool: Spool::new(Order::Columns), claim, depot, info, _writer_thread: PhantomData }
    }
}

impl TileSink for MbtilesSink {
    fn depot(&self) -> &Depot {
        &self.depot
    }

    fn accept(&mut self, tile: Deposited) -> Result<()> {
        self.spool.add(&tile)
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        let Self { spool, claim, depot, info, .. } = *self;
        let tiles = spool.finish(&depot)?;
        let (min_zoom, max_zoom) = tiles.zooms();
        // Held open all the time: it hears of writes that the system could not carry out later.
        let file = claim.create_partial()?;
        let path = claim.partial();
        let rows = Rows::of(&tiles);
        let head = schema(&rows, &info.with_zooms(min_zoom, max_zoom), path)
            .map_err(|e| failed(path, "cannot be written", &e))?;
        let database = Database::new(&tiles, rows, head)?;
        if database.pages() > MOST_PAGES {
            return Err(Error::output(path, "would be larger than a database can be (16 TiB)"));
        }
        assemble(&file, path, &database, tiles.segments())?;
        verify(&tiles, path)?;
        file.sync_all().map_err(|e| failed(claim.partial(), "cannot be synced", &e))?;
        let bytes = file.metadata().map_err(|e| failed(claim.partial(), "cannot be inspected", &e))?.len();
        claim.commit()?;
        tiles.discard();
        Ok(Written {
            tiles: tiles.len() as u64,
            duplicates: (tiles.len() - tiles.distinct()) as u64,
            bytes,
            min_zoom,
            max_zoom,
        })
    }
}

/// Has `SQLite` make the database without tiles.
fn schema(rows: &Rows, info: &TilesetInfo, path: &Path) -> Result<Head, Box<dyn std::error::Error>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.execute_batch(SETTINGS)?;
    db.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; BEGIN;"))?;
    db.execute_batch(METADATA)?;
    let mut insert = db.prepare("INSERT INTO metadata (name, value) VALUES (?1, ?2)")?;
    for (name, value) in metadata(info) {
        insert.execute(params![name, value])?;
    }
    drop(insert);
    let (sql, table, addresses) = match rows {
        Rows::Own => (PLAIN, "tiles", "tile_index"),
        Rows::Shared { .. } => (SHARED, "tiles_data", "tiles_shallow"),
    };
    db.execute_batch(sql)?;
    db.execute_batch("COMMIT")?;
    let root = |name: &str| {
        let sql = "SELECT rootpage FROM sqlite_master WHERE name = ?1";
        db.query_row(sql, [name], |row| row.get::<_, u32>(0))
    };
    let (table_root, address_root) = (root(table)?.into(), root(addresses)?.into());
    db.close().map_err(|(_, error)| error)?;
    let bytes = std::fs::read(path)?;
    if bytes.is_empty() || bytes.len() % PAGE != 0 {
        return Err(format!("SQLite made {} bytes, no whole pages", bytes.len()).into());
    }
    Ok(Head { bytes, table_root, address_root })
}

/// The rows of the metadata table, in the order of the specification.
fn metadata(info: &TilesetInfo) -> Vec<(&str, String)> {
    let mut rows = vec![
        ("name", info.name.clone()),
        ("format", info.format.extension().to_owned()),
        ("bounds", info.bounds_text()),
        ("center", info.centre_text()),
        ("minzoom", info.min_zoom.to_string()),
        ("maxzoom", info.max_zoom.to_string()),
        ("type", info.kind.name().to_owned()),
        // A number here, while TileJSON wants a semantic version.
        ("version", info.version.clone().unwrap_or_else(|| "1".to_owned())),
    ];
    rows.extend(info.attribution.clone().map(|text| ("attribution", text)));
    rows.extend(info.description.clone().map(|text| ("description", text)));
    // Rows are texts; what is not, but for the numbers of an encoding, goes where the specification has room for structure.
    let mut json = serde_json::Map::new();
    for (key, value) in info.further() {
        match value {
            serde_json::Value::String(text) => rows.push((key, text)),
            number if ENCODING.contains(&key) => rows.push((key, number.to_string())),
            other => drop(json.insert(key.to_owned(), other)),
        }
    }
    if !json.is_empty() {
        rows.push(("json", serde_json::Value::Object(json).to_string()));
    }
    rows
}

/// Reads the finished database as another program would: how many tiles it has, and some of them.
fn verify(tiles: &Sorted, path: &Path) -> Result<()> {
    let unreadable = |e: rusqlite::Error| failed(path, "cannot be read back", &e);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(unreadable)?;
    let table = if tiles.distinct() == tiles.len() { "tiles" } else { "tiles_data" };
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(unreadable);
    let found = (number("SELECT count(*) FROM tiles")?, number(&format!("SELECT max(rowid) FROM {table}"))?);
    if found != (tiles.len() as i64, tiles.distinct() as i64) {
        let (addressed, stored) = found;
        let reason = format!(
            "holds {addressed} tiles ({stored} different) instead of {} ({})",
            tiles.len(),
            tiles.distinct()
        );
        return Err(Error::output(path, reason));
    }
    let sql = "SELECT tile_data FROM tiles WHERE zoom_level = ?1 AND tile_column = ?2 AND tile_row = ?3";
    let mut query = db.prepare(sql).map_err(unreadable)?;
    let last = tiles.len() - 1;
    for sample in 0..SAMPLES.min(tiles.len()) {
        let index = last * sample / (SAMPLES - 1).min(last).max(1);
        let coord = tiles.coord(index);
        let same = query
            .query_row(params![coord.z, coord.x, coord.tms_y()], |row| {
                Ok(row.get_ref(0)?.as_blob().is_ok_and(|bytes| tiles.is(index, bytes)))
            })
            .optional()
            .map_err(unreadable)?;
        if same != Some(true) {
            let what = if same.is_none() { "is missing" } else { "came back damaged" };
            return Err(Error::output(path, format!("tile {coord} {what}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::TileFormat;
    use crate::grid::{Bounds, TileCoord};
    use crate::sink::{EncodedTile, OutputKind, Target, create};

    fn info() -> TilesetInfo {
        let bounds = Bounds { west: -10.0, south: 40.0, east: 10.0, north: 50.0 };
        TilesetInfo::new("set", bounds, TileFormat::Png, 256)
    }

    /// Bytes that tell which tile they are of.
    fn bytes(number: u32, len: usize) -> Vec<u8> {
        let mut bytes = number.wrapping_mul(2_654_435_761).to_le_bytes().repeat(len / 4 + 1);
        bytes.truncate(len);
        bytes
    }

    /// Writes tiles of the given lengths, of which those with equal numbers are equal, and has `SQLite` judge.
    fn judged(tiles: &[(u32, usize)]) -> Written {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("set.mbtiles");
        let mut sink = create(OutputKind::Mbtiles, &Target::new(&path), info()).expect("created");
        let at = |index: usize| TileCoord::new(9, index as u32 / 512, index as u32 % 512);
        for (index, (number, len)) in tiles.iter().enumerate().rev() {
            sink.write(EncodedTile::new(at(index), bytes(*number, *len))).expect("written");
        }
        let written = sink.finish().expect("finished");
        let db = Connection::open(&path).expect("opened");
        let check: String = db.query_row("PRAGMA integrity_check", [], |r| r.get(0)).expect("checked");
        assert_eq!(check, "ok");
        let mut query = db
            .prepare(
                "SELECT tile_data FROM tiles WHERE zoom_level = 9 AND tile_column = ?1 AND tile_row = ?2",
            )
            .expect("query");
        for (index, (number, len)) in tiles.iter().enumerate() {
            let coord = at(index);
            let found: Vec<u8> =
                query.query_row(params![coord.x, coord.tms_y()], |r| r.get(0)).expect("found");
            assert!(found == bytes(*number, *len), "tile {index} of {len} bytes");
        }
        written
    }

    #[test]
    fn tiles_around_every_limit_of_a_page_come_back() {
        let mut lens: Vec<usize> = (4..20).chain(460..500).chain(4030..4100).collect();
        for pages in 1..4 {
            // Between the least and the most that stays in a leaf, beside whole overflow pages.
            lens.extend((4092 * pages + 460)..(4092 * pages + 500));
            lens.extend((4092 * pages + 4030)..(4092 * pages + 4100));
        }
        lens.extend([1_000_000, 300_001]);
        let tiles: Vec<_> = lens.into_iter().enumerate().map(|(i, len)| (i as u32, len)).collect();
        assert_eq!(judged(&tiles).duplicates, 0);
        let doubled: Vec<_> = tiles.iter().chain(&tiles).copied().collect();
        assert_eq!(judged(&doubled).duplicates, tiles.len() as u64);
    }

    #[test]
    fn trees_of_every_height_are_sound() {
        for count in [1, 2, 3, 150, 151, 152, 153, 154, 155, 156, 157, 158, 300, 50_000] {
            judged(&(0..count).map(|i| (i, 8)).collect::<Vec<_>>());
        }
        for count in [508, 509, 510, 511, 512, 513, 514, 515, 516, 1100] {
            judged(&(0..count).map(|i| (i, 3000)).collect::<Vec<_>>());
        }
        judged(&(0..50_000).map(|i| (i % 7777, 8)).collect::<Vec<_>>());
        judged(&(0..5000).map(|i| (i % 1300, 3000)).collect::<Vec<_>>());
    }
}
