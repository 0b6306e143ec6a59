//! Stopped runs end with the code shells expect and leave nothing.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_stopped_run_says_so_and_leaves_nothing() {
    for (signal, code, name) in
        [("TERM", 143, "set.pmtiles"), ("INT", 130, "set"), ("TERM", 143, "set.mbtiles")]
    {
        let dir = scratch();
        let output = dir.path().join(name);
        let mut child = program()
            .args(["tile", "-z", "9-20"])
            .args([&testdata("rgb.tif"), &output])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let begun = Instant::now();
        while names_in(dir.path()).iter().all(|n| n.ends_with("-lock")) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{name}: nothing is being written");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(300));
        let kill = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(kill.expect("kill").success());
        let begun = Instant::now();
        while child.try_wait().expect("a child").is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{name}: does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        let ended = child.wait_with_output().expect("ended");
        let error = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{name}: {error}");
        assert!(error.lines().last().is_some_and(|l| l.starts_with("tileloom: stopped by")), "{error}");
        assert!(ended.stdout.is_empty());
        assert!(names_in(dir.path()).is_empty(), "{name}: {:?}", names_in(dir.path()));
    }
}
