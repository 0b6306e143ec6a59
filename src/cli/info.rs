//! `tileloom info`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tileloom::Result;
use tileloom::job::tile::{Plan, TileJob};
use tileloom::raster::{Description, SourceSpec, SrcNodata};
use tileloom::sink::Target;

use super::{CommonArgs, json, print};

/// Options of `info`, as they are written.
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// The raster.
    input: PathBuf,
    /// The CRS to assume instead of the declared one.
    #[arg(long, value_name = "CRS")]
    src_crs: Option<String>,
    /// Upper left and lower right corner to assume instead of the declared georeferencing.
    #[arg(long, num_args = 4, value_names = ["ULX", "ULY", "LRX", "LRY"], allow_negative_numbers = true)]
    a_ullr: Option<Vec<f64>>,
    /// GDAL open option; may be repeated.
    #[arg(long = "oo", value_name = "KEY=VALUE")]
    open_options: Vec<String>,
    #[command(flatten)]
    common: CommonArgs,
}

/// What a raster is and what `tile` would do with it.
#[derive(Debug, Serialize)]
struct Info {
    path: PathBuf,
    #[serde(flatten)]
    description: Description,
    tile: Tiling,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Tiling {
    Can {
        min_zoom: u8,
        max_zoom: u8,
        tiles: u64,
        bounds: Option<[f64; 4]>,
        resampling: &'static str,
        overview_resampling: &'static str,
        guesses: Vec<String>,
    },
    Cannot {
        error: String,
    },
}

/// Runs `tileloom info`.
pub fn run(args: &InfoArgs) -> Result<()> {
    args.common.apply()?;
    let spec = SourceSpec {
        path: args.input.clone(),
        open_options: args.open_options.clone(),
        src_crs: args.src_crs.clone(),
        a_ullr: args.a_ullr.as_ref().and_then(|v| <[f64; 4]>::try_from(&v[..]).ok()),
        src_nodata: SrcNodata::Declared,
        ..SourceSpec::default()
    };
    let job = TileJob::new(vec![spec.clone()], Target::new("tiles"));
    let plan = Plan::new(&job);
    // The plan has seen the raster; only where there is none it has to be looked at for its own sake.
    let seen = plan.as_ref().ok().and_then(|p| Some(p.inputs().first()?.parts.first()?.description.clone()));
    let description = seen.map_or_else(|| spec.describe(), Ok)?;
    let tile = match plan {
        Ok(plan) => Tiling::Can {
            min_zoom: plan.min_zoom,
            max_zoom: plan.max_zoom,
            tiles: plan.counts().values().sum(),
            bounds: plan.degrees(),
            resampling: plan.resampling.name(),
            overview_resampling: plan.overview_resampling.name(),
            guesses: plan.guesses,
        },
        Err(error) => Tiling::Cannot { error: error.to_string() },
    };
    let info = Info { path: args.input.clone(), description, tile };
    print(&if args.common.json { json(&info)? } else { info.text() })
}

impl Info {
    fn text(&self) -> String {
        let d = &self.description;
        let mut t = String::new();
        let _ = writeln!(t, "{}", self.path.display());
        let _ = writeln!(
            t,
            "  {}, {} × {} pixels, blocks of {} × {}",
            d.driver, d.size.width, d.size.height, d.block.width, d.block.height
        );
        for (i, band) in d.bands.iter().enumerate() {
            let nodata = band.nodata.map_or_else(String::new, |n| format!(", nodata {n}"));
            let name = band.description.as_ref().map_or_else(String::new, |n| format!(" \"{n}\""));
            let kind = format!("{:?}", band.interpretation).to_lowercase();
            let scaled = match (band.scale, band.offset) {
                (1.0, 0.0) => String::new(),
                (scale, offset) => format!(", values × {scale} + {offset}"),
            };
            let unit = band.unit.as_ref().map_or_else(String::new, |u| format!(", unit {u}"));
            let _ = writeln!(t, "  band {}{name}: {}, {kind}{nodata}{scaled}{unit}", i + 1, band.sample_type);
        }
        let overviews: Vec<_> = d.overviews.iter().map(|s| format!("{} × {}", s.width, s.height)).collect();
        if !overviews.is_empty() {
            let _ = writeln!(t, "  overviews {}", overviews.join(", "));
        }
        let g = &d.georeferencing;
        let crs = g.crs.as_deref().unwrap_or("none");
        let method = format!("{:?}", g.method).to_lowercase();
        let _ = writeln!(t, "  georeferencing: {method}, CRS {crs}");
        match &self.tile {
            Tiling::Can { min_zoom, max_zoom, tiles, bounds, resampling, overview_resampling, guesses } => {
                if let Some([w, s, e, n]) = bounds {
                    let _ = writeln!(t, "  bounds {w:.6},{s:.6},{e:.6},{n:.6}");
                }
                let _ = writeln!(
                    t,
                    "  tile: zoom {min_zoom}-{max_zoom}, at most {tiles} tiles; {resampling}, lower levels \
                     {overview_resampling}"
                );
                for guess in guesses {
                    let _ = writeln!(t, "  chosen: {guess}");
                }
            }
            Tiling::Cannot { error } => {
                let _ = writeln!(t, "  tile: not possible: {error}");
            }
        }
        t
    }
}
