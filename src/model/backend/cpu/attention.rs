//! Causal attention inside packed rows, in blocks of queries; scores are kept nowhere, the backward pass makes them again. What all rows
//! begin with is a piece by itself, which the others see.

use rayon::prelude::*;

use super::head::{Head, Mixture};
use super::kernels::tile::{Tile, every};
use super::simd::{dispatched, dot, exponentiate, max};
use super::{Matrix, Precision};
use crate::model::backend::{Heads, Pieces};

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

/// The tiles of a matrix for each piece of its rows and so many columns.
fn cut<'a>(matrix: &'a mut Matrix, starts: &[usize], width: usize) -> Vec<Tile<'a, f32>> {
    Tile::cut(&mut matrix.data, matrix.columns, starts, &every(width, matrix.columns))
}

/// Mixed values (T, H·D) and log-sum-exps (T, H).
pub fn forward(precision: Precision, q: &Matrix, k: &Matrix, v: &Matrix, pieces: Pieces<'_>, heads: Heads) -> (Matrix, Matrix) {
    let (d, group) = (heads.size, heads.query / heads.key_value);
    let scale = 1.0 / (d as f32).sqrt();
    let (mut all_mixed, mut all_sums) = (Matrix::blank(q.rows, heads.query * d), Matrix::blank(q.rows, heads.query));
    let tiles = cut(&mut all_mixed, pieces.starts, d).into_par_iter().zip(cut(&mut all_sums, pieces.starts, 1));
    tiles.for_each(|(mut mixed_tile, mut sums_tile)| {
        let (from, h) = sums_tile.place();
        let to = from + sums_tile.rows();
        let before = pieces.before(from);
        let part = |x: &Matrix, h: usize| Head::of(precision, x, (0..before).chain(from..to), h, d);
        let (qh, kh, vh) = (Head::of(precision, q, from..to, h, d), part(k, h / group), part(v, h / group));
        let n = to - from;
        let (mut mixed, mut log_sum_exps) = (vec![0.0; n * d], vec![0.0; n]);
        let mut scores = vec![0.0; BLOCK.min(n) * (before + n)];
        for i in (0..n).step_by(BLOCK) {
            let j = (i + BLOCK).min(n);
            let all = before + j;
            let s = &mut scores[..(j - i) * all];
            qh.against(i..j, &kh, all, s);
            for (r, row) in s.chunks_mut(all).enumerate() {
                let (seen, hidden) = row.split_at_mut(before + i + r + 1);
                log_sum_exps[i + r] = softmax(seen, scale);
                hidden.fill(0.0);
            }
            Mixture::new(s, all).of(&vh, &mut mixed[i * d..j * d]);
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
    pieces: Pieces<'_>,
    heads: Heads,
) -> (Matrix, Matrix, Matrix) {
    let (d, group) = (heads.size, heads.query / heads.key_value);
    let scale = 1.0 / (d as f32).sqrt();
    // One unit of work per piece and key/value head, so that its query heads add to dk and dv in a fixed order.
    let (mut all_dq, mut all_dk, mut all_dv) =
        (Matrix::blank(q.rows, q.columns), Matrix::blank(k.rows, k.columns), Matrix::blank(v.rows, v.columns));
    // What each later piece adds to the gradients of the tokens that its row begins with; the first piece adds none.
    let later = pieces.starts.len().saturating_sub(2);
    let (mut before_dk, mut before_dv) = (Matrix::blank(later * pieces.prefix, k.columns), Matrix::blank(later * pieces.prefix, v.columns));
    let before_starts: Vec<usize> = [0].into_iter().chain((0..=later).map(|piece| piece * pieces.prefix)).collect();
    let tiles = cut(&mut all_dq, pieces.starts, group * d).into_par_iter();
    let tiles = tiles.zip(cut(&mut all_dk, pieces.starts, d)).zip(cut(&mut all_dv, pieces.starts, d));
    let tiles = tiles.zip(cut(&mut before_dk, &before_starts, d)).zip(cut(&mut before_dv, &before_starts, d));
    tiles.for_each(|((((mut dq_tile, mut dk_tile), mut dv_tile), mut before_dk), mut before_dv)| {
        let (from, kv) = (dk_tile.place().0, dk_tile.place().1 / d);
        let (n, before) = (dk_tile.rows(), pieces.before(from));
        let to = from + n;
        let part = |x: &Matrix, h: usize| Head::of(precision, x, from..to, h, d);
        let seen = |x: &Matrix| Head::of(precision, x, (0..before).chain(from..to), kv, d);
        let (kh, vh) = (seen(k), seen(v));
        let (mut dk, mut dv) = (vec![0.0; (before + n) * d], vec![0.0; (before + n) * d]);
        let (mut p, mut dp) = (vec![0.0; BLOCK.min(n) * (before + n)], vec![0.0; BLOCK.min(n) * (before + n)]);
        for h in kv * group..(kv + 1) * group {
            let (qh, oh, gh) = (part(q, h), part(mixed, h), part(d_mixed, h));
            let mut dq = vec![0.0; n * d];
            for i in (0..n).step_by(BLOCK) {
                let j = (i + BLOCK).min(n);
                let all = before + j;
                let (p, dp) = (&mut p[..(j - i) * all], &mut dp[..(j - i) * all]);
                qh.against(i..j, &kh, all, p);
                gh.against(i..j, &vh, all, dp);
                for (r, (p, dp)) in p.chunks_mut(all).zip(dp.chunks_mut(all)).enumerate() {
                    let t = i + r;
                    let (seen, hidden) = p.split_at_mut(before + t + 1);
                    probabilities(seen, scale, log_sum_exps.row(from + t)[h]);
                    hidden.fill(0.0);
                    let (seen_gradient, hidden_gradient) = dp.split_at_mut(before + t + 1);
                    // The same sum, but for the rounding of factors: in bfloat16 it is taken from the gradients that it is taken away from.
                    let total = match precision {
                        Precision::F32 => dotted(oh.row(t), gh.row(t)),
                        Precision::Bf16 => dotted(seen, seen_gradient),
                    };
                    score_gradient(seen, seen_gradient, total, scale);
                    hidden_gradient.fill(0.0);
                }
                Mixture::new(p, all).add_spread(&gh, i..j, &mut dv);
                Mixture::new(dp, all).of(&kh, &mut dq[i * d..j * d]);
                Mixture::new(dp, all).add_spread(&qh, i..j, &mut dk);
            }
            put(&mut dq_tile, (h - kv * group) * d, d, &dq);
        }
        for (gradient, before_tile, own_tile) in [(&dk, &mut before_dk, &mut dk_tile), (&dv, &mut before_dv, &mut dv_tile)] {
            let (before, own) = gradient.split_at(before * d);
            put(before_tile, 0, d, before);
            put(own_tile, 0, d, own);
        }
    });
    for (all, before) in [(&mut all_dk, &before_dk), (&mut all_dv, &before_dv)] {
        for piece in 0..later * pieces.prefix {
            let to = piece % pieces.prefix * all.columns;
            all.data[to..to + before.columns].iter_mut().zip(before.row(piece)).for_each(|(sum, part)| *sum += part);
        }
    }
    (all_dq, all_dk, all_dv)
}
