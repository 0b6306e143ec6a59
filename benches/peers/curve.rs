//! How the cost of a megapixel of tiles depends on the size of the raster.

use crate::Result;
use crate::measure::{Usage, median};
use crate::programs::{self, Form, Task};
use crate::rasters;
use crate::rounds::{Rounds, discard};
use crate::seen::Seen;
use crate::tiles::Container;

/// Measures tileloom on squares of some sides and prints what a megapixel costs.
pub fn print(task: &Task, seen: &Seen, sides: &[usize], rounds: &mut Rounds<'_>) -> Result<()> {
    let contestant = programs::tileloom(Form::Png, Container::Pmtiles);
    // As many levels for all, or the coarse ones of small rasters, which are nearly empty, would look cheap.
    let levels = (task.levels.1.saturating_sub(6), task.levels.1);
    let mut runs = Vec::new();
    for side in sides {
        let vrt = rounds.scratch().join(format!("{side}.vrt"));
        rasters::crop_or_repeat(&task.rasters[0], *side, &vrt)?;
        runs.push((side, Task { rasters: vec![vrt], levels, ..task.clone() }, Vec::new()));
    }
    if let Some((_, task, _)) = runs.first() {
        let (_, set) = rounds.once(&contestant, task)?;
        discard(&set)?;
    }
    for _ in 0..rounds.count {
        for (_, task, results) in &mut runs {
            results.push(rounds.measured(&contestant, task)?);
        }
    }
    println!("\n{}: crops and repeats of it, levels {} to {}, PMTiles\n", seen.title, levels.0, levels.1);
    println!("| side | tiles | CPU s | CPU ms per Mpx of tiles | wall ms per Mpx | memory MB |");
    println!("|--:|--:|--:|--:|--:|--:|");
    for (side, _, results) in &runs {
        let of = |figure: fn(&Usage) -> f64| median(results.iter().map(|(usage, _)| figure(usage)));
        let tiles = results.first().map_or(0, |(_, extent)| extent.tiles);
        let megapixels = tiles as f64 * 0.065_536;
        println!(
            "| {side} | {tiles} | {:.2} | {:.1} | {:.1} | {:.0} |",
            of(|u| u.cpu),
            of(|u| u.cpu) * 1e3 / megapixels,
            of(|u| u.wall) * 1e3 / megapixels,
            of(|u| u.memory as f64) / 1e6,
        );
    }
    Ok(())
}
