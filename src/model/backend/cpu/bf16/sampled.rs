//! Gradients of few weights of a matrix: one sum over the tokens for each, instead of a product of which most is thrown away.
//!
//! Such a sum reads two columns of tokens, twice as much as a product reads for an output, and no more than that: below a share of
//! the weights it is faster. Source: the sampled dense–dense product (SDDMM) of sparse linear algebra.

use rayon::prelude::*;

use super::super::memory::Numbers;
use super::super::out::Out;
use super::super::simd::{LANES, dispatched, fold};
use super::square::transpose;
use super::{Pair, round, widen};
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
        let out = Out::of(&mut data);
        (0..pairs / LANES).into_par_iter().for_each(|part| {
            let x = &x[(part * 2 * LANES * n).min(x.len())..];
            let rows = (x.len() / n.max(1)).min(2 * LANES);
            turn(out, part * LANES, stride, x, n, rows);
        });
        Self { data, pairs, stride, count: n }
    }

    #[inline(always)]
    fn column(&self, i: usize) -> &[Pair] {
        &self.data[i * self.stride..][..self.pairs]
    }
}

dispatched! {
    /// Some rows of `n` become one register of each column, `stride` apart, from `at` on.
    fn turn(out: Out<Pair>, at: usize, stride: usize, x: &[f32], n: usize, rows: usize) {
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
                // SAFETY: one register of a column, which this call alone writes.
                unsafe { out.part((first + c) * stride + at, LANES) }.copy_from_slice(turned);
            }
        }
    }
}

/// Brings a place into the first cache, if there is one.
#[inline(always)]
fn fetch(x: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch of what does not exist does nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(at).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (x, at);
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
    let mut starts = vec![0; outputs + 1];
    for row in 0..outputs {
        starts[row + 1] = starts[row] + mask.count_between(row * inputs, (row + 1) * inputs);
    }
    let out = Out::of(gradient);
    let tiles: Vec<(usize, usize)> =
        (0..outputs).step_by(rows).flat_map(|row| (0..inputs).step_by(columns).map(move |column| (row, column))).collect();
    tiles.into_par_iter().for_each(|(first, from)| {
        let to = (from + columns).min(inputs);
        let mut chosen: Vec<usize> = Vec::with_capacity(columns);
        for (row, start) in starts.iter().enumerate().take((first + rows).min(outputs)).skip(first) {
            let begin = start + mask.count_between(row * inputs, row * inputs + from);
            chosen.clear();
            chosen.extend(mask.positions_between(row * inputs + from, row * inputs + to).map(|at| at - row * inputs));
            // SAFETY: the weights of some columns of a row, which lie one after another in the gradient, that has as many numbers as the
            // mask; no other tile has them.
            let sums = unsafe { out.part(begin, chosen.len()) };
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
    let columns: [&[Pair]; N] = std::array::from_fn(|i| x.column(chosen[i]));
    assert!(columns.iter().all(|column| column.len() == one.len()) && one.len().is_multiple_of(LANES), "columns of different lengths");
    #[cfg(target_arch = "x86_64")]
    if super::available() {
        // SAFETY: the processor has the features, and all columns are whole registers of the same length.
        let found = unsafe { dots(one, columns) };
        return sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
    }
    sums.iter_mut().zip(plain(one, columns)).for_each(|(sum, found)| *sum += found);
}

/// The same in plain Rust; sums in the same order, rounded after each product instead of each pair.
pub(super) fn plain<const N: usize>(one: &[Pair], columns: [&[Pair]; N]) -> [f32; N] {
    columns.map(|other| {
        let mut lanes = [0.0f32; LANES];
        for (a, b) in one.chunks_exact(LANES).zip(other.chunks_exact(LANES)) {
            for i in 0..LANES {
                let even = widen(a[i] & 0xffff).mul_add(widen(b[i] & 0xffff), lanes[i]);
                lanes[i] = widen(a[i] >> 16).mul_add(widen(b[i] >> 16), even);
            }
        }
        fold(lanes)
    })
}

/// # Safety
/// The processor has the features; every column is as long as `one`, a multiple of [`LANES`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn dots<const N: usize>(one: &[Pair], columns: [&[Pair]; N]) -> [f32; N] {
    use std::arch::x86_64::{__m512bh, __m512i, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_setzero_ps, _mm512_storeu_ps};
    use std::mem::transmute;
    let mut sums = [_mm512_setzero_ps(); N];
    let at = columns.map(<[Pair]>::as_ptr);
    for from in (0..one.len()).step_by(LANES) {
        // SAFETY: sixteen pairs from `from` on lie inside every column, for which the caller vouches; they are read as bfloat16.
        unsafe {
            let left = transmute::<__m512i, __m512bh>(_mm512_loadu_si512(one.as_ptr().add(from).cast()));
            for i in 0..N {
                let right = transmute::<__m512i, __m512bh>(_mm512_loadu_si512(at[i].add(from).cast()));
                sums[i] = _mm512_dpbf16_ps(sums[i], left, right);
            }
        }
    }
    sums.map(|sum| {
        let mut lanes = [0.0; LANES];
        // SAFETY: there are sixteen.
        unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), sum) };
        fold(lanes)
    })
}
