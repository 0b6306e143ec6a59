//! Tags that say what the pixels mean: the keys of the CRS (OGC 19-008r4, GeoTIFF 1.1, clause 7.1) and GDAL's nodata value.

use super::super::report::Faults;
use super::directory::{Directory, Tiff, tag};

/// Longest list of keys, and longest text, that is looked at.
const MOST: u64 = 1 << 20;

pub(super) fn check(tiff: &Tiff<'_>, directory: &Directory, faults: &mut Faults) {
    if let Some(values) = directory.values(tag::GEO_KEYS)
        && values.len() <= MOST
        && let Some(keys) = tiff.numbers(values)
        && let Err(why) = check_keys(&keys, directory)
    {
        faults.warning("geo-keys", format!("directory {}: its GeoTIFF keys {why}", directory.number + 1));
    }
    if let Some(text) = directory.values(tag::GDAL_NODATA).and_then(|values| tiff.raw(values, 256)) {
        let text = String::from_utf8_lossy(&text);
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        if text.parse::<f64>().is_err() {
            let text = format!("directory {}: its nodata value '{text}' is no number", directory.number + 1);
            faults.warning("nodata", text);
        }
    }
}

fn check_keys(keys: &[u64], directory: &Directory) -> Result<(), String> {
    let [version, _, _, count, entries @ ..] = keys else { return Err("are cut off".to_owned()) };
    if *version != 1 {
        return Err(format!("are of version {version}"));
    }
    let entries: Vec<&[u64]> = entries.chunks_exact(4).take(*count as usize).collect();
    if (entries.len() as u64) < *count {
        return Err(format!("should be {count}, there are {}", entries.len()));
    }
    if entries.windows(2).any(|pair| pair[0][0] >= pair[1][0]) {
        return Err("are not in ascending order".to_owned());
    }
    for entry in entries {
        let (key, place, count, offset) = (entry[0], entry[1], entry[2], entry[3]);
        let Ok(place) = u16::try_from(place) else { continue };
        let own = place == tag::GEO_KEYS;
        if place == 0 || own {
            continue;
        }
        let there = directory.values(place).map_or(0, |values| values.count);
        if offset + count > there {
            return Err(format!(
                "point to values {offset} to {} of tag {place} for key {key}, which has {there}",
                offset + count
            ));
        }
    }
    Ok(())
}
