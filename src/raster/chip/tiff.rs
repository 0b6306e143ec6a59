//! `GeoTIFF` chips: a directory that GDAL has written once, with place, size and blocks of each chip.

use super::ChipSpec;
use crate::block::{Block, SampleType};
use crate::error::{Error, Result};
use crate::raster::Packing;
use crate::raster::ifd::{Directory, Entry, LONG, tag};
use crate::window::{Size, Window};

/// Where strips begin.
const STRIP_OFFSETS: u16 = 273;
/// Rows of a strip.
const ROWS_PER_STRIP: u16 = 278;
/// How long strips are.
const STRIP_COUNTS: u16 = 279;
/// A position in pixels and its coordinates.
const TIEPOINT: u16 = 33922;
/// The matrix from pixels to coordinates.
const MATRIX: u16 = 34264;
/// Rational polynomial coefficients.
const RPC: u16 = 50844;
/// Type of 64-bit floats.
const DOUBLE: u16 = 12;

/// Chips of more pixels are tiled, unless the options say how they are laid out.
const ONE_STRIP: usize = 1 << 20;

/// Side of the blocks of tiled chips.
const BLOCK: usize = 512;

/// Bytes of pixels from which on GDAL has to see whether they fit into a classic TIFF.
const LARGE: usize = 1 << 31;

/// What all chips have in common.
#[derive(Debug, Clone)]
pub(super) struct TiffChips {
    directory: Directory,
    tie: Tie,
}

/// How the directory tells the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tie {
    /// Not at all.
    None,
    /// By the place of a corner, or of the centre of the pixel there.
    Point { centre: bool },
    /// By a matrix, to the corner or the centre.
    Matrix { centre: bool },
}

/// The value of an option, the last of its name, in capitals.
pub(super) fn option(options: &[String], key: &str) -> Option<String> {
    let of =
        |o: &String| o.split_once('=').map(|(k, v)| (k.trim().to_owned(), v.trim().to_ascii_uppercase()));
    options.iter().rev().filter_map(of).find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v)
}

/// Adds what goes without saying: DEFLATE, and the predictor that suits the samples.
pub(super) fn complete(options: &mut Vec<String>, sample_type: SampleType, palette: bool) {
    let compression = option(options, "COMPRESS").unwrap_or_else(|| {
        options.push("COMPRESS=DEFLATE".to_owned());
        "DEFLATE".to_owned()
    });
    let predicted = ["DEFLATE", "LZW", "ZSTD"].contains(&compression.as_str());
    let given = option(options, "PREDICTOR").is_some() || option(options, "NBITS").is_some();
    let float = matches!(sample_type, SampleType::F32 | SampleType::F64);
    if predicted && !given && !palette {
        options.push(format!("PREDICTOR={}", if float { 3 } else { 2 }));
    }
}

/// Columns and rows of a block of a chip, with the options that say so; the whole chip is one strip when these are `None`.
pub(super) fn blocks(options: &[String], size: Size) -> (Option<Size>, Vec<String>) {
    let number = |key: &str| option(options, key).and_then(|v| v.parse::<usize>().ok());
    let tiled = option(options, "TILED").map(|v| ["YES", "TRUE", "ON", "1"].contains(&v.as_str()));
    match (tiled, number("BLOCKYSIZE")) {
        (Some(true), _) => {
            let side = |key: &str| number(key).unwrap_or(256);
            (Some(Size::new(side("BLOCKXSIZE"), side("BLOCKYSIZE"))), Vec::new())
        }
        (None, None) if size.area() > ONE_STRIP => {
            let mut added = vec!["TILED=YES".to_owned(), format!("BLOCKYSIZE={BLOCK}")];
            let width = number("BLOCKXSIZE");
            if width.is_none() {
                added.push(format!("BLOCKXSIZE={BLOCK}"));
            }
            (Some(Size::new(width.unwrap_or(BLOCK), BLOCK)), added)
        }
        (_, None) => (None, vec![format!("BLOCKYSIZE={}", size.height)]),
        // Strips of some rows are GDAL's.
        (_, Some(rows)) => (Some(Size::new(0, rows)), Vec::new()),
    }
}

impl TiffChips {
    /// `None` when the options or the raster ask for what only GDAL can do.
    ///
    /// # Errors
    /// GDAL's reason when it cannot write the directory.
    pub(super) fn new(spec: &ChipSpec) -> Result<Option<Self>, String> {
        let template = &spec.template;
        let small = Size::new(16, 16);
        let understood = Self::packing(spec, small).is_some();
        let big = option(&template.options, "BIGTIFF")
            .is_some_and(|v| !["NO", "IF_NEEDED", "IF_SAFER"].contains(&v.as_str()));
        // GDAL says why there are none of other sides.
        let odd = |b: Size| !b.width.is_multiple_of(16) || !b.height.is_multiple_of(16);
        let odd = blocks(&template.options, small).0.is_some_and(odd);
        if !understood || big || odd || spec.mask {
            return Ok(None);
        }
        let (mut directory, beside) = template.directory(false)?;
        // What GDAL puts into another file is for GDAL to say, and control points have other places in every chip.
        let others = [tag::JPEG_TABLES, RPC].iter().any(|t| directory.get(*t).is_some());
        if beside || others {
            return Ok(None);
        }
        for tag in [tag::TILE_WIDTH, tag::TILE_HEIGHT, tag::TILE_OFFSETS, tag::TILE_COUNTS, tag::SUBFILE_TYPE]
        {
            directory.remove(tag);
        }
        for tag in [STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_COUNTS] {
            directory.remove(tag);
        }
        let tie = Tie::of(&directory, spec.geotransform(&Window::new(0, 0, 1, 1)));
        Ok(tie.map(|tie| Self { directory, tie }))
    }

    /// How the blocks of a chip are packed.
    fn packing(spec: &ChipSpec, size: Size) -> Option<(Packing, Option<Size>)> {
        let template = &spec.template;
        let (block, _) = blocks(&template.options, size);
        // One strip is packed as a block that is the whole chip.
        let sides = block.unwrap_or(size);
        let mut options = template.options.clone();
        options.extend([
            "TILED=YES".to_owned(),
            format!("BLOCKXSIZE={}", sides.width),
            format!("BLOCKYSIZE={}", sides.height),
        ]);
        Packing::new(size, template.bands.len(), template.sample_type, &options).map(|p| (p, block))
    }

    /// The bytes of a chip.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be packed, [`Error::Usage`] when it is too large.
    pub(super) fn encode(&self, spec: &ChipSpec, mut pixels: Block) -> Result<Vec<u8>> {
        let (window, size) = (pixels.window, pixels.window.size());
        let packed = Self::packing(spec, size);
        let (packing, block) =
            packed.ok_or_else(|| Error::Internal(format!("{window} cannot be packed as planned")))?;
        if pixels.bytes() >= LARGE {
            return Err(Error::Usage(format!(
                "a chip of {window} is too large: see --size, or give --co BIGTIFF=YES"
            )));
        }
        pixels.window = size.window();
        let packed = packing.blocks(&pixels)?;
        drop(pixels);
        let planes = packed.first().map_or(1, |block| block.planes.len());
        let all: Vec<&[u8]> = (0..planes)
            .flat_map(|p| packed.iter().filter_map(move |b| b.planes.get(p).map(Vec::as_slice)))
            .collect();
        let mut directory = self.directory.clone();
        self.tie.put(&mut directory, spec.geotransform(&window));
        directory.set(Entry::long(tag::WIDTH, size.width as u32));
        directory.set(Entry::long(tag::HEIGHT, size.height as u32));
        let (offsets, counts) = if let Some(block) = block {
            directory.set(Entry::long(tag::TILE_WIDTH, block.width as u32));
            directory.set(Entry::long(tag::TILE_HEIGHT, block.height as u32));
            (tag::TILE_OFFSETS, tag::TILE_COUNTS)
        } else {
            directory.set(Entry::long(ROWS_PER_STRIP, size.height as u32));
            (STRIP_OFFSETS, STRIP_COUNTS)
        };
        let lengths: Vec<u32> = all.iter().map(|b| b.len() as u32).collect();
        directory.set(longs(counts, &lengths));
        directory.set(longs(offsets, &vec![0; lengths.len()]));
        Ok(assembled(directory, offsets, &all))
    }
}

/// Numbers of four bytes.
fn longs(tag: u16, values: &[u32]) -> Entry {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Entry { tag, kind: LONG, count: values.len() as u64, bytes }
}

/// A classic TIFF: head, directory, values that do not fit into it, blocks. Everything begins at an even place.
fn assembled(mut directory: Directory, offsets: u16, blocks: &[&[u8]]) -> Vec<u8> {
    const HEAD: u64 = 8;
    let even = |at: u64| at.next_multiple_of(2);
    let mut at = even(HEAD + directory.length(false));
    let mut beyond = Vec::new();
    for entry in directory.entries() {
        beyond.push(at);
        if entry.bytes.len() > 4 {
            at = even(at + entry.bytes.len() as u64);
        }
    }
    let data = at;
    let mut places = Vec::with_capacity(blocks.len());
    for block in blocks {
        places.push(at as u32);
        at = even(at + block.len() as u64);
    }
    directory.set(longs(offsets, &places));
    let mut out = Vec::with_capacity(at as usize);
    out.extend_from_slice(b"II\x2a\0");
    out.extend_from_slice(&(HEAD as u32).to_le_bytes());
    directory.write(false, |k| beyond[k], 0, &mut out);
    for (entry, place) in directory.entries().iter().zip(&beyond) {
        if entry.bytes.len() > 4 {
            out.resize(*place as usize, 0);
            out.extend_from_slice(&entry.bytes);
        }
    }
    out.resize(data as usize, 0);
    for (block, place) in blocks.iter().zip(places) {
        out.resize(place as usize, 0);
        out.extend_from_slice(block);
    }
    out
}

/// The numbers of an entry of 64-bit floats.
fn doubles(entry: &Entry) -> Option<Vec<f64>> {
    let (values, rest) = entry.bytes.as_chunks::<8>();
    (entry.kind == DOUBLE && rest.is_empty()).then(|| values.iter().map(|v| f64::from_le_bytes(*v)).collect())
}

/// The corner of the grid, or the centre of the pixel there.
fn corner(g: &[f64; 6], centre: bool) -> [f64; 2] {
    if centre { [g[0] + g[1] * 0.5 + g[2] * 0.5, g[3] + g[4] * 0.5 + g[5] * 0.5] } else { [g[0], g[3]] }
}

impl Tie {
    /// How a directory tells a geotransform; `None` when it tells it in another way.
    fn of(directory: &Directory, geotransform: Option<[f64; 6]>) -> Option<Self> {
        let (point, matrix) = (directory.get(TIEPOINT), directory.get(MATRIX));
        let Some(g) = geotransform else {
            return (point.is_none() && matrix.is_none()).then_some(Self::None);
        };
        let found = |centre: bool| corner(&g, centre);
        match (point.and_then(doubles).as_deref(), matrix.and_then(doubles).as_deref()) {
            (Some(&[i, j, _, x, y, _]), None) if i == 0.0 && j == 0.0 => {
                [false, true].into_iter().find(|c| found(*c) == [x, y]).map(|centre| Self::Point { centre })
            }
            (None, Some(m)) if m.len() == 16 => {
                let here = [m[3], m[7]];
                [false, true].into_iter().find(|c| found(*c) == here).map(|centre| Self::Matrix { centre })
            }
            _ => None,
        }
    }

    /// Puts the place of a chip into a directory.
    fn put(self, directory: &mut Directory, geotransform: Option<[f64; 6]>) {
        let Some(g) = geotransform else { return };
        let (tag, centre, at) = match self {
            Self::None => return,
            Self::Point { centre } => (TIEPOINT, centre, [3, 4]),
            Self::Matrix { centre } => (MATRIX, centre, [3, 7]),
        };
        let Some(entry) = directory.get(tag).cloned() else { return };
        let mut bytes = entry.bytes;
        for (number, value) in at.into_iter().zip(corner(&g, centre)) {
            bytes[number * 8..(number + 1) * 8].copy_from_slice(&value.to_le_bytes());
        }
        directory.set(Entry { bytes, ..entry });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_completed_but_never_changed() {
        let completed = |text: &str, kind: SampleType, palette: bool| {
            let mut all = options(text);
            complete(&mut all, kind, palette);
            all.join(" ")
        };
        assert_eq!(completed("", SampleType::U8, false), "COMPRESS=DEFLATE PREDICTOR=2");
        assert_eq!(completed("", SampleType::U8, true), "COMPRESS=DEFLATE");
        assert_eq!(completed("compress=zstd", SampleType::F32, false), "compress=zstd PREDICTOR=3");
        assert_eq!(completed("COMPRESS=NONE", SampleType::U8, false), "COMPRESS=NONE");
        assert_eq!(completed("COMPRESS=LZW PREDICTOR=1", SampleType::U8, false), "COMPRESS=LZW PREDICTOR=1");
    }

    #[test]
    fn small_chips_are_one_strip_and_large_ones_tiled() {
        let of = |text: &str, side: usize| blocks(&options(text), Size::new(side, side));
        assert_eq!(of("", 512), (None, options("BLOCKYSIZE=512")));
        assert_eq!(of("TILED=NO", 4096), (None, options("BLOCKYSIZE=4096")));
        assert_eq!(of("", 2048).0, Some(Size::new(512, 512)));
        assert_eq!(of("TILED=YES BLOCKXSIZE=128", 500), (Some(Size::new(128, 256)), vec![]));
    }

    #[test]
    fn a_tiff_is_put_together_at_even_places() {
        let mut directory = Directory::default();
        directory.set(longs(STRIP_OFFSETS, &[0, 0]));
        directory.set(longs(STRIP_COUNTS, &[3, 2]));
        let file = assembled(directory, STRIP_OFFSETS, &[&[1, 2, 3], &[4, 5]]);
        let read = Directory::first(&file).expect("a TIFF");
        let places = &read.get(STRIP_OFFSETS).expect("places").bytes;
        let at = |k: usize| u32::from_le_bytes(*places.as_chunks::<4>().0.get(k).expect("a place")) as usize;
        assert!(at(0).is_multiple_of(2) && at(1).is_multiple_of(2));
        assert_eq!((&file[at(0)..at(0) + 3], &file[at(1)..]), (&[1, 2, 3][..], &[4, 5][..]));
    }
}
