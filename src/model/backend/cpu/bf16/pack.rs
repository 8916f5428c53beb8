//! Factors in the order in which the kernel reads them.

use rayon::prelude::*;

use super::super::memory::Numbers;
use super::super::out::Out;
use super::super::simd::dispatched;
use super::kernel::Strides;
use super::{COLUMNS, Pair, ROWS, round};

/// Pairs of rows that are interleaved by one thread.
const PIECE: usize = 16;

/// The left factor of a product, (M, K).
pub struct Left {
    data: Numbers<Pair>,
    /// M.
    pub rows: usize,
    /// K/2, rounded up; an odd K has a zero behind it.
    pub pairs: usize,
    /// Whether the data are panels of [`ROWS`] rows, pair by pair, or whole rows.
    panels: bool,
}

impl Left {
    /// x (M, K), a row-major slice of rows of `k`.
    pub fn of(x: &[f32], k: usize) -> Self {
        let (rows, pairs) = (x.len().checked_div(k).unwrap_or(0), k.div_ceil(2));
        let mut data = Numbers::blank(rows * pairs);
        if pairs > 0 {
            data.par_chunks_mut(pairs).zip(x.par_chunks(k)).for_each(|(to, from)| pair_up(to, from));
        }
        Self { data, rows, pairs, panels: false }
    }

    /// The transpose of x (K, M), a row-major slice of rows of M.
    pub fn transposed(x: &[f32], m: usize) -> Self {
        let (data, pairs) = interleaved::<ROWS>(x, m);
        Self { data, rows: m, pairs, panels: true }
    }

    /// Some rows from a pair on; `row` is a multiple of [`ROWS`].
    pub(super) fn step(&self, row: usize, height: usize, from: usize, depth: usize) -> (&[Pair], Strides) {
        if self.panels {
            (&self.data[row * self.pairs + from * ROWS..][..depth * ROWS], Strides { row: 1, pair: ROWS })
        } else {
            let end = (row + height - 1) * self.pairs + from + depth;
            (&self.data[row * self.pairs + from..end], Strides { row: self.pairs, pair: 1 })
        }
    }
}

/// The right factor of a product, (K, N), in panels of [`COLUMNS`] columns, pair by pair; behind the last column stand zeros.
#[derive(Debug, Clone, PartialEq)]
pub struct Right {
    pub(super) panels: Numbers<Pair>,
    /// K.
    pub depth: usize,
    /// K/2, rounded up.
    pub pairs: usize,
    /// N.
    pub columns: usize,
}

impl Right {
    /// x (K, N), a row-major slice of rows of N.
    pub fn of(x: &[f32], n: usize) -> Self {
        let (panels, pairs) = interleaved::<COLUMNS>(x, n);
        Self { panels, depth: x.len().checked_div(n).unwrap_or(0), pairs, columns: n }
    }
}

/// Panels of `W` columns of x, a slice of rows of `n`: pairs of neighbouring rows.
fn interleaved<const W: usize>(x: &[f32], n: usize) -> (Numbers<Pair>, usize) {
    let rows = x.len().checked_div(n).unwrap_or(0);
    assert_eq!(x.len(), rows * n, "whole rows");
    let pairs = rows.div_ceil(2);
    let mut data = Numbers::blank(n.div_ceil(W) * W * pairs);
    let out = Out::of(&mut data);
    (0..pairs.div_ceil(PIECE)).into_par_iter().for_each(|piece| {
        let (from, to) = (piece * PIECE, ((piece + 1) * PIECE).min(pairs));
        for panel in 0..n.div_ceil(W) {
            // SAFETY: some pairs of one panel, which no other thread has.
            let panel_pairs = unsafe { out.part((panel * pairs + from) * W, (to - from) * W) };
            let columns = W.min(n - panel * W);
            interleave(panel_pairs, &x[2 * from * n + panel * W..], n, (2 * to).min(rows) - 2 * from, columns, W);
        }
    });
    (data, pairs)
}

dispatched! {
    /// Pairs of rows, `width` of them beside each other. The rows begin with x and stand `stride` apart.
    fn interleave(to: &mut [Pair], x: &[f32], stride: usize, rows: usize, columns: usize, width: usize) {
        if columns == ROWS {
            whole::<ROWS>(to, x, stride, rows);
        } else if columns == COLUMNS {
            whole::<COLUMNS>(to, x, stride, rows);
        } else {
            for (pair, to) in to.chunks_exact_mut(width).enumerate() {
                let even = &x[2 * pair * stride..][..columns];
                for (i, to) in to.iter_mut().enumerate() {
                    let odd = if i < columns && 2 * pair + 1 < rows { x[(2 * pair + 1) * stride + i] } else { 0.0 };
                    *to = round(even.get(i).copied().unwrap_or(0.0)) | (round(odd) << 16);
                }
            }
        }
    }
}

/// The same of panels without an empty column.
#[inline(always)]
fn whole<const W: usize>(to: &mut [Pair], x: &[f32], stride: usize, rows: usize) {
    for (pair, to) in to.as_chunks_mut::<W>().0.iter_mut().enumerate() {
        let row = |at: usize| x.get(at * stride..).and_then(|row| row.first_chunk::<W>());
        let none = [0.0; W];
        let even = row(2 * pair).unwrap_or(&none);
        let odd = if 2 * pair + 1 < rows { row(2 * pair + 1).unwrap_or(&none) } else { &none };
        for i in 0..W {
            to[i] = round(even[i]) | (round(odd[i]) << 16);
        }
    }
}

dispatched! {
    /// Neighbours in a row; behind an odd one stands zero.
    fn pair_up(to: &mut [Pair], from: &[f32]) {
        let two = from.chunks_exact(2);
        if let ([last], Some(to)) = (two.remainder(), to.last_mut()) {
            *to = round(*last);
        }
        for (to, two) in to.iter_mut().zip(two) {
            *to = round(two[0]) | (round(two[1]) << 16);
        }
    }
}
