//! Which of PNG's colour types holds a picture exactly in the fewest bytes.
//!
//! - 256 colours or fewer: a palette (or plain grey levels, when these need no more bits), 1 to 8 bits deep.
//! - Otherwise grey or RGB, with an alpha channel only when some pixel is not opaque.
//! - The colour of fully transparent pixels cannot be seen: it becomes black.
//!
//! Colours are counted until the 257th, which in imagery comes within the first rows.

use super::PngOptions;
use crate::encode::{Colour, Picture, Plane, Rgba};
use crate::window::Size;

/// Pixels that are expanded to colours at once.
const CHUNK: usize = 64;

/// Colour type of a PNG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum ColourType {
    Gray = 0,
    Rgb = 2,
    Indexed = 3,
    GrayAlpha = 4,
    Rgba = 6,
}

impl ColourType {
    /// Samples per pixel.
    pub(super) const fn channels(self) -> usize {
        match self {
            Self::Gray | Self::Indexed => 1,
            Self::GrayAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }
}

/// Memory that pictures are laid out in when their own does not do.
#[derive(Default)]
pub(super) struct Scratch {
    bytes: Vec<u8>,
    colours: Colours,
    /// Of each pixel's colour, in the order of appearance.
    numbers: Vec<u8>,
    palette: Vec<Rgba>,
}

/// A picture as PNG stores it, before filtering.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout<'a> {
    pub(super) colour_type: ColourType,
    /// Bits per sample: 1, 2, 4 or 8.
    pub(super) depth: u8,
    /// Columns.
    pub(super) width: usize,
    /// Rows.
    pub(super) height: usize,
    rows: Plane<'a>,
    /// Colours of [`ColourType::Indexed`], those that are not opaque first.
    pub(super) palette: &'a [Rgba],
}

impl<'a> Layout<'a> {
    /// Finds the layout of a picture that [`Picture::check`] has passed.
    pub(super) fn new(picture: &Picture<'a>, options: PngOptions, scratch: &'a mut Scratch) -> Self {
        let &Picture { width, height, .. } = picture;
        // Whole rows at a time: the search for the first exception would not vectorise.
        let is_opaque = |row: &[u8]| row.iter().fold(255, |all, &alpha| all & alpha) == 255;
        let alpha = picture.alpha.filter(|a| !(0..height).all(|y| is_opaque(a.row(y, width))));
        let picture = Picture { alpha, ..*picture };
        scratch.bytes.clear();
        scratch.numbers.clear();
        scratch.palette.clear();
        let of =
            |colour_type, depth, rows, palette| Layout { colour_type, depth, width, height, rows, palette };

        if options.alpha {
            let colour_type =
                if picture.colour == Colour::Gray { ColourType::GrayAlpha } else { ColourType::Rgba };
            return of(colour_type, 8, with_alpha(&picture, colour_type, &mut scratch.bytes), &[]);
        }
        if picture.colour == Colour::Gray && alpha.is_none() && has_many_levels(&picture) {
            return of(ColourType::Gray, 8, picture.samples, &[]);
        }
        if options.truecolour && picture.colour == Colour::Rgb && alpha.is_none() {
            return of(ColourType::Rgb, 8, picture.samples, &[]);
        }
        let found = scratch.colours.collect(&picture, &mut scratch.numbers);
        if !matches!(found, Numbers::TooMany) {
            let (colour_type, depth, numbers) = scratch.colours.number(&mut scratch.palette);
            if matches!(found, Numbers::OfSamples) {
                let numbers: [u8; 256] = std::array::from_fn(|v| numbers[usize::from(scratch.numbers[v])]);
                for y in 0..height {
                    pack_row(picture.samples.row(y, width), &numbers, depth, &mut scratch.bytes);
                }
            } else {
                for row in scratch.numbers.chunks_exact(width) {
                    pack_row(row, &numbers, depth, &mut scratch.bytes);
                }
            }
            let stride = (width * usize::from(depth)).div_ceil(8);
            return of(colour_type, depth, Plane { bytes: &scratch.bytes, stride }, &scratch.palette);
        }
        if picture.colour == Colour::Rgb && alpha.is_none() {
            return of(ColourType::Rgb, 8, picture.samples, &[]);
        }
        let mut gray = true;
        for_each_chunk(&picture, |chunk| {
            gray = gray && chunk.iter().all(|&colour| is_gray(colour));
            gray
        });
        let colour_type = if gray { ColourType::GrayAlpha } else { ColourType::Rgba };
        of(colour_type, 8, with_alpha(&picture, colour_type, &mut scratch.bytes), &[])
    }

    /// Samples as they are, 8 bits each.
    pub(super) fn plain(size: Size, colour_type: ColourType, samples: &'a [u8], palette: &'a [Rgba]) -> Self {
        let rows = Plane { bytes: samples, stride: size.width * colour_type.channels() };
        Layout { colour_type, depth: 8, width: size.width, height: size.height, rows, palette }
    }

    /// Bytes of a row.
    pub(super) fn row_bytes(&self) -> usize {
        (self.width * self.colour_type.channels() * usize::from(self.depth)).div_ceil(8)
    }

    /// The bytes of a row.
    pub(super) fn row(&self, row: usize) -> &'a [u8] {
        self.rows.row(row, self.row_bytes())
    }

    /// Bytes from a pixel to its neighbour, as filters count them.
    pub(super) fn pixel_bytes(&self) -> usize {
        (self.colour_type.channels() * usize::from(self.depth)).div_ceil(8)
    }
}

/// A colour: red in the lowest byte, alpha in the highest. All fully transparent colours are 0.
type Packed = u32;

const fn pack(colour: Rgba) -> Packed {
    if colour[3] == 0 { 0 } else { u32::from_le_bytes(colour) }
}

const fn is_gray(colour: Packed) -> bool {
    let [r, g, b, _] = colour.to_le_bytes();
    r == g && g == b
}

const fn is_opaque(colour: Packed) -> bool {
    colour >> 24 == 255
}

/// The colours of a table, padded with transparent black to the range of an index.
fn lookup(colour: &Colour<'_>) -> [Packed; 256] {
    std::array::from_fn(|i| match colour {
        Colour::Palette(table) => table.get(i).copied().map_or(0, pack),
        _ => pack([i as u8, i as u8, i as u8, 255]),
    })
}

/// Hands the colours of a picture to `f` in order, some at a time; stops when it returns false.
fn for_each_chunk(picture: &Picture<'_>, mut f: impl FnMut(&[Packed]) -> bool) {
    let table = lookup(&picture.colour);
    let mut chunk = [0; CHUNK];
    for y in 0..picture.height {
        let samples = picture.samples.row(y, picture.width * picture.colour.bytes());
        let alpha = picture.alpha.map(|plane| plane.row(y, picture.width));
        for x in (0..picture.width).step_by(CHUNK) {
            let chunk = &mut chunk[..CHUNK.min(picture.width - x)];
            match picture.colour {
                Colour::Rgb => {
                    for (colour, rgb) in chunk.iter_mut().zip(samples[3 * x..].chunks_exact(3)) {
                        *colour = u32::from_le_bytes([rgb[0], rgb[1], rgb[2], 255]);
                    }
                }
                Colour::Gray | Colour::Palette(_) => {
                    for (colour, &index) in chunk.iter_mut().zip(&samples[x..]) {
                        *colour = table[usize::from(index)];
                    }
                }
            }
            if let Some(alpha) = alpha {
                for (colour, &alpha) in chunk.iter_mut().zip(&alpha[x..]) {
                    let [r, g, b, own] = colour.to_le_bytes();
                    *colour = pack([r, g, b, scale(own, alpha)]);
                }
            }
            if !f(chunk) {
                return;
            }
        }
    }
}

/// The pixels of a picture as grey with alpha, or as RGB with alpha.
fn with_alpha<'a>(picture: &Picture<'_>, colour_type: ColourType, bytes: &'a mut Vec<u8>) -> Plane<'a> {
    let stride = picture.width * colour_type.channels();
    bytes.reserve(stride * picture.height);
    for_each_chunk(picture, |chunk| {
        if colour_type == ColourType::GrayAlpha {
            bytes.extend(chunk.iter().flat_map(|colour| [colour.to_le_bytes()[0], colour.to_le_bytes()[3]]));
        } else {
            bytes.extend(chunk.iter().flat_map(|colour| colour.to_le_bytes()));
        }
        true
    });
    Plane { bytes, stride }
}

/// Product of two alphas, rounded.
fn scale(a: u8, b: u8) -> u8 {
    ((u32::from(a) * u32::from(b) + 127) / 255) as u8
}

/// Whether a grey picture has more levels than fit four bits.
fn has_many_levels(picture: &Picture<'_>) -> bool {
    let mut used = [0u8; 256];
    (0..picture.height).any(|y| {
        for &level in picture.samples.row(y, picture.width) {
            used[usize::from(level)] = 1;
        }
        used.iter().map(|&used| u16::from(used)).sum::<u16>() > 16
    })
}

/// What the numbers of colours are listed for.
enum Numbers {
    /// There are more colours than fit a palette.
    TooMany,
    /// Each pixel, in order.
    OfPixels,
    /// Each of the 256 values that a sample may have.
    OfSamples,
}

/// A set of up to 256 colours, numbered as they come.
#[derive(Default)]
struct Colours {
    /// Hash table of colours with their numbers.
    slots: Vec<(Packed, u8)>,
    colours: Vec<Packed>,
}

impl Colours {
    /// Many for 256 colours: a collision costs more than a reset.
    const SLOTS: usize = 4096;
    /// No colour: it is fully transparent, but not 0.
    const FREE: Packed = 0x00ff_ffff;

    /// The number of a colour, new or known. `None` when it is one too many.
    #[inline]
    fn insert(&mut self, colour: Packed) -> Option<u8> {
        // Multiplicative hashing by the golden ratio.
        let mut slot = (colour.wrapping_mul(0x9e37_79b9) >> 20) as usize;
        loop {
            let (there, number) = self.slots[slot];
            if there == colour {
                return Some(number);
            }
            if there == Self::FREE {
                let number = u8::try_from(self.colours.len()).ok()?;
                self.slots[slot] = (colour, number);
                self.colours.push(colour);
                return Some(number);
            }
            slot = (slot + 1) % Self::SLOTS;
        }
    }

    /// Makes this the set of a picture's colours, and appends their numbers.
    fn collect(&mut self, picture: &Picture<'_>, numbers: &mut Vec<u8>) -> Numbers {
        self.slots.clear();
        self.slots.resize(Self::SLOTS, (Self::FREE, 0));
        self.colours.clear();
        if picture.colour.bytes() == 1 && picture.alpha.is_none() {
            return self.collect_samples(picture, numbers);
        }
        let mut few = true;
        for_each_chunk(picture, |chunk| {
            let mut found = [0; CHUNK];
            for (number, &colour) in found.iter_mut().zip(chunk) {
                let Some(known) = self.insert(colour) else {
                    few = false;
                    return false;
                };
                *number = known;
            }
            numbers.extend(&found[..chunk.len()]);
            true
        });
        if few { Numbers::OfPixels } else { Numbers::TooMany }
    }

    /// The same where each sample stands for a colour.
    fn collect_samples(&mut self, picture: &Picture<'_>, numbers: &mut Vec<u8>) -> Numbers {
        let mut used = [false; 256];
        for y in 0..picture.height {
            for &sample in picture.samples.row(y, picture.width) {
                used[usize::from(sample)] = true;
            }
        }
        for (colour, used) in lookup(&picture.colour).into_iter().zip(used) {
            // At most 256 colours: each has a number.
            numbers.push(if used { self.insert(colour).unwrap_or(0) } else { 0 });
        }
        Numbers::OfSamples
    }

    /// Chooses what numbers mean in the file and how many bits they take; maps those given so far to those.
    /// The result depends on the colours alone: levels of grey, or a palette in which those that are not opaque
    /// come first, then from dark to bright.
    fn number(&self, palette: &mut Vec<Rgba>) -> (ColourType, u8, [u8; 256]) {
        let mut numbers = [0; 256];
        let indexed = match self.colours.len() {
            0..=2 => 1,
            3..=4 => 2,
            5..=16 => 4,
            _ => 8,
        };
        if self.colours.iter().all(|&colour| is_opaque(colour) && is_gray(colour)) {
            // A depth holds the levels that are multiples of the white level over its greatest number.
            let step = |depth: u8| 255 / ((1 << depth) - 1);
            let fits = |&depth: &u8| self.colours.iter().all(|&colour| (colour & 255) % step(depth) == 0);
            if let Some(depth) = [1, 2, 4, 8].into_iter().find(fits).filter(|&depth| depth <= indexed) {
                for (number, &colour) in numbers.iter_mut().zip(&self.colours) {
                    *number = ((colour & 255) / step(depth)) as u8;
                }
                return (ColourType::Gray, depth, numbers);
            }
        }
        let mut order: Vec<(Packed, u8)> = self.colours.iter().copied().zip(0..=255).collect();
        order.sort_unstable_by_key(|&(colour, _)| {
            let [r, g, b, a] = colour.to_le_bytes().map(u32::from);
            // Luma of ITU-R BT.601, in thousandths.
            (a == 255, 299 * r + 587 * g + 114 * b, colour)
        });
        for (&(colour, old), new) in order.iter().zip(0..=255) {
            numbers[usize::from(old)] = new;
            palette.push(colour.to_le_bytes());
        }
        (ColourType::Indexed, indexed, numbers)
    }
}

/// Appends a row of numbers of `depth` bits, padded to whole bytes.
fn pack_row(row: &[u8], numbers: &[u8; 256], depth: u8, out: &mut Vec<u8>) {
    match depth {
        1 => pack_pixels::<8>(row, numbers, out),
        2 => pack_pixels::<4>(row, numbers, out),
        4 => pack_pixels::<2>(row, numbers, out),
        _ => out.extend(row.iter().map(|&old| numbers[usize::from(old)])),
    }
}

/// Appends a row of numbers, `N` to a byte, the first highest.
fn pack_pixels<const N: usize>(row: &[u8], numbers: &[u8; 256], out: &mut Vec<u8>) {
    let bits = 8 / N;
    let append = |byte: u32, old: &u8| byte << bits | u32::from(numbers[usize::from(*old)]);
    let (whole, rest) = row.as_chunks::<N>();
    out.extend(whole.iter().map(|pixels| pixels.iter().fold(0, append) as u8));
    if !rest.is_empty() {
        out.push((rest.iter().fold(0, append) << (bits * (N - rest.len()))) as u8);
    }
}
