//! Keys and values of sequences that grow, written in place.

use candle_core::Tensor;

use super::attention::{joined, weights};
use super::wrong;
use crate::model::backend::{Done, Heads};

/// Those of one layer, (rows · capacity, KV·D) each.
pub struct Cache {
    pub(super) keys: Tensor,
    pub(super) values: Tensor,
    pub(super) capacity: usize,
}

impl Cache {
    /// See `Backend::copy_cached`.
    pub(super) fn copy(&mut self, from: usize, to: usize, length: usize) -> Done<()> {
        for kept in [&self.keys, &self.values] {
            let beginning = kept.narrow(0, from * self.capacity, length)?.copy()?;
            kept.slice_set(&beginning, 0, to * self.capacity)?;
        }
        Ok(())
    }

    /// See `Backend::attention_cached`.
    pub(super) fn attend(
        &mut self,
        q: &Tensor,
        (k, v): (&Tensor, &Tensor),
        rows: &[usize],
        positions: &[u32],
        heads: Heads,
    ) -> Done<Tensor> {
        let (capacity, mut mixed, mut first) = (self.capacity, Vec::new(), 0);
        // Neighbouring tokens of one sequence at neighbouring positions are attended to at once.
        let follows = |t: usize| rows[t] == rows[t - 1] && positions[t] == positions[t - 1] + 1;
        while first < rows.len() {
            let count = 1 + (first + 1..rows.len()).take_while(|&t| follows(t)).count();
            let (row, position) = (rows[first], positions[first] as usize);
            let end = position + count;
            if end > capacity {
                return Err(wrong(format!("position {} in a cache of {capacity}", end - 1)));
            }
            for (kept, new) in [(&self.keys, k), (&self.values, v)] {
                kept.slice_set(&new.narrow(0, first, count)?.contiguous()?, 0, row * capacity + position)?;
            }
            let sequence = |x: &Tensor| x.narrow(0, row * capacity, end);
            let (keys, values) = (sequence(&self.keys)?, sequence(&self.values)?);
            let (p, _, _, _, values) = weights(&q.narrow(0, first, count)?, &keys, &values, heads)?;
            mixed.push(joined(&p.matmul(&values)?)?);
            first += count;
        }
        Ok(Tensor::cat(&mixed, 0)?)
    }
}
