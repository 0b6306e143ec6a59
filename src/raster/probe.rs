//! A `GeoTIFF` block by block, as GDAL sees it: what there is to unpack, and whether it unpacks.

use std::marker::PhantomData;
use std::path::Path;

use gdal::raster::RasterBand;
use gdal::{Dataset, DatasetOptions, GdalOpenFlags, Metadata};

use super::{environment, raw, reason};
use crate::window::Size;

/// Files of the folder that GDAL lists to find those that belong to a raster.
const MOST_NEIGHBOURS: usize = 64;

/// One image of a file: the raster itself, or one of its overviews.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    /// Columns and rows.
    pub(crate) size: Size,
    /// Columns and rows of a block.
    pub(crate) block: Size,
    /// Where the directory of the image stands in its file.
    pub(crate) ifd: Option<u64>,
    /// Its mask, when it has one for all bands: where the directory stands, and columns and rows of its blocks.
    pub(crate) mask: Option<(Option<u64>, Size)>,
}

/// What a raster consists of.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Number of bands.
    pub(crate) bands: usize,
    /// Sample type of the first band, as GDAL names it.
    pub(crate) sample_type: String,
    /// Bytes of the largest sample.
    pub(crate) sample_bytes: usize,
    /// Whether a block holds the samples of all bands.
    pub(crate) interleaved: bool,
    /// The raster, then its overviews.
    pub(crate) levels: Vec<Level>,
    /// Whether overviews stand in a file of their own.
    pub(crate) external_overviews: bool,
    /// Whether the mask stands in a file of its own.
    pub(crate) external_mask: bool,
}

/// Which of the planes of samples to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plane {
    /// 0 for the raster itself, 1 for its first overview.
    pub(crate) level: usize,
    /// The band, counted from 1.
    pub(crate) band: usize,
    /// The mask of the band instead of its samples.
    pub(crate) mask: bool,
}

/// What became of reading a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unpacked {
    /// Nothing was said.
    Well,
    /// It was read, but something is odd.
    Oddly(String),
    /// It cannot be read, or not without damage.
    Not(String),
}

/// An open `GeoTIFF`.
pub(crate) struct Probe {
    dataset: Dataset,
    _own_thread: PhantomData<*mut ()>,
}

impl Probe {
    /// Opens a file as `GeoTIFF`.
    ///
    /// # Errors
    /// GDAL's reason.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let open_flags = GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR;
        let allowed_drivers = Some(&["GTiff"][..]);
        let options = DatasetOptions { open_flags, allowed_drivers, ..DatasetOptions::default() };
        let _limit = environment::LocalSetting::listing_limit(MOST_NEIGHBOURS);
        let (opened, heard) = raw::listen(|| Dataset::open_ex(path, options).map_err(|e| reason(&e)));
        let first = heard.iter().find_map(raw::Message::failure);
        let dataset = opened.map_err(|why| first.unwrap_or(why))?;
        Ok(Self { dataset, _own_thread: PhantomData })
    }

    /// What the file consists of.
    ///
    /// # Errors
    /// GDAL's reason.
    pub(crate) fn layout(&self) -> Result<Layout, String> {
        raw::listen(|| self.seen()).0
    }

    fn seen(&self) -> Result<Layout, String> {
        let bands = self.dataset.raster_count();
        if bands == 0 {
            return Err("has no raster bands".to_owned());
        }
        let first = self.band(1)?;
        let mut levels = vec![level(&first)];
        for number in 0..first.overview_count().unwrap_or(0).max(0) as usize {
            levels.push(level(&first.overview(number).map_err(|e| reason(&e))?));
        }
        let mut sample_bytes = 1;
        for number in 1..=bands {
            sample_bytes = sample_bytes.max(raw::sample_bytes(&self.band(number)?));
        }
        let files = raw::file_list(&self.dataset);
        let has = |ending: &str| files.iter().any(|f| f.to_ascii_lowercase().ends_with(ending));
        let interleave = self.dataset.metadata_item("INTERLEAVE", "IMAGE_STRUCTURE");
        Ok(Layout {
            bands,
            sample_type: raw::sample_name(&first),
            sample_bytes,
            interleaved: bands > 1 && interleave.as_deref() == Some("PIXEL"),
            levels,
            external_overviews: has(".ovr"),
            external_mask: has(".msk"),
        })
    }

    fn band(&self, number: usize) -> Result<RasterBand<'_>, String> {
        self.dataset.rasterband(number).map_err(|e| reason(&e))
    }

    /// Reads a block into `work`, whose content means nothing afterwards.
    pub(crate) fn read(&self, plane: Plane, (column, row): (usize, usize), work: &mut Vec<u8>) -> Unpacked {
        let (read, heard) = raw::listen(|| {
            let mut band = self.band(plane.band)?;
            if plane.level > 0 {
                band = band.overview(plane.level - 1).map_err(|e| reason(&e))?;
            }
            if plane.mask {
                return raw::read_block(&band.open_mask_band().map_err(|e| reason(&e))?, column, row, work);
            }
            raw::read_block(&band, column, row, work)
        });
        let failure = heard.iter().find_map(raw::Message::failure);
        if let Err(why) = read {
            return Unpacked::Not(failure.unwrap_or(why));
        }
        if let Some(why) = failure {
            return Unpacked::Not(why);
        }
        // What a decoder made up for bytes that are missing or make no sense it calls a warning.
        let torn = |text: &String| ["orrupt", "remature", "Not enough data"].iter().any(|w| text.contains(w));
        let mut said = heard.iter().map(raw::Message::line);
        match said.find(torn) {
            Some(why) => Unpacked::Not(why),
            None => heard.first().map_or(Unpacked::Well, |message| Unpacked::Oddly(message.line())),
        }
    }

    /// Reads every block of the raster and gives its size.
    ///
    /// # Errors
    /// What cannot be read, also when its blocks have more than `most` bytes.
    pub(crate) fn read_all(&self, most: usize) -> Result<Size, String> {
        let layout = self.layout()?;
        let Some(main) = layout.levels.first() else { return Err("has no image".to_owned()) };
        if main.size.width.saturating_mul(main.size.height) > most {
            return Err(format!("has {} × {} pixels: too many", main.size.width, main.size.height));
        }
        let columns = main.size.width.div_ceil(main.block.width.max(1));
        let rows = main.size.height.div_ceil(main.block.height.max(1));
        let mut work = Vec::new();
        let bytes = main.block.width.saturating_mul(main.block.height).saturating_mul(layout.sample_bytes);
        if bytes > most {
            return Err(format!("has blocks of {bytes} bytes: too large"));
        }
        for band in 1..=if layout.interleaved { 1 } else { layout.bands } {
            for block in (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))) {
                let plane = Plane { level: 0, band, mask: false };
                if let Unpacked::Not(why) = self.read(plane, block, &mut work) {
                    return Err(why);
                }
            }
        }
        Ok(main.size)
    }
}

fn level(band: &RasterBand<'_>) -> Level {
    let size = |band: &RasterBand<'_>| Size::new(band.size().0, band.size().1);
    let block = |band: &RasterBand<'_>| Size::new(band.block_size().0, band.block_size().1);
    let ifd = |band: &RasterBand<'_>| band.metadata_item("IFD_OFFSET", "TIFF")?.parse().ok();
    let masked = band.mask_flags().is_ok_and(|f| f.is_per_dataset() && !f.is_alpha() && !f.is_nodata());
    let mask = masked.then(|| band.open_mask_band().ok()).flatten();
    // One that is made up from something else has another size, or no directory.
    let mask = mask.filter(|mask| size(mask) == size(band)).map(|mask| (ifd(&mask), block(&mask)));
    Level { size: size(band), block: block(band), ifd: ifd(band), mask }
}
