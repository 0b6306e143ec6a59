//! Which parts of a raster hold data, as far as the structure of the file tells without reading pixels.
//!
//! A mosaic can be a thousand times as large as its data. Where a format says that nothing is stored (a VRT between its
//! sources, a sparse GeoTIFF), and what is read there is nodata, no tile need be planned.

use gdal::Dataset;

use super::source::Selection;
use super::{Description, SourceSpec, SrcNodata, raw, reason};
use crate::error::Result;
use crate::window::{Size, Window};

/// Rasters with fewer pixels are not looked at: making their tiles takes no longer than looking.
const LEAST: usize = 4096 * 4096;

/// Rasters of more blocks are not looked at either: to ask after each would take minutes.
const MOST_BLOCKS: usize = 1 << 25;

/// Side of the smallest square that is looked at, in pixels.
const FINEST: usize = 1024;

/// Squares along the longer side that are looked at first.
const FIRST: usize = 32;

/// Holes whose pixels are read to see that they are nodata indeed.
const PROBES: usize = 8;

/// What the structure of a file tells of its data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Coverage {
    /// The windows that may hold data, which do not overlap; `None` when that is all of the raster, or nobody can tell.
    pub data: Option<Vec<Window>>,
    /// Share of the raster in which nothing is stored but zeros are read that nothing declares to be without data.
    pub zeros: f64,
}

impl Coverage {
    /// What the file tells of the selected bands.
    ///
    /// # Errors
    /// [`crate::Error::Input`] when the raster cannot be opened or read.
    pub fn of(spec: &SourceSpec, description: &Description, selection: &Selection) -> Result<Self> {
        let (size, block) = (description.size, description.block);
        let blocks =
            size.width.div_ceil(block.width.max(1)).saturating_mul(size.height.div_ceil(block.height.max(1)));
        // What is read from a hole counts as data then.
        let all = spec.src_nodata == SrcNodata::None;
        if all || size.area() < LEAST || blocks > MOST_BLOCKS {
            return Ok(Self::default());
        }
        Self::find(spec, description, selection).map_err(|e| spec.error(e))
    }

    fn find(spec: &SourceSpec, description: &Description, selection: &Selection) -> Result<Self, String> {
        let dataset = spec.open_dataset(None)?;
        let bands = telling_bands(&dataset, description, selection)?;
        let declared = bands.iter().any(|telling| telling.nodata.is_some());
        if !declared && spec.is_remote() {
            return Ok(Self::default());
        }
        let mut search = Search { dataset: &dataset, bands: &bands, data: Vec::new(), holes: Vec::new() };
        search.whole(description.size)?;
        let Search { data, holes, .. } = search;
        if !declared {
            let area: usize = holes.iter().map(Window::area).sum();
            return Ok(Self { data: None, zeros: area as f64 / description.size.area() as f64 });
        }
        let stride = holes.len().div_ceil(PROBES).max(1);
        for hole in holes.iter().step_by(stride) {
            if !holds_nodata(&dataset, hole, &bands)? {
                return Ok(Self::default());
            }
        }
        Ok(Self { data: (!holes.is_empty()).then(|| joined(data)), zeros: 0.0 })
    }
}

/// A band whose holes tell of data, and the value its pixels have where there is none, if there is such a value.
struct Telling {
    band: usize,
    nodata: Option<f64>,
}

/// The bands that are without data together where all of them have holes.
fn telling_bands(
    dataset: &Dataset,
    description: &Description,
    selection: &Selection,
) -> Result<Vec<Telling>, String> {
    // What is read from a hole.
    let filled = |n: usize| -> Result<f64, String> {
        let band = dataset.rasterband(n).map_err(|e| reason(&e))?;
        Ok(band.no_data_value().unwrap_or(0.0))
    };
    if let Some(band) = selection.alpha.filter(|alpha| filled(*alpha) == Ok(0.0)) {
        return Ok(vec![Telling { band, nodata: Some(0.0) }]);
    }
    let read: Vec<f64> = selection.bands.iter().map(|n| filled(*n)).collect::<Result<_, _>>()?;
    let lists = description.nodata_lists(&selection.bands).unwrap_or_default();
    // Of several lists of values the one that holes are read as.
    let is_read =
        |list: &&Vec<Option<f64>>| list.iter().zip(&read).all(|(n, v)| n.is_some_and(|n| same(n, *v)));
    let list = lists.iter().find(is_read).or(lists.first());
    let nodata = |k: usize| list.and_then(|list| list.get(k).copied()).flatten();
    Ok(selection.bands.iter().enumerate().map(|(k, &band)| Telling { band, nodata: nodata(k) }).collect())
}

/// Whether two values are the same number, or both are none.
fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

struct Search<'a> {
    dataset: &'a Dataset,
    bands: &'a [Telling],
    data: Vec<Window>,
    holes: Vec<Window>,
}

impl Search<'_> {
    /// Looks at squares all over the raster.
    fn whole(&mut self, size: Size) -> Result<(), String> {
        let side = (size.width.max(size.height) / FIRST).next_power_of_two().max(FINEST);
        for y in (0..size.height).step_by(side) {
            for x in (0..size.width).step_by(side) {
                let square = Window::new(x as i64, y as i64, side, side);
                self.square(square.intersection(&size.window()), side)?;
            }
        }
        Ok(())
    }

    /// Looks at a square, and at its quarters if it is neither a hole nor without one.
    fn square(&mut self, window: Window, side: usize) -> Result<(), String> {
        if window.is_empty() {
            return Ok(());
        }
        if self.is_hole(window)? {
            self.holes.push(window);
            return Ok(());
        }
        if side <= FINEST {
            self.data.push(window);
            return Ok(());
        }
        let (half, before) = (side / 2, self.holes.len());
        let found = self.data.len();
        for (i, j) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let quarter = Window::new(window.x + i * half as i64, window.y + j * half as i64, half, half);
            self.square(quarter.intersection(&window), half)?;
        }
        if self.holes.len() == before {
            self.data.truncate(found);
            self.data.push(window);
        }
        Ok(())
    }

    fn is_hole(&self, window: Window) -> Result<bool, String> {
        for telling in self.bands {
            let band = self.dataset.rasterband(telling.band).map_err(|e| reason(&e))?;
            if !raw::is_hole(&band, window) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether the pixel in the middle of a window has no data.
fn holds_nodata(dataset: &Dataset, window: &Window, bands: &[Telling]) -> Result<bool, String> {
    let pixel = Window::new(window.x + window.width as i64 / 2, window.y + window.height as i64 / 2, 1, 1);
    for telling in bands {
        let mut value = [0f64];
        raw::read_interleaved(dataset, pixel, &[telling.band as i32], false, &mut value)?;
        let Some(nodata) = telling.nodata else { return Ok(false) };
        if !same(value[0], nodata) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Joins neighbours in a row of squares of one size.
fn joined(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort_unstable_by_key(|w| (w.y, w.height, w.x));
    let mut all: Vec<Window> = Vec::new();
    for window in windows {
        match all.last_mut() {
            Some(last) if (last.y, last.height, last.right()) == (window.y, window.height, window.x) => {
                last.width += window.width;
            }
            _ => all.push(window),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_a_row_are_joined() {
        let windows = vec![
            Window::new(1024, 0, 1024, 1024),
            Window::new(0, 1024, 1024, 1024),
            Window::new(0, 0, 1024, 1024),
            Window::new(4096, 0, 2048, 2048),
        ];
        let expected = [
            Window::new(0, 0, 2048, 1024),
            Window::new(4096, 0, 2048, 2048),
            Window::new(0, 1024, 1024, 1024),
        ];
        assert_eq!(joined(windows), expected);
    }
}
