//! How long a program takes that has next to nothing to do.

use std::ffi::OsString;
use std::path::Path;

use crate::Result;
use crate::measure::{self, median};
use crate::rasters;

/// Runs of each.
const TIMES: usize = 25;

/// Measures `tileloom tile` and `tileloom info` beside `gdalinfo`, all on a raster of 256 × 256 pixels, in turn.
pub fn print(scratch: &Path) -> Result<()> {
    let raster = scratch.join("small.tif");
    rasters::make_sized(&raster, 256)?;
    let tileloom = env!("CARGO_BIN_EXE_tileloom");
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let raster: OsString = raster.into();
    let mut commands = [
        ("`gdalinfo`", words(&["gdalinfo"])),
        ("`tileloom info`", words(&[tileloom, "info"])),
        ("`tileloom tile`", words(&[tileloom, "tile", "--quiet", "--overwrite"])),
    ];
    for (_, command) in &mut commands {
        command.push(raster.clone());
    }
    commands[2].1.push(scratch.join("small.pmtiles").into());
    let mut used: [Vec<measure::Usage>; 3] = Default::default();
    for _ in 0..=TIMES {
        for ((_, command), used) in commands.iter().zip(&mut used) {
            used.push(measure::run(std::slice::from_ref(command), scratch)?);
        }
    }
    println!("\n256 × 256 pixels, medians of {TIMES} runs in turn\n");
    println!("| program | CPU ms | wall ms |");
    println!("|---|--:|--:|");
    for ((name, _), used) in commands.iter().zip(&used) {
        let of = |figure: fn(&measure::Usage) -> f64| median(used.iter().skip(1).map(figure)) * 1e3;
        println!("| {name} | {:.0} | {:.0} |", of(|u| u.cpu), of(|u| u.wall));
    }
    Ok(())
}
