//! Averages that leave values out, as GDAL's warper has them (`EXCLUDED_VALUES` and the thresholds beside it).
//!
//! A map scanned with a black collar, or a mosaic with holes painted in a colour that is no nodata value: averages near such
//! pixels are tinted by them. Pixels whose bands hold an excluded tuple do not count; where they are many the result is the
//! tuple itself, so that no colour is made up.

use super::kernel::{Edges, Pixel};
use crate::block::Sample;

/// Values that do not contribute to averages. A pixel is left out when all its bands hold the values of a tuple.
#[derive(Debug, Clone, PartialEq)]
pub struct Exclusion {
    /// Tuples, one value per band; may be none.
    pub values: Vec<Vec<f64>>,
    /// Share of excluded pixels from which on the result is the tuple that most of them hold; default 0.5.
    pub excluded_share: f64,
    /// Share of pixels without data from which on the result has none; default 1.
    pub nodata_share: f64,
}

impl Default for Exclusion {
    fn default() -> Self {
        Self { values: Vec::new(), excluded_share: 0.5, nodata_share: 1.0 }
    }
}

/// What an average is made of, pixel by pixel.
pub(super) struct Tally<'a> {
    exclusion: &'a Exclusion,
    edges: Edges,
    /// Weights of pixels without data, of excluded ones, and of the others.
    without: f64,
    excluded: f64,
    regular: f64,
    /// How many pixels hold each tuple.
    counts: Vec<u32>,
    /// Sums of the values of pixels that count, weighted, per band, and of their weights times opacity.
    sums: Vec<f64>,
    weight: f64,
    /// Sum of the opacity of all pixels, weighted.
    opacity: f64,
}

impl<'a> Tally<'a> {
    /// A tally of nothing.
    pub fn new(exclusion: &'a Exclusion, bands: usize, edges: Edges) -> Self {
        let (counts, sums) = (vec![0; exclusion.values.len()], vec![0.0; bands]);
        let (without, excluded, regular, weight, opacity) = (0.0, 0.0, 0.0, 0.0, 0.0);
        Self { exclusion, edges, without, excluded, regular, counts, sums, weight, opacity }
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        (self.without, self.excluded, self.regular, self.weight, self.opacity) = (0.0, 0.0, 0.0, 0.0, 0.0);
        self.counts.fill(0);
        self.sums.fill(0.0);
    }

    /// Adds a pixel with a weight above zero.
    pub fn add<T: Sample>(&mut self, pixel: &[T], coverage: u8, weight: f64) {
        if coverage == 0 {
            self.without += weight;
            return;
        }
        let opacity = weight * f64::from(coverage) / 255.0;
        self.opacity += opacity;
        let holds = |tuple: &Vec<f64>| pixel.iter().zip(tuple).all(|(v, t)| v.to_f64() == *t);
        if let Some(tuple) = self.exclusion.values.iter().position(holds) {
            self.excluded += weight;
            self.counts[tuple] += 1;
            return;
        }
        self.regular += weight;
        self.weight += opacity;
        for (sum, v) in self.sums.iter_mut().zip(pixel) {
            *sum += v.to_f64() * opacity;
        }
    }

    /// The average and its coverage, which is zero where there is none; `values` then stays as it is.
    pub fn finish<T: Pixel>(&self, values: &mut [T]) -> u8 {
        let all = self.without + self.excluded + self.regular;
        let is_share = |part: f64, least: f64| part > 0.0 && part >= least * all;
        if is_share(self.without, self.exclusion.nodata_share) {
            return 0;
        }
        if is_share(self.excluded, self.exclusion.excluded_share) {
            // The first of those that most pixels hold.
            let most = self.counts.iter().copied().max().unwrap_or_default();
            let tuple = self.counts.iter().position(|n| *n == most);
            let tuple = tuple.and_then(|k| self.exclusion.values.get(k)).map_or(&[][..], Vec::as_slice);
            values.iter_mut().zip(tuple).for_each(|(value, v)| *value = T::from_sum_f64(*v));
        } else if self.weight > 0.0 {
            values
                .iter_mut()
                .zip(&self.sums)
                .for_each(|(value, sum)| *value = T::from_sum_f64(sum / self.weight));
        } else {
            return 0;
        }
        match self.edges {
            Edges::Hard => 255,
            Edges::Soft => ((self.opacity / all * 255.0 + 0.5) as u8).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The average of grey pixels of equal weight; `None` is a pixel without data.
    fn average(exclusion: &Exclusion, pixels: &[Option<u8>]) -> Option<u8> {
        let mut tally = Tally::new(exclusion, 1, Edges::Hard);
        for pixel in pixels {
            tally.add(&[pixel.unwrap_or(0)], if pixel.is_some() { 255 } else { 0 }, 0.25);
        }
        let mut values = [7];
        (tally.finish::<u8>(&mut values) > 0).then_some(values[0])
    }

    #[test]
    fn excluded_values_do_not_count_until_they_are_many() {
        let exclusion = Exclusion { values: vec![vec![0.0], vec![255.0]], ..Exclusion::default() };
        assert_eq!(average(&exclusion, &[Some(0), Some(100), Some(102), Some(104)]), Some(102));
        assert_eq!(average(&exclusion, &[Some(0), Some(0), Some(102), Some(104)]), Some(0));
        assert_eq!(average(&exclusion, &[Some(255), Some(0), Some(255), Some(104)]), Some(255));
        assert_eq!(average(&exclusion, &[None, Some(0), Some(90), Some(100)]), Some(95));
        let strict = Exclusion { excluded_share: 1.0, ..exclusion };
        assert_eq!(average(&strict, &[Some(0), Some(255), Some(0), Some(104)]), Some(104));
        assert_eq!(average(&strict, &[Some(0), Some(255), Some(0), None]), None);
    }

    #[test]
    fn holes_win_from_their_share_on() {
        let half = Exclusion { nodata_share: 0.5, ..Exclusion::default() };
        assert_eq!(average(&half, &[None, Some(1), Some(2), Some(3)]), Some(2));
        assert_eq!(average(&half, &[None, None, Some(2), Some(3)]), None);
        assert_eq!(average(&Exclusion::default(), &[None, None, None, Some(3)]), Some(3));
        assert_eq!(average(&Exclusion::default(), &[None; 4]), None);
    }

    #[test]
    fn a_tuple_is_all_bands() {
        let exclusion = Exclusion { values: vec![vec![0.0, 0.0]], ..Exclusion::default() };
        let mut tally = Tally::new(&exclusion, 2, Edges::Soft);
        tally.add(&[0u16, 0], 255, 1.0);
        tally.add(&[0u16, 500], 255, 1.0);
        tally.add(&[10u16, 500], 51, 1.0);
        let mut values = [0u16; 2];
        assert_eq!(tally.finish(&mut values), 187);
        // Colour is weighted by opacity, but not what is left out.
        assert_eq!(values, [2, 500]);
    }
}
