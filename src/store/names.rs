//! Names of tile files: `{z}/{x}/{y}.{extension}`, of folders and of tar archives.

use serde_json::Value;

use crate::encode::TileFormat;
use crate::grid::{Grid, MAX_ZOOM, TileCoord};
use crate::store::metadata::Keys;
use crate::tileset::{RETINA, Scheme};

/// Files in which programs say what a folder holds; the first that is there counts.
pub(crate) const DESCRIPTIONS: [&str; 4] = ["tilejson.json", "metadata.json", "tiles.json", TMS];

/// The description by the Tile Map Service specification, which `gdal2tiles` writes.
const TMS: &str = "tilemapresource.xml";

/// Longest description that is read, bytes.
pub(crate) const MOST_DESCRIPTION: u64 = 64 << 20;

/// Extensions of tiles that are not pictures: they are named, not overlooked.
const VECTOR: [&str; 3] = ["pbf", "mvt", "mlt"];

/// Extensions of further pictures that tiles may be.
const OTHERS: [&str; 8] = ["avif", "gif", "jp2", "jxl", "lerc", "terrain", "tif", "tiff"];

/// What the last part of a name says: a row, as it is numbered there, and what follows it: `.png`, or `@2x.png` where the tile has
/// twice the pixels it is shown with. `None` for files that are no tiles.
pub(crate) fn row(name: &str) -> Option<(u32, &str)> {
    let ending = &name[name.find(|c: char| !c.is_ascii_digit())?..];
    let row = &name[..name.len() - ending.len()];
    let extension = ending.strip_prefix(RETINA).unwrap_or(ending).strip_prefix('.')?;
    let lower = extension.to_ascii_lowercase();
    let known = lower == "jpeg"
        || TileFormat::ALL.iter().any(|format| lower == format.extension())
        || VECTOR.contains(&lower.as_str())
        || OTHERS.contains(&lower.as_str());
    known.then_some((number(row)?, ending))
}

/// A number as programs write it: without a sign or zeros before it.
pub(crate) fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok())?
}

/// Whether what follows a row tells that the tile has twice the pixels it is shown with.
pub(crate) fn is_retina(ending: &str) -> bool {
    ending.starts_with(RETINA)
}

/// The address that level, column and row stand for; `None` outside of the level's matrix.
pub(crate) fn address(z: u32, x: u32, row: u32, (grid, scheme): (&Grid, Scheme)) -> Option<TileCoord> {
    let z = u8::try_from(z).ok().filter(|z| *z <= MAX_ZOOM)?;
    let coord = TileCoord::new(z, x, row);
    match scheme {
        Scheme::Xyz => grid.contains(coord).then_some(coord),
        Scheme::Tms => grid.turned(coord),
    }
}

/// The keys that a file with one of the names of [`DESCRIPTIONS`] tells.
///
/// # Errors
/// Why it cannot be understood, to follow its name.
pub(crate) fn keys(name: &str, bytes: &[u8]) -> Result<Keys, String> {
    if name == TMS {
        return Ok(tms(&String::from_utf8_lossy(bytes)));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(keys)) => Ok(keys),
        Ok(_) => Err("is no JSON object".to_owned()),
        Err(e) => Err(format!("is no JSON: {e}")),
    }
}

/// What counts of a Tile Map Service description: title, extent, profile, and that rows count from the south.
fn tms(xml: &str) -> Keys {
    let mut keys = Keys::new();
    keys.insert("scheme".to_owned(), "tms".into());
    let between = |from: &str, to: &str| Some(xml.split_once(from)?.1.split_once(to)?.0);
    if let Some(title) = between("<Title>", "</Title>").filter(|t| !t.trim().is_empty()) {
        keys.insert("name".to_owned(), unescaped(title).into());
    }
    let attribute = |element: &str, name: &str| {
        let element = between(&format!("<{element} "), ">")?;
        Some(element.split_once(&format!("{name}=\""))?.1.split_once('"')?.0)
    };
    let edges = ["minx", "miny", "maxx", "maxy"].map(|name| attribute("BoundingBox", name));
    if let [Some(west), Some(south), Some(east), Some(north)] = edges {
        keys.insert("bounds".to_owned(), format!("{west},{south},{east},{north}").into());
    }
    match attribute("TileSets", "profile") {
        // The usual one goes without saying.
        Some(profile) if !profile.contains("mercator") => {
            drop(keys.insert("profile".to_owned(), profile.into()));
        }
        _ => {}
    }
    let number = |name: &str| attribute("TileSet", name)?.parse::<f64>().ok();
    if let (true, Some(level), Some(pixel)) =
        (keys.contains_key("profile"), number("order"), number("units-per-pixel"))
    {
        let top = pixel * level.exp2();
        let grids = [("GlobalGeodeticOriginLat270", 360.0 / 256.0), ("WorldCRS84Quad", 180.0 / 256.0)];
        let found = grids.iter().find(|(_, own)| (top / own - 1.0).abs() < 1e-6);
        keys.extend(found.map(|(name, _)| (TILING.to_owned(), (*name).into())));
    }
    keys
}

fn unescaped(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The name of the grid, where a description by the Tile Map Service specification tells what amounts to it. No key of other
/// descriptions.
pub(crate) const TILING: &str = "tileloom:tiling-scheme";

/// The numbering that metadata tell.
pub(crate) fn told_scheme(keys: &Keys) -> Option<Scheme> {
    let told = keys.get("scheme")?.as_str()?;
    Some(if told.eq_ignore_ascii_case("tms") { Scheme::Tms } else { Scheme::Xyz })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbers_before_a_known_extension() {
        assert_eq!(row("17.png"), Some((17, ".png")));
        assert_eq!(row("0.JPEG"), Some((0, ".JPEG")));
        assert_eq!(row("3.pbf"), Some((3, ".pbf")));
        assert_eq!(row("3@2x.webp"), Some((3, "@2x.webp")));
        assert!(is_retina("@2x.webp") && !is_retina(".webp"));
        for other in [
            "17.png.aux.xml",
            "17.kml",
            "17",
            "017.png",
            "+1.png",
            "-1.png",
            ".png",
            "a.png",
            "1@3x.png",
            "1@2x@2x.png",
            "@2x.png",
            "1é.png",
            "99999999999.png",
        ] {
            assert_eq!(row(other), None, "{other}");
        }
    }

    #[test]
    fn addresses_lie_in_the_matrix_of_their_level() {
        let square = &Grid::WebMercator;
        assert_eq!(address(2, 3, 0, (square, Scheme::Xyz)), Some(TileCoord::new(2, 3, 0)));
        assert_eq!(address(2, 3, 0, (square, Scheme::Tms)), Some(TileCoord::new(2, 3, 3)));
        let wide = &Grid::Set(crate::grid::registered("WorldCRS84Quad").expect("is known"));
        assert_eq!(address(2, 7, 3, (wide, Scheme::Tms)), Some(TileCoord::new(2, 7, 0)));
        assert_eq!(address(2, 7, 4, (wide, Scheme::Xyz)), None);
        for (z, x, y) in [(2, 4, 0), (2, 0, 4), (31, 0, 0), (400, 0, 0), (0, u32::MAX, 0)] {
            assert_eq!(address(z, x, y, (square, Scheme::Tms)), None);
        }
    }

    #[test]
    fn a_tile_map_service_description_tells_title_extent_and_rows() {
        let xml = r#"<TileMap version="1.0.0"><Title>Hills &amp; &lt;dales&gt;</Title>
            <BoundingBox minx="1.5" miny="2" maxx="3" maxy="4"/><TileSets profile="mercator">"#;
        let keys = keys(TMS, xml.as_bytes()).expect("keys");
        assert_eq!(keys["name"], "Hills & <dales>");
        assert_eq!(keys["bounds"], "1.5,2,3,4");
        assert_eq!(told_scheme(&keys), Some(Scheme::Tms));
        assert!(!keys.contains_key("profile"));
        let keys = tms(r#"<TileSets profile="geodetic">"#);
        assert_eq!(keys["profile"], "geodetic");
        assert!(!keys.contains_key(TILING));
        for (pixel, name) in
            [("1.40625000000000", "GlobalGeodeticOriginLat270"), ("0.703125", "WorldCRS84Quad")]
        {
            let set = format!(r#"<TileSet href="0" units-per-pixel="{pixel}" order="0"/>"#);
            assert_eq!(tms(&format!(r#"<TileSets profile="geodetic">{set}"#))[TILING], name);
        }
    }
}
