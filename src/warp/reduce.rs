//! The pyramid's arithmetic: four tiles are joined to one of double the side, and that is halved.
//!
//! Each level is rounded to its sample type before the next is made of it, so that a level depends on nothing but
//! the level below.
#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::borrow::Cow;

use ndarray::{Array2, Array3, s};

use super::exclusion::{Exclusion, Tally};
use super::kernel::Edges;
use crate::block::{
    Block, Sample, Samples, Validity, interleaved_array, interleaved_slice, interleaved_zeros, to_interleaved,
};
use crate::error::{Error, Result};
use crate::resampling::Resampling;
use crate::simd::{Kernel, Level, dispatch, halve_bytes};
use crate::window::{Size, Window};

#[cfg(test)]
mod tests;

/// Reduces a block to half its width and height, 2 × 2 pixels to one; the result is pixel-interleaved.
///
/// | method | value | coverage with [`Edges::Soft`] |
/// |---|---|---|
/// | average | mean of the covered pixels, weighted by coverage: ⌊v + ½⌋ for integers, a double rounded once for floats | mean of the four, halves up, at least 1 where any is covered |
/// | nearest | the upper left pixel, as GDAL's overviews | that pixel's |
/// | mode | the pixel, all bands together, that occurs most often among the covered ones; the first in row-major order wins a tie | that pixel's |
///
/// With [`Edges::Hard`] a coverage that is not zero becomes 255: with average and mode a result has data where any of
/// the four has, as in GDAL.
///
/// # Errors
/// [`Error::Internal`] when the window's edges are not even, and for methods that need more than the four pixels.
pub fn halve(block: &Block, method: Resampling, edges: Edges) -> Result<Block> {
    halve_at(Level::Best, block, method, edges)
}

fn halve_at(level: Level, block: &Block, method: Resampling, edges: Edges) -> Result<Block> {
    let from = block.window;
    let (_, height, width) = block.samples.dim();
    let even = [from.x, from.y, from.right(), from.bottom()].iter().all(|v| v % 2 == 0);
    if !even || (width, height) != (from.width, from.height) {
        return Err(Error::Internal(format!("cannot halve {from}")));
    }
    if !matches!(method, Resampling::Average | Resampling::Nearest | Resampling::Mode) {
        return Err(Error::Internal(format!("{method} does not reduce 2 × 2 pixels")));
    }
    let window = Window::new(from.x / 2, from.y / 2, width / 2, height / 2);
    for_samples!(&block.samples, array => halve_samples(level, array, &block.validity, window, method, edges))
}

/// Like [`halve`] with [`Resampling::Average`], where some values do not count.
///
/// # Errors
/// [`Error::Internal`] when the window's edges are not even.
pub fn halve_excluding(block: &Block, exclusion: &Exclusion, edges: Edges) -> Result<Block> {
    let from = block.window;
    let (_, height, width) = block.samples.dim();
    let even = [from.x, from.y, from.right(), from.bottom()].iter().all(|v| v % 2 == 0);
    if !even || (width, height) != (from.width, from.height) {
        return Err(Error::Internal(format!("cannot halve {from}")));
    }
    let window = Window::new(from.x / 2, from.y / 2, width / 2, height / 2);
    for_samples!(&block.samples, array => halve_tallied(array, &block.validity, window, exclusion, edges))
}

fn halve_tallied<T: Mean>(
    array: &Array3<T>,
    validity: &Validity,
    window: Window,
    exclusion: &Exclusion,
    edges: Edges,
) -> Result<Block> {
    let (bands, _, width) = array.dim();
    let samples = interleaved_slice(array).map_or_else(|| Cow::Owned(to_interleaved(array)), Cow::Borrowed);
    let mut halved = vec![T::default(); window.area() * bands];
    let mut covered = Array2::zeros((window.height, window.width));
    let coverage = |y: usize, x: usize| match validity {
        Validity::All => 255,
        Validity::PerPixel(c) => c[[y, x]],
    };
    let mut tally = Tally::new(exclusion, bands, edges);
    for (k, target) in halved.chunks_exact_mut(bands.max(1)).enumerate() {
        let (x, y) = (2 * (k % window.width), 2 * (k / window.width));
        tally.clear();
        for (x, y) in [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)] {
            tally.add(&samples[(y * width + x) * bands..][..bands], coverage(y, x), 1.0);
        }
        covered[[y / 2, x / 2]] = tally.finish(target);
    }
    let samples = interleaved_array(halved, bands, window.size())
        .ok_or_else(|| Error::Internal(format!("{window} does not hold its samples")))?;
    Ok(Block { window, samples: T::wrap(samples), validity: Validity::PerPixel(covered).simplified() })
}

/// Puts four blocks of equal size together to one of double the side. They come in the order upper left, upper
/// right, lower left, lower right; where one is missing, and where a block is not covered, nothing is covered. `None`
/// when all are missing.
///
/// # Errors
/// [`Error::Internal`] when a block is not the quarter of `window` that its place says, or when blocks differ in sample
/// type or number of bands.
pub fn join(quarters: &[Option<Block>; 4], window: Window) -> Result<Option<Block>> {
    let Some(first) = quarters.iter().flatten().next() else { return Ok(None) };
    let (sample_type, bands) = (first.samples.sample_type(), first.bands());
    let size = Size::new(window.width / 2, window.height / 2);
    let corner = |i: usize| (i % 2 * size.width, i / 2 * size.height);
    for (i, quarter) in quarters.iter().enumerate() {
        let Some(quarter) = quarter else { continue };
        let (x, y) = corner(i);
        let place = Window::new(window.x + x as i64, window.y + y as i64, size.width, size.height);
        let fits = quarter.window == place && quarter.samples.dim() == (bands, size.height, size.width);
        if !fits || window.width % 2 + window.height % 2 != 0 {
            return Err(Error::Internal(format!("{} is not a quarter of {window}", quarter.window)));
        }
        if quarter.samples.sample_type() != sample_type {
            return Err(Error::Internal("blocks to be joined differ in sample type".to_owned()));
        }
    }
    let full = quarters.iter().all(|q| q.as_ref().is_some_and(|q| q.validity == Validity::All));
    let validity = if full {
        Validity::All
    } else {
        let mut coverage = Array2::zeros((window.height, window.width));
        for (i, quarter) in quarters.iter().enumerate() {
            let (x, y) = corner(i);
            let mut part = coverage.slice_mut(s![y..y + size.height, x..x + size.width]);
            match quarter.as_ref().map(|q| &q.validity) {
                None => {}
                Some(Validity::All) => part.fill(255),
                Some(Validity::PerPixel(c)) => part.assign(c),
            }
        }
        Validity::PerPixel(coverage).simplified()
    };
    let samples = for_sample_type!(sample_type, T => join_samples::<T>(quarters, window.size(), bands));
    Ok(Some(Block { window, samples, validity }))
}

fn join_samples<T: Sample>(quarters: &[Option<Block>; 4], size: Size, bands: usize) -> Samples {
    let mut joined = interleaved_zeros::<T>(bands, size);
    let (width, height) = (size.width / 2, size.height / 2);
    for (i, quarter) in quarters.iter().enumerate() {
        let Some(part) = quarter.as_ref().and_then(|q| T::unwrap(&q.samples)) else { continue };
        let (x, y) = (i % 2 * width, i / 2 * height);
        joined.slice_mut(s![.., y..y + height, x..x + width]).assign(part);
    }
    T::wrap(joined)
}

fn halve_samples<T: Mean>(
    level: Level,
    array: &Array3<T>,
    validity: &Validity,
    window: Window,
    method: Resampling,
    edges: Edges,
) -> Result<Block> {
    let bands = array.dim().0;
    let samples = interleaved_slice(array).map_or_else(|| Cow::Owned(to_interleaved(array)), Cow::Borrowed);
    let mut halved = vec![T::default(); window.area() * bands];
    let (row, row_out) = (2 * window.width * bands, window.width * bands);
    let validity = if bands == 0 || window.is_empty() {
        validity.clone()
    } else {
        match validity {
            Validity::All => {
                for (pair, target) in samples.chunks_exact(2 * row).zip(halved.chunks_exact_mut(row_out)) {
                    let (upper, lower) = pair.split_at(row);
                    let rows = FullRows { level, upper, lower, target, bands };
                    match method {
                        Resampling::Average => dispatch(level, rows),
                        _ => dispatch(level, Picked { rows, modal: method == Resampling::Mode }),
                    }
                }
                Validity::All
            }
            Validity::PerPixel(coverage) => {
                let mut reduced = Array2::zeros((window.height, window.width));
                let from = coverage.as_standard_layout();
                let from = from.as_slice().unwrap_or_default();
                let to = reduced.as_slice_mut().unwrap_or_default();
                let covers = from.chunks_exact(4 * window.width).zip(to.chunks_exact_mut(window.width));
                let pixels = samples.chunks_exact(2 * row).zip(halved.chunks_exact_mut(row_out));
                for ((pair, target), (cover, covered)) in pixels.zip(covers) {
                    let (upper, lower) = pair.split_at(row);
                    let rows = FullRows { level, upper, lower, target, bands };
                    rows.halve_stretches(cover, covered, method, edges);
                }
                Validity::PerPixel(reduced).simplified()
            }
        }
    };
    let samples = interleaved_array(halved, bands, window.size())
        .ok_or_else(|| Error::Internal(format!("{window} does not hold its samples")))?;
    Ok(Block { window, samples: T::wrap(samples), validity })
}

/// Two rows and the row they are reduced to.
struct FullRows<'a, T> {
    level: Level,
    upper: &'a [T],
    lower: &'a [T],
    target: &'a mut [T],
    bands: usize,
}

impl<T: Mean> Kernel for FullRows<'_, T> {
    type Output = ();

    /// Averages pixels that are all covered.
    #[inline(always)]
    fn run(self) {
        match self.bands {
            1 => self.average::<1>(),
            2 => self.average::<2>(),
            3 => self.average::<3>(),
            4 => self.average::<4>(),
            _ => self.average::<0>(),
        }
    }
}

impl<T: Mean> FullRows<'_, T> {
    #[inline(always)]
    fn average<const B: usize>(self) {
        const CHUNK: usize = 256;
        let bands = if B == 0 { self.bands } else { B };
        if bands > CHUNK / 2 {
            return self.average_wide();
        }
        let bytes = (T::bytes(self.upper), T::bytes(self.lower), T::bytes_mut(self.target));
        let done = match bytes {
            (Some(upper), Some(lower), Some(target)) => halve_bytes::<B>(self.level, upper, lower, target),
            _ => 0,
        };
        let (upper, lower) = (&self.upper[2 * done..], &self.lower[2 * done..]);
        // Whole pairs of pixels, so that a chunk is summed over memory as it lies before neighbours are.
        let step = CHUNK / (2 * bands) * 2 * bands;
        let chunks = upper.chunks(step).zip(lower.chunks(step));
        for ((u, l), t) in chunks.zip(self.target[done..].chunks_mut(step / 2)) {
            let mut sums = [T::Wide::default(); CHUNK];
            for ((sum, u), l) in sums.iter_mut().zip(u).zip(l) {
                *sum = T::add(*u, *l);
            }
            for (t, pair) in t.chunks_exact_mut(bands).zip(sums.chunks_exact(2 * bands)) {
                for b in 0..bands {
                    t[b] = T::quarter(pair[b], pair[b + bands]);
                }
            }
        }
    }

    /// The same for pixels of very many bands.
    fn average_wide(self) {
        let bands = self.bands;
        let pairs = self.upper.chunks_exact(2 * bands).zip(self.lower.chunks_exact(2 * bands));
        for ((u, l), t) in pairs.zip(self.target.chunks_exact_mut(bands)) {
            for b in 0..bands {
                t[b] = T::quarter(T::add(u[b], l[b]), T::add(u[b + bands], l[b + bands]));
            }
        }
    }

    /// Copies one of four pixels.
    #[inline(always)]
    fn pick<const B: usize>(self, choose: impl Fn([&[T]; 4]) -> usize) {
        let bands = if B == 0 { self.bands } else { B };
        let pairs = self.upper.chunks_exact(2 * bands).zip(self.lower.chunks_exact(2 * bands));
        for ((u, l), t) in pairs.zip(self.target.chunks_exact_mut(bands)) {
            let pixels = quad(u, l, bands);
            let chosen = choose(pixels);
            if B == 0 {
                t.copy_from_slice(pixels[chosen]);
            } else {
                for b in 0..B {
                    let later = if chosen == 1 { pixels[1][b] } else { pixels[2][b] };
                    t[b] = if chosen == 0 { pixels[0][b] } else { later };
                }
            }
        }
    }

    /// Reduces pixels that are all covered.
    fn halve_full(self, method: Resampling) {
        let level = self.level;
        if method == Resampling::Average {
            dispatch(level, self);
        } else {
            dispatch(level, Picked { rows: self, modal: method == Resampling::Mode });
        }
    }

    /// Reduces pixels whose coverage may differ; `cover` holds that of both rows. Most stretches of most rows are
    /// covered from end to end, or not at all.
    fn halve_stretches(self, cover: &[u8], covered: &mut [u8], method: Resampling, edges: Edges) {
        const STRETCH: usize = 16;
        if cover.iter().fold(255, |all, &c| all & c) == 255 {
            covered.fill(255);
            return self.halve_full(method);
        }
        let Self { level, upper, lower, target, bands } = self;
        let step = 2 * STRETCH * bands;
        let (upper_cover, lower_cover) = cover.split_at(cover.len() / 2);
        let covers = upper_cover.chunks(2 * STRETCH).zip(lower_cover.chunks(2 * STRETCH));
        let samples = upper.chunks(step).zip(lower.chunks(step)).zip(target.chunks_mut(step / 2));
        for (((uc, lc), out), ((upper, lower), target)) in
            covers.zip(covered.chunks_mut(STRETCH)).zip(samples)
        {
            let rows = FullRows { level, upper, lower, target, bands };
            let both = uc.iter().zip(lc);
            let (all, any) = both.fold((255, 0), |(all, any), (u, l)| (all & u & l, any | u | l));
            if all == 255 {
                rows.halve_full(method);
                out.fill(255);
            } else if any != 0 {
                rows.halve_covered(uc, lc, out, method, edges);
            }
        }
    }

    /// Reduces pixels whose coverage differs; that of both rows comes along.
    fn halve_covered(
        self,
        upper_cover: &[u8],
        lower_cover: &[u8],
        covered: &mut [u8],
        method: Resampling,
        edges: Edges,
    ) {
        let bands = self.bands;
        let pairs = self.upper.chunks_exact(2 * bands).zip(self.lower.chunks_exact(2 * bands));
        let targets = self.target.chunks_exact_mut(bands).zip(covered);
        for (i, ((u, l), (t, out))) in pairs.zip(targets).enumerate() {
            let pixels = quad(u, l, bands);
            let c = [upper_cover[2 * i], upper_cover[2 * i + 1], lower_cover[2 * i], lower_cover[2 * i + 1]];
            if c == [0; 4] {
                continue;
            }
            let coverage = if method == Resampling::Average {
                for b in 0..bands {
                    if c == [255; 4] {
                        // As where everything is covered, so that the neighbours have no say.
                        t[b] = T::quarter(T::add(u[b], l[b]), T::add(u[b + bands], l[b + bands]));
                        continue;
                    }
                    t[b] = T::weighted_mean([pixels[0][b], pixels[1][b], pixels[2][b], pixels[3][b]], c);
                }
                let sum: u16 = c.iter().map(|&c| u16::from(c)).sum();
                ((sum + 2) / 4).max(1) as u8
            } else {
                let chosen = match method {
                    Resampling::Mode if c == [255; 4] => modal(pixels),
                    Resampling::Mode => mode(pixels, c).unwrap_or(0),
                    _ => 0,
                };
                if c[chosen] > 0 {
                    t.copy_from_slice(pixels[chosen]);
                }
                c[chosen]
            };
            *out = if edges == Edges::Hard && coverage > 0 { 255 } else { coverage };
        }
    }
}

/// Rows of which one pixel of four is taken: the one that occurs most often, or the first. All are covered.
struct Picked<'a, T> {
    rows: FullRows<'a, T>,
    modal: bool,
}

impl<T: Mean> Kernel for Picked<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match (self.rows.bands, self.modal) {
            (1, true) => self.rows.pick::<1>(modal),
            (3, true) => self.rows.pick::<3>(modal),
            (4, true) => self.rows.pick::<4>(modal),
            (_, true) => self.rows.pick::<0>(modal),
            (1, false) => self.rows.pick::<1>(|_| 0),
            (3, false) => self.rows.pick::<3>(|_| 0),
            (4, false) => self.rows.pick::<4>(|_| 0),
            (_, false) => self.rows.pick::<0>(|_| 0),
        }
    }
}

/// The same as [`mode`] of four pixels that are all covered, without branches: one that occurs twice has at most one
/// rival, which comes later or is among those that were asked before.
#[inline(always)]
fn modal<T: Mean>(pixels: [&[T]; 4]) -> usize {
    let same = |i: usize, j: usize| {
        pixels[i].iter().zip(pixels[j]).fold(true, |same, (a, b)| same & a.same_bits(*b))
    };
    let first = same(0, 1) | same(0, 2) | same(0, 3);
    let second = same(1, 2) | same(1, 3);
    let later = if second { 1 } else { usize::from(same(2, 3)) * 2 };
    if first { 0 } else { later }
}

/// The four pixels in row-major order.
#[inline(always)]
fn quad<'a, T>(upper: &'a [T], lower: &'a [T], bands: usize) -> [&'a [T]; 4] {
    let ((a, b), (c, d)) = (upper.split_at(bands), lower.split_at(bands));
    [a, b, c, d]
}

/// Index of the first of the covered pixels that occur most often.
#[inline]
fn mode<T: Mean>(pixels: [&[T]; 4], coverage: [u8; 4]) -> Option<usize> {
    let same = |a: &[T], b: &[T]| a.iter().zip(b).all(|(a, b)| a.same_bits(*b));
    let mut best = None;
    let mut most = 0;
    for i in (0..4).filter(|&i| coverage[i] > 0) {
        let count = (i..4).filter(|&j| coverage[j] > 0 && same(pixels[i], pixels[j])).count();
        if count > most {
            (best, most) = (Some(i), count);
        }
    }
    best
}

/// Samples that can be averaged.
trait Mean: super::kernel::Pixel {
    /// A type that holds sums of four and the rounding.
    type Wide: Copy + Default;
    /// The sum of two.
    fn add(a: Self, b: Self) -> Self::Wide;
    /// The mean of four, from two sums of two.
    fn quarter(a: Self::Wide, b: Self::Wide) -> Self;
    /// The mean weighted by coverage, which is not zero everywhere; what is not covered does not count, not even NaN.
    fn weighted_mean(values: [Self; 4], coverage: [u8; 4]) -> Self;
}

macro_rules! mean_of_integers {
    ($($t:ty, $sum:ty;)*) => {
        $(impl Mean for $t {
            type Wide = $sum;
            #[inline(always)]
            fn add(a: Self, b: Self) -> $sum { <$sum>::from(a) + <$sum>::from(b) }
            #[inline(always)]
            fn quarter(a: $sum, b: $sum) -> Self {
                // The shift rounds down, for negative sums too.
                ((a + b + 2) >> 2) as $t
            }
            #[inline(always)]
            fn weighted_mean(values: [Self; 4], coverage: [u8; 4]) -> Self {
                let (mut sum, mut weight) = (0, 0);
                for (v, c) in values.into_iter().zip(coverage) {
                    sum += i64::from(v) * i64::from(c);
                    weight += i64::from(c);
                }
                (2 * sum + weight).div_euclid(2 * weight) as $t
            }
        })*
    };
}
mean_of_integers! { u8, u16; i8, i16; u16, u32; i16, i32; u32, u64; i32, i64; }

macro_rules! mean_of_floats {
    ($($t:ty)*) => {
        $(#[allow(clippy::cast_lossless)]
        impl Mean for $t {
            type Wide = f64;
            #[inline(always)]
            fn add(a: Self, b: Self) -> f64 { a as f64 + b as f64 }
            #[inline(always)]
            fn quarter(a: f64, b: f64) -> Self { ((a + b) * 0.25) as $t }
            #[inline(always)]
            fn weighted_mean(values: [Self; 4], coverage: [u8; 4]) -> Self {
                let (mut sum, mut weight) = (0.0, 0.0);
                for (v, c) in values.into_iter().zip(coverage).filter(|(_, c)| *c > 0) {
                    sum += v as f64 * f64::from(c);
                    weight += f64::from(c);
                }
                (sum / weight) as $t
            }
        })*
    };
}
mean_of_floats! { f32 f64 }
