//! In which state a file on a server is: what tells it from the one that stood there before.
//!
//! A server says so by its `ETag`, which changes with the bytes; where it has none, size and time of change have to do.

use std::path::Path;

use super::raw;

/// File systems of GDAL that are servers.
const SERVED: [&str; 8] =
    ["/vsicurl", "/vsis3/", "/vsigs/", "/vsiaz/", "/vsiadls/", "/vsioss/", "/vsiswift/", "/vsiwebhdfs/"];

/// File systems of GDAL that look into a file of another one.
const INSIDE: [&str; 5] = ["/vsizip/", "/vsitar/", "/vsigzip/", "/vsi7z/", "/vsirar/"];

/// Endings of files that hold others.
const ARCHIVES: [&str; 8] = ["zip", "kmz", "tar", "tgz", "gz", "7z", "rar", "ods"];

/// The state of the file that a path of GDAL names, or of the archive it lies in; `None` when it is on no server, or the server
/// does not say.
pub(crate) fn state(path: &Path) -> Option<String> {
    let file = file(path.to_str()?)?;
    let ((size, headers), _) = raw::listen(|| (raw::size(&file), raw::headers(&file)));
    let header = |name: &str| {
        let own = |(key, value): &(String, String)| key.eq_ignore_ascii_case(name).then(|| value.clone());
        headers.iter().find_map(own).filter(|value| !value.is_empty())
    };
    let size = size.map_or_else(|| "some bytes".to_owned(), |size| format!("{size} bytes"));
    match (header("ETag"), header("Last-Modified")) {
        (Some(tag), _) => Some(format!("{size}, ETag {tag}")),
        (None, Some(time)) => Some(format!("{size} of {time}")),
        (None, None) => size.starts_with(|c: char| c.is_ascii_digit()).then_some(size),
    }
}

/// The file on a server that a path of GDAL names: of `/vsizip//vsicurl/https://example.org/a.zip/c.tif`, the archive.
fn file(path: &str) -> Option<String> {
    let mut rest = path;
    let mut inside = false;
    while let Some(within) = INSIDE.iter().find_map(|prefix| rest.strip_prefix(prefix)) {
        (rest, inside) = (within, true);
    }
    if let Some((named, _)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        (rest, inside) = (named, false);
    }
    if !SERVED.iter().any(|prefix| rest.starts_with(prefix)) {
        return None;
    }
    let is_archive = |path: &&Path| {
        path.extension().is_some_and(|e| ARCHIVES.iter().any(|known| e.eq_ignore_ascii_case(known)))
    };
    let whole = Path::new(rest);
    // The outermost archive: the last of the ancestors that is one.
    let archive = if inside { whole.ancestors().filter(is_archive).last() } else { None };
    archive.unwrap_or(whole).to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_on_servers_are_found_behind_archives() {
        let found = |path: &str| file(path);
        for (path, wanted) in [
            ("/vsis3/bucket/a.tif", Some("/vsis3/bucket/a.tif")),
            ("/vsicurl/https://example.org/x.zip/a.tif", Some("/vsicurl/https://example.org/x.zip/a.tif")),
            (
                "/vsizip//vsicurl/https://example.org/x.zip/b/c.tif",
                Some("/vsicurl/https://example.org/x.zip"),
            ),
            ("/vsitar//vsigzip//vsigs/b/x.tar.gz/c.tif", Some("/vsigs/b/x.tar.gz")),
            ("/vsizip/{/vsis3/b/archive}/c.tif", Some("/vsis3/b/archive")),
            ("/vsizip/a.zip/c.tif", None),
            ("a.tif", None),
            ("/vsimem/a.tif", None),
        ] {
            assert_eq!(found(path).as_deref(), wanted, "{path}");
        }
    }

    #[test]
    fn what_is_on_no_server_has_no_state() {
        assert_eq!(state(Path::new("Cargo.toml")), None);
    }
}
