//! A catalogue of the chips: an item collection of STAC 1.0, with its projection extension.

use serde_json::{Map, Value, json};

use super::SplitJob;
use super::index::{IndexKind, List, Listed, Outline};
use crate::error::{Error, Result};

/// The extension that tells place and size in pixels.
const PROJECTION: &str = "https://stac-extensions.github.io/projection/v2.0.0/schema.json";

/// Refuses a catalogue without a time, which every item must have, and times that are none.
///
/// # Errors
/// [`Error::Usage`].
pub(super) fn check(job: &SplitJob) -> Result<()> {
    match &job.datetime {
        None if job.index.contains(&IndexKind::Stac) => Err(Error::Usage(
            "--index stac: every item tells when its pixels were taken; give that by --datetime 2024-06-30T10:20:00Z".to_owned(),
        )),
        Some(text) if !is_datetime(text) => {
            Err(Error::Usage(format!("--datetime '{text}': give it as 2024-06-30T10:20:00Z")))
        }
        Some(_) if !job.index.contains(&IndexKind::Stac) => {
            Err(Error::Usage("--datetime is for --index stac: no other index tells a time".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Whether a text is a time in UTC as RFC 3339 has it.
fn is_datetime(text: &str) -> bool {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range).filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|t| t.parse::<u32>().ok())
    };
    let marks = [(4, '-'), (7, '-'), (10, 'T'), (13, ':'), (16, ':')];
    let fraction = |t: &str| {
        t.is_empty() || (t.starts_with('.') && t.len() > 1 && t[1..].bytes().all(|b| b.is_ascii_digit()))
    };
    let within = |range: std::ops::Range<usize>, low: u32, high: u32| {
        number(range).is_some_and(|n| (low..=high).contains(&n))
    };
    text.is_ascii()
        && marks.iter().all(|(at, mark)| text.get(*at..=*at).is_some_and(|c| c.starts_with(*mark)))
        && text.strip_suffix('Z').and_then(|t| t.get(19..)).is_some_and(fraction)
        && number(0..4).is_some()
        && within(5..7, 1, 12)
        && within(8..10, 1, 31)
        && within(11..13, 0, 23)
        && within(14..16, 0, 59)
        && within(17..19, 0, 60)
}

/// The item of a place.
pub(super) fn item(list: &List<'_>, _number: usize, chip: &Listed, outline: Option<Outline>) -> Value {
    let (plan, window) = (list.plan, list.plan.window(chip.number));
    let mut properties = Map::new();
    properties.insert("datetime".to_owned(), json!(list.job.datetime));
    for (key, value) in list.properties(chip) {
        if ["subset", "row", "column", "x", "y", "valid"].contains(&key.as_str()) {
            properties.insert(format!("tileloom:{key}"), value);
        }
    }
    properties.insert("proj:shape".to_owned(), json!([window.height, window.width]));
    if let Some(g) = plan.geotransform(&window) {
        properties.insert("proj:transform".to_owned(), json!([g[1], g[2], g[0], g[4], g[5], g[3]]));
    }
    let code = plan.grid.georeferencing.crs.as_ref().filter(|crs| crs.contains(':'));
    properties.insert("proj:code".to_owned(), code.map_or(Value::Null, |crs| json!(crs)));
    if let Some(bounds) = list.bounds(&window) {
        properties.insert("proj:bbox".to_owned(), json!(bounds));
    }
    let mut assets = Map::new();
    for (layer, (_, file)) in plan.layers.iter().zip(list.files(chip)) {
        let role = if layer.label { "labels" } else { "data" };
        let asset = match list.shard(chip) {
            Some(shard) => {
                json!({"href": format!("./{shard}"), "type": "application/x-tar", "roles": [role], "tileloom:member": file})
            }
            None => json!({"href": format!("./{file}"), "type": media_type(layer.driver()), "roles": [role]}),
        };
        assets.insert(layer.name.clone(), asset);
    }
    let mut item = json!({
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [PROJECTION],
        "id": plan.name(chip.number).replace('/', "_"),
        "geometry": Value::Null,
        "properties": properties,
        "links": [],
        "assets": assets,
    });
    if let Some(ring) = outline {
        let all = |k: usize, pick: fn(f64, f64) -> f64| ring.iter().map(|p| p[k]).reduce(pick).unwrap_or(0.0);
        item["bbox"] = json!([all(0, f64::min), all(1, f64::min), all(0, f64::max), all(1, f64::max)]);
        item["geometry"] = json!({"type": "Polygon", "coordinates": [ring]});
    }
    item
}

/// The media type of a format.
fn media_type(driver: &str) -> &'static str {
    match driver {
        "GTiff" => "image/tiff; application=geotiff",
        "PNG" => "image/png",
        "JPEG" => "image/jpeg",
        "WEBP" => "image/webp",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_other_texts() {
        for good in ["2024-06-30T10:20:00Z", "1999-12-31T23:59:60.25Z"] {
            assert!(is_datetime(good), "{good}");
        }
        for bad in [
            "",
            "2024-06-30",
            "2024-06-30T10:20:00",
            "2024-13-30T10:20:00Z",
            "2024-06-30 10:20:00Z",
            "2024-06-30T10:20:00.Z",
            "2024-06-30T10:20:00Zé",
        ] {
            assert!(!is_datetime(bad), "{bad}");
        }
    }
}
