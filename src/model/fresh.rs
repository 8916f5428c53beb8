//! The weights of a model that has learnt nothing yet.

use super::config::ModelConfig;
use super::inventory::{Role, TensorSpec};
use crate::random::{normal, stream};

/// Standard deviation of fresh weights.
const WIDTH: f32 = 0.02;

/// A tensor's fresh weights, row-major, from the seed and the tensor's name alone: norms are 1, biases 0, all others normal
/// with standard deviation 0.02, those that write into the residual stream divided by √(2 L).
/// Source: GPT-2 (Radford et al. 2019, section 2.3).
pub fn fresh(config: &ModelConfig, spec: &TensorSpec, seed: u64) -> Vec<f32> {
    let writes = spec.name.ends_with("o_proj.weight") || spec.name.ends_with("down_proj.weight");
    let width = if writes { WIDTH / ((2 * config.layers) as f32).sqrt() } else { WIDTH };
    match spec.role {
        Role::Norm => vec![1.0; spec.len()],
        Role::Bias => vec![0.0; spec.len()],
        _ => {
            let stream = stream(seed, &spec.name);
            (0..spec.len() as u64).map(|i| width * normal(stream, i)).collect()
        }
    }
}
