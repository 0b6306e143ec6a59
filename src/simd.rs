//! Run-time choice of the instruction set.
//!
//! Kernels are plain Rust that the compiler vectorises. The same source is compiled twice, for the
//! target's baseline and for AVX2, and the better one is picked when the program runs. Neither build
//! contracts multiplications and additions, so both compute the same bytes.

#![allow(unsafe_code, reason = "calls into code compiled for AVX2, and conversions without a range check")]
#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

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

#[cfg(test)]
mod tests {
    use super::*;

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
