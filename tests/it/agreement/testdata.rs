//! The rasters of `testdata/`.

use super::*;

/// A raster of `testdata/`: its zooms by default, which are those of GDAL 3.12's `gdal raster tile`, how its samples look,
/// and the methods to compare.
struct Known {
    file: &'static str,
    zooms: (u8, u8),
    look: Look,
    methods: &'static [&'static str],
}

const fn known(file: &'static str, zooms: (u8, u8), look: Look, methods: &'static [&'static str]) -> Known {
    Known { file, zooms, look, methods }
}

const KNOWN: [Known; 22] = [
    known("rgb.tif", (9, 14), Look::Picture, QUANTITIES),
    known("striped.tif", (9, 13), Look::Picture, QUANTITIES),
    known("overviews.tif", (9, 13), Look::Picture, QUANTITIES),
    known("bands4.tif", (9, 13), Look::Picture, QUANTITIES),
    known("landcover.tif", (4, 8), Look::Palette, NAMES),
    known("dem.tif", (9, 12), Look::Stretch(400.0, 1000.0), QUANTITIES),
    known("rgb16.tif", (9, 12), Look::Stretch(1000.0, 10_000.0), QUANTITIES),
    known("rgba16.tif", (9, 12), Look::Stretch(1000.0, 10_000.0), QUANTITIES),
    known("int8.tif", (9, 12), Look::Signed(-100.0, 100.0), &["nearest"]),
    known("int16.tif", (9, 12), Look::Stretch(-150.0, 650.0), QUANTITIES),
    known("bits1.tif", (9, 12), Look::Stretch(0.0, 1.0), &["nearest", "bilinear", "cubic"]),
    known("rgba.tif", (9, 13), Look::Picture, QUANTITIES),
    known("gray_alpha.tif", (9, 13), Look::Picture, QUANTITIES),
    known("mask_inside.tif", (9, 13), Look::Picture, QUANTITIES),
    known("mask_beside.tif", (9, 13), Look::Picture, QUANTITIES),
    known("rotated.tif", (9, 12), Look::Picture, QUANTITIES),
    known("south_up.tif", (9, 12), Look::Picture, QUANTITIES),
    known("gcps.tif", (9, 12), Look::Picture, QUANTITIES),
    known("antimeridian.tif", (0, 4), Look::Picture, QUANTITIES),
    known("antimeridian_utm.tif", (0, 7), Look::Picture, QUANTITIES),
    known("global_180.tif", (0, 0), Look::Picture, &["nearest"]),
    known("global_360.tif", (0, 0), Look::Picture, &[]),
];

impl Known {
    fn case(&self) -> Case {
        let options = match self.look {
            Look::Stretch(low, high) | Look::Signed(low, high) => {
                vec!["--scale".to_owned(), format!("{low},{high}")]
            }
            _ => Vec::new(),
        };
        Case {
            path: common::testdata(self.file),
            options,
            look: self.look,
            methods: self.methods,
            zoom: self.zooms.1,
            part: false,
        }
    }
}

#[test]
fn zooms_are_those_of_gdal_raster_tile() {
    for k in &KNOWN {
        let path = common::testdata(k.file);
        let run =
            common::run(["info", "--json"].map(std::ffi::OsStr::new).into_iter().chain([path.as_os_str()]));
        let tile = &run.json()["tile"];
        assert_eq!(
            (tile["min_zoom"].as_u64(), tile["max_zoom"].as_u64()),
            (Some(k.zooms.0.into()), Some(k.zooms.1.into())),
            "{}",
            k.file
        );
    }
}

/// What may be expected of a method.
fn check(name: &str, method: &str, f: &Figures) {
    let seen = f.line(name, method);
    let masks = match method {
        // GDAL also gives data to pixels at the edges whose centre lies outside, tileloom does not.
        "average" | "mode" => f.more <= 10 + f.pixels / 1000,
        _ => f.mask_share() >= 0.995,
    };
    assert!(masks, "masks differ\n{HEADER}\n{seen}");
    let (equal, mean) = match method {
        "nearest" => (0.997, 0.01),
        "bilinear" | "cubic" => (0.85, 0.2),
        "cubicspline" => (0.8, 0.2),
        "average" => (0.6, 0.5),
        // Where it shrinks, GDAL's Lanczos ignores where in a pixel the position is.
        "lanczos" => (0.1, 2.5),
        // GDAL takes the mode of each band by itself, tileloom that of whole pixels.
        _ => (0.5, 1.5),
    };
    assert!(f.equal_share() >= equal && f.mean() <= mean, "pixels differ\n{HEADER}\n{seen}");
    if method == "nearest" {
        assert!(f.from_edge <= 1.0 / 64.0, "{seen}: off by more than coordinates may be");
    }
}

fn tiles_agree(cases: &[Known]) {
    for k in cases {
        for (method, f) in agreement(&k.case()) {
            println!("{}", f.line(k.file, method));
            check(k.file, method, &f);
        }
    }
}

#[test]
fn pictures_agree_with_gdalwarp() {
    println!("{HEADER}");
    tiles_agree(&KNOWN[..5]);
}

#[test]
fn values_agree_with_gdalwarp() {
    tiles_agree(&KNOWN[5..11]);
}

#[test]
fn masks_agree_with_gdalwarp() {
    tiles_agree(&KNOWN[11..15]);
}

#[test]
fn places_agree_with_gdalwarp() {
    tiles_agree(&KNOWN[15..]);
}

#[test]
fn the_test_rasters_are_what_the_program_makes() {
    let dir = tempfile::tempdir().expect("tempdir");
    common::catalogue::write_all(dir.path()).expect("written");
    let listed: Vec<&str> = common::catalogue::FILES.iter().map(|(name, _)| *name).collect();
    let mut made = common::names_in(dir.path());
    made.retain(|n| !n.ends_with(".aux.xml"));
    let mut sorted = listed.clone();
    sorted.sort_unstable();
    assert_eq!(made, sorted);
    for name in listed.into_iter().filter(|n| *n != "truncated.tif") {
        let sums = |path: &Path| -> Vec<String> {
            let text = common::succeed(std::process::Command::new("gdalinfo").arg("-checksum").arg(path));
            let line = |l: &&str| l.contains("Checksum=") || l.starts_with("Origin") || l.contains("Size is");
            text.lines().filter(line).map(str::to_owned).collect()
        };
        let (ours, stored) = (sums(&dir.path().join(name)), sums(&common::testdata(name)));
        assert!(ours.len() > 1, "{name}: {ours:?}");
        assert_eq!(ours, stored, "{name}");
    }
}
