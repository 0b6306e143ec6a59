//! What a run that can be resumed has finished: lines of text beside the unfinished folder.
//!
//! The first line is the identity of the job. Each further one tells of a place in the order of the plan: its number, its share of data,
//! the files or the part of a shard that hold its chips, and the hash of their bytes. So the places that are done are the first ones of the
//! plan, and where a run goes on follows from how many lines there are. A line that is torn, or whose chips are not there as it says, ends
//! the journal.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};
use crate::sink::Identity;
use crate::target::{Claim, Shape, Target, failed};

/// A place that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The number of the place.
    pub number: usize,
    /// Share of its pixels with data, as bits.
    valid: u64,
    /// Names of its files; none in shards, and of places with too little data.
    files: Vec<String>,
    /// The shard that holds its chips, and where they end there.
    pub shard: Option<(String, u64)>,
    /// Bytes of its files, or of its part of the shard.
    pub bytes: u64,
    /// XXH3 of these.
    hash: u64,
}

impl Entry {
    /// A place with too little data.
    pub(super) fn skipped(number: usize, valid: f64) -> Self {
        Self { number, valid: valid.to_bits(), files: Vec::new(), shard: None, bytes: 0, hash: 0 }
    }

    /// A place whose chips are files.
    pub(super) fn files(number: usize, valid: f64, files: &[(String, Vec<u8>)]) -> Self {
        let mut hash = Xxh3::new();
        for (_, bytes) in files {
            hash.update(bytes);
        }
        let bytes = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        let names = files.iter().map(|(name, _)| name.clone()).collect();
        Self { files: names, bytes, hash: hash.digest(), ..Self::skipped(number, valid) }
    }

    /// A place whose chips are in a shard, up to `end`.
    pub(super) fn in_shard(number: usize, valid: f64, shard: (String, u64), bytes: u64, hash: u64) -> Self {
        Self { shard: Some(shard), bytes, hash, ..Self::skipped(number, valid) }
    }

    /// Share of its pixels with data.
    pub fn valid(&self) -> f64 {
        f64::from_bits(self.valid)
    }

    /// Whether there are chips of it.
    pub fn has_chips(&self) -> bool {
        self.shard.is_some() || !self.files.is_empty()
    }

    /// How many files it has.
    pub(super) fn count(&self) -> u64 {
        self.files.len() as u64
    }

    /// Whether its chips are in the folder as they were written.
    fn is_there(&self, folder: &Path, bytes: &mut Vec<u8>) -> bool {
        let mut hash = Xxh3::new();
        let mut read = || -> std::io::Result<u64> {
            let mut count = 0;
            for name in &self.files {
                bytes.clear();
                count += File::open(folder.join(name))?.read_to_end(bytes)? as u64;
                hash.update(bytes);
            }
            if let Some((name, end)) = &self.shard {
                let mut file = File::open(folder.join(name))?;
                file.seek(SeekFrom::Start(end.saturating_sub(self.bytes)))?;
                bytes.clear();
                count += file.take(self.bytes).read_to_end(bytes)? as u64;
                hash.update(bytes);
            }
            Ok(count)
        };
        !self.has_chips() || (read().is_ok_and(|count| count == self.bytes) && hash.digest() == self.hash)
    }
}

/// The journal, open for more lines.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
}

impl Journal {
    /// Adds a place.
    pub(super) fn append(&mut self, entry: &Entry) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}

/// A folder of chips that is begun, or gone on with; it goes to the thread that writes.
#[derive(Debug)]
pub struct Begun {
    pub(super) claim: Claim,
    pub(super) journal: Option<Journal>,
    entries: Vec<Entry>,
}

impl Begun {
    /// Begins anew; what an interrupted run has left is removed.
    ///
    /// # Errors
    /// [`Error::Output`] when the target may not be written.
    pub fn new(target: &Target) -> Result<Self> {
        Ok(Self { claim: target.claim(Shape::Chips)?, journal: None, entries: Vec::new() })
    }

    /// Begins so that the run can be resumed, or goes on with what an interrupted run of the same job has left.
    ///
    /// # Errors
    /// [`Error::Output`] when the target may not be written, or what is left there is another job's.
    pub fn resume(target: &Target, identity: &Identity) -> Result<Self> {
        let claim = target.claim_unfinished(Shape::Chips)?;
        let path = claim.journal();
        let text = match fs::read(&path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(failed(&path, "cannot be read", &e)),
        };
        let mut lines = text.split_inclusive('\n');
        let before = lines.next().and_then(|line| serde_json::from_str::<Identity>(line).ok());
        let mut entries = Vec::new();
        let mut length = 0;
        if let Some(before) = before {
            let differences = identity.differences(&before);
            if !differences.is_empty() {
                let reason = format!(
                    "holds the unfinished work of another job ({}); drop --resume to begin anew",
                    differences.join("; ")
                );
                return Err(Error::output(claim.target(), reason));
            }
            length = text.split_inclusive('\n').next().map_or(0, str::len) as u64;
            let mut bytes = Vec::new();
            for line in lines {
                let entry = line.ends_with('\n').then(|| serde_json::from_str::<Entry>(line).ok()).flatten();
                let Some(entry) = entry.filter(|e| e.is_there(claim.partial(), &mut bytes)) else { break };
                length += line.len() as u64;
                entries.push(entry);
            }
        }
        if entries.is_empty() {
            claim.clear()?;
        }
        let open = || -> std::io::Result<File> {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            if entries.is_empty() {
                file.set_len(0)?;
                let mut line = serde_json::to_vec(identity)?;
                line.push(b'\n');
                (&file).write_all(&line)?;
            } else {
                file.set_len(length)?;
            }
            Ok(file)
        };
        let file = open().map_err(|e| failed(&path, "cannot be written", &e))?;
        claim.keep_unfinished(!entries.is_empty());
        Ok(Self { claim, journal: Some(Journal { file }), entries })
    }

    /// The places that an earlier run has finished, in the order of the plan.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
