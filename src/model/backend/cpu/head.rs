//! One head of some rows in the small products of attention, on the calling thread.

use std::cell::OnceCell;
use std::ops::Range;

use super::bf16::{Left, Right, block};
use super::matmul::{View, product};
use super::{Matrix, Precision};

/// One head of some rows, (n, D). Forms that products of bfloat16 need are made when the first of them does.
pub struct Head {
    precision: Precision,
    numbers: Vec<f32>,
    d: usize,
    left: OnceCell<Left>,
    right: OnceCell<Right>,
    transposed: OnceCell<Right>,
}

impl Head {
    /// Columns `h · d..` of some rows.
    pub fn of(precision: Precision, x: &Matrix, rows: impl Iterator<Item = usize>, h: usize, d: usize) -> Self {
        let mut numbers = Vec::with_capacity(rows.size_hint().0 * d);
        for t in rows {
            numbers.extend_from_slice(&x.row(t)[h * d..(h + 1) * d]);
        }
        Self { precision, numbers, d, left: OnceCell::new(), right: OnceCell::new(), transposed: OnceCell::new() }
    }

    /// A row.
    pub fn row(&self, t: usize) -> &[f32] {
        &self.numbers[t * self.d..(t + 1) * self.d]
    }

    /// c (rows, seen) = some of these rows · (the first rows of the other)ᵀ.
    pub fn against(&self, rows: Range<usize>, other: &Self, seen: usize, c: &mut [f32]) {
        let d = self.d;
        match self.precision {
            Precision::F32 => {
                let left = View::new(&self.numbers[rows.start * d..], rows.len(), d, d);
                product(c, seen, left, View::new(&other.numbers, seen, d, d).t(), false);
            }
            Precision::Bf16 => {
                let left = self.left.get_or_init(|| Left::serial(&self.numbers, d));
                let right = other.transposed.get_or_init(|| Right::transposed(&other.numbers, d));
                block(c, seen, (left, rows), right, 0..left.pairs, seen, false);
            }
        }
    }

    fn right(&self) -> &Right {
        self.right.get_or_init(|| Right::serial(&self.numbers, self.d))
    }
}

/// Weights (rows, seen) of some rows over the first rows.
pub struct Mixture<'a> {
    weights: &'a [f32],
    seen: usize,
}

impl<'a> Mixture<'a> {
    /// Of row-major weights.
    pub fn new(weights: &'a [f32], seen: usize) -> Self {
        Self { weights, seen }
    }

    /// c (rows, D) = weights · the first rows of a head.
    pub fn of(&self, head: &Head, c: &mut [f32]) {
        let (rows, d) = (self.weights.len() / self.seen, head.d);
        match head.precision {
            Precision::F32 => {
                product(c, d, View::new(self.weights, rows, self.seen, self.seen), View::new(&head.numbers, self.seen, d, d), false)
            }
            Precision::Bf16 => {
                let left = Left::serial(self.weights, self.seen);
                let pairs = 0..left.pairs;
                block(c, d, (&left, 0..rows), head.right(), pairs, d, false);
            }
        }
    }

    /// c (seen, D) += weightsᵀ · rows of a head; they begin at an even row.
    pub fn add_spread(&self, head: &Head, rows: Range<usize>, c: &mut [f32]) {
        let d = head.d;
        match head.precision {
            Precision::F32 => {
                let left = View::new(self.weights, rows.len(), self.seen, self.seen).t();
                product(c, d, left, View::new(&head.numbers[rows.start * d..], rows.len(), d, d), true);
            }
            Precision::Bf16 => {
                let left = Left::serial_transposed(self.weights, self.seen);
                block(c, d, (&left, 0..self.seen), head.right(), rows.start / 2..rows.start / 2 + left.pairs, d, true);
            }
        }
    }
}
