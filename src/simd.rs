//! Run-time choice of the instruction set.
//!
//! Kernels are plain Rust that the compiler vectorises. The same source is compiled twice, for the
//! target's baseline and for AVX2, and the better one is picked when the program runs. Neither build
//! contracts multiplications and additions, so both compute the same bytes.

#![allow(unsafe_code, reason = "calls into code compiled for AVX2, and conversions without a range check")]
#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

pub mod png;

/// A computation that gains from wider vectors. Implement `run` as `#[inline(always)]`, and everything
/// hot below it too: what is not inlined is compiled for the baseline only.
pub trait Kernel {
    /// What it computes.
    type Output;
    /// Computes it.
    fn run(self) -> Self::Output;
}

/// Which build of a kernel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// The one for the target's baseline, on every machine.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests compare it with the best one"))]
    Baseline,
    /// The best one this machine has.
    #[default]
    Best,
}

/// Runs a kernel with the instruction set `level` asks for.
#[inline]
pub fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if level == Level::Best && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as was just asked.
        return unsafe { with_avx2(kernel) };
    }
    let _ = level;
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

/// `value` without its fraction, after clamping to `low..=high`; NaN counts as `low`. Unlike `as`, which checks the
/// range once more, this becomes the one vector instruction. The bounds must lie within ±2147483000.
#[inline(always)]
pub fn truncate_f32(value: f32, low: f32, high: f32) -> i32 {
    debug_assert!(low >= -2_147_483_000.0 && high <= 2_147_483_000.0 && low <= high);
    let low = if low > -2_147_483_000.0 { low } else { -2_147_483_000.0 };
    let high = if high < 2_147_483_000.0 { high } else { 2_147_483_000.0 };
    let value = if value > low { value } else { low };
    let value = if value < high { value } else { high };
    // SAFETY: the value is not NaN, for comparisons with NaN are false, and within the range of i32: the bounds
    // were brought into it above.
    unsafe { value.to_int_unchecked() }
}

/// Like [`truncate_f32`], of a double.
#[inline(always)]
pub fn truncate_f64(value: f64, low: f64, high: f64) -> i32 {
    debug_assert!(low >= -2_147_483_000.0 && high <= 2_147_483_000.0 && low <= high);
    let low = if low > -2_147_483_000.0 { low } else { -2_147_483_000.0 };
    let high = if high < 2_147_483_000.0 { high } else { 2_147_483_000.0 };
    let value = if value > low { value } else { low };
    let value = if value < high { value } else { high };
    // SAFETY: as above.
    unsafe { value.to_int_unchecked() }
}

/// `L` consecutive values from `start` on, zeros beyond the end: one comparison where slicing takes two.
#[inline(always)]
pub fn load<T: Copy + Default, const L: usize>(values: &[T], start: usize) -> [T; L] {
    if start < (values.len() + 1).saturating_sub(L) {
        // SAFETY: start + L ≤ len, as was just asked, and an array has the alignment of its values.
        unsafe { values.as_ptr().add(start).cast::<[T; L]>().read() }
    } else {
        load_end(values, start)
    }
}

#[cold]
#[inline(never)]
fn load_end<T: Copy + Default, const L: usize>(values: &[T], start: usize) -> [T; L] {
    std::array::from_fn(|l| values.get(start.saturating_add(l)).copied().unwrap_or_default())
}

/// 32 pixels' taps: `N` × `N` source pixels each, `B` samples to a pixel.
#[derive(Debug, Clone, Copy)]
pub struct TapRows<'a> {
    /// Pixel-interleaved samples.
    pub samples: &'a [u8],
    /// Samples per row.
    pub stride: usize,
    /// Where the upper left tap of each pixel begins.
    pub starts: &'a [u32; 32],
    /// Pairs of weights in units of 2⁻¹⁴, the first in the lower half: of 2 × 2 taps the upper two, then the lower two;
    /// of 4 × 4 taps the columns' first two and last two, then the rows'.
    pub weights: &'a [[u32; 32]; 4],
}

/// The weighted means of 32 pixels of `B` (3 or 4) samples over `N` × `N` (2 × 2 or 4 × 4) taps, halves up and clamped.
/// The weights of 4 × 4 taps must sum to one on both axes, their magnitudes to less than 1.5; sums over rows are rounded to
/// 1/128 then.
///
/// # Panics
/// When a tap lies beyond the samples or the target does not hold 32 pixels.
#[inline(always)]
pub fn weighted_pixels<const B: usize, const N: usize>(level: Level, rows: &TapRows<'_>, target: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if level == Level::Best && std::arch::is_x86_feature_detected!("avx2") {
        let last = rows.starts.iter().fold(0, |last, &start| last.max(start));
        let reach = (N - 1) * rows.stride + 4 * N;
        if target.len() == 32 * B
            && rows.samples.len() >= reach
            && last as usize <= rows.samples.len() - reach
        {
            // SAFETY: the processor has AVX2; from every start on, `N` rows of 4 · N samples can be read; the target
            // holds 32 pixels.
            unsafe {
                match N {
                    2 => avx2::pixels_2x2::<B>(rows, target),
                    _ => avx2::pixels_4x4::<B>(rows, target),
                }
            }
            return;
        }
    }
    let _ = level;
    assert_eq!(target.len(), 32 * B, "not 32 pixels");
    for (i, pixel) in target.chunks_exact_mut(B).enumerate() {
        let weights = rows.weights.map(|w| w[i]);
        pixel.copy_from_slice(&weighted_pixel::<B, N>(
            rows.samples,
            rows.starts[i] as usize,
            rows.stride,
            weights,
        ));
    }
}

/// One of the pixels of [`weighted_pixels`].
#[inline(always)]
pub fn weighted_pixel<const B: usize, const N: usize>(
    samples: &[u8],
    start: usize,
    stride: usize,
    weights: [u32; 4],
) -> [u8; B] {
    let row = |j: usize| &samples[start + j * stride..][..N * B];
    let [a, b, c, d] = weights.map(|pair| [i32::from(pair as i16), pair as i32 >> 16]);
    let clamp = |sum: i32| sum.clamp(0, 255) as u8;
    if N == 2 {
        let (upper, lower) = (row(0), row(1));
        return std::array::from_fn(|s| {
            let at = |row: &[u8], k: usize| i32::from(row[k * B + s]);
            let sum = at(upper, 0) * a[0] + at(upper, 1) * a[1] + at(lower, 0) * b[0] + at(lower, 1) * b[1];
            clamp((sum + HALF_2X2) >> 14)
        });
    }
    let (x, y) = ([a[0], a[1], b[0], b[1]], [c[0], c[1], d[0], d[1]]);
    let rows: [&[u8]; 4] = std::array::from_fn(row);
    std::array::from_fn(|s| {
        let mut sum = HALF_4X4;
        for (k, weight) in x.into_iter().enumerate() {
            let mut column = HALF_COLUMN;
            for (row, weight) in rows.iter().zip(y) {
                column += i32::from(row[k * B + s]) * weight;
            }
            sum += (column >> 7) * weight;
        }
        clamp(sum >> 21)
    })
}

/// What is added before sums over 2 × 2 taps lose 14 bits.
const HALF_2X2: i32 = 1 << 13;
/// What is added before sums over columns lose 7 bits: a half, and 128 less per sample, so that they fit in 16 bits.
const HALF_COLUMN: i32 = (1 << 6) - (128 << 14);
/// What is added before sums over 4 × 4 taps lose 21 bits: a half, and the 128 that were taken off.
const HALF_4X4: i32 = (1 << 20) + (128 << 21);

/// Means of 2 × 2 pixels of `B` (3 or 4) samples, halves up, as far as whole vectors reach; returns how many samples of
/// the target are done. Without AVX2 none are.
#[inline(always)]
pub fn halve_bytes<const B: usize>(level: Level, upper: &[u8], lower: &[u8], target: &mut [u8]) -> usize {
    #[cfg(target_arch = "x86_64")]
    if level == Level::Best && (B == 3 || B == 4) && std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, as was just asked.
        return unsafe { avx2::halve::<B>(upper, lower, target) };
    }
    let _ = (level, upper, lower, target);
    0
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    #[allow(clippy::wildcard_imports, reason = "some thirty instructions, each named for what it does")]
    use std::arch::x86_64::*;

    use super::{HALF_2X2, HALF_4X4, HALF_COLUMN, TapRows};

    /// Where to find the samples of two neighbouring taps, `first` being the first one's, as pairs of 16-bit integers.
    const fn pairs<const B: usize>(first: i8) -> [i8; 16] {
        let mut mask = [-1; 16];
        let mut s = 0;
        while s < B {
            mask[4 * s] = first + s as i8;
            mask[4 * s + 2] = first + (B + s) as i8;
            s += 1;
        }
        mask
    }

    /// The same of samples that are 16-bit integers already.
    const fn wide_pairs<const B: usize>(first: i8) -> [i8; 16] {
        let mut mask = [-1; 16];
        let mut s = 0;
        while s < B {
            let mut half = 0;
            while half < 2 {
                mask[4 * s + half] = 2 * (first + s as i8) + half as i8;
                mask[4 * s + 2 + half] = 2 * (first + (B + s) as i8) + half as i8;
                half += 1;
            }
            s += 1;
        }
        mask
    }

    #[target_feature(enable = "avx2")]
    fn vector(low: [i8; 16], high: [i8; 16]) -> __m256i {
        let half = |m: [i8; 16]| {
            // SAFETY: an array of 16 bytes.
            unsafe { _mm_loadu_si128(m.as_ptr().cast()) }
        };
        _mm256_set_m128i(half(high), half(low))
    }

    /// Eight weights from `first` on.
    #[target_feature(enable = "avx2")]
    fn eight(weights: &[u32; 32], first: usize) -> __m256i {
        let weights = &weights[first..first + 8];
        // SAFETY: eight integers.
        unsafe { _mm256_loadu_si256(weights.as_ptr().cast()) }
    }

    /// Puts eight pixels into place: `sums[k]` holds the samples of pixel k, then those of pixel k + 4.
    #[target_feature(enable = "avx2")]
    fn store<const B: usize>(sums: [__m256i; 4], target: &mut [u8]) {
        const DENSE: [i8; 16] = [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1];
        let words = [_mm256_packs_epi32(sums[0], sums[1]), _mm256_packs_epi32(sums[2], sums[3])];
        let bytes = _mm256_packus_epi16(words[0], words[1]);
        let bytes = if B == 3 { _mm256_shuffle_epi8(bytes, vector(DENSE, DENSE)) } else { bytes };
        store_dense::<B>(bytes, target);
    }

    /// Stores 4 · B bytes of either half.
    #[target_feature(enable = "avx2")]
    fn store_dense<const B: usize>(bytes: __m256i, target: &mut [u8]) {
        let target = &mut target[..8 * B];
        if B == 4 {
            // SAFETY: the target holds 32 bytes.
            unsafe { _mm256_storeu_si256(target.as_mut_ptr().cast(), bytes) };
            return;
        }
        let dense = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7));
        // SAFETY: the target holds 24 bytes.
        unsafe {
            _mm_storeu_si128(target.as_mut_ptr().cast(), _mm256_castsi256_si128(dense));
            _mm_storel_epi64(target.as_mut_ptr().add(16).cast(), _mm256_extracti128_si256::<1>(dense));
        }
    }

    /// Where the samples of two pairs of pixels lie, those of a pair next to each other.
    const fn neighbours<const B: usize>() -> [i8; 16] {
        let mut mask = [-1; 16];
        let mut s = 0;
        while s < 2 * B {
            mask[2 * s] = (s / B * 2 * B + s % B) as i8;
            mask[2 * s + 1] = mask[2 * s] + B as i8;
            s += 1;
        }
        mask
    }

    /// Eight pixels at a time (see [`halve_bytes`](super::halve_bytes)).
    #[target_feature(enable = "avx2")]
    pub fn halve<const B: usize>(upper: &[u8], lower: &[u8], target: &mut [u8]) -> usize {
        const DENSE: [i8; 16] = [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, -1, -1, -1, -1];
        let (neighbours, dense) = (vector(neighbours::<B>(), neighbours::<B>()), vector(DENSE, DENSE));
        let (ones, two) = (_mm256_set1_epi8(1), _mm256_set1_epi16(2));
        // The last of four vectors begins after 12 · B samples.
        let reach = 12 * B + 16;
        let length = upper.len().min(lower.len());
        let mut done = 0;
        while 2 * done + reach <= length && done + 8 * B <= target.len() {
            // No combinators that take closures: they are not compiled for AVX2, and so nothing is inlined into them.
            let (upper, lower) = (&upper[2 * done..][..reach], &lower[2 * done..][..reach]);
            let target = &mut target[done..][..8 * B];
            let pairs = |row: &[u8], first: usize| {
                let (near, far) = (&row[first..first + 16], &row[first + 8 * B..first + 8 * B + 16]);
                // SAFETY: 16 bytes each.
                let both = unsafe {
                    _mm256_set_m128i(
                        _mm_loadu_si128(far.as_ptr().cast()),
                        _mm_loadu_si128(near.as_ptr().cast()),
                    )
                };
                _mm256_maddubs_epi16(_mm256_shuffle_epi8(both, neighbours), ones)
            };
            let quarter = |first: usize| {
                let sum = _mm256_add_epi16(pairs(upper, first), pairs(lower, first));
                _mm256_srli_epi16::<2>(_mm256_add_epi16(sum, two))
            };
            let bytes = _mm256_packus_epi16(quarter(0), quarter(4 * B));
            store_dense::<B>(if B == 3 { _mm256_shuffle_epi8(bytes, dense) } else { bytes }, target);
            done += 8 * B;
        }
        done
    }

    /// # Safety
    /// From every start on, two rows of 8 samples can be read.
    #[target_feature(enable = "avx2")]
    pub unsafe fn pixels_2x2<const B: usize>(rows: &TapRows<'_>, target: &mut [u8]) {
        let (upper, lower) = (vector(pairs::<B>(0), pairs::<B>(0)), vector(pairs::<B>(8), pairs::<B>(8)));
        let half = _mm256_set1_epi32(HALF_2X2);
        let samples = rows.samples.as_ptr();
        let taps = |i: usize| {
            // SAFETY: as the caller promises.
            unsafe {
                let at = samples.add(rows.starts[i] as usize);
                let upper = _mm_loadl_epi64(at.cast());
                _mm_unpacklo_epi64(upper, _mm_loadl_epi64(at.add(rows.stride).cast()))
            }
        };
        for (target, first) in target.chunks_exact_mut(8 * B).zip((0..32).step_by(8)) {
            let (wu, wl) = (eight(&rows.weights[0], first), eight(&rows.weights[1], first));
            let sum = |k: usize, wu: __m256i, wl: __m256i| {
                let both = _mm256_set_m128i(taps(first + k + 4), taps(first + k));
                let up = _mm256_madd_epi16(_mm256_shuffle_epi8(both, upper), wu);
                let low = _mm256_madd_epi16(_mm256_shuffle_epi8(both, lower), wl);
                _mm256_srai_epi32::<14>(_mm256_add_epi32(_mm256_add_epi32(up, low), half))
            };
            let sums = [
                sum(0, _mm256_shuffle_epi32::<0x00>(wu), _mm256_shuffle_epi32::<0x00>(wl)),
                sum(1, _mm256_shuffle_epi32::<0x55>(wu), _mm256_shuffle_epi32::<0x55>(wl)),
                sum(2, _mm256_shuffle_epi32::<0xaa>(wu), _mm256_shuffle_epi32::<0xaa>(wl)),
                sum(3, _mm256_shuffle_epi32::<0xff>(wu), _mm256_shuffle_epi32::<0xff>(wl)),
            ];
            store::<B>(sums, target);
        }
    }

    /// # Safety
    /// From every start on, four rows of 16 samples can be read.
    #[target_feature(enable = "avx2")]
    pub unsafe fn pixels_4x4<const B: usize>(rows: &TapRows<'_>, target: &mut [u8]) {
        // The last two columns begin at sample 2 · B: of three bands that is sample 2 of the upper half after it was
        // moved to begin with sample 4.
        let pairs = vector(wide_pairs::<B>(0), wide_pairs::<B>(if B == 3 { 2 } else { 0 }));
        let (half_column, half) = (_mm256_set1_epi32(HALF_COLUMN), _mm256_set1_epi32(HALF_4X4));
        let samples = rows.samples.as_ptr();
        // The products of one pixel's columns: first two in the lower half, last two in the upper.
        let products = |i: usize| {
            // SAFETY: as the caller promises.
            let row = |j: usize| unsafe {
                _mm256_cvtepu8_epi16(_mm_loadu_si128(
                    samples.add(rows.starts[i] as usize + j * rows.stride).cast(),
                ))
            };
            let weight = |k: usize| _mm256_set1_epi32(rows.weights[k][i] as i32);
            let (x0, x1, y0, y1) = (weight(0), weight(1), weight(2), weight(3));
            let (r0, r1, r2, r3) = (row(0), row(1), row(2), row(3));
            let low0 = _mm256_madd_epi16(_mm256_unpacklo_epi16(r0, r1), y0);
            let low1 = _mm256_madd_epi16(_mm256_unpacklo_epi16(r2, r3), y1);
            let high0 = _mm256_madd_epi16(_mm256_unpackhi_epi16(r0, r1), y0);
            let high1 = _mm256_madd_epi16(_mm256_unpackhi_epi16(r2, r3), y1);
            let low = _mm256_add_epi32(_mm256_add_epi32(low0, low1), half_column);
            let high = _mm256_add_epi32(_mm256_add_epi32(high0, high1), half_column);
            let columns = _mm256_packs_epi32(_mm256_srai_epi32::<7>(low), _mm256_srai_epi32::<7>(high));
            let columns = if B == 3 { _mm256_permute4x64_epi64::<0b10_01_01_00>(columns) } else { columns };
            _mm256_madd_epi16(_mm256_shuffle_epi8(columns, pairs), _mm256_blend_epi32::<0xf0>(x0, x1))
        };
        for (target, first) in target.chunks_exact_mut(8 * B).zip((0..32).step_by(8)) {
            let sum = |k: usize| {
                let (near, far) = (products(first + k), products(first + k + 4));
                let left = _mm256_permute2x128_si256::<0x20>(near, far);
                let right = _mm256_permute2x128_si256::<0x31>(near, far);
                _mm256_srai_epi32::<21>(_mm256_add_epi32(_mm256_add_epi32(left, right), half))
            };
            // Not by `map`: what passes through code that is not compiled for AVX2 is not inlined.
            store::<B>([sum(0), sum(1), sum(2), sum(3)], target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that look random.
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 7u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..count).map(next).collect()
    }

    fn builds_agree<const B: usize, const N: usize>(weights: [[i32; 4]; 2]) {
        const STRIDE: usize = 160;
        let samples = noise(4 * STRIDE + 16);
        let starts = std::array::from_fn(|i| (i * B + i % 2) as u32);
        let pair = |k: usize| {
            let axis = weights[k / 2];
            (axis[k % 2 * 2] & 0xffff) as u32 | (axis[k % 2 * 2 + 1] << 16) as u32
        };
        let weights = std::array::from_fn(|k| [pair(k); 32]);
        let rows = TapRows { samples: &samples, stride: STRIDE, starts: &starts, weights: &weights };
        let [mut plain, mut best] = [vec![0; 32 * B], vec![1; 32 * B]];
        weighted_pixels::<B, N>(Level::Baseline, &rows, &mut plain);
        weighted_pixels::<B, N>(Level::Best, &rows, &mut best);
        assert_eq!(plain, best);
    }

    #[test]
    fn weighted_pixels_are_the_same_with_any_instruction_set() {
        let two = [[9000, 3000, 4000, 384], [0; 4]];
        let four = [[-1000, 9000, 9384, -1000], [-1500, 17000, 1884, -1000]];
        builds_agree::<3, 2>(two);
        builds_agree::<4, 2>(two);
        builds_agree::<3, 4>(four);
        builds_agree::<4, 4>(four);
    }

    #[test]
    fn loads_end_with_zeros() {
        let values = [1u16, 2, 3, 4, 5];
        assert_eq!(load(&values, 0), [1, 2, 3, 4, 5]);
        assert_eq!(load(&values, 1), [2, 3, 4, 5]);
        assert_eq!(load(&values, 2), [3, 4, 5, 0]);
        assert_eq!(load(&values, 5), [0, 0]);
        assert_eq!(load(&values, usize::MAX), [0, 0]);
        assert_eq!(load(&values, 0), [1, 2, 3, 4, 5, 0]);
        assert_eq!(load::<u8, 1>(&[], 0), [0]);
    }

    #[test]
    fn truncation_clamps_and_takes_nan_to_the_lower_bound() {
        assert_eq!(truncate_f32(-7.9, -100.0, 100.0), -7);
        assert_eq!(truncate_f32(1e30, 0.0, 255.0), 255);
        assert_eq!(truncate_f32(f32::NAN, 3.0, 255.0), 3);
        assert_eq!(truncate_f64(-1e300, -1e9, 1e9), -1_000_000_000);
        assert_eq!(truncate_f64(f64::NAN, -1.0, 1e9), -1);
    }
}
