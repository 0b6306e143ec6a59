//! `tileloom calc`.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tileloom::block::SampleType;
use tileloom::expr::{FUNCTIONS, check_name};
use tileloom::job::calc::{
    Budget, CalcInput, CalcJob, Nodata, NodataPolicy, OverviewChoice, Plan, Report, dry_run, run as run_job,
};
use tileloom::op::{Call, Edge, Table};
use tileloom::raster::{SourceSpec, SrcNodata, inputs};
use tileloom::resampling::Resampling;
use tileloom::sink::Target;
use tileloom::{Error, Result};

use super::CommonArgs;
use super::cog;
use super::faults::{self, FaultArgs};
use super::machine::MachineArgs;
use super::parse;
use super::session::{effort, lines, size, watch};

const EXAMPLES: &str = "\
Expressions, from loose to tight: c ? a : b, or, and, not, < <= > >= == !=, |, &, << >>, + -, * / // %, - ! ~, **; also || and &&.
A is the first band of input A, A[2] its second, A.nir or A[\"near infrared\"] one by name. Values: x y (CRS), lon lat (degrees), \
col row (pixels, from 0), pi, nodata, true, false, 0x1F, 0b101.
NAME=EXPR gives the band of the output a name that later expressions may use.

Examples:
  tileloom calc s2.tif ndvi.tif --expr '(A[4] - A[3]) / (A[4] + A[3])' --co COMPRESS=DEFLATE
  tileloom calc -i nir=b08.tif -i red=b04.tif ndvi.tif --expr '(nir - red) / (nir + red)'
  tileloom calc scene.tif qa.tif clear.tif --expr 'bit(B, 3) or bit(B, 4) ? nodata : A'
  tileloom calc dem.tif classes.tif --expr 'where(A < 500, 1, where(A < 1500, 2, 3))'
  tileloom calc s2.tif both.tif --expr 'ndvi=(A[4]-A[3])/(A[4]+A[3])' --expr 'green=ndvi > 0.4' --ot Float32
  tileloom calc dem.tif slice.tif --expr 'lat > 48 ? A : nodata'
  tileloom calc s2.tif ndvi.tif --expr '(A[4] - A[3]) / (A[4] + A[3])' --cog --co COMPRESS=ZSTD
  tileloom calc dem.tif shade.tif --op 'hillshade(z=2, shading=multidirectional)'
  tileloom calc s2.tif green.tif --op 'ndvi(nir=8, red=4)' --op 'focal(median, 5)' --op 'rescale(-1, 1, 0, 255)' --ot Byte";

/// Options of `calc`, as they are written.
#[derive(Debug, Args)]
#[command(after_help = after_help())]
#[allow(clippy::struct_excessive_bools)] // they mirror flags
#[allow(clippy::doc_markdown)] // the help shows the text as it stands
pub struct CalcArgs {
    /// Rasters (anything GDAL reads), named A, B, C… in this order or by NAME=FILE, and the raster to make.
    #[arg(required_unless_present = "output", value_name = "INPUT... OUTPUT")]
    paths: Vec<PathBuf>,
    /// An input with a name, before those that have none; may be repeated. Also as in gdal_calc: -A FILE, --A_band N.
    #[arg(short, long, value_name = "NAME=FILE")]
    input: Vec<String>,
    /// The band that an input's name alone means [default: 1]; may be repeated.
    #[arg(long, value_name = "NAME=BAND", value_parser = input_band)]
    input_band: Vec<(String, usize)>,
    /// The raster to make; all other paths are inputs then.
    #[arg(short, long, visible_alias = "outfile", value_name = "OUTPUT")]
    output: Option<PathBuf>,
    /// What to compute, for each band of the output; may be repeated.
    #[arg(
        short,
        long,
        visible_alias = "calc",
        required_unless_present = "op",
        value_name = "[NAME=]EXPR",
        allow_hyphen_values = true
    )]
    expr: Vec<String>,
    /// What to do with these bands, or with those of the first input, as in focal(median, 5); may be repeated, each working on
    /// what the one before it made. `tileloom ops` lists them.
    #[arg(long, value_name = "OPERATION", allow_hyphen_values = true)]
    op: Vec<String>,
    /// What operations take pixels beyond the raster's border for: nodata, nearest, reflect [default: nearest; terrain: nodata, as in
    /// gdaldem].
    #[arg(long, value_name = "EDGE", requires = "op", value_parser = edge)]
    edge: Option<Edge>,
    /// A raster whose grid the output has [default: the first input].
    #[arg(long, value_name = "FILE")]
    like: Option<PathBuf>,
    /// How inputs on other grids are resampled: nearest, bilinear, cubic, cubicspline, lanczos, average, mode, min, max, med, q1,
    /// q3, sum, rms [default: nearest].
    #[arg(short, long, value_name = "METHOD")]
    resampling: Option<Resampling>,
    /// Take pixels of inputs of the same size one by one, whatever their georeferencing.
    #[arg(long, visible_alias = "no-check-extent")]
    ignore_georeferencing: bool,
    /// Apply the scale and offset that bands declare.
    #[arg(long)]
    unscale: bool,
    /// Type of the samples: Byte, Int8, UInt16, Int16, UInt32, Int32, Float32, Float64 [default: an integer type that holds all
    /// results where they are integers, else Float32; Float64 where an input has it or 32-bit integers].
    #[arg(long, visible_alias = "type", alias = "output-data-type", value_name = "TYPE")]
    ot: Option<SampleType>,
    /// The value of pixels without data; none declares none [default: nan, or a limit of an integer type, where pixels may be
    /// without data].
    #[arg(long, alias = "NoDataValue", alias = "a_nodata", value_name = "VALUE|none", value_parser = nodata, allow_hyphen_values = true)]
    nodata: Option<Nodata>,
    /// Whether results of pixels without data have none, or their values count like all others: propagate, ignore.
    #[arg(long, value_name = "POLICY", default_value = "propagate", value_parser = policy)]
    nodata_policy: NodataPolicy,
    /// The same as --nodata-policy ignore.
    #[arg(long = "hideNoData", hide = true)]
    hide_nodata: bool,
    /// The value of the inputs' pixels without data, instead of the declared ones; none for none.
    #[arg(long, value_name = "VALUE|none", value_parser = parse::nodata, allow_hyphen_values = true)]
    src_nodata: Option<parse::NodataValues>,
    /// Fail when a result does not fit the type, is the value for no data, or does not exist (division by zero).
    #[arg(long)]
    strict: bool,
    /// Format of the output, by GDAL's name.
    #[arg(
        short,
        long,
        visible_alias = "of",
        alias = "output-format",
        value_name = "FORMAT",
        default_value = "GTiff"
    )]
    format: String,
    /// Make a cloud-optimised GeoTIFF in the same pass, with overviews: the same as -f COG.
    #[arg(long)]
    cog: bool,
    /// Creation option of the format, of a COG those that `tileloom cog --help` lists; may be repeated.
    #[arg(long = "co", alias = "creation-option", value_name = "KEY=VALUE")]
    creation_options: Vec<String>,
    /// Add overviews, each half the size of the one before, down to 256 pixels. A COG has them anyway.
    #[arg(long)]
    overviews: bool,
    /// How overviews are made: nearest, bilinear, cubic, cubicspline, lanczos, average, mode [default: average of numbers, nearest
    /// of truth values and integers; in a COG average, mode for palettes].
    #[arg(long, value_name = "METHOD")]
    overview_resampling: Option<Resampling>,
    /// Metadata item of the output; may be repeated.
    #[arg(long = "mo", alias = "metadata", value_name = "KEY=VALUE", value_parser = item)]
    metadata: Vec<(String, String)>,
    /// Do not carry over the metadata of the first input.
    #[arg(long, visible_alias = "no-metadata")]
    nomd: bool,
    /// Add the bands' minimum, maximum, mean and standard deviation to their metadata, as gdalinfo -stats computes them.
    #[arg(long)]
    statistics: bool,
    /// Replace an existing file once the new one is complete.
    #[arg(long)]
    overwrite: bool,
    /// Say what would be made, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// GDAL open option for all inputs; may be repeated.
    #[arg(long = "oo", value_name = "KEY=VALUE")]
    open_options: Vec<String>,
    /// Side in pixels of the windows that are computed at a time; it makes no difference to the result [default: what suits files
    /// and memory].
    #[arg(long, value_name = "PIXELS")]
    window_size: Option<usize>,
    #[command(flatten)]
    faults: FaultArgs,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

/// Functions and examples, for the end of the help.
fn after_help() -> String {
    let mut text = String::from("Functions:\n");
    for f in FUNCTIONS {
        let _ = writeln!(text, "  {:<24} {}", format!("{}({})", f.name, f.arguments), f.what);
    }
    text + "\n" + EXAMPLES
}

fn input_band(text: &str) -> Result<(String, usize), String> {
    let parts = text.split_once('=').and_then(|(name, band)| Some((name.to_owned(), band.parse().ok()?)));
    parts.filter(|(_, band)| *band > 0).ok_or_else(|| "give NAME=BAND, as in A=2".to_owned())
}

/// A value for no data, or none.
pub(super) fn nodata(text: &str) -> Result<Nodata, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "none" | "no" => Ok(Nodata::None),
        "nan" => Ok(Nodata::Value(f64::NAN)),
        number => number.parse().map(Nodata::Value).map_err(|_| "give a number, nan or none".to_owned()),
    }
}

fn policy(text: &str) -> Result<NodataPolicy, String> {
    match text.to_ascii_lowercase().as_str() {
        "propagate" => Ok(NodataPolicy::Propagate),
        "ignore" => Ok(NodataPolicy::Ignore),
        _ => Err("known are propagate and ignore".to_owned()),
    }
}

fn edge(text: &str) -> Result<Edge, String> {
    let found = Edge::of_name(text).filter(|edge| *edge != Edge::Extrapolate);
    found.ok_or_else(|| "known are nodata, nearest and reflect".to_owned())
}

/// A metadata item.
pub(super) fn item(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(key, _)| !key.is_empty());
    parts.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| "give KEY=VALUE".to_owned())
}

/// The arguments of `calc` with those of `gdal_calc` replaced: `-A FILE` by `--input A=FILE`, `--A_band 2` by `--input-band A=2`.
pub fn normalised(args: Vec<OsString>) -> Vec<OsString> {
    if args.get(1).is_none_or(|command| command != "calc") {
        return args;
    }
    let letter = |text: &str| {
        let mut characters = text.chars();
        characters.next().filter(|c| c.is_ascii_uppercase() && *c != 'V' && characters.next().is_none())
    };
    let mut replaced = Vec::with_capacity(args.len());
    let mut rest = args.into_iter();
    while let Some(arg) = rest.next() {
        if arg == "--" {
            replaced.push(arg);
            replaced.extend(rest);
            break;
        }
        let text = arg.to_string_lossy();
        let (key, value) = text.split_once('=').map_or((&*text, None), |(k, v)| (k, Some(v.to_owned())));
        let file = key.strip_prefix('-').and_then(letter);
        let band = key.strip_prefix("--").and_then(|k| k.strip_suffix("_band")).and_then(letter);
        let (option, name) = match (file, band) {
            (Some(name), _) => ("--input", name),
            (_, Some(name)) => ("--input-band", name),
            _ if key == "-mo" => {
                replaced.push("--mo".into());
                continue;
            }
            _ => {
                replaced.push(arg);
                continue;
            }
        };
        let mut pair = OsString::from(format!("{name}="));
        match value {
            Some(value) => pair.push(value),
            None => pair.push(rest.next().unwrap_or_default()),
        }
        replaced.extend([OsString::from(option), pair]);
    }
    replaced
}

/// A name and a file, as in `nir=b08.tif`; a file whose own name looks so is meant itself.
fn named(text: &Path) -> Option<(String, PathBuf)> {
    let (name, path) = text.to_str()?.split_once('=')?;
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.is_empty();
    (is_name && !path.is_empty() && !text.exists()).then(|| (name.to_owned(), PathBuf::from(path)))
}

impl CalcArgs {
    /// The job the flags describe.
    pub(super) fn job(&self) -> Result<CalcJob> {
        let (bare, output) = match (&self.output, &self.paths[..]) {
            (Some(output), all) => (all, output),
            (None, [bare @ .., output]) => (bare, output),
            (None, []) => return Err(Error::Usage("give an output".to_owned())),
        };
        let mut rasters = Vec::new();
        for text in &self.input {
            let (name, path) = named(Path::new(text))
                .ok_or_else(|| Error::Usage(format!("--input {text}: give NAME=FILE, as in nir=b08.tif")))?;
            rasters.push((Some(name), path));
        }
        for path in bare {
            rasters.push(named(path).map_or_else(|| (None, path.clone()), |(name, path)| (Some(name), path)));
        }
        if rasters.is_empty() {
            return Err(Error::Usage("give at least one input and an output".to_owned()));
        }
        let rasters = rasters.into_iter().map(|(name, path)| self.input(name, &path));
        let target = Target { path: output.clone(), overwrite: self.overwrite, tmp_dir: None };
        let mut job = CalcJob::new(rasters.collect::<Result<_>>()?, target, self.expr.clone());
        let table = Table::standard();
        job.operations = self.op.iter().map(|text| Call::parse(text, &table)).collect::<Result<_, _>>()?;
        job.edge = self.edge;
        let on_error = self.faults.on_error();
        job.inputs.iter_mut().for_each(|input| input.source.on_error = on_error.clone());
        self.choose_bands(&mut job)?;
        job.like = self.like.as_deref().map(|path| self.source(path)).transpose()?;
        job.resampling = self.resampling;
        job.ignore_georeferencing = self.ignore_georeferencing;
        job.unscale = self.unscale;
        job.policy = if self.hide_nodata { NodataPolicy::Ignore } else { self.nodata_policy };
        job.nodata = self.nodata.unwrap_or_default();
        job.sample_type = self.ot;
        job.driver = cog::driver(self.cog, &self.format)?;
        cog::check_overviews(self.overview_resampling, self.overviews, &job.driver)?;
        job.creation_options.clone_from(&self.creation_options);
        job.overviews = match self.overview_resampling {
            Some(method) => OverviewChoice::By(method),
            None if self.overviews => OverviewChoice::Auto,
            None => OverviewChoice::None,
        };
        job.metadata.clone_from(&self.metadata);
        job.carry_metadata = !self.nomd;
        job.statistics = self.statistics;
        job.strict = self.strict;
        job.window = self.window_size;
        let asked = cog::asked_threads(&job.driver, &job.creation_options)?;
        job.threads = asked.unwrap_or(job.threads);
        self.machine.apply(&mut job.threads, &mut job.readers, &mut job.memory)?;
        job.validate()?;
        Ok(job)
    }

    /// The raster that a word names.
    fn source(&self, path: &Path) -> Result<SourceSpec> {
        let mut found = inputs::expand([path])?;
        let (Some(path), true) = (found.pop(), found.is_empty()) else {
            return Err(Error::input(path, "names several rasters; give each of them"));
        };
        let src_nodata = match &self.src_nodata {
            None => SrcNodata::Declared,
            Some(values) if values.0.is_empty() => SrcNodata::None,
            Some(values) => SrcNodata::Values(vec![values.0.clone()]),
        };
        Ok(SourceSpec { path, open_options: self.open_options.clone(), src_nodata, ..SourceSpec::default() })
    }

    fn input(&self, name: Option<String>, path: &Path) -> Result<CalcInput> {
        if let Some(name) = &name {
            check_name(name).map_err(Error::Usage)?;
        }
        Ok(CalcInput { name, ..CalcInput::new(self.source(path)?) })
    }

    fn choose_bands(&self, job: &mut CalcJob) -> Result<()> {
        for (name, band) in &self.input_band {
            let letter =
                |k: usize| u8::try_from(k).map_or(String::new(), |k| char::from(b'A' + k % 26).to_string());
            let own =
                |(k, input): (usize, &CalcInput)| input.name.clone().unwrap_or_else(|| letter(k)) == *name;
            let Some(k) = job.inputs.iter().enumerate().position(own) else {
                return Err(Error::Usage(format!("--input-band {name}={band}: no input is named '{name}'")));
            };
            job.inputs[k].band = *band;
        }
        Ok(())
    }
}

/// Runs `tileloom calc`.
pub fn run(args: &CalcArgs) -> Result<()> {
    args.common.apply()?;
    let job = args.job()?;
    if args.dry_run {
        let plan = dry_run(&job)?;
        let preview = Preview::new(&job, &plan);
        return args.common.show(&preview, || preview.text());
    }
    let report = watch(&args.common, &args.machine, |monitor, planned| {
        run_job(&job, monitor, |plan, total| planned(&plan.notes, total))
    })?;
    args.common.report(&report, || text(&report, args.machine.stats))?;
    faults::tell(&report.skipped, args.common.quiet)
}

/// What `--dry-run` has to say.
#[derive(Debug, Serialize)]
struct Preview<'a> {
    output: &'a PathBuf,
    format: &'a str,
    creation_options: &'a [String],
    size: [usize; 2],
    #[serde(rename = "type")]
    sample_type: &'static str,
    nodata: Option<f64>,
    bands: Vec<Option<String>>,
    crs: Option<&'a str>,
    /// Bytes of the output's samples, before compression.
    bytes: u64,
    windows: usize,
    window: [usize; 2],
    guesses: &'a [String],
    notes: &'a [String],
    memory: Budget,
    readers: usize,
    threads: usize,
}

impl<'a> Preview<'a> {
    fn new(job: &'a CalcJob, plan: &'a Plan) -> Self {
        let size = plan.grid.size;
        let pixel = plan.bands() * plan.form.sample_type.bytes();
        Self {
            output: &job.target.path,
            format: &plan.storage.driver,
            creation_options: &plan.storage.options,
            size: [size.width, size.height],
            sample_type: plan.form.sample_type.gdal_name(),
            nodata: plan.form.nodata,
            bands: plan.band_names.clone(),
            crs: plan.grid.georeferencing.crs.as_deref(),
            bytes: size.area() as u64 * pixel as u64,
            windows: plan.windows().len(),
            window: [plan.window.width, plan.window.height],
            guesses: &plan.guesses,
            notes: &plan.notes,
            memory: plan.budget,
            readers: job.readers,
            threads: job.threads,
        }
    }

    fn text(&self) -> String {
        let mut t = String::new();
        let [width, height] = self.size;
        let bands = self.bands.len();
        let _ = writeln!(
            t,
            "{}: {}, {width} × {height} pixels, {bands} × {}{}, {} before compression",
            self.output.display(),
            self.format,
            self.sample_type,
            nodata_text(self.nodata),
            size(self.bytes)
        );
        for (number, name) in self.bands.iter().enumerate() {
            if let Some(name) = name {
                let _ = writeln!(t, "band {}: {name}", number + 1);
            }
        }
        if !self.creation_options.is_empty() {
            let _ = writeln!(t, "options {}", self.creation_options.join(" "));
        }
        let _ = writeln!(t, "CRS {}", self.crs.unwrap_or("none"));
        let [columns, rows] = self.window;
        let m = &self.memory;
        let _ = writeln!(
            t,
            "{} windows of {columns} × {rows} pixels, {} of memory, {} threads, {} readers",
            self.windows,
            size((m.fixed + m.chunks + m.in_flight) as u64),
            self.threads,
            self.readers
        );
        lines(&mut t, "chosen", self.guesses);
        for text in self.notes {
            let _ = writeln!(t, "note: {text}");
        }
        t
    }
}

fn nodata_text(value: Option<f64>) -> String {
    value.map_or_else(String::new, |v| format!(", nodata {v}"))
}

fn text(report: &Report, stats: bool) -> String {
    let mut t = String::new();
    let [width, height] = report.size;
    let _ = writeln!(
        t,
        "{}: {width} × {height} pixels, {} × {}{}, {}",
        report.output.display(),
        report.bands.len(),
        report.sample_type,
        nodata_text(report.nodata),
        size(report.bytes)
    );
    cog::stored(&mut t, report.cog.as_ref());
    let area = (width * height).max(1) as f64;
    for (number, band) in report.bands.iter().enumerate().filter(|(_, band)| band.missing > 0) {
        let name = band.name.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
        let share = band.missing as f64 / area * 100.0;
        let _ = writeln!(t, "band {}{name}: {} pixels without data ({share:.2} %)", number + 1, band.missing);
    }
    lines(&mut t, "chosen", &report.guesses);
    lines(&mut t, "warning", &report.warnings);
    effort(&mut t, &report.effort, stats);
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn options_of_gdal_calc_are_understood() {
        let given = words("tileloom calc -A a.tif --A_band 2 -B=b.tif --B_band=3 --outfile c.tif --calc A+B");
        let expected = words(
            "tileloom calc --input A=a.tif --input-band A=2 --input B=b.tif --input-band B=3 --outfile c.tif --calc A+B",
        );
        assert_eq!(normalised(given), expected);
        let other = words("tileloom tile -A a.tif");
        assert_eq!(normalised(other.clone()), other);
        let literal = words("tileloom calc -- -A a.tif");
        assert_eq!(normalised(literal.clone()), literal);
    }

    #[test]
    fn files_may_have_names_in_front() {
        assert_eq!(named(Path::new("nir=b08.tif")), Some(("nir".to_owned(), "b08.tif".into())));
        assert_eq!(named(Path::new("b08.tif")), None);
        assert_eq!(named(Path::new("/data/a=b.tif")), None);
        assert_eq!(named(Path::new("nir=")), None);
    }

    #[test]
    fn values_for_no_data_are_numbers_or_none() {
        assert_eq!(nodata("-9999"), Ok(Nodata::Value(-9999.0)));
        assert_eq!(nodata("None"), Ok(Nodata::None));
        assert!(matches!(nodata("NaN"), Ok(Nodata::Value(v)) if v.is_nan()));
        assert!(nodata("nothing").is_err());
    }
}
