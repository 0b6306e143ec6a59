//! Which bands of a pixel have data together, and how overviews are made of those that have.
//!
//! In a picture a pixel has data or has none; opacity weighs its colours, but is itself a value like any other. In measurements each
//! band has pixels without data of its own. So the bands are taken apart into groups, each with a validity of its own, which are
//! reduced one by one and put together again as they are stored.

use ndarray::{Array2, Array3, s};

use crate::block::{
    Assembly, Block, Sample, SampleType, Validity, interleaved_array, interleaved_slice, to_interleaved,
};
use crate::error::{Error, Result};
use crate::raster::nodata_as;
use crate::window::Window;

/// Bands that have data together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    /// Their positions in the file.
    pub bands: Vec<usize>,
    /// What says where they have data.
    pub has: Has,
}

/// What says where a group of bands has data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Has {
    /// Everywhere.
    Everywhere,
    /// Where the pixel has.
    WithPixel,
    /// Where the pixel has, and the one band holds another value than this and is a number.
    WithPixelUnless(Option<f64>),
}

/// How the bands of a file are grouped, and what stands where there is no data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grouping {
    pub groups: Vec<Group>,
    /// The declared value of each band's pixels without data.
    pub nodata: Vec<Option<f64>>,
    /// What stands in each band where there is no data.
    pub fill: Vec<f64>,
}

impl Grouping {
    /// Takes pixels of all bands apart, into blocks of a window that may reach beyond them; nothing there has data.
    pub fn split(&self, pixels: &Block, window: Window) -> Result<Vec<Block>> {
        let inside = pixels.window;
        let own = self.groups.iter().map(|group| {
            let validity = match group.has {
                Has::Everywhere => Validity::All,
                Has::WithPixel | Has::WithPixelUnless(_) => pixels.validity.clone(),
            };
            let block = for_samples!(&pixels.samples, array => {
                let values = taken(array, &group.bands);
                let validity = match group.has {
                    Has::WithPixelUnless(nodata) => without(&values, nodata, validity, inside),
                    Has::Everywhere | Has::WithPixel => validity,
                };
                let array = interleaved_array(values, group.bands.len(), inside.size());
                array.map(|array| Block { window: inside, samples: Sample::wrap(array), validity })
            });
            let block =
                block.ok_or_else(|| Error::Internal(format!("{inside} does not hold its samples")))?;
            Ok(widened(block, window))
        });
        own.collect()
    }

    /// Whether groups are the pixels as they are stored, where all have data.
    pub fn is_plain(&self) -> bool {
        matches!(&self.groups[..], [one] if !matches!(one.has, Has::WithPixelUnless(_)))
    }

    /// Whether a part of a window holds nothing but what stands where there is no data, so that nothing is lost when it is left out:
    /// readers take a block that is not there for nodata, or zeros, and its mask for none.
    pub fn is_blank(&self, pixels: &Block, part: &Window, masked: bool) -> bool {
        let window = pixels.window;
        let (x, y) = ((part.x - window.x) as usize, (part.y - window.y) as usize);
        let section = s![y..y + part.height, x..x + part.width];
        if masked {
            let Validity::PerPixel(coverage) = &pixels.validity else { return false };
            if coverage.slice(section).iter().any(|c| *c > 0) {
                return false;
            }
        }
        for_samples!(&pixels.samples, array => {
            let blank = |band: usize| self.holds_only(array, band, &section);
            (0..array.dim().0).all(blank)
        })
    }

    fn holds_only<T: Sample>(
        &self,
        array: &Array3<T>,
        band: usize,
        section: &ndarray::SliceInfo<[ndarray::SliceInfoElem; 2], ndarray::Ix2, ndarray::Ix2>,
    ) -> bool {
        let value = T::from_f64(self.nodata[band].unwrap_or(0.0));
        let plane = array.index_axis(ndarray::Axis(0), band);
        let plane = plane.slice(section);
        #[allow(clippy::eq_op)] // only not-a-number differs from itself
        let same = |v: &T| *v == value || (*v != *v && value != value);
        plane.iter().all(same)
    }

    /// Puts the parts of a window together as they are stored, as far as `clip` reaches, with the coverage of the pixels in it.
    pub fn join(&self, parts: &[Block], clip: Window) -> Result<Block> {
        let Some(first) = parts.first() else {
            return Err(Error::Internal("a level without pixels".to_owned()));
        };
        if let ([part], true) = (parts, self.is_plain()) {
            let whole = part.crop(&clip);
            let whole = whole.ok_or_else(|| Error::Internal(format!("{clip} lies beyond its level")))?;
            if whole.validity == Validity::All {
                return Ok(whole);
            }
        }
        for_sample_type!(first.samples.sample_type(), T => self.joined::<T>(parts, clip))
    }

    fn joined<T: Sample>(&self, parts: &[Block], clip: Window) -> Result<Block> {
        let bands = self.fill.len();
        let fill: Vec<T> = self.fill.iter().map(|v| T::from_f64(*v)).collect();
        let mut values: Vec<T> = fill.iter().copied().cycle().take(clip.area() * bands).collect();
        let mut validity = Validity::All;
        for (number, (group, part)) in self.groups.iter().zip(parts).enumerate() {
            let window = part.window;
            let (x, y) = ((clip.x - window.x) as usize, (clip.y - window.y) as usize);
            let section = s![y..y + clip.height, x..x + clip.width];
            let coverage = match &part.validity {
                Validity::All => None,
                Validity::PerPixel(plane) => Some(plane.slice(section)),
            };
            let Some(source) = T::unwrap(&part.samples).and_then(interleaved_slice) else {
                return Err(Error::Internal("a part of other samples".to_owned()));
            };
            let nodata: Vec<Option<(T, T)>> = group.bands.iter().map(|b| self.spare(*b)).collect();
            let count = group.bands.len();
            for row in 0..clip.height {
                let from = ((y + row) * window.width + x) * count;
                let from = source[from..from + clip.width * count].chunks_exact(count);
                let to =
                    values[row * clip.width * bands..(row + 1) * clip.width * bands].chunks_exact_mut(bands);
                for (column, (pixel, to)) in from.zip(to).enumerate() {
                    if coverage.as_ref().is_some_and(|c| c[[row, column]] == 0) {
                        continue;
                    }
                    for (value, band) in pixel.iter().zip(&group.bands) {
                        to[*band] = *value;
                    }
                    let is_nodata =
                        |(value, nodata): (&T, &Option<(T, T)>)| nodata.is_some_and(|(n, _)| *value == n);
                    if pixel.iter().zip(&nodata).all(is_nodata)
                        && let Some((band, Some((_, beside)))) = group.bands.iter().zip(&nodata).next()
                    {
                        to[*band] = *beside;
                    }
                }
            }
            if let (0, Some(coverage)) = (number, coverage) {
                validity = Validity::PerPixel(coverage.to_owned()).simplified();
            }
        }
        let array = interleaved_array(values, bands, clip.size());
        let array = array.ok_or_else(|| Error::Internal(format!("{clip} does not hold its samples")))?;
        Ok(Block { window: clip, samples: T::wrap(array), validity })
    }

    /// The value for no data of a band, and the one beside it that a result takes which happens to be the same.
    fn spare<T: Sample>(&self, band: usize) -> Option<(T, T)> {
        let nodata: T = nodata_as(self.nodata[band]?)?;
        let value = nodata.to_f64();
        let beside = match T::TYPE {
            SampleType::F32 => f64::from((value as f32).next_up()),
            SampleType::F64 => value.next_up(),
            _ => value + 1.0,
        };
        let beside = T::from_f64(beside);
        // As in GDAL: the value below, where there is one.
        let below = T::from_f64(value - 1.0);
        let float = matches!(T::TYPE, SampleType::F32 | SampleType::F64);
        Some((nodata, if !float && below != nodata { below } else { beside }))
    }
}

/// The samples of some bands, pixel-interleaved.
fn taken<T: Sample>(array: &Array3<T>, bands: &[usize]) -> Vec<T> {
    if bands.iter().copied().eq(0..array.dim().0) {
        return to_interleaved(array);
    }
    match (interleaved_slice(array), bands) {
        (Some(all), [band]) => all.iter().skip(*band).step_by(array.dim().0).copied().collect(),
        (Some(all), _) => {
            all.chunks_exact(array.dim().0).flat_map(|pixel| bands.iter().map(|b| pixel[*b])).collect()
        }
        (None, _) => {
            let (_, height, width) = array.dim();
            let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
            pixels.flat_map(|(y, x)| bands.iter().map(move |b| array[[*b, y, x]])).collect()
        }
    }
}

/// A validity without the pixels of a band that hold its value for no data, or are not a number.
fn without<T: Sample>(values: &[T], nodata: Option<f64>, validity: Validity, window: Window) -> Validity {
    let nodata: Option<T> = nodata.and_then(nodata_as);
    #[allow(clippy::eq_op)] // only not-a-number differs from itself
    let empty = |v: &T| *v != *v || nodata.is_some_and(|n| *v == n);
    if !values.iter().any(empty) {
        return validity;
    }
    let mut plane = match validity {
        Validity::PerPixel(plane) => plane,
        Validity::All => Array2::from_elem((window.height, window.width), 255),
    };
    plane.iter_mut().zip(values).filter(|(_, v)| empty(v)).for_each(|(c, _)| *c = 0);
    Validity::PerPixel(plane)
}

/// A block of a larger window, of which nothing more has data.
fn widened(block: Block, window: Window) -> Block {
    if block.window == window {
        return block;
    }
    let mut assembly = Assembly::uncovered(window, block.samples.sample_type(), block.bands());
    assembly.add(&block);
    assembly.finish().unwrap_or(block)
}
