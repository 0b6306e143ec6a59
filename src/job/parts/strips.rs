//! Rasters in horizontal strips of whole blocks: what `calc` and `warp` are divided into.

use std::ops::Range;
use std::path::Path;

use crate::block::Block;
use crate::error::{Error, Result};
use crate::parcel::Sealed;
use crate::pipeline;
use crate::raster::writer::{PartWriter, RasterPart, WrittenRaster, portions};
use crate::raster::{DatasetSpec, DatasetWriter, Packed, Packing};
use crate::target::Target;
use crate::window::{Size, Window};

/// The result of a window.
pub(in crate::job) enum Cloth {
    /// Blocks of the file.
    Packed(Packed),
    /// Pixels, which the writer has to put together with others or GDAL has to pack.
    Pixels(Block),
}

impl Cloth {
    /// A window's pixels as they go to the writer.
    pub fn of(block: Block, packing: Option<Packing>) -> Result<Self> {
        match packing.filter(|packing| packing.holds_whole(&block.window)) {
            Some(packing) => packing.pack(&block).map(Self::Packed),
            None => Ok(Self::Pixels(block)),
        }
    }
}

/// The strips of a raster, each one portion of its file high.
pub(in crate::job) struct Strips {
    raster: Size,
    height: usize,
}

impl Strips {
    /// The strips of a raster that is written so.
    ///
    /// # Errors
    /// [`Error::Usage`] for formats that cannot be put together from parts.
    pub fn new(spec: &DatasetSpec) -> Result<Self> {
        if spec.driver != "GTiff" {
            let driver = &spec.driver;
            return Err(Error::Usage(format!("-f {driver}: only a GTiff can be made in shards")));
        }
        Ok(Self { raster: spec.size, height: portions(spec)?.chunk().height.max(1) })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.raster.height.div_ceil(self.height)
    }

    /// The pixels of some of them.
    pub fn window(&self, strips: &Range<usize>) -> Window {
        let [top, bottom] =
            [strips.start, strips.end].map(|n| n.saturating_mul(self.height).min(self.raster.height));
        Window::from_edges(0, top as i64, self.raster.width as i64, bottom as i64)
    }

    /// The windows of a size that some of them are made of, row by row, cut off at the edges.
    pub fn windows(&self, strips: &Range<usize>, window: Size) -> Vec<Window> {
        let all = self.window(strips);
        let rows = (all.y..all.bottom()).step_by(window.height.max(1));
        let columns = (0..all.right()).step_by(window.width.max(1));
        rows.flat_map(|y| columns.clone().map(move |x| Window::new(x, y, window.width, window.height)))
            .map(|w| w.intersection(&all))
            .collect()
    }
}

/// A strip that is being made; `memo` tells what is to be noted of it, or why it must not be finished.
pub(in crate::job) struct Strip<M> {
    writer: PartWriter,
    memo: M,
}

impl<M: FnOnce() -> Result<Vec<u8>>> Strip<M> {
    /// Begins some strips of a raster, which go to a file.
    ///
    /// # Errors
    /// Those of [`PartWriter::create`].
    pub fn create(path: &Path, spec: DatasetSpec, strips: Range<usize>, memo: M) -> Result<Self> {
        Ok(Self { writer: PartWriter::create(path, spec, strips)?, memo })
    }
}

impl<M: FnOnce() -> Result<Vec<u8>>> pipeline::Sink for Strip<M> {
    type Item = Cloth;
    type Done = Sealed;
    type Error = Error;

    fn write(&mut self, cloth: Cloth) -> Result<()> {
        match cloth {
            Cloth::Packed(packed) => self.writer.write_packed(packed),
            Cloth::Pixels(block) => self.writer.write(&block),
        }
    }

    fn finish(self) -> Result<Sealed> {
        let memo = (self.memo)()?;
        self.writer.finish(&memo)
    }
}

/// Puts strips together, in their order. `bands` gives the metadata items of the bands from the memos of all of them.
///
/// # Errors
/// [`Error::Output`] when one is damaged or the disk refuses, and those of `bands`.
pub(in crate::job) fn join(
    target: &Target,
    spec: DatasetSpec,
    parts: &[impl AsRef<Path>],
    bands: impl FnOnce(&[&[u8]]) -> Result<Vec<Vec<(String, String)>>>,
) -> Result<WrittenRaster> {
    let parts = parts.iter().map(|path| RasterPart::open(path.as_ref())).collect::<Result<Vec<_>>>()?;
    let memos: Vec<&[u8]> = parts.iter().map(RasterPart::memo).collect();
    let mut writer = DatasetWriter::create(target, spec)?;
    writer.describe_bands(bands(&memos)?);
    parts.iter().try_for_each(|part| writer.adopt(part))?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::SampleType;

    #[test]
    fn strips_are_whole_blocks_and_leave_nothing_out() {
        let options = ["TILED=YES", "BLOCKXSIZE=64", "BLOCKYSIZE=32", "COMPRESS=LZW"];
        for (options, height) in [(&options[..], 256), (&options[..3], 256), (&["BLOCKYSIZE=7"], 0)] {
            let creation_options = options.iter().map(ToString::to_string).collect();
            let spec =
                DatasetSpec { creation_options, ..DatasetSpec::new(Size::new(300, 1001), 1, SampleType::U8) };
            let strips = Strips::new(&spec).expect("a GeoTIFF");
            assert!(height == 0 || strips.height == height, "{options:?} {}", strips.height);
            let count = strips.count();
            assert_eq!(strips.window(&(0..count)), spec.size.window());
            for window in [Size::new(100, 100), Size::new(300, 33)] {
                let area: usize =
                    (0..count).flat_map(|k| strips.windows(&(k..k + 1), window)).map(|w| w.area()).sum();
                assert_eq!(area, spec.size.area());
            }
        }
        let other =
            DatasetSpec { driver: "HFA".to_owned(), ..DatasetSpec::new(Size::new(9, 9), 1, SampleType::U8) };
        assert!(Strips::new(&other).is_err_and(|e| e.to_string().contains("only a GTiff")));
    }
}
