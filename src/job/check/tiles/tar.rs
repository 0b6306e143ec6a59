//! A tar archive of tiles: the files of a folder, perhaps below one folder more.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use ::tar::{Entry, EntryType};

use super::addresses::Gathering;
use super::folder::read_description;
use super::shelf::{Piece, Shelf};
use super::told::Told;
use super::{Inventory, enough};
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::job::check::Context;
use crate::job::check::report::{Faults, Severity};
use crate::store::metadata;
use crate::store::names::{self, DESCRIPTIONS, MOST_DESCRIPTION};

/// Everything in a tar archive begins at a multiple of this.
const BLOCK: usize = 512;

/// A member with the name of a tile.
#[derive(Debug, Clone, Copy)]
struct Member {
    z: u32,
    x: u32,
    row: u32,
    len: u32,
    offset: u64,
}

/// What an archive holds below each of its folders.
#[derive(Default)]
struct Listing {
    /// By folder and what follows the row.
    tiles: BTreeMap<(String, String), Vec<Member>>,
    descriptions: BTreeMap<String, Vec<Told>>,
    count: usize,
}

/// Lists the members. `None` when there is nothing to check any further.
pub(super) fn audit(context: &Context<'_>, faults: &mut Faults) -> Result<Option<Inventory>> {
    let path = context.path;
    let file = File::open(path).map_err(|e| Error::input(path, format!("cannot be opened: {e}")))?;
    let size = file.metadata().map_err(|e| Error::input(path, format!("cannot be inspected: {e}")))?.len();
    let mut listing = Listing::default();
    list(context, &file, size, &mut listing, faults)?;
    let Some((folder, ending)) =
        listing.tiles.iter().rev().max_by_key(|(_, tiles)| tiles.len()).map(|(key, _)| key.clone())
    else {
        faults.error("empty", "holds no tiles: no member is named ZOOM/COLUMN/ROW.png, .jpg or .webp");
        return Ok(None);
    };
    if [".pbf", ".mvt", ".mlt"].iter().any(|vector| ending.ends_with(vector)) {
        return Err(Error::input(path, "holds vector tiles; only tiles that are pictures can be checked"));
    }
    let told = listing.descriptions.remove(&folder).unwrap_or_default();
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
    let mut gathering = Gathering::new(&grid);
    let mut pieces = Vec::new();
    for ((other_folder, other), members) in listing.tiles {
        if other_folder != folder {
            let text = format!("holds more than one tile set: '{other_folder}' beside '{folder}'");
            faults.error("mixed", text);
            continue;
        }
        for Member { z, x, row, offset, len } in members {
            if other != ending {
                faults.add(Severity::Error, "mixed", 1, || {
                    format!(
                        "tile {z}/{x}/{row} is {other} where most are {ending}; a tile set has one format"
                    )
                });
                continue;
            }
            let Some(coord) = names::address(z, x, row, (&grid, scheme)) else {
                faults.add(Severity::Error, "address", 1, || {
                    format!("tile {z}/{x}/{row} is outside of the matrix of its level")
                });
                continue;
            };
            gathering.push(coord);
            pieces.push(Piece { coord, len, place: offset });
        }
    }
    let placed = keys.is_none_or(|keys| grid.set().is_some() || !metadata::is_unplaced(keys));
    Ok(Some(Inventory {
        shelf: Shelf::Parts { path: path.to_owned() },
        retina: names::is_retina(&ending),
        named: ending.rsplit('.').next().and_then(|extension| extension.parse().ok()),
        grid,
        gathering,
        pieces,
        told,
        placed,
    }))
}

fn list(
    context: &Context<'_>,
    file: &File,
    size: u64,
    listing: &mut Listing,
    faults: &mut Faults,
) -> Result<()> {
    let mut archive = ::tar::Archive::new(file);
    let mut end = 0;
    let damaged = |faults: &mut Faults, why: String| {
        faults.error("damaged", format!("is a damaged tar archive: {why}"));
    };
    let entries = match archive.entries_with_seek() {
        Ok(entries) => entries,
        Err(e) => {
            damaged(faults, e.to_string());
            return Ok(());
        }
    };
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                damaged(faults, format!("{e}, behind byte {end}"));
                return Ok(());
            }
        };
        let (offset, len) = (entry.raw_file_position(), entry.size());
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        end = offset.saturating_add(len).next_multiple_of(BLOCK as u64);
        if offset.saturating_add(len) > size {
            let told = offset.saturating_add(len);
            damaged(faults, format!("'{name}' should end at byte {told}, the file has {size}"));
            return Ok(());
        }
        listing.add(context, &name, &mut entry, faults)?;
    }
    let mut mark = [1; BLOCK];
    // What follows the last member is a block of nothing: else there may have been more.
    if file.read_exact_at(&mut mark, end).is_err() || mark != [0; BLOCK] {
        damaged(faults, "it has no end and is probably cut off behind its last member".to_owned());
    }
    Ok(())
}

impl Listing {
    fn add(
        &mut self,
        context: &Context<'_>,
        name: &str,
        entry: &mut Entry<'_, &File>,
        faults: &mut Faults,
    ) -> Result<()> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::Directory | EntryType::XGlobalHeader) {
            return Ok(());
        }
        let parts: Vec<_> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if name.starts_with('/') || parts.contains(&"..") {
            faults.error("name", format!("'{name}' leads out of the archive"));
            return Ok(());
        }
        let is_file = matches!(kind, EntryType::Regular | EntryType::Continuous);
        if let [folder @ .., last] = parts.as_slice()
            && let Some(description) = DESCRIPTIONS.into_iter().find(|d| d == last)
        {
            if !is_file || entry.size() > MOST_DESCRIPTION {
                faults.error("metadata", format!("'{name}' is no description of a tile set"));
                return Ok(());
            }
            let mut bytes = Vec::new();
            if let Err(e) = entry.read_to_end(&mut bytes) {
                faults.error("metadata", format!("'{name}' cannot be read: {e}"));
                return Ok(());
            }
            let found = self.descriptions.entry(folder.join("/")).or_default();
            read_description(description, &bytes, faults, found);
            // The one that counts comes first, wherever it stands in the archive.
            found.sort_by_key(|told| DESCRIPTIONS.iter().position(|d| *d == told.source));
            return Ok(());
        }
        let [folder @ .., z, x, last] = parts.as_slice() else { return Ok(()) };
        let (Some(z), Some(x), Some((row, ending))) = (names::number(z), names::number(x), names::row(last))
        else {
            return Ok(());
        };
        if !is_file {
            faults.error("link", format!("'{name}' is a link or no plain file"));
            return Ok(());
        }
        self.count += 1;
        enough(context, self.count, 3 * size_of::<Piece>())?;
        let len = u32::try_from(entry.size()).unwrap_or(u32::MAX);
        let member = Member { z, x, row, len, offset: entry.raw_file_position() };
        self.tiles.entry((folder.join("/"), ending.to_owned())).or_default().push(member);
        Ok(())
    }
}
