//! Bits, lowest first, through a 64-bit accumulator.

/// Bytes beyond the last one written that [`BitWriter`] may touch.
pub(super) const SLACK: usize = 8;

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

    /// Writes the codes of bytes, four to a flush; no code may be longer than 14 bits. An entry of `codes` holds
    /// the length in its lowest byte and the code above.
    #[inline(never)]
    pub(super) fn quads(&mut self, quads: &[[u8; 4]], codes: &[u32; 256]) {
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
