//! The architecture of a model, as `config.json` tells it.

use serde::{Deserialize, Serialize};

/// A decoder-only transformer of the Llama family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// V.
    pub vocab_size: usize,
    /// C.
    pub hidden_size: usize,
    /// F.
    pub intermediate_size: usize,
    /// L.
    pub layers: usize,
    /// H.
    pub heads: usize,
    /// KV; H is a multiple of it.
    pub key_value_heads: usize,
    /// D; not always C / H.
    pub head_dim: usize,
    /// Inside the root of RMSNorm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How the rotary frequencies are stretched for long contexts.
    pub rope_scaling: Option<RopeScaling>,
    /// The longest sequence that the model was made for, in tokens.
    pub max_position_embeddings: usize,
    /// Whether the embedding is the output head too (then it is one parameter).
    pub tie_word_embeddings: bool,
    /// Whether q, k and v projections have a bias (Qwen2).
    pub qkv_bias: bool,
    /// Whether each head of q and k is normalised before RoPE (Qwen3).
    pub qk_norm: bool,
    /// Beginning-of-sequence token.
    pub bos_token: Option<u32>,
    /// Tokens that end a reply.
    pub end_tokens: Vec<u32>,
}

/// Rotary scaling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RopeScaling {
    /// Every position divided by `factor`.
    Linear {
        /// At least 1.
        factor: f64,
    },
    /// Llama 3.1: low frequencies divided by `factor`, high ones kept, smooth between.
    Llama3 {
        /// At least 1.
        factor: f64,
        /// Wavelengths above `original / low_freq_factor` are fully scaled.
        low_freq_factor: f64,
        /// Wavelengths below `original / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// The context length of pre-training, in tokens.
        original_max_position_embeddings: usize,
    },
}
