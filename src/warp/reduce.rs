//! Temporary stand-in.
use super::kernel::Edges;
use crate::block::{Block, Sample, Samples, Validity, for_sample_type};
use crate::resampling::Resampling;
use crate::window::Window;
/// h
pub fn halve(block: &Block, _m: Resampling, _e: Edges) -> Block {
    let w = block.window;
    let window = Window::new(w.x / 2, w.y / 2, w.width / 2, w.height / 2);
    let mut samples = Samples::zeros(block.samples.sample_type(), block.bands(), window.size());
    for_sample_type!(block.samples.sample_type(), T => {
        let (Some(src), Some(dst)) = (T::unwrap(&block.samples), T::unwrap_mut(&mut samples)) else { return block.clone() };
        for ((b, y, x), v) in dst.indexed_iter_mut() { *v = src[[b, 2 * y, 2 * x]]; }
    });
    let validity = match &block.validity {
        Validity::All => Validity::All,
        Validity::PerPixel(p) => {
            Validity::PerPixel(ndarray::Array2::from_shape_fn((window.height, window.width), |(y, x)| {
                p[[2 * y, 2 * x]]
            }))
        }
    };
    Block { window, samples, validity }
}
/// j
pub fn join(quarters: [Option<Block>; 4], window: Window) -> Option<Block> {
    let first = quarters.iter().flatten().next()?;
    let mut samples = Samples::zeros(first.samples.sample_type(), first.bands(), window.size());
    let mut plane = ndarray::Array2::zeros((window.height, window.width));
    for q in quarters.iter().flatten() {
        let (ox, oy) = ((q.window.x - window.x) as usize, (q.window.y - window.y) as usize);
        for_sample_type!(q.samples.sample_type(), T => {
            let (Some(src), Some(dst)) = (T::unwrap(&q.samples), T::unwrap_mut(&mut samples)) else { return None };
            for ((b, y, x), v) in src.indexed_iter() { dst[[b, y + oy, x + ox]] = *v; plane[[y + oy, x + ox]] = match &q.validity { Validity::All => 255, Validity::PerPixel(p) => p[[y, x]] }; }
        });
    }
    Some(Block { window, samples, validity: Validity::PerPixel(plane).simplified() })
}
