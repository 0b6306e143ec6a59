//! Writes a file whose every byte is known by its place, by several threads at once.
//!
//! An archive is assembled when all its tiles are there, and then it is clear where each of them belongs. So threads
//! fill *regions* of the file side by side and write each with one call. Through the system's cache they would still
//! take turns, since a file system lets one thread at a time change a file; written past the cache (`O_DIRECT`, aligned,
//! into space that is reserved beforehand) regions go to the disk side by side, are copied once less, and leave the
//! cache to others. Where the system refuses that, the same regions are written through the cache.

mod runs;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};
use crate::pipeline::{Cause, side_by_side};
use crate::target::failed;
pub(crate) use runs::{assemble_runs, runs};

/// Bytes of a region.
const REGION: usize = 1 << 20;

/// What regions, their length, and the memory they are written from must be aligned to: no disk asks for more.
const ALIGNMENT: usize = 4096;

/// Threads that fill regions. More would only wait for the disk.
const MOST_THREADS: usize = 32;

/// A file to be.
pub(crate) trait Layout: Sync {
    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Sets all of `bytes`, which hold anything, to what the file holds from offset `at` on. `spare` is for whatever it wants.
    ///
    /// # Errors
    /// When that cannot be found out.
    fn fill(&self, at: u64, bytes: &mut [u8], spare: &mut Vec<u8>) -> Result<()>;
}

/// Writes an empty file at `path` as a layout wants it, by up to `threads` threads (at least two: one fills while another
/// waits for the disk). The caller syncs.
///
/// # Errors
/// [`Error::Output`] when the disk refuses, and those of the layout.
pub(crate) fn assemble(file: &File, path: &Path, layout: &impl Layout, threads: usize) -> Result<()> {
    let refused = |e: io::Error| failed(path, "cannot be written", &e);
    let size = layout.size();
    let regions = size.div_ceil(REGION as u64);
    let padded = size.next_multiple_of(ALIGNMENT as u64);
    reserve(file, padded).map_err(refused)?;
    let output = Output::new(file, direct(path));
    let start = || (Buffer::new(), Vec::new());
    let fill = |(buffer, spare): &mut (Buffer, Vec<u8>), region: u64| {
        let at = region * REGION as u64;
        let len = (padded - at).min(REGION as u64) as usize;
        let used = (size - at).min(REGION as u64) as usize;
        let bytes = &mut buffer.aligned()[..len];
        layout.fill(at, &mut bytes[..used], spare)?;
        bytes[used..].fill(0);
        output.write(bytes, at).map_err(refused)
    };
    let threads = threads.clamp(2, MOST_THREADS);
    side_by_side(threads, regions, start, fill).map_err(|cause| match cause {
        Cause::Failed(error) => error,
        other => Error::Internal(format!("{}: {other}", path.display())),
    })?;
    file.set_len(size).map_err(refused)
}

/// Gives a file its size, and the space for it where the file system can.
fn reserve(file: &File, size: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::io::Errno;
        match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, size) {
            Err(Errno::NOTSUP | Errno::NOSYS | Errno::INVAL) => {}
            reserved => return Ok(reserved?),
        }
    }
    file.set_len(size)
}

/// The file once more, to be written past the cache. `None` where that is impossible.
fn direct(path: &Path) -> Option<File> {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::DIRECT.bits() as i32;
        OpenOptions::new().write(true).custom_flags(flags).open(path).ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (path, OpenOptions::new());
        None
    }
}

/// A file being written.
struct Output<'a> {
    file: &'a File,
    direct: Option<File>,
    /// Whether the system has not yet refused to write past its cache.
    directly: AtomicBool,
}

impl<'a> Output<'a> {
    fn new(file: &'a File, direct: Option<File>) -> Self {
        Self { file, direct, directly: AtomicBool::new(true) }
    }

    /// Whether what is written should be whole pages.
    fn is_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// Writes a page from wherever it lies in memory.
    fn write_aligned(&self, page: &[u8], at: u64) -> io::Result<()> {
        let mut buffer = vec![0; page.len() + ALIGNMENT];
        let start = align(&buffer);
        buffer[start..start + page.len()].copy_from_slice(page);
        self.write(&buffer[start..start + page.len()], at)
    }

    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut written = 0;
        if let Some(file) = &self.direct
            && self.directly.load(Ordering::Relaxed)
        {
            match file.write_at(bytes, at) {
                Ok(count) => written = count,
                Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                    self.directly.store(false, Ordering::Relaxed);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.file.write_all_at(&bytes[written..], at + written as u64)
    }
}

/// Memory for a region that begins where the disk wants it to.
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    fn new() -> Self {
        let bytes = vec![0; REGION + ALIGNMENT];
        let start = align(&bytes);
        Self { bytes, start }
    }

    fn aligned(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..REGION]
    }
}

/// Where the first page of some memory begins.
fn align(bytes: &[u8]) -> usize {
    bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT)
}

/// The part of `bytes`, which begin at offset `at` of a file, that belongs to `len` bytes at `from`: its range in
/// `bytes`, and how many of the `len` lie before it. `None` when there is no such part.
pub(crate) fn overlap(
    at: u64,
    bytes: usize,
    from: u64,
    len: usize,
) -> Option<(std::ops::Range<usize>, usize)> {
    let start = at.max(from);
    let end = (at + bytes as u64).min(from + len as u64);
    (start < end).then(|| ((start - at) as usize..(end - at) as usize, (start - from) as usize))
}

/// Copies what belongs into `bytes` of a piece of the file.
pub(crate) fn copy_piece(at: u64, bytes: &mut [u8], from: u64, piece: &[u8]) {
    if let Some((range, skip)) = overlap(at, bytes.len(), from, piece.len()) {
        let len = range.len();
        bytes[range].copy_from_slice(&piece[skip..skip + len]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte tells its place.
    struct Places(u64);

    impl Layout for Places {
        fn size(&self) -> u64 {
            self.0
        }

        fn fill(&self, at: u64, bytes: &mut [u8], _: &mut Vec<u8>) -> Result<()> {
            if at == 5 << 20 {
                return Err(Error::Internal("no more".to_owned()));
            }
            for (i, byte) in bytes.iter_mut().enumerate() {
                *byte = place(at + i as u64);
            }
            Ok(())
        }
    }

    fn place(at: u64) -> u8 {
        (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
    }

    fn assembled(size: u64) -> Result<Vec<u8>> {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("file");
        let file = File::create_new(&path).expect("created");
        assemble(&file, &path, &Places(size), 3)?;
        Ok(std::fs::read(&path).expect("readable"))
    }

    #[test]
    fn every_byte_is_in_its_place_and_none_behind_the_end() {
        for size in [1, 4096, 100_000, REGION as u64, 3 * REGION as u64 + 17] {
            let bytes = assembled(size).expect("assembled");
            assert_eq!(bytes.len() as u64, size);
            assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == place(at as u64)), "{size}");
        }
    }

    #[test]
    fn an_error_of_one_region_ends_the_assembly() {
        assert!(matches!(assembled(20 << 20), Err(Error::Internal(m)) if m == "no more"));
    }

    #[test]
    fn pieces_are_cut_off_at_the_edges_of_a_region() {
        let mut bytes = [0; 4];
        copy_piece(10, &mut bytes, 8, &[1, 2, 3]);
        copy_piece(10, &mut bytes, 13, &[4, 5]);
        copy_piece(10, &mut bytes, 14, &[6]);
        copy_piece(10, &mut bytes, 0, &[7; 10]);
        assert_eq!(bytes, [3, 0, 0, 4]);
    }
}
