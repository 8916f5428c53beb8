//! Factors in the order in which the kernel reads them.

use rayon::prelude::*;

use super::super::memory::Numbers;
use super::super::simd::dispatched;
use super::kernel::Strides;
use super::{COLUMNS, Out, Pair, ROWS, round};

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
        let (data, pairs) = interleaved(x, m, ROWS);
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
        let (panels, pairs) = interleaved(x, n, COLUMNS);
        Self { panels, depth: x.len().checked_div(n).unwrap_or(0), pairs, columns: n }
    }
}

/// Panels of `width` columns of x, a slice of rows of `n`: pairs of neighbouring rows.
fn interleaved(x: &[f32], n: usize, width: usize) -> (Numbers<Pair>, usize) {
    let rows = x.len().checked_div(n).unwrap_or(0);
    assert_eq!(x.len(), rows * n, "whole rows");
    let pairs = rows.div_ceil(2);
    let mut data = Numbers::blank(n.div_ceil(width) * width * pairs);
    let out = Out(data.as_mut_ptr());
    (0..pairs.div_ceil(PIECE)).into_par_iter().for_each(|piece| {
        let none = vec![0.0; if piece + 1 == pairs.div_ceil(PIECE) { n } else { 0 }];
        for pair in piece * PIECE..((piece + 1) * PIECE).min(pairs) {
            let even = &x[2 * pair * n..][..n];
            let odd = if 2 * pair + 1 < rows { &x[(2 * pair + 1) * n..][..n] } else { &none };
            for (panel, (even, odd)) in even.chunks(width).zip(odd.chunks(width)).enumerate() {
                // SAFETY: the panel's `width` pairs of this pair of rows, which no other thread has.
                let to = unsafe { std::slice::from_raw_parts_mut(out.at((panel * pairs + pair) * width), width) };
                interleave(&mut to[..even.len()], even, odd);
                to[even.len()..].fill(0);
            }
        }
    });
    (data, pairs)
}

dispatched! {
    fn interleave(to: &mut [Pair], even: &[f32], odd: &[f32]) {
        for ((to, &even), &odd) in to.iter_mut().zip(even).zip(odd) {
            *to = round(even) | (round(odd) << 16);
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
