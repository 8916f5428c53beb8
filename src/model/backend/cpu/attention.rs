//! Causal attention inside packed rows, in blocks of queries; scores are kept nowhere, the backward pass makes them again.

use rayon::prelude::*;

use super::head::{Head, Mixture};
use super::kernels::tile::{Tile, every};
use super::simd::{dispatched, dot, exponentiate, max};
use super::{Matrix, Precision};
use crate::model::backend::Heads;

/// Queries of one block.
const BLOCK: usize = 64;

dispatched! {
    /// Turns raw scores into probabilities under `scale`; returns log Σ e^(scale·score).
    pub fn softmax(row: &mut [f32], scale: f32) -> f32 {
        let peak = max(row) * scale;
        let sum = exponentiate(row, scale, peak);
        let inverse = 1.0 / sum;
        for v in row.iter_mut() {
            *v *= inverse;
        }
        peak + sum.ln()
    }
}

dispatched! {
    /// Turns raw scores into probabilities, given their log-sum-exp.
    fn probabilities(row: &mut [f32], scale: f32, log_sum_exp: f32) {
        exponentiate(row, scale, log_sum_exp);
    }
}

dispatched! {
    /// The gradient of raw scores: p · (dp − d) · scale, into `dp`.
    fn score_gradient(p: &[f32], dp: &mut [f32], d: f32, scale: f32) {
        for (dp, p) in dp.iter_mut().zip(p) {
            *dp = p * (*dp - d) * scale;
        }
    }
}

dispatched! {
    fn dotted(a: &[f32], b: &[f32]) -> f32 {
        dot(a, b)
    }
}

/// Writes a matrix with rows of `d` to a tile's columns from `column` on.
fn put(tile: &mut Tile<'_, f32>, column: usize, d: usize, part: &[f32]) {
    for (i, row) in part.chunks(d).enumerate() {
        tile.row(i)[column..column + d].copy_from_slice(row);
    }
}

/// The tiles of a matrix for each row of tokens and so many columns.
fn cut<'a>(matrix: &'a mut Matrix, row_starts: &[usize], width: usize) -> Vec<Tile<'a, f32>> {
    Tile::cut(&mut matrix.data, matrix.columns, row_starts, &every(width, matrix.columns))
}

/// Mixed values (T, H·D) and log-sum-exps (T, H).
pub fn forward(precision: Precision, q: &Matrix, k: &Matrix, v: &Matrix, row_starts: &[usize], heads: Heads) -> (Matrix, Matrix) {
    let (d, group) = (heads.size, heads.query / heads.key_value);
    let scale = 1.0 / (d as f32).sqrt();
    let (mut all_mixed, mut all_sums) = (Matrix::blank(q.rows, heads.query * d), Matrix::blank(q.rows, heads.query));
    let tiles = cut(&mut all_mixed, row_starts, d).into_par_iter().zip(cut(&mut all_sums, row_starts, 1));
    tiles.for_each(|(mut mixed_tile, mut sums_tile)| {
        let (from, h) = sums_tile.place();
        let to = from + sums_tile.rows();
        let part = |x: &Matrix, h: usize| Head::of(precision, x, from..to, h, d);
        let (qh, kh, vh) = (part(q, h), part(k, h / group), part(v, h / group));
        let n = to - from;
        let (mut mixed, mut log_sum_exps) = (vec![0.0; n * d], vec![0.0; n]);
        let mut scores = vec![0.0; BLOCK.min(n) * n];
        for i in (0..n).step_by(BLOCK) {
            let j = (i + BLOCK).min(n);
            let s = &mut scores[..(j - i) * j];
            qh.against(i..j, &kh, j, s);
            for (r, row) in s.chunks_mut(j).enumerate() {
                let (seen, hidden) = row.split_at_mut(i + r + 1);
                log_sum_exps[i + r] = softmax(seen, scale);
                hidden.fill(0.0);
            }
            Mixture::new(s, j).of(&vh, &mut mixed[i * d..j * d]);
        }
        put(&mut mixed_tile, 0, d, &mixed);
        put(&mut sums_tile, 0, 1, &log_sum_exps);
    });
    (all_mixed, all_sums)
}

/// Gradients of q, k and v.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    precision: Precision,
    d_mixed: &Matrix,
    q: &Matrix,
    k: &Matrix,
    v: &Matrix,
    mixed: &Matrix,
    log_sum_exps: &Matrix,
    row_starts: &[usize],
    heads: Heads,
) -> (Matrix, Matrix, Matrix) {
    let (d, group) = (heads.size, heads.query / heads.key_value);
    let scale = 1.0 / (d as f32).sqrt();
    // One unit of work per row and key/value head, so that its query heads add to dk and dv in a fixed order.
    let (mut all_dq, mut all_dk, mut all_dv) =
        (Matrix::blank(q.rows, q.columns), Matrix::blank(k.rows, k.columns), Matrix::blank(v.rows, v.columns));
    let tiles = cut(&mut all_dq, row_starts, group * d).into_par_iter();
    let tiles = tiles.zip(cut(&mut all_dk, row_starts, d)).zip(cut(&mut all_dv, row_starts, d));
    tiles.for_each(|((mut dq_tile, mut dk_tile), mut dv_tile)| {
        let (from, kv) = (dk_tile.place().0, dk_tile.place().1 / d);
        let n = dk_tile.rows();
        let to = from + n;
        let part = |x: &Matrix, h: usize| Head::of(precision, x, from..to, h, d);
        let (kh, vh) = (part(k, kv), part(v, kv));
        let (mut dk, mut dv) = (vec![0.0; n * d], vec![0.0; n * d]);
        let (mut p, mut dp) = (vec![0.0; BLOCK.min(n) * n], vec![0.0; BLOCK.min(n) * n]);
        for h in kv * group..(kv + 1) * group {
            let (qh, oh, gh) = (part(q, h), part(mixed, h), part(d_mixed, h));
            let mut dq = vec![0.0; n * d];
            for i in (0..n).step_by(BLOCK) {
                let j = (i + BLOCK).min(n);
                let (p, dp) = (&mut p[..(j - i) * j], &mut dp[..(j - i) * j]);
                qh.against(i..j, &kh, j, p);
                gh.against(i..j, &vh, j, dp);
                for (r, (p, dp)) in p.chunks_mut(j).zip(dp.chunks_mut(j)).enumerate() {
                    let t = i + r;
                    let (seen, hidden) = p.split_at_mut(t + 1);
                    probabilities(seen, scale, log_sum_exps.row(from + t)[h]);
                    hidden.fill(0.0);
                    let (seen_gradient, hidden_gradient) = dp.split_at_mut(t + 1);
                    // The same sum, but for the rounding of factors: in bfloat16 it is taken from the gradients that it is taken away from.
                    let total = match precision {
                        Precision::F32 => dotted(oh.row(t), gh.row(t)),
                        Precision::Bf16 => dotted(seen, seen_gradient),
                    };
                    score_gradient(seen, seen_gradient, total, scale);
                    hidden_gradient.fill(0.0);
                }
                Mixture::new(p, j).add_spread(&gh, i..j, &mut dv);
                Mixture::new(dp, j).of(&kh, &mut dq[i * d..j * d]);
                Mixture::new(dp, j).add_spread(&qh, i..j, &mut dk);
            }
            put(&mut dq_tile, (h - kv * group) * d, d, &dq);
        }
        put(&mut dk_tile, 0, d, &dk);
        put(&mut dv_tile, 0, d, &dv);
    });
    (all_dq, all_dk, all_dv)
}
