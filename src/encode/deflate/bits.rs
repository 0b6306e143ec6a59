//! Bits, lowest first, through a 64-bit accumulator.

use crate::simd::{
    self, Level,
    png::{BitStream, LiteralCodes},
};

/// Bytes beyond the last one written that [`BitWriter`] may touch.
pub(super) const SLACK: usize = 8;

/// Literals from which on vectors pay.
const WORTH_VECTORS: usize = 128;

/// Codes of the 256 literals, none longer than 14 bits.
pub(super) struct Literals {
    /// Length in the lowest byte, code above.
    pub(super) entries: [u32; 256],
    /// The same byte by byte.
    bytes: LiteralCodes,
}

impl Literals {
    /// From lengths and codes; further ones are those of other symbols.
    pub(super) fn new(lengths: &[u8], codes: &[u16]) -> Self {
        let of = |symbol: usize| u32::from(codes[symbol]) << 8 | u32::from(lengths[symbol]);
        let entries: [u32; 256] = std::array::from_fn(of);
        let byte = |shift: u32| entries.map(|entry| (entry >> shift) as u8);
        Self { entries, bytes: LiteralCodes { lengths: byte(0), low: byte(8), high: byte(16) } }
    }
}

/// Writes into a slice that was sized beforehand, plus [`SLACK`].
pub(super) struct BitWriter<'a> {
    out: &'a mut [u8],
    /// Bytes that are complete.
    position: usize,
    accumulator: u64,
    /// Bits waiting in the accumulator, fewer than 8 after a flush.
    waiting: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { out, position: 0, accumulator: 0, waiting: 0 }
    }

    /// Adds the low `count` bits of `value`; its other bits must be zero. At most 56 bits between flushes.
    #[inline]
    pub(super) fn put(&mut self, value: u64, count: u32) {
        self.accumulator |= value << (self.waiting & 63);
        self.waiting += count;
    }

    /// Moves complete bytes out.
    #[inline]
    pub(super) fn flush(&mut self) {
        self.out[self.position..self.position + SLACK].copy_from_slice(&self.accumulator.to_le_bytes());
        self.position += (self.waiting >> 3) as usize;
        self.accumulator >>= self.waiting & !7;
        self.waiting &= 7;
    }

    /// Writes the codes of literals.
    #[inline]
    pub(super) fn literals(&mut self, bytes: &[u8], codes: &Literals) {
        let done = if bytes.len() < WORTH_VECTORS { 0 } else { self.vectors(bytes, codes) };
        let (quads, rest) = bytes[done..].as_chunks::<4>();
        self.quads(quads, &codes.entries);
        for &byte in rest {
            let entry = codes.entries[usize::from(byte)];
            self.put(u64::from(entry >> 8), entry & 63);
            self.flush();
        }
    }

    /// Writes as many literals as whole vectors hold, and returns their number.
    #[inline(never)]
    fn vectors(&mut self, bytes: &[u8], codes: &Literals) -> usize {
        let Self { position, accumulator, waiting, .. } = *self;
        let mut stream = BitStream { out: &mut *self.out, position, accumulator, waiting };
        let done = simd::png::write_literals(Level::Best, bytes, &codes.bytes, &mut stream);
        (self.position, self.accumulator, self.waiting) =
            (stream.position, stream.accumulator, stream.waiting);
        done
    }

    /// Writes the codes of bytes, four to a flush.
    #[inline]
    fn quads(&mut self, quads: &[[u8; 4]], codes: &[u32; 256]) {
        // In registers for the length of the loop.
        let Self { mut position, mut accumulator, mut waiting, .. } = *self;
        let out = &mut *self.out;
        for quad in quads {
            let [a, b, c, d] = quad.map(|byte| codes[usize::from(byte)]);
            // Pairs first: the accumulator is what everything waits for.
            let ab = u64::from(a >> 8) | u64::from(b >> 8) << (a & 63);
            let cd = u64::from(c >> 8) | u64::from(d >> 8) << (c & 63);
            let (ab_bits, cd_bits) = ((a + b) & 63, (c + d) & 63);
            accumulator |= (ab | cd << ab_bits) << (waiting & 63);
            waiting += ab_bits + cd_bits;
            out[position..position + SLACK].copy_from_slice(&accumulator.to_le_bytes());
            position += (waiting >> 3) as usize;
            accumulator >>= waiting & !7;
            waiting &= 7;
        }
        (self.position, self.accumulator, self.waiting) = (position, accumulator, waiting);
    }

    /// Pads to a byte and returns the number of bytes written.
    pub(super) fn finish(mut self) -> usize {
        self.flush();
        self.position + usize::from(self.waiting > 0)
    }
}
