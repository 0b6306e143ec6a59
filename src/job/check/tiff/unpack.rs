//! Whether every block unpacks. Most blocks are unpacked by GDAL, on reader threads. Those of DEFLATE are unpacked on the pool, and held
//! against their size and their checksum, which GDAL does not always look at; of these GDAL is shown the first and the last.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use libdeflater::{DecompressionError, Decompressor};

use super::super::Context;
use super::super::report::{Faults, Severity};
use super::directory::Directory;
use super::layout::{Extent, Extents, block_name};
use super::{of_level, of_mask, too_little};
use crate::error::{Error, Result};
use crate::pipeline::{self, Job, Limits, Order};
use crate::raster::probe::{Layout, Plane, Probe, Unpacked};
use crate::window::Size;

/// Most blocks of a task.
const MOST_BLOCKS: usize = 64;

/// Bytes from which on a task is large enough.
const ENOUGH: usize = 4 << 20;

/// How many times the bytes of a block its data may unpack to.
const LONGER: usize = 2;

/// Resident bytes of the program and the libraries it loads.
const PROGRAM: usize = 64 << 20;

/// One plane of samples, all blocks of which are unpacked.
#[derive(Debug, Clone)]
struct Series {
    /// The byte at which the directory of a further image stands; 0 for the raster, its overviews and masks.
    page: u64,
    plane: Plane,
    /// Columns and rows of blocks.
    blocks: Size,
    /// Bytes of an unpacked block.
    bytes: usize,
    /// Which of the images of the file it is, and the number of its first block there.
    image: Option<(usize, usize)>,
    /// Whether it is unpacked without GDAL.
    direct: bool,
    /// The first and the last block that are stored.
    ends: (usize, usize),
}

/// Blocks that one task unpacks.
#[derive(Debug, Clone, Copy)]
struct Part {
    series: usize,
    first: usize,
    end: usize,
    cost: usize,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "blocks {} to {}", self.first, self.end)
    }
}

type Images<'a> = &'a [(Directory, Option<Extents>)];

/// What a block has come to.
struct Said {
    severity: Severity,
    rule: &'static str,
    text: String,
}

/// What a reader passes on.
enum Input {
    /// GDAL had a look at the block.
    Seen(Vec<Said>),
    /// The bytes of a block to unpack, and how many there should come of them.
    Packed { index: usize, bytes: Vec<u8>, expected: usize },
}

/// Unpacks all blocks and gives their number.
pub(super) fn check(
    context: &Context<'_>,
    images: Images<'_>,
    layout: &Layout,
    faults: &mut Faults,
    notes: &mut Vec<String>,
) -> Result<u64> {
    let broken = faults.count(Severity::Error) > 0;
    let series = all(images, layout);
    let budget = context.job.memory.saturating_sub(PROGRAM).max(16 << 20);
    let mut parts = Vec::new();
    for (number, one) in series.iter().enumerate() {
        if too_many(one, images, context, faults) {
            continue;
        }
        let largest = parts.len();
        cut(one, number, images, &mut parts);
        if let Some(part) = parts[largest..].iter().find(|part| part.cost > budget) {
            // What is broken may claim anything.
            if !broken {
                return Err(too_little(context, part.cost + PROGRAM));
            }
            notes.push(format!("blocks of {} bytes were not unpacked, since the file is damaged", one.bytes));
            parts.truncate(largest);
        }
    }
    (context.planned)(parts.len());
    let limits = Limits {
        readers: context.job.readers.min(parts.len()),
        threads: context.job.threads,
        memory: budget,
        order: Order::Plan,
    };
    let path = context.path.to_owned();
    let series = &series;
    let collect = Collect { faults: faults.clone(), unpacked: 0 };
    let outcome = pipeline::run(
        parts,
        &limits,
        context.monitor,
        Job {
            cost: |part: &Part| part.cost,
            open: || Reader::open(path.clone()),
            read: |reader: &mut Reader, part: &Part| {
                Ok((*part, reader.read(&series[part.series], part, images)))
            },
            process: |(part, input): (Part, Vec<Input>)| {
                Ok(vec![process(&series[part.series], input, images)])
            },
            create: || Ok(collect),
        },
    )
    .map_err(Error::from)?;
    let Collect { faults: found, unpacked } = outcome.done;
    *faults = found;
    Ok(unpacked)
}

/// Whether a plane claims more blocks than a file of its size can hold; that is a fault.
fn too_many(series: &Series, images: Images<'_>, context: &Context<'_>, faults: &mut Faults) -> bool {
    let blocks = (series.blocks.width as u64).saturating_mul(series.blocks.height as u64);
    let len = std::fs::metadata(context.path).map_or(0, |found| found.len());
    let known = series.image.is_some_and(|(n, _)| images[n].1.is_some());
    // Where it is known which are stored, only these are looked at.
    if known || blocks <= len.saturating_mul(8) {
        return false;
    }
    faults.error("blocks", format!("claims to have {blocks} blocks in a file of {len} bytes"));
    true
}

/// All planes: of the raster, its overviews and masks, and of images that GDAL takes for none of these.
fn all(images: Images<'_>, layout: &Layout) -> Vec<Series> {
    let mut found = Vec::new();
    // GDAL may see the blocks of an image in another way, but it has seen it.
    let seen: Vec<u64> =
        layout.levels.iter().flat_map(|l| [l.ifd, l.mask.and_then(|(ifd, _)| ifd)]).flatten().collect();
    let bands = if layout.interleaved { 1 } else { layout.bands };
    for (level, of) in layout.levels.iter().enumerate() {
        let image = of_level(images, of);
        let samples = if layout.interleaved { layout.bands } else { 1 };
        let bytes =
            of.block.width.saturating_mul(of.block.height).saturating_mul(layout.sample_bytes * samples);
        for band in 1..=bands {
            found.push(one(images, 0, Plane { level, band, mask: false }, image, (of.size, of.block, bytes)));
        }
        if let Some((_, block)) = of.mask {
            let image = of_mask(images, of);
            let bytes = block.width.saturating_mul(block.height);
            found.push(one(images, 0, Plane { level, band: 1, mask: true }, image, (of.size, block, bytes)));
        }
    }
    for (number, (directory, _)) in images.iter().enumerate().filter(|(_, (d, _))| !seen.contains(&d.at)) {
        // What GDAL cannot make sense of is left out of the overviews; a page of its own can be asked for.
        let bands = if directory.planar { directory.samples } else { 1 };
        let bytes = directory.unpacked(0).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        for band in 1..=bands {
            let plane = Plane { level: 0, band, mask: false };
            found.push(one(
                images,
                directory.at,
                plane,
                Some(number),
                (directory.size, directory.block, bytes),
            ));
        }
    }
    found
}

fn one(
    images: Images<'_>,
    page: u64,
    plane: Plane,
    image: Option<usize>,
    (size, block, bytes): (Size, Size, usize),
) -> Series {
    let blocks =
        Size::new(size.width.div_ceil(block.width.max(1)), size.height.div_ceil(block.height.max(1)));
    let directory = image.map(|n| &images[n].0);
    let first =
        if directory.is_some_and(|d| d.planar) { (plane.band - 1) * blocks.width * blocks.height } else { 0 };
    let count = blocks.width.saturating_mul(blocks.height);
    let stored = image.and_then(|n| images[n].1.as_ref());
    let ends = stored.map_or((0, count.saturating_sub(1)), |extents| {
        let mut stored = (first..first + count).filter(|index| extents.is_stored(*index));
        let start = stored.next().unwrap_or(first);
        (start - first, stored.next_back().unwrap_or(start) - first)
    });
    let direct = stored.is_some()
        && directory
            .is_some_and(|d| matches!(d.compression, 8 | 32_946) && d.unpacked(0).is_some_and(|n| n > 0));
    Series { page, plane, blocks, bytes, image: image.map(|n| (n, first)), direct, ends }
}

/// Divides a plane into tasks.
fn cut(series: &Series, number: usize, images: Images<'_>, parts: &mut Vec<Part>) {
    let count = series.blocks.width.saturating_mul(series.blocks.height);
    let extents = series.image.and_then(|(n, first)| Some((images[n].1.as_ref()?, first)));
    // GDAL has a block of its own beside the one that is handed out, and damaged data may unpack to more than that.
    let least = series.bytes.saturating_mul(1 + LONGER);
    let mut part = Part { series: number, first: 0, end: 0, cost: least };
    let mut blocks = 0;
    for index in 0..count {
        let packed = match extents {
            Some((extents, first)) if extents.is_stored(first + index) => {
                extents.list[first + index].bytes as usize
            }
            Some(_) => continue,
            None => 0,
        };
        let full = blocks >= MOST_BLOCKS
            || (blocks > 0 && part.cost.saturating_add(packed) > least.saturating_add(ENOUGH));
        let many = series.bytes.saturating_mul(blocks) > ENOUGH;
        if full || many {
            parts.push(part);
            part = Part { series: number, first: index, end: index, cost: least };
            blocks = 0;
        }
        if blocks == 0 {
            part.first = index;
        }
        blocks += 1;
        part.end = index + 1;
        part.cost = part.cost.saturating_add(if series.direct { packed } else { 0 });
    }
    if blocks > 0 {
        parts.push(part);
    }
}

/// What a reader thread has.
struct Reader {
    path: PathBuf,
    file: File,
    /// The page that is open in GDAL.
    probe: Option<(u64, Probe)>,
    work: Vec<u8>,
}

impl Reader {
    fn open(path: PathBuf) -> Result<Self> {
        let file = File::open(&path).map_err(|e| Error::input(&path, format!("cannot be opened: {e}")))?;
        Ok(Self { path, file, probe: None, work: Vec::new() })
    }

    /// The file, or one of its further images, in GDAL.
    fn probe(&mut self, page: u64) -> Result<&Probe, String> {
        if self.probe.as_ref().is_none_or(|(open, _)| *open != page) {
            let path = match page {
                0 => self.path.clone(),
                at => format!("GTIFF_DIR:off:{at}:{}", self.path.display()).into(),
            };
            self.probe = Some((page, Probe::open(&path)?));
        }
        self.probe.as_ref().map(|(_, probe)| probe).ok_or_else(|| "cannot be opened".to_owned())
    }

    fn read(&mut self, series: &Series, part: &Part, images: Images<'_>) -> Vec<Input> {
        let known = series.image.and_then(|(n, first)| Some((&images[n].0, images[n].1.as_ref()?, first)));
        let mut inputs = Vec::new();
        for index in part.first..part.end {
            let Some((directory, extents, first)) = known else {
                inputs.push(Input::Seen(self.look(series, index, images)));
                continue;
            };
            if !extents.is_stored(first + index) {
                continue;
            }
            if !series.direct || index == series.ends.0 || index == series.ends.1 {
                inputs.push(Input::Seen(self.look(series, index, images)));
            }
            if series.direct {
                let row = index / series.blocks.width;
                let Extent { offset, bytes } = extents.list[first + index];
                let expected = directory.unpacked(row).unwrap_or(0) as usize;
                let mut packed = vec![0; bytes as usize];
                match self.file.read_exact_at(&mut packed, offset) {
                    Ok(()) => inputs.push(Input::Packed { index, bytes: packed, expected }),
                    Err(e) => inputs.push(Input::Seen(vec![said(series, index, images, &e.to_string())])),
                }
            }
        }
        inputs
    }

    /// Shows GDAL a block.
    fn look(&mut self, series: &Series, index: usize, images: Images<'_>) -> Vec<Said> {
        let place = (index % series.blocks.width, index / series.blocks.width);
        let mut work = std::mem::take(&mut self.work);
        let read = match self.probe(series.page) {
            Ok(probe) => probe.read(series.plane, place, &mut work),
            Err(why) => Unpacked::Not(why),
        };
        self.work = work;
        match read {
            Unpacked::Well => Vec::new(),
            Unpacked::Not(why) => vec![said(series, index, images, &why)],
            Unpacked::Oddly(why) => {
                let text = format!("{}: {why}", name(series, index, images));
                vec![Said { severity: Severity::Warning, rule: "odd-block", text }]
            }
        }
    }
}

fn name(series: &Series, index: usize, images: Images<'_>) -> String {
    let Plane { level, band, mask } = series.plane;
    if let Some((n, first)) = series.image {
        return block_name(&images[n].0, first + index);
    }
    let (column, row) = (index % series.blocks.width, index / series.blocks.width);
    let of = if mask { "the mask".to_owned() } else { format!("band {band}") };
    let level = if level == 0 { String::new() } else { format!(" of overview {}", level - 1) };
    format!("block {column}, {row} of {of}{level}")
}

fn said(series: &Series, index: usize, images: Images<'_>, why: &str) -> Said {
    let text = format!("{} cannot be unpacked: {why}", name(series, index, images));
    Said { severity: Severity::Error, rule: "block", text }
}

/// What the blocks of a task have come to, and how many they were.
struct Checked {
    said: Vec<Said>,
    blocks: u64,
}

fn process(series: &Series, inputs: Vec<Input>, images: Images<'_>) -> Checked {
    let mut checked = Checked { said: Vec::new(), blocks: 0 };
    let mut decompressor = Decompressor::new();
    let mut out = Vec::new();
    let mut last = None;
    for input in inputs {
        match input {
            Input::Seen(said) => {
                last = said.iter().any(|s| s.severity == Severity::Error).then_some(());
                checked.said.extend(said);
                checked.blocks += u64::from(!series.direct);
            }
            Input::Packed { index, bytes, expected } => {
                checked.blocks += 1;
                out.resize(expected, 0);
                let mut done = decompressor.zlib_decompress(&bytes, &mut out);
                if matches!(done, Err(DecompressionError::InsufficientSpace)) {
                    // Some write a last strip as long as the others. What is damaged may be of any length, and has a wrong checksum.
                    out.resize(expected.saturating_mul(LONGER), 0);
                    done = decompressor.zlib_decompress(&bytes, &mut out);
                }
                // What GDAL has found needs no second word.
                if last.take().is_none() {
                    checked.said.extend(verdict(series, index, images, &done, expected));
                }
            }
        }
    }
    checked
}

fn verdict(
    series: &Series,
    index: usize,
    images: Images<'_>,
    done: &Result<usize, DecompressionError>,
    expected: usize,
) -> Option<Said> {
    let why = match done {
        Ok(n) if *n == expected => return None,
        Ok(n) if *n > expected => {
            let text = format!("{} unpacks to {n} bytes, not {expected}", name(series, index, images));
            return Some(Said { severity: Severity::Warning, rule: "block-size", text });
        }
        Ok(n) => format!("it has {n} bytes of {expected}"),
        Err(_) => "its DEFLATE data are damaged, or its checksum is wrong".to_owned(),
    };
    Some(said(series, index, images, &why))
}

/// Where the faults of all blocks come together.
struct Collect {
    faults: Faults,
    unpacked: u64,
}

impl pipeline::Sink for Collect {
    type Item = Checked;
    type Done = Self;
    type Error = Error;

    fn write(&mut self, checked: Checked) -> Result<()> {
        self.unpacked += checked.blocks;
        for Said { severity, rule, text } in checked.said {
            self.faults.add(severity, rule, 1, || text);
        }
        Ok(())
    }

    fn finish(self) -> Result<Self> {
        Ok(self)
    }
}
