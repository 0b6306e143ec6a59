//! Which windows a raster is cut into: pure arithmetic, one axis at a time.
//!
//! Chips begin every `stride` pixels. The last one is the first that reaches the end: one more would hold nothing that its
//! neighbour does not hold already. What becomes of a last chip that reaches beyond the end is for [`Edges`] to say.

use crate::window::{Size, Window};

/// What becomes of chips that reach beyond the edge of the raster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Edges {
    /// They are smaller.
    #[default]
    Partial,
    /// They are filled up with pixels without data.
    Pad,
    /// They are moved back until they fit, and so lie further over their neighbours.
    Shift,
    /// They are left out.
    Drop,
}

impl Edges {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Partial, Self::Pad, Self::Shift, Self::Drop];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::Pad => "pad",
            Self::Shift => "shift",
            Self::Drop => "drop",
        }
    }
}

impl std::str::FromStr for Edges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|edges| text.eq_ignore_ascii_case(edges.name()));
        found.ok_or_else(|| "known are partial, pad, shift and drop".to_owned())
    }
}

/// Where chips lie along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// Pixels of the raster, at least 1.
    length: usize,
    /// Pixels of a chip, at least 1.
    size: usize,
    /// Pixels from the start of a chip to the start of the next, at least 1.
    stride: usize,
    edges: Edges,
    /// Instead of chips of one size, so many parts of about the same size.
    parts: Option<usize>,
}

impl Axis {
    /// Chips of `size` pixels every `stride` along `length`; none of these is 0.
    pub fn new(length: usize, size: usize, stride: usize, edges: Edges) -> Self {
        Self { length: length.max(1), size: size.max(1), stride: stride.max(1), edges, parts: None }
    }

    /// So many chips along `length`, which differ by a pixel at most.
    pub fn divided(length: usize, parts: usize) -> Self {
        let parts = parts.clamp(1, length.max(1));
        let size = length.div_ceil(parts);
        Self { parts: Some(parts), ..Self::new(length, size, size, Edges::Partial) }
    }

    /// Pixels of the largest chip.
    pub fn size(&self) -> usize {
        match self.edges {
            Edges::Partial | Edges::Shift => self.size.min(self.length),
            Edges::Pad | Edges::Drop => self.size,
        }
    }

    /// Pixels from the start of a chip to the start of the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// How many chips there are.
    pub fn count(&self) -> usize {
        let Self { length, size, stride, edges, parts } = *self;
        if let Some(parts) = parts {
            return parts;
        }
        let whole = length.checked_sub(size).map_or(0, |room| room / stride + 1);
        match edges {
            Edges::Drop => whole,
            // Those that begin before the end, up to the first that reaches it.
            Edges::Partial | Edges::Pad | Edges::Shift => {
                let reaching = length.saturating_sub(size).div_ceil(stride) + 1;
                reaching.min(length.div_ceil(stride))
            }
        }
    }

    /// First pixel and number of pixels of a chip.
    pub fn span(&self, number: usize) -> (usize, usize) {
        let Self { length, size, stride, edges, parts } = *self;
        if let Some(parts) = parts {
            let at = |k: usize| (k as u128 * length as u128 / parts as u128) as usize;
            return (at(number), at(number + 1) - at(number));
        }
        let start = number * stride;
        match edges {
            Edges::Drop | Edges::Pad => (start, size),
            Edges::Partial => (start, size.min(length - start)),
            Edges::Shift => (start.min(length.saturating_sub(size)), size.min(length)),
        }
    }
}

/// Chips in rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Along the rows of the raster.
    pub columns: Axis,
    /// Along its columns.
    pub rows: Axis,
}

impl Layout {
    /// Chips of a size, every `stride` columns and rows.
    pub fn new(raster: Size, size: Size, stride: Size, edges: Edges) -> Self {
        Self {
            columns: Axis::new(raster.width, size.width, stride.width, edges),
            rows: Axis::new(raster.height, size.height, stride.height, edges),
        }
    }

    /// How many chips there are.
    pub fn count(&self) -> usize {
        self.columns.count() * self.rows.count()
    }

    /// Column and row of a chip, by its number.
    pub fn place(&self, number: usize) -> (usize, usize) {
        let columns = self.columns.count().max(1);
        (number % columns, number / columns)
    }

    /// The pixels of a chip, by its number in rows from the upper left.
    pub fn window(&self, number: usize) -> Window {
        let (column, row) = self.place(number);
        let ((x, width), (y, height)) = (self.columns.span(column), self.rows.span(row));
        Window::new(x as i64, y as i64, width, height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All axes up to some length, with chips that overlap, touch and leave gaps.
    fn for_all(edges: Edges, check: impl Fn(usize, usize, usize, &[(usize, usize)])) {
        for length in 1..=40 {
            for size in 1..=17 {
                for stride in 1..=20 {
                    let axis = Axis::new(length, size, stride, edges);
                    let spans: Vec<_> = (0..axis.count()).map(|k| axis.span(k)).collect();
                    check(length, size, stride, &spans);
                }
            }
        }
    }

    fn times_covered(length: usize, spans: &[(usize, usize)]) -> Vec<usize> {
        (0..length).map(|x| spans.iter().filter(|(s, n)| (*s..s + n).contains(&x)).count()).collect()
    }

    #[test]
    fn without_overlap_every_pixel_is_in_exactly_one_chip() {
        for edges in [Edges::Partial, Edges::Pad] {
            for_all(edges, |length, size, stride, spans| {
                if stride == size {
                    assert_eq!(times_covered(length, spans), vec![1; length], "{edges:?} {length} {size}");
                }
            });
        }
    }

    #[test]
    fn no_pixel_is_lost_unless_there_are_gaps_by_choice() {
        for edges in [Edges::Partial, Edges::Pad, Edges::Shift] {
            for_all(edges, |length, size, stride, spans| {
                let covered = times_covered(length, spans);
                let by_choice = |x: usize| stride > size && x % stride >= size;
                let lost = (0..length).find(|x| covered[*x] == 0 && !by_choice(*x));
                assert_eq!(lost, None, "{edges:?} {length} {size} {stride}");
            });
        }
    }

    #[test]
    fn no_chip_is_doubled_and_none_lies_within_another() {
        for edges in Edges::ALL {
            for_all(edges, |length, size, stride, spans| {
                let inside = |pair: &[(usize, usize)]| {
                    let [(a, n), (b, m)] = [pair[0], pair[1]];
                    b <= a || (b + m).min(length) <= (a + n).min(length)
                };
                assert!(!spans.windows(2).any(inside), "{edges:?} {length} {size} {stride}: {spans:?}");
            });
        }
    }

    #[test]
    fn chips_have_the_size_and_place_that_the_edges_promise() {
        for_all(Edges::Partial, |length, size, stride, spans| {
            for (k, (start, n)) in spans.iter().enumerate() {
                assert_eq!((*start, *n), (k * stride, size.min(length - k * stride)));
            }
        });
        for_all(Edges::Pad, |_, size, stride, spans| {
            assert!(spans.iter().enumerate().all(|(k, span)| *span == (k * stride, size)));
        });
        for_all(Edges::Shift, |length, size, stride, spans| {
            for (k, (start, n)) in spans.iter().enumerate() {
                assert_eq!(*n, size.min(length));
                assert!(start + n <= length);
                assert!(k + 1 == spans.len() || *start == k * stride);
            }
        });
        for_all(Edges::Drop, |length, size, stride, spans| {
            let all = (0..).map(|k| k * stride).take_while(|s| s + size <= length);
            assert!(spans.iter().copied().eq(all.map(|s| (s, size))));
        });
    }

    #[test]
    fn a_divided_axis_has_as_many_parts_as_asked_for() {
        for length in 1..60 {
            for parts in 1..20 {
                let axis = Axis::divided(length, parts);
                let spans: Vec<_> = (0..axis.count()).map(|k| axis.span(k)).collect();
                assert_eq!(spans.len(), parts.min(length));
                assert_eq!(times_covered(length, &spans), vec![1; length]);
                let sizes = spans.iter().map(|s| s.1);
                assert!(sizes.clone().max().unwrap_or(0) - sizes.min().unwrap_or(0) <= 1);
                assert!(spans.iter().all(|s| s.1 <= axis.size()));
            }
        }
    }

    #[test]
    fn windows_are_numbered_row_by_row() {
        let layout = Layout::new(Size::new(100, 50), Size::new(40, 30), Size::new(30, 30), Edges::Partial);
        let windows: Vec<_> = (0..layout.count()).map(|k| layout.window(k)).collect();
        let edges = |w: &Window| (w.x, w.y, w.width, w.height);
        assert_eq!(
            windows.iter().map(edges).collect::<Vec<_>>(),
            [
                (0, 0, 40, 30),
                (30, 0, 40, 30),
                (60, 0, 40, 30),
                (0, 30, 40, 20),
                (30, 30, 40, 20),
                (60, 30, 40, 20)
            ]
        );
        assert_eq!(layout.place(4), (1, 1));
    }
}
