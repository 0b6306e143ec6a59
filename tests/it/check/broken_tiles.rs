//! Tile sets that are broken in one way each.

use rusqlite::Connection;

use super::*;
use crate::common::{names_in, read_tiles};

#[test]
fn what_a_database_says_and_holds_has_to_be_true() {
    let (_dir, path) = set("set.mbtiles");
    let bytes = std::fs::read(&path).expect("database");
    for (sql, rule, besides) in [
        ("UPDATE metadata SET value = '8' WHERE name = 'minzoom'", "zoom", &[][..]),
        ("UPDATE metadata SET value = '14' WHERE name = 'maxzoom'", "zoom", &[]),
        ("UPDATE metadata SET value = 'jpg' WHERE name = 'format'", "format", &[]),
        ("UPDATE metadata SET value = '10,10,11,11' WHERE name = 'bounds'", "bounds", &["center?"]),
        ("UPDATE metadata SET value = '200,0,10,10' WHERE name = 'bounds'", "bounds", &["center?"]),
        ("UPDATE metadata SET value = '1,2,30' WHERE name = 'center'", "center", &["center?"]),
        ("DELETE FROM metadata WHERE name = 'name'", "metadata", &[]),
        ("DELETE FROM metadata WHERE name = 'bounds'", "metadata?", &["center?"]),
        ("INSERT INTO metadata VALUES ('json', '[1')", "metadata", &[]),
        ("DROP TABLE metadata", "metadata", &["metadata?"]),
        ("DELETE FROM tiles WHERE zoom_level = 10", "gap", &["pyramid?"]),
        ("DELETE FROM tiles", "empty", &[]),
        ("DROP INDEX tile_index", "no-index?", &[]),
        ("DROP TABLE tiles", "schema", &[]),
        ("ALTER TABLE tiles RENAME COLUMN tile_data TO data", "schema", &[]),
        (
            "CREATE TABLE t AS SELECT * FROM tiles; DROP TABLE tiles; ALTER TABLE t RENAME TO tiles;
             UPDATE tiles SET tile_data = NULL WHERE zoom_level = 9",
            "tile",
            &["no-index?"],
        ),
        ("UPDATE tiles SET tile_data = 'text' WHERE zoom_level = 9", "tile", &[]),
        ("UPDATE tiles SET tile_data = x'89504e47' WHERE zoom_level = 9", "tile", &[]),
        ("UPDATE tiles SET tile_column = 5000 WHERE zoom_level = 9", "address", &["zoom", "pyramid?"]),
        ("DROP INDEX tile_index; INSERT INTO tiles SELECT * FROM tiles", "double", &["no-index?"]),
        ("PRAGMA application_id = 7", "application-id?", &[]),
    ] {
        edited(&path, &bytes);
        Connection::open(&path).expect("opened").execute_batch(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        breaks(&path, &[], rule, besides);
    }
}

#[test]
fn a_database_that_was_cut_off_or_overwritten_is_found() {
    let (_dir, path) = set("set.mbtiles");
    let bytes = std::fs::read(&path).expect("database");
    for len in [60, 4096, bytes.len() / 2, bytes.len() - 1] {
        edited(&path, &bytes[..len]);
        assert!(broken(&path, &["--quick"]).contains("cut-off"), "{len}");
    }
    edited(&path, &patched(&bytes, 4096, &[0xa5; 4096]));
    assert!(broken(&path, &["--quick"]).contains("database"));
}

#[test]
fn a_view_that_may_never_end_is_not_read() {
    let dir = scratch();
    let path = dir.path().join("set.mbtiles");
    let sql =
        "CREATE TABLE metadata (name, value); INSERT INTO metadata VALUES ('name', 'x'), ('format', 'png');
        CREATE VIEW tiles AS WITH n(i) AS (SELECT 1 UNION ALL SELECT 1 - i FROM n)
        SELECT i AS zoom_level, 0 AS tile_column, 0 AS tile_row, x'00' AS tile_data FROM n WHERE i = 5";
    Connection::open(&path).expect("created").execute_batch(sql).expect("a view");
    let begun = std::time::Instant::now();
    assert!(broken(&path, &[]).contains("database"));
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn what_an_archive_says_and_holds_has_to_be_true() {
    let (_dir, path) = set("set.pmtiles");
    let bytes = std::fs::read(&path).expect("archive");
    let root = u64::from_le_bytes(bytes[8..16].try_into().expect("8 bytes")) as usize;
    let metadata = u64::from_le_bytes(bytes[24..32].try_into().expect("8 bytes")) as usize;
    for (at, new, rule, besides) in [
        (7, &[2][..], "header", &[][..]),
        (8, &[0, 0, 0, 1], "header", &["directory"]),
        (root, &[0; 8], "directory", &[]),
        (metadata, &[0; 8], "metadata", &[]),
        (72, &[99], "counts", &[]),
        (72, &[0], "counts?", &[]),
        (80, &[99], "counts", &[]),
        (97, &[9], "header", &[]),
        (99, &[3], "format", &[]),
        (99, &[99], "header", &[]),
        (100, &[3], "zoom", &[]),
        (101, &[30], "zoom", &[]),
        (118, &[1], "center", &[]),
        (102, &[0, 0, 0, 0x7f], "bounds", &["center?"]),
    ] {
        edited(&path, &patched(&bytes, at, new));
        breaks(&path, &[], rule, besides);
    }
    let longer = [&bytes[..], b"more"].concat();
    edited(&path, &longer);
    breaks(&path, &[], "header", &[]);
    for len in [50, root + 10, bytes.len() / 2, bytes.len() - 1] {
        edited(&path, &bytes[..len]);
        assert!(broken(&path, &["--quick"]).contains("header"), "{len}");
    }
}

/// A PNG that claims a size, with a right checksum, and little else.
fn bomb(side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    drop(png::Encoder::new(&mut bytes, side, side).write_header().expect("header"));
    bytes
}

#[test]
fn tiles_that_are_no_tiles_are_named_in_every_container() {
    let (dir, folder) = set("set");
    let tar = dir.path().join("set.tar");
    let last = *read_tiles(&folder).keys().last().expect("tiles");
    let file = folder.join(format!("{last}.png"));
    let png = std::fs::read(&file).expect("a tile");
    let flipped = patched(&png, png.len() / 2, &[png[png.len() / 2] ^ 4]);
    let small = {
        let other = dir.path().join("other");
        tile(&[&testdata("rgb.tif")], &other, &["-z", "9", "--tile-size", "512"]);
        read_tiles(&other).into_values().next().expect("a tile")
    };
    for (bytes, rule) in [
        (flipped, "tile"),
        (png[..png.len() - 20].to_vec(), "tile"),
        (b"<html>404</html>".to_vec(), "tile"),
        (Vec::new(), "tile"),
        (bomb(60_000), "tile"),
        (bomb(256), "tile"),
        (small, "unlike"),
    ] {
        edited(&file, &bytes);
        breaks(&folder, &[], rule, &[]);
        let told = report(&folder, &[])["faults"][0]["examples"][0].to_string();
        assert!(told.contains(&format!("tile {last} ")), "{told}");
        crate::common::succeed(
            std::process::Command::new("tar").arg("-cf").arg(&tar).arg("-C").arg(&folder).arg("."),
        );
        breaks(&tar, &[], rule, &[]);
    }
}

#[test]
fn what_does_not_belong_into_a_folder_is_named() {
    let (dir, path) = set("set");
    let last = *read_tiles(&path).keys().last().expect("tiles");
    let tile_file = path.join(format!("{last}.png"));
    let png = std::fs::read(&tile_file).expect("a tile");
    let column = tile_file.parent().expect("a column");
    let put = |name: PathBuf, bytes: &[u8], rule: &str| {
        std::fs::write(&name, bytes).expect("written");
        breaks(&path, &[], rule, &[]);
        std::fs::remove_file(name).expect("removed");
    };
    put(path.join("core.dump"), b"?", "stray?");
    put(column.join("notes.doc"), b"?", "stray?");
    put(column.join("7.png.tmp"), b"?", "left-over?");
    put(column.join("123456.png"), &png, "address");
    put(column.join("1.webp"), &png, "mixed");
    put(dir.path().join("set.partial"), b"?", "left-over?");
    let outside = dir.path().join("outside.png");
    std::fs::write(&outside, &png).expect("written");
    let link = column.join("1.png");
    std::os::unix::fs::symlink(&outside, &link).expect("linked");
    breaks(&path, &[], "link", &[]);
    std::fs::remove_file(&link).expect("removed");
    let json = path.join("tilejson.json");
    let text = std::fs::read_to_string(&json).expect("a description");
    for (from, to, rule) in [
        ("\"minzoom\"", "\"minimum\"", None),
        ("\"maxzoom\": 11", "\"maxzoom\": 12", Some("zoom")),
        ("{y}.png", "{y}.jpg", Some("metadata")),
        ("\"tiles\"", "\"addresses\"", Some("metadata")),
        ("{", "[", Some("metadata")),
    ] {
        let from = if text.contains(from) { from.to_owned() } else { from.replace(": ", ":") };
        assert!(text.contains(&from), "{from}: {text}");
        edited(&json, text.replace(&from, to).as_bytes());
        match rule {
            Some(rule) => breaks(&path, &[], rule, &[]),
            None => assert_eq!(report(&path, &[])["verdict"], "ok"),
        }
    }
    edited(&json, text.as_bytes());
    std::fs::remove_dir_all(path.join("9")).expect("removed");
    breaks(&path, &[], "zoom", &[]);
    assert!(!names_in(&path).contains(&"9".to_owned()));
}

#[test]
fn a_tar_that_was_cut_off_or_holds_too_much_is_found() {
    let (dir, path) = set("set.tar");
    let bytes = std::fs::read(&path).expect("archive");
    for len in [bytes.len() / 2, bytes.len() - 1024] {
        edited(&path, &bytes[..len]);
        assert!(broken(&path, &["--quick"]).contains("damaged"), "{len}");
    }
    edited(&path, &patched(&bytes, 0, b"x"));
    breaks(&path, &["--quick"], "unreadable", &[]);
    edited(&path, &bytes);
    let (_other, folder) = set("set");
    let tile_name = format!("{}.png", read_tiles(&folder).keys().last().expect("tiles"));
    let mut add = std::process::Command::new("tar");
    crate::common::succeed(add.arg("-rf").arg(&path).arg("-C").arg(&folder).arg(&tile_name));
    breaks(&path, &[], "double", &[]);
    drop(dir);
}
