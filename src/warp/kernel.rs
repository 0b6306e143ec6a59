//! Resampling kernels.
use crate::resampling::Resampling;
/// TEMP
pub fn halo(method: Resampling, scale: f32) -> usize {
    (method.radius() * f64::from(scale.max(1.0))).ceil() as usize + 1
}
