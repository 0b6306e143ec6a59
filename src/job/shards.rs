//! Jobs in shards: the plan that every machine reads, and the folder in which they leave what they made.
//!
//! ```text
//! OUTPUT.shards/shard-00003/          appears by one rename, whole
//!     OUTPUT.partial-done, …          of tiles: what a run leaves that is resumed later
//!     OUTPUT.blocks                   of a raster: blocks as they will be in the file, and what is known of them
//!     done.json                       which plan, and the size and hash of each of these files
//! OUTPUT.shards/.shard-00003-…/       being made, under a name that nobody else has
//! ```
//!
//! A shard may be made twice at once: the first to rename its folder wins, and the other one's work is removed. No engine has to be
//! told more than a number, and none is asked how many there are: that stands in the plan.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};
use crate::job::parts::Made;
use crate::pipeline::side_by_side;
use crate::sink::Identity;

/// Changes with the layout of plans and shards.
const FORMAT: u32 = 1;

/// The name of the marker in a finished shard.
const MARKER: &str = "done.json";

/// Threads that remove files.
const REMOVERS: usize = 4;

/// A job that was divided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardPlan {
    /// The version of this file's format.
    pub tileloom_plan: u32,
    /// The folder that relative paths start from.
    pub directory: PathBuf,
    /// The command line that makes the whole output at once.
    pub command: Vec<String>,
    /// The output.
    pub output: PathBuf,
    /// All that decides its bytes: versions, options, and the inputs with their sizes and times.
    pub identity: Identity,
    /// The shards.
    pub shards: Vec<Shard>,
}

/// A part of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Its tasks, in the order of the job: the first, and the one behind the last.
    pub tasks: Range<usize>,
    /// Its share of the work: tiles, or pixels.
    pub cost: u64,
}

impl ShardPlan {
    /// A plan of this version.
    pub fn new(
        directory: PathBuf,
        command: Vec<String>,
        output: PathBuf,
        identity: Identity,
        shards: Vec<Shard>,
    ) -> Self {
        Self { tileloom_plan: FORMAT, directory, command, output, identity, shards }
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// [`Error::Input`] when it is none, or one of another version.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).map_err(|e| Error::input(path, format!("cannot be read: {e}")))?;
        let plan: Self = serde_json::from_slice(&text)
            .map_err(|e| Error::input(path, format!("is no plan of tileloom: {e}")))?;
        if plan.tileloom_plan == FORMAT {
            Ok(plan)
        } else {
            let reason = format!("is a plan of format {}, not {FORMAT}: plan anew", plan.tileloom_plan);
            Err(Error::input(path, reason))
        }
    }

    /// The plan as text; the same for the same job.
    ///
    /// # Errors
    /// [`Error::Internal`] when a path is no text.
    pub fn to_text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(text + "\n")
    }

    /// What tells this plan from others: shards of another one are not taken for its own.
    fn hash(&self) -> Result<String> {
        Ok(format!("{:032x}", xxhash_rust::xxh3::xxh3_128(self.to_text()?.as_bytes())))
    }

    /// The folder of the shards.
    pub fn work(&self) -> PathBuf {
        let mut name = self.output.as_os_str().to_owned();
        name.push(".shards");
        name.into()
    }

    /// The folder of a finished shard.
    fn folder(&self, shard: usize) -> PathBuf {
        self.work().join(format!("shard-{shard:05}"))
    }

    /// The output's name in the folder of a shard.
    fn output_in(&self, folder: &Path) -> PathBuf {
        folder.join(self.output.file_name().unwrap_or_default())
    }

    /// The outputs beside which finished shards have left their work, in order.
    pub fn outputs(&self) -> Vec<PathBuf> {
        (0..self.shards.len()).map(|shard| self.output_in(&self.folder(shard))).collect()
    }

    /// Whether a shard is finished: its marker is that of this plan, and its files have the sizes that it tells.
    ///
    /// # Errors
    /// [`Error::Output`] when another plan's work is in the way.
    pub fn is_done(&self, shard: usize) -> Result<bool> {
        Ok(self.marker(shard)?.is_some())
    }

    /// The marker of a finished shard.
    ///
    /// # Errors
    /// As [`ShardPlan::is_done`].
    pub fn marker(&self, shard: usize) -> Result<Option<Marker>> {
        let folder = self.folder(shard);
        let text = match fs::read(folder.join(MARKER)) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::output(&folder, format!("cannot be read: {e}"))),
        };
        let marker: Marker = serde_json::from_slice(&text).map_err(|e| {
            Error::output(&folder, format!("has a damaged {MARKER} ({e}): remove the folder"))
        })?;
        if marker.plan != self.hash()? {
            let reason = "belongs to another plan: remove the folder, or merge with the plan it was made by";
            return Err(Error::output(&folder, reason));
        }
        let same = |(name, file): (&String, &FileState)| {
            fs::metadata(folder.join(name)).is_ok_and(|found| found.len() == file.bytes)
        };
        if marker.files.iter().all(same) {
            Ok(Some(marker))
        } else {
            Err(Error::output(
                &folder,
                "has lost some of its bytes: remove the folder and run the shard again",
            ))
        }
    }

    /// Begins a shard in a folder of its own, beside the others or in `tmp_dir`.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be made.
    pub fn begin(&self, shard: usize, tmp_dir: Option<&Path>) -> Result<Attempt<'_>> {
        let work = self.work();
        fs::create_dir_all(&work).map_err(|e| Error::output(&work, format!("cannot be created: {e}")))?;
        let folder = fresh(tmp_dir.unwrap_or(&work), shard)?;
        Ok(Attempt { plan: self, shard, folder })
    }

    /// Removes the folder of the shards. To give back the space of large files takes a system long, so several threads do it.
    ///
    /// # Errors
    /// [`Error::Output`] when that fails.
    pub fn clear(&self) -> Result<()> {
        let work = self.work();
        let below = |folder: &Path| {
            let entries = fs::read_dir(folder).into_iter().flatten();
            entries.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>()
        };
        let files: Vec<PathBuf> = below(&work).iter().flat_map(|folder| below(folder)).collect();
        let remove = |(): &mut (), k: u64| {
            // What is left is told of below.
            let _ = files.get(k as usize).map(fs::remove_file);
            Ok::<(), Error>(())
        };
        let _ = side_by_side(REMOVERS, files.len() as u64, || (), remove);
        fs::remove_dir_all(&work).map_err(|e| Error::output(&work, format!("cannot be removed: {e}")))
    }
}

/// A folder with a name that nobody else has.
fn fresh(parent: &Path, shard: usize) -> Result<PathBuf> {
    use std::hash::{BuildHasher, Hasher};
    for _ in 0..100 {
        // Seeded anew in every process, by the system.
        let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
        let path = parent.join(format!(".shard-{shard:05}-{}-{random:016x}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(Error::output(&path, format!("cannot be created: {e}"))),
        }
    }
    Err(Error::output(parent, "gives no folder a name of its own"))
}

/// What is noted of a finished shard.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Marker {
    /// The hash of the plan.
    plan: String,
    /// Its files, by their names.
    files: BTreeMap<String, FileState>,
    /// Tiles or blocks in it.
    pub made: u64,
    /// Windows of the inputs that could not be read.
    pub skipped: u64,
    /// Wall time it took.
    pub seconds: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileState {
    bytes: u64,
    xxh3: String,
}

impl FileState {
    fn of(bytes: u64, hash: u128) -> Self {
        Self { bytes, xxh3: format!("{hash:032x}") }
    }
}

/// A shard that is being made. Dropping it removes what there is of it.
#[derive(Debug)]
pub struct Attempt<'a> {
    plan: &'a ShardPlan,
    shard: usize,
    folder: PathBuf,
}

impl Attempt<'_> {
    /// The name under which the work is to be left.
    pub fn output(&self) -> PathBuf {
        self.plan.output_in(&self.folder)
    }

    /// Marks the shard as finished; `false` when another was first. Files that were hashed while they were written are not read
    /// again.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses.
    pub fn finish(self, made: &Made, seconds: f64) -> Result<bool> {
        let failed = |e: io::Error| Error::output(&self.folder, format!("cannot be finished: {e}"));
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let known = made.files.iter().find(|(path, _)| *path == entry.path());
            let known = known.map(|(_, sealed)| FileState::of(sealed.bytes, sealed.hash));
            let own = known.map_or_else(|| state(&entry.path()), Ok).map_err(failed)?;
            files.insert(name, own);
        }
        let (made, skipped) = (made.made, made.skipped.windows);
        let marker = Marker { plan: self.plan.hash()?, files, made, skipped, seconds };
        let text = serde_json::to_vec_pretty(&marker).map_err(|e| Error::Internal(e.to_string()))?;
        let target = self.plan.folder(self.shard);
        let beside = self.folder.parent() == target.parent();
        let folder = if beside { self.folder.clone() } else { self.moved(&marker)? };
        let finish = || {
            let path = folder.join(MARKER);
            fs::write(&path, &text)?;
            File::open(&path)?.sync_all()?;
            File::open(&folder)?.sync_all()?;
            fs::rename(&folder, &target)
        };
        let finished = finish();
        if finished.is_err() {
            let _ = fs::remove_dir_all(&folder);
        }
        match finished {
            Ok(()) => {
                if let Some(work) = target.parent() {
                    let _ = File::open(work).and_then(|work| work.sync_all());
                }
                Ok(true)
            }
            Err(e) if self.plan.is_done(self.shard)? => {
                let _ = e;
                Ok(false)
            }
            Err(e) => Err(failed(e)),
        }
    }

    /// Copies the files to a folder beside the other shards, and checks them there.
    fn moved(&self, marker: &Marker) -> Result<PathBuf> {
        let folder = fresh(&self.plan.work(), self.shard)?;
        let copy = |(name, wanted): (&String, &FileState)| {
            let (from, to) = (self.folder.join(name), folder.join(name));
            fs::copy(from, &to)?;
            File::open(&to)?.sync_all()?;
            if state(&to)? == *wanted { Ok(()) } else { Err(io::Error::other("it came back otherwise")) }
        };
        match marker.files.iter().try_for_each(copy) {
            Ok(()) => Ok(folder),
            Err(e) => {
                let _ = fs::remove_dir_all(&folder);
                Err(Error::output(&folder, format!("cannot be written: {e}")))
            }
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Size and hash of a file.
fn state(path: &Path) -> io::Result<FileState> {
    let mut file = File::open(path)?;
    let (mut hash, mut bytes, mut buffer) = (Xxh3::new(), 0, vec![0; 1 << 20]);
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(FileState::of(bytes, hash.digest128()));
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
    }
}

/// Numbers in the form that `sbatch --array=` takes: `3,7-9`.
pub fn array(numbers: &[usize]) -> String {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(last) if last.end == *number => last.end += 1,
            _ => ranges.push(*number..number + 1),
        }
    }
    let words = ranges.iter().map(|r| match r.len() {
        1 => r.start.to_string(),
        _ => format!("{}-{}", r.start, r.end - 1),
    });
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::losses::Skipped;

    fn plan(dir: &Path) -> ShardPlan {
        let shard = |k: usize| Shard { tasks: k * 4..k * 4 + 4, cost: 9 };
        let command = vec!["tile".to_owned(), "a.tif".to_owned(), "set".to_owned()];
        ShardPlan::new(
            dir.to_owned(),
            command,
            dir.join("set"),
            Identity::default(),
            (0..3).map(shard).collect(),
        )
    }

    fn made(plan: &ShardPlan, shard: usize, tmp: Option<&Path>) -> bool {
        let attempt = plan.begin(shard, tmp).expect("begun");
        fs::write(attempt.output(), "work").expect("written");
        let made = Made { made: 4, skipped: Skipped::default(), files: Vec::new() };
        attempt.finish(&made, 1.0).expect("finished")
    }

    #[test]
    fn numbers_are_told_as_arrays_are_asked_for() {
        assert_eq!(array(&[]), "");
        assert_eq!(array(&[3]), "3");
        assert_eq!(array(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
    }

    #[test]
    fn a_shard_appears_whole_once_however_often_it_is_made() {
        let dir = tempfile::tempdir().expect("tempdir");
        let elsewhere = tempfile::tempdir().expect("tempdir");
        let plan = plan(dir.path());
        assert!(!plan.is_done(1).expect("no work"));
        assert!(made(&plan, 1, None));
        assert!(plan.is_done(1).expect("work"));
        assert!(!made(&plan, 1, None) && !made(&plan, 1, Some(elsewhere.path())));
        assert!(made(&plan, 2, Some(elsewhere.path())));
        assert_eq!(fs::read_to_string(&plan.outputs()[2]).expect("copied"), "work");
        drop(plan.begin(0, None).expect("begun"));
        assert_eq!(fs::read_dir(plan.work()).expect("folder").count(), 2);
        assert_eq!(fs::read_dir(elsewhere.path()).expect("folder").count(), 0);
        plan.clear().expect("removed");
    }

    #[test]
    fn work_of_another_plan_and_work_that_was_cut_short_are_not_taken() {
        let dir = tempfile::tempdir().expect("tempdir");
        let one = plan(dir.path());
        assert!(made(&one, 0, None));
        let mut other = one.clone();
        other.shards[0].cost += 1;
        assert!(other.is_done(0).expect_err("another's").to_string().contains("another plan"));
        fs::write(&one.outputs()[0], "wo").expect("cut");
        assert!(one.is_done(0).expect_err("cut").to_string().contains("lost"));
    }

    #[test]
    fn plans_come_back_as_they_were() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("plan.json");
        let one = plan(dir.path());
        fs::write(&path, one.to_text().expect("text")).expect("written");
        assert_eq!(
            ShardPlan::read(&path).expect("a plan").to_text().expect("text"),
            one.to_text().expect("text")
        );
        fs::write(&path, "{}").expect("written");
        assert_eq!(ShardPlan::read(&path).expect_err("none").exit_code(), 3);
    }
}
