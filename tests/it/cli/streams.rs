//! What goes to standard output and standard error.

use std::process::{Command, Stdio};

use super::*;

#[test]
fn json_is_all_that_is_on_standard_output() {
    let dir = scratch();
    let report = tile_to(dir.path(), "rgb16.tif", "set", &["--json", "--stats", "--progress", "json", "-v"]);
    assert_eq!(report.code, Some(0));
    let json = report.json();
    for key in
        ["output", "container", "min_zoom", "max_zoom", "tiles", "empty", "duplicates", "bytes", "bounds"]
    {
        assert!(!json[key].is_null(), "{key}: {json}");
    }
    assert!(json["guesses"].as_array().expect("a list").iter().any(|g| g.to_string().contains("--scale")));
    assert!(json["versions"]["gdal"].is_string() && json["seconds"].is_f64());
    for line in report.err.lines().filter(|l| l.starts_with('{')) {
        let event: serde_json::Value = serde_json::from_str(line).expect("a JSON line");
        assert_eq!(event["event"], "progress");
    }
    let plan = tile_to(dir.path(), "rgb16.tif", "other", &["--json", "--dry-run"]);
    assert!(plan.json()["bytes"].is_u64());
    let input = testdata("rgb16.tif");
    let info = run(["info", "--json", input.to_str().expect("UTF-8")]).json();
    assert_eq!((&info["driver"], &info["bands"][0]["sample_type"]), (&"GTiff".into(), &"uint16".into()));
    let info = run(["info", "--json", testdata("complex.tif").to_str().expect("UTF-8")]).json();
    assert!(info["tile"]["error"].as_str().expect("a reason").contains("complex"));
}

#[test]
fn failures_with_json_leave_standard_output_empty() {
    let dir = scratch();
    tile_to(dir.path(), "truncated.tif", "set", &["--json"]).failure(3);
}

#[test]
fn quiet_runs_are_silent() {
    let dir = scratch();
    for name in ["set", "set.mbtiles", "set.pmtiles"] {
        let run = tile_to(dir.path(), "rgb.tif", name, &["--quiet"]);
        assert_eq!((run.code, run.out.as_str(), run.err.as_str()), (Some(0), "", ""));
    }
    let run = tile_to(dir.path(), "truncated.tif", "other", &["-q"]);
    run.failure(3);
}

#[test]
fn every_guess_is_said_with_the_option_that_repeats_it() {
    let dir = scratch();
    let run = tile_to(dir.path(), "dem.tif", "set", &[]);
    let guesses: Vec<_> = run.out.lines().filter_map(|l| l.strip_prefix("chosen: ")).collect();
    let options: Vec<&str> =
        guesses.iter().filter_map(|g| g.rsplit_once('(')).map(|(_, o)| o.trim_end_matches(')')).collect();
    assert!(options.iter().any(|o| o.starts_with("-z ")), "{guesses:?}");
    assert!(options.iter().any(|o| o.starts_with("--scale ")), "{guesses:?}");
    let options: Vec<&str> = options.iter().flat_map(|o| o.split_whitespace()).collect();
    let again = tile_to(dir.path(), "dem.tif", "again", &options);
    assert!(!again.out.contains("chosen: "), "{again:?}");
    let read = |name: &str| crate::common::read_tiles(&dir.path().join(name));
    assert!(read("set") == read("again"));
}

#[test]
fn closed_and_broken_streams_do_no_harm() {
    let dir = scratch();
    let shell = |script: &str| {
        let mut command = Command::new("sh");
        command
            .args(["-c", script, env!("CARGO_BIN_EXE_tileloom")])
            .arg(testdata("int8.tif"))
            .arg(dir.path());
        command.stdin(Stdio::null()).output().expect("a shell")
    };
    for script in [
        r#""$0" tile "$1" "$2/a" <&- >&- 2>&-"#,
        r#""$0" tile "$1" "$2/b" --json <&- >&-"#,
        r#"{ "$0" tile "$1" "$2/c" --json; echo $? > "$2/code"; } | true; test "$(cat "$2/code")" = 0"#,
        r#"{ "$0" tile "$1" "$2/d" --progress plain --stats; } 2>&1 | head -c 1 > /dev/null"#,
    ] {
        let ended = shell(script);
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success() && !error.contains("panicked"), "{script}: {error}");
    }
    for set in ["a", "b", "c", "d"] {
        assert!(dir.path().join(set).join("tilejson.json").exists(), "{set}");
    }
    // A full disk behind standard output is worth an error.
    let ended = shell(r#""$0" tile "$1" "$2/e" --json > /dev/full"#);
    assert_eq!(ended.status.code(), Some(4), "{}", String::from_utf8_lossy(&ended.stderr));
}
