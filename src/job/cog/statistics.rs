//! Minimum, maximum, mean and standard deviation of bands, gathered block by block.

use super::groups::{Grouping, Has};
use crate::block::{Block, Sample, Validity, take};
use crate::raster::nodata_as;
use crate::window::Window;

/// What is known of some values of a band.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct BandSums {
    count: u64,
    low: f64,
    high: f64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    spread: f64,
}

impl Default for BandSums {
    fn default() -> Self {
        Self { count: 0, low: f64::INFINITY, high: f64::NEG_INFINITY, mean: 0.0, spread: 0.0 }
    }
}

impl BandSums {
    /// Takes further values in, by the formula of Chan, Golub and `LeVeque` (1979).
    pub fn add(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        let (n, m) = (self.count as f64, other.count as f64);
        let distance = other.mean - self.mean;
        self.count += other.count;
        self.mean += distance * (m / (n + m));
        self.spread += other.spread + distance * distance * (n * m / (n + m));
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
    }

    /// Appends all that is known, as bytes.
    pub fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.count.to_le_bytes());
        for number in [self.low, self.high, self.mean, self.spread] {
            bytes.extend(number.to_le_bytes());
        }
    }

    /// Takes what became bytes off the front.
    pub fn take(bytes: &mut &[u8]) -> Option<Self> {
        let count = u64::from_le_bytes(take(bytes)?);
        let mut number = || take(bytes).map(f64::from_le_bytes);
        Some(Self { count, low: number()?, high: number()?, mean: number()?, spread: number()? })
    }

    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let mut own = Self::default();
        let mut sum = 0.0;
        for v in values.clone() {
            own.count += 1;
            sum += v;
            own.low = own.low.min(v);
            own.high = own.high.max(v);
        }
        if own.count > 0 {
            own.mean = sum / own.count as f64;
            own.spread = values.map(|v| (v - own.mean) * (v - own.mean)).sum();
        }
        own
    }

    /// The metadata items that GDAL has for it, of a band of `pixels` pixels; none where there are no values.
    pub fn items(&self, pixels: u64) -> Vec<(String, String)> {
        if self.count == 0 {
            return Vec::new();
        }
        let deviation = (self.spread / self.count as f64).sqrt();
        let percent = self.count as f64 * 100.0 / pixels as f64;
        let percent = if self.count == pixels { "100".to_owned() } else { format!("{percent:.4}") };
        [
            ("MINIMUM", self.low.to_string()),
            ("MAXIMUM", self.high.to_string()),
            ("MEAN", self.mean.to_string()),
            ("STDDEV", deviation.to_string()),
            ("VALID_PERCENT", percent),
        ]
        .map(|(name, value)| (format!("STATISTICS_{name}"), value))
        .to_vec()
    }
}

/// What is known of the values of each band in a part of a window.
pub(super) fn sums(pixels: &Block, part: &Window, grouping: &Grouping) -> Vec<BandSums> {
    let window = pixels.window;
    let (left, top) = ((part.x - window.x) as usize, (part.y - window.y) as usize);
    let coverage = match &pixels.validity {
        Validity::All => None,
        Validity::PerPixel(plane) => Some(plane),
    };
    let places = (top..top + part.height).flat_map(|y| (left..left + part.width).map(move |x| (y, x)));
    let masked = |band: usize| {
        let group = grouping.groups.iter().find(|g| g.bands.contains(&band));
        group.is_some_and(|g| g.has != Has::Everywhere)
    };
    for_samples!(&pixels.samples, array => {
        (0..array.dim().0)
            .map(|band| {
                let nodata = typed_nodata(array, grouping.nodata[band]);
                let masked = masked(band);
                let values = places.clone().filter_map(|(y, x)| {
                    let hidden = masked && coverage.is_some_and(|c| c[[y, x]] == 0);
                    let value = array[[band, y, x]];
                    let number = value.to_f64();
                    (!hidden && nodata != Some(value) && !number.is_nan()).then_some(number)
                });
                BandSums::of(values)
            })
            .collect()
    })
}

/// A value for no data as the samples of an array hold it.
fn typed_nodata<T: Sample>(_: &ndarray::Array3<T>, nodata: Option<f64>) -> Option<T> {
    nodata.and_then(nodata_as)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_whole() {
        let values: Vec<f64> = (0..1000).map(|k| f64::from(k * k % 337) - 50.0).collect();
        let whole = BandSums::of(values.iter().copied());
        let mut sum = BandSums::default();
        for part in values.chunks(77) {
            sum.add(&BandSums::of(part.iter().copied()));
        }
        sum.add(&BandSums::default());
        assert_eq!((sum.count, sum.low, sum.high), (whole.count, whole.low, whole.high));
        assert!((sum.mean - whole.mean).abs() < 1e-9 && (sum.spread - whole.spread).abs() < 1e-5);
        assert!(BandSums::default().items(5).is_empty());
    }
}
