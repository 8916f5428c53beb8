//! BERT: norms behind each sublayer, absolute positions, token types, a pooler on the first token.
//!
//! Source: Devlin et al. (1810.04805), as transformers' `BertForSequenceClassification`.

use super::attention::{Seeing, attention};
use super::config::EncoderConfig;
use super::ops::{Activation, Linear, Norm, add};
use super::weights::Tensors;
use super::{Packed, embedded};
use crate::model::weights::WeightsError;

pub(super) struct Bert {
    /// (V, C).
    words: Vec<f32>,
    /// (P, C).
    positions: Vec<f32>,
    /// (token types, C).
    types: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    pooler: Linear,
    heads: usize,
    activation: Activation,
}

struct Layer {
    qkv: Linear,
    out: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    norm: Norm,
}

impl Bert {
    pub fn load(tensors: &Tensors<'_>, config: &EncoderConfig, activation: Activation) -> Result<Self, WeightsError> {
        let epsilon = config.norm_eps;
        let layer = |l: usize| {
            let at = |part: &str| format!("encoder.layer.{l}.{part}");
            let qkv = ["query", "key", "value"].map(|part| at(&format!("attention.self.{part}")));
            Ok(Layer {
                qkv: tensors.stacked(&qkv.each_ref().map(String::as_str))?,
                out: tensors.linear(&at("attention.output.dense"))?,
                attention_norm: tensors.norm(&at("attention.output.LayerNorm"), epsilon)?,
                up: tensors.linear(&at("intermediate.dense"))?,
                down: tensors.linear(&at("output.dense"))?,
                norm: tensors.norm(&at("output.LayerNorm"), epsilon)?,
            })
        };
        Ok(Self {
            words: tensors.get("embeddings.word_embeddings.weight")?,
            positions: tensors.get("embeddings.position_embeddings.weight")?,
            types: tensors.get("embeddings.token_type_embeddings.weight")?,
            norm: tensors.norm("embeddings.LayerNorm", epsilon)?,
            layers: (0..config.layers).map(layer).collect::<Result<_, WeightsError>>()?,
            pooler: tensors.linear("pooler.dense")?,
            heads: config.heads,
            activation,
        })
    }

    /// What the classifier reads of each row, (C) each.
    pub fn pooled(&self, packed: &Packed, width: usize) -> Vec<Vec<f32>> {
        let mut x = embedded(&self.words, &packed.tokens, width);
        add(&mut x, &embedded(&self.types, &packed.types, width));
        add(&mut x, &embedded(&self.positions, &packed.positions(), width));
        let mut x = self.norm.forward(&x); // (N, C)
        for layer in &self.layers {
            let seeing = Seeing { heads: self.heads, window: None, rope: None };
            let mixed = attention(&layer.qkv.forward(&x), width, &packed.starts, seeing);
            add(&mut x, &layer.out.forward(&mixed));
            x = layer.attention_norm.forward(&x);
            let mut inner = layer.up.forward(&x); // (N, F)
            self.activation.apply(&mut inner);
            add(&mut x, &layer.down.forward(&inner));
            x = layer.norm.forward(&x);
        }
        let first = packed.starts[..packed.starts.len() - 1].iter().map(|start| &x[start * width..(start + 1) * width]);
        first.map(|first| self.pooler.forward(first).into_iter().map(f32::tanh).collect()).collect()
    }
}
