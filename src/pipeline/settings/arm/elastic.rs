//! How an arm's weights are pulled back to the aligned model's.

use serde::Serialize;

use crate::data::spec::DataSpec;

/// λ/2 · Σ F̂ · (θ − θ_aligned)² over the trained weights, added to the loss; see [`train::elastic`](crate::train::elastic).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Elastic {
    /// The rows whose gradients say how hard each weight is held; all sources are one.
    pub data: Vec<DataSpec>,
    /// λ, of a usual weight; at least 0, which holds nothing.
    pub strength: f64,
    /// So many of the rows are looked at, once, before the training.
    pub rows: usize,
}
