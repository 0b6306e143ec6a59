//! Run-time choice of the instruction set.
//!
//! Kernels are plain Rust that the compiler vectorises. The same source is compiled twice, for the
//! target's baseline and for AVX2, and the better one is picked when the program runs. Neither build
//! contracts multiplications and additions, so both compute the same bytes. What the compiler does not see is written
//! out in [`avx2`] and [`avx512`].

#![allow(unsafe_code, reason = "calls into code compiled for AVX2, and conversions without a range check")]
#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod png;
pub mod sums;

/// A computation that gains from wider vectors. Implement `run` as `#[inline(always)]`, and everything
/// hot below it too: what is not inlined is compiled for the baseline only.
pub trait Kernel {
    /// What it computes.
    type Output;
    /// Computes it.
    fn run(self) -> Self::Output;
}

/// Which build of a kernel runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// The one for the target's baseline, on every machine.
    Baseline,
    /// The best one without AVX-512.
    Narrow,
    /// The best one this machine has.
    #[default]
    Best,
}

impl Level {
    /// The level that is both asked for and allowed: `TILELOOM_SIMD=baseline` or `avx2` in the environment keeps a process from
    /// anything better, to show that nothing depends on it.
    #[inline]
    pub fn allowed(self) -> Self {
        static MOST: OnceLock<Level> = OnceLock::new();
        let most = MOST.get_or_init(|| match std::env::var("TILELOOM_SIMD").as_deref() {
            Ok("baseline") => Self::Baseline,
            Ok("avx2") => Self::Narrow,
            _ => Self::Best,
        });
        self.min(*most)
    }
}

/// Runs a kernel with the instruction set `level` asks for.
#[inline]
pub fn dispatch<K: Kernel>(level: Level, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if has_avx2(level) {
        // SAFETY: the processor has AVX2, as was just asked.
        return unsafe { with_avx2(kernel) };
    }
    let _ = level;
    kernel.run()
}

/// Like [`dispatch`] for a kernel that is one of many builds of another: not compiled for a baseline without wide vectors,
/// where it comes back.
#[inline]
pub fn dispatch_special<K: Kernel>(level: Level, kernel: K) -> Result<K::Output, K> {
    #[cfg(target_arch = "x86_64")]
    {
        if has_avx2(level) {
            // SAFETY: the processor has AVX2, as was just asked.
            return Ok(unsafe { with_avx2(kernel) });
        }
        Err(kernel)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = level;
        Ok(kernel.run())
    }
}

/// Like [`dispatch`], with AVX-512 where that is there; for kernels of a few loops, not to compile everything three times.
#[inline(always)]
pub fn dispatch_widest<K: Kernel>(level: Level, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if has_avx512(level) {
        // SAFETY: the processor has the instructions, as was just asked.
        return unsafe { avx512::run(kernel) };
    }
    let _ = level;
    // Compiled for whatever the caller is compiled for.
    kernel.run()
}

/// Whether AVX2 is there and wanted.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn has_avx2(level: Level) -> bool {
    level.allowed() != Level::Baseline && std::arch::is_x86_feature_detected!("avx2")
}

/// Whether the parts of AVX-512 that [`avx512`] uses are there and wanted.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn has_avx512(level: Level) -> bool {
    level.allowed() == Level::Best
        && std::arch::is_x86_feature_detected!("avx512vbmi")
        && std::arch::is_x86_feature_detected!("avx512vnni")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512f")
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

/// 32 pixels' taps: `N` × `N` source pixels each, `B` samples to a pixel.
#[derive(Debug, Clone, Copy)]
pub struct TapRows<'a> {
    /// Pixel-interleaved samples.
    pub samples: &'a [u8],
    /// Samples per row.
    pub stride: usize,
    /// The column of each pixel's upper left tap.
    pub columns: &'a [u32; 32],
    /// Its row.
    pub rows: &'a [u32; 32],
    /// Pairs of weights in units of 2⁻¹⁴, the first in the lower half: of 2 × 2 taps the upper two, then the lower two;
    /// of 4 × 4 taps the columns' first two and last two, then the rows'.
    pub weights: &'a [[u32; 32]; 4],
}

impl TapRows<'_> {
    /// Whether `N` rows of 4 · `N` samples can be read from every tap on, by 32-bit arithmetic.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn within<const B: usize, const N: usize>(&self) -> bool {
        let most = |values: &[u32; 32]| values.iter().fold(0, |most, &v| most.max(v)) as usize;
        let Some(last) = most(self.rows).checked_mul(self.stride) else { return false };
        let end = last.saturating_add(most(self.columns) * B + (N - 1) * self.stride + 4 * N);
        end <= self.samples.len().min(i32::MAX as usize)
    }
}

/// The weighted means of 32 pixels of `B` (3 or 4) samples over `N` × `N` (2 × 2 or 4 × 4) taps, halves up and clamped.
/// The weights of 2 × 2 taps must sum to one and not be negative; those of 4 × 4 taps must sum to one on both axes, their
/// magnitudes to less than 1.5; sums over rows are rounded to 1/128 then.
///
/// # Panics
/// When a tap lies beyond the samples or the target does not hold 32 pixels.
#[inline(always)]
pub fn weighted_pixels<const B: usize, const N: usize>(level: Level, rows: &TapRows<'_>, target: &mut [u8]) {
    assert_eq!(target.len(), 32 * B, "not 32 pixels");
    #[cfg(target_arch = "x86_64")]
    if has_avx2(level) && rows.within::<B, N>() {
        // SAFETY: the processor has the instructions; from every tap on, `N` rows of 4 · N samples can be read.
        unsafe {
            match (N, has_avx512(level)) {
                (2, true) => avx512::pixels_2x2::<B>(rows, target),
                (2, false) => avx2::pixels_2x2::<B>(rows, 0, target),
                (_, true) => avx512::pixels_4x4::<B>(rows, target),
                (_, false) => avx2::pixels_4x4::<B>(rows, 0, target),
            }
        }
        return;
    }
    let _ = level;
    for (i, pixel) in target.chunks_exact_mut(B).enumerate() {
        let weights = rows.weights.map(|w| w[i]);
        let start = rows.rows[i] as usize * rows.stride + rows.columns[i] as usize * B;
        pixel.copy_from_slice(&weighted_pixel::<B, N>(rows.samples, start, rows.stride, weights));
    }
}

/// Writes `first` + `step` · (i + ½) for i from 0 on, each product and sum rounded.
#[inline(always)]
pub fn ramp(level: Level, first: f64, step: f64, values: &mut [f64; 32]) {
    #[cfg(target_arch = "x86_64")]
    if has_avx512(level) {
        // SAFETY: the processor has the instructions.
        return unsafe { avx512::ramp(first, step, values) };
    }
    let _ = level;
    for (i, value) in values.iter_mut().enumerate() {
        *value = first + step * (i as f64 + 0.5);
    }
}

/// The upper left taps of 32 positions and the weights of their 2 × 2 taps in one go, if this machine can; else nothing is
/// done and the answer is `false`.
///
/// A position p becomes ⌊(p − shift) · 2¹⁴⌋, at least 0 (also of what is not a number) and at most 2 · 10⁹; the tap is that
/// over 2¹⁴, at most `last`, and what remains the weight of the second tap.
#[inline(always)]
pub fn bilinear_taps(
    level: Level,
    positions: [&[f64; 32]; 2],
    shifts: [f64; 2],
    last: [u32; 2],
    taps: [&mut [u32; 32]; 2],
    weights: &mut [[u32; 32]; 4],
) -> bool {
    #[cfg(target_arch = "x86_64")]
    if has_avx512(level) {
        // SAFETY: the processor has the instructions.
        unsafe { avx512::bilinear_taps(positions, shifts, last, taps, weights) };
        return true;
    }
    let _ = (level, positions, shifts, last, taps, weights);
    false
}

/// The first of the four taps of 32 positions along an axis and the two pairs of weights of Keys' cubic kernel, if this
/// machine can; else nothing is done and the answer is `false`. The taps must lie within ±10⁹ of the origin.
#[inline(always)]
pub fn cubic_taps(
    level: Level,
    positions: &[f64; 32],
    origin: f64,
    taps: &mut [u32; 32],
    weights: [&mut [u32; 32]; 2],
) -> bool {
    #[cfg(target_arch = "x86_64")]
    if has_avx512(level) {
        // SAFETY: the processor has the instructions.
        unsafe { avx512::cubic_taps(positions, origin, taps, weights) };
        return true;
    }
    let _ = (level, positions, origin, taps, weights);
    false
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
            // Without wrapping for weights as they should be.
            sum = sum.wrapping_add((column >> 7).wrapping_mul(weight));
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
    if (B == 3 || B == 4) && has_avx2(level) {
        // SAFETY: the processor has AVX2, as was just asked.
        return unsafe { avx2::halve::<B>(upper, lower, target) };
    }
    let _ = (level, upper, lower, target);
    0
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

    fn builds_agree<const B: usize, const N: usize>(weights: [[i32; 4]; 2], turn: usize) {
        const STRIDE: usize = 160;
        let samples = noise(5 * STRIDE + 16);
        let columns = std::array::from_fn(|i| (i + i % 2) as u32);
        let lines = std::array::from_fn(|i| u32::from(i > 19 || i % turn == 3));
        let pair = |k: usize| {
            let axis = weights[k / 2];
            (axis[k % 2 * 2] & 0xffff) as u32 | (axis[k % 2 * 2 + 1] << 16) as u32
        };
        let weights = std::array::from_fn(|k| [pair(k); 32]);
        let rows =
            TapRows { samples: &samples, stride: STRIDE, columns: &columns, rows: &lines, weights: &weights };
        let [plain, narrow, best] = [Level::Baseline, Level::Narrow, Level::Best].map(|level| {
            let mut target = vec![level as u8; 32 * B];
            weighted_pixels::<B, N>(level, &rows, &mut target);
            target
        });
        assert_eq!(plain, narrow);
        assert_eq!(plain, best);
    }

    #[test]
    fn weighted_pixels_are_the_same_with_any_instruction_set() {
        let two = [[9000, 3000, 4000, 384], [0; 4]];
        let four = [[-1000, 9000, 9384, -1000], [-1500, 17000, 1884, -1000]];
        for turn in [5, 100] {
            builds_agree::<3, 2>(two, turn);
            builds_agree::<4, 2>(two, turn);
            builds_agree::<3, 4>(four, turn);
            builds_agree::<4, 4>(four, turn);
        }
    }

    #[test]
    fn taps_are_those_of_plain_arithmetic() {
        if !bilinear_taps(
            Level::Best,
            [&[0.5; 32]; 2],
            [0.0; 2],
            [9; 2],
            [&mut [0; 32], &mut [0; 32]],
            &mut [[0; 32]; 4],
        ) {
            return;
        }
        let [mut plain, mut best] = [[0.0; 32]; 2];
        ramp(Level::Baseline, 1234.567, 0.987, &mut plain);
        ramp(Level::Best, 1234.567, 0.987, &mut best);
        assert_eq!(plain, best);
        let mut positions = plain.map(|p| p - 1230.0);
        (positions[3], positions[4], positions[5]) = (f64::NAN, -7.0, 1e300);
        let (mut columns, mut rows, mut weights) = ([0; 32], [0; 32], [[0; 32]; 4]);
        let shift = 0.5 - 0.5 / 16384.0;
        bilinear_taps(
            Level::Best,
            [&positions; 2],
            [shift; 2],
            [30, 29],
            [&mut columns, &mut rows],
            &mut weights,
        );
        for (i, position) in positions.into_iter().enumerate() {
            let value = truncate_f64((position - shift) * 16384.0, 0.0, 2e9);
            assert_eq!((columns[i], rows[i]), ((value >> 14).min(30) as u32, (value >> 14).min(29) as u32));
            let part = value - (columns[i] << 14) as i32;
            if columns[i] < 29 {
                let both = (part * part + 8192) >> 14;
                assert_eq!(weights[0][i] & 0xffff, (16384 - 2 * part + both) as u32);
                assert_eq!(weights[1][i], (part - both) as u32 | (both as u32) << 16);
            }
        }
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
