//! The source of the warp as flat slices.

use std::borrow::Cow;

use ndarray::Array3;

use super::pixel::Pixel;
use crate::block::{Validity, interleaved_slice, to_interleaved};
use crate::window::Window;

/// Source pixels whose sample type is known. Columns and rows count from the window's upper left pixel.
pub(super) struct Source<'a, T> {
    /// Pixel-interleaved samples.
    pub samples: &'a [T],
    /// One byte per pixel; `None` when all are 255.
    pub coverage: Option<&'a [u8]>,
    /// Where the pixels lie in their raster.
    pub window: Window,
    /// Samples per pixel.
    pub bands: usize,
}

impl<'a, T: Pixel> Source<'a, T> {
    /// The samples of a pixel.
    #[inline]
    pub fn pixel(&self, column: usize, row: usize) -> &'a [T] {
        &self.samples[(row * self.window.width + column) * self.bands..][..self.bands]
    }

    /// The coverage of a pixel.
    #[inline]
    pub fn coverage_at(&self, column: usize, row: usize) -> u8 {
        self.coverage.map_or(255, |c| c[row * self.window.width + column])
    }

    /// Whether all pixels of a part of the window exist and are fully covered.
    #[inline]
    pub fn is_full(&self, left: usize, top: usize, right: usize, bottom: usize) -> bool {
        let Some(coverage) = self.coverage else { return true };
        (top..bottom).all(|row| {
            // Folding instead of stopping early lets the comparison run many bytes at a time.
            coverage[row * self.window.width..][left..right].iter().fold(255, |all, &c| all & c) == 255
        })
    }

    /// Whether no pixel of a part of the window is covered.
    pub fn is_bare(&self, left: usize, top: usize, right: usize, bottom: usize) -> bool {
        let Some(coverage) = self.coverage else { return false };
        (top..bottom).all(|row| {
            coverage[row * self.window.width..][left..right].iter().fold(0, |any, &c| any | c) == 0
        })
    }

    /// The pixel that holds a position (see [`SNAP`](super::SNAP)), when there is one.
    #[inline]
    pub fn locate(&self, x: f64, y: f64) -> Option<(usize, usize)> {
        let column = locate(x, self.window.x, self.window.width)?;
        Some((column, locate(y, self.window.y, self.window.height)?))
    }
}

#[inline]
fn locate(position: f64, origin: i64, len: usize) -> Option<usize> {
    let offset = position - origin as f64 + super::SNAP;
    // Truncation is the floor for what is not negative; NaN fails the comparison.
    (offset >= 0.0 && offset < len as f64).then_some(offset as usize)
}

/// The samples in the order row, column, band; copied only when they lie in another order.
pub(super) fn interleaved<T: Pixel>(array: &Array3<T>) -> Cow<'_, [T]> {
    interleaved_slice(array).map_or_else(|| Cow::Owned(to_interleaved(array)), Cow::Borrowed)
}

/// The coverage row by row; `None` when all is covered.
pub(super) fn coverage(validity: &Validity) -> Option<Cow<'_, [u8]>> {
    match validity {
        Validity::All => None,
        Validity::PerPixel(c) => {
            Some(c.as_slice().map_or_else(|| Cow::Owned(c.iter().copied().collect()), Cow::Borrowed))
        }
    }
}
