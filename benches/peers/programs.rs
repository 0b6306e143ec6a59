//! The programs: where they are found, and how each is told to do the same job.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tiles::Container;

/// What all programs are asked to do.
#[derive(Clone, Debug)]
pub struct Task {
    /// The rasters to tile: one, or the pieces of a mosaic.
    pub rasters: Vec<PathBuf>,
    /// Values to show black and white, of samples other than bytes.
    pub scale: Option<[f64; 2]>,
    /// What programs that do not stretch samples are given: bytes already.
    pub stretched: PathBuf,
    /// Lowest and highest zoom level.
    pub levels: (u8, u8),
    /// Threads or processes that compute.
    pub threads: usize,
    /// Folder for what a program has to make first.
    pub scratch: PathBuf,
}

/// What is made of the pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// PNG as each program makes it by itself.
    Png,
    /// PNG as small as tileloom can; the peers as by themselves.
    SmallPng,
    /// JPEG of quality 75.
    Jpeg,
    /// Lossy WebP of quality 75.
    Webp,
    /// Lossless WebP.
    LosslessWebp,
    /// Heights in PNG, -10000 m + 0.1 m × the number its red, green and blue make.
    Terrain,
}

impl Form {
    /// Extension of the files in a folder.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png | Self::SmallPng | Self::Terrain => "png",
            Self::Jpeg => "jpg",
            Self::Webp | Self::LosslessWebp => "webp",
        }
    }
}

/// A program, or one way of running it.
#[derive(Clone, Debug)]
pub struct Contestant {
    /// What the table calls it.
    pub name: String,
    /// What it makes.
    pub container: Container,
    /// What it makes of the pixels.
    pub form: Form,
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
    Rgbify,
}

/// tileloom as it was built with the benchmark.
pub fn tileloom(form: Form, container: Container) -> Contestant {
    Contestant {
        name: "tileloom".into(),
        container,
        form,
        kind: Kind::Tileloom { threads: true },
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
    Ok(Contestant { name, container, form: Form::Png, kind: Kind::Tileloom { threads: false }, prefix })
}

/// GDAL's `gdal raster tile`: the program `TILELOOM_GDAL` names, or `gdal`.
pub fn gdal_raster_tile(form: Form) -> Result<Contestant, String> {
    let gdal = find("TILELOOM_GDAL", "gdal")?;
    let prefix = vec![gdal.into(), "raster".into(), "tile".into()];
    let name = "`gdal raster tile`".to_owned();
    Ok(Contestant { name, container: Container::Folder, form, kind: Kind::GdalRasterTile, prefix })
}

/// `gdal2tiles.py`: the program `TILELOOM_GDAL2TILES` names, or the one on the path.
pub fn gdal2tiles() -> Result<Contestant, String> {
    let program = find("TILELOOM_GDAL2TILES", "gdal2tiles.py")?;
    Ok(Contestant {
        name: "`gdal2tiles.py`".to_owned(),
        container: Container::Folder,
        form: Form::Png,
        kind: Kind::Gdal2Tiles,
        prefix: vec![program.into()],
    })
}

/// `rio mbtiles`, `rio pmtiles` or `rio rgbify`: the program `TILELOOM_RIO` names, or `rio`.
pub fn rio(form: Form, container: Container) -> Result<Contestant, String> {
    let rio = find("TILELOOM_RIO", "rio")?;
    let (plugin, kind) = match (form, container) {
        (Form::Terrain, _) => ("rgbify", Kind::Rgbify),
        (_, Container::Pmtiles) => ("pmtiles", Kind::Rio),
        _ => ("mbtiles", Kind::Rio),
    };
    answer(&rio, &[plugin, "--help"]).ok_or_else(|| format!("rio has no command {plugin}"))?;
    let name = format!("`rio {plugin}`");
    Ok(Contestant { name, container, form, kind, prefix: vec![rio.into(), plugin.into()] })
}

/// The versions of the peers that are there, for the words below the table.
pub fn versions() -> Vec<String> {
    let mut versions = Vec::new();
    let mut add = |name: &str, answer: Option<String>| versions.extend(answer.map(|v| format!("{name} {v}")));
    if let Ok(gdal) = find("TILELOOM_GDAL", "gdal") {
        add("`gdal raster tile` of", answer(&gdal, &["--version"]));
    }
    if let Ok(program) = find("TILELOOM_GDAL2TILES", "gdal2tiles.py") {
        add("`gdal2tiles.py` of", answer(&program, &["--version"]));
    }
    if let Ok(rio) = find("TILELOOM_RIO", "rio") {
        for plugin in ["mbtiles", "pmtiles"] {
            add(&format!("`rio {plugin}`"), answer(&rio, &[plugin, "--version"]));
        }
        add("rio's GDAL", answer(&rio, &["--gdal-version"]));
    }
    versions
}

impl Contestant {
    /// The commands that tile the rasters of `task` into `output`, one after the other.
    pub fn commands(&self, task: &Task, output: &Path) -> Vec<Vec<OsString>> {
        let (low, high) = (task.levels.0.to_string(), task.levels.1.to_string());
        let threads = task.threads.to_string();
        let mut commands = Vec::new();
        let mut command = self.prefix.clone();
        let mut add = |args: &[&str]| command.extend(args.iter().map(OsString::from));
        let mut inputs = vec![task.stretched.clone()];
        match self.kind {
            Kind::Tileloom { threads: told } => {
                add(&["tile", "--quiet", "-r", "bilinear", "--overview-resampling", "average"]);
                add(&["--min-zoom", &low, "--max-zoom", &high]);
                add(self.form_for_tileloom());
                if let Some([black, white]) = task.scale.filter(|_| self.form != Form::Terrain) {
                    add(&["--scale", &format!("{black},{white}")]);
                }
                if told {
                    add(&["--threads", &threads]);
                }
                inputs.clone_from(&task.rasters);
            }
            Kind::GdalRasterTile => {
                add(&["-r", "bilinear", "--overview-resampling", "average", "--webviewer", "none"]);
                add(&["--min-zoom", &low, "--max-zoom", &high, "-j", &threads]);
                add(self.form_for_gdal());
                if task.rasters.len() > 1 {
                    let vrt = task.scratch.join("mosaic.vrt");
                    let mut build: Vec<OsString> =
                        ["gdalbuildvrt", "-q", "-overwrite"].map(OsString::from).into();
                    build.push(vrt.clone().into());
                    build.extend(task.rasters.iter().map(|path| path.clone().into()));
                    commands.push(build);
                    inputs = vec![vrt];
                }
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
            Kind::Rgbify => {
                add(&["-b", "-10000", "-i", "0.1", "--format", "png"]);
                add(&["--min-z", &low, "--max-z", &high, "-j", &threads]);
                inputs.clone_from(&task.rasters);
            }
        }
        command.extend(inputs.into_iter().map(OsString::from));
        command.push(output.into());
        commands.push(command);
        commands
    }

    fn form_for_tileloom(&self) -> &'static [&'static str] {
        match self.form {
            Form::Png => &[],
            Form::SmallPng => &["--png-mode", "small"],
            Form::Jpeg => &["-f", "jpeg", "--quality", "75"],
            Form::Webp => &["-f", "webp", "--quality", "75"],
            Form::LosslessWebp => &["-f", "webp", "--lossless"],
            Form::Terrain => &["--encoding", "mapbox"],
        }
    }

    fn form_for_gdal(&self) -> &'static [&'static str] {
        match self.form {
            Form::Png | Form::SmallPng | Form::Terrain => &[],
            Form::Jpeg => &["--format", "JPEG", "--co", "QUALITY=75"],
            Form::Webp => &["--format", "WEBP", "--co", "QUALITY=75"],
            Form::LosslessWebp => &["--format", "WEBP", "--co", "LOSSLESS=YES"],
        }
    }
}

/// A program by the environment variable that names it, or on the path.
pub fn find(variable: &str, name: &str) -> Result<PathBuf, String> {
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
