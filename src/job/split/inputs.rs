//! A look at the inputs: what is read of each, how it comes onto the grid of the chips, and what its chips are.

use std::fs;
use std::path::{Path, PathBuf};

use super::names::source_name;
use super::{Format, SplitInput, SplitJob};
use crate::block::SampleType;
use crate::error::{Error, Result};
use crate::job::calc::grid::{Grid, Placement};
use crate::raster::chip::{ChipEncoder, ChipSpec};
use crate::raster::chunks::ChunkLayout;
use crate::raster::describe::MaskKind;
use crate::raster::source::Selection;
use crate::raster::template::{BandOrigin, Statistics, TemplateSpec};
use crate::raster::{Description, SourceSpec, nodata_as};
use crate::resampling::Resampling;
use crate::window::Size;

/// Most bands of a chip.
const MOST_BANDS: usize = 4096;

/// An input as it is read and written.
#[derive(Debug)]
pub struct Layer {
    /// What its chips are told from those of others by.
    pub name: String,
    /// Whether it holds classes.
    pub label: bool,
    /// Where it is and how to open it.
    pub(super) spec: SourceSpec,
    /// What it is, with the values that reading it takes for no data.
    pub(super) description: Description,
    /// What is read of it.
    pub(super) selection: Selection,
    /// How it comes onto the grid.
    pub(super) placement: Placement,
    /// How it is cut into chunks.
    pub(super) layout: ChunkLayout,
    /// How it is resampled.
    pub(super) resampling: Resampling,
    /// What stands in each band of a chip where there is no pixel.
    pub(super) fill: Vec<f64>,
    /// Whether opacity is read apart, and becomes the last band.
    pub(super) alpha: bool,
    /// Whether a mask goes with the pixels.
    pub(super) mask: bool,
    /// Makes its chips.
    pub(super) encoder: ChipEncoder,
}

impl Layer {
    /// Bytes of a pixel with its coverage.
    pub(super) fn pixel_bytes(&self) -> usize {
        (self.selection.bands.len() + 1) * self.selection.sample_type.bytes() + 1
    }

    /// GDAL's short name of the format of its chips.
    pub fn driver(&self) -> &str {
        self.encoder.driver()
    }

    /// Creation options of its chips, with those that were chosen.
    pub fn options(&self) -> &[String] {
        self.encoder.options()
    }

    /// Bands of its chips.
    pub fn bands(&self) -> usize {
        self.encoder.bands()
    }

    /// Type of its chips' samples.
    pub fn sample_type(&self) -> SampleType {
        self.selection.sample_type
    }
}

/// What was found out.
pub(super) struct Looked {
    pub grid: Grid,
    pub layers: Vec<Layer>,
    pub guesses: Vec<String>,
    pub notes: Vec<String>,
}

/// Looks at all inputs.
pub(super) fn look(job: &SplitJob) -> Result<Looked> {
    let descriptions = job.inputs.iter().map(|i| i.source.describe()).collect::<Result<Vec<_>>>()?;
    check_not_an_input(job)?;
    let like = job.like.as_ref().map(|spec| spec.describe().map(|d| Grid::of(spec, &d))).transpose()?;
    let first = descriptions.first().ok_or_else(|| Error::Usage("no input given".to_owned()))?;
    let grid = like.unwrap_or_else(|| Grid::of(&job.inputs[0].source, first));
    if grid.georeferencing.method == crate::raster::georef::Method::Geolocation {
        return Err(grid.spec.error(
            "places its pixels by arrays of coordinates, which chips cannot keep: bring it onto a grid first (tileloom warp)",
        ));
    }
    let mut looked = Looked { grid, layers: Vec::new(), guesses: Vec::new(), notes: Vec::new() };
    let names = names(&job.inputs)?;
    for ((input, name), description) in job.inputs.iter().zip(names).zip(descriptions) {
        let layer = looked.layer(job, input, name, description)?;
        looked.layers.push(layer);
    }
    Ok(looked)
}

/// The names of the inputs, no two the same.
fn names(inputs: &[SplitInput]) -> Result<Vec<String>> {
    let alone = |input: &SplitInput| inputs.iter().filter(|i| i.label == input.label).count() == 1;
    let own = |input: &SplitInput| match &input.name {
        Some(name) => name.clone(),
        None if alone(input) => if input.label { "label" } else { "image" }.to_owned(),
        None => source_name(&input.source.path),
    };
    let names: Vec<String> = inputs.iter().map(own).collect();
    for (k, name) in names.iter().enumerate() {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        if name.is_empty() || name.len() > 60 || !name.chars().all(plain) {
            return Err(Error::Usage(format!(
                "'{name}' is no name for an input: letters, digits, - and _ are taken"
            )));
        }
        if names[..k].contains(name) {
            return Err(Error::Usage(format!(
                "two inputs are named '{name}': give them names, as in NAME=FILE"
            )));
        }
    }
    Ok(names)
}

impl Looked {
    fn layer(
        &mut self,
        job: &SplitJob,
        input: &SplitInput,
        name: String,
        description: Description,
    ) -> Result<Layer> {
        let spec = &input.source;
        let placement = self.grid.place(spec, &description, false)?;
        let warped = matches!(placement, Placement::Warped { .. });
        let bands = chosen(job, input, &description).map_err(|e| spec.error(e))?;
        if bands.len() > MOST_BANDS {
            let count = bands.len();
            return Err(
                spec.error(format!("has {count} bands, and {MOST_BANDS} are the most: choose some by -b"))
            );
        }
        let sample_type = self.sample_type(spec, &description, &bands)?;
        let palette = description.palette.is_some() && bands == [1];
        let resampling = if input.label { Resampling::Nearest } else { job.resampling };
        if warped && palette && !matches!(resampling, Resampling::Nearest | Resampling::Mode) {
            return Err(spec.error(format!(
                "has a colour table, whose numbers cannot be mixed by {resampling}: say -r nearest or -r mode, or give it by --label"
            )));
        }
        if warped {
            self.guesses
                .push(format!("{}: resampled onto the grid by {resampling} (-r)", spec.path.display()));
        }
        let alpha_band = description.alpha_band().filter(|n| bands.contains(n) && bands.len() > 1);
        let mask = description.mask == MaskKind::PerDataset;
        // Opacity is resampled with the colours it belongs to, and follows them.
        let apart = alpha_band.filter(|_| warped);
        let read: Vec<usize> = bands.iter().copied().filter(|n| Some(*n) != apart).collect();
        let origins: Vec<BandOrigin> = read.iter().copied().chain(apart).map(BandOrigin::Source).collect();
        let nodata: Vec<Option<f64>> =
            read.iter().chain(&apart).map(|n| held(description.bands[n - 1].nodata, sample_type)).collect();
        let mut fill = filling(job, &nodata, sample_type)?;
        // What there is nothing of is not opaque.
        let shown = read.iter().chain(&apart).zip(&mut fill);
        shown.filter(|(n, _)| Some(**n) == alpha_band).for_each(|(_, v)| *v = 0.0);
        let place = self.grid.geotransform().map(|g| (g, self.grid.georeferencing.wkt.clone()));
        let template = TemplateSpec {
            source: spec.clone(),
            bands: origins,
            sample_type,
            block: Size::new(16, 16),
            nodata,
            place,
            options: Vec::new(),
            items: Vec::new(),
            statistics: Statistics::None,
        };
        let encoder = self.encoder(job, input, (&name, template), &description, mask, palette)?;
        let pixel = (read.len() + 1) * sample_type.bytes() + 1;
        let mut description = description;
        if mask {
            // What a mask hides is hidden, whatever its value.
            description.bands.iter_mut().for_each(|band| band.nodata = None);
            description.further_nodata.clear();
        }
        Ok(Layer {
            name,
            label: input.label,
            spec: spec.clone(),
            selection: Selection { bands: read, alpha: alpha_band, sample_type },
            placement,
            layout: ChunkLayout::new(description.size, description.block, pixel),
            resampling,
            fill,
            alpha: apart.is_some(),
            mask,
            encoder,
            description,
        })
    }

    /// The one type of all bands.
    fn sample_type(
        &mut self,
        spec: &SourceSpec,
        description: &Description,
        bands: &[usize],
    ) -> Result<SampleType> {
        let mut all =
            bands.iter().map(|n| (n, description.types[n - 1], &description.bands[n - 1].sample_type));
        let Some((_, Some(first), name)) = all.clone().next() else {
            let name = all.next().map_or_else(String::new, |(_, _, name)| name.clone());
            return Err(spec.error(format!("holds samples of type {name}, which chips cannot hold here")));
        };
        if let Some((number, _, other)) = all.find(|(_, _, other)| *other != name) {
            return Err(spec.error(format!(
                "holds {name} in one band and {other} in band {number}: chips have one type, choose bands by -b"
            )));
        }
        if matches!(name.as_str(), "int64" | "uint64") {
            self.notes.push(format!("{}: {name} becomes float64, exact up to 2⁵³", spec.path.display()));
        }
        Ok(first)
    }

    /// What makes the chips of an input.
    fn encoder(
        &mut self,
        job: &SplitJob,
        input: &SplitInput,
        (name, template): (&str, TemplateSpec),
        description: &Description,
        mask: bool,
        palette: bool,
    ) -> Result<ChipEncoder> {
        let make = |format: &Format| {
            let mut template = template.clone();
            template.options.clone_from(&format.creation_options);
            let given = |key: &str| template.options.iter().any(|o| o.to_ascii_uppercase().starts_with(key));
            let short = description.bits < template.sample_type.bytes() as u32 * 8;
            if format.driver.eq_ignore_ascii_case("GTiff")
                && short
                && !given("NBITS=")
                && !given("COMPRESS=JPEG")
            {
                template.options.push(format!("NBITS={}", description.bits));
            }
            ChipEncoder::new(ChipSpec { template, driver: format.driver.clone(), mask, palette })
        };
        if let (true, Some(format)) = (input.label, &job.label_format) {
            return make(format);
        }
        let encoder = make(&job.format);
        if !input.label || encoder.as_ref().is_ok_and(ChipEncoder::is_lossless) {
            return encoder;
        }
        let small = matches!(template.sample_type, SampleType::U8 | SampleType::U16);
        let driver = if small { "PNG" } else { "GTiff" };
        self.guesses.push(format!(
            "{name}: labels keep their values in {driver}, as {} would not (--label-format {driver})",
            job.format.driver
        ));
        make(&Format { driver: driver.to_owned(), creation_options: Vec::new() })
    }
}

/// The bands that are taken of an input, in their order.
fn chosen(
    job: &SplitJob,
    input: &SplitInput,
    description: &Description,
) -> std::result::Result<Vec<usize>, String> {
    let count = description.bands.len();
    if input.label || job.bands.is_empty() {
        return Ok((1..=count).collect());
    }
    match job.bands.iter().find(|n| !(1..=count).contains(*n)) {
        Some(number) => Err(format!("has no band {number} (-b): it has {count}")),
        None => Ok(job.bands.clone()),
    }
}

/// What stands where there is no pixel.
fn filling(job: &SplitJob, nodata: &[Option<f64>], sample_type: SampleType) -> Result<Vec<f64>> {
    let Some(value) = job.pad_value else { return Ok(nodata.iter().map(|n| n.unwrap_or(0.0)).collect()) };
    let held = held(Some(value), sample_type)
        .ok_or_else(|| Error::Usage(format!("--pad-value {value}: {} cannot hold it", sample_type.name())))?;
    Ok(vec![held; nodata.len()])
}

/// A value as samples of a type hold it; `None` when they cannot.
fn held(value: Option<f64>, sample_type: SampleType) -> Option<f64> {
    for_sample_type!(sample_type, T => nodata_as::<T>(value?).map(crate::block::Sample::to_f64))
}

/// Refuses to write over what is read.
fn check_not_an_input(job: &SplitJob) -> Result<()> {
    let resolved = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let target = resolved(&job.target.path);
    for spec in job.inputs.iter().map(|i| &i.source).chain(&job.like) {
        let files: Vec<PathBuf> = spec.files()?.into_iter().chain([spec.path.clone()]).collect();
        if files.iter().any(|file| resolved(file).starts_with(&target)) {
            let whose = if target.is_dir() { "in it " } else { "" };
            let reason = format!("{} {whose}is read: give the chips another folder", spec.path.display());
            return Err(Error::output(&job.target.path, reason));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(path: &str, name: Option<&str>, label: bool) -> SplitInput {
        SplitInput { name: name.map(str::to_owned), label, ..SplitInput::new(SourceSpec::new(path)) }
    }

    #[test]
    fn inputs_are_named_for_what_they_are() {
        let found = |inputs: &[SplitInput]| names(inputs).map_err(|e| e.to_string());
        let one = [input("s2.tif", None, false), input("lc.tif", None, true)];
        assert_eq!(found(&one), Ok(vec!["image".to_owned(), "label".to_owned()]));
        let two =
            [input("a.tif", None, false), input("b.c.tif", None, false), input("lc.tif", Some("y"), true)];
        assert_eq!(found(&two), Ok(vec!["a".to_owned(), "b_c".to_owned(), "y".to_owned()]));
        for (inputs, word) in [
            ([input("x/a.tif", None, false), input("y/a.tif", None, false)], "two inputs"),
            ([input("a.tif", Some("../b"), false), input("b.tif", None, false)], "no name"),
        ] {
            let error = found(&inputs).expect_err(word);
            assert!(error.contains(word), "{error}");
        }
    }
}
