//! The calls into libwebp. All `unsafe` of WebP stands here.
//!
//! The system's library is linked, the one libgdal uses: a second one in the program would take its functions' place.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::slice;

use libwebp_sys::{WebPConfig, WebPEncCSP, WebPEncode, WebPPicture};

use super::WebpOptions;
use super::yuv::Planes;
use crate::error::{Error, Result};

/// Longest side of a WebP.
pub(super) const MOST: usize = 16_383;

/// Appends a lossy WebP of `planes` to `out`. Samples that cannot be seen may be changed on the way.
///
/// # Errors
/// The library's reason.
pub(super) fn compress(planes: &mut Planes, options: WebpOptions, out: &mut Vec<u8>) -> Result<()> {
    let config = config(options)?;
    let (width, height) = (planes.width, planes.height);
    let (columns, rows) = planes.halved();
    let alpha = !planes.alpha.is_empty();
    let complete = planes.luma.len() == width * height
        && planes.blue.len() == columns * rows
        && planes.red.len() == columns * rows
        && (!alpha || planes.alpha.len() == width * height);
    if !complete || width.clamp(1, MOST) != width || height.clamp(1, MOST) != height {
        return Err(Error::Internal(format!("a WebP of {width} × {height} pixels")));
    }
    let incompatible = |()| Error::Internal("libwebp is of an incompatible version".to_owned());
    let mut picture = WebPPicture::new().map_err(incompatible)?;
    picture.width = width as c_int;
    picture.height = height as c_int;
    picture.y = planes.luma.as_mut_ptr();
    picture.u = planes.blue.as_mut_ptr();
    picture.v = planes.red.as_mut_ptr();
    picture.y_stride = width as c_int;
    picture.uv_stride = columns as c_int;
    if alpha {
        picture.colorspace = WebPEncCSP::WEBP_YUV420A;
        picture.a = planes.alpha.as_mut_ptr();
        picture.a_stride = width as c_int;
    }
    picture.writer = Some(append);
    picture.custom_ptr = std::ptr::from_mut(out).cast();
    let begun = out.len();
    // SAFETY: the configuration is valid. The picture's planes have the sizes and strides it says, as checked above,
    // belong to us alone and outlive the call, which neither frees nor replaces them: the picture owns no memory.
    // Its writer takes what `custom_ptr` points to, a `Vec<u8>` that nobody else uses meanwhile.
    let done = unsafe { WebPEncode(&raw const config, &raw mut picture) } != 0;
    if done {
        return Ok(());
    }
    out.truncate(begun);
    Err(Error::Internal(format!("libwebp: {:?}", picture.error_code)))
}

fn config(options: WebpOptions) -> Result<WebPConfig> {
    let incompatible = |()| Error::Internal("libwebp is of an incompatible version".to_owned());
    let mut config = WebPConfig::new().map_err(incompatible)?;
    config.quality = options.quality.into();
    if options.thorough {
        return Ok(config);
    }
    config.method = 2;
    config.sns_strength = 0;
    config.filter_strength = 100;
    Ok(config)
}

/// Appends what libwebp has made to the `Vec<u8>` in `custom_ptr`.
extern "C" fn append(bytes: *const u8, size: usize, picture: *const WebPPicture) -> c_int {
    // SAFETY: libwebp hands over `size` bytes of its own and the picture it was called with, whose `custom_ptr`
    // is the vector [`compress`] borrows for the time of the call.
    let (bytes, out) = unsafe {
        let out: *mut c_void = (*picture).custom_ptr;
        (slice::from_raw_parts(bytes, size), &mut *out.cast::<Vec<u8>>())
    };
    out.extend_from_slice(bytes);
    1
}
