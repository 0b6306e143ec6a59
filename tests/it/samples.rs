//! A folder of odd rasters from other projects' tests, if there is one: `TILELOOM_SAMPLES`, else `../shared/samples` beside
//! the crate. Its `manifest.csv` says what each of them is. Every one of them has to end within a minute, within
//! bounded memory, in tiles or in one line.
//!
//! `cargo test --test it samples -- --nocapture` prints the table.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::{Run, names_in, read_tiles};

/// The folder, if there is one.
pub fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("TILELOOM_SAMPLES").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples");
    let folder = named.unwrap_or_else(beside);
    folder.join("manifest.csv").exists().then_some(folder)
}

/// Rows of the manifest by column name.
pub fn manifest(folder: &Path) -> Vec<HashMap<String, String>> {
    let text = std::fs::read_to_string(folder.join("manifest.csv")).expect("a manifest");
    let mut lines = text.lines().map(fields);
    let names = lines.next().expect("a head");
    lines.map(|values| names.iter().cloned().zip(values).collect()).collect()
}

/// The fields of a line of comma-separated values, quoted where they hold commas.
fn fields(line: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => found.push(String::new()),
            c => found.last_mut().expect("a field").push(c),
        }
    }
    found
}

/// What becomes of a sample: tiles, or a refusal that says one of these words.
fn expected(row: &HashMap<String, String>) -> Option<&'static [&'static str]> {
    let has = |column: &str, word: &str| row.get(column).is_some_and(|v| v.contains(word));
    if has("expected", "corrupt") {
        Some(&[])
    } else if has("dtype", "complex") {
        Some(&["complex"])
    } else if has("georef", "none") {
        Some(&["--a-ullr"])
    } else if has("georef", "world file") && row["crs_epsg"].is_empty() {
        Some(&["--src-crs"])
    } else if has("note", "Mars") || has("note", "Moon") {
        Some(&["celestial body"])
    } else {
        EMPTY.contains(&row["file"].as_str()).then_some(&["holds no data"])
    }
}

/// Samples that read and have a place, but no pixel that holds data.
const EMPTY: [&str; 3] = ["rasterio__all-nodata.tif", "riotiler__inverted_lat.tif", "cogeotiff__sparse.tiff"];

/// Options for samples that would take long in a build without optimisation.
fn options(file: &str) -> &'static [&'static str] {
    match file {
        "riotiler__cog_world.tif" => &["-z", "0-3"],
        "cogeotiff__sparse.tiff" => &["--max-zoom", "15"],
        _ => &[],
    }
}

/// Runs the program with limits of time and address space.
fn limited(args: &[&std::ffi::OsStr]) -> (Run, Duration) {
    let mut command = Command::new("sh");
    command.args(["-c", r#"ulimit -v 4000000; exec "$0" "$@""#, env!("CARGO_BIN_EXE_tileloom")]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().expect("a shell");
    while child.try_wait().expect("a child").is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().expect("killed");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().expect("ended");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        Run { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) },
        begun.elapsed(),
    )
}

/// A line of the table, or what is wrong with the sample.
fn sample(folder: &Path, row: &HashMap<String, String>) -> Result<String, String> {
    let file = &row["file"];
    let dir = tempfile::tempdir().expect("tempdir");
    let output = dir.path().join("set.pmtiles");
    let input = folder.join(file);
    let mut args = vec!["tile".as_ref(), input.as_os_str(), output.as_os_str(), "--json".as_ref()];
    args.extend(["--progress", "none"].iter().chain(options(file)).map(std::ffi::OsStr::new));
    let (run, time) = limited(&args);
    let wrong = |what: &str| Err(format!("{file}: {what}: {run:?}"));
    let line = |text: String| Ok(format!("{file:62} {:5.1} s  {text}", time.as_secs_f64()));
    match (run.code, expected(row)) {
        (Some(0), None) => {
            let report = run.json();
            let tiles = read_tiles(&output).len();
            if tiles == 0 || report["tiles"] != tiles || names_in(dir.path()) != ["set.pmtiles"] {
                return wrong("tiles missing, or more than tiles");
            }
            let memory = report["peak_memory"].as_f64().unwrap_or(0.0) / 1e6;
            if memory > 450.0 {
                return wrong("takes too much memory");
            }
            let (min, max) = (&report["min_zoom"], &report["max_zoom"]);
            line(format!("zoom {min}-{max}, {tiles} tiles, {} empty, {memory:.0} MB", report["empty"]))
        }
        (Some(3), Some(words)) => {
            let lines: Vec<&str> = run.err.lines().collect();
            let named = run.err.starts_with(&format!("tileloom: {}: ", input.display()));
            let said = words.iter().all(|w| run.err.contains(w));
            if lines.len() != 1 || !named || !said || !run.out.is_empty() {
                return wrong("the message");
            }
            if !names_in(dir.path()).is_empty() {
                return wrong("something is left behind");
            }
            let reason = lines[0].replace(&format!("tileloom: {}: ", input.display()), "");
            line(format!("refused: {reason}"))
        }
        (code, None) => wrong(&format!("should give tiles, ended with {code:?}")),
        (code, Some(_)) => wrong(&format!("should be refused, ended with {code:?}")),
    }
}

#[test]
fn samples_become_tiles_or_are_refused_in_one_line() {
    let Some(folder) = folder() else {
        println!("skipped: no folder of samples (TILELOOM_SAMPLES names one)");
        return;
    };
    let rows = manifest(&folder);
    let rasters: Vec<_> = rows.iter().filter(|r| r["driver"] != "sidecar").collect();
    let next = AtomicUsize::new(0);
    let (lines, faults) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(row) = rasters.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match sample(&folder, row) {
                        Ok(line) => lines.lock().expect("sound").push(line),
                        Err(fault) => faults.lock().expect("sound").push(fault),
                    }
                }
            });
        }
    });
    let mut lines = lines.into_inner().expect("sound");
    lines.sort();
    println!("{}", lines.join("\n"));
    let faults = faults.into_inner().expect("sound");
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), rasters.len(), faults.join("\n"));
    assert!(lines.len() > 50, "only {} samples", lines.len());
}
