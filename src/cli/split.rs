//! `tileloom split`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tileloom::job::split::{
    Budget, Dealing, Edges, Extent, Format, IndexKind, LayerReport, Plan, Report, SplitInput, SplitJob,
    Subset, dry_run, index_kinds, layer_reports, partition, run as run_job,
};
use tileloom::raster::cutline::CutlineSpec;
use tileloom::raster::{SourceSpec, SrcNodata};
use tileloom::resampling::Resampling;
use tileloom::sink::Target;
use tileloom::sink::chips::ShardLimits;
use tileloom::{Error, Result};

use super::faults::{self, FaultArgs};
use super::machine::MachineArgs;
use super::session::{effort, lines, size, watch};
use super::{CommonArgs, parse};

const EXAMPLES: &str = "\
Several INPUTs, and labels, are taken from the same place at once: their chips have the same name, each input has a folder of its own. \
gdal_retile's -ps and -overlap are understood.

Examples:
  tileloom split scene.tif chips/ --size 512
  tileloom split scene.tif chips/ --size 512 --overlap 64 --edges shift --min-valid 0.5 -f PNG
  tileloom split scene.tif chips/ --label landcover.tif --size 256 --subsets train=0.8,val=0.2
  tileloom split s1.tif s2.tif chips/ --shards 10000 --index csv,stac --datetime 2024-06-30T10:20:00Z
  tileloom split ortho.tif sheets/ --size 1000 --units ground --co COMPRESS=ZSTD
  tileloom split ortho.tif fields/ --footprints fields.gpkg --size 128";

/// Options of `split`, as they are written.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::doc_markdown)] // the help shows the text as it stands
pub struct SplitArgs {
    /// Rasters (anything GDAL reads), FILE or NAME=FILE, and the folder to make.
    #[arg(required = true, value_name = "INPUT... OUTDIR")]
    paths: Vec<PathBuf>,
    /// A raster of classes, FILE or NAME=FILE: resampled by nearest only; may be repeated.
    #[arg(long = "label", value_name = "FILE")]
    labels: Vec<PathBuf>,
    /// Side of a chip, or WIDTH,HEIGHT [default: 256 pixels].
    #[arg(long, visible_alias = "chip-size", value_name = "SIZE", value_parser = sides, allow_hyphen_values = true)]
    size: Option<Sides>,
    /// What --size, --overlap and --stride count: pixels, or ground for units of the CRS.
    #[arg(long, value_name = "pixels|ground", default_value = "pixels", value_parser = ["pixels", "ground"])]
    units: String,
    /// Cut into so many columns and rows of chips instead, as in 4x3.
    #[arg(long, value_name = "COLUMNSxROWS", value_parser = grid, conflicts_with_all = ["size", "overlap", "stride"])]
    grid: Option<(usize, usize)>,
    /// How far a chip lies over the next one, to the right and down.
    #[arg(long, value_name = "SIZE", value_parser = sides, allow_hyphen_values = true)]
    overlap: Option<Sides>,
    /// From the start of a chip to the start of the next, to the right and down [default: the size].
    #[arg(long, value_name = "SIZE", value_parser = sides, allow_hyphen_values = true)]
    stride: Option<Sides>,
    /// Chips that reach beyond the edge: partial are smaller, pad are filled up, shift are moved back inside, drop are left out.
    #[arg(long, value_name = "partial|pad|shift|drop", default_value = "partial")]
    edges: Edges,
    /// The value of pixels beyond the edge [default: that of pixels without data, else 0].
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pad_value: Option<f64>,
    /// Leave out chips of which less than this share of the pixels has data, in the first input.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    min_valid: f64,
    /// A raster on whose grid of pixels chips lie [default: the first input].
    #[arg(long, value_name = "FILE")]
    like: Option<PathBuf>,
    /// A vector file of which each feature makes a chip: around it, or of --size with its middle there.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["grid", "overlap", "stride"])]
    footprints: Option<PathBuf>,
    /// Layer of the footprints [default: the first].
    #[arg(long, value_name = "NAME", requires = "footprints")]
    footprints_layer: Option<String>,
    /// Condition that features must meet, as in the WHERE of SQL.
    #[arg(long, value_name = "CONDITION", requires = "footprints")]
    footprints_where: Option<String>,
    /// CRS to assume for the footprints instead of their own.
    #[arg(long, value_name = "CRS", requires = "footprints")]
    footprints_srs: Option<String>,
    /// How inputs on other grids are resampled; labels always by nearest.
    #[arg(short, long, value_name = "METHOD", default_value = "nearest")]
    resampling: Resampling,
    /// Bands to take of inputs that are no labels, in this order [default: all].
    #[arg(short, long, visible_alias = "band", value_name = "N", value_delimiter = ',')]
    bands: Vec<usize>,
    /// Format of chips, by GDAL's name or the extension: GTiff, PNG, JPEG, WEBP, ...
    #[arg(short, long, visible_alias = "of", value_name = "FORMAT", default_value = "GTiff")]
    format: String,
    /// Creation option of the format; may be repeated.
    #[arg(long = "co", alias = "creation-option", value_name = "KEY=VALUE")]
    creation_options: Vec<String>,
    /// Format of labels [default: that of the others, or a lossless one where that is lossy].
    #[arg(long, value_name = "FORMAT", requires = "labels")]
    label_format: Option<String>,
    /// Creation option of the format of labels; may be repeated.
    #[arg(long = "label-co", value_name = "KEY=VALUE", requires = "label_format")]
    label_options: Vec<String>,
    /// Names of chips: {source}, {row}, {column}, {x}, {y}, {index}; a slash makes folders.
    #[arg(long, value_name = "TEMPLATE", default_value = "{source}_{row}_{column}")]
    name: String,
    /// What lists the chips: csv, geojson, stac, or none.
    #[arg(long, value_name = "LIST", default_value = "csv,geojson", value_parser = indexes)]
    index: Indexes,
    /// When the pixels were taken, in UTC, as in 2024-06-30T10:20:00Z; for --index stac.
    #[arg(long, value_name = "TIME")]
    datetime: Option<String>,
    /// Write tar archives as WebDataset reads them, of so many chips at most, for instance 10000.
    #[arg(long, value_name = "CHIPS")]
    shards: Option<u64>,
    /// The same, of so many bytes at most, for instance 1G.
    #[arg(long, value_name = "SIZE", value_parser = parse::memory)]
    shard_size: Option<usize>,
    /// Deal chips out to subsets by squares of the ground, so that no two subsets share a pixel: NAME=SHARE,...
    #[arg(long, value_name = "NAME=SHARE,...", value_parser = subsets)]
    subsets: Option<Subsets>,
    /// What decides which square goes to which subset.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "subsets")]
    seed: u64,
    /// Side of these squares in pixels [default: four chips].
    #[arg(long, value_name = "PIXELS", requires = "subsets")]
    subset_block: Option<usize>,
    /// CRS to assume for the inputs instead of their own.
    #[arg(short = 's', long, visible_alias = "input-crs", value_name = "CRS")]
    src_crs: Option<String>,
    /// The value of pixels without data, instead of the declared ones, of inputs that are no labels; none for none.
    #[arg(long, value_name = "VALUE|none", value_parser = parse::nodata, allow_hyphen_values = true)]
    src_nodata: Option<parse::NodataValues>,
    /// Replace a folder of chips once the new one is complete.
    #[arg(long)]
    overwrite: bool,
    /// Keep what is finished when the run stops, and go on with it when it is started again.
    #[arg(long, conflicts_with = "dry_run")]
    resume: bool,
    /// Say what would be made, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// GDAL open option for all inputs; may be repeated.
    #[arg(long = "oo", value_name = "KEY=VALUE")]
    open_options: Vec<String>,
    #[command(flatten)]
    faults: FaultArgs,
    #[command(flatten)]
    machine: MachineArgs,
    #[command(flatten)]
    common: CommonArgs,
}

/// Values of `--index`.
#[derive(Debug, Clone)]
struct Indexes(Vec<IndexKind>);

/// Values of `--subsets`.
#[derive(Debug, Clone)]
struct Subsets(Vec<Subset>);

fn indexes(text: &str) -> Result<Indexes, String> {
    index_kinds(text).map(Indexes)
}

fn subsets(text: &str) -> Result<Subsets, String> {
    partition::subsets(text).map(Subsets)
}

/// GDAL's name of a format, where its extension is given.
fn driver(name: &str) -> String {
    let known = [("tif", "GTiff"), ("tiff", "GTiff"), ("jpg", "JPEG"), ("jp2", "JP2OpenJPEG")];
    let found = known.iter().find(|(extension, _)| name.eq_ignore_ascii_case(extension));
    found.map_or(name, |(_, driver)| driver).to_owned()
}

/// Columns and rows: `4x3`.
fn grid(text: &str) -> Result<(usize, usize), String> {
    let pair = text.split_once(['x', 'X', '×', ',']);
    let number = |t: &str| t.trim().parse::<usize>().ok().filter(|n| *n > 0);
    let both = pair.and_then(|(columns, rows)| Some((number(columns)?, number(rows)?)));
    both.ok_or_else(|| format!("'{text}': give columns and rows, for instance 4x3"))
}

/// A length to the right and one down.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sides((f64, f64));

/// One number for both directions, or one for each: `512`, `512,256`.
fn sides(text: &str) -> Result<Sides, String> {
    let numbers: Option<Vec<f64>> = text.split(',').map(|n| n.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some(&[side]) => Ok(Sides((side, side))),
        Some(&[x, y]) => Ok(Sides((x, y))),
        _ => Err("give one number, or two as in 512,256".to_owned()),
    }
}

impl SplitArgs {
    /// The job the flags describe.
    fn job(&self) -> Result<SplitJob> {
        let [inputs @ .., output] = &self.paths[..] else {
            return Err(Error::Usage("give at least one input and a folder".to_owned()));
        };
        if inputs.is_empty() {
            return Err(Error::Usage("give at least one input and a folder".to_owned()));
        }
        let images = inputs.iter().map(|path| self.input(path, false));
        let labels = self.labels.iter().map(|path| self.input(path, true));
        let target = Target { path: output.clone(), overwrite: self.overwrite, tmp_dir: None };
        let mut job = SplitJob::new(images.chain(labels).collect(), target);
        job.extent = match self.grid {
            Some((columns, rows)) => Extent::Grid { columns, rows },
            None => Extent::Size {
                size: self.size.map(|s| s.0),
                overlap: self.overlap.map(|s| s.0),
                stride: self.stride.map(|s| s.0),
                ground: self.units == "ground",
            },
        };
        job.edges = self.edges;
        job.pad_value = self.pad_value;
        job.min_valid = self.min_valid;
        job.like = self.like.clone().map(SourceSpec::new);
        job.footprints = self.footprints.clone().map(|path| CutlineSpec {
            path,
            layer: self.footprints_layer.clone(),
            filter: self.footprints_where.clone(),
            crs: self.footprints_srs.clone(),
        });
        job.resampling = self.resampling;
        job.bands.clone_from(&self.bands);
        job.format = Format { driver: driver(&self.format), creation_options: self.creation_options.clone() };
        job.label_format = self
            .label_format
            .clone()
            .map(|name| Format { driver: driver(&name), creation_options: self.label_options.clone() });
        job.name.clone_from(&self.name);
        job.index.clone_from(&self.index.0);
        job.datetime.clone_from(&self.datetime);
        job.shards = match (self.shards, self.shard_size) {
            (None, None) => None,
            (chips, bytes) => Some(ShardLimits {
                chips: chips.unwrap_or(u64::MAX),
                bytes: bytes.map_or(u64::MAX, |b| b as u64),
            }),
        };
        job.dealing = self.subsets.as_ref().map(|subsets| Dealing {
            subsets: subsets.0.clone(),
            seed: self.seed,
            block: self.subset_block,
        });
        let on_error = self.faults.on_error();
        job.inputs.iter_mut().for_each(|input| input.source.on_error = on_error.clone());
        job.resume = self.resume;
        job.settings.clone_from(&self.common.config);
        self.machine.apply(&mut job.threads, &mut job.readers, &mut job.memory)?;
        job.validate()?;
        Ok(job)
    }

    /// An input, `FILE` or `NAME=FILE`.
    fn input(&self, path: &std::path::Path, label: bool) -> SplitInput {
        let text = path.to_string_lossy();
        let plain =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
        let named = text.split_once('=').filter(|(name, _)| plain(name) && !path.exists());
        let (name, path) = match named {
            Some((name, rest)) => (Some(name.to_owned()), PathBuf::from(rest)),
            None => (None, path.to_owned()),
        };
        let src_nodata = match &self.src_nodata {
            Some(values) if !label && values.0.is_empty() => SrcNodata::None,
            Some(values) if !label => SrcNodata::Values(vec![values.0.clone()]),
            _ => SrcNodata::Declared,
        };
        let source = SourceSpec {
            path,
            open_options: self.open_options.clone(),
            src_crs: self.src_crs.clone(),
            src_nodata,
            ..SourceSpec::default()
        };
        SplitInput { name, source, label }
    }
}

/// Runs `tileloom split`.
pub fn run(args: &SplitArgs) -> Result<()> {
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
    faults::tell(&report.lost, args.common.quiet)
}

/// What `--dry-run` has to say.
#[derive(Debug, Serialize)]
struct Preview<'a> {
    output: &'a PathBuf,
    chips: usize,
    astride: usize,
    columns_and_rows: Option<(usize, usize)>,
    size: [usize; 2],
    raster: [usize; 2],
    first: String,
    last: String,
    inputs: Vec<LayerReport>,
    /// Bytes of the samples of all chips, before compression.
    bytes: u64,
    guesses: &'a [String],
    notes: &'a [String],
    memory: Budget,
    readers: usize,
    threads: usize,
}

impl<'a> Preview<'a> {
    fn new(job: &'a SplitJob, plan: &'a Plan) -> Self {
        let (largest, raster) = (plan.largest(), plan.raster());
        Self {
            output: &job.target.path,
            chips: plan.kept(),
            astride: plan.astride,
            columns_and_rows: plan.columns_and_rows(),
            size: [largest.width, largest.height],
            raster: [raster.width, raster.height],
            first: plan.name(0),
            last: plan.name(plan.count() - 1),
            inputs: layer_reports(plan),
            bytes: plan.bytes(),
            guesses: &plan.guesses,
            notes: &plan.notes,
            memory: plan.budget,
            readers: job.readers,
            threads: job.threads,
        }
    }

    fn text(&self) -> String {
        let mut t = String::new();
        let ([width, height], [columns, rows]) = (self.size, self.raster);
        let _ = writeln!(
            t,
            "{}: up to {} chips of {width} × {height} pixels out of {columns} × {rows}{}, {} before compression",
            self.output.display(),
            self.chips,
            self.columns_and_rows.map_or_else(String::new, |(c, r)| format!(", {c} columns and {r} rows")),
            size(self.bytes)
        );
        let _ = writeln!(t, "names {} to {}", self.first, self.last);
        inputs(&mut t, &self.inputs);
        let m = &self.memory;
        let _ = writeln!(
            t,
            "{} of memory, {} threads, {} readers",
            size((m.fixed + m.chunks + m.in_flight) as u64),
            self.threads,
            self.readers
        );
        lines(&mut t, "chosen", self.guesses);
        lines(&mut t, "note", self.notes);
        t
    }
}

fn inputs(t: &mut String, all: &[LayerReport]) {
    for l in all {
        let options = if l.options.is_empty() { String::new() } else { format!(", {}", l.options.join(" ")) };
        let _ = writeln!(t, "{}: {} × {}, {}{options}", l.name, l.bands, l.sample_type, l.format);
    }
}

fn text(report: &Report, stats: bool) -> String {
    let mut t = String::new();
    let [width, height] = report.size;
    let shards = if report.shards > 0 { format!(", {} shards", report.shards) } else { String::new() };
    let _ = writeln!(
        t,
        "{}: {} chips of {width} × {height} pixels, {} files{shards}, {}",
        report.output.display(),
        report.chips,
        report.files,
        size(report.bytes)
    );
    inputs(&mut t, &report.inputs);
    for subset in &report.subsets {
        let share = subset.chips as f64 / report.chips.max(1) as f64 * 100.0;
        let _ = writeln!(t, "{}: {} chips ({share:.1} %)", subset.name, subset.chips);
    }
    if report.resumed > 0 {
        let _ = writeln!(t, "{} places were finished before", report.resumed);
    }
    if report.skipped > 0 {
        let _ = writeln!(t, "{} places left out that have too little data", report.skipped);
    }
    if report.astride > 0 {
        let _ = writeln!(t, "{} places left out that lie in squares of several subsets", report.astride);
    }
    lines(&mut t, "chosen", &report.guesses);
    effort(&mut t, &report.effort, stats);
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_are_columns_and_rows() {
        assert_eq!(grid("4x3"), Ok((4, 3)));
        assert_eq!(grid("4, 3"), Ok((4, 3)));
        assert!(grid("4").is_err() && grid("0x3").is_err() && grid("axb").is_err());
    }

    #[test]
    fn sides_are_one_number_or_two() {
        assert_eq!(sides("512"), Ok(Sides((512.0, 512.0))));
        assert_eq!(sides("512, 256"), Ok(Sides((512.0, 256.0))));
        assert_eq!(sides("2.5,1"), Ok(Sides((2.5, 1.0))));
        assert!(sides("").is_err() && sides("1,2,3").is_err() && sides("a").is_err());
    }
}
