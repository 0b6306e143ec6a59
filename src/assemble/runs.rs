//! Files of pieces that are much larger than tiles: blocks of a raster.
//!
//! Cut into regions of one size, most of them would begin and end in the middle of a block, which then had to be read and hashed
//! twice. So what a thread puts together is a *run* of whole pieces. Only whole pages go past the system's cache: those that two runs share
//! are gathered, and written by whoever brings the last of their bytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::{ALIGNMENT, MOST_THREADS, Output, align, direct, reserve};
use crate::error::{Error, Result};
use crate::pipeline::{Cause, side_by_side};
use crate::target::failed;

/// Bytes of a run whose pieces are smaller.
const RUN: u64 = 2 << 20;

/// Least threads that fill runs: some wait for the disk while another computes.
const LEAST_THREADS: usize = 4;

const PAGE: u64 = ALIGNMENT as u64;

/// Pieces that follow each other, and where they go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    /// Their numbers.
    pub pieces: Range<usize>,
    /// Their bytes in the file.
    pub place: Range<u64>,
}

/// Divides pieces of some lengths, of which the first begins at `start` and each behind the one before, into runs.
pub(crate) fn runs(start: u64, lengths: impl IntoIterator<Item = u64>) -> Vec<Run> {
    let (mut all, mut run) = (Vec::new(), Run { pieces: 0..0, place: start..start });
    for length in lengths {
        run.pieces.end += 1;
        run.place.end += length;
        if run.place.end - run.place.start >= RUN {
            let next = Run { pieces: run.pieces.end..run.pieces.end, place: run.place.end..run.place.end };
            all.push(std::mem::replace(&mut run, next));
        }
    }
    if !run.pieces.is_empty() {
        all.push(run);
    }
    all
}

/// Writes runs, each where the one before ends, into a file that holds already what stands before them, and ends it there. `fill` sets
/// all bytes of some pieces, which hold anything; its first argument is for whatever it wants. `past_cache` should be set unless the
/// file is read again at once. The caller syncs.
///
/// # Errors
/// [`Error::Output`] when the disk refuses, and those of `fill`.
pub(crate) fn assemble_runs<X: Default>(
    (file, path): (&File, &Path),
    runs: &[Run],
    past_cache: bool,
    fill: impl Fn(&mut X, Range<usize>, &mut [u8]) -> Result<()> + Sync,
) -> Result<()> {
    let refused = |e: io::Error| failed(path, "cannot be written", &e);
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return Ok(()) };
    let all = first.place.start..last.place.end;
    reserve(file, all.end.next_multiple_of(PAGE)).map_err(refused)?;
    let output = Output::new(file, if past_cache { direct(path) } else { None });
    let edges = Edges::new(file, &all).map_err(refused)?;
    let one = |(buffer, spare): &mut (Vec<u8>, X), number: u64| {
        let Some(Run { pieces, place }) = runs.get(number as usize) else { return Ok(()) };
        let bytes = placed(buffer, place);
        fill(spare, pieces.clone(), bytes)?;
        let written = if output.is_direct() {
            write_pages(&output, &edges, place, bytes)
        } else {
            output.write(bytes, place.start)
        };
        written.map_err(refused)
    };
    let threads = std::thread::available_parallelism().map_or(LEAST_THREADS, usize::from);
    let threads = threads.clamp(LEAST_THREADS, MOST_THREADS);
    let start = || (Vec::new(), X::default());
    side_by_side(threads, runs.len() as u64, start, one).map_err(|cause| match cause {
        Cause::Failed(error) => error,
        other => Error::Internal(format!("{}: {other}", path.display())),
    })?;
    file.set_len(all.end).map_err(refused)
}

/// Room for the bytes of a place: whole pages of the file are whole pages of memory.
fn placed<'a>(buffer: &'a mut Vec<u8>, place: &Range<u64>) -> &'a mut [u8] {
    let (length, before) = ((place.end - place.start) as usize, (place.start % PAGE) as usize);
    if buffer.len() < length + 2 * ALIGNMENT {
        buffer.resize(length + 2 * ALIGNMENT, 0);
    }
    let start = align(buffer) + before;
    &mut buffer[start..start + length]
}

/// Writes the whole pages of a run, and gives the others to those who gather them.
fn write_pages(output: &Output<'_>, edges: &Edges, place: &Range<u64>, bytes: &[u8]) -> io::Result<()> {
    let [first, last] = [place.start.next_multiple_of(PAGE), place.end - place.end % PAGE];
    let part = |range: Range<u64>| {
        &bytes[(range.start - place.start) as usize..][..(range.end - range.start) as usize]
    };
    if first > last {
        return edges.add(output, place.start, bytes);
    }
    if first < last {
        output.write(part(first..last), first)?;
    }
    edges.add(output, place.start, part(place.start..first))?;
    edges.add(output, last, part(last..place.end))
}

/// Pages that two runs share, or a run and what stands before or behind all of them.
struct Edges {
    /// What there is to come, and where it ends.
    all: Range<u64>,
    /// What stands before it in its first page.
    head: Vec<u8>,
    /// By their number: the bytes, and how many of them are missing.
    pages: Mutex<BTreeMap<u64, (Vec<u8>, usize)>>,
}

impl Edges {
    fn new(file: &File, all: &Range<u64>) -> io::Result<Self> {
        let before = all.start % PAGE;
        let mut head = vec![0; before as usize];
        file.read_exact_at(&mut head, all.start - before)?;
        Ok(Self { all: all.clone(), head, pages: Mutex::default() })
    }

    /// Takes some bytes of a page, which is written when they are the last.
    fn add(&self, output: &Output<'_>, at: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let (number, skip) = (at / PAGE, (at % PAGE) as usize);
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let (page, missing) = pages.entry(number).or_insert_with(|| self.begun(number));
        page[skip..skip + bytes.len()].copy_from_slice(bytes);
        *missing = missing.saturating_sub(bytes.len());
        if *missing > 0 {
            return Ok(());
        }
        let page = pages.remove(&number);
        drop(pages);
        page.map_or(Ok(()), |(page, _)| output.write_aligned(&page, number * PAGE))
    }

    /// A page of which no run has brought a byte.
    fn begun(&self, number: u64) -> (Vec<u8>, usize) {
        let mut page = vec![0; ALIGNMENT];
        let [start, end] = [number * PAGE, (number + 1) * PAGE];
        if (start..end).contains(&self.all.start) {
            page[..self.head.len()].copy_from_slice(&self.head);
        }
        (page, (end.min(self.all.end) - start.max(self.all.start)) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The byte that belongs to a place.
    fn byte(at: u64) -> u8 {
        (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
    }

    fn assembled(head: u64, lengths: &[u64], past_cache: bool) -> Vec<u8> {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("file");
        let file = File::options().read(true).write(true).create_new(true).open(&path).expect("created");
        let bytes = |from: u64, to: u64| (from..to).map(byte).collect::<Vec<u8>>();
        // Longer than what stands there at last.
        file.write_all_at(&bytes(0, head), 0).expect("written");
        let places: Vec<u64> = std::iter::once(head)
            .chain(lengths.iter().scan(head, |at, length| {
                *at += length;
                Some(*at)
            }))
            .collect();
        let runs = runs(head, lengths.iter().copied());
        assert!(runs.iter().all(|run| { run.place == (places[run.pieces.start]..places[run.pieces.end]) }));
        let fill = |(): &mut (), pieces: Range<usize>, out: &mut [u8]| {
            let [from, to] = [places[pieces.start], places[pieces.end]];
            out.copy_from_slice(&bytes(from, to));
            Ok(())
        };
        assemble_runs((&file, &path), &runs, past_cache, fill).expect("assembled");
        std::fs::read(&path).expect("readable")
    }

    #[test]
    fn every_byte_is_in_its_place_whatever_the_lengths() {
        let uneven: Vec<u64> = (0..300).map(|k| 1 + k * 7919 % 50_000).collect();
        let whole = [RUN, 4096, RUN - 4096, 1];
        let small = [3, 0, 5];
        for lengths in [&uneven[..], &whole, &small, &[RUN + 1, 1, RUN - 1, 0, RUN], &[4096; 3]] {
            for head in [0, 1, 4095, 4096, 4097, 10_000] {
                for past_cache in [true, false] {
                    let made = assembled(head, lengths, past_cache);
                    assert_eq!(made.len() as u64, head + lengths.iter().sum::<u64>());
                    let wrong = made.iter().zip(0..).position(|(own, at)| *own != byte(at));
                    assert_eq!(wrong, None, "{head} {}", lengths.len());
                }
            }
        }
    }

    #[test]
    fn what_one_run_lacks_ends_all() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("file");
        let file = File::create_new(&path).expect("created");
        let fill = |(): &mut (), pieces: Range<usize>, _: &mut [u8]| {
            if pieces.contains(&5) { Err(Error::Internal("no more".to_owned())) } else { Ok(()) }
        };
        let made = assemble_runs((&file, &path), &runs(0, [RUN; 9]), true, fill);
        assert!(matches!(made, Err(Error::Internal(m)) if m == "no more"));
    }
}
