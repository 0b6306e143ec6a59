//! Temporary stand-in.
use super::coords::{CELL, CoordGrid};
use crate::block::{Block, Sample, SampleType, Samples, Validity, for_sample_type};
use crate::error::Result;
use crate::resampling::Resampling;
use crate::window::Window;
/// e
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edges {
    /// h
    Hard,
    /// s
    Soft,
}
/// h
pub fn halo(method: Resampling, scale: f32) -> usize {
    (method.radius() * f64::from(scale.max(1.0))).ceil() as usize + 1
}
/// c
pub struct Canvas {
    window: Window,
    samples: Samples,
    coverage: ndarray::Array2<u8>,
}
impl Canvas {
    /// n
    pub fn new(window: Window, t: SampleType, bands: usize) -> Self {
        Self {
            window,
            samples: Samples::zeros(t, bands, window.size()),
            coverage: ndarray::Array2::zeros((window.height, window.width)),
        }
    }
    /// i
    pub fn into_block(self) -> Option<Block> {
        let v = Validity::PerPixel(self.coverage);
        if v.is_empty() {
            return None;
        }
        Some(Block { window: self.window, samples: self.samples, validity: v.simplified() })
    }
}
/// w
pub fn warp(
    source: &Block,
    grid: &CoordGrid,
    piece: Window,
    _m: Resampling,
    _e: Edges,
    canvas: &mut Canvas,
) -> Result<()> {
    let (mut xs, mut ys) = ([0.0; CELL], [0.0; CELL]);
    for_sample_type!(source.samples.sample_type(), T => {
        let (Some(src), Some(dst)) = (T::unwrap(&source.samples), T::unwrap_mut(&mut canvas.samples)) else { return Ok(()) };
        for y in piece.y..piece.bottom() {
            let gy = (y - grid.window().y) as usize;
            for gc in (piece.x - grid.window().x) as usize / CELL..(piece.right() - grid.window().x) as usize / CELL {
                if !grid.cell_row(gc, gy / CELL, gy % CELL, &mut xs, &mut ys) { continue }
                for i in 0..CELL {
                    if !(xs[i].is_finite() && ys[i].is_finite()) { continue }
                    let sx = (xs[i] + 1e-6).floor() as i64 - source.window.x;
                    let sy = (ys[i] + 1e-6).floor() as i64 - source.window.y;
                    if sx < 0 || sy < 0 || sx >= source.window.width as i64 || sy >= source.window.height as i64 { continue }
                    let (sx, sy) = (sx as usize, sy as usize);
                    let c = match &source.validity { Validity::All => 255, Validity::PerPixel(p) => p[[sy, sx]] };
                    if c == 0 { continue }
                    let (dx, dy) = ((grid.window().x - canvas.window.x) as usize + gc * CELL + i, (y - canvas.window.y) as usize);
                    canvas.coverage[[dy, dx]] = c;
                    for b in 0..dst.dim().0 { dst[[b, dy, dx]] = src[[b, sy, sx]]; }
                }
            }
        }
    });
    Ok(())
}
