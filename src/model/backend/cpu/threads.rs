//! On how many threads loops run.

use super::{Done, wrong};

/// Runs `work` with this many threads (at least one).
///
/// # Errors
/// When the system gives no threads.
pub fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> Done<T> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .build()
        .map_err(|error| wrong(format!("cannot start {threads} threads: {error}")))?;
    Ok(pool.install(work))
}
