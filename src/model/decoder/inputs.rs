//! What goes into each matrix: column sums of squares, collected in a forward pass.

use std::collections::BTreeMap;

use super::Decoder;
use super::names::get;
use crate::model::backend::{Backend, BackendError, Done};
use crate::model::batch::Packed;

/// Σ x² of the input x of each projection by its tensor's name, one sum a column, (I). Matrices with one input (q, k and v; gate and
/// up) have equal sums.
pub type InputSquares = BTreeMap<String, Vec<f64>>;

impl<B: Backend> Decoder<B> {
    /// Adds what a forward pass over the rows puts into each projection, over the given tokens alone (indices into the packed
    /// tokens, in any order). Each column is summed in f64 and in the order of the tokens, so that threads do not change a bit.
    ///
    /// # Errors
    /// When a token is not in the vocabulary, an index not below T, or the backend fails.
    pub fn add_input_squares(&mut self, batch: &Packed, tokens: &[usize], squares: &mut InputSquares) -> Done<()> {
        let layout = self.laid_out(batch)?;
        let mut x = self.embedded(&layout.tokens)?; // (U, C)
        let missing = |&token: &usize| BackendError { backend: "decoder", message: format!("token {token} of {}", batch.tokens.len()) };
        let places = tokens.iter().map(|token| layout.places.get(*token).copied().ok_or_else(|| missing(token)));
        let tokens = places.collect::<Done<Vec<usize>>>()?;
        for layer in 0..self.config.layers {
            let (next, state) = self.layer_forward(layer, x, &layout)?;
            x = next;
            let Self { backend, parameters, config, names, .. } = self;
            let names = &names[layer];
            // What the layer made of its input and gave to its matrices, as the backward pass makes it again.
            let (normed, _) = backend.rms_norm(&state.input, get(parameters, &names.input_norm)?, config.rms_norm_eps)?;
            add(backend, &normed, &tokens, &[&names.q, &names.k, &names.v], squares)?;
            add(backend, &state.attention.mixed, &tokens, &[&names.o], squares)?;
            let (normed, _) = backend.rms_norm(&state.after.middle, get(parameters, &names.post_norm)?, config.rms_norm_eps)?;
            add(backend, &normed, &tokens, &[&names.gate, &names.up], squares)?;
            let activated = backend.swiglu(&state.after.gate, &state.after.up)?;
            add(backend, &activated, &tokens, &[&names.down], squares)?;
        }
        Ok(())
    }
}

/// Adds the squares of some rows of x (T, I) to the sums of every matrix that they go into.
fn add<B: Backend>(backend: &mut B, x: &B::Buffer, tokens: &[usize], matrices: &[&String], squares: &mut InputSquares) -> Done<()> {
    let (_, columns) = backend.shape(x);
    let picked = backend.gather_rows(x, tokens)?;
    let values = backend.download(&picked)?; // (tokens, I)
    for &matrix in matrices {
        let sums = squares.entry(matrix.clone()).or_insert_with(|| vec![0.0; columns]);
        for row in values.chunks(columns.max(1)) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value) * f64::from(value));
        }
    }
    Ok(())
}
