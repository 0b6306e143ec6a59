//! LZW as TIFF has it (TIFF 6.0, section 13): codes of 9 to 12 bits, most significant bits first, one wider as soon as the next entry of
//! the table needs it.

#![allow(clippy::inline_always, reason = "these are the body of the loop over all bytes")]

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

/// Slots for strings of three bytes and more: twice as many as there are codes, so that most are found at once.
const SLOTS: usize = 8192;
const SLOT_BITS: u32 = SLOTS.ilog2();

/// Strings of two bytes.
const PAIRS: usize = 1 << 16;

/// Strings that have codes.
///
/// In noise most strings have two bytes. These have a place each, found without a look at anything else, so that the processor does not have to
/// wait for one string to look for the next.
pub(super) struct Table {
    /// Codes of strings of two bytes, 0 of those that have none.
    pairs: Box<[u16; PAIRS]>,
    /// Those that have codes.
    known: Vec<u16>,
    /// Longer strings. A slot holds the code of the string's beginning, its last byte, and its code: 12, 8 and 12 bits; codes are
    /// never 0.
    slots: Box<[u32; SLOTS]>,
}

impl Default for Table {
    #[allow(clippy::large_stack_arrays)] // some hundred KB, once for each thread
    fn default() -> Self {
        Self {
            pairs: Box::new([0; PAIRS]),
            known: Vec::with_capacity(FULL as usize),
            slots: Box::new([0; SLOTS]),
        }
    }
}

/// Codes as bytes.
struct Bits {
    out: Vec<u8>,
    /// Whole bytes so far.
    bytes: usize,
    /// What comes after these, most significant bits first, and how many bits of it count.
    buffer: u64,
    count: u32,
}

impl Bits {
    /// Room for the codes of so many bytes.
    fn new(bytes: usize) -> Self {
        // No byte takes more than a code of 12 bits, and the table is emptied after some thousand codes.
        Self { out: vec![0; bytes + bytes / 2 + bytes / 1024 + 32], bytes: 0, buffer: 0, count: 0 }
    }

    #[inline(always)]
    fn put(&mut self, code: u32, width: u32) {
        self.buffer |= (u64::from(code) << (64 - width)) >> self.count;
        self.count += width;
        // All eight bytes, since to ask how many are full takes longer; the next ones go over those that are not.
        if let Some(place) = self.out.get_mut(self.bytes..self.bytes + 8) {
            place.copy_from_slice(&self.buffer.to_be_bytes());
        }
        let full = self.count / 8;
        self.bytes += full as usize;
        self.buffer <<= full * 8;
        self.count %= 8;
    }

    /// The bytes of all codes.
    fn finish(mut self) -> Vec<u8> {
        self.out.truncate(self.bytes + usize::from(self.count > 0));
        self.out
    }
}

/// The next code and its width.
struct Codes {
    next: u32,
    width: u32,
}

impl Codes {
    const START: Self = Self { next: FIRST, width: NARROW };

    /// Goes on to the next code; whether that fills the table.
    #[inline(always)]
    fn advance(&mut self) -> bool {
        self.next += 1;
        self.width += self.next >> self.width;
        self.next == FULL
    }
}

impl Table {
    /// Where a string stands, or the slot that it would have.
    #[inline(always)]
    fn find(&self, key: u32) -> (usize, u32) {
        // The golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
        let mut at = (key.wrapping_mul(2_654_435_769) >> (32 - SLOT_BITS)) as usize;
        loop {
            let slot = self.slots[at % SLOTS];
            if slot == 0 || slot >> 12 == key {
                return (at % SLOTS, slot & 4095);
            }
            at += 1;
        }
    }

    fn clear(&mut self) {
        self.slots.fill(0);
        for pair in self.known.drain(..) {
            self.pairs[usize::from(pair)] = 0;
        }
    }

    /// Takes the longest string that has a code from the front of some bytes and gives the code. The string that is one byte
    /// longer gets the code `next`.
    #[inline(always)]
    fn take(&mut self, first: u8, bytes: &mut &[u8], next: u32) -> u32 {
        let Some((second, mut rest)) = bytes.split_first() else { return first.into() };
        let pair = u16::from_be_bytes([first, *second]);
        let code = self.pairs[usize::from(pair)];
        if code == 0 {
            self.pairs[usize::from(pair)] = next as u16;
            self.known.push(pair);
            return first.into();
        }
        let mut string = u32::from(code);
        while let Some((byte, after)) = rest.split_first() {
            let key = string << 8 | u32::from(*byte);
            let (slot, code) = self.find(key);
            if code == 0 {
                self.slots[slot] = key << 12 | next;
                break;
            }
            (string, rest) = (code, after);
        }
        *bytes = rest;
        string
    }

    /// Packs bytes.
    pub fn pack(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut bits = Bits::new(bytes.len());
        let mut codes = Codes::START;
        self.clear();
        bits.put(CLEAR, codes.width);
        while let Some((first, rest)) = bytes.split_first() {
            bytes = rest;
            let code = self.take(*first, &mut bytes, codes.next);
            bits.put(code, codes.width);
            // Readers add an entry for the last code, too.
            if codes.advance() {
                bits.put(CLEAR, codes.width);
                self.clear();
                codes = Codes::START;
            }
        }
        bits.put(END, codes.width);
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
