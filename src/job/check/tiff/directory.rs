//! The directories of a TIFF file, held against the specification and the size of the file.
//!
//! TIFF 6.0, section 2; BigTIFF as libtiff has it (<http://bigtiff.org>). Nothing is believed: a directory, a list of offsets or a text
//! that would end behind the file's end is a fault and is not read.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

use super::super::report::Faults;
use crate::window::Size;

/// Most tags of a directory that are looked at; real ones have a few dozen.
const MOST_TAGS: u64 = 4096;

/// Most directories.
const MOST_DIRECTORIES: usize = 65_535;

/// The numbers of the tags that matter.
pub(super) mod tag {
    pub const SUBFILE_TYPE: u16 = 254;
    pub const WIDTH: u16 = 256;
    pub const HEIGHT: u16 = 257;
    pub const BITS: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const SAMPLES: u16 = 277;
    pub const STRIP_ROWS: u16 = 278;
    pub const STRIP_COUNTS: u16 = 279;
    pub const PLANAR: u16 = 284;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_HEIGHT: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_COUNTS: u16 = 325;
    pub const SUB_IFDS: u16 = 330;
    pub const GEO_KEYS: u16 = 34_735;
    pub const GEO_DOUBLES: u16 = 34_736;
    pub const GEO_TEXTS: u16 = 34_737;
    pub const GDAL_NODATA: u16 = 42_113;
}

/// The name of a tag, for people.
fn tag_name(number: u16) -> String {
    let known = match number {
        tag::WIDTH => "ImageWidth",
        tag::HEIGHT => "ImageLength",
        tag::STRIP_OFFSETS => "StripOffsets",
        tag::STRIP_COUNTS => "StripByteCounts",
        tag::TILE_OFFSETS => "TileOffsets",
        tag::TILE_COUNTS => "TileByteCounts",
        tag::BITS => "BitsPerSample",
        tag::GEO_KEYS => "GeoKeyDirectory",
        tag::GEO_DOUBLES => "GeoDoubleParams",
        tag::GEO_TEXTS => "GeoAsciiParams",
        _ => return format!("tag {number}"),
    };
    format!("tag {number} ({known})")
}

/// The values of a tag: where they stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values {
    /// The first byte.
    pub at: u64,
    /// Bytes of each.
    pub bytes: u8,
    pub count: u64,
    /// Whether they stand apart from the directory.
    pub apart: bool,
}

impl Values {
    pub fn len(&self) -> u64 {
        self.count * u64::from(self.bytes)
    }
}

/// An image of the file.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of the image that TIFF tells by a tag of its own"
)]
pub(super) struct Directory {
    /// Where it stands, and its size in bytes.
    pub at: u64,
    pub len: u64,
    /// Its place among the directories, counted from 0.
    pub number: usize,
    pub tags: Vec<(u16, Values)>,
    pub reduced: bool,
    pub mask: bool,
    pub size: Size,
    pub block: Size,
    pub tiled: bool,
    pub samples: usize,
    pub bits: usize,
    pub planar: bool,
    pub compression: u64,
    pub photometric: u64,
    /// Where the offsets and sizes of its blocks stand; `None` when that is not to be trusted.
    pub offsets: Option<Values>,
    pub counts: Option<Values>,
}

impl Directory {
    /// What it is called in messages.
    pub fn name(&self) -> String {
        let what = match (self.reduced, self.mask) {
            (false, false) => "image",
            (true, false) => "overview",
            (false, true) => "mask",
            (true, true) => "mask of an overview",
        };
        format!("{what} of {} × {} (directory {})", self.size.width, self.size.height, self.number + 1)
    }

    /// Columns and rows of blocks.
    pub fn blocks(&self) -> Size {
        Size::new(self.size.width.div_ceil(self.block.width), self.size.height.div_ceil(self.block.height))
    }

    /// How often there is a block at each place.
    pub fn planes(&self) -> usize {
        if self.planar { self.samples } else { 1 }
    }

    /// Number of blocks.
    pub fn count(&self) -> Option<u64> {
        let blocks = self.blocks();
        (blocks.width as u64).checked_mul(blocks.height as u64)?.checked_mul(self.planes() as u64)
    }

    /// Bytes of the samples of a block in a row of blocks, before they are packed.
    pub fn unpacked(&self, row: usize) -> Option<u64> {
        let rows = if self.tiled {
            self.block.height
        } else {
            self.block.height.min(self.size.height.saturating_sub(row * self.block.height))
        };
        let samples = if self.planar { 1 } else { self.samples };
        let bits = self.block.width.checked_mul(samples)?.checked_mul(self.bits)?;
        (bits.div_ceil(8) as u64).checked_mul(rows as u64)
    }

    pub fn values(&self, tag: u16) -> Option<Values> {
        self.tags.iter().find(|(t, _)| *t == tag).map(|(_, values)| *values)
    }
}

/// A file that may be a TIFF.
pub(super) struct Tiff<'a> {
    pub file: &'a File,
    pub len: u64,
    pub little: bool,
    pub big: bool,
    pub first: u64,
}

impl<'a> Tiff<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(file: &'a File, len: u64) -> Result<Self, String> {
        let mut head = [0; 16];
        let cut_off = |_| "is cut off within its header".to_owned();
        file.read_exact_at(&mut head[..8], 0).map_err(cut_off)?;
        let mut tiff = Self { file, len, little: head[0] == b'I', big: false, first: 0 };
        if tiff.number(&head[2..4]) == 43 {
            file.read_exact_at(&mut head, 0).map_err(cut_off)?;
            if (tiff.number(&head[4..6]), tiff.number(&head[6..8])) != (8, 0) {
                return Err("has a damaged BigTIFF header: offsets are not of 8 bytes".to_owned());
            }
            (tiff.big, tiff.first) = (true, tiff.number(&head[8..16]));
        } else {
            tiff.first = tiff.number(&head[4..8]);
        }
        Ok(tiff)
    }

    /// An unsigned number in the file's byte order.
    pub fn number(&self, bytes: &[u8]) -> u64 {
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        if self.little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
    }

    fn bytes(&self, at: u64, len: u64) -> Option<Vec<u8>> {
        at.checked_add(len).filter(|end| *end <= self.len)?;
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        self.file.read_exact_at(&mut bytes, at).ok()?;
        Some(bytes)
    }

    /// The numbers of a tag, all of them.
    pub fn numbers(&self, values: Values) -> Option<Vec<u64>> {
        let bytes = self.bytes(values.at, values.len())?;
        Some(bytes.chunks_exact(values.bytes.max(1).into()).map(|b| self.number(b)).collect())
    }

    /// The bytes of a tag, up to `most`.
    pub fn raw(&self, values: Values, most: u64) -> Option<Vec<u8>> {
        (values.len() <= most).then(|| self.bytes(values.at, values.len()))?
    }

    /// Follows the chain of directories, and the branches that tag 330 tells.
    pub fn directories(&self, faults: &mut Faults) -> Vec<Directory> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut at = self.first;
        if at == 0 {
            faults.error("directory", "has no directory: the offset of the first is 0");
        }
        while at != 0 {
            if !seen.insert(at) {
                faults.error("directory", format!("its directories are in a loop: back to byte {at}"));
                break;
            }
            if found.len() >= MOST_DIRECTORIES {
                faults.error("directory", format!("has more than {MOST_DIRECTORIES} directories"));
                break;
            }
            let Some((directory, next)) = self.directory(at, found.len(), faults) else { break };
            let branches = directory.values(tag::SUB_IFDS).filter(|v| v.count <= 256);
            found.push(directory);
            for branch in branches.and_then(|v| self.numbers(v)).unwrap_or_default() {
                if seen.insert(branch)
                    && let Some((directory, _)) = self.directory(branch, found.len(), faults)
                {
                    found.push(directory);
                }
            }
            at = next;
        }
        found
    }

    fn directory(&self, at: u64, number: usize, faults: &mut Faults) -> Option<(Directory, u64)> {
        let (head, entry, word) = if self.big { (8, 20, 8) } else { (2, 12, 4) };
        let name = format!("directory {}", number + 1);
        let outside = |faults: &mut Faults| {
            faults.error(
                "directory",
                format!("{name} at byte {at} ends behind the end of the file, at {}", self.len),
            );
        };
        let Some(count) = self.bytes(at, head).map(|bytes| self.number(&bytes)) else {
            outside(faults);
            return None;
        };
        if count == 0 || count > MOST_TAGS {
            faults.error("directory", format!("{name} at byte {at} says it has {count} tags"));
            return None;
        }
        let Some(bytes) = self.bytes(at + head, count * entry + word) else {
            outside(faults);
            return None;
        };
        let (entries, next) = bytes.split_at((count * entry) as usize);
        let mut tags = Vec::new();
        let mut last = None;
        for (place, bytes) in entries.chunks_exact(entry as usize).enumerate() {
            let tag = self.number(&bytes[..2]) as u16;
            if last.is_some_and(|last| tag <= last) {
                faults.warning("tag-order", format!("{name}: {} is out of order", tag_name(tag)));
            }
            last = Some(tag);
            let here = at + head + place as u64 * entry;
            if let Some(values) = self.values(bytes, here, word, (&name, tag), faults) {
                tags.push((tag, values));
            }
        }
        let len = head + count * entry + word;
        let directory = self.image(at, len, number, tags, faults)?;
        Some((directory, self.number(next)))
    }

    /// The values of an entry, if they are in the file.
    fn values(
        &self,
        entry: &[u8],
        here: u64,
        word: u64,
        (name, tag): (&str, u16),
        faults: &mut Faults,
    ) -> Option<Values> {
        let kind = self.number(&entry[2..4]);
        let bytes = match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            _ => {
                let text = format!("{name}: {} is of the unknown type {kind}", tag_name(tag));
                faults.warning("tag-type", text);
                return None;
            }
        };
        let word = word as usize;
        let count = self.number(&entry[4..4 + word]);
        let len = count.checked_mul(bytes);
        let inline = len.is_some_and(|len| len <= word as u64);
        let at = if inline { here + 4 + word as u64 } else { self.number(&entry[4 + word..4 + 2 * word]) };
        let end = len.and_then(|len| at.checked_add(len)).filter(|end| *end <= self.len);
        if end.is_none() {
            let text = format!(
                "{name}: the {count} values of {} from byte {at} on end behind the end of the file, at {}",
                tag_name(tag),
                self.len
            );
            faults.error("tag-outside", text);
            return None;
        }
        Some(Values { at, bytes: bytes as u8, count, apart: !inline })
    }

    fn image(
        &self,
        at: u64,
        len: u64,
        number: usize,
        tags: Vec<(u16, Values)>,
        faults: &mut Faults,
    ) -> Option<Directory> {
        let find = |tag: u16| tags.iter().find(|(t, _)| *t == tag).map(|(_, values)| *values);
        let one = |tag: u16, missing: u64| {
            find(tag).filter(|v| v.count > 0).map_or(Some(missing), |v| {
                self.numbers(Values { count: 1, ..v }).and_then(|list| list.first().copied())
            })
        };
        let side = |tag: u16, missing: u64| {
            one(tag, missing).filter(|n| (1..=i32::MAX as u64).contains(n)).map(|n| n as usize)
        };
        let (Some(width), Some(height)) = (side(tag::WIDTH, 0), side(tag::HEIGHT, 0)) else {
            let told = |tag| one(tag, 0).map_or_else(|| "?".to_owned(), |n| n.to_string());
            let size = format!("{} × {}", told(tag::WIDTH), told(tag::HEIGHT));
            faults.error("directory", format!("directory {} has {size} pixels", number + 1));
            return None;
        };
        let size = Size::new(width, height);
        let tiled = find(tag::TILE_WIDTH).is_some();
        let block = if tiled {
            side(tag::TILE_WIDTH, 0).zip(side(tag::TILE_HEIGHT, 0)).map(|(w, h)| Size::new(w, h))
        } else {
            let rows = one(tag::STRIP_ROWS, u64::from(u32::MAX)).map(|n| n.min(height as u64) as usize);
            rows.filter(|n| *n > 0).map(|n| Size::new(width, n))
        };
        let Some(block) = block else {
            faults.error("directory", format!("directory {} has blocks without a size", number + 1));
            return None;
        };
        if tiled && (!block.width.is_multiple_of(16) || !block.height.is_multiple_of(16)) {
            let text = format!(
                "directory {}: tiles of {} × {} pixels, which are no multiples of 16",
                number + 1,
                block.width,
                block.height
            );
            faults.warning("block-size", text);
        }
        let (offsets, counts) = if tiled {
            (tag::TILE_OFFSETS, tag::TILE_COUNTS)
        } else {
            (tag::STRIP_OFFSETS, tag::STRIP_COUNTS)
        };
        let subfile = one(tag::SUBFILE_TYPE, 0).unwrap_or(0);
        let mut directory = Directory {
            at,
            len,
            number,
            reduced: subfile & 1 != 0,
            mask: subfile & 4 != 0,
            size,
            block,
            tiled,
            samples: one(tag::SAMPLES, 1).unwrap_or(1).clamp(1, 65_535) as usize,
            bits: one(tag::BITS, 1).unwrap_or(1).clamp(1, 1024) as usize,
            planar: one(tag::PLANAR, 1) == Some(2),
            compression: one(tag::COMPRESSION, 1).unwrap_or(1),
            photometric: one(tag::PHOTOMETRIC, 0).unwrap_or(0),
            offsets: find(offsets),
            counts: find(counts),
            tags,
        };
        Self::check_lists(&mut directory, (offsets, counts), faults);
        Some(directory)
    }

    /// Whether there are as many offsets and sizes as blocks.
    fn check_lists(directory: &mut Directory, tags: (u16, u16), faults: &mut Faults) {
        let expected = directory.count().unwrap_or(u64::MAX);
        let name = directory.name();
        let mut check = |values: Option<Values>, tag: u16| match values {
            Some(values) if values.count < expected => {
                let text =
                    format!("{name}: {} has {} values for {expected} blocks", tag_name(tag), values.count);
                faults.error("blocks", text);
                None
            }
            found => found,
        };
        let missing = (directory.offsets.is_none(), directory.counts.is_none());
        directory.offsets = check(directory.offsets, tags.0);
        directory.counts = check(directory.counts, tags.1);
        match missing {
            (true, _) => faults.error("blocks", format!("{name} does not say where its blocks are")),
            // The libraries that read it estimate them.
            (_, true) => faults.warning("blocks", format!("{name} does not say how large its blocks are")),
            _ => {}
        }
        if let (Some(offsets), Some(counts)) = (&mut directory.offsets, &mut directory.counts) {
            (offsets.count, counts.count) = (expected, expected);
        }
    }
}
