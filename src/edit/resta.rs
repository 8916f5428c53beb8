//! RESTA: the safety vector is added to the tuned weights.

use super::Tensor;
use crate::random::{mix, stream};

/// Draws are apart from those of arms, tickets and the data order.
const DROP: u64 = 0x64_7261_7265;

/// θ_tuned + γ · (θ_aligned − θ_base) for each weight, in f64 and rounded once; a weight to which nothing is added keeps its bits.
///
/// With `drop` p above 0 the tuned update goes through DARE first: each weight's update θ_tuned − θ_aligned is dropped with probability p,
/// and the others are divided by 1 − p. What is dropped depends on the seed, the tensor's name and the index alone.
///
/// Source: Bhardwaj, Do, Poria (2402.11746), RESTA and RESTA_d; DARE: Yu et al. (2311.03099). There the safety vector is the aligned
/// model minus one that was *unaligned* by fine-tuning on harmful replies. Ours is the aligned model minus the base that it was aligned
/// from: no harmful data is needed, but the vector holds all that the alignment taught, also what helps to answer. Every parameter takes
/// part, norms and embeddings too.
pub fn resta(tensor: &Tensor<'_>, base: &[f32], scale: f64, drop: f64) -> Vec<f32> {
    let stream = stream(tensor.seed ^ DROP, &tensor.spec.name);
    let one = |i: usize| {
        let (aligned, tuned) = (f64::from(tensor.aligned[i]), f64::from(tensor.tuned[i]));
        let vector = scale * (aligned - f64::from(base[i]));
        let update = tuned - aligned;
        let kept = match drop > 0.0 {
            true if is_dropped(stream, i, drop) => 0.0,
            true => update / (1.0 - drop),
            false => update,
        };
        if vector == 0.0 && kept == update { tensor.tuned[i] } else { (aligned + kept + vector) as f32 }
    };
    (0..tensor.tuned.len()).map(one).collect()
}

/// Whether number `i` of a stream is below a share.
fn is_dropped(stream: u64, i: usize, share: f64) -> bool {
    ((mix(stream ^ i as u64) >> 11) as f64 + 0.5) / ((1u64 << 53) as f64) < share
}
