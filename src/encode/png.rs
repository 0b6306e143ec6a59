//! Temporary stand-in.
use super::{Colour, Picture, TileEncoder, TileFormat};
use crate::error::Result;
/// p
#[derive(Default)]
pub struct Png;
impl TileEncoder for Png {
    fn format(&self) -> TileFormat {
        TileFormat::Png
    }
    fn encode(&self, p: &Picture<'_>, out: &mut Vec<u8>) -> Result<()> {
        let mut data = Vec::new();
        for y in 0..p.height {
            for x in 0..p.width {
                let a = p.alpha.map_or(255, |a| a.row(y, p.width)[x]);
                let n = p.colour.bytes();
                let s = &p.samples.row(y, p.width * n)[x * n..][..n];
                let mut px = match p.colour {
                    Colour::Gray => [s[0], s[0], s[0], a],
                    Colour::Rgb => [s[0], s[1], s[2], a],
                    Colour::Palette(t) => {
                        let mut c = t.get(s[0] as usize).copied().unwrap_or_default();
                        c[3] = c[3].min(a);
                        c
                    }
                };
                if px[3] == 0 {
                    px = [0; 4];
                }
                data.extend(px);
            }
        }
        let mut e = png::Encoder::new(out, p.width as u32, p.height as u32);
        e.set_color(png::ColorType::Rgba);
        e.set_compression(png::Compression::Fast);
        e.write_header()
            .and_then(|mut w| w.write_image_data(&data))
            .map_err(|e| crate::Error::Internal(e.to_string()))
    }
}
