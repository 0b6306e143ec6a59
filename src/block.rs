//! Typed pixels with their validity and the window they cover.
//!
//! Axes are always (band, row, column); the memory order is free through strides. Pictures are kept
//! pixel-interleaved, because the warp kernels use the same weights for all bands of a pixel.

use ndarray::{Array2, Array3, s};

use crate::window::{Size, Window};

/// The type of a sample, as GDAL presents it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleType {
    /// Unsigned 8-bit integer (also 1-, 2- and 4-bit files).
    U8,
    /// Signed 8-bit integer.
    I8,
    /// Unsigned 16-bit integer (also 12-bit files).
    U16,
    /// Signed 16-bit integer.
    I16,
    /// Unsigned 32-bit integer.
    U32,
    /// Signed 32-bit integer.
    I32,
    /// 32-bit float (also half floats).
    F32,
    /// 64-bit float; 64-bit integers are read as this type, exact up to 2⁵³.
    F64,
}

impl SampleType {
    /// Bytes of one sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// All of them; where several hold some values, the one to choose comes first.
    pub const ALL: [Self; 8] =
        [Self::U8, Self::I8, Self::U16, Self::I16, Self::U32, Self::I32, Self::F32, Self::F64];

    /// GDAL's name.
    pub const fn gdal_name(self) -> &'static str {
        match self {
            Self::U8 => "Byte",
            Self::I8 => "Int8",
            Self::U16 => "UInt16",
            Self::I16 => "Int16",
            Self::U32 => "UInt32",
            Self::I32 => "Int32",
            Self::F32 => "Float32",
            Self::F64 => "Float64",
        }
    }

    /// The smallest type that holds all values of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        use SampleType::{F32, F64, I8, I16, I32, U8, U16, U32};
        let holds = |t: Self, v: Self| match (t, v) {
            _ if t == v => true,
            (F64, _) | (F32 | I32, U8 | I8 | U16 | I16) | (U32, U8 | U16) | (I16, U8 | I8) | (U16, U8) => {
                true
            }
            _ => false,
        };
        Self::ALL.into_iter().find(|t| holds(*t, self) && holds(*t, other)).unwrap_or(F64)
    }

    /// The name users know from numpy and rasterio.
    pub const fn name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }
}

impl std::str::FromStr for SampleType {
    type Err = String;

    /// The names of GDAL (`Byte`, `UInt16`, …) and of numpy, in any case.
    fn from_str(text: &str) -> Result<Self, String> {
        let named = |t: &Self| [t.gdal_name(), t.name()].iter().any(|name| name.eq_ignore_ascii_case(text));
        Self::ALL.into_iter().find(named).ok_or_else(|| {
            let names = Self::ALL.map(Self::gdal_name).join(", ");
            format!("unknown type '{text}'; known are {names}")
        })
    }
}

/// A Rust type that samples can have.
pub trait Sample: Copy + Default + PartialEq + PartialOrd + Send + Sync + 'static {
    /// The tag of this type.
    const TYPE: SampleType;
    /// The value as a double; exact for every type.
    fn to_f64(self) -> f64;
    /// The nearest value of this type: clamped to its range, halves away from zero; NaN becomes zero
    /// for integers.
    fn from_f64(value: f64) -> Self;
    /// Wraps an array of this type.
    fn wrap(array: Array3<Self>) -> Samples;
    /// The array inside, if it has this type.
    fn unwrap(samples: &Samples) -> Option<&Array3<Self>>;
    /// The array itself, if it has this type.
    fn take(samples: Samples) -> Option<Array3<Self>>;
    /// The array inside, if it has this type.
    fn unwrap_mut(samples: &mut Samples) -> Option<&mut Array3<Self>>;
}

macro_rules! samples {
    ($($variant:ident $type:ty, $from:expr;)*) => {
        /// Pixels of one type, axes (band, row, column).
        #[derive(Debug, Clone, PartialEq)]
        pub enum Samples {
            $(#[doc = concat!("Samples of type `", stringify!($type), "`.")] $variant(Array3<$type>),)*
        }

        impl Samples {
            /// Type of the samples.
            pub fn sample_type(&self) -> SampleType {
                match self { $(Self::$variant(_) => SampleType::$variant,)* }
            }

            /// (bands, rows, columns).
            pub fn dim(&self) -> (usize, usize, usize) {
                match self { $(Self::$variant(a) => a.dim(),)* }
            }

            /// Zeroed pixels, pixel-interleaved in memory.
            pub fn zeros(sample_type: SampleType, bands: usize, size: Size) -> Self {
                match sample_type { $(SampleType::$variant => Self::$variant(interleaved_zeros(bands, size)),)* }
            }
        }

        $(impl Sample for $type {
            const TYPE: SampleType = SampleType::$variant;
            #[inline(always)]
            #[allow(clippy::cast_lossless, clippy::inline_always)]
            fn to_f64(self) -> f64 { self as f64 }
            #[inline(always)]
            #[allow(clippy::inline_always)]
            fn from_f64(value: f64) -> Self { let from: fn(f64) -> $type = $from; from(value) }
            fn wrap(array: Array3<Self>) -> Samples { Samples::$variant(array) }
            fn unwrap(samples: &Samples) -> Option<&Array3<Self>> {
                if let Samples::$variant(a) = samples { Some(a) } else { None }
            }
            fn take(samples: Samples) -> Option<Array3<Self>> {
                if let Samples::$variant(a) = samples { Some(a) } else { None }
            }
            fn unwrap_mut(samples: &mut Samples) -> Option<&mut Array3<Self>> {
                if let Samples::$variant(a) = samples { Some(a) } else { None }
            }
        })*

        /// Runs a generic body on the array inside [`Samples`], whatever its type: one dispatch per block.
        macro_rules! for_samples {
            ($value:expr, $array:ident => $body:expr) => {
                match $value { $($crate::block::Samples::$variant($array) => $body,)* }
            };
        }

        /// Runs a generic body with the type alias `$T` bound to the Rust type of a [`SampleType`].
        macro_rules! for_sample_type {
            ($value:expr, $T:ident => $body:expr) => {
                match $value { $($crate::block::SampleType::$variant => { type $T = $type; $body })* }
            };
        }
    };
}

// `as` saturates and sends NaN to zero, which is what the trait promises.
samples! {
    U8 u8, |v| v.round() as u8;
    I8 i8, |v| v.round() as i8;
    U16 u16, |v| v.round() as u16;
    I16 i16, |v| v.round() as i16;
    U32 u32, |v| v.round() as u32;
    I32 i32, |v| v.round() as i32;
    F32 f32, |v| v as f32;
    F64 f64, |v| v;
}

impl SampleType {
    /// Whether a sample can have a value. Floats of 32 bits count as those that print alike.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::F64 => true,
            Self::F32 => !value.is_finite() || value.abs() <= f64::from(f32::MAX),
            _ => {
                for_sample_type!(self, T => T::from_f64(value).to_f64().to_bits() == value.to_bits() || (value == 0.0))
            }
        }
    }
}

/// A zeroed array with axes (band, row, column) whose memory is pixel-interleaved.
pub fn interleaved_zeros<T: Sample>(bands: usize, size: Size) -> Array3<T> {
    Array3::from_elem((size.height, size.width, bands), T::default()).permuted_axes([2, 0, 1])
}

/// Puts pixel-interleaved values under axes (band, row, column) without copying. `None` when the
/// number of values does not fit.
pub fn interleaved_array<T: Sample>(values: Vec<T>, bands: usize, size: Size) -> Option<Array3<T>> {
    let array = Array3::from_shape_vec((size.height, size.width, bands), values).ok()?;
    Some(array.permuted_axes([2, 0, 1]))
}

/// The values of an array with axes (band, row, column) as one slice in the order row, column, band,
/// when that is how they lie in memory.
pub fn interleaved_slice<T>(array: &Array3<T>) -> Option<&[T]> {
    array.view().permuted_axes([1, 2, 0]).to_slice()
}

/// Like [`interleaved_slice`], mutable.
pub fn interleaved_slice_mut<T>(array: &mut Array3<T>) -> Option<&mut [T]> {
    array.view_mut().permuted_axes([1, 2, 0]).into_slice()
}

/// A copy of the values in the order row, column, band.
pub fn to_interleaved<T: Sample>(array: &Array3<T>) -> Vec<T> {
    array.view().permuted_axes([1, 2, 0]).iter().copied().collect()
}

mod bytes;

pub(crate) use bytes::{from_bytes, take, to_bytes};

/// Which pixels hold data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validity {
    /// Every pixel.
    All,
    /// Coverage per pixel, axes (row, column): 0 is no data, 255 is fully covered.
    PerPixel(Array2<u8>),
}

impl Validity {
    /// Whether no pixel holds data.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::All => false,
            Self::PerPixel(c) => c.iter().all(|&v| v == 0),
        }
    }

    /// The same validity, as [`Validity::All`] when every pixel is fully covered.
    #[must_use]
    pub fn simplified(self) -> Self {
        match self {
            Self::PerPixel(c) if c.iter().all(|&v| v == 255) => Self::All,
            other => other,
        }
    }
}

/// Pixels of a window. Colour is stored unpremultiplied; kernels weight it by coverage.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// The pixels' place in their raster (or tile matrix).
    pub window: Window,
    /// The pixels, as many rows and columns as the window has.
    pub samples: Samples,
    /// Which of them hold data.
    pub validity: Validity,
}

impl Block {
    /// Number of bands.
    pub fn bands(&self) -> usize {
        self.samples.dim().0
    }

    /// Bytes of memory the pixels and their validity take.
    pub fn bytes(&self) -> usize {
        let plane = match self.validity {
            Validity::All => 0,
            Validity::PerPixel(_) => self.window.area(),
        };
        self.window.area() * self.bands() * self.samples.sample_type().bytes() + plane
    }
}

impl Block {
    /// The memory of the samples, to be filled anew with `count` samples: `None` when it is too small, of another type, or
    /// so large that it would be wasted.
    pub fn into_buffer<T: Sample>(self, count: usize) -> Option<Vec<T>> {
        let (values, _) = T::take(self.samples)?.into_raw_vec_and_offset();
        (count..=count + count / 4).contains(&values.capacity()).then_some(values)
    }

    /// The part of the block inside a window, pixel-interleaved; `None` when they do not meet.
    pub fn crop(&self, window: &Window) -> Option<Self> {
        let common = self.window.intersection(window);
        if common.is_empty() {
            return None;
        }
        let mut assembly = Assembly::new(common, self.samples.sample_type(), self.bands());
        assembly.add(self);
        assembly.finish()
    }
}

/// A window that is put together part by part, so that no more than one part need be held beside it.
pub struct Assembly {
    block: Block,
    filled: usize,
}

impl Assembly {
    /// An empty window.
    pub fn new(window: Window, sample_type: SampleType, bands: usize) -> Self {
        let samples = Samples::zeros(sample_type, bands, window.size());
        Self { block: Block { window, samples, validity: Validity::All }, filled: 0 }
    }

    /// A window of which parts may stay without data.
    pub fn uncovered(window: Window, sample_type: SampleType, bands: usize) -> Self {
        let mut assembly = Self::new(window, sample_type, bands);
        assembly.block.validity = Validity::PerPixel(Array2::zeros((window.height, window.width)));
        assembly.filled = window.area();
        assembly
    }

    /// Copies what a part has of the window. `false` when its samples are of another kind.
    pub fn add(&mut self, part: &Block) -> bool {
        self.add_at(part, part.window)
    }

    /// Like [`Assembly::add`], of a part that lies elsewhere than it says: at a window of its size.
    pub fn add_at(&mut self, part: &Block, place: Window) -> bool {
        let common = place.intersection(&self.block.window);
        let done = for_sample_type!(part.samples.sample_type(), T => self.copy::<T>(part, &place, &common));
        let section = |w: &Window| {
            let (x, y) = ((common.x - w.x) as usize, (common.y - w.y) as usize);
            s![y..y + common.height, x..x + common.width]
        };
        if done && !common.is_empty() {
            let size = self.block.window.size();
            if matches!(part.validity, Validity::PerPixel(_)) && self.block.validity == Validity::All {
                self.block.validity = Validity::PerPixel(Array2::from_elem((size.height, size.width), 255));
            }
            let there = section(&self.block.window);
            match (&mut self.block.validity, &part.validity) {
                (Validity::PerPixel(plane), Validity::PerPixel(coverage)) => {
                    plane.slice_mut(there).assign(&coverage.slice(section(&place)));
                }
                (Validity::PerPixel(plane), Validity::All) => plane.slice_mut(there).fill(255),
                (Validity::All, _) => {}
            }
        }
        self.filled += common.area();
        done
    }

    /// Lays what a part has of the window over what is there: pixels without data leave it as it is. `false` when its samples are of
    /// another kind. For windows of which parts may stay [uncovered](Self::uncovered).
    pub fn lay(&mut self, part: &Block) -> bool {
        self.lay_at(part, part.window)
    }

    /// Like [`Assembly::lay`], of a part that lies elsewhere than it says: at a window of its size.
    pub fn lay_at(&mut self, part: &Block, place: Window) -> bool {
        let Validity::PerPixel(coverage) = &part.validity else { return self.add_at(part, place) };
        let common = place.intersection(&self.block.window);
        let mut done = true;
        for y in common.y..common.bottom() {
            let row = coverage.row((y - place.y) as usize);
            let covered = |x: i64| row[(x - place.x) as usize] > 0;
            let mut x = common.x;
            while x < common.right() {
                let end = (x..common.right()).find(|x2| covered(*x2) != covered(x)).unwrap_or(common.right());
                if covered(x) {
                    let run = Window::from_edges(x, y, end, y + 1);
                    done &=
                        for_sample_type!(part.samples.sample_type(), T => self.copy::<T>(part, &place, &run));
                    if let Validity::PerPixel(plane) = &mut self.block.validity {
                        let from =
                            s![(y - place.y) as usize, (x - place.x) as usize..(end - place.x) as usize];
                        let window = self.block.window;
                        let to =
                            s![(y - window.y) as usize, (x - window.x) as usize..(end - window.x) as usize];
                        plane.slice_mut(to).assign(&coverage.slice(from));
                    }
                }
                x = end;
            }
        }
        done
    }

    fn copy<T: Sample>(&mut self, part: &Block, place: &Window, common: &Window) -> bool {
        let bands = part.bands();
        let same = bands == self.block.bands();
        let window = self.block.window;
        let Some(source) = T::unwrap(&part.samples).and_then(interleaved_slice) else { return false };
        let target = T::unwrap_mut(&mut self.block.samples).and_then(interleaved_slice_mut);
        let Some(target) = target.filter(|_| same) else { return false };
        let length = common.width * bands;
        for y in common.y..common.bottom() {
            let from = offset(place, common.x, y) * bands;
            let to = offset(&window, common.x, y) * bands;
            target[to..to + length].copy_from_slice(&source[from..from + length]);
        }
        true
    }

    /// The window, if its parts covered it; its validity is [`Validity::All`] when every pixel is covered.
    pub fn finish(self) -> Option<Block> {
        let Block { window, samples, validity } = self.block;
        (self.filled >= window.area()).then(|| Block { window, samples, validity: validity.simplified() })
    }
}

fn offset(window: &Window, x: i64, y: i64) -> usize {
    (y - window.y) as usize * window.width + (x - window.x) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_type_holds_what_each_holds() {
        use SampleType::{F32, F64, I8, I16, I32, U8, U16, U32};
        for (a, b, both) in [
            (U8, U8, U8),
            (U8, U16, U16),
            (I8, U8, I16),
            (I16, U8, I16),
            (I16, U16, I32),
            (U16, U32, U32),
            (U32, I16, F64),
            (I32, U16, I32),
            (F32, U16, F32),
            (F32, I32, F64),
            (F64, U8, F64),
        ] {
            assert_eq!((a.union(b), b.union(a)), (both, both), "{a:?} and {b:?}");
        }
    }

    #[test]
    fn types_have_the_names_of_gdal_and_numpy() {
        assert_eq!("float32".parse(), Ok(SampleType::F32));
        assert_eq!("BYTE".parse(), Ok(SampleType::U8));
        assert_eq!("uint8".parse(), Ok(SampleType::U8));
        assert!("Int64".parse::<SampleType>().is_err_and(|e| e.contains("Int32")));
        assert!(
            SampleType::ALL.iter().all(|t| t.gdal_name().parse() == Ok(*t) && t.name().parse() == Ok(*t))
        );
    }

    #[test]
    fn interleaved_arrays_have_bands_next_to_each_other() {
        let a = interleaved_array((0..12u8).collect(), 3, Size::new(2, 2)).expect("fits");
        assert_eq!(a[[2, 0, 1]], 5);
        assert_eq!(a[[0, 1, 0]], 6);
        assert_eq!(interleaved_slice(&a), Some(&(0..12u8).collect::<Vec<_>>()[..]));
    }

    #[test]
    fn planar_arrays_have_no_interleaved_slice_but_can_be_copied() {
        let a = Array3::from_shape_fn((2, 1, 2), |(b, _, x)| (b * 10 + x) as u16);
        assert_eq!(interleaved_slice(&a), None);
        assert_eq!(to_interleaved(&a), [0, 10, 1, 11]);
    }

    fn numbered(window: Window) -> Block {
        let at =
            |k: usize| (window.y as usize + k / window.width) * 10 + window.x as usize + k % window.width;
        let values = (0..window.area()).map(|k| at(k) as u8).collect();
        let samples = Samples::U8(interleaved_array(values, 1, window.size()).expect("fits"));
        Block { window, samples, validity: Validity::All }
    }

    #[test]
    fn a_crop_keeps_the_pixels_in_their_place() {
        let block = numbered(Window::new(0, 0, 10, 10));
        let part = block.crop(&Window::new(7, 8, 9, 9));
        assert_eq!(part, Some(numbered(Window::new(7, 8, 3, 2))));
        assert_eq!(block.crop(&Window::new(10, 0, 5, 5)), None);
    }

    #[test]
    fn parts_that_never_came_stay_uncovered() {
        let window = Window::new(0, 0, 4, 1);
        let mut assembly = Assembly::uncovered(window, SampleType::U8, 1);
        assert!(assembly.add(&numbered(Window::new(2, 0, 9, 1))));
        let block = assembly.finish().expect("may have gaps");
        let coverage = Array2::from_shape_vec((1, 4), vec![0, 0, 255, 255]).expect("fits");
        assert_eq!(block.validity, Validity::PerPixel(coverage));
    }

    #[test]
    fn pixels_without_data_leave_what_lies_below() {
        let window = Window::new(0, 0, 4, 1);
        let mut assembly = Assembly::uncovered(window, SampleType::U8, 1);
        assembly.lay(&numbered(Window::new(1, 0, 3, 1)));
        let mut above = numbered(Window::new(0, 0, 4, 1));
        u8::unwrap_mut(&mut above.samples).expect("bytes").mapv_inplace(|v| v + 100);
        above.validity =
            Validity::PerPixel(Array2::from_shape_vec((1, 4), vec![0, 0, 255, 0]).expect("fits"));
        assert!(assembly.lay(&above));
        let block = assembly.finish().expect("may have gaps");
        let values = u8::unwrap(&block.samples).map(to_interleaved).expect("bytes");
        assert_eq!(values, [0, 1, 102, 3]);
        let coverage = Array2::from_shape_vec((1, 4), vec![0, 255, 255, 255]).expect("fits");
        assert_eq!(block.validity, Validity::PerPixel(coverage));
    }

    #[test]
    fn samples_clamp_and_round_half_away_from_zero() {
        assert_eq!(u8::from_f64(254.5), 255);
        assert_eq!(u8::from_f64(-3.0), 0);
        assert_eq!(i16::from_f64(-1.5), -2);
        assert_eq!(i32::from_f64(f64::NAN), 0);
        assert!(f32::from_f64(f64::NAN).is_nan());
    }
}
