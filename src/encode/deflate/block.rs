//! A block under one pair of prefix codes.

use super::bits::{BitWriter, Literals};
use super::huffman::{BlockHead, DISTANCES, END_OF_BLOCK, LITERALS, code_lengths, codes};

/// Longest code: four of them and the seven bits that wait after a flush fit the accumulator.
const CODE_LIMIT: usize = 14;
/// Longest match.
pub(super) const LONGEST: usize = 258;

/// Literals and the match behind them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    /// Number of literals.
    pub(super) literals: u32,
    /// Bytes that repeat what came before, 3 to 258; 0 at the end of a block that ends in literals.
    pub(super) length: u16,
    /// How far back they repeat.
    pub(super) distance: u16,
}

/// The codes of a block and its size, known before a bit is written.
pub(super) struct Block<'a> {
    data: &'a [u8],
    sequences: Vec<Sequence>,
    head: BlockHead,
    lengths: [u8; LITERALS],
    distance_lengths: [u8; DISTANCES],
    body_bits: u64,
}

impl<'a> Block<'a> {
    /// A block of these bytes, which the sequences cover.
    pub(super) fn new(data: &'a [u8], sequences: Vec<Sequence>) -> Self {
        let mut counts = [0u32; LITERALS];
        let mut distances = [0u32; DISTANCES];
        let mut literals = Histogram([[0; 256]; 4]);
        let mut rest = data;
        let mut body_bits = 0;
        for &Sequence { literals: run, length, distance } in &sequences {
            let (bytes, after) = rest.split_at(run as usize);
            literals.count(bytes);
            rest = &after[usize::from(length)..];
            if length > 0 {
                let (symbol, _, extra) = length_symbol(usize::from(length));
                counts[symbol] += 1;
                let (distance, _, further) = distance_symbol(usize::from(distance));
                distances[distance] += 1;
                body_bits += u64::from(extra + further);
            }
        }
        for (value, count) in counts[..256].iter_mut().enumerate() {
            *count = literals.0.iter().map(|table| table[value]).sum();
        }
        counts[END_OF_BLOCK] = 1;
        let lengths = code_lengths(&counts, CODE_LIMIT);
        let mut distance_lengths = code_lengths(&distances, CODE_LIMIT);
        if distances.iter().filter(|&&count| count > 0).count() < 2 {
            // Two codes of one bit, although one never occurs: the code is complete then, as old decoders want it.
            let used = distances.iter().position(|&count| count > 0).unwrap_or(0);
            distance_lengths[usize::from(used == 0)] = 1;
            distance_lengths[used] = 1;
        }
        for (&count, &length) in counts.iter().zip(&lengths).chain(distances.iter().zip(&distance_lengths)) {
            body_bits += u64::from(count) * u64::from(length);
        }
        let head = BlockHead::new(&lengths, &distance_lengths);
        Self { data, sequences, head, lengths, distance_lengths, body_bits }
    }

    /// Bits that [`write`](Self::write) writes.
    pub(super) fn bits(&self) -> u64 {
        self.head.bits() + self.body_bits
    }

    /// Writes the block.
    pub(super) fn write(&self, last: bool, bits: &mut BitWriter<'_>) {
        let (codes, distance_codes) = (codes(&self.lengths), codes(&self.distance_lengths));
        self.head.write(last, bits);
        let literals = Literals::new(&self.lengths, &codes);
        let mut rest = self.data;
        for &Sequence { literals: run, length, distance } in &self.sequences {
            let (bytes, after) = rest.split_at(run as usize);
            bits.literals(bytes, &literals);
            rest = &after[usize::from(length)..];
            if length > 0 {
                let (symbol, value, extra) = length_symbol(usize::from(length));
                bits.put(u64::from(codes[symbol]), u32::from(self.lengths[symbol]));
                bits.put(u64::from(value), extra);
                let (symbol, value, extra) = distance_symbol(usize::from(distance));
                bits.put(u64::from(distance_codes[symbol]), u32::from(self.distance_lengths[symbol]));
                bits.put(u64::from(value), extra);
                bits.flush();
            }
        }
        bits.put(u64::from(codes[END_OF_BLOCK]), u32::from(self.lengths[END_OF_BLOCK]));
        bits.flush();
    }
}

/// Counts of bytes. Four tables, because equal neighbours would wait for each other in one.
struct Histogram([[u32; 256]; 4]);

impl Histogram {
    #[inline]
    fn count(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            for (i, &byte) in word.iter().enumerate() {
                self.0[i % 4][usize::from(byte)] += 1;
            }
        }
        for &byte in rest {
            self.0[0][usize::from(byte)] += 1;
        }
    }
}

/// Symbol of a match length in 3..=258, with the value and the number of its extra bits.
pub(super) fn length_symbol(length: usize) -> (usize, u32, u32) {
    if length >= LONGEST {
        return (285, 0, 0);
    }
    let offset = length.saturating_sub(3) as u32;
    if offset < 8 {
        return (257 + offset as usize, 0, 0);
    }
    // Four symbols to each doubling of the length.
    let extra = offset.ilog2() - 2;
    let symbol = 257 + 4 * extra + (offset >> extra);
    (symbol as usize, offset & ((1 << extra) - 1), extra)
}

/// Symbol of a distance in 1..=32768, with the value and the number of its extra bits.
fn distance_symbol(distance: usize) -> (usize, u32, u32) {
    let offset = distance.saturating_sub(1) as u32;
    if offset < 4 {
        return (offset as usize, 0, 0);
    }
    // Two symbols to each doubling of the distance.
    let extra = offset.ilog2() - 1;
    let symbol = 2 * extra + (offset >> extra);
    (symbol as usize, offset & ((1 << extra) - 1), extra)
}
