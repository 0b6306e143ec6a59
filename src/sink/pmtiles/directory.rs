//! Directories of an archive: the root, and leaves when the root would be too large.

use std::io;

use super::gzip;

/// Fewer entries than this are first tried in a root without leaves.
const ROOT_ENTRIES: usize = 16_384;

/// Least entries of a leaf.
const LEAF_ENTRIES: usize = 4096;

/// Most leaves, about, that fit a root.
const LEAVES: usize = 3500;

/// A directory entry, section 4 of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The first tile's id.
    pub(super) id: u64,
    /// Where its bytes begin in their section.
    pub(super) offset: u64,
    /// Their number.
    pub(super) len: u32,
    /// How many tiles in a row have them; 0 for a leaf.
    pub(super) run: u32,
}

/// All directories, packed.
#[derive(Debug)]
pub(super) struct Directories {
    pub(super) root: Vec<u8>,
    /// Empty when the root needs none.
    pub(super) leaves: Vec<u8>,
}

impl Directories {
    /// Packs entries in ascending order so that the root has at most `limit` bytes.
    ///
    /// # Errors
    /// None that memory does not cause.
    pub(super) fn new(entries: &[Entry], limit: usize) -> io::Result<Self> {
        if entries.len() < ROOT_ENTRIES {
            let root = gzip(&serialised(entries))?;
            if root.len() <= limit {
                return Ok(Self { root, leaves: Vec::new() });
            }
        }
        let mut size = (entries.len() / LEAVES).max(LEAF_ENTRIES);
        loop {
            let (mut pointers, mut leaves) = (Vec::new(), Vec::new());
            for part in entries.chunks(size) {
                let leaf = gzip(&serialised(part))?;
                pointers.push(Entry {
                    id: part[0].id,
                    offset: leaves.len() as u64,
                    len: leaf.len() as u32,
                    run: 0,
                });
                leaves.extend(leaf);
            }
            let root = gzip(&serialised(&pointers))?;
            if root.len() <= limit {
                return Ok(Self { root, leaves });
            }
            size += size / 5;
        }
    }
}

/// Entries column by column, section 4.2 of the specification.
fn serialised(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * 6 + 10);
    varint(&mut bytes, entries.len() as u64);
    let mut last = 0;
    for entry in entries {
        varint(&mut bytes, entry.id - last);
        last = entry.id;
    }
    for entry in entries {
        varint(&mut bytes, entry.run.into());
    }
    for entry in entries {
        varint(&mut bytes, entry.len.into());
    }
    let mut next = None;
    for entry in entries {
        // 0 stands for the end of the entry before.
        varint(&mut bytes, if next == Some(entry.offset) { 0 } else { entry.offset + 1 });
        next = Some(entry.offset + u64::from(entry.len));
    }
    bytes
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_differences_and_leave_out_offsets_that_follow() {
        let entry = |id, offset, len, run| Entry { id, offset, len, run };
        let bytes = serialised(&[entry(5, 0, 300, 1), entry(7, 300, 2, 3), entry(200, 0, 300, 1)]);
        let expected = [3, 5, 2, 0xc1, 1, 1, 3, 1, 0xac, 2, 2, 0xac, 2, 1, 0, 1];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn leaves_grow_until_the_root_fits() {
        // Lengths that no compression predicts, so that roots stay large.
        let mut state = 1u64;
        let mut entries = Vec::new();
        for id in 0..60_000u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            entries.push(Entry { id: id * 3, offset: state >> 20, len: (state >> 40) as u32, run: 1 });
        }
        let ample = Directories::new(&entries, 16_257).expect("packed");
        assert!(!ample.leaves.is_empty());
        let tight = Directories::new(&entries, ample.root.len() - 10).expect("packed");
        assert!(tight.root.len() < ample.root.len() && !tight.leaves.is_empty());
    }
}
