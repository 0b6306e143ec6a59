//! A function of one's own in tileloom's pipeline: read, computed and written window by window, on all threads, in bounded memory, and
//! after an operation of the table.
//!
//! `cargo run --example custom_operation -- dem.tif relief.tif`

use std::path::Path;
use std::process::ExitCode;

use ndarray::{Array3, ArrayView3, s};
use tileloom::job::calc::{CalcInput, CalcJob, Report, run};
use tileloom::op::{Call, Custom, Table};
use tileloom::pipeline::Monitor;
use tileloom::raster::SourceSpec;
use tileloom::sink::Target;

/// How far each pixel stands above the mean of the 5 × 5 pixels around it. It gets axes (band, row, column) with two pixels more on
/// each side than it gives, and knows nothing of files, windows or threads.
#[allow(clippy::needless_pass_by_value)] // as operations are called
fn above_its_surroundings(pixels: ArrayView3<'_, f64>) -> Array3<f64> {
    let (bands, rows, columns) = pixels.dim();
    Array3::from_shape_fn((bands, rows - 4, columns - 4), |(band, row, column)| {
        let around = pixels.slice(s![band, row..row + 5, column..column + 5]);
        around[[2, 2]] - around.iter().sum::<f64>() / 25.0
    })
}

/// Smooths a raster, then runs the function on it.
///
/// # Errors
/// When the input cannot be read or the output not be written.
pub fn relief(input: &Path, output: &Path) -> tileloom::Result<Report> {
    let mut table = Table::standard();
    table.add("above_its_surroundings", Custom::new(2, above_its_surroundings))?;

    let mut job = CalcJob::new(vec![CalcInput::new(SourceSpec::new(input))], Target::new(output), Vec::new());
    for text in ["focal(median, 3)", "above_its_surroundings"] {
        job.operations.push(Call::parse(text, &table)?);
    }
    job.creation_options.push("COMPRESS=DEFLATE".to_owned());
    run(&job, &Monitor::new(), |_plan, _windows| ())
}

fn main() -> ExitCode {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = &paths[..] else {
        eprintln!("give an input and an output");
        return ExitCode::from(2);
    };
    match relief(input.as_ref(), output.as_ref()) {
        Ok(report) => {
            println!("{} windows in {:.2} s", report.windows, report.effort.seconds);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
