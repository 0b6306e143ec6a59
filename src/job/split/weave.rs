//! The computing stage: the chips of a place, from what was read for it.

use ndarray::Array2;
use serde_json::json;

use super::SplitJob;
use super::inputs::Layer;
use super::plan::Plan;
use super::reader::{Thread, Weft};
use crate::block::{
    Block, Sample, SampleType, Samples, Validity, interleaved_array, interleaved_slice, to_interleaved,
};
use crate::error::{Error, Result};
use crate::warp::coords::whole_cells;
use crate::warp::kernel::{Canvas, Edges, warp};
use crate::window::Window;

/// The chips of a place.
#[derive(Debug)]
pub(super) struct Woven {
    /// The number of the place.
    pub number: usize,
    /// Share of the pixels with data, in the first input.
    pub valid: f64,
    /// The files with their names; none when there is too little data.
    pub files: Option<Vec<(String, Vec<u8>)>>,
}

/// Makes chips. Shared by the threads of the pool.
pub(super) struct Loom<'a> {
    job: &'a SplitJob,
    plan: &'a Plan,
}

impl<'a> Loom<'a> {
    /// A loom for a plan.
    pub fn new(job: &'a SplitJob, plan: &'a Plan) -> Self {
        Self { job, plan }
    }

    /// The chips of a place.
    ///
    /// # Errors
    /// Those of the encoders.
    pub fn weave(&self, weft: Weft) -> Result<Woven> {
        let Weft { number, threads } = weft;
        let window = self.plan.window(number);
        let name = self.plan.name(number);
        let mut files = Vec::new();
        let mut valid = 1.0;
        for (k, (layer, thread)) in self.plan.layers.iter().zip(threads).enumerate() {
            let pixels = self.pixels(layer, thread, window)?;
            if k == 0 {
                valid = share(&pixels);
                if valid < self.job.min_valid {
                    return Ok(Woven { number, valid, files: None });
                }
            }
            let mask = match &pixels.validity {
                _ if !layer.mask => None,
                Validity::PerPixel(coverage) => Some(coverage.clone()),
                Validity::All => Some(Array2::from_elem((window.height, window.width), 255)),
            };
            let last = name.rsplit('/').next().unwrap_or(&name);
            for file in layer.encoder.encode(pixels, mask.as_ref(), last, number as u64)? {
                files
                    .push((self.plan.file_name(self.job, number, &name, layer, &file.extension), file.bytes));
            }
        }
        if self.job.shards.is_some() {
            let text = self.description(number, &name, valid).to_string();
            files.push((format!("{name}.json"), text.into_bytes()));
        }
        Ok(Woven { number, valid, files: Some(files) })
    }

    /// What stands beside the chips of a place in a shard.
    fn description(&self, number: usize, name: &str, valid: f64) -> serde_json::Value {
        let w = self.plan.window(number);
        let mut told = json!({
            "name": name, "x": w.x, "y": w.y, "width": w.width, "height": w.height, "valid": rounded(valid),
        });
        if let Some(subset) = self.plan.subset_name(number) {
            told["subset"] = json!(subset);
        }
        if let Some(g) = self.plan.geotransform(&w) {
            told["geotransform"] = json!(g);
        }
        if let Some(crs) = &self.plan.grid.georeferencing.crs {
            told["crs"] = json!(crs);
        }
        told
    }

    /// All pixels of a place in an input, as its chip holds them.
    fn pixels(&self, layer: &Layer, thread: Thread, window: Window) -> Result<Block> {
        let block = match thread {
            Thread::Aligned(block) => block,
            Thread::Warped { grid, strands } => {
                let inside = window.intersection(&self.plan.raster().window());
                let kind = layer.selection.sample_type;
                let mut canvas = Canvas::new(whole_cells(&inside), kind, layer.selection.bands.len());
                let edges = if layer.alpha { Edges::Soft } else { Edges::Hard };
                for (target, source) in strands {
                    warp(&source, &grid, target, layer.resampling, edges, &mut canvas)?;
                }
                let drawn = canvas.into_block().and_then(|block| block.crop(&inside));
                drawn.map(|block| filled(layer, block)).transpose()?
            }
        };
        match block {
            Some(block) if block.window == window => Ok(block),
            block => for_sample_type!(layer.selection.sample_type, T => padded::<T>(layer, block, window)),
        }
    }
}

/// A share with as many digits as are worth telling.
pub(super) fn rounded(share: f64) -> f64 {
    (share * 1e6).round() / 1e6
}

/// Share of the pixels that have data.
fn share(pixels: &Block) -> f64 {
    match &pixels.validity {
        Validity::All => 1.0,
        Validity::PerPixel(coverage) => {
            coverage.iter().filter(|c| **c > 0).count() as f64 / coverage.len().max(1) as f64
        }
    }
}

/// Resampled pixels with what stands where there is no data, and with opacity if that is a band.
fn filled(layer: &Layer, block: Block) -> Result<Block> {
    let Block { window, samples, validity } = block;
    let samples = for_samples!(&samples, array => {
        let mut values = to_interleaved(array);
        let bands = layer.selection.bands.len();
        let cover = match &validity {
            Validity::All => None,
            Validity::PerPixel(plane) => Some(plane.iter().copied().collect::<Vec<u8>>()),
        };
        fill(&mut values, bands, cover.as_deref(), &layer.fill);
        if layer.alpha { with_alpha(&values, bands, cover.as_deref(), window) } else { wrapped(values, bands, window) }
    })?;
    Ok(Block { window, samples, validity })
}

fn wrapped<T: Sample>(values: Vec<T>, bands: usize, window: Window) -> Result<Samples> {
    let array = interleaved_array(values, bands, window.size());
    array.map(T::wrap).ok_or_else(|| Error::Internal(format!("{window} does not hold its samples")))
}

/// Puts the fill into pixels without data.
fn fill<T: Sample>(values: &mut [T], bands: usize, cover: Option<&[u8]>, fill: &[f64]) {
    let fill: Vec<T> = fill.iter().take(bands).map(|v| T::from_f64(*v)).collect();
    let pixels = values.chunks_exact_mut(bands.max(1)).zip(cover.unwrap_or_default());
    pixels.filter(|(_, c)| **c == 0).for_each(|(pixel, _)| pixel.copy_from_slice(&fill));
}

/// Pixels with their coverage as a further band.
fn with_alpha<T: Sample>(
    values: &[T],
    bands: usize,
    cover: Option<&[u8]>,
    window: Window,
) -> Result<Samples> {
    let opaque = match T::TYPE {
        SampleType::U8 => 255.0,
        SampleType::I8 => 127.0,
        SampleType::U16 => 65_535.0,
        SampleType::I16 => 32_767.0,
        SampleType::U32 => f64::from(u32::MAX),
        SampleType::I32 => f64::from(i32::MAX),
        SampleType::F32 | SampleType::F64 => 1.0,
    };
    let opacity = |k: usize| T::from_f64(f64::from(cover.map_or(255, |c| c[k])) / 255.0 * opaque);
    let pixels = values.chunks_exact(bands.max(1)).enumerate();
    let all = pixels.flat_map(|(k, pixel)| pixel.iter().copied().chain([opacity(k)])).collect();
    wrapped(all, bands + 1, window)
}

/// Pixels of a larger window, filled up.
fn padded<T: Sample>(layer: &Layer, block: Option<Block>, window: Window) -> Result<Block> {
    let bands = layer.fill.len();
    let fill: Vec<T> = layer.fill.iter().map(|v| T::from_f64(*v)).collect();
    let mut values: Vec<T> = fill.iter().copied().cycle().take(window.area() * bands).collect();
    let mut coverage = Array2::zeros((window.height, window.width));
    if let Some(Block { window: own, samples, validity }) = block {
        let array =
            T::unwrap(&samples).ok_or_else(|| Error::Internal("pixels of another type".to_owned()))?;
        let copy;
        let source = if let Some(source) = interleaved_slice(array) {
            source
        } else {
            copy = to_interleaved(array);
            &copy
        };
        let (left, top) = ((own.x - window.x) as usize, (own.y - window.y) as usize);
        for (y, row) in source.chunks_exact(own.width * bands).enumerate() {
            let at = ((top + y) * window.width + left) * bands;
            values[at..at + row.len()].copy_from_slice(row);
        }
        let part = ndarray::s![top..top + own.height, left..left + own.width];
        match validity {
            Validity::All => coverage.slice_mut(part).fill(255),
            Validity::PerPixel(plane) => coverage.slice_mut(part).assign(&plane),
        }
    }
    let samples = wrapped(values, bands, window)?;
    Ok(Block { window, samples, validity: Validity::PerPixel(coverage).simplified() })
}
