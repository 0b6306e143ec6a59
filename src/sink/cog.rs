//! Cloud-optimised `GeoTIFF`: one file, laid out so that a program far away reads its head once and then only the blocks it needs.
//!
//! Blocks arrive in any order and from all levels at once; where each goes is known only when the size of all is. So they are appended to
//! a spool beside the target, and the file is assembled in the end: head, directories, and the blocks of the smallest level
//! first, row by row, each with its mask behind it. The bytes of the file thus depend on nothing but the blocks.
//!
//! The layout is that of GDAL's own driver (`GDAL_STRUCTURAL_METADATA`, documented with the COG driver).

mod layout;
mod part;
mod spool;

use std::fs::File;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;

use crate::assemble::{assemble_runs, runs};
use crate::error::{Error, Result};
use crate::raster::SourceSpec;
use crate::raster::describe::MaskKind;
use crate::raster::ifd::{Directory, Entry, tag};
use crate::raster::template::{Statistics, TemplateSpec, structure};
use crate::target::{Claim, Shape, Target, failed};
use crate::window::Size;
use layout::Layout;
pub use part::{CogPart, CogPartWriter};
use spool::{BlockSpool, Held};

/// Whether a file is a `BigTIFF`, which may be larger than 4 GB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BigTiff {
    /// When it has to be. Unlike GDAL, which has to guess, this knows.
    #[default]
    IfNeeded,
    /// When its samples take more than 2 GB.
    IfSafer,
    /// Always.
    Yes,
    /// Never; a file that would have to be one is an error.
    No,
}

/// What to make. Plain data, which travels to the writer thread.
#[derive(Debug, Clone)]
pub struct CogSpec {
    /// Columns and rows of the image and of its overviews, largest first.
    pub levels: Vec<Size>,
    /// Side of a block in pixels.
    pub block: usize,
    /// What the image says beside its pixels.
    pub image: TemplateSpec,
    /// What its overviews say.
    pub overview: TemplateSpec,
    /// Whether there is a mask.
    pub mask: bool,
    /// Whether blocks without data may be left out.
    pub sparse: bool,
    /// Whether it is a `BigTIFF`.
    pub big: BigTiff,
}

/// A block of a level.
#[derive(Debug)]
pub struct CogBlock {
    /// The level: 0 is the image, 1 the largest overview.
    pub level: usize,
    /// Column among the blocks of the level.
    pub column: usize,
    /// Row among them.
    pub row: usize,
    /// The bytes of its samples; none for a block without data that is left out.
    pub bytes: Vec<u8>,
    /// The bytes of its mask; none where there are no masks.
    pub mask: Vec<u8>,
}

/// What a finished file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenCog {
    /// Size of the file.
    pub bytes: u64,
    /// Blocks in it, without those of masks.
    pub blocks: u64,
    /// Blocks that were left out, as they hold no data.
    pub empty: u64,
    /// Whether it is a `BigTIFF`.
    pub big: bool,
}

/// A file under construction. It lives on one thread. Dropped without [`finish`](Self::finish) it removes what it wrote.
pub struct CogWriter {
    spool: BlockSpool,
    claim: Claim,
    spec: CogSpec,
    _writer_thread: PhantomData<*mut ()>,
}

impl CogSpec {
    /// Columns and rows of the blocks of a level.
    pub fn blocks(&self, level: usize) -> Size {
        let Size { width, height } = self.levels[level];
        Size::new(width.div_ceil(self.block), height.div_ceil(self.block))
    }

    /// Refuses a block without the mask that it should have.
    fn check(&self, block: &CogBlock) -> Result<()> {
        let masked = self.mask && !block.bytes.is_empty();
        if block.mask.is_empty() == masked {
            return Err(Error::Internal("a block with a mask too few or too many".to_owned()));
        }
        Ok(())
    }

    /// Bytes of the samples of all levels.
    fn uncompressed(&self) -> u64 {
        let pixel = self.image.bands.len() * self.image.sample_type.bytes();
        self.levels.iter().map(|level| level.area() as u64 * pixel as u64).sum()
    }
}

impl CogWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// [`Error::Output`] when the target may not be written.
    pub fn create(target: &Target, spec: CogSpec) -> Result<Self> {
        let claim = target.claim(Shape::File)?;
        let counts = (0..spec.levels.len()).map(|level| spec.blocks(level)).collect();
        let spool = BlockSpool::create(claim.segment(0), counts)?;
        Ok(Self { spool, claim, spec, _writer_thread: PhantomData })
    }

    /// Takes a block.
    ///
    /// # Errors
    /// [`Error::Output`] when the disk refuses, [`Error::Internal`] for a block that does not belong here or was there before.
    pub fn write(&mut self, block: &CogBlock) -> Result<()> {
        self.spec.check(block)?;
        self.spool.add(block)
    }

    /// Takes the blocks of a part. They are read when the file is put together.
    ///
    /// # Errors
    /// [`Error::Internal`] for blocks that do not belong here or were there before.
    pub fn adopt(&mut self, part: &CogPart) -> Result<()> {
        self.spool.adopt(part.parcel())
    }

    /// Puts the file together, checks it and gives it its name. `statistics` are those to tell of its bands.
    ///
    /// # Errors
    /// [`Error::Output`] when that fails; nothing then stands under the final name that did not stand there before.
    pub fn finish(self, statistics: Option<Statistics>) -> Result<WrittenCog> {
        let Self { mut spool, claim, mut spec, .. } = self;
        spool.flush()?;
        if let Some((level, k)) = spool.missing() {
            return Err(Error::Internal(format!("block {k} of level {level} was never made")));
        }
        if let Some(statistics) = statistics {
            spec.image.statistics = statistics;
        }
        let unmade = |why: String| failed(claim.partial(), "cannot be made", &why);
        let (directories, _) = directories(&spec).map_err(unmade)?;
        let layout = Layout::new(&spec, &directories, spool.held()).map_err(unmade)?;
        let file = claim.create_partial()?;
        assemble(&claim, &file, &layout, &spool)?;
        let end = file.metadata().map_err(|e| failed(claim.partial(), "cannot be inspected", &e))?.len();
        if end != layout.end() {
            return Err(Error::output(
                claim.partial(),
                format!("has {end} bytes instead of {}", layout.end()),
            ));
        }
        verify(&claim, &spec).map_err(|why| failed(claim.partial(), "was not written right", &why))?;
        claim.commit()?;
        let (blocks, empty) = spool.counts();
        Ok(WrittenCog { bytes: end, blocks, empty, big: layout.is_big() })
    }
}

/// The directories of all levels, each with that of its mask, without what depends on the blocks; and whether they leave something unsaid.
fn directories(spec: &CogSpec) -> Result<(Vec<Directory>, bool), String> {
    let mut all = Vec::new();
    let (image, beside) = spec.image.directory(false)?;
    let overview = if spec.levels.len() > 1 { Some(spec.overview.directory(true)?.0) } else { None };
    for (level, size) in spec.levels.iter().enumerate() {
        let reduced = level > 0;
        let mut directory = overview.as_ref().filter(|_| reduced).unwrap_or(&image).clone();
        if reduced {
            directory.set(Entry::long(tag::SUBFILE_TYPE, 1));
        } else {
            directory.remove(tag::SUBFILE_TYPE);
        }
        place(&mut directory, *size, spec.block)?;
        all.push(directory);
        if spec.mask {
            all.push(mask(*size, spec.block, reduced)?);
        }
    }
    Ok((all, beside))
}

/// The directory of a mask: one bit per pixel in DEFLATE, set where there is data.
fn mask(size: Size, block: usize, reduced: bool) -> Result<Directory, String> {
    const MASK: u32 = 4;
    let mut directory = Directory::default();
    directory.set(Entry::long(tag::SUBFILE_TYPE, MASK | u32::from(reduced)));
    for (tag, value) in [
        (tag::BITS, 1),
        (tag::COMPRESSION, 8),
        (tag::PHOTOMETRIC, 4),
        (tag::BANDS, 1),
        (tag::PLANAR, 1),
        (tag::SAMPLE_FORMAT, 1),
    ] {
        directory.set(Entry::short(tag, value));
    }
    place(&mut directory, size, block)?;
    Ok(directory)
}

/// Says how large an image and its blocks are.
fn place(directory: &mut Directory, size: Size, block: usize) -> Result<(), String> {
    for (tag, side) in [
        (tag::WIDTH, size.width),
        (tag::HEIGHT, size.height),
        (tag::TILE_WIDTH, block),
        (tag::TILE_HEIGHT, block),
    ] {
        let too_large = || format!("{side} pixels along a side are more than a TIFF can count");
        directory.set(match u16::try_from(side) {
            Ok(short) => Entry::short(tag, short),
            Err(_) => Entry::long(tag, u32::try_from(side).map_err(|_| too_large())?),
        });
    }
    Ok(())
}

/// Writes the head, and the blocks in the order of the file.
fn assemble(claim: &Claim, file: &File, layout: &Layout, spool: &BlockSpool) -> Result<()> {
    let path = claim.partial();
    let head = layout.head();
    file.write_all_at(&head, 0).map_err(|e| failed(path, "cannot be written", &e))?;
    let runs = runs(layout.data(), layout::order(spool.held(), 0).map(Held::length));
    assemble_runs((file, path), &runs, true, |spare: &mut Vec<u8>, blocks, out| {
        let mut rest = out;
        for held in layout::order(spool.held(), blocks.start).take(blocks.len()) {
            let (own, next) = rest.split_at_mut(held.length() as usize);
            if held.samples > 0 {
                put(spool, held, own, spare)?;
            }
            rest = next;
        }
        Ok(())
    })?;
    spool.discard();
    file.sync_all().map_err(|e| failed(path, "cannot be synced", &e))
}

/// Puts a block where it goes, with what stands around its samples and its mask.
fn put(spool: &BlockSpool, held: Held, out: &mut [u8], spare: &mut Vec<u8>) -> Result<()> {
    let samples = held.samples as usize;
    if held.mask == 0 {
        // Of most blocks each byte is moved once.
        spool.read(held, &mut out[4..4 + samples])?;
        let [leader, trailer] = layout::around(&out[4..4 + samples]);
        out[..4].copy_from_slice(&leader);
        out[4 + samples..].copy_from_slice(&trailer);
        return Ok(());
    }
    spare.resize(samples + held.mask as usize, 0);
    spool.read(held, spare)?;
    let (samples, mask) = spare.split_at(samples);
    let mut rest = out;
    for part in [samples, mask] {
        let [leader, trailer] = layout::around(part);
        for piece in [&leader[..], part, &trailer] {
            let (own, next) = rest.split_at_mut(piece.len());
            own.copy_from_slice(piece);
            rest = next;
        }
    }
    Ok(())
}

/// Opens what was written as anybody would, and looks whether it is what was wanted.
fn verify(claim: &Claim, spec: &CogSpec) -> Result<(), String> {
    let source = SourceSpec::new(claim.partial());
    let found = source.describe().map_err(|e| e.to_string())?;
    let layout = structure(&source, "LAYOUT")?;
    if layout.as_deref() != Some("COG") {
        return Err("GDAL does not take it for a cloud-optimised GeoTIFF".to_owned());
    }
    let image = &spec.image;
    let levels = std::iter::once(found.size).chain(found.overviews.iter().copied());
    if !levels.eq(spec.levels.iter().copied()) {
        return Err(format!("it reads back with overviews of {:?}", found.overviews));
    }
    let same = |t: &Option<crate::block::SampleType>| *t == Some(image.sample_type);
    if found.bands.len() != image.bands.len() || !found.types.iter().all(same) {
        return Err(format!(
            "it reads back with {} bands of {}",
            found.bands.len(),
            found.bands[0].sample_type
        ));
    }
    if (found.mask == MaskKind::PerDataset) != spec.mask {
        return Err("it reads back with a mask too few or too many".to_owned());
    }
    Ok(())
}

/// Finds out whether GDAL can say what a file is to say; `false` when something has no place in it.
///
/// # Errors
/// [`Error::Usage`] with GDAL's reason.
pub fn try_out(spec: &CogSpec) -> Result<bool> {
    let made = directories(spec);
    made.map(|(_, beside)| !beside)
        .map_err(|why| Error::Usage(format!("GDAL cannot make such a file: {why}")))
}

impl Held {
    /// Bytes in the file, with what stands around them.
    fn length(self) -> u64 {
        let around = |bytes: u32| if bytes == 0 { 0 } else { u64::from(bytes) + 8 };
        around(self.samples) + around(self.mask)
    }
}
