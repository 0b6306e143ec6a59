//! The search for small files.

use super::filter::{Filter, cost};
use super::layout::{ColourType, Layout};
use super::strategy::{Row, Work, sample, unfiltered};
use crate::encode::deflate;
use crate::error::Result;

/// Level that candidates are compared at.
const TRIAL: usize = 4;
/// Level of the result: the least with an optimal parse, 5 to 8 % smaller than level 9 on smooth imagery in twice the
/// time. Level 11 takes half as long again for 0.4 %.
const FINAL: usize = 10;
/// Size of the sample with matches, in hundredths of that without, from which an optimal parse gains next to nothing (0.3
/// % on aerial imagery) if bytes take four bits or more without.
const HOPELESS: usize = 99;
/// Rows of either strip of the sample.
const ROWS: usize = 32;

/// Appends the rows, filtered by the rule whose result compresses best.
pub(super) fn small(layout: &Layout<'_>, work: &mut Work, out: &mut Vec<u8>) -> Result<()> {
    if layout.depth == 8 && layout.colour_type != ColourType::Indexed && work.is_noise(layout) {
        // Aerial imagery: the filters below are no better, and an optimal parse gains 0.3 %.
        deflate::zlib_runs(&work.filtered, out);
        return Ok(());
    }
    work.filter(layout, unfiltered);
    // Filters do not help samples of less than a byte.
    if layout.depth == 8 {
        let mut best = work.trial(layout)?;
        for rule in [Rule::Up, Rule::DistinctPairs, Rule::FewestBits] {
            std::mem::swap(&mut work.filtered, &mut work.other);
            rule.filter(layout, work);
            let trial = work.trial(layout)?;
            if trial.size() <= best.size() {
                best = trial;
            } else {
                std::mem::swap(&mut work.filtered, &mut work.other);
            }
        }
        let noisy = 100 * best.matches > HOPELESS * best.runs && 2 * best.runs > best.bytes;
        if noisy && layout.colour_type != ColourType::Indexed {
            deflate::zlib_runs(&work.filtered, out);
            return Ok(());
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

/// How to filter a tile.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// All rows by what is above: one filter for all makes for the most repetitions.
    Up,
    /// Each row so that it has the fewest kinds of pairs of bytes.
    DistinctPairs,
    /// Each row so that it takes the fewest bits under the code that suits the tile.
    FewestBits,
}

impl Rule {
    fn filter(self, layout: &Layout<'_>, work: &mut Work) {
        match self {
            Self::Up => work.filter(layout, |row, out, _| {
                row.filter(Filter::Up, out);
                Filter::Up
            }),
            Self::DistinctPairs => {
                let mut pairs = Pairs::new();
                work.filter(layout, |row, out, trial| least(row, out, trial, |bytes| pairs.distinct(bytes)));
            }
            Self::FewestBits => fewest_bits(layout, work),
        }
    }
}

/// Sizes of a filtered sample.
#[derive(Debug, Clone, Copy)]
struct Trial {
    bytes: usize,
    matches: usize,
    runs: usize,
}

impl Trial {
    fn size(self) -> usize {
        self.matches.min(self.runs)
    }
}

impl Work {
    /// Compresses some of the filtered rows.
    fn trial(&mut self, layout: &Layout<'_>) -> Result<Trial> {
        let rows = sample(&self.filtered, layout, ROWS);
        let (matches, runs) = (self.compressed_size(&rows, TRIAL)?, deflate::runs_size(&rows));
        Ok(Trial { bytes: rows.len(), matches, runs })
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
