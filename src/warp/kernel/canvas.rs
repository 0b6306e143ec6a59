//! The accumulating target of the warp: pixels of a window and how far each is covered.

use ndarray::{Array2, Array3};

use super::pixel::Pixel;
use crate::block::{Block, Sample, SampleType, Samples, Validity, interleaved_slice, interleaved_slice_mut};
use crate::window::Window;

/// Pixels of a window of the tile matrix that sources are drawn on, one over the other.
#[derive(Debug, Clone)]
pub struct Canvas {
    pub(super) window: Window,
    pub(super) samples: Samples,
    pub(super) coverage: Vec<u8>,
}

/// Which of two values stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extreme {
    /// The lesser.
    Min,
    /// The greater.
    Max,
}

impl Canvas {
    /// A canvas on which nothing is covered yet.
    pub fn new(window: Window, sample_type: SampleType, bands: usize) -> Self {
        Self {
            window,
            samples: Samples::zeros(sample_type, bands, window.size()),
            coverage: vec![0; window.area()],
        }
    }

    /// The pixels it stands for.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Takes in another canvas of the same window, sample type and bands: where both have data the lesser or the greater value of
    /// each band stays, and the larger coverage; elsewhere what one of them has.
    pub fn merge(&mut self, other: &Self, extreme: Extreme) {
        for_samples!(&mut self.samples, mine => merge(mine, &mut self.coverage, other, extreme));
    }

    /// Takes back what was put inside a window.
    pub fn clear(&mut self, window: &Window) {
        let common = self.window.intersection(window);
        let left = (common.x - self.window.x) as usize;
        for y in common.y..common.bottom() {
            let row = (y - self.window.y) as usize * self.window.width + left;
            self.coverage[row..row + common.width].fill(0);
        }
    }

    /// Takes back what a mask, one byte per pixel, has no value for.
    pub fn keep(&mut self, mask: &[u8]) {
        self.coverage.iter_mut().zip(mask).for_each(|(c, m)| *c = (*c).min(*m));
    }

    /// The finished pixels, pixel-interleaved, zero where nothing is covered; `None` when nothing is covered at all.
    pub fn into_block(self) -> Option<Block> {
        if self.coverage.iter().all(|&c| c == 0) {
            return None;
        }
        // Folding in parts lets the comparison run many bytes at a time, and still stops early.
        if self.coverage.chunks(4096).all(|part| part.iter().fold(255, |all, &c| all & c) == 255) {
            return Some(Block { window: self.window, samples: self.samples, validity: Validity::All });
        }
        let coverage = Array2::from_shape_vec((self.window.height, self.window.width), self.coverage).ok()?;
        Some(Block { window: self.window, samples: self.samples, validity: Validity::PerPixel(coverage) })
    }
}

fn merge<T: Sample>(mine: &mut Array3<T>, coverage: &mut [u8], other: &Canvas, extreme: Extreme) {
    let bands = mine.dim().0;
    let Some(theirs) = T::unwrap(&other.samples).and_then(interleaved_slice) else { return };
    let Some(mine) = interleaved_slice_mut(mine) else { return };
    let pixels = mine.chunks_exact_mut(bands).zip(theirs.chunks_exact(bands));
    for ((mine, theirs), (cover, own)) in pixels.zip(coverage.iter_mut().zip(&other.coverage)) {
        if *own == 0 {
            continue;
        }
        if *cover == 0 {
            mine.copy_from_slice(theirs);
        } else {
            for (m, t) in mine.iter_mut().zip(theirs) {
                let takes = match extreme {
                    Extreme::Min => *t < *m,
                    Extreme::Max => *t > *m,
                };
                *m = if takes { *t } else { *m };
            }
        }
        *cover = (*cover).max(*own);
    }
}

/// The memory of a canvas whose sample type is known.
pub(super) struct Rows<'a, T> {
    /// Pixel-interleaved samples.
    pub samples: &'a mut [T],
    /// One byte per pixel.
    pub coverage: &'a mut [u8],
    /// The canvas' window.
    pub window: Window,
    /// Samples per pixel.
    pub bands: usize,
}

impl<T: Pixel> Rows<'_, T> {
    /// The samples and coverage of `count` pixels to the right of an absolute position.
    #[inline]
    pub fn run(&mut self, x: i64, y: i64, count: usize) -> (&mut [T], &mut [u8]) {
        let start = (y - self.window.y) as usize * self.window.width + (x - self.window.x) as usize;
        (&mut self.samples[start * self.bands..][..count * self.bands], &mut self.coverage[start..][..count])
    }
}

/// Puts a pixel over what is there: source-over with unpremultiplied colour. `replace` is for values that must not
/// be mixed.
#[inline]
pub(super) fn compose<T: Pixel>(
    target: &mut [T],
    target_coverage: &mut u8,
    values: &[T],
    coverage: u8,
    replace: bool,
) {
    if coverage == 0 {
        return;
    }
    if replace || coverage == 255 || *target_coverage == 0 {
        target.copy_from_slice(values);
        *target_coverage = coverage;
        return;
    }
    let over = f64::from(coverage) / 255.0;
    let under = f64::from(*target_coverage) / 255.0 * (1.0 - over);
    let sum = over + under;
    for (t, v) in target.iter_mut().zip(values) {
        *t = T::from_sum_f64((v.to_f64() * over + t.to_f64() * under) / sum);
    }
    *target_coverage = (sum * 255.0 + 0.5) as u8;
}
