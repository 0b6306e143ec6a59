//! A PMTiles v3 archive (<https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md>).
//!
//! Tiles are fed in ascending tile id, so the archive is *clustered*: neighbours on the map are neighbours in the
//! file, and a client reads a region in few requests. Equal tiles are stored once. Directories and
//! metadata are gzip without a time stamp, tiles are stored as they are.

use std::fs::File;
use std::io::BufWriter;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;

use ::pmtiles::{Compression, PmTilesWriter, PmtError, TileType};
use serde_json::{Map, Value};

use crate::encode::TileFormat;
use crate::error::Result;
use crate::sink::spool::{Order, Sorted, Spool};
use crate::sink::target::{Claim, failed};
use crate::sink::{EncodedTile, OutputKind, Target, TileSink, Written};
use crate::tileset::{TilesetInfo, VERSION};

const BUFFER: usize = 1 << 20;

/// Where fields stand in the header, each a little-endian u64.
mod field {
    pub(super) const LEAF_OFFSET: u64 = 40;
    pub(super) const LEAF_LENGTH: u64 = 48;
    pub(super) const DATA_OFFSET: u64 = 56;
    pub(super) const DATA_LENGTH: u64 = 64;
    pub(super) const ADDRESSED_TILES: u64 = 72;
    pub(super) const TILE_CONTENTS: u64 = 88;
    pub(super) const CLUSTERED: u64 = 96;
}

/// A PMTiles archive under construction.
#[derive(Debug)]
pub struct PmtilesSink {
    spool: Spool,
    claim: Claim,
    info: TilesetInfo,
    _writer_thread: PhantomData<*mut ()>,
}

impl PmtilesSink {
    /// Creates the spool.
    ///
    /// # Errors
    /// [`Error::Output`](crate::Error::Output) when the target may not be written, [`Error::Internal`](crate::Error::Internal) for metadata no reader would take.
    pub fn create(target: &Target, info: TilesetInfo) -> Result<Self> {
        info.validate()?;
        let claim = target.claim(OutputKind::Pmtiles)?;
        let spool = Spool::create(claim.spool(), Order::Hilbert)?;
        Ok(Self { spool, claim, info, _writer_thread: PhantomData })
    }
}

impl TileSink for PmtilesSink {
    fn write(&mut self, tile: EncodedTile) -> Result<()> {
        self.spool.write(&tile)
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        let Self { spool, claim, info, .. } = *self;
        let mut tiles = spool.finish()?;
        let (min_zoom, max_zoom) = tiles.zooms();
        let mut file = claim.create_partial()?;
        assemble(&mut tiles, &info.with_zooms(min_zoom, max_zoom), &mut file, &claim)?;
        let bytes = complete(&file, &tiles).map_err(|e| failed(claim.partial(), "is not right", &e))?;
        file.sync_all().map_err(|e| failed(claim.partial(), "cannot be synced", &e))?;
        claim.commit()?;
        Ok(Written {
            tiles: tiles.len() as u64,
            duplicates: (tiles.len() - tiles.distinct()) as u64,
            bytes,
            min_zoom,
            max_zoom,
        })
    }
}

/// Copies the tiles from the spool into the archive.
fn assemble(tiles: &mut Sorted, info: &TilesetInfo, file: &mut File, claim: &Claim) -> Result<()> {
    let refused = |e: PmtError| match e {
        PmtError::Reading(e) => failed(claim.partial(), "cannot be written", &e),
        e => failed(claim.partial(), "cannot be written", &e),
    };
    let [west, south, east, north] = covering(info.rounded_bounds());
    let mut archive = PmTilesWriter::new(tile_type(info.format))
        .tile_compression(Compression::None)
        .internal_compression(Compression::Gzip)
        .min_zoom(info.min_zoom)
        .max_zoom(info.max_zoom)
        .bounds(west, south, east, north)
        .center(info.centre.lon, info.centre.lat)
        .center_zoom(info.centre.zoom)
        .metadata(Value::Object(metadata(info)).to_string())
        .dedup_by_key::<u32>()
        .create(BufWriter::with_capacity(BUFFER, file))
        .map_err(refused)?;

    // The archive remembers what may come again; most tiles do not.
    let mut uses = vec![0u8; tiles.distinct()];
    for i in 0..tiles.len() {
        let uses = &mut uses[tiles.tile(i).content as usize];
        *uses = uses.saturating_add(1);
    }
    for i in 0..tiles.len() {
        let tile = tiles.tile(i);
        let repeats = uses[tile.content as usize] > 1;
        let coord = ::pmtiles::TileCoord::new(tile.coord.z, tile.coord.x, tile.coord.y).map_err(refused)?;
        archive.add_tile(coord, tiles.read(i)?, repeats.then_some(tile.content)).map_err(refused)?;
    }
    archive.finalize().map_err(refused)
}

/// Writes what the assembled archive still lacks, and holds its header against what went in. Returns its size.
fn complete(file: &File, tiles: &Sorted) -> Result<u64, String> {
    let io = |e: std::io::Error| e.to_string();
    let get = |at: u64| -> Result<u64, String> {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, at).map_err(io)?;
        Ok(u64::from_le_bytes(bytes))
    };
    let data_end = get(field::DATA_OFFSET)? + get(field::DATA_LENGTH)?;
    if get(field::LEAF_LENGTH)? == 0 {
        // A section without bytes also has a place; verifiers refuse zero.
        file.write_all_at(&data_end.to_le_bytes(), field::LEAF_OFFSET).map_err(io)?;
    }
    let mut clustered = [0];
    file.read_exact_at(&mut clustered, field::CLUSTERED).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let expected = [
        ("tiles", get(field::ADDRESSED_TILES)?, tiles.len() as u64),
        ("distinct tiles", get(field::TILE_CONTENTS)?, tiles.distinct() as u64),
        ("clustered", u64::from(clustered[0]), 1),
        ("bytes", size, data_end + get(field::LEAF_LENGTH)?),
    ];
    for (what, found, wanted) in expected {
        if found != wanted {
            return Err(format!("{what}: {found} instead of {wanted}"));
        }
    }
    Ok(size)
}

/// The JSON of the archive; the keys are those of the specification, section 5.
fn metadata(info: &TilesetInfo) -> Map<String, Value> {
    let mut json = Map::new();
    let mut put = |key: &str, value: Value| {
        json.insert(key.to_owned(), value);
    };
    put("name", info.name.as_str().into());
    for (key, value) in [("description", &info.description), ("attribution", &info.attribution)] {
        if let Some(text) = value {
            put(key, text.as_str().into());
        }
    }
    put("type", info.kind.name().into());
    put("version", VERSION.into());
    put("format", info.format.extension().into());
    put("tileSize", info.tile_size.into());
    json.extend(info.extra_json());
    json
}

const fn tile_type(format: TileFormat) -> TileType {
    match format {
        TileFormat::Png => TileType::Png,
        TileFormat::Jpeg => TileType::Jpeg,
        TileFormat::Webp => TileType::Webp,
    }
}

/// Bounds widened to whole 1e-7 degrees, which the header counts in: the smallest raster keeps an area.
fn covering([west, south, east, north]: [f64; 4]) -> [f64; 4] {
    let down = |v: f64| (v * 1e7).floor() / 1e7;
    let up = |v: f64| (v * 1e7).ceil() / 1e7;
    [down(west), down(south), up(east), up(north)]
}
