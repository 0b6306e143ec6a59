//! Many readers of one path.

use std::path::Path;
use std::sync::Barrier;

use tileloom::block::{Assembly, Block, Sample, to_interleaved};
use tileloom::raster::chunks::{ChunkCache, ChunkKey, ChunkLayout};
use tileloom::raster::source::Selection;
use tileloom::raster::{Description, Source, SourceSpec};
use tileloom::window::{Size, Window};

use super::{PICTURE, Sheet};

const READERS: usize = 8;

const STRIPS: Sheet = Sheet {
    name: "strips.tif",
    options: &["COMPRESS=LZW", "BLOCKYSIZE=5", "INTERLEAVE=BAND"],
    bands: 2,
    ..PICTURE
};

/// All pixels in the order row, column, band, as GDAL alone reads them, band by band.
fn read_serially<T: Sample + gdal::raster::GdalType>(path: &Path) -> Vec<T> {
    let dataset = gdal::Dataset::open(path).expect("opens");
    let count = dataset.raster_count();
    let mut pixels = vec![T::default(); PICTURE.size.area() * count];
    for band in 0..count {
        let values = dataset.rasterband(band + 1).expect("band").read_band_as::<T>().expect("pixels");
        pixels.iter_mut().skip(band).step_by(count).zip(values.data()).for_each(|(to, v)| *to = *v);
    }
    pixels
}

fn part_of<T: Sample>(all: &[T], bands: usize, w: Window) -> Vec<T> {
    let width = PICTURE.size.width;
    (w.y as usize..w.bottom() as usize)
        .flat_map(|y| {
            let begin = (y * width + w.x as usize) * bands;
            all[begin..begin + w.width * bands].iter().copied()
        })
        .collect()
}

/// Windows that no two readers take in the same order: some small, some over many blocks.
fn itinerary(reader: usize) -> impl Iterator<Item = Window> {
    let Size { width, height } = PICTURE.size;
    let mut state = reader as u64 + 1;
    let mut below = move |limit: usize| {
        // Knuth's linear congruential generator.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    (0..40).map(move |_| {
        let (w, h) = (64 + below(237), 64 + below(237));
        Window::new(below(width - w) as i64, below(height - h) as i64, w, h)
    })
}

/// Lets many threads read one raster at once through `read`, each with its own [`Source`], and holds what they
/// see against `truth`.
fn compare<T: Sample>(
    path: &Path,
    truth: &[T],
    read: impl Fn(&Source, &Description, Window) -> tileloom::Result<Block> + Sync,
) {
    let spec = SourceSpec::new(path);
    let description = spec.describe().expect("described");
    let bands = description.bands.len();
    let selection = Selection { bands: (1..=bands).collect(), alpha: None, sample_type: T::TYPE };
    let together = Barrier::new(READERS);
    std::thread::scope(|scope| {
        for reader in 0..READERS {
            let (spec, description, selection) = (&spec, &description, &selection);
            let (together, read) = (&together, &read);
            scope.spawn(move || {
                let source = Source::open(spec, description, selection, None).expect("opens");
                together.wait();
                for window in itinerary(reader) {
                    let block = read(&source, description, window).expect("reads");
                    assert_eq!(block.window, window);
                    let samples = T::unwrap(&block.samples).expect("the type asked for");
                    let same = to_interleaved(samples) == part_of(truth, bands, window);
                    assert!(same, "reader {reader} saw other pixels in {window}");
                }
            });
        }
    });
}

#[test]
fn many_readers_of_one_path_see_what_gdal_reads_alone() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = PICTURE.make::<u8>(dir.path());
    compare(&path, &read_serially::<u8>(&path), |source, _, window| source.read(window));
    let path = STRIPS.make::<u16>(dir.path());
    compare(&path, &read_serially::<u16>(&path), |source, _, window| source.read(window));
}

/// A window put together from chunks that all readers share.
fn assembled(
    cache: &ChunkCache,
    source: &Source,
    description: &Description,
    window: Window,
) -> tileloom::Result<Block> {
    let sample_type = description.types[0].expect("a real type");
    let bands = description.bands.len();
    let layout = ChunkLayout::new(description.size, description.block, bands * sample_type.bytes());
    let mut assembly = Assembly::new(window, sample_type, bands);
    for (column, row) in layout.covering(&window) {
        let load = |_| source.read(layout.window(column, row));
        let chunk = cache.get(ChunkKey { input: 0, index: layout.index(column, row) }, load)?;
        assert!(assembly.add(&chunk));
    }
    Ok(assembly.finish().expect("chunks leave no gap"))
}

#[test]
fn chunks_that_readers_share_hold_what_gdal_reads_alone() {
    let dir = tempfile::tempdir().expect("tempdir");
    let path = PICTURE.make::<u8>(dir.path());
    let strips = STRIPS.make::<u16>(dir.path());
    // Nothing stays, some of it stays, all of it stays.
    for capacity in [0, 600 << 10, 64 << 20] {
        let cache = ChunkCache::new(capacity);
        compare(&path, &read_serially::<u8>(&path), |source, description, window| {
            assembled(&cache, source, description, window)
        });
        let all = PICTURE.size.area() * PICTURE.bands;
        let decoded = cache.decoded().bytes;
        assert_eq!(decoded == all as u64, capacity > all, "{decoded} bytes decoded of {all}");
        let cache = ChunkCache::new(capacity);
        compare(&strips, &read_serially::<u16>(&strips), |source, description, window| {
            assembled(&cache, source, description, window)
        });
    }
}
