//! A folder of tile files to read: `{z}/{x}/{y}.{extension}`.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::store::metadata::{About, Extent, Found, Keys};
use crate::store::names::{self, DESCRIPTIONS, MOST_DESCRIPTION};
use crate::store::{Opener, Take, TileStore, unreadable};
use crate::tileset::Scheme;

/// A folder of tiles.
#[derive(Debug)]
pub struct FolderStore {
    known: Arc<Known>,
    _own_thread: PhantomData<*mut ()>,
}

#[derive(Debug)]
struct Known {
    about: About,
    /// Extension of the tiles, as it is written.
    extension: String,
}

impl FolderStore {
    /// Finds out what a folder holds, without looking at every tile. Rows are numbered as `scheme` says, else as the
    /// description in the folder does, else from the north.
    ///
    /// # Errors
    /// [`Error::Input`] when it holds no tiles, or a description that cannot be read.
    pub fn open(path: &Path, scheme: Option<Scheme>) -> Result<Self> {
        let keys = keys(path)?;
        let scheme = scheme.or_else(|| names::told_scheme(&keys)).unwrap_or_default();
        let mut levels = Vec::new();
        for (z, level) in numbered(path)? {
            if let Some((coord, extension)) = first_tile(z, &level, scheme)? {
                levels.push((coord, extension, level));
            }
        }
        let (Some((first, extension, _)), Some((last, ..))) = (levels.first(), levels.last()) else {
            let reason = "holds no tiles: no file is named ZOOM/COLUMN/ROW.png, .jpg or .webp";
            return Err(Error::input(path, reason));
        };
        let found = Found {
            path,
            container: "folder",
            keys,
            zooms: (first.z, last.z),
            first: *first,
            bytes: read(&file(path, *first, scheme, extension))?.unwrap_or_default(),
            free: true,
        };
        let mut about = found.about(|| {
            let mut extent = Extent::default();
            level_tiles(path, last.z.into(), scheme, extension, |coord, _| {
                extent.add(coord);
                Ok(())
            })?;
            Ok(extent)
        })?;
        about.info.scheme = scheme;
        Ok(Self::new(Arc::new(Known { about, extension: extension.clone() })))
    }

    fn new(known: Arc<Known>) -> Self {
        Self { known, _own_thread: PhantomData }
    }
}

impl TileStore for FolderStore {
    fn about(&self) -> &About {
        &self.known.about
    }

    fn each(&self, take: &mut Take<'_>) -> Result<()> {
        let Known { about, extension } = &*self.known;
        for (z, _) in numbered(&about.path)? {
            level_tiles(&about.path, z, about.info.scheme, extension, |coord, file| {
                let size = fs::metadata(&file).map_err(|e| unreadable(&file, "cannot be inspected", &e))?;
                take(coord, size.len())
            })?;
        }
        Ok(())
    }

    fn tile(&self, coord: TileCoord) -> Result<Option<Vec<u8>>> {
        let Known { about, extension } = &*self.known;
        read(&file(&about.path, coord, about.info.scheme, extension))
    }

    fn opener(&self) -> Opener {
        let known = Arc::clone(&self.known);
        Opener::new(move || Ok(Box::new(Self::new(Arc::clone(&known)))))
    }
}

/// What the description in a folder tells; nothing where there is none.
fn keys(path: &Path) -> Result<Keys> {
    for name in DESCRIPTIONS {
        let file = path.join(name);
        match fs::metadata(&file) {
            Ok(found) if found.len() > MOST_DESCRIPTION => {
                return Err(Error::input(file, "is too large for the description of a tile set"));
            }
            Ok(_) => {
                let bytes = fs::read(&file).map_err(|e| unreadable(&file, "cannot be read", &e))?;
                return names::keys(name, &bytes).map_err(|why| Error::input(file, why));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(unreadable(&file, "cannot be read", &e)),
        }
    }
    Ok(Keys::new())
}

/// The first tile of a level, in the order of columns and rows as they are named, and the extension of its file.
fn first_tile(z: u32, level: &Path, scheme: Scheme) -> Result<Option<(TileCoord, String)>> {
    for (x, column) in numbered(level)? {
        let listed = rows(&column)?;
        let tiles = listed.iter().flat_map(|(row, extensions)| extensions.iter().map(move |e| (*row, e)));
        let mut tiles = tiles.filter_map(|(row, e)| Some((names::address(z, x, row, scheme)?, e)));
        if let Some((coord, extension)) = tiles.next() {
            return Ok(Some((coord, extension.clone())));
        }
    }
    Ok(None)
}

/// Hands over every tile of a level with its file, by column and row as they are named.
fn level_tiles(
    path: &Path,
    z: u32,
    scheme: Scheme,
    extension: &str,
    mut take: impl FnMut(TileCoord, PathBuf) -> Result<()>,
) -> Result<()> {
    for (x, column) in numbered(&path.join(z.to_string()))? {
        for (row, extensions) in rows(&column)? {
            let Some(coord) = names::address(z, x, row, scheme) else { continue };
            if let Some(other) = extensions.iter().find(|e| *e != extension) {
                let file = column.join(format!("{row}.{other}"));
                let reason = format!(
                    "tile {coord} is .{other} where others are .{extension}; a tile set has one format"
                );
                return Err(Error::input(file, reason));
            }
            take(coord, column.join(format!("{row}.{extension}")))?;
        }
    }
    Ok(())
}

/// The file of a tile.
fn file(path: &Path, coord: TileCoord, scheme: Scheme, extension: &str) -> PathBuf {
    let row = if scheme == Scheme::Tms { coord.tms_y() } else { coord.y };
    path.join(format!("{}/{}/{row}.{extension}", coord.z, coord.x))
}

fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(unreadable(file, "cannot be read", &e)),
    }
}

/// The tiles in the folder of a column: rows as they are named, and the extensions of their files.
fn rows(column: &Path) -> Result<BTreeMap<u32, Vec<String>>> {
    let mut found = BTreeMap::<u32, Vec<String>>::new();
    for name in listed(column)? {
        if let Some((row, extension)) = names::row(&name) {
            found.entry(row).or_default().push(extension.to_owned());
        }
    }
    for extensions in found.values_mut() {
        extensions.sort_unstable();
    }
    Ok(found)
}

/// The folders in a folder whose names are numbers, in their order.
fn numbered(path: &Path) -> Result<Vec<(u32, PathBuf)>> {
    let folder = |name: String| Some((names::number(&name)?, path.join(name)));
    let mut found: Vec<_> =
        listed(path)?.into_iter().filter_map(folder).filter(|(_, path)| path.is_dir()).collect();
    found.sort_unstable();
    Ok(found)
}

fn listed(path: &Path) -> Result<Vec<String>> {
    let refused = |e| unreadable(path, "cannot be listed", &e);
    let entries = fs::read_dir(path).map_err(refused)?;
    entries
        .map(|entry| entry.map_err(refused).map(|e| e.file_name().to_string_lossy().into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::TileFormat;
    use crate::store::open;
    use crate::store::picture::tests::tile;

    /// A folder with files of the given names; those of tiles are tiles.
    fn folder(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("tempdir");
        for name in names {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
            fs::write(path, tile(TileFormat::Png, 32, 1)).expect("file");
        }
        dir
    }

    fn addresses(store: &dyn TileStore) -> Vec<String> {
        let mut found = Vec::new();
        let take = &mut |coord: TileCoord, size| {
            assert_eq!(store.tile(coord).expect("read").map(|bytes| bytes.len() as u64), Some(size));
            found.push(coord.to_string());
            Ok(())
        };
        store.each(take).expect("listed");
        found
    }

    #[test]
    fn tiles_are_listed_in_order_and_nothing_else() {
        let dir = folder(&[
            "10/2/3.png",
            "9/1/1.png",
            "9/1/0.png",
            "9/0/5.png",
            "9/0/5.png.aux.xml",
            "9/0/05.png",
            "9/512/0.png",
            "9/0/512.png",
            "09/0/1.png",
            "thumbs/0/0.png",
            "9/x/1.png",
            "leaflet.html",
            "9/7",
        ]);
        let store = open(dir.path(), None).expect("a set");
        assert_eq!(addresses(store.as_ref()), ["9/0/5", "9/1/0", "9/1/1", "10/2/3"]);
        let info = store.info();
        assert_eq!((info.min_zoom, info.max_zoom, info.tile_size), (9, 10, 32));
        assert!(store.tile(TileCoord::new(9, 3, 3)).expect("read").is_none());
        let again = store.opener().open().expect("again");
        assert_eq!(addresses(again.as_ref()).len(), 4);
    }

    #[test]
    fn rows_count_from_the_south_where_the_description_or_the_caller_says_so() {
        let dir = folder(&["2/1/0.png"]);
        let found = |scheme| addresses(open(dir.path(), scheme).expect("a set").as_ref());
        assert_eq!(found(None), ["2/1/0"]);
        assert_eq!(found(Some(Scheme::Tms)), ["2/1/3"]);
        fs::write(dir.path().join("tilemapresource.xml"), "<TileMap>").expect("file");
        assert_eq!(found(None), ["2/1/3"]);
        fs::write(dir.path().join("metadata.json"), r#"{"scheme": "xyz"}"#).expect("file");
        assert_eq!(found(None), ["2/1/0"]);
        fs::write(dir.path().join("tilejson.json"), r#"{"scheme": "tms"}"#).expect("file");
        assert_eq!(found(None), ["2/1/3"]);
        assert_eq!(found(Some(Scheme::Xyz)), ["2/1/0"]);
    }

    #[test]
    fn another_extension_anywhere_is_refused_by_its_address() {
        for name in ["3/5/6.webp", "3/4/4.webp", "3/5/6.pbf", "3/5/6.PNG"] {
            let dir = folder(&["3/4/4.png", "3/4/5.png", name]);
            let listed = open(dir.path(), None).and_then(|store| store.each(&mut |_, _| Ok(())));
            let error = listed.expect_err(name).to_string();
            let tile = name.split_once('.').expect("an extension").0;
            assert!(error.contains(&format!("tile {tile}")), "{error}");
        }
    }

    #[test]
    fn folders_without_tiles_and_torn_descriptions_are_refused() {
        let dir = folder(&["a/b.png"]);
        assert!(open(dir.path(), None).err().expect("no set").to_string().contains("holds no tiles"));
        let dir = folder(&["0/0/0.png"]);
        fs::write(dir.path().join("tilejson.json"), "{").expect("file");
        assert!(
            open(dir.path(), None).err().expect("torn").to_string().contains("tilejson.json: is no JSON")
        );
    }
}
