//! Factors in the order in which the kernel reads them.

use rayon::prelude::*;

use super::super::kernels::pairs::Strides;
use super::super::kernels::square::transpose;
use super::super::kernels::tile::{Tile, every};
use super::super::memory::Numbers;
use super::super::simd::{LANES, dispatched};
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
        let (data, pairs) = interleaved::<ROWS>(x, m, true);
        Self { data, rows: m, pairs, panels: true }
    }

    /// As [`Left::of`], on the calling thread.
    pub fn serial(x: &[f32], k: usize) -> Self {
        let (rows, pairs) = (x.len() / k, k.div_ceil(2));
        let mut data = Numbers::blank(rows * pairs);
        data.chunks_mut(pairs).zip(x.chunks(k)).for_each(|(to, from)| pair_up(to, from));
        Self { data, rows, pairs, panels: false }
    }

    /// As [`Left::transposed`], on the calling thread.
    pub fn serial_transposed(x: &[f32], m: usize) -> Self {
        let (data, pairs) = interleaved::<ROWS>(x, m, false);
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
        let (panels, pairs) = interleaved::<COLUMNS>(x, n, true);
        Self { panels, depth: x.len().checked_div(n).unwrap_or(0), pairs, columns: n }
    }

    /// As [`Right::of`], on the calling thread.
    pub fn serial(x: &[f32], n: usize) -> Self {
        let (panels, pairs) = interleaved::<COLUMNS>(x, n, false);
        Self { panels, depth: x.len().checked_div(n).unwrap_or(0), pairs, columns: n }
    }

    /// The transpose of x (N, K), a row-major slice of rows of K, on the calling thread.
    pub fn transposed(x: &[f32], k: usize) -> Self {
        let (rows, pairs) = (x.len() / k, k.div_ceil(2));
        let mut panels = Numbers::blank(rows.div_ceil(COLUMNS) * COLUMNS * pairs);
        for (panel, x) in panels.chunks_mut(COLUMNS * pairs).zip(x.chunks(COLUMNS * k)) {
            if x.len() < COLUMNS * k {
                panel.fill(0);
            }
            pair_up_lanes(panel, x, k);
        }
        Self { panels, depth: k, pairs, columns: rows }
    }
}

/// Panels of `W` columns of x, a slice of rows of `n`: pairs of neighbouring rows.
fn interleaved<const W: usize>(x: &[f32], n: usize, parallel: bool) -> (Numbers<Pair>, usize) {
    let rows = x.len().checked_div(n).unwrap_or(0);
    assert_eq!(x.len(), rows * n, "whole rows");
    let pairs = rows.div_ceil(2);
    let mut data = Numbers::blank(n.div_ceil(W) * W * pairs);
    // A panel is a row of `pairs` times W; a piece has some pairs of every panel.
    let pieces = Tile::cut(&mut data, pairs * W, &[0, n.div_ceil(W)], &every(PIECE * W, pairs * W));
    let pack = |mut piece: Tile<'_, Pair>| {
        let from = piece.place().1 / W;
        let to = from + piece.columns() / W;
        for panel in 0..piece.rows() {
            let columns = W.min(n - panel * W);
            interleave(piece.row(panel), &x[2 * from * n + panel * W..], n, (2 * to).min(rows) - 2 * from, columns, W);
        }
    };
    if parallel {
        pieces.into_par_iter().for_each(pack)
    } else {
        pieces.into_iter().for_each(pack)
    }
    (data, pairs)
}

dispatched! {
    /// Pairs of rows, `width` of them beside each other. The rows begin with x and stand `stride` apart.
    fn interleave(to: &mut [Pair], x: &[f32], stride: usize, rows: usize, columns: usize, width: usize) {
        match columns {
            COLUMNS => some::<COLUMNS>(to, x, stride, rows, width),
            16 => some::<16>(to, x, stride, rows, width),
            ROWS => some::<ROWS>(to, x, stride, rows, width),
            _ => {
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
}

/// The same for a number of columns that is known beforehand.
#[inline(always)]
fn some<const C: usize>(to: &mut [Pair], x: &[f32], stride: usize, rows: usize, width: usize) {
    for (pair, to) in to.chunks_exact_mut(width).enumerate() {
        let row = |at: usize| x.get(at * stride..).and_then(|row| row.first_chunk::<C>());
        let none = [0.0; C];
        let even = row(2 * pair).unwrap_or(&none);
        let odd = if 2 * pair + 1 < rows { row(2 * pair + 1).unwrap_or(&none) } else { &none };
        for i in 0..C {
            to[i] = round(even[i]) | (round(odd[i]) << 16);
        }
        to[C..].fill(0);
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

/// Rows of `k` become the lanes of a panel, from the first on: of each, neighbours become pairs.
pub(super) fn pair_up_lanes(panel: &mut [Pair], x: &[f32], k: usize) {
    for (group, rows) in x.chunks((LANES * k).max(1)).enumerate() {
        let turned = if rows.len() == LANES * k { pair_up_squares(panel, group * LANES, rows, k) } else { 0 };
        for (i, row) in rows.chunks(k).enumerate() {
            pair_up_lane(&mut panel[turned / 2 * COLUMNS..], group * LANES + i, &row[turned..]);
        }
    }
}

dispatched! {
    /// As many numbers of sixteen rows as make whole squares, into the lanes from `lane` on; returns how many of each row.
    fn pair_up_squares(panel: &mut [Pair], lane: usize, rows: &[f32], k: usize) -> usize {
        let whole = k - k % (2 * LANES);
        for from in (0..whole).step_by(2 * LANES) {
            let mut square = [[0; LANES]; LANES];
            for (i, pairs) in square.iter_mut().enumerate() {
                let numbers = &rows[i * k + from..][..2 * LANES];
                for (pair, two) in pairs.iter_mut().zip(numbers.chunks_exact(2)) {
                    *pair = round(two[0]) | (round(two[1]) << 16);
                }
            }
            transpose(&mut square);
            for (i, lanes) in square.iter().enumerate() {
                panel[(from / 2 + i) * COLUMNS + lane..][..LANES].copy_from_slice(lanes);
            }
        }
        whole
    }
}

dispatched! {
    /// Neighbours in a row become pairs in a lane of a panel.
    fn pair_up_lane(panel: &mut [Pair], lane: usize, row: &[f32]) {
        for (two, to) in row.chunks(2).zip(panel.iter_mut().skip(lane).step_by(COLUMNS)) {
            *to = round(two[0]) | (round(two.get(1).copied().unwrap_or(0.0)) << 16);
        }
    }
}
