//! What the machine, or the share of it that a container or scheduler grants, has to offer.

use std::num::NonZero;

/// Threads that may run at once: respects CPU affinity and the cgroup's quota.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Bytes of memory: the smaller of what the machine has and what its cgroup grants. `None` where that cannot be found out.
pub fn memory() -> Option<usize> {
    let granted = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<usize>().ok());
    let installed = proc_kilobytes("/proc/meminfo", "MemTotal:");
    match (granted, installed) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Threads of a kind whose memory is counted with the program's own.
const FEW: usize = 2;

/// Bytes that a further thread takes beside what it works on: its stack, buffers, and what its share of the heap keeps.
const THREAD: usize = 4 << 20;

/// Bytes that `readers` and `threads` take beyond what a few of them do.
pub fn threads_memory(readers: usize, threads: usize) -> usize {
    (readers.saturating_sub(FEW) + threads.saturating_sub(FEW)) * THREAD
}

/// What a run may take unless it is told: a quarter of the machine's, 128 to 256 MB, since more does not make it faster, and what many
/// threads take.
pub fn default_memory(readers: usize, threads: usize) -> usize {
    (memory().unwrap_or(1 << 30) / 4).clamp(128 << 20, 256 << 20) + threads_memory(readers, threads)
}

/// The most bytes this process has had resident so far. `None` where that cannot be found out.
pub fn peak_memory() -> Option<usize> {
    proc_kilobytes("/proc/self/status", "VmHWM:")
}

fn proc_kilobytes(path: &str, key: &str) -> Option<usize> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    let number: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(number * 1024)
}
