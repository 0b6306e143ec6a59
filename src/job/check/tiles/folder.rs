//! A folder of tile files: `{z}/{x}/{y}.{extension}`, and what else is in it.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use super::addresses::Gathering;
use super::shelf::{Piece, Shelf, below, file_name};
use super::told::Told;
use super::{Inventory, enough};
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::job::check::Context;
use crate::job::check::report::{Faults, Severity};
use crate::store::metadata::{self, Keys};
use crate::store::names::{self, DESCRIPTIONS, MOST_DESCRIPTION};
use crate::tileset::Scheme;

/// Endings of files that programs put beside tiles: pages, descriptions, georeferencing.
const COMPANIONS: [&str; 14] =
    ["html", "htm", "xml", "json", "kml", "mapml", "js", "css", "txt", "md", "wld", "vrt", "geojson", "prj"];

/// What was found while walking through a folder.
struct Walk<'a> {
    context: &'a Context<'a>,
    /// The folder, without links in its path.
    root: PathBuf,
    faults: &'a mut Faults,
    /// Tiles as they are named, by what follows the row.
    found: BTreeMap<String, Vec<(u32, u32, u32, u64)>>,
    count: usize,
}

/// Looks through a folder. `None` when it holds nothing that can be checked any further.
pub(super) fn audit(context: &Context<'_>, faults: &mut Faults) -> Result<Option<Inventory>> {
    let path = context.path;
    let told = descriptions(path, faults)?;
    let root = path.canonicalize().map_err(|e| Error::input(path, format!("cannot be opened: {e}")))?;
    let mut walk = Walk { context, root, faults, found: BTreeMap::new(), count: 0 };
    walk.top()?;
    let found = walk.found;
    let Some((ending, grid, scheme)) = kind(context, &told, &found, faults)? else {
        if told.is_empty() && found.is_empty() {
            let reason = "holds no tiles: no file is named ZOOM/COLUMN/ROW.png, .jpg or .webp";
            return Err(Error::input(path, reason));
        }
        return Ok(None);
    };
    let mut gathering = Gathering::new(&grid);
    let mut pieces = Vec::new();
    for (other, tiles) in found {
        if other != ending {
            for (z, x, row, _) in &tiles {
                faults.add(Severity::Error, "mixed", 1, || {
                    format!(
                        "tile {z}/{x}/{row} is {other} where most are {ending}; a tile set has one format"
                    )
                });
            }
            continue;
        }
        for (z, x, row, len) in tiles {
            let Some(coord) = names::address(z, x, row, (&grid, scheme)) else {
                faults.add(Severity::Error, "address", 1, || {
                    format!("tile {z}/{x}/{row} is outside of the matrix of its level")
                });
                continue;
            };
            gathering.push(coord);
            pieces.push(Piece { coord, len: u32::try_from(len).unwrap_or(u32::MAX), place: 0 });
        }
    }
    let retina = names::is_retina(&ending);
    let placed = told.first().is_none_or(|told| grid.set().is_some() || !metadata::is_unplaced(&told.keys));
    let named = ending.rsplit('.').next().and_then(|extension| extension.parse().ok());
    Ok(Some(Inventory {
        shelf: Shelf::Folder { root: path.to_owned(), grid: grid.clone(), scheme, ending },
        grid,
        gathering,
        pieces,
        told,
        named,
        retina,
        placed,
    }))
}

/// Reads every description in a folder.
fn descriptions(path: &Path, faults: &mut Faults) -> Result<Vec<Told>> {
    let mut found = Vec::new();
    for name in DESCRIPTIONS {
        let file = path.join(name);
        // A link may lead anywhere.
        match fs::symlink_metadata(&file) {
            Ok(entry) if !entry.is_file() => {
                faults.warning("link", format!("{name} is no plain file and is not read"));
            }
            Ok(entry) if entry.len() > MOST_DESCRIPTION => {
                faults.error("metadata", format!("{name} is too large for the description of a tile set"));
            }
            Ok(_) => {
                let bytes =
                    fs::read(&file).map_err(|e| Error::input(&file, format!("cannot be read: {e}")))?;
                read_description(name, &bytes, faults, &mut found);
            }
            Err(_) => {}
        }
    }
    Ok(found)
}

/// Takes a description down, or what is wrong with it.
pub(super) fn read_description(name: &str, bytes: &[u8], faults: &mut Faults, found: &mut Vec<Told>) {
    match names::keys(name, bytes) {
        Ok(mut keys) => {
            if name == "tilejson.json" {
                for key in ["tilejson", "tiles"].into_iter().filter(|key| !keys.contains_key(*key)) {
                    faults.error("metadata", format!("{name} has no '{key}', which TileJSON requires"));
                }
            }
            if name == "tilemapresource.xml" {
                levels(&String::from_utf8_lossy(bytes), &mut keys);
            }
            found.push(Told { source: name.to_owned(), keys });
        }
        Err(why) => faults.error("metadata", format!("{name} {why}")),
    }
}

/// The levels that a description by the Tile Map Service specification lists.
fn levels(xml: &str, keys: &mut Keys) {
    let order = |part: &str| part.split_once("order=\"")?.1.split_once('"')?.0.parse::<u8>().ok();
    let listed: Vec<u8> = xml.split("<TileSet ").skip(1).filter_map(order).collect();
    if let (Some(min), Some(max)) = (listed.iter().min(), listed.iter().max()) {
        keys.insert("minzoom".to_owned(), (*min).into());
        keys.insert("maxzoom".to_owned(), (*max).into());
    }
}

/// What follows the row in the names of most tiles, what they divide, and how rows are numbered.
fn kind(
    context: &Context<'_>,
    told: &[Told],
    found: &BTreeMap<String, Vec<(u32, u32, u32, u64)>>,
    faults: &mut Faults,
) -> Result<Option<(String, Grid, Scheme)>> {
    let Some((ending, _)) = found.iter().rev().max_by_key(|(_, tiles)| tiles.len()) else {
        faults.error("empty", "holds no tiles");
        return Ok(None);
    };
    if [".pbf", ".mvt", ".mlt"].iter().any(|vector| ending.ends_with(vector)) {
        let reason = "holds vector tiles; only tiles that are pictures can be checked";
        return Err(Error::input(context.path, reason));
    }
    let keys = told.first().map(|told| &told.keys);
    let scheme = context.job.input_scheme.or_else(|| keys.and_then(names::told_scheme)).unwrap_or_default();
    let grid = match (&context.job.input_grid, keys) {
        (Some(grid), _) => grid.clone(),
        (None, Some(keys)) => metadata::grid(keys).unwrap_or_else(|why| {
            faults.error("metadata", format!("{} {why}", told[0].source));
            Grid::default()
        }),
        (None, None) => Grid::default(),
    };
    Ok(Some((ending.clone(), grid, scheme)))
}

impl Walk<'_> {
    /// The entries of a folder, by name.
    fn list(&mut self, folder: &Path) -> Vec<DirEntry> {
        let listed = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        match listed {
            Ok(mut entries) => {
                entries.sort_by_key(DirEntry::file_name);
                entries
            }
            Err(e) => {
                let text = format!("'{}' cannot be listed: {e}", below(self.context.path, folder));
                self.faults.error("unreadable", text);
                Vec::new()
            }
        }
    }

    fn top(&mut self) -> Result<()> {
        for (z, folder) in self.folders(self.context.path.to_owned().as_path(), true) {
            for (x, folder) in self.folders(&folder, false) {
                self.column(z, x, &folder)?;
            }
        }
        Ok(())
    }

    /// The folders in a folder that have numbers for names.
    fn folders(&mut self, folder: &Path, top: bool) -> Vec<(u32, PathBuf)> {
        let mut found = Vec::new();
        for entry in self.list(folder) {
            let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            let kind = entry.file_type().ok();
            let number = names::number(&name);
            match (kind, number) {
                (Some(kind), Some(number)) if kind.is_dir() => found.push((number, path)),
                (Some(kind), Some(_)) if kind.is_symlink() => self.link(&path),
                // Whatever else people keep in folders of their own.
                (Some(kind), _) if kind.is_dir() && top => {}
                _ => self.stray(&name, &path),
            }
        }
        found.sort_unstable();
        found
    }

    fn column(&mut self, z: u32, x: u32, folder: &Path) -> Result<()> {
        for entry in self.list(folder) {
            let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            let kind = entry.file_type().ok();
            let Some((row, ending)) = names::row(&name) else {
                self.stray(&name, &path);
                continue;
            };
            if kind.is_some_and(|kind| kind.is_symlink()) {
                // One tile may stand for another, but not for a file elsewhere.
                let inside = path.canonicalize().is_ok_and(|target| target.starts_with(&self.root));
                if !inside {
                    self.link(&path);
                    continue;
                }
            }
            match fs::metadata(&path) {
                Ok(found) if found.is_file() => {
                    self.count += 1;
                    enough(self.context, self.count, 3 * size_of::<Piece>())?;
                    let len = found.len();
                    match self.found.get_mut(ending) {
                        Some(list) => list.push((z, x, row, len)),
                        None => drop(self.found.insert(ending.to_owned(), vec![(z, x, row, len)])),
                    }
                }
                Ok(_) => {
                    let text = format!("'{}' is no file", below(self.context.path, &path));
                    self.faults.error("unreadable", text);
                }
                Err(e) => {
                    let text = format!("'{}' cannot be inspected: {e}", below(self.context.path, &path));
                    self.faults.error("unreadable", text);
                }
            }
        }
        Ok(())
    }

    fn link(&mut self, path: &Path) {
        let name = below(self.context.path, path);
        let text = match path.canonicalize() {
            Ok(target) if target.starts_with(&self.root) => format!("'{name}' is a link and is not followed"),
            Ok(_) => format!("'{name}' is a link that leads out of the folder and is not followed"),
            Err(_) => format!("'{name}' is a link that leads nowhere"),
        };
        self.faults.error("link", text);
    }

    fn stray(&mut self, name: &str, path: &Path) {
        let shown = below(self.context.path, path);
        if name.contains(".partial") || [".tmp", "~"].iter().any(|end| name.ends_with(end)) {
            self.faults
                .warning("left-over", format!("'{shown}' seems to be left over from an interrupted run"));
            return;
        }
        let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        if !ending.is_some_and(|ending| COMPANIONS.contains(&ending.as_str())) {
            self.faults.warning("stray", format!("'{shown}' does not belong to a tile set"));
        }
    }
}

/// The template of addresses in a TileJSON has to fit the names of the files.
pub(super) fn check_template(told: &Told, grid: (&Grid, Scheme), ending: &str, faults: &mut Faults) {
    let Some(list) = told.keys.get("tiles").and_then(|tiles| tiles.as_array()) else { return };
    for template in list.iter().filter_map(|t| t.as_str()) {
        let example = file_name(crate::grid::TileCoord::new(0, 0, 0), grid, ending);
        let own = template.replace("{z}", "0").replace("{x}", "0").replace("{y}", "0").replace("{-y}", "0");
        let path = own.split(['?', '#']).next().unwrap_or_default();
        let known = ["{z}", "{x}"].iter().all(|part| template.contains(part));
        // Elsewhere, files may have other names.
        if !known || (!template.contains("://") && !path.ends_with(&example)) {
            let text = format!(
                "{}: the address '{template}' does not lead to files named {{z}}/{{x}}/{{y}}{ending}",
                told.source
            );
            faults.error("metadata", text);
        }
    }
}
