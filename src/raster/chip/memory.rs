//! Chips by GDAL: a dataset in memory for each thread and size, of which the driver makes its files.

use std::cell::RefCell;

use gdal::cpl::CslStringList;
use gdal::raster::Buffer;
use gdal::spatial_ref::SpatialRef;
use gdal::{Dataset, DriverManager, Gcp, Metadata};
use ndarray::Array2;

use super::{ChipFile, ChipSpec, failure};
use crate::block::Block;
use crate::raster::environment::LocalSetting;
use crate::raster::template::native_int8;
use crate::raster::{raw, reason};
use crate::window::{Size, Window};

/// Datasets that a thread keeps: the sizes of chips at the edges, or of a few rasters.
pub(super) const MOST_KEPT: usize = 4;

/// Bytes of a dataset that is kept, at most.
pub(super) const MOST_BYTES: usize = 4 << 20;

/// A dataset in memory that says what its raster says.
struct Kept {
    encoder: u64,
    size: Size,
    dataset: Dataset,
    /// Control points of the whole raster.
    gcps: Vec<Gcp>,
    gcp_crs: Option<SpatialRef>,
    /// Coefficients of the whole raster.
    rpc: Vec<String>,
}

thread_local! {
    /// The datasets of a thread, the one used last at the end.
    static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// The files that the driver makes of a window.
///
/// # Errors
/// GDAL's reason.
pub(super) fn files(
    spec: &ChipSpec,
    (encoder, number): (u64, u64),
    pixels: &Block,
    mask: Option<&Array2<u8>>,
    (name, extension): (&str, &str),
) -> Result<Vec<ChipFile>, String> {
    let size = pixels.window.size();
    KEPT.with_borrow_mut(|kept| {
        let found = kept.iter().position(|k| k.encoder == encoder && k.size == size);
        let mut own = match found {
            Some(at) => kept.remove(at),
            None => Kept::new(spec, encoder, size, mask.is_some())?,
        };
        let folder = format!("/vsimem/tileloom-chips-{encoder}-{number}");
        let made = own.fill(spec, pixels, mask).and_then(|()| own.copy(spec, &folder, name, extension));
        let gathered = gathered(&folder, name, extension);
        if spec.bytes(size) <= MOST_BYTES {
            if kept.len() >= MOST_KEPT {
                kept.remove(0);
            }
            kept.push(own);
        }
        // Nobody has heard of the folder.
        made.and(gathered).map_err(|why| why.replace(&format!("{folder}/"), ""))
    })
}

impl Kept {
    fn new(spec: &ChipSpec, encoder: u64, size: Size, mask: bool) -> Result<Self, String> {
        let (made, heard) = raw::listen(|| spec.template.in_memory(size, false));
        let dataset = made.map_err(|e| failure(&heard).unwrap_or(e))?;
        if mask {
            let band = dataset.rasterband(1);
            band.and_then(|mut band| band.create_mask_band(true)).map_err(|e| reason(&e))?;
        }
        let gcps = dataset.gcps().iter().map(Gcp::from).collect();
        let gcp_crs = dataset.gcp_spatial_ref();
        let rpc = dataset.metadata_domain("RPC").unwrap_or_default();
        Ok(Self { encoder, size, dataset, gcps, gcp_crs, rpc })
    }

    /// Puts the pixels of a window and its place into the dataset.
    fn fill(&mut self, spec: &ChipSpec, pixels: &Block, mask: Option<&Array2<u8>>) -> Result<(), String> {
        let gdal = |e: gdal::errors::GdalError| reason(&e);
        let window = pixels.window;
        if let Some(geotransform) = spec.geotransform(&window) {
            self.dataset.set_geo_transform(&geotransform).map_err(gdal)?;
        }
        self.place_points(&window)?;
        for_samples!(&pixels.samples, array => {
            raw::write_all_bands(&self.dataset, self.size.window(), native_int8(), &array.view())?;
        });
        if let Some(mask) = mask {
            let band = self.dataset.rasterband(1).map_err(gdal)?;
            let mut own = band.open_mask_band().map_err(gdal)?;
            let size = (self.size.width, self.size.height);
            let bytes: Vec<u8> = mask.iter().map(|c| if *c > 0 { 255 } else { 0 }).collect();
            own.write((0, 0), size, &mut Buffer::new(size, bytes)).map_err(gdal)?;
        }
        Ok(())
    }

    /// Moves what is said of places in pixels.
    fn place_points(&self, window: &Window) -> Result<(), String> {
        let (x, y) = (window.x as f64, window.y as f64);
        if let (false, Some(crs)) = (self.gcps.is_empty(), &self.gcp_crs) {
            let moved = |gcp: &Gcp| Gcp { pixel: gcp.pixel - x, line: gcp.line - y, ..gcp.clone() };
            let moved = self.gcps.iter().map(moved).collect();
            self.dataset.set_gcps(moved, crs).map_err(|e| reason(&e))?;
        }
        if !self.rpc.is_empty() {
            let moved = |item: &String| {
                let (key, value) = item.split_once('=')?;
                let by = match key {
                    "LINE_OFF" => y,
                    "SAMP_OFF" => x,
                    _ => return None,
                };
                let number: f64 = value.trim().parse().ok()?;
                Some(format!("{key}={}", number - by))
            };
            let items: Vec<String> = self.rpc.iter().map(|i| moved(i).unwrap_or_else(|| i.clone())).collect();
            raw::set_metadata(&self.dataset, None, "RPC", &items)?;
        }
        Ok(())
    }

    /// Has the driver make its files.
    fn copy(&self, spec: &ChipSpec, folder: &str, name: &str, extension: &str) -> Result<(), String> {
        let driver = DriverManager::get_driver_by_name(&spec.driver).map_err(|e| reason(&e))?;
        let mut options = CslStringList::new();
        let block = spec.block_options(self.size);
        for option in spec.template.options.iter().chain(&block) {
            options.add_string(option).map_err(|e| reason(&e))?;
        }
        let path = format!("{folder}/{name}{extension}");
        let _mask_inside = LocalSetting::mask_inside();
        let (made, heard) = raw::listen(|| {
            let made = self.dataset.create_copy(&driver, &path, &options).map_err(|e| reason(&e))?;
            made.close().map_err(|e| reason(&e))
        });
        failure(&heard).map_or(made, Err)
    }
}

impl ChipSpec {
    /// Options about the blocks of a `GeoTIFF` of a size.
    fn block_options(&self, size: Size) -> Vec<String> {
        if self.driver == "GTiff" { super::tiff::blocks(&self.template.options, size).1 } else { Vec::new() }
    }
}

/// The files in a folder in memory, which are removed.
fn gathered(folder: &str, name: &str, extension: &str) -> Result<Vec<ChipFile>, String> {
    let (names, _) = raw::listen(|| gdal::vsi::read_dir(folder, false));
    let mut files = Vec::new();
    let mut odd = None;
    for file in names.unwrap_or_default() {
        let text = file.to_string_lossy().into_owned();
        if matches!(text.as_str(), "." | "..") {
            continue;
        }
        let bytes = gdal::vsi::get_vsi_mem_file_bytes_owned(format!("{folder}/{text}"));
        match (text.strip_prefix(name).filter(|rest| rest.starts_with('.')), bytes) {
            (Some(rest), Ok(bytes)) => files.push(ChipFile { extension: rest.to_owned(), bytes }),
            _ => odd = Some(text),
        }
    }
    raw::remove_folder(folder);
    if let Some(odd) = odd {
        return Err(format!("its driver makes '{odd}', which tells no chip from another"));
    }
    if !files.iter().any(|file| file.extension == extension) {
        return Err("its driver has made no file".to_owned());
    }
    files.sort_by(|a, b| {
        (a.extension != extension, &a.extension).cmp(&(b.extension != extension, &b.extension))
    });
    Ok(files)
}
