//! Part of an existing tile set made anew: the tiles that a box touches and all above them. The others are copied as they are.
//!
//! What the inputs do not cover keeps what it shows, also inside the box: a corrected scene is enough to update a mosaic. Levels
//! above are made from their children again, of which those that were not touched are decoded.

use std::sync::Mutex;

use super::backdrop::Backdrop;
use super::plan::Plan;
use super::{TileJob, TilingScheme};
use crate::encode::TileFormat;
use crate::error::{Error, Result};
use crate::grid::{Bounds, Grid, TileCoord};
use crate::pipeline::{Cause, Monitor, side_by_side};
use crate::raster::crs::Extent;
use crate::sink::{Deposited, Depot};
use crate::store::{self, TileStore};
use crate::tileset::{LayerKind, Scheme, TilesetInfo};
use crate::view::Webviewer;

/// Tiles that a thread copies before it looks whether to stop.
const BATCH: usize = 64;

/// What to make anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Where.
    pub bbox: Extent,
    /// Decode tiles of a lossy format to encode them again.
    pub allow_generation_loss: bool,
}

/// The set that is updated.
#[derive(Debug)]
pub(super) struct Updated {
    pub(super) backdrop: Backdrop,
    /// Addresses of all its tiles.
    tiles: Vec<TileCoord>,
}

impl Update {
    /// Refuses options that make no sense with an update, before any file is touched.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(super) fn validate(job: &TileJob) -> Result<()> {
        let others = [
            (job.bbox.is_some(), "--bbox"),
            (job.resume, "--resume"),
            (job.terrain.is_some(), "--encoding"),
            (job.values.is_some(), "-f tif and --ot UInt16"),
            (job.min_zoom.is_some() || job.max_zoom.is_some(), "--zoom, --min-zoom and --max-zoom"),
            (job.tiling != TilingScheme::WebMercatorQuad, "--tiling-scheme"),
        ];
        match others.iter().find(|(given, _)| *given) {
            Some((_, option)) => Err(Error::Usage(format!(
                "--update-bbox makes pictures anew in the levels and the grid of the set: {option} cannot be used with it"
            ))),
            None => Ok(()),
        }
    }

    /// Opens the set and completes the job by what it says about itself.
    ///
    /// # Errors
    /// [`Error::Input`] when it cannot be read, [`Error::Usage`] when it is not of the kind that the job asks for.
    pub(super) fn prepare(&self, job: &TileJob) -> Result<(TileJob, Updated)> {
        let path = &job.target.path;
        let store = store::open(path, None)?;
        let info = store.info().clone();
        let usage = |why: String| Err(Error::Usage(format!("--update-bbox: '{}' {why}", path.display())));
        if info.encoding.is_some() {
            return usage("holds heights, not pictures: make it anew with --encoding".to_owned());
        }
        if !info.placed || info.grid != Grid::WebMercator {
            return usage("divides something else than the world in Web Mercator".to_owned());
        }
        let asked = job.tiles.format();
        if info.format != asked {
            let own = info.format.extension();
            return usage(format!("has {own} tiles, not {}: say -f {own}", asked.extension()));
        }
        let side = store.about().picture.width;
        if !matches!(side, 256 | 512) {
            return usage(format!("has tiles of {side} pixels; tiles are made with 256 or 512"));
        }
        if (job.tile_size != 256 || job.retina) && (job.tile_size, job.retina) != (side as usize, info.retina)
        {
            return usage(format!("has tiles of {side} pixels: drop --tile-size and --retina"));
        }
        if job.scheme == Scheme::Tms && info.scheme == Scheme::Xyz {
            return usage("numbers its rows from the north: drop --convention".to_owned());
        }
        let lossy = is_lossy(store.as_ref())?;
        if lossy && !self.allow_generation_loss {
            return usage(
                "is lossy: tiles beside the box would be decoded and encoded once more in lower levels. Say \
                 --allow-generation-loss, or make it anew"
                    .to_owned(),
            );
        }
        if job.tiles.is_lossless() == lossy {
            let option = if lossy { "drop --lossless" } else { "say --lossless" };
            return usage(format!("has {} tiles: {option}", if lossy { "lossy" } else { "lossless" }));
        }
        let mut tiles = Vec::new();
        store.each(&mut |tile, _| {
            tiles.push(tile);
            Ok(())
        })?;
        let mut job = job.clone();
        job.bbox = Some(self.bbox.clone());
        (job.min_zoom, job.max_zoom) = (Some(info.min_zoom), Some(info.max_zoom));
        job.tile_size = side as usize;
        job.retina = info.retina;
        job.scheme = info.scheme;
        job.target.overwrite = true;
        // Pages beside a folder are made anew with it.
        let pages = Webviewer::ALL.into_iter().filter(|page| path.join(page.file_name()).is_file());
        let missing: Vec<Webviewer> = pages.filter(|page| !job.webviewers.contains(page)).collect();
        job.webviewers.extend(missing);
        Ok((job, Updated { backdrop: Backdrop::new(store.as_ref()), tiles }))
    }
}

/// Whether a set is in a format that loses something.
fn is_lossy(store: &dyn TileStore) -> Result<bool> {
    Ok(match store.info().format {
        TileFormat::Png | TileFormat::Tiff => false,
        TileFormat::Jpeg => true,
        // The first part of a lossless file, unless there are parts beside the picture.
        TileFormat::Webp => {
            let bytes = store.tile(store.about().first)?.unwrap_or_default();
            bytes.get(12..16) != Some(b"VP8L")
        }
    })
}

impl Updated {
    /// The description of the set after the update.
    pub(super) fn info(&self, job: &TileJob, plan: &Plan) -> TilesetInfo {
        let mut info = self.backdrop.about().info.clone();
        let labels = &job.labels;
        info.name = labels.name.clone().unwrap_or(info.name);
        info.description = labels.description.clone().or(info.description);
        info.attribution = labels.attribution.clone().or(info.attribution);
        info.url = labels.url.clone().or(info.url);
        if labels.kind == LayerKind::Baselayer {
            info.kind = labels.kind;
        }
        // Digests over all tiles, as Martin has them.
        info.extra.retain(|(key, _)| !key.starts_with("agg_tiles_hash"));
        if let Some(b) = plan.bounds {
            let own = info.bounds;
            info.bounds = Bounds {
                west: own.west.min(b.west),
                south: own.south.min(b.south),
                east: own.east.max(b.east),
                north: own.north.max(b.north),
            };
        }
        info
    }

    /// Copies the tiles that are not made anew, on several threads.
    ///
    /// # Errors
    /// [`Error::Input`] for a tile that is missing or damaged, [`Error::Output`] when the disk refuses.
    pub(super) fn copy(
        &self,
        plan: &Plan,
        depot: &Depot,
        threads: usize,
        monitor: &Monitor,
    ) -> Result<Vec<Deposited>> {
        let others: Vec<TileCoord> =
            self.tiles.iter().copied().filter(|tile| !plan.pyramid.contains(*tile)).collect();
        let copied = Mutex::new(Vec::with_capacity(others.len()));
        let parts = others.len().div_ceil(BATCH) as u64;
        let copy = |(): &mut (), part: u64| {
            let tiles = others.iter().skip(part as usize * BATCH).take(BATCH);
            let mut done = Vec::with_capacity(BATCH);
            for tile in tiles.filter(|_| monitor.cancelled().is_none()) {
                let about = self.backdrop.about();
                let missing =
                    || Error::input(&about.path, format!("tile {tile} is listed but cannot be found"));
                let bytes = self.backdrop.bytes(*tile)?.ok_or_else(missing)?;
                about.check(*tile, &bytes)?;
                done.push(depot.deposit(*tile, &bytes)?);
            }
            copied.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(done);
            Ok(())
        };
        side_by_side(threads, parts, || (), copy).map_err(|cause| match cause {
            Cause::Failed(error) => error,
            other => Error::Internal(format!("copying tiles: {other}")),
        })?;
        Ok(copied.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
