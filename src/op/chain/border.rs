//! Pixels beyond the border of a raster.

use crate::op::{Edge, Real, Stack};
use crate::window::{Size, Window};

/// A window's pixels and those around, also where there is no raster.
pub(super) fn bordered<T: Real>(stack: &Stack<T>, wanted: Window, raster: Size, edge: Edge) -> Stack<T> {
    let from = stack.window;
    let place = |at: i64, length: usize| -> Option<i64> {
        let n = length as i64;
        match edge {
            _ if (0..n).contains(&at) => Some(at),
            Edge::Nodata => None,
            Edge::Nearest | Edge::Extrapolate => Some(at.clamp(0, n - 1)),
            Edge::Reflect => {
                let k = at.rem_euclid(2 * n);
                Some(if k < n { k } else { 2 * n - 1 - k })
            }
        }
    };
    let columns: Vec<Option<usize>> = (wanted.x..wanted.right())
        .map(|x| {
            place(x, raster.width)
                .filter(|x| (from.x..from.right()).contains(x))
                .map(|x| (x - from.x) as usize)
        })
        .collect();
    // Columns that lie in the raster are copied as they are.
    let inner = wanted.intersection(&from);
    let (left, right) = ((inner.x - wanted.x) as usize, (inner.right() - wanted.x) as usize);
    let mut made = Stack { window: wanted, planes: Vec::new() };
    for plane in &stack.planes {
        let mut values = vec![T::NAN; wanted.area()];
        for (y, row) in (wanted.y..).zip(values.chunks_exact_mut(wanted.width)) {
            let source = place(y, raster.height).filter(|y| (from.y..from.bottom()).contains(y));
            let Some(source) = source else { continue };
            let source = &plane[(source - from.y) as usize * from.width..][..from.width];
            row[left..right].copy_from_slice(&source[(inner.x - from.x) as usize..][..inner.width]);
            for x in (0..left).chain(right..wanted.width) {
                row[x] = columns[x].map_or(T::NAN, |x| source[x]);
            }
        }
        if edge == Edge::Extrapolate {
            extrapolate(&mut values, wanted, raster);
        }
        made.planes.push(values);
    }
    made
}

/// Goes on with the lines through the two pixels at the border, which is one pixel wide.
fn extrapolate<T: Real>(values: &mut [T], window: Window, raster: Size) {
    let two = T::of(2.0);
    let (width, height) = (window.width, window.height);
    if raster.height > 1 {
        for (is_out, at, inward) in [
            (window.y < 0, 0, 1),
            (window.bottom() > raster.height as i64, height.saturating_sub(1), usize::MAX),
        ] {
            for x in (0..width).filter(|_| is_out) {
                let (a, b) = (at.wrapping_add(inward), at.wrapping_add(inward.wrapping_mul(2)));
                values[at * width + x] = two * values[a * width + x] - values[b * width + x];
            }
        }
    }
    if raster.width > 1 {
        for row in values.chunks_exact_mut(width) {
            if window.x < 0 {
                row[0] = two * row[1] - row[2];
            }
            if window.right() > raster.width as i64 {
                row[width - 1] = two * row[width - 2] - row[width - 3];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A raster of numbers that tell their place.
    fn raster(size: Size) -> Stack<f64> {
        let values = (0..size.area()).map(|k| (k / size.width * 100 + k % size.width) as f64).collect();
        Stack { window: size.window(), planes: vec![values] }
    }

    #[test]
    fn beyond_the_border_stands_what_the_edge_says() {
        let size = Size::new(3, 2);
        let wanted = Window::new(-2, -1, 6, 3);
        let at = |edge| bordered(&raster(size), wanted, size, edge).planes.remove(0);
        assert_eq!(at(Edge::Nearest)[..6], [0.0, 0.0, 0.0, 1.0, 2.0, 2.0]);
        assert_eq!(at(Edge::Reflect)[..6], [1.0, 0.0, 0.0, 1.0, 2.0, 2.0]);
        assert_eq!(at(Edge::Reflect)[12..], [101.0, 100.0, 100.0, 101.0, 102.0, 102.0]);
        let empty = at(Edge::Nodata);
        assert!(empty[..8].iter().all(|v| v.is_nan()) && empty[8..11] == [0.0, 1.0, 2.0]);
        let lines =
            bordered(&raster(size), Window::new(-1, -1, 5, 4), size, Edge::Extrapolate).planes.remove(0);
        assert_eq!(lines[..5], [-101.0, -100.0, -99.0, -98.0, -97.0]);
        assert_eq!(lines[15..], [199.0, 200.0, 201.0, 202.0, 203.0]);
        // A raster narrower than the halo is mirrored again and again.
        let size = Size::new(2, 1);
        let many = bordered(&raster(size), Window::new(-4, 0, 9, 1), size, Edge::Reflect).planes.remove(0);
        assert_eq!(many, [0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    }
}
