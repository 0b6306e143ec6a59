//! Pages: their templates filled in.

use serde::Serialize;

use super::library::{self, Library};
use crate::error::{Error, Result};
use crate::grid::TileMatrixLimits;
use crate::tileset::{Scheme, TileJson, TilesetInfo};

/// The page around the map.
const TEMPLATE: &str = include_str!("page/index.html");
/// Its own style and scripts.
pub(super) const STYLE: &str = include_str!("page/page.css");
pub(super) const TERRAIN: &str = include_str!("page/terrain.js");
pub(super) const SCRIPT: &str = include_str!("page/page.js");

/// What a page knows of its tile set.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    tilejson: TileJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<[u32; 4]>,
    /// Side of the pictures that tiles are, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pixels: Option<u32>,
}

/// The description of a set for a page that stands where its tiles do.
///
/// # Errors
/// [`Error::Internal`] when a number is not finite.
pub(super) fn shown(info: &TilesetInfo, limits: &TileMatrixLimits, pixels: Option<u32>) -> Result<String> {
    let info = TilesetInfo { url: None, ..info.clone() };
    let shown = Shown { tilejson: info.tilejson(), limits: limits.ranges(), pixels };
    let text = serde_json::to_string(&shown)
        .map_err(|e| Error::Internal(format!("the description of a page cannot be written: {e}")))?;
    // Nothing in it may end the element it stands in.
    Ok(text.replace('<', "\\u003c"))
}

/// Fills in the places of a template in one pass, so that what is filled in may hold anything, also the names of places.
pub(super) fn fill(template: &str, info: &TilesetInfo, styles: &str, scripts: &str, shown: &str) -> String {
    let title = escaped(&info.name);
    let mut page = String::with_capacity(template.len() + styles.len() + scripts.len() + shown.len());
    let mut rest = template;
    while let Some((before, (place, after))) =
        rest.split_once("{{").and_then(|(before, after)| Some((before, after.split_once("}}")?)))
    {
        page.push_str(before);
        page.push_str(match place {
            "title" => &title,
            "styles" => styles,
            "scripts" => scripts,
            "tileset" => shown,
            _ => "",
        });
        rest = after;
    }
    page + rest
}

/// The page of the server, which has its scripts as files beside it. The server numbers rows from the north; pictures have `pixels` a
/// side, and the library is beside them if it is built in.
///
/// # Errors
/// As [`shown`].
pub(super) fn served(
    info: &TilesetInfo,
    limits: &TileMatrixLimits,
    pixels: u32,
    built_in: bool,
) -> Result<String> {
    let (style, script) = if built_in {
        (
            r#"<link rel="stylesheet" href="assets/ol.css">"#.to_owned(),
            r#"<script src="assets/ol.js"></script>"#.to_owned(),
        )
    } else {
        (Library::OpenLayers.style(), Library::OpenLayers.script())
    };
    let styles = format!("{style}\n<link rel=\"stylesheet\" href=\"assets/page.css\">");
    let own = r#"<script src="assets/terrain.js"></script>
<script src="assets/page.js"></script>"#;
    let info = TilesetInfo { scheme: Scheme::Xyz, ..info.clone() };
    Ok(fill(TEMPLATE, &info, &styles, &format!("{script}\n{own}"), &shown(&info, limits, Some(pixels))?))
}

/// What the page of the server may load: its own files, and the library if that is not among them.
pub(super) fn policy(built_in: bool) -> String {
    let library = if built_in { String::new() } else { format!(" {}", library::PUBLIC) };
    format!(
        "default-src 'none'; script-src 'self'{library}; style-src 'self'{library}; img-src 'self' blob: data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The same page in one file, to stand beside a folder of tiles.
///
/// # Errors
/// As [`shown`].
pub(super) fn whole(info: &TilesetInfo, limits: &TileMatrixLimits) -> Result<String> {
    let styles = format!("{}\n<style>\n{STYLE}</style>", Library::OpenLayers.style());
    let scripts = format!("{}\n<script>\n{TERRAIN}\n{SCRIPT}</script>", Library::OpenLayers.script());
    Ok(fill(TEMPLATE, info, &styles, &scripts, &shown(info, limits, None)?))
}

fn escaped(text: &str) -> String {
    let pairs = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;")];
    pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(*from, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::TileFormat;
    use crate::grid::Bounds;

    fn info() -> TilesetInfo {
        let bounds = Bounds { west: 1.0, south: 2.0, east: 3.0, north: 4.0 };
        let name = "</title><script>alert(1)</script> & {{tileset}}";
        let mut info = TilesetInfo::new(name, bounds, TileFormat::Png, 256).with_zooms(3, 5);
        info.url = Some("https://tiles.example.org/t".to_owned());
        info
    }

    #[test]
    fn names_of_tile_sets_cannot_leave_their_place() {
        for page in [
            served(&info(), &TileMatrixLimits::default(), 256, true),
            whole(&info(), &TileMatrixLimits::default()),
        ] {
            let page = page.expect("a page");
            assert!(!page.contains("<script>alert"), "{page}");
            assert!(page.contains("&lt;/title&gt;&lt;script&gt;alert(1)"));
            let (_, data) = page.split_once(r#"id="tileset">"#).expect("the description");
            let data = data.split_once("</script>").expect("its end").0;
            let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
            assert_eq!(data["name"], info().name);
            assert_eq!(data["tiles"][0], "{z}/{x}/{y}.png");
        }
    }

    #[test]
    fn no_place_of_a_template_is_left_empty() {
        let mut info = info();
        info.name = "hills".to_owned();
        let mut limits = TileMatrixLimits::default();
        limits.add(crate::grid::TileCoord::new(5, 7, 8));
        for page in [served(&info, &limits, 256, false), whole(&info, &limits)] {
            let page = page.expect("a page");
            assert!(!page.contains("{{"), "{page}");
            assert!(page.contains("<title>hills</title>") && page.contains(r#""limits":[7,8,7,8]"#));
        }
    }

    #[test]
    fn the_page_of_the_server_may_load_what_it_names_and_nothing_else() {
        let page = |built_in| served(&info(), &TileMatrixLimits::default(), 256, built_in).expect("a page");
        let (offline, online) = (policy(true), policy(false));
        assert!(offline.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{offline}");
        assert!(!page(true).contains("https://") && !offline.contains("https://"));
        assert_eq!(page(false).matches(r#"="https://"#).count(), 2);
        assert_eq!(page(false).matches(&format!(r#"="{}/npm/ol@"#, library::PUBLIC)).count(), 2);
        assert_eq!(online.matches(&format!("-src 'self' {};", library::PUBLIC)).count(), 2, "{online}");
        assert!(!online.contains("unsafe") && !offline.contains("unsafe"));
    }
}
