//! Grids that people know by name, made from the few numbers that define them.
//!
//! Sources: OGC 17-083r4 annex D and the OGC register of tile matrix sets; the Tile Map Service specification of `OSGeo` (profiles
//! global-geodetic and global-mercator); `MapML` (APSTILE, CBMTILE); LINZ (NZTM2000, `NZTM2000Quad`, the Antarctic grid).

use std::sync::Arc;

use super::matrix::{METRES_PER_DEGREE, PAPER_PIXEL, TileMatrix, TileMatrixSet, World};
use super::{Bounds, WEB_MERCATOR_HALF as HALF};

/// Sides of pixels, level by level.
enum Cells {
    /// Each half of the one before: the first, and how many.
    Halving(f64, u8),
    /// Scale denominators.
    Scales(&'static [f64]),
    /// Sides of pixels.
    Listed(&'static [f64]),
}

/// What stands for the Earth.
#[derive(Clone, Copy)]
enum Plane {
    Degrees,
    WebMercator,
    /// Ellipsoidal Mercator, which goes round the Earth too.
    Mercator,
    /// A projection of a part of the Earth.
    Part,
}

struct Entry {
    id: &'static str,
    title: &'static str,
    /// Whether the OGC registers it.
    ogc: bool,
    /// A code of the EPSG, or 84 for longitude and latitude in the order of `CRS84`.
    crs: u32,
    north_first: bool,
    plane: Plane,
    west: f64,
    north: f64,
    first: u8,
    cells: Cells,
    /// Width and height that the tiles cover at least.
    extent: (f64, f64),
}

/// Side of a pixel at a scale.
const fn at(scale: f64) -> f64 {
    scale * PAPER_PIXEL
}

/// Resolutions of the Canada Base Map in metres (`MapML`, CBMTILE): a pixel of 0.0254 m / 96 at round scales.
#[rustfmt::skip]
const CANADA: [f64; 26] = [
    38_364.660_062_653_464, 22_489.628_312_589_96, 13_229.193_125_052_918, 7_937.515_875_031_75,
    4_630.217_593_768_521_5, 2_645.838_625_010_583_7, 1_587.503_175_006_35, 926.043_518_753_704_2,
    529.167_725_002_116_8, 317.500_635_001_270_04, 185.208_703_750_740_85, 111.125_222_250_444_51,
    66.145_965_625_264_6, 38.364_660_062_653_46, 22.489_628_312_589_96, 13.229_193_125_052_918,
    7.937_515_875_031_75, 4.630_217_593_768_521_5, 2.645_838_625_010_583_7, 1.587_503_175_006_35,
    0.926_043_518_753_704_2, 0.529_167_725_002_116_7, 0.317_500_635_001_27, 0.185_208_703_750_740_83,
    0.111_125_222_250_444_51, 0.066_145_965_625_264_59,
];

/// Scales of the topographic maps of New Zealand.
#[rustfmt::skip]
const NEW_ZEALAND: [f64; 17] = [
    32e6, 16e6, 8e6, 4e6, 2e6, 1e6, 500e3, 250e3, 100e3, 50e3, 25e3, 10e3, 5e3, 2.5e3, 1e3, 500.0, 250.0,
];

/// The registered grids, `WebMercatorQuad` aside.
static ENTRIES: [Entry; 16] = [
    Entry {
        id: "WorldCRS84Quad",
        title: "CRS84 for the World",
        ogc: true,
        crs: 84,
        north_first: false,
        plane: Plane::Degrees,
        west: -180.0,
        north: 90.0,
        first: 0,
        cells: Cells::Halving(180.0 / 256.0, 30),
        extent: (360.0, 180.0),
    },
    Entry {
        id: "WGS1984Quad",
        title: "EPSG:4326 for the World",
        ogc: false,
        crs: 4326,
        north_first: true,
        plane: Plane::Degrees,
        west: -180.0,
        north: 90.0,
        first: 0,
        cells: Cells::Halving(180.0 / 256.0, 30),
        extent: (360.0, 180.0),
    },
    Entry {
        id: "GoogleCRS84Quad",
        title: "Longitude and latitude, one tile at level 0",
        ogc: false,
        crs: 84,
        north_first: false,
        plane: Plane::Degrees,
        west: -180.0,
        north: 180.0,
        first: 0,
        cells: Cells::Halving(360.0 / 256.0, 30),
        extent: (360.0, 360.0),
    },
    Entry {
        id: "GlobalGeodeticOriginLat270",
        title: "Longitude and latitude, one tile at level 0 that begins at the south pole",
        ogc: false,
        crs: 84,
        north_first: false,
        plane: Plane::Degrees,
        west: -180.0,
        north: 270.0,
        first: 0,
        cells: Cells::Halving(360.0 / 256.0, 30),
        extent: (360.0, 360.0),
    },
    Entry {
        id: "WorldMercatorWGS84Quad",
        title: "World Mercator WGS84 (ellipsoid)",
        ogc: true,
        crs: 3395,
        north_first: false,
        plane: Plane::Mercator,
        west: -HALF,
        north: HALF,
        first: 0,
        cells: Cells::Halving(2.0 * HALF / 256.0, 30),
        extent: (2.0 * HALF, 2.0 * HALF),
    },
    Entry {
        id: "PseudoTMS_GlobalMercator",
        title: "Web Mercator, four tiles at level 0",
        ogc: false,
        crs: 3857,
        north_first: false,
        plane: Plane::WebMercator,
        west: -HALF,
        north: HALF,
        first: 0,
        cells: Cells::Halving(HALF / 256.0, 29),
        extent: (2.0 * HALF, 2.0 * HALF),
    },
    Entry {
        id: "EuropeanETRS89_LAEAQuad",
        title: "Lambert Azimuthal Equal Area ETRS89 for Europe",
        ogc: true,
        crs: 3035,
        north_first: true,
        plane: Plane::Part,
        west: 2_000_000.0,
        north: 5_500_000.0,
        first: 0,
        cells: Cells::Halving(17_578.125, 16),
        extent: (4_500_000.0, 4_500_000.0),
    },
    Entry {
        id: "CanadianNAD83_LCC",
        title: "Lambert conformal conic NAD83 for Canada",
        ogc: true,
        crs: 3978,
        north_first: false,
        plane: Plane::Part,
        west: -34_655_800.0,
        north: 39_310_000.0,
        first: 0,
        cells: Cells::Listed(&CANADA),
        extent: (2_468_768.0 * 256.0 * CANADA[25], 2_625_811.0 * 256.0 * CANADA[25]),
    },
    Entry {
        id: "UPSArcticWGS84Quad",
        title: "Universal Polar Stereographic WGS 84 Quad for Arctic",
        ogc: true,
        crs: 5041,
        north_first: false,
        plane: Plane::Part,
        west: -14_440_759.350_252,
        north: 18_440_759.350_252,
        first: 0,
        cells: Cells::Halving(at(458_726_544.4), 25),
        extent: (at(458_726_544.4) * 256.0, at(458_726_544.4) * 256.0),
    },
    Entry {
        id: "UPSAntarcticWGS84Quad",
        title: "Universal Polar Stereographic WGS 84 Quad for Antarctic",
        ogc: true,
        crs: 5042,
        north_first: false,
        plane: Plane::Part,
        west: -14_440_759.350_252,
        north: 18_440_759.350_252,
        first: 0,
        cells: Cells::Halving(at(458_726_544.4), 25),
        extent: (at(458_726_544.4) * 256.0, at(458_726_544.4) * 256.0),
    },
    Entry {
        id: "UTM31WGS84Quad",
        title: "Universal Transverse Mercator Zone 31 WGS84 Quad",
        ogc: true,
        crs: 32631,
        north_first: false,
        plane: Plane::Part,
        west: -9_501_965.729_312_76,
        north: 20_003_931.458_625_5,
        first: 1,
        cells: Cells::Halving(at(279_072_704.500_914), 24),
        extent: (at(279_072_704.500_914) * 256.0, at(279_072_704.500_914) * 512.0),
    },
    Entry {
        id: "NZTM2000",
        title: "LINZ NZTM2000 Map Tile Grid",
        ogc: false,
        crs: 2193,
        north_first: true,
        plane: Plane::Part,
        west: -1_000_000.0,
        north: 10_000_000.0,
        first: 0,
        cells: Cells::Scales(&NEW_ZEALAND),
        extent: (at(32e6) * 512.0, at(32e6) * 1024.0),
    },
    Entry {
        id: "NZTM2000Quad",
        title: "LINZ NZTM2000Quad Map Tile Grid",
        ogc: false,
        crs: 2193,
        north_first: true,
        plane: Plane::Part,
        west: -3_260_586.728_4,
        north: 10_438_190.165_2,
        first: 0,
        cells: Cells::Halving(at(139_770_566.007_179), 22),
        extent: (at(139_770_566.007_179) * 256.0, at(139_770_566.007_179) * 256.0),
    },
    Entry {
        id: "LINZAntarticaMapTilegrid",
        title: "LINZ Antarctic Map Tile Grid (Ross Sea Region)",
        ogc: false,
        crs: 5482,
        north_first: true,
        plane: Plane::Part,
        west: -918_457.73,
        north: 6_918_457.73,
        first: 0,
        cells: Cells::Halving(at(409_600_000.0), 14),
        extent: (3303.0 * 256.0 * 14.0, 3303.0 * 256.0 * 14.0),
    },
    Entry {
        id: "APSTILE",
        title: "Alaska Polar Stereographic tiles for the Arctic",
        ogc: false,
        crs: 5936,
        north_first: false,
        plane: Plane::Part,
        west: -28_567_784.109_255,
        north: 32_567_784.109_255,
        first: 0,
        cells: Cells::Halving(at(852_895_761.978_571_5), 20),
        extent: (at(852_895_761.978_571_5) * 256.0, at(852_895_761.978_571_5) * 256.0),
    },
    Entry {
        id: "CBMTILE",
        title: "Lambert Conformal Conic tiles for Canada",
        ogc: false,
        crs: 3978,
        north_first: false,
        plane: Plane::Part,
        west: -34_655_800.0,
        north: 39_310_000.0,
        first: 0,
        cells: Cells::Listed(&CANADA),
        extent: (5.0 * 256.0 * CANADA[0], 5.0 * 256.0 * CANADA[0]),
    },
];

/// Further names of grids: those of GDAL's drivers and data files, of `MapML`, and of the profiles of `gdal2tiles`.
const ALIASES: [(&str, &str); 14] = [
    ("InspireCRS84Quad", "WorldCRS84Quad"),
    ("PseudoTMS_GlobalGeodetic", "WorldCRS84Quad"),
    ("GoogleMapsCompatible", "WebMercatorQuad"),
    ("mercator", "WebMercatorQuad"),
    ("OSMTILE", "WebMercatorQuad"),
    ("MapML_OSMTILE", "WebMercatorQuad"),
    ("WGS84", "WorldCRS84Quad"),
    ("MapML_WGS84", "WorldCRS84Quad"),
    ("geodetic", "GlobalGeodeticOriginLat270"),
    ("WorldMercatorWGS84", "WorldMercatorWGS84Quad"),
    ("MapML_APSTILE", "APSTILE"),
    ("MapML_CBMTILE", "CBMTILE"),
    ("LINZAntarcticaMapTileGrid", "LINZAntarticaMapTilegrid"),
    ("CanadianNAD83", "CanadianNAD83_LCC"),
];

/// Grids in which rows far from the equator have fewer tiles than others.
pub(super) const VARIABLE: [&str; 2] = ["CDB1GlobalGrid", "GNOSISGlobalGrid"];

/// The names of all registered grids, `WebMercatorQuad` first.
pub fn names() -> impl Iterator<Item = &'static str> {
    std::iter::once("WebMercatorQuad").chain(ENTRIES.iter().map(|e| e.id))
}

/// The registered grid of a name, or of a further name that other programs have for it; case does not count.
///
/// # Errors
/// For names that are not known, with the nearest that is; and for grids whose rows differ in their number of tiles.
pub fn registered(name: &str) -> Result<Arc<TileMatrixSet>, String> {
    let same = |other: &str| other.eq_ignore_ascii_case(name);
    if let Some(variable) = VARIABLE.into_iter().find(|n| same(n)) {
        return Err(variable_width(&format!("{variable} has")));
    }
    let alias = ALIASES.iter().find(|(theirs, _)| same(theirs)).map(|(_, ours)| *ours);
    let own = alias.or_else(|| names().find(|n| same(n)));
    match own {
        Some("WebMercatorQuad") => Ok(Arc::new(TileMatrixSet::web_mercator())),
        Some(own) => {
            ENTRIES.iter().find(|e| e.id == own).map(|e| Arc::new(e.set())).ok_or_else(|| unknown(name))
        }
        None => Err(unknown(name)),
    }
}

/// Why a grid of rows of different lengths is refused.
pub(super) fn variable_width(who: &str) -> String {
    format!(
        "{who} rows of different numbers of tiles (variableMatrixWidths), which cannot be made; WorldCRS84Quad covers the world with equal ones"
    )
}

fn unknown(name: &str) -> String {
    let all: Vec<&str> = names().chain(ALIASES.iter().map(|(n, _)| *n)).chain(["raster"]).collect();
    let near = crate::spelling::nearest(name, &all);
    let near = near.map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
    let known: Vec<&str> = names().collect();
    let known = known.join(", ");
    format!(
        "there is no tiling scheme '{name}'{near}; known are {known}, raster, and any OGC TileMatrixSet in a JSON file"
    )
}

impl Entry {
    fn set(&self) -> TileMatrixSet {
        let cells: Vec<f64> = match self.cells {
            Cells::Halving(first, count) => (0..count).map(|z| first / (1u64 << z) as f64).collect(),
            Cells::Scales(scales) => scales.iter().map(|s| at(*s)).collect(),
            Cells::Listed(cells) => cells.to_vec(),
        };
        // Tiles that only rounding makes are none.
        let tiles = |extent: f64, cell: f64| (extent / (256.0 * cell) * (1.0 - 1e-9)).ceil() as u32;
        let matrix = |(k, cell): (usize, &f64)| TileMatrix {
            id: (usize::from(self.first) + k).to_string(),
            west: self.west,
            north: self.north,
            cell: *cell,
            columns: tiles(self.extent.0, *cell),
            rows: tiles(self.extent.1, *cell),
        };
        let bounds = Bounds {
            west: self.west,
            south: self.north - self.extent.1,
            east: self.west + self.extent.0,
            north: self.north,
        };
        let crs = match self.crs {
            84 => "http://www.opengis.net/def/crs/OGC/1.3/CRS84".to_owned(),
            code => format!("http://www.opengis.net/def/crs/EPSG/0/{code}"),
        };
        let uri = || format!("http://www.opengis.net/def/tilematrixset/OGC/1.0/{}", self.id);
        let mut set = TileMatrixSet {
            id: self.id.to_owned(),
            title: Some(self.title.to_owned()),
            uri: self.ogc.then(uri),
            crs,
            north_first: self.north_first,
            metres: if matches!(self.plane, Plane::Degrees) { METRES_PER_DEGREE } else { 1.0 },
            world: match self.plane {
                Plane::Degrees => World::DEGREES,
                Plane::WebMercator => World::WEB_MERCATOR,
                Plane::Mercator => World { bounds, round: true, sphere: false },
                Plane::Part => World { bounds, round: false, sphere: false },
            },
            tile_size: 256,
            first: self.first,
            matrices: cells.iter().enumerate().map(matrix).collect(),
        };
        if matches!(self.plane, Plane::Part) {
            set.world.bounds = set.bounds();
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::matrix::{COLUMN_BITS, ROW_BITS};

    #[test]
    fn every_name_is_known_and_every_grid_can_be_addressed() {
        for name in names().chain(ALIASES.iter().map(|(theirs, _)| *theirs)) {
            let set = registered(name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(set.last() <= super::super::MAX_ZOOM && !set.matrices.is_empty(), "{name}");
            if set.id == "WebMercatorQuad" {
                continue;
            }
            for m in &set.matrices {
                assert!(
                    m.columns <= 1 << COLUMN_BITS && m.rows <= 1 << ROW_BITS && m.rows > 0,
                    "{name} {m:?}"
                );
            }
            assert!(set.matrices.windows(2).all(|w| w[0].cell > w[1].cell), "{name}");
        }
        assert_eq!(registered("worldcrs84quad").expect("is known").id, "WorldCRS84Quad");
    }

    #[test]
    fn matrices_have_the_numbers_of_their_registers() {
        let numbers = |name: &str, z: u8| {
            let set = registered(name).expect("is known");
            let m = set.matrix(z).unwrap_or_else(|| panic!("{name} {z}")).clone();
            (m.columns, m.rows, m.cell)
        };
        // Columns, rows and pixels as morecantile and GDAL have them.
        for (name, z, columns, rows, cell) in [
            ("WorldCRS84Quad", 0, 2, 1, 0.703_125),
            ("WorldCRS84Quad", 23, 16_777_216, 8_388_608, 8.381_903_171_539e-8),
            ("GoogleCRS84Quad", 1, 2, 2, 0.703_125),
            ("WorldMercatorWGS84Quad", 24, 16_777_216, 16_777_216, 0.009_330_691_929_342_8),
            ("PseudoTMS_GlobalMercator", 0, 2, 2, 78_271.516_964_020_5),
            ("EuropeanETRS89_LAEAQuad", 15, 32_768, 32_768, 0.536_441_802_978_515_6),
            ("CanadianNAD83_LCC", 0, 5, 5, 38_364.660_062_653_4),
            ("CanadianNAD83_LCC", 2, 13, 14, 13_229.193_125_052_9),
            ("CanadianNAD83_LCC", 25, 2_468_768, 2_625_811, 0.066_145_965_625_264_5),
            ("CBMTILE", 1, 9, 9, 22_489.628_312_589_96),
            ("CBMTILE", 12, 2900, 2900, 66.145_965_625_264_6),
            ("UPSArcticWGS84Quad", 1, 2, 2, 64_221.716_21),
            ("UPSAntarcticWGS84Quad", 24, 16_777_216, 16_777_216, 0.007_655_825_16),
            ("UTM31WGS84Quad", 1, 1, 2, 78_140.357_260_255_9),
            ("UTM31WGS84Quad", 24, 8_388_608, 16_777_216, 0.009_315_056_474_239_34),
            ("NZTM2000", 0, 2, 4, 8960.0),
            ("NZTM2000", 16, 256_000, 512_000, 0.07),
            ("NZTM2000Quad", 21, 2_097_152, 2_097_152, 0.018_661_383_858_685_55),
            ("LINZAntarticaMapTilegrid", 1, 1, 1, 57_344.0),
            ("LINZAntarticaMapTilegrid", 5, 13, 13, 3584.0),
            ("LINZAntarticaMapTilegrid", 13, 3303, 3303, 14.0),
            ("APSTILE", 0, 1, 1, 238_810.813_354),
            ("APSTILE", 19, 524_288, 524_288, 0.455_495_478_4),
        ] {
            let found = numbers(name, z);
            assert_eq!((found.0, found.1), (columns, rows), "{name} {z}");
            assert!((found.2 / cell - 1.0).abs() < 1e-9, "{name} {z}: {}", found.2);
        }
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest() {
        let error = registered("WorldCRS84Quat").expect_err("no grid");
        assert!(error.contains("(did you mean WorldCRS84Quad?)") && error.contains("NZTM2000"), "{error}");
        let error = registered("zzzzzzzzzzzzzzzzz").expect_err("no grid");
        assert!(!error.contains("did you mean") && error.contains("known are WebMercatorQuad"), "{error}");
        for name in VARIABLE {
            assert!(registered(name).expect_err("no grid").contains("variableMatrixWidths"), "{name}");
        }
    }
}
