//! Blocks of a `GeoTIFF` as bytes, made on any thread: by [packing](super::Packing) where that is known here, else by GDAL, which is given
//! a file in memory of this one block.

use gdal::DriverManager;
use gdal::cpl::CslStringList;
use ndarray::{Array2, Array3};

use super::ifd::{Directory, tag};
use super::template::{name_in_memory, native_int8};
use super::{Packing, raw, reason};
use crate::block::{Assembly, Block, Sample, SampleType, interleaved_slice};
use crate::error::{Error, Result};
use crate::window::{Size, Window};

/// How blocks become bytes.
#[derive(Debug, Clone)]
pub struct Codec {
    block: Size,
    bands: usize,
    sample_type: SampleType,
    scheme: Scheme,
}

#[derive(Debug, Clone)]
enum Scheme {
    Packed(Packing),
    /// By GDAL, with creation options of its `GTiff` driver.
    Gdal(Vec<String>),
}

impl Codec {
    /// Pixel-interleaved blocks with creation options (`KEY=VALUE`) of GDAL's `GTiff` driver, without those about their size.
    pub fn new(block: Size, bands: usize, sample_type: SampleType, options: &[String]) -> Self {
        let mut all = options.to_vec();
        all.extend([
            "TILED=YES".to_owned(),
            format!("BLOCKXSIZE={}", block.width),
            format!("BLOCKYSIZE={}", block.height),
        ]);
        let scheme = match Packing::new(block, bands, sample_type, &all) {
            Some(packing) => Scheme::Packed(packing),
            None => Scheme::Gdal(all),
        };
        Self { block, bands, sample_type, scheme }
    }

    /// Finds out whether GDAL can pack samples of a type so, before any of them is read.
    ///
    /// # Errors
    /// [`Error::Usage`] with GDAL's reason.
    pub fn try_out(bands: usize, sample_type: SampleType, options: &[String]) -> Result<()> {
        let side = Size::new(16, 16);
        let codec = Self::new(side, bands, sample_type, options);
        let Scheme::Gdal(options) = &codec.scheme else { return Ok(()) };
        let pixels = Assembly::uncovered(side.window(), sample_type, bands).finish();
        let pixels = pixels.ok_or_else(|| Error::Internal("a block without pixels".to_owned()))?;
        let packed = codec.through_gdal(options, &pixels, (0, 0));
        packed.map(|_| ()).map_err(|why| Error::Usage(format!("this GDAL cannot pack so: {why}")))
    }

    /// Whether blocks are packed without GDAL.
    pub fn is_own(&self) -> bool {
        matches!(self.scheme, Scheme::Packed(_))
    }

    /// The bytes of the block in a column and row, of pixels that hold all of it that lies in the raster. Beyond these it is filled with
    /// the pixels at their edge.
    ///
    /// # Errors
    /// [`Error::Internal`] for pixels that do not fit, [`Error::Output`] with GDAL's reason.
    pub fn pack(&self, pixels: &Block, (column, row): (usize, usize)) -> Result<Vec<u8>> {
        let Size { width, height } = self.block;
        let corner = Window::new((column * width) as i64, (row * height) as i64, 1, 1);
        let fits = pixels.window.contains(&corner)
            && pixels.samples.dim() == (self.bands, pixels.window.height, pixels.window.width)
            && pixels.samples.sample_type() == self.sample_type;
        if !fits {
            return Err(Error::Internal(format!("{} does not hold the block to pack", pixels.window)));
        }
        match &self.scheme {
            Scheme::Packed(packing) => packing.one(pixels, (column, row)),
            Scheme::Gdal(options) => self.through_gdal(options, pixels, (column, row)).map_err(|why| {
                let place = format!("block of {width}×{height} pixels in column {column}, row {row}");
                Error::output(place, format!("GDAL cannot pack it: {why}"))
            }),
        }
    }

    fn through_gdal(
        &self,
        options: &[String],
        pixels: &Block,
        place: (usize, usize),
    ) -> Result<Vec<u8>, String> {
        // Another thread that needs room in GDAL's cache may write a block out before all of its bands are there. It is then written
        // again, elsewhere in the file; and what it was packed from may be no longer what it should be.
        const TURNS: usize = 5;
        for _ in 0..TURNS {
            let bytes = for_samples!(&pixels.samples, array => {
                let whole = whole(array, pixels.window, self.block, place);
                self.file(options, &whole)
            })?;
            if let Some(block) = only_block(&bytes) {
                return Ok(block);
            }
        }
        Err("it was written in parts, again and again".to_owned())
    }

    /// A file of one block.
    fn file<T: Sample>(&self, options: &[String], samples: &Array3<T>) -> Result<Vec<u8>, String> {
        let driver = DriverManager::get_driver_by_name("GTiff").map_err(|e| reason(&e))?;
        let native = native_int8();
        let mut list = CslStringList::new();
        for option in options {
            list.add_string(option).map_err(|e| reason(&e))?;
        }
        if self.sample_type == SampleType::I8 && !native {
            list.add_string("PIXELTYPE=SIGNEDBYTE").map_err(|e| reason(&e))?;
        }
        let name = name_in_memory();
        let write = || {
            let path = std::path::Path::new(&name);
            let dataset =
                raw::create(&driver, path, self.block, self.bands, (self.sample_type, native), &list)?;
            raw::write_all_bands(&dataset, self.block.window(), native, &samples.view())?;
            dataset.close().map_err(|e| reason(&e))
        };
        let (written, heard) = raw::listen(write);
        let bytes = gdal::vsi::get_vsi_mem_file_bytes_owned(&name).map_err(|e| reason(&e));
        let failure = heard.iter().find_map(raw::Message::failure);
        match failure {
            Some(failure) => Err(failure),
            None => written.and(bytes),
        }
    }
}

/// All pixels of a block, pixel-interleaved; beyond those there are, the last ones are repeated.
fn whole<T: Sample>(
    array: &Array3<T>,
    window: Window,
    block: Size,
    (column, row): (usize, usize),
) -> Array3<T> {
    let (bands, height, width) = array.dim();
    let (left, top) = (column * block.width - window.x as usize, row * block.height - window.y as usize);
    let interleaved = interleaved_slice(array);
    let mut values = Vec::with_capacity(block.area() * bands);
    for y in (top..top + block.height).map(|y| y.min(height - 1)) {
        match interleaved {
            Some(all) => {
                let there = block.width.min(width - left);
                let start = (y * width + left) * bands;
                values.extend_from_slice(&all[start..start + there * bands]);
                for _ in there..block.width {
                    values.extend_from_within(values.len() - bands..);
                }
            }
            None => {
                for x in (left..left + block.width).map(|x| x.min(width - 1)) {
                    values.extend((0..bands).map(|b| array[[b, y, x]]));
                }
            }
        }
    }
    crate::block::interleaved_array(values, bands, block)
        .unwrap_or_else(|| crate::block::interleaved_zeros(bands, block))
}

/// The bytes of the one block of a file, if it was written once.
fn only_block(file: &[u8]) -> Option<Vec<u8>> {
    let directory = Directory::first(file)?;
    let (offset, length) = (directory.number(tag::TILE_OFFSETS)?, directory.number(tag::TILE_COUNTS)?);
    let (offset, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
    let beside: usize = directory.entries().iter().map(|e| e.bytes.len() + 24).sum();
    // What else there is are a head, the directory, and its values.
    let once = file.len() <= length + beside + 64;
    file.get(offset..offset.checked_add(length)?).filter(|_| once && length > 0).map(<[u8]>::to_vec)
}

/// The bytes of a block of a mask of one bit per pixel, in DEFLATE: set where there is any coverage. `coverage` is that of a window which
/// holds all of the block that lies in the raster.
///
/// # Errors
/// [`Error::Internal`] when it cannot be packed.
pub fn pack_mask(
    coverage: &Array2<u8>,
    window: Window,
    block: Size,
    (column, row): (usize, usize),
) -> Result<Vec<u8>> {
    let (left, top) = (column * block.width - window.x as usize, row * block.height - window.y as usize);
    let (width, height) = (block.width.min(window.width - left), block.height.min(window.height - top));
    let bytes = block.width.div_ceil(8);
    let mut bits = vec![0u8; bytes * block.height];
    for (y, out) in bits.chunks_exact_mut(bytes).take(height).enumerate() {
        for x in 0..width {
            let set = u8::from(coverage[[top + y, left + x]] > 0);
            out[x / 8] |= set << (7 - x % 8);
        }
    }
    super::pack::deflated(&bits)
}
