//! Positions, weights and sums with AVX-512, 16 pixels at a time, a band at a time.
//!
//! A lane holds a pixel. The samples of neighbouring pixels lie next to each other in a few registers, from which a
//! permutation of bytes brings the pair that a lane needs; nothing is loaded pixel by pixel.

#[allow(clippy::wildcard_imports, reason = "some forty instructions, each named for what it does")]
use std::arch::x86_64::*;

use super::{HALF_2X2, HALF_4X4, HALF_COLUMN, Kernel, TapRows, avx2};

/// The lower byte of each 16-bit integer.
const EVEN: __mmask64 = 0x5555_5555_5555_5555;
/// The lowest byte of each lane.
const FIRST: __mmask64 = 0x1111_1111_1111_1111;
/// The third byte of each lane.
const THIRD: __mmask64 = 0x4444_4444_4444_4444;

/// Runs a kernel compiled for these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}

/// 64 bytes from `start` on, zeros beyond the end.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn bytes(samples: &[u8], start: usize) -> __m512i {
    let rest = samples.len().saturating_sub(start);
    if rest >= 64 {
        // SAFETY: 64 bytes can be read there.
        unsafe { _mm512_loadu_si512(samples.as_ptr().add(start).cast()) }
    } else {
        // SAFETY: no byte is touched that the mask leaves out.
        unsafe { _mm512_maskz_loadu_epi8((1 << rest) - 1, samples.as_ptr().wrapping_add(start).cast()) }
    }
}

/// 16 integers from `first` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn sixteen(values: &[u32; 32], first: usize) -> __m512i {
    let values = &values[first..first + 16];
    // SAFETY: 16 integers.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

/// Stores 16 integers from `first` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn keep(values: &mut [u32; 32], first: usize, integers: __m512i) {
    let values = &mut values[first..first + 16];
    // SAFETY: 16 integers.
    unsafe { _mm512_storeu_si512(values.as_mut_ptr().cast(), integers) }
}

/// Where the taps of 16 pixels lie.
struct Group {
    /// Where the samples of the leftmost and uppermost tap begin.
    start: usize,
    /// Columns from there.
    columns: __m512i,
    /// The largest of them.
    reach: usize,
    /// The pixels that begin one row further down.
    second: __mmask16,
}

/// Finds 16 pixels whose first taps lie in one row or two neighbouring ones, at most 31 columns apart.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn group<const B: usize>(rows: &TapRows<'_>, first: usize) -> Option<Group> {
    let (columns, lines) = (&rows.columns[first..first + 16], &rows.rows[first..first + 16]);
    // In nearly all maps the outermost pixels are the first and the last.
    let (left, right) = (columns[0].min(columns[15]), columns[0].max(columns[15]));
    let top = lines[0].min(lines[15]);
    let columns = _mm512_sub_epi32(sixteen(rows.columns, first), _mm512_set1_epi32(left as i32));
    let lines = _mm512_sub_epi32(sixteen(rows.rows, first), _mm512_set1_epi32(top as i32));
    let reach = right - left;
    let near = _mm512_cmple_epu32_mask(columns, _mm512_set1_epi32(reach as i32))
        & _mm512_cmple_epu32_mask(lines, _mm512_set1_epi32(1));
    if near != 0xffff || reach > 31 {
        return None;
    }
    let second = _mm512_test_epi32_mask(lines, lines);
    let start = top as usize * rows.stride + left as usize * B;
    Some(Group { start, columns, reach: reach as usize, second })
}

/// The samples of a row from the first tap on.
type Row = [__m512i; 2];

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn row<const R: usize>(rows: &TapRows<'_>, start: usize) -> Row {
    let low = bytes(rows.samples, start);
    [low, if R == 2 { bytes(rows.samples, start + 64) } else { low }]
}

/// The samples of a row at two indices each.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn across<const R: usize>(row: Row, index: __m512i) -> __m512i {
    if R == 1 {
        _mm512_maskz_permutexvar_epi8(EVEN, index, row[0])
    } else {
        _mm512_maskz_permutex2var_epi8(EVEN, row[0], index, row[1])
    }
}

/// The samples of two rows at the same index.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn down<const R: usize>(upper: Row, lower: Row, index: __m512i) -> __m512i {
    if R == 1 {
        let index = _mm512_add_epi32(index, _mm512_set1_epi32(64 << 16));
        _mm512_maskz_permutex2var_epi8(EVEN, upper[0], index, lower[0])
    } else {
        let upper = _mm512_maskz_permutex2var_epi8(FIRST, upper[0], index, upper[1]);
        let lower = _mm512_maskz_permutex2var_epi8(THIRD, lower[0], index, lower[1]);
        _mm512_or_si512(upper, lower)
    }
}

/// Where a byte of 16 pixels lies when each quarter holds four pixels, band by band.
const fn places<const B: usize>() -> [u8; 64] {
    let mut places = [0; 64];
    let mut i = 0;
    while i < 16 * B {
        let (pixel, band) = (i / B, i % B);
        places[i] = (pixel / 4 * 16 + band * 4 + pixel % 4) as u8;
        i += 1;
    }
    places
}

/// Clamps the bands of 16 pixels to bytes and puts them into place.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn store<const B: usize>(bands: [__m512i; 4], target: &mut [u8]) {
    let target = &mut target[..16 * B];
    let places = const { &places::<B>() };
    // SAFETY: 64 bytes.
    let places = unsafe { _mm512_loadu_si512(places.as_ptr().cast()) };
    let words = [_mm512_packs_epi32(bands[0], bands[1]), _mm512_packs_epi32(bands[2], bands[3])];
    let bytes = _mm512_permutexvar_epi8(places, _mm512_packus_epi16(words[0], words[1]));
    // SAFETY: the target holds 64 bytes, or 48.
    unsafe {
        if B == 4 {
            _mm512_storeu_si512(target.as_mut_ptr().cast(), bytes);
        } else {
            _mm256_storeu_si256(target.as_mut_ptr().cast(), _mm512_castsi512_si256(bytes));
            _mm_storeu_si128(target.as_mut_ptr().add(32).cast(), _mm512_extracti32x4_epi32::<2>(bytes));
        }
    }
}

/// See [`weighted_pixels`](super::weighted_pixels).
///
/// # Safety
/// That of [`avx2::pixels_2x2`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub unsafe fn pixels_2x2<const B: usize>(rows: &TapRows<'_>, target: &mut [u8]) {
    for (target, first) in target.chunks_exact_mut(16 * B).zip([0, 16]) {
        match group::<B>(rows, first) {
            Some(group) if (group.reach + 2) * B <= 64 => group_2x2::<B, 1>(rows, first, &group, target),
            Some(group) if (group.reach + 2) * B <= 128 => group_2x2::<B, 2>(rows, first, &group, target),
            // SAFETY: as the caller promises.
            _ => unsafe { avx2::pixels_2x2::<B>(rows, first, target) },
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn group_2x2<const B: usize, const R: usize>(
    rows: &TapRows<'_>,
    first: usize,
    group: &Group,
    target: &mut [u8],
) {
    let &Group { start, columns, second, .. } = group;
    let (r0, r1) = (row::<R>(rows, start), row::<R>(rows, start + rows.stride));
    let r2 = if second == 0 { r1 } else { row::<R>(rows, start + 2 * rows.stride) };
    let index = _mm512_mullo_epi32(columns, _mm512_set1_epi32(0x1_0001 * B as i32));
    let index = _mm512_add_epi32(index, _mm512_set1_epi32((B as i32) << 16));
    let (wu, wl) = (sixteen(&rows.weights[0], first), sixteen(&rows.weights[1], first));
    let mut bands = [_mm512_setzero_si512(); 4];
    for (b, band) in bands[..B].iter_mut().enumerate() {
        let index = _mm512_add_epi32(index, _mm512_set1_epi32(0x1_0001 * b as i32));
        let (mut upper, mut lower) = (across::<R>(r0, index), across::<R>(r1, index));
        if second != 0 {
            upper = _mm512_mask_blend_epi32(second, upper, lower);
            lower = _mm512_mask_blend_epi32(second, lower, across::<R>(r2, index));
        }
        let sum = _mm512_dpwssd_epi32(_mm512_set1_epi32(HALF_2X2), upper, wu);
        *band = _mm512_srai_epi32::<14>(_mm512_dpwssd_epi32(sum, lower, wl));
    }
    store::<B>(bands, target);
}

/// See [`weighted_pixels`](super::weighted_pixels).
///
/// # Safety
/// That of [`avx2::pixels_4x4`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub unsafe fn pixels_4x4<const B: usize>(rows: &TapRows<'_>, target: &mut [u8]) {
    for (target, first) in target.chunks_exact_mut(16 * B).zip([0, 16]) {
        match group::<B>(rows, first) {
            Some(group) if (group.reach + 4) * B <= 64 => group_4x4::<B, 1>(rows, first, &group, target),
            Some(group) if (group.reach + 4) * B <= 128 => group_4x4::<B, 2>(rows, first, &group, target),
            // SAFETY: as the caller promises.
            _ => unsafe { avx2::pixels_4x4::<B>(rows, first, target) },
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn group_4x4<const B: usize, const R: usize>(
    rows: &TapRows<'_>,
    first: usize,
    group: &Group,
    target: &mut [u8],
) {
    let &Group { start, columns, second, .. } = group;
    let at = |j: usize| row::<R>(rows, start + j * rows.stride);
    let (r0, r1, r2, r3) = (at(0), at(1), at(2), at(3));
    let r4 = if second == 0 { r3 } else { at(4) };
    let index = _mm512_mullo_epi32(columns, _mm512_set1_epi32(0x1_0001 * B as i32));
    let [x0, x1, y0, y1] = [
        sixteen(&rows.weights[0], first),
        sixteen(&rows.weights[1], first),
        sixteen(&rows.weights[2], first),
        sixteen(&rows.weights[3], first),
    ];
    let (half_column, half) = (_mm512_set1_epi32(HALF_COLUMN), _mm512_set1_epi32(HALF_4X4));
    let upper_word = _mm512_set1_epi32(0xffff_0000u32 as i32);
    let mut bands = [_mm512_setzero_si512(); 4];
    for (b, band) in bands[..B].iter_mut().enumerate() {
        let mut columns = [half_column; 4];
        for (k, column) in columns.iter_mut().enumerate() {
            let index = _mm512_add_epi32(index, _mm512_set1_epi32(0x1_0001 * (k * B + b) as i32));
            let (mut upper, mut lower) = (down::<R>(r0, r1, index), down::<R>(r2, r3, index));
            if second != 0 {
                upper = _mm512_mask_blend_epi32(second, upper, down::<R>(r1, r2, index));
                lower = _mm512_mask_blend_epi32(second, lower, down::<R>(r3, r4, index));
            }
            *column = _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(*column, upper, y0), lower, y1);
        }
        // (second sum >> 7) in the upper half, (first sum >> 7) in the lower one; both fit into 16 bits.
        let left = _mm512_ternarylogic_epi32::<0xca>(
            upper_word,
            _mm512_slli_epi32::<9>(columns[1]),
            _mm512_srli_epi32::<7>(columns[0]),
        );
        let right = _mm512_ternarylogic_epi32::<0xca>(
            upper_word,
            _mm512_slli_epi32::<9>(columns[3]),
            _mm512_srli_epi32::<7>(columns[2]),
        );
        let sum = _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(half, left, x0), right, x1);
        *band = _mm512_srai_epi32::<21>(sum);
    }
    store::<B>(bands, target);
}

/// See [`ramp`](super::ramp).
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub fn ramp(first: f64, step: f64, values: &mut [f64; 32]) {
    let mut index = _mm512_setr_pd(0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5);
    for eight in values.chunks_exact_mut(8) {
        let value = _mm512_add_pd(_mm512_set1_pd(first), _mm512_mul_pd(_mm512_set1_pd(step), index));
        // SAFETY: eight doubles.
        unsafe { _mm512_storeu_pd(eight.as_mut_ptr(), value) };
        index = _mm512_add_pd(index, _mm512_set1_pd(8.0));
    }
}

/// Eight positions from `first` on.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn eight(positions: &[f64; 32], first: usize) -> __m512d {
    let positions = &positions[first..first + 8];
    // SAFETY: eight doubles.
    unsafe { _mm512_loadu_pd(positions.as_ptr()) }
}

/// The 16 positions from `first` on as multiples of 2⁻¹⁴ pixels, parted into whole pixels and the rest (see
/// [`bilinear_taps`](super::bilinear_taps)).
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn split(positions: &[f64; 32], first: usize, shift: f64, last: u32) -> (__m512i, __m512i) {
    let whole = |first: usize| {
        let value = _mm512_sub_pd(eight(positions, first), _mm512_set1_pd(shift));
        let value = _mm512_mul_pd(value, _mm512_set1_pd(16384.0));
        // What is not a number becomes the second operand.
        let value = _mm512_min_pd(_mm512_max_pd(value, _mm512_setzero_pd()), _mm512_set1_pd(2e9));
        _mm512_cvttpd_epi32(value)
    };
    let value = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(whole(first)), whole(first + 8));
    let base = _mm512_min_epu32(_mm512_srli_epi32::<14>(value), _mm512_set1_epi32(last as i32));
    (base, _mm512_sub_epi32(value, _mm512_slli_epi32::<14>(base)))
}

/// See [`bilinear_taps`](super::bilinear_taps).
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub fn bilinear_taps(
    [xs, ys]: [&[f64; 32]; 2],
    shifts: [f64; 2],
    last: [u32; 2],
    [columns, rows]: [&mut [u32; 32]; 2],
    weights: &mut [[u32; 32]; 4],
) {
    for first in [0, 16] {
        let (x, right) = split(xs, first, shifts[0], last[0]);
        let (y, lower) = split(ys, first, shifts[1], last[1]);
        keep(columns, first, x);
        keep(rows, first, y);
        let product = _mm512_madd_epi16(right, lower);
        let both = _mm512_srai_epi32::<14>(_mm512_add_epi32(product, _mm512_set1_epi32(1 << 13)));
        let up_right = _mm512_sub_epi32(right, both);
        let up_left = _mm512_sub_epi32(_mm512_sub_epi32(_mm512_set1_epi32(1 << 14), lower), up_right);
        let low_left = _mm512_sub_epi32(lower, both);
        keep(&mut weights[0], first, _mm512_or_si512(up_left, _mm512_slli_epi32::<16>(up_right)));
        keep(&mut weights[1], first, _mm512_or_si512(low_left, _mm512_slli_epi32::<16>(both)));
    }
}

/// See [`cubic_taps`](super::cubic_taps).
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
pub fn cubic_taps(positions: &[f64; 32], origin: f64, base: &mut [u32; 32], pairs: [&mut [u32; 32]; 2]) {
    let [near, far] = pairs;
    let (half, one, two) = (_mm512_set1_ps(0.5), _mm512_set1_ps(1.0), _mm512_set1_ps(2.0));
    let (three, four) = (_mm512_set1_ps(3.0), _mm512_set1_ps(4.0));
    for first in [0, 16] {
        let part = |first: usize| {
            let shifted = _mm512_sub_pd(eight(positions, first), _mm512_set1_pd(origin));
            let position = _mm512_sub_pd(shifted, _mm512_set1_pd(0.5));
            let floor = _mm512_roundscale_pd::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(position);
            (_mm512_cvttpd_epi32(floor), _mm512_cvtpd_ps(_mm512_sub_pd(position, floor)))
        };
        let ((base0, d0), (base1, d1)) = (part(first), part(first + 8));
        let floor = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(base0), base1);
        keep(base, first, _mm512_sub_epi32(floor, _mm512_set1_epi32(1)));
        let d = _mm512_castpd_ps(_mm512_insertf64x4::<1>(
            _mm512_castps_pd(_mm512_castps256_ps512(d0)),
            _mm256_castps_pd(d1),
        ));
        let hd = _mm512_mul_ps(half, d);
        let hdd = _mm512_mul_ps(hd, d);
        let inner = _mm512_mul_ps(d, _mm512_sub_ps(two, d));
        let w0 = _mm512_mul_ps(hd, _mm512_sub_ps(inner, one));
        let inner = _mm512_mul_ps(d, _mm512_sub_ps(four, _mm512_mul_ps(three, d)));
        let w2 = _mm512_mul_ps(hd, _mm512_add_ps(one, inner));
        let w3 = _mm512_mul_ps(hdd, _mm512_sub_ps(d, one));
        let quantised = |weight: __m512| {
            let value = _mm512_mul_ps(weight, _mm512_set1_ps(16384.0));
            let value = _mm512_add_ps(value, _mm512_set1_ps(16384.5));
            _mm512_sub_epi32(_mm512_cvttps_epi32(value), _mm512_set1_epi32(1 << 14))
        };
        let (a, c, e) = (quantised(w0), quantised(w2), quantised(w3));
        let b = _mm512_sub_epi32(_mm512_set1_epi32(1 << 14), _mm512_add_epi32(_mm512_add_epi32(a, c), e));
        let pair = |low: __m512i, high: __m512i| {
            let low = _mm512_and_si512(low, _mm512_set1_epi32(0xffff));
            _mm512_or_si512(low, _mm512_slli_epi32::<16>(high))
        };
        keep(near, first, pair(a, b));
        keep(far, first, pair(c, e));
    }
}
