//! Gradients of few weights of a matrix: one sum over the tokens for each, instead of a product of which most is thrown away.
//!
//! Such a sum reads two columns of tokens, twice as much as a product reads for an output, and no more than that: below a share of
//! the weights it is faster. Source: the sampled dense–dense product (SDDMM) of sparse linear algebra.

use rayon::prelude::*;

use super::super::kernels::dots::dots;
use super::super::kernels::square::transpose;
use super::super::kernels::tile::{Tile, every};
use super::super::memory::Numbers;
use super::super::simd::{LANES, dispatched, fetch};
use super::{Pair, round};
use crate::mask::Mask;

/// Up to this share of a matrix's weights; faster up to about twice as much on the processors that this was measured on.
pub const MOST: f64 = 0.25;
/// Sums at a time, each in a register of its own.
const SUMS: usize = 8;
/// How far ahead in each row its numbers are fetched.
const AHEAD: usize = 4 * LANES;
/// Bytes of columns of the input that stay in the second cache meanwhile.
const NEAR_BYTES: usize = 3 << 17;
/// Most rows of a weight that one thread takes at a time: enough to use each of those columns often.
const ROWS: usize = 256;

/// The columns of a matrix (T, N), each as pairs of neighbours, with zeros behind it up to a whole register.
pub struct Columns {
    data: Numbers<Pair>,
    /// Pairs of a column.
    pairs: usize,
    /// From one column to the next: an odd number of registers, so that columns do not meet in the same places of a cache.
    stride: usize,
    /// N.
    count: usize,
}

impl Columns {
    /// Of a row-major slice of rows of `n`.
    pub fn of(x: &[f32], n: usize) -> Self {
        let rows = x.len().checked_div(n).unwrap_or(0);
        let pairs = rows.div_ceil(2).next_multiple_of(LANES);
        let stride = ((pairs / LANES) | 1) * LANES;
        let mut data = Numbers::blank(n * stride);
        Tile::cut(&mut data, stride, &[0, n], &every(LANES, pairs)).into_par_iter().for_each(|part| {
            let x = &x[(2 * part.place().1 * n).min(x.len())..];
            let rows = (x.len() / n.max(1)).min(2 * LANES);
            turn(part, x, n, rows);
        });
        Self { data, pairs, stride, count: n }
    }

    #[inline(always)]
    fn column(&self, i: usize) -> &[Pair] {
        &self.data[i * self.stride..][..self.pairs]
    }
}

dispatched! {
    /// Some rows of `n` become one register of each column.
    fn turn(part: Tile<'_, Pair>, x: &[f32], n: usize, rows: usize) {
        let mut part = part;
        for first in (0..n).step_by(LANES) {
            let columns = LANES.min(n - first);
            let mut square = [[0; LANES]; LANES];
            for (i, pair) in square.iter_mut().enumerate() {
                fetch(x, 2 * i * n + first + AHEAD);
                fetch(x, (2 * i + 1) * n + first + AHEAD);
                let (even, odd) = (row(x, 2 * i, rows, n, first, columns), row(x, 2 * i + 1, rows, n, first, columns));
                for c in 0..LANES {
                    pair[c] = round(even[c]) | (round(odd[c]) << 16);
                }
            }
            transpose(&mut square);
            for (c, turned) in square[..columns].iter().enumerate() {
                part.row(first + c).copy_from_slice(turned);
            }
        }
    }
}

/// Some numbers of a row; zeros behind the last column and the last row.
#[inline(always)]
fn row(x: &[f32], at: usize, rows: usize, n: usize, first: usize, columns: usize) -> [f32; LANES] {
    let mut numbers = [0.0; LANES];
    if at < rows {
        let row = &x[at * n + first..];
        match row.first_chunk() {
            Some(whole) if columns == LANES => numbers = *whole,
            _ => numbers[..columns].copy_from_slice(&row[..columns]),
        }
    }
    numbers
}

/// Adds Σ dy[t, o] · x[t, i] over the tokens to the gradient of each weight (o, i) of the mask over (O, I); `gradient` is compact. Each is
/// one sum in [`LANES`] fixed lanes: no other weight, and no number of threads, changes its bits.
pub fn add(gradient: &mut [f32], dy: &Columns, x: &Columns, mask: &Mask) {
    let (outputs, inputs) = (dy.count, x.count);
    assert!(dy.pairs == x.pairs && mask.len() == outputs * inputs && mask.count() == gradient.len(), "the factors of a gradient");
    let rows = outputs.div_ceil(outputs.div_ceil(ROWS).max(1)).max(1);
    let columns = (NEAR_BYTES / (x.pairs * size_of::<Pair>()).max(1)).max(SUMS);
    let columns = inputs.div_ceil(inputs.div_ceil(columns).max(1)).max(1);
    let (row_cuts, column_cuts) = (every(rows, outputs), every(columns, inputs));
    // The gradient of some columns of a row lies together: the parts of a tile, one for each of its rows.
    let pieces = column_cuts.len() - 1;
    let mut tiles: Vec<Vec<&mut [f32]>> = (0..(row_cuts.len() - 1) * pieces).map(|_| Vec::with_capacity(rows)).collect();
    let mut rest = gradient;
    for row in 0..outputs {
        for (piece, cut) in column_cuts.windows(2).enumerate() {
            let count = mask.count_between(row * inputs + cut[0], row * inputs + cut[1]);
            let part;
            (part, rest) = rest.split_at_mut(count);
            tiles[row / rows * pieces + piece].push(part);
        }
    }
    tiles.into_par_iter().enumerate().for_each(|(tile, parts)| {
        let (first, cut) = (row_cuts[tile / pieces], &column_cuts[tile % pieces..]);
        let mut chosen: Vec<usize> = Vec::with_capacity(columns);
        for (row, sums) in (first..).zip(parts) {
            chosen.clear();
            chosen.extend(mask.positions_between(row * inputs + cut[0], row * inputs + cut[1]).map(|at| at - row * inputs));
            for (sums, chosen) in sums.chunks_mut(SUMS).zip(chosen.chunks(SUMS)) {
                let one = dy.column(row);
                match chosen.len() {
                    8 => add_dots::<8>(sums, one, x, chosen),
                    7 => add_dots::<7>(sums, one, x, chosen),
                    6 => add_dots::<6>(sums, one, x, chosen),
                    5 => add_dots::<5>(sums, one, x, chosen),
                    4 => add_dots::<4>(sums, one, x, chosen),
                    3 => add_dots::<3>(sums, one, x, chosen),
                    2 => add_dots::<2>(sums, one, x, chosen),
                    _ => add_dots::<1>(sums, one, x, chosen),
                }
            }
        }
    });
}

/// Adds the products of one column with N others to the sums.
fn add_dots<const N: usize>(sums: &mut [f32], one: &[Pair], x: &Columns, chosen: &[usize]) {
    let found = dots::<N>(one, std::array::from_fn(|i| x.column(chosen[i])));
    sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
}
