//! The decoder: explicit forward and backward passes, written once over a [`Backend`].

use std::collections::BTreeMap;

use super::backend::{AttentionOut, Backend, BackendError, Done, Heads, RopeTable, Selection};
use super::batch::Packed;
use super::config::ModelConfig;
use super::inventory::{Role, TensorSpec, inventory};
use super::rope;

/// Which weights are trained, by tensor name; a tensor that is not named is not trained.
pub type Trained = BTreeMap<String, Selection>;

/// Compact gradients (1, k) by tensor name, for the tensors that are trained.
pub type Gradients<B> = BTreeMap<String, <B as Backend>::Buffer>;

const EMBEDDING: &str = "model.embed_tokens.weight";
const HEAD: &str = "lm_head.weight";
const LAST_NORM: &str = "model.norm.weight";

/// Positions of the first rotary table; it grows when a longer row comes.
const FIRST_POSITIONS: usize = 512;

/// A model's weights on a backend, with its passes.
pub struct Decoder<B: Backend> {
    config: ModelConfig,
    backend: B,
    parameters: BTreeMap<String, B::Buffer>,
    names: Vec<LayerNames>,
    rope: RopeTable,
}

/// Tensor names of one layer, made once.
struct LayerNames {
    input_norm: String,
    q: String,
    k: String,
    v: String,
    q_bias: String,
    k_bias: String,
    v_bias: String,
    q_norm: String,
    k_norm: String,
    o: String,
    post_norm: String,
    gate: String,
    up: String,
    down: String,
}

/// What the forward pass of one layer leaves for the backward pass.
struct LayerState<T> {
    input: T,              // (T, C)
    input_rms: T,          // (T, 1)
    q_raw: Option<(T, T)>, // q before its norm (T·H, D) and 1/rms, where q and k are normalised
    k_raw: Option<(T, T)>,
    q: T, // (T, H·D), rotated
    k: T, // (T, KV·D), rotated
    v: T, // (T, KV·D)
    attention: AttentionOut<T>,
    middle: T,     // (T, C), after attention
    middle_rms: T, // (T, 1)
    gate: T,       // (T, F)
    up: T,         // (T, F)
}

impl<B: Backend> Decoder<B> {
    /// Loads every tensor of the configuration, in inventory order.
    ///
    /// # Errors
    /// What `load` fails with, or the backend, when it cannot hold the weights.
    pub fn new<E: From<BackendError>>(
        config: ModelConfig,
        mut backend: B,
        mut load: impl FnMut(&TensorSpec) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let mut parameters = BTreeMap::new();
        for spec in inventory(&config) {
            let values = load(&spec)?;
            parameters.insert(spec.name.clone(), backend.upload(&values, spec.rows, spec.columns)?);
        }
        let names = (0..config.layers).map(LayerNames::new).collect();
        let rope = rope::table(&config, FIRST_POSITIONS);
        Ok(Self { config, backend, parameters, names, rope })
    }

    /// The architecture.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The backend, to read from.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The backend.
    pub fn backend_mut(&mut self) -> &mut B {
        &mut self.backend
    }

    /// A tensor's numbers, row-major.
    ///
    /// # Errors
    /// When the model has no such tensor or the device fails.
    pub fn values(&self, name: &str) -> Done<Vec<f32>> {
        self.backend.download(self.parameter(name)?)
    }

    /// Replaces a tensor's numbers.
    ///
    /// # Errors
    /// When the model has no such tensor or the number of values does not fit.
    pub fn set_values(&mut self, name: &str, values: &[f32]) -> Done<()> {
        let (rows, columns) = self.backend.shape(self.parameter(name)?);
        let buffer = self.backend.upload(values, rows, columns)?;
        self.parameters.insert(name.to_owned(), buffer);
        Ok(())
    }

    /// Runs an operation of the backend on one parameter.
    ///
    /// # Errors
    /// When the model has no such tensor, or what the operation fails with.
    pub fn update<T>(&mut self, name: &str, operation: impl FnOnce(&mut B, &mut B::Buffer) -> Done<T>) -> Done<T> {
        match self.parameters.get_mut(name) {
            Some(parameter) => operation(&mut self.backend, parameter),
            None => Err(missing(name)),
        }
    }

    /// A tensor on the backend.
    ///
    /// # Errors
    /// When the model has no such tensor.
    pub fn parameter(&self, name: &str) -> Done<&B::Buffer> {
        self.parameters.get(name).ok_or_else(|| missing(name))
    }

    /// Compact zeros for every trained tensor.
    ///
    /// # Errors
    /// When the device cannot hold them or a tensor does not exist.
    pub fn new_gradients(&mut self, trained: &Trained) -> Done<Gradients<B>> {
        let mut gradients = BTreeMap::new();
        for (name, selection) in trained {
            let (rows, columns) = self.backend.shape(self.parameter(name)?);
            let count = selection.count(rows * columns);
            if count > 0 {
                gradients.insert(name.clone(), self.backend.zeros(1, count)?);
            }
        }
        Ok(gradients)
    }

    /// Negative log-likelihood of every target, in nats, in the order of the targets.
    ///
    /// # Errors
    /// When a token is not in the vocabulary or the backend fails.
    pub fn losses(&mut self, batch: &Packed) -> Done<Vec<f32>> {
        let hidden = self.target_hidden(batch)?;
        let targets: Vec<u32> = batch.targets.iter().map(|target| target.token).collect();
        let Self { backend, parameters, config, .. } = self;
        let head = get(parameters, head_name(config))?;
        Ok(backend.cross_entropy(&hidden, head, &targets, None, None)?.0)
    }

    /// Log-softmax over the vocabulary at every target's position, (N, V) row-major.
    ///
    /// # Errors
    /// When a token is not in the vocabulary or the backend fails.
    pub fn log_probabilities(&mut self, batch: &Packed) -> Done<Vec<f32>> {
        let mut logits = self.logits(batch)?;
        for row in logits.chunks_mut(self.config.vocab_size) {
            let peak = row.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
            let sum: f64 = row.iter().map(|&v| f64::from(v - peak).exp()).sum();
            let log_sum = (f64::from(peak) + sum.ln()) as f32;
            row.iter_mut().for_each(|v| *v -= log_sum);
        }
        Ok(logits)
    }

    /// Logits at every target's position, (N, V) row-major.
    ///
    /// # Errors
    /// When a token is not in the vocabulary or the backend fails.
    pub fn logits(&mut self, batch: &Packed) -> Done<Vec<f32>> {
        let hidden = self.target_hidden(batch)?;
        let Self { backend, parameters, config, .. } = self;
        let logits = backend.linear(&hidden, get(parameters, head_name(config))?, None)?;
        backend.download(&logits)
    }

    /// Adds the gradient of `scale` · Σ loss to the compact gradients, and returns Σ loss in nats, unscaled.
    ///
    /// # Errors
    /// When a token is not in the vocabulary, a gradient is missing, or the backend fails.
    pub fn gradients(&mut self, batch: &Packed, scale: f32, trained: &Trained, gradients: &mut Gradients<B>) -> Done<f64> {
        if batch.targets.is_empty() {
            return Ok(0.0);
        }
        self.check(batch)?;
        let positions = batch.positions();
        let lowest = self.lowest_trained_layer(trained);
        let mut x = {
            let Self { backend, parameters, .. } = self;
            backend.embed(get(parameters, EMBEDDING)?, &batch.tokens)? // (T, C)
        };
        let mut states: Vec<LayerState<B::Buffer>> = Vec::with_capacity(self.config.layers);
        for layer in 0..self.config.layers {
            let (next, state) = self.layer_forward(layer, x, batch, &positions)?;
            x = next;
            if layer >= lowest {
                states.push(state);
            }
        }
        let rows: Vec<usize> = batch.targets.iter().map(|target| target.position).collect();
        let targets: Vec<u32> = batch.targets.iter().map(|target| target.token).collect();
        let Self { backend, parameters, config, .. } = self;
        let picked = backend.gather_rows(&x, &rows)?; // (N, C)
        drop(x);
        let last_norm = get(parameters, LAST_NORM)?;
        let (normed, rms) = backend.rms_norm(&picked, last_norm, config.rms_norm_eps)?;
        let head_tensor = head_name(config);
        let head = get(parameters, head_tensor)?;
        let head_gradient = match (trained.get(head_tensor), gradients.get_mut(head_tensor)) {
            (Some(selection), Some(gradient)) => Some((selection, gradient)),
            _ => None,
        };
        let (losses, d_normed) = backend.cross_entropy(&normed, head, &targets, Some(scale), head_gradient)?;
        let total: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
        let Some(d_normed) = d_normed else { return Ok(total) };
        let d_picked = backend.rms_norm_backward(&d_normed, &picked, last_norm, &rms, gradients.get_mut(LAST_NORM))?;
        let mut dx = backend.scatter_rows(&d_picked, &rows, batch.tokens.len())?; // (T, C)
        for layer in (lowest..self.config.layers).rev() {
            let Some(state) = states.pop() else { break };
            dx = self.layer_backward(layer, dx, state, batch, &positions, trained, gradients)?;
        }
        if let (Some(selection), Some(gradient)) = (trained.get(EMBEDDING), gradients.get_mut(EMBEDDING)) {
            self.embedding_gradient(&dx, &batch.tokens, selection, gradient)?;
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

    /// Final hidden states at the targets' positions, normalised, (N, C).
    fn target_hidden(&mut self, batch: &Packed) -> Done<B::Buffer> {
        self.check(batch)?;
        let positions = batch.positions();
        let mut x = {
            let Self { backend, parameters, .. } = self;
            backend.embed(get(parameters, EMBEDDING)?, &batch.tokens)?
        };
        for layer in 0..self.config.layers {
            x = self.layer_forward(layer, x, batch, &positions)?.0;
        }
        let rows: Vec<usize> = batch.targets.iter().map(|target| target.position).collect();
        let Self { backend, parameters, config, .. } = self;
        let picked = backend.gather_rows(&x, &rows)?;
        Ok(backend.rms_norm(&picked, get(parameters, LAST_NORM)?, config.rms_norm_eps)?.0)
    }

    /// Checks token ids, and grows the rotary table to the longest row.
    fn check(&mut self, batch: &Packed) -> Done<()> {
        if let Some(&token) = batch.tokens.iter().find(|&&token| token as usize >= self.config.vocab_size) {
            return Err(BackendError {
                backend: "decoder",
                message: format!("token {token} in a vocabulary of {}", self.config.vocab_size),
            });
        }
        let longest = batch.row_starts.windows(2).map(|row| row[1] - row[0]).max().unwrap_or(0);
        self.ensure_positions(longest);
        Ok(())
    }

    /// Makes the rotary table reach `length` positions.
    pub(super) fn ensure_positions(&mut self, length: usize) {
        if length * self.rope.half > self.rope.cos.len() {
            self.rope = rope::table(&self.config, length.next_power_of_two());
        }
    }

    pub(super) fn heads(&self) -> Heads {
        Heads { query: self.config.heads, key_value: self.config.key_value_heads, size: self.config.head_dim }
    }

    /// Rotated queries, rotated keys and values of a layer's normalised input, with what their norms leave behind.
    #[allow(clippy::type_complexity)]
    pub(super) fn project(
        &mut self,
        layer: usize,
        normed: &B::Buffer,
        positions: &[u32],
    ) -> Done<(B::Buffer, B::Buffer, B::Buffer, Option<(B::Buffer, B::Buffer)>, Option<(B::Buffer, B::Buffer)>)> {
        let Self { backend, parameters, config, names, rope } = self;
        let names = &names[layer];
        let bias = |name: &String| if config.qkv_bias { parameters.get(name) } else { None };
        let mut q = backend.linear(normed, get(parameters, &names.q)?, bias(&names.q_bias))?;
        let mut k = backend.linear(normed, get(parameters, &names.k)?, bias(&names.k_bias))?;
        let v = backend.linear(normed, get(parameters, &names.v)?, bias(&names.v_bias))?;
        let (mut q_raw, mut k_raw) = (None, None);
        if config.qk_norm {
            (q, q_raw) = head_norm(backend, q, get(parameters, &names.q_norm)?, config)?;
            (k, k_raw) = head_norm(backend, k, get(parameters, &names.k_norm)?, config)?;
        }
        backend.rope(&mut q, positions, rope, false)?;
        backend.rope(&mut k, positions, rope, false)?;
        Ok((q, k, v, q_raw, k_raw))
    }

    /// The layer's attention output projected and added to its input, then the MLP: (next input, state pieces).
    #[allow(clippy::type_complexity)]
    pub(super) fn finish_layer(
        &mut self,
        layer: usize,
        x: &B::Buffer,
        mixed: &B::Buffer,
    ) -> Done<(B::Buffer, B::Buffer, B::Buffer, B::Buffer, B::Buffer)> {
        let Self { backend, parameters, config, names, .. } = self;
        let names = &names[layer];
        let mut middle = backend.linear(mixed, get(parameters, &names.o)?, None)?;
        backend.add_into(&mut middle, x)?;
        let (normed, middle_rms) = backend.rms_norm(&middle, get(parameters, &names.post_norm)?, config.rms_norm_eps)?;
        let gate = backend.linear(&normed, get(parameters, &names.gate)?, None)?;
        let up = backend.linear(&normed, get(parameters, &names.up)?, None)?;
        let activated = backend.swiglu(&gate, &up)?;
        let mut next = backend.linear(&activated, get(parameters, &names.down)?, None)?;
        backend.add_into(&mut next, &middle)?;
        Ok((next, middle, middle_rms, gate, up))
    }

    /// The layer's input, normalised, (T, C), with 1/rms.
    pub(super) fn normed_input(&mut self, layer: usize, x: &B::Buffer) -> Done<(B::Buffer, B::Buffer)> {
        let Self { backend, parameters, config, names, .. } = self;
        backend.rms_norm(x, get(parameters, &names[layer].input_norm)?, config.rms_norm_eps)
    }

    /// The embedding of tokens, (T, C).
    pub(super) fn embedded(&mut self, tokens: &[u32]) -> Done<B::Buffer> {
        let Self { backend, parameters, .. } = self;
        backend.embed(get(parameters, EMBEDDING)?, tokens)
    }

    /// Logits of final hidden states (N, C), (N, V).
    pub(super) fn head(&mut self, hidden: &B::Buffer) -> Done<Vec<f32>> {
        let Self { backend, parameters, config, .. } = self;
        let (normed, _) = backend.rms_norm(hidden, get(parameters, LAST_NORM)?, config.rms_norm_eps)?;
        let logits = backend.linear(&normed, get(parameters, head_name(config))?, None)?;
        backend.download(&logits)
    }

    fn layer_forward(&mut self, layer: usize, x: B::Buffer, batch: &Packed, positions: &[u32]) -> Done<(B::Buffer, LayerState<B::Buffer>)> {
        let heads = self.heads();
        let (normed, input_rms) = self.normed_input(layer, &x)?;
        let (q, k, v, q_raw, k_raw) = self.project(layer, &normed, positions)?;
        let attention = self.backend.attention(&q, &k, &v, &batch.row_starts, heads)?;
        let (next, middle, middle_rms, gate, up) = self.finish_layer(layer, &x, &attention.mixed)?;
        Ok((next, LayerState { input: x, input_rms, q_raw, k_raw, q, k, v, attention, middle, middle_rms, gate, up }))
    }

    #[allow(clippy::too_many_arguments)]
    fn layer_backward(
        &mut self,
        layer: usize,
        dx: B::Buffer,
        state: LayerState<B::Buffer>,
        batch: &Packed,
        positions: &[u32],
        trained: &Trained,
        gradients: &mut Gradients<B>,
    ) -> Done<B::Buffer> {
        let heads = self.heads();
        let Self { backend, parameters, config, names, rope } = self;
        let names = &names[layer];
        let mut dw = |backend: &mut B, name: &String, dy: &B::Buffer, x: &B::Buffer| -> Done<()> {
            match (trained.get(name), gradients.get_mut(name)) {
                (Some(selection), Some(gradient)) => backend.linear_dw(dy, x, selection, gradient),
                _ => Ok(()),
            }
        };
        // MLP: next = middle + down(swiglu(gate, up))
        let activated = backend.swiglu(&state.gate, &state.up)?;
        dw(backend, &names.down, &dx, &activated)?;
        drop(activated);
        let d_activated = backend.linear_dx(&dx, get(parameters, &names.down)?)?;
        let (d_gate, d_up) = backend.swiglu_backward(&d_activated, &state.gate, &state.up)?;
        drop(d_activated);
        let (normed, _) = backend.rms_norm(&state.middle, get(parameters, &names.post_norm)?, config.rms_norm_eps)?;
        dw(backend, &names.gate, &d_gate, &normed)?;
        dw(backend, &names.up, &d_up, &normed)?;
        drop(normed);
        let mut d_normed = backend.linear_dx(&d_gate, get(parameters, &names.gate)?)?;
        let d_from_up = backend.linear_dx(&d_up, get(parameters, &names.up)?)?;
        backend.add_into(&mut d_normed, &d_from_up)?;
        let mut d_middle = backend.rms_norm_backward(
            &d_normed,
            &state.middle,
            get(parameters, &names.post_norm)?,
            &state.middle_rms,
            gradients.get_mut(&names.post_norm),
        )?;
        backend.add_into(&mut d_middle, &dx)?;
        drop(dx);
        // Attention: middle = input + o(attention(q, k, v))
        let mut dw = |backend: &mut B, name: &String, dy: &B::Buffer, x: &B::Buffer| -> Done<()> {
            match (trained.get(name), gradients.get_mut(name)) {
                (Some(selection), Some(gradient)) => backend.linear_dw(dy, x, selection, gradient),
                _ => Ok(()),
            }
        };
        dw(backend, &names.o, &d_middle, &state.attention.mixed)?;
        let d_mixed = backend.linear_dx(&d_middle, get(parameters, &names.o)?)?;
        let (mut dq, mut dk, dv) =
            backend.attention_backward(&d_mixed, &state.q, &state.k, &state.v, &state.attention, &batch.row_starts, heads)?;
        backend.rope(&mut dq, positions, rope, true)?;
        backend.rope(&mut dk, positions, rope, true)?;
        if let (Some(q_raw), Some(k_raw)) = (&state.q_raw, &state.k_raw) {
            dq = head_norm_backward(backend, dq, q_raw, get(parameters, &names.q_norm)?, gradients.get_mut(&names.q_norm))?;
            dk = head_norm_backward(backend, dk, k_raw, get(parameters, &names.k_norm)?, gradients.get_mut(&names.k_norm))?;
        }
        let (normed, _) = backend.rms_norm(&state.input, get(parameters, &names.input_norm)?, config.rms_norm_eps)?;
        let mut d_normed = backend.linear_dx(&dq, get(parameters, &names.q)?)?;
        for (weight, bias, dy) in [(&names.q, &names.q_bias, &dq), (&names.k, &names.k_bias, &dk), (&names.v, &names.v_bias, &dv)] {
            if let (Some(selection), Some(gradient)) = (trained.get(weight), gradients.get_mut(weight)) {
                backend.linear_dw(dy, &normed, selection, gradient)?;
            }
            if let Some(gradient) = gradients.get_mut(bias) {
                backend.bias_dw(dy, gradient)?;
            }
        }
        for (weight, dy) in [(&names.k, &dk), (&names.v, &dv)] {
            let part = backend.linear_dx(dy, get(parameters, weight)?)?;
            backend.add_into(&mut d_normed, &part)?;
        }
        let mut d_input = backend.rms_norm_backward(
            &d_normed,
            &state.input,
            get(parameters, &names.input_norm)?,
            &state.input_rms,
            gradients.get_mut(&names.input_norm),
        )?;
        backend.add_into(&mut d_input, &d_middle)?;
        Ok(d_input)
    }
}

/// Normalises every head by itself: (normalised (T, heads·D), (the input as (T·heads, D), 1/rms)).
#[allow(clippy::type_complexity)]
fn head_norm<B: Backend>(
    backend: &mut B,
    x: B::Buffer,
    w: &B::Buffer,
    config: &ModelConfig,
) -> Done<(B::Buffer, Option<(B::Buffer, B::Buffer)>)> {
    let (rows, columns) = backend.shape(&x);
    let heads = columns / config.head_dim;
    let values = backend.download(&x)?;
    let split = backend.upload(&values, rows * heads, config.head_dim)?;
    let (normed, rms) = backend.rms_norm(&split, w, config.rms_norm_eps)?;
    let values = backend.download(&normed)?;
    Ok((backend.upload(&values, rows, columns)?, Some((split, rms))))
}

/// The gradient of [`head_norm`]'s input.
fn head_norm_backward<B: Backend>(
    backend: &mut B,
    dy: B::Buffer,
    raw: &(B::Buffer, B::Buffer),
    w: &B::Buffer,
    gradient: Option<&mut B::Buffer>,
) -> Done<B::Buffer> {
    let (rows, columns) = backend.shape(&dy);
    let (split_rows, split_columns) = backend.shape(&raw.0);
    let values = backend.download(&dy)?;
    let split = backend.upload(&values, split_rows, split_columns)?;
    let dx = backend.rms_norm_backward(&split, &raw.0, w, &raw.1, gradient)?;
    let values = backend.download(&dx)?;
    backend.upload(&values, rows, columns)
}

fn head_name(config: &ModelConfig) -> &'static str {
    if config.tie_word_embeddings { EMBEDDING } else { HEAD }
}

fn get<'a, T>(parameters: &'a BTreeMap<String, T>, name: &str) -> Done<&'a T> {
    parameters.get(name).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> BackendError {
    BackendError { backend: "decoder", message: format!("the model has no tensor {name}") }
}

impl LayerNames {
    fn new(layer: usize) -> Self {
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
