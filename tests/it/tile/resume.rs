//! Runs that are stopped at any moment and gone on with: the bytes are those of a run that nobody stopped.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::*;
use crate::common::{Run, program};
use crate::small_disk::SmallDisk;

/// A job that is stopped and resumed.
struct Job {
    dir: TempDir,
    input: PathBuf,
    output: PathBuf,
    options: Vec<&'static str>,
}

impl Job {
    fn new(input: PathBuf, name: &str, options: &[&'static str]) -> Self {
        let dir = scratch();
        let output = dir.path().join(name);
        Self { dir, input, output, options: options.to_vec() }
    }

    fn args(&self) -> Vec<&std::ffi::OsStr> {
        let mut args = vec!["tile".as_ref(), self.input.as_os_str(), self.output.as_os_str()];
        args.extend(self.options.iter().map(std::ffi::OsStr::new));
        args
    }

    fn start(&self) -> Child {
        let mut command = program();
        command.args(self.args()).args(["--resume", "--quiet"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    fn journal(&self) -> PathBuf {
        beside(&self.output, "done")
    }

    /// Begins or goes on, and kills the program once the journal has grown by some bytes. Whether it was killed before its end.
    fn kill_after(&self, bytes: u64) -> bool {
        let size = || fs::metadata(self.journal()).map_or(0, |file| file.len());
        let limit = size() + bytes;
        self.kill_when(|| size() >= limit)
    }

    fn kill_when(&self, due: impl Fn() -> bool) -> bool {
        let mut child = self.start();
        let begun = Instant::now();
        while !due() && child.try_wait().expect("a child").is_none() {
            assert!(begun.elapsed() < Duration::from_secs(300), "is not getting on");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().expect("killed or ended");
        let ended = child.wait_with_output().expect("ended");
        let killed = ended.status.code().is_none();
        assert!(killed || ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        assert!(killed || (self.output.exists() && !self.journal().exists()));
        killed
    }

    /// The report of a run that goes on to the end, after which nothing but its output is left.
    fn finish(&self) -> serde_json::Value {
        let report = tile(&[&self.input], &self.output, &[&self.options[..], &["--resume"]].concat());
        assert_eq!(
            names_in(self.dir.path()),
            [self.output.file_name().expect("a name").to_str().expect("UTF-8")]
        );
        report
    }

    /// The bytes of a run that nobody stops.
    fn uninterrupted(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let dir = scratch();
        let output = dir.path().join(self.output.file_name().expect("a name"));
        tile(&[&self.input], &output, &self.options);
        bytes(&output)
    }
}

fn beside(output: &Path, what: &str) -> PathBuf {
    PathBuf::from(format!("{}.partial-{what}", output.display()))
}

/// All files of a tile set, by their names in it.
fn bytes(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut paths = vec![path.to_owned()];
    while let Some(next) = paths.pop() {
        if next.is_dir() {
            paths.extend(fs::read_dir(next).expect("a folder").map(|entry| entry.expect("entry").path()));
        } else {
            let name = next.strip_prefix(path).expect("below").to_owned();
            files.insert(name, fs::read(next).expect("a file"));
        }
    }
    files
}

/// Numbers that look random and are the same each time.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// A raster of which the middle half has no data: whole metatiles are empty.
fn holed(folder: &Path) -> PathBuf {
    let spec = Spec { nodata: Some(0.0), ..plain((1400, 1400), 5.0, 0.0, 0.0) };
    let hole = |x: usize, y: usize| (300..1100).contains(&x) || (900..1000).contains(&y);
    raster(folder, "holed.tif", &spec, with_hole(&spec, &[90, 160, 40], hole))
}

#[test]
fn a_run_that_goes_on_may_be_given_other_pages() {
    let mut job = Job::new(testdata("rgb.tif"), "set", &["-z", "8-17", "-j", "2", "-w", "openlayers"]);
    assert!(job.kill_after(100_000));
    job.options.pop();
    job.options.push("leaflet,maplibre");
    job.finish();
    assert!(bytes(&job.output) == job.uninterrupted());
}

#[test]
fn killed_runs_go_on_and_make_the_same_bytes() {
    let dir = scratch();
    let holed = holed(dir.path());
    let plain = ["-z", "8-17", "-j", "2"];
    let wide = ["-z", "9-16", "--overview-resampling", "cubic", "-j", "2"];
    let terrain = ["--encoding", "terrarium", "-z", "8-15", "-j", "2"];
    for (input, name, options) in [
        (testdata("rgb.tif"), "set", &plain[..]),
        (testdata("rgb.tif"), "set.mbtiles", &plain),
        (testdata("rgb.tif"), "set.pmtiles", &plain),
        (testdata("rgb.tif"), "set.pmtiles", &wide),
        (testdata("dem.tif"), "set.pmtiles", &terrain),
        (holed.clone(), "set", &plain),
        (holed, "set.mbtiles", &plain),
    ] {
        let job = Job::new(input, name, options);
        let mut seed = 7;
        let mut kills = 0;
        while kills < 4 && job.kill_after(1 + random(&mut seed) % 150_000) {
            kills += 1;
        }
        let what = format!("{} in {name}, {options:?}, {kills} kills", job.input.display());
        assert!(kills > 0, "{what}");
        if !job.output.exists() {
            let report = job.finish();
            let resumed = report["resumed"].as_u64().expect("a number");
            assert!(
                resumed > 0 && resumed <= report["tiles"].as_u64().expect("a number"),
                "{what}: {report}"
            );
        }
        assert!(bytes(&job.output) == job.uninterrupted(), "{what}: other bytes");
    }
}

#[test]
fn what_is_finished_is_neither_read_nor_made_again() {
    let job = Job::new(testdata("rgb.tif"), "set.pmtiles", &["-z", "9-17", "-j", "1"]);
    assert!(job.kill_after(400_000));
    let done = fs::metadata(job.journal()).expect("a journal").len();
    let report = job.finish();
    let whole = tile(&[&job.input], &job.output, &["-z", "9-17", "--overwrite"]);
    assert!(report["resumed"].as_u64() > Some(50), "{done} bytes of journal: {report}");
    assert!(report["stats"]["tasks"].as_u64() < whole["stats"]["tasks"].as_u64());
    for same in ["tiles", "empty", "duplicates", "bytes", "min_zoom", "max_zoom"] {
        assert_eq!(report[same], whole[same], "{same}");
    }
    assert_eq!(whole["resumed"], 0);
}

#[test]
fn resuming_nothing_is_an_ordinary_run() {
    for name in NAMES {
        let job = Job::new(testdata("rgba.tif"), name, &[]);
        assert_eq!(job.finish()["resumed"], 0);
        assert!(bytes(&job.output) == job.uninterrupted());
        let again = run(job.args().into_iter().chain(["--resume".as_ref()]));
        assert!(again.failure(4).contains("--overwrite"));
    }
}

#[test]
fn other_options_inputs_and_changed_files_are_refused_and_say_what_differs() {
    let dir = scratch();
    let input = dir.path().join("in.tif");
    fs::copy(testdata("rgb.tif"), &input).expect("copied");
    let job = Job::new(input.clone(), "set.mbtiles", &["-z", "9-17", "-j", "2"]);
    // A killed program leaves the file of its lock.
    let work = || {
        let mut files = bytes(job.dir.path());
        files.retain(|name, _| !name.as_os_str().to_string_lossy().ends_with("-lock"));
        files
    };
    assert!(job.kill_after(100_000));
    let before = work();
    let refused = |more: &[&str], said: &str| {
        let run = run(job.args().into_iter().chain(more.iter().map(std::ffi::OsStr::new)));
        let error = run.failure(4);
        assert!(error.contains(said) && error.contains("without --resume"), "{more:?}: {error}");
        assert!(work() == before, "{more:?}: touched");
    };
    refused(&["--resume", "-r", "nearest"], "resampling was None and is Some( Nearest, )");
    refused(&["--resume", "--name", "other"], "labels was");
    refused(&["--resume", "--config", "GTIFF_REPORT_COMPD_CS=YES"], "settings was [] and is");
    refused(&["--resume", "--src-nodata", "3"], "reading of input 1");
    let other = testdata("rgba.tif");
    let output = job.output.to_str().expect("UTF-8");
    let two = run([
        "tile",
        input.to_str().expect("UTF-8"),
        other.to_str().expect("UTF-8"),
        output,
        "-z",
        "9-17",
        "--resume",
    ]);
    assert!(two.failure(4).contains("input 2 was missing and is"), "{two:?}");
    // What cannot change a tile may change.
    assert!(!job.kill_when(|| false));
    assert!(bytes(&job.output) == job.uninterrupted());
    fs::remove_file(&job.output).expect("removed");
    assert!(job.kill_after(100_000));
    let before = work();
    fs::write(&input, fs::read(&input).expect("a file")).expect("touched");
    let run = run(job.args().into_iter().chain(["--resume".as_ref()]));
    assert!(run.failure(4).contains("input 1 was") && run.err.contains("in.tif"), "{run:?}");
    assert!(work() == before);
}

#[test]
fn threads_memory_and_spelling_may_change_in_between() {
    let job = Job::new(testdata("rgb.tif"), "set.pmtiles", &["-z", "9-17"]);
    assert!(job.kill_after(200_000));
    let input = testdata("rgb.tif");
    let folder = input.parent().expect("a folder");
    let mut command = program();
    command.current_dir(folder).args(["tile", "rgb.tif"]).arg(&job.output);
    command.args([
        "-z",
        "9..17",
        "--resume",
        "--json",
        "-j",
        "5",
        "--readers",
        "1",
        "--memory",
        "700M",
        "--overwrite",
    ]);
    let ended = command.output().expect("ended");
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).expect("a report");
    assert!(report["resumed"].as_u64() > Some(20), "{report}");
    assert!(bytes(&job.output) == job.uninterrupted());
}

#[test]
fn a_stopped_run_keeps_its_work_and_says_so_and_another_begins_anew() {
    for name in NAMES {
        let job = Job::new(testdata("rgb.tif"), name, &["-z", "9-18", "-j", "2"]);
        let mut command = program();
        command.args(job.args()).arg("--resume").stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().expect("the program starts");
        let begun = Instant::now();
        while fs::metadata(job.journal()).map_or(0, |file| file.len()) < 100_000 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{name}: nothing is being noted");
            std::thread::sleep(Duration::from_millis(2));
        }
        let kill = std::process::Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
        assert!(kill.expect("kill").success());
        let ended = child.wait_with_output().expect("ended");
        let error = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(130), "{name}: {error}");
        assert!(error.contains("the same command goes on from there"), "{error}");
        assert!(job.journal().exists() && !job.output.exists());
        let report = tile(&[&job.input], &job.output, &job.options);
        assert_eq!(report["resumed"], 0, "without --resume nothing is taken over");
        assert_eq!(names_in(job.dir.path()), [name]);
    }
}

#[test]
fn damage_to_finished_work_is_found_and_made_good() {
    for name in NAMES {
        let job = Job::new(testdata("rgb.tif"), name, &["-z", "9-17", "-j", "2"]);
        assert!(job.kill_after(300_000));
        let damage = |path: &Path| {
            let mut bytes = fs::read(path).expect("a file");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 16;
            fs::write(path, bytes).expect("damaged");
        };
        let partial = PathBuf::from(format!("{}.partial", job.output.display()));
        if name == "set" {
            for path in bytes(&partial).into_keys().step_by(37) {
                damage(&partial.join(path));
            }
        } else {
            damage(&beside(&job.output, "spool"));
        }
        let report = job.finish();
        assert!(report["resumed"].as_u64() > Some(10), "{name}: {report}");
        assert!(bytes(&job.output) == job.uninterrupted(), "{name}");
    }
}

#[test]
fn a_set_without_data_leaves_nothing_to_resume() {
    let job = Job::new(testdata("all_nodata.tif"), "set", &["--resume"]);
    let failed: Run = run(job.args());
    assert!(failed.failure(3).contains("no data"));
    assert!(names_in(job.dir.path()).is_empty());
}

#[test]
fn a_full_disk_is_no_reason_to_begin_again() {
    for name in NAMES {
        // The tiles do not fit; or all tiles do, in another place, and the archive does not.
        for elsewhere in [false, true] {
            let Some(disk) = SmallDisk::mount(8 << 10) else {
                eprintln!("skipped: this user may not mount a file system");
                return;
            };
            if elsewhere && name == "set" {
                continue;
            }
            let spool = scratch();
            let mut args = vec!["tile".to_owned(), testdata("rgb.tif").display().to_string()];
            args.push(disk.path().join(name).display().to_string());
            args.extend(["-z", "9-17", "-j", "2", "--resume"].map(str::to_owned));
            // Or it would be refused before it has begun.
            args.extend(["--config", "CHECK_DISK_FREE_SPACE=NO"].map(str::to_owned));
            if elsewhere {
                args.extend(["--tmp-dir".to_owned(), spool.path().display().to_string()]);
            }
            let failed = run(&args);
            assert_eq!(failed.code, Some(4), "{failed:?}");
            assert!(failed.err.contains("No space left"), "{failed:?}");
            disk.resize(200 << 10);
            let report = run(args.iter().map(String::as_str).chain(["--json"])).json();
            assert!(report["resumed"].as_u64() > Some(20), "{name}: {report}");
            assert_eq!(elsewhere, report["resumed"] == report["tiles"], "{name}: {report}");
            assert_eq!(names_in(disk.path()), [name]);
            assert!(names_in(spool.path()).is_empty());
            let job = Job::new(testdata("rgb.tif"), name, &["-z", "9-17"]);
            assert!(bytes(&disk.path().join(name)) == job.uninterrupted(), "{name}");
        }
    }
}

/// Twice each; `TILELOOM_KILLS=20 cargo test --test it random_moments -- --nocapture` takes its time.
#[test]
fn kills_at_random_moments_never_change_the_bytes() {
    let wanted: u32 = std::env::var("TILELOOM_KILLS").map_or(2, |n| n.parse().expect("a number of kills"));
    let [levels, wide] = if wanted > 2 { ["8-18", "9-17"] } else { ["8-16", "9-15"] };
    let dir = scratch();
    let holed = holed(dir.path());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    let mut seed = u64::from(now.subsec_nanos());
    println!("seed {seed}");
    for name in NAMES {
        for (input, options) in [
            (testdata("rgb.tif"), &["-z", levels, "-j", "2"][..]),
            (holed.clone(), &["-z", levels, "-j", "2"]),
            (testdata("rgb.tif"), &["-z", wide, "-j", "2", "--overview-resampling", "bilinear"]),
        ] {
            let job = Job::new(input, name, options);
            let begun = Instant::now();
            let expected = job.uninterrupted();
            let whole = begun.elapsed().as_millis() as u64;
            let (mut kills, mut sets, mut resumed) = (0, 0, 0);
            while kills < wanted {
                let due = Instant::now() + Duration::from_millis(random(&mut seed) % whole);
                if job.kill_when(|| Instant::now() >= due) {
                    kills += 1;
                    resumed += u32::from(job.journal().exists());
                    if kills < wanted && !job.output.exists() {
                        continue;
                    }
                }
                if job.journal().exists() || !job.output.exists() {
                    let again = run(job
                        .args()
                        .into_iter()
                        .chain(["--resume", "--overwrite"].map(std::ffi::OsStr::new)));
                    assert_eq!(again.code, Some(0), "{again:?}");
                }
                assert!(bytes(&job.output) == expected, "{name}: other bytes after {kills} kills");
                sets += 1;
                drop(fs::remove_file(&job.output).or_else(|_| fs::remove_dir_all(&job.output)));
            }
            println!(
                "{name}, {}, {options:?}: {kills} kills of runs of {whole} ms ({resumed} left work), {sets} sets, all equal",
                job.input.file_name().expect("a name").display()
            );
        }
    }
}
