//! What a run took, whatever it made.

use std::time::Duration;

use serde::Serialize;

use super::machine;
use crate::pipeline::Stats;
use crate::raster::chunks::Decoded;

/// What a run took.
#[derive(Debug, Clone, Serialize)]
pub struct Effort {
    /// Wall time, planning and finishing included.
    pub seconds: f64,
    /// Most bytes resident at a time; `None` where the system does not tell.
    pub peak_memory: Option<usize>,
    /// Bytes of source pixels that went through the shared cache.
    pub decoded: u64,
    /// How many times a source block in it was decoded on average.
    pub decode_amplification: f64,
    /// What held the run back.
    pub bottleneck: String,
    /// How busy each stage was.
    pub stats: Stats,
    /// Versions that decide the bytes.
    pub versions: Versions,
}

impl Effort {
    /// That of a run that ends now.
    pub(super) fn new(stats: Stats, decoded: Decoded, elapsed: Duration) -> Self {
        Self {
            seconds: elapsed.as_secs_f64(),
            peak_memory: machine::peak_memory(),
            decoded: decoded.bytes,
            decode_amplification: decoded.amplification(),
            bottleneck: stats.bottleneck(),
            stats,
            versions: Versions::current(),
        }
    }
}

/// Versions of what an output was made with.
#[derive(Debug, Clone, Serialize)]
pub struct Versions {
    /// tileloom.
    pub tileloom: &'static str,
    /// GDAL, as it names itself.
    pub gdal: String,
}

impl Versions {
    /// Those of this program.
    pub fn current() -> Self {
        Self { tileloom: env!("CARGO_PKG_VERSION"), gdal: gdal::version::VersionInfo::release_name() }
    }
}
