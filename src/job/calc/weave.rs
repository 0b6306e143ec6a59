//! The computing stage: brings layers onto the grid, evaluates the program chunk by chunk, and rounds the results.

use std::sync::atomic::{AtomicU64, Ordering};

use super::cast::{Misfits, Place, Rounded, cast, cast_each};
use super::feed::{WindowFeed, Yarn};
use super::plan::Plan;
use super::reader::{Thread, Weft};
use crate::block::{Block, SampleType, Samples, Validity, interleaved_slice_mut, interleaved_zeros};
use crate::error::{Error, Result};
use crate::expr::{CHUNK, Feed, Machine, Wanted};
use crate::raster::nodata_as;
use crate::warp::kernel::{Canvas, Edges, warp};

/// What was counted of an output's pixels.
#[derive(Debug, Default)]
struct Counters {
    missing: AtomicU64,
    undefined: AtomicU64,
    clamped: AtomicU64,
    disguised: AtomicU64,
}

/// What was counted of a band's pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Pixels without data.
    pub missing: u64,
    /// Of these, how many have no result though all bands have data there: division by zero, and the like.
    pub undefined: u64,
    /// Results beyond the limits of the type.
    pub clamped: u64,
    /// Results that are the same as the value for no data.
    pub disguised: u64,
}

/// Computes windows. Shared by the threads of the pool.
pub(super) struct Loom<'a> {
    plan: &'a Plan,
    counters: Vec<Counters>,
}

impl<'a> Loom<'a> {
    /// A loom that has counted nothing yet.
    pub fn new(plan: &'a Plan) -> Self {
        Self { plan, counters: (0..plan.bands()).map(|_| Counters::default()).collect() }
    }

    /// What was counted so far, band by band.
    pub fn tally(&self) -> Vec<Tally> {
        let one = |c: &Counters| Tally {
            missing: c.missing.load(Ordering::Relaxed),
            undefined: c.undefined.load(Ordering::Relaxed),
            clamped: c.clamped.load(Ordering::Relaxed),
            disguised: c.disguised.load(Ordering::Relaxed),
        };
        self.counters.iter().map(one).collect()
    }

    /// The output's pixels of a window.
    ///
    /// # Errors
    /// [`Error::Internal`] when what was read does not fit the plan.
    pub fn weave(&self, weft: Weft) -> Result<Block> {
        let Weft { window, threads, degrees } = weft;
        let layers = threads.into_iter().map(|t| self.laid(t)).collect::<Result<Vec<_>>>()?;
        let yarns: Vec<Yarn<'_>> =
            layers.iter().map(|l| l.as_ref().map(Yarn::new)).map(Option::unwrap_or_default).collect();
        let mut feed = WindowFeed::new(self.plan, window, &yarns, degrees.as_ref());
        let samples = match self.plan.form.sample_type {
            SampleType::U8 => self.evaluate::<u8>(&mut feed),
            SampleType::I8 => self.evaluate::<i8>(&mut feed),
            SampleType::U16 => self.evaluate::<u16>(&mut feed),
            SampleType::I16 => self.evaluate::<i16>(&mut feed),
            SampleType::U32 => self.evaluate::<u32>(&mut feed),
            SampleType::I32 => self.evaluate::<i32>(&mut feed),
            SampleType::F32 => self.evaluate::<f32>(&mut feed),
            SampleType::F64 => self.evaluate::<f64>(&mut feed),
        }?;
        Ok(Block { window, samples, validity: Validity::All })
    }

    /// The pixels of a layer on the grid; `None` where it has none.
    fn laid(&self, thread: Thread) -> Result<Option<Block>> {
        let (grid, strands) = match thread {
            Thread::Aligned(block) => return Ok(block),
            Thread::Warped { grid, strands } => (grid, strands),
        };
        let Some((_, first)) = strands.first() else { return Ok(None) };
        let mut canvas = Canvas::new(grid.window(), first.samples.sample_type(), first.bands());
        // Each is dropped once it is drawn.
        for (target, source) in strands {
            warp(&source, &grid, target, self.plan.resampling, Edges::Hard, &mut canvas)?;
        }
        Ok(canvas.into_block())
    }

    fn evaluate<T: Rounded>(&self, feed: &mut WindowFeed<'_>) -> Result<Samples> {
        let (window, bands) = (feed.window(), self.plan.bands());
        let mut array = interleaved_zeros::<T>(bands, window.size());
        let samples = interleaved_slice_mut(&mut array)
            .ok_or_else(|| Error::Internal("new samples that are not interleaved".to_owned()))?;
        let nodata: Option<T> = self.plan.form.nodata.and_then(nodata_as);
        // Without a value for no data there is not-a-number, or zero.
        let empty = nodata.unwrap_or_else(|| T::from_f64(f64::NAN));
        let mut machine = Machine::new(&self.plan.program);
        let mut tallies = vec![Tally::default(); bands];
        for start in (0..window.area()).step_by(CHUNK) {
            let count = CHUNK.min(window.area() - start);
            feed.begin(start);
            machine.run(count, feed);
            for (band, tally) in tallies.iter_mut().enumerate() {
                let samples = &mut samples[start * bands..(start + count) * bands];
                let mut place = Place { samples, bands, band };
                let (values, mut misfits) = (machine.output(band), Misfits::default());
                if !cast(values, &mut place, nodata, &mut misfits) {
                    let mut missing = Vec::new();
                    cast_each(values, &mut place, nodata, empty, &mut misfits, |i| missing.push(i));
                    tally.missing += missing.len() as u64;
                    if let Some(said) = machine.deliberate(band) {
                        missing.retain(|i| said[*i] != 1.0);
                    }
                    tally.undefined += self.undefined(band, &missing, count, feed);
                }
                tally.clamped += misfits.clamped;
                tally.disguised += misfits.disguised;
            }
        }
        for (counters, tally) in self.counters.iter().zip(tallies) {
            let pairs = [
                (&counters.missing, tally.missing),
                (&counters.undefined, tally.undefined),
                (&counters.clamped, tally.clamped),
                (&counters.disguised, tally.disguised),
            ];
            pairs.into_iter().filter(|(_, n)| *n > 0).for_each(|(counter, n)| {
                counter.fetch_add(n, Ordering::Relaxed);
            });
        }
        Ok(T::wrap(array))
    }

    /// How many of the pixels without a result have data in all bands that the output uses.
    fn undefined(&self, output: usize, missing: &[usize], count: usize, feed: &mut WindowFeed<'_>) -> u64 {
        let mut left = missing.to_vec();
        let mut values = vec![0.0; count];
        for slot in &self.plan.program.outputs()[output].slots {
            if left.is_empty() {
                break;
            }
            feed.feed(Wanted::Band(*slot), &mut values);
            left.retain(|i| !values[*i].is_nan());
        }
        left.len() as u64
    }
}
