//! ZSTD blocks.
//!
//! GDAL packs at level 9 unless it is told otherwise, which looks for matches for long. The samples of most pictures hold hardly any once
//! they are predicted: level 1 then makes blocks that are larger by less than a hundredth, in a tenth of the time. So part of a block is
//! packed in both ways, and what that gains decides.

use zstd_safe::{CCtx, CParameter, compress_bound, get_error_name};

use crate::error::{Error, Result};

/// The level where matches do not pay.
const LOW: i32 = 1;

/// The level where they do: within half a hundredth of level 9 in twice its speed.
const HIGH: i32 = 5;

/// Bytes of a block that are tried, from its middle.
const SAMPLE: usize = 64 << 10;

/// Size of the sample without long search, in thousandths of that with it, from which on it pays.
const WORTHWHILE: usize = 1010;

/// The contexts of a thread: their tables take megabytes, and are cleared for each new one.
#[derive(Default)]
pub(super) struct Zstd {
    context: Option<CCtx<'static>>,
}

impl Zstd {
    /// Bytes as a frame, at the level asked for or the one that suits them.
    ///
    /// # Errors
    /// [`Error::Internal`] with the library's reason.
    pub fn pack(&mut self, bytes: &[u8], level: Option<i32>) -> Result<Vec<u8>> {
        if let Some(level) = level {
            return self.packed(bytes, level);
        }
        let start = (bytes.len() / 2).saturating_sub(SAMPLE / 2);
        let sample = &bytes[start..bytes.len().min(start + SAMPLE)];
        let (low, high) = (self.packed(sample, LOW)?.len(), self.packed(sample, HIGH)?.len());
        let level = if 1000 * low > WORTHWHILE * high { HIGH } else { LOW };
        self.packed(bytes, level)
    }

    fn packed(&mut self, bytes: &[u8], level: i32) -> Result<Vec<u8>> {
        let failed = |code| Error::Internal(format!("a block cannot be packed: {}", get_error_name(code)));
        let context = self.context.get_or_insert_with(CCtx::create);
        context.set_parameter(CParameter::CompressionLevel(level)).map_err(failed)?;
        let mut out = Vec::with_capacity(compress_bound(bytes.len()));
        context.compress2(&mut out, bytes).map_err(failed)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_are_packed_harder_where_that_pays() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let noise: Vec<u8> = (0..200_000).map(|_| next() % 40).collect();
        let words: Vec<u8> = (0..60_000).flat_map(|_| [7, 3, 9].map(|k| next() % 4 * k)).collect();
        let mut zstd = Zstd::default();
        for (bytes, suitable) in [(noise, LOW), (words, HIGH)] {
            let own = zstd.pack(&bytes, None).expect("packed");
            assert_eq!(own, zstd.pack(&bytes, Some(suitable)).expect("packed"));
            // What was packed before leaves no trace.
            assert_eq!(own, Zstd::default().pack(&bytes, None).expect("packed"));
            let mut out = Vec::with_capacity(bytes.len());
            zstd_safe::DCtx::create().decompress(&mut out, &own).expect("a frame");
            assert_eq!(out, bytes);
        }
    }
}
