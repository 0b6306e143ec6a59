//! Running sums of neighbouring pixels: what undoes the differences of TIFF's horizontal predictor.
//!
//! There are plain sums beside the caller, which compute the same.

use super::Level;

/// Integers of one or two bytes: every pattern of bits is one.
pub trait Short: sealed::Sealed + Default {
    /// The sum with the number that little-endian bytes hold, wrapping around.
    #[must_use]
    fn plus_le(self, bytes: &[u8]) -> Self;
}

mod sealed {
    pub trait Sealed: Copy {}
}

macro_rules! short {
    ($($type:ty)*) => {
        $(impl sealed::Sealed for $type {}
        impl Short for $type {
            fn plus_le(self, bytes: &[u8]) -> Self {
                self.wrapping_add(bytes.first_chunk().map_or(0, |b| Self::from_le_bytes(*b)))
            }
        })*
    };
}

short! { u8 i8 u16 i16 }

/// Sums the differences in `row` (little-endian samples, `bands` to a pixel) band by band, wrapping around, into all of `out`.
/// `false`, and nothing useful written, without AVX2, of pixels that vectors do not suit, and when `out` is not as long as the row.
#[inline]
pub fn running_sums<T: Short>(level: Level, row: &[u8], bands: usize, out: &mut [T]) -> bool {
    #[cfg(target_arch = "x86_64")]
    if super::has_avx2(level) && row.len() == size_of_val(out) {
        let target = out.as_mut_ptr().cast();
        // SAFETY: the processor has AVX2; `out` has as many bytes as the row, and holds integers that may have any bits.
        let done = unsafe {
            match (size_of::<T>(), bands) {
                (1, 1) => x86::running_sums::<1, false>(row, target),
                (1, 2) => x86::running_sums::<2, false>(row, target),
                (1, 3) => x86::running_sums::<3, false>(row, target),
                (1, 4) => x86::running_sums::<4, false>(row, target),
                (2, 1) => x86::running_sums::<2, true>(row, target),
                (2, 2) => x86::running_sums::<4, true>(row, target),
                (2, 3) => x86::running_sums::<6, true>(row, target),
                (2, 4) => x86::running_sums::<8, true>(row, target),
                _ => return false,
            }
        };
        let bytes = size_of::<T>();
        for (k, difference) in row.chunks_exact(bytes).enumerate().skip(done / bytes) {
            let before = k.checked_sub(bands).map_or(T::default(), |k| out[k]);
            out[k] = before.plus_le(difference);
        }
        return true;
    }
    let _ = (level, row, bands, out);
    false
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_add_epi16, _mm_loadu_si128, _mm_setzero_si128, _mm_shuffle_epi8,
        _mm_storeu_si128,
    };

    /// Where each byte of a vector comes from; 0x80 for none, which makes it zero.
    type Sources = [u8; 16];

    /// Moves bytes towards the end.
    const fn moved(by: usize) -> Sources {
        let mut sources = [0x80; 16];
        let mut i = by;
        while i < 16 {
            sources[i] = (i - by) as u8;
            i += 1;
        }
        sources
    }

    /// Repeats the last whole pixel.
    const fn last(pixel: usize) -> Sources {
        let mut sources = [0; 16];
        let mut i = 0;
        while i < 16 {
            sources[i] = (16 / pixel * pixel - pixel + i % pixel) as u8;
            i += 1;
        }
        sources
    }

    /// Sums pixels of `PIXEL` (at most 8) bytes, in samples of two bytes if `WIDE`. Returns the bytes done.
    ///
    /// # Safety
    /// As many bytes as `row` has can be written from `out` on.
    #[target_feature(enable = "avx2")]
    pub unsafe fn running_sums<const PIXEL: usize, const WIDE: bool>(row: &[u8], out: *mut u8) -> usize {
        let add = |a, b| if WIDE { _mm_add_epi16(a, b) } else { _mm_add_epi8(a, b) };
        // SAFETY: an array of sixteen bytes.
        let load = |sources: &Sources| unsafe { _mm_loadu_si128(sources.as_ptr().cast()) };
        let [one, two, four, eight] =
            const { [moved(PIXEL), moved(2 * PIXEL), moved(4 * PIXEL), moved(8 * PIXEL)] };
        let [one, two, four, eight] = [load(&one), load(&two), load(&four), load(&eight)];
        let last = load(&const { last(PIXEL) });
        let step = 16 / PIXEL * PIXEL;
        let mut before: __m128i = _mm_setzero_si128();
        let mut at = 0;
        while at + 16 <= row.len() {
            // SAFETY: sixteen bytes are left of the row.
            let mut sums = unsafe { _mm_loadu_si128(row.as_ptr().add(at).cast()) };
            sums = add(sums, _mm_shuffle_epi8(sums, one));
            if 2 * PIXEL < 16 {
                sums = add(sums, _mm_shuffle_epi8(sums, two));
            }
            if 4 * PIXEL < 16 {
                sums = add(sums, _mm_shuffle_epi8(sums, four));
            }
            if 8 * PIXEL < 16 {
                sums = add(sums, _mm_shuffle_epi8(sums, eight));
            }
            sums = add(sums, before);
            before = _mm_shuffle_epi8(sums, last);
            // SAFETY: as many bytes are left of the output; those behind the last whole pixel are written once more.
            unsafe { _mm_storeu_si128(out.add(at).cast(), sums) };
            at += step;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: Short + PartialEq + std::fmt::Debug>() {
        let bytes = size_of::<T>();
        for (bands, pixels) in (1..=5).flat_map(|bands| [0, 1, 5, 6, 16, 17, 100, 257].map(|n| (bands, n))) {
            let row: Vec<u8> =
                (0..pixels * bands * bytes).map(|k| ((k * k * 31 + 7 * k) >> 2) as u8).collect();
            let mut out = vec![T::default(); pixels * bands];
            if !running_sums(Level::Best, &row, bands, &mut out) {
                continue;
            }
            let mut expected: Vec<T> = Vec::new();
            for (k, difference) in row.chunks_exact(bytes).enumerate() {
                let before = k.checked_sub(bands).map_or(T::default(), |k| expected[k]);
                expected.push(before.plus_le(difference));
            }
            assert_eq!(out, expected, "{bands} bands, {pixels} pixels");
        }
    }

    #[test]
    fn vectors_sum_as_single_samples_do() {
        check::<u8>();
        check::<i8>();
        check::<u16>();
        check::<i16>();
    }

    #[test]
    fn what_vectors_do_not_suit_is_left_to_others() {
        assert!(!running_sums(Level::Best, &[1; 50], 5, &mut [0u8; 50]));
        assert!(!running_sums(Level::Best, &[1; 50], 1, &mut [0u8; 49]));
        assert!(!running_sums(Level::Baseline, &[1; 48], 3, &mut [0u8; 48]));
    }
}
