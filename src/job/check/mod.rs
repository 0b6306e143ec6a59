//! `check`: whether a `GeoTIFF` or a tile set is sound, and what is wrong with it.
//!
//! ```text
//! CheckJob ──▶ structure: directories, index, metadata ──▶ readers: blocks, tiles ──▶ pool: unpack, decode ──▶ faults
//! ```
//!
//! Where `convert` stops at the first thing that is wrong, this goes on as long as there is anything to be looked at, and takes
//! down all of it. What a file claims is not believed before it was held against the file's size, and no picture is
//! unpacked before its size is known: so hostile files cost no more than sound ones.
//!
//! Faults are found in the order of the file, whatever the number of threads.

mod report;
mod tiff;
mod tiles;

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use report::{Contents, Fault, FileReport, RasterFacts, Report, Severity, TileFacts, Verdict};

use self::report::Findings;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::pipeline::Monitor;
use crate::store;
use crate::tileset::Scheme;

/// Faults of a kind that are told, unless another number is asked for.
pub const MOST_FAULTS: usize = 5;

/// What a file may be asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// A cloud-optimised `GeoTIFF`.
    Cog,
    /// A `GeoTIFF`, optimised or not.
    Geotiff,
    /// An MBTiles database.
    Mbtiles,
    /// A PMTiles archive.
    Pmtiles,
    /// A folder of tiles.
    Folder,
    /// A tar archive of tiles.
    Tar,
}

impl Demand {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Cog, Self::Geotiff, Self::Mbtiles, Self::Pmtiles, Self::Folder, Self::Tar];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cog => "cog",
            Self::Geotiff => "geotiff",
            Self::Mbtiles => "mbtiles",
            Self::Pmtiles => "pmtiles",
            Self::Folder => "folder",
            Self::Tar => "tar",
        }
    }
}

impl std::str::FromStr for Demand {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let lower = if lower == "gtiff" || lower == "tiff" { "geotiff".to_owned() } else { lower };
        Self::ALL.into_iter().find(|demand| demand.name() == lower).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            format!("'{text}' is no kind of file that can be checked: known are {known}")
        })
    }
}

/// Which files to check, and how. [`CheckJob::new`] holds every default.
#[derive(Debug, Clone)]
pub struct CheckJob {
    /// The files and folders.
    pub files: Vec<PathBuf>,
    /// What they have to be; default whatever they are.
    pub demand: Option<Demand>,
    /// Look at structure and metadata only; default unpack every block and decode every tile, too.
    pub quick: bool,
    /// Warnings are faults; default they are not.
    pub strict: bool,
    /// Faults of a kind that are told; the others are counted. Default [`MOST_FAULTS`].
    pub max_faults: usize,
    /// Numbering of the rows of folders and tar archives; default as they tell, else XYZ.
    pub input_scheme: Option<Scheme>,
    /// What the tiles of folders and tar archives divide; default as they tell, else Web Mercator.
    pub input_grid: Option<Grid>,
    /// Reader threads.
    pub readers: usize,
    /// Threads that unpack and decode.
    pub threads: usize,
    /// Bytes the whole process should stay within.
    pub memory: usize,
}

impl CheckJob {
    /// A job with every default, for the machine it runs on.
    pub fn new(files: Vec<PathBuf>) -> Self {
        let threads = super::machine::threads();
        Self {
            files,
            demand: None,
            quick: false,
            strict: false,
            max_faults: MOST_FAULTS,
            input_scheme: None,
            input_grid: None,
            readers: threads,
            threads,
            memory: super::machine::default_memory(threads, threads),
        }
    }
}

/// What a file seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tiff,
    Mbtiles,
    Pmtiles,
    Folder,
    Tar,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Tiff => "geotiff",
            Self::Mbtiles => "mbtiles",
            Self::Pmtiles => "pmtiles",
            Self::Folder => "folder",
            Self::Tar => "tar",
        }
    }

    const fn is(self, demand: Demand) -> bool {
        matches!(
            (self, demand),
            (Self::Tiff, Demand::Cog | Demand::Geotiff)
                | (Self::Mbtiles, Demand::Mbtiles)
                | (Self::Pmtiles, Demand::Pmtiles)
                | (Self::Folder, Demand::Folder)
                | (Self::Tar, Demand::Tar)
        )
    }

    /// What the name of a file says it is.
    fn named(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "tif" | "tiff" | "gtif" | "gtiff" => Some(Self::Tiff),
            "mbtiles" => Some(Self::Mbtiles),
            "pmtiles" => Some(Self::Pmtiles),
            "tar" => Some(Self::Tar),
            _ => None,
        }
    }
}

/// What a path leads to.
enum Recognised {
    Kind(Kind),
    /// Its name says what it is, its content something else.
    Damaged(Kind, String),
}

/// Checks the files one after the other. `planned` is called with a file and the number of tasks before its blocks or tiles are
/// looked at, for a progress display; `done` with each report.
///
/// # Errors
/// [`Error::Interrupted`], and [`Error::Internal`] for a defect. What is wrong with files is in the report.
pub fn run(
    job: &CheckJob,
    monitor: &Monitor,
    planned: impl FnMut(&Path, usize),
    mut done: impl FnMut(&FileReport) -> Result<()>,
) -> Result<Report> {
    let begun = Instant::now();
    let planned = RefCell::new(planned);
    let mut files = Vec::new();
    for path in &job.files {
        let started = Instant::now();
        let result = check(job, path, monitor, &|tasks| (planned.borrow_mut())(path, tasks));
        let seconds = started.elapsed().as_secs_f64();
        let report = match result {
            Ok(findings) => findings.report(path, job.strict, seconds),
            Err(error @ (Error::Interrupted(_) | Error::Internal(_) | Error::Usage(_))) => return Err(error),
            Err(error) => {
                let text = error.to_string();
                let bare = text.strip_prefix(&format!("{}: ", path.display())).map(str::to_owned);
                FileReport::unchecked(path, bare.unwrap_or(text), seconds)
            }
        };
        done(&report)?;
        files.push(report);
    }
    let number = |verdict| files.iter().filter(|file| file.verdict == verdict).count();
    let (faulty, unchecked) = (number(Verdict::Faulty), number(Verdict::Unchecked));
    Ok(Report {
        ok: faulty + unchecked == 0,
        faulty,
        unchecked,
        files,
        seconds: begun.elapsed().as_secs_f64(),
        peak_memory: super::machine::peak_memory(),
    })
}

/// What a check is given beside the file.
struct Context<'a> {
    job: &'a CheckJob,
    path: &'a Path,
    monitor: &'a Monitor,
    planned: &'a dyn Fn(usize),
}

fn check(job: &CheckJob, path: &Path, monitor: &Monitor, planned: &dyn Fn(usize)) -> Result<Findings> {
    if let Some(signal) = monitor.cancelled() {
        return Err(Error::Interrupted(signal));
    }
    let (kind, damage) = match recognise(path)? {
        Recognised::Kind(kind) => (kind, None),
        Recognised::Damaged(kind, why) => (kind, Some(why)),
    };
    let mut findings = Findings::new(kind.name(), job.max_faults);
    if let Some(demand) = job.demand.filter(|demand| !kind.is(*demand)) {
        let text = format!("is of the kind '{}', not '{}'", kind.name(), demand.name());
        findings.faults.error("kind", text);
    }
    if let Some(why) = damage {
        findings.faults.error("unreadable", why);
        return Ok(findings);
    }
    let context = Context { job, path, monitor, planned };
    match kind {
        Kind::Tiff => tiff::check(&context, &mut findings)?,
        _ => tiles::check(&context, kind, &mut findings)?,
    }
    left_over(path, &mut findings);
    Ok(findings)
}

/// Finds out what a path leads to, by the first bytes, whatever its name.
fn recognise(path: &Path) -> Result<Recognised> {
    let refused = |e: std::io::Error| Error::input(path, format!("cannot be opened: {e}"));
    let found = std::fs::metadata(path).map_err(refused)?;
    if found.is_dir() {
        return Ok(Recognised::Kind(Kind::Folder));
    }
    if !found.is_file() {
        return Err(Error::input(path, "is neither a folder nor a regular file"));
    }
    let mut head = Vec::new();
    File::open(path).and_then(|file| file.take(512).read_to_end(&mut head)).map_err(refused)?;
    let kind = match &head[..] {
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Kind::Tiff,
        _ if head.starts_with(b"SQLite format 3\0") => Kind::Mbtiles,
        _ if head.starts_with(b"PMTiles") => Kind::Pmtiles,
        _ if store::begins_as_tar(&head) => Kind::Tar,
        _ => match Kind::named(path) {
            Some(kind) if head.is_empty() => return Ok(Recognised::Damaged(kind, "is empty".to_owned())),
            Some(kind) => {
                let text = format!("does not begin as a file of the kind '{}'", kind.name());
                return Ok(Recognised::Damaged(kind, text));
            }
            None => {
                let text = "is nothing that can be checked: known are GeoTIFF, MBTiles, PMTiles, folders and tar \
                            archives of tiles";
                return Err(Error::input(path, text));
            }
        },
    };
    Ok(Recognised::Kind(kind))
}

/// What an interrupted run of this program leaves beside its output.
fn left_over(path: &Path, findings: &mut Findings) {
    for ending in [".partial", ".partial-done", ".partial-spool", ".partial-old"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        if Path::new(&name).exists() {
            let text = format!("'{}' beside it is left over from a run that was interrupted", name.display());
            findings.faults.warning("left-over", text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, bytes: &[u8]) -> Result<(Kind, Option<String>)> {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        recognise(&path).map(|found| match found {
            Recognised::Kind(kind) => (kind, None),
            Recognised::Damaged(kind, why) => (kind, Some(why)),
        })
    }

    #[test]
    fn content_counts_more_than_the_name() {
        assert_eq!(kind("a.tar", b"II*\0....").expect("known"), (Kind::Tiff, None));
        assert_eq!(kind("a", b"MM\0+....").expect("known"), (Kind::Tiff, None));
        assert_eq!(kind("a.tif", b"PMTiles\x03").expect("known"), (Kind::Pmtiles, None));
        assert_eq!(kind("a.db", b"SQLite format 3\0").expect("known"), (Kind::Mbtiles, None));
    }

    #[test]
    fn what_should_be_known_by_its_name_is_damaged_and_other_things_are_not_checked() {
        for (name, bytes) in [("a.tif", &b""[..]), ("a.TIFF", b"GIF8"), ("a.pmtiles", b"nothing")] {
            assert!(kind(name, bytes).expect("named").1.is_some(), "{name}");
        }
        let error = kind("a.png", b"\x89PNG").expect_err("a picture");
        assert_eq!(error.exit_code(), 3);
        assert!(recognise(Path::new("nowhere/at/all")).is_err());
    }

    #[test]
    fn kinds_have_the_names_that_users_know() {
        assert_eq!("GTiff".parse(), Ok(Demand::Geotiff));
        assert_eq!("COG".parse(), Ok(Demand::Cog));
        assert!("zip".parse::<Demand>().is_err());
    }
}
