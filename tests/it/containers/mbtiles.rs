//! MBTiles, read by SQL as any client does, and by GDAL.

use std::path::Path;
use std::process::Command;

use rusqlite::Connection;
use tileloom::grid::TileCoord;

use super::{Tiles, colour_of, many, picture_set, written};

/// The tiles of a database through the interface of the specification.
pub(crate) fn read(path: &Path) -> Tiles {
    let db = Connection::open(path).expect("opened");
    let mut query =
        db.prepare("SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles").expect("tiles");
    let rows = query.query_map([], |row| {
        let (z, x, row_from_south): (u8, u32, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok((TileCoord::new(z, x, (1u32 << z) - 1 - row_from_south), row.get(3)?))
    });
    rows.expect("rows").map(|row| row.expect("row")).collect()
}

fn text(db: &Connection, sql: &str) -> String {
    db.query_row(sql, [], |row| row.get(0)).expect(sql)
}

fn number(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).expect(sql)
}

#[test]
fn metadata_is_that_of_version_1_3() {
    let (_dir, path, _) = written("set.mbtiles", &picture_set(), 1);
    let db = Connection::open(path).expect("opened");
    assert_eq!(number(&db, "PRAGMA application_id"), 0x4d50_4258);
    let value = |name: &str| text(&db, &format!("SELECT value FROM metadata WHERE name = '{name}'"));
    assert_eq!(value("name"), "test set");
    assert_eq!(value("format"), "png");
    assert_eq!(value("minzoom"), "2");
    assert_eq!(value("maxzoom"), "4");
    assert_eq!(value("type"), "baselayer");
    assert_eq!(value("description"), "made by a test");
    assert_eq!(value("attribution"), "© nobody");
    let bounds: Vec<f64> = value("bounds").split(',').map(|v| v.parse().expect("degrees")).collect();
    assert_eq!(&bounds[..3], [0.0, 0.0, 90.0]);
    assert!(value("bounds").split(',').all(|v| v.split_once('.').expect("decimals").1.len() >= 9));
    assert!(value("center").starts_with("45.000000000000,") && value("center").ends_with(",4"));
    assert_eq!(number(&db, "SELECT count(*) FROM metadata WHERE name = 'json'"), 0);
}

#[test]
fn tiles_are_a_table_when_all_differ_and_a_view_when_some_are_equal() {
    for (share, kind) in [(0, "table"), (60, "view")] {
        let tiles = many(0..=5, share);
        let (_dir, path, counts) = written("set.mbtiles", &tiles, 3);
        let db = Connection::open(&path).expect("opened");
        assert_eq!(text(&db, "SELECT type FROM sqlite_master WHERE name = 'tiles'"), kind);
        assert_eq!(text(&db, "PRAGMA integrity_check"), "ok");
        assert_eq!(counts.duplicates > 0, share > 0);
        if share > 0 {
            let stored = number(&db, "SELECT count(*) FROM tiles_data") as u64;
            assert_eq!(stored, counts.tiles - counts.duplicates);
        }
        let plan = {
            let sql = "EXPLAIN QUERY PLAN SELECT tile_data FROM tiles
                       WHERE zoom_level = 3 AND tile_column = 1 AND tile_row = 2";
            let mut query = db.prepare(sql).expect("plan");
            let steps = query.query_map([], |row| row.get::<_, String>(3)).expect("plan");
            steps.map(|s| s.expect("step")).collect::<Vec<_>>().join("; ")
        };
        assert!(plan.contains("SEARCH") && !plan.contains("SCAN"), "{plan}");
        assert!(read(&path) == tiles);
    }
}

#[test]
fn gdal_reads_the_pixels_of_tables_and_views() {
    let mut tiles = picture_set();
    for equal in [true, false] {
        if !equal {
            tiles.retain(|c, _| !(c.z == 4 && c.y == 7 && c.x > 8));
        }
        let (_dir, path, counts) = written("set.mbtiles", &tiles, 1);
        assert_eq!(counts.duplicates > 0, equal);
        let dataset = gdal::Dataset::open(&path).expect("GDAL opens it");
        // Level 4 has columns 8 to 11 and rows 4 to 7.
        assert_eq!(dataset.raster_size(), (1024, 1024));
        for tile in tiles.keys().filter(|t| t.z == 4 && t.y < 7) {
            let at = ((tile.x - 8) as isize * 256 + 100, (tile.y - 4) as isize * 256 + 100);
            let pixel = [1, 2, 3].map(|band| {
                let band = dataset.rasterband(band).expect("band");
                band.read_as::<u8>(at, (1, 1), (1, 1), None).expect("pixel").data()[0]
            });
            assert_eq!(pixel, colour_of(*tile), "{tile}");
        }
        let band = dataset.rasterband(1).expect("band");
        assert_eq!(band.overview_count().expect("overviews"), 2);
        drop(dataset);
        let report = Command::new("gdalinfo").arg(&path).output().expect("gdalinfo runs");
        let report = String::from_utf8_lossy(&report.stdout).into_owned();
        assert!(report.contains("Driver: MBTiles") && report.contains("Size is 1024, 1024"), "{report}");
        assert!(report.contains("ZOOM_LEVEL=4") && report.contains("name=test set"), "{report}");
    }
}
