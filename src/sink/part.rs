//! Work that a run left on purpose, to become part of a container with that of others.

use std::sync::Arc;

use super::depot::Depot;
use super::journal::{Identity, Journal};
use super::resume::Log;
use super::{Deposited, OutputKind, Target};
use crate::error::{Error, Result};
use crate::sink::target::{Claim, failed};
use crate::tileset::TilesetInfo;

/// The unfinished work beside a target, whole.
#[derive(Debug)]
pub struct Part {
    claim: Arc<Claim>,
    depot: Depot,
    log: Log,
}

impl Part {
    /// Opens it. It stays where it is.
    ///
    /// # Errors
    /// [`Error::Output`] when there is none, or another job's.
    pub fn open(kind: OutputKind, target: &Target, info: &TilesetInfo, identity: &Identity) -> Result<Self> {
        super::validate(kind, target, info)?;
        let claim = Arc::new(target.claim_unfinished(kind)?);
        let journal = Journal::open(&claim, identity)?.ok_or_else(|| {
            Error::output(&target.path, "there is no work of a shard beside it: make it anew")
        })?;
        let depot = super::depot(kind, &claim, info, true)?;
        Ok(Self { claim, depot, log: Log::of(journal) })
    }

    /// What was noted.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Makes all tiles part of a depot without moving a byte of them, where both are spools; whether they are what was noted of them is
    /// found when they are read. `None` where they have to be [copied](Part::copy).
    ///
    /// # Errors
    /// [`Error::Output`] when the notes cannot be read, and [`Error::Internal`] when they make no sense.
    pub fn adopt(&self, depot: &Depot) -> Result<Option<Vec<Deposited>>> {
        let Some(adoption) = depot.adopt(&self.depot) else { return Ok(None) };
        let mut tiles = Vec::new();
        for task in 0..self.log.done().count() {
            for tile in self.log.tiles_of(task)? {
                let moved = adoption.of(tile);
                tiles.push(moved.ok_or_else(|| Error::Internal(format!("tile {} is nowhere", tile.coord)))?);
            }
        }
        Ok(Some(tiles))
    }

    /// Copies the tiles of a task, counted from 0, to a depot. `bytes` is for whatever it wants. Any thread may.
    ///
    /// # Errors
    /// [`Error::Output`] when a tile is not what was noted of it, or the disk refuses.
    pub fn copy(&self, task: usize, depot: &Depot, bytes: &mut Vec<u8>) -> Result<Vec<Deposited>> {
        let copy = |tile: Deposited| {
            if !self.depot.holds(&tile, bytes) {
                let what = format!("tile {} is damaged or gone", tile.coord);
                return Err(failed(self.claim.target(), &what, &"make this shard anew"));
            }
            depot.deposit(tile.coord, bytes)
        };
        self.log.tiles_of(task)?.into_iter().map(copy).collect()
    }
}
