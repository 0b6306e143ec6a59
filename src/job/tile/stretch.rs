//! The limits of a stretch: percentiles of a sample of the inputs' values, found while planning.

use super::TileJob;
use super::look::Look;
use super::sketch::Sketch;
use super::survey;
use crate::block::{Block, Sample, SampleType, Validity};
use crate::error::Result;
use crate::raster::Source;
use crate::raster::chunks::ChunkLayout;

/// Windows that are read of each input, at most.
const WINDOWS: usize = 64;
/// Windows that are read of all inputs, about.
const ALL_WINDOWS: usize = 512;
/// Values that are kept of each window, at most.
const VALUES: usize = 16_384;
/// The overview to sample is the coarsest with at least this many pixels along its longer side.
const OVERVIEW: usize = 1024;

/// Puts limits to the stretches that have none: the user's, else the 2nd and 98th percentile of a sample of all inputs
/// together, so that their pictures fit each other.
///
/// # Errors
/// [`crate::Error::Input`] when an input cannot be read or holds no data.
pub(super) fn settle(
    sketches: &[Sketch],
    looks: &mut [Look],
    job: &TileJob,
    guesses: &mut Vec<String>,
) -> Result<()> {
    if let Some((low, high)) = job.scale {
        for (sketch, look) in sketches.iter().zip(looks.iter_mut()) {
            if !look.is_categorical() {
                *look = Look::Stretch { min: low, max: high, bands: sketch.selection.bands.len() };
            }
        }
        return Ok(());
    }
    let open = |look: &Look| matches!(look, Look::Stretch { min, .. } if min.is_nan());
    let sampled: Vec<&Sketch> =
        sketches.iter().zip(looks.iter()).filter(|(_, look)| open(look)).map(|(sketch, _)| sketch).collect();
    let windows = (ALL_WINDOWS / sampled.len().max(1)).clamp(1, WINDOWS);
    let mut values = survey::each(&sampled, job.readers, |_, sketch| sample(sketch, windows))?.concat();
    if !looks.iter().any(open) {
        return Ok(());
    }
    values.sort_unstable_by(f64::total_cmp);
    let Some((low, high)) = percentiles(&values) else {
        return Err(sketches[0].spec.error("holds no data: every pixel is nodata"));
    };
    let heights = sketches.iter().any(|s| {
        s.selection.bands.len() == 1 && matches!(s.selection.sample_type, SampleType::F32 | SampleType::F64)
    });
    let hint = if heights { ", heights want --encoding terrarium instead" } else { "" };
    guesses.push(format!("values from {low} to {high} spread over 0 to 255{hint} (--scale {low},{high})"));
    for look in looks.iter_mut().filter(|look| open(look)) {
        if let Look::Stretch { min, max, .. } = look {
            (*min, *max) = (low, high);
        }
    }
    Ok(())
}

/// The 2nd and 98th percentile of sorted values, apart even when all values are the same.
fn percentiles(sorted: &[f64]) -> Option<(f64, f64)> {
    let at = |share: f64| sorted.get(((sorted.len().max(1) - 1) as f64 * share).round() as usize).copied();
    let (low, high) = (at(0.02)?, at(0.98)?);
    if low < high {
        return Some((low, high));
    }
    let (first, last) = (at(0.0)?, at(1.0)?);
    Some(if first < last { (first, last) } else { (low - 0.5, low + 0.5) })
}

/// Valid values of about so many windows spread evenly over the raster; windows further on when all of these are empty.
fn sample(sketch: &Sketch, windows: usize) -> Result<Vec<f64>> {
    let overviews = sketch.description.overviews.iter().enumerate();
    let level = overviews
        .filter(|(_, size)| size.width.max(size.height) >= OVERVIEW)
        .min_by_key(|(_, size)| size.area())
        .map(|(level, _)| level);
    let source = Source::open(&sketch.spec, &sketch.description, &sketch.selection, level)?;
    let bytes = sketch.selection.bands.len() * sketch.selection.sample_type.bytes();
    let layout = ChunkLayout::new(source.size(), sketch.description.block, bytes);
    let all: Vec<_> = layout.covering(&source.size().window()).collect();
    let stride = all.len().div_ceil(windows);
    let (first, rest): (Vec<_>, Vec<_>) = (0..all.len()).partition(|i| i % stride == stride / 2);
    let mut values = Vec::new();
    for (read, index) in first.iter().chain(&rest).enumerate() {
        if read >= first.len() && !values.is_empty() {
            break;
        }
        let (column, row) = all[*index];
        collect(&source.read(layout.window(column, row))?, &mut values);
    }
    Ok(values)
}

/// Values of the covered pixels of all bands, every n-th pixel so that there are not too many.
fn collect(block: &Block, values: &mut Vec<f64>) {
    let size = block.window.size();
    let stride = block.window.area().div_ceil(VALUES / block.bands().max(1)).max(1);
    let covered = |k: usize| match &block.validity {
        Validity::All => true,
        Validity::PerPixel(c) => c[[k / size.width, k % size.width]] > 0,
    };
    for_sample_type!(block.samples.sample_type(), T => {
        if let Some(array) = T::unwrap(&block.samples) {
            for k in (0..size.area()).step_by(stride).filter(|k| covered(*k)) {
                let pixel = (0..block.bands()).map(|b| array[[b, k / size.width, k % size.width]].to_f64());
                values.extend(pixel.filter(|v| v.is_finite()));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_leave_the_extremes_out() {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(percentiles(&values), Some((2.0, 98.0)));
    }

    #[test]
    fn a_constant_still_has_a_range() {
        assert_eq!(percentiles(&[7.0; 9]), Some((6.5, 7.5)));
        assert_eq!(percentiles(&[]), None);
        let mut rare = [5.0; 1000];
        rare[999] = 6.0;
        assert_eq!(percentiles(&rare), Some((5.0, 6.0)));
    }
}
