//! GDAL's settings for the whole process.

use super::{raw, reason};
use crate::error::{Error, Result};

/// Settings that keep runs reproducible and free of surprises, unless the user sets them, by `--config` or in the
/// environment: no pixel functions in Python, no threads behind the pool's back, no waiting for servers without end,
/// but asking them again when they are busy or break off (GDAL doubles the delay each time), and a small block cache, because source blocks are cached by tileloom itself.
const DEFAULTS: [(&str, &str); 8] = [
    ("VRT_NUM_THREADS", "1"),
    ("GDAL_NUM_THREADS", "1"),
    ("GDAL_VRT_ENABLE_PYTHON", "NO"),
    ("GDAL_HTTP_CONNECTTIMEOUT", "15"),
    ("GDAL_HTTP_TIMEOUT", "60"),
    ("GDAL_HTTP_MAX_RETRY", "4"),
    ("GDAL_HTTP_RETRY_DELAY", "0.5"),
    ("GDAL_CACHEMAX", "16"),
];

/// Applies the user's `KEY=VALUE` settings and tileloom's own defaults; to be called before the first raster is opened.
/// GDAL's messages go to `heard`, which may be called from any thread.
///
/// # Errors
/// [`Error::Usage`] for a setting that is not `KEY=VALUE`.
pub fn prepare(settings: &[String], heard: impl Fn(&str) + Send + Sync + 'static) -> Result<()> {
    let mut keys = Vec::new();
    for setting in settings {
        let (key, value) = setting
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| Error::Usage(format!("--config {setting}: give KEY=VALUE")))?;
        set(key, value)?;
        keys.push(key.to_ascii_uppercase());
    }
    for (key, value) in DEFAULTS {
        if std::env::var_os(key).is_none() && !keys.iter().any(|k| k == key) {
            set(key, value)?;
        }
    }
    if std::env::var_os("PROJ_NETWORK").is_none() {
        raw::disable_proj_network();
    }
    gdal::config::set_error_handler(move |_class, _number, text| heard(text));
    Ok(())
}

/// A setting of GDAL on this thread, for as long as this value lives. The user's own setting stays in force.
pub(super) struct LocalSetting(Option<&'static str>);

impl LocalSetting {
    /// How many files of a folder GDAL lists when it opens one of them.
    pub(super) fn listing_limit(files: usize) -> Self {
        Self::new("GDAL_READDIR_LIMIT_ON_OPEN", &files.to_string())
    }

    /// Positions that do not lead back to where they came from have no counterpart: of a globe that is seen from one side, the
    /// other has none.
    pub(super) fn checked_both_ways() -> Self {
        Self::new("CHECK_WITH_INVERT_PROJ", "TRUE")
    }

    /// Masks go into the files of the rasters they belong to, not beside them.
    pub(super) fn mask_inside() -> Self {
        Self::new("GDAL_TIFF_INTERNAL_MASK", "TRUE")
    }

    fn new(key: &'static str, value: &str) -> Self {
        let unset = gdal::config::get_config_option(key, "").is_ok_and(|value| value.is_empty());
        let set = || gdal::config::set_thread_local_config_option(key, value).is_ok();
        Self((unset && set()).then_some(key))
    }
}

impl Drop for LocalSetting {
    fn drop(&mut self) {
        if let Some(key) = self.0 {
            // Clearing a setting cannot fail; if it did, it would stay in force.
            let _ = gdal::config::clear_thread_local_config_option(key);
        }
    }
}

fn set(key: &str, value: &str) -> Result<()> {
    gdal::config::set_config_option(key, value)
        .map_err(|e| Error::Usage(format!("--config {key}: {}", reason(&e))))
}
