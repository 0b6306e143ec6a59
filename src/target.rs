//! The place an output is written to: what may stand there already, the working names beside it, and how the finished
//! work takes the final name.
//!
//! Work happens under `OUT.partial`; the final name appears by one rename, so a run that fails, or a machine that
//! stops, leaves either what stood there before or the whole new set. A lock keeps a second run away from
//! the same target. No folder is ever deleted that does not look like a tile set.
//!
//! A run that can be resumed keeps what it finished when it fails: the claim then leaves the unfinished work and its
//! journal where they are.

pub(crate) mod chips;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::grid::MAX_ZOOM;

/// Most files a spool is made of: threads that write to different files do not wait for each other.
pub(crate) const SEGMENTS: usize = 64;

/// What an output is to the file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A folder of tiles.
    Folder,
    /// A folder of chips.
    Chips,
    /// One regular file, whatever it holds.
    File,
}

/// Where to write, and what may be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The final name. Its parent folder must exist.
    pub path: PathBuf,
    /// Whether an output that stands there is replaced once the new one is complete; default no.
    pub overwrite: bool,
    /// Where the spool goes; default beside the target.
    pub tmp_dir: Option<PathBuf>,
}

impl Target {
    /// A target that must not exist yet, with its spool beside it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), overwrite: false, tmp_dir: None }
    }

    /// Finds out, before any work is done, whether an output could be written here now. Leaves nothing behind.
    ///
    /// # Errors
    /// [`Error::Usage`] when the path names no file or folder; [`Error::Output`] when the parent folder or the
    /// temporary folder is missing or not writable, when something stands there that may not be replaced, and
    /// when another run is writing to it.
    pub fn check(&self, shape: impl Into<Shape>) -> Result<()> {
        let names = Names::of(self)?;
        let _lock = Lock::take(&names)?;
        if !names.aside.exists() {
            inspect(&names.target, shape.into(), self.overwrite)?;
        }
        if self.tmp_dir.is_some() {
            let probe = add_suffix(&names.spool, "-probe");
            File::create(&probe).map_err(|e| failed(&names.spool, "cannot be created", &e))?;
            let _ = fs::remove_file(&probe);
        }
        Ok(())
    }

    /// Whether an interrupted run left work here that a run with the same inputs and options may go on with.
    pub fn is_unfinished(&self) -> bool {
        Names::of(self).is_ok_and(|names| names.journal.is_file())
    }

    /// Takes the lock, checks as [`Target::check`] does, and clears away what a run that crashed left behind.
    pub(crate) fn claim(&self, shape: impl Into<Shape>) -> Result<Claim> {
        let claim = self.claim_unfinished(shape)?;
        claim.clear()?;
        Ok(claim)
    }

    /// Like [`Target::claim`], but leaves everything where it is, also when the claim is dropped, until it is
    /// [cleared](Claim::clear) away.
    pub(crate) fn claim_unfinished(&self, shape: impl Into<Shape>) -> Result<Claim> {
        let shape = shape.into();
        let names = Names::of(self)?;
        let lock = Lock::take(&names)?;
        if names.aside.exists() {
            if names.target.exists() {
                remove_stale(&names.aside, shape)?;
            } else {
                // A run stopped between the two renames of a swap: what stood here is still whole.
                rename(&names.aside, &names.target)?;
            }
        }
        inspect(&names.target, shape, self.overwrite)?;
        let (keep, assembling) = (AtomicBool::new(true), AtomicBool::new(false));
        Ok(Claim { names, shape, overwrite: self.overwrite, keep, assembling, _lock: lock })
    }
}

/// All names of one run.
#[derive(Debug)]
struct Names {
    target: PathBuf,
    parent: PathBuf,
    partial: PathBuf,
    aside: PathBuf,
    spool: PathBuf,
    journal: PathBuf,
    lock: PathBuf,
}

impl Names {
    fn of(target: &Target) -> Result<Self> {
        // Without the slash at the end that people type after folders.
        let mut path: PathBuf = target.path.components().collect();
        if fs::symlink_metadata(&path).is_ok_and(|m| m.is_symlink()) {
            path = fs::canonicalize(&path).map_err(|e| failed(&path, "is a link that leads nowhere", &e))?;
        }
        let Some(name) = path.file_name().map(ToOwned::to_owned) else {
            return Err(Error::Usage(format!(
                "'{}' cannot be replaced by a tile set",
                target.path.display()
            )));
        };
        let parent = match path.parent() {
            Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
            _ => PathBuf::from("."),
        };
        if !parent.is_dir() {
            return Err(Error::output(&target.path, format!("there is no folder '{}'", parent.display())));
        }
        let spool = match &target.tmp_dir {
            None => add_suffix(&path, ".partial-spool"),
            Some(dir) if dir.is_dir() => {
                // Targets of the same name in different folders may share a temporary folder.
                let home =
                    fs::canonicalize(&parent).map_err(|e| failed(&parent, "cannot be resolved", &e))?;
                let id = xxhash_rust::xxh3::xxh3_64(home.join(&name).as_os_str().as_encoded_bytes());
                let mut file = name.clone();
                file.push(format!("-{id:016x}.partial-spool"));
                dir.join(file)
            }
            Some(dir) => return Err(Error::output(dir, "the temporary folder does not exist")),
        };
        Ok(Self {
            partial: add_suffix(&path, ".partial"),
            aside: add_suffix(&path, ".partial-old"),
            // Not `-journal`: SQLite takes a file of that name for its own and removes it.
            journal: add_suffix(&path, ".partial-done"),
            lock: add_suffix(&path, ".partial-lock"),
            target: path,
            parent,
            spool,
        })
    }
}

impl Names {
    /// The name of a segment of the spool.
    fn segment(&self, number: usize) -> PathBuf {
        match number {
            0 => self.spool.clone(),
            _ => add_suffix(&self.spool, &format!("-{number}")),
        }
    }
}

/// A target that this run alone writes to. Dropping it removes the lock, and the unfinished work unless that is to be
/// [kept](Claim::keep_unfinished).
#[derive(Debug)]
pub(crate) struct Claim {
    names: Names,
    shape: Shape,
    overwrite: bool,
    /// Whether unfinished work stays where it is.
    keep: AtomicBool,
    /// Whether the working file was created by this run.
    assembling: AtomicBool,
    _lock: Lock,
}

impl Claim {
    /// Clears away the unfinished work of earlier runs; that of this one goes when the claim is dropped.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be removed or is no unfinished work.
    pub(crate) fn clear(&self) -> Result<()> {
        // The journal first: without it nobody takes for finished what is half removed.
        remove_stale(&self.names.journal, Shape::File)?;
        remove_stale(&self.names.partial, self.shape)?;
        for segment in 0..SEGMENTS {
            remove_stale(&self.names.segment(segment), Shape::File)?;
        }
        self.keep_unfinished(false);
        Ok(())
    }

    /// Whether the unfinished work is left to a later run when the claim is dropped.
    pub(crate) fn keep_unfinished(&self, keep: bool) {
        self.keep.store(keep, Ordering::Relaxed);
    }

    /// Removes a working file that an earlier run was assembling.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be removed.
    pub(crate) fn remove_partial(&self) -> Result<()> {
        remove_stale(&self.names.partial, self.shape)
    }

    /// Refuses an unfinished folder that holds what no tile set has.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub(crate) fn inspect_partial(&self) -> Result<()> {
        inspect_stale(&self.names.partial, self.shape)
    }

    /// The name of the journal of a run that can be resumed.
    pub(crate) fn journal(&self) -> PathBuf {
        self.names.journal.clone()
    }

    /// The name under which the work grows; nothing stands there yet unless a run is resumed.
    pub(crate) fn partial(&self) -> &Path {
        &self.names.partial
    }

    /// The name of a segment of the spool, below [`SEGMENTS`]; nothing stands there yet unless a run is resumed.
    pub(crate) fn segment(&self, number: usize) -> PathBuf {
        self.names.segment(number)
    }

    /// The final name.
    pub(crate) fn target(&self) -> &Path {
        &self.names.target
    }

    /// Creates the working file.
    pub(crate) fn create_partial(&self) -> Result<File> {
        let created = OpenOptions::new().read(true).write(true).create_new(true).open(self.partial());
        let file = created.map_err(|e| failed(self.partial(), "cannot be created", &e))?;
        self.assembling.store(true, Ordering::Relaxed);
        Ok(file)
    }

    /// Gives the work, complete and synced, its final name.
    ///
    /// # Errors
    /// [`Error::Output`] when a rename fails, or when something appeared under the final name that may not be
    /// replaced; the final name then stands for what it stood for before.
    pub(crate) fn commit(&self) -> Result<()> {
        let Names { target, parent, partial, aside, .. } = &self.names;
        let existing = inspect(target, self.shape, self.overwrite)?;
        sync_folder(parent).map_err(|e| failed(target, "its folder cannot be synced", &e))?;
        if existing == Existing::TileSet {
            rename(target, aside)?;
            if let Err(error) = rename(partial, target) {
                rename(aside, target)?;
                return Err(error);
            }
        } else {
            rename(partial, target)?;
        }
        self.keep_unfinished(false);
        self.assembling.store(false, Ordering::Relaxed);
        // The new set stands. What may still fail takes nothing from it: the next run clears the old one away.
        let _ = sync_folder(parent);
        if existing == Existing::TileSet {
            let _ = fs::remove_dir_all(aside);
        }
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.keep.load(Ordering::Relaxed) {
            // A file being assembled is made of what is kept.
            if self.assembling.load(Ordering::Relaxed) {
                let _ = fs::remove_file(&self.names.partial);
            }
            return;
        }
        let _ = fs::remove_file(&self.names.journal);
        for segment in 0..SEGMENTS {
            let _ = fs::remove_file(self.names.segment(segment));
        }
        let _ = match self.shape {
            Shape::Folder | Shape::Chips => fs::remove_dir_all(&self.names.partial),
            Shape::File => fs::remove_file(&self.names.partial),
        };
    }
}

/// An advisory lock on a file beside the target, removed with the lock.
#[derive(Debug)]
struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    fn take(names: &Names) -> Result<Self> {
        let path = &names.lock;
        loop {
            let file = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .open(path)
                .map_err(|e| failed(&names.target, "cannot be written", &e))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::output(&names.target, "another tileloom is writing to it"));
                }
                // Some network file systems have no locks; what is left is the care of whoever starts the runs.
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
                Err(TryLockError::Error(e)) => return Err(failed(path, "cannot be locked", &e)),
            }
            // The holder before us may have removed the file after we opened it: a lock on it would keep nobody away.
            let same = match (file.metadata(), fs::metadata(path)) {
                (Ok(ours), Ok(theirs)) => (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()),
                _ => false,
            };
            if same {
                return Ok(Self { path: path.clone(), _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// What stands under the final name.
#[derive(Debug, PartialEq, Eq)]
enum Existing {
    /// Nothing, or what a rename replaces in one step: a file by a file, an empty folder by a folder.
    Replaceable,
    /// A folder with a tile set or chips, to be moved aside.
    TileSet,
}

/// Decides whether the final name may be taken.
fn inspect(path: &Path, shape: Shape, overwrite: bool) -> Result<Existing> {
    let refuse = |reason: &str| Err(Error::output(path, reason));
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Existing::Replaceable),
        Err(e) => return Err(failed(path, "cannot be inspected", &e)),
    };
    match shape {
        Shape::Folder => {
            if !metadata.is_dir() {
                return refuse("is a file; tiles can only go into a folder, .mbtiles, .pmtiles or .tar");
            }
            let content = FolderContent::of(path)?;
            if content.empty {
                return Ok(Existing::Replaceable);
            }
            if let Some(name) = content.foreign {
                return refuse(&format!(
                    "is not replaced, since '{}' in it is no part of a tile set",
                    name.display()
                ));
            }
            if !content.described {
                return refuse(
                    "is not replaced, since it has no tilejson.json or metadata.json of a tile set",
                );
            }
            if !overwrite {
                return refuse("holds a tile set; pass --overwrite to replace it");
            }
            Ok(Existing::TileSet)
        }
        Shape::Chips => {
            if !metadata.is_dir() {
                return refuse("is a file; chips go into a folder");
            }
            match chips::look(path)? {
                chips::Found::Empty => Ok(Existing::Replaceable),
                chips::Found::Other(why) => refuse(&format!("is not replaced, since {why}")),
                chips::Found::Chips if overwrite => Ok(Existing::TileSet),
                chips::Found::Chips => refuse("holds chips; pass --overwrite to replace them"),
            }
        }
        Shape::File => {
            if metadata.is_dir() {
                return refuse("is a folder");
            }
            if !metadata.is_file() {
                return refuse("is not a regular file");
            }
            if !overwrite {
                return refuse("exists; pass --overwrite to replace it");
            }
            Ok(Existing::Replaceable)
        }
    }
}

/// What a folder holds, seen from outside.
struct FolderContent {
    empty: bool,
    /// Whether there is a description of a tile set.
    described: bool,
    /// An entry that no tile set has: neither a zoom level nor a page or a description beside them.
    foreign: Option<OsString>,
}

impl FolderContent {
    fn of(path: &Path) -> Result<Self> {
        let mut content = Self { empty: true, described: false, foreign: None };
        let unreadable = |e: io::Error| failed(path, "cannot be read", &e);
        for entry in fs::read_dir(path).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            content.empty = false;
            let name = entry.file_name();
            let text = name.to_string_lossy();
            let is_dir = entry.file_type().map_err(unreadable)?.is_dir();
            content.described |= !is_dir && matches!(&*text, "tilejson.json" | "metadata.json");
            let part = if is_dir {
                text.parse::<u8>().is_ok_and(|z| z <= MAX_ZOOM)
            } else {
                let extension = Path::new(&*text).extension().unwrap_or_default().to_ascii_lowercase();
                ["json", "html", "xml", "kml", "mapml"].iter().any(|e| extension == *e)
            };
            if !part && content.foreign.is_none() {
                content.foreign = Some(name);
            }
        }
        Ok(content)
    }
}

/// Removes the unfinished work of a run that crashed.
fn remove_stale(path: &Path, shape: Shape) -> Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(path, "cannot be inspected", &e)),
    };
    let removed = if metadata.is_dir() {
        inspect_stale(path, shape)?;
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(|e| failed(path, "is left from an earlier run and cannot be removed", &e))
}

/// Refuses a folder that unfinished work cannot have made.
fn inspect_stale(path: &Path, shape: Shape) -> Result<()> {
    if shape == Shape::Chips {
        return match chips::look(path)? {
            chips::Found::Other(why) => {
                Err(Error::output(path, format!("is in the way, and {why}; move it away")))
            }
            chips::Found::Empty | chips::Found::Chips => Ok(()),
        };
    }
    if let Some(name) = FolderContent::of(path)?.foreign {
        let reason = format!(
            "is in the way and holds '{}', which is no part of a tile set; move it away",
            name.display()
        );
        return Err(Error::output(path, reason));
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| failed(to, &format!("cannot be renamed from '{}'", from.display()), &e))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Not every file system can sync a folder.
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}

fn add_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}

/// An [`Error::Output`] that says what failed and why.
pub(crate) fn failed(path: &Path, what: &str, cause: &dyn std::fmt::Display) -> Error {
    Error::output(path, format!("{what}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(path: &Path, shape: Shape) -> Result<Claim> {
        Target::new(path).claim(shape)
    }

    #[test]
    fn a_crash_between_the_two_renames_of_a_swap_loses_nothing() {
        let dir = tempfile::tempdir().expect("tempdir");
        let old = dir.path().join("set.partial-old");
        fs::create_dir(&old).expect("old");
        fs::write(old.join("tilejson.json"), "{}").expect("old");
        let error = claim(&dir.path().join("set"), Shape::Folder).expect_err("it is back");
        assert!(error.to_string().contains("--overwrite"), "{error}");
        assert!(dir.path().join("set/tilejson.json").exists());
        assert!(!old.exists());
    }

    #[test]
    fn leftovers_of_a_crashed_run_are_cleared_away_but_nothing_else() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("set");
        fs::create_dir_all(dir.path().join("set.partial/3/4")).expect("partial");
        fs::write(dir.path().join("set.partial-lock"), "").expect("lock");
        drop(claim(&path, Shape::Folder).expect("stale work is replaced"));
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
        fs::create_dir_all(dir.path().join("set.partial/thesis")).expect("partial");
        assert!(matches!(claim(&path, Shape::Folder), Err(Error::Output { .. })));
        assert!(dir.path().join("set.partial/thesis").exists());
    }

    #[test]
    fn unfinished_work_that_is_kept_stays_until_somebody_begins_anew() {
        let dir = tempfile::tempdir().expect("tempdir");
        let target = Target::new(dir.path().join("set.pmtiles"));
        let kept = ["set.pmtiles.partial-done", "set.pmtiles.partial-spool"];
        let unfinished = || target.claim_unfinished(Shape::File).expect("free");
        for name in kept {
            fs::write(dir.path().join(name), "work").expect("work");
        }
        drop(unfinished());
        let claim = unfinished();
        claim.create_partial().expect("assembled");
        assert!(dir.path().join("set.pmtiles.partial").exists());
        drop(claim);
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .expect("readable")
            .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        assert_eq!(names, kept);
        assert!(target.is_unfinished());
        drop(target.claim(Shape::File).expect("free"));
        assert!(!target.is_unfinished());
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
    }

    #[test]
    fn every_segment_of_a_crashed_runs_spool_is_cleared_away() {
        let dir = tempfile::tempdir().expect("tempdir");
        for name in ["set.partial-spool", "set.partial-spool-1", "set.partial-spool-63"] {
            fs::write(dir.path().join(name), "torn").expect("segment");
        }
        let claim = claim(&dir.path().join("set"), Shape::File).expect("stale work is replaced");
        assert!((0..SEGMENTS).all(|number| !claim.segment(number).exists()));
        fs::write(claim.segment(SEGMENTS - 1), "new").expect("segment");
        drop(claim);
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
    }

    #[test]
    fn spools_of_equal_names_do_not_meet_in_a_temporary_folder() {
        let dir = tempfile::tempdir().expect("tempdir");
        let spool = |sub: &str| {
            let home = dir.path().join(sub);
            fs::create_dir(&home).expect("home");
            let target =
                Target { tmp_dir: Some(dir.path().to_owned()), ..Target::new(home.join("a.mbtiles")) };
            target.claim(Shape::File).expect("free").segment(0)
        };
        let (a, b) = (spool("a"), spool("b"));
        assert_ne!(a, b);
        assert_eq!(a.parent(), Some(dir.path()));
    }

    #[test]
    fn links_are_followed_so_that_the_link_stays() {
        let dir = tempfile::tempdir().expect("tempdir");
        let real = dir.path().join("real.pmtiles");
        let link = dir.path().join("link.pmtiles");
        fs::write(&real, "old").expect("real");
        std::os::unix::fs::symlink(&real, &link).expect("link");
        let target = Target { overwrite: true, ..Target::new(&link) };
        let claim = target.claim(Shape::File).expect("free");
        fs::write(claim.partial(), "new").expect("partial");
        claim.commit().expect("renamed");
        assert_eq!(fs::read_to_string(&real).expect("real"), "new");
        assert!(fs::symlink_metadata(&link).expect("link").is_symlink());
    }
}
