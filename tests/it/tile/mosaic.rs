//! Several inputs, one over the other.

use std::path::Path;

use tileloom::grid::{TileCoord, TileGrid, WEB_MERCATOR_HALF, mercator};

use super::*;
use crate::common::{Picture, pictures};

/// The pixel that shows a place on the ground.
fn colour_at(
    tiles: &std::collections::BTreeMap<TileCoord, Picture>,
    zoom: u8,
    (longitude, latitude): (f64, f64),
) -> [u8; 4] {
    let (x, y) = mercator(longitude, latitude);
    let step = TileGrid::WEB_MERCATOR.resolution(zoom, 256);
    let (column, row) =
        (((x + WEB_MERCATOR_HALF) / step) as usize, ((WEB_MERCATOR_HALF - y) / step) as usize);
    let tile = TileCoord::new(zoom, (column / 256) as u32, (row / 256) as u32);
    tiles.get(&tile).map_or([0; 4], |p| p.at(column % 256, row % 256))
}

const RED: [u8; 4] = [200, 10, 20, 255];
const BLUE: [u8; 4] = [10, 30, 220, 255];

/// A red raster in UTM, and a blue one in degrees over its eastern half, of another resolution, with a hole.
fn red_and_blue(folder: &Path) -> (PathBuf, PathBuf) {
    let spec = plain((600, 500), 6.0, 0.0, 0.0);
    let red = raster(folder, "red.tif", &spec, with_hole(&spec, &RED[..3], |_, _| false));
    let spec = Spec {
        size: (300, 300),
        crs: Some(4326),
        geotransform: Some([15.12, 0.0002, 0.0, 48.84, 0.0, -0.0002]),
        nodata: Some(0.0),
        ..spec
    };
    let hole = |x: usize, y: usize| (50..90).contains(&x) && (150..200).contains(&y);
    let blue = raster(folder, "blue.tif", &spec, with_hole(&spec, &BLUE[..3], hole));
    (red, blue)
}

#[test]
fn later_inputs_lie_over_earlier_ones_and_show_them_where_they_are_invalid() {
    let dir = scratch();
    let (red, blue) = red_and_blue(dir.path());
    // In the red one only; in both; in the hole of the blue one; in the blue one only.
    let places = [(15.11, 48.81), (15.125, 48.82), (15.134, 48.805), (15.17, 48.83), (15.3, 48.8)];
    for (order, expected) in
        [([&red, &blue], [RED, BLUE, RED, BLUE, [0; 4]]), ([&blue, &red], [RED, RED, RED, BLUE, [0; 4]])]
    {
        for method in ["nearest", "bilinear", "cubic", "lanczos", "average"] {
            let output = dir.path().join("set");
            tile(&order.map(PathBuf::as_path), &output, &["-r", method, "--overwrite"]);
            let tiles = pictures(&output);
            for zoom in [12, 13, 14] {
                let found = places.map(|place| colour_at(&tiles, zoom, place));
                assert_eq!(found, expected, "{method} at zoom {zoom}");
            }
            let strange = |c: &&[u8; 4]| c[3] != 0 && **c != RED && **c != BLUE;
            let highest = tiles.keys().map(|t| t.z).max().expect("tiles");
            let base = tiles.iter().filter(|(t, _)| t.z == highest).flat_map(|(_, p)| &p.pixels);
            assert_eq!(base.clone().find(strange), None, "{method} mixes colours of hard edges");
        }
    }
}

#[test]
fn a_mosaic_covers_what_any_of_its_inputs_covers() {
    let dir = scratch();
    let (red, blue) = red_and_blue(dir.path());
    let set = |inputs: &[&Path]| {
        let output = dir.path().join("set");
        tile(inputs, &output, &["-z", "9-14", "--overwrite"]);
        read_tiles(&output).into_keys().collect::<std::collections::BTreeSet<_>>()
    };
    let both = set(&[&red, &blue]);
    let either: std::collections::BTreeSet<_> = set(&[&red]).union(&set(&[&blue])).copied().collect();
    assert_eq!(both, either);
}

#[test]
fn inputs_of_different_kinds_keep_their_colours() {
    let dir = scratch();
    let palette = [[0, 0, 0, 255], [226, 226, 193, 255], [24, 104, 24, 255], [200, 40, 40, 255]];
    let spec = Spec {
        options: &[],
        palette: &palette,
        nodata: Some(0.0),
        ..plain((250, 220), 13.0, -1200.0, 400.0)
    };
    let classes = vec![(0..250 * 220).map(|k| (k % 250 / 11 + k / 2500) as u8 % 4).collect()];
    let classes = raster(dir.path(), "classes.tif", &spec, classes);
    let (wide, rgb) = (testdata("rgb16.tif"), testdata("rgb.tif"));
    let options = ["-z", "12-14", "-r", "nearest", "--overwrite"];
    let set = |inputs: &[&Path]| {
        let output = dir.path().join("set");
        tile(inputs, &output, &options);
        pictures(&output)
    };
    let mixed = set(&[&classes, &rgb, &wide]);
    // 16-bit values are stretched by the same rule, whether other inputs are there or not.
    let alone = [set(&[&wide]), set(&[&rgb]), set(&[&classes])];
    let mut seen = [0; 3];
    for (tile, picture) in mixed.iter().filter(|(t, _)| t.z == 14) {
        for (k, &pixel) in picture.pixels.iter().enumerate() {
            let there = |i: usize| alone[i].get(tile).map_or([0; 4], |p| p.pixels[k]);
            let topmost = (0..3).find(|&i| there(i)[3] == 255);
            seen[topmost.unwrap_or(0)] += u32::from(topmost.is_some());
            assert_eq!(
                pixel,
                topmost.map_or([0; 4], there),
                "input {topmost:?} at {tile}, {}, {}",
                k % 256,
                k / 256
            );
        }
    }
    assert!(seen.iter().all(|n| *n > 1000), "{seen:?}");
}

/// The picture of `testdata/rgb.tif` cut into pieces as wide and high as the cuts say, some of them overlapping.
fn pieces(folder: &Path, columns: &[(usize, usize)], rows: &[(usize, usize)]) -> Vec<PathBuf> {
    let source = gdal::Dataset::open(testdata("rgb.tif")).expect("opens");
    let place = source.geo_transform().expect("has a place");
    let mut all = Vec::new();
    for &(y, height) in rows {
        for &(x, width) in columns {
            let read = |band| {
                let band = source.rasterband(band).expect("has three bands");
                let window = ((x as isize, y as isize), (width, height), (width, height));
                band.read_as::<u8>(window.0, window.1, window.2, None).expect("reads").data().to_vec()
            };
            let (west, north) = (place[0] + x as f64 * place[1], place[3] + y as f64 * place[5]);
            let spec = Spec {
                geotransform: Some([west, place[1], 0.0, north, 0.0, place[5]]),
                options: &["PHOTOMETRIC=RGB"],
                ..plain((width, height), 1.0, 0.0, 0.0)
            };
            all.push(raster(folder, &format!("{x}_{y}.tif"), &spec, (1..=3).map(read).collect()));
        }
    }
    all
}

#[test]
fn pieces_of_a_raster_make_the_tiles_of_the_whole() {
    let dir = scratch();
    let source = gdal::Dataset::open(testdata("rgb.tif")).expect("opens");
    let (width, height) = source.raster_size();
    let columns = [(0, 100), (100, 57), (140, width - 140)];
    let rows = [(0, 33), (33, 120), (150, height - 150)];
    let pieces = pieces(dir.path(), &columns, &rows);
    let pieces: Vec<&Path> = pieces.iter().map(PathBuf::as_path).collect();
    for method in ["bilinear", "cubic", "average"] {
        let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
        tile(&[&testdata("rgb.tif")], &whole, &["-r", method, "--overwrite"]);
        tile(&pieces, &parts, &["-r", method, "--overwrite"]);
        assert!(read_tiles(&whole) == read_tiles(&parts), "{method}: pieces leave seams");
    }
}

#[test]
fn the_first_input_that_cannot_be_read_is_named_whatever_the_threads() {
    let dir = scratch();
    let pieces =
        pieces(dir.path(), &[(0, 50), (50, 50), (100, 50), (150, 50)], &[(0, 50), (50, 50), (100, 50)]);
    for broken in [9, 4] {
        std::fs::write(&pieces[broken], "no raster").expect("written");
    }
    let output = dir.path().join("set");
    for threads in ["1", "8"] {
        let args = ["tile", "-q", "-j", threads].map(std::ffi::OsStr::new);
        let paths = pieces.iter().chain([&output]).map(|p| p.as_os_str());
        let failed = run(args.into_iter().chain(paths));
        let name = pieces[4].file_name().expect("has a name").to_string_lossy().into_owned();
        assert!(failed.failure(3).contains(&name), "{failed:?}");
    }
}

#[test]
fn what_is_shown_where_inputs_overlap_is_the_users_choice() {
    let dir = scratch();
    let (red, blue) = red_and_blue(dir.path());
    let least = [10, 10, 20, 255];
    let most = [200, 30, 220, 255];
    // In the red one only; in both; in the hole of the blue one; in the blue one only. The red one has the smaller pixels.
    let places = [(15.11, 48.81), (15.125, 48.82), (15.134, 48.805), (15.17, 48.83)];
    for (overlap, shown) in
        [("last", BLUE), ("first", RED), ("min", least), ("max", most), ("highest-resolution", RED)]
    {
        let output = dir.path().join("set");
        tile(&[&red, &blue], &output, &["--overlap", overlap, "-z", "10-14", "--overwrite"]);
        let tiles = pictures(&output);
        let found = places.map(|place| colour_at(&tiles, 14, place));
        assert_eq!(found, [RED, shown, RED, BLUE], "{overlap}");
    }
}

#[test]
fn pieces_of_one_grid_are_compared_where_they_overlap() {
    let dir = scratch();
    let spec = plain((400, 300), 6.0, 0.0, 0.0);
    let west = raster(dir.path(), "west.tif", &spec, with_hole(&spec, &[100, 50, 9], |_, _| false));
    let moved = plain((400, 300), 6.0, 1200.0, 0.0);
    let east = raster(dir.path(), "east.tif", &moved, with_hole(&moved, &[40, 80, 9], |_, _| false));
    for (overlap, shown) in
        [("min", [40, 50, 9, 255]), ("max", [100, 80, 9, 255]), ("last", [40, 80, 9, 255])]
    {
        let output = dir.path().join("set");
        tile(&[&west, &east], &output, &["--overlap", overlap, "-r", "bilinear", "--overwrite"]);
        let tiles = pictures(&output);
        let colours: std::collections::BTreeSet<[u8; 4]> =
            tiles.values().flat_map(|p| &p.pixels).filter(|p| p[3] == 255).copied().collect();
        assert!(colours.contains(&shown), "{overlap}: {colours:?}");
    }
}

#[test]
fn folders_patterns_lists_and_archives_name_inputs() {
    let dir = scratch();
    let (red, blue) = red_and_blue(dir.path());
    let inputs = dir.path().join("inputs");
    std::fs::create_dir(&inputs).expect("made");
    // By name, the blue one comes first, so the red one lies over it.
    for (from, to) in [(&red, "b.tif"), (&blue, "a.tif")] {
        std::fs::copy(from, inputs.join(to)).expect("copied");
    }
    let set = |name: &str, words: &[&std::ffi::OsStr]| {
        let output = dir.path().join(name);
        let run = crate::common::run(
            [std::ffi::OsStr::new("tile"), "--quiet".as_ref()]
                .iter()
                .chain(words)
                .chain([&output.as_os_str()]),
        );
        assert_eq!(run.code, Some(0), "{words:?}: {run:?}");
        std::fs::read(output).expect("an archive")
    };
    let named = set(
        "named.pmtiles",
        &[inputs.join("a.tif").as_os_str(), inputs.join("b.tif").as_os_str(), "--name=set".as_ref()],
    );
    let pattern = inputs.join("*.t?f");
    let list = dir.path().join("list.txt");
    let lines = format!("# two\n{}\n{}\n", inputs.join("a.tif").display(), inputs.join("b.tif").display());
    std::fs::write(&list, lines).expect("written");
    assert!(named == set("folder.pmtiles", &[inputs.as_os_str(), "--name=set".as_ref()]));
    assert!(named == set("pattern.pmtiles", &[pattern.as_os_str(), "--name=set".as_ref()]));
    assert!(
        named == set("list.pmtiles", &["--input-list".as_ref(), list.as_os_str(), "--name=set".as_ref()])
    );
    let zip = dir.path().join("both.zip");
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w')\n[z.write(f, 'data/' + f[-5:]) for f in sys.argv[2:]]\nz.close()";
    crate::common::succeed(
        std::process::Command::new("python3")
            .args(["-c", script])
            .arg(&zip)
            .arg(inputs.join("a.tif"))
            .arg(inputs.join("b.tif")),
    );
    assert!(named == set("zip.pmtiles", &[zip.as_os_str(), "--name=set".as_ref()]));
}
