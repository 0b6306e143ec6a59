//! Where the blocks of a TIFF file lie: within the file, apart from each other, and as the header promises.

use std::os::unix::fs::FileExt;

use super::super::report::{Faults, Severity};
use super::directory::{Directory, Tiff, tag};

/// Where a block lies; nothing is stored for one of no bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub offset: u64,
    pub bytes: u64,
}

/// The blocks of an image, plane by plane, row by row.
#[derive(Debug, Clone, Default)]
pub(super) struct Extents {
    pub list: Vec<Extent>,
    /// Those that are not where they can be read.
    pub broken: Vec<usize>,
}

impl Extents {
    /// Whether a block is stored where it can be read.
    pub fn is_stored(&self, index: usize) -> bool {
        self.list.get(index).is_some_and(|e| e.bytes > 0) && self.broken.binary_search(&index).is_err()
    }

    /// The first block that is stored.
    pub fn first(&self) -> Option<Extent> {
        self.list.iter().copied().find(|e| e.bytes > 0)
    }
}

/// Column and row of a block, and its plane where there are several, for messages.
pub(super) fn block_name(directory: &Directory, index: usize) -> String {
    let blocks = directory.blocks();
    let (plane, place) = (index / (blocks.width * blocks.height), index % (blocks.width * blocks.height));
    let band = if directory.planes() > 1 { format!(" of band {}", plane + 1) } else { String::new() };
    format!("block {}, {}{band} of the {}", place % blocks.width, place / blocks.width, directory.name())
}

/// Reads where the blocks of an image are. `None` when the file does not say.
pub(super) fn extents(tiff: &Tiff<'_>, directory: &Directory, faults: &mut Faults) -> Option<Extents> {
    let (offsets, counts) = (directory.offsets?, directory.counts?);
    let (offsets, counts) = (tiff.numbers(offsets)?, tiff.numbers(counts)?);
    let mut found = Extents { list: Vec::with_capacity(offsets.len()), broken: Vec::new() };
    for (index, (offset, bytes)) in offsets.into_iter().zip(counts).enumerate() {
        // Without an offset nothing is stored; without bytes nothing is, either.
        let stored = offset != 0 && bytes != 0;
        let extent = if stored { Extent { offset, bytes } } else { Extent { offset: 0, bytes: 0 } };
        found.list.push(extent);
        if !stored {
            continue;
        }
        if offset.checked_add(bytes).is_none_or(|end| end > tiff.len) {
            found.broken.push(index);
            faults.add(Severity::Error, "block-outside", 1, || {
                let end = offset.saturating_add(bytes);
                let name = block_name(directory, index);
                format!("{name} should end at byte {end}, the file has {}", tiff.len)
            });
            continue;
        }
        let row = index / directory.blocks().width % directory.blocks().height;
        // Sub-sampled colours take less than their pixels.
        let plain = directory.compression == 1 && directory.photometric != 6;
        if let Some(expected) = directory.unpacked(row).filter(|n| plain && bytes < *n) {
            found.broken.push(index);
            faults.add(Severity::Error, "block-size", 1, || {
                format!("{} has {bytes} bytes of {expected}", block_name(directory, index))
            });
        }
    }
    Some(found)
}

/// What the header says about the layout of the file, as GDAL writes it behind the first bytes
/// (<https://gdal.org/drivers/raster/cog.html#header-ghost-area>).
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a promise that the header makes or does not make")]
pub(super) struct Ghost {
    /// The first byte behind it.
    pub end: u64,
    pub row_major: bool,
    pub leader: bool,
    pub trailer: bool,
    pub mask_interleaved: bool,
    /// Whether the file was changed in a way that broke the promises.
    pub edited: bool,
}

/// Reads it, if there is one.
pub(super) fn ghost(tiff: &Tiff<'_>) -> Option<Ghost> {
    const MARK: &[u8] = b"GDAL_STRUCTURAL_METADATA_SIZE=";
    let start = if tiff.big { 16 } else { 8 };
    let mut head = [0; 43];
    tiff.file.read_exact_at(&mut head, start).ok()?;
    let size = head.strip_prefix(MARK)?.first_chunk::<6>()?;
    let size: u64 = std::str::from_utf8(size).ok()?.parse().ok()?;
    let mut bytes = vec![0; size as usize];
    tiff.file.read_exact_at(&mut bytes, start + head.len() as u64).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let end = start + head.len() as u64 + size;
    Some(Ghost {
        // Directories begin at even places.
        end: end.next_multiple_of(2),
        row_major: text.contains("BLOCK_ORDER=ROW_MAJOR"),
        leader: text.contains("BLOCK_LEADER=SIZE_AS_UINT4"),
        trailer: text.contains("BLOCK_TRAILER=LAST_4_BYTES_REPEATED"),
        mask_interleaved: text.contains("MASK_INTERLEAVED_WITH_IMAGERY=YES"),
        edited: text.contains("KNOWN_INCOMPATIBLE_EDITION=YES"),
    })
}

/// Holds the blocks of an image against what the header promises.
pub(super) fn check_promises(
    tiff: &Tiff<'_>,
    ghost: &Ghost,
    (directory, extents): (&Directory, &Extents),
    mask: Option<&Extents>,
    broken: &mut Vec<String>,
) {
    let plane = directory.blocks().width * directory.blocks().height;
    let mut last = 0;
    for (index, extent) in extents.list.iter().enumerate() {
        // Too many of them say no more than some.
        if broken.len() >= 1000 {
            return;
        }
        if index.is_multiple_of(plane.max(1)) {
            last = 0;
        }
        let name = || block_name(directory, index);
        let masked = mask.and_then(|mask| mask.list.get(index % plane.max(1))).filter(|m| m.bytes > 0);
        if extent.bytes == 0 {
            // A block may be stored for the mask alone.
            let Some(masked) = masked.filter(|_| ghost.mask_interleaved) else { continue };
            if ghost.row_major && masked.offset < last {
                broken.push(format!("{}: its mask lies before the previous block", name()));
            }
            last = masked.offset;
            continue;
        }
        if ghost.row_major && extent.offset < last {
            broken.push(format!("{} lies before the previous block", name()));
        }
        last = extent.offset;
        if !extents.is_stored(index) {
            continue;
        }
        let Extent { offset, bytes } = *extent;
        let mut word = [0; 4];
        if ghost.leader {
            let read = offset.checked_sub(4).map(|at| tiff.file.read_exact_at(&mut word, at));
            let told = u32::from_le_bytes(word);
            if !matches!(read, Some(Ok(()))) || u64::from(told) != bytes {
                broken.push(format!("{}: the size before it is {told} instead of {bytes}", name()));
            }
        }
        if ghost.trailer && bytes >= 4 {
            let mut ends = [0; 8];
            let read = tiff.file.read_exact_at(&mut ends, offset + bytes - 4);
            if read.is_err() || ends[..4] != ends[4..] {
                broken.push(format!("{}: its last bytes are not repeated behind it", name()));
            }
        }
        if let Some(masked) = masked.filter(|_| ghost.mask_interleaved) {
            let gap = u64::from(ghost.leader) * 4 + u64::from(ghost.trailer) * 4;
            if masked.offset != offset + bytes + gap {
                broken.push(format!("{}: its mask does not follow it", name()));
            }
        }
    }
}

/// A part of the file that belongs to something: a directory, the values of a tag, or a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Region {
    start: u64,
    end: u64,
    /// The directory, and the block in it; `usize::MAX` for the directory itself and its tags.
    directory: usize,
    block: usize,
}

/// Bytes of the list of all regions, for each block.
pub(super) const PER_BLOCK: usize = size_of::<Region>() + 3 * size_of::<Extent>();

/// Finds blocks that lie over each other, or over a directory. Blocks that are stored once for several places are sound.
pub(super) fn check_overlaps(images: &[(Directory, Option<Extents>)], faults: &mut Faults) {
    const STRUCTURE: usize = usize::MAX;
    let mut regions = Vec::new();
    for (number, (directory, extents)) in images.iter().enumerate() {
        regions.push(Region {
            start: directory.at,
            end: directory.at + directory.len,
            directory: number,
            block: STRUCTURE,
        });
        for (tag, values) in directory.tags.iter().filter(|(_, values)| values.apart && values.len() > 0) {
            // Old files tell a table for JPEG inside of the blocks' bytes.
            if (512..=521).contains(tag) || *tag == tag::SUB_IFDS {
                continue;
            }
            let (start, end) = (values.at, values.at + values.len());
            regions.push(Region { start, end, directory: number, block: STRUCTURE });
        }
        let Some(extents) = extents else { continue };
        for (block, extent) in extents.list.iter().enumerate().filter(|(i, _)| extents.is_stored(*i)) {
            let (start, end) = (extent.offset, extent.offset + extent.bytes);
            regions.push(Region { start, end, directory: number, block });
        }
    }
    regions.sort_unstable();
    let mut furthest: Option<Region> = None;
    for region in regions {
        let Some(before) = furthest else {
            furthest = Some(region);
            continue;
        };
        let shared = (region.start, region.end) == (before.start, before.end);
        // Tags may share their values; whether directories make sense was seen when they were read.
        let structure = region.block == STRUCTURE && before.block == STRUCTURE;
        if region.start < before.end
            && !structure
            && (!shared || region.block == STRUCTURE || before.block == STRUCTURE)
        {
            faults.add(Severity::Error, "overlap", 1, || {
                let name = |region: Region| match region.block {
                    STRUCTURE => format!("directory {}", region.directory + 1),
                    block => block_name(&images[region.directory].0, block),
                };
                let Region { start, end, .. } = region;
                format!("{}, bytes {start} to {end}, lies over the {}", name(region), name(before))
            });
        }
        if region.end > before.end {
            furthest = Some(region);
        }
    }
}
