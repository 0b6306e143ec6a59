//! From computed values to samples of the output's type, counting what does not fit.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use crate::block::Sample;
use crate::simd::{Kernel, Level, dispatch, truncate_f64};

/// A sample type that values are rounded to.
pub(super) trait Rounded: Sample {
    /// Values from here to [`Rounded::HIGH`], both included, are rounded to one of the type.
    const LOW: f64;
    /// See [`Rounded::LOW`].
    const HIGH: f64;
    /// The least value of the type that is a number.
    const MIN: Self;
    /// The greatest value of the type that is a number.
    const MAX: Self;
    /// The nearest value of the type, halves away from zero, of a value within the limits.
    fn round(value: f64) -> Self;
}

/// A half away from zero, but for the last bit: the number just below a half is rounded to zero.
#[inline(always)]
fn away(value: f64) -> f64 {
    value + 0.499_999_999_999_999_94_f64.copysign(value)
}

macro_rules! integers {
    ($($type:ty, $value:ident => $round:expr;)*) => {
        $(impl Rounded for $type {
            // The largest doubles below MAX + ½ and above MIN − ½.
            const LOW: f64 = (<$type>::MIN as f64 - 0.5).next_up();
            const HIGH: f64 = (<$type>::MAX as f64 + 0.5).next_down();
            const MIN: Self = <$type>::MIN;
            const MAX: Self = <$type>::MAX;
            #[inline(always)]
            fn round($value: f64) -> Self { $round }
        })*
    };
}

integers! {
    u8, v => truncate_f64(away(v), 0.0, 255.0) as Self;
    i8, v => truncate_f64(away(v), -128.0, 127.0) as Self;
    u16, v => truncate_f64(away(v), 0.0, 65_535.0) as Self;
    i16, v => truncate_f64(away(v), -32_768.0, 32_767.0) as Self;
    u32, v => away(v) as Self;
    i32, v => away(v) as Self;
}

macro_rules! floats {
    ($($type:ty)*) => {
        $(impl Rounded for $type {
            const LOW: f64 = <$type>::MIN as f64;
            const HIGH: f64 = <$type>::MAX as f64;
            const MIN: Self = <$type>::MIN;
            const MAX: Self = <$type>::MAX;
            #[inline(always)]
            #[allow(clippy::unnecessary_cast)] // of one of the two types
            fn round(value: f64) -> Self { value as Self }
        })*
    };
}

floats! { f32 f64 }

/// Where the samples of a band go: every `bands`-th one, from `band` on.
#[derive(Debug)]
pub(super) struct Place<'a, T> {
    /// Pixel-interleaved samples.
    pub samples: &'a mut [T],
    /// Samples of a pixel.
    pub bands: usize,
    /// Which of them.
    pub band: usize,
}

/// What did not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Misfits {
    /// Values beyond the limits of the type, which became the nearest limit.
    pub clamped: u64,
    /// Results that are the same as the value for no data.
    pub disguised: u64,
}

/// Rounds values; `false`, with nothing written that counts, when some are missing or do not fit, so that each
/// has to be looked at.
pub(super) fn cast<T: Rounded>(
    values: &[f64],
    place: &mut Place<'_, T>,
    nodata: Option<T>,
    misfits: &mut Misfits,
) -> bool {
    if !dispatch(Level::Best, Fits { values, low: T::LOW, high: T::HIGH }) {
        return false;
    }
    let (bands, band) = (place.bands, place.band);
    misfits.disguised +=
        dispatch(Level::Best, Rounding { values, samples: place.samples, bands, band, nodata });
    true
}

/// Rounds values one by one: those beyond the limits become the limit, those that are missing or infinite become `empty`.
/// Calls `missing` with the number of each of the latter.
pub(super) fn cast_each<T: Rounded>(
    values: &[f64],
    place: &mut Place<'_, T>,
    nodata: Option<T>,
    empty: T,
    misfits: &mut Misfits,
    mut missing: impl FnMut(usize),
) {
    for (i, value) in values.iter().enumerate() {
        let sample = &mut place.samples[i * place.bands + place.band];
        if !value.is_finite() {
            missing(i);
            *sample = empty;
            continue;
        }
        *sample = if *value < T::LOW {
            misfits.clamped += 1;
            T::MIN
        } else if *value > T::HIGH {
            misfits.clamped += 1;
            T::MAX
        } else {
            T::round(*value)
        };
        misfits.disguised += u64::from(nodata.is_some_and(|n| n == *sample));
    }
}

struct Fits<'a> {
    values: &'a [f64],
    low: f64,
    high: f64,
}

impl Kernel for Fits<'_> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        // Not-a-number fails both comparisons. Without stopping early, many are compared at a time.
        let fits = |v: &f64| u64::from(*v >= self.low && *v <= self.high);
        self.values.iter().map(fits).sum::<u64>() == self.values.len() as u64
    }
}

struct Rounding<'a, T> {
    values: &'a [f64],
    samples: &'a mut [T],
    bands: usize,
    band: usize,
    nodata: Option<T>,
}

impl<T: Rounded> Kernel for Rounding<'_, T> {
    /// How many samples are the same as the value for no data.
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        if self.bands == 1 {
            for (s, v) in self.samples.iter_mut().zip(self.values) {
                *s = T::round(*v);
            }
        } else {
            let pixels = self.samples.chunks_exact_mut(self.bands);
            for (s, v) in pixels.zip(self.values) {
                s[self.band] = T::round(*v);
            }
        }
        let Some(nodata) = self.nodata else { return 0 };
        #[allow(clippy::eq_op)] // only not-a-number differs from itself, and no number is the same
        if nodata != nodata {
            return 0;
        }
        let own = self.samples[self.band..].iter().step_by(self.bands).take(self.values.len());
        own.map(|s| u64::from(*s == nodata)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<T: Rounded + std::fmt::Debug>(values: &[f64], nodata: Option<T>) -> (Vec<T>, Misfits, usize) {
        let mut misfits = Misfits::default();
        let mut samples = vec![T::default(); values.len()];
        let mut missing = 0;
        let mut place = Place { samples: &mut samples, bands: 1, band: 0 };
        let empty = nodata.unwrap_or_default();
        cast_each(values, &mut place, nodata, empty, &mut misfits, |_| missing += 1);
        (samples, misfits, missing)
    }

    fn check<T: Rounded + std::fmt::Debug>(values: &[f64]) {
        let within: Vec<f64> = values.iter().copied().filter(|v| (T::LOW..=T::HIGH).contains(v)).collect();
        let expected: Vec<T> = within.iter().map(|v| T::from_f64(*v)).collect();
        let mut samples = vec![T::default(); within.len()];
        let mut place = Place { samples: &mut samples, bands: 1, band: 0 };
        assert!(cast(&within, &mut place, None, &mut Misfits::default()));
        assert_eq!(samples, expected);
        assert_eq!(all::<T>(&within, None).0, expected);
    }

    #[test]
    fn samples_are_rounded_as_blocks_round_them() {
        let values: Vec<f64> = (-2600..2600).map(|i| f64::from(i) / 8.0).collect();
        check::<u8>(&values);
        check::<i8>(&values);
        check::<u16>(&values);
        check::<i16>(&values);
        check::<u32>(&values);
        check::<i32>(&values);
        check::<f32>(&values);
        check::<f64>(&values);
    }

    #[test]
    fn what_does_not_fit_is_clamped_and_counted() {
        let (samples, misfits, missing) =
            all::<u8>(&[-0.5, -0.4, 255.4, 255.5, 1e300, f64::NAN, f64::INFINITY, 7.0], Some(255));
        assert_eq!(samples, [0, 0, 255, 255, 255, 255, 255, 7]);
        assert_eq!((misfits, missing), (Misfits { clamped: 3, disguised: 3 }, 2));
        let (samples, misfits, _) = all::<f32>(&[1e39, -1e39, 1e38], Some(f32::NAN));
        assert_eq!(samples, [f32::MAX, f32::MIN, 1e38]);
        assert_eq!(misfits, Misfits { clamped: 2, disguised: 0 });
        assert!(!cast(
            &[256.0],
            &mut Place { samples: &mut [0u8], bands: 1, band: 0 },
            None,
            &mut Misfits::default()
        ));
    }

    #[test]
    fn results_that_look_like_no_data_are_counted_in_their_band() {
        let mut samples = [7u8; 6];
        let mut misfits = Misfits::default();
        let mut place = Place { samples: &mut samples, bands: 2, band: 1 };
        assert!(cast(&[7.0, 8.0, 7.0], &mut place, Some(7), &mut misfits));
        assert_eq!((samples, misfits.disguised), ([7, 7, 7, 8, 7, 7], 2));
    }
}
