//! Speed and size of tile encoders, per kind of imagery, against libpng, the codecs alone and floors.
//!
//! ```text
//! cargo bench --bench encode                      # generated textures
//! cargo bench --bench encode -- FOLDER|RASTER...  # and tiles cut from real rasters
//! TILELOOM_BENCH_RASTERS=FOLDER cargo bench --bench encode
//! ```
//!
//! libpng is GDAL's PNG driver at `ZLEVEL=6`, the other codecs alone are its drivers at their defaults, writing to memory. CPU seconds are those of this process.

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use gdal::raster::{
    Buffer, ColorInterpretation, ColorTable, GdalDataType, RasterBand, RasterCreationOptions,
};
use gdal::{Dataset, DriverManager};
use tileloom::encode::jpeg::JpegOptions;
use tileloom::encode::png::PngMode;
use tileloom::encode::webp::{WebpMode, WebpOptions};
use tileloom::encode::{Colour, EncoderOptions, Picture, Plane, Rgba};

/// Sides of a tile.
const SIDE: usize = 256;
/// Tiles per side of the window that is cut from the middle of a raster.
const TILES: usize = 6;
/// Least CPU seconds a figure is taken from.
const LEAST: f64 = 0.4;

/// An owned picture.
struct Tile {
    samples: Vec<u8>,
    alpha: Option<Vec<u8>>,
}

/// Tiles of one kind.
struct Set {
    name: String,
    /// Bytes per pixel.
    channels: usize,
    table: Option<Vec<Rgba>>,
    tiles: Vec<Tile>,
}

impl Set {
    fn picture<'a>(&'a self, tile: &'a Tile) -> Picture<'a> {
        let colour = match &self.table {
            Some(table) => Colour::Palette(table),
            None if self.channels == 3 => Colour::Rgb,
            None => Colour::Gray,
        };
        Picture {
            width: SIDE,
            height: SIDE,
            colour,
            samples: Plane { bytes: &tile.samples, stride: SIDE * self.channels },
            alpha: tile.alpha.as_ref().map(|alpha| Plane { bytes: alpha, stride: SIDE }),
        }
    }

    fn pixels(&self) -> f64 {
        (self.tiles.len() * SIDE * SIDE) as f64
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut rasters: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    rasters.retain(|path| !path.to_string_lossy().starts_with('-'));
    rasters.extend(std::env::var_os("TILELOOM_BENCH_RASTERS").map(PathBuf::from));
    let mut sets = generated();
    for path in files(&rasters)? {
        match cut(&path) {
            Ok(set) => sets.push(set),
            Err(error) => eprintln!("{}: skipped: {error}", path.display()),
        }
    }
    println!("set\tencoder\tMpx\tCPU-s/Mpx\tMB/s\tbytes\tvs libpng\tspeed vs libpng");
    for set in &sets {
        report(set)?;
    }
    Ok(())
}

/// The rasters in folders, and those named.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside = Vec::new();
            for entry in std::fs::read_dir(path)? {
                inside.push(entry?.path());
            }
            inside.sort();
            files.extend(inside);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Prints the lines of a set.
fn report(set: &Set) -> Result<(), Box<dyn Error>> {
    let mut out = Vec::new();
    let mut deflate = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(1).unwrap_or_default());
    let (libpng, libpng_bytes) = measure(set, |tile| peer(set, tile, "PNG", &["ZLEVEL=6"]))?;
    let line = |name: &str, seconds: f64, bytes: usize| {
        let per_mpx = seconds / (set.pixels() / 1e6);
        let channels = set.channels + usize::from(set.tiles.iter().any(|tile| tile.alpha.is_some()));
        println!(
            "{}\t{name}\t{:.1}\t{per_mpx:.5}\t{:.0}\t{bytes}\t{:.3}\t{:.1}",
            set.name,
            set.pixels() / 1e6,
            channels as f64 / per_mpx,
            bytes as f64 / libpng_bytes as f64,
            libpng / seconds,
        );
    };
    line("libpng-6", libpng, libpng_bytes);
    for (name, options) in encoders() {
        let encoder = options.build()?;
        let (seconds, bytes) = measure(set, |tile| {
            out.clear();
            encoder.encode(&set.picture(tile), &mut out)?;
            Ok(black_box(&out).len())
        })?;
        line(name, seconds, bytes);
    }
    // The codecs alone, as GDAL drives them; its drivers take neither palettes nor, for JPEG, alpha.
    let lossy: [(&str, &str, &[&str]); 3] = [
        ("JPEG of GDAL", "JPEG", &["QUALITY=75"]),
        ("WebP of GDAL", "WEBP", &["QUALITY=75"]),
        ("lossless WebP of GDAL", "WEBP", &["LOSSLESS=YES"]),
    ];
    for (name, driver, options) in lossy.into_iter().filter(|_| set.table.is_none() && set.channels == 3) {
        if driver == "WEBP" || set.tiles.iter().all(|tile| tile.alpha.is_none()) {
            let (seconds, bytes) = measure(set, |tile| peer(set, tile, driver, options))?;
            line(name, seconds, bytes);
        }
    }
    let (seconds, bytes) = measure(set, |tile| {
        out.resize(deflate.zlib_compress_bound(tile.samples.len()), 0);
        Ok(deflate.zlib_compress(&tile.samples, &mut out)?)
    })?;
    line("libdeflate-1 of raw samples", seconds, bytes);
    let (seconds, bytes) = measure(set, |tile| {
        out.clear();
        out.extend(&tile.samples);
        Ok(black_box(&out).len())
    })?;
    line("memcpy", seconds, bytes);
    Ok(())
}

/// The encoders with the options that matter to their speed.
fn encoders() -> [(&'static str, EncoderOptions); 5] {
    let mut lossless = WebpOptions::default();
    lossless.mode = WebpMode::Lossless;
    [
        ("png fast", EncoderOptions::Png(PngMode::Fast.into())),
        ("png small", EncoderOptions::Png(PngMode::Small.into())),
        ("jpg", EncoderOptions::Jpeg(JpegOptions::default())),
        ("webp", EncoderOptions::Webp(WebpOptions::default())),
        ("webp lossless", EncoderOptions::Webp(lossless)),
    ]
}

/// CPU seconds and bytes of one pass over the tiles.
fn measure(
    set: &Set,
    mut encode: impl FnMut(&Tile) -> Result<usize, Box<dyn Error>>,
) -> Result<(f64, usize), Box<dyn Error>> {
    let mut bytes = 0;
    for tile in &set.tiles {
        bytes += encode(tile)?;
    }
    let start = cpu_seconds();
    let mut passes = 0.0;
    loop {
        for tile in &set.tiles {
            encode(tile)?;
        }
        passes += 1.0;
        let seconds = cpu_seconds() - start;
        if seconds >= LEAST {
            return Ok((seconds / passes, bytes));
        }
    }
}

/// CPU seconds of this process, user and system, from procfs in hundredths; wall clock where there is none.
fn cpu_seconds() -> f64 {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    let ticks = || -> Option<f64> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // Fields are counted from behind the name, which may hold spaces: state is the first.
        let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
        Some(fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?)
    };
    ticks().filter(|&ticks| ticks > 0.0).map_or_else(|| START.elapsed().as_secs_f64(), |ticks| ticks / 100.0)
}

/// Encodes with one of GDAL's drivers.
fn peer(set: &Set, tile: &Tile, driver: &str, options: &[&str]) -> Result<usize, Box<dyn Error>> {
    let bands = set.channels + usize::from(tile.alpha.is_some());
    let memory = DriverManager::get_driver_by_name("MEM")?.create("", SIDE, SIDE, bands)?;
    for band in 0..bands {
        let values = match &tile.alpha {
            Some(alpha) if band == set.channels => alpha.clone(),
            _ => tile.samples.iter().skip(band).step_by(set.channels).copied().collect(),
        };
        let mut raster = memory.rasterband(band + 1)?;
        raster.write((0, 0), (SIDE, SIDE), &mut Buffer::new((SIDE, SIDE), values))?;
        if let Some(table) = &set.table {
            let mut colours = ColorTable::default();
            for (&colour, index) in table.iter().zip(0..) {
                let [r, g, b, a] = colour.map(i16::from);
                colours.set_color_entry(index, &gdal::raster::ColorEntry::rgba(r, g, b, a));
            }
            raster.set_color_table(&colours);
        }
    }
    let path = "/vsimem/tile";
    let options = options.iter().copied().collect::<RasterCreationOptions>();
    drop(memory.create_copy(&DriverManager::get_driver_by_name(driver)?, path, &options)?);
    let bytes = gdal::vsi::get_vsi_mem_file_bytes_owned(path)?;
    // GDAL may leave metadata beside the file.
    let _ = gdal::vsi::unlink_mem_file("/vsimem/tile.aux.xml");
    Ok(bytes.len())
}

/// Cuts tiles from the middle of a raster.
fn cut(path: &Path) -> Result<Set, Box<dyn Error>> {
    let dataset = Dataset::open(path)?;
    let (width, height) = dataset.raster_size();
    let columns = (width / SIDE).min(TILES);
    let rows = (height / SIDE).min(TILES);
    if columns * rows == 0 {
        return Err("smaller than a tile".into());
    }
    let bands = dataset.rasterbands().collect::<Result<Vec<_>, _>>()?;
    if bands.iter().any(|band| band.band_type() != GdalDataType::UInt8) {
        return Err("not 8 bit".into());
    }
    let has_alpha = matches!(bands.len(), 2 | 4)
        && bands.last().is_some_and(|band| band.color_interpretation() == ColorInterpretation::AlphaBand);
    let channels = if bands.len() >= 3 { 3 } else { 1 };
    let table = bands[0].color_table().filter(|_| bands.len() == 1).map(|table| {
        let entry = |i| table.entry_as_rgb(i).map_or([0; 4], |c| [c.r, c.g, c.b, c.a].map(|v| v as u8));
        (0..table.entry_count()).map(entry).collect::<Vec<Rgba>>()
    });
    let nodata =
        bands[0].no_data_value().filter(|_| channels == 1 && table.is_none()).map(|value| value as u8);
    let origin = ((width - columns * SIDE) / 2, (height - rows * SIDE) / 2);
    let read = |band: &RasterBand<'_>, column: usize, row: usize| {
        let at = ((origin.0 + column * SIDE) as isize, (origin.1 + row * SIDE) as isize);
        band.read_as::<u8>(at, (SIDE, SIDE), (SIDE, SIDE), None).map(|buffer| buffer.data().to_vec())
    };
    let mut tiles = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            let mut samples = vec![0; SIDE * SIDE * channels];
            for (channel, band) in bands[..channels].iter().enumerate() {
                let values = read(band, column, row)?;
                for (pixel, value) in samples.chunks_exact_mut(channels).zip(values) {
                    pixel[channel] = value;
                }
            }
            let alpha = match (bands.last(), nodata) {
                (Some(band), _) if has_alpha => Some(read(band, column, row)?),
                (_, Some(nodata)) => {
                    Some(samples.iter().map(|&v| if v == nodata { 0 } else { 255 }).collect())
                }
                _ => None,
            };
            tiles.push(Tile { samples, alpha });
        }
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Set { name, channels, table, tiles })
}

/// Kinds of imagery that take nothing but this program.
fn generated() -> Vec<Set> {
    let set = |name: &str, channels, table, tile: &dyn Fn(usize) -> Tile| Set {
        name: format!("({name})"),
        channels,
        table,
        tiles: (0..12).map(tile).collect(),
    };
    let rgb = |seed: usize, grain: f64| -> Vec<u8> {
        let mut samples = Vec::with_capacity(SIDE * SIDE * 3);
        for i in 0..SIDE * SIDE {
            let (x, y) = ((i % SIDE + seed * SIDE) as f64, (i / SIDE) as f64);
            for (band, tint) in [0.9, 1.0, 0.7].into_iter().enumerate() {
                let own = noise(x * 0.8, y * 0.8, band as u64) * 0.25 + noise(x, y, 9) * 0.75;
                samples.push(((90.0 + 110.0 * (fractal(x, y) - 0.5) + grain * (own - 0.5)) * tint) as u8);
            }
        }
        samples
    };
    let opaque = |samples| Tile { samples, alpha: None };
    let classes = |seed: usize| -> Vec<u8> {
        let at = |i: usize| fractal((i % SIDE + seed * SIDE) as f64, (i / SIDE) as f64);
        (0..SIDE * SIDE).map(|i| (at(i) * 24.0) as u8).collect()
    };
    let table = (0..24u8).map(|i| [i * 10, 255 - i * 9, i.wrapping_mul(77), 255]).collect();
    vec![
        set("aerial", 3, None, &|seed| opaque(rgb(seed, 40.0))),
        set("smooth", 3, None, &|seed| opaque(rgb(seed, 0.0))),
        set("aerial, cut aslant", 3, None, &|seed| Tile {
            samples: rgb(seed, 40.0),
            alpha: Some(
                (0..SIDE * SIDE).map(|i| if i % SIDE + i / SIDE / 2 > 150 { 255 } else { 0 }).collect(),
            ),
        }),
        set("classes", 1, Some(table), &|seed| opaque(classes(seed))),
        set("constant", 3, None, &|seed| opaque([seed as u8, 90, 200].repeat(SIDE * SIDE))),
    ]
}

/// Noise in 0..1 at five scales.
fn fractal(x: f64, y: f64) -> f64 {
    let octave =
        |i: i32| noise(x / f64::from(4 << i), y / f64::from(4 << i), i as u64) / f64::from(1 << (4 - i));
    (0..5).map(octave).sum::<f64>() / 1.9375
}

/// Value noise in 0..1.
fn noise(x: f64, y: f64, seed: u64) -> f64 {
    let corner = |dx: f64, dy: f64| {
        let key = ((x.floor() + dx) as u64) << 32 ^ ((y.floor() + dy) as u64) << 8 ^ seed;
        let mut hash = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (hash >> 40) as f64 / f64::from(1 << 24)
    };
    let (u, v) = (x - x.floor(), y - y.floor());
    let top = corner(0.0, 0.0) * (1.0 - u) + corner(1.0, 0.0) * u;
    let bottom = corner(0.0, 1.0) * (1.0 - u) + corner(1.0, 1.0) * u;
    top * (1.0 - v) + bottom * v
}
