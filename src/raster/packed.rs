//! A `GeoTIFF` whose structure GDAL has made and whose blocks are appended here.
//!
//! GDAL leaves the tables of a sparse file, in which the place and size of each block are to stand, at full length and full of
//! zeros. Blocks go to the end of the file, and at last the tables are filled in.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::pack::Packing;
use super::tiff::{self, ByteOrder, Table};

/// A file that blocks are appended to.
pub(super) struct PackedFile {
    file: File,
    end: u64,
    /// Offset and size of each block, by its number; zeros for those that were never written.
    places: Vec<[u64; 2]>,
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
            places: vec![[0; 2]; count * planes],
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

    /// Writes what still waits, and says where all blocks are.
    ///
    /// # Errors
    /// Why that cannot be written.
    pub fn finish(mut self) -> Result<(), String> {
        while let Some((number, planes)) = self.waiting.pop_first() {
            self.append(number, &planes)?;
        }
        for (k, table) in self.tables.iter().enumerate() {
            let width = usize::from(table.bytes);
            let mut numbers = Vec::with_capacity(self.places.len() * width);
            for place in &self.places {
                let bytes = place[k].to_le_bytes();
                if bytes[width..].iter().any(|b| *b != 0) {
                    return Err("it becomes too large for a TIFF; give --co BIGTIFF=YES".to_owned());
                }
                numbers.extend_from_slice(&bytes[..width]);
            }
            self.file.write_all_at(&numbers, table.at).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn append(&mut self, number: usize, planes: &[Vec<u8>]) -> Result<(), String> {
        for (plane, bytes) in planes.iter().enumerate() {
            // Places in a TIFF are even.
            let offset = self.end.next_multiple_of(2);
            self.file.write_all_at(bytes, offset).map_err(|e| e.to_string())?;
            self.end = offset + bytes.len() as u64;
            if let Some(place) = self.places.get_mut(plane * self.blocks + number) {
                *place = [offset, bytes.len() as u64];
            }
        }
        Ok(())
    }
}
