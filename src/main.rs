//! The command line program: parse, set up, run, turn errors into exit codes.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
