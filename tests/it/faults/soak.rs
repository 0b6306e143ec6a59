//! Random jobs, with any number of threads and little memory, beside the same jobs on one thread.

use std::time::{Duration, Instant};

use super::*;

/// Rasters of all kinds that every command takes.
const RASTERS: [&str; 8] = [
    "rgb.tif",
    "dem.tif",
    "rgb16.tif",
    "int8.tif",
    "landcover.tif",
    "overviews.tif",
    "rgba.tif",
    "striped.tif",
];

const METHODS: [&str; 6] = ["nearest", "bilinear", "cubic", "average", "mode", "lanczos"];

/// A command line without inputs and output, and the name of its output.
fn job(dice: &mut Dice) -> (&'static str, &'static str, Vec<String>) {
    let mut method = || METHODS[dice.below(6) as usize].to_owned();
    let (first, second) = (method(), method());
    let options = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    match dice.below(8) {
        0 => ("tile", "set", options(&["-r", &first, "--overview-resampling", &second])),
        1 => ("tile", "set.pmtiles", options(&["-r", &first, "--overview-resampling", &second])),
        2 => ("tile", "set.mbtiles", options(&["-r", &first, "-f", "webp", "--lossless=auto"])),
        3 => ("tile", "set.tar", options(&["-r", &first, "--tiling-scheme", "raster"])),
        4 => ("calc", "out.tif", options(&["-e", "A * 3 - 1", "--ot", "Float32", "--overviews"])),
        5 => ("warp", "out.tif", options(&["-t_srs", "EPSG:3857", "-r", &first, "--co", "COMPRESS=DEFLATE"])),
        6 => ("cog", "out.tif", options(&["-r", &second, "--co", "COMPRESS=DEFLATE", "--blocksize", "128"])),
        _ => ("cog", "out.tif", options(&["-r", &first, "--co", "COMPRESS=LZW", "--blocksize", "256"])),
    }
}

/// `TILELOOM_SOAK=1800 cargo test --release --test it soak -- --nocapture` goes on for half an hour.
#[test]
fn random_jobs_make_the_same_bytes_with_any_number_of_threads() {
    let seconds = std::env::var("TILELOOM_SOAK").map_or(10, |n| n.parse().expect("seconds"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    let mut dice = Dice(u64::from(now.subsec_nanos()));
    println!("seed {}", dice.0);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut jobs = 0;
    while Instant::now() < end {
        let input = testdata(RASTERS[dice.below(8) as usize]);
        let (command, name, options) = job(&mut dice);
        let run = |machine: &[&str]| {
            let dir = scratch();
            let out = dir.path().join(name);
            let mut line = program();
            line.args([command, "-q"]).arg(&input).arg(&out).args(&options).args(machine);
            let output = line.output().expect("the program starts");
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            match output.status.code() {
                Some(0) => Some(contents(&out)),
                // Classes have no average.
                Some(2 | 3) if err.contains("colour table") => None,
                _ => panic!("{line:?}: {err}"),
            }
        };
        let expected = run(&["-j", "1", "--readers", "1"]);
        for _ in 0..2 {
            let (threads, readers) = (1 + dice.below(16), 1 + dice.below(8));
            // Too little memory is refused, and threads want some each.
            let memory = [120, 160, 256][dice.below(3) as usize] + 4 * (threads + readers);
            let machine = [
                "-j",
                &threads.to_string(),
                "--readers",
                &readers.to_string(),
                "--memory",
                &format!("{memory}M"),
            ];
            assert!(run(&machine) == expected, "{command} {} {options:?} {machine:?}", input.display());
        }
        jobs += 1;
    }
    println!("{jobs} jobs, each three times");
}
