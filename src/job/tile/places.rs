//! Numbered rectangles, to be found by what they touch.

use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use crate::window::Window;

/// An index of windows, each with a number. Finding those that touch a window takes time for what is found, not for all there are.
#[derive(Debug, Clone, Default)]
pub struct Places {
    tree: RTree<GeomWithData<Rectangle<[i64; 2]>, usize>>,
}

impl Places {
    /// An index of windows; a number may have several. Empty windows touch nothing.
    pub fn new<'a>(windows: impl Iterator<Item = (usize, &'a Window)>) -> Self {
        let entries = windows
            .filter(|(_, window)| !window.is_empty())
            .map(|(number, window)| GeomWithData::new(Rectangle::from_aabb(pixels(window)), number));
        Self { tree: RTree::bulk_load(entries.collect()) }
    }

    /// The numbers of the windows that share a pixel with a window, in ascending order, each once.
    pub fn touching(&self, window: &Window) -> Vec<usize> {
        if window.is_empty() {
            return Vec::new();
        }
        let found = self.tree.locate_in_envelope_intersecting(pixels(window));
        let mut numbers: Vec<usize> = found.map(|entry| entry.data).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// From the first pixel to the last: neighbours do not touch.
fn pixels(window: &Window) -> AABB<[i64; 2]> {
    AABB::from_corners([window.x, window.y], [window.right() - 1, window.bottom() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_search_through_all_windows_finds() {
        let at = |k: usize| Window::new((k * 37 % 101) as i64 - 50, (k * 53 % 97) as i64, k % 11, k % 7);
        let windows: Vec<Window> = (0..300).map(at).collect();
        let places = Places::new(windows.iter().enumerate().map(|(k, w)| (k / 2, w)));
        for k in 0..200 {
            let asked = Window::new((k * 29 % 113) as i64 - 60, (k * 31 % 103) as i64 - 3, k % 20, 5);
            let mut expected: Vec<usize> =
                (0..300).filter(|k| !windows[*k].intersection(&asked).is_empty()).map(|k| k / 2).collect();
            expected.dedup();
            assert_eq!(places.touching(&asked), expected, "{asked}");
        }
    }
}
