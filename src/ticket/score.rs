//! Scores: how much a weight matters to a behaviour, larger = more.
//!
//! The masks of SHiRA (Bhardwaj et al., 2406.13175, section 3.1) are the top 1 to 2 % of some of them: SHiRA-WM by [`magnitude`] of the
//! weights, SHiRA-Grad by that of the gradient, SHiRA-SNIP by [`snip`], SHiRA-Rand by [`random`].

use rayon::prelude::*;

use super::TicketError;
use super::budget::Structure;
use super::groups::group_of;
use crate::model::inventory::TensorSpec;
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

/// |θ_ij| · ‖x_j‖₂ of a matrix (O, I), row-major, with `squares` Σ x_j² over tokens, (I). Source: Sun et al. (2306.11695), eq. 1.
/// The norm is not divided by the number of tokens: that is one factor for all matrices, and changes no order.
pub fn wanda(weights: &[f32], squares: &[f64]) -> Vec<f32> {
    let norms: Vec<f32> = squares.iter().map(|sum| sum.sqrt() as f32).collect();
    weights.par_chunks(norms.len().max(1)).flat_map_iter(|row| row.iter().zip(&norms).map(|(w, norm)| w.abs() * norm)).collect()
}

/// Numbers in (0, 1) of a tensor's weights from the seed and the tensor's name: one a weight, or one a whole row or column, so that
/// rows of every length are drawn alike (means of many random numbers would all be near a half, the longer the nearer).
pub fn random_of(seed: u64, spec: &TensorSpec, structure: Structure) -> Vec<f32> {
    let name = &spec.name;
    let drawn = match structure {
        Structure::Weight => return random(seed, name, spec.len()),
        Structure::Row => random(seed, &format!("{name} rows"), spec.rows),
        Structure::Column => random(seed, &format!("{name} columns"), spec.columns),
    };
    (0..spec.len()).into_par_iter().map(|i| drawn[group_of(spec, structure, i)]).collect()
}

/// Numbers in (0, 1) from the seed, the tensor's name and the index alone.
pub fn random(seed: u64, tensor: &str, len: usize) -> Vec<f32> {
    let stream = stream(seed, tensor);
    (0..len).into_par_iter().map(|i| ((mix(stream ^ i as u64) >> 41) as f32 + 0.5) / (1u64 << 23) as f32).collect()
}
