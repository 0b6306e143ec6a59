//! What a folder of chips looks like from outside: it may be replaced by a new one.
//!
//! Chips may have any names, so the folder says itself what it is: `chips.json` tells the extensions of all files that belong to
//! it. A folder with a file of another kind is nobody's to remove but its owner's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::failed;
use crate::error::Result;

/// The file that describes the chips; it is the first in the folder.
pub(crate) const DESCRIPTION: &str = "chips.json";

/// What a folder holds.
pub(super) enum Found {
    /// Nothing.
    Empty,
    /// Chips and what describes them.
    Chips,
    /// Something else, for this reason.
    Other(String),
}

/// Looks into a folder, and into those in it.
///
/// # Errors
/// [`crate::Error::Output`] when it cannot be read.
pub(super) fn look(path: &Path) -> Result<Found> {
    let unreadable = |e: io::Error| failed(path, "cannot be read", &e);
    if fs::read_dir(path).map_err(unreadable)?.next().is_none() {
        return Ok(Found::Empty);
    }
    let text = match fs::read_to_string(path.join(DESCRIPTION)) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => String::new(),
        Err(e) => return Err(unreadable(e)),
    };
    let described: Value = serde_json::from_str(&text).unwrap_or_default();
    let Some(extensions) = described["extensions"].as_array() else {
        return Ok(Found::Other(format!("it has no {DESCRIPTION} of a folder of chips")));
    };
    let extensions: Vec<&str> = extensions.iter().filter_map(Value::as_str).collect();
    match foreign(path, &extensions).map_err(unreadable)? {
        Some(name) => Ok(Found::Other(format!("'{}' in it is no chip", name.display()))),
        None => Ok(Found::Chips),
    }
}

/// A file that ends like none of those that belong to chips.
fn foreign(folder: &Path, extensions: &[&str]) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            if let Some(inside) = foreign(&entry.path(), extensions)? {
                return Ok(Some(Path::new(&name).join(inside)));
            }
            continue;
        }
        let text = name.to_string_lossy();
        if !extensions.iter().any(|extension| text.ends_with(extension)) {
            return Ok(Some(name.into()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::super::{Shape, Target};
    use super::*;
    use crate::error::Error;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("tempdir");
        for (name, text) in files {
            let path = dir.path().join("set").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        dir
    }

    fn check(dir: &tempfile::TempDir, overwrite: bool) -> Result<()> {
        Target { overwrite, ..Target::new(dir.path().join("set")) }.check(Shape::Chips)
    }

    const DESCRIBED: (&str, &str) = (DESCRIPTION, r#"{"extensions": [".tif", ".json", ".csv"]}"#);

    #[test]
    fn chips_are_replaced_when_asked_and_nothing_else_ever() {
        let chips = folder(&[DESCRIBED, ("train/a_0_0.tif", ""), ("index.csv", "")]);
        let error = check(&chips, false).expect_err("stands there").to_string();
        assert!(error.contains("--overwrite"), "{error}");
        check(&chips, true).expect("replaced");
        for (files, word) in [
            (&[DESCRIBED, ("train/thesis.odt", "")][..], "thesis.odt"),
            (&[("a.tif", "")], "no chips.json"),
            (&[(DESCRIPTION, "{}")], "no chips.json"),
        ] {
            let error = check(&folder(files), true).expect_err(word);
            assert!(matches!(&error, Error::Output { reason, .. } if reason.contains(word)), "{error}");
        }
    }

    #[test]
    fn a_crashed_runs_chips_are_cleared_away() {
        let dir = folder(&[]);
        fs::create_dir_all(dir.path().join("set.partial/val")).expect("made");
        fs::write(dir.path().join("set.partial").join(DESCRIPTION), DESCRIBED.1).expect("written");
        fs::write(dir.path().join("set.partial/val/a.tif"), "torn").expect("written");
        drop(Target::new(dir.path().join("set")).claim(Shape::Chips).expect("stale work is replaced"));
        assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 0);
        fs::create_dir_all(dir.path().join("set.partial/thesis")).expect("made");
        fs::write(dir.path().join("set.partial/thesis/one.odt"), "").expect("written");
        assert!(Target::new(dir.path().join("set")).claim(Shape::Chips).is_err());
        assert!(dir.path().join("set.partial/thesis/one.odt").exists());
    }
}
