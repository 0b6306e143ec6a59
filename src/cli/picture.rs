//! Options of `tile` that say which bands are shown, and how.

use std::sync::Arc;

use clap::Args;
use tileloom::Result;
use tileloom::colormap::Colormap;
use tileloom::job::tile::picture::{BandChoice, Picture, Scale};

/// Options of pictures, as they are written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pictures")]
pub struct PictureArgs {
    /// Bands to show, by number or name: one as grey or in the colours of --colormap, three as red, green and blue; one more
    /// holds opacity [default: the colours the raster declares, else the first band].
    #[arg(short, long, visible_alias = "band", value_name = "BANDS", value_delimiter = ',')]
    bands: Vec<BandChoice>,
    /// Values to show black and white, one pair for all bands or one for each, or percentiles of a sample of each band's
    /// values [default: 8-bit rasters as they are, else the 2nd and 98th percentile of all bands together].
    #[arg(long, value_name = "MIN,MAX[,…]|percentile:LOW,HIGH", allow_hyphen_values = true)]
    scale: Option<Scale>,
    /// Colours for the values of one band: a ramp by name (viridis, terrain, rdylgn, …; reversed with _r), or a file as
    /// gdaldem color-relief or QGIS have it, or JSON.
    #[arg(long, visible_alias = "color-map", alias = "colourmap", value_name = "NAME|FILE")]
    colormap: Option<String>,
    /// Treat values as names of classes: none is made up.
    #[arg(long)]
    pub categorical: bool,
}

impl PictureArgs {
    /// What the options say; reads the file of colours.
    pub fn picture(&self) -> Result<Picture> {
        let colormap = self.colormap.as_deref().map(Colormap::load).transpose()?.map(Arc::new);
        Ok(Picture { bands: self.bands.clone(), scale: self.scale.clone(), colormap })
    }
}
