//! The containers: written by tileloom, read back by software nobody here wrote and by readers written from the
//! specifications.

mod atomic;
pub(crate) mod mbtiles;
pub(crate) mod pmtiles;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tileloom::encode::TileFormat;
use tileloom::grid::{Bounds, TileCoord, latitude, longitude};
use tileloom::sink::{EncodedTile, OutputKind, Target, Written, create};
use tileloom::tileset::{LayerKind, Scheme, TilesetInfo};

/// Tiles by address.
pub(crate) type Tiles = BTreeMap<TileCoord, Vec<u8>>;

const KINDS: [(OutputKind, &str); 4] = [
    (OutputKind::Folder, "set"),
    (OutputKind::Mbtiles, "set.mbtiles"),
    (OutputKind::Pmtiles, "set.pmtiles"),
    (OutputKind::Tar, "set.tar"),
];

/// A PNG of one colour (plus a pixel that tells tiles apart), 256 × 256 RGB.
fn png(colour: [u8; 3], mark: u32) -> Vec<u8> {
    let mut pixels: Vec<u8> = colour.iter().copied().cycle().take(256 * 256 * 3).collect();
    pixels[..3].copy_from_slice(&mark.to_be_bytes()[1..]);
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, 256, 256);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fastest);
    encoder.write_header().expect("header").write_image_data(&pixels).expect("pixels");
    out
}

/// Colour of a tile in [`picture_set`].
fn colour_of(tile: TileCoord) -> [u8; 3] {
    [tile.z * 40 + 10, (tile.x * 16) as u8, (tile.y * 16) as u8]
}

/// Real PNG tiles over central Europe and beyond, levels 2 to 4; a row of them is equal.
fn picture_set() -> Tiles {
    let mut tiles = Tiles::new();
    for z in 2..=4u8 {
        let scale = 1 << (z - 2);
        for x in 2 * scale..3 * scale {
            for y in scale..2 * scale {
                let tile = TileCoord::new(z, x, y);
                let same = z == 4 && y == 7;
                let bytes = if same { png([1, 2, 3], 0) } else { png(colour_of(tile), y << 8 | x) };
                tiles.insert(tile, bytes);
            }
        }
    }
    tiles
}

/// Many small tiles, no pictures: `share` per cent of them equal to another.
fn many(levels: std::ops::RangeInclusive<u8>, share: u32) -> Tiles {
    let mut tiles = Tiles::new();
    for z in levels {
        for x in 0..1u32 << z {
            for y in 0..1u32 << z {
                let n = (u32::from(z) << 24) ^ (x << 12) ^ y;
                let random = n.wrapping_mul(2_654_435_761) >> 8;
                let content = if random % 100 < share { u64::from(random % 7) } else { u64::from(n) << 8 };
                let len = if content < 7 { 30 } else { 20 + random as usize % 50 };
                let mut bytes = content.to_le_bytes().repeat(9);
                bytes.truncate(len);
                tiles.insert(TileCoord::new(z, x, y), bytes);
            }
        }
    }
    tiles
}

/// A description that fits the extent of the tiles at their deepest level.
fn info(tiles: &Tiles) -> TilesetInfo {
    let deepest = tiles.keys().map(|t| t.z).max().expect("tiles");
    let edges = tiles.keys().filter(|t| t.z == deepest).map(|t| t.bounds());
    let b = edges
        .reduce(|a, b| Bounds {
            west: a.west.min(b.west),
            south: a.south.min(b.south),
            east: a.east.max(b.east),
            north: a.north.max(b.north),
        })
        .expect("tiles");
    let degrees = Bounds {
        west: longitude(b.west),
        south: latitude(b.south),
        east: longitude(b.east),
        north: latitude(b.north),
    };
    TilesetInfo {
        description: Some("made by a test".to_owned()),
        attribution: Some("© nobody".to_owned()),
        kind: LayerKind::Baselayer,
        ..TilesetInfo::new("test set", degrees, TileFormat::Png, 256)
    }
}

/// The tiles in an order that depends on `seed` alone.
fn shuffled(tiles: &Tiles, seed: u64) -> Vec<EncodedTile> {
    let mut list: Vec<_> = tiles.iter().map(|(c, b)| EncodedTile::new(*c, b.clone())).collect();
    let mut state = seed | 1;
    for i in (1..list.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list.swap(i, (state >> 33) as usize % (i + 1));
    }
    list
}

fn write(target: &Target, tiles: &Tiles, info: TilesetInfo, seed: u64) -> Written {
    let kind = OutputKind::from_path(&target.path).expect("a container");
    let mut sink = create(kind, target, info).expect("created");
    for tile in shuffled(tiles, seed) {
        sink.write(tile).expect("written");
    }
    sink.finish().expect("finished")
}

/// Writes a set in a scratch folder, which holds nothing else afterwards.
fn written(name: &str, tiles: &Tiles, seed: u64) -> (TempDir, PathBuf, Written) {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join(name);
    let written = write(&Target::new(&path), tiles, info(tiles), seed);
    assert_eq!(names_in(dir.path()), [name]);
    (dir, path, written)
}

pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("readable");
    let mut names: Vec<_> =
        entries.map(|e| e.expect("entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// The tiles of a folder, by path.
pub(crate) fn read_folder(root: &Path) -> Tiles {
    let mut tiles = Tiles::new();
    for z in names_in(root).iter().filter(|n| !n.contains('.')) {
        for x in names_in(&root.join(z)) {
            for y in names_in(&root.join(z).join(&x)) {
                let bytes = std::fs::read(root.join(z).join(&x).join(&y)).expect("tile");
                let number = |s: &str| s.parse::<u32>().expect("number");
                let y = number(y.split_once('.').expect("an extension").0);
                tiles.insert(TileCoord::new(number(z) as u8, number(&x), y), bytes);
            }
        }
    }
    tiles
}

/// The tiles of a tar archive, by name; the first member describes them.
pub(crate) fn read_tar(path: &Path) -> Tiles {
    let mut tiles = Tiles::new();
    let mut archive = tar::Archive::new(std::fs::File::open(path).expect("archive"));
    for (place, entry) in archive.entries().expect("entries").enumerate() {
        let mut entry = entry.expect("entry");
        let name = entry.path().expect("name").to_str().expect("UTF-8").to_owned();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).expect("bytes");
        assert_eq!(place == 0, name == "tilejson.json");
        if place > 0 {
            let parts: Vec<u32> =
                name.split(['/', '.']).take(3).map(|p| p.parse().expect("number")).collect();
            tiles.insert(TileCoord::new(parts[0] as u8, parts[1], parts[2]), bytes);
        }
    }
    tiles
}

#[test]
fn the_four_containers_hold_the_same_tiles_byte_for_byte() {
    let tiles = picture_set();
    for (kind, name) in KINDS {
        let (_dir, path, written) = written(name, &tiles, 7);
        let found = match kind {
            OutputKind::Folder => read_folder(&path),
            OutputKind::Mbtiles => mbtiles::read(&path),
            OutputKind::Pmtiles => pmtiles::Archive::open(&path).tiles(),
            OutputKind::Tar => read_tar(&path),
        };
        assert!(found == tiles, "{name}");
        assert_eq!(written.tiles, tiles.len() as u64);
        assert_eq!((written.min_zoom, written.max_zoom), (2, 4));
        let duplicates = if kind.is_free() { 0 } else { 3 };
        assert_eq!(written.duplicates, duplicates, "{name}");
        if kind != OutputKind::Folder {
            assert_eq!(written.bytes, std::fs::metadata(&path).expect("file").len());
        }
    }
}

#[test]
fn the_bytes_of_an_archive_do_not_depend_on_the_order_of_arrival() {
    for share in [0, 60] {
        let tiles = many(0..=6, share);
        for name in ["set.mbtiles", "set.pmtiles", "set.tar"] {
            let (_dir, path, _) = written(name, &tiles, 1);
            let first = std::fs::read(path).expect("archive");
            for seed in [2, 3, 99] {
                let (_dir, path, _) = written(name, &tiles, seed);
                assert!(
                    std::fs::read(path).expect("archive") == first,
                    "{name}, {share} % equal, seed {seed}"
                );
            }
        }
    }
}

#[test]
fn a_folder_describes_itself_in_tilejson() {
    let tiles = picture_set();
    let (_dir, path, written) = written("set", &tiles, 1);
    let text = std::fs::read_to_string(path.join("tilejson.json")).expect("TileJSON");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["tilejson"], "3.0.0");
    assert_eq!(json["tiles"], serde_json::json!(["{z}/{x}/{y}.png"]));
    assert_eq!((json["minzoom"].as_u64(), json["maxzoom"].as_u64()), (Some(2), Some(4)));
    assert_eq!(json["bounds"][0], 0.0);
    assert_eq!(json["bounds"][2], 90.0);
    assert_eq!(json["scheme"], "xyz");
    assert_eq!(json["type"], "baselayer");
    let total: usize = tiles.values().map(Vec::len).sum();
    assert_eq!(written.bytes as usize, total + text.len());
}

#[test]
fn the_tms_convention_turns_the_rows_of_a_folder_over() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("set");
    let tiles = picture_set();
    let info = TilesetInfo { scheme: Scheme::Tms, ..info(&tiles) };
    write(&Target::new(&path), &tiles, info, 5);
    let turned = tiles.iter().map(|(c, b)| (TileCoord::new(c.z, c.x, c.tms_y()), b.clone())).collect();
    assert!(read_folder(&path) == turned);
    let text = std::fs::read_to_string(path.join("tilejson.json")).expect("TileJSON");
    assert!(text.contains("\"scheme\": \"tms\""), "{text}");
}

/// An archive of so many different pictures that its directories have leaves.
pub(crate) fn write_many_pictures(path: &Path) {
    let mut tiles = Tiles::new();
    let plain = png([9, 9, 9], 0);
    // A text that readers of pictures pass over makes them different: no pixels need to be packed.
    let (header, rest) = plain.split_at(33);
    for (number, tile) in many(7..=7, 0).into_keys().chain(many(4..=6, 0).into_keys()).enumerate() {
        let mut text = b"tEXtn\0".to_vec();
        text.extend(format!("{number:0width$}", width = 7 + number * 7919 % 90).into_bytes());
        let mut crc = libdeflater::Crc::new();
        crc.update(&text);
        let length = (text.len() as u32 - 4).to_be_bytes();
        let bytes = [header, &length, &text, &crc.sum().to_be_bytes(), rest].concat();
        tiles.insert(tile, bytes);
    }
    write(&Target::new(path), &tiles, info(&tiles), 5);
}
