//! Fixed-point sums for 8-bit pixels of three or four bands under kernels of the plain bilinear kernel and under 4 × 4 taps.
//!
//! Weights are multiples of 2⁻¹⁴ and add up to exactly one, so that even areas stay as they are. Under the plain
//! bilinear kernel positions are rounded to 2⁻¹⁴ pixels and products of weights once more; under 4 × 4 taps the columns are summed first and
//! rounded to 1/128. All of it is integer arithmetic, the same with any instruction set. The result differs
//! from that of 32-bit floats where the exact value lies within some thousandths of a half: in some 0.1 to 0.4 % of
//! the samples, by one.
#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use super::pixel::Real;
use super::weights::Taps;
use crate::simd::{
    Level, TapRows, bilinear_taps, cubic_taps, truncate_f32, truncate_f64, weighted_pixel, weighted_pixels,
};
use crate::warp::coords::CELL;
use crate::window::Window;

/// Fixed-point one of the weights.
const ONE: i32 = 1 << 14;

/// Windows of more samples are resampled pixel by pixel.
const MAX_SAMPLES: usize = 1 << 30;

/// Wider or higher ones too.
const MAX_SIDE: usize = 1 << 16;

/// Pixels of a window as bytes.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a> {
    /// Pixel-interleaved samples.
    pub samples: &'a [u8],
    /// Where the pixels lie in their raster.
    pub window: Window,
}

/// What is taken off a position: a half for the pixel's centre less a half of 2⁻¹⁴ for rounding; all of it is exact.
#[inline(always)]
fn shift(origin: i64) -> f64 {
    origin as f64 + 0.5 - 0.5 / f64::from(ONE)
}

/// The base pixel of a position and how far beyond its centre the position lies, in units of 2⁻¹⁴. Both taps must exist: the
/// rounded position never counts as that of the pixel after them.
#[inline(always)]
fn split(position: f64, origin: i64, len: usize) -> (i32, i32) {
    let value = truncate_f64((position - shift(origin)) * f64::from(ONE), 0.0, 2e9);
    let base = (value >> 14).min(len as i32 - 2);
    (base, value - (base << 14))
}

#[inline(always)]
fn pair(low: i32, high: i32) -> u32 {
    (low & 0xffff) as u32 | (high << 16) as u32
}

/// The weights of the upper and of the lower two taps.
#[inline(always)]
fn products(right: i32, lower: i32) -> [u32; 2] {
    // Nothing wraps unless the position is none at all.
    let both = right.wrapping_mul(lower).wrapping_add(ONE / 2) >> 14;
    let (up_right, low_left) = (right.wrapping_sub(both), lower.wrapping_sub(both));
    [pair(ONE.wrapping_sub(lower).wrapping_sub(up_right), up_right), pair(low_left, both)]
}

/// The taps of a row of pixels, reused from row to row.
pub(super) struct Work {
    columns: [u32; CELL],
    rows: [u32; CELL],
    weights: [[u32; CELL]; 4],
    /// The positions whose columns and weights of columns are there.
    xs: [f64; CELL],
}

impl Work {
    pub fn new() -> Self {
        Self { columns: [0; CELL], rows: [0; CELL], weights: [[0; CELL]; 4], xs: [f64::NAN; CELL] }
    }

    /// Makes the next row compute all anew.
    pub fn forget(&mut self) {
        self.xs = [f64::NAN; CELL];
    }

    fn taps<'a>(&'a self, source: Bytes<'a>, bands: usize) -> TapRows<'a> {
        TapRows {
            samples: source.samples,
            stride: source.window.width * bands,
            columns: &self.columns,
            rows: &self.rows,
            weights: &self.weights,
        }
    }
}

/// Bilinear means of a row of pixels of `B` samples. Where a tap does not exist the pixel is made of others.
#[inline(always)]
pub(super) fn bilinear_row<const B: usize>(
    level: Level,
    source: Bytes<'_>,
    xs: &[f64; CELL],
    ys: &[f64; CELL],
    work: &mut Work,
    target: &mut [u8],
) {
    let Bytes { samples, window } = source;
    if samples.len() > MAX_SAMPLES || window.width.max(window.height) > MAX_SIDE {
        for (i, pixel) in target.chunks_exact_mut(B).enumerate() {
            bilinear_pixel::<B>(source, xs[i], ys[i], pixel);
        }
        return;
    }
    let Work { columns, rows, weights, .. } = work;
    let last = [window.width as u32 - 2, window.height as u32 - 2];
    if !bilinear_taps(level, [xs, ys], [shift(window.x), shift(window.y)], last, [columns, rows], weights) {
        for i in 0..CELL {
            let (x, right) = split(xs[i], window.x, window.width);
            let (y, lower) = split(ys[i], window.y, window.height);
            (columns[i], rows[i]) = (x as u32, y as u32);
            [weights[0][i], weights[1][i]] = products(right, lower);
        }
    }
    weighted_pixels::<B, 2>(level, &work.taps(source, B), target);
}

/// The bilinear mean of one of these pixels.
#[inline(always)]
pub(super) fn bilinear_pixel<const B: usize>(source: Bytes<'_>, x: f64, y: f64, target: &mut [u8]) {
    let Bytes { samples, window } = source;
    // In windows of more than 2¹⁷ pixels a side the position from the pixel's own neighbourhood, which is exact too.
    let near = |position: f64, origin: i64, len: usize| {
        let first = (position.floor() as i64 - 1).clamp(origin, origin + len as i64 - 2);
        let (base, part) = split(position, first, ((origin + len as i64 - first) as usize).min(4));
        ((first - origin) as usize + base as usize, part)
    };
    let ((x, right), (y, lower)) = (near(x, window.x, window.width), near(y, window.y, window.height));
    let [upper, lower] = products(right, lower);
    let start = (y * window.width + x) * B;
    let pixel = weighted_pixel::<B, 2>(samples, start, window.width * B, [upper, lower, 0, 0]);
    target.copy_from_slice(&pixel);
}

/// A weight as a multiple of 2⁻¹⁴.
#[inline(always)]
fn quantised<A: Real>(weight: A) -> i32 {
    truncate_f32(weight.to_f64() as f32 * ONE as f32 + (ONE as f32 + 0.5), 0.0, 4.0 * ONE as f32) - ONE
}

/// The weights of four taps as two pairs.
#[inline(always)]
fn pairs<A: Real>(weights: &[[A; CELL]; 4], i: usize) -> [u32; 2] {
    let (a, c, d) = (quantised(weights[0][i]), quantised(weights[2][i]), quantised(weights[3][i]));
    [pair(a, ONE - a - c - d), pair(c, d)]
}

/// Means under the plain cubic kernel of a row of pixels of `B` samples all of whose taps exist and are covered. Columns
/// that differ by less than `same` from those of the row before share their weights. `false` when this machine takes
/// [`row_of_16`] for it.
#[inline(always)]
pub(super) fn cubic_row<const B: usize>(
    level: Level,
    source: Bytes<'_>,
    xs: &[f64; CELL],
    ys: &[f64; CELL],
    same: f64,
    work: &mut Work,
    target: &mut [u8],
) -> bool {
    let Bytes { samples, window } = source;
    if samples.len() > MAX_SAMPLES {
        return false;
    }
    let Work { columns, rows, weights: [x0, x1, y0, y1], xs: known } = work;
    let mut kept = 0;
    for (new, old) in xs.iter().zip(&*known) {
        kept += usize::from((new - old).abs() < same);
    }
    if kept < CELL {
        *known = *xs;
        if !cubic_taps(level, xs, window.x as f64, columns, [x0, x1]) {
            return false;
        }
    }
    cubic_taps(level, ys, window.y as f64, rows, [y0, y1]);
    weighted_pixels::<B, 4>(level, &work.taps(source, B), target);
    true
}

/// Means over 4 × 4 taps of a row of pixels of `B` samples all of whose taps exist and are covered.
#[inline(always)]
pub(super) fn row_of_16<A: Real, const B: usize>(
    level: Level,
    source: Bytes<'_>,
    x: &Taps<A>,
    y: &Taps<A>,
    work: &mut Work,
    target: &mut [u8],
) {
    let (Some(wx), Some(wy)) = (x.weights.first_chunk::<4>(), y.weights.first_chunk::<4>()) else { return };
    if source.samples.len() > MAX_SAMPLES {
        for (i, pixel) in target.chunks_exact_mut(B).enumerate() {
            pixel_of_16::<_, B>(source, x, y, i, pixel);
        }
        return;
    }
    let Work { columns, rows, weights, .. } = work;
    for i in 0..CELL {
        (columns[i], rows[i]) = (x.base[i] as u32 - 1, y.base[i] as u32 - 1);
        [weights[0][i], weights[1][i]] = pairs(wx, i);
        [weights[2][i], weights[3][i]] = pairs(wy, i);
    }
    work.forget();
    weighted_pixels::<B, 4>(level, &work.taps(source, B), target);
}

/// The mean of one of these pixels.
#[inline(always)]
pub(super) fn pixel_of_16<A: Real, const B: usize>(
    source: Bytes<'_>,
    x: &Taps<A>,
    y: &Taps<A>,
    i: usize,
    target: &mut [u8],
) {
    let Bytes { samples, window } = source;
    let (Some(wx), Some(wy)) = (x.weights.first_chunk::<4>(), y.weights.first_chunk::<4>()) else { return };
    let ([x0, x1], [y0, y1]) = (pairs(wx, i), pairs(wy, i));
    let start = ((y.base[i] as usize - 1) * window.width + x.base[i] as usize - 1) * B;
    let pixel = weighted_pixel::<B, 4>(samples, start, window.width * B, [x0, x1, y0, y1]);
    target.copy_from_slice(&pixel);
}
