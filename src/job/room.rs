//! Whether the disk has room for what a job is about to write.
//!
//! A run that cannot end well should not begin. How much an output takes is certain where nothing is compressed; elsewhere
//! what is known is the most it can take, or an estimate, and that is told instead of held against the user.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::raster::DatasetSpec;
use crate::sink::Target;

/// What a job writes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    /// Size of the output.
    pub output: u64,
    /// Size of the temporary file beside it, or in the temporary folder.
    pub spool: u64,
    /// Whether it will take no less.
    pub certain: bool,
}

impl Need {
    /// What a raster takes that is written by windows.
    pub fn of(spec: &DatasetSpec) -> Self {
        let base = spec.size.area() as u64 * (spec.bands * spec.sample_type.bytes()) as u64;
        let overviews = if spec.overviews.is_some() { base / 3 } else { 0 };
        let plain = spec.driver == "GTiff" && is_plain(&spec.creation_options);
        Self { output: base.saturating_add(overviews), spool: 0, certain: plain && overviews == 0 }
    }
}

/// Whether creation options of GDAL's drivers for GeoTIFF ask for neither compression nor for leaving out what is empty.
pub(super) fn is_plain(options: &[String]) -> bool {
    options.iter().all(|option| {
        let option = option.to_ascii_uppercase();
        match option.split_once('=') {
            Some(("COMPRESS", method)) => method == "NONE",
            Some(("SPARSE_OK", _)) => false,
            _ => true,
        }
    })
}

/// Whether the user would rather see for himself; the setting of GDAL's own check.
fn is_waived() -> bool {
    let setting = gdal::config::get_config_option("CHECK_DISK_FREE_SPACE", "").unwrap_or_default();
    ["NO", "FALSE", "OFF", "0"].contains(&setting.to_ascii_uppercase().as_str())
}

/// Bytes a user may still write to the disk that holds a folder; `None` where that is not told.
fn free(folder: &Path) -> Option<u64> {
    rustix::fs::statvfs(folder).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The folder of the output.
fn home(target: &Target) -> PathBuf {
    let path = std::fs::canonicalize(&target.path).unwrap_or_else(|_| target.path.clone());
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Compares what is needed with what is free. A note says when there may not be room enough.
///
/// # Errors
/// [`Error::Output`] when there is certainly not.
pub(super) fn check(target: &Target, need: Need) -> Result<Option<String>> {
    let home = home(target);
    let device = |folder: &Path| std::fs::metadata(folder).map(|m| m.dev()).ok();
    let elsewhere = target.tmp_dir.as_ref().filter(|folder| device(folder) != device(&home));
    let needs = match elsewhere {
        Some(folder) => vec![(home.as_path(), need.output), (folder.as_path(), need.spool)],
        None => vec![(home.as_path(), need.output.saturating_add(need.spool))],
    };
    for (folder, bytes) in needs {
        let Some(free) = free(folder).filter(|free| *free < bytes && !is_waived()) else { continue };
        let (bytes, free) = (told(bytes), told(free));
        if need.certain {
            let reason = format!(
                "there is not enough space: it takes at least {bytes}, and {free} are free (--config CHECK_DISK_FREE_SPACE=NO to try)"
            );
            return Err(Error::output(&target.path, reason));
        }
        return Ok(Some(format!(
            "the disk of '{}' may become full: {free} are free, and up to {bytes} may be needed",
            folder.display()
        )));
    }
    Ok(None)
}

/// A number of bytes in words.
fn told(bytes: u64) -> String {
    match bytes {
        0..10_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        10_000_000..10_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::SampleType;
    use crate::window::Size;

    #[test]
    fn what_certainly_does_not_fit_is_refused_and_what_may_not_fit_is_told() {
        let dir = tempfile::tempdir().expect("tempdir");
        let target = Target::new(dir.path().join("out.tif"));
        let need = |output, certain| Need { output, spool: 0, certain };
        assert_eq!(check(&target, need(1000, true)).ok(), Some(None));
        let error = check(&target, need(u64::MAX, true)).expect_err("no disk is so large");
        assert!(matches!(&error, Error::Output { .. }) && error.to_string().contains("space"), "{error}");
        let note = check(&target, need(u64::MAX, false)).expect("not certain").expect("told");
        assert!(note.contains("may become full"), "{note}");
        let both = Need { output: 10, spool: u64::MAX, certain: false };
        assert!(check(&target, both).expect("not certain").is_some());
    }

    #[test]
    fn only_what_is_neither_compressed_nor_sparse_takes_a_certain_size() {
        let options = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert!(is_plain(&options("TILED=YES compress=none BLOCKXSIZE=256")));
        assert!(!is_plain(&options("COMPRESS=LZW")) && !is_plain(&options("SPARSE_OK=TRUE")));
        let spec = DatasetSpec::new(Size::new(1000, 1000), 3, SampleType::U16);
        assert_eq!(Need::of(&spec), Need { output: 6_000_000, spool: 0, certain: true });
    }

    #[test]
    fn bytes_are_told_in_words() {
        assert_eq!([1, 20_000_000, 30_000_000_000].map(told), ["1 kB", "20 MB", "30.0 GB"]);
    }
}
