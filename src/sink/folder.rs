//! A folder of tile files, with a `tilejson.json` beside them.
//!
//! Every tile is a file under `OUT.partial/z/x/y.png` from the moment it is made, created by the thread that made it;
//! equal tiles are files of their own. One `syncfs` at the end makes all of them durable: an fsync a file would cost more
//! than the tiles did.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::grid::MAX_ZOOM;
use crate::sink::target::{Claim, failed};
use crate::sink::{Deposited, Depot, TileSink, Written};
use crate::tileset::TilesetInfo;

/// A folder under construction.
#[derive(Debug)]
pub struct FolderSink {
    claim: Arc<Claim>,
    depot: Depot,
    info: TilesetInfo,
    written: Written,
    _writer_thread: PhantomData<*mut ()>,
}

impl FolderSink {
    pub(super) fn new(claim: Arc<Claim>, depot: Depot, info: TilesetInfo) -> Self {
        let written = Written { min_zoom: MAX_ZOOM, ..Written::default() };
        Self { claim, depot, info, written, _writer_thread: PhantomData }
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
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Written> {
        if self.written.tiles == 0 {
            return Err(Error::output(self.claim.target(), "no tile was written"));
        }
        let Some(files) = self.depot.as_files() else {
            return Err(Error::Internal("a folder without files".to_owned()));
        };
        let info = self.info.clone().with_zooms(self.written.min_zoom, self.written.max_zoom);
        let text = info.tilejson().to_text()?;
        let path = || self.claim.partial().join("tilejson.json");
        files
            .create_file("tilejson.json", text.as_bytes())
            .map_err(|e| failed(&path(), "cannot be written", &e))?;
        self.written.bytes += text.len() as u64;
        sync_all_below(files.root()).map_err(|e| failed(self.claim.partial(), "cannot be synced", &e))?;
        self.claim.commit()?;
        Ok(self.written)
    }
}

/// Waits until everything written to the file system of a folder is on the disk.
fn sync_all_below(folder: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(folder)?;
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        rustix::fs::sync();
    }
    Ok(())
}
