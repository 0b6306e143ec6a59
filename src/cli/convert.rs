//! `tileloom convert`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use tileloom::Result;
use tileloom::job::convert::{ConvertJob, Report, run as run_job};
use tileloom::job::tile::Labels;
use tileloom::pipeline::Monitor;
use tileloom::sink::Target;
use tileloom::tileset::{LayerKind, Scheme};

use super::machine::MachineArgs;
use super::progress::Progress;
use super::session::size;
use super::tile::scheme;
use super::{grid, json, parse, print, signals};

/// Options of `convert`, as they are written.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // they mirror flags
pub struct ConvertArgs {
    /// The tile set to copy: a folder, MBTiles, PMTiles or tar, whatever its name.
    input: PathBuf,
    /// The copy: a folder, or a file that ends in .mbtiles, .pmtiles or .tar.
    output: PathBuf,
    /// Replace an existing tile set once the new one is complete.
    #[arg(long)]
    overwrite: bool,
    /// Zoom levels to copy: 12, 5-12 or 5..12 [default: all].
    #[arg(short = 'z', long = "zoom", visible_alias = "zoom-levels", value_parser = parse::zooms, value_name = "LEVELS", allow_hyphen_values = true)]
    zooms: Option<(Option<u8>, Option<u8>)>,
    /// Lowest zoom level to copy [default: the lowest there is].
    #[arg(long, value_name = "LEVEL", conflicts_with = "zooms")]
    min_zoom: Option<u8>,
    /// Highest zoom level to copy [default: the highest there is].
    #[arg(long, value_name = "LEVEL", conflicts_with = "zooms")]
    max_zoom: Option<u8>,
    /// Numbering of the rows in the folder or tar archive that is read [default: as its metadata tell, else xyz].
    #[arg(long, visible_alias = "input-convention", value_name = "xyz|tms", value_parser = scheme)]
    input_scheme: Option<Scheme>,
    /// What the tiles of the folder or tar archive that is read divide: a registered grid or a file, as for `tile` [default: as its
    /// metadata tell, else `WebMercatorQuad`].
    #[arg(long, visible_aliases = ["tms", "input-tiling-scheme"], value_name = "SCHEME")]
    tiling_scheme: Option<String>,
    /// Numbering of the rows in the folder or tar archive that is written [default: as in the one that is read, else xyz].
    #[arg(long, visible_alias = "output-scheme", value_name = "xyz|tms", value_parser = scheme)]
    convention: Option<Scheme>,
    /// Name of the tile set [default: its own; the same for what follows].
    #[arg(long, visible_alias = "title")]
    name: Option<String>,
    /// Description of the tile set.
    #[arg(long)]
    description: Option<String>,
    /// Whom to credit.
    #[arg(long)]
    attribution: Option<String>,
    /// The tiles lie over a map.
    #[arg(long, conflicts_with = "baselayer")]
    overlay: bool,
    /// The tiles are the map.
    #[arg(long)]
    baselayer: bool,
    /// Where a folder of tiles will be served: base address, or a template with {z}, {x} and {y}.
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    machine: MachineArgs,
    /// Folder for the file an archive is assembled from [default: beside the output].
    #[arg(long, value_name = "FOLDER")]
    tmp_dir: Option<PathBuf>,
    /// Print the result as JSON on standard output.
    #[arg(long)]
    json: bool,
    /// Print nothing but errors.
    #[arg(short, long)]
    quiet: bool,
}

impl ConvertArgs {
    /// The job the flags describe.
    fn job(&self) -> Result<ConvertJob> {
        let target =
            Target { path: self.output.clone(), overwrite: self.overwrite, tmp_dir: self.tmp_dir.clone() };
        let mut job = ConvertJob::new(&self.input, target);
        (job.min_zoom, job.max_zoom) = self.zooms.unwrap_or((self.min_zoom, self.max_zoom));
        job.input_scheme = self.input_scheme;
        job.input_grid =
            self.tiling_scheme.as_deref().map(grid::scheme).transpose()?.map(|scheme| scheme.grid());
        job.scheme = self.convention;
        job.labels = Labels {
            name: self.name.clone(),
            description: self.description.clone(),
            attribution: self.attribution.clone(),
            url: self.url.clone(),
            ..Labels::default()
        };
        job.kind = match (self.overlay, self.baselayer) {
            (true, _) => Some(LayerKind::Overlay),
            (_, true) => Some(LayerKind::Baselayer),
            _ => None,
        };
        self.machine.apply(&mut job.threads, &mut job.readers, &mut job.memory)?;
        job.validate()?;
        Ok(job)
    }
}

/// Runs `tileloom convert`.
pub fn run(args: &ConvertArgs) -> Result<()> {
    let job = args.job()?;
    let monitor = Monitor::new();
    signals::cancel_on_signal(&monitor);
    let mode = args.machine.mode(args.quiet);
    let mut display = None;
    let result = run_job(&job, &monitor, |total| display = Some(Progress::start(mode, &monitor, total)));
    drop(display);
    let report = result?;
    if args.json {
        print(&json(&report)?)
    } else if args.quiet {
        Ok(())
    } else {
        print(&text(&report, args.machine.stats))
    }
}

fn text(report: &Report, stats: bool) -> String {
    let mut t = String::new();
    let left_out = match report.left_out {
        0 => String::new(),
        n => format!(", {n} of other levels left out"),
    };
    let duplicates = match report.duplicates {
        0 => String::new(),
        n => format!(", {n} stored once with another"),
    };
    let _ = writeln!(
        t,
        "{}: zoom {}-{}, {} tiles from {} checked and copied{left_out}{duplicates}, {}",
        report.output.display(),
        report.min_zoom,
        report.max_zoom,
        report.tiles,
        report.input_container,
        size(report.bytes)
    );
    if let Some([west, south, east, north]) = report.bounds {
        let _ = writeln!(t, "bounds {west:.6},{south:.6},{east:.6},{north:.6}");
    }
    for note in &report.notes {
        let _ = writeln!(t, "note: {note}");
    }
    let memory = report.peak_memory.map_or_else(String::new, |m| format!(", peak memory {}", size(m as u64)));
    let _ = writeln!(t, "{:.2} s{memory}. {}", report.seconds, report.bottleneck);
    if stats {
        let _ = writeln!(t, "{}", report.stats);
    }
    t
}
