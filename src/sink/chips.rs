//! A folder of chips under construction: files, or shards of them.
//!
//! All grows under `OUT.partial`, whose first file says what the folder is; one rename at the end makes it the output. Shards are the
//! tar archives that `WebDataset` reads: the members of a chip stand next to each other and share their name up to the first dot.
//! They are of nobody's and of no time, and where one ends and the next begins follows from the chips alone.

mod journal;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::Path;

use ::tar::{EntryType, Header};
use xxhash_rust::xxh3::Xxh3;

pub use journal::{Begun, Entry};

use crate::error::{Error, Result};
use crate::flush::{Flusher, sync_all_below};
use crate::target::chips::DESCRIPTION;
use crate::target::{Claim, failed};
use journal::Journal;

/// Everything in a tar archive begins at a multiple of this.
const BLOCK: usize = 512;

/// Two blocks of nothing end an archive.
const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Bytes that are gathered before they are written to a shard.
const BUFFER: usize = 256 << 10;

/// When a shard is full. A chip is never divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardLimits {
    /// Chips of a shard at most.
    pub chips: u64,
    /// Bytes of a shard at most, unless a single chip is larger.
    pub bytes: u64,
}

/// A folder of chips under construction. It is created, used and finished on one thread; dropped without
/// [`finish`](Self::finish) it removes what it wrote.
#[derive(Debug)]
pub struct ChipSink {
    shards: Option<Shards>,
    root: File,
    folders: HashSet<String>,
    flusher: Option<Flusher>,
    written: WrittenChips,
    /// What is done, for a run that can be resumed.
    journal: Option<Journal>,
    claim: Claim,
    _writer_thread: PhantomData<*mut ()>,
}

/// What a finished folder holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WrittenChips {
    /// Files, those that describe the others included.
    pub files: u64,
    /// Shards among them.
    pub shards: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

#[derive(Debug)]
struct Shards {
    limits: ShardLimits,
    /// The open shard of each subset, and the number of the next.
    open: BTreeMap<String, Shard>,
    next: BTreeMap<String, u64>,
}

struct Shard {
    name: String,
    file: BufWriter<File>,
    chips: u64,
    bytes: u64,
    /// Of the chip that is being written.
    hash: Xxh3,
}

impl ChipSink {
    /// Opens a folder; `description` is what `chips.json` says until it is finished.
    ///
    /// # Errors
    /// [`Error::Output`] when that fails.
    pub fn create(begun: Begun, shards: Option<ShardLimits>, description: &str) -> Result<Self> {
        let mut written = WrittenChips::default();
        let mut shards = shards.map(|limits| Shards { limits, open: BTreeMap::new(), next: BTreeMap::new() });
        let path = begun.claim.partial().to_owned();
        if begun.entries().is_empty() {
            fs::create_dir(&path).map_err(|e| failed(&path, "cannot be created", &e))?;
            let first = path.join(DESCRIPTION);
            fs::write(&first, description).map_err(|e| failed(&first, "cannot be written", &e))?;
        }
        for entry in begun.entries() {
            written.files += entry.count();
            written.bytes += entry.bytes;
        }
        if let Some(shards) = &mut shards {
            written.shards = shards.reopen(&path, begun.entries())?;
            written.files += written.shards;
            written.bytes += written.shards * END.len() as u64;
        }
        let root = File::open(&path).map_err(|e| failed(&path, "cannot be opened", &e))?;
        let flusher = Flusher::start(&root);
        let Begun { claim, journal, .. } = begun;
        let folders = HashSet::new();
        Ok(Self { shards, root, folders, flusher, written, journal, claim, _writer_thread: PhantomData })
    }

    /// Takes the files of the chips of a place, each with its name in the folder or in the shard. Returns the shard they went into, if
    /// there are shards; `subset` begins its name. `valid` is the share of pixels with data, which a resumed run wants to know.
    ///
    /// # Errors
    /// [`Error::Output`] when they cannot be written.
    pub fn chip(
        &mut self,
        (number, valid): (usize, f64),
        subset: &str,
        files: &[(String, Vec<u8>)],
    ) -> Result<Option<String>> {
        let (entry, shard) = if self.shards.is_some() {
            let (name, end, bytes, hash) = self.add_to_shard(subset, files)?;
            (Entry::in_shard(number, valid, (name.clone(), end), bytes, hash), Some(name))
        } else {
            files.iter().try_for_each(|(name, bytes)| self.file(name, bytes))?;
            if self.journal.is_none() {
                return Ok(None);
            }
            (Entry::files(number, valid, files), None)
        };
        self.note(&entry)?;
        Ok(shard)
    }

    /// Notes a place of which there are no chips.
    ///
    /// # Errors
    /// [`Error::Output`] when that fails.
    pub fn skip(&mut self, number: usize, valid: f64) -> Result<()> {
        self.note(&Entry::skipped(number, valid))
    }

    /// Notes a place in the journal, if there is one. From then on a run that fails leaves its work to be resumed.
    fn note(&mut self, entry: &Entry) -> Result<()> {
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal.append(entry).map_err(|e| failed(&self.claim.journal(), "cannot be written", &e))?;
        self.claim.keep_unfinished(true);
        Ok(())
    }

    /// Creates a file of the folder, and the folders it lies in.
    ///
    /// # Errors
    /// [`Error::Output`] when that fails, also when there is such a file already.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.claim.partial().join(name);
        if let Some((folder, _)) = name.rsplit_once('/')
            && !self.folders.contains(folder)
        {
            let whole = self.claim.partial().join(folder);
            fs::create_dir_all(&whole).map_err(|e| failed(&whole, "cannot be created", &e))?;
            self.folders.insert(folder.to_owned());
        }
        // A run that is resumed may find what the one before was writing.
        let (again, new) = (self.journal.is_some(), self.journal.is_none());
        let write = || {
            let mut options = OpenOptions::new();
            options.write(true).create(again).truncate(again).create_new(new).open(&path)?.write_all(bytes)
        };
        write().map_err(|e| failed(&path, "cannot be written", &e))?;
        self.count(bytes.len() as u64);
        Ok(())
    }

    /// Creates a file of the folder from what `write` puts into it.
    ///
    /// # Errors
    /// [`Error::Output`] when that fails.
    pub fn text(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<()> {
        let path = self.claim.partial().join(name);
        let made = || {
            let (again, new) = (self.journal.is_some(), self.journal.is_none());
            let mut options = OpenOptions::new();
            let file = options.write(true).create(again).truncate(again).create_new(new).open(&path)?;
            let mut out = BufWriter::with_capacity(BUFFER, file);
            write(&mut out)?;
            out.flush()?;
            out.get_ref().metadata()
        };
        let bytes = made().map_err(|e| failed(&path, "cannot be written", &e))?.len();
        self.count(bytes);
        Ok(())
    }

    fn count(&mut self, bytes: u64) {
        self.written.files += 1;
        self.add(bytes);
    }

    fn add(&mut self, bytes: u64) {
        self.written.bytes += bytes;
        if let Some(flusher) = &mut self.flusher {
            flusher.add(bytes);
        }
    }

    /// Adds a chip to the shard of its subset: the shard's name, where the chip ends, its bytes and their hash.
    fn add_to_shard(&mut self, subset: &str, files: &[(String, Vec<u8>)]) -> Result<(String, u64, u64, u64)> {
        let partial = self.claim.partial().to_owned();
        let noted = self.journal.is_some();
        let Some(shards) = &mut self.shards else {
            return Err(Error::Internal("a shard of a folder without shards".to_owned()));
        };
        let members = |(_, bytes): &(String, Vec<u8>)| (BLOCK + bytes.len().next_multiple_of(BLOCK)) as u64;
        let own: u64 = files.iter().map(members).sum();
        let limits = shards.limits;
        let full = |s: &Shard| s.chips >= limits.chips || s.bytes + own + END.len() as u64 > limits.bytes;
        if shards.open.get(subset).is_some_and(full)
            && let Some(shard) = shards.open.remove(subset)
        {
            shard.finish(&partial)?;
        }
        let mut begun = 0;
        if !shards.open.contains_key(subset) {
            let number = shards.next.entry(subset.to_owned()).or_default();
            let shard = Shard::create(&partial, shard_name(subset, *number), noted)?;
            *number += 1;
            begun = 1;
            shards.open.insert(subset.to_owned(), shard);
        }
        let Some(shard) = shards.open.get_mut(subset) else {
            return Err(Error::Internal(format!("no shard of '{subset}' is open")));
        };
        shard.hash.reset();
        let path = partial.join(&shard.name);
        let write = |shard: &mut Shard| {
            files.iter().try_for_each(|(name, bytes)| shard.member(name, bytes))?;
            // What is noted must be there.
            if noted { shard.file.flush() } else { Ok(()) }
        };
        write(shard).map_err(|e| failed(&path, "cannot be written", &e))?;
        shard.chips += 1;
        let told = (shard.name.clone(), shard.bytes, own, shard.hash.digest());
        self.written.shards += begun;
        self.written.files += begun;
        self.add(own + begun * END.len() as u64);
        Ok(told)
    }

    /// Where chips are written until all is done.
    pub fn partial(&self) -> &Path {
        self.claim.partial()
    }

    /// Writes what describes the folder, brings all to the disk, and gives the folder its name.
    ///
    /// # Errors
    /// [`Error::Output`] when that fails; nothing then stands under the final name that did not stand there before.
    pub fn finish(mut self, description: &str) -> Result<WrittenChips> {
        let partial = self.claim.partial().to_owned();
        if let Some(shards) = self.shards.take() {
            shards.open.into_values().try_for_each(|shard| shard.finish(&partial))?;
        }
        let path = partial.join(DESCRIPTION);
        fs::write(&path, description).map_err(|e| failed(&path, "cannot be written", &e))?;
        self.count(description.len() as u64);
        let flushed = self.flusher.take().map_or(Ok(()), Flusher::finish);
        flushed
            .and_then(|()| sync_all_below(&self.root))
            .map_err(|e| failed(&partial, "cannot be synced", &e))?;
        self.claim.commit()?;
        Ok(self.written)
    }
}

/// The name of a shard.
fn shard_name(subset: &str, number: u64) -> String {
    format!("{subset}-{number:06}.tar")
}

impl Shards {
    /// Goes on with the shards of an earlier run: the last one of each subset is cut off after its last chip. Returns how many there
    /// are.
    fn reopen(&mut self, folder: &Path, entries: &[Entry]) -> Result<u64> {
        let mut chips: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (name, end) in entries.iter().filter_map(|e| e.shard.as_ref()) {
            let (count, last) = chips.entry(name).or_default();
            (*count, *last) = (*count + 1, *end);
        }
        for (name, (count, end)) in &chips {
            let parts = name.strip_suffix(".tar").and_then(|n| n.rsplit_once('-'));
            let parts = parts.and_then(|(subset, number)| Some((subset, number.parse::<u64>().ok()?)));
            let (subset, number) = parts.ok_or_else(|| Error::Internal(format!("a shard named {name}")))?;
            // Names ascend, so the last one of a subset comes last.
            self.next.insert(subset.to_owned(), number + 1);
            let shard = Shard::reopen(folder, (*name).to_owned(), *count, *end)?;
            if let Some(full) = self.open.insert(subset.to_owned(), shard) {
                full.finish(folder)?;
            }
        }
        Ok(chips.len() as u64)
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard").field("name", &self.name).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Shard {
    fn create(folder: &Path, name: String, again: bool) -> Result<Self> {
        let path = folder.join(&name);
        let mut options = OpenOptions::new();
        let created = options.write(true).create(again).truncate(again).create_new(!again).open(&path);
        let file = created.map_err(|e| failed(&path, "cannot be created", &e))?;
        Ok(Self::of(name, file, 0, 0))
    }

    fn reopen(folder: &Path, name: String, chips: u64, bytes: u64) -> Result<Self> {
        let path = folder.join(&name);
        let open = || -> std::io::Result<File> {
            let mut file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        };
        let file = open().map_err(|e| failed(&path, "cannot be opened", &e))?;
        Ok(Self::of(name, file, chips, bytes))
    }

    fn of(name: String, file: File, chips: u64, bytes: u64) -> Self {
        Self { name, file: BufWriter::with_capacity(BUFFER, file), chips, bytes, hash: Xxh3::new() }
    }

    fn member(&mut self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(name)?;
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        for part in [&header.as_bytes()[..], bytes, &END[..padding]] {
            self.file.write_all(part)?;
            self.hash.update(part);
        }
        self.bytes += (BLOCK + bytes.len() + padding) as u64;
        Ok(())
    }

    fn finish(mut self, folder: &Path) -> Result<()> {
        let path = folder.join(&self.name);
        let ended = self.file.write_all(&END).and_then(|()| self.file.flush());
        ended.map_err(|e| failed(&path, "cannot be written", &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Identity;
    use crate::target::Target;

    const DESCRIBED: &str = r#"{"extensions": [".tif", ".tar", ".json"]}"#;

    fn chip(name: &str, bytes: usize) -> Vec<(String, Vec<u8>)> {
        vec![(format!("{name}.tif"), vec![7; bytes]), (format!("{name}.json"), b"{}".to_vec())]
    }

    #[test]
    fn files_stand_under_the_final_name_only_when_all_is_done() {
        let dir = tempfile::tempdir().expect("tempdir");
        let target = Target::new(dir.path().join("set"));
        let begun = Begun::new(&target).expect("free");
        let mut sink = ChipSink::create(begun, None, DESCRIBED).expect("created");
        sink.chip((0, 1.0), "chips", &chip("train/a", 10)).expect("written");
        assert!(sink.file("train/a.tif", b"").is_err(), "written twice");
        assert!(!target.path.exists() && sink.partial().join("train/a.tif").exists());
        let written = sink.finish(DESCRIBED).expect("finished");
        assert_eq!((written.files, written.shards), (3, 0));
        assert_eq!(fs::read(target.path.join("train/a.tif")).expect("a file"), vec![7; 10]);
        let other = Target::new(dir.path().join("other"));
        drop(ChipSink::create(Begun::new(&other).expect("free"), None, DESCRIBED).expect("created"));
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
    }

    #[test]
    fn shards_hold_whole_chips_up_to_their_limits() {
        let dir = tempfile::tempdir().expect("tempdir");
        for (limits, shards) in [
            (ShardLimits { chips: 2, bytes: u64::MAX }, &[2usize, 2, 1][..]),
            (ShardLimits { chips: 100, bytes: 6000 }, &[1, 1, 1, 1, 1]),
            (ShardLimits { chips: 100, bytes: 12_000 }, &[3, 2]),
        ] {
            let target = Target { overwrite: true, ..Target::new(dir.path().join("set")) };
            let begun = Begun::new(&target).expect("free");
            let mut sink = ChipSink::create(begun, Some(limits), DESCRIBED).expect("created");
            for k in 0..5 {
                sink.chip((k, 1.0), "train", &chip(&format!("c{k}"), 2000)).expect("written");
            }
            let written = sink.finish(DESCRIBED).expect("finished");
            assert_eq!(written.shards as usize, shards.len(), "{limits:?}");
            let mut bytes = DESCRIBED.len() as u64;
            for (number, chips) in shards.iter().enumerate() {
                let path = target.path.join(format!("train-{number:06}.tar"));
                bytes += path.metadata().expect("a shard").len();
                let mut archive = ::tar::Archive::new(File::open(&path).expect("a shard"));
                let names: Vec<_> = archive
                    .entries()
                    .expect("entries")
                    .map(|e| e.expect("sound").path().expect("a name").to_string_lossy().into_owned())
                    .collect();
                assert_eq!(names.len(), 2 * chips, "{limits:?}: {names:?}");
            }
            assert_eq!(written.bytes, bytes, "{limits:?}");
        }
    }

    /// All files of a folder, with their bytes.
    fn contents(folder: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
        let entries = fs::read_dir(folder).expect("readable").map(|e| e.expect("an entry"));
        let mut all: Vec<_> = entries.map(|e| (e.file_name(), fs::read(e.path()).expect("a file"))).collect();
        all.sort();
        all
    }

    #[test]
    fn a_run_that_stopped_anywhere_is_gone_on_with_to_the_same_bytes() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut identity = Identity::default();
        identity.add("the size", "7");
        let limits = Some(ShardLimits { chips: 3, bytes: u64::MAX });
        let subset = |k: usize| if k % 3 == 1 { "val" } else { "train" };
        for shards in [None, limits] {
            // All places from the one after those that are done.
            let fill = |target: &Target, until: usize| {
                let begun = Begun::resume(target, &identity).expect("free");
                let done = begun.entries().len();
                let mut sink = ChipSink::create(begun, shards, DESCRIBED).expect("opened");
                for k in done..until {
                    if k % 4 == 3 {
                        sink.skip(k, 0.25).expect("noted");
                    } else {
                        let files = chip(&format!("c{k}"), 100 * k + 1);
                        sink.chip((k, 1.0), subset(k), &files).expect("written");
                    }
                }
                (sink, done)
            };
            let whole = Target { overwrite: true, ..Target::new(dir.path().join("whole")) };
            let expected = fill(&whole, 14).0.finish(DESCRIBED).expect("finished");
            for stop in [1, 5, 9, 13] {
                let part = Target { overwrite: true, ..Target::new(dir.path().join("part")) };
                drop(fill(&part, stop));
                let (sink, done) = fill(&part, stop);
                assert_eq!(done, stop);
                drop(sink);
                let (sink, _) = fill(&part, 14);
                assert_eq!(sink.finish(DESCRIBED).expect("finished"), expected, "{shards:?} {stop}");
                assert!(contents(&part.path) == contents(&whole.path), "{shards:?} {stop}");
            }
        }
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 2);
    }

    #[test]
    fn the_work_of_another_job_is_not_gone_on_with_and_damage_is_made_anew() {
        let dir = tempfile::tempdir().expect("tempdir");
        let target = Target::new(dir.path().join("set"));
        let identity = |size: &str| {
            let mut identity = Identity::default();
            identity.add("the size", size);
            identity
        };
        let mut sink =
            ChipSink::create(Begun::resume(&target, &identity("7")).expect("free"), None, DESCRIBED)
                .expect("created");
        for k in 0..4 {
            sink.chip((k, 1.0), "", &chip(&format!("c{k}"), 50)).expect("written");
        }
        drop(sink);
        let error = Begun::resume(&target, &identity("8")).expect_err("another job").to_string();
        assert!(error.contains("the size was 7 and is 8"), "{error}");
        fs::write(dir.path().join("set.partial/c2.tif"), "other").expect("damaged");
        let begun = Begun::resume(&target, &identity("7")).expect("free");
        assert_eq!(begun.entries().len(), 2);
        drop(begun);
        drop(Begun::new(&target).expect("begins anew"));
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
    }
}
