//! What the server has: the page, its files, the description of the set, and its tiles. Nothing else can be asked for.
//!
//! No path of a request ever becomes a path of the file system: it is either one of a few fixed names, or three numbers.

use hyper::body::Bytes;
use xxhash_rust::xxh3::xxh3_128;

use super::library::{BUILT_IN, is_built_in};
use super::page;
use crate::error::{Error, Result};
use crate::grid::{Grid, TileCoord, TileMatrixLimits};
use crate::store::{Picture, TileStore};
use crate::tileset::{Scheme, TilesetInfo};

/// Bytes that can be asked for.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) bytes: Bytes,
    /// Media type.
    pub(super) media: &'static str,
    /// Entity tag: a hash of the bytes.
    pub(super) tag: String,
}

impl Resource {
    fn new(bytes: impl Into<Bytes>, media: &'static str) -> Self {
        let bytes = bytes.into();
        let tag = format!("\"{:032x}\"", xxh3_128(&bytes));
        Self { bytes, media, tag }
    }
}

/// What is found under a path.
#[derive(Debug)]
pub(super) enum Found {
    /// Something.
    Resource(Resource),
    /// A tile of one of the set's levels that the set does not have: nothing is there to be drawn.
    Hole,
    /// Nothing.
    Missing,
    /// A tile that cannot be read or is damaged, and why.
    Damaged(String),
}

/// A tile set and the page about it. It lives on the thread that opened it, as its store does.
pub(super) struct Site {
    store: Box<dyn TileStore>,
    /// What never changes, by its path.
    fixed: Vec<(&'static str, Resource)>,
    /// What follows the row in the path of a tile.
    ending: String,
}

impl Site {
    /// A site about a tile set.
    ///
    /// # Errors
    /// [`Error::Input`] when the tiles cannot be listed (which is needed only where nothing says how far they reach).
    pub(super) fn new(store: Box<dyn TileStore>) -> Result<Self> {
        let mut limits = TileMatrixLimits::default();
        if store.info().grid != Grid::WebMercator {
            store.each(&mut |coord, _| {
                limits.add(coord);
                Ok(())
            })?;
        }
        let page = page::served(store.info(), &limits, store.about().picture.width, is_built_in())?;
        let index = Resource::new(page, "text/html; charset=utf-8");
        let script = "text/javascript; charset=utf-8";
        let style = "text/css; charset=utf-8";
        let mut fixed = vec![
            ("/", index.clone()),
            ("/index.html", index),
            ("/assets/page.css", Resource::new(page::STYLE, style)),
            ("/assets/page.js", Resource::new(page::SCRIPT, script)),
            ("/assets/terrain.js", Resource::new(page::TERRAIN, script)),
        ];
        if let Some(library) = BUILT_IN {
            fixed.push(("/assets/ol.css", Resource::new(library.style, style)));
            fixed.push(("/assets/ol.js", Resource::new(library.script, script)));
            let licence = Resource::new(library.licence, "text/plain; charset=utf-8");
            fixed.push(("/assets/ol-licence.txt", licence));
        }
        let relative = TilesetInfo { url: None, ..store.info().clone() };
        let ending = relative.tile_url().replace("{z}/{x}/{y}", "");
        Ok(Self { store, fixed, ending })
    }

    /// What is found under a path. `base` is the address of the site as the client knows it, for the description of the set.
    ///
    /// # Errors
    /// [`Error::Internal`] when the description cannot be written.
    pub(super) fn find(&self, path: &str, base: &str) -> Result<Found> {
        if let Some((_, resource)) = self.fixed.iter().find(|(name, _)| *name == path) {
            return Ok(Found::Resource(resource.clone()));
        }
        if path == "/tilejson.json" {
            let mut info = self.store.info().clone();
            info.scheme = Scheme::Xyz;
            info.url = Some(base.to_owned());
            return Ok(Found::Resource(Resource::new(info.tilejson().to_text()?, "application/json")));
        }
        Ok(self.address(path).map_or(Found::Missing, |coord| self.tile(coord)))
    }

    /// The address of a tile in a path: `/{z}/{x}/{y}.{extension}`, written in one way only, and of one of the set's levels.
    fn address(&self, path: &str) -> Option<TileCoord> {
        let mut numbers = path.strip_prefix('/')?.strip_suffix(&self.ending)?.split('/').map(number);
        let (z, x, y) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let info = self.store.info();
        let coord = TileCoord::new(u8::try_from(z).ok()?, x, y);
        let exists = (info.min_zoom..=info.max_zoom).contains(&coord.z) && info.grid.contains(coord);
        (exists && numbers.next().is_none()).then_some(coord)
    }

    /// A tile, if its bytes are a picture: a link in a folder that leads elsewhere is no tile.
    fn tile(&self, coord: TileCoord) -> Found {
        let bytes = match self.store.tile(coord) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Found::Hole,
            // Where the set is on this machine is nobody's business.
            Err(Error::Input { reason, .. }) => return Found::Damaged(format!("tile {coord}: {reason}")),
            Err(error) => return Found::Damaged(format!("tile {coord}: {error}")),
        };
        match Picture::of(&bytes) {
            Ok(picture) => Found::Resource(Resource::new(bytes, picture.format.media_type())),
            Err(why) => Found::Damaged(format!("tile {coord} {why}")),
        }
    }
}

/// A number without a sign or zeros before it.
fn number(text: &str) -> Option<u32> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (canonical && digits).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::encode::{Colour, EncoderOptions, Picture, Plane};
    use crate::store::open;

    /// A tile of one colour.
    fn tile() -> Vec<u8> {
        let pixels = vec![90; 32 * 32];
        let samples = Plane { bytes: &pixels, stride: 32 };
        let picture = Picture { width: 32, height: 32, colour: Colour::Gray, samples, alpha: None };
        let mut bytes = Vec::new();
        EncoderOptions::default().build().expect("an encoder").encode(&picture, &mut bytes).expect("encoded");
        bytes
    }

    fn site(names: &[&str]) -> (tempfile::TempDir, Site) {
        let dir = tempfile::tempdir().expect("tempdir");
        for name in names {
            let path = dir.path().join("set").join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
            fs::write(path, tile()).expect("file");
        }
        let site = Site::new(open(&dir.path().join("set"), None).expect("a set")).expect("a site");
        (dir, site)
    }

    fn kind(site: &Site, path: &str) -> &'static str {
        match site.find(path, "http://localhost") {
            Ok(Found::Resource(_)) => "there",
            Ok(Found::Hole) => "hole",
            Ok(Found::Missing) => "missing",
            Ok(Found::Damaged(_)) => "damaged",
            Err(_) => "error",
        }
    }

    #[test]
    fn tiles_have_one_address_each() {
        let (_dir, site) = site(&["2/1/3.png", "3/2/6.png"]);
        for (path, expected) in [
            ("/2/1/3.png", "there"),
            ("/3/2/6.png", "there"),
            ("/3/2/7.png", "hole"),
            ("/2/4/0.png", "missing"),
            ("/1/0/0.png", "missing"),
            ("/4/0/0.png", "missing"),
            ("/2/1/3.jpg", "missing"),
            ("/2/1/3.PNG", "missing"),
            ("/2/1/3", "missing"),
            ("/2/01/3.png", "missing"),
            ("/+2/1/3.png", "missing"),
            ("/2/1/-3.png", "missing"),
            ("/2/1/3/.png", "missing"),
            ("//2/1/3.png", "missing"),
            ("/2/1/3.png/", "missing"),
            ("/2/1/3.png.png", "missing"),
            ("/2/1/%33.png", "missing"),
            ("/4294967296/1/3.png", "missing"),
            ("/2/4294967297/3.png", "missing"),
            ("/255/0/0.png", "missing"),
            ("/set/2/1/3.png", "missing"),
            ("/tilejson.json", "there"),
            ("/assets/page.js", "there"),
            ("/assets/", "missing"),
            ("/assets/../tilejson.json", "missing"),
            ("", "missing"),
            ("*", "missing"),
        ] {
            assert_eq!(kind(&site, path), expected, "{path}");
        }
    }

    #[test]
    fn a_link_to_something_else_is_not_followed_to_the_reader() {
        let (dir, site) = site(&["2/1/3.png"]);
        fs::write(dir.path().join("secret"), "root:x:0:0").expect("file");
        std::os::unix::fs::symlink(dir.path().join("secret"), dir.path().join("set/2/1/2.png"))
            .expect("link");
        let Ok(Found::Damaged(why)) = site.find("/2/1/2.png", "") else { panic!("not damaged") };
        assert_eq!(why, "tile 2/1/2 is of no known format; known are PNG, JPEG and WebP");
    }

    #[test]
    fn the_description_names_the_address_it_was_asked_under() {
        let (_dir, site) = site(&["2/1/3.png"]);
        let Ok(Found::Resource(found)) = site.find("/tilejson.json", "http://localhost:1234") else {
            panic!()
        };
        let json: serde_json::Value = serde_json::from_slice(&found.bytes).expect("JSON");
        assert_eq!(json["tiles"][0], "http://localhost:1234/{z}/{x}/{y}.png");
        assert_eq!((&json["minzoom"], &json["scheme"]), (&2.into(), &"xyz".into()));
    }

    #[test]
    fn tags_tell_bytes_apart() {
        let tag = |bytes: &'static str| Resource::new(bytes, "text/plain").tag;
        assert_ne!(tag("a"), tag("b"));
        assert_eq!(tag("a"), tag("a"));
        assert_eq!(tag("a").len(), 34);
    }
}
