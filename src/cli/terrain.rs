//! Options of `tile` that make terrain tiles.

use clap::Args;
use tileloom::encode::terrain::Encoding;
use tileloom::job::tile::terrain::{HeightUnit, Rounding, Terrain};
use tileloom::{Error, Result};

/// Options of terrain tiles, as they are written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Terrain tiles")]
pub struct TerrainArgs {
    /// Encode one band of heights in red, green and blue: mapbox (also terrain-rgb) or terrarium. Levels are averaged as
    /// heights; tiles are opaque and lossless.
    #[arg(long, value_name = "mapbox|terrarium")]
    encoding: Option<Encoding>,
    /// Height of pixels without data in tiles that hold some data [default: 0].
    #[arg(long, value_name = "METRES", allow_negative_numbers = true, requires = "encoding")]
    nodata_height: Option<f64>,
    /// Round heights to multiples of so many metres, for smaller tiles; auto: 2^(12 - zoom) m for 256-pixel tiles, half that
    /// for 512, at most 64 m.
    #[arg(long, value_name = "auto|METRES", value_parser = rounding, requires = "encoding", conflicts_with = "round_digits")]
    round_heights: Option<Rounding>,
    /// Unit of the heights: m, ft, us-ft, cm, mm, dm, km, or the metres it has [default: as declared].
    #[arg(long, visible_alias = "unit", value_name = "UNIT", requires = "encoding")]
    height_unit: Option<HeightUnit>,
    /// Factor from samples to heights [default: the declared one].
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true, requires = "encoding")]
    a_scale: Option<f64>,
    /// What is added to scaled samples [default: what is declared].
    #[arg(long, value_name = "HEIGHT", allow_negative_numbers = true, requires = "encoding")]
    a_offset: Option<f64>,
    /// Height of black in mapbox tiles [default: -10000].
    #[arg(long, value_name = "METRES", allow_negative_numbers = true, requires = "encoding")]
    base_val: Option<f64>,
    /// Metres from one number to the next in mapbox tiles [default: 0.1].
    #[arg(long, value_name = "METRES", requires = "encoding")]
    interval: Option<f64>,
    /// Set so many of the lowest bits to zero, at every zoom, as rio rgbify does.
    #[arg(long, value_name = "BITS", requires = "encoding")]
    round_digits: Option<u8>,
}

/// `auto` or metres.
fn rounding(text: &str) -> Result<Rounding, String> {
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Rounding::Auto);
    }
    text.parse().map(Rounding::Metres).map_err(|_| "give auto or metres".to_owned())
}

impl TerrainArgs {
    /// What the options say; `None` when the tiles are pictures.
    pub fn terrain(&self) -> Result<Option<Terrain>> {
        let Some(mut encoding) = self.encoding else { return Ok(None) };
        match &mut encoding {
            Encoding::Mapbox { base, interval } => {
                *base = self.base_val.unwrap_or(*base);
                *interval = self.interval.unwrap_or(*interval);
            }
            Encoding::Terrarium if self.base_val.is_some() || self.interval.is_some() => {
                return Err(Error::Usage(
                    "--base-val and --interval belong to --encoding mapbox; terrarium has fixed ones"
                        .to_owned(),
                ));
            }
            Encoding::Terrarium => {}
        }
        let mut terrain = Terrain::new(encoding);
        terrain.nodata_height = self.nodata_height.unwrap_or(terrain.nodata_height);
        terrain.rounding =
            self.round_heights.or(self.round_digits.map(Rounding::Digits)).unwrap_or(terrain.rounding);
        (terrain.scale, terrain.offset, terrain.unit) = (self.a_scale, self.a_offset, self.height_unit);
        Ok(Some(terrain))
    }
}
