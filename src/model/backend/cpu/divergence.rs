//! The distance of predictions from another model's, in one pass over chunks of rows.

use rayon::prelude::*;

use super::attention::softmax;
use super::loss::ROWS;
use super::memory::Numbers;
use super::parameter::{Input, Outer};
use super::simd::{LANES, dispatched, fold};
use super::{Matrix, Parameter, Precision};
use crate::model::backend::{Done, Selection};

dispatched! {
    /// Σ p · (a − b).
    fn expected_difference(p: &[f32], a: &[f32], b: &[f32]) -> f32 {
        let mut lanes = [0.0f32; LANES];
        let whole = p.len() - p.len() % LANES;
        for ((p, a), b) in p[..whole].chunks_exact(LANES).zip(a.chunks_exact(LANES)).zip(b.chunks_exact(LANES)) {
            for i in 0..LANES {
                lanes[i] = p[i].mul_add(a[i] - b[i], lanes[i]);
            }
        }
        let rest: f32 = (whole..p.len()).map(|i| p[i] * (a[i] - b[i])).sum();
        fold(lanes) + rest
    }
}

dispatched! {
    /// q becomes (q − p) · scale.
    fn scaled_difference(q: &mut [f32], p: &[f32], scale: f32) {
        for (q, p) in q.iter_mut().zip(p) {
            *q = (*q - p) * scale;
        }
    }
}

/// See `Backend::divergence`.
pub fn divergence(
    h: &Matrix,
    w: &Parameter,
    reference: (&Matrix, &Parameter),
    scale: f32,
    mut gradient: Option<(&Selection, &mut Matrix)>,
    precision: Precision,
) -> Done<(Vec<f32>, Matrix)> {
    let (vocabulary, hidden) = w.shape();
    let (forward, backward, other) = (w.forward(), w.backward()?, reference.1.forward());
    let mut divergences = vec![0.0; h.rows];
    let mut dh = Matrix::blank(h.rows, hidden);
    let (mut logits, mut wanted) = (Numbers::blank(ROWS.min(h.rows) * vocabulary), Numbers::blank(ROWS.min(h.rows) * vocabulary));
    for from in (0..h.rows).step_by(ROWS) {
        let to = (from + ROWS).min(h.rows);
        let (chunk, wanted) = (&mut logits[..(to - from) * vocabulary], &mut wanted[..(to - from) * vocabulary]);
        let hidden_rows = &h.data[from * hidden..to * hidden];
        forward.wide_product(chunk, &mut Input::new(hidden_rows, hidden), false);
        let columns = reference.0.columns;
        other.wide_product(wanted, &mut Input::new(&reference.0.data[from * columns..to * columns], columns), false);
        let rows = chunk.par_chunks_mut(vocabulary).zip(wanted.par_chunks(vocabulary)).zip(&mut divergences[from..to]);
        rows.for_each_init(
            || vec![0.0; vocabulary],
            |p, ((row, wanted), divergence)| {
                p.copy_from_slice(wanted);
                let log_sum = softmax(p, 1.0);
                let difference = expected_difference(p, wanted, row);
                // log p − log q is the difference of the logits less that of their log-sums.
                *divergence = difference - log_sum + softmax(row, 1.0);
                scaled_difference(row, p, scale);
            },
        );
        backward.product(&mut dh.data[from * hidden..to * hidden], chunk, false);
        if let Some((selection, gradient)) = &mut gradient {
            Outer::new(hidden_rows, hidden).add_gradient(precision, &mut gradient.data, (chunk, vocabulary), selection);
        }
    }
    Ok((divergences, dh))
}
