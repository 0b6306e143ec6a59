//! Directories of a TIFF as lists of entries, to be taken from one file and put into another.
//!
//! GDAL knows how to say everything a raster has to say beside its pixels: CRS, nodata, colour tables, names, metadata. So it writes that
//! into a small file in memory, and its entries are taken over into the one that is made here.

/// An entry of a directory, its values least significant byte first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number of the tag.
    pub tag: u16,
    /// Number of the type of its values.
    pub kind: u16,
    /// How many values there are.
    pub count: u64,
    /// Their bytes.
    pub bytes: Vec<u8>,
}

/// Numbers of tags that matter here.
pub mod tag {
    /// What a directory is for: bit 0 a smaller version, bit 2 a mask.
    pub const SUBFILE_TYPE: u16 = 254;
    /// Columns.
    pub const WIDTH: u16 = 256;
    /// Rows.
    pub const HEIGHT: u16 = 257;
    /// Bits of a sample.
    pub const BITS: u16 = 258;
    /// How blocks are packed.
    pub const COMPRESSION: u16 = 259;
    /// What samples mean.
    pub const PHOTOMETRIC: u16 = 262;
    /// Samples of a pixel.
    pub const BANDS: u16 = 277;
    /// Whether bands have blocks of their own.
    pub const PLANAR: u16 = 284;
    /// Columns of a block.
    pub const TILE_WIDTH: u16 = 322;
    /// Rows of a block.
    pub const TILE_HEIGHT: u16 = 323;
    /// Where blocks begin.
    pub const TILE_OFFSETS: u16 = 324;
    /// How long blocks are.
    pub const TILE_COUNTS: u16 = 325;
    /// Kind of numbers.
    pub const SAMPLE_FORMAT: u16 = 339;
    /// What all JPEG blocks have in common.
    pub const JPEG_TABLES: u16 = 347;
    /// Metadata of GDAL, as XML.
    pub const GDAL_METADATA: u16 = 42112;
    /// Places of further directories, which mean nothing in another file.
    pub const PLACES: [u16; 4] = [330, 34665, 34853, 40965];
}

/// Type of unsigned numbers of two bytes.
pub const SHORT: u16 = 3;
/// Type of unsigned numbers of four bytes.
pub const LONG: u16 = 4;
/// Type of unsigned numbers of eight bytes, of BigTIFF only.
pub const LONG8: u16 = 16;
/// Type of text.
const ASCII: u16 = 2;

impl Entry {
    /// One number of two bytes.
    pub fn short(tag: u16, value: u16) -> Self {
        Self { tag, kind: SHORT, count: 1, bytes: value.to_le_bytes().to_vec() }
    }

    /// One number of four bytes.
    pub fn long(tag: u16, value: u32) -> Self {
        Self { tag, kind: LONG, count: 1, bytes: value.to_le_bytes().to_vec() }
    }

    /// Text, which gets the zero at its end.
    pub fn text(tag: u16, text: &str) -> Self {
        let bytes: Vec<u8> = text.bytes().chain([0]).collect();
        Self { tag, kind: ASCII, count: bytes.len() as u64, bytes }
    }
}

/// A directory of entries in the order of their tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    entries: Vec<Entry>,
}

impl Directory {
    /// The first directory of a TIFF file of small bytes first, classic or `BigTIFF`; `None` when these are not the bytes of one.
    pub fn first(file: &[u8]) -> Option<Self> {
        let number = |at: usize, bytes: usize| -> Option<u64> {
            let mut all = [0; 8];
            all[..bytes].copy_from_slice(file.get(at..at.checked_add(bytes)?)?);
            Some(u64::from_le_bytes(all))
        };
        let (big, at) = match file.get(..4)? {
            b"II\x2a\0" => (false, number(4, 4)?),
            b"II\x2b\0" => (true, number(8, 8)?),
            _ => return None,
        };
        let (head, size, word) = if big { (8, 20, 8) } else { (2, 12, 4) };
        let at = usize::try_from(at).ok()?;
        let mut entries = Vec::new();
        for k in 0..number(at, head)? as usize {
            let here = at + head + k * size;
            let (tag, kind) = (number(here, 2)? as u16, number(here + 2, 2)? as u16);
            let count = number(here + 4, word)?;
            let length = usize::try_from(count.checked_mul(width(kind)? as u64)?).ok()?;
            let value = here + 4 + word;
            let from = if length <= word { value } else { number(value, word)? as usize };
            let bytes = file.get(from..from.checked_add(length)?)?.to_vec();
            entries.push(Entry { tag, kind, count, bytes });
        }
        Some(Self { entries })
    }

    /// The entry of a tag.
    pub fn get(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|e| e.tag == tag)
    }

    /// The first number of a tag, when it has whole ones.
    pub fn number(&self, tag: u16) -> Option<u64> {
        let entry = self.get(tag)?;
        let bytes = width(entry.kind)?;
        let mut all = [0; 8];
        all[..bytes].copy_from_slice(entry.bytes.get(..bytes)?);
        Some(u64::from_le_bytes(all))
    }

    /// Adds an entry, in the place of one of the same tag.
    pub fn set(&mut self, entry: Entry) {
        match self.entries.binary_search_by_key(&entry.tag, |e| e.tag) {
            Ok(k) => self.entries[k] = entry,
            Err(k) => self.entries.insert(k, entry),
        }
    }

    /// Removes the entry of a tag.
    pub fn remove(&mut self, tag: u16) {
        self.entries.retain(|e| e.tag != tag);
    }

    /// The entries, in the order of their tags.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Bytes of the directory itself, without the values that do not fit into it.
    pub fn length(&self, big: bool) -> u64 {
        let count = self.entries.len() as u64;
        if big { 16 + 20 * count } else { 6 + 12 * count }
    }

    /// Appends the directory's bytes. `beyond` says for the number of each entry whose values do not fit where these stand; `next` is
    /// the place of the directory after this one, or 0.
    pub fn write(&self, big: bool, beyond: impl Fn(usize) -> u64, next: u64, out: &mut Vec<u8>) {
        let word = if big { 8 } else { 4 };
        let put = |out: &mut Vec<u8>, number: u64, bytes: usize| {
            out.extend_from_slice(&number.to_le_bytes()[..bytes]);
        };
        put(out, self.entries.len() as u64, if big { 8 } else { 2 });
        for (k, entry) in self.entries.iter().enumerate() {
            put(out, entry.tag.into(), 2);
            put(out, entry.kind.into(), 2);
            put(out, entry.count, word);
            if entry.bytes.len() <= word {
                let end = out.len() + word;
                out.extend_from_slice(&entry.bytes);
                out.resize(end, 0);
            } else {
                put(out, beyond(k), word);
            }
        }
        put(out, next, word);
    }
}

/// Bytes of a value of a type; `None` for types that do not exist.
fn width(kind: u16) -> Option<usize> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_reads_back_as_it_was_written() {
        for big in [false, true] {
            let mut directory = Directory::default();
            directory.set(Entry::text(270, "longer than a word"));
            directory.set(Entry::short(tag::BITS, 8));
            directory.set(Entry::long(tag::WIDTH, 70_000));
            directory.set(Entry::short(tag::BITS, 16));
            let start = if big { 16 } else { 8 };
            let mut file = if big {
                b"II\x2b\0\x08\0\0\0\x10\0\0\0\0\0\0\0".to_vec()
            } else {
                b"II\x2a\0\x08\0\0\0".to_vec()
            };
            let beyond = start + directory.length(big);
            directory.write(big, |_| beyond, 0, &mut file);
            assert_eq!(file.len() as u64, beyond);
            file.extend_from_slice(b"longer than a word\0");
            assert_eq!(Directory::first(&file), Some(directory.clone()));
            assert_eq!(directory.number(tag::BITS), Some(16));
            assert_eq!(Directory::first(&file[..file.len() - 1]), None);
        }
    }
}
