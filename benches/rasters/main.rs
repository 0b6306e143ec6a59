//! tileloom beside other programs where a raster comes out: `calc`, `warp` and `cog`. Each does it in turn, in one run.
//!
//! `cargo bench --bench rasters -- JOB RASTER...`; `benches/README.md` tells more.

#[path = "../peers/measure.rs"]
mod measure;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use measure::{Others, Usage, median};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Job {
    /// (band 4 − band 1) / (band 4 + band 1) as Float32, DEFLATE.
    Ndvi,
    /// The same without compression.
    NdviPlain,
    /// To Web Mercator, bilinear, DEFLATE.
    Warp,
    /// A cloud-optimised GeoTIFF, DEFLATE with a predictor, overviews by average.
    Cog,
    /// The same with JPEG of quality 75.
    CogJpeg,
    /// The same with ZSTD.
    CogZstd,
    /// A shaded relief of a digital elevation model, DEFLATE.
    Hillshade,
    /// The median of 5 × 5 pixels, DEFLATE.
    Median,
    /// The same with LZW.
    CogLzw,
    /// The same with WebP of quality 75.
    CogWebp,
    /// The same on the tiles of Web Mercator, bilinear.
    CogWeb,
}

/// Compares tileloom with other programs that make rasters, and prints a markdown table.
#[derive(Debug, Parser)]
struct Args {
    /// What to do
    #[arg(value_enum)]
    job: Job,
    /// The rasters to do it with
    #[arg(required = true)]
    rasters: Vec<PathBuf>,
    /// Measured rounds, after one that is not; medians are printed
    #[arg(short = 'n', long, default_value_t = 3)]
    rounds: usize,
    /// Folder for what is made and deleted again [default: that for temporary files]
    #[arg(long)]
    scratch: Option<PathBuf>,
    /// What `cargo bench` says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// A program and its command line, in which `IN` and `OUT` stand for the files. tileloom comes first.
type Line = (&'static str, String);

/// The normalised difference as `rio calc` wants it, which has blanks.
const RIO_NDVI: &str = "(/ (- (* 1.0 (read 1 4)) (read 1 1)) (+ (* 1.0 (read 1 4)) (read 1 1)))";

/// The program that a variable of the environment names, or one on the path.
fn named(variable: &str, name: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| name.to_owned())
}

/// This program's command line.
fn own(rest: &str) -> Line {
    ("tileloom", format!("{} {rest}", env!("CARGO_BIN_EXE_tileloom")))
}

/// Creation options for what `calc` makes by itself.
fn tiles(compress: &str) -> String {
    format!("--co COMPRESS={compress} --co TILED=YES --co BLOCKXSIZE=512 --co BLOCKYSIZE=512")
}

fn hillshade(gdal: &str) -> Vec<Line> {
    vec![
        own("calc -q IN OUT --op hillshade --co COMPRESS=DEFLATE"),
        ("`gdal raster hillshade`", format!("{gdal} raster hillshade -q {} IN OUT", tiles("DEFLATE"))),
        (
            "`gdaldem hillshade`",
            format!("gdaldem hillshade -q -compute_edges {} IN OUT", tiles("DEFLATE").replace("--co", "-co")),
        ),
    ]
}

fn focal_median(gdal: &str) -> Vec<Line> {
    vec![
        own("calc -q IN OUT --op focal(median,5) --co COMPRESS=DEFLATE"),
        (
            "`gdal raster neighbors`",
            format!(
                "{gdal} raster neighbors -q --method median --size 5 --kernel equal {} IN OUT",
                tiles("DEFLATE")
            ),
        ),
    ]
}

impl Job {
    fn lines(self) -> Vec<Line> {
        let gdal = named("TILELOOM_GDAL", "gdal");
        let rio = named("TILELOOM_RIO", "rio");
        let python = named("TILELOOM_PYTHON", "python3");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/rasters/ndvi.py");
        let ndvi = |compress: &str| {
            let options = tiles(compress);
            let predictor = if compress == "NONE" { "" } else { " --co PREDICTOR=3" };
            vec![
                own(&format!(
                    "calc -q IN OUT -e (A[4]-A[1])/(A[4]+A[1]) --ot Float32 --co COMPRESS={compress}"
                )),
                (
                    "`gdal raster calc`",
                    format!(
                        "{gdal} raster calc -q -i A=IN --calc (A[4]-A[1])/(A[4]+A[1]) --ot Float32 {options}{predictor} -o OUT"
                    ),
                ),
                (
                    "`gdal_calc.py`",
                    format!(
                        "gdal_calc.py --quiet -A IN --A_band=4 -B IN --B_band=1 --calc=(A*1.0-B)/(A*1.0+B) --type=Float32 {options}{predictor} --outfile OUT"
                    ),
                ),
                (
                    "`rio calc`",
                    format!("{rio} calc FORMULA IN OUT --dtype float32 {}", options.clone() + predictor)
                        .replace("=YES", "=true"),
                ),
                ("rio-mucho", format!("{python} {script} mucho {compress} IN OUT")),
                ("rioxarray, dask", format!("{python} {script} dask {compress} IN OUT")),
            ]
        };
        let deflate = "--co COMPRESS=DEFLATE --co PREDICTOR=2 --co TILED=YES --co BLOCKXSIZE=512 --co BLOCKYSIZE=512 \
                       --co NUM_THREADS=2";
        let cog = |compress: &str, predictor: &str| {
            let packing = format!("--co COMPRESS={compress}{predictor}");
            let profile = compress.to_ascii_lowercase();
            vec![
                own(&format!("cog -q IN OUT {packing}")),
                (
                    "`gdal raster convert -f COG`",
                    format!(
                        "{gdal} raster convert -q -f COG {packing} --co OVERVIEW_RESAMPLING=AVERAGE --co NUM_THREADS=2 IN OUT"
                    ),
                ),
                (
                    "`rio cogeo create`",
                    format!("{rio} cogeo create -q -p {profile} --overview-resampling average IN OUT"),
                ),
            ]
        };
        match self {
            Self::Ndvi => ndvi("DEFLATE"),
            Self::NdviPlain => ndvi("NONE"),
            Self::Warp => vec![
                own("warp -q IN OUT -t_srs EPSG:3857 -r bilinear --co COMPRESS=DEFLATE"),
                (
                    "`gdalwarp -multi`",
                    format!(
                        "gdalwarp -q -multi -wo NUM_THREADS=2 -t_srs EPSG:3857 -r bilinear {} IN OUT",
                        deflate.replace("--co", "-co")
                    ),
                ),
                (
                    "`gdal raster reproject`",
                    format!("{gdal} raster reproject -q -d EPSG:3857 -r bilinear -j 2 {deflate} IN OUT"),
                ),
            ],
            Self::Cog => cog("DEFLATE", " --co PREDICTOR=YES"),
            Self::CogJpeg => cog("JPEG", ""),
            Self::CogZstd => cog("ZSTD", " --co PREDICTOR=YES"),
            Self::Hillshade => hillshade(&gdal),
            Self::Median => focal_median(&gdal),
            Self::CogLzw => cog("LZW", " --co PREDICTOR=YES"),
            Self::CogWebp => cog("WEBP", ""),
            Self::CogWeb => {
                let mut lines = cog(
                    "DEFLATE",
                    " --co PREDICTOR=YES --co TILING_SCHEME=GoogleMapsCompatible --co WARP_RESAMPLING=BILINEAR",
                );
                lines[2].1 = format!(
                    "{rio} cogeo create -q -p deflate --web-optimized --resampling bilinear --overview-resampling average IN OUT"
                );
                lines
            }
        }
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    match args.peek() {
        None => {
            println!("This takes minutes: `cargo bench --bench rasters -- JOB RASTER` runs it.");
            return ExitCode::SUCCESS;
        }
        Some(first) if first == measure::RELAY => return measure::relay(args.skip(1)),
        Some(_) => {}
    }
    match compare(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What a program used in each measured round, and the size of what it made.
struct Entered {
    line: Line,
    usage: Vec<Usage>,
    bytes: u64,
}

fn compare(args: &Args) -> Result<()> {
    let scratch = match &args.scratch {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let mut others = Others::default();
    println!("| raster | program | CPU s | × | wall s | × | memory MB | MB | ours / theirs |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for raster in &args.rasters {
        let mut entered = Vec::new();
        for line in args.job.lines() {
            match once(&line, raster, scratch.path()) {
                Ok((_, bytes)) => entered.push(Entered { line, usage: Vec::new(), bytes }),
                Err(error) if !entered.is_empty() => eprintln!("skipped {}: {error}", line.0),
                Err(error) => return Err(error),
            }
        }
        for _ in 0..args.rounds {
            for one in &mut entered {
                one.usage.push(others.beside(|| Ok(once(&one.line, raster, scratch.path())?.0))?);
            }
        }
        rows(raster, &entered);
    }
    println!(
        "\nMedians of {} rounds in turn, after one that is not measured; `×` is the median of the ratios to tileloom within each round. \
         Other processes used {:.0} % of the processors meanwhile.",
        args.rounds,
        others.percent()
    );
    Ok(())
}

/// Runs a program once: what it used, and the size of what it made.
fn once((_, line): &Line, raster: &Path, scratch: &Path) -> Result<(Usage, u64)> {
    let output = scratch.join("out.tif");
    let (input, made) = (raster.to_str().ok_or("a path that is no text")?, output.to_str().ok_or("no text")?);
    let words = line.split_whitespace().map(|word| match word {
        "IN" => input.to_owned(),
        "OUT" => made.to_owned(),
        "A=IN" => format!("A={input}"),
        "FORMULA" => RIO_NDVI.to_owned(),
        word => word.to_owned(),
    });
    // What one that failed has left.
    let _ = fs::remove_file(&output);
    let usage = measure::run(&[words.collect::<Vec<_>>()], scratch)?;
    let bytes = fs::metadata(&output)?.len();
    // Some leave statistics beside it.
    let _ = fs::remove_file(scratch.join("out.tif.aux.xml"));
    fs::remove_file(&output)?;
    Ok((usage, bytes))
}

fn rows(raster: &Path, entered: &[Entered]) {
    let Some(base) = entered.first() else { return };
    for (index, one) in entered.iter().enumerate() {
        let of = |figure: fn(&Usage) -> f64| median(one.usage.iter().map(figure));
        let times = |figure: fn(&Usage) -> f64| {
            let ratio = median(one.usage.iter().zip(&base.usage).map(|(a, b)| figure(a) / figure(b)));
            if index == 0 { String::new() } else { format!("{ratio:.2}") }
        };
        println!(
            "| {} | {} | {:.2} | {} | {:.2} | {} | {:.0} | {:.1} | {} |",
            if index == 0 { raster.file_name().unwrap_or_default().to_string_lossy() } else { "".into() },
            one.line.0,
            of(|u| u.cpu),
            times(|u| u.cpu),
            of(|u| u.wall),
            times(|u| u.wall),
            of(|u| u.memory as f64) / 1e6,
            one.bytes as f64 / 1e6,
            if index == 0 { String::new() } else { format!("{:.3}", base.bytes as f64 / one.bytes as f64) },
        );
    }
}
