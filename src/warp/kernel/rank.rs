//! Statistics of the pixels under a target pixel, band by band: the least, the greatest, quantiles, sum and root mean square.
//!
//! The footprint is that of [mode](super::pick): the box of the cell's scale around the position. Ranks take each covered pixel that
//! it touches once, as GDAL's warper does: of `n` values in order, the quantile `q` is number ⌈q n⌉. Sum and root mean square weigh
//! pixels by the part of them that is under the box.

use super::canvas::{Rows, compose};
use super::exclude::parts;
use super::pick::{footprint, for_pixels};
use super::pixel::{Pixel, Real};
use super::source::Source;
use super::{CoordGrid, Edges, Window};
use crate::resampling::Resampling;

/// Draws a statistic.
pub(super) fn statistic<T: Pixel>(
    source: &Source<'_, T>,
    grid: &CoordGrid,
    piece: Window,
    method: Resampling,
    edges: Edges,
    rows: &mut Rows<'_, T>,
) {
    match method {
        Resampling::Sum | Resampling::Rms => sums(source, grid, piece, method, edges, rows),
        _ => ranks(source, grid, piece, method, edges, rows),
    }
}

/// One of the values in their order.
fn ranks<T: Pixel>(
    source: &Source<'_, T>,
    grid: &CoordGrid,
    piece: Window,
    method: Resampling,
    edges: Edges,
    rows: &mut Rows<'_, T>,
) {
    let bands = source.bands;
    let mut columns: Vec<Vec<T>> = vec![Vec::new(); bands];
    let mut picked = vec![T::default(); bands];
    for_pixels(source, grid, piece, rows, |scale, _, _, x, y, target, covered| {
        let (left, right) = footprint(x, scale.0, source.window.x, source.window.width);
        let (top, bottom) = footprint(y, scale.1, source.window.y, source.window.height);
        columns.iter_mut().for_each(Vec::clear);
        let mut cover = 0;
        for (column, row) in (top..bottom).flat_map(|row| (left..right).map(move |column| (column, row))) {
            let own = source.coverage_at(column, row);
            if own == 0 {
                continue;
            }
            cover = cover.max(own);
            for (values, value) in columns.iter_mut().zip(source.pixel(column, row)) {
                values.push(*value);
            }
        }
        if cover == 0 {
            return;
        }
        for (value, values) in picked.iter_mut().zip(&mut columns) {
            *value = rank(values, method);
        }
        compose(target, covered, &picked, if edges == Edges::Hard { 255 } else { cover }, true);
    });
}

/// The value that stands at the place of a method among values, of which there is one at least.
fn rank<T: Pixel>(values: &mut [T], method: Resampling) -> T {
    let quarters = match method {
        Resampling::Min => 0,
        Resampling::Q1 => 1,
        Resampling::Med => 2,
        Resampling::Q3 => 3,
        _ => 4,
    };
    let place = (values.len() * quarters).div_ceil(4).max(1) - 1;
    let order = |a: &T, b: &T| a.to_f64().total_cmp(&b.to_f64());
    *values.select_nth_unstable_by(place, order).1
}

/// The sum, or the root of the mean of squares.
fn sums<T: Pixel>(
    source: &Source<'_, T>,
    grid: &CoordGrid,
    piece: Window,
    method: Resampling,
    edges: Edges,
    rows: &mut Rows<'_, T>,
) {
    let squared = method == Resampling::Rms;
    let (mut columns, mut lines) = (Vec::new(), Vec::new());
    let mut sums = vec![0.0; source.bands];
    let mut values = vec![T::default(); source.bands];
    for_pixels(source, grid, piece, rows, |scale, _, _, x, y, target, covered| {
        parts(x, scale.0, source.window.x, source.window.width, &mut columns);
        parts(y, scale.1, source.window.y, source.window.height, &mut lines);
        sums.fill(0.0);
        let (mut weight, mut cover) = (0.0, 0);
        for (row, height) in &lines {
            for (column, width) in &columns {
                let own = source.coverage_at(*column, *row);
                if own == 0 {
                    continue;
                }
                cover = cover.max(own);
                let part = width * height;
                weight += part;
                for (sum, value) in sums.iter_mut().zip(source.pixel(*column, *row)) {
                    let value = value.to_f64();
                    *sum += part * if squared { value * value } else { value };
                }
            }
        }
        if cover == 0 {
            return;
        }
        for (value, sum) in values.iter_mut().zip(&sums) {
            let result = if squared { (sum / weight).sqrt() } else { *sum };
            *value = T::from_sum(T::Sum::of(result));
        }
        compose(target, covered, &values, if edges == Edges::Hard { 255 } else { cover }, true);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_gdal() {
        let ranks = |values: &[i16]| {
            [Resampling::Min, Resampling::Q1, Resampling::Med, Resampling::Q3, Resampling::Max]
                .map(|method| rank(&mut values.to_vec(), method))
        };
        assert_eq!(ranks(&[7]), [7; 5]);
        assert_eq!(ranks(&[4, 1, 3, 2]), [1, 1, 2, 3, 4]);
        assert_eq!(ranks(&[5, -1, 3, 2, 9]), [-1, 2, 3, 5, 9]);
    }
}
