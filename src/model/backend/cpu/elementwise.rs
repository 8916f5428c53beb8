//! Sums, rotations and SwiGLU over fixed chunks.

use rayon::prelude::*;

use super::Matrix;
use super::simd::{LANES, dispatched, exp};
use crate::mask::Mask;
use crate::model::backend::RopeTable;

/// Numbers of one chunk; a multiple of the mask's words.
pub const CHUNK: usize = 1 << 15;

dispatched! {
    fn add_chunk(to: &mut [f32], from: &[f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += from;
        }
    }
}

/// to += from.
pub fn add(to: &mut [f32], from: &[f32]) {
    to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(to, from)| add_chunk(to, from));
}

/// Where each chunk's selected weights begin in the compact order, and the total.
pub fn chunk_starts(mask: &Mask) -> Vec<usize> {
    let mut starts = vec![0];
    for words in mask.words().chunks(CHUNK / 64) {
        let count: usize = words.iter().map(|word| word.count_ones() as usize).sum();
        starts.push(starts[starts.len() - 1] + count);
    }
    starts
}

/// Cuts a compact buffer into one slice a chunk.
pub fn split_compact<'a>(mut rest: &'a mut [f32], starts: &[usize]) -> Vec<&'a mut [f32]> {
    let mut parts = Vec::with_capacity(starts.len());
    for pair in starts.windows(2) {
        let (part, tail) = rest.split_at_mut(pair[1] - pair[0]);
        parts.push(part);
        rest = tail;
    }
    parts
}

/// Adds the selected numbers of `dense` to the compact `to`.
pub fn add_selected(to: &mut [f32], dense: &[f32], mask: &Mask) {
    let starts = chunk_starts(mask);
    split_compact(to, &starts).into_par_iter().zip(dense.par_chunks(CHUNK)).zip(mask.words().par_chunks(CHUNK / 64)).for_each(
        |((to, dense), words)| {
            let mut slots = to.iter_mut();
            for (w, &word) in words.iter().enumerate() {
                let mut rest = word;
                while rest != 0 {
                    let i = w * 64 + rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    if let Some(slot) = slots.next() {
                        *slot += dense[i];
                    }
                }
            }
        },
    );
}

dispatched! {
    /// Σ x² of a chunk, in f64 over sixteen fixed lanes.
    fn squares(chunk: &[f32]) -> f64 {
        let mut lanes = [0.0f64; LANES];
        let (whole, rest) = chunk.split_at(chunk.len() - chunk.len() % LANES);
        for part in whole.chunks_exact(LANES) {
            for (lane, &v) in lanes.iter_mut().zip(part) {
                *lane += f64::from(v) * f64::from(v);
            }
        }
        lanes.iter().sum::<f64>() + rest.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>()
    }
}

/// Σ x² in f64, chunk by chunk.
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let parts: Vec<f64> = x.par_chunks(CHUNK).map(squares).collect();
    parts.iter().sum()
}

dispatched! {
    /// Σ a · b of a chunk, in f64 over sixteen fixed lanes.
    fn products(a: &[f32], b: &[f32]) -> f64 {
        let mut lanes = [0.0f64; LANES];
        let whole = a.len() - a.len() % LANES;
        for (a, b) in a[..whole].chunks_exact(LANES).zip(b[..whole].chunks_exact(LANES)) {
            for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
                *lane += f64::from(a) * f64::from(b);
            }
        }
        let rest: f64 = a[whole..].iter().zip(&b[whole..]).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        lanes.iter().sum::<f64>() + rest
    }
}

/// Σ a · b in f64, chunk by chunk.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    let parts: Vec<f64> = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).map(|(a, b)| products(a, b)).collect();
    parts.iter().sum()
}

dispatched! {
    fn add_scaled_chunk(to: &mut [f32], from: &[f32], scale: f32) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += scale * from;
        }
    }
}

/// to += scale · from.
pub fn add_scaled(to: &mut [f32], from: &[f32], scale: f32) {
    to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK)).for_each(|(to, from)| add_scaled_chunk(to, from, scale));
}

/// Rotates every head of every token; see `Backend::rope`.
pub fn rope(x: &mut Matrix, positions: &[u32], table: &RopeTable, backward: bool) {
    let (half, width) = (table.half, x.columns);
    x.data.par_chunks_mut(width.max(1)).zip(positions.par_iter()).for_each(|(row, &position)| {
        let at = position as usize * half;
        rotate(row, &table.cos[at..at + half], &table.sin[at..at + half], if backward { -1.0 } else { 1.0 });
    });
}

dispatched! {
    fn rotate(row: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
        let half = cos.len();
        for head in row.chunks_exact_mut(2 * half) {
            let (a, b) = head.split_at_mut(half);
            for i in 0..half {
                let (x, y, s) = (a[i], b[i], sin[i] * sign);
                a[i] = x * cos[i] - y * s;
                b[i] = y * cos[i] + x * s;
            }
        }
    }
}

dispatched! {
    fn swiglu_chunk(gate: &[f32], up: &[f32], out: &mut [f32]) {
        for ((o, g), u) in out.iter_mut().zip(gate).zip(up) {
            *o = g / (1.0 + exp(-g)) * u;
        }
    }
}

dispatched! {
    fn swiglu_backward_chunk(d_out: &[f32], gate: &[f32], up: &[f32], d_gate: &mut [f32], d_up: &mut [f32]) {
        for i in 0..d_out.len() {
            let (d, g, u) = (d_out[i], gate[i], up[i]);
            let sigmoid = 1.0 / (1.0 + exp(-g));
            let silu = g * sigmoid;
            d_up[i] = d * silu;
            d_gate[i] = d * u * (sigmoid + silu * (1.0 - sigmoid));
        }
    }
}

/// silu(gate) · up.
pub fn swiglu(gate: &Matrix, up: &Matrix) -> Matrix {
    let mut out = Matrix::blank(gate.rows, gate.columns);
    out.data
        .par_chunks_mut(CHUNK)
        .zip(gate.data.par_chunks(CHUNK))
        .zip(up.data.par_chunks(CHUNK))
        .for_each(|((o, g), u)| swiglu_chunk(g, u, o));
    out
}

/// Gradients of gate and up.
pub fn swiglu_backward(d_out: &Matrix, gate: &Matrix, up: &Matrix) -> (Matrix, Matrix) {
    let (mut d_gate, mut d_up) = (Matrix::blank(gate.rows, gate.columns), Matrix::blank(gate.rows, gate.columns));
    d_gate
        .data
        .par_chunks_mut(CHUNK)
        .zip(d_up.data.par_chunks_mut(CHUNK))
        .zip(d_out.data.par_chunks(CHUNK))
        .zip(gate.data.par_chunks(CHUNK))
        .zip(up.data.par_chunks(CHUNK))
        .for_each(|((((dg, du), d), g), u)| swiglu_backward_chunk(d, g, u, dg, du));
    (d_gate, d_up)
}
