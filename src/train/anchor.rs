//! The anchor: KL(aligned ‖ tuned) on rows of its own, beside the loss of the rows that are learnt.

use super::TrainError;
use super::order::Order;
use crate::model::backend::{Backend, Done};
use crate::model::batch::{Example, Packed};
use crate::model::decoder::{Decoder, Gradients, Trained};

/// Rows of one pass over all of them.
const ROWS_AT_ONCE: usize = 8;
/// Its order of rows is apart from that of the data.
const STREAM: u64 = 0x616e_6368;

/// Adds weight · mean KL(aligned ‖ tuned) per token to a step's loss, over the replies of a few of its rows, in nats. What is held is the whole
/// distribution at every token of a reply, so the rows' own tokens are never learnt.
/// Source: the KL penalty of RLHF (Ouyang et al., 2203.02155), in the direction of Qi et al. (2406.05946).
pub struct Anchor<B: Backend> {
    rows: Vec<Example>,
    /// Where each row's targets begin in `states`.
    starts: Vec<usize>,
    /// The aligned model's normalised final hidden states at all targets, (N, C).
    states: B::Buffer,
    /// The aligned model's head, (V, C).
    head: B::Weight,
    weight: f64,
    rows_a_step: usize,
    order: Order,
}

impl<B: Backend> Anchor<B> {
    /// On rows with a reply, from the model that `aligned` holds.
    ///
    /// # Errors
    /// When no row has a reply, a token is not in the vocabulary, or the backend fails.
    pub fn new(aligned: &mut Decoder<B>, rows: &[Example], weight: f64, rows_a_step: usize, seed: u64) -> Result<Self, TrainError> {
        let rows: Vec<Example> = rows.iter().filter(|row| row.supervised_tokens() > 0).cloned().collect();
        if rows.is_empty() {
            return Err(TrainError::NoRows);
        }
        let (mut starts, mut states, mut count) = (Vec::with_capacity(rows.len()), Vec::new(), 0);
        for row in &rows {
            starts.push(count);
            count += row.supervised_tokens();
        }
        for part in rows.chunks(ROWS_AT_ONCE) {
            let found = aligned.target_states(&Packed::from_examples(part))?;
            states.extend(aligned.backend().download(&found)?);
        }
        let columns = aligned.config().hidden_size;
        let states = aligned.backend_mut().upload(&states, count, columns)?;
        let head = aligned.head_weight()?.clone();
        let order = Order::new(vec![rows.len()], None, seed ^ STREAM);
        Ok(Self { rows, starts, states, head, weight, rows_a_step: rows_a_step.max(1), order })
    }

    /// Adds the gradient of a step's part, and returns the mean KL per token of its rows, and how many tokens were fed. Which rows they are
    /// depends on the step's number, from 1, alone.
    ///
    /// # Errors
    /// When the backend fails.
    pub fn gradients(
        &mut self,
        decoder: &mut Decoder<B>,
        step: u64,
        trained: &Trained,
        gradients: &mut Gradients<B>,
    ) -> Done<(f64, usize)> {
        self.order.seek((step - 1) * self.rows_a_step as u64);
        let chosen: Vec<usize> = (0..self.rows_a_step).filter_map(|_| self.order.next_row()).map(|(_, row)| row).collect();
        let batch = Packed::from_examples(chosen.iter().map(|&row| &self.rows[row]));
        let places: Vec<usize> =
            chosen.iter().flat_map(|&row| self.starts[row]..self.starts[row] + self.rows[row].supervised_tokens()).collect();
        let states = decoder.backend_mut().gather_rows(&self.states, &places)?;
        let scale = (self.weight / places.len() as f64) as f32;
        let sum = decoder.divergence_gradients(&batch, (&states, &self.head), scale, trained, gradients)?;
        Ok((sum / places.len() as f64, batch.tokens.len()))
    }
}
