//! A PMTiles v3 archive (<https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md>).
//!
//! Tiles lie in ascending tile id, so the archive is *clustered*: neighbours on the map are neighbours in the
//! file, and a client reads a region in few requests. Equal tiles are stored once. Directories and
//! metadata are gzip without a time stamp, tiles are stored as they are.
//!
//! Directories say how long tiles are and where they begin, not what they hold: they are made from the index alone, and then
//! every byte of the file has its place, so that several threads can write it.

mod directory;

use std::io::{self, Write as _};
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use ::pmtiles::TileType;
use flate2::write::GzEncoder;
use serde_json::{Map, Value};

use self::directory::{Directories, Entry};
use crate::assemble::{Layout, assemble, copy_piece, overlap};
use crate::encode::TileFormat;
use crate::error::{Error, Result};
use crate::sink::order::Order;
use crate::sink::spool::{Sorted, Spool};
use crate::sink::target::{Claim, failed};
use crate::sink::{Deposited, Depot, TileSink, Written};
use crate::tileset::{TilesetInfo, VERSION};

/// Bytes of the header.
const HEADER: usize = 127;

/// Header and root directory end before this byte: what a client asks for first.
const FIRST_REQUEST: usize = 16_384;

/// A PMTiles archive under construction.
#[derive(Debug)]
pub struct PmtilesSink {
    spool: Spool,
    claim: Arc<Claim>,
    depot: Depot,
    info: TilesetInfo,
    _writer_thread: PhantomData<*mut ()>,
}

impl PmtilesSink {
    pub(super) fn new(claim: Arc<Claim>, depot: Depot, info: TilesetInfo) -> Self {
        Self { spool: Spool::new(Order::Hilbert), claim, depot, info, _writer_thread: PhantomData }
    }
}

impl TileSink for PmtilesSink {
    fn depot(&self) -> &Depot {
        &self.depot
    }

    fn accept(&mut self, tile: Deposited) -> Result<()> {
        self.spool.add(&tile)
    }

    fn finish(self: Box<Self>) -> Result<Written> {
        let Self { spool, claim, depot, info, .. } = *self;
        let tiles = spool.finish(&depot)?;
        let (min_zoom, max_zoom) = tiles.zooms();
        let path = claim.partial();
        let archive = Archive::new(&tiles, &info.with_zooms(min_zoom, max_zoom))
            .map_err(|e| failed(path, "cannot be planned", &e))?;
        let file = claim.create_partial()?;
        assemble(&file, path, &archive, tiles.segments())?;
        file.sync_all().map_err(|e| failed(path, "cannot be synced", &e))?;
        let mut header = [0; HEADER];
        let read = file.read_exact_at(&mut header, 0).and_then(|()| file.metadata());
        let bytes = read.map_err(|e| failed(path, "cannot be read back", &e))?.len();
        if header[..] != archive.head[..HEADER] || bytes != archive.size() {
            return Err(Error::output(path, format!("is not right: {bytes} bytes of {}", archive.size())));
        }
        claim.commit()?;
        tiles.discard();
        Ok(Written {
            tiles: tiles.len() as u64,
            duplicates: (tiles.len() - tiles.distinct()) as u64,
            bytes,
            min_zoom,
            max_zoom,
        })
    }
}

/// The whole archive, as what its parts are and where they go.
struct Archive<'a> {
    tiles: &'a Sorted,
    /// Header, root directory and metadata.
    head: Vec<u8>,
    /// Where each distinct tile begins in the file, in order.
    starts: Vec<u64>,
    /// Its place among the tiles.
    places: Vec<u32>,
    /// Where the last one ends and the leaf directories begin.
    data_end: u64,
    leaves: Vec<u8>,
}

impl<'a> Archive<'a> {
    fn new(tiles: &'a Sorted, info: &TilesetInfo) -> io::Result<Self> {
        let metadata = gzip(Value::Object(metadata(info)).to_string().as_bytes())?;
        let data_start = (FIRST_REQUEST + metadata.len()) as u64;
        let (mut starts, mut places) = (Vec::new(), Vec::new());
        let mut offsets = vec![u64::MAX; tiles.distinct()];
        let mut entries: Vec<Entry> = Vec::new();
        let (mut end, mut last) = (0, None);
        for index in 0..tiles.len() {
            let tile = tiles.tile(index);
            if let Some(entry) = entries.last_mut()
                && last == Some(tile.content)
                && entry.id + u64::from(entry.run) == tile.key
            {
                entry.run += 1;
                continue;
            }
            last = Some(tile.content);
            let offset = &mut offsets[tile.content as usize];
            if *offset == u64::MAX {
                *offset = end;
                starts.push(data_start + end);
                places.push(index as u32);
                end += u64::from(tile.len);
            }
            entries.push(Entry { id: tile.key, run: 1, len: tile.len, offset: *offset });
        }
        drop(offsets);
        let Directories { root, leaves } = Directories::new(&entries, FIRST_REQUEST - HEADER)?;
        let data_end = data_start + end;
        let header = Header {
            root: root.len(),
            metadata: metadata.len(),
            leaves: leaves.len(),
            data: end,
            tiles: tiles.len(),
            entries: entries.len(),
            distinct: tiles.distinct(),
        };
        let mut head = header.bytes(info);
        head.extend(root);
        head.resize(FIRST_REQUEST, 0);
        head.extend(metadata);
        Ok(Self { tiles, head, starts, places, data_end, leaves })
    }
}

impl Layout for Archive<'_> {
    fn size(&self) -> u64 {
        self.data_end + self.leaves.len() as u64
    }

    fn fill(&self, at: u64, bytes: &mut [u8], spare: &mut Vec<u8>) -> Result<()> {
        copy_piece(at, bytes, 0, &self.head);
        copy_piece(at, bytes, self.data_end, &self.leaves);
        let first = self.starts.partition_point(|start| *start <= at).saturating_sub(1);
        for (start, place) in self.starts[first..].iter().zip(&self.places[first..]) {
            if *start >= at + bytes.len() as u64 {
                break;
            }
            let place = *place as usize;
            let len = self.tiles.tile(place).len as usize;
            let Some((range, skip)) = overlap(at, bytes.len(), *start, len) else { continue };
            if range.len() == len {
                self.tiles.read(place, &mut bytes[range])?;
            } else {
                spare.resize(len, 0);
                self.tiles.read(place, spare)?;
                let part = &spare[skip..skip + range.len()];
                bytes[range].copy_from_slice(part);
            }
        }
        Ok(())
    }
}

/// What the header says of the sections.
struct Header {
    root: usize,
    metadata: usize,
    leaves: usize,
    data: u64,
    tiles: usize,
    entries: usize,
    distinct: usize,
}

impl Header {
    /// The header as the specification lays it out, section 3.
    fn bytes(&self, info: &TilesetInfo) -> Vec<u8> {
        let data = (FIRST_REQUEST + self.metadata) as u64;
        let mut bytes = b"PMTiles\x03".to_vec();
        for field in [
            HEADER as u64,
            self.root as u64,
            FIRST_REQUEST as u64,
            self.metadata as u64,
            // A section without bytes also has a place; verifiers refuse zero.
            data + self.data,
            self.leaves as u64,
            data,
            self.data,
            self.tiles as u64,
            self.entries as u64,
            self.distinct as u64,
        ] {
            bytes.extend(field.to_le_bytes());
        }
        let (clustered, gzip, none) = (1, 2, 1);
        bytes.extend([clustered, gzip, none, tile_type(info.format) as u8, info.min_zoom, info.max_zoom]);
        let degrees = |bytes: &mut Vec<u8>, v: f64| bytes.extend(((v * 1e7).round() as i32).to_le_bytes());
        for v in covering(info.rounded_bounds()) {
            degrees(&mut bytes, v);
        }
        bytes.push(info.centre.zoom);
        degrees(&mut bytes, info.centre.lon);
        degrees(&mut bytes, info.centre.lat);
        bytes
    }
}

/// Packs bytes; the same bytes always become the same.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
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
    put("version", info.version.as_deref().unwrap_or(VERSION).into());
    put("format", info.format.extension().into());
    put("tileSize", info.tile_size.into());
    // The header has them too, but rounded; as text they pass through converters to MBTiles.
    put("bounds", info.bounds_text().into());
    put("center", info.centre_text().into());
    json.extend(info.extra_json());
    json
}

const fn tile_type(format: TileFormat) -> TileType {
    match format {
        TileFormat::Png => TileType::Png,
        TileFormat::Jpeg => TileType::Jpeg,
        TileFormat::Webp => TileType::Webp,
        // Refused before anything is begun.
        TileFormat::Tiff => TileType::Unknown,
    }
}

/// Bounds widened to whole 1e-7 degrees, which the header counts in: the smallest raster keeps an area.
fn covering([west, south, east, north]: [f64; 4]) -> [f64; 4] {
    let down = |v: f64| (v * 1e7).floor() / 1e7;
    let up = |v: f64| (v * 1e7).ceil() / 1e7;
    [down(west), down(south), up(east), up(north)]
}
