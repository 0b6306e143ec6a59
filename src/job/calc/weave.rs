//! The computing stage: brings layers onto the grid, evaluates the program chunk by chunk, runs the operations over its results, and
//! rounds what comes out.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::cast::{Misfits, Place, Rounded, cast, cast_each};
use super::feed::{WindowFeed, Yarn};
use super::plan::Plan;
use super::reader::{Thread, Weft};
use super::statistics::BandSums;
use crate::block::{Block, SampleType, Samples, Validity, interleaved_slice_mut, interleaved_zeros};
use crate::error::{Error, Result};
use crate::expr::{CHUNK, Feed, Machine, Wanted};
use crate::op::{Real, Stack, take};
use crate::raster::nodata_as;
use crate::warp::kernel::{Canvas, Edges, warp};
use crate::window::Window;

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
    /// Of each band, where statistics are wanted.
    sums: Vec<Mutex<BandSums>>,
}

impl<'a> Loom<'a> {
    /// A loom that has counted nothing yet.
    pub fn new(plan: &'a Plan) -> Self {
        let counted = if plan.statistics { plan.bands() } else { 0 };
        Self {
            plan,
            counters: (0..plan.bands()).map(|_| Counters::default()).collect(),
            sums: (0..counted).map(|_| Mutex::new(BandSums::new())).collect(),
        }
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

    /// Takes in what was counted elsewhere, band by band.
    pub fn count(&self, tallies: &[Tally]) {
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
    }

    /// Does something with what is known of the values of each band, where statistics are wanted.
    pub fn sums(&self, mut each: impl FnMut(&mut BandSums)) {
        self.sums.iter().for_each(|sums| each(&mut sums.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    /// The statistics of each band as metadata items, where they are wanted.
    pub fn statistics(&self) -> Vec<Vec<(String, String)>> {
        let pixels = self.plan.grid.size.area() as u64;
        let items =
            |sums: &Mutex<BandSums>| sums.lock().unwrap_or_else(PoisonError::into_inner).items(pixels);
        self.sums.iter().map(items).collect()
    }

    /// Takes in the samples of a window, pixel by pixel with all bands.
    fn gather<T: Rounded>(&self, samples: &[T], bands: usize, nodata: Option<T>) {
        for (band, sums) in self.sums.iter().enumerate() {
            let mut own = BandSums::new();
            own.gather(samples.iter().skip(band).step_by(bands).copied(), nodata);
            sums.lock().unwrap_or_else(PoisonError::into_inner).merge(&own);
        }
    }

    /// The output's pixels of a window.
    ///
    /// # Errors
    /// [`Error::Internal`] when what was read does not fit the plan, and those of operations.
    pub fn weave(&self, weft: Weft) -> Result<Block> {
        let Weft { window, wide, threads, degrees } = weft;
        let layers = threads.into_iter().map(|t| self.laid(t)).collect::<Result<Vec<_>>>()?;
        let yarns: Vec<Yarn<'_>> =
            layers.iter().map(|l| l.as_ref().map(Yarn::new)).map(Option::unwrap_or_default).collect();
        let feed = WindowFeed::new(self.plan, wide, &yarns, degrees.as_ref());
        let mut evaluated =
            Evaluated { plan: self.plan, machine: Machine::new(self.plan.chain.program()), feed };
        let chain = &self.plan.chain;
        let samples = if chain.is_program() {
            self.rounded(window, &mut evaluated)
        } else if chain.is_double() {
            let made = self.operated::<f64>(window, &mut evaluated)?;
            drop(layers);
            let samples = self.rounded(window, &mut Made::new(&made));
            made.keep();
            samples
        } else {
            let made = self.operated::<f32>(window, &mut evaluated)?;
            drop(layers);
            let samples = self.rounded(window, &mut Made::new(&made));
            made.keep();
            samples
        }?;
        Ok(Block { window, samples, validity: Validity::All })
    }

    /// What the operations make of a window.
    fn operated<T: Real>(&self, window: Window, evaluated: &mut Evaluated<'_>) -> Result<Stack<T>> {
        let (plan, wide) = (self.plan, evaluated.feed.window());
        let mut undefined = vec![0; plan.bands()];
        let mut stack = Stack::new(wide, plan.chain.program().outputs().len());
        for start in (0..wide.area()).step_by(CHUNK) {
            let count = CHUNK.min(wide.area() - start);
            evaluated.begin(start, count);
            for (band, plane) in stack.planes.iter_mut().enumerate() {
                let values = evaluated.values(band);
                if !take(values, &mut plane[start..start + count]) {
                    continue;
                }
                let inside = |k: &usize| {
                    let (x, y) = ((start + k) % wide.width, (start + k) / wide.width);
                    window.contains(&Window::new(wide.x + x as i64, wide.y + y as i64, 1, 1))
                };
                let missing = (0..count).filter(|k| !values[*k].is_finite()).filter(inside).collect();
                let found = evaluated.undefined(band, missing, count);
                if let Some(counter) = undefined.get_mut(band) {
                    *counter += found;
                }
            }
        }
        let made = plan.chain.run(stack, window, plan.grid.size, &mut undefined)?;
        for (counters, found) in self.counters.iter().zip(undefined) {
            counters.undefined.fetch_add(found, Ordering::Relaxed);
        }
        Ok(made)
    }

    fn rounded(&self, window: Window, results: &mut impl Results) -> Result<Samples> {
        match self.plan.form.sample_type {
            SampleType::U8 => self.rounded_to::<u8>(window, results),
            SampleType::I8 => self.rounded_to::<i8>(window, results),
            SampleType::U16 => self.rounded_to::<u16>(window, results),
            SampleType::I16 => self.rounded_to::<i16>(window, results),
            SampleType::U32 => self.rounded_to::<u32>(window, results),
            SampleType::I32 => self.rounded_to::<i32>(window, results),
            SampleType::F32 => self.rounded_to::<f32>(window, results),
            SampleType::F64 => self.rounded_to::<f64>(window, results),
        }
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

    fn rounded_to<T: Rounded>(&self, window: Window, results: &mut impl Results) -> Result<Samples> {
        let bands = self.plan.bands();
        let mut array = interleaved_zeros::<T>(bands, window.size());
        let samples = interleaved_slice_mut(&mut array)
            .ok_or_else(|| Error::Internal("new samples that are not interleaved".to_owned()))?;
        let nodata: Option<T> = self.plan.form.nodata.and_then(nodata_as);
        // Without a value for no data there is not-a-number, or zero.
        let empty = nodata.unwrap_or_else(|| T::from_f64(f64::NAN));
        let mut tallies = vec![Tally::default(); bands];
        for start in (0..window.area()).step_by(CHUNK) {
            let count = CHUNK.min(window.area() - start);
            results.begin(start, count);
            for (band, tally) in tallies.iter_mut().enumerate() {
                let samples = &mut samples[start * bands..(start + count) * bands];
                let mut place = Place { samples, bands, band };
                let (values, mut misfits) = (results.values(band), Misfits::default());
                if !cast(values, &mut place, nodata, &mut misfits) {
                    let mut missing = Vec::new();
                    cast_each(values, &mut place, nodata, empty, &mut misfits, |i| missing.push(i));
                    tally.missing += missing.len() as u64;
                    tally.undefined += results.undefined(band, missing, count);
                }
                tally.clamped += misfits.clamped;
                tally.disguised += misfits.disguised;
            }
        }
        self.gather(samples, bands, nodata);
        self.count(&tallies);
        Ok(T::wrap(array))
    }
}

/// The results for the pixels of a window, chunk by chunk.
trait Results {
    /// Begins with a chunk, by the number of its first pixel and how many it has.
    fn begin(&mut self, start: usize, count: usize);

    /// The values of a band.
    fn values(&self, band: usize) -> &[f64];

    /// How many of the chunk's pixels without a result should have one.
    fn undefined(&mut self, band: usize, missing: Vec<usize>, count: usize) -> u64;
}

/// Results of the program.
struct Evaluated<'a> {
    plan: &'a Plan,
    machine: Machine<'a>,
    feed: WindowFeed<'a>,
}

impl Results for Evaluated<'_> {
    fn begin(&mut self, start: usize, count: usize) {
        self.feed.begin(start);
        self.machine.run(count, &mut self.feed);
    }

    fn values(&self, band: usize) -> &[f64] {
        self.machine.output(band)
    }

    /// Those that have data in all bands that the output uses, and were not said to have no result.
    fn undefined(&mut self, band: usize, missing: Vec<usize>, count: usize) -> u64 {
        let mut left = missing;
        if let Some(said) = self.machine.deliberate(band) {
            left.retain(|i| said[*i] != 1.0);
        }
        let mut values = vec![0.0; count];
        for slot in &self.plan.chain.program().outputs()[band].slots {
            if left.is_empty() {
                break;
            }
            self.feed.feed(Wanted::Band(*slot), &mut values);
            left.retain(|i| !values[*i].is_nan());
        }
        left.len() as u64
    }
}

/// Results of operations.
struct Made<'a, T> {
    stack: &'a Stack<T>,
    chunks: Vec<Vec<f64>>,
}

impl<'a, T: Real> Made<'a, T> {
    fn new(stack: &'a Stack<T>) -> Self {
        Self { stack, chunks: vec![Vec::with_capacity(CHUNK); stack.planes.len()] }
    }
}

impl<T: Real> Results for Made<'_, T> {
    fn begin(&mut self, start: usize, count: usize) {
        for (chunk, plane) in self.chunks.iter_mut().zip(&self.stack.planes) {
            chunk.clear();
            chunk.extend(plane[start..start + count].iter().map(|v| v.wide()));
        }
    }

    fn values(&self, band: usize) -> &[f64] {
        &self.chunks[band]
    }

    /// They were counted where formulas were computed.
    fn undefined(&mut self, _: usize, _: Vec<usize>, _: usize) -> u64 {
        0
    }
}
