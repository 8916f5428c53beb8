//! Projected gradients: of each step's gradient, what would raise the loss of rows that must not be forgotten is taken away.

use super::TrainError;
use super::order::Order;
use crate::model::backend::{Backend, Done};
use crate::model::batch::{Example, Packed};
use crate::model::decoder::{Decoder, Gradients, Trained};

/// Its order of rows is apart from those of the data and of an anchor.
const STREAM: u64 = 0x7072_6f6a;

/// Where a step's gradient g and the gradient r of the mean loss per token of a few safety rows point apart, ⟨g, r⟩ < 0, a step along −g
/// would raise the loss of these rows; g becomes g − (⟨g, r⟩ ÷ ⟨r, r⟩) · r, the nearest gradient that does not, to first order. All trained
/// tensors are one vector. r itself is never learnt: where the two agree, g stays as it is, bit for bit.
///
/// g is the gradient of all that the step learns, with what anchors and elastic weights add, before clipping. What AdamW makes of it need
/// not keep the sign: its moments hold earlier gradients, and its steps are scaled weight by weight.
/// Source: A-GEM, Chaudhry et al. (1812.00420), eq. 11, with a batch of safety rows for the episodic memory.
pub struct Projection<B: Backend> {
    rows: Vec<Example>,
    rows_a_step: usize,
    order: Order,
    /// r, compact; made at the first step.
    reference: Gradients<B>,
}

impl<B: Backend> Projection<B> {
    /// On rows with a reply, so many of them a step.
    ///
    /// # Errors
    /// When no row has a reply.
    pub fn new(rows: &[Example], rows_a_step: usize, seed: u64) -> Result<Self, TrainError> {
        let rows: Vec<Example> = rows.iter().filter(|row| row.supervised_tokens() > 0).cloned().collect();
        if rows.is_empty() {
            return Err(TrainError::NoRows);
        }
        let order = Order::new(vec![rows.len()], None, seed ^ STREAM);
        Ok(Self { rows, rows_a_step: rows_a_step.max(1), order, reference: Gradients::<B>::new() })
    }

    /// How many tokens the rows of a step have; as for [`Self::project`].
    pub fn tokens(&mut self, step: u64) -> usize {
        self.chosen(step).into_iter().map(|row| self.rows[row].tokens.len()).sum()
    }

    /// The rows of a step, by their place.
    fn chosen(&mut self, step: u64) -> Vec<usize> {
        self.order.seek((step - 1) * self.rows_a_step as u64);
        (0..self.rows_a_step).filter_map(|_| self.order.next_row()).map(|(_, row)| row).collect()
    }

    /// Projects a step's gradient where it must be, and returns whether, and how many tokens were fed. Which rows it looks at depends on
    /// the step's number, from 1, alone.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn project(&mut self, decoder: &mut Decoder<B>, step: u64, trained: &Trained, gradients: &mut Gradients<B>) -> Done<(bool, usize)> {
        let chosen = self.chosen(step);
        let batch = Packed::from_examples(chosen.iter().map(|&row| &self.rows[row]));
        if self.reference.is_empty() {
            self.reference = decoder.new_gradients(trained)?;
        }
        for gradient in self.reference.values_mut() {
            decoder.backend_mut().clear(gradient)?;
        }
        decoder.gradients(&batch, 1.0 / batch.targets.len() as f32, trained, &mut self.reference)?;
        let (mut dot, mut square) = (0.0, 0.0);
        for (name, gradient) in gradients.iter() {
            let Some(reference) = self.reference.get(name) else { continue };
            dot += decoder.backend_mut().dot(gradient, reference)?;
            square += decoder.backend_mut().sum_of_squares(reference)?;
        }
        // No number is not below 0: the loop stops at such a gradient by its norm.
        let against = dot < 0.0 && square > 0.0;
        if against {
            for (name, gradient) in gradients.iter_mut() {
                let Some(reference) = self.reference.get(name) else { continue };
                decoder.backend_mut().add_scaled(gradient, reference, (-dot / square) as f32)?;
            }
        }
        Ok((against, batch.tokens.len()))
    }
}
