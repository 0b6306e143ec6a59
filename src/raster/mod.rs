//! GDAL behind safe types. Paths travel between threads; the types that hold a dataset are `!Send`.

mod blocks;
pub mod chip;
pub mod chunks;
pub mod codec;
pub mod coverage;
mod creation;
pub mod crs;
pub mod cutline;
pub mod describe;
pub mod environment;
pub(crate) mod footprints;
pub mod frame;
mod geokeys;
pub mod georef;
pub mod ifd;
pub mod inputs;
pub mod losses;
mod lzw;
mod pack;
mod packed;
mod predictor;
pub(crate) mod probe;
mod raw;
mod retry;
pub(crate) mod served;
pub mod source;
pub(crate) mod standin;
pub mod template;
mod tiff;
mod validity;
pub mod writer;
mod zstd;

pub use blocks::Workspace;
pub use creation::check_creation_options;
pub use describe::Description;
pub use frame::Frame;
pub use georef::{Georeferencing, Locator, Locators};
pub use pack::{Packed, Packing};
pub use source::{Source, SourceSpec, SrcNodata};
pub(crate) use validity::nodata_as;
pub use writer::{DatasetSpec, DatasetWriter};

/// GDAL's reason for an error on one line, without the wrapping the bindings put around it.
pub(crate) fn reason(error: &gdal::errors::GdalError) -> String {
    use gdal::errors::GdalError;
    let text = match error {
        GdalError::CplError { msg, .. } | GdalError::NullPointer { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "GDAL gives no reason".to_owned() } else { line }
}
