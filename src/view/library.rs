//! The map libraries: their versions, public addresses, and OpenLayers itself if it was there when tileloom was built.

/// Where npm packages are published for browsers.
pub(super) const PUBLIC: &str = "https://cdn.jsdelivr.net";

/// Digests of the files that pages load, by their paths, for browsers to check (<https://www.w3.org/TR/sri/>). The test in
/// `tests/browser` holds them against the packages of the lock file.
const INTEGRITY: &str = include_str!("page/integrity.json");

/// A library from npm. Versions are those of the lock file; the build script reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Library {
    OpenLayers,
    Leaflet,
    MapLibre,
}

impl Library {
    /// Package, version, style sheet and script.
    const fn files(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::OpenLayers => ("ol", env!("TILELOOM_OL"), "ol.css", "dist/ol.js"),
            Self::Leaflet => ("leaflet", env!("TILELOOM_LEAFLET"), "dist/leaflet.css", "dist/leaflet.js"),
            Self::MapLibre => {
                ("maplibre-gl", env!("TILELOOM_MAPLIBRE_GL"), "dist/maplibre-gl.css", "dist/maplibre-gl.js")
            }
        }
    }

    /// The element that loads the style sheet from its public address.
    pub(super) fn style(self) -> String {
        let (package, version, style, _) = self.files();
        format!(r#"<link rel="stylesheet" {}>"#, source("href", package, version, style))
    }

    /// The element that loads the script from its public address.
    pub(super) fn script(self) -> String {
        let (package, version, _, script) = self.files();
        format!("<script {}></script>", source("src", package, version, script))
    }
}

/// The attributes of an element that loads a file of a package.
fn source(attribute: &str, package: &str, version: &str, file: &str) -> String {
    let digests: serde_json::Value = serde_json::from_str(INTEGRITY).unwrap_or_default();
    let digest = digests[format!("{package}/{file}")].as_str().unwrap_or_default();
    format!(
        r#"{attribute}="{PUBLIC}/npm/{package}@{version}/{file}" integrity="{digest}" crossorigin="anonymous""#
    )
}

/// The files of OpenLayers, and its licence, which has to go with them.
#[derive(Debug, Clone, Copy)]
pub(super) struct BuiltIn {
    pub(super) script: &'static [u8],
    pub(super) style: &'static [u8],
    pub(super) licence: &'static [u8],
}

/// OpenLayers, if its package was installed when tileloom was built.
#[cfg(tileloom_openlayers)]
pub(super) const BUILT_IN: Option<BuiltIn> = Some(BuiltIn {
    script: include_bytes!("page/node_modules/ol/dist/ol.js"),
    style: include_bytes!("page/node_modules/ol/ol.css"),
    licence: include_bytes!("page/node_modules/ol/LICENSE.md"),
});

/// OpenLayers, if its package was installed when tileloom was built.
#[cfg(not(tileloom_openlayers))]
pub(super) const BUILT_IN: Option<BuiltIn> = None;

/// Whether the page of the [`Server`](super::Server) has its map library inside, so that it works without the internet.
pub const fn is_built_in() -> bool {
    BUILT_IN.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_version_and_a_digest() {
        for library in [Library::OpenLayers, Library::Leaflet, Library::MapLibre] {
            for element in [library.style(), library.script()] {
                assert!(element.contains(r#"="https://cdn.jsdelivr.net/npm/"#), "{element}");
                assert!(element.contains(r#"integrity="sha384-"#), "{element}");
                let (_, version) = element.split_once('@').expect("a version");
                let version = version.split_once('/').expect("a path").0;
                assert_eq!(version.split('.').filter_map(|n| n.parse::<u32>().ok()).count(), 3, "{element}");
            }
        }
    }
}
