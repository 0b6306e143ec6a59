//! The two loops that PNG tiles spend their time in: filters of a row, and literals under a prefix code.
//!
//! Both have plain doubles beside their callers, and compute the same bytes.

use super::Level;

/// Filters a row by Average and by Paeth, `PIXEL` bytes from a pixel to its neighbour, and returns the sums of absolute
/// values that each leaves. All slices have the length of the row. `None`, and nothing useful written, without AVX2 or
/// on short rows.
#[inline]
pub fn average_and_paeth(
    level: Level,
    pixel: usize,
    row: &[u8],
    above: &[u8],
    average: &mut [u8],
    paeth: &mut [u8],
) -> Option<[u64; 2]> {
    #[cfg(target_arch = "x86_64")]
    if level.allowed() != Level::Baseline && std::arch::is_x86_feature_detected!("avx2") {
        let n = row.len();
        let same = above.len() == n && average.len() == n && paeth.len() == n;
        if same && (1..=32).contains(&pixel) && n >= pixel + 32 {
            // SAFETY: the processor has AVX2; all slices are as long as the row, which holds a pixel and 32 bytes.
            return Some(unsafe { x86::average_and_paeth(pixel, row, above, average, paeth) });
        }
    }
    let _ = (level, pixel, row, above, average, paeth);
    None
}

/// Codes of the 256 literals, at most 14 bits each, the first bit lowest.
#[derive(Debug, Clone)]
pub struct LiteralCodes {
    /// Bits of each code.
    pub lengths: [u8; 256],
    /// Lower halves of the codes.
    pub low: [u8; 256],
    /// Upper halves of the codes.
    pub high: [u8; 256],
}

/// A stream of bits, lowest first, of which whole bytes are in `out`.
#[derive(Debug)]
pub struct BitStream<'a> {
    /// Where bytes go.
    pub out: &'a mut [u8],
    /// Bytes that are complete.
    pub position: usize,
    /// Bits that are not.
    pub accumulator: u64,
    /// Their number, less than 8.
    pub waiting: u32,
}

/// Writes codes of `bytes` as far as whole vectors reach; returns how many bytes are done. Without AVX-512 VBMI none are.
#[inline]
pub fn write_literals(level: Level, bytes: &[u8], codes: &LiteralCodes, stream: &mut BitStream<'_>) -> usize {
    #[cfg(target_arch = "x86_64")]
    if level.allowed() == Level::Best
        && std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512vbmi")
        && stream.waiting < 8
    {
        // SAFETY: the processor has these instructions, as was just asked.
        return unsafe { x86::write_literals(bytes, codes, stream) };
    }
    let _ = (level, bytes, codes, stream);
    0
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #[allow(clippy::wildcard_imports, reason = "some fifty instructions, each named for what it does")]
    use std::arch::x86_64::*;

    use super::{BitStream, LiteralCodes};

    /// # Safety
    /// The slices are equally long, `pixel` and 32 bytes or more; `pixel` is not 0.
    #[target_feature(enable = "avx2")]
    pub unsafe fn average_and_paeth(
        pixel: usize,
        row: &[u8],
        above: &[u8],
        average: &mut [u8],
        paeth: &mut [u8],
    ) -> [u64; 2] {
        /// Zeros, then ones: from 32 − n on, n zeros come first.
        const COUNTED: [u8; 64] = {
            let mut mask = [0; 64];
            let mut i = 32;
            while i < 64 {
                mask[i] = 0xff;
                i += 1;
            }
            mask
        };
        let n = row.len();
        let mut edge = [0u64; 2];
        for i in 0..pixel {
            average[i] = row[i].wrapping_sub(above[i] >> 1);
            paeth[i] = row[i].wrapping_sub(above[i]);
            edge[0] += u64::from(average[i].min(average[i].wrapping_neg()));
            edge[1] += u64::from(paeth[i].min(paeth[i].wrapping_neg()));
        }
        let zero = _mm256_setzero_si256();
        let one = _mm256_set1_epi8(1);
        let mut costs = [zero; 2];
        let mut i = pixel;
        let mut counted = _mm256_set1_epi8(-1);
        loop {
            // SAFETY: pixel ≤ i ≤ n − 32.
            let (x, left, up, corner) = unsafe {
                (
                    _mm256_loadu_si256(row.as_ptr().add(i).cast()),
                    _mm256_loadu_si256(row.as_ptr().add(i - pixel).cast()),
                    _mm256_loadu_si256(above.as_ptr().add(i).cast()),
                    _mm256_loadu_si256(above.as_ptr().add(i - pixel).cast()),
                )
            };
            let odd = _mm256_and_si256(_mm256_xor_si256(left, up), one);
            let mean = _mm256_sub_epi8(_mm256_avg_epu8(left, up), odd);
            let nearest = predict_paeth(left, up, corner);
            let residuals = [_mm256_sub_epi8(x, mean), _mm256_sub_epi8(x, nearest)];
            // SAFETY: i ≤ n − 32.
            unsafe {
                _mm256_storeu_si256(average.as_mut_ptr().add(i).cast(), residuals[0]);
                _mm256_storeu_si256(paeth.as_mut_ptr().add(i).cast(), residuals[1]);
            }
            for k in 0..2 {
                let size = _mm256_and_si256(_mm256_abs_epi8(residuals[k]), counted);
                costs[k] = _mm256_add_epi64(costs[k], _mm256_sad_epu8(size, zero));
            }
            if i == n - 32 {
                break;
            }
            i += 32;
            if i > n - 32 {
                // The last vector ends with the row; what it shares with the one before counts once.
                let shared = i - (n - 32);
                i = n - 32;
                // SAFETY: shared is in 1..32.
                counted = unsafe { _mm256_loadu_si256(COUNTED.as_ptr().add(32 - shared).cast()) };
            }
        }
        let total = |sums: __m256i| {
            let pair = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
            _mm_cvtsi128_si64(_mm_add_epi64(pair, _mm_unpackhi_epi64(pair, pair))) as u64
        };
        [edge[0] + total(costs[0]), edge[1] + total(costs[1])]
    }

    /// Paeth's predictor without leaving 8 bits; for why see the plain one, beside the filters.
    #[target_feature(enable = "avx2")]
    fn predict_paeth(left: __m256i, up: __m256i, corner: __m256i) -> __m256i {
        let (low, high) = (_mm256_min_epu8(left, up), _mm256_max_epu8(left, up));
        let to_left = distance(up, corner);
        let to_up = distance(left, corner);
        let nearer_by = _mm256_min_epu8(to_left, to_up);
        let nearer = _mm256_blendv_epi8(up, left, _mm256_cmpeq_epi8(nearer_by, to_left));
        let between = _mm256_cmpeq_epi8(_mm256_min_epu8(_mm256_max_epu8(corner, low), high), corner);
        let to_corner = distance(to_left, to_up);
        let not_closer = _mm256_cmpeq_epi8(_mm256_max_epu8(to_corner, nearer_by), to_corner);
        _mm256_blendv_epi8(nearer, corner, _mm256_andnot_si256(not_closer, between))
    }

    /// Absolute differences.
    #[target_feature(enable = "avx2")]
    fn distance(a: __m256i, b: __m256i) -> __m256i {
        _mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a))
    }

    /// A table of 256 bytes.
    #[derive(Clone, Copy)]
    struct Table([__m512i; 4]);

    impl Table {
        #[target_feature(enable = "avx512f")]
        fn new(bytes: &[u8; 256]) -> Self {
            let at = |i: usize| {
                // SAFETY: i + 64 ≤ 256.
                unsafe { _mm512_loadu_si512(bytes.as_ptr().add(i).cast()) }
            };
            Self([at(0), at(64), at(128), at(192)])
        }

        /// The entries of 64 bytes, of which those from 128 on are in `upper`.
        #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
        fn look_up(&self, bytes: __m512i, upper: __mmask64) -> __m512i {
            let Self([a, b, c, d]) = *self;
            _mm512_mask_blend_epi8(
                upper,
                _mm512_permutex2var_epi8(a, bytes, b),
                _mm512_permutex2var_epi8(c, bytes, d),
            )
        }
    }

    /// Strings of four codes in lanes of 64 bits with their lengths, from codes of 16 bits with theirs. The first of two
    /// neighbours is moved up until it touches the second, then both are moved down.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn join(codes: __m512i, lengths: __m512i) -> (__m512i, __m512i) {
        let up = _mm512_maskz_sub_epi16(0x5555_5555, _mm512_set1_epi16(16), lengths);
        let pairs = _mm512_srlv_epi32(_mm512_sllv_epi16(codes, up), up);
        let lengths = _mm512_madd_epi16(lengths, _mm512_set1_epi16(1));
        let up = _mm512_maskz_sub_epi32(0x5555, _mm512_set1_epi32(32), lengths);
        let quads = _mm512_srlv_epi64(_mm512_sllv_epi32(pairs, up), up);
        let lengths = _mm512_add_epi32(lengths, _mm512_srli_epi64::<32>(lengths));
        (quads, _mm512_and_si512(lengths, _mm512_set1_epi64(0xff)))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub fn write_literals(bytes: &[u8], codes: &LiteralCodes, stream: &mut BitStream<'_>) -> usize {
        /// Bytes that the codes of 64 literals and a flush may touch.
        const REACH: usize = 64 * 14 / 8 + 16;
        let lengths = Table::new(&codes.lengths);
        let (low, high) = (Table::new(&codes.low), Table::new(&codes.high));
        let zero = _mm512_setzero_si512();
        let (mut accumulator, mut waiting) = (stream.accumulator, u64::from(stream.waiting));
        let mut position = stream.position;
        let (chunks, _) = bytes.as_chunks::<64>();
        let mut done = 0;
        for chunk in chunks {
            if position + REACH > stream.out.len() {
                break;
            }
            // SAFETY: 64 bytes.
            let v = unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) };
            let upper = _mm512_movepi8_mask(v);
            let bits = lengths.look_up(v, upper);
            let (low, high) = (low.look_up(v, upper), high.look_up(v, upper));
            // Literals 0–7 of each 16, and 8–15.
            let near = join(_mm512_unpacklo_epi8(low, high), _mm512_unpacklo_epi8(bits, zero));
            let far = join(_mm512_unpackhi_epi8(low, high), _mm512_unpackhi_epi8(bits, zero));
            // Of each lane of 128 bits: first quads, second quads.
            let firsts = [_mm512_unpacklo_epi64(near.0, far.0), _mm512_unpacklo_epi64(near.1, far.1)];
            let seconds = [_mm512_unpackhi_epi64(near.0, far.0), _mm512_unpackhi_epi64(near.1, far.1)];
            let octets_bits = _mm512_add_epi64(firsts[1], seconds[1]);
            let mut put = |value: u64, bits: u64| {
                accumulator |= value << waiting;
                // SAFETY: `REACH` bytes from the first position on are in the slice, and 64 codes of 14 bits move it by
                // no more than 112.
                unsafe {
                    stream.out.as_mut_ptr().add(position).cast::<u64>().write_unaligned(accumulator.to_le());
                }
                waiting += bits;
                position += (waiting >> 3) as usize;
                accumulator >>= waiting & !7;
                waiting &= 7;
            };
            if _mm512_cmpgt_epu64_mask(octets_bits, _mm512_set1_epi64(56)) == 0 {
                let octets = _mm512_or_si512(firsts[0], _mm512_sllv_epi64(seconds[0], firsts[1]));
                let (values, counts) = (lanes(octets), lanes(octets_bits));
                for k in 0..8 {
                    put(values[k], counts[k]);
                }
            } else {
                let [f, fb, s, sb] =
                    [lanes(firsts[0]), lanes(firsts[1]), lanes(seconds[0]), lanes(seconds[1])];
                for k in 0..8 {
                    put(f[k], fb[k]);
                    put(s[k], sb[k]);
                }
            }
            done += 64;
        }
        (stream.accumulator, stream.waiting, stream.position) = (accumulator, waiting as u32, position);
        done
    }

    #[target_feature(enable = "avx512f")]
    fn lanes(vector: __m512i) -> [u64; 8] {
        let mut lanes = [0; 8];
        // SAFETY: 64 bytes.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), vector) };
        lanes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that look random, few of them large.
    fn bytes(count: usize, mut state: u64) -> Vec<u8> {
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (value, shift) = ((state >> 40) as u8, state >> 60);
            if shift < 8 { value >> shift } else { value }
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn literals_of_any_length_are_written_as_one_by_one() {
        for longest in [1, 3, 6, 7, 8, 11, 14] {
            let lengths: [u8; 256] = std::array::from_fn(|i| 1 + (i * 7 % longest) as u8);
            let code = |i: usize| (i as u16).wrapping_mul(40_503) & ((1 << lengths[i]) - 1);
            let codes = LiteralCodes {
                lengths,
                low: std::array::from_fn(|i| code(i) as u8),
                high: std::array::from_fn(|i| (code(i) >> 8) as u8),
            };
            let data = bytes(1000, longest as u64);
            let mut out = vec![0; 2000];
            let mut stream = BitStream { out: &mut out, position: 2, accumulator: 0b101, waiting: 3 };
            let done = write_literals(Level::Best, &data, &codes, &mut stream);
            let (position, accumulator, waiting) = (stream.position, stream.accumulator, stream.waiting);
            assert!(done == 0 || done == 960, "all whole vectors");
            assert_eq!(write_literals(Level::Baseline, &data, &codes, &mut stream), 0);
            // A bit at a time.
            let mut bits = vec![true, false, true];
            for &byte in &data[..done] {
                let (code, length) = (code(usize::from(byte)), lengths[usize::from(byte)]);
                bits.extend((0..length).map(|bit| code >> bit & 1 == 1));
            }
            assert_eq!((position - 2) * 8 + waiting as usize, bits.len());
            for (i, bit) in bits.into_iter().enumerate() {
                let byte = if i / 8 < position - 2 { u64::from(out[2 + i / 8]) } else { accumulator };
                assert_eq!(byte >> (i % 8) & 1 == 1, bit, "bit {i} with codes up to {longest} bits");
            }
        }
    }

    #[test]
    fn vectors_end_before_the_room_does() {
        let codes = LiteralCodes { lengths: [14; 256], low: [0xff; 256], high: [0x3f; 256] };
        let mut out = vec![0; 400];
        let mut stream = BitStream { out: &mut out, position: 0, accumulator: 0, waiting: 0 };
        assert!(write_literals(Level::Best, &[7; 1000], &codes, &mut stream) < 320);
    }
}
