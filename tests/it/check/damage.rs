//! Bytes that change anywhere: either that is found, or what a reader gets is what it was.

use std::panic::{AssertUnwindSafe, catch_unwind};

use gdal::Dataset;

use super::*;
use crate::common::{pictures, succeed};

/// A source of numbers that are the same every time (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// Damages a file again and again, and holds what `read` makes of it against what it was. Gives how often that was found.
fn damaged<T: PartialEq>(path: &Path, rounds: usize, read: impl Fn(&Path) -> Option<T>) -> usize {
    let whole = std::fs::read(path).expect("a file");
    let before = read(path);
    assert!(before.is_some());
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut found = 0;
    for round in 0..rounds {
        let mut bytes = whole.clone();
        let at = dice.below(bytes.len());
        match round % 3 {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes[at] = dice.below(256) as u8,
            _ => {
                let end = (at + 1 + dice.below(64)).min(bytes.len());
                bytes[at..end].fill_with(|| dice.below(256) as u8);
            }
        }
        std::fs::write(path, &bytes).expect("written");
        let run = check_run(&[path], &["-q"]);
        match run.code {
            Some(0) => assert!(read(path) == before, "round {round}, byte {at}: not found"),
            Some(3 | 5) => found += 1,
            _ => panic!("round {round}, byte {at}: {run:?}"),
        }
    }
    std::fs::write(path, whole).expect("restored");
    found
}

#[test]
fn damage_to_a_tile_set_is_found_or_does_no_harm() {
    for (name, rounds) in [("set.mbtiles", 120), ("set.pmtiles", 120), ("set.tar", 120)] {
        let (_dir, path) = set(name);
        let read = |path: &Path| catch_unwind(AssertUnwindSafe(|| pictures(path))).ok();
        let found = damaged(&path, rounds, read);
        // Between the tiles of a small database much room is unused.
        assert!(found * 3 > rounds, "{name}: {found} of {rounds}");
    }
}

/// The samples of all bands of a raster and its overviews.
fn samples(path: &Path) -> Option<Vec<Vec<u8>>> {
    let dataset = Dataset::open(path).ok()?;
    let mut found = Vec::new();
    for number in 1..=dataset.raster_count() {
        let band = dataset.rasterband(number).ok()?;
        let count = band.overview_count().ok()?.max(0) as usize;
        for level in 0..=count {
            let band = if level == 0 { dataset.rasterband(number) } else { band.overview(level - 1) }.ok()?;
            found.push(band.read_as::<u8>((0, 0), band.size(), band.size(), None).ok()?.data().to_vec());
        }
    }
    Some(found)
}

#[test]
fn damage_to_a_cog_is_found_or_does_no_harm() {
    let dir = scratch();
    let path = dir.path().join("cog.tif");
    let options = ["-of", "COG", "-co", "COMPRESS=DEFLATE", "-co", "BLOCKSIZE=128", "-outsize", "500", "400"];
    let mut command = std::process::Command::new("gdal_translate");
    succeed(command.arg("-q").args(options).arg(testdata("rgb.tif")).arg(&path));
    let found = damaged(&path, 200, samples);
    assert!(found > 150, "{found}");
}
