//! Source pixels in the type that sums are formed in.
#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use super::pixel::{Pixel, Real};
use super::source::Source;
use super::sums::grow;

/// A part of the source, widened once for all pixels that use it.
pub(super) struct Patch<A> {
    pub area: Area,
    /// Pixel-interleaved.
    pub samples: Vec<A>,
}

/// Columns and rows of a source's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub left: usize,
    pub top: usize,
    pub right: usize,
    pub bottom: usize,
}

impl Area {
    pub const NONE: Self = Self { left: 0, top: 0, right: 0, bottom: 0 };

    /// Whether it holds no pixel.
    pub fn is_empty(self) -> bool {
        self.left >= self.right || self.top >= self.bottom
    }
}

impl<A: Real> Patch<A> {
    /// Cells that touch more samples are computed pixel by pixel.
    const MOST: usize = 1 << 18;

    /// Takes over a part of the source; `false` when that is too large.
    #[inline(always)]
    pub fn fill<T: Pixel<Sum = A>>(&mut self, source: &Source<'_, T>, area: Area) -> bool {
        let bands = source.bands;
        let width = (area.right - area.left) * bands;
        let count = width * (area.bottom - area.top);
        if area.is_empty() || count > Self::MOST {
            return false;
        }
        self.area = area;
        grow(&mut self.samples, count);
        for (wide, row) in self.samples.chunks_exact_mut(width).zip(area.top..area.bottom) {
            let start = (row * source.window.width + area.left) * bands;
            for (wide, sample) in wide.iter_mut().zip(&source.samples[start..start + width]) {
                *wide = sample.widen();
            }
        }
        true
    }
}
