//! Heights as colours: 24-bit numbers in red, green and blue, from which a map computes relief and shade.
//!
//! | encoding | height in metres | source |
//! |---|---|---|
//! | Mapbox | −10000 + (R · 65536 + G · 256 + B) · 0.1 | <https://docs.mapbox.com/data/tilesets/reference/mapbox-terrain-rgb-v1/> |
//! | Terrarium | R · 256 + G + B / 256 − 32768 | <https://github.com/tilezen/joerd/blob/master/docs/formats.md> |
//!
//! Both count steps from a base: height = base + (R · 65536 + G · 256 + B) · interval. A height becomes the nearest step
//! (half a step goes up), so it is off by half an interval at most; Tilezen's own formula rounds down. Such numbers must
//! not be interpolated: whatever resamples heights comes before this.
#![allow(clippy::inline_always, reason = "what is not inlined into the AVX2 build stays baseline code")]

use std::str::FromStr;

use serde_json::Value;

use crate::simd::{Kernel, Level, dispatch, truncate_f64};

/// The largest number that three bytes hold.
const LARGEST: u32 = (1 << 24) - 1;

/// Heights that are encoded at a time.
const CHUNK: usize = 64;

/// How a height in metres becomes red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Encoding {
    /// Mapbox Terrain-RGB: steps of `interval` metres above `base` metres. [`Encoding::MAPBOX`] is what its readers
    /// expect; others have to be told.
    Mapbox {
        /// Height of black, in metres.
        base: f64,
        /// Metres from one number to the next.
        interval: f64,
    },
    /// Terrarium: steps of 1/256 m above −32768 m.
    Terrarium,
}

impl Encoding {
    /// Mapbox Terrain-RGB as published: steps of 0.1 m above −10000 m.
    pub const MAPBOX: Self = Self::Mapbox { base: -10_000.0, interval: 0.1 };

    /// Height of black, in metres.
    pub const fn base(&self) -> f64 {
        match self {
            Self::Mapbox { base, .. } => *base,
            Self::Terrarium => -32_768.0,
        }
    }

    /// Metres from one number to the next.
    pub const fn interval(&self) -> f64 {
        match self {
            Self::Mapbox { interval, .. } => *interval,
            Self::Terrarium => 1.0 / 256.0,
        }
    }

    /// The lowest and the highest height there is a colour for, in metres.
    pub fn range(&self) -> (f64, f64) {
        (self.base(), self.base() + f64::from(LARGEST) * self.interval())
    }

    /// The name users know: `mapbox` or `terrarium`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mapbox { .. } => "mapbox",
            Self::Terrarium => "terrarium",
        }
    }

    /// What a tile set says about it, in the terms of MapLibre's `raster-dem` sources
    /// (<https://maplibre.org/maplibre-style-spec/sources/#raster-dem>): `encoding`, and for other bases and intervals than
    /// those published `custom` with the factors of height = R · redFactor + G · greenFactor + B · blueFactor − baseShift.
    pub fn metadata(&self) -> Vec<(&'static str, Value)> {
        if *self == Self::Terrarium || *self == Self::MAPBOX {
            return vec![("encoding", self.name().into())];
        }
        let step = self.interval();
        vec![
            ("encoding", "custom".into()),
            ("redFactor", (65_536.0 * step).into()),
            ("greenFactor", (256.0 * step).into()),
            ("blueFactor", step.into()),
            ("baseShift", (0.0 - self.base()).into()),
        ]
    }
}

impl FromStr for Encoding {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.to_ascii_lowercase().as_str() {
            "mapbox" | "terrain-rgb" | "mapbox-terrain-rgb" | "terrainrgb" => Ok(Self::MAPBOX),
            "terrarium" => Ok(Self::Terrarium),
            _ => Err(format!("unknown encoding '{name}'; known are mapbox (also terrain-rgb) and terrarium")),
        }
    }
}

/// Encodes heights: an [`Encoding`], coarser if wanted, with a colour for pixels without data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeightEncoder {
    /// Height of the lowest number in use.
    origin: f64,
    /// Numbers in use per metre.
    per_metre: f64,
    /// The lowest number in use, and from one to the next.
    lowest: i32,
    every: i32,
    /// How many of them there are above the lowest.
    most: f64,
    /// The number of pixels without data.
    empty: i32,
}

impl HeightEncoder {
    /// An encoder that uses every `every`th number only, so that tiles compress better; `anchor` is one of those in use.
    /// Pixels without data take `nodata_height` metres.
    pub fn new(encoding: &Encoding, every: u32, anchor: u32, nodata_height: f64) -> Self {
        let every = every.clamp(1, LARGEST);
        let lowest = anchor.min(LARGEST) % every;
        let mut encoder = Self {
            origin: encoding.base() + f64::from(lowest) * encoding.interval(),
            per_metre: 1.0 / (encoding.interval() * f64::from(every)),
            lowest: lowest as i32,
            every: every as i32,
            most: f64::from((LARGEST - lowest) / every),
            empty: 0,
        };
        encoder.empty = encoder.number(encoder.steps(nodata_height));
        encoder
    }

    /// Encodes heights in metres as red, green and blue, three bytes each. Pixels whose coverage is 0 take the colour of no
    /// data; heights beyond the range take its ends, and are counted in the result.
    pub fn encode(&self, heights: &[f32], coverage: Option<&[u8]>, rgb: &mut [u8]) -> u64 {
        self.encode_at(Level::Best, heights, coverage, rgb)
    }

    fn encode_at(&self, level: Level, heights: &[f32], coverage: Option<&[u8]>, rgb: &mut [u8]) -> u64 {
        dispatch(level, Run { encoder: *self, heights, coverage, rgb })
    }

    #[inline(always)]
    fn steps(&self, height: f64) -> f64 {
        (height - self.origin) * self.per_metre
    }

    #[inline(always)]
    fn number(&self, steps: f64) -> i32 {
        self.lowest + self.every * truncate_f64(steps + 0.5, 0.0, self.most)
    }
}

/// One call of [`HeightEncoder::encode`].
struct Run<'a> {
    encoder: HeightEncoder,
    heights: &'a [f32],
    coverage: Option<&'a [u8]>,
    rgb: &'a mut [u8],
}

impl Kernel for Run<'_> {
    type Output = u64;

    #[inline(always)]
    fn run(self) -> u64 {
        let Self { encoder, heights, coverage, rgb } = self;
        let mut beyond = 0;
        let mut covers = coverage.map(|c| c.chunks(CHUNK));
        for (heights, rgb) in heights.chunks(CHUNK).zip(rgb.chunks_mut(3 * CHUNK)) {
            let mut numbers = [0i32; CHUNK];
            let cover = covers.as_mut().and_then(Iterator::next);
            let mut outside = 0i32;
            for (number, &height) in numbers.iter_mut().zip(heights) {
                let steps = encoder.steps(f64::from(height));
                *number = encoder.number(steps);
                outside += i32::from(!(steps >= -0.5 && steps < encoder.most + 0.5));
            }
            if let Some(cover) = cover {
                for (number, &cover) in numbers.iter_mut().zip(cover) {
                    *number = if cover == 0 { encoder.empty } else { *number };
                }
                // What is not covered is zero, which may well lie outside.
                if outside > 0 {
                    let within = |h: f32| {
                        let steps = encoder.steps(f64::from(h));
                        steps >= -0.5 && steps < encoder.most + 0.5
                    };
                    outside =
                        heights.iter().zip(cover).filter(|(h, c)| **c > 0 && !within(**h)).count() as i32;
                }
            }
            beyond += outside as u64;
            for (pixel, number) in rgb.chunks_exact_mut(3).zip(&numbers) {
                let [_, r, g, b] = number.to_be_bytes();
                pixel.copy_from_slice(&[r, g, b]);
            }
        }
        beyond
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colours(encoder: &HeightEncoder, heights: &[f32]) -> Vec<[u8; 3]> {
        let mut rgb = vec![0; heights.len() * 3];
        encoder.encode(heights, None, &mut rgb);
        rgb.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect()
    }

    fn decoded(encoding: &Encoding, [r, g, b]: [u8; 3]) -> f64 {
        match encoding {
            Encoding::Mapbox { base, interval } => {
                base + (f64::from(r) * 65_536.0 + f64::from(g) * 256.0 + f64::from(b)) * interval
            }
            Encoding::Terrarium => f64::from(r) * 256.0 + f64::from(g) + f64::from(b) / 256.0 - 32_768.0,
        }
    }

    #[test]
    fn known_heights_have_their_published_colours() {
        let mapbox = HeightEncoder::new(&Encoding::MAPBOX, 1, 0, 0.0);
        assert_eq!(
            colours(&mapbox, &[0.0, -10_000.0, 8848.9, -10_994.0]),
            [[1, 134, 160], [0, 0, 0], [2, 224, 73], [0; 3]]
        );
        let terrarium = HeightEncoder::new(&Encoding::Terrarium, 1, 0, 0.0);
        // The example of Tilezen's documentation, and the ends of the range it names.
        assert_eq!(
            colours(&terrarium, &[2523.266, -11_000.0, 8900.0, 0.0]),
            [[137, 219, 68], [85, 8, 0], [162, 196, 0], [128, 0, 0]]
        );
    }

    #[test]
    fn every_height_comes_back_within_half_an_interval() {
        let heights: Vec<f32> = (0..200_000).map(|k| -9_999.0 + k as f32 * 0.137).collect();
        for encoding in
            [Encoding::MAPBOX, Encoding::Terrarium, Encoding::Mapbox { base: -11_000.0, interval: 0.05 }]
        {
            let encoder = HeightEncoder::new(&encoding, 1, 0, 0.0);
            for (height, colour) in heights.iter().zip(colours(&encoder, &heights)) {
                let off = (decoded(&encoding, colour) - f64::from(*height)).abs();
                assert!(off <= encoding.interval() / 2.0 + 1e-9, "{height} in {encoding:?}: {off}");
            }
        }
    }

    #[test]
    fn heights_beyond_the_range_take_its_ends_and_are_counted() {
        let encoder = HeightEncoder::new(&Encoding::Terrarium, 1, 0, 0.0);
        let heights = [-3.4e38, -32_768.0, 32_767.996, 1e9, 5.0];
        let mut rgb = [0; 15];
        assert_eq!(encoder.encode(&heights, None, &mut rgb), 2);
        assert_eq!(rgb[..12], [0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255]);
        let mut rgb = [0; 15];
        assert_eq!(encoder.encode(&heights, Some(&[0, 255, 255, 1, 9]), &mut rgb), 1);
        assert_eq!(rgb[..3], [128, 0, 0]);
    }

    #[test]
    fn a_pixel_without_data_takes_its_colour_and_any_other_its_height() {
        let encoder = HeightEncoder::new(&Encoding::MAPBOX, 1, 0, -3.0);
        let mut rgb = [9; 9];
        encoder.encode(&[7.0, 7.0, 7.0], Some(&[0, 1, 255]), &mut rgb);
        let of = |height| colours(&encoder, &[height])[0];
        assert_eq!(rgb.chunks_exact(3).collect::<Vec<_>>(), [of(-3.0), of(7.0), of(7.0)]);
    }

    #[test]
    fn coarser_heights_are_multiples_of_the_step_around_the_anchor() {
        // 8 × 0.1 m around 0 m, which is number 100000.
        let encoder = HeightEncoder::new(&Encoding::MAPBOX, 8, 100_000, 0.0);
        for (height, expected) in [(0.0, 0.0), (0.39, 0.0), (0.41, 0.8), (-0.5, -0.8), (8848.86, 8848.8)] {
            let found = decoded(&Encoding::MAPBOX, colours(&encoder, &[height])[0]);
            assert!((found - expected).abs() < 1e-6, "{height}: {found}");
        }
    }

    #[test]
    fn the_baseline_build_computes_the_same_bytes() {
        let heights: Vec<f32> = (0..1013).map(|k| (k as f32 * 71.3).sin() * 40_000.0).collect();
        let coverage: Vec<u8> = (0..1013).map(|k| if k % 7 == 0 { 0 } else { 255 }).collect();
        let encoder = HeightEncoder::new(&Encoding::Terrarium, 3, 5, 2.0);
        let [mut best, mut plain] = [(); 2].map(|()| vec![0; heights.len() * 3]);
        let counts = [
            encoder.encode_at(Level::Best, &heights, Some(&coverage), &mut best),
            encoder.encode_at(Level::Baseline, &heights, Some(&coverage), &mut plain),
        ];
        assert!(counts[0] == counts[1] && counts[0] > 0 && best == plain);
    }

    #[test]
    fn other_bases_and_intervals_are_told_as_factors() {
        let value = |encoding: Encoding| {
            Value::Object(encoding.metadata().into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
        };
        assert_eq!(value(Encoding::MAPBOX), serde_json::json!({"encoding": "mapbox"}));
        assert_eq!(value(Encoding::Terrarium), serde_json::json!({"encoding": "terrarium"}));
        assert_eq!(
            value(Encoding::Mapbox { base: 0.0, interval: 0.5 }),
            serde_json::json!({
                "encoding": "custom", "redFactor": 32768.0, "greenFactor": 128.0, "blueFactor": 0.5, "baseShift": 0.0,
            })
        );
    }

    #[test]
    fn encodings_have_the_names_users_bring() {
        assert_eq!("terrain-rgb".parse(), Ok(Encoding::MAPBOX));
        assert_eq!("Terrarium".parse(), Ok(Encoding::Terrarium));
        let error = "gebco".parse::<Encoding>().expect_err("unknown");
        assert!(error.contains("mapbox") && error.contains("terrarium"), "{error}");
    }
}
