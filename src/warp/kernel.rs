//! Resampling kernels.
