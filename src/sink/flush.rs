//! Brings what is written to the disk while the run goes on, so that little is left to wait for at its end.

use std::fs::File;
use std::io;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};

use crate::pipeline::in_background;

/// Bytes after which the disk is set to work. Less would interrupt the writing of others more often than it helps.
const EVERY: u64 = 96 << 20;

/// Syncs a file system again and again, on a thread of its own.
#[derive(Debug)]
pub(super) struct Flusher {
    wake: Sender<()>,
    thread: JoinHandle<io::Result<()>>,
    pending: u64,
}

impl Flusher {
    /// A flusher for the file system of a folder. `None` when there is no thread for it, or the system cannot sync one alone.
    pub(super) fn start(folder: &File) -> Option<Self> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let folder = folder.try_clone().ok()?;
        let (wake, woken) = bounded(1);
        let sync = move || woken.iter().try_for_each(|()| sync_all_below(&folder));
        let thread = in_background("flush", sync).ok()?;
        Some(Self { wake, thread, pending: 0 })
    }

    /// Tells of bytes that were written.
    pub(super) fn add(&mut self, bytes: u64) {
        self.pending += bytes;
        if self.pending >= EVERY {
            self.pending = 0;
            // When the disk is still at it, it will have to be told again later.
            let _ = self.wake.try_send(());
        }
    }

    /// Waits for the disk to be done with what it was told. What fails is told to nobody else: the system reports it once.
    pub(super) fn finish(self) -> io::Result<()> {
        drop(self.wake);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that syncs ended early")))
    }
}

/// Waits until everything written to the file system of a folder is on the disk.
pub(super) fn sync_all_below(folder: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::fs::syncfs(folder)?;
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        rustix::fs::sync();
    }
    Ok(())
}
