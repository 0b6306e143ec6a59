//! Which filters, and which DEFLATE: the fast rules of [`PngMode`](super::PngMode).

use libdeflater::{CompressionLvl, Compressor};

use super::filter::{Filter, average_and_paeth};
use super::layout::{ColourType, Layout};
use super::{PngMode, search};
use crate::encode::deflate;
use crate::error::{Error, Result};

/// Level for imagery with matches that gain little.
const QUICK: usize = 1;
/// Level for imagery with matches that gain more: 3 to 7 % smaller than [`QUICK`] in twice the time.
const LAZY: usize = 5;
/// Level for data that is mostly matches.
const THOROUGH: usize = 6;
/// Compressed size of the sample with matches, in hundredths of that without, up to which matches pay: they take three
/// to five times as long. Samples have fewer matches than tiles: they err by up to 0.08, towards the faster way.
const WORTHWHILE: usize = 98;
/// The same for the search of [`LAZY`].
const REWARDING: usize = 95;

/// Compressed size of the sample unfiltered, in hundredths of that filtered, from which filters pay. Above
/// 100, because samples miss matches between rows, and a thorough search finds more of them. Imagery with
/// matches is at 128 or more, drawings below 100.
const FILTERS_PAY: usize = 105;

/// Of so many pixels less than one is a repetition: too few.
const RARE: u32 = 100;

/// Buffers and compressors of a thread.
#[derive(Default)]
pub(super) struct Work {
    /// The filtered rows, each behind the byte that names its filter.
    pub(super) filtered: Vec<u8>,
    /// Other filtered rows to compare them with.
    pub(super) other: Vec<u8>,
    /// A row in other filters.
    trial: Vec<u8>,
    /// A row of zeros: above the first.
    zeros: Vec<u8>,
    /// What a trial compresses to.
    pub(super) compressed: Vec<u8>,
    pub(super) compressors: Compressors,
}

/// Appends the filtered and compressed rows.
pub(super) fn compress(layout: &Layout<'_>, mode: PngMode, work: &mut Work, out: &mut Vec<u8>) -> Result<()> {
    match mode {
        PngMode::Fast => fast(layout, work, out),
        PngMode::Small => search::small(layout, work, out),
    }
}

fn fast(layout: &Layout<'_>, work: &mut Work, out: &mut Vec<u8>) -> Result<()> {
    if layout.depth < 8 {
        work.filter(layout, unfiltered);
        return work.compressors.zlib(&work.filtered, THOROUGH, out);
    }
    work.filter(layout, average_or_paeth);
    if layout.colour_type == ColourType::Indexed {
        let predicted = deflate::runs_size(&sample(&work.filtered, layout, 16));
        work.filter_other(layout, unfiltered);
        let plain = work.compressed_size(&sample(&work.other, layout, 16), THOROUGH)?;
        if predicted < plain {
            deflate::zlib_runs(&work.filtered, out);
            return Ok(());
        }
        return work.compressors.zlib(&work.other, THOROUGH, out);
    }
    if !repeats(&sample(&work.filtered, layout, 4), layout.pixel_bytes()) {
        deflate::zlib_runs(&work.filtered, out);
        return Ok(());
    }
    let rows = sample(&work.filtered, layout, 8);
    let runs = deflate::runs_size(&rows);
    let predicted = work.compressed_size(&rows, QUICK)?;
    if 100 * predicted > WORTHWHILE * runs {
        deflate::zlib_runs(&work.filtered, out);
        return Ok(());
    }
    work.filter_other(layout, unfiltered);
    let plain = work.compressed_size(&sample(&work.other, layout, 8), QUICK)?;
    if 100 * plain < FILTERS_PAY * predicted {
        return work.compressors.zlib(&work.other, THOROUGH, out);
    }
    let level = if 100 * predicted > REWARDING * runs { QUICK } else { LAZY };
    work.compressors.zlib(&work.filtered, level, out)
}

/// Whether some pixels repeat earlier ones with half of the next: where hardly any do, matches cannot pay.
fn repeats(rows: &[u8], pixel: usize) -> bool {
    let mut last = [0u16; 4096];
    let (mut tried, mut found) = (0u32, 0u32);
    for (i, bytes) in rows.windows(8).enumerate().skip(1).step_by(pixel) {
        let Some(bytes) = bytes.first_chunk::<8>() else { break };
        // Five bytes of them.
        let key = u64::from_le_bytes(*bytes) << 24;
        if key == 0 {
            continue;
        }
        tried += 1;
        let slot = &mut last[(key.wrapping_mul(0x9e37_79b1_85eb_ca87) >> 52) as usize];
        let before = usize::from(std::mem::replace(slot, i as u16));
        let other = rows[before..].first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes) << 24);
        found += u32::from(other == key);
    }
    RARE * found >= tried
}

/// Two strips of filtered rows, from the upper and the lower half; of small pictures all rows.
pub(super) fn sample(filtered: &[u8], layout: &Layout<'_>, rows: usize) -> Vec<u8> {
    let (n, height) = (layout.row_bytes() + 1, layout.height);
    if height <= 2 * rows {
        return filtered.to_vec();
    }
    let strip = |middle: usize| &filtered[(middle - rows / 2) * n..][..rows * n];
    [strip(height / 4 + rows / 4), strip(3 * height / 4 - rows / 4)].concat()
}

/// What a filter rule sees of a row.
pub(super) struct Row<'a> {
    pub(super) pixel_bytes: usize,
    pub(super) bytes: &'a [u8],
    pub(super) above: &'a [u8],
}

impl Row<'_> {
    pub(super) fn filter(&self, filter: Filter, out: &mut [u8]) {
        filter.apply(self.pixel_bytes, self.bytes, self.above, out);
    }
}

/// Leaves a row as it is.
pub(super) fn unfiltered(row: &Row<'_>, out: &mut [u8], _: &mut [u8]) -> Filter {
    out.copy_from_slice(row.bytes);
    Filter::None
}

/// The better of the two filters that use both neighbours.
fn average_or_paeth(row: &Row<'_>, out: &mut [u8], trial: &mut [u8]) -> Filter {
    let [average, paeth] = average_and_paeth(row.pixel_bytes, row.bytes, row.above, out, trial);
    if paeth <= average {
        out.copy_from_slice(trial);
        return Filter::Paeth;
    }
    Filter::Average
}

impl Work {
    /// Filters the rows for imagery, and tells whether what is left hardly ever repeats itself.
    pub(super) fn is_noise(&mut self, layout: &Layout<'_>) -> bool {
        self.filter(layout, average_or_paeth);
        !repeats(&sample(&self.filtered, layout, 4), layout.pixel_bytes())
    }

    /// Filters all rows into [`filtered`](Self::filtered). The rule gets a row, where to put it filtered, and
    /// as much room for trials; it returns the filter it chose.
    pub(super) fn filter(
        &mut self,
        layout: &Layout<'_>,
        mut rule: impl FnMut(&Row<'_>, &mut [u8], &mut [u8]) -> Filter,
    ) {
        let n = layout.row_bytes();
        self.zeros.resize(n, 0);
        self.trial.resize(n, 0);
        self.filtered.resize((n + 1) * layout.height, 0);
        let mut above = &self.zeros[..n];
        for (y, out) in self.filtered.chunks_exact_mut(n + 1).enumerate() {
            let row = Row { pixel_bytes: layout.pixel_bytes(), bytes: layout.row(y), above };
            let (tag, out) = out.split_at_mut(1);
            tag[0] = rule(&row, out, &mut self.trial[..n]) as u8;
            above = row.bytes;
        }
    }

    /// Like [`filter`](Self::filter), into [`other`](Self::other).
    pub(super) fn filter_other(
        &mut self,
        layout: &Layout<'_>,
        rule: impl FnMut(&Row<'_>, &mut [u8], &mut [u8]) -> Filter,
    ) {
        std::mem::swap(&mut self.filtered, &mut self.other);
        self.filter(layout, rule);
        std::mem::swap(&mut self.filtered, &mut self.other);
    }

    /// Bytes that libdeflate makes of `data`.
    pub(super) fn compressed_size(&mut self, data: &[u8], level: usize) -> Result<usize> {
        self.compressed.clear();
        self.compressors.zlib(data, level, &mut self.compressed)?;
        Ok(self.compressed.len())
    }
}

/// One compressor of libdeflate per level, made when first used.
#[derive(Default)]
pub(super) struct Compressors([Option<Compressor>; 13]);

impl Compressors {
    /// Appends `data` as a zlib stream.
    pub(super) fn zlib(&mut self, data: &[u8], level: usize, out: &mut Vec<u8>) -> Result<()> {
        let level = level.min(12);
        let make = || Compressor::new(CompressionLvl::new(level as i32).unwrap_or_default());
        let compressor = self.0[level].get_or_insert_with(make);
        let start = out.len();
        out.resize(start + compressor.zlib_compress_bound(data.len()), 0);
        let written = compressor
            .zlib_compress(data, &mut out[start..])
            .map_err(|error| Error::Internal(format!("libdeflate: {error}")))?;
        out.truncate(start + written);
        Ok(())
    }
}
