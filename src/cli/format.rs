//! Options of the tile format, and the creation options GDAL has for them.

use clap::Args;
use tileloom::block::SampleType;
use tileloom::encode::jpeg::JpegOptions;
use tileloom::encode::png::{PngMode, PngOptions};
use tileloom::encode::webp::{WebpMode, WebpOptions};
use tileloom::encode::{EncoderOptions, TileFormat};
use tileloom::job::tile::values::Values;
use tileloom::spelling::nearest;
use tileloom::{Error, Result};

use super::parse;

/// Options of the tile format, as they are written.
#[derive(Debug, Args)]
pub struct FormatArgs {
    /// Format of the tiles: png, jpg (jpeg), webp, or tif for GeoTIFF tiles that hold all bands as they are (folders and .tar
    /// only).
    #[arg(
        short,
        long,
        visible_alias = "tiledriver",
        aliases = ["of", "output-format"],
        value_name = "FORMAT",
        default_value = "png"
    )]
    format: TileFormat,
    /// Quality of jpg and lossy webp tiles, 1 to 100 [default: 75].
    #[arg(
        long,
        aliases = ["jpeg-quality", "jpeg_quality", "webp-quality", "webp_quality"],
        value_name = "1-100",
        value_parser = clap::value_parser!(u8).range(1..=100)
    )]
    quality: Option<u8>,
    /// Lossless webp tiles: yes, no, or auto for those that are not opaque [default: no; yes without a value].
    #[arg(
        long,
        aliases = ["webp-lossless", "webp_lossless"],
        value_name = "yes|no|auto",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "yes",
        value_parser = lossless
    )]
    lossless: Option<WebpMode>,
    /// What to spend on png tiles: fast, or small for smaller files in more than ten times the time [default: fast].
    #[arg(long, value_name = "fast|small", value_parser = png_mode)]
    png_mode: Option<PngMode>,
    /// Make opaque tiles with this colour under transparent pixels: R,G,B or #rrggbb [default: 255,255,255, white, in jpg tiles;
    /// 0,0,0, black, with --no-alpha].
    #[arg(long, value_name = "COLOUR", value_parser = parse::colour)]
    background: Option<[u8; 3]>,
    /// Sample type: Byte or `UInt16` for png; for tif also `Int16`, `UInt32`, `Int32`, `Float32`, `Float64` [default: Byte for png, that of
    /// the inputs for tif].
    #[arg(long, visible_alias = "output-data-type", value_name = "TYPE")]
    ot: Option<SampleType>,
    /// The value that stands for no data in tif tiles [default: the one the inputs declare; else a band for opacity].
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    dst_nodata: Option<f64>,
    /// GDAL creation option of the format: QUALITY for jpg, QUALITY and LOSSLESS for webp, all of `GTiff` for tif; may be
    /// repeated.
    #[arg(long = "co", alias = "creation-option", value_name = "KEY=VALUE")]
    creation: Vec<String>,
}

fn lossless(text: &str) -> Result<WebpMode, String> {
    match (text.eq_ignore_ascii_case("auto"), parse::yes_or_no(text)) {
        (true, _) => Ok(WebpMode::Auto),
        (_, Some(true)) => Ok(WebpMode::Lossless),
        (_, Some(false)) => Ok(WebpMode::Lossy),
        _ => Err("known are yes, no and auto".to_owned()),
    }
}

fn png_mode(text: &str) -> Result<PngMode, String> {
    match text.to_ascii_lowercase().as_str() {
        "fast" => Ok(PngMode::Fast),
        "small" => Ok(PngMode::Small),
        _ => Err("known are fast and small".to_owned()),
    }
}

/// What decides a format, from whichever spelling it came.
#[derive(Debug, Clone, Copy)]
struct Wishes {
    quality: Option<u8>,
    lossless: Option<WebpMode>,
}

impl FormatArgs {
    /// The format with its options; refuses what does not belong to it.
    pub fn resolve(&self) -> Result<EncoderOptions> {
        self.refuse_strangers()?;
        let wishes = self.wishes()?;
        Ok(match self.format {
            TileFormat::Jpeg => {
                let mut options = JpegOptions::default();
                options.quality = wishes.quality.unwrap_or(options.quality);
                options.background = self.background;
                EncoderOptions::Jpeg(options)
            }
            TileFormat::Webp => {
                let mut options = WebpOptions::default();
                options.mode = wishes.lossless.unwrap_or(options.mode);
                if let (WebpMode::Lossless, Some(_)) = (options.mode, wishes.quality) {
                    return usage("lossless webp tiles have no quality: drop it, or --lossless");
                }
                options.quality = wishes.quality.unwrap_or(options.quality);
                EncoderOptions::Webp(options)
            }
            TileFormat::Tiff => EncoderOptions::Tiff,
            _ => EncoderOptions::Png(PngOptions::from(self.png_mode.unwrap_or_default())),
        })
    }

    /// What is asked for of tiles that hold values; `None` when the tiles are pictures.
    pub fn values(&self) -> Result<Option<Values>> {
        let pictures = self.ot.is_none_or(|ot| ot == SampleType::U8) && self.format != TileFormat::Tiff;
        if pictures {
            return match self.dst_nodata {
                Some(_) => {
                    usage("--dst-nodata is for tif tiles; in pictures, pixels without data are transparent")
                }
                None => Ok(None),
            };
        }
        if !matches!(self.format, TileFormat::Png | TileFormat::Tiff) {
            let format = self.format.extension();
            return usage(format!("{format} tiles have 8 bits: drop --ot, or say -f png or -f tif"));
        }
        let creation = if self.format == TileFormat::Tiff { self.creation.clone() } else { Vec::new() };
        Ok(Some(Values { sample_type: self.ot, nodata: self.dst_nodata, creation }))
    }

    /// The colour that makes tiles opaque.
    pub fn background(&self) -> Option<[u8; 3]> {
        self.background
    }

    /// Refuses options of other formats.
    fn refuse_strangers(&self) -> Result<()> {
        use TileFormat::{Jpeg, Png, Webp};
        for (name, given, formats) in [
            ("--quality", self.quality.is_some(), &[Jpeg, Webp][..]),
            ("--lossless", self.lossless.is_some(), &[Webp]),
            ("--png-mode", self.png_mode.is_some(), &[Png]),
        ] {
            if given && !formats.contains(&self.format) {
                let own: Vec<_> = formats.iter().map(|format| format.extension()).collect();
                let own = own.join(" and ");
                let (this, first) = (self.format.extension(), formats[0].extension());
                return usage(format!(
                    "{name} is for {own} tiles, not for {this}: drop it, or say -f {first}"
                ));
            }
        }
        Ok(())
    }

    /// What the options and the creation options say together.
    fn wishes(&self) -> Result<Wishes> {
        let mut wishes = Wishes { quality: self.quality, lossless: self.lossless };
        if self.format == TileFormat::Tiff {
            return Ok(wishes);
        }
        for option in &self.creation {
            let pair = option.split_once('=').filter(|(key, _)| !key.is_empty());
            let (key, value) = pair.ok_or_else(|| Error::Usage(format!("--co {option}: give KEY=VALUE")))?;
            let twice = match self.setting(key)? {
                Setting::Quality => {
                    let quality = value.parse().ok().filter(|q| (1..=100).contains(q));
                    let quality = quality.ok_or_else(|| {
                        Error::Usage(format!("--co {option}: give 1 (smallest) to 100 (best)"))
                    })?;
                    wishes.quality.replace(quality).is_some_and(|before| before != quality)
                }
                Setting::Lossless => {
                    let mode = lossless(value).map_err(|e| Error::Usage(format!("--co {option}: {e}")))?;
                    wishes.lossless.replace(mode).is_some_and(|before| before != mode)
                }
            };
            if twice {
                return usage(format!("--co {option} contradicts another option: give it once"));
            }
        }
        Ok(wishes)
    }

    /// What a creation option sets, by the names of GDAL's drivers of the format and of its GeoTIFF driver.
    fn setting(&self, key: &str) -> Result<Setting> {
        let known: &[(&str, Setting)] = match self.format {
            TileFormat::Jpeg => &[("QUALITY", Setting::Quality), ("JPEG_QUALITY", Setting::Quality)],
            TileFormat::Webp => &[
                ("QUALITY", Setting::Quality),
                ("LOSSLESS", Setting::Lossless),
                ("WEBP_LEVEL", Setting::Quality),
                ("WEBP_LOSSLESS", Setting::Lossless),
            ],
            _ => &[],
        };
        if let Some((_, setting)) = known.iter().find(|(name, _)| key.eq_ignore_ascii_case(name)) {
            return Ok(*setting);
        }
        let format = self.format.extension();
        if self.format == TileFormat::Png {
            let hint = "how hard png tiles are compressed is said by --png-mode fast or small";
            return usage(format!("--co {key}: png tiles have no creation options here; {hint}"));
        }
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        let near = nearest(key, &names).map_or_else(String::new, |name| format!(" (did you mean {name}?)"));
        usage(format!("--co {key} is unknown for {format} tiles{near}: known are {}", names.join(", ")))
    }
}

/// What a creation option sets.
#[derive(Debug, Clone, Copy)]
enum Setting {
    Quality,
    Lossless,
}

fn usage<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::Usage(text.into()))
}
