//! Source blocks, decoded once and shared by the readers.
//!
//! Neighbouring windows need the same blocks of the file, and every dataset handle has its own view of GDAL's
//! cache. So readers fetch *chunks* (one or more whole blocks) through a cache of their own that holds plain pixels:
//! bounded in bytes, least recently used out first, and single-flight: two readers that want the same chunk
//! at the same time decode it once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError};

use super::source::Selection;
use crate::block::{Assembly, Block};
use crate::error::{Error, Result};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::window::{Size, Window};

/// The memory of a chunk that leaves the cache is kept for the next one if it is at most this part of the cache.
const SPARE_SHARE: usize = 16;

/// How a raster is cut into chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkLayout {
    raster: Size,
    chunk: Size,
}

/// Chunks of tiled files are at least this many pixels wide and high.
const CHUNK_SIDE: usize = 256;
/// Chunks of striped files are whole strips of about this many bytes.
const STRIP_BYTES: usize = 512 << 10;

impl ChunkLayout {
    /// Chunks that are whole blocks of the file. `pixel_bytes` is the size of all samples of a pixel.
    pub fn new(raster: Size, block: Size, pixel_bytes: usize) -> Self {
        let block = Size::new(block.width.clamp(1, raster.width), block.height.clamp(1, raster.height));
        let chunk = if block.width == raster.width && block.height < raster.height {
            let strip = block.area() * pixel_bytes;
            Size::new(block.width, block.height * (STRIP_BYTES / strip.max(1)).max(1))
        } else {
            let grow = |side: usize| side * CHUNK_SIDE.div_ceil(side);
            Size::new(grow(block.width), grow(block.height))
        };
        let chunk = Size::new(chunk.width.min(raster.width), chunk.height.min(raster.height));
        Self { raster, chunk }
    }

    /// Chunks of a size.
    pub fn of_size(raster: Size, chunk: Size) -> Self {
        Self { raster, chunk }
    }

    /// Columns and rows of a full chunk.
    pub fn chunk(&self) -> Size {
        self.chunk
    }

    /// A number for a chunk, in rows from the upper left.
    pub fn index(&self, column: usize, row: usize) -> usize {
        row * self.raster.width.div_ceil(self.chunk.width) + column
    }

    /// The window of a chunk, cut off at the raster's edge.
    pub fn window(&self, column: usize, row: usize) -> Window {
        let (x, y) = ((column * self.chunk.width) as i64, (row * self.chunk.height) as i64);
        Window::new(x, y, self.chunk.width, self.chunk.height).intersection(&self.raster.window())
    }

    /// Columns and rows of the chunks that touch a window inside the raster.
    pub fn covering(&self, window: &Window) -> impl Iterator<Item = (usize, usize)> + use<> {
        self.rows(window).flatten()
    }

    /// Like [`ChunkLayout::covering`], one row of chunks after the other.
    pub fn rows(
        &self,
        window: &Window,
    ) -> impl Iterator<Item = impl Iterator<Item = (usize, usize)> + use<>> + use<> {
        let span = |from: i64, to: i64, side: usize| from as usize / side..(to as usize).div_ceil(side);
        let columns = span(window.x, window.right(), self.chunk.width);
        let rows = span(window.y, window.bottom(), self.chunk.height);
        rows.map(move |row| columns.clone().map(move |column| (column, row)))
    }
}

/// Which chunk of which input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkKey {
    /// Position of the raster in the list of inputs.
    pub input: usize,
    /// The chunk's [`ChunkLayout::index`].
    pub index: usize,
}

/// What a cache was used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of all chunks that were decoded.
    pub bytes: u64,
    /// Bytes of the distinct chunks among them.
    pub distinct: u64,
}

impl Decoded {
    /// How many times a chunk was decoded on average: 1 when the cache was large enough.
    pub fn amplification(&self) -> f64 {
        if self.distinct == 0 { 1.0 } else { self.bytes as f64 / self.distinct as f64 }
    }
}

enum Slot {
    Loading,
    Ready { block: Arc<Block>, used: u64 },
}

#[derive(Default)]
struct State {
    slots: HashMap<ChunkKey, Slot>,
    /// The chunks that are ready, by when they were last used.
    ready: BTreeMap<u64, ChunkKey>,
    bytes: usize,
    clock: u64,
    /// A chunk that left the cache, whose memory can be filled anew.
    spare: Option<Block>,
    decoded: Decoded,
    /// A bit for each chunk of each input: whether it was decoded before.
    seen: HashMap<usize, Vec<u64>>,
}

/// The chunks that readers share.
pub struct ChunkCache {
    capacity: usize,
    state: Mutex<State>,
    loaded: Condvar,
}

impl ChunkCache {
    /// A cache of at most `capacity` bytes, beside the chunks that readers hold at the moment.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, state: Mutex::default(), loaded: Condvar::new() }
    }

    /// What was decoded so far.
    pub fn decoded(&self) -> Decoded {
        self.lock().decoded
    }

    /// A window of an input in its own pixels, put together from chunks. `read` decodes the window of a chunk, as [`ChunkCache::get`] has it.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn gather(
        &self,
        input: usize,
        layout: &ChunkLayout,
        selection: &Selection,
        window: Window,
        mut read: impl FnMut(Window, Option<Block>) -> Result<Block>,
    ) -> Result<Block> {
        let mut assembly = Assembly::new(window, selection.sample_type, selection.bands.len());
        for (column, row) in layout.covering(&window) {
            let key = ChunkKey { input, index: layout.index(column, row) };
            assembly.add(&*self.get(key, |spare| read(layout.window(column, row), spare))?);
        }
        assembly.finish().ok_or_else(|| Error::Internal(format!("chunks leave a gap in {window}")))
    }

    /// The chunk, from the cache or else through `load`, which may use the memory of a chunk that had to leave. While one
    /// thread loads a chunk, others that want it wait.
    ///
    /// # Errors
    /// Those of `load`; the next one to ask tries again.
    pub fn get(
        &self,
        key: ChunkKey,
        load: impl FnOnce(Option<Block>) -> Result<Block>,
    ) -> Result<Arc<Block>> {
        let mut state = self.lock();
        loop {
            state.clock += 1;
            let now = state.clock;
            match state.slots.get_mut(&key) {
                Some(Slot::Ready { block, used }) => {
                    let (block, last) = (Arc::clone(block), std::mem::replace(used, now));
                    state.ready.remove(&last);
                    state.ready.insert(now, key);
                    return Ok(block);
                }
                Some(Slot::Loading) => {
                    state = self.loaded.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                None => break,
            }
        }
        state.slots.insert(key, Slot::Loading);
        let spare = state.spare.take();
        drop(state);
        let claim = Claim { cache: self, key };
        let block = Arc::new(load(spare)?);
        let mut state = self.lock();
        state.count(key, block.bytes() as u64);
        state.bytes += block.bytes();
        state.clock += 1;
        let used = state.clock;
        state.slots.insert(key, Slot::Ready { block: Arc::clone(&block), used });
        state.ready.insert(used, key);
        state.evict(self.capacity);
        drop(state);
        drop(claim);
        Ok(block)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self, key: ChunkKey, bytes: u64) {
        let bits = self.seen.entry(key.input).or_default();
        let (word, bit) = (key.index / 64, 1u64 << (key.index % 64));
        if bits.len() <= word {
            bits.resize(word + 1, 0);
        }
        self.decoded.bytes += bytes;
        if bits[word] & bit == 0 {
            self.decoded.distinct += bytes;
            bits[word] |= bit;
        }
    }

    fn evict(&mut self, capacity: usize) {
        while self.bytes > capacity {
            let Some((_, key)) = self.ready.pop_first() else { return };
            if let Some(Slot::Ready { block, .. }) = self.slots.remove(&key) {
                let bytes = block.bytes();
                self.bytes -= bytes;
                if self.spare.is_none() && bytes <= capacity / SPARE_SHARE {
                    self.spare = Arc::into_inner(block);
                }
            }
        }
    }
}

/// Withdraws an unfinished load, also when it panics, and wakes those who wait for it.
struct Claim<'a> {
    cache: &'a ChunkCache,
    key: ChunkKey,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.cache.lock();
        if matches!(state.slots.get(&self.key), Some(Slot::Loading)) {
            state.slots.remove(&self.key);
        }
        drop(state);
        self.cache.loaded.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::block::{Assembly, SampleType, Samples, Validity, interleaved_array};
    use crate::error::Error;

    fn block(window: Window) -> Block {
        let value = |i: usize| {
            ((window.y + (i / window.width) as i64) * 100 + window.x + (i % window.width) as i64) as u16
        };
        let values = (0..window.area()).map(value).collect();
        let samples = Samples::U16(interleaved_array(values, 1, window.size()).expect("fits"));
        Block { window, samples, validity: Validity::All }
    }

    #[test]
    fn tiled_files_keep_their_blocks_and_strips_are_grouped() {
        let tiled = ChunkLayout::new(Size::new(5000, 5000), Size::new(512, 512), 3);
        assert_eq!(tiled.chunk(), Size::new(512, 512));
        let small = ChunkLayout::new(Size::new(5000, 5000), Size::new(64, 16), 3);
        assert_eq!(small.chunk(), Size::new(256, 256));
        let strips = ChunkLayout::new(Size::new(1000, 5000), Size::new(1000, 3), 3);
        assert_eq!(strips.chunk(), Size::new(1000, 174));
    }

    #[test]
    fn chunks_tile_a_window_without_gap_or_overlap() {
        let layout = ChunkLayout::new(Size::new(700, 600), Size::new(256, 256), 1);
        let window = Window::new(250, 255, 450, 345);
        let area: usize =
            layout.covering(&window).map(|(c, r)| layout.window(c, r).intersection(&window).area()).sum();
        assert_eq!(area, window.area());
        assert_eq!(layout.covering(&window).count(), 9);
    }

    #[test]
    fn windows_are_assembled_pixel_for_pixel() {
        let layout = ChunkLayout::new(Size::new(700, 600), Size::new(256, 256), 2);
        let window = Window::new(250, 255, 450, 345);
        let mut assembly = Assembly::new(window, SampleType::U16, 1);
        for (column, row) in layout.covering(&window) {
            assert!(assembly.add(&block(layout.window(column, row))));
        }
        assert_eq!(assembly.finish(), Some(block(window)));
        assert_eq!(Assembly::new(window, SampleType::U16, 1).finish(), None);
    }

    #[test]
    fn a_failed_load_is_tried_again() {
        let cache = ChunkCache::new(1000);
        let key = ChunkKey { input: 0, index: 0 };
        assert!(cache.get(key, |_| Err(Error::Usage("no".into()))).is_err());
        assert!(cache.get(key, |_| Ok(block(Window::new(0, 0, 2, 2)))).is_ok());
        assert!(cache.get(key, |_| panic!("is in the cache")).is_ok());
    }

    #[test]
    fn the_least_recently_used_chunk_leaves_first() {
        let cache = ChunkCache::new(16);
        let key = |index| ChunkKey { input: 0, index };
        let load = |_| Ok(block(Window::new(0, 0, 2, 2)));
        for column in [0, 1, 0, 2] {
            cache.get(key(column), load).expect("loads");
        }
        assert!(cache.get(key(0), |_| Err(Error::Usage("gone".into()))).is_ok());
        assert!(cache.get(key(1), |_| Err(Error::Usage("gone".into()))).is_err());
        cache.get(key(1), load).expect("loads");
        assert_eq!(cache.decoded(), Decoded { bytes: 32, distinct: 24 });
    }

    #[test]
    fn many_threads_decode_a_chunk_once() {
        let cache = ChunkCache::new(1000);
        let loads = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let load = |_| {
                        loads.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(std::time::Duration::from_millis(20));
                        Ok(block(Window::new(0, 0, 2, 2)))
                    };
                    cache.get(ChunkKey { input: 0, index: 0 }, load).expect("loads");
                });
            }
        });
        assert_eq!(loads.load(Ordering::Relaxed), 1);
    }
}
