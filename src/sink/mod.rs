//! Where tiles go: one file per container.

use crate::error::Result;
use crate::grid::TileCoord;

/// An encoded tile on its way to the writer.
#[derive(Debug, Clone)]
pub struct EncodedTile {
    /// Where it belongs.
    pub coord: TileCoord,
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// XXH3 (128 bit) of the bytes, computed on the pool; equal hashes are stored once.
    pub hash: u128,
}

impl EncodedTile {
    /// Hashes the bytes of a tile.
    pub fn new(coord: TileCoord, bytes: Vec<u8>) -> Self {
        let hash = xxhash_rust::xxh3::xxh3_128(&bytes);
        Self { coord, bytes, hash }
    }
}

/// What a finished container holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Tiles that can be addressed.
    pub tiles: u64,
    /// Of these, how many share the bytes of another tile and are stored once with it.
    pub duplicates: u64,
    /// Size of the finished file, or of all files in the folder.
    pub bytes: u64,
    /// Lowest zoom level that has tiles.
    pub min_zoom: u8,
    /// Highest zoom level that has tiles.
    pub max_zoom: u8,
}

/// A container under construction. It lives on the writer thread alone. Dropping it without
/// [`finish`](TileSink::finish) removes everything it created.
pub trait TileSink {
    /// Takes one tile; any order.
    ///
    /// # Errors
    /// When the disk refuses.
    fn write(&mut self, tile: EncodedTile) -> Result<()>;

    /// Assembles, verifies, syncs, and gives the container its final name.
    ///
    /// # Errors
    /// When any of that fails; nothing then stands under the final name that did not stand there before.
    fn finish(self: Box<Self>) -> Result<Written>;
}
