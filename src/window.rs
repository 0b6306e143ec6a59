//! Windows and sizes in pixels (pure arithmetic, no raster behind it).

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Size {
    /// A size of `width` columns and `height` rows.
    pub const fn new(width: usize, height: usize) -> Self {
        Self { width, height }
    }

    /// Number of pixels.
    pub const fn area(self) -> usize {
        self.width * self.height
    }

    /// The window that covers exactly a raster of this size.
    pub const fn window(self) -> Window {
        Window { x: 0, y: 0, width: self.width, height: self.height }
    }
}

/// A rectangle of pixels. Its origin may be negative and it may reach over the edge of a raster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// Column of the left edge.
    pub x: i64,
    /// Row of the upper edge.
    pub y: i64,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl Size {
    /// Windows of a size that cover a raster of this one, row by row, cut off at its edges.
    pub fn windows(self, window: Self) -> Vec<Window> {
        let (width, height) = (window.width.max(1), window.height.max(1));
        let at = move |x: usize, y: usize| Window::new(x as i64, y as i64, width, height);
        let rows = (0..self.height).step_by(height);
        rows.flat_map(|y| (0..self.width).step_by(width).map(move |x| at(x, y)))
            .map(|w| w.intersection(&self.window()))
            .collect()
    }
}

impl Window {
    /// Whether it is made of whole blocks of a raster, which are cut off at the raster's edges.
    pub fn is_made_of(&self, block: Size, raster: Size) -> bool {
        let edge = |at: i64, block: usize, end: usize| {
            at as usize == end || (at as usize).is_multiple_of(block.max(1))
        };
        edge(self.x, block.width, raster.width)
            && edge(self.right(), block.width, raster.width)
            && edge(self.y, block.height, raster.height)
            && edge(self.bottom(), block.height, raster.height)
    }

    /// A window of `width` × `height` pixels with its upper left pixel at (`x`, `y`).
    pub const fn new(x: i64, y: i64, width: usize, height: usize) -> Self {
        Self { x, y, width, height }
    }

    /// The window between two corners, `right` and `bottom` exclusive; empty when they are not
    /// beyond `left` and `top`.
    pub fn from_edges(left: i64, top: i64, right: i64, bottom: i64) -> Self {
        Self::new(left, top, (right - left).max(0) as usize, (bottom - top).max(0) as usize)
    }

    /// First column to the right of the window.
    pub const fn right(&self) -> i64 {
        self.x + self.width as i64
    }

    /// First row below the window.
    pub const fn bottom(&self) -> i64 {
        self.y + self.height as i64
    }

    /// Width and height.
    pub const fn size(&self) -> Size {
        Size::new(self.width, self.height)
    }

    /// Number of pixels.
    pub const fn area(&self) -> usize {
        self.width * self.height
    }

    /// Whether no pixel is inside.
    pub const fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The common part of two windows; empty when they do not meet.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self::from_edges(
            self.x.max(other.x),
            self.y.max(other.y),
            self.right().min(other.right()),
            self.bottom().min(other.bottom()),
        )
    }

    /// The smallest window that holds both; an empty window adds nothing.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if self.is_empty() {
            return *other;
        }
        if other.is_empty() {
            return *self;
        }
        Self::from_edges(
            self.x.min(other.x),
            self.y.min(other.y),
            self.right().max(other.right()),
            self.bottom().max(other.bottom()),
        )
    }

    /// The window with its corner elsewhere.
    #[must_use]
    pub const fn moved(&self, columns: i64, rows: i64) -> Self {
        Self { x: self.x + columns, y: self.y + rows, width: self.width, height: self.height }
    }

    /// The window grown by `halo` pixels on every side.
    #[must_use]
    pub fn expanded(&self, halo: usize) -> Self {
        let h = halo as i64;
        Self::new(self.x - h, self.y - h, self.width + 2 * halo, self.height + 2 * halo)
    }

    /// Whether `other` lies wholly inside.
    pub fn contains(&self, other: &Self) -> bool {
        self.x <= other.x
            && self.y <= other.y
            && other.right() <= self.right()
            && other.bottom() <= self.bottom()
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{} pixels at column {}, row {}", self.width, self.height, self.x, self.y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_blocks_end_where_the_raster_does() {
        let (block, raster) = (Size::new(512, 512), Size::new(1300, 700));
        assert!(Window::new(512, 0, 788, 512).is_made_of(block, raster));
        assert!(Window::new(0, 512, 1024, 188).is_made_of(block, raster));
        assert!(!Window::new(256, 0, 256, 512).is_made_of(block, raster));
        assert!(!Window::new(0, 0, 512, 400).is_made_of(block, raster));
    }

    #[test]
    fn windows_cover_a_raster_once() {
        let all = Size::new(130, 70).windows(Size::new(64, 64));
        assert_eq!((all.len(), all[5]), (6, Window::new(128, 64, 2, 6)));
        assert_eq!(all.iter().map(Window::area).sum::<usize>(), 130 * 70);
    }

    #[test]
    fn windows_that_do_not_meet_have_an_empty_intersection() {
        let a = Window::new(0, 0, 4, 4);
        assert!(a.intersection(&Window::new(4, 0, 4, 4)).is_empty());
        assert!(a.intersection(&Window::new(-9, -9, 4, 4)).is_empty());
    }

    #[test]
    fn union_ignores_empty_windows() {
        let a = Window::new(3, 4, 5, 6);
        assert_eq!(a.union(&Window::new(100, 100, 0, 7)), a);
        assert_eq!(a.union(&Window::new(0, 0, 1, 1)), Window::new(0, 0, 8, 10));
    }

    #[test]
    fn expansion_may_reach_over_the_edge() {
        let a = Window::new(0, 0, 2, 2).expanded(3);
        assert_eq!(a, Window::new(-3, -3, 8, 8));
        assert!(a.contains(&Window::new(0, 0, 2, 2)));
    }
}
