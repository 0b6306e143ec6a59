//! Sums and means with AVX2.

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

/// Eight integers from `first` on.
#[target_feature(enable = "avx2")]
fn eight(values: &[u32; 32], first: usize) -> __m256i {
    let values = &values[first..first + 8];
    // SAFETY: eight integers.
    unsafe { _mm256_loadu_si256(values.as_ptr().cast()) }
}

/// Where the samples of eight pixels' upper left taps begin.
#[target_feature(enable = "avx2")]
fn starts<const B: usize>(rows: &TapRows<'_>, first: usize) -> [u32; 8] {
    let lines = _mm256_mullo_epi32(eight(rows.rows, first), _mm256_set1_epi32(rows.stride as i32));
    let columns = _mm256_mullo_epi32(eight(rows.columns, first), _mm256_set1_epi32(B as i32));
    let mut starts = [0; 8];
    // SAFETY: eight integers.
    unsafe { _mm256_storeu_si256(starts.as_mut_ptr().cast(), _mm256_add_epi32(lines, columns)) };
    starts
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
                _mm256_set_m128i(_mm_loadu_si128(far.as_ptr().cast()), _mm_loadu_si128(near.as_ptr().cast()))
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

/// Sums as many pixels as the target holds, in eights, from the pixel `from` on.
///
/// # Safety
/// From every start on, two rows of 8 samples can be read.
#[target_feature(enable = "avx2")]
pub unsafe fn pixels_2x2<const B: usize>(rows: &TapRows<'_>, from: usize, target: &mut [u8]) {
    let (upper, lower) = (vector(pairs::<B>(0), pairs::<B>(0)), vector(pairs::<B>(8), pairs::<B>(8)));
    let half = _mm256_set1_epi32(HALF_2X2);
    let samples = rows.samples.as_ptr();
    let taps = |start: u32| {
        // SAFETY: as the caller promises.
        unsafe {
            let at = samples.add(start as usize);
            let upper = _mm_loadl_epi64(at.cast());
            _mm_unpacklo_epi64(upper, _mm_loadl_epi64(at.add(rows.stride).cast()))
        }
    };
    for (target, first) in target.chunks_exact_mut(8 * B).zip((from..32).step_by(8)) {
        let starts = starts::<B>(rows, first);
        let (wu, wl) = (eight(&rows.weights[0], first), eight(&rows.weights[1], first));
        let sum = |k: usize, wu: __m256i, wl: __m256i| {
            let both = _mm256_set_m128i(taps(starts[k + 4]), taps(starts[k]));
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

/// Sums as many pixels as the target holds, in eights, from the pixel `from` on.
///
/// # Safety
/// From every start on, four rows of 16 samples can be read.
#[target_feature(enable = "avx2")]
pub unsafe fn pixels_4x4<const B: usize>(rows: &TapRows<'_>, from: usize, target: &mut [u8]) {
    // The last two columns begin at sample 2 · B: of three bands that is sample 2 of the upper half after it was
    // moved to begin with sample 4.
    let pairs = vector(wide_pairs::<B>(0), wide_pairs::<B>(if B == 3 { 2 } else { 0 }));
    let (half_column, half) = (_mm256_set1_epi32(HALF_COLUMN), _mm256_set1_epi32(HALF_4X4));
    let samples = rows.samples.as_ptr();
    // The products of one pixel's columns: first two in the lower half, last two in the upper.
    let products = |start: u32, i: usize| {
        // SAFETY: as the caller promises.
        let row = |j: usize| unsafe {
            _mm256_cvtepu8_epi16(_mm_loadu_si128(samples.add(start as usize + j * rows.stride).cast()))
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
    for (target, first) in target.chunks_exact_mut(8 * B).zip((from..32).step_by(8)) {
        let starts = starts::<B>(rows, first);
        let sum = |k: usize| {
            let (near, far) = (products(starts[k], first + k), products(starts[k + 4], first + k + 4));
            let left = _mm256_permute2x128_si256::<0x20>(near, far);
            let right = _mm256_permute2x128_si256::<0x31>(near, far);
            _mm256_srai_epi32::<21>(_mm256_add_epi32(_mm256_add_epi32(left, right), half))
        };
        // Not by `map`: what passes through code that is not compiled for AVX2 is not inlined.
        store::<B>([sum(0), sum(1), sum(2), sum(3)], target);
    }
}
