//! Brings what is written to the disk while the run goes on, so that little is left to wait for at its end.

use std::fs::File;
use std::io;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};

use crate::pipeline::in_background;

/// Bytes after which the disk is set to work on a whole file system. Less would interrupt the writing of others more often than it helps.
const EVERY: u64 = 96 << 20;

/// The same for one file, which nobody else waits for.
const EVERY_OF_FILE: u64 = 32 << 20;

/// Syncs again and again, on a thread of its own.
#[derive(Debug)]
pub(crate) struct Flusher {
    wake: Sender<()>,
    thread: JoinHandle<io::Result<()>>,
    every: u64,
    pending: u64,
}

impl Flusher {
    /// A flusher for the file system of a folder. `None` when there is no thread for it, or the system cannot sync one alone.
    pub(crate) fn start(folder: &File) -> Option<Self> {
        if cfg!(target_os = "linux") { Self::with(folder, EVERY, sync_all_below) } else { None }
    }

    /// A flusher for one file. `None` when there is no thread for it.
    pub(crate) fn of_file(file: &File) -> Option<Self> {
        Self::with(file, EVERY_OF_FILE, File::sync_data)
    }

    fn with(file: &File, every: u64, sync: fn(&File) -> io::Result<()>) -> Option<Self> {
        let file = file.try_clone().ok()?;
        let (wake, woken) = bounded(1);
        let again = move || woken.iter().try_for_each(|()| sync(&file));
        let thread = in_background("flush", again).ok()?;
        Some(Self { wake, thread, every, pending: 0 })
    }

    /// Tells of bytes that were written.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.pending += bytes;
        if self.pending >= self.every {
            self.pending = 0;
            // When the disk is still at it, it will have to be told again later.
            let _ = self.wake.try_send(());
        }
    }

    /// Waits for the disk to be done with what it was told. What fails is told to nobody else: the system reports it once.
    pub(crate) fn finish(self) -> io::Result<()> {
        drop(self.wake);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that syncs ended early")))
    }
}

/// Waits until everything written to the file system of a folder is on the disk.
pub(crate) fn sync_all_below(folder: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(folder)?;
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        rustix::fs::sync();
    }
    Ok(())
}
