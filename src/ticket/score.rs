//! Scores: how much a weight matters to a behaviour, larger = more.

use rayon::prelude::*;

use super::TicketError;
use crate::random::{mix, stream};

/// Scores of one maskable tensor, row-major, all ≥ 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// The tensor.
    pub tensor: String,
    /// One score a weight.
    pub values: Vec<f32>,
}

impl Scores {
    /// Takes magnitudes; checks that every one is a number.
    ///
    /// # Errors
    /// Names the first weight whose score is NaN or infinite.
    pub fn new(tensor: &str, mut values: Vec<f32>) -> Result<Self, TicketError> {
        values.par_iter_mut().for_each(|value| *value = value.abs());
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(TicketError::NotANumber { tensor: tensor.into(), index, value: values[index] }),
            None => Ok(Self { tensor: tensor.into(), values }),
        }
    }
}

/// |after − before| of a tensor's weights.
pub fn task_vector(before: &[f32], after: &[f32]) -> Vec<f32> {
    before.iter().zip(after).map(|(before, after)| (after - before).abs()).collect()
}

/// |θ| or |mean gradient|, of the numbers given.
pub fn magnitude(values: &[f32]) -> Vec<f32> {
    values.iter().map(|value| value.abs()).collect()
}

/// |θ · mean gradient|. Source: Lee, Ajanthan, Torr (1810.02340), with the gradient of the mean loss over the data.
pub fn snip(weights: &[f32], mean_gradient: &[f32]) -> Vec<f32> {
    weights.iter().zip(mean_gradient).map(|(w, g)| (w * g).abs()).collect()
}

/// Numbers in (0, 1) from the seed, the tensor's name and the index alone.
pub fn random(seed: u64, tensor: &str, len: usize) -> Vec<f32> {
    let stream = stream(seed, tensor);
    (0..len).into_par_iter().map(|i| ((mix(stream ^ i as u64) >> 41) as f32 + 0.5) / (1u64 << 23) as f32).collect()
}
