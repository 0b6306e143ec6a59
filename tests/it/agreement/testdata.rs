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
    known("bits1.tif", (9, 12), Look::Stretch(0.0, 1.0), QUANTITIES),
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

#[test]
fn tiles_agree_with_gdalwarp() {
    println!("{HEADER}");
    for k in &KNOWN {
        let case = k.case();
        for (method, f) in agreement(&case) {
            println!("{} {:.6}", f.line(k.file, method), f.from_edge);
        }
    }
}
