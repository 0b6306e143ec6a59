//! Pages of an SQLite database (<https://www.sqlite.org/fileformat2.html>): records, cells, and how many of them a page
//! takes.
//!
//! All rows are known in their order before the first is written. So a tree is laid out from its leaves upward, every
//! page full, and each page can be made on its own.

use std::ops::Range;

/// Bytes of a page: what every reader is used to, and what wastes least behind the last byte of a tile.
pub(super) const PAGE: usize = 4096;

/// Bytes of an overflow page that hold content: the first four are the number of the next.
pub(super) const OVERFLOW: usize = PAGE - 4;

/// The page with the byte that `SQLite` locks; it holds nothing, ever.
const LOCK_PAGE: u64 = (1 << 30) / PAGE as u64 + 1;

/// The number of the page that is the `ordinal`-th to hold something, from 0 on.
pub(super) fn page_number(ordinal: u64) -> u64 {
    if ordinal + 1 < LOCK_PAGE { ordinal + 1 } else { ordinal + 2 }
}

/// The opposite of [`page_number`], for the first page at or after a number.
pub(super) fn page_ordinal(number: u64) -> u64 {
    if number <= LOCK_PAGE { number - 1 } else { number - 2 }
}

/// Kinds of pages, section 1.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    IndexInterior = 2,
    TableInterior = 5,
    IndexLeaf = 10,
    TableLeaf = 13,
}

impl Kind {
    const fn header(self) -> usize {
        match self {
            Self::IndexInterior | Self::TableInterior => 12,
            Self::IndexLeaf | Self::TableLeaf => 8,
        }
    }

    /// Bytes for cells and the pointers to them.
    pub(super) const fn room(self) -> usize {
        PAGE - self.header()
    }
}

/// Bytes of the pointer to a cell.
pub(super) const POINTER: usize = 2;

/// A page that is being filled with cells.
pub(super) struct Page<'a> {
    bytes: &'a mut [u8],
    header: usize,
    cells: usize,
    top: usize,
}

impl<'a> Page<'a> {
    /// An empty page in `bytes`, which hold anything.
    pub(super) fn new(bytes: &'a mut [u8], kind: Kind) -> Self {
        bytes.fill(0);
        bytes[0] = kind as u8;
        Self { bytes, header: kind.header(), cells: 0, top: PAGE }
    }

    /// Adds a cell that is put together from parts; cells come in ascending order.
    pub(super) fn push(&mut self, parts: &[&[u8]]) {
        self.top -= parts.iter().map(|part| part.len()).sum::<usize>();
        let pointer = self.header + POINTER * self.cells;
        self.bytes[pointer..][..POINTER].copy_from_slice(&(self.top as u16).to_be_bytes());
        let mut at = self.top;
        for part in parts {
            self.bytes[at..][..part.len()].copy_from_slice(part);
            at += part.len();
        }
        self.cells += 1;
        self.bytes[3..5].copy_from_slice(&(self.cells as u16).to_be_bytes());
        self.bytes[5..7].copy_from_slice(&(self.top as u16).to_be_bytes());
    }

    /// Notes the right-most child of an interior page.
    pub(super) fn right_most(&mut self, page: u64) {
        self.bytes[8..12].copy_from_slice(&child(page));
    }
}

/// The number of a page as cells hold it; the layout has made sure that it fits.
pub(super) fn child(page: u64) -> [u8; 4] {
    (page as u32).to_be_bytes()
}

/// A few bytes: the beginning of a cell or of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Short {
    bytes: [u8; 48],
    len: usize,
}

impl Default for Short {
    fn default() -> Self {
        Self { bytes: [0; 48], len: 0 }
    }
}

impl Short {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.bytes[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Adds an integer of seven bits a byte, the highest first. For values below 2⁵⁶, which all here are.
    pub(super) fn varint(&mut self, value: u64) {
        let groups = (64 - (value | 1).leading_zeros()).div_ceil(7);
        for group in (0..groups).rev() {
            let more = if group > 0 { 0x80 } else { 0 };
            self.extend(&[(value >> (7 * group)) as u8 & 0x7f | more]);
        }
    }
}

/// A value of a record, section 2.1.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    Null,
    /// Below 2⁴⁷.
    Integer(u64),
    /// The length of a blob, whose bytes follow the record.
    Blob(u32),
}

impl Value {
    /// The type as the record's header names it, and how many bytes of its body an integer takes.
    fn serial(self) -> (u64, usize) {
        match self {
            Self::Null => (0, 0),
            Self::Integer(value @ 0..=1) => (8 + value, 0),
            Self::Integer(value) => match 65 - value.leading_zeros() {
                0..=8 => (1, 1),
                9..=16 => (2, 2),
                17..=24 => (3, 3),
                25..=32 => (4, 4),
                _ => (5, 6),
            },
            Self::Blob(len) => (12 + 2 * u64::from(len), 0),
        }
    }
}

/// A record without the bytes of the blob at its end.
pub(super) fn record(values: &[Value]) -> Short {
    let mut types = Short::default();
    let mut body = Short::default();
    for value in values {
        let (serial, len) = value.serial();
        types.varint(serial);
        if let Value::Integer(value) = value {
            body.extend(&value.to_be_bytes()[8 - len..]);
        }
    }
    let mut record = Short::default();
    record.varint(types.len as u64 + 1);
    record.extend(types.as_slice());
    record.extend(body.as_slice());
    record
}

/// How many bytes of a payload lie in a table's leaf; the others are in overflow pages. Section 1.6, with its letters.
pub(super) fn local(p: usize) -> usize {
    let u = PAGE;
    let x = u - 35;
    let m = (u - 12) * 32 / 255 - 23;
    let k = m + p.saturating_sub(m) % (u - 4);
    if p <= x {
        p
    } else if k <= x {
        k
    } else {
        m
    }
}

/// Divides `count` items over pages with room for so many bytes: between one page and the next, one item is left out to
/// stand in the page above. No page is empty.
pub(super) fn divided(count: usize, room: usize, size: impl Fn(usize) -> usize) -> Vec<Range<usize>> {
    let mut pages: Vec<Range<usize>> = Vec::new();
    let (mut start, mut used) = (0, 0);
    for item in 0..count {
        let size = size(item);
        if used + size > room {
            pages.push(start..item);
            (start, used) = (item + 1, 0);
        } else {
            used += size;
        }
    }
    if start < count {
        pages.push(start..count);
    } else if let Some(last) = pages.last_mut() {
        // The last item was left out: the one before it is, in its place.
        last.end -= 1;
        pages.push(count - 1..count);
    }
    pages
}

/// Divides `count` children over interior pages with room for so many bytes: the cell of a page's last child takes none. No
/// page has a single child, unless there is but one.
pub(super) fn grouped(count: usize, room: usize, size: impl Fn(usize) -> usize) -> Vec<Range<usize>> {
    let mut pages: Vec<Range<usize>> = Vec::new();
    let (mut start, mut used) = (0, 0);
    for item in 0..count {
        let size = size(item);
        if used + size > room {
            pages.push(start..item + 1);
            (start, used) = (item + 1, 0);
        } else {
            used += size;
        }
    }
    if start < count {
        if let Some(last) = pages.last_mut()
            && start + 1 == count
        {
            last.end -= 1;
            start -= 1;
        }
        pages.push(start..count);
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_that_sqlite_locks_is_left_out() {
        let last = (1 << 30) / 4096 - 1;
        assert_eq!([0, last, last + 1].map(page_number), [1, last + 1, last + 3]);
        for ordinal in [0, 5, last, last + 1, last + 2] {
            assert_eq!(page_ordinal(page_number(ordinal)), ordinal);
        }
        assert_eq!(page_ordinal(LOCK_PAGE), page_ordinal(LOCK_PAGE + 1));
    }

    #[test]
    fn varints_have_the_highest_bits_first() {
        let varint = |value| {
            let mut short = Short::default();
            short.varint(value);
            short.as_slice().to_vec()
        };
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(127), [0x7f]);
        assert_eq!(varint(128), [0x81, 0]);
        assert_eq!(varint(0x20_0000), [0x81, 0x80, 0x80, 0]);
    }

    #[test]
    fn integers_take_as_few_bytes_as_their_sign_allows() {
        let one = |value| record(&[Value::Integer(value)]).as_slice().to_vec();
        assert_eq!(one(0), [2, 8]);
        assert_eq!(one(1), [2, 9]);
        assert_eq!(one(127), [2, 1, 127]);
        assert_eq!(one(128), [2, 2, 0, 128]);
        assert_eq!(one(40_000), [2, 3, 0, 156, 64]);
        assert_eq!(one(1 << 23), [2, 4, 0, 128, 0, 0]);
        assert_eq!(one(1 << 31), [2, 5, 0, 0, 128, 0, 0, 0]);
    }

    #[test]
    fn no_page_is_empty_and_every_item_has_one_place() {
        for count in 0..60 {
            let pages = divided(count, 10, |item| 2 + item % 3);
            let inside: usize = pages.iter().map(Range::len).sum();
            assert_eq!(inside + pages.len().saturating_sub(1), count);
            assert!(pages.iter().all(|page| !page.is_empty()));
            assert!(pages.windows(2).all(|pair| pair[0].end + 1 == pair[1].start));
            let pages = grouped(count, 10, |item| 2 + item % 3);
            assert_eq!(pages.iter().map(Range::len).sum::<usize>(), count);
            assert!(pages.iter().all(|page| page.len() > 1) || count == 1);
            assert!(pages.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }
}
