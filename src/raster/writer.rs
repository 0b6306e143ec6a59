//! A raster being written: created, filled and finished on one thread, and read back before it gets its name.
//!
//! GDAL loses writes silently: on a full disk it may claim success from every write and from closing, and leave a
//! broken file. So nothing is believed that was not read again. The work grows under `OUT.partial`;
//! [`DatasetWriter::finish`] closes it, syncs it, opens it anew, compares every window with the checksum taken
//! when it was handed in (of blocks that were packed here the bytes, and of some windows the pixels), and only then renames
//! it into place. On the way each call listens for what GDAL reports
//! on this thread, because that names the reason at the window where it happened. It does not hear GDAL's own threads
//! (`NUM_THREADS`): only the handler of the whole process would, which belongs to the program and not to one of
//! its writers. What fails there is found when it is read back.
//!
//! # Blocks of the file are written once
//!
//! GDAL's block cache is one for all threads. When it is full of blocks that wait to be written, a *reading* thread that
//! needs room writes one of them out; should the writer want to change the same block at that moment, it
//! may read the old state back from the file and write that over the new one. (Seen with GDAL 3.6: 4 of 80 copies made
//! with a cache of 1 MB lost pixels so.) Compressed files also grow by each
//! rewritten block. So windows that are not whole blocks of the file are put together here, in memory, and GDAL gets
//! each block once. How much waits depends on the plan: with windows row by row about one row of blocks, with windows
//! aligned to [`DatasetWriter::block`] nothing.

mod part;
mod spec;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use gdal::version::VersionInfo;
use gdal::{Dataset, DatasetOptions, GdalOpenFlags};
use ndarray::{Array3, s};
use xxhash_rust::xxh3::Xxh3;

use super::chunks::ChunkLayout;
use super::pack::{Packed, PackedBlock};
use super::packed::PackedFile;
use super::validity::nodata_as;
use super::{Description, raw, reason};
use crate::block::{Block, Sample, Samples, Validity, interleaved_slice, to_interleaved};
use crate::error::{Error, Result};
use crate::pipeline::{Sink, side_by_side};
use crate::target::{Claim, Target, failed};
use crate::window::{Size, Window};

pub use part::{PartWriter, RasterPart, portions};
pub use spec::{DatasetSpec, Overviews, Quantity, Verification};

/// What a finished raster holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenRaster {
    /// Windows that were written.
    pub windows: usize,
    /// Pixels in them; fewer than the raster has where the plan left some out.
    pub pixels: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// A dataset open for writing: the one place all writing happens. It is created, used and finished on one thread.
///
/// What can travel to that thread is the target and the spec:
///
/// ```no_run
/// # use tileloom::{block::SampleType, raster::{DatasetSpec, DatasetWriter}, sink::Target, window::Size};
/// let (target, spec) = (Target::new("out.tif"), DatasetSpec::new(Size::new(512, 512), 3, SampleType::U8));
/// std::thread::spawn(move || {
///     let writer = DatasetWriter::create(&target, spec)?;
///     writer.finish()
/// });
/// ```
///
/// The open dataset cannot:
///
/// ```compile_fail,E0277
/// # use tileloom::{block::SampleType, raster::{DatasetSpec, DatasetWriter}, sink::Target, window::Size};
/// let (target, spec) = (Target::new("out.tif"), DatasetSpec::new(Size::new(512, 512), 3, SampleType::U8));
/// let writer = DatasetWriter::create(&target, spec).expect("created");
/// std::thread::spawn(move || {
///     writer.finish()
/// });
/// ```
///
/// Nor can it be shared:
///
/// ```compile_fail,E0277
/// fn shared_between_threads<T: Sync>() {}
/// shared_between_threads::<tileloom::raster::DatasetWriter>();
/// ```
///
/// Dropped without [`finish`](Self::finish) it removes what it wrote.
pub struct DatasetWriter {
    /// Closed before the claim removes the file.
    dataset: Open,
    /// The file, when its blocks are packed elsewhere; the dataset is closed then.
    packed: Option<PackedFile>,
    _sidecar: Sidecar,
    claim: Claim,
    /// The unfinished file, opened before anything is written so that it hears of writes that fail later.
    file: File,
    spec: DatasetSpec,
    native_int8: bool,
    block: Size,
    layout: ChunkLayout,
    /// Chunks of whole blocks that lack some of their pixels, by row and column.
    pending: BTreeMap<(usize, usize), Pending>,
    /// Chunks that GDAL has, by row and column.
    complete: HashSet<(usize, usize)>,
    /// Number of the chunk whose turn it is, where that matters.
    next: usize,
    /// Windows as they came, with their checksums.
    written: Vec<(Window, u64)>,
    /// Metadata items that its bands get when it is complete.
    items: Vec<Vec<(String, String)>>,
    broken: bool,
    _writer_thread: PhantomData<*mut ()>,
}

impl DatasetWriter {
    /// Creates the dataset under its working name.
    ///
    /// # Errors
    /// [`Error::Usage`] for a spec that describes no raster, [`Error::Output`] when the target may not be written
    /// (see [`Target::check`]) or GDAL cannot create such a dataset.
    pub fn create(target: &Target, spec: DatasetSpec) -> Result<Self> {
        spec.check()?;
        let claim = target.claim(crate::target::Shape::File)?;
        // Signed bytes became a type of their own with GDAL 3.7; before they were bytes with a remark.
        let native_int8 = VersionInfo::version_num().parse::<u32>().is_ok_and(|v| v >= 3_070_000);
        // One that a run left which crashed would describe this raster too.
        drop(Sidecar::of(claim.partial()));
        let sidecar = Sidecar::of(claim.partial());
        let create = || {
            let dataset = Open(Some(checked(|| spec.create(claim.partial(), native_int8))?));
            let band = dataset.get()?.rasterband(1).map_err(|e| reason(&e))?;
            let (width, height) = band.block_size();
            let file = File::open(claim.partial()).map_err(|e| e.to_string())?;
            let Some(packing) = &spec.packing else {
                return Ok((dataset, None, Size::new(width, height), file));
            };
            dataset.close()?;
            Sidecar::refuse(claim.partial(), &spec.driver)?;
            let packed = PackedFile::open(claim.partial(), packing, spec.ordered)?;
            Ok((Open(None), Some(packed), Size::new(width, height), file))
        };
        let (dataset, packed, block, file) =
            create().map_err(|e: String| unwritten(&claim, "cannot be created", &e))?;
        Ok(Self {
            layout: if packed.is_some() {
                ChunkLayout::of_size(spec.size, block)
            } else {
                ChunkLayout::new(spec.size, block, spec.pixel_bytes())
            },
            dataset,
            packed,
            _sidecar: sidecar,
            claim,
            file,
            spec,
            native_int8,
            block,
            pending: BTreeMap::new(),
            complete: HashSet::new(),
            next: 0,
            written: Vec::new(),
            items: Vec::new(),
            broken: false,
            _writer_thread: PhantomData,
        })
    }

    /// Columns and rows of the file's blocks. Windows made of whole ones are not held back.
    pub fn block(&self) -> Size {
        self.block
    }

    /// Writes the samples of all bands of a window. They are stored as they are: what a pixel without data holds is for
    /// the operation to say, its validity is not looked at. Windows may come in any order but must not overlap.
    ///
    /// # Errors
    /// [`Error::Output`] naming the file and the window when GDAL reports a failure; [`Error::Internal`] when the
    /// block is no part of this raster, or a part of it was written before. The writer is then of no more use.
    pub fn write(&mut self, block: &Block) -> Result<()> {
        let usable = !self.broken;
        self.broken = true;
        let window = block.window;
        self.fits(block).map_err(|e| Error::Internal(format!("{window} of {}: {e}", self.spec.driver)))?;
        if !usable {
            return Err(Error::Internal("a raster is written on after it failed".to_owned()));
        }
        self.written.push((window, checksum(&block.samples)));
        if let Some(packing) = self.spec.packing.filter(|packing| packing.holds_whole(&window)) {
            self.append(packing.blocks(block)?)?;
            self.broken = false;
            return Ok(());
        }
        for (column, row) in self.layout.covering(&window) {
            let place = self.layout.window(column, row);
            if self.packed.is_none() && window.contains(&place) && self.has_turn(column, row) {
                self.take(column, row)?;
                self.put(place, &block.samples, (place.x - window.x, place.y - window.y))?;
                self.advance()?;
            } else {
                self.gather(column, row, block)?;
            }
        }
        self.broken = false;
        Ok(())
    }

    /// Writes blocks that were packed as [`DatasetSpec::packing`] says.
    ///
    /// # Errors
    /// Those of [`DatasetWriter::write`].
    pub fn write_packed(&mut self, packed: Packed) -> Result<()> {
        let usable = !std::mem::replace(&mut self.broken, true) && self.packed.is_some();
        let inside = self.spec.size.window().contains(&packed.window);
        if !usable || !inside {
            return Err(Error::Internal("packed blocks are written where they do not belong".to_owned()));
        }
        self.written.push((packed.window, packed.checksum));
        self.append(packed.blocks)?;
        self.broken = false;
        Ok(())
    }

    /// Appends packed blocks.
    fn append(&mut self, blocks: Vec<PackedBlock>) -> Result<()> {
        for PackedBlock { column, row, planes } in blocks {
            self.take(column, row)?;
            let number = self.layout.index(column, row);
            let Some(file) = &mut self.packed else {
                return Err(Error::Internal("no file takes packed blocks".to_owned()));
            };
            let window = self.layout.window(column, row);
            file.take(number, planes)
                .map_err(|e| unwritten(&self.claim, &format!("cannot be written ({window})"), &e))?;
        }
        Ok(())
    }

    /// Takes all that a part of such a raster holds, behind the parts above it. What is packed is copied as it is when the file is
    /// finished, which also finds out whether it is what it was.
    ///
    /// # Errors
    /// Those of [`DatasetWriter::write`], and [`Error::Output`] when the part is damaged.
    pub fn adopt(&mut self, part: &RasterPart) -> Result<()> {
        if self.packed.is_none() {
            return part.pixels(|block| self.write(block));
        }
        let usable = !std::mem::replace(&mut self.broken, true);
        let columns = self.layout.index(0, 1);
        for piece in part.parcel.pieces().iter().filter(|piece| piece.plane == 0) {
            let number = piece.number as usize;
            self.take(number % columns, number / columns)?;
        }
        let Some(file) = self.packed.as_mut().filter(|_| usable) else {
            return Err(Error::Internal("a raster is written on after it failed".to_owned()));
        };
        file.adopt(part.path(), part.parcel.pieces())
            .map_err(|e| unwritten(&self.claim, &format!("cannot take {}", part.path().display()), &e))?;
        self.written.extend(&part.written);
        self.broken = false;
        Ok(())
    }

    /// Has metadata items added to the bands, in their order, when all pixels are written.
    pub fn describe_bands(&mut self, items: Vec<Vec<(String, String)>>) {
        self.items = items;
    }

    /// Writes what was held back, closes the dataset, syncs it, reads it back and gives it its final name.
    ///
    /// # Errors
    /// [`Error::Output`] when any of that fails; nothing then stands under the final name that did not stand
    /// there before.
    pub fn finish(mut self) -> Result<WrittenRaster> {
        if self.broken {
            return Err(Error::Internal("a raster is finished after it failed".to_owned()));
        }
        while let Some(key) = self.pending.keys().next().copied() {
            self.hand_over(key)?;
        }
        let Self { dataset, packed, _sidecar, claim, file, spec, native_int8, mut written, items, .. } = self;
        let complete = |mut file: PackedFile| {
            file.fetch(claim.partial(), spec.overviews.is_none())?;
            file.finish().map_err(|e| unwritten(&claim, "cannot be completed", &e))
        };
        let places = packed.map(complete).transpose()?;
        dataset.close().map_err(|e| unwritten(&claim, "cannot be completed", &e))?;
        if items.iter().any(|items| !items.is_empty()) {
            checked(|| spec::describe_bands(claim.partial(), &items))
                .map_err(|e| unwritten(&claim, "cannot get metadata", &e))?;
        }
        if let Some(overviews) = &spec.overviews {
            checked(|| overviews.build(claim.partial()))
                .map_err(|e| unwritten(&claim, "cannot get overviews", &e))?;
        }
        file.sync_all().map_err(|e| failed(claim.partial(), "cannot be synced", &e))?;
        let bytes = file.metadata().map_err(|e| failed(claim.partial(), "cannot be inspected", &e))?.len();
        // Row by row, so that the blocks of the file are decoded once.
        written.sort_unstable_by_key(|(w, _)| (w.y, w.x));
        let verified = match &places {
            // Blocks that hold the bytes they were packed into need not all be unpacked to know their pixels.
            Some(places) if spec.verification != Verification::Structure => {
                places.verify(claim.partial(), spec.threads).and_then(|()| {
                    // Those that were copied have been unpacked where they were made.
                    let most = if places.were_fetched() { 2 } else { 6 };
                    verify(claim.partial(), &spec, native_int8, &sample(&written, most))
                })
            }
            _ => verify(claim.partial(), &spec, native_int8, &written),
        };
        verified.map_err(|e| unwritten(&claim, "was not written right", &e))?;
        claim.commit()?;
        let pixels = written.iter().map(|(w, _)| w.area() as u64).sum();
        Ok(WrittenRaster { windows: written.len(), pixels, bytes })
    }

    fn fits(&self, block: &Block) -> Result<(), String> {
        let window = block.window;
        if window.is_empty() || !self.spec.size.window().contains(&window) {
            return Err("is not inside the raster".to_owned());
        }
        if block.samples.dim() != (self.spec.bands, window.height, window.width) {
            return Err(format!("has {:?} bands, rows and columns", block.samples.dim()));
        }
        if block.samples.sample_type() != self.spec.sample_type {
            return Err(format!("has samples of type {}", block.samples.sample_type().name()));
        }
        Ok(())
    }

    /// Marks a chunk as handed to GDAL.
    fn take(&mut self, column: usize, row: usize) -> Result<()> {
        if self.pending.contains_key(&(row, column)) || !self.complete.insert((row, column)) {
            let window = self.layout.window(column, row);
            return Err(Error::Internal(format!("pixels were written twice in {window}")));
        }
        Ok(())
    }

    /// Adds what a block has of a chunk; hands the chunk to GDAL when nothing is missing and it has its turn.
    fn gather(&mut self, column: usize, row: usize, block: &Block) -> Result<()> {
        let (key, window) = ((row, column), self.layout.window(column, row));
        let part = self.pending.entry(key).or_insert_with(|| Pending::new(window, &self.spec));
        if part.missing == 0 || self.complete.contains(&key) {
            return Err(Error::Internal(format!("pixels were written twice in {window}")));
        }
        part.add(block);
        // What is packed here waits for its turn in fewer bytes.
        if part.missing > 0 || !(self.packed.is_some() || self.has_turn(column, row)) {
            return Ok(());
        }
        self.hand_over(key)?;
        if self.packed.is_some() { Ok(()) } else { self.advance() }
    }

    /// Whether a chunk may go to GDAL now.
    fn has_turn(&self, column: usize, row: usize) -> bool {
        !self.spec.ordered || self.layout.index(column, row) == self.next
    }

    /// Goes on to the next chunk, and to those after it that waited for their turn.
    fn advance(&mut self) -> Result<()> {
        self.next += 1;
        if !self.spec.ordered {
            return Ok(());
        }
        let columns = self.layout.index(0, 1);
        loop {
            let key = (self.next / columns, self.next % columns);
            if self.pending.get(&key).is_none_or(|part| part.missing > 0) {
                return Ok(());
            }
            self.hand_over(key)?;
            self.next += 1;
        }
    }

    /// Hands a chunk that was gathered to GDAL, or packs it.
    fn hand_over(&mut self, key: (usize, usize)) -> Result<()> {
        let Some(part) = self.pending.remove(&key) else { return Ok(()) };
        if let Some(packing) = self.spec.packing {
            let Pending { window, samples, .. } = part;
            return self.append(packing.blocks(&Block { window, samples, validity: Validity::All })?);
        }
        self.take(key.1, key.0)?;
        self.put(part.window, &part.samples, (0, 0))
    }

    /// Hands a window to GDAL, whose samples begin in some column and row of those given.
    fn put(&self, window: Window, samples: &Samples, (column, row): (i64, i64)) -> Result<()> {
        let (x, y) = (column as usize, row as usize);
        let section = s![.., y..y + window.height, x..x + window.width];
        let write = || {
            let dataset = self.dataset.get()?;
            for_samples!(samples, array => {
                raw::write_all_bands(dataset, window, self.native_int8, &array.slice(section))
            })?;
            // Left in GDAL's cache, blocks would reach the file in an order that depends on what else the cache is asked for.
            raw::flush_blocks(dataset)
        };
        checked(write).map_err(|e| unwritten(&self.claim, &format!("cannot be written ({window})"), &e))
    }
}

impl Sink for DatasetWriter {
    type Item = Block;
    type Done = WrittenRaster;
    type Error = Error;

    fn write(&mut self, block: Block) -> Result<()> {
        Self::write(self, &block)
    }

    fn finish(self) -> Result<WrittenRaster> {
        Self::finish(self)
    }
}

/// A dataset that is closed without a word when it is abandoned: what cannot be written then is of no interest.
struct Open(Option<Dataset>);

impl Open {
    fn get(&self) -> Result<&Dataset, String> {
        self.0.as_ref().ok_or_else(|| "the dataset is closed".to_owned())
    }

    fn close(mut self) -> Result<(), String> {
        let dataset = self.0.take();
        checked(|| dataset.map_or(Ok(()), |d| d.close().map_err(|e| reason(&e))))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let dataset = self.0.take();
        let _ = raw::listen(move || drop(dataset));
    }
}

/// The second file that GDAL puts beside one whose format cannot hold all of its metadata. It would need a rename of its
/// own, so a raster that needs one is refused.
struct Sidecar(PathBuf);

impl Sidecar {
    fn of(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".aux.xml");
        Self(name.into())
    }

    /// An error if there is one, which is removed.
    fn refuse(path: &Path, driver: &str) -> Result<(), String> {
        if Self::of(path).0.exists() {
            return Err(format!(
                "the {driver} driver needs a second file beside it for what was asked of it"
            ));
        }
        Ok(())
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Some whole blocks of the file, until all of their pixels are there.
struct Pending {
    window: Window,
    samples: Samples,
    missing: usize,
}

impl Pending {
    fn new(window: Window, spec: &DatasetSpec) -> Self {
        let mut samples = Samples::zeros(spec.sample_type, spec.bands, window.size());
        if let Some(nodata) = spec.nodata {
            for_samples!(&mut samples, array => array.fill(nodata_as(nodata).unwrap_or_default()));
        }
        Self { window, samples, missing: window.area() }
    }

    fn add(&mut self, block: &Block) {
        let common = self.window.intersection(&block.window);
        let places = [&self.window, &block.window].map(|w| {
            let (x, y) = ((common.x - w.x) as usize, (common.y - w.y) as usize);
            Window::new(x as i64, y as i64, common.width, common.height)
        });
        for_samples!(&mut self.samples, array => copy(array, &block.samples, places));
        self.missing = self.missing.saturating_sub(common.area());
    }
}

/// Copies a part of one array into a part of another; the parts are of one size.
fn copy<T: Sample>(to: &mut Array3<T>, from: &Samples, [there, here]: [Window; 2]) {
    let range = |w: Window| s![.., w.y as usize..w.bottom() as usize, w.x as usize..w.right() as usize];
    if let Some(from) = T::unwrap(from) {
        to.slice_mut(range(there)).assign(&from.slice(range(here)));
    }
}

/// XXH3 of the samples in the order row, column, band, as little-endian bytes.
pub(super) fn checksum(samples: &Samples) -> u64 {
    for_samples!(samples, array => {
        let copy;
        let values = if let Some(values) = interleaved_slice(array) {
            values
        } else {
            copy = to_interleaved(array);
            &copy[..]
        };
        let mut hasher = Xxh3::new();
        let mut bytes = [0u8; 4096];
        for part in values.chunks(512) {
            let (slots, _) = bytes.as_chunks_mut();
            for (slot, value) in slots.iter_mut().zip(part) {
                *slot = value.to_le_bytes();
            }
            hasher.update(&bytes[..size_of_val(part)]);
        }
        hasher.digest()
    })
}

/// Some of the windows, from the first to the last: at most one more than `most`.
fn sample(written: &[(Window, u64)], most: usize) -> Vec<(Window, u64)> {
    let step = written.len().div_ceil(most).max(1);
    let last = written.last().filter(|_| !(written.len() - 1).is_multiple_of(step));
    written.iter().step_by(step).chain(last).copied().collect()
}

/// Opens what was written as anybody would, and compares.
fn verify(
    path: &Path,
    spec: &DatasetSpec,
    native_int8: bool,
    written: &[(Window, u64)],
) -> Result<(), String> {
    let drivers = [spec.driver.as_str()];
    let open = || {
        let options = DatasetOptions {
            open_flags: GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR,
            allowed_drivers: Some(&drivers),
            ..DatasetOptions::default()
        };
        checked(|| Dataset::open_ex(path, options).map_err(|e| reason(&e)))
    };
    let dataset = open()?;
    let found = checked(|| Description::of(&dataset, None))?;
    Sidecar::refuse(path, &spec.driver)?;
    spec.compare(&found)?;
    if spec.verification == Verification::Structure {
        return Ok(());
    }
    drop(dataset);
    // Each thread opens the file for itself.
    let compare = |dataset: &mut Result<Dataset, String>, k: u64| {
        let dataset = dataset.as_ref().map_err(Clone::clone)?;
        written.get(k as usize).map_or(Ok(()), |one| verify_window(dataset, spec, native_int8, *one))
    };
    side_by_side(spec.threads, written.len() as u64, open, compare).map_err(|cause| cause.to_string())
}

/// Reads a window back, whose samples had a checksum.
fn verify_window(
    dataset: &Dataset,
    spec: &DatasetSpec,
    native_int8: bool,
    (window, wanted): (Window, u64),
) -> Result<(), String> {
    let bands: Vec<i32> = (1..=spec.bands as i32).collect();
    let read = || {
        for_sample_type!(spec.sample_type, T => {
            let mut values = vec![T::default(); window.area() * spec.bands];
            raw::read_interleaved(dataset, window, &bands, native_int8, &mut values)?;
            crate::block::interleaved_array(values, spec.bands, window.size()).map(T::wrap).ok_or("window too large".to_owned())
        })
    };
    let samples = checked(read).map_err(|e| format!("{window} cannot be read back: {e}"))?;
    if spec.verification == Verification::Pixels && checksum(&samples) != wanted {
        return Err(format!("{window} reads back with other pixels than were written"));
    }
    Ok(())
}

/// Runs a piece of GDAL work; a failure that it reports without admitting it is one all the same.
fn checked<R>(call: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
    let (result, messages) = raw::listen(call);
    let mut first = None;
    for message in &messages {
        match message.failure() {
            Some(failure) => first = first.or(Some(failure)),
            None => message.repeat(),
        }
    }
    first.map_or(result, Err)
}

/// An [`Error::Output`] about the unfinished file. GDAL seldom says that a disk is full, so this looks.
fn unwritten(claim: &Claim, what: &str, reason: &str) -> Error {
    const SCANT: u64 = 64 << 10;
    const WRITE_FAILURES: [&str; 6] = [
        "No space left",
        "quota exceeded",
        "Input/output error",
        "File too large",
        "Read-only file system",
        "Permission denied",
    ];
    let full = rustix::fs::statvfs(claim.partial()).is_ok_and(|disk| disk.f_bavail * disk.f_frsize < SCANT);
    let known = WRITE_FAILURES.iter().any(|known| reason.contains(known));
    let unclear = reason.ends_with("Success") || (reason.contains("_tiffWriteProc") && !known);
    let hint = match reason {
        _ if full && !reason.contains("No space left") => " (no space is left on the disk)",
        // It looks for the reason when that is gone, and finds that of another call or none.
        _ if unclear => " (a write was refused, and GDAL does not say why)",
        _ => "",
    };
    failed(claim.partial(), what, &format!("{reason}{hint}"))
}
