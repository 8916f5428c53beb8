//! Files as slices of bytes that are read when they are used.

#![allow(unsafe_code)] // of the program, beside the kernels, this file alone

use std::fs::File;

use memmap2::Mmap;

/// Maps a file's bytes, read-only.
///
/// # Errors
/// When the system cannot map it; on some systems, when it is empty.
pub fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: nothing here writes to it. Models' files that another process changes meanwhile give wrong bytes, which the digests show;
    // one that is cut short ends the program. Our own checkpoints are replaced by renaming, under the lock of their stage.
    unsafe { Mmap::map(file) }
}
