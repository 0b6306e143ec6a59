//! PMTiles, read by a reader written from the specification that checks what `go-pmtiles verify` checks, and by
//! the Python package.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use tileloom::grid::TileCoord;

use super::{Tiles, many, picture_set, written};

/// An archive in memory.
pub(crate) struct Archive {
    bytes: Vec<u8>,
}

/// A directory entry.
#[derive(Debug, Clone, Copy)]
struct Entry {
    id: u64,
    run: u64,
    length: u64,
    offset: u64,
}

impl Archive {
    pub(crate) fn open(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("archive");
        assert_eq!(&bytes[..8], b"PMTiles\x03");
        Self { bytes }
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().expect("8 bytes"))
    }

    pub(crate) fn i32(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.bytes[at..at + 4].try_into().expect("4 bytes"))
    }

    /// Offset and length of a section by its place in the header: root, metadata, leaves, tile data.
    pub(crate) fn section(&self, number: usize) -> (u64, u64) {
        (self.u64(8 + 16 * number), self.u64(16 + 16 * number))
    }

    pub(crate) fn gunzip(&self, offset: u64, length: u64) -> Vec<u8> {
        let packed = &self.bytes[offset as usize..(offset + length) as usize];
        assert_eq!(packed[4..8], [0; 4], "a time stamp in the gzip header");
        let size = u32::from_le_bytes(packed[packed.len() - 4..].try_into().expect("4 bytes"));
        let mut plain = vec![0; size as usize];
        libdeflater::Decompressor::new().gzip_decompress(packed, &mut plain).expect("gzip");
        plain
    }

    fn directory(&self, offset: u64, length: u64) -> Vec<Entry> {
        let plain = self.gunzip(offset, length);
        let mut rest = plain.as_slice();
        let mut varint = || {
            let mut value = 0u64;
            for shift in (0..).step_by(7) {
                let byte = rest[0];
                rest = &rest[1..];
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            value
        };
        let count = varint() as usize;
        let mut column = || (0..count).map(|_| varint()).collect::<Vec<_>>();
        let (deltas, runs, lengths, offsets) = (column(), column(), column(), column());
        let mut entries: Vec<Entry> = Vec::new();
        for i in 0..count {
            let last = entries.last().copied().unwrap_or(Entry { id: 0, run: 0, length: 0, offset: 0 });
            let offset = match offsets[i] {
                0 => last.offset + last.length,
                o => o - 1,
            };
            entries.push(Entry { id: last.id + deltas[i], run: runs[i], length: lengths[i], offset });
        }
        assert!(rest.is_empty(), "bytes behind the directory");
        entries
    }

    /// Tile entries in the order of the directories, and the number of leaf directories.
    fn entries(&self) -> (Vec<Entry>, usize) {
        let (root, root_length) = self.section(0);
        let (leaves, leaves_length) = self.section(2);
        let mut found = Vec::new();
        let mut leaf_count = 0;
        for entry in self.directory(root, root_length) {
            if entry.run > 0 {
                found.push(entry);
            } else {
                assert!(entry.offset + entry.length <= leaves_length, "a leaf outside of its section");
                let leaf = self.directory(leaves + entry.offset, entry.length);
                assert_eq!(leaf[0].id, entry.id);
                assert!(leaf.iter().all(|e| e.run > 0), "a leaf below a leaf");
                found.extend(leaf);
                leaf_count += 1;
            }
        }
        (found, leaf_count)
    }

    pub(crate) fn tiles(&self) -> Tiles {
        let data = self.section(3).0;
        let mut tiles = Tiles::new();
        for entry in self.entries().0 {
            let bytes = &self.bytes[(data + entry.offset) as usize..][..entry.length as usize];
            for id in entry.id..entry.id + entry.run {
                tiles.insert(tile_of(id), bytes.to_vec());
            }
        }
        tiles
    }

    /// All that `go-pmtiles verify` asks of an archive, and what it means to ask. Returns the number of leaves.
    pub(crate) fn verify(&self) -> usize {
        let (root, root_length) = self.section(0);
        let (metadata, metadata_length) = self.section(1);
        let (leaves, leaves_length) = self.section(2);
        let (data, data_length) = self.section(3);
        let size = self.bytes.len() as u64;
        for offset in [root, metadata, leaves, data] {
            assert_ne!(offset, 0, "a section at offset 0");
        }
        assert!([root_length, metadata_length, leaves_length, data_length].iter().all(|l| *l <= size));
        let sections = metadata_length + leaves_length + data_length;
        assert!(size == 127 + root_length + sections || size == 16_384 + sections, "{size} bytes");
        assert!(root + root_length <= 16_384, "the root directory is beyond the first request");

        let (entries, leaf_count) = self.entries();
        assert!(entries.windows(2).all(|e| e[0].id + e[0].run <= e[1].id), "ids do not ascend");
        assert_eq!(self.u64(72), entries.iter().map(|e| e.run).sum::<u64>(), "addressed tiles");
        assert_eq!(self.u64(80), entries.len() as u64, "tile entries");
        let offsets: BTreeSet<u64> = entries.iter().map(|e| e.offset).collect();
        assert_eq!(self.u64(88), offsets.len() as u64, "tile contents");
        assert!(entries.iter().all(|e| e.offset + e.length <= data_length), "tiles outside of the data");

        assert_eq!(self.bytes[96], 1, "not clustered");
        let mut next = 0;
        for entry in &entries {
            assert!(entry.offset <= next, "{entry:?} is out of order in a clustered archive");
            if entry.offset == next {
                next += entry.length;
            }
        }
        assert_eq!(next, data_length, "gaps in the data");

        let (min_zoom, max_zoom, centre_zoom) = (self.bytes[100], self.bytes[101], self.bytes[118]);
        assert_eq!(min_zoom, tile_of(entries[0].id).z);
        assert_eq!(max_zoom, tile_of(entries.last().expect("entries").id).z);
        assert!((min_zoom..=max_zoom).contains(&centre_zoom), "the centre's zoom");
        let [west, south, east, north] = [102, 106, 110, 114].map(|at| self.i32(at));
        assert!(west < east && south < north, "bounds without area");
        assert!(west >= -1_800_000_000 && east <= 1_800_000_000);
        assert!(south >= -900_000_000 && north <= 900_000_000);
        assert!((west..=east).contains(&self.i32(119)) && (south..=north).contains(&self.i32(123)), "centre");
        leaf_count
    }
}

/// The tile with an id, as the specification tells it: levels one after another, each along a Hilbert curve.
fn tile_of(id: u64) -> TileCoord {
    let (mut z, mut rest) = (0u8, id);
    while rest >= 1 << (2 * z) {
        rest -= 1 << (2 * z);
        z += 1;
    }
    let (mut x, mut y) = (0u64, 0u64);
    for level in 0..z {
        let side = 1u64 << level;
        let right = 1 & (rest / 2);
        let up = 1 & (rest ^ right);
        if up == 0 {
            if right == 1 {
                (x, y) = (side - 1 - x, side - 1 - y);
            }
            (x, y) = (y, x);
        }
        x += side * right;
        y += side * up;
        rest /= 4;
    }
    TileCoord::new(z, x as u32, y as u32)
}

#[test]
fn small_archives_pass_what_go_pmtiles_verifies() {
    let (_dir, path, _) = written("set.pmtiles", &picture_set(), 1);
    let archive = Archive::open(&path);
    assert_eq!(archive.verify(), 0);
    assert_eq!(archive.bytes[97..100], [2, 1, 2], "gzip inside, tiles as they are, PNG");
    let (offset, length) = archive.section(1);
    let json: serde_json::Value = serde_json::from_slice(&archive.gunzip(offset, length)).expect("JSON");
    assert_eq!(json["name"], "test set");
    assert_eq!(json["description"], "made by a test");
    assert_eq!(json["attribution"], "© nobody");
    assert_eq!(json["type"], "baselayer");
}

#[test]
fn large_archives_have_leaf_directories_and_pass_too() {
    for share in [0, 50] {
        let mut tiles = many(7..=7, share);
        tiles.append(&mut many(0..=6, share));
        tiles.append(&mut many(8..=8, share).into_iter().step_by(3).collect());
        assert!(tiles.len() > 30_000);
        let (_dir, path, counts) = written("set.pmtiles", &tiles, 4);
        let archive = Archive::open(&path);
        assert!(archive.verify() > 1, "no leaf directories");
        assert!(archive.tiles() == tiles);
        assert_eq!(archive.u64(72), counts.tiles);
        assert_eq!(archive.u64(88), counts.tiles - counts.duplicates);
    }
}

#[test]
fn runs_of_equal_tiles_are_one_entry() {
    let mut tiles = many(5..=5, 0);
    for bytes in tiles.values_mut() {
        *bytes = b"sea".to_vec();
    }
    let (_dir, path, counts) = written("set.pmtiles", &tiles, 4);
    let archive = Archive::open(&path);
    archive.verify();
    assert_eq!((archive.u64(72), archive.u64(80), archive.u64(88)), (1024, 1, 1));
    assert_eq!(counts.duplicates, 1023);
}

/// A Python that has the `pmtiles` package.
pub(crate) fn python() -> Option<String> {
    let python = std::env::var("TILELOOM_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import pmtiles.reader"]).output();
    has.is_ok_and(|o| o.status.success()).then_some(python)
}

#[test]
fn the_python_package_reads_every_tile() {
    let Some(python) = python() else {
        eprintln!("skipped: no python with the package pmtiles (TILELOOM_PYTHON names one)");
        return;
    };
    let tiles = many(0..=6, 40);
    let (dir, path, _) = written("set.pmtiles", &tiles, 9);
    let list = dir.path().join("tiles.txt");
    let mut lines = String::new();
    for (tile, bytes) in &tiles {
        let _ = write!(lines, "{} {} {} ", tile.z, tile.x, tile.y);
        for byte in bytes {
            let _ = write!(lines, "{byte:02x}");
        }
        lines.push('\n');
    }
    std::fs::write(&list, lines).expect("list");
    let script = "
import sys
from pmtiles.reader import Reader, MmapSource, all_tiles
source = MmapSource(open(sys.argv[1], 'rb'))
reader = Reader(source)
header = reader.header()
expected = {}
for line in open(sys.argv[2]):
    z, x, y, data = line.split()
    expected[int(z), int(x), int(y)] = bytes.fromhex(data)
assert dict(all_tiles(source)) == expected
for address in list(expected)[::100]:
    assert reader.get(*address) == expected[address], address
assert reader.get(7, 0, 0) is None
count = header['addressed_tiles_count']
assert count == len(expected), count
assert header['clustered'] and header['min_zoom'] == 0 and header['max_zoom'] == 6
assert header['min_lon_e7'] == -1800000000 and header['max_lon_e7'] == 1800000000
assert reader.metadata()['name'] == 'test set'
print('ok', count)
";
    let run = Command::new(python).args(["-c", script]).arg(&path).arg(&list).output().expect("python runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert_eq!(String::from_utf8_lossy(&run.stdout).trim(), format!("ok {}", tiles.len()));
}
