//! The limits of a stretch: percentiles of a sample of the inputs' values, found while planning.

use super::TileJob;
use super::look::Look;
use super::picture::Scale;
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
/// The percentiles shown black and white when nobody says.
const PERCENTAGES: [f64; 2] = [2.0, 98.0];

/// Puts limits to the looks that need some: the user's, else percentiles of a sample of all inputs together, so that
/// their pictures fit each other. Those the user asks for are found for each band by itself, the 2nd and 98th for all bands
/// together, so that colours keep their balance.
///
/// # Errors
/// [`crate::Error::Usage`] for limits of another number of bands; [`crate::Error::Input`] when an input cannot be read or
/// holds no data.
pub(super) fn settle(
    sketches: &[Sketch],
    looks: &mut [Look],
    job: &TileJob,
    guesses: &mut Vec<String>,
) -> Result<()> {
    if let Some(scale) = &job.picture.scale {
        for (sketch, look) in sketches.iter().zip(looks.iter_mut()) {
            apply(scale, look, sketch)?;
        }
    }
    let sampled: Vec<&Sketch> =
        sketches.iter().zip(looks.iter()).filter(|(_, l)| l.is_open()).map(|(s, _)| s).collect();
    if sampled.is_empty() {
        return Ok(());
    }
    let windows = (ALL_WINDOWS / sampled.len()).clamp(1, WINDOWS);
    let samples = survey::each(&sampled, job.readers, |sketch| sample(sketch, windows))?;
    let percentages = match job.picture.scale {
        Some(Scale::Percentiles(low, high)) => Some([low, high]),
        _ => None,
    };
    let each_band = percentages.is_some();
    let percentages = percentages.unwrap_or(PERCENTAGES);
    for count in [1, 3] {
        let open = |look: &Look| look.is_open() && (!each_band || look.limits_count() == count);
        let values = samples.iter().filter(|bands| !each_band || bands.len() == count);
        let limits = if each_band {
            (0..count)
                .map(|b| percentiles(values.clone().map(|v| &v[b]), percentages))
                .collect::<Option<Vec<_>>>()
        } else {
            percentiles(values.flatten(), percentages).map(|limits| vec![limits])
        };
        if !looks.iter().any(open) {
            continue;
        }
        let Some(limits) = limits else {
            return Err(sampled[0].spec.error("holds no data: every pixel is nodata"));
        };
        guesses.push(told(&limits, &sampled, each_band));
        for look in looks.iter_mut().filter(|look| open(look)) {
            look.limits_mut().iter_mut().zip(limits.iter().cycle()).for_each(|(own, found)| *own = *found);
        }
    }
    Ok(())
}

/// The user's scale for a look that has one.
fn apply(scale: &Scale, look: &mut Look, sketch: &Sketch) -> Result<()> {
    match look {
        Look::Colours { map, limits } if map.is_relative() => *limits = scale.limits(1)?[0],
        Look::Gray | Look::Rgb | Look::Stretch { .. } => {
            *look = Look::Stretch { limits: scale.limits(sketch.selection.bands.len())? };
        }
        _ => {}
    }
    Ok(())
}

/// What was found, in words.
fn told(limits: &[[f64; 2]], sampled: &[&Sketch], each_band: bool) -> String {
    let text = |[low, high]: &[f64; 2]| format!("{low},{high}");
    let option = limits.iter().map(text).collect::<Vec<_>>().join(",");
    let range = |[low, high]: &[f64; 2]| format!("{low} to {high}");
    let ranges = limits.iter().map(range).collect::<Vec<_>>().join(", ");
    let coloured = sampled.iter().any(|s| matches!(s.look, Look::Colours { .. }));
    let heights = !each_band
        && !coloured
        && sampled.iter().any(|s| {
            s.selection.bands.len() == 1
                && matches!(s.selection.sample_type, SampleType::F32 | SampleType::F64)
        });
    let hint = if heights { ", heights want --encoding terrarium instead" } else { "" };
    let over = if coloured { "the colours" } else { "0 to 255" };
    format!("values from {ranges} spread over {over}{hint} (--scale {option})")
}

/// Two percentiles of values, apart even when all values are the same.
fn percentiles<'a>(values: impl Iterator<Item = &'a Vec<f64>>, percentages: [f64; 2]) -> Option<[f64; 2]> {
    let mut sorted: Vec<f64> = values.flatten().copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |percent: f64| {
        let last = (sorted.len().max(1) - 1) as f64;
        sorted.get((last * (percent / 100.0)).round() as usize).copied()
    };
    let [low, high] = percentages.map(at);
    let (low, high) = (low?, high?);
    if low < high {
        return Some([low, high]);
    }
    let (first, last) = (at(0.0)?, at(100.0)?);
    Some(if first < last { [first, last] } else { [low - 0.5, low + 0.5] })
}

/// Of each band valid values of about so many windows spread evenly over the raster; windows further on when all of these
/// are empty.
fn sample(sketch: &Sketch, windows: usize) -> Result<Vec<Vec<f64>>> {
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
    let mut values = vec![Vec::new(); sketch.selection.bands.len()];
    for (read, index) in first.iter().chain(&rest).enumerate() {
        if read >= first.len() && values.iter().any(|v| !v.is_empty()) {
            break;
        }
        let (column, row) = all[*index];
        collect(&source.read(layout.window(column, row))?, &mut values);
    }
    Ok(values)
}

/// Values of the covered pixels of each band, every n-th pixel so that there are not too many.
fn collect(block: &Block, values: &mut [Vec<f64>]) {
    let size = block.window.size();
    let stride = block.window.area().div_ceil(VALUES / block.bands().max(1)).max(1);
    let covered = |k: usize| match &block.validity {
        Validity::All => true,
        Validity::PerPixel(c) => c[[k / size.width, k % size.width]] > 0,
    };
    for_sample_type!(block.samples.sample_type(), T => {
        if let Some(array) = T::unwrap(&block.samples) {
            for k in (0..size.area()).step_by(stride).filter(|k| covered(*k)) {
                for (b, values) in values.iter_mut().enumerate() {
                    let value = array[[b, k / size.width, k % size.width]].to_f64();
                    values.extend(Some(value).filter(|v| v.is_finite()));
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Option<[f64; 2]> {
        percentiles([values.to_vec()].iter(), PERCENTAGES)
    }

    #[test]
    fn percentiles_leave_the_extremes_out() {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(of(&values), Some([2.0, 98.0]));
    }

    #[test]
    fn a_constant_still_has_a_range() {
        assert_eq!(of(&[7.0; 9]), Some([6.5, 7.5]));
        assert_eq!(of(&[]), None);
        let mut rare = [5.0; 1000];
        rare[999] = 6.0;
        assert_eq!(of(&rare), Some([5.0, 6.0]));
    }
}
