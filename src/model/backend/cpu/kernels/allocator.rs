//! How the C library's allocator treats memory that is given back.

/// Lets the allocator keep large freed buffers: every pass frees and asks for the same sizes again, and returning them to the
/// system in between costs more in page faults than the arithmetic of a small model's elementwise passes. To be called before there
/// are threads; does nothing where the C library is not GNU's.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: plain settings, which the library takes at any time under its own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}
