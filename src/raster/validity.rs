//! Which pixels hold data: nodata values and not-a-numbers.

use ndarray::Array2;

use crate::block::Sample;

/// A nodata value as a band's sample type holds it; `None` when the type cannot hold it, so that no pixel has it.
///
/// Follows GDAL: a value just beyond the range of 32-bit floats means its limit.
pub(crate) fn nodata_as<T: Sample>(value: f64) -> Option<T> {
    let cast = T::from_f64(value);
    let back = cast.to_f64();
    let is_f32 = T::TYPE == crate::block::SampleType::F32;
    if value.is_nan() {
        return back.is_nan().then_some(cast);
    }
    if is_f32 && value.is_finite() {
        let limit = f64::from(f32::MAX);
        return Some(if back.is_finite() { cast } else { T::from_f64(limit.copysign(value)) });
    }
    (back.to_bits() == value.to_bits() || back == value).then_some(cast)
}

/// Takes the coverage of pixels away in which every band holds its nodata value or is not a number.
///
/// `samples` are pixel-interleaved with `nodata.len()` bands. `coverage` is one byte per pixel, created fully
/// covered when it is `None`; it stays `None` when every pixel holds data.
pub(super) fn clear_nodata<T: Sample>(samples: &[T], nodata: &[Option<T>], coverage: &mut Option<Vec<u8>>) {
    let float = matches!(T::TYPE, crate::block::SampleType::F32 | crate::block::SampleType::F64);
    if !float && nodata.iter().any(Option::is_none) {
        return;
    }
    #[allow(clippy::eq_op)] // only not-a-number differs from itself
    let empty =
        |pixel: &[T]| pixel.iter().zip(nodata).all(|(v, n)| v != v || n.as_ref().is_some_and(|n| v == n));
    let count = samples.len() / nodata.len();
    for (i, pixel) in samples.chunks_exact(nodata.len()).enumerate() {
        if empty(pixel) {
            coverage.get_or_insert_with(|| vec![255; count])[i] = 0;
        }
    }
}

/// One coverage plane of `width` columns out of bytes; `None` when there is nothing to tell apart.
pub(super) fn plane(coverage: Vec<u8>, height: usize, width: usize) -> Option<Array2<u8>> {
    if coverage.iter().all(|&c| c == 255) {
        return None;
    }
    Array2::from_shape_vec((height, width), coverage).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_the_type_cannot_hold_match_no_pixel() {
        assert_eq!(nodata_as::<u8>(-9999.0), None);
        assert_eq!(nodata_as::<u8>(0.5), None);
        assert_eq!(nodata_as::<u8>(255.0), Some(255));
        assert_eq!(nodata_as::<i16>(f64::NAN), None);
        assert!(nodata_as::<f32>(f64::NAN).is_some_and(f32::is_nan));
    }

    #[test]
    fn the_limit_of_floats_is_found_though_written_as_a_double() {
        assert_eq!(nodata_as::<f32>(-3.402_822_655_088_905e38), Some(-3.402_822_6e38_f32));
        assert_eq!(nodata_as::<f32>(-3.4e39), Some(f32::MIN));
    }

    #[test]
    fn a_pixel_is_empty_when_all_its_bands_are() {
        let mut coverage = None;
        clear_nodata(&[0u8, 0, 0, 7, 9, 9], &[Some(0), Some(0)], &mut coverage);
        assert_eq!(coverage, Some(vec![0, 255, 255]));
    }

    #[test]
    fn bands_without_nodata_keep_their_pixels() {
        let mut coverage = None;
        clear_nodata(&[0u8, 0], &[Some(0), None], &mut coverage);
        assert_eq!(coverage, None);
        clear_nodata(&[f32::NAN, 1.0], &[None], &mut coverage);
        assert_eq!(coverage, Some(vec![0, 255]));
    }
}
