//! Prefix codes: lengths from counts, codes from lengths, and how a block announces them (RFC 1951, 3.2).

use super::bits::BitWriter;

/// Symbols of the literal and length alphabet that may occur.
pub(super) const LITERALS: usize = 286;
/// Symbols of the distance alphabet that may occur.
pub(super) const DISTANCES: usize = 30;
/// Symbol that ends a block.
pub(super) const END_OF_BLOCK: usize = 256;
/// Longest code of the alphabet that code lengths are sent in.
const LENGTH_CODE_LIMIT: usize = 7;
/// Order in which the lengths of the length code are sent.
const LENGTH_CODE_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Lengths of an optimal prefix code, none longer than `limit` (then nearly optimal). Symbols that do not
/// occur get length 0; a lone symbol gets length 1. Ties go by symbol, so equal counts give equal codes.
///
/// Huffman's algorithm with two queues: leaves in order of weight, and inner nodes, which come into being in
/// order of weight. Codes beyond the limit are cut to it, and the excess in Kraft's sum is paid for by
/// lengthening the longest codes below it.
///
/// `limit` must leave room for all symbols: at most 2^`limit` of them may occur.
pub fn code_lengths<const N: usize>(counts: &[u32; N], limit: usize) -> [u8; N] {
    let mut lengths = [0; N];
    // Counts with their symbols below: one comparison orders both.
    let mut leaves: Vec<u64> = counts
        .iter()
        .zip(0u64..)
        .filter(|&(&count, _)| count > 0)
        .map(|(&count, symbol)| u64::from(count) << 32 | symbol)
        .collect();
    leaves.sort_unstable();
    let n = leaves.len();
    if n < 2 {
        for &leaf in &leaves {
            lengths[leaf as u32 as usize] = 1;
        }
        return lengths;
    }
    // Nodes 0..n are leaves, n..2n−1 inner nodes; the last is the root.
    let mut weights = Vec::with_capacity(2 * n);
    weights.extend(leaves.iter().map(|&leaf| leaf >> 32));
    let mut parents = vec![0u16; 2 * n - 1];
    let (mut leaf, mut inner) = (0, n);
    for node in n..2 * n - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let child = if leaf < n && (inner == node || weights[leaf] <= weights[inner]) {
                leaf += 1;
                leaf - 1
            } else {
                inner += 1;
                inner - 1
            };
            weight += weights[child];
            parents[child] = node as u16;
        }
        weights.push(weight);
    }
    let mut depths = vec![0u8; 2 * n - 1];
    let mut of_length = [0u32; 64];
    for node in (0..2 * n - 2).rev() {
        // Weights are sums of 32-bit counts: the tree is at most 64 deep at any length of input.
        depths[node] = depths[parents[node] as usize] + 1;
        if node < n {
            of_length[usize::from(depths[node]).min(limit)] += 1;
        }
    }
    let mut kraft: u64 = (1..=limit).map(|length| u64::from(of_length[length]) << (limit - length)).sum();
    while kraft > 1 << limit {
        let Some(length) = (1..limit).rev().find(|&length| of_length[length] > 0) else { break };
        of_length[limit] -= 1;
        of_length[length] -= 1;
        of_length[length + 1] += 2;
        kraft -= 1;
    }
    // The rarest symbols take the longest codes.
    let mut symbols = leaves.iter();
    for length in (1..=limit).rev() {
        for &leaf in symbols.by_ref().take(of_length[length] as usize) {
            lengths[leaf as u32 as usize] = length as u8;
        }
    }
    lengths
}

/// Canonical codes for the given lengths, bits reversed as DEFLATE sends them (the first bit lowest).
pub fn codes<const N: usize>(lengths: &[u8; N]) -> [u16; N] {
    let mut next = [0u16; 17];
    for &length in lengths {
        if length > 0 {
            next[usize::from(length) + 1] += 1;
        }
    }
    for length in 1..17 {
        next[length] = (next[length] + next[length - 1]) << 1;
    }
    // `next[l]` counted the codes of length l−1 and now holds the first code of length l.
    let mut codes = [0; N];
    for (code, &length) in codes.iter_mut().zip(lengths) {
        if length > 0 {
            let slot = &mut next[usize::from(length)];
            *code = slot.reverse_bits() >> (16 - length);
            *slot = slot.wrapping_add(1);
        }
    }
    codes
}

/// The head of a dynamic block: the code lengths, themselves run-length coded under a prefix code.
pub(super) struct BlockHead {
    /// Symbols of the length alphabet with the value of their extra bits.
    symbols: Vec<(u8, u8)>,
    lengths: [u8; 19],
    literals: usize,
    distances: usize,
    /// Lengths of the length code that are sent.
    sent: usize,
}

impl BlockHead {
    /// For the given lengths of the codes of literals (and match lengths) and of distances.
    pub(super) fn new(literal: &[u8; LITERALS], distance: &[u8; DISTANCES]) -> Self {
        let used = |lengths: &[u8], least: usize| {
            lengths.iter().rposition(|&length| length > 0).map_or(least, |last| (last + 1).max(least))
        };
        let (literals, distances) = (used(literal, 257), used(distance, 1));
        let mut sequence = [0u8; LITERALS + DISTANCES];
        sequence[..literals].copy_from_slice(&literal[..literals]);
        sequence[literals..literals + distances].copy_from_slice(&distance[..distances]);
        let symbols = run_lengths(&sequence[..literals + distances]);
        let mut counts = [0u32; 19];
        for &(symbol, _) in &symbols {
            counts[usize::from(symbol)] += 1;
        }
        let lengths = code_lengths(&counts, LENGTH_CODE_LIMIT);
        let sent =
            LENGTH_CODE_ORDER.iter().rposition(|&s| lengths[s] > 0).map_or(4, |last| (last + 1).max(4));
        Self { symbols, lengths, literals, distances, sent }
    }

    /// Bits that [`write`](Self::write) writes.
    pub(super) fn bits(&self) -> u64 {
        let symbols: u64 = self
            .symbols
            .iter()
            .map(|&(symbol, _)| u64::from(self.lengths[usize::from(symbol)]) + u64::from(extra_bits(symbol)))
            .sum();
        3 + 5 + 5 + 4 + 3 * self.sent as u64 + symbols
    }

    /// Writes the head of a dynamic block.
    pub(super) fn write(&self, last: bool, bits: &mut BitWriter<'_>) {
        bits.put(u64::from(last), 1);
        bits.put(0b10, 2);
        bits.put(self.literals as u64 - 257, 5);
        bits.put(self.distances as u64 - 1, 5);
        bits.put(self.sent as u64 - 4, 4);
        bits.flush();
        for &symbol in &LENGTH_CODE_ORDER[..self.sent] {
            bits.put(u64::from(self.lengths[symbol]), 3);
            bits.flush();
        }
        let codes = codes(&self.lengths);
        for &(symbol, extra) in &self.symbols {
            bits.put(u64::from(codes[usize::from(symbol)]), u32::from(self.lengths[usize::from(symbol)]));
            bits.put(u64::from(extra), extra_bits(symbol));
            bits.flush();
        }
    }
}

/// Extra bits behind a symbol of the length alphabet.
const fn extra_bits(symbol: u8) -> u32 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

/// Code lengths in the length alphabet: 16 repeats the previous one 3–6 times, 17 and 18 are 3–10 and 11–138
/// zeros.
fn run_lengths(lengths: &[u8]) -> Vec<(u8, u8)> {
    let mut symbols = Vec::with_capacity(lengths.len());
    for run in lengths.chunk_by(|a, b| a == b) {
        let value = run[0];
        let mut left = run.len();
        if value != 0 {
            symbols.push((value, 0));
            left -= 1;
        }
        while left >= 3 {
            let (symbol, least, most) = match (value, left) {
                (0, 11..) => (18, 11, 138),
                (0, _) => (17, 3, 10),
                _ => (16, 3, 6),
            };
            let taken = left.min(most);
            symbols.push((symbol, (taken - least) as u8));
            left -= taken;
        }
        symbols.extend(std::iter::repeat_n((value, 0), left));
    }
    symbols
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sum of 2^−length over all codes, in units of 2^−15.
    fn kraft(lengths: &[u8]) -> u32 {
        lengths.iter().filter(|&&length| length > 0).map(|&length| 1 << (15 - length)).sum()
    }

    #[test]
    fn lengths_of_a_textbook_example_are_huffman_s() {
        // Merges by hand: 1+1=2, 2+2=4, 3+4=7, 6+7=13.
        assert_eq!(code_lengths(&[1, 1, 2, 3, 6], 15), [4, 4, 3, 2, 1]);
        assert_eq!(code_lengths(&[5, 5, 5, 5], 15), [2, 2, 2, 2]);
        assert_eq!(code_lengths(&[0, 7, 0], 15), [0, 1, 0]);
        assert_eq!(code_lengths(&[0, 7, 9], 15), [0, 1, 1]);
    }

    #[test]
    fn codes_of_the_rfc_example_are_canonical() {
        // RFC 1951, 3.2.2: lengths (3, 3, 3, 3, 3, 2, 4, 4) give 010 011 100 101 110 00 1110 1111.
        let codes = codes(&[3, 3, 3, 3, 3, 2, 4, 4]);
        assert_eq!(codes, [0b010, 0b110, 0b001, 0b101, 0b011, 0b00, 0b0111, 0b1111]);
    }

    #[test]
    fn fibonacci_counts_are_cut_to_the_limit_and_stay_complete() {
        let mut counts = [0u32; 40];
        let (mut a, mut b) = (1, 1);
        for count in &mut counts {
            *count = a;
            (a, b) = (b, a + b);
        }
        for limit in [6, 7, 12, 14, 15] {
            let lengths = code_lengths(&counts, limit);
            assert!(lengths.iter().all(|&length| (1..=limit as u8).contains(&length)));
            assert_eq!(kraft(&lengths), 1 << 15, "limit {limit}");
            assert!(lengths.is_sorted_by(|a, b| a >= b), "rarer symbols have longer codes");
        }
    }

    #[test]
    fn every_number_of_symbols_gives_a_complete_code() {
        for n in 2..=LITERALS {
            let counts: [u32; LITERALS] =
                std::array::from_fn(|i| if i < n { 1 + (i as u32 * 7919) % 1000 } else { 0 });
            assert_eq!(kraft(&code_lengths(&counts, 14)), 1 << 15, "{n} symbols");
        }
    }

    #[test]
    fn code_lengths_are_sent_as_runs() {
        let mut lengths = vec![5; 9];
        lengths.extend([0; 2]);
        lengths.extend([7]);
        lengths.extend([0; 140]);
        assert_eq!(
            run_lengths(&lengths),
            [(5, 0), (16, 3), (5, 0), (5, 0), (0, 0), (0, 0), (7, 0), (18, 127), (0, 0), (0, 0)]
        );
    }
}
