//! What a LoRA arm trains.

use serde::Serialize;

/// Low-rank factors beside frozen matrices, merged into them. Source: Hu et al. (2106.09685); keys as in PEFT's `LoraConfig`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lora {
    /// r, the factors' inner size.
    pub rank: usize,
    /// The product of the factors counts α ÷ r, in training and merged.
    pub alpha: f64,
    /// The kinds of projection that have factors, in canonical order: `q_proj`, …; at least one.
    pub targets: Vec<&'static str>,
}
