//! An MBTiles database: its file, its schema, its metadata and its index, by version 1.3 of the specification
//! (<https://github.com/mapbox/mbtiles-spec/blob/master/1.3/spec.md>).

mod schema;

use std::collections::BTreeMap;
use std::path::Path;

use md5::{Digest, Md5};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::Value;

use self::schema::{Schema, Storage};
use super::addresses::Gathering;
use super::shelf::{Piece, Shelf};
use super::told::Told;
use super::{Inventory, enough};
use crate::error::{Error, Result};
use crate::grid::{Grid, TileCoord};
use crate::job::check::Context;
use crate::job::check::report::{Faults, Severity};
use crate::store::mbtiles::{HASHED, connect, hex, whole};
use crate::store::metadata::Keys;
use crate::store::names::{self, MOST_DESCRIPTION};
use crate::tileset::Scheme;

/// `MPBX`, registered with SQLite as the mark of MBTiles.
const APPLICATION_ID: i64 = 0x4d50_4258;

/// One row of the index: an address, a length, the kind of value, and the number of the row of the bytes.
type Each<'a> = dyn FnMut(&Row<'_>) -> Result<(), Stop> + 'a;

/// Why listing ended early.
enum Stop {
    /// The database cannot be read any further.
    Sqlite(rusqlite::Error),
    /// Another reason, which ends the check.
    Error(Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Reads schema, metadata and index. `None` when there is nothing to check any further.
pub(super) fn audit(context: &Context<'_>, faults: &mut Faults) -> Result<Option<Inventory>> {
    let path = context.path;
    if let Err(error) = whole(path) {
        faults.error("cut-off", bare(path, &error));
    }
    let database = match connect(path).and_then(|db| defended(path, db)) {
        Ok(database) => database,
        Err(error) => {
            faults.error("database", bare(path, &error));
            return Ok(None);
        }
    };
    check_file(context, &database, faults);
    let schema = match Schema::read(&database) {
        Ok(Some(schema)) => schema,
        Ok(None) if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("mbtiles")) => {
            faults.error("schema", "is an SQLite database without 'tiles': no MBTiles");
            return Ok(None);
        }
        Ok(None) => return Err(Error::input(path, "is an SQLite database without 'tiles': no MBTiles")),
        Err(error) => {
            faults.error("database", format!("its schema cannot be read: {error}"));
            return Ok(None);
        }
    };
    schema.check(faults);
    if let Some(view) = schema.endless() {
        let text = format!("the view '{view}' is made with WITH, may never end and is not read");
        faults.error("database", text);
        return Ok(None);
    }
    let keys = metadata(&database, faults);
    if keys.get("format").and_then(Value::as_str).is_some_and(|f| f == "pbf" || f.contains("vector-tile")) {
        return Err(Error::input(path, "holds vector tiles; only tiles that are pictures can be checked"));
    }
    check_metadata(&keys, faults);
    if !schema.has_tiles() {
        return Ok(None);
    }
    let mut listing =
        Listing { context, gathering: Gathering::new(&Grid::WebMercator), pieces: Vec::new(), count: 0 };
    let shelf = listing.read(&database, &schema, faults)?;
    if !context.job.quick {
        check_digest(context, &database, &keys, faults)?;
    }
    if let Storage::Shared { index, data, id } = &schema.storage {
        check_shared(&database, (index, data, id), faults);
    }
    Ok(Some(Inventory {
        shelf,
        grid: Grid::WebMercator,
        gathering: listing.gathering,
        pieces: listing.pieces,
        told: vec![Told { source: "metadata".to_owned(), keys: unfolded(keys, faults) }],
        named: None,
        retina: false,
        placed: true,
    }))
}

/// The reason of an error without the path, which is said already.
fn bare(path: &Path, error: &Error) -> String {
    let text = error.to_string();
    text.strip_prefix(&format!("{}: ", path.display())).map_or_else(|| text.clone(), str::to_owned)
}

/// What stands in the schema of a database that somebody else made is not to be trusted.
fn defended(path: &Path, database: Connection) -> Result<Connection> {
    let settings = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA cache_size = -16384;";
    let refused = |e: rusqlite::Error| Error::input(path, format!("is not a sound MBTiles database: {e}"));
    database.execute_batch(settings).map_err(refused)?;
    Ok(database)
}

/// The file as SQLite sees it, and its mark.
fn check_file(context: &Context<'_>, database: &Connection, faults: &mut Faults) {
    let most = context.job.max_faults.max(1);
    let check = if context.job.quick { "quick_check" } else { "integrity_check" };
    let found = database.prepare(&format!("PRAGMA {check}({most})")).and_then(|mut query| {
        let rows = query.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect::<rusqlite::Result<Vec<_>>>()
    });
    match found {
        Ok(lines) => {
            for line in
                lines.iter().flat_map(|text| text.lines()).filter(|line| *line != "ok" && !line.is_empty())
            {
                faults.error("database", format!("SQLite finds: {line}"));
            }
        }
        Err(error) => faults.error("database", format!("SQLite cannot check it: {error}")),
    }
    if let Ok(id) = database.query_row("PRAGMA application_id", [], |row| row.get::<_, i64>(0))
        && id != 0
        && id != APPLICATION_ID
    {
        faults.warning("application-id", format!("has the mark {id:#x} of another kind of database"));
    }
}

/// The table of metadata, in its order.
fn metadata(database: &Connection, faults: &mut Faults) -> Keys {
    let mut keys = Keys::new();
    let mut query = match database.prepare("SELECT name, value FROM metadata") {
        Ok(query) => query,
        Err(error) => {
            faults.error("metadata", format!("has no table 'metadata' with 'name' and 'value': {error}"));
            return keys;
        }
    };
    let mut size = 0;
    let mut read = || -> Result<(), String> {
        let mut rows = query.query([]).map_err(|e| e.to_string())?;
        while let Some(row) = rows.next().map_err(|e| e.to_string())? {
            let (Some(name), Some(value)) = (text(row, 0), text(row, 1)) else {
                faults.warning("metadata", "metadata has a row without a name or a value");
                continue;
            };
            size += name.len() + value.len();
            if size as u64 > MOST_DESCRIPTION {
                return Err("it is too large for the description of a tile set".to_owned());
            }
            if keys.contains_key(&name) {
                faults.warning("metadata", format!("metadata has '{name}' more than once"));
            } else {
                keys.insert(name, Value::String(value));
            }
        }
        Ok(())
    };
    if let Err(why) = read() {
        faults.error("metadata", format!("its metadata cannot be read: {why}"));
    }
    keys
}

/// A value as text; `None` for NULL.
fn text(row: &Row<'_>, column: usize) -> Option<String> {
    match row.get_ref(column).ok()? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Null => None,
    }
}

/// What the specification requires and recommends.
fn check_metadata(keys: &Keys, faults: &mut Faults) {
    for key in ["name", "format"] {
        if keys.get(key).and_then(Value::as_str).is_none_or(|text| text.trim().is_empty()) {
            faults.error("metadata", format!("metadata has no '{key}', which the specification requires"));
        }
    }
    for key in ["bounds", "minzoom", "maxzoom"] {
        if !keys.contains_key(key) {
            faults
                .warning("metadata", format!("metadata has no '{key}', which the specification recommends"));
        }
    }
    if let Some(version) = keys.get("version").and_then(Value::as_str)
        && version.trim_start_matches('v').split('.').any(|part| part.parse::<u32>().is_err())
    {
        faults.warning("metadata", format!("metadata: version '{version}' is no number"));
    }
    for key in ["bounds", "center"] {
        // A list in brackets is JSON, not what the specification has.
        if let Some(value) = keys.get(key).and_then(Value::as_str).filter(|v| v.contains(['[', ']'])) {
            faults.warning("metadata", format!("metadata: {key} '{value}' are not numbers with commas only"));
        }
    }
}

/// The keys with those of `json` beside them.
fn unfolded(mut keys: Keys, faults: &mut Faults) -> Keys {
    match keys.shift_remove("json") {
        Some(Value::String(text)) if text.trim().is_empty() => {}
        Some(Value::String(text)) => match serde_json::from_str::<Value>(&text) {
            Ok(Value::Object(inner)) => {
                for (key, value) in inner {
                    keys.entry(key).or_insert(value);
                }
            }
            _ => faults.error("metadata", "metadata: 'json' is no JSON object"),
        },
        None | Some(_) => {}
    }
    keys
}

/// Addresses and stored tiles, while they are listed.
struct Listing<'a> {
    context: &'a Context<'a>,
    gathering: Gathering,
    pieces: Vec<Piece>,
    count: usize,
}

impl Listing<'_> {
    /// Lists the tiles, and says where their bytes are.
    fn read(&mut self, database: &Connection, schema: &Schema, faults: &mut Faults) -> Result<Shelf> {
        let path = self.context.path.to_owned();
        match &schema.storage {
            Storage::Rows => {
                let sql = "SELECT zoom_level, tile_column, tile_row, length(tile_data), typeof(tile_data), rowid FROM tiles";
                self.list(database, sql, faults)?;
                Ok(Shelf::Rows { path, sql: "SELECT tile_data FROM tiles WHERE rowid = ?1".to_owned() })
            }
            Storage::Shared { index, data, id } => {
                let sql = format!(
                    "SELECT i.zoom_level, i.tile_column, i.tile_row, length(d.tile_data), typeof(d.tile_data), d.rowid \
                     FROM {index} AS i JOIN {data} AS d ON i.{id} = d.{id}"
                );
                self.list(database, &sql, faults)?;
                // Each stored tile once, by the first of its addresses.
                self.pieces.sort_by_key(|piece| piece.place);
                self.pieces.dedup_by_key(|piece| piece.place);
                let listed = database.query_row("SELECT count(*) FROM tiles", [], |row| row.get::<_, i64>(0));
                if listed.as_ref().is_ok_and(|n| *n != self.count as i64) {
                    let n = listed.unwrap_or(0);
                    faults.error(
                        "index",
                        format!("'tiles' has {n} tiles, {index} and {data} have {}", self.count),
                    );
                }
                Ok(Shelf::Rows { path, sql: format!("SELECT tile_data FROM {data} WHERE rowid = ?1") })
            }
            Storage::View => {
                let sql = "SELECT zoom_level, tile_column, tile_row, length(tile_data), typeof(tile_data), 0 FROM tiles";
                self.list(database, sql, faults)?;
                let hashed = database.prepare(HASHED).is_ok();
                let by = "WHERE zoom_level = ?1 AND tile_column = ?2 AND tile_row = ?3";
                let sql =
                    if hashed { HASHED.to_owned() } else { format!("SELECT tile_data FROM tiles {by}") };
                Ok(Shelf::Addresses { path, sql, hashed })
            }
        }
    }

    fn list(&mut self, database: &Connection, sql: &str, faults: &mut Faults) -> Result<()> {
        let done = each(database, sql, &mut |row| self.row(row, faults));
        match done {
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Sqlite(error)) => {
                faults.error(
                    "database",
                    format!("its tiles cannot be listed beyond the first {}: {error}", self.count),
                );
            }
            Ok(()) => {}
        }
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>, faults: &mut Faults) -> Result<(), Stop> {
        self.count += 1;
        if self.count.is_multiple_of(4096)
            && let Some(signal) = self.context.monitor.cancelled()
        {
            return Err(Stop::Error(Error::Interrupted(signal)));
        }
        enough(self.context, self.count, 2 * size_of::<Piece>()).map_err(Stop::Error)?;
        let Some(coord) = address(row, faults) else { return Ok(()) };
        self.gathering.push(coord);
        let kind = row.get_ref(4)?.as_str().unwrap_or_default().to_owned();
        match (kind.as_str(), row.get::<_, Option<i64>>(3)?) {
            ("null", _) | (_, None | Some(0)) => {
                faults.error("tile", format!("tile {coord} has no bytes"));
            }
            ("blob", Some(len)) => {
                let len = u32::try_from(len).unwrap_or(u32::MAX);
                self.pieces.push(Piece { coord, len, place: row.get::<_, i64>(5)? as u64 });
            }
            (kind, _) => faults.error("tile", format!("tile {coord} is no blob but of the type {kind}")),
        }
        Ok(())
    }
}

fn each(database: &Connection, sql: &str, take: &mut Each<'_>) -> Result<(), Stop> {
    let mut query = database.prepare(sql)?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        take(row)?;
    }
    Ok(())
}

/// The address in the first three columns, or what is wrong with it.
fn address(row: &Row<'_>, faults: &mut Faults) -> Option<TileCoord> {
    let number = |column| match row.get_ref(column) {
        Ok(ValueRef::Integer(n)) => Some(n),
        _ => None,
    };
    let small = |n: i64| u32::try_from(n).ok();
    let coord = match (number(0), number(1), number(2)) {
        (Some(z), Some(x), Some(y)) => match (small(z), small(x), small(y)) {
            (Some(z), Some(x), Some(y)) => names::address(z, x, y, (&Grid::WebMercator, Scheme::Tms)),
            _ => None,
        },
        _ => None,
    };
    if coord.is_none() {
        let [z, x, y] = [0, 1, 2].map(|column| text(row, column).unwrap_or_else(|| "NULL".to_owned()));
        faults.add(Severity::Error, "address", 1, || {
            format!("has a tile at zoom {z}, column {x}, row {y}, which is no place in Web Mercator")
        });
    }
    coord
}

/// Rows of the index without bytes, which the view does not show, and bytes without a place.
fn check_shared(database: &Connection, (index, data, id): (&str, &str, &str), faults: &mut Faults) {
    let count = |from: &str, other: &str| {
        let sql = format!(
            "SELECT count(*) FROM {from} WHERE {id} IS NULL OR {id} NOT IN (SELECT {id} FROM {other} WHERE {id} IS NOT NULL)"
        );
        database.query_row(&sql, [], |row| row.get::<_, i64>(0))
    };
    match count(index, data) {
        Ok(0) => {}
        Ok(n) => faults.error("index", format!("{index} has {n} rows without a tile in {data}")),
        Err(error) => faults.error("database", format!("{index} cannot be read: {error}")),
    }
    if let Ok(n @ 1..) = count(data, index) {
        faults.warning("unused", format!("{data} has {n} tiles without an address in {index}"));
    }
}

/// The digest over all tiles that Martin writes: MD5 of level, column and row as texts and the bytes, tile after tile
/// (<https://maplibre.org/martin/mbtiles-validation.html>).
fn check_digest(
    context: &Context<'_>,
    database: &Connection,
    keys: &Keys,
    faults: &mut Faults,
) -> Result<()> {
    let Some(told) = keys.get("agg_tiles_hash").and_then(Value::as_str) else { return Ok(()) };
    let sql = "SELECT CAST(zoom_level AS TEXT), CAST(tile_column AS TEXT), CAST(tile_row AS TEXT), tile_data FROM tiles \
               ORDER BY zoom_level, tile_column, tile_row";
    let mut digest = Md5::new();
    let done = each(database, sql, &mut |row| {
        if let Some(signal) = context.monitor.cancelled() {
            return Err(Stop::Error(Error::Interrupted(signal)));
        }
        for column in 0..4 {
            digest.update(
                row.get_ref(column)?.as_bytes_or_null().map_err(rusqlite::Error::from)?.unwrap_or_default(),
            );
        }
        Ok(())
    });
    match done {
        Err(Stop::Error(error)) => return Err(error),
        // That it cannot be read is told where it is listed.
        Err(Stop::Sqlite(_)) => return Ok(()),
        Ok(()) => {}
    }
    let real = hex(&digest.finalize());
    if !told.eq_ignore_ascii_case(&real) {
        let real = real.to_ascii_uppercase();
        faults.error("digest", format!("metadata: agg_tiles_hash is {told}, that of the tiles is {real}"));
    }
    Ok(())
}

/// Names of columns, in the order of a table, by its name.
type Columns = BTreeMap<String, Vec<String>>;
