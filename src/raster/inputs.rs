//! From what users write to the rasters they mean: folders, patterns, lists, archives and addresses.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::reason;
use crate::error::{Error, Result};

/// Extensions of files that are taken from folders and archives; others have to be named.
const RASTERS: [&str; 15] =
    ["asc", "bil", "dt0", "dt1", "dt2", "ecw", "flt", "hgt", "img", "jp2", "nc", "sid", "tif", "tiff", "vrt"];

/// Extensions of pictures, which are taken when there is nothing else: beside rasters they are previews.
const PICTURES: [&str; 4] = ["jpeg", "jpg", "png", "webp"];

/// The beginning of an address and what GDAL calls its file system.
const SCHEMES: [(&str, &str); 8] = [
    ("https://", "/vsicurl/https://"),
    ("http://", "/vsicurl/http://"),
    ("s3://", "/vsis3/"),
    ("gs://", "/vsigs/"),
    ("az://", "/vsiaz/"),
    ("oss://", "/vsioss/"),
    ("hdfs://", "/vsihdfs/hdfs://"),
    ("zip://", "/vsizip/"),
];

/// Longest list of inputs, in bytes.
const LONGEST: u64 = 256 << 20;

/// The rasters that words stand for, in the order of the words:
///
/// - a folder for the rasters directly in it, a pattern with `*`, `?` or `[…]` for the files it fits, a `.zip`, `.tar` or
///   `.tgz` for the rasters in it; each in the order of the names;
/// - an address (`https://`, `s3://`, `gs://`, `az://`, `zip://`) for GDAL's path to it;
/// - anything else for itself.
///
/// # Errors
/// [`Error::Input`] for a folder, pattern or archive without rasters.
pub fn expand<'a>(words: impl IntoIterator<Item = &'a Path>) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for word in words {
        expand_one(word, &mut paths)?;
    }
    Ok(paths)
}

/// The lines of a list of inputs, `-` for standard input; empty lines and those that begin with `#` do not count, and
/// relative paths go by the current folder, as in GDAL's lists.
///
/// # Errors
/// [`Error::Input`] when it cannot be read or names nothing.
pub fn listed(list: &Path) -> Result<Vec<PathBuf>> {
    let error = |e: std::io::Error| Error::input(list, format!("cannot be read as a list of inputs: {e}"));
    let mut text = String::new();
    if list == Path::new("-") {
        std::io::stdin().take(LONGEST).read_to_string(&mut text).map_err(error)?;
    } else {
        let file = std::fs::File::open(list).map_err(error)?;
        file.take(LONGEST).read_to_string(&mut text).map_err(error)?;
    }
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let paths: Vec<PathBuf> =
        lines.filter(|l| !l.is_empty() && !l.starts_with('#')).map(PathBuf::from).collect();
    if paths.is_empty() {
        return Err(Error::input(list, "names no input"));
    }
    Ok(paths)
}

fn expand_one(word: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let Some(text) = word.to_str() else {
        paths.push(word.to_owned());
        return Ok(());
    };
    let before = paths.len();
    let none = |what: &str| Error::input(word, format!("{what}: name the files themselves"));
    if let Some(address) = address(text) {
        paths.push(address.into());
        return Ok(());
    }
    if text.starts_with("/vsi") {
        paths.push(word.to_owned());
        return Ok(());
    }
    if word.is_dir() && !is_dataset(word) {
        let entries =
            std::fs::read_dir(word).map_err(|e| Error::input(word, format!("cannot be listed: {e}")))?;
        let files = entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_file());
        paths.extend(rasters_of(files.collect()));
        return if paths.len() > before { Ok(()) } else { Err(none("the folder holds no rasters")) };
    }
    if !word.exists() && text.contains(['*', '?', '[']) {
        let found = glob::glob(text).map_err(|e| Error::input(word, format!("is no valid pattern: {e}")))?;
        paths.extend(found.filter_map(std::result::Result::ok).filter(|p| p.is_file()));
        paths[before..].sort();
        return if paths.len() > before { Ok(()) } else { Err(none("no file fits the pattern")) };
    }
    if let Some(prefix) = archive(word) {
        let inside = format!("{prefix}{}", absolute(word).display());
        let names = gdal::vsi::read_dir(&inside, true)
            .map_err(|e| Error::input(word, format!("cannot be read as an archive: {}", reason(&e))))?;
        let own = names.into_iter().filter(|name| !name.starts_with("__MACOSX"));
        paths.extend(rasters_of(own.collect()).into_iter().map(|name| Path::new(&inside).join(name)));
        return if paths.len() > before { Ok(()) } else { Err(none("the archive holds no rasters")) };
    }
    paths.push(word.to_owned());
    Ok(())
}

/// GDAL's path to an address.
fn address(text: &str) -> Option<String> {
    SCHEMES.iter().find_map(|(scheme, path)| Some(format!("{path}{}", text.strip_prefix(scheme)?)))
}

/// GDAL's file system for an archive of this name.
fn archive(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    let inner = || Path::new(path.file_stem()?).extension()?.to_str().map(str::to_ascii_lowercase);
    match extension.as_str() {
        _ if !path.is_file() => None,
        "zip" => Some("/vsizip/"),
        "tar" | "tgz" => Some("/vsitar/"),
        "gz" if inner().as_deref() == Some("tar") => Some("/vsitar/"),
        _ => None,
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether a folder is one raster to GDAL, as those of ESRI's grids and of satellite products are.
fn is_dataset(folder: &Path) -> bool {
    let extension = folder.extension().and_then(OsStr::to_str).unwrap_or_default();
    ["safe", "zarr", "gdb"].contains(&extension.to_ascii_lowercase().as_str())
        || folder.join("hdr.adf").is_file()
}

/// Those of some files that are rasters, by name; pictures when there are no others.
fn rasters_of(mut files: Vec<PathBuf>) -> Vec<PathBuf> {
    let of = |path: &PathBuf, known: &[&str]| {
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
        known.contains(&extension.as_str())
    };
    let known = if files.iter().any(|f| of(f, &RASTERS)) { &RASTERS[..] } else { &PICTURES[..] };
    files.retain(|file| of(file, known));
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn expanded(words: &[PathBuf]) -> Result<Vec<String>> {
        let paths = expand(words.iter().map(PathBuf::as_path))?;
        let name = |p: &PathBuf| p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(paths.iter().map(name).collect())
    }

    #[test]
    fn folders_and_patterns_stand_for_their_rasters() {
        let dir = tempfile::tempdir().expect("tempdir");
        for name in ["b.tif", "a.TIF", "c.jp2", "a.tif.ovr", "preview.jpg", "notes.txt"] {
            fs::write(dir.path().join(name), "").expect("written");
        }
        assert_eq!(expanded(&[dir.path().to_owned()]).expect("rasters"), ["a.TIF", "b.tif", "c.jp2"]);
        assert_eq!(expanded(&[dir.path().join("[bc].*")]).expect("rasters"), ["b.tif", "c.jp2"]);
        for nothing in ["*.img", "[", "sub"] {
            let word = dir.path().join(nothing);
            if nothing == "sub" {
                fs::create_dir(&word).expect("made");
            }
            assert!(expanded(&[word]).is_err(), "{nothing}");
        }
        fs::remove_file(dir.path().join("c.jp2")).expect("removed");
        let named = dir.path().join("missing.tif");
        assert_eq!(expanded(&[named]).expect("itself"), ["missing.tif"]);
    }

    #[test]
    fn pictures_are_taken_when_there_are_no_other_rasters() {
        let dir = tempfile::tempdir().expect("tempdir");
        fs::write(dir.path().join("scan.png"), "").expect("written");
        assert_eq!(expanded(&[dir.path().to_owned()]).expect("a picture"), ["scan.png"]);
    }

    #[test]
    fn addresses_become_paths_of_gdal() {
        for (text, path) in [
            ("https://example.org/a.tif", "/vsicurl/https://example.org/a.tif"),
            ("s3://bucket/a/b.tif", "/vsis3/bucket/a/b.tif"),
            ("gs://bucket/b.tif", "/vsigs/bucket/b.tif"),
        ] {
            assert_eq!(expand([Path::new(text)]).expect("itself"), [PathBuf::from(path)]);
        }
        for own in ["/vsicurl/https://example.org/a.tif", "NETCDF:a.nc:t", "a?b.tif.missing.tif"] {
            let found = expand([Path::new(own)]);
            assert!(own.contains('?') == found.is_err(), "{own}");
        }
    }

    #[test]
    fn lists_have_comments_and_empty_lines() {
        let dir = tempfile::tempdir().expect("tempdir");
        let list = dir.path().join("list.txt");
        fs::write(&list, "\u{feff}a.tif\n\n# comment\n b c.tif \r\n").expect("written");
        assert_eq!(listed(&list).expect("names"), ["a.tif", "b c.tif"].map(PathBuf::from));
        fs::write(&list, "# nothing\n").expect("written");
        assert!(listed(&list).is_err() && listed(&dir.path().join("none")).is_err());
    }
}
