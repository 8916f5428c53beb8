//! Kernels on slices.
