//! Pages that stand beside a folder of tiles and show it from any web server, or as a file.

use super::library::Library;
use super::page::{fill, shown, whole};
use crate::error::Result;
use crate::grid::Grid;
use crate::grid::TileMatrixLimits;
use crate::tileset::{Scheme, TilesetInfo};

/// The map library of a page beside a folder of tiles. The page loads it from its public address and nothing else from anywhere
/// but the folder: there is no background map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Webviewer {
    /// OpenLayers: the page of the [`Server`](super::Server), in one file.
    OpenLayers,
    /// Leaflet.
    Leaflet,
    /// MapLibre GL JS; terrain tiles in three dimensions. From a web server only.
    MapLibre,
}

impl Webviewer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OpenLayers, Self::Leaflet, Self::MapLibre];

    /// The name users know: `openlayers`, `leaflet` or `maplibre`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenLayers => "openlayers",
            Self::Leaflet => "leaflet",
            Self::MapLibre => "maplibre",
        }
    }

    /// The page's name in the folder.
    pub fn file_name(self) -> String {
        format!("{}.html", self.name())
    }

    /// Whether it can show tiles: of a grid, pictures or heights, rows numbered one way or the other.
    ///
    /// # Errors
    /// Why not, to follow the name.
    pub fn shows(self, grid: &Grid, terrain: bool, scheme: Scheme) -> Result<(), &'static str> {
        match self {
            Self::MapLibre if *grid != Grid::WebMercator => Err("draws only tiles of Web Mercator"),
            Self::Leaflet if grid.set().is_some() => {
                Err("draws only tiles of Web Mercator and of an image's own pixels; openlayers draws all")
            }
            Self::MapLibre if terrain && scheme == Scheme::Tms => {
                Err("reads terrain tiles only with rows that count from the north")
            }
            _ => Ok(()),
        }
    }

    /// The page for a set whose tiles of the highest level are within `limits`.
    ///
    /// # Errors
    /// [`Error::Internal`](crate::Error::Internal) when a number in the description is not finite.
    pub fn page(self, info: &TilesetInfo, limits: &TileMatrixLimits) -> Result<String> {
        let (library, template) = match self {
            Self::OpenLayers => return whole(info, limits),
            Self::Leaflet => (Library::Leaflet, include_str!("page/leaflet.html")),
            Self::MapLibre => (Library::MapLibre, include_str!("page/maplibre.html")),
        };
        Ok(fill(template, info, &library.style(), &library.script(), &shown(info, limits, None)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::TileFormat;
    use crate::grid::{Bounds, TileCoord};

    #[test]
    fn each_page_loads_its_own_library_from_one_version() {
        let bounds = Bounds { west: 1.0, south: 2.0, east: 3.0, north: 4.0 };
        let info = TilesetInfo::new("a < b", bounds, TileFormat::Webp, 512).with_zooms(3, 5);
        let mut limits = TileMatrixLimits::default();
        limits.add(TileCoord::new(5, 16, 15));
        for (viewer, package) in
            Webviewer::ALL.into_iter().zip(["/npm/ol@", "/npm/leaflet@", "/npm/maplibre-gl@"])
        {
            let page = viewer.page(&info, &limits).expect("a page");
            assert_eq!(page.matches("https://cdn.jsdelivr.net/").count(), 2, "{page}");
            assert_eq!(page.matches(package).count(), 2, "{page}");
            assert!(page.contains("<title>a &lt; b</title>") && !page.contains("{{"));
            assert!(page.contains(r#""tiles":["{z}/{x}/{y}.webp"]"#) && page.contains("[16,15,16,15]"));
        }
    }
}
