//! PNG filters: what is left of a row once each byte is predicted from its neighbours (PNG 3rd edition, 9).
//!
//! All predictions use source bytes only, so a row's bytes do not wait for each other and the compiler turns
//! the loops into SIMD: everything stays in 8-bit lanes.

use crate::simd::{self, Level};

/// The filter of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Filter {
    /// The bytes themselves.
    None = 0,
    /// Minus the pixel to the left.
    Sub = 1,
    /// Minus the pixel above.
    Up = 2,
    /// Minus the floored mean of the two.
    Average = 3,
    /// Minus the one of left, above and above left that is closest to left + above − above left.
    Paeth = 4,
}

impl Filter {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [Self::None, Self::Sub, Self::Up, Self::Average, Self::Paeth];

    /// Filters `row`, whose pixels have `pixel` bytes, given the row above (zeros for the first). All slices
    /// have the same length.
    pub(super) fn apply(self, pixel: usize, row: &[u8], above: &[u8], out: &mut [u8]) {
        match self {
            Self::None => out.copy_from_slice(row),
            Self::Sub => predict(pixel, row, above, out, |left, _, _| left),
            Self::Up => predict(pixel, row, above, out, |_, up, _| up),
            Self::Average => predict(pixel, row, above, out, |left, up, _| (left & up) + ((left ^ up) >> 1)),
            Self::Paeth => predict(pixel, row, above, out, paeth),
        }
    }
}

#[inline(always)]
#[allow(clippy::inline_always, reason = "the loop vectorises only with the prediction in it")]
fn predict(pixel: usize, row: &[u8], above: &[u8], out: &mut [u8], prediction: impl Fn(u8, u8, u8) -> u8) {
    let n = row.len();
    let (above, out) = (&above[..n], &mut out[..n]);
    let edge = pixel.min(n);
    for i in 0..edge {
        out[i] = row[i].wrapping_sub(prediction(0, above[i], 0));
    }
    let inner = n - edge;
    let (row, left) = (&row[edge..], &row[..inner]);
    let (up, corner) = (&above[edge..], &above[..inner]);
    let out = &mut out[edge..];
    for i in 0..inner {
        out[i] = row[i].wrapping_sub(prediction(left[i], up[i], corner[i]));
    }
}

/// Paeth's predictor without leaving 8 bits. With p = left + up − corner, the distances of p to left and to up are
/// |up − corner| and |left − corner|. That to corner is their difference when corner lies between left and up;
/// else it is their sum, and corner cannot be the nearest.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the loop vectorises only with the prediction in it")]
fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let (to_left, to_up) = (distance(up, corner), distance(left, corner));
    let (nearer, to_nearer) = if to_left <= to_up { (left, to_left) } else { (up, to_up) };
    let between = (corner >= left.min(up)) & (corner <= left.max(up));
    if between & (distance(to_left, to_up) < to_nearer) { corner } else { nearer }
}

/// Absolute difference; `abs_diff` would have the compiler widen the comparisons that follow.
#[inline(always)]
#[allow(clippy::inline_always, reason = "the loop vectorises only with the prediction in it")]
fn distance(a: u8, b: u8) -> u8 {
    a.max(b) - a.min(b)
}

/// Filters a row by both and returns what [`cost`] says of each.
pub(super) fn average_and_paeth(
    pixel: usize,
    row: &[u8],
    above: &[u8],
    average: &mut [u8],
    paeth: &mut [u8],
) -> [u64; 2] {
    let vectors = simd::png::average_and_paeth(Level::Best, pixel, row, above, average, paeth);
    vectors.unwrap_or_else(|| {
        Filter::Average.apply(pixel, row, above, average);
        Filter::Paeth.apply(pixel, row, above, paeth);
        [cost(average), cost(paeth)]
    })
}

/// Sum of the bytes' absolute values, taken as signed: small where a prediction is good.
pub(super) fn cost(filtered: &[u8]) -> u64 {
    // Blocks whose sums fit 16 bits, which makes for more lanes.
    filtered
        .chunks(256)
        .map(|block| {
            u64::from(block.iter().map(|&byte| u16::from(byte.min(byte.wrapping_neg()))).sum::<u16>())
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paeth_in_eight_bits_agrees_with_the_standard_for_all_neighbours() {
        for left in 0..=255u8 {
            for up in 0..=255u8 {
                for corner in 0..=255u8 {
                    let (a, b, c) = (i32::from(left), i32::from(up), i32::from(corner));
                    let p = a + b - c;
                    let (pa, pb, pc) = ((p - a).abs(), (p - b).abs(), (p - c).abs());
                    let expected = if pa <= pb && pa <= pc {
                        left
                    } else if pb <= pc {
                        up
                    } else {
                        corner
                    };
                    assert_eq!(paeth(left, up, corner), expected, "{left} {up} {corner}");
                }
            }
        }
    }

    #[test]
    fn average_rounds_down_and_edges_count_as_zero() {
        let mut out = [0; 3];
        Filter::Average.apply(1, &[10, 255, 7], &[5, 254, 255], &mut out);
        assert_eq!(out, [10 - 2, 255 - 132, 7u8.wrapping_sub(255)]);
        Filter::Paeth.apply(2, &[9, 9, 9], &[4, 9, 200], &mut out);
        assert_eq!(out, [5, 0, 9u8.wrapping_sub(200)]);
        Filter::Sub.apply(4, &[1, 2, 3], &[0; 3], &mut out);
        assert_eq!(out, [1, 2, 3]);
    }

    #[test]
    fn both_filters_at_once_leave_what_each_leaves() {
        let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 9) as u8 >> (i % 3);
        for n in (1..140).chain([767, 768, 769, 1024]) {
            let row: Vec<u8> = (0..n).map(byte).collect();
            let above: Vec<u8> = (0..n).map(|i| byte(i + 4000)).collect();
            for pixel in [1, 2, 3, 4] {
                let mut both = [vec![1; n], vec![2; n]];
                let [average, paeth] = &mut both;
                let costs = average_and_paeth(pixel, &row, &above, average, paeth);
                for (i, filter) in [Filter::Average, Filter::Paeth].into_iter().enumerate() {
                    let mut alone = vec![3; n];
                    filter.apply(pixel, &row, &above, &mut alone);
                    assert_eq!(both[i], alone, "{filter:?} of {n} bytes, {pixel} to a pixel");
                    assert_eq!(costs[i], cost(&alone));
                }
            }
        }
    }

    #[test]
    fn cost_counts_distance_from_zero_both_ways() {
        assert_eq!(cost(&[0, 1, 255, 128, 127]), 257);
        assert_eq!(cost(&[128; 1000]), 128_000);
    }
}
