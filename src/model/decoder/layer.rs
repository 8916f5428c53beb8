//! One layer forward, in the pieces that training and generation share.

use super::Decoder;
use super::names::get;
use crate::model::backend::{AttentionOut, Backend, Done, Heads};
use crate::model::config::ModelConfig;
use crate::model::layout::Layout;

/// What the forward pass of one layer leaves for the backward pass.
pub(super) struct LayerState<T> {
    pub input: T,     // (T, C)
    pub input_rms: T, // (T, 1)
    pub projected: Projected<T>,
    pub attention: AttentionOut<T>,
    pub after: AfterAttention<T>,
}

/// What of a layer waits for its backward pass: large parts in the precision of products, sums in f32.
pub(super) struct Waiting<B: Backend> {
    input: B::Buffer,
    input_rms: B::Buffer,
    projected: [B::Kept; 3],
    raw: HeadNorms<B::Buffer>,
    mixed: B::Kept,
    log_sum_exp: B::Buffer,
    middle: B::Buffer,
    middle_rms: B::Buffer,
    gate: B::Kept,
    up: B::Kept,
}

impl<B: Backend> Waiting<B> {
    pub fn new(backend: &mut B, state: LayerState<B::Buffer>) -> Done<Self> {
        let LayerState { input, input_rms, projected, attention, after } = state;
        let Projected { q, k, v, raw } = projected;
        Ok(Self {
            input,
            input_rms,
            projected: [backend.keep(q)?, backend.keep(k)?, backend.keep(v)?],
            raw,
            mixed: backend.keep(attention.mixed)?,
            log_sum_exp: attention.log_sum_exp,
            middle: after.middle,
            middle_rms: after.middle_rms,
            gate: backend.keep(after.gate)?,
            up: backend.keep(after.up)?,
        })
    }

    pub fn recall(self, backend: &mut B) -> Done<LayerState<B::Buffer>> {
        let [q, k, v] = self.projected;
        Ok(LayerState {
            input: self.input,
            input_rms: self.input_rms,
            projected: Projected { q: backend.recall(q)?, k: backend.recall(k)?, v: backend.recall(v)?, raw: self.raw },
            attention: AttentionOut { mixed: backend.recall(self.mixed)?, log_sum_exp: self.log_sum_exp },
            after: AfterAttention {
                middle: self.middle,
                middle_rms: self.middle_rms,
                gate: backend.recall(self.gate)?,
                up: backend.recall(self.up)?,
            },
        })
    }
}

/// Queries, keys and values of a layer.
pub(in crate::model) struct Projected<T> {
    pub q: T, // (T, H·D), rotated
    pub k: T, // (T, KV·D), rotated
    pub v: T, // (T, KV·D)
    /// What the head norms of q and k leave behind, where the architecture has them.
    pub raw: HeadNorms<T>,
}

/// What the head norms of q and k leave, where the architecture has them.
pub(in crate::model) type HeadNorms<T> = Option<(HeadNorm<T>, HeadNorm<T>)>;

/// What [`head_norm`] leaves for its backward pass.
pub(in crate::model) struct HeadNorm<T> {
    pub input: T, // (T·H, D)
    pub rms: T,   // (T·H, 1)
}

/// What the second half of a layer leaves behind.
pub(in crate::model) struct AfterAttention<T> {
    pub middle: T,     // (T, C), after attention
    pub middle_rms: T, // (T, 1)
    pub gate: T,       // (T, F)
    pub up: T,         // (T, F)
}

impl<B: Backend> Decoder<B> {
    pub(in crate::model) fn heads(&self) -> Heads {
        Heads { query: self.config.heads, key_value: self.config.key_value_heads, size: self.config.head_dim }
    }

    /// The layer's input, normalised, (T, C), with 1/rms.
    pub(in crate::model) fn normed_input(&mut self, layer: usize, x: &B::Buffer) -> Done<(B::Buffer, B::Buffer)> {
        let Self { backend, parameters, config, names, .. } = self;
        backend.rms_norm(x, get(parameters, &names[layer].input_norm)?, config.rms_norm_eps)
    }

    /// Rotated queries, rotated keys and values of a layer's normalised input.
    pub(in crate::model) fn project(&mut self, layer: usize, normed: &B::Buffer, positions: &[u32]) -> Done<Projected<B::Buffer>> {
        let Self { backend, parameters, config, names, rope, .. } = self;
        let names = &names[layer];
        let bias = |name: &String| if config.qkv_bias { parameters.get(name) } else { None };
        let [mut q, mut k, v] = backend.linear(
            normed,
            [
                (get(parameters, &names.q)?, bias(&names.q_bias)),
                (get(parameters, &names.k)?, bias(&names.k_bias)),
                (get(parameters, &names.v)?, bias(&names.v_bias)),
            ],
        )?;
        let mut raw = None;
        if config.qk_norm {
            let (normed_q, raw_q) = head_norm(backend, q, get(parameters, &names.q_norm)?, config)?;
            let (normed_k, raw_k) = head_norm(backend, k, get(parameters, &names.k_norm)?, config)?;
            (q, k, raw) = (normed_q, normed_k, Some((raw_q, raw_k)));
        }
        backend.rope(&mut q, positions, rope, false)?;
        backend.rope(&mut k, positions, rope, false)?;
        Ok(Projected { q, k, v, raw })
    }

    /// The layer's attention output projected and added to its input, then the MLP: the next layer's input (T, C), and the
    /// rest for the backward pass.
    pub(in crate::model) fn finish_layer(
        &mut self,
        layer: usize,
        x: &B::Buffer,
        mixed: &B::Buffer,
    ) -> Done<(B::Buffer, AfterAttention<B::Buffer>)> {
        let Self { backend, parameters, config, names, .. } = self;
        let names = &names[layer];
        let [mut middle] = backend.linear(mixed, [(get(parameters, &names.o)?, None)])?;
        backend.add_into(&mut middle, x)?;
        let (normed, middle_rms) = backend.rms_norm(&middle, get(parameters, &names.post_norm)?, config.rms_norm_eps)?;
        let [gate, up] = backend.linear(&normed, [(get(parameters, &names.gate)?, None), (get(parameters, &names.up)?, None)])?;
        let activated = backend.swiglu(&gate, &up)?;
        let [mut next] = backend.linear(&activated, [(get(parameters, &names.down)?, None)])?;
        backend.add_into(&mut next, &middle)?;
        Ok((next, AfterAttention { middle, middle_rms, gate, up }))
    }

    /// A whole layer over packed rows.
    pub(super) fn layer_forward(&mut self, layer: usize, x: B::Buffer, layout: &Layout) -> Done<(B::Buffer, LayerState<B::Buffer>)> {
        let heads = self.heads();
        let (normed, input_rms) = self.normed_input(layer, &x)?;
        let projected = self.project(layer, &normed, &layout.positions)?;
        let attention = self.backend.attention(&projected.q, &projected.k, &projected.v, layout.pieces(), heads)?;
        let (next, after) = self.finish_layer(layer, &x, &attention.mixed)?;
        Ok((next, LayerState { input: x, input_rms, projected, attention, after }))
    }
}

/// Normalises every head by itself, (T, heads·D), with what its backward pass needs.
fn head_norm<B: Backend>(backend: &mut B, x: B::Buffer, w: &B::Weight, config: &ModelConfig) -> Done<(B::Buffer, HeadNorm<B::Buffer>)> {
    let (rows, columns) = backend.shape(&x);
    let heads = columns / config.head_dim;
    let values = backend.download(&x)?;
    let input = backend.upload(&values, rows * heads, config.head_dim)?;
    let (normed, rms) = backend.rms_norm(&input, w, config.rms_norm_eps)?;
    let values = backend.download(&normed)?;
    Ok((backend.upload(&values, rows, columns)?, HeadNorm { input, rms }))
}
