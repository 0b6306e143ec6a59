//! Where the blocks of a TIFF file lie and how they are packed: as much of the format as it takes to read the common
//! kinds of `GeoTIFF` block by block.
//!
//! Only what is understood in full is described; for everything else there is GDAL. The format is that of the
//! TIFF 6.0 specification, its supplement 1 (`Adobe Photoshop 6.0`, for DEFLATE) and 3 (floating-point predictor), and
//! of BigTIFF.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::block::SampleType;
use crate::window::Size;

/// Which byte of a number comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

/// How a block is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// Samples as they are.
    None,
    /// DEFLATE in a zlib envelope.
    Deflate,
    /// LZW, most significant bits first.
    Lzw,
    /// Zstandard frames.
    Zstd,
}

/// What was done to the samples of a row before it was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Predictor {
    /// Nothing.
    None,
    /// Each sample is the difference from the one of the pixel before.
    Horizontal,
    /// The bytes of floats are sorted by significance, then each is the difference from the one before.
    Float,
}

/// The place of a block in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub offset: u64,
    pub bytes: u64,
}

/// One image of a TIFF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    /// Whether it is a smaller version of another image.
    pub reduced: bool,
    /// Columns and rows.
    pub size: Size,
    /// Columns and rows of a block: a tile, or a strip.
    pub block: Size,
    /// Whether blocks are tiles, which are whole at the edges, too.
    pub tiled: bool,
    /// Samples of a pixel.
    pub bands: usize,
    /// Whether each band has blocks of its own.
    pub planar: bool,
    /// The type of every sample.
    pub sample_type: SampleType,
    pub compression: Compression,
    pub predictor: Predictor,
    pub order: ByteOrder,
    offsets: Values,
    counts: Values,
}

impl Image {
    /// Columns and rows of blocks.
    pub fn blocks(&self) -> Size {
        Size::new(self.size.width.div_ceil(self.block.width), self.size.height.div_ceil(self.block.height))
    }

    /// Samples of a pixel that lie in one block.
    pub fn block_bands(&self) -> usize {
        if self.planar { 1 } else { self.bands }
    }

    /// Rows of the blocks in a row of blocks: the last strip may have fewer.
    pub fn block_rows(&self, row: usize) -> usize {
        if self.tiled {
            self.block.height
        } else {
            self.block.height.min(self.size.height - (row * self.block.height).min(self.size.height))
        }
    }

    /// Bytes of a row of a block.
    pub fn row_bytes(&self) -> usize {
        self.block.width * self.block_bands() * self.sample_type.bytes()
    }

    /// Where the offsets of all blocks stand in the file, and where their sizes.
    pub fn tables(&self) -> [Table; 2] {
        [self.offsets, self.counts].map(|v| Table { at: v.at, bytes: v.bytes })
    }

    /// Where a block lies; `plane` is the band, counted from 0, when each has blocks of its own. A block that was never
    /// written has an extent of no bytes. `None` when the file ends before the number.
    pub fn extent(&self, file: &File, column: usize, row: usize, plane: usize) -> Option<Extent> {
        let blocks = self.blocks();
        let index = (plane * blocks.height + row) * blocks.width + column;
        let extent = Extent {
            offset: self.offsets.get(file, self.order, index)?,
            bytes: self.counts.get(file, self.order, index)?,
        };
        Some(if extent.offset == 0 || extent.bytes == 0 { Extent { offset: 0, bytes: 0 } } else { extent })
    }
}

/// Numbers that stand one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Table {
    /// Where the first of them stands.
    pub at: u64,
    /// Bytes of each.
    pub bytes: u8,
}

/// Numbers of a tag, where they stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Values {
    at: u64,
    bytes: u8,
    count: u64,
}

impl Values {
    fn get(&self, file: &File, order: ByteOrder, index: usize) -> Option<u64> {
        if index as u64 >= self.count {
            return None;
        }
        let at = self.at.checked_add(index as u64 * u64::from(self.bytes))?;
        let mut number = [0u8; 8];
        let number = &mut number[..usize::from(self.bytes)];
        file.read_exact_at(number, at).ok()?;
        Some(order.number(number))
    }
}

impl ByteOrder {
    /// The unsigned number of up to eight bytes.
    fn number(self, bytes: &[u8]) -> u64 {
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self {
            Self::Little => bytes.iter().rev().fold(0, add),
            Self::Big => bytes.iter().fold(0, add),
        }
    }
}

/// Bytes that are read at a time of what surrounds a number.
const PAGE: usize = 4096;

/// Reads the directories of a file. What belongs to one mostly lies together, so that it takes one request instead of one for
/// each number.
struct Number<'a> {
    order: ByteOrder,
    file: &'a File,
    /// Where the bytes that were read last begin, and these.
    page: RefCell<(u64, Vec<u8>)>,
}

impl<'a> Number<'a> {
    fn new(file: &'a File, order: ByteOrder) -> Self {
        Self { order, file, page: RefCell::default() }
    }

    /// An unsigned number of up to eight bytes.
    fn read(&self, at: u64, bytes: u8) -> Option<u64> {
        self.with(at, usize::from(bytes), |bytes| self.order.number(bytes))
    }

    /// Up to [`PAGE`] bytes of the file; `None` when it ends before.
    fn with<T>(&self, at: u64, length: usize, work: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let page = &mut *self.page.borrow_mut();
        let within = |(begin, bytes): &(u64, Vec<u8>)| {
            let from = usize::try_from(at.checked_sub(*begin)?).ok()?;
            from.checked_add(length).filter(|end| *end <= bytes.len()).map(|end| from..end)
        };
        if within(page).is_none() {
            page.0 = at;
            page.1.resize(PAGE, 0);
            let mut filled = 0;
            while filled < length {
                match self.file.read_at(&mut page.1[filled..], at.checked_add(filled as u64)?).ok()? {
                    0 => break,
                    more => filled += more,
                }
            }
            page.1.truncate(filled);
        }
        within(page).map(|range| work(&page.1[range]))
    }
}

/// Most directories that are looked at.
const MOST_IMAGES: usize = 64;

/// Most tags of a directory; real ones have a few dozen.
const MOST_TAGS: u64 = 512;

/// The first image of a file, or all of them. An image of a kind not understood is `None`; so is the list when
/// the file is no TIFF.
pub(super) fn images(file: &File, all: bool) -> Option<Vec<Option<Image>>> {
    let (number, big, first) = begin(file)?;
    let mut images = Vec::new();
    let mut at = first;
    while at != 0 && images.len() < if all { MOST_IMAGES } else { 1 } {
        let directory = Directory::read(&number, at, big)?;
        images.push(directory.image());
        at = directory.next;
    }
    Some(images)
}

/// Those of some tags that the first image has: their numbers, and type, count and values word for word, to tell whether they are the same
/// in another file of the same byte order. `None` when the file is no TIFF, and when one is longer than some thousand bytes.
pub(super) fn words(file: &File, tags: &[u64]) -> Option<Vec<(u64, Vec<u8>)>> {
    let (number, big, first) = begin(file)?;
    let directory = Directory::read(&number, first, big)?;
    let word = |tag: &Tag| {
        let length = usize::try_from(tag.values.count).ok()?.checked_mul(tag.values.bytes.into())?;
        let mut words: Vec<u8> =
            [number.order as u64, tag.kind, tag.values.count].iter().flat_map(|n| n.to_le_bytes()).collect();
        if length <= PAGE {
            number.with(tag.values.at, length, |bytes| words.extend_from_slice(bytes))?;
        }
        (length <= PAGE).then_some((tag.number, words))
    };
    directory.tags.iter().filter(|tag| tags.contains(&tag.number)).map(word).collect()
}

/// What reads the directories of a file, whether it is a BigTIFF, and where the first directory stands. `None` when it is no TIFF.
fn begin(file: &File) -> Option<(Number<'_>, bool, u64)> {
    let mut start = [0u8; 2];
    file.read_exact_at(&mut start, 0).ok()?;
    let order = match &start {
        b"II" => ByteOrder::Little,
        b"MM" => ByteOrder::Big,
        _ => return None,
    };
    let number = Number::new(file, order);
    let (big, first) = match number.read(2, 2)? {
        42 => (false, number.read(4, 4)?),
        43 if number.read(4, 2)? == 8 => (true, number.read(8, 8)?),
        _ => return None,
    };
    Some((number, big, first))
}

/// A tag of a directory.
struct Tag {
    number: u64,
    /// Number of the type of its values.
    kind: u64,
    values: Values,
}

struct Directory<'a> {
    number: &'a Number<'a>,
    tags: Vec<Tag>,
    next: u64,
}

/// The numbers of the tags that matter.
mod tag {
    pub const SUBFILE_TYPE: u64 = 254;
    pub const WIDTH: u64 = 256;
    pub const HEIGHT: u64 = 257;
    pub const BITS: u64 = 258;
    pub const COMPRESSION: u64 = 259;
    pub const PHOTOMETRIC: u64 = 262;
    pub const FILL_ORDER: u64 = 266;
    pub const STRIP_OFFSETS: u64 = 273;
    pub const BANDS: u64 = 277;
    pub const STRIP_ROWS: u64 = 278;
    pub const STRIP_COUNTS: u64 = 279;
    pub const PLANAR: u64 = 284;
    pub const PREDICTOR: u64 = 317;
    pub const TILE_WIDTH: u64 = 322;
    pub const TILE_HEIGHT: u64 = 323;
    pub const TILE_OFFSETS: u64 = 324;
    pub const TILE_COUNTS: u64 = 325;
    pub const SAMPLE_FORMAT: u64 = 339;
}

impl<'a> Directory<'a> {
    fn read(number: &'a Number<'a>, at: u64, big: bool) -> Option<Self> {
        let (head, entry, word) = if big { (8, 20, 8) } else { (2, 12, 4) };
        let count = number.read(at, head)?;
        if count > MOST_TAGS {
            return None;
        }
        let first = at.checked_add(u64::from(head))?;
        let mut tags = Vec::new();
        for k in 0..count {
            let here = first.checked_add(k * entry)?;
            let kind = number.read(here + 2, 2)?;
            let bytes = match kind {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                4 | 9 | 11 | 13 => 4,
                5 | 10 | 12 | 16 | 17 | 18 => 8,
                _ => continue,
            };
            let count = number.read(here + 4, word)?;
            let value = here + 4 + u64::from(word);
            let inline = count.checked_mul(u64::from(bytes))? <= u64::from(word);
            let at = if inline { value } else { number.read(value, word)? };
            tags.push(Tag { number: number.read(here, 2)?, kind, values: Values { at, bytes, count } });
        }
        let next = number.read(first.checked_add(count * entry)?, word)?;
        Some(Self { number, tags, next })
    }

    /// Where the unsigned numbers of a tag stand.
    fn values(&self, tag: u64) -> Option<Values> {
        let numbers = |t: &&Tag| t.number == tag && [1, 3, 4, 13, 16, 18].contains(&t.kind);
        self.tags.iter().find(numbers).map(|t| t.values)
    }

    /// The number of a tag that has one, or the same number several times.
    fn same(&self, tag: u64, missing: u64) -> Option<u64> {
        let Some(values) = self.values(tag) else { return Some(missing) };
        let get =
            |k: u64| self.number.read(values.at.checked_add(k * u64::from(values.bytes))?, values.bytes);
        let first = get(0).filter(|_| values.count > 0)?;
        (values.count <= 4096 && (1..values.count).all(|k| get(k) == Some(first))).then_some(first)
    }

    fn side(&self, tag: u64, missing: u64) -> Option<usize> {
        self.same(tag, missing).filter(|n| (1..=i32::MAX as u64).contains(n)).map(|n| n as usize)
    }

    fn image(&self) -> Option<Image> {
        let size = Size::new(self.side(tag::WIDTH, 0)?, self.side(tag::HEIGHT, 0)?);
        let tiled = self.values(tag::TILE_WIDTH).is_some();
        let (block, offsets, counts) = if tiled {
            let block = Size::new(self.side(tag::TILE_WIDTH, 0)?, self.side(tag::TILE_HEIGHT, 0)?);
            (block, tag::TILE_OFFSETS, tag::TILE_COUNTS)
        } else {
            let rows = self.same(tag::STRIP_ROWS, u64::from(u32::MAX))?.min(size.height as u64);
            (Size::new(size.width, rows as usize), tag::STRIP_OFFSETS, tag::STRIP_COUNTS)
        };
        // Black is zero, RGB or palette: what is stored is what is meant.
        let plain = (1..=3).contains(&self.same(tag::PHOTOMETRIC, 0)?) && self.same(tag::FILL_ORDER, 1)? == 1;
        let sample_type = sample_type(self.same(tag::SAMPLE_FORMAT, 1)?, self.same(tag::BITS, 1)?)?;
        let image = Image {
            reduced: self.same(tag::SUBFILE_TYPE, 0)? == 1,
            size,
            block,
            tiled,
            bands: self.side(tag::BANDS, 1).filter(|n| *n <= 4096)?,
            planar: match self.same(tag::PLANAR, 1)? {
                1 => false,
                2 => true,
                _ => return None,
            },
            sample_type,
            compression: match self.same(tag::COMPRESSION, 1)? {
                1 => Compression::None,
                5 => Compression::Lzw,
                8 | 32946 => Compression::Deflate,
                50_000 => Compression::Zstd,
                _ => return None,
            },
            predictor: predictor(self.same(tag::PREDICTOR, 1)?, sample_type)?,
            order: self.number.order,
            offsets: self.values(offsets)?,
            counts: self.values(counts)?,
        };
        let blocks = image.blocks();
        let planes = if image.planar { image.bands } else { 1 };
        let count = blocks.width.checked_mul(blocks.height)?.checked_mul(planes)? as u64;
        let listed = image.offsets.count >= count && image.counts.count >= count;
        let predicted = image.compression == Compression::None && image.predictor != Predictor::None;
        (plain && block.height > 0 && listed && !predicted).then_some(image)
    }
}

fn sample_type(format: u64, bits: u64) -> Option<SampleType> {
    Some(match (format, bits) {
        (1, 8) => SampleType::U8,
        (1, 16) => SampleType::U16,
        (1, 32) => SampleType::U32,
        (2, 8) => SampleType::I8,
        (2, 16) => SampleType::I16,
        (2, 32) => SampleType::I32,
        (3, 32) => SampleType::F32,
        (3, 64) => SampleType::F64,
        _ => return None,
    })
}

fn predictor(number: u64, sample_type: SampleType) -> Option<Predictor> {
    let float = matches!(sample_type, SampleType::F32 | SampleType::F64);
    match number {
        1 => Some(Predictor::None),
        // Not every libtiff knows differences of eight bytes.
        2 if sample_type.bytes() <= 4 => Some(Predictor::Horizontal),
        3 if float => Some(Predictor::Float),
        _ => None,
    }
}
