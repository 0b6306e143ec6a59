//! The rasters of `testdata/`.

use std::path::Path;

use gdal::errors::Result;

use super::raster::{Place, Spec, copy_as, noise, samples, texture, truncate, write};

/// Names and contents, as `testdata/README.md` lists them.
pub const FILES: [(&str, &str); 27] = [
    ("rgb.tif", "aerial-like colour, 700 × 600 pixels of 5 m, UTM 33N, DEFLATE tiles"),
    ("landcover.tif", "classes with a palette, EPSG:4326, nodata 0"),
    ("dem.tif", "elevation, float32, UTM 33N, nodata −9999 and holes of NaN"),
    ("rgb16.tif", "16-bit colour, UTM 33N"),
    ("rgba16.tif", "16-bit colour with alpha, UTM 33N"),
    ("rgba.tif", "8-bit colour with a softly fading alpha, magenta where transparent"),
    ("mask_inside.tif", "8-bit colour with a mask inside the file"),
    ("mask_beside.tif", "8-bit colour with a mask in a file beside it"),
    ("mask_beside.tif.msk", "the mask of mask_beside.tif"),
    ("rotated.tif", "grey, geotransform rotated by 30°"),
    ("south_up.tif", "grey, first row in the south"),
    ("gcps.tif", "grey, nine ground control points instead of a geotransform"),
    ("antimeridian.tif", "colour, EPSG:4326, longitudes 170 to 190"),
    ("antimeridian_utm.tif", "grey, UTM 60N across the antimeridian"),
    ("global_180.tif", "grey, the globe, longitudes −180 to 180"),
    ("global_360.tif", "the same pixels, longitudes 0 to 360"),
    ("int8.tif", "signed bytes"),
    ("bits1.tif", "one bit per pixel"),
    ("int16.tif", "16-bit signed, nodata −32768"),
    ("all_nodata.tif", "every pixel is nodata"),
    ("unreferenced.tif", "grey, no georeferencing at all"),
    ("striped.tif", "colour in strips of three rows, LZW, no alignment to anything"),
    ("overviews.tif", "colour with overviews of factors 2, 4 and 8"),
    ("gray_alpha.tif", "grey and alpha"),
    ("bands4.tif", "red, green, blue and a fourth band that is not alpha"),
    ("complex.tif", "complex samples, to be refused"),
    ("truncated.tif", "the first half of striped.tif, to be refused"),
];

/// Web maps show what lies in UTM 33N around here: 15.1° E, 48.8° N.
const ORIGIN: (f64, f64) = (507_340.0, 5_408_220.0);

/// A geotransform of square pixels, north up, with its upper left corner `east` and `south` of [`ORIGIN`].
fn utm(pixel: f64, east: f64, south: f64) -> [f64; 6] {
    [ORIGIN.0 + east, pixel, 0.0, ORIGIN.1 - south, 0.0, -pixel]
}

/// 8-bit colour of a texture.
fn colour(seed: u64, size: (usize, usize)) -> Vec<Vec<u8>> {
    let band = |tint: u64, low: f64, span: f64| {
        samples(size, move |x, y| {
            let value = texture(seed, x, y) + 0.25 * (noise(seed + 10 + tint, x, y, 97.0) - 0.5);
            (low + span * value).clamp(0.0, 255.0) as u8
        })
    };
    vec![band(0, 20.0, 215.0), band(1, 40.0, 180.0), band(2, 15.0, 160.0)]
}

fn gray(seed: u64, size: (usize, usize)) -> Vec<u8> {
    samples(size, |x, y| (texture(seed, x, y) * 255.0) as u8)
}

/// How far a pixel is from the middle: 0 there, 1 at the edges.
fn distance((width, height): (usize, usize), x: f64, y: f64) -> f64 {
    let (w, h) = (width as f64 / 2.0, height as f64 / 2.0);
    let (u, v) = ((x - w) / w, (y - h) / h);
    (u * u + v * v).sqrt()
}

const TILED: &[&str] = &["TILED=YES", "BLOCKXSIZE=128", "BLOCKYSIZE=128", "COMPRESS=DEFLATE", "PREDICTOR=2"];
const PLAIN: &[&str] = &["COMPRESS=DEFLATE"];

/// Writes all files into a folder.
pub fn write_all(folder: &Path) -> Result<()> {
    pictures(folder)?;
    values(folder)?;
    masks(folder)?;
    places(folder)?;
    faults(folder)
}

fn pictures(folder: &Path) -> Result<()> {
    let options = ["TILED=YES", "COMPRESS=DEFLATE", "PREDICTOR=2", "ZLEVEL=9", "PHOTOMETRIC=RGB"];
    let spec = Spec {
        size: (700, 600),
        crs: Some(32633),
        geotransform: Some(utm(5.0, 0.0, 0.0)),
        options: &options,
        ..Spec::default()
    };
    write(&folder.join("rgb.tif"), &spec, colour(1, spec.size))?;

    let options = ["COMPRESS=LZW", "INTERLEAVE=PIXEL", "BLOCKYSIZE=3", "PHOTOMETRIC=RGB", "PREDICTOR=2"];
    let spec = Spec {
        size: (211, 173),
        crs: Some(32633),
        geotransform: Some(utm(11.3, 1234.5, 987.6)),
        options: &options,
        ..Spec::default()
    };
    write(&folder.join("striped.tif"), &spec, colour(2, spec.size))?;
    let spec = Spec { size: (256, 240), options: TILED, overviews: &[2, 4, 8], ..spec };
    write(&folder.join("overviews.tif"), &spec, colour(3, spec.size))?;

    let options = ["COMPRESS=DEFLATE", "PHOTOMETRIC=RGB", "ALPHA=NO", "PREDICTOR=2"];
    let spec = Spec { size: (120, 90), options: &options, overviews: &[], ..spec };
    let mut bands = colour(4, spec.size);
    bands.push(samples(spec.size, |x, _| if x < 60.0 { 0 } else { 200 }));
    write(&folder.join("bands4.tif"), &spec, bands)?;

    let palette = [
        [0, 0, 0, 255],
        [226, 226, 193, 255],
        [24, 104, 24, 255],
        [136, 187, 85, 255],
        [70, 130, 180, 255],
        [200, 40, 40, 255],
        [255, 236, 120, 255],
        [127, 127, 127, 255],
    ];
    let spec = Spec {
        size: (260, 220),
        crs: Some(4326),
        geotransform: Some([14.03, 0.004, 0.0, 49.21, 0.0, -0.004]),
        options: PLAIN,
        nodata: Some(0.0),
        palette: &palette,
        ..Spec::default()
    };
    let class = |x: f64, y: f64| {
        let outside = noise(50, x, y, 90.0) < 0.22;
        if outside { 0 } else { 1 + (texture(40, x, y) * 11.0 - 2.0).clamp(0.0, 6.9) as u8 }
    };
    write(&folder.join("landcover.tif"), &spec, vec![samples(spec.size, class)])
}

fn values(folder: &Path) -> Result<()> {
    let options = ["TILED=YES", "BLOCKXSIZE=128", "BLOCKYSIZE=128", "COMPRESS=DEFLATE", "PREDICTOR=3"];
    let size = (220, 180);
    let spec = Spec {
        size,
        crs: Some(32633),
        geotransform: Some(utm(30.0, -900.0, 700.0)),
        options: &options,
        nodata: Some(-9999.0),
        ..Spec::default()
    };
    let height = |x: f64, y: f64| {
        if distance(size, x, y) > 1.15 {
            -9999.0
        } else if noise(61, x, y, 23.0) > 0.9 {
            f32::NAN
        } else {
            // Whole centimetres, so that the last bits hold no noise.
            ((380.0 + 620.0 * texture(60, x, y)) * 100.0).round() as f32 / 100.0
        }
    };
    write(&folder.join("dem.tif"), &spec, vec![samples(size, height)])?;

    let spec = Spec {
        size: (150, 130),
        geotransform: Some(utm(20.0, 0.0, 0.0)),
        options: &["COMPRESS=DEFLATE", "PREDICTOR=2", "PHOTOMETRIC=RGB"],
        nodata: None,
        ..spec
    };
    let wide = |seed: u64, size| -> Vec<Vec<u16>> {
        let band = |v: &Vec<u8>, k: u16| v.iter().map(|&s| 900 + u16::from(s) * (40 + k)).collect();
        colour(seed, size).iter().zip(0..).map(|(v, k)| band(v, k)).collect()
    };
    write(&folder.join("rgb16.tif"), &spec, wide(70, spec.size))?;
    let options = ["COMPRESS=DEFLATE", "PREDICTOR=2", "PHOTOMETRIC=RGB", "ALPHA=NON-PREMULTIPLIED"];
    let spec = Spec { size: (130, 110), options: &options, ..spec };
    let mut bands = wide(75, spec.size);
    bands.push(samples(spec.size, |x, y| {
        ((1.2 - distance(spec.size, x, y)).clamp(0.0, 0.5) * 2.0 * 65_535.0) as u16
    }));
    write(&folder.join("rgba16.tif"), &spec, bands)?;

    let size = (64, 60);
    let spec = Spec { size, options: &["COMPRESS=DEFLATE", "PIXELTYPE=SIGNEDBYTE"], ..spec };
    let signed = |x: f64, y: f64| ((texture(80, x, y) * 240.0 - 120.0) as i8).cast_unsigned();
    write(&folder.join("int8.tif"), &spec, vec![samples(size, signed)])?;
    let spec = Spec { options: &["COMPRESS=CCITTFAX4", "NBITS=1"], ..spec };
    write(
        &folder.join("bits1.tif"),
        &spec,
        vec![samples(size, |x, y| u8::from(noise(81, x, y, 9.0) > 0.5))],
    )?;
    let spec = Spec { options: PLAIN, nodata: Some(-32768.0), ..spec };
    let value = |x: f64, y: f64| {
        if noise(82, x, y, 15.0) > 0.8 { i16::MIN } else { (texture(83, x, y) * 900.0 - 200.0) as i16 }
    };
    write(&folder.join("int16.tif"), &spec, vec![samples(size, value)])?;
    write(&folder.join("all_nodata.tif"), &spec, vec![vec![i16::MIN; size.0 * size.1]])
}

fn masks(folder: &Path) -> Result<()> {
    let size = (160, 140);
    let options = ["COMPRESS=DEFLATE", "PREDICTOR=2", "PHOTOMETRIC=RGB", "ALPHA=NON-PREMULTIPLIED"];
    let spec = Spec {
        size,
        crs: Some(32633),
        geotransform: Some(utm(16.0, 300.0, 200.0)),
        options: &options,
        ..Spec::default()
    };
    let alpha: Vec<u8> = samples(size, |x, y| ((1.1 - distance(size, x, y)).clamp(0.0, 0.4) * 637.5) as u8);
    let mut bands = colour(90, size);
    for (band, hidden) in bands.iter_mut().zip([255, 0, 255]) {
        band.iter_mut().zip(&alpha).filter(|(_, a)| **a == 0).for_each(|(v, _)| *v = hidden);
    }
    bands.push(alpha);
    write(&folder.join("rgba.tif"), &spec, bands)?;

    let mask: Vec<u8> = samples(size, |x, y| if noise(91, x, y, 31.0) > 0.3 { 255 } else { 0 });
    let options =
        ["COMPRESS=DEFLATE", "PREDICTOR=2", "PHOTOMETRIC=RGB", "TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64"];
    let spec = Spec { options: &options, mask: Some((Place::Inside, &mask)), ..spec };
    write(&folder.join("mask_inside.tif"), &spec, colour(92, size))?;
    let spec = Spec { mask: Some((Place::Beside, &mask)), ..spec };
    write(&folder.join("mask_beside.tif"), &spec, colour(93, size))?;
    let options = ["COMPRESS=DEFLATE", "ALPHA=NON-PREMULTIPLIED"];
    let spec = Spec { options: &options, mask: None, ..spec };
    let alpha = samples(size, |x, _| if x < 40.0 { 0 } else { 255 });
    write(&folder.join("gray_alpha.tif"), &spec, vec![gray(94, size), alpha])
}

fn places(folder: &Path) -> Result<()> {
    let size = (150, 120);
    // 20 m turned by 30°: cosine and sine times 20.
    let (c, s) = (17.320_508_075_688_775, 10.0);
    let spec = Spec {
        size,
        crs: Some(32633),
        geotransform: Some([ORIGIN.0, c, s, ORIGIN.1, s, -c]),
        options: PLAIN,
        ..Spec::default()
    };
    write(&folder.join("rotated.tif"), &spec, vec![gray(100, size)])?;
    let spec = Spec { geotransform: Some([ORIGIN.0, 20.0, 0.0, ORIGIN.1, 0.0, 20.0]), ..spec };
    write(&folder.join("south_up.tif"), &spec, vec![gray(101, size)])?;
    // Nearly affine, slightly bent: a polynomial of the second order fits it both ways.
    let bent = |k: usize| {
        let (column, row) = ((k % 3) as f64 * 75.0, (k / 3) as f64 * 60.0);
        let x = 15.1 + 2.7e-4 * column + 2.0e-5 * row + 2.0e-8 * column * row;
        [column, row, x, 48.83 + 1.0e-5 * column - 1.8e-4 * row + 3.0e-8 * row * row]
    };
    let gcps: [[f64; 4]; 9] = std::array::from_fn(bent);
    let spec = Spec { geotransform: None, crs: Some(4326), gcps: &gcps, ..spec };
    write(&folder.join("gcps.tif"), &spec, vec![gray(102, size)])?;

    let size = (200, 120);
    let spec = Spec {
        size,
        geotransform: Some([170.0, 0.1, 0.0, -8.0, 0.0, -0.1]),
        gcps: &[],
        options: &["COMPRESS=DEFLATE", "PREDICTOR=2", "PHOTOMETRIC=RGB"],
        ..spec
    };
    write(&folder.join("antimeridian.tif"), &spec, colour(103, size))?;
    let spec = Spec {
        crs: Some(32660),
        geotransform: Some([600_000.0, 700.0, 0.0, 6_600_000.0, 0.0, -700.0]),
        options: PLAIN,
        ..spec
    };
    write(&folder.join("antimeridian_utm.tif"), &spec, vec![gray(104, size)])?;

    let size = (360, 180);
    let globe = gray(105, size);
    let geotransform = |west: f64| Some([west, 1.0, 0.0, 90.0, 0.0, -1.0]);
    let spec = Spec { size, crs: Some(4326), geotransform: geotransform(-180.0), ..spec };
    let turned = globe.chunks(360).flat_map(|row| [&row[180..], &row[..180]].concat()).collect();
    write(&folder.join("global_180.tif"), &spec, vec![globe])?;
    let spec = Spec { geotransform: geotransform(0.0), ..spec };
    write(&folder.join("global_360.tif"), &spec, vec![turned])
}

fn faults(folder: &Path) -> Result<()> {
    let spec = Spec { size: (64, 60), options: PLAIN, ..Spec::default() };
    write(&folder.join("unreferenced.tif"), &spec, vec![gray(110, spec.size)])?;
    copy_as(&folder.join("int16.tif"), &folder.join("complex.tif"), "CFloat32")?;
    truncate(&folder.join("striped.tif"), &folder.join("truncated.tif"), 0.5)
}
