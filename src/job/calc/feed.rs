//! Gives a program the values of a window's pixels, chunk by chunk.

#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use super::plan::{Plan, Slot};
use super::reader::DEGREE;
use crate::block::{Block, Sample, Validity, interleaved_slice};
use crate::expr::{Coordinate, Feed, Wanted};
use crate::raster::nodata_as;
use crate::simd::{Kernel, Level, dispatch};
use crate::warp::coords::{CELL, CoordGrid};
use crate::window::Window;

/// A layer's pixels of a window, or of a part of it; beyond there is no data.
#[derive(Default)]
pub(super) struct Yarn<'a> {
    block: Option<&'a Block>,
    coverage: Option<&'a [u8]>,
}

impl<'a> Yarn<'a> {
    /// The pixels of a block.
    pub fn new(block: &'a Block) -> Self {
        let coverage = match &block.validity {
            Validity::All => None,
            Validity::PerPixel(plane) => plane.as_slice(),
        };
        Self { block: Some(block), coverage }
    }
}

/// The values of a window's pixels.
pub(super) struct WindowFeed<'a> {
    plan: &'a Plan,
    window: Window,
    yarns: &'a [Yarn<'a>],
    degrees: Option<&'a CoordGrid>,
    start: usize,
}

impl<'a> WindowFeed<'a> {
    /// The values of a window.
    pub fn new(
        plan: &'a Plan,
        window: Window,
        yarns: &'a [Yarn<'a>],
        degrees: Option<&'a CoordGrid>,
    ) -> Self {
        Self { plan, window, yarns, degrees, start: 0 }
    }

    /// The window.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Begins with a chunk, by the number of its first pixel in the window.
    pub fn begin(&mut self, start: usize) {
        self.start = start;
    }

    /// The runs of pixels in one row that a chunk consists of.
    fn runs(&self, count: usize) -> impl Iterator<Item = Run> + use<> {
        let (mut at, end, window) = (self.start, self.start + count, self.window);
        let start = at;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (row, column) = (at / window.width, at % window.width);
            let length = (window.width - column).min(end - at);
            let (x, y) = (window.x + column as i64, window.y + row as i64);
            let run = Run { offset: at - start, x, y, length };
            at += length;
            Some(run)
        })
    }

    fn band(&self, slot: Slot, out: &mut [f64]) {
        let yarn = &self.yarns[slot.layer];
        let Some(block) = yarn.block else { return out.fill(f64::NAN) };
        if block.window == self.window {
            let span = Span { first: self.start, out };
            return load(yarn, block, slot, span);
        }
        for run in self.runs(out.len()) {
            let part = &mut out[run.offset..][..run.length];
            let row = Window::new(run.x, run.y, run.length, 1);
            let common = row.intersection(&block.window);
            if common.is_empty() {
                part.fill(f64::NAN);
                continue;
            }
            let before = (common.x - run.x) as usize;
            part[..before].fill(f64::NAN);
            part[before + common.width..].fill(f64::NAN);
            let (x, y) = ((common.x - block.window.x) as usize, (common.y - block.window.y) as usize);
            let out = &mut part[before..before + common.width];
            load(yarn, block, slot, Span { first: y * block.window.width + x, out });
        }
    }

    fn place(&self, coordinate: Coordinate, out: &mut [f64]) {
        let g = self.plan.grid.geotransform().unwrap_or([0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        for run in self.runs(out.len()) {
            let part = &mut out[run.offset..][..run.length];
            let column = |i: usize| (run.x + i as i64) as f64;
            let (x, y) = (|i: usize| column(i) + 0.5, run.y as f64 + 0.5);
            let fill = |part: &mut [f64], f: &dyn Fn(usize) -> f64| {
                part.iter_mut().enumerate().for_each(|(i, v)| *v = f(i));
            };
            match coordinate {
                Coordinate::Column => fill(part, &column),
                Coordinate::Row => part.fill(run.y as f64),
                Coordinate::X => fill(part, &|i| g[0] + g[1] * x(i) + g[2] * y),
                Coordinate::Y => fill(part, &|i| g[3] + g[4] * x(i) + g[5] * y),
                Coordinate::Longitude | Coordinate::Latitude => self.degrees(coordinate, &run, part),
            }
        }
    }

    fn degrees(&self, coordinate: Coordinate, run: &Run, out: &mut [f64]) {
        out.fill(f64::NAN);
        let Some(grid) = self.degrees else { return };
        let window = grid.window();
        let (x, y) = ((run.x - window.x) as usize, (run.y - window.y) as usize);
        let (mut xs, mut ys) = ([0.0; CELL], [0.0; CELL]);
        let mut done = 0;
        while done < run.length {
            let (column, within) = ((x + done) / CELL, (x + done) % CELL);
            let length = (CELL - within).min(run.length - done);
            if grid.cell_row(column, y / CELL, y % CELL, &mut xs, &mut ys) {
                let found = if coordinate == Coordinate::Longitude { &xs } else { &ys };
                for (o, v) in out[done..done + length].iter_mut().zip(&found[within..]) {
                    *o = v / DEGREE;
                }
            }
            done += length;
        }
    }
}

impl Feed for WindowFeed<'_> {
    fn feed(&mut self, wanted: Wanted, out: &mut [f64]) {
        match wanted {
            Wanted::Band(slot) => self.band(self.plan.slots[slot], out),
            Wanted::Place(coordinate) => self.place(coordinate, out),
        }
    }
}

/// Pixels of one row.
struct Run {
    /// Where they begin in the chunk.
    offset: usize,
    x: i64,
    y: i64,
    length: usize,
}

/// Consecutive pixels of a block, and where their values go.
struct Span<'o> {
    first: usize,
    out: &'o mut [f64],
}

/// Loads a band of some pixels; not-a-number where there is no data.
fn load(yarn: &Yarn<'_>, block: &Block, slot: Slot, span: Span<'_>) {
    let Span { first, out } = span;
    for_samples!(&block.samples, array => {
        let bands = array.dim().0;
        if let Some(samples) = interleaved_slice(array) {
            let samples = &samples[first * bands..(first + out.len()) * bands];
            load_as(samples, bands, slot, out);
        } else {
            let width = block.window.width;
            for (k, o) in out.iter_mut().enumerate() {
                let at = first + k;
                load_as(&[array[[slot.band, at / width, at % width]]], 1, Slot { band: 0, ..slot }, std::slice::from_mut(o));
            }
        }
    });
    if let Some(coverage) = yarn.coverage {
        for (o, c) in out.iter_mut().zip(&coverage[first..]) {
            *o = if *c == 0 { f64::NAN } else { *o };
        }
    }
}

fn load_as<T: Sample>(samples: &[T], bands: usize, slot: Slot, out: &mut [f64]) {
    // A value that no sample of the type has is no value to look for.
    let nodata: Option<T> = slot.nodata.and_then(nodata_as);
    dispatch(Level::Best, Load { samples, bands, band: slot.band, nodata, out });
}

struct Load<'a, T> {
    samples: &'a [T],
    bands: usize,
    band: usize,
    nodata: Option<T>,
    out: &'a mut [f64],
}

impl<T: Sample> Kernel for Load<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        match self.nodata {
            Some(nodata) => self.each(|v| if v == nodata { f64::NAN } else { v.to_f64() }),
            None => self.each(T::to_f64),
        }
    }
}

impl<T: Sample> Load<'_, T> {
    #[inline(always)]
    fn each(self, f: impl Fn(T) -> f64) {
        // Constant strides let the compiler vectorise.
        match self.bands {
            1 => self.out.iter_mut().zip(self.samples).for_each(|(o, v)| *o = f(*v)),
            2 => self.strided::<2>(f),
            3 => self.strided::<3>(f),
            4 => self.strided::<4>(f),
            bands => {
                let own = self.samples[self.band..].iter().step_by(bands);
                self.out.iter_mut().zip(own).for_each(|(o, v)| *o = f(*v));
            }
        }
    }

    #[inline(always)]
    fn strided<const B: usize>(self, f: impl Fn(T) -> f64) {
        let (pixels, _) = self.samples.as_chunks::<B>();
        let band = self.band;
        for (o, pixel) in self.out.iter_mut().zip(pixels) {
            *o = f(pixel[band]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_among_those_of_other_bands() {
        for bands in 1..=6 {
            for band in 0..bands {
                let samples: Vec<i16> = (0..40 * bands as i16).collect();
                let mut out = vec![0.0; 40];
                let nodata = Some((5 * bands + band) as f64);
                load_as(&samples, bands, Slot { layer: 0, band, nodata }, &mut out);
                for (k, v) in out.iter().enumerate() {
                    let expected = (k * bands + band) as f64;
                    assert!(if k == 5 { v.is_nan() } else { *v == expected }, "{bands} {band} {k}");
                }
            }
        }
    }

    #[test]
    fn a_value_that_the_type_cannot_hold_hides_nothing() {
        let mut out = [0.0; 2];
        load_as(&[0u8, 255], 1, Slot { layer: 0, band: 0, nodata: Some(-1.0) }, &mut out);
        assert_eq!(out, [0.0, 255.0]);
    }
}
