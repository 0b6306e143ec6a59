//! Where everything goes in the database: a table with the bytes of tiles, a tree with their addresses.
//!
//! `SQLite` itself makes the schema and the metadata. Appended to its pages are, in this order: the leaves of the table,
//! each followed by the overflow pages of its rows; the leaves of the address tree; the interior pages of both. The roots
//! take the places that the schema names.

use super::btree::{
    Kind, OVERFLOW, PAGE, POINTER, Page, Short, Value, child, divided, grouped, local, page_number,
    page_ordinal, record,
};
use crate::assemble::Layout;
use crate::error::Result;
use crate::sink::spool::Sorted;

/// What `SQLite` made.
pub(super) struct Head {
    /// Its pages.
    pub(super) bytes: Vec<u8>,
    /// The page where the table begins whose rows are tiles.
    pub(super) table_root: u64,
    /// The page where the tree of addresses begins.
    pub(super) address_root: u64,
}

/// Which row of the table has the bytes of a tile.
pub(super) enum Rows {
    /// Each tile has a row with its address: the n-th tile the n-th.
    Own,
    /// Equal tiles share a row.
    Shared {
        /// The row of each tile, from 1 on.
        of_tile: Vec<u32>,
        /// A tile that each row stands for.
        of_row: Vec<u32>,
    },
}

impl Rows {
    /// Rows in the order in which tiles first need them.
    pub(super) fn of(tiles: &Sorted) -> Self {
        if tiles.distinct() == tiles.len() {
            return Self::Own;
        }
        let mut of_content = vec![0u32; tiles.distinct()];
        let mut of_row = Vec::with_capacity(tiles.distinct());
        let mut of_tile = Vec::with_capacity(tiles.len());
        for index in 0..tiles.len() {
            let row = &mut of_content[tiles.tile(index).content as usize];
            if *row == 0 {
                of_row.push(index as u32);
                *row = of_row.len() as u32;
            }
            of_tile.push(*row);
        }
        Self::Shared { of_tile, of_row }
    }

    /// The row of a tile, from 1 on.
    fn row(&self, tile: usize) -> u64 {
        match self {
            Self::Own => tile as u64 + 1,
            Self::Shared { of_tile, .. } => of_tile[tile].into(),
        }
    }

    /// The tile of the n-th row, from 0 on.
    fn tile(&self, row: usize) -> usize {
        match self {
            Self::Own => row,
            Self::Shared { of_row, .. } => of_row[row] as usize,
        }
    }
}

/// The leaf of the table.
#[derive(Debug, Clone, Copy)]
struct Leaf {
    /// Its first row, from 0 on.
    row: u32,
    /// The ordinal of the first overflow page of its rows; its own is the one before.
    chain: u64,
}

/// The database as what its pages are.
pub(super) struct Database<'a> {
    tiles: &'a Sorted,
    rows: Rows,
    head: Vec<u8>,
    leaves: Vec<Leaf>,
    /// First tile of each leaf of the address tree, and the end of the last.
    addresses: Vec<std::ops::Range<usize>>,
    /// The ordinal of the first of these.
    address_start: u64,
    /// Interior pages, and the ordinal of the first.
    interior: Vec<u8>,
    interior_start: u64,
}

/// A page of a level of a tree, as the level above sees it.
struct Node {
    ordinal: u64,
    /// Of a table: the last row below. Of addresses: the tile that stands between this page and the next.
    key: usize,
}

impl<'a> Database<'a> {
    /// Lays a database out.
    ///
    /// # Errors
    /// Those of reading the tiles of a table so small that its root is a leaf.
    pub(super) fn new(tiles: &'a Sorted, rows: Rows, head: Head) -> Result<Self> {
        let Head { bytes, table_root, address_root } = head;
        let mut database = Self {
            tiles,
            rows,
            address_start: (bytes.len() / PAGE) as u64,
            head: bytes,
            leaves: Vec::new(),
            addresses: Vec::new(),
            interior: Vec::new(),
            interior_start: 0,
        };
        database.place_rows();
        database.place_addresses();
        database.make_table(table_root)?;
        database.make_addresses(address_root);
        let count = database.pages() as u32;
        database.head[28..32].copy_from_slice(&count.to_be_bytes());
        Ok(database)
    }

    /// Pages of the file; more than 2³² − 2 are no database.
    pub(super) fn pages(&self) -> u64 {
        page_number(self.interior_start + (self.interior.len() / PAGE) as u64 - 1)
    }

    fn row_count(&self) -> usize {
        self.tiles.distinct()
    }

    /// The beginning of a row's cell, the record in it without the tile's bytes, and the length of its payload.
    fn cell(&self, row: usize) -> (Short, Short, usize) {
        let tile = self.rows.tile(row);
        let len = self.tiles.tile(tile).len;
        let record = match self.rows {
            Rows::Own => {
                let [z, x, y] = self.address(tile);
                record(&[z, x, y, Value::Blob(len)])
            }
            Rows::Shared { .. } => record(&[Value::Null, Value::Blob(len)]),
        };
        let payload = record.as_slice().len() + len as usize;
        let mut start = Short::default();
        start.varint(payload as u64);
        start.varint(row as u64 + 1);
        (start, record, payload)
    }

    fn address(&self, tile: usize) -> [Value; 3] {
        let coord = self.tiles.coord(tile);
        [coord.z.into(), coord.x.into(), coord.tms_y().into()].map(Value::Integer)
    }

    /// The cell of a tile's address.
    fn address_cell(&self, tile: usize) -> Short {
        let [z, x, y] = self.address(tile);
        let record = record(&[z, x, y, Value::Integer(self.rows.row(tile))]);
        let mut cell = Short::default();
        cell.varint(record.as_slice().len() as u64);
        cell.extend(record.as_slice());
        cell
    }

    fn place_rows(&mut self) {
        let mut next = self.address_start;
        let mut used = usize::MAX / 2;
        for row in 0..self.row_count() {
            let (start, _, payload) = self.cell(row);
            let local = local(payload);
            let pages = (payload - local).div_ceil(OVERFLOW);
            let size = start.as_slice().len() + local + if pages > 0 { 4 } else { 0 } + POINTER;
            if used + size > Kind::TableLeaf.room() {
                next += 1;
                self.leaves.push(Leaf { row: row as u32, chain: next });
                used = 0;
            }
            used += size;
            next += pages as u64;
        }
        if let [only] = self.leaves.as_mut_slice() {
            // The root is the leaf.
            only.chain -= 1;
            next -= 1;
        }
        self.address_start = next;
    }

    fn place_addresses(&mut self) {
        let size = |tile| self.address_cell(tile).as_slice().len() + POINTER;
        self.addresses = divided(self.tiles.len(), Kind::IndexLeaf.room(), size);
        let single = self.addresses.len() == 1;
        self.interior_start = self.address_start + if single { 0 } else { self.addresses.len() as u64 };
    }

    /// The rows of a leaf.
    fn rows_of(&self, leaf: usize) -> std::ops::Range<usize> {
        let end = self.leaves.get(leaf + 1).map_or(self.row_count(), |next| next.row as usize);
        self.leaves[leaf].row as usize..end
    }

    /// Adds an interior page and returns its ordinal.
    fn add_interior(&mut self, page: &[u8]) -> u64 {
        let ordinal = self.interior_start + (self.interior.len() / PAGE) as u64;
        self.interior.extend_from_slice(page);
        ordinal
    }

    fn set_root(&mut self, number: u64, page: &[u8]) {
        self.head[(number as usize - 1) * PAGE..][..PAGE].copy_from_slice(page);
    }

    /// The pages above the leaves of the table.
    fn make_table(&mut self, root: u64) -> Result<()> {
        let mut page = [0; PAGE];
        if self.leaves.len() == 1 {
            self.fill_leaf(0, &mut Window { at: 0, bytes: &mut [] }, Some(&mut page), &mut Vec::new())?;
            self.set_root(root, &page);
            return Ok(());
        }
        let leaf =
            |index: usize| Node { ordinal: self.leaves[index].chain - 1, key: self.rows_of(index).end };
        let mut level: Vec<Node> = (0..self.leaves.len()).map(leaf).collect();
        let cell = |node: &Node| {
            let mut cell = Short::default();
            cell.extend(&child(page_number(node.ordinal)));
            cell.varint(node.key as u64);
            cell
        };
        while level.len() > 1 {
            let size = |index: usize| cell(&level[index]).as_slice().len() + POINTER;
            let groups = grouped(level.len(), Kind::TableInterior.room(), size);
            let mut above = Vec::new();
            for group in &groups {
                let (last, others) = (&level[group.end - 1], &level[group.start..group.end - 1]);
                let mut filled = Page::new(&mut page, Kind::TableInterior);
                for node in others {
                    filled.push(&[cell(node).as_slice()]);
                }
                filled.right_most(page_number(last.ordinal));
                if groups.len() == 1 {
                    self.set_root(root, &page);
                    return Ok(());
                }
                above.push(Node { ordinal: self.add_interior(&page), key: last.key });
            }
            level = above;
        }
        Ok(())
    }

    /// The pages above the leaves of the address tree.
    fn make_addresses(&mut self, root: u64) {
        let mut page = [0; PAGE];
        if self.addresses.len() == 1 {
            self.fill_addresses(0, &mut page);
            self.set_root(root, &page);
            return;
        }
        let start = self.address_start;
        let node = |(index, range): (usize, &std::ops::Range<usize>)| Node {
            ordinal: start + index as u64,
            key: range.end,
        };
        let mut level: Vec<Node> = self.addresses.iter().enumerate().map(node).collect();
        loop {
            // Between so many children stand one less addresses.
            let size = |index: usize| self.address_cell(level[index].key).as_slice().len() + 4 + POINTER;
            let groups = divided(level.len() - 1, Kind::IndexInterior.room(), size);
            let mut above = Vec::new();
            for group in &groups {
                let mut filled = Page::new(&mut page, Kind::IndexInterior);
                for node in &level[group.clone()] {
                    filled.push(&[&child(page_number(node.ordinal)), self.address_cell(node.key).as_slice()]);
                }
                let last = &level[group.end];
                filled.right_most(page_number(last.ordinal));
                if groups.len() == 1 {
                    self.set_root(root, &page);
                    return;
                }
                above.push(Node { ordinal: self.add_interior(&page), key: last.key });
            }
            level = above;
        }
    }

    /// Fills a leaf of the address tree.
    fn fill_addresses(&self, leaf: usize, page: &mut [u8]) {
        let mut page = Page::new(page, Kind::IndexLeaf);
        for tile in self.addresses[leaf].clone() {
            page.push(&[self.address_cell(tile).as_slice()]);
        }
    }

    /// Fills those pages of a leaf of the table and of its rows that lie in a window; the leaf itself into `own` if given.
    fn fill_leaf(
        &self,
        leaf: usize,
        window: &mut Window<'_>,
        own: Option<&mut [u8]>,
        spare: &mut Vec<u8>,
    ) -> Result<()> {
        let mut next = self.leaves[leaf].chain;
        let mut own_bytes = [0; PAGE];
        let wanted = own.is_some() || window.page(next - 1).is_some();
        let mut filled = Page::new(&mut own_bytes, Kind::TableLeaf);
        for row in self.rows_of(leaf) {
            let (start, record, payload) = self.cell(row);
            let head = local(payload) - record.as_slice().len();
            let pages = (payload - local(payload)).div_ceil(OVERFLOW) as u64;
            let chain = next;
            next += pages;
            if !wanted && !window.touches(chain..next) {
                continue;
            }
            let tile = self.rows.tile(row);
            spare.resize(self.tiles.tile(tile).len as usize, 0);
            self.tiles.read(tile, spare)?;
            let (head, rest) = spare.split_at(head);
            let first = child(page_number(chain));
            let pointer: &[u8] = if pages > 0 { &first } else { &[] };
            if wanted {
                filled.push(&[start.as_slice(), record.as_slice(), head, pointer]);
            }
            for (ordinal, part) in (chain..next).zip(rest.chunks(OVERFLOW)) {
                if let Some(page) = window.page(ordinal) {
                    let follows = if ordinal + 1 < next { page_number(ordinal + 1) } else { 0 };
                    page[..4].copy_from_slice(&child(follows));
                    page[4..][..part.len()].copy_from_slice(part);
                    page[4 + part.len()..].fill(0);
                }
            }
        }
        if let Some(page) = own.or_else(|| window.page(self.leaves[leaf].chain - 1)) {
            page.copy_from_slice(&own_bytes);
        }
        Ok(())
    }
}

/// The pages of a region.
struct Window<'a> {
    at: u64,
    bytes: &'a mut [u8],
}

impl Window<'_> {
    /// The page with an ordinal, if it is here.
    fn page(&mut self, ordinal: u64) -> Option<&mut [u8]> {
        let start = ((page_number(ordinal) - 1) * PAGE as u64).checked_sub(self.at)?;
        let start = usize::try_from(start).ok()?;
        self.bytes.get_mut(start..start + PAGE)
    }

    /// The ordinals of its pages.
    fn ordinals(&self) -> std::ops::Range<u64> {
        let first = self.at / PAGE as u64 + 1;
        page_ordinal(first)..page_ordinal(first + (self.bytes.len() / PAGE) as u64)
    }

    fn touches(&self, ordinals: std::ops::Range<u64>) -> bool {
        let own = self.ordinals();
        ordinals.start < own.end && own.start < ordinals.end
    }
}

impl Layout for Database<'_> {
    fn size(&self) -> u64 {
        self.pages() * PAGE as u64
    }

    fn fill(&self, at: u64, bytes: &mut [u8], spare: &mut Vec<u8>) -> Result<()> {
        let mut window = Window { at, bytes };
        let ordinals = window.ordinals();
        let pages = (window.bytes.len() / PAGE) as u64;
        if ordinals.end - ordinals.start < pages {
            // The page that is left out is among them.
            window.bytes.fill(0);
        }
        let first = self.leaves.partition_point(|leaf| leaf.chain - 1 <= ordinals.start).saturating_sub(1);
        for leaf in first..self.leaves.len() {
            if self.leaves[leaf].chain > ordinals.end {
                break;
            }
            self.fill_leaf(leaf, &mut window, None, spare)?;
        }
        for ordinal in ordinals {
            let Some(page) = window.page(ordinal) else { continue };
            let made = |pages: &[u8], ordinal: u64, page: &mut [u8]| {
                page.copy_from_slice(&pages[ordinal as usize * PAGE..][..PAGE]);
            };
            if ordinal < (self.head.len() / PAGE) as u64 {
                made(&self.head, ordinal, page);
            } else if ordinal >= self.interior_start {
                made(&self.interior, ordinal - self.interior_start, page);
            } else if ordinal >= self.address_start {
                self.fill_addresses((ordinal - self.address_start) as usize, page);
            }
        }
        Ok(())
    }
}
