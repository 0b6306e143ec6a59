//! Arithmetic of the sample types: in which type sums are formed and how they are rounded.
#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::ops::{Add, Div, Mul, Sub};

use crate::block::Sample;
use crate::simd::truncate_f32;

/// A type that sums are formed in.
pub(crate) trait Real:
    Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
{
    /// The nearest value of this type.
    fn of(value: f64) -> Self;
    /// The value as a double.
    fn to_f64(self) -> f64;
    /// The absolute value.
    fn abs(self) -> Self;
    /// The smaller of two values.
    fn min(self, other: Self) -> Self;
    /// The larger of two values.
    fn max(self, other: Self) -> Self;
}

macro_rules! real {
    ($($t:ty)*) => {
        $(#[allow(clippy::cast_lossless)]
        impl Real for $t {
            #[inline(always)]
            fn of(value: f64) -> Self { value as $t }
            #[inline(always)]
            fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)]
            fn abs(self) -> Self { <$t>::abs(self) }
            #[inline(always)]
            fn min(self, other: Self) -> Self { if self < other { self } else { other } }
            #[inline(always)]
            fn max(self, other: Self) -> Self { if self > other { self } else { other } }
        })*
    };
}
real! { f32 f64 }

/// A sample that can be summed and rounded.
pub(crate) trait Pixel: Sample {
    /// What sums are formed in: 32-bit floats for 8- and 16-bit samples (their error stays below 0.02), else doubles.
    type Sum: Real;
    /// The value, exactly.
    fn widen(self) -> Self::Sum;
    /// ⌊v + ½⌋ clamped to the type, as GDAL's warper does; floating-point types take the value as it is.
    fn from_sum(sum: Self::Sum) -> Self;
    /// [`from_sum`](Self::from_sum) of a double.
    fn from_sum_f64(value: f64) -> Self;
    /// Whether two samples are the same bit pattern.
    fn same_bits(self, other: Self) -> bool;
    /// The samples, when they are unsigned bytes.
    fn bytes(_samples: &[Self]) -> Option<&[u8]> {
        None
    }
    /// The samples, when they are unsigned bytes.
    fn bytes_mut(_samples: &mut [Self]) -> Option<&mut [u8]> {
        None
    }
}

macro_rules! pixels {
    ($($t:ty, $sum:ty, |$v:ident| $round:expr, |$w:ident| $round_f64:expr, |$a:ident, $b:ident| $same:expr $(, $bytes:item $bytes_mut:item)?;)*) => {
        $(#[allow(clippy::cast_lossless)]
        impl Pixel for $t {
            type Sum = $sum;
            #[inline(always)]
            fn widen(self) -> $sum { self as $sum }
            #[inline(always)]
            fn from_sum($v: $sum) -> Self { $round }
            #[inline(always)]
            fn from_sum_f64($w: f64) -> Self { $round_f64 }
            #[inline(always)]
            fn same_bits(self, other: Self) -> bool { let ($a, $b) = (self, other); $same }
            $($bytes $bytes_mut)?
        })*
    };
}

/// ⌊v⌋ clamped to a range, in operations every vector unit has.
#[inline(always)]
fn floor_i32(value: f32, low: f32, high: f32) -> i32 {
    let truncated = truncate_f32(value, low, high);
    truncated - i32::from(truncated as f32 > value && truncated as f32 > low)
}

// `as` saturates; for unsigned types truncation is the floor.
pixels! {
    u8, f32, |v| truncate_f32(v + 0.5, 0.0, 255.0) as u8, |w| (w + 0.5) as u8, |a, b| a == b,
        #[inline(always)] fn bytes(samples: &[u8]) -> Option<&[u8]> { Some(samples) }
        #[inline(always)] fn bytes_mut(samples: &mut [u8]) -> Option<&mut [u8]> { Some(samples) };
    i8, f32, |v| floor_i32(v + 0.5, -128.0, 127.0) as i8, |w| (w + 0.5).floor() as i8, |a, b| a == b;
    u16, f32, |v| truncate_f32(v + 0.5, 0.0, 65535.0) as u16, |w| (w + 0.5) as u16, |a, b| a == b;
    i16, f32, |v| floor_i32(v + 0.5, -32768.0, 32767.0) as i16, |w| (w + 0.5).floor() as i16, |a, b| a == b;
    u32, f64, |v| (v + 0.5) as u32, |w| (w + 0.5) as u32, |a, b| a == b;
    i32, f64, |v| (v + 0.5).floor() as i32, |w| (w + 0.5).floor() as i32, |a, b| a == b;
    f32, f64, |v| v as f32, |w| w as f32, |a, b| a.to_bits() == b.to_bits();
    f64, f64, |v| v, |w| w, |a, b| a.to_bits() == b.to_bits();
}
