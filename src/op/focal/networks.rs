//! The median of 3 × 3 and of 5 × 5 values by exchanging, many pixels at a time.
//!
//! Columns are sorted first, for all pixels that share them. In the square that is left its rows are sorted as far as needed: a value
//! that has more than half of the others surely above or surely below it cannot be the median (Smith 1996, XAPP 009, for 3 × 3; the
//! same argument leaves 13 of 25 values).

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use crate::op::{Real, Stack};

/// The lesser and the greater.
#[inline(always)]
fn order<T: Real>(a: T, b: T) -> (T, T) {
    (if a < b { a } else { b }, if a < b { b } else { a })
}

/// Exchanges two of some values so that the first is the lesser.
macro_rules! exchange {
    ($values:ident, $(($a:literal, $b:literal))*) => {
        $( ($values[$a], $values[$b]) = order($values[$a], $values[$b]); )*
    };
}

/// The middle of three values.
#[inline(always)]
fn middle<T: Real>(mut v: [T; 3]) -> T {
    exchange!(v, (0, 1)(1, 2)(0, 1));
    v[1]
}

#[inline(always)]
fn sort5<T: Real>(mut v: [T; 5]) -> [T; 5] {
    exchange!(v, (0, 3)(1, 4)(0, 2)(1, 3)(0, 1)(2, 4)(1, 2)(3, 4)(2, 3));
    v
}

/// Medians of 3 × 3 values of a band without gaps.
#[inline(always)]
pub(super) fn median3<T: Real>(input: &Stack<T>, output: &mut Stack<T>, band: usize) {
    let width = input.window.width;
    let mut sorted = [vec![T::default(); width], vec![T::default(); width], vec![T::default(); width]];
    for y in 0..output.window.height {
        let [a, b, c] = [0, 1, 2].map(|k| &input.row(band, y + k)[..width]);
        let [s0, s1, s2] = &mut sorted;
        let (s0, s1, s2) = (&mut s0[..width], &mut s1[..width], &mut s2[..width]);
        for x in 0..width {
            let mut v = [a[x], b[x], c[x]];
            exchange!(v, (0, 1)(1, 2)(0, 1));
            [s0[x], s1[x], s2[x]] = v;
        }
        let out = output.row_mut(band, y);
        let n = out.len();
        let (s0, s1, s2) = (&s0[..n + 2], &s1[..n + 2], &s2[..n + 2]);
        for x in 0..n {
            // The greatest of the least, the middle of the middle, the least of the greatest.
            let low = order(order(s0[x], s0[x + 1]).1, s0[x + 2]).1;
            let high = order(order(s2[x], s2[x + 1]).0, s2[x + 2]).0;
            out[x] = middle([low, middle([s1[x], s1[x + 1], s1[x + 2]]), high]);
        }
    }
}

/// Medians of 5 × 5 values of a band without gaps.
#[inline(always)]
pub(super) fn median5<T: Real>(input: &Stack<T>, output: &mut Stack<T>, band: usize) {
    let width = input.window.width;
    let mut sorted: [Vec<T>; 5] = std::array::from_fn(|_| vec![T::default(); width]);
    for y in 0..output.window.height {
        let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|k| &input.row(band, y + k)[..width]);
        {
            let [s0, s1, s2, s3, s4] = &mut sorted;
            let (s0, s1, s2) = (&mut s0[..width], &mut s1[..width], &mut s2[..width]);
            let (s3, s4) = (&mut s3[..width], &mut s4[..width]);
            for x in 0..width {
                [s0[x], s1[x], s2[x], s3[x], s4[x]] = sort5([a[x], b[x], c[x], d[x], e[x]]);
            }
        }
        let out = output.row_mut(band, y);
        let n = out.len();
        let [s0, s1, s2, s3, s4] = [0, 1, 2, 3, 4].map(|k| &sorted[k][..n + 4]);
        for x in 0..n {
            let row = |s: &[T]| [s[x], s[x + 1], s[x + 2], s[x + 3], s[x + 4]];
            out[x] = median_of_columns([row(s0), row(s1), row(s2), row(s3), row(s4)]);
        }
    }
}

/// The median of 25 values in rows of the least, the second, … of sorted columns.
#[inline(always)]
fn median_of_columns<T: Real>(rows: [[T; 5]; 5]) -> T {
    let [a, b, c, d, e] = rows;
    let a = greatest2(a);
    let b = greatest3(b);
    let c = middle3(c);
    let d = least3(d);
    let e = least2(e);
    // 13 are left, of which the median is the middle one.
    median13([a[0], a[1], b[0], b[1], b[2], c[0], c[1], c[2], d[0], d[1], d[2], e[0], e[1]])
}

/// The greatest two, in order.
#[inline(always)]
fn greatest2<T: Real>(mut v: [T; 5]) -> [T; 2] {
    exchange!(v, (0, 1)(2, 3)(1, 3)(0, 2)(3, 4)(2, 3)(1, 3));
    [v[3], v[4]]
}

/// The least two, in order.
#[inline(always)]
fn least2<T: Real>(mut v: [T; 5]) -> [T; 2] {
    exchange!(v, (3, 4)(1, 2)(1, 3)(2, 4)(0, 1)(1, 2)(1, 3));
    [v[0], v[1]]
}

/// The greatest three, in order.
#[inline(always)]
fn greatest3<T: Real>(v: [T; 5]) -> [T; 3] {
    let v = sort5(v);
    [v[2], v[3], v[4]]
}

/// The least three, in order.
#[inline(always)]
fn least3<T: Real>(v: [T; 5]) -> [T; 3] {
    let v = sort5(v);
    [v[0], v[1], v[2]]
}

/// The middle three, in order.
#[inline(always)]
fn middle3<T: Real>(v: [T; 5]) -> [T; 3] {
    let v = sort5(v);
    [v[1], v[2], v[3]]
}

/// The middle of 13 values, by taking away the least and the greatest of as many as are needed to know one of each.
#[inline(always)]
fn median13<T: Real>(v: [T; 13]) -> T {
    // The least of 8 has 7 above it, so it is not the 7th of 13; nor is the greatest. And so on with those that are left.
    let mut w = extremes8([v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]]);
    w[0] = v[8];
    let mut w = extremes7([w[0], w[1], w[2], w[3], w[4], w[5], w[6]]);
    w[0] = v[9];
    let mut w = extremes6([w[0], w[1], w[2], w[3], w[4], w[5]]);
    w[0] = v[10];
    let mut w = extremes5([w[0], w[1], w[2], w[3], w[4]]);
    w[0] = v[11];
    let mut w = extremes4([w[0], w[1], w[2], w[3]]);
    w[0] = v[12];
    middle([w[0], w[1], w[2]])
}

/// The least first and the greatest last.
#[inline(always)]
fn extremes8<T: Real>(mut v: [T; 8]) -> [T; 8] {
    exchange!(v, (0, 1)(2, 3)(4, 5)(6, 7)(0, 2)(4, 6)(0, 4)(1, 3)(5, 7)(3, 7));
    v
}

#[inline(always)]
fn extremes7<T: Real>(mut v: [T; 7]) -> [T; 7] {
    exchange!(v, (0, 1)(2, 3)(4, 5)(0, 2)(0, 4)(0, 6)(1, 3)(3, 5)(5, 6));
    v
}

#[inline(always)]
fn extremes6<T: Real>(mut v: [T; 6]) -> [T; 6] {
    exchange!(v, (0, 1)(2, 3)(4, 5)(0, 2)(0, 4)(1, 3)(3, 5));
    v
}

#[inline(always)]
fn extremes5<T: Real>(mut v: [T; 5]) -> [T; 5] {
    exchange!(v, (0, 1)(2, 3)(0, 2)(0, 4)(1, 3)(3, 4));
    v
}

#[inline(always)]
fn extremes4<T: Real>(mut v: [T; 4]) -> [T; 4] {
    exchange!(v, (0, 1)(2, 3)(0, 2)(1, 3));
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_order_every_arrangement_of_zeros_and_ones() {
        // By the zero-one principle this shows it for all values.
        let bits = |n: u32, k: usize| f64::from(n >> k & 1);
        for n in 0..1 << 5 {
            let v: [f64; 5] = std::array::from_fn(|k| bits(n, k));
            let mut wanted = v;
            wanted.sort_by(f64::total_cmp);
            assert_eq!(sort5(v), wanted);
            assert_eq!(greatest2(v), wanted[3..]);
            assert_eq!(least2(v), wanted[..2]);
        }
        for n in 0..1 << 13 {
            let v: [f64; 13] = std::array::from_fn(|k| bits(n, k));
            assert_eq!(median13(v) > 0.5, n.count_ones() >= 7, "{n:b}");
        }
    }

    #[test]
    fn the_median_of_25_is_among_those_that_are_left() {
        let mut state = 7u64;
        for _ in 0..20_000 {
            let values: [u64; 25] = std::array::from_fn(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state >> 60
            });
            let columns = values.map(|v| v as f64);
            let columns: Vec<[f64; 5]> =
                columns.chunks(5).map(|c| sort5([c[0], c[1], c[2], c[3], c[4]])).collect();
            let rows = std::array::from_fn(|k| std::array::from_fn(|c| columns[c][k]));
            let mut sorted = values;
            sorted.sort_unstable();
            assert_eq!(median_of_columns(rows), sorted[12] as f64);
        }
    }
}
