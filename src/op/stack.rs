//! Planes of pixels on the way through operations.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::cell::RefCell;
use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::Operation;
use crate::window::Window;

/// A float that planes are made of: `f32` or `f64`.
pub trait Real:
    Copy
    + Default
    + Debug
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + 'static
{
    /// What stands for a missing pixel.
    const NAN: Self;
    /// More than any value.
    const INFINITY: Self;
    /// Integers that order as the values do.
    type Key: Copy + Ord + Debug + Send;
    /// The nearest value.
    fn of(value: f64) -> Self;
    /// The same value in 64 bits.
    fn wide(self) -> f64;
    /// Whether it is not-a-number.
    fn is_nan(self) -> bool;
    /// Without its sign.
    #[must_use]
    fn abs(self) -> Self;
    /// The key of a value that is a number.
    fn key(self) -> Self::Key;
    /// Does something with the planes that this thread keeps for later.
    #[doc(hidden)]
    fn with_spares<R>(run: impl FnOnce(&mut Vec<Vec<Self>>) -> R) -> R;
    /// Runs an operation in this precision.
    ///
    /// # Errors
    /// Those of the operation.
    fn operate(
        operation: &dyn Operation,
        input: &Stack<Self>,
        output: &mut Stack<Self>,
    ) -> Result<(), String>;
}

macro_rules! reals {
    ($($type:ident $bits:ident $run:ident;)*) => {
        $(impl Real for $type {
            const NAN: Self = $type::NAN;
            const INFINITY: Self = $type::INFINITY;
            type Key = $bits;
            #[inline(always)]
            fn of(value: f64) -> Self { value as Self }
            #[inline(always)]
            #[allow(clippy::cast_lossless)] // of one of the two
            fn wide(self) -> f64 { self as f64 }
            #[inline(always)]
            fn is_nan(self) -> bool { $type::is_nan(self) }
            #[inline(always)]
            fn abs(self) -> Self { $type::abs(self) }
            #[inline(always)]
            fn key(self) -> $bits {
                // Zero has one key, whatever its sign.
                let bits = (self + 0.0).to_bits();
                if bits >> ($bits::BITS - 1) == 1 { !bits } else { bits | 1 << ($bits::BITS - 1) }
            }
            fn with_spares<R>(run: impl FnOnce(&mut Vec<Vec<Self>>) -> R) -> R {
                thread_local! { static SPARES: RefCell<Vec<Vec<$type>>> = const { RefCell::new(Vec::new()) }; }
                SPARES.with_borrow_mut(run)
            }
            fn operate(operation: &dyn Operation, input: &Stack<Self>, output: &mut Stack<Self>) -> Result<(), String> {
                operation.$run(input, output)
            }
        })*
    };
}

reals! { f32 u32 single; f64 u64 double; }

/// Planes of pixels of one window, row by row; not-a-number where there is no data.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack<T> {
    /// Where the pixels are in the raster; a halo may lie beyond it.
    pub window: Window,
    /// The bands, each with as many values as the window has pixels.
    pub planes: Vec<Vec<T>>,
}

impl<T: Real> Stack<T> {
    /// Planes of any values, to be filled.
    pub fn new(window: Window, bands: usize) -> Self {
        let plane = |_| {
            let mut plane = T::with_spares(Vec::pop).unwrap_or_default();
            plane.resize(window.area(), T::default());
            plane
        };
        Self { window, planes: (0..bands).map(plane).collect() }
    }

    /// Keeps the planes for the next windows of this thread: memory that has been given back to the system is slow to come by.
    pub(crate) fn keep(self) {
        const MOST: usize = 4;
        T::with_spares(|spares| {
            spares.extend(self.planes);
            spares.truncate(MOST);
        });
    }

    /// A row of a band, counted from the window's first.
    #[inline(always)]
    pub fn row(&self, band: usize, row: usize) -> &[T] {
        let width = self.window.width;
        &self.planes[band][row * width..(row + 1) * width]
    }

    /// The same, mutable.
    #[inline(always)]
    pub fn row_mut(&mut self, band: usize, row: usize) -> &mut [T] {
        let width = self.window.width;
        &mut self.planes[band][row * width..(row + 1) * width]
    }

    /// Whether a band has pixels without data.
    #[inline(always)]
    pub fn has_gaps(&self, band: usize) -> bool {
        // Without stopping early within a part, many are looked at at a time.
        self.planes[band].chunks(1024).any(|part| part.iter().fold(false, |any, v| any | v.is_nan()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_values_do() {
        let values = [f64::NEG_INFINITY, -2.5, -1e-300, 0.0, 1e-300, 3.0, f64::INFINITY];
        assert!(values.is_sorted_by_key(|v| v.key()));
        assert!(values.map(|v| v as f32).is_sorted_by_key(|v| Real::key(*v)));
        assert_eq!((-0.0f64).key(), 0.0f64.key());
    }
}
