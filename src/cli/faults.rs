//! What a command does with inputs that cannot be read.

use clap::Args;
use tileloom::raster::losses::{OnError, Skipped};
use tileloom::{Error, Result};

use super::note;

/// Most windows that are told one by one.
const TOLD: usize = 10;

/// Options of all commands that read pixels.
#[derive(Debug, Args)]
pub struct FaultArgs {
    /// What becomes of windows of the inputs that cannot be read: fail ends the run; skip leaves them without data, lists them, and makes
    /// the exit code 1.
    #[arg(long, value_name = "fail|skip", default_value = "fail", value_parser = on_error)]
    on_error: Choice,
}

/// What becomes of windows that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Fail,
    Skip,
}

fn on_error(text: &str) -> Result<Choice, String> {
    match text.to_ascii_lowercase().as_str() {
        "fail" => Ok(Choice::Fail),
        "skip" => Ok(Choice::Skip),
        _ => Err("known are fail and skip".to_owned()),
    }
}

impl FaultArgs {
    /// What the sources are told: all of a run are to be given the same.
    pub fn on_error(&self) -> OnError {
        match self.on_error {
            Choice::Fail => OnError::Fail,
            Choice::Skip => OnError::skip(),
        }
    }
}

/// Says what was skipped, after everything else was said.
///
/// # Errors
/// [`Error::Skipped`] when anything was.
pub fn tell(skipped: &Skipped, quiet: bool) -> Result<()> {
    if skipped.windows == 0 {
        return Ok(());
    }
    let told = if quiet { 0 } else { TOLD };
    skipped.listed.iter().take(told).for_each(|loss| note(&format!("skipped: {loss}")));
    let lost = match skipped.windows {
        1 => "1 window of the inputs could not be read and holds".to_owned(),
        n => format!("{n} windows of the inputs could not be read and hold"),
    };
    Err(Error::Skipped(format!(
        "{lost} no data{}",
        if skipped.windows > told as u64 && !quiet { "; --json lists more of them" } else { "" }
    )))
}
