//! The anchor: KL(aligned ‖ tuned) on rows of its own, beside the loss of the rows that are learnt.

use std::collections::{BTreeMap, BTreeSet};

use super::TrainError;
use super::order::Order;
use crate::model::backend::{Backend, BackendError, Done};
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
    /// The rows that a run draws, by their place among all.
    rows: BTreeMap<usize, Held>,
    /// The aligned model's normalised final hidden states at all their targets, (N, C).
    states: B::Buffer,
    /// The aligned model's head, (V, C).
    head: B::Weight,
    weight: f64,
    rows_a_step: usize,
    order: Order,
}

/// A row that is drawn.
struct Held {
    example: Example,
    /// Where its targets begin in the states.
    start: usize,
}

impl<B: Backend> Anchor<B> {
    /// On rows with a reply, from the model that `aligned` holds, for a run of so many steps: what it draws is held, the other rows are not.
    ///
    /// # Errors
    /// When no row has a reply, a token is not in the vocabulary, or the backend fails.
    pub fn new(
        aligned: &mut Decoder<B>,
        rows: &[Example],
        weight: f64,
        (rows_a_step, steps): (usize, u64),
        seed: u64,
    ) -> Result<Self, TrainError> {
        let rows: Vec<&Example> = rows.iter().filter(|row| row.supervised_tokens() > 0).collect();
        if rows.is_empty() {
            return Err(TrainError::NoRows);
        }
        let rows_a_step = rows_a_step.max(1);
        let mut order = Order::new(vec![rows.len()], None, seed ^ STREAM);
        // Every row is drawn once before one is drawn again.
        let draws = steps.saturating_mul(rows_a_step as u64).min(rows.len() as u64);
        let drawn: BTreeSet<usize> = (0..draws).filter_map(|_| order.next_row()).map(|(_, row)| row).collect();
        let columns = aligned.config().hidden_size;
        let (mut held, mut states, mut count) = (BTreeMap::new(), Vec::new(), 0);
        // A pass is over the same rows whichever are drawn, so that a row's states have the same bits in runs of any length.
        for (pass, part) in rows.chunks(ROWS_AT_ONCE).enumerate() {
            let first = pass * ROWS_AT_ONCE;
            if drawn.range(first..first + part.len()).next().is_none() {
                continue;
            }
            let found = aligned.target_states(&Packed::from_examples(part.iter().copied()))?;
            let found = aligned.backend().download(&found)?;
            let mut rest = found.as_slice();
            for (row, &example) in (first..).zip(part) {
                let tokens = example.supervised_tokens();
                let (own, behind) = rest.split_at(tokens * columns);
                rest = behind;
                if drawn.contains(&row) {
                    states.extend_from_slice(own);
                    held.insert(row, Held { example: example.clone(), start: count });
                    count += tokens;
                }
            }
        }
        let states = aligned.backend_mut().upload(&states, count, columns)?;
        let head = aligned.head_weight()?.clone();
        Ok(Self { rows: held, states, head, weight, rows_a_step, order })
    }

    /// How many tokens the rows of a step have; as for [`Self::gradients`].
    ///
    /// # Errors
    /// When the step is behind the last one of the run.
    pub fn tokens(&mut self, step: u64) -> Done<usize> {
        Ok(self.chosen(step)?.iter().map(|row| self.rows[row].example.tokens.len()).sum())
    }

    /// The rows of a step, by their place among all, each of which is held.
    fn chosen(&mut self, step: u64) -> Done<Vec<usize>> {
        self.order.seek((step - 1) * self.rows_a_step as u64);
        let mut chosen = Vec::with_capacity(self.rows_a_step);
        for _ in 0..self.rows_a_step {
            let row = self.order.next_row().map(|(_, row)| row).filter(|row| self.rows.contains_key(row));
            let lacking = || BackendError { backend: "any", message: format!("an anchor has no rows for step {step}") };
            chosen.push(row.ok_or_else(lacking)?);
        }
        Ok(chosen)
    }

    /// How many rows are held.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.rows.len()
    }

    /// Adds the gradient of a step's part, and returns the mean KL per token of its rows, and how many tokens were fed. Which rows they are
    /// depends on the step's number, from 1, alone.
    ///
    /// # Errors
    /// When the step is behind the last one of the run, or the backend fails.
    pub fn gradients(
        &mut self,
        decoder: &mut Decoder<B>,
        step: u64,
        trained: &Trained,
        gradients: &mut Gradients<B>,
    ) -> Done<(f64, usize)> {
        let chosen = self.chosen(step)?;
        let chosen: Vec<&Held> = chosen.iter().map(|row| &self.rows[row]).collect();
        let batch = Packed::from_examples(chosen.iter().map(|row| &row.example));
        let places: Vec<usize> = chosen.iter().flat_map(|row| row.start..row.start + row.example.supervised_tokens()).collect();
        let states = decoder.backend_mut().gather_rows(&self.states, &places)?;
        let scale = (self.weight / places.len() as f64) as f32;
        let sum = decoder.divergence_gradients(&batch, (&states, &self.head), scale, trained, gradients)?;
        Ok((sum / places.len() as f64, batch.tokens.len()))
    }
}
