//! The calls into libjpeg-turbo, through its `TurboJPEG` interface. All `unsafe` of JPEG stands here.
//!
//! The system's library is linked, not a copy of our own: libgdal and libtiff use the system's libjpeg, and the
//! functions of a second one in the program would take the place of theirs. `TurboJPEG`'s own functions are versioned
//! and unchanged since libjpeg-turbo 1.2.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_uchar, c_ulong, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::encode::Plane;
use crate::error::{Error, Result};

/// Longest side of a JPEG.
pub(super) const MOST: usize = 65_500;

/// `TJPF_RGB` and `TJPF_GRAY`.
const RGB: c_int = 0;
const GRAY: c_int = 6;
/// `TJSAMP_420` and `TJSAMP_GRAY`.
const HALVED_CHROMA: c_int = 2;
const NO_CHROMA: c_int = 3;
/// `TJFLAG_NOREALLOC`: the output has to fit the buffer it is given.
const NO_REALLOC: c_int = 1024;
/// `TJFLAG_ACCURATEDCT`: the exact integer transform, the default of libjpeg and of GDAL, and the same bytes whatever
/// version of the library and instructions of the processor.
const ACCURATE_DCT: c_int = 4096;

// Declared in `turbojpeg.h`; the library is named by the build script.
unsafe extern "C" {
    fn tjInitCompress() -> *mut c_void;
    fn tjDestroy(handle: *mut c_void) -> c_int;
    fn tjBufSize(width: c_int, height: c_int, subsampling: c_int) -> c_ulong;
    fn tjGetErrorStr2(handle: *mut c_void) -> *mut c_char;
    fn tjCompress2(
        handle: *mut c_void,
        source: *const c_uchar,
        width: c_int,
        pitch: c_int,
        height: c_int,
        pixel_format: c_int,
        jpeg: *mut *mut c_uchar,
        jpeg_size: *mut c_ulong,
        subsampling: c_int,
        quality: c_int,
        flags: c_int,
    ) -> c_int;
}

/// A compressor, to be used by one thread.
pub(super) struct Compressor {
    handle: NonNull<c_void>,
    buffer: Vec<u8>,
    _one_thread: PhantomData<*mut ()>,
}

impl Compressor {
    /// A compressor.
    ///
    /// # Errors
    /// When the library has no memory.
    pub(super) fn new() -> Result<Self> {
        // SAFETY: takes nothing; null means failure.
        let handle = NonNull::new(unsafe { tjInitCompress() });
        let handle = handle.ok_or_else(|| Error::Memory("no memory for a JPEG compressor".to_owned()))?;
        Ok(Self { handle, buffer: Vec::new(), _one_thread: PhantomData })
    }

    /// Appends a JPEG of grey or RGB `pixels` to `out`.
    ///
    /// # Errors
    /// The library's reason.
    pub(super) fn compress(
        &mut self,
        (width, height): (usize, usize),
        gray: bool,
        pixels: Plane<'_>,
        quality: u8,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let (format, chroma, bytes) = if gray { (GRAY, NO_CHROMA, 1) } else { (RGB, HALVED_CHROMA, 3) };
        let refused = || Error::Internal(format!("a JPEG of {width} × {height} pixels"));
        let needed =
            pixels.stride.checked_mul(height.saturating_sub(1)).and_then(|n| n.checked_add(width * bytes));
        let fits = width.clamp(1, MOST) == width && height.clamp(1, MOST) == height;
        if !fits || pixels.stride < width * bytes || needed.is_none_or(|n| pixels.bytes.len() < n) {
            return Err(refused());
        }
        let pitch = c_int::try_from(pixels.stride).map_err(|_| refused())?;
        let (width, height) = (width as c_int, height as c_int);
        // SAFETY: plain numbers within the range the function knows.
        let most = unsafe { tjBufSize(width, height, chroma) };
        let most = usize::try_from(most).ok().filter(|n| isize::try_from(*n).is_ok()).ok_or_else(refused)?;
        if self.buffer.len() < most {
            self.buffer.resize(most, 0);
        }
        let mut start = self.buffer.as_mut_ptr();
        let mut size = self.buffer.len() as c_ulong;
        // SAFETY: the handle is alive and ours alone. `pixels` holds `height` rows of `width` pixels that begin `pitch`
        // bytes apart, as checked above. The buffer is as large as any JPEG of that size can be, its size is in `size`,
        // and the library is told not to replace it; it writes nowhere else but to `start` and `size`.
        let status = unsafe {
            tjCompress2(
                self.handle.as_ptr(),
                pixels.bytes.as_ptr(),
                width,
                pitch,
                height,
                format,
                &raw mut start,
                &raw mut size,
                chroma,
                c_int::from(quality),
                NO_REALLOC | ACCURATE_DCT,
            )
        };
        let jpeg = usize::try_from(size).ok().and_then(|n| self.buffer.get(..n));
        match jpeg {
            Some(jpeg) if status == 0 => {
                out.extend_from_slice(jpeg);
                Ok(())
            }
            _ => Err(Error::Internal(format!("libjpeg-turbo: {}", self.reason()))),
        }
    }

    /// Why the last call failed.
    fn reason(&self) -> String {
        // SAFETY: the handle is alive; the text belongs to it, ends with a zero, and is copied before any other call.
        let text = unsafe { CStr::from_ptr(tjGetErrorStr2(self.handle.as_ptr())) };
        text.to_string_lossy().into_owned()
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: the handle is alive and is not used again.
        unsafe { tjDestroy(self.handle.as_ptr()) };
    }
}
