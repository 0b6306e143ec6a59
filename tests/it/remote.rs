//! Rasters on a server: the same tiles as from a file, and an error rather than a hole when the server fails.

mod server;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use server::{Answer, Server};

use crate::common::{names_in, read_tiles, run, succeed, testdata, tile};

/// A raster of many blocks, larger than what GDAL reads with the head of a file.
const RASTER: &str = "served.tif";

/// A folder with [`RASTER`] and a smaller raster.
fn served() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let mut command = std::process::Command::new("gdal_translate");
    command.args([
        "-q",
        "-outsize",
        "1500",
        "0",
        "-r",
        "bilinear",
        "-co",
        "TILED=YES",
        "-co",
        "BLOCKXSIZE=256",
    ]);
    command.args(["-co", "BLOCKYSIZE=256", "-co", "COMPRESS=DEFLATE"]);
    succeed(command.arg(testdata("rgb.tif")).arg(dir.path().join(RASTER)));
    dir
}

/// `tileloom tile` of an address, with short waits.
fn tile_remote(address: &str, output: &Path) -> crate::common::Run {
    let patience = ["--config", "GDAL_HTTP_RETRY_DELAY=0.05", "--config", "GDAL_HTTP_TIMEOUT=1"];
    let words = ["tile", address].into_iter().chain(patience).map(OsStr::new);
    run(words.chain([output.as_os_str(), OsStr::new("--quiet")]))
}

fn output_of(dir: &tempfile::TempDir) -> PathBuf {
    dir.path().join("remote.pmtiles")
}

#[test]
fn an_address_gives_the_tiles_of_the_file() {
    let (dir, out) = (served(), tempfile::tempdir().expect("a scratch folder"));
    let server = Server::start(dir.path().to_owned(), |_| Answer::Whole);
    let local = out.path().join("local.pmtiles");
    tile(&[&dir.path().join(RASTER)], &local, &[]);
    let address = server.address(RASTER);
    for (number, word) in [address.clone(), format!("/vsicurl/{address}")].into_iter().enumerate() {
        let remote = out.path().join(format!("remote{number}.pmtiles"));
        let run = tile_remote(&word, &remote);
        assert_eq!(run.code, Some(0), "{run:?}");
        assert!(server.asked() > 0, "the pixels came from the server");
        assert!(read_tiles(&local) == read_tiles(&remote), "{word}: other tiles");
    }
}

#[test]
fn a_raster_that_the_server_lacks_is_an_input_that_cannot_be_read() {
    let (dir, out) = (served(), tempfile::tempdir().expect("a scratch folder"));
    let server = Server::start(dir.path().to_owned(), |_| Answer::Whole);
    let run = tile_remote(&server.address("missing.tif"), &output_of(&out));
    let message = run.failure(3);
    assert!(message.contains("missing.tif"), "{message}");
    assert!(names_in(out.path()).is_empty());
}

/// Does something for each fault, side by side: most of the time is spent waiting.
fn for_each(faults: &[Answer], work: impl Fn(Answer) + Sync) {
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = faults.iter().map(|fault| scope.spawn(move || work(*fault))).collect();
        for thread in threads {
            thread.join().expect("each fault is met");
        }
    });
}

#[test]
fn what_a_server_fails_to_send_at_first_is_asked_for_again() {
    let dir = served();
    let local = dir.path().join("local.pmtiles");
    tile(&[&dir.path().join(RASTER)], &local, &[]);
    for_each(&[Answer::Status(500), Answer::Status(503), Answer::Dropped, Answer::Short], |fault| {
        let out = tempfile::tempdir().expect("a scratch folder");
        let answer = move |n: usize| if n.is_multiple_of(3) { fault } else { Answer::Whole };
        let server = Server::start(dir.path().to_owned(), answer);
        let run = tile_remote(&server.address(RASTER), &output_of(&out));
        assert_eq!(run.code, Some(0), "{fault:?}: {run:?}");
        assert!(read_tiles(&local) == read_tiles(&output_of(&out)), "{fault:?}: other tiles");
    });
}

#[test]
fn a_server_that_goes_on_failing_ends_the_run_and_leaves_nothing() {
    let dir = served();
    let faults = [Answer::Status(500), Answer::Status(403), Answer::Dropped, Answer::Short, Answer::Silence];
    for_each(&faults, |fault| {
        let out = tempfile::tempdir().expect("a scratch folder");
        let answer = move |n: usize| if n < 2 { Answer::Whole } else { fault };
        let server = Server::start(dir.path().to_owned(), answer);
        let run = tile_remote(&server.address(RASTER), &output_of(&out));
        let message = run.failure(3);
        assert!(message.contains(RASTER), "{fault:?}: {message}");
        assert!(names_in(out.path()).is_empty(), "{fault:?}: {:?}", names_in(out.path()));
    });
}

#[test]
fn a_planned_raster_that_has_another_etag_is_refused_for_good() {
    let dir = served();
    let tag = |text: &str| std::fs::write(dir.path().join(format!("{RASTER}.etag")), text).expect("written");
    for command in ["tile", "cog"] {
        tag("\"one\"");
        let out = tempfile::tempdir().expect("a scratch folder");
        let server = Server::start(dir.path().to_owned(), |_| Answer::Whole);
        let name = |name: &str| out.path().join(name).to_str().expect("UTF-8").to_owned();
        let (plan, output) = (name("plan.json"), name(if command == "tile" { "a.pmtiles" } else { "a.tif" }));
        let address = server.address(RASTER);
        let planned = run(["plan", command, &address, &output, "--shards", "2", "-o", &plan]);
        assert_eq!(planned.code, Some(0), "{planned:?}");
        let text = std::fs::read_to_string(&plan).expect("a plan");
        assert!(text.contains("bytes, ETag \\\"one\\\""), "{text}");
        let shard = |number: &str| run(["run", &plan, "-q", "--shard", number]);
        assert_eq!(shard("0").code, Some(0));
        tag("\"two\"");
        let refused = shard("1");
        assert!(refused.failure(3).contains("not what was planned"), "{refused:?}");
        tag("\"one\"");
        assert_eq!(shard("1").code, Some(0));
        // The very same bytes, by what the server says.
        let merged = run(["merge", &plan, "-q"]);
        assert_eq!(merged.code, Some(0), "{merged:?}");
    }
}
