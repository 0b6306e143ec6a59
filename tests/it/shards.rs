//! Jobs in shards: what is put together is what one machine would have made.

mod rasters;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Run, names_in, program, run, testdata};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// All files of an output, by their names in it.
fn contents(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut paths = vec![path.to_owned()];
    while let Some(next) = paths.pop() {
        if next.is_dir() {
            paths.extend(fs::read_dir(next).expect("a folder").map(|entry| entry.expect("entry").path()));
        } else if next.exists() {
            let name = next.strip_prefix(path).expect("below").to_owned();
            files.insert(name, fs::read(next).expect("a file"));
        }
    }
    files
}

/// A planned job in a folder of its own.
struct Planned {
    dir: TempDir,
    output: PathBuf,
    plan: PathBuf,
    shards: usize,
}

impl Planned {
    fn new(input: &str, name: &str, options: &[&str], shards: usize) -> Self {
        let dir = scratch();
        let (output, plan) = (dir.path().join(name), dir.path().join("plan.json"));
        let input = testdata(input);
        let count = shards.to_string();
        let words = [input.as_path(), &output].map(|path| path.to_str().expect("UTF-8"));
        let tail = ["--shards", &count, "-o", plan.to_str().expect("UTF-8")];
        let planned = run([&["plan", "tile"], &words[..], options, &tail].concat());
        assert_eq!(planned.code, Some(0), "{planned:?}");
        Self { dir, output, plan, shards }
    }

    fn command(&self, what: &str) -> Command {
        let mut command = program();
        command.arg(what).arg(&self.plan).arg("--quiet");
        command
    }

    fn make(&self, shard: &str) -> Run {
        finished(self.command("run").args(["--shard", shard, "-j", "2"]))
    }

    fn merge(&self, options: &[&str]) -> Run {
        finished(self.command("merge").args(options))
    }
}

fn finished(command: &mut Command) -> Run {
    let output = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Run { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn at_once(input: &str, name: &str, options: &[&str]) -> BTreeMap<PathBuf, Vec<u8>> {
    let dir = scratch();
    let output = dir.path().join(name);
    let words = [testdata(input), output.clone()];
    let words = words.each_ref().map(|path| path.to_str().expect("UTF-8"));
    let done = run([&["tile", "-q"], &words[..], options].concat());
    assert_eq!(done.code, Some(0), "{done:?}");
    contents(&output)
}

#[test]
fn shards_in_any_order_become_the_bytes_of_one_run() {
    let local = ["-z", "8-16"];
    let wide = ["-z", "8-15", "--overview-resampling", "cubic", "-r", "lanczos"];
    let grid = ["--tiling-scheme", "NZTM2000", "-z", "0-4"];
    for (input, name, options, shards) in [
        ("rgb.tif", "set.pmtiles", &local[..], 5),
        ("rgb.tif", "set.mbtiles", &local, 2),
        ("rgb.tif", "set", &local, 7),
        ("rgb.tif", "set.tar", &wide, 4),
        ("rgb.tif", "set.pmtiles", &wide, 3),
        ("rgb16.tif", "set.pmtiles", &["-z", "8-15"], 3),
        ("dem.tif", "set.mbtiles", &["--encoding", "terrarium", "-z", "8-15"], 3),
        ("global_180.tif", "set", &grid, 2),
    ] {
        let planned = Planned::new(input, name, options, shards);
        for shard in (0..planned.shards).rev() {
            let made = planned.make(&shard.to_string());
            assert_eq!(made.code, Some(0), "{name} {shard}: {made:?}");
            let status: Value = serde_json::from_str(&made.out).expect("one line of JSON");
            assert_eq!((&status["shard"], &status["status"]), (&shard.into(), &"made".into()));
        }
        let merged = planned.merge(&["--json"]);
        assert_eq!(merged.code, Some(0), "{name}: {merged:?}");
        assert!(contents(&planned.output) == at_once(input, name, options), "{input} {name} {options:?}");
        assert_eq!(names_in(planned.dir.path()), ["plan.json", name]);
    }
}

#[test]
fn a_shard_that_is_made_twice_at_once_counts_once() {
    let planned = Planned::new("rgb.tif", "set.pmtiles", &["-z", "8-16"], 2);
    let twins: Vec<_> = (0..3)
        .map(|_| planned.command("run").args(["--shard", "0"]).spawn().expect("the program starts"))
        .collect();
    for mut twin in twins {
        assert!(twin.wait().expect("ended").success());
    }
    let again = planned.make("0,1");
    assert_eq!(again.code, Some(0), "{again:?}");
    let lines: Vec<Value> = again.out.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!((&lines[0]["status"], &lines[1]["status"]), (&"done before".into(), &"made".into()));
    assert_eq!(names_in(&planned.dir.path().join("set.pmtiles.shards")), ["shard-00000", "shard-00001"]);
    assert_eq!(planned.merge(&[]).code, Some(0));
    assert!(contents(&planned.output) == at_once("rgb.tif", "set.pmtiles", &["-z", "8-16"]));
}

#[test]
fn engines_tell_the_number_and_several_shards_may_go_with_one() {
    let planned = Planned::new("rgb.tif", "set.mbtiles", &["-z", "8-16"], 5);
    for (name, number) in
        [("SLURM_ARRAY_TASK_ID", "0"), ("JOB_COMPLETION_INDEX", "1"), ("AWS_BATCH_JOB_ARRAY_INDEX", "2")]
    {
        let made = finished(planned.command("run").args(["--per-index", "2"]).env(name, number));
        assert_eq!(made.code, Some(0), "{made:?}");
        assert_eq!(made.out.lines().count(), if number == "2" { 1 } else { 2 });
    }
    assert_eq!(planned.merge(&[]).code, Some(0));
    assert!(contents(&planned.output) == at_once("rgb.tif", "set.mbtiles", &["-z", "8-16"]));
}

#[test]
fn more_shards_than_files_may_be_open_at_first_are_put_together() {
    let planned = Planned::new("rgb.tif", "set.pmtiles", &["-z", "8-17"], 20);
    assert_eq!(planned.make("0-19").code, Some(0));
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -n 50; exec \"$0\" merge \"$1\" --quiet", env!("CARGO_BIN_EXE_tileloom")]);
    let merged = finished(command.arg(&planned.plan));
    assert_eq!(merged.code, Some(0), "{merged:?}");
}

#[test]
fn what_is_missing_is_told_as_an_array_and_nothing_is_written() {
    let planned = Planned::new("rgb.tif", "set.pmtiles", &["-z", "8-16"], 6);
    assert_eq!(planned.make("1,4").code, Some(0));
    let refused = planned.merge(&[]);
    assert_eq!(refused.failure(6), "tileloom: 4 of 6 shards are missing: --array=0,2-3,5");
    assert!(!planned.output.exists());
    assert_eq!(planned.make("0,2-3,5").code, Some(0));
    fs::write(&planned.output, "the old one").expect("written");
    assert!(planned.merge(&[]).failure(4).contains("--overwrite"));
    assert_eq!(planned.merge(&["--overwrite", "--keep"]).code, Some(0));
    assert!(planned.dir.path().join("set.pmtiles.shards").exists());
    assert!(contents(&planned.output) == at_once("rgb.tif", "set.pmtiles", &["-z", "8-16"]));
}

#[test]
fn damaged_shards_and_inputs_that_changed_are_refused() {
    let planned = Planned::new("rgb.tif", "set.pmtiles", &["-z", "8-16"], 2);
    assert_eq!(planned.make("0-1").code, Some(0));
    let spool = planned.dir.path().join("set.pmtiles.shards/shard-00001/set.pmtiles.partial-spool");
    let mut bytes = fs::read(&spool).expect("a spool");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&spool, &bytes).expect("damaged");
    let refused = planned.merge(&[]);
    assert!(refused.failure(4).contains("make this shard anew"), "{refused:?}");
    assert!(!planned.output.exists());
    fs::write(&spool, &bytes[1..]).expect("cut");
    assert!(planned.merge(&[]).failure(4).contains("lost some of its bytes"));

    let dir = scratch();
    let input = dir.path().join("in.tif");
    fs::copy(testdata("rgb.tif"), &input).expect("copied");
    let (output, plan) = (dir.path().join("set.tar"), dir.path().join("plan.json"));
    let words = ["plan", "tile", "in.tif", "set.tar", "--shards", "1", "-o", "plan.json"];
    assert!(finished(program().args(words).current_dir(dir.path())).code == Some(0));
    // From any folder: paths start where the job was planned.
    let shard =
        |plan: &Path| run([Path::new("run"), plan, Path::new("-q"), Path::new("--shard"), Path::new("0")]);
    fs::OpenOptions::new().append(true).open(&input).expect("opens").set_len(900_000).expect("changed");
    assert!(shard(&plan).failure(3).contains("not what was planned"));
    fs::copy(testdata("rgb.tif"), &input).expect("copied");
    assert!(finished(program().args(words).current_dir(dir.path())).code == Some(0));
    assert_eq!(shard(&plan).code, Some(0));
    assert_eq!(run([Path::new("merge"), &plan]).code, Some(0));
    assert!(output.exists());
}

#[test]
fn wrong_usage_is_refused() {
    let dir = scratch();
    let input = testdata("rgb.tif");
    let input = input.to_str().expect("UTF-8");
    let out = dir.path().join("set");
    let out = out.to_str().expect("UTF-8");
    for (words, told) in [
        (&["plan", "tile", input, out][..], "--shards N"),
        (&["plan", "tile", input, out, "--shards", "100000"], "can be taken apart into 1 to"),
        (&["plan", "tile", input, out, "--shards", "0"], "can be taken apart into 1 to"),
        (&["plan", "info", input, "--shards", "3"], "only 'tile', 'calc', 'warp' and 'cog' can be planned"),
        (&["plan", "tile", input, out, "--shards", "3", "--zoom-levels", "x"], "--zoom"),
    ] {
        assert!(run(words).failure(2).contains(told), "{words:?}: {:?}", run(words));
    }
    let planned = Planned::new("rgb.tif", "set", &["-z", "8-16"], 3);
    assert!(planned.make("3").failure(2).contains("the shards 0 to 2"));
    assert!(planned.make("x").failure(2).contains("give numbers"));
    assert!(finished(&mut planned.command("run")).failure(2).contains("--shard I"));
    assert_eq!(run([Path::new("run"), &testdata("rgb.tif"), Path::new("--shard=0")]).code, Some(3));
}
