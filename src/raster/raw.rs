//! The calls into GDAL that the safe bindings lack. All `unsafe` of the FFI stands here.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::path::Path;

use gdal::cpl::CslStringList;
use gdal::{Dataset, Driver};
use gdal_sys::{CPLErr, GDALDataType, GDALRWFlag};
use ndarray::ArrayView3;

use crate::block::{Sample, SampleType};
use crate::window::{Size, Window};

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

/// Says in what unit the values of a band are.
pub(super) fn set_unit(band: &gdal::raster::RasterBand<'_>, unit: &str) -> Result<(), String> {
    let text = CString::new(unit).map_err(|e| e.to_string())?;
    // SAFETY: the band borrows its open dataset, the text is NUL-terminated and outlives the call.
    let code = unsafe { gdal_sys::GDALSetRasterUnitType(band.c_rasterband(), text.as_ptr()) };
    if code == CPLErr::CE_None { Ok(()) } else { Err(format!("the unit {unit}: {}", last_error())) }
}

/// Keeps PROJ from fetching grids from the network while it runs.
pub(super) fn disable_proj_network() {
    // SAFETY: sets a flag of the library.
    unsafe { gdal_sys::OSRSetPROJEnableNetwork(0) }
}

/// The path of a file in GDAL's data folder, if it is there.
pub(super) fn data_file(name: &str) -> Option<std::path::PathBuf> {
    let name = CString::new(name).ok()?;
    // SAFETY: both names are NUL-terminated and outlive the call. The path is null, or a NUL-terminated buffer of this thread that is
    // read before any other GDAL call.
    unsafe {
        let path = gdal_sys::CPLFindFile(c"gdal".as_ptr(), name.as_ptr());
        (!path.is_null()).then(|| CStr::from_ptr(path).to_string_lossy().into_owned().into())
    }
}

/// GDAL's last error on this thread, on one line.
fn last_error() -> String {
    // SAFETY: the pointer is to a NUL-terminated buffer of this thread, read before any other GDAL call.
    let text = unsafe { CStr::from_ptr(gdal_sys::CPLGetLastErrorMsg()) }.to_string_lossy();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "GDAL gives no reason".to_owned() } else { line }
}

/// Makes GDAL forget what it has of a file on a server, also that an answer was too short.
pub(super) fn forget_served(path: &std::path::Path) {
    if let Ok(path) = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()) {
        // SAFETY: a NUL-terminated string that outlives the call.
        unsafe { gdal_sys::VSICurlPartialClearCache(path.as_ptr()) }
    }
}

/// Removes a folder in memory with all that is in it.
pub(super) fn remove_folder(path: &str) {
    if let Ok(path) = CString::new(path) {
        // SAFETY: a NUL-terminated string that outlives the call.
        unsafe { gdal_sys::VSIRmdirRecursive(path.as_ptr()) };
    }
}

/// What a server says of a file beside its bytes; nothing where there is no server or it does not answer.
pub(super) fn headers(path: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let Ok(path) = CString::new(path) else { return all };
    // SAFETY: the texts are NUL-terminated and outlive the call. The list is null, or an array of NUL-terminated strings that ends with
    // a null pointer; it is ours, read before it is destroyed, once.
    unsafe {
        let list = gdal_sys::VSIGetFileMetadata(path.as_ptr(), c"HEADERS".as_ptr(), std::ptr::null_mut());
        let mut next = list;
        while !next.is_null() && !(*next).is_null() {
            let text = CStr::from_ptr(*next).to_string_lossy();
            all.extend(text.split_once('=').map(|(k, v)| (k.trim().to_owned(), v.trim().to_owned())));
            next = next.add(1);
        }
        gdal_sys::CSLDestroy(list);
    }
    all
}

/// Bytes of a file, wherever GDAL finds it; `None` when it does not.
pub(super) fn size(path: &str) -> Option<u64> {
    const SEEK_END: c_int = 2;
    let path = CString::new(path).ok()?;
    // SAFETY: both texts are NUL-terminated and outlive the call; the handle is checked, used on this thread, and closed once.
    unsafe {
        let file = gdal_sys::VSIFOpenL(path.as_ptr(), c"rb".as_ptr());
        if file.is_null() {
            return None;
        }
        let size = (gdal_sys::VSIFSeekL(file, 0, SEEK_END) == 0).then(|| gdal_sys::VSIFTellL(file));
        gdal_sys::VSIFCloseL(file);
        size
    }
}

/// The files that a dataset is made of, as GDAL names them; none for datasets that are no files.
pub(super) fn file_list(dataset: &Dataset) -> Vec<String> {
    let mut names = Vec::new();
    // SAFETY: the dataset is open and borrowed for the call. The list is null, or an array of NUL-terminated strings that ends
    // with a null pointer; it is ours, read before it is destroyed, once.
    unsafe {
        let list = gdal_sys::GDALGetFileList(dataset.c_dataset());
        let mut next = list;
        while !next.is_null() && !(*next).is_null() {
            names.push(CStr::from_ptr(*next).to_string_lossy().into_owned());
            next = next.add(1);
        }
        gdal_sys::CSLDestroy(list);
    }
    names
}

/// Replaces the metadata of a dataset, or of one of its bands (1-based), in a domain: `KEY=VALUE` each, or one whole XML document.
///
/// # Errors
/// When there is no such band, or a text has a NUL in it.
pub(super) fn set_metadata(
    dataset: &Dataset,
    band: Option<usize>,
    domain: &str,
    items: &[String],
) -> Result<(), String> {
    let mut texts = items.iter().map(|i| CString::new(i.as_str())).collect::<Result<Vec<_>, _>>();
    let texts = texts.as_mut().map_err(|e| e.to_string())?;
    let mut list: Vec<*mut c_char> = texts.iter().map(|t| t.as_ptr().cast_mut()).collect();
    list.push(std::ptr::null_mut());
    let domain = CString::new(domain).map_err(|e| e.to_string())?;
    let band = band.map(|n| dataset.rasterband(n).map_err(|e| super::reason(&e))).transpose()?;
    // SAFETY: the object is the open dataset or a band of it; the list ends with a null pointer, and its texts and the domain are
    // NUL-terminated; they outlive the call, which copies them.
    let result = unsafe {
        let object = band.as_ref().map_or(dataset.c_dataset(), |b| b.c_rasterband());
        gdal_sys::GDALSetMetadata(object, list.as_mut_ptr(), domain.as_ptr())
    };
    if result == CPLErr::CE_Failure { Err(last_error()) } else { Ok(()) }
}

/// Gives a band the colour table, the role among colours and the unit of a band of another dataset.
pub(super) fn copy_look(from: &gdal::raster::RasterBand<'_>, to: &gdal::raster::RasterBand<'_>) {
    // SAFETY: both bands borrow their open datasets; the table is null, or belongs to the first band and is copied; so is the unit,
    // a NUL-terminated text.
    unsafe {
        let (from, to) = (from.c_rasterband(), to.c_rasterband());
        let table = gdal_sys::GDALGetRasterColorTable(from);
        if !table.is_null() {
            gdal_sys::GDALSetRasterColorTable(to, table);
        }
        gdal_sys::GDALSetRasterColorInterpretation(to, gdal_sys::GDALGetRasterColorInterpretation(from));
        gdal_sys::GDALSetRasterUnitType(to, gdal_sys::GDALGetRasterUnitType(from));
    }
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

/// Bytes of a sample of a band.
pub(super) fn sample_bytes(band: &gdal::raster::RasterBand<'_>) -> usize {
    // SAFETY: looks up the size of a type by its number.
    unsafe { gdal_sys::GDALGetDataTypeSizeBytes(band_type(band)) }.max(0) as usize
}

/// GDAL's name of the type of a band's samples.
pub(super) fn sample_name(band: &gdal::raster::RasterBand<'_>) -> String {
    // SAFETY: looks up the name of a type by its number: null, or a text that lives as long as the process.
    unsafe {
        let name = gdal_sys::GDALGetDataTypeName(band_type(band));
        if name.is_null() {
            "Unknown".to_owned()
        } else {
            CStr::from_ptr(name).to_string_lossy().into_owned()
        }
    }
}

/// Has the driver unpack a block of a band, given by its column and row of blocks, into `out`, which is made as long as the block needs:
/// samples of the band's own type, row by row.
///
/// # Errors
/// GDAL's reason.
pub(super) fn read_block(
    band: &gdal::raster::RasterBand<'_>,
    column: usize,
    row: usize,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let ((width, height), (columns, rows)) = (band.block_size(), band.size());
    let inside = width > 0 && height > 0 && column < columns.div_ceil(width) && row < rows.div_ceil(height);
    let sample = sample_bytes(band);
    let bytes = width.checked_mul(height).and_then(|n| n.checked_mul(sample)).filter(|n| inside && *n > 0);
    let bytes = bytes.ok_or_else(|| format!("no block of this raster: {column}, {row}"))?;
    out.resize(bytes, 0);
    // SAFETY: the band borrows its open dataset; the block lies inside the raster (checked above), and `out` has as many bytes as
    // samples of the band's type in a block of the size that the band tells.
    let result = unsafe {
        gdal_sys::CPLErrorReset();
        gdal_sys::GDALReadBlock(
            band.c_rasterband(),
            column as c_int,
            row as c_int,
            out.as_mut_ptr().cast::<c_void>(),
        )
    };
    if result == CPLErr::CE_None { Ok(()) } else { Err(last_error()) }
}

/// Whether a window of a band that lies inside the raster is a hole of the file: nothing in it is stored, and reading it gives the
/// nodata value, or 0. `false` where the format cannot tell.
pub(super) fn is_hole(band: &gdal::raster::RasterBand<'_>, window: Window) -> bool {
    // GDAL_DATA_COVERAGE_STATUS_DATA and _EMPTY, which the bindings do not name.
    const STORED: c_int = 0x02;
    const EMPTY: c_int = 0x04;
    let (columns, rows) = band.size();
    let inside =
        window.x >= 0 && window.y >= 0 && window.right() <= columns as i64 && window.bottom() <= rows as i64;
    if !inside || window.is_empty() {
        return false;
    }
    // SAFETY: the band borrows its open dataset; the window lies inside the raster (checked above); a null pointer
    // means that the share of pixels is not asked for.
    let status = unsafe {
        gdal_sys::GDALGetDataCoverageStatus(
            band.c_rasterband(),
            window.x as c_int,
            window.y as c_int,
            window.width as c_int,
            window.height as c_int,
            STORED,
            std::ptr::null_mut(),
        )
    };
    status == EMPTY
}

/// Creates a dataset; unlike the bindings', this call knows signed bytes.
///
/// # Errors
/// GDAL's reason.
pub(super) fn create(
    driver: &Driver,
    path: &Path,
    size: Size,
    bands: usize,
    (sample_type, native_int8): (SampleType, bool),
    options: &CslStringList,
) -> Result<Dataset, String> {
    let too_large =
        |what: usize| c_int::try_from(what).map_err(|_| format!("{what} is more than GDAL can count"));
    let (width, height, bands) = (too_large(size.width)?, too_large(size.height)?, too_large(bands)?);
    let path = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|e| e.to_string())?;
    let code = type_code(sample_type, native_int8);
    // SAFETY: drivers live as long as the process; path and options are NUL-terminated and outlive the call.
    let handle = unsafe {
        gdal_sys::CPLErrorReset();
        gdal_sys::GDALCreate(driver.c_driver(), path.as_ptr(), width, height, bands, code, options.as_ptr())
    };
    if handle.is_null() {
        return Err(last_error());
    }
    // SAFETY: the handle is new and has no other owner.
    Ok(unsafe { Dataset::from_c_dataset(handle) })
}

/// Writes all bands of `window` with one call. `samples` have axes (band, row, column); they are taken as they lie
/// in memory, pixel-interleaved or not, with gaps or without.
///
/// # Errors
/// GDAL's reason, also when it reported a failure but claimed success.
pub(super) fn write_all_bands<T: Sample>(
    dataset: &Dataset,
    window: Window,
    native_int8: bool,
    samples: &ArrayView3<'_, T>,
) -> Result<(), String> {
    let (columns, rows) = dataset.raster_size();
    let inside =
        window.x >= 0 && window.y >= 0 && window.right() <= columns as i64 && window.bottom() <= rows as i64;
    let (bands, height, width) = samples.dim();
    if !inside || (width, height) != (window.width, window.height) || bands != dataset.raster_count() {
        return Err(format!("no window of this raster: {window}"));
    }
    if samples.is_empty() {
        return Ok(());
    }
    let copy;
    let (values, [per_band, per_row, per_column]) = match samples.strides() {
        &[b, r, c] if b > 0 && r > 0 && c > 0 => (samples.as_ptr(), [b, r, c]),
        _ => {
            copy = samples.view().permuted_axes([1, 2, 0]).iter().copied().collect::<Vec<T>>();
            (copy.as_ptr(), [1, (width * bands) as isize, bands as isize])
        }
    };
    let bytes = |stride: isize| stride as i64 * size_of::<T>() as i64;
    // SAFETY: the dataset is open and borrowed for the call; `values` with its strides is the view that lives as long as the
    // call, or a copy of it of as many samples, and its element size is that of the type code; GDAL only reads from the
    // buffer when it writes the file; a null list of bands means all of them.
    let result = unsafe {
        gdal_sys::CPLErrorReset();
        gdal_sys::GDALDatasetRasterIOEx(
            dataset.c_dataset(),
            GDALRWFlag::GF_Write,
            window.x as c_int,
            window.y as c_int,
            window.width as c_int,
            window.height as c_int,
            values.cast_mut().cast::<c_void>(),
            window.width as c_int,
            window.height as c_int,
            type_code(T::TYPE, native_int8),
            bands as c_int,
            std::ptr::null_mut(),
            bytes(per_column),
            bytes(per_row),
            bytes(per_band),
            std::ptr::null_mut(),
        )
    };
    // SAFETY: reads a thread-local number.
    let failed = unsafe { gdal_sys::CPLGetLastErrorType() } >= CPLErr::CE_Failure;
    if result != CPLErr::CE_None || failed { Err(last_error()) } else { Ok(()) }
}

/// Hands all blocks of all bands that wait in GDAL's cache to the driver, band by band, in the order of their place.
///
/// # Errors
/// GDAL's reason, also when it reported a failure but claimed success.
pub(super) fn flush_blocks(dataset: &Dataset) -> Result<(), String> {
    for number in 1..=dataset.raster_count() {
        let band = dataset.rasterband(number).map_err(|e| super::reason(&e))?;
        // SAFETY: the band borrows its open dataset; the error state is a number of this thread.
        let (result, failed) = unsafe {
            gdal_sys::CPLErrorReset();
            let result = gdal_sys::GDALFlushRasterCache(band.c_rasterband());
            (result, gdal_sys::CPLGetLastErrorType() >= CPLErr::CE_Failure)
        };
        if result != CPLErr::CE_None || failed {
            return Err(last_error());
        }
    }
    Ok(())
}

/// What GDAL said on this thread during a call.
#[derive(Debug)]
pub(super) struct Message {
    class: CPLErr::Type,
    number: c_int,
    text: CString,
}

impl Message {
    /// The text on one line.
    pub(super) fn line(&self) -> String {
        self.text.to_string_lossy().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The text on one line, when it tells of a failure and not of something odd.
    pub(super) fn failure(&self) -> Option<String> {
        (self.class >= CPLErr::CE_Failure).then(|| self.line())
    }

    /// Passes the message on to whoever else listens.
    pub(super) fn repeat(&self) {
        // SAFETY: the format takes one string, which is NUL-terminated and outlives the call. A fatal
        // message would have ended the process before it came here.
        unsafe { gdal_sys::CPLError(self.class, self.number, c"%s".as_ptr(), self.text.as_ptr()) }
    }
}

/// Most messages kept of one call: a full disk makes one for every block.
const MOST_MESSAGES: usize = 64;

/// Runs `call` and keeps what GDAL says on this thread meanwhile, instead of passing it to the handler of the process.
///
/// Some of GDAL's functions claim success or set the error state back after a failure; nothing is lost on one who
/// listens. What GDAL says on threads of its own is not heard here.
pub(super) fn listen<R>(call: impl FnOnce() -> R) -> (R, Vec<Message>) {
    unsafe extern "C" fn hear(class: CPLErr::Type, number: c_int, text: *const c_char) {
        // SAFETY: handlers are called on the thread that pushed them, here while `listen` keeps the list
        // alive; the text is NUL-terminated.
        let (heard, text) = unsafe {
            let heard = gdal_sys::CPLGetErrorHandlerUserData().cast::<RefCell<Vec<Message>>>();
            (&*heard, CStr::from_ptr(text))
        };
        if let Ok(mut heard) = heard.try_borrow_mut()
            && (heard.len() < MOST_MESSAGES || heard.iter().all(|m| m.class < CPLErr::CE_Failure))
        {
            heard.push(Message { class, number, text: text.to_owned() });
        }
    }
    struct Pop;
    impl Drop for Pop {
        fn drop(&mut self) {
            // SAFETY: takes the handler away that was pushed by this thread below.
            unsafe { gdal_sys::CPLPopErrorHandler() }
        }
    }
    let heard = RefCell::new(Vec::new());
    // SAFETY: the list outlives the handler, which `Pop` takes away before it, also when `call` panics. Debug
    // messages go where they went before.
    let pop = unsafe {
        gdal_sys::CPLPushErrorHandlerEx(Some(hear), (&raw const heard).cast_mut().cast());
        gdal_sys::CPLSetCurrentErrorHandlerCatchDebug(0);
        Pop
    };
    let result = call();
    drop(pop);
    (result, heard.into_inner())
}

/// GDAL's general image transformer, together with the dataset it reads.
pub(super) struct Transformer {
    handle: *mut c_void,
    dataset: Dataset,
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
        Ok(Self { handle, dataset, _not_send: PhantomData })
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

impl Transformer {
    /// The grid in the coordinates that keeps the resolution of the dataset and holds all of it: its geotransform, columns and rows.
    ///
    /// # Errors
    /// GDAL's reason.
    pub(super) fn suggested(&mut self) -> Result<([f64; 6], (usize, usize)), String> {
        let (mut geotransform, mut extent) = ([0.0; 6], [0.0; 4]);
        let (mut columns, mut rows): (c_int, c_int) = (0, 0);
        // SAFETY: the handle is live and was made for this dataset by the function that belongs to the transformer named here; the
        // arrays have the lengths that GDAL documents.
        let result = unsafe {
            gdal_sys::CPLErrorReset();
            gdal_sys::GDALSuggestedWarpOutput2(
                self.dataset.c_dataset(),
                Some(gdal_sys::GDALGenImgProjTransform),
                self.handle,
                geotransform.as_mut_ptr(),
                &raw mut columns,
                &raw mut rows,
                extent.as_mut_ptr(),
                0,
            )
        };
        match (usize::try_from(columns), usize::try_from(rows)) {
            (Ok(columns), Ok(rows)) if result == CPLErr::CE_None && columns > 0 && rows > 0 => {
                Ok((geotransform, (columns, rows)))
            }
            _ => Err(last_error()),
        }
    }
}

impl Drop for Transformer {
    fn drop(&mut self) {
        // SAFETY: the handle came from the matching create call and is destroyed once, before the dataset.
        unsafe { gdal_sys::GDALDestroyGenImgProjTransformer(self.handle) }
    }
}
