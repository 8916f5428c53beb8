//! The tensors that a model of a given configuration consists of, under their Hugging Face names.

use super::config::ModelConfig;

/// What a tensor is for; decides whether a mask may hold it and whether weight decay applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The token embedding; the output head too where they are tied.
    Embedding,
    /// The output head of an untied model.
    Head,
    /// A normalisation's weight.
    Norm,
    /// A bias.
    Bias,
    /// A 2-D attention or MLP projection: the maskable weights.
    Projection,
}

/// One tensor: its Hugging Face name and its shape as (rows, columns); vectors have one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// `model.layers.0.self_attn.q_proj.weight`.
    pub name: String,
    /// O for a projection, V for an embedding, 1 for a vector.
    pub rows: usize,
    /// I for a projection, C for an embedding, the length of a vector.
    pub columns: usize,
    /// See [`Role`].
    pub role: Role,
    /// The layer, from 0; none for the embedding, the last norm and the head.
    pub layer: Option<usize>,
}

impl TensorSpec {
    /// The number of weights.
    pub fn len(&self) -> usize {
        self.rows * self.columns
    }

    /// Whether the tensor has no weights.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a mask may hold it.
    pub fn maskable(&self) -> bool {
        self.role == Role::Projection
    }

    /// The shape as safetensors store it.
    pub fn shape(&self) -> Vec<usize> {
        match self.role {
            Role::Norm | Role::Bias => vec![self.columns],
            _ => vec![self.rows, self.columns],
        }
    }
}

/// Every tensor of the model, in the canonical order: embedding, layers from the first to the last, last norm, head.
/// Inside a layer: input norm, q, k, v (each with its bias), q and k norms, o, post-attention norm, gate, up, down.
pub fn inventory(config: &ModelConfig) -> Vec<TensorSpec> {
    let (c, d) = (config.hidden_size, config.head_dim);
    let (q, kv, f) = (config.heads * d, config.key_value_heads * d, config.intermediate_size);
    let mut specs = Vec::new();
    let mut push = |name: String, rows, columns, role, layer| specs.push(TensorSpec { name, rows, columns, role, layer });
    push("model.embed_tokens.weight".into(), config.vocab_size, c, Role::Embedding, None);
    for l in 0..config.layers {
        let layer = Some(l);
        let at = |part: &str| format!("model.layers.{l}.{part}");
        push(at("input_layernorm.weight"), 1, c, Role::Norm, layer);
        for (part, rows) in [("q", q), ("k", kv), ("v", kv)] {
            push(at(&format!("self_attn.{part}_proj.weight")), rows, c, Role::Projection, layer);
            if config.qkv_bias {
                push(at(&format!("self_attn.{part}_proj.bias")), 1, rows, Role::Bias, layer);
            }
        }
        if config.qk_norm {
            push(at("self_attn.q_norm.weight"), 1, d, Role::Norm, layer);
            push(at("self_attn.k_norm.weight"), 1, d, Role::Norm, layer);
        }
        push(at("self_attn.o_proj.weight"), c, q, Role::Projection, layer);
        push(at("post_attention_layernorm.weight"), 1, c, Role::Norm, layer);
        push(at("mlp.gate_proj.weight"), f, c, Role::Projection, layer);
        push(at("mlp.up_proj.weight"), f, c, Role::Projection, layer);
        push(at("mlp.down_proj.weight"), c, f, Role::Projection, layer);
    }
    push("model.norm.weight".into(), 1, c, Role::Norm, None);
    if !config.tie_word_embeddings {
        push("lm_head.weight".into(), config.vocab_size, c, Role::Head, None);
    }
    specs
}
