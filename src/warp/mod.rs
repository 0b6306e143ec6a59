//! Reprojection and resampling of blocks of pixels: coordinates come from GDAL as plain data, the kernels are our own.

pub mod coords;
pub mod exclusion;
pub mod footprint;
pub mod kernel;
pub mod locate;
pub mod pieces;
pub mod reduce;
pub mod stencil;
