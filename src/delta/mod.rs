//! Deltas: what a fine-tuning changed, as bits to write into a checkpoint and to take out again; several of them merged.
//!
//! A delta is made from two checkpoints, whoever trained them, over all tensors: embeddings, norms and biases too. It holds, for
//! every tensor that changed, the mask of the changed positions with their old and new bits in the stored types. To apply or remove
//! one is to write bits: no number is computed, and removing gives the bits from before.
//!
//! Source: *Lottery Ticket Adaptation* (2406.16797), which keeps one sparse adapter a task and merges disjoint ones without
//! interference. Merging what overlaps, in [`arithmetic`]: 2212.04089, 2306.01708, 2311.03099.

pub mod arithmetic;
mod error;
pub mod file;
#[cfg(test)]
mod golden;
pub mod make;
pub mod merge;
mod pair;
pub mod restore;
#[cfg(test)]
mod tests;
pub mod writes;

pub use self::error::{DeltaError, Difference};
