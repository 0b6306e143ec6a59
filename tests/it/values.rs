//! Tiles of values: `GeoTIFF` of any type and PNG of 16 bits, against the source's own pixels and gdalwarp.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use gdal::raster::ColorInterpretation;
use gdal::{Dataset, Metadata};
use tempfile::TempDir;
use tileloom::grid::TileCoord;

use crate::common::{read_tiles, run, succeed, testdata, tile};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// A band of a whole raster as doubles.
fn values(path: &Path, band: usize) -> Vec<f64> {
    let dataset = Dataset::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let size = dataset.raster_size();
    let band = dataset.rasterband(band).expect("a band");
    band.read_as::<f64>((0, 0), size, size, None).expect("reads").data().to_vec()
}

/// The tiles of the highest level in a folder.
fn highest(folder: &Path) -> Vec<TileCoord> {
    let tiles: Vec<TileCoord> = read_tiles(folder).keys().copied().collect();
    let z = tiles.iter().map(|t| t.z).max().expect("tiles");
    tiles.into_iter().filter(|t| t.z == z).collect()
}

fn file(folder: &Path, t: TileCoord) -> std::path::PathBuf {
    folder.join(format!("{}/{}/{}.tif", t.z, t.x, t.y))
}

#[test]
fn heights_are_what_gdalwarp_computes() {
    let dir = scratch();
    let output = dir.path().join("set");
    tile(&[&testdata("dem.tif")], &output, &["-f", "tif", "-r", "bilinear"]);
    let (mut far, mut odd, mut all) = (0, 0, 0);
    for t in highest(&output) {
        let ours = file(&output, t);
        let theirs = dir.path().join("theirs.tif");
        let b = t.bounds();
        let edges = [b.west, b.south, b.east, b.north].map(|v| v.to_string());
        let mut warp = Command::new("gdalwarp");
        warp.args([
            "-q",
            "-overwrite",
            "-t_srs",
            "EPSG:3857",
            "-ts",
            "256",
            "256",
            "-r",
            "bilinear",
            "-et",
            "0",
            "-te",
        ]);
        succeed(warp.args(edges).arg(testdata("dem.tif")).arg(&theirs));
        let dataset = Dataset::open(&ours).expect("opens");
        assert_eq!(dataset.rasterband(1).expect("a band").no_data_value(), Some(-9999.0));
        assert_eq!(dataset.spatial_ref().expect("a CRS").auth_code().expect("a code"), 3857);
        let (found, expected) =
            (dataset.geo_transform(), Dataset::open(&theirs).expect("opens").geo_transform());
        for (a, b) in found.expect("placed").iter().zip(expected.expect("placed")) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        for (a, b) in values(&ours, 1).into_iter().zip(values(&theirs, 1)) {
            all += usize::from(a != -9999.0 || b != -9999.0);
            match (a == -9999.0, b == -9999.0) {
                (false, false) => far += usize::from((a - b).abs() > 0.05),
                (a, b) => odd += usize::from(a != b),
            }
        }
    }
    assert!(all > 20_000, "{all} pixels");
    // Along the edge of the data gdalwarp also shows pixels of which less than half is covered.
    assert!(far * 1000 <= all && odd * 50 <= all, "{far} values and {odd} edges of {all} differ");
}

#[test]
fn the_pixels_of_a_raster_keep_their_values_and_their_place() {
    for (name, bands) in [("int16.tif", 1), ("rgb16.tif", 3), ("dem.tif", 1), ("bands4.tif", 4)] {
        let dir = scratch();
        let output = dir.path().join("set");
        let source = testdata(name);
        tile(&[&source], &output, &["-f", "tif", "--tiling-scheme", "raster", "-r", "nearest", "--no-alpha"]);
        let raster = Dataset::open(&source).expect("opens");
        let (width, height) = raster.raster_size();
        let g = raster.geo_transform().expect("placed");
        for band in 1..=bands {
            let expected = values(&source, band);
            for t in highest(&output) {
                let path = file(&output, t);
                let tile = Dataset::open(&path).expect("opens");
                assert_eq!(tile.raster_count(), bands, "{name}");
                assert_eq!(
                    tile.rasterband(1).expect("a band").band_type(),
                    raster.rasterband(1).expect("a band").band_type()
                );
                let place = tile.geo_transform().expect("placed");
                let corner = [g[0] + f64::from(t.x) * 256.0 * g[1], g[3] + f64::from(t.y) * 256.0 * g[5]];
                assert!(
                    (place[0] - corner[0]).abs() < 1e-6 && (place[3] - corner[1]).abs() < 1e-6,
                    "{name}: {place:?}"
                );
                let found = values(&path, band);
                for (k, found) in found.into_iter().enumerate() {
                    let (x, y) = (t.x as usize * 256 + k % 256, t.y as usize * 256 + k / 256);
                    let nodata = tile.rasterband(band).expect("a band").no_data_value();
                    if x < width && y < height && Some(expected[y * width + x]) != nodata {
                        // What the source declares to be no data is zero without a way to say so.
                        let declared = raster.rasterband(band).expect("a band").no_data_value();
                        let v = expected[y * width + x];
                        let v = if Some(v) == declared || v.is_nan() { 0.0 } else { v };
                        assert_eq!(found, v, "{name}, band {band}, {x}, {y}");
                    }
                }
            }
        }
    }
}

#[test]
fn colours_without_a_nodata_value_get_a_band_for_opacity() {
    let dir = scratch();
    let output = dir.path().join("set");
    let report = tile(&[&testdata("rgb.tif")], &output, &["-f", "GTiff"]);
    assert!(report["guesses"].to_string().contains("--dst-nodata"), "{report}");
    for t in highest(&output) {
        let tile = Dataset::open(file(&output, t)).expect("opens");
        assert_eq!(tile.raster_count(), 4);
        let colour = |n| tile.rasterband(n).expect("a band").color_interpretation();
        let expected =
            [ColorInterpretation::RedBand, ColorInterpretation::GreenBand, ColorInterpretation::BlueBand];
        assert_eq!([1, 2, 3].map(colour), expected);
        assert_eq!(colour(4), ColorInterpretation::AlphaBand);
        assert!(values(&file(&output, t), 4).iter().all(|a| *a == 0.0 || *a == 255.0));
    }
}

#[test]
fn classes_keep_their_numbers_and_their_colour_table() {
    let dir = scratch();
    let output = dir.path().join("set");
    let source = testdata("landcover.tif");
    tile(&[&source], &output, &["-f", "tif"]);
    let known: Vec<f64> = values(&source, 1);
    let entry = |path: &Path| {
        let dataset = Dataset::open(path).expect("opens");
        let band = dataset.rasterband(1).expect("a band");
        let table = band.color_table().expect("a table");
        (0..8).map(|k| table.entry(k).map(|e| format!("{e:?}"))).collect::<Vec<_>>()
    };
    for t in highest(&output) {
        let path = file(&output, t);
        assert!(values(&path, 1).iter().all(|v| known.contains(v)), "{t}");
        let dataset = Dataset::open(&path).expect("opens");
        assert_eq!(dataset.rasterband(1).expect("a band").no_data_value(), Some(0.0));
        let (ours, theirs) = (entry(&path), entry(&source));
        // The entry of the nodata value is transparent in one and opaque in the other way to read it.
        assert_eq!(ours[1..], theirs[1..], "{t}");
    }
}

#[test]
fn sixteen_bits_come_through_a_png() {
    let dir = scratch();
    let output = dir.path().join("set.pmtiles");
    let source = testdata("rgb16.tif");
    tile(
        &[&source],
        &dir.path().join("own"),
        &["--ot", "UInt16", "--tiling-scheme", "raster", "-r", "nearest"],
    );
    tile(&[&source], &output, &["--ot", "UInt16"]);
    assert!(!read_tiles(&output).is_empty());
    let tiles: BTreeMap<TileCoord, Vec<u8>> = read_tiles(&dir.path().join("own")).into_iter().collect();
    let bytes = tiles.values().next_back().expect("a tile");
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("pixels");
    assert_eq!((info.bit_depth, info.color_type), (png::BitDepth::Sixteen, png::ColorType::Rgba));
    let (width, height) = Dataset::open(&source).expect("opens").raster_size();
    for band in 0..3 {
        let expected = values(&source, band + 1);
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
            let at = (y * 256 + x) * 8 + band * 2;
            assert_eq!(f64::from(u16::from_be_bytes([pixels[at], pixels[at + 1]])), expected[y * width + x]);
        }
    }
}

#[test]
fn the_same_bytes_whatever_the_threads_and_the_options_are_gdals() {
    let dir = scratch();
    let made = |name: &str, options: &[&str]| {
        let output = dir.path().join(name);
        let all = [&["-f", "tif", "--co", "COMPRESS=LZW", "--co", "TILED=YES", "--ot", "Float32"], options]
            .concat();
        tile(&[&testdata("bands4.tif")], &output, &all);
        (highest(&output).into_iter().map(|t| file(&output, t)).next().expect("a tile"), read_tiles(&output))
    };
    let (path, one) = made("one", &["-j", "1"]);
    let (_, four) = made("four", &["-j", "4", "--readers", "3"]);
    assert_eq!(one, four);
    let dataset = Dataset::open(path).expect("opens");
    assert_eq!(dataset.metadata_item("COMPRESSION", "IMAGE_STRUCTURE").as_deref(), Some("LZW"));
    assert_eq!(dataset.rasterband(1).expect("a band").block_size(), (256, 256));
    assert!(dataset.rasterband(4).expect("a band").no_data_value().is_some_and(f64::is_nan));
}

#[test]
fn rejects_what_values_cannot_be() {
    let dir = scratch();
    let rgb = testdata("rgb.tif");
    let cases: [(&str, &[&str], &str); 11] = [
        ("a.pmtiles", &["-f", "tif"], "MBTiles and PMTiles hold pictures only"),
        ("a", &["-f", "jpg", "--ot", "UInt16"], "jpg tiles have 8 bits"),
        ("a", &["--ot", "Float32"], "PNG tiles have 8 or 16 bits"),
        ("a", &["--ot", "Int64"], "known are Byte"),
        ("a", &["-f", "tif", "--dst-nodata", "300"], "no such value"),
        ("a", &["-f", "tif", "--co", "COMPRES=LZW"], "did you mean COMPRESS?"),
        ("a", &["-f", "tif", "--co", "COMPRESS"], "KEY=VALUE"),
        ("a", &["-f", "tif", "--co", "COMPRESS=FOO"], "known values of COMPRESS"),
        ("a", &["-f", "tif", "--scale", "0,1"], "keeps values as they are"),
        ("a", &["--dst-nodata", "0"], "for tif tiles"),
        ("a", &["-f", "tif", "-b", "9"], "it has 3 bands"),
    ];
    for (name, options, message) in cases {
        let output = dir.path().join(name);
        let paths = [rgb.to_str().expect("text"), output.to_str().expect("text")];
        let run = run(["tile"].iter().chain(&paths).chain(options));
        assert!(matches!(run.code, Some(2 | 3)), "{options:?}: {run:?}");
        assert!(run.err.contains(message), "{options:?}: {}", run.err);
        assert!(!output.exists());
    }
    let mixed = dir.path().join("mixed");
    let inputs = [rgb, testdata("dem.tif"), mixed.clone()];
    let run = run(["tile", "-f", "tif"].iter().map(std::path::PathBuf::from).chain(inputs));
    assert!(run.failure(3).contains("inputs must be of one kind"), "{run:?}");
    assert!(!mixed.exists());
}
