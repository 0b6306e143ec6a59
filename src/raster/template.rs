//! What a `GeoTIFF` says beside its pixels, as GDAL says it.
//!
//! A file without pixels is made in memory, from what the source says of itself and what is to be changed of that; the entries of its
//! directory are the answer. So CRS, ground control points, nodata values, colour tables, names, scales and metadata are told in the way
//! in which GDAL's own `GeoTIFF`s tell them.

use std::sync::atomic::{AtomicU64, Ordering};

use gdal::cpl::CslStringList;
use gdal::raster::ColorInterpretation;
use gdal::version::VersionInfo;
use gdal::{Dataset, DriverManager, Gcp, Metadata};

use super::ifd::{Directory, Entry, tag};
use super::{SourceSpec, raw, reason};
use crate::block::SampleType;
use crate::window::Size;

/// Where a band comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BandOrigin {
    /// A band of the source, by its 1-based number.
    Source(usize),
    /// Opacity that the source does not have.
    Opacity,
}

/// What a file is to say. Plain data, which travels to the thread that makes it.
#[derive(Debug, Clone)]
pub struct TemplateSpec {
    /// The raster it is made from.
    pub source: SourceSpec,
    /// Its bands.
    pub bands: Vec<BandOrigin>,
    /// Type of the samples of all bands.
    pub sample_type: SampleType,
    /// Columns and rows of a block.
    pub block: Size,
    /// The value of each band's pixels without data.
    pub nodata: Vec<Option<f64>>,
    /// Geotransform and CRS (as well-known text), instead of what the source says of its place.
    pub place: Option<([f64; 6], Option<String>)>,
    /// Creation options of GDAL's `GTiff` driver, `KEY=VALUE`, without those of blocks.
    pub options: Vec<String>,
    /// Further metadata: domain, name and value.
    pub items: Vec<(String, String, String)>,
    /// Statistics: those of the source, none, or others.
    pub statistics: Statistics,
}

/// The statistics that a file tells of its bands.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Statistics {
    /// Those that the source tells.
    #[default]
    Kept,
    /// None.
    None,
    /// These metadata items of each band.
    Computed(Vec<Vec<(String, String)>>),
}

/// Domains that say how a file is stored or what else there is, and that are not carried over.
const STRUCTURE: [&str; 7] = [
    "IMAGE_STRUCTURE",
    "DERIVED_SUBDATASETS",
    "SUBDATASETS",
    "LOCATION_INFO",
    "TIFF",
    "xml:VRT",
    "TILING_SCHEME",
];

/// Domains that say where pixels lie.
const PLACES: [&str; 2] = ["RPC", "GEOLOCATION"];

/// The metadata of a domain.
type Items<'a> = Box<dyn Fn(&str) -> Option<Vec<String>> + 'a>;

/// Each file in memory has a name of its own.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A name for a file in memory that no other has.
pub(super) fn name_in_memory() -> String {
    format!("/vsimem/tileloom-block-{}-{}.tif", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// Whether GDAL itself knows signed bytes.
pub(super) fn native_int8() -> bool {
    VersionInfo::version_num().parse::<u32>().is_ok_and(|v| v >= 3_070_000)
}

/// What GDAL says of the structure of a file.
///
/// # Errors
/// GDAL's reason when it cannot be opened.
pub fn structure(spec: &SourceSpec, key: &str) -> Result<Option<String>, String> {
    Ok(spec.open_dataset(None)?.metadata_item(key, "IMAGE_STRUCTURE"))
}

impl TemplateSpec {
    /// The directory of such a file, of one block, and whether it leaves something unsaid that has no place in a TIFF. For a smaller
    /// version of the raster it says what is true of that.
    ///
    /// # Errors
    /// GDAL's reason, with the path of the source where that cannot be read.
    pub fn directory(&self, overview: bool) -> Result<(Directory, bool), String> {
        let made = || {
            // GDAL takes from the whole file what a part of it would be; no more than the tags are wanted.
            let memory = self.in_memory(Size::new(16, 16), overview)?;
            let (bytes, beside) = self.written(&memory)?;
            let directory = Directory::first(&bytes).ok_or_else(|| "GDAL has made no TIFF".to_owned())?;
            Ok((directory, beside))
        };
        let (made, _heard): (Result<_, String>, _) = raw::listen(made);
        let (mut directory, beside) = made?;
        for tag in tag::PLACES {
            directory.remove(tag);
        }
        if !overview {
            self.add_items(&mut directory);
        }
        Ok((directory, beside))
    }

    /// A dataset in memory, of a size, that says all that is to be said.
    ///
    /// # Errors
    /// GDAL's reason, with the path of the source where that cannot be read.
    pub(super) fn in_memory(&self, size: Size, overview: bool) -> Result<Dataset, String> {
        let gdal = |e: gdal::errors::GdalError| reason(&e);
        let source = self.source.open_dataset(None)?;
        let driver = DriverManager::get_driver_by_name("MEM").map_err(gdal)?;
        let native = native_int8();
        let none = CslStringList::new();
        let kind = (self.sample_type, native);
        let mut memory = raw::create(&driver, std::path::Path::new(""), size, self.bands.len(), kind, &none)?;
        if !overview {
            self.copy_place(&source, &mut memory)?;
            self.copy_domains(&source, &memory, None, None)?;
        }
        for (number, origin) in (1..).zip(&self.bands) {
            let mut band = memory.rasterband(number).map_err(gdal)?;
            if self.sample_type == SampleType::I8 && !native {
                raw::set_metadata(
                    &memory,
                    Some(number),
                    "IMAGE_STRUCTURE",
                    &["PIXELTYPE=SIGNEDBYTE".to_owned()],
                )?;
            }
            match *origin {
                BandOrigin::Opacity => {
                    band.set_color_interpretation(ColorInterpretation::AlphaBand).map_err(gdal)?;
                }
                BandOrigin::Source(from) => {
                    let own = source.rasterband(from).map_err(gdal)?;
                    raw::copy_look(&own, &band);
                    if !overview {
                        if let Some(name) = own.description().ok().filter(|name| !name.is_empty()) {
                            band.set_description(&name).map_err(gdal)?;
                        }
                        if let Some(scale) = own.scale().filter(|v| *v != 1.0) {
                            band.set_scale(scale).map_err(gdal)?;
                        }
                        if let Some(offset) = own.offset().filter(|v| *v != 0.0) {
                            band.set_offset(offset).map_err(gdal)?;
                        }
                        self.copy_domains(&source, &memory, Some(from), Some(number))?;
                    }
                }
            }
            if let Some(Some(value)) = self.nodata.get(number - 1) {
                band.set_no_data_value(Some(*value)).map_err(gdal)?;
            }
        }
        Ok(memory)
    }

    fn copy_place(&self, source: &Dataset, memory: &mut Dataset) -> Result<(), String> {
        let gdal = |e: gdal::errors::GdalError| reason(&e);
        if let Some((geotransform, wkt)) = &self.place {
            memory.set_geo_transform(geotransform).map_err(gdal)?;
            return wkt.as_ref().map_or(Ok(()), |wkt| memory.set_projection(wkt).map_err(gdal));
        }
        if let Ok(geotransform) = source.geo_transform() {
            memory.set_geo_transform(&geotransform).map_err(gdal)?;
        }
        if let Ok(srs) = source.spatial_ref() {
            memory.set_spatial_ref(&srs).map_err(gdal)?;
        }
        let gcps: Vec<Gcp> = source.gcps().iter().map(Gcp::from).collect();
        match source.gcp_spatial_ref() {
            Some(srs) if !gcps.is_empty() => memory.set_gcps(gcps, &srs).map_err(gdal),
            _ => Ok(()),
        }
    }

    /// Copies the metadata of a dataset, or of one of its bands.
    fn copy_domains(
        &self,
        source: &Dataset,
        memory: &Dataset,
        from: Option<usize>,
        to: Option<usize>,
    ) -> Result<(), String> {
        let of_band = from.map(|n| source.rasterband(n).map_err(|e| reason(&e))).transpose()?;
        let (mut domains, items): (_, Items<'_>) = match &of_band {
            Some(band) => (band.metadata_domains(), Box::new(|domain| band.metadata_domain(domain))),
            None => (source.metadata_domains(), Box::new(|domain| source.metadata_domain(domain))),
        };
        if !domains.iter().any(String::is_empty) {
            domains.push(String::new());
        }
        let left_out =
            |domain: &str| STRUCTURE.contains(&domain) || (self.place.is_some() && PLACES.contains(&domain));
        for domain in domains.iter().filter(|domain| !left_out(domain)) {
            let mut items = items(domain).unwrap_or_default();
            if from.is_some() && domain.is_empty() {
                if self.statistics != Statistics::Kept {
                    items.retain(|item| !item.starts_with("STATISTICS_"));
                }
                if let (Statistics::Computed(all), Some(number)) = (&self.statistics, to) {
                    let own = all.get(number - 1).into_iter().flatten();
                    items.extend(own.map(|(key, value)| format!("{key}={value}")));
                }
            }
            if !items.is_empty() {
                raw::set_metadata(memory, to, domain, &items)?;
            }
        }
        Ok(())
    }

    /// The bytes of the file that GDAL makes of a dataset, and whether it puts another one beside it.
    fn written(&self, memory: &Dataset) -> Result<(Vec<u8>, bool), String> {
        let driver = DriverManager::get_driver_by_name("GTiff").map_err(|e| reason(&e))?;
        let mut options = CslStringList::new();
        let block = [
            "TILED=YES".to_owned(),
            "SPARSE_OK=TRUE".to_owned(),
            format!("BLOCKXSIZE={}", self.block.width),
            format!("BLOCKYSIZE={}", self.block.height),
        ];
        for option in self.options.iter().chain(&block) {
            options.add_string(option).map_err(|e| reason(&e))?;
        }
        let name = name_in_memory();
        let made = memory.create_copy(&driver, &name, &options).map_err(|e| reason(&e));
        let closed = made.and_then(|made| made.close().map_err(|e| reason(&e)));
        let bytes = gdal::vsi::get_vsi_mem_file_bytes_owned(&name).map_err(|e| reason(&e));
        // What has no place in a TIFF, GDAL puts beside it.
        let beside = gdal::vsi::unlink_mem_file(format!("{name}.aux.xml")).is_ok();
        closed.and(bytes).map(|bytes| (bytes, beside))
    }

    /// Adds metadata that GDAL does not take from a dataset.
    fn add_items(&self, directory: &mut Directory) {
        const END: &str = "</GDALMetadata>";
        if self.items.is_empty() {
            return;
        }
        let own = directory.get(tag::GDAL_METADATA).map(|e| String::from_utf8_lossy(&e.bytes).into_owned());
        let own = own.unwrap_or_else(|| format!("<GDALMetadata>\n{END}\n"));
        let Some(end) = own.rfind(END) else { return };
        let mut text = own[..end].to_owned();
        for (domain, name, value) in &self.items {
            let [domain, name, value] = [domain, name, value].map(|t| escaped(t));
            let domain = if domain.is_empty() { String::new() } else { format!(" domain=\"{domain}\"") };
            text.extend(["  <Item name=\"", &name, "\"", &domain, ">", &value, "</Item>\n"]);
        }
        text.push_str(END);
        text.push('\n');
        directory.set(Entry::text(tag::GDAL_METADATA, &text));
    }
}

/// Text as XML has it.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
