//! Safe LoRA: updates that lie badly to the alignment are projected onto it.

use super::Tensor;
use crate::model::product::{times, times_transposed, transposed_times};

/// How a tensor's update lies to the alignment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projection {
    /// ⟨C·ΔW, ΔW⟩ ÷ (‖C·ΔW‖ ‖ΔW‖); 0 where C·ΔW is nothing.
    pub cosine: f64,
    /// Whether the update was replaced by C·ΔW.
    pub projected: bool,
}

/// One matrix (O, I), with V = W_aligned − W_base, C = V·Vᵀ ÷ ‖V‖_F, ΔW = W_tuned − W_aligned: W_aligned + C·ΔW where the cosine of
/// C·ΔW and ΔW is below `threshold`, and W_tuned, bit for bit, elsewhere. A matrix that tuning or the alignment left alone stays as it
/// is, and has no cosine. V, ΔW and the products are f32, sums of the norms and of the cosine f64.
///
/// Source: Hsu et al. (2405.16833), the approximate projection and the rule of its threshold, as in the authors' code
/// (IBM/SafeLoRA), in which a cosine is rounded to five decimals and projected where it equals the threshold. C is no projection in the
/// strict sense: it scales like V, so that a small alignment shrinks the update that it projects. There ΔW is the product of a LoRA
/// arm's factors; here it is the whole update of each attention and MLP matrix, which for a LoRA arm is the same, and arms of every kind
/// can be edited. What a dense arm trained besides (norms, embeddings) stays as it was tuned.
pub fn safe_lora(tensor: &Tensor<'_>, base: &[f32], threshold: f64) -> (Vec<f32>, Option<Projection>) {
    let (rows, columns) = (tensor.spec.rows, tensor.spec.columns);
    let minus = |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
    let (v, update) = (minus(tensor.aligned, base), minus(tensor.tuned, tensor.aligned));
    let norm = dot(&v, &v).sqrt();
    if norm == 0.0 || update.iter().all(|&value| value == 0.0) {
        return (tensor.tuned.to_vec(), None);
    }
    // The shorter side is summed over twice.
    let mut projected = if rows <= columns {
        let c = times_transposed(&v, &v, (rows, columns, rows)); // (O, O)
        times(&c, &update, (rows, rows, columns))
    } else {
        let along = transposed_times(&v, &update, (columns, rows, columns)); // (I, I)
        times(&v, &along, (rows, columns, columns))
    }; // (O, I)
    projected.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
    let lengths = dot(&projected, &projected).sqrt() * dot(&update, &update).sqrt();
    let cosine = if lengths > 0.0 { dot(&projected, &update) / lengths } else { 0.0 };
    if cosine >= threshold {
        return (tensor.tuned.to_vec(), Some(Projection { cosine, projected: false }));
    }
    let values = tensor.aligned.iter().zip(&projected).map(|(aligned, update)| aligned + update).collect();
    (values, Some(Projection { cosine, projected: true }))
}

/// Σ a·b in f64, from the first to the last.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}
