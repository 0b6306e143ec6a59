//! Ramps that have names: those of matplotlib that are even to the eye, and `ColorBrewer`'s.

use colorous::Gradient;

use super::{Between, Colormap, Position};
use crate::encode::Rgba;

/// Colours that a ramp is made of.
const STEPS: usize = 256;

/// The names of matplotlib, and the ramps.
const RAMPS: [(&str, Gradient); 33] = [
    ("viridis", colorous::VIRIDIS),
    ("inferno", colorous::INFERNO),
    ("magma", colorous::MAGMA),
    ("plasma", colorous::PLASMA),
    ("cividis", colorous::CIVIDIS),
    ("turbo", colorous::TURBO),
    ("greys", colorous::GREYS),
    ("blues", colorous::BLUES),
    ("greens", colorous::GREENS),
    ("oranges", colorous::ORANGES),
    ("purples", colorous::PURPLES),
    ("reds", colorous::REDS),
    ("bugn", colorous::BLUE_GREEN),
    ("bupu", colorous::BLUE_PURPLE),
    ("gnbu", colorous::GREEN_BLUE),
    ("orrd", colorous::ORANGE_RED),
    ("pubu", colorous::PURPLE_BLUE),
    ("pubugn", colorous::PURPLE_BLUE_GREEN),
    ("purd", colorous::PURPLE_RED),
    ("rdpu", colorous::RED_PURPLE),
    ("ylgn", colorous::YELLOW_GREEN),
    ("ylgnbu", colorous::YELLOW_GREEN_BLUE),
    ("ylorbr", colorous::YELLOW_ORANGE_BROWN),
    ("ylorrd", colorous::YELLOW_ORANGE_RED),
    ("brbg", colorous::BROWN_GREEN),
    ("piyg", colorous::PINK_GREEN),
    ("prgn", colorous::PURPLE_GREEN),
    ("puor", colorous::PURPLE_ORANGE),
    ("rdbu", colorous::RED_BLUE),
    ("rdgy", colorous::RED_GREY),
    ("rdylbu", colorous::RED_YELLOW_BLUE),
    ("rdylgn", colorous::RED_YELLOW_GREEN),
    ("spectral", colorous::SPECTRAL),
];

/// A share of the way along a ramp, and the colour there.
type Stop = (f64, [u8; 3]);

/// Ramps of a few colours with straight lines between.
const LINES: [(&str, &[Stop]); 2] = [
    ("gray", &[(0.0, [0, 0, 0]), (1.0, [255, 255, 255])]),
    // The stops of matplotlib's "terrain".
    (
        "terrain",
        &[
            (0.0, [51, 51, 153]),
            (0.15, [0, 153, 255]),
            (0.25, [0, 204, 102]),
            (0.5, [255, 255, 153]),
            (0.75, [128, 92, 84]),
            (1.0, [255, 255, 255]),
        ],
    ),
];

fn names() -> impl Iterator<Item = &'static str> {
    RAMPS.iter().map(|(name, _)| *name).chain(LINES.iter().map(|(name, _)| *name))
}

/// All names, for messages.
pub(super) fn list() -> String {
    names().collect::<Vec<_>>().join(", ")
}

/// Whether a ramp has this name, case aside.
pub fn exists(name: &str) -> bool {
    ramp(name).is_some()
}

/// The ramp's name that a word may have meant.
pub fn nearest(word: &str) -> Option<&'static str> {
    crate::spelling::nearest(word, &names().collect::<Vec<_>>())
}

/// The ramp of a name, case aside; reversed when the name ends in `_r`.
pub(super) fn ramp(name: &str) -> Option<Colormap> {
    let name = name.to_ascii_lowercase();
    let (name, reversed) = name.strip_suffix("_r").map_or((&name[..], false), |name| (name, true));
    // matplotlib spells both ways.
    let name = match name {
        "grey" => "gray",
        "grays" => "greys",
        other => other,
    };
    let turned = |share: f64| if reversed { 1.0 - share } else { share };
    let opaque = |[r, g, b]: [u8; 3]| -> Rgba { [r, g, b, 255] };
    let line = LINES.iter().find(|(n, _)| *n == name);
    let entries: Vec<(Position, Rgba)> = if let Some((_, stops)) = line {
        stops.iter().map(|(share, colour)| (Position::Share(turned(*share)), opaque(*colour))).collect()
    } else {
        let (_, gradient) = RAMPS.iter().find(|(n, _)| *n == name)?;
        let step = |k: usize| {
            let colour = gradient.eval_rational(k, STEPS);
            (Position::Share(turned(k as f64 / (STEPS - 1) as f64)), opaque(colour.into_array()))
        };
        (0..STEPS).map(step).collect()
    };
    Colormap::entries(Between::Mixed, entries).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_ramp_and_its_reverse_the_other_way_round() {
        for name in names() {
            let forth = ramp(name).expect(name).table([0.0, 1.0]);
            let back = ramp(&format!("{}_r", name.to_uppercase())).expect(name).table([0.0, 1.0]);
            assert_eq!(forth.colour(0.0), back.colour(1.0), "{name}");
            assert_eq!(forth.colour(0.25), back.colour(0.75), "{name}");
        }
        assert!(ramp("hotdog").is_none());
    }

    #[test]
    fn viridis_has_the_colours_of_matplotlib() {
        let table = ramp("viridis").expect("there").table([0.0, 255.0]);
        assert_eq!(table.colour(0.0), [68, 1, 84, 255]);
        assert_eq!(table.colour(255.0), [253, 231, 37, 255]);
        assert_eq!(table.colour(128.0), [32, 145, 140, 255]);
    }
}
