//! A `GeoTIFF` whose structure GDAL has made and whose blocks are appended here.
//!
//! GDAL leaves the tables of a sparse file, in which the place and size of each block are to stand, at full length and full of
//! zeros. Blocks go to the end of the file, and at last the tables are filled in.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::pack::Packing;
use super::tiff::{self, ByteOrder, Extent, Table};
use crate::parcel::Piece;
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
            places: Places { extents: vec![[0; 2]; count * planes], checksums: vec![0; count * planes] },
            blocks: count,
            tables: image.tables(),
            waiting: BTreeMap::new(),
            next: 0,
            ordered,
        })
    }

    /// Takes the bytes of a block, by its number: of all bands, or of each.
    ///
    /// # Errors
    /// Why they cannot be written.
    pub fn take(&mut self, number: usize, planes: Vec<Vec<u8>>) -> Result<(), String> {
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

    /// Takes the blocks of a part, the next in the order of the file, which lie in one stretch of another file as they are to lie here.
    ///
    /// # Errors
    /// Why they cannot be copied.
    pub fn adopt(&mut self, path: &Path, pieces: &[Piece]) -> Result<(), String> {
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return Ok(()) };
        let planes = self.places.extents.len() / self.blocks.max(1);
        let (from, mut to) = (first.offset, self.end.next_multiple_of(2));
        let length = (last.offset + last.bytes() as u64).saturating_sub(from);
        let mut source = File::open(path).map_err(|e| e.to_string())?;
        source.seek(SeekFrom::Start(from)).map_err(|e| e.to_string())?;
        self.file.seek(SeekFrom::Start(to)).map_err(|e| e.to_string())?;
        // On most systems inside the kernel, or by no more than a note that two files share their bytes.
        let copied = io::copy(&mut source.take(length), &mut self.file).map_err(|e| e.to_string())?;
        if copied != length {
            return Err("it is shorter than it was".to_owned());
        }
        self.end = to + length;
        for (k, piece) in pieces.iter().enumerate() {
            let (number, plane) = (piece.number as usize, piece.plane as usize);
            let expected = (self.next + k / planes.max(1), k % planes.max(1));
            to = self.end - length + (piece.offset - from);
            let place = plane * self.blocks + number;
            match (self.places.extents.get_mut(place), self.places.checksums.get_mut(place)) {
                (Some(extent), Some(checksum)) if (number, plane) == expected && number < self.blocks => {
                    (*extent, *checksum) = ([to, piece.bytes() as u64], piece.hash);
                }
                _ => return Err(format!("its block {number} does not belong here")),
            }
        }
        self.next += pieces.len() / planes.max(1);
        Ok(())
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

/// Where the blocks of a file are, and what they hold.
pub(super) struct Places {
    /// Offset and size of each block, by its number; zeros for those that were never written.
    extents: Vec<[u64; 2]>,
    /// XXH3 of the bytes of each.
    checksums: Vec<u64>,
}

impl Places {
    /// Holds a file against what was written to it: the blocks that its own tags tell, and their bytes.
    ///
    /// # Errors
    /// What differs.
    pub fn verify(&self, path: &Path, threads: usize) -> Result<(), String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        let images = tiff::images(&file, false).ok_or("it reads back as no TIFF")?;
        let image =
            images.into_iter().next().flatten().ok_or("it reads back as a TIFF of an unknown kind")?;
        let (size, count) = (image.blocks(), self.extents.len());
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
