//! Sums over the taps of a separable kernel: over rows first, for consecutive columns, then over columns.
#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use super::CELL;
use super::pixel::{Pixel, Real};

/// Makes room for `count` sums and the lanes that are computed beyond them.
#[inline(always)]
pub(super) fn grow<A: Real>(sums: &mut Vec<A>, count: usize) {
    if sums.len() < count + 16 {
        sums.resize(count + 16, A::default());
    }
}

/// Sums `count` consecutive samples, from `start` on, over the rows of the kernel, with the weights of position `i`.
#[inline(always)]
pub(super) fn sum_columns<A: Real, const N: usize>(
    samples: &[A],
    start: usize,
    stride: usize,
    weights: &[[A; CELL]],
    i: usize,
    count: usize,
    sums: &mut [A],
) {
    let mut k = 0;
    while k + 8 < count {
        sum_chunk::<A, N, 16>(samples, start + k, stride, weights, i, &mut sums[k..]);
        k += 16;
    }
    if k + 4 < count {
        sum_chunk::<A, N, 8>(samples, start + k, stride, weights, i, &mut sums[k..]);
    } else if k < count {
        sum_chunk::<A, N, 4>(samples, start + k, stride, weights, i, &mut sums[k..]);
    }
}

/// Sums `L` samples of consecutive columns over the rows of the kernel, `N` of them unless it is 0.
#[inline(always)]
pub(super) fn sum_chunk<A: Real, const N: usize, const L: usize>(
    samples: &[A],
    start: usize,
    stride: usize,
    weights: &[[A; CELL]],
    i: usize,
    sums: &mut [A],
) {
    let mut lanes = [A::default(); L];
    if let (true, Some(weights)) = (N > 0, weights.first_chunk::<N>()) {
        for (j, weight) in weights.iter().enumerate() {
            add_row(&mut lanes, samples, start + j * stride, weight[i]);
        }
    } else {
        for (j, weight) in weights.iter().enumerate() {
            add_row(&mut lanes, samples, start + j * stride, weight[i]);
        }
    }
    sums[..L].copy_from_slice(&lanes);
}

/// Adds consecutive samples times a weight.
#[inline(always)]
pub(super) fn add_row<A: Real, const L: usize>(lanes: &mut [A; L], samples: &[A], start: usize, weight: A) {
    let row = &samples[start..start + L];
    for l in 0..L {
        lanes[l] = lanes[l] + weight * row[l];
    }
}

/// Sums 2 × 2 taps of 32 pixels of one band each.
#[inline(always)]
pub(super) fn four_taps<T: Pixel>(
    samples: &[T::Sum],
    start: impl Fn(usize) -> usize,
    stride: usize,
    wx: &[[T::Sum; CELL]],
    wy: &[[T::Sum; CELL]],
    target: &mut [T],
) {
    let (mut upper, mut lower) = ([[T::Sum::default(); 2]; CELL], [[T::Sum::default(); 2]; CELL]);
    for i in 0..CELL {
        let start = start(i);
        upper[i].copy_from_slice(&samples[start..start + 2]);
        lower[i].copy_from_slice(&samples[start + stride..start + stride + 2]);
    }
    let ([x0, x1, ..], [y0, y1, ..]) = (wx, wy) else { return };
    for (i, t) in target[..CELL].iter_mut().enumerate() {
        let column = |k: usize| y0[i] * upper[i][k] + y1[i] * lower[i][k];
        *t = T::from_sum(T::Sum::default() + x0[i] * column(0) + x1[i] * column(1));
    }
}

/// Sums one band over the columns of the kernel.
#[inline(always)]
pub(super) fn sum_row_band<A: Real>(columns: &[A], bands: usize, weights: &[[A; CELL]], i: usize) -> A {
    let mut sum = A::default();
    for (k, weight) in weights.iter().enumerate() {
        sum = sum + weight[i] * columns[k * bands];
    }
    sum
}

/// Sums all `B` bands of 32 pixels over the columns of the kernel and rounds them.
#[inline(always)]
pub(super) fn sum_rows<T: Pixel, const B: usize, const N: usize>(
    columns: &[T::Sum],
    starts: &[usize; CELL],
    weights: &[[T::Sum; CELL]],
    target: &mut [T],
) {
    let weights = if N == 0 { weights } else { &weights[..N] };
    if B == 1 && N > 0 {
        // Taps side by side first, so that the sums run over all pixels at once.
        let mut taps = [[T::Sum::default(); N]; CELL];
        for i in 0..CELL {
            taps[i].copy_from_slice(&columns[starts[i]..starts[i] + N]);
        }
        let mut sums = [T::Sum::default(); CELL];
        for k in 0..N {
            for i in 0..CELL {
                sums[i] = sums[i] + weights[k][i] * taps[i][k];
            }
        }
        for (t, sum) in target.iter_mut().zip(sums) {
            *t = T::from_sum(sum);
        }
        return;
    }
    if B == 1 {
        let mut sums = [T::Sum::default(); CELL];
        for i in 0..CELL {
            sums[i] = sum_row_band(&columns[starts[i]..][..weights.len()], 1, weights, i);
        }
        for (t, sum) in target.iter_mut().zip(sums) {
            *t = T::from_sum(sum);
        }
        return;
    }
    // Three bands are summed as four lanes, the last of which is dropped.
    let mut sums = [[T::Sum::default(); 4]; CELL];
    for i in 0..CELL {
        let pixel = &columns[starts[i]..][..(weights.len() - 1) * B + 4];
        let mut lanes = [T::Sum::default(); 4];
        for (k, weight) in weights.iter().enumerate() {
            let weight = weight[i];
            let tap = &pixel[k * B..][..4];
            for l in 0..4 {
                lanes[l] = lanes[l] + weight * tap[l];
            }
        }
        sums[i] = lanes;
    }
    let mut rounded = [[T::default(); 4]; CELL];
    for (values, sums) in rounded.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
        *values = T::from_sum(*sums);
    }
    for (pixel, values) in target.chunks_exact_mut(B).zip(&rounded) {
        pixel.copy_from_slice(&values[..B]);
    }
}
