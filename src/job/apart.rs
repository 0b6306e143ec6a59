//! Outputs are not written over what is read.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::raster::SourceSpec;
use crate::target::Target;

/// Refuses to write a file over one that is read.
///
/// # Errors
/// [`Error::Output`] naming the input, [`Error::Input`] for one that cannot be opened.
pub(super) fn check_not_an_input<'a>(
    target: &Target,
    inputs: impl IntoIterator<Item = &'a SourceSpec>,
) -> Result<()> {
    let resolved = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let output = resolved(&target.path);
    for spec in inputs {
        let files: Vec<PathBuf> = spec.files()?.into_iter().chain([spec.path.clone()]).collect();
        if files.iter().any(|file| resolved(file) == output) {
            let reason = format!("is read as {}: give the output another name", spec.path.display());
            return Err(Error::output(&target.path, reason));
        }
    }
    Ok(())
}
