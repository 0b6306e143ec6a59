//! The output of a calculation: its type, its value for no data, and how it is stored.

use gdal::{DriverManager, Metadata};

use super::{CalcJob, Nodata};
use crate::block::{Sample, SampleType};
use crate::error::{Error, Result};
use crate::expr::{Coordinate, Kind, Output, Range};
use crate::job::cog::CogOptions;
use crate::raster::{Packing, nodata_as};
use crate::window::Size;

/// Formats that are written in one file, in any order.
const FORMATS: [&str; 6] = ["GTiff", "HFA", "KEA", "netCDF", "PCIDSK", "BT"];

/// GDAL's name of cloud-optimised GeoTIFFs, which are made here.
pub const COG: &str = "COG";

/// Side of the blocks of a GeoTIFF that is larger than one, unless options say otherwise.
const BLOCK: usize = 512;

/// Types that integers are stored in, the first that holds them.
const INTEGERS: [SampleType; 5] =
    [SampleType::U8, SampleType::U16, SampleType::I16, SampleType::U32, SampleType::I32];

/// The type and the value for no data of an output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Form {
    /// Type of the samples of all bands.
    pub sample_type: SampleType,
    /// The value of pixels without data, as the type holds it.
    pub nodata: Option<f64>,
}

impl Form {
    /// What a job asks for, or else what holds the results. `fine` says whether an input is of 32-bit integers or 64-bit
    /// numbers.
    ///
    /// # Errors
    /// [`Error::Usage`] for a value for no data that the type cannot hold.
    pub(super) fn new(job: &CalcJob, outputs: &[Output], fine: bool) -> Result<Self> {
        let range = outputs.iter().fold(Range::NONE, |range, o| range.union(o.range));
        let may_miss = outputs.iter().any(|o| o.may_miss);
        let sample_type =
            job.sample_type.unwrap_or_else(|| chosen(job.nodata, outputs, range, may_miss, fine));
        let nodata = match job.nodata {
            Nodata::Value(value) => Some(held(value, sample_type)?),
            Nodata::Auto if may_miss => Some(spare(sample_type, range)),
            Nodata::Auto | Nodata::None => None,
        };
        Ok(Self { sample_type, nodata })
    }
}

/// The type that holds the results.
fn chosen(nodata: Nodata, outputs: &[Output], range: Range, may_miss: bool, fine: bool) -> SampleType {
    let places = |o: &Output| o.places.iter().any(|p| !matches!(p, Coordinate::Column | Coordinate::Row));
    if outputs.iter().any(|o| o.kind == Kind::Number) {
        // Integers of more than 24 bits, and coordinates, would be rounded.
        let long =
            |o: &Output| o.kind < Kind::Number && o.range.low.abs().max(o.range.high.abs()) > 2f64.powi(24);
        let exact = outputs.iter().any(|o| places(o) || (long(o) && o.range.high.is_finite()));
        return if fine || exact { SampleType::F64 } else { SampleType::F32 };
    }
    if range == Range::NONE {
        return SampleType::U8;
    }
    let holds = |t: &&SampleType| {
        let limits = limits(**t);
        let room = limits.low < range.low || limits.high > range.high;
        let spare = match nodata {
            Nodata::Auto => !may_miss || room,
            Nodata::Value(value) => held(value, **t).is_ok(),
            Nodata::None => true,
        };
        limits.low <= range.low && range.high <= limits.high && spare
    };
    let floats =
        if range.low.is_finite() && range.high.is_finite() { SampleType::F64 } else { SampleType::F32 };
    INTEGERS.iter().find(holds).copied().unwrap_or(floats)
}

/// A value that no result has, as far as that is known: not-a-number, or the greatest or least of the type.
fn spare(sample_type: SampleType, range: Range) -> f64 {
    let limits = limits(sample_type);
    match sample_type {
        SampleType::F32 | SampleType::F64 => f64::NAN,
        // As in gdal_calc, where signed types have the least.
        SampleType::I8 | SampleType::I16 | SampleType::I32
            if limits.low < range.low || range.high >= limits.high =>
        {
            limits.low
        }
        _ if range.high >= limits.high && range.low > limits.low => limits.low,
        _ => limits.high,
    }
}

/// A value for no data as a type holds it.
fn held(value: f64, sample_type: SampleType) -> Result<f64> {
    for_sample_type!(sample_type, T => nodata_as::<T>(value).map(T::to_f64)).ok_or_else(|| {
        let name = sample_type.gdal_name();
        Error::Usage(format!(
            "--nodata {value}: {name} cannot hold it; give another value, or a type by --ot"
        ))
    })
}

fn limits(sample_type: SampleType) -> Range {
    match sample_type {
        SampleType::F32 | SampleType::F64 => Range::ALL,
        integer => for_sample_type!(integer, T => {
            Range::new(T::from_f64(f64::NEG_INFINITY).to_f64(), T::from_f64(f64::INFINITY).to_f64())
        }),
    }
}

/// How an output is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Storage {
    /// GDAL's short name of the format.
    pub driver: String,
    /// Creation options, with those that were chosen in the user's place.
    pub options: Vec<String>,
    /// Columns and rows of a block, where that is known.
    pub block: Option<Size>,
    /// How its blocks are packed on the pool; where GDAL packs them, none.
    pub packing: Option<Packing>,
    /// Whether pixels read back may differ from those that were written.
    pub lossy: bool,
}

impl Storage {
    /// What a job asks for, with what goes without saying.
    ///
    /// # Errors
    /// [`Error::Usage`] for formats that cannot be written so, and options they do not know.
    pub(super) fn new(job: &CalcJob, form: Form, size: Size, bands: usize) -> Result<Self> {
        Self::of(&job.driver, job.creation_options.clone(), form.sample_type, size, bands)
    }

    /// Whether it is a cloud-optimised GeoTIFF.
    pub(in crate::job) fn is_cog(&self) -> bool {
        self.driver == COG
    }

    /// Whether it is a GeoTIFF, cloud-optimised or not.
    pub(in crate::job) fn is_tiff(&self) -> bool {
        self.is_cog() || self.driver == "GTiff"
    }

    /// What a driver and creation options ask for, with what goes without saying.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub(in crate::job) fn of(
        driver: &str,
        mut options: Vec<String>,
        sample_type: SampleType,
        size: Size,
        bands: usize,
    ) -> Result<Self> {
        if driver.eq_ignore_ascii_case(COG) {
            // What is packed how is for its own plan to say.
            let checked = CogOptions::new(&options)?;
            let (driver, lossy) = (COG.to_owned(), checked.image.is_lossy());
            return Ok(Self { driver, options: Vec::new(), block: None, packing: None, lossy });
        }
        let driver = check_driver(driver, sample_type)?;
        crate::raster::check_creation_options(&driver, &options)?;
        let of = |options: &[String], key: &str| {
            let own =
                |o: &&String| o.split_once('=').is_some_and(|(k, _)| k.trim().eq_ignore_ascii_case(key));
            options
                .iter()
                .rev()
                .find(own)
                .and_then(|o| o.split_once('='))
                .map(|(_, v)| v.trim().to_ascii_uppercase())
        };
        let compression = of(&options, "COMPRESS").filter(|c| c != "NONE");
        let packed = compression.as_deref().unwrap_or_default();
        let lossy = ["JPEG", "WEBP", "JXL", "JPEGXL"].contains(&packed)
            || of(&options, "MAX_Z_ERROR").is_some_and(|e| e.parse() != Ok(0.0))
            || of(&options, "DISCARD_LSB").is_some();
        if driver != "GTiff" {
            return Ok(Self { driver, options, block: None, packing: None, lossy });
        }
        let given = |options: &[String], key: &str| of(options, key).and_then(|v| v.parse::<usize>().ok());
        if of(&options, "TILED").is_none() && size.width > BLOCK && size.height > BLOCK {
            options.push("TILED=YES".to_owned());
            for key in ["BLOCKXSIZE", "BLOCKYSIZE"] {
                if given(&options, key).is_none() {
                    options.push(format!("{key}={BLOCK}"));
                }
            }
        }
        if compression.is_some() && of(&options, "BIGTIFF").is_none() {
            // Nobody knows how large a compressed file becomes.
            options.push("BIGTIFF=IF_SAFER".to_owned());
        }
        let predicts = ["DEFLATE", "LZW", "ZSTD"].contains(&packed);
        if predicts && of(&options, "PREDICTOR").is_none() && of(&options, "NBITS").is_none() {
            let float = matches!(sample_type, SampleType::F32 | SampleType::F64);
            options.push(format!("PREDICTOR={}", if float { 3 } else { 2 }));
        }
        let tiled = of(&options, "TILED").is_some_and(|v| ["YES", "TRUE", "ON", "1"].contains(&v.as_str()));
        let side = |key: &str| given(&options, key).unwrap_or(256);
        let block = tiled.then(|| Size::new(side("BLOCKXSIZE"), side("BLOCKYSIZE")));
        let packing = Packing::new(size, bands, sample_type, &options);
        Ok(Self { driver, options, block, packing, lossy })
    }
}

/// The name of a format as GDAL spells it, if such an output can be written.
fn check_driver(name: &str, sample_type: SampleType) -> Result<String> {
    let usage = |text: String| Error::Usage(format!("-f {name}: {text}"));
    let known = FORMATS.iter().find(|f| f.eq_ignore_ascii_case(name));
    let Some(known) = known else {
        let found = DriverManager::get_driver_by_name(name).is_ok();
        let what = if found {
            "is not written window by window into one file"
        } else {
            "is no format that GDAL has"
        };
        return Err(usage(format!("{what}; known are {COG}, {}", FORMATS.join(", "))));
    };
    let driver = DriverManager::get_driver_by_name(known)
        .map_err(|_| usage("this GDAL was built without it".to_owned()))?;
    let says = |key: &str| driver.metadata_item(key, "").unwrap_or_default();
    let type_name = sample_type.gdal_name();
    // Before 3.7, signed bytes are a kind of bytes.
    let types = says("DMD_CREATIONDATATYPES");
    let holds = |name: &str| types.split_whitespace().any(|t| t == name);
    let signed = sample_type == SampleType::I8 && holds("Byte");
    if !(types.is_empty() || holds(type_name) || signed) {
        return Err(usage(format!("cannot hold {type_name}; it can hold {types} (--ot)")));
    }
    Ok((*known).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::SourceSpec;
    use crate::target::Target;

    fn job() -> CalcJob {
        CalcJob::new(
            vec![super::super::CalcInput::new(SourceSpec::new("a.tif"))],
            Target::new("b.tif"),
            vec![],
        )
    }

    fn output(kind: Kind, low: f64, high: f64, may_miss: bool) -> Output {
        let range = Range::new(low, high);
        Output { name: None, kind, range, may_miss, slots: vec![], places: vec![] }
    }

    #[test]
    fn the_type_holds_all_results_and_a_value_for_none() {
        let form = |o: &[Output]| Form::new(&job(), o, false).map(|f| (f.sample_type.gdal_name(), f.nodata));
        let one = |kind, low, high, may_miss| form(&[output(kind, low, high, may_miss)]).expect("a form");
        assert_eq!(one(Kind::Truth, 0.0, 1.0, true), ("Byte", Some(255.0)));
        assert_eq!(one(Kind::Truth, 0.0, 1.0, false), ("Byte", None));
        assert_eq!(one(Kind::Integer, 0.0, 255.0, false), ("Byte", None));
        assert_eq!(one(Kind::Integer, 0.0, 255.0, true), ("UInt16", Some(65_535.0)));
        assert_eq!(one(Kind::Integer, 1.0, 255.0, true), ("Byte", Some(0.0)));
        assert_eq!(one(Kind::Integer, -255.0, 255.0, true), ("Int16", Some(-32_768.0)));
        assert_eq!(one(Kind::Integer, -32_768.0, 0.0, true), ("Int16", Some(32_767.0)));
        assert_eq!(one(Kind::Integer, -65_535.0, 65_535.0, true), ("Int32", Some(-2_147_483_648.0)));
        assert_eq!(one(Kind::Integer, 0.0, 1e12, true).0, "Float64");
        assert_eq!(one(Kind::Integer, f64::NEG_INFINITY, f64::INFINITY, true).0, "Float32");
        assert_eq!(one(Kind::Number, -1.0, 1.0, false), ("Float32", None));
        let (name, nodata) = one(Kind::Number, -1.0, 1.0, true);
        assert!(name == "Float32" && nodata.is_some_and(f64::is_nan));
        let mixed = [output(Kind::Number, 0.0, 1.0, false), output(Kind::Integer, 0.0, 1e9, false)];
        assert_eq!(form(&mixed).expect("a form").0, "Float64");
    }

    #[test]
    fn values_that_the_type_cannot_hold_are_refused() {
        let mut job = job();
        job.sample_type = Some(SampleType::U8);
        job.nodata = Nodata::Value(-9999.0);
        let outputs = [output(Kind::Truth, 0.0, 1.0, true)];
        let error = Form::new(&job, &outputs, false).expect_err("refused").to_string();
        assert!(error.contains("Byte cannot hold it"), "{error}");
        // Without a type, one is chosen that can.
        job.sample_type = None;
        let form = Form::new(&job, &outputs, false).expect("a form");
        assert_eq!((form.sample_type, form.nodata), (SampleType::I16, Some(-9999.0)));
    }

    #[test]
    fn options_are_completed_but_never_changed() {
        let form = Form { sample_type: SampleType::F32, nodata: None };
        let storage = |options: &[&str], side: usize| {
            let mut job = job();
            job.creation_options = options.iter().map(ToString::to_string).collect();
            Storage::new(&job, form, Size::new(side, side), 1).map(|s| (s.options.join(" "), s.block))
        };
        let block = Some(Size::new(512, 512));
        assert_eq!(
            storage(&[], 2000).expect("stored"),
            ("TILED=YES BLOCKXSIZE=512 BLOCKYSIZE=512".to_owned(), block)
        );
        assert_eq!(storage(&[], 300).expect("stored"), (String::new(), None));
        let (options, found) = storage(&["compress=deflate", "blockxsize=256"], 2000).expect("stored");
        assert_eq!(found, Some(Size::new(256, 512)));
        assert!(options.contains("PREDICTOR=3") && options.contains("BIGTIFF=IF_SAFER"), "{options}");
        let (options, _) =
            storage(&["COMPRESS=ZSTD", "PREDICTOR=1", "BIGTIFF=NO", "TILED=NO"], 2000).expect("stored");
        assert_eq!(options, "COMPRESS=ZSTD PREDICTOR=1 BIGTIFF=NO TILED=NO");
        for (options, word) in [(&["COMPRES=LZW"][..], "did you mean COMPRESS?"), (&["LZW"], "KEY=VALUE")] {
            let error = storage(options, 2000).expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn formats_that_cannot_be_written_so_are_refused() {
        for (name, word) in [("PNG", "window by window"), ("GTif", "no format"), ("ENVI", "one file")] {
            let mut job = job();
            job.driver = name.to_owned();
            let form = Form { sample_type: SampleType::F32, nodata: None };
            let error = Storage::new(&job, form, Size::new(10, 10), 1).expect_err(name).to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
