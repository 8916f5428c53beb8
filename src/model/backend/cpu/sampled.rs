//! Gradients of few weights of a matrix: one sum over the tokens for each, instead of a product of which most is thrown away.
//!
//! Such a sum reads two columns of tokens, twice as much as a product reads for an output, and no more than that: below a share of
//! the weights it is faster. Source: the sampled dense–dense product (SDDMM) of sparse linear algebra.

use rayon::prelude::*;

use super::Precision;
use super::kernels::dots::{dots, dots_f32, few_registers};
use super::kernels::pairs::{Pair, round};
use super::kernels::square::transpose;
use super::kernels::tile::{Tile, every};
use super::memory::Numbers;
use super::simd::{LANES, dispatched, fetch};
use super::skinny;
use crate::mask::Mask;

/// Up to this share of a matrix's weights; faster up to about twice as much on the processors that this was measured on.
pub const MOST: f64 = 0.25;
/// Most sums at a time, each in registers of its own.
const SUMS: usize = 8;
/// How far ahead in each row its numbers are fetched.
const AHEAD: usize = 4 * LANES;
/// Bytes of columns of the input that stay in the second cache meanwhile.
const NEAR_BYTES: usize = 3 << 17;
/// Most rows of a weight that one thread takes at a time: enough to use each of those columns often.
const ROWS: usize = 256;

/// In f32 the smallest matrix, in weights. Of smaller ones the dense product takes little time; the embedded model's are, so that what was
/// measured on it keeps its bits.
const LARGE: usize = 1 << 17;

/// Whether the gradient of these weights is summed weight by weight. In f32 only where the processor has instructions for that: otherwise
/// fused multiplications are slow.
pub fn pays(precision: Precision, mask: &Mask) -> bool {
    let possible = match precision {
        Precision::Bf16 => true,
        Precision::F32 => mask.len() >= LARGE && skinny::available(),
    };
    possible && mask.count() as f64 <= MOST * mask.len() as f64
}

/// The columns of a matrix (T, N) in words of 32 bits, with zeros behind each up to a whole register: a number of f32 in a word, or
/// two neighbours in bfloat16.
pub struct Columns {
    data: Numbers<Pair>,
    precision: Precision,
    /// Words of a column.
    words: usize,
    /// From one column to the next: an odd number of registers, so that columns do not meet in the same places of a cache.
    stride: usize,
    /// N.
    count: usize,
}

impl Columns {
    /// Of a row-major slice of rows of `n`.
    pub fn of(precision: Precision, x: &[f32], n: usize) -> Self {
        let rows = x.len().checked_div(n).unwrap_or(0);
        let tokens = if precision == Precision::Bf16 { 2 } else { 1 };
        let words = rows.div_ceil(tokens).next_multiple_of(LANES);
        let stride = ((words / LANES) | 1) * LANES;
        let mut data = Numbers::blank(n * stride);
        Tile::cut(&mut data, stride, &[0, n], &every(LANES, words)).into_par_iter().for_each(|part| {
            let x = &x[(tokens * part.place().1 * n).min(x.len())..];
            let rows = (x.len() / n.max(1)).min(tokens * LANES);
            if precision == Precision::Bf16 { turn_pairs(part, x, n, rows) } else { turn(part, x, n, rows) }
        });
        Self { data, precision, words, stride, count: n }
    }

    #[inline(always)]
    fn column(&self, i: usize) -> &[Pair] {
        &self.data[i * self.stride..][..self.words]
    }
}

dispatched! {
    /// Some rows of `n` become one register of each column, rounded and in pairs.
    fn turn_pairs(part: Tile<'_, Pair>, x: &[f32], n: usize, rows: usize) {
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

dispatched! {
    /// Some rows of `n` become one register of each column.
    fn turn(part: Tile<'_, Pair>, x: &[f32], n: usize, rows: usize) {
        let mut part = part;
        for first in (0..n).step_by(LANES) {
            let columns = LANES.min(n - first);
            let mut square = [[0; LANES]; LANES];
            for (i, word) in square.iter_mut().enumerate() {
                fetch(x, i * n + first + AHEAD);
                *word = row(x, i, rows, n, first, columns).map(f32::to_bits);
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
    assert!(dy.precision == x.precision && dy.words == x.words, "the factors of a gradient");
    assert!(mask.len() == outputs * inputs && mask.count() == gradient.len(), "a gradient's place");
    let rows = outputs.div_ceil(outputs.div_ceil(ROWS).max(1)).max(1);
    let columns = (NEAR_BYTES / (x.words * size_of::<Pair>()).max(1)).max(SUMS);
    let columns = inputs.div_ceil(inputs.div_ceil(columns).max(1)).max(1);
    let at_once = if x.precision == Precision::F32 && few_registers() { SUMS / 2 } else { SUMS };
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
            for (sums, chosen) in sums.chunks_mut(at_once).zip(chosen.chunks(at_once)) {
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
    let columns = std::array::from_fn(|i| x.column(chosen[i]));
    let found = match x.precision {
        Precision::Bf16 => dots::<N>(one, columns),
        Precision::F32 => dots_f32::<N>(bytemuck::cast_slice(one), columns.map(bytemuck::cast_slice)),
    };
    sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += found);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::backend::cpu::with_threads;
    use crate::random::{mix, normal};

    #[test]
    fn few_gradients_of_large_matrices_are_sampled() {
        let one_in = |len: usize, share: usize| Mask::from_fn(len, |at| at % share == 0);
        for (precision, len, share, expected) in [
            (Precision::Bf16, 1000, 10, true),
            (Precision::Bf16, 1000, 3, false),
            (Precision::F32, LARGE, 10, skinny::available()),
            (Precision::F32, LARGE, 3, false),
            (Precision::F32, LARGE - 1, 10, false),
        ] {
            assert_eq!(pays(precision, &one_in(len, share)), expected, "{precision:?}, one in {share} of {len}");
        }
    }

    /// For odd numbers of tokens, ragged columns, and all shares, in both precisions.
    #[test]
    fn sampled_gradients_are_the_sums_of_rounded_factors() {
        let numbers = |count: usize, stream: u64| -> Vec<f32> { (0..count as u64).map(|i| normal(mix(stream), i)).collect() };
        for precision in [Precision::F32, Precision::Bf16] {
            let factor = |x: f32| f64::from(if precision == Precision::Bf16 { half::bf16::from_f32(x).to_f32() } else { x });
            for (t, o, i, share) in [(1, 1, 1, 1), (2, 3, 5, 1), (31, 17, 20, 2), (64, 48, 33, 5), (129, 300, 47, 7), (1000, 40, 700, 11)] {
                let shape = format!("{precision:?} {t}×{o}×{i}");
                let (dy, x) = (numbers(t * o, 11), numbers(t * i, 12));
                let of = |mask: &Mask| {
                    let mut gradient = vec![0.5; mask.count()];
                    add(&mut gradient, &Columns::of(precision, &dy, o), &Columns::of(precision, &x, i), mask);
                    gradient
                };
                let mask = Mask::from_fn(o * i, |at| at % share == 0);
                let outcome = |threads: usize| with_threads(threads, || of(&mask)).unwrap();
                let gradient = outcome(1);
                assert!(gradient == outcome(2) && gradient == outcome(4), "{shape} on other threads");
                for (&found, at) in gradient.iter().zip(mask.positions()) {
                    let terms = || (0..t).map(|t| factor(dy[t * o + at / i]) * factor(x[t * i + at % i]));
                    let (exact, size): (f64, f64) = (0.5 + terms().sum::<f64>(), 0.5 + terms().map(f64::abs).sum::<f64>());
                    assert!((f64::from(found) - exact).abs() <= 2e-6 * size, "{shape} at {at}: {found} for {exact}");
                }
                // A weight's gradient does not depend on which others have one.
                let few = Mask::from_fn(o * i, |at| at % (3 * share) == 0);
                let among: Vec<f32> =
                    mask.positions().zip(&gradient).filter(|(at, _)| few.contains(*at)).map(|(_, &found)| found).collect();
                assert_eq!(of(&few), among, "{shape} of fewer");
            }
        }
    }
}
