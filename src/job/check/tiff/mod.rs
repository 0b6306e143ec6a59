//! A `GeoTIFF`: its directories, where its blocks lie, whether GDAL opens it, whether it is cloud-optimised, and whether every block
//! unpacks.

mod cog;
mod directory;
mod keys;
mod layout;
mod unpack;

use std::fs::File;

use self::cog::Begin;
use self::directory::{Directory, Tiff};
use self::layout::{Extents, Ghost, PER_BLOCK};
use super::report::{Contents, Faults, Findings, RasterFacts};
use super::{Context, Demand};
use crate::error::{Error, Result};
use crate::raster::probe::{Layout, Level, Probe};
use crate::window::Size;

/// Checks a file that begins as a TIFF.
pub(super) fn check(context: &Context<'_>, findings: &mut Findings) -> Result<()> {
    let path = context.path;
    let refused = |e: std::io::Error| Error::input(path, format!("cannot be opened: {e}"));
    let file = File::open(path).map_err(refused)?;
    let len = file.metadata().map_err(refused)?.len();
    let faults = &mut findings.faults;
    let tiff = match Tiff::open(&file, len) {
        Ok(tiff) => tiff,
        Err(why) => {
            faults.error("unreadable", why);
            return Ok(());
        }
    };
    let directories = tiff.directories(faults);
    let known =
        |d: &Directory| if d.offsets.is_some() && d.counts.is_some() { d.count().unwrap_or(0) } else { 0 };
    let blocks = directories.iter().map(known).fold(0u64, u64::saturating_add);
    let listed = usize::try_from(blocks).unwrap_or(usize::MAX).saturating_mul(PER_BLOCK);
    if listed > context.job.memory / 2 {
        return Err(too_little(context, listed.saturating_mul(2)));
    }
    let images: Vec<(Directory, Option<Extents>)> = directories
        .into_iter()
        .map(|directory| {
            let extents = layout::extents(&tiff, &directory, faults);
            (directory, extents)
        })
        .collect();
    layout::check_overlaps(&images, faults);
    for (directory, _) in &images {
        keys::check(&tiff, directory, faults);
    }
    let mut facts = RasterFacts::default();
    if let Some((first, _)) = images.first() {
        facts.size = [first.size.width, first.size.height];
        facts.bands = first.samples;
        facts.block = [first.block.width, first.block.height];
    }
    facts.blocks = images.iter().filter_map(|(_, e)| e.as_ref()).map(stored).sum();
    let layout = Probe::open(path).and_then(|probe| probe.layout());
    let layout = match layout {
        Ok(layout) => layout,
        Err(why) => {
            faults.error("gdal", format!("GDAL cannot open it: {why}"));
            facts.cog_errors.push("GDAL cannot open it".to_owned());
            findings.contents = Some(Contents::Raster(facts));
            return Ok(());
        }
    };
    describe(&layout, &mut facts);
    check_overviews(&layout, faults);
    judge(&tiff, &images, &layout, &mut facts, faults);
    if context.job.demand == Some(Demand::Cog) {
        facts.cog_errors.iter().for_each(|why| faults.error("cog", format!("is no COG: {why}")));
        facts
            .cog_warnings
            .iter()
            .for_each(|why| faults.warning("cog", format!("is not the best COG: {why}")));
    }
    if facts.cog {
        findings.kind = "cog";
    }
    if context.job.quick {
        findings.notes.push("blocks were not unpacked (--quick)".to_owned());
    } else {
        facts.unpacked = unpack::check(context, &images, &layout, &mut findings.faults, &mut findings.notes)?;
    }
    findings.contents = Some(Contents::Raster(facts));
    Ok(())
}

fn too_little(context: &Context<'_>, least: usize) -> Error {
    Error::Memory(format!(
        "needs more than --memory {}M allows; the least that would do is --memory {}M",
        context.job.memory >> 20,
        least.div_ceil(1 << 20)
    ))
}

fn stored(extents: &Extents) -> u64 {
    extents.list.iter().filter(|extent| extent.bytes > 0).count() as u64
}

fn describe(layout: &Layout, facts: &mut RasterFacts) {
    let list = |size: Size| [size.width, size.height];
    if let Some((main, overviews)) = layout.levels.split_first() {
        (facts.size, facts.block) = (list(main.size), list(main.block));
        facts.overviews = overviews.iter().map(|level| list(level.size)).collect();
    }
    facts.bands = layout.bands;
    facts.sample_type.clone_from(&layout.sample_type);
}

/// The image of the file that GDAL takes for a level or its mask.
fn image_of(
    images: &[(Directory, Option<Extents>)],
    ifd: Option<u64>,
    size: Size,
    block: Size,
) -> Option<usize> {
    let at = ifd?;
    images.iter().position(|(d, _)| d.at == at && d.size == size && d.block == block)
}

fn of_level(images: &[(Directory, Option<Extents>)], level: &Level) -> Option<usize> {
    image_of(images, level.ifd, level.size, level.block)
}

fn of_mask(images: &[(Directory, Option<Extents>)], level: &Level) -> Option<usize> {
    let (ifd, block) = level.mask?;
    image_of(images, ifd, level.size, block)
}

/// Overviews are the raster, reduced by one factor in both directions.
fn check_overviews(layout: &Layout, faults: &mut Faults) {
    let Some((main, overviews)) = layout.levels.split_first() else { return };
    for (number, level) in overviews.iter().enumerate() {
        let factor = |full: usize, part: usize| full as f64 / part.max(1) as f64;
        // What one pixel more or less makes of the factor.
        let slack = |full: usize, part: usize| factor(full, part) / (part.max(2) - 1) as f64;
        let (across, down) =
            (factor(main.size.width, level.size.width), factor(main.size.height, level.size.height));
        let most = slack(main.size.width, level.size.width).max(slack(main.size.height, level.size.height));
        if (across - down).abs() > most + 1e-9 {
            let Size { width, height } = level.size;
            let text = format!(
                "overview {number} of {width} × {height} pixels is reduced by {across:.2} across and {down:.2} down"
            );
            faults.warning("overview-size", text);
        }
        if (main.mask.is_some() && !layout.external_mask)
            && level.mask.is_none()
            && !layout.external_overviews
        {
            faults.warning("overview-mask", format!("overview {number} has no mask, the raster has one"));
        }
    }
}

/// Whether the file is a cloud-optimised one, and whether it keeps what its header promises.
fn judge(
    tiff: &Tiff<'_>,
    images: &[(Directory, Option<Extents>)],
    layout: &Layout,
    facts: &mut RasterFacts,
    faults: &mut Faults,
) {
    let ghost = layout::ghost(tiff);
    let broken = ghost.as_ref().map_or_else(Vec::new, |ghost| broken_promises(tiff, ghost, images, layout));
    let begin = |level: &Level| {
        let image = of_level(images, level).map(|n| &images[n]);
        let data = image.and_then(|(_, extents)| extents.as_ref()?.first()).map(|extent| extent.offset);
        let tiled = image.is_some_and(|(directory, _)| directory.tiled);
        level.ifd.map(|directory| Begin { directory, data, tiled })
    };
    let begins: Vec<Begin> = layout.levels.iter().filter_map(begin).collect();
    let (errors, warnings) = cog::judge(layout, &begins, tiff.big, ghost.as_ref(), &broken);
    // One that says it was changed promises nothing any more.
    if ghost.is_some_and(|ghost| !ghost.edited) {
        for text in &broken {
            faults.error("promise", format!("{text}, which its header promises"));
        }
    }
    facts.cog = errors.is_empty();
    (facts.cog_errors, facts.cog_warnings) = (errors, warnings);
}

fn broken_promises(
    tiff: &Tiff<'_>,
    ghost: &Ghost,
    images: &[(Directory, Option<Extents>)],
    layout: &Layout,
) -> Vec<String> {
    let mut broken = Vec::new();
    let extents = |n: usize| images[n].1.as_ref().map(|extents| (&images[n].0, extents));
    for level in &layout.levels {
        let mask = of_mask(images, level).and_then(extents);
        if let Some(image) = of_level(images, level).and_then(extents) {
            layout::check_promises(tiff, ghost, image, mask.map(|(_, extents)| extents), &mut broken);
        }
        if let Some(mask) = mask {
            layout::check_promises(tiff, ghost, mask, None, &mut broken);
        }
    }
    broken
}
