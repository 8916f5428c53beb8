//! Runs the program and turns its outcome into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    keep_freed_memory();
    ExitCode::from(steadfast::cli::main() as u8)
}

/// Lets the allocator keep large freed buffers: every pass frees and asks for the same sizes again, and returning them to the
/// system in between costs more in page faults than the arithmetic of a small model's elementwise passes.
fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: plain settings, made before any other thread exists.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}
