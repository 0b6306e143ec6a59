//! Chips: the raster cut into `GeoTIFF`s of 512 × 512 pixels, DEFLATE with differences, beside `gdal_retile.py` and
//! `gdal raster tile` in the raster's own pixels.

use std::ffi::OsString;
use std::path::Path;

use crate::Result;
use crate::measure::{self, Usage, median};
use crate::programs;
use crate::seen::Seen;

/// Side of a chip in pixels.
const SIDE: usize = 512;

/// Measures all that are there, in turn, and prints a table.
pub fn print(raster: &Path, seen: &Seen, threads: usize, rounds: u16, scratch: &Path) -> Result<()> {
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let (side, threads) = (SIDE.to_string(), threads.to_string());
    let predictor = if seen.heights { "PREDICTOR=3" } else { "PREDICTOR=2" };
    let options = ["--co", "COMPRESS=DEFLATE", "--co", predictor];
    let ours =
        [&["split", "--quiet", "--size", &side, "--threads", &threads, "--index", "csv"], &options[..]];
    let mut programs =
        vec![("tileloom".to_owned(), env!("CARGO_BIN_EXE_tileloom").into(), words(&ours.concat()))];
    let mut skipped = Vec::new();
    match programs::find("TILELOOM_GDAL_RETILE", "gdal_retile.py") {
        Ok(retile) => {
            let args = [
                "-q",
                "-ps",
                &side,
                &side,
                "-co",
                "COMPRESS=DEFLATE",
                "-co",
                predictor,
                "-csv",
                "index.csv",
                "-targetDir",
            ];
            programs.push(("`gdal_retile.py`".to_owned(), retile.into_os_string(), words(&args)));
        }
        Err(why) => skipped.push(why),
    }
    match programs::find("TILELOOM_GDAL", "gdal") {
        Ok(gdal) => {
            let longest = seen.size[0].max(seen.size[1]);
            let level = longest.div_ceil(SIDE).next_power_of_two().ilog2().to_string();
            let args =
                ["raster", "tile", "-q", "--tiling-scheme", "raster", "--tile-size", &side, "-f", "GTiff"];
            let levels = ["--min-zoom", &level, "--max-zoom", &level, "--webviewer", "none", "-j", &threads];
            programs.push((
                "`gdal raster tile`".to_owned(),
                gdal.into_os_string(),
                words(&[&args[..], &levels, &options].concat()),
            ));
        }
        Err(why) => skipped.push(why),
    }
    let mut used: Vec<Vec<Usage>> = vec![Vec::new(); programs.len()];
    let mut bytes = vec![0; programs.len()];
    for round in 0..=rounds {
        for (k, (name, program, args)) in programs.iter().enumerate() {
            eprintln!("{name}");
            let folder = scratch.join(format!("chips-{k}-{round}"));
            let mut command = vec![program.clone()];
            command.extend(args.iter().cloned());
            if name.contains("retile") {
                std::fs::create_dir(&folder)?;
                command.extend([folder.clone().into(), raster.into()]);
            } else {
                command.extend([raster.into(), folder.clone().into()]);
            }
            used[k].push(measure::run(&[command], scratch)?);
            bytes[k] = size_of_chips(&folder)?;
        }
    }
    println!("\n{}, {SIDE} × {SIDE} pixels a chip, medians of {rounds} rounds in turn\n", raster.display());
    println!("| program | CPU s | wall s | CPU × | wall × | memory MB | bytes, tileloom = 1 |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for (k, (name, ..)) in programs.iter().enumerate() {
        let of = |figure: fn(&Usage) -> f64| median(used[k].iter().skip(1).map(figure));
        let ratio = |figure: fn(&Usage) -> f64| {
            median(used[k].iter().zip(&used[0]).skip(1).map(|(theirs, ours)| figure(theirs) / figure(ours)))
        };
        println!(
            "| {name} | {:.2} | {:.2} | {:.1} | {:.1} | {:.0} | {:.3} |",
            of(|u| u.cpu),
            of(|u| u.wall),
            ratio(|u| u.cpu),
            ratio(|u| u.wall),
            of(|u| u.memory as f64) / 1e6,
            bytes[k] as f64 / bytes[0].max(1) as f64
        );
    }
    for why in skipped {
        println!("\nskipped: {why}");
    }
    Ok(())
}

/// Bytes of the chips in a folder and those in it.
fn size_of_chips(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            bytes += size_of_chips(&path)?;
        } else if path.extension().is_some_and(|e| e == "tif") {
            bytes += path.metadata()?.len();
        }
    }
    Ok(bytes)
}
