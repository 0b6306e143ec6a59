//! Every kind of failure: its exit code, one line that says what to do, and nothing left behind.

use super::*;
use crate::common::raster::{Spec, write};

const NAMES: [&str; 4] = ["set", "set.mbtiles", "set.pmtiles", "set.tar"];

#[test]
fn wrong_usage_is_refused_before_anything_is_touched() {
    for options in [
        &["-z", "31"][..],
        &["-z", "12-5"],
        &["-z", "high"],
        &["-z", "5-6-7"],
        &["--min-zoom", "9", "--max-zoom", "3"],
        &["--min-zoom", "31"],
        &["-z", "3", "--max-zoom", "9"],
        &["-r", "wave"],
        &["--overview-resampling", "wave"],
        &["--bbox", "20,40,10,50,60"],
        &["--bbox", "10,50,20,40"],
        &["--bbox", "10,40,10,50"],
        &["--bbox", "-200,40,10,50"],
        &["--bbox", "here"],
        &["--tile-size", "300"],
        &["--tile-size", "0"],
        &["--scale", "5,1"],
        &["--scale", "5"],
        &["--scale", "nan,1"],
        &["--convention", "zyx"],
        &["--threads", "0"],
        &["--readers", "0"],
        &["-j", "100000"],
        &["--memory", "lots"],
        &["--memory", "0"],
        &["--config", "nonsense"],
        &["--src-nodata", "nothing"],
        &["--src-nodata", "none", "--src-nodata", "0"],
        &["--a-ullr", "1", "2", "3"],
        &["--progress", "loud"],
        &["--no-such-option"],
    ] {
        let dir = scratch();
        let run = tile_to(dir.path(), "striped.tif", "set.pmtiles", options);
        assert_eq!(run.code, Some(2), "{options:?}: {run:?}");
        assert!(run.out.is_empty() && !run.err.trim().is_empty(), "{options:?}: {run:?}");
        assert!(!run.err.contains("panicked"), "{options:?}: {run:?}");
        assert!(names_in(dir.path()).is_empty(), "{options:?}");
    }
    // As far as the program words it itself, in one line.
    let dir = scratch();
    for (options, word) in [
        (&["--bbox", "10,50,20,40"][..], "WEST,SOUTH,EAST,NORTH"),
        (&["--tile-size", "300"], "256 or 512"),
        (&["--min-zoom", "9", "--max-zoom", "3"], "9"),
        (&["--config", "nonsense"], "KEY=VALUE"),
    ] {
        let run = tile_to(dir.path(), "striped.tif", "set", options);
        assert!(run.failure(2).contains(word), "{run:?}");
    }
    assert_eq!(run(["tile", "only-one-path"]).failure(2), "tileloom: give at least one input and an output");
    assert_eq!(run(["weave"]).code, Some(2));
    assert_eq!(run::<&str>([]).code, Some(2));
    assert_eq!(run(["--version"]).out.trim(), concat!("tileloom ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn inputs_that_cannot_be_tiled_are_named_with_the_reason() {
    let dir = scratch();
    let text = dir.path().join("letter.tif");
    std::fs::write(&text, "Dear reader, this is no raster.").expect("written");
    let empty = dir.path().join("empty.tif");
    std::fs::write(&empty, "").expect("written");
    let made = [text.to_str().expect("UTF-8"), empty.to_str().expect("UTF-8")];
    let ullr = |ulx, uly, lrx, lry| ["--src-crs", "EPSG:4326", "--a-ullr", ulx, uly, lrx, lry];
    let mars = "+proj=longlat +a=3396190 +b=3376200 +no_defs";
    for (input, options, words) in [
        ("no-such-file.tif", &[][..], &["o such file"][..]),
        (made[0], &[], &["not recognized"]),
        (made[1], &[], &["not recognized"]),
        ("truncated.tif", &[], &["cannot read", "row"]),
        ("complex.tif", &[], &["complex"]),
        ("unreferenced.tif", &[], &["--src-crs", "--a-ullr", "--tiling-scheme raster"]),
        ("unreferenced.tif", &ullr("0", "0", "1", "1")[2..], &["--src-crs"]),
        ("all_nodata.tif", &[], &["holds no data"]),
        ("int16.tif", &["--scale", "0,9", "--src-nodata", "nan", "--bbox", "1,2,3,4"], &["--bbox"]),
        ("all_nodata.tif", &["--scale", "0,9"], &["holds no data"]),
        ("unreferenced.tif", &ullr("0", "-86", "10", "-89"), &["Web Mercator"]),
        ("rgb.tif", &["--bbox", "100,10,110,20"], &["--bbox"]),
        ("rgb.tif", &["--src-crs", mars], &["celestial body", "3396 km"]),
        ("rgb.tif", &["--src-nodata", "1,2"], &["2 values for 3 bands"]),
    ] {
        for name in NAMES {
            let folder = scratch();
            let run = tile_to(folder.path(), input, name, options);
            let line = run.failure(3);
            assert!(line.contains(input), "the file is not named: {line}");
            assert!(words.iter().all(|w| line.contains(w)), "{words:?} not in: {line}");
            assert!(names_in(folder.path()).is_empty(), "{input} left {:?}", names_in(folder.path()));
        }
        // A dry run fails alike, where planning alone can tell.
        let run = tile_to(dir.path(), input, "set.pmtiles", &[options, &["--dry-run"]].concat());
        assert!(run.code == Some(3) || (run.code == Some(0) && input != "no-such-file.tif"), "{run:?}");
        assert!(!dir.path().join("set.pmtiles").exists());
    }
}

#[test]
fn an_unknown_crs_is_refused() {
    let dir = scratch();
    for definition in ["EPSG:999999", "nonsense", ""] {
        let run = tile_to(dir.path(), "rgb.tif", "set", &["--src-crs", definition]);
        assert!(run.code == Some(2) || run.code == Some(3), "{run:?}");
        let line = run.failure(run.code.unwrap_or_default());
        assert!(line.contains("CRS"), "{line}");
        assert!(names_in(dir.path()).is_empty());
    }
}

#[test]
fn one_bad_input_among_good_ones_fails_the_run() {
    let dir = scratch();
    for bad in ["truncated.tif", "complex.tif", "no-such-file.tif"] {
        let (good, bad, output) = (testdata("striped.tif"), testdata(bad), dir.path().join("set.mbtiles"));
        let run = run([Path::new("tile"), &good, &bad, &output]);
        assert!(run.failure(3).contains(bad.to_str().expect("UTF-8")), "{run:?}");
        assert!(names_in(dir.path()).is_empty());
    }
}

#[test]
fn outputs_that_cannot_be_written_are_named_with_the_reason() {
    for name in NAMES {
        let dir = scratch();
        let missing = format!("no/such/folder/{name}");
        let line = tile_to(dir.path(), "int8.tif", &missing, &[]);
        assert!(line.failure(4).contains("no/such/folder"), "{line:?}");
        let line = tile_to(dir.path(), "int8.tif", name, &["--tmp-dir", "/no/such/folder"]);
        if name == "set" && line.code == Some(0) {
            continue;
        }
        assert!(line.failure(4).contains("/no/such/folder"), "{line:?}");
        assert!(names_in(dir.path()).is_empty(), "{name}");
    }
    let dir = scratch();
    for name in ["set.tif", "set.png", "set.zip"] {
        let line = tile_to(dir.path(), "int8.tif", name, &[]);
        assert!(line.failure(2).contains(".mbtiles, .pmtiles or .tar"), "{line:?}");
    }
    // What stands there is kept, asked or not.
    std::fs::create_dir(dir.path().join("holiday")).expect("folder");
    std::fs::write(dir.path().join("holiday/photo.jpg"), "sea").expect("file");
    std::fs::create_dir(dir.path().join("set.mbtiles")).expect("folder");
    std::fs::write(dir.path().join("file"), "no folder").expect("file");
    for name in ["holiday", "set.mbtiles", "file"] {
        for options in [&[][..], &["--overwrite"]] {
            tile_to(dir.path(), "int8.tif", name, options).failure(4);
        }
    }
    assert_eq!(names_in(dir.path()), ["file", "holiday", "set.mbtiles"]);
    assert_eq!(std::fs::read(dir.path().join("holiday/photo.jpg")).expect("file"), b"sea");
}

/// The amount in `--memory …M` of a message.
fn amount(line: &str) -> u32 {
    let last = line.rsplit("--memory ").next().expect("an amount");
    let digits: String = last.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no amount: {line}"))
}

#[test]
fn too_little_memory_is_told_with_the_least_that_would_do() {
    for (input, options) in [
        ("rgb.tif", &["-j", "2", "--readers", "2"][..]),
        ("dem.tif", &["-j", "1", "--readers", "1"]),
        ("rgb.tif", &["--tile-size", "512", "-z", "9-13", "-r", "lanczos", "--readers", "3"]),
    ] {
        let dir = scratch();
        let with = |memory: &str| {
            tile_to(dir.path(), input, "set.pmtiles", &[options, &["--memory", memory]].concat())
        };
        let refused = with("20M");
        let least = amount(refused.failure(1));
        assert!((21..400).contains(&least), "{refused:?}");
        assert!(names_in(dir.path()).is_empty());
        assert_eq!(amount(with(&format!("{}M", least - 1)).failure(1)), least);
        let run = with(&format!("{least}M"));
        assert_eq!(run.code, Some(0), "{run:?}");
    }
}

#[test]
fn blocks_too_large_for_the_memory_are_refused_before_they_are_read() {
    let dir = scratch();
    let size = (4000, 4500);
    let spec = Spec {
        size,
        crs: Some(32633),
        geotransform: Some([507_340.0, 5.0, 0.0, 5_408_220.0, 0.0, -5.0]),
        options: &["TILED=YES", "BLOCKXSIZE=4096", "BLOCKYSIZE=4096", "COMPRESS=DEFLATE", "PHOTOMETRIC=RGB"],
        ..Spec::default()
    };
    let input = dir.path().join("block.tif");
    write(&input, &spec, vec![vec![7u8; size.0 * size.1]; 3]).expect("written");
    let input = input.to_str().expect("UTF-8");
    let folder = scratch();
    let with = |memory: &str| {
        tile_to(folder.path(), input, "set.pmtiles", &["--memory", memory, "-z", "9-10", "-j", "1"])
    };
    let refused = with("128M");
    let code = refused.code.unwrap_or_default();
    assert!(code == 1 || code == 3, "{refused:?}");
    let mut least = amount(refused.failure(code));
    // The second message, if there is one, knows all of the job.
    let mut run = with(&format!("{least}M"));
    if run.code == Some(1) {
        least = amount(run.failure(1));
        run = with(&format!("{least}M"));
    }
    assert_eq!(run.code, Some(0), "{least}: {run:?}");
}
