//! Directories of an archive, unpacked and held against what the specification promises.

use crate::grid::MAX_ZOOM;
use crate::order::tiles_above;

/// A directory entry, section 4 of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The first tile's id.
    pub(crate) id: u64,
    /// Where its bytes begin in their section.
    pub(crate) offset: u64,
    /// Their number.
    pub(crate) len: u32,
    /// How many tiles in a row have them; 0 for a leaf.
    pub(crate) run: u32,
}

impl Entry {
    /// The id behind the last of its tiles; behind the first of a leaf.
    pub(crate) fn end(&self) -> u64 {
        self.id.saturating_add(self.run.max(1).into())
    }
}

/// Sizes of the sections that entries point into.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sections {
    pub(crate) tiles: u64,
    pub(crate) leaves: u64,
}

/// Reads a directory, column by column (section 4.2).
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse(bytes: &[u8], sections: Sections) -> Result<Vec<Entry>, String> {
    let mut rest = bytes;
    let count = varint(&mut rest)?;
    // An entry takes at least four bytes: nothing larger is believed.
    if count == 0 || count > bytes.len() as u64 / 4 {
        return Err(format!("it says it has {count} entries in {} bytes", bytes.len()));
    }
    let mut entries = vec![Entry { id: 0, offset: 0, len: 0, run: 0 }; count as usize];
    let mut id = 0u64;
    for entry in &mut entries {
        id = id.checked_add(varint(&mut rest)?).ok_or("an id is too large")?;
        entry.id = id;
    }
    for entry in &mut entries {
        entry.run = short(&mut rest)?;
    }
    for entry in &mut entries {
        entry.len = short(&mut rest)?;
    }
    let mut next = None;
    for entry in &mut entries {
        entry.offset = match (varint(&mut rest)?, next) {
            (0, Some(next)) => next,
            (0, None) => return Err("its first entry follows none".to_owned()),
            (offset, _) => offset - 1,
        };
        next = Some(entry.offset.checked_add(entry.len.into()).ok_or("an offset is too large")?);
    }
    if !rest.is_empty() {
        return Err(format!("it has {} bytes behind its entries", rest.len()));
    }
    check(&entries, sections).map(|()| entries)
}

/// Ids ascend, stay within the deepest level, and point to bytes that are there.
fn check(entries: &[Entry], sections: Sections) -> Result<(), String> {
    for pair in entries.windows(2) {
        if pair[1].id < pair[0].end() {
            return Err(format!("tile id {} comes twice or out of order", pair[1].id));
        }
    }
    for entry in entries {
        let (what, section) =
            if entry.run == 0 { ("leaf directory", sections.leaves) } else { ("tile", sections.tiles) };
        if entry.len == 0 {
            return Err(format!("the {what} at id {} has no bytes", entry.id));
        }
        if entry.end() > tiles_above(MAX_ZOOM + 1) {
            return Err(format!("tile id {} is below zoom level {MAX_ZOOM}", entry.id));
        }
        if entry.offset + u64::from(entry.len) > section {
            return Err(format!(
                "the {what} at id {} should be at bytes {} to {} of its section, which ends at {section}",
                entry.id,
                entry.offset,
                entry.offset + u64::from(entry.len)
            ));
        }
    }
    Ok(())
}

fn short(rest: &mut &[u8]) -> Result<u32, String> {
    u32::try_from(varint(rest)?).map_err(|_| "a length is too large".to_owned())
}

/// A number in groups of seven bits, the lowest first.
fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let Some((byte, after)) = rest.split_first() else { return Err("it ends too early".to_owned()) };
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTIONS: Sections = Sections { tiles: 1000, leaves: 100 };

    #[test]
    fn columns_hold_differences_and_leave_out_offsets_that_follow() {
        let entry = |id, offset, len, run| Entry { id, offset, len, run };
        let bytes = [3, 5, 2, 0xc1, 1, 1, 3, 1, 0xac, 2, 2, 0xac, 2, 1, 0, 1];
        let expected = [entry(5, 0, 300, 1), entry(7, 300, 2, 3), entry(200, 0, 300, 1)];
        assert_eq!(parse(&bytes, SECTIONS).as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn every_directory_that_was_cut_off_is_refused() {
        let bytes = [3, 5, 2, 0xc1, 1, 1, 3, 1, 0xac, 2, 2, 0xac, 2, 1, 0, 1];
        for len in 0..bytes.len() {
            assert!(parse(&bytes[..len], SECTIONS).is_err(), "{len}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (bytes, word) in [
            (&[1, 0, 1, 5, 1, 9][..], "behind its entries"),
            (&[200, 1, 1, 1, 1], "200"),
            (&[2, 5, 0, 1, 1, 5, 5, 1, 0], "id 5 comes twice"),
            (&[2, 5, 1, 2, 1, 5, 5, 1, 0], "id 6 comes twice"),
            (&[1, 5, 1, 5, 0], "follows none"),
            (&[1, 5, 1, 0, 1], "no bytes"),
            (&[1, 5, 1, 0xe9, 7, 1], "ends at 1000"),
            (&[1, 5, 0, 101, 1], "ends at 100"),
            (&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 5, 1], "too large"),
            (&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 5, 1], "below zoom"),
            (&[1, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 5, 1], "too large"),
        ] {
            let why = parse(bytes, SECTIONS).expect_err(word);
            assert!(why.contains(word), "{why}");
        }
    }
}
