//! The command line: how failures look, what goes where, signals.

mod failures;
mod signals;
mod spelling;
mod streams;

use std::path::Path;

use tempfile::TempDir;

use crate::common::{Run, names_in, program, run, testdata};

fn scratch() -> TempDir {
    tempfile::tempdir().expect("tempdir")
}

/// `tileloom tile` with an input of `testdata/`, an output named `name` in `folder`, and options.
fn tile_to(folder: &Path, input: &str, name: &str, options: &[&str]) -> Run {
    let (input, output) = (testdata(input), folder.join(name));
    let paths = [input.to_str().expect("UTF-8"), output.to_str().expect("UTF-8")];
    run(["tile"].iter().chain(&paths).chain(options))
}
