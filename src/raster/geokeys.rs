//! What the keys of a `GeoTIFF` mean, asked of GDAL once.
//!
//! Mosaics come in thousands of files whose keys are the same, and to make a coordinate reference system of keys takes longer than all
//! else that is done to describe a file.

use std::cell::RefCell;
use std::fs::File;
use std::rc::Rc;

use gdal::Dataset;

use super::describe::Description;
use super::georef::Method;
use super::{SourceSpec, tiff};

/// The tags that hold the keys, their numbers and their texts, and GDAL's metadata, which may name units.
const TAGS: [u64; 4] = [34735, 34736, 34737, 42112];

/// The first of them: without it there are no keys.
const DIRECTORY: u64 = TAGS[0];

/// Meanings that a thread remembers at most.
const MOST: usize = 32;

/// What GDAL takes from the keys of a file.
pub(super) struct Meaning {
    /// The coordinate reference system: authority code, else its name.
    pub crs: Option<String>,
    /// The same as well-known text.
    pub wkt: Option<String>,
    /// Units of the bands, which may be that of the heights.
    pub units: Vec<Option<String>>,
}

thread_local! {
    /// Keys and what they mean, the oldest first.
    static KNOWN: RefCell<Vec<(GeoKeys, Rc<Meaning>)>> = const { RefCell::new(Vec::new()) };
}

/// The keys of a file whose coordinate reference system and units depend on nothing else.
#[derive(PartialEq)]
pub(super) struct GeoKeys {
    bands: usize,
    words: Vec<(u64, Vec<u8>)>,
}

impl GeoKeys {
    /// `None` for anything but a local `GeoTIFF` with keys of its own and without GDAL's `.aux.xml`, whose word counts more.
    pub fn of(spec: &SourceSpec, dataset: &Dataset) -> Option<Self> {
        let plain =
            !spec.is_remote() && spec.open_options.is_empty() && dataset.driver().short_name() == "GTiff";
        let proxies =
            || gdal::config::get_config_option("GDAL_PAM_PROXY_DIR", "").map_or(true, |d| !d.is_empty());
        if !plain || proxies() {
            return None;
        }
        let mut beside = spec.path.clone().into_os_string();
        beside.push(".aux.xml");
        // Of a raster with control points GDAL tells the coordinate reference system in other ways.
        if std::fs::exists(beside).unwrap_or(true) || !dataset.gcps().is_empty() {
            return None;
        }
        let words = tiff::words(&File::open(&spec.path).ok()?, &TAGS)?;
        let has_keys = words.iter().any(|(tag, _)| *tag == DIRECTORY);
        has_keys.then_some(Self { bands: dataset.raster_count(), words })
    }

    /// What they mean, if that has been asked.
    pub fn meaning(&self) -> Option<Rc<Meaning>> {
        KNOWN.with_borrow(|known| known.iter().find(|(keys, _)| keys == self).map(|(_, m)| Rc::clone(m)))
    }

    /// Keeps what GDAL has made of them.
    pub fn mean(self, description: &Description) {
        let georeferencing = &description.georeferencing;
        if georeferencing.method != Method::Affine || georeferencing.wkt.is_none() {
            return;
        }
        let meaning = Meaning {
            crs: georeferencing.crs.clone(),
            wkt: georeferencing.wkt.clone(),
            units: description.bands.iter().map(|b| b.unit.clone()).collect(),
        };
        KNOWN.with_borrow_mut(|known| {
            if known.len() >= MOST {
                known.remove(0);
            }
            known.push((self, Rc::new(meaning)));
        });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn described(path: &Path) -> String {
        format!("{:?}", SourceSpec::new(path).describe().expect("described"))
    }

    #[test]
    fn files_are_described_alike_whatever_was_described_before() {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        let files = std::fs::read_dir(testdata).expect("testdata").map(|e| e.expect("entry").path());
        let mut files: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == "tif")).collect();
        files.sort();
        let first: Vec<_> = files.iter().map(|f| described(f)).collect();
        assert!(KNOWN.with_borrow(Vec::len) > 3, "nothing is known");
        assert_eq!(files.iter().map(|f| described(f)).collect::<Vec<_>>(), first);
        // Each on a thread of its own, where nothing is known.
        let alone = |f: &std::path::PathBuf| {
            std::thread::scope(|scope| scope.spawn(|| described(f)).join().expect("joined"))
        };
        assert_eq!(files.iter().map(alone).collect::<Vec<_>>(), first);
    }

    #[test]
    fn a_word_of_gdal_beside_the_file_counts_more_than_what_is_known() {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
        let dir = tempfile::tempdir().expect("tempdir");
        let copy = dir.path().join("copy.tif");
        std::fs::copy(testdata.join("rgb.tif"), &copy).expect("copied");
        assert!(!described(&copy).contains("EPSG:3857"));
        let beside = "<PAMDataset><SRS>EPSG:3857</SRS></PAMDataset>";
        std::fs::write(dir.path().join("copy.tif.aux.xml"), beside).expect("written");
        assert!(described(&copy).contains("EPSG:3857"));
    }
}
