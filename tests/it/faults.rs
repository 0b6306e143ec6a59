//! Faults: nothing that the file system, the machine or an input does makes a run lie.
//!
//! Every job below is a command and an output of a kind of its own. `TILELOOM_FAULTS=100 cargo test --release --test it faults:: --
//! --nocapture` injects so many faults into each, and prints how many there were.

mod bytes;
mod hostile;
mod killed;
mod memory;
mod reading;
mod soak;
mod supply;
mod writing;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::common::{names_in, program, testdata};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// How many faults are injected into each kind of output.
fn wanted(ordinarily: u64) -> u64 {
    std::env::var("TILELOOM_FAULTS").map_or(ordinarily, |n| n.parse().expect("a number of faults"))
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

/// A command and the name of its output.
struct Job {
    command: &'static str,
    input: PathBuf,
    output: &'static str,
    options: &'static [&'static str],
}

impl Job {
    /// One for each kind of output that each command has.
    fn all(folder: &Path) -> Vec<Self> {
        let set = folder.join("set.pmtiles");
        let made = program().args(["tile", "-q", "-z", "8-14"]).arg(testdata("rgb.tif")).arg(&set).status();
        assert!(made.expect("the program starts").success());
        let job = |command, input: &str, output, options| {
            let input = if command == "convert" { set.clone() } else { testdata(input) };
            Self { command, input, output, options }
        };
        let expr = &["-e", "A[1] + A[2] / 2.0", "--ot", "Float32", "--window-size", "64", "--overviews"];
        let through = &["-e", "A[1] * 2", "--ot", "UInt16", "--co", "COMPRESS=ZSTD", "--co", "TILED=YES"];
        vec![
            job("tile", "rgb.tif", "set", &["-z", "8-14"]),
            job("tile", "rgb.tif", "set.mbtiles", &["-z", "8-14"]),
            job("tile", "rgb.tif", "set.pmtiles", &["-z", "8-14"]),
            job("tile", "rgb.tif", "set.tar", &["-z", "8-14"]),
            job("convert", "", "set", &[]),
            job("convert", "", "set.mbtiles", &[]),
            job("calc", "rgb.tif", "out.tif", expr),
            job("calc", "rgb.tif", "out.tif", through),
            job("calc", "rgb.tif", "out.img", &["-e", "A[3]", "-f", "HFA"]),
            job("warp", "rgb.tif", "out.tif", &["-t_srs", "EPSG:3857", "--co", "COMPRESS=DEFLATE"]),
            job("cog", "rgb.tif", "out.tif", &["--co", "COMPRESS=DEFLATE", "--blocksize", "128"]),
            job("cog", "rgb.tif", "out.tif", &["--co", "COMPRESS=JPEG", "--blocksize", "128"]),
            job("split", "rgb.tif", "chips", &["--size", "128", "--overlap", "16", "--index", "csv,geojson"]),
            job("split", "rgb.tif", "shards", &["--size", "128", "--shards", "8", "--format", "PNG"]),
        ]
    }

    /// The command line that writes into a folder.
    fn start(&self, folder: &Path) -> Command {
        let mut command = program();
        command.args([self.command, "-q"]).arg(&self.input).arg(folder.join(self.output));
        command.args(self.options);
        command
    }

    /// What a run makes that nothing happens to.
    fn undisturbed(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let dir = scratch();
        let output = self.start(dir.path()).output().expect("the program starts");
        assert!(output.status.success(), "{self}: {}", String::from_utf8_lossy(&output.stderr));
        contents(&dir.path().join(self.output))
    }

    /// Puts something under the final name that the job may replace.
    fn put_old(&self, folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let path = folder.join(self.output);
        if path.extension().is_none() {
            fs::create_dir(&path).expect("made");
            let (name, text) = match self.command {
                "split" => ("chips.json", r#"{"extensions": [".json"]}"#),
                _ => ("metadata.json", "{}"),
            };
            fs::write(path.join(name), text).expect("written");
        } else {
            fs::write(&path, "the old one").expect("written");
        }
        contents(&path)
    }
}

impl std::fmt::Display for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.command, self.output, self.options.join(" "))
    }
}

/// All files of an output, by their names in it.
fn contents(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut paths = vec![path.to_owned()];
    while let Some(next) = paths.pop() {
        if next.is_dir() {
            paths.extend(fs::read_dir(next).expect("a folder").map(|entry| entry.expect("entry").path()));
        } else if next.exists() {
            let name = next.strip_prefix(path).expect("below").to_owned();
            files.insert(name, fs::read(next).expect("a file"));
        }
    }
    files
}

/// Settings of a child process.
type Settings = Vec<(&'static str, OsString)>;
