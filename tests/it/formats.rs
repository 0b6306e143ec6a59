//! Tile formats from end to end: JPEG and WebP beside PNG, read back by decoders nobody here wrote.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tileloom::grid::TileCoord;

use crate::common::{Picture, Run, names_in, pictures, read_tiles, run, succeed, testdata, tile};

const NAMES: [&str; 3] = ["set", "set.mbtiles", "set.pmtiles"];

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// The pixels of a JPEG or WebP, and whether it is lossless.
fn decode(bytes: &[u8]) -> (Picture, bool) {
    if bytes.starts_with(&[0xff, 0xd8]) {
        let mut decoder = zune_jpeg::JpegDecoder::new(std::io::Cursor::new(bytes));
        let samples = decoder.decode().expect("a JPEG");
        let (width, height) = decoder.dimensions().expect("a size");
        let bands = samples.len() / (width * height);
        let pixel = |c: &[u8]| if bands == 1 { [c[0], c[0], c[0], 255] } else { [c[0], c[1], c[2], 255] };
        return (Picture { side: width, pixels: samples.chunks_exact(bands).map(pixel).collect() }, false);
    }
    let mut decoder = image_webp::WebPDecoder::new(std::io::Cursor::new(bytes)).expect("a WebP");
    let mut samples = vec![0; decoder.output_buffer_size().expect("a size")];
    decoder.read_image(&mut samples).expect("pixels");
    let bands = if decoder.has_alpha() { 4 } else { 3 };
    let pixel = |c: &[u8]| [c[0], c[1], c[2], if bands == 4 { c[3] } else { 255 }];
    let side = decoder.dimensions().0 as usize;
    (Picture { side, pixels: samples.chunks_exact(bands).map(pixel).collect() }, !decoder.is_lossy())
}

fn decoded(path: &Path) -> BTreeMap<TileCoord, (Picture, bool)> {
    read_tiles(path).iter().map(|(tile, bytes)| (*tile, decode(bytes))).collect()
}

/// Makes a set of a file of `testdata/` and returns its path with the report.
fn set(folder: &TempDir, file: &str, name: &str, options: &[&str]) -> (PathBuf, Value) {
    let output = folder.path().join(name);
    let report = tile(&[&testdata(file)], &output, options);
    (output, report)
}

/// The bytes of a PMTiles archive.
fn bytes(folder: &TempDir, file: &str, options: &[&str]) -> Vec<u8> {
    let (path, _) = set(folder, file, "set.pmtiles", &[options, &["--overwrite"]].concat());
    std::fs::read(path).expect("archive")
}

fn refused(options: &[&str]) -> Run {
    let dir = scratch();
    let (input, output) = (testdata("rgb.tif"), dir.path().join("set.pmtiles"));
    let paths = [input.to_str().expect("UTF-8"), output.to_str().expect("UTF-8")];
    let run = run(["tile"].iter().chain(&paths).chain(options));
    assert_eq!(run.code, Some(2), "{options:?}: {run:?}");
    assert!(run.out.is_empty() && !run.err.contains("panicked"), "{options:?}: {run:?}");
    assert!(names_in(dir.path()).is_empty(), "{options:?}");
    run
}

#[test]
fn every_container_says_which_format_its_tiles_have() {
    for (format, options, extension, kind, magic) in [
        ("jpg", &["-f", "jpg"][..], "jpg", 3, &[0xff, 0xd8, 0xff][..]),
        ("webp", &["-f", "webp"], "webp", 4, b"RIFF"),
        ("webp", &["-f", "webp", "--lossless"], "webp", 4, b"RIFF"),
        ("png", &["-f", "png"], "png", 2, b"\x89PNG"),
    ] {
        let dir = scratch();
        let sets = NAMES.map(|name| {
            let (path, _) = set(&dir, "rgb.tif", name, options);
            (read_tiles(&path), path)
        });
        assert!(sets[0].0.len() > 5 && sets[0].0 == sets[1].0 && sets[0].0 == sets[2].0, "{format}");
        assert!(sets[0].0.values().all(|bytes| bytes.starts_with(magic)), "{format}");

        let text = std::fs::read_to_string(sets[0].1.join("tilejson.json")).expect("TileJSON");
        let json: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(json["format"], extension);
        assert_eq!(json["tiles"][0], format!("{{z}}/{{x}}/{{y}}.{extension}"));
        let tile = sets[0].0.keys().next().expect("tiles");
        let file = sets[0].1.join(format!("{}/{}/{}.{extension}", tile.z, tile.x, tile.y));
        assert!(file.exists(), "{}", file.display());

        let db = rusqlite::Connection::open(&sets[1].1).expect("opened");
        let sql = "SELECT value FROM metadata WHERE name = 'format'";
        assert_eq!(db.query_row(sql, [], |row| row.get::<_, String>(0)).expect("format"), extension);
        // The tile type stands at byte 99 of the header.
        assert_eq!(std::fs::read(&sets[2].1).expect("archive")[99], kind);
    }
}

#[test]
fn gdal_reads_tiles_and_archives_of_each_format() {
    let dir = scratch();
    for (format, driver) in [("jpg", "JPEG"), ("webp", "WEBP")] {
        let (folder, _) = set(&dir, "rgb.tif", "set", &["-f", format, "-z", "14", "--overwrite"]);
        let first = read_tiles(&folder);
        let (first, pixels) = first.first_key_value().expect("tiles");
        let file = folder.join(format!("14/{}/{}.{format}", first.x, first.y));
        let info = succeed(Command::new("gdalinfo").args(["-json", "-checksum"]).arg(&file));
        let info: Value = serde_json::from_str(&info).expect("JSON");
        assert_eq!((&info["driverShortName"], &info["size"][0]), (&Value::from(driver), &Value::from(256)));
        let found = decode(pixels).0;
        let at = |x: usize, y: usize| {
            let mut command = Command::new("gdallocationinfo");
            let text = succeed(command.arg("-valonly").arg(&file).args([x.to_string(), y.to_string()]));
            text.split_whitespace().take(3).map(|v| v.parse::<u8>().expect("a value")).collect::<Vec<_>>()
        };
        for (x, y) in [(255, 255), (200, 230)] {
            let near = at(x, y).iter().zip(found.at(x, y)).all(|(a, b)| a.abs_diff(b) < 12);
            assert!(near, "{format}: {:?} in GDAL, {:?} in Rust", at(x, y), found.at(x, y));
        }
        let (archive, _) = set(&dir, "rgb.tif", "set.mbtiles", &["-f", format, "--overwrite"]);
        let info = succeed(Command::new("gdalinfo").args(["-json", "-checksum"]).arg(&archive));
        let info: Value = serde_json::from_str(&info).expect("JSON");
        assert_eq!(info["metadata"][""]["format"], format);
    }
}

#[test]
fn lossless_webp_has_the_pixels_of_png() {
    let dir = scratch();
    for file in ["rgb.tif", "rgba.tif", "landcover.tif", "dem.tif", "mask_inside.tif"] {
        let (png, _) = set(&dir, file, "png.pmtiles", &["--overwrite"]);
        let (webp, _) = set(&dir, file, "webp.pmtiles", &["-f", "webp", "--lossless", "--overwrite"]);
        let (png, webp) = (pictures(&png), decoded(&webp));
        assert_eq!(png.keys().collect::<Vec<_>>(), webp.keys().collect::<Vec<_>>());
        for (tile, (picture, lossless)) in &webp {
            assert!(*lossless && *picture == png[tile], "{file}: {tile}");
        }
    }
}

/// Peak signal-to-noise ratio over pixels that are opaque in the PNG.
fn likeness(png: &BTreeMap<TileCoord, Picture>, other: &BTreeMap<TileCoord, (Picture, bool)>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (tile, picture) in png {
        for (a, b) in picture.pixels.iter().zip(&other[tile].0.pixels).filter(|(a, _)| a[3] == 255) {
            sum += (0..3).map(|band| f64::from(a[band].abs_diff(b[band])).powi(2)).sum::<f64>();
            count += 3.0;
        }
    }
    10.0 * (255.0 * 255.0 * count / sum).log10()
}

#[test]
fn lossy_tiles_are_like_those_of_png_and_more_so_with_quality() {
    let dir = scratch();
    for (file, floor) in [("rgb.tif", 30.0), ("dem.tif", 34.0)] {
        let (png, _) = set(&dir, file, "png.pmtiles", &["--overwrite"]);
        let png = pictures(&png);
        for format in ["jpg", "webp"] {
            let mut last = (0.0, 0);
            for quality in ["20", "75", "95"] {
                let options = ["-f", format, "--quality", quality, "--overwrite"];
                let (path, report) = set(&dir, file, "set.pmtiles", &options);
                let likeness = likeness(&png, &decoded(&path));
                let size = report["bytes"].as_u64().expect("bytes");
                println!("{file} {format} {quality}: {likeness:.2} dB, {size} bytes");
                assert!(likeness > last.0 && size > last.1, "{file}: {format} {quality}: {likeness} dB");
                assert!(quality == "20" || likeness > floor, "{file}: {format} {quality}: {likeness} dB");
                last = (likeness, size);
            }
        }
    }
}

#[test]
fn lossy_webp_keeps_opacity_and_auto_is_lossless_where_there_is_some() {
    let dir = scratch();
    let zooms = ["-z", "13-15"];
    let (png, _) = set(&dir, "rgb.tif", "png.pmtiles", &zooms);
    let (lossy, _) = set(&dir, "rgb.tif", "lossy.pmtiles", &[&zooms[..], &["-f", "webp"]].concat());
    let (auto, _) =
        set(&dir, "rgb.tif", "auto.pmtiles", &[&zooms[..], &["-f", "webp", "--lossless=auto"]].concat());
    let (png, lossy, auto) = (pictures(&png), decoded(&lossy), decoded(&auto));
    let opaque = |picture: &Picture| picture.pixels.iter().all(|p| p[3] == 255);
    let mut seen = [false; 2];
    for (tile, expected) in &png {
        assert!(lossy[tile].0.pixels.iter().map(|p| p[3]).eq(expected.pixels.iter().map(|p| p[3])), "{tile}");
        assert!(!lossy[tile].1, "{tile}");
        seen[usize::from(opaque(expected))] = true;
        if opaque(expected) {
            assert!(auto[tile] == lossy[tile], "{tile}");
        } else {
            assert!(auto[tile].1 && auto[tile].0 == *expected, "{tile}");
        }
    }
    assert_eq!(seen, [true; 2], "the raster has tiles of both kinds");
}

#[test]
fn transparent_pixels_of_jpeg_take_the_background() {
    let dir = scratch();
    let (png, _) = set(&dir, "rgba.tif", "png.pmtiles", &[]);
    let png = pictures(&png);
    for (options, colour, told) in [
        (&[][..], [255u8; 3], true),
        (&["--background", "0,0,200"], [0, 0, 200], false),
        (&["--background", "#ff8000"], [255, 128, 0], false),
    ] {
        let options = [&["-f", "jpg", "--quality", "95", "--overwrite"], options].concat();
        let (path, report) = set(&dir, "rgba.tif", "set.pmtiles", &options);
        let guesses = report["guesses"].to_string();
        assert_eq!(guesses.contains("--background"), told, "{guesses}");
        let jpg = decoded(&path);
        let mut clear = 0;
        for (tile, picture) in &png {
            // Whole blocks of the codec only: along the edge it spreads colours.
            for (x, y) in (0..256).map(|block| (block % 16 * 16, block / 16 * 16)) {
                if (0..256).all(|k| picture.at(x + k % 16, y + k / 16)[3] == 0) {
                    let found = jpg[tile].0.at(x + 8, y + 8);
                    assert!((0..3).all(|b| found[b].abs_diff(colour[b]) < 6), "{tile}: {found:?}");
                    clear += 1;
                }
            }
        }
        assert!(clear > 0, "the raster has transparent blocks");
    }
}

#[test]
fn one_band_gives_grey_jpegs() {
    let dir = scratch();
    let (path, _) = set(&dir, "dem.tif", "set", &["-f", "jpg"]);
    for bytes in read_tiles(&path).values() {
        // The frame header: marker, length, precision, height, width, components.
        let at = bytes.windows(2).position(|w| w == [0xff, 0xc0]).expect("a baseline frame");
        assert_eq!(bytes[at + 9], 1);
    }
}

#[test]
fn classes_in_a_lossy_format_are_told_aloud() {
    let dir = scratch();
    for (file, options, told) in [
        ("landcover.tif", &["-f", "jpg"][..], true),
        ("landcover.tif", &["-f", "webp"], true),
        ("landcover.tif", &["-f", "webp", "--lossless=auto"], true),
        ("landcover.tif", &["-f", "webp", "--lossless"], false),
        ("landcover.tif", &["-f", "png"], false),
        ("rgb.tif", &["-f", "webp"], false),
        ("int8.tif", &["-f", "webp", "--categorical"], true),
    ] {
        let (_, report) = set(&dir, file, "set.pmtiles", &[options, &["--overwrite"]].concat());
        assert_eq!(report["guesses"].to_string().contains("classes in lossy"), told, "{file} {options:?}");
        let (_, plan) = set(&dir, file, "other.pmtiles", &[options, &["--dry-run"]].concat());
        assert_eq!(plan["guesses"], report["guesses"]);
    }
}

#[test]
fn bytes_depend_neither_on_threads_nor_on_memory() {
    let dir = scratch();
    for file in ["rgb.tif", "rgba.tif"] {
        for options in [
            &["-f", "jpg"][..],
            &["-f", "webp"],
            &["-f", "webp", "--lossless"],
            &["-f", "webp", "--lossless=auto"],
        ] {
            let with = |more: &[&str]| bytes(&dir, file, &[options, more].concat());
            let one = with(&["-j", "1", "--readers", "1", "--memory", "200M"]);
            let eight = with(&["-j", "8", "--readers", "3", "--memory", "1G"]);
            assert!(one == eight, "{file} {options:?}");
        }
    }
}

#[test]
fn spellings_of_gdal_and_gdal2tiles_mean_the_same() {
    let dir = scratch();
    let spelt = |options: &[&str]| bytes(&dir, "rgb.tif", &[options, &["-z", "9-11"]].concat());
    let plain = spelt(&["-f", "jpg"]);
    let better = spelt(&["-f", "jpg", "--quality", "85"]);
    assert!(plain != better);
    for options in [
        &["-f", "JPEG"][..],
        &["-of", "jpeg", "--co", "QUALITY=75"],
        &["--output-format", "JPG", "--quality=75", "-co", "quality=75"],
        &["--tiledriver=JPEG", "--background", "255,255,255"],
    ] {
        assert!(spelt(options) == plain, "{options:?}");
    }
    for options in [
        &["--format", "JPEG", "--co", "QUALITY=85"][..],
        &["--tiledriver=JPEG", "--jpeg_quality=85"],
        &["--tiledriver", "JPEG", "--jpeg-quality", "85"],
        &["-f", "jpg", "--co", "JPEG_QUALITY=85"],
    ] {
        assert!(spelt(options) == better, "{options:?}");
    }
    let lossless = spelt(&["-f", "webp", "--lossless"]);
    for options in [
        &["-f", "WEBP", "--co", "LOSSLESS=YES"][..],
        &["--tiledriver=WEBP", "--webp-lossless"],
        &["-f", "WebP", "--lossless=yes"],
        &["-f", "webp", "--co", "WEBP_LOSSLESS=true"],
    ] {
        assert!(spelt(options) == lossless, "{options:?}");
    }
    let lossy = spelt(&["-f", "webp", "--quality", "60"]);
    for options in [
        &["-f", "webp", "--co", "QUALITY=60", "--co", "LOSSLESS=NO"][..],
        &["--tiledriver=WEBP", "--webp-quality=60"],
        &["-f", "webp", "--co", "WEBP_LEVEL=60", "--lossless=no"],
    ] {
        assert!(spelt(options) == lossy, "{options:?}");
    }
    assert!(spelt(&["-f", "PNG", "--png-mode", "fast"]) == spelt(&[]));
    let small = spelt(&["--png-mode", "small"]);
    assert!(small.len() < spelt(&[]).len());
}

#[test]
fn options_that_do_not_fit_are_refused_before_anything_is_written() {
    for (options, words) in [
        (&["--quality", "80"][..], &["--quality is for jpg and webp tiles, not for png", "-f jpg"][..]),
        (&["--lossless"], &["--lossless is for webp tiles", "-f webp"]),
        (&["-f", "jpg", "--lossless"], &["--lossless is for webp tiles, not for jpg"]),
        (&["-f", "jpg", "--png-mode", "small"], &["--png-mode is for png tiles"]),
        (&["-f", "webp", "--lossless", "--quality", "80"], &["lossless webp tiles have no quality"]),
        (&["--co", "ZLEVEL=9"], &["ZLEVEL", "--png-mode"]),
        (&["-f", "jpg", "--co", "QUALITY"], &["--co QUALITY: give KEY=VALUE"]),
        (&["-f", "jpg", "--co", "QUALITY=101"], &["QUALITY=101", "1 (smallest) to 100"]),
        (&["-f", "jpg", "--co", "QUALITY=high"], &["QUALITY=high", "1 (smallest) to 100"]),
        (&["-f", "jpg", "--co", "QUALTY=80"], &["did you mean QUALITY?", "known are QUALITY"]),
        (&["-f", "webp", "--co", "LOSLESS=YES"], &["did you mean LOSSLESS?"]),
        (&["-f", "jpg", "--co", "LOSSLESS=YES"], &["LOSSLESS is unknown for jpg tiles: known are QUALITY"]),
        (&["-f", "webp", "--co", "LOSSLESS=perhaps"], &["yes, no and auto"]),
        (&["-f", "jpg", "--quality", "80", "--co", "QUALITY=85"], &["QUALITY=85 contradicts"]),
    ] {
        let run = refused(options);
        let line = run.failure(2);
        assert!(words.iter().all(|word| line.contains(word)), "{options:?}: {line}");
    }
    for (options, words) in [
        (&["-f", "gif"][..], &["png, jpg, webp"][..]),
        (&["-f", "jpg", "--quality", "0"], &["1..=100"]),
        (&["-f", "jpg", "--quality", "101"], &["1..=100"]),
        (&["-f", "jpg", "--quality", "good"], &["good"]),
        (&["-f", "jpg", "--background", "blue"], &["R,G,B", "#rrggbb"]),
        (&["-f", "webp", "--lossless=perhaps"], &["yes, no and auto"]),
        (&["--png-mode", "tiny"], &["fast and small"]),
    ] {
        let run = refused(options);
        assert!(words.iter().all(|word| run.err.contains(word)), "{options:?}: {}", run.err);
    }
}

#[test]
fn a_dry_run_weighs_tiles_with_the_right_encoder() {
    let dir = scratch();
    for options in
        [&["-f", "jpg"][..], &["-f", "webp"], &["-f", "webp", "--lossless"], &["--png-mode", "small"]]
    {
        let (_, plan) =
            set(&dir, "rgb.tif", "set.mbtiles", &[options, &["--dry-run", "--overwrite"]].concat());
        let (_, report) = set(&dir, "rgb.tif", "set.mbtiles", &[options, &["--overwrite"]].concat());
        let ratio = plan["bytes"].as_f64().expect("bytes") / report["bytes"].as_f64().expect("bytes");
        assert!((0.5..2.0).contains(&ratio), "{options:?}: {ratio}");
    }
}

/// Rasters that GDAL itself decodes with libjpeg and libwebp, in the process that encodes with them.
#[test]
fn inputs_compressed_with_the_same_codecs_are_read_rightly() {
    let dir = scratch();
    for (name, options) in [
        ("jpeg.tif", &["COMPRESS=JPEG", "PHOTOMETRIC=YCBCR", "JPEG_QUALITY=90"][..]),
        ("webp.tif", &["COMPRESS=WEBP", "WEBP_LEVEL=90"]),
        ("lossless.tif", &["COMPRESS=WEBP", "WEBP_LOSSLESS=YES"]),
    ] {
        let (packed, plain) = (dir.path().join(name), dir.path().join(format!("plain-{name}")));
        let options: Vec<&str> = options.iter().flat_map(|o| ["-co", o]).collect();
        let mut command = Command::new("gdal_translate");
        command.args(["-q", "-co", "TILED=YES"]).args(options).arg(testdata("rgb.tif")).arg(&packed);
        succeed(&mut command);
        succeed(Command::new("gdal_translate").arg("-q").arg(&packed).arg(&plain));
        for format in ["png", "jpg", "webp"] {
            let tiles = |input: &Path| {
                let output = dir.path().join("set.pmtiles");
                tile(&[input], &output, &["-f", format, "--overwrite", "-z", "9-14", "--name", "set"]);
                std::fs::read(output).expect("archive")
            };
            assert!(tiles(&packed) == tiles(&plain), "{name} to {format}");
        }
    }
}
