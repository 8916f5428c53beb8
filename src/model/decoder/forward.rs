//! Forward passes: losses and logits where rows are supervised.

use rayon::prelude::*;

use super::Decoder;
use super::layer::LayerState;
use super::names::{EMBEDDING, LAST_NORM, get, head_name};
use crate::model::backend::{Backend, BackendError, Done};
use crate::model::batch::Packed;
use crate::model::layout::Layout;
use crate::model::rope;

impl<B: Backend> Decoder<B> {
    /// Negative log-likelihood of every target, in nats, in the order of the targets.
    ///
    /// # Errors
    /// When a token is not in the vocabulary or the backend fails.
    pub fn losses(&mut self, batch: &Packed) -> Done<Vec<f32>> {
        let hidden = self.target_states(batch)?;
        let Self { backend, parameters, config, .. } = self;
        let head = get(parameters, head_name(config))?;
        Ok(backend.cross_entropy(&hidden, head, &batch.target_tokens(), None, None)?.0)
    }

    /// Log-softmax over the vocabulary at every target's position, (N, V) row-major.
    ///
    /// # Errors
    /// When a token is not in the vocabulary or the backend fails.
    pub fn log_probabilities(&mut self, batch: &Packed) -> Done<Vec<f32>> {
        let states = self.target_states(batch)?;
        self.predictions(&states, None)
    }

    /// Log-softmax over the vocabulary of normalised final hidden states (N, C), see [`Self::target_states`], by this model's head or by
    /// another one (V, C), which the states are of then: (N, V) row-major.
    ///
    /// # Errors
    /// When shapes do not fit or the backend fails.
    pub fn predictions(&mut self, states: &B::Buffer, head: Option<&B::Weight>) -> Done<Vec<f32>> {
        let mut logits = self.head(states, head)?;
        logits.par_chunks_mut(self.config.vocab_size).for_each(|row| {
            let peak = row.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
            let sum: f64 = row.iter().map(|&v| f64::from(v - peak).exp()).sum();
            let log_sum = (f64::from(peak) + sum.ln()) as f32;
            row.iter_mut().for_each(|v| *v -= log_sum);
        });
        Ok(logits)
    }

    /// Logits at every target's position, (N, V) row-major.
    ///
    /// # Errors
    /// When a token is not in the vocabulary or the backend fails.
    pub fn logits(&mut self, batch: &Packed) -> Done<Vec<f32>> {
        let hidden = self.target_states(batch)?;
        self.head(&hidden, None)
    }

    /// The embedding of tokens, (T, C).
    pub(in crate::model) fn embedded(&mut self, tokens: &[u32]) -> Done<B::Buffer> {
        let Self { backend, parameters, .. } = self;
        backend.embed(get(parameters, EMBEDDING)?, tokens)
    }

    /// The last norm, over rows of (N, C), with 1/rms.
    pub(in crate::model) fn last_norm(&mut self, hidden: &B::Buffer) -> Done<(B::Buffer, B::Buffer)> {
        let Self { backend, parameters, config, .. } = self;
        backend.rms_norm(hidden, get(parameters, LAST_NORM)?, config.rms_norm_eps)
    }

    /// The output head, (V, C): the embedding where they are tied.
    ///
    /// # Errors
    /// When the model has none.
    pub fn head_weight(&self) -> Done<&B::Weight> {
        get(&self.parameters, head_name(&self.config))
    }

    /// Logits of normalised final hidden states (N, C), by this model's head or another: (N, V).
    pub(in crate::model) fn head(&mut self, normed: &B::Buffer, head: Option<&B::Weight>) -> Done<Vec<f32>> {
        let Self { backend, parameters, config, .. } = self;
        let head = head.map_or_else(|| get(parameters, head_name(config)), Ok)?;
        let [logits] = backend.linear(normed, [(head, None)])?;
        backend.download(&logits)
    }

    /// All layers over packed rows, to the states before the last norm (U, C); `keep` takes what each layer leaves behind.
    pub(super) fn layers_forward(
        &mut self,
        layout: &Layout,
        mut keep: impl FnMut(&mut B, usize, LayerState<B::Buffer>) -> Done<()>,
    ) -> Done<B::Buffer> {
        let mut x = self.embedded(&layout.tokens)?;
        for layer in 0..self.config.layers {
            let (next, state) = self.layer_forward(layer, x, layout)?;
            x = next;
            keep(&mut self.backend, layer, state)?;
        }
        Ok(x)
    }

    /// Final hidden states at the targets' positions, normalised, (N, C).
    ///
    /// # Errors
    /// When a token is not in the vocabulary or the backend fails.
    pub fn target_states(&mut self, batch: &Packed) -> Done<B::Buffer> {
        let layout = self.laid_out(batch)?;
        let x = self.layers_forward(&layout, |_, _, _| Ok(()))?;
        let picked = self.backend.gather_rows(&x, &layout.targets(batch))?;
        Ok(self.last_norm(&picked)?.0)
    }

    /// How packed rows are computed: checks their token ids, and grows the rotary table to the longest row.
    pub(super) fn laid_out(&mut self, batch: &Packed) -> Done<Layout> {
        if let Some(&token) = batch.tokens.iter().find(|&&token| token as usize >= self.config.vocab_size) {
            return Err(BackendError {
                backend: "decoder",
                message: format!("token {token} in a vocabulary of {}", self.config.vocab_size),
            });
        }
        let longest = batch.row_starts.windows(2).map(|row| row[1] - row[0]).max().unwrap_or(0);
        self.ensure_positions(longest);
        Ok(Layout::of(batch))
    }

    /// Makes the rotary table reach `length` positions.
    pub(in crate::model) fn ensure_positions(&mut self, length: usize) {
        if length * self.rope.half > self.rope.cos.len() {
            self.rope = rope::table(&self.config, length.next_power_of_two());
        }
    }
}
