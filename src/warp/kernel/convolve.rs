//! Separable kernels: columns of source pixels are summed first, all their bands at once, then rows.
//!
//! Work goes by cell rows of 32 target pixels. Where all source pixels of a row exist and are covered, which is
//! checked once, the sums run over memory as it lies; elsewhere each pixel is looked at on its own.
#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use super::canvas::{Rows, compose};
use super::fixed::{self, Bytes};
use super::patch::{Area, Patch};
use super::pixel::{Pixel, Real};
use super::source::Source;
use super::sums::{four_taps, grow, sum_columns, sum_row_band, sum_rows};
use super::weights::{Axis, Taps};
use super::{CELL, Cell, CoordGrid, Edges, Window, for_cells};
use crate::block::SampleType;
use crate::resampling::Resampling;
use crate::simd::{Kernel, Level, dispatch, dispatch_special};

/// Positions that differ by less than this along an axis share weights, in source pixels: the columns of a cell in x,
/// the pixels of a row in y.
const LEVEL: f64 = 1e-6;

/// A weighted mean whose weights cancel down to less than this part of their magnitudes is not stable.
const STABLE: f64 = 0.25;

/// Less weight than this is rounding noise.
const NOISE: f64 = 1e-6;

/// Memory that is reused from row to row.
struct Scratch<T: Pixel> {
    x: Taps<T::Sum>,
    y: Taps<T::Sum>,
    /// Sums over columns.
    columns: Vec<T::Sum>,
    /// Weights of a single pixel, per axis.
    single: [Vec<T::Sum>; 2],
    /// Sums per band of a single pixel.
    bands: Vec<T::Sum>,
    /// Samples of a single pixel.
    values: Vec<T>,
    /// Taps of a row in fixed point.
    work: fixed::Work,
    /// A row of pixels some of which are used.
    row: Vec<T>,
    /// The source pixels of a cell in the type of sums.
    patch: Patch<T::Sum>,
}

/// Resamples all cells of a piece.
pub(super) fn convolve<T: Pixel>(
    level: Level,
    source: &Source<'_, T>,
    grid: &CoordGrid,
    piece: Window,
    method: Resampling,
    edges: Edges,
    rows: &mut Rows<'_, T>,
) {
    let mut scratch = Scratch {
        x: Taps::new(),
        y: Taps::new(),
        columns: Vec::new(),
        single: [Vec::new(), Vec::new()],
        bands: Vec::new(),
        values: Vec::new(),
        work: fixed::Work::new(),
        row: Vec::new(),
        patch: Patch { area: Area::NONE, samples: Vec::new() },
    };
    for_cells(grid, piece, |column, row| {
        let (sx, sy) = grid.scale(column, row);
        let (x, y) = (Axis::new(method, sx), Axis::new(method, sy));
        let any_covered = method == Resampling::Average;
        let cell = CellJob { level, source, grid, column, row, x, y, edges, any_covered };
        // The common numbers of bands and taps are constants of their own build.
        match (source.bands, x.taps(), y.taps()) {
            (1, 2, 2) => Build::<T, 1, 2>(cell, rows, &mut scratch).run_best(level),
            (1, 4, 4) => Build::<T, 1, 4>(cell, rows, &mut scratch).run_best(level),
            (1, 6, 6) => Build::<T, 1, 6>(cell, rows, &mut scratch).run_best(level),
            (1, ..) => Build::<T, 1, 0>(cell, rows, &mut scratch).run_best(level),
            (3, 2, 2) => Build::<T, 3, 2>(cell, rows, &mut scratch).run_best(level),
            (3, 4, 4) => Build::<T, 3, 4>(cell, rows, &mut scratch).run_best(level),
            (3, 6, 6) => Build::<T, 3, 6>(cell, rows, &mut scratch).run_best(level),
            (3, ..) => Build::<T, 3, 0>(cell, rows, &mut scratch).run_best(level),
            (4, 2, 2) => Build::<T, 4, 2>(cell, rows, &mut scratch).run_best(level),
            (4, 4, 4) => Build::<T, 4, 4>(cell, rows, &mut scratch).run_best(level),
            (4, ..) => Build::<T, 4, 0>(cell, rows, &mut scratch).run_best(level),
            _ => Build::<T, 0, 0>(cell, rows, &mut scratch).run_best(level),
        }
    });
}

/// One cell to resample.
struct CellJob<'a, T> {
    level: Level,
    source: &'a Source<'a, T>,
    grid: &'a CoordGrid,
    column: usize,
    row: usize,
    x: Axis,
    y: Axis,
    edges: Edges,
    any_covered: bool,
}

/// A cell to resample with `B` bands and `N` taps on both axes; 0 stands for any number.
struct Build<'a, 'b, T: Pixel, const B: usize, const N: usize>(
    CellJob<'a, T>,
    &'a mut Rows<'b, T>,
    &'a mut Scratch<T>,
);

impl<T: Pixel, const B: usize, const N: usize> Build<'_, '_, T, B, N> {
    /// Whether the build computes other numbers than the one for any number of taps: sums in fixed point, and of four taps
    /// at once.
    const DISTINCT: bool = N == 0 || (B == 1 && N == 2) || (matches!(T::TYPE, SampleType::U8) && N != 6);
    /// Whether the type is worth builds for vector units: each takes seconds to compile and 60 kB.
    const COMMON: bool =
        matches!(T::TYPE, SampleType::U8 | SampleType::U16 | SampleType::I16 | SampleType::F32);

    /// Runs the build for what this machine and the type are; all of them compute the same.
    fn run_best(self, level: Level) {
        match (Self::COMMON, Self::DISTINCT) {
            (true, true) => dispatch(level, self),
            (true, false) => {
                if let Err(Self(cell, rows, scratch)) = dispatch_special(level, self) {
                    Build::<T, B, 0>(cell, rows, scratch).run();
                }
            }
            (false, true) => self.run(),
            (false, false) => Build::<T, B, 0>(self.0, self.1, self.2).run(),
        }
    }
}

impl<T: Pixel, const B: usize, const N: usize> Kernel for Build<'_, '_, T, B, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self(cell, rows, scratch) = self;
        let (mut xs, mut ys) = ([0.0; CELL], [0.0; CELL]);
        let grid = cell.grid;
        scratch.x.forget();
        scratch.work.forget();
        let bytes = cell.fixed::<B, N>();
        let (found, area) = cell.look();
        if found == Found::Nothing {
            return;
        }
        let together = bytes.is_some() || scratch.patch.fill(cell.source, area);
        let interior = found == Found::Everything && together;
        for line in 0..CELL {
            if !grid.cell_row_at(cell.level, cell.column, cell.row, line, &mut xs, &mut ys) {
                return;
            }
            let x = grid.window().x + (cell.column * CELL) as i64;
            let y = grid.window().y + (cell.row * CELL + line) as i64;
            let (samples, coverage) = rows.run(x, y, CELL);
            if interior
                && let (Some(bytes), Some(target)) = (bytes, T::bytes_mut(samples))
                && cell.direct_row::<B, N>(bytes, &xs, &ys, &mut scratch.work, target)
            {
                coverage.fill(255);
                continue;
            }
            // In many maps x hardly depends on the line.
            cell.x.refill(cell.level, &xs, cell.source.window.x, &mut scratch.x, LEVEL);
            cell.y.fill(cell.level, &ys, cell.source.window.y, &mut scratch.y);
            if interior || (together && cell.is_full_row(&ys, scratch)) {
                cell.full_row::<B, N>(bytes, &xs, &ys, LEVEL, scratch, samples);
                coverage.fill(255);
            } else {
                cell.any_row::<B, N>(bytes, together, &xs, &ys, scratch, samples, coverage);
            }
        }
    }
}

/// What the source has of the pixels that a cell's kernels touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// None that is covered.
    Nothing,
    /// Some, or it is not known.
    Something,
    /// All of them, fully covered.
    Everything,
}

impl<T: Pixel> CellJob<'_, T> {
    /// The source when pixels all of whose taps are covered are summed in [fixed point](fixed).
    #[inline(always)]
    fn fixed<const B: usize, const N: usize>(&self) -> Option<Bytes<'_>> {
        let applies = match (B, N) {
            (3 | 4, 2) => self.x.is_plain_bilinear() && self.y.is_plain_bilinear(),
            (3 | 4, 4) => true,
            _ => false,
        };
        let samples = T::bytes(self.source.samples).filter(|_| applies)?;
        Some(Bytes { samples, window: self.source.window })
    }

    /// Looks once at all source pixels that the kernels of the cell touch: most cells have all or nothing. The area holds
    /// all those that exist, of positions that are finite.
    fn look(&self) -> (Found, Area) {
        let positions = match self.grid.cell(self.column, self.row) {
            Cell::Outside => return (Found::Nothing, Area::NONE),
            Cell::Nodes { nodes, .. } => nodes,
            Cell::Exact(positions) => positions,
        };
        let window = self.source.window;
        let (mut left, mut top, mut right, mut bottom) = (f64::MAX, f64::MAX, f64::MIN, f64::MIN);
        let mut finite = true;
        for p in positions {
            if !p.is_some() {
                finite = false;
                continue;
            }
            (left, right) = (left.min(p.x), right.max(p.x));
            (top, bottom) = (top.min(p.y), bottom.max(p.y));
        }
        // From the first tap on until after the last one; a little more, for interpolation rounds.
        let reach = |low: f64, high: f64, origin: i64, len: usize, radius: usize| {
            let (origin, radius) = (origin as f64, radius as f64);
            let first = (low - 0.501 - origin).floor() + 1.0 - radius;
            let end = (high - 0.499 - origin).floor() + 1.0 + radius;
            let all = first >= 0.0 && end <= len as f64;
            // `as` takes what is negative to zero.
            ((first as usize).min(len), (end as usize).min(len), all)
        };
        let (left, right, all_columns) = reach(left, right, window.x, window.width, self.x.radius());
        let (top, bottom, all_rows) = reach(top, bottom, window.y, window.height, self.y.radius());
        let area = Area { left, top, right, bottom };
        let found = if area.is_empty() || self.source.is_bare(left, top, right, bottom) {
            Found::Nothing
        } else if finite && all_columns && all_rows && self.source.is_full(left, top, right, bottom) {
            Found::Everything
        } else {
            Found::Something
        };
        (found, area)
    }

    /// A row of pixels all of whose taps exist and are covered, straight from the positions; `false` when that is not
    /// how this machine does it.
    #[inline(always)]
    fn direct_row<const B: usize, const N: usize>(
        &self,
        bytes: Bytes<'_>,
        xs: &[f64; CELL],
        ys: &[f64; CELL],
        work: &mut fixed::Work,
        target: &mut [u8],
    ) -> bool {
        if N == 2 {
            fixed::bilinear_row::<B>(self.level, bytes, xs, ys, work, target);
            return true;
        }
        let cubic = N == 4 && self.x.is_plain_cubic() && self.y.is_plain_cubic();
        cubic && fixed::cubic_row::<B>(self.level, bytes, xs, ys, LEVEL, work, target)
    }

    /// Whether every tap of a row exists and is fully covered.
    #[inline(always)]
    fn is_full_row(&self, ys: &[f64; CELL], scratch: &Scratch<T>) -> bool {
        let window = self.source.window;
        let (rx, ry) = (self.x.radius(), self.y.radius());
        if !(all_inside(&scratch.x.positions, window.x, window.width, rx)
            && all_inside(ys, window.y, window.height, ry))
        {
            return false;
        }
        let (left, right) = min_max(&scratch.x.base);
        let (top, bottom) = min_max(&scratch.y.base);
        self.source.is_full(left + 1 - rx, top + 1 - ry, right + rx + 1, bottom + ry + 1)
    }

    /// A row of which every tap exists and is fully covered. It counts as level when positions differ by no more than
    /// `tolerance` in y.
    #[inline(always)]
    fn full_row<const B: usize, const N: usize>(
        &self,
        bytes: Option<Bytes<'_>>,
        xs: &[f64; CELL],
        ys: &[f64; CELL],
        tolerance: f64,
        scratch: &mut Scratch<T>,
        target: &mut [T],
    ) {
        if let (Some(bytes), Some(target)) = (bytes, T::bytes_mut(target)) {
            if N == 2 {
                fixed::bilinear_row::<B>(self.level, bytes, xs, ys, &mut scratch.work, target);
            } else {
                let Scratch { x, y, work, .. } = scratch;
                fixed::row_of_16::<_, B>(self.level, bytes, x, y, work, target);
            }
            return;
        }
        let bands = if B == 0 { self.source.bands } else { B };
        let taps = if N == 0 { self.x.taps() } else { N };
        // Slices on the stack, for the compiler reloads what lies behind references after each store.
        let Scratch { x, y, columns, patch, .. } = scratch;
        let (wx, wy) = (&x.weights[..taps], &y.weights[..self.y.taps()]);
        let wy = if N == 0 { wy } else { &wy[..N] };
        let Patch { area, samples } = &*patch;
        let stride = (area.right - area.left) * bands;
        // Where the upper left tap around a base pixel lies.
        let corner = (area.left + self.x.radius() - 1, area.top + self.y.radius() - 1);
        let first_sample =
            |column: i32, row: i32| (row as usize - corner.1) * stride + (column as usize - corner.0) * bands;
        let mut starts = [0; CELL];
        let (left, right) = min_max(&x.base);
        let span = right - left + taps;
        if is_level(ys, tolerance) && span <= CELL * taps {
            grow(columns, span * bands);
            let start = first_sample(left as i32, y.base[0]);
            sum_columns::<_, N>(samples, start, stride, wy, 0, span * bands, columns);
            for (start, base) in starts.iter_mut().zip(&x.base) {
                *start = (*base as usize - left) * bands;
            }
        } else if B == 1 && N == 2 {
            let start = |i: usize| first_sample(x.base[i], y.base[i]);
            return four_taps::<T>(samples, start, stride, wx, wy, target);
        } else {
            let room = (taps * bands).next_multiple_of(4);
            grow(columns, CELL * room);
            let columns = &mut columns[..CELL * room + 16];
            for i in 0..CELL {
                starts[i] = i * room;
                let start = first_sample(x.base[i], y.base[i]);
                sum_columns::<_, N>(samples, start, stride, wy, i, taps * bands, &mut columns[i * room..]);
            }
        }
        if B == 0 {
            for (i, pixel) in target.chunks_exact_mut(bands).enumerate() {
                for (band, sample) in pixel.iter_mut().enumerate() {
                    *sample = T::from_sum(sum_row_band(&columns[starts[i] + band..], bands, wx, i));
                }
            }
        } else {
            sum_rows::<T, B, N>(columns, &starts, wx, target);
        }
    }

    /// A row in which taps may be missing: pixels that lack none are computed `together` if that can be.
    #[expect(clippy::too_many_arguments, reason = "the row's positions, taps and memory")]
    #[inline(always)]
    fn any_row<const B: usize, const N: usize>(
        &self,
        bytes: Option<Bytes<'_>>,
        together: bool,
        xs: &[f64; CELL],
        ys: &[f64; CELL],
        scratch: &mut Scratch<T>,
        samples: &mut [T],
        coverage: &mut [u8],
    ) {
        /// Fewer full pixels are not worth a row.
        const FEW: u32 = 3;
        let bands = if B == 0 { self.source.bands } else { B };
        let (mut full, mut holed) = (0u32, 0u32);
        for i in 0..CELL {
            let Some((column, row)) = self.source.locate(xs[i], ys[i]) else { continue };
            if self.any_covered || self.source.coverage_at(column, row) > 0 {
                let lacks_none = self.is_full_at::<N>(&scratch.x, &scratch.y, i);
                full |= u32::from(lacks_none) << i;
                holed |= u32::from(!lacks_none) << i;
            }
        }
        for i in ones(holed) {
            let target = &mut samples[i * bands..][..bands];
            self.holed_pixel::<B>(scratch, i, xs[i], ys[i], target, &mut coverage[i]);
        }
        if together && full.count_ones() >= FEW {
            let known = (scratch.x.base, scratch.y.base);
            // The others become copies of one that can be computed.
            let mut like = full.trailing_zeros() as usize;
            for i in 0..CELL {
                if full >> i & 1 == 1 {
                    like = i;
                }
                (scratch.x.base[i], scratch.y.base[i]) = (known.0[like], known.1[like]);
            }
            let mut row = std::mem::take(&mut scratch.row);
            row.resize(CELL * bands, T::default());
            self.full_row::<B, N>(bytes, xs, ys, 0.0, scratch, &mut row);
            for i in ones(full) {
                samples[i * bands..][..bands].copy_from_slice(&row[i * bands..][..bands]);
                coverage[i] = 255;
            }
            scratch.row = row;
            (scratch.x.base, scratch.y.base) = known;
        } else {
            for i in ones(full) {
                let target = &mut samples[i * bands..][..bands];
                if let (Some(bytes), Some(target)) = (bytes, T::bytes_mut(target)) {
                    if N == 2 {
                        fixed::bilinear_pixel::<B>(bytes, xs[i], ys[i], target);
                    } else {
                        fixed::pixel_of_16::<_, B>(bytes, &scratch.x, &scratch.y, i, target);
                    }
                } else {
                    self.full_pixel(scratch, i, target);
                }
                coverage[i] = 255;
            }
        }
    }

    /// Whether every tap of one pixel exists and is fully covered.
    #[inline(always)]
    fn is_full_at<const N: usize>(&self, x: &Taps<T::Sum>, y: &Taps<T::Sum>, i: usize) -> bool {
        let (rx, ry) = (self.x.radius() as i64, self.y.radius() as i64);
        let (left, right) = (i64::from(x.base[i]) + 1 - rx, i64::from(x.base[i]) + rx);
        let (top, bottom) = (i64::from(y.base[i]) + 1 - ry, i64::from(y.base[i]) + ry);
        let window = self.source.window;
        let exist = left >= 0 && top >= 0 && right < window.width as i64 && bottom < window.height as i64;
        let (left, top) = (left as usize, top as usize);
        match self.source.coverage {
            _ if !exist => false,
            None => true,
            Some(coverage) if N > 0 => (top..top + N).all(|row| {
                let start = row * window.width + left;
                coverage[start..start + N] == [255; N]
            }),
            Some(_) => self.source.is_full(left, top, right as usize + 1, bottom as usize + 1),
        }
    }

    /// One pixel of which every tap exists and is fully covered.
    fn full_pixel(&self, scratch: &mut Scratch<T>, i: usize, target: &mut [T]) {
        let Scratch { x, y, bands, .. } = scratch;
        let count = self.source.bands;
        let (left, top) =
            (x.base[i] as usize + 1 - self.x.radius(), y.base[i] as usize + 1 - self.y.radius());
        bands.clear();
        bands.resize(count, T::Sum::default());
        for (k, wx) in x.weights.iter().enumerate() {
            for (b, band) in bands.iter_mut().enumerate() {
                let mut column = T::Sum::default();
                for (j, wy) in y.weights.iter().enumerate() {
                    column = column + wy[i] * self.source.pixel(left + k, top + j)[b].widen();
                }
                *band = *band + wx[i] * column;
            }
        }
        for (sample, band) in target.iter_mut().zip(bands) {
            *sample = T::from_sum(*band);
        }
    }

    /// One pixel with taps that do not exist or are not fully covered.
    fn holed_pixel<const B: usize>(
        &self,
        scratch: &mut Scratch<T>,
        i: usize,
        px: f64,
        py: f64,
        target: &mut [T],
        covered: &mut u8,
    ) {
        let Scratch { x, y, single: [wx, wy], bands, values, .. } = scratch;
        let (base_x, base_y) = (i64::from(x.base[i]), i64::from(y.base[i]));
        for (weights, taps) in [(&mut *wx, &x.weights), (&mut *wy, &y.weights)] {
            weights.clear();
            weights.extend(taps.iter().map(|w| w[i]));
        }
        let sums = self.sum_covered::<B>(base_x, wx, base_y, wy, bands);
        let stable = sums.weight >= T::Sum::of(STABLE) * sums.magnitude;
        let lacking = sums.lacking && self.x.is_plain_cubic() && self.y.is_plain_cubic();
        let mean = (stable && !lacking).then_some(sums);
        let sums = mean.unwrap_or_else(|| {
            self.x.bilinear().weights_at(px, wx);
            self.y.bilinear().weights_at(py, wy);
            self.sum_covered::<B>(base_x, wx, base_y, wy, bands)
        });
        if sums.weight <= T::Sum::of(NOISE) {
            return;
        }
        let coverage = match self.edges {
            Edges::Hard => 255,
            Edges::Soft => ((sums.weight / sums.existing).to_f64() * 255.0 + 0.5) as u8,
        };
        values.clear();
        values.extend(bands.iter().map(|&sum| T::from_sum(sum / sums.weight)));
        compose(target, covered, values, coverage, false);
    }

    /// Sums over the covered taps of one pixel; `bands` takes the sums of the samples.
    fn sum_covered<const B: usize>(
        &self,
        base_x: i64,
        wx: &[T::Sum],
        base_y: i64,
        wy: &[T::Sum],
        bands: &mut Vec<T::Sum>,
    ) -> Sums<T::Sum> {
        let window = self.source.window;
        let count = if B == 0 { self.source.bands } else { B };
        bands.clear();
        bands.resize(count, T::Sum::default());
        let mut lanes = [T::Sum::default(); B];
        let mut sums = Sums::default();
        let mut covered = 0;
        // The taps that exist, and the first one's pixel.
        let existing = |base: i64, count: usize, len: usize| {
            let first = base + 1 - (count / 2) as i64;
            let from = (-first).clamp(0, count as i64);
            let to = (len as i64 - first).clamp(from, count as i64);
            (from as usize..to as usize, (first + from) as usize)
        };
        let (columns, left) = existing(base_x, wx.len(), window.width);
        let (rows, top) = existing(base_y, wy.len(), window.height);
        let wx = &wx[columns];
        for (wy, row) in wy[rows].iter().zip(top..) {
            let start = row * window.width + left;
            let coverage = self.source.coverage.map(|c| &c[start..][..wx.len()]);
            let samples = &self.source.samples[start * count..][..wx.len() * count];
            for (k, (wx, pixel)) in wx.iter().zip(samples.chunks_exact(count)).enumerate() {
                let weight = *wy * *wx;
                sums.existing = sums.existing + weight;
                let coverage = coverage.map_or(255, |c| c[k]);
                if coverage == 0 {
                    continue;
                }
                covered += 1;
                let weight =
                    if coverage == 255 { weight } else { weight * T::Sum::of(f64::from(coverage) / 255.0) };
                sums.weight = sums.weight + weight;
                sums.magnitude = sums.magnitude + weight.abs();
                if B > 0 {
                    for b in 0..B {
                        lanes[b] = lanes[b] + weight * pixel[b].widen();
                    }
                } else {
                    for (sum, sample) in bands.iter_mut().zip(pixel) {
                        *sum = *sum + weight * sample.widen();
                    }
                }
            }
        }
        if B > 0 {
            bands.copy_from_slice(&lanes);
        }
        sums.lacking = covered < self.x.taps() * self.y.taps();
        sums
    }
}

/// The bits of a mask that are set.
#[inline(always)]
fn ones(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (mask != 0).then(|| mask.trailing_zeros() as usize);
        mask &= mask.wrapping_sub(1);
        bit
    })
}

/// Sums of the weights of one pixel's taps.
#[derive(Debug, Clone, Copy, Default)]
struct Sums<A> {
    /// Of the taps that exist.
    existing: A,
    /// Of the covered ones, times their coverage.
    weight: A,
    /// The same of the absolute values.
    magnitude: A,
    /// Whether a tap does not exist or is not covered.
    lacking: bool,
}

/// Smallest and largest of base pixels that are known to be inside.
#[inline(always)]
fn min_max(values: &[i32; CELL]) -> (usize, usize) {
    let (low, high) = values.iter().fold((i32::MAX, i32::MIN), |(low, high), &v| (low.min(v), high.max(v)));
    (low as usize, high as usize)
}

/// Whether positions differ by no more than this from the first.
#[inline(always)]
fn is_level(positions: &[f64; CELL], tolerance: f64) -> bool {
    let mut level = 0;
    for position in positions {
        level += u32::from((position - positions[0]).abs() <= tolerance);
    }
    level == CELL as u32
}

/// Whether all taps of all positions lie in a window along one axis; false for positions that are not finite.
#[inline(always)]
fn all_inside(positions: &[f64; CELL], origin: i64, len: usize, radius: usize) -> bool {
    let first = origin as f64 + radius as f64 - 0.5;
    let end = origin as f64 + len as f64 - radius as f64 + 0.5;
    let mut outside = 0;
    for &position in positions {
        outside |= u32::from(!(position >= first && position < end));
    }
    outside == 0
}
