//! Keys and values of sequences that grow, and the attention of new tokens to them.
//!
//! Keys lie dimension by dimension, so that neighbouring lanes are neighbouring tokens and no sum crosses lanes. Each score and
//! each mixed value is one sum in one order: it depends on its own query and sequence alone.

use bytemuck::Pod;
use rayon::prelude::*;

use super::bf16::{round, widen};
use super::kernels::tile::{Tile, every};
use super::memory::Numbers;
use super::simd::{LANES, dispatched, exponentiate, max};
use super::{Matrix, Precision};
use crate::model::backend::Heads;

/// Query vectors that share a pass over keys and values.
const QUERIES: usize = 4;
/// Tokens of one piece of work.
const TOKENS: usize = 16;

/// The cache of one layer. Under [`Precision::Bf16`] it holds the nearest bfloat16 numbers.
#[derive(Debug)]
pub struct Cache {
    kept: Kept,
    /// Tokens that a sequence may have, a multiple of [`LANES`].
    pub capacity: usize,
    heads: Heads,
}

/// Keys (rows, KV, D, capacity) and values (rows, KV, capacity, D).
#[derive(Debug)]
enum Kept {
    F32(Numbers<f32>, Numbers<f32>),
    Bf16(Numbers<u16>, Numbers<u16>),
}

/// A number as it is kept.
trait Number: Pod + Send + Sync {
    fn keep(value: f32) -> Self;
    fn value(self) -> f32;
    /// See [`scored`].
    fn scored(queries: &Queries<'_>, keys: &[Self], capacity: usize, scores: &mut [f32]);
    /// See [`mix`].
    fn mix(queries: &Queries<'_>, values: &[Self], d: usize, at: usize, scores: &[f32], mixed: &mut Lanes);
}

impl Number for f32 {
    fn keep(value: f32) -> Self {
        value
    }
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
    fn scored(queries: &Queries<'_>, keys: &[Self], capacity: usize, scores: &mut [f32]) {
        scored_f32(queries, keys, capacity, scores);
    }
    fn mix(queries: &Queries<'_>, values: &[Self], d: usize, at: usize, scores: &[f32], mixed: &mut Lanes) {
        mixed_f32(queries, values, d, at, scores, mixed);
    }
}

impl Number for u16 {
    fn keep(value: f32) -> Self {
        round(value) as Self
    }
    #[inline(always)]
    fn value(self) -> f32 {
        widen(u32::from(self))
    }
    fn scored(queries: &Queries<'_>, keys: &[Self], capacity: usize, scores: &mut [f32]) {
        scored_bf16(queries, keys, capacity, scores);
    }
    fn mix(queries: &Queries<'_>, values: &[Self], d: usize, at: usize, scores: &[f32], mixed: &mut Lanes) {
        mixed_bf16(queries, values, d, at, scores, mixed);
    }
}

impl Cache {
    /// For `rows` sequences of at least `capacity` tokens.
    pub fn new(precision: Precision, rows: usize, capacity: usize, heads: Heads) -> Self {
        let capacity = capacity.next_multiple_of(LANES);
        let len = rows * heads.key_value * heads.size * capacity;
        let kept = match precision {
            Precision::F32 => Kept::F32(Numbers::zeros(len), Numbers::zeros(len)),
            Precision::Bf16 => Kept::Bf16(Numbers::zeros(len), Numbers::zeros(len)),
        };
        Self { kept, capacity, heads }
    }

    /// Writes keys and values (T, KV·D) of tokens at (row, position).
    pub fn write(&mut self, k: &Matrix, v: &Matrix, rows: &[usize], positions: &[u32]) {
        let shape = (self.capacity, self.heads);
        match &mut self.kept {
            Kept::F32(keys, values) => write((keys, values), (k, v), rows, positions, shape),
            Kept::Bf16(keys, values) => write((keys, values), (k, v), rows, positions, shape),
        }
    }

    /// Gives sequence `to` the first `length` tokens of sequence `from`.
    pub fn copy(&mut self, from: usize, to: usize, length: usize) {
        let (planes, capacity, size) = (self.heads.key_value, self.capacity, self.heads.size);
        match &mut self.kept {
            Kept::F32(keys, values) => copy((keys, values), (from * planes, to * planes, planes), length, capacity, size),
            Kept::Bf16(keys, values) => copy((keys, values), (from * planes, to * planes, planes), length, capacity, size),
        }
    }

    /// The mixed values (T, H·D) of queries, each of which sees its own sequence up to its position.
    pub fn attend(&self, q: &Matrix, rows: &[usize], positions: &[u32]) -> Matrix {
        let shape = (self.capacity, self.heads);
        match &self.kept {
            Kept::F32(keys, values) => attend((keys, values), q, rows, positions, shape),
            Kept::Bf16(keys, values) => attend((keys, values), q, rows, positions, shape),
        }
    }
}

fn attend<N: Number>(
    (keys, values): (&[N], &[N]),
    q: &Matrix,
    rows: &[usize],
    positions: &[u32],
    (capacity, heads): (usize, Heads),
) -> Matrix {
    let Heads { query, key_value, size: d } = heads;
    let (group, plane) = (query / key_value, d * capacity);
    let mut all_mixed = Matrix::blank(q.rows, query * d);
    // Pieces of one sequence's tokens.
    let mut cuts = Vec::new();
    for t in 0..rows.len() {
        if t == 0 || rows[t] != rows[t - 1] || cuts.last().is_some_and(|from| t - from == TOKENS) {
            cuts.push(t);
        }
    }
    cuts.push(rows.len());
    let tiles = Tile::cut(&mut all_mixed.data, query * d, &cuts, &every(group * d, query * d));
    tiles.into_par_iter().for_each(|mut tile| {
        let (from, column) = tile.place();
        let head = column / (group * d);
        // Every query head of the group at every token.
        let vectors: Vec<(usize, usize, usize)> =
            (0..tile.rows()).flat_map(|t| (0..group).map(move |g| (t, g, positions[from + t] as usize + 1))).collect();
        let base = (rows[from] * key_value + head) * plane;
        let (keys, values) = (&keys[base..base + plane], &values[base..base + plane]);
        let longest = vectors.iter().map(|&(_, _, seen)| seen).max().unwrap_or(0);
        let mut scores = vec![0.0; QUERIES * longest.next_multiple_of(LANES)];
        let mut mixed = [0.0; QUERIES * LANES];
        for vectors in vectors.chunks(QUERIES) {
            let query = |t: usize, g: usize| &q.row(from + t)[column + g * d..][..d];
            let queries: Vec<_> = vectors.iter().map(|&(t, g, seen)| (query(t, g), seen)).collect();
            N::scored(&queries, keys, capacity, &mut scores);
            for at in (0..d).step_by(LANES) {
                N::mix(&queries, values, d, at, &scores, &mut mixed);
                let width = LANES.min(d - at);
                for (&(t, g, _), lanes) in vectors.iter().zip(mixed.chunks(LANES)) {
                    tile.row(t)[g * d + at..][..width].copy_from_slice(&lanes[..width]);
                }
            }
        }
    });
    all_mixed
}

fn write<N: Number>(
    (keys, values): (&mut [N], &mut [N]),
    (k, v): (&Matrix, &Matrix),
    rows: &[usize],
    positions: &[u32],
    (capacity, heads): (usize, Heads),
) {
    let d = heads.size;
    for (t, (&row, &position)) in rows.iter().zip(positions).enumerate() {
        let position = position as usize;
        for (head, (k, v)) in k.row(t).chunks(d).zip(v.row(t).chunks(d)).enumerate() {
            let base = (row * heads.key_value + head) * d * capacity;
            for (i, (&k, &v)) in k.iter().zip(v).enumerate() {
                keys[base + i * capacity + position] = N::keep(k);
                values[base + position * d + i] = N::keep(v);
            }
        }
    }
}

fn copy<N: Number>(
    (keys, values): (&mut [N], &mut [N]),
    (from, to, planes): (usize, usize, usize),
    length: usize,
    capacity: usize,
    d: usize,
) {
    for plane in 0..planes {
        let (from, to) = ((from + plane) * d * capacity, (to + plane) * d * capacity);
        values.copy_within(from..from + length * d, to);
        for i in 0..d {
            keys.copy_within(from + i * capacity..from + i * capacity + length, to + i * capacity);
        }
    }
}

/// Some lanes of the mixed values of several queries, (QUERIES, LANES).
type Lanes = [f32; QUERIES * LANES];

/// Queries with the number of tokens that each sees.
type Queries<'a> = [(&'a [f32], usize)];

dispatched! {
    fn scored_f32(queries: &Queries<'_>, keys: &[f32], capacity: usize, scores: &mut [f32]) {
        scored(queries, keys, capacity, scores);
    }
}

dispatched! {
    fn scored_bf16(queries: &Queries<'_>, keys: &[u16], capacity: usize, scores: &mut [f32]) {
        scored(queries, keys, capacity, scores);
    }
}

dispatched! {
    fn mixed_f32(queries: &Queries<'_>, values: &[f32], d: usize, at: usize, scores: &[f32], mixed: &mut Lanes) {
        mix(queries, values, d, at, scores, mixed);
    }
}

dispatched! {
    fn mixed_bf16(queries: &Queries<'_>, values: &[u16], d: usize, at: usize, scores: &[f32], mixed: &mut Lanes) {
        mix(queries, values, d, at, scores, mixed);
    }
}

/// The weights of up to [`QUERIES`] queries over the tokens that they see; zero for those that they do not.
#[inline(always)]
fn scored<N: Number>(queries: &Queries<'_>, keys: &[N], capacity: usize, scores: &mut [f32]) {
    let stride = scores.len() / QUERIES;
    let longest = queries.iter().map(|&(_, seen)| seen).max().unwrap_or(0);
    let query = |i: usize| queries[i.min(queries.len() - 1)].0;
    let four: [&[f32]; QUERIES] = std::array::from_fn(query);
    let d = four[0].len();
    for from in (0..longest).step_by(LANES) {
        let mut sums = [[0.0f32; LANES]; QUERIES];
        for i in 0..d {
            let Some(lanes) = keys[i * capacity + from..].first_chunk::<LANES>() else { break };
            for (sums, query) in sums.iter_mut().zip(&four) {
                for (sum, &key) in sums.iter_mut().zip(lanes) {
                    *sum = key.value().mul_add(query[i], *sum);
                }
            }
        }
        for (row, sums) in scores.chunks_exact_mut(stride).zip(&sums) {
            row[from..from + LANES].copy_from_slice(sums);
        }
    }
    let scale = 1.0 / (d as f32).sqrt();
    for (row, &(_, seen)) in scores.chunks_exact_mut(stride).zip(queries) {
        let (row, hidden) = row.split_at_mut(seen);
        let peak = max(row) * scale;
        let inverse = 1.0 / exponentiate(row, scale, peak);
        row.iter_mut().for_each(|weight| *weight *= inverse);
        hidden.fill(0.0);
    }
}

/// Σ weight · value in lanes `at..` of the head, for up to [`QUERIES`] queries.
#[inline(always)]
fn mix<N: Number>(queries: &Queries<'_>, values: &[N], d: usize, at: usize, scores: &[f32], mixed: &mut Lanes) {
    let stride = scores.len() / QUERIES;
    let longest = queries.iter().map(|&(_, seen)| seen).max().unwrap_or(0);
    let mut sums = [[0.0f32; LANES]; QUERIES];
    let rows: [&[f32]; QUERIES] = std::array::from_fn(|i| &scores[i * stride..][..longest]);
    for t in 0..longest {
        let here = &values[t * d + at..(t + 1) * d];
        match here.first_chunk::<LANES>() {
            Some(lanes) => {
                for (sums, row) in sums.iter_mut().zip(&rows) {
                    for (sum, &value) in sums.iter_mut().zip(lanes) {
                        *sum = value.value().mul_add(row[t], *sum);
                    }
                }
            }
            None => {
                for (sums, row) in sums.iter_mut().zip(&rows) {
                    for (sum, &value) in sums.iter_mut().zip(here) {
                        *sum = value.value().mul_add(row[t], *sum);
                    }
                }
            }
        }
    }
    for (to, sums) in mixed.chunks_exact_mut(LANES).zip(&sums) {
        to.copy_from_slice(sums);
    }
}
