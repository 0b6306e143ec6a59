//! What samples mean as an 8-bit picture.

use std::sync::Arc;

use super::picture::Picture;
use super::terrain::Terrain;
use crate::block::SampleType;
use crate::colormap::Colormap;
use crate::encode::{Colour, Rgba};
use crate::raster::Description;
use crate::raster::describe::Interpretation;
use crate::raster::source::Selection;

/// How samples become an 8-bit picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Look {
    /// 8-bit grey as it is.
    Gray,
    /// 8-bit red, green and blue as they are.
    Rgb,
    /// 8-bit indices into a colour table.
    Palette(Vec<Rgba>),
    /// Indices of a wider type into a colour table, shown in its colours.
    WidePalette(Vec<Rgba>),
    /// Values spread over 0 to 255.
    Stretch {
        /// Of each band (1 grey, 3 colour) the value shown black and the one shown white; not-a-number until they are found.
        limits: Vec<[f64; 2]>,
    },
    /// Values of one band in colours.
    Colours {
        /// The colours.
        map: Arc<Colormap>,
        /// Least and greatest value shown, for colours that are relative to them; not-a-number until they are found.
        limits: [f64; 2],
    },
    /// Heights in metres, encoded in red, green and blue; opaque.
    Terrain {
        /// How they are encoded.
        terrain: Terrain,
        /// Side of a tile in pixels, which rounding may go by.
        tile_size: usize,
    },
    /// No picture: the values as they are.
    Values {
        /// How many bands.
        bands: usize,
        /// Their type.
        sample_type: SampleType,
        /// Whether the values are names of classes.
        named: bool,
    },
}

impl Look {
    /// Bands of the picture: 1 or 3.
    pub fn picture_bands(&self) -> usize {
        match self {
            Self::Gray | Self::Palette(_) => 1,
            Self::Rgb | Self::WidePalette(_) | Self::Colours { .. } | Self::Terrain { .. } => 3,
            Self::Stretch { limits } => limits.len(),
            Self::Values { bands, .. } => *bands,
        }
    }

    /// Whether samples are names, not quantities, so that nothing may be computed from them.
    pub fn is_categorical(&self) -> bool {
        match self {
            Self::Palette(_) | Self::WidePalette(_) => true,
            Self::Colours { map, .. } => map.is_categorical(),
            Self::Values { named, .. } => *named,
            _ => false,
        }
    }

    /// Whether limits are still to be found.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Stretch { limits } => limits.iter().flatten().any(|v| v.is_nan()),
            Self::Colours { map, limits } => map.is_relative() && limits.iter().any(|v| v.is_nan()),
            _ => false,
        }
    }

    /// How many bands have limits.
    pub fn limits_count(&self) -> usize {
        match self {
            Self::Stretch { limits } => limits.len(),
            Self::Colours { .. } => 1,
            _ => 0,
        }
    }

    /// The limits of each band, where there are any.
    pub fn limits_mut(&mut self) -> &mut [[f64; 2]] {
        match self {
            Self::Stretch { limits } => limits,
            Self::Colours { limits, .. } => std::slice::from_mut(limits),
            _ => &mut [],
        }
    }

    /// Whether samples are a picture as they are.
    pub fn is_identity(&self) -> bool {
        matches!(self, Self::Gray | Self::Rgb | Self::Palette(_) | Self::Values { .. })
    }

    /// Whether pixels without data have a colour of their own, so that no tile needs alpha.
    pub fn is_opaque(&self) -> bool {
        matches!(self, Self::Terrain { .. })
    }

    /// What the samples mean to an encoder, once they are rendered.
    pub fn colour(&self) -> Colour<'_> {
        match self {
            Self::Palette(table) => Colour::Palette(table),
            _ if self.picture_bands() == 3 => Colour::Rgb,
            _ => Colour::Gray,
        }
    }
}

/// Which bands make the picture and what they mean, as far as the description and the user tell; limits of values may be
/// still to be found. A guess is told in words.
///
/// # Errors
/// Why no picture can be made of the raster.
pub fn choose(
    description: &Description,
    picture: &Picture,
) -> Result<(Selection, Look, Option<String>), String> {
    let bands = &description.bands;
    let (named, opacity) = picture.select(description)?;
    let (chosen, guess) = if named.is_empty() { shown(description) } else { (named, None) };
    if picture.colormap.is_some() && chosen.len() > 1 {
        return Err(format!(
            "--colormap shows the values of one band, not the colours of {}; name the band (-b 1)",
            chosen.len()
        ));
    }
    let all: Vec<usize> = chosen.iter().copied().chain(opacity).collect();
    if let Some(n) = all.iter().find(|n| bands[**n - 1].sample_type.starts_with("complex")) {
        return Err(format!(
            "band {n} is of type {}; complex samples have no picture: convert them first, for instance with gdal_calc \
             or a VRT pixel function (mod, phase)",
            bands[n - 1].sample_type
        ));
    }
    let alpha = opacity.or(description.alpha_band().filter(|n| !chosen.contains(n)));
    let sample_type = common_type(description, &chosen)?;
    let whole = if sample_type == SampleType::U8 {
        [0.0, f64::from((1u32 << description.bits.min(8)) - 1)]
    } else {
        [f64::NAN; 2]
    };
    let look = match (&picture.colormap, &description.palette, sample_type) {
        (Some(map), ..) => Look::Colours { map: Arc::clone(map), limits: whole },
        (_, Some(table), SampleType::U8) if chosen == [1] => Look::Palette(table.clone()),
        (_, Some(table), _) if chosen == [1] => Look::WidePalette(table.clone()),
        (_, _, SampleType::U8) if description.bits >= 8 && chosen.len() == 3 => Look::Rgb,
        (_, _, SampleType::U8) if description.bits >= 8 => Look::Gray,
        _ => Look::Stretch { limits: vec![whole; chosen.len()] },
    };
    Ok((Selection { bands: chosen, alpha, sample_type }, look, guess))
}

/// The bands a raster is best shown by, when nobody says: colours, else the first; and what was guessed.
fn shown(description: &Description) -> (Vec<usize>, Option<String>) {
    let bands = &description.bands;
    let find = |i: Interpretation| bands.iter().position(|b| b.interpretation == i).map(|k| k + 1);
    let alpha = description.alpha_band();
    if let [Some(r), Some(g), Some(b)] =
        [Interpretation::Red, Interpretation::Green, Interpretation::Blue].map(find)
    {
        return (vec![r, g, b], None);
    }
    if bands[0].interpretation == Interpretation::Palette && description.palette.is_some() {
        return (vec![1], None);
    }
    if bands.len() >= 3 && whole_numbers(description) && alpha.is_none_or(|a| a > 3) {
        let guess = format!("bands 1, 2 and 3 of {} taken for red, green and blue (-b 1,2,3)", bands.len());
        return (vec![1, 2, 3], Some(guess));
    }
    let first = find(Interpretation::Gray).or((1..=bands.len()).find(|n| Some(*n) != alpha)).unwrap_or(1);
    let others = bands.len() - usize::from(alpha.is_some()) > 1;
    let guess =
        others.then(|| format!("band {first} of {} shown, the others are not (-b {first})", bands.len()));
    (vec![first], guess)
}

fn whole_numbers(description: &Description) -> bool {
    description.bands.iter().take(3).all(|b| b.sample_type.starts_with("uint"))
}

pub(super) fn common_type(description: &Description, chosen: &[usize]) -> Result<SampleType, String> {
    let types: Vec<_> = chosen.iter().map(|n| description.types[n - 1]).collect();
    match types[0] {
        Some(first) if types.iter().all(|t| t == &types[0]) => Ok(first),
        Some(_) => Ok(SampleType::F64),
        None => Err(format!("band {} has a sample type tileloom does not know", chosen[0])),
    }
}
