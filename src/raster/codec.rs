//! Blocks of a `GeoTIFF` as bytes, made on any thread: by [packing](super::Packing) where that is known here, pictures by the encoders of
//! tiles, all others by GDAL, which is given a file in memory of this one block.

use gdal::DriverManager;
use gdal::cpl::CslStringList;
use ndarray::{Array2, Array3};

use super::ifd::{Directory, tag};
use super::template::{name_in_memory, native_int8};
use super::{Packing, raw, reason};
use crate::block::{Assembly, Block, Sample, SampleType, interleaved_slice};
use crate::encode::webp::{Webp, WebpOptions};
use crate::encode::{Colour, Picture, Plane, TileEncoder, jpeg};
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
    /// JPEG of a quality.
    Jpeg(u8),
    /// Lossy WebP.
    Webp(Webp),
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
        let mut codec = Self { block, bands, sample_type, scheme };
        if let Some(picture) = codec.picture(options) {
            codec.scheme = picture;
        }
        codec
    }

    /// The way of packing pictures that options ask for, if it is known here.
    fn picture(&self, options: &[String]) -> Option<Scheme> {
        let pairs: Vec<(&str, &str)> = options.iter().filter_map(|o| o.split_once('=')).collect();
        let of = |key: &str| pairs.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        let known = |names: &[&str]| pairs.iter().all(|(k, _)| names.contains(k));
        let quality = |key: &str| of(key).and_then(|q| q.parse().ok()).filter(|q| (1..=100).contains(q));
        if self.sample_type != SampleType::U8 {
            return None;
        }
        match of("COMPRESS")? {
            "JPEG" if known(&["COMPRESS", "JPEG_QUALITY", "PHOTOMETRIC", "GEOTIFF_VERSION"]) => {
                let quality = quality("JPEG_QUALITY")?;
                let fits = match self.bands {
                    1 => of("PHOTOMETRIC").is_none(),
                    3 => of("PHOTOMETRIC") == Some("YCBCR"),
                    _ => false,
                };
                (fits
                    && self.tables().is_some_and(|told| jpeg::shares_tables(self.bands == 1, quality, &told)))
                .then_some(Scheme::Jpeg(quality))
            }
            "WEBP" if known(&["COMPRESS", "WEBP_LEVEL", "GEOTIFF_VERSION"]) && self.bands == 3 => {
                let options =
                    WebpOptions { quality: quality("WEBP_LEVEL")?, thorough: true, ..WebpOptions::default() };
                Webp::new(options).ok().map(Scheme::Webp)
            }
            _ => None,
        }
    }

    /// The tables that the directory of a file of JPEG blocks tells.
    fn tables(&self) -> Option<Vec<u8>> {
        let Scheme::Gdal(options) = &self.scheme else { return None };
        let pixels = crate::block::interleaved_zeros::<u8>(self.bands, self.block);
        let file = self.file(options, &pixels).ok()?;
        Some(Directory::first(&file)?.get(tag::JPEG_TABLES)?.bytes.clone())
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
        !matches!(self.scheme, Scheme::Gdal(_))
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
            Scheme::Jpeg(quality) => self.with_plane(pixels, (column, row), |plane| {
                let mut out = Vec::new();
                jpeg::pack_block((width, height), self.bands == 1, plane, *quality, &mut out)?;
                Ok(out)
            }),
            Scheme::Webp(webp) => self.with_plane(pixels, (column, row), |samples| {
                let mut out = Vec::new();
                let picture = Picture { width, height, colour: Colour::Rgb, samples, alpha: None };
                webp.encode(&picture, &mut out)?;
                Ok(out)
            }),
            Scheme::Gdal(options) => self.through_gdal(options, pixels, (column, row)).map_err(|why| {
                let place = format!("block of {width}×{height} pixels in column {column}, row {row}");
                Error::output(place, format!("GDAL cannot pack it: {why}"))
            }),
        }
    }

    /// Does something with the bytes of a block.
    fn with_plane(
        &self,
        pixels: &Block,
        place: (usize, usize),
        make: impl FnOnce(Plane<'_>) -> Result<Vec<u8>>,
    ) -> Result<Vec<u8>> {
        let other = || Error::Internal("a picture of other samples".to_owned());
        let array = u8::unwrap(&pixels.samples).ok_or_else(other)?;
        let Size { width, height } = self.block;
        let (left, top) =
            (place.0 * width - pixels.window.x as usize, place.1 * height - pixels.window.y as usize);
        let inside = left + width <= pixels.window.width && top + height <= pixels.window.height;
        if let Some(all) = interleaved_slice(array).filter(|_| inside) {
            let stride = pixels.window.width * self.bands;
            return make(Plane { bytes: &all[top * stride + left * self.bands..], stride });
        }
        let whole = whole(array, pixels.window, self.block, place);
        let bytes = interleaved_slice(&whole).ok_or_else(other)?;
        make(Plane { bytes, stride: width * self.bands })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with edges, slopes and noise.
    fn picture(size: Size, bands: usize) -> Block {
        let mut state = 7u32;
        let values = (0..size.area() * bands).map(|k| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (x, y) = (k / bands % size.width, k / bands / size.width);
            let edge = if (x / 13 + y / 29) % 2 == 0 { 90 } else { 20 };
            (x / 3 + y / 4 + edge + k % bands * 20 + (state >> 28) as usize).min(255) as u8
        });
        let array = crate::block::interleaved_array(values.collect(), bands, size).expect("fits");
        Block { window: size.window(), samples: u8::wrap(array), validity: crate::block::Validity::All }
    }

    #[test]
    fn jpeg_blocks_are_those_of_gdal() {
        let block = Size::new(64, 64);
        for (bands, quality) in [(1, 75), (3, 75), (3, 30), (3, 95), (1, 100)] {
            let mut options = vec!["COMPRESS=JPEG".to_owned(), format!("JPEG_QUALITY={quality}")];
            options.extend((bands == 3).then(|| "PHOTOMETRIC=YCBCR".to_owned()));
            let codec = Codec::new(block, bands, SampleType::U8, &options);
            assert!(codec.is_own(), "{bands} bands of quality {quality}");
            let mut all = options.clone();
            all.extend(["TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64"].map(str::to_owned));
            let pixels = picture(Size::new(150, 100), bands);
            for place in [(0, 0), (1, 0), (2, 1)] {
                let theirs = codec.through_gdal(&all, &pixels, place).expect("packed");
                let ours = codec.pack(&pixels, place).expect("packed");
                assert!(
                    ours == theirs,
                    "{bands} bands, quality {quality}, {place:?}: {} {}",
                    ours.len(),
                    theirs.len()
                );
            }
        }
    }

    #[test]
    fn what_is_not_known_here_is_left_to_gdal() {
        let own = |bands: usize, kind: SampleType, text: &str| {
            let options: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            Codec::new(Size::new(64, 64), bands, kind, &options).is_own()
        };
        assert!(own(3, SampleType::U8, "COMPRESS=WEBP WEBP_LEVEL=75"));
        for (bands, kind, text) in [
            (4, SampleType::U8, "COMPRESS=JPEG JPEG_QUALITY=75"),
            (3, SampleType::U8, "COMPRESS=JPEG JPEG_QUALITY=75"),
            (1, SampleType::U16, "COMPRESS=JPEG JPEG_QUALITY=75"),
            (3, SampleType::U8, "COMPRESS=WEBP WEBP_LOSSLESS=YES"),
            (4, SampleType::U8, "COMPRESS=WEBP WEBP_LEVEL=75"),
            (1, SampleType::F32, "COMPRESS=LERC"),
        ] {
            assert!(!own(bands, kind, text), "{bands} {text}");
        }
    }
}
