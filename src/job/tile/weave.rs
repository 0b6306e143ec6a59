//! The computing stage: warps a metatile, reduces it level by level, and encodes its tiles. Whoever brings the last
//! child of a node above goes on with that node.

use ndarray::s;

use super::look::{Look, Renderer};
use super::plan::Plan;
use super::reader::Weft;
use crate::block::{Block, Samples, Validity, interleaved_slice};
use crate::encode::{Picture, Plane, TileEncoder};
use crate::error::{Error, Result};
use crate::grid::TileCoord;
use crate::pyramid::Nursery;
use crate::sink::EncodedTile;
use crate::warp::kernel::{Canvas, warp};
use crate::warp::reduce::{halve, join};

/// Makes tiles of what was read. Shared by the threads of the pool.
pub struct Loom<'a> {
    plan: &'a Plan,
    nursery: Nursery<'a, Block>,
    renderer: Renderer,
    encoder: &'a dyn TileEncoder,
}

impl<'a> Loom<'a> {
    /// A loom for a plan.
    pub fn new(plan: &'a Plan, encoder: &'a dyn TileEncoder) -> Self {
        let renderer = Renderer::new(&plan.look, plan.sample_type);
        Self { plan, nursery: Nursery::new(&plan.pyramid), renderer, encoder }
    }

    /// The tiles of a metatile, and of all nodes above that its arrival completes. Empty tiles are left out.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn weave(&self, weft: Weft) -> Result<Vec<EncodedTile>> {
        let metatile = weft.metatile;
        let mut tiles = Vec::new();
        let root = self.levels(weft, &mut tiles)?;
        let mut child = metatile;
        let mut quarter = self.reduced(root)?;
        while let Some((node, quarters)) = self.nursery.arrive(child, quarter) {
            let block = join(quarters, node.window(self.plan.tile_size))?;
            if let Some(block) = &block {
                self.encode(node.z, block, &mut tiles)?;
            }
            quarter = self.reduced(block)?;
            child = node;
        }
        Ok(tiles)
    }

    /// Makes the levels of one metatile, without telling anyone; returns its root's pixels.
    pub(super) fn levels(&self, weft: Weft, tiles: &mut Vec<EncodedTile>) -> Result<Option<Block>> {
        let plan = self.plan;
        let mut canvas = Canvas::new(plan.window(weft.metatile), plan.sample_type, plan.bands);
        for strand in weft.strands {
            warp(&strand.source, &strand.grid, strand.target, plan.resampling, plan.edges, &mut canvas)?;
        }
        let lowest = plan.pyramid.root().max(plan.pyramid.min());
        let mut z = plan.pyramid.base();
        let mut block = canvas.into_block();
        while let Some(pixels) = &block {
            self.encode(z, pixels, tiles)?;
            if z == lowest {
                break;
            }
            block = self.reduced(block)?;
            z -= 1;
        }
        Ok(block)
    }

    fn reduced(&self, block: Option<Block>) -> Result<Option<Block>> {
        block.map(|b| halve(&b, self.plan.overview_resampling, self.plan.edges)).transpose()
    }

    /// Encodes the tiles of a level that lie in a block, if the level is written.
    fn encode(&self, z: u8, block: &Block, tiles: &mut Vec<EncodedTile>) -> Result<()> {
        if z > self.plan.max_zoom {
            return Ok(());
        }
        let rendered = if self.plan.mixed { None } else { self.renderer.render(block) };
        let block = rendered.as_ref().unwrap_or(block);
        let side = self.plan.tile_size;
        let window = block.window;
        for row in 0..window.height / side {
            for column in 0..window.width / side {
                let x = (window.x as usize / side + column) as u32;
                let y = (window.y as usize / side + row) as u32;
                let tile = TileCoord::new(z, x, y);
                let corner = (column * side, row * side);
                if let Some(picture) = picture(&self.plan.look, block, corner, side)? {
                    let mut bytes = Vec::new();
                    self.encoder.encode(&picture, &mut bytes)?;
                    tiles.push(EncodedTile::new(tile, bytes));
                }
            }
        }
        Ok(())
    }
}

/// One tile of a block as an encoder takes it; `None` when it is empty.
fn picture<'a>(
    look: &'a Look,
    block: &'a Block,
    (x, y): (usize, usize),
    side: usize,
) -> Result<Option<Picture<'a>>> {
    let Samples::U8(array) = &block.samples else {
        return Err(Error::Internal("a picture of other than bytes".to_owned()));
    };
    let bytes = interleaved_slice(array);
    let bytes = bytes.ok_or_else(|| Error::Internal("a picture that is not interleaved".to_owned()))?;
    let (bands, width) = (block.bands(), block.window.width);
    let alpha = match &block.validity {
        Validity::All => None,
        Validity::PerPixel(coverage) => {
            let part = coverage.slice(s![y..y + side, x..x + side]);
            if part.iter().all(|&c| c == 0) {
                return Ok(None);
            }
            let plane = coverage.as_slice();
            let plane = plane.ok_or_else(|| Error::Internal("coverage that is not contiguous".to_owned()))?;
            let opaque = part.iter().all(|&c| c == 255);
            (!opaque).then(|| Plane { bytes: &plane[y * width + x..], stride: width })
        }
    };
    Ok(Some(Picture {
        width: side,
        height: side,
        colour: look.colour(),
        samples: Plane { bytes: &bytes[(y * width + x) * bands..], stride: width * bands },
        alpha,
    }))
}
