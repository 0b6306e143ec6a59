//! Damaged and mixed sets are refused with what and where, and nothing is left.

use std::io::{Seek, SeekFrom, Write};

use rusqlite::{Connection, params};

use super::*;
use crate::containers::pmtiles::Archive;

/// A set of PNG tiles of levels 9 to 11 in a scratch folder.
fn set(name: &str) -> (TempDir, PathBuf) {
    let dir = scratch();
    let path = dir.path().join(name);
    tile(&[&testdata("rgb.tif")], &path, &["-z", "9-11"]);
    (dir, path)
}

/// The message of the refusal to convert a set, into every container.
fn refusal(path: &Path) -> String {
    let mut messages: Vec<String> = NAMES
        .iter()
        .map(|name| {
            let dir = scratch();
            let run = convert_run(path, &dir.path().join(name), &[]);
            let line = run.failure(3).to_owned();
            assert!(line.contains(path.to_str().expect("UTF-8")), "{line}");
            assert!(names_in(dir.path()).is_empty(), "{name}: {:?}", names_in(dir.path()));
            line
        })
        .collect();
    messages.dedup();
    messages.remove(0)
}

fn patched(path: &Path, at: u64, bytes: &[u8]) {
    let mut file = std::fs::File::options().write(true).open(path).expect("opened");
    file.seek(SeekFrom::Start(at)).and_then(|_| file.write_all(bytes)).expect("patched");
}

fn cut(path: &Path, len: u64) {
    std::fs::File::options().write(true).open(path).and_then(|file| file.set_len(len)).expect("cut");
}

/// Bytes that are wrong as tiles beside PNG of 256 pixels, and a word of the refusal.
fn wrong_tiles(png: &[u8]) -> Vec<(Vec<u8>, &'static str)> {
    let mut flipped = png.to_vec();
    flipped[png.len() / 2] ^= 4;
    let other = |options: &[&str]| {
        let dir = scratch();
        let path = dir.path().join("other");
        tile(&[&testdata("rgb.tif")], &path, &[&["-z", "9"], options].concat());
        read_tiles(&path).into_values().next().expect("a tile")
    };
    vec![
        (flipped, "wrong checksum"),
        (png[..png.len() - 20].to_vec(), "ends too early"),
        (other(&["-f", "webp"]), "is WebP, tile"),
        (other(&["-f", "jpg"]), "is JPEG, tile"),
        (other(&["--tile-size", "512"]), "has 512 × 512 pixels, tile"),
        (b"\x1f\x8b\x08\0\0\0\0\0".to_vec(), "gzip, as vector tiles are"),
        (b"<html>404</html>".to_vec(), "no known format"),
    ]
}

#[test]
fn one_wrong_tile_in_a_folder_is_named() {
    let (_dir, path) = set("set");
    let last = *read_tiles(&path).keys().last().expect("tiles");
    let file = path.join(format!("{last}.png"));
    let png = std::fs::read(&file).expect("a tile");
    for (bytes, word) in wrong_tiles(&png) {
        std::fs::write(&file, bytes).expect("written");
        let line = refusal(&path);
        assert!(line.contains(&format!("tile {last} ")) && line.contains(word), "{line}");
    }
    std::fs::write(&file, b"").expect("written");
    assert!(refusal(&path).contains("is empty") || refusal(&path).contains("0 bytes"), "{}", refusal(&path));
    std::fs::remove_file(&file).expect("removed");
    std::fs::write(file.with_extension("webp"), &png).expect("written");
    assert!(refusal(&path).contains(&format!("tile {last} is .webp where others are .png")));
}

#[test]
fn one_wrong_tile_in_a_database_is_named() {
    let (_dir, path) = set("set.mbtiles");
    let (last, png) = read_tiles(&path).into_iter().next_back().expect("tiles");
    let db = Connection::open(&path).expect("opened");
    let sql = "UPDATE tiles SET tile_data = ?1 WHERE zoom_level = ?2 AND tile_column = ?3 AND tile_row = ?4";
    for (bytes, word) in wrong_tiles(&png) {
        let changed = db.execute(sql, params![bytes, last.z, last.x, last.tms_y()]).expect("updated");
        assert_eq!(changed, 1);
        let line = refusal(&path);
        assert!(line.contains(&format!("tile {last} ")) && line.contains(word), "{line}");
    }
    db.execute(sql, params![png, last.z, last.x, last.tms_y()]).expect("updated");
    db.execute_batch(
        "DROP INDEX tile_index; INSERT INTO tiles SELECT * FROM tiles WHERE zoom_level = 10 LIMIT 1",
    )
    .expect("doubled");
    assert!(refusal(&path).contains("twice"), "{}", refusal(&path));
    db.execute_batch("UPDATE tiles SET tile_column = 5000 WHERE zoom_level = 10").expect("moved");
    assert!(refusal(&path).contains("zoom 10, column 5000"), "{}", refusal(&path));
}

#[test]
fn a_database_with_broken_pages_is_refused() {
    let (_dir, path) = set("set.mbtiles");
    let bytes = std::fs::read(&path).expect("database");
    let pages = bytes.len() / 4096;
    for len in [60, 4096, bytes.len() / 2, bytes.len() - 1] {
        cut(&path, len as u64);
        assert!(refusal(&path).contains("cut off"), "{len}: {}", refusal(&path));
        std::fs::write(&path, &bytes).expect("restored");
    }
    // Whatever page is broken: either that is found, or the copy holds what it should.
    let whole = read_tiles(&path);
    let mut found = 0;
    for page in 1..pages {
        std::fs::write(&path, &bytes).expect("restored");
        patched(&path, page as u64 * 4096, &[0xa5; 4096]);
        let dir = scratch();
        let copy = dir.path().join("copy.pmtiles");
        let run = convert_run(&path, &copy, &["-q"]);
        if run.code == Some(0) {
            assert!(read_tiles(&copy) == whole, "page {page}");
        } else {
            run.failure(3);
            found += 1;
        }
    }
    assert!(found + 10 > pages, "{found} of {pages}");
}

#[test]
fn a_damaged_archive_is_refused_with_what_and_where() {
    let (_dir, path) = set("set.pmtiles");
    let bytes = std::fs::read(&path).expect("archive");
    let archive = Archive::open(&path);
    let (root, metadata, data) = (archive.section(0), archive.section(1), archive.section(3));
    for (len, word) in [
        (50, "within its header"),
        (root.0 + 10, "its root directory should end"),
        (metadata.0 + 10, "its metadata should end"),
        (data.0 + data.1 / 2, "its tiles should end"),
        (bytes.len() as u64 - 1, "its tiles should end"),
    ] {
        cut(&path, len);
        assert!(refusal(&path).contains(word), "{}", refusal(&path));
        std::fs::write(&path, &bytes).expect("restored");
    }
    let number = |n: u64| n.to_le_bytes().to_vec();
    for (at, with, word) in [
        (7, vec![2], "version 2"),
        (97, vec![3], "Brotli"),
        (97, vec![9], "unknown way 9"),
        (98, vec![2], "compressed once more"),
        (99, vec![1], "vector tiles"),
        (root.0 + 15, vec![0xff; 8], "its root directory"),
        (metadata.0 + 15, vec![0xff; 8], "its metadata"),
        (16, number(root.1 - 3), "its root directory"),
        (56, number(data.0 + 100), "should end at byte"),
        (64, number(data.1 - 1), "its root directory: the tile"),
        (72, number(999), "its header tells 999 tiles"),
        (data.0 + data.1 - 30, vec![0xff; 4], "damaged PNG"),
    ] {
        patched(&path, at, &with);
        let line = refusal(&path);
        assert!(line.contains(word), "{word}: {line}");
        std::fs::write(&path, &bytes).expect("restored");
    }
    // Any byte of the tiles: their own checksums tell.
    for at in (data.0..data.0 + data.1).step_by(data.1 as usize / 9) {
        patched(&path, at, &[bytes[at as usize] ^ 0x10]);
        assert!(refusal(&path).contains("tile "), "byte {at}");
        std::fs::write(&path, &bytes).expect("restored");
    }
}

#[test]
fn leaf_directories_are_followed_and_checked() {
    let dir = scratch();
    let (path, copy) = (dir.path().join("set.pmtiles"), dir.path().join("copy.pmtiles"));
    crate::containers::write_many_pictures(&path);
    let archive = Archive::open(&path);
    let leaves = archive.section(2);
    assert!(archive.verify() > 1, "no leaf directories");
    convert(&path, &copy, &[]);
    assert!(contents(&copy) == contents(&path));
    patched(&path, leaves.0 + leaves.1 - 5, &[0xff; 4]);
    let run = convert_run(&path, &dir.path().join("no"), &[]);
    assert!(run.failure(3).contains("its leaf directory at byte"), "{run:?}");
}

#[test]
fn a_damaged_tar_is_refused() {
    let (_dir, path) = set("set.tar");
    let bytes = std::fs::read(&path).expect("archive");
    for len in [513, bytes.len() / 2, bytes.len() / 512 / 2 * 512, bytes.len() - 1024] {
        cut(&path, len as u64);
        assert!(refusal(&path).contains("damaged tar archive"), "{len}: {}", refusal(&path));
        std::fs::write(&path, &bytes).expect("restored");
    }
    let at = bytes.len() / 2;
    patched(&path, at as u64, &[bytes[at] ^ 1]);
    let line = refusal(&path);
    assert!(line.contains("damaged"), "{line}");
}
