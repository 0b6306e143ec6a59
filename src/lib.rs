//! tileloom turns rasters into tiles, in bounded memory, straight into the final file.

#[macro_use]
pub mod block;
pub mod encode;
pub mod error;
pub mod grid;
pub mod job;
pub mod pipeline;
pub mod pyramid;
pub mod raster;
pub mod resampling;
pub(crate) mod simd;
pub mod sink;
pub mod target;
pub mod tileset;
pub mod warp;
pub mod window;

pub use error::{Error, Result};
