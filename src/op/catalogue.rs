//! All operations of the program, with everything that is said of them.

use super::call::Arguments;
use super::chain::Ground;
use super::formulas::{self, Index};
use super::table::{Accepts, Build, Built, Entry, Parameter};
use super::{fill, filters, focal, reclassify, relief, terrain};
use crate::error::Result;

const fn band(name: &'static str, what: &'static str) -> Parameter {
    Parameter { name, accepts: Accepts::Band, default: None, what }
}

const fn number(
    name: &'static str,
    low: f64,
    high: f64,
    default: Option<&'static str>,
    what: &'static str,
) -> Parameter {
    Parameter { name, accepts: Accepts::Number { low, high }, default, what }
}

const fn positive(name: &'static str, default: &'static str, what: &'static str) -> Parameter {
    Parameter { name, accepts: Accepts::Positive, default: Some(default), what }
}

const fn choice(
    name: &'static str,
    words: &'static [&'static str],
    default: Option<&'static str>,
    what: &'static str,
) -> Parameter {
    Parameter { name, accepts: Accepts::Choice(words), default, what }
}

const fn flag(name: &'static str, default: &'static str, what: &'static str) -> Parameter {
    Parameter { name, accepts: Accepts::Flag, default: Some(default), what }
}

const ANY: f64 = f64::INFINITY;
const NIR: Parameter = band("nir", "near infrared");
const RED: Parameter = band("red", "red");
const EDGE: Parameter = choice(
    "edge",
    &["auto", "nodata", "nearest", "reflect"],
    Some("auto"),
    "pixels beyond the raster's border; auto: --edge, else nearest",
);
const TERRAIN_EDGE: Parameter = choice(
    "edge",
    &["auto", "nodata", "nearest", "reflect", "extrapolate"],
    Some("auto"),
    "pixels beyond the raster's border; auto: --edge, else nodata",
);
const AT_EDGES: Parameter = flag(
    "compute_edges",
    "no",
    "also where pixels around are missing, which count as the middle one; beyond the border they are extrapolated",
);
const MISSING: Parameter = choice(
    "nodata",
    &["ignore", "propagate"],
    Some("ignore"),
    "whether missing pixels around do not count, or make the result missing; where the middle one is missing, so is the result",
);
const ALGORITHM: Parameter =
    choice("alg", &["Horn", "ZevenbergenThorne"], Some("Horn"), "how slopes are found in 3 × 3 pixels");
const SCALE: Parameter = positive(
    "scale",
    "auto",
    "horizontal units per vertical one; auto: from the CRS and the unit of the band, as GDAL 3.11 does",
);
const XSCALE: Parameter = positive("xscale", "auto", "the same, along rows");
const YSCALE: Parameter = positive("yscale", "auto", "the same, along columns");

static NDVI: Index = Index { text: "(nir - red) / (nir + red)", bands: &["nir", "red"], numbers: &[] };
static NDWI: Index = Index { text: "(green - nir) / (green + nir)", bands: &["green", "nir"], numbers: &[] };
static NBR: Index = Index { text: "(nir - swir) / (nir + swir)", bands: &["nir", "swir"], numbers: &[] };
static NORMALIZED: Index = Index { text: "(a - b) / (a + b)", bands: &["a", "b"], numbers: &[] };
static EVI: Index = Index {
    text: "2.5 * (nir - red) * factor / ((nir + 6 * red - 7.5 * blue) * factor + 1)",
    bands: &["nir", "red", "blue"],
    numbers: &["factor"],
};
static SAVI: Index = Index {
    text: "(nir - red) * factor / ((nir + red) * factor + l) * (1 + l)",
    bands: &["nir", "red"],
    numbers: &["l", "factor"],
};

const fn index(
    index: &'static Index,
    name: &'static str,
    what: &'static str,
    parameters: &'static [Parameter],
    source: &'static str,
    example: &'static str,
) -> Entry {
    Entry {
        name,
        what,
        parameters,
        halo: "0",
        formula: index.text,
        source,
        example,
        build: Build::Index(index),
    }
}

const FACTOR: Parameter =
    positive("factor", "1", "what makes reflectances from 0 to 1 of the samples, as 0.0001 for Sentinel-2");

const INDICES: &[Entry] = &[
    index(
        &NDVI,
        "ndvi",
        "normalised difference vegetation index",
        &[NIR, RED],
        "Rouse et al. 1974, Monitoring vegetation systems in the Great Plains with ERTS",
        "ndvi(nir=8, red=4)",
    ),
    index(
        &NDWI,
        "ndwi",
        "normalised difference water index",
        &[band("green", "green"), NIR],
        "McFeeters 1996, Int. J. Remote Sensing 17(7)",
        "ndwi(green=3, nir=8)",
    ),
    index(
        &EVI,
        "evi",
        "enhanced vegetation index",
        &[NIR, RED, band("blue", "blue"), FACTOR],
        "Huete et al. 2002, Remote Sensing of Environment 83",
        "evi(nir=8, red=4, blue=2, factor=0.0001)",
    ),
    index(
        &SAVI,
        "savi",
        "soil-adjusted vegetation index",
        &[NIR, RED, number("l", 0.0, 1.0, Some("0.5"), "1 for bare soil to 0 for dense vegetation"), FACTOR],
        "Huete 1988, Remote Sensing of Environment 25",
        "savi(nir=8, red=4, factor=0.0001)",
    ),
    index(
        &NBR,
        "nbr",
        "normalised burn ratio",
        &[NIR, band("swir", "short-wave infrared")],
        "Key and Benson 2006, FIREMON, USDA RMRS-GTR-164",
        "nbr(nir=8, swir=12)",
    ),
    index(
        &NORMALIZED,
        "normalized_difference",
        "difference of two bands over their sum",
        &[band("a", "the one"), band("b", "the other")],
        "as all indices of this kind",
        "normalized_difference(5, 6)",
    ),
];

const fn own(
    name: &'static str,
    what: &'static str,
    (parameters, halo): (&'static [Parameter], &'static str),
    (formula, source): (&'static str, &'static str),
    example: &'static str,
    build: fn(&Arguments, &Ground) -> Result<Built>,
) -> Entry {
    Entry { name, what, parameters, halo, formula, source, example, build: Build::Own(build) }
}

const VALUES: &[Entry] = &[
    own(
        "rescale",
        "values from one range brought to another",
        (
            &[
                number("src_min", -ANY, ANY, None, "least value"),
                number("src_max", -ANY, ANY, None, "greatest value"),
                number("dst_min", -ANY, ANY, Some("0"), "what the least becomes"),
                number("dst_max", -ANY, ANY, Some("255"), "what the greatest becomes"),
                flag("clip", "yes", "values beyond the range become its limits"),
            ],
            "0",
        ),
        ("dst_min + (dst_max - dst_min) * (v - src_min) / (src_max - src_min)", "gdal raster scale"),
        "rescale(-1, 1, 0, 255)",
        |arguments, _| formulas::rescale(arguments),
    ),
    own(
        "gamma",
        "middle tones made lighter (above 1) or darker",
        (
            &[
                Parameter {
                    name: "gamma",
                    accepts: Accepts::Positive,
                    default: None,
                    what: "the exponent's inverse",
                },
                number("low", -ANY, ANY, Some("0"), "what stays at the dark end"),
                number(
                    "high",
                    -ANY,
                    ANY,
                    Some("auto"),
                    "at the light end; auto: the greatest of an integer type, else 1",
                ),
            ],
            "0",
        ),
        ("low + (high - low) * ((v - low) / (high - low)) ** (1 / gamma)", "rio color"),
        "gamma(1.8)",
        |arguments, _| formulas::gamma(arguments),
    ),
    own(
        "clamp",
        "values kept between two limits",
        (
            &[number("low", -ANY, ANY, None, "the least"), number("high", -ANY, ANY, None, "the greatest")],
            "0",
        ),
        ("min(max(v, low), high)", "numpy.clip"),
        "clamp(0, 4000)",
        |arguments, _| formulas::clamp(arguments),
    ),
    own(
        "cast",
        "values rounded to those of a type, halves away from zero; at the end of a chain it is the output's",
        (&[Parameter { name: "type", accepts: Accepts::Type, default: None, what: "Byte, Int16, …" }], "0"),
        ("clamp(round(v), least, greatest)", "GDAL's conversion of samples"),
        "cast(Byte)",
        |arguments, _| Ok(formulas::cast(arguments)),
    ),
    own(
        "reclassify",
        "classes of values, or other classes",
        (
            &[Parameter {
                name: "mapping",
                accepts: Accepts::Mapping,
                default: None,
                what: "entries between ';': value or range = value; ranges as [1,3], [1,3), (1,3], (1,3), with -inf and inf; also \
                           NO_DATA and DEFAULT; to NO_DATA or PASS_THROUGH; @file reads them from a file, '#' begins a comment",
            }],
            "0",
        ),
        ("the value of the first entry that holds v", "gdal raster reclassify"),
        "reclassify([0,500)=1; [500,1500)=2; [1500,inf]=3; DEFAULT=NO_DATA)",
        |arguments, _| reclassify::build(arguments),
    ),
    own(
        "color_relief",
        "colours for values, as bands of red, green and blue",
        (
            &[
                Parameter {
                    name: "colors",
                    accepts: Accepts::File,
                    default: None,
                    what: "a colour file of gdaldem or QGIS, a JSON file, or a ramp's name",
                },
                flag("alpha", "no", "a fourth band of opacity"),
                number("min", -ANY, ANY, Some("auto"), "value of 0 % and of a ramp's beginning"),
                number("max", -ANY, ANY, Some("auto"), "value of 100 % and of a ramp's end"),
            ],
            "0",
        ),
        ("c0 + (c1 - c0) * (v - v0) / (v1 - v0), halves up", "gdaldem color-relief"),
        "color_relief(relief.txt)",
        |arguments, _| relief::build(arguments),
    ),
];

const SLOPES: &str = "dx = ((w0 + 2 w3 + w6) - (w2 + 2 w5 + w8)) / 8, dy = ((w6 + 2 w7 + w8) - (w0 + 2 w1 + w2)) / 8; \
                      ZevenbergenThorne: dx = (w3 - w5) / 2, dy = (w7 - w1) / 2";

const TERRAIN: &[Entry] = &[
    own(
        "hillshade",
        "shaded relief from 1 to 255",
        (
            &[
                positive("z", "1", "exaggeration of heights"),
                SCALE,
                number("az", 0.0, 360.0, Some("315"), "where the light comes from, in degrees from north"),
                number("alt", 0.0, 90.0, Some("45"), "height of the light, in degrees"),
                ALGORITHM,
                choice(
                    "shading",
                    &["regular", "combined", "multidirectional", "igor"],
                    Some("regular"),
                    "combined with slope, from four sides (USGS OF 92-422), or Igor's",
                ),
                XSCALE,
                YSCALE,
                TERRAIN_EDGE,
                AT_EDGES,
            ],
            "1",
        ),
        (
            "1 + 254 max(0, (sin alt - z cos alt (dy cos az - dx sin az)) / sqrt(1 + z² (dx² + dy²))); see slope",
            "gdaldem hillshade; Horn 1981, Proc. IEEE 69(1)",
        ),
        "hillshade(z=2, az=300)",
        terrain::hillshade,
    ),
    own(
        "slope",
        "steepness",
        (
            &[
                choice("unit", &["degree", "percent"], Some("degree"), "of the result"),
                SCALE,
                ALGORITHM,
                XSCALE,
                YSCALE,
                TERRAIN_EDGE,
                AT_EDGES,
            ],
            "1",
        ),
        (SLOPES, "gdaldem slope; Horn 1981; Zevenbergen and Thorne 1987, Earth Surf. Proc. Landf. 12"),
        "slope(percent)",
        terrain::slope,
    ),
    own(
        "aspect",
        "direction that a slope faces, in degrees clockwise from north; flat ground has none",
        (
            &[
                flag("trigonometric", "no", "counter-clockwise from east"),
                flag("zero_for_flat", "no", "0 for flat ground"),
                ALGORITHM,
                TERRAIN_EDGE,
                AT_EDGES,
            ],
            "1",
        ),
        ("atan2(dy, dx), as an azimuth; see slope", "gdaldem aspect"),
        "aspect(zero_for_flat=yes)",
        terrain::aspect,
    ),
    own(
        "tri",
        "terrain ruggedness index",
        (
            &[
                choice(
                    "alg",
                    &["Riley", "Wilson"],
                    Some("Riley"),
                    "root of the squares' sum, or mean difference",
                ),
                TERRAIN_EDGE,
                AT_EDGES,
            ],
            "1",
        ),
        (
            "sqrt(sum (wk - w4)²); Wilson: sum |wk - w4| / 8",
            "gdaldem TRI; Riley et al. 1999; Wilson et al. 2007, Marine Geodesy 30",
        ),
        "tri(Wilson)",
        terrain::tri,
    ),
    own(
        "tpi",
        "topographic position index",
        (&[TERRAIN_EDGE, AT_EDGES], "1"),
        ("w4 - mean of the other 8", "gdaldem TPI; Weiss 2001; Wilson et al. 2007"),
        "tpi",
        terrain::tpi,
    ),
    own(
        "roughness",
        "difference of the highest and the lowest of 3 × 3 pixels",
        (&[TERRAIN_EDGE, AT_EDGES], "1"),
        ("max wk - min wk", "gdaldem roughness; Dartnell 2000; Wilson et al. 2007"),
        "roughness",
        terrain::roughness,
    ),
];

const STATISTICS: &[&str] = &["mean", "median", "min", "max", "sum", "stddev", "mode", "majority"];

const WINDOWS: &[Entry] = &[
    own(
        "focal",
        "a statistic of the square around each pixel",
        (
            &[
                choice(
                    "stat",
                    STATISTICS,
                    None,
                    "of an even number the median is the mean of the middle two; mode (or majority): the most frequent value, of \
                         several the one that is complete first, row by row; stddev: of the population",
                ),
                Parameter {
                    name: "size",
                    accepts: Accepts::Odd { low: 3, high: 99 },
                    default: Some("3"),
                    what: "side of the square in pixels",
                },
                MISSING,
                EDGE,
            ],
            "size // 2",
        ),
        ("statistic of the size × size pixels around", "gdal raster neighbors --kernel equal"),
        "focal(median, 5)",
        |arguments, _| focal::build(arguments),
    ),
    own(
        "gaussian",
        "Gaussian blur",
        (
            &[
                Parameter {
                    name: "sigma",
                    accepts: Accepts::Number { low: 0.1, high: 50.0 },
                    default: None,
                    what: "standard deviation in pixels",
                },
                number("truncate", 1.0, 10.0, Some("4"), "where the kernel ends, in sigmas"),
                MISSING,
                EDGE,
            ],
            "floor(truncate × sigma + 0.5)",
        ),
        (
            "sum of exp(-d² / (2 sigma²)) v over the sum of the weights of what is there",
            "scipy.ndimage.gaussian_filter",
        ),
        "gaussian(1.5)",
        |arguments, _| filters::gaussian(arguments),
    ),
    own(
        "sobel",
        "gradient by Sobel's kernels",
        (
            &[
                choice(
                    "direction",
                    &["magnitude", "x", "y"],
                    Some("magnitude"),
                    "the gradient's length, or one of its parts",
                ),
                EDGE,
            ],
            "1",
        ),
        (
            "gx = (w2 + 2 w5 + w8) - (w0 + 2 w3 + w6), gy = (w6 + 2 w7 + w8) - (w0 + 2 w1 + w2)",
            "scipy.ndimage.sobel",
        ),
        "sobel",
        |arguments, _| Ok(filters::sobel(arguments)),
    ),
    own(
        "convolve",
        "weighted sum of the pixels around",
        (
            &[
                Parameter {
                    name: "kernel",
                    accepts: Accepts::Matrix,
                    default: None,
                    what: "weights row by row, as [[0,-1,0],[-1,5,-1],[0,-1,0]] or 0 -1 0; -1 5 -1; 0 -1 0; not turned over",
                },
                flag("normalize", "no", "over the sum of the weights of the pixels that are there"),
                MISSING,
                EDGE,
            ],
            "half the kernel",
        ),
        ("sum k_ij w_ij", "gdal raster neighbors --method sum; scipy.ndimage.correlate"),
        "convolve([[1,2,1],[2,4,2],[1,2,1]], normalize=yes)",
        |arguments, _| filters::convolve(arguments),
    ),
    own(
        "fill_nodata",
        "missing pixels from those around",
        (
            &[
                Parameter {
                    name: "distance",
                    accepts: Accepts::Integer { low: 1, high: 200 },
                    default: Some("100"),
                    what: "pixels to look for data at most; farther away none is filled",
                },
                choice(
                    "method",
                    &["inv_dist", "nearest"],
                    Some("inv_dist"),
                    "by inverse distance from the nearest pixel of each quadrant, or that of the nearest",
                ),
            ],
            "distance",
        ),
        ("sum v / d over sum 1 / d", "gdal_fillnodata (without smoothing)"),
        "fill_nodata(20)",
        |arguments, _| Ok(fill::build(arguments)),
    ),
];

/// All operations, in the order in which they are listed.
pub(super) fn standard() -> Vec<Entry> {
    [INDICES, VALUES, TERRAIN, WINDOWS].concat()
}
