//! A raster in memory that says all that one to be written is to say, without its pixels.

use std::path::{Path, PathBuf};

use super::template::{name_in_memory, native_int8};
use super::{DatasetSpec, SourceSpec, raw, reason};
use crate::error::{Error, Result};
use crate::window::Size;

/// Side of the raster in pixels.
const SIDE: usize = 16;

/// A small `GeoTIFF` in memory, which stands in for a raster that does not exist: what is made from that raster takes from here what
/// it says of itself. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct StandIn {
    path: PathBuf,
}

impl StandIn {
    /// A raster that says what a spec tells, as a `GeoTIFF` would that was written so.
    ///
    /// # Errors
    /// [`Error::Usage`] with GDAL's reason when there is no such raster.
    pub fn new(spec: &DatasetSpec) -> Result<Self> {
        let own = Self { path: name_in_memory().into() };
        let size = Size::new(spec.size.width.min(SIDE), spec.size.height.min(SIDE));
        let driver = "GTiff".to_owned();
        let small = DatasetSpec { driver, size, overviews: None, packing: None, ..spec.clone() };
        let make = || {
            let dataset = small.create(&own.path, native_int8())?;
            dataset.close().map_err(|e| reason(&e))
        };
        let (made, _heard): (Result<(), String>, _) = raw::listen(make);
        made.map_err(|why| Error::Usage(format!("GDAL cannot make such a file: {why}")))?;
        Ok(own)
    }

    /// Where it is.
    pub fn source(&self) -> SourceSpec {
        SourceSpec::new(&self.path)
    }

    /// Where GDAL puts what has no place in a `GeoTIFF`; it stays, so that what is made from here can tell that it is lost.
    fn beside(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(".aux.xml");
        name.into()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        remove(&self.path);
        remove(&self.beside());
    }
}

/// What is not there need not be removed.
fn remove(path: &Path) {
    drop(gdal::vsi::unlink_mem_file(path));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::SampleType;

    #[test]
    fn it_says_what_it_is_to_say_and_leaves_nothing() {
        let spec = DatasetSpec {
            nodata: Some(-1.0),
            band_names: vec![Some("height".to_owned())],
            metadata: vec![("KEY".to_owned(), "value".to_owned())],
            ..DatasetSpec::new(Size::new(50_000, 7), 1, SampleType::I16)
        };
        let stand_in = StandIn::new(&spec).expect("made");
        let found = stand_in.source().describe().expect("opens");
        assert_eq!(found.size, Size::new(16, 7));
        assert_eq!(found.bands[0].description.as_deref(), Some("height"));
        assert_eq!((found.bands[0].nodata, found.types[0]), (Some(-1.0), Some(SampleType::I16)));
        assert!(found.metadata.contains(&("KEY".to_owned(), "value".to_owned())));
        let source = stand_in.source();
        drop(stand_in);
        assert!(source.describe().is_err());
    }
}
