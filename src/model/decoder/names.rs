//! Names of a Llama's tensors, and the look-up by name.

use std::collections::BTreeMap;

use crate::model::backend::{BackendError, Done};
use crate::model::config::ModelConfig;

pub(super) const EMBEDDING: &str = "model.embed_tokens.weight";
pub(super) const LAST_NORM: &str = "model.norm.weight";
const HEAD: &str = "lm_head.weight";

/// The tensor that makes logits: the embedding where they are tied.
pub(super) fn head_name(config: &ModelConfig) -> &'static str {
    if config.tie_word_embeddings { EMBEDDING } else { HEAD }
}

/// Tensor names of one layer, made once.
pub(super) struct LayerNames {
    pub input_norm: String,
    pub q: String,
    pub k: String,
    pub v: String,
    pub q_bias: String,
    pub k_bias: String,
    pub v_bias: String,
    pub q_norm: String,
    pub k_norm: String,
    pub o: String,
    pub post_norm: String,
    pub gate: String,
    pub up: String,
    pub down: String,
}

impl LayerNames {
    pub fn new(layer: usize) -> Self {
        let at = |part: &str| format!("model.layers.{layer}.{part}");
        Self {
            input_norm: at("input_layernorm.weight"),
            q: at("self_attn.q_proj.weight"),
            k: at("self_attn.k_proj.weight"),
            v: at("self_attn.v_proj.weight"),
            q_bias: at("self_attn.q_proj.bias"),
            k_bias: at("self_attn.k_proj.bias"),
            v_bias: at("self_attn.v_proj.bias"),
            q_norm: at("self_attn.q_norm.weight"),
            k_norm: at("self_attn.k_norm.weight"),
            o: at("self_attn.o_proj.weight"),
            post_norm: at("post_attention_layernorm.weight"),
            gate: at("mlp.gate_proj.weight"),
            up: at("mlp.up_proj.weight"),
            down: at("mlp.down_proj.weight"),
        }
    }
}

/// A tensor by name.
pub(super) fn get<'a, T>(parameters: &'a BTreeMap<String, T>, name: &str) -> Done<&'a T> {
    parameters.get(name).ok_or_else(|| missing(name))
}

/// The error of a name that the model does not have.
pub(super) fn missing(name: &str) -> BackendError {
    BackendError { backend: "decoder", message: format!("the model has no tensor {name}") }
}
