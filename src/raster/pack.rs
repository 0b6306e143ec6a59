//! Blocks of a `GeoTIFF`, packed on whatever thread has computed them.
//!
//! GDAL packs in the thread that writes, which then sets the pace of everything: floats at DEFLATE's level 6 leave it at some
//! 40 MB/s. What is made here are the same blocks, to be appended to a file whose structure GDAL has made: the
//! predictors of the TIFF 6.0 specification and its technical note 3, and ordinary DEFLATE streams in a zlib envelope. Where
//! a sample of the block holds hardly any repetition, which is so of most measured values, they are made of literals and
//! zero-runs alone, at many times the speed and about the same size. ZSTD takes its lowest level there.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::cell::RefCell;
use std::convert;

use libdeflater::{CompressionLvl, Compressor};

use super::lzw;
use super::tiff::{Compression, Predictor};
use super::writer::checksum;
use super::zstd::Zstd;
use crate::block::{Block, Sample, SampleType};
use crate::encode::deflate;
use crate::error::{Error, Result};
use crate::simd::{Kernel, Level, dispatch};
use crate::window::{Size, Window};

/// Level of DEFLATE with matches. GDAL's default is 6 of zlib's, which takes twice as long for 1 to 2 % less.
const LEVEL: i32 = 5;

/// Bytes of a block that are tried, from its middle.
const SAMPLE: usize = 16 << 10;

/// Size of the sample with matches, in hundredths of that without, up to which matches pay.
const WORTHWHILE: usize = 97;

/// How the blocks of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// Columns and rows of the raster.
    pub(super) raster: Size,
    /// Columns and rows of a block.
    pub(super) block: Size,
    /// Bands of the raster.
    pub(super) bands: usize,
    /// Whether each band has blocks of its own.
    pub(super) planar: bool,
    pub(super) sample_type: SampleType,
    pub(super) compression: Compression,
    pub(super) predictor: Predictor,
    /// The level of DEFLATE or ZSTD, if one was asked for.
    pub(super) level: Option<i32>,
}

/// Options of GDAL's driver that the structure of the file takes care of, or that are honoured here.
const UNDERSTOOD: [&str; 15] = [
    "COMPRESS",
    "PREDICTOR",
    "ZLEVEL",
    "ZSTD_LEVEL",
    "TILED",
    "BLOCKXSIZE",
    "BLOCKYSIZE",
    "INTERLEAVE",
    "BIGTIFF",
    "NUM_THREADS",
    "PROFILE",
    "GEOTIFF_VERSION",
    "GEOTIFF_KEYS_FLAVOR",
    "ALPHA",
    "PHOTOMETRIC",
];

/// What was packed of a window.
#[derive(Debug)]
pub struct Packed {
    pub(super) window: Window,
    /// Of the samples before they were packed.
    pub(super) checksum: u64,
    pub(super) blocks: Vec<PackedBlock>,
}

/// The bytes of a block.
#[derive(Debug)]
pub(super) struct PackedBlock {
    pub column: usize,
    pub row: usize,
    /// Of all bands together, or of each, if each has blocks of its own.
    pub planes: Vec<Vec<u8>>,
}

impl Packing {
    /// How the blocks of a tiled `GeoTIFF` with such creation options are packed; `None` when GDAL has to do that.
    pub fn new(raster: Size, bands: usize, sample_type: SampleType, options: &[String]) -> Option<Self> {
        let pairs: Vec<(String, String)> = options
            .iter()
            .map(|o| {
                o.split_once('=').map(|(k, v)| (k.trim().to_ascii_uppercase(), v.trim().to_ascii_uppercase()))
            })
            .collect::<Option<_>>()?;
        if !pairs.iter().all(|(key, _)| UNDERSTOOD.contains(&key.as_str())) {
            return None;
        }
        let of = |key: &str| pairs.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        let side = |key: &str| of(key).map_or(Some(256), |v| v.parse::<usize>().ok().filter(|n| *n > 0));
        // Others change what is stored.
        if !of("PHOTOMETRIC").is_none_or(|p| ["RGB", "MINISBLACK"].contains(&p)) {
            return None;
        }
        let compression = match of("COMPRESS") {
            None | Some("NONE") => Compression::None,
            Some("DEFLATE") => Compression::Deflate,
            Some("LZW") => Compression::Lzw,
            Some("ZSTD") => Compression::Zstd,
            Some(_) => return None,
        };
        let float = matches!(sample_type, SampleType::F32 | SampleType::F64);
        let predictor = match of("PREDICTOR") {
            _ if compression == Compression::None => Predictor::None,
            None | Some("1" | "NO") => Predictor::None,
            // Not every libtiff knows differences of eight bytes.
            Some("2" | "STANDARD") if sample_type.bytes() <= 4 => Predictor::Horizontal,
            Some("3" | "FLOATING_POINT") if float => Predictor::Float,
            Some(_) => return None,
        };
        let planar = match of("INTERLEAVE") {
            None | Some("PIXEL") => false,
            Some("BAND") => true,
            Some(_) => return None,
        };
        let (key, most) = if compression == Compression::Zstd { ("ZSTD_LEVEL", 22) } else { ("ZLEVEL", 12) };
        let level = match of(key) {
            None => None,
            Some(level) => Some(level.parse().ok().filter(|l| (1..=most).contains(l))?),
        };
        let tiled = of("TILED").is_some_and(|v| ["YES", "TRUE", "ON", "1"].contains(&v));
        let block = Size::new(side("BLOCKXSIZE")?, side("BLOCKYSIZE")?);
        // A raster of one band is both planar and not, and tiff has it as not.
        let planar = planar && bands > 1;
        tiled.then_some(Self { raster, block, bands, planar, sample_type, compression, predictor, level })
    }

    /// Whether a window is made of whole blocks.
    pub fn holds_whole(&self, window: &Window) -> bool {
        let edge =
            |at: i64, block: usize, end: usize| at as usize == end || (at as usize).is_multiple_of(block);
        let (block, raster) = (self.block, self.raster);
        edge(window.x, block.width, raster.width)
            && edge(window.right(), block.width, raster.width)
            && edge(window.y, block.height, raster.height)
            && edge(window.bottom(), block.height, raster.height)
    }

    /// Bytes that each thread keeps that packs: a block as the predictor leaves it, and the tables of the compressor.
    pub(crate) fn workspace(&self) -> usize {
        let bands = if self.planar { 1 } else { self.bands };
        let tables = match self.compression {
            Compression::None => 0,
            Compression::Deflate | Compression::Lzw => 1 << 20,
            Compression::Zstd => 8 << 20,
        };
        self.block.area() * bands * self.sample_type.bytes() + tables
    }

    /// Packs the blocks of a window that is made of whole ones.
    ///
    /// # Errors
    /// [`Error::Internal`] for a window that is not, or samples of another kind.
    pub fn pack(&self, block: &Block) -> Result<Packed> {
        Ok(Packed { window: block.window, checksum: checksum(&block.samples), blocks: self.blocks(block)? })
    }

    /// The bytes of one block, of which a window holds all that lies in the raster.
    pub(super) fn one(&self, block: &Block, place: (usize, usize)) -> Result<Vec<u8>> {
        self.packed(block, place, 0)
    }

    /// The packed blocks of a window.
    pub(super) fn blocks(&self, block: &Block) -> Result<Vec<PackedBlock>> {
        let window = block.window;
        let fits = self.holds_whole(&window)
            && block.samples.dim() == (self.bands, window.height, window.width)
            && block.samples.sample_type() == self.sample_type;
        if !fits {
            return Err(Error::Internal(format!("{window} is not made of whole blocks to pack")));
        }
        let Size { width, height } = self.block;
        let columns = window.x as usize / width..(window.right() as usize).div_ceil(width);
        let rows = window.y as usize / height..(window.bottom() as usize).div_ceil(height);
        let all = rows.flat_map(|row| columns.clone().map(move |column| (column, row)));
        let planes = if self.planar { self.bands } else { 1 };
        all.map(|(column, row)| {
            let packed = (0..planes).map(|plane| self.packed(block, (column, row), plane));
            Ok(PackedBlock { column, row, planes: packed.collect::<Result<_>>()? })
        })
        .collect()
    }

    /// The bytes of a block, packed.
    fn packed(&self, block: &Block, place: (usize, usize), plane: usize) -> Result<Vec<u8>> {
        WORK.with_borrow_mut(|work| {
            work.rows.clear();
            for_samples!(&block.samples, array => {
                self.lay_out(array, block.window, place, plane, work);
            });
            match self.compression {
                Compression::None => Ok(work.rows.clone()),
                Compression::Deflate => work.deflate(self.level),
                Compression::Lzw => Ok(work.lzw.pack(&work.rows)),
                Compression::Zstd => work.zstd.pack(&work.rows, self.level),
            }
        })
    }

    /// Puts the rows of a block one after the other, as the predictor leaves them. Blocks reach beyond the raster's edge with the
    /// last pixel of each row and the last row, which pack into next to nothing.
    fn lay_out<T: Sample + Predicted>(
        &self,
        array: &ndarray::Array3<T>,
        window: Window,
        (column, row): (usize, usize),
        plane: usize,
        work: &mut Work,
    ) {
        let Size { width, height } = self.block;
        let bands = if self.planar { 1 } else { self.bands };
        let (left, top) = (column * width - window.x as usize, row * height - window.y as usize);
        let there = width.min(window.width - left);
        let mut values = vec![T::default(); width * bands];
        let interleaved = crate::block::interleaved_slice(array);
        for y in 0..height {
            let source = top + y;
            if source >= window.height {
                // The row above once more.
                let bytes = width * bands * size_of::<T>();
                let start = work.rows.len() - bytes;
                work.rows.extend_from_within(start..);
                continue;
            }
            match interleaved {
                Some(all) if !self.planar => {
                    let from = (source * window.width + left) * bands;
                    values[..there * bands].copy_from_slice(&all[from..from + there * bands]);
                }
                _ => {
                    for (k, value) in values[..there * bands].iter_mut().enumerate() {
                        let (x, band) = (left + k / bands, plane + k % bands);
                        *value = array[[band, source, x]];
                    }
                }
            }
            for x in there..width {
                values.copy_within((there - 1) * bands..there * bands, x * bands);
            }
            T::predict(&values, bands, self.predictor, &mut work.rows);
        }
    }
}

/// Bytes as a zlib stream with matches.
pub(super) fn deflated(bytes: &[u8]) -> Result<Vec<u8>> {
    WORK.with_borrow_mut(|work| {
        work.rows.clear();
        work.rows.extend_from_slice(bytes);
        work.matched(0..bytes.len(), LEVEL)
    })
}

thread_local! {
    /// Buffers and compressors of a thread.
    static WORK: RefCell<Work> = RefCell::default();
}

#[derive(Default)]
struct Work {
    rows: Vec<u8>,
    compressors: Vec<(i32, Compressor)>,
    lzw: lzw::Table,
    zstd: Zstd,
}

impl Work {
    /// The rows as a zlib stream.
    fn deflate(&mut self, level: Option<i32>) -> Result<Vec<u8>> {
        if let Some(level) = level {
            return self.matched(0..self.rows.len(), level);
        }
        let start = (self.rows.len() / 2).saturating_sub(SAMPLE / 2);
        let sample = start..self.rows.len().min(start + SAMPLE);
        let runs = deflate::runs_size(&self.rows[sample.clone()]);
        let matched = self.matched(sample, LEVEL)?.len();
        if 100 * matched > WORTHWHILE * runs {
            let mut out = Vec::new();
            deflate::zlib_runs(&self.rows, &mut out);
            return Ok(out);
        }
        self.matched(0..self.rows.len(), LEVEL)
    }

    /// Some of the bytes as a zlib stream with matches.
    fn matched(&mut self, range: std::ops::Range<usize>, level: i32) -> Result<Vec<u8>> {
        let found = self.compressors.iter().position(|(l, _)| *l == level);
        let at = if let Some(at) = found {
            at
        } else {
            let known = CompressionLvl::new(level)
                .map_err(|_| Error::Internal(format!("DEFLATE has no level {level}")))?;
            self.compressors.push((level, Compressor::new(known)));
            self.compressors.len() - 1
        };
        let (compressor, data) = (&mut self.compressors[at].1, &self.rows[range]);
        let mut out = vec![0; compressor.zlib_compress_bound(data.len())];
        let length = compressor
            .zlib_compress(data, &mut out)
            .map_err(|e| Error::Internal(format!("a block cannot be packed: {e}")))?;
        out.truncate(length);
        Ok(out)
    }
}

/// Samples whose rows can be predicted; the counterpart of reading them.
pub(super) trait Predicted: Sample {
    /// Appends a row of a block, `bands` samples to a pixel, as the predictor leaves it, least significant byte first.
    fn predict(values: &[Self], bands: usize, predictor: Predictor, out: &mut Vec<u8>);
}

macro_rules! predicted {
    ($($type:ty, $bits:ty, $to:expr;)*) => {
        $(impl Predicted for $type {
            fn predict(values: &[Self], bands: usize, predictor: Predictor, out: &mut Vec<u8>) {
                let to = |v: $type| -> $bits { $to(v) };
                let start = out.len();
                out.resize(start + size_of_val(values), 0);
                let out = &mut out[start..];
                match predictor {
                    Predictor::None => {
                        let (slots, _) = out.as_chunks_mut();
                        for (slot, v) in slots.iter_mut().zip(values) {
                            *slot = to(*v).to_le_bytes();
                        }
                    }
                    Predictor::Horizontal => {
                        let (slots, _) = out.as_chunks_mut();
                        for (slot, v) in slots.iter_mut().zip(values).take(bands) {
                            *slot = to(*v).to_le_bytes();
                        }
                        let pairs = values.get(bands..).unwrap_or_default().iter().zip(values);
                        for (slot, (v, before)) in slots.iter_mut().skip(bands).zip(pairs) {
                            *slot = to(*v).wrapping_sub(to(*before)).to_le_bytes();
                        }
                    }
                    Predictor::Float => {
                        let byte = |v: $type, significance: u32| (to(v) >> (8 * significance)) as u8;
                        dispatch(Level::Best, Planes { values, bands, byte, out });
                    }
                }
            }
        })*
    };
}

predicted! {
    u8, u8, convert::identity;
    i8, u8, i8::cast_unsigned;
    u16, u16, convert::identity;
    i16, u16, i16::cast_unsigned;
    u32, u32, convert::identity;
    i32, u32, i32::cast_unsigned;
    f32, u32, f32::to_bits;
    f64, u64, f64::to_bits;
}

/// The floating point predictor: the most significant bytes of a row, then the next, as differences to the pixel before. The first
/// pixel of a plane follows the last one of the plane above.
struct Planes<'a, T, F> {
    values: &'a [T],
    bands: usize,
    /// The byte of a value with as many less significant ones.
    byte: F,
    out: &'a mut [u8],
}

impl<T: Copy, F: Fn(T, u32) -> u8> Kernel for Planes<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { values, bands, byte, out } = self;
        let ends = values.len().saturating_sub(bands);
        let planes = out.chunks_exact_mut(values.len().max(1)).zip((0..size_of::<T>() as u32).rev());
        for (plane, significance) in planes {
            let above = significance + 1;
            let (first, others) = plane.split_at_mut(bands.min(values.len()));
            for ((slot, v), end) in first.iter_mut().zip(values).zip(&values[ends..]) {
                let before = if above == size_of::<T>() as u32 { 0 } else { byte(*end, above) };
                *slot = byte(*v, significance).wrapping_sub(before);
            }
            let pairs = values.get(bands..).unwrap_or_default().iter().zip(values);
            for (slot, (v, before)) in others.iter_mut().zip(pairs) {
                *slot = byte(*v, significance).wrapping_sub(byte(*before, significance));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::predictor::Stored;
    use super::super::tiff::ByteOrder;
    use super::*;

    fn options(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn packing(text: &str) -> Option<Packing> {
        Packing::new(Size::new(1000, 1000), 3, SampleType::F32, &options(text))
    }

    #[test]
    fn only_what_is_understood_is_packed_here() {
        let own = packing("TILED=YES compress=deflate PREDICTOR=3 BLOCKXSIZE=512 BLOCKYSIZE=256 ZLEVEL=9");
        let own = own.expect("understood");
        assert_eq!((own.block, own.level, own.predictor), (Size::new(512, 256), Some(9), Predictor::Float));
        assert!(packing("TILED=YES INTERLEAVE=BAND").is_some_and(|p| p.planar));
        let zstd = packing("TILED=YES COMPRESS=ZSTD ZSTD_LEVEL=22").expect("understood");
        assert_eq!((zstd.compression, zstd.level), (Compression::Zstd, Some(22)));
        for other in [
            "",
            "COMPRESS=DEFLATE",
            "TILED=YES COMPRESS=LZMA",
            "TILED=YES COMPRESS=ZSTD ZSTD_LEVEL=23",
            "TILED=YES COMPRESS=DEFLATE NBITS=12",
            "TILED=YES COMPRESS=DEFLATE ENDIANNESS=BIG",
            "TILED=YES COMPRESS=DEFLATE ZLEVEL=40",
            "TILED=YES BLOCKXSIZE=0",
        ] {
            assert_eq!(packing(other), None, "{other}");
        }
    }

    #[test]
    fn rows_are_predicted_as_they_are_read() {
        fn check<T: Predicted + Stored + std::fmt::Debug>(predictors: &[Predictor]) {
            let values: Vec<T> = (0..60).map(|k| T::from_f64(f64::from(k * k * 37 % 251) - 100.5)).collect();
            for bands in 1..=4 {
                for predictor in predictors {
                    let mut row = Vec::new();
                    T::predict(&values, bands, *predictor, &mut row);
                    let mut out = vec![T::default(); values.len()];
                    T::unpack(&mut row, ByteOrder::Little, *predictor, bands, &mut out);
                    assert_eq!(out, values, "{bands} {predictor:?}");
                }
            }
        }
        let integers = [Predictor::None, Predictor::Horizontal];
        check::<u8>(&integers);
        check::<i8>(&integers);
        check::<u16>(&integers);
        check::<i16>(&integers);
        check::<u32>(&integers);
        check::<i32>(&integers);
        check::<f32>(&[Predictor::None, Predictor::Horizontal, Predictor::Float]);
        check::<f64>(&[Predictor::None, Predictor::Float]);
    }
}
