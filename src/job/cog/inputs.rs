//! A look at the inputs: what they are, and how they fit together.

use super::options::CogOptions;
use super::plan::{Layer, is_picture, origins};
use super::regrid::{self, Level};
use super::{CogJob, Nodata};
use crate::block::SampleType;
use crate::error::Result;
use crate::job::apart::check_not_an_input;
use crate::job::tile::survey;
use crate::job::warp;
use crate::raster::chunks::ChunkLayout;
use crate::raster::describe::MaskKind;
use crate::raster::source::Selection;
use crate::raster::template::BandOrigin;
use crate::raster::{Description, Frame, SourceSpec};
use crate::window::{Size, Window};

/// What was found out.
#[allow(clippy::struct_excessive_bools)] // each tells of another thing
pub(super) struct Looked {
    /// The inputs, later ones over earlier ones.
    pub layers: Vec<Layer>,
    /// Columns and rows of the output.
    pub size: Size,
    /// Type of the samples of all bands.
    pub sample_type: SampleType,
    /// The bands of the output.
    pub origins: Vec<BandOrigin>,
    /// The declared value of each band's pixels without data.
    pub nodata: Vec<Option<f64>>,
    /// Position of the band that holds opacity.
    pub alpha: Option<usize>,
    /// Whether there is a mask.
    pub mask: bool,
    /// Whether a pixel has data in all bands or in none.
    pub joint: bool,
    /// Whether pixels may be without data.
    pub partial: bool,
    /// Whether no input lies at some places.
    pub gaps: bool,
    /// Whether samples are positions in a colour table.
    pub palette: bool,
    /// Bits of a sample, where these are not all.
    pub bits: Option<u32>,
    /// Place of the output on the ground, where that is not the first input's.
    pub place: Option<([f64; 6], Option<String>)>,
    pub notes: Vec<String>,
    /// What was decided in the user's place.
    pub guesses: Vec<String>,
    /// How the inputs come onto another grid.
    pub warp: Option<warp::Plan>,
    /// The level of a tiling scheme that the output is.
    pub level: Option<Level>,
}

/// Looks at all inputs.
pub(super) fn look(job: &CogJob, options: &CogOptions) -> Result<Looked> {
    if let Some(regrid) = &options.regrid {
        return regrid::look(job, options, regrid);
    }
    job.inputs.iter().for_each(SourceSpec::note_files);
    let descriptions = survey::each(&job.inputs, job.readers, SourceSpec::describe)?;
    check_not_an_input(&job.target, &job.inputs)?;
    look_at(job, options, &descriptions)
}

/// Looks at inputs that were described.
pub(super) fn look_at(job: &CogJob, options: &CogOptions, descriptions: &[Description]) -> Result<Looked> {
    let (spec, first) = (&job.inputs[0], &descriptions[0]);
    let mut bands = chosen(job, spec, first)?;
    for (other, description) in job.inputs.iter().zip(descriptions).skip(1) {
        same_bands(spec, first, other, description)?;
    }
    let mut notes = Vec::new();
    let sample_type = common_type(spec, first, &bands)?;
    let alpha_band = first.alpha_band().filter(|n| bands.contains(n));
    let jpeg = is_jpeg(options);
    // JPEG has no opacity, and a mask takes its place.
    let to_mask = alpha_band.is_some() && (job.add_mask || jpeg);
    if to_mask {
        bands.retain(|n| Some(*n) != alpha_band);
        notes.push("opacity becomes a mask: where there is any, pixels have data".to_owned());
    }
    if bands.is_empty() {
        return Err(spec.error("has no band but the one for opacity"));
    }
    let has_mask = descriptions.iter().any(|d| d.mask == MaskKind::PerDataset);
    let declared: Vec<Option<f64>> = bands.iter().map(|n| first.bands[n - 1].nodata).collect();
    let mut nodata = match job.nodata {
        Nodata::Declared => declared,
        Nodata::None => vec![None; bands.len()],
        Nodata::Value(value) => vec![Some(value); bands.len()],
    };
    let float = matches!(sample_type, SampleType::F32 | SampleType::F64);
    let mask = to_mask || has_mask || job.add_mask;
    let single = descriptions.len() == 1;
    let valued = nodata.iter().any(Option::is_some);
    let colours = bands.iter().filter(|n| Some(**n) != alpha_band).count();
    let joint = mask || colours == 1 || is_picture(first, &bands) || !(valued || float);
    let (size, places, place) = grid(job, descriptions)?;
    let gaps = !single && !covers(&places, size);
    let reads = Reads {
        // What a mask hides is hidden whatever its value; and where bands are looked at one by one, the whole pixel says nothing.
        nodata: if single && (has_mask || !joint) { None } else { Some(nodata.clone()) },
        selection: Selection { bands: bands.clone(), alpha: alpha_band, sample_type },
    };
    let layers: Vec<Layer> = job
        .inputs
        .iter()
        .zip(descriptions.iter().cloned())
        .zip(places)
        .map(|((spec, description), place)| reads.layer(spec, description, place))
        .collect();
    // The mask says it all.
    if job.add_mask && job.nodata == Nodata::Declared {
        nodata.fill(None);
    }
    let alpha = alpha_band.and_then(|n| bands.iter().position(|b| *b == n));
    let bits = (first.bits < sample_type.bytes() as u32 * 8).then_some(first.bits);
    Ok(Looked {
        layers,
        size,
        sample_type,
        origins: origins(&bands),
        partial: mask || alpha_band.is_some() || valued || float || gaps,
        nodata,
        alpha,
        mask,
        joint,
        gaps,
        palette: first.palette.is_some() && bands == [1],
        bits,
        place,
        notes,
        guesses: Vec::new(),
        warp: None,
        level: None,
    })
}

/// Whether image or overviews are packed as JPEG, which has no opacity.
pub(super) fn is_jpeg(options: &CogOptions) -> bool {
    options.image.method == "JPEG" || options.overview.method == "JPEG"
}

/// What is read of every input.
struct Reads {
    /// The values of bands for no data; none where these do not matter.
    nodata: Option<Vec<Option<f64>>>,
    selection: Selection,
}

impl Reads {
    fn layer(&self, spec: &SourceSpec, mut description: Description, place: Window) -> Layer {
        for band in &mut description.bands {
            band.nodata = None;
        }
        description.further_nodata.clear();
        if let Some(nodata) = &self.nodata {
            for (number, value) in self.selection.bands.iter().zip(nodata) {
                description.bands[number - 1].nodata = *value;
            }
            // Opacity has no value that means no data, and must not keep others from it.
            if let Some(alpha) = self.selection.alpha {
                description.bands[alpha - 1].nodata = None;
            }
        }
        let pixel = self.selection.bands.len() * self.selection.sample_type.bytes() + 1;
        let layout = ChunkLayout::new(description.size, description.block, pixel);
        Layer { spec: spec.clone(), selection: self.selection.clone(), place, layout, description }
    }
}

/// The bands asked for, or all.
fn chosen(job: &CogJob, spec: &SourceSpec, description: &Description) -> Result<Vec<usize>> {
    let count = description.bands.len();
    if job.bands.is_empty() {
        return Ok((1..=count).collect());
    }
    match job.bands.iter().find(|n| !(1..=count).contains(*n)) {
        Some(n) => Err(spec.error(format!("has no band {n}: it has {count}"))),
        None => Ok(job.bands.clone()),
    }
}

/// A type that holds the samples of all bands.
fn common_type(spec: &SourceSpec, description: &Description, bands: &[usize]) -> Result<SampleType> {
    let mut common = None;
    for number in bands {
        let name = &description.bands[number - 1].sample_type;
        if name.ends_with("int64") {
            return Err(spec.error(format!(
                "band {number} holds 64-bit integers ({name}), which would be rounded; convert them first \
                 (gdal_translate -ot Float64 or -ot Int32)"
            )));
        }
        let Some(own) = description.types[number - 1] else {
            return Err(
                spec.error(format!("band {number} holds samples of type {name}, which are not supported"))
            );
        };
        common = Some(common.map_or(own, |common: SampleType| common.union(own)));
    }
    common.ok_or_else(|| spec.error("has no bands"))
}

/// Refuses an input whose bands are not those of the first.
fn same_bands(
    spec: &SourceSpec,
    first: &Description,
    other: &SourceSpec,
    description: &Description,
) -> Result<()> {
    let kind = |d: &Description| {
        let types: Vec<_> = d.bands.iter().map(|b| b.sample_type.clone()).collect();
        (types, d.alpha_band(), d.palette.clone())
    };
    if kind(first) == kind(description) {
        return Ok(());
    }
    let reason = format!(
        "has other bands, sample types or colours than '{}': the inputs of a mosaic must be of one kind",
        spec.path.display()
    );
    Err(other.error(reason))
}

/// Size of the output, the place of each input in it, and its place on the ground if that is not the first input's.
type Grid = (Size, Vec<Window>, Option<([f64; 6], Option<String>)>);

fn grid(job: &CogJob, descriptions: &[Description]) -> Result<Grid> {
    let first = &descriptions[0];
    if descriptions.len() == 1 {
        return Ok((first.size, vec![first.size.window()], None));
    }
    let frames = job.inputs.iter().zip(descriptions).map(|(spec, d)| {
        let frame = Frame::of(&d.georeferencing, d.size);
        frame.ok_or_else(|| spec.error("has no geotransform that would tell its place in a mosaic"))
    });
    let frames = frames.collect::<Result<Vec<_>>>()?;
    let places = job.inputs.iter().zip(&frames).map(|(spec, frame)| {
        frames[0].place_of(frame).ok_or_else(|| {
            spec.error(format!(
                "its pixels do not lie on the grid of '{}' (CRS, resolution and alignment): bring them onto one (tileloom warp, or --co TARGET_SRS, which does both)",
                job.inputs[0].path.display()
            ))
        })
    });
    let places = places.collect::<Result<Vec<_>>>()?;
    let whole = places.iter().fold(Window::new(0, 0, 0, 0), |all, w| all.union(w));
    let inside = places.iter().map(|w| w.moved(-whole.x, -whole.y)).collect();
    let part = frames[0].part(&whole);
    Ok((whole.size(), inside, Some((part.geotransform, first.georeferencing.wkt.clone()))))
}

/// Whether windows leave no gap.
fn covers(places: &[Window], size: Size) -> bool {
    // Few mosaics overlap without gaps; those that do not overlap are told by their area.
    let area: usize = places.iter().map(Window::area).sum();
    let apart = places.len() <= 512
        && places
            .iter()
            .enumerate()
            .all(|(k, p)| places[k + 1..].iter().all(|q| p.intersection(q).is_empty()));
    places.iter().any(|p| p.size() == size) || (apart && area == size.area())
}
