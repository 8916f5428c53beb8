//! Gradients of rows at weights that stay: their mean, the mean of their squares, and what goes into each matrix.

use std::collections::BTreeMap;

use rayon::prelude::*;

use crate::model::backend::{Backend, Done};
use crate::model::batch::{Example, Packed};
use crate::model::decoder::{Decoder, Gradients, InputSquares, Trained};
use crate::model::inventory::TensorSpec;
use crate::ticket::mask_set::MaskSet;
use crate::train::may_move;

/// Rows of one pass, where rows need not be told apart.
pub(super) const ROWS_AT_ONCE: usize = 8;

/// Every maskable weight.
pub fn maskable_weights(specs: &[TensorSpec]) -> Trained {
    may_move::only(&MaskSet::full(specs))
}

/// The gradient of the mean loss over the supervised tokens of all rows, on the backend. `tell` hears of the rows that are done.
///
/// # Errors
/// When the backend fails.
pub fn mean_gradient<B: Backend>(
    decoder: &mut Decoder<B>,
    specs: &[TensorSpec],
    rows: &[&Example],
    tell: &mut dyn FnMut(usize),
) -> Done<Gradients<B>> {
    let trained = maskable_weights(specs);
    let mut gradients = decoder.new_gradients(&trained)?;
    let learnt: usize = rows.iter().map(|row| row.supervised_tokens()).sum();
    for (i, part) in rows.chunks(ROWS_AT_ONCE).enumerate() {
        let batch = Packed::from_examples(part.iter().copied());
        decoder.gradients(&batch, 1.0 / learnt as f32, &trained, &mut gradients)?;
        tell(((i + 1) * ROWS_AT_ONCE).min(rows.len()));
    }
    Ok(gradients)
}

/// The mean over rows of g² of the trained weights, where g is the gradient of the row's own loss: the diagonal of the empirical Fisher
/// information. Compact f32 by tensor, row-major. Each row is a pass of its own, since the squares of a sum are no sum of squares; beside one gradient only
/// the running sums are held.
///
/// The loss of a row is the sum over its supervised tokens, not their mean: it is −log p(reply | prompt), whose gradient the Fisher
/// information squares. With the mean a row would count by 1 ÷ tokens², and the result would be no information of any distribution.
/// Rows of very different lengths therefore count differently, the longer the more.
/// Source: Kirkpatrick et al. (1612.00796); Sung et al. (2111.09839), eq. 4, with the data's own replies for y.
///
/// # Errors
/// When the backend fails.
pub fn mean_squared_gradient<B: Backend>(
    decoder: &mut Decoder<B>,
    trained: &Trained,
    rows: &[&Example],
    tell: &mut dyn FnMut(usize),
) -> Done<BTreeMap<String, Vec<f32>>> {
    let mut sums: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    each_gradient(
        decoder,
        trained,
        rows,
        Loss::Sum,
        &mut |_, decoder, gradients| {
            for (name, gradient) in gradients {
                let gradient = decoder.backend().download(gradient)?;
                match sums.get_mut(name) {
                    Some(sums) => sums.par_iter_mut().zip(&gradient).for_each(|(sum, g)| *sum += g * g),
                    None => {
                        sums.insert(name.clone(), gradient.into_par_iter().map(|g| g * g).collect());
                    }
                }
            }
            Ok(())
        },
        tell,
    )?;
    let count = rows.len().max(1) as f32;
    sums.par_iter_mut().for_each(|(_, sums)| sums.iter_mut().for_each(|sum| *sum /= count));
    Ok(sums)
}

/// What a row's loss is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Σ over its supervised tokens, in nats.
    Sum,
    /// Σ ÷ supervised tokens.
    Mean,
}

/// Called with a row's index, the decoder, and the row's compact gradient.
pub type EachGradient<'a, B> = &'a mut dyn FnMut(usize, &Decoder<B>, &Gradients<B>) -> Done<()>;

/// The gradient of each row by itself at the trained weights, one after another in one buffer.
///
/// # Errors
/// When the backend fails, or `each` does.
pub fn each_gradient<B: Backend>(
    decoder: &mut Decoder<B>,
    trained: &Trained,
    rows: &[&Example],
    loss: Loss,
    each: EachGradient<'_, B>,
    tell: &mut dyn FnMut(usize),
) -> Done<()> {
    let mut gradients = decoder.new_gradients(trained)?;
    for (i, row) in rows.iter().enumerate() {
        for gradient in gradients.values_mut() {
            decoder.backend_mut().clear(gradient)?;
        }
        let scale = match loss {
            Loss::Sum => 1.0,
            Loss::Mean => 1.0 / row.supervised_tokens().max(1) as f32,
        };
        decoder.gradients(&Packed::from_examples([*row]), scale, trained, &mut gradients)?;
        each(i, decoder, &gradients)?;
        tell(i + 1);
    }
    Ok(())
}

/// Σ x² of what goes into each matrix, by column, over the tokens of the replies: those that are supervised, as inputs. The prompt's
/// tokens are passed over, as Wei et al. (2402.05162, section 3.1) do to tell what a model does with a request from the request
/// itself; Sun et al. (2306.11695) take all tokens of running text. A row of plain text is all reply but for its first token.
///
/// # Errors
/// When the backend fails.
pub fn input_squares<B: Backend>(decoder: &mut Decoder<B>, rows: &[&Example], tell: &mut dyn FnMut(usize)) -> Done<InputSquares> {
    let mut squares = InputSquares::new();
    for (i, part) in rows.chunks(ROWS_AT_ONCE).enumerate() {
        let batch = Packed::from_examples(part.iter().copied());
        let replies: Vec<usize> = batch.targets.iter().map(|target| target.position + 1).collect();
        decoder.add_input_squares(&batch, &replies, &mut squares)?;
        tell(((i + 1) * ROWS_AT_ONCE).min(rows.len()));
    }
    Ok(squares)
}
