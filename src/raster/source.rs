//! A raster opened by path, on the thread that reads it.

use std::cell::OnceCell;
use std::fmt;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gdal::{Dataset, DatasetOptions, GdalOpenFlags};
use ndarray::Array2;

use super::blocks::{Blocks, Pixels, Wanted, Workspace};
use super::chunks::ChunkLayout;
use super::crs::Plane;
use super::describe::MaskKind;
use super::environment::LocalSetting;
use super::geokeys::GeoKeys;
use super::losses::{Loss, OnError};
use super::predictor::Stored;
use super::validity::{clear_nodata, nodata_as, plane};
use super::{Description, Georeferencing, Locator, raw, reason, retry};
use crate::block::{
    Assembly, Block, Sample, SampleType, Samples, Validity, interleaved_array, interleaved_slice,
};
use crate::error::{Error, Result};
use crate::window::{Size, Window};

/// In folders with more files, those that belong to a raster are looked for by their names.
const MOST_NEIGHBOURS: usize = 64;

/// GDAL's file systems that are served over a network.
const SERVED: [&str; 9] =
    ["/vsicurl", "/vsis3", "/vsigs", "/vsiaz", "/vsiadls", "/vsioss", "/vsiswift", "/vsihdfs", "/vsiwebhdfs"];

/// Which raster to open and how. This is what travels between threads: never a handle.
#[derive(Clone, Default)]
pub struct SourceSpec {
    /// A path GDAL understands: a file, `/vsi…`, a connection string.
    pub path: PathBuf,
    /// GDAL open options, `KEY=VALUE`.
    pub open_options: Vec<String>,
    /// The CRS to assume instead of the file's.
    pub src_crs: Option<String>,
    /// Upper left x, y and lower right x, y to assume instead of the file's georeferencing.
    pub a_ullr: Option<[f64; 4]>,
    /// Which values mean that a pixel holds no data.
    pub src_nodata: SrcNodata,
    /// What becomes of windows that cannot be read.
    pub on_error: OnError,
    /// Files that were noted when it was described; default none.
    pub noted: NotedFiles,
}

/// All that decides what is read: jobs are told from each other by it.
#[allow(clippy::missing_fields_in_debug, reason = "what was noted is no part of what a job is")]
impl fmt::Debug for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceSpec")
            .field("path", &self.path)
            .field("open_options", &self.open_options)
            .field("src_crs", &self.src_crs)
            .field("a_ullr", &self.a_ullr)
            .field("src_nodata", &self.src_nodata)
            .field("on_error", &self.on_error)
            .finish()
    }
}

/// The files of a raster that is opened to be described, so that it need not be opened once more only to know them. Clones are the same.
#[derive(Clone, Default)]
pub struct NotedFiles(Arc<Notes>);

#[derive(Default)]
struct Notes {
    wanted: AtomicBool,
    /// The path of the raster, and the files.
    files: Mutex<Option<(PathBuf, Vec<PathBuf>)>>,
}

impl NotedFiles {
    fn lock(&self) -> MutexGuard<'_, Option<(PathBuf, Vec<PathBuf>)>> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the files of a raster, if somebody wants them.
    fn note(&self, path: &Path, dataset: &Dataset) {
        if self.0.wanted.load(Ordering::Relaxed) {
            *self.lock() = Some((path.to_owned(), files(dataset)));
        }
    }

    /// Those of a raster, if they were noted.
    fn of(&self, path: &Path) -> Option<Vec<PathBuf>> {
        self.lock().as_ref().filter(|(own, _)| own == path).map(|(_, files)| files.clone())
    }
}

/// The files of a dataset.
fn files(dataset: &Dataset) -> Vec<PathBuf> {
    raw::file_list(dataset).into_iter().map(PathBuf::from).collect()
}

/// Which values mean that a pixel holds no data. Not-a-number always does.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum SrcNodata {
    /// Those the file declares.
    #[default]
    Declared,
    /// None, whatever the file declares. Alpha and masks still count.
    None,
    /// These instead, each a list of one value for all bands or one per band: a pixel has no data when all its bands hold the
    /// values of any one list.
    Values(Vec<Vec<f64>>),
}

impl SourceSpec {
    /// The raster at a path, as the file describes itself.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), ..Self::default() }
    }

    /// GDAL lists the folder to find files that belong to this one, some of them when they are first asked for. A request to a server is
    /// dearer than a list.
    fn listing_limit(&self) -> Option<LocalSetting> {
        (!self.is_remote()).then(|| LocalSetting::listing_limit(MOST_NEIGHBOURS))
    }

    /// Whether what is read of it may have to come over a network.
    pub(super) fn is_remote(&self) -> bool {
        self.path.as_os_str().as_encoded_bytes().starts_with(b"/vsi")
    }

    /// Whether what is read of it comes from a server, also through an archive.
    fn is_served(&self) -> bool {
        let path = self.path.to_string_lossy();
        SERVED.iter().any(|prefix| path.contains(prefix))
    }

    /// Opens the dataset, or one of its overviews.
    pub(super) fn open_dataset(&self, level: Option<usize>) -> Result<Dataset, String> {
        let mut options = self.open_options.clone();
        options.extend(level.map(|n| format!("OVERVIEW_LEVEL={n}")));
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let flags = GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR;
        let options =
            DatasetOptions { open_flags: flags, open_options: Some(&options), ..DatasetOptions::default() };
        let _limit = self.listing_limit();
        Dataset::open_ex(&self.path, options).map_err(|e| reason(&e))
    }

    /// Opens the raster and describes it, with the user's overrides applied.
    ///
    /// # Errors
    /// [`Error::Input`] with GDAL's reason.
    pub fn describe(&self) -> Result<Description> {
        let describe = || {
            let _limit = self.listing_limit();
            let dataset = self.open_dataset(None)?;
            let keys = GeoKeys::of(self, &dataset);
            let known = keys.as_ref().and_then(GeoKeys::meaning);
            let mut description = Description::of(&dataset, known.as_deref())?;
            if let (Some(keys), None) = (keys, known) {
                keys.mean(&description);
            }
            let size = description.size;
            description.georeferencing = description.georeferencing.overridden(self, size)?;
            self.override_nodata(&mut description)?;
            description.direct = Blocks::are_direct(self, &dataset);
            self.noted.note(&self.path, &dataset);
            Ok(description)
        };
        describe().map_err(|e: String| self.error(e))
    }

    /// Has the [files](Self::files) noted when the raster is described from now on.
    pub fn note_files(&self) {
        self.noted.0.wanted.store(true, Ordering::Relaxed);
    }

    /// The files that the raster is made of: its own, those beside it that belong to it, and the sources of a mosaic. They are as they
    /// were when it was described, if they were [noted](Self::note_files) then.
    ///
    /// # Errors
    /// [`Error::Input`] when GDAL cannot open it.
    pub fn files(&self) -> Result<Vec<PathBuf>> {
        if let Some(noted) = self.noted.of(&self.path) {
            return Ok(noted);
        }
        self.open_dataset(None).map(|dataset| files(&dataset)).map_err(|e| self.error(e))
    }

    fn override_nodata(&self, description: &mut Description) -> Result<(), String> {
        let lists = match &self.src_nodata {
            SrcNodata::Declared => return Ok(()),
            SrcNodata::None => &[][..],
            SrcNodata::Values(lists) => lists,
        };
        let (alpha, count) = (description.alpha_band(), description.bands.len());
        let colour = count - usize::from(alpha.is_some());
        if let Some(odd) = lists.iter().find(|list| list.len() != 1 && list.len() != colour) {
            return Err(format!(
                "--src-nodata gives {} values for {colour} bands; give one, or one per band",
                odd.len()
            ));
        }
        let per_band = |list: &Vec<f64>| -> Vec<Option<f64>> {
            let mut values = list.iter().cycle();
            let own = |n: usize| (Some(n) != alpha).then(|| values.next().copied()).flatten();
            (1..=count).map(own).collect()
        };
        let mut all = lists.iter().map(per_band);
        let first = all.next().unwrap_or_else(|| vec![None; count]);
        for (i, (band, value)) in description.bands.iter_mut().zip(first).enumerate() {
            if Some(i + 1) != alpha {
                band.nodata = value;
            }
        }
        description.further_nodata = all.collect();
        Ok(())
    }

    /// The way between the raster's pixels and Web Mercator, for the calling thread.
    ///
    /// # Errors
    /// [`Error::Input`] when the raster has no place on the map.
    pub fn locator(&self, georef: &Georeferencing, size: Size) -> Result<Locator> {
        Locator::new(self, georef, size, &Plane::web_mercator()).map_err(|e| self.error(e))
    }

    /// An [`Error::Input`] about this raster. GDAL's reasons may begin with the path, which is said already.
    pub fn error(&self, reason: impl Into<String>) -> Error {
        let reason = reason.into();
        let path = format!("{}", self.path.display());
        let bare = [format!("{path}: "), format!("{path}, "), format!("`{path}' "), format!("'{path}' ")]
            .iter()
            .find_map(|p| reason.strip_prefix(p));
        Error::input(&self.path, bare.map_or_else(|| reason.clone(), str::to_owned))
    }
}

/// Which pixels to take from a raster: the bands that make the picture and where validity comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// 1-based numbers of the bands to read.
    pub bands: Vec<usize>,
    /// 1-based number of the band that holds opacity.
    pub alpha: Option<usize>,
    /// Type the samples are read as.
    pub sample_type: SampleType,
}

/// An open raster. It is read on the thread that opened it and cannot leave it:
///
/// ```compile_fail
/// fn crosses_threads<T: Send>() {}
/// crosses_threads::<tileloom::raster::Source>();
/// ```
pub struct Source {
    /// Opened when first needed: of a large mosaic in many small files, that takes longer than to read them.
    dataset: OnceCell<Dataset>,
    level: Option<usize>,
    /// The file itself, when it is of a kind whose blocks are read without GDAL.
    pub(super) blocks: Option<Blocks>,
    spec: SourceSpec,
    bands: Vec<i32>,
    /// Lists of one value per band that mean no data.
    nodata: Vec<Vec<Option<f64>>>,
    alpha: Option<(usize, f64)>,
    mask: bool,
    sample_type: SampleType,
    native_int8: bool,
    size: Size,
    _not_send: PhantomData<*mut ()>,
}

impl Source {
    /// Opens a raster, or one of its overviews, for reading the selected bands.
    ///
    /// # Errors
    /// [`Error::Input`] when GDAL cannot open it.
    pub fn open(
        spec: &SourceSpec,
        description: &Description,
        selection: &Selection,
        level: Option<usize>,
    ) -> Result<Self> {
        let nodata = description.nodata_lists(&selection.bands);
        let nodata = nodata.ok_or_else(|| spec.error("has fewer bands than it had a moment ago"))?;
        let alpha =
            selection.alpha.map(|n| (n, alpha_limit(description.types.get(n - 1).copied().flatten())));
        // Signed bytes are a number here and bits to GDAL: nothing to take opacity from.
        let bits = alpha.is_some() && selection.sample_type == SampleType::I8;
        let direct = !bits && level.is_none() && description.direct;
        let bands = description.bands.len();
        let blocks = direct.then(|| Blocks::reopen(spec, description.size, bands, selection.sample_type));
        let mut source = Self {
            dataset: OnceCell::new(),
            level,
            blocks: blocks.flatten(),
            spec: spec.clone(),
            bands: selection.bands.iter().map(|&n| n as i32).collect(),
            nodata,
            alpha,
            mask: description.mask == MaskKind::PerDataset,
            sample_type: selection.sample_type,
            native_int8: description.native_int8,
            size: description.size,
            _not_send: PhantomData,
        };
        if source.blocks.is_none() {
            let dataset = source.dataset().map_err(|e| spec.error(e))?;
            let (width, height) = dataset.raster_size();
            let overview = level.filter(|_| !bits);
            let blocks =
                overview.and_then(|level| Blocks::overview(spec, dataset, level, selection.sample_type));
            source.size = Size::new(width, height);
            source.blocks = blocks;
        }
        Ok(source)
    }

    fn dataset(&self) -> Result<&Dataset, String> {
        if let Some(dataset) = self.dataset.get() {
            return Ok(dataset);
        }
        let _limit = self.spec.listing_limit();
        let dataset = self.spec.open_dataset(self.level)?;
        Ok(self.dataset.get_or_init(|| dataset))
    }

    /// Columns and rows of the raster, or of the overview that was opened.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Reads the selected bands of a window that lies inside the raster.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file and the window.
    pub fn read(&self, window: Window) -> Result<Block> {
        self.read_with(window, &mut Workspace::default(), None)
    }

    /// Like [`Source::read`], with buffers of the caller's: `work` for what lies in between, and the samples of `spare`, if
    /// they have about the right size, for the window's own.
    ///
    /// # Errors
    /// Those of [`Source::read`].
    pub fn read_with(&self, window: Window, work: &mut Workspace, spare: Option<Block>) -> Result<Block> {
        let reason = match self.attempt(window, work, spare) {
            Ok(block) => return Ok(block),
            Err(reason) => reason,
        };
        match self.spec.on_error {
            OnError::Skip(_) => self.salvage(window, work),
            OnError::Fail => Err(self.spec.error(format!("cannot read {window}: {reason}"))),
        }
    }

    /// Reads a window, from a server more than once if it has to be. The reason why not does not name the file.
    fn attempt(&self, window: Window, work: &mut Workspace, spare: Option<Block>) -> Result<Block, String> {
        let mut read =
            |spare| for_sample_type!(self.sample_type, T => self.read_as::<T>(window, work, spare));
        let result = read(spare);
        let again = || {
            raw::forget_served(&self.spec.path);
            read(None)
        };
        let result = if self.spec.is_served() { retry::patiently(result, again) } else { result };
        result.map_err(|e| {
            let path = format!("{}, ", self.spec.path.display());
            e.strip_prefix(&path).map_or_else(|| e.clone(), str::to_owned)
        })
    }

    /// What can be read of a window, block by block of the file. The pixels of the other blocks hold no data, and that they were
    /// skipped is noted.
    fn salvage(&self, window: Window, work: &mut Workspace) -> Result<Block> {
        let block = self.block_size().unwrap_or(window.size());
        let mut assembly = Assembly::new(window, self.sample_type, self.bands.len());
        let layout = ChunkLayout::of_size(self.size, block);
        for (column, row) in layout.covering(&window) {
            let part = layout.window(column, row).intersection(&window);
            let pixels = self.attempt(part, work, None).unwrap_or_else(|reason| {
                self.note(part, reason);
                self.nothing(part)
            });
            assembly.add(&pixels);
        }
        assembly.finish().ok_or_else(|| Error::Internal(format!("blocks leave a gap in {window}")))
    }

    /// Columns and rows of the file's blocks.
    fn block_size(&self) -> Option<Size> {
        let (width, height) = self.dataset().ok()?.rasterband(1).ok()?.block_size();
        let (width, height) = (width.min(self.size.width), height.min(self.size.height));
        (width > 0 && height > 0).then_some(Size::new(width, height))
    }

    fn note(&self, window: Window, reason: String) {
        if let OnError::Skip(losses) = &self.spec.on_error {
            let place = [window.y, window.x, window.height as i64, window.width as i64];
            losses.add(Loss { path: self.spec.path.clone(), overview: self.level, place, reason });
        }
    }

    /// Pixels without data: their samples hold the declared value for that, 0 where there is none.
    fn nothing(&self, window: Window) -> Block {
        let mut samples = Samples::zeros(self.sample_type, self.bands.len(), window.size());
        if let Some(list) = self.nodata.first() {
            for_samples!(&mut samples, array => {
                for (mut band, value) in array.outer_iter_mut().zip(list) {
                    if let Some(value) = value.and_then(nodata_as) {
                        band.fill(value);
                    }
                }
            });
        }
        let validity = Validity::PerPixel(Array2::zeros((window.height, window.width)));
        Block { window, samples, validity }
    }

    fn read_as<T: Stored>(
        &self,
        window: Window,
        work: &mut Workspace,
        spare: Option<Block>,
    ) -> Result<Block, String> {
        let bands = self.bands.len();
        let mut samples = spare.and_then(|b| b.into_buffer(window.area() * bands)).unwrap_or_default();
        samples.resize(window.area() * bands, T::default());
        let mut coverage = self.alpha.map(|_| vec![0u8; window.area()]);
        if !self.read_blocks(window, work, &mut samples, coverage.as_deref_mut()) {
            raw::read_interleaved(self.dataset()?, window, &self.bands, self.native_int8, &mut samples)?;
            coverage = self.read_alpha(window)?;
        }
        if self.mask {
            let mask = self.read_mask(window)?;
            match &mut coverage {
                Some(c) => c.iter_mut().zip(mask).for_each(|(c, m)| *c = (*c).min(m)),
                None => coverage = Some(mask),
            }
        }
        for list in &self.nodata {
            let values: Vec<Option<T>> = list.iter().map(|n| n.and_then(nodata_as)).collect();
            clear_nodata(&samples, &values, &mut coverage);
        }
        let validity = coverage
            .and_then(|c| plane(c, window.height, window.width))
            .map_or(Validity::All, Validity::PerPixel);
        let array = interleaved_array(samples, bands, window.size()).ok_or("window too large")?;
        Ok(Block { window, samples: T::wrap(array), validity })
    }

    /// Samples, and opacity when the raster has it, from the file's blocks; `false` when GDAL has to read them.
    fn read_blocks<T: Stored>(
        &self,
        window: Window,
        work: &mut Workspace,
        samples: &mut [T],
        alpha: Option<&mut [u8]>,
    ) -> bool {
        let Some(blocks) = &self.blocks else { return false };
        let bands: Vec<usize> = self.bands.iter().map(|n| *n as usize - 1).collect();
        let wanted = Wanted { bands: &bands, alpha: self.alpha.map(|(n, _)| n - 1) };
        let limit = self.alpha.map_or(255.0, |(_, limit)| limit);
        let opacity = |v: T| opacity(v.to_f64(), limit);
        let pixels = Pixels { samples, alpha: alpha.unwrap_or_default(), opacity: &opacity };
        blocks.read(window, &wanted, work, pixels).is_some()
    }

    /// Opacity as bytes.
    fn read_alpha(&self, window: Window) -> Result<Option<Vec<u8>>, String> {
        let Some((band, limit)) = self.alpha else { return Ok(None) };
        let band = [band as i32];
        if limit == 255.0 {
            let mut bytes = vec![0u8; window.area()];
            raw::read_interleaved(self.dataset()?, window, &band, false, &mut bytes)?;
            return Ok(Some(bytes));
        }
        let mut values = vec![0f64; window.area()];
        raw::read_interleaved(self.dataset()?, window, &band, false, &mut values)?;
        Ok(Some(values.into_iter().map(|v| opacity(v, limit)).collect()))
    }

    fn read_mask(&self, window: Window) -> Result<Vec<u8>, String> {
        let dataset = self.dataset()?;
        let read = || -> gdal::errors::Result<Vec<u8>> {
            let band = dataset.rasterband(1)?;
            let mask = band.open_mask_band()?;
            let origin = (window.x as isize, window.y as isize);
            let size = (window.width, window.height);
            let mut bytes = vec![0u8; window.area()];
            mask.read_into_slice(origin, size, size, &mut bytes, None)?;
            Ok(bytes)
        };
        let mut bytes = read().map_err(|e| reason(&e))?;
        bytes.iter_mut().filter(|b| **b != 0).for_each(|b| *b = 255);
        Ok(bytes)
    }
}

/// What reading a selection of a file's bands gives, from all samples of a window as the file holds them. A mask is not looked at.
///
/// # Errors
/// [`Error::Internal`] when the block has fewer bands than the file, or samples of another type than is selected.
pub(crate) fn seen(stored: &Block, description: &Description, selection: &Selection) -> Result<Block> {
    for_samples!(&stored.samples, array => seen_as(array, stored.window, description, selection))
}

fn seen_as<T: Sample>(
    array: &ndarray::Array3<T>,
    window: Window,
    description: &Description,
    selection: &Selection,
) -> Result<Block> {
    let odd = |what: &str| Error::Internal(format!("{window} has {what}"));
    let (count, all) = (array.dim().0, interleaved_slice(array).ok_or_else(|| odd("gaps"))?);
    let last = selection.bands.iter().copied().chain(selection.alpha).max().unwrap_or(0);
    if last > count || T::TYPE != selection.sample_type {
        return Err(odd("other bands than it should have"));
    }
    let nodata = description.nodata_lists(&selection.bands).ok_or_else(|| odd("too few bands"))?;
    let bands: Vec<usize> = selection.bands.iter().map(|n| n - 1).collect();
    let samples: Vec<T> = if bands.iter().copied().eq(0..count) {
        all.to_vec()
    } else {
        all.chunks_exact(count).flat_map(|pixel| bands.iter().map(|b| pixel[*b])).collect()
    };
    let mut coverage = selection.alpha.map(|n| {
        let limit = alpha_limit(Some(T::TYPE));
        all.iter().skip(n - 1).step_by(count).map(|v| opacity(v.to_f64(), limit)).collect::<Vec<u8>>()
    });
    for list in nodata {
        let values: Vec<Option<T>> = list.iter().map(|n| n.and_then(nodata_as)).collect();
        clear_nodata(&samples, &values, &mut coverage);
    }
    let validity = coverage.and_then(|c| plane(c, window.height, window.width));
    let samples = interleaved_array(samples, bands.len(), window.size()).ok_or_else(|| odd("odd sides"))?;
    Ok(Block {
        window,
        samples: T::wrap(samples),
        validity: validity.map_or(Validity::All, Validity::PerPixel),
    })
}

/// Opacity as a byte, of a band in which `limit` means opaque; what is not wholly transparent stays so.
fn opacity(value: f64, limit: f64) -> u8 {
    if value > 0.0 { u8::from_f64(value / limit * 255.0).max(1) } else { 0 }
}

/// The value that means opaque in an alpha band.
fn alpha_limit(sample_type: Option<SampleType>) -> f64 {
    match sample_type {
        Some(SampleType::U16) => 65_535.0,
        Some(SampleType::I16) => 32_767.0,
        Some(SampleType::U32) => f64::from(u32::MAX),
        Some(SampleType::I32) => f64::from(i32::MAX),
        Some(SampleType::F32 | SampleType::F64) => 1.0,
        Some(SampleType::U8 | SampleType::I8) | None => 255.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_noted_are_told_without_opening_the_raster_again() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("a.tif");
        let original = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/rgb.tif");
        std::fs::copy(original, &path).expect("copied");
        let [plain, noting] = [SourceSpec::new(&path), SourceSpec::new(&path)];
        let before = format!("{noting:?}");
        noting.note_files();
        let elsewhere = SourceSpec { path: dir.path().join("b.tif"), ..noting.clone() };
        for spec in [&plain, &noting] {
            spec.describe().expect("a raster");
        }
        assert_eq!(plain.files().expect("there"), std::slice::from_ref(&path));
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(noting.clone().files().expect("noted"), [path]);
        // Nobody else's, and no part of what is read.
        assert!(plain.files().is_err() && elsewhere.files().is_err());
        assert_eq!(format!("{noting:?}"), before);
    }
}
