//! From values to pictures: bands, scales and colours, against what GDAL's own tools make of the same raster.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gdal::Dataset;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Run, names_in, pictures, run, succeed, testdata, tile};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// The pixels of a raster as tiles of its own pixels show them, row by row; transparent ones are `[0; 4]`. With the report.
fn shown(input: &Path, options: &[&str]) -> (Vec<[u8; 4]>, Value) {
    let dir = scratch();
    let output = dir.path().join("set");
    let own = ["--tiling-scheme", "raster", "-r", "nearest"];
    let report = tile(&[input], &output, &[&own, options].concat());
    let (width, height) = Dataset::open(input).expect("opens").raster_size();
    let tiles = pictures(&output);
    let highest = tiles.keys().map(|t| t.z).max().expect("tiles");
    let mut pixels = vec![[0; 4]; width * height];
    for (tile, picture) in tiles.iter().filter(|(t, _)| t.z == highest) {
        for k in 0..256 * 256 {
            let (x, y) = (tile.x as usize * 256 + k % 256, tile.y as usize * 256 + k / 256);
            let pixel = picture.at(k % 256, k / 256);
            if x < width && y < height && pixel[3] > 0 {
                pixels[y * width + x] = pixel;
            }
        }
    }
    (pixels, report)
}

/// The pixels that one of GDAL's tools makes: bands as they come, opaque unless there is a fourth.
fn made(dir: &TempDir, command: &mut Command) -> Vec<[u8; 4]> {
    let out = dir.path().join("theirs.tif");
    succeed(command.arg(&out));
    let dataset = Dataset::open(&out).expect("opens");
    let (width, height) = dataset.raster_size();
    let bands: Vec<Vec<u8>> = (1..=dataset.raster_count())
        .map(|n| {
            let band = dataset.rasterband(n).expect("a band");
            band.read_as::<u8>((0, 0), (width, height), (width, height), None).expect("reads").data().to_vec()
        })
        .collect();
    let pixel = |k: usize| {
        let at = |b: usize| bands[b][k];
        match bands.len() {
            1 => [at(0), at(0), at(0), 255],
            3 => [at(0), at(1), at(2), 255],
            _ if at(3) == 0 => [0; 4],
            _ => [at(0), at(1), at(2), at(3)],
        }
    };
    (0..width * height).map(pixel).collect()
}

fn text(dir: &TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    fs::write(&path, text).expect("written");
    path.to_str().expect("UTF-8").to_owned()
}

/// The message of a run that has to fail with `code` and to write nothing.
fn refused(input: &str, options: &[&str], code: i32) -> String {
    let dir = scratch();
    let (input, output) = (testdata(input), dir.path().join("set.pmtiles"));
    let paths = [input.to_str().expect("UTF-8"), output.to_str().expect("UTF-8")];
    let run: Run = run(["tile"].iter().chain(&paths).chain(options));
    assert_eq!(run.code, Some(code), "{options:?}: {run:?}");
    assert!(run.out.is_empty() && !run.err.contains("panicked"), "{options:?}: {run:?}");
    assert!(names_in(dir.path()).is_empty(), "{options:?}");
    run.err
}

/// Colours of a raster's values as `gdaldem` has them: it rounds mixed shades in its newer versions and cuts them off in the older.
/// To not-a-number it gives the last colour.
fn same_colours(input: &Path, ours: &[[u8; 4]], theirs: &[[u8; 4]]) {
    let dataset = Dataset::open(input).expect("opens");
    let (size, band) = (dataset.raster_size(), dataset.rasterband(1).expect("a band"));
    let values = band.read_as::<f64>((0, 0), size, size, None).expect("reads").data().to_vec();
    let mut compared = 0;
    for ((value, ours), theirs) in values.iter().zip(ours).zip(theirs).filter(|((v, ..), _)| v.is_finite()) {
        let close = ours.iter().zip(theirs).all(|(o, t)| o.wrapping_sub(*t) <= 1);
        assert!(close, "{value}: {ours:?} and {theirs:?}");
        compared += 1;
    }
    assert!(compared > 30_000, "only {compared} pixels compared");
}

const RELIEF: &str = "# heights\n380 0 97 71\n500 16 122 47\n640:232,215,125\n800\t161 67 0 200\n900 orange\n1000 white\nnv 0 0 0 0\n";

#[test]
fn a_colour_file_gives_the_colours_of_gdaldem() {
    let dir = scratch();
    let file = text(&dir, "relief.txt", RELIEF);
    let input = testdata("dem.tif");
    let (ours, _) = shown(&input, &["--colormap", &file]);
    let theirs =
        made(&dir, Command::new("gdaldem").args(["color-relief", "-q", "-alpha"]).arg(&input).arg(&file));
    same_colours(&input, &ours, &theirs);
    assert!(ours.iter().collect::<BTreeSet<_>>().len() > 300);
}

#[test]
fn percentages_of_a_colour_file_go_by_the_scale() {
    let dir = scratch();
    let file = text(&dir, "ramp.txt", "0% 0 0 0\n50% 200 100 0\n100% 255 255 255\n");
    let fixed = text(&dir, "fixed.txt", "400 0 0 0\n650 200 100 0\n900 255 255 255\nnv 0 0 0 0\n");
    let input = testdata("dem.tif");
    let (ours, _) = shown(&input, &["--colormap", &file, "--scale", "400,900"]);
    let theirs =
        made(&dir, Command::new("gdaldem").args(["color-relief", "-q", "-alpha"]).arg(&input).arg(&fixed));
    same_colours(&input, &ours, &theirs);
}

#[test]
fn the_order_of_the_bands_is_the_users() {
    let dir = scratch();
    let input = testdata("bands4.tif");
    for (bands, order) in [
        ("3,2,1", vec!["3", "2", "1"]),
        ("4", vec!["4"]),
        ("blue,GREEN,red", vec!["3", "2", "1"]),
        ("4,4,1", vec!["4", "4", "1"]),
    ] {
        let (ours, _) = shown(&input, &["-b", bands]);
        let mut command = Command::new("gdal_translate");
        command.args(["-q", "-colorinterp", "undefined"]);
        command.args(order.iter().flat_map(|n| ["-b", n])).arg(&input);
        assert!(ours == made(&dir, &mut command), "{bands}");
    }
    // One more band is opacity.
    let (ours, _) = shown(&input, &["-b", "1", "-b", "4"]);
    let theirs = made(
        &dir,
        Command::new("gdal_translate").args(["-q", "-b", "1", "-b", "1", "-b", "1", "-b", "4"]).arg(&input),
    );
    let seen = |p: &[u8; 4]| if p[3] == 0 { [0; 4] } else { *p };
    assert!(ours.iter().map(seen).eq(theirs.iter().map(seen)));
}

#[test]
fn every_band_may_have_a_scale_of_its_own() {
    let dir = scratch();
    let input = testdata("rgb16.tif");
    let (ours, _) = shown(&input, &["--scale", "1000,9000,0,12000,2000,8000"]);
    let mut command = Command::new("gdal_translate");
    command.args(["-q", "-ot", "Byte", "-scale_1", "1000", "9000", "0", "255"]);
    command.args(["-scale_2", "0", "12000", "0", "255", "-scale_3", "2000", "8000", "0", "255"]);
    let theirs = made(&dir, command.arg(&input));
    assert!(ours == theirs);
    let one = shown(&input, &["--scale", "1000,9000"]).0;
    assert!(one == shown(&input, &["--scale", "1000,9000,1000,9000,1000,9000"]).0 && one != ours);
}

#[test]
fn percentiles_are_those_of_the_band() {
    let input = testdata("rgb16.tif");
    let (_, report) = shown(&input, &["--scale", "percentile:5,90"]);
    let guesses = report["guesses"].as_array().expect("guesses");
    let option = guesses.iter().find_map(|guess| Some(guess.as_str()?.split_once("--scale ")?.1));
    let said = option.expect("an option");
    let said: Vec<f64> =
        said.trim_end_matches(')').split(',').map(|n| n.parse().expect("a number")).collect();
    assert_eq!(said.len(), 6);
    let dataset = Dataset::open(&input).expect("opens");
    for n in 0..3 {
        let band = dataset.rasterband(n + 1).expect("a band");
        let (width, height) = dataset.raster_size();
        let mut values = band
            .read_as::<f64>((0, 0), (width, height), (width, height), None)
            .expect("reads")
            .data()
            .to_vec();
        values.sort_by(f64::total_cmp);
        for (value, percent) in [(said[2 * n], 5.0), (said[2 * n + 1], 90.0)] {
            let below = values.iter().filter(|v| **v < value).count() as f64 / values.len() as f64 * 100.0;
            let up_to = values.iter().filter(|v| **v <= value).count() as f64 / values.len() as f64 * 100.0;
            assert!(below - 0.5 <= percent && percent <= up_to + 0.5, "band {n}: {below} {up_to}");
        }
    }
    // What was found can be given, for the same tiles.
    let given = said.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    assert!(shown(&input, &["--scale", "percentile:5,90"]).0 == shown(&input, &["--scale", &given]).0);
}

#[test]
fn classes_take_the_colours_of_a_json_file_and_no_others() {
    let dir = scratch();
    let file = text(&dir, "classes.json", r##"{"1": [10, 20, 30], "2": "#40506080", "3": [0, 0, 0, 0]}"##);
    let output = dir.path().join("set");
    tile(&[&testdata("landcover.tif")], &output, &["--colormap", &file, "-z", "4-8"]);
    let tiles = pictures(&output);
    let seen: BTreeSet<[u8; 4]> =
        tiles.values().flat_map(|p| &p.pixels).filter(|p| p[3] > 0).copied().collect();
    assert_eq!(seen, [[10, 20, 30, 255], [64, 80, 96, 128]].into());
}

#[test]
fn a_ramp_is_spread_over_the_values_that_are_there() {
    let (pixels, report) = shown(&testdata("dem.tif"), &["--colormap", "viridis"]);
    let guess = report["guesses"].to_string();
    assert!(guess.contains("spread over the colours (--scale "), "{guess}");
    let visible: BTreeSet<[u8; 4]> = pixels.iter().filter(|p| p[3] == 255).copied().collect();
    assert!(
        visible.contains(&[68, 1, 84, 255]) && visible.contains(&[253, 231, 37, 255]) && visible.len() > 200
    );
    let back = shown(&testdata("dem.tif"), &["--colormap", "Viridis_R"]).0;
    let lowest = pixels.iter().zip(&back).filter(|(p, _)| **p == [68, 1, 84, 255]);
    assert!(lowest.clone().count() > 100);
    assert!(lowest.into_iter().all(|(_, turned)| turned[0] > 245 && turned[2] < 45));
}

#[test]
fn nonsense_is_refused_before_anything_is_written() {
    let dir = scratch();
    let bad = text(&dir, "bad.txt", "10 1 2\n");
    for (input, options, code, word) in [
        ("rgb.tif", &["-b", "4"][..], 3, "3 bands"),
        ("rgb.tif", &["-b", "nir"], 3, "1 (red), 2 (green), 3 (blue)"),
        ("rgb.tif", &["-b", "0"], 2, "numbered from 1"),
        ("rgb.tif", &["-b", "1,2,3,1,2"], 2, "5 bands"),
        ("rgb.tif", &["--scale", "1,2,3,4"], 2, "2 ranges"),
        ("rgb.tif", &["--scale", "9,1"], 2, "below"),
        ("rgb.tif", &["--scale", "percentile:98,2"], 2, "percentages"),
        ("rgb.tif", &["--colormap", "viridis"], 3, "-b 1"),
        ("dem.tif", &["--colormap", "virdis"], 2, "viridis"),
        ("dem.tif", &["--colormap", "missing.txt"], 3, "missing.txt"),
        ("dem.tif", &["--colormap", &bad], 3, "line 1"),
        ("dem.tif", &["--colormap", "magma", "--scale", "0,1,0,1"], 2, "2 ranges"),
        ("dem.tif", &["--colormap", "magma", "--encoding", "terrarium"], 2, "--colormap"),
    ] {
        let message = refused(input, options, code);
        assert!(message.contains(word), "{options:?}: {message}");
    }
    let fixed = text(&dir, "fixed.txt", RELIEF);
    assert!(refused("dem.tif", &["--colormap", &fixed, "--scale", "0,1"], 2).contains("values of their own"));
}

#[test]
fn inputs_of_different_ranges_share_their_colours() {
    let dir = scratch();
    let half: PathBuf = dir.path().join("half.tif");
    let input = testdata("dem.tif");
    succeed(
        Command::new("gdal_translate").args(["-q", "-srcwin", "0", "0", "110", "180"]).arg(&input).arg(&half),
    );
    let output = dir.path().join("set");
    let report = tile(&[&input, &half], &output, &["--colormap", "turbo", "-z", "10"]);
    assert_eq!(report["guesses"].to_string().matches("--scale").count(), 1);
}
