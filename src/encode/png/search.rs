//! The search for small files.

use super::filter::{Filter, cost};
use super::layout::Layout;
use super::strategy::{Row, Work, unfiltered};
use crate::encode::deflate;
use crate::error::Result;

/// Level that candidates are compared at.
const TRIAL: usize = 6;
/// Level of the result: an optimal parse. Level 12 takes half as long again for 0.1 %.
const FINAL: usize = 11;

/// Appends the rows, filtered by the rule whose result compresses best.
pub(super) fn small(layout: &Layout<'_>, work: &mut Work, out: &mut Vec<u8>) -> Result<()> {
    work.filter(layout, unfiltered);
    let mut best = work.size_of_filtered()?;
    // Filters do not help samples of less than a byte.
    let rules = if layout.depth < 8 { 0 } else { 2 };
    for rule in 0..rules {
        std::mem::swap(&mut work.filtered, &mut work.other);
        if rule == 0 {
            fewest_bits(layout, work);
        } else {
            let mut pairs = Pairs::new();
            work.filter(layout, |row, out, trial| least(row, out, trial, |bytes| pairs.distinct(bytes)));
        }
        let size = work.size_of_filtered()?;
        if size <= best {
            best = size;
        } else {
            std::mem::swap(&mut work.filtered, &mut work.other);
        }
    }
    let start = out.len();
    work.compressors.zlib(&work.filtered, FINAL, out)?;
    if out.len() - start > deflate::runs_size(&work.filtered) + 6 {
        out.truncate(start);
        deflate::zlib_runs(&work.filtered, out);
    }
    Ok(())
}

impl Work {
    fn size_of_filtered(&mut self) -> Result<usize> {
        let filtered = std::mem::take(&mut self.filtered);
        let size = self.compressed_size(&filtered, TRIAL).map(|size| size.min(deflate::runs_size(&filtered)));
        self.filtered = filtered;
        size
    }
}

/// The filter that leaves the least by some measure; the first of equals.
fn least(row: &Row<'_>, out: &mut [u8], trial: &mut [u8], mut measure: impl FnMut(&[u8]) -> u64) -> Filter {
    let mut best = (u64::MAX, Filter::None);
    for filter in Filter::ALL {
        row.filter(filter, trial);
        let cost = measure(trial);
        if cost < best.0 {
            best = (cost, filter);
            out.copy_from_slice(trial);
        }
    }
    best.1
}

/// Filters each row so that it takes the fewest bits under the code that suits the tile as a whole: starting
/// from the filters of least sum, code and filters are adapted to each other, twice.
fn fewest_bits(layout: &Layout<'_>, work: &mut Work) {
    work.filter(layout, |row, out, trial| least(row, out, trial, cost));
    for _ in 0..2 {
        let mut counts = [1u64; 256];
        for &byte in &work.filtered {
            counts[usize::from(byte)] += 1;
        }
        let bits = counts.map(|count| log2(counts.iter().sum()) - log2(count));
        work.filter(layout, |row, out, trial| {
            least(row, out, trial, |bytes| bytes.iter().map(|&byte| bits[usize::from(byte)]).sum())
        });
    }
}

/// Binary logarithm in sixteenths, linear between powers of two: the same on every machine. `value` is not 0.
fn log2(value: u64) -> u64 {
    let exponent = value.ilog2();
    16 * u64::from(exponent) + ((u128::from(value) << 4 >> exponent) as u64 & 15)
}

/// Counts distinct pairs of neighbouring bytes: rows with few of them repeat themselves.
struct Pairs {
    /// A bit for each pair.
    seen: Vec<u64>,
}

impl Pairs {
    fn new() -> Self {
        Self { seen: vec![0; 1024] }
    }

    fn distinct(&mut self, bytes: &[u8]) -> u64 {
        self.seen.fill(0);
        for pair in bytes.windows(2) {
            self.seen[usize::from(pair[0]) << 2 | usize::from(pair[1] >> 6)] |= 1 << (pair[1] & 63);
        }
        self.seen.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_is_exact_at_powers_of_two_and_grows_between() {
        assert_eq!(log2(1), 0);
        assert_eq!(log2(1 << 20), 320);
        assert_eq!(log2(3), 24);
        assert!((1..5000).all(|v| log2(v) <= log2(v + 1)));
    }

    #[test]
    fn distinct_pairs_are_counted_once() {
        let mut pairs = Pairs::new();
        assert_eq!(pairs.distinct(&[1, 2, 1, 2, 255, 255, 255]), 4);
        assert_eq!(pairs.distinct(&[7]), 0);
    }
}
