//! A folder of tile files, with a `tilejson.json` beside them, and pages that show them if these are asked for.
//!
//! Every tile is a file under `OUT.partial/z/x/y.png` from the moment it is made, created by the thread that made it;
//! equal tiles are files of their own. One `syncfs` at the end makes all of them durable: an fsync a file would cost more
//! than the tiles did.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flush::{Flusher, sync_all_below};
use crate::grid::{MAX_ZOOM, TileMatrixLimits};
use crate::sink::target::{Claim, failed};
use crate::sink::{Deposited, Depot, TileSink, Written};
use crate::tileset::TilesetInfo;
use crate::view::Webviewer;

/// A folder under construction.
#[derive(Debug)]
pub struct FolderSink {
    claim: Arc<Claim>,
    depot: Depot,
    info: TilesetInfo,
    pages: Vec<Webviewer>,
    limits: TileMatrixLimits,
    written: Written,
    flusher: Option<Flusher>,
    _writer_thread: PhantomData<*mut ()>,
}

impl FolderSink {
    pub(super) fn new(claim: Arc<Claim>, depot: Depot, info: TilesetInfo, pages: Vec<Webviewer>) -> Self {
        let written = Written { min_zoom: MAX_ZOOM, ..Written::default() };
        let flusher = depot.as_files().and_then(|files| Flusher::start(files.root()));
        Self {
            claim,
            depot,
            info,
            pages,
            limits: TileMatrixLimits::default(),
            written,
            flusher,
            _writer_thread: PhantomData,
        }
    }

    /// The files beside the tiles: their names and texts.
    fn beside(&self) -> Result<Vec<(String, String)>> {
        let info = self.info.clone().with_zooms(self.written.min_zoom, self.written.max_zoom);
        let mut files = vec![("tilejson.json".to_owned(), info.tilejson().to_text()?)];
        for page in &self.pages {
            files.push((page.file_name(), page.page(&info, &self.limits)?));
        }
        Ok(files)
    }
}

impl TileSink for FolderSink {
    fn depot(&self) -> &Depot {
        &self.depot
    }

    fn accept(&mut self, tile: Deposited) -> Result<()> {
        self.written.tiles += 1;
        self.written.bytes += u64::from(tile.len);
        self.written.min_zoom = self.written.min_zoom.min(tile.coord.z);
        self.written.max_zoom = self.written.max_zoom.max(tile.coord.z);
        if let Some(flusher) = &mut self.flusher {
            flusher.add(u64::from(tile.len));
        }
        self.limits.add(tile.coord);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Written> {
        if self.written.tiles == 0 {
            return Err(Error::output(self.claim.target(), "no tile was written"));
        }
        let Some(files) = self.depot.as_files() else {
            return Err(Error::Internal("a folder without files".to_owned()));
        };
        for (name, text) in self.beside()? {
            let written = files.create_file(&name, text.as_bytes());
            written.map_err(|e| failed(&self.claim.partial().join(&name), "cannot be written", &e))?;
            self.written.bytes += text.len() as u64;
        }
        let flushed = self.flusher.take().map_or(Ok(()), Flusher::finish);
        flushed
            .and_then(|()| sync_all_below(files.root()))
            .map_err(|e| failed(self.claim.partial(), "cannot be synced", &e))?;
        self.claim.commit()?;
        Ok(self.written)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::encode::TileFormat;
    use crate::grid::{Bounds, TileCoord};
    use crate::sink::{OutputKind, Target, begin};

    #[test]
    fn threads_may_fill_the_same_columns_at_once() {
        let dir = tempfile::tempdir().expect("tempdir");
        let bounds = Bounds { west: -10.0, south: 40.0, east: 10.0, north: 50.0 };
        let info = TilesetInfo::new("set", bounds, TileFormat::Png, 256);
        let target = Target::new(dir.path().join("set"));
        let begun = begin(OutputKind::Folder, &target, info).expect("begun");
        let depot = begun.depot();
        let row = |y: u32| {
            let tile = |x: u32| depot.deposit(TileCoord::new(8, x, y), &[x as u8, y as u8]);
            (0..16).map(tile).collect::<Result<Vec<_>>>()
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(8).build().expect("threads");
        let tiles = pool.broadcast(|thread| row(thread.index() as u32));
        let mut sink = begun.open();
        for tile in tiles {
            tile.expect("deposited").into_iter().try_for_each(|tile| sink.accept(tile)).expect("accepted");
        }
        drop(depot);
        assert_eq!(sink.finish().expect("finished").tiles, 128);
        for (x, y) in (0..16).flat_map(|x| (0..8).map(move |y| (x, y))) {
            let bytes = fs::read(target.path.join(format!("8/{x}/{y}.png"))).expect("tile");
            assert_eq!(bytes, [x, y]);
        }
    }
}
