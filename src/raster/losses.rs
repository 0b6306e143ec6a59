//! Windows of inputs that could not be read, and what becomes of them.
//!
//! A damaged block fails a run, unless the user would rather have the rest: then its pixels count as pixels without data, and the
//! window is noted here, so that nobody takes the result for whole.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use super::SourceSpec;
use crate::window::Window;

/// Most windows that are listed; more are only counted.
const LISTED: usize = 1000;

/// What becomes of a window that cannot be read.
#[derive(Clone, Default)]
pub enum OnError {
    /// It fails the run.
    #[default]
    Fail,
    /// Its pixels hold no data, and it is noted.
    Skip(Arc<Losses>),
}

impl OnError {
    /// Skipping, with nothing skipped yet.
    pub fn skip() -> Self {
        Self::Skip(Arc::default())
    }

    /// Whether windows are skipped.
    pub const fn skips(&self) -> bool {
        matches!(self, Self::Skip(_))
    }
}

/// The choice alone: what was skipped is no part of what a job is.
impl fmt::Debug for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.skips() { "Skip" } else { "Fail" })
    }
}

/// A window that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Loss {
    /// The raster.
    pub path: PathBuf,
    /// Its overview, counted from 0, if it was read from one.
    pub overview: Option<usize>,
    /// Row, column, height and width in pixels of the raster or the overview.
    #[serde(rename = "row_column_height_width")]
    pub place: [i64; 4],
    /// Why.
    pub reason: String,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [row, column, height, width] = self.place;
        let window = Window::new(column, row, width as usize, height as usize);
        write!(f, "{}, {window}", self.path.display())?;
        if let Some(level) = self.overview {
            write!(f, " of overview {level}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// The windows that could not be read in a run. Shared by its readers.
#[derive(Debug, Default)]
pub struct Losses(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    /// A hash for each window: some are read more than once.
    seen: HashSet<u64>,
    /// The first in the order of files and rows, whichever thread came upon them first.
    first: BTreeSet<Loss>,
}

impl Losses {
    pub(super) fn add(&self, loss: Loss) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{:?}{:?}{}", loss.place, loss.overview, loss.path.display());
        if noted.seen.insert(xxh3_64(key.as_bytes())) {
            noted.first.insert(loss);
            if noted.first.len() > LISTED {
                noted.first.pop_last();
            }
        }
    }
}

/// What was skipped in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Windows that could not be read.
    pub windows: u64,
    /// The first thousand of them, in the order of files and rows.
    pub listed: Vec<Loss>,
}

impl Skipped {
    /// What was skipped of inputs so far.
    pub fn of<'a>(inputs: impl IntoIterator<Item = &'a SourceSpec>) -> Self {
        let mut shared: Vec<&Arc<Losses>> = Vec::new();
        for input in inputs {
            match &input.on_error {
                OnError::Skip(losses) if !shared.iter().any(|known| Arc::ptr_eq(known, losses)) => {
                    shared.push(losses);
                }
                OnError::Skip(_) | OnError::Fail => {}
            }
        }
        let mut skipped = Self::default();
        for losses in shared {
            let noted = losses.0.lock().unwrap_or_else(PoisonError::into_inner);
            skipped.windows += noted.seen.len() as u64;
            skipped.listed.extend(noted.first.iter().cloned());
        }
        skipped.listed.sort();
        skipped.listed.truncate(LISTED);
        skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(path: &str, row: i64) -> Loss {
        Loss { path: path.into(), overview: None, place: [row, 0, 16, 16], reason: "torn".to_owned() }
    }

    #[test]
    fn a_window_that_is_read_twice_counts_once_and_the_list_does_not_depend_on_who_came_first() {
        let (there, back) = (OnError::skip(), OnError::skip());
        let spec = |on_error: &OnError| SourceSpec { on_error: on_error.clone(), ..SourceSpec::new("a.tif") };
        let add = |on_error: &OnError, row| {
            if let OnError::Skip(losses) = on_error {
                losses.add(loss("a.tif", row));
            }
        };
        (0..1500).for_each(|row| add(&there, row));
        (0..1500).rev().for_each(|row| add(&back, row));
        add(&back, 3);
        let skipped = Skipped::of([&spec(&there), &spec(&there)]);
        assert_eq!(skipped, Skipped::of([&spec(&back)]));
        assert_eq!((skipped.windows, skipped.listed.len()), (1500, LISTED));
        assert_eq!(skipped.listed[7].to_string(), format!("a.tif, {}: torn", Window::new(0, 7, 16, 16)));
        assert_eq!(Skipped::of([&SourceSpec::new("a.tif")]), Skipped::default());
    }

    #[test]
    fn the_choice_is_told_and_not_what_came_of_it() {
        assert_eq!(format!("{:?} {:?}", OnError::Fail, OnError::skip()), "Fail Skip");
    }
}
