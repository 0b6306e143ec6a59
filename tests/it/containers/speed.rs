//! What the writer thread costs a tile.

use std::time::Instant;

use tileloom::grid::TileCoord;
use tileloom::sink::{EncodedTile, Target, create};

use super::{KINDS, info, many, names_in};

/// `cargo test --release -- --ignored --nocapture what_a_tile_costs`
#[test]
#[ignore = "a measurement, for a quiet machine and an optimised build"]
fn what_a_tile_costs() {
    const TILES: u32 = 100_000;
    const SIZE: usize = 5_000;
    for (kind, name) in KINDS {
        let dir = tempfile::tempdir().expect("tempdir");
        let tile = |i: u32| {
            // Metatiles of 4 × 4 tiles, as the pool delivers them.
            let (meta, inner) = (i / 16, i % 16);
            let (x, y) = (meta % 80 * 4 + inner % 4, meta / 80 * 4 + inner / 4);
            let mut bytes = vec![0u8; SIZE];
            let mut state = u64::from(i) << 20 | 1;
            for chunk in bytes.chunks_exact_mut(8) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                chunk.copy_from_slice(&state.to_le_bytes());
            }
            EncodedTile::new(TileCoord::new(12, x, y), bytes)
        };
        let mut sink =
            create(kind, &Target::new(dir.path().join(name)), info(&many(0..=1, 0))).expect("created");
        let (mut write, mut i) = (0.0, 0);
        while i < TILES {
            let batch: Vec<_> = (i..(i + 1000).min(TILES)).map(tile).collect();
            i += batch.len() as u32;
            let start = Instant::now();
            for tile in batch {
                sink.write(tile).expect("written");
            }
            write += start.elapsed().as_secs_f64();
        }
        let start = Instant::now();
        let written = sink.finish().expect("finished");
        let finish = start.elapsed().as_secs_f64();
        println!(
            "{name:12} write {write:6.3} s = {:5.1} µs/tile   finish {finish:6.3} s = {:5.1} µs/tile   {:.1} MB",
            write * 1e6 / f64::from(TILES),
            finish * 1e6 / f64::from(TILES),
            written.bytes as f64 / 1e6,
        );
        assert_eq!(names_in(dir.path()).len(), 1);
    }
}
