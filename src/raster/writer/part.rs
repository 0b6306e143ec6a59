//! Some rows of a raster's blocks, made on a machine of its own: packed as they will be in the file, and put into a parcel in the order
//! of the file, from where they are copied in one go.
//!
//! Where GDAL packs blocks, because nobody else knows how, a part holds pixels instead, in the portions that GDAL is given.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use gdal::version::VersionInfo;

use super::{DatasetSpec, Pending, checksum};
use crate::block::{Block, Validity, from_bytes, take, to_bytes};
use crate::error::{Error, Result};
use crate::parcel::{Parcel, ParcelWriter, Sealed, Shelf, damaged};
use crate::raster::chunks::ChunkLayout;
use crate::raster::pack::{Packed, PackedBlock};
use crate::raster::{reason, template};
use crate::window::{Size, Window};

/// The portions in which a `GeoTIFF` is written: its blocks, or several of them together.
///
/// # Errors
/// [`Error::Usage`] with GDAL's reason when it cannot make such a file.
pub fn portions(spec: &DatasetSpec) -> Result<ChunkLayout> {
    spec.check()?;
    if let Some(packing) = &spec.packing {
        return Ok(ChunkLayout::of_size(spec.size, packing.block));
    }
    let name = template::name_in_memory();
    let mut sparse = spec.clone();
    // Nothing is to be written, not even emptiness.
    sparse.creation_options.push("SPARSE_OK=TRUE".to_owned());
    let native_int8 = VersionInfo::version_num().parse::<u32>().is_ok_and(|v| v >= 3_070_000);
    let look = || {
        let dataset = sparse.create(Path::new(&name), native_int8)?;
        let block = dataset.rasterband(1).map_err(|e| reason(&e))?.block_size();
        dataset.close().map_err(|e| reason(&e))?;
        Ok(Size::new(block.0, block.1))
    };
    let block = super::checked(look);
    let _ = gdal::vsi::unlink_mem_file(&name);
    let block = block.map_err(|e: String| Error::Usage(format!("GDAL cannot make such a file: {e}")))?;
    Ok(ChunkLayout::new(spec.size, block, spec.pixel_bytes()))
}

/// Some rows of portions that are being written.
pub struct PartWriter {
    spec: DatasetSpec,
    layout: ChunkLayout,
    parcel: ParcelWriter,
    /// Portions that lack some of their pixels, by row and column.
    pending: BTreeMap<(usize, usize), Pending>,
    /// Portions that wait for their turn: the bytes of their bands, or of all together.
    waiting: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Number of the portion whose turn it is, and of the one behind the last.
    turn: Range<usize>,
    /// Windows as they came, with their checksums.
    written: Vec<(Window, u64)>,
}

impl PartWriter {
    /// Begins a part: rows of portions of a raster, which goes to a file.
    ///
    /// # Errors
    /// [`Error::Output`] when that cannot be created, and those of [`portions`].
    pub fn create(path: &Path, spec: DatasetSpec, rows: Range<usize>) -> Result<Self> {
        let layout = portions(&spec)?;
        let turn = layout.index(0, rows.start)..layout.index(0, rows.end);
        let parcel = ParcelWriter::create(path)?;
        let (pending, waiting, written) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Ok(Self { spec, layout, parcel, pending, waiting, turn, written })
    }

    /// Takes the samples of all bands of a window.
    ///
    /// # Errors
    /// As [`DatasetWriter::write`](super::DatasetWriter::write).
    pub fn write(&mut self, block: &Block) -> Result<()> {
        self.written.push((block.window, checksum(&block.samples)));
        if let Some(packing) = self.spec.packing.filter(|packing| packing.holds_whole(&block.window)) {
            return self.append(packing.blocks(block)?);
        }
        for (column, row) in self.layout.covering(&block.window) {
            let (key, window) = ((row, column), self.layout.window(column, row));
            let part = self.pending.entry(key).or_insert_with(|| Pending::new(window, &self.spec));
            part.add(block);
            if part.missing > 0 {
                continue;
            }
            let Some(Pending { window, samples, .. }) = self.pending.remove(&key) else { continue };
            let whole = Block { window, samples, validity: Validity::All };
            match self.spec.packing {
                Some(packing) => self.append(packing.blocks(&whole)?)?,
                None => self.put(self.layout.index(column, row), vec![to_bytes(&whole)])?,
            }
        }
        Ok(())
    }

    /// Takes blocks that were packed.
    ///
    /// # Errors
    /// As [`DatasetWriter::write_packed`](super::DatasetWriter::write_packed).
    pub fn write_packed(&mut self, packed: Packed) -> Result<()> {
        self.written.push((packed.window, packed.checksum));
        self.append(packed.blocks)
    }

    fn append(&mut self, blocks: Vec<PackedBlock>) -> Result<()> {
        blocks.into_iter().try_for_each(|PackedBlock { column, row, planes }| {
            self.put(self.layout.index(column, row), planes)
        })
    }

    /// Puts a portion into the parcel, or keeps it until those before it are there.
    fn put(&mut self, number: usize, planes: Vec<Vec<u8>>) -> Result<()> {
        if !self.turn.contains(&number) || self.waiting.insert(number, planes).is_some() {
            return Err(Error::Internal(format!("block {number} is written twice, or into a wrong part")));
        }
        while let Some(planes) = self.waiting.remove(&self.turn.start) {
            for (plane, bytes) in planes.iter().enumerate() {
                self.parcel.add(plane as u32, self.turn.start as u64, [bytes, &[]])?;
            }
            self.turn.start += 1;
        }
        Ok(())
    }

    /// Completes the part, with a memo of the job.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses, [`Error::Internal`] when pixels are missing.
    pub fn finish(self, memo: &[u8]) -> Result<Sealed> {
        if !self.turn.is_empty() {
            return Err(Error::Internal(format!("block {} was never made", self.turn.start)));
        }
        let mut all = (self.written.len() as u64).to_le_bytes().to_vec();
        for (window, checksum) in &self.written {
            for number in [window.x, window.y, window.width as i64, window.height as i64] {
                all.extend(number.to_le_bytes());
            }
            all.extend(checksum.to_le_bytes());
        }
        all.extend(memo);
        self.parcel.finish(&all)
    }
}

/// A part that is complete.
#[derive(Debug)]
pub struct RasterPart {
    pub(super) parcel: Parcel,
    /// Windows as they were made, with their checksums.
    pub(super) written: Vec<(Window, u64)>,
    /// Bytes of the memo before the job's own.
    head: usize,
}

impl RasterPart {
    /// Opens what a [`PartWriter`] has left.
    ///
    /// # Errors
    /// [`Error::Output`] when it cannot be read or is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let parcel = Parcel::open(path)?;
        let mut rest = parcel.memo();
        let written = windows(&mut rest).ok_or_else(|| damaged(path))?;
        let head = parcel.memo().len() - rest.len();
        Ok(Self { parcel, written, head })
    }

    /// What the job noted.
    pub fn memo(&self) -> &[u8] {
        &self.parcel.memo()[self.head..]
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.parcel.path()
    }

    /// The portions of pixels in it, where GDAL is to pack them.
    pub(super) fn pixels(&self, mut each: impl FnMut(&Block) -> Result<()>) -> Result<()> {
        let shelf = Shelf::default();
        let number = shelf.put(self.path());
        let mut bytes = Vec::new();
        self.parcel.pieces().iter().try_for_each(|piece| {
            bytes.resize(piece.bytes(), 0);
            shelf.read(number, piece, &mut bytes)?;
            each(&from_bytes(&bytes).ok_or_else(|| damaged(self.path()))?)
        })
    }
}

fn windows(bytes: &mut &[u8]) -> Option<Vec<(Window, u64)>> {
    let count = take(bytes).map(u64::from_le_bytes)?;
    (0..count)
        .map(|_| {
            let mut number = || take(bytes).map(i64::from_le_bytes);
            let (x, y, width, height) = (number()?, number()?, number()? as usize, number()? as usize);
            Some((Window::new(x, y, width, height), take(bytes).map(u64::from_le_bytes)?))
        })
        .collect()
}
