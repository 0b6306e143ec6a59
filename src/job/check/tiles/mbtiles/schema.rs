//! Tables and views of a database, and where the bytes of its tiles are.

use rusqlite::Connection;

use super::Columns;
use crate::job::check::report::Faults;

/// Pairs of tables that hold addresses and tiles apart: of most tools, and of Planetiler, Martin and this program.
const PAIRS: [(&str, &str, &str); 2] =
    [("map", "images", "tile_id"), ("tiles_shallow", "tiles_data", "tile_data_id")];

/// Columns that `tiles` must have.
const REQUIRED: [&str; 4] = ["zoom_level", "tile_column", "tile_row", "tile_data"];

/// Where the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Storage {
    /// In `tiles` itself, a table with numbered rows.
    Rows,
    /// In a table of their own.
    Shared { index: String, data: String, id: String },
    /// Behind some other view.
    View,
}

/// What is known of a database.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) storage: Storage,
    columns: Columns,
    /// A view that may never end, by its name.
    endless: Option<String>,
    /// Whether there is an index over the addresses.
    indexed: bool,
}

impl Schema {
    /// Reads the schema; `None` when there is no `tiles`.
    pub(super) fn read(database: &Connection) -> rusqlite::Result<Option<Self>> {
        let mut query = database.prepare(
            "SELECT name, type, coalesce(sql, '') FROM sqlite_master WHERE type IN ('table', 'view')",
        )?;
        let named = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let named = named.collect::<rusqlite::Result<Vec<(String, String, String)>>>()?;
        let kind = |name: &str| named.iter().find(|(n, ..)| n == name).map(|(_, kind, _)| kind.as_str());
        let endless = named.iter().find(|(_, kind, sql)| kind == "view" && may_not_end(sql));
        let endless = endless.map(|(name, ..)| name.clone());
        let Some(tiles) = kind("tiles") else { return Ok(None) };
        let mut columns = Columns::new();
        for name in ["tiles", "metadata"].into_iter().chain(PAIRS.iter().flat_map(|(i, d, _)| [*i, *d])) {
            if kind(name).is_some() {
                columns.insert(name.to_owned(), columns_of(database, name)?);
            }
        }
        let has =
            |table: &str, column: &str| columns.get(table).is_some_and(|c| c.iter().any(|c| c == column));
        let numbered = |table: &str| {
            kind(table) == Some("table") && database.prepare(&format!("SELECT rowid FROM {table}")).is_ok()
        };
        let pair = PAIRS.iter().find(|(index, data, id)| {
            REQUIRED[..3].iter().all(|column| has(index, column))
                && has(index, id)
                && has(data, id)
                && has(data, "tile_data")
                && kind(index) == Some("table")
                && numbered(data)
        });
        let storage = match (tiles, pair) {
            ("table", _) if numbered("tiles") => Storage::Rows,
            ("view", Some((index, data, id))) => {
                Storage::Shared { index: (*index).to_owned(), data: (*data).to_owned(), id: (*id).to_owned() }
            }
            _ => Storage::View,
        };
        let table = match &storage {
            Storage::Rows => "tiles",
            Storage::Shared { index, .. } => index,
            // Nobody knows what is behind it.
            Storage::View => "",
        };
        let indexed = table.is_empty() || indexed(database, table)?;
        Ok(Some(Self { storage, columns, endless, indexed }))
    }

    /// The name of a view that had better not be read.
    pub(super) fn endless(&self) -> Option<&str> {
        self.endless.as_deref()
    }

    /// Whether `tiles` has what a tile is asked for by.
    pub(super) fn has_tiles(&self) -> bool {
        self.missing("tiles", &REQUIRED).is_empty()
    }

    fn missing(&self, table: &str, required: &[&'static str]) -> Vec<&'static str> {
        let columns = self.columns.get(table).map(Vec::as_slice).unwrap_or_default();
        required.iter().copied().filter(|name| !columns.iter().any(|column| column == name)).collect()
    }

    /// Says what is missing.
    pub(super) fn check(&self, faults: &mut Faults) {
        for column in self.missing("tiles", &REQUIRED) {
            faults.error("schema", format!("'tiles' has no column '{column}'"));
        }
        if self.columns.contains_key("metadata") {
            for column in self.missing("metadata", &["name", "value"]) {
                faults.error("schema", format!("'metadata' has no column '{column}'"));
            }
        }
        if !self.indexed {
            let text =
                "has no index over zoom_level, tile_column and tile_row: to find a tile, all are looked at";
            faults.warning("no-index", text);
        }
    }
}

/// Whether a view may go on for ever: that takes a table that is made from itself, and so the word WITH, which no view of tiles needs.
fn may_not_end(sql: &str) -> bool {
    let words = sql.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.into_iter().any(|word| word.eq_ignore_ascii_case("with"))
}

fn columns_of(database: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut query = database.prepare("SELECT name FROM pragma_table_xinfo(?1)")?;
    let names = query.query_map([table], |row| row.get::<_, String>(0))?;
    names.map(|name| name.map(|n| n.to_ascii_lowercase())).collect()
}

/// Whether an index of a table, or its primary key, begins with the three parts of an address.
fn indexed(database: &Connection, table: &str) -> rusqlite::Result<bool> {
    let mut query = database.prepare("SELECT name FROM pragma_index_list(?1)")?;
    let names = query.query_map([table], |row| row.get::<_, String>(0))?;
    for name in names {
        let mut query = database.prepare("SELECT name FROM pragma_index_info(?1) ORDER BY seqno LIMIT 3")?;
        let columns = query.query_map([name?], |row| row.get::<_, Option<String>>(0))?;
        let mut columns =
            columns.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().collect::<Vec<_>>();
        columns.sort_unstable();
        if columns == ["tile_column", "tile_row", "zoom_level"] {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_that_make_a_table_from_itself_are_known() {
        assert!(may_not_end(
            "CREATE VIEW tiles AS WITH n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT * FROM n"
        ));
        assert!(!may_not_end(
            "CREATE VIEW tiles AS SELECT * FROM tiles_with_hash JOIN images USING (tile_id)"
        ));
    }
}
