//! Runs the program and turns its outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(steadfast::cli::main() as u8)
}
