//! Creation options of GDAL's drivers, checked before anything is made: GDAL passes over what it does not know.

use gdal::{DriverManager, Metadata};

use crate::error::{Error, Result};
use crate::spelling::nearest;

/// An option as a driver lists it.
#[derive(Debug, PartialEq, Eq)]
struct Known<'a> {
    name: &'a str,
    /// The values it may have, where these are listed.
    values: Vec<&'a str>,
}

/// Refuses creation options (`KEY=VALUE`) that a driver does not list, and values that it does not list for them.
///
/// # Errors
/// [`Error::Usage`] with the nearest name or the values there are.
pub fn check_creation_options(driver: &str, options: &[String]) -> Result<()> {
    let found = DriverManager::get_driver_by_name(driver)
        .map_err(|e| Error::Usage(format!("-f {driver}: {}", super::reason(&e))))?;
    let list = found.metadata_item("DMD_CREATIONOPTIONLIST", "").unwrap_or_default();
    let known = listed(&list);
    options.iter().try_for_each(|option| {
        check(driver, &known, option).map_err(|why| Error::Usage(format!("--co {option}: {why}")))
    })
}

fn check(driver: &str, known: &[Known<'_>], option: &str) -> Result<(), String> {
    let pair = option.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
    let (key, value) = pair.filter(|(key, _)| !key.is_empty()).ok_or("give KEY=VALUE")?;
    if known.is_empty() {
        return Ok(());
    }
    let Some(entry) = known.iter().find(|known| known.name.eq_ignore_ascii_case(key)) else {
        let names: Vec<&str> = known.iter().map(|known| known.name).collect();
        let near = nearest(key, &names).map_or_else(String::new, |name| format!("; did you mean {name}?"));
        return Err(format!("{driver} has no such option{near}"));
    };
    if entry.values.is_empty() || entry.values.iter().any(|known| known.eq_ignore_ascii_case(value)) {
        return Ok(());
    }
    Err(format!("known values of {} are {}", entry.name, entry.values.join(", ")))
}

/// The options in a driver's list, which is XML.
fn listed(list: &str) -> Vec<Known<'_>> {
    let known = list.split("<Option ").skip(1).filter_map(|option| {
        let (start, rest) = option.split_once('>')?;
        let selects = attribute(start, "type=") == Some("string-select");
        let inner = rest.split("</Option>").next().filter(|_| selects && !start.ends_with('/'));
        let values = inner.into_iter().flat_map(|inner| inner.split("<Value").skip(1)).flat_map(|value| {
            let (start, text) = value.split_once('>').unwrap_or_default();
            [text.split('<').next(), attribute(start, "alias=")]
        });
        Some(Known { name: attribute(start, "name=")?, values: values.flatten().map(str::trim).collect() })
    });
    known.collect()
}

/// The value of an attribute, in either kind of quotes.
fn attribute<'a>(tag: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(key)?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest[1..].split(quote).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "<CreationOptionList><Option name='COMPRESS' type='string-select'><Value>NONE</Value>\
                        <Value alias=\"ZIP\">DEFLATE</Value></Option><Option type=\"int\" name=\"ZLEVEL\"/></CreationOptionList>";

    #[test]
    fn names_and_values_are_those_of_the_list() {
        let known = listed(LIST);
        let check = |option| check("GTiff", &known, option);
        for good in ["COMPRESS=NONE", "compress=zip", "ZLEVEL=9"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check("COMPRESS=FOO"), Err("known values of COMPRESS are NONE, DEFLATE, ZIP".to_owned()));
        assert_eq!(check("COMPRES=NONE"), Err("GTiff has no such option; did you mean COMPRESS?".to_owned()));
        assert_eq!(check("COMPRESS"), Err("give KEY=VALUE".to_owned()));
        assert_eq!(check("=1"), Err("give KEY=VALUE".to_owned()));
    }

    #[test]
    fn the_driver_of_geotiff_lists_its_compressions() {
        let check = |option: &str| check_creation_options("GTiff", &[option.to_owned()]);
        assert!(check("COMPRESS=DEFLATE").is_ok() && check("BIGTIFF=if_safer").is_ok());
        assert!(matches!(check("COMPRESS=FOO"), Err(Error::Usage(text)) if text.contains("LZW")));
    }
}
