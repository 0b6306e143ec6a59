//! The computing stage: resamples the inputs under a window and lays them over each other.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Overlap;
use super::finish::{Counted, finished};
use super::plan::Plan;
use super::reader::{Thread, Weft};
use crate::block::{Block, Sample, Validity, interleaved_array, interleaved_slice};
use crate::error::{Error, Result};
use crate::warp::coords::whole_cells;
use crate::warp::kernel::{Canvas, Extreme, warp};
use crate::window::Window;

/// Resamples windows. Shared by the threads of the pool.
pub(in crate::job) struct Loom<'a> {
    plan: &'a Plan,
    missing: AtomicU64,
    clamped: AtomicU64,
    moved: AtomicU64,
}

impl<'a> Loom<'a> {
    /// A loom that has counted nothing yet.
    pub fn new(plan: &'a Plan) -> Self {
        Self { plan, missing: AtomicU64::new(0), clamped: AtomicU64::new(0), moved: AtomicU64::new(0) }
    }

    /// What was counted so far.
    pub(in crate::job::warp) fn tally(&self) -> Counted {
        Counted {
            missing: self.missing.load(Ordering::Relaxed),
            clamped: self.clamped.load(Ordering::Relaxed),
            moved: self.moved.load(Ordering::Relaxed),
        }
    }

    /// Takes in what was counted elsewhere.
    pub(super) fn count(&self, counted: Counted) {
        self.missing.fetch_add(counted.missing, Ordering::Relaxed);
        self.clamped.fetch_add(counted.clamped, Ordering::Relaxed);
        self.moved.fetch_add(counted.moved, Ordering::Relaxed);
    }

    /// The output's pixels of a window as they are stored, and where they have data.
    ///
    /// # Errors
    /// [`Error::Internal`] when what was read does not fit the plan.
    pub fn weave(&self, weft: Weft) -> Result<Block> {
        let Weft { window, threads } = weft;
        let canvas = match self.plan.overlap {
            Overlap::Last | Overlap::First => self.laid(window, threads)?,
            Overlap::Min => self.extreme(window, threads, Extreme::Min)?,
            Overlap::Max => self.extreme(window, threads, Extreme::Max)?,
            Overlap::Average => return self.mean(window, threads),
        };
        self.finish(window, self.cut(canvas).into_block())
    }

    fn canvas(&self, window: Window) -> Canvas {
        Canvas::new(whole_cells(&window), self.plan.working, self.plan.bands)
    }

    /// Draws an input. Each part is dropped once it is drawn.
    fn draw(&self, thread: Thread, canvas: &mut Canvas) -> Result<()> {
        let Thread { grid, method, strands } = thread;
        strands
            .into_iter()
            .try_for_each(|(target, source)| warp(&source, &grid, target, method, self.plan.edges, canvas))
    }

    /// All inputs, one over the other.
    fn laid(&self, window: Window, threads: Vec<Thread>) -> Result<Canvas> {
        let mut canvas = self.canvas(window);
        threads.into_iter().try_for_each(|thread| self.draw(thread, &mut canvas))?;
        Ok(canvas)
    }

    /// The least or the greatest value of all inputs.
    fn extreme(&self, window: Window, threads: Vec<Thread>, extreme: Extreme) -> Result<Canvas> {
        let mut all = self.canvas(window);
        for thread in threads {
            let mut one = self.canvas(window);
            self.draw(thread, &mut one)?;
            all.merge(&one, extreme);
        }
        Ok(all)
    }

    /// The mean of all inputs, weighted by coverage.
    fn mean(&self, window: Window, threads: Vec<Thread>) -> Result<Block> {
        let (bands, whole) = (self.plan.bands, whole_cells(&window));
        let mut sums = Sums { values: vec![0.0; whole.area() * bands], weights: vec![0.0; whole.area()] };
        let mut coverage = vec![0u8; whole.area()];
        for thread in threads {
            let mut one = self.canvas(window);
            self.draw(thread, &mut one)?;
            if let Some(block) = self.cut(one).into_block() {
                sums.add(&block, &mut coverage);
            }
        }
        if coverage.iter().all(|c| *c == 0) {
            return self.finish(window, None);
        }
        let samples = for_sample_type!(self.plan.working, T => {
            interleaved_array(sums.means::<T>(bands), bands, whole.size()).map(T::wrap)
        });
        let samples = samples.ok_or_else(|| Error::Internal("window too large".to_owned()))?;
        let plane = ndarray::Array2::from_shape_vec((whole.height, whole.width), coverage);
        let plane = plane.map_err(|e| Error::Internal(e.to_string()))?;
        let block = Block { window: whole, samples, validity: Validity::PerPixel(plane).simplified() };
        self.finish(window, Some(block))
    }

    /// Takes away what lies outside of the cutline.
    fn cut(&self, mut canvas: Canvas) -> Canvas {
        if let Some(stencil) = &self.plan.stencil {
            stencil.cut(&mut canvas);
        }
        canvas
    }

    fn finish(&self, window: Window, pixels: Option<Block>) -> Result<Block> {
        let pixels = match pixels {
            Some(block) if block.window != window => {
                Some(block.crop(&window).ok_or_else(|| Error::Internal(format!("{window} was not made")))?)
            }
            other => other,
        };
        let (block, counted) = finished(self.plan, window, pixels)?;
        self.count(counted);
        Ok(block)
    }
}

/// Sums of pixels, weighted by coverage.
struct Sums {
    /// Pixel-interleaved.
    values: Vec<f64>,
    weights: Vec<f64>,
}

impl Sums {
    fn add(&mut self, block: &Block, coverage: &mut [u8]) {
        let bands = block.bands();
        let plane = match &block.validity {
            Validity::All => None,
            Validity::PerPixel(plane) => plane.as_slice(),
        };
        for_samples!(&block.samples, array => {
            let Some(samples) = interleaved_slice(array) else { return };
            for (k, pixel) in samples.chunks_exact(bands).enumerate() {
                let cover = plane.map_or(255, |p| p[k]);
                if cover == 0 {
                    continue;
                }
                let weight = f64::from(cover);
                self.weights[k] += weight;
                coverage[k] = coverage[k].max(cover);
                for (sum, value) in self.values[k * bands..].iter_mut().zip(pixel) {
                    *sum += weight * value.to_f64();
                }
            }
        });
    }

    fn means<T: Sample>(&self, bands: usize) -> Vec<T> {
        let pixels = self.values.chunks_exact(bands).zip(&self.weights);
        let mean = |(values, weight): (&[f64], &f64)| {
            let weight = *weight;
            values
                .iter()
                .map(move |v| if weight > 0.0 { T::from_f64(v / weight) } else { T::default() })
                .collect::<Vec<T>>()
        };
        pixels.flat_map(mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Samples;

    #[test]
    fn means_count_what_is_covered() {
        let window = Window::new(0, 0, 2, 1);
        let block = |values: Vec<i16>, coverage: [u8; 2]| Block {
            window,
            samples: Samples::I16(interleaved_array(values, 1, window.size()).expect("fits")),
            validity: Validity::PerPixel(
                ndarray::Array2::from_shape_vec((1, 2), coverage.to_vec()).expect("fits"),
            ),
        };
        let mut sums = Sums { values: vec![0.0; 2], weights: vec![0.0; 2] };
        let mut coverage = [0; 2];
        sums.add(&block(vec![10, 7], [255, 0]), &mut coverage);
        sums.add(&block(vec![-3, 9], [255, 0]), &mut coverage);
        assert_eq!((sums.means::<i16>(1), coverage), (vec![4, 0], [255, 0]));
    }
}
