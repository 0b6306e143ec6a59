//! The programs: where they are found, and how each is told to do the same job.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tiles::Container;

/// What all programs are asked to do.
#[derive(Clone, Debug)]
pub struct Task {
    /// The raster to tile.
    pub raster: PathBuf,
    /// Lowest and highest zoom level.
    pub levels: (u8, u8),
    /// Threads or processes that compute.
    pub threads: usize,
}

/// A program, or one way of running it.
#[derive(Clone, Debug)]
pub struct Contestant {
    /// What the table calls it.
    pub name: String,
    /// What it makes.
    pub container: Container,
    kind: Kind,
    /// The command up to the arguments that depend on the task.
    prefix: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tileloom { threads: bool },
    GdalRasterTile,
    Gdal2Tiles,
    Rio,
}

/// tileloom as it was built with the benchmark.
pub fn tileloom(container: Container) -> Contestant {
    let kind = Kind::Tileloom { threads: true };
    Contestant {
        name: "tileloom".into(),
        container,
        kind,
        prefix: vec![env!("CARGO_BIN_EXE_tileloom").into()],
    }
}

/// tileloom on the first `count` of the processors granted, which it has to find out by itself.
pub fn tileloom_on(count: usize, container: Container) -> Result<Contestant, String> {
    let taskset = on_path("taskset").ok_or("`taskset` is not installed")?;
    let granted = granted();
    let list = granted.get(..count).ok_or_else(|| format!("{} processors are granted", granted.len()))?;
    let list: Vec<String> = list.iter().map(ToString::to_string).collect();
    let prefix =
        vec![taskset.into(), "-c".into(), list.join(",").into(), env!("CARGO_BIN_EXE_tileloom").into()];
    let name = format!("tileloom on {count} processor{}", if count == 1 { "" } else { "s" });
    Ok(Contestant { name, container, kind: Kind::Tileloom { threads: false }, prefix })
}

/// GDAL's `gdal raster tile`: the program `TILELOOM_GDAL` names, or `gdal`.
pub fn gdal_raster_tile() -> Result<Contestant, String> {
    let gdal = find("TILELOOM_GDAL", "gdal")?;
    let version = answer(&gdal, &["--version"]).map_or(String::new(), |v| format!(", {v}"));
    let prefix = vec![gdal.into(), "raster".into(), "tile".into()];
    let name = format!("`gdal raster tile`{version}");
    Ok(Contestant { name, container: Container::Folder, kind: Kind::GdalRasterTile, prefix })
}

/// `gdal2tiles.py`: the program `TILELOOM_GDAL2TILES` names, or the one on the path.
pub fn gdal2tiles() -> Result<Contestant, String> {
    let program = find("TILELOOM_GDAL2TILES", "gdal2tiles.py")?;
    let version = answer(&program, &["--version"]).map_or(String::new(), |v| format!(", {v}"));
    let name = format!("`gdal2tiles.py`{version}");
    Ok(Contestant {
        name,
        container: Container::Folder,
        kind: Kind::Gdal2Tiles,
        prefix: vec![program.into()],
    })
}

/// `rio mbtiles` or `rio pmtiles`: the program `TILELOOM_RIO` names, or `rio`.
pub fn rio(container: Container) -> Result<Contestant, String> {
    let rio = find("TILELOOM_RIO", "rio")?;
    let plugin = if container == Container::Pmtiles { "pmtiles" } else { "mbtiles" };
    let version =
        answer(&rio, &[plugin, "--version"]).ok_or_else(|| format!("rio has no command {plugin}"))?;
    let gdal = answer(&rio, &["--gdal-version"]).map_or(String::new(), |v| format!(", GDAL {v}"));
    let name = format!("`rio {plugin}` {version}{gdal}");
    Ok(Contestant { name, container, kind: Kind::Rio, prefix: vec![rio.into(), plugin.into()] })
}

impl Contestant {
    /// The command that tiles the raster of `task` into `output`.
    pub fn command(&self, task: &Task, output: &Path) -> Vec<OsString> {
        let (low, high) = (task.levels.0.to_string(), task.levels.1.to_string());
        let threads = task.threads.to_string();
        let mut command = self.prefix.clone();
        let mut add = |args: &[&str]| command.extend(args.iter().map(OsString::from));
        match self.kind {
            Kind::Tileloom { threads: told } => {
                add(&["tile", "--quiet", "-r", "bilinear", "--overview-resampling", "average"]);
                add(&["--min-zoom", &low, "--max-zoom", &high]);
                if told {
                    add(&["--threads", &threads]);
                }
            }
            Kind::GdalRasterTile => {
                add(&["-r", "bilinear", "--overview-resampling", "average", "--webviewer", "none"]);
                add(&["--min-zoom", &low, "--max-zoom", &high, "-j", &threads]);
            }
            Kind::Gdal2Tiles => {
                add(&["--quiet", "--xyz", "--no-kml", "-w", "none", "-r", "bilinear"]);
                add(&["-z", &format!("{low}-{high}"), &format!("--processes={threads}")]);
            }
            Kind::Rio => {
                add(&["-f", "PNG", "--tile-size", "256", "--resampling", "bilinear"]);
                add(&["--zoom-levels", &format!("{low}..{high}"), "-j", &threads]);
                if self.container == Container::Pmtiles {
                    add(&["--silent"]);
                }
            }
        }
        command.push(task.raster.clone().into());
        command.push(output.into());
        command
    }
}

/// A program by the environment variable that names it, or on the path.
fn find(variable: &str, name: &str) -> Result<PathBuf, String> {
    let found = env::var_os(variable).map(PathBuf::from).or_else(|| on_path(name));
    found.ok_or_else(|| format!("`{name}` is not on the path ({variable} may name it)"))
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The first line a program prints, when it ends well.
fn answer(program: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    // "GDAL 3.6.2, released 2023/01/02"
    let line = text.lines().next()?.split(", released").next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

/// The numbers of the processors this process may use, from `Cpus_allowed_list: 0-3,8`.
fn granted() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}
