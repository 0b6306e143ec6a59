//! What is compared with what.

use clap::ValueEnum;

use crate::programs::{self, Contestant, Form};
use crate::seen::Seen;
use crate::tiles::Container;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Job {
    /// A folder of PNG tiles, with `gdal raster tile`.
    Gdal,
    /// The same with `--png-mode small`.
    Small,
    /// A folder of PNG tiles, with `gdal2tiles.py`.
    #[value(name = "gdal2tiles")]
    Gdal2Tiles,
    /// PNG in a PMTiles archive, with `rio pmtiles`.
    Pmtiles,
    /// PNG in an MBTiles file, with `rio mbtiles`.
    Mbtiles,
    /// JPEG of quality 75, with `gdal raster tile`.
    Jpeg,
    /// Lossy WebP, with `gdal raster tile`.
    Webp,
    /// Lossless WebP, with `gdal raster tile`.
    LosslessWebp,
    /// Heights as terrain-RGB, with `rio rgbify`.
    Terrain,
    /// The raster cut into 256 files, with `gdalbuildvrt` and `gdal raster tile`.
    Mosaic,
    /// One processor against two.
    Processors,
    /// Start-up, with `gdalinfo`.
    Start,
    /// Chips, with `gdal_retile.py` and `gdal raster tile`.
    Split,
}

/// Who is compared in a job.
#[derive(Debug)]
pub struct Field {
    /// What the table calls the job.
    pub name: &'static str,
    /// tileloom first.
    pub contestants: Vec<Contestant>,
    /// Why others are missing.
    pub skipped: Vec<String>,
    /// Whether the raster comes in pieces.
    pub pieces: bool,
}

impl Job {
    /// All there are.
    pub const ALL: [Self; 13] = [
        Self::Gdal,
        Self::Small,
        Self::Gdal2Tiles,
        Self::Pmtiles,
        Self::Mbtiles,
        Self::Jpeg,
        Self::Webp,
        Self::LosslessWebp,
        Self::Terrain,
        Self::Mosaic,
        Self::Processors,
        Self::Start,
        Self::Split,
    ];

    /// Whether the job makes sense of a raster.
    pub fn suits(self, seen: &Seen) -> bool {
        match self {
            Self::Terrain => seen.heights,
            Self::Start | Self::Split => false,
            _ => !seen.heights,
        }
    }

    /// Who takes part.
    pub fn field(self) -> Field {
        use Container::{Folder, Mbtiles, Pmtiles};
        let against = |name, form, container, peer: Result<Contestant, String>| {
            let mut field = Field {
                name,
                contestants: vec![programs::tileloom(form, container)],
                skipped: vec![],
                pieces: false,
            };
            field.add(peer);
            field
        };
        let gdal = programs::gdal_raster_tile;
        match self {
            Self::Gdal => against("PNG, folder", Form::Png, Folder, gdal(Form::Png)),
            Self::Small => against("PNG, small", Form::SmallPng, Folder, gdal(Form::SmallPng)),
            Self::Gdal2Tiles => against("PNG, folder", Form::Png, Folder, programs::gdal2tiles()),
            Self::Pmtiles => against("PNG, PMTiles", Form::Png, Pmtiles, programs::rio(Form::Png, Pmtiles)),
            Self::Mbtiles => against("PNG, MBTiles", Form::Png, Mbtiles, programs::rio(Form::Png, Mbtiles)),
            Self::Jpeg => against("JPEG", Form::Jpeg, Folder, gdal(Form::Jpeg)),
            Self::Webp => against("WebP", Form::Webp, Folder, gdal(Form::Webp)),
            Self::LosslessWebp => {
                against("WebP, lossless", Form::LosslessWebp, Folder, gdal(Form::LosslessWebp))
            }
            Self::Terrain => {
                against("terrain-RGB, MBTiles", Form::Terrain, Mbtiles, programs::rio(Form::Terrain, Mbtiles))
            }
            Self::Mosaic => {
                let peer = gdal(Form::Png).map(|mut gdal| {
                    gdal.name = format!("`gdalbuildvrt`, {}", gdal.name);
                    gdal
                });
                Field { pieces: true, ..against("256 files, PNG, folder", Form::Png, Folder, peer) }
            }
            Self::Processors | Self::Start | Self::Split => {
                let mut field =
                    Field { name: "PNG, PMTiles", contestants: vec![], skipped: vec![], pieces: false };
                for count in [2, 1] {
                    field.add(programs::tileloom_on(count, Pmtiles));
                }
                field
            }
        }
    }
}

impl Field {
    fn add(&mut self, found: Result<Contestant, String>) {
        match found {
            Ok(contestant) => self.contestants.push(contestant),
            Err(why) => self.skipped.push(why),
        }
    }
}
