//! Containers whose making can be resumed: what an earlier run of the same job finished is taken over, tile by tile
//! verified.
//!
//! A task counts as done when its record in the [journal](super::journal) is whole and the bytes of all its tiles are where it
//! says, with the hash it says. Whatever else lies in the unfinished container is removed: it will be made again.

use std::sync::{Arc, Mutex, PoisonError};

use super::depot::TakenOver;
use super::journal::{Identity, Journal, Record};
use super::{Begun, Depot, OutputKind, Target};
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::pipeline::{Cause, side_by_side};
use crate::sink::Deposited;
use crate::sink::target::Claim;
use crate::tileset::TilesetInfo;

/// What is finished of a job, and where more of it is noted. It goes to the writer thread, which alone writes to it.
#[derive(Debug)]
pub struct Log {
    journal: Journal,
    tiles: u64,
}

impl Log {
    /// All that a journal holds.
    pub(super) fn of(journal: Journal) -> Self {
        Self { journal, tiles: 0 }
    }

    /// Whether a task is finished.
    pub fn has(&self, task: TileCoord) -> bool {
        self.done().any(|done| done == task)
    }

    /// The tiles of a finished task, counted from 0.
    ///
    /// # Errors
    /// [`Error::Output`] when they cannot be read.
    pub(super) fn tiles_of(&self, task: usize) -> Result<Vec<Deposited>> {
        self.journal.entries().get(task).map_or_else(|| Ok(Vec::new()), |entry| self.journal.tiles(*entry))
    }

    /// Waits until everything that was noted is on the disk.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses.
    pub fn sync(&self) -> Result<()> {
        self.journal.sync()
    }

    /// How many tiles earlier runs made.
    pub fn tiles(&self) -> u64 {
        self.tiles
    }

    /// The tasks that earlier runs finished.
    pub fn done(&self) -> impl Iterator<Item = TileCoord> + '_ {
        self.journal.entries().iter().map(|entry| entry.task)
    }

    /// Hands over what was noted of each of them.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be read, and those of `each`.
    pub fn memos(&self, mut each: impl FnMut(TileCoord, &[u8]) -> Result<()>) -> Result<()> {
        for entry in self.journal.entries() {
            each(entry.task, &self.journal.memo(*entry)?)?;
        }
        Ok(())
    }

    /// Hands over the tiles that earlier runs made.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be read, and those of `each`.
    pub fn take_over(&self, mut each: impl FnMut(Deposited) -> Result<()>) -> Result<()> {
        for entry in self.journal.entries() {
            self.journal.tiles(*entry)?.into_iter().try_for_each(&mut each)?;
        }
        Ok(())
    }

    /// Notes a task. From then on a run that fails leaves its work to be resumed.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses.
    pub fn append(&mut self, record: &Record) -> Result<()> {
        self.journal.append(record)
    }

    /// Nothing that was noted is worth going on with.
    pub fn discard(&self) {
        self.journal.discard();
    }
}

/// Begins a container or goes on with one that an interrupted run of the same job left. `threads` verify what is there.
///
/// # Errors
/// As [`begin`](super::begin), and [`Error::Output`] when what is left there is another job's.
pub fn resume(
    kind: OutputKind,
    target: &Target,
    info: TilesetInfo,
    identity: &Identity,
    threads: usize,
) -> Result<(Begun, Log)> {
    super::validate(kind, target, &info)?;
    let claim = Arc::new(target.claim_unfinished(kind)?);
    let Some(mut journal) = Journal::open(&claim, identity)? else {
        claim.clear()?;
        let journal = Journal::create(&claim, identity)?;
        let depot = super::depot(kind, &claim, &info, true)?;
        return Ok((Begun { kind, claim, depot, info, pages: Vec::new() }, Log { journal, tiles: 0 }));
    };
    if kind != OutputKind::Folder {
        claim.remove_partial()?;
    }
    let depot = super::depot(kind, &claim, &info, true)?;
    let (taken, lost) = verify(&journal, &depot, &claim, TakenOver::of(&info), threads)?;
    journal.take_back(&lost)?;
    claim.keep_unfinished(!journal.entries().is_empty());
    depot.settle(&taken)?;
    let tiles = taken.tiles() as u64;
    Ok((Begun { kind, claim, depot, info, pages: Vec::new() }, Log { journal, tiles }))
}

/// Reads all tiles that the journal tells of: those of tasks that are whole, and the tasks that are not.
fn verify(
    journal: &Journal,
    depot: &Depot,
    claim: &Claim,
    nothing: TakenOver,
    threads: usize,
) -> Result<(TakenOver, Vec<TileCoord>)> {
    let found = Mutex::new((nothing, Vec::new()));
    let entries = journal.entries();
    let check = |bytes: &mut Vec<u8>, number: u64| -> Result<()> {
        let entry = entries[number as usize];
        let tiles = journal.tiles(entry)?;
        let whole = tiles.iter().all(|tile| depot.holds(tile, bytes));
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        if whole {
            found.0.add(&tiles);
        } else {
            found.1.push(entry.task);
        }
        Ok(())
    };
    side_by_side(threads, entries.len() as u64, Vec::new, check).map_err(|cause| match cause {
        Cause::Failed(error) => error,
        other => Error::Internal(format!("{}: {other}", claim.target().display())),
    })?;
    let (mut taken, lost) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    taken.sort();
    Ok((taken, lost))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::encode::TileFormat;
    use crate::grid::Bounds;
    use crate::tileset::Scheme;

    const KINDS: [(OutputKind, &str); 3] = [
        (OutputKind::Folder, "set"),
        (OutputKind::Mbtiles, "set.mbtiles"),
        (OutputKind::Pmtiles, "set.pmtiles"),
    ];

    fn info() -> TilesetInfo {
        let bounds = Bounds { west: -10.0, south: 40.0, east: 10.0, north: 50.0 };
        TilesetInfo { scheme: Scheme::Tms, ..TilesetInfo::new("set", bounds, TileFormat::Png, 256) }
    }

    fn begin(kind: OutputKind, path: &Path) -> (Begun, Log) {
        let mut identity = Identity::default();
        identity.add("job", "this");
        resume(kind, &Target::new(path), info(), &identity, 2).expect("begun")
    }

    /// Makes the tiles of a task: four, of which one is equal in all tasks.
    fn make(depot: &Depot, task: u32) -> (Vec<Deposited>, Record) {
        let tile = |k: u32| {
            let bytes = if k == 0 { vec![7; 900] } else { (task * 4 + k).to_le_bytes().repeat(300) };
            depot.deposit(TileCoord::new(6, task, k), &bytes).expect("deposited")
        };
        let tiles: Vec<Deposited> = (0..4).map(tile).collect();
        depot.flush().expect("flushed");
        let record = Record::new(TileCoord::new(4, task, 0), &tiles, &task.to_le_bytes());
        (tiles, record)
    }

    /// Does the tasks that are missing of eight, up to `limit` of them; finishes when all are done.
    fn run(kind: OutputKind, path: &Path, limit: usize) -> Vec<u32> {
        let (begun, mut log) = begin(kind, path);
        let depot = begun.depot();
        let mut sink = begun.open();
        let done: Vec<u32> = log.done().map(|task| task.x).collect();
        assert_eq!(log.tiles(), done.len() as u64 * 4);
        log.memos(|task, memo| {
            assert_eq!(memo, task.x.to_le_bytes());
            Ok(())
        })
        .expect("memos");
        log.take_over(|tile| sink.accept(tile)).expect("taken over");
        let missing: Vec<u32> = (0..8).filter(|task| !done.contains(task)).collect();
        for task in missing.iter().take(limit) {
            let (tiles, record) = make(&depot, *task);
            tiles.into_iter().try_for_each(|tile| sink.accept(tile)).expect("accepted");
            log.append(&record).expect("noted");
        }
        drop(depot);
        if missing.len() <= limit {
            assert_eq!(sink.finish().expect("finished").tiles, 32);
        }
        done
    }

    /// The bytes of a container, whatever it is.
    fn bytes(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
        if path.is_file() {
            return vec![(PathBuf::new(), fs::read(path).expect("file"))];
        }
        let mut all = Vec::new();
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("folder") {
                let entry = entry.expect("entry").path();
                if entry.is_dir() {
                    folders.push(entry);
                } else {
                    let name = entry.strip_prefix(path).expect("below").to_owned();
                    all.push((name, fs::read(&entry).expect("file")));
                }
            }
        }
        all.sort();
        all
    }

    #[test]
    fn a_job_in_three_parts_makes_the_same_bytes_and_nothing_twice() {
        for (kind, name) in KINDS {
            let dir = tempfile::tempdir().expect("tempdir");
            let (once, parts) = (dir.path().join("once").join(name), dir.path().join("parts").join(name));
            for path in [&once, &parts] {
                fs::create_dir(path.parent().expect("parent")).expect("folder");
            }
            run(kind, &once, 8);
            assert!(run(kind, &parts, 3).is_empty());
            assert!(!parts.exists());
            assert_eq!(run(kind, &parts, 2), [0, 1, 2]);
            assert_eq!(run(kind, &parts, 8), [0, 1, 2, 3, 4]);
            assert!(bytes(&parts) == bytes(&once), "{name}");
            assert_eq!(fs::read_dir(parts.parent().expect("parent")).expect("folder").count(), 1);
        }
    }

    #[test]
    fn tasks_whose_tiles_are_damaged_or_gone_are_done_again() {
        for (kind, name) in KINDS {
            let dir = tempfile::tempdir().expect("tempdir");
            let (once, damaged) = (dir.path().join("once").join(name), dir.path().join("damaged").join(name));
            for path in [&once, &damaged] {
                fs::create_dir(path.parent().expect("parent")).expect("folder");
            }
            run(kind, &once, 8);
            run(kind, &damaged, 5);
            let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", damaged.display()));
            if kind == OutputKind::Folder {
                // Row 2 of column 1 counted from the south, a file cut short, one gone, and one that nobody knows.
                fs::write(beside(".partial/6/1/61.png"), 6u32.to_le_bytes().repeat(299)).expect("damage");
                fs::remove_file(beside(".partial/6/3/62.png")).expect("gone");
                fs::write(beside(".partial/6/2/5.png"), "stray").expect("stray");
                assert_eq!(run(kind, &damaged, 0), [0, 2, 4]);
            } else {
                let spool = beside(".partial-spool");
                let mut torn = fs::read(&spool).expect("spool");
                let at = torn.windows(8).position(|w| w == [6, 0, 0, 0, 6, 0, 0, 0]).expect("task 1, tile 2");
                torn[at + 40] ^= 1;
                torn.truncate(torn.len() - 1);
                fs::write(&spool, torn).expect("damage");
                assert_eq!(run(kind, &damaged, 0), [0, 2, 3]);
            }
            let left = run(kind, &damaged, 8);
            assert_eq!(left.len(), 3, "{name}: what is lost stays lost until it is made again");
            assert!(bytes(&damaged) == bytes(&once), "{name}");
        }
    }

    #[test]
    fn unfinished_work_without_a_journal_is_cleared_away() {
        for (kind, name) in KINDS {
            let dir = tempfile::tempdir().expect("tempdir");
            let path = dir.path().join(name);
            run(kind, &path, 3);
            fs::remove_file(dir.path().join(format!("{name}.partial-done"))).expect("journal");
            assert!(run(kind, &path, 8).is_empty());
        }
    }

    #[test]
    fn folders_that_hold_something_else_are_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("set");
        run(OutputKind::Folder, &path, 3);
        fs::write(dir.path().join("set.partial/thesis.doc"), "dear").expect("file");
        let mut identity = Identity::default();
        identity.add("job", "this");
        let refused = resume(OutputKind::Folder, &Target::new(&path), info(), &identity, 2);
        assert!(refused.expect_err("a thesis").to_string().contains("thesis.doc"));
        fs::remove_file(dir.path().join("set.partial/thesis.doc")).expect("untouched");
        assert_eq!(run(OutputKind::Folder, &path, 8), [0, 1, 2]);
    }
}
