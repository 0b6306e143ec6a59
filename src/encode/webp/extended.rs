//! The extended file format of WebP, for lossy pictures whose alpha hides nothing
//! (<https://developers.google.com/speed/webp/docs/riff_container>).

use super::lossless;
use crate::encode::pixels::Pixels;
use crate::encode::{Colour, Picture, Plane};
use crate::error::{Error, Result};

/// Bytes before the chunks of a file.
const RIFF: usize = 12;

/// Bytes of the header of a lossless picture, which an alpha chunk lacks.
const SIGNATURE: usize = 5;

/// An alpha plane of opaque pixels as a file stores it, made once for pictures of a size.
#[derive(Debug, Default)]
pub(super) struct Opacity {
    size: (usize, usize),
    payload: Vec<u8>,
}

impl Opacity {
    /// The payload of the alpha chunk: how it is compressed, then the green channel of a lossless picture.
    fn payload(&mut self, size: (usize, usize)) -> Result<&[u8]> {
        if self.size != size || self.payload.is_empty() {
            let (width, height) = size;
            let row = vec![255; width];
            let samples = Plane { bytes: &row, stride: 0 };
            let picture = Picture { width, height, colour: Colour::Gray, samples, alpha: None };
            let (mut unused, mut packed, mut file) = (Vec::new(), Vec::new(), Vec::new());
            lossless(&Pixels::of(&picture, &mut unused), &mut packed, &mut file)?;
            let stream = chunk(&file, *b"VP8L").and_then(|chunk| chunk.get(SIGNATURE..));
            let stream =
                stream.ok_or_else(|| Error::Internal("a lossless WebP without pixels".to_owned()))?;
            self.payload = [&[LOSSLESS], stream].concat();
            self.size = size;
        }
        Ok(&self.payload)
    }
}

/// An alpha chunk without filter or quantisation, compressed like a lossless picture.
const LOSSLESS: u8 = 1;

/// The flag of a file that has alpha.
const HAS_ALPHA: u8 = 0x10;

/// Appends a lossy file with an alpha plane of opaque pixels added.
pub(super) fn add_alpha(
    lossy: &[u8],
    (width, height): (usize, usize),
    opacity: &mut Opacity,
    out: &mut Vec<u8>,
) -> Result<()> {
    let frame = chunk(lossy, *b"VP8 ");
    let frame = frame.ok_or_else(|| Error::Internal("a lossy WebP without pixels".to_owned()))?;
    let alpha = opacity.payload((width, height))?;
    let mut header = vec![HAS_ALPHA, 0, 0, 0];
    for side in [width, height] {
        header.extend(&(side as u32 - 1).to_le_bytes()[..3]);
    }
    let chunks = [(*b"VP8X", &header[..]), (*b"ALPH", alpha), (*b"VP8 ", frame)];
    let size: usize = chunks.iter().map(|(_, payload)| 8 + payload.len().next_multiple_of(2)).sum();
    out.extend(b"RIFF");
    out.extend((size as u32 + 4).to_le_bytes());
    out.extend(b"WEBP");
    for (name, payload) in chunks {
        out.extend(name);
        out.extend((payload.len() as u32).to_le_bytes());
        out.extend(payload);
        out.extend((payload.len() % 2 == 1).then_some(0));
    }
    Ok(())
}

/// The payload of the first chunk of a file, when that has the name.
fn chunk(file: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    let (found, rest) = file.get(RIFF..)?.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    (*found == name).then(|| rest.get(..u32::from_le_bytes(*length) as usize)).flatten()
}
