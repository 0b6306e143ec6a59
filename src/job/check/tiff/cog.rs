//! Whether a `GeoTIFF` is a cloud-optimised one: the rules of GDAL's `validate_cloud_optimized_geotiff` and of
//! `rio cogeo validate`. Where the two differ, the stricter rule holds.

use super::layout::Ghost;
use crate::raster::probe::{Layout, Level};

/// Where an image begins in the file: its directory, and the first block that is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    pub directory: u64,
    pub data: Option<u64>,
    /// Whether its blocks are tiles, which may be as wide as the image.
    pub tiled: bool,
}

/// Largest raster without tiles and overviews.
const SMALL: usize = 512;

/// Widest tile that may be as wide as the image: GDAL takes wider ones for strips.
const WIDEST: usize = 1024;

/// Furthest place of the first directory, for a header of any kind before it.
const FURTHEST: u64 = 300;

/// Why a file is no cloud-optimised `GeoTIFF`, and what could be better. `begins` are the raster and its overviews, as many as
/// the layout has; `broken` are promises of the header that do not hold.
pub(super) fn judge(
    layout: &Layout,
    begins: &[Begin],
    big: bool,
    ghost: Option<&Ghost>,
    broken: &[String],
) -> (Vec<String>, Vec<String>) {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let mut error = |text: String| errors.push(text);
    if layout.external_overviews {
        error("its overviews are in a file of their own (.ovr)".to_owned());
    }
    let Some((main, overviews)) = layout.levels.split_first() else { return (errors, warnings) };
    let large = |size: crate::window::Size| size.width > SMALL || size.height > SMALL;
    let strips = |number: usize, level: &Level| {
        let tiled = begins.get(number).is_some_and(|begin| begin.tiled) && level.block.width <= WIDEST;
        level.block.width == level.size.width && !tiled
    };
    if large(main.size) {
        if strips(0, main) {
            error(format!("it is larger than {SMALL} pixels and has strips, not tiles"));
        }
        if overviews.is_empty() {
            warnings.push(format!("it is larger than {SMALL} pixels and has no overviews"));
        }
    }
    if let Some(ghost) = ghost.filter(|ghost| ghost.edited) {
        let _ = ghost;
        error("it was changed after it was made (KNOWN_INCOMPATIBLE_EDITION=YES)".to_owned());
    }
    if let Some(first) = begins.first() {
        let plain = if big { 16 } else { 8 };
        let expected = ghost.map_or(plain, |ghost| ghost.end);
        let at = first.directory;
        if at != expected && at != 8 && at != 16 {
            error(format!("its first directory is at byte {at}, not at {expected}"));
        } else if at > FURTHEST {
            error(format!("its first directory is at byte {at}, behind {FURTHEST}"));
        }
    }
    for (number, pair) in layout.levels.windows(2).enumerate() {
        let (above, below) = (pair[0].size, pair[1].size);
        if below.width > above.width || below.height > above.height {
            error(format!("overview {number} is larger than what it is an overview of"));
        } else if below == main.size {
            error(format!("overview {number} has as many pixels as the raster"));
        }
        if large(below) && strips(number + 1, &pair[1]) {
            error(format!("overview {number} has strips, not tiles"));
        }
    }
    // Overviews elsewhere have places elsewhere.
    if layout.external_overviews {
        return (errors, warnings);
    }
    let name = |level: usize| match level {
        0 => "the raster".to_owned(),
        level => format!("overview {}", level - 1),
    };
    for (level, pair) in begins.windows(2).enumerate() {
        if pair[1].directory < pair[0].directory {
            error(format!(
                "the directory of {} (byte {}) lies before that of {} (byte {})",
                name(level + 1),
                pair[1].directory,
                name(level),
                pair[0].directory
            ));
        }
        if let (Some(large), Some(small)) = (pair[0].data, pair[1].data)
            && large < small
        {
            error(format!(
                "the blocks of {} (byte {large}) lie before those of {} (byte {small})",
                name(level),
                name(level + 1)
            ));
        }
    }
    if let Some(Begin { directory, data: Some(data), .. }) = begins.last()
        && data < directory
    {
        let level = name(begins.len() - 1);
        error(format!("the blocks of {level} (byte {data}) lie before its directory (byte {directory})"));
    }
    errors.extend(broken.iter().cloned());
    (errors, warnings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Size;

    fn layout(sizes: &[usize], block: usize) -> Layout {
        let level = |side: &usize| Level {
            size: Size::new(*side, *side),
            block: Size::new(block, block),
            ifd: None,
            mask: None,
        };
        Layout {
            bands: 3,
            sample_type: "Byte".to_owned(),
            sample_bytes: 1,
            interleaved: true,
            levels: sizes.iter().map(level).collect(),
            external_overviews: false,
            external_mask: false,
        }
    }

    fn begins(places: &[(u64, u64)]) -> Vec<Begin> {
        let begin =
            |(directory, data): &(u64, u64)| Begin { directory: *directory, data: Some(*data), tiled: false };
        places.iter().map(begin).collect()
    }

    fn errors(layout: &Layout, places: &[(u64, u64)]) -> Vec<String> {
        judge(layout, &begins(places), false, None, &[]).0
    }

    #[test]
    fn directories_come_first_and_data_from_the_smallest_to_the_largest() {
        let layout = layout(&[2000, 1000, 500], 256);
        assert_eq!(errors(&layout, &[(8, 9000), (200, 5000), (400, 1000)]), [""; 0]);
        for places in [
            [(8, 5000), (200, 9000), (400, 1000)],
            [(8, 9000), (200, 1000), (400, 5000)],
            [(8, 9000), (600, 5000), (400, 1000)],
            [(20, 9000), (200, 5000), (400, 1000)],
            [(8, 9000), (200, 5000), (400, 300)],
        ] {
            assert!(!errors(&layout, &places).is_empty(), "{places:?}");
        }
    }

    #[test]
    fn large_rasters_need_tiles_and_should_have_overviews() {
        let wide = layout(&[600, 300], 600);
        assert!(errors(&wide, &[(8, 500), (100, 400)])[0].contains("strips"));
        let tiled = |begin| Begin { tiled: true, ..begin };
        let tiles: Vec<Begin> = begins(&[(8, 500), (100, 400)]).into_iter().map(tiled).collect();
        assert_eq!(judge(&wide, &tiles, false, None, &[]).0, [""; 0]);
        let (errors, warnings) = judge(&layout(&[600], 256), &begins(&[(8, 500)]), false, None, &[]);
        assert!(errors.is_empty() && warnings[0].contains("no overviews"));
        assert!(judge(&layout(&[512], 512), &begins(&[(8, 500)]), false, None, &[]).1.is_empty());
    }
}
