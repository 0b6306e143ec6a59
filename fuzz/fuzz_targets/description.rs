//! Descriptions beside a folder of tiles: the first byte says which file, the rest is its content.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tileloom::store;

const NAMES: [&str; 4] = ["tilejson.json", "metadata.json", "tilemapresource.xml", "stac.json"];

fuzz_target!(|bytes: &[u8]| {
    let Some((which, content)) = bytes.split_first() else { return };
    let dir = tempfile::tempdir_in("/dev/shm").expect("memory");
    std::fs::create_dir_all(dir.path().join("1/0")).expect("made");
    std::fs::write(dir.path().join("1/0/0.png"), include_bytes!("../seeds/tile.png")).expect("written");
    std::fs::write(dir.path().join(NAMES[usize::from(*which) % NAMES.len()]), content).expect("written");
    let Ok(set) = store::open(dir.path(), None) else { return };
    let _ = set.each(&mut |tile, _| set.tile(tile).map(|_| ()));
    let _ = set.info().tilejson().to_text();
});
