//! `calc`, `warp` and `cog` in shards.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::{finished, scratch};
use crate::common::{Run, names_in, program, succeed, testdata};

/// A job with its inputs in a folder of its own, in which everything is run.
struct Job {
    dir: TempDir,
    words: Vec<String>,
    /// Inputs that were made for it.
    made: Vec<String>,
}

impl Job {
    /// A command line without its output; words that name test data are inputs.
    fn new(line: &[&str]) -> Self {
        let input = |word: &&str| match testdata(word) {
            path if path.is_file() => path.to_str().expect("UTF-8").to_owned(),
            _ => (*word).to_owned(),
        };
        Self { dir: scratch(), words: line.iter().map(input).collect(), made: Vec::new() }
    }

    /// Makes an input from test data, by `gdal_translate`.
    fn with(mut self, name: &str, source: &str, options: &[&str]) -> Self {
        let mut command = Command::new("gdal_translate");
        succeed(command.arg("-q").args(options).arg(testdata(source)).arg(self.path(name)));
        self.made.push(name.to_owned());
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn call(&self, words: &[&str]) -> Run {
        finished(program().args(words).current_dir(self.dir.path()))
    }

    /// The file that one run makes.
    fn at_once(&self) -> Vec<u8> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let done = self.call(&[&words[..], &["-q", "-o", "single.tif"]].concat());
        assert_eq!(done.code, Some(0), "{done:?}");
        fs::read(self.path("single.tif")).expect("a file")
    }

    fn plan(&self, shards: usize) -> Run {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        let count = shards.to_string();
        self.call(
            &[&["plan"], &words[..], &["-o", "out.tif", "--shards", &count, "-o", "plan.json"]].concat(),
        )
    }

    fn planned(&self, shards: usize) {
        let planned = self.plan(shards);
        assert_eq!(planned.code, Some(0), "{planned:?}");
    }

    fn run(&self, shard: &str, options: &[&str]) -> Run {
        self.call(&[&["run", "plan.json", "-q", "--shard", shard], options].concat())
    }

    fn merge(&self, options: &[&str]) -> Run {
        self.call(&[&["merge", "plan.json"], options].concat())
    }

    /// The most shards the job can be taken apart into.
    fn most(&self) -> usize {
        let refused = self.plan(1_000_000);
        let text = refused.failure(2);
        text.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{text}"))
    }

    /// Makes the output in so many shards, the last first, each with another number of threads.
    fn in_shards(&self, shards: usize) -> Vec<u8> {
        self.planned(shards);
        for shard in (0..shards).rev() {
            let threads = (1 + shard % 3).to_string();
            let made = self.run(&shard.to_string(), &["-j", &threads]);
            assert_eq!(made.code, Some(0), "{shard}: {made:?}");
            let status: Value = serde_json::from_str(&made.out).expect("one line of JSON");
            assert_eq!((&status["shard"], &status["status"]), (&shard.into(), &"made".into()));
            assert!(status["made"].as_u64().is_some_and(|n| n > 0), "{status}");
        }
        let merged = self.merge(&["--json"]);
        assert_eq!(merged.code, Some(0), "{merged:?}");
        let report = merged.json();
        assert_eq!((&report["shards"], &report["skipped"]), (&shards.into(), &0.into()), "{report}");
        let bytes = fs::read(self.path("out.tif")).expect("a file");
        assert_eq!(report["bytes"], bytes.len());
        fs::remove_file(self.path("out.tif")).expect("removed");
        // And what GDAL has put beside the inputs.
        let given = |name: &str| self.made.iter().any(|input| name.starts_with(input.as_str()));
        let own = |name: &String| given(name) || ["plan.json", "single.tif"].contains(&&name[..]);
        assert!(names_in(self.dir.path()).iter().all(own), "{:?}", names_in(self.dir.path()));
        bytes
    }

    /// Has the job made in several numbers of shards, and holds each result against that of one run.
    fn is_the_same_in_shards(&self, at_least: usize) {
        let single = self.at_once();
        let most = self.most();
        assert!(most >= at_least, "{:?}: {most} shards at most", self.words);
        let mut counts = vec![1, 2.min(most), 3.min(most), most.min(7)];
        counts.dedup();
        for count in counts {
            assert!(self.in_shards(count) == single, "{:?} in {count} shards", self.words);
        }
    }
}

const BLOCKS: [&str; 6] = ["--co", "TILED=YES", "--co", "BLOCKXSIZE=64", "--co", "BLOCKYSIZE=64"];

fn job(line: &[&str], options: &[&[&str]]) -> Job {
    Job::new(&[line, &options.concat()].concat())
}

#[test]
fn calculations_in_strips_are_the_bytes_of_one_run() {
    let deflate = ["--co", "COMPRESS=DEFLATE"];
    let ndvi = ["calc", "rgb.tif", "--expr", "ndvi=(A[1]-A[2])/(A[1]+A[2])", "--expr", "A[3] > 100"];
    // Packed here: pixel by pixel and band by band, with and without compression.
    job(&ndvi, &[&BLOCKS, &deflate, &["--statistics"]]).is_the_same_in_shards(7);
    job(&ndvi, &[&BLOCKS, &deflate, &["--co", "INTERLEAVE=BAND", "--window-size", "100"]])
        .is_the_same_in_shards(7);
    job(&ndvi, &[&["--overviews", "--statistics"]]).is_the_same_in_shards(2);
    // By GDAL, in blocks and in strips.
    job(&ndvi, &[&BLOCKS, &["--co", "COMPRESS=ZSTD", "--statistics", "--overviews"]])
        .is_the_same_in_shards(3);
    job(
        &["calc", "rgb.tif", "--expr", "A + 1"],
        &[&["--co", "COMPRESS=LZW", "--co", "TILED=NO", "--co", "BLOCKYSIZE=50"]],
    )
    .is_the_same_in_shards(1);
    job(&["calc", "rgb.tif", "--expr", "A * 2"], &[&["--co", "TILED=NO"]]).is_the_same_in_shards(1);
}

#[test]
fn operations_reach_over_the_borders_of_shards() {
    let dem = |operations: &[&str]| {
        let words: Vec<&str> = operations.iter().flat_map(|op| ["--op", op]).collect();
        job(&["calc", "dem.tif"], &[&words, &BLOCKS, &["--co", "COMPRESS=DEFLATE", "--statistics"]])
    };
    dem(&["hillshade(z=2)"]).is_the_same_in_shards(3);
    dem(&["focal(median, 9)", "slope()", "focal(mean, 5)"]).is_the_same_in_shards(3);
    let reflect = ["--edge", "reflect", "--window-size", "50"];
    job(&["calc", "rgb.tif", "--expr", "A[1]*1.5", "--op", "focal(max, 7)"], &[&BLOCKS, &reflect])
        .is_the_same_in_shards(7);
    // Inputs on another grid, and coordinates.
    job(
        &["calc", "global_180.tif", "global_360.tif", "--expr", "A + B * (lat > 10)", "-r", "bilinear"],
        &[&BLOCKS],
    )
    .is_the_same_in_shards(3);
}

#[test]
fn warps_in_strips_are_the_bytes_of_one_run() {
    let mercator = ["warp", "rgb.tif", "-t_srs", "EPSG:3857"];
    job(&mercator, &[&BLOCKS, &["-r", "cubic"]]).is_the_same_in_shards(7);
    job(&mercator, &[&BLOCKS, &["-r", "average", "-tr", "3", "--dst-alpha", "--co", "COMPRESS=DEFLATE"]])
        .is_the_same_in_shards(2);
    job(
        &mercator,
        &[&BLOCKS, &["-r", "lanczos", "--overviews", "--dst-nodata", "0", "--co", "COMPRESS=ZSTD"]],
    )
    .is_the_same_in_shards(3);
    job(
        &["warp", "dem.tif", "rgb.tif", "-b", "1", "-t_srs", "EPSG:4326", "--overlap", "average"],
        &[&BLOCKS],
    )
    .is_the_same_in_shards(2);
    job(&["warp", "global_180.tif", "-t_srs", "EPSG:3035", "-tr", "40000"], &[&BLOCKS])
        .is_the_same_in_shards(3);
}

#[test]
fn cogs_in_subtrees_are_the_bytes_of_one_run() {
    // Of some metatiles, each about 1024 pixels wide.
    let large = ["-outsize", "2100", "1100", "-r", "bilinear"];
    for options in [
        &["--blocksize", "128"][..],
        &["--blocksize", "128", "--compress", "ZSTD", "--co", "STATISTICS=YES"],
        &["--blocksize", "256", "--compress", "JPEG", "--mask"],
        &["--blocksize", "128", "--overview-resampling", "cubic", "--co", "STATISTICS=YES"],
        &["--blocksize", "128", "--overview-resampling", "lanczos", "--overview-level", "6", "--mask"],
        &["--blocksize", "128", "--overview-level", "0"],
        &["--web-optimized", "--compress", "WEBP", "--aligned-levels", "2"],
    ] {
        job(&["cog", "big.tif"], &[options]).with("big.tif", "rgb.tif", &large).is_the_same_in_shards(6);
    }
    // Values for no data, a mask, classes, opacity.
    let large = ["-outsize", "1500", "1300"];
    for (source, options) in [
        ("dem.tif", &["--blocksize", "128", "--co", "STATISTICS=YES"][..]),
        ("dem.tif", &["--overview-resampling", "bilinear"]),
        ("mask_inside.tif", &["--blocksize", "128", "--overview-resampling", "cubicspline"]),
        ("mask_inside.tif", &["--blocksize", "128", "--add-mask", "--co", "STATISTICS=YES"]),
        ("landcover.tif", &["--blocksize", "128"]),
        ("rgba16.tif", &["--blocksize", "128", "--co", "BIGTIFF=YES"]),
    ] {
        job(&["cog", "big.tif"], &[options]).with("big.tif", source, &large).is_the_same_in_shards(4);
    }
}

#[test]
fn a_mosaic_with_holes_is_the_same_in_shards() {
    let options = ["--blocksize", "128", "--co", "SPARSE_OK=YES", "--nodata", "0"];
    let window =
        |x: &'static str, y: &'static str| ["-srcwin", x, y, "300", "250", "-tr", "2", "2", "-r", "nearest"];
    job(&["cog", "a.tif", "b.tif"], &[&options])
        .with("a.tif", "rgb.tif", &window("0", "0"))
        .with("b.tif", "rgb.tif", &window("390", "340"))
        .is_the_same_in_shards(2);
}

/// A calculation in six shards.
fn small() -> Job {
    let job = job(&["calc", "rgb.tif", "--expr", "A[1] - A[2]"], &[&BLOCKS, &["--co", "COMPRESS=DEFLATE"]]);
    job.planned(6);
    job
}

#[test]
fn a_raster_shard_that_is_made_twice_at_once_counts_once() {
    for line in [
        &["calc", "rgb.tif", "--expr", "A[1] - A[2]"][..],
        &["warp", "rgb.tif", "-t_srs", "EPSG:3857", "-r", "cubic"],
    ] {
        let job = job(line, &[&BLOCKS]);
        let single = job.at_once();
        job.planned(2);
        let start = || {
            let mut command = program();
            command.args(["run", "plan.json", "-q", "--shard", "0"]).current_dir(job.dir.path());
            command.stdout(Stdio::null()).spawn().expect("the program starts")
        };
        let twins: Vec<_> = (0..3).map(|_| start()).collect();
        for mut twin in twins {
            assert!(twin.wait().expect("ended").success());
        }
        let again = job.run("0,1", &[]);
        let lines: Vec<Value> = again.out.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
        assert_eq!((&lines[0]["status"], &lines[1]["status"]), (&"done before".into(), &"made".into()));
        assert_eq!(names_in(&job.path("out.tif.shards")), ["shard-00000", "shard-00001"]);
        assert_eq!(job.merge(&[]).code, Some(0));
        assert!(fs::read(job.path("out.tif")).expect("a file") == single);
    }
}

#[test]
fn a_raster_that_lacks_shards_is_not_put_together() {
    let job = small();
    let elsewhere = scratch();
    let folder = elsewhere.path().to_str().expect("UTF-8");
    assert_eq!(job.run("1,4", &["--tmp-dir", folder]).code, Some(0));
    assert!(names_in(elsewhere.path()).is_empty());
    let refused = job.merge(&[]);
    assert_eq!(refused.failure(6), "tileloom: 4 of 6 shards are missing: --array=0,2-3,5");
    assert!(!job.path("out.tif").exists());
    assert_eq!(job.run("0,2-3,5", &[]).code, Some(0));
    fs::write(job.path("out.tif"), "the old one").expect("written");
    assert!(job.merge(&[]).failure(4).contains("--overwrite"));
    assert_eq!(fs::read(job.path("out.tif")).expect("there"), b"the old one");
    assert_eq!(job.merge(&["--overwrite", "--keep"]).code, Some(0));
    assert!(job.path("out.tif.shards").exists());
    assert!(fs::read(job.path("out.tif")).expect("there") == job.at_once());
    // And what stands there is told before any work is done.
    assert!(job.plan(2).failure(4).contains("--overwrite"));
}

#[test]
fn damaged_shards_of_rasters_are_refused_and_named() {
    let cog = || {
        let large = ["-outsize", "1500", "1300"];
        let job = job(&["cog", "big.tif"], &[&["--blocksize", "128"]]).with("big.tif", "rgb.tif", &large);
        job.planned(3);
        job
    };
    let by_gdal = || {
        let job = job(&["warp", "rgb.tif"], &[&BLOCKS, &["--co", "COMPRESS=LZW"]]);
        job.planned(3);
        job
    };
    for job in [small(), cog(), by_gdal()] {
        assert_eq!(job.run("0-5", &[]).code.map(|code| code % 2), Some(0));
        assert_eq!(job.run("0-2", &[]).code, Some(0));
        let blocks = job.path("out.tif.shards/shard-00001/out.tif.blocks");
        let bytes = fs::read(&blocks).expect("blocks");
        for at in [10, bytes.len() / 3, bytes.len() - 60, bytes.len() - 30] {
            let mut wrong = bytes.clone();
            wrong[at] ^= 4;
            fs::write(&blocks, &wrong).expect("damaged");
            let refused = job.merge(&[]);
            let told = refused.failure(4);
            assert!(told.contains("shard-00001") && told.contains("make this shard anew"), "{at}: {told}");
            assert!(!job.path("out.tif").exists() && !job.path("out.tif.partial").exists());
        }
        fs::write(&blocks, &bytes[1..]).expect("cut");
        assert!(job.merge(&[]).failure(4).contains("lost some of its bytes"));
        // As it says.
        fs::remove_dir_all(blocks.parent().expect("a folder")).expect("removed");
        assert_eq!(job.merge(&[]).code, Some(6));
        assert_eq!(job.run("1", &[]).code, Some(0));
        assert_eq!(job.merge(&[]).code, Some(0));
        assert!(fs::read(job.path("out.tif")).expect("a file") == job.at_once());
    }
}

#[test]
fn inputs_of_rasters_that_changed_are_refused() {
    for line in [
        &["calc", "in.tif", "--expr", "A + 1"][..],
        &["warp", "in.tif", "-t_srs", "EPSG:3857"],
        &["cog", "in.tif"],
        // Of which only the grid is taken.
        &["calc", "rgb.tif", "--expr", "A", "--like", "in.tif"],
        &["warp", "rgb.tif", "--like", "in.tif"],
    ] {
        let job = job(line, &[]).with("in.tif", "rgb.tif", &[]);
        job.planned(1);
        let input = fs::OpenOptions::new().append(true).open(job.path("in.tif")).expect("opens");
        let modified = input.metadata().expect("a file").modified().expect("a time");
        input.set_modified(modified + Duration::from_secs(3)).expect("touched");
        let refused = job.run("0", &[]);
        assert!(refused.failure(3).contains("not what was planned"), "{refused:?}");
        input.set_modified(modified).expect("touched");
        assert_eq!(job.run("0", &[]).code, Some(0));
        input.set_modified(modified + Duration::from_secs(3)).expect("touched");
        assert!(job.merge(&[]).failure(3).contains("not what was planned"));
        assert!(!job.path("out.tif").exists());
    }
}

#[test]
fn colours_in_a_file_of_their_own_are_part_of_the_plan() {
    let job = Job::new(&["calc", "dem.tif", "--op", "color_relief(relief.txt)"]);
    let write = |colours: &str| fs::write(job.path("relief.txt"), colours).expect("written");
    write("0 0 0 0\n1000 255 255 255\n");
    job.planned(1);
    write("0 0 0 0\n1000 255 200 255\n");
    assert!(job.run("0", &[]).failure(3).contains("not what was planned"));
    write("0 0 0 0\n1000 255 255 255\n");
    assert_eq!(job.run("0", &[]).code, Some(0));
    assert_eq!(job.merge(&[]).code, Some(0));
}

#[test]
fn a_raster_shard_that_is_killed_leaves_nothing_that_counts() {
    let large = ["-outsize", "6000", "5000"];
    let job = job(&["cog", "big.tif"], &[&["--compress", "LZMA", "--memory", "600M"]])
        .with("big.tif", "rgb.tif", &large);
    job.planned(2);
    let mut command = program();
    command.args(["run", "plan.json", "-q", "--shard", "1"]).current_dir(job.dir.path());
    let mut child = command.stdout(Stdio::null()).spawn().expect("the program starts");
    let begun = Instant::now();
    let shards = job.path("out.tif.shards");
    let at_work = || names_in(&shards).iter().any(|name| !names_in(&shards.join(name)).is_empty());
    while !(shards.exists() && at_work()) && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(
        names_in(&shards).iter().all(|name| name.starts_with(".shard-00001-")),
        "{:?}",
        names_in(&shards)
    );
    assert_eq!(job.merge(&[]).code, Some(6));
    assert!(!job.path("out.tif").exists());
}

#[test]
fn what_strict_refuses_fails_its_shard_for_good() {
    let job = job(&["calc", "rgb.tif", "--expr", "A * 2", "--ot", "Byte", "--strict"], &[&BLOCKS]);
    job.planned(2);
    let codes: Vec<_> = ["0", "1"].iter().map(|shard| job.run(shard, &[]).code).collect();
    assert!(codes.contains(&Some(1)) && !codes.contains(&Some(75)), "{codes:?}");
    assert_eq!(job.merge(&[]).code, Some(6));
    // Without it the result is told to be clamped, whichever shard has counted what.
    let lax = self::job(&["calc", "rgb.tif", "--expr", "A * 2", "--ot", "Byte"], &[&BLOCKS]);
    lax.planned(3);
    assert_eq!(lax.run("0-2", &[]).code, Some(0));
    let merged = lax.merge(&[]);
    let single = lax.call(&["calc", &lax.words[1], "twice.tif", "--expr", "A * 2", "--ot", "Byte"]);
    let clamped = |run: &Run| run.out.lines().find(|l| l.contains("clamped")).map(str::to_owned);
    assert!(clamped(&merged).is_some() && clamped(&merged) == clamped(&single), "{merged:?} {single:?}");
}

#[test]
fn formats_that_have_no_parts_are_refused() {
    let job = Job::new(&["calc", "rgb.tif", "--expr", "A", "-f", "HFA"]);
    assert!(job.plan(1).failure(2).contains("only a GTiff can be made in shards"));
    let most = small().most();
    assert_eq!(most, 10);
}
