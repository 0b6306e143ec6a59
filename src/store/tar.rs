//! A tar archive to read: the files of a folder, perhaps below one folder more.
//!
//! Its members are listed once; then tiles are read where they lie. Nothing is unpacked under the name it has in the archive, so names
//! that lead elsewhere (`/etc/…`, `../…`) do no harm: they name no tile.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use ::tar::{Entry, EntryType};

use crate::error::{Error, Result};
use crate::grid::{Grid, TileCoord, TileMatrixLimits};
use crate::order::Order;
use crate::store::metadata::{self, About, Found, Keys};
use crate::store::names::{self, DESCRIPTIONS, MOST_DESCRIPTION};
use crate::store::{Opener, Take, TileStore, unreadable};
use crate::tileset::Scheme;

/// Everything in a tar archive begins at a multiple of this.
const BLOCK: usize = 512;

/// A tar archive.
#[derive(Debug)]
pub struct TarStore {
    file: File,
    known: Arc<Known>,
    _own_thread: PhantomData<*mut ()>,
}

#[derive(Debug)]
struct Known {
    about: About,
    order: Order,
    tiles: Vec<Tile>,
}

/// A tile, and where its bytes are. Sorted by their place in the order of names.
#[derive(Debug, Clone, Copy)]
struct Tile {
    key: u64,
    offset: u64,
    len: u32,
}

/// Whether the first block of a file is a header of a tar archive: its checksum is right.
pub(crate) fn begins_as_tar(head: &[u8]) -> bool {
    let Some(block) = head.first_chunk::<BLOCK>() else { return false };
    let mut header = ::tar::Header::new_old();
    header.as_mut_bytes().copy_from_slice(block);
    let told = header.cksum();
    header.set_cksum();
    block[0] != 0 && told.is_ok_and(|told| header.cksum().is_ok_and(|right| told == right))
}

impl TarStore {
    /// Lists the members. Rows are numbered as `scheme` says, else as the description in the archive does, else from the
    /// north. The same goes for the `grid` and Web Mercator.
    ///
    /// # Errors
    /// [`Error::Input`] when the archive is damaged or cut off, holds a tile twice or as a link, or no tile.
    pub fn open(path: &Path, scheme: Option<Scheme>, grid: Option<&Grid>) -> Result<Self> {
        let file = File::open(path).map_err(|e| unreadable(path, "cannot be opened", &e))?;
        let listing = Listing::new(path, &file)?;
        let (keys, ending, members) = listing.set(path)?;
        let scheme = scheme.or_else(|| names::told_scheme(&keys)).unwrap_or_default();
        let told = || metadata::grid(&keys).map_err(|why| Error::input(path, why));
        let grid = grid.cloned().map_or_else(told, Ok)?;
        let order = Order::names(&grid);
        let coord = |tile: &Tile| order.tile(tile.key);
        let mut tiles = tiles(path, &members, &ending, (&grid, scheme))?;
        drop(members);
        tiles.sort_unstable_by_key(|tile| tile.key);
        if let Some([double, ..]) = tiles.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(Error::input(path, format!("has tile {} twice", coord(double))));
        }
        let (Some(first), Some(last)) = (tiles.first(), tiles.last()) else {
            return Err(Error::input(path, "holds no tile within its grid, Web Mercator if it tells none"));
        };
        let (first, max_zoom) = (*first, coord(last).z);
        let found = Found {
            path,
            container: "tar",
            keys,
            zooms: (coord(&first).z, max_zoom),
            first: coord(&first),
            bytes: read(path, &file, &first, coord(&first))?,
            free: true,
            grid: grid.clone(),
            retina: names::is_retina(&ending),
        };
        let mut about = found.about(|| {
            let mut extent = TileMatrixLimits::default();
            tiles.iter().map(coord).filter(|c| c.z == max_zoom).for_each(|coord| extent.add(coord));
            Ok(extent)
        })?;
        about.info.scheme = scheme;
        Ok(Self::new(file, Arc::new(Known { about, order, tiles })))
    }

    fn new(file: File, known: Arc<Known>) -> Self {
        Self { file, known, _own_thread: PhantomData }
    }
}

impl TileStore for TarStore {
    fn about(&self) -> &About {
        &self.known.about
    }

    fn each(&self, take: &mut Take<'_>) -> Result<()> {
        let Known { order, tiles, .. } = &*self.known;
        tiles.iter().try_for_each(|tile| take(order.tile(tile.key), tile.len.into()))
    }

    fn tile(&self, coord: TileCoord) -> Result<Option<Vec<u8>>> {
        let Some(key) = self.known.order.key(coord) else { return Ok(None) };
        let Ok(place) = self.known.tiles.binary_search_by_key(&key, |tile| tile.key) else { return Ok(None) };
        read(&self.known.about.path, &self.file, &self.known.tiles[place], coord).map(Some)
    }

    fn opener(&self) -> Opener {
        let known = Arc::clone(&self.known);
        Opener::new(move || {
            let path = &known.about.path;
            let file = File::open(path).map_err(|e| unreadable(path, "cannot be opened", &e))?;
            Ok(Box::new(Self::new(file, Arc::clone(&known))))
        })
    }
}

fn read(path: &Path, file: &File, tile: &Tile, coord: TileCoord) -> Result<Vec<u8>> {
    let mut bytes = vec![0; tile.len as usize];
    let read = file.read_exact_at(&mut bytes, tile.offset);
    read.map_err(|e| unreadable(path, &format!("tile {coord} cannot be read"), &e))?;
    Ok(bytes)
}

/// A member that has the name of a tile: the numbers in it, and where its bytes are.
#[derive(Debug, Clone, Copy)]
struct Member {
    z: u32,
    x: u32,
    row: u32,
    offset: u64,
    len: u32,
}

/// What an archive holds below each of its folders: names of tiles and descriptions.
#[derive(Debug, Default)]
struct Listing {
    /// By folder and what follows the row.
    tiles: BTreeMap<(String, String), Vec<Member>>,
    /// By folder, then by name: offset and length.
    descriptions: BTreeMap<(String, &'static str), Keys>,
}

impl Listing {
    fn new(path: &Path, file: &File) -> Result<Self> {
        let torn = |e: std::io::Error| Error::input(path, format!("is a damaged tar archive: {e}"));
        let size = file.metadata().map_err(|e| unreadable(path, "cannot be inspected", &e))?.len();
        let mut archive = ::tar::Archive::new(file);
        let mut listing = Self::default();
        let mut end = 0;
        for entry in archive.entries_with_seek().map_err(torn)? {
            let mut entry = entry.map_err(torn)?;
            let (offset, len) = (entry.raw_file_position(), entry.size());
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            end = offset.saturating_add(len).next_multiple_of(BLOCK as u64);
            if offset.saturating_add(len) > size {
                let why = format!(
                    "'{name}' should end at byte {}, the file has {size}",
                    offset.saturating_add(len)
                );
                return Err(Error::input(path, format!("is a damaged tar archive: {why}")));
            }
            listing.add(path, &name, &mut entry)?;
        }
        let mut mark = [1; BLOCK];
        // What follows the last member is a block of nothing: else there may have been more.
        if file.read_exact_at(&mut mark, end).is_err() || mark != [0; BLOCK] {
            let why = "it has no end and is probably cut off behind its last member";
            return Err(Error::input(path, format!("is a damaged tar archive: {why}")));
        }
        Ok(listing)
    }

    /// Takes note of a member that is a tile or a description.
    fn add(&mut self, path: &Path, name: &str, entry: &mut Entry<'_, &File>) -> Result<()> {
        let kind = entry.header().entry_type();
        let Some(parts) = parts(name) else { return Ok(()) };
        if matches!(kind, EntryType::Directory | EntryType::XGlobalHeader) {
            return Ok(());
        }
        let is_file = matches!(kind, EntryType::Regular | EntryType::Continuous);
        if let [folder @ .., last] = parts.as_slice()
            && let Some(description) = DESCRIPTIONS.into_iter().find(|d| d == last)
        {
            if is_file && entry.size() <= MOST_DESCRIPTION {
                let mut bytes = Vec::new();
                let refused = |why: &str| Error::input(path, format!("'{name}' {why}"));
                entry.read_to_end(&mut bytes).map_err(|e| refused(&format!("cannot be read: {e}")))?;
                let keys = names::keys(description, &bytes).map_err(|why| refused(&why))?;
                self.descriptions.insert((folder.join("/"), description), keys);
            }
            return Ok(());
        }
        let [folder @ .., z, x, last] = parts.as_slice() else { return Ok(()) };
        let (Some(z), Some(x), Some((row, ending))) = (names::number(z), names::number(x), names::row(last))
        else {
            return Ok(());
        };
        let len = u32::try_from(entry.size()).ok();
        let (true, Some(len)) = (is_file, len) else {
            let what = if is_file { "is too large for a tile" } else { "is a link or no plain file" };
            let hint = "pack the tiles themselves (tar --dereference --hard-dereference)";
            return Err(Error::input(path, format!("'{name}' {what}; {hint}")));
        };
        let member = Member { z, x, row, offset: entry.raw_file_position(), len };
        self.tiles.entry((folder.join("/"), ending.to_owned())).or_default().push(member);
        Ok(())
    }

    /// The one set in the archive: its description, the ending of its tiles, and these.
    fn set(mut self, path: &Path) -> Result<(Keys, String, Vec<Member>)> {
        let Some(((folder, ending), members)) = self.tiles.pop_first() else {
            return Err(Error::input(
                path,
                "holds no tiles: no member is named ZOOM/COLUMN/ROW.png, .jpg or .webp",
            ));
        };
        if let Some(((other, theirs), members)) = self.tiles.pop_first() {
            let reason = if other == folder {
                let Member { z, x, row, .. } = members[0];
                format!("tile {z}/{x}/{row} is {theirs} where others are {ending}; a tile set has one format")
            } else {
                format!("holds more than one tile set: '{folder}' and '{other}'")
            };
            return Err(Error::input(path, reason));
        }
        let told = DESCRIPTIONS.iter().find_map(|name| self.descriptions.remove(&(folder.clone(), *name)));
        Ok((told.unwrap_or_default(), ending, members))
    }
}

/// The parts of a name without a leading `./`; `None` for names that lead out of the archive.
fn parts(name: &str) -> Option<Vec<&str>> {
    let parts: Vec<_> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!name.starts_with('/') && !parts.contains(&"..")).then_some(parts)
}

/// The tiles that members are; those outside of their level's matrix are left out.
fn tiles(path: &Path, members: &[Member], ending: &str, grid: (&Grid, Scheme)) -> Result<Vec<Tile>> {
    let order = Order::names(grid.0);
    let tile = |member: &Member| {
        let Member { z, x, row, offset, len } = *member;
        let coord = names::address(z, x, row, grid)?;
        Some((coord, Tile { key: order.key(coord)?, offset, len }))
    };
    let checked = |(coord, tile): (TileCoord, Tile)| {
        let empty = || Error::input(path, format!("tile {coord} ({ending}) is empty"));
        if tile.len == 0 { Err(empty()) } else { Ok(tile) }
    };
    members.iter().filter_map(tile).map(checked).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::encode::TileFormat;
    use crate::store::open;
    use crate::store::picture::tests::tile as picture;

    const TILE: &str = "tile";

    /// An archive of members of the given names: a tile, or the text that is given.
    fn archive(members: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("set.bin");
        let mut builder = ::tar::Builder::new(File::create(&path).expect("created"));
        let bytes = picture(TileFormat::Png, 32, 1);
        for (name, text) in members {
            let mut header = ::tar::Header::new_gnu();
            let field = &mut header.as_old_mut().name[..name.len()];
            field.copy_from_slice(name.as_bytes());
            let bytes = if *text == TILE { &bytes[..] } else { text.as_bytes() };
            if let Some(target) = text.strip_prefix("-> ") {
                header.set_entry_type(EntryType::Symlink);
                header.set_link_name(target).expect("a name");
                header.set_size(0);
                header.set_cksum();
                builder.append(&header, std::io::empty()).expect("appended");
            } else {
                header.set_size(bytes.len() as u64);
                header.set_cksum();
                builder.append(&header, bytes).expect("appended");
            }
        }
        builder.finish().expect("finished");
        (dir, path)
    }

    fn addresses(members: &[(&str, &str)], scheme: Option<Scheme>) -> Result<Vec<String>> {
        let (_dir, path) = archive(members);
        let store = open(&path, scheme)?.opener().open()?;
        let mut found = Vec::new();
        store.each(&mut |coord, size| {
            assert_eq!(store.tile(coord)?.map(|bytes| bytes.len() as u64), Some(size));
            found.push(coord.to_string());
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn names_may_begin_with_a_dot_or_one_folder_more() {
        for top in ["", "./", "tiles/", "./a/b/"] {
            let names = ["3/4/5.png", "2/1/1.png", "3/4/5.png.aux.xml", "readme.txt"];
            let names = names.map(|name| format!("{top}{name}"));
            let members: Vec<_> = names.iter().map(|name| (name.as_str(), TILE)).collect();
            assert_eq!(addresses(&members, None).expect("a set"), ["2/1/1", "3/4/5"], "{top}");
        }
    }

    #[test]
    fn the_description_beside_the_tiles_counts() {
        let tms = r#"{"scheme": "tms", "name": "south"}"#;
        let members = [("a/2/1/0.png", TILE), ("a/tilejson.json", tms), ("tilejson.json", "{}")];
        assert_eq!(addresses(&members, None).expect("a set"), ["2/1/3"]);
        assert_eq!(addresses(&members, Some(Scheme::Xyz)).expect("a set"), ["2/1/0"]);
        let error = addresses(&[("2/1/0.png", TILE), ("metadata.json", "torn")], None).expect_err("torn");
        assert!(error.to_string().contains("'metadata.json' is no JSON"), "{error}");
    }

    #[test]
    fn hostile_names_are_no_tiles() {
        let members =
            [("/2/1/0.png", TILE), ("../2/1/1.png", TILE), ("a/../2/1/2.png", TILE), ("2/1/3.png", TILE)];
        assert_eq!(addresses(&members, None).expect("a set"), ["2/1/3"]);
        assert!(addresses(&members[..3], None).expect_err("none").to_string().contains("holds no tiles"));
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        for (members, word) in [
            (&[("2/1/0.png", TILE), ("./2/1/0.png", TILE)][..], "has tile 2/1/0 twice"),
            (&[("2/1/0.png", TILE), ("2/1/1.webp", TILE)], "tile 2/1/1 is .webp"),
            (&[("a/2/1/0.png", TILE), ("b/2/1/0.png", TILE)], "more than one tile set: 'a' and 'b'"),
            (&[("2/1/0.png", TILE), ("2/1/1.png", "-> 0.png")], "'2/1/1.png' is a link"),
            (&[("2/1/0.png", "")], "tile 2/1/0 (.png) is empty"),
            (&[("2/9/0.png", TILE)], "holds no tile within"),
        ] {
            let error = addresses(members, None).expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn an_archive_that_was_cut_off_or_damaged_is_refused() {
        let (_dir, path) = archive(&[("2/1/0.png", TILE), ("2/1/1.png", TILE)]);
        let bytes = std::fs::read(&path).expect("archive");
        let member = 512 + picture(TileFormat::Png, 32, 1).len().next_multiple_of(512);
        assert_eq!(bytes.len(), 2 * member + 1024);
        for len in [513, member - 1, member, member + 100, member + 600, 2 * member] {
            std::fs::write(&path, &bytes[..len]).expect("written");
            let error = open(&path, None).err().expect("cut off").to_string();
            assert!(error.contains("damaged tar archive"), "{len}: {error}");
        }
        for at in [member + 3, member + 130, member + 150] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).expect("written");
            let error = open(&path, None).err().expect("damaged").to_string();
            assert!(error.contains("damaged tar archive"), "{at}: {error}");
        }
    }
}
