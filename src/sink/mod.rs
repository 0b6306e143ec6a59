//! Where tiles go: one file per container.
//!
//! A sink takes tiles in any order and turns them into one container whose bytes do not depend on that order. It
//! lives on one thread, the writer's: handing it to another does not compile. What may be handed about is its
//! [`Depot`], where any thread leaves the bytes of the tiles it made.
//!
//! ```compile_fail,E0277
//! fn to_another_thread<T: Send>(_: T) {}
//! fn hand_over(sink: Box<dyn tileloom::sink::TileSink>) {
//!     to_another_thread(sink);
//! }
//! ```

pub mod chips;
pub mod cog;
mod depot;
mod folder;
mod journal;
mod mbtiles;
mod part;
mod pmtiles;
mod resume;
mod spool;
mod tar;

use std::path::Path;
use std::sync::Arc;

pub use depot::{Deposited, Depot};
pub use folder::FolderSink;
pub use journal::{Identity, Record};
pub use mbtiles::MbtilesSink;
pub use part::Part;
pub use pmtiles::PmtilesSink;
pub use resume::{Log, resume};
pub use tar::TarSink;
pub use target::{Shape, Target};

use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::order;
use crate::target::{self, Claim};
use crate::tileset::TilesetInfo;
use crate::view::Webviewer;

/// The containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputKind {
    /// A folder of tile files.
    Folder,
    /// An SQLite database.
    Mbtiles,
    /// A single file to be read in ranges.
    Pmtiles,
    /// The files of a folder, one behind the other.
    Tar,
}

/// Extensions of files that people may ask for by mistake: they never become folders.
const OTHER_FILES: [&str; 43] = [
    "7z",
    "asc",
    "avif",
    "bz2",
    "cog",
    "csv",
    "db",
    "dem",
    "geojson",
    "gif",
    "gpkg",
    "grib",
    "gz",
    "hgt",
    "html",
    "img",
    "jp2",
    "jpeg",
    "jpg",
    "json",
    "jxl",
    "kml",
    "kmz",
    "laz",
    "mbtile",
    "mvt",
    "nc",
    "pbf",
    "pdf",
    "pmtile",
    "png",
    "shp",
    "sqlite",
    "svg",
    "tgz",
    "tif",
    "tiff",
    "txt",
    "versatiles",
    "vrt",
    "webp",
    "xml",
    "zip",
];

impl OutputKind {
    /// The kind in one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Mbtiles => "mbtiles",
            Self::Pmtiles => "pmtiles",
            Self::Tar => "tar",
        }
    }

    /// Whether it may hold tiles that do not divide the world in Web Mercator: files under free names.
    pub const fn is_free(self) -> bool {
        matches!(self, Self::Folder | Self::Tar)
    }

    /// The container that a path asks for: `.mbtiles`, `.pmtiles`, `.tar`, else a folder. A folder that is there, or a slash at
    /// the end, makes any name a folder's.
    ///
    /// # Errors
    /// [`Error::Usage`] for the extensions of other files.
    pub fn from_path(path: &Path) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let is_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir();
        match extension.as_str() {
            "mbtiles" => Ok(Self::Mbtiles),
            "pmtiles" => Ok(Self::Pmtiles),
            "tar" => Ok(Self::Tar),
            other if OTHER_FILES.contains(&other) && !is_folder => Err(Error::Usage(format!(
                "tiles cannot be written to '{}': name a folder, or a file that ends in .mbtiles, .pmtiles or .tar",
                path.display()
            ))),
            _ => Ok(Self::Folder),
        }
    }
}

impl From<OutputKind> for Shape {
    fn from(kind: OutputKind) -> Self {
        match kind {
            OutputKind::Folder => Self::Folder,
            OutputKind::Mbtiles | OutputKind::Pmtiles | OutputKind::Tar => Self::File,
        }
    }
}

/// A container that is about to be made: its target is claimed, and tiles can be left in its [`Depot`]. Any thread may hold
/// it, until [`open`](Self::open) makes it one thread's. Dropping it removes everything it created, unless there is work to
/// [`resume()`].
#[derive(Debug)]
pub struct Begun {
    kind: OutputKind,
    claim: Arc<Claim>,
    depot: Depot,
    info: TilesetInfo,
    pages: Vec<Webviewer>,
}

impl Begun {
    /// The same container with pages that show it. Only a folder has place for them.
    #[must_use]
    pub fn with_pages(self, pages: &[Webviewer]) -> Self {
        Self { pages: pages.to_vec(), ..self }
    }

    /// The place for the bytes of its tiles.
    pub fn depot(&self) -> Depot {
        self.depot.clone()
    }

    /// The container itself: the one table of sinks. To be called on the writer thread.
    pub fn open(self) -> Box<dyn TileSink> {
        let Self { kind, claim, depot, info, pages } = self;
        match kind {
            OutputKind::Folder => Box::new(FolderSink::new(claim, depot, info, pages)),
            OutputKind::Mbtiles => Box::new(MbtilesSink::new(claim, depot, info)),
            OutputKind::Pmtiles => Box::new(PmtilesSink::new(claim, depot, info)),
            OutputKind::Tar => Box::new(TarSink::new(claim, depot, info)),
        }
    }
}

/// Begins a container.
///
/// # Errors
/// [`Error::Output`] when the target may not be written (see [`Target::check`]), [`Error::Internal`] or
/// [`Error::Usage`] for metadata no reader would take.
pub fn begin(kind: OutputKind, target: &Target, info: TilesetInfo) -> Result<Begun> {
    validate(kind, target, &info)?;
    let claim = Arc::new(target.claim(kind)?);
    let depot = depot(kind, &claim, &info, false)?;
    Ok(Begun { kind, claim, depot, info, pages: Vec::new() })
}

/// Refuses what no reader of a container would take.
fn validate(kind: OutputKind, target: &Target, info: &TilesetInfo) -> Result<()> {
    if !info.placed && !kind.is_free() {
        return Err(Error::Usage(format!(
            "'{}' can hold only Web Mercator tiles: write tiles without a place on the Earth to a folder or .tar",
            target.path.display()
        )));
    }
    if let (Some(set), false) = (info.grid.set(), kind.is_free()) {
        return Err(Error::Usage(format!(
            "'{}' can hold only Web Mercator tiles: write those of {} to a folder or .tar",
            target.path.display(),
            set.id
        )));
    }
    info.validate()
}

/// The depot of a container, with what is in it already if it can be resumed.
fn depot(kind: OutputKind, claim: &Arc<Claim>, info: &TilesetInfo, resumable: bool) -> Result<Depot> {
    match kind {
        OutputKind::Folder => Depot::files(Arc::clone(claim), info, resumable),
        OutputKind::Mbtiles | OutputKind::Pmtiles | OutputKind::Tar => {
            Depot::segments(Arc::clone(claim), resumable)
        }
    }
}

/// Begins a container for tiles that all come from the thread that writes it.
///
/// # Errors
/// As [`begin`].
pub fn create(kind: OutputKind, target: &Target, info: TilesetInfo) -> Result<Box<dyn TileSink>> {
    Ok(begin(kind, target, info)?.open())
}

/// An encoded tile.
#[derive(Debug, Clone)]
pub struct EncodedTile {
    /// Where it belongs.
    pub coord: TileCoord,
    /// The file's bytes.
    pub bytes: Vec<u8>,
}

impl EncodedTile {
    /// A tile and its bytes.
    pub fn new(coord: TileCoord, bytes: Vec<u8>) -> Self {
        Self { coord, bytes }
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

/// A container under construction. It lives on the writer thread alone. Dropping it, and the last clone of its depot,
/// without [`finish`](TileSink::finish) removes everything that was created, unless there is work to [`resume()`].
pub trait TileSink {
    /// The place for the bytes of its tiles.
    fn depot(&self) -> &Depot;

    /// Takes a tile whose bytes are in the depot; any order.
    ///
    /// # Errors
    /// [`Error::Internal`] for a tile that cannot exist.
    fn accept(&mut self, tile: Deposited) -> Result<()>;

    /// Leaves the bytes of a tile in the depot and takes it.
    ///
    /// # Errors
    /// When the disk refuses.
    fn write(&mut self, tile: EncodedTile) -> Result<()> {
        let tile = self.depot().deposit(tile.coord, &tile.bytes)?;
        self.accept(tile)
    }

    /// Assembles, verifies, syncs, and gives the container its final name. All tiles are in the depot.
    ///
    /// # Errors
    /// When any of that fails; nothing then stands under the final name that did not stand there before.
    fn finish(self: Box<Self>) -> Result<Written>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_the_container() {
        let kind = |path: &str| OutputKind::from_path(Path::new(path));
        assert_eq!(kind("a/b.mbtiles").ok(), Some(OutputKind::Mbtiles));
        assert_eq!(kind("a/b.PMTiles").ok(), Some(OutputKind::Pmtiles));
        assert_eq!(kind("a/b.tar").ok(), Some(OutputKind::Tar));
        for folder in ["tiles", "tiles/", "v1.2", "a.b/tiles", "pictures.png/"] {
            assert_eq!(kind(folder).ok(), Some(OutputKind::Folder), "{folder}");
        }
    }

    #[test]
    fn other_files_do_not_become_folders() {
        assert!(OTHER_FILES.is_sorted());
        for file in ["out.tif", "out.PNG", "a/out.zip", "out.tar.gz", "out.mbtile"] {
            let error = OutputKind::from_path(Path::new(file)).expect_err(file);
            assert!(
                matches!(&error, Error::Usage(m) if m.contains(file) && m.contains(".pmtiles")),
                "{error}"
            );
        }
    }
}
