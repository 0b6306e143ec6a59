//! Options of pictures: which bands are shown, and how their values become shades or colours.

use std::str::FromStr;
use std::sync::Arc;

use super::TileJob;
use crate::colormap::Colormap;
use crate::encode::EncoderOptions;
use crate::error::{Error, Result};
use crate::raster::Description;
use crate::raster::describe::Interpretation;

/// How values become a picture. The default shows what the raster says of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Picture {
    /// The bands shown: one (grey, or colours of `colormap`), three (red, green, blue), and perhaps opacity as one more.
    /// Empty: as the raster says.
    pub bands: Vec<BandChoice>,
    /// Which values are black and white; default a stretch for samples of other than 8 bits.
    pub scale: Option<Scale>,
    /// Colours for the values of one band.
    pub colormap: Option<Arc<Colormap>>,
}

/// A band as users name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BandChoice {
    /// By its number, from 1.
    Number(usize),
    /// By its description, or the colour it shows.
    Name(String),
}

impl FromStr for BandChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Err("a band has a number or a name".to_owned()),
            text => Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Number)),
        }
    }
}

/// Which values are shown black and white.
#[derive(Debug, Clone, PartialEq)]
pub enum Scale {
    /// Least and greatest value shown, for all bands or for each.
    Limits(Vec<[f64; 2]>),
    /// Percentiles of a sample of the values of each band.
    Percentiles(f64, f64),
}

impl FromStr for Scale {
    type Err = String;

    /// `MIN,MAX`, `MIN,MAX,MIN,MAX,…` or `percentile:LOW,HIGH`.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = |text: &str| {
            let parts = text.split([',', ' ']).filter(|p| !p.is_empty());
            parts
                .map(|p| p.parse::<f64>().map_err(|_| format!("'{p}' is not a number")))
                .collect::<Result<Vec<_>, _>>()
        };
        let percentiles =
            ["percentile:", "percentiles:"].iter().find_map(|word| text.trim().strip_prefix(word));
        let scale = match percentiles {
            Some(rest) => match numbers(rest)?[..] {
                [low, high] => Self::Percentiles(low, high),
                _ => return Err("give percentile:LOW,HIGH, for instance percentile:2,98".to_owned()),
            },
            None => match numbers(text)?[..].as_chunks::<2>() {
                ([], _) | (_, [_]) => {
                    return Err("give MIN,MAX, or one such pair per band, or percentile:LOW,HIGH".to_owned());
                }
                (pairs, _) => Self::Limits(pairs.to_vec()),
            },
        };
        scale.check().map(|()| scale)
    }
}

impl Scale {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Limits(pairs) => {
                let wrong =
                    pairs.iter().find(|[low, high]| !(low.is_finite() && high.is_finite() && low < high));
                wrong.map_or(Ok(()), |[low, high]| {
                    Err(format!("{low},{high}: the first value must be below the second"))
                })
            }
            Self::Percentiles(low, high) if 0.0 <= *low && low < high && *high <= 100.0 => Ok(()),
            Self::Percentiles(low, high) => {
                Err(format!("percentile:{low},{high}: give two percentages from 0 to 100, the lower first"))
            }
        }
    }

    /// The limits of so many bands, as far as they are known.
    ///
    /// # Errors
    /// When there are limits for another number of bands.
    pub(super) fn limits(&self, bands: usize) -> Result<Vec<[f64; 2]>> {
        match self {
            Self::Limits(pairs) if pairs.len() == 1 => Ok(vec![pairs[0]; bands]),
            Self::Limits(pairs) if pairs.len() == bands => Ok(pairs.clone()),
            Self::Limits(pairs) => Err(Error::Usage(format!(
                "--scale gives {} ranges and the picture has {bands} band{}; give one range, or one per band",
                pairs.len(),
                if bands == 1 { "" } else { "s" }
            ))),
            Self::Percentiles(..) => Ok(vec![[f64::NAN; 2]; bands]),
        }
    }
}

impl Picture {
    /// Whether nothing was asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses options that make no sense, before any file is touched.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub(super) fn validate(&self, job: &TileJob) -> Result<()> {
        let usage = |text: String| Err(Error::Usage(text));
        if let Some(Err(reason)) = self.scale.as_ref().map(Scale::check) {
            return usage(format!("--scale {reason}"));
        }
        if self.bands.len() > 4 && job.tiles != EncoderOptions::Tiff {
            return usage(format!(
                "--bands names {} bands: a picture has one or three, and perhaps opacity as one more",
                self.bands.len()
            ));
        }
        if self.bands.contains(&BandChoice::Number(0)) {
            return usage("--bands 0: bands are numbered from 1".to_owned());
        }
        let Some(colormap) = &self.colormap else { return Ok(()) };
        if self.bands.len() > 2 {
            return usage(format!("--colormap shows one band, and --bands names {}", self.bands.len()));
        }
        if self.scale.is_some() && !colormap.is_relative() {
            return usage(
                "the colours of --colormap stand at values of their own: --scale cannot be used with it"
                    .to_owned(),
            );
        }
        if let (Some(Scale::Limits(pairs)), true) = (&self.scale, colormap.is_relative())
            && pairs.len() != 1
        {
            return usage(format!("--colormap shows one band, and --scale gives {} ranges", pairs.len()));
        }
        if job.categorical && matches!(job.tiles, EncoderOptions::Jpeg(_)) {
            return usage(
                "--categorical in jpg tiles would mix the colours of classes: use png or webp".to_owned(),
            );
        }
        Ok(())
    }

    /// The 1-based numbers of the bands that were asked for.
    ///
    /// # Errors
    /// Which band there is not, and what there is.
    pub(super) fn numbers(&self, description: &Description) -> Result<Vec<usize>, String> {
        self.bands.iter().map(|choice| find(choice, description)).collect()
    }

    /// The bands of a raster that were asked for, and the one for opacity if that was named.
    ///
    /// # Errors
    /// Which band there is not, and what there is.
    pub(super) fn select(&self, description: &Description) -> Result<(Vec<usize>, Option<usize>), String> {
        let numbers = self.numbers(description)?;
        match numbers[..] {
            [grey, alpha] => Ok((vec![grey], Some(alpha))),
            [red, green, blue, alpha] => Ok((vec![red, green, blue], Some(alpha))),
            _ => Ok((numbers, None)),
        }
    }
}

/// The 1-based number of a band.
fn find(choice: &BandChoice, description: &Description) -> Result<usize, String> {
    let bands = &description.bands;
    match choice {
        BandChoice::Number(n) if (1..=bands.len()).contains(n) => Ok(*n),
        BandChoice::Number(n) => {
            Err(format!("--bands {n}: it has {} band{}", bands.len(), plural(bands.len())))
        }
        BandChoice::Name(name) => {
            let called = |band: &crate::raster::describe::BandDescription| {
                band.description.as_ref().is_some_and(|d| d.trim().eq_ignore_ascii_case(name))
            };
            let colour =
                |i: Interpretation| i.name().eq_ignore_ascii_case(name) && i != Interpretation::Undefined;
            let mut found = (1..=bands.len()).filter(|n| called(&bands[n - 1]));
            match (found.next(), found.next()) {
                (Some(n), None) => Ok(n),
                (Some(_), Some(_)) => {
                    Err(format!("--bands {name}: several bands have this name; give a number"))
                }
                (None, _) => {
                    bands.iter().position(|b| colour(b.interpretation)).map(|k| k + 1).ok_or_else(|| {
                        let names: Vec<String> = (1..).zip(bands).map(|(n, b)| label(n, b)).collect();
                        format!("--bands {name}: no band has this name; there are {}", names.join(", "))
                    })
                }
            }
        }
    }
}

fn label(number: usize, band: &crate::raster::describe::BandDescription) -> String {
    match (&band.description, band.interpretation) {
        (Some(name), _) => format!("{number} '{name}'"),
        (None, Interpretation::Undefined) => number.to_string(),
        (None, colour) => format!("{number} ({})", colour.name()),
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_come_as_one_range_as_many_or_as_percentiles() {
        assert_eq!("0,255".parse(), Ok(Scale::Limits(vec![[0.0, 255.0]])));
        assert_eq!("-1,1, 0,10".parse(), Ok(Scale::Limits(vec![[-1.0, 1.0], [0.0, 10.0]])));
        assert_eq!("percentile:2,98".parse(), Ok(Scale::Percentiles(2.0, 98.0)));
        for bad in [
            "",
            "1",
            "1,2,3",
            "5,5",
            "9,1",
            "a,b",
            "nan,1",
            "percentile:",
            "percentile:2",
            "percentile:98,2",
            "percentile:0,101",
        ] {
            assert!(bad.parse::<Scale>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_range_serves_all_bands_or_each_has_its_own() {
        let one = Scale::Limits(vec![[0.0, 1.0]]);
        assert_eq!(one.limits(3).ok(), Some(vec![[0.0, 1.0]; 3]));
        let two = Scale::Limits(vec![[0.0, 1.0], [2.0, 3.0]]);
        assert_eq!(two.limits(2).ok(), Some(vec![[0.0, 1.0], [2.0, 3.0]]));
        assert!(two.limits(3).is_err());
    }

    #[test]
    fn bands_are_numbers_or_names() {
        assert_eq!("4".parse(), Ok(BandChoice::Number(4)));
        assert_eq!(" nir ".parse(), Ok(BandChoice::Name("nir".to_owned())));
        assert!("".parse::<BandChoice>().is_err());
    }
}
