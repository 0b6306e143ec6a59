//! Tile sets that exist: one file per container.
//!
//! A store is opened by path and read on the thread that opened it; threads that want to read the same set each
//! [open](Opener::open) it for themselves, which costs little once one has looked. What other programs wrote is read too, as long as
//! it keeps to the format; metadata that is missing is made up from the tiles.
//!
//! A store is handed to another thread no more than a dataset is:
//!
//! ```compile_fail,E0277
//! fn to_another_thread<T: Send>(_: T) {}
//! fn hand_over(store: Box<dyn tileloom::store::TileStore>) {
//!     to_another_thread(store);
//! }
//! ```

mod folder;
pub(crate) mod mbtiles;
pub(crate) mod metadata;
pub(crate) mod names;
pub(crate) mod picture;
pub(crate) mod pmtiles;
mod tar;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub use folder::FolderStore;
pub use mbtiles::MbtilesStore;
pub use metadata::About;
pub use picture::Picture;
pub use pmtiles::PmtilesStore;
pub use tar::TarStore;
pub(crate) use tar::begins_as_tar;

use crate::error::{Error, Result};
use crate::grid::{Grid, TileCoord};
use crate::tileset::{Scheme, TilesetInfo};

/// What [`TileStore::each`] hands over: the address of a tile and its size in bytes.
pub type Take<'a> = dyn FnMut(TileCoord, u64) -> Result<()> + 'a;

/// A tile set that can be read.
pub trait TileStore {
    /// What is known of the set.
    fn about(&self) -> &About;

    /// What the set says about itself, or what its tiles say where it is silent.
    fn info(&self) -> &TilesetInfo {
        &self.about().info
    }

    /// Hands over the address and the size of every tile, in an order of the container's own that does not change. A container
    /// that can hold two tiles at one address hands that over twice.
    ///
    /// # Errors
    /// [`Error::Input`] when the index cannot be read or contradicts itself, and what `take` returns.
    fn each(&self, take: &mut Take<'_>) -> Result<()>;

    /// The bytes of a tile as they are stored; `None` when the set has none at the address.
    ///
    /// # Errors
    /// [`Error::Input`] when the tile cannot be read.
    fn tile(&self, coord: TileCoord) -> Result<Option<Vec<u8>>>;

    /// The way to open the set once more, on any thread.
    fn opener(&self) -> Opener;
}

/// Opens a set that has been looked at once more, by its path; what is known of it is shared. Any thread may hold it.
#[derive(Clone)]
pub struct Opener(Arc<OpenFn>);

type OpenFn = dyn Fn() -> Result<Box<dyn TileStore>> + Send + Sync;

impl Opener {
    fn new(open: impl Fn() -> Result<Box<dyn TileStore>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }

    /// Opens the set.
    ///
    /// # Errors
    /// [`Error::Input`] when that is no longer possible.
    pub fn open(&self) -> Result<Box<dyn TileStore>> {
        (self.0)()
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

/// Opens a tile set: a folder, or a file that begins as an MBTiles database, a PMTiles archive or a tar archive does, whatever its
/// name. `scheme` overrides how the rows of a folder or tar archive are numbered, or tells it where the set does not.
///
/// # Errors
/// [`Error::Input`] when it is not there, is none of these, is damaged, or holds no tile.
pub fn open(path: &Path, scheme: Option<Scheme>) -> Result<Box<dyn TileStore>> {
    open_as(path, scheme, None)
}

/// Like [`open`], with what the tiles of a folder or tar archive divide, whatever it tells.
///
/// # Errors
/// As [`open`].
pub fn open_as(path: &Path, scheme: Option<Scheme>, grid: Option<&Grid>) -> Result<Box<dyn TileStore>> {
    let found = std::fs::metadata(path).map_err(|e| unreadable(path, "cannot be opened", &e))?;
    if found.is_dir() {
        return Ok(Box::new(FolderStore::open(path, scheme, grid)?));
    }
    if !found.is_file() {
        return Err(Error::input(path, "is neither a folder nor a regular file"));
    }
    let head = head(path)?;
    if head.starts_with(b"SQLite format 3\0") {
        Ok(Box::new(MbtilesStore::open(path)?))
    } else if head.starts_with(b"PMTiles") || head.starts_with(b"PM\x01\0") || head.starts_with(b"PM\x02\0") {
        Ok(Box::new(PmtilesStore::open(path)?))
    } else if tar::begins_as_tar(&head) {
        Ok(Box::new(TarStore::open(path, scheme, grid)?))
    } else {
        Err(Error::input(path, format!("is no tile set: {}", instead(&head))))
    }
}

/// Bytes that tell what a file is: the first header of a tar archive.
const HEAD: u64 = 512;

fn head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head));
    read.map_err(|e| unreadable(path, "cannot be read", &e))?;
    Ok(head)
}

/// What a file is that is no tile set, and what to do about it.
fn instead(head: &[u8]) -> &'static str {
    match head {
        [] => "the file is empty",
        [0x1f, 0x8b, ..] | [b'B', b'Z', b'h', ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [0xfd, b'7', b'z', ..] => {
            "it is compressed; unpack it first"
        }
        [b'P', b'K', 3 | 5, ..] => "it is a ZIP file; unpack it and give the folder",
        [b'v', b'e', b'r', b's', b'a', b't', b'i', b'l', ..] => {
            "it is a VersaTiles container; known are folders, MBTiles, PMTiles and tar"
        }
        _ => {
            "neither a folder of tiles nor MBTiles, PMTiles or tar (rasters become tiles by `tileloom tile`)"
        }
    }
}

/// An [`Error::Input`] that says what failed and why.
fn unreadable(path: &Path, what: &str, cause: &dyn std::fmt::Display) -> Error {
    Error::input(path, format!("{what}: {cause}"))
}
