//! Where the pixels of the image come from: from files, through a warp, or from whatever else makes them window by window.

use super::plan::Plan;
use super::reader::{CogReader, filled};
use crate::block::Block;
use crate::error::Result;
use crate::job::warp;
use crate::raster::chunks::ChunkCache;
use crate::window::Window;

/// Gives the pixels of windows: what readers fetch, and what the pool makes of it.
pub(in crate::job) trait Supply: Sync {
    /// What a reader thread keeps open.
    type Reader;
    /// What is read for a window.
    type Read: Send;

    /// A reader that has nothing open yet.
    fn open(&self) -> Self::Reader;

    /// Reads what a window takes.
    ///
    /// # Errors
    /// [`crate::Error::Input`] naming what cannot be read.
    fn read(&self, reader: &mut Self::Reader, window: Window) -> Result<Self::Read>;

    /// The samples of the window as they are stored, and where they have data.
    ///
    /// # Errors
    /// Those of what makes them.
    fn make(&self, read: Self::Read) -> Result<Block>;
}

/// The pixels of inputs that lie on the grid of the image.
pub(super) struct Own<'a> {
    pub plan: &'a Plan,
    pub cache: &'a ChunkCache,
}

impl<'a> Supply for Own<'a> {
    type Reader = CogReader<'a>;
    type Read = Block;

    fn open(&self) -> CogReader<'a> {
        CogReader::new(self.plan, self.cache)
    }

    fn read(&self, reader: &mut CogReader<'a>, window: Window) -> Result<Block> {
        reader.read(window)
    }

    fn make(&self, read: Block) -> Result<Block> {
        Ok(read)
    }
}

/// The pixels of inputs that lie on another grid.
pub(super) struct Regridded<'a> {
    plan: &'a Plan,
    onto: &'a warp::Plan,
    cache: &'a ChunkCache,
    loom: warp::weave::Loom<'a>,
}

impl<'a> Regridded<'a> {
    /// The pixels of a warp's inputs.
    pub fn new(plan: &'a Plan, onto: &'a warp::Plan, cache: &'a ChunkCache) -> Self {
        Self { plan, onto, cache, loom: warp::weave::Loom::new(onto) }
    }
}

impl<'a> Supply for Regridded<'a> {
    type Reader = warp::reader::WarpReader<'a>;
    type Read = warp::reader::Weft;

    fn open(&self) -> Self::Reader {
        warp::reader::WarpReader::new(self.onto, self.cache)
    }

    fn read(&self, reader: &mut Self::Reader, window: Window) -> Result<Self::Read> {
        reader.read(window)
    }

    fn make(&self, read: Self::Read) -> Result<Block> {
        Ok(filled(self.loom.weave(read)?, &self.plan.grouping.fill))
    }
}
