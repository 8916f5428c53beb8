//! ModernBERT: norms before each sublayer, rotary positions, gated feed-forward layers, local layers between global ones, a head on the
//! first token or on the mean of all.
//!
//! Source: Warner et al. (2412.13663), as transformers' `ModernBertForSequenceClassification`.

use super::attention::{Seeing, attention};
use super::config::{EncoderConfig, Kind, Turning};
use super::ops::{Activation, Linear, Norm, add, gated};
use super::weights::Tensors;
use super::{Packed, embedded};
use crate::model::backend::RopeTable;
use crate::model::rope::plain_table;
use crate::model::weights::WeightsError;

pub(super) struct ModernBert {
    /// (V, C).
    words: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    final_norm: Norm,
    mean: bool,
    dense: Linear,
    head_norm: Norm,
    heads: usize,
    half: usize,
    turning: Turning,
}

struct Layer {
    /// None of the first layer, whose input is normalised already.
    attention_norm: Option<Norm>,
    qkv: Linear,
    out: Linear,
    norm: Norm,
    /// (2F, C): what goes through GELU, and what it is multiplied with.
    up: Linear,
    down: Linear,
    kind: Kind,
}

impl ModernBert {
    pub fn load(tensors: &Tensors<'_>, config: &EncoderConfig, turning: &Turning, mean: bool) -> Result<Self, WeightsError> {
        let epsilon = config.norm_eps;
        let layer = |(l, &kind): (usize, &Kind)| {
            let at = |part: &str| format!("model.layers.{l}.{part}");
            Ok(Layer {
                attention_norm: (l > 0).then(|| tensors.norm(&at("attn_norm"), epsilon)).transpose()?,
                qkv: tensors.linear(&at("attn.Wqkv"))?,
                out: tensors.linear(&at("attn.Wo"))?,
                norm: tensors.norm(&at("mlp_norm"), epsilon)?,
                up: tensors.linear(&at("mlp.Wi"))?,
                down: tensors.linear(&at("mlp.Wo"))?,
                kind,
            })
        };
        Ok(Self {
            words: tensors.get("model.embeddings.tok_embeddings.weight")?,
            norm: tensors.norm("model.embeddings.norm", epsilon)?,
            layers: turning.kinds.iter().enumerate().map(layer).collect::<Result<_, WeightsError>>()?,
            final_norm: tensors.norm("model.final_norm", epsilon)?,
            mean,
            dense: tensors.linear("head.dense")?,
            head_norm: tensors.norm("head.norm", epsilon)?,
            heads: config.heads,
            half: config.hidden_size / config.heads / 2,
            turning: turning.clone(),
        })
    }

    /// What the classifier reads of each row, (C) each.
    pub fn pooled(&self, packed: &Packed, width: usize) -> Vec<Vec<f32>> {
        let longest = packed.longest();
        let table = |theta: f64| -> RopeTable { plain_table(theta, self.half, longest) };
        let (global, local) = (table(self.turning.global_theta), table(self.turning.local_theta));
        let mut x = self.norm.forward(&embedded(&self.words, &packed.tokens, width)); // (N, C)
        for layer in &self.layers {
            let seeing = match layer.kind {
                Kind::Global => Seeing { heads: self.heads, window: None, rope: Some(&global) },
                Kind::Local => Seeing { heads: self.heads, window: Some(self.turning.window), rope: Some(&local) },
            };
            let qkv = match &layer.attention_norm {
                Some(norm) => layer.qkv.forward(&norm.forward(&x)),
                None => layer.qkv.forward(&x),
            };
            add(&mut x, &layer.out.forward(&attention(&qkv, width, &packed.starts, seeing)));
            let inner = layer.up.forward(&layer.norm.forward(&x)); // (N, 2F)
            add(&mut x, &layer.down.forward(&gated(&inner, layer.up.outputs() / 2)));
        }
        let x = self.final_norm.forward(&x);
        let of_row = |row: &[usize]| {
            let tokens = &x[row[0] * width..row[1] * width];
            let mut read = tokens[..width].to_vec();
            if self.mean {
                tokens[width..].chunks(width).for_each(|token| read.iter_mut().zip(token).for_each(|(sum, v)| *sum += v));
                read.iter_mut().for_each(|sum| *sum /= (row[1] - row[0]) as f32);
            }
            let mut inner = self.dense.forward(&read);
            Activation::Gelu.apply(&mut inner);
            self.head_norm.forward(&inner)
        };
        packed.starts.windows(2).map(of_row).collect()
    }
}
