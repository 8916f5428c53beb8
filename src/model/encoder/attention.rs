//! Attention in both directions inside packed rows, whole or within a window.

use rayon::prelude::*;

use crate::model::backend::RopeTable;
use crate::model::backend::cpu::attention::softmax;
use crate::model::backend::cpu::matmul::{View, product};

/// Queries of one block.
const BLOCK: usize = 64;

/// How the tokens of a row see each other.
#[derive(Clone, Copy)]
pub(super) struct Seeing<'a> {
    /// H.
    pub heads: usize,
    /// Tokens on each side; none: all of them.
    pub window: Option<usize>,
    /// Turns queries and keys by their places.
    pub rope: Option<&'a RopeTable>,
}

/// Attention in both directions inside each row. `qkv` is (N, 3 · C): queries, keys and values, each of H heads side by side; `starts`
/// are where rows begin, and N. Scores are kept for one block of queries alone. → (N, C)
pub(super) fn attention(qkv: &[f32], width: usize, starts: &[usize], seeing: Seeing<'_>) -> Vec<f32> {
    let size = width / seeing.heads;
    let work: Vec<(usize, usize, usize)> =
        starts.windows(2).flat_map(|row| (0..seeing.heads).map(move |head| (row[0], row[1], head))).collect();
    let parts: Vec<Vec<f32>> = work
        .par_iter()
        .map(|&(from, to, head)| {
            let part = |which: usize| {
                let mut own = Vec::with_capacity((to - from) * size);
                for (place, t) in (from..to).enumerate() {
                    own.extend_from_slice(&qkv[t * 3 * width + which * width + head * size..][..size]);
                    if let Some(table) = seeing.rope.filter(|_| which < 2) {
                        turn(&mut own[place * size..], table, place);
                    }
                }
                own
            };
            one_head(&part(0), &part(1), &part(2), size, seeing.window)
        })
        .collect();
    let mut mixed = vec![0.0; qkv.len() / 3];
    for (&(from, _, head), part) in work.iter().zip(&parts) {
        for (i, row) in part.chunks(size).enumerate() {
            mixed[(from + i) * width + head * size..][..size].copy_from_slice(row);
        }
    }
    mixed
}

/// Rotates one head of the token at a place; pairs are dimensions i and i + D/2.
fn turn(head: &mut [f32], table: &RopeTable, place: usize) {
    let (a, b) = head.split_at_mut(table.half);
    let at = place * table.half;
    for (i, (a, b)) in a.iter_mut().zip(b).enumerate() {
        let (x, y, cos, sin) = (*a, *b, table.cos[at + i], table.sin[at + i]);
        *a = x * cos - y * sin;
        *b = y * cos + x * sin;
    }
}

/// One head of one row: (T, D) each.
fn one_head(q: &[f32], k: &[f32], v: &[f32], size: usize, window: Option<usize>) -> Vec<f32> {
    let n = q.len() / size;
    let scale = 1.0 / (size as f32).sqrt();
    let reach = window.unwrap_or(n);
    let mut mixed = vec![0.0; q.len()];
    for i in (0..n).step_by(BLOCK) {
        let j = (i + BLOCK).min(n);
        // The keys that some query of the block sees.
        let (low, high) = (i.saturating_sub(reach), (j + reach).min(n));
        let keys = high - low;
        let mut scores = vec![0.0; (j - i) * keys];
        let queries = View::new(&q[i * size..], j - i, size, size);
        product(&mut scores, keys, queries, View::new(&k[low * size..], keys, size, size).t(), false);
        for (r, row) in scores.chunks_mut(keys).enumerate() {
            let t = i + r;
            let (first, last) = (t.saturating_sub(reach).max(low) - low, (t + reach + 1).min(high) - low);
            row[..first].fill(0.0);
            row[last..].fill(0.0);
            softmax(&mut row[first..last], scale);
        }
        let weights = View::new(&scores, j - i, keys, keys);
        product(&mut mixed[i * size..j * size], size, weights, View::new(&v[low * size..], keys, size, size), false);
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::normal;

    /// Softmax over the scores of the tokens that are seen, in f64.
    fn plain(q: &[f32], k: &[f32], v: &[f32], size: usize, window: Option<usize>) -> Vec<f64> {
        let n = q.len() / size;
        let wide = |x: &[f32], t: usize| -> Vec<f64> { x[t * size..(t + 1) * size].iter().map(|&v| f64::from(v)).collect() };
        let mut out = Vec::new();
        for t in 0..n {
            let seen: Vec<usize> = (0..n).filter(|&s| window.is_none_or(|window| s.abs_diff(t) <= window)).collect();
            let score = |s: usize| wide(q, t).iter().zip(wide(k, s)).map(|(a, b)| a * b).sum::<f64>() / (size as f64).sqrt();
            let weights: Vec<f64> = seen.iter().map(|&s| score(s).exp()).collect();
            let total: f64 = weights.iter().sum();
            for d in 0..size {
                out.push(seen.iter().zip(&weights).map(|(&s, w)| w / total * wide(v, s)[d]).sum());
            }
        }
        out
    }

    #[test]
    fn attention_is_softmax_over_what_is_seen() {
        let size = 8;
        for (n, window) in
            [(1, None), (5, None), (200, None), (1, Some(3)), (5, Some(2)), (200, Some(0)), (200, Some(9)), (131, Some(64)), (40, Some(90))]
        {
            let numbers = |stream: u64| -> Vec<f32> { (0..(n * size) as u64).map(|i| normal(stream, i)).collect() };
            let (q, k, v) = (numbers(1), numbers(2), numbers(3));
            let found = one_head(&q, &k, &v, size, window);
            for (found, wanted) in found.iter().zip(plain(&q, &k, &v, size, window)) {
                assert!((f64::from(*found) - wanted).abs() < 1e-5, "{n} tokens, window {window:?}: {found}, not {wanted}");
            }
        }
    }
}
