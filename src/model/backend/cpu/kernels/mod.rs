//! All that the compiler cannot check, and no loops over threads: `unsafe` stands nowhere else in the program, but where files are mapped.
//!
//! What is offered here is safe: what a loop needs of its slices it asserts, and what threads share is cut by [`tile`]. Where
//! a kernel needs instructions that not every processor has, its twin in plain Rust stands beside it.

#![allow(unsafe_code)]

pub mod allocator;
pub mod dense;
pub mod dots;
pub mod fused;
pub mod pairs;
pub mod q8_0;
pub mod simd;
pub mod skinny;
pub mod square;
pub mod tile;

#[cfg(test)]
mod tests;
