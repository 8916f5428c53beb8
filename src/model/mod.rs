//! The model: configuration, weights, the decoder with its explicit passes, generation.
//!
//! Shape legend: B batch rows, T tokens (all rows packed), U tokens that are computed
//! (what all rows begin with stands once), C hidden size, H query heads, KV key/value heads, D head size,
//! F feed-forward size, V vocabulary, L layers, I and O a matrix's inputs and outputs (weights are (O, I)).

pub mod backend;
pub mod batch;
pub mod config;
pub mod constraint;
pub mod decoder;
pub mod encoder;
pub mod fresh;
pub mod generate;
pub mod inventory;
mod layout;
pub mod product;
pub mod rope;
pub mod verify;
pub mod weights;

#[cfg(test)]
mod tests;
