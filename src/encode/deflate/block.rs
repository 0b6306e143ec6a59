//! A block under one pair of prefix codes.

use super::bits::{BitWriter, Literals};
use super::huffman::{BlockHead, DISTANCES, END_OF_BLOCK, LITERALS, code_lengths, codes};
use crate::simd::{Kernel, Level, dispatch};

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

/// Part of a block: what it says, and how often each symbol occurs in it.
pub(super) struct Part<'a> {
    data: &'a [u8],
    sequences: Vec<Sequence>,
    counts: [u32; LITERALS],
    distances: [u32; DISTANCES],
    extra_bits: u64,
}

impl<'a> Part<'a> {
    /// Of these bytes, which the sequences cover.
    pub(super) fn new(data: &'a [u8], sequences: Vec<Sequence>) -> Self {
        let mut counts = [0u32; LITERALS];
        let mut distances = [0u32; DISTANCES];
        let mut literals = Histogram([[0; 256]; 8]);
        let mut rest = data;
        let mut extra_bits = 0;
        for &Sequence { literals: run, length, distance } in &sequences {
            let (bytes, after) = rest.split_at(run as usize);
            literals.count(bytes);
            rest = &after[usize::from(length)..];
            if length > 0 {
                let (symbol, _, extra) = length_symbol(usize::from(length));
                counts[symbol] += 1;
                let (distance, _, further) = distance_symbol(usize::from(distance));
                distances[distance] += 1;
                extra_bits += u64::from(extra + further);
            }
        }
        for (value, count) in counts[..256].iter_mut().enumerate() {
            *count = literals.0.iter().map(|table| table[value]).sum();
        }
        Self { data, sequences, counts, distances, extra_bits }
    }

    /// Bits of all symbols under codes of their own, in sixty-fourths, about.
    pub(super) fn cost(&self) -> u64 {
        entropy(&self.counts) + entropy(&self.distances)
    }

    /// The [`cost`](Self::cost) of both together.
    pub(super) fn cost_with(&self, other: &Self) -> u64 {
        let counts: [u32; LITERALS] = std::array::from_fn(|i| self.counts[i] + other.counts[i]);
        let distances: [u32; DISTANCES] = std::array::from_fn(|i| self.distances[i] + other.distances[i]);
        entropy(&counts) + entropy(&distances)
    }

    /// Puts the part that follows in `all` behind this one.
    pub(super) fn append(&mut self, other: Self, all: &'a [u8], end: usize) {
        self.data = &all[end - self.data.len() - other.data.len()..end];
        self.sequences.extend(other.sequences);
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        for (count, more) in self.distances.iter_mut().zip(other.distances) {
            *count += more;
        }
        self.extra_bits += other.extra_bits;
    }
}

/// Bits that an ideal code gives so many symbols of each kind, in sixty-fourths.
fn entropy<const N: usize>(counts: &[u32; N]) -> u64 {
    dispatch(Level::Best, Entropy(counts))
}

struct Entropy<'a, const N: usize>(&'a [u32; N]);

impl<const N: usize> Kernel for Entropy<'_, N> {
    type Output = u64;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "what is not inlined stays baseline code")]
    fn run(self) -> u64 {
        let (mut total, mut saved) = (0u32, 0u64);
        for &count in self.0 {
            total += count;
            saved += u64::from(count) * u64::from(log2(count));
        }
        (u64::from(total) * u64::from(log2(total))).saturating_sub(saved)
    }
}

/// Binary logarithm in sixty-fourths, a parabola between powers of two: the same on every machine. That of 0 is 0; that
/// of values from 2³¹ on is of no use.
#[inline(always)]
#[allow(clippy::inline_always, reason = "what is not inlined stays baseline code")]
fn log2(value: u32) -> u32 {
    let float = (value.max(1) as i32 as f32).to_bits();
    // Of the mantissa, 12 bits behind the point.
    let x = (float >> 11) & 4095;
    let bulge = (((x * (4096 - x)) >> 12) * 11) >> 5;
    (((float >> 23) - 127) << 6) + ((x + bulge + 32) >> 6)
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
    /// A block of this part alone.
    pub(super) fn new(part: Part<'a>) -> Self {
        let Part { data, sequences, mut counts, distances, extra_bits: mut body_bits } = part;
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

/// Counts of bytes. Eight tables, because equal neighbours would wait for each other in one.
struct Histogram([[u32; 256]; 8]);

impl Histogram {
    #[inline]
    fn count(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            for (i, &byte) in word.iter().enumerate() {
                self.0[i][usize::from(byte)] += 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_is_within_a_sixty_fourth_and_grows() {
        for value in (1..5000).chain([65_535, 1 << 20, (1 << 31) - 1]) {
            let exact = f64::from(value).log2() * 64.0;
            assert!((f64::from(log2(value)) - exact).abs() < 1.1, "{value}: {} not {exact}", log2(value));
            assert!(value > 5000 || log2(value) <= log2(value + 1), "{value}");
        }
        assert_eq!([log2(0), log2(1), log2(2), log2(1 << 30)], [0, 0, 64, 30 * 64]);
    }

    #[test]
    fn entropy_of_equal_counts_is_their_logarithm() {
        assert_eq!(entropy(&[5, 5, 0, 5, 5]), 20 * 2 * 64);
        assert_eq!(entropy(&[9]), 0);
        assert_eq!(entropy(&[0, 0]), 0);
    }
}
