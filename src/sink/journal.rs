//! What a run that can be resumed has finished: an append-only file beside the unfinished container.
//!
//! The bytes of finished tiles are in the [`Depot`](super::Depot) already, whatever ends the process. What is lost with it is
//! the knowledge which tasks are complete, where their tiles lie, and what later tasks need of them. So with each finished task
//! the writer thread appends one record that holds just that, and a later run of the same job reads them.
//!
//! ```text
//! file:    MAGIC, WORK_FORMAT u32, length u32, XXH3-128 | the job's identity as JSON | records
//! record:  length u64, XXH3-128 | kind u8, task, number of tiles u32, tiles | memo, of which the job alone knows
//! address: z u8, x u32, y u32          tile: address, length u32, place u64, XXH3-128 of its bytes
//! ```
//!
//! All numbers are little-endian. The first record that is cut off or does not match its hash ends the journal: it was
//! being written when the process ended, or never reached the disk. A record that names tiles which are not there
//! is taken back by a later record of another [kind](Kind).

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::block::take;
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::sink::depot::{Deposited, Place};
use crate::sink::target::{Claim, failed};

/// Begins every journal.
const MAGIC: &[u8; 8] = b"TLjournl";

/// Changes with the layout of journals, segments and memos, and with anything else that makes the unfinished work of one
/// version useless to another.
const WORK_FORMAT: u32 = 1;

/// Bytes of the file before the identity.
const HEAD: usize = 32;

/// Bytes of a record before what its hash is about.
const RECORD_HEAD: usize = 24;

/// Bytes of a task's record before its tiles.
const TASK_HEAD: usize = 14;

/// Bytes of a tile in a record.
const TILE: usize = 37;

/// Names and values of all that decides the bytes of a job's tiles: what two jobs must have in common for one to go on with the
/// work of the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    given: Vec<(String, String)>,
    derived: Vec<(String, String)>,
}

impl Identity {
    /// Adds something that was given, with its value.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.given.push((name.into(), value.into()));
    }

    /// Adds something that follows from what was given and from the rest of the world. That it differs is said only when
    /// nothing else does.
    pub fn add_derived(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.derived.push((name.into(), value.into()));
    }

    /// What another has otherwise, in words; empty when they are equal.
    pub fn differences(&self, before: &Self) -> Vec<String> {
        let words = differences(&before.given, &self.given);
        if words.is_empty() { differences(&before.derived, &self.derived) } else { words }
    }
}

/// What is not the same in two lists of names and values, in words.
fn differences(before: &[(String, String)], now: &[(String, String)]) -> Vec<String> {
    let map = |list: &[(String, String)]| -> HashMap<String, String> { list.iter().cloned().collect() };
    let (old, new) = (map(before), map(now));
    let mut words: Vec<String> = Vec::new();
    for (name, value) in before {
        match new.get(name) {
            Some(now) if now == value => {}
            Some(now) => words.push(format!("{name} was {value} and is {now}")),
            None => words.push(format!("{name}, which was {value}, is missing")),
        }
    }
    for (name, value) in now.iter().filter(|(name, _)| !old.contains_key(name)) {
        words.push(format!("{name} was missing and is {value}"));
    }
    if words.is_empty() && before != now {
        words.push("the order of what was given is another".to_owned());
    }
    words
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A finished task.
    Done = 1,
    /// A task that is to be done again, whatever earlier records say.
    Void = 2,
}

/// What is noted of a finished task. Any thread may make one.
#[derive(Debug, Clone)]
pub struct Record {
    task: TileCoord,
    bytes: Vec<u8>,
}

impl Record {
    /// A task with its tiles, whose bytes are in the depot and [flushed](super::Depot::flush), and what the job wants to know
    /// of it later.
    pub fn new(task: TileCoord, tiles: &[Deposited], memo: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(RECORD_HEAD + TASK_HEAD + TILE * tiles.len() + memo.len());
        bytes.resize(RECORD_HEAD, 0);
        bytes.push(Kind::Done as u8);
        put_address(&mut bytes, task);
        bytes.extend((tiles.len() as u32).to_le_bytes());
        for tile in tiles {
            put_address(&mut bytes, tile.coord);
            bytes.extend(tile.len.to_le_bytes());
            bytes.extend(tile.place.to_bits().to_le_bytes());
            bytes.extend(tile.hash.to_le_bytes());
        }
        bytes.extend_from_slice(memo);
        Self::sealed(task, bytes)
    }

    fn void(task: TileCoord) -> Self {
        let mut bytes = vec![0; RECORD_HEAD];
        bytes.push(Kind::Void as u8);
        put_address(&mut bytes, task);
        bytes.extend(0u32.to_le_bytes());
        Self::sealed(task, bytes)
    }

    /// Writes length and hash before the rest.
    fn sealed(task: TileCoord, mut bytes: Vec<u8>) -> Self {
        let (head, body) = bytes.split_at_mut(RECORD_HEAD);
        head[..8].copy_from_slice(&(body.len() as u64).to_le_bytes());
        head[8..].copy_from_slice(&xxh3_128(body).to_le_bytes());
        Self { task, bytes }
    }
}

/// Appends an address.
fn put_address(bytes: &mut Vec<u8>, tile: TileCoord) {
    bytes.push(tile.z);
    bytes.extend(tile.x.to_le_bytes());
    bytes.extend(tile.y.to_le_bytes());
}

/// Takes an address off the front.
fn take_address(bytes: &mut &[u8]) -> Option<TileCoord> {
    let [z] = take(bytes)?;
    Some(TileCoord::new(z, u32::from_le_bytes(take(bytes)?), u32::from_le_bytes(take(bytes)?)))
}

/// Takes a tile off the front.
fn take_tile(bytes: &mut &[u8]) -> Option<Deposited> {
    Some(Deposited {
        coord: take_address(bytes)?,
        len: u32::from_le_bytes(take(bytes)?),
        place: Place::from_bits(u64::from_le_bytes(take(bytes)?)),
        hash: u128::from_le_bytes(take(bytes)?),
    })
}

/// A record of the journal that counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) task: TileCoord,
    /// Where its tiles begin.
    at: u64,
    tiles: usize,
    /// Bytes of its memo, which follows.
    memo: usize,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    claim: Arc<Claim>,
    path: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

impl Journal {
    /// Opens the journal of unfinished work. `None` when there is none, or none that got beyond its beginning.
    ///
    /// # Errors
    /// [`Error::Output`] when it is another job's or another version's, and when it cannot be read. Nothing was changed then.
    pub(super) fn open(claim: &Arc<Claim>, identity: &Identity) -> Result<Option<Self>> {
        let path = claim.journal();
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(&path, "cannot be opened", &e)),
        };
        let unreadable = |e: io::Error| failed(&path, "cannot be read", &e);
        let size = file.metadata().map_err(unreadable)?.len();
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let Some(text) = read_head(&mut reader, size).map_err(unreadable)? else { return Ok(None) };
        let before = match text {
            Head::Version(version) => {
                let reason = format!(
                    "was begun by another version of tileloom (its work has format {version}, not {WORK_FORMAT})"
                );
                return Err(refused(claim, &reason));
            }
            Head::Identity(text) => serde_json::from_slice::<Identity>(&text),
        };
        let before = before.map_err(|e| failed(&path, "cannot be read", &e))?;
        let differences = identity.differences(&before);
        if !differences.is_empty() {
            let shown = differences.iter().take(4).map(String::as_str).collect::<Vec<_>>().join("; ");
            let more = match differences.len().saturating_sub(4) {
                0 => String::new(),
                n => format!("; and {n} more"),
            };
            return Err(refused(claim, &format!("belongs to another job: {shown}{more}")));
        }
        let (entries, end) = read_records(&mut reader, size).map_err(unreadable)?;
        drop(reader);
        let cut = file.set_len(end).and_then(|()| (&file).seek(SeekFrom::End(0)));
        cut.map_err(|e| failed(&path, "cannot be written", &e))?;
        Ok(Some(Self { claim: Arc::clone(claim), path, file, entries }))
    }

    /// Begins a journal where none stands.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be written.
    pub(super) fn create(claim: &Arc<Claim>, identity: &Identity) -> Result<Self> {
        let path = claim.journal();
        let text = serde_json::to_vec(identity).map_err(|e| Error::Internal(e.to_string()))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend(WORK_FORMAT.to_le_bytes());
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(xxh3_128(&text).to_le_bytes());
        bytes.extend(text);
        let created = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = created.and_then(|mut file| file.write_all(&bytes).map(|()| file));
        let file = file.map_err(|e| failed(&path, "cannot be written", &e))?;
        Ok(Self { claim: Arc::clone(claim), path, file, entries: Vec::new() })
    }

    /// The records that count, in the order they were written.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Reads the tiles of a record. Any thread may.
    ///
    /// # Errors
    /// [`Error::Output`] when they cannot be read.
    pub(super) fn tiles(&self, entry: Entry) -> Result<Vec<Deposited>> {
        let bytes = self.read(entry.at, entry.tiles * TILE)?;
        let mut rest = &bytes[..];
        Ok((0..entry.tiles).map_while(|_| take_tile(&mut rest)).collect())
    }

    /// Reads the memo of a record. Any thread may.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be read.
    pub(super) fn memo(&self, entry: Entry) -> Result<Vec<u8>> {
        self.read(entry.at + (entry.tiles * TILE) as u64, entry.memo)
    }

    fn read(&self, at: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        let read = self.file.read_exact_at(&mut bytes, at);
        read.map_err(|e| failed(&self.path, "cannot be read", &e))?;
        Ok(bytes)
    }

    /// Appends a record. From then on there is work to go on with: it is kept if the run fails.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses.
    pub(super) fn append(&mut self, record: &Record) -> Result<()> {
        let written = self.file.write_all(&record.bytes);
        written.map_err(|e| failed(&self.path, &format!("task {} cannot be noted", record.task), &e))?;
        self.claim.keep_unfinished(true);
        Ok(())
    }

    /// Waits until all records are on the disk.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|e| failed(&self.path, "cannot be synced", &e))
    }

    /// Takes records back whose tiles are not there.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses.
    pub(super) fn take_back(&mut self, tasks: &[TileCoord]) -> Result<()> {
        for task in tasks {
            self.append(&Record::void(*task))?;
        }
        let tasks: HashSet<&TileCoord> = tasks.iter().collect();
        self.entries.retain(|entry| !tasks.contains(&entry.task));
        Ok(())
    }

    /// Nothing here is worth going on with.
    pub(super) fn discard(&self) {
        self.claim.keep_unfinished(false);
    }
}

fn refused(claim: &Claim, why: &str) -> Error {
    let reason = format!(
        "cannot be resumed: the unfinished work beside it {why}. Resume it as it was begun, or run without --resume to begin \
         anew, which removes it"
    );
    Error::output(claim.target(), reason)
}

/// What a journal begins with.
enum Head {
    /// Another version of the format.
    Version(u32),
    /// The job, as JSON.
    Identity(Vec<u8>),
}

/// Reads the beginning of a journal of `size` bytes; `None` when it is no journal or its beginning is damaged.
fn read_head(reader: &mut impl Read, size: u64) -> io::Result<Option<Head>> {
    if size < HEAD as u64 {
        return Ok(None);
    }
    let mut head = [0; HEAD];
    reader.read_exact(&mut head)?;
    let mut rest = &head[..];
    let magic: Option<[u8; 8]> = take(&mut rest);
    let version = take(&mut rest).map_or(0, u32::from_le_bytes);
    let len = take(&mut rest).map_or(0, u32::from_le_bytes);
    let hash = take(&mut rest).map_or(0, u128::from_le_bytes);
    if magic.as_ref() != Some(MAGIC) {
        return Ok(None);
    }
    if version != WORK_FORMAT {
        return Ok(Some(Head::Version(version)));
    }
    if HEAD as u64 + u64::from(len) > size {
        return Ok(None);
    }
    let mut text = vec![0; len as usize];
    reader.read_exact(&mut text)?;
    Ok((xxh3_128(&text) == hash).then_some(Head::Identity(text)))
}

/// Reads the records that follow, up to the first that is not whole: those that count, and where the last whole one ends.
fn read_records(reader: &mut (impl Read + Seek), size: u64) -> io::Result<(Vec<Entry>, u64)> {
    let mut end = reader.stream_position()?;
    let mut latest: HashMap<TileCoord, Entry> = HashMap::new();
    let mut body = Vec::new();
    while size - end >= (RECORD_HEAD + TASK_HEAD) as u64 {
        let mut head = [0; RECORD_HEAD];
        reader.read_exact(&mut head)?;
        let mut rest = &head[..];
        let len = take(&mut rest).map_or(0, u64::from_le_bytes);
        let hash = take(&mut rest).map_or(0, u128::from_le_bytes);
        let at = end + RECORD_HEAD as u64;
        if len < TASK_HEAD as u64 || len > size - at {
            break;
        }
        body.resize(len as usize, 0);
        reader.read_exact(&mut body)?;
        if xxh3_128(&body) != hash {
            break;
        }
        let mut rest = &body[1..];
        let Some((task, tiles)) = take_address(&mut rest).zip(take(&mut rest).map(u32::from_le_bytes)) else {
            break;
        };
        let tiles = tiles as usize;
        if body[0] == Kind::Void as u8 {
            latest.remove(&task);
        } else if let Some(memo) = rest.len().checked_sub(tiles * TILE) {
            latest.insert(task, Entry { task, at: at + TASK_HEAD as u64, tiles, memo });
        } else {
            break;
        }
        end = at + len;
    }
    let mut entries: Vec<Entry> = latest.into_values().collect();
    entries.sort_unstable_by_key(|entry| entry.at);
    Ok((entries, end))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::sink::{OutputKind, Target};

    fn identity(zoom: &str) -> Identity {
        let mut identity = Identity::default();
        identity.add("zoom", zoom);
        identity.add("input 1", "a.tif, 7 bytes");
        identity
    }

    fn claim(dir: &Path) -> Arc<Claim> {
        let target = Target::new(dir.join("set.pmtiles"));
        Arc::new(target.claim_unfinished(OutputKind::Pmtiles).expect("free"))
    }

    fn tile(z: u8, x: u32) -> Deposited {
        let place = Place::from_bits(u64::from(x) << 20);
        Deposited { coord: TileCoord::new(z, x, 3), len: 100 + x, hash: u128::from(x) << 90, place }
    }

    fn task(x: u32) -> TileCoord {
        TileCoord::new(5, x, 9)
    }

    /// A journal of three tasks, closed again, and where each record ends.
    fn three(dir: &Path) -> Vec<u64> {
        let mut journal = Journal::create(&claim(dir), &identity("5")).expect("created");
        let mut ends = vec![journal.file.metadata().expect("file").len()];
        for x in 0..3 {
            let tiles: Vec<Deposited> = (0..x).map(|k| tile(7, k)).collect();
            journal.append(&Record::new(task(x), &tiles, &[x as u8; 50])).expect("appended");
            ends.push(journal.file.metadata().expect("file").len());
        }
        ends
    }

    fn tasks(journal: &Journal) -> Vec<TileCoord> {
        journal.entries().iter().map(|entry| entry.task).collect()
    }

    fn open(dir: &Path) -> Result<Option<Journal>> {
        Journal::open(&claim(dir), &identity("5"))
    }

    fn path(dir: &Path) -> PathBuf {
        dir.join("set.pmtiles.partial-done")
    }

    #[test]
    fn what_was_noted_comes_back() {
        let dir = tempfile::tempdir().expect("tempdir");
        three(dir.path());
        let journal = open(dir.path()).expect("its own").expect("there");
        assert_eq!(tasks(&journal), [task(0), task(1), task(2)]);
        let tiles = journal.tiles(journal.entries()[2]).expect("read");
        assert_eq!(journal.memo(journal.entries()[2]).expect("read"), [2; 50]);
        for (k, found) in tiles.iter().enumerate() {
            let tile = tile(7, k as u32);
            assert_eq!((found.coord, found.len, found.hash), (tile.coord, tile.len, tile.hash));
            assert_eq!(found.place, tile.place);
        }
        assert_eq!(tiles.len(), 2);
    }

    #[test]
    fn a_torn_tail_is_cut_off_wherever_it_is_torn() {
        let dir = tempfile::tempdir().expect("tempdir");
        let ends = three(dir.path());
        let whole = std::fs::read(path(dir.path())).expect("journal");
        for len in ends[0]..=ends[3] {
            std::fs::write(path(dir.path()), &whole[..len as usize]).expect("torn");
            let mut journal = open(dir.path()).expect("its own").expect("there");
            let complete = ends[1..].iter().filter(|end| **end <= len).count();
            assert_eq!(journal.entries().len(), complete, "{len} bytes");
            assert_eq!(journal.file.metadata().expect("file").len(), ends[complete]);
            journal.append(&Record::new(task(7), &[], &[])).expect("goes on");
            drop(journal);
            let journal = open(dir.path()).expect("its own").expect("there");
            assert_eq!(tasks(&journal).last(), Some(&task(7)));
            assert_eq!(journal.entries().len(), complete + 1);
        }
        for len in 0..ends[0] {
            std::fs::write(path(dir.path()), &whole[..len as usize]).expect("torn");
            assert!(open(dir.path()).expect("no other job's").is_none(), "{len} bytes of the head");
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_journal_there() {
        let dir = tempfile::tempdir().expect("tempdir");
        let ends = three(dir.path());
        let whole = std::fs::read(path(dir.path())).expect("journal");
        for at in ends[0]..ends[3] {
            let mut bytes = whole.clone();
            bytes[at as usize] ^= 4;
            std::fs::write(path(dir.path()), &bytes).expect("flipped");
            let journal = open(dir.path()).expect("its own").expect("there");
            let before = ends[1..].iter().filter(|end| **end <= at).count();
            assert_eq!(journal.entries().len(), before, "byte {at}");
        }
    }

    #[test]
    fn what_follows_from_a_difference_is_said_only_by_itself() {
        let with = |zoom: &str, plan: &str| {
            let mut identity = identity(zoom);
            identity.add_derived("the plan", plan);
            identity
        };
        assert_eq!(with("5", "b").differences(&with("4", "a")), ["zoom was 4 and is 5"]);
        assert_eq!(with("5", "b").differences(&with("5", "a")), ["the plan was a and is b"]);
        assert!(with("5", "b").differences(&with("5", "b")).is_empty());
    }

    #[test]
    fn zeros_behind_the_end_are_no_records() {
        let dir = tempfile::tempdir().expect("tempdir");
        let ends = three(dir.path());
        let mut bytes = std::fs::read(path(dir.path())).expect("journal");
        bytes.resize(bytes.len() + 4096, 0);
        std::fs::write(path(dir.path()), &bytes).expect("padded");
        let journal = open(dir.path()).expect("its own").expect("there");
        assert_eq!((journal.entries().len(), journal.file.metadata().expect("file").len()), (3, ends[3]));
    }

    #[test]
    fn another_jobs_work_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().expect("tempdir");
        three(dir.path());
        let before = std::fs::read(path(dir.path())).expect("journal");
        let mut other = identity("6");
        other.add("more", "yes");
        let error = Journal::open(&claim(dir.path()), &other).expect_err("another job").to_string();
        for part in ["zoom was 5 and is 6", "more was missing and is yes", "without --resume"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("a.tif"), "{error}");
        assert_eq!(std::fs::read(path(dir.path())).expect("journal"), before);
    }

    #[test]
    fn another_versions_work_is_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        three(dir.path());
        let mut bytes = std::fs::read(path(dir.path())).expect("journal");
        bytes[8] = 99;
        std::fs::write(path(dir.path()), &bytes).expect("changed");
        let error = open(dir.path()).expect_err("another version").to_string();
        assert!(error.contains("another version of tileloom") && error.contains("99"), "{error}");
    }

    #[test]
    fn records_can_be_taken_back_and_made_again() {
        let dir = tempfile::tempdir().expect("tempdir");
        three(dir.path());
        let mut journal = open(dir.path()).expect("its own").expect("there");
        journal.take_back(&[task(1)]).expect("taken back");
        assert_eq!(tasks(&journal), [task(0), task(2)]);
        drop(journal);
        let mut journal = open(dir.path()).expect("its own").expect("there");
        assert_eq!(tasks(&journal), [task(0), task(2)]);
        journal.append(&Record::new(task(1), &[], b"again")).expect("appended");
        drop(journal);
        let journal = open(dir.path()).expect("its own").expect("there");
        assert_eq!(tasks(&journal), [task(0), task(2), task(1)]);
    }

    #[test]
    fn a_journal_without_records_leaves_nothing_behind() {
        let dir = tempfile::tempdir().expect("tempdir");
        let target = Target::new(dir.path().join("set.pmtiles"));
        let claim = target.claim(OutputKind::Pmtiles).expect("free");
        drop(Journal::create(&Arc::new(claim), &identity("5")).expect("created"));
        assert_eq!(std::fs::read_dir(dir.path()).expect("readable").count(), 0);
    }
}
