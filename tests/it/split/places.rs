//! Where chips lie: sizes, strides, edges, grids, footprints, and how much data they need.

use super::*;
use crate::common::raster::{Spec, write};

/// Windows of the chips in a folder.
fn windows(folder: &Path) -> Vec<[i64; 4]> {
    index(folder).iter().map(window).collect()
}

/// Cuts `rgb.tif`, of 700 × 600 pixels of 5 m, and returns the windows.
fn cut(options: &[&str]) -> Vec<[i64; 4]> {
    let dir = scratch();
    let out = dir.path().join("chips");
    split(&[&path("rgb.tif")], &out, options);
    windows(&out)
}

#[test]
fn sizes_strides_and_edges_are_what_was_asked_for() {
    let of = |x: &[i64], y: &[i64], w: i64, h: i64| -> Vec<[i64; 4]> {
        y.iter().flat_map(|y| x.iter().map(move |x| [*x, *y, w, h])).collect()
    };
    assert_eq!(cut(&["--size", "350,300"]), of(&[0, 350], &[0, 300], 350, 300));
    assert_eq!(cut(&["-ps", "350", "300"]), of(&[0, 350], &[0, 300], 350, 300));
    assert_eq!(cut(&["--size", "400", "--edges", "shift"]), of(&[0, 300], &[0, 200], 400, 400));
    assert_eq!(cut(&["--size", "400", "--edges", "pad"]), of(&[0, 400], &[0, 400], 400, 400));
    assert_eq!(cut(&["--size", "400", "--edges", "drop"]), of(&[0], &[0], 400, 400));
    assert_eq!(
        cut(&["--size", "300", "--overlap", "100", "--edges", "drop"]),
        of(&[0, 200, 400], &[0, 200], 300, 300)
    );
    assert_eq!(
        cut(&["--size", "100", "--stride", "300", "--edges", "drop"]),
        of(&[0, 300, 600], &[0, 300], 100, 100)
    );
    // 5 m a pixel.
    assert_eq!(cut(&["--size", "1750,1500", "--units", "ground"]), of(&[0, 350], &[0, 300], 350, 300));
    let grid = cut(&["--grid", "3x4"]);
    assert_eq!((grid.len(), grid[1], grid[11]), (12, [233, 0, 233, 150], [466, 450, 234, 150]));
}

#[test]
fn features_make_chips_around_them_or_with_them_in_the_middle() {
    let dir = scratch();
    let (first, again, sized) =
        (dir.path().join("first"), dir.path().join("again"), dir.path().join("sized"));
    split(&[&path("rgb.tif")], &first, &["--size", "230", "--overlap", "30"]);
    let index = first.join("index.geojson").to_string_lossy().into_owned();
    // The outlines of chips, in degrees, are footprints that make the same chips.
    split(&[&path("rgb.tif")], &again, &["--footprints", &index]);
    assert_eq!(windows(&again), windows(&first));
    let middle = |[x, y, w, h]: [i64; 4]| [x + w / 2, y + h / 2];
    split(&[&path("rgb.tif")], &sized, &["--footprints", &index, "--size", "64", "--edges", "pad"]);
    for (ours, theirs) in windows(&sized).into_iter().zip(windows(&first)) {
        assert_eq!((ours[2], ours[3]), (64, 64));
        let ([x, y], [u, v]) = (middle(ours), middle(theirs));
        assert!((x - u).abs() <= 1 && (y - v).abs() <= 1, "{ours:?} {theirs:?}");
    }
    let one = attempt(
        &[&path("rgb.tif")],
        &dir.path().join("one"),
        &["--footprints", &index, "--footprints-where", "row = 1 AND \"column\" = 2"],
    );
    assert_eq!((one.code, one.json()["chips"].as_u64()), (Some(0), Some(1)), "{one:?}");
}

#[test]
fn chips_with_too_little_data_are_left_out() {
    let dir = scratch();
    let (input, out) = (dir.path().join("half.tif"), dir.path().join("chips"));
    let spec = Spec {
        size: (100, 100),
        nodata: Some(0.0),
        crs: Some(32633),
        geotransform: Some([5e5, 1.0, 0.0, 5e6, 0.0, -1.0]),
        ..Spec::default()
    };
    // Data in the left 35 columns.
    let values = (0..10_000).map(|k| u8::from(k % 100 < 35)).collect::<Vec<_>>();
    write(&input, &spec, vec![values]).expect("written");
    let options = ["--size", "50", "--overwrite", "--min-valid"];
    for (share, kept, skipped) in [("0", 4, 0), ("0.01", 2, 2), ("0.7", 2, 2), ("0.3", 2, 2)] {
        let report = split(&[&input], &out, &[&options[..], &[share]].concat());
        assert_eq!(
            (report["chips"].as_u64(), report["skipped"].as_u64()),
            (Some(kept), Some(skipped)),
            "{share}"
        );
    }
    assert!(index(&out).iter().all(|chip| chip["valid"] == "0.7"), "{:?}", index(&out));
    let run = attempt(&[&input], &out, &[&options[..], &["0.71"]].concat());
    assert!(run.failure(3).contains("--min-valid"), "{run:?}");
    assert_eq!(names_in(dir.path()), ["chips", "half.tif"]);
}

#[test]
fn outlines_lie_where_gdal_says_chips_do() {
    let dir = scratch();
    let out = dir.path().join("chips");
    split(&[&path("rgb.tif")], &out, &["--size", "400"]);
    let text = std::fs::read_to_string(out.join("index.geojson")).expect("an index");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    for feature in all["features"].as_array().expect("features") {
        let file = feature["properties"]["file"].as_str().expect("a file");
        let info = succeed(Command::new("gdalinfo").arg("-json").arg(out.join(file)));
        let info: Value = serde_json::from_str(&info).expect("JSON");
        let box_of = |ring: &Value| {
            let points = ring.as_array().expect("points");
            let along = |k: usize| points.iter().map(move |p| p[k].as_f64().expect("a number"));
            [0, 1]
                .map(|k| (along(k).fold(f64::INFINITY, f64::min), along(k).fold(f64::NEG_INFINITY, f64::max)))
        };
        let ours = box_of(&feature["geometry"]["coordinates"][0]);
        let theirs = box_of(&info["wgs84Extent"]["coordinates"][0]);
        for (a, b) in ours.iter().zip(theirs) {
            assert!((a.0 - b.0).abs() < 1e-6 && (a.1 - b.1).abs() < 1e-6, "{file}: {ours:?} {theirs:?}");
        }
    }
}

#[test]
fn neither_threads_nor_memory_make_a_difference() {
    let dir = scratch();
    let out = |name: &str| dir.path().join(name);
    let options = ["--size", "90", "--overlap", "17", "--shards", "7", "--subsets", "train=3,val=1"];
    let input = path("striped.tif");
    split(&[&input], &out("a"), &[&options[..], &["-j", "1", "--readers", "1"]].concat());
    split(&[&input], &out("b"), &[&options[..], &["-j", "4", "--readers", "3", "--memory", "120M"]].concat());
    assert!(contents(&out("a")) == contents(&out("b")));
    split(&[&input], &out("c"), &["--size", "90", "-f", "PNG", "-j", "1"]);
    split(&[&input], &out("d"), &["--size", "90", "-f", "PNG", "-j", "3"]);
    assert!(contents(&out("c")) == contents(&out("d")));
}

#[test]
fn names_follow_the_template() {
    let dir = scratch();
    let out = dir.path().join("chips");
    split(
        &[&path("rgb.tif")],
        &out,
        &["--size", "350,300", "--name", "{row}/c{column}_{x}_{y}", "--index", "none"],
    );
    assert_eq!(names_in(&out), ["0", "1", "chips.json"]);
    assert_eq!(names_in(&out.join("1")), ["c0_000_300.tif", "c1_350_300.tif"]);
}

#[test]
fn a_killed_run_is_gone_on_with_to_the_same_bytes() {
    let dir = scratch();
    let out = |name: &str| dir.path().join(name);
    for (kind, options) in [("files", &["--size", "8"][..]), ("shards", &["--size", "8", "--shards", "500"])]
    {
        let (whole, part) = (out(&format!("{kind}-whole")), out(&format!("{kind}-part")));
        split(&[&path("rgb.tif")], &whole, options);
        let mut child = crate::common::program()
            .args(["split", "--quiet", "--resume"])
            .arg(path("rgb.tif"))
            .arg(&part)
            .args(options)
            .spawn()
            .expect("starts");
        let journal = dir.path().join(format!("{kind}-part.partial-done"));
        let noted = || std::fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
        while noted() < 200 && child.try_wait().expect("a child").is_none() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert!(!part.exists(), "the run was over before it was killed");
        let other = attempt(&[&path("dem.tif")], &part, &[&["--resume"], options].concat());
        assert!(other.failure(4).contains("another job"), "{other:?}");
        let report = split(&[&path("rgb.tif")], &part, &[&["--resume", "-j", "3"], options].concat());
        assert!(report["resumed"].as_u64().is_some_and(|n| n >= 100), "{report}");
        assert!(contents(&part) == contents(&whole), "{kind}");
    }
    assert_eq!(names_in(dir.path()), ["files-part", "files-whole", "shards-part", "shards-whole"]);
}
