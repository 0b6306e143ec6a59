//! LZW as TIFF has it (TIFF 6.0, section 13): codes of 9 to 12 bits, most significant bits first, one wider as soon as the next entry of
//! the table needs it.

/// Empties the table.
const CLEAR: u32 = 256;
/// Ends the data.
const END: u32 = 257;
/// The first code of the table.
const FIRST: u32 = 258;
/// With so many codes the table is emptied.
const FULL: u32 = 4094;
/// Bits of the first codes.
const NARROW: u32 = 9;

/// Slots of the table: twice as many as there are codes, so that most strings are found at once.
const SLOTS: usize = 8192;
const SLOT_BITS: u32 = SLOTS.ilog2();

/// Strings that have codes. A slot holds the code of the string's beginning, its last byte, and its code: 12, 8 and 12 bits; codes are
/// never 0.
pub(super) struct Table(Box<[u32; SLOTS]>);

impl Default for Table {
    #[allow(clippy::large_stack_arrays)] // 32 KB, once for each thread
    fn default() -> Self {
        Self(Box::new([0; SLOTS]))
    }
}

/// Codes as bytes.
struct Bits {
    out: Vec<u8>,
    buffer: u64,
    count: u32,
}

impl Bits {
    #[inline]
    fn put(&mut self, code: u32, width: u32) {
        self.buffer = self.buffer << width | u64::from(code);
        self.count += width;
        if self.count >= 32 {
            self.count -= 32;
            self.out.extend_from_slice(&((self.buffer >> self.count) as u32).to_be_bytes());
        }
    }

    /// The bytes of all codes.
    fn finish(mut self) -> Vec<u8> {
        self.put(0, (8 - self.count % 8) % 8);
        while self.count > 0 {
            self.count -= 8;
            self.out.push((self.buffer >> self.count) as u8);
        }
        self.out
    }
}

impl Table {
    /// Where a string stands, or the slot that it would have.
    #[inline]
    fn find(&self, key: u32) -> (usize, u32) {
        // The golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
        let mut at = (key.wrapping_mul(2_654_435_769) >> (32 - SLOT_BITS)) as usize;
        loop {
            let slot = self.0[at % SLOTS];
            if slot == 0 || slot >> 12 == key {
                return (at % SLOTS, slot & 4095);
            }
            at += 1;
        }
    }

    /// Packs bytes.
    pub fn pack(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bits = Bits { out: Vec::with_capacity(bytes.len()), buffer: 0, count: 0 };
        let (mut next, mut width) = (FIRST, NARROW);
        self.0.fill(0);
        bits.put(CLEAR, width);
        let Some((first, rest)) = bytes.split_first() else {
            bits.put(END, width);
            return bits.finish();
        };
        let mut string = u32::from(*first);
        for byte in rest {
            let key = string << 8 | u32::from(*byte);
            let (slot, code) = self.find(key);
            if code > 0 {
                string = code;
                continue;
            }
            bits.put(string, width);
            self.0[slot] = key << 12 | next;
            string = u32::from(*byte);
            next += 1;
            if next == FULL {
                bits.put(CLEAR, width);
                self.0.fill(0);
                (next, width) = (FIRST, NARROW);
            } else if next >> width > 0 {
                width += 1;
            }
        }
        bits.put(string, width);
        // Readers add an entry for the last code, too.
        next += 1;
        if next == FULL {
            bits.put(CLEAR, width);
            width = NARROW;
        } else if next >> width > 0 {
            width += 1;
        }
        bits.put(END, width);
        bits.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader makes of codes.
    fn unpacked(bytes: &[u8]) -> Vec<u8> {
        let (mut at, mut width) = (0usize, NARROW);
        let mut table: Vec<Vec<u8>> = Vec::new();
        let mut out = Vec::new();
        let mut before: Option<Vec<u8>> = None;
        loop {
            let code = (at..at + width as usize)
                .fold(0u32, |code, k| code << 1 | u32::from(bytes[k / 8] >> (7 - k % 8) & 1));
            at += width as usize;
            match code {
                CLEAR => (table, width, before) = (Vec::new(), NARROW, None),
                END => return out,
                _ => {
                    let known = match code {
                        0..=255 => Some(vec![code as u8]),
                        _ => table.get((code - FIRST) as usize).cloned(),
                    };
                    let string = known.unwrap_or_else(|| {
                        let before = before.as_ref().expect("a string before");
                        [&before[..], &before[..1]].concat()
                    });
                    if let Some(before) = before {
                        table.push([&before[..], &string[..1]].concat());
                    }
                    // One code earlier than the table would need.
                    if FIRST as usize + table.len() + 1 >= 1 << width && width < 12 {
                        width += 1;
                    }
                    out.extend_from_slice(&string);
                    before = Some(string);
                }
            }
        }
    }

    #[test]
    fn all_bytes_come_back() {
        let mut state = 3u32;
        let mut noise = |most: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) % most) as u8
        };
        let mut table = Table::default();
        for length in [0, 1, 2, 3, 100, 253, 254, 255, 256, 257, 4000, 70_000] {
            let all = [
                (0..length).map(|_| noise(256)).collect::<Vec<u8>>(),
                (0..length).map(|_| noise(3)).collect(),
                vec![0; length],
            ];
            for bytes in all {
                assert!(unpacked(&table.pack(&bytes)) == bytes, "{length} bytes");
            }
        }
    }

    #[test]
    fn the_example_of_the_specification_holds() {
        let packed = Table::default().pack(&[7, 7, 7, 8, 8, 7, 7, 6, 6]);
        let codes = [256u32, 7, 258, 8, 8, 258, 6, 6, 257];
        let bits = codes.iter().flat_map(|code| (0..9).rev().map(move |k| (code >> k & 1) as u8));
        let bits: Vec<u8> = bits.collect();
        let bytes: Vec<u8> =
            bits.chunks(8).map(|c| c.iter().enumerate().fold(0, |b, (k, bit)| b | bit << (7 - k))).collect();
        assert_eq!(packed, bytes);
    }
}
