//! Some of a file's blocks, made on a machine of its own.

use std::path::Path;

use super::{CogBlock, CogSpec};
use crate::error::Result;
use crate::parcel::{Parcel, ParcelWriter, Sealed};

/// Blocks that are being gathered, of all levels and in any order.
pub struct CogPartWriter {
    parcel: ParcelWriter,
    spec: CogSpec,
}

impl CogPartWriter {
    /// Begins a part of a file; the part itself goes to `path`.
    ///
    /// # Errors
    /// [`Error::Output`](crate::Error::Output) when that cannot be created.
    pub fn create(path: &Path, spec: CogSpec) -> Result<Self> {
        Ok(Self { parcel: ParcelWriter::create(path)?, spec })
    }

    /// Takes a block.
    ///
    /// # Errors
    /// Those of [`CogWriter::write`](super::CogWriter::write).
    pub fn write(&mut self, block: &CogBlock) -> Result<()> {
        self.spec.check(block)?;
        let number = block.row * self.spec.blocks(block.level).width + block.column;
        self.parcel.add(block.level as u32, number as u64, [&block.bytes, &block.mask])
    }

    /// Completes the part, with a memo of the job.
    ///
    /// # Errors
    /// [`Error::Output`](crate::Error::Output) when the disk refuses.
    pub fn finish(self, memo: &[u8]) -> Result<Sealed> {
        self.parcel.finish(memo)
    }
}

/// A part that is complete.
#[derive(Debug)]
pub struct CogPart(Parcel);

impl CogPart {
    /// Opens what a [`CogPartWriter`] has left.
    ///
    /// # Errors
    /// [`Error::Output`](crate::Error::Output) when it cannot be read or is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        Parcel::open(path).map(Self)
    }

    /// What the job noted.
    pub fn memo(&self) -> &[u8] {
        self.0.memo()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn parcel(&self) -> &Parcel {
        &self.0
    }
}
