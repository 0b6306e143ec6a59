//! Creation options by the names of GDAL's COG driver: each is obeyed, or refused with the reason.

use super::regrid::{Onto, Regrid, ZoomStrategy};
use crate::block::SampleType;
use crate::error::{Error, Result};
use crate::grid::{Bounds, registered};
use crate::resampling::Resampling;
use crate::sink::cog::BigTiff;
use crate::spelling::nearest;

/// Side of a block in pixels, unless another one is asked for; as in GDAL.
const BLOCK: usize = 512;

/// Most levels whose tiles are blocks, as in GDAL.
const MOST_ALIGNED: u8 = 10;

/// Largest side of a block.
const MOST_BLOCK: usize = 4096;

/// All options of GDAL's driver.
const NAMES: [&str; 33] = [
    "ADD_ALPHA",
    "ALIGNED_LEVELS",
    "BIGTIFF",
    "BLOCKSIZE",
    "COMPRESS",
    "EXTENT",
    "GEOTIFF_VERSION",
    "INTERLEAVE",
    "JXL_DISTANCE",
    "JXL_EFFORT",
    "JXL_LOSSLESS",
    "LEVEL",
    "MAX_Z_ERROR",
    "MAX_Z_ERROR_OVERVIEW",
    "NBITS",
    "NUM_THREADS",
    "OVERVIEWS",
    "OVERVIEW_COMPRESS",
    "OVERVIEW_COUNT",
    "OVERVIEW_PREDICTOR",
    "OVERVIEW_QUALITY",
    "OVERVIEW_RESAMPLING",
    "PREDICTOR",
    "QUALITY",
    "RES",
    "RESAMPLING",
    "SPARSE_OK",
    "STATISTICS",
    "TARGET_SRS",
    "TILING_SCHEME",
    "WARP_RESAMPLING",
    "ZOOM_LEVEL",
    "ZOOM_LEVEL_STRATEGY",
];

/// Ways to pack blocks.
const COMPRESSIONS: [&str; 10] =
    ["NONE", "LZW", "JPEG", "DEFLATE", "LZMA", "ZSTD", "WEBP", "LERC", "LERC_DEFLATE", "LERC_ZSTD"];

/// What becomes of overviews.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverviewSource {
    /// They are made from the image.
    #[default]
    Made,
    /// There are none.
    None,
}

/// What is told of the values of bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatisticsChoice {
    /// What the input tells.
    #[default]
    Auto,
    /// They are computed.
    Yes,
    /// Nothing.
    No,
}

/// What is done to samples before they are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PredictorChoice {
    /// Nothing.
    None,
    /// Differences, or those of sorted bytes for floats.
    Suitable,
    /// Differences of whole samples.
    Standard,
    /// Differences of sorted bytes.
    FloatingPoint,
}

/// How blocks of the image, or of its overviews, are packed.
#[derive(Debug, Clone, PartialEq)]
pub struct Compression {
    /// GDAL's name of the way.
    pub method: String,
    /// Effort of DEFLATE, ZSTD or LZMA; default theirs.
    pub level: Option<i32>,
    /// Quality of JPEG or WEBP from 1 to 100; default 75.
    pub quality: Option<u8>,
    /// Largest error of LERC; default 0.
    pub max_z_error: Option<f64>,
    /// What is done to samples before; default what suits them.
    pub predictor: Option<PredictorChoice>,
}

/// All options, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct CogOptions {
    /// How the image is packed.
    pub image: Compression,
    /// How its overviews are packed.
    pub overview: Compression,
    /// The grid that is asked for; default that of the inputs.
    pub regrid: Option<Regrid>,
    /// Side of a block in pixels.
    pub block: usize,
    /// Whether the file is a `BigTIFF`.
    pub big: BigTiff,
    /// Whether there are overviews.
    pub overviews: OverviewSource,
    /// How many overviews there are; default as many as it takes until one fits a block.
    pub overview_count: Option<usize>,
    /// How overviews are made; default average, mode for palettes.
    pub overview_resampling: Option<Resampling>,
    /// Whether blocks without data are left out.
    pub sparse: bool,
    /// What is told of the values of bands.
    pub statistics: StatisticsChoice,
    /// Bits of a sample that are stored.
    pub bits: Option<u32>,
    /// Threads that compute, if they are asked for in GDAL's way.
    pub threads: Option<usize>,
    /// Further options of GDAL's `GTiff` driver.
    pub others: Vec<String>,
    /// What was decided in the user's place.
    pub guesses: Vec<String>,
}

/// Options as they are written, the last of a name counting.
struct Given<'a>(Vec<(String, &'a str)>);

impl<'a> Given<'a> {
    fn new(options: &'a [String]) -> Result<Self> {
        let mut pairs = Vec::new();
        for option in options {
            let pair =
                option.split_once('=').map(|(key, value)| (key.trim().to_ascii_uppercase(), value.trim()));
            let Some((key, value)) = pair.filter(|(key, _)| !key.is_empty()) else {
                return Err(refused(option, "give KEY=VALUE"));
            };
            if !NAMES.contains(&key.as_str()) {
                let near =
                    nearest(&key, &NAMES).map_or_else(String::new, |name| format!("; did you mean {name}?"));
                return Err(refused(option, &format!("GDAL's COG driver has no such option{near}")));
            }
            pairs.push((key, value));
        }
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// The value of an option, one of several words.
    fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
        let mut known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        known.dedup();
        match found {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => Err(self.bad(name, &format!("known are {}", known.join(", ")))),
        }
    }

    fn switch(&self, name: &str) -> Result<Option<bool>> {
        const WORDS: [(&str, bool); 8] = [
            ("YES", true),
            ("NO", false),
            ("TRUE", true),
            ("FALSE", false),
            ("ON", true),
            ("OFF", false),
            ("1", true),
            ("0", false),
        ];
        self.word(name, &WORDS)
    }

    /// The value of an option, a number that fits.
    fn number<T: std::str::FromStr>(
        &self,
        name: &str,
        fits: impl Fn(&T) -> bool,
        what: &str,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.parse().ok().filter(fits);
        number.map(Some).ok_or_else(|| self.bad(name, &format!("give {what}")))
    }

    fn resampling(&self, name: &str) -> Result<Option<Resampling>> {
        let parse = |value: &str| value.parse().map_err(|why: String| self.bad(name, &why));
        self.get(name).map(parse).transpose()
    }

    fn bad(&self, name: &str, why: &str) -> Error {
        refused(&format!("{name}={}", self.get(name).unwrap_or_default()), why)
    }
}

fn refused(option: &str, why: &str) -> Error {
    Error::Usage(format!("--co {option}: {why}"))
}

impl CogOptions {
    /// What a list of `KEY=VALUE` asks for.
    ///
    /// # Errors
    /// [`Error::Usage`] for what GDAL's driver does not know, for what makes no sense, and for what is not done here.
    pub fn new(options: &[String]) -> Result<Self> {
        let given = Given::new(options)?;
        refuse_others(&given)?;
        let mut guesses = Vec::new();
        let (image, overview) = compressions(&given, &mut guesses)?;
        let regrid = regrid(&given)?;
        let usual = regrid.as_ref().map_or(BLOCK, Regrid::block);
        let sides = |n: &usize| (128..=MOST_BLOCK).contains(n) && n.is_multiple_of(16);
        let block =
            given.number("BLOCKSIZE", sides, &format!("a multiple of 16 from 128 to {MOST_BLOCK}"))?;
        let big = [
            ("YES", BigTiff::Yes),
            ("NO", BigTiff::No),
            ("IF_NEEDED", BigTiff::IfNeeded),
            ("IF_SAFER", BigTiff::IfSafer),
        ];
        let overviews = [
            ("AUTO", OverviewSource::Made),
            ("IGNORE_EXISTING", OverviewSource::Made),
            ("NONE", OverviewSource::None),
        ];
        if given.get("OVERVIEWS").is_some_and(|value| value.eq_ignore_ascii_case("FORCE_USE_EXISTING")) {
            return Err(given.bad(
                "OVERVIEWS",
                "overviews are always made anew, in the same pass as the image; those of the input are not read",
            ));
        }
        let statistics = [
            ("AUTO", StatisticsChoice::Auto),
            ("YES", StatisticsChoice::Yes),
            ("NO", StatisticsChoice::No),
            ("TRUE", StatisticsChoice::Yes),
            ("FALSE", StatisticsChoice::No),
        ];
        let resampling = given.resampling("RESAMPLING")?;
        let threads = match given.get("NUM_THREADS") {
            None => None,
            Some(all) if all.eq_ignore_ascii_case("ALL_CPUS") => Some(crate::job::machine::threads()),
            Some(_) => given.number("NUM_THREADS", |n| (1..=1024).contains(n), "1 to 1024, or ALL_CPUS")?,
        };
        let version = [("AUTO", "AUTO"), ("1.0", "1.0"), ("1.1", "1.1")];
        let version = given.word("GEOTIFF_VERSION", &version)?;
        Ok(Self {
            image,
            overview,
            regrid,
            block: block.unwrap_or(usual),
            big: given.word("BIGTIFF", &big)?.unwrap_or_default(),
            overviews: given.word("OVERVIEWS", &overviews)?.unwrap_or_default(),
            overview_count: given.number("OVERVIEW_COUNT", |n| *n <= 30, "0 to 30")?,
            overview_resampling: given.resampling("OVERVIEW_RESAMPLING")?.or(resampling),
            sparse: given.switch("SPARSE_OK")?.unwrap_or(false),
            statistics: given.word("STATISTICS", &statistics)?.unwrap_or_default(),
            bits: given.number("NBITS", |n| (1..=31).contains(n), "1 to 31")?,
            threads,
            others: version.map(|version| format!("GEOTIFF_VERSION={version}")).into_iter().collect(),
            guesses,
        })
    }
}

/// The grid that is asked for; `None` for that of the inputs.
fn regrid(given: &Given<'_>) -> Result<Option<Regrid>> {
    const NONE: &str = "CUSTOM";
    let name = given.get("TILING_SCHEME").filter(|name| !name.eq_ignore_ascii_case(NONE));
    let beside = |names: &[&str], why: &str| {
        let found = names.iter().find(|name| given.get(name).is_some());
        found.map_or(Ok(()), |name| Err(given.bad(name, why)))
    };
    let onto = match (name, given.get("TARGET_SRS")) {
        (Some(name), _) => {
            beside(&["TARGET_SRS", "RES", "EXTENT"], "the tiling scheme says it already (TILING_SCHEME)")?;
            let set = registered(name).map_err(|why| given.bad("TILING_SCHEME", &why))?;
            let strategies = [
                ("AUTO", ZoomStrategy::Auto),
                ("LOWER", ZoomStrategy::Lower),
                ("UPPER", ZoomStrategy::Upper),
            ];
            let levels = set.first..=set.last();
            let known = format!("{} to {}", levels.start(), levels.end());
            Onto::Tiles {
                name: name.to_owned(),
                zoom: given.number("ZOOM_LEVEL", |z| levels.contains(z), &known)?,
                strategy: given.word("ZOOM_LEVEL_STRATEGY", &strategies)?.unwrap_or_default(),
                aligned_levels: given
                    .number("ALIGNED_LEVELS", |n| *n <= MOST_ALIGNED, &format!("0 to {MOST_ALIGNED}"))?
                    .unwrap_or(0),
                set,
            }
        }
        (None, Some(definition)) => {
            beside(
                &["ZOOM_LEVEL", "ZOOM_LEVEL_STRATEGY", "ALIGNED_LEVELS"],
                "it is about the levels of a TILING_SCHEME, and none is given",
            )?;
            Onto::Crs {
                definition: definition.to_owned(),
                resolution: given.number(
                    "RES",
                    |r: &f64| r.is_finite() && *r > 0.0,
                    "a number above 0, in units of TARGET_SRS",
                )?,
                extent: given.get("EXTENT").map(|text| extent(text, given)).transpose()?,
            }
        }
        (None, None) => {
            beside(
                &["ZOOM_LEVEL", "ZOOM_LEVEL_STRATEGY", "ALIGNED_LEVELS"],
                "it is about the levels of a TILING_SCHEME, and none is given (--web-optimized gives one)",
            )?;
            beside(
                &["RES", "EXTENT", "WARP_RESAMPLING", "ADD_ALPHA"],
                "pixels stay on the grid they are on: give a TILING_SCHEME or a TARGET_SRS, or see tileloom warp",
            )?;
            return Ok(None);
        }
    };
    let resampling = given.resampling("WARP_RESAMPLING")?.or(given.resampling("RESAMPLING")?);
    Ok(Some(Regrid { onto, resampling, add_alpha: given.switch("ADD_ALPHA")?.unwrap_or(true) }))
}

/// The box of `EXTENT`.
fn extent(text: &str, given: &Given<'_>) -> Result<Bounds> {
    let numbers: Vec<f64> = text.split(',').filter_map(|v| v.trim().parse().ok()).collect();
    match numbers[..] {
        [west, south, east, north]
            if text.split(',').count() == 4
                && west < east
                && south < north
                && (east - west + north - south).is_finite() =>
        {
            Ok(Bounds { west, south, east, north })
        }
        _ => Err(given.bad("EXTENT", "give XMIN,YMIN,XMAX,YMAX in units of TARGET_SRS")),
    }
}

/// Refuses what GDAL's driver does and this does not.
fn refuse_others(given: &Given<'_>) -> Result<()> {
    if given.get("INTERLEAVE").is_some_and(|value| !value.eq_ignore_ascii_case("PIXEL")) {
        return Err(given.bad("INTERLEAVE", "blocks hold all bands of their pixels: PIXEL"));
    }
    for name in ["JXL_LOSSLESS", "JXL_EFFORT", "JXL_DISTANCE"] {
        if given.get(name).is_some() {
            return Err(given.bad(name, "JPEG XL is not made here"));
        }
    }
    Ok(())
}

/// How the image and its overviews are packed.
fn compressions(given: &Given<'_>, guesses: &mut Vec<String>) -> Result<(Compression, Compression)> {
    let words: Vec<(&str, &str)> = COMPRESSIONS.iter().map(|name| (*name, *name)).collect();
    let predictors = [
        ("YES", PredictorChoice::Suitable),
        ("NO", PredictorChoice::None),
        ("STANDARD", PredictorChoice::Standard),
        ("FLOATING_POINT", PredictorChoice::FloatingPoint),
        ("1", PredictorChoice::None),
        ("2", PredictorChoice::Standard),
        ("3", PredictorChoice::FloatingPoint),
        ("TRUE", PredictorChoice::Suitable),
        ("FALSE", PredictorChoice::None),
    ];
    let method = given.word("COMPRESS", &words)?;
    if method.is_none() {
        guesses.push("--co COMPRESS=DEFLATE (GDAL's default, LZW, makes larger files)".to_owned());
    }
    let method = method.unwrap_or("DEFLATE");
    let quality = |name| {
        given
            .number("QUALITY", |n| (1..=100).contains(n), "1 to 100")
            .and_then(|all| Ok(given.number(name, |n| (1..=100).contains(n), "1 to 100")?.or(all)))
    };
    let error = |name| given.number(name, |e: &f64| e.is_finite() && *e >= 0.0, "a number, at least 0");
    let predictor = given.word("PREDICTOR", &predictors)?;
    let image = Compression {
        method: method.to_owned(),
        level: given.number("LEVEL", |n| (0..=22).contains(n), "a level, as a rule from 1 to 9")?,
        quality: quality("QUALITY")?,
        max_z_error: error("MAX_Z_ERROR")?,
        predictor,
    };
    let of_overviews = given.word("OVERVIEW_COMPRESS", &words)?.unwrap_or(method);
    let overview = Compression {
        method: of_overviews.to_owned(),
        level: image.level.filter(|_| of_overviews == method),
        quality: quality("OVERVIEW_QUALITY")?,
        max_z_error: error("MAX_Z_ERROR_OVERVIEW")?.or(image.max_z_error),
        predictor: given.word("OVERVIEW_PREDICTOR", &predictors)?.or(predictor),
    };
    image.check("", given)?;
    overview.check("OVERVIEW_", given)?;
    Ok((image, overview))
}

impl Compression {
    /// Refuses options that the method does not have.
    fn check(&self, of: &str, given: &Given<'_>) -> Result<()> {
        let any = |names: &[&str]| names.contains(&self.method.as_str());
        let quality = format!("{of}QUALITY");
        if given.get(&quality).is_some() && !any(&["JPEG", "WEBP"]) {
            return Err(given.bad(&quality, &format!("{} has no quality; JPEG and WEBP have", self.method)));
        }
        let predictor = format!("{of}PREDICTOR");
        let predicts = any(&["DEFLATE", "LZW", "ZSTD"]);
        if !predicts && given.get(&predictor).is_some() && self.predictor != Some(PredictorChoice::None) {
            return Err(
                given.bad(&predictor, &format!("{} has none; DEFLATE, LZW and ZSTD have", self.method))
            );
        }
        if !of.is_empty() {
            return Ok(());
        }
        let limit = match self.method.as_str() {
            "DEFLATE" | "LERC_DEFLATE" => Some(12),
            "ZSTD" | "LERC_ZSTD" => Some(22),
            "LZMA" => Some(9),
            _ => None,
        };
        match (self.level, limit) {
            (Some(_), None) => Err(given.bad("LEVEL", &format!("{} has no levels", self.method))),
            (Some(level), Some(most)) if !(1..=most).contains(&level) => {
                Err(given.bad("LEVEL", &format!("{} has the levels 1 to {most}", self.method)))
            }
            _ if self.max_z_error.is_some() && !self.method.starts_with("LERC") => {
                Err(given.bad("MAX_Z_ERROR", &format!("{} loses nothing by it; LERC does", self.method)))
            }
            _ => Ok(()),
        }
    }

    /// Whether pixels read back may differ from those that were written.
    pub fn is_lossy(&self) -> bool {
        match self.method.as_str() {
            "JPEG" => true,
            "WEBP" => self.quality != Some(100),
            _ => self.max_z_error.is_some_and(|e| e > 0.0),
        }
    }

    /// The options of GDAL's `GTiff` driver that say the same. `plain` says that neighbouring samples have nothing to do with each other:
    /// they are names.
    pub(super) fn creation(&self, sample_type: SampleType, bands: usize, plain: bool) -> Vec<String> {
        let mut all = vec![format!("COMPRESS={}", self.method)];
        let float = matches!(sample_type, SampleType::F32 | SampleType::F64);
        let number = |choice| match choice {
            PredictorChoice::None => 1,
            PredictorChoice::Suitable if float => 3,
            PredictorChoice::Suitable | PredictorChoice::Standard => 2,
            PredictorChoice::FloatingPoint => 3,
        };
        let usual = if plain { PredictorChoice::None } else { PredictorChoice::Suitable };
        let quality = self.quality.unwrap_or(75);
        match self.method.as_str() {
            "DEFLATE" | "LZW" | "ZSTD" => {
                all.push(format!("PREDICTOR={}", number(self.predictor.unwrap_or(usual))));
            }
            "JPEG" => {
                all.push(format!("JPEG_QUALITY={quality}"));
                if bands == 3 {
                    all.push("PHOTOMETRIC=YCBCR".to_owned());
                }
            }
            "WEBP" if quality == 100 => all.push("WEBP_LOSSLESS=YES".to_owned()),
            "WEBP" => all.push(format!("WEBP_LEVEL={quality}")),
            _ => {}
        }
        if let Some(level) = self.level {
            let key = match self.method.as_str() {
                "DEFLATE" | "LERC_DEFLATE" => "ZLEVEL",
                "LZMA" => "LZMA_PRESET",
                _ => "ZSTD_LEVEL",
            };
            all.push(format!("{key}={level}"));
        }
        if let Some(error) = self.max_z_error {
            all.push(format!("MAX_Z_ERROR={error}"));
        }
        all
    }
}
