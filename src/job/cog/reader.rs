//! The reading stage: the pixels of a metatile, all bands as they are stored.

use super::plan::{Layer, Plan};
use crate::block::{Assembly, Block, Sample, Validity, interleaved_slice_mut};
use crate::error::{Error, Result};
use crate::raster::chunks::ChunkCache;
use crate::raster::{Source, Workspace};
use crate::window::Window;

/// Most rasters a reader keeps open.
const OPEN_INPUTS: usize = 32;

/// Reads inputs for metatiles, on one thread. Rasters are opened when first needed.
pub(super) struct CogReader<'a> {
    plan: &'a Plan,
    cache: &'a ChunkCache,
    /// The one used last stands last.
    sources: Vec<(usize, Source)>,
    work: Workspace,
}

impl<'a> CogReader<'a> {
    /// A reader that has nothing open yet.
    pub fn new(plan: &'a Plan, cache: &'a ChunkCache) -> Self {
        Self { plan, cache, sources: Vec::new(), work: Workspace::default() }
    }

    /// Reads the pixels of a window.
    ///
    /// # Errors
    /// [`Error::Input`] naming the input and the window that cannot be read.
    pub fn read(&mut self, window: Window) -> Result<Block> {
        match &self.plan.layers[..] {
            [layer] if layer.place == self.plan.levels[0].window() => self.part(0, layer, window),
            _ => self.mosaic(window),
        }
    }

    /// A window of several inputs, later ones over earlier ones.
    fn mosaic(&mut self, window: Window) -> Result<Block> {
        let plan = self.plan;
        let (sample_type, bands) = (plan.sample_type(), plan.grouping.fill.len());
        let mut assembly = Assembly::uncovered(window, sample_type, bands);
        for number in plan.places.touching(&window) {
            let layer = &plan.layers[number];
            let Window { x, y, .. } = layer.place;
            let wanted = window.intersection(&layer.place).moved(-x, -y);
            let part = self.part(number, layer, wanted)?;
            let place = part.window.moved(x, y);
            assembly.lay_at(&part, place);
        }
        let block = assembly.finish().ok_or_else(|| Error::Internal(format!("gaps in {window}")))?;
        Ok(filled(block, &plan.grouping.fill))
    }

    /// A window of an input in its own pixels.
    fn part(&mut self, number: usize, layer: &'a Layer, window: Window) -> Result<Block> {
        if window.is_made_of(layer.description.block, layer.description.size) {
            // No other window takes any of these blocks.
            let source = source(&mut self.sources, number, layer)?;
            return source.read_with(window, &mut self.work, None);
        }
        let (sources, work) = (&mut self.sources, &mut self.work);
        self.cache.gather(number, &layer.layout, &layer.selection, window, |chunk, spare| {
            source(sources, number, layer)?.read_with(chunk, work, spare)
        })
    }
}

fn source<'s>(sources: &'s mut Vec<(usize, Source)>, number: usize, layer: &Layer) -> Result<&'s Source> {
    let found = sources.iter().position(|(n, _)| *n == number);
    let entry = if let Some(at) = found {
        sources.remove(at)
    } else {
        if sources.len() >= OPEN_INPUTS {
            sources.remove(0);
        }
        (number, Source::open(&layer.spec, &layer.description, &layer.selection, None)?)
    };
    if entry.1.size() != layer.description.size {
        return Err(layer.spec.error("changed while it was being read"));
    }
    sources.push(entry);
    sources.last().map(|(_, source)| source).ok_or_else(|| Error::Internal("a source was lost".to_owned()))
}

/// The same pixels, with what stands where there is no data.
pub(super) fn filled(mut block: Block, fill: &[f64]) -> Block {
    fn put<T: Sample>(array: &mut ndarray::Array3<T>, coverage: &ndarray::Array2<u8>, fill: &[f64]) {
        let fill: Vec<T> = fill.iter().map(|v| T::from_f64(*v)).collect();
        let values = interleaved_slice_mut(array).unwrap_or_default();
        for (pixel, covered) in values.chunks_exact_mut(fill.len().max(1)).zip(coverage) {
            if *covered == 0 {
                pixel.copy_from_slice(&fill);
            }
        }
    }
    let Validity::PerPixel(coverage) = &block.validity else { return block };
    for_samples!(&mut block.samples, array => put(array, coverage, fill));
    block
}
