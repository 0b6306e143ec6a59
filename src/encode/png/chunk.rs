//! The chunks of a PNG file: length, name, data, checksum.

use super::layout::{ColourType, Layout};
use crate::error::{Error, Result};

/// What every PNG starts with.
const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];

/// Longest data of a chunk.
const LONGEST: usize = (1 << 31) - 1;

/// Appends a chunk, the data of which `write` appends.
pub(super) fn chunk(
    name: [u8; 4],
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    let start = out.len();
    out.extend([0; 4]);
    out.extend(name);
    write(out)?;
    let len = out.len() - start - 8;
    if len > LONGEST {
        return Err(Error::Internal(format!("a PNG chunk of {len} bytes")));
    }
    out[start..start + 4].copy_from_slice(&(len as u32).to_be_bytes());
    let checksum = libdeflater::crc32(&out[start + 4..]);
    out.extend(checksum.to_be_bytes());
    Ok(())
}

/// Appends a chunk with the given data.
fn short(name: [u8; 4], data: impl IntoIterator<Item = u8>, out: &mut Vec<u8>) -> Result<()> {
    chunk(name, out, |out| {
        out.extend(data);
        Ok(())
    })
}

/// Appends all that comes before the pixels.
pub(super) fn begin(layout: &Layout<'_>, out: &mut Vec<u8>) -> Result<()> {
    out.extend(SIGNATURE);
    let mut header = [0; 13];
    header[..4].copy_from_slice(&(layout.width as u32).to_be_bytes());
    header[4..8].copy_from_slice(&(layout.height as u32).to_be_bytes());
    header[8] = layout.depth;
    header[9] = layout.colour_type as u8;
    short(*b"IHDR", header, out)?;
    if layout.colour_type == ColourType::Indexed {
        short(*b"PLTE", layout.palette.iter().flat_map(|&[r, g, b, _]| [r, g, b]), out)?;
        let translucent = layout.palette.iter().take_while(|colour| colour[3] < 255);
        if translucent.clone().next().is_some() {
            short(*b"tRNS", translucent.map(|colour| colour[3]), out)?;
        }
    }
    Ok(())
}

/// Appends all that comes after the pixels.
pub(super) fn end(out: &mut Vec<u8>) -> Result<()> {
    short(*b"IEND", [], out)
}
