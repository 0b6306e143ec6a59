//! From resampled pixels to those of the file: their type, the value for no data, and the band of opacity.

use super::plan::Plan;
use ndarray::Array2;

use crate::block::{Block, Sample, Samples, Validity, interleaved_array, interleaved_slice};
use crate::error::{Error, Result};
use crate::raster::nodata_as;
use crate::window::Window;

/// What was counted of the output's pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Pixels without data.
    pub missing: u64,
    /// Samples beyond the limits of the output's type.
    pub clamped: u64,
    /// Samples that were the value for no data and became the next one.
    pub moved: u64,
}

/// The pixels of a window as they are written, and where they have data; all without data where there are none.
///
/// # Errors
/// [`Error::Internal`] when the pixels do not fit the plan.
pub(super) fn finished(plan: &Plan, window: Window, pixels: Option<Block>) -> Result<(Block, Counted)> {
    let mut counted = Counted::default();
    let missing = || Validity::PerPixel(Array2::zeros((window.height, window.width)));
    let (samples, validity) = match pixels {
        None => (for_sample_type!(plan.sample_type, T => blank::<T>(plan, window)?), missing()),
        Some(Block { samples, validity, .. }) => {
            let finished = for_sample_type!(plan.sample_type, T => {
                finish::<T>(plan, window, &samples, &validity, &mut counted)?
            });
            (finished, validity)
        }
    };
    if let Validity::PerPixel(plane) = &validity {
        counted.missing = plane.iter().filter(|c| **c == 0).count() as u64;
    }
    Ok((Block { window, samples, validity }, counted))
}

/// The samples of pixels, none of which has data.
fn blank<T: Sample>(plan: &Plan, window: Window) -> Result<Samples> {
    let bands = plan.output_bands();
    let blank: T = plan.nodata.and_then(nodata_as).unwrap_or_default();
    let mut values = vec![blank; window.area() * bands];
    if plan.alpha {
        values.iter_mut().skip(bands - 1).step_by(bands).for_each(|v| *v = T::default());
    }
    wrapped(values, bands, window)
}

fn wrapped<T: Sample>(values: Vec<T>, bands: usize, window: Window) -> Result<Samples> {
    let array = interleaved_array(values, bands, window.size());
    array.map(T::wrap).ok_or_else(|| Error::Internal("window too large".to_owned()))
}

fn finish<T: Sample>(
    plan: &Plan,
    window: Window,
    samples: &Samples,
    validity: &Validity,
    counted: &mut Counted,
) -> Result<Samples> {
    let bands = plan.output_bands();
    let nodata: Option<T> = plan.nodata.and_then(nodata_as);
    let blank = nodata.unwrap_or_default();
    let mut values = cast::<T>(samples, counted)?;
    let plane = match validity {
        Validity::All => None,
        Validity::PerPixel(plane) => {
            let internal = || Error::Internal("coverage is not contiguous".to_owned());
            Some(plane.as_slice().ok_or_else(internal)?)
        }
    };
    let covered = |k: usize| plane.map_or(255, |p| p[k]);
    let own = plan.bands;
    for (k, pixel) in values.chunks_exact_mut(own).enumerate() {
        if covered(k) == 0 {
            pixel.fill(blank);
        } else if let Some(nodata) = nodata {
            for value in pixel.iter_mut().filter(|v| **v == nodata) {
                *value = beside(nodata);
                counted.moved += 1;
            }
        }
    }
    if !plan.alpha {
        return wrapped(values, bands, window);
    }
    let opaque = opaque::<T>();
    let with_alpha = values.chunks_exact(own).enumerate().flat_map(|(k, pixel)| {
        let opacity = match covered(k) {
            255 => T::from_f64(opaque),
            cover => T::from_f64(f64::from(cover) / 255.0 * opaque),
        };
        pixel.iter().copied().chain([opacity])
    });
    wrapped(with_alpha.collect(), bands, window)
}

/// Samples in another type, as they lie; those beyond its limits become the limits.
fn cast<T: Sample>(samples: &Samples, counted: &mut Counted) -> Result<Vec<T>> {
    if samples.sample_type() == T::TYPE {
        let array = T::unwrap(samples).and_then(interleaved_slice);
        return array
            .map(<[T]>::to_vec)
            .ok_or_else(|| Error::Internal("samples are not interleaved".to_owned()));
    }
    let (low, high) = (T::from_f64(f64::NEG_INFINITY).to_f64(), T::from_f64(f64::INFINITY).to_f64());
    for_samples!(samples, array => {
        let slice = interleaved_slice(array).ok_or_else(|| Error::Internal("samples are not interleaved".to_owned()))?;
        Ok(slice.iter().map(|v| {
            let v = v.to_f64();
            counted.clamped += u64::from(v < low - 0.5 || v >= high + 0.5);
            T::from_f64(v)
        }).collect())
    })
}

/// The value next to one that means no data, as GDAL's warper chooses it.
fn beside<T: Sample>(nodata: T) -> T {
    let value = nodata.to_f64();
    let limit = T::from_f64(f64::INFINITY).to_f64();
    if limit.is_infinite() {
        let f32s = T::TYPE == crate::block::SampleType::F32;
        return T::from_f64(if f32s { f64::from((value as f32).next_up()) } else { value.next_up() });
    }
    T::from_f64(if value == limit { value - 1.0 } else { value + 1.0 })
}

/// The sample that means opaque.
fn opaque<T: Sample>() -> f64 {
    use crate::block::SampleType::{F32, F64, I8, I16, I32, U8, U16, U32};
    match T::TYPE {
        U8 => 255.0,
        I8 => 127.0,
        U16 => 65_535.0,
        I16 => 32_767.0,
        U32 => f64::from(u32::MAX),
        I32 => f64::from(i32::MAX),
        F32 | F64 => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_data_is_never_the_one_for_none() {
        assert_eq!((beside(0u8), beside(255u8), beside(-1i16)), (1, 254, 0));
        assert!(beside(0.0f32) > 0.0 && beside(-9999.0f64) > -9999.0);
    }

    #[test]
    fn samples_beyond_the_limits_are_clamped_and_counted() {
        let window = Window::new(0, 0, 4, 1);
        let array = interleaved_array(vec![-0.4f32, 255.4, 256.0, -2.0], 1, window.size()).expect("fits");
        let mut counted = Counted::default();
        let found = cast::<u8>(&Samples::F32(array), &mut counted).expect("interleaved");
        assert_eq!((found, counted.clamped), (vec![0, 255, 255, 0], 2));
    }
}
