//! What the one writer wrote, read back by another program; and what is left when it could not.

use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::Array3;
use tempfile::TempDir;
use tileloom::Error;
use tileloom::block::{Block, SampleType, Samples, Validity, interleaved_zeros};
use tileloom::pipeline::Order;
use tileloom::raster::writer::Verification;
use tileloom::raster::{DatasetSpec, DatasetWriter};
use tileloom::sink::Target;
use tileloom::window::{Size, Window};

use super::{PICTURE, ROTATED, Sheet, Way, copy_with, names_in, seen_by_gdalinfo, windows};
use crate::small_disk::SmallDisk;

const WAYS: [Way; 6] = [
    Way { readers: 1, threads: 1, order: Order::Plan, window: Size::new(256, 256) },
    Way { readers: 2, threads: 3, order: Order::Arrival, window: Size::new(64, 64) },
    Way { readers: 3, threads: 2, order: Order::Plan, window: Size::new(97, 300) },
    Way { readers: 8, threads: 1, order: Order::Arrival, window: Size::new(300, 131) },
    Way { readers: 1, threads: 8, order: Order::Arrival, window: Size::new(128, 70) },
    Way { readers: 8, threads: 8, order: Order::Arrival, window: Size::new(111, 77) },
];

/// Copies a raster in every way and has each copy compared.
fn copies_are_equal(dir: &TempDir, source: &Path, options: &[&str]) {
    let original = seen_by_gdalinfo(source);
    let path = dir.path().join("copy.tif");
    let target = Target { overwrite: true, ..Target::new(&path) };
    for way in WAYS {
        let written = copy_with(source, &target, options, way, Ok).expect("copied");
        let copy = seen_by_gdalinfo(&path);
        assert_eq!(copy, original, "{} by {way:?}", source.display());
        assert_eq!(written.bytes, std::fs::metadata(&path).expect("file").len());
        assert_eq!(serde_json::json!([copy["size"][0], copy["size"][1]]), original["size"]);
    }
    std::fs::remove_file(path).expect("removed");
    assert_eq!(names_in(dir.path()).len(), 1, "{:?}", names_in(dir.path()));
}

#[test]
fn copies_of_pictures_are_equal_pixel_for_pixel() {
    let dir = tempfile::tempdir().expect("tempdir");
    let source = PICTURE.make::<u8>(dir.path());
    copies_are_equal(&dir, &source, PICTURE.copy_options);
}

#[test]
fn copies_of_integers_are_equal_pixel_for_pixel() {
    let sheet = Sheet {
        name: "u16.tif",
        bands: 1,
        options: &["COMPRESS=LZW", "PREDICTOR=2"],
        copy_options: &["TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64"],
        nodata: Some(0.0),
        ..PICTURE
    };
    let dir = tempfile::tempdir().expect("tempdir");
    copies_are_equal(&dir, &sheet.make::<u16>(dir.path()), sheet.copy_options);
    let sheet = Sheet {
        name: "i16.tif",
        bands: 2,
        options: &["TILED=YES", "INTERLEAVE=BAND"],
        copy_options: &["COMPRESS=DEFLATE", "BLOCKYSIZE=7"],
        nodata: Some(-9999.0),
        ..PICTURE
    };
    let dir = tempfile::tempdir().expect("tempdir");
    copies_are_equal(&dir, &sheet.make::<i16>(dir.path()), sheet.copy_options);
    let sheet = Sheet { name: "u32.tif", options: &[], copy_options: &["INTERLEAVE=BAND"], ..PICTURE };
    let dir = tempfile::tempdir().expect("tempdir");
    copies_are_equal(&dir, &sheet.make::<u32>(dir.path()), sheet.copy_options);
    let dir = tempfile::tempdir().expect("tempdir");
    copies_are_equal(&dir, &sheet.make::<i32>(dir.path()), &["TILED=YES", "BIGTIFF=YES"]);
}

#[test]
fn copies_of_floats_are_equal_pixel_for_pixel() {
    let sheet = Sheet {
        name: "f32.tif",
        bands: 1,
        options: &["TILED=YES", "COMPRESS=DEFLATE", "PREDICTOR=3"],
        copy_options: &["COMPRESS=LZW", "PREDICTOR=3"],
        geotransform: ROTATED,
        nodata: Some(f64::NAN),
        ..PICTURE
    };
    let dir = tempfile::tempdir().expect("tempdir");
    copies_are_equal(&dir, &sheet.make::<f32>(dir.path()), sheet.copy_options);
    let sheet = Sheet { name: "f64.tif", bands: 2, nodata: Some(-1e300), ..sheet };
    let dir = tempfile::tempdir().expect("tempdir");
    copies_are_equal(&dir, &sheet.make::<f64>(dir.path()), &["TILED=YES", "INTERLEAVE=BAND"]);
}

#[test]
fn copies_of_signed_bytes_are_equal_pixel_for_pixel() {
    let bytes = tempfile::tempdir().expect("tempdir");
    let unsigned = PICTURE.make::<u8>(bytes.path());
    let dir = tempfile::tempdir().expect("tempdir");
    let source = dir.path().join("i8.tif");
    let new = gdal::version::VersionInfo::version_num().parse::<u32>().expect("a number") >= 3_070_000;
    let arguments = if new { ["-ot", "Int8"] } else { ["-co", "PIXELTYPE=SIGNEDBYTE"] };
    let made = Command::new("gdal_translate")
        .args(["-q", "-co", "TILED=YES"])
        .args(arguments)
        .arg(unsigned)
        .arg(&source)
        .status();
    assert!(made.expect("gdal_translate, of gdal-bin, runs").success());
    copies_are_equal(&dir, &source, &["COMPRESS=DEFLATE"]);
}

#[test]
fn gdalinfo_tells_when_one_sample_differs() {
    let dir = tempfile::tempdir().expect("tempdir");
    let source = PICTURE.make::<u8>(dir.path());
    let path = dir.path().join("copy.tif");
    let change = |mut block: Block| {
        if let (Samples::U8(samples), 192) = (&mut block.samples, block.window.x) {
            samples[[1, 5, 6]] ^= 1;
        }
        Ok(block)
    };
    let way = Way { window: Size::new(64, 530), ..WAYS[3] };
    copy_with(&source, &Target::new(&path), PICTURE.copy_options, way, change).expect("copied");
    let (original, copy) = (seen_by_gdalinfo(&source), seen_by_gdalinfo(&path));
    assert_eq!(copy["bands"][0], original["bands"][0]);
    assert_ne!(copy["bands"][1], original["bands"][1]);
}

/// Readers that need room in GDAL's block cache write blocks of the writer's out, on their threads.
#[test]
fn a_cache_full_of_unwritten_blocks_loses_none() {
    // GDAL reads the size of its cache once in the life of a process: this needs one of its own.
    let own = "lesson::writing::a_cache_full_of_unwritten_blocks_loses_none";
    if !std::env::var("GDAL_CACHEMAX").is_ok_and(|m| m == "1") {
        let this = std::env::current_exe().expect("this program");
        let run = Command::new(this).args(["--exact", own]).env("GDAL_CACHEMAX", "1").output();
        let output = run.expect("runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let wide = Sheet { size: Size::new(2000, 900), ..PICTURE };
    let dir = tempfile::tempdir().expect("tempdir");
    let source = wide.make::<u8>(dir.path());
    let planes = ["TILED=YES", "INTERLEAVE=BAND"];
    for options in [&["TILED=YES"][..], &planes, &["COMPRESS=DEFLATE"]] {
        copies_are_equal(&dir, &source, options);
    }
    // A race: writing windows as they come, without putting blocks together, loses it in about one copy out of twenty.
    let target = Target { overwrite: true, ..Target::new(dir.path().join("copy.tif")) };
    let way = Way { readers: 8, threads: 2, order: Order::Arrival, window: Size::new(50, 50) };
    for _ in 0..15 {
        copy_with(&source, &target, &planes, way, Ok).expect("reads back as it was written");
    }
}

/// A target that holds an older output.
fn with_old_output(dir: &Path) -> (Target, PathBuf) {
    let path = dir.join("out.tif");
    std::fs::write(&path, "the old one").expect("written");
    (Target { overwrite: true, ..Target::new(&path) }, path)
}

fn only_the_old_output_stands(dir: &Path) -> bool {
    names_in(dir) == ["out.tif"] && std::fs::read(dir.join("out.tif")).is_ok_and(|b| b == b"the old one")
}

#[test]
fn a_disk_that_fills_up_at_any_moment_is_an_error_and_the_old_output_stands() {
    let dir = tempfile::tempdir().expect("tempdir");
    let square = Sheet { size: Size::new(512, 512), ..PICTURE };
    let source = square.make::<u8>(dir.path());
    let original = seen_by_gdalinfo(&source);
    let pixels = 3 * 512 * 512 / 1024;
    let ways = [&[][..], &["TILED=YES"], &["TILED=YES", "COMPRESS=DEFLATE", "NUM_THREADS=2"]];
    // From nothing at all, over all but the last bytes, to room enough; the old output takes a page of 4 kB.
    let sizes = [8, 100, 400, pixels - 4, pixels, pixels + 4, pixels + 8, pixels + 12, 2048];
    for options in ways {
        let mut failures = 0;
        for kilobytes in sizes {
            let Some(disk) = SmallDisk::mount(kilobytes) else {
                eprintln!("skipped: this user may not mount a file system");
                return;
            };
            let (target, path) = with_old_output(disk.path());
            match copy_with(&source, &target, options, WAYS[2], Ok) {
                Ok(_) => {
                    assert_eq!(seen_by_gdalinfo(&path), original, "{options:?} on {kilobytes} kB");
                    assert_eq!(names_in(disk.path()), ["out.tif"]);
                }
                Err(error @ Error::Output { .. }) => {
                    failures += 1;
                    let text = error.to_string();
                    assert!(
                        text.to_lowercase().contains("no space"),
                        "{options:?} on {kilobytes} kB: {text}"
                    );
                    assert!(only_the_old_output_stands(disk.path()), "{options:?} on {kilobytes} kB");
                }
                Err(other) => panic!("{options:?} on {kilobytes} kB: {other}"),
            }
        }
        assert!((4..sizes.len()).contains(&failures), "{failures} of the disks were full");
    }
}

#[test]
fn a_task_that_fails_leaves_nothing_behind() {
    let dir = tempfile::tempdir().expect("tempdir");
    let source = PICTURE.make::<u8>(dir.path());
    let out = tempfile::tempdir().expect("tempdir");
    let (target, _) = with_old_output(out.path());
    for way in WAYS {
        let fail = |block: Block| match block.window {
            w if w.bottom() == 530 => Err(Error::Usage("the last row".to_owned())),
            _ => Ok(block),
        };
        let error = copy_with(&source, &target, PICTURE.copy_options, way, fail).expect_err("fails");
        assert_eq!(error.to_string(), "the last row");
        assert!(only_the_old_output_stands(out.path()), "{:?}", names_in(out.path()));

        let panic = |block: Block| {
            assert!(block.window.bottom() < 530, "the last row");
            Ok(block)
        };
        let error = copy_with(&source, &target, PICTURE.copy_options, way, panic).expect_err("panics");
        assert!(matches!(error, Error::Internal(_)), "{error}");
        assert!(only_the_old_output_stands(out.path()), "{:?}", names_in(out.path()));
    }
}

/// A block of bytes that all have one value.
fn grey(window: Window, bands: usize, value: u8) -> Block {
    let mut samples = interleaved_zeros(bands, window.size());
    samples.fill(value);
    Block { window, samples: Samples::U8(samples), validity: Validity::All }
}

#[test]
fn pixels_never_written_hold_nodata() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = dir.path().join("out.tif");
    let size = Size::new(600, 300);
    let spec = DatasetSpec {
        nodata: Some(7.0),
        creation_options: vec!["TILED=YES".to_owned()],
        ..DatasetSpec::new(size, 2, SampleType::U8)
    };
    let mut writer = DatasetWriter::create(&Target::new(&path), spec).expect("created");
    // The lower left block of the file, and parts of two others.
    let parts = [Window::new(0, 256, 256, 44), Window::new(200, 10, 100, 20)];
    for part in parts {
        writer.write(&grey(part, 2, 99)).expect("written");
    }
    let written = writer.finish().expect("finished");
    assert_eq!((written.windows, written.pixels), (2, 256 * 44 + 100 * 20));
    let dataset = gdal::Dataset::open(&path).expect("opens");
    for band in 1..=2 {
        let pixels = dataset.rasterband(band).expect("band").read_band_as::<u8>().expect("pixels");
        for (i, &pixel) in pixels.data().iter().enumerate() {
            let at = Window::new((i % 600) as i64, (i / 600) as i64, 1, 1);
            let wanted = if parts.iter().any(|p| p.contains(&at)) { 99 } else { 7 };
            assert_eq!(pixel, wanted, "{at}");
        }
    }
}

#[test]
fn blocks_are_taken_as_they_lie_in_memory_and_in_any_order() {
    let size = Size::new(300, 200);
    let value = |b: usize, y: usize, x: usize| (b * 10_000 + y * 300 + x) as i32;
    let planar = |w: Window| {
        let shape = (3, w.height, w.width);
        Array3::from_shape_fn(shape, |(b, y, x)| value(b, y + w.y as usize, x + w.x as usize))
    };
    let layouts: [fn(Array3<i32>) -> Array3<i32>; 4] = [
        |a| a,
        |a| {
            let (bands, rows, columns) = a.dim();
            let mut other = interleaved_zeros(bands, Size::new(columns, rows));
            other.assign(&a);
            other
        },
        // Columns next to each other, and from right to left.
        |a| a.permuted_axes([0, 2, 1]).as_standard_layout().into_owned().permuted_axes([0, 2, 1]),
        |mut a| {
            a.invert_axis(ndarray::Axis(2));
            let mut turned = a.as_standard_layout().into_owned();
            turned.invert_axis(ndarray::Axis(2));
            turned
        },
    ];
    let dir = tempfile::tempdir().expect("tempdir");
    for (layout, side) in layouts.iter().zip([200, 90, 300, 64]) {
        let path = dir.path().join(format!("{side}.tif"));
        let spec = DatasetSpec::new(size, 3, SampleType::I32);
        let mut writer = DatasetWriter::create(&Target::new(&path), spec).expect("created");
        for window in windows(size, Size::new(side, side)).into_iter().rev() {
            let samples = Samples::I32(layout(planar(window)));
            writer.write(&Block { window, samples, validity: Validity::All }).expect("written");
        }
        writer.finish().expect("finished");
        let dataset = gdal::Dataset::open(&path).expect("opens");
        for band in 0..3 {
            let pixels = dataset.rasterband(band + 1).expect("band").read_band_as::<i32>().expect("pixels");
            let wanted: Vec<i32> = (0..size.area()).map(|i| value(band, i / 300, i % 300)).collect();
            assert!(pixels.data() == wanted, "band {band}, windows of {side}");
        }
    }
}

#[test]
fn what_reads_back_differently_never_gets_its_name() {
    let noise = |window: Window| {
        let samples =
            Array3::from_shape_fn((1, window.height, window.width), |(_, y, x)| (x * x * 31 + y * 17) as u8);
        Block { window, samples: Samples::U8(samples), validity: Validity::All }
    };
    let size = Size::new(200, 100);
    // Four bits keep the lower half of a byte; JPEG keeps the look.
    for lossy in ["NBITS=4", "COMPRESS=JPEG"] {
        for (verification, accepted) in
            [(Verification::Pixels, false), (Verification::Decoding, true), (Verification::Structure, true)]
        {
            let dir = tempfile::tempdir().expect("tempdir");
            let (target, _) = with_old_output(dir.path());
            let spec = DatasetSpec {
                verification,
                creation_options: vec![lossy.to_owned()],
                ..DatasetSpec::new(size, 1, SampleType::U8)
            };
            let mut writer = DatasetWriter::create(&target, spec).expect("created");
            for window in windows(size, Size::new(200, 50)) {
                writer.write(&noise(window)).expect("written");
            }
            let result = writer.finish();
            assert_eq!(result.is_ok(), accepted, "{lossy}, {verification:?}: {result:?}");
            assert_eq!(only_the_old_output_stands(dir.path()), !accepted);
            assert_eq!(names_in(dir.path()), ["out.tif"]);
            if let Err(error) = result {
                assert!(error.to_string().contains("reads back with other pixels"), "{error}");
            }
        }
    }
}

#[test]
fn pixels_written_twice_never_become_a_raster() {
    for (first, second) in [
        // Both whole blocks of the file; one a part of them; both parts.
        (Window::new(0, 0, 256, 256), Window::new(0, 0, 256, 256)),
        (Window::new(0, 0, 256, 256), Window::new(200, 0, 56, 10)),
        (Window::new(200, 0, 56, 10), Window::new(0, 0, 256, 256)),
        (Window::new(0, 0, 60, 60), Window::new(59, 59, 60, 60)),
    ] {
        let dir = tempfile::tempdir().expect("tempdir");
        let spec = DatasetSpec {
            creation_options: vec!["TILED=YES".to_owned()],
            ..DatasetSpec::new(Size::new(512, 512), 1, SampleType::U8)
        };
        let target = Target::new(dir.path().join("out.tif"));
        let mut writer = DatasetWriter::create(&target, spec).expect("created");
        writer.write(&grey(first, 1, 1)).expect("written");
        let end = writer.write(&grey(second, 1, 2)).and_then(|()| writer.finish());
        assert!(end.is_err(), "{first} and {second}: {end:?}");
        assert!(names_in(dir.path()).is_empty());
    }
}

#[test]
fn blocks_that_do_not_fit_are_refused() {
    let dir = tempfile::tempdir().expect("tempdir");
    let target = Target::new(dir.path().join("out.tif"));
    let create = || {
        let spec = DatasetSpec::new(Size::new(100, 100), 1, SampleType::U8);
        DatasetWriter::create(&target, spec).expect("created")
    };
    let wide = Block {
        samples: Samples::U8(interleaved_zeros(1, Size::new(9, 9))),
        ..grey(Window::new(0, 0, 8, 8), 1, 0)
    };
    let short = Block {
        samples: Samples::I16(interleaved_zeros(1, Size::new(8, 8))),
        ..grey(Window::new(0, 0, 8, 8), 1, 0)
    };
    let outside = grey(Window::new(93, 0, 8, 8), 1, 0);
    let empty = grey(Window::new(0, 0, 0, 8), 1, 0);
    for block in [wide, short, outside, empty, grey(Window::new(0, 0, 8, 8), 2, 0)] {
        let mut writer = create();
        let refused = writer.write(&block);
        assert!(matches!(refused, Err(Error::Internal(_))), "{refused:?}");
        assert!(writer.write(&grey(Window::new(0, 0, 8, 8), 1, 0)).is_err(), "it goes on after a failure");
        assert!(writer.finish().is_err());
    }
    assert!(names_in(dir.path()).is_empty());
}

#[test]
fn what_gdal_cannot_create_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().expect("tempdir");
    let target = Target::new(dir.path().join("out.tif"));
    let good = DatasetSpec::new(Size::new(100, 100), 1, SampleType::U8);
    let refused = |spec: DatasetSpec| {
        let error = DatasetWriter::create(&target, spec).err().expect("refused");
        assert!(names_in(dir.path()).is_empty());
        error
    };
    let option = |o: &str| DatasetSpec { creation_options: vec![o.to_owned()], ..good.clone() };
    assert!(matches!(refused(option("TILED")), Error::Usage(m) if m.contains("TILED")));
    assert!(matches!(refused(DatasetSpec { bands: 0, ..good.clone() }), Error::Usage(_)));
    assert!(matches!(
        refused(DatasetSpec { driver: "Atlantis".to_owned(), ..good.clone() }),
        Error::Output { .. }
    ));
    // PNG can only be made from another raster; tiles have sides that are multiples of 16.
    assert!(matches!(
        refused(DatasetSpec { driver: "PNG".to_owned(), ..good.clone() }),
        Error::Output { .. }
    ));
    let spec = DatasetSpec {
        creation_options: ["TILED=YES", "BLOCKXSIZE=17", "BLOCKYSIZE=17"].map(str::to_owned).to_vec(),
        ..good.clone()
    };
    assert!(matches!(refused(spec), Error::Output { .. }));
    let wkt = Some("PROJCS[\"torn".to_owned());
    assert!(matches!(refused(DatasetSpec { wkt, ..good.clone() }), Error::Output { .. }));

    // What GeoTIFF's plainest profile has no tag for goes into a second file.
    let plain = DatasetSpec { geotransform: Some(ROTATED), ..option("PROFILE=BASELINE") };
    let mut writer = DatasetWriter::create(&target, plain).expect("created");
    writer.write(&grey(Window::new(0, 0, 100, 100), 1, 5)).expect("written");
    let error = writer.finish().expect_err("needs two files");
    assert!(matches!(&error, Error::Output { reason, .. } if reason.contains("second file")), "{error}");
    assert!(names_in(dir.path()).is_empty());
}
