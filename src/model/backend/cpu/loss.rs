//! The output head and cross-entropy in one pass over chunks of rows, so that logits never exist all at once.

use rayon::prelude::*;

use super::attention::softmax;
use super::memory::Numbers;
use super::parameter::{Input, Outer};
use super::simd::dispatched;
use super::{Matrix, Parameter, Precision};
use crate::model::backend::{Done, Selection};
use crate::model::constraint::Scale;

/// Rows whose logits exist at once.
pub(super) const ROWS: usize = 256;

dispatched! {
    fn scaled(row: &mut [f32], scale: f32) {
        row.iter_mut().for_each(|p| *p *= scale);
    }
}

/// See `Backend::cross_entropy`.
pub fn cross_entropy(
    h: &Matrix,
    w: &Parameter,
    targets: &[u32],
    scale: Option<Scale<'_>>,
    mut gradient: Option<(&Selection, &mut Matrix)>,
    precision: Precision,
) -> Done<(Vec<f32>, Option<Matrix>)> {
    let (vocabulary, hidden) = w.shape();
    let (forward, backward) = (w.forward(), scale.map(|_| w.backward()).transpose()?);
    let mut losses = vec![0.0; h.rows];
    let mut dh = scale.map(|_| Matrix::blank(h.rows, hidden));
    let mut logits = Numbers::blank(ROWS.min(h.rows) * vocabulary);
    for from in (0..h.rows).step_by(ROWS) {
        let to = (from + ROWS).min(h.rows);
        let rows = to - from;
        let chunk = &mut logits[..rows * vocabulary];
        let hidden_rows = &h.data[from * hidden..to * hidden];
        forward.wide_product(chunk, &mut Input::new(hidden_rows, hidden), false);
        let rows = chunk.par_chunks_mut(vocabulary).zip(&mut losses[from..to]).zip(&targets[from..to]);
        rows.enumerate().for_each(|(i, ((row, loss), &target))| {
            let target = target as usize;
            let logit = row[target];
            *loss = softmax(row, 1.0) - logit;
            if let Some(scale) = scale {
                row[target] -= 1.0;
                scaled(row, scale.of(from + i, *loss));
            }
        });
        let (Some(dh), Some(backward)) = (&mut dh, &backward) else { continue };
        backward.product(&mut dh.data[from * hidden..to * hidden], chunk, false);
        if let Some((selection, gradient)) = &mut gradient {
            Outer::new(hidden_rows, hidden).add_gradient(precision, &mut gradient.data, (chunk, vocabulary), selection);
        }
    }
    Ok((losses, dh))
}
