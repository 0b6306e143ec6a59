//! The tile set that is updated, as pixels: what is not made anew shows what it showed.

use std::cell::RefCell;
use std::io::Cursor;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::Array2;

use crate::block::{
    Assembly, Block, Sample, SampleType, Samples, Validity, interleaved_array, interleaved_slice_mut,
};
use crate::encode::TileFormat;
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::store::{About, Opener, TileStore};
use crate::window::{Size, Window};

/// Bands of the pictures that tiles are taken for.
pub(super) const BANDS: usize = 3;

/// The tiles of a set, to be decoded by any thread; each opens the set for itself.
#[derive(Debug)]
pub struct Backdrop {
    opener: Opener,
    about: About,
    /// Tells this set from those that a thread had open before.
    number: u64,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static STORE: RefCell<Option<(u64, Box<dyn TileStore>)>> = const { RefCell::new(None) };
}

impl Backdrop {
    /// The tiles of an open set.
    pub fn new(store: &dyn TileStore) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self { opener: store.opener(), about: store.about().clone(), number }
    }

    /// What is known of the set.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The bytes of a tile; `None` where the set has none.
    ///
    /// # Errors
    /// [`Error::Input`] when the set cannot be read.
    pub fn bytes(&self, tile: TileCoord) -> Result<Option<Vec<u8>>> {
        STORE.with_borrow_mut(|open| {
            let store = match open {
                Some((number, store)) if *number == self.number => store,
                _ => &mut open.insert((self.number, self.opener.open()?)).1,
            };
            store.tile(tile)
        })
    }

    /// The picture of a tile; `None` where the set has none.
    ///
    /// # Errors
    /// [`Error::Input`] naming the tile when it cannot be read or decoded.
    pub fn tile(&self, tile: TileCoord) -> Result<Option<Block>> {
        let Some(bytes) = self.bytes(tile)? else { return Ok(None) };
        self.about.check(tile, &bytes)?;
        let refused =
            |why: String| Error::input(&self.about.path, format!("tile {tile} cannot be decoded: {why}"));
        let pixels = rgba(&bytes, self.about.picture.format).map_err(refused)?;
        let side = self.about.picture.width as usize;
        let window = tile.window(side);
        block(window, &pixels)
            .map(Some)
            .ok_or_else(|| refused("it has another size than its header says".to_owned()))
    }

    /// What the tiles inside a window of their level show, under pixels made anew.
    ///
    /// # Errors
    /// Those of [`Backdrop::tile`].
    pub fn under(&self, z: u8, window: Window, made: Option<Block>) -> Result<Option<Block>> {
        let side = self.about.picture.width as i64;
        let mut below = Assembly::uncovered(window, SampleType::U8, BANDS);
        let mut found = false;
        let last = (1i64 << z) * side;
        for y in (window.y.max(0)..window.bottom().min(last)).step_by(side as usize) {
            for x in (window.x.max(0)..window.right().min(last)).step_by(side as usize) {
                let tile = TileCoord::new(z, (x / side) as u32, (y / side) as u32);
                // Where all is made anew nothing shows through.
                let hidden = made.as_ref().and_then(|m| m.crop(&tile.window(side as usize)));
                if hidden.is_some_and(|part| part.validity == Validity::All) {
                    continue;
                }
                if let Some(old) = self.tile(tile)? {
                    found |= below.add(&old);
                }
            }
        }
        match (made, found) {
            (made, false) => Ok(made),
            (None, true) => Ok(below.finish()),
            (Some(made), true) => Ok(below.finish().map(|below| over(&made, below))),
        }
    }
}

/// Red, green, blue and alpha of every pixel.
fn rgba(bytes: &[u8], format: TileFormat) -> Result<Vec<[u8; 4]>, String> {
    let (samples, channels) = match format {
        TileFormat::Png => png_samples(bytes)?,
        TileFormat::Jpeg => {
            let options = zune_jpeg::zune_core::options::DecoderOptions::default()
                .jpeg_set_out_colorspace(zune_jpeg::zune_core::colorspace::ColorSpace::RGB);
            let mut decoder = zune_jpeg::JpegDecoder::new_with_options(Cursor::new(bytes), options);
            (decoder.decode().map_err(|e| e.to_string())?, 3)
        }
        TileFormat::Webp => {
            let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
            let size = decoder.output_buffer_size().ok_or("it is too large")?;
            let mut samples = vec![0; size];
            decoder.read_image(&mut samples).map_err(|e| e.to_string())?;
            (samples, if decoder.has_alpha() { 4 } else { 3 })
        }
        TileFormat::Tiff => return Err("it holds values, not a picture".to_owned()),
    };
    let pixel = |s: &[u8]| match *s {
        [v] => [v, v, v, 255],
        [v, a] => [v, v, v, a],
        [r, g, b] => [r, g, b, 255],
        _ => [s[0], s[1], s[2], s[3]],
    };
    Ok(samples.chunks_exact(channels).map(pixel).collect())
}

/// The samples of a PNG, and how many a pixel has.
fn png_samples(bytes: &[u8]) -> Result<(Vec<u8>, usize), String> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let mut samples = vec![0; reader.output_buffer_size().ok_or("it is too large")?];
    let info = reader.next_frame(&mut samples).map_err(|e| e.to_string())?;
    if info.bit_depth != png::BitDepth::Eight {
        return Err("it has 16 bits".to_owned());
    }
    samples.truncate(info.buffer_size());
    Ok((samples, info.color_type.samples()))
}

fn block(window: Window, pixels: &[[u8; 4]]) -> Option<Block> {
    let samples = pixels.iter().flat_map(|[r, g, b, _]| [*r, *g, *b]).collect();
    let alpha = pixels.iter().map(|p| p[3]).collect();
    let array = interleaved_array(samples, BANDS, window.size())?;
    let plane = Array2::from_shape_vec((window.height, window.width), alpha).ok()?;
    Some(Block { window, samples: Samples::U8(array), validity: Validity::PerPixel(plane).simplified() })
}

/// One picture over another of the same window: by Porter and Duff's *over* (1984), colours unpremultiplied and rounded.
fn over(above: &Block, mut below: Block) -> Block {
    let Size { width, height } = below.window.size();
    let mut alpha = match std::mem::replace(&mut below.validity, Validity::All) {
        Validity::PerPixel(plane) => plane,
        Validity::All => Array2::from_elem((height, width), 255),
    };
    let top = u8::unwrap(&above.samples).map(crate::block::to_interleaved).unwrap_or_default();
    let covered = |k: usize| match &above.validity {
        Validity::All => 255,
        Validity::PerPixel(plane) => plane[(k / width, k % width)],
    };
    if let Some(colours) = u8::unwrap_mut(&mut below.samples).and_then(interleaved_slice_mut) {
        let pixels = colours.chunks_exact_mut(BANDS).zip(top.chunks_exact(BANDS)).zip(alpha.iter_mut());
        for (k, ((old, new), alpha)) in pixels.enumerate() {
            let cover = u32::from(covered(k));
            let rest = u32::from(*alpha) * (255 - cover);
            let whole = 255 * cover + rest;
            if cover == 0 || whole == 0 {
                continue;
            }
            for (old, new) in old.iter_mut().zip(new) {
                let sum = 255 * cover * u32::from(*new) + rest * u32::from(*old);
                *old = ((sum + whole / 2) / whole) as u8;
            }
            *alpha = ((whole + 127) / 255) as u8;
        }
    }
    below.validity = Validity::PerPixel(alpha).simplified();
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(pixels: &[[u8; 4]]) -> Block {
        block(Window::new(0, 0, pixels.len(), 1), pixels).expect("fits")
    }

    #[test]
    fn what_is_opaque_hides_and_what_is_transparent_shows_what_lies_below() {
        let above = row(&[[1, 2, 3, 255], [9, 9, 9, 0], [100, 0, 0, 128], [100, 0, 0, 128]]);
        let below = row(&[[50, 50, 50, 255], [4, 5, 6, 77], [200, 0, 0, 255], [0, 0, 0, 0]]);
        let expected = row(&[[1, 2, 3, 255], [4, 5, 6, 77], [150, 0, 0, 255], [100, 0, 0, 128]]);
        assert_eq!(over(&above, below), expected);
    }
}
