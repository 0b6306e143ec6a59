//! Tile sets in a file (PMTiles, MBTiles, tar), as `convert` and `view` read them: every tile is read or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tileloom::store;

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir_in("/dev/shm").expect("memory");
    let path = dir.path().join("set");
    std::fs::write(&path, bytes).expect("written");
    let Ok(set) = store::open(&path, None) else { return };
    let mut some = Vec::new();
    let _ = set.each(&mut |tile, _| {
        if some.len() < 64 {
            some.push(tile);
        }
        Ok(())
    });
    for tile in some {
        let _ = set.tile(tile).map(|bytes| bytes.map(|bytes| set.about().check(tile, &bytes)));
    }
});
