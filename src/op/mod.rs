//! Operations on pixels: what each of them computes, how many pixels around it needs, and how several are chained.
//!
//! ```text
//! 'focal(median, 5)' ──▶ Call ──▶ Formula: an expression, part of the program that makes the bands
//!        text            call └──▶ Operation: planes in ──▶ planes out, with a halo          ──▶ Chain
//! ```
//!
//! An operation gets a window of planes that is wider than what it has to give by its [halo](Operation::halo), and knows nothing
//! of files, threads or other operations. [`Chain`] adds the halos up, makes the pixels beyond the raster's border as the [`Edge`] says,
//! and runs what lies between the bands and the output. What an operation gives for a pixel depends on the pixels around it
//! alone, bit for bit: not on where the window begins.
//!
//! Planes hold 32-bit floats where these hold all that was read (integers of up to 16 bits, 32-bit floats), else 64-bit ones;
//! sums and quotients are computed in 64 bits. Not-a-number stands for what is missing.
//!
//! [`Table`] names the operations; a user of the library adds a function of their own with [`Table::add`].

mod call;
mod catalogue;
mod chain;
mod custom;
mod facts;
mod fill;
mod filters;
mod focal;
mod formulas;
mod reclassify;
mod relief;
mod stack;
mod table;
mod terrain;

use std::fmt::Debug;

pub use call::{Arguments, Call};
pub use chain::{Chain, Ground, Scene};
pub(crate) use chain::{needs_double, take};
pub use custom::Custom;
pub use facts::{Facts, Origin};
pub use formulas::{BandName, Formula, Operands};
pub use stack::{Real, Stack};
pub use table::{Accepts, Built, Entry, Parameter, Table};

use crate::simd::{Kernel, Level, dispatch};

/// What the pixels beyond the border of the raster are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// They have no data.
    Nodata,
    /// The nearest pixel of the raster: `a a | a b c`.
    Nearest,
    /// The raster mirrored, its border included: `b a | a b c`.
    Reflect,
    /// The line through the two pixels at the border goes on: `2a − b | a b`; as `gdaldem -compute_edges` does. One pixel wide.
    Extrapolate,
}

impl Edge {
    /// Their names.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("nodata", Self::Nodata),
        ("nearest", Self::Nearest),
        ("reflect", Self::Reflect),
        ("extrapolate", Self::Extrapolate),
    ];

    /// The one of a name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, edge)| *edge)
    }
}

/// An operation with its parameters, ready to run on any number of threads.
pub trait Operation: Debug + Send + Sync {
    /// Pixels on each side that it needs around those it gives.
    fn halo(&self) -> usize;

    /// What it takes the pixels beyond the raster's border for; `wanted` is what the user asked of all operations.
    fn edge(&self, wanted: Option<Edge>) -> Edge {
        wanted.unwrap_or(Edge::Nearest)
    }

    /// What it makes of bands. `bordered` says that pixels beyond the border have no data.
    ///
    /// # Errors
    /// Why it cannot work on such bands.
    fn facts(&self, bands: &[Facts], bordered: bool) -> Result<Vec<Facts>, String>;

    /// Bytes it needs beside its planes, for each pixel of a plane.
    fn scratch(&self) -> usize {
        0
    }

    /// Fills the planes of `output`, which hold anything, from those of `input`, whose window is wider by the halo on each side.
    ///
    /// # Errors
    /// Why there is no result.
    fn single(&self, input: &Stack<f32>, output: &mut Stack<f32>) -> Result<(), String>;

    /// The same in 64 bits.
    ///
    /// # Errors
    /// Why there is no result.
    fn double(&self, input: &Stack<f64>, output: &mut Stack<f64>) -> Result<(), String>;
}

/// The operations here are written once for both precisions. `run` should be `#[inline(always)]`, and all that is hot below it, so
/// that it is compiled for wide vectors too.
pub(crate) trait Work: Debug + Send + Sync {
    /// See [`Operation::halo`].
    fn halo(&self) -> usize;
    /// See [`Operation::edge`].
    fn edge(&self, wanted: Option<Edge>) -> Edge {
        wanted.unwrap_or(Edge::Nearest)
    }
    /// See [`Operation::facts`].
    fn facts(&self, bands: &[Facts], bordered: bool) -> Result<Vec<Facts>, String>;
    /// See [`Operation::scratch`].
    fn scratch(&self) -> usize {
        0
    }
    /// See [`Operation::single`].
    fn run<T: Real>(&self, input: &Stack<T>, output: &mut Stack<T>);
}

impl<W: Work> Operation for W {
    fn halo(&self) -> usize {
        Work::halo(self)
    }

    fn edge(&self, wanted: Option<Edge>) -> Edge {
        Work::edge(self, wanted)
    }

    fn facts(&self, bands: &[Facts], bordered: bool) -> Result<Vec<Facts>, String> {
        Work::facts(self, bands, bordered)
    }

    fn scratch(&self) -> usize {
        Work::scratch(self)
    }

    fn single(&self, input: &Stack<f32>, output: &mut Stack<f32>) -> Result<(), String> {
        dispatch(Level::Best, Running { work: self, input, output });
        Ok(())
    }

    fn double(&self, input: &Stack<f64>, output: &mut Stack<f64>) -> Result<(), String> {
        dispatch(Level::Best, Running { work: self, input, output });
        Ok(())
    }
}

struct Running<'a, W, T> {
    work: &'a W,
    input: &'a Stack<T>,
    output: &'a mut Stack<T>,
}

impl<W: Work, T: Real> Kernel for Running<'_, W, T> {
    type Output = ();

    #[inline(always)]
    #[allow(clippy::inline_always)] // what is not inlined into the AVX2 build stays baseline code
    fn run(self) {
        self.work.run(self.input, self.output);
    }
}

/// What the tests of operations share.
#[cfg(test)]
pub(crate) mod testing {
    use super::{Stack, Work};
    use crate::window::{Size, Window};

    /// A plane of a few rows.
    pub fn plane(rows: &[&[f64]]) -> Stack<f64> {
        let window = Size::new(rows[0].len(), rows.len()).window();
        Stack { window, planes: vec![rows.concat()] }
    }

    /// What an operation makes of the pixels of a plane that are not its halo.
    pub fn inner(work: &impl Work, input: &Stack<f64>) -> Vec<Vec<f64>> {
        let halo = Work::halo(work) as i64;
        let window = input.window;
        let (x, y) = (window.x + halo, window.y + halo);
        let inner = Window::from_edges(x, y, window.right() - halo, window.bottom() - halo);
        let mut output = Stack::new(inner, input.planes.len());
        super::Operation::double(work, input, &mut output).expect("a result");
        output.planes
    }

    /// Noise in steps of 1/16 with some pixels missing, if any are to be.
    pub fn noise(window: Window, missing: bool) -> Stack<f64> {
        let value = |x: i64, y: i64| {
            let mut h = (x as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
                ^ (y as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
            h = (h ^ (h >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
            h ^= h >> 29;
            if missing && h.is_multiple_of(7) { f64::NAN } else { (h >> 53) as f64 / 16.0 }
        };
        let rows = window.y..window.bottom();
        let values = rows.flat_map(|y| (window.x..window.right()).map(move |x| value(x, y))).collect();
        Stack { window, planes: vec![values] }
    }
}
