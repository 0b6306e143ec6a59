//! What a tile costs in each container: the time to write it, and its share of finishing (assembling, verifying, syncing).
//!
//! `cargo bench --bench sinks [-- TILES]`

use std::time::Instant;

use tileloom::encode::TileFormat;
use tileloom::grid::{Bounds, TileCoord};
use tileloom::sink::{EncodedTile, OutputKind, Target, create};
use tileloom::tileset::TilesetInfo;

/// Bytes of a tile.
const SIZE: usize = 5_000;

/// Tiles that nothing compresses, in metatiles of 4 × 4 as the pool delivers them.
fn tile(i: u32) -> EncodedTile {
    let (meta, inner) = (i / 16, i % 16);
    let (x, y) = (meta % 80 * 4 + inner % 4, meta / 80 * 4 + inner / 4);
    let mut bytes = vec![0u8; SIZE];
    let mut state = u64::from(i) << 20 | 1;
    for chunk in bytes.chunks_exact_mut(8) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        chunk.copy_from_slice(&state.to_le_bytes());
    }
    EncodedTile::new(TileCoord::new(16, x, y), bytes)
}

fn main() {
    let tiles: u32 = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(100_000);
    println!("{tiles} tiles of {SIZE} bytes\n");
    println!("| container | write, µs/tile | finish, µs/tile | MB |\n|---|--:|--:|--:|");
    for (kind, name) in [
        (OutputKind::Folder, "set"),
        (OutputKind::Mbtiles, "set.mbtiles"),
        (OutputKind::Pmtiles, "set.pmtiles"),
    ] {
        let dir = tempfile::tempdir().expect("a folder for scratch");
        let bounds = Bounds { west: -180.0, south: 80.0, east: -170.0, north: 85.0 };
        let info = TilesetInfo::new("bench", bounds, TileFormat::Png, 256);
        let mut sink = create(kind, &Target::new(dir.path().join(name)), info).expect("created");
        let mut write = 0.0;
        for batch in 0..tiles.div_ceil(1000) {
            let batch: Vec<_> = (batch * 1000..(batch * 1000 + 1000).min(tiles)).map(tile).collect();
            let start = Instant::now();
            for tile in batch {
                sink.write(tile).expect("written");
            }
            write += start.elapsed().as_secs_f64();
        }
        let start = Instant::now();
        let written = sink.finish().expect("finished");
        let each = |seconds: f64| seconds * 1e6 / f64::from(tiles);
        println!(
            "| {} | {:.1} | {:.1} | {:.1} |",
            kind.name(),
            each(write),
            each(start.elapsed().as_secs_f64()),
            written.bytes as f64 / 1e6
        );
    }
}
