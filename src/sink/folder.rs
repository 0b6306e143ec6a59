//! A folder of tile files, with a `tilejson.json` beside them.
//!
//! Every tile is written as it arrives under `OUT.partial/z/x/y.png`; equal tiles are files of their own. One
//! `syncfs` at the end makes all of them durable: an fsync a file would cost more than the tiles did.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::marker::PhantomData;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::grid::MAX_ZOOM;
use crate::sink::target::{Claim, failed};
use crate::sink::{EncodedTile, OutputKind, Target, TileSink, Written};
use crate::tileset::{Scheme, TilesetInfo};

/// A folder under construction.
#[derive(Debug)]
pub struct FolderSink {
    claim: Claim,
    info: TilesetInfo,
    /// The unfinished folder, opened before anything is written so that it hears of writes that fail later.
    root: File,
    /// Columns whose folders exist.
    columns: HashSet<(u8, u32)>,
    written: Written,
    name: String,
    _writer_thread: PhantomData<*mut ()>,
}

impl FolderSink {
    /// Creates the unfinished folder.
    ///
    /// # Errors
    /// [`Error::Output`] when the target may not be written, [`Error::Internal`] for metadata no reader would take.
    pub fn create(target: &Target, info: TilesetInfo) -> Result<Self> {
        info.validate()?;
        let claim = target.claim(OutputKind::Folder)?;
        let created = fs::create_dir(claim.partial()).and_then(|()| File::open(claim.partial()));
        let root = created.map_err(|e| failed(claim.partial(), "cannot be created", &e))?;
        Ok(Self {
            claim,
            info,
            root,
            columns: HashSet::new(),
            written: Written { min_zoom: MAX_ZOOM, ..Written::default() },
            name: String::new(),
            _writer_thread: PhantomData,
        })
    }

    fn create_file(&self, name: &str, bytes: &[u8]) -> (PathBuf, io::Result<()>) {
        let path = self.claim.partial().join(name);
        let done = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut file| file.write_all(bytes));
        (path, done)
    }
}

impl TileSink for FolderSink {
    fn write(&mut self, tile: EncodedTile) -> Result<()> {
        let coord = tile.coord;
        let row = match self.info.scheme {
            Scheme::Xyz => coord.y,
            Scheme::Tms => coord.tms_y(),
        };
        self.name.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.name, "{}/{}", coord.z, coord.x);
        if self.columns.insert((coord.z, coord.x)) {
            let path = self.claim.partial().join(&self.name);
            fs::create_dir_all(&path).map_err(|e| failed(&path, "cannot be created", &e))?;
        }
        let _ = write!(self.name, "/{row}.{}", self.info.format.extension());
        match self.create_file(&self.name, &tile.bytes) {
            (_, Ok(())) => {}
            (_, Err(e)) if e.kind() == io::ErrorKind::AlreadyExists => {
                return Err(Error::Internal(format!("tile {coord} was written twice")));
            }
            (path, Err(e)) => return Err(failed(&path, "cannot be written", &e)),
        }
        self.written.tiles += 1;
        self.written.bytes += tile.bytes.len() as u64;
        self.written.min_zoom = self.written.min_zoom.min(coord.z);
        self.written.max_zoom = self.written.max_zoom.max(coord.z);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Written> {
        if self.written.tiles == 0 {
            return Err(Error::output(self.claim.target(), "no tile was written"));
        }
        let info = self.info.clone().with_zooms(self.written.min_zoom, self.written.max_zoom);
        let text = info.tilejson().to_text()?;
        let (path, done) = self.create_file("tilejson.json", text.as_bytes());
        done.map_err(|e| failed(&path, "cannot be written", &e))?;
        self.written.bytes += text.len() as u64;
        sync_all_below(&self.root).map_err(|e| failed(self.claim.partial(), "cannot be synced", &e))?;
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
