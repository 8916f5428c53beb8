//! The backward pass: compact gradients of the trained weights.

use super::layer::{AfterAttention, HeadNorm, LayerState, Waiting};
use super::names::{EMBEDDING, LAST_NORM, LayerNames, get, head_name};
use super::{Decoder, Gradients, Trained};
use crate::model::backend::{Backend, Done, Selection, WeightGradient};
use crate::model::batch::Packed;
use crate::model::constraint::Scale;
use crate::model::inventory::{Role, inventory};
use crate::model::layout::Layout;

/// Where gradients go: of the trained weights only.
struct Sink<'a, B: Backend> {
    trained: &'a Trained,
    gradients: &'a mut Gradients<B>,
}

/// What is kept of a layer until its backward pass.
enum Kept<B: Backend> {
    /// All that it needs.
    State(Box<Waiting<B>>),
    /// The layer's input, from which that is computed again.
    Input(B::Buffer),
}

impl<B: Backend> Sink<'_, B> {
    /// Adds the gradients of matrices with the input `x` (T, I), where they are trained: each with the gradient of its output (T, O).
    fn matrices(&mut self, backend: &mut B, x: &B::Buffer, matrices: &[(&str, &B::Buffer)]) -> Done<()> {
        let mut names = Vec::with_capacity(matrices.len());
        let mut weights = Vec::with_capacity(matrices.len());
        for &(name, dy) in matrices {
            if let Some((selection, (name, gradient))) = self.trained.get(name).zip(self.gradients.remove_entry(name)) {
                weights.push(WeightGradient { dy, selection, gradient });
                names.push(name);
            }
        }
        let done = backend.linear_dw(x, &mut weights);
        self.gradients.extend(names.into_iter().zip(weights.into_iter().map(|weight| weight.gradient)));
        done
    }

    /// The gradient of a norm or a bias, where it is trained.
    fn vector(&mut self, name: &str) -> Option<&mut B::Buffer> {
        self.gradients.get_mut(name)
    }

    /// What is trained of a tensor, with its gradient.
    fn pair(&mut self, name: &str) -> Option<(&Selection, &mut B::Buffer)> {
        self.trained.get(name).zip(self.gradients.get_mut(name))
    }
}

impl<B: Backend> Decoder<B> {
    /// Adds the gradient of `scale` · Σ loss to the compact gradients, held back by the batch's constraints where it has some, and returns
    /// Σ loss in nats, unscaled and whatever the constraints.
    ///
    /// # Errors
    /// When a token is not in the vocabulary, a gradient is missing, or the backend fails.
    pub fn gradients(&mut self, batch: &Packed, scale: f32, trained: &Trained, gradients: &mut Gradients<B>) -> Done<f64> {
        let scale = Scale { factor: scale, constraints: &batch.constraints };
        self.passes(batch, trained, gradients, |backend, hidden, head, gradient| {
            backend.cross_entropy(hidden, head, &batch.target_tokens(), Some(scale), gradient)
        })
    }

    /// Adds the gradient of `scale` · Σ KL(other ‖ this) over the targets' positions to the compact gradients, and returns Σ KL in nats,
    /// unscaled. The other model is given by its normalised final hidden states there (N, C), see [`Self::target_states`], and its head (V, C).
    ///
    /// # Errors
    /// When shapes do not fit, a gradient is missing, or the backend fails.
    pub fn divergence_gradients(
        &mut self,
        batch: &Packed,
        other: (&B::Buffer, &B::Weight),
        scale: f32,
        trained: &Trained,
        gradients: &mut Gradients<B>,
    ) -> Done<f64> {
        self.passes(batch, trained, gradients, |backend, hidden, head, gradient| {
            let (divergences, d_hidden) = backend.divergence(hidden, head, other, scale, gradient)?;
            Ok((divergences, Some(d_hidden)))
        })
    }

    /// A forward and a backward pass around what the head makes of the targets' normalised hidden states (N, C): a number each, which are
    /// summed up, and the states' gradient.
    fn passes(
        &mut self,
        batch: &Packed,
        trained: &Trained,
        gradients: &mut Gradients<B>,
        at_head: impl FnOnce(&mut B, &B::Buffer, &B::Weight, Option<(&Selection, &mut B::Buffer)>) -> Done<(Vec<f32>, Option<B::Buffer>)>,
    ) -> Done<f64> {
        if batch.targets.is_empty() {
            return Ok(0.0);
        }
        let mut sink = Sink { trained, gradients };
        let lowest = self.lowest_trained_layer(trained);
        let checkpointing = self.checkpointing;
        let mut kept: Vec<Kept<B>> = Vec::with_capacity(self.config.layers);
        let layout = self.laid_out(batch)?;
        let x = self.layers_forward(&layout, |backend, layer, state| {
            if layer >= lowest {
                kept.push(if checkpointing { Kept::Input(state.input) } else { Kept::State(Box::new(Waiting::new(backend, state)?)) });
            }
            Ok(())
        })?; // (U, C)
        let rows = layout.targets(batch);
        let picked = self.backend.gather_rows(&x, &rows)?; // (N, C)
        drop(x);
        let (normed, rms) = self.last_norm(&picked)?;
        let Self { backend, parameters, config, .. } = self;
        let head_tensor = head_name(config);
        let head = get(parameters, head_tensor)?;
        let (losses, d_normed) = at_head(backend, &normed, head, sink.pair(head_tensor))?;
        let total: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
        let Some(d_normed) = d_normed else { return Ok(total) };
        let d_picked = backend.rms_norm_backward(&d_normed, &picked, get(parameters, LAST_NORM)?, &rms, sink.vector(LAST_NORM))?;
        let mut dx = backend.scatter_rows(&d_picked, &rows, layout.tokens.len())?; // (U, C)
        for layer in (lowest..self.config.layers).rev() {
            let waiting = match kept.pop() {
                Some(Kept::State(waiting)) => *waiting,
                Some(Kept::Input(input)) => {
                    let state = self.layer_forward(layer, input, &layout)?.1;
                    Waiting::new(&mut self.backend, state)?
                }
                None => break,
            };
            let state = waiting.recall(&mut self.backend)?;
            dx = self.layer_backward(layer, dx, state, &layout, &mut sink)?;
        }
        if let Some((selection, gradient)) = sink.pair(EMBEDDING) {
            self.embedding_gradient(&dx, &layout.tokens, selection, gradient)?;
        }
        Ok(total)
    }

    /// The lookup's part of the embedding's gradient; a tied head has added its own.
    fn embedding_gradient(&mut self, dx: &B::Buffer, tokens: &[u32], selection: &Selection, gradient: &mut B::Buffer) -> Done<()> {
        let (rows, columns) = (self.config.vocab_size, self.config.hidden_size);
        match selection {
            Selection::Nothing => Ok(()),
            // The compact order of a whole tensor is row-major: the table itself.
            Selection::Everything => self.backend.embed_backward(dx, tokens, gradient),
            Selection::Subset(mask) => {
                let mut table = self.backend.zeros(rows, columns)?;
                self.backend.embed_backward(dx, tokens, &mut table)?;
                let dense = self.backend.download(&table)?;
                let chosen: Vec<f32> = mask.positions().map(|i| dense[i]).collect();
                let chosen = self.backend.upload(&chosen, 1, mask.count())?;
                self.backend.add_into(gradient, &chosen)
            }
        }
    }

    /// The first layer that the backward pass must reach; past the last one when only the head is trained.
    fn lowest_trained_layer(&self, trained: &Trained) -> usize {
        inventory(&self.config)
            .iter()
            .filter(|spec| trained.get(&spec.name).is_some_and(|selection| *selection != Selection::Nothing))
            .map(|spec| match (spec.layer, spec.role) {
                (Some(layer), _) => layer,
                (None, Role::Embedding) => 0,
                (None, _) => self.config.layers,
            })
            .min()
            .unwrap_or(self.config.layers)
    }

    /// A whole layer: from the gradient of its output (T, C) to that of its input (T, C).
    fn layer_backward(
        &mut self,
        layer: usize,
        dx: B::Buffer,
        state: LayerState<B::Buffer>,
        layout: &Layout,
        sink: &mut Sink<'_, B>,
    ) -> Done<B::Buffer> {
        let d_middle = self.mlp_backward(layer, dx, &state.after, sink)?;
        self.attention_backward(layer, d_middle, state, layout, sink)
    }

    /// next = middle + down(swiglu(gate, up)): the gradient of `middle`.
    fn mlp_backward(&mut self, layer: usize, dx: B::Buffer, state: &AfterAttention<B::Buffer>, sink: &mut Sink<'_, B>) -> Done<B::Buffer> {
        let Self { backend, parameters, config, names, .. } = self;
        let names: &LayerNames = &names[layer];
        let post_norm = get(parameters, &names.post_norm)?;
        let activated = backend.swiglu(&state.gate, &state.up)?;
        sink.matrices(backend, &activated, &[(&names.down, &dx)])?;
        drop(activated);
        let d_activated = backend.linear_dx([(&dx, get(parameters, &names.down)?)])?;
        let (d_gate, d_up) = backend.swiglu_backward(&d_activated, &state.gate, &state.up)?;
        drop(d_activated);
        let (normed, _) = backend.rms_norm(&state.middle, post_norm, config.rms_norm_eps)?;
        sink.matrices(backend, &normed, &[(&names.gate, &d_gate), (&names.up, &d_up)])?;
        drop(normed);
        let d_normed = backend.linear_dx([(&d_gate, get(parameters, &names.gate)?), (&d_up, get(parameters, &names.up)?)])?;
        let mut d_middle =
            backend.rms_norm_backward(&d_normed, &state.middle, post_norm, &state.middle_rms, sink.vector(&names.post_norm))?;
        backend.add_into(&mut d_middle, &dx)?;
        Ok(d_middle)
    }

    /// middle = input + o(attention(q, k, v)): the gradient of `input`.
    fn attention_backward(
        &mut self,
        layer: usize,
        d_middle: B::Buffer,
        state: LayerState<B::Buffer>,
        layout: &Layout,
        sink: &mut Sink<'_, B>,
    ) -> Done<B::Buffer> {
        let heads = self.heads();
        let Self { backend, parameters, config, names, rope, .. } = self;
        let names = &names[layer];
        let input_norm = get(parameters, &names.input_norm)?;
        let LayerState { input, input_rms, projected, attention, .. } = state;
        sink.matrices(backend, &attention.mixed, &[(&names.o, &d_middle)])?;
        let d_mixed = backend.linear_dx([(&d_middle, get(parameters, &names.o)?)])?;
        let (mut dq, mut dk, dv) =
            backend.attention_backward(&d_mixed, &projected.q, &projected.k, &projected.v, &attention, layout.pieces(), heads)?;
        backend.rope(&mut dq, &layout.positions, rope, true)?;
        backend.rope(&mut dk, &layout.positions, rope, true)?;
        if let Some((q_raw, k_raw)) = &projected.raw {
            dq = head_norm_backward(backend, dq, q_raw, get(parameters, &names.q_norm)?, sink.vector(&names.q_norm))?;
            dk = head_norm_backward(backend, dk, k_raw, get(parameters, &names.k_norm)?, sink.vector(&names.k_norm))?;
        }
        let (normed, _) = backend.rms_norm(&input, input_norm, config.rms_norm_eps)?;
        sink.matrices(backend, &normed, &[(&names.q, &dq), (&names.k, &dk), (&names.v, &dv)])?;
        for (bias, dy) in [(&names.q_bias, &dq), (&names.k_bias, &dk), (&names.v_bias, &dv)] {
            if let Some(gradient) = sink.vector(bias) {
                backend.bias_dw(dy, gradient)?;
            }
        }
        let (q, k, v) = (get(parameters, &names.q)?, get(parameters, &names.k)?, get(parameters, &names.v)?);
        let d_normed = backend.linear_dx([(&dq, q), (&dk, k), (&dv, v)])?;
        let mut d_input = backend.rms_norm_backward(&d_normed, &input, input_norm, &input_rms, sink.vector(&names.input_norm))?;
        backend.add_into(&mut d_input, &d_middle)?;
        Ok(d_input)
    }
}

/// The gradient of `head_norm`'s input, (T, heads·D).
fn head_norm_backward<B: Backend>(
    backend: &mut B,
    dy: B::Buffer,
    raw: &HeadNorm<B::Buffer>,
    w: &B::Weight,
    gradient: Option<&mut B::Buffer>,
) -> Done<B::Buffer> {
    let (rows, columns) = backend.shape(&dy);
    let (split_rows, split_columns) = backend.shape(&raw.input);
    let values = backend.download(&dy)?;
    let split = backend.upload(&values, split_rows, split_columns)?;
    let dx = backend.rms_norm_backward(&split, &raw.input, w, &raw.rms, gradient)?;
    let values = backend.download(&dx)?;
    backend.upload(&values, rows, columns)
}
