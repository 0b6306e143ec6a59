//! A `GeoTIFF` whose structure GDAL has made and whose blocks are appended here.
//!
//! GDAL leaves the tables of a sparse file, in which the place and size of each block are to stand, at full length and full of
//! zeros. Blocks go to the end of the file, and at last the tables are filled in.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::pack::Packing;
use super::tiff::{self, ByteOrder, Extent, Table};
use crate::assemble::{assemble_runs, runs};
use crate::error::Result as Done;
use crate::parcel::{Piece, Shelf};
use crate::pipeline::side_by_side;

/// A file that blocks are appended to.
pub(super) struct PackedFile {
    file: File,
    end: u64,
    /// What is known of each block, by its number.
    places: Places,
    /// Blocks of a band.
    blocks: usize,
    tables: [Table; 2],
    /// Blocks that wait for their turn, by their number.
    waiting: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Number of the block whose turn it is, where that matters.
    next: usize,
    ordered: bool,
    /// Stretches that parts hold, in the order of the file.
    stretches: Vec<Stretch>,
    /// Their files.
    shelf: Shelf,
}

/// Blocks that lie in a part as they are to lie here.
struct Stretch {
    /// The number of the first among all that parts hold.
    first: usize,
    /// Where they begin here.
    at: u64,
    /// Where they begin in the part.
    from: u64,
    /// Number of the part.
    file: usize,
}

impl PackedFile {
    /// Opens a sparse file of such blocks.
    ///
    /// # Errors
    /// The reason, also when its structure is not the one that the packing stands for.
    pub fn open(path: &Path, packing: &Packing, ordered: bool) -> Result<Self, String> {
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(|e| e.to_string())?;
        let images = tiff::images(&file, false).ok_or("GDAL has made no TIFF")?;
        let image = images.into_iter().next().flatten().ok_or("GDAL has made a TIFF of an unknown kind")?;
        let same = image.tiled
            && image.order == ByteOrder::Little
            && (image.size, image.block) == (packing.raster, packing.block)
            && (image.bands, image.planar) == (packing.bands, packing.planar)
            && image.sample_type == packing.sample_type
            && (image.compression, image.predictor) == (packing.compression, packing.predictor);
        if !same {
            return Err("GDAL has made a file of another structure than it was asked for".to_owned());
        }
        let end = file.metadata().map_err(|e| e.to_string())?.len();
        let (count, planes) = (image.blocks().area(), if image.planar { image.bands } else { 1 });
        Ok(Self {
            file,
            end,
            places: Places {
                extents: vec![[0; 2]; count * planes],
                checksums: vec![0; count * planes],
                fetched: false,
            },
            blocks: count,
            tables: image.tables(),
            waiting: BTreeMap::new(),
            next: 0,
            ordered,
            stretches: Vec::new(),
            shelf: Shelf::default(),
        })
    }

    /// Takes the bytes of a block, by its number: of all bands, or of each.
    ///
    /// # Errors
    /// Why they cannot be written.
    pub fn take(&mut self, number: usize, planes: Vec<Vec<u8>>) -> Result<(), String> {
        if !self.stretches.is_empty() {
            return Err("blocks come behind those of a part".to_owned());
        }
        if !self.ordered {
            return self.append(number, &planes);
        }
        self.waiting.insert(number, planes);
        while let Some(planes) = self.waiting.remove(&self.next) {
            self.append(self.next, &planes)?;
            self.next += 1;
        }
        Ok(())
    }

    /// Takes the blocks of a part, the next in the order of the file, which lie in one stretch of another file as they are to lie here. They
    /// stay there until they are [fetched](Self::fetch).
    ///
    /// # Errors
    /// Why they do not belong here.
    pub fn adopt(&mut self, path: &Path, pieces: &[Piece]) -> Result<(), String> {
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return Ok(()) };
        let planes = self.planes();
        let (from, at) = (first.offset, self.end.next_multiple_of(2));
        for (k, piece) in pieces.iter().enumerate() {
            let (number, plane) = (piece.number as usize, piece.plane as usize);
            let expected = (self.next + k / planes, k % planes);
            let place = plane * self.blocks + number;
            match (self.places.extents.get_mut(place), self.places.checksums.get_mut(place)) {
                (Some(extent), Some(checksum)) if (number, plane) == expected && number < self.blocks => {
                    (*extent, *checksum) = ([at + (piece.offset - from), piece.bytes() as u64], piece.hash);
                }
                _ => return Err(format!("its block {number} does not belong here")),
            }
        }
        let file = self.shelf.put(path);
        self.stretches.push(Stretch { first: self.next * planes, at, from, file });
        self.end = at + (last.offset + last.bytes() as u64).saturating_sub(from);
        self.next += pieces.len() / planes;
        Ok(())
    }

    /// Copies what parts hold to where it belongs, `path` being the name of this file. Each block is read once, and held against what was
    /// noted of it before it is written; so only some of them are read back later. `past_cache` should be set unless all of the
    /// file is read at once.
    ///
    /// # Errors
    /// [`Error::Output`](crate::Error::Output) when a part is damaged or the disk refuses.
    pub fn fetch(&mut self, path: &Path, past_cache: bool) -> Done<()> {
        let Some(Stretch { first, at, .. }) = self.stretches.first() else { return Ok(()) };
        let all = *first..self.next * self.planes();
        let lengths = all.clone().map(|k| self.start(k + 1) - self.start(k));
        let runs = runs(*at, lengths);
        assemble_runs((&self.file, path), &runs, past_cache, |(): &mut (), pieces, out| {
            let mut rest = out;
            for k in pieces.start + all.start..pieces.end + all.start {
                let (block, next) = rest.split_at_mut((self.start(k + 1) - self.start(k)) as usize);
                self.read(k, block)?;
                rest = next;
            }
            Ok(())
        })?;
        self.places.fetched = true;
        Ok(())
    }

    /// Bands that have blocks of their own; 1 for all together.
    fn planes(&self) -> usize {
        (self.places.extents.len() / self.blocks.max(1)).max(1)
    }

    /// The place of a block, by its number in the order of the file, among what is known.
    fn place(&self, k: usize) -> usize {
        let planes = self.planes();
        k % planes * self.blocks + k / planes
    }

    /// Where a block begins, by its number in the order of the file; behind the last that is there, where that ends.
    fn start(&self, k: usize) -> u64 {
        if k < self.next * self.planes() { self.places.extents[self.place(k)][0] } else { self.end }
    }

    /// Reads a block of a part; what is left of `bytes` stands between it and the next.
    fn read(&self, k: usize, bytes: &mut [u8]) -> Done<()> {
        let place = self.place(k);
        let ([at, length], hash) = (self.places.extents[place], self.places.checksums[place]);
        let number = self.stretches.partition_point(|stretch| stretch.first <= k).saturating_sub(1);
        let Some(stretch) = self.stretches.get(number) else { return Ok(()) };
        let offset = at - stretch.at + stretch.from;
        let piece = Piece { plane: 0, number: 0, offset, lengths: [length as u32, 0], hash };
        let (block, gap) = bytes.split_at_mut(length as usize);
        gap.fill(0);
        self.shelf.read(stretch.file, &piece, block)
    }

    /// Writes what still waits, and says where all blocks are: in the file, and to hold the file against.
    ///
    /// # Errors
    /// Why that cannot be written.
    pub fn finish(mut self) -> Result<Places, String> {
        while let Some((number, planes)) = self.waiting.pop_first() {
            self.append(number, &planes)?;
        }
        for (k, table) in self.tables.iter().enumerate() {
            let width = usize::from(table.bytes);
            let mut numbers = Vec::with_capacity(self.places.extents.len() * width);
            for extent in &self.places.extents {
                let bytes = extent[k].to_le_bytes();
                if bytes[width..].iter().any(|b| *b != 0) {
                    return Err("it becomes too large for a TIFF; give --co BIGTIFF=YES".to_owned());
                }
                numbers.extend_from_slice(&bytes[..width]);
            }
            self.file.write_all_at(&numbers, table.at).map_err(|e| e.to_string())?;
        }
        Ok(self.places)
    }

    fn append(&mut self, number: usize, planes: &[Vec<u8>]) -> Result<(), String> {
        for (plane, bytes) in planes.iter().enumerate() {
            // Places in a TIFF are even.
            let offset = self.end.next_multiple_of(2);
            self.file.write_all_at(bytes, offset).map_err(|e| e.to_string())?;
            self.end = offset + bytes.len() as u64;
            let place = plane * self.blocks + number;
            if let (Some(extent), Some(checksum)) =
                (self.places.extents.get_mut(place), self.places.checksums.get_mut(place))
            {
                (*extent, *checksum) = ([offset, bytes.len() as u64], xxh3_64(bytes));
            }
        }
        Ok(())
    }
}

/// Blocks that are read back at a time.
const BATCH: u64 = 64;

/// Blocks that are read back of a file that was copied from parts.
const READ_BACK: usize = 8;

/// Where the blocks of a file are, and what they hold.
pub(super) struct Places {
    /// Offset and size of each block, by its number; zeros for those that were never written.
    extents: Vec<[u64; 2]>,
    /// XXH3 of the bytes of each.
    checksums: Vec<u64>,
    /// Whether they were held against their checksums while they were copied from parts.
    fetched: bool,
}

impl Places {
    /// Whether they were copied from parts.
    pub fn were_fetched(&self) -> bool {
        self.fetched
    }

    /// Holds a file against what was written to it: the blocks that its own tags tell, and their bytes; of what was copied from parts, the
    /// bytes of some.
    ///
    /// # Errors
    /// What differs.
    pub fn verify(&self, path: &Path, threads: usize) -> Result<(), String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        let images = tiff::images(&file, false).ok_or("it reads back as no TIFF")?;
        let image =
            images.into_iter().next().flatten().ok_or("it reads back as a TIFF of an unknown kind")?;
        let (size, count) = (image.blocks(), self.extents.len());
        let every = if self.fetched { count.div_ceil(READ_BACK).max(1) } else { 1 };
        let one = |place: usize, bytes: &mut Vec<u8>| -> Result<(), String> {
            let (plane, number) = (place / size.area(), place % size.area());
            let (column, row) = (number % size.width, number / size.width);
            let [offset, length] = self.extents[place];
            let found = image.extent(&file, column, row, plane);
            if found.is_none_or(|found| found != Extent { offset, bytes: length }) {
                return Err(format!(
                    "block {column}, {row} reads back from another place than it was written to"
                ));
            }
            if !place.is_multiple_of(every) {
                return Ok(());
            }
            bytes.resize(length as usize, 0);
            file.read_exact_at(bytes, offset)
                .map_err(|e| format!("block {column}, {row} cannot be read back: {e}"))?;
            if length > 0 && xxh3_64(bytes) != self.checksums[place] {
                return Err(format!("block {column}, {row} reads back with other bytes than were written"));
            }
            Ok(())
        };
        let batch = |bytes: &mut Vec<u8>, k: u64| {
            let first = (k * BATCH) as usize;
            (first..count.min(first + BATCH as usize)).try_for_each(|place| one(place, bytes))
        };
        let batches = (count as u64).div_ceil(BATCH);
        side_by_side(threads, batches, Vec::new, batch).map_err(|cause| cause.to_string())
    }
}
