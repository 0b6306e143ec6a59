//! Which of PNG's colour types holds a picture exactly in the fewest bytes.
//!
//! - 256 colours or fewer: a palette (or plain grey levels, when these need no more bits), 1 to 8 bits deep.
//! - Otherwise grey or RGB, with an alpha channel only when some pixel is not opaque.
//! - The colour of fully transparent pixels cannot be seen: it becomes black.
//!
//! Colours are counted until the 257th, which in imagery comes within the first rows.

use crate::encode::{Colour, Picture, Plane, Rgba};

/// Largest palette.
const PALETTE: usize = 256;
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
    /// Finds the layout of a picture that [`check`](super::check) has passed.
    pub(super) fn new(picture: &Picture<'a>, scratch: &'a mut Scratch) -> Self {
        let &Picture { width, height, .. } = picture;
        let alpha = picture.alpha.filter(|a| (0..height).any(|y| a.row(y, width).iter().any(|&v| v != 255)));
        let picture = Picture { alpha, ..*picture };
        scratch.bytes.clear();
        scratch.palette.clear();
        let of =
            |colour_type, depth, rows, palette| Layout { colour_type, depth, width, height, rows, palette };

        let mut colours = Colours::new();
        if colours.collect(&picture) {
            let (colour_type, depth) = colours.number(&mut scratch.palette);
            if colour_type == ColourType::Gray
                && depth == 8
                && picture.colour == Colour::Gray
                && alpha.is_none()
            {
                return of(colour_type, depth, picture.samples, &[]);
            }
            colours.map(&picture, depth, &mut scratch.bytes);
            let stride = (width * usize::from(depth)).div_ceil(8);
            return of(colour_type, depth, Plane { bytes: &scratch.bytes, stride }, &scratch.palette);
        }
        if picture.colour == Colour::Rgb && alpha.is_none() {
            return of(ColourType::Rgb, 8, picture.samples, &[]);
        }
        let mut gray = true;
        for_each_chunk(&picture, |_, chunk| {
            gray = gray && chunk.iter().all(|&colour| is_gray(colour));
            gray
        });
        let colour_type = if gray { ColourType::GrayAlpha } else { ColourType::Rgba };
        let stride = width * colour_type.channels();
        scratch.bytes.reserve(stride * height);
        for_each_chunk(&picture, |_, chunk| {
            if gray {
                scratch.bytes.extend(
                    chunk.iter().flat_map(|colour| [colour.to_le_bytes()[0], colour.to_le_bytes()[3]]),
                );
            } else {
                scratch.bytes.extend(chunk.iter().flat_map(|colour| colour.to_le_bytes()));
            }
            true
        });
        of(colour_type, 8, Plane { bytes: &scratch.bytes, stride }, &[])
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

/// Hands the colours of a picture to `f` in order, some at a time, none across rows, with the row they are in;
/// stops when it returns false.
fn for_each_chunk(picture: &Picture<'_>, mut f: impl FnMut(usize, &[Packed]) -> bool) {
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
            if !f(y, chunk) {
                return;
            }
        }
    }
}

/// Product of two alphas, rounded.
fn scale(a: u8, b: u8) -> u8 {
    ((u32::from(a) * u32::from(b) + 127) / 255) as u8
}

/// A set of up to 256 colours; once complete, each has a number.
struct Colours {
    /// Hash table of colours with their numbers.
    slots: [(Packed, u8); Self::SLOTS],
    count: usize,
}

impl Colours {
    const SLOTS: usize = 1024;
    /// No colour: it is fully transparent, but not 0.
    const FREE: Packed = 0x00ff_ffff;

    fn new() -> Self {
        Self { slots: [(Self::FREE, 0); Self::SLOTS], count: 0 }
    }

    /// The slot that holds a colour, or the free one it would take.
    fn slot(&self, colour: Packed) -> usize {
        // Multiplicative hashing by the golden ratio.
        let mut slot = (colour.wrapping_mul(0x9e37_79b9) >> 22) as usize;
        while self.slots[slot].0 != colour && self.slots[slot].0 != Self::FREE {
            slot = (slot + 1) % Self::SLOTS;
        }
        slot
    }

    /// Adds a colour. False when it is one too many.
    fn insert(&mut self, colour: Packed) -> bool {
        let slot = self.slot(colour);
        if self.slots[slot].0 == Self::FREE {
            if self.count == PALETTE {
                return false;
            }
            self.slots[slot].0 = colour;
            self.count += 1;
        }
        true
    }

    /// Adds all colours of a picture. False when they are too many.
    fn collect(&mut self, picture: &Picture<'_>) -> bool {
        if picture.colour.bytes() == 1 && picture.alpha.is_none() {
            let mut used = [false; 256];
            for y in 0..picture.height {
                for &index in picture.samples.row(y, picture.width) {
                    used[usize::from(index)] = true;
                }
            }
            let table = lookup(&picture.colour);
            return table
                .into_iter()
                .zip(used)
                .filter(|&(_, used)| used)
                .all(|(colour, _)| self.insert(colour));
        }
        let mut last = Self::FREE;
        let mut few = true;
        for_each_chunk(picture, |_, chunk| {
            few = chunk.iter().all(|&colour| {
                let known = colour == last || self.insert(colour);
                last = colour;
                known
            });
            few
        });
        few
    }

    /// Numbers the colours, and says what the numbers mean. The order depends on the colours alone: those that
    /// are not opaque first, then from dark to bright.
    fn number(&mut self, palette: &mut Vec<Rgba>) -> (ColourType, u8) {
        let used = || self.slots.iter().map(|slot| slot.0).filter(|&colour| colour != Self::FREE);
        let indexed = match self.count {
            0..=2 => 1,
            3..=4 => 2,
            5..=16 => 4,
            _ => 8,
        };
        if used().all(|colour| is_opaque(colour) && is_gray(colour)) {
            // A depth holds the levels that are multiples of the white level over its greatest number.
            let step = |depth: u8| 255 / ((1 << depth) - 1);
            let fits = |&depth: &u8| used().all(|colour| (colour & 255) % step(depth) == 0);
            if let Some(depth) = [1, 2, 4, 8].into_iter().find(fits).filter(|&depth| depth <= indexed) {
                for slot in &mut self.slots {
                    slot.1 = ((slot.0 & 255) / step(depth)) as u8;
                }
                return (ColourType::Gray, depth);
            }
        }
        let mut colours: Vec<Packed> = used().collect();
        colours.sort_unstable_by_key(|&colour| {
            let [r, g, b, a] = colour.to_le_bytes().map(u32::from);
            // Luma of ITU-R BT.601, in thousandths.
            (a == 255, 299 * r + 587 * g + 114 * b, colour)
        });
        for (&colour, number) in colours.iter().zip(0..) {
            let slot = self.slot(colour);
            self.slots[slot].1 = number as u8;
            palette.push(colour.to_le_bytes());
        }
        (ColourType::Indexed, indexed)
    }

    /// Appends the numbers of the picture's colours, packed into rows of whole bytes, first pixel highest.
    fn map(&self, picture: &Picture<'_>, depth: u8, out: &mut Vec<u8>) {
        if picture.colour.bytes() == 1 && picture.alpha.is_none() {
            let numbers = lookup(&picture.colour).map(|colour| self.slots[self.slot(colour)].1);
            for y in 0..picture.height {
                let row = picture.samples.row(y, picture.width);
                pack_row(row.iter().map(|&index| numbers[usize::from(index)]), depth, out);
            }
            return;
        }
        let mut row = Vec::with_capacity(picture.width);
        let mut last = (Self::FREE, 0);
        for_each_chunk(picture, |_, chunk| {
            row.extend(chunk.iter().map(|&colour| {
                if colour != last.0 {
                    last = self.slots[self.slot(colour)];
                }
                last.1
            }));
            if row.len() == picture.width {
                pack_row(row.drain(..), depth, out);
            }
            true
        });
    }
}

/// Appends a row of numbers of `depth` bits.
fn pack_row(numbers: impl Iterator<Item = u8>, depth: u8, out: &mut Vec<u8>) {
    if depth == 8 {
        out.extend(numbers);
        return;
    }
    let (mut byte, mut free) = (0u8, 8);
    for number in numbers {
        free -= depth;
        byte |= number << free;
        if free == 0 {
            out.push(byte);
            (byte, free) = (0, 8);
        }
    }
    if free < 8 {
        out.push(byte);
    }
}
