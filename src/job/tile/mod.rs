//! `tile`: rasters to web map tiles.
pub mod look;
