//! A folder of tile files to read: `{z}/{x}/{y}.{extension}`.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::grid::{Grid, TileCoord, TileMatrixLimits};
use crate::store::metadata::{self, About, Found, Keys};
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
    /// What follows the row in the names of the tiles, as it is written.
    ending: String,
}

impl FolderStore {
    /// Finds out what a folder holds, without looking at every tile. Rows are numbered as `scheme` says, else as the
    /// description in the folder does, else from the north. The same goes for the `grid` and Web Mercator.
    ///
    /// # Errors
    /// [`Error::Input`] when it holds no tiles, or a description that cannot be read.
    pub fn open(path: &Path, scheme: Option<Scheme>, grid: Option<&Grid>) -> Result<Self> {
        let keys = keys(path)?;
        let scheme = scheme.or_else(|| names::told_scheme(&keys)).unwrap_or_default();
        let told = || metadata::grid(&keys).map_err(|why| Error::input(path, why));
        let grid = grid.cloned().map_or_else(told, Ok)?;
        let rows = (&grid, scheme);
        let mut levels = Vec::new();
        for (z, level) in numbered(path)? {
            if let Some((coord, ending)) = first_tile(z, &level, rows)? {
                levels.push((coord, ending, level));
            }
        }
        let (Some((first, ending, _)), Some((last, ..))) = (levels.first(), levels.last()) else {
            let reason = "holds no tiles: no file is named ZOOM/COLUMN/ROW.png, .jpg or .webp";
            return Err(Error::input(path, reason));
        };
        let found = Found {
            path,
            container: "folder",
            keys,
            zooms: (first.z, last.z),
            first: *first,
            bytes: read(&file(path, *first, rows, ending))?.unwrap_or_default(),
            free: true,
            grid: grid.clone(),
            retina: names::is_retina(ending),
        };
        let mut about = found.about(|| {
            let mut extent = TileMatrixLimits::default();
            level_tiles(path, last.z.into(), rows, ending, |coord, _| {
                extent.add(coord);
                Ok(())
            })?;
            Ok(extent)
        })?;
        about.info.scheme = scheme;
        Ok(Self::new(Arc::new(Known { about, ending: ending.clone() })))
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
        let Known { about, ending } = &*self.known;
        for (z, _) in numbered(&about.path)? {
            level_tiles(&about.path, z, about.rows(), ending, |coord, file| {
                let size = fs::metadata(&file).map_err(|e| unreadable(&file, "cannot be inspected", &e))?;
                take(coord, size.len())
            })?;
        }
        Ok(())
    }

    fn tile(&self, coord: TileCoord) -> Result<Option<Vec<u8>>> {
        let Known { about, ending } = &*self.known;
        read(&file(&about.path, coord, about.rows(), ending))
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

/// The first tile of a level, in the order of columns and rows as they are named, and the ending of its file.
fn first_tile(z: u32, level: &Path, grid: (&Grid, Scheme)) -> Result<Option<(TileCoord, String)>> {
    for (x, column) in numbered(level)? {
        let listed = rows(&column)?;
        let tiles = listed.iter().flat_map(|(row, endings)| endings.iter().map(move |e| (*row, e)));
        let mut tiles = tiles.filter_map(|(row, e)| Some((names::address(z, x, row, grid)?, e)));
        if let Some((coord, ending)) = tiles.next() {
            return Ok(Some((coord, ending.clone())));
        }
    }
    Ok(None)
}

/// Hands over every tile of a level with its file, by column and row as they are named.
fn level_tiles(
    path: &Path,
    z: u32,
    grid: (&Grid, Scheme),
    ending: &str,
    mut take: impl FnMut(TileCoord, PathBuf) -> Result<()>,
) -> Result<()> {
    for (x, column) in numbered(&path.join(z.to_string()))? {
        for (row, endings) in rows(&column)? {
            let Some(coord) = names::address(z, x, row, grid) else { continue };
            if let Some(other) = endings.iter().find(|e| *e != ending) {
                let file = column.join(format!("{row}{other}"));
                let reason =
                    format!("tile {coord} is {other} where others are {ending}; a tile set has one format");
                return Err(Error::input(file, reason));
            }
            take(coord, column.join(format!("{row}{ending}")))?;
        }
    }
    Ok(())
}

/// The file of a tile.
fn file(path: &Path, coord: TileCoord, (grid, scheme): (&Grid, Scheme), ending: &str) -> PathBuf {
    let named = if scheme == Scheme::Tms { grid.turned(coord).unwrap_or(coord) } else { coord };
    path.join(format!("{}/{}/{}{ending}", coord.z, coord.x, named.y))
}

fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(unreadable(file, "cannot be read", &e)),
    }
}

/// The tiles in the folder of a column: rows as they are named, and the endings of their files.
fn rows(column: &Path) -> Result<BTreeMap<u32, Vec<String>>> {
    let mut found = BTreeMap::<u32, Vec<String>>::new();
    for name in listed(column)? {
        if let Some((row, ending)) = names::row(&name) {
            found.entry(row).or_default().push(ending.to_owned());
        }
    }
    for endings in found.values_mut() {
        endings.sort_unstable();
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
    fn files_of_twice_the_pixels_are_tiles_and_no_others_beside_them() {
        let dir = folder(&["2/1/0@2x.png", "2/1/1@2x.png"]);
        let store = open(dir.path(), None).expect("a set");
        assert_eq!(addresses(store.as_ref()), ["2/1/0", "2/1/1"]);
        assert_eq!((store.info().retina, store.info().tile_size), (true, 16));
        fs::write(dir.path().join("2/1/1.png"), tile(TileFormat::Png, 32, 1)).expect("file");
        let error =
            open(dir.path(), None).and_then(|s| s.each(&mut |_, _| Ok(()))).expect_err("mixed").to_string();
        assert!(error.contains("tile 2/1/1 is .png where others are @2x.png"), "{error}");
    }

    #[test]
    fn grids_are_what_the_description_or_the_caller_says() {
        let dir = folder(&["1/3/1.png", "1/0/0.png"]);
        let found = |grid: Option<&Grid>| {
            let store = FolderStore::open(dir.path(), Some(Scheme::Tms), grid).expect("a set");
            (addresses(&store), store.info().rounded_bounds())
        };
        assert_eq!(found(None).0, ["1/0/1"]);
        let wide = Grid::Set(crate::grid::registered("WorldCRS84Quad").expect("is known"));
        let (tiles, bounds) = found(Some(&wide));
        assert_eq!(tiles, ["1/0/1", "1/3/0"]);
        assert_eq!(bounds, [-180.0, -90.0, 180.0, 90.0]);
        let json = wide.set().expect("a set").to_json();
        fs::write(dir.path().join("tilejson.json"), format!(r#"{{"tileMatrixSet": {json}}}"#)).expect("file");
        assert_eq!(found(None).0, ["1/0/1", "1/3/0"]);
        let torn = json.to_string().replace("1.3/CRS84", "EPSG/0/9");
        fs::write(dir.path().join("tilejson.json"), format!(r#"{{"tileMatrixSet": {torn}}}"#)).expect("file");
        let error = open(dir.path(), None).err().expect("no such CRS").to_string();
        assert!(error.contains("tileMatrixSet") && error.contains("CRS that is not known"), "{error}");
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
