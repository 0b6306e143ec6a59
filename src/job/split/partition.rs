//! Which subset a chip belongs to: by squares of the ground, so that no two chips of different subsets share a pixel.
//!
//! Neighbouring pixels resemble each other, and chips that overlap hold the same ones: if such chips are dealt out one by one, a model
//! is tested on what it was trained with. So squares are dealt out, and a chip goes where its squares went. A chip that lies in
//! squares of several subsets goes nowhere. That is all that is needed: two chips that share a pixel share the square it lies in, and
//! so its subset.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::window::{Size, Window};

/// A part of the chips.
#[derive(Debug, Clone, PartialEq)]
pub struct Subset {
    /// Its name, that of its folder.
    pub name: String,
    /// Its share, of the sum of all shares.
    pub share: f64,
}

/// Reads `NAME=SHARE`s, separated by commas, as in `train=0.8,val=0.2`.
///
/// # Errors
/// What is wrong with them.
pub fn subsets(text: &str) -> Result<Vec<Subset>, String> {
    let one = |part: &str| {
        let (name, share) = part.split_once('=').ok_or_else(|| format!("'{part}' is not NAME=SHARE"))?;
        let (name, share) = (name.trim(), share.trim());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || !name.chars().all(plain) {
            return Err(format!("'{name}' is no name for a subset: letters, digits, - and _ are taken"));
        }
        let (number, scale) = share.strip_suffix('%').map_or((share, 1.0), |n| (n, 100.0));
        let share = number.parse::<f64>().ok().filter(|v| v.is_finite() && *v > 0.0);
        let share = share.ok_or_else(|| format!("'{part}': give a share above 0"))? / scale;
        Ok(Subset { name: name.to_owned(), share })
    };
    let all = text.split(',').map(one).collect::<Result<Vec<_>, String>>()?;
    if let Some(twice) = all.iter().enumerate().find(|(k, s)| all[..*k].iter().any(|o| o.name == s.name)) {
        return Err(format!("'{}' is named twice", twice.1.name));
    }
    if all.len() < 2 || all.len() > 100 {
        return Err("give two subsets or more, for instance train=0.8,val=0.2".to_owned());
    }
    Ok(all)
}

/// Squares of the ground, and the subset of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Side of a square in pixels.
    side: usize,
    /// Squares in a row.
    columns: usize,
    rows: usize,
    /// Of each square, row by row.
    subsets: Vec<u8>,
}

impl Partition {
    /// Deals squares of `side` pixels out to the subsets, which get as many of the pixels in `chips` as their shares say, about. The
    /// same seed deals the same way.
    pub fn new(
        raster: Size,
        side: usize,
        seed: u64,
        subsets: &[Subset],
        chips: impl Iterator<Item = Window>,
    ) -> Self {
        let side = side.max(1);
        let (columns, rows) = (raster.width.div_ceil(side).max(1), raster.height.div_ceil(side).max(1));
        let mut partition = Self { side, columns, rows, subsets: vec![0; columns * rows] };
        // Chips are counted where their upper left corner lies.
        let mut weights = vec![0u64; columns * rows];
        for window in chips {
            let (left, top, ..) = partition.squares(&window);
            weights[top * columns + left] += 1;
        }
        let mut order: Vec<usize> = (0..columns * rows).collect();
        let key = |square: &usize| xxh3_64_with_seed(&(*square as u64).to_le_bytes(), seed);
        order.sort_by_cached_key(|square| (key(square), *square));
        let total: f64 = subsets.iter().map(|s| s.share).sum();
        let mut dealt = vec![0.0; subsets.len()];
        let mut sum = 0.0;
        for square in order {
            let weight = weights[square] as f64;
            sum += weight.max(1e-6);
            // The one that lacks most of its share, the first of those that lack the same.
            let lacks = |k: usize| subsets[k].share / total * sum - dealt[k];
            let poorest = (1..subsets.len()).fold(0, |best, k| if lacks(k) > lacks(best) { k } else { best });
            dealt[poorest] += weight.max(1e-6);
            partition.subsets[square] = poorest as u8;
        }
        partition
    }

    /// First and last column and row of the squares that a window lies in; beyond the raster, those at its edge.
    fn squares(&self, window: &Window) -> (usize, usize, usize, usize) {
        let at = |v: i64, most: usize| (v.max(0) as usize / self.side).min(most - 1);
        (
            at(window.x, self.columns),
            at(window.y, self.rows),
            at(window.right() - 1, self.columns),
            at(window.bottom() - 1, self.rows),
        )
    }

    /// The subset of a chip, by its number; `None` when it lies in squares of several.
    pub fn subset(&self, window: &Window) -> Option<usize> {
        let (left, top, right, bottom) = self.squares(window);
        let first = self.subsets[top * self.columns + left];
        let same = |row: usize| {
            self.subsets[row * self.columns + left..=row * self.columns + right].iter().all(|s| *s == first)
        };
        (top..=bottom).all(same).then_some(usize::from(first))
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::{Edges, Layout};
    use super::*;

    fn two() -> Vec<Subset> {
        subsets("train=80%,val=20%").expect("two")
    }

    fn windows(raster: Size, size: usize, stride: usize, edges: Edges) -> Vec<Window> {
        let layout = Layout::new(raster, Size::new(size, size), Size::new(stride, stride), edges);
        (0..layout.count()).map(|k| layout.window(k)).collect()
    }

    #[test]
    fn chips_that_share_a_pixel_are_never_in_different_subsets() {
        for edges in Edges::ALL {
            for (size, stride, side) in [(20, 10, 40), (20, 7, 64), (16, 16, 50), (33, 5, 33), (8, 30, 20)] {
                for seed in 0..6 {
                    let raster = Size::new(211, 157);
                    let all = windows(raster, size, stride, edges);
                    let partition = Partition::new(raster, side, seed, &two(), all.iter().copied());
                    let dealt: Vec<_> = all.iter().map(|w| partition.subset(w)).collect();
                    for (a, of_a) in all.iter().zip(&dealt) {
                        for (b, of_b) in all.iter().zip(&dealt) {
                            let apart = of_a.is_some() && of_b.is_some() && of_a != of_b;
                            let shared = a.intersection(b).intersection(&raster.window());
                            assert!(
                                !apart || shared.is_empty(),
                                "{edges:?} {size} {stride} {side}: {a} and {b}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn chips_that_do_not_overlap_all_find_a_subset_in_squares_of_whole_chips() {
        let raster = Size::new(1000, 700);
        let all = windows(raster, 50, 50, Edges::Partial);
        let partition = Partition::new(raster, 200, 7, &two(), all.iter().copied());
        assert!(all.iter().all(|w| partition.subset(w).is_some()));
    }

    #[test]
    fn subsets_get_about_their_share_and_a_seed_repeats_itself() {
        let raster = Size::new(2000, 2000);
        let all = windows(raster, 50, 50, Edges::Partial);
        for seed in 0..20 {
            let deal = || Partition::new(raster, 200, seed, &two(), all.iter().copied());
            let partition = deal();
            let val = all.iter().filter(|w| partition.subset(w) == Some(1)).count();
            assert!((300..=340).contains(&val), "{val} of {}", all.len());
            assert_eq!(partition, deal());
        }
        let of = |seed| Partition::new(raster, 200, seed, &two(), all.iter().copied());
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn subsets_are_named_with_their_shares() {
        let found = subsets("train=70, val=15,test=15").expect("three");
        assert_eq!(
            found.iter().map(|s| (s.name.as_str(), s.share)).collect::<Vec<_>>(),
            [("train", 70.0), ("val", 15.0), ("test", 15.0)]
        );
        for (text, word) in [
            ("train", "NAME=SHARE"),
            ("train=1", "two subsets"),
            ("a=1,a=2", "twice"),
            ("a=0,b=1", "above 0"),
            ("../a=1,b=1", "no name"),
            ("a=x,b=1", "above 0"),
        ] {
            let error = subsets(text).expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
