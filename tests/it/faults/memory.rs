//! The bound on memory: for rasters of all shapes, types and ways of storing them, every command stays within what it may take.

use serde_json::Value;

use super::*;
use crate::common::raster::{Spec, write};
use crate::common::run;

/// What a process may hold beyond its allowance: pages of libraries that count towards it and are shared with others.
const SLACK: f64 = 1.1;

/// Noise: nothing can be left out of it.
fn noise(dice: &mut Dice, count: usize) -> Vec<u16> {
    (0..count).map(|_| dice.below(65536) as u16).collect()
}

fn raster(folder: &Path, number: u64, dice: &mut Dice) -> PathBuf {
    let sizes = [(2600, 1900), (9000, 500), (400, 9000), (1500, 1500)];
    let size = sizes[dice.below(4) as usize];
    let layouts: [&[&str]; 4] = [
        &["COMPRESS=DEFLATE", "TILED=YES"],
        &["COMPRESS=LZW"],
        &["TILED=YES", "BLOCKXSIZE=512", "BLOCKYSIZE=512", "INTERLEAVE=BAND"],
        &["BLOCKYSIZE=1"],
    ];
    let spec = Spec {
        size,
        crs: Some(32633),
        geotransform: Some([500_000.0, 2.0, 0.0, 5_400_000.0, 0.0, -2.0]),
        options: layouts[dice.below(4) as usize],
        ..Spec::default()
    };
    let path = folder.join(format!("{number}.tif"));
    let bands = 1 + dice.below(4) as usize;
    let kind = dice.below(3);
    let samples = (0..bands).map(|_| noise(dice, size.0 * size.1));
    match kind {
        0 => {
            let bytes = |band: Vec<u16>| band.into_iter().map(|v| v as u8).collect();
            write::<u8>(&path, &spec, samples.map(bytes).collect())
        }
        1 => write::<u16>(&path, &spec, samples.collect()),
        _ => {
            let floats = |band: Vec<u16>| band.into_iter().map(f32::from).collect();
            write::<f32>(&path, &spec, samples.map(floats).collect())
        }
    }
    .expect("written");
    path
}

const WAYS: [(&str, &str, &[&str]); 6] = [
    ("tile", "set.pmtiles", &["--scale", "0,255"]),
    ("tile", "set.mbtiles", &["--scale", "0,255", "-r", "lanczos", "--overview-resampling", "cubic"]),
    ("calc", "out.tif", &["-e", "A * 2 + 1", "--co", "COMPRESS=DEFLATE"]),
    ("warp", "out.tif", &["-t_srs", "EPSG:3857", "-r", "cubic", "--co", "COMPRESS=DEFLATE"]),
    ("cog", "out.tif", &["--co", "COMPRESS=DEFLATE", "--co", "PREDICTOR=YES"]),
    ("cog", "out.tif", &["--co", "COMPRESS=ZSTD", "--blocksize", "256"]),
];

/// The least memory that a refusal names, in megabytes.
fn least(err: &str) -> Option<u64> {
    let after = err.rsplit("--memory ").next()?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[test]
fn no_command_takes_more_than_it_may() {
    let mut dice = Dice(41);
    let mut most = (0.0, String::new());
    for number in 0..wanted(4) {
        let dir = scratch();
        let input = raster(dir.path(), number, &mut dice);
        for (command, name, options) in WAYS {
            let threads = ["1", "2", "4", "8"][dice.below(4) as usize];
            let mut memory = [100, 128, 160, 256][dice.below(4) as usize];
            let out = dir.path().join(name);
            let attempt = |memory: u64| {
                let paths = [&input, &out].map(|path| path.to_str().expect("UTF-8"));
                let allowed = format!("{memory}M");
                let fixed = [command, "--json", "--overwrite", "-j", threads, "--memory", &allowed];
                run([&fixed[..], &paths, options].concat())
            };
            let mut done = attempt(memory);
            if done.code == Some(1) {
                // Refused, with the least that would do; and that does.
                memory = least(&done.err).unwrap_or_else(|| panic!("{command}: {done:?}"));
                done = attempt(memory);
            }
            assert_eq!(done.code, Some(0), "{command} {options:?} -j {threads} --memory {memory}M: {done:?}");
            let report: Value = serde_json::from_str(&done.out).expect("JSON");
            let share = report["peak_memory"].as_f64().expect("known") / (memory << 20) as f64;
            let what = format!("{command} {options:?} -j {threads} --memory {memory}M, input {number}");
            assert!(share <= SLACK, "{what}: {share:.3} of its allowance");
            if share > most.0 {
                most = (share, what);
            }
        }
    }
    println!("at most {:.3} of the allowance: {}", most.0, most.1);
}
