//! Runs the program and turns its outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    steadfast::model::backend::cpu::kernels::allocator::keep_freed_memory();
    ExitCode::from(steadfast::cli::main() as u8)
}
