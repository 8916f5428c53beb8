//! The seam between the decoder and the machine: block-level operations over a backend's own buffers.
//!
//! The decoder is written once against [`Backend`]. [`cpu`] runs it on slices, [`tensor`] on plain candle tensors (any
//! candle device); the second is the first one's test twin. Results are returned; workspace belongs to the backend.
//! Sums are f32; factors of products are f32, or bfloat16 where the backend says so. Every reduction has a fixed order, so results do not depend on the number of threads.

mod attention;
pub mod cpu;
pub mod tensor;

pub use self::attention::{AttentionOut, Heads, Pieces};
use super::constraint::Scale;
use crate::mask::Mask;

/// Which weights of one tensor are trained, and so have a gradient and optimizer state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// None: no gradient is computed.
    Nothing,
    /// Every weight; the compact order is row-major.
    Everything,
    /// The weights in the set; the compact order is ascending row-major.
    Subset(Mask),
}

impl Selection {
    /// The number of trained weights of a tensor with `len` weights: the length of its compact buffers.
    pub fn count(&self, len: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Everything => len,
            Self::Subset(mask) => mask.count(),
        }
    }
}

/// Half-split rotary tables: `cos[p * D/2 + i]` and `sin[...]` for position p and pair i (dimensions i and i + D/2).
#[derive(Debug, Clone, PartialEq)]
pub struct RopeTable {
    /// Cosines, (P, D/2).
    pub cos: Vec<f32>,
    /// Sines, (P, D/2).
    pub sin: Vec<f32>,
    /// D/2.
    pub half: usize,
}

/// Hyperparameters of one AdamW step. Source: Loshchilov & Hutter (1711.05101), as `torch.optim.AdamW` computes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay; 0 for norms and biases.
    pub weight_decay: f64,
    /// The number of this step, from 1.
    pub step: u64,
    /// Every gradient is multiplied by this first (clipping).
    pub gradient_scale: f32,
}

/// A backend's own error: out of memory, a device's fault, a broken shape.
#[derive(Debug, thiserror::Error)]
#[error("{backend} backend: {message}")]
pub struct BackendError {
    /// `cpu` or `tensor`.
    pub backend: &'static str,
    /// What happened.
    pub message: String,
}

/// Result of a backend operation.
pub type Done<T> = Result<T, BackendError>;

/// A weight (O, I), with the bias (1, O) where there is one.
pub type Affine<'a, W> = (&'a W, Option<&'a W>);

/// What a weight's gradient is made of, and where it goes.
pub struct WeightGradient<'a, B> {
    /// The gradient of the weight's output, (T, O).
    pub dy: &'a B,
    /// The weights that are trained, k of them.
    pub selection: &'a Selection,
    /// Their gradient, (1, k).
    pub gradient: B,
}

/// Block-level operations. Shapes as in the legend of [`crate::model`]: T tokens, C hidden, H heads, KV key/value heads,
/// D head size, V vocabulary, I and O a matrix's inputs and outputs (weights are (O, I), row-major, as in PyTorch).
pub trait Backend {
    /// A matrix or vector of f32, row-major, with its shape.
    type Buffer;
    /// A parameter, (O, I), or (1, C) of a vector: whatever products read fastest.
    type Weight: Clone;
    /// A buffer that waits for the backward pass.
    type Kept;
    /// Keys and values of sequences that grow, of one layer.
    type Cache;

    /// `cpu` or `tensor`, with what else changes numerics (`cpu avx512`): recorded, and part of the stage keys.
    fn numerics(&self) -> String;

    /// Copies numbers in; `data.len() == rows * columns`.
    ///
    /// # Errors
    /// When the device cannot hold them.
    fn upload(&mut self, data: &[f32], rows: usize, columns: usize) -> Done<Self::Buffer>;
    /// Copies numbers out, row-major.
    ///
    /// # Errors
    /// When the device fails.
    fn download(&self, buffer: &Self::Buffer) -> Done<Vec<f32>>;
    /// (rows, columns).
    fn shape(&self, buffer: &Self::Buffer) -> (usize, usize);
    /// Keeps a buffer until the backward pass, in the precision of products.
    ///
    /// # Errors
    /// When the device cannot hold it.
    fn keep(&mut self, buffer: Self::Buffer) -> Done<Self::Kept>;
    /// The buffer again, as far as that precision tells.
    ///
    /// # Errors
    /// When the device cannot hold it.
    fn recall(&mut self, kept: Self::Kept) -> Done<Self::Buffer>;
    /// Makes a parameter of f32 numbers, row-major; `values.len() == rows * columns`.
    ///
    /// # Errors
    /// When the device cannot hold it.
    fn load(&mut self, values: &[f32], rows: usize, columns: usize) -> Done<Self::Weight>;
    /// A parameter's numbers, row-major: those that were loaded or trained, whatever products make of them.
    ///
    /// # Errors
    /// When the device fails.
    fn values(&self, weight: &Self::Weight) -> Done<Vec<f32>>;
    /// (rows, columns) of a parameter.
    fn size(&self, weight: &Self::Weight) -> (usize, usize);
    /// A buffer of zeros.
    ///
    /// # Errors
    /// When the device cannot hold it.
    fn zeros(&mut self, rows: usize, columns: usize) -> Done<Self::Buffer>;
    /// Makes every number of a buffer zero.
    ///
    /// # Errors
    /// When the device fails.
    fn clear(&mut self, buffer: &mut Self::Buffer) -> Done<()>;
    /// `to += from`, element by element.
    ///
    /// # Errors
    /// When shapes differ.
    fn add_into(&mut self, to: &mut Self::Buffer, from: &Self::Buffer) -> Done<()>;
    /// Rows `rows` of `x` in the given order, (rows.len(), C).
    ///
    /// # Errors
    /// When a row does not exist.
    fn gather_rows(&mut self, x: &Self::Buffer, rows: &[usize]) -> Done<Self::Buffer>;
    /// Zeros of (`total_rows`, C) with row `i` of `x` added to row `rows[i]`, in order: the backward pass of [`Backend::gather_rows`].
    ///
    /// # Errors
    /// When a row does not exist.
    fn scatter_rows(&mut self, x: &Self::Buffer, rows: &[usize], total_rows: usize) -> Done<Self::Buffer>;

    /// Rows of `table` (V, C) for `ids`, (T, C).
    ///
    /// # Errors
    /// When an id is not below V.
    fn embed(&mut self, table: &Self::Weight, ids: &[u32]) -> Done<Self::Buffer>;
    /// Adds each row of `dx` (T, C) to row `ids[t]` of `d_table`, (V, C) or the same numbers as (1, V·C), in order of t.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn embed_backward(&mut self, dx: &Self::Buffer, ids: &[u32], d_table: &mut Self::Buffer) -> Done<()>;

    /// x (T, I) · wᵀ plus the bias (1, O) for each of several w (O, I): (T, O) each.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn linear<const N: usize>(&mut self, x: &Self::Buffer, weights: [Affine<'_, Self::Weight>; N]) -> Done<[Self::Buffer; N]>;
    /// The gradient of the input of several linear maps: Σ dy (T, O) · w, (T, I), summed in their order.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn linear_dx<const N: usize>(&mut self, maps: [(&Self::Buffer, &Self::Weight); N]) -> Done<Self::Buffer>;
    /// Adds the gradient dyᵀ · x, (O, I), of each of several weights with the input x at the selected positions to its compact gradient.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn linear_dw(&mut self, x: &Self::Buffer, weights: &mut [WeightGradient<'_, Self::Buffer>]) -> Done<()>;
    /// Adds the column sums of dy (T, O) to `gradient` (1, O): the gradient of a bias.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn bias_dw(&mut self, dy: &Self::Buffer, gradient: &mut Self::Buffer) -> Done<()>;

    /// Root-mean-square normalisation of each row of x (N, C) times w (1, C): (y (N, C), 1/rms (N, 1)).
    /// Source: Zhang & Sennrich (1910.07467); the mean of squares, `epsilon` inside the root.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn rms_norm(&mut self, x: &Self::Buffer, w: &Self::Weight, epsilon: f64) -> Done<(Self::Buffer, Self::Buffer)>;
    /// The gradient of x; adds the gradient of w to `gradient` (1, C) where given.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn rms_norm_backward(
        &mut self,
        dy: &Self::Buffer,
        x: &Self::Buffer,
        w: &Self::Weight,
        inverse_rms: &Self::Buffer,
        gradient: Option<&mut Self::Buffer>,
    ) -> Done<Self::Buffer>;

    /// Rotates each head of x (T, heads·D) in place by its token's position; `backward` turns the other way (the transpose).
    ///
    /// # Errors
    /// When a position is not in the table.
    fn rope(&mut self, x: &mut Self::Buffer, positions: &[u32], table: &RopeTable, backward: bool) -> Done<()>;

    /// Causal attention inside each row: q (T, H·D), k and v (T, KV·D), scores scaled by 1/√D. A token sees what its row begins with, then
    /// its own piece up to itself.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn attention(
        &mut self,
        q: &Self::Buffer,
        k: &Self::Buffer,
        v: &Self::Buffer,
        pieces: Pieces<'_>,
        heads: Heads,
    ) -> Done<AttentionOut<Self::Buffer>>;
    /// The gradients of q, k and v; those of k and v in a common beginning are sums over the pieces, in their order.
    ///
    /// # Errors
    /// When shapes do not fit.
    #[allow(clippy::too_many_arguments)]
    fn attention_backward(
        &mut self,
        d_mixed: &Self::Buffer,
        q: &Self::Buffer,
        k: &Self::Buffer,
        v: &Self::Buffer,
        out: &AttentionOut<Self::Buffer>,
        pieces: Pieces<'_>,
        heads: Heads,
    ) -> Done<(Self::Buffer, Self::Buffer, Self::Buffer)>;

    /// silu(gate) · up, (T, F).
    ///
    /// # Errors
    /// When shapes differ.
    fn swiglu(&mut self, gate: &Self::Buffer, up: &Self::Buffer) -> Done<Self::Buffer>;
    /// The gradients of gate and up.
    ///
    /// # Errors
    /// When shapes differ.
    fn swiglu_backward(&mut self, d_out: &Self::Buffer, gate: &Self::Buffer, up: &Self::Buffer) -> Done<(Self::Buffer, Self::Buffer)>;

    /// Negative log-likelihoods of `targets` under softmax(h · wᵀ), h (N, C), w (V, C), in chunks of rows: (each row's loss in nats (N), and,
    /// when `scale` is given, dh (N, C) of Σ `scale` · loss). Where `gradient` is given too, adds the gradient of w at the selected positions to it.
    ///
    /// # Errors
    /// When shapes do not fit or a target is not below V.
    fn cross_entropy(
        &mut self,
        h: &Self::Buffer,
        w: &Self::Weight,
        targets: &[u32],
        scale: Option<Scale<'_>>,
        gradient: Option<(&Selection, &mut Self::Buffer)>,
    ) -> Done<(Vec<f32>, Option<Self::Buffer>)>;
    /// KL(p ‖ q) of p = softmax(h' · w'ᵀ), the reference (h' (N, C), w' (V, C)), and q = softmax(h · wᵀ), h (N, C), w (V, C), in chunks of
    /// rows: (each row's in nats (N), dh (N, C) of `scale` · Σ KL). Adds the gradient of w at the selected positions to `gradient`.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn divergence(
        &mut self,
        h: &Self::Buffer,
        w: &Self::Weight,
        reference: (&Self::Buffer, &Self::Weight),
        scale: f32,
        gradient: Option<(&Selection, &mut Self::Buffer)>,
    ) -> Done<(Vec<f32>, Self::Buffer)>;

    /// An empty cache for `rows` sequences of at most `capacity` tokens each in one layer.
    ///
    /// # Errors
    /// When the device cannot hold it.
    fn cache(&mut self, rows: usize, capacity: usize, heads: Heads) -> Done<Self::Cache>;
    /// Gives sequence `to` of a cache the first `length` tokens of sequence `from`.
    ///
    /// # Errors
    /// When the device fails.
    fn copy_cached(&mut self, cache: &mut Self::Cache, from: usize, to: usize, length: usize) -> Done<()>;
    /// Writes k and v (T, KV·D) of the new tokens at (row, position), then attends: token t is the query of sequence `rows[t]`
    /// at `positions[t]` and sees that sequence's positions `0..=positions[t]`. Returns (T, H·D).
    ///
    /// # Errors
    /// When shapes do not fit or a sequence is full.
    #[allow(clippy::too_many_arguments)]
    fn attention_cached(
        &mut self,
        q: &Self::Buffer,
        k: &Self::Buffer,
        v: &Self::Buffer,
        cache: &mut Self::Cache,
        rows: &[usize],
        positions: &[u32],
        heads: Heads,
    ) -> Done<Self::Buffer>;

    /// Σ gradient² in f64, over fixed chunks.
    ///
    /// # Errors
    /// When the device fails.
    fn sum_of_squares(&mut self, gradient: &Self::Buffer) -> Done<f64>;
    /// Σ a · b in f64, over fixed chunks.
    ///
    /// # Errors
    /// When shapes differ or the device fails.
    fn dot(&mut self, a: &Self::Buffer, b: &Self::Buffer) -> Done<f64>;
    /// `to += scale · from`, element by element.
    ///
    /// # Errors
    /// When shapes differ.
    fn add_scaled(&mut self, to: &mut Self::Buffer, from: &Self::Buffer, scale: f32) -> Done<()>;
    /// Adds stiffness · (w − rest) of the selected weights to their gradient: that of ½ · Σ stiffness · (w − rest)². The numbers of w are
    /// those that are trained, whatever products make of them; `stiffness`, `rest` and `gradient` are compact (1, k).
    ///
    /// # Errors
    /// When shapes do not fit.
    fn pull_back(
        &mut self,
        w: &Self::Weight,
        selection: &Selection,
        stiffness: &Self::Buffer,
        rest: &Self::Buffer,
        gradient: &mut Self::Buffer,
    ) -> Done<()>;

    /// Puts f32 numbers, compact (k), in the place of the selected weights of `w`: what steps made of them. The others keep their bits.
    ///
    /// # Errors
    /// When their number does not fit.
    fn put(&mut self, w: &mut Self::Weight, selection: &Selection, values: &[f32]) -> Done<()>;
    /// One AdamW step on the selected weights of `w`; `gradient`, `m` and `v` are compact (1, k). Weights that are not selected keep their bits.
    ///
    /// # Errors
    /// When shapes do not fit.
    fn adamw(
        &mut self,
        w: &mut Self::Weight,
        selection: &Selection,
        gradient: &Self::Buffer,
        m: &mut Self::Buffer,
        v: &mut Self::Buffer,
        step: &AdamW,
    ) -> Done<()>;
}

/// All of several results, or the first error.
fn all<T, const N: usize>(results: [Done<T>; N]) -> Done<[T; N]> {
    let mut values = Vec::with_capacity(N);
    for result in results {
        values.push(result?);
    }
    values.try_into().map_err(|_| BackendError { backend: "any", message: "a result is missing".to_owned() })
}
