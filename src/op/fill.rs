//! Missing pixels from those around, as `gdal_fillnodata` has them without smoothing: of each of four quadrants the nearest pixel that
//! is there counts, by the inverse of its distance.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::sync::Arc;

use super::call::Arguments;
use super::facts::Facts;
use super::table::Built;
use super::{Edge, Real, Stack, Work};

/// Missing pixels from those around.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Fill {
    distance: usize,
    nearest: bool,
}

/// The filling of a call.
pub(super) fn build(arguments: &Arguments) -> Built {
    let nearest = arguments.choice("method") == "nearest";
    Built::Operation(Arc::new(Fill { distance: arguments.integer("distance"), nearest }))
}

/// How far a column's next pixel with data is; this for none within reach.
const NONE: u16 = u16::MAX;

impl Fill {
    /// For each pixel, how many rows above (the pixel itself included) or below (without it) the next one with data is.
    fn reach<T: Real>(self, input: &Stack<T>, band: usize, down: bool) -> Vec<u16> {
        let (width, height) = (input.window.width, input.window.height);
        let mut rows = vec![NONE; width * height];
        for k in 0..height {
            let y = if down { height - 1 - k } else { k };
            for x in 0..width {
                let before = match (k, down) {
                    (0, _) => NONE,
                    (_, true) => rows[(y + 1) * width + x],
                    (_, false) => rows[(y - 1) * width + x],
                };
                // Of the rows below the one that comes first does not count.
                let from = if down { y + 1 } else { y };
                let there = from < height && !input.planes[band][from * width + x].is_nan();
                rows[y * width + x] = match before {
                    _ if there => (from - y) as u16,
                    d if usize::from(d) < self.distance => d + 1,
                    _ => NONE,
                };
            }
        }
        rows
    }

    /// What a missing pixel becomes.
    fn value<T: Real>(
        self,
        input: &Stack<T>,
        band: usize,
        reach: &[Vec<u16>; 2],
        (x, y): (usize, usize),
    ) -> T {
        let width = input.window.width;
        // The least distance of each quadrant so far, and the value there.
        let mut found = [(f64::INFINITY, 0.0); 4];
        let limit = self.distance as f64;
        let mut most = limit;
        for step in 0..=self.distance {
            if step as f64 > most {
                break;
            }
            for (side, column) in [x.checked_sub(step), x.checked_add(step)].into_iter().enumerate() {
                let Some(column) = column.filter(|c| *c < width && (side == 0 || step > 0)) else { continue };
                for (half, rows) in reach.iter().enumerate() {
                    let rows = rows[y * width + column];
                    if rows == NONE {
                        continue;
                    }
                    let rows = usize::from(rows);
                    let square = (rows * rows + step * step) as f64;
                    let slot = &mut found[2 * side + half];
                    // Of pixels as far as each other the first counts, or the next where the root was rounded up: as GDAL compares them.
                    if square <= limit * limit && square < slot.0 * slot.0 {
                        let row = if half == 0 { y - rows } else { y + rows };
                        *slot = (square.sqrt(), input.planes[band][row * width + column].wide());
                    }
                }
            }
            // Farther columns than the farthest quadrant's pixel add nothing.
            most = found.iter().map(|(distance, _)| distance.min(limit)).fold(0.0, f64::max);
        }
        let near = found.iter().filter(|(distance, _)| distance.is_finite());
        if self.nearest {
            return near.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(T::NAN, |(_, value)| T::of(*value));
        }
        let (mut sum, mut weights) = (0.0, 0.0);
        for (distance, value) in near {
            let weight = 1.0 / *distance;
            sum += weight * value;
            weights += weight;
        }
        if weights > 0.0 { T::of(sum / weights) } else { T::NAN }
    }
}

impl Work for Fill {
    fn halo(&self) -> usize {
        self.distance
    }

    fn edge(&self, _: Option<Edge>) -> Edge {
        // What is not there cannot fill anything.
        Edge::Nodata
    }

    fn scratch(&self) -> usize {
        4
    }

    fn facts(&self, bands: &[Facts], _: bool) -> Result<Vec<Facts>, String> {
        Ok(bands
            .iter()
            .map(|b| if self.nearest { b.missing(false) } else { b.missing(false).mixed() })
            .collect())
    }

    #[inline(always)]
    fn run<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>) {
        let halo = self.distance;
        for band in 0..output.planes.len() {
            let mut gaps = false;
            for y in 0..output.window.height {
                let own = &input.row(band, y + halo)[halo..halo + output.window.width];
                gaps |= own.iter().any(|v| v.is_nan());
                output.row_mut(band, y).copy_from_slice(own);
            }
            if !gaps {
                continue;
            }
            let reach = [self.reach(input, band, false), self.reach(input, band, true)];
            for y in 0..output.window.height {
                for x in 0..output.window.width {
                    if output.row(band, y)[x].is_nan() {
                        let value = self.value(input, band, &reach, (x + halo, y + halo));
                        output.row_mut(band, y)[x] = value;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::testing::{inner, noise, plane};
    use crate::window::Window;

    const N: f64 = f64::NAN;

    #[test]
    fn the_nearest_of_each_quadrant_counts_by_its_distance() {
        let rows: [&[f64]; 5] =
            [&[N, N, N, N, N], &[N, N, N, N, N], &[1.0, N, N, 4.0, N], &[N, N, N, N, N], &[N, N, 7.0, N, N]];
        let fill = Fill { distance: 2, nearest: false };
        // 1 two to the left, 4 one to the right, 7 two below.
        let found = inner(&fill, &plane(&rows)).remove(0);
        assert!((found[0] - (0.5 + 4.0 + 3.5) / 2.0).abs() < 1e-12, "{found:?}");
        assert_eq!(inner(&Fill { nearest: true, ..fill }, &plane(&rows)), [[4.0]]);
        let alone: [&[f64]; 3] = [&[N; 3], &[N; 3], &[N; 3]];
        assert!(inner(&Fill { distance: 1, nearest: false }, &plane(&alone))[0][0].is_nan());
    }

    #[test]
    fn results_do_not_depend_on_where_a_window_begins() {
        let work = Fill { distance: 6, nearest: false };
        let at = |window: Window| {
            let mut input = noise(window.expanded(6), true);
            // Large holes, by place.
            for y in 0..input.window.height {
                for x in 0..input.window.width {
                    let (c, r) = (input.window.x + x as i64, input.window.y + y as i64);
                    if (c.rem_euclid(16) < 10) && (r.rem_euclid(13) < 9) {
                        input.row_mut(0, y)[x] = N;
                    }
                }
            }
            let mut output = Stack::new(window, 1);
            crate::op::Operation::double(&work, &input, &mut output).expect("a result");
            output
        };
        let whole = at(Window::new(0, 0, 60, 40));
        let part = at(Window::new(17, 11, 20, 20));
        for y in 0..20 {
            let own = part.row(0, y).iter().map(|v| v.to_bits());
            assert!(own.eq(whole.row(0, y + 11)[17..37].iter().map(|v| v.to_bits())));
        }
    }
}
