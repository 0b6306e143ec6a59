//! Options of `tile` about its extent and about pixels without data.

use std::path::PathBuf;

use clap::Args;
use tileloom::grid::Bounds;
use tileloom::job::tile::masking::{Alpha, Masking};
use tileloom::job::tile::update::Update;
use tileloom::raster::SrcNodata;
use tileloom::raster::crs::Extent;
use tileloom::raster::cutline::CutlineSpec;
use tileloom::warp::exclusion::Exclusion;
use tileloom::{Error, Result};

use super::parse::{self, NodataValues, Tuples};

/// Options about the extent and about pixels without data, as they are written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Extent and pixels without data")]
#[allow(clippy::struct_excessive_bools)] // they mirror flags
pub struct ValidityArgs {
    /// Make tiles only within this extent.
    #[arg(long, value_name = "W,S,E,N", value_parser = parse::bbox, allow_hyphen_values = true)]
    bbox: Option<Bounds>,
    /// The same as four values, as gdalwarp -te has them: in EPSG:3857 unless --bbox-crs says otherwise.
    #[arg(
        long,
        num_args = 4,
        value_names = ["XMIN", "YMIN", "XMAX", "YMAX"],
        allow_negative_numbers = true,
        conflicts_with = "bbox"
    )]
    te: Option<Vec<f64>>,
    /// CRS of --bbox and --update-bbox, x or longitude first in any case [default: EPSG:4326].
    #[arg(long, visible_alias = "te-srs", value_name = "CRS")]
    bbox_crs: Option<String>,
    /// Make anew what lies in this extent of the tile set that is there, over what it shows; other tiles are copied, lower levels
    /// rebuilt where they are touched.
    #[arg(long, value_name = "W,S,E,N", value_parser = parse::bbox, allow_hyphen_values = true, conflicts_with_all = ["bbox", "te"])]
    update_bbox: Option<Bounds>,
    /// Update a tile set in a lossy format, whose lower levels lose more each time.
    #[arg(long, requires = "update_bbox")]
    allow_generation_loss: bool,
    /// Show only what lies inside the polygons of a vector file, in any CRS.
    #[arg(long, value_name = "FILE")]
    cutline: Option<PathBuf>,
    /// Layer of the cutline [default: the first].
    #[arg(long, visible_alias = "cl", value_name = "NAME", requires = "cutline")]
    cutline_layer: Option<String>,
    /// Features of the cutline, by an SQL condition.
    #[arg(long, visible_alias = "cwhere", value_name = "SQL", requires = "cutline")]
    cutline_where: Option<String>,
    /// CRS of the cutline instead of the one it declares.
    #[arg(long, value_name = "CRS", requires = "cutline")]
    cutline_srs: Option<String>,
    /// What is done in any case.
    #[arg(long, hide = true, requires = "cutline")]
    crop_to_cutline: bool,
    /// Values without data to assume instead of the declared ones: one, or one per band; none to show all values. May be repeated: a
    /// pixel has no data when all its bands hold the values of any one of them.
    #[arg(long, value_name = "VALUES|none", value_parser = parse::nodata, allow_hyphen_values = true)]
    src_nodata: Vec<NodataValues>,
    /// Give all tiles an alpha channel [default: those with transparent pixels].
    #[arg(long)]
    add_alpha: bool,
    /// Give no tile an alpha channel: transparent pixels take the colour of --background, black by default.
    #[arg(long, conflicts_with = "add_alpha")]
    no_alpha: bool,
    /// Tuples of values that do not count in averages, for instance 0,0,0 or (0,0,0),(255,255,255).
    #[arg(long, value_name = "TUPLES", value_parser = parse::tuples, allow_hyphen_values = true)]
    excluded_values: Option<Tuples>,
    /// Percentage of pixels with an excluded value from which on an average takes that value [default: 50].
    #[arg(long, value_name = "PERCENT", requires = "excluded_values", allow_negative_numbers = true)]
    excluded_values_pct_threshold: Option<f64>,
    /// Percentage of pixels without data from which on an average has none [default: 100].
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    nodata_values_pct_threshold: Option<f64>,
}

/// A box in a CRS, or in degrees.
fn extent(bbox: Bounds, crs: Option<&str>) -> Result<Extent> {
    crs.map_or_else(|| Ok(Extent::degrees(bbox)), |crs| Extent::new(bbox, crs))
}

impl ValidityArgs {
    /// The extent that is wanted.
    pub fn bbox(&self) -> Result<Option<Extent>> {
        let crs = self.bbox_crs.as_deref();
        match (self.bbox, self.te.as_deref()) {
            (Some(bbox), _) => extent(bbox, crs).map(Some),
            (None, Some(&[west, south, east, north])) => {
                Extent::new(Bounds { west, south, east, north }, crs.unwrap_or("EPSG:3857")).map(Some)
            }
            _ if crs.is_some() && self.update_bbox.is_none() => {
                Err(Error::Usage("--bbox-crs is the CRS of an extent: give --bbox, or drop it".to_owned()))
            }
            _ => Ok(None),
        }
    }

    /// What is to be made anew of the tile set that is there.
    pub fn update(&self) -> Result<Option<Update>> {
        let Some(bbox) = self.update_bbox else { return Ok(None) };
        let bbox = extent(bbox, self.bbox_crs.as_deref())?;
        Ok(Some(Update { bbox, allow_generation_loss: self.allow_generation_loss }))
    }

    /// The values that mean no data.
    pub fn src_nodata(&self) -> Result<SrcNodata> {
        let lists: Vec<Vec<f64>> = self.src_nodata.iter().map(|list| list.0.clone()).collect();
        match (lists.iter().any(Vec::is_empty), lists.len()) {
            (_, 0) => Ok(SrcNodata::Declared),
            (true, 1) => Ok(SrcNodata::None),
            (true, _) => Err(Error::Usage(
                "--src-nodata none shows all values: no other --src-nodata can be given with it".to_owned(),
            )),
            (false, _) => Ok(SrcNodata::Values(lists)),
        }
    }

    /// Pixels without data.
    pub fn masking(&self, background: Option<[u8; 3]>) -> Masking {
        let cutline = self.cutline.clone().map(|path| CutlineSpec {
            path,
            layer: self.cutline_layer.clone(),
            filter: self.cutline_where.clone(),
            crs: self.cutline_srs.clone(),
        });
        let alpha = match (self.add_alpha, self.no_alpha) {
            (true, _) => Alpha::Always,
            (_, true) => Alpha::Never,
            _ => Alpha::AsNeeded,
        };
        let asked = self.excluded_values.is_some() || self.nodata_values_pct_threshold.is_some();
        let default = Exclusion::default();
        let share = |percent: Option<f64>, or: f64| percent.map_or(or, |p| p / 100.0);
        let exclusion = asked.then(|| Exclusion {
            values: self.excluded_values.as_ref().map_or_else(Vec::new, |tuples| tuples.0.clone()),
            excluded_share: share(self.excluded_values_pct_threshold, default.excluded_share),
            nodata_share: share(self.nodata_values_pct_threshold, default.nodata_share),
        });
        Masking { cutline, alpha, background, exclusion }
    }
}
