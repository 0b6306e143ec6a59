//! The lesson this project grew from. A program handed an open dataset to its workers; it seemed to work, said "written
//! successfully", and the file held nothing but nodata. So: handles stay where they were opened, many readers of one
//! path see the right pixels, and what the one writer wrote is read back by another program.

mod readers;
mod writing;

use std::path::{Path, PathBuf};
use std::process::Command;

use gdal::DriverManager;
use gdal::raster::{Buffer, GdalType, RasterCreationOptions};
use gdal::spatial_ref::SpatialRef;
use serde_json::{Value, json};
use tileloom::block::{Block, Sample, SampleType};
use tileloom::pipeline::{Job, Limits, Monitor, Order, run, try_one};
use tileloom::raster::source::Selection;
use tileloom::raster::writer::WrittenRaster;
use tileloom::raster::{DatasetSpec, DatasetWriter, Source, SourceSpec};
use tileloom::sink::{Target, TileSink};
use tileloom::window::{Size, Window};

const UTM: [f64; 6] = [400_000.0, 2.5, 0.0, 5_600_000.0, 0.0, -2.5];
const ROTATED: [f64; 6] = [400_000.25, 2.0, 0.5, 5_600_000.75, 0.5, -2.0];

/// A raster that GDAL makes, and how its copy is to be stored.
struct Sheet {
    name: &'static str,
    size: Size,
    bands: usize,
    options: &'static [&'static str],
    copy_options: &'static [&'static str],
    geotransform: [f64; 6],
    nodata: Option<f64>,
}

/// A picture whose copy has other blocks than itself.
const PICTURE: Sheet = Sheet {
    name: "picture.tif",
    size: Size::new(700, 530),
    bands: 3,
    options: &["TILED=YES", "BLOCKXSIZE=128", "BLOCKYSIZE=128", "COMPRESS=DEFLATE"],
    copy_options: &["TILED=YES", "COMPRESS=DEFLATE", "NUM_THREADS=2"],
    geotransform: UTM,
    nodata: None,
};

impl Sheet {
    /// Makes it in a folder, with values that differ from pixel to pixel.
    fn make<T: Sample + GdalType>(&self, dir: &Path) -> PathBuf {
        let path = dir.join(self.name);
        let driver = DriverManager::get_driver_by_name("GTiff").expect("GTiff");
        let options: RasterCreationOptions = self.options.iter().copied().collect();
        let Size { width, height } = self.size;
        let created =
            driver.create_with_band_type_with_options::<T, _>(&path, width, height, self.bands, &options);
        let mut dataset = created.expect("created");
        dataset.set_geo_transform(&self.geotransform).expect("geotransform");
        dataset.set_spatial_ref(&SpatialRef::from_epsg(32_633).expect("UTM")).expect("CRS");
        for number in 1..=self.bands {
            let mut band = dataset.rasterband(number).expect("band");
            if self.nodata.is_some() {
                band.set_no_data_value(self.nodata).expect("nodata");
            }
            let values = (0..self.size.area()).map(|i| noise::<T>(number * self.size.area() + i)).collect();
            band.write((0, 0), (width, height), &mut Buffer::new((width, height), values)).expect("written");
        }
        dataset.close().expect("closed");
        path
    }
}

/// A value from all over the range of a type; some floats are not numbers.
fn noise<T: Sample>(index: usize) -> T {
    // The finaliser of SplitMix64: neighbours have nothing in common, so no compression makes this smaller.
    let mut mixed = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let random = (mixed >> 32) as u32;
    let float = if random.is_multiple_of(97) { f64::NAN } else { f64::from(random) / 7.0 - 1e8 };
    T::from_f64(match T::TYPE {
        SampleType::U8 => f64::from(random >> 24),
        SampleType::I8 => f64::from(random >> 24) - 128.0,
        SampleType::U16 => f64::from(random >> 16),
        SampleType::I16 => f64::from(random >> 16) - 32_768.0,
        SampleType::U32 => f64::from(random),
        SampleType::I32 => f64::from(random) - f64::from(1u32 << 31),
        SampleType::F32 | SampleType::F64 => float,
    })
}

/// What `gdalinfo` sees of a raster: what matters of its metadata, and a checksum of the pixels of each band.
fn seen_by_gdalinfo(path: &Path) -> Value {
    let output = match Command::new("gdalinfo").args(["-json", "-checksum"]).arg(path).output() {
        Ok(output) => output,
        Err(e) => panic!(
            "gdalinfo cannot be run ({e}). These tests have what tileloom wrote read by another program: \
             install it with `apt-get install gdal-bin`."
        ),
    };
    assert!(output.status.success(), "gdalinfo: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "gdalinfo: {}", String::from_utf8_lossy(&output.stderr));
    let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let bands = all["bands"].as_array().expect("bands");
    let band = |b: &Value| {
        assert!(b["checksum"].is_u64(), "no checksum: {b}");
        let signed = &b["metadata"]["IMAGE_STRUCTURE"]["PIXELTYPE"];
        json!([b["type"], signed, b["noDataValue"], b["checksum"]])
    };
    json!({
        "size": all["size"],
        "geotransform": all["geoTransform"],
        "crs": all["coordinateSystem"]["wkt"],
        "bands": bands.iter().map(band).collect::<Vec<_>>(),
    })
}

/// Windows of one size, row by row, cut off at the edges.
fn windows(raster: Size, window: Size) -> Vec<Window> {
    let rows = (0..raster.height).step_by(window.height);
    let at = |x: usize, y: usize| Window::new(x as i64, y as i64, window.width, window.height);
    rows.flat_map(|y| (0..raster.width).step_by(window.width).map(move |x| at(x, y)))
        .map(|w| w.intersection(&raster.window()))
        .collect()
}

/// How a copy is made.
#[derive(Debug, Clone, Copy)]
struct Way {
    readers: usize,
    threads: usize,
    order: Order,
    window: Size,
}

/// Copies a raster through the pipeline, changing its blocks on the way.
fn copy_with(
    source: &Path,
    target: &Target,
    options: &[&str],
    way: Way,
    process: impl Fn(Block) -> tileloom::Result<Block> + Sync,
) -> tileloom::Result<WrittenRaster> {
    let source = SourceSpec::new(source);
    let description = source.describe()?;
    let sample_type = description.types[0].expect("a real type");
    let bands = description.bands.len();
    let selection = Selection { bands: (1..=bands).collect(), alpha: None, sample_type };
    let spec = DatasetSpec {
        creation_options: options.iter().map(ToString::to_string).collect(),
        geotransform: description.georeferencing.geotransform,
        wkt: description.georeferencing.wkt.clone(),
        nodata: description.bands[0].nodata,
        ..DatasetSpec::new(description.size, bands, sample_type)
    };
    let Way { readers, threads, order, window } = way;
    let limits = Limits { readers, threads, memory: 16 << 20, order };
    let job = Job {
        cost: |w: &Window| 2 * w.area() * (bands * sample_type.bytes() + 1),
        open: || Source::open(&source, &description, &selection, None),
        read: |reader: &mut Source, w: &Window| reader.read(*w),
        process: try_one(process),
        create: || DatasetWriter::create(target, spec.clone()),
    };
    let outcome = run(windows(description.size, window), &limits, &Monitor::new(), job);
    Ok(outcome.map_err(tileloom::Error::from)?.done)
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("readable");
    let mut names: Vec<_> =
        entries.map(|e| e.expect("entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

/// Whether a type can be handed to another thread, found out by the compiler: the inherent constant, where its bound
/// holds, comes before the trait's.
macro_rules! crosses_threads {
    ($type:ty) => {{
        #[allow(dead_code)] // where the inherent constant is taken
        trait Otherwise {
            const CROSSES: bool = false;
        }
        struct Probe<T: ?Sized>(#[allow(dead_code)] std::marker::PhantomData<T>);
        impl<T: ?Sized> Otherwise for Probe<T> {}
        #[allow(dead_code)]
        impl<T: ?Sized + Send> Probe<T> {
            const CROSSES: bool = true;
        }
        <Probe<$type>>::CROSSES
    }};
}

#[test]
fn paths_cross_threads_and_handles_do_not() {
    let ours = [
        crosses_threads!(Source),
        crosses_threads!(&Source),
        crosses_threads!(DatasetWriter),
        crosses_threads!(&DatasetWriter),
        crosses_threads!(tileloom::raster::Locator),
        crosses_threads!(Box<dyn TileSink>),
    ];
    assert_eq!(ours, [false; 6]);
    assert!(crosses_threads!(SourceSpec) && crosses_threads!(DatasetSpec) && crosses_threads!(Target));
    assert!(crosses_threads!(Block));
    assert!(crosses_threads!(gdal::Dataset), "GDAL's own type would let itself be handed over");
}
