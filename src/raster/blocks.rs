//! Blocks of a `GeoTIFF`, unpacked straight into the caller's buffer.
//!
//! GDAL reads a pixel-interleaved file by unpacking a block, taking its bands apart into the block cache and putting
//! them together again for the caller. For the kinds of files that most rasters are kept in, that is more work than
//! unpacking itself leaves. What is read here is what GDAL would read: GDAL is asked whether the blocks lie where the
//! file's own tags say, and whatever is unusual (other compressions, blocks never written, blocks that do
//! not unpack to exactly their size) is left to GDAL, which then also says what is wrong.

use std::fs::File;
use std::os::unix::fs::FileExt;

use gdal::{Dataset, Metadata};
use libdeflater::Decompressor;

use super::SourceSpec;
use super::predictor::Stored;
use super::tiff::{self, Compression, Extent, Image};
use crate::block::{Sample, SampleType};
use crate::window::{Size, Window};

/// Largest block that is unpacked here, in bytes; what is larger would have to be counted in the memory of a run.
const LARGEST_BLOCK: usize = 4 << 20;

/// Buffers for unpacking, reused from block to block.
#[derive(Default)]
pub struct Workspace {
    decompressor: Option<Decompressor>,
    zstd: Option<zstd_safe::DCtx<'static>>,
    packed: Vec<u8>,
    unpacked: Vec<u8>,
}

/// The blocks of one image of a file.
pub(super) struct Blocks {
    file: File,
    image: Image,
}

/// What is taken of a pixel.
pub(super) struct Wanted<'a> {
    /// Positions of its samples, counted from 0.
    pub bands: &'a [usize],
    /// The sample that holds opacity.
    pub alpha: Option<usize>,
}

/// Where pixels go.
pub(super) struct Pixels<'a, T> {
    /// Samples, pixel-interleaved.
    pub samples: &'a mut [T],
    /// Opacity, when it is wanted.
    pub alpha: &'a mut [u8],
    /// What a sample of opacity means.
    pub opacity: &'a dyn Fn(T) -> u8,
}

impl<T> Pixels<'_, T> {
    /// `width` pixels from the pixel `at`.
    fn part(&mut self, at: usize, width: usize, wanted: &Wanted<'_>) -> Pixels<'_, T> {
        let bands = wanted.bands.len();
        Pixels {
            samples: &mut self.samples[at * bands..(at + width) * bands],
            alpha: self.alpha.get_mut(at..at + width).unwrap_or_default(),
            opacity: self.opacity,
        }
    }
}

/// A part of a row of a block.
#[derive(Clone, Copy)]
struct Part {
    /// Pixels before it.
    skip: usize,
    /// Its pixels.
    width: usize,
    /// Position of the band among those wanted, opacity last, when each has blocks of its own.
    turn: usize,
}

impl Blocks {
    /// Whether the blocks of a raster are of a kind that can be read here, and GDAL agrees where they are.
    pub fn are_direct(spec: &SourceSpec, dataset: &Dataset) -> bool {
        Self::agreed(spec, dataset, None).is_some()
    }

    /// The blocks of a raster of which [that](Self::are_direct) is known, if they still have the samples and the size.
    pub fn reopen(spec: &SourceSpec, size: Size, bands: usize, sample_type: SampleType) -> Option<Self> {
        let blocks = Self::find(spec, size, None)?;
        (blocks.image.bands == bands && blocks.image.sample_type == sample_type).then_some(blocks)
    }

    /// The blocks of one of a raster's overviews, of the same kind.
    pub fn overview(
        spec: &SourceSpec,
        dataset: &Dataset,
        level: usize,
        sample_type: SampleType,
    ) -> Option<Self> {
        Self::agreed(spec, dataset, Some(level)).filter(|blocks| blocks.image.sample_type == sample_type)
    }

    fn agreed(spec: &SourceSpec, dataset: &Dataset, level: Option<usize>) -> Option<Self> {
        if dataset.driver().short_name() != "GTiff" || !spec.open_options.is_empty() {
            return None;
        }
        let (width, height) = dataset.raster_size();
        let blocks = Self::find(spec, Size::new(width, height), level)?;
        let bands = blocks.image.bands;
        let same = bands == dataset.raster_count();
        (same && (1..=bands).all(|n| blocks.agree(dataset, n).is_some())).then_some(blocks)
    }

    /// The blocks as the file's own tags have them.
    fn find(spec: &SourceSpec, size: Size, level: Option<usize>) -> Option<Self> {
        let file = File::open(&spec.path).ok()?;
        let mut images = tiff::images(&file, level.is_some())?.into_iter();
        let image = match level {
            None => images.next()?.filter(|i| !i.reduced && i.size == size)?,
            Some(_) => images.flatten().find(|i| i.reduced && i.size == size)?,
        };
        let block = image.block.width.checked_mul(image.block.height)?;
        let small = block.checked_mul(image.block_bands() * image.sample_type.bytes())? <= LARGEST_BLOCK;
        // GDAL unpacks LZW as fast.
        (small && image.compression != Compression::Lzw).then_some(Self { file, image })
    }

    /// Whether GDAL finds the first and the last block of a band where we do.
    fn agree(&self, dataset: &Dataset, number: usize) -> Option<()> {
        let band = dataset.rasterband(number).ok()?;
        let size = self.image.blocks();
        if band.block_size() != (self.image.block.width, self.image.block.height) {
            return None;
        }
        let plane = if self.image.planar { number - 1 } else { 0 };
        for (column, row) in [(0, 0), (size.width - 1, size.height - 1)] {
            let item = |what: &str| {
                let text = band.metadata_item(&format!("BLOCK_{what}_{column}_{row}"), "TIFF");
                text.map_or(Some(0), |t| t.parse::<u64>().ok())
            };
            let theirs = Extent { offset: item("OFFSET")?, bytes: item("SIZE")? };
            if self.image.extent(&self.file, column, row, plane)? != theirs {
                return None;
            }
        }
        Some(())
    }

    /// Reads a window that lies inside the raster. `None` when one of its blocks had better be read by GDAL; what the
    /// buffers hold is then undefined.
    pub fn read<T: Stored>(
        &self,
        window: Window,
        wanted: &Wanted<'_>,
        work: &mut Workspace,
        mut out: Pixels<'_, T>,
    ) -> Option<()> {
        let image = &self.image;
        let Size { width, height } = image.block;
        let rows = window.y as usize / height..(window.bottom() as usize).div_ceil(height);
        let columns = window.x as usize / width..(window.right() as usize).div_ceil(width);
        let mut values = vec![T::default(); width * image.block_bands()];
        let planes: Vec<usize> =
            if image.planar { wanted.bands.iter().chain(&wanted.alpha).copied().collect() } else { vec![0] };
        for (row, column) in rows.flat_map(|row| columns.clone().map(move |column| (row, column))) {
            let block = Window::new((column * width) as i64, (row * height) as i64, width, height);
            let common = block.intersection(&window);
            for (turn, plane) in planes.iter().enumerate() {
                self.unpack(column, row, *plane, work)?;
                let bytes = image.row_bytes();
                let rows = work.unpacked.chunks_exact_mut(bytes).skip((common.y - block.y) as usize);
                for (y, packed) in (common.y..common.bottom()).zip(rows) {
                    let skip = (common.x - block.x) as usize;
                    let part = Part { skip, width: common.width, turn };
                    let at = (y - window.y) as usize * window.width + (common.x - window.x) as usize;
                    self.row(packed, part, wanted, &mut values, out.part(at, common.width, wanted));
                }
            }
        }
        Some(())
    }

    /// Takes a part of a row of a block apart. `values` has room for the samples of a whole row.
    fn row<T: Stored>(
        &self,
        packed: &mut [u8],
        part: Part,
        wanted: &Wanted<'_>,
        values: &mut [T],
        out: Pixels<'_, T>,
    ) {
        let (image, bands) = (&self.image, self.image.block_bands());
        let Pixels { samples, alpha, opacity } = out;
        let mut unpack = |out: &mut [T]| T::unpack(packed, image.order, image.predictor, bands, out);
        let whole = samples.len() == values.len() && wanted.bands.iter().copied().eq(0..bands);
        if whole && wanted.alpha.is_none() {
            return unpack(samples);
        }
        unpack(values);
        let values = &values[part.skip * bands..(part.skip + part.width) * bands];
        if !image.planar {
            pick(values, bands, wanted.bands, samples);
            if let Some(band) = wanted.alpha {
                let values = values.iter().skip(band).step_by(bands);
                alpha.iter_mut().zip(values).for_each(|(a, v)| *a = opacity(*v));
            }
        } else if part.turn == wanted.bands.len() {
            alpha.iter_mut().zip(values).for_each(|(a, v)| *a = opacity(*v));
        } else {
            spread(values, part.turn, wanted.bands.len(), samples);
        }
    }

    /// The bytes of a block, to `work.unpacked`.
    fn unpack(&self, column: usize, row: usize, plane: usize, work: &mut Workspace) -> Option<()> {
        let extent = self.image.extent(&self.file, column, row, plane)?;
        let size = self.image.block_rows(row) * self.image.row_bytes();
        // A block that takes much more room than its samples is none that was written to save room.
        if extent.bytes == 0 || extent.bytes > 2 * size as u64 + 1024 {
            return None;
        }
        let bytes = extent.bytes as usize;
        if self.image.compression == Compression::None {
            work.unpacked.resize(size, 0);
            return (bytes == size)
                .then(|| self.file.read_exact_at(&mut work.unpacked, extent.offset).ok())?;
        }
        if work.packed.len() < bytes {
            work.packed.resize(bytes, 0);
        }
        let packed = &mut work.packed[..bytes];
        self.file.read_exact_at(packed, extent.offset).ok()?;
        work.unpacked.resize(size, 0);
        let done = if self.image.compression == Compression::Zstd {
            let context = work.zstd.get_or_insert_with(zstd_safe::DCtx::create);
            context.decompress(&mut work.unpacked[..], packed).ok()?
        } else {
            let decompressor = work.decompressor.get_or_insert_with(Decompressor::new);
            decompressor.zlib_decompress(packed, &mut work.unpacked).ok()?
        };
        (done == size).then_some(())
    }
}

/// The bands wanted of interleaved pixels.
fn pick<T: Sample>(values: &[T], bands: usize, wanted: &[usize], out: &mut [T]) {
    match (bands, wanted) {
        (4, [0, 1, 2]) => {
            for (to, from) in out.as_chunks_mut::<3>().0.iter_mut().zip(values.as_chunks::<4>().0) {
                *to = [from[0], from[1], from[2]];
            }
        }
        _ if wanted.iter().copied().eq(0..bands) => out.copy_from_slice(values),
        _ => {
            for (to, from) in out.chunks_exact_mut(wanted.len()).zip(values.chunks_exact(bands)) {
                for (to, band) in to.iter_mut().zip(wanted) {
                    *to = from[*band];
                }
            }
        }
    }
}

/// The samples of one band to its place among interleaved pixels.
fn spread<T: Sample>(values: &[T], band: usize, bands: usize, out: &mut [T]) {
    fn among<T: Sample, const N: usize>(values: &[T], band: usize, out: &mut [T]) {
        for (pixel, from) in out.as_chunks_mut::<N>().0.iter_mut().zip(values) {
            pixel[band] = *from;
        }
    }
    match bands {
        1 => among::<T, 1>(values, band, out),
        2 => among::<T, 2>(values, band, out),
        3 => among::<T, 3>(values, band, out),
        4 => among::<T, 4>(values, band, out),
        _ => {
            for (to, from) in out.iter_mut().skip(band).step_by(bands).zip(values) {
                *to = *from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use gdal::DriverManager;
    use gdal::cpl::CslStringList;
    use ndarray::Array3;

    use super::super::source::Selection;
    use super::super::{Source, raw};
    use super::*;
    use crate::block::{Block, to_interleaved};

    /// Windows of a raster: all of it, parts, single pixels at its corners.
    fn windows(size: Size) -> Vec<Window> {
        let (w, h) = (size.width, size.height);
        let middle = Window::new(w as i64 / 3, h as i64 / 4, w.div_ceil(2), h.div_ceil(2));
        let corner = |x: usize, y: usize| Window::new(x as i64, y as i64, 1, 1);
        vec![size.window(), middle, corner(0, 0), corner(w - 1, h - 1), corner(w - 1, 0)]
    }

    /// Reads a raster without and with GDAL in every way, and compares. Returns how many levels were read
    /// without.
    fn compare(path: &Path) -> usize {
        let spec = SourceSpec::new(path);
        let Ok(description) = spec.describe() else { return 0 };
        let Some(sample_type) = description.types[0] else { return 0 };
        if description.types.iter().any(|t| *t != Some(sample_type)) {
            return 0;
        }
        let alpha = description.alpha_band();
        let all: Vec<usize> = (1..=description.bands.len()).collect();
        let colour: Vec<usize> = all.iter().copied().filter(|n| Some(*n) != alpha).collect();
        let mut selections = vec![(all.clone(), None), (all.into_iter().rev().collect(), None)];
        if !colour.is_empty() {
            selections.push((colour, alpha));
        }
        let mut direct = 0;
        for level in [None].into_iter().chain((0..description.overviews.len()).map(Some)) {
            for (bands, alpha) in &selections {
                let selection = Selection { bands: bands.clone(), alpha: *alpha, sample_type };
                let source = Source::open(&spec, &description, &selection, level).expect("opens");
                let mut through_gdal = Source::open(&spec, &description, &selection, level).expect("opens");
                through_gdal.blocks = None;
                direct += usize::from(source.blocks.is_some() && bands[0] == 1);
                let mut work = Workspace::default();
                let mut spare = None;
                for window in windows(source.size()) {
                    let read = source.read_with(window, &mut work, spare.take());
                    let expected = through_gdal.read(window);
                    let name = format!("{} {level:?} {selection:?} {window}", path.display());
                    match (&read, &expected) {
                        (Ok(read), Ok(expected)) => assert!(same(read, expected), "{name}"),
                        (Err(read), Err(expected)) => assert_eq!(read.to_string(), expected.to_string()),
                        _ => panic!("{name}: {read:?} instead of {expected:?}"),
                    }
                    spare = read.ok();
                }
            }
        }
        direct / selections.iter().filter(|(bands, _)| bands[0] == 1).count().max(1)
    }

    /// Bit for bit: not-a-numbers differ from themselves.
    fn same(a: &Block, b: &Block) -> bool {
        let bits = for_sample_type!(a.samples.sample_type(), T => {
            let bits = |b: &Block| -> Option<Vec<u64>> {
                Some(to_interleaved(T::unwrap(&b.samples)?).into_iter().map(|v| v.to_f64().to_bits()).collect())
            };
            bits(a).is_some() && bits(a) == bits(b)
        });
        bits && a.validity == b.validity && a.window == b.window
    }

    fn testdata() -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        let files = std::fs::read_dir(folder).expect("a folder").map(|f| f.expect("a file").path());
        let mut files: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == "tif")).collect();
        files.sort();
        files
    }

    #[test]
    fn test_rasters_read_as_gdal_reads_them() {
        let direct: usize = testdata().iter().map(|path| compare(path)).sum();
        assert!(direct >= 20, "only {direct} rasters and overviews were read without GDAL");
    }

    /// A file of `bands` bands with smooth and odd values, made by GDAL.
    fn made<T: Sample>(path: &Path, bands: usize, options: &[&str]) -> Dataset {
        let size = Size::new(150, 83);
        let driver = DriverManager::get_driver_by_name("GTiff").expect("a driver");
        let mut list = CslStringList::new();
        for option in options {
            list.add_string(option).expect("an option");
        }
        let dataset = raw::create(&driver, path, size, bands, (T::TYPE, false), &list).expect("created");
        let value = |(b, y, x): (usize, usize, usize)| {
            let smooth = (x as f64 * 0.7 + y as f64 * 1.3 + b as f64 * 11.0).sin() * 90.0;
            T::from_f64(if (x + y * 7) % 23 == 0 { (x * y) as f64 * 1e6 } else { smooth })
        };
        let pixels = Array3::from_shape_fn((bands, size.height, size.width), value);
        raw::write_all_bands(&dataset, size.window(), false, &pixels.view()).expect("written");
        dataset
    }

    /// Options of every kind of file there is of a sample type: shapes of blocks, orders of bands and of bytes.
    fn kinds(predictors: &[&str]) -> Vec<Vec<String>> {
        let axes: [&[&str]; 3] = [
            &["TILED=YES BLOCKXSIZE=64 BLOCKYSIZE=32", "BLOCKYSIZE=7", "BLOCKYSIZE=60"],
            &["INTERLEAVE=PIXEL", "INTERLEAVE=BAND"],
            &["ENDIANNESS=LITTLE", "ENDIANNESS=BIG BIGTIFF=YES"],
        ];
        let packing = |p: &&str| match *p {
            "no" => "COMPRESS=NONE".to_owned(),
            p => format!("COMPRESS=DEFLATE PREDICTOR={p}"),
        };
        let mut kinds: Vec<String> = predictors.iter().map(packing).collect();
        for axis in axes {
            kinds = kinds.iter().flat_map(|kind| axis.iter().map(move |a| format!("{kind} {a}"))).collect();
        }
        kinds.iter().map(|kind| kind.split(' ').map(str::to_owned).collect()).collect()
    }

    fn check_type<T: Sample>(predictors: &[&str]) {
        let dir = tempfile::tempdir().expect("tempdir");
        for options in kinds(predictors) {
            let mut options: Vec<&str> = options.iter().map(String::as_str).collect();
            options.push("PHOTOMETRIC=MINISBLACK");
            for bands in [1, 3, 5] {
                let path = dir.path().join("made.tif");
                made::<T>(&path, bands, &options).close().expect("closed");
                assert_eq!(compare(&path), 1, "{bands} bands, {options:?}");
            }
        }
    }

    #[test]
    fn bytes_read_as_gdal_reads_them() {
        check_type::<u8>(&["no", "1", "2"]);
    }

    #[test]
    fn integers_read_as_gdal_reads_them() {
        check_type::<i16>(&["no", "1", "2"]);
        check_type::<u16>(&["2"]);
        check_type::<u32>(&["1", "2"]);
        check_type::<i32>(&["2"]);
    }

    #[test]
    fn floats_read_as_gdal_reads_them() {
        check_type::<f32>(&["no", "1", "2", "3"]);
        check_type::<f64>(&["1", "3"]);
    }

    #[test]
    fn overviews_read_as_gdal_reads_them() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.tif");
        let options = ["TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=32", "COMPRESS=DEFLATE", "PREDICTOR=2"];
        let mut dataset = made::<u8>(&path, 3, &options);
        dataset.build_overviews("AVERAGE", &[2, 4], &[]).expect("built");
        dataset.close().expect("closed");
        assert_eq!(compare(&path), 3);
        // Beside the file, where its own directories say nothing of them.
        let path = dir.path().join("b.tif");
        made::<u8>(&path, 3, &options).close().expect("closed");
        let mut dataset = Dataset::open(&path).expect("opens");
        dataset.build_overviews("AVERAGE", &[2, 4], &[]).expect("built");
        dataset.close().expect("closed");
        assert!(dir.path().join("b.tif.ovr").exists());
        assert_eq!(compare(&path), 1);
    }

    #[test]
    fn blocks_never_written_are_left_to_gdal() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("sparse.tif");
        let driver = DriverManager::get_driver_by_name("GTiff").expect("a driver");
        let mut list = CslStringList::new();
        let options = ["SPARSE_OK=TRUE", "TILED=YES", "BLOCKXSIZE=32", "BLOCKYSIZE=32", "COMPRESS=DEFLATE"];
        for option in options {
            list.add_string(option).expect("an option");
        }
        let size = Size::new(100, 100);
        let mut dataset =
            raw::create(&driver, &path, size, 1, (SampleType::I16, false), &list).expect("created");
        dataset.rasterband(1).expect("a band").set_no_data_value(Some(-7.0)).expect("set");
        let part = Array3::from_elem((1, 32, 32), 5i16);
        raw::write_all_bands(&dataset, Window::new(32, 32, 32, 32), false, &part.view()).expect("written");
        dataset.flush_cache().expect("flushed");
        dataset.close().expect("closed");
        assert_eq!(compare(&path), 1);
    }

    #[test]
    fn damaged_blocks_fail_as_with_gdal() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("damaged.tif");
        let options = ["TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=64", "COMPRESS=DEFLATE"];
        made::<u8>(&path, 3, &options).close().expect("closed");
        let whole = std::fs::read(&path).expect("read");
        for (n, at) in [whole.len() / 2, whole.len() * 3 / 4, whole.len() - 40].into_iter().enumerate() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            if n == 2 {
                bytes.truncate(at);
            }
            std::fs::write(&path, bytes).expect("written");
            compare(&path);
        }
    }
}
