//! Outputs that cannot be written: full disks, quotas, broken disks, folders that vanish, calls that fail.

use super::*;
use crate::small_disk::SmallDisk;

/// What the disk says: its number on Linux, and the words for it.
const REASONS: [(i32, &str); 5] = [
    (28, "No space left"),
    (5, "nput/output error"),
    (122, "quota exceeded"),
    (27, "File too large"),
    (30, "Read-only file system"),
];

/// Compiles what makes calls fail.
fn injector(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/faults/inject.c");
    let library = folder.join("inject.so");
    let mut compiler = Command::new("cc");
    let done =
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-o"]).arg(&library).arg(source).arg("-ldl");
    assert!(done.status().expect("a C compiler").success());
    library
}

/// How a run with a fault ended.
struct Ended {
    code: Option<i32>,
    err: String,
    left: Vec<String>,
    output: BTreeMap<PathBuf, Vec<u8>>,
    counts: BTreeMap<String, u64>,
}

/// A job under faults.
struct Trial<'a> {
    job: &'a Job,
    library: &'a Path,
    expected: BTreeMap<PathBuf, Vec<u8>>,
    faults: u64,
    survived: u64,
}

impl<'a> Trial<'a> {
    fn new(job: &'a Job, library: &'a Path) -> Self {
        Self { job, library, expected: job.undisturbed(), faults: 0, survived: 0 }
    }

    /// Runs in a fresh folder, over an old output if there is to be one.
    fn run(&self, settings: Settings, old: bool) -> (Ended, BTreeMap<PathBuf, Vec<u8>>) {
        let dir = scratch();
        let home = dir.path().join("home");
        fs::create_dir(&home).expect("made");
        let before = if old { self.job.put_old(&home) } else { BTreeMap::new() };
        let counts = dir.path().join("counts");
        let mut command = self.job.start(&home);
        if old {
            command.arg("--overwrite");
        }
        command.env("LD_PRELOAD", self.library).env("FAULT_UNDER", &home).env("FAULT_COUNTS", &counts);
        let output = command.envs(settings).output().expect("the program starts");
        let counts = fs::read_to_string(&counts).unwrap_or_default();
        let count =
            |line: &str| line.split_once(' ').map(|(k, n)| (k.to_owned(), n.parse().expect("a number")));
        let gone = dir.path().join("home.gone");
        let home = if gone.exists() { gone } else { home };
        let ended = Ended {
            code: output.status.code(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            left: names_in(&home),
            output: contents(&home.join(self.job.output)),
            counts: counts.lines().filter_map(count).collect(),
        };
        (ended, before)
    }

    /// Whether the fault failed the run, as it has to be told; a run that survives it has to make what it always makes.
    fn judge(&mut self, what: &str, ended: &Ended, before: &BTreeMap<PathBuf, Vec<u8>>) -> bool {
        let job = self.job;
        self.faults += 1;
        if ended.code == Some(0) {
            self.survived += 1;
            assert!(ended.output == self.expected, "{job}, {what}: another output, and no word of it");
            return false;
        }
        assert_eq!(ended.code, Some(4), "{job}, {what}: {}", ended.err);
        let lines: Vec<&str> = ended.err.lines().collect();
        assert!(lines.len() == 1 && lines[0].contains(job.output), "{job}, {what}: {}", ended.err);
        assert!(ended.output == *before, "{job}, {what}: something else stands there now");
        true
    }
}

#[test]
fn a_disk_that_takes_no_more_at_any_byte_is_told_and_leaves_what_there_was() {
    let dir = scratch();
    let library = injector(dir.path());
    let mut dice = Dice(17);
    for job in Job::all(dir.path()) {
        let mut trial = Trial::new(&job, &library);
        let (sound, _) = trial.run(Vec::new(), false);
        assert!(sound.code == Some(0) && sound.output == trial.expected, "{job}: {}", sound.err);
        let total = sound.counts["bytes"];
        assert!(total > 1000, "{job}: the faults see only {total} bytes");
        for k in 0..wanted(4) {
            let (number, words) = REASONS[dice.below(5) as usize];
            let at = dice.below(total);
            let settings =
                vec![("FAULT_BYTES", at.to_string().into()), ("FAULT_ERRNO", number.to_string().into())];
            let old = k % 2 == 0;
            let (ended, before) = trial.run(settings, old);
            let what = format!("{words} from byte {at} of {total}");
            assert!(trial.judge(&what, &ended, &before), "{job}, {what}: nobody noticed");
            // SQLite does not say why, GDAL not always, or asks.
            let silent = ["disk I/O error", "does not say why", "out of disk space?"]
                .iter()
                .any(|w| ended.err.contains(w));
            let told = ended.err.contains(words) || silent;
            assert!(told, "{job}, {what}: {}", ended.err);
            let kept: &[&str] = if old { &[job.output] } else { &[] };
            assert_eq!(ended.left, kept, "{job}, {what}");
        }
        println!("{job}: {} full or broken disks, all told", trial.faults);
    }
}

#[test]
fn any_call_that_fails_is_told_or_does_no_harm() {
    let dir = scratch();
    let library = injector(dir.path());
    let mut dice = Dice(23);
    for job in Job::all(dir.path()) {
        let mut trial = Trial::new(&job, &library);
        for old in [false, true] {
            let (sound, _) = trial.run(Vec::new(), old);
            assert!(sound.output == trial.expected, "{job}: {}", sound.err);
            for (call, count) in sound.counts.into_iter().filter(|(call, _)| call != "bytes") {
                // The first and the last one, and some in between.
                let some = wanted(3).min(count);
                let mut turns: Vec<u64> = (2..some).map(|_| 1 + dice.below(count)).collect();
                turns.extend([1, count].into_iter().filter(|n| *n > 0 && count > 0));
                for nth in turns {
                    let settings = vec![
                        ("FAULT_CALL", call.clone().into()),
                        ("FAULT_NTH", nth.to_string().into()),
                        ("FAULT_ERRNO", "5".into()),
                    ];
                    let (ended, before) = trial.run(settings, old);
                    trial.judge(&format!("{call} {nth} of {count}"), &ended, &before);
                }
            }
        }
        println!("{job}: {} calls failed, {} did no harm", trial.faults, trial.survived);
    }
}

#[test]
fn a_folder_that_vanishes_is_told() {
    let dir = scratch();
    let library = injector(dir.path());
    let mut dice = Dice(29);
    for job in Job::all(dir.path()) {
        let mut trial = Trial::new(&job, &library);
        let total = trial.run(Vec::new(), false).0.counts["bytes"];
        for _ in 0..wanted(2) {
            let at = dice.below(total);
            let settings = vec![("FAULT_BYTES", at.to_string().into()), ("FAULT_VANISH", "1".into())];
            let (ended, before) = trial.run(settings, false);
            let what = format!("the folder vanishes at byte {at} of {total}");
            assert!(trial.judge(&what, &ended, &before), "{job}, {what}: nobody noticed");
        }
    }
}

#[test]
fn limits_of_the_process_are_errors_like_others() {
    let dir = scratch();
    for job in Job::all(dir.path()) {
        for (limit, words) in [("-f 24", "File too large"), ("-n 12", "Too many open files")] {
            let home = scratch();
            let line = job.start(home.path());
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(format!("ulimit {limit}; exec \"$@\"")).arg("sh").arg(line.get_program());
            let output = shell.args(line.get_args()).output().expect("a shell");
            let err = String::from_utf8_lossy(&output.stderr);
            let small = limit.starts_with("-f") && contents(&home.path().join(job.output)).len() > 1;
            if output.status.success() && (small || limit.starts_with("-n")) {
                continue;
            }
            let code = output.status.code();
            assert!(matches!(code, Some(3 | 4)), "{job}, {limit}: {code:?} {err}");
            assert!(err.contains(words) || err.contains("space") || code == Some(3), "{job}, {limit}: {err}");
            assert_eq!(err.lines().count(), 1, "{job}, {limit}: {err}");
            assert!(names_in(home.path()).is_empty(), "{job}, {limit}: {:?}", names_in(home.path()));
        }
    }
}

#[test]
fn a_full_disk_of_any_size_is_told_without_any_injection() {
    let dir = scratch();
    for job in Job::all(dir.path()) {
        let expected = job.undisturbed();
        let bytes: u64 = expected.values().map(|file| file.len() as u64).sum();
        for share in [0.0, 0.3, 0.9, 1.0] {
            let Some(disk) = SmallDisk::mount((bytes as f64 * share / 1024.0) as usize + 8) else {
                eprintln!("skipped: this user may not mount a file system");
                return;
            };
            let output = job.start(disk.path()).output().expect("the program starts");
            let err = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                assert!(contents(&disk.path().join(job.output)) == expected, "{job}, {share}");
                continue;
            }
            assert_eq!(output.status.code(), Some(4), "{job}, {share}: {err}");
            assert!(err.to_lowercase().contains("space"), "{job}, {share}: {err}");
            assert!(names_in(disk.path()).is_empty(), "{job}, {share}: {:?}", names_in(disk.path()));
        }
    }
}
