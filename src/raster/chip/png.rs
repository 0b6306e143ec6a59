//! PNG chips: the samples as they are, whatever they would look like, and the file beside them in which GDAL tells their place.

use std::borrow::Cow;

use ::png::{BitDepth, ColorType, Compression, Encoder};
use gdal::Metadata;

use super::{ChipFile, ChipSpec};
use crate::block::{Block, Sample, SampleType, interleaved_slice, to_interleaved};
use crate::encode::Rgba;
use crate::encode::png::Png;
use crate::error::{Error, Result};
use crate::window::{Size, Window};

/// Where the place stands in the file beside a chip.
const PLACE: [&str; 2] = ["<GeoTransform>", "</GeoTransform>"];

/// What all chips have in common.
#[derive(Debug, Clone)]
pub(super) struct PngChips {
    palette: Vec<Rgba>,
    /// The file beside.
    beside: Beside,
    world_file: bool,
}

#[derive(Debug, Clone)]
enum Beside {
    /// Nothing.
    Nothing,
    /// The same for all.
    Same(String),
    /// Before and after the place.
    Placed(String, String),
}

impl PngChips {
    /// `None` when the options or the raster ask for what only GDAL can do.
    ///
    /// # Errors
    /// GDAL's reason when it cannot say what is to stand beside chips.
    pub(super) fn new(spec: &ChipSpec) -> Result<Option<Self>, String> {
        let template = &spec.template;
        let bands = template.bands.len();
        let plain = matches!(template.sample_type, SampleType::U8 | SampleType::U16)
            && (1..=4).contains(&bands)
            && template.nodata.iter().all(Option::is_none)
            && !spec.mask;
        let mut world_file = false;
        for option in &template.options {
            match option
                .split_once('=')
                .map(|(k, v)| (k.trim().to_ascii_uppercase(), v.trim().to_ascii_uppercase()))
            {
                Some((key, value)) if key == "WORLDFILE" => {
                    world_file = ["YES", "TRUE", "ON", "1"].contains(&value.as_str());
                }
                _ => return Ok(None),
            }
        }
        if !plain || (spec.palette && (bands != 1 || template.sample_type != SampleType::U8)) {
            return Ok(None);
        }
        let memory = template.in_memory(Size::new(16, 16), false)?;
        if !memory.gcps().is_empty() || memory.metadata_domain("RPC").is_some_and(|items| !items.is_empty()) {
            return Ok(None);
        }
        let palette = match (spec.palette, table(&memory)) {
            (false, _) => Vec::new(),
            // GDAL has another place for opacity of colours.
            (true, Some(table)) if table.iter().all(|c| c[3] == 255) && !table.is_empty() => table,
            (true, _) => return Ok(None),
        };
        drop(memory);
        Ok(beside(spec)?.map(|beside| Self { palette, beside, world_file }))
    }

    /// The files of a chip.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be encoded.
    pub(super) fn encode(&self, spec: &ChipSpec, pixels: &Block) -> Result<Vec<ChipFile>> {
        let size = pixels.window.size();
        let mut bytes = Vec::new();
        match spec.template.sample_type {
            SampleType::U8 => {
                let samples = interleaved::<u8>(pixels)?;
                Png::default().encode_samples(
                    size,
                    spec.template.bands.len(),
                    &samples,
                    &self.palette,
                    &mut bytes,
                )?;
            }
            _ => deep(size, spec.template.bands.len(), &interleaved::<u16>(pixels)?, &mut bytes)?,
        }
        let mut files = vec![ChipFile { extension: ".png".to_owned(), bytes }];
        let place = spec.geotransform(&pixels.window);
        let text = match (&self.beside, place) {
            (Beside::Placed(before, after), Some(g)) => Some(format!("{before}{}{after}", written(&g))),
            (Beside::Placed(before, after), None) => Some(format!("{before}{after}")),
            (Beside::Same(text), _) => Some(text.clone()),
            (Beside::Nothing, _) => None,
        };
        files.extend(
            text.map(|text| ChipFile { extension: ".png.aux.xml".to_owned(), bytes: text.into_bytes() }),
        );
        if let Some(g) = place.filter(|_| self.world_file) {
            files.push(ChipFile { extension: ".wld".to_owned(), bytes: world(&g).into_bytes() });
        }
        Ok(files)
    }
}

fn interleaved<T: Sample>(pixels: &Block) -> Result<Cow<'_, [T]>> {
    let array =
        T::unwrap(&pixels.samples).ok_or_else(|| Error::Internal("a PNG of other samples".to_owned()))?;
    Ok(interleaved_slice(array).map_or_else(|| Cow::Owned(to_interleaved(array)), Cow::Borrowed))
}

/// A PNG of 16 bits.
fn deep(size: Size, bands: usize, samples: &[u16], out: &mut Vec<u8>) -> Result<()> {
    let failed = |e: ::png::EncodingError| Error::Internal(format!("a PNG of 16 bits: {e}"));
    let bytes: Vec<u8> = samples.iter().flat_map(|v| v.to_be_bytes()).collect();
    let mut encoder = Encoder::new(out, size.width as u32, size.height as u32);
    encoder.set_color(match bands {
        1 => ColorType::Grayscale,
        2 => ColorType::GrayscaleAlpha,
        3 => ColorType::Rgb,
        _ => ColorType::Rgba,
    });
    encoder.set_depth(BitDepth::Sixteen);
    encoder.set_compression(Compression::Balanced);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&bytes).map_err(failed)?;
    writer.finish().map_err(failed)
}

/// The colour table of the first band.
fn table(memory: &gdal::Dataset) -> Option<Vec<Rgba>> {
    let band = memory.rasterband(1).ok()?;
    let table = band.color_table()?;
    let clamp = |v: i16| v.clamp(0, 255) as u8;
    let entry = |k| table.entry_as_rgb(k).map(|e| [clamp(e.r), clamp(e.g), clamp(e.b), clamp(e.a)]);
    (0..table.entry_count().min(256)).map(entry).collect()
}

/// What GDAL puts beside a chip; `None` when that of all cannot be told from one.
fn beside(spec: &ChipSpec) -> Result<Option<Beside>, String> {
    use crate::block::Assembly;
    let template = &spec.template;
    let window = Window::new(3, 5, 16, 16);
    let pixels = Assembly::uncovered(window, template.sample_type, template.bands.len()).finish();
    let pixels = pixels.ok_or("a chip without pixels")?;
    let spec = ChipSpec {
        template: super::TemplateSpec { options: Vec::new(), ..template.clone() },
        ..spec.clone()
    };
    let files = super::memory::files(&spec, (super::next_number(), 0), &pixels, None, ("chip", ".png"))?;
    let mut texts = files.into_iter().filter(|f| f.extension != ".png");
    let Some(text) = texts.next() else { return Ok(Some(Beside::Nothing)) };
    if text.extension != ".png.aux.xml" || texts.next().is_some() {
        return Ok(None);
    }
    let Ok(text) = String::from_utf8(text.bytes) else { return Ok(None) };
    let Some(g) = spec.geotransform(&window) else { return Ok(Some(Beside::Same(text))) };
    let [begin, end] = PLACE;
    let parts = text.split_once(begin).and_then(|(before, rest)| {
        let (place, after) = rest.split_once(end)?;
        (place == written(&g)).then(|| Beside::Placed(format!("{before}{begin}"), format!("{end}{after}")))
    });
    Ok(parts)
}

/// A geotransform as GDAL writes it beside a raster.
fn written(g: &[f64; 6]) -> String {
    g.map(|v| format!("{:>24}", scientific(v))).join(",")
}

/// A number as `%.16e` of C writes it.
fn scientific(value: f64) -> String {
    let text = format!("{value:.16e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, number) = exponent.strip_prefix('-').map_or(('+', exponent), |n| ('-', n));
            format!("{digits}e{sign}{number:0>2}")
        }
        None => text,
    }
}

/// A world file as GDAL writes it: the centre of the first pixel.
fn world(g: &[f64; 6]) -> String {
    let x = g[0] + 0.5 * g[1] + 0.5 * g[2];
    let y = g[3] + 0.5 * g[4] + 0.5 * g[5];
    [g[1], g[4], g[2], g[5], x, y].map(|v| format!("{v:.10}\n")).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_c_writes_them() {
        assert_eq!(scientific(500_000.0), "5.0000000000000000e+05");
        assert_eq!(scientific(-0.000_123), "-1.2300000000000001e-04");
        assert_eq!(scientific(0.0), "0.0000000000000000e+00");
        assert_eq!(world(&[500.0, 10.0, 0.0, 90.0, 0.0, -10.0]).lines().last(), Some("85.0000000000"));
    }
}
