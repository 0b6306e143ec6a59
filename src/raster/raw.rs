//! The calls into GDAL that the safe bindings lack. All `unsafe` of the FFI stands here.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;

use gdal::Dataset;
use gdal::cpl::CslStringList;
use gdal_sys::{CPLErr, GDALDataType, GDALRWFlag};

use crate::block::{Sample, SampleType};
use crate::window::Window;

/// `GDT_Int8`, which GDAL has since 3.7 and older bindings do not name.
pub(super) const GDT_INT8: GDALDataType::Type = 14;

/// GDAL's type code for samples of a type. Signed bytes are asked for as `native_int8` says: GDAL before
/// 3.7 presents them as bytes of the same bits.
fn type_code(sample_type: SampleType, native_int8: bool) -> GDALDataType::Type {
    match sample_type {
        SampleType::I8 if native_int8 => GDT_INT8,
        SampleType::U8 | SampleType::I8 => GDALDataType::GDT_Byte,
        SampleType::U16 => GDALDataType::GDT_UInt16,
        SampleType::I16 => GDALDataType::GDT_Int16,
        SampleType::U32 => GDALDataType::GDT_UInt32,
        SampleType::I32 => GDALDataType::GDT_Int32,
        SampleType::F32 => GDALDataType::GDT_Float32,
        SampleType::F64 => GDALDataType::GDT_Float64,
    }
}

/// GDAL's type code of a band, including the types the bindings do not name.
pub(super) fn band_type(band: &gdal::raster::RasterBand<'_>) -> GDALDataType::Type {
    // SAFETY: the band borrows its open dataset.
    unsafe { gdal_sys::GDALGetRasterDataType(band.c_rasterband()) }
}

/// Keeps PROJ from fetching grids from the network while it runs.
pub(super) fn disable_proj_network() {
    // SAFETY: sets a flag of the library.
    unsafe { gdal_sys::OSRSetPROJEnableNetwork(0) }
}

/// GDAL's last error on this thread, on one line.
fn last_error() -> String {
    // SAFETY: the pointer is to a NUL-terminated buffer of this thread, read before any other GDAL call.
    let text = unsafe { CStr::from_ptr(gdal_sys::CPLGetLastErrorMsg()) }.to_string_lossy();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "GDAL gives no reason".to_owned() } else { line }
}

/// Reads `window` of the given bands (1-based) with one call, pixel-interleaved, as samples of type `T`.
///
/// `window` lies inside the raster and `out` holds exactly its samples.
///
/// # Errors
/// GDAL's reason, also when it reported a failure but claimed success.
pub(super) fn read_interleaved<T: Sample>(
    dataset: &Dataset,
    window: Window,
    bands: &[c_int],
    native_int8: bool,
    out: &mut [T],
) -> Result<(), String> {
    let (columns, rows) = dataset.raster_size();
    let inside =
        window.x >= 0 && window.y >= 0 && window.right() <= columns as i64 && window.bottom() <= rows as i64;
    if !inside || out.len() != window.area() * bands.len() {
        return Err(format!("no window of this raster: {window}"));
    }
    let size = size_of::<T>() as i64;
    let pixel = size * bands.len() as i64;
    let mut bands = bands.to_vec();
    // SAFETY: the dataset is open and borrowed for the call; `out` is as long as the window, bands and
    // spacings say (checked above), its element size is that of the type code; `bands` outlives the call.
    let result = unsafe {
        gdal_sys::CPLErrorReset();
        gdal_sys::GDALDatasetRasterIOEx(
            dataset.c_dataset(),
            GDALRWFlag::GF_Read,
            window.x as c_int,
            window.y as c_int,
            window.width as c_int,
            window.height as c_int,
            out.as_mut_ptr().cast::<c_void>(),
            window.width as c_int,
            window.height as c_int,
            type_code(T::TYPE, native_int8),
            bands.len() as c_int,
            bands.as_mut_ptr(),
            pixel,
            pixel * window.width as i64,
            size,
            std::ptr::null_mut(),
        )
    };
    // SAFETY: reads a thread-local number.
    let failed = unsafe { gdal_sys::CPLGetLastErrorType() } >= CPLErr::CE_Failure;
    if result != CPLErr::CE_None || failed { Err(last_error()) } else { Ok(()) }
}

/// GDAL's general image transformer, together with the dataset it reads.
pub(super) struct Transformer {
    handle: *mut c_void,
    _dataset: Dataset,
    _not_send: PhantomData<*mut ()>,
}

impl Transformer {
    /// A transformer from pixels of `dataset` to the coordinates that the options name (`DST_SRS` …).
    ///
    /// # Errors
    /// GDAL's reason.
    pub(super) fn new(dataset: Dataset, options: &[(&str, &str)]) -> Result<Self, String> {
        let mut list = CslStringList::new();
        for (key, value) in options {
            list.set_name_value(key, value).map_err(|e| super::reason(&e))?;
        }
        // SAFETY: the dataset is open and is kept for as long as the transformer; the list outlives the call,
        // which copies what it needs; a null destination means coordinates instead of pixels.
        let handle = unsafe {
            gdal_sys::CPLErrorReset();
            gdal_sys::GDALCreateGenImgProjTransformer2(
                dataset.c_dataset(),
                std::ptr::null_mut(),
                list.as_ptr(),
            )
        };
        if handle.is_null() {
            return Err(last_error());
        }
        Ok(Self { handle, _dataset: dataset, _not_send: PhantomData })
    }

    /// Transforms points in place, from coordinates to pixels with `to_source`, else from pixels to
    /// coordinates. Points that have no counterpart become NaN.
    pub(super) fn transform(&mut self, to_source: bool, xs: &mut [f64], ys: &mut [f64]) {
        let count = xs.len().min(ys.len());
        let mut zs = vec![0.0; count];
        let mut ok: Vec<c_int> = vec![0; count];
        // SAFETY: the handle is live; the four arrays hold `count` elements each.
        unsafe {
            gdal_sys::GDALGenImgProjTransform(
                self.handle,
                c_int::from(to_source),
                count as c_int,
                xs.as_mut_ptr(),
                ys.as_mut_ptr(),
                zs.as_mut_ptr(),
                ok.as_mut_ptr(),
            );
        }
        for i in 0..count {
            if ok[i] == 0 || !xs[i].is_finite() || !ys[i].is_finite() {
                (xs[i], ys[i]) = (f64::NAN, f64::NAN);
            }
        }
    }
}

impl Drop for Transformer {
    fn drop(&mut self) {
        // SAFETY: the handle came from the matching create call and is destroyed once, before the dataset.
        unsafe { gdal_sys::GDALDestroyGenImgProjTransformer(self.handle) }
    }
}
