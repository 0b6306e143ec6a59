//! A tile set: its container, its index, what it says about itself, and every tile.

mod addresses;
mod folder;
mod look;
mod mbtiles;
mod picture;
mod pmtiles;
mod shelf;
mod tar;
mod told;

use self::addresses::Gathering;
use self::shelf::{Piece, Shelf};
use self::told::{Told, Truth};
use super::report::{Contents, Faults, Findings, TileFacts};
use super::{Context, Kind};
use crate::encode::TileFormat;
use crate::error::{Error, Result};
use crate::grid::{Grid, latitude, longitude};

/// Resident bytes of the program and the libraries it loads.
const PROGRAM: usize = 48 << 20;

/// What a container holds.
struct Inventory {
    shelf: Shelf,
    grid: Grid,
    /// Every address that has a tile.
    gathering: Gathering,
    /// Every tile that is stored.
    pieces: Vec<Piece>,
    /// What the set says about itself, what counts first.
    told: Vec<Told>,
    /// The format that names or headers tell.
    named: Option<TileFormat>,
    /// Whether files hold twice the pixels they are shown with.
    retina: bool,
    /// Whether the tiles have a place on the Earth.
    placed: bool,
}

/// Refuses to list more tiles than memory is allowed for.
fn enough(context: &Context<'_>, count: usize, each: usize) -> Result<()> {
    let least = PROGRAM + count.saturating_mul(each);
    if least <= context.job.memory {
        return Ok(());
    }
    let (have, least) = (context.job.memory >> 20, (2 * least).div_ceil(1 << 20));
    Err(Error::Memory(format!("has too many tiles for --memory {have}M; try --memory {least}M")))
}

/// Checks a tile set.
pub(super) fn check(context: &Context<'_>, kind: Kind, findings: &mut Findings) -> Result<()> {
    let faults = &mut findings.faults;
    let found = match kind {
        Kind::Folder => folder::audit(context, faults)?,
        Kind::Mbtiles => mbtiles::audit(context, faults)?,
        Kind::Pmtiles => pmtiles::audit(context, faults)?,
        Kind::Tar | Kind::Tiff => tar::audit(context, faults)?,
    };
    let Some(inventory) = found else { return Ok(()) };
    let Inventory { shelf, grid, gathering, pieces, told, named, retina, placed, .. } = inventory;
    let listed = gathering.bytes() + pieces.len() * size_of::<Piece>();
    let (addresses, doubles) = gathering.finish();
    if let Some((count, first)) = doubles {
        faults.error("double", format!("{count} addresses are there twice, the first is tile {first}"));
    }
    let mut facts = TileFacts {
        tiles: addresses.count(),
        stored: pieces.len() as u64,
        bytes: pieces.iter().map(|piece| u64::from(piece.len)).sum(),
        ..TileFacts::default()
    };
    if let Some((min, max)) = addresses.zooms() {
        (facts.min_zoom, facts.max_zoom) = (Some(min), Some(max));
        if grid == Grid::WebMercator && placed {
            facts.extent = addresses.extent(max).map(|extent| {
                let (a, b) = (extent.first.bounds(), extent.last.bounds());
                [longitude(a.west), latitude(b.south), longitude(b.east), latitude(a.north)]
            });
        }
    } else if !faults.has("empty") {
        faults.error("empty", "holds no tiles");
    }
    for z in addresses.gaps() {
        faults.error("gap", format!("has tiles above and below level {z}, but none of it"));
    }
    if let Some((count, first)) = addresses.missing_parents() {
        let text = format!("{count} tiles are missing above others, the first is {first}");
        faults.warning("pyramid", text);
    }
    let seen = if context.job.quick {
        findings.notes.push("tiles were not decoded (--quick)".to_owned());
        look::first(&shelf, &pieces, faults)?
    } else {
        look::all(context, &shelf, &pieces, listed, faults, &mut facts)?
    };
    if let Some(picture) = seen {
        (facts.format, facts.pixels) = (Some(picture.format.extension()), Some(picture.width));
        if let Some(named) = named.filter(|named| *named != picture.format) {
            let text =
                format!("says that its tiles are {}, they are {}", named.name(), picture.format.name());
            faults.error("format", text);
        }
    }
    let truth = Truth { grid: &grid, addresses: &addresses, picture: seen, retina, placed };
    // Without any tile there is nothing to hold it against.
    if facts.tiles > 0 {
        for told in &told {
            told::check(told, &truth, faults);
        }
    }
    check_templates(&told, &shelf, faults);
    findings.contents = Some(Contents::Tiles(facts));
    Ok(())
}

fn check_templates(told: &[Told], shelf: &Shelf, faults: &mut Faults) {
    if let Shelf::Folder { grid, scheme, ending, .. } = shelf {
        for told in told {
            folder::check_template(told, (grid, *scheme), ending, faults);
        }
    }
}
