//! Minimum, maximum, mean and standard deviation of the output's bands, from sums without rounding: the same for every window size and
//! number of threads, and exact however long the raster is.

use crate::block::{Sample, take};

/// Exponents of 64-bit floats.
const EXPONENTS: usize = 1 << 11;

/// A sum of numbers, none of which is rounded: their mantissas, by exponents.
#[derive(Debug, Clone)]
struct ExactSum {
    mantissas: Vec<i128>,
}

impl ExactSum {
    fn new() -> Self {
        Self { mantissas: vec![0; EXPONENTS] }
    }

    fn add(&mut self, value: f64) {
        let bits = value.to_bits();
        let exponent = (bits >> 52) as usize & (EXPONENTS - 1);
        let fraction = bits & ((1 << 52) - 1);
        // The least exponent has no hidden bit, and is the next one's otherwise.
        let mantissa = i128::from(if exponent == 0 { fraction } else { fraction | 1 << 52 });
        self.mantissas[exponent.max(1)] += if value.is_sign_negative() { -mantissa } else { mantissa };
    }

    fn merge(&mut self, other: &Self) {
        self.mantissas.iter_mut().zip(&other.mantissas).for_each(|(own, other)| *own += other);
    }

    /// Appends the mantissas that are not zero: how many, and each with its exponent.
    fn put(&self, bytes: &mut Vec<u8>) {
        let filled: Vec<_> = self.mantissas.iter().enumerate().filter(|(_, m)| **m != 0).collect();
        bytes.extend((filled.len() as u32).to_le_bytes());
        for (exponent, mantissa) in filled {
            bytes.extend((exponent as u16).to_le_bytes());
            bytes.extend(mantissa.to_le_bytes());
        }
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut sum = Self::new();
        for _ in 0..u32::from_le_bytes(take(bytes)?) {
            let exponent = u16::from_le_bytes(take(bytes)?);
            *sum.mantissas.get_mut(usize::from(exponent))? = i128::from_le_bytes(take(bytes)?);
        }
        Some(sum)
    }

    /// The sum as two floats, of which the second is what the first has lost.
    fn total(&self) -> Double {
        let filled = self.mantissas.iter().enumerate().filter(|(_, m)| **m != 0);
        filled.fold(Double::default(), |sum, (exponent, mantissa)| {
            let high = *mantissa as f64;
            let low = (*mantissa - high as i128) as f64;
            let scaled = |v: f64| libm::ldexp(v, exponent as i32 - 1075);
            sum.plus(scaled(high)).plus(scaled(low))
        })
    }
}

/// A number of about 106 bits (Dekker 1971).
#[derive(Debug, Clone, Copy, Default)]
struct Double {
    high: f64,
    low: f64,
}

/// The rounded sum, and what rounding took (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// The rounded product, and what rounding took, without a fused operation (Veltkamp and Dekker).
fn two_product(a: f64, b: f64) -> (f64, f64) {
    let halves = |v: f64| {
        let t = 134_217_729.0 * v;
        let high = t - (t - v);
        (high, v - high)
    };
    let (product, (ah, al), (bh, bl)) = (a * b, halves(a), halves(b));
    (product, al * bl - (((product - ah * bh) - al * bh) - ah * bl))
}

impl Double {
    fn plus(self, value: f64) -> Self {
        let (high, lost) = two_sum(self.high, value);
        let (high, low) = two_sum(high, lost + self.low);
        Self { high, low }
    }

    fn square(self) -> Self {
        let (high, lost) = two_product(self.high, self.high);
        let (high, low) = two_sum(high, lost + 2.0 * self.high * self.low);
        Self { high, low }
    }

    fn over(self, by: f64) -> Self {
        let high = self.high / by;
        let (product, lost) = two_product(high, by);
        let rest = ((self.high - product) - lost) + self.low;
        let (high, low) = two_sum(high, rest / by);
        Self { high, low }
    }
}

/// What is known of the values of a band.
#[derive(Debug, Clone)]
pub(super) struct BandSums {
    count: u64,
    low: f64,
    high: f64,
    sum: ExactSum,
    squares: ExactSum,
}

impl BandSums {
    /// Of no values.
    pub fn new() -> Self {
        let (sum, squares) = (ExactSum::new(), ExactSum::new());
        Self { count: 0, low: f64::INFINITY, high: f64::NEG_INFINITY, sum, squares }
    }

    /// Takes in the samples that have data.
    pub fn gather<T: Sample>(&mut self, samples: impl Iterator<Item = T>, nodata: Option<T>) {
        for sample in samples {
            // One zero, whatever its sign.
            let value = sample.to_f64() + 0.0;
            if value.is_nan() || nodata == Some(sample) {
                continue;
            }
            self.count += 1;
            self.low = if value < self.low { value } else { self.low };
            self.high = if value > self.high { value } else { self.high };
            self.sum.add(value);
            let (square, lost) = two_product(value, value);
            self.squares.add(square);
            if lost != 0.0 && lost.is_finite() {
                self.squares.add(lost);
            }
        }
    }

    /// Takes in what is known of other values.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
    }

    /// Appends all that is known, as bytes.
    pub fn put(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.low.to_le_bytes());
        bytes.extend(self.high.to_le_bytes());
        self.sum.put(bytes);
        self.squares.put(bytes);
    }

    /// Takes what became bytes off the front; `None` when they are none.
    pub fn take(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            count: u64::from_le_bytes(take(bytes)?),
            low: f64::from_le_bytes(take(bytes)?),
            high: f64::from_le_bytes(take(bytes)?),
            sum: ExactSum::take(bytes)?,
            squares: ExactSum::take(bytes)?,
        })
    }

    /// Mean and standard deviation, that of the population; `None` of no values.
    fn moments(&self) -> Option<(f64, f64)> {
        let count = self.count as f64;
        let (sum, squares) = (self.sum.total(), self.squares.total());
        let even = sum.square().over(count);
        let spread = squares.plus(-even.high).plus(-even.low).over(count).high;
        (self.count > 0).then(|| (sum.over(count).high, spread.max(0.0).sqrt()))
    }

    /// The metadata items that GDAL has for it, of a band of so many pixels; none where there are no values.
    pub fn items(&self, pixels: u64) -> Vec<(String, String)> {
        let Some((mean, deviation)) = self.moments() else { return Vec::new() };
        let percent = self.count as f64 * 100.0 / pixels as f64;
        // Four digits.
        let places = if percent >= 10.0 { 2 } else { 3 };
        let percent = if self.count == pixels { "100".to_owned() } else { format!("{percent:.places$}") };
        let all = [
            ("MAXIMUM", self.high.to_string()),
            ("MEAN", mean.to_string()),
            ("MINIMUM", self.low.to_string()),
            ("STDDEV", deviation.to_string()),
            ("VALID_PERCENT", percent),
        ];
        all.map(|(name, value)| (format!("STATISTICS_{name}"), value)).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(values: &[f64]) -> BandSums {
        let mut sums = BandSums::new();
        sums.gather(values.iter().copied(), Some(-9999.0));
        sums
    }

    #[test]
    fn parts_make_the_same_whole_in_any_order() {
        let values: Vec<f64> = (0..999).map(|k| f64::from(k * k % 337) / 7.0 - 20.0).collect();
        let whole = sums(&values);
        let mut other = BandSums::new();
        values.rchunks(77).for_each(|part| other.merge(&sums(part)));
        let bits = |s: &BandSums| s.moments().map(|(a, b)| [a.to_bits(), b.to_bits()]);
        assert!(bits(&whole) == bits(&other) && whole.items(999) == other.items(999));
        let mean = values.iter().sum::<f64>() / 999.0;
        let spread: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        let (found, deviation) = whole.moments().expect("some");
        assert!((found - mean).abs() < 1e-12 && (deviation - (spread / 999.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn what_became_bytes_comes_back() {
        let mut bytes = Vec::new();
        let both = [sums(&[1e300, -0.1, 5e-324, 7.0]), sums(&[])];
        for sums in &both {
            sums.put(&mut bytes);
        }
        let mut rest = &bytes[..];
        for sums in &both {
            let back = BandSums::take(&mut rest).expect("all there");
            let same =
                back.sum.mantissas == sums.sum.mantissas && back.squares.mantissas == sums.squares.mantissas;
            assert!(same && (back.count, back.low, back.high) == (sums.count, sums.low, sums.high));
        }
        assert!(rest.is_empty() && BandSums::take(&mut &bytes[..bytes.len() / 3]).is_none());
    }

    #[test]
    fn small_differences_of_large_values_are_not_lost() {
        // By hand: a mean of 1e9 + 1/2, and a standard deviation of 1/2.
        let values: Vec<f64> = (0..10_000).map(|k| 1e9 + f64::from(k % 2)).collect();
        assert_eq!(sums(&values).moments(), Some((1e9 + 0.5, 0.5)));
        assert_eq!(sums(&[1e300, 1.0, -1e300, 2.0]).moments().map(|m| m.0), Some(0.75));
        assert_eq!(sums(&[5e-324, 5e-324]).moments().map(|m| m.0), Some(5e-324));
    }

    #[test]
    fn what_has_no_data_does_not_count() {
        let found = sums(&[-9999.0, f64::NAN, 3.0, -0.0]);
        let item = |name: &str| {
            let key = format!("STATISTICS_{name}");
            found.items(4).into_iter().find(|(k, _)| *k == key).map(|(_, v)| v).expect("an item")
        };
        assert_eq!(["MINIMUM", "MAXIMUM", "MEAN", "STDDEV"].map(item), ["0", "3", "1.5", "1.5"]);
        assert_eq!(item("VALID_PERCENT"), "50.00");
        assert!(sums(&[f64::NAN]).items(1).is_empty());
    }
}
